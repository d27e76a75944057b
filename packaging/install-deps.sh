#!/usr/bin/env bash
# Install what is missing of debian-packages.txt.
#
#   packaging/install-deps.sh [build|test|bench]...     default: build
#
# Nothing is touched when nothing is missing, and the package lists are fetched only when apt does not know a
# package that is. Works as root or through sudo. Exit: 0 all there, 1 installing failed, 2 cannot install here.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
list=$here/debian-packages.txt

section() { # the packages of one section
    sed -n "/^$1:/,/^[a-z]*:/p" "$list" | grep -v -e ':' -e '^#' -e '^[[:space:]]*$' || true
}

is_installed() {
    [ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

refuse() {
    printf 'install-deps: %s\n' "$@" >&2
    exit 2
}

wanted=()
for name in "${@:-build}"; do
    case $name in
    build | test | bench) mapfile -t -O "${#wanted[@]}" wanted < <(section "$name") ;;
    *) refuse "unknown section '$name': build, test or bench" ;;
    esac
done
[ "${#wanted[@]}" -gt 0 ] || refuse "no packages found in $list"

command -v dpkg-query >/dev/null && command -v apt-get >/dev/null ||
    refuse "this is no Debian system. msasset is built on Debian 12; elsewhere install by hand what" \
        "stands in $list"

missing=()
for package in "${wanted[@]}"; do
    is_installed "$package" || missing+=("$package")
done
if [ "${#missing[@]}" -eq 0 ]; then
    echo "packages: all ${#wanted[@]} are there; newly installed: none"
    exit 0
fi

as_root=()
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null ||
        refuse "these packages are missing, and you are neither root nor is sudo there:" \
            "  ${missing[*]}" "As root, run: apt-get install --no-install-recommends ${missing[*]}"
    as_root=(sudo)
fi

apt() {
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -y -o Dpkg::Use-Pty=0 \
        -o DPkg::Lock::Timeout=300 "$@" </dev/null
}

log=$(mktemp)
trap 'rm -f "$log"' EXIT

install_missing() {
    apt install --no-install-recommends "${missing[@]}" >"$log" 2>&1
}

# A package whose candidate is not known here yet, or an empty list on a fresh machine.
needs_update() {
    local package
    for package in "${missing[@]}"; do
        apt-cache show --no-all-versions "$package" >/dev/null 2>&1 || return 0
    done
    return 1
}

update() {
    echo "packages: fetching the package lists"
    apt update >"$log" 2>&1 || {
        cat "$log" >&2
        echo "install-deps: apt-get update failed (above)" >&2
        exit 1
    }
}

echo "packages: ${#missing[@]} of ${#wanted[@]} are missing: ${missing[*]}"
start=$SECONDS
updated=no
if needs_update; then
    update
    updated=yes
fi
if ! install_missing; then
    # Known, but gone from the archive since the lists were fetched: once more with new ones.
    if [ "$updated" = yes ] || { update && ! install_missing; }; then
        cat "$log" >&2
        echo "install-deps: apt-get could not install: ${missing[*]}" >&2
        exit 1
    fi
fi
for package in "${missing[@]}"; do
    is_installed "$package" || {
        echo "install-deps: $package is still missing after apt-get said that it was installed" >&2
        exit 1
    }
done
echo "packages: newly installed ${#missing[@]} in $((SECONDS - start)) s: ${missing[*]}"
