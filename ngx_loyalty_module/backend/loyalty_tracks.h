/*
 * What the edges say of messages that were sent: opens, clicks, unsubscribes,
 * from the stream `tracks` into the log, the numbers and the members.
 *
 * Entries are applied in their order, a batch in one transaction with the
 * cursor x:{site}:tracks, which is WATCHed: whoever applies, each counts once.
 */

#ifndef LOYALTY_TRACKS_H
#define LOYALTY_TRACKS_H

#include "loyalty_member_change.h"

/* One batch; *busy: there may be more. */
loyalty_store_result_t loyalty_tracks_apply(loyalty_member_change_t *change,
                                            const loyalty_scope_t *scope,
                                            bool *busy);

#endif
