/*
 * What the rules of a batch need to know: what the members' earlier orders say,
 * the messages that a cancelled order may take back, the last touches.
 *
 * Nothing is asked where no rule is on and nothing is tracked, and only what
 * the rules that may still fire ask for: one round trip, a second where a rule
 * of products must look into earlier orders.  ask() and take() go through
 * members and orders in the same order.
 *
 * Members are WATCHed, and whoever changes an order or a count writes its
 * member.  A message that may be withdrawn is WATCHed here: if the delivery
 * worker claims it first, the batch is done again.
 */

#include "loyalty_batch_state.h"

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

    if (batch->rules_live && earning != 0) {
        key_command(batch, "ZCARD", 2, "mb", loyalty_str_null);
        key_command(batch, "ZRANGE", 4, "mb", loyalty_str_null);
        loyalty_arg_int(&batch->commands, 0);
        loyalty_arg_int(&batch->commands, (int64_t)earning * 2 - 1);
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
        earning += batch->members[i].rules.earning;
    }

    if (batch->rules_live && earning != 0) {
        if (!loyalty_reply_int(*reply++, &batch->nblocked)) {
            return false;
        }
        batch->oldest = *reply++;
    }

    for (i = 0; i < batch->nmembers; i++) {
        member = &batch->members[i];
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
    batch->nblocked = 0;
    batch->oldest = NULL;
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
