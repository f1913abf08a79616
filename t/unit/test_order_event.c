/*
 * core/loyalty_order_event.c: an order event from JSON; every mistake with
 * its place, every limit passed by one.
 */

#include "world.h"

#include <jansson.h>

static loyalty_arena_t arena;
static loyalty_document_t document;
static loyalty_problems_t problems;
static loyalty_order_event_t event;

/* The event's texts may lie in this one. */
static loyalty_status_t
parse_text(const char *text)
{
    loyalty_document_mistake_t mistake;

    loyalty_arena_reset(&arena);
    loyalty_problems_init(&problems, &arena);
    assert_int_equal(loyalty_document_parse(&document, loyalty_str_from(text),
                                            &mistake),
                     LOYALTY_OK);
    return loyalty_order_event_parse(&document, loyalty_str("GBP"), T0, &arena,
                                     &problems, &event);
}

static loyalty_status_t
parse(json_t *json)
{
    static char *text;

    free(text);
    text = json_dumps(json, 0);
    json_decref(json);
    return parse_text(text);
}

static void
an_event_is_read(void **state)
{
    (void)state;

    assert_int_equal(
        parse_text(
            "{\"order_id\": \"536365\", \"member_id\": \"17850\", \"status\": "
            "\"shipped\", \"attempt\": 2, \"placed_at\": "
            "\"2010-12-01T08:26:00Z\", \"occurred_at\": "
            "\"2010-12-01T09:26:00+01:00\", \"currency\": \"GBP\", \"total\": "
            "2034, \"lines\": [{\"sku\": \"85123A\", \"category\": "
            "\"home/lamps\", \"quantity\": 6, \"unit_price\": \"2.55\"}, "
            "{\"sku\": \"71053\", \"unit_price\": \"5.035\", \"amount\": "
            "504}], \"redemptions\": [\"h1\"], \"unknown\": {}}"),
        LOYALTY_OK);
    assert_int_equal(event.status, LOYALTY_ORDER_SHIPPED);
    assert_int_equal(event.attempt, 2);
    assert_int_equal(event.placed_at, INT64_C(1291191960000));
    assert_int_equal(event.occurred_at, INT64_C(1291191960000));
    assert_int_equal(event.total, 2034);
    assert_int_equal(event.nlines, 2);
    assert_int_equal(event.lines[0].amount, 1530);
    assert_int_equal(event.lines[1].quantity, 1);
    assert_true(
        loyalty_str_eq(event.lines[1].unit_price, loyalty_str("5.035")));
    assert_int_equal(event.nredemptions, 1);

    assert_int_equal(parse_text("{\"order_id\": \"1\", \"status\": "
                                "\"cancelled\", \"member_id\": null}"),
                     LOYALTY_OK);
    assert_int_equal(event.member_id.len, 0);
    assert_int_equal(event.attempt, 1);
    assert_int_equal(event.total, -1);
    assert_int_equal(event.occurred_at, T0);
    assert_int_equal(event.placed_at, T0);
    assert_true(loyalty_str_eq(event.currency, loyalty_str("GBP")));

    assert_int_equal(parse_text("{\"order_id\": \"1\", \"status\": "
                                "\"refunded\", \"refund\": {\"id\": \"r1\", "
                                "\"lines\": [{\"sku\": \"a\"}]}}"),
                     LOYALTY_OK);
    assert_int_equal(event.refund.amount, -1);
    assert_int_equal(event.refund.lines[0].amount, -1);
}

/* The rest of an event around what is tested. */
#define REST "\"order_id\": \"1\", \"status\": \"completed\", \"total\": 1"

