# Random operations on files against models: on one mount, and each file alternating between two.
#
#   fsx.sh [SECONDS]       default 10; the seeds are printed
. "$(dirname "$0")/lib.sh"

seconds=${1:-10}
new_store 20G
a=$work/a b=$work/b
mount_on "$a"
mount_on "$b"
declare -A runs
start() { # NAME BYTES PATHS...
    local name=$1 bytes=$2
    shift 2
    "$FSX" -t "$seconds" -m "$bytes" "$@" >"$work/$name.out" 2>&1 &
    runs[$name]=$!
}
# One block, several blocks, several parts of an upload (the first ones have 8 MiB).
start "one block" 200000 "$a/files/small.bin"
start "blocks" 3000000 "$a/files/blocks.bin"
start "parts" 40000000 "$b/files/parts.bin"
start "one block on two mounts" 200000 "$a/files/small2.bin" "$b/files/small2.bin"
start "blocks on two mounts" 3000000 "$a/files/blocks2.bin" "$b/files/blocks2.bin"
for name in "${!runs[@]}"; do
    check "$name" wait "${runs[$name]}"
    cat "$work/$name.out"
done
umount_from "$a"
umount_from "$b"
store_is_settled
