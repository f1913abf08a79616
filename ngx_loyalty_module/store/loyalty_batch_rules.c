/*
 * Reward rules in an order's own transaction.
 *
 *   read    what the members' earlier orders say to the rules, the messages
 *           that a cancelled order may take back, the last touches
 *   fire    after each event: messages, withdrawals, conversions, in memory
 *   write   with the rest of the batch
 *
 * Nothing of it happens where no rule is on and nothing is tracked, and what
 * is read is what the rules that may still fire ask for: one round trip, a
 * second where a rule of products must look into earlier orders.
 *
 * Members are WATCHed, and whoever changes an order or a count writes its
 * member.  A message that may be withdrawn is WATCHed here: if the delivery
 * worker claims it first, the batch is done again.
 */

#include "loyalty_batch_state.h"

#include <stdlib.h>

#include "loyalty_event.h"
#include "loyalty_rule_order.h"

static bool
any_rule_on(const loyalty_program_t *program)
{
    size_t i;

    for (i = 0; program->settings.active && i < program->nrules; i++) {
        if (program->rules[i]->enabled) {
            return true;
        }
    }

    return false;
}

/* Might it fire for the member, as far as its marks say? */
static bool
may_fire(const loyalty_rule_t *rule, const loyalty_member_t *member)
{
    size_t i;

    if (!rule->enabled) {
        return false;
    }

    for (i = 0; i < member->nrule_marks && !rule->repeat; i++) {
        if (loyalty_str_eq(member->rule_marks[i].rule, rule->id)
            && member->rule_marks[i].fired > 0) {
            return false;
        }
    }

    return true;
}

static bool
wants_units(const loyalty_rule_t *rule, const loyalty_member_t *member)
{
    return rule->type == LOYALTY_RULE_PRODUCT_ORDER_COUNT
           && may_fire(rule, member);
}

static bool
event_covers(const loyalty_order_event_t *event, const loyalty_rule_t *rule)
{
    size_t i;

    for (i = 0; i < event->nlines; i++) {
        if (loyalty_rule_covers(rule, event->lines[i].sku)) {
            return true;
        }
    }

    return event->nlines == 0; /* an earlier event said what is in it */
}

/* What the events of the batch may do, by their status alone. */
static void
look_at_events(loyalty_batch_t *batch)
{
    const loyalty_program_t *program = batch->program;
    const loyalty_batch_event_t *event;
    loyalty_batch_member_t *member;
    const loyalty_rule_t *rule;
    size_t i, j;

    for (i = 0; i < batch->nevents; i++) {
        event = &batch->events[i];
        if (!event->parsed || event->member == LOYALTY_BATCH_NONE
            || batch->members[event->member].corrupt) {
            continue;
        }

        member = &batch->members[event->member];
        if (event->event.status != LOYALTY_ORDER_COMPLETED
            && event->event.status != LOYALTY_ORDER_SHIPPED) {
            member->rules.undoing = true;
            continue;
        }

        member->rules.earning = true;
        for (j = 0; batch->rules_live && j < program->nrules; j++) {
            rule = program->rules[j];
            member->rules.by_orders |= rule->type == LOYALTY_RULE_BOGO
                                       && rule->nproducts != 0
                                       && may_fire(rule, &member->state)
                                       && event_covers(&event->event, rule);
        }
    }
}

static void
key_command(loyalty_batch_t *batch, const char *name, size_t argc,
            const char *kind, loyalty_str_t rest)
{
    loyalty_command(&batch->commands, name, argc);
    loyalty_arg_key(&batch->commands, &batch->scope, kind, rest);
}

/* HGETALL, or HMGET of the rules' products one rule after another. */
static void
ask_units(loyalty_batch_t *batch, loyalty_batch_member_t *member)
{
    const loyalty_program_t *program = batch->program;
    const loyalty_rule_t *rule;
    size_t i, j, n = 0;

    for (i = 0; i < program->nrules; i++) {
        rule = program->rules[i];
        if (wants_units(rule, &member->state)) {
            n += rule->nproducts == 0 ? LOYALTY_RULE_SKUS_MAX + 1
                                      : rule->nproducts;
        }
    }

    member->rules.all_units = n > LOYALTY_RULE_SKUS_MAX;

    if (member->rules.all_units) {
        key_command(batch, "HGETALL", 2, "h", member->id);
    } else if (n != 0) {
        key_command(batch, "HMGET", 2 + n, "h", member->id);
        for (i = 0; i < program->nrules; i++) {
            rule = program->rules[i];
            for (j = 0; wants_units(rule, &member->state)
                        && j < rule->nproducts; j++) {
                loyalty_arg(&batch->commands, rule->products[j]);
            }
        }
    }
}

