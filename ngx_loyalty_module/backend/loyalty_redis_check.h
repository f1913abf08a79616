/*
 * Is Redis set up so that what is acknowledged is kept (DESIGN.md, decision
 * 3)?  Says in the log what is not, and what to set.
 */

#ifndef LOYALTY_REDIS_CHECK_H
#define LOYALTY_REDIS_CHECK_H

#include "loyalty_apply.h"

/* Returns -1 when it has been checked, else in how many ms to try again. */
int loyalty_redis_check(const loyalty_store_conf_t *conf, loyalty_log_pt log,
                        void *data);

#endif
