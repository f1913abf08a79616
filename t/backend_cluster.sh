#!/usr/bin/env bash
# The back end on a Redis Cluster of three nodes: each site on its node, a slot
# that moves under way, a node that fails over to nobody; and on Sentinel.

. "$(dirname "$0")/../scripts/common.sh"

PORT=${LOYALTY_CLUSTER_PORT:-26300}
dir=$(mktemp -d)
chmod 755 "$dir"
mkdir "$dir/logs"
pids=()

. "$ROOT/t/lib/check.sh"

# shellcheck disable=SC2317
cleanup() {
    for pidfile in "$dir"/*.pid; do
        [ ! -f "$pidfile" ] || kill -TERM "$(cat "$pidfile")" || true
    done
    sleep 0.3
    kill "${pids[@]}" 2>/dev/null || true
    wait
    rm -rf "$dir"
}
trap cleanup EXIT

up() {
    for _ in $(seq 100); do
        [ "$(redis-cli -p "$1" ping 2>/dev/null)" = PONG ] && return
        sleep 0.05
    done
    die "Redis on port $1 does not come up"
}

start() {
    local port=$1
    shift
    mkdir -p "$dir/$port"
    # A copy: Sentinel has Redis write its configuration anew.
    cp "$ROOT/conf/redis.conf" "$dir/$port/redis.conf"
    redis-server "$dir/$port/redis.conf" --bind 127.0.0.1 --port "$port" \
        --dir "$dir/$port" "$@" >"$dir/logs/$port.log" 2>&1 &
    pids+=($!)
    up "$port"
}

backend() {
    local name=$1 redis=$2
    cat >"$dir/$name.conf" <<END
load_module ${LOYALTY_MODULE:-$MODULE};
worker_processes 1;
error_log $dir/logs/$name.log notice;
pid $dir/$name.pid;
events { worker_connections 256; }
http {
    access_log off;
    client_body_temp_path $dir/body;
    proxy_temp_path $dir/proxy;
    fastcgi_temp_path $dir/fastcgi;
    uwsgi_temp_path $dir/uwsgi;
    scgi_temp_path $dir/scgi;
    loyalty_redis $redis;
    server {
        listen unix:$dir/$name.sock;
        location /v1/ { loyalty_backend; }
    }
}
END
    "${TEST_NGINX_BINARY:-nginx}" -p "$dir" -e "$dir/logs/$name.log" \
        -c "$dir/$name.conf"
    chmod 777 "$dir/$name.sock"
    api=$dir/$name.sock
}

call() {
    local method=$1 path=$2
    shift 2
    curl -s -m 10 -o "$dir/answer" -w '%{http_code}' --unix-socket "$api" \
        -X "$method" -H "Authorization: Bearer $token" \
        -H 'Content-Type: application/json' "$@" "http://api/v1/sites/$path"
}

settings='{"name":"D","currency":"GBP","time_zone":"UTC","locales":["en"],"active":true}'

order() {
    printf '{"order_id":"%s","member_id":"anna","status":"completed","currency":"GBP","total":100,"lines":[]}' "$1"
}

token_on() {
    local hash
    token=$(openssl rand -hex 16)
    hash=$(printf '%s' "$token" | sha256sum | cut -d ' ' -f 1)
    redis-cli -c -p "$1" hset loyalty:tokens "$hash" \
        '{"name":"t","sites":["*"],"scopes":["read","write"]}' >/dev/null
}

for i in 0 1 2; do
    start $((PORT + i)) --cluster-enabled yes \
        --cluster-port $((PORT + 100 + i)) --cluster-node-timeout 2000
done
redis-cli --cluster create "127.0.0.1:$PORT" "127.0.0.1:$((PORT + 1))" \
    "127.0.0.1:$((PORT + 2))" --cluster-yes >"$dir/logs/create.log" 2>&1
for _ in $(seq 100); do
    redis-cli -p "$PORT" cluster info | grep -q cluster_state:ok && break
    sleep 0.1
done

token_on "$PORT"
backend cluster "127.0.0.1:$PORT 127.0.0.1:$((PORT + 1)) cluster=on"
sleep 0.3

codes=
for site in a b c d e f; do
    codes+=$(call PUT "$site/settings" -d "$settings")
    codes+=$(call POST "$site/orders" -d "$(order o1)")
done
check "six sites, wherever their slots are" "$codes" \
    201201201201201201201201201201201201
check "they are on all three nodes" \
    "$(for i in 0 1 2; do
           redis-cli -p $((PORT + i)) --scan --pattern 'loyalty:p:*' | wc -l
       done | grep -vc '^0$')" 3

for site in a b c d e f; do
    redis-cli -c -p "$PORT" xadd "loyalty:s:{$site}:orders" '*' \
        e "$(order o2)" i j >/dev/null
done
for _ in $(seq 60); do
    sleep 0.1
    counts=$(for site in a b c d e f; do
        call GET "$site/members/anna" >/dev/null
        sed -E 's/.*"order_count":([0-9]+).*/\1/' "$dir/answer"
        echo
    done | tr -d '\n')
    [ "$counts" = 222222 ] && break
