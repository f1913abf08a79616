/* core/loyalty_filter.c: condition trees over members. */

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "loyalty_filter.h"

#define NOW INT64_C(1767225600000) /* 2026-01-01T00:00:00Z */

static loyalty_arena_t arena;
static loyalty_program_t *program;
static loyalty_member_t ann, nobody;

static int
set_up(void **state)
{
    static loyalty_str_t clubs[] = {{"wine", 4}, {"bikes", 5}};
    static loyalty_str_t groups[] = {{"spring", 6}};
    static loyalty_attribute_t attributes[] = {{{"shoe", 4}, {"42", 2}}};
    static loyalty_entitlement_t entitlements[] = {
        {.id = {"e1", 2}, .offer = {"mug", 3}, .expires_at = LOYALTY_NEVER,
         .state = LOYALTY_ENTITLEMENT_OWNED},
        {.id = {"e2", 2}, .offer = {"tea", 3}, .expires_at = NOW,
         .state = LOYALTY_ENTITLEMENT_OWNED},
        {.id = {"e3", 2}, .offer = {"hat", 3}, .expires_at = LOYALTY_NEVER,
         .state = LOYALTY_ENTITLEMENT_REDEEMED},
    };
    loyalty_problems_t problems;
    json_t *document;

    (void)state;

    loyalty_arena_init(&arena, 0);
    loyalty_problems_init(&problems, &arena);
    document = loyalty_program_default(loyalty_str("shop"), loyalty_str("GBP"));
    assert_int_equal(loyalty_program_from_json(document, &problems, &program),
                     LOYALTY_OK);
    json_decref(document);

    loyalty_member_init(&nobody, loyalty_str("nobody"));
    loyalty_member_init(&ann, loyalty_str("ann"));
    ann.email = loyalty_str("Ann@Shop.example");
    ann.phone = loyalty_str("+44 7700 900123");
    ann.name = loyalty_str("Ann  Strau\u00df");
    ann.locale = loyalty_str("fr");
    ann.registered = true;
    ann.consent = LOYALTY_CHANNEL_EMAIL;
    ann.order_count = 3;
    ann.spent_total = 120000; /* bronze begins at 100000 */
    ann.signed_up_at = NOW - 400 * LOYALTY_DAY;
    ann.last_order_at = NOW - 10 * LOYALTY_DAY;
    ann.clubs = clubs;
    ann.nclubs = 2;
    ann.groups = groups;
    ann.ngroups = 1;
    ann.attributes = attributes;
    ann.nattributes = 1;
    ann.entitlements = entitlements;
    ann.nentitlements = 3;
    return 0;
}

static int
tear_down(void **state)
{
    (void)state;

    loyalty_program_free(program);
    loyalty_arena_free(&arena);
    return 0;
}

static loyalty_filter_t *
compile(const char *text, loyalty_problems_t *problems,
        loyalty_status_t expected)
{
    loyalty_filter_t *filter = NULL;
    json_error_t error;
    json_t *json = json_loads(text, JSON_DECODE_ANY, &error);

    if (json == NULL) {
        fail_msg("%s: %s", text, error.text);
    }

    loyalty_problems_init(problems, &arena);
    if (loyalty_filter_compile(json, &arena, problems, &filter) != expected) {
        fail_msg("%s: %s", text,
                 problems->count == 0 ? "no problem"
                                      : problems->list[0].message.data);
    }

    json_decref(json);
    return filter;
}

#define IS(field, op, value)                                                  \
    "{\"field\":\"" field "\",\"op\":\"" op "\",\"value\":" value "}"

