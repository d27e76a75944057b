# What is derived from contents that ffmpeg makes: covers, the WebM of a MOV with alpha, pages; and converters that
# crash, hang, make nothing, too much or something else, look around, or are killed.
. "$(dirname "$0")/lib.sh"
for tool in ffmpeg pdftocairo ffprobe strace; do
    command -v "$tool" >/dev/null || { echo "no $tool"; exit 77; }
done

status 0 init
status 0 tenant add media
make() { ffmpeg -v error -nostdin -y "$@"; }
make -f lavfi -i 'testsrc2=s=320x240:r=25:d=1' -f lavfi -i 'sine=d=1' -c:v libx264 -preset ultrafast -pix_fmt yuv420p -c:a aac film.mp4
make -f lavfi -i 'testsrc2=s=160x120:r=25:d=1,format=rgba,colorchannelmixer=aa=0.5' -c:v qtrle alpha.mov
make -f lavfi -i 'testsrc2=s=2000x1500' -frames:v 1 big.png
make -f lavfi -i 'sine=d=1' sound.wav
python3 - <<'PY'
# Three pages, by hand.
kids = [4, 5, 6]
objects = {1: b"<< /Type /Catalog /Pages 2 0 R >>",
           2: b"<< /Type /Pages /Kids [4 0 R 5 0 R 6 0 R] /Count 3 >>"}
for k in kids:
    objects[k] = b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 400 300] >>"
out = b"%PDF-1.4\n"
at = {}
for n, body in sorted(objects.items()):
    at[n] = len(out)
    out += b"%d 0 obj\n%s\nendobj\n" % (n, body)
xref = len(out)
out += b"xref\n0 7\n" + b"0000000000 65535 f \n"
for n in range(1, 7):
    out += b"%010d 00000 %s \n" % (at.get(n, 0), b"n" if n in at else b"f")
out += b"trailer << /Size 7 /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % xref
open("deck.pdf", "wb").write(out)
PY
derived() { # PATH FILTER
    status 0 derive ls "$1" --json
    json "$2"
}
file_of() { # PATH CATEGORY: the bytes of it, from the store's folder
    status 0 asset files "$1" --json
    local id
    id=$(jq -r "[.[] | select(.asset_file_category == \"$2\" and .state == \"CREATED\")][0].file_id" out)
    find "$MSASSET_STORE/objects" -name "$id.*" -type f | head -n 1
}
settled() {
    status 0 fsck --deep --json && json '.findings == []'
    status 0 quota show --json && json '.reserved_bytes == 0'
    [ ! -e "$MSASSET_STORE/derive" ] || fail "a folder is left: $(ls -lR "$MSASSET_STORE/derive")"
}

status 0 put film.mp4 videos/
status 0 put alpha.mov videos/
status 0 put big.png images/
status 0 put sound.wav audio/
status 0 put deck.pdf presentations/
status 0 show videos/alpha.mov --json && json '.usable.video_production.usable == "not_yet" and .video_meta.video_transcoding_status == "WAITING"'
derived videos/alpha.mov '[.[] | [.kind, .state]] == [["cover", "WAITING"], ["webm", "WAITING"]]'
derived presentations/deck.pdf '[.[] | [.kind, .state]] == [["pages", "WAITING"]]'
derived audio/sound.wav '. == []'

# without converters all waits
export MSASSET_DERIVE_FFMPEG='' MSASSET_DERIVE_PDFTOCAIRO=/nowhere
status 0 derive run --json && json '.made == 0 and .waiting == 5 and .failed == 0'
unset MSASSET_DERIVE_FFMPEG MSASSET_DERIVE_PDFTOCAIRO

