#!/usr/bin/env python3
"""Many seeded runs of one store each, on a real mount over Ceph, while the proxy between them injects faults.

campaign.py [--runs N] [--seed S] [--jobs J] [--keep]     seeds S, S+1, ...; default: 60 runs, a seed of its own
campaign.py --one SEED [--keep]                           one run, with its story

A run writes, patches, renames, removes and reads files from several threads, through the mount and by commands, and
keeps a model of what was acknowledged. Judged (README.md says why each):
  wrong     bytes that were read and are not what may stand there
  wedged    an operation that took longer than any limit in the product explains
  lost      acknowledged bytes that are not there: in the mount, in a fresh one, by a plain GET from the bucket
  broken    findings of fsck; operations that fail although the faults are over
  left      unfinished uploads, or objects of nobody, after recover and gc
Needs MSASSET, FAULT_PROXY and what tests/support/ceph.sh run sets.
"""

import argparse
import concurrent.futures
import errno
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.dont_write_bytecode = True
import plain_s3  # noqa: E402

WEDGED_S = 400  # no limit of the product adds up to that with the faults below, on a machine that is very busy
RUN_LIMIT_S = 1500
POOL = 12 << 20
PART = 8 << 20  # a larger file is a multipart upload
KINDS = ("wrong", "wedged", "lost", "broken", "left")


class Failure(Exception):
    """One of KINDS, and what happened."""

    def __init__(self, kind, text):
        super().__init__(f"{kind}: {text}")
        self.kind = kind


# ---- faults --------------------------------------------------------------------------------------

def where(fault):
    """Only bytes of objects have hashes: of other answers nothing can tell that a bit is another one (README.md)."""
    return "GET" if fault == "flip" else "*"


def rules(rng, signed):
    """A script of the proxy. Percentages: many requests still go through, so that much happens."""
    percent = rng.choice((3, 8, 15, 30))
    hang = rng.choice((200, 600, 1200))
    faults = ["slowdown", "slowdown=1", "error", "error=502", "reset", "reset-request", "reset-answer", "lost",
              "truncate", f"hang={hang}", f"mute={hang}", f"trickle={rng.choice((200000, 2000000))}",
              f"delay={rng.choice((50, 300, 1000))}", "flip"]
    if signed:
        faults.append("flip-request")
    ops = ("*", "PUT", "GET", "HEAD", "DELETE", "LIST", "MP_CREATE", "MP_PUT", "MP_COMPLETE", "MP_ABORT", "MP_PARTS",
           "MP_COPY")
    script = [f"{where(fault)}:{percent}%:{fault}" for fault in rng.sample(faults, rng.randint(1, 4))]
    for _ in range(rng.randint(0, 2)):
        which = rng.choice(("*", "1", "2", "1-3", "2+", "50%"))
        fault = rng.choice(faults)
        script.insert(0, f"{rng.choice(ops) if where(fault) == '*' else where(fault)}:{which}:{fault}")
    return ",".join(script)


class Proxy:
    def __init__(self, seed, folder):
        self.process = subprocess.Popen(
            [os.environ["FAULT_PROXY"], plain_s3.PLACE.split("//")[1], "--seed", str(seed), "--log",
             os.path.join(folder, "faults.log")], stdout=subprocess.PIPE, text=True)
        self.place = "http://127.0.0.1:" + self.process.stdout.readline().strip()

    def script(self, text):
        request = urllib.request.Request(self.place + "/-/script", data=text.encode(), method="PUT")
        urllib.request.urlopen(request, timeout=60).read()

    def counts(self):
        text = urllib.request.urlopen(self.place + "/-/counts", timeout=60).read().decode()
        return {name: int(n) for name, n in (line.split() for line in text.splitlines())}

    def end(self):
        self.process.kill()
        self.process.wait()


# ---- one run -------------------------------------------------------------------------------------

class Model:
    """path -> what may stand there: a list of bytes, and None for "no such file"."""

    def __init__(self):
        self.may = {}

    def set(self, path, *contents):
        unique = []
        for content in contents:
            if content not in unique:
                unique.append(content)
        self.may[path] = unique

    def now(self, path):
        return self.may.get(path, [None])

    def sure(self, path):
        """The content when it is certain and there, else None."""
        may = self.now(path)
        return may[0] if len(may) == 1 else None


