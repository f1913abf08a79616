#!/usr/bin/env bash
# Orders are applied exactly once, whatever dies: back-end workers are killed
# (kill -9) in a loop, Redis once, while orders come by the stream and by the
# API, each of them several times.  The figures to reach are counted here.

. "$(dirname "$0")/../scripts/common.sh"

SECONDS_OF_KILLS=${SECONDS_OF_KILLS:-20}
ORDERS=4000
MEMBERS=37

dir=$(mktemp -d)
chmod 755 "$dir"
mkdir "$dir/logs"

. "$ROOT/t/lib/check.sh"

start_redis() {
    redis-server "$ROOT/conf/redis.conf" --unixsocket "$dir/redis.sock" \
        --unixsocketperm 777 --dir "$dir" >>"$dir/redis.log" 2>&1 &
    redis_pid=$!
    for _ in $(seq 100); do
        [ "$(cli ping 2>/dev/null)" = PONG ] && return
        sleep 0.05
    done
    die "Redis does not come up"
}

cli() { redis-cli -s "$dir/redis.sock" "$@"; }

# shellcheck disable=SC2317
cleanup() {
    [ ! -f "$dir/nginx.pid" ] || kill -TERM "$(cat "$dir/nginx.pid")" || true
    sleep 0.3
    kill "$redis_pid" 2>/dev/null || true
    wait
    [ -n "${KEEP:-}" ] || rm -rf "$dir"
}
trap cleanup EXIT

start_redis
token=$("$ROOT/scripts/token" --redis "unix:$dir/redis.sock" --name apply)
cat >"$dir/nginx.conf" <<END
load_module ${LOYALTY_MODULE:-$MODULE};
worker_processes 2;
error_log $dir/logs/error.log notice;
pid $dir/nginx.pid;
events { worker_connections 256; }
http {
    access_log off;
    client_body_temp_path $dir/body;
    proxy_temp_path $dir/proxy;
    fastcgi_temp_path $dir/fastcgi;
    uwsgi_temp_path $dir/uwsgi;
    scgi_temp_path $dir/scgi;
    loyalty_redis unix:$dir/redis.sock timeout=500ms;
    server {
        listen unix:$dir/api.sock;
        location /v1/ { loyalty_backend; }
    }
}
END
"${TEST_NGINX_BINARY:-nginx}" -p "$dir" -e "$dir/logs/error.log" \
    -c "$dir/nginx.conf"
chmod 777 "$dir/api.sock"

api() {
    local method=$1 path=$2
    shift 2
    curl -s -m 10 --unix-socket "$dir/api.sock" -X "$method" \
        -H "Authorization: Bearer $token" \
        -H 'Content-Type: application/json' "$@" \
        "http://api/v1/sites/demo/$path"
}

for _ in $(seq 50); do
    api PUT settings -d '{"name":"D","currency":"GBP","time_zone":"UTC",
        "locales":["en"],"active":true}' | grep -q '"id":"demo"' && break
    sleep 0.1
done

# Order i: member i mod 37, total i pence, one unit of SKU i mod 5.  Each is
# placed, completed and shipped; every seventh is cancelled; all of it twice.
event() {
    printf '{"order_id":"o%d","member_id":"m%d","status":"%s","placed_at":"2026-01-01T00:00:00Z","currency":"GBP","total":%d,"lines":[{"sku":"s%d","quantity":1,"amount":%d}]}' \
        "$1" $(($1 % MEMBERS)) "$2" "$1" $(($1 % 5)) "$1"
}

feed() {
    local i status
    for i in $(seq "$1" "$2"); do
        for status in placed completed shipped completed; do
            printf "XADD loyalty:s:{demo}:orders * e '%s' i j\n" \
                "$(event "$i" $status)"
        done
        if [ $((i % 7)) -eq 0 ]; then
            printf "XADD loyalty:s:{demo}:orders * e '%s' i j\n" \
                "$(event "$i" cancelled)"
        fi
    done
}

feed 1 $ORDERS >"$dir/feed"
part=$(($(wc -l <"$dir/feed") / 20 + 1))
split -l $part "$dir/feed" "$dir/part."