static void
every_mistake_is_named_with_its_place(void **state)
{
    static const struct {
        const char *json, *pointer;
    } cases[] = {
        {"[]", ""},
        {"{\"status\": \"placed\", \"total\": 1}", "/order_id"},
        {"{\"order_id\": \"\", \"status\": \"placed\", \"total\": 1}",
         "/order_id"},
        {"{\"order_id\": \"a\\nb\", \"status\": \"placed\", \"total\": 1}",
         "/order_id"},
        {"{\"order_id\": \"a\\u0001b\", \"status\": \"placed\", \"total\": 1}",
         "/order_id"},
        {"{\"order_id\": \"a\x7f\", \"status\": \"placed\", \"total\": 1}",
         "/order_id"},
        {"{\"order_id\": 7, \"status\": \"placed\", \"total\": 1}",
         "/order_id"},
        {"{\"order_id\": \"1\", \"status\": \"paid\", \"total\": 1}",
         "/status"},
        {"{\"order_id\": \"1\", \"total\": 1}", "/status"},
        {"{\"order_id\": \"1\", \"status\": \"placed\"}", "/total"},
        {"{\"order_id\": \"1\", \"status\": \"placed\", \"total\": -1}",
         "/total"},
        {"{\"order_id\": \"1\", \"status\": \"placed\", \"total\": 1.0}",
         "/total"},
        {"{" REST ", \"attempt\": 0}", "/attempt"},
        {"{" REST ", \"attempt\": 2147483648}", "/attempt"},
        {"{" REST ", \"placed_at\": \"yesterday\"}", "/placed_at"},
        {"{" REST ", \"occurred_at\": 12}", "/occurred_at"},
        {"{" REST ", \"currency\": \"EUR\"}", "/currency"},
        {"{" REST ", \"lines\": {}}", "/lines"},
        {"{" REST ", \"lines\": [1]}", "/lines/0"},
        {"{" REST ", \"lines\": [{\"amount\": 1}]}", "/lines/0/sku"},
        {"{" REST ", \"lines\": [{\"sku\": \"a\", \"amount\": 1}, {\"sku\": "
         "\"a\", \"amount\": -1}]}",
         "/lines/1/amount"},
        {"{" REST ", \"lines\": [{\"sku\": \"a\", \"amount\": 1, "
         "\"quantity\": 0}]}",
         "/lines/0/quantity"},
        {"{" REST ", \"lines\": [{\"sku\": \"a\", \"amount\": 1, "
         "\"quantity\": 1000000001}]}",
         "/lines/0/quantity"},
        {"{" REST ", \"lines\": [{\"sku\": \"a\"}]}", "/lines/0/amount"},
        {"{" REST ", \"lines\": [{\"sku\": \"a\", \"unit_price\": \"-1\"}]}",
         "/lines/0/unit_price"},
        {"{" REST ", \"lines\": [{\"sku\": \"a\", \"unit_price\": \"1e3\"}]}",
         "/lines/0/unit_price"},
        {"{" REST ", \"redemptions\": [\"a\", 2]}", "/redemptions/1"},
        {"{" REST ", \"refund\": {\"id\": \"r1\", \"amount\": 1}}", "/refund"},
        {"{\"order_id\": \"1\", \"status\": \"refunded\", \"refund\": 5}",
         "/refund"},
        {"{\"order_id\": \"1\", \"status\": \"refunded\", \"refund\": "
         "{\"amount\": 5}}",
         "/refund/id"},
        {"{\"order_id\": \"1\", \"status\": \"refunded\", \"refund\": "
         "{\"id\": \"r\", \"amount\": -5}}",
         "/refund/amount"},
    };
    size_t i;

    (void)state;

    for (i = 0; i < COUNT(cases); i++) {
        if (parse_text(cases[i].json) != LOYALTY_ERROR_INVALID
            || problems.count != 1
            || strcmp(problems.list[0].pointer.data, cases[i].pointer) != 0) {
            fail_msg("%s: %zu problems, the first at %s", cases[i].json,
                     problems.count,
                     problems.count == 0 ? "-" : problems.list[0].pointer.data);
        }
    }

    /* All at once. */
    assert_int_equal(parse_text("{\"order_id\": 1, \"status\": 2, "
                                "\"attempt\": \"x\", \"currency\": \"EUR\"}"),
                     LOYALTY_ERROR_INVALID);
    assert_int_equal(problems.count, 4);
}

static json_t *
long_text(size_t len)
{
    char *text = malloc(len);
    json_t *json;

    memset(text, 'a', len);
    json = json_stringn(text, len);
    free(text);
    return json;
}

static json_t *
completed(void)
{
    return json_pack("{s:s, s:s, s:i}", "order_id", "1", "status", "completed",
                     "total", 1);
}

static json_t *
with(const char *name, json_t *value)
{
    json_t *json = completed();

    json_object_set_new(json, name, value);
    return json;
}

static json_t *
many(size_t n, json_t *element)
{
    json_t *array = json_array();

    while (n-- > 0) {
        json_array_append(array, element);
    }
    json_decref(element);
    return array;
}

static json_t *
line_with(const char *name, json_t *value)
{
    json_t *line = json_pack("{s:s, s:i}", "sku", "a", "amount", 1);

    json_object_set_new(line, name, value);
    return with("lines", json_pack("[o]", line));
}

