# A new MAIN of a finished asset that waits for review: two mounts of its owner and the command show the held bytes and
# their size, whoever goes by the asset (a copy) gets the old ones; a verdict changes what is shown at once.
. "$(dirname "$0")/lib.sh"

new_store
a=$work/a b=$work/b
mount_on "$a"
mount_on "$b"
head -c 300000 /dev/urandom >"$work/old"
head -c 500000 /dev/urandom >"$work/new"
head -c 400000 /dev/urandom >"$work/newer"
cp "$work/old" "$a/files/film.bin"
cp "$work/old" "$a/files/second.bin"
"$MSASSET" review set on
pending() { jq -c '[.edits[] | [.path, .main_bytes, .name, .needs_a_person]]' "$1/.msasset/pending.json"; }
live() { # PATH BYTES: what a copy has
    "$MSASSET" copy "$1" files/copy.bin -q && cmp "$work/$2" "$b/files/copy.bin" &&
        "$MSASSET" rm --force --yes -q files/copy.bin
}
equals "nothing waits" '[]' "$(pending "$a")"

exec 7<"$b/files/film.bin" # opened before: it keeps what it was opened on
cat "$b/files/film.bin" >"$work/warm"
cp "$work/new" "$a/files/film.bin"
check "the owner's mount has the held bytes" cmp "$work/new" "$a/files/film.bin"
comes "and so has his other one, whose pages were warm" cmp "$work/new" "$b/files/film.bin"
comes "with their size" sh -c "[ \$(stat -c %s '$b/files/film.bin') = 500000 ]"
check "an open file has what it was opened on" sh -c "cmp '$work/old' - <&7"
exec 7<&-
check "the command has them" sh -c "'$MSASSET' get files/film.bin '$work/got' -q && cmp '$work/new' '$work/got'"
equals "and their size" 500000 "$("$MSASSET" show files/film.bin --json | jq .size_bytes)"
for m in "$a" "$b"; do
    comes "an attribute says so" sh -c "getfattr --only-values -n user.msasset.pending '$m/files/film.bin' | grep -qx 'MAIN of 500000 bytes, live are 300000'"
    equals "and pending.json" '[["/files/film.bin",500000,null,false]]' "$(pending "$m")"
done
check "everyone else has the old ones" live files/film.bin old

"$MSASSET" asset edit files/film.bin --name "a better name" -q
equals "texts wait with it" '[["/files/film.bin",500000,"a better name",false]]' "$(pending "$b")"
cp "$work/newer" "$b/files/film.bin"
check "a further edit replaces the held one" cmp "$work/newer" "$b/files/film.bin"
comes "in the other mount, too" cmp "$work/newer" "$a/files/film.bin"
check "and never goes live by itself" live files/film.bin old
cp "$work/new" "$a/files/second.bin"
equals "two wait" 2 "$(pending "$a" | jq length)"

"$MSASSET" review approve files/film.bin -q
check "approved, everyone has it" live files/film.bin newer
comes "the attribute is gone" sh -c "! getfattr -n user.msasset.pending '$a/files/film.bin' 2>/dev/null"
"$MSASSET" review reject files/second.bin --reason no -q
comes "rejected, its owner has the old bytes again" cmp "$work/old" "$a/files/second.bin"
comes "in both mounts" cmp "$work/old" "$b/files/second.bin"
equals "nothing waits" '[]' "$(pending "$b")"
"$MSASSET" umount "$b"
check "fsck finds nothing" "$MSASSET" fsck
