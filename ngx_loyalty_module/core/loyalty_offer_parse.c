/*
 * Offers from the program's document: fields, scopes, discounts, and what the
 * type and the kind of discount allow (DOMAIN.md section 7).
 */

#include "loyalty_program_private.h"

#include <stdlib.h>

#include "loyalty_code.h"

#define QUANTITY_MAX LOYALTY_QUANTITY_MAX

/* A kind or type that could not be read, about which nothing more is said. */
#define UNREAD (-1)

static const loyalty_name_t type_names[] = {
    {"reward", LOYALTY_OFFER_REWARD},
    {"coupon", LOYALTY_OFFER_COUPON},
    {"punchcard", LOYALTY_OFFER_PUNCHCARD},
    {"clubcard", LOYALTY_OFFER_CLUBCARD},
    {"promotion", LOYALTY_OFFER_PROMOTION},
    {NULL, 0},
};

static const loyalty_name_t scope_kind_names[] = {
    {"site", LOYALTY_SCOPE_SITE},
    {"categories", LOYALTY_SCOPE_CATEGORIES},
    {"products", LOYALTY_SCOPE_PRODUCTS},
    {NULL, 0},
};

static const loyalty_name_t discount_kind_names[] = {
    {"percent", LOYALTY_DISCOUNT_PERCENT},
    {"amount", LOYALTY_DISCOUNT_AMOUNT},
    {"amount_each", LOYALTY_DISCOUNT_AMOUNT_EACH},
    {"buy_x_get_y", LOYALTY_DISCOUNT_BUY_X_GET_Y},
    {"none", LOYALTY_DISCOUNT_NONE},
    {NULL, 0},
};

/* Read by finish_scope(), which knows the kind. */
static void
read_later(loyalty_reader_t *reader, json_t *value, void *target)
{
    (void)reader;
    (void)value;
    (void)target;
}

typedef struct {
    uint64_t hash;
    loyalty_str_t sku;
} hashed_t;

static int
by_hash(const void *a, const void *b)
{
    const hashed_t *x = a, *y = b;

    return (x->hash > y->hash) - (x->hash < y->hash);
}

/* values[] by ascending hash, and the hashes beside them. */
static void
hash_skus(loyalty_reader_t *reader, loyalty_offer_scope_t *scope)
{
    hashed_t *hashed;
    size_t i;

    hashed = loyalty_reader_alloc(reader, scope->nvalues * sizeof(hashed[0]));
    scope->hashes = loyalty_reader_alloc(reader, scope->nvalues
                                                     * sizeof(uint64_t));
    if (hashed == NULL || scope->hashes == NULL) {
        return;
    }

    for (i = 0; i < scope->nvalues; i++) {
        hashed[i].hash = loyalty_sku_hash(scope->values[i]);
        hashed[i].sku = scope->values[i];
    }

    qsort(hashed, scope->nvalues, sizeof(hashed[0]), by_hash);

    for (i = 0; i < scope->nvalues; i++) {
        scope->hashes[i] = hashed[i].hash;
        scope->values[i] = hashed[i].sku;
    }
}

static void
read_scope_values(loyalty_reader_t *reader, json_t *values,
                  loyalty_offer_scope_t *scope)
{
    bool products = scope->kind == LOYALTY_SCOPE_PRODUCTS;
    size_t mark = loyalty_enter(reader, "values");

    scope->values = loyalty_read_strings(
        reader, values, LOYALTY_SCOPE_VALUES_MAX,
        products ? loyalty_check_sku : loyalty_check_category,
        &scope->nvalues);
    loyalty_leave(reader, mark);

    if (products && scope->nvalues != 0) {
        hash_skus(reader, scope);
    }
}

static const char *
any_pattern(loyalty_str_t text)
{
    return text.len == 0 ? "must be a pattern: it is empty" : NULL;
}

static void
read_scope_patterns(loyalty_reader_t *reader, json_t *patterns,
                    loyalty_offer_scope_t *scope)
{
    size_t i, n, item_mark, mark = loyalty_enter(reader, "patterns");
    loyalty_str_t *sources;
    loyalty_pattern_t *pattern;

    sources = loyalty_read_strings(reader, patterns, LOYALTY_SCOPE_PATTERNS_MAX,
                                   any_pattern, &n);
    if (n != 0) {
        scope->patterns = loyalty_reader_alloc(reader,
                                               n * sizeof(scope->patterns[0]));
        n = scope->patterns == NULL ? 0 : n;
    }

    for (i = 0; i < n; i++) {
        if (sources[i].len != 0) {
            item_mark = loyalty_enter_index(reader, i);
            pattern = loyalty_read_pattern(reader, sources[i]);
            loyalty_leave(reader, item_mark);
            if (pattern != NULL) {
                scope->patterns[scope->npatterns++] = pattern;
            }
        }
    }

    loyalty_leave(reader, mark);
}

