# What close() says of real contents, by what a prober finds in them, and where that is shown.
. "$(dirname "$0")/lib.sh"

new_store 200M
mnt=$work/mnt
mount_on "$mnt"
cd "$work"
make() { ffmpeg -v error -nostdin -y "$@"; }
decks() { PYTHONPATH=$MS_SOURCE_DIR/tests/probe PYTHONDONTWRITEBYTECODE=1 python3 -c "import decks, sys; sys.stdout.buffer.write(decks.$1)" >"$2"; }
xattr() { getfattr --only-values -n "user.msasset.$1" "$2"; }
asset_json() { cat "$mnt/.msasset/assets/$(xattr id "$1")/asset.json"; }
make -f lavfi -i testsrc2=s=64x48:r=25:d=0.4 -c:v libx264 -pix_fmt yuv420p film.mp4
make -f lavfi -i testsrc2=s=64x48:r=50:d=0.4 -c:v libx264 -pix_fmt yuv420p fast.mp4
make -f lavfi -i sine=d=0.4 -c:a aac sound.mp4
make -f lavfi -i testsrc2=s=64x48:d=0.04 -frames:v 1 picture.png
decks "pptx(100)" 100.pptx
decks "pptx(101)" 101.pptx
decks "ppt(3, encrypted=True)" secret.ppt
head -c 2000 film.mp4 >cut.mp4

# Accepted, and shown.
check "a film" cp film.mp4 "$mnt/videos/"
equals "is usable" "video_production yes; livestreaming yes; preview yes" "$(xattr usable "$mnt/videos/film.mp4")"
check "a fast film" cp fast.mp4 "$mnt/videos/"
equals "is stored all the same" ACTIVED "$(state_of "$mnt/videos/fast.mp4")"
equals "and not usable, with the reason" "video_production no: 50.000 frames a second (at most 30)" \
    "$(xattr usable "$mnt/videos/fast.mp4" | cut -d';' -f1)"
equals "asset.json has the facts" "h264 64x48 25" \
    "$(asset_json "$mnt/videos/film.mp4" | jq -r '.video_meta | "\(.video_codec) \(.width)x\(.height) \(.frame_rate)"')"
equals "and where it is usable" no "$(asset_json "$mnt/videos/fast.mp4" | jq -r .usable.livestreaming.usable)"
equals "show says the same" 64x48 "$("$MSASSET" show videos/film.mp4 --json | jq -r '.facts | "\(.width)x\(.height)"')"
check "100 slides" cp 100.pptx "$mnt/presentations/"
equals "are counted" 100 "$(asset_json "$mnt/presentations/100.pptx" | jq .ppt_meta.page_count)"

# Refused: cp fails, the new file stays as FAILED with its reason.
refuses "101 slides are too large" "too large" cp 101.pptx "$mnt/presentations/"
equals "FAILED" FAILED "$(state_of "$mnt/presentations/101.pptx")"
equals "with value and limit" "the presentation has 101 slides; it may have 100: split it" "$(xattr reason "$mnt/presentations/101.pptx")"
refuses "an encrypted deck" "medium type" cp secret.ppt "$mnt/presentations/"
refuses "a film of sound only" "medium type" cp sound.mp4 "$mnt/videos/"
refuses "a film that was cut in front of its index" "medium type" cp cut.mp4 "$mnt/videos/"
refuses "an overwrite with it" "medium type" cp cut.mp4 "$mnt/videos/film.mp4"
check "leaves the old film" cmp film.mp4 "$mnt/videos/film.mp4"
equals "and its facts" 64 "$(asset_json "$mnt/videos/film.mp4" | jq .video_meta.width)"

# A rename is judged by what was found at the close.
check "any name takes any content" cp cut.mp4 "$mnt/files/cut.part"
refuses "a name that wants a film does not" "medium type" mv "$mnt/files/cut.part" "$mnt/files/cut.mp4"
check "rsync" rsync -a picture.png "$mnt/images/"
equals "is examined under its other name" "video_production yes; livestreaming yes; preview yes" "$(xattr usable "$mnt/images/picture.png")"
refuses "rsync of a bad one fails" "medium type|failed" rsync -a cut.mp4 "$mnt/images/"

# An upload as through the API is judged as a close is, when it is confirmed.
refuses "an upload of 101 slides" "101 slides; it may have 100" "$MSASSET" upload 101.pptx --name many
equals "is FAILED" FAILED "$("$MSASSET" ls presentations --json | jq -r '[.[] | select(.path == "/presentations/101 (2).pptx")][0].asset_state')"
check "an upload of a film" "$MSASSET" upload fast.mp4 --name uploaded
equals "has its facts" 50 "$("$MSASSET" show "videos/fast (2).mp4" --json | jq -r .video_meta.frame_rate)"

# Many small ones: a warm program forks for each.
mkdir many
for i in $(seq 60); do cp picture.png "many/$i.png"; done
check "60 pictures" cp -r many "$mnt/images/"
live=0
for i in $(seq 60); do [ "$(state_of "$mnt/images/many/$i.png")" != ACTIVED ] || live=$((live + 1)); done
equals "all live" 60 "$live"

# A kill behind an fsync: recovery examines what it completes.
(exec 7>"$mnt/videos/synced.mp4" && cat film.mp4 >&7 && sync "$mnt/videos/synced.mp4" && touch written && sleep 600) &
writer=$!
comes "written" test -e written
kill_mount "$mnt"
kill "$writer" 2>/dev/null || true
check "recover" "$MSASSET" recover
equals "its facts are there" 64 "$("$MSASSET" show videos/synced.mp4 --json | jq .video_meta.width)"
check "nothing is broken" "$MSASSET" fsck
