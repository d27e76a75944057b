# Two mounts on one folder at once: see storms.py.
. "$(dirname "$0")/lib.sh"

new_store 20G
a=$work/a b=$work/b
mount_on "$a"
mount_on "$b"
check "storms" python3 "$(dirname "$0")/storms.py" "$a/files" "$b/files"
umount_from "$a"
umount_from "$b"
store_is_settled
