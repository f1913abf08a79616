/*
 * Entering an event in an order's record.
 *
 * What an event said is kept as a mark: its total and fingerprints of its
 * lists.  A copy that says the same is a duplicate; one that says something
 * else is refused, with the name of the first field that differs.
 */

#include "loyalty_codec.h"
#include "loyalty_order_private.h"

void *
loyalty_copy_array(loyalty_arena_t *arena, const void *from, size_t n,
                   size_t more, size_t size)
{
    void *to = loyalty_alloc(arena, (n + more) * size);

    if (to != NULL && n != 0) {
        memcpy(to, from, n * size);
    }
    return to;
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
    size_t i;

    for (i = 0; i < n; i++) {
        line = &lines[i];
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

static bool
says_lines(const loyalty_order_mark_t *mark)
{
    return mark->seen && mark->lines != print_lines(NULL, 0);
}

static bool
says_redemptions(const loyalty_order_mark_t *mark)
{
    return mark->seen && mark->redemptions != print_strs(NULL, 0);
}

/* Looking up. */

loyalty_order_attempt_t *
loyalty_order_find_attempt(const loyalty_order_t *order, int32_t attempt)
{
    size_t i;

    for (i = 0; i < order->nattempts; i++) {
        if (order->attempts[i].attempt == attempt) {
            return &order->attempts[i];
        }
    }

    return NULL;
}

loyalty_order_refund_t *
loyalty_order_find_refund(const loyalty_order_attempt_t *attempt,
                          loyalty_str_t id)
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

/* The attempt in force; *cancelled: a cancellation is the last word. */
loyalty_order_attempt_t *
loyalty_order_in_force(const loyalty_order_t *order, bool *cancelled)
{
    loyalty_order_attempt_t *attempt, *earned = NULL, *placed = NULL;
    size_t i;

    *cancelled = false;

    for (i = order->nattempts; i-- > 0;) {
        attempt = &order->attempts[i];

        if (loyalty_order_is_cancelled(attempt)) {
            *cancelled = earned == NULL && placed == NULL;
            break;
        }
        if (earned == NULL && loyalty_order_has_earned(attempt)) {
            earned = attempt;
        }
        if (placed == NULL && loyalty_order_is_placed(attempt)) {
            placed = attempt;
        }
    }

    return earned != NULL ? earned : placed;
}

/* Comparing with what came before. */

static loyalty_status_t
compare_marks(const loyalty_order_mark_t *old, const loyalty_order_mark_t *new,
              loyalty_effects_t *effects)
{
    if (old->guest != new->guest) {
        return loyalty_order_conflict(effects, "exists_with_different_member");
    }
    if (old->total != new->total) {
        return loyalty_order_conflict(effects, "exists_with_different_total");
    }
    if (old->lines != new->lines) {
        return loyalty_order_conflict(effects, "exists_with_different_lines");
    }
    if (old->redemptions != new->redemptions) {
        return loyalty_order_conflict(effects,
                                      "exists_with_different_redemptions");
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
        return loyalty_order_conflict(effects, "exists_with_different_total");
    }
    if (event->nlines != 0 && says_lines(twin)
        && twin->lines != print_lines(event->lines, event->nlines)) {
        return loyalty_order_conflict(effects, "exists_with_different_lines");
    }
    if (event->nredemptions != 0 && says_redemptions(twin)
        && twin->redemptions
               != print_strs(event->redemptions, event->nredemptions)) {
        return loyalty_order_conflict(effects,
                                      "exists_with_different_redemptions");
    }
    return LOYALTY_OK;
}

/* *duplicate: the event has been here, and said the same. */
loyalty_status_t
loyalty_order_compare(const loyalty_order_t *order,
                      const loyalty_order_event_t *event,
                      loyalty_effects_t *effects, bool *duplicate)
{
    loyalty_order_attempt_t *attempt;
    loyalty_order_refund_t *refund;
    loyalty_order_mark_t *old, new;
    loyalty_status_t rc;

    if (order->member_id.len != 0 && event->member_id.len != 0
        && !loyalty_str_eq(order->member_id, event->member_id)) {
        return loyalty_order_conflict(effects, "exists_with_different_member");
    }
    if (!loyalty_str_eq(order->currency, event->currency)) {
        return loyalty_order_conflict(effects,
                                      "exists_with_different_currency");
    }

    attempt = loyalty_order_find_attempt(order, event->attempt);
    if (attempt == NULL) {
        return LOYALTY_OK;
    }

    refund = NULL;
    if (event->status == LOYALTY_ORDER_REFUNDED) {
        refund = loyalty_order_find_refund(attempt, event->refund.id);
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
        return loyalty_order_conflict(effects, "exists_with_different_refund");
    }

    *duplicate = true;
    return LOYALTY_OK;
}

/* Entering the event in the record. */

loyalty_status_t
loyalty_order_copy(const loyalty_order_t *from,
                   const loyalty_order_event_t *event, loyalty_arena_t *arena,
                   loyalty_order_t **copy)
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

    order->attempts = loyalty_copy_array(
        arena, order->attempts, order->nattempts, 1, sizeof(*order->attempts));
    order->spendings =
        loyalty_copy_array(arena, order->spendings, order->nspendings, 1,
                           sizeof(*order->spendings));
    if (order->attempts == NULL || order->spendings == NULL) {
        return LOYALTY_ERROR_MEMORY;
    }

    for (i = 0; i < order->nattempts; i++) {
        attempt = &order->attempts[i];
        attempt->refunds =
            loyalty_copy_array(arena, attempt->refunds, attempt->nrefunds, 1,
                               sizeof(*attempt->refunds));
        attempt->lines = loyalty_copy_array(
            arena, attempt->lines, attempt->nlines, 0, sizeof(*attempt->lines));
        if (attempt->refunds == NULL || attempt->lines == NULL) {
            return LOYALTY_ERROR_MEMORY;
        }
    }

    *copy = order;
    return LOYALTY_OK;
}

static loyalty_status_t
enter_attempt(loyalty_order_context_t *context, loyalty_order_attempt_t **found)
{
    loyalty_order_t *order = context->order;
    int32_t number = context->event->attempt;
    loyalty_order_attempt_t *attempt;
    size_t i;

    *found = loyalty_order_find_attempt(order, number);
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
    attempt->refunds = loyalty_alloc(context->arena, sizeof(*attempt->refunds));
    *found = attempt;
    return attempt->refunds == NULL ? LOYALTY_ERROR_MEMORY : LOYALTY_OK;
}

/* Whether the event's list is what counts: that of completed or shipped
 * before that of placed.  The event's own mark is not there yet. */
static bool
has_the_word(loyalty_order_attempt_t *attempt,
             const loyalty_order_event_t *event, size_t n, size_t known,
             bool (*says)(const loyalty_order_mark_t *mark))
{
    return n != 0
           && (known == 0
               || (event->status != LOYALTY_ORDER_PLACED
                   && !says(mark_at(attempt, LOYALTY_ORDER_COMPLETED))
                   && !says(mark_at(attempt, LOYALTY_ORDER_SHIPPED))));
}

/*
 * What the order is about: as completed or shipped says, and what these leave
 * out as placed said.
 */
static loyalty_status_t
enter_content(loyalty_order_context_t *context,
              loyalty_order_attempt_t *attempt)
{
    const loyalty_order_event_t *event = context->event;
    bool earns = event->status != LOYALTY_ORDER_PLACED;
    bool first = !loyalty_order_has_earned(attempt);

    attempt->placed_at =
        loyalty_order_earlier(attempt->placed_at, event->placed_at);
    if (earns) {
        attempt->earned_at =
            loyalty_order_earlier(attempt->earned_at, event->occurred_at);
    }
    if (first) {
        attempt->total = event->total;
    }

    if (has_the_word(attempt, event, event->nlines, attempt->nlines,
                     says_lines)) {
        attempt->lines =
            loyalty_copy_array(context->arena, event->lines, event->nlines, 0,
                               sizeof(*event->lines));
        if (attempt->lines == NULL) {
            return LOYALTY_ERROR_MEMORY;
        }
        attempt->nlines = event->nlines;
        context->new_lines = true;
    }

    if (has_the_word(attempt, event, event->nredemptions,
                     attempt->nredemptions, says_redemptions)) {
        attempt->redemptions = event->redemptions;
        attempt->nredemptions = event->nredemptions;
        context->new_redemptions = true;
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
enter_refund(loyalty_order_context_t *context, loyalty_order_attempt_t *attempt)
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

loyalty_status_t
loyalty_order_enter(loyalty_order_context_t *context)
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
