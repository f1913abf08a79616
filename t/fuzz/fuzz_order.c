/*
 * libFuzzer: an order's record with a checksum that fits, then every event
 * applied to it.  What decodes must encode to the same bytes; what comes out
 * of an event must decode, member and record.
 */

#include <stdlib.h>

#include "loyalty_codec.h"
#include "loyalty_order.h"

#define NOW INT64_C(1767225600000)

static void
require(bool condition)
{
    if (!condition) {
        abort();
    }
}

static void
apply(loyalty_order_t *order, loyalty_order_status_t status,
      loyalty_arena_t *arena)
{
    static loyalty_tier_t tier = {
        .id = loyalty_str("bronze"), .threshold = 100, .multiplier = 150};
    loyalty_program_t program = {
        .settings = {.active = true,
                     .exponent = 2,
                     .earn_rate = 10000,
                     .return_policy = LOYALTY_RETURN_UNLIMITED},
        .tiers = &tier,
        .ntiers = 1,
    };
    loyalty_order_event_t event = {
        .order_id = order->id,
        .member_id = order->member_id,
        .status = status,
        .attempt = 1,
        .placed_at = NOW,
        .occurred_at = NOW,
        .currency = order->currency,
        .total = 1000,
        .refund = {.id = loyalty_str("r"), .amount = 100}};
    loyalty_member_t member;
    loyalty_effects_t effects;
    loyalty_str_t bytes;

    if (loyalty_member_id_check(order->member_id) != LOYALTY_OK) {
        return;
    }

    loyalty_member_init(&member, order->member_id);
    if (loyalty_order_apply(&program, &member, &order, &event, NOW, arena,
                            &effects)
        != LOYALTY_OK) {
        return;
    }

    require(loyalty_ledger_check(&member.points) == LOYALTY_OK);
    require(loyalty_member_encode(&member, arena, &bytes) == LOYALTY_OK);
    require(loyalty_member_decode(bytes, arena, &member) == LOYALTY_OK);
    require(loyalty_order_encode(order, arena, &bytes) == LOYALTY_OK);
    require(loyalty_order_decode(bytes, arena, &order) == LOYALTY_OK);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    loyalty_order_status_t status;
    loyalty_encoder_t encoder;
    loyalty_order_t *order;
    loyalty_arena_t arena;
    loyalty_str_t bytes, again;

    loyalty_arena_init(&arena, 64 * 1024 * 1024);
    (void)loyalty_order_decode((loyalty_str_t){(const char *)data, size},
                               &arena, &order);

    loyalty_encoder_init(&encoder, &arena, size + 16);
    loyalty_put_uint(&encoder, 1);
    if (size > 0) {
        memcpy(encoder.data + encoder.len, data, size);
        encoder.len += size;
    }

    if (loyalty_encoder_finish(&encoder, LOYALTY_ORDER_RECORD_MAX, &bytes)
            == LOYALTY_OK
        && loyalty_order_decode(bytes, &arena, &order) == LOYALTY_OK) {
        require(loyalty_order_encode(order, &arena, &again) == LOYALTY_OK);
        require(loyalty_str_eq(bytes, again));
        json_decref(loyalty_order_to_json(order));
        for (status = LOYALTY_ORDER_PLACED; status <= LOYALTY_ORDER_REFUNDED;
             status++) {
            apply(order, status, &arena);
        }
    }

    loyalty_arena_free(&arena);
    return 0;
}
