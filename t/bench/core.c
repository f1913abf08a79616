/*
 * The rule book alone: "metric value" lines, medians of ROUNDS.
 *
 * Each figure stands beside the plainest lower bound: one pass over the same
 * memory.  With a name and a number, runs that one so many times, for
 * callgrind:  valgrind --tool=callgrind build/bench/core order_apply 100
 */

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "loyalty_cart.h"
#include "loyalty_order.h"
#include "loyalty_segment.h"
#include "loyalty_view.h"

#define LINES 20
#define OFFERS 50
#define ROUNDS 9

static volatile int64_t sink; /* keeps what is measured from being dropped */
static loyalty_program_t *program, *large;
static char *large_text;
static loyalty_arena_t arena;
static loyalty_cart_line_t lines[LINES];
static char skus[LINES][16];
static loyalty_member_t member;
static loyalty_str_t member_bytes;
static loyalty_order_event_t event;

static double
seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static int
by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* The median, over rounds of `times` calls, of nanoseconds per call. */
static double
measure(void (*run)(void), int times)
{
    double rounds[ROUNDS], began;
    int round, i;

    for (round = 0; round < ROUNDS; round++) {
        began = seconds();
        for (i = 0; i < times; i++) {
            run();
        }
        rounds[round] = (seconds() - began) * 1e9 / times;
    }

    qsort(rounds, ROUNDS, sizeof(rounds[0]), by_value);
    return rounds[ROUNDS / 2];
}

/* Offers of every kind and scope, all live, none exclusive. */
static json_t *
offers(int n)
{
    json_t *list = json_array(), *offer, *scope, *discount;
    char id[16], sku[16], percent[8];
    int i;

    for (i = 0; i < n; i++) {
        snprintf(id, sizeof(id), "offer-%d", i);
        snprintf(sku, sizeof(sku), "SKU-%d", i % LINES);
        snprintf(percent, sizeof(percent), "%d", 1 + i % 9);

        scope = i % 4 == 0   ? json_pack("{s:s}", "kind", "site")
                : i % 4 == 1 ? json_pack("{s:s, s:[s]}", "kind", "categories",
                                         "values", "home/lighting")
                             : json_pack("{s:s, s:[s, s]}", "kind", "products",
                                         "values", sku, "SKU-none");
        discount =
            i % 5 == 0   ? json_pack("{s:s, s:i}", "kind", "amount", "amount", 10)
            : i % 5 == 1 ? json_pack("{s:s, s:i}", "kind", "amount_each",
                                     "amount", 3)
            : i % 5 == 2 ? json_pack("{s:s, s:i, s:i, s:s}", "kind",
                                     "buy_x_get_y", "buy_quantity", 2,
                                     "get_quantity", 1, "percent", "10")
                         : json_pack("{s:s, s:s}", "kind", "percent",
                                     "percent", percent);
        offer = json_pack("{s:s, s:s, s:s, s:s, s:i, s:o, s:o, s:i}", "id", id,
                          "type", "promotion", "name", id, "state",
                          "published", "priority", i % 7, "scope", scope,
                          "discount", discount, "min_spend", 100);
        json_array_append_new(list, offer);
    }

    return list;
}

static loyalty_program_t *
program_of(int n, char **text)
{
    json_t *document = loyalty_program_default(loyalty_str("bench"),
                                               loyalty_str("GBP"));
    loyalty_problems_t problems;
    loyalty_program_t *made;
    loyalty_arena_t own;

    loyalty_arena_init(&own, 0);
    json_object_set_new(document, "offers", offers(n));
    json_object_set_new(json_object_get(document, "settings"), "active",
                        json_true());
    loyalty_problems_init(&problems, &own);
    if (loyalty_program_from_json(document, &problems, &made) != LOYALTY_OK) {
        fprintf(stderr, "%s: %s\n", problems.list[0].pointer.data,
                problems.list[0].message.data);
        exit(1);
    }
    *text = json_dumps(document, JSON_COMPACT);
    json_decref(document);
    loyalty_arena_free(&own);
    return made;
}

static void
cart(void)
{
    static const loyalty_str_t none[1];
    loyalty_cart_t request = {.groups = none, .order_count = 3, .points = 100,
                              .earn_rate = 10000, .multiplier = 100,
                              .lines = lines, .nlines = LINES};
    loyalty_quote_t quote;

    loyalty_arena_reset(&arena);
    if (loyalty_cart_evaluate(program, &request, &arena, &quote)
        != LOYALTY_OK) {
        abort();
    }
    sink += quote.total;
}

/* Every line's price and SKU once for each offer. */
static void
cart_bound(void)
{
    size_t i, j;

    for (i = 0; i < program->noffers; i++) {
        for (j = 0; j < LINES; j++) {
            sink += lines[j].unit_price * program->offers[i]->min_spend
                    + lines[j].sku.data[0];
        }
    }
}

static void
standing(void)
{
    loyalty_tier_result_t tier;
    loyalty_activity_t activity;

    loyalty_member_tier(&member, program, event.occurred_at, &tier);
    loyalty_member_activity(&member, &activity);
    sink += tier.percent
            + loyalty_segments(&program->settings.segments, &activity,
                               event.occurred_at);
}

static void
standing_bound(void)
{
    const unsigned char *bytes = (const unsigned char *)&member;
    size_t i;

    for (i = 0; i < sizeof(member); i += 8) {
        sink += bytes[i];
    }
}

/* Read the member, apply one order, write the member: what the back end does
 * for each event. */
