/*
 * A day begins at 00:00, or where a change of the clock leaves that out, at
 * the first instant after the gap.
 */

#include "loyalty_calendar.h"

#include <stdio.h>
#include <unicode/ucal.h>
#include <unicode/ustring.h>

bool
loyalty_calendar_knows(loyalty_str_t time_zone)
{
    UChar zone[LOYALTY_TIME_ZONE_MAX + 1], found[LOYALTY_TIME_ZONE_MAX + 1];
    UErrorCode error = U_ZERO_ERROR;
    UBool of_system = false;
    int32_t len;

    u_strFromUTF8(zone, LOYALTY_TIME_ZONE_MAX + 1, &len, time_zone.data,
                  (int32_t)time_zone.len, &error);
    ucal_getCanonicalTimeZoneID(zone, len, found, LOYALTY_TIME_ZONE_MAX + 1,
                                &of_system, &error);

    return U_SUCCESS(error) && of_system;
}

static UCalendar *
open_calendar(loyalty_str_t time_zone, loyalty_instant_t at, UErrorCode *error)
{
    UChar zone[LOYALTY_TIME_ZONE_MAX + 1];
    UCalendar *calendar;
    int32_t len;

    u_strFromUTF8(zone, LOYALTY_TIME_ZONE_MAX + 1, &len, time_zone.data,
                  (int32_t)time_zone.len, error);
    calendar = ucal_open(zone, len, "en_US_POSIX", UCAL_GREGORIAN, error);
    if (U_FAILURE(*error)) {
        return NULL;
    }

    ucal_setAttribute(calendar, UCAL_SKIPPED_WALL_TIME,
                      UCAL_WALLTIME_NEXT_VALID);
    ucal_setMillis(calendar, (UDate)at, error);

    return calendar;
}

bool
loyalty_calendar_day(loyalty_str_t time_zone, loyalty_instant_t at, char *date,
                     loyalty_instant_t *next_day)
{
    UErrorCode error = U_ZERO_ERROR;
    UCalendar *calendar = open_calendar(time_zone, at, &error);
    int32_t year, month, day;

    if (calendar == NULL) {
        return false;
    }

    year = ucal_get(calendar, UCAL_YEAR, &error);
    month = ucal_get(calendar, UCAL_MONTH, &error) + 1;
    day = ucal_get(calendar, UCAL_DATE, &error);

    if (date != NULL) {
        snprintf(date, LOYALTY_DATE_SIZE, "%04d-%02d-%02d", year, month, day);
    }

    if (next_day != NULL) {
        ucal_clear(calendar);
        ucal_setDate(calendar, year, month - 1, day + 1, &error);
        *next_day = (loyalty_instant_t)ucal_getMillis(calendar, &error);
    }

    ucal_close(calendar);

    return U_SUCCESS(error) && year > 0 && year <= 9999;
}
