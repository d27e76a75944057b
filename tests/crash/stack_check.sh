#!/bin/bash
# stack_check.sh IMAGE ACKS: the store as a power cut left it. Opened, recovered and checked whole to the last byte; every
# name has the bytes that were acknowledged for it last, or those of the one operation that was under way.
# 0 all there, 1 lost, 2 half or damaged, 3 cannot be opened.
set -eu
image=$1 acks=$2
unset MSASSET_STORE MSASSET_TENANT
m() { "$MSASSET" --store "$image/store" -q "$@"; }

if ! grep -q '^ack init' "$acks"; then
    # Nothing was promised yet: it opens, or it can be made again.
    { m tenant ls || m init; } >/dev/null 2>&1 || exit 3
    exit 0
fi
m recover >&2 || exit 3
m fsck --deep --json >"$image/fsck.json" || { cat "$image/fsck.json" >&2; exit 2; }
m ls files --json >"$image/ls.json" || exit 3
python3 - "$acks" "$image/ls.json" "$("$MSASSET" hash /dev/null | cut -d' ' -f1)" <<'PY'
import json, sys
allowed = {}          # name -> roots it may have; None: not there
for line in open(sys.argv[1]):
    what, op, name, root = line.split()
    if op == "init":
        continue
    wanted = None if op == "rm" else root
    if what == "begin":
        allowed.setdefault(name, {None}).add(wanted)
    else:
        allowed[name] = {wanted}
empty = sys.argv[3]   # what msasset hash says of no bytes; a file that never had any tells no root
found = {a["path"].rsplit("/", 1)[1]: a["root"] or (empty if a["size_bytes"] == 0 else None)
         for a in json.load(open(sys.argv[2])) if "path" in a}
bad = {n: (sorted(map(str, ok)), found.get(n)) for n, ok in allowed.items() if found.get(n) not in ok}
bad.update({n: ("never put", r) for n, r in found.items() if n not in allowed})
if bad:
    print(bad, file=sys.stderr)
    sys.exit(1)
PY