static void
conditions_hold_or_not(void **state)
{
    static const struct {
        const char *filter;
        bool ann, nobody;
    } cases[] = {
        {IS("id", "eq", "\"ann\""), true, false},
        {IS("id", "in", "[\"bob\",\"nobody\"]"), false, true},
        {IS("email", "prefix", "\"ann@\""), true, false},
        {IS("email", "eq", "\"ANN@shop.example\""), true, false},
        {IS("email", "ne", "\"ann@SHOP.EXAMPLE\""), false, true},
        {IS("email", "in", "[\"bob\",\"aNN@shop.example \"]"), true, false},
        {IS("email", "eq", "\"\""), false, true},
        {IS("phone", "eq", "\"0044 (7700) 900-123\""), true, false},
        {IS("phone", "eq", "\"7700900123\""), false, false},
        {IS("phone", "prefix", "\"+44-77\""), true, false},
        {IS("phone", "prefix", "\"\""), true, true},
        {IS("name", "eq", "\"ann STRAUSS\""), true, false},
        {IS("name", "prefix", "\"ANN s\""), true, false},
        {IS("id", "eq", "\"Ann\""), false, false},
        {IS("locale", "prefix", "\"F\""), false, false},
        {IS("email", "exists", "true"), true, false},
        {IS("email", "exists", "false"), false, true},
        {IS("locale", "ne", "\"fr\""), false, true},
        {IS("attributes.shoe", "eq", "\"42\""), true, false},
        {IS("attributes.hat", "exists", "true"), false, false},
        {IS("registered", "eq", "true"), true, false},
        {IS("deleted", "eq", "false"), true, true},
        {IS("consent.email", "eq", "true"), true, false},
        {IS("consent.sms", "eq", "true"), false, false},
        {IS("order_count", "gte", "3"), true, false},
        {IS("order_count", "gt", "3"), false, false},
        {IS("order_count", "lt", "3"), false, true},
        {IS("order_count", "lte", "3"), true, true},
        {IS("order_count", "eq", "0"), false, true},
        {IS("spent_total", "ne", "120000"), false, true},
        {IS("points.active", "eq", "0"), true, true},
        {IS("credits.active", "gt", "0"), false, false},
        {IS("signed_up_at", "before", "\"2025-01-01T00:00:00Z\""), true, false},
        {IS("signed_up_at", "after", "\"2025-01-01T00:00:00Z\""), false, false},
        {IS("signed_up_at", "exists", "false"), false, true},
        {IS("last_order_at", "within_days", "10"), true, false},
        {IS("last_order_at", "within_days", "9"), false, false},
        {IS("last_order_at", "not_within_days", "9"), true, true},
        {IS("last_visit_at", "exists", "true"), false, false},
        {IS("status", "eq", "\"bronze\""), true, false},
        {IS("status", "in", "[\"silver\",\"gold\"]"), false, false},
        {IS("status", "exists", "false"), false, true},
        {IS("segments", "has", "\"recurring\""), true, false},
        {IS("segments", "has_any", "[\"new\",\"vip\"]"), false, false},
        {IS("groups", "has", "\"spring\""), true, false},
        {IS("clubs", "has_all", "[\"wine\",\"bikes\"]"), true, false},
        {IS("clubs", "has_all", "[\"wine\",\"golf\"]"), false, false},
        {IS("tags", "has_any", "[\"golf\",\"bikes\"]"), true, false},
        {IS("offers", "has", "\"mug\""), true, false},
        {IS("offers", "has", "\"tea\""), false, false}, /* over */
        {IS("offers", "has", "\"hat\""), false, false}, /* redeemed */
        {"{\"not\":" IS("id", "eq", "\"ann\"") "}", false, true},
        {"{\"and\":[" IS("id", "eq", "\"ann\"") ","
         IS("order_count", "eq", "3") "]}", true, false},
        {"{\"and\":[" IS("id", "eq", "\"ann\"") ","
         IS("order_count", "eq", "4") "]}", false, false},
        {"{\"or\":[{\"and\":[" IS("id", "eq", "\"bob\"") ","
         IS("order_count", "eq", "3") "]},{\"not\":"
         IS("registered", "eq", "true") "}]}", false, true},
    };
    loyalty_problems_t problems;
    loyalty_filter_t *filter;
    size_t i;

    (void)state;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        filter = compile(cases[i].filter, &problems, LOYALTY_OK);
        if (loyalty_filter_matches(filter, &ann, program, NOW) != cases[i].ann
            || loyalty_filter_matches(filter, &nobody, program, NOW)
                   != cases[i].nobody) {
            fail_msg("%s", cases[i].filter);
        }
    }
}

static void
mistakes_are_all_named_with_their_place(void **state)
{
    static const struct {
        const char *filter;
        const char *pointers[3];
    } cases[] = {
        {"7", {""}},
        {"{}", {""}},
        {"{\"xor\":[]}", {""}},
        {"{\"and\":[]}", {"/and"}},
        {"{\"and\":{}}", {"/and"}},
        {"{\"not\":7}", {"/not"}},
        {IS("age", "eq", "7"), {"/field"}},
        {IS("attributes.", "eq", "\"x\""), {"/field"}},
        {IS("id", "lt", "\"x\""), {"/op"}},
        {IS("id", "eq", "7"), {"/value"}},
        {IS("phone", "eq", "\"none\""), {"/value"}},
        {IS("name", "in", "[\"Ann\",\" \"]"), {"/value"}},
        {IS("id", "in", "\"x\""), {"/value"}},
        {IS("id", "in", "[7]"), {"/value"}},
        {IS("segments", "has", "\"rich\""), {"/value"}},
        {IS("segments", "has_any", "[\"vip\",\"VIP\"]"), {"/value"}},
        {IS("registered", "eq", "1"), {"/value"}},
        {IS("order_count", "eq", "1.5"), {"/value"}},
        {IS("last_order_at", "before", "\"soon\""), {"/value"}},
        {IS("last_order_at", "within_days", "-1"), {"/value"}},
        {IS("last_order_at", "within_days", "36501"), {"/value"}},
        {"{\"field\":\"id\",\"op\":\"eq\"}", {""}},
        {"{\"or\":[" IS("age", "eq", "7") ",{\"not\":"
         IS("id", "lt", "7") "}]}", {"/or/0/field", "/or/1/not/op"}},
    };
    loyalty_problems_t problems;
    size_t i, j;

    (void)state;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        compile(cases[i].filter, &problems, LOYALTY_ERROR_INVALID);
        for (j = 0; cases[i].pointers[j] != NULL; j++) {
            assert_true(j < problems.count);
            assert_string_equal(problems.list[j].pointer.data,
                                cases[i].pointers[j]);
        }
        assert_int_equal(problems.count, j);
    }
}

