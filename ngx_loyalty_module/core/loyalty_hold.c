/*
 * Taking, renewing and giving back.
 */

#include "loyalty_hold.h"

#include "loyalty_cart.h"
#include "loyalty_wallet.h"

static bool
is_limited(const loyalty_offer_t *offer)
{
    return offer->limit_total != 0 || offer->limit_per_member != 0
           || offer->budget_total != 0;
}

bool
loyalty_hold_is_live(const loyalty_hold_t *hold, loyalty_instant_t at)
{
    return hold->state == LOYALTY_HOLD_HELD && hold->expires_at > at;
}

/* Which counters a use goes into, and what it is. */
static loyalty_hold_use_t
use_of(const loyalty_applied_t *applied, const loyalty_entitlement_t *entry)
{
    const loyalty_offer_t *offer = applied->offer;
    bool once = entry != NULL && loyalty_wallet_once(offer);

    return (loyalty_hold_use_t){
        .offer = offer->id,
        .entitlement = applied->entry,
        .code = applied->bearer ? applied->code : loyalty_str_null,
        .amount = applied->amount,
        .points = applied->reward_points,
        .site = !(once && entry->bought),
        .member = !once && offer->limit_per_member != 0,
        .ready = entry != NULL && offer->type == LOYALTY_OFFER_PUNCHCARD,
    };
}

/* The entry is the hold's: one ready use of a punchcard, a clubcard is not
 * kept from anybody. */
static void
take_entry(const loyalty_hold_t *hold, const loyalty_offer_t *offer,
           loyalty_entitlement_t *entry)
{
    if (loyalty_wallet_once(offer)) {
        entry->held_by = hold->id;
        entry->held_until = hold->expires_at;
    } else if (offer->type == LOYALTY_OFFER_PUNCHCARD) {
        entry->uses--;
    }
}

static loyalty_status_t
take_use(loyalty_hold_t *hold, loyalty_member_t *member,
         const loyalty_applied_t *applied, loyalty_arena_t *arena,
         loyalty_effects_t *effects)
{
    loyalty_hold_use_t *use = &hold->uses[hold->nuses];
    loyalty_entitlement_t *entry = NULL;
    loyalty_status_t rc;

    if (member != NULL && applied->entry.len != 0) {
        entry = loyalty_wallet_find(member, applied->entry);
    }

    if (entry == NULL && applied->code.len == 0
        && !is_limited(applied->offer) && applied->reward_points == 0) {
        return LOYALTY_OK; /* a promotion that nobody counts */
    }

    if (hold->nuses == LOYALTY_HOLD_USES_MAX) {
        return LOYALTY_ERROR_LIMIT;
    }

    *use = use_of(applied, entry);
    hold->nuses++;

    if (entry != NULL) {
        take_entry(hold, applied->offer, entry);
    } else if (applied->entry.len == 0 && !applied->bearer) {
        hold->price += applied->code.len != 0 ? applied->offer->loyalty_price
                                              : 0;
    }

    rc = loyalty_effects_use(effects, use->offer, use->site, use->amount,
                             arena);
    if (rc == LOYALTY_OK && use->member && member != NULL) {
        rc = loyalty_wallet_count(member, use->offer, 1, arena);
    }
    if (rc == LOYALTY_OK && use->code.len != 0) {
        rc = loyalty_effects_code(effects,
                                  &(loyalty_code_t){.code = use->code,
                                                    .offer = use->offer,
                                                    .hold = hold->id},
                                  arena);
    }
    return rc;
}

static loyalty_status_t
set_aside(const loyalty_hold_t *hold, loyalty_ledger_t *ledger, int64_t amount,
          loyalty_instant_t at, const char *refusal, loyalty_arena_t *arena,
          loyalty_entries_t *entries, loyalty_spending_t *spending,
          loyalty_effects_t *effects)
{
    loyalty_cause_t cause = {.at = at,
                             .order = hold->id,
                             .by = loyalty_str("shopper"),
                             .reason = loyalty_str("held")};
    loyalty_status_t rc;

    if (amount == 0) {
        return LOYALTY_OK;
    }

    rc = loyalty_ledger_debit(ledger, amount, &cause, arena, entries, spending);
    if (rc == LOYALTY_ERROR_INSUFFICIENT) {
        *effects = (loyalty_effects_t){.refusal = refusal};
    }
    return rc;
}

/* Does the hold keep anything that stands in the member's record? */
static bool
is_on_record(const loyalty_hold_t *hold)
{
    size_t i;

    for (i = 0; i < hold->nuses; i++) {
        if (hold->uses[i].member || hold->uses[i].entitlement.len != 0) {
            return true;
        }
    }

    return hold->points.amount != 0 || hold->credits.amount != 0;
}

static void
finish(const loyalty_hold_t *hold, loyalty_member_t *member,
       loyalty_member_t *changed, loyalty_effects_t *effects)
{
    effects->outcome = LOYALTY_APPLIED;

    if (member != NULL && is_on_record(hold)) {
        changed->version++;
        effects->member_changed = true;
        effects->tier_from = member->tier;
        effects->tier_to = member->tier;
        *member = *changed;
    }
}

/* A copy to change; of nobody for a guest. */
static loyalty_status_t
copy_member(const loyalty_member_t *member, loyalty_arena_t *arena,
            loyalty_member_t *changed)
{
    loyalty_status_t rc;

    if (member == NULL) {
        return LOYALTY_OK;
    }

    rc = loyalty_member_copy(member, arena, changed);
    return rc == LOYALTY_OK ? loyalty_wallet_own(changed, arena) : rc;
}

