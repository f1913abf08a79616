/*
 * Writing a batch.  Commands of an order that earns, beside what is once a
 * batch: SET member, SET order, XADD ledger, HSET products, ZADD its list;
 * ZADD the index for a new member.
 *
 *   MULTI
 *   SET lease, renewed with the transaction
 *   SET, XADD, HSET, ZADD ...
 *   XADD dead letters
 *   HINCRBY stats
 *   XACK, XTRIM          the caller adds its own, then EXEC
 */

#include "loyalty_batch_state.h"

/* Fields of a ledger entry in its stream, short because there are many. */
static void
write_entry(const loyalty_scope_t *scope, const char *kind, loyalty_str_t id,
            const loyalty_entry_t *entry, loyalty_commands_t *commands)
{
    const loyalty_cause_t *cause = &entry->cause;
    const struct {
        const char *name;
        loyalty_str_t value;
    } texts[] = {
        {"l", loyalty_str_eq(entry->lot, cause->order) ? loyalty_str_null
                                                       : entry->lot},
        {"o", cause->order},  {"f", cause->offer},  {"g", cause->group},
        {"b", cause->by},     {"r", cause->reason},
    };
    size_t i, fields = 4;
    bool expires = entry->expires_at != LOYALTY_NEVER
                   && entry->expires_at != LOYALTY_UNKNOWN;

    fields += expires;
    for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        fields += texts[i].value.len != 0;
    }

    loyalty_command(commands, "XADD", 3 + fields * 2);
    loyalty_arg_key(commands, scope, kind, id);
    loyalty_arg_text(commands, "*");
    loyalty_arg_text(commands, "n");
    loyalty_arg_int(commands, (int64_t)entry->seq);
    loyalty_arg_text(commands, "k");
    loyalty_arg_text(commands, loyalty_entry_kind_name(entry->kind));
    loyalty_arg_text(commands, "a");
    loyalty_arg_int(commands, entry->amount);
    loyalty_arg_text(commands, "t");
    loyalty_arg_int(commands, cause->at);
    if (expires) {
        loyalty_arg_text(commands, "x");
        loyalty_arg_int(commands, entry->expires_at);
    }
    for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (texts[i].value.len != 0) {
            loyalty_arg_text(commands, texts[i].name);
            loyalty_arg(commands, texts[i].value);
        }
    }
}

static void
write_member(loyalty_batch_t *batch, const loyalty_batch_member_t *member,
             loyalty_commands_t *commands)
{
    loyalty_str_t bytes;
    size_t i;

    if (loyalty_member_encode(&member->state, &batch->loaded, &bytes)
        != LOYALTY_OK) {
        commands->failed = true;
        return;
    }

    loyalty_command(commands, "SET", 3);
    loyalty_arg_key(commands, &batch->scope, "m", member->id);
    loyalty_arg(commands, bytes);

    if (member->fresh) {
        loyalty_command(commands, "ZADD", 4);
        loyalty_arg_key(commands, &batch->scope, "mi", loyalty_str_null);
        loyalty_arg_int(commands, 0);
        loyalty_arg(commands, member->id);
    }

    if (member->ncounts != 0) {
        loyalty_command(commands, "HSET", 2 + member->ncounts * 2);
        loyalty_arg_key(commands, &batch->scope, "h", member->id);
        for (i = 0; i < member->ncounts; i++) {
            loyalty_arg(commands, member->counts[i].sku);
            loyalty_arg_int(commands, member->counts[i].units);
        }
    }
}

static void
write_order(loyalty_batch_t *batch, const loyalty_batch_order_t *order,
            loyalty_commands_t *commands)
{
    loyalty_str_t bytes;

    if (loyalty_order_encode(order->record, &batch->loaded, &bytes)
        != LOYALTY_OK) {
        commands->failed = true;
        return;
    }

    loyalty_command(commands, "SET", 3);
    loyalty_arg_key(commands, &batch->scope, "o", order->id);
    loyalty_arg(commands, bytes);

    if (order->member != LOYALTY_BATCH_NONE) {
        loyalty_command(commands, "ZADD", 4);
        loyalty_arg_key(commands, &batch->scope, "mo",
                        batch->members[order->member].id);
        loyalty_arg_int(commands, loyalty_order_placed_at(order->record));
        loyalty_arg(commands, order->id);
    }
}

static void
write_entries(loyalty_batch_t *batch, const loyalty_batch_event_t *event,
              loyalty_commands_t *commands)
{
    const loyalty_effects_t *effects = &event->effects;
    loyalty_str_t id;
    size_t i;

    if (event->member == LOYALTY_BATCH_NONE) {
        return;
    }

    id = batch->members[event->member].id;

    for (i = 0; i < effects->points.n; i++) {
        write_entry(&batch->scope, "l", id, &effects->points.list[i],
                    commands);
    }
    for (i = 0; i < effects->credits.n; i++) {
        write_entry(&batch->scope, "c", id, &effects->credits.list[i],
                    commands);
    }
}