static bool
has_entries(json_t *object, const char *key)
{
    json_t *value = json_object_get(object, key);

    return loyalty_has(object, key)
           && !(json_is_array(value) && json_array_size(value) == 0);
}

static void
finish_scope(loyalty_reader_t *reader, json_t *object, void *target)
{
    loyalty_offer_scope_t *scope = target;
    bool values = has_entries(object, "values");
    bool patterns = has_entries(object, "patterns");

    if ((int)scope->kind == UNREAD) {
        return;
    }

    if (scope->kind == LOYALTY_SCOPE_SITE && values) {
        loyalty_report(reader, "values", "does not go with the kind \"site\": "
                       "remove it, or change the kind");
        return;
    }

    if (scope->kind != LOYALTY_SCOPE_PRODUCTS && patterns) {
        loyalty_report(reader, "patterns", "goes with the kind \"products\" "
                       "only: remove it, or change the kind");
        return;
    }

    if (scope->kind != LOYALTY_SCOPE_SITE) {
        scope->number = reader->program->private_data->scopes.nscopes++;
    }

    if (values) {
        read_scope_values(reader, json_object_get(object, "values"), scope);
    }

    if (patterns) {
        read_scope_patterns(reader, json_object_get(object, "patterns"),
                            scope);
    }

    if (scope->kind != LOYALTY_SCOPE_SITE && !values && !patterns) {
        loyalty_report(reader, "values", "is missing: name what lies in the "
                       "scope");
    }
}

static const loyalty_field_t scope_fields[] = {
    {.name = "kind", .kind = LOYALTY_FIELD_NAME, .required = true,
     .offset = offsetof(loyalty_offer_scope_t, kind), .names = scope_kind_names,
     .absent = UNREAD},
    {.name = "values", .kind = LOYALTY_FIELD_OTHER, .read = read_later},
    {.name = "patterns", .kind = LOYALTY_FIELD_OTHER, .read = read_later},
};

static const loyalty_shape_t scope_shape = LOYALTY_SHAPE(
    "a scope", scope_fields, loyalty_offer_scope_t, finish_scope);

/* Into a loyalty_offer_scope_t: absent, it stays the whole site. */
static void
read_scope(loyalty_reader_t *reader, json_t *value, void *target)
{
    if (value != NULL) {
        loyalty_read_object(reader, value, &scope_shape, target);
    }
}

/* Into a pointer to one: absent, it stays NULL. */
static void
read_other_scope(loyalty_reader_t *reader, json_t *value, void *target)
{
    loyalty_offer_scope_t *scope;

    if (value == NULL) {
        return;
    }

    scope = loyalty_reader_alloc(reader, sizeof(*scope));
    if (scope != NULL) {
        loyalty_read_object(reader, value, &scope_shape, scope);
        *(loyalty_offer_scope_t **)target = scope;
    }
}

/* The fields of a discount, and the kinds that need or take them. */
#define KIND(kind) (1u << (kind))
#define BUY_X_GET_Y KIND(LOYALTY_DISCOUNT_BUY_X_GET_Y)
#define AMOUNTS                                                               \
    (KIND(LOYALTY_DISCOUNT_AMOUNT) | KIND(LOYALTY_DISCOUNT_AMOUNT_EACH))

static const struct {
    const char *name;
    unsigned needed, taken;
} discount_uses[] = {
    {"percent", KIND(LOYALTY_DISCOUNT_PERCENT), BUY_X_GET_Y},
    {"amount", AMOUNTS, 0},
    {"max_quantity", 0, KIND(LOYALTY_DISCOUNT_AMOUNT_EACH)},
    {"buy_quantity", BUY_X_GET_Y, 0},
    {"get_quantity", BUY_X_GET_Y, 0},
    {"buy_scope", 0, BUY_X_GET_Y},
    {"get_scope", 0, BUY_X_GET_Y},
    {"max_repeats", 0, BUY_X_GET_Y},
};

