/*
 * Refunds: what is returned, what it is worth, and the points that go with it
 * in proportion.
 */

#include "loyalty_order_private.h"

#include "loyalty_money.h"

/* What the next `quantity` units of a line are worth: the amount of all
 * returned so far, rounded half up, less what those before were worth. */
static loyalty_status_t
worth_of_units(const loyalty_order_line_t *line, int64_t quantity,
               int64_t *worth)
{
    int64_t before, after;
    loyalty_status_t rc;

    if ((rc = loyalty_mul_div(line->amount, line->returned, line->quantity,
                              LOYALTY_ROUND_HALF_UP, &before))
            != LOYALTY_OK
        || (rc = loyalty_mul_div(line->amount, line->returned + quantity,
                                 line->quantity, LOYALTY_ROUND_HALF_UP, &after))
               != LOYALTY_OK) {
        return rc;
    }

    *worth = after - before;
    return LOYALTY_OK;
}

/* Returns the units of one refund line, over the order's lines of that SKU;
 * *worth by the order's amounts. */
static loyalty_status_t
return_units(loyalty_order_context_t *context, loyalty_order_attempt_t *attempt,
             const loyalty_order_line_t *returned, int64_t *worth)
{
    int64_t rest = returned->quantity, units, part;
    loyalty_order_line_t *line;
    loyalty_status_t rc;
    size_t i;

    *worth = 0;

    for (i = 0; i < attempt->nlines && rest > 0; i++) {
        line = &attempt->lines[i];
        units = line->quantity - line->returned;
        if (units == 0 || !loyalty_str_eq(line->sku, returned->sku)) {
            continue;
        }

        units = units < rest ? units : rest;
        if ((rc = worth_of_units(line, units, &part)) != LOYALTY_OK
            || (rc = loyalty_add(*worth, part, worth)) != LOYALTY_OK
            || (rc = loyalty_order_add_product(context, line->sku, -units))
                   != LOYALTY_OK) {
            return rc;
        }
        line->returned += units;
        rest -= units;
    }

    return rest == 0 || attempt->nlines == 0
               ? LOYALTY_OK
               : loyalty_order_refuse(context->effects,
                                      "refund_more_units_than_left");
}

/* Units whose worth nobody has said yet. */
static bool
awaits_lines(const loyalty_order_attempt_t *attempt,
             const loyalty_refund_t *refund)
{
    size_t i;

    for (i = 0; i < refund->nlines; i++) {
        if (refund->lines[i].amount < 0) {
            return attempt->nlines == 0 && refund->amount < 0;
        }
    }

    return false;
}

static void
mark_returned(loyalty_order_attempt_t *attempt, loyalty_str_t sku,
              int64_t units)
{
    loyalty_order_line_t *line;
    int64_t left;
    size_t i;

    for (i = 0; i < attempt->nlines; i++) {
        line = &attempt->lines[i];
        if (loyalty_str_eq(line->sku, sku)) {
            left = line->quantity - line->returned;
            left = left < units ? left : units;
            line->returned += left;
            units -= left;
        }
    }
}

void
loyalty_order_return_again(loyalty_order_attempt_t *attempt)
{
    const loyalty_order_refund_t *refund;
    size_t i, k;

    for (i = 0; i < attempt->nlines && !attempt->counts; i++) {
        attempt->lines[i].returned = attempt->lines[i].quantity;
    }

    for (i = 0; i < attempt->nrefunds; i++) {
        refund = &attempt->refunds[i];
        for (k = 0; refund->value >= 0 && k < refund->refund.nlines; k++) {
            mark_returned(attempt, refund->refund.lines[k].sku,
                          refund->refund.lines[k].quantity);
        }
    }
}

static bool
all_units_returned(const loyalty_order_attempt_t *attempt)
{
    size_t i;

    for (i = 0; i < attempt->nlines; i++) {
        if (attempt->lines[i].returned != attempt->lines[i].quantity) {
            return false;
        }
    }

    return attempt->nlines > 0;
}

/* Returns the lines and finds the value of the refund. */
static loyalty_status_t
value_refund(loyalty_order_context_t *context, loyalty_order_attempt_t *attempt,
             const loyalty_refund_t *refund, int64_t *value)
{
    int64_t left = attempt->total - attempt->returned, sum = 0, worth;
    const loyalty_order_line_t *line;
    loyalty_status_t rc;
    size_t i;

    for (i = 0; i < refund->nlines; i++) {
        line = &refund->lines[i];
        rc = return_units(context, attempt, line, &worth);
        if (rc != LOYALTY_OK) {
            return rc;
        }
        rc = loyalty_add(sum, line->amount < 0 ? worth : line->amount, &sum);
        if (rc != LOYALTY_OK) {
            return rc;
        }
    }

    if (refund->amount >= 0) {
        *value = refund->amount;
    } else {
        *value = refund->nlines > 0 ? sum : left;
    }

    return *value <= left ? LOYALTY_OK
                          : loyalty_order_refuse(context->effects,
                                                 "refund_more_than_left");
}

