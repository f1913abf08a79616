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

#include "loyalty_order.h"

#include <stdlib.h>

#include "loyalty_codec.h"
#include "loyalty_money.h"

typedef struct {
    const loyalty_program_t *program;
    loyalty_member_t *member; /* a copy; NULL: nothing to do to anybody */
    loyalty_order_t *order;   /* a copy */
    const loyalty_order_event_t *event;
    loyalty_instant_t now;
    loyalty_arena_t *arena;
    loyalty_effects_t *effects;
    loyalty_cause_t cause;
    size_t products_capacity;
    bool moved; /* the member is not what it was */
} context_t;

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

/* Fingerprints. */

static uint64_t
print_str(uint64_t print, loyalty_str_t text)
{
    return loyalty_fingerprint(print, text.data, text.len);
}

static uint64_t
print_lines(const loyalty_order_line_t *lines, size_t n)
{
    const loyalty_order_line_t *line;
    uint64_t print = n;
    int64_t numbers[2];

    for (line = lines; line < lines + n; line++) {
        numbers[0] = line->quantity;
        numbers[1] = line->amount;
        print = print_str(print, line->sku);
        print = print_str(print, line->category);
        print = print_str(print, line->unit_price);
        print = loyalty_fingerprint(print, numbers, sizeof(numbers));
    }

    return print;
}

static uint64_t
print_strs(const loyalty_str_t *list, size_t n)
{
    uint64_t print = n;
    size_t i;

    for (i = 0; i < n; i++) {
        print = print_str(print, list[i]);
    }

    return print;
}

static uint64_t
print_refund(const loyalty_refund_t *refund)
{
    return loyalty_fingerprint(print_lines(refund->lines, refund->nlines),
                               &refund->amount, sizeof(refund->amount));
}

static loyalty_order_mark_t
mark_of(const loyalty_order_event_t *event)
{
    return (loyalty_order_mark_t){
        .seen = true,
        .guest = event->member_id.len == 0,
        .total = event->total,
        .lines = print_lines(event->lines, event->nlines),
        .redemptions = print_strs(event->redemptions, event->nredemptions),
    };
}

/* Looking up. */

static loyalty_order_attempt_t *
find_attempt(const loyalty_order_t *order, int32_t attempt)
{
    size_t i;

    for (i = 0; i < order->nattempts; i++) {
        if (order->attempts[i].attempt == attempt) {
            return &order->attempts[i];
        }
    }

    return NULL;
}

static loyalty_order_refund_t *
find_refund(const loyalty_order_attempt_t *attempt, loyalty_str_t id)
{
    size_t i;

    for (i = 0; i < attempt->nrefunds; i++) {
        if (loyalty_str_eq(attempt->refunds[i].refund.id, id)) {
            return &attempt->refunds[i];
        }
    }

    return NULL;
}

static loyalty_order_mark_t *
mark_at(loyalty_order_attempt_t *attempt, loyalty_order_status_t status)
{
    return &attempt->marks[status - 1];
}

static bool
has_earned(const loyalty_order_attempt_t *attempt)
{
    return attempt->marks[LOYALTY_ORDER_COMPLETED - 1].seen
           || attempt->marks[LOYALTY_ORDER_SHIPPED - 1].seen;
}

static bool
is_placed(const loyalty_order_attempt_t *attempt)
{
    return attempt->marks[LOYALTY_ORDER_PLACED - 1].seen;
}

static bool
is_cancelled(const loyalty_order_attempt_t *attempt)
{
    return attempt->marks[LOYALTY_ORDER_CANCELLED - 1].seen;
}

/* The attempt in force; *cancelled: a cancellation is the last word. */
static loyalty_order_attempt_t *
in_force(const loyalty_order_t *order, bool *cancelled)
{
    loyalty_order_attempt_t *attempt, *earned = NULL, *placed = NULL;
    size_t i;

    *cancelled = false;

    for (i = order->nattempts; i-- > 0;) {
        attempt = &order->attempts[i];

        if (is_cancelled(attempt)) {
            *cancelled = earned == NULL && placed == NULL;
            break;
        }
        if (earned == NULL && has_earned(attempt)) {
            earned = attempt;
        }
        if (placed == NULL && is_placed(attempt)) {
            placed = attempt;
        }
    }

    return earned != NULL ? earned : placed;
}

