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

static loyalty_status_t
read_event(loyalty_document_t *document, loyalty_str_t text,
           loyalty_arena_t *arena, loyalty_problems_t *problems,
           loyalty_order_event_t *event)
{
    loyalty_document_mistake_t mistake;
    loyalty_status_t rc;

    rc = loyalty_document_parse(document, text, &mistake);
    if (rc == LOYALTY_OK) {
        rc = loyalty_document_distinct(document, arena);
    }

    return rc == LOYALTY_OK
               ? loyalty_order_event_parse(document, loyalty_str("GBP"), NOW,
                                           arena, problems, event)
               : rc;
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
    loyalty_document_t document;
    loyalty_str_t bytes;
    json_t *json;
    char *text;

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
    text = json_dumps(json, 0);
    json_decref(json);
    loyalty_document_init(&document);
    loyalty_problems_init(&problems, arena);
    require(read_event(&document, loyalty_str_from(text), arena, &problems,
                       &again)
            == LOYALTY_OK);
    require(loyalty_order_apply(&program,
                                event->member_id.len == 0 ? NULL : &member,
                                &order, &again, NOW, arena, &effects)
            == LOYALTY_OK);
    require(effects.outcome == LOYALTY_DUPLICATE);
    loyalty_document_free(&document);
    free(text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    loyalty_str_t text = {(const char *)data, size};
    loyalty_order_event_t event;
    loyalty_document_t document;
    loyalty_problems_t problems;
    loyalty_arena_t arena;
    loyalty_status_t rc;
    json_t *json;

    /* jansson passes over a zero byte behind a number. */
    if (size == 0 || memchr(data, '\0', size) != NULL) {
        return 0;
    }

    loyalty_arena_init(&arena, 64 * 1024 * 1024);
    loyalty_problems_init(&problems, &arena);
    loyalty_document_init(&document);

    /* What jansson takes, names twice refused, is what we take, but for
     * integers past 64 bits, which matter only where we know the name. */
    json = json_loadb(text.data, size, JSON_REJECT_DUPLICATES, NULL);
    rc = read_event(&document, text, &arena, &problems, &event);
    require(json == NULL || rc == LOYALTY_OK || problems.count > 0);
    json_decref(json);

    if (rc == LOYALTY_OK) {
        apply(&event, &arena);
    }

    loyalty_document_free(&document);
    loyalty_arena_free(&arena);
    return 0;
}
