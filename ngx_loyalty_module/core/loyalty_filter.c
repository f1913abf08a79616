/*
 * Compiling and evaluating filters.
 *
 * The tree is a flat array in prefix order; a node knows where its subtree
 * ends, so that evaluation skips what no longer matters:
 *
 *   [ and, end 4 ][ spent_total gte ][ not, end 4 ][ status eq ] ...
 *
 * Invariant: node i's children begin at i + 1 and i < end <= count; the texts
 * of a field that is compared folded are folded.
 */

#include "loyalty_filter.h"

#include <stdarg.h>
#include <stdio.h>

#include "loyalty_fold.h"

typedef enum {
    NODE_AND,
    NODE_OR,
    NODE_NOT,
    NODE_COMPARE
} node_kind_t;

typedef enum {
    OP_EQ,
    OP_NE,
    OP_LT,
    OP_LTE,
    OP_GT,
    OP_GTE,
    OP_IN,
    OP_PREFIX,
    OP_EXISTS,
    OP_BEFORE,
    OP_AFTER,
    OP_WITHIN_DAYS,
    OP_NOT_WITHIN_DAYS,
    OP_HAS,
    OP_HAS_ANY,
    OP_HAS_ALL,
    OP_COUNT
} op_t;

typedef enum {
    TYPE_TEXT,
    TYPE_BOOL,
    TYPE_NUMBER,
    TYPE_INSTANT,
    TYPE_STATUS,
    TYPE_SET
} type_t;

typedef enum {
    FIELD_ID,
    FIELD_EMAIL,
    FIELD_PHONE,
    FIELD_NAME,
    FIELD_LOCALE,
    FIELD_MESSENGER_ID,
    FIELD_LINE_ID,
    FIELD_ATTRIBUTE,
    FIELD_REGISTERED,
    FIELD_DELETED,
    FIELD_CONSENT_EMAIL,
    FIELD_CONSENT_SMS,
    FIELD_CONSENT_MESSENGER,
    FIELD_CONSENT_LINE,
    FIELD_ORDER_COUNT,
    FIELD_SPENT_TOTAL,
    FIELD_POINTS_ACTIVE,
    FIELD_POINTS_PENDING,
    FIELD_POINTS_SPENT,
    FIELD_POINTS_EXPIRED,
    FIELD_POINTS_LIFE,
    FIELD_CREDITS_ACTIVE,
    FIELD_SIGNED_UP_AT,
    FIELD_LAST_VISIT_AT,
    FIELD_LAST_ORDER_AT,
    FIELD_STATUS,
    FIELD_SEGMENTS,
    FIELD_GROUPS,
    FIELD_CLUBS,
    FIELD_OFFERS
} field_t;

typedef struct {
    node_kind_t kind;
    size_t end; /* of the subtree */
    field_t field;
    type_t type;
    op_t op;
    loyalty_str_t attribute;
    loyalty_str_t *texts; /* eq, ne, in, prefix, has... */
    size_t ntexts;
    int64_t number; /* numbers, instants, days, 0 or 1 */
} node_t;

struct loyalty_filter_s {
    node_t *nodes;
    size_t count;
};

#define BIT(op) (1u << (op))

