/*
 * Orders: from state and event to new state and effects (DOMAIN.md section 3).
 *
 * One record per order, kept for ever, makes every event idempotent; the
 * function below is the only place that knows what an event does.
 */

#ifndef LOYALTY_ORDER_H
#define LOYALTY_ORDER_H

#include "loyalty_member.h"

typedef enum {
    LOYALTY_ORDER_PLACED = 1,
    LOYALTY_ORDER_COMPLETED,
    LOYALTY_ORDER_SHIPPED,
    LOYALTY_ORDER_CANCELLED,
    LOYALTY_ORDER_REFUNDED
} loyalty_order_status_t;

typedef struct {
    loyalty_str_t sku;
    loyalty_str_t category;
    int64_t quantity;
    loyalty_str_t unit_price; /* decimal text, or empty */
    int64_t amount;
} loyalty_order_line_t;

typedef struct {
    loyalty_str_t id;
    int64_t amount;
    loyalty_order_line_t *lines; /* sku, quantity, amount */
    size_t nlines;
} loyalty_refund_t;

typedef struct {
    loyalty_str_t order_id;
    loyalty_str_t member_id; /* empty: a guest */
    loyalty_order_status_t status;
    int32_t attempt;
    loyalty_instant_t placed_at;
    loyalty_instant_t occurred_at;
    loyalty_str_t currency;
    int64_t total;
    loyalty_order_line_t *lines;
    size_t nlines;
    loyalty_str_t *redemptions; /* holds and entitlements it used up */
    size_t nredemptions;
    loyalty_refund_t refund; /* status refunded */
} loyalty_order_event_t;

/*
 * From the event's JSON; `currency` is the site's, and any other is a
 * problem.  occurred_at defaults to `now`, placed_at to occurred_at.
 */
loyalty_status_t loyalty_order_event_parse(json_t *json, loyalty_str_t currency,
                                           loyalty_instant_t now,
                                           loyalty_arena_t *arena,
                                           loyalty_problems_t *problems,
                                           loyalty_order_event_t *event);

json_t *loyalty_order_event_to_json(const loyalty_order_event_t *event);

typedef struct loyalty_order_s loyalty_order_t; /* the order's record */

loyalty_status_t loyalty_order_decode(loyalty_str_t bytes,
                                      loyalty_arena_t *arena,
                                      loyalty_order_t **order);
loyalty_status_t loyalty_order_encode(const loyalty_order_t *order,
                                      loyalty_arena_t *arena,
                                      loyalty_str_t *bytes);
json_t *loyalty_order_to_json(const loyalty_order_t *order);

typedef enum {
    LOYALTY_APPLIED = 1,
    LOYALTY_DUPLICATE, /* nothing changed */
    LOYALTY_HELD,      /* kept with the order until its time comes */
    LOYALTY_GUEST      /* counted, left alone */
} loyalty_outcome_t;

typedef struct {
    loyalty_outcome_t outcome;
    loyalty_entry_t *points;  /* new entries of the points ledger */
    size_t npoints;
    loyalty_entry_t *credits;
    size_t ncredits;
    loyalty_str_t tier_from, tier_to; /* equal: no change */
    const char *refusal; /* "exists_with_different_total", ... */
} loyalty_effects_t;

/*
 * Applies `event` to member and *order (NULL before its first event).
 * LOYALTY_ERROR_CONFLICT and _REFUSED name the reason in effects->refusal and
 * change nothing; LOYALTY_ERROR_OVERFLOW changes nothing.
 */
loyalty_status_t loyalty_order_apply(const loyalty_program_t *program,
                                     loyalty_member_t *member,
                                     loyalty_order_t **order,
                                     const loyalty_order_event_t *event,
                                     loyalty_instant_t now,
                                     loyalty_arena_t *arena,
                                     loyalty_effects_t *effects);

#endif
