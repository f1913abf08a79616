/*
 * Sending what is due: messages leave the outbox, each recorded once.
 *
 * A message is claimed, sent, and its outcome recorded.  The claim is a
 * transaction that counts the try, gives what the rule gives, and makes the
 * message due again a while later: a sender that dies in between loses
 * nothing, and the second try has the same idempotency key.
 */

#ifndef LOYALTY_SENDER_H
#define LOYALTY_SENDER_H

#include "loyalty_apply.h"
#include "loyalty_delivery.h"

typedef struct loyalty_sender_s loyalty_sender_t;

/* `secret` signs the links of messages; empty: nothing is tracked. */
loyalty_sender_t *
loyalty_sender_create(const loyalty_store_conf_t *conf,
                      const loyalty_delivery_conf_t *delivery,
                      loyalty_str_t secret, loyalty_log_pt log, void *data);
void loyalty_sender_free(loyalty_sender_t *sender);

/* Works for a while; returns how long it may rest, in ms. */
int loyalty_sender_run(loyalty_sender_t *sender);

#endif