static const struct {
    const char *name;
    field_t field;
    type_t type;
} fields[] = {
    {"id", FIELD_ID, TYPE_TEXT},
    {"email", FIELD_EMAIL, TYPE_TEXT},
    {"phone", FIELD_PHONE, TYPE_TEXT},
    {"name", FIELD_NAME, TYPE_TEXT},
    {"locale", FIELD_LOCALE, TYPE_TEXT},
    {"messenger_id", FIELD_MESSENGER_ID, TYPE_TEXT},
    {"line_id", FIELD_LINE_ID, TYPE_TEXT},
    {"registered", FIELD_REGISTERED, TYPE_BOOL},
    {"deleted", FIELD_DELETED, TYPE_BOOL},
    {"consent.email", FIELD_CONSENT_EMAIL, TYPE_BOOL},
    {"consent.sms", FIELD_CONSENT_SMS, TYPE_BOOL},
    {"consent.messenger", FIELD_CONSENT_MESSENGER, TYPE_BOOL},
    {"consent.line", FIELD_CONSENT_LINE, TYPE_BOOL},
    {"order_count", FIELD_ORDER_COUNT, TYPE_NUMBER},
    {"spent_total", FIELD_SPENT_TOTAL, TYPE_NUMBER},
    {"points.active", FIELD_POINTS_ACTIVE, TYPE_NUMBER},
    {"points.pending", FIELD_POINTS_PENDING, TYPE_NUMBER},
    {"points.spent", FIELD_POINTS_SPENT, TYPE_NUMBER},
    {"points.expired", FIELD_POINTS_EXPIRED, TYPE_NUMBER},
    {"points.life", FIELD_POINTS_LIFE, TYPE_NUMBER},
    {"credits.active", FIELD_CREDITS_ACTIVE, TYPE_NUMBER},
    {"signed_up_at", FIELD_SIGNED_UP_AT, TYPE_INSTANT},
    {"last_visit_at", FIELD_LAST_VISIT_AT, TYPE_INSTANT},
    {"last_order_at", FIELD_LAST_ORDER_AT, TYPE_INSTANT},
    {"status", FIELD_STATUS, TYPE_STATUS},
    {"segments", FIELD_SEGMENTS, TYPE_SET},
    {"groups", FIELD_GROUPS, TYPE_SET},
    {"clubs", FIELD_CLUBS, TYPE_SET},
    {"tags", FIELD_CLUBS, TYPE_SET},
    {"offers", FIELD_OFFERS, TYPE_SET},
};

static const char *const op_names[OP_COUNT] = {
    [OP_EQ] = "eq",
    [OP_NE] = "ne",
    [OP_LT] = "lt",
    [OP_LTE] = "lte",
    [OP_GT] = "gt",
    [OP_GTE] = "gte",
    [OP_IN] = "in",
    [OP_PREFIX] = "prefix",
    [OP_EXISTS] = "exists",
    [OP_BEFORE] = "before",
    [OP_AFTER] = "after",
    [OP_WITHIN_DAYS] = "within_days",
    [OP_NOT_WITHIN_DAYS] = "not_within_days",
    [OP_HAS] = "has",
    [OP_HAS_ANY] = "has_any",
    [OP_HAS_ALL] = "has_all",
};

/* Which operators a type knows. */
static const unsigned type_ops[] = {
    [TYPE_TEXT] = BIT(OP_EQ) | BIT(OP_NE) | BIT(OP_IN) | BIT(OP_PREFIX)
                  | BIT(OP_EXISTS),
    [TYPE_BOOL] = BIT(OP_EQ),
    [TYPE_NUMBER] = BIT(OP_EQ) | BIT(OP_NE) | BIT(OP_LT) | BIT(OP_LTE)
                    | BIT(OP_GT) | BIT(OP_GTE),
    [TYPE_INSTANT] = BIT(OP_BEFORE) | BIT(OP_AFTER) | BIT(OP_WITHIN_DAYS)
                     | BIT(OP_NOT_WITHIN_DAYS) | BIT(OP_EXISTS),
    [TYPE_STATUS] = BIT(OP_EQ) | BIT(OP_NE) | BIT(OP_IN) | BIT(OP_EXISTS),
    [TYPE_SET] = BIT(OP_HAS) | BIT(OP_HAS_ANY) | BIT(OP_HAS_ALL),
};

/* Compiling */

typedef struct {
    loyalty_arena_t *arena;
    loyalty_problems_t *problems;
    loyalty_filter_t *filter;
    char pointer[1024];
    bool out_of_memory;
} compiler_t;

static void compile(compiler_t *c, json_t *json, size_t place, int depth);

/* A problem at the node, or at its member `key`. */
static void complain(compiler_t *c, size_t place, const char *key,
                     const char *format, ...)
    __attribute__((format(printf, 4, 5)));

