/*
 * When to try again what failed for the moment: exponential backoff with
 * jitter, and whatever the other side asked for.
 */

#ifndef LOYALTY_RETRY_H
#define LOYALTY_RETRY_H

#include "loyalty.h"

typedef struct {
    int64_t first;   /* ms before the second try */
    int64_t longest; /* ms between any two */
    int32_t tries;   /* in all; 0: as many as `within` allows */
    int64_t within;  /* ms after the first try; 0: no bound */
} loyalty_retry_t;

/*
 * After `tries` tries (at least 1), the first at `began`: when the next is
 * due, or LOYALTY_NEVER.  The pause is first * 2^(tries - 1) up to `longest`,
 * of which `random` takes off up to half; at least `asked` ms (Retry-After; 0:
 * nothing was asked), of which no more than a day is believed.
 */
loyalty_instant_t loyalty_retry_at(const loyalty_retry_t *retry, int32_t tries,
                                   loyalty_instant_t began,
                                   loyalty_instant_t now, int64_t asked,
                                   uint32_t random);

#endif