static void
order(void)
{
    loyalty_order_t *record = NULL;
    loyalty_effects_t effects;
    loyalty_member_t fresh;
    loyalty_str_t bytes;

    loyalty_arena_reset(&arena);
    if (loyalty_member_decode(member_bytes, &arena, &fresh) != LOYALTY_OK
        || loyalty_order_apply(program, &fresh, &record, &event,
                               event.occurred_at, &arena, &effects)
               != LOYALTY_OK
        || loyalty_member_encode(&fresh, &arena, &bytes) != LOYALTY_OK) {
        abort();
    }
    sink += fresh.spent_total + (int64_t)bytes.len;
}

static void
apply_only(void)
{
    static loyalty_member_t fresh;
    loyalty_order_t *record = NULL;
    loyalty_effects_t effects;

    loyalty_arena_reset(&arena);
    fresh = member;
    if (loyalty_order_apply(program, &fresh, &record, &event,
                            event.occurred_at, &arena, &effects)
        != LOYALTY_OK) {
        abort();
    }
    sink += fresh.spent_total;
}

static void
order_bound(void)
{
    loyalty_arena_reset(&arena);
    sink += *(char *)memcpy(loyalty_alloc(&arena, member_bytes.len),
                            member_bytes.data, member_bytes.len);
}

static void
parse(void)
{
    loyalty_problems_t problems;
    loyalty_program_t *made;

    loyalty_arena_reset(&arena);
    loyalty_problems_init(&problems, &arena);
    if (loyalty_program_parse(large_text, strlen(large_text), &problems, &made)
        != LOYALTY_OK) {
        abort();
    }
    sink += made->version;
    loyalty_program_free(made);
}

static void
parse_bound(void)
{
    json_t *json = json_loads(large_text, 0, NULL);

    sink += (int64_t)json_object_size(json);
    json_decref(json);
}

static void
prepare(void)
{
    loyalty_order_t *record = NULL;
    loyalty_effects_t effects;
    loyalty_str_t bytes;
    char *text;
    int i;

    program = program_of(OFFERS, &text);
    free(text);
    large = program_of(500, &large_text);
    loyalty_arena_init(&arena, 0);

    for (i = 0; i < LINES; i++) {
        snprintf(skus[i], sizeof(skus[i]), "SKU-%d", i);
        lines[i] = (loyalty_cart_line_t){
            .sku = loyalty_str_from(skus[i]),
            .category = i % 2 ? loyalty_str("home/lighting/lamps")
                              : loyalty_str("garden"),
            .quantity = 1 + i % 4,
            .unit_price = 199 + 350 * i,
        };
    }

    /* A member with ten orders behind it. */
    loyalty_member_init(&member, loyalty_str("17850"));
    for (i = 0; i < 11; i++) {
        static char ids[11][16];
        static loyalty_order_line_t bought[LINES];
        int j;

        for (j = 0; j < LINES; j++) {
            bought[j] = (loyalty_order_line_t){
                .sku = lines[j].sku, .quantity = 1, .amount = 500};
        }
        snprintf(ids[i], sizeof(ids[i]), "5363%d", i);
        event = (loyalty_order_event_t){
            .order_id = loyalty_str_from(ids[i]),
            .member_id = loyalty_str("17850"),
            .status = LOYALTY_ORDER_COMPLETED,
            .attempt = 1,
            .placed_at = 1700000000000 + i * LOYALTY_DAY,
            .occurred_at = 1700000000000 + i * LOYALTY_DAY,
            .currency = loyalty_str("GBP"),
            .total = 500 * LINES,
            .lines = bought,
            .nlines = LINES,
        };
        if (i == 10) {
            break; /* the one that is measured */
        }
        record = NULL;
        if (loyalty_order_apply(program, &member, &record, &event,
                                event.occurred_at, &arena, &effects)
            != LOYALTY_OK) {
            abort();
        }
    }

    if (loyalty_member_encode(&member, &arena, &bytes) != LOYALTY_OK) {
        abort();
    }
    text = malloc(bytes.len);
    memcpy(text, bytes.data, bytes.len);
    member_bytes = (loyalty_str_t){text, bytes.len};
    printf("core.member_bytes %zu\n", bytes.len);
    if (loyalty_order_encode(record, &arena, &bytes) == LOYALTY_OK) {
        printf("core.order_bytes %zu\n", bytes.len);
    }
    loyalty_arena_init(&arena, 0);
}

static const struct {
    const char *name;
    void (*run)(void);
    int times;
} benchmarks[] = {
    {"cart_20_lines_50_offers", cart, 2000},
    {"cart_20_lines_50_offers_lower_bound", cart_bound, 20000},
    {"status_and_segments", standing, 200000},
    {"status_and_segments_lower_bound", standing_bound, 200000},
    {"order_apply", apply_only, 20000},
    {"order_decode_apply_encode", order, 20000},
    {"order_apply_lower_bound", order_bound, 200000},
    {"program_500_offers", parse, 20},
    {"program_500_offers_lower_bound", parse_bound, 20},
};

int
main(int argc, char **argv)
{
    size_t i;
    long times;

    prepare();

    for (i = 0; i < sizeof(benchmarks) / sizeof(benchmarks[0]); i++) {
        if (argc < 3) {
            printf("core.%s_ns %.0f\n", benchmarks[i].name,
                   measure(benchmarks[i].run, benchmarks[i].times));
        } else if (strcmp(argv[1], benchmarks[i].name) == 0) {
            for (times = atol(argv[2]); times > 0; times--) {
                benchmarks[i].run();
            }
        }
    }

    return 0;
}
