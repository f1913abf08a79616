/*
 * Where in a JSON document a member goes: a validator that reads the document
 * in pieces of any size, keeps nothing of it, and stops at the places of
 * interest.  Only a document whose top level is an object is of interest.
 *
 * Pure: knows no nginx.
 */

#ifndef LOYALTY_JSON_SCAN_H
#define LOYALTY_JSON_SCAN_H

#include "loyalty.h"

typedef enum {
    LOYALTY_JSON_MORE = 0,  /* the piece is read */
    LOYALTY_JSON_VALUE,     /* the member's value begins here */
    LOYALTY_JSON_VALUE_END, /* and ended before here */
    LOYALTY_JSON_CLOSE,     /* the closing brace of the document is here */
    LOYALTY_JSON_OTHER,     /* the document is no object */
    LOYALTY_JSON_INVALID,
    LOYALTY_JSON_DEEP       /* nested past LOYALTY_INJECT_JSON_DEPTH_MAX */
} loyalty_json_event_t;

typedef struct {
    loyalty_str_t name; /* of the member, UTF-8 */
    uint8_t state;
    uint8_t quote_state;  /* what follows the string being read */
    uint8_t hex;          /* digits of \uXXXX still to come */
    bool named;           /* the value to come is the member's */
    bool in_value;        /* the member's value is being read */
    bool told;            /* CLOSE was told, its byte is not read yet */
    bool empty;           /* the object has no member so far */
    bool found;           /* the object has the member */
    bool closed;          /* the object is whole */
    uint32_t code;        /* of \uXXXX so far */
    uint32_t high;        /* the first of two surrogates, or 0 */
    size_t matched;       /* bytes of the name that fit; SIZE_MAX: differs */
    const char *literal;  /* what is left of true, false, null */
    unsigned depth;
    uint8_t arrays[LOYALTY_INJECT_JSON_DEPTH_MAX / 8]; /* a bit a level */
} loyalty_json_scan_t;

/* `name` is borrowed. */
void loyalty_json_scan_init(loyalty_json_scan_t *scan, loyalty_str_t name);

/*
 * Reads from data[*pos] on; leaves *pos where the event is.  Call it again
 * with what follows, until LOYALTY_JSON_MORE; OTHER, INVALID and DEEP are
 * final.  After CLOSE only blanks may come.
 */
loyalty_json_event_t loyalty_json_scan(loyalty_json_scan_t *scan,
                                       const char *data, size_t len,
                                       size_t *pos);

#endif
