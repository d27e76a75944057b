# What is refused, by which rule, and that a refusal leaves everything as it was.
. "$(dirname "$0")/lib.sh"

new_store 20M
mnt=$work/mnt
mount_on "$mnt"
make_media "$work/media" 1

# Names.
long=$(printf 'n%.0s' $(seq 255))
check "255 bytes are a name" touch "$mnt/files/$long"
refuses "256 bytes are not" "too long" touch "$mnt/files/${long}n"
refuses "invalid UTF-8" "Invalid|multibyte" touch "$mnt/files/$(printf 'bad\377')"
refuses "a control character" "Invalid|multibyte" touch "$mnt/files/$(printf 'bell\007')"
refuses "a bidi override" "Invalid|multibyte" touch "$mnt/files/$(printf 'a\342\200\256b')"
nfc=$(printf 'caf\303\251') nfd=$(printf 'cafe\314\201')
echo 1 >"$mnt/files/$nfc"
check "the other spelling is the same file" test "$mnt/files/$nfc" -ef "$mnt/files/$nfd"
refuses "it cannot be made twice" "exists" mkdir "$mnt/files/$nfd"
equals "stored as given" "$nfc" "$(ls "$mnt/files" | grep caf)"
refuses "the command refuses names too" "control|character" "$MSASSET" put "$work/media/picture.png" "files/$(printf 'x\001')"

# Special folders.
refuses "a type folder cannot go" "busy" rmdir "$mnt/scenes"
refuses "nor be renamed" "busy" mv -T "$mnt/scenes" "$mnt/other"
refuses "models/ takes no files" "not permitted" touch "$mnt/models/m"
refuses "voices/ neither" "not permitted" mkdir "$mnt/voices/v"

# Kind of content.
for i in $(seq 1500); do echo "this is text"; done >"$work/text.mp4"
refuses "text is no mp4" "medium type" cp "$work/text.mp4" "$mnt/videos/text.mp4"
equals "it stays as FAILED" FAILED "$(state_of "$mnt/videos/text.mp4")"
check "with its bytes" cmp "$work/text.mp4" "$mnt/videos/text.mp4"
check "and its reason" getfattr -n user.msasset.reason "$mnt/videos/text.mp4"
check "a film is fine" cp "$work/media/film.mp4" "$mnt/videos/film.mp4"
refuses "an overwrite with text" "medium type" cp "$work/text.mp4" "$mnt/videos/film.mp4"
check "leaves the old film" cmp "$work/media/film.mp4" "$mnt/videos/film.mp4"
equals "and its state" ACTIVED "$(state_of "$mnt/videos/film.mp4")"
refuses "a rename that breaks the rule" "medium type" mv "$mnt/videos/film.mp4" "$mnt/videos/film.png"
check "changes nothing" cmp "$work/media/film.mp4" "$mnt/videos/film.mp4"
mv "$mnt/videos/text.mp4" "$mnt/videos/text.txt"
equals "a rename that fits heals" ACTIVED "$(state_of "$mnt/videos/text.txt")"
refuses "put says so" "65|kind|content" "$MSASSET" put "$work/text.mp4" videos/text2.mp4
touch "$mnt/videos/empty.mp4"
equals "an empty file is a COMMON_FILE" COMMON_FILE "$(getfattr --only-values -n user.msasset.type "$mnt/videos/empty.mp4")"

# Quota: cut short at the byte, then EDQUOT.
left=$("$MSASSET" quota show --json | jq .left_bytes)
refuses "the write that would pass it" "quota" dd if=/dev/zero of="$mnt/files/full.bin" bs=64k count=1000 status=none
equals "was cut short at the last byte" "$left" "$(stat -c %s "$mnt/files/full.bin")"
equals "nothing is left" 0 "$("$MSASSET" quota show --json | jq .left_bytes)"
equals "df agrees" 0 "$(df --output=avail -B1 "$mnt" | tail -n 1 | tr -d ' ')"
equals "nothing is reserved" 0 "$("$MSASSET" quota show --json | jq .reserved_bytes)"
refuses "fallocate takes nothing" "quota" fallocate -l 1000 "$mnt/files/more.bin"
equals "nothing at all" 0 "$(stat -c %s "$mnt/files/more.bin" 2>/dev/null || echo 0)"
refuses "truncate neither" "quota" truncate -s 100 "$mnt/files/more.bin"
check "an overwrite of the same size fits" dd if=/dev/zero of="$mnt/files/full.bin" bs=64k conv=notrunc count=4 status=none
check "an empty file fits" touch "$mnt/files/nothing"
refuses "put tells the numbers" "[0-9]+ bytes" "$MSASSET" put "$work/media/film.mp4" videos/film3.mp4
rm "$mnt/files/full.bin"
check "and it fits again" cp "$work/media/film.mp4" "$mnt/videos/film4.mp4"

# Damaged bytes are never served.
"$MSASSET" put -q "$work/media/voice.wav" audio/v.wav
object=$(grep -rlF --binary-files=binary RIFF "$MSASSET_STORE/objects" | grep '\.wav$' | head -n 1)
printf '\377' | dd of="$object" bs=1 seek=5000 conv=notrunc status=none
drop_caches
refuses "the mount reports damage" "Input/output" cat "$mnt/audio/v.wav"
refuses "get too" "damaged|checksum|hash" "$MSASSET" get -f audio/v.wav "$work/got"
equals "get's exit status" 74 "$("$MSASSET" get -f -q audio/v.wav "$work/got" 2>/dev/null; echo $?)"
refuses "fsck --deep names it" "$(basename "$object")" "$MSASSET" fsck --deep
truncate -s 1000 "$object"
refuses "a truncated object too" "Input/output" cat "$mnt/audio/v.wav"
rm "$mnt/audio/v.wav"
umount_from "$mnt"

# Folders that are no store of ours.
mkdir "$work/foreign" && echo hello >"$work/foreign/readme"
refuses "init in a folder of another program" "folder of its own" "$MSASSET" --store "$work/foreign" init
check "its file is untouched" grep -q hello "$work/foreign/readme"
refuses "a store that is there" "already|exists" "$MSASSET" init
refuses "no store at all" "no store|there is no" "$MSASSET" --store "$work/nowhere" ls
refuses "an unknown tenant" "no tenant" "$MSASSET" --tenant nobody ls
refuses "a mountpoint that is not there" "cannot be mounted on" "$MSASSET" mount media "$work/no-folder"
store_is_settled
