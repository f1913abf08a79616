/*
 * Orders: from state and event to new state and effects (DOMAIN.md section 3).
 *
 * One record per order, kept for ever, makes every event idempotent; the
 * function below is the only place that knows what an event does.
 */

#ifndef LOYALTY_ORDER_H
#define LOYALTY_ORDER_H

#include "loyalty_document.h"
#include "loyalty_hold.h"

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
    int64_t amount;   /* of a refund's line, -1: as the order's line says */
    int64_t returned; /* units, in the order's record */
} loyalty_order_line_t;

/* A refund without an id, an amount and lines returns all that is left. */
typedef struct {
    loyalty_str_t id;
    int64_t amount; /* -1: the sum of the lines, or all that is left */
    loyalty_order_line_t *lines; /* sku, quantity, amount */
    size_t nlines;
} loyalty_refund_t;

/* What is on record about the event's redemptions. */
typedef struct {
    loyalty_hold_t **holds; /* those it names; becoming the order's is noted
                               in them */
    size_t nholds;
    const loyalty_usage_t *usage; /* of the site, for holds given back */
    size_t nusage;
} loyalty_order_wallet_t;

typedef struct {
    loyalty_str_t order_id;
    loyalty_str_t member_id; /* empty: a guest */
    loyalty_order_status_t status;
    int32_t attempt;
    loyalty_instant_t placed_at;
    loyalty_instant_t occurred_at;
    loyalty_str_t currency;
    int64_t total; /* -1: not said (cancelled, refunded) */
    loyalty_order_line_t *lines;
    size_t nlines;
    loyalty_str_t *redemptions; /* holds and entitlements it used up */
    size_t nredemptions;
    loyalty_refund_t refund; /* status refunded */
    const loyalty_order_wallet_t *wallet; /* the caller's; NULL: no holds */
    loyalty_str_t by; /* the caller's: who corrects it; empty: the shop's own */
} loyalty_order_event_t;

/*
 * From the event's JSON; `currency` is the site's, and any other is a
 * problem.  occurred_at defaults to `now`, placed_at to occurred_at, a line's
 * amount to quantity x unit_price.  The event is the arena's, its texts are
 * too or stay in the document's text.
 */
loyalty_status_t loyalty_order_event_parse(const loyalty_document_t *document,
                                           loyalty_str_t currency,
                                           loyalty_instant_t now,
                                           loyalty_arena_t *arena,
                                           loyalty_problems_t *problems,
                                           loyalty_order_event_t *event);

json_t *loyalty_order_event_to_json(const loyalty_order_event_t *event);

/* What an event said that a later copy of it must say again. */
typedef struct {
    bool seen;
    bool guest;
    int64_t total;
    uint64_t lines; /* fingerprints */
    uint64_t redemptions;
} loyalty_order_mark_t;

typedef struct {
    loyalty_refund_t refund;
    loyalty_order_mark_t mark;
    uint64_t print; /* of the refund itself */
    loyalty_instant_t occurred_at;
    int64_t value; /* what it took off the total; -1: held */
} loyalty_order_refund_t;

typedef enum {
    LOYALTY_PHASE_NONE, /* no effect: not yet, no longer, or superseded */
    LOYALTY_PHASE_PENDING,
    LOYALTY_PHASE_EARNED
} loyalty_order_phase_t;

/* What an order did to one entry of the wallet. */
typedef struct {
    loyalty_str_t entitlement;
    int32_t stamps; /* given to a punchcard */
    bool redeemed;  /* used it up, or one ready use of it */
    loyalty_str_t hold;      /* it came by, or empty */
    loyalty_hold_use_t used; /* what it counts for; no offer: nothing */
} loyalty_order_use_t;

/*
 * One attempt: the events seen, what the order is about, what it did to the
 * member.  Its marks stay for ever.
 */