loyalty_status_t
loyalty_hold_take(loyalty_hold_t *hold, loyalty_member_t *member,
                  const struct loyalty_quote_s *quote, int64_t credits,
                  loyalty_arena_t *arena, loyalty_effects_t *effects)
{
    loyalty_instant_t at = hold->created_at;
    loyalty_member_t changed = {0};
    loyalty_hold_t taken = *hold;
    loyalty_status_t rc;
    size_t i;

    *effects = (loyalty_effects_t){0};

    taken.state = LOYALTY_HOLD_HELD;
    taken.uses = loyalty_alloc(arena, quote->napplied * sizeof(*taken.uses));
    taken.nuses = 0;
    taken.price = 0;
    taken.points = taken.credits = (loyalty_spending_t){0};
    if (taken.uses == NULL) {
        return LOYALTY_ERROR_MEMORY;
    }

    rc = copy_member(member, arena, &changed);
    for (i = 0; rc == LOYALTY_OK && i < quote->napplied; i++) {
        rc = take_use(&taken, member != NULL ? &changed : NULL,
                      &quote->applied[i], arena, effects);
    }

    if (rc == LOYALTY_OK && member == NULL
        && (credits != 0 || taken.price != 0)) {
        *effects = (loyalty_effects_t){
            .refusal = credits != 0 ? "insufficient_credits"
                                    : "insufficient_points"};
        return LOYALTY_ERROR_INSUFFICIENT;
    }

    if (rc != LOYALTY_OK
        || (rc = set_aside(&taken, &changed.points, taken.price, at,
                           "insufficient_points", arena, &effects->points,
                           &taken.points, effects))
               != LOYALTY_OK
        || (rc = set_aside(&taken, &changed.credits, credits, at,
                           "insufficient_credits", arena, &effects->credits,
                           &taken.credits, effects))
               != LOYALTY_OK) {
        return rc;
    }

    *hold = taken;
    finish(hold, member, &changed, effects);
    return LOYALTY_OK;
}

loyalty_status_t
loyalty_hold_give_back(loyalty_str_t id, const loyalty_hold_use_t *use,
                       loyalty_member_t *member, loyalty_arena_t *arena,
                       loyalty_effects_t *effects)
{
    loyalty_entitlement_t *entry = NULL;
    loyalty_status_t rc;

    if (member != NULL && use->entitlement.len != 0) {
        entry = loyalty_wallet_find(member, use->entitlement);
    }

    if (entry != NULL && id.len != 0 && loyalty_str_eq(entry->held_by, id)) {
        entry->held_by = loyalty_str_null;
        entry->held_until = LOYALTY_UNKNOWN;
    } else if (entry != NULL && use->ready) {
        entry->uses += entry->uses < INT32_MAX;
    }

    rc = loyalty_effects_use(effects, use->offer, -(int64_t)use->site,
                             -use->amount, arena);
    if (rc == LOYALTY_OK && use->member && member != NULL) {
        rc = loyalty_wallet_count(member, use->offer, -1, arena);
    }
    if (rc == LOYALTY_OK && use->code.len != 0) {
        rc = loyalty_effects_code(effects,
                                  &(loyalty_code_t){.code = use->code,
                                                    .offer = use->offer},
                                  arena);
    }
    return rc;
}

loyalty_status_t
loyalty_hold_release(loyalty_hold_t *hold, loyalty_member_t *member,
                     loyalty_instant_t at, loyalty_str_t reason,
                     loyalty_arena_t *arena, loyalty_effects_t *effects)
{
    loyalty_cause_t cause = {.at = at,
                             .order = hold->id,
                             .by = loyalty_str("system"),
                             .reason = reason};
    loyalty_member_t changed = {0};
    loyalty_status_t rc;
    size_t i;

    *effects = (loyalty_effects_t){.outcome = LOYALTY_DUPLICATE};
    if (hold->state != LOYALTY_HOLD_HELD) {
        return LOYALTY_OK;
    }

    rc = copy_member(member, arena, &changed);
    for (i = 0; rc == LOYALTY_OK && i < hold->nuses; i++) {
        rc = loyalty_hold_give_back(hold->id, &hold->uses[i],
                                    member != NULL ? &changed : NULL, arena,
                                    effects);
    }

    if (rc == LOYALTY_OK && member != NULL && hold->points.amount != 0) {
        rc = loyalty_ledger_restore(&changed.points, &hold->points, &cause,
                                    arena, &effects->points);
    }
    if (rc == LOYALTY_OK && member != NULL && hold->credits.amount != 0) {
        rc = loyalty_ledger_restore(&changed.credits, &hold->credits, &cause,
                                    arena, &effects->credits);
    }

    if (rc == LOYALTY_OK) {
        hold->state = LOYALTY_HOLD_RELEASED;
        hold->quote = loyalty_str_null;
        finish(hold, member, &changed, effects);
    }
    return rc;
}

loyalty_status_t
loyalty_hold_renew(loyalty_hold_t *hold, loyalty_member_t *member,
                   loyalty_instant_t expires_at, loyalty_arena_t *arena,
                   loyalty_effects_t *effects)
{
    loyalty_entitlement_t *entry;
    loyalty_member_t changed = {0};
    bool moved = false;
    loyalty_status_t rc;
    size_t i;

    *effects = (loyalty_effects_t){.outcome = LOYALTY_APPLIED};

    rc = copy_member(member, arena, &changed);
    if (rc != LOYALTY_OK) {
        return rc;
    }

    for (i = 0; member != NULL && i < changed.nentitlements; i++) {
        entry = &changed.entitlements[i];
        if (loyalty_str_eq(entry->held_by, hold->id)) {
            entry->held_until = expires_at;
            moved = true;
        }
    }

    hold->expires_at = expires_at;
    if (moved) {
        finish(hold, member, &changed, effects);
    }
    return LOYALTY_OK;
}