static void
write_dead_letter(loyalty_batch_t *batch, const loyalty_batch_event_t *event,
                  loyalty_instant_t now, loyalty_commands_t *commands)
{
    loyalty_command(commands, "XADD", 17);
    loyalty_arg_key(commands, &batch->scope, "s", loyalty_str("dead"));
    loyalty_arg_text(commands, "*");
    loyalty_arg_text(commands, "e");
    loyalty_arg(commands, event->payload);
    loyalty_arg_text(commands, "i");
    loyalty_arg(commands, event->journal_id);
    loyalty_arg_text(commands, "s");
    loyalty_arg(commands, event->stream_id);
    loyalty_arg_text(commands, "r");
    loyalty_arg_text(commands, event->code);
    loyalty_arg_text(commands, "m");
    loyalty_arg(commands, event->message);
    loyalty_arg_text(commands, "p");
    loyalty_arg(commands, event->pointer);
    loyalty_arg_text(commands, "t");
    loyalty_arg_int(commands, now);
}

static void
write_stat(loyalty_batch_t *batch, const char *name, int64_t n,
           loyalty_commands_t *commands)
{
    if (n != 0) {
        loyalty_command(commands, "HINCRBY", 4);
        loyalty_arg_key(commands, &batch->scope, "x", loyalty_str("stats"));
        loyalty_arg_text(commands, name);
        loyalty_arg_int(commands, n);
    }
}

static void
write_stats(loyalty_batch_t *batch, loyalty_commands_t *commands)
{
    int64_t outcomes[LOYALTY_GUEST + 1] = {0}, dead = 0;
    const loyalty_batch_event_t *event;
    size_t i;

    for (i = 0; i < batch->nevents; i++) {
        event = &batch->events[i];
        if (event->status == LOYALTY_OK) {
            outcomes[event->effects.outcome]++;
        } else if (event->stream_id.len != 0) {
            dead++;
        }
    }

    write_stat(batch, "applied", outcomes[LOYALTY_APPLIED], commands);
    write_stat(batch, "duplicates", outcomes[LOYALTY_DUPLICATE], commands);
    write_stat(batch, "held", outcomes[LOYALTY_HELD], commands);
    write_stat(batch, "guests", outcomes[LOYALTY_GUEST], commands);
    write_stat(batch, "dead", dead, commands);
}

/* The events are sorted by id, so all before the last are acknowledged: the
 * stream gives up its whole nodes before it. */
static void
write_acks(loyalty_batch_t *batch, loyalty_commands_t *commands)
{
    loyalty_str_t last = loyalty_str_null;
    size_t i, n = 0;

    for (i = 0; i < batch->nevents; i++) {
        n += batch->events[i].stream_id.len != 0;
    }

    if (n == 0) {
        return;
    }

    loyalty_command(commands, "XACK", 3 + n);
    loyalty_arg_key(commands, &batch->scope, "s", loyalty_str("orders"));
    loyalty_arg_text(commands, LOYALTY_BATCH_GROUP);
    for (i = 0; i < batch->nevents; i++) {
        if (batch->events[i].stream_id.len != 0) {
            last = batch->events[i].stream_id;
            loyalty_arg(commands, last);
        }
    }

    loyalty_command(commands, "XTRIM", 5);
    loyalty_arg_key(commands, &batch->scope, "s", loyalty_str("orders"));
    loyalty_arg_text(commands, "MINID");
    loyalty_arg_text(commands, "~");
    loyalty_arg(commands, last);
}

static bool
is_idle(const loyalty_batch_t *batch)
{
    size_t i;

    for (i = 0; i < batch->nevents; i++) {
        if (batch->events[i].stream_id.len != 0
            || batch->events[i].status == LOYALTY_OK) {
            return false;
        }
    }

    return true;
}

bool
loyalty_batch_write(loyalty_batch_t *batch, loyalty_str_t lease,
                    int64_t lease_ms, loyalty_instant_t now,
                    loyalty_commands_t *commands)
{
    size_t i;

    if (is_idle(batch)) {
        return false;
    }

    loyalty_command(commands, "MULTI", 1);

    if (lease.len != 0) {
        loyalty_command(commands, "SET", 5);
        loyalty_arg_key(commands, &batch->scope, "x", loyalty_str("lease"));
        loyalty_arg(commands, lease);
        loyalty_arg_text(commands, "PX");
        loyalty_arg_int(commands, lease_ms);
    }

    for (i = 0; i < batch->nmembers; i++) {
        if (batch->members[i].changed) {
            write_member(batch, &batch->members[i], commands);
        }
    }

    for (i = 0; i < batch->norders; i++) {
        if (batch->orders[i].changed) {
            write_order(batch, &batch->orders[i], commands);
        }
    }

    for (i = 0; i < batch->nevents; i++) {
        if (batch->events[i].status == LOYALTY_OK) {
            write_entries(batch, &batch->events[i], commands);
        } else if (batch->events[i].stream_id.len != 0) {
            write_dead_letter(batch, &batch->events[i], now, commands);
        }
    }

    write_stats(batch, commands);
    write_acks(batch, commands);

    return true;
}
