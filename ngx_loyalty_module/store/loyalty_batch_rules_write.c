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

    loyalty_batch_blocked_write(batch, now, commands);

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
                    .member = batch->members[conversion->member].id,
                    .order = conversion->order,
                    .revenue = conversion->revenue,
                });
        }
    }
}
