/*
 * Reward rules in an order's own transaction.
 *
 *   read    loyalty_batch_rules_read.c
 *   fire    after each event: messages, withdrawals, conversions, in memory
 *   write   loyalty_batch_rules_write.c, with the rest of the batch
 *
 * Lists of what the batch did are in the arena of what is read, and go with it
 * when the batch is done again.
 */

#include "loyalty_batch_state.h"

#include "loyalty_rule_order.h"

/* What the member has ordered of each rule's products, this order among it. */
static void
count_now(const loyalty_batch_t *batch, size_t index,
          loyalty_rule_count_t *counts)
{
    const loyalty_batch_member_t *member = &batch->members[index];
    const loyalty_rule_t *rule;
    size_t i, j;

    for (i = 0; i < batch->program->nrules; i++) {
        rule = batch->program->rules[i];
        if (!rule->enabled) {
            continue;
        }

        counts[i] = member->rules.before[i];

        if (rule->type == LOYALTY_RULE_PRODUCT_ORDER_COUNT) {
            for (j = 0; j < member->ncounts; j++) {
                if (loyalty_rule_covers(rule, member->counts[j].sku)) {
                    counts[i].units += member->counts[j].units;
                }
            }
        } else if (rule->type == LOYALTY_RULE_BOGO && rule->nproducts == 0) {
            counts[i].orders = member->state.order_count;
        } else if (rule->type == LOYALTY_RULE_BOGO) {
            for (j = 0; j < batch->norders; j++) {
                counts[i].orders +=
                    batch->orders[j].member == index
                    && loyalty_rule_counts_order(rule, batch->orders[j].record);
            }
        }
    }
}

/* Room for one more, in the arena. */
static void *
grow(loyalty_batch_t *batch, void *list, size_t n, size_t *capacity,
     size_t size)
{
    void *longer;

    if (n < *capacity) {
        return list;
    }

    longer = loyalty_alloc(&batch->loaded, (*capacity * 2 + 64) * size);
    if (longer != NULL) {
        if (n != 0) {
            memcpy(longer, list, n * size);
        }
        *capacity = *capacity * 2 + 64;
    }

    return longer;
}

static loyalty_status_t
keep_message(loyalty_batch_t *batch, const loyalty_batch_event_t *event,
             const loyalty_rule_message_t *message)
{
    batch->messages = grow(batch, batch->messages, batch->nmessages,
                           &batch->messages_capacity,
                           sizeof(*batch->messages));
    if (batch->messages == NULL) {
        return LOYALTY_ERROR_MEMORY;
    }

    batch->messages[batch->nmessages++] = (loyalty_batch_message_t){
        .member = event->member,
        .rule = message->rule->id,
        .channel = message->rule->channel,
        .result = message->result,
        .repeat = message->rule->repeat,
        .event = event,
        .mark = message->mark,
        .order = event->event.order_id,
        .due_at = message->due_at,
    };

    return LOYALTY_OK;
}

static loyalty_status_t
fire(loyalty_batch_t *batch, const loyalty_batch_event_t *event,
     const loyalty_order_attempt_t *attempt, loyalty_instant_t now)
{
    loyalty_batch_member_t *member = &batch->members[event->member];
    loyalty_rule_facts_t facts = {.order_total = attempt->total,
                                  .nskus = attempt->nlines,
                                  .at = now};
    loyalty_rule_message_t *messages;
    loyalty_rule_count_t *counts;
    loyalty_str_t *skus;
    loyalty_status_t rc;
    size_t i, n;

    skus = loyalty_alloc(&batch->loaded, (facts.nskus + 1) * sizeof(*skus));
    counts = loyalty_alloc(&batch->loaded,
                           (batch->program->nrules + 1) * sizeof(*counts));
    if (skus == NULL || counts == NULL) {
        return LOYALTY_ERROR_MEMORY;
    }

    for (i = 0; i < facts.nskus; i++) {
        skus[i] = attempt->lines[i].sku;
    }
    count_now(batch, event->member, counts);
    facts.skus = skus;
    facts.counts = counts;

    rc = loyalty_rules_fire(batch->program, &member->state, &facts,
                            &batch->loaded, &messages, &n);
    if (rc != LOYALTY_OK) {
        /* Too many marks: the order counts, its messages do not. */
        return rc == LOYALTY_ERROR_MEMORY ? rc : LOYALTY_OK;
    }

    for (i = 0; i < n && rc == LOYALTY_OK; i++) {
        member->changed |= messages[i].result == LOYALTY_RULE_FIRED;
        rc = keep_message(batch, event, &messages[i]);
    }

    return rc;
}

