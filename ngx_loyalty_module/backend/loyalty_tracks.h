/*
 * What the edges say of messages that were sent: opens and clicks from the
 * stream `tracks`, unsubscribes from a stream of their own, which nothing
 * trims before they are applied, into the log, the numbers and the members.
 *
 * Unsubscribes come first.  Opens and clicks are applied in their order, a
 * batch in one transaction with the cursor x:{site}:tracks, which is WATCHed:
 * whoever applies, each counts once.
 */

#ifndef LOYALTY_TRACKS_H
#define LOYALTY_TRACKS_H

#include "loyalty_apply.h"

typedef struct loyalty_tracks_s loyalty_tracks_t;

loyalty_tracks_t *loyalty_tracks_create(const loyalty_store_conf_t *conf,
                                        loyalty_log_pt log, void *data);
void loyalty_tracks_free(loyalty_tracks_t *tracks);

/* Works for a while; returns how long it may rest, in ms. */
int loyalty_tracks_run(loyalty_tracks_t *tracks);

#endif
