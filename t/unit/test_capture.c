/* core/loyalty_capture*.c: amounts, the event. */

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>
#include <stdio.h>

#include "loyalty_capture.h"

#define NOW INT64_C(1291191960000) /* 2010-12-01T08:26:00Z */

typedef struct {
    loyalty_arena_t arena;
    loyalty_problems_t problems;
    loyalty_document_t document;
    json_t *event;
} result_t;

static void
result_init(result_t *result)
{
    memset(result, 0, sizeof(*result));
    loyalty_arena_init(&result->arena, 0);
    loyalty_problems_init(&result->problems, &result->arena);
    loyalty_document_init(&result->document);
}

static void
result_free(result_t *result)
{
    json_decref(result->event);
    loyalty_document_free(&result->document);
    loyalty_arena_free(&result->arena);
}

/* From a document's text to an event, as the edge does it. */
static loyalty_status_t
capture(const char *text, const loyalty_capture_map_t *map,
        const char *currency, result_t *result)
{
    loyalty_capture_order_t order;
    loyalty_status_t status;
    loyalty_str_t event;

    result_init(result);
    status = loyalty_capture_parse(loyalty_str_from(text), &result->problems,
                                   &result->document);
    if (status == LOYALTY_OK) {
        status = loyalty_capture_read(&result->document, map, &result->arena,
                                      &result->problems, &order);
    }
    if (status == LOYALTY_OK) {
        status = loyalty_capture_event(
            &order, map, loyalty_str("bob"), loyalty_str_from(currency), NOW,
            &result->arena, &result->problems, &event);
    }
    if (status == LOYALTY_OK) {
        result->event = json_loadb(event.data, event.len, 0, NULL);
        assert_non_null(result->event);
    }
    return status;
}

static void
totals_come_out_in_minor_units(void **state)
{
    /* By hand; halves away from zero.  -1: refused. */
    static const struct {
        const char *total;
        const char *currency;
        bool minor;
        int64_t expected;
    } cases[] = {
        {"\"12.34\"", "GBP", false, 1234},
        {"\"12.345\"", "GBP", false, 1235},
        {"\"12.344\"", "GBP", false, 1234},
        {"\"12\"", "GBP", false, 1200},
        {"\"0\"", "GBP", false, 0},
        {"\"12.345\"", "KWD", false, 12345},
        {"\"12.3455\"", "KWD", false, 12346},
        {"\"12.345\"", "JPY", false, 12},
        {"\"12.5\"", "JPY", false, 13},
        {"12.34", "GBP", false, 1234},
        {"12.345", "GBP", false, 1235}, /* the double is 12.3450000000000006 */
        {"1.005", "GBP", false, 101},   /* the double is 1.00499999999999989 */
        {"0.30000000000000004", "GBP", false, 30}, /* 0.1 + 0.2 */
        {"8.165", "GBP", false, 817},   /* the double is 8.16499999999999915 */
        {"17", "GBP", false, 1700},
        {"1e2", "GBP", false, 10000},
        {"1e20", "GBP", false, -1},
        {"\"1e2\"", "GBP", false, -1},
        {"\"12,34\"", "GBP", false, -1},
        {"\" 12\"", "GBP", false, -1},
        {"\"\"", "GBP", false, -1},
        {"\"-1\"", "GBP", false, -1},
        {"-0.01", "GBP", false, -1},
        {"true", "GBP", false, -1},
        {"[]", "GBP", false, -1},
        {"\"92233720368547758.08\"", "GBP", false, -1},
        {"1234", "GBP", true, 1234},
        {"\"1234\"", "KWD", true, 1234},
        {"1234.0", "GBP", true, 1234},
        {"1234.5", "GBP", true, -1},
        {"\"12.34\"", "GBP", true, -1},
    };

    (void)state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        loyalty_capture_map_t map;
        loyalty_status_t status;
        result_t result;
        char text[128];

        loyalty_capture_map_init(&map);
        map.minor = cases[i].minor;
        snprintf(text, sizeof(text), "{\"order_id\":\"o\",\"total\":%s}",
                 cases[i].total);
        status = capture(text, &map, cases[i].currency, &result);
        if (cases[i].expected < 0) {
            if (status == LOYALTY_OK) {
                fail_msg("%s was taken", text);
            }
            assert_true(result.problems.count > 0);
            assert_int_equal(result.problems.list[0].pointer.len, 6);
            assert_memory_equal(result.problems.list[0].pointer.data, "/total",
                                6);
        } else {
            assert_int_equal(status, LOYALTY_OK);
            assert_int_equal(
                json_integer_value(json_object_get(result.event, "total")),
                cases[i].expected);
        }
        result_free(&result);
    }
}

