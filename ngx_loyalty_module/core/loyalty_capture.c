/*
 * A shop's order: pointers, texts, the event.  See the header.
 */

#include "loyalty_capture.h"

#include <math.h>
#include <stdio.h>

#include "loyalty_money.h"
#include "loyalty_order.h"

#define NUMBER_SIZE 32
#define IDENTIFIER_MAX 1e15

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

loyalty_status_t
loyalty_pointer_check(loyalty_str_t pointer)
{
    if (pointer.len == 0) {
        return LOYALTY_OK;
    }
    if (pointer.len > LOYALTY_POINTER_MAX || pointer.data[0] != '/') {
        return LOYALTY_ERROR_INVALID;
    }
    for (size_t i = 0; i < pointer.len; i++) {
        if (pointer.data[i] == '~'
            && (i + 1 == pointer.len
                || (pointer.data[i + 1] != '0'
                    && pointer.data[i + 1] != '1'))) {
            return LOYALTY_ERROR_INVALID;
        }
    }
    return LOYALTY_OK;
}

/* RFC 6901: digits without a leading zero. */
static bool
array_index(const char *text, size_t len, size_t *index)
{
    size_t value = 0;

    if (len == 0 || len > 9 || (text[0] == '0' && len > 1)) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9') {
            return false;
        }
        value = value * 10 + (size_t)(text[i] - '0');
    }
    *index = value;
    return true;
}

