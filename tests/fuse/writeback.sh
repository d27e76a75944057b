# A mount with -o writeback: acknowledged from the local disk while the store is away, killed, mounted again; in the
# end every byte is in the store, once, and nothing is left over.
#
#   writeback.sh           objects in the store's own folder; "away" is that another process holds the mover's lock
#   writeback.sh s3        on Ceph's RGW (ceph.sh), behind a forwarder that is ended and started again
. "$(dirname "$0")/lib.sh"

mode=${1:-dir}
mnt=$work/mnt
away=""

forward() { # PORT HOST PORT: a TCP forwarder, until it is killed
    exec python3 - "$@" <<'PY'
import socket, sys, threading
listen, host, port = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
def pump(a, b):
    try:
        while data := a.recv(1 << 16):
            b.sendall(data)
    except OSError:
        pass
    for s in (a, b):
        try: s.shutdown(socket.SHUT_RDWR)
        except OSError: pass
server = socket.socket()
server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
server.bind(("127.0.0.1", listen))
server.listen(64)
while True:
    client, _ = server.accept()
    try:
        inner = socket.create_connection((host, port))
    except OSError:
        client.close()
        continue
    for pair in ((client, inner), (inner, client)):
        threading.Thread(target=pump, args=pair, daemon=True).start()
PY
}

store_goes() {
    if [ "$mode" = dir ]; then
        flock "$MSASSET_STORE/writeback/.mover" sleep 1000 &
        away=$!
        comes "the lock is held" sh -c "! flock -n '$MSASSET_STORE/writeback/.mover' true"
    else
        kill "$forwarder"
        wait "$forwarder" 2>/dev/null || true
    fi
}
store_comes() {
    if [ "$mode" = dir ]; then
        pkill -P "$away" || true
        kill "$away" 2>/dev/null || true
        wait "$away" 2>/dev/null || true
    else
        forward "$port" "$host" "$rgw_port" &
        forwarder=$!
        comes "the forwarder answers" curl -s -o /dev/null "http://127.0.0.1:$port/"
    fi
}

if [ "$mode" = dir ]; then
    new_store 20G
    mkdir -p "$MSASSET_STORE/writeback"
else
    host=${MS_CEPH_ENDPOINT#http://} rgw_port=${host##*:} host=${host%:*}
    port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    store_comes
    "$MSASSET" init -q --objects "s3://$MS_CEPH_BUCKET/writeback.$$?endpoint=http://127.0.0.1:$port"
    "$MSASSET" tenant add media -q --quota 20G
fi

pending() { "$MSASSET" pending --json | jq -r ".$1"; }
none_pending() { [ "$(pending files)" = 0 ]; }

make_media "$work/media" 3
head -c 20000000 /dev/urandom >"$work/media/long.bin"
for i in $(seq 40); do head -c $((100000 + i)) /dev/urandom >"$work/media/small$i.bin"; done
total=$(ls "$work/media" | wc -l)

if [ "$mode" = dir ]; then store_goes; fi
mount_on "$mnt" -o writeback
if [ "$mode" != dir ]; then store_goes; fi
where() { # FILE: its path in the tree
    case $1 in
    *.bin) echo "files/${1##*/}" ;;
    *) echo "$(folder_of "$1")/${1##*/}" ;;
    esac
}
for f in "$work"/media/*; do check "cp of ${f##*/} while the store is away" cp "$f" "$mnt/$(where "$f")"; done
equals "pending" "$total" "$(pending files)"
equals "pending bytes" "$(cat "$work"/media/* | wc -c)" "$(pending bytes)"
equals "state of a pending file" ACTIVED "$(state_of "$mnt/files/long.bin")"
bytes_of() { getfattr --only-values -n user.msasset.bytes "$1" 2>/dev/null; }
equals "where its bytes are" LOCAL "$(bytes_of "$mnt/files/long.bin")"
equals "pending.json counts it" "$total" "$(jq .uploads.files "$mnt/.msasset/pending.json")"
equals "pending.json names it" 1 "$(jq '[.uploads.list[] | select(.path == "/files/long.bin")] | length' "$mnt/.msasset/pending.json")"
for f in "$work"/media/*; do check "cmp of ${f##*/} before it is uploaded" cmp "$f" "$mnt/$(where "$f")"; done

# Deleted and overwritten before the upload; an fsync that no close follows.
rm "$mnt/files/small1.bin" "$work/media/small1.bin"
head -c 5000 /dev/urandom >"$work/media/small2.bin"
check "overwrite" cp "$work/media/small2.bin" "$mnt/files/small2.bin"
head -c 9000000 /dev/urandom >"$work/synced.bin"
python3 - "$work/synced.bin" "$mnt/files/synced.bin" "$work/is-synced" <<'PY' &
import os, sys, time
fd = os.open(sys.argv[2], os.O_WRONLY | os.O_CREAT)
os.write(fd, open(sys.argv[1], "rb").read())
os.fsync(fd)
open(sys.argv[3], "w").close()
time.sleep(1000)
PY
open=$!
comes "the fsync returns" test -e "$work/is-synced"
kill_mount "$mnt"
kill "$open"
wait "$open" 2>/dev/null || true
store_is_whole_offline() {
    if [ "$mode" = dir ]; then store_is_whole; fi
}
store_is_whole_offline

check "a mount while the store is away" "$MSASSET" mount media "$mnt" -o writeback
mounts+=("$mnt")
for f in "$work"/media/*.bin; do
    check "cmp of ${f##*/} after the kill" cmp "$f" "$mnt/$(where "$f")"
done
equals "pending after the kill" "$((total - 1))" "$(pending files)"
umount_from "$mnt"
check "put --writeback" "$MSASSET" put --writeback "$work/media/film.mp4" videos/again.mp4
equals "pending after put" "$total" "$(pending files)"

store_comes
mount_on "$mnt"
comes "nothing is pending any more" none_pending
"$MSASSET" recover -q
check "the fsynced file is there" cmp "$work/synced.bin" "$mnt/files/synced.bin"
umount_from "$mnt"
mount_on "$mnt"
drop_caches
for f in "$work"/media/*; do check "cmp of ${f##*/} from the store" cmp "$f" "$mnt/$(where "$f")"; done
equals "where its bytes are now" STORED "$(bytes_of "$mnt/files/long.bin")"
check "put is there" cmp "$work/media/film.mp4" "$mnt/videos/again.mp4"
umount_from "$mnt"
check "fsck with every byte" "$MSASSET" fsck --deep
store_is_settled
equals "files left in the folder" 0 "$(find "$MSASSET_STORE/writeback" -name '[0-9a-f]*' | wc -l)"