static void
past_each_limit_is_refused(void **state)
{
    (void)state;

#define LIMITED(make, max)                                                     \
    do {                                                                       \
        size_t n = (max);                                                      \
        assert_int_equal(parse(make), LOYALTY_OK);                             \
        n++;                                                                   \
        assert_int_equal(parse(make), LOYALTY_ERROR_INVALID);                  \
    } while (0)

    LIMITED(with("order_id", long_text(n)), LOYALTY_ORDER_ID_MAX);
    LIMITED(with("member_id", long_text(n)), LOYALTY_MEMBER_ID_MAX);
    LIMITED(line_with("sku", long_text(n)), LOYALTY_SKU_MAX);
    LIMITED(line_with("category", long_text(n)), LOYALTY_CATEGORY_MAX);
    LIMITED(with("lines",
                 many(n, json_pack("{s:s, s:i}", "sku", "a", "amount", 1))),
            LOYALTY_ORDER_LINES_MAX);
    LIMITED(with("redemptions", many(n, json_string("h"))),
            LOYALTY_ORDER_REDEMPTIONS_MAX);
    LIMITED(with("redemptions", json_pack("[o]", long_text(n))),
            LOYALTY_ORDER_ID_MAX);
}

static void
a_lack_of_memory_is_told_apart(void **state)
{
    static const char *const events[] = {
        "{" REST ", \"lines\": [{\"sku\": \"a\", \"amount\": 1}]}",
        "{" REST ", \"redemptions\": [\"a\", \"b\"]}",
        "{" REST ", \"member_id\": \"\\u0061bcdefghijklmnopq\"}",
    };
    loyalty_arena_t small;
    size_t i;

    (void)state;

    for (i = 0; i < COUNT(events); i++) {
        assert_int_equal(parse_text(events[i]), LOYALTY_OK);
        loyalty_arena_init(&small, 16);
        loyalty_problems_init(&problems, &small);
        assert_int_equal(loyalty_order_event_parse(&document,
                                                   loyalty_str("GBP"), T0,
                                                   &small, &problems, &event),
                         LOYALTY_ERROR_MEMORY);
        loyalty_arena_free(&small);
    }
}

static void
escapes_mean_what_they_say(void **state)
{
    (void)state;

    assert_int_equal(
        parse_text("{\"order\\u005fid\": \"a\\u00e9\\/b\", \"status\": "
                   "\"pl\\u0061ced\", \"total\": 1, \"placed_at\": "
                   "\"2010-12-01T08:26:00\\u005a\", \"lines\": [{\"sku\": "
                   "\"\\ud83d\\ude00\", \"amount\": 1}], \"redemptions\": "
                   "[\"\\u0068\"]}"),
        LOYALTY_OK);
    assert_true(loyalty_str_eq(event.order_id, loyalty_str("a\xc3\xa9/b")));
    assert_int_equal(event.status, LOYALTY_ORDER_PLACED);
    assert_int_equal(event.placed_at, INT64_C(1291191960000));
    assert_true(loyalty_str_eq(event.lines[0].sku,
                               loyalty_str("\xf0\x9f\x98\x80")));
    assert_true(loyalty_str_eq(event.redemptions[0], loyalty_str("h")));

    /* They count as what they mean. */
    assert_int_equal(parse_text("{" REST ", \"currency\": \"\\u0047BP\"}"),
                     LOYALTY_OK);
}

static void
numbers_are_read_to_their_ends(void **state)
{
    (void)state;

    assert_int_equal(parse_text("{\"order_id\": \"1\", \"status\": "
                                "\"placed\", \"total\": "
                                "9223372036854775807}"),
                     LOYALTY_OK);
    assert_int_equal(event.total, INT64_MAX);
    assert_int_equal(parse_text("{\"order_id\": \"1\", \"status\": "
                                "\"placed\", \"total\": -0}"),
                     LOYALTY_OK);
    assert_int_equal(event.total, 0);
    assert_int_equal(parse_text("{\"order_id\": \"1\", \"status\": "
                                "\"placed\", \"total\": "
                                "9223372036854775808}"),
                     LOYALTY_ERROR_INVALID);
    assert_string_equal(problems.list[0].pointer.data, "/total");
    assert_int_equal(parse_text("{" REST ", \"attempt\": "
                                "-9223372036854775808}"),
                     LOYALTY_ERROR_INVALID);
    assert_string_equal(problems.list[0].pointer.data, "/attempt");
}

