/*
 * Reading and applying a batch.  The order of commands and the order of
 * replies are those of prepare_load().
 */

#include "loyalty_batch_state.h"

#include <stdlib.h>

loyalty_batch_t *
loyalty_batch_create(void)
{
    loyalty_batch_t *batch = calloc(1, sizeof(*batch));

    if (batch != NULL) {
        loyalty_arena_init(&batch->parsed, 0);
        loyalty_arena_init(&batch->loaded, 0);
        loyalty_commands_init(&batch->commands);
        loyalty_document_init(&batch->document);
    }

    return batch;
}

void
loyalty_batch_free(loyalty_batch_t *batch)
{
    if (batch == NULL) {
        return;
    }

    loyalty_replies_free(&batch->replies);
    loyalty_replies_free(&batch->late);
    loyalty_replies_free(&batch->rule_replies);
    loyalty_replies_free(&batch->rule_orders);
    loyalty_commands_free(&batch->commands);
    loyalty_document_free(&batch->document);
    loyalty_arena_free(&batch->parsed);
    loyalty_arena_free(&batch->loaded);
    free(batch);
}

void
loyalty_batch_begin(loyalty_batch_t *batch, const loyalty_scope_t *scope,
                    const loyalty_programs_t *programs,
                    const loyalty_program_t *program)
{
    batch->scope = *scope;
    batch->programs = programs;
    batch->program = program;
    batch->nevents = 0;
    loyalty_arena_reset(&batch->parsed);
}

size_t
loyalty_batch_count(const loyalty_batch_t *batch)
{
    return batch->nevents;
}

loyalty_batch_event_t *
loyalty_batch_event(loyalty_batch_t *batch, size_t index)
{
    return &batch->events[index];
}

static void
refuse(loyalty_batch_event_t *event, loyalty_status_t status, const char *code,
       const char *message)
{
    event->status = status;
    event->code = code;
    event->message = loyalty_str_from(message);
}

void
loyalty_batch_refuse(loyalty_batch_t *batch, size_t index, const char *code,
                     const char *message)
{
    refuse(&batch->events[index], LOYALTY_ERROR_REFUSED, code, message);
    batch->events[index].parsed = false;
}

/* Keeps what is wrong with the event, the first of it as its reason. */
static void
keep_problems(loyalty_batch_t *batch, loyalty_batch_event_t *event,
              const loyalty_problems_t *problems)
{
    size_t n = problems->count < LOYALTY_PROBLEMS_MAX ? problems->count
                                                      : LOYALTY_PROBLEMS_MAX;

    refuse(event, event->status, "invalid_event", "the event is not valid");

    if (n == 0) {
        return;
    }

    event->problems = loyalty_alloc(&batch->parsed,
                                    n * sizeof(*event->problems));
    if (event->problems != NULL) {
        memcpy(event->problems, problems->list, n * sizeof(*problems->list));
        event->nproblems = n;
        event->pointer = problems->list[0].pointer;
        event->message = problems->list[0].message;
    }
}

/* The event's JSON into batch->document, a text for each name at most. */
static loyalty_status_t
read_json(loyalty_batch_t *batch, loyalty_batch_event_t *event)
{
    loyalty_document_mistake_t mistake;
    loyalty_status_t status;

    status = loyalty_document_parse(&batch->document, event->payload,
                                    &mistake);

    return status == LOYALTY_OK
               ? loyalty_document_distinct(&batch->document, &batch->parsed)
               : status;
}

static void
parse(loyalty_batch_t *batch, loyalty_batch_event_t *event,
      loyalty_instant_t now)
{
    loyalty_problems_t problems;
    loyalty_status_t status;

    status = read_json(batch, event);

    if (status == LOYALTY_ERROR_LIMIT) {
        refuse(event, status, "too_large", "the event is larger than 1 MB");
        return;
    }

    if (status != LOYALTY_OK) {
        refuse(event, status, "invalid_json",
               "the event is not a JSON object");
        return;
    }

    loyalty_problems_init(&problems, &batch->parsed);
    event->status = loyalty_order_event_parse(
        &batch->document, batch->program->settings.currency, now,
        &batch->parsed, &problems, &event->event);

    if (event->status != LOYALTY_OK) {
        keep_problems(batch, event, &problems);
        return;
    }

    event->parsed = true;
}

