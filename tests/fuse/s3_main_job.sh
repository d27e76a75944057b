# The main job on a real S3 store, Ceph's RGW: init, put, cp, remount, get, patch, delete, gc; nothing may be left over.
. "$(dirname "$0")/lib.sh"

url="s3://$MS_CEPH_BUCKET/main-job.$$?endpoint=$MS_CEPH_ENDPOINT"
check "init on S3" "$MSASSET" init -q --objects "$url"
check "a tenant" "$MSASSET" tenant add media -q --quota 5G
mnt=$work/mnt
mount_on "$mnt"
make_media "$work/media" 4
# Large enough for several parts.
head -c 20000000 /dev/urandom >"$work/media/long.bin"

for f in "$work"/media/*; do
    name=$(basename "$f") folder=$(folder_of "$f")
    [ "$name" != long.bin ] || folder=files
    check "cp of $name" cp "$f" "$mnt/$folder/$name"
    equals "root of $name" "$("$MSASSET" hash "$f" | cut -d' ' -f1)" "$(root_of "$mnt/$folder/$name")"
    check "put of $name" "$MSASSET" put "$f" "$folder/put-$name"
done
umount_from "$mnt"
mount_on "$mnt"
drop_caches
for f in "$work"/media/*; do
    name=$(basename "$f") folder=$(folder_of "$f")
    [ "$name" != long.bin ] || folder=files
    check "cmp of $name" cmp "$f" "$mnt/$folder/$name"
    check "cmp of put-$name" cmp "$f" "$mnt/$folder/put-$name"
    check "get of $name" "$MSASSET" get -f -q "$folder/$name" "$work/got"
    check "get is the same as $name" cmp "$f" "$work/got"
done

# A sealed file that spans parts is patched in the middle.
cp "$work/media/long.bin" "$work/patched"
for file in "$work/patched" "$mnt/files/long.bin"; do
    check "patch of $file" dd if="$work/media/film.mp4" of="$file" bs=1000 count=3 seek=9000 conv=notrunc status=none
done
drop_caches
check "the patch is the same" cmp "$work/patched" "$mnt/files/long.bin"
check "fsck with every byte" "$MSASSET" fsck --deep

# The store belongs to us, and says so.
refuses "another store at the same place" "belongs to another store" \
    env MSASSET_STORE="$work/other" "$MSASSET" init -q --objects "$url"
refuses "wrong keys" "InvalidAccessKeyId|SignatureDoesNotMatch" \
    env AWS_SECRET_ACCESS_KEY=wrong MSASSET_STORE="$work/other2" "$MSASSET" init -q --objects "$url"
refuses "no bucket" "NoSuchBucket" env MSASSET_STORE="$work/other3" \
    "$MSASSET" init -q --objects "s3://no-such-bucket?endpoint=$MS_CEPH_ENDPOINT"
refuses "no keys" "AWS_ACCESS_KEY_ID" env -u AWS_ACCESS_KEY_ID MSASSET_STORE="$work/other4" \
    "$MSASSET" init -q --objects "$url"

for f in "$mnt"/*/*; do if [ -f "$f" ]; then rm "$f"; fi; done
umount_from "$mnt"
store_is_settled
