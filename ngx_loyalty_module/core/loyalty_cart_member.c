/*
 * What a member brings to a cart: who they are at that instant, and the wallet
 * (DOMAIN.md section 7).  What the wallet shows as bought, held or redeemed
 * counts as uses, and so does what the member's list of uses says.
 * A member whose sign-up is not on record signs up with this cart, as its order
 * will say.
 */

#include "loyalty_cart.h"

static loyalty_cart_entry_t
entry_of(const loyalty_entitlement_t *entitlement, loyalty_instant_t at)
{
    return (loyalty_cart_entry_t){
        .id = entitlement->id,
        .offer = entitlement->offer,
        .code = entitlement->code,
        .applied = entitlement->state == LOYALTY_ENTITLEMENT_APPLIED,
        .redeemed = entitlement->state == LOYALTY_ENTITLEMENT_REDEEMED,
        .held = entitlement->held_by.len != 0 && entitlement->held_until > at,
        .reserved = entitlement->bought,
        .uses = entitlement->uses,
        .expires_at = entitlement->expires_at,
    };
}

static loyalty_usage_t *
usage_for(loyalty_usage_t *usage, size_t *n, loyalty_str_t offer)
{
    size_t i;

    for (i = 0; i < *n; i++) {
        if (loyalty_str_eq(usage[i].offer, offer)) {
            return &usage[i];
        }
    }

    usage[*n] = (loyalty_usage_t){.offer = offer};
    return &usage[(*n)++];
}

static loyalty_status_t
bring_wallet(loyalty_cart_t *cart, const loyalty_member_t *member,
             loyalty_arena_t *arena)
{
    const loyalty_entitlement_t *entitlement;
    size_t i, n = member->nentitlements, given = cart->nusage, found = 0;
    loyalty_cart_entry_t *entries;
    loyalty_usage_t *usage;

    entries = loyalty_alloc(arena, n * sizeof(*entries));
    usage = loyalty_alloc(arena,
                          (given + n + member->nuses) * sizeof(*usage));
    if (entries == NULL || usage == NULL) {
        return LOYALTY_ERROR_MEMORY;
    }

    if (given != 0) {
        memcpy(usage, cart->usage, given * sizeof(*usage));
    }

    for (i = 0; i < n; i++) {
        entitlement = &member->entitlements[i];
        entries[i] = entry_of(entitlement, cart->at);
        if (entries[i].redeemed || entries[i].held || entries[i].reserved) {
            usage_for(usage + given, &found, entitlement->offer)->member++;
        }
    }

    for (i = 0; i < member->nuses; i++) {
        usage_for(usage + given, &found, member->uses[i].offer)->member +=
            member->uses[i].uses;
    }

    cart->entries = entries;
    cart->nentries = n;
    cart->usage = usage;
    cart->nusage = given + found;
    return LOYALTY_OK;
}

loyalty_status_t
loyalty_cart_bring(loyalty_cart_t *cart, const loyalty_program_t *program,
                   const loyalty_member_t *member, loyalty_arena_t *arena)
{
    loyalty_activity_t activity;
    loyalty_tier_result_t tier;
    loyalty_balance_t points;

    loyalty_member_tier(member, program, cart->at, &tier);
    loyalty_member_activity(member, &activity);
    if (activity.signed_up_at == LOYALTY_UNKNOWN) {
        activity.signed_up_at = cart->at;
    }
    loyalty_ledger_balance(&member->points, cart->at, &points);

    cart->status = tier.current < 0 ? loyalty_str_null
                                    : program->tiers[tier.current].id;
    cart->multiplier = tier.current < 0
                           ? 100 : program->tiers[tier.current].multiplier;
    cart->segments = loyalty_segments(&program->settings.segments, &activity,
                                      cart->at);
    cart->groups = member->groups;
    cart->ngroups = member->ngroups;
    cart->order_count = member->order_count;
    cart->points = points.active > 0 ? points.active : 0;

    return bring_wallet(cart, member, arena);
}

loyalty_status_t
loyalty_cart_site_usage(loyalty_cart_t *cart, const loyalty_usage_t *usage,
                        size_t n, loyalty_arena_t *arena)
{
    loyalty_usage_t *list, *entry;
    size_t i, found = cart->nusage;

    list = loyalty_alloc(arena, (found + n) * sizeof(*list));
    if (list == NULL) {
        return LOYALTY_ERROR_MEMORY;
    }

    if (found != 0) {
        memcpy(list, cart->usage, found * sizeof(*list));
    }

    for (i = 0; i < n; i++) {
        entry = usage_for(list, &found, usage[i].offer);
        entry->total = usage[i].total;
        entry->spent = usage[i].spent;
    }

    cart->usage = list;
    cart->nusage = found;
    return LOYALTY_OK;
}
