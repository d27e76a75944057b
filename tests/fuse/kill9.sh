# kill -9 of the mount at random points while three writers copy files: what was acknowledged is there, whole; nothing
# else is half there; the store is whole at once, and settled after recover and gc.
#
#   kill9.sh [ROUNDS] [OPTION]      default 8; the long campaign asks for 200; OPTION goes to mount -o: "writeback"
#
# Over the Ceph of tests/support/ceph.sh when that says where it is; then nothing unfinished may be left in the bucket.
. "$(dirname "$0")/lib.sh"

rounds=${1:-8}
options=(${2:+-o "$2"})
mnt=$work/mnt
prefix=kill9.$$
if [ -n "${MS_CEPH_ENDPOINT:-}" ]; then
    export MSASSET_OBJECT_URL="s3://$MS_CEPH_BUCKET/$prefix?endpoint=$MS_CEPH_ENDPOINT"
fi
new_store 20G
mkdir -p "$work/src" "$work/acked"
sizes=(0 1 4095 70000 300000 1000000 9000000)
for i in "${!sizes[@]}"; do head -c "${sizes[i]}" /dev/urandom >"$work/src/$i"; done
for i in "${!sizes[@]}"; do "$MSASSET" hash "$work/src/$i" | cut -d' ' -f1 >"$work/src/$i.root"; done

# One writer: copies until the mount dies; a name goes to its list once its cp (or dd with fsync) has succeeded.
writer() { # ROUND NUMBER
    local n=0 k name
    while :; do
        k=$((RANDOM % ${#sizes[@]})) name=r$1-w$2-$n-$k.bin
        if ((n % 5 == 4)); then
            dd if="$work/src/$k" of="$mnt/files/$name" bs=64k conv=fsync status=none 2>/dev/null || return 0
        else
            cp "$work/src/$k" "$mnt/files/$name" 2>/dev/null || return 0
        fi
        echo "$name $k" >>"$work/acked/$1.$2"
        n=$((n + 1))
    done
}

# What round R acknowledged: names and bytes, by the root hash that the store keeps and by reading some.
verify() { # ROUND
    local name k wrong=0 files=0
    cat "$work/acked/$1".* 2>/dev/null >"$work/list" || true
    "$MSASSET" ls files -l --json | jq -r '.[] | select(.path) | [(.path | split("/")[-1]), .asset_state, .root // "-"] | @tsv' |
        sort >"$work/listing"
    while read -r name k; do
        files=$((files + 1))
        local want="$name	ACTIVED	$(cat "$work/src/$k.root")"
        [ "$k" = 0 ] && want="$name	ACTIVED"
        grep -qF "$want" "$work/listing" || {
            echo "lost or wrong: $name, wanted $want, found: $(grep -F "$name" "$work/listing" || echo nothing)"
            wrong=$((wrong + 1))
        }
    done <"$work/list"
    # The last ones are where a kill bites: their bytes are read.
    for name in $(tail -qn 2 "$work/acked/$1".* 2>/dev/null | cut -d' ' -f1); do
        k=${name##*-} k=${k%.bin}
        "$MSASSET" get -f -q "files/$name" "$work/got" && cmp -s "$work/got" "$work/src/$k" || {
            echo "bytes of $name are not what was acknowledged"
            wrong=$((wrong + 1))
        }
    done
    acked=$((acked + files))
    equals "round $1: acknowledged files that are lost or wrong" 0 "$wrong"
}

acked=0
for ((round = 1; round <= rounds; round++)); do
    mount_on "$mnt" "${options[@]}"
    pid=$(pid_of "$mnt")
    for w in 1 2 3; do writer "$round" "$w" & done
    sleep "0.$((RANDOM % 9))$((RANDOM % 10))"
    kill -9 "$pid"
    wait
    fusermount3 -uz "$mnt" 2>/dev/null || umount -l "$mnt"
    wait_gone "$pid"
    store_is_whole
    verify "$round"
    # Room for the next rounds: what was verified may go.
    if ((round % 10 == 0)); then
        store_is_settled
        "$MSASSET" rm -q -r -f -y files/ >/dev/null 2>&1 || true
        "$MSASSET" gc -q --grace 0s
    fi
done
echo "$rounds kills, $acked files acknowledged"
[ "$acked" -gt 0 ] || {
    echo "nothing was acknowledged: this run proves nothing"
    exit 1
}
store_is_settled
if [ -n "${MS_CEPH_ENDPOINT:-}" ]; then
    plain_s3=$(dirname "$0")/../fault/plain_s3.py
    equals "uploads left in the bucket" "" "$(python3 "$plain_s3" uploads "$prefix/")"
    "$MSASSET" rm -q -r -f -y files/ >/dev/null 2>&1 || true
    "$MSASSET" purge --all -q -y >/dev/null
    "$MSASSET" gc -q --grace 0s
    python3 "$plain_s3" ls "$prefix/" | grep -vE "^$prefix/\.(msasset-store|catalogue)" >"$work/left" || true
    equals "objects left in the bucket" "" "$(cat "$work/left")"
fi
