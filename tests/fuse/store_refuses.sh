# What the object store refuses is EIO for the program that reads or closes, and a line of the log for whoever runs the
# mount: never "Permission denied", as of a frozen file, and never EAGAIN. Needs a build with MS_TESTING.
. "$(dirname "$0")/lib.sh"

new_store 1G
mnt=$work/mnt
mkdir "$mnt"
mounts+=("$mnt")
head -c 3000 /dev/urandom >"$work/bytes"
"$MSASSET" put -q "$work/bytes" files/there.bin

for code in DENIED CONFIG THROTTLED UNSUPPORTED; do
    MSASSET_RETRY_TRIES=1 MS_TEST_FAULTS="GET:2+:fail-before=$code,PUT:*:fail-before=$code" \
        "$MSASSET" mount media "$mnt" -f 2>"$work/log" &
    comes "a mount whose store says $code" mountpoint -q "$mnt"
    refuses "a read of it" "Input/output error" cat "$mnt/files/there.bin"
    check "is logged" grep -E "error read .*code=$code" "$work/log"
    refuses "a write ends so at its close" "Input/output error" dd if="$work/bytes" of="$mnt/files/$code.bin" status=none
    check "which is logged" grep -E "error flush .*code=$code" "$work/log"
    umount_from "$mnt"
    wait
done
