/*
 * Telling the merchant's systems: webhooks, and the order posts that the edge
 * could not deliver.
 *
 * What a stream holds becomes deliveries, in the transaction that takes it out
 * of the stream; a delivery is claimed, POSTed, and its outcome recorded.  A
 * worker that dies in between loses nothing: the claim runs out, and the
 * second POST has the same idempotency key.
 */

#ifndef LOYALTY_HOOKS_H
#define LOYALTY_HOOKS_H

#include "loyalty_apply.h"

typedef struct loyalty_hooks_s loyalty_hooks_t;

typedef struct {
    bool to_private;          /* webhooks may go to addresses of one's own */
    loyalty_str_t order_post; /* before the URI of an order post; empty: they
                                 wait in their stream */
} loyalty_hooks_conf_t;

/* `conf` and `hooks` must outlive it. */
loyalty_hooks_t *loyalty_hooks_create(const loyalty_store_conf_t *conf,
                                      const loyalty_hooks_conf_t *hooks,
                                      loyalty_log_pt log, void *data);
void loyalty_hooks_free(loyalty_hooks_t *hooks);

/* Works for a while; returns how long it may rest, in ms. */
int loyalty_hooks_run(loyalty_hooks_t *hooks);

#endif
