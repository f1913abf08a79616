/*
 * Local days; the instants are those that Python's zoneinfo gives.
 */
// link: ngx_loyalty_module/store/loyalty_calendar.c -licui18n -licuuc

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "loyalty_calendar.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static const struct {
    const char *zone, *at, *date, *next;
} cases[] = {
    {"UTC", "2026-11-22T23:59:59.999Z", "2026-11-22", "2026-11-23T00:00:00Z"},
    {"UTC", "2026-11-23T00:00:00Z", "2026-11-23", "2026-11-24T00:00:00Z"},
    {"Asia/Kathmandu", "2026-01-01T18:15:00Z", "2026-01-02",
     "2026-01-02T18:15:00Z"},
    {"America/New_York", "2026-01-01T04:59:59Z", "2025-12-31",
     "2026-01-01T05:00:00Z"},
    /* days of 23 and of 25 hours */
    {"Europe/London", "2026-03-29T00:30:00Z", "2026-03-29",
     "2026-03-29T23:00:00Z"},
    {"Europe/London", "2026-10-25T12:00:00Z", "2026-10-25",
     "2026-10-26T00:00:00Z"},
    /* a day without a midnight */
    {"America/Sao_Paulo", "2018-11-03T12:00:00Z", "2018-11-03",
     "2018-11-04T03:00:00Z"},
    /* 29 February */
    {"UTC", "2028-02-28T12:00:00Z", "2028-02-28", "2028-02-29T00:00:00Z"},
};

static void
days_begin_at_local_midnight(void **state)
{
    char date[LOYALTY_DATE_SIZE], next[LOYALTY_INSTANT_SIZE];
    loyalty_instant_t at, next_day;
    size_t i;

    (void)state;

    for (i = 0; i < COUNT(cases); i++) {
        assert_int_equal(
            loyalty_instant_parse(loyalty_str_from(cases[i].at), &at),
            LOYALTY_OK);
        assert_true(loyalty_calendar_day(loyalty_str_from(cases[i].zone), at,
                                         date, &next_day));
        loyalty_instant_format(next_day, next);
        assert_string_equal(date, cases[i].date);
        assert_string_equal(next, cases[i].next);
    }
}

static void
names_of_the_iana_database_are_known(void **state)
{
    static const char *const known[] = {
        "UTC", "Europe/Paris", "Asia/Calcutta", "Asia/Kolkata", "Etc/GMT-3",
        "America/Argentina/Buenos_Aires", "Australia/Lord_Howe"};
    static const char *const unknown[] = {"", "Mars/Base", "GMT+3",
                                          "Etc/Unknown", "europe"};
    size_t i;

    (void)state;

    for (i = 0; i < COUNT(known); i++) {
        assert_true(loyalty_calendar_knows(loyalty_str_from(known[i])));
    }

    for (i = 0; i < COUNT(unknown); i++) {
        assert_false(loyalty_calendar_knows(loyalty_str_from(unknown[i])));
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(days_begin_at_local_midnight),
        cmocka_unit_test(names_of_the_iana_database_are_known),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
