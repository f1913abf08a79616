/*
 * A message on its way out: what every way of delivery starts from.
 */

#ifndef LOYALTY_ENVELOPE_H
#define LOYALTY_ENVELOPE_H

#include "loyalty_program.h"

typedef struct {
    loyalty_channel_t channel;
    loyalty_str_t site;
    loyalty_str_t id; /* the message's; providers hear of it as their key */
    loyalty_str_t to;
    loyalty_str_t sender_name;
    loyalty_str_t sender_address; /* e-mail: required; else as the way needs */
    loyalty_str_t spare_address;  /* where neither this nor the way has one */
    loyalty_str_t subject;        /* e-mail */
    loyalty_str_t text;
    loyalty_str_t html;            /* e-mail; one of text and html is there */
    loyalty_str_t unsubscribe_url; /* https; empty: none */
    loyalty_instant_t at;
} loyalty_envelope_t;

#define LOYALTY_UUID_SIZE 37

/* A UUID (RFC 9562, version 8) that is the message's, for providers whose key
 * must be one.  LOYALTY_ERROR_MEMORY. */
loyalty_status_t loyalty_envelope_uuid(const loyalty_envelope_t *envelope,
                                       char uuid[LOYALTY_UUID_SIZE]);

#endif
