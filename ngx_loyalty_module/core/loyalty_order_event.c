/*
 * An order event from and to JSON (DOMAIN.md section 3).
 *
 * Everything wrong with an event is collected, each mistake with its JSON
 * Pointer.  Fields nobody here knows are left alone: a shop may send its
 * whole order.
 *
 * An event is read in place, without a tree: most of what applying an order
 * takes is to read it.
 */

#include "loyalty_order_private.h"

#include <stdio.h>

#include "loyalty_money.h"

#define POINTER_SIZE 128

typedef struct {
    const loyalty_document_t *document;
    loyalty_arena_t *arena;
    loyalty_problems_t *problems;
    loyalty_str_t currency;
    int exponent;
    bool no_memory;

    /* Where we are: in "" or "/refund", or in one of its lines. */
    const char *inside;
    bool in_line;
    size_t line;
} parser_t;

/* Members of an order, of a refund and of a line, by their places in lists of
 * names. */
enum {
    ORDER_ID,
    MEMBER_ID,
    STATUS,
    ATTEMPT,
    OCCURRED_AT,
    PLACED_AT,
    CURRENCY,
    TOTAL,
    LINES,
    REDEMPTIONS,
    REFUND,
    ORDER_MEMBERS
};

enum {
    REFUND_ID,
    REFUND_AMOUNT,
    REFUND_LINES,
    REFUND_MEMBERS
};

enum {
    SKU,
    CATEGORY,
    UNIT_PRICE,
    QUANTITY,
    AMOUNT,
    LINE_MEMBERS
};

#define NAME(text) {text, sizeof(text) - 1}

static const loyalty_str_t order_names[ORDER_MEMBERS] = {
    [ORDER_ID] = NAME("order_id"),       [MEMBER_ID] = NAME("member_id"),
    [STATUS] = NAME("status"),           [ATTEMPT] = NAME("attempt"),
    [OCCURRED_AT] = NAME("occurred_at"), [PLACED_AT] = NAME("placed_at"),
    [CURRENCY] = NAME("currency"),       [TOTAL] = NAME("total"),
    [LINES] = NAME("lines"),             [REDEMPTIONS] = NAME("redemptions"),
    [REFUND] = NAME("refund"),
};

static const loyalty_str_t refund_names[REFUND_MEMBERS] = {
    [REFUND_ID] = NAME("id"),
    [REFUND_AMOUNT] = NAME("amount"),
    [REFUND_LINES] = NAME("lines"),
};

static const loyalty_str_t line_names[LINE_MEMBERS] = {
    [SKU] = NAME("sku"),
    [CATEGORY] = NAME("category"),
    [UNIT_PRICE] = NAME("unit_price"),
    [QUANTITY] = NAME("quantity"),
    [AMOUNT] = NAME("amount"),
};

/* A member of an object: NULL where it is absent, or null. */
typedef struct {
    const char *name;
    const loyalty_element_t *value;
} field_t;

static void
find_fields(const parser_t *parser, const loyalty_element_t *object,
            const loyalty_str_t *names, size_t n, field_t *fields)
{
    const loyalty_element_t *key = object + 1, *value;
    uint32_t i;
    size_t j;

    for (j = 0; j < n; j++) {
        fields[j] = (field_t){names[j].data, NULL};
    }

    for (i = 0; i < object->len; i++) {
        value = key + 1;
        for (j = 0; j < n; j++) {
            if (loyalty_document_is_named(parser->document, key, names[j])) {
                fields[j].value = value->type == LOYALTY_JSON_NULL ? NULL
                                                                   : value;
                break;
            }
        }
        key = loyalty_document_next(parser->document, value);
    }
}

/* Of a member of the object we are in, or (NULL) of the object. */
static const char *
pointer_to(const parser_t *parser, const char *name, char *pointer)
{
    int len = snprintf(pointer, POINTER_SIZE, "%s", parser->inside);

    if (parser->in_line) {
        len += snprintf(pointer + len, POINTER_SIZE - (size_t)len,
                        "/lines/%zu", parser->line);
    }
    if (name != NULL) {
        snprintf(pointer + len, POINTER_SIZE - (size_t)len, "/%s", name);
    }
    return pointer;
}

static bool
is_control(char c)
{
    return (unsigned char)c < 0x20 || c == 0x7f;
}

static bool
length_ok(loyalty_str_t text, size_t max, bool required)
{
    return text.len <= max && (text.len != 0 || !required);
}

bool
loyalty_order_text_ok(loyalty_str_t text, size_t max, bool required)
{
    if (!length_ok(text, max, required)) {
        return false;
    }

    for (size_t i = 0; i < text.len; i++) {
        if (is_control(text.data[i])) {
            return false;
        }
    }
    return true;
}

