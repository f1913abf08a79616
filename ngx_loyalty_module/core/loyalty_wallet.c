/*
 * Buying, giving, applying and taking away; who counts which use.
 */

#include "loyalty_wallet.h"

#include "loyalty_cart.h"

loyalty_entitlement_t *
loyalty_wallet_find(const loyalty_member_t *member, loyalty_str_t entitlement)
{
    size_t i;

    for (i = 0; i < member->nentitlements; i++) {
        if (loyalty_str_eq(member->entitlements[i].id, entitlement)) {
            return &member->entitlements[i];
        }
    }

    return NULL;
}

bool
loyalty_wallet_once(const loyalty_offer_t *offer)
{
    return offer == NULL || offer->type == LOYALTY_OFFER_REWARD
           || offer->type == LOYALTY_OFFER_COUPON;
}

static bool
is_held(const loyalty_entitlement_t *entitlement, loyalty_instant_t at)
{
    return entitlement->held_by.len != 0 && entitlement->held_until > at;
}

/* Bought, held or redeemed: within the limit per member. */
static bool
counts(const loyalty_entitlement_t *entitlement, loyalty_instant_t at)
{
    return entitlement->bought
           || entitlement->state == LOYALTY_ENTITLEMENT_REDEEMED
           || is_held(entitlement, at);
}

int64_t
loyalty_wallet_member_uses(const loyalty_member_t *member, loyalty_str_t offer,
                           loyalty_instant_t at)
{
    int64_t uses = 0;
    size_t i;

    for (i = 0; i < member->nentitlements; i++) {
        uses += loyalty_str_eq(member->entitlements[i].offer, offer)
                && counts(&member->entitlements[i], at);
    }

    for (i = 0; i < member->nuses; i++) {
        if (loyalty_str_eq(member->uses[i].offer, offer)) {
            uses += member->uses[i].uses;
        }
    }

    return uses;
}

/* A copy with room for one more. */
static void *
own(loyalty_arena_t *arena, const void *from, size_t n, size_t size)
{
    void *list = loyalty_alloc(arena, (n + 1) * size);

    if (list != NULL && n != 0) {
        memcpy(list, from, n * size);
    }
    return list;
}

loyalty_status_t
loyalty_wallet_own(loyalty_member_t *member, loyalty_arena_t *arena)
{
    loyalty_entitlement_t *entitlements;
    loyalty_member_use_t *uses;

    entitlements = own(arena, member->entitlements, member->nentitlements,
                       sizeof(*entitlements));
    uses = own(arena, member->uses, member->nuses, sizeof(*uses));
    if (entitlements == NULL || uses == NULL) {
        return LOYALTY_ERROR_MEMORY;
    }

    member->entitlements = entitlements;
    member->uses = uses;
    return LOYALTY_OK;
}

loyalty_status_t
loyalty_wallet_count(loyalty_member_t *member, loyalty_str_t offer,
                     int64_t uses, loyalty_arena_t *arena)
{
    loyalty_member_use_t *list = member->uses;
    size_t i;

    for (i = 0; i < member->nuses; i++) {
        if (!loyalty_str_eq(list[i].offer, offer)) {
            continue;
        }

        list[i].uses += uses;
        if (list[i].uses <= 0) {
            list[i] = list[--member->nuses];
        }
        return LOYALTY_OK;
    }

    if (uses <= 0 || member->nuses >= LOYALTY_PROGRAM_OFFERS_MAX) {
        return LOYALTY_OK;
    }

    list = own(arena, list, member->nuses, sizeof(*list));
    if (list == NULL) {
        return LOYALTY_ERROR_MEMORY;
    }

    list[member->nuses++] = (loyalty_member_use_t){offer, uses};
    member->uses = list;
    return LOYALTY_OK;
}

const loyalty_usage_t *
loyalty_usage_find(const loyalty_usage_t *usage, size_t n, loyalty_str_t offer)
{
    size_t i;

    for (i = 0; i < n; i++) {
        if (loyalty_str_eq(usage[i].offer, offer)) {
            return &usage[i];
        }
    }

    return NULL;
}

loyalty_status_t
loyalty_effects_use(loyalty_effects_t *effects, loyalty_str_t offer,
                    int64_t total, int64_t spent, loyalty_arena_t *arena)
{
    loyalty_usage_t *list = effects->usage;
    size_t i;

    for (i = 0; i < effects->nusage; i++) {
        if (loyalty_str_eq(list[i].offer, offer)) {
            list[i].total += total;
            list[i].spent += spent;
            return LOYALTY_OK;
        }
    }

    list = own(arena, list, effects->nusage, sizeof(*list));
    if (list == NULL) {
        return LOYALTY_ERROR_MEMORY;
    }

    list[effects->nusage++] =
        (loyalty_usage_t){.offer = offer, .total = total, .spent = spent};
    effects->usage = list;
    return LOYALTY_OK;
}

