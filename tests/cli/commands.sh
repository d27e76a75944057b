# The commands without a mount: what they print, what they refuse, and their exit statuses.
. "$(dirname "$0")/lib.sh"

status 0 version && printed '^msasset [0-9]'
status 0 && printed 'Usage: msasset COMMAND'
status 64 nonsense && said 'no command "nonsense"'
status 64 ls --nonsense && said 'no option "--nonsense"'
status 64 get && said 'usage: msasset get'
status 64 put only-one && said 'usage: msasset put'
status 4 ls && said 'msasset init'
status 0 init
status 5 init && said 'already|is a store|exists'
status 67 ls && said 'tenant add'
status 65 tenant add 'Bad Name' && said 'name starts with'
status 65 tenant add x --quota 5Q && said '5Q'
status 0 tenant add media --quota 10M
status 5 tenant add media && said 'media'
status 0 tenant ls --json && json 'length == 1 and .[0].name == "media" and .[0].free_bytes == 10485760'
status 0 tenant show media && printed 'allowance +10 485 760 bytes'
status 67 tenant show nobody && said 'nobody'
status 64 tenant set media && said 'give --finished'
status 64 tenant set media --finished BLOCK && said 'ACTIVED or UNACTIVED'
status 0 tenant set media --finished UNACTIVED
status 0 tenant show media --json && json '.finished_assets == "UNACTIVED"'
status 0 tenant set media --finished ACTIVED
status 0 tenant show media && printed 'finished +ACTIVED'

head -c 1000000 /dev/urandom >a.bin
: >empty.bin
status 0 put a.bin files/
status 5 put a.bin files/ && said 'a.bin'
status 0 put --replace a.bin files/a.bin --json && json '.[0].size_bytes == 1000000 and .[0].asset_state == "ACTIVED"'
status 66 put missing.bin files/ && said 'missing.bin'
status 66 put "$work" files/ && said 'not a regular file'
status 1 put a.bin missing.bin empty.bin images/ && said 'missing.bin'
status 0 ls images --json && json '[.[].asset_name] | sort == ["a.bin", "empty.bin"]'
status 0 ls images files && printed 'images/empty.bin' && printed 'files/a.bin'
status 0 ls files/a.bin images && printed 'Z.files/a.bin' && printed 'images/empty.bin'
status 64 quota show one two && said '2 arguments given, quota show takes 0'
status 4 put a.bin nowhere/ && said 'nowhere'
echo text >fake.png
status 65 put fake.png images/ && said 'png'
head -c 12000000 /dev/zero >big.bin
status 6 put big.bin files/ && said '[0-9]+ bytes'
status 0 quota show --json && json '.metered_bytes == 2000005 and .reserved_bytes == 0'

# uploads as the API has them
md5() { openssl md5 -binary "$1" | base64; }
head -c 300000 /dev/urandom >u.bin
status 0 upload u.bin --name 'Upload me' --tags one,two --json &&
    json '.[0].asset_state == "ACTIVED" and .[0].file_state == "CREATED"'
