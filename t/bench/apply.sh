#!/usr/bin/env bash
# Order events applied per second (t/bench/apply.c), over a month of real
# orders, medians of five runs:  t/bench/apply.sh [orders.jsonl.gz...], or
# `build` alone, of t/bench/letter.c too.
# Redis is set as conf/redis.conf has it: every transaction is on disk.

. "$(dirname "$0")/../../scripts/common.sh"

mkdir -p "$BUILD/bench"

module=$ROOT/ngx_loyalty_module
cc -std=c11 -D_GNU_SOURCE -O2 -I"$module/core" -I"$module/store" \
    -I"$module/backend" "$ROOT/t/bench/apply.c" "$module"/core/*.c \
    "$module"/store/*.c "$module"/backend/loyalty_apply*.c \
    -Wl,--wrap=loyalty_link_send -o "$BUILD/bench/apply" \
    -l:libhiredis.a -ljansson -lpcre2-8 -lcrypto -licui18n -licuuc
cc -std=c11 -D_GNU_SOURCE -O2 -I"$module/core" -I"$module/store" \
    -I"$module/backend" -I"$module/edge" "$ROOT/t/bench/letter.c" \
    "$module"/core/*.c "$module/edge/loyalty_format.c" \
    "$module/backend/loyalty_letter.c" -o "$BUILD/bench/letter" \
    -ljansson -lpcre2-8 -lcrypto -licui18n -licuuc

[ "${1-}" != build ] || exit 0
[ $# -gt 0 ] || set -- "$ROOT/../shared/data/online-retail/orders-2010-12.jsonl.gz"
dir=$(mktemp -d)

python3 - "$@" >"$dir/events" <<'END'
import gzip, json, sys
from decimal import Decimal, ROUND_HALF_UP

for name in sys.argv[1:]:
    for text in gzip.open(name, "rt"):
        order = json.loads(text, parse_float=Decimal)
        if not order.get("customer_id") or order["order_id"].startswith("C"):
            continue
        lines = [{"sku": line["sku"], "quantity": line["quantity"],
                  "unit_price": str(line["unit_price"]),
                  "amount": int((Decimal(str(line["unit_price"])) * 100
                                 * line["quantity"]).quantize(
                                     Decimal(1), ROUND_HALF_UP))}
                 for line in order["lines"] if line["quantity"] > 0]
        print(json.dumps({"order_id": order["order_id"],
                          "member_id": str(order["customer_id"]),
                          "status": "completed",
                          "placed_at": order["placed_at"], "currency": "GBP",
                          "total": sum(line["amount"] for line in lines),
                          "lines": lines}, separators=(",", ":")))
END

redis-server "$ROOT/conf/redis.conf" --unixsocket "$dir/redis.sock" \
    --dir "$dir" --enable-debug-command local >"$dir/redis.log" 2>&1 &
redis=$!
# shellcheck disable=SC2064
trap "kill $redis; wait; rm -rf '$dir'" EXIT
for _ in $(seq 100); do
    [ "$(redis-cli -s "$dir/redis.sock" ping 2>/dev/null)" = PONG ] && break
    sleep 0.05
done

for _ in 1 2 3 4 5; do
    "$BUILD/bench/apply" "$dir/redis.sock" "$dir/events"
done | sort -k1,1 -k2,2g | awk '{v[$1, ++n[$1]] = $2}
    END {for (m in n) print m, v[m, int((n[m] + 1) / 2)]}' | sort
