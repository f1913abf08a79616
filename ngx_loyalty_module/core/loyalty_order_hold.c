/*
 * What an order has by the holds it names.
 *
 *   held       all of it, whatever the time; but an entry that another
 *              checkout got after that time is that checkout's
 *   released   what is still free and within its limits
 *   ordered    nothing, unless by this very order and undone since
 *
 * placed claims it, completed redeems it, a cancellation gives it back from
 * what the attempt itself has written down.
 */

#include "loyalty_money.h"
#include "loyalty_order_private.h"
#include "loyalty_wallet.h"

static bool
is_named(const loyalty_order_attempt_t *attempt, loyalty_str_t hold)
{
    size_t i;

    for (i = 0; i < attempt->nredemptions; i++) {
        if (loyalty_str_eq(attempt->redemptions[i], hold)) {
            return true;
        }
    }

    return false;
}

static bool
is_paying(const loyalty_order_t *order, loyalty_str_t id, bool credits)
{
    size_t i;

    for (i = 0; i < order->nspendings; i++) {
        if (loyalty_str_eq(order->spendings[i].id, id)
            && order->spendings[i].credits == credits
            && !order->spendings[i].restored) {
            return true;
        }
    }

    return false;
}

/* The attempt has something by this hold already. */
static bool
is_claimed(const loyalty_order_t *order,
           const loyalty_order_attempt_t *attempt, loyalty_str_t hold)
{
    size_t i;

    for (i = 0; i < attempt->nuses; i++) {
        if (loyalty_str_eq(attempt->uses[i].hold, hold)) {
            return true;
        }
    }

    return is_paying(order, hold, false) || is_paying(order, hold, true);
}

static bool
may_claim(const loyalty_order_context_t *context,
          const loyalty_order_attempt_t *attempt, const loyalty_hold_t *hold)
{
    return is_named(attempt, hold->id)
           && loyalty_str_eq(hold->member, context->order->member_id)
           && (hold->state != LOYALTY_HOLD_ORDERED
               || loyalty_str_eq(hold->order, context->order->id))
           && !is_claimed(context->order, attempt, hold->id);
}

static loyalty_entitlement_t *
entry_of(const loyalty_order_context_t *context, const loyalty_hold_use_t *use)
{
    return context->member == NULL || use->entitlement.len == 0
               ? NULL
               : loyalty_wallet_find(context->member, use->entitlement);
}

static void
add_use(loyalty_order_attempt_t *attempt, const loyalty_hold_t *hold,
        const loyalty_hold_use_t *use)
{
    attempt->uses[attempt->nuses++] = (loyalty_order_use_t){
        .entitlement = use->entitlement, .hold = hold->id, .used = *use};
}

/* A use of a hold in force: counted already. */
static loyalty_status_t
take_held(loyalty_order_context_t *context, loyalty_order_attempt_t *attempt,
          const loyalty_hold_t *hold, const loyalty_hold_use_t *use)
{
    loyalty_entitlement_t *entry = entry_of(context, use);
    const loyalty_offer_t *offer =
        loyalty_program_offer(context->program, use->offer);

    if (use->entitlement.len != 0 && !use->ready && loyalty_wallet_once(offer)
        && (entry == NULL || !loyalty_str_eq(entry->held_by, hold->id))) {
        return loyalty_hold_give_back(hold->id, use, context->member,
                                      context->arena, context->effects);
    }

    if (entry != NULL && loyalty_str_eq(entry->held_by, hold->id)) {
        entry->held_until = LOYALTY_NEVER;
    }

    add_use(attempt, hold, use);
    return use->code.len == 0
               ? LOYALTY_OK
               : loyalty_effects_code(
                     context->effects,
                     &(loyalty_code_t){.code = use->code,
                                       .offer = use->offer,
                                       .hold = hold->id,
                                       .order = context->order->id},
                     context->arena);
}

/* Uses of the offer by now, with what this event has changed so far. */
static loyalty_usage_t
usage_now(const loyalty_order_context_t *context, loyalty_str_t offer)
{
    const loyalty_order_wallet_t *wallet = context->event->wallet;
    const loyalty_effects_t *effects = context->effects;
    const loyalty_usage_t *found;
    loyalty_usage_t usage = {.offer = offer};

    found = loyalty_usage_find(wallet->usage, wallet->nusage, offer);
    if (found != NULL) {
        usage = *found;
    }

    found = loyalty_usage_find(effects->usage, effects->nusage, offer);
    if (found != NULL) {
        usage.total += found->total;
        usage.spent += found->spent;
    }

    if (context->member != NULL) {
        usage.member = loyalty_wallet_member_uses(context->member, offer,
                                                  context->now);
    }
    return usage;
}

