/*
 * Which message an order is owed to (DOMAIN.md section 8): the member's last
 * click within the attribution window before the order, else the last open.
 */

#ifndef LOYALTY_TOUCH_H
#define LOYALTY_TOUCH_H

#include "loyalty.h"

typedef struct {
    loyalty_str_t message; /* empty: never */
    loyalty_instant_t at;
} loyalty_touch_t;

/* A member's last click and last open. */
typedef struct {
    loyalty_touch_t click;
    loyalty_touch_t open;
} loyalty_touches_t;

/* The message, or empty.  The window is closed: an order exactly `days` after
 * the touch is still owed to it; one before the touch is not. */
loyalty_str_t loyalty_touch_of(const loyalty_touches_t *touches,
                               int32_t days, loyalty_instant_t ordered_at);

/* Takes a touch that is not older than the one of its kind; false: it is. */
bool loyalty_touch(loyalty_touch_t *last, loyalty_str_t message,
                   loyalty_instant_t at);

/*
 * As text, "AT MESSAGE\nAT MESSAGE", clicks first, "0 " where there was none.
 * LOYALTY_ERROR_CORRUPT: another text; LOYALTY_ERROR_MEMORY.
 */
loyalty_status_t loyalty_touches_decode(loyalty_str_t text,
                                        loyalty_touches_t *touches);
loyalty_status_t loyalty_touches_encode(const loyalty_touches_t *touches,
                                        loyalty_arena_t *arena,
                                        loyalty_str_t *text);

#endif
