#!/usr/bin/env bash
# The first command of the README: install what is missing, build, make a store on the embedded default, mount it, and
# do the main job once. May be run again: it goes on with the store and the mount that are there.
#
#   packaging/demo.sh [FOLDER]       FOLDER: where store and mount go; default: demo/ beside the source
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source_dir=$(dirname "$here")
demo=${1:-$source_dir/demo}
build=${MS_BUILD_DIR:-$source_dir/build}/release
msasset=$build/bin/msasset

step() { printf '\n== %s\n' "$*"; }
show() {
    printf '$ %s\n' "$*"
    "$@"
}

[ -c /dev/fuse ] || {
    echo "demo: there is no /dev/fuse here; in a container, give it that device and the right to mount" >&2
    exit 2
}

step "Packages"
"$here/install-deps.sh" build

step "Build"
cmake -S "$source_dir" --preset release -B "$build" >/dev/null
cmake --build "$build" --target msasset | tail -n 1

mkdir -p "$demo/mnt"
demo=$(cd "$demo" && pwd)
mnt=$demo/mnt
# Only this demo's store is used, whatever the user's settings are.
unset "${!MSASSET_@}"
export MSASSET_STORE=$demo/store MSASSET_TENANT=media

step "A store in $demo/store, a tenant, a mount"
[ -e "$MSASSET_STORE/msasset.store" ] || show "$msasset" init
"$msasset" tenant show media >/dev/null 2>&1 || show "$msasset" tenant add media
mountpoint -q "$mnt" || {
    fusermount3 -uz "$mnt" 2>/dev/null || true # what a killed mount left
    show "$msasset" mount media "$mnt"
}

step "A video, made by ffmpeg, copied in"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
ffmpeg -nostdin -v error -y -f lavfi -i testsrc2=size=1280x720:rate=30 -f lavfi -i sine=frequency=440 -t 10 \
    -c:v libx264 -pix_fmt yuv420p -c:a aac -movflags +faststart "$work/film.mp4"
show cp "$work/film.mp4" "$mnt/videos/film.mp4"

step "Listed with type, size and root hash"
show "$msasset" ls videos -l
show "$msasset" hash "$work/film.mp4"

step "The same bytes, through the mount and through the command; played to the end"
show cmp "$work/film.mp4" "$mnt/videos/film.mp4"
"$msasset" get videos/film.mp4 - | cmp - "$work/film.mp4" && echo "msasset get: the same bytes"
ffmpeg -nostdin -v error -i "$mnt/videos/film.mp4" -f null - && echo "ffmpeg played it to its end"

step "What is used"
show "$msasset" quota show
show df -h "$mnt"

cat <<END

The store is mounted on $mnt. Three commands to go on with:

  export PATH=$build/bin:\$PATH MSASSET_STORE=$MSASSET_STORE MSASSET_TENANT=media
  getfattr -d $mnt/videos/film.mp4      # what msasset knows of it (package attr)
  msasset rm videos/film.mp4 && msasset ls --bin && msasset restore videos/film.mp4
  msasset umount $mnt                   # ends the mount; the store stays
END
