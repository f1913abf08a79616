/*
 * What an order does to a member.
 *
 *            placed            completed | shipped
 *     NONE --------> PENDING ----------------------> EARNED --refunds-->
 *      ^                |                               |
 *      +---cancelled, or superseded by a higher attempt-+
 *
 * apply: enter the event in a copy of the record, then reconcile a copy of
 * the member with it, then let both take their places.
 */

#include "loyalty_order_private.h"

static const char *const status_names[] = {
    [LOYALTY_ORDER_PLACED] = "placed",
    [LOYALTY_ORDER_COMPLETED] = "completed",
    [LOYALTY_ORDER_SHIPPED] = "shipped",
    [LOYALTY_ORDER_CANCELLED] = "cancelled",
    [LOYALTY_ORDER_REFUNDED] = "refunded",
};

const char *
loyalty_order_status_name(loyalty_order_status_t status)
{
    return status < LOYALTY_ORDER_PLACED || status > LOYALTY_ORDER_REFUNDED
               ? "unknown"
               : status_names[status];
}

static loyalty_status_t
restore_spendings(loyalty_order_context_t *context)
{
    loyalty_order_t *order = context->order;
    loyalty_status_t rc;
    bool credits;
    size_t i;

    for (i = 0; i < order->nspendings; i++) {
        if (order->spendings[i].restored) {
            continue;
        }
        credits = order->spendings[i].credits;
        rc = loyalty_ledger_restore(
            credits ? &context->member->credits : &context->member->points,
            &order->spendings[i].spending, &context->cause, context->arena,
            credits ? &context->effects->credits : &context->effects->points);
        if (rc != LOYALTY_OK) {
            return rc;
        }
        order->spendings[i].restored = true;
        context->moved = true;
    }

    return LOYALTY_OK;
}

static void
retier(loyalty_order_context_t *context)
{
    if (context->program->settings.active) {
        loyalty_member_retier(context->member, context->program, context->now);
    }
}

/* The wallet by what the order is made of and redeems, as known now. */
static loyalty_status_t
use_wallet_again(loyalty_order_context_t *context,
                 loyalty_order_attempt_t *attempt)
{
    int64_t rewards = loyalty_order_rewards(attempt);
    loyalty_status_t rc;

    rc = loyalty_order_leave_wallet(context, attempt, LOYALTY_LEAVE_ENTRIES);
    if (rc == LOYALTY_OK) {
        rc = loyalty_order_redeem(context, attempt);
    }
    if (rc == LOYALTY_OK) {
        rc = loyalty_order_earn_rewards(
            context, attempt, loyalty_order_rewards(attempt) - rewards);
    }

    return rc == LOYALTY_OK ? loyalty_order_stamp(context, attempt) : rc;
}

/* The units and the dates may be known better than when it earned. */
static loyalty_status_t
correct(loyalty_order_context_t *context, loyalty_order_attempt_t *attempt,
        const loyalty_order_attempt_t *before)
{
    int64_t life = context->member->points.life;
    loyalty_status_t rc = LOYALTY_OK;
    loyalty_lot_t lot;

    if (attempt->earned_at != before->earned_at && attempt->points > 0) {
        lot = loyalty_order_lot(context, attempt, attempt->points);
        loyalty_ledger_redate(&context->member->points, &lot);
        context->moved = true;
        attempt->expires_at = lot.expires_at;
    }

    if (attempt->placed_at != before->placed_at) {
        loyalty_order_contribute(context, attempt, life);
    }

    if (context->new_lines || context->new_redemptions) {
        rc = use_wallet_again(context, attempt);
    }

    if (rc == LOYALTY_OK && context->new_lines) {
        rc = loyalty_order_count_products(context, before, -1);
        if (rc == LOYALTY_OK) {
            loyalty_order_return_again(attempt);
            rc = loyalty_order_count_products(context, attempt, 1);
        }
    }

    return rc;
}