void
loyalty_order_text_refuse(loyalty_problems_t *problems, const char *pointer,
                          loyalty_str_t text, size_t max, bool required)
{
    if (!length_ok(text, max, required)) {
        loyalty_problem(problems, pointer, "give %s to %zu bytes",
                        required ? "1" : "up", max);
    } else {
        loyalty_problem(problems, pointer, "leave out control characters");
    }
}

static bool
is_string(const loyalty_element_t *value)
{
    return value != NULL
           && (value->type == LOYALTY_JSON_STRING
               || value->type == LOYALTY_JSON_ESCAPED);
}

/* What a string means; empty where it is none. */
static loyalty_str_t
text_of(parser_t *parser, const loyalty_element_t *value)
{
    loyalty_str_t bytes;
    char *text;

    if (!is_string(value)) {
        return loyalty_str_null;
    }

    bytes = loyalty_document_bytes(parser->document, value);
    if (value->type == LOYALTY_JSON_STRING) {
        return bytes;
    }

    text = loyalty_alloc(parser->arena, bytes.len);
    if (text == NULL) {
        parser->no_memory = true;
        return loyalty_str_null;
    }
    return (loyalty_str_t){text, loyalty_document_unescape(bytes, text)};
}

/* A string without control characters; empty where it is absent. */
static loyalty_str_t
get_text(parser_t *parser, const field_t *field, size_t max, bool required)
{
    loyalty_str_t text = text_of(parser, field->value);
    char pointer[POINTER_SIZE];

    if (field->value == NULL && !required) {
        return loyalty_str_null;
    }

    if (!is_string(field->value)) {
        loyalty_problem(parser->problems,
                        pointer_to(parser, field->name, pointer),
                        "give a string");
        return loyalty_str_null;
    }

    if (!loyalty_order_text_ok(text, max, required)) {
        loyalty_order_text_refuse(parser->problems,
                                  pointer_to(parser, field->name, pointer),
                                  text, max, required);
        return loyalty_str_null;
    }
    return text;
}

/* An integer from min to max; `absent` where it is absent. */
static int64_t
get_integer(parser_t *parser, const field_t *field, int64_t min, int64_t max,
            int64_t absent)
{
    char pointer[POINTER_SIZE];
    int64_t value;

    if (field->value == NULL) {
        return absent;
    }

    if (field->value->type == LOYALTY_JSON_INTEGER) {
        value = loyalty_document_integer(parser->document, field->value);
        if (value >= min && value <= max) {
            return value;
        }
    }

    loyalty_problem(parser->problems,
                    pointer_to(parser, field->name, pointer),
                    "give an integer from %lld to %lld", (long long)min,
                    (long long)max);
    return absent;
}

static loyalty_instant_t
get_instant(parser_t *parser, const field_t *field, loyalty_instant_t absent)
{
    loyalty_instant_t instant;
    char pointer[POINTER_SIZE];

    if (field->value == NULL) {
        return absent;
    }

    if (!is_string(field->value)
        || loyalty_instant_parse(text_of(parser, field->value), &instant)
               != LOYALTY_OK) {
        loyalty_problem(parser->problems,
                        pointer_to(parser, field->name, pointer),
                        "give an instant such as 2010-12-01T08:26:00Z");
        return absent;
    }
    return instant;
}

/* The elements of an optional array of at most `max`. */
static size_t
get_array(parser_t *parser, const field_t *field, size_t max)
{
    char pointer[POINTER_SIZE];

    if (field->value == NULL) {
        return 0;
    }

    if (field->value->type != LOYALTY_JSON_ARRAY) {
        loyalty_problem(parser->problems,
                        pointer_to(parser, field->name, pointer),
                        "give an array");
        return 0;
    }

    if (field->value->len > max) {
        loyalty_problem(parser->problems,
                        pointer_to(parser, field->name, pointer),
                        "give at most %zu elements", max);
        return 0;
    }
    return field->value->len;
}

/* An order's line needs an amount, or the price it follows from. */
static void
find_amount(parser_t *parser, loyalty_order_line_t *line)
{
    char pointer[POINTER_SIZE];

    if (line->amount >= 0) {
        return;
    }

    if (line->unit_price.len == 0) {
        loyalty_problem(parser->problems,
                        pointer_to(parser, "amount", pointer),
                        "give the amount or the unit_price");

    } else if (line->unit_price.data[0] == '-'
               || loyalty_line_amount(line->unit_price, parser->exponent,
                                      line->quantity, &line->amount)
                      != LOYALTY_OK) {
        loyalty_problem(parser->problems,
                        pointer_to(parser, "unit_price", pointer),
                        "give a decimal such as \"12.50\", not negative");
    }
}