loyalty_status_t
loyalty_effects_code(loyalty_effects_t *effects, const loyalty_code_t *code,
                     loyalty_arena_t *arena)
{
    loyalty_code_t *list;

    list = own(arena, effects->codes, effects->ncodes, sizeof(*list));
    if (list == NULL) {
        return LOYALTY_ERROR_MEMORY;
    }

    list[effects->ncodes++] = *code;
    effects->codes = list;
    return LOYALTY_OK;
}

static loyalty_status_t
refuse(loyalty_effects_t *effects, loyalty_status_t status, const char *reason)
{
    *effects = (loyalty_effects_t){.refusal = reason};
    return status;
}

static loyalty_status_t
refuse_reason(loyalty_effects_t *effects, loyalty_reject_t reason)
{
    return refuse(effects,
                  reason == LOYALTY_REJECT_NOT_FOUND ? LOYALTY_ERROR_NOT_FOUND
                  : reason == LOYALTY_REJECT_INSUFFICIENT_POINTS
                      ? LOYALTY_ERROR_INSUFFICIENT
                      : LOYALTY_ERROR_REFUSED,
                  loyalty_reject_name(reason));
}

static void
finish(loyalty_member_t *member, loyalty_member_t *changed,
       loyalty_effects_t *effects)
{
    changed->version++;
    effects->outcome = LOYALTY_APPLIED;
    effects->member_changed = true;
    effects->tier_from = member->tier;
    effects->tier_to = member->tier;
    *member = *changed;
}

/* Buying */

/* In the order of the closed list, as a cart has it. */
static loyalty_reject_t
conditions(const loyalty_member_t *member, const loyalty_program_t *program,
           const loyalty_offer_t *offer, loyalty_instant_t at)
{
    loyalty_activity_t activity;
    loyalty_tier_result_t tier;
    loyalty_str_t status = loyalty_str_null;

    if (at < offer->starts_at) {
        return LOYALTY_REJECT_NOT_STARTED;
    }

    if (at >= offer->ends_at) {
        return LOYALTY_REJECT_EXPIRED;
    }

    if (!offer->published) {
        return LOYALTY_REJECT_NOT_PUBLISHED;
    }

    loyalty_member_tier(member, program, at, &tier);
    if (tier.current >= 0) {
        status = program->tiers[tier.current].id;
    }

    if (offer->nstatuses != 0
        && !loyalty_str_listed(offer->statuses, offer->nstatuses, status)) {
        return LOYALTY_REJECT_STATUS;
    }

    loyalty_member_activity(member, &activity);
    if (offer->segments != 0
        && (offer->segments
            & loyalty_segments(&program->settings.segments, &activity, at))
               == 0) {
        return LOYALTY_REJECT_SEGMENT;
    }

    if (offer->ngroups != 0
        && !loyalty_str_any_listed(offer->groups, offer->ngroups,
                                   member->groups, member->ngroups)) {
        return LOYALTY_REJECT_GROUP;
    }

    return LOYALTY_REJECT_NONE;
}

static loyalty_reject_t
limits(const loyalty_member_t *member, const loyalty_offer_t *offer,
       const loyalty_acquisition_t *acquired)
{
    const loyalty_usage_t *usage =
        loyalty_usage_find(acquired->usage, acquired->nusage, offer->id);

    if (offer->limit_total != 0 && usage != NULL
        && usage->total >= offer->limit_total) {
        return LOYALTY_REJECT_LIMIT_TOTAL;
    }

    if (offer->limit_per_member != 0
        && loyalty_wallet_member_uses(member, offer->id, acquired->cause.at)
               >= offer->limit_per_member) {
        return LOYALTY_REJECT_LIMIT_PER_MEMBER;
    }

    return offer->budget_total != 0 && usage != NULL
                   && usage->spent >= offer->budget_total
               ? LOYALTY_REJECT_BUDGET
               : LOYALTY_REJECT_NONE;
}

static bool
is_over(const loyalty_entitlement_t *entitlement, loyalty_instant_t at)
{
    return entitlement->state == LOYALTY_ENTITLEMENT_REDEEMED
           || (entitlement->expires_at <= at && !is_held(entitlement, at));
}

/* A card stays, so that a second one would count everything twice. */
static bool
has_card(const loyalty_member_t *member, const loyalty_offer_t *offer,
         loyalty_instant_t at)
{
    size_t i;

    for (i = 0; i < member->nentitlements && !loyalty_wallet_once(offer);
         i++) {
        if (loyalty_str_eq(member->entitlements[i].offer, offer->id)
            && !is_over(&member->entitlements[i], at)) {
            return true;
        }
    }

    return false;
}

