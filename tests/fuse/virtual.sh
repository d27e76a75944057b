# The two virtual folders of a mount's root: .trash/ and .msasset/, with the tools that people use.
. "$(dirname "$0")/lib.sh"

new_store
mnt=$work/mnt trash=$work/mnt/.trash ours=$work/mnt/.msasset
mount_on "$mnt"
tree() { (cd "$1" && find . -mindepth 1 -printf '%P%y ' | tr ' ' '\n' | sort | tr '\n' ' '); }
bytes() { head -c "$1" /dev/urandom; }

# ---- what the root shows ---------------------------------------------------------------------------------------------

equals "the root lists both, behind its own" ".trash .msasset" "$(ls -Uf "$mnt" | tail -n 2 | tr '\n' ' ' | sed 's/ $//')"
check "ls -la of the root" ls -la "$mnt"
equals "an empty bin" "" "$(tree "$trash")"
refuses "neither can be removed" "busy" rmdir "$trash"
refuses "nor renamed" "busy" mv -T "$mnt/.msasset" "$mnt/x"
refuses "nor made" "exists" mkdir "$trash"
refuses "nor replaced" "busy|[Ii]s a directory|overwrite" mv -T "$mnt/files" "$ours"
refuses "the command cannot make them either" "folder of every mount" "$MSASSET" put "$0" .trash
check "below the root the names are free" mkdir "$mnt/files/.trash"
rmdir "$mnt/files/.trash"

# ---- deleting, looking, restoring ------------------------------------------------------------------------------------

mkdir -p "$mnt/a/b"
bytes 700000 >"$work/one" && cp -p "$work/one" "$mnt/a/b/one.bin"
bytes 3000 >"$work/two" && cp "$work/two" "$mnt/a/two.bin"
touch "$mnt/a/empty"
id=$(id_of "$mnt/a/b/one.bin")
"$MSASSET" rm -q a/b/one.bin a/two.bin a/empty
equals "what was deleted is at its path" "a/b/one.binf a/bd a/emptyf a/two.binf ad " "$(tree "$trash")"
check "it can be read" cmp "$work/one" "$trash/a/b/one.bin"
drop_caches
check "and again" cmp "$work/one" "$trash/a/b/one.bin"
equals "its state" DELETING "$(state_of "$trash/a/b/one.bin")"
equals "its size and links" "700000 1" "$(stat -c '%s %h' "$trash/a/b/one.bin")"
check "cp -a out of it is a copy" cp -a "$trash/a" "$work/copy"
check "a whole one" cmp "$work/one" "$work/copy/b/one.bin"
refuses "it cannot be written" "not permitted" dd if=/dev/zero of="$trash/a/two.bin" conv=notrunc count=1 status=none
refuses "nor truncated" "not permitted" truncate -s 1 "$trash/a/two.bin"
refuses "nor changed" "not permitted" chmod 600 "$trash/a/two.bin"
refuses "nor touched" "not permitted" touch "$trash/a/two.bin"
refuses "nor given attributes" "not permitted" setfattr -n user.x -v y "$trash/a/two.bin"
refuses "nor linked" "not permitted" ln "$trash/a/two.bin" "$mnt/files/two.bin"
refuses "nor renamed inside" "not permitted" mv "$trash/a/two.bin" "$trash/a/three.bin"
refuses "nothing is made in it" "not permitted" touch "$trash/a/new"
refuses "no folder either" "not permitted" mkdir "$trash/a/new"
refuses "no link either" "not permitted" ln -s x "$trash/a/new"

check "mv out restores" mv "$trash/a/b/one.bin" "$mnt/files/again.bin"
check "with its bytes" cmp "$work/one" "$mnt/files/again.bin"
equals "and its id" "$id" "$(id_of "$mnt/files/again.bin")"
equals "and its state" ACTIVED "$(state_of "$mnt/files/again.bin")"
check "it can be written again" dd if="$work/two" of="$mnt/files/again.bin" conv=notrunc status=none
equals "the bin has the rest" "a/emptyf a/two.binf ad " "$(tree "$trash")"
echo present >"$mnt/files/there"
"$MSASSET" rm -q files/again.bin
check "mv out over a file" mv -f "$trash/files/again.bin" "$mnt/files/there"
check "that has the bytes now" cmp -n 3000 "$work/two" "$mnt/files/there"
refuses "a name that breaks a rule" "medium type" mv "$trash/a/two.bin" "$mnt/images/two.png"
check "leaves it where it was" cmp "$work/two" "$trash/a/two.bin"

# ---- for good --------------------------------------------------------------------------------------------------------

used() { "$MSASSET" quota show --json | jq .metered_bytes; }
before=$(used)
check "rm there is for good" rm "$trash/a/two.bin"
equals "its bytes are free" $((before - 3000)) "$(used)"
refuses "a folder with something in it stays" "not empty" rmdir "$trash/a"
check "rm -r empties" rm -r "$trash/a"
equals "nothing is left" "" "$(tree "$trash")"
check "the folders of the tree were never meant" test -d "$mnt/a/b"

