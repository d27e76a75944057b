#!/bin/bash
# stack_run.sh DIR ROUNDS: the whole program as the workload: metadata, objects, journal. Before an operation its intention is
# marked, after it its success: "begin put NAME ROOT" ... "ack put NAME ROOT", and the same with rm.
set -eu
dir=$1 rounds=$2
unset MSASSET_STORE MSASSET_TENANT
mark=$MS_BINARY_DIR/tests/crash/crash_mark
src=$(mktemp -d)
trap 'rm -rf "$src"' EXIT
m() { "$MSASSET" --store "$dir/store" -q "$@" >&2; }

m init
m tenant add media
"$mark" ack init - -
sizes=(0 1 511 4096 70000 300001 9000000)
for ((i = 0; i < rounds; i++)); do
    size=${sizes[i % ${#sizes[@]}]}
    head -c "$size" /dev/urandom >"$src/f"
    root=$("$MSASSET" hash "$src/f" | cut -d' ' -f1)
    name=f$((i % 9)).bin
    "$mark" begin put "$name" "$root"
    m put --replace "$src/f" "files/$name"
    "$mark" ack put "$name" "$root"
    if ((i % 5 == 4)); then
        name=f$(((i + 3) % 9)).bin
        "$mark" begin rm "$name" -
        m rm -f -y "files/$name" 2>/dev/null || true
        "$mark" ack rm "$name" -
    fi
    if ((i % 6 == 5)); then
        m gc --grace 0s
    fi
done
