/*
 * JSON Pointers (RFC 6901): "" is the whole document, "/lines/0/a~1b" what the
 * member "a/b" of the first of "lines" is.
 */

#ifndef LOYALTY_POINTER_H
#define LOYALTY_POINTER_H

#include <jansson.h>

#include "loyalty.h"

/* Up to LOYALTY_POINTER_MAX bytes; ~ is followed by 0 or 1. */
loyalty_status_t loyalty_pointer_check(loyalty_str_t pointer);

/* The value behind the pointer, borrowed, or NULL. */
json_t *loyalty_pointer_get(json_t *json, loyalty_str_t pointer);

/* Cuts the first token from a pointer that is not empty; `name` has room for
 * LOYALTY_POINTER_MAX bytes; the token points into it or into the pointer. */
loyalty_str_t loyalty_pointer_token(loyalty_str_t *pointer, char *name);

/* Is the token an index of an array: digits without a leading zero? */
bool loyalty_pointer_index(loyalty_str_t token, size_t *index);

#endif