static loyalty_status_t
reconcile(loyalty_order_context_t *context, const loyalty_order_t *before)
{
    loyalty_order_t *order = context->order;
    loyalty_order_attempt_t *force, *attempt;
    const loyalty_order_attempt_t *old;
    loyalty_status_t rc = LOYALTY_OK;
    bool cancelled;
    size_t i;

    force = loyalty_order_in_force(order, &cancelled);

    for (i = 0; i < order->nattempts; i++) {
        attempt = &order->attempts[i];
        if (attempt != force && attempt->phase != LOYALTY_PHASE_NONE) {
            rc = loyalty_order_undo(context, attempt);
            if (rc != LOYALTY_OK) {
                return rc;
            }
            retier(context);
        }
    }

    if (cancelled) {
        rc = restore_spendings(context);
    }

    if (force == NULL || rc != LOYALTY_OK) {
        return rc;
    }

    if (!loyalty_order_has_earned(force)) {
        return force->phase == LOYALTY_PHASE_NONE
                   ? loyalty_order_pend(context, force)
                   : LOYALTY_OK;
    }

    if (force->phase == LOYALTY_PHASE_EARNED) {
        old = loyalty_order_find_attempt(before, force->attempt);
        rc = correct(context, force, old);
    } else {
        rc = loyalty_order_earn(context, force);
    }

    return rc == LOYALTY_OK ? loyalty_order_apply_refunds(context, force) : rc;
}

/* An unknown member that orders comes into being with the order. */
static void
create_member(loyalty_order_context_t *context)
{
    loyalty_member_t *member = context->member;

    if (!member->registered) {
        member->signed_up_at = loyalty_order_earlier(member->signed_up_at,
                                                     context->event->placed_at);
    }
}

static loyalty_outcome_t
outcome_of(const loyalty_order_context_t *context)
{
    const loyalty_order_event_t *event = context->event;
    const loyalty_order_attempt_t *attempt;

    if (context->member == NULL) {
        return LOYALTY_GUEST;
    }

    attempt = loyalty_order_find_attempt(context->order, event->attempt);

    if (event->status == LOYALTY_ORDER_REFUNDED) {
        return loyalty_order_find_refund(attempt, event->refund.id)->value < 0
                   ? LOYALTY_HELD
                   : LOYALTY_APPLIED;
    }
    if (event->status == LOYALTY_ORDER_CANCELLED) {
        return !loyalty_order_has_earned(attempt)
                       && !loyalty_order_is_placed(attempt)
                   ? LOYALTY_HELD
                   : LOYALTY_APPLIED;
    }
    return LOYALTY_APPLIED;
}

static bool
is_changed(const loyalty_order_context_t *context,
           const loyalty_member_t *before)
{
    const loyalty_member_t *after = context->member;

    return context->moved || before->version == 0
           || before->signed_up_at != after->signed_up_at
           || before->below_since != after->below_since
           || !loyalty_str_eq(before->tier, after->tier)
           || !loyalty_str_eq(before->own_tier, after->own_tier);
}

static loyalty_status_t
move_member(loyalty_order_context_t *context, loyalty_member_t *member,
            const loyalty_order_t *before)
{
    static const loyalty_order_t nothing;
    loyalty_member_t changed;
    loyalty_status_t rc;

    rc = loyalty_member_copy(member, context->arena, &changed);
    if (rc != LOYALTY_OK) {
        return rc;
    }

    context->member = &changed;
    context->effects->tier_from = member->tier;
    create_member(context);

    rc = reconcile(context, before == NULL ? &nothing : before);
    if (rc == LOYALTY_OK) {
        rc = loyalty_order_note_redeemed(context, before);
    }
    if (rc == LOYALTY_OK) {
        retier(context);
        loyalty_order_merge_products(context->effects);
        context->effects->tier_to = changed.tier;

        if (is_changed(context, member)) {
            context->effects->member_changed = true;
            changed.version++;
            *member = changed;
        }
    }

    context->member = member; /* the copy ends here */
    return rc;
}

/* What loyalty_order_event_parse makes sure of. */
static bool
is_sound(const loyalty_order_event_t *event)
{
    bool content = event->status >= LOYALTY_ORDER_PLACED
                   && event->status <= LOYALTY_ORDER_SHIPPED;

    return event->order_id.len != 0 && event->attempt >= 1
           && event->status >= LOYALTY_ORDER_PLACED
           && event->status <= LOYALTY_ORDER_REFUNDED
           && event->total >= (content ? 0 : -1);
}

