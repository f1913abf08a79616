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
        {"0000-01-01t00:00:00z", -62167219200000, "0000-01-01T00:00:00Z"},
        {"2024-02-29 12:00:00.1239Z", 1709208000123,
         "2024-02-29T12:00:00.123Z"},
        {"2024-12-31T23:59:60Z", 1735689600000, "2025-01-01T00:00:00Z"},
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
        /* each sign missing, wrong, or the last */
        "2010/12-01T08:26:00Z", "2010-", "2010-1", "2010-00-01T08:26:00Z",
        "2010-12/01T08:26:00Z", "2010-12-", "2010-12-00T08:26:00Z",
        "2010-12-xxT08:26:00Z", "2010-12-01x08:26:00Z", "2010-12-01T",
        "2010-12-01Txx:26:00Z", "2010-12-01T08-26:00Z", "2010-12-01T08:",
        "2010-12-01T08:xx:00Z", "2010-12-01T08:26-00Z", "2010-12-01T08:26:",
        "2010-12-01T08:26:xxZ", "2010-12-01T08:26:61Z",
        "2010-12-01T08:26:00.", "2010-12-01T08:26:00.xZ",
        "2010-12-01T08:26:00+x1:00", "2010-12-01T08:26:00+01-00",
        "2010-12-01T08:26:00+01:x0", "2010-12-01T08:26:00+01:60",
        "2010-12-01T08:26:00-", "2010-12-01T08:26:00y",
        "2010-12-01T08:26:0:Z", "2010-12-01T08:26:0/Z",
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

static void
results_have_names(void **state)
{
    (void)state;

    assert_string_equal(loyalty_status_name(LOYALTY_OK), "ok");
    assert_string_equal(loyalty_status_name(LOYALTY_ERROR_SIGNATURE),
                        "signature");
    assert_string_equal(loyalty_status_name((loyalty_status_t)99), "unknown");
}

static void
a_problem_without_memory_says_so(void **state)
{
    loyalty_problems_t problems;
    loyalty_arena_t arena;

    (void)state;

    /* Not even its place; its place, but not its text. */
    loyalty_arena_init(&arena, 1);
    loyalty_problems_init(&problems, &arena);
    loyalty_problem(&problems, "/a", "%s", "b");
    assert_string_equal(problems.list[0].message.data, "out of memory");
    loyalty_arena_free(&arena);

    loyalty_arena_init(&arena, 16);
    loyalty_problems_init(&problems, &arena);
    loyalty_problem(&problems, "/a", "%s", "b");
    assert_string_equal(problems.list[0].message.data, "out of memory");
    assert_int_equal(problems.count, 1);
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
        cmocka_unit_test(results_have_names),
        cmocka_unit_test(a_problem_without_memory_says_so),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
