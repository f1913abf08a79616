/*
 * core/loyalty_segment.c.  Expected sets and instants are worked out by hand
 * from DOMAIN.md section 6.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "loyalty_segment.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

#define NEW LOYALTY_SEGMENT_NEW
#define RECURRING LOYALTY_SEGMENT_RECURRING
#define AT_RISK LOYALTY_SEGMENT_AT_RISK
#define VIP LOYALTY_SEGMENT_VIP
#define UNKNOWN LOYALTY_UNKNOWN
#define NEVER LOYALTY_NEVER
#define DAY LOYALTY_DAY
#define HOUR LOYALTY_HOUR

/* New for 30 days, recurring for 90, at risk after 60, vip from 1 000. */
static const loyalty_segment_thresholds_t thresholds = {30, 90, 60, 1000};

#define NOW (1000 * DAY)

static const struct {
    const char *what;
    loyalty_activity_t activity;
    unsigned segments;
    loyalty_instant_t change_at;
} cases[] = {
    {"nothing is known",
     {UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, 0, 0}, 0, NEVER},
    {"signed up now",
     {NOW, UNKNOWN, UNKNOWN, UNKNOWN, 0, 0}, NEW, NOW + 30 * DAY + 1},
    {"signed up 30 days ago to the millisecond",
     {NOW - 30 * DAY, UNKNOWN, UNKNOWN, UNKNOWN, 0, 0}, NEW, NOW + 1},
    {"and a millisecond more",
     {NOW - 30 * DAY - 1, UNKNOWN, UNKNOWN, UNKNOWN, 0, 0}, 0,
     NOW + 30 * DAY},
    {"no visit, no order: the sign-up, 60 days ago",
     {NOW - 60 * DAY, UNKNOWN, UNKNOWN, UNKNOWN, 0, 0}, 0, NOW + 1},
    {"and a millisecond more",
     {NOW - 60 * DAY - 1, UNKNOWN, UNKNOWN, UNKNOWN, 0, 0}, AT_RISK, NEVER},
    {"an order 90 days ago",
     {UNKNOWN, NOW - 90 * DAY, NOW - 2 * HOUR, UNKNOWN, 1, 999}, RECURRING,
     NOW + 1},
    {"and a millisecond more",
     {UNKNOWN, NOW - 90 * DAY - 1, NOW - 2 * HOUR, UNKNOWN, 1, 999}, 0,
     NOW - 2 * HOUR + 60 * DAY + 1},
    {"vip at 1 000 points",
     {UNKNOWN, NOW - 90 * DAY, NOW - 2 * HOUR, UNKNOWN, 1, 1000},
     RECURRING | VIP, NOW + 1},
    {"points alone make no vip",
     {UNKNOWN, NOW - 90 * DAY - 1, NOW - 2 * HOUR, UNKNOWN, 1, 1000000}, 0,
     NOW - 2 * HOUR + 60 * DAY + 1},
    {"an order that no longer counts",
     {UNKNOWN, NOW - DAY, NOW - 2 * HOUR, UNKNOWN, 0, 5000}, 0,
     NOW - 2 * HOUR + 60 * DAY + 1},
    {"no visit: the last order, not the older sign-up",
     {NOW - 500 * DAY, NOW - 60 * DAY, UNKNOWN, UNKNOWN, 1, 0}, RECURRING,
     NOW + 1},
    {"no visit: the last order, 61 days ago",
     {NOW - 500 * DAY, NOW - 61 * DAY, UNKNOWN, UNKNOWN, 1, 0},
     RECURRING | AT_RISK, NOW + 29 * DAY + 1},
    {"last visit 60 days ago, over",
     {UNKNOWN, UNKNOWN, NOW - 60 * DAY, NOW - 900 * DAY, 0, 0}, 0, NOW + 1},
    {"last visit 60 days and a millisecond ago",
     {UNKNOWN, UNKNOWN, NOW - 60 * DAY - 1, NOW - 61 * DAY, 0, 0}, AT_RISK,
     NEVER},
    {"back after 61 days: still at risk while the visit is present",
     {UNKNOWN, UNKNOWN, NOW, NOW - 61 * DAY, 0, 0}, AT_RISK, NOW + HOUR + 1},
    {"an hour later to the millisecond",
     {UNKNOWN, UNKNOWN, NOW - HOUR, NOW - 61 * DAY, 0, 0}, AT_RISK, NOW + 1},
    {"and a millisecond more: the visit is over",
     {UNKNOWN, UNKNOWN, NOW - HOUR - 1, NOW - 61 * DAY, 0, 0}, 0,
     NOW - HOUR - 1 + 60 * DAY + 1},
    {"the first visit, present: the order before it",
     {UNKNOWN, NOW - 61 * DAY, NOW, UNKNOWN, 1, 0}, RECURRING | AT_RISK,
     NOW + HOUR + 1},
    {"the first visit, present: the sign-up before it",
     {NOW - 61 * DAY, UNKNOWN, NOW, UNKNOWN, 0, 0}, AT_RISK, NOW + HOUR + 1},
    {"the first visit, present, nothing before",
     {UNKNOWN, UNKNOWN, NOW, UNKNOWN, 0, 0}, 0, NOW + HOUR + 1},
    {"all four at once",
     {NOW - DAY, NOW - DAY, NOW, NOW - 61 * DAY, 3, 2000},
     NEW | RECURRING | VIP | AT_RISK, NOW + HOUR + 1},
};

