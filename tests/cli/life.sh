# The life of assets from the shell: freezes, requests, take-downs, scheduled operations.
. "$(dirname "$0")/lib.sh"

status 0 init
status 0 tenant add media
echo "some words of text, enough of them" >a.txt
status 0 put a.txt files/
status 0 put a.txt files/b.txt
status 0 show files/a.txt --json
id=$(jq -r .asset_id out)

# freeze, unfreeze
status 64 freeze files/a.txt --reason-code C1 && said 'needs --reason-code and --reason'
status 64 freeze files/a.txt --reason x && said 'needs --reason-code'
status 5 --as media/bob freeze files/a.txt --reason-code C1 --reason x && said 'only an administrator'
status 0 freeze files/a.txt "$id" --reason-code COPYRIGHT --reason 'complaint 4711' && printed 'BLOCK'
status 0 show files/a.txt --json && json '.asset_state == "BLOCK" and .block_reason_code == "COPYRIGHT" and .holds == ["ADMIN"]'
status 0 show files/a.txt && printed 'COPYRIGHT: complaint 4711'
status 77 get files/a.txt out.txt && said 'complaint 4711'
status 77 put --replace a.txt files/a.txt && said 'complaint 4711'
status 0 rm files/a.txt
status 0 restore files/a.txt && printed 'BLOCK'

# requests
status 64 request add files/a.txt && said 'needs --text'
status 0 --as media/bob request add files/a.txt --text 'we hold the licence' --json
json '.state == "WAITING" and .who == "media/bob" and .text == "we hold the licence"'
request=$(jq -r .request_id out)
status 5 request add files/a.txt --text again && said "$request"
status 0 request ls && printed "$request.*we hold the licence"
status 77 --as media/bob request grant "$request" && said 'only an administrator'
status 0 request refuse "$request" --reason 'not seen' && printed 'REFUSED'
status 0 request ls --json && json 'length == 0'
status 0 request ls --all --json && json '.[0].state == "REFUSED" and .[0].answer == "not seen"'
status 5 request grant "$request" && said 'decided: REFUSED'
status 4 request grant 00000000000000000000000000000001 && said 'no unfreeze request'
status 65 --as media/bob request add files/a.txt --text $'bad\xff' && said 'text of a request is not valid UTF-8'
status 65 --as media/bob request add files/a.txt --text $'one\n2026-01-01 forged' && said 'U\+000A'
status 65 freeze files/a.txt --reason-code C --reason $'a\x1b[31m' && said 'the reason is U\+001B'
status 65 --as $'media/b\n' ls && said -- '--as'
# a request ends with the freeze that it was about: granted late, it would lift another
status 0 request add files/a.txt --text 'the first freeze'
status 0 unfreeze files/a.txt
status 0 freeze files/a.txt --reason-code COURT --reason 'order 12' && printed 'No mount of this host'
status 0 request ls --json && json 'length == 0'
status 4 freeze files/nothing --reason-code C --reason x
! grep -q 'No mount' out || fail "a freeze of nothing told of mounts: $(cat out)"
status 0 show files/a.txt && printed 'frozen by an administrator' && printed 'COURT: order 12'
status 0 request add files/a.txt --text 'seen now' --json
status 0 request grant "$(jq -r .request_id out)" --json && json '.state == "GRANTED"'
status 0 show files/a.txt --json && json '.asset_state == "ACTIVED" and .reason == null and .holds == []'
status 5 unfreeze files/a.txt && said 'not frozen'
status 0 freeze files/a.txt --reason-code C --reason r
status 0 unfreeze files/a.txt --reason 'withdrawn' --json && json '.[0].asset_state == "ACTIVED"'

# what was frozen in the bin comes back by unfreezing, found by the path where it was
status 0 rm files/b.txt
status 0 freeze files/b.txt --reason-code C --reason r && printed 'BLOCK'
status 0 purge --all --yes && printed 'Deleted 0 assets'
status 0 unfreeze files/b.txt && printed 'ACTIVED'

# the tenant as a whole
status 64 tenant freeze media && said 'needs --reason'
status 77 --as media/bob tenant freeze media --reason x && said 'only an administrator'
status 0 tenant freeze media --reason 'court order'
status 0 show files/a.txt --json && json '.asset_state == "BLOCK" and .holds == []'
status 77 get files/a.txt out.txt && said 'frozen'
status 5 put a.txt files/c.txt && said 'court order'
status 0 tenant show media && printed 'frozen: court order'
status 0 request add --text 'settled' --json && json '.asset_id == null'
status 0 tenant unfreeze media && printed 'not frozen'
status 0 get files/a.txt out.txt