# Part by part, so that kills fall between as well as into batches; one that
# Redis' death interrupts is sent again whole.
send() {
    local file
    for file in "$dir"/part.*; do
        until [ "$(cli <"$file" 2>/dev/null | grep -c -- '-')" \
                -ge "$(wc -l <"$file")" ]; do
            sleep 0.2
        done
        sleep 0.5
    done
}
send &
sender=$!

# The API meanwhile: orders of its own, a member that the stream uses too.
post() {
    local i answer
    for i in $(seq 1 60); do
        until answer=$(api POST orders -d "$(event $((900000 + i)) completed \
                           | sed 's/"m[0-9]*"/"m1"/; s/9000[0-9]*/100/2g;
                                  s/"o100"/"o9'"$i"'"/')") \
              && [[ $answer == *'"outcome":"applied"'* \
                    || $answer == *'"outcome":"duplicate"'* ]]; do
            sleep 0.1
        done
    done
}
post &
poster=$!

master=$(cat "$dir/nginx.pid")
kills=0
until=$((SECONDS + SECONDS_OF_KILLS))
redis_at=$((SECONDS + SECONDS_OF_KILLS / 2))
while [ $SECONDS -lt $until ]; do
    sleep "0.$((RANDOM % 6 + 2))"
    workers=$(pgrep -P "$master" || true)
    for worker in $workers; do
        [ $((RANDOM % 2)) -eq 0 ] || continue
        kill -9 "$worker" 2>/dev/null && kills=$((kills + 1))
    done
    if [ -n "$redis_at" ] && [ $SECONDS -ge "$redis_at" ]; then
        redis_at=
        kill -9 $redis_pid
        wait $redis_pid 2>/dev/null || true
        start_redis
        chmod 777 "$dir/redis.sock"
    fi
done
echo "# $kills workers killed, Redis once"

wait $sender $poster
for _ in $(seq 300); do
    groups=$(cli xinfo groups 'loyalty:s:{demo}:orders' | tr '\n' ' ')
    [[ $groups == *'pending 0 '*'lag 0 '* ]] && break
    sleep 0.1
done
check "all of the stream is applied" "lag ${groups##*lag }" 'lag 0 '

awk -v members=$MEMBERS -v orders=$ORDERS 'BEGIN {
    for (i = 1; i <= orders; i++) if (i % 7) {
        count[i % members]++; spend[i % members] += i
        points[i % members] += int(i / 100); sku[i % members, i % 5]++
    }
    count[1] += 60; spend[1] += 60 * 100; points[1] += 60
    for (m = 0; m < members; m++)
        printf "m%d %d %d %d\n", m, count[m], spend[m], points[m]
}' >"$dir/expected"

for m in $(seq 0 $((MEMBERS - 1))); do
    sed -E "s/.*\"order_count\":([0-9]+),\"spent_total\":([0-9]+),\"points\":\{\"active\":([0-9]+).*/m$m \1 \2 \3/" \
        <<<"$(api GET "members/m$m")"
done >"$dir/got"
check "orders, spend and points of every member are right to the penny" \
    "$(diff "$dir/expected" "$dir/got" | head -n 5)" ''

ledger=$(for m in $(seq 0 $((MEMBERS - 1))); do
    cli --raw xrange "loyalty:l:{demo}:m$m" - + \
        | awk '/^a$/ {getline; s += $0} END {print "m'"$m"'", s + 0}'
done)
check "the entries of every ledger sum up to its balance" \
    "$(diff <(awk '{print $1, $4}' "$dir/expected") <(echo "$ledger") | head -n 5)" ''

units=$(cli hget 'loyalty:h:{demo}:m2' s2)
check "units of a product, by member" "$units" \
    "$(awk 'BEGIN { for (i = 1; i <= '$ORDERS'; i++)
        if (i % 7 && i % '$MEMBERS' == 2 && i % 5 == 2) n++; print n }')"

check "no dead letters" "$(cli xlen 'loyalty:s:{demo}:dead')" 0
check "every member is in the list once" \
    "$(cli zcard 'loyalty:mi:{demo}')" $MEMBERS
check "no alert in the log but the deaths" \
    "$(grep -E '\[(alert|crit|emerg)\]' "$dir/logs/error.log" \
       | grep -vc 'exited on signal 9' || true)" 0

echo "1..$n"