class Run:
    def __init__(self, seed, loud):
        self.seed, self.loud = seed, loud
        self.rng = random.Random(seed)
        self.folder = tempfile.mkdtemp(prefix=f"ms-fault-{seed}.")
        self.pool = hashlib.shake_128(str(seed).encode()).digest(POOL)
        self.signed = self.rng.random() < 0.6
        self.prefix = f"fault.{seed}.{os.getpid()}"
        self.mnt = os.path.join(self.folder, "mnt")
        self.busy = {}  # thread -> (what, since)
        self.failures = []
        self.acked = self.refused = 0
        self.lock = threading.Lock()
        self.proxy = None
        self.mounted = False

    def say(self, text):
        if self.loud:
            print(f"{time.monotonic():.3f} {text}", flush=True)

    def fail(self, kind, text):
        with self.lock:
            self.failures.append((kind, text))
        self.say(f"FAILED {kind}: {text}")

    # -- tools

    def environment(self):
        env = {k: v for k, v in os.environ.items() if not k.startswith("MSASSET_")}
        env.update(MSASSET_STORE=os.path.join(self.folder, "store"), MSASSET_TENANT="media", HOME=self.folder,
                   XDG_CONFIG_HOME=self.folder, MSASSET_RETRY_TRIES=str(self.tries))
        return env

    def command(self, *args, may_fail=False, what="broken"):
        """(status, stdout, stderr); its time is limited like every operation's."""
        self.say("$ msasset " + " ".join(args))
        try:
            done = subprocess.run([os.environ["MSASSET"], *args], env=self.environment(), capture_output=True,
                                  timeout=WEDGED_S, check=False)
        except subprocess.TimeoutExpired as late:
            raise Failure("wedged", f"msasset {' '.join(args)}") from late
        if done.returncode != 0:
            self.say(f"  {done.returncode}: {done.stderr.decode(errors='replace').strip()}")
        if done.returncode != 0 and not may_fail:
            raise Failure(what, f"msasset {' '.join(args)}: {done.returncode}: {done.stderr.decode(errors='replace')}"
                                f"{done.stdout.decode(errors='replace')}")
        return done.returncode, done.stdout, done.stderr

    def mount(self):
        os.makedirs(self.mnt, exist_ok=True)
        self.command("mount", "media", self.mnt)
        self.mounted = True

    def umount(self):
        self.command("umount", self.mnt)
        self.mounted = False

    def kill_mount(self):
        found = subprocess.run(["pgrep", "-f", "--", f"msasset mount media {self.mnt}( |$)"], capture_output=True,
                               text=True, check=False).stdout.split()
        if not found:
            raise Failure("broken", "the mount has no process")
        self.say(f"kill -9 {found[0]}")
        os.kill(int(found[0]), signal.SIGKILL)
        subprocess.run(["fusermount3", "-uz", self.mnt], capture_output=True, timeout=60, check=False)
        while os.path.exists(f"/proc/{found[0]}"):
            time.sleep(0.01)
        self.mounted = False

    # -- the phases

    def run(self):
        try:
            self.phases()
        except Failure as failure:
            self.fail(failure.kind, str(failure))
        except OSError as error:
            self.fail("broken", f"without faults: {error}")
        return self.failures

    def phases(self):
        self.tries = self.rng.choice((2, 3, 5, 5))
        self.proxy = Proxy(self.seed, self.folder)
        payload = "" if self.signed else "&payload=unsigned"
        url = f"s3://{plain_s3.BUCKET}/{self.prefix}?endpoint={self.proxy.place}{payload}"
        self.command("init", "--objects", url)
        self.command("tenant", "add", "media")
        self.mount()
        workers = [Worker(self, n) for n in range(self.rng.randint(1, 3))]
        for worker in workers:
            worker.begin()
        script = self.under_faults(workers)
        end = self.rng.choice(("calm", "calm", "calm", "kill", "umount"))
        if end == "kill":
            self.kill_mount()
        elif end == "umount":  # while the store is as bad as before, or away
            self.proxy.script(self.rng.choice((script, "*:*:reset")))
            self.umount()
        self.proxy.script("")
        if end == "calm":
            self.without_faults(workers)
            self.umount()
        self.whole()
        if self.rng.random() < 0.4:  # what settles may fail too, and is then called again
            self.proxy.script(script)
            self.command("recover", may_fail=True)
            self.command("gc", "--grace", "0s", may_fail=True)
        self.proxy.script("")
        self.command("recover")
        self.command("gc", "--grace", "0s")
        self.settled()
        self.mount()
        for worker in workers:
            worker.verify("in a fresh mount")
        self.umount()
        self.plain(workers)
        self.nothing_left(workers)

    def under_faults(self, workers):
        script = rules(self.rng, self.signed)
        self.say("script " + script)
        self.proxy.script(script)
        threads = [threading.Thread(target=w.work, daemon=True) for w in workers]
        for thread in threads:
            thread.start()
        while any(t.is_alive() for t in threads):
            self.watch()
            if self.rng.random() < 0.15:
                self.proxy.script(self.rng.choice(("*:*:reset", "*:*:hang", "*:*:error=503", "*:*:mute")))
                time.sleep(self.rng.choice((0.1, 0.5, 2.0)))
                self.proxy.script(script)
            threads[0].join(0.4)
            for thread in threads:
                thread.join(0.01)
        return script

    def watch(self):
        with self.lock:
            late = [what for what, since in self.busy.values() if time.monotonic() - since > WEDGED_S]
        if late:
            raise Failure("wedged", "; ".join(late))

    def without_faults(self, workers):
        """Without a remount and without a second try, everything works."""
        for worker in workers:
            worker.proves_it_works()
            worker.verify("in the same mount")

    def whole(self):
        status, out, err = self.command("fsck", "--json", may_fail=True)
        if status not in (0, 74) or json.loads(out)["findings"]:
            raise Failure("broken", f"fsck: {out.decode()[:2000]}{err.decode()[:500]}")

    def settled(self):
        status, out, err = self.command("fsck", "--store-list" if self.seed % 8 else "--deep", "--json", may_fail=True)
        if status != 0 or json.loads(out)["findings"] or json.loads(out)["pending"]:
            raise Failure("broken", f"fsck after recover and gc: {out.decode()[:2000]}{err.decode()[:500]}")
        left = plain_s3.uploads(self.prefix + "/")
        if left:
            raise Failure("left", f"uploads after gc: {left}")

    def plain(self, workers):
        """By a client that knows nothing of us: every acknowledged file is an object with those bytes."""
        found = {}
        for key, size in plain_s3.ls(self.prefix + "/"):
            found[hashlib.sha256(plain_s3.get(key)).digest()] = (key, size)
        for worker in workers:
            for path in worker.model.may:
                content = worker.model.sure(path)
                if content and hashlib.sha256(content).digest() not in found:
                    raise Failure("lost", f"no object of the bucket has the {len(content)} bytes of {path}")

    def nothing_left(self, workers):
        for worker in workers:
            self.command("rm", "-r", "-f", "-y", worker.folder)
        self.command("purge", "--all", "-y")
        self.command("gc", "--grace", "0s")
        left = [key for key, _ in plain_s3.ls(self.prefix + "/")
                if not key[len(self.prefix) + 1:].startswith((".msasset-store", ".catalogue"))]
        if left:
            raise Failure("left", f"objects of nobody: {left}")

    def end(self, keep):
        if self.proxy:
            self.proxy.script("")
        if self.mounted:
            subprocess.run([os.environ["MSASSET"], "umount", "--lazy", self.mnt], env=self.environment(),
                           capture_output=True, timeout=60, check=False)
            subprocess.run(["fusermount3", "-uz", self.mnt], capture_output=True, timeout=60, check=False)
        counts = self.proxy.counts() if self.proxy else {}
        if self.proxy:
            self.proxy.end()
        if self.failures and keep:
            print(f"kept: {self.folder}")
        else:
            shutil.rmtree(self.folder, ignore_errors=True)
        for key, _ in plain_s3.ls(self.prefix + "/"):
            plain_s3.call("DELETE", key)
        return counts