json_t *
loyalty_pointer_get(json_t *json, loyalty_str_t pointer)
{
    const char *p = pointer.data, *end = pointer.data + pointer.len;
    char key[LOYALTY_POINTER_MAX + 1];

    while (json != NULL && p < end) {
        size_t len = 0, index;

        for (p++; p < end && *p != '/'; p++) {
            if (*p == '~' && p + 1 < end) {
                p++;
                key[len++] = *p == '1' ? '/' : '~';
            } else {
                key[len++] = *p;
            }
        }
        key[len] = '\0';

        if (json_is_array(json)) {
            json = array_index(key, len, &index) ? json_array_get(json, index)
                                                 : NULL;
        } else {
            json = json_object_get(json, key);
        }
    }
    return json;
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
                      json_t **document)
{
    json_error_t error;

    if (bytes.len > LOYALTY_ORDER_SIZE_MAX) {
        loyalty_problem(problems, "", "is longer than %d bytes",
                        LOYALTY_ORDER_SIZE_MAX);
        return LOYALTY_ERROR_LIMIT;
    }

    *document = json_loadb(bytes.data, bytes.len, 0, &error);
    if (*document == NULL
        && json_error_code(&error) == json_error_numeric_overflow) {
        *document = json_loadb(bytes.data, bytes.len, JSON_DECODE_INT_AS_REAL,
                               &error);
    }
    if (*document == NULL) {
        loyalty_problem(problems, "", "is no JSON: %s at line %d column %d",
                        error.text, error.line, error.column);
        return LOYALTY_ERROR_INVALID;
    }
    return LOYALTY_OK;
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

/* A string or a number as text; absent and null leave it alone. */
static loyalty_status_t
read_text(json_t *json, const place_t *place, loyalty_arena_t *arena,
          loyalty_problems_t *problems, loyalty_str_t *text)
{
    bool identifier = place->field == LOYALTY_CAPTURE_ORDER_ID
                      || place->field == LOYALTY_CAPTURE_SKU;
    char number[NUMBER_SIZE];
    int len;

    switch (json == NULL ? JSON_NULL : json_typeof(json)) {
    case JSON_NULL:
        return LOYALTY_OK;

    case JSON_STRING:
        text->data = json_string_value(json);
        text->len = json_string_length(json);
        return LOYALTY_OK;

    case JSON_INTEGER:
        len = snprintf(number, sizeof(number), "%" JSON_INTEGER_FORMAT,
                       json_integer_value(json));
        return loyalty_str_copy(arena, (loyalty_str_t){number, (size_t)len},
                                text);

    case JSON_REAL:
        /* An id past 15 digits would come out as another one. */
        if (identifier
            && (fabs(json_real_value(json)) >= IDENTIFIER_MAX
                || floor(json_real_value(json)) != json_real_value(json))) {
            break;
        }
        len = snprintf(number, sizeof(number), "%.15g",
                       json_real_value(json));
        return loyalty_str_copy(arena, (loyalty_str_t){number, (size_t)len},
                                text);

    default:
        break;
    }

    problem_in_document(problems, place,
                        identifier ? "must be a string or an integer"
                                   : "must be a string or a number");
    return LOYALTY_ERROR_INVALID;
}

loyalty_status_t
loyalty_capture_read(json_t *document, const loyalty_capture_map_t *map,
                     loyalty_arena_t *arena, loyalty_problems_t *problems,
                     loyalty_capture_order_t *order)
{
    place_t place = {map, 0, LOYALTY_CAPTURE_ORDER_ID};
    size_t before = problems->count;
    json_t *lines;

    memset(order, 0, sizeof(*order));

    for (; place.field < LOYALTY_CAPTURE_LINES; place.field++) {
        if (read_text(loyalty_pointer_get(document,
                                          map->pointers[place.field]),
                      &place, arena, problems,
                      loyalty_capture_text(order, NULL, place.field))
            == LOYALTY_ERROR_MEMORY) {
            return LOYALTY_ERROR_MEMORY;
        }
    }

    lines = loyalty_pointer_get(document, map->pointers[place.field]);
    if (lines != NULL && !json_is_null(lines)) {
        char message[NUMBER_SIZE * 2];

        if (!json_is_array(lines)) {
            problem_in_document(problems, &place, "must be an array");
            return LOYALTY_ERROR_INVALID;
        }
        order->nlines = json_array_size(lines);
        if (order->nlines > LOYALTY_ORDER_LINES_MAX) {
            snprintf(message, sizeof(message), "has more than %d lines",
                     LOYALTY_ORDER_LINES_MAX);
            problem_in_document(problems, &place, message);
            return LOYALTY_ERROR_LIMIT;
        }
    }

    if (order->nlines != 0) {
        order->lines =
            loyalty_alloc(arena, order->nlines * sizeof(*order->lines));
        if (order->lines == NULL) {
            return LOYALTY_ERROR_MEMORY;
        }
    }

    for (; place.line < order->nlines; place.line++) {
        json_t *line = json_array_get(lines, place.line);

        for (place.field = LOYALTY_CAPTURE_SKU;
             place.field < LOYALTY_CAPTURE_FIELDS; place.field++) {
            if (read_text(loyalty_pointer_get(line,
                                              map->pointers[place.field]),
                          &place, arena, problems,
                          loyalty_capture_text(
                              order, &order->lines[place.line], place.field))
                == LOYALTY_ERROR_MEMORY) {
                return LOYALTY_ERROR_MEMORY;
            }
        }
    }

    return problems->count == before ? LOYALTY_OK : LOYALTY_ERROR_INVALID;
}

/* What the conversion of one order needs, and whether all went well. */
typedef struct {
    const loyalty_capture_map_t *map;
    loyalty_arena_t *arena;
    loyalty_problems_t *problems;
    int exponent;
    bool failed;
} conversion_t;

static void
problem_at(conversion_t *c, size_t line, loyalty_capture_field_t field,
           const char *message)
{
    char place[NUMBER_SIZE * 2];

    if (field > LOYALTY_CAPTURE_LINES) {
        snprintf(place, sizeof(place), "/lines/%zu/%s", line,
                 fields[field].name);
    } else {
        snprintf(place, sizeof(place), "/%s", fields[field].name);
    }
    loyalty_problem(c->problems, place, "%s", message);
    c->failed = true;
}

static int64_t
money(conversion_t *c, loyalty_str_t text, size_t line,
      loyalty_capture_field_t field)
{
    int64_t value = 0;
    loyalty_status_t status;

    status = c->map->minor
                 ? loyalty_decimal_parse(text, 0, LOYALTY_ROUND_EXACT, &value)
                 : loyalty_decimal_parse(text, c->exponent,
                                         LOYALTY_ROUND_HALF_UP, &value);
    if (status != LOYALTY_OK) {
        problem_at(c, line, field,
                   c->map->minor ? "must be an integer in minor units"
                                 : "must be a decimal, \"12.34\"");
    }
    return value;
}

/* The unit price as a decimal in major units, which is what events carry. */
static loyalty_str_t
unit_price(conversion_t *c, loyalty_str_t text, size_t line)
{
    char decimal[LOYALTY_DECIMAL_SIZE];
    int64_t value;
    size_t len;

    if (!c->map->minor) {
        return text;
    }
    value = money(c, text, line, LOYALTY_CAPTURE_UNIT_PRICE);
    len = loyalty_decimal_format(value, c->exponent, decimal);
    if (loyalty_str_copy(c->arena, (loyalty_str_t){decimal, len}, &text)
        != LOYALTY_OK) {
        problem_at(c, line, LOYALTY_CAPTURE_UNIT_PRICE, "out of memory");
    }
    return text;
}

static json_t *
json_text(loyalty_str_t text)
{
    return json_stringn(text.data, text.len);
}

static json_t *
line_to_event(conversion_t *c, const loyalty_capture_line_t *line, size_t n,
              int64_t *amount)
{
    json_t *json = json_object();
    int64_t quantity = 0;

    *amount = 0;
    if (line->sku.data == NULL) {
        problem_at(c, n, LOYALTY_CAPTURE_SKU, "is missing");
    }
    if (line->quantity.data == NULL) {
        problem_at(c, n, LOYALTY_CAPTURE_QUANTITY, "is missing");
    } else if (loyalty_decimal_parse(line->quantity, 0, LOYALTY_ROUND_EXACT,
                                     &quantity) != LOYALTY_OK) {
        problem_at(c, n, LOYALTY_CAPTURE_QUANTITY, "must be a whole number");
    }
    json_object_set_new_nocheck(json, "sku", json_text(line->sku));
    if (line->category.data != NULL) {
        json_object_set_new_nocheck(json, "category",
                                    json_text(line->category));
    }
    json_object_set_new_nocheck(json, "quantity", json_integer(quantity));

    if (line->unit_price.data != NULL) {
        loyalty_str_t price = unit_price(c, line->unit_price, n);

        json_object_set_new_nocheck(json, "unit_price", json_text(price));
        if (line->amount.data == NULL && !c->failed
            && loyalty_line_amount(price, c->exponent, quantity, amount)
                   != LOYALTY_OK) {
            problem_at(c, n, LOYALTY_CAPTURE_UNIT_PRICE,
                       "must be a decimal whose product with the quantity "
                       "fits");
        }
    } else if (line->amount.data == NULL) {
        problem_at(c, n, LOYALTY_CAPTURE_AMOUNT,
                   "is missing, and unit_price too");
    }
    if (line->amount.data != NULL) {
        *amount = money(c, line->amount, n, LOYALTY_CAPTURE_AMOUNT);
    }
    json_object_set_new_nocheck(json, "amount", json_integer(*amount));
    return json;
}

static json_t *
order_to_event(conversion_t *c, const loyalty_capture_order_t *order,
               loyalty_str_t member, loyalty_str_t currency,
               loyalty_instant_t now)
{
    char text[LOYALTY_INSTANT_SIZE];
    json_t *json = json_object(), *lines = json_array();
    int64_t total = 0, amount;
    loyalty_str_t instant = {text, loyalty_instant_format(now, text)};

    if (order->order_id.data == NULL) {
        problem_at(c, 0, LOYALTY_CAPTURE_ORDER_ID, "is missing");
    }
    json_object_set_new_nocheck(json, "order_id", json_text(order->order_id));
    json_object_set_new_nocheck(json, "member_id", json_text(member));
    json_object_set_new_nocheck(json, "status", json_text(c->map->status));
    json_object_set_new_nocheck(json, "placed_at",
                        json_text(order->placed_at.data != NULL
                                      ? order->placed_at
                                      : instant));
    json_object_set_new_nocheck(json, "occurred_at", json_text(instant));
    json_object_set_new_nocheck(json, "currency", json_text(currency));

    for (size_t i = 0; i < order->nlines; i++) {
        json_array_append_new(lines,
                              line_to_event(c, &order->lines[i], i, &amount));
        if (loyalty_add(total, amount, &total) != LOYALTY_OK) {
            problem_at(c, i, LOYALTY_CAPTURE_AMOUNT, "is too large");
        }
    }
    json_object_set_new_nocheck(json, "lines", lines);

    if (order->total.data != NULL) {
        total = money(c, order->total, 0, LOYALTY_CAPTURE_TOTAL);
    } else if (order->nlines == 0) {
        problem_at(c, 0, LOYALTY_CAPTURE_TOTAL, "is missing, and lines too");
    }
    json_object_set_new_nocheck(json, "total", json_integer(total));
    return json;
}

/* Room for the event's names, numbers and instants, and for a line's. */
#define EVENT_ROOM 512
#define LINE_ROOM 160

/* Six bytes at most for one: "\u001f". */
static size_t
escaped_max(loyalty_str_t text)
{
    return 6 * text.len;
}

static char *
put(char *p, const char *text)
{
    size_t len = strlen(text);

    memcpy(p, text, len);
    return p + len;
}

static char *
put_text(char *p, const char *name, loyalty_str_t text)
{
    p = put(p, name);
    *p++ = '"';
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.data[i];

        if (c < 0x20) {
            p += sprintf(p, "\\u%04x", c);
            continue;
        }
        if (c == '"' || c == '\\') {
            *p++ = '\\';
        }
        *p++ = (char)c;
    }
    *p++ = '"';
    return p;
}