/* What an event writes of itself is read as the same event. */
static void
an_event_is_written_as_it_was_read(void **state)
{
    static const char *const events[] = {
        "{\"order_id\": \"536365\", \"member_id\": \"17850\", \"status\": "
        "\"shipped\", \"attempt\": 2, \"placed_at\": "
        "\"2010-12-01T08:26:00Z\", \"occurred_at\": "
        "\"2010-12-01T08:26:00.250Z\", \"currency\": \"GBP\", \"total\": "
        "2034, \"lines\": [{\"sku\": \"85123A\", \"category\": "
        "\"home/lamps\", \"quantity\": 6, \"unit_price\": \"2.55\", "
        "\"amount\": 1530}, {\"sku\": \"71053\", \"quantity\": 1, "
        "\"amount\": 504}], \"redemptions\": [\"h1\", \"h2\"]}",
        "{\"order_id\": \"1\", \"status\": \"refunded\", \"attempt\": 1, "
        "\"placed_at\": \"2026-01-01T00:00:00Z\", \"occurred_at\": "
        "\"2026-01-01T00:00:00Z\", \"currency\": \"GBP\", \"refund\": "
        "{\"id\": \"r1\", \"amount\": 0, \"lines\": [{\"sku\": \"a\", "
        "\"quantity\": 2}]}}",
        "{\"order_id\": \"1\", \"member_id\": \"m\", \"status\": "
        "\"refunded\", \"attempt\": 1, \"placed_at\": "
        "\"2026-01-01T00:00:00Z\", \"occurred_at\": "
        "\"2026-01-01T00:00:00Z\", \"currency\": \"GBP\", \"refund\": "
        "{\"id\": \"r1\"}}",
        "{\"order_id\": \"1\", \"status\": \"cancelled\", \"attempt\": 1, "
        "\"placed_at\": \"2026-01-01T00:00:00Z\", \"occurred_at\": "
        "\"2026-01-01T00:00:00Z\", \"currency\": \"GBP\"}",
    };
    json_t *json;
    char *text;
    size_t i;

    (void)state;

    for (i = 0; i < COUNT(events); i++) {
        assert_int_equal(parse_text(events[i]), LOYALTY_OK);
        json = loyalty_order_event_to_json(&event);
        text = json_dumps(json, 0);
        assert_string_equal(text, events[i]);
        free(text);
        json_decref(json);
    }
}

/* The states of DOMAIN.md section 3, as an order's record tells them. */
static void
a_record_reads_as_its_events_say(void **state)
{
    static const struct {
        const char *words, *status;
        int64_t returned;
    } cases[] = {
        {"p", "placed", 0},          {"p c", "completed", 0},
        {"c s", "shipped", 0},       {"s c", "shipped", 0},
        {"p c r1=300", "refunded", 300},
        {"p c s r1=300 x", "cancelled", 300}, {"p x", "cancelled", 0},
        {"p c c/2", "completed", 0},
    };
    loyalty_order_t nothing = {.id = loyalty_str("o1")};
    json_t *json, *refund;
    world_t world;
    size_t i;

    (void)state;

    for (i = 0; i < COUNT(cases); i++) {
        world_init(&world);
        world_run(&world, cases[i].words, 1000);
        json = loyalty_order_to_json(world.order);
        assert_string_equal(
            json_string_value(json_object_get(json, "status")),
            cases[i].status);
        assert_int_equal(
            json_integer_value(json_object_get(json, "returned")),
            cases[i].returned);
        assert_int_equal(loyalty_order_placed_at(world.order), T0);
        json_decref(json);
        world_free(&world);
    }

    /* A refund before its order waits, and is told apart. */
    world_init(&world);
    world_run(&world, "r1=300", 1000);
    json = loyalty_order_to_json(world.order);
    refund = json_array_get(json_object_get(json, "refunds"), 0);
    assert_true(json_is_true(json_object_get(refund, "held")));
    assert_null(json_object_get(refund, "value"));
    assert_int_equal(json_integer_value(json_object_get(refund, "amount")),
                     300);
    json_decref(json);
    world_free(&world);

    /* A record that only points were spent on has no events. */
    json = loyalty_order_to_json(&nothing);
    assert_string_equal(json_string_value(json_object_get(json, "order_id")),
                        "o1");
    assert_null(json_object_get(json, "status"));
    json_decref(json);
    assert_int_equal(loyalty_order_placed_at(&nothing), LOYALTY_UNKNOWN);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_event_is_read),
        cmocka_unit_test(every_mistake_is_named_with_its_place),
        cmocka_unit_test(past_each_limit_is_refused),
        cmocka_unit_test(a_lack_of_memory_is_told_apart),
        cmocka_unit_test(escapes_mean_what_they_say),
        cmocka_unit_test(numbers_are_read_to_their_ends),
        cmocka_unit_test(an_event_is_written_as_it_was_read),
        cmocka_unit_test(a_record_reads_as_its_events_say),
    };
    int failed;

    loyalty_arena_init(&arena, 0);
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    loyalty_document_free(&document);
    loyalty_arena_free(&arena);
    return failed;
}