static void
complain(compiler_t *c, size_t place, const char *key, const char *format, ...)
{
    char pointer[sizeof(c->pointer) + 16], message[512];
    va_list args;

    va_start(args, format);
    vsnprintf(message, sizeof(message), format, args);
    va_end(args);

    snprintf(pointer, sizeof(pointer), "%.*s%s%s", (int)place, c->pointer,
             *key == '\0' ? "" : "/", key);
    loyalty_problem(c->problems, pointer, "%s", message);
}

static node_t *
new_node(compiler_t *c, size_t place, node_kind_t kind)
{
    node_t *node;

    if (c->filter->count == LOYALTY_FILTER_NODES_MAX) {
        complain(c, place, "", "a filter has at most %d conditions",
                 LOYALTY_FILTER_NODES_MAX);
        return NULL;
    }

    node = &c->filter->nodes[c->filter->count++];
    node->kind = kind;
    return node;
}

static bool
find_field(compiler_t *c, json_t *json, size_t place, node_t *node)
{
    static const char attributes[] = "attributes.";
    const char *name = json_string_value(json_object_get(json, "field"));
    size_t i;

    if (name == NULL) {
        complain(c, place, "field", "a condition names a field");
        return false;
    }

    for (i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        if (strcmp(fields[i].name, name) == 0) {
            node->field = fields[i].field;
            node->type = fields[i].type;
            return true;
        }
    }

    if (strncmp(name, attributes, sizeof(attributes) - 1) == 0
        && name[sizeof(attributes) - 1] != '\0') {
        node->field = FIELD_ATTRIBUTE;
        node->type = TYPE_TEXT;
        c->out_of_memory |= loyalty_str_copy(
            c->arena, loyalty_str_from(name + sizeof(attributes) - 1),
            &node->attribute) != LOYALTY_OK;
        return true;
    }

    complain(c, place, "field",
             "no such field; a member's own values are attributes.NAME");
    return false;
}

static bool
find_op(compiler_t *c, json_t *json, size_t place, node_t *node)
{
    const char *name = json_string_value(json_object_get(json, "op"));
    char message[256];
    size_t len;
    int op;

    for (op = 0; name != NULL && op < OP_COUNT; op++) {
        if (strcmp(op_names[op], name) == 0
            && (type_ops[node->type] & BIT(op)) != 0) {
            node->op = (op_t)op;
            return true;
        }
    }

    len = (size_t)snprintf(message, sizeof(message),
                           "this field is compared with");
    for (op = 0; op < OP_COUNT; op++) {
        if ((type_ops[node->type] & BIT(op)) != 0) {
            len += (size_t)snprintf(message + len, sizeof(message) - len,
                                    " %s", op_names[op]);
        }
    }

    complain(c, place, "op", "%s", message);
    return false;
}

/* A text as it is compared: those about a person as the index has them. */
static loyalty_status_t
fold(field_t field, loyalty_str_t text, loyalty_arena_t *arena,
     loyalty_str_t *folded)
{
    switch (field) {
    case FIELD_EMAIL:
    case FIELD_NAME:
        return loyalty_fold_text(text, arena, folded);
    case FIELD_PHONE:
        return loyalty_fold_phone(text, arena, folded);
    default:
        *folded = text;
        return LOYALTY_OK;
    }
}

/* What is left of no text is compared with those who have none: a blank name
 * or a phone without a digit would find them all. */
static void
fold_texts(compiler_t *c, size_t place, node_t *node)
{
    loyalty_str_t folded;
    size_t i;

    for (i = 0; i < node->ntexts; i++) {
        if (fold(node->field, node->texts[i], c->arena, &folded)
            != LOYALTY_OK) {
            c->out_of_memory = true;
            return;
        }
        if (folded.len == 0 && node->texts[i].len != 0) {
            complain(c, place, "value", node->field == FIELD_PHONE
                     ? "must have a digit" : "must not be blank");
            return;
        }
        node->texts[i] = folded;
    }
}