/* Comparing with what came before. */

static loyalty_status_t
conflict(loyalty_effects_t *effects, const char *refusal)
{
    effects->refusal = refusal;
    return LOYALTY_ERROR_CONFLICT;
}

static loyalty_status_t
refuse(loyalty_effects_t *effects, const char *refusal)
{
    effects->refusal = refusal;
    return LOYALTY_ERROR_REFUSED;
}

static loyalty_status_t
compare_marks(const loyalty_order_mark_t *old, const loyalty_order_mark_t *new,
              loyalty_effects_t *effects)
{
    if (old->guest != new->guest) {
        return conflict(effects, "exists_with_different_member");
    }
    if (old->total != new->total) {
        return conflict(effects, "exists_with_different_total");
    }
    if (old->lines != new->lines) {
        return conflict(effects, "exists_with_different_lines");
    }
    if (old->redemptions != new->redemptions) {
        return conflict(effects, "exists_with_different_redemptions");
    }
    return LOYALTY_OK;
}

/* Completed and shipped are one moment: they may not contradict each other,
 * but one of them may say less. */
static loyalty_status_t
compare_twin(loyalty_order_attempt_t *attempt,
             const loyalty_order_event_t *event, loyalty_effects_t *effects)
{
    loyalty_order_status_t other = event->status == LOYALTY_ORDER_COMPLETED
                                       ? LOYALTY_ORDER_SHIPPED
                                       : LOYALTY_ORDER_COMPLETED;
    loyalty_order_mark_t *twin = mark_at(attempt, other);

    if (!twin->seen) {
        return LOYALTY_OK;
    }
    if (twin->total != event->total) {
        return conflict(effects, "exists_with_different_total");
    }
    if (event->nlines != 0 && twin->lines != print_lines(NULL, 0)
        && twin->lines != print_lines(event->lines, event->nlines)) {
        return conflict(effects, "exists_with_different_lines");
    }
    return LOYALTY_OK;
}

/* *duplicate: the event has been here, and said the same. */
static loyalty_status_t
compare(const loyalty_order_t *order, const loyalty_order_event_t *event,
        loyalty_effects_t *effects, bool *duplicate)
{
    loyalty_order_attempt_t *attempt;
    loyalty_order_refund_t *refund;
    loyalty_order_mark_t *old, new;
    loyalty_status_t rc;

    if (order->member_id.len != 0 && event->member_id.len != 0
        && !loyalty_str_eq(order->member_id, event->member_id)) {
        return conflict(effects, "exists_with_different_member");
    }
    if (!loyalty_str_eq(order->currency, event->currency)) {
        return conflict(effects, "exists_with_different_currency");
    }

    attempt = find_attempt(order, event->attempt);
    if (attempt == NULL) {
        return LOYALTY_OK;
    }

    refund = NULL;
    if (event->status == LOYALTY_ORDER_REFUNDED) {
        refund = find_refund(attempt, event->refund.id);
        old = refund == NULL ? NULL : &refund->mark;
    } else {
        old = mark_at(attempt, event->status);
        if (!old->seen) {
            old = NULL;
        }
    }

    if (old == NULL) {
        return event->status == LOYALTY_ORDER_COMPLETED
                       || event->status == LOYALTY_ORDER_SHIPPED
                   ? compare_twin(attempt, event, effects)
                   : LOYALTY_OK;
    }

    new = mark_of(event);
    rc = compare_marks(old, &new, effects);
    if (rc != LOYALTY_OK) {
        return rc;
    }

    if (refund != NULL && refund->print != print_refund(&event->refund)) {
        return conflict(effects, "exists_with_different_refund");
    }

    *duplicate = true;
    return LOYALTY_OK;
}