static void
get_line(parser_t *parser, const loyalty_element_t *object, bool refund,
         loyalty_order_line_t *line)
{
    size_t problems = parser->problems->count;
    char pointer[POINTER_SIZE];
    field_t fields[LINE_MEMBERS];

    if (object->type != LOYALTY_JSON_OBJECT) {
        loyalty_problem(parser->problems, pointer_to(parser, NULL, pointer),
                        "give an object");
        return;
    }

    find_fields(parser, object, line_names, LINE_MEMBERS, fields);
    line->sku = get_text(parser, &fields[SKU], LOYALTY_SKU_MAX, true);
    line->category = get_text(parser, &fields[CATEGORY], LOYALTY_CATEGORY_MAX,
                              false);
    line->unit_price = get_text(parser, &fields[UNIT_PRICE], LOYALTY_ID_MAX,
                                false);
    line->quantity = get_integer(parser, &fields[QUANTITY], 1,
                                 LOYALTY_QUANTITY_MAX, 1);
    line->amount = get_integer(parser, &fields[AMOUNT], 0, INT64_MAX, -1);

    if (!refund && parser->problems->count == problems) {
        find_amount(parser, line);
    }
}

static void
get_lines(parser_t *parser, const field_t *field, bool refund,
          loyalty_order_line_t **lines, size_t *n)
{
    const loyalty_element_t *object;

    *n = get_array(parser, field, LOYALTY_ORDER_LINES_MAX);
    if (*n == 0) {
        return;
    }

    *lines = loyalty_alloc(parser->arena, *n * sizeof(**lines));
    if (*lines == NULL) {
        parser->no_memory = true;
        *n = 0;
        return;
    }

    object = field->value + 1;
    parser->in_line = true;
    for (parser->line = 0; parser->line < *n; parser->line++) {
        get_line(parser, object, refund, &(*lines)[parser->line]);
        object = loyalty_document_next(parser->document, object);
    }
    parser->in_line = false;
}

static void
get_redemptions(parser_t *parser, const field_t *field,
                loyalty_order_event_t *event)
{
    const loyalty_element_t *element;
    char pointer[POINTER_SIZE];
    loyalty_str_t text;
    size_t i, n;

    n = get_array(parser, field, LOYALTY_ORDER_REDEMPTIONS_MAX);
    if (n == 0) {
        return;
    }

    event->redemptions =
        loyalty_alloc(parser->arena, n * sizeof(*event->redemptions));
    if (event->redemptions == NULL) {
        parser->no_memory = true;
        return;
    }

    element = field->value + 1;
    for (i = 0; i < n; i++) {
        text = text_of(parser, element);
        if (text.len == 0 || text.len > LOYALTY_ORDER_ID_MAX) {
            snprintf(pointer, sizeof(pointer), "/redemptions/%zu", i);
            loyalty_problem(parser->problems, pointer,
                            "give an id of 1 to %d bytes",
                            LOYALTY_ORDER_ID_MAX);
        }
        event->redemptions[i] = text;
        element = loyalty_document_next(parser->document, element);
    }
    event->nredemptions = n;
}

static void
get_refund(parser_t *parser, const field_t *field, loyalty_refund_t *refund)
{
    field_t fields[REFUND_MEMBERS];

    refund->amount = -1;
    if (field->value == NULL) {
        return;
    }

    parser->inside = "/refund";

    if (field->value->type != LOYALTY_JSON_OBJECT) {
        loyalty_problem(parser->problems, "/refund", "give an object");
    } else {
        find_fields(parser, field->value, refund_names, REFUND_MEMBERS,
                    fields);
        refund->id = get_text(parser, &fields[REFUND_ID], LOYALTY_ORDER_ID_MAX,
                              true);
        refund->amount = get_integer(parser, &fields[REFUND_AMOUNT], 0,
                                     INT64_MAX, -1);
        get_lines(parser, &fields[REFUND_LINES], true, &refund->lines,
                  &refund->nlines);
    }

    parser->inside = "";
}

loyalty_order_status_t
loyalty_order_status_of(loyalty_str_t name)
{
    loyalty_order_status_t status = LOYALTY_ORDER_REFUNDED;

    while (status != 0
           && !loyalty_str_eq(
               name, loyalty_str_from(loyalty_order_status_name(status)))) {
        status--;
    }
    return status;
}

