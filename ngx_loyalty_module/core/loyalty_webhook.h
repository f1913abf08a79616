/*
 * Webhooks: the names of events, and the signature of what is POSTed.
 *
 *   Loyalty-Signature: t=SECONDS,v1=HEX
 *
 * HEX is HMAC-SHA256, by the webhook's secret, over SECONDS "." BODY.  Who
 * receives it computes the same and refuses a t that is long past.
 */

#ifndef LOYALTY_WEBHOOK_H
#define LOYALTY_WEBHOOK_H

#include "loyalty_program.h"

/* "t=", a number, ",v1=", 64 digits. */
#define LOYALTY_WEBHOOK_SIGNATURE_SIZE 96

/* "order.applied", ...; "" for none. */
const char *loyalty_event_name(loyalty_event_t event);

/* Back, of a terminated name; 0: none. */
loyalty_event_t loyalty_event_named(loyalty_str_t name);

/* NULL: the program has none by that id. */
const loyalty_webhook_t *loyalty_program_webhook(
    const loyalty_program_t *program, loyalty_str_t id);

/* LOYALTY_ERROR_MEMORY. */
loyalty_status_t
loyalty_webhook_sign(loyalty_str_t secret, loyalty_instant_t at,
                     loyalty_str_t body, loyalty_arena_t *arena,
                     char signature[LOYALTY_WEBHOOK_SIGNATURE_SIZE]);

#endif