static void
ask_marks(loyalty_batch_t *batch, size_t index)
{
    const loyalty_batch_member_t *member = &batch->members[index];
    loyalty_batch_mark_t *mark;
    loyalty_str_t id;
    size_t i;

    for (i = 0; i < member->state.nrule_marks; i++) {
        mark = &batch->marks[batch->nmarks++];
        *mark = (loyalty_batch_mark_t){.member = index,
                                       .mark = member->state.rule_marks[i]};
        loyalty_message_id(mark->mark.rule, member->id, mark->mark.fired,
                           mark->id);
        id = loyalty_str_from(mark->id);
        key_command(batch, "WATCH", 2, "mg", id);
        key_command(batch, "HMGET", 5, "mg", id);
        loyalty_arg_text(&batch->commands, "s");
        loyalty_arg_text(&batch->commands, "o");
        loyalty_arg_text(&batch->commands, "g");
    }
}

static bool
asks_credit(const loyalty_batch_t *batch, const loyalty_batch_order_t *order)
{
    return batch->tracked && !order->fresh && !order->corrupt;
}

static loyalty_store_result_t
ask(loyalty_batch_t *batch)
{
    loyalty_batch_member_t *member;
    size_t i, n = 0, earning = 0, orders = 0;

    loyalty_commands_reset(&batch->commands);

    for (i = 0; i < batch->nmembers; i++) {
        n += batch->members[i].rules.undoing
                 ? batch->members[i].state.nrule_marks : 0;
        earning += batch->members[i].rules.earning;
    }

    batch->marks = loyalty_alloc(&batch->loaded,
                                 (n + 1) * sizeof(*batch->marks));
    if (batch->marks == NULL) {
        return LOYALTY_STORE_MEMORY;
    }

    for (i = 0; i < batch->nmembers; i++) {
        member = &batch->members[i];
        if (member->rules.earning && batch->rules_live) {
            ask_units(batch, member);
        }
        if (member->rules.by_orders) {
            key_command(batch, "ZREVRANGE", 4, "mo", member->id);
            loyalty_arg_int(&batch->commands, 0);
            loyalty_arg_int(&batch->commands, LOYALTY_RULE_ORDERS_MAX - 1);
        }
        if (member->rules.undoing) {
            ask_marks(batch, i);
        }
    }

    if (batch->tracked && earning != 0) {
        loyalty_command(&batch->commands, "MGET", 1 + earning);
        for (i = 0; i < batch->nmembers; i++) {
            if (batch->members[i].rules.earning) {
                loyalty_arg_key(&batch->commands, &batch->scope, "mt",
                                batch->members[i].id);
            }
        }
    }

    for (i = 0; i < batch->norders; i++) {
        orders += asks_credit(batch, &batch->orders[i]);
    }

    if (orders != 0) {
        loyalty_command(&batch->commands, "MGET", 1 + orders);
        for (i = 0; i < batch->norders; i++) {
            if (asks_credit(batch, &batch->orders[i])) {
                loyalty_arg_key(&batch->commands, &batch->scope, "oc",
                                batch->orders[i].id);
            }
        }
    }

    return LOYALTY_STORE_OK;
}

static int64_t
units_of(const redisReply *reply)
{
    loyalty_str_t text;
    int64_t units;

    return loyalty_reply_str(reply, &text) && loyalty_str_int(text, &units)
               ? units : 0;
}

