/*
 * Holds: what a checkout is going to use, kept for it (DOMAIN.md section 7).
 *
 *                  again                an order names it
 *   quote --take--> HELD ------------------------------> ORDERED
 *                    |                                      ^
 *                    +--release, time is up--> RELEASED ----+ what is still
 *                                                             free
 *
 * A hold keeps entries of the wallet, codes, uses of offers with limits,
 * budget, and points and credits that are to pay.  All of that counts as used
 * from the moment it is held: two checkouts at once can never pass a limit or
 * have the same entry.  Time alone gives nothing back; whoever looks after
 * holds releases those that are over.  Until then, and even after its time, an
 * order that names the hold has all of it; after the release, what nobody else
 * has taken meanwhile, since what a shop has sold is sold.
 */

#ifndef LOYALTY_HOLD_H
#define LOYALTY_HOLD_H

#include "loyalty_member.h"

typedef enum {
    LOYALTY_HOLD_HELD = 1,
    LOYALTY_HOLD_ORDERED,
    LOYALTY_HOLD_RELEASED
} loyalty_hold_state_t;

typedef struct {
    loyalty_str_t offer;
    loyalty_str_t entitlement; /* empty: a promotion or a code */
    loyalty_str_t code;        /* anybody's, out of the index; or empty */
    int64_t amount;            /* the discount, against the budget */
    int64_t points;            /* reward points, earned with the order */
    bool site;   /* counted in the uses of the site */
    bool member; /* counted in the member's list of uses */
    bool ready;  /* took a ready use of a punchcard */
} loyalty_hold_use_t;

typedef struct {
    loyalty_str_t id;     /* the checkout's; of an order's redemptions */
    loyalty_str_t member; /* empty: a guest's */
    loyalty_str_t order;  /* that has it, or empty */
    loyalty_hold_state_t state;
    loyalty_instant_t created_at;
    loyalty_instant_t expires_at;
    loyalty_hold_use_t *uses;
    size_t nuses;
    loyalty_spending_t points, credits; /* set aside; amount 0: none */
    int64_t price; /* points that codes cost */
    uint64_t print; /* of the cart it was taken for */
    loyalty_str_t quote; /* what the checkout was told, as JSON; while held */
} loyalty_hold_t;

/* Held, and its time not up. */
bool loyalty_hold_is_live(const loyalty_hold_t *hold, loyalty_instant_t at);

/* `bytes` must outlive the hold: strings point into them. */
loyalty_status_t loyalty_hold_encode(const loyalty_hold_t *hold,
                                     loyalty_arena_t *arena,
                                     loyalty_str_t *bytes);
loyalty_status_t loyalty_hold_decode(loyalty_str_t bytes,
                                     loyalty_arena_t *arena,
                                     loyalty_hold_t *hold);

/* What a quote applied, as loyalty_cart_evaluate() has it. */
struct loyalty_quote_s;

/*
 * Takes what `quote` applied, and `credits` of store credit.  hold->id, times,
 * print and quote are the caller's; `member` is NULL for a guest.  The quote
 * must have been evaluated on this very state, under the same WATCH.  Where
 * the hold has nothing of the member's record, effects->member_changed is
 * false and the member stays as it was: one that is not on record stays off.
 * LOYALTY_ERROR_INSUFFICIENT: "insufficient_credits", "insufficient_points".
 */
loyalty_status_t loyalty_hold_take(loyalty_hold_t *hold,
                                   loyalty_member_t *member,
                                   const struct loyalty_quote_s *quote,
                                   int64_t credits, loyalty_arena_t *arena,
                                   loyalty_effects_t *effects);

/* Gives back what the hold has; one that has nothing any more stays as it is,
 * with the outcome LOYALTY_DUPLICATE. */
loyalty_status_t loyalty_hold_release(loyalty_hold_t *hold,
                                      loyalty_member_t *member,
                                      loyalty_instant_t at,
                                      loyalty_str_t reason,
                                      loyalty_arena_t *arena,
                                      loyalty_effects_t *effects);

/* One use of hold `id` given back: the entry that is still held by it, the
 * counters, the code.  `member`, or NULL, has a wallet of its own. */
loyalty_status_t loyalty_hold_give_back(loyalty_str_t id,
                                        const loyalty_hold_use_t *use,
                                        loyalty_member_t *member,
                                        loyalty_arena_t *arena,
                                        loyalty_effects_t *effects);

/* The same for another moment: both the hold and the entries it has. */
loyalty_status_t loyalty_hold_renew(loyalty_hold_t *hold,
                                    loyalty_member_t *member,
                                    loyalty_instant_t expires_at,
                                    loyalty_arena_t *arena,
                                    loyalty_effects_t *effects);

#endif
