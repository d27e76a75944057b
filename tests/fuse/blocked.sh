# Files that hang in close() because the store does not answer stand in nobody's way: names and attributes go on.
# Needs a build with MS_TESTING: the store is held by MS_TEST_FAULTS.
#
#   blocked.sh [FILES...]  default 12 40
. "$(dirname "$0")/lib.sh"

new_store 20G
mnt=$work/mnt gate=$work/gate
MS_TEST_FAULTS="PUT:*:hold=$gate,MP_PUT:*:hold=$gate" mount_on "$mnt"
[ $# -gt 0 ] || set -- 12 40
for files; do
    dir=$mnt/with$files
    mkdir "$dir"
    touch "$dir"/there{0..99}
    # Names that the kernel has not asked for: each stat is a request.
    umount_from "$mnt"
    MS_TEST_FAULTS="PUT:*:hold=$gate,MP_PUT:*:hold=$gate" mount_on "$mnt"
    touch "$gate"
    check "with $files files in close()" "$BLOCKED" "$dir" "$gate" "$files" 100
    cat "$work/check.out"
done
umount_from "$mnt"
store_is_settled