loyalty_status_t
loyalty_batch_add(loyalty_batch_t *batch, loyalty_str_t stream_id,
                  loyalty_str_t journal_id, loyalty_str_t payload,
                  loyalty_instant_t now)
{
    loyalty_batch_event_t *event;

    if (batch->nevents == LOYALTY_BATCH_EVENTS_MAX) {
        return LOYALTY_ERROR_LIMIT;
    }

    event = &batch->events[batch->nevents];
    *event = (loyalty_batch_event_t){0};

    if (loyalty_str_copy(&batch->parsed, stream_id, &event->stream_id)
            != LOYALTY_OK
        || loyalty_str_copy(&batch->parsed, journal_id, &event->journal_id)
            != LOYALTY_OK
        || loyalty_str_copy(&batch->parsed, payload, &event->payload)
            != LOYALTY_OK) {
        return LOYALTY_ERROR_MEMORY;
    }

    parse(batch, event, now);
    batch->nevents++;

    return event->status == LOYALTY_ERROR_MEMORY ? LOYALTY_ERROR_MEMORY
                                                 : LOYALTY_OK;
}

loyalty_status_t
loyalty_batch_reparse(loyalty_batch_t *batch, const loyalty_program_t *program,
                      loyalty_instant_t now)
{
    loyalty_batch_event_t *event;
    size_t i;

    batch->program = program;

    for (i = 0; i < batch->nevents; i++) {
        event = &batch->events[i];
        if (!event->parsed && event->nproblems == 0) {
            continue; /* no JSON, or refused otherwise: no program helps */
        }

        event->parsed = false;
        event->nproblems = 0;
        parse(batch, event, now);
        if (event->status == LOYALTY_ERROR_MEMORY) {
            return LOYALTY_ERROR_MEMORY;
        }
    }

    return LOYALTY_OK;
}

/* FNV-1a. */
static size_t
hash(loyalty_str_t id)
{
    uint32_t h = 2166136261u;
    size_t i;

    for (i = 0; i < id.len; i++) {
        h = (h ^ (unsigned char)id.data[i]) * 16777619u;
    }

    return h & (LOYALTY_BATCH_TABLE - 1);
}

static size_t
member_index(loyalty_batch_t *batch, loyalty_str_t id)
{
    size_t slot = hash(id);
    uint16_t *found;

    for (;; slot = (slot + 1) & (LOYALTY_BATCH_TABLE - 1)) {
        found = &batch->member_table.slots[slot];

        if (*found == 0) {
            batch->members[batch->nmembers] = (loyalty_batch_member_t){.id = id};
            *found = (uint16_t)++batch->nmembers;
            return batch->nmembers - 1;
        }

        if (loyalty_str_eq(batch->members[*found - 1].id, id)) {
            return (size_t)*found - 1;
        }
    }
}

static size_t
order_index(loyalty_batch_t *batch, loyalty_str_t id)
{
    size_t slot = hash(id);
    uint16_t *found;

    for (;; slot = (slot + 1) & (LOYALTY_BATCH_TABLE - 1)) {
        found = &batch->order_table.slots[slot];

        if (*found == 0) {
            batch->orders[batch->norders] =
                (loyalty_batch_order_t){.id = id, .member = LOYALTY_BATCH_NONE};
            *found = (uint16_t)++batch->norders;
            return batch->norders - 1;
        }

        if (loyalty_str_eq(batch->orders[*found - 1].id, id)) {
            return (size_t)*found - 1;
        }
    }
}

