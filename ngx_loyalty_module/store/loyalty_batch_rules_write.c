/*
 * What the rules of a batch did, as commands of its MULTI: messages withdrawn
 * and made, the list of what is blocked, conversions.
 */

#include "loyalty_batch_state.h"

#include "loyalty_event.h"

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