static loyalty_status_t
may_have(const loyalty_member_t *member, const loyalty_program_t *program,
         const loyalty_offer_t *offer, const loyalty_acquisition_t *acquired,
         loyalty_effects_t *effects)
{
    loyalty_reject_t reason;

    if (offer == NULL) {
        return refuse_reason(effects, LOYALTY_REJECT_NOT_FOUND);
    }

    if (member->erased
        || (acquired->buy && member->deleted_at != LOYALTY_UNKNOWN)) {
        return refuse(effects, LOYALTY_ERROR_REFUSED, "member_erased");
    }

    if (offer->type == LOYALTY_OFFER_PROMOTION
        || (acquired->buy && !loyalty_wallet_once(offer))) {
        return refuse(effects, LOYALTY_ERROR_REFUSED, "not_for_sale");
    }

    if (has_card(member, offer, acquired->cause.at)) {
        return refuse(effects, LOYALTY_ERROR_REFUSED, "already_owned");
    }

    if (!acquired->buy) {
        return acquired->cause.at >= offer->ends_at
                   ? refuse_reason(effects, LOYALTY_REJECT_EXPIRED)
                   : LOYALTY_OK;
    }

    reason = conditions(member, program, offer, acquired->cause.at);
    if (reason == LOYALTY_REJECT_NONE) {
        reason = limits(member, offer, acquired);
    }

    return reason == LOYALTY_REJECT_NONE ? LOYALTY_OK
                                         : refuse_reason(effects, reason);
}

/* The oldest entry that is over goes; its use goes on counting. */
static loyalty_status_t
make_room(loyalty_member_t *member, loyalty_instant_t at,
          loyalty_arena_t *arena, loyalty_effects_t *effects)
{
    loyalty_entitlement_t *list = member->entitlements;
    loyalty_status_t rc = LOYALTY_OK;
    size_t i, oldest = member->nentitlements;

    if (member->nentitlements < LOYALTY_ENTITLEMENTS_MAX) {
        return LOYALTY_OK;
    }

    for (i = 0; i < member->nentitlements; i++) {
        if (is_over(&list[i], at)
            && (oldest == member->nentitlements
                || list[i].acquired_at < list[oldest].acquired_at)) {
            oldest = i;
        }
    }

    if (oldest == member->nentitlements) {
        return refuse(effects, LOYALTY_ERROR_REFUSED, "wallet_full");
    }

    if (counts(&list[oldest], at)) {
        rc = loyalty_wallet_count(member, list[oldest].offer, 1, arena);
    }

    member->nentitlements--;
    memmove(&list[oldest], &list[oldest + 1],
            (member->nentitlements - oldest) * sizeof(*list));
    return rc;
}

static loyalty_status_t
pay(loyalty_member_t *member, const loyalty_offer_t *offer,
    const loyalty_acquisition_t *acquired, loyalty_arena_t *arena,
    loyalty_effects_t *effects)
{
    loyalty_cause_t cause = acquired->cause;
    loyalty_status_t rc;

    cause.offer = offer->id;
    if (cause.reason.len == 0) {
        cause.reason = loyalty_str("bought");
    }

    if (offer->loyalty_price > 0) {
        rc = loyalty_ledger_debit(&member->points, offer->loyalty_price,
                                  &cause, arena, &effects->points, NULL);
        if (rc == LOYALTY_ERROR_INSUFFICIENT) {
            return refuse_reason(effects, LOYALTY_REJECT_INSUFFICIENT_POINTS);
        }
        if (rc != LOYALTY_OK) {
            return rc;
        }
    }

    return loyalty_effects_use(effects, offer->id, 1, 0, arena);
}

