# The bill of a live store, as far as the wall clock lets it be seen: open days, refusals, history into simulate.
set -euo pipefail
unset MSASSET_STORE MSASSET_TENANT
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
fail() { echo "FAILED: $*"; exit 1; }
export MSASSET_STORE=$work/store

status() { # WANTED ARGUMENTS...: run it, keep what it said in out and err
    local want=$1 got=0
    shift
    "$MSASSET" "$@" >out 2>err </dev/null || got=$?
    [ "$got" = "$want" ] || fail "$*: exit $got instead of $want: $(cat out err)"
}
said() { grep -qF -- "$1" err || fail "stderr lacks '$1': $(cat err)"; }

echo '{"currency":"EUR","cards":[{"valid_from":"2020-01","storage":[{"price":"0.02"}]}]}' >rates
"$MSASSET" init >/dev/null
"$MSASSET" tenant add media >/dev/null
"$MSASSET" tenant add second >/dev/null
head -c 300000 /dev/urandom >a.bin
"$MSASSET" --tenant media put a.bin /files/ >/dev/null
today=$(date -u +%F)

status 64 bill run
said "bill_rates"
status 66 bill run --rates nothing
status 0 bill run --rates rates --json
[ "$(jq -r '"\(.tenants) \(.days) \(.parked) \(.currency)"' out)" = "2 0 0 EUR" ] || fail "run: $(cat out)"
status 0 bill run --rates rates --dry-run --json
[ "$(jq -r '"\(.dry_run) \(.tenants) \(.days)"' out)" = "true 2 0" ] || fail "dry run: $(cat out)"
status 0 bill run --rates rates -n
grep -qF "0 days would be closed" out || fail "dry run: $(cat out)"
status 64 bill run --rates rates --dry-run --release media
said "--dry-run writes nothing"
status 65 bill run --rates rates --through "$today"
said "$today is not over"
status 65 bill run --rates rates --through 2026-02-30
said "2026-02-30"
status 67 bill run --rates rates --tenant nobody
status 5 bill run --rates rates --release media
said "not parked"
MSASSET_BILL_RATES=$work/rates status 0 bill run

status 0 bill explain media "$today" --json
[ "$(jq -r '[.[].why] | join(" ")' out)" = "begin settings seal" ] || fail "explain: $(cat out)"
[ "$(jq -r '.[2] | "\(.bytes_after) \(.standard) \(.class)"' out)" = "300000 300000 standard" ] || fail "explain: $(cat out)"
status 65 bill explain media 2020-01-01
said "began at"
status 65 bill explain media 2100-01-01
said "has not begun"

status 0 bill history --tenant media
[ "$(jq -r .do out | tr '\n' ' ')" = "tenant put end " ] || fail "history: $(cat out)"
status 0 bill history
[ "$(jq -r .do out | sort | uniq -c | tr -s ' \n' ' ')" = " 1 end 1 put 2 tenant " ] || fail "history of all: $(cat out)"
cp out history
status 0 bill simulate --history history --rates rates --json
status 0 bill verify --rates rates --json
[ "$(jq -r '"\(.tenants) \(.findings | length)"' out)" = "2 0" ] || fail "verify: $(cat out)"
status 0 bill show --tenant media
status 0 bill show --tenant media --json
[ ! -s out ] || fail "days are shown that nobody closed: $(cat out)"
# adjustments and exports
status 64 bill adjust media 1.5
said "--reason"
status 64 bill adjust --reason why media 1.1234567
status 65 bill adjust --reason why --day "$today" media 1
said "no closed day"
status 0 bill adjust --reason "an outage, long" media --json -- -12.50
[ "$(jq -r '"\(.adjustment) \(.micros) \(.currency) \(.day)"' out)" = "1 -12500000 CNY null" ] || fail "adjust: $(cat out)"
status 0 bill show --tenant media --json
[ "$(jq -r .reason out)" = "an outage, long" ] || fail "show of an adjustment: $(cat out)"
status 0 bill show --tenant media
grep -qF -- "-12.500000" out || fail "table of adjustments: $(cat out)"
status 64 bill export --format xls
status 0 bill export --format csv
[ "$(wc -l <out)" = 2 ] || fail "csv: $(cat out)"
grep -qF ',adjustment,1,charge,-12500000,-12.500000,CNY,"an outage, long"' out || fail "csv: $(cat out)"
status 0 bill export --format json --tenant media
[ "$(jq -r .amount out)" = "-12.500000" ] || fail "json: $(cat out)"
status 0 bill export --format focus --provider "ACME"
[ "$(head -1 out | tr ',' '\n' | wc -l)" = 29 ] || fail "focus: $(cat out)"
status 0 bill verify --rates rates --json
[ "$(jq -r '.findings | length' out)" = 0 ] || fail "verify: $(cat out)"
exec 9>"$MSASSET_STORE/bill.lock"
flock 9
status 5 bill run --rates rates
said "another bill run is at work"
exec 9>&-
status 0 bill run --rates rates

