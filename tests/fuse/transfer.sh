# An asset that changes hands while both tenants are mounted, and the sender has it open.
. "$(dirname "$0")/lib.sh"

new_store
"$MSASSET" tenant add studio -q
"$MSASSET" transfer allow -q media --any-type
a=$work/a b=$work/b
mount_on "$a"
mkdir -p "$b"
"$MSASSET" mount studio "$b"
mounts+=("$b")
head -c 300000 /dev/urandom >"$work/bytes"
cp "$work/bytes" "$a/files/film.bin"
cp "$work/bytes" "$b/files/film.bin"
check "both have one of that name" cmp "$a/files/film.bin" "$b/files/film.bin"
exec 7<"$a/files/film.bin"
job=$("$MSASSET" --tenant media transfer create files/film.bin --to studio --json | jq -r .job_id)
check "the sender has it until then" cmp "$work/bytes" "$a/files/film.bin"
check "accepted" "$MSASSET" --tenant studio transfer accept "$job"
comes "gone at the sender" sh -c "! test -e '$a/files/film.bin'"
comes "there at the receiver, beside its own" cmp "$work/bytes" "$b/files/film (2).bin"
comes "the sender's open file is shut" sh -c '! cat <&7 >/dev/null 2>&1'
exec 7<&-
check "the receiver may write it" sh -c "echo more >>'$b/files/film (2).bin'"
equals "and has what it wrote" 300005 "$(stat -c %s "$b/files/film (2).bin")"
"$MSASSET" umount "$b"
check "fsck finds nothing" "$MSASSET" fsck