/* The members and orders that the events name. */
static void
collect(loyalty_batch_t *batch)
{
    loyalty_batch_event_t *event;
    size_t i;

    memset(&batch->member_table, 0, sizeof(batch->member_table));
    memset(&batch->order_table, 0, sizeof(batch->order_table));
    batch->nmembers = 0;
    batch->norders = 0;

    for (i = 0; i < batch->nevents; i++) {
        event = &batch->events[i];
        event->member = LOYALTY_BATCH_NONE;
        event->order = LOYALTY_BATCH_NONE;

        if (!event->parsed) {
            continue;
        }

        event->order = order_index(batch, event->event.order_id);
        if (event->event.member_id.len != 0) {
            event->member = member_index(batch, event->event.member_id);
        }
    }
}

/* WATCH and MGET of members [from, nmembers). */
static void
command_members(loyalty_batch_t *batch, const char *name, size_t from)
{
    size_t i;

    loyalty_command(&batch->commands, name, 1 + batch->nmembers - from);
    for (i = from; i < batch->nmembers; i++) {
        loyalty_arg_key(&batch->commands, &batch->scope, "m",
                        batch->members[i].id);
    }
}

static void
command_orders(loyalty_batch_t *batch, const char *name)
{
    size_t i;

    loyalty_command(&batch->commands, name, 1 + batch->norders);
    for (i = 0; i < batch->norders; i++) {
        loyalty_arg_key(&batch->commands, &batch->scope, "o",
                        batch->orders[i].id);
    }
}

static void
command_key(loyalty_batch_t *batch, const char *name, const char *kind,
            const char *rest)
{
    loyalty_command(&batch->commands, name, 2);
    loyalty_arg_key(&batch->commands, &batch->scope, kind,
                    loyalty_str_from(rest));
}

/*
 * The commands of load, and the order in which their replies come:
 * WATCH..., [GET lease], STRLEN, GETRANGE, [MGET members], [MGET orders],
 * [MGET holds], then the caller's.
 */
static void
prepare_load(loyalty_batch_t *batch, bool leased)
{
    loyalty_commands_reset(&batch->commands);

    if (leased) {
        command_key(batch, "WATCH", "x", "lease");
    }
    command_key(batch, "WATCH", "p", "");
    if (batch->nmembers != 0) {
        command_members(batch, "WATCH", 0);
    }
    if (batch->norders != 0) {
        command_orders(batch, "WATCH");
    }
    if (batch->nholds != 0) {
        loyalty_batch_command_holds(batch, "WATCH");
    }
    if (leased) {
        command_key(batch, "GET", "x", "lease");
    }
    loyalty_programs_stamp(&batch->commands, &batch->scope);
    if (batch->nmembers != 0) {
        command_members(batch, "MGET", 0);
    }
    if (batch->norders != 0) {
        command_orders(batch, "MGET");
    }
    if (batch->nholds != 0) {
        loyalty_batch_command_holds(batch, "MGET");
    }
}

static bool
take_member(loyalty_batch_t *batch, size_t index, const redisReply *reply)
{
    loyalty_batch_member_t *member = &batch->members[index];
    loyalty_str_t bytes;

    if (!loyalty_reply_str(reply, &bytes)) {
        return false;
    }

    if (bytes.data == NULL) {
        member->fresh = true;
        loyalty_member_init(&member->state, member->id);
        return true;
    }

    member->corrupt = loyalty_member_decode(bytes, &batch->loaded,
                                            &member->state) != LOYALTY_OK;
    return true;
}

static bool
take_order(loyalty_batch_t *batch, size_t index, const redisReply *reply)
{
    loyalty_batch_order_t *order = &batch->orders[index];
    loyalty_str_t bytes;

    if (!loyalty_reply_str(reply, &bytes)) {
        return false;
    }

    if (bytes.data == NULL) {
        order->fresh = true;
        return true;
    }

    order->corrupt = loyalty_order_decode(bytes, &batch->loaded,
                                          &order->record) != LOYALTY_OK;
    return true;
}

static bool
take_members(loyalty_batch_t *batch, size_t from, const redisReply *reply)
{
    size_t i;

    if (!loyalty_reply_array(reply, batch->nmembers - from)) {
        return false;
    }

    for (i = 0; i < reply->elements; i++) {
        if (!take_member(batch, from + i, reply->element[i])) {
            return false;
        }
    }

    batch->nread = batch->nmembers;
    return true;
}