static void
trees_have_a_depth_and_a_size(void **state)
{
    static char text[100000];
    loyalty_problems_t problems;
    size_t len = 0;
    int i;

    (void)state;

    for (i = 0; i <= LOYALTY_JSON_DEPTH_MAX; i++) {
        len += (size_t)sprintf(text + len, "{\"not\":");
    }
    len += (size_t)sprintf(text + len, IS("id", "eq", "\"x\""));
    for (i = 0; i <= LOYALTY_JSON_DEPTH_MAX; i++) {
        text[len++] = '}';
    }
    text[len] = '\0';
    compile(text, &problems, LOYALTY_ERROR_INVALID);

    len = (size_t)sprintf(text, "{\"or\":[");
    for (i = 0; i < LOYALTY_FILTER_NODES_MAX; i++) {
        len += (size_t)sprintf(text + len, "%s" IS("id", "eq", "\"x\""),
                               i == 0 ? "" : ",");
    }
    sprintf(text + len, "]}");
    compile(text, &problems, LOYALTY_ERROR_INVALID);
}

/* 10 that came, 3 of them spent; 5 from tomorrow; 2 that were lost. */
static void
every_field_is_read_from_its_own_place(void **state)
{
    static const char *const filters[] = {
        IS("phone", "eq", "\"+44\""),       IS("name", "eq", "\"Full\""),
        IS("messenger_id", "eq", "\"m-1\""), IS("line_id", "eq", "\"l-1\""),
        IS("consent.messenger", "eq", "true"), IS("consent.line", "eq", "true"),
        IS("consent.email", "eq", "false"),   IS("points.active", "eq", "7"),
        IS("points.pending", "eq", "5"),      IS("points.spent", "eq", "3"),
        IS("points.expired", "eq", "2"),      IS("points.life", "eq", "12"),
        IS("credits.active", "eq", "4"),
        "{\"and\":[" IS("points.active", "eq", "7") ","
        IS("points.spent", "eq", "3") "," IS("credits.active", "eq", "4") ","
        IS("credits.active", "lt", "5") "]}",
        IS("last_visit_at", "after", "\"2025-01-01T00:00:00Z\""),
        IS("last_visit_at", "within_days", "1"),
        "{\"not\":" IS("last_visit_at", "not_within_days", "1") "}",
        "{\"not\":" IS("last_visit_at", "before",
                       "\"2025-01-01T00:00:00Z\"") "}",
    };
    loyalty_lot_t points[] = {
        {.amount = 10, .remaining = 7, .created_at = 1, .starts_at = 1,
         .expires_at = LOYALTY_NEVER},
        {.amount = 5, .remaining = 5, .created_at = 2,
         .starts_at = NOW + LOYALTY_DAY, .expires_at = LOYALTY_NEVER},
        {.amount = 2, .lost = 2, .created_at = 3, .starts_at = 3,
         .expires_at = 4},
    };
    loyalty_lot_t credits[] = {{.amount = 4, .remaining = 4, .created_at = 1,
                                .starts_at = 1,
                                .expires_at = LOYALTY_NEVER}};
    loyalty_problems_t problems;
    loyalty_filter_t *filter;
    loyalty_member_t full;
    size_t i;

    (void)state;

    loyalty_member_init(&full, loyalty_str("full"));
    full.phone = loyalty_str("+44");
    full.name = loyalty_str("Full");
    full.messenger_id = loyalty_str("m-1");
    full.line_id = loyalty_str("l-1");
    full.consent = LOYALTY_CHANNEL_MESSENGER | LOYALTY_CHANNEL_LINE;
    full.last_visit_at = NOW - LOYALTY_HOUR;
    full.points = (loyalty_ledger_t){.lots = points, .nlots = 3,
                                     .credited = 17, .spent = 3, .expired = 2,
                                     .life = 12, .entries = 5};
    full.credits = (loyalty_ledger_t){.lots = credits, .nlots = 1,
                                      .credited = 4, .entries = 1};
    assert_int_equal(loyalty_ledger_check(&full.points), LOYALTY_OK);

    for (i = 0; i < sizeof(filters) / sizeof(filters[0]); i++) {
        filter = compile(filters[i], &problems, LOYALTY_OK);
        if (!loyalty_filter_matches(filter, &full, program, NOW)) {
            fail_msg("%s does not hold", filters[i]);
        }
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(conditions_hold_or_not),
        cmocka_unit_test(mistakes_are_all_named_with_their_place),
        cmocka_unit_test(trees_have_a_depth_and_a_size),
        cmocka_unit_test(every_field_is_read_from_its_own_place),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
