# Assets that other tenants may read, from the shell.
. "$(dirname "$0")/lib.sh"

status 0 init
status 0 tenant add media
status 0 tenant add studio
status 0 tenant add agency
echo "some words of text, enough of them" >a.txt
status 0 --tenant media put a.txt files/
status 0 --tenant media put a.txt files/b.txt
status 0 --tenant media show files/a.txt --json
id=$(jq -r .asset_id out)

# share: with whom, until when
status 64 --tenant media share add files/a.txt && said 'usage: msasset share add'
status 67 --tenant media share add files/a.txt nobody && said 'nobody'
status 65 --tenant media share add files/a.txt media && said 'its own'
status 64 --tenant media share add files/a.txt studio --days 0 && said 'from 1 to 3650'
status 64 --tenant media share add files/a.txt studio --days 3x && said 'from 1 to 3650'
status 64 --tenant media share add files/a.txt studio --until tomorrow && said 'its last day'
status 64 --tenant media share add files/a.txt studio --until 2099-01-31 --days 3 && said 'not both'
status 65 --tenant media share add files/a.txt studio --until 2020-01-31 && said '2020-01-31T23:59:59Z is refused'
status 4 --tenant media share add files/none.txt studio
status 0 --tenant media share ls --json && json 'length == 0'
status 0 --as media/bob share add files/a.txt studio agency --json
json '.asset_id == "'"$id"'" and .shared_type == "SHARED" and (.expire_time | endswith("T23:59:59Z"))'
until=$(date -u -d '+30 days' +%Y-%m-%dT23:59:59Z)
[ "$(jq -r .expire_time out)" = "$until" ] || [ "$(date -u +%H%M)" = 0000 ] || fail "30 days end at $until: $(cat out)"
status 0 --tenant media share add files/a.txt studio --days 2 && printed 'shared until .* 23:59:59Z'
status 0 --tenant media share ls files/a.txt && printed 'SHARER.*studio.*yes.*a.txt' && printed 'SHARER.*agency.*yes.*a.txt'
status 64 --tenant media share ls files/a.txt --with-me && said 'by-me'
status 0 --tenant media audit --json
[ "$(jq -r .event out | grep -c '^SHARED$')" = 3 ] || fail "not three rows of the log: $(cat out)"

# read it
status 0 --tenant studio share ls --json
json 'length == 1 and .[0].role == "SHAREE" and .[0].project_name == "media" and .[0].readable and .[0].reason == null'
status 0 --tenant studio ls --shared -l && printed "COMMON_FILE.*ACTIVED.*media/a.txt.*$id"
status 0 --tenant studio show --shared "$id" && printed 'by media, until'
status 0 --as studio/eve show --shared media/a.txt --json && json '.asset_id == "'"$id"'" and .size_bytes == 35 and .asset_state == "ACTIVED"'
status 4 --tenant studio show "$id"
status 4 --tenant studio get "$id" out.txt
status 0 --as studio/eve get --shared media/a.txt got.txt && cmp a.txt got.txt || fail 'other bytes came'
status 73 --tenant studio get --shared "$id" got.txt && said 'force'
"$MSASSET" --tenant studio get --shared "$id" - | cmp - a.txt || fail 'other bytes came by way of a pipe'
status 4 --tenant studio get --shared media/b.txt && said 'nothing "media/b.txt" is shared with tenant studio'

# whatever it is called, it is written here
status 0 --tenant media asset edit "$id" --name '../../up/a.txt'
mkdir -p deep/deeper && cd deep/deeper
status 0 --tenant studio get --shared 'media/../../up/a.txt'
cmp a.txt ../../a.txt || fail 'it is not where it should be'
cd ../..
status 0 --tenant media asset edit "$id" --name 'a.txt'

# neither while it is frozen, nor under a frozen tenant
status 0 --tenant media freeze files/a.txt --reason-code C --reason r
status 77 --tenant studio get --shared "$id" x.txt && said 'ACTIVED or WAITING_DELETE'
[ ! -e x.txt ] && [ ! -e x.txt.msasset-part ] || fail 'something was left'
status 0 --tenant studio ls --shared --json && json 'length == 0'
status 0 --tenant studio share ls && printed 'media.*no'
status 5 --tenant media share add files/a.txt studio && said 'frozen'
status 0 --tenant media unfreeze files/a.txt
status 0 tenant freeze studio --reason 'court order'
status 5 --tenant studio show --shared "$id" && said 'court order'
status 5 --tenant studio show --shared media/a.txt && said 'court order'
status 5 --tenant media share add files/b.txt studio && said 'tenant studio is frozen'
status 0 tenant unfreeze studio

# withdraw
status 0 --tenant media share rm files/a.txt studio studio && printed 'from 1 tenant$'
status 4 --tenant studio show --shared "$id" && said 'not any more'
status 4 --tenant media share rm files/a.txt studio && said 'is not shared with'
status 0 --tenant agency show --shared "$id"
status 0 --tenant media share rm files/a.txt --json && json '.withdrawn == 1'
status 0 --tenant media share rm files/a.txt && printed 'from 0 tenants'

# many at once
status 64 --tenant media batch SHARE files/a.txt && said 'with'
status 64 --tenant media batch DELETE files/a.txt --with studio && said 'UNSHARE'
status 64 --tenant media batch UNSHARE files/a.txt --days 3 && said 'SHARE'
status 67 --tenant media batch SHARE files/a.txt --with studio,nobody
status 0 --tenant media batch SHARE files/a.txt files/b.txt --with studio,agency --days 9 --json
json '.results == [{"ret_status": "SUCCESS", "asset_ids": .results[0].asset_ids}] and (.results[0].asset_ids | length) == 2'
status 0 --tenant agency ls --shared --json && json 'length == 2'
status 0 --tenant media rm files/b.txt
status 1 --tenant media batch SHARE files/a.txt files/b.txt --with studio && printed 'SUCCESS *1' && printed 'FAILED *1 .*recycle bin'
status 0 --tenant media batch UNSHARE files/a.txt files/b.txt
status 0 --tenant media share ls --by-me --json && json 'length == 0'
status 0 sweep --json && json '.ended_shares == 0'
status 0 fsck
echo "$n commands"
