/*
 * Is Redis set up so that what is acknowledged is kept (DESIGN.md, decision
 * 3)?  Says what is not, and what to set: in the log when the back end starts,
 * and by GET redis whenever somebody asks.
 */

#ifndef LOYALTY_REDIS_CHECK_H
#define LOYALTY_REDIS_CHECK_H

#include "loyalty_apply.h"

/* Says each finding once; anything but OK: Redis could not be asked.  Of a
 * cluster one node is looked at. */
loyalty_store_result_t loyalty_redis_look(loyalty_store_t *store,
                                          const loyalty_store_conf_t *conf,
                                          loyalty_log_pt log, void *data);

/* Returns -1 when it has been checked, else in how many ms to try again. */
int loyalty_redis_check(const loyalty_store_conf_t *conf, loyalty_log_pt log,
                        void *data);

#endif
