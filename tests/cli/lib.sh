# lib.sh — what scripts about commands share: an empty folder, no configuration, and ways to look at what was said.
set -euo pipefail
export LC_ALL=C.UTF-8
program=$MSASSET
unset "${!MSASSET@}"
MSASSET=$program
work=$(mktemp -d "${TMPDIR:-/tmp}/msasset-cli.XXXXXX")
trap 'rm -rf "$work"' EXIT
export HOME=$work XDG_CONFIG_HOME=$work/config MSASSET_STORE=$work/store
cd "$work"
n=0
fail() { echo "FAILED: $*"; exit 1; }

# status WANTED COMMAND...: run msasset, compare the exit status, keep what it said in out and err.
status() {
    local want=$1 got=0
    shift
    n=$((n + 1))
    "$MSASSET" "$@" >out 2>err </dev/null || got=$?
    [ "$got" = "$want" ] || fail "msasset $*: exit $got instead of $want: $(cat out err)"
}
said() { # PATTERN: on stderr
    grep -qE -- "$1" err || fail "stderr lacks '$1': $(cat err)"
}
printed() { # PATTERN: on stdout
    grep -qE -- "$1" out || fail "stdout lacks '$1': $(cat out)"
}
json() { # FILTER: must be true of stdout
    jq -e "$1" out >/dev/null || fail "not true of the output: $1: $(cat out)"
}