/* Those who say no counts of SKUs were asked for took no reply. */
static bool
take_units(loyalty_batch_t *batch, loyalty_batch_member_t *member,
           redisReply ***replies)
{
    const loyalty_program_t *program = batch->program;
    const redisReply *reply = NULL;
    const loyalty_rule_t *rule;
    loyalty_str_t sku;
    size_t i, j, at = 0;

    for (i = 0; i < program->nrules; i++) {
        rule = program->rules[i];
        if (!wants_units(rule, &member->state)) {
            continue;
        }

        if (reply == NULL) {
            reply = *(*replies)++;
            if (reply->type != REDIS_REPLY_ARRAY) {
                return false;
            }
        }

        if (!member->rules.all_units) {
            for (j = 0; j < rule->nproducts && at < reply->elements; j++) {
                member->rules.before[i].units += units_of(reply->element[at++]);
            }
            continue;
        }

        for (j = 0; j + 1 < reply->elements; j += 2) {
            if (loyalty_reply_str(reply->element[j], &sku)
                && loyalty_rule_covers(rule, sku)) {
                member->rules.before[i].units +=
                    units_of(reply->element[j + 1]);
            }
        }
    }

    return true;
}

static bool
take_mark(loyalty_batch_mark_t *mark, const redisReply *reply)
{
    loyalty_str_t state, given;

    if (!loyalty_reply_array(reply, 3)
        || !loyalty_reply_str(reply->element[0], &state)
        || !loyalty_reply_str(reply->element[1], &mark->order)
        || !loyalty_reply_str(reply->element[2], &given)) {
        return false;
    }

    mark->given = given.len != 0;

    if (!loyalty_str_eq(state, loyalty_str("pending"))) {
        mark->order = loyalty_str_null;
    }

    return true;
}

static bool
take_touches(loyalty_batch_t *batch, const redisReply *reply)
{
    loyalty_batch_member_t *member;
    loyalty_str_t text;
    size_t i, n = 0;

    for (i = 0; i < batch->nmembers; i++) {
        member = &batch->members[i];
        if (!member->rules.earning) {
            continue;
        }
        if (reply->type != REDIS_REPLY_ARRAY || n >= reply->elements
            || !loyalty_reply_str(reply->element[n++], &text)) {
            return false;
        }
        (void)loyalty_touches_decode(text, &member->rules.touches);
    }

    return true;
}

static bool
take_credits(loyalty_batch_t *batch, const redisReply *reply)
{
    size_t i, n = 0;

    for (i = 0; i < batch->norders; i++) {
        if (asks_credit(batch, &batch->orders[i])
            && (reply->type != REDIS_REPLY_ARRAY || n >= reply->elements
                || !loyalty_reply_str(reply->element[n++],
                                      &batch->orders[i].converted))) {
            return false;
        }
    }

    return true;
}

/* Is the order one of the batch, which knows it better? */
static bool
is_in_batch(const loyalty_batch_t *batch, loyalty_str_t id)
{
    size_t i;

    for (i = 0; i < batch->norders; i++) {
        if (loyalty_str_eq(batch->orders[i].id, id)) {
            return true;
        }
    }

    return false;
}

/* Asks for the orders that a list names, those of the batch left out; an MGET
 * of the lease alone where none is left. */
static bool
ask_orders(loyalty_batch_t *batch, loyalty_commands_t *commands,
           const redisReply *list)
{
    loyalty_str_t id;
    size_t i, n = 0;

    if (list->type != REDIS_REPLY_ARRAY) {
        return false;
    }

    for (i = 0; i < list->elements; i++) {
        n += loyalty_reply_str(list->element[i], &id)
             && !is_in_batch(batch, id);
    }

    loyalty_command(commands, "MGET", 2 + n);
    loyalty_arg_key(commands, &batch->scope, "x", loyalty_str("lease"));
    for (i = 0; i < list->elements; i++) {
        if (loyalty_reply_str(list->element[i], &id)
            && !is_in_batch(batch, id)) {
            loyalty_arg_key(commands, &batch->scope, "o", id);
        }
    }

    return true;
}

static bool
count_orders(loyalty_batch_t *batch, loyalty_batch_member_t *member,
             const redisReply *reply)
{
    const loyalty_program_t *program = batch->program;
    loyalty_order_t *order;
    loyalty_str_t bytes;
    size_t i, j;

    if (reply->type != REDIS_REPLY_ARRAY) {
        return false;
    }

    for (i = 1; i < reply->elements; i++) {
        if (!loyalty_reply_str(reply->element[i], &bytes)) {
            return false;
        }
        if (bytes.data == NULL
            || loyalty_order_decode(bytes, &batch->loaded, &order)
                   != LOYALTY_OK) {
            continue;
        }
        for (j = 0; j < program->nrules; j++) {
            member->rules.before[j].orders +=
                loyalty_rule_counts_order(program->rules[j], order);
        }
    }

    return true;
}