done
check "and their streams are applied" "$counts" 222222

slot=$(redis-cli -p "$PORT" cluster keyslot '{a}')
from=$(redis-cli -p "$PORT" cluster slots | head -n 4 >/dev/null
       for i in 0 1 2; do
           redis-cli -p $((PORT + i)) exists 'loyalty:p:{a}' 2>/dev/null \
               | grep -qx 1 && echo $((PORT + i))
       done)
to=$((from == PORT ? PORT + 1 : PORT))
to_id=$(redis-cli -p $to cluster myid)
from_id=$(redis-cli -p "$from" cluster myid)
redis-cli -p $to cluster setslot "$slot" importing "$from_id" >/dev/null
redis-cli -p "$from" cluster setslot "$slot" migrating "$to_id" >/dev/null
while read -r key; do
    [ -z "$key" ] || redis-cli -p "$from" migrate 127.0.0.1 $to "$key" 0 2000 \
        >/dev/null
done < <(redis-cli -p "$from" cluster getkeysinslot "$slot" 1000)
for i in 0 1 2; do
    redis-cli -p $((PORT + i)) cluster setslot "$slot" node "$to_id" >/dev/null
done
for _ in $(seq 30); do
    code=$(call POST a/orders -d "$(order o3)")
    [ "$code" = 503 ] || break
    sleep 0.1
done
check "a site whose slot has moved is found again" "$code" 201
redis-cli -c -p "$PORT" xadd 'loyalty:s:{a}:orders' '*' e "$(order o4)" i j \
    >/dev/null
for _ in $(seq 60); do
    sleep 0.1
    call GET a/members/anna >/dev/null
    grep -q '"order_count":4' "$dir/answer" && break
done
check "and its stream" \
    "$(sed -E 's/.*"order_count":([0-9]+).*/\1/' "$dir/answer")" 4

# Sentinel: a master and a replica; the master is killed.
start $((PORT + 10))
master=${pids[-1]}
start $((PORT + 11)) --replicaof "127.0.0.1 $((PORT + 10))"
cat >"$dir/sentinel.conf" <<END
bind 127.0.0.1
port $((PORT + 12))
dir $dir
sentinel monitor shop 127.0.0.1 $((PORT + 10)) 1
sentinel down-after-milliseconds shop 500
sentinel failover-timeout shop 2000
END
redis-server "$dir/sentinel.conf" --sentinel >"$dir/logs/sentinel.log" 2>&1 &
pids+=($!)
up $((PORT + 12))
token_on $((PORT + 10))
backend sentinel "127.0.0.1:$((PORT + 12)) sentinel=shop"
sleep 0.3
check "the sentinels' master is used" "$(call PUT s/settings -d "$settings")" 201
call POST s/orders -d "$(order o1)" >/dev/null
for _ in $(seq 100); do
    redis-cli -p $((PORT + 11)) info replication \
        | grep -q 'master_link_status:up' && break
    sleep 0.1
done
sleep 0.5
kill -9 "$master"
for _ in $(seq 150); do
    code=$(call POST s/orders -d "$(order o2)")
    [ "$code" != 503 ] && break
    sleep 0.1
done
check "after a failover the new one is" "$code" 201
call GET s/members/anna >/dev/null
check "with all that was there" \
    "$(sed -E 's/.*"order_count":([0-9]+).*/\1/' "$dir/answer")" 2
check "no alert in the logs" \
    "$(cat "$dir/logs/cluster.log" "$dir/logs/sentinel.log" \
       | grep -cE '\[(alert|crit|emerg)\]' || true)" 0

echo "1..$n"
