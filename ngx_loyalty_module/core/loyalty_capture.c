/*
 * A shop's order: from its document to texts.  See the header.
 */

#include "loyalty_capture.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define NUMBER_SIZE 32
#define IDENTIFIER_MAX 1e15
#define DECIMAL_DIGITS 15 /* that a double keeps */

static const struct {
    const char *name;
    const char *pointer;
} fields[] = {
    [LOYALTY_CAPTURE_ORDER_ID] = {"order_id", "/order_id"},
    [LOYALTY_CAPTURE_TOTAL] = {"total", "/total"},
    [LOYALTY_CAPTURE_CURRENCY] = {"currency", "/currency"},
    [LOYALTY_CAPTURE_PLACED_AT] = {"placed_at", "/placed_at"},
    [LOYALTY_CAPTURE_LINES] = {"lines", "/lines"},
    [LOYALTY_CAPTURE_SKU] = {"sku", "/sku"},
    [LOYALTY_CAPTURE_CATEGORY] = {"category", "/category"},
    [LOYALTY_CAPTURE_QUANTITY] = {"quantity", "/quantity"},
    [LOYALTY_CAPTURE_UNIT_PRICE] = {"unit_price", "/unit_price"},
    [LOYALTY_CAPTURE_AMOUNT] = {"amount", "/amount"},
};

const char *
loyalty_capture_field_name(loyalty_capture_field_t field)
{
    return fields[field].name;
}

loyalty_capture_field_t
loyalty_capture_field(loyalty_str_t name)
{
    loyalty_capture_field_t field = 0;

    while (field < LOYALTY_CAPTURE_FIELDS
           && !loyalty_str_eq(name, loyalty_str_from(fields[field].name))) {
        field++;
    }
    return field;
}

void
loyalty_capture_map_init(loyalty_capture_map_t *map)
{
    for (int i = 0; i < LOYALTY_CAPTURE_FIELDS; i++) {
        map->pointers[i] = loyalty_str_from(fields[i].pointer);
    }
    map->status = loyalty_str("completed");
    map->minor = false;
}

loyalty_str_t *
loyalty_capture_text(loyalty_capture_order_t *order,
                     loyalty_capture_line_t *line,
                     loyalty_capture_field_t field)
{
    switch (field) {
    case LOYALTY_CAPTURE_ORDER_ID:
        return &order->order_id;
    case LOYALTY_CAPTURE_TOTAL:
        return &order->total;
    case LOYALTY_CAPTURE_CURRENCY:
        return &order->currency;
    case LOYALTY_CAPTURE_PLACED_AT:
        return &order->placed_at;
    case LOYALTY_CAPTURE_SKU:
        return line != NULL ? &line->sku : NULL;
    case LOYALTY_CAPTURE_CATEGORY:
        return line != NULL ? &line->category : NULL;
    case LOYALTY_CAPTURE_QUANTITY:
        return line != NULL ? &line->quantity : NULL;
    case LOYALTY_CAPTURE_UNIT_PRICE:
        return line != NULL ? &line->unit_price : NULL;
    case LOYALTY_CAPTURE_AMOUNT:
        return line != NULL ? &line->amount : NULL;
    default:
        return NULL;
    }
}

loyalty_status_t
loyalty_capture_parse(loyalty_str_t bytes, loyalty_problems_t *problems,
                      loyalty_document_t *document)
{
    loyalty_document_mistake_t mistake;
    loyalty_status_t status;

    status = loyalty_document_parse(document, bytes, &mistake);
    if (status == LOYALTY_ERROR_LIMIT) {
        loyalty_problem(problems, "", "is longer than %d bytes",
                        LOYALTY_ORDER_SIZE_MAX);
    } else if (status == LOYALTY_ERROR_INVALID) {
        loyalty_problem(problems, "", "is no JSON: %s at line %zu column %zu",
                        mistake.what, mistake.line, mistake.column);
    }
    return status;
}

/* Where a value stands in the shop's document; written out on a mistake. */
typedef struct {
    const loyalty_capture_map_t *map;
    size_t line;
    loyalty_capture_field_t field;
} place_t;

