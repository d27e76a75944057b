# What a user meets when the object store or a disk is not as it should be: on Ceph's RGW, with the words that are said.
. "$(dirname "$0")/../fuse/lib.sh"
here=$(dirname "$0")
s3() { python3 "$here/plain_s3.py" "$@"; }

prefix=bad.$$
place="s3://$MS_CEPH_BUCKET/$prefix"
mnt=$work/mnt
head -c 300000 /dev/urandom >"$work/small.bin"
head -c 9000000 /dev/urandom >"$work/large.bin"

# ---- the proxy, which can be told what the store does, and can be away
mkfifo "$work/told"
start_proxy() { # [PORT]
    "$FAULT_PROXY" "${MS_CEPH_ENDPOINT#http://}" --listen "${1:-0}" >"$work/told" &
    proxy=$!
    read -r port <"$work/told"
}
stop_proxy() {
    kill -9 "$proxy"
    wait "$proxy" 2>/dev/null || true
}
script() { curl -sf -X PUT --data-binary "$1" "http://127.0.0.1:$port/-/script"; }
start_proxy

check "init" "$MSASSET" init -q --objects "$place?endpoint=http://127.0.0.1:$port"
check "a tenant" "$MSASSET" tenant add media -q --quota 5G
key_of() { # the newest object of that many bytes
    s3 ls "$prefix/" | awk -v n="$1" '$2 == n {print $1}' | tail -n 1
}

# ---- objects changed, cut or deleted behind our back
for name in changed cut gone whole; do
    check "put of $name" "$MSASSET" put -q "$work/small.bin" "files/$name.bin"
    printf '%s' "$name" >>"$work/small.bin" # another size: so that its object is found
done
sizes=($(stat -c %s "$work/small.bin"))
s3 get "$(key_of 300000)" "$work/object"
check "the object is the plain file" cmp "$work/object" <(head -c 300000 "$work/small.bin")
printf 'other' | dd of="$work/object" bs=1 seek=280000 conv=notrunc status=none
s3 put "$(key_of 300000)" "$work/object"
head -c 1000 "$work/object" >"$work/cut"
s3 put "$(key_of 300007)" "$work/cut"
s3 rm "$(key_of 300010)"
refuses "get of changed bytes" "block 1 .* is damaged in the store" "$MSASSET" get -f -q files/changed.bin "$work/got"
check "nothing is left of it" test ! -e "$work/got"
refuses "get of a cut object" "damaged in the store" "$MSASSET" get -f -q files/cut.bin "$work/got"
refuses "get of a deleted object" "not in the store|missing" "$MSASSET" get -f -q files/gone.bin "$work/got"
check "what nobody touched" "$MSASSET" get -f -q files/whole.bin "$work/got"
mount_on "$mnt"
for name in changed cut gone; do
    refuses "read of $name in a mount" "Input/output error" cat "$mnt/files/$name.bin"
done
check "its other blocks are served" cmp -n 262144 "$mnt/files/changed.bin" "$work/small.bin"
check "the mount goes on" cat "$mnt/files/whole.bin"
equals "fsck --store-list finds a cut, a missing and a replaced one" 3 \
    "$("$MSASSET" fsck --store-list --json 2>/dev/null | jq '.findings | length')"
equals "fsck --deep finds all three, and the block of the replaced one" 4 "$("$MSASSET" fsck --deep --json 2>/dev/null | jq '.findings | length')"
refuses "fsck says so" "block 1 .bytes 262144 to 299999. of object .* is damaged" "$MSASSET" fsck --deep
for name in changed cut gone; do check "rm of $name" rm "$mnt/files/$name.bin"; done

# ---- a store that is away
stop_proxy
refuses "put without a store" "object store" "$MSASSET" put -q "$work/small.bin" files/away.bin
refuses "get without a store" "object store" "$MSASSET" get -f -q files/whole.bin "$work/got"
refuses "cp without a store" "cp: .*(Input/output error|Connection)" cp "$work/small.bin" "$mnt/files/away.bin"
check "names and folders go on" mkdir "$mnt/files/made-meanwhile"
refuses "init without a store" "object store" env MSASSET_STORE="$work/other" "$MSASSET" init -q \
    --objects "$place-2?endpoint=http://127.0.0.1:$port"
