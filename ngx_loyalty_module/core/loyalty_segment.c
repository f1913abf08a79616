/*
 * Each segment is an age compared with a number of days; the boundary counts
 * as within.  A segment therefore ends, or begins, one millisecond after the
 * boundary, and loyalty_segments_change_at() is the least of those instants
 * that lie ahead.
 */

#include "loyalty_segment.h"

/* How long a visit is the present one after it was last recorded. */
#define VISIT_PRESENT LOYALTY_HOUR

static int64_t
age(loyalty_instant_t at, loyalty_instant_t since)
{
    int64_t difference;

    if (__builtin_sub_overflow(at, since, &difference)) {
        return at > since ? INT64_MAX : INT64_MIN;
    }

    return difference;
}

/* The first instant at which `since` is longer ago than `span`. */
static loyalty_instant_t
past(loyalty_instant_t since, int64_t span)
{
    loyalty_instant_t instant;

    if (__builtin_add_overflow(since, span + 1, &instant)) {
        return LOYALTY_NEVER;
    }

    return instant;
}

static bool
within(loyalty_instant_t at, loyalty_instant_t since, int32_t days)
{
    return since != LOYALTY_UNKNOWN && age(at, since) <= days * LOYALTY_DAY;
}

static bool
visit_is_present(const loyalty_activity_t *activity, loyalty_instant_t at)
{
    return activity->last_visit_at != LOYALTY_UNKNOWN
           && age(at, activity->last_visit_at) <= VISIT_PRESENT;
}

/* The visit before the present one, else the last order, else the sign-up. */
static loyalty_instant_t
last_seen(const loyalty_activity_t *activity, loyalty_instant_t at)
{
    loyalty_instant_t visit;

    visit = visit_is_present(activity, at) ? activity->previous_visit_at
                                           : activity->last_visit_at;

    if (visit != LOYALTY_UNKNOWN) {
        return visit;
    }

    return activity->last_order_at != LOYALTY_UNKNOWN ? activity->last_order_at
                                                      : activity->signed_up_at;
}

unsigned
loyalty_segments(const loyalty_segment_thresholds_t *thresholds,
                 const loyalty_activity_t *activity, loyalty_instant_t at)
{
    loyalty_instant_t seen = last_seen(activity, at);
    unsigned segments = 0;

    if (within(at, activity->signed_up_at, thresholds->new_days)) {
        segments |= LOYALTY_SEGMENT_NEW;
    }

    if (activity->order_count > 0
        && within(at, activity->last_order_at, thresholds->recurring_days)) {
        segments |= LOYALTY_SEGMENT_RECURRING;

        if (activity->life_points >= thresholds->vip_points) {
            segments |= LOYALTY_SEGMENT_VIP;
        }
    }

    if (seen != LOYALTY_UNKNOWN
        && !within(at, seen, thresholds->at_risk_days)) {
        segments |= LOYALTY_SEGMENT_AT_RISK;
    }

    return segments;
}

loyalty_segment_t
loyalty_segment_shown(unsigned segments)
{
    /* The bits stand in the order in which one is shown. */
    return (loyalty_segment_t)(segments & (0 - segments));
}

static loyalty_instant_t
sooner(loyalty_instant_t best, loyalty_instant_t candidate,
       loyalty_instant_t at)
{
    return candidate > at && candidate < best ? candidate : best;
}

loyalty_instant_t
loyalty_segments_change_at(const loyalty_segment_thresholds_t *thresholds,
                           const loyalty_activity_t *activity,
                           loyalty_instant_t at)
{
    loyalty_instant_t change = LOYALTY_NEVER, seen = last_seen(activity, at);

    if (activity->signed_up_at != LOYALTY_UNKNOWN) {
        change = sooner(change, past(activity->signed_up_at,
                                     thresholds->new_days * LOYALTY_DAY), at);
    }

    if (activity->order_count > 0
        && activity->last_order_at != LOYALTY_UNKNOWN) {
        change = sooner(change, past(activity->last_order_at,
                                     thresholds->recurring_days * LOYALTY_DAY),
                        at);
    }

    if (seen != LOYALTY_UNKNOWN) {
        change = sooner(change, past(seen, thresholds->at_risk_days
                                               * LOYALTY_DAY), at);
    }

    if (visit_is_present(activity, at)) {
        change = sooner(change, past(activity->last_visit_at, VISIT_PRESENT),
                        at);
    }

    return change;
}