# ---- doubles ---------------------------------------------------------------------------------------------------------

for i in 1 2 3; do
    echo "$i" >"$mnt/files/double.txt"
    "$MSASSET" rm -q files/double.txt
    comes "the mount sees that it is gone" test ! -e "$mnt/files/double.txt"
done
equals "files of one path" "double (2).txt double (3).txt double.txt" \
    "$(ls "$trash/files" | tr '\n' ' ' | sed 's/ $//')"
equals "are told apart" "1 2 3" "$(cd "$trash/files" && echo $(cat double.txt 'double (2).txt' 'double (3).txt'))"
check "restored together" mv "$trash/files/double.txt" "$trash/files/double (2).txt" "$mnt/a"
equals "under the names that they had there" "1 2" "$(cd "$mnt/a" && echo $(cat double.txt 'double (2).txt'))"
equals "the third keeps its name" "double (3).txt" "$(ls "$trash/files")"
rm -r "$trash/files"

# ---- folders ---------------------------------------------------------------------------------------------------------

mkdir -p "$mnt/project/deep"
for i in $(seq 150); do echo "$i" >"$mnt/project/deep/f$i"; done
echo top >"$mnt/project/top"
ln -s top "$mnt/project/soft"
check "mv of a folder into it" mv "$mnt/project" "$trash/"
check "is a deletion" test ! -e "$mnt/project"
equals "of every file" 151 "$(find "$trash/project" -type f | wc -l)"
check "mv of a folder out" mv "$trash/project" "$mnt/project"
equals "is a restore of every file" "151 $(seq 150 | sort)" "$(find "$mnt/project" -type f | wc -l) $(cat "$mnt"/project/deep/f* | sort)"
equals "the bin is empty" "" "$(tree "$trash")"
mkdir "$mnt/project/more" && echo x >"$mnt/project/more/x"
check "the folder is as good as new" cat "$mnt/project/more/x"
# ... as one operation, with the command too: at once, in this mount and in another
deep=$work/deep
mount_on "$deep"
equals "the other mount has it" 150 "$(ls "$deep/project/deep" | wc -l)"
exec 7<"$mnt/project/deep/f1"
(cd "$mnt/project/deep" && "$MSASSET" rm -q -r project && refuses "who stands in it makes nothing" "No such file" touch new)
equals "who has a file open reads on" 1 "$(cat <&7)"
exec 7<&-
equals "all of it is in the bin" 152 "$(find "$trash/project" -type f | wc -l)"
comes "the mount does not know it any more" test ! -e "$mnt/project/deep/f1"
comes "nor does the other" test ! -e "$deep/project/deep/f1"
equals "which shows it in the bin" 150 "$(ls "$deep/.trash/project/deep" | wc -l)"
check "what comes out of it" mv "$deep/.trash/project/deep/f7" "$deep/files/f7"
equals "has its bytes" 7 "$(cat "$deep/files/f7")"
check "mv of the rest" mv "$trash/project" "$mnt/project"
equals "is all of the rest" "151 $(seq 150 | grep -vx 7 | sort)" \
    "$(find "$mnt/project" -type f | wc -l) $(cat "$mnt"/project/deep/f* | sort)"
comes "in the other mount too" test -e "$deep/project/deep/f150"
check "and back in its place" mv "$deep/files/f7" "$deep/project/deep/f7"
comes "as it was" test -e "$mnt/project/deep/f7"
umount_from "$deep"
echo young >"$mnt/files/young"
check "mv of a young file into it" mv "$mnt/files/young" "$trash/"
equals "it shows where it was" "files/youngf filesd " "$(tree "$trash")"
comes "and nowhere else" test ! -e "$trash/young"
check "rm -rf of all of it" rm -rf "$trash/files"
refuses "a type folder stays" "busy" mv "$mnt/scenes" "$trash/"

# ---- .msasset --------------------------------------------------------------------------------------------------------

cp "$work/one" "$mnt/files/one.bin"
id=$(id_of "$mnt/files/one.bin")
equals "its contents" "assets pending.json stats usage.json" "$(ls "$ours" | tr '\n' ' ' | sed 's/ $//')"
equals "usage.json is what the command says" "$("$MSASSET" quota show --json | jq -S .)" "$(jq -S . "$ours/usage.json")"
equals "the size is the text's" "$(stat -c %s "$ours/usage.json")" "$(wc -c <"$ours/usage.json")"
check "stats are names and numbers" grep -qE '^store_commits [0-9]+$' "$ours/stats"
equals "and nothing else" "" "$(grep -vE '^[a-z_]+ [0-9]+$' "$ours/stats")"
equals "asset.json is what the command says" "$("$MSASSET" show --json "$id" | jq -S .)" \
    "$(jq -S 'del(.files)' "$ours/assets/$id/asset.json")"
equals "and lists the files" '["MAIN","one.bin",700000]' \
    "$(jq -c '.files[0] | [.asset_file_category, .file_name, .size_bytes]' "$ours/assets/$id/asset.json")"
