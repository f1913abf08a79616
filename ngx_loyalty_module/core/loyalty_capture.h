/*
 * An order as a shop tells it, and the event made of it (DOMAIN.md section 3).
 *
 * A shop's order comes from a JSON document by JSON Pointers (RFC 6901) or
 * from a page by named groups.  Both end in the same plain texts; one function
 * turns those into the event's JSON.
 *
 *   document --pointers--+
 *                        +--> loyalty_capture_order_t --> event JSON
 *   page -----groups-----+
 *
 * A JSON number is taken by its 15-digit decimal text, never from the binary
 * double, so 0.1 + 0.2 is 0.3.
 */

#ifndef LOYALTY_CAPTURE_H
#define LOYALTY_CAPTURE_H

#include <jansson.h>

#include "loyalty_document.h"
#include "loyalty_pointer.h"

typedef enum {
    LOYALTY_CAPTURE_ORDER_ID = 0,
    LOYALTY_CAPTURE_TOTAL,
    LOYALTY_CAPTURE_CURRENCY,
    LOYALTY_CAPTURE_PLACED_AT,
    LOYALTY_CAPTURE_LINES, /* the list; what follows is of a line */
    LOYALTY_CAPTURE_SKU,
    LOYALTY_CAPTURE_CATEGORY,
    LOYALTY_CAPTURE_QUANTITY,
    LOYALTY_CAPTURE_UNIT_PRICE,
    LOYALTY_CAPTURE_AMOUNT,
    LOYALTY_CAPTURE_FIELDS
} loyalty_capture_field_t;

/* Our own name of a field, "order_id"; also a group's name in a pattern. */
const char *loyalty_capture_field_name(loyalty_capture_field_t field);

/* The field of that name, or LOYALTY_CAPTURE_FIELDS. */
loyalty_capture_field_t loyalty_capture_field(loyalty_str_t name);

typedef struct {
    /* Pointers; those of a line are relative to it.  "" is the whole. */
    loyalty_str_t pointers[LOYALTY_CAPTURE_FIELDS];
    loyalty_str_t status; /* of the event, "completed" */
    bool minor;           /* amounts are integers in minor units */
} loyalty_capture_map_t;

/* Our own field names, completed, major units. */
void loyalty_capture_map_init(loyalty_capture_map_t *map);

/* Texts as they came; data NULL where the shop said nothing. */
typedef struct {
    loyalty_str_t sku;
    loyalty_str_t category;
    loyalty_str_t quantity;
    loyalty_str_t unit_price;
    loyalty_str_t amount;
} loyalty_capture_line_t;

typedef struct {
    loyalty_str_t order_id;
    loyalty_str_t total;
    loyalty_str_t currency;
    loyalty_str_t placed_at;
    loyalty_capture_line_t *lines;
    size_t nlines;
} loyalty_capture_order_t;

/* Where the field's text stands; `line` for the fields of a line, else NULL. */
loyalty_str_t *loyalty_capture_text(loyalty_capture_order_t *order,
                                    loyalty_capture_line_t *line,
                                    loyalty_capture_field_t field);

/* Reads a shop's document; the texts are the arena's or the bytes'. */
loyalty_status_t loyalty_capture_read(const loyalty_document_t *document,
                                      const loyalty_capture_map_t *map,
                                      loyalty_arena_t *arena,
                                      loyalty_problems_t *problems,
                                      loyalty_capture_order_t *order);

/* Bytes to a document that goes on to point into them.  LOYALTY_ERROR_INVALID
 * names line and column. */
loyalty_status_t loyalty_capture_parse(loyalty_str_t bytes,
                                       loyalty_problems_t *problems,
                                       loyalty_document_t *document);

/*
 * The event's JSON in the arena, one that loyalty_order_event_parse takes.
 * `currency` is the site's; empty where it is not known: the order's own then.
 * Neither: LOYALTY_ERROR_NOT_FOUND.  Absent: `total` is the sum of the lines'
 * amounts, an amount is quantity x unit_price rounded half up, placed_at `now`.
 */
loyalty_status_t loyalty_capture_event(const loyalty_capture_order_t *order,
                                       const loyalty_capture_map_t *map,
                                       loyalty_str_t member,
                                       loyalty_str_t currency,
                                       loyalty_instant_t now,
                                       loyalty_arena_t *arena,
                                       loyalty_problems_t *problems,
                                       loyalty_str_t *event);

/* The order's texts as a document in our own field names, for an order whose
 * currency is not known yet; a new reference, NULL: out of memory. */
json_t *loyalty_capture_to_json(const loyalty_capture_order_t *order);

#endif
