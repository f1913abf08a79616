/*
 * A site with one member and one order at a time, for the tests of ledger,
 * member and order: events as short words, figures read back.
 *
 *   p placed   c completed   s shipped   x cancelled
 *   r1=400     refund "1" of 400;  r: all that is left
 *   c/2        attempt 2
 *   Each word comes an hour (of occurred_at) after the one before, and its
 *   time depends on its kind only, so that a shuffle keeps the times.
 */

#ifndef WORLD_H
#define WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "loyalty_order.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))
#define T0 INT64_C(1767225600000) /* 2026-01-01 */
#define DAY LOYALTY_DAY
#define HOUR LOYALTY_HOUR

/* A line of `sku`: quantity and amount. */
#define LINE(name, units, worth)                                               \
    {                                                                          \
        .sku = loyalty_str(name), .quantity = (units), .amount = (worth)       \
    }

typedef struct {
    loyalty_program_t program;
    loyalty_tier_t tiers[3];
    loyalty_arena_t arena;
    loyalty_member_t member;
    loyalty_order_t *order;
    loyalty_effects_t effects;
    loyalty_instant_t now;
    int64_t entries;  /* sum of all entries of points */
    int64_t products; /* sum of all product deltas */
} world_t;

/* Random histories: number n of them is always the same; the environment
 * says how many. */
static uint64_t world_state;

static inline void
world_seed(long n)
{
    world_state = (uint64_t)n * UINT64_C(0x9e3779b97f4a7c15);
}

static inline int64_t
world_random(int64_t n)
{
    world_state ^= world_state << 13;
    world_state ^= world_state >> 7;
    world_state ^= world_state << 17;
    return (int64_t)(world_state % (uint64_t)n);
}

static inline long
world_histories(long by_default)
{
    const char *text = getenv("LOYALTY_HISTORIES");

    return text == NULL ? by_default : atol(text);
}

static inline void
world_init(world_t *world)
{
    *world = (world_t){.now = T0};
    world->tiers[0] = (loyalty_tier_t){
        .id = loyalty_str("bronze"), .threshold = 100000, .multiplier = 100};
    world->tiers[1] = (loyalty_tier_t){
        .id = loyalty_str("silver"), .threshold = 500000, .multiplier = 150};
    world->tiers[2] = (loyalty_tier_t){
        .id = loyalty_str("gold"), .threshold = 1000000, .multiplier = 200};
    world->program = (loyalty_program_t){
        .version = 1,
        .settings = {.currency = loyalty_str("GBP"),
                     .exponent = 2,
                     .active = true,
                     .earn_rate = 10000,
                     .segments = {30, 180, 180, 1000}},
        .tiers = world->tiers,
        .ntiers = 3,
    };
    loyalty_arena_init(&world->arena, 0);
    loyalty_member_init(&world->member, loyalty_str("m1"));
}

static inline void
world_free(world_t *world)
{
    loyalty_arena_free(&world->arena);
}

static inline void
world_count(world_t *world)
{
    size_t i;

    for (i = 0; i < world->effects.points.n; i++) {
        assert_int_not_equal(world->effects.points.list[i].amount, 0);
        world->entries += world->effects.points.list[i].amount;
    }
    for (i = 0; i < world->effects.nproducts; i++) {
        world->products += world->effects.products[i].units;
    }
}

/* The invariants of DOMAIN.md section 4. */
static inline void
world_check(const world_t *world)
{
    const loyalty_ledger_t *ledger = &world->member.points;
    int64_t balance = -ledger->debt;
    size_t i;

    assert_int_equal(loyalty_ledger_check(ledger), LOYALTY_OK);
    for (i = 0; i < ledger->nlots; i++) {
        balance += ledger->lots[i].remaining;
    }
    assert_int_equal(world->entries, balance);
}

/* Every state a test comes by goes through the codecs. */
static inline void
world_store(world_t *world)
{
    loyalty_str_t bytes, again;

    assert_int_equal(
        loyalty_member_encode(&world->member, &world->arena, &bytes),
        LOYALTY_OK);
    assert_int_equal(
        loyalty_member_decode(bytes, &world->arena, &world->member),
        LOYALTY_OK);
    assert_int_equal(
        loyalty_member_encode(&world->member, &world->arena, &again),
        LOYALTY_OK);
    assert_true(loyalty_str_eq(bytes, again));

    if (world->order == NULL) {
        return;
    }
    assert_int_equal(loyalty_order_encode(world->order, &world->arena, &bytes),
                     LOYALTY_OK);
    assert_int_equal(loyalty_order_decode(bytes, &world->arena, &world->order),
                     LOYALTY_OK);
    assert_int_equal(loyalty_order_encode(world->order, &world->arena, &again),
                     LOYALTY_OK);
    assert_true(loyalty_str_eq(bytes, again));
}