static void
get_currency(parser_t *parser, const field_t *field,
             loyalty_order_event_t *event)
{
    event->currency = get_text(parser, field, LOYALTY_ID_MAX, false);

    if (event->currency.len == 0) {
        event->currency = parser->currency;
    } else if (!loyalty_str_eq(event->currency, parser->currency)) {
        loyalty_problem(parser->problems, "/currency",
                        "give the currency of the site, %.*s",
                        (int)parser->currency.len, parser->currency.data);
    }
}

/* All but lines, redemptions and refund. */
static void
get_head(parser_t *parser, const field_t *fields, loyalty_instant_t now,
         loyalty_order_event_t *event)
{
    event->order_id = get_text(parser, &fields[ORDER_ID],
                               LOYALTY_ORDER_ID_MAX, true);
    event->member_id = get_text(parser, &fields[MEMBER_ID],
                                LOYALTY_MEMBER_ID_MAX, false);

    event->status =
        loyalty_order_status_of(text_of(parser, fields[STATUS].value));
    if (event->status == 0) {
        loyalty_problem(
            parser->problems, "/status",
            "give placed, completed, shipped, cancelled or refunded");
    }

    event->attempt =
        (int32_t)get_integer(parser, &fields[ATTEMPT], 1, INT32_MAX, 1);
    event->occurred_at = get_instant(parser, &fields[OCCURRED_AT], now);
    event->placed_at = get_instant(parser, &fields[PLACED_AT],
                                   event->occurred_at);
    get_currency(parser, &fields[CURRENCY], event);

    event->total = get_integer(parser, &fields[TOTAL], 0, INT64_MAX, -1);
    if (fields[TOTAL].value == NULL && event->status >= LOYALTY_ORDER_PLACED
        && event->status <= LOYALTY_ORDER_SHIPPED) {
        loyalty_problem(parser->problems, "/total",
                        "give the total in minor units of the currency");
    }
}

loyalty_status_t
loyalty_order_event_parse(const loyalty_document_t *document,
                          loyalty_str_t currency, loyalty_instant_t now,
                          loyalty_arena_t *arena, loyalty_problems_t *problems,
                          loyalty_order_event_t *event)
{
    const loyalty_element_t *root = loyalty_document_root(document);
    parser_t parser = {.document = document,
                       .arena = arena,
                       .problems = problems,
                       .currency = currency,
                       .exponent = loyalty_currency_exponent(currency),
                       .inside = ""};
    size_t before = problems->count;
    field_t fields[ORDER_MEMBERS];

    *event = (loyalty_order_event_t){0};

    if (root == NULL || root->type != LOYALTY_JSON_OBJECT) {
        loyalty_problem(problems, "", "give an object");
        return LOYALTY_ERROR_INVALID;
    }

    find_fields(&parser, root, order_names, ORDER_MEMBERS, fields);
    get_head(&parser, fields, now, event);
    get_lines(&parser, &fields[LINES], false, &event->lines, &event->nlines);
    get_redemptions(&parser, &fields[REDEMPTIONS], event);
    get_refund(&parser, &fields[REFUND], &event->refund);

    if (event->status != LOYALTY_ORDER_REFUNDED
        && fields[REFUND].value != NULL) {
        loyalty_problem(problems, "/refund",
                        "leave it out, or say status refunded");
    }

    if (parser.no_memory) {
        return LOYALTY_ERROR_MEMORY;
    }
    return problems->count == before ? LOYALTY_OK : LOYALTY_ERROR_INVALID;
}

/* Writing. */

static void
set_text(json_t *object, const char *name, loyalty_str_t text)
{
    if (text.len != 0) {
        json_object_set_new(object, name, json_stringn(text.data, text.len));
    }
}

static void
set_instant(json_t *object, const char *name, loyalty_instant_t instant)
{
    char text[LOYALTY_INSTANT_SIZE];
    size_t len;

    if (instant != LOYALTY_UNKNOWN && instant != LOYALTY_NEVER) {
        len = loyalty_instant_format(instant, text);
        json_object_set_new(object, name, json_stringn(text, len));
    }
}

static json_t *
lines_to_json(const loyalty_order_line_t *lines, size_t n, bool returned)
{
    const loyalty_order_line_t *line;
    json_t *array = json_array(), *object;
    size_t i;

    for (i = 0; i < n; i++) {
        line = &lines[i];
        object = json_object();
        set_text(object, "sku", line->sku);
        set_text(object, "category", line->category);
        json_object_set_new(object, "quantity", json_integer(line->quantity));
        set_text(object, "unit_price", line->unit_price);
        if (line->amount >= 0) {
            json_object_set_new(object, "amount", json_integer(line->amount));
        }
        if (returned) {
            json_object_set_new(object, "returned",
                                json_integer(line->returned));
        }
        json_array_append_new(array, object);
    }

    return array;
}