static bool
is_free(const loyalty_order_context_t *context, const loyalty_hold_use_t *use)
{
    const loyalty_offer_t *offer =
        loyalty_program_offer(context->program, use->offer);
    const loyalty_entitlement_t *entry = entry_of(context, use);
    loyalty_usage_t usage = usage_now(context, use->offer);

    if (offer == NULL || use->code.len != 0) {
        return false; /* a code given back may be anybody's by now */
    }

    if (use->entitlement.len != 0
        && (entry == NULL || entry->state == LOYALTY_ENTITLEMENT_REDEEMED
            || (entry->held_by.len != 0 && entry->held_until > context->now)
            || (use->ready && entry->uses <= 0))) {
        return false;
    }

    return (!use->site || offer->limit_total == 0
            || usage.total < offer->limit_total)
           && (!use->site || offer->limit_per_member == 0
               || usage.member < offer->limit_per_member)
           && (offer->budget_total == 0
               || use->amount <= offer->budget_total - usage.spent);
}

/* A use that was given back: taken again if it can be had. */
static loyalty_status_t
take_again(loyalty_order_context_t *context, loyalty_order_attempt_t *attempt,
           const loyalty_hold_t *hold, const loyalty_hold_use_t *use)
{
    loyalty_entitlement_t *entry = entry_of(context, use);
    loyalty_status_t rc;

    if (!is_free(context, use)) {
        return LOYALTY_OK;
    }

    if (entry != NULL && use->ready) {
        entry->uses--;
    } else if (entry != NULL) {
        entry->held_by = hold->id;
        entry->held_until = LOYALTY_NEVER;
    }

    add_use(attempt, hold, use);
    rc = loyalty_effects_use(context->effects, use->offer, use->site,
                             use->amount, context->arena);
    if (rc == LOYALTY_OK && use->member && context->member != NULL) {
        rc = loyalty_wallet_count(context->member, use->offer, 1,
                                  context->arena);
    }
    return rc;
}

/* What pays becomes the order's, so that cancelling it gives it back. */
static loyalty_status_t
take_payment(loyalty_order_context_t *context, const loyalty_hold_t *hold,
             const loyalty_spending_t *spending, bool credits)
{
    loyalty_order_t *order = context->order;
    loyalty_order_spending_t *list, taken = {.id = hold->id,
                                             .credits = credits,
                                             .spending = *spending};
    loyalty_status_t rc;

    if (spending->amount == 0 || context->member == NULL) {
        return LOYALTY_OK;
    }

    if (order->nspendings >= LOYALTY_ORDER_SPENDINGS_MAX) {
        return LOYALTY_ERROR_LIMIT;
    }

    if (hold->state != LOYALTY_HOLD_HELD) {
        rc = loyalty_ledger_debit(
            credits ? &context->member->credits : &context->member->points,
            spending->amount, &context->cause, context->arena,
            credits ? &context->effects->credits : &context->effects->points,
            &taken.spending);
        if (rc == LOYALTY_ERROR_INSUFFICIENT) {
            return LOYALTY_OK; /* spent elsewhere since */
        }
        if (rc != LOYALTY_OK) {
            return rc;
        }
    }

    list = loyalty_copy_array(context->arena, order->spendings,
                              order->nspendings, 2, sizeof(*list));
    if (list == NULL) {
        return LOYALTY_ERROR_MEMORY;
    }

    list[order->nspendings++] = taken;
    order->spendings = list;
    return LOYALTY_OK;
}