static bool
take(loyalty_batch_t *batch, loyalty_commands_t *orders)
{
    redisReply **reply = batch->rule_replies.list;
    loyalty_batch_member_t *member;
    size_t i, j, mark = 0, earning = 0, credits = 0;

    for (i = 0; i < batch->nmembers; i++) {
        member = &batch->members[i];
        earning += member->rules.earning;
        if (member->rules.earning && batch->rules_live
            && !take_units(batch, member, &reply)) {
            return false;
        }
        if (member->rules.by_orders && !ask_orders(batch, orders, *reply++)) {
            return false;
        }
        for (j = 0; member->rules.undoing && j < member->state.nrule_marks;
             j++) {
            reply++; /* of WATCH */
            if (!take_mark(&batch->marks[mark++], *reply++)) {
                return false;
            }
        }
    }

    if (batch->tracked && earning != 0 && !take_touches(batch, *reply++)) {
        return false;
    }

    for (i = 0; i < batch->norders; i++) {
        credits += asks_credit(batch, &batch->orders[i]);
    }

    return credits == 0 || take_credits(batch, *reply);
}

static loyalty_store_result_t
look_into_orders(loyalty_batch_t *batch, loyalty_store_t *store,
                 const loyalty_commands_t *commands)
{
    loyalty_store_result_t result;
    size_t i, n = 0;

    if (commands->count == 0) {
        return LOYALTY_STORE_OK;
    }

    result = loyalty_store_call(store, batch->scope.site, commands,
                                &batch->rule_orders);

    for (i = 0; i < batch->nmembers && result == LOYALTY_STORE_OK; i++) {
        if (batch->members[i].rules.by_orders
            && !count_orders(batch, &batch->members[i],
                             batch->rule_orders.list[n++])) {
            result = LOYALTY_STORE_MALFORMED;
        }
    }

    return result;
}

static loyalty_store_result_t
read_all(loyalty_batch_t *batch, loyalty_store_t *store)
{
    loyalty_store_result_t result = ask(batch);
    loyalty_commands_t orders;

    if (result != LOYALTY_STORE_OK || batch->commands.count == 0) {
        return result;
    }

    result = loyalty_store_call(store, batch->scope.site, &batch->commands,
                                &batch->rule_replies);
    if (result != LOYALTY_STORE_OK) {
        return result;
    }

    loyalty_commands_init(&orders);
    result = take(batch, &orders) ? look_into_orders(batch, store, &orders)
                                  : LOYALTY_STORE_MALFORMED;
    loyalty_commands_free(&orders);

    return result;
}

loyalty_store_result_t
loyalty_batch_rules_read(loyalty_batch_t *batch, loyalty_store_t *store)
{
    const loyalty_program_t *program = batch->program;
    loyalty_batch_member_t *member;
    size_t i;

    loyalty_replies_free(&batch->rule_replies);
    loyalty_replies_free(&batch->rule_orders);
    batch->marks = NULL;
    batch->messages = NULL;
    batch->conversions = NULL;
    batch->nmarks = batch->nmessages = batch->messages_capacity = 0;
    batch->nconversions = batch->conversions_capacity = 0;
    batch->rules_live = any_rule_on(program);
    batch->tracked = program->settings.messages.track_url.len != 0;

    if (!batch->rules_live && !batch->tracked) {
        return LOYALTY_STORE_OK;
    }

    look_at_events(batch);

    for (i = 0; i < batch->nmembers; i++) {
        member = &batch->members[i];
        if (member->rules.earning) {
            member->rules.before = loyalty_alloc(
                &batch->loaded,
                (program->nrules + 1) * sizeof(*member->rules.before));
            if (member->rules.before == NULL) {
                return LOYALTY_STORE_MEMORY;
            }
        }
    }

    return read_all(batch, store);
}

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
    loyalty_batch_conversion_t conversion = {.order = order->id};
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

static void
describe(const loyalty_batch_t *batch, const loyalty_batch_message_t *from,
         loyalty_instant_t now, char id[LOYALTY_MESSAGE_ID_SIZE],
         loyalty_message_t *message)
{
    loyalty_str_t member = batch->members[from->member].id;

    loyalty_message_id(from->rule, member, from->mark, id);
    *message = (loyalty_message_t){
        .id = loyalty_str_from(id),
        .rule = from->rule,
        .member = member,
        .order = from->order,
        .mark = from->mark,
        .channel = from->channel,
        .created_at = now,
        .due_at = from->due_at,
    };
}

