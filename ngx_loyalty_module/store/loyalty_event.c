/*
 * The data of events, by the names that the API has for them.
 */

#include "loyalty_event.h"

#include <stdlib.h>

#include "loyalty_webhook.h"

bool
loyalty_event_wanted(const loyalty_events_t *events, loyalty_event_t event)
{
    return events->program != NULL
           && (events->program->settings.events & (unsigned)event) != 0;
}

void
loyalty_event_write(const loyalty_events_t *events, loyalty_event_t event,
                    json_t *data)
{
    loyalty_commands_t *commands = events->commands;
    char *text = data == NULL ? NULL : json_dumps(data, JSON_COMPACT);

    json_decref(data);
    if (text == NULL) {
        commands->failed = true;
        return;
    }

    loyalty_command(commands, "XADD", 7);
    loyalty_arg_key(commands, events->scope, "s", loyalty_str("events"));
    loyalty_arg_text(commands, "*");
    loyalty_arg_text(commands, "k");
    loyalty_arg_text(commands, loyalty_event_name(event));
    loyalty_arg_text(commands, "d");
    loyalty_arg_text(commands, text);
    free(text);
}

static void
set_text(json_t *object, const char *name, loyalty_str_t text)
{
    if (text.len != 0) {
        json_object_set_new(object, name, json_stringn(text.data, text.len));
    }
}

static void
set_instant(json_t *object, const char *name, loyalty_instant_t instant)
{
    char text[LOYALTY_INSTANT_SIZE];

    if (instant != LOYALTY_UNKNOWN && instant != LOYALTY_NEVER) {
        json_object_set_new(
            object, name,
            json_stringn(text, loyalty_instant_format(instant, text)));
    }
}

static void
write_points(const loyalty_events_t *events, loyalty_event_t event,
             loyalty_str_t member, const loyalty_entry_t *entry)
{
    json_t *data;

    if (!loyalty_event_wanted(events, event)) {
        return;
    }

    data = json_object();
    set_text(data, "member_id", member);
    json_object_set_new(data, "points", json_integer(entry->amount));
    json_object_set_new(data, "kind",
                        json_string(loyalty_entry_kind_name(entry->kind)));
    set_text(data, "order_id", entry->cause.order);
    set_text(data, "offer_id", entry->cause.offer);
    set_text(data, "group_id", entry->cause.group);
    set_text(data, "reason", entry->cause.reason);
    set_instant(data, "expires_at", entry->expires_at);
    set_instant(data, "occurred_at", entry->cause.at);
    loyalty_event_write(events, event, data);
}

/* The place of a status, from 1; 0: none, or it has been deleted. */
static size_t
rank_of(const loyalty_program_t *program, loyalty_str_t tier)
{
    size_t i;

    for (i = 0; i < program->ntiers; i++) {
        if (loyalty_str_eq(program->tiers[i].id, tier)) {
            return i + 1;
        }
    }

    return 0;
}

static void
write_status(const loyalty_events_t *events, loyalty_str_t member,
             const loyalty_effects_t *effects)
{
    bool up = rank_of(events->program, effects->tier_to)
              > rank_of(events->program, effects->tier_from);
    loyalty_event_t event = up ? LOYALTY_EVENT_STATUS_UP
                               : LOYALTY_EVENT_STATUS_DOWN;
    json_t *data;

    if (loyalty_str_eq(effects->tier_from, effects->tier_to)
        || !loyalty_event_wanted(events, event)) {
        return;
    }

    data = json_object();
    set_text(data, "member_id", member);
    set_text(data, "from", effects->tier_from);
    set_text(data, "to", effects->tier_to);
    loyalty_event_write(events, event, data);
}

void
loyalty_event_effects(const loyalty_events_t *events, loyalty_str_t member,
                      const loyalty_effects_t *effects)
{
    const loyalty_entry_t *entry;
    json_t *data;
    size_t i;

    if (events->program == NULL || events->program->settings.events == 0) {
        return;
    }

    for (i = 0; i < effects->points.n; i++) {
        entry = &effects->points.list[i];
        if (entry->kind == LOYALTY_ENTRY_EXPIRE) {
            write_points(events, LOYALTY_EVENT_POINTS_EXPIRED, member, entry);
        } else if (entry->amount > 0) {
            write_points(events, LOYALTY_EVENT_POINTS_ADDED, member, entry);
        }
    }

    write_status(events, member, effects);

    for (i = 0; i < effects->nredeemed; i++) {
        data = json_object();
        set_text(data, "member_id", member);
        set_text(data, "offer_id", effects->redeemed[i].offer);
        set_text(data, "entitlement_id", effects->redeemed[i].entitlement);
        set_text(data, "order_id", effects->redeemed[i].order);
        loyalty_event_write(events, LOYALTY_EVENT_OFFER_REDEEMED, data);
    }
}

void
loyalty_event_order(const loyalty_events_t *events,
                    const loyalty_order_event_t *order)
{
    json_t *data;

    if (!loyalty_event_wanted(events, LOYALTY_EVENT_ORDER_APPLIED)) {
        return;
    }

    data = loyalty_order_event_to_json(order);
    json_object_del(data, "lines"); /* may be long; the shop has them */
    loyalty_event_write(events, LOYALTY_EVENT_ORDER_APPLIED, data);
}

void
loyalty_event_message(const loyalty_events_t *events, loyalty_event_t event,
                      const loyalty_message_event_t *message)
{
    json_t *data;

    if (!loyalty_event_wanted(events, event)) {
        return;
    }

    data = json_object();
    set_text(data, "message_id", message->id);
    set_text(data, "rule_id", message->rule);
    set_text(data, "member_id", message->member);
    set_text(data, "channel", message->channel);
    set_text(data, "order_id", message->order);
    set_text(data, "error", message->error);
    if (event == LOYALTY_EVENT_MESSAGE_CONVERTED) {
        json_object_set_new(data, "revenue", json_integer(message->revenue));
    }
    loyalty_event_write(events, event, data);
}
