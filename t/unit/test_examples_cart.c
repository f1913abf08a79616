/*
 * core/loyalty_cart.c against what other engines publish: the worked examples
 * of cases/examples.json in the folder that SHARED names, and
 * t/data/published.json.
 */

#include "examples.h"

#include "loyalty_cart_json.h"

/* A site of the example's currency, with the example's offers tried out. */
static loyalty_program_t *
program_of(json_t *given, loyalty_arena_t *arena)
{
    const char *currency = json_string_value(json_object_get(given,
                                                             "currency"));
    loyalty_program_t *site, *preview = NULL;
    loyalty_problems_t problems;
    json_t *document;

    document = loyalty_program_default(loyalty_str("example"),
                                       loyalty_str_from(currency));
    loyalty_problems_init(&problems, arena);
    assert_int_equal(loyalty_program_from_json(document, &problems, &site),
                     LOYALTY_OK);
    json_decref(document);

    if (loyalty_program_preview(site, json_object_get(given, "offers"),
                                &problems, &preview)
        != LOYALTY_OK) {
        fail_msg("%s: %s", problems.list[0].pointer.data,
                 problems.list[0].message.data);
    }

    loyalty_program_free(site);
    return preview;
}

/* The request that an example stands for. */
static json_t *
request_of(json_t *given)
{
    static const char *const previewed[] = {"offers", "usage", "earning"};
    json_t *request = json_copy(given), *preview = json_object(), *value;
    size_t i;

    for (i = 0; i < sizeof(previewed) / sizeof(previewed[0]); i++) {
        value = json_object_get(request, previewed[i]);
        if (value != NULL) {
            json_object_set(preview, previewed[i], value);
            json_object_del(request, previewed[i]);
        }
    }

    json_object_set_new(request, "preview", preview);
    json_object_set_new(request, "explain", json_true());
    return request;
}

/* An expected list, entries of amount 0 left out. */
static json_t *
without_zeros(json_t *list)
{
    json_t *kept = json_array(), *item, *short_item;
    size_t i;

    json_array_foreach(list, i, item)
    {
        if (json_integer_value(json_object_get(item, "amount")) != 0) {
            short_item = json_pack("{s:O, s:O}", "offer_id",
                                   json_object_get(item, "offer_id"), "amount",
                                   json_object_get(item, "amount"));
            json_array_append_new(kept, short_item);
        }
    }

    return kept;
}

static void
same(json_t *expected, json_t *found, const char *id, const char *what)
{
    if (!json_equal(expected, found)) {
        print_error("%s: %s: expected %s, found %s\n", id, what,
                    json_dumps(expected, JSON_ENCODE_ANY | JSON_COMPACT),
                    json_dumps(found, JSON_ENCODE_ANY | JSON_COMPACT));
        fail();
    }
}

static void
rejected_as_expected(json_t *expected, json_t *found, const char *id)
{
    json_t *want, *have;
    size_t i, j;
    bool seen;

    json_array_foreach(expected, i, want)
    {
        seen = false;
        json_array_foreach(found, j, have)
        {
            seen |= json_equal(json_object_get(want, "reason"),
                               json_object_get(have, "reason"))
                    && (json_equal(json_object_get(want, "offer_id"),
                                   json_object_get(have, "offer_id"))
                        || json_equal(json_object_get(want, "code"),
                                      json_object_get(have, "code")));
        }
        if (!seen) {
            print_error("%s: not rejected: %s among %s\n", id,
                        json_dumps(want, 0), json_dumps(found, 0));
            fail();
        }
    }
}

static void
check(json_t *example)
{
    static const char *const figures[] = {"subtotal", "total_discount",
                                          "total", "points_to_earn"};
    const char *id = json_string_value(json_object_get(example, "id"));
    json_t *given = json_object_get(example, "given");
    json_t *expect = json_object_get(example, "expect");
    json_t *found, *request, *a, *b;
    loyalty_problems_t problems;
    loyalty_program_t *program;
    loyalty_arena_t arena;
    loyalty_quote_t quote;
    loyalty_cart_t cart;
    size_t i;

    loyalty_arena_init(&arena, 0);
    program = program_of(given, &arena);

    request = request_of(given);
    loyalty_problems_init(&problems, &arena);
    assert_int_equal(loyalty_cart_parse(request, program, NULL, 0, &arena,
                                        &problems, &cart),
                     LOYALTY_OK);
    assert_int_equal(loyalty_cart_evaluate(program, &cart, &arena, &quote),
                     LOYALTY_OK);
    found = loyalty_quote_to_json(&cart, &quote);

    for (i = 0; i < sizeof(figures) / sizeof(figures[0]); i++) {
        if (json_object_get(expect, figures[i]) != NULL) {
            same(json_object_get(expect, figures[i]),
                 json_object_get(found, figures[i]), id, figures[i]);
        }
    }

    if (json_object_get(expect, "lines") != NULL) {
        same(json_object_get(expect, "lines"), json_object_get(found, "lines"),
             id, "lines");
    }

    if (json_object_get(expect, "discounts") != NULL) {
        a = without_zeros(json_object_get(expect, "discounts"));
        b = without_zeros(json_object_get(found, "discounts"));
        same(a, b, id, "discounts");
        json_decref(a);
        json_decref(b);
    }

    rejected_as_expected(json_object_get(expect, "rejected"),
                         json_object_get(found, "rejected"), id);

    json_decref(found);
    json_decref(request);
    loyalty_program_free(program);
    loyalty_arena_free(&arena);
}

static void
shared_carts_come_out_to_the_penny(void **state)
{
    (void)state;

    examples_shared("cart", check);
}

static void
published_carts_come_out_to_the_penny(void **state)
{
    (void)state;

    examples_published("cart", check);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shared_carts_come_out_to_the_penny),
        cmocka_unit_test(published_carts_come_out_to_the_penny),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