mkdir "$work/mnt2"
refuses "mount without a store" "object store" "$MSASSET" mount media "$work/mnt2"
start_proxy "$port"
check "cp when it is back" cp "$work/small.bin" "$mnt/files/back.bin"
check "the same bytes" cmp "$work/small.bin" "$mnt/files/back.bin"

# ---- a store that is slow down, refuses, or is full
script 'PUT:*:slowdown'
refuses "put to a store that asks for patience" "SlowDown.*tries" "$MSASSET" put -q "$work/small.bin" files/slow.bin
refuses "as often as the setting says" "SlowDown.*\(2 tries" env MSASSET_RETRY_TRIES=2 \
    "$MSASSET" put -q "$work/small.bin" files/slow.bin
script 'PUT:*:refuse,MP_CREATE:*:refuse'
refuses "put that is denied" "AccessDenied" "$MSASSET" put -q "$work/small.bin" files/denied.bin
refuses "cp that is denied" "Input/output error" cp "$work/small.bin" "$mnt/files/denied.bin"
script 'PUT:*:error=507,MP_PUT:*:error=507'
refuses "put to a full store" "HTTP 507" "$MSASSET" put -q "$work/small.bin" files/full.bin
refuses "cp to a full store" "No space left on device" cp "$work/small.bin" "$mnt/files/full.bin"
refuses "cp of a large file to a full store" "No space left on device" cp "$work/large.bin" "$mnt/files/full-large.bin"
script ''
check "cp when there is room" cp "$work/large.bin" "$mnt/files/full-large.bin"
# close() said no, and the last close of the handle tried once more: the bytes stand there whole, or not at all.
for name in away slow denied full; do
    check "$name is whole or not there" sh -c 'test ! -e "$1" || cmp "$1" "$2"' - "$mnt/files/$name.bin" "$work/small.bin"
done
umount_from "$mnt"
store_is_settled

# ---- RGW's own quota
radosgw-admin -c "$MS_CEPH_CONF" user create --uid "full$$" --display-name full --access-key "full$$" --secret fullsecret \
    --max-buckets 10 >/dev/null
radosgw-admin -c "$MS_CEPH_CONF" quota set --quota-scope user --uid "full$$" --max-size 4M >/dev/null
radosgw-admin -c "$MS_CEPH_CONF" quota enable --quota-scope user --uid "full$$" >/dev/null
(
    export AWS_ACCESS_KEY_ID=full$$ AWS_SECRET_ACCESS_KEY=fullsecret MS_CEPH_BUCKET=full-$$ MSASSET_STORE=$work/full
    s3 make-bucket
    "$MSASSET" init -q --objects "s3://full-$$?endpoint=$MS_CEPH_ENDPOINT"
    "$MSASSET" tenant add media -q
    "$MSASSET" put -q "$work/small.bin" files/fits.bin
)
with_full() { env AWS_ACCESS_KEY_ID=full$$ AWS_SECRET_ACCESS_KEY=fullsecret MSASSET_STORE="$work/full" "$@"; }
head -c 5000000 "$work/large.bin" >"$work/middle.bin"
refuses "put over the store's quota" "QuotaExceeded" with_full "$MSASSET" put -q "$work/middle.bin" files/full.bin
refuses "put of a large file over it" "QuotaExceeded" with_full "$MSASSET" put -q "$work/large.bin" files/full2.bin
check "what fits is there" with_full "$MSASSET" get -f -q files/fits.bin "$work/got"

# ---- keys, bucket, clock
refuses "wrong secret" "SignatureDoesNotMatch" env AWS_SECRET_ACCESS_KEY=wrong "$MSASSET" get -f files/whole.bin "$work/got"
refuses "mount with a wrong key" "InvalidAccessKeyId" env AWS_ACCESS_KEY_ID=wrong "$MSASSET" mount media "$mnt"
refuses "no keys" "AWS_ACCESS_KEY_ID" env -u AWS_SECRET_ACCESS_KEY "$MSASSET" get -f files/whole.bin "$work/got"
refuses "missing bucket" "NoSuchBucket" env MSASSET_STORE="$work/none" \
    "$MSASSET" init -q --objects "s3://no-such-$$?endpoint=$MS_CEPH_ENDPOINT"
refuses "a prefix of another store" "belongs to another store" env MSASSET_STORE="$work/foreign" \
    "$MSASSET" init -q --objects "$place?endpoint=$MS_CEPH_ENDPOINT"
check "a clock that is 20 minutes off is made up for" env LD_PRELOAD="$CLOCK_OFF" \
    "$MSASSET" get -f files/whole.bin "$work/got"