static void
read_texts(compiler_t *c, json_t *value, size_t place, node_t *node)
{
    size_t i, n = json_is_array(value) ? json_array_size(value) : 1;
    bool list = node->op == OP_IN || node->op == OP_HAS_ANY
                || node->op == OP_HAS_ALL;
    json_t *item;

    if (list != json_is_array(value)) {
        complain(c, place, "value", "must be %s",
                 list ? "a list of texts" : "one text");
        return;
    }

    if (n > LOYALTY_FILTER_VALUES_MAX) {
        complain(c, place, "value", "has at most %d texts",
                 LOYALTY_FILTER_VALUES_MAX);
        return;
    }

    node->texts = loyalty_alloc(c->arena, n * sizeof(*node->texts));
    if (node->texts == NULL) {
        c->out_of_memory = true;
        return;
    }

    for (i = 0; i < n; i++) {
        item = list ? json_array_get(value, i) : value;
        if (!json_is_string(item)) {
            complain(c, place, "value", "must be text");
            return;
        }
        c->out_of_memory |= loyalty_str_copy(
            c->arena,
            (loyalty_str_t){json_string_value(item), json_string_length(item)},
            &node->texts[node->ntexts++]) != LOYALTY_OK;
    }

    if (!c->out_of_memory) {
        fold_texts(c, place, node);
    }
}

static void
read_instant(compiler_t *c, json_t *value, size_t place, node_t *node)
{
    if (!json_is_string(value)
        || loyalty_instant_parse(loyalty_str_from(json_string_value(value)),
                                 &node->number) != LOYALTY_OK) {
        complain(c, place, "value",
                 "must be an instant such as 2026-01-31T00:00:00Z");
    }
}

/* The bit of that name; 0: there is no such segment. */
static unsigned
segment_bit(loyalty_str_t name)
{
    unsigned bit;

    for (bit = 1; bit <= LOYALTY_SEGMENT_RECURRING; bit <<= 1) {
        if (loyalty_str_eq(name, loyalty_str_from(loyalty_segment_name(
                                     (loyalty_segment_t)bit)))) {
            return bit;
        }
    }

    return 0;
}

static void
check_segments(compiler_t *c, size_t place, const node_t *node)
{
    size_t i;

    for (i = 0; i < node->ntexts; i++) {
        if (segment_bit(node->texts[i]) == 0) {
            complain(c, place, "value",
                     "must be new, recurring, at_risk or vip");
            return;
        }
    }
}

static void
read_value(compiler_t *c, json_t *json, size_t place, node_t *node)
{
    json_t *value = json_object_get(json, "value");

    if (node->type == TYPE_BOOL || node->op == OP_EXISTS) {
        if (!json_is_boolean(value)) {
            complain(c, place, "value", "must be true or false");
        }
        node->number = json_is_true(value);

    } else if (node->op == OP_BEFORE || node->op == OP_AFTER) {
        read_instant(c, value, place, node);

    } else if (node->op == OP_WITHIN_DAYS || node->op == OP_NOT_WITHIN_DAYS) {
        node->number = json_integer_value(value);
        if (!json_is_integer(value) || node->number < 0
            || node->number > LOYALTY_DAYS_MAX) {
            complain(c, place, "value", "must be a number of days from 0 to %d",
                     LOYALTY_DAYS_MAX);
        }

    } else if (node->type == TYPE_NUMBER) {
        node->number = json_integer_value(value);
        if (!json_is_integer(value)) {
            complain(c, place, "value",
                     "must be an integer (money in minor units)");
        }

    } else {
        read_texts(c, value, place, node);
        if (node->field == FIELD_SEGMENTS && !c->out_of_memory) {
            check_segments(c, place, node);
        }
    }
}

static void
compile_condition(compiler_t *c, json_t *json, size_t place)
{
    node_t *node = new_node(c, place, NODE_COMPARE);

    if (node == NULL) {
        return;
    }

    node->end = c->filter->count;

    if (json_object_size(json) != 3) {
        complain(c, place, "", "a condition has field, op and value");
        return;
    }

    if (find_field(c, json, place, node) && find_op(c, json, place, node)) {
        read_value(c, json, place, node);
    }
}