static void
segments_follow_the_clock(void **state)
{
    unsigned segments;
    loyalty_instant_t change_at;
    size_t i;

    (void)state;

    for (i = 0; i < COUNT(cases); i++) {
        segments = loyalty_segments(&thresholds, &cases[i].activity, NOW);
        change_at = loyalty_segments_change_at(&thresholds, &cases[i].activity,
                                               NOW);
        if (segments != cases[i].segments || change_at != cases[i].change_at) {
            fail_msg("%s: segments %u, change at now + %lld", cases[i].what,
                     segments, (long long)(change_at - NOW));
        }
    }
}

/* Between two instants named by change_at the set stays as it is. */
static void
nothing_changes_before_change_at(void **state)
{
    loyalty_instant_t at, change_at;
    unsigned segments;
    size_t i;

    (void)state;

    for (i = 0; i < COUNT(cases); i++) {
        at = NOW - 100 * DAY;
        do {
            change_at = loyalty_segments_change_at(&thresholds,
                                                   &cases[i].activity, at);
            assert_true(change_at > at);
            segments = loyalty_segments(&thresholds, &cases[i].activity, at);
            assert_int_equal(segments,
                             loyalty_segments(&thresholds, &cases[i].activity,
                                              change_at == NEVER
                                                  ? NOW + 40000 * DAY
                                                  : change_at - 1));
            at = change_at;
        } while (at != NEVER);
    }
}

static void
thresholds_of_nothing_hold_for_the_instant(void **state)
{
    static const loyalty_segment_thresholds_t none = {0, 0, 0, 0};
    loyalty_activity_t activity = {NOW, NOW, NOW - 2 * HOUR, UNKNOWN, 1, 0};

    (void)state;

    assert_int_equal(loyalty_segments(&none, &activity, NOW),
                     NEW | RECURRING | VIP | AT_RISK);
    assert_int_equal(loyalty_segments(&none, &activity, NOW + 1), AT_RISK);
}

static void
instants_at_the_ends_of_time_do_no_harm(void **state)
{
    static const loyalty_segment_thresholds_t most = {
        36500, 36500, 36500, 1000000000000,
    };
    loyalty_activity_t late = {INT64_MAX - 1, INT64_MAX - 1, INT64_MAX - 1,
                               INT64_MAX - 1, 1, INT64_MAX};
    loyalty_activity_t early = {INT64_MIN + 1, INT64_MIN + 1, INT64_MIN + 1,
                                INT64_MIN + 1, 1, INT64_MAX};

    (void)state;

    assert_int_equal(loyalty_segments(&most, &late, INT64_MIN + 1),
                     NEW | RECURRING | VIP);
    assert_int_equal(loyalty_segments_change_at(&most, &late, INT64_MAX - 1),
                     NEVER);
    assert_int_equal(loyalty_segments(&most, &early, INT64_MAX), AT_RISK);
}

static void
one_segment_is_shown(void **state)
{
    static const struct {
        unsigned segments;
        loyalty_segment_t shown;
    } cases[] = {
        {0, 0},
        {NEW | RECURRING | VIP | AT_RISK, VIP},
        {NEW | RECURRING | AT_RISK, AT_RISK},
        {NEW | RECURRING, NEW},
        {RECURRING, RECURRING},
    };
    size_t i;

    (void)state;

    for (i = 0; i < COUNT(cases); i++) {
        assert_int_equal(loyalty_segment_shown(cases[i].segments),
                         cases[i].shown);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(segments_follow_the_clock),
        cmocka_unit_test(nothing_changes_before_change_at),
        cmocka_unit_test(thresholds_of_nothing_hold_for_the_instant),
        cmocka_unit_test(instants_at_the_ends_of_time_do_no_harm),
        cmocka_unit_test(one_segment_is_shown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
