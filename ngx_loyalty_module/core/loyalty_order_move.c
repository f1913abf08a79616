/*
 * Moving a member by one attempt of an order: pending points, earning, and
 * undoing both.  `context->member` is a copy.
 */

#include "loyalty_order_private.h"

#include <stdlib.h>

#include "loyalty_money.h"

loyalty_status_t
loyalty_order_add_product(loyalty_order_context_t *context, loyalty_str_t sku,
                          int64_t units)
{
    loyalty_effects_t *effects = context->effects;
    loyalty_product_delta_t *list;
    size_t capacity;

    if (units == 0) {
        return LOYALTY_OK;
    }

    if (effects->nproducts == context->products_capacity) {
        capacity = effects->nproducts * 2 + 16;
        list = loyalty_copy_array(context->arena, effects->products,
                                  effects->nproducts,
                                  capacity - effects->nproducts, sizeof(*list));
        if (list == NULL) {
            return LOYALTY_ERROR_MEMORY;
        }
        effects->products = list;
        context->products_capacity = capacity;
    }

    effects->products[effects->nproducts++] =
        (loyalty_product_delta_t){sku, units};
    return LOYALTY_OK;
}

static int
compare_products(const void *a, const void *b)
{
    const loyalty_product_delta_t *left = a, *right = b;

    return loyalty_str_cmp(left->sku, right->sku);
}

/* Each SKU once, none with 0. */
void
loyalty_order_merge_products(loyalty_effects_t *effects)
{
    loyalty_product_delta_t *list = effects->products;
    size_t i, kept = 0;

    if (effects->nproducts == 0) {
        return;
    }

    qsort(list, effects->nproducts, sizeof(*list), compare_products);

    for (i = 0; i < effects->nproducts; i++) {
        if (kept > 0 && loyalty_str_eq(list[kept - 1].sku, list[i].sku)) {
            list[kept - 1].units += list[i].units;
        } else {
            if (kept > 0 && list[kept - 1].units == 0) {
                kept--;
            }
            list[kept++] = list[i];
        }
    }

    if (list[kept - 1].units == 0) {
        kept--;
    }
    effects->nproducts = kept;
}

/* + 1: the units not returned are ordered; - 1: no longer. */
loyalty_status_t
loyalty_order_count_products(loyalty_order_context_t *context,
                             const loyalty_order_attempt_t *attempt,
                             int64_t sign)
{
    const loyalty_order_line_t *line;
    loyalty_status_t rc;
    size_t i;

    for (i = 0; i < attempt->nlines; i++) {
        line = &attempt->lines[i];
        rc = loyalty_order_add_product(
            context, line->sku, sign * (line->quantity - line->returned));
        if (rc != LOYALTY_OK) {
            return rc;
        }
    }

    return LOYALTY_OK;
}

loyalty_status_t
loyalty_order_count(loyalty_order_context_t *context, int64_t orders,
                    int64_t spend)
{
    loyalty_member_t *member = context->member;
    loyalty_status_t rc;

    rc = loyalty_add(member->spent_total, spend, &member->spent_total);
    if (rc == LOYALTY_OK) {
        rc = loyalty_add(member->order_count, orders, &member->order_count);
    }
    if (rc == LOYALTY_OK) {
        rc = loyalty_add(context->effects->spend_delta, spend,
                         &context->effects->spend_delta);
    }
    context->effects->order_delta += orders;

    /* Record and member are not of one history: say so, store nothing. */
    if (rc == LOYALTY_OK
        && (member->spent_total < 0 || member->order_count < 0)) {
        rc = LOYALTY_ERROR_CORRUPT;
    }
    return rc;
}

