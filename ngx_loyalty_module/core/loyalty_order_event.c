/*
 * An order event from and to JSON (DOMAIN.md section 3).
 *
 * Everything wrong with an event is collected, each mistake with its JSON
 * Pointer.  Fields nobody here knows are left alone: a shop may send its
 * whole order.
 */

#include "loyalty_order_private.h"

#include <stdio.h>

#include "loyalty_money.h"

#define POINTER_SIZE 128

typedef struct {
    loyalty_arena_t *arena;
    loyalty_problems_t *problems;
    loyalty_str_t currency;
    int exponent;
    bool no_memory;
} parser_t;

static bool
is_absent(const json_t *value)
{
    return value == NULL || json_is_null(value);
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

/* A string without control characters; empty where it is absent. */
static loyalty_str_t
get_text(parser_t *parser, json_t *object, const char *prefix, const char *name,
         size_t max, bool required)
{
    json_t *value = json_object_get(object, name);
    char pointer[POINTER_SIZE];
    loyalty_str_t text;

    if (is_absent(value) && !required) {
        return loyalty_str_null;
    }

    text = (loyalty_str_t){json_string_value(value), json_string_length(value)};

    if (!json_is_string(value) || !loyalty_order_text_ok(text, max, required)) {
        snprintf(pointer, sizeof(pointer), "%s/%s", prefix, name);
        if (json_is_string(value)) {
            loyalty_order_text_refuse(parser->problems, pointer, text, max,
                                      required);
        } else {
            loyalty_problem(parser->problems, pointer, "give a string");
        }
        return loyalty_str_null;
    }

    if (loyalty_str_copy(parser->arena, text, &text) != LOYALTY_OK) {
        parser->no_memory = true;
        return loyalty_str_null;
    }
    return text;
}

/* An integer from min to max; `absent` where it is absent. */
static int64_t
get_integer(parser_t *parser, json_t *object, const char *prefix,
            const char *name, int64_t min, int64_t max, int64_t absent)
{
    json_t *value = json_object_get(object, name);
    char pointer[POINTER_SIZE];

    if (is_absent(value)) {
        return absent;
    }

    if (!json_is_integer(value) || json_integer_value(value) < min
        || json_integer_value(value) > max) {
        snprintf(pointer, sizeof(pointer), "%s/%s", prefix, name);
        loyalty_problem(parser->problems, pointer,
                        "give an integer from %lld to %lld", (long long)min,
                        (long long)max);
        return absent;
    }

    return json_integer_value(value);
}

static loyalty_instant_t
get_instant(parser_t *parser, json_t *object, const char *name,
            loyalty_instant_t absent)
{
    json_t *value = json_object_get(object, name);
    loyalty_instant_t instant;
    char pointer[POINTER_SIZE];
    loyalty_str_t text;

    if (is_absent(value)) {
        return absent;
    }

    text = (loyalty_str_t){json_string_value(value), json_string_length(value)};

    if (!json_is_string(value)
        || loyalty_instant_parse(text, &instant) != LOYALTY_OK) {
        snprintf(pointer, sizeof(pointer), "/%s", name);
        loyalty_problem(parser->problems, pointer,
                        "give an instant such as 2010-12-01T08:26:00Z");
        return absent;
    }

    return instant;
}

/* The elements of an optional array of at most `max`. */
static size_t
get_array(parser_t *parser, json_t *object, const char *prefix,
          const char *name, size_t max, json_t **array)
{
    char pointer[POINTER_SIZE];

    *array = json_object_get(object, name);
    if (is_absent(*array)) {
        return 0;
    }

    snprintf(pointer, sizeof(pointer), "%s/%s", prefix, name);

    if (!json_is_array(*array)) {
        loyalty_problem(parser->problems, pointer, "give an array");
        return 0;
    }

    if (json_array_size(*array) > max) {
        loyalty_problem(parser->problems, pointer, "give at most %zu elements",
                        max);
        return 0;
    }

    return json_array_size(*array);
}

/* An order's line needs an amount, or the price it follows from. */
static void
find_amount(parser_t *parser, const char *pointer, loyalty_order_line_t *line)
{
    char where[POINTER_SIZE + 16];

    if (line->amount >= 0) {
        return;
    }

    if (line->unit_price.len == 0) {
        snprintf(where, sizeof(where), "%s/amount", pointer);
        loyalty_problem(parser->problems, where,
                        "give the amount or the unit_price");

    } else if (line->unit_price.data[0] == '-'
               || loyalty_line_amount(line->unit_price, parser->exponent,
                                      line->quantity, &line->amount)
                      != LOYALTY_OK) {
        snprintf(where, sizeof(where), "%s/unit_price", pointer);
        loyalty_problem(parser->problems, where,
                        "give a decimal such as \"12.50\", not negative");
    }
}

static void
get_line(parser_t *parser, json_t *object, const char *pointer, bool refund,
         loyalty_order_line_t *line)
{
    size_t problems = parser->problems->count;

    if (!json_is_object(object)) {
        loyalty_problem(parser->problems, pointer, "give an object");
        return;
    }

    line->sku = get_text(parser, object, pointer, "sku", LOYALTY_SKU_MAX, true);
    line->category = get_text(parser, object, pointer, "category",
                              LOYALTY_CATEGORY_MAX, false);
    line->unit_price =
        get_text(parser, object, pointer, "unit_price", LOYALTY_ID_MAX, false);
    line->quantity = get_integer(parser, object, pointer, "quantity", 1,
                                 LOYALTY_QUANTITY_MAX, 1);
    line->amount =
        get_integer(parser, object, pointer, "amount", 0, INT64_MAX, -1);

    if (!refund && parser->problems->count == problems) {
        find_amount(parser, pointer, line);
    }
}

static void
get_lines(parser_t *parser, json_t *object, const char *prefix, bool refund,
          loyalty_order_line_t **lines, size_t *n)
{
    char pointer[POINTER_SIZE];
    json_t *array;
    size_t i;

    *n = get_array(parser, object, prefix, "lines", LOYALTY_ORDER_LINES_MAX,
                   &array);
    if (*n == 0) {
        return;
    }

    *lines = loyalty_alloc(parser->arena, *n * sizeof(**lines));
    if (*lines == NULL) {
        parser->no_memory = true;
        *n = 0;
        return;
    }

    for (i = 0; i < *n; i++) {
        snprintf(pointer, sizeof(pointer), "%s/lines/%zu", prefix, i);
        get_line(parser, json_array_get(array, i), pointer, refund,
                 &(*lines)[i]);
    }
}

static void
get_redemptions(parser_t *parser, json_t *object, loyalty_order_event_t *event)
{
    char pointer[POINTER_SIZE];
    json_t *array, *element;
    loyalty_str_t text;
    size_t i, n;

    n = get_array(parser, object, "", "redemptions",
                  LOYALTY_ORDER_REDEMPTIONS_MAX, &array);
    if (n == 0) {
        return;
    }

    event->redemptions =
        loyalty_alloc(parser->arena, n * sizeof(*event->redemptions));
    if (event->redemptions == NULL) {
        parser->no_memory = true;
        return;
    }

    for (i = 0; i < n; i++) {
        element = json_array_get(array, i);
        text = (loyalty_str_t){json_string_value(element),
                               json_string_length(element)};

        if (!json_is_string(element) || text.len == 0
            || text.len > LOYALTY_ORDER_ID_MAX) {
            snprintf(pointer, sizeof(pointer), "/redemptions/%zu", i);
            loyalty_problem(parser->problems, pointer,
                            "give an id of 1 to %d bytes",
                            LOYALTY_ORDER_ID_MAX);
        } else if (loyalty_str_copy(parser->arena, text, &event->redemptions[i])
                   != LOYALTY_OK) {
            parser->no_memory = true;
        }
    }
    event->nredemptions = n;
}

static void
get_refund(parser_t *parser, json_t *object, loyalty_refund_t *refund)
{
    json_t *value = json_object_get(object, "refund");

    refund->amount = -1;
    if (is_absent(value)) {
        return;
    }

    if (!json_is_object(value)) {
        loyalty_problem(parser->problems, "/refund", "give an object");
        return;
    }

    refund->id =
        get_text(parser, value, "/refund", "id", LOYALTY_ORDER_ID_MAX, true);
    refund->amount =
        get_integer(parser, value, "/refund", "amount", 0, INT64_MAX, -1);
    get_lines(parser, value, "/refund", true, &refund->lines, &refund->nlines);
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
get_status(parser_t *parser, json_t *object, loyalty_order_event_t *event)
{
    json_t *value = json_object_get(object, "status");

    event->status = loyalty_order_status_of((loyalty_str_t){
        json_string_value(value), json_string_length(value)});
    if (event->status == 0) {
        loyalty_problem(
            parser->problems, "/status",
            "give placed, completed, shipped, cancelled or refunded");
    }
}

static void
get_currency(parser_t *parser, json_t *object, loyalty_order_event_t *event)
{
    event->currency =
        get_text(parser, object, "", "currency", LOYALTY_ID_MAX, false);

    if (event->currency.len == 0) {
        event->currency = parser->currency;
    } else if (!loyalty_str_eq(event->currency, parser->currency)) {
        loyalty_problem(parser->problems, "/currency",
                        "give the currency of the site, %.*s",
                        (int)parser->currency.len, parser->currency.data);
    }
}

loyalty_status_t
loyalty_order_event_parse(json_t *json, loyalty_str_t currency,
                          loyalty_instant_t now, loyalty_arena_t *arena,
                          loyalty_problems_t *problems,
                          loyalty_order_event_t *event)
{
    parser_t parser = {.arena = arena,
                       .problems = problems,
                       .currency = currency,
                       .exponent = loyalty_currency_exponent(currency)};
    size_t before = problems->count;

    *event = (loyalty_order_event_t){0};

    if (!json_is_object(json)) {
        loyalty_problem(problems, "", "give an object");
        return LOYALTY_ERROR_INVALID;
    }

    event->order_id =
        get_text(&parser, json, "", "order_id", LOYALTY_ORDER_ID_MAX, true);
    event->member_id =
        get_text(&parser, json, "", "member_id", LOYALTY_MEMBER_ID_MAX, false);
    get_status(&parser, json, event);
    event->attempt =
        (int32_t)get_integer(&parser, json, "", "attempt", 1, INT32_MAX, 1);
    event->occurred_at = get_instant(&parser, json, "occurred_at", now);
    event->placed_at =
        get_instant(&parser, json, "placed_at", event->occurred_at);
    get_currency(&parser, json, event);

    event->total = get_integer(&parser, json, "", "total", 0, INT64_MAX, -1);
    if (event->total < 0 && event->status >= LOYALTY_ORDER_PLACED
        && event->status <= LOYALTY_ORDER_SHIPPED
        && is_absent(json_object_get(json, "total"))) {
        loyalty_problem(problems, "/total",
                        "give the total in minor units of the currency");
    }

    get_lines(&parser, json, "", false, &event->lines, &event->nlines);
    get_redemptions(&parser, json, event);
    get_refund(&parser, json, &event->refund);

    if (event->status != LOYALTY_ORDER_REFUNDED
        && !is_absent(json_object_get(json, "refund"))) {
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
