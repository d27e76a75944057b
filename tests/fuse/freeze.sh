# A freeze reaches readers that hold a handle and a mapping, with every page in the kernel, on two mounts; so does a
# freeze of the tenant as a whole. Times are printed, not judged.
. "$(dirname "$0")/lib.sh"

new_store
a=$work/a b=$work/b
mount_on "$a"
mount_on "$b"
head -c 3000000 /dev/urandom >"$work/bytes"
cp "$work/bytes" "$a/files/film.bin"
cp "$work/bytes" "$a/files/other.bin"
comes "the file is there on both" cmp "$work/bytes" "$b/files/film.bin"

# round NAME FREEZE UNFREEZE: readers on both mounts are cut off by the one command and let in again by the other.
round() {
    local gate=$work/gate.$1 reader
    "$FROZEN" "$gate" "$a/files/film.bin" "$b/files/film.bin" >"$work/times" 2>&1 &
    reader=$!
    comes "$1: both readers read" test -e "$gate"
    $2
    touch "$gate.frozen"
    comes "$1: handles and mappings are shut" grep -q "^$b.*mapping after" "$work/times"
    cat "$work/times"
    refuses "$1: an open" 'Permission denied' cat "$a/files/film.bin"
    refuses "$1: on the other" 'Permission denied' cat "$b/files/film.bin"
    refuses "$1: a write" 'Permission denied|not permitted' sh -c "echo x >>'$b/files/film.bin'"
    refuses "$1: a rename" 'not permitted' mv "$b/files/film.bin" "$b/files/y.bin"
    refuses "$1: a hard link" 'not permitted' ln "$a/files/film.bin" "$a/files/y.bin"
    refuses "$1: a chmod" 'not permitted' chmod 600 "$a/files/film.bin"
    check "$1: it can be seen" stat "$a/files/film.bin"
    $3
    touch "$gate.thawed"
    check "$1: the same handles read again" wait $reader
    check "$1: and so do others" cmp "$work/bytes" "$b/files/film.bin"
}

freeze() { "$MSASSET" freeze -q files/film.bin --reason-code C1 --reason "a complaint"; }
unfreeze() { "$MSASSET" unfreeze -q files/film.bin; }
freeze_tenant() { "$MSASSET" tenant freeze -q media --reason "a case"; }
unfreeze_tenant() { "$MSASSET" tenant unfreeze -q media; }
round asset freeze unfreeze
round tenant freeze_tenant unfreeze_tenant

# What is not frozen stays readable.
freeze
check "another file" cmp "$work/bytes" "$a/files/other.bin"
equals "the reason is an attribute" "a complaint" "$(getfattr --only-values -n user.msasset.reason "$b/files/film.bin" 2>/dev/null)"

# Deleted and taken out of the bin it is as frozen as before.
rm "$a/files/film.bin"
comes "it is in the bin" test -e "$b/.trash/files/film.bin"
refuses "read in the bin" 'Permission denied' cat "$b/.trash/files/film.bin"
mv "$a/.trash/files/film.bin" "$a/files/film.bin"
refuses "read after mv out of the bin" 'Permission denied' cat "$a/files/film.bin"
unfreeze
comes "readable again" cmp "$work/bytes" "$b/files/film.bin"