# the recycle bin
status 0 put a.txt files/one.txt
status 0 put a.txt files/two.txt
status 0 --as media/bob rm files/one.txt
status 0 rm files/two.txt
status 0 freeze files/two.txt --reason-code C --reason r
status 0 bin ls --json && json 'length == 2 and ([.[].path] | sort) == ["/files/one.txt", "/files/two.txt"]'
json '[.[] | select(.path == "/files/one.txt")][0] | .who == "media/bob" and .purge_time != null and .asset_state == "DELETING"'
json '[.[] | select(.path == "/files/two.txt")][0] | .purge_time == null and .asset_state == "BLOCK"'
status 0 bin ls && printed '/files/one.txt.*DELETING.*media/bob' && said '2 assets'
status 64 bin empty && said 'yes'
status 0 bin empty --older 1d --yes && printed 'Deleted 0 assets'
status 0 bin empty --yes --json && json '.assets == 1 and .freed_bytes == 35 and .kept == 1'
status 0 unfreeze files/two.txt && printed 'ACTIVED'
status 64 bin set && said 'retention or --bypass'
status 77 --as media/bob bin set --retention 1d && said 'only an administrator'
status 0 bin set --retention 12h && printed 'keeps 12h; bypassed'
status 0 audit --json && grep -q 'retention of the bin in ms: 604800000 -> 43200000' out
status 0 bin set --retention 12h --bypass '*.tmp,*~' --json && json '.retention_ms == 43200000 and .bypass == "*.tmp,*~"'

# activate, take-down, scheduled operations
status 0 deactivate files/a.txt && printed 'UNACTIVED'
status 0 activate files/a.txt && printed 'ACTIVED'
status 64 takedown announce files/a.txt && said '--at is missing'
status 64 takedown announce files/a.txt --at tomorrow && said 'no instant'
status 5 takedown announce files/a.txt --at 2020-01-01T00:00:00Z && said 'in the future'
status 0 takedown announce files/a.txt --at +90d --json && json '.[0].asset_state == "WAITING_DELETE" and .[0].takedown_time != null'
status 5 put --replace a.txt files/a.txt && said 'WAITING_DELETE'
status 0 takedown withdraw files/a.txt && printed 'ACTIVED'
status 64 schedule add files/a.txt --at +1d && said '--block or --delete'
status 5 schedule add files/a.txt --block --at 2020-01-01T00:00:00Z && said 'in the future'
status 0 schedule add files/a.txt --block --at +1d
status 0 schedule add files/a.txt --delete --at +2d
status 0 show files/a.txt --json && json '[.auto_operation_config[].operation] == ["BLOCK", "DELETE"]'
status 0 show files/a.txt && printed 'scheduled +BLOCK at'
status 0 schedule clear files/a.txt
status 0 show files/a.txt --json && json '.auto_operation_config == []'

# batch
status 65 batch BURN files/a.txt && said 'no action "BURN"'
status 64 batch DELETE_FORCE files/a.txt && said 'yes'
status 0 batch UNACTIVE files/a.txt files/two.txt --json && json '.results | length == 1 and .[0].ret_status == "SUCCESS" and (.[0].asset_ids | length) == 2'
status 1 batch RESTORE files/a.txt files/two.txt --json
json '.results | length == 1 and .[0].ret_status == "FAILED" and .[0].error_info.error_code == "WRONG_STATE"'
status 0 batch ACTIVE files/a.txt files/two.txt && printed 'SUCCESS +2'
status 1 batch UNACTIVE files/a.txt files/nothing files/two.txt && printed 'SUCCESS +2' && printed 'FAILED +1  NOT_FOUND: .*nothing'
status 1 batch ACTIVE files/a.txt nothing files/two.txt --json && json '.results[1] | .asset_ids == ["nothing"] and .error_info.error_code == "NOT_FOUND"'
status 1 batch ACTIVE files/nothing && printed 'FAILED +1'

