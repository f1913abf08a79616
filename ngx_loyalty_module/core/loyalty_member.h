/*
 * A member's state, and its codec (DOMAIN.md sections 2, 4-6).
 *
 * One Redis value holds all that changes with an order or a grant; decoding
 * refuses anything our encoder never wrote.  A decoded member lives in the
 * caller's arena; strings point into the arena.
 */

#ifndef LOYALTY_MEMBER_H
#define LOYALTY_MEMBER_H

#include <jansson.h>

#include "loyalty_ledger.h"
#include "loyalty_segment.h"
#include "loyalty_tier.h"

typedef struct {
    loyalty_str_t name;
    loyalty_str_t value;
} loyalty_attribute_t;

/* What one order counts for now, kept for rolling windows and for the n-th
 * order; an earned grant is one that does not count as an order.  Sorted by
 * placed_at, then by order id.  The LOYALTY_MEMBER_CONTRIBUTIONS_MAX newest
 * stay; the totals go on counting all. */
typedef struct {
    loyalty_str_t order_id;
    loyalty_instant_t placed_at;
    int64_t spend;
    int64_t points; /* life points */
    bool counts;    /* completed and not returned whole */
} loyalty_contribution_t;

/* An entitlement: an offer in the member's wallet (section 7). */
typedef enum {
    LOYALTY_ENTITLEMENT_OWNED = 1,
    LOYALTY_ENTITLEMENT_APPLIED,
    LOYALTY_ENTITLEMENT_REDEEMED
} loyalty_entitlement_state_t;

typedef struct {
    loyalty_str_t id;
    loyalty_str_t offer;
    loyalty_entitlement_state_t state;
    int32_t stamps; /* punchcard */
    int32_t uses;   /* ready uses of a punchcard */
    loyalty_instant_t acquired_at;
    loyalty_instant_t expires_at;
    loyalty_str_t code;    /* a coupon's own code */
    loyalty_str_t held_by; /* checkout holding it, or empty */
    loyalty_instant_t held_until;
    bool bought; /* its use counted when it was bought */
} loyalty_entitlement_t;

/* Uses of an offer with a limit per member that no reward or coupon in the
 * wallet shows: of promotions, codes and cards, live holds among them. */
typedef struct {
    loyalty_str_t offer;
    int64_t uses;
} loyalty_member_use_t;

/* Marks of reward rules: fired counts, by rule id (section 8). */
typedef struct {
    loyalty_str_t rule;
    int64_t fired; /* how often; a bogo with repeat: the last multiple */
} loyalty_rule_mark_t;

typedef struct {
    loyalty_str_t id;
    int64_t version; /* of this member, + 1 with every change */

    loyalty_str_t email, phone, messenger_id, line_id, name, locale;
    bool registered;
    bool erased;
    unsigned consent;             /* loyalty_channel_t bits */
    loyalty_instant_t deleted_at; /* LOYALTY_UNKNOWN: not deleted */
    loyalty_str_t *clubs, *groups;
    size_t nclubs, ngroups;
    loyalty_attribute_t *attributes;
    size_t nattributes;

    loyalty_instant_t signed_up_at, last_visit_at, previous_visit_at;
    loyalty_instant_t last_order_at;
    int64_t order_count, spent_total;
    loyalty_contribution_t *contributions;
    size_t ncontributions;

    loyalty_ledger_t points, credits;

    loyalty_str_t tier;     /* status held after the last change, or empty */
    loyalty_str_t own_tier; /* the same without the manual floor */
    loyalty_instant_t below_since; /* since when `own_tier` is not reached */
    loyalty_str_t manual_tier;
    loyalty_instant_t manual_until;

    loyalty_entitlement_t *entitlements;
    size_t nentitlements;
    loyalty_member_use_t *uses;
    size_t nuses;
    loyalty_rule_mark_t *rule_marks;
    size_t nrule_marks;
} loyalty_member_t;

/* A member nobody has seen before: no times, empty ledgers, version 0. */
void loyalty_member_init(loyalty_member_t *member, loyalty_str_t id);

/* 1-128 bytes, no control characters. */
loyalty_status_t loyalty_member_id_check(loyalty_str_t id);

/* Bytes in the arena. */
loyalty_status_t loyalty_member_encode(const loyalty_member_t *member,
                                       loyalty_arena_t *arena,
                                       loyalty_str_t *bytes);

/* `bytes` must outlive the member: strings point into them. */
loyalty_status_t loyalty_member_decode(loyalty_str_t bytes,
                                       loyalty_arena_t *arena,
                                       loyalty_member_t *member);

/* A list of texts; a new reference. */
json_t *loyalty_strs_to_json(const loyalty_str_t *list, size_t n);

/* DESIGN.md "A member reads as": all figures as of `at`; a new reference. */
json_t *loyalty_member_to_json(const loyalty_member_t *member,
                               const loyalty_program_t *program,
                               loyalty_instant_t at);

/*
 * For loyalty_order.c: a copy whose ledgers and contributions may be changed,
 * what one order counts for, and the status after a change.
 */
loyalty_status_t loyalty_member_copy(const loyalty_member_t *from,
                                     loyalty_arena_t *arena,
                                     loyalty_member_t *to);

/* Sets, or with all of it 0 removes, the contribution of that order id; the
 * copy has room for one more.  The totals are the caller's. */
