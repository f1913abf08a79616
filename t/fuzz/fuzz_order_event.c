/*
 * libFuzzer: the JSON of an order event, parsed, applied to a new member,
 * stored and read back; then as JSON again, which must be a duplicate.
 */

#include <stdlib.h>

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
apply(const loyalty_order_event_t *event, loyalty_arena_t *arena)
{
    loyalty_program_t program = {
        .settings = {.active = true,
                     .exponent = 2,
                     .earn_rate = 10000,
                     .currency = loyalty_str("GBP"),
                     .points_expire_days = 365,
                     .points_pending_days = 14},
    };
    loyalty_order_event_t again;
    loyalty_order_t *order = NULL;
    loyalty_problems_t problems;
    loyalty_effects_t effects;
    loyalty_member_t member;
    loyalty_str_t bytes;
    json_t *json;

    loyalty_member_init(&member, event->member_id);
    if (loyalty_order_apply(&program,
                            event->member_id.len == 0 ? NULL : &member, &order,
                            event, NOW, arena, &effects)
        != LOYALTY_OK) {
        return;
    }

    require(loyalty_order_encode(order, arena, &bytes) == LOYALTY_OK);
    require(loyalty_order_decode(bytes, arena, &order) == LOYALTY_OK);
    if (event->member_id.len != 0) {
        require(loyalty_ledger_check(&member.points) == LOYALTY_OK);
        require(loyalty_member_encode(&member, arena, &bytes) == LOYALTY_OK);
        require(loyalty_member_decode(bytes, arena, &member) == LOYALTY_OK);
    }

    json = loyalty_order_event_to_json(event);
    loyalty_problems_init(&problems, arena);
    require(loyalty_order_event_parse(json, loyalty_str("GBP"), NOW, arena,
                                      &problems, &again)
            == LOYALTY_OK);
    json_decref(json);
    require(loyalty_order_apply(&program,
                                event->member_id.len == 0 ? NULL : &member,
                                &order, &again, NOW, arena, &effects)
            == LOYALTY_OK);
    require(effects.outcome == LOYALTY_DUPLICATE);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    loyalty_order_event_t event;
    loyalty_problems_t problems;
    loyalty_arena_t arena;
    loyalty_status_t rc;
    json_t *json;

    json = json_loadb((const char *)data, size, JSON_ALLOW_NUL, NULL);
    if (json == NULL) {
        return 0;
    }

    loyalty_arena_init(&arena, 64 * 1024 * 1024);
    loyalty_problems_init(&problems, &arena);
    rc = loyalty_order_event_parse(json, loyalty_str("GBP"), NOW, &arena,
                                   &problems, &event);
    if (rc == LOYALTY_OK) {
        apply(&event, &arena);
    } else {
        require(problems.count > 0);
    }

    json_decref(json);
    loyalty_arena_free(&arena);
    return 0;
}
