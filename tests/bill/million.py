#!/usr/bin/env python3
"""A million events of ten tenants over a year, through standard input: the memory is that of a hundred thousand."""

import os
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from histories import say_instant  # noqa: E402
from second import DAY, at_midnight  # noqa: E402

START, SPAN, TENANTS, ASSETS = at_midnight(2026, 1, 1), 365 * DAY, 10, 1000
SMALL, LARGE = 100000, 1000000


def history(events):
    for number in range(TENANTS):
        yield f'{{"at":"{say_instant(START)}","do":"tenant","tenant":"t{number}","free_bytes":1000}}\n'
    for number in range(events - TENANTS - 1):
        yield (f'{{"at":"{say_instant(START + SPAN * number // events)}","do":"put","tenant":"t{number % TENANTS}",'
               f'"asset":"a{number % ASSETS}","type":"VIDEO","origin":"UPLOADED","bytes":{number % 7919 * 1000003}}}\n')
    yield f'{{"at":"{say_instant(START + SPAN)}","do":"end"}}\n'


def peak_kib(events, rates):
    """Peak memory of one run; its bill must have every day."""
    with tempfile.TemporaryFile() as out:
        run = subprocess.Popen([os.environ["MSASSET"], "bill", "simulate", "--history", "-", "--rates", rates, "--json"],
                               stdin=subprocess.PIPE, stdout=out)
        for line in history(events):
            run.stdin.write(line.encode())
        run.stdin.close()
        _, status, usage = os.wait4(run.pid, 0)
        out.seek(0)
        lines = sum(1 for _ in out)
    if status != 0 or lines != TENANTS * (365 + 12):
        sys.exit(f"{events} events: status {status}, {lines} lines")
    return usage.ru_maxrss


def main():
    with tempfile.NamedTemporaryFile("w", suffix=".json") as rates:
        rates.write('{"currency":"CNY","cards":[{"valid_from":"2026-01","storage":[{"price":"0.02"}]}]}')
        rates.flush()
        small, large = peak_kib(SMALL, rates.name), peak_kib(LARGE, rates.name)
    print(f"peak memory: {small} KiB for {SMALL} events, {large} KiB for {LARGE}")
    if large > small + 2048:
        sys.exit("memory grows with the number of events")


if __name__ == "__main__":
    main()
