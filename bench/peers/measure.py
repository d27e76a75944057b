"""The figures of one contestant on one store, each a row of METRICS; a figure that fails is a text that says why."""

import json
import os
import statistics
import subprocess
import time

from system import Failed, cpu_of, drop_caches, forget_peak, peak_mib, run

MIB = 1 << 20
GIB = 1 << 30
SMALL = 100 << 10
FIRST_FILES = 8
FIRST_BYTES = 8 * MIB
STREAMS = (1, 16, 64)
SEEKS = 30
SEEK_BYTES = 256 << 10
FILM_RATE = 4 * MIB

# name, unit, is more better, digits, heading
METRICS = (
    ("write", "MiB/s", True, 0, "durable write"),
    ("write_returns", "MiB/s", True, 0, "write returns"),
    ("write_durable", "", None, 0, "durable at"),
    ("write_daemon", "CPU-s/GiB", False, 2, "daemon, write"),
    ("write_store", "CPU-s/GiB", False, 2, "store, write"),
    ("write_user", "CPU-s/GiB", False, 2, "program, write"),
    ("read", "MiB/s", True, 0, "cold read"),
    ("read_daemon", "CPU-s/GiB", False, 2, "daemon, read"),
    ("read_store", "CPU-s/GiB", False, 2, "store, read"),
    ("read_user", "CPU-s/GiB", False, 2, "program, read"),
    ("reread", "GiB/s", True, 2, "kernel's cache"),
    ("cached", "MiB/s", True, 0, "own cache"),
    ("cached_daemon", "CPU-s/GiB", False, 2, "daemon, own cache"),
    ("small_1", "files/s", True, 0, "100 KiB, 1 writer"),
    ("small_16", "files/s", True, 0, "100 KiB, 16 writers"),
    ("small_returns", "files/s", True, 0, "100 KiB, 16, returns"),
    ("small_daemon", "CPU-ms/file", False, 2, "daemon, 100 KiB"),
    ("first", "ms", False, 1, "first byte"),
    ("seek_p50", "ms", False, 1, "seek p50"),
    ("seek_p90", "ms", False, 1, "seek p90"),
    ("list", "ms/1000", False, 1, "list a folder"),
    ("mount", "ms", False, 0, "mount"),
    *((f"rss_read_{n}", "MiB", False, 0, f"RSS, {n} read") for n in STREAMS),
    *((f"rss_write_{n}", "MiB", False, 0, f"RSS, {n} write") for n in STREAMS),
)
GROUPS = ("write", "read", "small", "first", "seeks", "list", "streams")


def percentile(values, part):
    values = sorted(values)
    return values[min(len(values) - 1, int(part * len(values)))]


class Meter:
    """CPU of daemon and store around one piece of work."""

    def __init__(self, contestant, store):
        self.contestant, self.store = contestant, store
        self.read()

    def read(self):
        self.at = (cpu_of(self.contestant.pid), self.store.cpu() if self.store else 0.0)

    def spent(self):
        before = self.at
        self.read()
        return self.at[0] - before[0], self.at[1] - before[1]


