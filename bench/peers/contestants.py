"""Who takes part, and how each is started: one class for each. README.md says the same in words."""

import os
import shutil
import time

from stores import BUCKET, KEY, SECRET
from system import Failed, empty, end, is_mounted, log_tail, run, spawn, tree, unmount, wait_for

KEYS = {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_REGION": "us-east-1"}


class Contestant:
    """A file system that is mounted. Everything of it lies in self.folder, which is removed afterwards."""
    name = ""
    program = ""
    sync = False         # fsync before close is what makes it durable
    has_cache = False    # a cache of its own from which a file is read again
    needs_store = True
    inside = ""          # folder of the mount that is written to
    version_argument = "--version"

    def __init__(self, options, folder):
        self.options, self.folder = options, folder
        self.mnt, self.cache = os.path.join(folder, "mnt"), os.path.join(folder, "cache")
        self.log = os.path.join(folder, "log")
        self.process = None
        for path in (self.mnt, self.cache):
            os.makedirs(path, exist_ok=True)

    @classmethod
    def absent(cls, options):
        """Why it cannot take part, or None."""
        return None if cls.find(options) else f"{cls.program} is not on PATH"

    @classmethod
    def find(cls, options):
        return shutil.which(cls.program)

    def version(self):
        try:
            lines = run([self.find(self.options), self.version_argument], 10, quiet=False).strip().splitlines()
            return lines[0][:80] if lines else ""
        except Failed:
            return ""

    @property
    def work(self):
        return os.path.join(self.mnt, self.inside)

    @property
    def pid(self):
        """Of the daemon itself."""
        return self.process.pid if self.process else 0

    def prepare(self, store):
        """Once, before the first mount."""

    def command(self, store):
        """(argv, environment) of the mount, in the foreground."""
        raise NotImplementedError

    def mount(self, store):
        argv, env = self.command(store)
        begun = time.monotonic()
        self.process = spawn(argv, self.log, env)
        try:
            wait_for(f"mount of {self.name}", 30, lambda: is_mounted(self.mnt), lambda: self.process.poll() is None)
        except Failed as e:
            raise Failed(f"{e}: {log_tail(self.log)}") from e
        os.statvfs(self.mnt)
        os.makedirs(self.work, exist_ok=True)
        return time.monotonic() - begun

    def unmount(self):
        if not self.process:
            return
        unmount(self.mnt)
        try:
            wait_for("end", 60, lambda: self.process.poll() is not None)
        except Failed:
            pass
        end(self.process)
        self.process = None

    def forget(self):
        """Unmounted: what it keeps outside the store that could answer a read."""
        empty(self.cache)


class Msasset(Contestant):
    """msasset on S3, payload unsigned: as the bare client and the peers send it."""
    name = "msasset"
    inside = "files"
    payload = "unsigned"
    options_of_mount = ()
    wants = None         # word that "help mount" or "config show" must have

    @classmethod
    def find(cls, options):
        return options.msasset or os.path.join(options.build, "bin", "msasset")

    @classmethod
    def absent(cls, options):
        if not os.access(cls.find(options), os.X_OK):
            return f"{cls.find(options)} is not built"
        said = run([cls.find(options), "help", "mount"]) + run([cls.find(options), "config", "show"])
        return None if not cls.wants or cls.wants in said else f"this msasset has no {cls.wants}"

    def version(self):
        return run([self.find(self.options), "version"]).splitlines()[0]

    def env(self):
        own = {k: "" for k in os.environ if k.startswith("MSASSET_")}
        return {**own, **KEYS, "MSASSET_STORE": os.path.join(self.folder, "store"), "HOME": self.folder,
                "XDG_CONFIG_HOME": self.folder}

    def call(self, *arguments):
        return run([self.find(self.options), *arguments], env=self.env())

    def prepare(self, store):
        self.call("init", "-q", "--objects",
                  f"s3://{BUCKET}/bench?endpoint={store.endpoint}&payload={self.payload}")
        self.call("tenant", "add", "bench", "-q", "--quota", "1T")

    def command(self, store):
        return [self.find(self.options), "mount", "bench", self.mnt, "-f", *self.options_of_mount], self.env()


class MsassetSha256(Msasset):
    """The same, with the SHA-256 of every payload signed."""
    name = "msasset-sha256"
    payload = "sha256"


class MsassetWriteback(Msasset):
    """Acknowledged from the local journal, uploaded in the background."""
    name = "msasset-writeback"
    options_of_mount = ("-o", "writeback")
    wants = "writeback"


class MsassetCache(Msasset):
    """With the persistent disk cache."""
    name = "msasset-cache"
    has_cache = True
    wants = "cache_dir"

    def env(self):
        return {**super().env(), "MSASSET_CACHE_DIR": self.cache, "MSASSET_CACHE_DISK_BYTES": "8G"}


class S3fs(Contestant):
    """Debian's s3fs, as its manual starts it on such a store."""
    name = "s3fs"
    program = "s3fs"

    def prepare(self, store):
        self.keys = os.path.join(self.folder, "keys")
        with open(self.keys, "w", encoding="utf-8") as file:
            file.write(f"{KEY}:{SECRET}\n")
        os.chmod(self.keys, 0o600)

    def command(self, store):
        return ["s3fs", BUCKET, self.mnt, "-f", "-o", f"passwd_file={self.keys},url={store.endpoint},"
                f"use_path_request_style,parallel_count=16,tmpdir={self.cache}"], {}


class Rclone(Contestant):
    """rclone mount with its full cache; it uploads after close, at once."""
    name = "rclone"
    program = "rclone"
    has_cache = True

    def prepare(self, store):
        self.config = os.path.join(self.folder, "rclone.conf")
        with open(self.config, "w", encoding="utf-8") as file:
            file.write(f"[r]\ntype = s3\nprovider = Ceph\naccess_key_id = {KEY}\nsecret_access_key = {SECRET}\n"
                       f"endpoint = {store.endpoint}\nregion = us-east-1\n")

    def command(self, store):
        return ["env", "-u", "AWS_CA_BUNDLE", "rclone", "--config", self.config, "mount", f"r:{BUCKET}", self.mnt,
                "--vfs-cache-mode", "full", "--cache-dir", self.cache, "--vfs-write-back", "0s"], {}


class Juicefs(Contestant):
    """JuiceFS with Badger for its metadata: one process, like msasset, and nothing else to run."""
    name = "juicefs"
    program = "juicefs"
    has_cache = True

    def meta(self):
        return "badger://" + os.path.join(self.folder, "meta")

    def prepare(self, store):
        run(["juicefs", "format", "--storage", "s3", "--bucket", f"{store.endpoint}/{BUCKET}", "--trash-days", "0",
             self.meta(), "bench"], env=KEYS)

    def command(self, store):
        return ["juicefs", "mount", "--no-usage-report", "--cache-dir", self.cache, self.meta(), self.mnt], KEYS


class Geesefs(Contestant):
    """GeeseFS: writes in the background, durable at fsync."""
    name = "geesefs"
    program = "geesefs"
    sync = True
    has_cache = True

    def command(self, store):
        return ["geesefs", "-f", "--endpoint", store.endpoint, "--list-type", "2", "--region", "us-east-1",
                "--cache", self.cache, BUCKET, self.mnt], {**KEYS, "HOME": self.folder}


class Goofys(Contestant):
    """goofys: no longer maintained, still used."""
    name = "goofys"
    program = "goofys"

    def command(self, store):
        return ["goofys", "-f", "--endpoint", store.endpoint, "--region", "us-east-1", BUCKET, self.mnt], \
            {**KEYS, "HOME": self.folder}


class Mountpoint(Contestant):
    """AWS's mountpoint-s3; stock 1.22 reports EIO at each close on RGW 16, whose ETag of a whole upload is empty."""
    name = "mount-s3"
    program = "mount-s3"
    has_cache = True

    def command(self, store):
        return ["mount-s3", "-f", "--endpoint-url", store.endpoint, "--force-path-style", "--region", "us-east-1",
                "--upload-checksums", "off", "--allow-overwrite", "--allow-delete", "--cache", self.cache, BUCKET,
                self.mnt], KEYS


class Passthrough(Contestant):
    """libfuse's example that hands everything to a folder: what FUSE itself costs. No store, so nothing is cold."""
    name = "passthrough_ll"
    program = "passthrough_ll"
    has_cache = True
    needs_store = False
    example = "/usr/share/doc/libfuse3-dev/examples/passthrough_ll.c"

    @classmethod
    def find(cls, options):
        found = shutil.which(cls.program)
        built = os.path.join(options.scratch, cls.program)
        if not found and os.path.exists(cls.example) and not os.path.exists(built):
            flags = run(["pkg-config", "fuse3", "--cflags", "--libs"]).split()
            run(["cc", "-O2", "-o", built, cls.example, *flags])
        return found or (built if os.path.exists(built) else None)

    @classmethod
    def absent(cls, options):
        return None if cls.find(options) else f"it is neither on PATH nor is {cls.example} there to build it from"

    def command(self, store):
        source = os.path.join(self.folder, "source")
        os.makedirs(source, exist_ok=True)
        return [self.find(self.options), "-f", "-o", f"source={source}", self.mnt], {}

    def forget(self):
        pass


MOUNTS = (Passthrough, Msasset, MsassetSha256, MsassetWriteback, MsassetCache, S3fs, Rclone, Juicefs, Geesefs, Mountpoint,
          Goofys)
__all__ = ["MOUNTS", "Contestant", "tree"]
