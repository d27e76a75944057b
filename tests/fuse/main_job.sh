# The main job on real media: through the mount and through put and get, with the tools that people use.
. "$(dirname "$0")/lib.sh"

new_store
mnt=$work/mnt
mount_on "$mnt"
make_media "$work/media" 4

# cp in; the same bytes again through everything.
for f in "$work"/media/*; do
    name=$(basename "$f") folder=$(folder_of "$f")
    check "cp of $name" cp "$f" "$mnt/$folder/$name"
    equals "state of $name" ACTIVED "$(state_of "$mnt/$folder/$name")"
    equals "root of $name" "$("$MSASSET" hash "$f" | cut -d' ' -f1)" "$(root_of "$mnt/$folder/$name")"
    check "put of $name" "$MSASSET" put "$f" "$folder/put-$name"
done
compare_all() { # WHEN
    drop_caches
    for f in "$work"/media/*; do
        local name folder
        name=$(basename "$f") folder=$(folder_of "$f")
        check "$1: cmp of $name" cmp "$f" "$mnt/$folder/$name"
        check "$1: cmp of put-$name" cmp "$f" "$mnt/$folder/put-$name"
        check "$1: get of $name" "$MSASSET" get -f -q "$folder/$name" "$work/got"
        check "$1: get is the same as $name" cmp "$f" "$work/got"
    done
}
compare_all "at once"
umount_from "$mnt"
mount_on "$mnt"
compare_all "after a remount"

# ffmpeg writes into the mount: MP4 muxers seek back and patch; faststart reads back what it wrote.
src=$work/media/film.mp4
check "ffmpeg writes mp4" ffmpeg -nostdin -v error -y -i "$src" -c copy "$mnt/videos/plain.mp4"
check "ffmpeg writes mp4 with faststart" ffmpeg -nostdin -v error -y -i "$src" -c copy -movflags +faststart \
    "$mnt/videos/fast.mp4"
drop_caches
for v in plain fast; do
    check "$v.mp4 plays" ffmpeg -nostdin -v error -xerror -i "$mnt/videos/$v.mp4" -f null -
    equals "state of $v.mp4" ACTIVED "$(state_of "$mnt/videos/$v.mp4")"
done

# rsync: the second run sends nothing.
mkdir -p "$work/tree/sub"
for i in 1 2 3 4 5 6 7 8 9 10; do head -c $((i * 1000)) /dev/urandom >"$work/tree/sub/$i.bin"; done
cp "$work"/media/*.png "$work/tree/"
check "rsync" rsync -a "$work/tree/" "$mnt/tree/"
equals "rsync again sends nothing" "" "$(rsync -a --itemize-changes "$work/tree/" "$mnt/tree/")"
check "the tree is the same" diff -r "$work/tree" "$mnt/tree"

# git: many small files, renames, locks, links.
git init -q "$work/repo"
(cd "$work/repo" && for i in $(seq 40); do echo "line $i" >"f$i"; done && git add . &&
    git -c user.name=t -c user.email=t@example.invalid commit -qm one)
check "git clone" git clone -q "$work/repo" "$mnt/repo"
check "git fsck" git -C "$mnt/repo" fsck --strict
equals "git status is clean" "" "$(git -C "$mnt/repo" status --porcelain)"

# Editors replace by rename: the asset keeps its id.
echo one >"$mnt/files/note.txt"
id=$(id_of "$mnt/files/note.txt")
check "sed -i" sed -i s/one/two/ "$mnt/files/note.txt"
equals "sed -i keeps the id" "$id" "$(id_of "$mnt/files/note.txt")"
equals "sed -i wrote" two "$(cat "$mnt/files/note.txt")"
check "vim" vim.tiny -n -u NONE -es -c 'set backup writebackup backupcopy=no' -c 's/two/three/' -c 'wq' \
    "$mnt/files/note.txt"
equals "vim wrote" three "$(cat "$mnt/files/note.txt")"
equals "vim keeps the id" "$id" "$(id_of "$mnt/files/note.txt")"
rm -f "$mnt/files/note.txt~"

umount_from "$mnt"
store_is_settled