typedef struct {
    int32_t attempt;
    loyalty_order_mark_t marks[LOYALTY_ORDER_CANCELLED]; /* status - 1 */
    loyalty_order_refund_t *refunds;
    size_t nrefunds;

    /* From completed | shipped, else placed; times are the earliest named. */
    loyalty_instant_t placed_at;
    loyalty_instant_t earned_at;
    int64_t total;
    loyalty_order_line_t *lines;
    size_t nlines;
    loyalty_str_t *redemptions;
    size_t nredemptions;

    loyalty_order_phase_t phase;
    bool counts;                  /* in order_count */
    int64_t returned;             /* money */
    int64_t points;               /* earned, or pending */
    int64_t revoked;              /* of them, by the rule of proportion */
    loyalty_instant_t expires_at; /* of the lot */
    loyalty_order_use_t *uses;
    size_t nuses;
} loyalty_order_attempt_t;

/* Points or credits paid with the order (section 3: a cancelled
 * redemption). */
typedef struct {
    loyalty_str_t id;
    bool credits;
    bool restored;
    loyalty_spending_t spending;
} loyalty_order_spending_t;

/* The order's record. */
typedef struct {
    loyalty_str_t id;
    loyalty_str_t member_id; /* empty: a guest's */
    loyalty_str_t currency;
    loyalty_order_attempt_t *attempts; /* ascending */
    size_t nattempts;
    loyalty_order_spending_t *spendings;
    size_t nspendings;
} loyalty_order_t;

/* `bytes` must outlive the record: strings point into them. */
loyalty_status_t loyalty_order_decode(loyalty_str_t bytes,
                                      loyalty_arena_t *arena,
                                      loyalty_order_t **order);
loyalty_status_t loyalty_order_encode(const loyalty_order_t *order,
                                      loyalty_arena_t *arena,
                                      loyalty_str_t *bytes);
json_t *loyalty_order_to_json(const loyalty_order_t *order);

/* When the order was placed, as far as known; for the member's list. */
loyalty_instant_t loyalty_order_placed_at(const loyalty_order_t *order);

/*
 * Applies `event` to *member and *order (NULL before its first event).
 *
 * The member is the event's, or the record's where the event names none; an
 * unknown one is given as loyalty_member_init left it, and NULL where neither
 * names one.  LOYALTY_ERROR_CONFLICT and _REFUSED name the reason in
 * effects->refusal; they and every other error change nothing.
 *
 * How it works: the event is entered in the record, then the member is moved
 * from what the order did so far to what all its events together say.  So
 * duplicates and the order of arrival cannot matter:
 *
 *   in force: the highest attempt above every cancelled one that has
 *   completed or shipped (EARNED), else the highest placed (PENDING)
 */
loyalty_status_t
loyalty_order_apply(const loyalty_program_t *program, loyalty_member_t *member,
                    loyalty_order_t **order, const loyalty_order_event_t *event,
                    loyalty_instant_t now, loyalty_arena_t *arena,
                    loyalty_effects_t *effects);

/*
 * Pays `amount` points with an order, before or after its events; `id` makes
 * it idempotent.  Cancelling the order gives them back.
 * LOYALTY_ERROR_INSUFFICIENT; _REFUSED: the order is cancelled.
 */
loyalty_status_t
loyalty_order_spend(const loyalty_program_t *program, loyalty_member_t *member,
                    loyalty_order_t **order, loyalty_str_t order_id,
                    loyalty_str_t id, int64_t amount, loyalty_instant_t now,
                    loyalty_arena_t *arena, loyalty_effects_t *effects);

/*
 * The points that a completed order did not earn, because the site was not
 * active then: given now, once.  LOYALTY_DUPLICATE: there is nothing to give.
 */
loyalty_status_t
loyalty_order_backfill(const loyalty_program_t *program,
                       loyalty_member_t *member, loyalty_order_t **order,
                       loyalty_instant_t now, loyalty_arena_t *arena,
                       loyalty_effects_t *effects);

const char *loyalty_order_status_name(loyalty_order_status_t status);

#endif
