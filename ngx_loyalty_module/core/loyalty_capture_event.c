/*
 * From a shop's texts to the event's JSON.
 *
 *   texts --convert, check--> loyalty_order_event_t --write--> JSON
 *
 * No tree is built on the way: this runs while a shopper waits.  What is
 * wrong is told by the field's place in our own names.
 */

#include "loyalty_capture.h"

#include <stdio.h>

#include "loyalty_money.h"
#include "loyalty_order_private.h"

#define PLACE_SIZE 64

/* What the conversion of one order needs, and whether all went well. */
typedef struct {
    const loyalty_capture_map_t *map;
    loyalty_arena_t *arena;
    loyalty_problems_t *problems;
    int exponent;
    bool failed;
    bool no_memory;
} conversion_t;

static void
place_of(char *place, size_t line, loyalty_capture_field_t field)
{
    const char *name = loyalty_capture_field_name(field);

    if (field > LOYALTY_CAPTURE_LINES) {
        snprintf(place, PLACE_SIZE, "/lines/%zu/%s", line, name);
    } else {
        snprintf(place, PLACE_SIZE, "/%s", name);
    }
}

static void
problem_at(conversion_t *c, size_t line, loyalty_capture_field_t field,
           const char *message)
{
    char place[PLACE_SIZE];

    place_of(place, line, field);
    loyalty_problem(c->problems, place, "%s", message);
    c->failed = true;
}

/* A text that may stand in an event; an optional one may be absent. */
static void
check_text(conversion_t *c, loyalty_str_t text, size_t line,
           loyalty_capture_field_t field, size_t max, bool required)
{
    char place[PLACE_SIZE];

    if (text.data == NULL && !required) {
        return;
    }
    if (text.data == NULL) {
        problem_at(c, line, field, "is missing");
    } else if (!loyalty_utf8_check(text)) {
        problem_at(c, line, field, "is no UTF-8");
    } else if (!loyalty_order_text_ok(text, max, required)) {
        place_of(place, line, field);
        loyalty_order_text_refuse(c->problems, place, text, max, required);
        c->failed = true;
    }
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
        c->no_memory = true;
    }
    return text;
}

static void
line_quantity(conversion_t *c, loyalty_str_t text, size_t n,
              loyalty_order_line_t *to)
{
    if (text.data == NULL) {
        problem_at(c, n, LOYALTY_CAPTURE_QUANTITY, "is missing");
    } else if (loyalty_decimal_parse(text, 0, LOYALTY_ROUND_EXACT,
                                     &to->quantity) != LOYALTY_OK) {
        problem_at(c, n, LOYALTY_CAPTURE_QUANTITY, "must be a whole number");
    } else if (to->quantity < 1 || to->quantity > LOYALTY_QUANTITY_MAX) {
        problem_at(c, n, LOYALTY_CAPTURE_QUANTITY, "is not 1 to a billion");
    }
}

static void
line_amount(conversion_t *c, const loyalty_capture_line_t *from, size_t n,
            loyalty_order_line_t *to)
{
    if (from->unit_price.data != NULL) {
        to->unit_price = unit_price(c, from->unit_price, n);
        check_text(c, to->unit_price, n, LOYALTY_CAPTURE_UNIT_PRICE,
                   LOYALTY_ID_MAX, false);
    }
    if (from->amount.data != NULL) {
        to->amount = money(c, from->amount, n, LOYALTY_CAPTURE_AMOUNT);
    } else if (from->unit_price.data == NULL) {
        problem_at(c, n, LOYALTY_CAPTURE_AMOUNT,
                   "is missing, and unit_price too");
    } else if (!c->failed
               && loyalty_line_amount(to->unit_price, c->exponent,
                                      to->quantity, &to->amount)
                      != LOYALTY_OK) {
        problem_at(c, n, LOYALTY_CAPTURE_UNIT_PRICE,
                   "must be a decimal whose product with the quantity fits");
    }
    if (to->amount < 0) {
        problem_at(c, n, LOYALTY_CAPTURE_AMOUNT, "is negative");
    }
}

static void
lines(conversion_t *c, const loyalty_capture_order_t *order,
      loyalty_order_event_t *event)
{
    if (order->nlines == 0) {
        return;
    }
    event->lines =
        loyalty_alloc(c->arena, order->nlines * sizeof(*event->lines));
    if (event->lines == NULL) {
        c->no_memory = true;
        return;
    }
    event->nlines = order->nlines;

    for (size_t i = 0; i < order->nlines; i++) {
        const loyalty_capture_line_t *from = &order->lines[i];
        loyalty_order_line_t *to = &event->lines[i];

        to->sku = from->sku;
        check_text(c, to->sku, i, LOYALTY_CAPTURE_SKU, LOYALTY_SKU_MAX, true);
        /* What is no text in a page costs the category, not the order. */
        if (loyalty_utf8_check(from->category)) {
            to->category = from->category;
            check_text(c, to->category, i, LOYALTY_CAPTURE_CATEGORY,
                       LOYALTY_CATEGORY_MAX, false);
        }
        line_quantity(c, from->quantity, i, to);
        line_amount(c, from, i, to);

        if (loyalty_add(event->total, to->amount, &event->total)
            != LOYALTY_OK) {
            problem_at(c, i, LOYALTY_CAPTURE_AMOUNT, "is too large");
        }
    }
}