/* Entering the event in the record. */

static void *
copy_array(loyalty_arena_t *arena, const void *from, size_t n, size_t more,
           size_t size)
{
    void *to = loyalty_alloc(arena, (n + more) * size);

    if (to != NULL && n != 0) {
        memcpy(to, from, n * size);
    }
    return to;
}

static loyalty_status_t
copy_order(const loyalty_order_t *from, const loyalty_order_event_t *event,
           loyalty_arena_t *arena, loyalty_order_t **copy)
{
    loyalty_order_attempt_t *attempt;
    loyalty_order_t *order;
    size_t i;

    order = loyalty_alloc(arena, sizeof(*order));
    if (order == NULL) {
        return LOYALTY_ERROR_MEMORY;
    }

    if (from == NULL) {
        order->id = event->order_id;
        order->member_id = event->member_id;
        order->currency = event->currency;
    } else {
        *order = *from;
    }

    order->attempts = copy_array(arena, order->attempts, order->nattempts, 1,
                                 sizeof(*order->attempts));
    order->spendings = copy_array(arena, order->spendings, order->nspendings,
                                  1, sizeof(*order->spendings));
    if (order->attempts == NULL || order->spendings == NULL) {
        return LOYALTY_ERROR_MEMORY;
    }

    for (i = 0; i < order->nattempts; i++) {
        attempt = &order->attempts[i];
        attempt->refunds = copy_array(arena, attempt->refunds,
                                      attempt->nrefunds, 1,
                                      sizeof(*attempt->refunds));
        attempt->lines = copy_array(arena, attempt->lines, attempt->nlines, 0,
                                    sizeof(*attempt->lines));
        if (attempt->refunds == NULL || attempt->lines == NULL) {
            return LOYALTY_ERROR_MEMORY;
        }
    }

    *copy = order;
    return LOYALTY_OK;
}

static loyalty_status_t
enter_attempt(context_t *context, loyalty_order_attempt_t **found)
{
    loyalty_order_t *order = context->order;
    int32_t number = context->event->attempt;
    loyalty_order_attempt_t *attempt;
    size_t i;

    *found = find_attempt(order, number);
    if (*found != NULL) {
        return LOYALTY_OK;
    }

    if (order->nattempts >= LOYALTY_ORDER_ATTEMPTS_MAX) {
        return LOYALTY_ERROR_LIMIT;
    }

    for (i = order->nattempts++;
         i > 0 && order->attempts[i - 1].attempt > number; i--) {
        order->attempts[i] = order->attempts[i - 1];
    }

    attempt = &order->attempts[i];
    *attempt = (loyalty_order_attempt_t){
        .attempt = number,
        .placed_at = LOYALTY_UNKNOWN,
        .earned_at = LOYALTY_UNKNOWN,
        .expires_at = LOYALTY_NEVER,
    };
    attempt->refunds = loyalty_alloc(context->arena,
                                     sizeof(*attempt->refunds));
    *found = attempt;
    return attempt->refunds == NULL ? LOYALTY_ERROR_MEMORY : LOYALTY_OK;
}

static loyalty_instant_t
earlier(loyalty_instant_t a, loyalty_instant_t b)
{
    return a == LOYALTY_UNKNOWN || b < a ? b : a;
}

/*
 * What the order is about: as completed or shipped says, and what these leave
 * out as placed said.
 */
