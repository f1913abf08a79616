/*
 * Each piece is searched by memmem and memrchr; what spans the two pieces is
 * searched in a window of their touching ends, copied together.
 */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* memmem, memrchr */
#endif

#include <strings.h>

#include "loyalty_html_scan.h"

#define END_TAG "</body"
#define END_TAG_LEN (sizeof(END_TAG) - 1)

typedef struct {
    char data[2 * LOYALTY_INJECT_MARKER_MAX];
    size_t len;
    size_t start; /* of the window, in `before` + `now` */
} window_t;

static size_t
smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* The last `tail` bytes of `before` and the first `head` of `now`. */
static void
open_window(window_t *window, loyalty_str_t before, size_t tail,
            loyalty_str_t now, size_t head)
{
    tail = smaller(tail, before.len);
    head = smaller(head, now.len);

    window->start = before.len - tail;
    window->len = tail + head;

    if (tail != 0) {
        memcpy(window->data, before.data + window->start, tail);
    }
    if (head != 0) {
        memcpy(window->data + tail, now.data, head);
    }
}

size_t
loyalty_html_marker(loyalty_str_t marker, loyalty_str_t before,
                    loyalty_str_t now)
{
    const char *p;
    window_t window;

    if (before.len != 0) {
        open_window(&window, before, marker.len - 1, now, marker.len - 1);
        p = memmem(window.data, window.len, marker.data, marker.len);
        if (p != NULL) {
            return window.start + (size_t)(p - window.data);
        }
    }

    p = now.len == 0 ? NULL
                     : memmem(now.data, now.len, marker.data, marker.len);

    return p == NULL ? LOYALTY_HTML_NONE
                     : before.len + (size_t)(p - now.data);
}

static bool
ends_name(char c)
{
    return c == '>' || c == ' ' || c == '\t' || c == '\r' || c == '\n'
           || c == '\f' || c == '/';
}

static const char *
last_end_tag(const char *data, size_t len)
{
    const char *p = data + len;

    if (len <= END_TAG_LEN) {
        return NULL;
    }

    for (len -= END_TAG_LEN; len > 0; len = (size_t)(p - data)) {
        p = memrchr(data, '<', len);
        if (p == NULL) {
            return NULL;
        }
        if (p[1] == '/' && strncasecmp(p, END_TAG, END_TAG_LEN) == 0
            && ends_name(p[END_TAG_LEN])) {
            return p;
        }
    }

    return NULL;
}

size_t
loyalty_html_body_end(loyalty_str_t before, loyalty_str_t now)
{
    const char *p;
    window_t window;

    p = last_end_tag(now.data, now.len);
    if (p != NULL) {
        return before.len + (size_t)(p - now.data);
    }

    if (before.len == 0) {
        return LOYALTY_HTML_NONE;
    }

    open_window(&window, before, END_TAG_LEN, now, END_TAG_LEN);
    p = last_end_tag(window.data, window.len);
    if (p != NULL) {
        return window.start + (size_t)(p - window.data);
    }

    p = last_end_tag(before.data, before.len);
    return p == NULL ? LOYALTY_HTML_NONE : (size_t)(p - before.data);
}

size_t
loyalty_html_partial(loyalty_str_t marker, loyalty_str_t before,
                     loyalty_str_t now)
{
    size_t longest = marker.len - 1, len;
    const char *p;
    window_t window;

    if (longest < END_TAG_LEN) {
        longest = END_TAG_LEN;
    }

    open_window(&window, before,
                now.len < longest ? longest - now.len : 0,
                (loyalty_str_t){now.data + now.len - smaller(now.len, longest),
                                smaller(now.len, longest)},
                longest);

    for (p = window.data; p < window.data + window.len; p++) {
        len = (size_t)(window.data + window.len - p);

        if ((len < marker.len && memcmp(p, marker.data, len) == 0)
            || (len <= END_TAG_LEN && strncasecmp(p, END_TAG, len) == 0)) {
            return len;
        }
    }

    return 0;
}
