# Help, manual pages and program say the same: the pages come from, or are compared with, the same tables.
set -euo pipefail
unset MSASSET_STORE MSASSET_TENANT
fail() { echo "FAILED: $*"; exit 1; }

"$MSASSET" help --roff | diff - "$MS_SOURCE_DIR/man/msasset.1" ||
    fail "man/msasset.1 is not what the program prints: msasset help --roff > man/msasset.1"
for page in "$MS_SOURCE_DIR"/man/*.[1-9]; do
    out=$(LC_ALL=C.UTF-8 MANROFFSEQ='' MANWIDTH=80 man --warnings -E UTF-8 -l -Tutf8 -Z "$page" 2>&1 >/dev/null)
    [ -z "$out" ] || fail "$page: $out"
done
for key in $("$MSASSET" config show --json | jq -r 'keys[]'); do
    grep -q "^\.B ${key//_/_}$" "$MS_SOURCE_DIR/man/msasset.conf.5" || fail "msasset.conf(5) lacks the key $key"
    id=${key//-/_}
    grep -rqw "MS_CONFIG_${id^^}" "$MS_SOURCE_DIR/gateway" "$MS_SOURCE_DIR/fuse" --include='*.c' || fail "nothing reads the key $key"
done

commands=$("$MSASSET" help | sed -n '/^Commands:/,/^$/p' | sed -n 's/^  \([a-z]*\( [a-z-]*\)\?\)  *.*/\1/p' | sed 's/ *$//')
[ "$(echo "$commands" | wc -l)" -ge 20 ] || fail "help lists too few commands: $commands"
while read -r command; do
    # shellcheck disable=SC2086
    text=$("$MSASSET" help $command)
    first=${text%%$'\n'*} # no pipe: one whose reader leaves early fails now and then
    [[ $first == "msasset $command"* ]] || fail "help $command begins with: $first"
    [ "$(echo "$text" | wc -l)" -le 30 ] || fail "help $command does not fit on a screen"
    echo "$text" | awk 'length > 120 {bad = 1} END {exit bad}' || fail "help $command has a line over 120 columns"
    # shellcheck disable=SC2086
    [ "$("$MSASSET" $command --help)" = "$text" ] || fail "$command --help differs from help $command"
done <<<"$commands"
[ "$("$MSASSET" --help)" = "$("$MSASSET" help)" ] || fail "--help differs from help"
echo "$(echo "$commands" | wc -l) commands, their help and the manual pages agree"
