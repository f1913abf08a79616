# TAP for shell suites: check WHAT GOT WANTED; end with echo "1..$n".
# shellcheck shell=bash

n=0

check() {
    n=$((n + 1))
    if [ "$2" = "$3" ]; then
        echo "ok $n - $1"
    else
        echo "not ok $n - $1: $2, not $3"
    fi
}