static loyalty_status_t
enter_content(context_t *context, loyalty_order_attempt_t *attempt)
{
    const loyalty_order_event_t *event = context->event;
    bool earns = event->status != LOYALTY_ORDER_PLACED;
    bool first = !earns ? !has_earned(attempt)
                        : !mark_at(attempt, LOYALTY_ORDER_COMPLETED)->seen
                              && !mark_at(attempt, LOYALTY_ORDER_SHIPPED)->seen;

    attempt->placed_at = earlier(attempt->placed_at, event->placed_at);
    if (earns) {
        attempt->earned_at = earlier(attempt->earned_at, event->occurred_at);
    }
    if (first) {
        attempt->total = event->total;
    }

    if (event->nlines != 0 && (first || attempt->nlines == 0)
        && attempt->returned == 0) {
        attempt->lines = copy_array(context->arena, event->lines,
                                    event->nlines, 0, sizeof(*event->lines));
        if (attempt->lines == NULL) {
            return LOYALTY_ERROR_MEMORY;
        }
        attempt->nlines = event->nlines;
    }

    if (event->nredemptions != 0 && (first || attempt->nredemptions == 0)) {
        attempt->redemptions = event->redemptions;
        attempt->nredemptions = event->nredemptions;
    }

    return LOYALTY_OK;
}

static bool
comes_before(const loyalty_order_refund_t *a, const loyalty_order_refund_t *b)
{
    bool a_rest = a->refund.amount < 0 && a->refund.nlines == 0;
    bool b_rest = b->refund.amount < 0 && b->refund.nlines == 0;

    if (a_rest != b_rest) {
        return b_rest;
    }
    if (a->occurred_at != b->occurred_at) {
        return a->occurred_at < b->occurred_at;
    }
    return loyalty_str_cmp(a->refund.id, b->refund.id) < 0;
}

static loyalty_status_t
enter_refund(context_t *context, loyalty_order_attempt_t *attempt)
{
    const loyalty_order_event_t *event = context->event;
    loyalty_order_refund_t refund = {
        .refund = event->refund,
        .mark = mark_of(event),
        .print = print_refund(&event->refund),
        .occurred_at = event->occurred_at,
        .value = -1,
    };
    size_t i;

    if (attempt->nrefunds >= LOYALTY_ORDER_REFUNDS_MAX) {
        return LOYALTY_ERROR_LIMIT;
    }

    for (i = attempt->nrefunds++;
         i > 0 && comes_before(&refund, &attempt->refunds[i - 1]); i--) {
        attempt->refunds[i] = attempt->refunds[i - 1];
    }
    attempt->refunds[i] = refund;
    return LOYALTY_OK;
}

static loyalty_status_t
enter_event(context_t *context)
{
    const loyalty_order_event_t *event = context->event;
    loyalty_order_attempt_t *attempt;
    loyalty_status_t rc;

    if (context->order->member_id.len == 0) {
        context->order->member_id = event->member_id;
    }

    rc = enter_attempt(context, &attempt);
    if (rc != LOYALTY_OK) {
        return rc;
    }

    switch (event->status) {
    case LOYALTY_ORDER_REFUNDED:
        return enter_refund(context, attempt);

    case LOYALTY_ORDER_PLACED:
    case LOYALTY_ORDER_COMPLETED:
    case LOYALTY_ORDER_SHIPPED:
        rc = enter_content(context, attempt);
        break;

    case LOYALTY_ORDER_CANCELLED:
        break;
    }

    *mark_at(attempt, event->status) = mark_of(event);
    return rc;
}

/* Moving the member. */