static bool
take_orders(loyalty_batch_t *batch, const redisReply *reply)
{
    size_t i;

    if (!loyalty_reply_array(reply, batch->norders)) {
        return false;
    }

    for (i = 0; i < reply->elements; i++) {
        if (!take_order(batch, i, reply->element[i])) {
            return false;
        }
    }

    return true;
}

/* Events that name no member are about the order's. */
static loyalty_store_result_t
load_late_members(loyalty_batch_t *batch, loyalty_store_t *store)
{
    loyalty_batch_event_t *event;
    loyalty_store_result_t result;
    const loyalty_batch_order_t *order;
    size_t i, from = batch->nmembers;

    for (i = 0; i < batch->nevents; i++) {
        event = &batch->events[i];
        if (event->order == LOYALTY_BATCH_NONE || event->member != LOYALTY_BATCH_NONE) {
            continue;
        }

        order = &batch->orders[event->order];
        if (order->record != NULL && order->record->member_id.len != 0) {
            event->member = member_index(batch, order->record->member_id);
        }
    }

    if (from == batch->nmembers) {
        return LOYALTY_STORE_OK;
    }

    loyalty_commands_reset(&batch->commands);
    command_members(batch, "WATCH", from);
    command_members(batch, "MGET", from);
    result = loyalty_store_call(store, batch->scope.site, &batch->commands,
                                &batch->late);
    if (result != LOYALTY_STORE_OK) {
        return result;
    }

    return take_members(batch, from, batch->late.list[1])
               ? LOYALTY_STORE_OK : LOYALTY_STORE_MALFORMED;
}

/* Replies behind the load's own become the caller's. */
static loyalty_store_result_t
hand_over(loyalty_replies_t *from, size_t begin, loyalty_replies_t *to)
{
    size_t n = from->count - begin;

    loyalty_replies_free(to);
    to->list = malloc((n == 0 ? 1 : n) * sizeof(*to->list));
    if (to->list == NULL) {
        return LOYALTY_STORE_MEMORY;
    }

    memcpy(to->list, from->list + begin, n * sizeof(*to->list));
    to->count = n;
    to->capacity = n;
    from->count = begin;

    return LOYALTY_STORE_OK;
}

static bool
is_lease(const redisReply *reply, loyalty_str_t lease)
{
    loyalty_str_t value;

    return loyalty_reply_str(reply, &value) && loyalty_str_eq(value, lease);
}

loyalty_store_result_t
loyalty_batch_load(loyalty_batch_t *batch, loyalty_store_t *store,
                   loyalty_str_t lease, const loyalty_commands_t *more,
                   loyalty_replies_t *more_replies)
{
    loyalty_store_result_t result = LOYALTY_STORE_OK;
    redisReply **reply;
    size_t own;

    loyalty_arena_reset(&batch->loaded);
    loyalty_replies_free(&batch->replies);
    loyalty_replies_free(&batch->late);
    collect(batch);
    if (!loyalty_batch_collect_holds(batch)) {
        return LOYALTY_STORE_MEMORY;
    }
    prepare_load(batch, lease.len != 0);
    own = batch->commands.count;

    if (more != NULL) {
        loyalty_commands_append(&batch->commands, more);
    }

    result = loyalty_store_call(store, batch->scope.site, &batch->commands,
                                &batch->replies);

    if (result == LOYALTY_STORE_OK && more != NULL) {
        result = hand_over(&batch->replies, own, more_replies);
    }

    if (result != LOYALTY_STORE_OK) {
        return result;
    }

    reply = batch->replies.list + (lease.len != 0) + 1
            + (batch->nmembers != 0) + (batch->norders != 0)
            + (batch->nholds != 0);

    if (lease.len != 0 && !is_lease(*reply++, lease)) {
        return LOYALTY_STORE_FENCED;
    }

    if (!loyalty_programs_current(batch->programs, &batch->scope,
                                  batch->program, reply)) {
        return LOYALTY_STORE_CONFLICT;
    }

    reply += LOYALTY_PROGRAMS_STAMP_REPLIES;

    if ((batch->nmembers != 0 && !take_members(batch, 0, *reply++))
        || (batch->norders != 0 && !take_orders(batch, *reply++))
        || (batch->nholds != 0 && !loyalty_batch_take_holds(batch, *reply))) {
        return LOYALTY_STORE_MALFORMED;
    }

    result = load_late_members(batch, store);
    return result == LOYALTY_STORE_OK ? loyalty_batch_load_usage(batch, store)
                                      : result;
}

