/*
 * Domain events for webhooks, written in the transaction that makes them.
 *
 *   XADD s:{site}:events * k TYPE d DATA
 *
 * DATA is a JSON object.  The entry's id is the event's and its time the
 * instant.  Where no webhook that is on wants the event, nothing is written.
 */

#ifndef LOYALTY_EVENT_H
#define LOYALTY_EVENT_H

#include "loyalty_commands.h"
#include "loyalty_order.h"

/* Where the events of a transaction go. */
typedef struct {
    const loyalty_scope_t *scope;
    const loyalty_program_t *program; /* NULL: no events */
    loyalty_commands_t *commands;
} loyalty_events_t;

bool loyalty_event_wanted(const loyalty_events_t *events,
                          loyalty_event_t event);

/* Takes the reference; NULL is out of memory. */
void loyalty_event_write(const loyalty_events_t *events, loyalty_event_t event,
                         json_t *data);

/* What became of points, the status and offers; `member` empty: a guest. */
void loyalty_event_effects(const loyalty_events_t *events,
                           loyalty_str_t member,
                           const loyalty_effects_t *effects);

void loyalty_event_order(const loyalty_events_t *events,
                         const loyalty_order_event_t *order);

/* Of a message; what is empty is left out. */
typedef struct {
    loyalty_str_t id, rule, member, channel, order, error;
    int64_t revenue; /* of a conversion */
} loyalty_message_event_t;

void loyalty_event_message(const loyalty_events_t *events,
                           loyalty_event_t event,
                           const loyalty_message_event_t *message);

#endif