# ---- what a thread does --------------------------------------------------------------------------

class Worker:
    """One thread with a folder of its own, so that its model needs no lock."""

    def __init__(self, run, number):
        self.run, self.number = run, number
        self.rng = random.Random(run.seed * 100 + number)
        self.model = Model()
        self.unsealed = set()  # fsynced, and its close failed: promised, but not yet there for other processes
        self.made = 0
        self.folder = f"files/w{number}"
        self.put_source = os.path.join(run.folder, f"put{number}.bin")

    def path(self, name):
        return os.path.join(self.run.mnt, name)

    def new_name(self):
        self.made += 1
        return f"{self.folder}/f{self.made}.bin"

    def content(self):
        kind = self.rng.random()
        size = (self.rng.choice((0, 1, 4095, 4096)) if kind < 0.1 else self.rng.randint(1, 300000) if kind < 0.7
                else self.rng.randint(1 << 20, 3 << 20) if kind < 0.8 else self.rng.randint(PART - 9, PART + 2000000))
        at = self.rng.randint(0, POOL - size)
        return self.run.pool[at:at + size]

    def there(self):
        return [p for p in self.model.may if self.model.sure(p) is not None]

    def timed(self, what, function, *args):
        """What an operation returns; an error of the store is its errno (an int, negative)."""
        with self.run.lock:
            self.run.busy[self.number] = (what, time.monotonic())
        try:
            result = function(*args)
        except OSError as error:
            self.run.say(f"w{self.number} {what}: {error.strerror}")
            result = error
        with self.run.lock:
            self.run.busy.pop(self.number)
        return result

    # -- phases

    def begin(self):
        os.mkdir(self.path(self.folder))
        self.write_new(must=True)
        if self.number == 0:
            self.write(self.new_name(), self.run.pool[:PART + 500000], must=True)

    def work(self):
        steps = (self.write_new, self.write_new, self.overwrite, self.patch, self.patch, self.append, self.read,
                 self.read, self.rename, self.rename_over, self.unlink, self.put, self.get, self.truncate)
        try:
            for _ in range(self.rng.randint(4, 9)):
                self.rng.choice(steps)()
        except Failure as failure:
            self.run.fail(failure.kind, str(failure))

    def proves_it_works(self):
        self.write(self.new_name(), self.run.pool[200:70000], must=True)
        if self.number == 0:
            self.write(self.new_name(), self.run.pool[100:PART + 600000], must=True)

    def verify(self, where):
        for path in sorted(self.model.may):
            self.check_read(path, 0, POOL, where, must=True)

    # -- steps

    def failed(self, result, must, what):
        if not isinstance(result, OSError):
            return False
        if must:
            raise Failure("broken", f"{what}: {result.strerror}")
        with self.run.lock:
            self.run.refused += 1
        return True

    def acked(self, path, content):
        self.run.say(f"w{self.number} acknowledged {path}: {None if content is None else len(content)} bytes")
        with self.run.lock:
            self.run.acked += 1
        self.model.set(path, content)

    def change(self, path, flags, change, new, must=False):
        """Open, change, maybe fsync, close: the model follows what each of them said."""
        before = self.model.now(path)
        fd = self.timed(f"open {path}", os.open, self.path(path), flags, 0o644)
        if self.failed(fd, must, f"open {path}"):
            self.model.set(path, *before)
            return
        self.model.set(path, *before, new, *([b""] if flags & os.O_TRUNC else []))
        synced = False
        result = self.timed(f"write {path}", change, fd)
        wrote = not self.failed(result, must, f"write {path}")
        if wrote and self.rng.random() < 0.3:
            synced = not self.failed(self.timed(f"fsync {path}", os.fsync, fd), must, f"fsync {path}")
            if synced:
                self.acked(path, new)
        result = self.timed(f"close {path}", os.close, fd)
        if self.failed(result, must, f"close {path}"):
            if synced:
                self.unsealed.add(path)
            return
        self.unsealed.discard(path)
        if wrote:
            self.acked(path, new)

    def write(self, path, content, must=False):
        def change(fd):
            at = 0
            while at < len(content):
                at += os.write(fd, content[at:at + (1 << 20)])
                # What a failing write leaves, and a failing close: another thread that starts a command gives its
                # child a copy of the descriptor, whose closing seals what stands there.
                self.model.set(path, *self.model.now(path), content[:at])
        self.change(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, change, content, must)

    def write_new(self, must=False):
        self.write(self.new_name(), self.content(), must)

    def overwrite(self):
        for path in self.rng.sample(self.there(), min(1, len(self.there()))):
            self.write(path, self.content())

    def pick(self):
        there = self.there()
        return self.rng.choice(there) if there else None

    def patch(self):
        path = self.pick()
        old = self.model.sure(path) if path else None
        if not old:
            return
        at, size = self.rng.randint(0, len(old) - 1), self.rng.randint(1, 100000)
        piece = self.run.pool[at:at + size]
        new = old[:at] + piece + old[at + len(piece):]
        self.change(path, os.O_RDWR, lambda fd: os.pwrite(fd, piece, at), new)

    def append(self):
        path = self.pick()
        if path:
            piece = self.run.pool[:self.rng.randint(1, 100000)]
            self.change(path, os.O_WRONLY | os.O_APPEND, lambda fd: os.write(fd, piece), self.model.sure(path) + piece)

    def truncate(self):
        path = self.pick()
        old = self.model.sure(path) if path else None
        if not old:
            return
        size = self.rng.randint(0, len(old))
        self.change(path, os.O_WRONLY, lambda fd: os.ftruncate(fd, size), old[:size])

    def rename(self, target=None):
        path = self.pick()
        target = target or self.new_name()
        if not path or path == target:
            return
        old, covered = self.model.sure(path), self.model.now(target)
        result = self.timed(f"rename {path} {target}", os.rename, self.path(path), self.path(target))
        if self.failed(result, False, "rename"):
            self.model.set(path, old, None)
            self.model.set(target, old, *covered)
            return
        self.model.set(path, None)
        self.acked(target, old)
        self.unsealed.discard(target)
        if path in self.unsealed:
            self.unsealed.add(target)

    def rename_over(self):
        target = self.pick()
        if target:
            self.rename(target)

    def unlink(self):
        path = self.pick()
        if not path or self.rng.random() < 0.5:
            return
        old = self.model.sure(path)
        result = self.timed(f"unlink {path}", os.unlink, self.path(path))
        if self.failed(result, False, "unlink"):
            self.model.set(path, old, None)
        else:
            self.acked(path, None)

    def put(self):
        path, content = self.new_name(), self.content()
        with open(self.put_source, "wb") as file:
            file.write(content)
        self.model.set(path, None, content)
        with self.run.lock:
            self.run.busy[self.number] = (f"put {path}", time.monotonic())
        status, _, _ = self.run.command("put", self.put_source, path, may_fail=True)
        with self.run.lock:
            self.run.busy.pop(self.number)
        if status == 0:
            self.acked(path, content)

    def get(self):
        path = self.pick()
        if not path or path in self.unsealed:
            return
        got = os.path.join(self.run.folder, f"got{self.number}.bin")
        status, _, _ = self.run.command("get", "-f", "-q", path, got, may_fail=True)
        if status == 0:
            with open(got, "rb") as file:
                self.judge(path, file.read(), 0, POOL, "by get")

    def read(self):
        path = self.pick()
        old = self.model.sure(path) if path else None
        if old:
            at = self.rng.choice((0, self.rng.randint(0, len(old) - 1)))
            self.check_read(path, at, self.rng.choice((1, 4096, 1 << 20, POOL)), "under faults")

    def fetch(self, path, at, size):
        with open(self.path(path), "rb", buffering=0) as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            found = b""
            while len(found) < size:
                more = os.pread(file.fileno(), min(1 << 20, size - len(found)), at + len(found))
                if not more:
                    break
                found += more
            return found

    def check_read(self, path, at, size, where, must=False):
        found = self.timed(f"read {path}", self.fetch, path, at, size)
        if isinstance(found, OSError) and found.errno == errno.ENOENT:
            if None not in self.model.now(path):
                raise Failure("lost", f"{path} is not there {where}")
            return
        if isinstance(found, OSError) and must:
            raise Failure("lost" if self.model.sure(path) else "broken", f"read of {path} {where}: {found.strerror}")
        if not self.failed(found, must, f"read {path}"):
            self.judge(path, found, at, size, where)

    def judge(self, path, found, at, size, where):
        for content in self.model.now(path):
            if content is not None and content[at:at + size] == found:
                return
        may = [None if c is None else len(c[at:at + size]) for c in self.model.now(path)]
        kind = "lost" if self.model.sure(path) and len(found) != len(self.model.sure(path)[at:at + size]) else "wrong"
        raise Failure(kind, f"{path} {where}: {len(found)} bytes at {at} that may not stand there; allowed sizes {may}")