static void
finish_discount(loyalty_reader_t *reader, json_t *object, void *target)
{
    loyalty_discount_t *discount = target;
    const char *name = loyalty_name_of(discount_kind_names,
                                       (int)discount->kind);
    unsigned kind = KIND(discount->kind);
    json_t *given = json_object_get(object, "kind");
    bool there;
    size_t i;

    if (!loyalty_has(object, "kind")) {
        if (json_object_size(object) != 0) {
            loyalty_report(reader, "kind", "is missing: say what kind of "
                           "discount it is");
        }
        return;
    }

    if (!json_is_string(given) || strcmp(json_string_value(given), name) != 0) {
        return;
    }

    for (i = 0; i < sizeof(discount_uses) / sizeof(discount_uses[0]); i++) {
        there = loyalty_has(object, discount_uses[i].name);

        if (!there && (discount_uses[i].needed & kind) != 0) {
            loyalty_report(reader, discount_uses[i].name, "is missing: the "
                           "kind \"%s\" needs it", name);
        }

        if (there
            && ((discount_uses[i].needed | discount_uses[i].taken) & kind)
                   == 0) {
            loyalty_report(reader, discount_uses[i].name, "does not go with "
                           "the kind \"%s\": remove it, or change the kind",
                           name);
        }
    }
}

/* What a kind does not use stays 0; a gift is free unless it says so. */
static void
default_discount(loyalty_discount_t *discount)
{
    if (discount->percent < 0) {
        discount->percent = discount->kind == LOYALTY_DISCOUNT_BUY_X_GET_Y
                                ? 10000 : 0;
    }

    if (discount->amount < 0) {
        discount->amount = 0;
    }
}

static const loyalty_field_t discount_fields[] = {
    {.name = "kind", .kind = LOYALTY_FIELD_NAME,
     .offset = offsetof(loyalty_discount_t, kind),
     .names = discount_kind_names, .absent = LOYALTY_DISCOUNT_NONE},
    {.name = "percent", .kind = LOYALTY_FIELD_DECIMAL, .scale = 2,
     .offset = offsetof(loyalty_discount_t, percent),
     .max = 10000, .absent = -1},
    {.name = "amount", .kind = LOYALTY_FIELD_INT64,
     .offset = offsetof(loyalty_discount_t, amount),
     .max = LOYALTY_AMOUNT_MAX, .absent = -1},
    {.name = "max_quantity", .kind = LOYALTY_FIELD_INT64,
     .offset = offsetof(loyalty_discount_t, max_quantity),
     .min = 1, .max = QUANTITY_MAX},
    {.name = "buy_quantity", .kind = LOYALTY_FIELD_INT64,
     .offset = offsetof(loyalty_discount_t, buy_quantity),
     .min = 1, .max = QUANTITY_MAX},
    {.name = "get_quantity", .kind = LOYALTY_FIELD_INT64,
     .offset = offsetof(loyalty_discount_t, get_quantity),
     .min = 1, .max = QUANTITY_MAX},
    {.name = "max_repeats", .kind = LOYALTY_FIELD_INT64,
     .offset = offsetof(loyalty_discount_t, max_repeats),
     .min = 1, .max = QUANTITY_MAX},
    {.name = "buy_scope", .kind = LOYALTY_FIELD_OTHER,
     .offset = offsetof(loyalty_discount_t, buy_scope),
     .read = read_other_scope},
    {.name = "get_scope", .kind = LOYALTY_FIELD_OTHER,
     .offset = offsetof(loyalty_discount_t, get_scope),
     .read = read_other_scope},
};

static const loyalty_shape_t discount_shape = LOYALTY_SHAPE(
    "a discount", discount_fields, loyalty_discount_t, finish_discount);

/* One of two names, into a bool: true for the second. */
static void
read_choice(loyalty_reader_t *reader, json_t *value, const char *first,
            const char *second, bool *target)
{
    const char *text = json_string_value(value);

    *target = text != NULL && strcmp(text, second) == 0;

    if (!*target && (text == NULL || strcmp(text, first) != 0)) {
        loyalty_report(reader, NULL, "must be \"%s\" or \"%s\"", first,
                       second);
    }
}

static void
read_state(loyalty_reader_t *reader, json_t *value, void *target)
{
    *(bool *)target = true;

    if (value != NULL) {
        read_choice(reader, value, "draft", "published", target);
    }
}

static void
read_stamp_per(loyalty_reader_t *reader, json_t *value, void *target)
{
    if (value != NULL) {
        read_choice(reader, value, "order", "unit", target);
    }
}

static void
read_statuses(loyalty_reader_t *reader, json_t *value, void *target)
{
    loyalty_offer_t *offer = target;

    offer->statuses = loyalty_read_strings(reader, value,
                                           LOYALTY_PROGRAM_STATUSES_MAX,
                                           loyalty_check_id,
                                           &offer->nstatuses);
}

