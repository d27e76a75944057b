#!/usr/bin/env bash
# Install what is missing, build, and pass every test: the second command of the README, and what CI runs.
#
#   packaging/test.sh [STAGE]...     stages: release asan tsan; default: all
#
# Environment:
#   MS_BUILD_DIR   where the build folders go; default: build/ in the source
#   MS_JOBS        compilations at once; default: the number of processors
#   CI=true or REQUIRE_FUSE=1   a skipped test is a failure: FUSE, and everything else, must be there
#
# Every stage runs even after one has failed. The last line is "N passed, N failed", summed over the stages.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source_dir=$(dirname "$here")
build_dir=${MS_BUILD_DIR:-$source_dir/build}
jobs=${MS_JOBS:-$(nproc)}
[ "${CI:-}" = true ] || [ "${REQUIRE_FUSE:-}" = 1 ] && skips_fail=yes || skips_fail=no

passed=0 failed=0 skipped=0
times=()

# Tests start from the settings of nobody.
unset "${!MSASSET_@}"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
export XDG_CONFIG_HOME=$scratch/config

export UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1}
export TSAN_OPTIONS=${TSAN_OPTIONS:-halt_on_error=1:second_deadlock_stack=1}
command -v ccache >/dev/null && export CMAKE_C_COMPILER_LAUNCHER=${CMAKE_C_COMPILER_LAUNCHER-ccache}

say() { printf '\n=== %s\n' "$*"; }

timed() { # name command...: run it, remember how long it took, keep its status
    local name=$1 start=$SECONDS status=0
    shift
    say "$name"
    "$@" || status=$?
    times+=("$(printf '%6d s  %s%s' $((SECONDS - start)) "$name" "$([ $status -eq 0 ] || echo ': FAILED')")")
    return $status
}

build() { # preset
    cmake -S "$source_dir" --preset "$1" -B "$build_dir/$1" >"$scratch/cmake.log" 2>&1 || {
        cat "$scratch/cmake.log"
        return 1
    }
    cmake --build "$build_dir/$1" -j "$jobs" >"$scratch/build.log" 2>&1 || {
        grep -v '^\[[0-9]*/[0-9]*\]' "$scratch/build.log" || true
        return 1
    }
}

attribute() { # name: its number in the first <testsuite> of a JUnit file on stdin
    grep -m1 -o "[[:space:]]$1=\"[0-9]*\"" | tr -dc 0-9
}

# gcc 12's thread sanitizer cannot live with the wide address randomisation of newer kernels.
steady_addresses() {
    if setarch -R true 2>/dev/null; then
        echo "setarch -R"
    fi
}

# The ends of what failed tests said, once more, where who looks at the end of a long log finds them.
remember_failures() { # preset junit-file
    python3 - "$1" "$2" <<'PY' >>"$scratch/failures" || true
import sys
import xml.etree.ElementTree as tree

for case in tree.parse(sys.argv[2]).getroot().iter("testcase"):
    if case.get("status") == "fail":
        lines = (case.findtext("system-out") or "").rstrip().splitlines()
        print(f"--- {sys.argv[1]}: {case.get('name')}, {case.get('time')} s", *[l[:300] for l in lines[-25:]], sep="\n")
PY
}

count() { # preset junit-file status-of-ctest: add what one run did; 1 when it is not as it should be
    local tests bad unrun skips inner
    if ! tests=$(attribute tests <"$2"); then
        echo "$1: ctest left no report"
        failed=$((failed + 1))
        return 1
    fi
    # A program that is not there counts as skipped, for ctest; for us it failed.
    unrun=$(attribute skipped <"$2")
    skips=$(grep -c '<skipped message="SKIP_' "$2" || true)
    bad=$(($(attribute failures <"$2") + unrun - skips))
    skips=$((skips + $(attribute disabled <"$2")))
    # Cases that a cmocka program skips inside a passing run.
    inner=$(sed -n 's/^\[  SKIPPED \] \([0-9]*\) test(s).*/\1/p' \
        "$build_dir/$1/Testing/Temporary/LastTest.log" | awk '{n += $1} END {print n + 0}')
    passed=$((passed + tests - bad - skips))
    skipped=$((skipped + skips + inner))
    [ "$bad" -gt 0 ] || [ "$3" -eq 0 ] || bad=1
    failed=$((failed + bad))
    if [ "$skips" -gt 0 ] || [ "$inner" -gt 0 ]; then
        echo "$1: $skips tests and $inner cases inside tests were skipped"
        [ "$skips_fail" = no ] || return 1
    fi
    [ "$bad" -eq 0 ]
}

run_tests() { # preset ctest-arguments...
    local preset=$1 prefix=() junit=$scratch/junit.xml status=0
    shift
    [ "$preset" != tsan ] || read -ra prefix <<<"$(steady_addresses)"
    rm -f "$junit"
    "${prefix[@]}" ctest --test-dir "$build_dir/$preset" --output-on-failure --no-tests=ignore \
        --output-junit "$junit" "$@" </dev/null || status=$?
    touch "$junit"
    [ "$status" -eq 0 ] || remember_failures "$preset" "$junit"
    count "$preset" "$junit" "$status"
}

stage() { # preset
    timed "$1: build" build "$1" || {
        failed=$((failed + 1))
        return 1
    }
    case $1 in
    release)
        timed "release: tidy" run_tests release -j2 -L '^tidy$' || true
        timed "release: all tests, the long ones too" run_tests release -j2 -LE '^tidy$' || true
        ;;
    asan) timed "asan: tests" run_tests asan -j2 -LE '^(long|tidy)$' || true ;;
    tsan)
        timed "tsan: tests" run_tests tsan -j2 -L '^(unit|store|content|service|fuse)$' \
            -LE '^(long|tidy)$' || true
        ;;
    esac
}

stages=("${@:-release}")
[ $# -gt 0 ] || stages=(release asan tsan)
for name in "${stages[@]}"; do
    case $name in
    release | asan | tsan) ;;
    *)
        echo "test: unknown stage '$name': release, asan or tsan" >&2
        exit 64
        ;;
    esac
done

timed "packages" "$here/install-deps.sh" build test
[ -e /dev/fuse ] || echo "test: /dev/fuse is missing: tests of the mount will be skipped"
for name in "${stages[@]}"; do
    stage "$name" || true
done

[ ! -s "$scratch/failures" ] || { say "what failed"; cat "$scratch/failures"; }
say "times"
printf '%s\n' "${times[@]}"
printf '%6d s  in all\n\n' "$SECONDS"
ok=yes
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ] || ok=no
if [ "$skipped" -gt 0 ] && [ "$skips_fail" = yes ]; then
    echo "test: $skipped tests were skipped, which is a failure here (CI=true or REQUIRE_FUSE=1)"
    ok=no
fi
tail=
[ "$skipped" -eq 0 ] || tail=", $skipped skipped"
echo "$passed passed, $failed failed$tail"
[ "$ok" = yes ]
