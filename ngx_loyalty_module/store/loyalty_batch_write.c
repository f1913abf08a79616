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
#include "loyalty_event.h"
#include "loyalty_member_write.h"
#include "loyalty_wallet_store.h"

static void
write_member(const loyalty_member_writer_t *writer,
             const loyalty_batch_member_t *member)
{
    loyalty_commands_t *commands = writer->commands;
    size_t i;

    loyalty_member_write(writer, member->fresh ? NULL : &member->state,
                         &member->state);

    if (member->ncounts != 0) {
        loyalty_command(commands, "HSET", 2 + member->ncounts * 2);
        loyalty_arg_key(commands, writer->scope, "h", member->id);
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
    loyalty_member_writer_t writer = {.scope = &batch->scope,
                                      .program = batch->program,
                                      .arena = &batch->loaded,
                                      .commands = commands};
    const loyalty_events_t events = {&batch->scope, batch->program, commands};
    const loyalty_batch_event_t *event;
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
            write_member(&writer, &batch->members[i]);
        }
    }

    for (i = 0; i < batch->norders; i++) {
        if (batch->orders[i].changed) {
            write_order(batch, &batch->orders[i], commands);
        }
    }

    for (i = 0; i < batch->nevents; i++) {
        event = &batch->events[i];
        if (event->status != LOYALTY_OK) {
            if (event->stream_id.len != 0) {
                write_dead_letter(batch, event, now, commands);
            }
            continue;
        }

        if (event->effects.outcome == LOYALTY_APPLIED
            || event->effects.outcome == LOYALTY_GUEST) {
            loyalty_event_order(&events, &event->event);
        }

        if (event->member != LOYALTY_BATCH_NONE) {
            loyalty_member_write_effects(&writer,
                                         batch->members[event->member].id,
                                         &event->effects);
        } else {
            loyalty_wallet_write(&batch->scope, &event->effects,
                                 &batch->loaded, commands);
            loyalty_event_effects(&events, loyalty_str_null, &event->effects);
        }
    }

    loyalty_batch_rules_write(batch, now, commands);
    loyalty_batch_write_holds(batch, commands);

    write_stats(batch, commands);
    write_acks(batch, commands);

    return true;
}