static const char *
is_segment(loyalty_str_t text)
{
    const loyalty_name_t *name;

    for (name = loyalty_segment_names; name->name != NULL; name++) {
        if (loyalty_str_eq(text, loyalty_str_from(name->name))) {
            return NULL;
        }
    }

    return "must be \"vip\", \"at_risk\", \"new\" or \"recurring\"";
}

static void
read_segments(loyalty_reader_t *reader, json_t *value, void *target)
{
    loyalty_offer_t *offer = target;
    const loyalty_name_t *name;
    loyalty_str_t *texts;
    size_t i, n;

    texts = loyalty_read_strings(reader, value, 4, is_segment, &n);

    for (i = 0; i < n; i++) {
        for (name = loyalty_segment_names; name->name != NULL; name++) {
            if (loyalty_str_eq(texts[i], loyalty_str_from(name->name))) {
                offer->segments |= (unsigned)name->value;
            }
        }
    }
}

static void
read_groups(loyalty_reader_t *reader, json_t *value, void *target)
{
    loyalty_offer_t *offer = target;

    offer->groups = loyalty_read_strings(reader, value,
                                         LOYALTY_OFFER_GROUPS_MAX,
                                         loyalty_check_group,
                                         &offer->ngroups);
}

static bool
tier_exists(const loyalty_program_t *program, loyalty_str_t id)
{
    return loyalty_program_tier(program, id) != NULL;
}

/* Fields of one type only. */
static void
check_type(loyalty_reader_t *reader, json_t *object,
           const loyalty_offer_t *offer)
{
    static const struct {
        const char *name, *types;
        unsigned allowed;
    } uses[] = {
        {"stamps_required", "a punchcard", 1u << LOYALTY_OFFER_PUNCHCARD},
        {"stamp_per", "a punchcard", 1u << LOYALTY_OFFER_PUNCHCARD},
        {"code", "a coupon", 1u << LOYALTY_OFFER_COUPON},
        {"code_pattern", "a coupon", 1u << LOYALTY_OFFER_COUPON},
        {"loyalty_price", "a reward or a coupon",
         1u << LOYALTY_OFFER_REWARD | 1u << LOYALTY_OFFER_COUPON},
    };
    size_t i;

    for (i = 0; i < sizeof(uses) / sizeof(uses[0]); i++) {
        if (loyalty_has(object, uses[i].name)
            && (uses[i].allowed & 1u << offer->type) == 0) {
            loyalty_report(reader, uses[i].name, "is a field of %s: remove "
                           "it, or change the type", uses[i].types);
        }
    }

    if (offer->type == LOYALTY_OFFER_PUNCHCARD
        && !loyalty_has(object, "stamps_required")) {
        loyalty_report(reader, "stamps_required", "is missing: a punchcard "
                       "is full at so many stamps");
    }
}

static void
list_scope(loyalty_offer_t *offer, const loyalty_offer_scope_t *scope)
{
    size_t i;

    for (i = 0; i < offer->nscopes; i++) {
        if (offer->scopes[i]->number == scope->number) {
            return;
        }
    }

    offer->scopes[offer->nscopes++] = scope;
    offer->has_patterns |= scope->npatterns != 0;
}

static void
finish_offer(loyalty_reader_t *reader, json_t *object, void *target)
{
    loyalty_offer_t *offer = target;

    if ((int)offer->type != UNREAD) {
        check_type(reader, object, offer);
    }

    if (!reader->preview) {
        loyalty_check_references(reader, object, "statuses", "/statuses",
                                 tier_exists);
    }

    if (offer->ends_at <= offer->starts_at) {
        loyalty_report(reader, "ends_at", "must come after starts_at");
    }

    if (!loyalty_has(object, "name")) {
        loyalty_name_by_id(reader, &offer->name, offer->id);
    }

    if (!loyalty_has(object, "condition_scope")) {
        offer->condition_scope = offer->scope;
    }

    offer->published = offer->published && !offer->deleted;

    /* No default is written out: most types must not have a price. */
    if (offer->loyalty_price < 0) {
        offer->loyalty_price = 0;
    }

    default_discount(&offer->discount);
    if (offer->discount.buy_scope == NULL) {
        offer->discount.buy_scope = &offer->scope;
    }
    if (offer->discount.get_scope == NULL) {
        offer->discount.get_scope = &offer->scope;
    }

    list_scope(offer, &offer->scope);
    list_scope(offer, &offer->condition_scope);
    list_scope(offer, offer->discount.buy_scope);
    list_scope(offer, offer->discount.get_scope);
}

