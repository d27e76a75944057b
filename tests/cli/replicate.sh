# Copies between two gateways: stores A and B with keys, tenants and object stores of their own. With the argument "s3"
# A's objects, then B's, lie in Ceph's RGW; else both are folders.
. "$(dirname "$0")/lib.sh"

mkdir a b
key=00112233445566778899aabbccddeeff
printf '# shared\nk1 %s\n' "$key" >a/keys
printf 'k0 ffeeddccbbaa99887766554433221100\nk1 %s\n' "$key" >b/keys
chmod 600 a/keys b/keys

gate() { # a|b: whose commands come now
    export MSASSET_STORE=$work/$1/store MSASSET_REPLICATION_KEYS=$work/$1/keys
}
url() { # A|B
    echo "s3://$MS_CEPH_BUCKET/replicate.$$.$1?endpoint=$MS_CEPH_ENDPOINT"
}
make_store() { # A|B dir|s3
    gate "$1"
    if [ "$2" = s3 ]; then status 0 init --objects "$(url "$1")"; else status 0 init; fi
    status 0 tenant add media
}
settled() { # A|B: nothing is wrong there, and nothing is left over
    gate "$1"
    status 0 fsck --deep --json && json '.findings == [] and .pending == []'
    status 0 quota show --json && json '.reserved_bytes == 0'
}
# pull BLOB STATUS [ARGUMENT...]: on B, through the store's URLs, or through a stream where A signs none
pull() {
    local blob=$1 want=$2
    shift 2
    gate a
    if [ "$from" = stream ]; then
        "$MSASSET" replicate send "$blob" >stream 2>err || fail "send: $(cat err)"
        gate b
        status "$want" "$@" replicate pull "$blob" --from stream --json
    else
        gate b
        status "$want" "$@" replicate pull "$blob" --json
    fi
}

# An asset with a cover, tags and a description, of more than one part.
fill() {
    gate a
    head -c 20000000 /dev/urandom >scene.bin
    status 0 upload scene.bin --type SCENE --description 'made by a test' --tags one,two --json
    id=$(jq -r '.[0].asset_id' out)
    printf '\211PNG\r\n\032\n\0\0\0\rIHDR' >cover.png
    head -c 5000 /dev/urandom >>cover.png
    status 0 upload cover.png --asset "$id" --category COVER
}

copies() { # the same bytes, texts and files, as an asset of its own
    status 0 replicate info "$id" && cp out blob
    jq -e '.encryption_info.algorithm == "AES128_GCM" and .encryption_info.key_id == "k1" and .asset_id == "'"$id"'"' blob >/dev/null || fail "the blob: $(cat blob)"
    grep -q "$key" blob out err && fail "the key is told"
    pull blob 0
    json '.asset_state == "ACTIVED" and .asset_id != "'"$id"'" and .asset_name == "scene.bin" and .tags == "one,two"'
    local copy path
    copy=$(jq -r .asset_id out)
    path=$(jq -r .path out)
    [ "$path" = /scenes/scene.bin ] || fail "it is at $path"
    status 0 get --force "$copy" got && cmp scene.bin got || fail "other bytes"
    status 0 asset files "$copy" --json && json '[.[].asset_file_category] | sort == ["COVER", "MAIN"]'
    json '[.[].file_size] | sort == [5016, 20000000]'
    pull blob 0 # a blob may be pulled again: another copy
    json '.path == "/scenes/scene (2).bin"'
    status 0 rm --force --yes "$(jq -r .asset_id out)"
    settled b
}