/* Extends the pointer by /part; the new place, cut at the buffer's end. */
static size_t
deeper(compiler_t *c, size_t place, const char *part)
{
    size_t left = sizeof(c->pointer) - place;
    size_t n = (size_t)snprintf(c->pointer + place, left, "/%s", part);

    return n < left ? place + n : sizeof(c->pointer) - 1;
}

static void
compile_list(compiler_t *c, json_t *list, size_t place, node_kind_t kind,
             int depth)
{
    node_t *node = new_node(c, place, kind);
    char number[24];
    size_t i;

    if (node == NULL) {
        return;
    }

    if (!json_is_array(list) || json_array_size(list) == 0) {
        complain(c, place, "", "must be a list of at least one filter");
    }

    for (i = 0; i < json_array_size(list); i++) {
        snprintf(number, sizeof(number), "%zu", i);
        compile(c, json_array_get(list, i), deeper(c, place, number), depth);
    }

    node->end = c->filter->count;
}

static void
compile(compiler_t *c, json_t *json, size_t place, int depth)
{
    node_t *node;
    json_t *inner;

    if (depth == LOYALTY_JSON_DEPTH_MAX) {
        complain(c, place, "", "nested too deep");
        return;
    }

    if (!json_is_object(json)) {
        complain(c, place, "", "a filter is an object");
        return;
    }

    if (json_object_size(json) != 1) {
        compile_condition(c, json, place);

    } else if ((inner = json_object_get(json, "and")) != NULL) {
        compile_list(c, inner, deeper(c, place, "and"), NODE_AND, depth + 1);

    } else if ((inner = json_object_get(json, "or")) != NULL) {
        compile_list(c, inner, deeper(c, place, "or"), NODE_OR, depth + 1);

    } else if ((inner = json_object_get(json, "not")) != NULL) {
        node = new_node(c, place, NODE_NOT);
        if (node != NULL) {
            compile(c, inner, deeper(c, place, "not"), depth + 1);
            node->end = c->filter->count;
        }

    } else {
        complain(c, place, "",
                 "expected and, or, not, or a condition of field, op, value");
    }
}

loyalty_status_t
loyalty_filter_compile(json_t *json, loyalty_arena_t *arena,
                       loyalty_problems_t *problems, loyalty_filter_t **filter)
{
    compiler_t c = {.arena = arena, .problems = problems};
    size_t before = problems->count;

    c.filter = loyalty_alloc(arena, sizeof(*c.filter));
    if (c.filter == NULL) {
        return LOYALTY_ERROR_MEMORY;
    }

    c.filter->nodes = loyalty_alloc(
        arena, LOYALTY_FILTER_NODES_MAX * sizeof(*c.filter->nodes));
    if (c.filter->nodes == NULL) {
        return LOYALTY_ERROR_MEMORY;
    }

    compile(&c, json, 0, 0);

    if (c.out_of_memory) {
        return LOYALTY_ERROR_MEMORY;
    }

    if (problems->count != before) {
        return LOYALTY_ERROR_INVALID;
    }

    *filter = c.filter;
    return LOYALTY_OK;
}

/* Evaluating */

/* What is computed once a member, when a condition first asks for it. */
typedef struct {
    const loyalty_member_t *member;
    const loyalty_program_t *program;
    loyalty_instant_t at;
    loyalty_balance_t points, credits;
    bool has_points, has_credits;
    loyalty_arena_t arena; /* of folded texts */
} subject_t;

