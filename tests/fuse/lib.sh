# lib.sh — what every script on a real mount shares: a store, a tenant, mounts, and their removal.
#
# A script sources this and ends with the status of its checks. Needs MSASSET, the program. Without /dev/fuse a script
# is skipped (77), which CI counts as a failure.
set -euo pipefail
export LC_ALL=C.UTF-8
# Only what a script sets itself counts.
msasset=$MSASSET
unset "${!MSASSET@}"
MSASSET=$msasset
# Helpers that are built: the tests hand them over; by hand they are where the build puts them.
: "${FSX:=$(dirname "$MSASSET")/../tests/fuse/ms_fsx}"
: "${BLOCKED:=$(dirname "$MSASSET")/../tests/fuse/ms_blocked}"
: "${FROZEN:=$(dirname "$MSASSET")/../tests/fuse/ms_frozen}"
export TZ=UTC

[ -c /dev/fuse ] && command -v fusermount3 >/dev/null || {
    echo "skipped: no /dev/fuse or no fusermount3"
    exit 77
}

work=$(mktemp -d "${TMPDIR:-/tmp}/msasset-fuse.XXXXXX")
export MSASSET_STORE=$work/store MSASSET_TENANT=media HOME=$work XDG_CONFIG_HOME=$work/config
# A mount has no stderr: what a sanitizer finds in it, or in a command, goes to files, and each is a failure.
for tool in ASAN LSAN TSAN UBSAN; do
    declare -n options=${tool}_OPTIONS
    export "${tool}_OPTIONS=${options:+$options:}log_path=$work/found"
    declare +n options
done
UBSAN_OPTIONS+=:print_stacktrace=1
mounts=()
failures=0
checks=0

cleanup() {
    local status=$?
    set +e
    jobs -p | xargs -r kill 2>/dev/null
    for m in "${mounts[@]}"; do
        local pid i
        pid=$(pid_of "$m")
        mountpoint -q "$m" && "$MSASSET" umount "$m" >/dev/null 2>&1
        fusermount3 -uz "$m" 2>/dev/null
        [ -n "$pid" ] || continue
        for ((i = 0; i < 3000; i++)); do is_gone "$pid" && break || sleep 0.01; done
        is_gone "$pid" || kill -9 "$pid"
    done
    for found in "$work"/found.*; do
        [ -e "$found" ] || continue
        failures=$((failures + 1))
        echo "FAILED: a sanitizer found something: ${found##*/}"
        head -n 60 "$found"
    done
    cd /
    rm -rf "$work"
    if [ $status -eq 0 ] && [ $failures -gt 0 ]; then
        status=1
    fi
    if [ $status -eq 0 ] && [ $checks -eq 0 ]; then
        echo "this script checked nothing"
        status=1
    fi
    echo "$checks checks, $failures failed"
    exit $status
}
trap cleanup EXIT

# check TEXT COMMAND...: the command must succeed.
check() {
    local text=$1
    shift
    checks=$((checks + 1))
    if ! "$@" >"$work/check.out" 2>&1; then
        failures=$((failures + 1))
        echo "FAILED: $text: $*"
        sed 's/^/    /' "$work/check.out" | head -n 20
    fi
}

# refuses TEXT PATTERN COMMAND...: the command must fail, and say what the pattern wants.
refuses() {
    local text=$1 pattern=$2
    shift 2
    checks=$((checks + 1))
    if "$@" >"$work/check.out" 2>&1; then
        failures=$((failures + 1))
        echo "FAILED: $text: succeeded: $*"
    elif ! grep -qE "$pattern" "$work/check.out"; then
        failures=$((failures + 1))
        echo "FAILED: $text: wrong words, wanted '$pattern': $*"
        sed 's/^/    /' "$work/check.out" | head -n 20
    fi
}

# equals TEXT WANTED FOUND
equals() {
    checks=$((checks + 1))
    if [ "$2" != "$3" ]; then
        failures=$((failures + 1))
        echo "FAILED: $1: wanted '$2', found '$3'"
    fi
}

# The condition must come true within 20 s (it takes a millisecond; a loaded machine gets its time).
comes() { # TEXT COMMAND...
    local text=$1 i
    shift
    for ((i = 0; i < 2000; i++)); do
        if "$@" >/dev/null 2>&1; then
            checks=$((checks + 1))
            return
        fi
        sleep 0.01
    done
    check "$text" "$@"
}
new_store() { # [QUOTA]
    "$MSASSET" init -q
    "$MSASSET" tenant add media -q --quota "${1:-5G}"
}