static loyalty_status_t
add_product(context_t *context, loyalty_str_t sku, int64_t units)
{
    loyalty_effects_t *effects = context->effects;
    loyalty_product_delta_t *list;
    size_t capacity;

    if (units == 0) {
        return LOYALTY_OK;
    }

    if (effects->nproducts == context->products_capacity) {
        capacity = effects->nproducts * 2 + 16;
        list = copy_array(context->arena, effects->products,
                          effects->nproducts, capacity - effects->nproducts,
                          sizeof(*list));
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
static void
merge_products(loyalty_effects_t *effects)
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
static loyalty_status_t
count_products(context_t *context, const loyalty_order_attempt_t *attempt,
               int64_t sign)
{
    const loyalty_order_line_t *line;
    loyalty_status_t rc;

    for (line = attempt->lines; line < attempt->lines + attempt->nlines;
         line++) {
        rc = add_product(context, line->sku,
                         sign * (line->quantity - line->returned));
        if (rc != LOYALTY_OK) {
            return rc;
        }
    }

    return LOYALTY_OK;
}

static loyalty_status_t
count_order(context_t *context, int64_t orders, int64_t spend)
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
    return rc;
}

/* What the attempt counts for now; `life` is what its points changed. */
static void
contribute(context_t *context, const loyalty_order_attempt_t *attempt,
           int64_t life_before)
{
    const loyalty_contribution_t *old;
    loyalty_contribution_t new = {
        .order_id = context->order->id,
        .placed_at = attempt->placed_at,
        .counts = attempt->counts,
    };

    old = loyalty_member_contribution(context->member, new.order_id);
    new.points = (old == NULL ? 0 : old->points)
                 + context->member->points.life - life_before;
    if (attempt->phase == LOYALTY_PHASE_EARNED) {
        new.spend = attempt->total - attempt->returned;
    }

    loyalty_member_contribute(context->member, &new);
    context->moved = true;
}

static loyalty_status_t
points_of(context_t *context, const loyalty_order_attempt_t *attempt,
          int64_t *points)
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

static loyalty_lot_t
lot_of(context_t *context, const loyalty_order_attempt_t *attempt,
       int64_t points)
{
    const loyalty_settings_t *settings = &context->program->settings;
    loyalty_lot_t lot = {
        .id = context->order->id,
        .amount = points,
        .created_at = attempt->earned_at,
        .starts_at = attempt->earned_at
                     + settings->points_pending_days * LOYALTY_DAY,
        .expires_at = LOYALTY_NEVER,
        .earned = true,
    };

    if (settings->points_expire_days > 0) {
        lot.expires_at = lot.starts_at
                         + settings->points_expire_days * LOYALTY_DAY;
    }
    return lot;
}

static loyalty_status_t
pend(context_t *context, loyalty_order_attempt_t *attempt)
{
    loyalty_status_t rc;
    loyalty_lot_t lot;
    int64_t points;

    rc = points_of(context, attempt, &points);
    if (rc != LOYALTY_OK) {
        return rc;
    }

    attempt->phase = LOYALTY_PHASE_PENDING;
    attempt->points = points;
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

static loyalty_status_t
earn(context_t *context, loyalty_order_attempt_t *attempt)
{
    loyalty_ledger_t *ledger = &context->member->points;
    int64_t life = ledger->life, points;
    bool pending = attempt->phase == LOYALTY_PHASE_PENDING
                   && attempt->points > 0;
    loyalty_status_t rc;
    loyalty_lot_t lot;

    rc = points_of(context, attempt, &points);
    if (rc != LOYALTY_OK) {
        return rc;
    }

    lot = lot_of(context, attempt, points);

    if (pending) {
        rc = loyalty_ledger_start(ledger, &lot, &context->cause,
                                  context->arena, &context->effects->points);
    } else if (points > 0) {
        rc = loyalty_ledger_credit(ledger, LOYALTY_ENTRY_EARN, &lot,
                                   &context->cause, context->arena,
                                   &context->effects->points);
    }

    if (rc != LOYALTY_OK
        || (rc = count_order(context, 1, attempt->total)) != LOYALTY_OK
        || (rc = count_products(context, attempt, 1)) != LOYALTY_OK) {
        return rc;
    }

    attempt->phase = LOYALTY_PHASE_EARNED;
    attempt->counts = true;
    attempt->points = points;
    attempt->expires_at = lot.expires_at;
    contribute(context, attempt, life);
    return LOYALTY_OK;
}

static loyalty_status_t
take_points(context_t *context, const loyalty_order_attempt_t *attempt,
            int64_t points)
{
    if (points == 0) {
        return LOYALTY_OK;
    }

    return loyalty_ledger_revoke(&context->member->points, context->order->id,
                                 attempt->expires_at, points,
                                 context->program->settings.return_policy,
                                 &context->cause, context->arena,
                                 &context->effects->points);
}

static loyalty_status_t
undo(context_t *context, loyalty_order_attempt_t *attempt)
{
    int64_t life = context->member->points.life;
    loyalty_status_t rc;

    rc = take_points(context, attempt, attempt->points - attempt->revoked);
    if (rc != LOYALTY_OK) {
        return rc;
    }
    attempt->revoked = attempt->points;

    if (attempt->phase == LOYALTY_PHASE_EARNED) {
        rc = count_order(context, attempt->counts ? -1 : 0,
                         attempt->returned - attempt->total);
        if (rc == LOYALTY_OK) {
            rc = count_products(context, attempt, -1);
        }
        if (rc != LOYALTY_OK) {
            return rc;
        }
    }

    attempt->phase = LOYALTY_PHASE_NONE;
    attempt->counts = false;
    contribute(context, attempt, life);
    return LOYALTY_OK;
}

/* What the next `quantity` units of a line are worth: the amount of all
 * returned so far, rounded half up, less what those before were worth. */
static loyalty_status_t
worth_of_units(const loyalty_order_line_t *line, int64_t quantity,
               int64_t *worth)
{
    int64_t before, after;
    loyalty_status_t rc;

    if ((rc = loyalty_mul_div(line->amount, line->returned, line->quantity,
                              LOYALTY_ROUND_HALF_UP, &before)) != LOYALTY_OK
        || (rc = loyalty_mul_div(line->amount, line->returned + quantity,
                                 line->quantity, LOYALTY_ROUND_HALF_UP,
                                 &after)) != LOYALTY_OK) {
        return rc;
    }

    *worth = after - before;
    return LOYALTY_OK;
}

/* Returns the units of one refund line, over the order's lines of that SKU;
 * *worth by the order's amounts. */
static loyalty_status_t
return_units(context_t *context, loyalty_order_attempt_t *attempt,
             const loyalty_order_line_t *returned, int64_t *worth)
{
    int64_t rest = returned->quantity, units, part;
    loyalty_order_line_t *line;
    loyalty_status_t rc;

    *worth = 0;

    for (line = attempt->lines;
         line < attempt->lines + attempt->nlines && rest > 0; line++) {
        units = line->quantity - line->returned;
        if (units == 0 || !loyalty_str_eq(line->sku, returned->sku)) {
            continue;
        }

        units = units < rest ? units : rest;
        if ((rc = worth_of_units(line, units, &part)) != LOYALTY_OK
            || (rc = loyalty_add(*worth, part, worth)) != LOYALTY_OK
            || (rc = add_product(context, line->sku, -units)) != LOYALTY_OK) {
            return rc;
        }
        line->returned += units;
        rest -= units;
    }

    return rest == 0 || attempt->nlines == 0
               ? LOYALTY_OK
               : refuse(context->effects, "refund_more_units_than_left");
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
value_refund(context_t *context, loyalty_order_attempt_t *attempt,
             const loyalty_refund_t *refund, int64_t *value)
{
    int64_t left = attempt->total - attempt->returned, sum = 0, worth;
    const loyalty_order_line_t *line;
    loyalty_status_t rc;

    for (line = refund->lines; line < refund->lines + refund->nlines; line++) {
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
                          : refuse(context->effects, "refund_more_than_left");
}

static loyalty_status_t
apply_refund(context_t *context, loyalty_order_attempt_t *attempt,
             loyalty_order_refund_t *refund)
{
    int64_t life = context->member->points.life, value, due = 0;
    loyalty_order_line_t *line;
    loyalty_status_t rc;
    bool whole;

    rc = value_refund(context, attempt, &refund->refund, &value);
    if (rc != LOYALTY_OK) {
        return rc;
    }

    attempt->returned += value;
    whole = attempt->returned == attempt->total
            && (attempt->total > 0 || all_units_returned(attempt)
                || (refund->refund.amount < 0 && refund->refund.nlines == 0));

    if (attempt->total > 0) {
        rc = loyalty_mul_div(attempt->points, attempt->returned,
                             attempt->total, LOYALTY_ROUND_FLOOR, &due);
        if (rc != LOYALTY_OK) {
            return rc;
        }
    }

    if (whole) {
        rc = count_products(context, attempt, -1);
        if (rc != LOYALTY_OK) {
            return rc;
        }
        for (line = attempt->lines; line < attempt->lines + attempt->nlines;
             line++) {
            line->returned = line->quantity;
        }
    }

    if ((rc = count_order(context, whole && attempt->counts ? -1 : 0, -value))
            != LOYALTY_OK
        || (rc = take_points(context, attempt, due - attempt->revoked))
               != LOYALTY_OK) {
        return rc;
    }

    attempt->revoked = due;
    attempt->counts = attempt->counts && !whole;
    refund->value = value;
    contribute(context, attempt, life);
    return LOYALTY_OK;
}

static loyalty_status_t
drop_refund(context_t *context, const loyalty_order_attempt_t *attempt,
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
 * The refunds that waited.  One that comes to more than is left would have
 * been refused in its turn: it goes, and is named in the effects, unless it
 * is the event itself.
 */
static loyalty_status_t
apply_refunds(context_t *context, loyalty_order_attempt_t *attempt)
{
    const loyalty_order_event_t *event = context->event;
    loyalty_effects_t *effects = context->effects;
    loyalty_order_line_t *lines;
    loyalty_order_refund_t *refund;
    size_t i, kept = 0, nproducts;
    loyalty_status_t rc;

    for (i = 0; i < attempt->nrefunds; i++) {
        refund = &attempt->refunds[i];

        if (refund->value < 0) {
            nproducts = effects->nproducts;
            lines = copy_array(context->arena, attempt->lines,
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

static loyalty_status_t
restore_spendings(context_t *context)
{
    loyalty_order_t *order = context->order;
    loyalty_status_t rc;
    size_t i;

    for (i = 0; i < order->nspendings; i++) {
        if (order->spendings[i].restored) {
            continue;
        }
        rc = loyalty_ledger_restore(&context->member->points,
                                    &order->spendings[i].spending,
                                    &context->cause, context->arena,
                                    &context->effects->points);
        if (rc != LOYALTY_OK) {
            return rc;
        }
        order->spendings[i].restored = true;
        context->moved = true;
    }

    return LOYALTY_OK;
}

static void
retier(context_t *context)
{
    if (context->program->settings.active) {
        loyalty_member_retier(context->member, context->program,
                              context->now);
    }
}

/* The units and the dates may be known better than when it earned. */
static loyalty_status_t
correct(context_t *context, loyalty_order_attempt_t *attempt,
        const loyalty_order_attempt_t *before)
{
    int64_t life = context->member->points.life;
    loyalty_lot_t lot;

    if (attempt->earned_at != before->earned_at && attempt->points > 0) {
        lot = lot_of(context, attempt, attempt->points);
        loyalty_ledger_redate(&context->member->points, &lot);
        context->moved = true;
        attempt->expires_at = lot.expires_at;
    }

    if (attempt->placed_at != before->placed_at) {
        contribute(context, attempt, life);
    }

    return before->nlines == 0 ? count_products(context, attempt, 1)
                               : LOYALTY_OK;
}

static loyalty_status_t
reconcile(context_t *context, const loyalty_order_t *before)
{
    loyalty_order_t *order = context->order;
    loyalty_order_attempt_t *force, *attempt;
    const loyalty_order_attempt_t *old;
    loyalty_status_t rc = LOYALTY_OK;
    bool cancelled;
    size_t i;

    force = in_force(order, &cancelled);

    for (i = 0; i < order->nattempts; i++) {
        attempt = &order->attempts[i];
        if (attempt != force && attempt->phase != LOYALTY_PHASE_NONE) {
            rc = undo(context, attempt);
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

    if (!has_earned(force)) {
        return force->phase == LOYALTY_PHASE_NONE ? pend(context, force)
                                                  : LOYALTY_OK;
    }

    if (force->phase == LOYALTY_PHASE_EARNED) {
        old = find_attempt(before, force->attempt);
        rc = correct(context, force, old);
    } else {
        rc = earn(context, force);
    }

    return rc == LOYALTY_OK ? apply_refunds(context, force) : rc;
}

/* An unknown member that orders comes into being with the order. */
static void
create_member(context_t *context)
{
    loyalty_member_t *member = context->member;

    if (!member->registered) {
        member->signed_up_at = earlier(member->signed_up_at,
                                       context->event->placed_at);
    }
}

static loyalty_outcome_t
outcome_of(const context_t *context)
{
    const loyalty_order_event_t *event = context->event;
    const loyalty_order_attempt_t *attempt;

    if (context->member == NULL) {
        return LOYALTY_GUEST;
    }

    attempt = find_attempt(context->order, event->attempt);

    if (event->status == LOYALTY_ORDER_REFUNDED) {
        return find_refund(attempt, event->refund.id)->value < 0
                   ? LOYALTY_HELD
                   : LOYALTY_APPLIED;
    }
    if (event->status == LOYALTY_ORDER_CANCELLED) {
        return !has_earned(attempt) && !is_placed(attempt) ? LOYALTY_HELD
                                                           : LOYALTY_APPLIED;
    }
    return LOYALTY_APPLIED;
}

static bool
is_changed(const context_t *context, const loyalty_member_t *before)
{
    const loyalty_member_t *after = context->member;

    return context->moved || before->version == 0
           || before->signed_up_at != after->signed_up_at
           || before->below_since != after->below_since
           || !loyalty_str_eq(before->tier, after->tier)
           || !loyalty_str_eq(before->own_tier, after->own_tier);
}

static loyalty_status_t
move_member(context_t *context, loyalty_member_t *member,
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
    if (rc != LOYALTY_OK) {
        return rc;
    }

    retier(context);
    merge_products(context->effects);
    context->effects->tier_to = changed.tier;

    if (is_changed(context, member)) {
        context->effects->member_changed = true;
        changed.version++;
        *member = changed;
    }
    return LOYALTY_OK;
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
                    loyalty_order_t **order,
                    const loyalty_order_event_t *event, loyalty_instant_t now,
                    loyalty_arena_t *arena, loyalty_effects_t *effects)
{
    context_t context = {
        .program = program,
        .event = event,
        .now = now,
        .arena = arena,
        .effects = effects,
        .cause = {.at = event->occurred_at,
                  .order = event->order_id,
                  .by = loyalty_str("system"),
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
        rc = compare(*order, event, effects, &duplicate);
        if (rc != LOYALTY_OK) {
            return rc;
        }
        if (duplicate) {
            effects->outcome = LOYALTY_DUPLICATE;
            return LOYALTY_OK;
        }
    }

    if ((rc = copy_order(*order, event, arena, &context.order)) != LOYALTY_OK
        || (rc = enter_event(&context)) != LOYALTY_OK) {
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
    }

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
            return conflict(effects, "exists_with_different_member");
        }

        found = find_spending(*order, id);
        if (found != NULL) {
            effects->outcome = LOYALTY_DUPLICATE;
            return found->spending.amount == amount
                       ? LOYALTY_OK
                       : conflict(effects, "exists_with_different_amount");
        }

        in_force(*order, &cancelled);
        if (cancelled) {
            return refuse(effects, "order_cancelled");
        }
        if ((*order)->nspendings >= LOYALTY_ORDER_SPENDINGS_MAX) {
            return LOYALTY_ERROR_LIMIT;
        }
    }

    if ((rc = copy_order(*order, &event, arena, &copy)) != LOYALTY_OK
        || (rc = loyalty_member_grant(member, program, &debit, arena,
                                      effects)) != LOYALTY_OK) {
        return rc;
    }

    copy->spendings[copy->nspendings++] = spending;
    effects->order_changed = true;
    *order = copy;
    return LOYALTY_OK;
}