static loyalty_status_t
add_count(loyalty_batch_t *batch, loyalty_batch_member_t *member, loyalty_str_t sku,
          int64_t units)
{
    size_t i, capacity;
    loyalty_batch_count_t *counts;

    for (i = 0; i < member->ncounts; i++) {
        if (loyalty_str_eq(member->counts[i].sku, sku)) {
            member->counts[i].units += units;
            return LOYALTY_OK;
        }
    }

    if (member->ncounts == member->counts_capacity) {
        capacity = member->counts_capacity == 0 ? 16
                                                : member->counts_capacity * 2;
        counts = loyalty_alloc(&batch->loaded, capacity * sizeof(*counts));
        if (counts == NULL) {
            return LOYALTY_ERROR_MEMORY;
        }
        if (member->ncounts != 0) {
            memcpy(counts, member->counts,
                   member->ncounts * sizeof(*counts));
        }
        member->counts = counts;
        member->counts_capacity = capacity;
    }

    member->counts[member->ncounts++] = (loyalty_batch_count_t){sku, units};
    return LOYALTY_OK;
}

static const char *
refusal_of(loyalty_status_t status, const loyalty_effects_t *effects)
{
    if (effects->refusal != NULL) {
        return effects->refusal;
    }

    return status == LOYALTY_ERROR_OVERFLOW ? "overflow" : "refused";
}

/* The code as a sentence, for who sent the event or reads a dead letter. */
static const char *
explain(const char *code)
{
    static const struct {
        const char *code, *message;
    } refusals[] = {
        {"exists_with_different_member",
         "the order is on record for another member"},
        {"exists_with_different_total",
         "the order is on record with another total"},
        {"exists_with_different_lines",
         "the order is on record with other lines"},
        {"exists_with_different_redemptions",
         "the order is on record with other redemptions"},
        {"exists_with_different_currency",
         "the order is on record in another currency"},
        {"exists_with_different_refund",
         "a refund of this id is on record with another amount or lines"},
        {"refund_more_than_left",
         "the refund is more than what is left of the order's total"},
        {"refund_more_units_than_left",
         "the refund has more units than are left of a line"},
        {"overflow", "the figures come to more than can be kept"},
    };
    size_t i;

    for (i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
        if (strcmp(code, refusals[i].code) == 0) {
            return refusals[i].message;
        }
    }

    return "the event cannot be applied to the order";
}