/* The order is no more: its messages that are still pending are not sent. */
static loyalty_status_t
withdraw(loyalty_batch_t *batch, const loyalty_batch_event_t *event)
{
    loyalty_batch_member_t *member = &batch->members[event->member];
    loyalty_str_t order = batch->orders[event->order].id;
    loyalty_batch_message_t *message;
    loyalty_batch_mark_t *mark;
    loyalty_status_t rc = LOYALTY_OK;
    size_t i;

    for (i = 0; i < batch->nmarks && rc == LOYALTY_OK; i++) {
        mark = &batch->marks[i];
        if (mark->member == event->member && !mark->withdrawn
            && mark->order.len != 0 && loyalty_str_eq(mark->order, order)) {
            /* What it gives was booked when it was first tried to be sent:
             * the rule stays fired, so as not to give it again. */
            if (!mark->given) {
                rc = loyalty_rules_withdraw(&member->state, mark->mark.rule,
                                            mark->mark.fired, &batch->loaded);
                member->changed = true;
            }
            mark->withdrawn = true;
        }
    }

    for (i = batch->nmessages; i-- > 0 && rc == LOYALTY_OK;) {
        message = &batch->messages[i];
        if (message->member == event->member && !message->withdrawn
            && message->result == LOYALTY_RULE_FIRED
            && loyalty_str_eq(message->order, order)) {
            rc = loyalty_rules_withdraw(&member->state, message->rule,
                                        message->mark, &batch->loaded);
            message->withdrawn = true;
        }
    }

    return rc;
}

static loyalty_status_t
credit(loyalty_batch_t *batch, const loyalty_batch_conversion_t *conversion)
{
    batch->conversions = grow(batch, batch->conversions, batch->nconversions,
                              &batch->conversions_capacity,
                              sizeof(*batch->conversions));
    if (batch->conversions == NULL) {
        return LOYALTY_ERROR_MEMORY;
    }

    batch->conversions[batch->nconversions++] = *conversion;
    return LOYALTY_OK;
}

/* The last touch before the order, or the end of what it was credited to. */
static loyalty_status_t
convert(loyalty_batch_t *batch, const loyalty_batch_event_t *event,
        const loyalty_order_attempt_t *attempt)
{
    const loyalty_touches_t *touches =
        &batch->members[event->member].rules.touches;
    loyalty_batch_order_t *order = &batch->orders[event->order];
    loyalty_batch_conversion_t conversion = {.member = event->member,
                                             .order = order->id};
    size_t i;

    if (attempt == NULL) {
        /* One of this very batch simply does not happen. */
        for (i = batch->nconversions; i-- > 0;) {
            if (loyalty_str_eq(batch->conversions[i].order, order->id)) {
                batch->conversions[i] =
                    batch->conversions[--batch->nconversions];
                return LOYALTY_OK;
            }
        }
        conversion.reversed = true;
        if (!loyalty_message_credit(order->converted, &conversion.revenue,
                                    &conversion.message)) {
            return LOYALTY_OK;
        }
        order->converted = loyalty_str_null;
        return credit(batch, &conversion);
    }

    conversion.message = loyalty_touch_of(
        touches, batch->program->settings.attribution_days,
        attempt->placed_at);
    conversion.at = attempt->placed_at;
    conversion.revenue = attempt->total;

    return conversion.message.len == 0 || order->converted.len != 0
               ? LOYALTY_OK : credit(batch, &conversion);
}

loyalty_status_t
loyalty_batch_rules_fire(loyalty_batch_t *batch,
                         const loyalty_batch_event_t *event,
                         loyalty_instant_t now)
{
    const loyalty_order_attempt_t *attempt;
    loyalty_status_t rc = LOYALTY_OK;

    if ((!batch->rules_live && !batch->tracked)
        || event->member == LOYALTY_BATCH_NONE
        || event->effects.order_delta == 0) {
        return LOYALTY_OK;
    }

    attempt = loyalty_order_counted(batch->orders[event->order].record);

    if (event->effects.order_delta < 0) {
        rc = withdraw(batch, event);
        attempt = NULL;
    } else if (attempt == NULL) {
        return LOYALTY_OK;
    } else if (batch->rules_live
               && batch->members[event->member].rules.before != NULL) {
        rc = fire(batch, event, attempt, now);
    }

    return rc == LOYALTY_OK && batch->tracked
               ? convert(batch, event, attempt) : rc;
}
