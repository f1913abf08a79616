/*
 * What an order does to the wallet (DOMAIN.md section 7): it redeems the
 * entries and holds it names and stamps punchcards when it earns; a
 * cancellation undoes both, returning the whole order takes the stamps back.
 *
 * The attempt keeps what it did, entry by entry, so that undoing it is exact
 * whatever the program says by then.  A full card turns into a ready use and
 * the surplus carries on; taking stamps back turns a ready use into stamps
 * again.  Where the use is gone already, the card owes the stamps: `stamps` is
 * below 0 until later orders have filled it up.
 */

#include "loyalty_order_private.h"

#include "loyalty_money.h"
#include "loyalty_wallet.h"

/* The member's wallet becomes the copy's own. */
static loyalty_status_t
own_wallet(loyalty_order_context_t *context)
{
    if (context->member == NULL) {
        return LOYALTY_OK;
    }

    context->moved = true;
    return loyalty_wallet_own(context->member, context->arena);
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

/* An entry named by its own id: what it counts for. */
static loyalty_hold_use_t
use_of(const loyalty_entitlement_t *entitlement, const loyalty_offer_t *offer)
{
    bool once = loyalty_wallet_once(offer);

    return (loyalty_hold_use_t){
        .offer = offer == NULL ? loyalty_str_null : offer->id,
        .entitlement = entitlement->id,
        .points = offer == NULL ? 0 : offer->reward_points,
        .site = !(once && entitlement->bought),
        .member = !once && offer->limit_per_member != 0,
        .ready = offer != NULL && offer->type == LOYALTY_OFFER_PUNCHCARD,
    };
}

static loyalty_status_t
redeem_named(loyalty_order_context_t *context,
             loyalty_order_attempt_t *attempt)
{
    loyalty_member_t *member = context->member;
    loyalty_entitlement_t *entitlement;
    const loyalty_offer_t *offer;
    loyalty_hold_use_t used;
    loyalty_status_t rc;
    size_t i;

    for (i = 0; i < attempt->nredemptions; i++) {
        entitlement = loyalty_wallet_find(member, attempt->redemptions[i]);
        if (entitlement == NULL) {
            continue;
        }

        offer = loyalty_program_offer(context->program, entitlement->offer);
        if (!redeem(entitlement, offer)) {
            continue;
        }

        used = use_of(entitlement, offer);
        attempt->uses[attempt->nuses++] = (loyalty_order_use_t){
            .entitlement = entitlement->id, .redeemed = true, .used = used};

        rc = used.offer.len == 0
                 ? LOYALTY_OK
                 : loyalty_effects_use(context->effects, used.offer, used.site,
                                       0, context->arena);
        if (rc == LOYALTY_OK && used.member) {
            rc = loyalty_wallet_count(member, used.offer, 1, context->arena);
        }
        if (rc != LOYALTY_OK) {
            return rc;
        }
    }

    return LOYALTY_OK;
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

/* Room for what the attempt may come to do to the wallet. */
static loyalty_status_t
make_room(loyalty_order_context_t *context, loyalty_order_attempt_t *attempt,
          size_t more)
{
    loyalty_order_use_t *uses;

    if (attempt->nuses + more > LOYALTY_ORDER_USES_MAX) {
        return LOYALTY_ERROR_LIMIT;
    }

    uses = loyalty_copy_array(context->arena, attempt->uses, attempt->nuses,
                              more, sizeof(*uses));
    if (uses == NULL) {
        return LOYALTY_ERROR_MEMORY;
    }

    attempt->uses = uses;
    return LOYALTY_OK;
}

/* The entries that came with a hold; one that somebody else has used in spite
 * of it is not ours. */
static loyalty_status_t
redeem_claimed(loyalty_order_context_t *context,
               loyalty_order_attempt_t *attempt)
{
    loyalty_entitlement_t *entitlement;
    const loyalty_offer_t *offer;
    loyalty_order_use_t *use;
    loyalty_status_t rc;
    size_t i, kept = 0;

    for (i = 0; i < attempt->nuses; i++) {
        use = &attempt->uses[i];
        entitlement = use->redeemed || use->entitlement.len == 0
                          ? NULL
                          : loyalty_wallet_find(context->member,
                                                use->entitlement);

        if (entitlement != NULL && !use->used.ready) {
            offer = loyalty_program_offer(context->program,
                                          entitlement->offer);
            if (!redeem(entitlement, offer)) {
                rc = loyalty_hold_give_back(use->hold, &use->used,
                                            context->member, context->arena,
                                            context->effects);
                if (rc != LOYALTY_OK) {
                    return rc;
                }
                continue;
            }
        }

        use->redeemed |= use->hold.len != 0;
        attempt->uses[kept++] = *use;
    }

    attempt->nuses = kept;
    return LOYALTY_OK;
}

loyalty_status_t
loyalty_order_redeem(loyalty_order_context_t *context,
                     loyalty_order_attempt_t *attempt)
{
    loyalty_status_t rc;

    rc = loyalty_order_claim(context, attempt);
    if (rc != LOYALTY_OK
        || (context->member->nentitlements == 0 && attempt->nuses == 0)) {
        return rc;
    }

    if ((rc = make_room(context, attempt, attempt->nredemptions))
            != LOYALTY_OK
        || (rc = own_wallet(context)) != LOYALTY_OK
        || (rc = redeem_claimed(context, attempt)) != LOYALTY_OK) {
        return rc;
    }

    return redeem_named(context, attempt);
}

loyalty_status_t
loyalty_order_stamp(loyalty_order_context_t *context,
                    loyalty_order_attempt_t *attempt)
{
    loyalty_status_t rc;

    if (context->member->nentitlements == 0 || !attempt->counts
        || !context->program->settings.active) {
        return LOYALTY_OK;
    }

    rc = make_room(context, attempt, context->member->nentitlements);
    if (rc == LOYALTY_OK) {
        rc = own_wallet(context);
    }

    return rc == LOYALTY_OK ? stamp_cards(context, attempt) : rc;
}

int64_t
loyalty_order_rewards(const loyalty_order_attempt_t *attempt)
{
    int64_t points = 0;
    size_t i;

    for (i = 0; i < attempt->nuses && attempt->total > 0; i++) {
        if (loyalty_add(points, attempt->uses[i].used.points, &points)
            != LOYALTY_OK) {
            return INT64_MAX; /* refused by whoever adds the rest */
        }
    }

    return points;
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

static loyalty_status_t
undo_use(loyalty_order_context_t *context, const loyalty_order_use_t *use)
{
    loyalty_entitlement_t *entitlement = NULL;
    const loyalty_offer_t *offer = NULL;

    if (context->member != NULL && use->entitlement.len != 0) {
        entitlement = loyalty_wallet_find(context->member, use->entitlement);
    }

    if (entitlement != NULL) {
        offer = loyalty_program_offer(context->program, entitlement->offer);
    }

    if (entitlement != NULL && use->stamps != 0) {
        take_stamps(entitlement, offer, use->stamps);
    } else if (entitlement != NULL && use->redeemed && !use->used.ready) {
        restore(entitlement, offer);
    }

    return use->used.offer.len == 0
               ? LOYALTY_OK
               : loyalty_hold_give_back(use->hold, &use->used, context->member,
                                        context->arena, context->effects);
}

static bool
stays(const loyalty_order_use_t *use, loyalty_order_leave_t leave)
{
    return leave == LOYALTY_LEAVE_STAMPS    ? use->stamps == 0
           : leave == LOYALTY_LEAVE_ENTRIES ? use->hold.len != 0
                                            : false;
}

/* A use comes back before stamps go, so that none is owed that is there. */
loyalty_status_t
loyalty_order_leave_wallet(loyalty_order_context_t *context,
                           loyalty_order_attempt_t *attempt,
                           loyalty_order_leave_t leave)
{
    loyalty_order_use_t *uses;
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

    for (i = 0; i < attempt->nuses && rc == LOYALTY_OK; i++) {
        if (stays(&uses[i], leave)) {
            uses[kept++] = uses[i];
        } else {
            rc = undo_use(context, &uses[i]);
        }
    }

    attempt->uses = uses;
    attempt->nuses = kept;
    return rc;
}

/* A guest's holds are used by being the order's. */
static bool
is_redeemed(const loyalty_order_t *order, const loyalty_order_use_t *use)
{
    return use->redeemed || (order->member_id.len == 0 && use->hold.len != 0);
}

static bool
was_redeemed(const loyalty_order_t *before, const loyalty_order_use_t *use)
{
    const loyalty_order_use_t *old;
    size_t i, k;

    for (i = 0; before != NULL && i < before->nattempts; i++) {
        for (k = 0; k < before->attempts[i].nuses; k++) {
            old = &before->attempts[i].uses[k];
            if (is_redeemed(before, old)
                && loyalty_str_eq(old->entitlement, use->entitlement)
                && loyalty_str_eq(old->hold, use->hold)
                && loyalty_str_eq(old->used.offer, use->used.offer)) {
                return true;
            }
        }
    }

    return false;
}

static loyalty_status_t
note_uses(loyalty_order_context_t *context, const loyalty_order_t *before,
          const loyalty_order_attempt_t *attempt)
{
    loyalty_effects_t *effects = context->effects;
    const loyalty_entitlement_t *entitlement;
    const loyalty_order_use_t *use;
    loyalty_str_t offer;
    size_t i;

    effects->redeemed = loyalty_copy_array(
        context->arena, effects->redeemed, effects->nredeemed, attempt->nuses,
        sizeof(*effects->redeemed));
    if (effects->redeemed == NULL) {
        return LOYALTY_ERROR_MEMORY;
    }

    for (i = 0; i < attempt->nuses; i++) {
        use = &attempt->uses[i];
        if (!is_redeemed(context->order, use) || was_redeemed(before, use)) {
            continue;
        }

        entitlement = context->member == NULL || use->entitlement.len == 0
                          ? NULL
                          : loyalty_wallet_find(context->member,
                                                use->entitlement);
        offer = use->used.offer.len == 0 && entitlement != NULL
                    ? entitlement->offer : use->used.offer;
        if (offer.len != 0) {
            effects->redeemed[effects->nredeemed++] = (loyalty_redemption_t){
                .offer = offer,
                .entitlement = use->entitlement,
                .order = context->order->id,
            };
        }
    }

    return LOYALTY_OK;
}

loyalty_status_t
loyalty_order_note_redeemed(loyalty_order_context_t *context,
                            const loyalty_order_t *before)
{
    const loyalty_order_t *order = context->order;
    loyalty_status_t rc = LOYALTY_OK;
    size_t i;

    if ((context->program->settings.events & LOYALTY_EVENT_OFFER_REDEEMED)
        == 0) {
        return LOYALTY_OK;
    }

    for (i = 0; i < order->nattempts && rc == LOYALTY_OK; i++) {
        if (order->attempts[i].nuses != 0) {
            rc = note_uses(context, before, &order->attempts[i]);
        }
    }

    return rc;
}
