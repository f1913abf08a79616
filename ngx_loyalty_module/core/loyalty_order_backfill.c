/*
 * Points for what was ordered while the site was not active (DOMAIN.md
 * section 1): they are earned now, and so become valid and expire counted from
 * now, without the multiplier of a status, which nobody held then.  What has
 * been returned since earns nothing, whatever the policy for returns.
 */

#include "loyalty_order_private.h"

#include "loyalty_money.h"

/* An attempt in force that has earned nothing, and what it would. */
static loyalty_status_t
find_missing(const loyalty_program_t *program, const loyalty_order_t *order,
             int64_t *points, int32_t *number)
{
    loyalty_order_attempt_t *attempt;
    bool cancelled;

    *points = 0;
    attempt = loyalty_order_in_force(order, &cancelled);

    if (!program->settings.active || attempt == NULL
        || attempt->phase != LOYALTY_PHASE_EARNED || attempt->points != 0
        || attempt->returned == attempt->total) {
        return LOYALTY_OK;
    }

    *number = attempt->attempt;
    return loyalty_points_earned(attempt->total, program->settings.exponent,
                                 program->settings.earn_rate, 100, points);
}

static loyalty_status_t
earn(loyalty_order_context_t *context, loyalty_order_attempt_t *attempt,
     int64_t points)
{
    const loyalty_settings_t *settings = &context->program->settings;
    loyalty_ledger_t *ledger = &context->member->points;
    int64_t life = ledger->life, due;
    loyalty_lot_t lot = {
        .id = context->order->id,
        .created_at = context->now,
        .starts_at = context->now,
        .expires_at = LOYALTY_NEVER,
        .earned = true,
    };
    loyalty_status_t rc;

    if (settings->points_expire_days > 0) {
        lot.expires_at =
            lot.starts_at + settings->points_expire_days * LOYALTY_DAY;
    }

    rc = loyalty_mul_div(points, attempt->returned, attempt->total,
                         LOYALTY_ROUND_FLOOR, &due);
    if (rc != LOYALTY_OK) {
        return rc;
    }

    /* Not all was returned, so that something is left. */
    lot.amount = points - due;
    rc = loyalty_ledger_credit(ledger, LOYALTY_ENTRY_EARN, &lot,
                               &context->cause, context->arena,
                               &context->effects->points);
    if (rc != LOYALTY_OK) {
        return rc;
    }

    attempt->points = points;
    attempt->expires_at = lot.expires_at;
    attempt->revoked = due;
    loyalty_order_contribute(context, attempt, life);
    return LOYALTY_OK;
}

loyalty_status_t
loyalty_order_backfill(const loyalty_program_t *program,
                       loyalty_member_t *member, loyalty_order_t **order,
                       loyalty_instant_t now, loyalty_arena_t *arena,
                       loyalty_effects_t *effects)
{
    loyalty_member_t changed;
    loyalty_order_context_t context = {
        .program = program,
        .member = &changed,
        .now = now,
        .arena = arena,
        .effects = effects,
        .cause = {.at = now,
                  .order = (*order)->id,
                  .by = loyalty_str("system"),
                  .reason = loyalty_str("backfill")},
    };
    loyalty_status_t rc;
    int32_t number = 0;
    int64_t points;

    *effects = (loyalty_effects_t){.outcome = LOYALTY_DUPLICATE,
                                   .tier_from = member->tier,
                                   .tier_to = member->tier};

    rc = find_missing(program, *order, &points, &number);
    if (rc != LOYALTY_OK || points == 0 || member->erased
        || !loyalty_str_eq(member->id, (*order)->member_id)) {
        return rc;
    }

    if ((rc = loyalty_member_copy(member, arena, &changed)) != LOYALTY_OK
        || (rc = loyalty_order_copy(*order, NULL, arena, &context.order))
               != LOYALTY_OK
        || (rc = earn(&context,
                      loyalty_order_find_attempt(context.order, number),
                      points))
               != LOYALTY_OK) {
        return rc;
    }

    loyalty_member_retier(&changed, program, now);
    effects->outcome = LOYALTY_APPLIED;
    effects->tier_to = changed.tier;
    effects->member_changed = true;
    effects->order_changed = true;
    changed.version++;
    *member = changed;
    *order = context.order;

    return LOYALTY_OK;
}
