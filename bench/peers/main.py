#!/usr/bin/env python3
"""Orchestrates bench/run, which has installed and built what this needs."""

import argparse
import os
import platform
import shutil
import signal
import sys
import tempfile
import time
import traceback

sys.dont_write_bytecode = True

from contestants import MOUNTS  # noqa: E402
from measure import GROUPS, Bare, Measurement  # noqa: E402
from report import merge, write_all  # noqa: E402
from stores import STORES  # noqa: E402
from system import Failed, drop_caches, run  # noqa: E402

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BARE = {"curl-1": 1, "curl-4": 4}
NAMES = [*BARE, *(m.name for m in MOUNTS)]
FAR_NOT = ("streams", "list")  # their figures do not depend on the store's distance


def size_of(text):
    unit = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}.get(text[-1:].upper(), 1)
    size = int(text if unit == 1 else text[:-1]) * unit
    if size < 64 << 20 or size > 2 << 30:
        raise argparse.ArgumentTypeError("64M to 2G: the store is in memory")
    return size >> 20 << 20


def words(known):
    def parse(text):
        found = [w for w in text.split(",") if w]
        for word in found:
            if word not in known:
                raise argparse.ArgumentTypeError(f"'{word}' is none of {' '.join(known)}")
        return found
    return parse


def arguments():
    p = argparse.ArgumentParser(prog="bench/run", description="Measure msasset beside its peers.")
    p.add_argument("--size", type=size_of, default=size_of("512M"), metavar="N", help="of the large file; default 512M")
    p.add_argument("--only", type=words(NAMES), default=NAMES, metavar="NAME,...",
                   help="these contestants: " + " ".join(NAMES))
    p.add_argument("--store", type=words(list(STORES)), default=list(STORES), metavar="NAME,...",
                   help="on these stores: rgw (Ceph, loopback), far (own, with latency); default both")
    p.add_argument("--groups", type=words(GROUPS), default=list(GROUPS), metavar="NAME,...",
                   help="only these figures: " + " ".join(GROUPS))
    p.add_argument("--runs", type=int, default=1, metavar="N", help="times each; figures are medians; default 1")
    p.add_argument("--out", default="bench-out", metavar="DIR", help="for table, CSV, JSON, SVG; default bench-out")
    p.add_argument("--small-files", type=int, default=300, metavar="N",
                   help="100 KiB files of one writer; sixteen write four times as many; default 300")
    p.add_argument("--small-seconds", type=int, default=5, metavar="S", help="... at most so long; default 5")
    p.add_argument("--limit", type=int, default=120, metavar="S",
                   help="most for one contestant on one store; what is left then is told as failed; default 120")
    p.add_argument("--budget", type=int, default=7200, metavar="S",
                   help="most for everything; who comes later is not measured; default 7200")
    p.add_argument("--msasset", metavar="PROGRAM", help="measure this one instead of the one that was built")
    p.add_argument("--far-latency", type=int, default=20, metavar="MS", help="of the far store; default 20")
    p.add_argument("--far-connection", type=int, default=90, metavar="MB/S", help="on one connection; default 90")
    p.add_argument("--far-link", type=int, default=1000, metavar="MB/S", help="in all, each way; default 1000")
    p.add_argument("--scratch", default="/var/tmp", metavar="DIR", help="where caches and mounts go; default /var/tmp")
    p.add_argument("--build", default=os.path.join(SOURCE, "build", "release"), help=argparse.SUPPRESS)
    options = p.parse_args()
    options.source, options.build = SOURCE, os.path.abspath(options.build)
    return options


def say(text):
    print(f"[{time.strftime('%H:%M:%S')}] {text}", flush=True)


def measure_mount(kind, store, options):
    """(figures, version)"""
    folder = tempfile.mkdtemp(prefix=kind.name + ".", dir=options.scratch)
    contestant = kind(options, folder)
    try:
        drop_caches()
        groups = [g for g in options.groups if g not in (FAR_NOT if store and store.name == "far" else ())]
        return Measurement(contestant, store, options).all(groups), contestant.version()
    finally:
        contestant.unmount()
        shutil.rmtree(folder, ignore_errors=True)


def measure_bare(name, store, options):
    folder = tempfile.mkdtemp(prefix=name + ".", dir=options.scratch)
    try:
        return Bare(BARE[name], store, options, folder).all(options.groups), run(["curl", "--version"]).split(" (")[0]
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def one_run(name, kind, store_name, options):
    if store_name == "none":
        return measure_mount(kind, None, options)
    with STORES[store_name](options, options.scratch) as store:
        if kind is None:
            return measure_bare(name, store, options)
        return measure_mount(kind, store, options)


def contest(name, store_name, options):
    """The row of one contestant; whatever goes wrong is a word in it."""
    kind = next((m for m in MOUNTS if m.name == name), None)
    row = {"contestant": name, "store": store_name, "figures": {}, "why": None, "version": "", "runs": [], "seconds": 0}
    begun = time.monotonic()
    try:
        row["why"] = kind.absent(options) if kind else None
        if not row["why"] and begun > options.until:
            row["why"] = f"the {options.budget} s of --budget were over"
        for i in range(0 if row["why"] else options.runs):
            say(f"{name} on {store_name}" + (f", run {i + 1} of {options.runs}" if options.runs > 1 else ""))
            figures, row["version"] = one_run(name, kind, store_name, options)
            row["runs"].append(figures)
    except (Failed, OSError) as e:
        row["why"] = str(e)
    except Exception as e:  # a mistake of ours is a row as well: the others must not pay for it
        traceback.print_exc()
        row["why"] = f"{type(e).__name__}: {e}"
    row["figures"] = merge(row["runs"])
    row["seconds"] = round(time.monotonic() - begun, 1)
    if row["why"]:
        say(f"{name} on {store_name}: {row['why']}")
    return row


def rows_wanted(options):
    without = [m.name for m in MOUNTS if not m.needs_store]
    for name in options.only:
        if name in without:
            yield name, "none"
    for store in options.store:
        yield from ((name, store) for name in options.only if name not in without)


def about(options):
    cores = os.cpu_count()
    return {"title": f"msasset and its peers: {options.size >> 20} MiB, {options.runs} run(s), "
                     f"{time.strftime('%Y-%m-%d %H:%M')}",
            "machine": f"{cores} cores, Linux {platform.release()}, load {os.getloadavg()[0]:.1f} at the start; far store: "
                       f"{options.far_latency} ms, {options.far_connection} MB/s a connection, {options.far_link} MB/s in all"}


def interrupted(*_):
    raise KeyboardInterrupt


def main():
    options = arguments()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupted)
    options.scratch = tempfile.mkdtemp(prefix="ms-bench.", dir=options.scratch)
    known, begun, results, stopped = about(options), time.monotonic(), [], False
    options.until = begun + options.budget
    try:
        for name, store in rows_wanted(options):
            results.append(contest(name, store, options))
    except KeyboardInterrupt:
        stopped = True
    finally:
        shutil.rmtree(options.scratch, ignore_errors=True)
    text = write_all(options.out, known, results, options.far_link * 1e6 / (1 << 20))
    print(text)
    print(f"{options.out}/: table.txt figures.csv figures.json picture.svg; {time.monotonic() - begun:.0f} s"
          + ("; interrupted" if stopped else ""))
    return 130 if stopped else 0


if __name__ == "__main__":
    sys.exit(main())