loyalty_status_t
loyalty_wallet_acquire(loyalty_member_t *member,
                       const loyalty_program_t *program,
                       const loyalty_acquisition_t *acquired,
                       loyalty_arena_t *arena, loyalty_effects_t *effects)
{
    const loyalty_offer_t *offer =
        loyalty_program_offer(program, acquired->offer);
    const loyalty_entitlement_t *found;
    loyalty_instant_t at = acquired->cause.at;
    loyalty_entitlement_t *entitlement;
    loyalty_member_t changed;
    loyalty_status_t rc;

    *effects = (loyalty_effects_t){0};

    if (acquired->id.len == 0 || acquired->id.len > LOYALTY_ID_MAX) {
        return LOYALTY_ERROR_INVALID;
    }

    found = loyalty_wallet_find(member, acquired->id);
    if (found != NULL) {
        effects->outcome = LOYALTY_DUPLICATE;
        return loyalty_str_eq(found->offer, acquired->offer)
                   ? LOYALTY_OK
                   : refuse(effects, LOYALTY_ERROR_CONFLICT,
                            "exists_with_different_offer");
    }

    if ((rc = may_have(member, program, offer, acquired, effects))
            != LOYALTY_OK
        || (rc = loyalty_member_copy(member, arena, &changed)) != LOYALTY_OK
        || (rc = loyalty_wallet_own(&changed, arena)) != LOYALTY_OK
        || (rc = make_room(&changed, at, arena, effects)) != LOYALTY_OK
        || (acquired->buy
            && (rc = pay(&changed, offer, acquired, arena, effects))
                   != LOYALTY_OK)) {
        return rc;
    }

    entitlement = &changed.entitlements[changed.nentitlements++];
    *entitlement = (loyalty_entitlement_t){
        .id = acquired->id,
        .offer = offer->id,
        .state = LOYALTY_ENTITLEMENT_OWNED,
        .acquired_at = at,
        .expires_at = acquired->expires_at < offer->ends_at
                          ? acquired->expires_at
                          : offer->ends_at,
        .code = acquired->code,
        .held_until = LOYALTY_UNKNOWN,
        .bought = acquired->buy,
    };

    if (acquired->code.len != 0) {
        rc = loyalty_effects_code(effects,
                                  &(loyalty_code_t){.code = acquired->code,
                                                    .offer = offer->id,
                                                    .member = member->id,
                                                    .entitlement =
                                                        acquired->id},
                                  arena);
        if (rc != LOYALTY_OK) {
            return rc;
        }
    }

    finish(member, &changed, effects);
    return LOYALTY_OK;
}

/* Changing an entry */

static const char *
may_change(const loyalty_entitlement_t *entitlement,
           const loyalty_offer_t *offer, loyalty_wallet_action_t action,
           loyalty_instant_t at)
{
    if (is_held(entitlement, at)) {
        return "held_elsewhere";
    }

    if (action == LOYALTY_WALLET_REMOVE) {
        return NULL;
    }

    return !loyalty_wallet_once(offer) ? "automatic"
           : entitlement->state == LOYALTY_ENTITLEMENT_REDEEMED
               ? "already_redeemed"
           : entitlement->expires_at <= at ? "expired"
                                           : NULL;
}

static loyalty_status_t
take_away(loyalty_member_t *member, size_t i, loyalty_arena_t *arena,
          loyalty_effects_t *effects)
{
    loyalty_entitlement_t *list = member->entitlements, taken = list[i];
    loyalty_status_t rc = LOYALTY_OK;

    member->nentitlements--;
    memmove(&list[i], &list[i + 1],
            (member->nentitlements - i) * sizeof(*list));

    if (taken.state == LOYALTY_ENTITLEMENT_REDEEMED) {
        rc = loyalty_wallet_count(member, taken.offer, 1, arena);
    } else if (taken.bought) {
        rc = loyalty_effects_use(effects, taken.offer, -1, 0, arena);
    }

    if (rc == LOYALTY_OK && taken.code.len != 0) {
        rc = loyalty_effects_code(effects,
                                  &(loyalty_code_t){.code = taken.code,
                                                    .offer = taken.offer,
                                                    .gone = true},
                                  arena);
    }
    return rc;
}

loyalty_status_t
loyalty_wallet_change(loyalty_member_t *member,
                      const loyalty_program_t *program,
                      loyalty_wallet_action_t action, loyalty_str_t entitlement,
                      loyalty_instant_t at, loyalty_arena_t *arena,
                      loyalty_effects_t *effects)
{
    const loyalty_entitlement_t *found =
        loyalty_wallet_find(member, entitlement);
    loyalty_entitlement_state_t state =
        action == LOYALTY_WALLET_APPLY ? LOYALTY_ENTITLEMENT_APPLIED
                                       : LOYALTY_ENTITLEMENT_OWNED;
    loyalty_member_t changed = *member;
    const char *refusal;
    loyalty_status_t rc;
    size_t i;

    *effects = (loyalty_effects_t){0};

    if (found == NULL) {
        return refuse_reason(effects, LOYALTY_REJECT_NOT_FOUND);
    }

    refusal = may_change(found, loyalty_program_offer(program, found->offer),
                         action, at);
    if (refusal != NULL) {
        return refuse(effects, LOYALTY_ERROR_REFUSED, refusal);
    }

    if (action != LOYALTY_WALLET_REMOVE && found->state == state) {
        effects->outcome = LOYALTY_DUPLICATE;
        return LOYALTY_OK;
    }

    i = (size_t)(found - member->entitlements);
    rc = loyalty_wallet_own(&changed, arena);
    if (rc == LOYALTY_OK && action == LOYALTY_WALLET_REMOVE) {
        rc = take_away(&changed, i, arena, effects);
    } else if (rc == LOYALTY_OK) {
        changed.entitlements[i].state = state;
    }

    if (rc == LOYALTY_OK) {
        finish(member, &changed, effects);
    }
    return rc;
}