static inline loyalty_status_t
world_apply(world_t *world, const loyalty_order_event_t *event)
{
    loyalty_status_t rc;

    rc = loyalty_order_apply(&world->program, &world->member, &world->order,
                             event, world->now, &world->arena, &world->effects);
    world_count(world);
    world_check(world);
    world_store(world);
    return rc;
}

/* One word of the little language above. */
static inline loyalty_order_event_t
world_event(world_t *world, const char *word, const char *order, int64_t total)
{
    static const struct {
        char letter;
        loyalty_order_status_t status;
        int hours;
    } kinds[] = {
        {'p', LOYALTY_ORDER_PLACED, 0},    {'c', LOYALTY_ORDER_COMPLETED, 1},
        {'s', LOYALTY_ORDER_SHIPPED, 2},   {'r', LOYALTY_ORDER_REFUNDED, 3},
        {'x', LOYALTY_ORDER_CANCELLED, 4},
    };
    loyalty_order_event_t event = {
        .order_id = loyalty_str_from(order),
        .member_id = loyalty_str("m1"),
        .attempt = 1,
        .placed_at = T0,
        .currency = loyalty_str("GBP"),
        .total = total,
        .refund = {.amount = -1},
    };
    const char *rest = word + 1;
    char *end;
    size_t i;

    for (i = 0; i < COUNT(kinds); i++) {
        if (kinds[i].letter == *word) {
            event.status = kinds[i].status;
            event.occurred_at = T0 + kinds[i].hours * HOUR;
        }
    }

    if (event.status == LOYALTY_ORDER_REFUNDED && *rest != '\0'
        && *rest != '/') {
        end = strchr(rest, '=');
        assert_int_equal(
            loyalty_str_copy(&world->arena,
                             (loyalty_str_t){rest, (size_t)(end - rest)},
                             &event.refund.id),
            LOYALTY_OK);
        event.refund.amount = strtoll(end + 1, &end, 10);
        rest = end;
    }

    if (*rest == '/') {
        event.attempt = atoi(rest + 1);
    }

    return event;
}

/* Applies each word of `words` to order "o1"; the last one's result. */
static inline loyalty_status_t
world_run(world_t *world, const char *words, int64_t total)
{
    loyalty_status_t rc = LOYALTY_OK;
    loyalty_order_event_t event;
    char text[256], *word, *save = NULL;

    snprintf(text, sizeof(text), "%s", words);
    for (word = strtok_r(text, " ", &save); word != NULL;
         word = strtok_r(NULL, " ", &save)) {
        event = world_event(world, word, "o1", total);
        world->now =
            event.occurred_at > world->now ? event.occurred_at : world->now;
        rc = world_apply(world, &event);
    }

    return rc;
}

/* What the member's points read at `now`. */
static inline loyalty_balance_t
world_balance(const world_t *world)
{
    loyalty_balance_t balance;

    loyalty_ledger_balance(&world->member.points, world->now, &balance);
    return balance;
}

/* "b:3 a:-1": the product deltas of the last change. */
static inline void
world_products(const world_t *world, const char *expected)
{
    char text[512] = "";
    size_t i, n = 0;

    for (i = 0; i < world->effects.nproducts; i++) {
        n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%.*s:%lld",
                              i == 0 ? "" : " ",
                              (int)world->effects.products[i].sku.len,
                              world->effects.products[i].sku.data,
                              (long long)world->effects.products[i].units);
    }
    assert_string_equal(text, expected);
}

/* Every bit flipped, every shorter length and one byte more: refused. */
static inline void
world_refuse_changes(world_t *world, loyalty_str_t bytes,
                     loyalty_status_t (*decode)(loyalty_str_t bytes,
                                                loyalty_arena_t *arena))
{
    char *changed = loyalty_alloc(&world->arena, bytes.len + 1);
    size_t i, bit;

    memcpy(changed, bytes.data, bytes.len);
    for (i = 0; i < bytes.len; i++) {
        for (bit = 0; bit < 8; bit++) {
            changed[i] ^= (char)(1 << bit);
            assert_int_not_equal(
                decode((loyalty_str_t){changed, bytes.len}, &world->arena),
                LOYALTY_OK);
            changed[i] ^= (char)(1 << bit);
        }
        assert_int_not_equal(decode((loyalty_str_t){changed, i}, &world->arena),
                             LOYALTY_OK);
    }

    assert_int_equal(
        decode((loyalty_str_t){changed, bytes.len + 1}, &world->arena),
        LOYALTY_ERROR_CORRUPT);
}

#endif