class Measurement:
    """Runs the groups in an order in which each leaves what the next one needs."""

    def __init__(self, contestant, store, options):
        self.c, self.store, self.options = contestant, store, options
        self.figures = {}
        self.begun = time.monotonic()
        self.big = os.path.join(contestant.work, "big.bin")

    def note(self, **figures):
        self.figures.update(figures)

    def left(self):
        now = time.monotonic()
        return min(self.options.limit + self.begun - now, self.options.until - now)

    def program(self, *arguments):
        """What bench_work says of one piece of work."""
        path = os.path.join(self.options.build, "bench", "peers", "bench_work")
        if self.left() < 1:
            raise Failed("its time was over (--limit, --budget)")
        return json.loads(run([path, *arguments], self.left()))

    def sync(self):
        return ("sync",) if self.c.sync else ()

    def remount(self):
        """Nothing of what was written is near: not in the kernel, not in a cache of the contestant's own."""
        self.c.unmount()
        self.c.forget()
        drop_caches()
        self.note(mount=self.c.mount(self.store) * 1000)

    # ---- durability: what a LIST of the bucket shows ----

    def durable(self, before, bytes_more):
        """(text for the table, seconds more)"""
        if not self.store:
            return "close (a folder)", 0.0
        if self.store.stored_bytes() >= before + bytes_more:
            return ("fsync" if self.c.sync else "close"), 0.0
        begun = time.monotonic()
        while self.store.stored_bytes() < before + bytes_more:
            if self.left() < 0:
                raise Failed(f"not in the store {time.monotonic() - begun:.0f} s after it returned")
            time.sleep(0.02)
        more = time.monotonic() - begun
        return f"{more:.1f} s later", more

    def stored(self):
        return self.store.stored_bytes() if self.store else 0

    # ---- groups ----

    def write(self):
        before, meter = self.stored(), Meter(self.c, self.store)
        done = self.program("write", self.big, self.options.size, *self.sync())
        text, more = self.durable(before, done["bytes"])
        daemon, store = meter.spent()
        gib = done["bytes"] / GIB
        self.note(write=done["bytes"] / MIB / (done["seconds"] + more), write_returns=done["bytes"] / MIB / done["seconds"],
                  write_durable=text, write_daemon=daemon / gib, write_store=store / gib if self.store else None,
                  write_user=done["cpu"] / gib)

    def small(self):
        """One writer, then sixteen; the daemon's CPU is that of the sixteen's files."""
        for writers in (1, 16):
            folder = os.path.join(self.c.work, f"small-{writers}")
            os.makedirs(folder, exist_ok=True)
            before, meter = self.stored(), Meter(self.c, self.store)
            done = self.program("small", folder, self.options.small_files * (1 if writers == 1 else 4), SMALL, writers,
                                self.options.small_seconds, *self.sync())
            if done["count"] == 0:
                raise Failed("not one file")
            _, more = self.durable(before, done["bytes"])
            daemon, _ = meter.spent()
            self.note(**{f"small_{writers}": done["count"] / (done["seconds"] + more)},
                      small_returns=done["count"] / done["seconds"], small_daemon=daemon * 1000 / done["count"])

    def first(self):
        paths = [os.path.join(self.c.work, f"first-{i}.bin") for i in range(FIRST_FILES)]
        before = self.stored()
        for path in paths:
            self.program("write", path, FIRST_BYTES, *self.sync())
        self.durable(before, FIRST_FILES * FIRST_BYTES)
        self.remount()
        self.note(first=statistics.median(self.program("first", *paths)["steps_ms"]))

    def list(self):
        folder = os.path.join(self.c.work, "small-16")
        if not os.path.isdir(folder):
            raise Failed("needs the small files")
        self.remount()
        done = self.program("list", folder)
        self.note(list=done["seconds"] * 1e6 / max(1, done["count"]))

    def read(self):
        self.remount()
        meter = Meter(self.c, self.store)
        done = self.program("read", self.big)
        daemon, store = meter.spent()
        gib = done["bytes"] / GIB
        if done["bytes"] != self.options.size:
            raise Failed(f"{done['bytes']} bytes of {self.options.size}")
        self.note(read=done["bytes"] / MIB / done["seconds"], read_daemon=daemon / gib,
                  read_store=store / gib if self.store else None, read_user=done["cpu"] / gib)
        done = self.program("read", self.big)
        self.note(reread=gib / done["seconds"])
        if self.c.has_cache:
            self.program("forget", self.big)
            meter.read()
            done = self.program("read", self.big)
            self.note(cached=done["bytes"] / MIB / done["seconds"], cached_daemon=meter.spent()[0] / gib)

    def seeks(self):
        self.remount()
        steps = self.program("seeks", self.big, SEEKS, SEEK_BYTES, 20, FILM_RATE)["steps_ms"]
        self.note(seek_p50=percentile(steps, 0.5), seek_p90=percentile(steps, 0.9))

    def streams(self):
        """Peak memory of the daemon while it serves many streams, which share one size."""
        self.remount()
        for n in STREAMS:
            self.program("forget", self.big)
            forget_peak(self.c.pid)
            self.program("read-streams", self.big, n, self.options.size // n)
            self.note(**{f"rss_read_{n}": peak_mib(self.c.pid)})
        for n in STREAMS:
            forget_peak(self.c.pid)
            self.program("write-streams", self.c.work, n, self.options.size // n, *self.sync())
            self.note(**{f"rss_write_{n}": peak_mib(self.c.pid)})

    def all(self, groups):
        """Every group for itself: a failure is told in its first figure and does not end the others."""
        self.c.prepare(self.store)
        self.note(mount=self.c.mount(self.store) * 1000)
        for name in [g for g in ("write", "small", "first", "list", "read", "seeks", "streams") if g in groups]:
            figure = {"small": "small_1", "seeks": "seek_p50", "streams": "rss_read_1"}.get(name, name)
            try:
                getattr(self, name)()
            except (Failed, OSError, ValueError) as e:
                self.figures.setdefault(figure, f"failed: {e}")
                if not os.path.exists(f"/proc/{self.c.pid}"):
                    self.c.unmount()
                    self.c.mount(self.store)
        return self.figures


class Bare:
    """curl against the store itself: one connection, or four with a range each. Not a file system."""
    version_text = ""

    def __init__(self, connections, store, options, folder):
        self.n, self.store, self.options, self.folder = connections, store, options, folder
        self.figures = {}

    def curls(self, argument_lists):
        """(seconds, CPU-seconds, what they printed) of several curls at once."""
        begun = time.monotonic()
        started = [subprocess.Popen(["curl", "-sS", "--fail", *map(str, a)], stdout=subprocess.PIPE,
                                    stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True)
                   for a in argument_lists]
        said, cpu = [], 0.0
        for process in started:
            said.append(process.stdout.read())
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            cpu += usage.ru_utime + usage.ru_stime
        seconds = time.monotonic() - begun
        for process, text in zip(started, said):
            if process.returncode != 0:
                raise Failed(f"curl: {text.strip()[-160:]}")
        return seconds, cpu, said

    def source(self, name, size):
        path = os.path.join(self.folder, name)
        run([os.path.join(self.options.build, "bench", "peers", "bench_work"), "write", path, size])
        return path

    def write(self):
        path = self.source("big", self.options.size // self.n)
        before = self.store.cpu()
        seconds, cpu, _ = self.curls([["-o", "/dev/null", "-T", path, self.store.presigned("PUT", f"big-{i}")]
                                      for i in range(self.n)])
        gib = self.options.size / GIB
        self.figures.update(write=self.options.size / MIB / seconds, write_returns=self.options.size / MIB / seconds,
                            write_durable="answer", write_daemon=cpu / gib,
                            write_store=(self.store.cpu() - before) / gib)

    def read(self):
        """One connection reads the object whole; four read a quarter each, of four objects that one would write too."""
        before = self.store.cpu()
        seconds, cpu, _ = self.curls([["-o", "/dev/null", "-r", f"0-{self.options.size}",
                                       self.store.presigned("GET", f"big-{i}")] for i in range(self.n)])
        gib = self.options.size / GIB
        self.figures.update(read=self.options.size / MIB / seconds, read_daemon=cpu / gib,
                            read_store=(self.store.cpu() - before) / gib)

    def config(self, name, requests):
        """A file of requests that one curl makes one after the other, on one connection."""
        path = os.path.join(self.folder, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write("\nnext\n".join("silent\nfail\n" + "\n".join(f'{k} = "{v}"' for k, v in r) for r in requests))
        return path

    def small(self):
        path = self.source("small", SMALL)
        for writers in (1, 16) if self.n == 1 else ():
            count = self.options.small_files * (1 if writers == 1 else 4) // writers
            lists = [["-K", self.config(f"small-{w}", [
                (("upload-file", path), ("output", "/dev/null"),
                 ("url", self.store.presigned("PUT", f"small-{writers}-{w}-{i}"))) for i in range(count)])]
                for w in range(writers)]
            seconds, cpu, _ = self.curls(lists)
            self.figures.update({f"small_{writers}": count * writers / seconds, "small_returns": count * writers / seconds,
                                 "small_daemon": cpu * 1000 / count / writers})

    def times(self, requests):
        _, _, said = self.curls([["-K", self.config("times", requests)]])
        return [tuple(float(t) * 1000 for t in line.split()) for line in said[0].splitlines() if line.strip()]

    def first(self):
        write_out = ("write-out", "%{time_starttransfer} %{time_total}\\n")
        url = self.store.presigned("GET", "big-0")
        if self.n == 1:
            times = self.times([(("range", f"{i * MIB}-{i * MIB}"), ("output", "/dev/null"), ("url", url), write_out)
                                for i in range(FIRST_FILES)])
            self.figures.update(first=statistics.median(t for t, _ in times))

    def seeks(self):
        write_out = ("write-out", "%{time_starttransfer} %{time_total}\\n")
        url = self.store.presigned("GET", "big-0")
        if self.n == 1:
            size = self.options.size
            times = self.times([(("range", f"{at}-{at + SEEK_BYTES - 1}"), ("output", "/dev/null"), ("url", url), write_out)
                                for at in (size // 2 + size // 2 // SEEKS * i for i in range(SEEKS))])
            self.figures.update(seek_p50=percentile([t for _, t in times], 0.5),
                                seek_p90=percentile([t for _, t in times], 0.9))

    def all(self, groups):
        for name in ("write", "read", "small", "first", "seeks"):
            if name in groups:
                try:
                    getattr(self, name)()
                except (Failed, OSError, ValueError) as e:
                    self.figures.setdefault(name, f"failed: {e}")
        return self.figures
