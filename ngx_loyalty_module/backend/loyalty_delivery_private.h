/*
 * What the ways of delivery share.  For loyalty_delivery*.c.
 */

#ifndef LOYALTY_DELIVERY_PRIVATE_H
#define LOYALTY_DELIVERY_PRIVATE_H

#include <stdarg.h>

#include "loyalty_delivery_conf.h"
#include "loyalty_transfer.h"

struct loyalty_delivery_s {
    const loyalty_delivery_conf_t *conf;
    loyalty_transfer_t *transfer;
    loyalty_arena_t arena; /* of one message */
};

void loyalty_delivery_fail(loyalty_delivery_answer_t *answer,
                           loyalty_delivery_result_t result,
                           const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* channel, site, to, subject, text, html, sender{name, address},
 * message{id, uuid}; a new reference, NULL without memory. */
json_t *loyalty_delivery_values(const loyalty_way_t *way,
                                const loyalty_envelope_t *envelope);

/* `bytes` is the whole e-mail, the envelope with its sender filled in. */
void loyalty_delivery_smtp(loyalty_delivery_t *delivery,
                           const loyalty_way_t *way,
                           const loyalty_envelope_t *envelope,
                           loyalty_str_t bytes,
                           loyalty_delivery_answer_t *answer);
void loyalty_delivery_http(loyalty_delivery_t *delivery,
                           const loyalty_way_t *way,
                           const loyalty_envelope_t *envelope,
                           loyalty_delivery_answer_t *answer);

#endif
