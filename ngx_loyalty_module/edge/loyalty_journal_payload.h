/*
 * What a record of the journal says: an order event and where it goes.
 *
 *   [ format u8 | flags u8 | five lengths u16 | 4 zeros | at i64 ]
 *   [ site ] [ member ] [ uri ] [ server ] [ status ] [ JSON ]
 *
 * `raw`: the JSON is not an event yet but the shop's texts in our own field
 * names, since the site's currency was not known when the order came.
 */

#ifndef LOYALTY_JOURNAL_PAYLOAD_H
#define LOYALTY_JOURNAL_PAYLOAD_H

#include "loyalty.h"

typedef struct {
    loyalty_str_t site;
    loyalty_str_t member;
    loyalty_str_t uri;    /* of loyalty_order_post; empty: none */
    loyalty_str_t server; /* whose location that is, by name */
    loyalty_str_t json;
    loyalty_str_t status; /* raw: of the event to be */
    loyalty_instant_t at;
    bool raw;
    bool minor; /* raw: amounts are in minor units */
} loyalty_journal_payload_t;

size_t loyalty_journal_payload_size(const loyalty_journal_payload_t *payload);
void loyalty_journal_payload_write(uint8_t *out,
                                   const loyalty_journal_payload_t *payload);

/* LOYALTY_ERROR_CORRUPT, _VERSION; the texts point into `bytes`. */
loyalty_status_t loyalty_journal_payload_read(
    const uint8_t *bytes, size_t len, loyalty_journal_payload_t *payload);

#endif
