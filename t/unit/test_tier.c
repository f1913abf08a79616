/*
 * core/loyalty_tier.c: DOMAIN.md section 5 by hand, then the "tier" section
 * of the shared cases/examples.json and of t/data/published.json.
 */

#include "examples.h"

#include "loyalty_tier.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))
#define NEVER LOYALTY_NEVER
#define UNKNOWN LOYALTY_UNKNOWN
#define DAY LOYALTY_DAY
#define NOW (1000 * DAY)

enum { NONE = -1, BRONZE, SILVER, GOLD };

static loyalty_tier_t ladder[] = {
    {.threshold = 100000}, {.threshold = 500000}, {.threshold = 1000000},
};

static loyalty_program_t
program_of(loyalty_tier_t *tiers, size_t n)
{
    return (loyalty_program_t){.tiers = tiers, .ntiers = n};
}

static void
progress_leads_from_one_status_to_the_next(void **state)
{
    static const struct {
        int64_t value;
        int current, next;
        int64_t remaining;
        int percent;
    } cases[] = {
        {0, NONE, BRONZE, 100000, 0},
        {99999, NONE, BRONZE, 1, 99},
        {100000, BRONZE, SILVER, 400000, 0},
        {103999, BRONZE, SILVER, 396001, 0},
        {104000, BRONZE, SILVER, 396000, 1},
        {300000, BRONZE, SILVER, 200000, 50},
        {499999, BRONZE, SILVER, 1, 99},
        {500000, SILVER, GOLD, 500000, 0},
        {999999, SILVER, GOLD, 1, 99},
        {1000000, GOLD, NONE, 0, 100},
        {INT64_MAX, GOLD, NONE, 0, 100},
        {-500, NONE, BRONZE, 100500, 0},
        {INT64_MIN, NONE, BRONZE, INT64_MAX, 0},
    };
    loyalty_program_t program = program_of(ladder, 3);
    loyalty_tier_input_t input = {.manual = NONE, .previous = NONE,
                                  .below_since = UNKNOWN};
    loyalty_tier_result_t result;
    size_t i;

    (void)state;

    for (i = 0; i < COUNT(cases); i++) {
        input.value = cases[i].value;
        loyalty_tier_resolve(&program, &input, NOW, &result);
        assert_int_equal(result.current, cases[i].current);
        assert_int_equal(result.earned, cases[i].current);
        assert_int_equal(result.next, cases[i].next);
        assert_int_equal(result.value, cases[i].value);
        assert_int_equal(result.remaining, cases[i].remaining);
        assert_int_equal(result.percent, cases[i].percent);
        assert_int_equal(result.change_at, NEVER);
    }
}

static void
a_ladder_of_nothing_gives_nothing(void **state)
{
    loyalty_program_t program = program_of(NULL, 0);
    loyalty_tier_input_t input = {.value = 5, .manual = 0, .previous = 0,
                                  .manual_until = NEVER,
                                  .below_since = UNKNOWN};
    loyalty_tier_result_t result;

    (void)state;

    loyalty_tier_resolve(&program, &input, NOW, &result);
    assert_int_equal(result.current, NONE);
    assert_int_equal(result.next, NONE);
    assert_int_equal(result.percent, 0);
}

static void
who_has_done_nothing_may_hold_what_begins_at_0(void **state)
{
    static loyalty_tier_t from_0[] = {{.threshold = 0}, {.threshold = 200}};
    static loyalty_tier_t new[] = {{.segment = LOYALTY_SEGMENT_NEW}};
    loyalty_program_t by_segment = program_of(new, 1);
    const struct {
        loyalty_program_t program;
        int current, next;
        int64_t remaining;
        int percent;
    } cases[] = {
        {program_of(ladder, 3), NONE, BRONZE, 100000, 0},
        {program_of(from_0, 2), BRONZE, SILVER, 200, 0},
        {program_of(from_0, 1), BRONZE, NONE, 0, 100},
        {program_of(NULL, 0), NONE, NONE, 0, 0},
        {by_segment, NONE, NONE, 0, 0},
    };
    loyalty_program_t program;
    loyalty_tier_result_t result;
    size_t i;

    (void)state;

    for (i = 0; i < COUNT(cases); i++) {
        program = cases[i].program;
        if (program.tiers == new) {
            program.settings.criterion = LOYALTY_CRITERION_SEGMENT;
        }
        loyalty_tier_begin(&program, &result);
        assert_int_equal(result.current, cases[i].current);
        assert_int_equal(result.next, cases[i].next);
        assert_int_equal(result.remaining, cases[i].remaining);
        assert_int_equal(result.percent, cases[i].percent);
    }
}