static void
an_event_is_complete(void **state)
{
    loyalty_capture_map_t map;
    result_t result;
    json_t *expected;

    (void)state;

    loyalty_capture_map_init(&map);
    /* 3 x 0.335 = 1.005 -> 101; 2 given as 500; total their sum. */
    assert_int_equal(
        capture("{\"order_id\":536365,\"lines\":["
                "{\"sku\":\"85123A\",\"quantity\":\"3\",\"unit_price\":0.335,"
                "\"category\":\"home/light\"},"
                "{\"sku\":71053,\"quantity\":1,\"amount\":\"5.00\"}],"
                "\"id\":18446744073709551615}",
                &map, "GBP", &result),
        LOYALTY_OK);
    expected = json_loads(
        "{\"order_id\":\"536365\",\"member_id\":\"bob\","
        "\"status\":\"completed\",\"placed_at\":\"2010-12-01T08:26:00Z\","
        "\"occurred_at\":\"2010-12-01T08:26:00Z\",\"currency\":\"GBP\","
        "\"total\":601,\"lines\":[{\"sku\":\"85123A\","
        "\"category\":\"home/light\",\"quantity\":3,\"unit_price\":\"0.335\","
        "\"amount\":101},{\"sku\":\"71053\",\"quantity\":1,\"amount\":500}]}",
        0, NULL);
    assert_non_null(expected);
    assert_true(json_equal(result.event, expected));
    json_decref(expected);
    result_free(&result);
}

static void
pointers_find_a_shops_own_fields(void **state)
{
    loyalty_capture_map_t map;
    json_t *line;
    result_t result;

    (void)state;

    loyalty_capture_map_init(&map);
    map.pointers[LOYALTY_CAPTURE_ORDER_ID] = loyalty_str("/data/order/number");
    map.pointers[LOYALTY_CAPTURE_TOTAL] = loyalty_str("/data/order/sum/cents");
    map.pointers[LOYALTY_CAPTURE_PLACED_AT] = loyalty_str("/data/order/at");
    map.pointers[LOYALTY_CAPTURE_LINES] = loyalty_str("/data/items");
    map.pointers[LOYALTY_CAPTURE_SKU] = loyalty_str("/product/code");
    map.pointers[LOYALTY_CAPTURE_QUANTITY] = loyalty_str("/n");
    map.pointers[LOYALTY_CAPTURE_UNIT_PRICE] = loyalty_str("/product/cents");
    map.minor = true;
    map.status = loyalty_str("placed");
    assert_int_equal(
        capture("{\"data\":{\"order\":{\"number\":\"A-1\",\"sum\":"
                "{\"cents\":4200},\"at\":\"2010-12-01T10:26:00+02:00\"},"
                "\"items\":[{\"product\":{\"code\":\"X\",\"cents\":2100},"
                "\"n\":2}]}}",
                &map, "GBP", &result),
        LOYALTY_OK);
    line = json_array_get(json_object_get(result.event, "lines"), 0);
    assert_string_equal(
        json_string_value(json_object_get(result.event, "order_id")), "A-1");
    assert_string_equal(
        json_string_value(json_object_get(result.event, "status")), "placed");
    assert_int_equal(json_integer_value(json_object_get(line, "amount")), 4200);
    assert_string_equal(
        json_string_value(json_object_get(line, "unit_price")), "21.00");
    assert_int_equal(
        json_integer_value(json_object_get(result.event, "total")), 4200);
    result_free(&result);
}

static void
mistakes_name_their_place(void **state)
{
    static const struct {
        const char *text;
        const char *place;
    } cases[] = {
        {"{}", "/order_id"},
        {"[]", "/order_id"},
        {"{\"order_id\":1.5,\"total\":1}", "/order_id"},
        {"{\"order_id\":\"o\"}", "/total"},
        {"{\"order_id\":\"o\",\"lines\":{}}", "/lines"},
        {"{\"order_id\":\"o\",\"lines\":[{}]}", "/lines/0/sku"},
        {"{\"order_id\":\"o\",\"lines\":[7]}", "/lines/0/sku"},
        {"{\"order_id\":\"o\",\"lines\":[{\"sku\":\"a\",\"amount\":1}]}",
         "/lines/0/quantity"},
        {"{\"order_id\":\"o\",\"lines\":[{\"sku\":\"a\",\"quantity\":1.5,"
         "\"amount\":1}]}",
         "/lines/0/quantity"},
        {"{\"order_id\":\"o\",\"lines\":[{\"sku\":\"a\",\"quantity\":1}]}",
         "/lines/0/amount"},
        {"{\"order_id\":\"o\",\"lines\":[{\"sku\":\"a\",\"quantity\":1,"
         "\"unit_price\":\"x\"}]}",
         "/lines/0/unit_price"},
        {"{\"order_id\":\"o\",\"lines\":[{\"sku\":\"a\",\"quantity\":-1,"
         "\"unit_price\":\"1\"}]}",
         "/lines/0/quantity"},
        {"{\"order_id\":\"o\",\"total\":1,\"placed_at\":\"yesterday\"}",
         "/placed_at"},
        {"{\"order_id\":\"o\",\"total\":1,\"currency\":\"EUR\"}", "/currency"},
        {"{\"order_id\":\"o\"", ""},
        {"", ""},
        {"<html>", ""},
    };
    loyalty_capture_map_t map;

    (void)state;

    loyalty_capture_map_init(&map);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        result_t result;
        bool named = false;

        if (capture(cases[i].text, &map, "GBP", &result) == LOYALTY_OK) {
            fail_msg("%s was taken", cases[i].text);
        }
        assert_null(result.event);
        for (size_t k = 0; k < result.problems.count; k++) {
            named = named
                    || loyalty_str_eq(result.problems.list[k].pointer,
                                      loyalty_str_from(cases[i].place));
        }
        if (!named) {
            fail_msg("%s: no problem at %s", cases[i].text, cases[i].place);
        }
        result_free(&result);
    }
}

