"""What was found: a table to read, CSV and JSON to compute with, and a picture."""

import csv
import html
import json
import os
import statistics

from measure import METRICS

BY_NAME = {m[0]: m for m in METRICS}

TABLES = (
    ("Reading", ("read", "read_daemon", "read_store", "read_user", "reread", "cached", "cached_daemon", "first",
                 "seek_p50", "seek_p90")),
    ("Writing", ("write", "write_returns", "write_durable", "write_daemon", "write_store", "write_user", "small_1",
                 "small_16", "small_returns", "small_daemon")),
    ("Memory and folders", ("rss_read_1", "rss_read_16", "rss_read_64", "rss_write_1", "rss_write_16", "rss_write_64",
                            "list", "mount")),
)
# What issue and README expect of msasset: contestant, store, figure, bound, is it a least one.
BARS = (
    ("msasset", "rgw", "read_daemon", 1.3, False), ("msasset", "rgw", "write_daemon", 1.3, False),
    ("msasset", "rgw", "small_1", 300, True), ("msasset-writeback", "rgw", "small_returns", 1000, True),
    ("msasset", "rgw", "first", 10, False), ("msasset", "rgw", "seek_p50", 8, False),
    ("msasset", "rgw", "reread", 4, True),
    *(("msasset", "rgw", f"rss_{way}_{n}", 320, False) for way in ("read", "write") for n in (1, 16, 64)),
)
AHEAD = ("read", "write")
PANELS = ("read", "write", "read_daemon", "write_daemon", "small_1", "small_16", "first", "seek_p50", "rss_read_16",
          "rss_write_16")
PEERS_NOT = ("curl-1", "curl-4", "passthrough_ll")


def merge(runs):
    """Medians of several runs; a text (a failure, a kind of durability) stands when it came last."""
    figures = {}
    for name in {n for r in runs for n in r}:
        values = [r[name] for r in runs if r.get(name) is not None]
        numbers = [v for v in values if not isinstance(v, str)]
        figures[name] = statistics.median(numbers) if numbers else (values[-1] if values else None)
    return figures


def shown(figure, value):
    if value is None:
        return "-"
    if isinstance(value, str):
        return "failed" if value.startswith("failed") else value
    return f"{value:.{BY_NAME[figure][3]}f}"


def grid(rows):
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return ["  ".join(cell.ljust(w) if i == 0 else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths)))
            for row in rows]


def table(store, rows):
    """rows: (contestant, figures, why it did not take part)"""
    lines = []
    for title, figures in TABLES:
        there = [r for r in rows if any(r[1].get(f) is not None for f in figures)]
        used = [f for f in figures if any(r[1].get(f) is not None for r in there)]
        if not used:
            continue
        lines += ["", f"{title} ({store})"]
        lines += grid([["", *(BY_NAME[f][4] for f in used)], ["", *(BY_NAME[f][1] for f in used)],
                       *([name, *(shown(f, found.get(f)) for f in used)] for name, found, _ in there)])
    for name, figures, why in rows:
        if why:
            lines.append(f"{name}: not measured: {why}")
        lines += [f"{name}: {BY_NAME[f][4]}: {v}" for f, v in figures.items()
                  if isinstance(v, str) and v.startswith("failed")]
    return lines


def number(found, contestant, store, figure):
    value = found.get((contestant, store), {}).get(figure)
    return value if isinstance(value, (int, float)) else None


def verdict(text, value, bound, least, digits):
    if value is None:
        return [text, "not measured", "", ""]
    ok = value >= bound if least else value <= bound
    return [text, f"{value:.{digits}f}", f"{'>=' if least else '<='} {bound:g}", "holds" if ok else "MISSED"]


def bars(results, link_mib):
    """What is expected of msasset, line by line."""
    found = {(r["contestant"], r["store"]): r["figures"] for r in results}
    rows = [verdict(f"{c}: {BY_NAME[f][4]}, {BY_NAME[f][1]}", number(found, c, s, f), bound, least, 2)
            for c, s, f, bound, least in BARS if f in found.get((c, s), {})]
    for figure in AHEAD:
        peers = {c: number(found, c, s, figure) for c, s in found
                 if s == "rgw" and c not in PEERS_NOT and not c.startswith("msasset")}
        best = max((c for c in peers if peers[c]), key=lambda c: peers[c], default=None)
        if best and figure in found.get(("msasset", "rgw"), {}):
            rows.append(verdict(f"msasset: {BY_NAME[figure][4]}, times {best}",
                                (number(found, "msasset", "rgw", figure) or 0) / peers[best], 1, True, 2))
    caches, bare = number(found, "msasset-cache", "rgw", "cached"), number(found, "passthrough_ll", "none", "cached")
    if caches and bare:
        rows.append(verdict("msasset-cache: own cache, times passthrough_ll", caches / bare, 0.9, True, 2))
    for figure in AHEAD:
        value = number(found, "msasset", "far", figure)
        if value:
            rows.append(verdict(f"msasset: {BY_NAME[figure][4]}, share of the far link", value / link_mib, 0.85, True, 2))
    return ["", "What is expected of msasset", *grid(rows)] if rows else []


