# msasset bill simulate as a person meets it: exit statuses, where output goes, tables, standard input.
set -euo pipefail
unset MSASSET_STORE MSASSET_TENANT
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
fail() { echo "FAILED: $*"; exit 1; }

status() { # WANTED ARGUMENTS...: run it, keep what it said in out and err
    local want=$1 got=0
    shift
    "$MSASSET" bill simulate "$@" >out 2>err </dev/null || got=$?
    [ "$got" = "$want" ] || fail "bill simulate $*: exit $got instead of $want: $(cat out err)"
}
said() { grep -qF -- "$1" err || fail "stderr lacks '$1': $(cat err)"; }
nothing() { [ ! -s out ] || fail "output in spite of an error: $(cat out)"; }

# Six months from 31 August, a package that begins and ends inside a day, minutes half in a package.
cat >history <<'END'
{"at":"2025-08-31T06:00:00.000Z","do":"tenant","tenant":"t1","free_bytes":0,"pay_per_use":true}
{"at":"2025-08-31T06:00:00.000Z","do":"produce","tenant":"t1","asset":"v1","seconds":754,"bytes":1073741824}

{"at":"2026-01-31T18:00:00.000Z","do":"package","tenant":"t1","package":"p1","name":"am-1g","kind":"ASSET_MANAGER","amount":1073741824,"months":1,"terms":2}
{"at":"2026-02-01T00:00:00.000Z","do":"tenant","tenant":"second"}
{"at":"2026-04-01T12:00:00.000Z","do":"end"}
END
cat >rates <<'END'
{"currency":"CNY","cards":[{"valid_from":"2026-01","storage":[{"price":"31"}],"packages":{"am-1g":"1.905"}},
  {"valid_from":"2025-08","video_minute":"3.50"}]}
END
status 0 --history history --rates rates --json
[ ! -s err ] || fail "talk: $(cat err)"
cat >want <<'END'
{"tenant":"t1","month":"2025-08","total_micros":"43995000","total":"44.00","currency":"CNY"}
{"tenant":"t1","month":"2025-09","total_micros":"0","total":"0.00","currency":"CNY"}
{"tenant":"t1","month":"2025-10","total_micros":"0","total":"0.00","currency":"CNY"}
{"tenant":"t1","month":"2025-11","total_micros":"0","total":"0.00","currency":"CNY"}
{"tenant":"t1","month":"2025-12","total_micros":"0","total":"0.00","currency":"CNY"}
{"tenant":"t1","month":"2026-01","total_micros":"1905000","total":"1.91","currency":"CNY"}
{"tenant":"t1","month":"2026-02","total_micros":"1905000","total":"1.91","currency":"CNY"}
{"tenant":"t1","month":"2026-03","total_micros":"250000","total":"0.25","currency":"CNY"}
{"tenant":"second","month":"2026-02","total_micros":"0","total":"0.00","currency":"CNY"}
{"tenant":"second","month":"2026-03","total_micros":"0","total":"0.00","currency":"CNY"}
END
grep '"month"' out | diff want - || fail "months differ"
[ "$(grep -c '"day"' out)" = $((213 + 59)) ] || fail "$(grep -c '"day"' out) days"
# 28 February: free until six in the morning; 31 March: the package ends at 18:00.
for day in '"2026-02-28","standard":"0","produced_free":"23192823398400000","produced":"69578470195200000",' \
    '"2026-03-31","standard":"0","produced_free":"0","produced":"92771293593600000","excluded":"0","allowance":"69578470195200000","excess":"23192823398400000",'; do
    grep -qF "{\"tenant\":\"t1\",\"day\":$day" out || fail "no day like $day"
done

"$MSASSET" bill simulate --json --history - --rates rates <history | cmp - out || fail "standard input differs"
"$MSASSET" bill simulate --json --history history --rates - <rates | cmp - out || fail "rates from standard input differ"
status 0 --history history --rates rates
grep -qP '^2026-03\t31\t0\.008064516\t0\.00\t0\.00\t0\.250000\t0\.000000\t0\.000000\t0\.25$' out || fail "table: $(cat out)"
status 0 --history history --rates rates --days
grep -qP '^2025-08-31\t.*\t12\.57\t12\.57\t' out || fail "table of days: $(cat out)"

sed 's/"bytes":1073741824/"bytes":-1/' history >bad
status 2 --history bad --rates rates --json && said '"code":"BILL_INPUT"' && nothing
status 2 --history bad --rates rates && said 'msasset: line 2: "bytes" is -1: it must be a whole number' && nothing
sed '$d' history >bad
status 2 --history bad --rates rates && said 'line 5: ' && nothing
sed 's/1.905/1.9.05/' rates >bad
status 2 --history history --rates bad && said 'cards[0].packages.am-1g is "1.9.05"' && nothing
status 66 --history nowhere --rates rates && said nowhere
status 66 --history history --rates nowhere && said nowhere
status 64 --history history && said 'usage: msasset bill simulate'
status 64 --history - --rates - && said 'standard input'
status 64 --history history --rates rates more
"$MSASSET" bill simulate --json --history history --rates rates >/dev/full 2>err && fail "a full disk went unnoticed"
said 'cannot be written'
echo "bill simulate: all as promised"