static void
problem_in_document(loyalty_problems_t *problems, const place_t *place,
                    const char *message)
{
    const loyalty_str_t *pointer = &place->map->pointers[place->field];
    const loyalty_str_t *lines = &place->map->pointers[LOYALTY_CAPTURE_LINES];
    char text[2 * LOYALTY_POINTER_MAX + NUMBER_SIZE];

    if (place->field > LOYALTY_CAPTURE_LINES) {
        snprintf(text, sizeof(text), "%.*s/%zu%.*s", (int)lines->len,
                 lines->data, place->line, (int)pointer->len, pointer->data);
    } else {
        snprintf(text, sizeof(text), "%.*s", (int)pointer->len, pointer->data);
    }
    loyalty_problem(problems, text, "%s", message);
}

/*
 * The 15-digit text of a plain decimal of up to 15 digits is the decimal
 * itself, its last zeros cut.  False: not one of those.
 */
static bool
plain_decimal(loyalty_str_t number, loyalty_str_t *text)
{
    const char *p = number.data, *end = p + number.len, *point = NULL;

    for (p += *p == '-'; p < end; p++) {
        if (*p == '.') {
            point = p;
        } else if (*p < '0' || *p > '9') {
            return false; /* has an exponent */
        }
    }
    /* A number below 0.0001 would get an exponent. */
    if (point == NULL || number.len > DECIMAL_DIGITS + 1
        || (number.len > 5 && point[-1] == '0' && point - number.data < 3
            && memcmp(point + 1, "000", 3) == 0)) {
        return false;
    }
    while (end[-1] == '0') {
        end--;
    }
    end -= end[-1] == '.';
    *text = (loyalty_str_t){number.data, (size_t)(end - number.data)};
    return true;
}

static loyalty_status_t
real_text(loyalty_str_t number, loyalty_arena_t *arena, loyalty_str_t *text)
{
    char digits[NUMBER_SIZE];
    int len;

    if (plain_decimal(number, text)) {
        return LOYALTY_OK;
    }
    len = snprintf(digits, sizeof(digits), "%.15g", strtod(number.data, NULL));
    return loyalty_str_copy(arena, (loyalty_str_t){digits, (size_t)len}, text);
}

/* An id past 15 digits would come out as another one. */
static bool
is_identifier(loyalty_str_t number)
{
    double value = strtod(number.data, NULL);

    return fabs(value) < IDENTIFIER_MAX && floor(value) == value;
}

static loyalty_status_t
unescaped(loyalty_str_t escaped, loyalty_arena_t *arena, loyalty_str_t *text)
{
    char *p = loyalty_alloc(arena, escaped.len);

    if (p == NULL) {
        return LOYALTY_ERROR_MEMORY;
    }
    *text = (loyalty_str_t){p, loyalty_document_unescape(escaped, p)};
    return LOYALTY_OK;
}

/* A string or a number as text; absent and null leave it alone. */
static loyalty_status_t
read_text(const loyalty_document_t *document,
          const loyalty_element_t *element, const place_t *place,
          loyalty_arena_t *arena, loyalty_problems_t *problems,
          loyalty_str_t *text)
{
    bool identifier = place->field == LOYALTY_CAPTURE_ORDER_ID
                      || place->field == LOYALTY_CAPTURE_SKU;
    loyalty_str_t bytes;

    if (element == NULL || element->type == LOYALTY_JSON_NULL) {
        return LOYALTY_OK;
    }
    bytes = loyalty_document_bytes(document, element);

    switch (element->type) {
    case LOYALTY_JSON_STRING:
        *text = bytes;
        return LOYALTY_OK;

    case LOYALTY_JSON_ESCAPED:
        return unescaped(bytes, arena, text);

    case LOYALTY_JSON_INTEGER:
        *text = loyalty_str_eq(bytes, loyalty_str("-0")) ? loyalty_str("0")
                                                         : bytes;
        return LOYALTY_OK;

    case LOYALTY_JSON_REAL:
        if (identifier && !is_identifier(bytes)) {
            break;
        }
        return real_text(bytes, arena, text);

    default:
        break;
    }

    problem_in_document(problems, place,
                        identifier ? "must be a string or an integer"
                                   : "must be a string or a number");
    return LOYALTY_ERROR_INVALID;
}

