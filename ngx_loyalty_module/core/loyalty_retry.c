/*
 * Backoff.  Half of the pause is certain, half is left to chance, so that what
 * failed together does not come back together.
 */

#include "loyalty_retry.h"

loyalty_instant_t
loyalty_retry_at(const loyalty_retry_t *retry, int32_t tries,
                 loyalty_instant_t began, loyalty_instant_t now, int64_t asked,
                 uint32_t random)
{
    int64_t pause = retry->first;
    int32_t i;

    if (retry->tries != 0 && tries >= retry->tries) {
        return LOYALTY_NEVER;
    }

    for (i = 1; i < tries && pause < retry->longest; i++) {
        pause *= 2;
    }

    if (pause > retry->longest) {
        pause = retry->longest;
    }

    pause -= pause / 2 * (int64_t)(random & 0xffff) / 0xffff;

    if (asked > LOYALTY_DAY) {
        asked = LOYALTY_DAY;
    }

    if (pause < asked) {
        pause = asked;
    }

    return retry->within != 0 && now + pause > began + retry->within
               ? LOYALTY_NEVER : now + pause;
}
