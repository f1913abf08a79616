/*
 * Days as a site's own time zone has them, by ICU.
 */

#ifndef LOYALTY_CALENDAR_H
#define LOYALTY_CALENDAR_H

#include "loyalty.h"

#define LOYALTY_DATE_SIZE 40

/* Whether it is a name of the IANA time zone database. */
bool loyalty_calendar_knows(loyalty_str_t time_zone);

/*
 * The local date of an instant, "2026-11-22", in LOYALTY_DATE_SIZE bytes, and
 * the instant at which the next local day begins.  Either may be NULL.  False:
 * ICU does not know the time zone.
 */
bool loyalty_calendar_day(loyalty_str_t time_zone, loyalty_instant_t at,
                          char *date, loyalty_instant_t *next_day);

#endif
