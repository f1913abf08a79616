/*
 * What an order does to the wallet (DOMAIN.md section 7): it redeems the
 * entitlements it names and stamps punchcards when it earns; a cancellation
 * undoes both, returning the whole order takes the stamps back.
 *
 * The attempt keeps what it did, entry by entry, so that undoing it is exact
 * whatever the program says by then.  A full card turns into a ready use and
 * the surplus carries on; taking stamps back turns a ready use into stamps
 * again.  Where the use is gone already, the card owes the stamps: `stamps` is
 * below 0 until later orders have filled it up.
 */

#include "loyalty_order_private.h"

#include "loyalty_offer.h"

static loyalty_entitlement_t *
find_entitlement(const loyalty_member_t *member, loyalty_str_t id)
{
    size_t i;

    for (i = 0; i < member->nentitlements; i++) {
        if (loyalty_str_eq(member->entitlements[i].id, id)) {
            return &member->entitlements[i];
        }
    }

    return NULL;
}

/* The member's list becomes the copy's own. */
static loyalty_status_t
own_wallet(loyalty_order_context_t *context)
{
    loyalty_member_t *member = context->member;
    loyalty_entitlement_t *list;

    list = loyalty_copy_array(context->arena, member->entitlements,
                              member->nentitlements, 0, sizeof(*list));
    if (list == NULL) {
        return LOYALTY_ERROR_MEMORY;
    }

    member->entitlements = list;
    context->moved = true;
    return LOYALTY_OK;
}

/* false: it is used up already, and this order has no part in that. */
static bool
redeem(loyalty_entitlement_t *entitlement, const loyalty_offer_t *offer)
{
    if (offer != NULL && offer->type == LOYALTY_OFFER_PUNCHCARD) {
        if (entitlement->uses <= 0) {
            return false;
        }
        entitlement->uses--;

    } else if (offer == NULL || offer->type != LOYALTY_OFFER_CLUBCARD) {
        if (entitlement->state == LOYALTY_ENTITLEMENT_REDEEMED) {
            return false;
        }
        entitlement->state = LOYALTY_ENTITLEMENT_REDEEMED;
    }

    entitlement->held_by = loyalty_str_null;
    entitlement->held_until = LOYALTY_UNKNOWN;
    return true;
}

static void
redeem_named(loyalty_order_context_t *context,
             loyalty_order_attempt_t *attempt)
{
    loyalty_entitlement_t *entitlement;
    const loyalty_offer_t *offer;
    size_t i;

    for (i = 0; i < attempt->nredemptions; i++) {
        entitlement = find_entitlement(context->member,
                                       attempt->redemptions[i]);
        if (entitlement == NULL) {
            continue;
        }

        offer = loyalty_program_offer(context->program, entitlement->offer);
        if (redeem(entitlement, offer)) {
            attempt->uses[attempt->nuses++] = (loyalty_order_use_t){
                .entitlement = entitlement->id, .redeemed = true};
        }
    }
}

/* Stamps for this order: one, or one for each unit that matches. */
static int64_t
stamps_for(const loyalty_order_context_t *context,
           const loyalty_order_attempt_t *attempt,
           const loyalty_offer_t *offer)
{
    const loyalty_order_line_t *line;
    loyalty_str_t category;
    int64_t units = 0;
    size_t i;

    for (i = 0; i < attempt->nlines; i++) {
        line = &attempt->lines[i];
        category = loyalty_program_category(context->program, line->sku,
                                            line->category);
        if (loyalty_scope_covers(&offer->scope, line->sku,
                                 loyalty_sku_hash(line->sku), category)) {
            units += line->quantity;
        }
    }

    if (offer->stamp_per_unit) {
        return units;
    }

    return units > 0
           || (attempt->nlines == 0 && offer->scope.kind == LOYALTY_SCOPE_SITE);
}

static bool
takes_stamps(const loyalty_entitlement_t *entitlement,
             const loyalty_offer_t *offer, loyalty_instant_t at)
{
    return offer != NULL && offer->type == LOYALTY_OFFER_PUNCHCARD
           && entitlement->acquired_at <= at && at < entitlement->expires_at
           && at >= offer->starts_at && at < offer->ends_at;
}

