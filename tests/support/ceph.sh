#!/usr/bin/env bash
# ceph.sh — a Ceph RGW of one node on loopback, in memory, for tests: its own ports, below a folder of its own.
#
#   ceph.sh start FILE        start one; FILE then says where it is (or why there is none)
#   ceph.sh stop FILE         stop it and remove everything
#   ceph.sh run FILE COMMAND  run a command against it, with MS_CEPH_ENDPOINT, MS_CEPH_BUCKET, AWS's names,
#                           for TLS MS_CEPH_TLS_ENDPOINT and MS_CEPH_CA, for radosgw-admin MS_CEPH_CONF set
#   ceph.sh with COMMAND      start, run, stop
#
# ctest has it as the fixture "ceph": one for all tests of a run. A guard process holds the daemons: it ends them and
# removes the folder when it is told to, when the process that asked for it (ctest, or a shell) is gone, and after two
# hours; the daemons die with it even if it is killed. Without Ceph's programs "run" and "with" end with 77: skipped,
# which CI counts as a failure.
set -euo pipefail
self=$(readlink -f "${BASH_SOURCE[0]}")
programs="ceph ceph-mon ceph-osd radosgw radosgw-admin monmaptool curl setpriv python3 openssl"
lifetime_s=7200
export PATH=$PATH:/usr/sbin:/sbin

missing() {
    local p
    for p in $programs; do command -v "$p" >/dev/null || echo "$p"; done
}

free_ports() { # N: numbers that nothing listens on just now
    python3 - "$1" <<'PY'
import socket, sys
sockets = [socket.socket() for _ in range(int(sys.argv[1]))]
for s in sockets:
    s.bind(("127.0.0.1", 0))
print(*(s.getsockname()[1] for s in sockets))
PY
}

# What the store's TLS port shows: a certificate of its own making, for loopback and for a bucket in the host's name.
make_certificate() { # DIR
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost \
        -addext "subjectAltName=DNS:localhost,DNS:ms-tests.localhost,IP:127.0.0.1" \
        -keyout "$1/key.pem" -out "$1/cert.pem"
    cat "$1/key.pem" "$1/cert.pem" >"$1/both.pem"
}

write_config() { # DIR MON_PORT RGW_PORT TLS_PORT
    cat >"$1/ceph.conf" <<CONF
[global]
fsid = $(cat /proc/sys/kernel/random/uuid)
mon host = v1:127.0.0.1:$2
mon initial members = a
auth cluster required = none
auth service required = none
auth client required = none
ms bind msgr2 = false
ms bind msgr1 = true
osd pool default size = 1
osd pool default min size = 1
mon allow pool size one = true
mon warn on pool no redundancy = false
osd crush chooseleaf type = 0
osd pool default pg autoscale mode = off
osd pool default pg num = 8
osd pool default pgp num = 8
# A group of objects may be read for 0.8 of this after the last renewal. One that a busy machine kept from renewing it in
# time waits for a second disk to say yes, and here there is none: every request to it would hang for ever.
osd heartbeat grace = 86400
osd objectstore = memstore
memstore device bytes = $((8 << 30))
run dir = $1/run
log file = $1/log/\$name.log
admin socket = $1/run/\$name.asok
mon data = $1/mon
osd data = $1/osd
mon cluster log file = $1/log/cluster.log
crash dir = $1/log
# What tests delete must not fill the memory: it goes at once, not after two hours.
rgw gc obj min wait = 2
rgw gc processor period = 2
rgw gc processor max time = 2
[client.rgw]
rgw frontends = beast endpoint=127.0.0.1:$3 ssl_endpoint=127.0.0.1:$4 ssl_certificate=$1/both.pem
# "BUCKET.localhost" names a bucket; other hosts have it in the path.
rgw dns name = localhost
rgw data = $1/rgw
rgw thread pool size = 64
keyring = /dev/null
CONF
}

# Signed the old way (V2): four lines do it, and our own signer is what is to be tested.
make_bucket() { # PORT
    python3 - "$1" <<'PY'
import base64, email.utils, hashlib, hmac, sys, urllib.request
date = email.utils.formatdate(usegmt=True)
sign = hmac.new(b"testsecret", f"PUT\n\n\n{date}\n/ms-tests".encode(), hashlib.sha1).digest()
head = {"Date": date, "Authorization": "AWS testkey:" + base64.b64encode(sign).decode()}
urllib.request.urlopen(urllib.request.Request(f"http://127.0.0.1:{sys.argv[1]}/ms-tests", method="PUT", headers=head),
                       timeout=20)
PY
}

# A daemon in the foreground, which dies with the guard.
daemon() { # DIR COMMAND...
    local dir=$1
    shift
    setpriv --pdeathsig KILL -- "$@" >>"$dir/log/daemons.log" 2>&1 </dev/null &
    daemons+=($!)
}

alive() {
    local p
    for p in "${daemons[@]}"; do kill -0 "$p" 2>/dev/null || return 1; done
}

wait_for() { # SECONDS COMMAND...: until it succeeds
    local until=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        [ $SECONDS -lt $until ] && alive || return 1
        sleep 0.2
    done
}