/* What the attempt counts for now; `life` is what its points changed. */
void
loyalty_order_contribute(loyalty_order_context_t *context,
                         const loyalty_order_attempt_t *attempt,
                         int64_t life_before)
{
    const loyalty_contribution_t *old;
    loyalty_contribution_t new = {
        .order_id = context->order->id,
        .placed_at = attempt->placed_at,
        .counts = attempt->counts,
    };

    old = loyalty_member_contribution(context->member, new.order_id);
    if (loyalty_add(old == NULL ? 0 : old->points,
                    context->member->points.life - life_before, &new.points)
            != LOYALTY_OK
        || new.points < 0) {
        new.points = 0; /* the old one was forgotten: there were too many */
    }
    if (attempt->phase == LOYALTY_PHASE_EARNED) {
        new.spend = attempt->total - attempt->returned;
    }

    loyalty_member_contribute(context->member, &new);
    context->moved = true;
}

static loyalty_status_t
points_of(loyalty_order_context_t *context,
          const loyalty_order_attempt_t *attempt, int64_t *points)
{
    const loyalty_program_t *program = context->program;
    loyalty_tier_result_t tier;
    int64_t multiplier = 100;

    if (!program->settings.active) {
        *points = 0;
        return LOYALTY_OK;
    }

    loyalty_member_tier(context->member, program, context->now, &tier);
    if (tier.current >= 0) {
        multiplier = program->tiers[tier.current].multiplier;
    }

    return loyalty_points_earned(attempt->total, program->settings.exponent,
                                 program->settings.earn_rate, multiplier,
                                 points);
}

static int64_t
rewards_of(const loyalty_order_context_t *context,
           const loyalty_order_attempt_t *attempt)
{
    return context->program->settings.active ? loyalty_order_rewards(attempt)
                                             : 0;
}

loyalty_lot_t
loyalty_order_lot(loyalty_order_context_t *context,
                  const loyalty_order_attempt_t *attempt, int64_t points)
{
    const loyalty_settings_t *settings = &context->program->settings;
    loyalty_lot_t lot = {
        .id = context->order->id,
        .amount = points,
        .created_at = attempt->earned_at,
        .starts_at =
            attempt->earned_at + settings->points_pending_days * LOYALTY_DAY,
        .expires_at = LOYALTY_NEVER,
        .earned = true,
    };

    if (settings->points_expire_days > 0) {
        lot.expires_at =
            lot.starts_at + settings->points_expire_days * LOYALTY_DAY;
    }
    return lot;
}

loyalty_status_t
loyalty_order_pend(loyalty_order_context_t *context,
                   loyalty_order_attempt_t *attempt)
{
    loyalty_status_t rc;
    loyalty_lot_t lot;
    int64_t points;

    rc = points_of(context, attempt, &points);
    if (rc != LOYALTY_OK) {
        return rc;
    }

    rc = loyalty_order_claim(context, attempt);
    if (rc == LOYALTY_OK) {
        rc = loyalty_add(points, rewards_of(context, attempt), &points);
    }
    if (rc != LOYALTY_OK) {
        return rc;
    }

    attempt->phase = LOYALTY_PHASE_PENDING;
    attempt->points = points;
    attempt->revoked = 0; /* of pending points, taken while superseded */
    attempt->expires_at = LOYALTY_NEVER;
    if (points == 0) {
        return LOYALTY_OK;
    }

    context->moved = true;

    lot = (loyalty_lot_t){
        .id = context->order->id,
        .amount = points,
        .created_at = attempt->placed_at,
        .starts_at = LOYALTY_NEVER,
        .expires_at = LOYALTY_NEVER,
        .earned = true,
    };
    return loyalty_ledger_credit(&context->member->points, LOYALTY_ENTRY_EARN,
                                 &lot, &context->cause, context->arena,
                                 &context->effects->points);
}