static char *
put_integer(char *p, const char *name, int64_t value)
{
    p = put(p, name);
    return p + loyalty_decimal_format(value, 0, p);
}

static char *
put_instant(char *p, const char *name, loyalty_instant_t instant)
{
    p = put(p, name);
    *p++ = '"';
    p += loyalty_instant_format(instant, p);
    *p++ = '"';
    return p;
}

/* A checked event as JSON; jansson would take five times as long. */
static loyalty_status_t
write_event(const loyalty_order_event_t *event, loyalty_str_t status,
            loyalty_arena_t *arena, loyalty_str_t *text)
{
    size_t room = EVENT_ROOM + escaped_max(event->order_id)
                  + escaped_max(event->member_id);
    char *p;

    for (size_t i = 0; i < event->nlines; i++) {
        room += LINE_ROOM + escaped_max(event->lines[i].sku)
                + escaped_max(event->lines[i].category)
                + escaped_max(event->lines[i].unit_price);
    }
    p = loyalty_alloc(arena, room);
    if (p == NULL) {
        return LOYALTY_ERROR_MEMORY;
    }
    text->data = p;

    p = put_text(p, "{\"order_id\":", event->order_id);
    p = put_text(p, ",\"member_id\":", event->member_id);
    p = put_text(p, ",\"status\":", status);
    p = put_instant(p, ",\"placed_at\":", event->placed_at);
    p = put_instant(p, ",\"occurred_at\":", event->occurred_at);
    p = put_text(p, ",\"currency\":", event->currency);
    p = put_integer(p, ",\"total\":", event->total);
    p = put(p, ",\"lines\":[");
    for (size_t i = 0; i < event->nlines; i++) {
        const loyalty_order_line_t *line = &event->lines[i];

        p = put_text(p, i == 0 ? "{\"sku\":" : ",{\"sku\":", line->sku);
        if (line->category.len != 0) {
            p = put_text(p, ",\"category\":", line->category);
        }
        p = put_integer(p, ",\"quantity\":", line->quantity);
        if (line->unit_price.len != 0) {
            p = put_text(p, ",\"unit_price\":", line->unit_price);
        }
        p = put_integer(p, ",\"amount\":", line->amount);
        *p++ = '}';
    }
    p = put(p, "]}");
    text->len = (size_t)(p - text->data);
    return LOYALTY_OK;
}

