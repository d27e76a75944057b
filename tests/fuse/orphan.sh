# What is open and loses its name: read on until its last close, by its descriptor and by /proc/self/fd, unless the asset
# whose bytes it has may not be read: frozen before the unlink or in the bin, replaced by a rename, rejected by a review,
# purged while frozen. On the mount that unlinks and on another one.
. "$(dirname "$0")/lib.sh"

new_store
a=$work/a b=$work/b
mount_on "$a"
mount_on "$b"
head -c 300000 /dev/urandom >"$work/bytes"
for name in old aged; do cp "$work/bytes" "$a/files/$name.bin"; done
made=$SECONDS
old=$(id_of "$a/files/old.bin")
aged=$(id_of "$a/files/aged.bin")

# reads FD: through the descriptor, from the file's first byte. reopens FD: the same inode opened anew.
reads() { python3 -c 'import os, sys; sys.exit(len(os.pread(int(sys.argv[1]), 4096, 0)) != 4096)' "$1" 2>/dev/null; }
reopens() {
    python3 -c 'import os, sys
fd = os.open("/proc/self/fd/" + sys.argv[1], os.O_RDONLY)
sys.exit(len(os.pread(fd, 4096, 0)) != 4096)' "$1" 2>/dev/null
}
# shut TEXT: descriptor 7, of the mount that unlinks, and 8, of the other one; neither is let in again by a row that
# makes every open file be asked anew.
shut() {
    comes "$1: the descriptor is shut" eval '! reads 7'
    check "$1: and stays shut for an open of it" eval '! reopens 7'
    comes "$1: on the other mount" eval '! reads 8'
    check "$1: an open there" eval '! reopens 8'
    "$MSASSET" --tenant media bin set -q --retention "$2"
    sleep 0.5
    check "$1: asked anew" eval '! reads 7 && ! reopens 7'
    check "$1: asked anew there" eval '! reads 8 && ! reopens 8'
    exec 7<&- 8<&-
}
both_open() {
    comes "$1: there on both" cmp "$work/bytes" "$b/$1"
    exec 7<"$a/$1" 8<"$b/$1"
    check "$1: read" eval 'reads 7 && reads 8'
}

# young and readable: deleted for good, and read until the last close
cp "$work/bytes" "$a/files/young.bin"
exec 7<"$a/files/young.bin"
rm "$a/files/young.bin"
check "young: reads on" eval 'reads 7 && reopens 7'
check "young: every byte" cmp "$work/bytes" /proc/self/fd/7
exec 7<&-

# frozen, then unlinked
cp "$work/bytes" "$a/files/frozen.bin"
both_open files/frozen.bin
"$MSASSET" freeze -q files/frozen.bin --reason-code C1 --reason "a complaint"
rm "$a/files/frozen.bin"
shut "frozen and unlinked" 8d

# frozen, then another file is renamed over it
cp "$work/bytes" "$a/files/under.bin"
both_open files/under.bin
"$MSASSET" freeze -q files/under.bin --reason-code C1 --reason "a complaint"
echo new >"$a/files/over.bin"
mv "$a/files/over.bin" "$a/files/under.bin"
shut "frozen and replaced" 9d

# frozen while the bin is off
cp "$work/bytes" "$a/files/off.bin"
both_open files/off.bin
"$MSASSET" --tenant media bin set -q --retention 0
"$MSASSET" freeze -q files/off.bin --reason-code C1 --reason "a complaint"
rm "$a/files/off.bin"
shut "frozen and purged" 10d

# rejected by a review, then unlinked: purged, as it is young
"$MSASSET" --tenant media review set -q on
cp "$work/bytes" "$a/files/rejected.bin"
both_open files/rejected.bin
"$MSASSET" --tenant media review reject -q files/rejected.bin --reason "no"
rm "$a/files/rejected.bin"
shut "rejected and unlinked" 11d
"$MSASSET" --tenant media review set -q off

# another tenant's
"$MSASSET" tenant add studio -q
"$MSASSET" transfer allow -q media --any-type
cp "$work/bytes" "$a/files/sent.bin"
both_open files/sent.bin
job=$("$MSASSET" --tenant media transfer create files/sent.bin --to studio --json | jq -r .job_id)
check "accepted" "$MSASSET" -q --tenant studio transfer accept "$job"
shut "transferred" 12d

# old enough for the bin: read on, until it is frozen there
sleep $((62 - (SECONDS - made) > 0 ? 62 - (SECONDS - made) : 0))
both_open files/old.bin
rm "$a/files/old.bin"
check "in the bin: reads on" eval 'reads 7 && reopens 7'
check "in the bin: on the other mount" reads 8
"$MSASSET" --tenant media freeze -q "$old" --reason-code C1 --reason "a complaint"
check "frozen in the bin: at once" eval '! reads 7'
check "frozen in the bin: on the other mount at once" eval '! reads 8'
"$MSASSET" --tenant media unfreeze -q "$old"
comes "unfrozen in the bin: the same descriptor reads" eval 'reads 7 && reopens 7'
comes "unfrozen in the bin: on the other mount" reads 8
"$MSASSET" --tenant media freeze -q "$old" --reason-code C1 --reason "a complaint"
shut "frozen in the bin" 13d

# ... and purged from there while readable: until the last close
exec 7<"$a/files/aged.bin"
rm "$a/files/aged.bin"
"$MSASSET" --tenant media purge -q "$aged" --yes
"$MSASSET" --tenant media bin set -q --retention 14d
sleep 0.5
check "purged while readable: reads on" eval 'reads 7 && reopens 7'
exec 7<&-
check "fsck finds nothing" "$MSASSET" fsck