# ---- the campaign --------------------------------------------------------------------------------

def one(seed, loud, keep):
    run = Run(seed, loud)
    failures = run.run()
    counts = run.end(keep)
    print(json.dumps({"seed": seed, "failures": failures, "faults": counts, "acked": run.acked,
                      "refused": run.refused}), flush=True)
    os._exit(1 if failures else 0)  # a thread that is stuck in the mount must not hold us


def child(seed, keep):
    args = [sys.executable, os.path.abspath(__file__), "--one", str(seed), "--quiet"] + (["--keep"] if keep else [])
    try:
        done = subprocess.run(args, capture_output=True, text=True, timeout=RUN_LIMIT_S, check=False)
        return json.loads(done.stdout.splitlines()[-1])
    except subprocess.TimeoutExpired:
        return {"seed": seed, "failures": [["wedged", f"the run took more than {RUN_LIMIT_S} s"]], "faults": {},
                "acked": 0, "refused": 0}
    except (IndexError, ValueError):
        return {"seed": seed, "failures": [["broken", f"the run died: {done.stderr[-1500:]}"]], "faults": {},
                "acked": 0, "refused": 0}


def many(runs, seed, jobs, keep):
    totals, faults = dict.fromkeys(KINDS, 0), {}
    acked = refused = done = 0
    began = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        for result in pool.map(lambda n: child(seed + n, keep), range(runs)):
            done += 1
            acked += result["acked"]
            refused += result["refused"]
            for name, n in result["faults"].items():
                faults[name] = faults.get(name, 0) + n
            for kind, text in result["failures"]:
                totals[kind] += 1
                print(f"seed {result['seed']}: {text}\n    again: {sys.argv[0]} --one {result['seed']}", flush=True)
            if done % 50 == 0:
                print(f"{done} runs, {time.monotonic() - began:.0f} s, {totals}", flush=True)
    print(f"{done} runs from seed {seed}, {acked} acknowledged, {refused} refused, faults {faults}")
    print(", ".join(f"{kind} {n}" for kind, n in totals.items()))
    never = [a for a in ("slowdown", "error", "reset", "reset-request", "reset-answer", "lost", "truncate", "flip",
                         "flip-request", "hang", "mute", "trickle", "delay") if not faults.get(a)]
    if runs >= 50 and never:
        print(f"never injected: {never}: this campaign proves less than it says")
        return 1
    return 1 if any(totals.values()) or not acked or not refused else 0


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=60)
    parser.add_argument("--seed", type=int, default=int(os.environ.get("MS_TEST_SEED", 0)) or random.randrange(1 << 30))
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--one", type=int)
    parser.add_argument("--quiet", action="store_true")
    parser.add_argument("--keep", action="store_true", help="keep the folder of a run that failed")
    args = parser.parse_args()
    if args.one is not None:
        one(args.one, not args.quiet, args.keep)
    sys.exit(many(args.runs, args.seed, args.jobs, args.keep))


if __name__ == "__main__":
    main()