/* The array of lines; an empty order->lines where the shop has none. */
static loyalty_status_t
read_array(const loyalty_element_t *array, const place_t *place,
           loyalty_arena_t *arena, loyalty_problems_t *problems,
           loyalty_capture_order_t *order)
{
    char message[NUMBER_SIZE * 2];

    if (array == NULL || array->type == LOYALTY_JSON_NULL) {
        return LOYALTY_OK;
    }
    if (array->type != LOYALTY_JSON_ARRAY) {
        problem_in_document(problems, place, "must be an array");
        return LOYALTY_ERROR_INVALID;
    }
    if (array->len > LOYALTY_ORDER_LINES_MAX) {
        snprintf(message, sizeof(message), "has more than %d lines",
                 LOYALTY_ORDER_LINES_MAX);
        problem_in_document(problems, place, message);
        return LOYALTY_ERROR_LIMIT;
    }
    if (array->len != 0) {
        order->lines =
            loyalty_alloc(arena, array->len * sizeof(*order->lines));
        if (order->lines == NULL) {
            return LOYALTY_ERROR_MEMORY;
        }
    }
    order->nlines = array->len;
    return LOYALTY_OK;
}

loyalty_status_t
loyalty_capture_read(const loyalty_document_t *document,
                     const loyalty_capture_map_t *map, loyalty_arena_t *arena,
                     loyalty_problems_t *problems,
                     loyalty_capture_order_t *order)
{
    const loyalty_element_t *root = loyalty_document_root(document);
    place_t place = {map, 0, LOYALTY_CAPTURE_ORDER_ID};
    size_t before = problems->count;
    const loyalty_element_t *lines, *line;
    loyalty_status_t status;

    memset(order, 0, sizeof(*order));

    for (; place.field < LOYALTY_CAPTURE_LINES; place.field++) {
        if (read_text(document,
                      loyalty_document_find(document, root,
                                            map->pointers[place.field]),
                      &place, arena, problems,
                      loyalty_capture_text(order, NULL, place.field))
            == LOYALTY_ERROR_MEMORY) {
            return LOYALTY_ERROR_MEMORY;
        }
    }

    lines = loyalty_document_find(document, root, map->pointers[place.field]);
    status = read_array(lines, &place, arena, problems, order);
    if (status != LOYALTY_OK) {
        return status;
    }

    line = order->nlines != 0 ? lines + 1 : NULL;
    for (; place.line < order->nlines; place.line++) {
        for (place.field = LOYALTY_CAPTURE_SKU;
             place.field < LOYALTY_CAPTURE_FIELDS; place.field++) {
            if (read_text(document,
                          loyalty_document_find(document, line,
                                                map->pointers[place.field]),
                          &place, arena, problems,
                          loyalty_capture_text(
                              order, &order->lines[place.line], place.field))
                == LOYALTY_ERROR_MEMORY) {
                return LOYALTY_ERROR_MEMORY;
            }
        }
        line = loyalty_document_next(document, line);
    }

    return problems->count == before ? LOYALTY_OK : LOYALTY_ERROR_INVALID;
}

static void
set_text(json_t *json, loyalty_capture_field_t field, loyalty_str_t text)
{
    if (text.data != NULL) {
        json_object_set_new(json, fields[field].name,
                            json_stringn(text.data, text.len));
    }
}

json_t *
loyalty_capture_to_json(const loyalty_capture_order_t *order)
{
    json_t *json = json_object(), *lines = json_array();

    set_text(json, LOYALTY_CAPTURE_ORDER_ID, order->order_id);
    set_text(json, LOYALTY_CAPTURE_TOTAL, order->total);
    set_text(json, LOYALTY_CAPTURE_CURRENCY, order->currency);
    set_text(json, LOYALTY_CAPTURE_PLACED_AT, order->placed_at);
    for (size_t i = 0; i < order->nlines; i++) {
        const loyalty_capture_line_t *from = &order->lines[i];
        json_t *line = json_object();

        set_text(line, LOYALTY_CAPTURE_SKU, from->sku);
        set_text(line, LOYALTY_CAPTURE_CATEGORY, from->category);
        set_text(line, LOYALTY_CAPTURE_QUANTITY, from->quantity);
        set_text(line, LOYALTY_CAPTURE_UNIT_PRICE, from->unit_price);
        set_text(line, LOYALTY_CAPTURE_AMOUNT, from->amount);
        json_array_append_new(lines, line);
    }
    json_object_set_new(json, "lines", lines);
    return json;
}
