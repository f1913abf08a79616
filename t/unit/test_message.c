/* core/loyalty_touch.c, store/loyalty_message.c: who is credited with an
 * order, and the names of messages. */

// link: ngx_loyalty_module/store/loyalty_message.c ngx_loyalty_module/store/loyalty_commands.c ngx_loyalty_module/store/loyalty_keys.c ngx_loyalty_module/store/loyalty_reply.c -lhiredis

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "loyalty_message.h"
#include "loyalty_touch.h"

static void
test_last_touch(void **state)
{
    const int64_t day = LOYALTY_DAY;
    const struct {
        int64_t click, open, order; /* -1: never */
        const char *owed;
    } cases[] = {
        {-1, -1, 10 * day, ""},
        {9 * day, -1, 10 * day, "c"},
        {-1, 9 * day, 10 * day, "o"},
        {6 * day, 9 * day, 10 * day, "c"}, /* a click beats a later open */
        {5 * day, -1, 10 * day, "c"},      /* the boundary is within */
        {5 * day - 1, -1, 10 * day, ""},
        {5 * day - 1, 9 * day, 10 * day, "o"},
        {10 * day, -1, 10 * day, "c"},
        {10 * day + 1, -1, 10 * day, ""}, /* after the order */
        {10 * day + 1, 9 * day, 10 * day, "o"},
    };
    loyalty_touches_t touches;
    loyalty_str_t owed;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        touches = (loyalty_touches_t){0};
        if (cases[i].click >= 0) {
            loyalty_touch(&touches.click, loyalty_str("c"), cases[i].click);
        }
        if (cases[i].open >= 0) {
            loyalty_touch(&touches.open, loyalty_str("o"), cases[i].open);
        }
        owed = loyalty_touch_of(&touches, 5, cases[i].order);
        if (!loyalty_str_eq(owed, loyalty_str_from(cases[i].owed))) {
            fail_msg("case %zu: %.*s", i, (int)owed.len, owed.data);
        }
    }
}

static void
test_touches_as_text(void **state)
{
    static const char *const bad[] = {"x", "1", "1 a", "1 a\n", "1 a\n2",
                                      "1 a\n2 b\n3 c", " a\n2 b",
                                      "99999999999999999999 a\n1 b"};
    loyalty_touches_t touches = {0}, again;
    loyalty_arena_t arena;
    loyalty_str_t text;
    char id[LOYALTY_MESSAGE_ID_MAX + 64];
    size_t i;

    (void)state;
    loyalty_arena_init(&arena, 0);
    assert_true(loyalty_touch(&touches.open, loyalty_str("m2"), 7));
    assert_false(loyalty_touch(&touches.open, loyalty_str("m1"), 6));
    assert_true(loyalty_touch(&touches.open, loyalty_str("m3"), 7));
    assert_int_equal(loyalty_touches_encode(&touches, &arena, &text),
                     LOYALTY_OK);
    assert_int_equal(loyalty_touches_decode(text, &again), LOYALTY_OK);
    assert_int_equal(again.click.message.len, 0);
    assert_true(loyalty_str_eq(again.open.message, loyalty_str("m3")));
    assert_int_equal(again.open.at, 7);

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(loyalty_touches_decode(loyalty_str_from(bad[i]),
                                                &again),
                         LOYALTY_ERROR_CORRUPT);
    }

    memset(id, 'a', sizeof(id));
    memcpy(id, "1 ", 2);
    memcpy(id + 2 + LOYALTY_MESSAGE_ID_MAX + 1, "\n0 ", 3);
    assert_int_equal(loyalty_touches_decode(
                         (loyalty_str_t){id, LOYALTY_MESSAGE_ID_MAX + 6},
                         &again),
                     LOYALTY_ERROR_CORRUPT);
    loyalty_arena_free(&arena);
}

static void
test_names(void **state)
{
    char id[LOYALTY_MESSAGE_ID_SIZE], other[LOYALTY_MESSAGE_ID_SIZE];
    char longest[LOYALTY_ID_MAX];
    loyalty_str_t rule, message;
    int64_t revenue;

    (void)state;
    loyalty_message_id(loyalty_str("a.b.1"), loyalty_str("m"), 12, id);
    loyalty_message_id(loyalty_str("a.b.1"), loyalty_str("n"), 12, other);
    assert_string_not_equal(id, other);
    rule = loyalty_message_rule(loyalty_str_from(id));
    assert_true(loyalty_str_eq(rule, loyalty_str("a.b.1")));

    assert_int_equal(loyalty_message_rule(loyalty_str("bc-7")).len, 0);
    assert_int_equal(loyalty_message_rule(loyalty_str("7")).len, 0);
    assert_int_equal(loyalty_message_rule(loyalty_str("a.b.7")).len, 0);
    assert_int_equal(loyalty_message_rule(loyalty_str_null).len, 0);

    memset(longest, 'r', sizeof(longest));
    loyalty_message_id((loyalty_str_t){longest, sizeof(longest)},
                       loyalty_str("m"), INT64_MAX, id);
    assert_int_equal(loyalty_message_rule(loyalty_str_from(id)).len,
                     sizeof(longest));

    assert_true(loyalty_message_credit(loyalty_str("250 a.b"), &revenue,
                                       &message));
    assert_int_equal(revenue, 250);
    assert_true(loyalty_str_eq(message, loyalty_str("a.b")));
    assert_false(loyalty_message_credit(loyalty_str_null, &revenue, &message));
    assert_false(loyalty_message_credit(loyalty_str("x y"), &revenue,
                                        &message));
    assert_false(loyalty_message_credit(loyalty_str("5 "), &revenue,
                                        &message));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_last_touch),
        cmocka_unit_test(test_touches_as_text),
        cmocka_unit_test(test_names),
    };

    return cmocka_run_group_tests_name("message", tests, NULL, NULL);
}
