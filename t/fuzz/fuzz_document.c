/*
 * libFuzzer: a shop's document, read in place and by jansson: both take it or
 * neither does, and what is at the order's places is the same.
 */

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "loyalty_capture.h"

static void
require(bool condition)
{
    if (!condition) {
        abort();
    }
}

/* A value's text as events carry it; NULL: not a string, nor a number. */
static bool
text_of(json_t *value, char *text, size_t size, size_t *len)
{
    switch (value == NULL ? JSON_NULL : json_typeof(value)) {
    case JSON_STRING:
        *len = json_string_length(value);
        require(*len <= size);
        memcpy(text, json_string_value(value), *len);
        return true;
    case JSON_INTEGER:
        *len = (size_t)snprintf(text, size, "%" JSON_INTEGER_FORMAT,
                                json_integer_value(value));
        return true;
    case JSON_REAL:
        *len = (size_t)snprintf(text, size, "%.15g", json_real_value(value));
        return true;
    default:
        return false;
    }
}

static void
same_text(json_t *value, loyalty_str_t found)
{
    static char text[LOYALTY_ORDER_SIZE_MAX];
    size_t len;

    if (text_of(value, text, sizeof(text), &len)) {
        require(loyalty_str_eq(found, (loyalty_str_t){text, len}));
    } else {
        require(found.data == NULL);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    loyalty_str_t text = {(const char *)data, size};
    loyalty_capture_order_t order;
    loyalty_document_t document;
    loyalty_problems_t problems;
    loyalty_capture_map_t map;
    loyalty_arena_t arena;
    json_error_t error;
    json_t *theirs;
    bool large;

    /* jansson passes over a zero byte behind a number. */
    if (size != 0 && memchr(data, '\0', size) != NULL) {
        return 0;
    }

    theirs = json_loadb(text.data, size, 0, &error);
    large = theirs == NULL
            && json_error_code(&error) == json_error_numeric_overflow;
    if (large) {
        theirs = json_loadb(text.data, size, JSON_DECODE_INT_AS_REAL, NULL);
    }

    loyalty_arena_init(&arena, LOYALTY_CAPTURE_MEMORY_MAX);
    loyalty_problems_init(&problems, &arena);
    loyalty_capture_map_init(&map);
    loyalty_document_init(&document);

    require((loyalty_capture_parse(text, &problems, &document) == LOYALTY_OK)
            == (theirs != NULL));
    require((theirs == NULL) == (problems.count != 0));

    /* With an integer past 64 bits jansson makes all of them doubles. */
    if (theirs != NULL && !large
        && loyalty_capture_read(&document, &map, &arena, &problems, &order)
               == LOYALTY_OK) {
        json_t *lines = json_object_get(theirs, "lines");

        same_text(json_object_get(theirs, "order_id"), order.order_id);
        same_text(json_object_get(theirs, "total"), order.total);
        same_text(json_object_get(theirs, "placed_at"), order.placed_at);
        require(json_array_size(lines) == order.nlines);
        for (size_t i = 0; i < order.nlines; i++) {
            json_t *line = json_array_get(lines, i);

            same_text(json_object_get(line, "sku"), order.lines[i].sku);
            same_text(json_object_get(line, "unit_price"),
                      order.lines[i].unit_price);
        }
    }

    json_decref(theirs);
    loyalty_document_free(&document);
    loyalty_arena_free(&arena);
    return 0;
}