static loyalty_str_t
text_of(const subject_t *s, const node_t *node)
{
    const loyalty_member_t *member = s->member;
    size_t i;

    switch (node->field) {
    case FIELD_ID:
        return member->id;
    case FIELD_EMAIL:
        return member->email;
    case FIELD_PHONE:
        return member->phone;
    case FIELD_NAME:
        return member->name;
    case FIELD_LOCALE:
        return member->locale;
    case FIELD_MESSENGER_ID:
        return member->messenger_id;
    case FIELD_LINE_ID:
        return member->line_id;
    default:
        break;
    }

    for (i = 0; i < member->nattributes; i++) {
        if (loyalty_str_eq(member->attributes[i].name, node->attribute)) {
            return member->attributes[i].value;
        }
    }

    return loyalty_str_null;
}

/* Without memory the text as it is, which may be found by luck alone. */
static loyalty_str_t
folded_text_of(subject_t *s, const node_t *node)
{
    loyalty_str_t text = text_of(s, node), folded;

    return node->op == OP_EXISTS
                   || fold(node->field, text, &s->arena, &folded) != LOYALTY_OK
               ? text : folded;
}

static loyalty_str_t
status_of(const subject_t *s)
{
    loyalty_tier_result_t tier;

    loyalty_member_tier(s->member, s->program, s->at, &tier);
    return tier.current < 0 ? loyalty_str_null
                            : s->program->tiers[tier.current].id;
}

static bool
flag_of(const subject_t *s, field_t field)
{
    const loyalty_member_t *member = s->member;

    switch (field) {
    case FIELD_REGISTERED:
        return member->registered;
    case FIELD_DELETED:
        return member->deleted_at != LOYALTY_UNKNOWN;
    case FIELD_CONSENT_EMAIL:
        return (member->consent & LOYALTY_CHANNEL_EMAIL) != 0;
    case FIELD_CONSENT_SMS:
        return (member->consent & LOYALTY_CHANNEL_SMS) != 0;
    case FIELD_CONSENT_MESSENGER:
        return (member->consent & LOYALTY_CHANNEL_MESSENGER) != 0;
    default:
        return (member->consent & LOYALTY_CHANNEL_LINE) != 0;
    }
}

static int64_t
number_of(subject_t *s, field_t field)
{
    if (field == FIELD_ORDER_COUNT) {
        return s->member->order_count;
    }

    if (field == FIELD_SPENT_TOTAL) {
        return s->member->spent_total;
    }

    if (field == FIELD_CREDITS_ACTIVE) {
        if (!s->has_credits) {
            loyalty_ledger_balance(&s->member->credits, s->at, &s->credits);
            s->has_credits = true;
        }
        return s->credits.active;
    }

    if (!s->has_points) {
        loyalty_ledger_balance(&s->member->points, s->at, &s->points);
        s->has_points = true;
    }

    switch (field) {
    case FIELD_POINTS_ACTIVE:
        return s->points.active;
    case FIELD_POINTS_PENDING:
        return s->points.pending;
    case FIELD_POINTS_SPENT:
        return s->points.spent;
    case FIELD_POINTS_EXPIRED:
        return s->points.expired;
    default:
        return s->points.life;
    }
}

static loyalty_instant_t
instant_of(const subject_t *s, field_t field)
{
    return field == FIELD_SIGNED_UP_AT    ? s->member->signed_up_at
           : field == FIELD_LAST_VISIT_AT ? s->member->last_visit_at
                                          : s->member->last_order_at;
}

static bool
in_segment(const subject_t *s, loyalty_str_t name)
{
    loyalty_activity_t activity;
    unsigned set;

    loyalty_member_activity(s->member, &activity);
    set = loyalty_segments(&s->program->settings.segments, &activity, s->at);

    return (set & segment_bit(name)) != 0;
}

/* An offer is held while its entry is neither redeemed nor over. */
static bool
holds_offer(const subject_t *s, loyalty_str_t offer)
{
    const loyalty_entitlement_t *entry;
    size_t i;

    for (i = 0; i < s->member->nentitlements; i++) {
        entry = &s->member->entitlements[i];
        if (loyalty_str_eq(entry->offer, offer) && entry->expires_at > s->at
            && entry->state != LOYALTY_ENTITLEMENT_REDEEMED) {
            return true;
        }
    }

    return false;
}