static loyalty_status_t
apply_refund(loyalty_order_context_t *context, loyalty_order_attempt_t *attempt,
             loyalty_order_refund_t *refund)
{
    int64_t life = context->member->points.life, value = 0, due = 0;
    loyalty_order_line_t *line;
    loyalty_status_t rc;
    bool whole;
    size_t i;

    rc = value_refund(context, attempt, &refund->refund, &value);
    if (rc != LOYALTY_OK) {
        return rc;
    }

    attempt->returned += value;
    whole = attempt->returned == attempt->total
            && (attempt->total > 0 || all_units_returned(attempt)
                || (refund->refund.amount < 0 && refund->refund.nlines == 0));

    if (attempt->total > 0) {
        rc = loyalty_mul_div(attempt->points, attempt->returned, attempt->total,
                             LOYALTY_ROUND_FLOOR, &due);
        if (rc != LOYALTY_OK) {
            return rc;
        }
    }

    if (whole) {
        rc = loyalty_order_count_products(context, attempt, -1);
        if (rc != LOYALTY_OK) {
            return rc;
        }
        for (i = 0; i < attempt->nlines; i++) {
            line = &attempt->lines[i];
            line->returned = line->quantity;
        }
    }

    if ((rc = loyalty_order_count(context, whole && attempt->counts ? -1 : 0,
                                  -value))
            != LOYALTY_OK
        || (rc = loyalty_order_take_points(context, attempt,
                                           due - attempt->revoked))
               != LOYALTY_OK) {
        return rc;
    }

    attempt->revoked = due;
    attempt->counts = attempt->counts && !whole;
    refund->value = value;
    loyalty_order_contribute(context, attempt, life);
    return whole ? loyalty_order_leave_wallet(context, attempt,
                                              LOYALTY_LEAVE_STAMPS)
                 : LOYALTY_OK;
}

static loyalty_status_t
drop_refund(loyalty_order_context_t *context,
            const loyalty_order_attempt_t *attempt,
            const loyalty_order_refund_t *refund)
{
    loyalty_effects_t *effects = context->effects;

    if (effects->dropped == NULL) {
        effects->dropped = loyalty_alloc(
            context->arena, attempt->nrefunds * sizeof(*effects->dropped));
        if (effects->dropped == NULL) {
            return LOYALTY_ERROR_MEMORY;
        }
    }

    effects->refusal = NULL;
    effects->dropped[effects->ndropped++] = refund->refund.id;
    return LOYALTY_OK;
}

/*
 * The refunds that waited; one of units waits on until the order says what
 * they are worth.  One that comes to more than is left would have
 * been refused in its turn: it goes, and is named in the effects, unless it
 * is the event itself.
 */
loyalty_status_t
loyalty_order_apply_refunds(loyalty_order_context_t *context,
                            loyalty_order_attempt_t *attempt)
{
    const loyalty_order_event_t *event = context->event;
    loyalty_effects_t *effects = context->effects;
    loyalty_order_line_t *lines;
    loyalty_order_refund_t *refund;
    size_t i, kept = 0, nproducts;
    loyalty_status_t rc;

    for (i = 0; i < attempt->nrefunds; i++) {
        refund = &attempt->refunds[i];

        if (refund->value < 0 && !awaits_lines(attempt, &refund->refund)) {
            nproducts = effects->nproducts;
            lines = loyalty_copy_array(context->arena, attempt->lines,
                                       attempt->nlines, 0, sizeof(*lines));
            if (lines == NULL) {
                return LOYALTY_ERROR_MEMORY;
            }

            rc = apply_refund(context, attempt, refund);

            if (rc == LOYALTY_ERROR_REFUSED
                && event->status != LOYALTY_ORDER_REFUNDED) {
                attempt->lines = lines;
                effects->nproducts = nproducts;
                rc = drop_refund(context, attempt, refund);
                if (rc != LOYALTY_OK) {
                    return rc;
                }
                continue;
            }
            if (rc != LOYALTY_OK) {
                return rc;
            }
        }

        attempt->refunds[kept++] = *refund;
    }

    attempt->nrefunds = kept;
    return LOYALTY_OK;
}