/* "rule \0 member". */
static void
arg_element(loyalty_batch_t *batch, const loyalty_batch_message_t *message,
            loyalty_commands_t *commands)
{
    loyalty_str_t member = batch->members[message->member].id;
    char *data = loyalty_alloc(&batch->loaded,
                               message->rule.len + 1 + member.len);

    if (data == NULL) {
        commands->failed = true;
        return;
    }

    memcpy(data, message->rule.data, message->rule.len);
    memcpy(data + message->rule.len + 1, member.data, member.len);
    loyalty_arg(commands,
                (loyalty_str_t){data, message->rule.len + 1 + member.len});
}

/* One command for all that is blocked, one for all that no longer is. */
static void
write_blocked(loyalty_batch_t *batch, loyalty_instant_t now,
              loyalty_commands_t *commands)
{
    const loyalty_batch_message_t *message;
    size_t i, fired = 0;

    for (i = 0; i < batch->nmessages; i++) {
        fired += batch->messages[i].result == LOYALTY_RULE_FIRED;
    }

    if (fired < batch->nmessages) {
        loyalty_command(commands, "ZADD", 2 + (batch->nmessages - fired) * 2);
        loyalty_arg_key(commands, &batch->scope, "mb", loyalty_str_null);
        for (i = 0; i < batch->nmessages; i++) {
            message = &batch->messages[i];
            if (message->result != LOYALTY_RULE_FIRED) {
                loyalty_arg_int(commands,
                                now * LOYALTY_BLOCKED_SCALE
                                    + loyalty_blocked_of(message->result));
                arg_element(batch, message, commands);
            }
        }
        loyalty_command(commands, "ZREMRANGEBYRANK", 4);
        loyalty_arg_key(commands, &batch->scope, "mb", loyalty_str_null);
        loyalty_arg_int(commands, 0);
        loyalty_arg_int(commands, -LOYALTY_BLOCKED_MAX - 1);
    }

    if (fired != 0) {
        loyalty_command(commands, "ZREM", 2 + fired);
        loyalty_arg_key(commands, &batch->scope, "mb", loyalty_str_null);
        for (i = 0; i < batch->nmessages; i++) {
            message = &batch->messages[i];
            if (message->result == LOYALTY_RULE_FIRED) {
                arg_element(batch, message, commands);
            }
        }
    }
}

void
loyalty_batch_rules_write(loyalty_batch_t *batch, loyalty_instant_t now,
                          loyalty_commands_t *commands)
{
    const loyalty_events_t events = {&batch->scope, batch->program, commands};
    const loyalty_batch_conversion_t *conversion;
    char id[LOYALTY_MESSAGE_ID_SIZE];
    const loyalty_batch_mark_t *mark;
    loyalty_message_t message;
    size_t i;

    for (i = 0; i < batch->nmarks; i++) {
        mark = &batch->marks[i];
        if (mark->withdrawn) {
            message = (loyalty_message_t){
                .id = loyalty_str_from(mark->id),
                .rule = mark->mark.rule,
                .member = batch->members[mark->member].id,
            };
            loyalty_message_withdraw(&message, &batch->scope, commands);
        }
    }

    for (i = 0; i < batch->nmessages; i++) {
        if (batch->messages[i].result == LOYALTY_RULE_FIRED
            && !batch->messages[i].withdrawn) {
            describe(batch, &batch->messages[i], now, id, &message);
            loyalty_message_write(&message, &batch->scope, commands);
        }
    }

    write_blocked(batch, now, commands);

    for (i = 0; i < batch->nconversions; i++) {
        conversion = &batch->conversions[i];
        loyalty_message_convert(conversion->message, conversion->order,
                                conversion->at, conversion->revenue,
                                conversion->reversed, &batch->scope,
                                &batch->loaded, commands);
        if (!conversion->reversed) {
            loyalty_event_message(
                &events, LOYALTY_EVENT_MESSAGE_CONVERTED,
                &(loyalty_message_event_t){
                    .id = conversion->message,
                    .rule = loyalty_message_rule(conversion->message),
                    .order = conversion->order,
                    .revenue = conversion->revenue,
                });
        }
    }
}