loyalty_status_t
loyalty_order_earn(loyalty_order_context_t *context,
                   loyalty_order_attempt_t *attempt)
{
    loyalty_ledger_t *ledger = &context->member->points;
    int64_t life = ledger->life, points;
    bool pending =
        attempt->phase == LOYALTY_PHASE_PENDING && attempt->points > 0;
    loyalty_status_t rc;
    loyalty_lot_t lot;

    if ((rc = points_of(context, attempt, &points)) != LOYALTY_OK
        || (rc = loyalty_order_redeem(context, attempt)) != LOYALTY_OK
        || (rc = loyalty_add(points, rewards_of(context, attempt), &points))
               != LOYALTY_OK) {
        return rc;
    }

    lot = loyalty_order_lot(context, attempt, points);

    if (pending) {
        rc = loyalty_ledger_start(ledger, &lot, &context->cause, context->arena,
                                  &context->effects->points);
    } else if (points > 0) {
        rc = loyalty_ledger_credit(ledger, LOYALTY_ENTRY_EARN, &lot,
                                   &context->cause, context->arena,
                                   &context->effects->points);
    }

    if (rc != LOYALTY_OK
        || (rc = loyalty_order_count(context, 1, attempt->total)) != LOYALTY_OK
        || (rc = loyalty_order_count_products(context, attempt, 1))
               != LOYALTY_OK) {
        return rc;
    }

    attempt->phase = LOYALTY_PHASE_EARNED;
    attempt->counts = true;
    attempt->points = points;
    attempt->revoked = 0; /* of pending points, taken while superseded */
    attempt->expires_at = lot.expires_at;
    loyalty_order_contribute(context, attempt, life);
    return loyalty_order_stamp(context, attempt);
}

loyalty_status_t
loyalty_order_take_points(loyalty_order_context_t *context,
                          const loyalty_order_attempt_t *attempt,
                          int64_t points)
{
    if (points == 0) {
        return LOYALTY_OK;
    }

    return loyalty_ledger_revoke(
        &context->member->points, context->order->id, attempt->expires_at,
        points, context->program->settings.return_policy, &context->cause,
        context->arena, &context->effects->points);
}

/* More come on top, in a lot of their own; fewer take points away.  Either way
 * as much is revoked in the end as if they had been known from the start. */
loyalty_status_t
loyalty_order_earn_rewards(loyalty_order_context_t *context,
                           loyalty_order_attempt_t *attempt, int64_t points)
{
    loyalty_ledger_t *ledger = &context->member->points;
    loyalty_lot_t lot = loyalty_order_lot(context, attempt, points);
    int64_t life = ledger->life, fewer, due;
    loyalty_status_t rc = LOYALTY_OK;

    if (points < -attempt->points) {
        points = -attempt->points; /* the site was not active then */
    }
    fewer = points < 0 ? -points : 0;

    if (points == 0 || !context->program->settings.active) {
        return LOYALTY_OK;
    }

    if (points > 0) {
        rc = loyalty_ledger_credit(ledger, LOYALTY_ENTRY_EARN, &lot,
                                   &context->cause, context->arena,
                                   &context->effects->points);
        attempt->expires_at = lot.expires_at;
    }

    if (rc != LOYALTY_OK
        || (rc = loyalty_add(attempt->points, points, &attempt->points))
               != LOYALTY_OK
        || (rc = loyalty_mul_div(attempt->points, attempt->returned,
                                 attempt->total, LOYALTY_ROUND_FLOOR, &due))
               != LOYALTY_OK) {
        return rc;
    }

    rc = loyalty_order_take_points(context, attempt,
                                   fewer + due - attempt->revoked);
    attempt->revoked = due;
    loyalty_order_contribute(context, attempt, life);
    return rc;
}

loyalty_status_t
loyalty_order_undo(loyalty_order_context_t *context,
                   loyalty_order_attempt_t *attempt)
{
    int64_t life = context->member->points.life;
    loyalty_status_t rc;

    rc = loyalty_order_take_points(context, attempt,
                                   attempt->points - attempt->revoked);
    if (rc != LOYALTY_OK) {
        return rc;
    }
    attempt->revoked = attempt->points;

    if (attempt->phase == LOYALTY_PHASE_EARNED) {
        rc = loyalty_order_count(context, attempt->counts ? -1 : 0,
                                 attempt->returned - attempt->total);
        if (rc == LOYALTY_OK) {
            rc = loyalty_order_count_products(context, attempt, -1);
        }
        if (rc != LOYALTY_OK) {
            return rc;
        }
    }

    attempt->phase = LOYALTY_PHASE_NONE;
    attempt->counts = false;
    loyalty_order_contribute(context, attempt, life);
    return loyalty_order_leave_wallet(context, attempt, LOYALTY_LEAVE_ALL);
}