loyalty_status_t
loyalty_capture_event(const loyalty_capture_order_t *order,
                      const loyalty_capture_map_t *map, loyalty_str_t member,
                      loyalty_str_t currency, loyalty_instant_t now,
                      loyalty_arena_t *arena, loyalty_problems_t *problems,
                      loyalty_str_t *event)
{
    conversion_t c = {map, arena, problems, 0, false};
    loyalty_order_event_t parsed;
    loyalty_status_t status;
    json_t *json;

    *event = loyalty_str_null;
    if (currency.len == 0) {
        currency = order->currency;
        if (currency.data == NULL) {
            return LOYALTY_ERROR_NOT_FOUND;
        }
    } else if (order->currency.data != NULL
               && !loyalty_str_eq(order->currency, currency)) {
        problem_at(&c, 0, LOYALTY_CAPTURE_CURRENCY,
                   "is not the site's currency");
        return LOYALTY_ERROR_INVALID;
    }
    c.exponent = loyalty_currency_exponent(currency);
    if (c.exponent < 0) {
        problem_at(&c, 0, LOYALTY_CAPTURE_CURRENCY, "is no ISO 4217 code");
        return LOYALTY_ERROR_INVALID;
    }

    json = order_to_event(&c, order, member, currency, now);
    status = c.failed ? LOYALTY_ERROR_INVALID
                      : loyalty_order_event_parse(json, currency, now, arena,
                                                  problems, &parsed);
    if (status == LOYALTY_OK) {
        status = write_event(&parsed, map->status, arena, event);
    }
    json_decref(json);
    return status;
}

static void
set_text(json_t *json, loyalty_capture_field_t field, loyalty_str_t text)
{
    if (text.data != NULL) {
        json_object_set_new(json, fields[field].name, json_text(text));
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