status 0 quota show --json
before=$(jq .metered_bytes out)
status 0 derive run --json
json '.made == 5 and .failed == 0 and .waiting == 0'
derived videos/film.mp4 '[.[] | [.kind, .state, .files]] == [["cover", "SUCCEEDED", 1]]'
derived videos/alpha.mov '[.[] | [.kind, .state, .files]] == [["cover", "SUCCEEDED", 1], ["webm", "SUCCEEDED", 1]]'
derived presentations/deck.pdf '[.[] | [.kind, .state, .files]] == [["pages", "SUCCEEDED", 3]]'
ffprobe -v error -show_entries stream=codec_name,width,height -of csv=p=0 "$(file_of images/big.png COVER)" | grep -qx 'mjpeg,1280,960' || fail "the cover of the image"
ffprobe -v error -show_entries stream=codec_name,width,height -of csv=p=0 "$(file_of videos/film.mp4 COVER)" | grep -qx 'mjpeg,320,240' || fail "the cover of the video"
ffprobe -v error -show_entries stream=codec_name:stream_tags=alpha_mode -of csv=p=0 "$(file_of videos/alpha.mov OTHER)" | grep -qx 'vp9,1' || fail "the WebM"
ffprobe -v error -show_entries stream=codec_name -of csv=p=0 "$(file_of presentations/deck.pdf PAGE)" | grep -qx png || fail "a page"
# they can be looked at, by name and by id, where the asset may be read
cover=$(file_of videos/film.mp4 COVER)
name=$(jq -r '[.[] | select(.asset_file_category == "COVER")][0].file_name' out)
id=$(jq -r '[.[] | select(.asset_file_category == "COVER")][0].file_id' out)
status 0 get videos/film.mp4 --file "$name" got.cover && cmp got.cover "$cover"
status 0 get videos/film.mp4 --file "$id" by-id.cover && cmp by-id.cover "$cover"
status 0 get videos/film.mp4 --file film.mp4 got.main && cmp got.main film.mp4
status 4 get videos/film.mp4 --file nothing got.nothing && said 'msasset asset files'
status 0 freeze videos/film.mp4 --reason-code C --reason x
status 77 --as media/alice get videos/film.mp4 --file "$name" got.frozen && said 'frozen'
[ ! -e got.frozen ] || fail "a part of what may not be read is there"
status 0 unfreeze videos/film.mp4
status 0 show videos/alpha.mov --json && json '.usable.video_production.usable == "yes" and .video_meta.video_transcoding_status == "SUCCEEDED"'
json '.usable.livestreaming.usable == "no"'
status 0 show presentations/deck.pdf --json && json '.ppt_meta.ppt_analysis_status == "SUCCEEDED"'
status 0 quota show --json
[ "$(jq .metered_bytes out)" -gt "$before" ] || fail "derived files do not count"
status 0 derive run --json && json '.made == 0 and .failed == 0'
settled

# a sweep makes them, too, unless it is told not to
status 0 put film.mp4 videos/swept.mp4
status 0 sweep --json && json '.derived == 0' # the last run was just now
touch -d '11 minutes ago' "$MSASSET_STORE/derive.lock"
MSASSET_DERIVE_IN_SWEEP=no status 0 sweep --json && json '.derived == 0'
derived videos/swept.mp4 '.[0].state == "WAITING"'
status 0 sweep --json && json '.derived == 1 and .derivations_failed == 0'
derived videos/swept.mp4 '.[0].state == "SUCCEEDED"'
status 0 put film.mp4 videos/swept.mp4 --replace
touch -d '11 minutes ago' "$MSASSET_STORE/derive.lock"
MSASSET_DERIVE_FREE=1000T status 0 sweep --json && json '.derived == 0'
status 0 rm --force --yes videos/swept.mp4

# names are ours; a copy gets its own; what was replaced is made again
status 5 upload big.png --asset videos/film.mp4 --category COVER && said 'COVER file already'
cp big.png "derived-00000000000000000000000000000001-cover.jpg"
status 65 upload derived-00000000000000000000000000000001-cover.jpg --type COMMON_FILE && said 'derived'
status 0 copy videos/film.mp4 videos/again.mp4
status 0 asset files videos/again.mp4 --json && json '[.[].asset_file_category] == ["MAIN"]'
derived videos/again.mp4 '[.[].state] == ["WAITING"]'
make -f lavfi -i 'testsrc2=s=64x48:r=25:d=0.4' -c:v libx264 -preset ultrafast -pix_fmt yuv420p other.mp4
status 0 put --replace other.mp4 videos/film.mp4
derived videos/film.mp4 '[.[].state] == ["WAITING"]'
status 0 derive run --json && json '.made == 2 and .removed_files == 1'
ffprobe -v error -show_entries stream=width -of csv=p=0 "$(file_of videos/film.mp4 COVER)" | grep -qx 64 || fail "the cover is the old one"
settled