# ---- picture -------------------------------------------------------------------------------------

WIDTH, LABEL, BAR_HEIGHT, HEAD = 560, 130, 16, 34


def panel(x, y, store, figure, results):
    with_none = (store, "none") if store == "rgw" else (store,)
    rows = [(r["contestant"], r["figures"].get(figure)) for r in results if r["store"] in with_none]
    if figure.startswith("small"):  # a folder without a store: its bar would hide all others
        rows = [r for r in rows if r[0] != "passthrough_ll"]
    rows = [(c, v) for c, v in rows if isinstance(v, (int, float))]
    if not rows:
        return [], 0
    _, unit, more, digits, heading = BY_NAME[figure]
    most = max(v for _, v in rows) or 1
    better = "more is better" if more else "less is better"
    out = [f'<text x="{x}" y="{y + 14}" class="h">{html.escape(heading)}, {html.escape(unit)} ({store}; {better})</text>']
    for i, (name, value) in enumerate(rows):
        top = y + HEAD - 8 + i * (BAR_HEIGHT + 4)
        kind = "own" if name.startswith("msasset") else "bare" if name in PEERS_NOT else "peer"
        length = max(1, (WIDTH - LABEL - 90) * value / most)
        out += [f'<text x="{x + LABEL - 6}" y="{top + 12}" text-anchor="end">{html.escape(name)}</text>',
                f'<rect x="{x + LABEL}" y="{top}" width="{length:.1f}" height="{BAR_HEIGHT}" class="{kind}"/>',
                f'<text x="{x + LABEL + length + 5:.1f}" y="{top + 12}">{value:.{digits}f}</text>']
    return out, HEAD + len(rows) * (BAR_HEIGHT + 4) + 10


def picture(results, title):
    out, y = [], 44
    panels = [(s, f) for s in ("rgw", "far") for f in PANELS if any(r["store"] == s for r in results)]
    for left, right in zip(panels[::2], panels[1::2]):
        height = 0
        for x, (store, figure) in ((10, left), (10 + WIDTH + 20, right)):
            drawn, h = panel(x, y, store, figure, results)
            out += drawn
            height = max(height, h)
        y += height
    style = ("text{font:12px sans-serif;fill:#222}.h{font-weight:bold;font-size:13px}.t{font-size:17px;font-weight:bold}"
             ".own{fill:#0b7a75}.peer{fill:#b0b7bf}.bare{fill:#e3c08f}")
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{2 * WIDTH + 40}" height="{y + 10}">'
            f'<style>{style}</style><rect width="100%" height="100%" fill="white"/>'
            f'<text x="10" y="26" class="t">{html.escape(title)}</text>'
            f'<text x="{2 * WIDTH + 20}" y="26" text-anchor="end">green: msasset; grey: peers; sand: bare client, FUSE alone'
            f'</text>{"".join(out)}</svg>\n')


def write_all(folder, about, results, link_mib):
    """table.txt, figures.csv, figures.json and picture.svg; the text is returned."""
    os.makedirs(folder, exist_ok=True)
    lines = [about["title"], about["machine"]]
    versions = {r["contestant"]: r["version"] for r in results if r["version"]}
    lines += [f"  {name}: {version}" for name, version in versions.items()]
    for store in ("rgw", "far"):
        with_none = (store, "none") if store == "rgw" else (store,)
        rows = [(r["contestant"], r["figures"], r["why"]) for r in results if r["store"] in with_none]
        if any(r["store"] == store for r in results):
            lines += table(store, rows)
    lines += bars(results, link_mib)
    text = "\n".join(lines) + "\n"
    with open(os.path.join(folder, "table.txt"), "w", encoding="utf-8") as file:
        file.write(text)
    with open(os.path.join(folder, "figures.json"), "w", encoding="utf-8") as file:
        json.dump({"about": about, "results": results}, file, indent=1)
    with open(os.path.join(folder, "figures.csv"), "w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["contestant", "store", "figure", "unit", "value"])
        rows.writerows([r["contestant"], r["store"], f, BY_NAME[f][1], v] for r in results
                       for f, v in sorted(r["figures"].items()))
    with open(os.path.join(folder, "picture.svg"), "w", encoding="utf-8") as file:
        file.write(picture(results, about["title"]))
    return text
