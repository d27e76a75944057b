#!/usr/bin/env python3
"""msasset bill simulate and the second computation must agree on random histories: every byte of --json, and on
every refusal the status 2, the empty output and the number of the line.

agree.py [--histories N] [--events N] [--days N] [--broken N] [--jobs N]; the seed is printed, MS_TEST_SEED repeats it.
MS_BILL_KEEP=DIR keeps the first history that differs.
"""

import argparse
import multiprocessing
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import histories  # noqa: E402
import second  # noqa: E402

MSASSET = os.environ.get("MSASSET", "msasset")
LINE = re.compile(r"\bline ([0-9]+): ")


def by_gateway(history, rates):
    """(lines, None) or (None, message)."""
    run = subprocess.run([MSASSET, "bill", "simulate", "--history", history, "--rates", rates, "--json"],
                         capture_output=True, check=False)
    if run.returncode == 0:
        return run.stdout.decode("utf-8"), None
    if run.returncode != 2 or run.stdout:
        return None, f"status {run.returncode}, {len(run.stdout)} bytes of output, {run.stderr.decode()}"
    return None, run.stderr.decode("utf-8")


def by_second(history, rates):
    try:
        return "".join(second.bill(history, rates)), None
    except second.Bad as bad:
        return None, str(bad)


def difference(ours, theirs):
    """What differs between two answers; None when they agree."""
    (bill, error), (bill2, error2) = ours, theirs
    if (bill is None) != (bill2 is None):
        return f"msasset: {error or 'a bill'}\nsecond: {error2 or 'a bill'}"
    if bill is not None:
        if bill == bill2:
            return None
        pairs = zip(bill.splitlines() + [None], bill2.splitlines() + [None])
        return "\nsecond: ".join(str(line) for line in next(pair for pair in pairs if pair[0] != pair[1]))
    places = [LINE.search(text) for text in (error, error2)]
    if error2.startswith("rates: "):
        return None if '"BILL_INPUT","message":"rate card: ' in error.replace('": "', '":"') else f"{error}\n{error2}"
    if all(places) and places[0][1] == places[1][1] and '"BILL_INPUT"' in error:
        return None
    return f"msasset: {error}\nsecond: {error2}"


def one(task):
    """Make one history from its seed and compare; returns counts, or what differs."""
    seed, events, days, kind = task
    rng = random.Random(seed)
    lines = histories.history(rng, events, days)
    rates = histories.rates(rng, lines)
    if kind == "history":
        lines = histories.broken(rng, lines)
    elif kind == "rates":
        rates = histories.broken_rates(rng, rates)
    folder = tempfile.mkdtemp(prefix="msasset-bill-")
    paths = os.path.join(folder, "history.jsonl"), os.path.join(folder, "rates.json")
    try:
        for path, text in zip(paths, ("\n".join(lines) + rng.choice(("", "\n")), rates)):
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
        ours = by_gateway(*paths)
        differs = difference(ours, by_second(*paths))
        if differs:
            keep = os.environ.get("MS_BILL_KEEP")
            if keep:
                shutil.copytree(folder, keep, dirs_exist_ok=True)
            return f"seed {seed}, {events} events, {days} days, broken: {kind}\n{differs}"
        return len(lines), ours[0].count("\n") if ours[0] else 0, ours[0] is None
    finally:
        shutil.rmtree(folder)


def main():
    parser = argparse.ArgumentParser()
    for name, usual in (("histories", 220), ("events", 60), ("days", 731), ("broken", 150), ("jobs", 1)):
        parser.add_argument("--" + name, type=int, default=usual)
    args = parser.parse_args()
    base = int(os.environ.get("MS_TEST_SEED") or random.SystemRandom().randrange(2**32))
    print(f"seed: MS_TEST_SEED={base}", flush=True)
    tasks = [(base + n, args.events, args.days, None) for n in range(args.histories)]
    tasks += [(base + n, args.events // 2, 90, ("history", "rates")[n % 3 == 0]) for n in range(args.broken)]
    events = lines = refused = 0
    with multiprocessing.Pool(args.jobs) as pool:
        for result in pool.imap_unordered(one, tasks, chunksize=8):
            if isinstance(result, str):
                print(result)
                sys.exit(1)
            events, lines, refused = events + result[0], lines + result[1], refused + result[2]
    print(f"{args.histories} histories of {args.days} days and {args.broken} broken ones: {events} events, "
          f"{lines} lines of bill the same, {refused} refused at the same line")


if __name__ == "__main__":
    main()
