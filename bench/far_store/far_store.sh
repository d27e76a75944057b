# The far store answers as S3 does, in what bench/run's contestants ask of it: put, get, ranges, copies, lists, parts.
set -euo pipefail
work=$(mktemp -d "${TMPDIR:-/tmp}/ms-far.XXXXXX")
far=
trap '[ -z "$far" ] || kill "$far" 2>/dev/null; rm -rf "$work"' EXIT
failed=0 checks=0

equals() { # WHAT WANTED FOUND
    checks=$((checks + 1))
    [ "$2" = "$3" ] || {
        failed=$((failed + 1))
        echo "FAILED: $1: wanted '$2', found '$3'"
    }
}
ask() { curl -sS --max-time 60 -H "Authorization: any" "$@"; }
status() { ask -o /dev/null -w '%{http_code}' "$@"; }
sum() { sha256sum | cut -c1-64; }

"$MS_BINARY_DIR/bench/far_store/far_store" -l 30 -b made >"$work/url" &
far=$!
for ((i = 0; i < 600; i++)); do [ ! -s "$work/url" ] || break; sleep 0.1; done
url=$(cat "$work/url")/made
head -c 3000000 /dev/urandom >"$work/a"

equals "without keys" 403 "$(curl -sS -o /dev/null -w '%{http_code}' "$url/a")"
equals "put" 200 "$(status -T "$work/a" "$url/dir/a%20b" -H 'x-amz-meta-who: me' -H 'Content-Type: video/mp4')"
equals "get" "$(sum <"$work/a")" "$(ask "$url/dir/a%20b" | sum)"
equals "range" "$(tail -c +1001 "$work/a" | head -c 500 | sum)" "$(ask -r 1000-1499 "$url/dir/a%20b" | sum)"
equals "last bytes" "$(tail -c 77 "$work/a" | sum)" "$(ask -r -77 "$url/dir/a%20b" | sum)"
equals "range behind the end" 416 "$(status -r 3000000- "$url/dir/a%20b")"
equals "metadata" 2 "$(ask -I "$url/dir/a%20b" | grep -ciE '^(x-amz-meta-who: me|content-type: video/mp4)' || true)"
equals "nothing there" 404 "$(status "$url/none")"
equals "only if new" 412 "$(status -T "$work/a" -H 'If-None-Match: *' "$url/dir/a%20b")"
equals "no sooner than its latency" yes \
    "$(ask -o /dev/null -w '%{time_starttransfer}' "$url/dir/a%20b" | awk '{print ($1 >= 0.030 ? "yes" : $1)}')"

equals "copy" 200 "$(status -X PUT -H 'x-amz-copy-source: /made/dir/a%20b' "$url/copy")"
equals "the copy" "$(sum <"$work/a")" "$(ask "$url/copy" | sum)"

id=$(ask -X POST "$url/parts?uploads" | sed -n 's/.*<UploadId>\(.*\)<\/UploadId>.*/\1/p')
equals "a part" 200 "$(status -T "$work/a" "$url/parts?partNumber=1&uploadId=$id")"
equals "a part by copy" 200 "$(status -X PUT -H 'x-amz-copy-source: made/copy' -H 'x-amz-copy-source-range: bytes=5-9' \
    "$url/parts?partNumber=2&uploadId=$id")"
equals "complete" 200 "$(status -d '<C><Part><PartNumber>1</PartNumber></Part><Part><PartNumber>2</PartNumber></Part></C>' \
    "$url/parts?uploadId=$id")"
equals "the parts" "$({ cat "$work/a"; tail -c +6 "$work/a" | head -c 5; } | sum)" "$(ask "$url/parts" | sum)"
equals "the upload is over" 404 "$(status -X DELETE "$url/parts?uploadId=$id")"

list=$(ask "$url?list-type=2&delimiter=/&max-keys=2")
equals "a page of a list" "copy dir/ true" "$(echo "$list" |
    sed 's/.*<Contents><Key>\(.*\)<\/Key>.*<CommonPrefixes><Prefix>\(.*\)<\/Prefix>.*<IsTruncated>\(.*\)<\/IsTruncated>.*/\1 \2 \3/')"
token=$(echo "$list" | sed -n 's/.*<NextContinuationToken>\(.*\)<\/NextContinuationToken>.*/\1/p')
equals "the next page" parts "$(ask "$url?list-type=2&delimiter=/&continuation-token=$token" |
    sed 's/.*<Contents><Key>\(.*\)<\/Key>.*/\1/')"
equals "delete many" 200 "$(status -d '<D><Object><Key>dir/a b</Key></Object><Object><Key>copy</Key></Object></D>' "$url?delete")"
equals "what is left" parts "$(ask "$url" | sed 's/.*<Key>\(.*\)<\/Key>.*/\1/')"

echo "$checks checks, $failed failed"
[ "$failed" -eq 0 ]