#define COUNT_FIELD(field)                                                    \
    {.name = #field, .kind = LOYALTY_FIELD_INT64,                             \
     .offset = offsetof(loyalty_offer_t, field),                              \
     .min = 1, .max = LOYALTY_POINTS_MAX}

static const loyalty_field_t offer_fields[] = {
    {.name = "id", .kind = LOYALTY_FIELD_STRING, .required = true,
     .offset = offsetof(loyalty_offer_t, id), .check = loyalty_check_id},
    {.name = "type", .kind = LOYALTY_FIELD_NAME, .required = true,
     .offset = offsetof(loyalty_offer_t, type), .names = type_names,
     .absent = UNREAD},
    {.name = "name", .kind = LOYALTY_FIELD_TEXTS,
     .offset = offsetof(loyalty_offer_t, name),
     .min = 1, .max = LOYALTY_NAME_MAX},
    {.name = "description", .kind = LOYALTY_FIELD_TEXTS, .lines = true,
     .offset = offsetof(loyalty_offer_t, description),
     .max = LOYALTY_DESCRIPTION_MAX},
    {.name = "image", .kind = LOYALTY_FIELD_STRING,
     .offset = offsetof(loyalty_offer_t, image), .check = loyalty_check_url},
    {.name = "state", .kind = LOYALTY_FIELD_OTHER,
     .offset = offsetof(loyalty_offer_t, published), .read = read_state,
     .absent_text = "\"published\""},
    {.name = "deleted", .kind = LOYALTY_FIELD_BOOL,
     .offset = offsetof(loyalty_offer_t, deleted)},
    {.name = "starts_at", .kind = LOYALTY_FIELD_INSTANT,
     .offset = offsetof(loyalty_offer_t, starts_at),
     .absent = LOYALTY_UNKNOWN},
    {.name = "ends_at", .kind = LOYALTY_FIELD_INSTANT,
     .offset = offsetof(loyalty_offer_t, ends_at), .absent = LOYALTY_NEVER},
    {.name = "priority", .kind = LOYALTY_FIELD_INT64,
     .offset = offsetof(loyalty_offer_t, priority),
     .min = -LOYALTY_PRIORITY_MAX, .max = LOYALTY_PRIORITY_MAX},
    {.name = "exclusive", .kind = LOYALTY_FIELD_BOOL,
     .offset = offsetof(loyalty_offer_t, exclusive)},
    {.name = "scope", .kind = LOYALTY_FIELD_OTHER,
     .offset = offsetof(loyalty_offer_t, scope), .read = read_scope,
     .absent_text = "{\"kind\":\"site\"}"},
    {.name = "condition_scope", .kind = LOYALTY_FIELD_OTHER,
     .offset = offsetof(loyalty_offer_t, condition_scope),
     .read = read_scope},
    {.name = "discount", .kind = LOYALTY_FIELD_OBJECT,
     .offset = offsetof(loyalty_offer_t, discount), .shape = &discount_shape},
    {.name = "max_discount", .kind = LOYALTY_FIELD_INT64,
     .offset = offsetof(loyalty_offer_t, max_discount),
     .min = 1, .max = LOYALTY_AMOUNT_MAX},
    {.name = "reward_points", .kind = LOYALTY_FIELD_INT64,
     .offset = offsetof(loyalty_offer_t, reward_points),
     .max = LOYALTY_POINTS_MAX},
    {.name = "loyalty_price", .kind = LOYALTY_FIELD_INT64,
     .offset = offsetof(loyalty_offer_t, loyalty_price),
     .max = LOYALTY_POINTS_MAX, .absent = -1},
    {.name = "min_spend", .kind = LOYALTY_FIELD_INT64,
     .offset = offsetof(loyalty_offer_t, min_spend),
     .max = LOYALTY_AMOUNT_MAX},
    {.name = "min_quantity", .kind = LOYALTY_FIELD_INT64,
     .offset = offsetof(loyalty_offer_t, min_quantity),
     .max = QUANTITY_MAX},
    {.name = "min_after_discounts", .kind = LOYALTY_FIELD_BOOL,
     .offset = offsetof(loyalty_offer_t, min_after_discounts)},
    COUNT_FIELD(order_number),
    {.name = "statuses", .kind = LOYALTY_FIELD_OTHER, .read = read_statuses,
     .absent_text = "[]"},
    {.name = "segments", .kind = LOYALTY_FIELD_OTHER, .read = read_segments,
     .absent_text = "[]"},
    {.name = "groups", .kind = LOYALTY_FIELD_OTHER, .read = read_groups,
     .absent_text = "[]"},
    COUNT_FIELD(limit_total),
    COUNT_FIELD(limit_per_member),
    {.name = "budget_total", .kind = LOYALTY_FIELD_INT64,
     .offset = offsetof(loyalty_offer_t, budget_total),
     .min = 1, .max = LOYALTY_AMOUNT_MAX},
    {.name = "stamps_required", .kind = LOYALTY_FIELD_INT64,
     .offset = offsetof(loyalty_offer_t, stamps_required),
     .min = 1, .max = LOYALTY_STAMPS_MAX},
    {.name = "stamp_per", .kind = LOYALTY_FIELD_OTHER,
     .offset = offsetof(loyalty_offer_t, stamp_per_unit),
     .read = read_stamp_per},
    {.name = "code", .kind = LOYALTY_FIELD_STRING,
     .offset = offsetof(loyalty_offer_t, code), .check = loyalty_check_code},
    {.name = "code_pattern", .kind = LOYALTY_FIELD_STRING,
     .offset = offsetof(loyalty_offer_t, code_pattern),
     .check = loyalty_check_code_pattern},
};

