/*
 * Segments at an instant (DOMAIN.md section 6).  Never stored: they depend on
 * the clock.
 */

#ifndef LOYALTY_SEGMENT_H
#define LOYALTY_SEGMENT_H

#include "loyalty_program.h"

/* What segments are computed from; LOYALTY_UNKNOWN where nothing is known. */
typedef struct {
    loyalty_instant_t signed_up_at;
    loyalty_instant_t last_order_at;     /* last completed order */
    loyalty_instant_t last_visit_at;     /* last recorded visit */
    loyalty_instant_t previous_visit_at; /* the one before it */
    int64_t order_count;                 /* completed orders */
    int64_t life_points;
} loyalty_activity_t;

/* A set of loyalty_segment_t bits. */
unsigned loyalty_segments(const loyalty_segment_thresholds_t *thresholds,
                          const loyalty_activity_t *activity,
                          loyalty_instant_t at);

/* vip, at_risk, new, recurring: the first of the set, or 0 for none. */
loyalty_segment_t loyalty_segment_shown(unsigned segments);

/* The first instant after `at` at which the set may differ without an event;
 * LOYALTY_NEVER if none. */
loyalty_instant_t loyalty_segments_change_at(
    const loyalty_segment_thresholds_t *thresholds,
    const loyalty_activity_t *activity, loyalty_instant_t at);

#endif