status 0 show files/u.bin --json && json '.asset_name == "Upload me" and .tags == "one,two"'
status 0 get files/u.bin - && cmp out u.bin
status 0 upload u.bin && status 0 ls files --json && json '[.[].path] | index("/files/u (2).bin") != null'
status 65 upload fake.png && said 'PNG|png'
status 66 upload missing.bin
status 6 upload big.bin && said '[0-9]+ bytes'
status 64 upload u.bin --type FILM && said 'COMMON_FILE'
status 64 asset create x && said 'type'
status 0 asset create 'By hand' --type COMMON_FILE && asset=$(cat out)
status 4 asset file 0123456789abcdef0123456789abcdef --from u.bin
status 64 asset file "$asset" --name x --size 5 --md5 nonsense && said 'MD5'
status 0 asset file "$asset" --name v.bin --size 300000 --md5 "$(md5 u.bin)" --json && json '.upload_urls == []'
file=$(jq -r .file_id out)
status 0 quota show --json && json '.reserved_bytes == 300000'
status 4 asset confirm "$file" && said 'no byte'
status 65 asset send "$file" a.bin && said '1000000 bytes, 300000'
status 0 asset send "$file" u.bin
status 0 asset confirm "$file" && printed "$asset  ACTIVED"
status 5 asset confirm "$file" && said 'CREATED already'
status 0 asset files files/v.bin --json && json 'length == 1 and .[0].state == "CREATED" and .[0].asset_file_category == "MAIN"'
status 0 deactivate files/v.bin && printed UNACTIVED
status 0 activate files/v.bin && printed ACTIVED
status 5 asset file files/v.bin --from u.bin && said 'MAIN file already'
head -c 300000 /dev/urandom >w.bin
status 0 upload w.bin --asset files/v.bin --category TEMPORARY
status 0 get files/v.bin - && cmp out w.bin
status 0 asset create 'Other bytes' --type COMMON_FILE && asset=$(cat out)
status 0 asset file "$asset" --name x.bin --size 300000 --md5 "$(md5 a.bin)" --json && file=$(jq -r .file_id out)
status 0 asset send "$file" u.bin
status 65 asset confirm "$file" && said 'declared MD5'
status 0 show "$asset" --json && json '.fail_type == "MISMATCH" and .asset_state == "FAILED" and .path == null'
status 0 rm -f -y "$asset"
status 0 quota show --json && json '.reserved_bytes == 0'
status 0 fsck --store-list
for name in u.bin 'u (2).bin' v.bin; do status 0 rm -f -y "files/$name"; done

status 0 audit && printed 'CREATED' && printed 'FILE_DECLARED'
status 0 audit --event file_declared --json && jq -es 'all(.event == "FILE_DECLARED") and length > 3' out >/dev/null || fail "audit --event"
status 0 audit --asset "$asset" --json && jq -es 'length == 5 and .[0].from == null' out >/dev/null || fail "audit --asset"
status 0 audit --who nobody && [ ! -s out ] || fail "audit --who"
status 64 audit --event NOTHING && said 'NOTHING'
status 64 audit --since yesterday && said 'yesterday'
status 0 audit verify --json && json '.whole and .rows > 10 and .first_broken == null'
"$MSASSET" audit --follow --event DEACTIVATE >follow & follow=$!
status 0 put a.bin files/followed.bin && status 0 deactivate files/followed.bin
for _ in $(seq 200); do [ -s follow ] && break; sleep 0.1; done
kill "$follow" && wait "$follow" || true
grep -q DEACTIVATE follow || fail "audit --follow shows nothing"
status 0 rm -f -y files/followed.bin

# review
printf 'badword\n' >words
status 64 review set maybe && said 'on or off'
status 0 review set on
status 0 upload w.bin --name 'a BADWORD' --json && json '.[0].asset_state == "CREATING" and .[0].file_state == "UPLOADED"'
bad=$(jq -r '.[0].asset_id' out)
status 0 review ls --json && json '. == []'
status 0 review ls --all --json && json 'length == 1 and (.[0].human | not)'
MSASSET_REVIEW_WORDS=$work/words status 0 review run --json && json '.rejected == 1'
status 0 show "$bad" --json && json '.fail_type == "AUTOMATIC_REVIEW_REJECT" and (.reason | test("badword"))'
status 77 get "$bad" -
status 0 upload w.bin --name fine --json && good=$(jq -r '.[0].asset_id' out)
status 0 review run --json && json '.human == 1'
status 0 review show "$good" && printed 'a person'
status 5 review approve "$good" --as media/alice
status 0 review show "$good" && seen=$(sed -n 's/^since *//p' out)
status 65 review approve "$good" --seen yesterday
status 75 review approve "$good" --seen 2026-01-01T00:00:00.000Z && said 'edited meanwhile'
status 0 review approve "$good" --seen "$seen" && printed ACTIVED
status 4 review approve "$good" && said 'outstanding'
status 0 asset edit "$good" --name 'other' && printed 'held aside'
status 0 show "$good" --json && json '.asset_name == "fine"'
status 64 review reject "$good" && said 'reason'
status 0 review reject "$good" --reason 'no' && status 0 show "$good" --json && json '.asset_name == "fine" and .asset_state == "ACTIVED"'
status 0 review set off
status 0 asset edit "$good" --name 'other' && status 0 show "$good" --json && json '.asset_name == "other"'
status 0 audit verify
status 0 rm -f -y "$bad" "$good"