mount_on() { # DIR [OPTIONS]
    local dir=$1
    shift
    mkdir -p "$dir"
    "$MSASSET" mount media "$dir" "$@"
    mounts+=("$dir")
}

umount_from() {
    "$MSASSET" umount "$1"
}

# The process that serves a mount.
pid_of() { # DIR
    pgrep -f -- "msasset mount media $1( |\$)" | head -n 1 || true
}
is_gone() { ! kill -0 "$1" 2>/dev/null || [ "$(ps -o stat= -p "$1" | cut -c1)" = Z ]; }
wait_gone() { # PID
    while ! is_gone "$1"; do sleep 0.01; done
}
# The mount dies at once, as in a crash, and leaves a dead mountpoint, which goes too.
kill_mount() { # DIR
    local pid
    pid=$(pid_of "$1")
    kill -9 "$pid"
    fusermount3 -uz "$1" 2>/dev/null || umount -l "$1"
    wait_gone "$pid"
}

drop_caches() {
    echo 3 >/proc/sys/vm/drop_caches 2>/dev/null || true
}

id_of() { getfattr --only-values -n user.msasset.id "$1" 2>/dev/null; }
state_of() { getfattr --only-values -n user.msasset.state "$1" 2>/dev/null; }
root_of() { getfattr --only-values -n user.msasset.root "$1" 2>/dev/null; }

# The store must be whole: no broken invariant.
store_is_whole() {
    check "fsck finds nothing" "$MSASSET" fsck
}
# ... and nothing may be left to settle.
store_is_settled() {
    "$MSASSET" recover -q
    "$MSASSET" gc -q --grace 0s
    checks=$((checks + 1))
    "$MSASSET" fsck --store-list --json >"$work/fsck.json" || true
    if ! jq -e '.findings == [] and .pending == []' "$work/fsck.json" >/dev/null; then
        failures=$((failures + 1))
        echo "FAILED: fsck after recover and gc:"
        jq . "$work/fsck.json" | head -n 40
    fi
}

# One real file of each kind into a folder; SECONDS of video.
make_media() { # DIR SECONDS
    local dir=$1 t=$2
    mkdir -p "$dir"
    local ff=(ffmpeg -nostdin -v error -y)
    "${ff[@]}" -f lavfi -i testsrc2=size=640x360:rate=25 -f lavfi -i sine=frequency=440 -t "$t" -c:v libx264 \
        -preset ultrafast -pix_fmt yuv420p -c:a aac "$dir/film.mp4"
    "${ff[@]}" -f lavfi -i testsrc2=size=320x180:rate=25 -t "$t" -c:v libvpx-vp9 -deadline realtime -cpu-used 8 \
        "$dir/clip.webm"
    "${ff[@]}" -f lavfi -i sine=frequency=330 -t "$t" -c:a libmp3lame "$dir/song.mp3"
    "${ff[@]}" -f lavfi -i sine=frequency=220 -t "$t" -c:a pcm_s16le "$dir/voice.wav"
    "${ff[@]}" -f lavfi -i testsrc2=size=640x360 -frames:v 1 "$dir/picture.png"
    python3 - "$dir/slides.pptx" <<'PY'
import sys, zipfile
with zipfile.ZipFile(sys.argv[1], "w", zipfile.ZIP_DEFLATED) as z:
    z.writestr("[Content_Types].xml", '<?xml version="1.0" encoding="UTF-8"?><Types xmlns='
               '"http://schemas.openxmlformats.org/package/2006/content-types"><Default Extension="xml" '
               'ContentType="application/xml"/><Override PartName="/ppt/presentation.xml" ContentType='
               '"application/vnd.openxmlformats-officedocument.presentationml.presentation.main+xml"/></Types>')
    z.writestr("_rels/.rels", '<?xml version="1.0"?><Relationships xmlns='
               '"http://schemas.openxmlformats.org/package/2006/relationships"/>')
    z.writestr("ppt/presentation.xml", '<?xml version="1.0"?><p:presentation xmlns:p='
               '"http://schemas.openxmlformats.org/presentationml/2006/main"/>')
    z.writestr("ppt/slides/slide1.xml", "<p/>" * 1000)
PY
}
folder_of() {
    case $1 in
    *.mp4 | *.webm) echo videos ;;
    *.mp3 | *.wav) echo audio ;;
    *.png) echo images ;;
    *) echo presentations ;;
    esac
}
