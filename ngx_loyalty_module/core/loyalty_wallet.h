/*
 * A member's wallet (DOMAIN.md section 7, "Buying, applying, redeeming").
 *
 *            buy, assign        apply            an order
 *   offer ---------------> owned <----> applied ----------> redeemed
 *                                unapply        <----------
 *                                                cancelled
 *
 * An offer's limit_total counts its uses: what orders have used, what live
 * holds keep, and what was bought, from the moment it is paid for; a bought
 * entry is within the limits from then on.  What is merely given is a use when
 * it is used.  A budget counts the discounts of orders and of live holds.
 *
 * Every function changes all or nothing, and says in effects->refusal why it
 * refused: a name of loyalty_reject_t or one of those below.
 */

#ifndef LOYALTY_WALLET_H
#define LOYALTY_WALLET_H

#include "loyalty_member.h"
#include "loyalty_offer.h"

typedef struct {
    loyalty_str_t id; /* of the new entry, 1 to LOYALTY_ID_MAX bytes */
    loyalty_str_t offer;
    loyalty_str_t code;            /* a coupon's own, or empty */
    bool buy;                      /* for its price, by its conditions */
    loyalty_instant_t expires_at;  /* LOYALTY_NEVER: with the offer */
    const loyalty_usage_t *usage;  /* of the site, each offer once */
    size_t nusage;
    loyalty_cause_t cause; /* cause.at: the instant */
} loyalty_acquisition_t;

/*
 * Buying asks for what a cart would ask (published, dates, status, segment,
 * group, limits, what is left of the budget) and for the points; giving asks
 * for nothing but that the offer has not ended.  The same id again:
 * LOYALTY_OK with the outcome LOYALTY_DUPLICATE.  LOYALTY_ERROR_REFUSED,
 * beside those: "not_for_sale" (a card or promotion is bought, a promotion
 * given), "already_owned" (a card), "member_erased", "wallet_full";
 * LOYALTY_ERROR_INSUFFICIENT: "insufficient_points"; LOYALTY_ERROR_NOT_FOUND:
 * "not_found".
 */
loyalty_status_t loyalty_wallet_acquire(loyalty_member_t *member,
                                        const loyalty_program_t *program,
                                        const loyalty_acquisition_t *acquired,
                                        loyalty_arena_t *arena,
                                        loyalty_effects_t *effects);

typedef enum {
    LOYALTY_WALLET_APPLY,
    LOYALTY_WALLET_UNAPPLY,
    LOYALTY_WALLET_REMOVE
} loyalty_wallet_action_t;

/*
 * An entry of the wallet is applied, put back, or taken away (a bought one
 * that nobody used gives its use back, the points are not).  Twice is once.
 * LOYALTY_ERROR_REFUSED: "already_redeemed", "expired", "held_elsewhere",
 * "automatic" (cards are never applied by hand); LOYALTY_ERROR_NOT_FOUND.
 */
loyalty_status_t loyalty_wallet_change(loyalty_member_t *member,
                                       const loyalty_program_t *program,
                                       loyalty_wallet_action_t action,
                                       loyalty_str_t entitlement,
                                       loyalty_instant_t at,
                                       loyalty_arena_t *arena,
                                       loyalty_effects_t *effects);

loyalty_entitlement_t *loyalty_wallet_find(const loyalty_member_t *member,
                                           loyalty_str_t entitlement);

/* Rewards and coupons are used once; cards, promotions and codes count their
 * uses by themselves. */
bool loyalty_wallet_once(const loyalty_offer_t *offer);

/* How often a member has used an offer: what a cart is told as `member`. */
int64_t loyalty_wallet_member_uses(const loyalty_member_t *member,
                                   loyalty_str_t offer, loyalty_instant_t at);

/* The wallet and the list of uses become the member's own, each with room for
 * one more. */
loyalty_status_t loyalty_wallet_own(loyalty_member_t *member,
                                    loyalty_arena_t *arena);

/* Adds to the list of uses, which is the member's own; never below 0.
 * LOYALTY_ERROR_MEMORY. */
loyalty_status_t loyalty_wallet_count(loyalty_member_t *member,
                                      loyalty_str_t offer, int64_t uses,
                                      loyalty_arena_t *arena);

/* Uses of one offer in a list; NULL: none. */
const loyalty_usage_t *loyalty_usage_find(const loyalty_usage_t *usage,
                                          size_t n, loyalty_str_t offer);

/* Adds to the changes of the site's uses, or to the changes of codes. */
loyalty_status_t loyalty_effects_use(loyalty_effects_t *effects,
                                     loyalty_str_t offer, int64_t total,
                                     int64_t spent, loyalty_arena_t *arena);
loyalty_status_t loyalty_effects_code(loyalty_effects_t *effects,
                                      const loyalty_code_t *code,
                                      loyalty_arena_t *arena);

#endif
