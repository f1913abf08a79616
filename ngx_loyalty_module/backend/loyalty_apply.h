/*
 * Applying what the streams of all sites bring: orders and visits.
 *
 * A thread calls loyalty_apply_run() again and again.  Each site is applied
 * by whoever holds its lease; a thread that finds it taken asks again from
 * time to time.
 */

#ifndef LOYALTY_APPLY_H
#define LOYALTY_APPLY_H

#include "loyalty_store.h"

typedef enum {
    LOYALTY_LOG_ERROR,
    LOYALTY_LOG_WARN,
    LOYALTY_LOG_NOTICE,
    LOYALTY_LOG_INFO
} loyalty_log_level_t;

/* A terminated line; called from the thread. */
typedef void (*loyalty_log_pt)(void *data, loyalty_log_level_t level,
                               const char *text);

typedef struct loyalty_apply_s loyalty_apply_t;

loyalty_apply_t *loyalty_apply_create(const loyalty_store_conf_t *conf,
                                      loyalty_log_pt log, void *data);

/* Works for a while; returns how long it may rest, in ms. */
int loyalty_apply_run(loyalty_apply_t *apply);

/* Gives up the leases. */
void loyalty_apply_free(loyalty_apply_t *apply);

#endif
