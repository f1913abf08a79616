#!/usr/bin/env bash
# The ready configurations are accepted by nginx -t, the alert rules by
# promtool.  Paths of an installed host become those of a folder here.
set -u

ROOT=$(cd "$(dirname "$0")/.." && pwd)
MODULE=$(readlink -f "${LOYALTY_MODULE:-$ROOT/build/ngx_http_loyalty_module.so}")
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
count=0
failed=0

check() {
    local name=$1
    shift
    count=$((count + 1))
    if "$@" >"$dir/out" 2>&1; then
        echo "ok $count - $name"
    else
        failed=1
        echo "not ok $count - $name"
        sed 's/^/# /' "$dir/out"
    fi
}

mkdir -p "$dir"/{etc,ssl,journal}
openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=shop.example -days 2 \
    -keyout "$dir/ssl/key" -out "$dir/ssl/cert" 2>/dev/null
openssl ecparam -name prime256v1 -genkey -noout 2>/dev/null \
    | openssl ec -pubout -out "$dir/etc/jwt.pub" 2>/dev/null
for name in headers.secret jwt.secret redis.password track.secret; do
    openssl rand -hex 32 >"$dir/etc/$name"
done

for name in edge backend all-in-one; do
    sed -e "s|modules/ngx_http_loyalty_module.so|$MODULE|" \
        -e "s|/etc/loyalty/|$dir/etc/|; s|/etc/ssl/certs/.*;|$dir/ssl/cert;|" \
        -e "s|/etc/ssl/private/.*;|$dir/ssl/key;|" \
        -e "s|/var/lib/loyalty/|$dir/|; s|/run/loyalty/|$dir/|" \
        -e "s|/var/log/nginx/|$dir/|" \
        "$ROOT/conf/$name.conf" >"$dir/$name.conf"
    check "conf/$name.conf" "${TEST_NGINX_BINARY:-nginx}" -t -p "$dir" \
        -e "$dir/error.log" -c "$dir/$name.conf" -g "pid $dir/pid;"
done

check "conf/prometheus/loyalty.rules.yml" \
    promtool check rules "$ROOT/conf/prometheus/loyalty.rules.yml"
check "conf/grafana/loyalty.json" \
    python3 -c 'import json, sys; json.load(open(sys.argv[1]))' \
    "$ROOT/conf/grafana/loyalty.json"

echo "1..$count"
exit "$failed"