refusals() {
    # the blob: cut, altered, of another key, of a key that is not there, too long
    gate b
    head -c 300 blob >cut && status 65 replicate pull cut && said 'no replication blob'
    jq -c '.asset_info |= (.[0:40] + (if .[40:41] == "A" then "B" else "A" end) + .[41:])' blob >bad
    status 77 replicate pull bad && said 'seal .* does not hold'
    jq -c '.asset_info |= .[0:-24]' blob >bad && status 77 replicate pull bad
    jq -c '.expire_time += 86400' blob >bad && status 77 replicate pull bad && said 'does not hold'
    jq -c '.asset_id = "00000000000000000000000000000001"' blob >bad && status 77 replicate pull bad
    jq -c '.encryption_info.key_id = "k0"' blob >bad && status 77 replicate pull bad && said 'another one here'
    jq -c '.encryption_info.key_id = "k9"' blob >bad && status 77 replicate pull bad && said '"k9", which this gateway has not'
    jq -c '.encryption_info.key_id = 1' blob >bad && status 77 replicate pull bad && said '"1", which this gateway has not'
    jq -c '.encryption_info.algorithm = "ROT13"' blob >bad && status 70 replicate pull bad && said 'AES128_GCM'
    jq -c 'del(.encryption_info)' blob >bad && status 65 replicate pull bad
    (cat blob; head -c 200000 /dev/zero | tr '\0' ' ') >bad && status 65 replicate pull bad && said 'more than'
    status 66 replicate pull nowhere
    # keys: none, of a file that others may read, no keys
    MSASSET_REPLICATION_KEYS='' status 78 replicate pull blob && said 'replication_keys'
    chmod 640 b/keys && status 78 replicate pull blob && said 'chmod 600' && chmod 600 b/keys
    echo 'k1 0011' >bad && chmod 600 bad
    MSASSET_REPLICATION_KEYS=$work/bad status 78 replicate pull blob && said 'line 1 of'
    ! grep -q 0011 err || fail "a key is told"
    # quota, before any byte comes, and nothing is left
    status 0 quota show --json
    local was
    was=$(jq -c 'del(.day)' out)
    status 0 quota set --free 1M
    pull blob 6 && said 'left'
    status 0 quota set --free 5G
    status 0 quota show --json && [ "$(jq -c 'del(.day)' out)" = "$was" ] || fail "quota: $was, then $(cat out)"
    settled b
    # what may not be copied at A
    gate a
    status 65 replicate info "$id" --valid 5s && said '1 minute to 24 hours'
    status 0 freeze "$id" --reason-code C --reason 'complaint'
    status 5 replicate info "$id" && said 'complaint'
    status 5 replicate send blob && said 'complaint'
    status 0 unfreeze "$id"
    status 0 rm "$id"
    status 5 replicate info "$id" && said 'recycle bin'
    status 0 restore "$id"
    # a model takes a unit where it is registered
    status 6 asset create twin --type HUMAN_MODEL_2D && said 'needs a valid unit'
    status 0 package buy models --kind MODELING_2D --amount 5 --months 12 --order o1
    status 0 asset create twin --type HUMAN_MODEL_2D --json
    model=$(jq -r .asset_id out)
    status 5 replicate info "$model" # not finished
    status 0 upload scene.bin --type HUMAN_MODEL_2D --name twin --json
    model=$(jq -r '.[0].asset_id' out)
    status 77 --as media/bob replicate info "$model" && said 'administrators only'
    status 0 replicate info "$model" && cp out model.blob
    pull model.blob 77 --as media/bob && said 'administrators only'
    pull model.blob 6 && said 'needs a valid unit'
    gate b
    status 0 package buy models --kind MODELING_2D --amount 5 --months 12 --order o1
    gate a
    pull model.blob 0 && json '.asset_type == "HUMAN_MODEL_2D"'
    settled b
}

streams() { # the stream: cut, altered, another file's; a blob of another gateway
    gate a
    status 0 replicate info "$id" && cp out blob
    "$MSASSET" replicate send blob >stream
    gate b
    head -c 9000000 stream >short
    status 66 replicate pull blob --from short && said 'too early'
    { head -c 7000000 stream; printf x; tail -c +7000002 stream; } >wrong
    status 65 replicate pull blob --from wrong && said 'other bytes .* root hash'
    status 78 replicate send blob && said 'another gateway'
    status 64 replicate pull - --from -
    settled b
}

reviewed() { # where B's tenant is reviewed the copy waits for that
    gate b
    status 0 review set on
    pull blob 0 && json '.asset_state == "CREATING"'
    local copy
    copy=$(jq -r .asset_id out)
    status 5 replicate info "$copy"
    status 0 review approve "$copy"
    status 0 show "$copy" --json && json '.asset_state == "ACTIVED"'
    status 0 review set off
    settled b
}

kind=${1:-dir}
if [ "$kind" = s3 ]; then
    from=urls
    make_store a s3
    make_store b dir
    fill && copies && refusals && streams && reviewed
    # the other way round: the bytes go into the RGW
    mv a a.old && mv b b.old && mkdir a b
    cp a.old/keys a/ && cp b.old/keys b/
    from=stream
    make_store a dir
    make_store b s3
    fill && copies && reviewed
else
    from=stream
    make_store a dir
    make_store b dir
    fill && copies && refusals && streams && reviewed
    gate b
    status 65 replicate pull blob && said 'has no URL'
fi
settled a
echo "$n commands"
