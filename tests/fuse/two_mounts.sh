# What one mount changes the other sees, without waiting for a timeout; old handles keep old bytes.
. "$(dirname "$0")/lib.sh"

new_store
a=$work/a b=$work/b
mount_on "$a"
mount_on "$b"

has() { [ "$(cat "$1" 2>/dev/null)" = "$2" ]; }
gone() { ! [ -e "$1" ]; }
mode_is() { [ "$(stat -c %a "$1")" = "$2" ]; }

check "absent there too" gone "$b/files/one"
echo first >"$a/files/one"
comes "a new file" has "$b/files/one" first
exec 5<"$b/files/one"
echo second version >"$a/files/one"
comes "new bytes" has "$b/files/one" "second version"
equals "an old handle keeps the old bytes" first "$(cat <&5)"
exec 5<&-
echo third >>"$b/files/one"
comes "an append" has "$a/files/one" "$(printf 'second version\nthird')"
stat "$b/files/one" >/dev/null
chmod 600 "$a/files/one"
comes "a mode" mode_is "$b/files/one" 600
mv "$a/files/one" "$a/files/two"
comes "the new name" has "$b/files/two" "$(printf 'second version\nthird')"
comes "the old name is gone" gone "$b/files/one"
rm "$b/files/two"
comes "a removal" gone "$a/files/two"
mkdir "$a/folder"
comes "a folder" test -d "$b/folder"
rmdir "$b/folder"
comes "a folder's removal" gone "$a/folder"
echo by command >"$work/c.txt"
"$MSASSET" put -q "$work/c.txt" files/c.txt
comes "a put, on the first mount" has "$a/files/c.txt" "by command"
comes "a put, on the second" has "$b/files/c.txt" "by command"
"$MSASSET" rm -q files/c.txt
comes "a command's rm" gone "$a/files/c.txt"
"$MSASSET" restore -q files/c.txt
comes "a restore" has "$b/files/c.txt" "by command"

# Two spellings, one name; the other mount must not keep a negative entry of either.
nfc=$(printf 'caf\303\251') nfd=$(printf 'cafe\314\201')
check "absent" gone "$b/files/$nfd"
echo x >"$a/files/$nfc"
comes "the other spelling names it too" has "$b/files/$nfd" x
rm "$a/files/$nfd"
comes "gone under both" gone "$b/files/$nfc"

# Never a mix: one mount overwrites with blocks of one letter, the other reads whole files.
head -c 3000000 /dev/zero | tr '\0' A >"$work/A"
head -c 2500000 /dev/zero | tr '\0' B >"$work/B"
cp "$work/A" "$a/files/mix"
(for i in $(seq 15); do cp "$work/B" "$a/files/mix" && cp "$work/A" "$a/files/mix"; done) &
writer=$!
mixed=0 reads=0
while kill -0 $writer 2>/dev/null; do
    # One open file is one version: all of one letter, and nothing else.
    cat "$b/files/mix" >"$work/seen"
    cmp -s "$work/seen" "$work/A" || cmp -s "$work/seen" "$work/B" || mixed=$((mixed + 1))
    reads=$((reads + 1))
done
wait $writer
equals "mixed reads (of $reads)" 0 "$mixed"
umount_from "$a"
umount_from "$b"
store_is_settled
