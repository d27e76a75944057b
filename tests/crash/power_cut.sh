# power_cut.sh IMAGES EXPECT SWALLOW WORKLOAD... -- CHECKER...
#
# Record WORKLOAD, replay IMAGES power cuts of it, have CHECKER judge each. In both a word that begins with @ stands
# for a path below the recorded folder ("@/s"); programs without a slash are those built here. EXPECT is clean or
# loss, SWALLOW is 1 when syncs are to do nothing. See README.md.
set -eu
images=$1 expect=$2 swallow=$3
shift 3
bin=$MS_BINARY_DIR/tests/crash
# Images go to memory when there is a place: a thousand of them cost nothing but time on a disk.
top=${TMPDIR:-/tmp}
[ -w /dev/shm ] && top=/dev/shm
work=$(mktemp -d "$top/msasset-crash.XXXXXX")
leave() {
    status=$?
    if [ $status != 0 ] && [ "$expect" = clean ]; then echo "left in $work"; else rm -rf "$work"; fi
    exit $status
}
trap leave EXIT
mkdir "$work/rec"
place() { case $1 in @*) echo "$work/rec${1#@}" ;; *) echo "$1" ;; esac; }
program() { case $1 in */*) echo "$1" ;; *) echo "$bin/$1" ;; esac; }

workload=("$(program "$1")")
shift
while [ "$1" != -- ]; do
    workload+=("$(place "$1")")
    shift
done
shift
checker=("$(program "$1")")
shift
checker+=("$@")

# The sanitizers want to come first of all libraries; behind the recorder they do well enough.
export ASAN_OPTIONS="${ASAN_OPTIONS:-}:verify_asan_link_order=0"
MS_CRASH_DIR=$work/rec MS_CRASH_LOG=$work/log MS_CRASH_SWALLOW=$swallow LD_PRELOAD=$bin/libcrash_record.so \
    "${workload[@]}" >/dev/null
"$bin/replay" --log "$work/log" --work "$work" --images "$images" --expect "$expect" \
    ${MS_TEST_SEED:+--seed "$MS_TEST_SEED"} -- "${checker[@]}"
