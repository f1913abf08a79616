/*
 * Last touch.  What is kept of a member is one line for clicks and one for
 * opens, however many messages there were.
 */

#include "loyalty_touch.h"

#include <inttypes.h>
#include <stdio.h>

static bool
is_within(const loyalty_touch_t *touch, int32_t days,
          loyalty_instant_t ordered_at)
{
    return touch->message.len != 0 && ordered_at >= touch->at
           && ordered_at - touch->at <= days * LOYALTY_DAY;
}

loyalty_str_t
loyalty_touch_of(const loyalty_touches_t *touches, int32_t days,
                 loyalty_instant_t ordered_at)
{
    return is_within(&touches->click, days, ordered_at)
               ? touches->click.message
           : is_within(&touches->open, days, ordered_at)
               ? touches->open.message : loyalty_str_null;
}

bool
loyalty_touch(loyalty_touch_t *last, loyalty_str_t message,
              loyalty_instant_t at)
{
    if (last->message.len != 0 && at < last->at) {
        return false;
    }

    *last = (loyalty_touch_t){message, at};
    return true;
}

/* "AT MESSAGE"; moves *text behind it and its line's end. */
static bool
take(loyalty_str_t *text, loyalty_touch_t *touch)
{
    const char *end = memchr(text->data, '\n', text->len);
    size_t i = 0, len = end != NULL ? (size_t)(end - text->data) : text->len;

    *touch = (loyalty_touch_t){loyalty_str_null, 0};

    for (; i < len && text->data[i] >= '0' && text->data[i] <= '9'; i++) {
        if (touch->at > (INT64_MAX - 9) / 10) {
            return false;
        }
        touch->at = touch->at * 10 + text->data[i] - '0';
    }

    if (i == 0 || i == len || text->data[i] != ' '
        || len - i - 1 > LOYALTY_MESSAGE_ID_MAX) {
        return false;
    }

    touch->message = (loyalty_str_t){text->data + i + 1, len - i - 1};
    len += end != NULL;
    text->data += len;
    text->len -= len;
    return true;
}

loyalty_status_t
loyalty_touches_decode(loyalty_str_t text, loyalty_touches_t *touches)
{
    *touches = (loyalty_touches_t){0};

    return text.len == 0
                   || (take(&text, &touches->click)
                       && take(&text, &touches->open) && text.len == 0)
               ? LOYALTY_OK : LOYALTY_ERROR_CORRUPT;
}

loyalty_status_t
loyalty_touches_encode(const loyalty_touches_t *touches,
                       loyalty_arena_t *arena, loyalty_str_t *text)
{
    const loyalty_str_t *click = &touches->click.message;
    const loyalty_str_t *open = &touches->open.message;
    size_t size = click->len + open->len + 64;
    char *data = loyalty_alloc(arena, size);
    int len;

    if (data == NULL) {
        return LOYALTY_ERROR_MEMORY;
    }

    len = snprintf(data, size, "%" PRId64 " %.*s\n%" PRId64 " %.*s",
                   touches->click.at, (int)click->len,
                   click->len == 0 ? "" : click->data, touches->open.at,
                   (int)open->len, open->len == 0 ? "" : open->data);
    *text = (loyalty_str_t){data, (size_t)len};
    return LOYALTY_OK;
}