loyalty_status_t
loyalty_order_apply(const loyalty_program_t *program, loyalty_member_t *member,
                    loyalty_order_t **order, const loyalty_order_event_t *event,
                    loyalty_instant_t now, loyalty_arena_t *arena,
                    loyalty_effects_t *effects)
{
    loyalty_order_context_t context = {
        .program = program,
        .event = event,
        .now = now,
        .arena = arena,
        .effects = effects,
        .cause = {.at = event->occurred_at,
                  .order = event->order_id,
                  .by = event->by.len != 0 ? event->by : loyalty_str("system"),
                  .reason = loyalty_str_from(
                      loyalty_order_status_name(event->status))},
    };
    bool duplicate = false;
    loyalty_status_t rc;

    *effects = (loyalty_effects_t){0};

    if (!is_sound(event)) {
        return LOYALTY_ERROR_INVALID;
    }

    if (*order != NULL) {
        rc = loyalty_order_compare(*order, event, effects, &duplicate);
        if (rc != LOYALTY_OK) {
            return rc;
        }
        if (duplicate) {
            effects->outcome = LOYALTY_DUPLICATE;
            return LOYALTY_OK;
        }
    }

    if ((rc = loyalty_order_copy(*order, event, arena, &context.order))
            != LOYALTY_OK
        || (rc = loyalty_order_enter(&context)) != LOYALTY_OK) {
        return rc;
    }

    if (member != NULL && !member->erased
        && context.order->member_id.len != 0) {
        if (!loyalty_str_eq(member->id, context.order->member_id)) {
            return LOYALTY_ERROR_INVALID;
        }
        rc = move_member(&context, member, *order);
        if (rc != LOYALTY_OK) {
            *effects = (loyalty_effects_t){.refusal = effects->refusal};
            return rc;
        }

    } else {
        rc = loyalty_order_guest_wallet(&context);
        if (rc == LOYALTY_OK) {
            rc = loyalty_order_note_redeemed(&context, *order);
        }
        if (rc != LOYALTY_OK) {
            return rc;
        }
    }

    loyalty_order_keep_holds(&context);
    effects->outcome = outcome_of(&context);
    effects->order_changed = true;
    *order = context.order;
    return LOYALTY_OK;
}

static loyalty_order_spending_t *
find_spending(const loyalty_order_t *order, loyalty_str_t id)
{
    size_t i;

    for (i = 0; i < order->nspendings; i++) {
        if (loyalty_str_eq(order->spendings[i].id, id)) {
            return &order->spendings[i];
        }
    }

    return NULL;
}

loyalty_status_t
loyalty_order_spend(const loyalty_program_t *program, loyalty_member_t *member,
                    loyalty_order_t **order, loyalty_str_t order_id,
                    loyalty_str_t id, int64_t amount, loyalty_instant_t now,
                    loyalty_arena_t *arena, loyalty_effects_t *effects)
{
    loyalty_order_event_t event = {
        .order_id = order_id,
        .member_id = member->id,
        .currency = program->settings.currency,
    };
    loyalty_order_spending_t *found, spending = {.id = id};
    loyalty_grant_t debit = {
        .amount = -amount,
        .cause = {.at = now,
                  .order = order_id,
                  .by = loyalty_str("shopper"),
                  .reason = loyalty_str("redeemed")},
        .spending = &spending.spending,
    };
    loyalty_order_t *copy;
    loyalty_status_t rc;
    bool cancelled;

    *effects = (loyalty_effects_t){0};

    if (amount <= 0 || id.len == 0 || order_id.len == 0) {
        return LOYALTY_ERROR_INVALID;
    }

    if (*order != NULL) {
        if (!loyalty_str_eq((*order)->member_id, member->id)) {
            return loyalty_order_conflict(effects,
                                          "exists_with_different_member");
        }

        found = find_spending(*order, id);
        if (found != NULL) {
            effects->outcome = LOYALTY_DUPLICATE;
            return found->spending.amount == amount
                       ? LOYALTY_OK
                       : loyalty_order_conflict(effects,
                                                "exists_with_different_amount");
        }

        loyalty_order_in_force(*order, &cancelled);
        if (cancelled) {
            return loyalty_order_refuse(effects, "order_cancelled");
        }
        if ((*order)->nspendings >= LOYALTY_ORDER_SPENDINGS_MAX) {
            return LOYALTY_ERROR_LIMIT;
        }
    }

    if ((rc = loyalty_order_copy(*order, &event, arena, &copy)) != LOYALTY_OK
        || (rc = loyalty_member_grant(member, program, &debit, arena, effects))
               != LOYALTY_OK) {
        return rc;
    }

    copy->spendings[copy->nspendings++] = spending;
    effects->order_changed = true;
    *order = copy;
    return LOYALTY_OK;
}