# arrears
status 77 --as media/bob tenant arrears media on && said 'only an administrator'
status 64 tenant arrears media maybe && said 'on or off, not "maybe"'
status 67 tenant arrears nobody on
status 0 tenant arrears media on --reason 'invoice 4711' && printed 'deleted at 2.*, unless it is paid'
status 0 tenant arrears media on --json && json '.arrears == "GRACE" and .frozen == false and .frozen_at < .deleted_at'
status 0 ls files && said 'warning: a payment is missing since'
status 0 ls files --json && [ ! -s err ]
status 0 show files/a.txt && printed 'warning.*deleted at'
status 0 show files/a.txt --json && json '.warning | test("unless it is paid")'
status 0 quota show && printed 'warning.*a payment is missing'
status 0 tenant ls && printed 'payment missing'
status 0 tenant arrears media off --reason paid && printed 'no payment is missing'
status 0 tenant arrears media off --json && json '.arrears == "NONE" and .warning == null'
status 0 ls files && [ ! -s err ]

# copy
status 0 copy files/a.txt files/copy.txt --json && json '.asset_state == "ACTIVED" and .size_bytes == 35 and .path == "/files/copy.txt"'
status 5 copy files/a.txt files/copy.txt && said 'copy.txt'
status 4 copy files/nothing.txt files/c.txt
status 0 get files/copy.txt copied.txt && cmp a.txt copied.txt

# transfer
status 0 tenant add studio
status 64 --tenant media transfer create files/a.txt && said 'say with --to'
status 67 --tenant media transfer create files/a.txt --to nobody && said 'nobody'
status 65 --tenant media transfer create files/a.txt --to studio && said 'only models and voices'
status 77 --as media/bob transfer create files/a.txt --to studio && said 'allow-list'
status 77 --as media/bob transfer allow media && said 'only an administrator'
status 0 transfer allow media --any-type && printed 'any type'
status 0 --as media/bob transfer create files/a.txt --to studio --memo 'as agreed' --json
json '.state == "PROCESSING" and .transfer_type == "TRANSFER_OUT" and .assets == 1'
job=$(jq -r .job_id out)
status 5 --tenant media transfer create files/a.txt --to studio && said "$job"
status 0 --tenant studio transfer ls && printed "$job.*receiver.*PROCESSING.*as agreed"
status 5 --tenant media transfer accept "$job" && said 'only the receiver accepts'
status 5 --tenant studio transfer cancel "$job" && said 'only the sender cancels'
status 0 --tenant studio transfer accept "$job" --json && json '.state == "ACCEPT" and .finish_time != null'
status 4 --tenant media show files/a.txt
status 0 --tenant studio show files/a.txt --json && json '.asset_state == "UNACTIVED"'
[ "$(jq -r .asset_id out)" = "$id" ] || fail "the asset has another id"
status 0 --tenant studio get files/a.txt got.txt && cmp a.txt got.txt
status 5 --tenant studio transfer accept "$job" && said 'is over: ACCEPT'
status 0 --tenant studio transfer ls --json && json 'length == 0'
status 0 --tenant studio transfer create files/a.txt --to media --back "$job" --json && json '.transfer_type == "TRANSFER_BACK"'
back=$(jq -r .job_id out)
status 0 --tenant media transfer refuse "$back" --reason 'keep it' && printed 'REJECT'
status 0 --tenant media transfer ls --all --json && json '[.[].state] == ["ACCEPT", "REJECT"] and .[1].reason == "keep it"'

# a billed one: shown, confirmed, deducted
status 0 --tenant media package buy voices --order own --kind VOICE_CLONE --amount 1
status 0 --tenant media put a.txt voices/anna.bin
status 0 --tenant media transfer create voices/anna.bin --to studio --billing --json && json '.is_need_billing == true'
job=$(jq -r .job_id out)
status 0 --tenant studio transfer accept "$job" && printed "$job  PROCESSING" && printed 'needs 1 unit of VOICE_CLONE: 0 left'
printed 'Nothing has moved'
status 6 --tenant studio transfer accept "$job" --confirm && said 'needs 1 unit of VOICE_CLONE: valid packages of tenant studio have 0 left'
status 0 --tenant studio package buy voices --order theirs --kind VOICE_CLONE --amount 2
status 0 --tenant studio transfer accept "$job" --json
json '.state == "PROCESSING" and .required_resources == [{"resource_type": "VOICE_CLONE", "resource_nums": 1, "left": 2}]'
status 0 --tenant studio transfer accept "$job" --confirm --json && json '.state == "ACCEPT" and .is_need_billing == true'
status 0 --tenant studio package ls --json && json '.[0].used == 1'
status 0 --tenant studio transfer create voices/anna.bin --to media --back "$job" --json
back=$(jq -r .job_id out)
status 5 --tenant media transfer accept "$back" --confirm && said 'is not billed'
status 0 --tenant media transfer accept "$back"

status 0 fsck
echo "$n commands"
