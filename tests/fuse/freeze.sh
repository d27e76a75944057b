# A freeze reaches readers that hold a handle and a mapping, with every page in the kernel, on two mounts; so does a
# freeze of the tenant as a whole. When the command has returned, nobody reads any longer; a mount that does not answer
# for 2 s is named. Times are printed, not judged.
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
    touch "$gate.begun"
    check "$1: the command" $2
    cp "$work/check.out" "$work/said"
    touch "$gate.frozen"
    check "$1: it says how long that took" grep -E 'No mount of this host reads it any longer \([0-9]+ ms\)' "$work/said"
    check "$1: nobody is late" eval '! grep warning "$work/said"'
    cat "$work/said"
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

freeze() { "$MSASSET" freeze files/film.bin --reason-code C1 --reason "a complaint"; }
unfreeze() { "$MSASSET" unfreeze -q files/film.bin; }
freeze_tenant() { "$MSASSET" tenant freeze media --reason "a case"; }
unfreeze_tenant() { "$MSASSET" tenant unfreeze -q media; }
round asset freeze unfreeze
round tenant freeze_tenant unfreeze_tenant

# A mount that is stopped cannot drop what the kernel has: the command says so after 2 s, and the other mount is shut by
# then. When it goes on, its readers are shut too.
late() {
    local one=$work/gate.here.$1 two=$work/gate.late.$1 pid here stopped took
    pid=$(pid_of "$b")
    "$FROZEN" "$one" "$a/files/film.bin" >"$work/times" 2>&1 &
    here=$!
    "$FROZEN" "$two" "$b/files/film.bin" >"$work/late.times" 2>&1 &
    stopped=$!
    comes "late: the reader here reads" test -e "$one"
    comes "late: the reader there reads" test -e "$two"
    kill -STOP "$pid"
    touch "$one.begun" "$two.begun"
    took=$(date +%s%3N)
    $1 >"$work/said" 2>"$work/warned"
    took=$(($(date +%s%3N) - took))
    touch "$one.frozen"
    comes "late: here nobody reads" grep -q "^$a.*mapping after" "$work/times"
    check "late: the command waited for 2 s" [ "$took" -ge 2000 ]
    check "late: the mount is named" grep -F "the mount on $b (pid $pid) has not answered for 2 s" "$work/warned"
    equals "late: and no other" 1 "$(grep -c warning "$work/warned")"
    check "late: nothing else is claimed" eval '! grep "reads it any longer" "$work/said"'
    equals "late: there the kernel has the pages yet" "" "$(cat "$work/late.times")"
    kill -CONT "$pid"
    comes "late: shut there when it goes on" grep -q "^$b.*mapping after" "$work/late.times"
    echo "one mount stopped: the command took $took ms; $(sed 's/^.*: //' "$work/times") on the other"
    touch "$two.frozen"
    $2
    touch "$one.thawed" "$two.thawed"
    check "late: reads again here" wait $here
    check "late: and there" wait $stopped
}
late freeze unfreeze
late freeze_tenant unfreeze_tenant

# As numbers, for programs.
"$MSASSET" tenant freeze media --reason "a case" --json >"$work/frozen.json"
check "JSON: nobody is late" jq -e '.frozen and .late_mounts == [] and .mounts_ms >= 0' "$work/frozen.json"
unfreeze_tenant

# A mount that was ended is waited for no longer.
mkdir "$work/c"
mount_on "$work/c"
umount_from "$work/c"
kill_mount "$b"
freeze >"$work/said" 2>&1
check "dead mounts are not waited for" eval '! grep warning "$work/said"'
unfreeze
mount_on "$b"

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