status 0 hash a.bin
root=$(cut -d' ' -f1 out)
status 0 show files/a.bin --json && json ".root == \"$root\" and .path == \"/files/a.bin\" and .asset_type == \"COMMON_FILE\""
id=$(jq -r .asset_id out)
status 0 show "$id" && printed "$id"
status 4 show files/none && said 'files/none'
status 0 get files/a.bin got.bin && cmp a.bin got.bin
status 73 get files/a.bin got.bin && said 'force'
status 0 get -f "$id" got.bin && cmp a.bin got.bin
"$MSASSET" get files/a.bin - | cmp - a.bin || fail "get to stdout differs"
[ ! -e got.bin.msasset-part ] || fail "get left its part file"

status 5 rm files && said 'recursive'
status 0 rm files/a.bin
status 4 get files/a.bin
status 0 ls --bin --json && json "length == 1 and .[0].asset_id == \"$id\" and .[0].asset_state == \"DELETING\""
status 0 quota show --json && json '.bin_assets == 1 and .bin_bytes == 1000000'
status 0 usage --json && json '.counted.bin_bytes == 1000000 and .counted.bytes == .metered_bytes
    and ([.types[].bytes] | add) == .counted.bytes and .days_mean_bytes[-1].closed == false
    and ([.top[].bytes] | . == (sort | reverse))'
status 0 usage --top 1 --days --chart && printed 'LARGEST' && printed '(now)' && printed 'mean of each day'
status 0 usage --top 0 --from 2020-01-01 --to 2020-01-02 && ! grep -q LARGEST out
status 64 usage --top x && said '0 to 1000'
status 64 usage --from 2030-01-01 && said 'behind'
status 0 quota explain "$id" --json && json '.class == "standard" and .metered and .until_deleted and .bytes == 1000000'
status 0 quota explain "$id" && printed 'recycle bin' && printed 'deleted for good'
status 4 quota explain nothing
status 0 restore files/a.bin
status 0 get -f files/a.bin got.bin && cmp a.bin got.bin
status 0 rm "$id"
status 0 put a.bin files/
status 5 restore "$id" && said 'taken'
status 0 restore "$id" --to files/b.bin && printed 'files/b.bin'
status 0 rm files/b.bin
status 64 purge "$id" && said 'yes'
status 0 purge "$id" --yes --json && json '.assets == 1 and .freed_bytes == 1000000'
status 4 show "$id"
status 64 purge && said 'all'
status 4 purge --yes files/a.bin && said 'recycle bin'
status 5 rm -r images && said 'folder of every tenant'
status 0 ls images/a.bin # nothing of it went
status 0 rm images/a.bin
status 0 purge --all --yes
status 0 ls --bin --json && json '. == []'

status 0 sweep
status 0 recover
status 0 gc --grace 0s
status 0 fsck --store-list --json && json '.findings == [] and .pending == []'
status 0 fsck --deep && printed 'findings 0, pending 0'
status 0 config show --origin && printed 'store'
status 64 --store && said 'wants a value'
status 66 --config /nowhere/x ls && said '/nowhere/x'
printf 'nonsense = 1\n' >conf
status 78 --config "$work/conf" ls && said 'nonsense'
status 64 --progress sometimes ls && said 'sometimes'
status 64 help nothing && said 'nothing'
status 4 ls none --json
jq -e '.error.code == "NOT_FOUND"' err >/dev/null || fail "no JSON error: $(cat err)"
echo "$n runs"