static bool
has(const subject_t *s, field_t field, loyalty_str_t value)
{
    switch (field) {
    case FIELD_SEGMENTS:
        return in_segment(s, value);
    case FIELD_GROUPS:
        return loyalty_str_listed(s->member->groups, s->member->ngroups, value);
    case FIELD_CLUBS:
        return loyalty_str_listed(s->member->clubs, s->member->nclubs, value);
    default:
        return holds_offer(s, value);
    }
}

static bool
compare_text(const node_t *node, loyalty_str_t text)
{
    switch (node->op) {
    case OP_EXISTS:
        return (text.len != 0) == (node->number != 0);
    case OP_PREFIX:
        return text.len >= node->texts[0].len
               && loyalty_str_eq((loyalty_str_t){text.data,
                                                 node->texts[0].len},
                                 node->texts[0]);
    case OP_NE:
        return !loyalty_str_eq(text, node->texts[0]);
    default:
        return loyalty_str_listed(node->texts, node->ntexts, text);
    }
}

static bool
compare_number(const node_t *node, int64_t number)
{
    switch (node->op) {
    case OP_EQ:
        return number == node->number;
    case OP_NE:
        return number != node->number;
    case OP_LT:
        return number < node->number;
    case OP_LTE:
        return number <= node->number;
    case OP_GT:
        return number > node->number;
    default:
        return number >= node->number;
    }
}

static bool
compare_instant(const node_t *node, loyalty_instant_t instant,
                loyalty_instant_t at)
{
    bool known = instant != LOYALTY_UNKNOWN;

    switch (node->op) {
    case OP_EXISTS:
        return known == (node->number != 0);
    case OP_BEFORE:
        return known && instant < node->number;
    case OP_AFTER:
        return known && instant > node->number;
    case OP_WITHIN_DAYS:
        return known && at - instant <= node->number * LOYALTY_DAY;
    default:
        return !known || at - instant > node->number * LOYALTY_DAY;
    }
}

static bool
compare_set(const subject_t *s, const node_t *node)
{
    bool all = node->op == OP_HAS_ALL;
    size_t i;

    for (i = 0; i < node->ntexts; i++) {
        if (has(s, node->field, node->texts[i]) != all) {
            return !all;
        }
    }

    return all;
}

static bool
compare(subject_t *s, const node_t *node)
{
    switch (node->type) {
    case TYPE_TEXT:
        return compare_text(node, folded_text_of(s, node));
    case TYPE_STATUS:
        return compare_text(node, status_of(s));
    case TYPE_BOOL:
        return flag_of(s, node->field) == (node->number != 0);
    case TYPE_NUMBER:
        return compare_number(node, number_of(s, node->field));
    case TYPE_INSTANT:
        return compare_instant(node, instant_of(s, node->field), s->at);
    case TYPE_SET:
        return compare_set(s, node);
    }

    return false;
}

static bool
evaluate(const loyalty_filter_t *filter, size_t i, subject_t *s)
{
    const node_t *node = &filter->nodes[i];
    size_t child;

    switch (node->kind) {

    case NODE_COMPARE:
        return compare(s, node);

    case NODE_NOT:
        return !evaluate(filter, i + 1, s);

    case NODE_AND:
    case NODE_OR:
        for (child = i + 1; child < node->end;
             child = filter->nodes[child].end) {
            if (evaluate(filter, child, s) == (node->kind == NODE_OR)) {
                return node->kind == NODE_OR;
            }
        }
        return node->kind == NODE_AND;
    }

    return false;
}

bool
loyalty_filter_matches(const loyalty_filter_t *filter,
                       const loyalty_member_t *member,
                       const loyalty_program_t *program, loyalty_instant_t at)
{
    subject_t s = {.member = member, .program = program, .at = at};
    bool matches;

    loyalty_arena_init(&s.arena, 0);
    matches = evaluate(filter, 0, &s);
    loyalty_arena_free(&s.arena);

    return matches;
}