# ---- bits that change on the way to the store: with a signed payload the store refuses them
script 'PUT:1:flip-request,MP_PUT:1-2:flip-request'
check "put of bytes that change" "$MSASSET" put -q "$work/small.bin" files/flip.bin
check "put of parts that change" "$MSASSET" put -q "$work/large.bin" files/flip-large.bin
check "get" "$MSASSET" get -f -q files/flip-large.bin "$work/got"
check "they were sent again" cmp "$work/large.bin" "$work/got"
# ... and unsigned, over plain http, nothing guards them: never wrong bytes, but an error (README.md)
script ''
export MSASSET_STORE=$work/unsigned
check "init unsigned" "$MSASSET" init -q --objects "$place-unsigned?endpoint=http://127.0.0.1:$port&payload=unsigned"
check "a tenant unsigned" "$MSASSET" tenant add -q media
script 'PUT:1:flip-request'
check "put is acknowledged" "$MSASSET" put -q "$work/small.bin" files/flip.bin
script ''
refuses "get is refused" "is damaged in the store" "$MSASSET" get -f -q files/flip.bin "$work/got-flip"
check "and gives no bytes" test ! -e "$work/got-flip"
refuses "fsck --deep names the block" "finding block: block [01] " "$MSASSET" fsck --deep
export MSASSET_STORE=$work/store

# ---- RGW completes an upload only by all of its parts: a file that became shorter, and one that grew after an fsync
mount_on "$mnt"
write_parts() { # NAME MIB STEP...: write so much, then truncate=MIB, fsync, write=MIB or kill=PID
    python3 - "$mnt/files/$1" "${@:2}" <<'PY'
import os, sys, time
fd = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT, 0o644)
def write(mib):
    for _ in range(mib):
        assert os.write(fd, os.urandom(1 << 20)) == 1 << 20
write(int(sys.argv[2]))
for step in sys.argv[3:]:
    what, _, n = step.partition("=")
    if what == "truncate":
        os.ftruncate(fd, int(n) << 20)
    elif what == "write":
        write(int(n))
    elif what == "fsync":
        os.fsync(fd)
    elif what == "settle":
        time.sleep(2)  # parts go out ahead of any call meanwhile
    else:
        os.kill(int(n), 9)
        os._exit(0)
os.close(fd)
PY
}
check "cut at the end of a part after an fsync" write_parts cut.bin 9 fsync truncate=8
check "cut without one" write_parts cut2.bin 41 settle truncate=9
equals "the size of what was cut" 9437184 "$(stat -c %s "$mnt/files/cut2.bin")"
pid=$(pid_of "$mnt")
check "grown after an fsync, and killed" write_parts grown.bin 9 fsync write=30 settle kill="$pid"
fusermount3 -uz "$mnt" 2>/dev/null || umount -l "$mnt"
wait_gone "$pid"
check "recover" "$MSASSET" recover -q
check "what was fsynced is there" "$MSASSET" get -f -q files/grown.bin "$work/got"
check "all of it" test "$(stat -c %s "$work/got")" -ge 9437184
store_is_settled

# ---- the disk of the journal is full: a large file is refused, and all is well again without it
mount -t tmpfs -o size=12m tmpfs "$MSASSET_STORE/journal"
unmount_journal() { umount -l "$MSASSET_STORE/journal" 2>/dev/null || true; }
# Much more than the memory that staged bytes stay in (content/stage.h).
for _ in $(seq 20); do cat "$work/large.bin"; done >"$work/huge.bin"
mount_on "$mnt"
refuses "cp of more than the journal's disk holds" "No space left on device" cp "$work/huge.bin" "$mnt/files/huge.bin"
refuses "put of as much" "[Nn]o (space|room)|full" "$MSASSET" put -q "$work/huge.bin" files/huge-put.bin
check "cp of less" cp "$work/large.bin" "$mnt/files/room.bin"
check "the same bytes" cmp "$work/large.bin" "$mnt/files/room.bin"
n=$(stat -c %s "$mnt/files/huge.bin")
check "what could be written of it stands there, as on any disk" cmp -n "$n" "$mnt/files/huge.bin" "$work/huge.bin"
check "nothing of the put" test ! -e "$mnt/files/huge-put.bin"
umount_from "$mnt"
unmount_journal
store_is_settled
equals "uploads left in the bucket" "" "$(s3 uploads "$prefix")"
