/*
 * Evaluating a cart (DOMAIN.md section 7, "Evaluating a cart").
 *
 * Pure and deterministic: the edge quotes with it, the back end books with it.
 * Everything a result points to lives in the arena.
 */

#ifndef LOYALTY_CART_H
#define LOYALTY_CART_H

#include "loyalty_member.h"
#include "loyalty_offer.h"

typedef struct {
    loyalty_str_t id; /* the caller's; echoed in the result */
    loyalty_str_t sku;
    loyalty_str_t category;
    int64_t quantity;
    int64_t unit_price;    /* minor units */
    int64_t minimum_price; /* of one unit */
} loyalty_cart_line_t;

/* A wallet entry that would apply now: a clubcard, a full punchcard, an
 * applied reward or coupon; or one that is shown why it does not. */
typedef struct {
    loyalty_str_t id;
    loyalty_str_t offer;
    loyalty_str_t code; /* a coupon's own code, or empty */
    bool applied;       /* reward, coupon: the member applied it */
    bool redeemed;
    bool held; /* by another checkout */
    bool reserved; /* bought: within the limits already */
    bool bearer; /* no entry: a code of the index, whoever types it */
    int64_t uses; /* punchcard: ready uses */
    loyalty_instant_t expires_at;
} loyalty_cart_entry_t;

typedef struct {
    /* The member; all empty for a guest. */
    loyalty_str_t status;
    unsigned segments;
    const loyalty_str_t *groups;
    size_t ngroups;
    int64_t order_count; /* completed orders; -1: unknown */
    int64_t points;      /* active balance; -1: unknown */
    const loyalty_cart_entry_t *entries;
    size_t nentries;

    const loyalty_usage_t *usage;
    size_t nusage;

    int64_t earn_rate;  /* scaled by 10^4 */
    int64_t multiplier; /* scaled by 10^2 */

    const loyalty_cart_line_t *lines;
    size_t nlines;
    const loyalty_str_t *codes;
    size_t ncodes;
    loyalty_instant_t at;
    bool explain; /* name every candidate that does not apply */
} loyalty_cart_t;

/*
 * What the member brings, as of cart->at: status, segments, groups, orders,
 * points, the wallet, and the uses it shows, behind those given already.
 */
loyalty_status_t loyalty_cart_bring(loyalty_cart_t *cart,
                                    const loyalty_program_t *program,
                                    const loyalty_member_t *member,
                                    loyalty_arena_t *arena);

/* What the site counts of its offers, beside the member's own uses. */
loyalty_status_t loyalty_cart_site_usage(loyalty_cart_t *cart,
                                         const loyalty_usage_t *usage,
                                         size_t n, loyalty_arena_t *arena);

/* The closed list, in the order in which the first that holds is named. */
typedef enum {
    LOYALTY_REJECT_NONE,
    LOYALTY_REJECT_NOT_FOUND,
    LOYALTY_REJECT_NOT_STARTED,
    LOYALTY_REJECT_EXPIRED,
    LOYALTY_REJECT_NOT_PUBLISHED,
    LOYALTY_REJECT_ALREADY_REDEEMED,
    LOYALTY_REJECT_HELD_ELSEWHERE,
    LOYALTY_REJECT_STATUS,
    LOYALTY_REJECT_SEGMENT,
    LOYALTY_REJECT_GROUP,
    LOYALTY_REJECT_ORDER_NUMBER,
    LOYALTY_REJECT_SCOPE_MISMATCH,
    LOYALTY_REJECT_MIN_SPEND,
    LOYALTY_REJECT_MIN_QUANTITY,
    LOYALTY_REJECT_LIMIT_TOTAL,
    LOYALTY_REJECT_LIMIT_PER_MEMBER,
    LOYALTY_REJECT_BUDGET,
    LOYALTY_REJECT_EXCLUDED_BY,
    LOYALTY_REJECT_NOTHING_LEFT,
    LOYALTY_REJECT_INSUFFICIENT_POINTS
} loyalty_reject_t;

const char *loyalty_reject_name(loyalty_reject_t reason);

typedef struct {
    size_t line; /* index into cart->lines */
    int64_t amount;
} loyalty_allocation_t;

typedef struct {
    const loyalty_offer_t *offer;
    loyalty_str_t entry; /* the wallet entry it came from, or empty */
    loyalty_str_t code;  /* the code it came by, or empty */
    bool bearer;         /* a code of the index */
    int64_t amount;
    int64_t reward_points;
    loyalty_allocation_t *allocations; /* those of 0 left out */
    size_t nallocations;
} loyalty_applied_t;

typedef struct {
    loyalty_str_t offer; /* empty for an unknown code */
    loyalty_str_t entry;
    loyalty_str_t code;
    loyalty_reject_t reason;
} loyalty_rejected_t;

typedef struct loyalty_quote_s {
    int64_t subtotal;
    int64_t total_discount;
    int64_t total;
    int64_t *line_discounts; /* cart->nlines of them */
    loyalty_applied_t *applied; /* in order of application */
    size_t napplied;
    loyalty_rejected_t *rejected;
    size_t nrejected;
    int64_t points_to_earn;
} loyalty_quote_t;

/*
 * LOYALTY_ERROR_INVALID: a negative price or quantity; _LIMIT too many lines,
 * units, codes or wallet entries; _OVERFLOW; _MEMORY.
 */
loyalty_status_t loyalty_cart_evaluate(const loyalty_program_t *program,
                                       const loyalty_cart_t *cart,
                                       loyalty_arena_t *arena,
                                       loyalty_quote_t *quote);

#endif