static json_t *
refund_to_json(const loyalty_refund_t *refund)
{
    json_t *object = json_object();

    set_text(object, "id", refund->id);
    if (refund->amount >= 0) {
        json_object_set_new(object, "amount", json_integer(refund->amount));
    }
    if (refund->nlines > 0) {
        json_object_set_new(
            object, "lines",
            lines_to_json(refund->lines, refund->nlines, false));
    }

    return object;
}

json_t *
loyalty_order_event_to_json(const loyalty_order_event_t *event)
{
    json_t *object = json_object();

    set_text(object, "order_id", event->order_id);
    set_text(object, "member_id", event->member_id);
    json_object_set_new(object, "status",
                        json_string(loyalty_order_status_name(event->status)));
    json_object_set_new(object, "attempt", json_integer(event->attempt));
    set_instant(object, "placed_at", event->placed_at);
    set_instant(object, "occurred_at", event->occurred_at);
    set_text(object, "currency", event->currency);
    if (event->total >= 0) {
        json_object_set_new(object, "total", json_integer(event->total));
    }
    if (event->nlines > 0) {
        json_object_set_new(object, "lines",
                            lines_to_json(event->lines, event->nlines, false));
    }
    if (event->nredemptions > 0) {
        json_object_set_new(
            object, "redemptions",
            loyalty_strs_to_json(event->redemptions, event->nredemptions));
    }
    if (event->refund.id.len > 0) {
        json_object_set_new(object, "refund", refund_to_json(&event->refund));
    }

    return object;
}

static bool
saw(const loyalty_order_attempt_t *attempt, loyalty_order_status_t status)
{
    return attempt->marks[status - 1].seen;
}

static const char *
state_of(const loyalty_order_attempt_t *attempt)
{
    if (saw(attempt, LOYALTY_ORDER_CANCELLED)) {
        return "cancelled";
    }
    if (attempt->returned > 0) {
        return "refunded";
    }
    if (saw(attempt, LOYALTY_ORDER_SHIPPED)) {
        return "shipped";
    }
    return saw(attempt, LOYALTY_ORDER_COMPLETED) ? "completed" : "placed";
}

static json_t *
refunds_to_json(const loyalty_order_attempt_t *attempt)
{
    json_t *array = json_array(), *object;
    size_t i;

    for (i = 0; i < attempt->nrefunds; i++) {
        object = refund_to_json(&attempt->refunds[i].refund);
        set_instant(object, "occurred_at", attempt->refunds[i].occurred_at);
        if (attempt->refunds[i].value >= 0) {
            json_object_set_new(object, "value",
                                json_integer(attempt->refunds[i].value));
        } else {
            json_object_set_new(object, "held", json_true());
        }
        json_array_append_new(array, object);
    }

    return array;
}

json_t *
loyalty_order_to_json(const loyalty_order_t *order)
{
    const loyalty_order_attempt_t *attempt;
    json_t *object = json_object();

    set_text(object, "order_id", order->id);
    set_text(object, "member_id", order->member_id);
    set_text(object, "currency", order->currency);

    if (order->nattempts == 0) {
        return object;
    }

    attempt = &order->attempts[order->nattempts - 1];
    json_object_set_new(object, "status", json_string(state_of(attempt)));
    json_object_set_new(object, "attempt", json_integer(attempt->attempt));
    set_instant(object, "placed_at", attempt->placed_at);
    set_instant(object, "completed_at", attempt->earned_at);
    json_object_set_new(object, "total", json_integer(attempt->total));
    json_object_set_new(object, "returned", json_integer(attempt->returned));
    json_object_set_new(object, "points", json_integer(attempt->points));
    json_object_set_new(object, "points_revoked",
                        json_integer(attempt->revoked));
    json_object_set_new(object, "counts", json_boolean(attempt->counts));
    json_object_set_new(object, "lines",
                        lines_to_json(attempt->lines, attempt->nlines, true));
    json_object_set_new(
        object, "redemptions",
        loyalty_strs_to_json(attempt->redemptions, attempt->nredemptions));
    json_object_set_new(object, "refunds", refunds_to_json(attempt));
    return object;
}

loyalty_instant_t
loyalty_order_placed_at(const loyalty_order_t *order)
{
    size_t i;

    for (i = order->nattempts; i-- > 0;) {
        if (order->attempts[i].placed_at != LOYALTY_UNKNOWN) {
            return order->attempts[i].placed_at;
        }
    }

    return LOYALTY_UNKNOWN;
}