void loyalty_member_contribute(loyalty_member_t *member,
                               const loyalty_contribution_t *contribution);
const loyalty_contribution_t *
loyalty_member_contribution(const loyalty_member_t *member,
                            loyalty_str_t order_id);
void loyalty_member_retier(loyalty_member_t *member,
                           const loyalty_program_t *program,
                           loyalty_instant_t at);

/* Where a message of the channel goes; empty: nowhere. */
loyalty_str_t loyalty_member_address(const loyalty_member_t *member,
                                     loyalty_channel_t channel);

/* What segments are computed from. */
void loyalty_member_activity(const loyalty_member_t *member,
                             loyalty_activity_t *activity);

/* Status and progress at `at`; change_at looks at rolling windows, grace,
 * the manual status and segments. */
void loyalty_member_tier(const loyalty_member_t *member,
                         const loyalty_program_t *program, loyalty_instant_t at,
                         loyalty_tier_result_t *result);

/* What changed with a member, for the caller to write down and pass on. */
typedef struct {
    loyalty_str_t sku;
    int64_t units; /* + ordered, - cancelled or returned; never 0 */
} loyalty_product_delta_t;

/* Uses of one offer: so far, or as a change. */
typedef struct {
    loyalty_str_t offer;
    int64_t total;  /* of all members, live holds and bought entries in it */
    int64_t member; /* of this member */
    int64_t spent;  /* money given, against the budget */
} loyalty_usage_t;

/* A coupon code of the site's index. */
typedef struct {
    loyalty_str_t code;
    loyalty_str_t offer;
    loyalty_str_t member;      /* whose it is, or empty: anybody's */
    loyalty_str_t entitlement; /* in that member's wallet */
    loyalty_str_t hold;        /* anybody's: the hold that has it, or empty */
    loyalty_str_t order;       /* the order that used it, or empty */
    bool gone;                 /* not in the index any more */
} loyalty_code_t;

typedef enum {
    LOYALTY_APPLIED = 1,
    LOYALTY_DUPLICATE, /* nothing changed */
    LOYALTY_HELD,      /* kept with the order until its time comes */
    LOYALTY_GUEST      /* counted, left alone */
} loyalty_outcome_t;

/* An offer that an order has used up, or one use of it. */
typedef struct {
    loyalty_str_t offer;
    loyalty_str_t entitlement; /* empty: a code, or a promotion */
    loyalty_str_t order;
} loyalty_redemption_t;

typedef struct {
    loyalty_outcome_t outcome;
    bool member_changed;      /* the member is to be written */
    bool order_changed;       /* the order's record is to be written */
    loyalty_entries_t points; /* new entries of the points ledger */
    loyalty_entries_t credits;
    loyalty_product_delta_t *products; /* each SKU once */
    size_t nproducts;
    int64_t order_delta; /* of order_count and spent_total */
    int64_t spend_delta;
    loyalty_str_t tier_from, tier_to; /* equal: no change */
    loyalty_str_t *dropped; /* refunds held until now that came to more than */
    size_t ndropped;        /* is left: refused now */
    loyalty_usage_t *usage; /* changes of the site's uses, each offer once */
    size_t nusage;
    loyalty_code_t *codes; /* of the index, as they are now */
    size_t ncodes;
    loyalty_redemption_t *redeemed; /* where a webhook wants to know */
    size_t nredeemed;
    const char *refusal;    /* "exists_with_different_total", ... */
} loyalty_effects_t;

/*
 * Functions that change a member: all or nothing, `version` + 1 where
 * anything changed.  `effects` is filled from zero.
 */

/* Points or credits given (amount > 0) or taken (< 0) by staff, a group, an
 * offer or a rule.  Erased members: LOYALTY_ERROR_REFUSED. */
typedef struct {
    bool credits; /* else points */
    int64_t amount;
    loyalty_str_t id;             /* of the grant; the lot's id */
    loyalty_instant_t starts_at;  /* LOYALTY_UNKNOWN: at once */
    loyalty_instant_t expires_at; /* LOYALTY_NEVER */
    bool earned;                  /* counts for life points */
    loyalty_cause_t cause;        /* cause.at: the instant */
    loyalty_spending_t *spending; /* out, for a debit; may be NULL */
} loyalty_grant_t;

loyalty_status_t loyalty_member_grant(loyalty_member_t *member,
                                      const loyalty_program_t *program,
                                      const loyalty_grant_t *grant,
                                      loyalty_arena_t *arena,
                                      loyalty_effects_t *effects);

/* The nightly run: expiries of both ledgers, status in rolling windows, grace
 * and the end of a manual status. */
loyalty_status_t loyalty_member_evaluate(loyalty_member_t *member,
                                         const loyalty_program_t *program,
                                         loyalty_instant_t at,
                                         loyalty_arena_t *arena,
                                         loyalty_effects_t *effects);

/* The first instant after `at` at which time alone changes points, status or
 * segments; LOYALTY_NEVER. */
loyalty_instant_t loyalty_member_change_at(const loyalty_member_t *member,
                                           const loyalty_program_t *program,
                                           loyalty_instant_t at);

/* Records a visit; false where one of the same hour stands already.  Visits
 * may come late and out of order. */
bool loyalty_member_visit(loyalty_member_t *member, loyalty_instant_t at);

#endif
