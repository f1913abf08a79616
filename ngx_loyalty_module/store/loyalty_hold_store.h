/*
 * Ending holds: one by its id, those of a site whose time is up.
 *
 * A transaction WATCHes the hold and its member, so that an order, a renewal
 * and two of us may come at once, and one of them has it.
 */

#ifndef LOYALTY_HOLD_STORE_H
#define LOYALTY_HOLD_STORE_H

#include "loyalty_hold.h"
#include "loyalty_member_change.h"

typedef enum {
    LOYALTY_HOLD_GONE = 1, /* there is no such hold */
    LOYALTY_HOLD_ENDED,    /* by us, or before */
    LOYALTY_HOLD_KEPT      /* an order has it, or its time is not up */
} loyalty_hold_end_t;

/* Releases a hold; with `due` only one whose time is up at `now`. */
loyalty_store_result_t loyalty_hold_end(loyalty_member_change_t *change,
                                        const loyalty_scope_t *scope,
                                        loyalty_str_t id,
                                        loyalty_instant_t now, bool due,
                                        loyalty_hold_end_t *end);

/* Releases up to `most` holds of the site that are over; *ended: how many. */
loyalty_store_result_t loyalty_holds_expire(loyalty_member_change_t *change,
                                            const loyalty_scope_t *scope,
                                            loyalty_instant_t now,
                                            size_t most, size_t *ended);

#endif