static void
a_manual_status_is_a_floor_until_its_end(void **state)
{
    static const struct {
        int64_t value;
        int manual;
        loyalty_instant_t until;
        int current, earned, next;
        int64_t remaining;
        int percent;
        loyalty_instant_t change_at;
    } cases[] = {
        {0, SILVER, NEVER, SILVER, NONE, GOLD, 1000000, 0, NEVER},
        {0, SILVER, NOW, SILVER, NONE, GOLD, 1000000, 0, NOW + 1},
        {0, SILVER, NOW - 1, NONE, NONE, BRONZE, 100000, 0, NEVER},
        {750000, SILVER, NOW + DAY, SILVER, SILVER, GOLD, 250000, 50,
         NOW + DAY + 1},
        {2000000, SILVER, NEVER, GOLD, GOLD, NONE, 0, 100, NEVER},
        {0, GOLD, NEVER, GOLD, NONE, NONE, 0, 100, NEVER},
        {0, 3, NEVER, NONE, NONE, BRONZE, 100000, 0, NEVER},
    };
    loyalty_program_t program = program_of(ladder, 3);
    loyalty_tier_input_t input = {.previous = NONE, .below_since = UNKNOWN};
    loyalty_tier_result_t result;
    size_t i;

    (void)state;

    for (i = 0; i < COUNT(cases); i++) {
        input.value = cases[i].value;
        input.manual = cases[i].manual;
        input.manual_until = cases[i].until;
        loyalty_tier_resolve(&program, &input, NOW, &result);
        assert_int_equal(result.current, cases[i].current);
        assert_int_equal(result.earned, cases[i].earned);
        assert_int_equal(result.next, cases[i].next);
        assert_int_equal(result.remaining, cases[i].remaining);
        assert_int_equal(result.percent, cases[i].percent);
        assert_int_equal(result.change_at, cases[i].change_at);
    }
}

static void
a_drop_waits_for_its_grace(void **state)
{
    static const struct {
        int64_t value;
        int32_t grace_days;
        bool never_drop;
        int previous;
        loyalty_instant_t below_since;
        int earned;
        loyalty_instant_t change_at;
    } cases[] = {
        {0, 0, false, GOLD, NOW, NONE, NEVER},
        {0, 30, false, GOLD, NOW - 30 * DAY, GOLD, NOW + 1},
        {0, 30, false, GOLD, NOW - 30 * DAY - 1, NONE, NEVER},
        {600000, 30, false, GOLD, NOW - 31 * DAY, SILVER, NEVER},
        {600000, 30, false, GOLD, UNKNOWN, GOLD, NOW + 30 * DAY + 1},
        {600000, 30, false, BRONZE, UNKNOWN, SILVER, NEVER},
        {600000, 30, false, SILVER, UNKNOWN, SILVER, NEVER},
        {0, 0, true, GOLD, NOW - 900 * DAY, GOLD, NEVER},
        {0, 0, true, NONE, UNKNOWN, NONE, NEVER},
        {0, 30, false, 3, UNKNOWN, NONE, NEVER},
        {0, 30, false, GOLD, INT64_MAX - 1, GOLD, NEVER},
    };
    loyalty_program_t program = program_of(ladder, 3);
    loyalty_tier_input_t input = {.manual = NONE};
    loyalty_tier_result_t result;
    size_t i;

    (void)state;

    for (i = 0; i < COUNT(cases); i++) {
        program.settings.window.grace_days = cases[i].grace_days;
        program.settings.window.never_drop = cases[i].never_drop;
        input.value = cases[i].value;
        input.previous = cases[i].previous;
        input.below_since = cases[i].below_since;
        loyalty_tier_resolve(&program, &input, NOW, &result);
        assert_int_equal(result.earned, cases[i].earned);
        assert_int_equal(result.current, cases[i].earned);
        assert_int_equal(result.change_at, cases[i].change_at);
        assert_int_equal(result.percent, cases[i].earned == GOLD ? 100
                                         : cases[i].value == 600000 ? 20
                                                                    : 0);
    }
}