equals "one asset" "asset.json MAIN one.bin" "$(cd "$ours/assets/$id" && echo * | tr ' ' '\n' | sort -r | tr '\n' ' ')$(ls "$ours/assets/$id/MAIN")"
check "its file" cmp "$work/one" "$ours/assets/$id/MAIN/one.bin"
check "every asset is there" test "$(ls "$ours/assets" | wc -l)" = "$("$MSASSET" quota show --json | jq .assets)"
refuses "an id that nobody has" "No such file" ls "$ours/assets/0123456789abcdef0123456789abcdef"
refuses "another spelling of an id" "No such file" ls "$ours/assets/${id^^}"
mkfifo "$work/go"
python3 -c 'import sys
f = open(sys.argv[1], "wb", 0)
f.write(b"written")
print("open", flush=True)
open(sys.argv[2]).read()' "$mnt/files/open.bin" "$work/go" >"$work/opened" &
comes "a writer" grep -q open "$work/opened"
equals "a file that is being written is pending" "/files/open.bin NEW_FILE true" \
    "$(jq -r '.files[] | "\(.path) \(.kind) \(.process_is_alive)"' "$ours/pending.json")"
echo >"$work/go"
wait
equals "and then is not" 0 "$(jq '.files | length' "$ours/pending.json")"

denied="Read-only|not permitted|denied"
refuses "no file is made" "$denied" touch "$ours/new"
refuses "no folder" "$denied" mkdir "$ours/assets/new"
refuses "nothing is written" "$denied" dd if=/dev/zero of="$ours/usage.json" count=1 conv=notrunc status=none
refuses "nor truncated" "$denied" truncate -s 0 "$ours/usage.json"
refuses "nor removed" "$denied" rm -f "$ours/stats"
refuses "nor an asset's file" "$denied" rm -f "$ours/assets/$id/MAIN/one.bin"
refuses "nor written" "$denied" dd if=/dev/zero of="$ours/assets/$id/MAIN/one.bin" count=1 conv=notrunc status=none
refuses "nor renamed" "$denied" mv "$ours/stats" "$ours/stats2"
refuses "nor moved out" "$denied|cross|inter" mv -n "$ours/stats" "$mnt/files/stats"
refuses "nothing is moved in" "$denied|cannot" mv "$mnt/files/one.bin" "$ours/"
refuses "modes stay" "$denied" chmod 777 "$ours/usage.json"
check "the file is where it was" cmp "$work/one" "$mnt/files/one.bin"

# ---- whole-tree tools ------------------------------------------------------------------------------------------------

"$MSASSET" rm -q files/one.bin
check "find ends" timeout 120 find "$mnt" -ls
check "grep -r ends" timeout 120 grep -rc allowance_bytes "$mnt/.msasset" "$mnt/.trash"
check "du ends" timeout 120 du -s "$mnt"
check "rsync of the mount without them" rsync -a --exclude=/.trash --exclude=/.msasset "$mnt/" "$work/sync/"
equals "the trees are the same" "" "$(rsync -ain --exclude=/.trash --exclude=/.msasset "$mnt/" "$work/sync/")"
check "rsync of all of it" rsync -a "$mnt/" "$work/all/"
check "with the bin" cmp "$work/one" "$work/all/.trash/files/one.bin"
check "tar of all of it" tar -C "$mnt" -cf "$work/all.tar" .

# ---- two mounts ------------------------------------------------------------------------------------------------------

other=$work/other
mount_on "$other"
check "another mount shows the same" cmp "$work/one" "$other/.trash/files/one.bin"
mv "$mnt/project/top" "$trash/"
equals "a deletion shows at once" top "$(cat "$other/.trash/project/top")"
mv "$other/.trash/project/top" "$other/project/top2"
equals "a restore shows at once in the bin" "" "$(ls "$trash/project" 2>/dev/null)"
comes "and in the tree" test -e "$mnt/project/top2"
rm "$other/.trash/files/one.bin"
equals "a removal too" "" "$(tree "$trash")"
mv "$mnt/project/deep" "$trash/"
mv "$mnt/project" "$mnt/renamed"
equals "a folder's new name" 150 "$(ls "$other/.trash/renamed/deep" | wc -l)"
umount_from "$other"

# ---- a tenant that is frozen, a mount that is read-only --------------------------------------------------------------

# What is still open when a mount ends is let go of.
exec 7<"$ours/usage.json" 8<"$(ls "$ours"/assets/*/MAIN/f1)" 9<"$trash/renamed/deep/f2"
pid=$(pid_of "$mnt")
kill -TERM "$pid"
comes "the mount ends" is_gone "$pid"
exec 7<&- 8<&- 9<&-
fusermount3 -uz "$mnt" 2>/dev/null || true
mount_on "$mnt" --read-only
refuses "no restore from a read-only mount" "Read-only" mv "$trash/renamed/deep/f1" "$mnt/files/"
check "but a look" cat "$trash/renamed/deep/f1"
umount_from "$mnt"
store_is_settled