static void
limits_hold(void **state)
{
    size_t size = 64 + (LOYALTY_ORDER_LINES_MAX + 1) * 64;
    char *text = malloc(size), *p = text;
    loyalty_capture_map_t map;
    result_t result;

    (void)state;

    loyalty_capture_map_init(&map);
    p += sprintf(p, "{\"order_id\":\"o\",\"total\":1,\"lines\":[");
    for (int i = 0; i <= LOYALTY_ORDER_LINES_MAX; i++) {
        p += sprintf(p, "%s{\"sku\":\"a\",\"quantity\":1,\"amount\":0}",
                     i == 0 ? "" : ",");
    }
    sprintf(p, "]}");
    assert_int_equal(capture(text, &map, "GBP", &result), LOYALTY_ERROR_LIMIT);
    result_free(&result);
    free(text);

    text = malloc(LOYALTY_ORDER_SIZE_MAX + 2);
    memset(text, ' ', LOYALTY_ORDER_SIZE_MAX + 1);
    text[LOYALTY_ORDER_SIZE_MAX + 1] = '\0';
    assert_int_equal(capture(text, &map, "GBP", &result), LOYALTY_ERROR_LIMIT);
    result_free(&result);

    /* Nested past what jansson takes: no crash, a problem. */
    memset(text, '[', 100000);
    text[100000] = '\0';
    assert_int_equal(capture(text, &map, "GBP", &result),
                     LOYALTY_ERROR_INVALID);
    result_free(&result);
    free(text);
}

static void
an_unknown_currency_can_wait(void **state)
{
    loyalty_capture_map_t map;
    loyalty_capture_order_t order;
    result_t result;
    json_t *raw;
    char *text;

    (void)state;

    loyalty_capture_map_init(&map);
    assert_int_equal(
        capture("{\"order_id\":1,\"total\":0.1,\"lines\":"
                "[{\"sku\":\"a\",\"quantity\":2,\"amount\":\"0.10\"}]}",
                &map, "", &result),
        LOYALTY_ERROR_NOT_FOUND);

    assert_int_equal(loyalty_capture_read(&result.document, &map, &result.arena,
                                          &result.problems, &order),
                     LOYALTY_OK);
    raw = loyalty_capture_to_json(&order);
    text = json_dumps(raw, 0);
    json_decref(raw);
    result_free(&result);

    assert_int_equal(capture(text, &map, "KWD", &result), LOYALTY_OK);
    assert_int_equal(
        json_integer_value(json_object_get(result.event, "total")), 100);
    result_free(&result);
    free(text);

    /* The order's own currency will do while the site's is not known. */
    assert_int_equal(
        capture("{\"order_id\":1,\"total\":7,\"currency\":\"JPY\"}", &map, "",
                &result),
        LOYALTY_OK);
    assert_int_equal(
        json_integer_value(json_object_get(result.event, "total")), 7);
    result_free(&result);
    assert_int_equal(
        capture("{\"order_id\":1,\"total\":7,\"currency\":\"XXQ\"}", &map, "",
                &result),
        LOYALTY_ERROR_INVALID);
    result_free(&result);
}

static void
texts_are_escaped(void **state)
{
    loyalty_capture_map_t map;
    result_t result;

    (void)state;

    loyalty_capture_map_init(&map);
    assert_int_equal(
        capture("{\"order_id\":\"a\\\"b\\\\c/\\u00e9\",\"total\":1}", &map,
                "GBP", &result),
        LOYALTY_OK);
    assert_string_equal(
        json_string_value(json_object_get(result.event, "order_id")),
        "a\"b\\c/\xc3\xa9");
    result_free(&result);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(totals_come_out_in_minor_units),
        cmocka_unit_test(an_event_is_complete),
        cmocka_unit_test(pointers_find_a_shops_own_fields),
        cmocka_unit_test(mistakes_name_their_place),
        cmocka_unit_test(texts_are_escaped),
        cmocka_unit_test(limits_hold),
        cmocka_unit_test(an_unknown_currency_can_wait),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
