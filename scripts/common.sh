# Shared by the scripts: where things are, how packages get on the machine.
# Sourced, never run.
# shellcheck shell=bash

set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
BUILD=${BUILD:-$ROOT/build}
# shellcheck disable=SC2034
MODULE="$BUILD/ngx_http_loyalty_module.so"

# The head of a script is its manual.
case ${1:-} in
    -h | --help)
        sed -n '2,/^[^#]*$/s/^# \{0,1\}//p' "$0"
        exit
        ;;
esac

say() { printf '%s\n' "$*" >&2; }

die() { say "error: $*"; exit 1; }

# The sanitizers' runtime of this Debian's clang; only from trixie on is there
# a package that follows the default version.
# shellcheck disable=SC2034
if grep -q 'bookworm' /etc/os-release; then
    CLANG_RUNTIME=libclang-rt-14-dev
else
    CLANG_RUNTIME=libclang-rt-dev
fi

# need PACKAGE...: installs those that are missing.  As root only.
need() {
    local missing=()

    for package in "$@"; do
        dpkg-query -W -f='${Status}' "$package" 2>/dev/null \
            | grep -q 'ok installed' || missing+=("$package")
    done

    [ "${#missing[@]}" -eq 0 ] && return

    [ "$(id -u)" -eq 0 ] \
        || die "missing packages, install them as root: ${missing[*]}"

    say "installing ${missing[*]}"
    apt-get -qq update >/dev/null 2>&1 || true
    # A package must not start its service here.
    local policy=/usr/sbin/policy-rc.d made=
    if [ ! -e "$policy" ]; then
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod +x "$policy"
        made=1
    fi
    DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends \
        install "${missing[@]}" >"${TMPDIR:-/tmp}/apt.log" 2>&1 || {
            tail -n 20 "${TMPDIR:-/tmp}/apt.log" >&2
            [ -z "$made" ] || rm -f "$policy"
            die "apt-get could not install ${missing[*]}"
        }
    [ -z "$made" ] || rm -f "$policy"
}