# decks of other kinds: LibreOffice makes a PDF of them, shut in as well; here a program in its place
python3 -c "
import sys
sys.path.insert(0, '$MS_SOURCE_DIR/tests/probe')
import decks
open('deck.pptx', 'wb').write(decks.pptx(3))
open('deck.ppt', 'wb').write(decks.ppt(3))"
status 0 put deck.pptx presentations/
MSASSET_DERIVE_SOFFICE=/nowhere status 0 derive run --json && json '.waiting == 1 and .made == 0'
derived presentations/deck.pptx '[.[] | [.kind, .state]] == [["pages", "WAITING"]]'
cat >"$work/soffice" <<'SH'
#!/bin/sh
# As LibreOffice does with a new profile: it makes one, and wants to be started again.
case "$1" in -env:UserInstallation=file:///proc/self/cwd/profile) ;; *) echo "profile: $1"; exit 2 ;; esac
[ -d profile ] || { mkdir profile; exit 81; }
case "$*" in *--headless*--convert-to*ExportHiddenSlides*" /proc/self/cwd/in") ;; *) echo "arguments: $*"; exit 3 ;; esac
grep -q presentation /proc/self/cwd/in || exit 6
python3 - <<'PY' || exit 4
import os, socket, sys
s = socket.socket(socket.AF_UNIX)
s.bind("pipe")
for kind in (socket.SOCK_DGRAM, socket.SOCK_SEQPACKET):
    try:
        socket.socket(socket.AF_UNIX, kind)
        sys.exit("another kind of socket")
    except PermissionError:
        pass
for family in (socket.AF_INET, socket.AF_INET6, socket.AF_NETLINK):
    try:
        socket.socket(family)
        sys.exit("a socket of family %d" % family)
    except PermissionError:
        pass
s.listen()
try:
    socket.socket(socket.AF_UNIX).connect("pipe")
    sys.exit("connected")
except ConnectionRefusedError:
    pass
try:
    socket.socket(socket.AF_UNIX).bind("/tmp/bound.%d" % os.getpid())
    sys.exit("bound in /tmp")
except PermissionError:
    pass
PY
touch "$TMPDIR/temporary" && [ -e temporary ] || exit 5
PDF
SH
sed -i "s|^PDF\$|base64 -d <<'B64' >in.pdf\n$(base64 -w0 deck.pdf)\nB64|" "$work/soffice"
chmod 755 "$work" "$work/soffice"
export MSASSET_DERIVE_SOFFICE=$work/soffice
status 0 derive run --json
json '.made == 1 and .failed == 0'
derived presentations/deck.pptx '[.[] | [.kind, .state, .files]] == [["pages", "SUCCEEDED", 3]]'
status 0 show presentations/deck.pptx --json && json '.ppt_meta.ppt_analysis_status == "SUCCEEDED"'
settled
status 0 put deck.ppt presentations/
printf '#!/bin/sh\nexit 0\n' >"$work/soffice"
status 0 derive run --json && json '.made == 0 and .failed == 1'
derived presentations/deck.ppt '.[0].state == "FAILED"'
printf '#!/bin/sh\nexit 81\n' >"$work/soffice"
status 0 derive run --again --json && json '.made == 0 and .failed == 1'
derived presentations/deck.ppt '.[0].error_info | test("status 81")'
status 0 rm --force --yes presentations/deck.ppt
unset MSASSET_DERIVE_SOFFICE
settled

# what is frozen or in the bin is not touched
status 0 put film.mp4 videos/frozen.mp4
status 0 freeze videos/frozen.mp4 --reason-code C --reason r
status 0 derive run --json && json '.made == 0 and .failed == 0'
status 0 unfreeze videos/frozen.mp4