# a produced video: refused whole, then charged by the minute, and told as such
ffmpeg -v error -nostdin -f lavfi -i color=s=16x16:r=5:d=1 -c:v mpeg4 v.mp4
truncate -s 5032 v.mp4
status 6 produce v.mp4 /videos/ --duration 754.2 --tenant media
said "pay-per-use is off"
status 64 produce v.mp4 /videos/ --tenant media
said "--duration"
status 64 produce v.mp4 /videos/ --duration 1.2345 --tenant media
status 0 quota set --pay-per-use on --tenant media
status 0 produce v.mp4 /videos/ --duration 754.2 --tenant media --json
[ "$(jq -r '"\(.origin) \(.asset_type)"' out)" = "CUSTOMIZED VIDEO" ] || fail "produce: $(cat out)"
status 5 produce v.mp4 /videos/ --duration 754.2 --tenant media
status 0 bill explain media "$today" --json
[ "$(jq -r '.[-1] | "\(.why) \(.seconds) \(.video_hundredths) \(.video_paid_hundredths) \(.produced_free)"' out)" = "produce 754 1257 1257 5032" ] ||
    fail "explain of a produced video: $(cat out)"
status 0 bill explain media "$today"
grep -qF "12.57 (12.57 paid)" out || fail "explain: $(cat out)"
status 0 bill history
cp out history
[ "$(jq -c 'select(.do == "produce") | [.seconds, .bytes]' history)" = "[754,5032]" ] || fail "history: $(cat history)"
status 0 bill simulate --history history --rates rates --json
status 0 bill verify --rates rates --json
[ "$(jq -r '.findings | length' out)" = 0 ] || fail "verify: $(cat out)"
# packages: minutes of one are used before pay-per-use, capacity adds to the quota, an order is taken once
status 64 package buy mins --kind VIDEO_MINUTES --amount 10 --tenant media
said "--order"
status 64 package buy mins --kind VIDEO --amount 10 --order 1 --tenant media
status 0 package buy mins --kind VIDEO_MINUTES --amount 10.5 --order 1 --tenant media --json
[ "$(jq -r '"\(.state) \(.amount) \(.left) \(.paid)"' out)" = "VALID 1050 1050 true" ] || fail "buy: $(cat out)"
minutes=$(jq -r .package_id out)
status 0 package buy mins --kind VIDEO_MINUTES --amount 10.5 --order 1 --tenant media --json
[ "$(jq -r .package_id out)" = "$minutes" ] || fail "an order was taken twice: $(cat out)"
status 5 package buy mins --kind VIDEO_MINUTES --amount 11 --order 1 --tenant media
status 0 package allocate am --kind ASSET_MANAGER --amount 2G --months 0 --order 2 --tenant media
status 0 quota show --tenant media --json
[ "$(jq -r .allowance_bytes out)" = 7516192768 ] || fail "quota: $(cat out)"
status 0 produce v.mp4 /videos/w.mp4 --duration 60 --tenant media
status 0 package ls --tenant media --json
[ "$(jq -r '.[] | select(.kind == "VIDEO_MINUTES") | "\(.used) \(.source)"' out)" = "100 PURCHASED" ] || fail "ls: $(cat out)"
status 0 package renew "$minutes" --order 3 --tenant media --json
status 0 package auto-renew "$minutes" on --tenant media
status 0 package ls --tenant media
grep -q "renewing in " out || fail "ls: $(cat out)"
status 65 package bind "$minutes" /videos/w.mp4 --tenant media
said "is not for a VIDEO"
status 0 bill explain media "$today" --json
[ "$(jq -r '[.[].why] | .[-4:] | join(" ")' out)" = "package package produce renew" ] || fail "explain: $(cat out)"
status 0 bill history
cp out history
status 0 bill simulate --history history --rates rates --json
status 0 bill verify --rates rates --json
[ "$(jq -r '.findings | length' out)" = 0 ] || fail "verify: $(cat out)"
status 0 fsck
echo "the bill of a live store: all as expected"