/* The earlier end of a grace and a manual floor is when time changes it. */
static void
a_floor_and_a_grace_can_hold_together(void **state)
{
    loyalty_program_t program = program_of(ladder, 3);
    loyalty_tier_input_t input = {
        .value = 0, .manual = BRONZE, .manual_until = NOW + 20 * DAY,
        .previous = SILVER, .below_since = NOW,
    };
    loyalty_tier_result_t result;

    (void)state;

    program.settings.window.grace_days = 10;
    loyalty_tier_resolve(&program, &input, NOW, &result);
    assert_int_equal(result.current, SILVER);
    assert_int_equal(result.change_at, NOW + 10 * DAY + 1);

    loyalty_tier_resolve(&program, &input, NOW + 10 * DAY + 1, &result);
    assert_int_equal(result.current, BRONZE);
    assert_int_equal(result.earned, NONE);
    assert_int_equal(result.change_at, NOW + 20 * DAY + 1);

    loyalty_tier_resolve(&program, &input, NOW + 20 * DAY + 1, &result);
    assert_int_equal(result.current, NONE);
    assert_int_equal(result.change_at, NEVER);
}

static void
segment_statuses_go_by_the_programs_order(void **state)
{
    static loyalty_tier_t tiers[] = {
        {.segment = LOYALTY_SEGMENT_VIP},
        {.segment = LOYALTY_SEGMENT_NEW},
        {.segment = LOYALTY_SEGMENT_RECURRING},
    };
    static const struct {
        unsigned segments;
        int manual, previous, current, earned;
    } cases[] = {
        {0, NONE, NONE, NONE, NONE},
        {LOYALTY_SEGMENT_AT_RISK, NONE, 0, NONE, NONE},
        {LOYALTY_SEGMENT_RECURRING | LOYALTY_SEGMENT_NEW, NONE, NONE, 1, 1},
        {LOYALTY_SEGMENT_RECURRING | LOYALTY_SEGMENT_VIP, NONE, NONE, 0, 0},
        {LOYALTY_SEGMENT_RECURRING, 1, NONE, 1, 2},
        {LOYALTY_SEGMENT_VIP | LOYALTY_SEGMENT_RECURRING, 1, NONE, 0, 0},
        {0, 2, NONE, 2, NONE},
    };
    loyalty_program_t program = program_of(tiers, 3);
    loyalty_tier_input_t input = {.value = 77, .manual_until = NEVER,
                                  .below_since = UNKNOWN};
    loyalty_tier_result_t result;
    size_t i;

    (void)state;

    program.settings.criterion = LOYALTY_CRITERION_SEGMENT;
    program.settings.window.never_drop = true;

    for (i = 0; i < COUNT(cases); i++) {
        input.segments = cases[i].segments;
        input.manual = cases[i].manual;
        input.previous = cases[i].previous;
        loyalty_tier_resolve(&program, &input, NOW, &result);
        assert_int_equal(result.current, cases[i].current);
        assert_int_equal(result.earned, cases[i].earned);
        assert_int_equal(result.next, NONE);
        assert_int_equal(result.percent, 0);
        assert_int_equal(result.remaining, 0);
    }
}

static int
index_of(json_t *statuses, json_t *id)
{
    json_t *status;
    size_t i;

    json_array_foreach(statuses, i, status) {
        if (json_equal(json_object_get(status, "id"), id)) {
            return (int)i;
        }
    }

    return NONE;
}