static void
convert(conversion_t *c, const loyalty_capture_order_t *order,
        loyalty_str_t member, loyalty_instant_t now,
        loyalty_order_event_t *event)
{
    event->order_id = order->order_id;
    check_text(c, event->order_id, 0, LOYALTY_CAPTURE_ORDER_ID,
               LOYALTY_ORDER_ID_MAX, true);

    event->member_id = member;
    if (!loyalty_utf8_check(member)
        || !loyalty_order_text_ok(member, LOYALTY_MEMBER_ID_MAX, false)) {
        loyalty_problem(c->problems, "/member_id", "is no id of a member");
        c->failed = true;
    }

    event->status = loyalty_order_status_of(c->map->status);
    if (event->status == 0) {
        loyalty_problem(c->problems, "/status", "is unknown");
        c->failed = true;
    }

    event->occurred_at = now;
    event->placed_at = now;
    if (order->placed_at.data != NULL
        && loyalty_instant_parse(order->placed_at, &event->placed_at)
               != LOYALTY_OK) {
        problem_at(c, 0, LOYALTY_CAPTURE_PLACED_AT,
                   "must be an instant such as 2010-12-01T08:26:00Z");
    }

    lines(c, order, event);

    if (order->total.data != NULL) {
        event->total = money(c, order->total, 0, LOYALTY_CAPTURE_TOTAL);
    } else if (order->nlines == 0) {
        problem_at(c, 0, LOYALTY_CAPTURE_TOTAL, "is missing, and lines too");
    }
    if (event->total < 0) {
        problem_at(c, 0, LOYALTY_CAPTURE_TOTAL, "is negative");
    }
}

/* Room for the event's names, numbers and instants, and for a line's. */
#define EVENT_ROOM 512
#define LINE_ROOM 160

/* Only quotes and backslashes are escaped: control characters are refused. */
static size_t
escaped_max(loyalty_str_t text)
{
    return 2 * text.len;
}

#define put(p, literal) put_bytes((p), (literal), sizeof(literal) - 1)

static char *
put_bytes(char *p, const char *bytes, size_t len)
{
    memcpy(p, bytes, len);
    return p + len;
}

static char *
put_text(char *p, loyalty_str_t text)
{
    *p++ = '"';
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] == '"' || text.data[i] == '\\') {
            *p++ = '\\';
        }
        *p++ = text.data[i];
    }
    *p++ = '"';
    return p;
}

/* What never has anything to escape. */
static char *
put_plain(char *p, loyalty_str_t text)
{
    *p++ = '"';
    p = put_bytes(p, text.data, text.len);
    *p++ = '"';
    return p;
}

static char *
put_integer(char *p, int64_t value)
{
    return p + loyalty_decimal_format(value, 0, p);
}

static char *
put_line(char *p, const loyalty_order_line_t *line)
{
    p = put_text(put(p, "{\"sku\":"), line->sku);
    if (line->category.len != 0) {
        p = put_text(put(p, ",\"category\":"), line->category);
    }
    p = put_integer(put(p, ",\"quantity\":"), line->quantity);
    if (line->unit_price.len != 0) {
        p = put_text(put(p, ",\"unit_price\":"), line->unit_price);
    }
    p = put_integer(put(p, ",\"amount\":"), line->amount);
    *p++ = '}';
    return p;
}

static loyalty_status_t
write_event(const loyalty_order_event_t *event, loyalty_str_t status,
            loyalty_arena_t *arena, loyalty_str_t *text)
{
    size_t room = EVENT_ROOM + escaped_max(event->order_id)
                  + escaped_max(event->member_id);
    char placed[LOYALTY_INSTANT_SIZE], occurred[LOYALTY_INSTANT_SIZE];
    loyalty_str_t placed_at, occurred_at;
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

    occurred_at = (loyalty_str_t){
        occurred, loyalty_instant_format(event->occurred_at, occurred)};
    placed_at = occurred_at; /* most shops don't say */
    if (event->placed_at != event->occurred_at) {
        placed_at = (loyalty_str_t){
            placed, loyalty_instant_format(event->placed_at, placed)};
    }

    p = put_text(put(p, "{\"order_id\":"), event->order_id);
    p = put_text(put(p, ",\"member_id\":"), event->member_id);
    p = put_plain(put(p, ",\"status\":"), status);
    p = put_plain(put(p, ",\"placed_at\":"), placed_at);
    p = put_plain(put(p, ",\"occurred_at\":"), occurred_at);
    p = put_plain(put(p, ",\"currency\":"), event->currency);
    p = put_integer(put(p, ",\"total\":"), event->total);
    p = put(p, ",\"lines\":[");
    for (size_t i = 0; i < event->nlines; i++) {
        if (i != 0) {
            *p++ = ',';
        }
        p = put_line(p, &event->lines[i]);
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
                      loyalty_str_t *text)
{
    conversion_t c = {.map = map, .arena = arena, .problems = problems};
    loyalty_order_event_t event = {.attempt = 1};

    *text = loyalty_str_null;
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
    event.currency = currency;

    convert(&c, order, member, now, &event);
    if (c.no_memory) {
        return LOYALTY_ERROR_MEMORY;
    }
    if (c.failed) {
        return LOYALTY_ERROR_INVALID;
    }
    return write_event(&event, map->status, arena, text);
}
