/* core/loyalty.c: instants, arenas, problems. */

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "loyalty.h"

static void
instants_are_read_and_written(void **state)
{
    /* Expected values: GNU date -u -d TEXT +%s%3N. */
    static const struct {
        const char *text;
        loyalty_instant_t instant;
        const char *formatted;
    } cases[] = {
        {"1970-01-01T00:00:00Z", 0, "1970-01-01T00:00:00Z"},
        {"2010-12-01T08:26:00Z", 1291191960000, "2010-12-01T08:26:00Z"},
        {"2000-02-29T23:59:59.5Z", 951868799500, "2000-02-29T23:59:59.500Z"},
        {"2026-01-01T01:30:00+01:30", 1767225600000, "2026-01-01T00:00:00Z"},
        {"1969-12-31T23:59:59.999Z", -1, "1969-12-31T23:59:59.999Z"},
        {"1900-03-01T00:00:00-05:00", -2203873200000, "1900-03-01T05:00:00Z"},
    };
    char text[LOYALTY_INSTANT_SIZE];
    loyalty_instant_t instant;
    size_t i;

    (void)state;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(
            loyalty_instant_parse(loyalty_str_from(cases[i].text), &instant),
            LOYALTY_OK);
        assert_int_equal(instant, cases[i].instant);
        loyalty_instant_format(instant, text);
        assert_string_equal(text, cases[i].formatted);
    }
}

static void
bad_instants_are_refused(void **state)
{
    static const char *const cases[] = {
        "", "2010", "2010-12-01", "2010-12-01T08:26:00", "2010-13-01T08:26:00Z",
        "2011-02-29T00:00:00Z", "2010-12-01T24:00:00Z", "2010-12-01T08:60:00Z",
        "2010-12-01T08:26:00.Z", "2010-12-01T08:26:00.1", "2010-12-01T08:26Z",
        "2010-12-01T08:26:00+0100", "2010-12-01T08:26:00Zx",
        "2010-12-01T08:26:00+24:00", "20a0-12-01T08:26:00Z",
    };
    loyalty_instant_t instant;
    size_t i;

    (void)state;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(
            loyalty_instant_parse(loyalty_str_from(cases[i]), &instant),
            LOYALTY_ERROR_INVALID);
    }
}

static void
an_arena_keeps_its_limit(void **state)
{
    loyalty_arena_t arena;
    char *p;

    (void)state;

    loyalty_arena_init(&arena, 20000);
    p = loyalty_alloc(&arena, 10000);
    assert_non_null(p);
    assert_int_equal(p[9999], 0);
    assert_null(loyalty_alloc(&arena, 10001));
    assert_non_null(loyalty_alloc(&arena, 100));
    assert_null(loyalty_alloc(&arena, SIZE_MAX));
    loyalty_arena_reset(&arena);
    assert_non_null(loyalty_alloc(&arena, 20000));
    loyalty_arena_free(&arena);
}

static void
problems_are_counted_past_their_list(void **state)
{
    loyalty_arena_t arena;
    loyalty_problems_t problems;
    int i;

    (void)state;

    loyalty_arena_init(&arena, 0);
    loyalty_problems_init(&problems, &arena);
    for (i = 0; i < LOYALTY_PROBLEMS_MAX + 5; i++) {
        loyalty_problem(&problems, "/lines/0", "number %d", i);
    }
    assert_int_equal(problems.count, LOYALTY_PROBLEMS_MAX + 5);
    assert_string_equal(problems.list[63].message.data, "number 63");
    loyalty_arena_free(&arena);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(instants_are_read_and_written),
        cmocka_unit_test(bad_instants_are_refused),
        cmocka_unit_test(an_arena_keeps_its_limit),
        cmocka_unit_test(problems_are_counted_past_their_list),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
