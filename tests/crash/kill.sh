# kill.sh ROUNDS: kill -9 a program that writes to the store, at random instants, again and again on one store; what it
# acknowledged must be there each time. Every tenth round begins with no store at all.
set -eu
rounds=$1
bin=$MS_BINARY_DIR/tests/crash
work=$(mktemp -d "${TMPDIR:-/tmp}/msasset-kill.XXXXXX")
trap 'rm -rf "$work"' EXIT
RANDOM=${MS_TEST_SEED:-$$}
echo "seed: MS_TEST_SEED=${MS_TEST_SEED:-$$}"
killed=0 acked=0
for ((i = 0; i < rounds; i++)); do
    if ((i % 10 == 0)); then
        rm -rf "$work/s" "$work/acks"
        : >"$work/acks"
    fi
    "$bin/store_run" "$work/s" 100000000 $((1 << RANDOM % 4)) >"$work/now" 2>"$work/err" &
    pid=$!
    sleep "0.$(printf %03d $((RANDOM % 250)))"
    kill -9 $pid
    status=0
    wait $pid 2>/dev/null || status=$?
    if [ $status = 137 ]; then killed=$((killed + 1)); else cat "$work/err"; fi
    acked=$((acked + $(wc -l <"$work/now")))
    cat "$work/now" >>"$work/acks"
    "$bin/store_check" "$work" "$work/acks" || { echo "round $i: store_check answers $?"; exit 1; }
done
echo "$killed of $rounds killed, $acked operations acknowledged, none lost"
[ $killed = "$rounds" ] && [ $acked -gt 0 ]