boot() { # DIR: one try
    local dir=$1 mon rgw tls c=(-c "$1/ceph.conf") uuid
    read -r mon rgw tls < <(free_ports 3)
    rm -rf "${dir:?}"/{mon,osd,rgw,run,log}
    mkdir -p "$dir"/{mon,osd,rgw,run,log}
    make_certificate "$dir" || return 1
    write_config "$dir" "$mon" "$rgw" "$tls"
    rm -f "$dir/monmap"
    monmaptool --create --addv a "[v1:127.0.0.1:$mon]" \
        --fsid "$(sed -n 's/^fsid = //p' "$dir/ceph.conf")" "$dir/monmap" || return 1
    ceph-mon "${c[@]}" --mkfs -i a --monmap "$dir/monmap" || return 1
    daemon "$dir" ceph-mon "${c[@]}" -i a -f
    wait_for 60 timeout 20 ceph "${c[@]}" mon stat || return 1
    uuid=$(cat /proc/sys/kernel/random/uuid)
    timeout 60 ceph "${c[@]}" osd new "$uuid" || return 1
    ceph-osd "${c[@]}" -i 0 --mkfs --osd-uuid "$uuid" || return 1
    daemon "$dir" ceph-osd "${c[@]}" -i 0 -f
    daemon "$dir" radosgw "${c[@]}" -n client.rgw -f
    wait_for 120 curl -s -o "$dir/answer" "http://127.0.0.1:$rgw/" || return 1
    timeout 60 radosgw-admin "${c[@]}" user create --uid tests --display-name tests --access-key testkey \
        --secret testsecret || return 1
    wait_for 30 make_bucket "$rgw" || return 1
    endpoint=http://127.0.0.1:$rgw
    tls_endpoint=https://127.0.0.1:$tls
}

end_daemons() {
    local p
    for p in "${daemons[@]}"; do
        kill -9 "$p" 2>/dev/null || true
        wait "$p" 2>/dev/null || true
    done
    daemons=()
}

guard() { # FILE WATCHED
    local file=$1 watched=$2
    daemons=()
    endpoint= tls_endpoint=
    unset CEPH_ARGS CEPH_CONF
    guard_dir=$(mktemp -d "${TMPDIR:-/tmp}/ms-ceph.XXXXXX")
    trap 'end_daemons; rm -rf "$guard_dir"' EXIT
    trap 'exit 0' TERM INT HUP
    for _ in 1 2 3; do # another process may have taken a port meanwhile
        boot "$guard_dir" >"$guard_dir/boot.log" 2>&1 && break
        end_daemons
    done
    if [ -z "$endpoint" ]; then
        tail -n 20 "$guard_dir/boot.log" "$guard_dir"/log/daemons.log >"$file.log" 2>&1 || true
        echo "failed=1" >"$file.new"
        mv "$file.new" "$file"
        exit 1
    fi
    printf 'pid=%s\nendpoint=%s\ntls_endpoint=%s\nca=%s\nconf=%s\n' $$ "$endpoint" "$tls_endpoint" \
        "$guard_dir/cert.pem" "$guard_dir/ceph.conf" >"$file.new"
    mv "$file.new" "$file"
    SECONDS=0
    while kill -0 "$watched" 2>/dev/null && alive && [ $SECONDS -lt $lifetime_s ]; do
        sleep 1 &
        wait $! || true
    done
}

start() { # FILE WATCHED
    local file=$1 lacking pid= endpoint= failed= guard
    mkdir -p "$(dirname "$file")"
    stop "$file"
    lacking=$(missing | tr '\n' ' ')
    if [ -n "$lacking" ]; then
        echo "lacking=\"$lacking\"" >"$file"
        echo "no Ceph here: $lacking"
        return 0
    fi
    setsid bash "$self" guard "$file" "$2" </dev/null >"$file.out" 2>&1 &
    guard=$!
    until [ -e "$file" ] || ! kill -0 "$guard" 2>/dev/null; do sleep 0.2; done
    if [ ! -e "$file" ]; then
        cat "$file.out"
        return 1
    fi
    . "$file"
    if [ -n "$failed" ]; then
        echo "Ceph did not start:"
        cat "$file.log"
        return 1
    fi
    echo "Ceph RGW: $endpoint"
}

is_guard() { # PID: the number may be another's by now
    tr '\0' ' ' 2>/dev/null <"/proc/$1/cmdline" | grep -qF "$self guard"
}

stop() { # FILE
    local file=$1 pid= failed= endpoint= lacking=
    if [ -e "$file" ]; then . "$file"; fi
    if [ -n "$pid" ] && is_guard "$pid"; then
        kill "$pid" 2>/dev/null || true
        for _ in $(seq 300); do
            is_guard "$pid" || break
            sleep 0.1
        done
        ! is_guard "$pid" || kill -9 "$pid"
    fi
    rm -f "$file" "$file.out" "$file.log"
}

run() { # FILE COMMAND...
    local file=$1 pid= failed= endpoint= tls_endpoint= ca= conf= lacking=
    shift
    if [ ! -e "$file" ]; then
        echo "there is no $file: Ceph was not started"
        exit 1
    fi
    . "$file"
    if [ -n "$lacking" ]; then
        echo "skipped: no Ceph here: $lacking"
        exit 77
    fi
    export MS_CEPH_ENDPOINT=$endpoint MS_CEPH_BUCKET=ms-tests MS_CEPH_TLS_ENDPOINT=$tls_endpoint MS_CEPH_CA=$ca
    export MS_CEPH_CONF=$conf
    export AWS_ACCESS_KEY_ID=testkey AWS_SECRET_ACCESS_KEY=testsecret
    unset AWS_SESSION_TOKEN
    "$@"
}

case ${1:-} in
guard) guard "$2" "$3" ;;
start) start "$2" "$PPID" ;;
stop) stop "$2" ;;
run) run "${@:2}" ;;
with)
    work=$(mktemp -d "${TMPDIR:-/tmp}/ms-ceph-with.XXXXXX")
    trap 'stop "$work/ceph"; rm -rf "$work"' EXIT
    start "$work/ceph" $$ >&2
    run "$work/ceph" "${@:2}"
    ;;
*)
    sed -n '2,/^set /p' "$self" | sed '$d; s/^# \{0,1\}//'
    exit 64
    ;;
esac
