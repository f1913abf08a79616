/*
 * What rules did not fire, and why: a member has one element of mb for all of
 * them, and their reasons in one field of br, so that an order with many rules
 * costs what one with a single rule does.
 *
 *   ZREM, HDEL   what fired meanwhile, the oldest where there are too many
 *   ZADD, HSET   the members of the batch, by their last event
 */

#include "loyalty_batch_state.h"

typedef struct {
    loyalty_str_t member;
    loyalty_str_t element; /* \0 member */
    loyalty_str_t reasons; /* (digit, rule, \0)... */
} entry_t;

/* What goes from mb and from br, and what comes. */
typedef struct {
    loyalty_str_t *elements, *fields;
    size_t nelements, nfields;
    entry_t *entries;
    size_t nentries;
} change_t;

/* rule \0 member */
static bool
element_of(loyalty_batch_t *batch, loyalty_str_t rule, loyalty_str_t member,
           loyalty_str_t *element)
{
    char *data = loyalty_alloc(&batch->loaded, rule.len + 1 + member.len);

    if (data == NULL) {
        return false;
    }

    if (rule.len != 0) {
        memcpy(data, rule.data, rule.len);
    }
    data[rule.len] = '\0';
    memcpy(data + rule.len + 1, member.data, member.len);
    *element = (loyalty_str_t){data, rule.len + 1 + member.len};

    return true;
}

/* One event's messages stand together; `last` is the last of them. */
static bool
reasons_of(loyalty_batch_t *batch, const loyalty_batch_message_t *last,
           loyalty_str_t *reasons)
{
    const loyalty_batch_message_t *first = last, *message;
    size_t len = last->rule.len + 2;
    char *data, *at;

    while (first > batch->messages && first[-1].event == last->event) {
        first--;
        len += first->rule.len + 2;
    }

    data = at = loyalty_alloc(&batch->loaded, len);
    if (data == NULL) {
        return false;
    }

    for (message = first; message <= last; message++) {
        if (message->result == LOYALTY_RULE_FIRED) {
            continue;
        }
        *at++ = (char)('0' + loyalty_blocked_of(message->result));
        memcpy(at, message->rule.data, message->rule.len);
        at += message->rule.len;
        *at++ = '\0';
    }

    *reasons = (loyalty_str_t){data, (size_t)(at - data)};

    return true;
}

static bool
make_room(loyalty_batch_t *batch, change_t *change)
{
    size_t fields = batch->nmembers
                    + (batch->oldest != NULL ? batch->oldest->elements : 0);
    size_t elements = batch->nmessages + fields;

    change->elements = loyalty_alloc(
        &batch->loaded, elements * sizeof(*change->elements));
    change->fields = loyalty_alloc(&batch->loaded,
                                   fields * sizeof(*change->fields));
    change->entries = loyalty_alloc(
        &batch->loaded, batch->nmembers * sizeof(*change->entries));

    return change->elements != NULL && change->fields != NULL
           && change->entries != NULL;
}

/* What was blocked when it was due, of rules that have fired since, or looked
 * at the member again. */
static bool
drop_rules(loyalty_batch_t *batch, change_t *change)
{
    const loyalty_batch_message_t *message;
    size_t i;

    for (i = 0; i < batch->nmessages; i++) {
        message = &batch->messages[i];
        if ((message->result == LOYALTY_RULE_FIRED || message->repeat)
            && !element_of(batch, message->rule,
                           batch->members[message->member].id,
                           &change->elements[change->nelements++])) {
            return false;
        }
    }

    return true;
}

static bool
list_members(loyalty_batch_t *batch, change_t *change)
{
    const loyalty_batch_message_t **last;
    loyalty_str_t element, reasons;
    size_t i;

    last = loyalty_alloc(&batch->loaded, batch->nmembers * sizeof(*last));
    if (last == NULL) {
        return false;
    }

    memset(last, 0, batch->nmembers * sizeof(*last));
    for (i = 0; i < batch->nmessages; i++) {
        last[batch->messages[i].member] = &batch->messages[i];
    }

    for (i = 0; i < batch->nmembers; i++) {
        if (last[i] == NULL) {
            continue;
        }
        if (!element_of(batch, loyalty_str_null, batch->members[i].id,
                        &element)
            || !reasons_of(batch, last[i], &reasons)) {
            return false;
        }
        if (reasons.len != 0) {
            change->entries[change->nentries++] =
                (entry_t){batch->members[i].id, element, reasons};
        } else {
            change->elements[change->nelements++] = element;
            change->fields[change->nfields++] = batch->members[i].id;
        }
    }

    return true;
}

static bool
drop_oldest(loyalty_batch_t *batch, change_t *change)
{
    int64_t over = batch->nblocked + (int64_t)change->nentries
                   - LOYALTY_BLOCKED_MAX;
    loyalty_str_t element;
    size_t i;

    if (batch->oldest == NULL || batch->oldest->type != REDIS_REPLY_ARRAY) {
        return batch->oldest == NULL;
    }

    for (i = 0; i < batch->oldest->elements && (int64_t)i < over; i++) {
        if (!loyalty_reply_str(batch->oldest->element[i], &element)
            || element.len == 0) {
            return false;
        }
        change->elements[change->nelements++] = element;
        if (element.data[0] == '\0') {
            change->fields[change->nfields++] =
                (loyalty_str_t){element.data + 1, element.len - 1};
        }
    }

    return true;
}

static void
write_list(const loyalty_batch_t *batch, const char *name, const char *kind,
           const loyalty_str_t *list, size_t n, loyalty_commands_t *commands)
{
    size_t i;

    if (n != 0) {
        loyalty_command(commands, name, 2 + n);
        loyalty_arg_key(commands, &batch->scope, kind, loyalty_str_null);
        for (i = 0; i < n; i++) {
            loyalty_arg(commands, list[i]);
        }
    }
}

void
loyalty_batch_blocked_write(loyalty_batch_t *batch, loyalty_instant_t now,
                            loyalty_commands_t *commands)
{
    change_t change = {0};
    size_t i;

    if (batch->nmessages == 0) {
        return;
    }

    if (!make_room(batch, &change) || !drop_rules(batch, &change)
        || !list_members(batch, &change) || !drop_oldest(batch, &change)) {
        commands->failed = true;
        return;
    }

    write_list(batch, "ZREM", "mb", change.elements, change.nelements,
               commands);
    write_list(batch, "HDEL", "br", change.fields, change.nfields, commands);

    if (change.nentries == 0) {
        return;
    }

    loyalty_command(commands, "ZADD", 2 + change.nentries * 2);
    loyalty_arg_key(commands, &batch->scope, "mb", loyalty_str_null);
    for (i = 0; i < change.nentries; i++) {
        loyalty_arg_int(commands, now * LOYALTY_BLOCKED_SCALE);
        loyalty_arg(commands, change.entries[i].element);
    }

    loyalty_command(commands, "HSET", 2 + change.nentries * 2);
    loyalty_arg_key(commands, &batch->scope, "br", loyalty_str_null);
    for (i = 0; i < change.nentries; i++) {
        loyalty_arg(commands, change.entries[i].member);
        loyalty_arg(commands, change.entries[i].reasons);
    }
}