static loyalty_status_t
claim(loyalty_order_context_t *context, loyalty_order_attempt_t *attempt,
      const loyalty_hold_t *hold)
{
    bool held = hold->state == LOYALTY_HOLD_HELD;
    loyalty_order_use_t *uses;
    loyalty_status_t rc;
    size_t i;

    if (attempt->nuses + hold->nuses > LOYALTY_ORDER_USES_MAX) {
        return LOYALTY_ERROR_LIMIT;
    }

    uses = loyalty_copy_array(context->arena, attempt->uses, attempt->nuses,
                              hold->nuses, sizeof(*uses));
    if (uses == NULL) {
        return LOYALTY_ERROR_MEMORY;
    }

    attempt->uses = uses;

    if (context->member != NULL) {
        context->moved = true;
        rc = loyalty_wallet_own(context->member, context->arena);
        if (rc != LOYALTY_OK) {
            return rc;
        }
    }

    for (i = 0; i < hold->nuses; i++) {
        rc = held ? take_held(context, attempt, hold, &hold->uses[i])
                  : take_again(context, attempt, hold, &hold->uses[i]);
        if (rc != LOYALTY_OK) {
            return rc;
        }
    }

    rc = take_payment(context, hold, &hold->points, false);
    return rc == LOYALTY_OK ? take_payment(context, hold, &hold->credits, true)
                            : rc;
}

/* Uses of holds that the order does not name any more. */
static loyalty_status_t
drop_unnamed(loyalty_order_context_t *context,
             loyalty_order_attempt_t *attempt)
{
    loyalty_order_use_t *uses;
    loyalty_status_t rc;
    size_t i, kept = 0;

    uses = loyalty_copy_array(context->arena, attempt->uses, attempt->nuses, 0,
                              sizeof(*uses));
    if (uses == NULL) {
        return LOYALTY_ERROR_MEMORY;
    }

    for (i = 0; i < attempt->nuses; i++) {
        if (uses[i].hold.len == 0 || is_named(attempt, uses[i].hold)) {
            uses[kept++] = uses[i];
            continue;
        }

        context->moved = true;
        rc = context->member == NULL
                 ? LOYALTY_OK
                 : loyalty_wallet_own(context->member, context->arena);
        if (rc == LOYALTY_OK) {
            rc = loyalty_hold_give_back(uses[i].hold, &uses[i].used,
                                        context->member, context->arena,
                                        context->effects);
        }
        if (rc != LOYALTY_OK) {
            return rc;
        }
    }

    attempt->uses = uses;
    attempt->nuses = kept;
    return LOYALTY_OK;
}

loyalty_status_t
loyalty_order_claim(loyalty_order_context_t *context,
                    loyalty_order_attempt_t *attempt)
{
    const loyalty_order_wallet_t *wallet = context->event->wallet;
    loyalty_status_t rc = LOYALTY_OK;
    size_t i;

    if (attempt->nuses != 0) {
        rc = drop_unnamed(context, attempt);
    }

    for (i = 0; wallet != NULL && i < wallet->nholds && rc == LOYALTY_OK;
         i++) {
        if (may_claim(context, attempt, wallet->holds[i])) {
            rc = claim(context, attempt, wallet->holds[i]);
        }
    }

    return rc;
}

loyalty_status_t
loyalty_order_guest_wallet(loyalty_order_context_t *context)
{
    loyalty_order_t *order = context->order;
    loyalty_order_attempt_t *force;
    loyalty_status_t rc = LOYALTY_OK;
    bool cancelled;
    size_t i;

    force = loyalty_order_in_force(order, &cancelled);

    for (i = 0; i < order->nattempts && rc == LOYALTY_OK; i++) {
        if (&order->attempts[i] != force) {
            rc = loyalty_order_leave_wallet(context, &order->attempts[i],
                                            LOYALTY_LEAVE_ALL);
        }
    }

    return rc == LOYALTY_OK && force != NULL
               ? loyalty_order_claim(context, force)
               : rc;
}

void
loyalty_order_keep_holds(const loyalty_order_context_t *context)
{
    const loyalty_order_wallet_t *wallet = context->event->wallet;
    const loyalty_order_t *order = context->order;
    loyalty_hold_t *hold;
    size_t i, j;

    for (i = 0; wallet != NULL && i < wallet->nholds; i++) {
        hold = wallet->holds[i];
        for (j = 0; j < order->nattempts; j++) {
            if (hold->state != LOYALTY_HOLD_ORDERED
                && (is_claimed(order, &order->attempts[j], hold->id)
                    || (hold->state == LOYALTY_HOLD_HELD
                        && is_named(&order->attempts[j], hold->id)
                        && loyalty_str_eq(hold->member, order->member_id)
                        && order->attempts[j].phase != LOYALTY_PHASE_NONE))) {
                hold->state = LOYALTY_HOLD_ORDERED;
                hold->quote = loyalty_str_null;
                hold->order = order->id;
            }
        }
    }
}