# converters that misbehave: the derivation fails with its reason, the asset does not, and it is not tried again
bad() { # NAME REASON: the script on stdin is the converter
    { echo '#!/bin/sh'; cat; } >"$work/$1"
    chmod 755 "$work/$1"
    MSASSET_DERIVE_FFMPEG=$work/$1 MSASSET_DERIVE_TIMEOUT=${3:-20s} status 0 derive run --again --json
    json '.failed == 1 and .made == 0'
    derived videos/frozen.mp4 '.[0].state == "FAILED"'
    jq -e --arg why "$2" '.[0].error_info | test($why)' out >/dev/null || fail "$1: not '$2': $(cat out)"
    status 0 derive run --json && json '.failed == 0 and .made == 0'
    status 0 show videos/frozen.mp4 --json && json '.asset_state == "ACTIVED"'
    settled
}
chmod 755 "$work"
bad fails 'status 3: no good' <<<'echo no good >&2; exit 3'
bad crashes 'crashed' <<<'exec python3 -c "import ctypes; ctypes.string_at(0)"'
bad silent 'made nothing' <<<'exit 0'
bad empty 'empty file' <<<': >out'
bad wrong 'what the converter made' <<<'echo hello >out'
bad hangs 'in its time' 1s <<<'sleep 1000 & sleep 1000'
bad huge 'empty file' <<<'exec python3 -c "
f = open(\"out\", \"wb\")
f.seek(6 << 30)
f.write(b\"x\")"'
bad memory 'status' <<<'exec python3 -c "x = bytearray(5 << 30)"'
# it fills no disk: not with many files, of which each is within its limit, and whatever it leaves is removed
bad many 'more than 268435456 bytes' <<<'exec python3 -c "
import os, time
for i in range(8):
    os.posix_fallocate(os.open(str(i), os.O_CREAT | os.O_WRONLY), 0, 60 << 20)
time.sleep(1000)"'
bad quick 'more than 268435456 bytes' <<<'exec python3 -c "
import os
for i in range(8):
    os.posix_fallocate(os.open(str(i), os.O_CREAT | os.O_WRONLY), 0, 60 << 20)"'
bad deep 'too many files' <<<'exec python3 -c "
import os, time
for i in range(3000):
    os.mkdir(\"a\" * 200)
    open(\"b\", \"w\").close()
    os.mkdir(\"c\", 0)
    os.chdir(\"a\" * 200)
time.sleep(1000)"'
# what was unlinked and is still open shows in what the disk has left; that says nothing of the content
cat >"$work/unlinks" <<'SH'
#!/bin/sh
exec python3 -c "
import os, time
for i in range(15):
    fd = os.open('x', os.O_CREAT | os.O_WRONLY)
    os.unlink('x')
    os.posix_fallocate(fd, 0, 60 << 20)
time.sleep(1000)"
SH
chmod 755 "$work/unlinks"
left=$(($(stat -f -c '%a * %S' "$MSASSET_STORE")))
MSASSET_DERIVE_FREE=$((left - (450 << 20))) MSASSET_DERIVE_FFMPEG=$work/unlinks status 75 derive run --again && said 'less than [0-9]+ bytes left'
settled

# it can look around nowhere: not into the store, not at the keys of others, not to the network
cat >"$work/spies" <<'SH'
#!/bin/sh
exec 2>/dev/null
for file in ../msasset.store ../meta/data.mdb "$1" /etc/passwd /root/.profile /proc/self/environ /tmp/spied; do
    cat "$file" >/dev/null && echo "read $file" && exit 4
done
touch /tmp/spied.$$ && echo "wrote /tmp" && exit 5
python3 -c 'import socket; socket.socket()' && echo "made a socket" && exit 6
env | grep -q SECRET && echo "saw the environment" && exit 7
[ "$(id -u)" = 0 ] && echo "is root" && exit 8
python3 -c 'import os, resource; resource.prlimit(os.getppid(), resource.RLIMIT_CPU, (1, 1))' && echo "set another's limits" && exit 10
python3 -c 'import fcntl, os; fcntl.fcntl(os.pipe()[0], fcntl.F_SETOWN, os.getppid())' && echo "has signals sent" && exit 12
python3 -c 'import fcntl, os, signal; fcntl.fcntl(os.pipe()[0], fcntl.F_SETSIG, signal.SIGKILL)' && echo "chose a signal" && exit 12
python3 -c 'import resource; resource.setrlimit(resource.RLIMIT_CPU, (9, 9))' || { echo "may not set its own limits"; exit 11; }
echo "saw nothing"
exit 9
SH
SECRET=hidden bad spies 'status 9: saw nothing' <<<"$(tail -n +2 "$work/spies")"

# a quota that does not hold it
status 0 quota show --json
status 0 quota set --free "$(jq '.metered_bytes + 10' out)"
status 0 derive run --again --json && json '.failed == 1'
derived videos/frozen.mp4 '.[0].state == "FAILED"'
json '.[0].error_info | test("needs [0-9]+ bytes; tenant media has 10 left")'
status 0 quota set --free 5G
status 0 derive run --again --json && json '.made == 1 and .failed == 0'
settled

# a disk without room for one asset keeps nothing else from being looked at, and nothing is held against anybody
status 0 put film.mp4 videos/one.mp4
status 0 put film.mp4 videos/two.mp4
MSASSET_DERIVE_FREE=1000T status 75 derive run --json
json '.put_off == 2 and .made == 0 and .failed == 0'
said '2 assets are put off'
derived videos/two.mp4 '.[0].state == "WAITING"'
status 0 derive run --json && json '.made == 2 and .put_off == 0'
settled

# who looks takes no lock that a run could meet
if strace -o trace true 2>/dev/null; then # a sandbox may allow no tracing
    # leaks are looked for by tracing, which a traced program cannot do
    ASAN_OPTIONS=${ASAN_OPTIONS:-}:detect_leaks=0 strace -f -y -e trace=flock,fcntl -o trace "$MSASSET" derive ls videos/two.mp4 >out
    grep -q 'derive.lock.*F_OFD_GETLK' trace || fail "the lock was not looked at: $(cat trace)"
    ! grep -q 'flock.*derive.lock' trace || fail "derive ls locks"
fi

# killed at work: the next run takes it up; meanwhile another one does nothing
status 0 put film.mp4 videos/killed.mp4
printf '#!/bin/sh\n: >started\nexec sleep 1000\n' >"$work/slow" && chmod 755 "$work/slow"
MSASSET_DERIVE_FFMPEG=$work/slow "$MSASSET" derive run >/dev/null 2>&1 &
running=$!
waited=0
until [ -e "$MSASSET_STORE/derive/started" ] || [ $((waited += 1)) -gt 600 ]; do sleep 0.1; done
derived videos/killed.mp4 '.[0].state == "TRANSCODING"'
status 0 derive run --json && json '.busy'
kill -9 "$running"
wait "$running" 2>/dev/null || true
derived videos/killed.mp4 '.[0].state == "WAITING"'
waited=0
until status 0 derive run --json && jq -e '.busy | not' out >/dev/null || [ $((waited += 1)) -gt 100 ]; do sleep 0.1; done
json '.made == 1'
derived videos/killed.mp4 '.[0].state == "SUCCEEDED"'
settled

# nothing is made of a new MAIN that waits for its verdict, and what was made of the live one stays
status 0 review set on
make -f lavfi -i 'testsrc2=s=160x120:r=25:d=1' -c:v libx264 -preset ultrafast -pix_fmt yuv420p other.mp4
derived videos/film.mp4 '.[0].state == "SUCCEEDED"'
cover=$(file_of videos/film.mp4 COVER)
status 0 put other.mp4 videos/film.mp4 --replace
status 0 derive run --json && json '.made == 0 and .failed == 0 and .removed_files == 0'
[ -n "$cover" ] && [ "$cover" = "$(file_of videos/film.mp4 COVER)" ] || fail "the cover of the live MAIN is gone"
settled

# a store that is lost: a cover that the catalogue does not tell of never takes the place of MAIN
status 0 review set off
status 0 put film.mp4 videos/last.mp4
status 0 catalogue flush
status 0 derive run --json && json '.made == 1'
status 0 rebuild --from "dir:$MSASSET_STORE/objects" "$work/again"
MSASSET_STORE=$work/again status 0 get videos/last.mp4 got.mp4
cmp film.mp4 got.mp4 || fail "the rebuilt MAIN has other bytes"
# and what is there beside a MAIN can be removed there, too
status 0 catalogue flush
status 0 rebuild --from "dir:$MSASSET_STORE/objects" "$work/more"
export MSASSET_STORE=$work/more
status 0 asset files videos/last.mp4 --json
status 0 asset rmfile "$(jq -r '[.[] | select(.asset_file_category == "COVER")][0].file_id' out)"
status 0 asset files videos/last.mp4 --json && json '[.[].asset_file_category] == ["MAIN"]'
echo "$n commands"
