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

typedef enum {
    LOYALTY_CHANNEL_EMAIL = 1,
    LOYALTY_CHANNEL_SMS = 2,
    LOYALTY_CHANNEL_MESSENGER = 4,
    LOYALTY_CHANNEL_LINE = 8
} loyalty_channel_t;

typedef struct {
    loyalty_str_t name;
    loyalty_str_t value;
} loyalty_attribute_t;

/* What one order counts for now; kept for rolling windows and for the n-th
 * order.  Sorted by placed_at, then by order id. */
typedef struct {
    loyalty_str_t order_id;
    loyalty_instant_t placed_at;
    int64_t spend;
    int64_t points;
    bool counts; /* completed and not returned whole */
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
    loyalty_str_t code; /* a coupon's own code */
    loyalty_str_t held_by; /* checkout holding it, or empty */
    loyalty_instant_t held_until;
} loyalty_entitlement_t;

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
    unsigned consent; /* loyalty_channel_t bits */
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

    loyalty_str_t tier; /* status held after the last change, or empty */
    loyalty_instant_t below_since;
    loyalty_str_t manual_tier;
    loyalty_instant_t manual_until;

    loyalty_entitlement_t *entitlements;
    size_t nentitlements;
    loyalty_rule_mark_t *rule_marks;
    size_t nrule_marks;
} loyalty_member_t;

/* A member nobody has seen before: no times, empty ledgers. */
void loyalty_member_init(loyalty_member_t *member, loyalty_str_t id);

/* 1-128 bytes, no control characters. */
loyalty_status_t loyalty_member_id_check(loyalty_str_t id);

/* Bytes in the arena. */
loyalty_status_t loyalty_member_encode(const loyalty_member_t *member,
                                       loyalty_arena_t *arena,
                                       loyalty_str_t *bytes);
loyalty_status_t loyalty_member_decode(loyalty_str_t bytes,
                                       loyalty_arena_t *arena,
                                       loyalty_member_t *member);

/* DESIGN.md "A member reads as": all figures as of `at`; a new reference. */
json_t *loyalty_member_to_json(const loyalty_member_t *member,
                               const loyalty_program_t *program,
                               loyalty_instant_t at);

#endif