const loyalty_shape_t loyalty_offer_shape = LOYALTY_SHAPE(
    "an offer", offer_fields, loyalty_offer_t, finish_offer);

/* DOMAIN.md section 7, step 2. */
static int
by_evaluation(const void *a, const void *b)
{
    const loyalty_offer_t *x = *(loyalty_offer_t *const *)a;
    const loyalty_offer_t *y = *(loyalty_offer_t *const *)b;

    if (x->priority != y->priority) {
        return x->priority > y->priority ? -1 : 1;
    }

    if (x->type != y->type) {
        return x->type < y->type ? -1 : 1;
    }

    return loyalty_str_cmp(x->id, y->id);
}

/* Two codes that are compared as one are one. */
static void
check_codes(loyalty_reader_t *reader, const loyalty_offer_t *offers, size_t n)
{
    loyalty_map_t codes;
    size_t i, len, mark;
    char *folded;
    uint32_t first;

    if (loyalty_map_init(&codes, reader->arena, n) != LOYALTY_OK) {
        reader->out_of_memory = true;
        return;
    }

    for (i = 0; i < n; i++) {
        if (offers[i].code.len == 0) {
            continue;
        }

        folded = loyalty_reader_alloc(reader, LOYALTY_CODE_MAX);
        len = folded == NULL ? 0 : loyalty_code_fold(offers[i].code, folded);
        if (len == 0) {
            continue;
        }

        first = loyalty_map_put(&codes, (loyalty_str_t){folded, len},
                                (uint32_t)i);
        if (first != i) {
            mark = loyalty_enter_index(reader, i);
            loyalty_report(reader, "code", "is the code of /offers/%u too: "
                           "give each coupon its own", first);
            loyalty_leave(reader, mark);
        }
    }
}

void
loyalty_read_offers(loyalty_reader_t *reader, json_t *array)
{
    loyalty_program_t *program = reader->program;
    loyalty_map_t ids, *by_id = &program->private_data->offers_by_id;
    loyalty_offer_t *offers;
    size_t i, n, mark;

    offers = loyalty_read_objects(reader, array, "offers",
                                  LOYALTY_PROGRAM_OFFERS_MAX,
                                  &loyalty_offer_shape, &n);
    loyalty_read_ids(reader, "offers", offers, sizeof(offers[0]), n, &ids);

    mark = loyalty_enter(reader, "offers");
    check_codes(reader, offers, n);
    loyalty_leave(reader, mark);

    program->offers = loyalty_reader_alloc(reader,
                                           n * sizeof(program->offers[0]));
    if (program->offers == NULL
        || loyalty_map_init(by_id, reader->arena, n) != LOYALTY_OK) {
        reader->out_of_memory = true;
        return;
    }

    for (i = 0; i < n; i++) {
        program->offers[i] = &offers[i];
    }
    program->noffers = n;

    if (n > 1) {
        qsort(program->offers, n, sizeof(program->offers[0]), by_evaluation);
    }

    for (i = 0; i < n; i++) {
        program->offers[i]->number = i;
        loyalty_map_put(by_id, program->offers[i]->id, (uint32_t)i);
    }
}