static loyalty_status_t
stamp_cards(loyalty_order_context_t *context, loyalty_order_attempt_t *attempt)
{
    loyalty_member_t *member = context->member;
    loyalty_entitlement_t *entitlement;
    const loyalty_offer_t *offer;
    int64_t given, stamps, uses;
    size_t i;

    for (i = 0; i < member->nentitlements; i++) {
        entitlement = &member->entitlements[i];
        offer = loyalty_program_offer(context->program, entitlement->offer);
        if (!takes_stamps(entitlement, offer, attempt->earned_at)) {
            continue;
        }

        given = stamps_for(context, attempt, offer);
        if (given == 0) {
            continue;
        }

        stamps = entitlement->stamps + given;
        uses = entitlement->uses;
        if (stamps > 0) {
            uses += stamps / offer->stamps_required;
            stamps %= offer->stamps_required;
        }

        if (given > INT32_MAX || uses > INT32_MAX) {
            return LOYALTY_ERROR_OVERFLOW;
        }

        entitlement->stamps = (int32_t)stamps;
        entitlement->uses = (int32_t)uses;
        attempt->uses[attempt->nuses++] = (loyalty_order_use_t){
            .entitlement = entitlement->id, .stamps = (int32_t)given};
    }

    return LOYALTY_OK;
}

loyalty_status_t
loyalty_order_use_wallet(loyalty_order_context_t *context,
                         loyalty_order_attempt_t *attempt)
{
    size_t most = attempt->nredemptions + context->member->nentitlements;
    loyalty_status_t rc;

    attempt->nuses = 0;
    if (context->member->nentitlements == 0) {
        return LOYALTY_OK;
    }

    attempt->uses = loyalty_alloc(context->arena,
                                  most * sizeof(*attempt->uses));
    if (attempt->uses == NULL) {
        return LOYALTY_ERROR_MEMORY;
    }

    rc = own_wallet(context);
    if (rc != LOYALTY_OK) {
        return rc;
    }

    redeem_named(context, attempt);

    return context->program->settings.active ? stamp_cards(context, attempt)
                                             : LOYALTY_OK;
}

static void
take_stamps(loyalty_entitlement_t *entitlement, const loyalty_offer_t *offer,
            int32_t given)
{
    int64_t stamps = (int64_t)entitlement->stamps - given, cards = 0;

    if (stamps < 0 && offer != NULL && offer->stamps_required > 0) {
        cards = (-stamps + offer->stamps_required - 1)
                / offer->stamps_required;
        cards = cards < entitlement->uses ? cards : entitlement->uses;
        stamps += cards * offer->stamps_required;
    }

    entitlement->uses -= (int32_t)cards;
    entitlement->stamps = stamps < INT32_MIN ? INT32_MIN : (int32_t)stamps;
}

static void
restore(loyalty_entitlement_t *entitlement, const loyalty_offer_t *offer)
{
    if (offer != NULL && offer->type == LOYALTY_OFFER_PUNCHCARD) {
        entitlement->uses += entitlement->uses < INT32_MAX;
    } else if (entitlement->state == LOYALTY_ENTITLEMENT_REDEEMED) {
        entitlement->state = LOYALTY_ENTITLEMENT_APPLIED;
    }
}

/* A use comes back before stamps go, so that none is owed that is there. */
loyalty_status_t
loyalty_order_leave_wallet(loyalty_order_context_t *context,
                           loyalty_order_attempt_t *attempt, bool redemptions)
{
    loyalty_entitlement_t *entitlement;
    loyalty_order_use_t *use, *uses;
    const loyalty_offer_t *offer;
    loyalty_status_t rc;
    size_t i, kept = 0;

    if (attempt->nuses == 0) {
        return LOYALTY_OK;
    }

    rc = own_wallet(context);
    uses = loyalty_copy_array(context->arena, attempt->uses, attempt->nuses, 0,
                              sizeof(*uses));
    if (rc != LOYALTY_OK || uses == NULL) {
        return LOYALTY_ERROR_MEMORY;
    }

    for (i = 0; i < attempt->nuses; i++) {
        use = &uses[i];
        if (use->redeemed && !redemptions) {
            uses[kept++] = *use;
            continue;
        }

        entitlement = find_entitlement(context->member, use->entitlement);
        if (entitlement == NULL) {
            continue;
        }

        offer = loyalty_program_offer(context->program, entitlement->offer);
        if (use->redeemed) {
            restore(entitlement, offer);
        } else {
            take_stamps(entitlement, offer, use->stamps);
        }
    }

    attempt->uses = uses;
    attempt->nuses = kept;
    return LOYALTY_OK;
}
