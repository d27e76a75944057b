# A store of more than a thousand objects on Ceph's RGW is lost; the bucket alone brings it back. And what killed mounts
# leave in the bucket is found by gc.
. "$(dirname "$0")/lib.sh"

n=${1:-1050}
url="s3://$MS_CEPH_BUCKET/rebuild.$$?endpoint=$MS_CEPH_ENDPOINT"
check "init on S3" "$MSASSET" init -q --objects "$url"
check "a tenant" "$MSASSET" tenant add media -q --quota 5G
mnt=$work/mnt
mount_on "$mnt"

# A tree with its modes, links, attributes, names that are not ASCII.
mkdir "$mnt/files/deep" "$mnt/files/deep/größe" && chmod 2750 "$mnt/files/deep"
python3 - "$mnt/files" "$n" <<'PY'
import os, sys
from concurrent.futures import ThreadPoolExecutor
root, n = sys.argv[1], int(sys.argv[2])
for d in range(n // 100 + 1):
    os.mkdir(f"{root}/d{d}")
def one(i):
    with open(f"{root}/d{i // 100}/f{i}.bin", "wb") as f:
        f.write(b"file %d\n" % i * (i % 700 + 1))
with ThreadPoolExecutor(16) as pool:
    list(pool.map(one, range(n)))
PY
head -c 20000000 /dev/urandom >"$mnt/files/deep/long.bin"
cp "$mnt/files/d0/f5.bin" "$mnt/files/deep/größe/ünï.bin"
ln "$mnt/files/d0/f1.bin" "$mnt/files/deep/hard.bin"
ln -s ../d0/f2.bin "$mnt/files/deep/soft"
chmod 604 "$mnt/files/d0/f3.bin"
touch -d 2001-02-03T04:05:06Z "$mnt/files/d0/f4.bin"
setfattr -n user.colour -v blue "$mnt/files/d0/f6.bin"
setfattr -n user.msasset.tags -v one,two "$mnt/files/d0/f7.bin"

tree() { # FOLDER: every name with what it is, and the hash of its bytes
    (cd "$1" && find . -path ./.trash -prune -o -path ./.msasset -prune -o -printf '%p %y %m %U:%G %n %s %T@ %l\n' |
        LC_ALL=C sort)
    (cd "$1" && find . -path ./.trash -prune -o -path ./.msasset -prune -o -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum)
    (cd "$1" && find . -path ./.trash -prune -o -path ./.msasset -prune -o -type f -print0 | LC_ALL=C sort -z |
        xargs -0 getfattr --absolute-names -d -m user.)
}
tree "$mnt" >"$work/was"
umount_from "$mnt"
check "flush" "$MSASSET" catalogue flush

check "rebuild" "$MSASSET" rebuild --from "$url" "$work/again"
mv "$work/again" "$work/again.kept"
export MSASSET_STORE=$work/again.kept
check "fsck of the rebuilt store" "$MSASSET" fsck --deep
mount_on "$mnt"
tree "$mnt" >"$work/is"
check "the trees are the same" cmp "$work/was" "$work/is"
echo "compared $(wc -l <"$work/was") lines of $(find "$mnt/files" -type f | wc -l) files"

umount_from "$mnt"

# What a killed mount leaves: an upload of several parts under way. recover and gc leave nothing of it.
mount_on "$mnt"
(head -c 60000000 /dev/zero; exec sleep 60) >"$mnt/files/never.bin" 2>"$work/never.err" &
writer=$!
waited=0
uploads() { python3 "$MS_SOURCE_DIR/tests/support/s3_keys.py" uploads "rebuild.$$/"; }
until uploads | grep -q UploadId || [ $((waited += 1)) -gt 300 ]; do
    sleep 0.2
done
check "an upload is under way" eval "uploads | grep -q UploadId"
kill_mount "$mnt"
kill "$writer" 2>/dev/null || true
"$MSASSET" recover -q
"$MSASSET" gc --grace 0s --json >"$work/gc.json"
jq -c . "$work/gc.json"
store_is_settled
equals "nothing is left of it" "" "$(uploads)"

# Without the catalogue: birth facts only. The bytes are all there, in the type folders.
python3 "$MS_SOURCE_DIR/tests/support/s3_keys.py" list "rebuild.$$/.catalogue/" >"$work/segments"
check "there are segments" test -s "$work/segments"
python3 "$MS_SOURCE_DIR/tests/support/s3_keys.py" delete "rebuild.$$/.catalogue/"
"$MSASSET" rebuild --json --from "$url" "$work/birth" >"$work/birth.json"
export MSASSET_STORE=$work/birth
check "fsck of it" "$MSASSET" fsck --deep
objects=$(python3 "$MS_SOURCE_DIR/tests/support/s3_keys.py" list "rebuild.$$/" | grep -c '/[0-9a-f]\{32\}\.[0-9]*\.')
equals "every object is a file" "$objects" "$(jq .files "$work/birth.json")"
jq -c 'del(.notes)' "$work/birth.json"
check "mount of it" "$MSASSET" mount "$("$MSASSET" tenant ls | grep -o 'tenant-[0-9a-f]\{8\}' | head -n 1)" "$mnt"
find "$mnt" -path "$mnt/.*" -prune -o -type f -print0 | xargs -0 sha256sum | cut -d' ' -f1 | LC_ALL=C sort >"$work/birth.sums"
grep -a '^[0-9a-f]\{64\} ' "$work/was" | grep -av ' ./files/deep/hard.bin$' | cut -d' ' -f1 | LC_ALL=C sort >"$work/was.sums"
check "the bytes are the same" cmp "$work/was.sums" "$work/birth.sums"
diff "$work/was.sums" "$work/birth.sums" | head -n 5 || true
"$MSASSET" umount "$mnt"