static void
check_integer(const char *id, json_t *expect, const char *name, int64_t value)
{
    json_t *expected = json_object_get(expect, name);

    if (expected != NULL && json_integer_value(expected) != value) {
        fail_msg("%s: %s is %lld, expected %lld", id, name, (long long)value,
                 (long long)json_integer_value(expected));
    }
}

static void
check_index(const char *id, json_t *expect, const char *name, json_t *statuses,
            int value)
{
    json_t *expected = json_object_get(expect, name);

    if (expected != NULL && index_of(statuses, expected) != value) {
        fail_msg("%s: %s is number %d", id, name, value);
    }
}

static int64_t
window_value(json_t *given, loyalty_instant_t at)
{
    json_t *entry, *window = json_object_get(given, "window");
    int64_t days = json_integer_value(json_object_get(window, "days"));
    int64_t entry_at, sum = json_integer_value(json_object_get(given, "value"));
    size_t i;

    json_array_foreach(json_object_get(given, "entries"), i, entry) {
        entry_at = json_integer_value(json_object_get(entry, "at"));
        if (days == 0 || at - entry_at <= days * DAY) {
            sum += json_integer_value(json_object_get(entry, "points"));
        }
    }

    return sum;
}

static void
check_example(json_t *example)
{
    json_t *given = json_object_get(example, "given");
    json_t *expect = json_object_get(example, "expect");
    json_t *statuses = json_object_get(given, "statuses");
    json_t *window = json_object_get(given, "window");
    json_t *manual = json_object_get(given, "manual");
    json_t *previous = json_object_get(given, "previous");
    json_t *status, *until, *since;
    const char *id = json_string_value(json_object_get(example, "id"));
    loyalty_tier_t tiers[LOYALTY_PROGRAM_STATUSES_MAX] = {{.threshold = 0}};
    loyalty_program_t program = program_of(tiers, json_array_size(statuses));
    loyalty_tier_input_t input = {.manual = NONE, .previous = NONE};
    loyalty_tier_result_t result;
    loyalty_instant_t at = json_integer_value(json_object_get(given, "at"));
    size_t i;

    json_array_foreach(statuses, i, status) {
        tiers[i].threshold =
            json_integer_value(json_object_get(status, "threshold"));
    }

    program.settings.window.grace_days =
        (int32_t)json_integer_value(json_object_get(window, "grace_days"));
    program.settings.window.never_drop =
        json_is_true(json_object_get(window, "never_drop"));

    input.value = window_value(given, at);

    if (json_is_object(manual)) {
        input.manual = index_of(statuses, json_object_get(manual, "status"));
        until = json_object_get(manual, "until");
        input.manual_until = json_is_integer(until) ? json_integer_value(until)
                                                    : NEVER;
    }

    if (json_is_object(previous)) {
        input.previous = index_of(statuses,
                                  json_object_get(previous, "status"));
        since = json_object_get(previous, "dropped_below_at");
        input.below_since = json_is_integer(since) ? json_integer_value(since)
                                                   : UNKNOWN;
    }

    loyalty_tier_resolve(&program, &input, at, &result);

    check_index(id, expect, "status", statuses, result.current);
    check_index(id, expect, "next", statuses, result.next);
    check_integer(id, expect, "value", result.value);
    check_integer(id, expect, "remaining", result.remaining);
    check_integer(id, expect, "percent", result.percent);
}

static void
the_shared_examples_come_out(void **state)
{
    (void)state;

    examples_shared("tier", check_example);
}

static void
the_published_examples_come_out(void **state)
{
    (void)state;

    examples_published("tier", check_example);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(progress_leads_from_one_status_to_the_next),
        cmocka_unit_test(a_ladder_of_nothing_gives_nothing),
        cmocka_unit_test(who_has_done_nothing_may_hold_what_begins_at_0),
        cmocka_unit_test(a_manual_status_is_a_floor_until_its_end),
        cmocka_unit_test(a_drop_waits_for_its_grace),
        cmocka_unit_test(a_floor_and_a_grace_can_hold_together),
        cmocka_unit_test(segment_statuses_go_by_the_programs_order),
        cmocka_unit_test(the_shared_examples_come_out),
        cmocka_unit_test(the_published_examples_come_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
