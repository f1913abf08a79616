/*
 * Threads that deliver, so that one slow provider does not hold up the next
 * message: of each channel as many at once as its `concurrency`, each with
 * connections of its own that it keeps (loyalty_crew.h).
 *
 * What takes no time (a mailbox) is done by post itself.  One thread posts and
 * takes.
 */

#ifndef LOYALTY_COURIERS_H
#define LOYALTY_COURIERS_H

#include "loyalty_crew.h"
#include "loyalty_delivery.h"

typedef struct loyalty_couriers_s loyalty_couriers_t;

/* The caller's; it stays as it is until it is taken back. */
typedef struct {
    loyalty_task_t task; /* the couriers' */
    loyalty_envelope_t envelope;
    loyalty_delivery_answer_t answer;
} loyalty_parcel_t;

/* `conf` outlives them; stopping may be NULL. */
loyalty_couriers_t *loyalty_couriers_create(const loyalty_delivery_conf_t *conf,
                                            bool (*stopping)(void));

/* All parcels have been taken back, or are forgotten. */
void loyalty_couriers_free(loyalty_couriers_t *couriers);

/* How many ms the channel's rate limit wants us to wait; 0: go on. */
int64_t loyalty_couriers_wait(const loyalty_couriers_t *couriers,
                              loyalty_channel_t channel);

/* Whether a parcel posted now would be on its way at once. */
bool loyalty_couriers_room(const loyalty_couriers_t *couriers,
                           loyalty_channel_t channel);

void loyalty_couriers_post(loyalty_couriers_t *couriers,
                           loyalty_parcel_t *parcel);

/* A parcel with its answer; NULL: none within `timeout` ms. */
loyalty_parcel_t *loyalty_couriers_take(loyalty_couriers_t *couriers,
                                        int timeout);

/* Posted and not taken back. */
size_t loyalty_couriers_out(const loyalty_couriers_t *couriers);

#endif