static loyalty_status_t
apply_event(loyalty_batch_t *batch, loyalty_batch_event_t *event,
            loyalty_instant_t now)
{
    loyalty_batch_order_t *order = &batch->orders[event->order];
    loyalty_batch_member_t *member = event->member == LOYALTY_BATCH_NONE ? NULL
                                             : &batch->members[event->member];
    loyalty_order_t *before = order->record;
    size_t i;

    event->effects = (loyalty_effects_t){0};
    event->code = NULL;

    if (order->corrupt || (member != NULL && member->corrupt)) {
        refuse(event, LOYALTY_ERROR_CORRUPT,
               order->corrupt ? "corrupt_order" : "corrupt_member",
               "a stored record cannot be read");
        return LOYALTY_OK;
    }

    if (loyalty_batch_open_wallet(batch, event) != LOYALTY_OK) {
        return LOYALTY_ERROR_MEMORY;
    }

    event->status = loyalty_order_apply(batch->program,
                                        member != NULL ? &member->state : NULL,
                                        &order->record, &event->event, now,
                                        &batch->loaded, &event->effects);

    if (event->status == LOYALTY_ERROR_MEMORY) {
        return LOYALTY_ERROR_MEMORY;
    }

    if (event->status != LOYALTY_OK) {
        const char *code = refusal_of(event->status, &event->effects);

        order->record = before;
        refuse(event, event->status, code, explain(code));
        return LOYALTY_OK;
    }

    loyalty_batch_close_wallet(batch, event);
    order->changed |= event->effects.order_changed;

    if (member == NULL) {
        return LOYALTY_OK;
    }

    member->changed |= event->effects.member_changed;
    order->member = event->member;

    for (i = 0; i < event->effects.nproducts; i++) {
        if (add_count(batch, member, event->effects.products[i].sku,
                      event->effects.products[i].units) != LOYALTY_OK) {
            return LOYALTY_ERROR_MEMORY;
        }
    }

    return loyalty_batch_rules_fire(batch, event, now);
}

/* Replaces the changes of product counts by the counts to be written.  The
 * WATCH on the member covers them: whoever writes them writes the member. */
static loyalty_store_result_t
read_counts(loyalty_batch_t *batch, loyalty_store_t *store)
{
    loyalty_store_result_t result;
    loyalty_replies_t replies;
    const redisReply *reply;
    loyalty_str_t text;
    loyalty_batch_member_t *member;
    int64_t before;
    size_t i, j, n = 0;

    loyalty_commands_reset(&batch->commands);

    for (i = 0; i < batch->nmembers; i++) {
        member = &batch->members[i];
        if (member->ncounts == 0) {
            continue;
        }
        loyalty_command(&batch->commands, "HMGET", 2 + member->ncounts);
        loyalty_arg_key(&batch->commands, &batch->scope, "h", member->id);
        for (j = 0; j < member->ncounts; j++) {
            loyalty_arg(&batch->commands, member->counts[j].sku);
        }
    }

    if (batch->commands.count == 0) {
        return LOYALTY_STORE_OK;
    }

    loyalty_replies_init(&replies);
    result = loyalty_store_call(store, batch->scope.site, &batch->commands,
                                &replies);

    for (i = 0; i < batch->nmembers && result == LOYALTY_STORE_OK; i++) {
        member = &batch->members[i];
        if (member->ncounts == 0) {
            continue;
        }

        reply = replies.list[n++];
        if (!loyalty_reply_array(reply, member->ncounts)) {
            result = LOYALTY_STORE_MALFORMED;
            break;
        }

        for (j = 0; j < member->ncounts; j++) {
            if (loyalty_reply_str(reply->element[j], &text)
                && loyalty_str_int(text, &before)
                && __builtin_add_overflow(before, member->counts[j].units,
                                          &member->counts[j].units)) {
                result = LOYALTY_STORE_MALFORMED;
            }
        }
    }

    loyalty_replies_free(&replies);

    return result;
}

loyalty_store_result_t
loyalty_batch_apply(loyalty_batch_t *batch, loyalty_store_t *store,
                    loyalty_instant_t now)
{
    loyalty_store_result_t result;
    size_t i;

    result = loyalty_batch_rules_read(batch, store);
    if (result != LOYALTY_STORE_OK) {
        return result;
    }

    for (i = 0; i < batch->nevents; i++) {
        if (batch->events[i].parsed
            && apply_event(batch, &batch->events[i], now) != LOYALTY_OK) {
            return LOYALTY_STORE_MEMORY;
        }
    }

    return read_counts(batch, store);
}

const char *
loyalty_batch_outcome(const loyalty_batch_event_t *event)
{
    static const char *const names[] = {
        [LOYALTY_APPLIED] = "applied",
        [LOYALTY_DUPLICATE] = "duplicate",
        [LOYALTY_HELD] = "held",
        [LOYALTY_GUEST] = "guest",
    };

    return event->status != LOYALTY_OK ? "refused"
                                       : names[event->effects.outcome];
}
