/*
 * A cart from JSON by tables of fields, and a quote to JSON.
 */

#include "loyalty_cart_json.h"

#include "loyalty_money.h"
#include "loyalty_reader.h"

#define AT(type, member) offsetof(type, member)
#define UNTOLD (-1) /* a rate or multiplier that was not given */

/* What the request says of the member. */
typedef struct {
    loyalty_str_t id;
    loyalty_str_t status;
    unsigned segments;
    loyalty_str_t *groups;
    size_t ngroups;
    int64_t order_count;
    int64_t points;
    loyalty_cart_entry_t *entries;
    size_t nentries;
} guest_t;

typedef struct {
    int64_t rate;
    int64_t multiplier;
} earning_t;

/* What stands in place of the program's and of what was used so far. */
typedef struct {
    json_t *offers;
    loyalty_usage_t *usage;
    size_t nusage;
    earning_t earning;
} preview_t;

typedef struct {
    loyalty_str_t member_id;
    guest_t member;
    loyalty_str_t currency;
    loyalty_instant_t at;
    loyalty_str_t *codes;
    size_t ncodes;
    bool explain;
    loyalty_cart_line_t *lines;
    size_t nlines;
    preview_t preview;
} request_t;

static const loyalty_field_t line_fields[] = {
    {.name = "id", .kind = LOYALTY_FIELD_STRING,
     .offset = AT(loyalty_cart_line_t, id), .min = 1, .max = LOYALTY_ID_MAX},
    {.name = "sku", .kind = LOYALTY_FIELD_STRING, .required = true,
     .offset = AT(loyalty_cart_line_t, sku), .min = 1, .max = LOYALTY_SKU_MAX},
    {.name = "category", .kind = LOYALTY_FIELD_STRING,
     .offset = AT(loyalty_cart_line_t, category), .min = 0,
     .max = LOYALTY_CATEGORY_MAX},
    {.name = "quantity", .kind = LOYALTY_FIELD_INT64, .required = true,
     .offset = AT(loyalty_cart_line_t, quantity), .min = 0,
     .max = LOYALTY_QUANTITY_MAX},
    {.name = "unit_price", .kind = LOYALTY_FIELD_INT64, .required = true,
     .offset = AT(loyalty_cart_line_t, unit_price), .min = 0,
     .max = LOYALTY_AMOUNT_MAX},
    {.name = "minimum_price", .kind = LOYALTY_FIELD_INT64,
     .offset = AT(loyalty_cart_line_t, minimum_price), .min = 0,
     .max = LOYALTY_AMOUNT_MAX},
};

static const loyalty_shape_t line_shape =
    LOYALTY_SHAPE("a line", line_fields, loyalty_cart_line_t, NULL);

static const loyalty_field_t entry_fields[] = {
    {.name = "id", .kind = LOYALTY_FIELD_STRING,
     .offset = AT(loyalty_cart_entry_t, id), .check = loyalty_check_id},
    {.name = "offer_id", .kind = LOYALTY_FIELD_STRING, .required = true,
     .offset = AT(loyalty_cart_entry_t, offer), .check = loyalty_check_id},
    {.name = "code", .kind = LOYALTY_FIELD_STRING,
     .offset = AT(loyalty_cart_entry_t, code), .min = 0,
     .max = LOYALTY_CODE_MAX},
    {.name = "applied", .kind = LOYALTY_FIELD_BOOL, .absent = true,
     .offset = AT(loyalty_cart_entry_t, applied)},
    {.name = "redeemed", .kind = LOYALTY_FIELD_BOOL,
     .offset = AT(loyalty_cart_entry_t, redeemed)},
    {.name = "held", .kind = LOYALTY_FIELD_BOOL,
     .offset = AT(loyalty_cart_entry_t, held)},
    {.name = "uses", .kind = LOYALTY_FIELD_INT64, .absent = 1,
     .offset = AT(loyalty_cart_entry_t, uses), .min = 0,
     .max = LOYALTY_QUANTITY_MAX},
    {.name = "expires_at", .kind = LOYALTY_FIELD_INSTANT,
     .absent = LOYALTY_NEVER, .offset = AT(loyalty_cart_entry_t, expires_at)},
};

static const loyalty_shape_t entry_shape =
    LOYALTY_SHAPE("an entitlement", entry_fields, loyalty_cart_entry_t, NULL);

static void
read_entries(loyalty_reader_t *reader, json_t *value, void *target)
{
    guest_t *member = target;

    member->entries = loyalty_read_objects(reader, value, NULL,
                                           LOYALTY_ENTITLEMENTS_MAX,
                                           &entry_shape, &member->nentries);
}

static void
read_groups(loyalty_reader_t *reader, json_t *value, void *target)
{
    guest_t *member = target;

    if (value != NULL) {
        member->groups = loyalty_read_strings(reader, value,
                                              LOYALTY_CART_GROUPS_MAX,
                                              loyalty_check_id,
                                              &member->ngroups);
    }
}

static void
read_segments(loyalty_reader_t *reader, json_t *value, void *target)
{
    loyalty_segment_t segment;
    json_t *item;
    unsigned bit;
    size_t i;

    if (value != NULL && !json_is_array(value)) {
        loyalty_report(reader, NULL, "must be a list of segments");
    }

    json_array_foreach(value, i, item)
    {
        segment = 0;
        for (bit = 1; bit <= LOYALTY_SEGMENT_RECURRING; bit <<= 1) {
            if (json_is_string(item)
                && strcmp(json_string_value(item),
                          loyalty_segment_name((loyalty_segment_t)bit)) == 0) {
                segment = (loyalty_segment_t)bit;
            }
        }
        if (segment == 0) {
            loyalty_report(reader, NULL, "must be of \"new\", \"recurring\", "
                           "\"at_risk\" and \"vip\"");
        }
        *(unsigned *)target |= segment;
    }
}

static const loyalty_field_t member_fields[] = {
    {.name = "id", .kind = LOYALTY_FIELD_STRING, .offset = AT(guest_t, id),
     .min = 1, .max = LOYALTY_MEMBER_ID_MAX},
    {.name = "status", .kind = LOYALTY_FIELD_STRING,
     .offset = AT(guest_t, status), .min = 0, .max = LOYALTY_ID_MAX},
    {.name = "segments", .kind = LOYALTY_FIELD_OTHER,
     .offset = AT(guest_t, segments), .read = read_segments},
    {.name = "groups", .kind = LOYALTY_FIELD_OTHER, .read = read_groups},
    {.name = "order_count", .kind = LOYALTY_FIELD_INT64, .absent = -1,
     .offset = AT(guest_t, order_count), .min = 0, .max = INT64_MAX - 1},
    {.name = "points", .kind = LOYALTY_FIELD_INT64, .absent = -1,
     .offset = AT(guest_t, points), .min = 0, .max = INT64_MAX},
    {.name = "entitlements", .kind = LOYALTY_FIELD_OTHER,
     .read = read_entries},
};

/* A guest's orders are nobody's; a member who is told without any has none. */
static void
finish_member(loyalty_reader_t *reader, json_t *object, void *target)
{
    guest_t *member = target;

    (void)reader;
    (void)object;

    if (member->order_count < 0) {
        member->order_count = 0;
    }
}

static const loyalty_shape_t member_shape =
    LOYALTY_SHAPE("the member", member_fields, guest_t, finish_member);

static const loyalty_field_t earning_fields[] = {
    {.name = "rate", .kind = LOYALTY_FIELD_DECIMAL, .absent = UNTOLD,
     .offset = AT(earning_t, rate), .scale = 4, .min = 0,
     .max = LOYALTY_EARN_RATE_MAX * 10000},
    {.name = "multiplier", .kind = LOYALTY_FIELD_DECIMAL, .absent = UNTOLD,
     .offset = AT(earning_t, multiplier), .scale = 2, .min = 0,
     .max = LOYALTY_MULTIPLIER_MAX * 100},
};

static const loyalty_shape_t earning_shape =
    LOYALTY_SHAPE("the earning", earning_fields, earning_t, NULL);

static const loyalty_field_t usage_fields[] = {
    {.name = "total", .kind = LOYALTY_FIELD_INT64,
     .offset = AT(loyalty_usage_t, total), .min = 0,
     .max = LOYALTY_AMOUNT_MAX},
    {.name = "member", .kind = LOYALTY_FIELD_INT64,
     .offset = AT(loyalty_usage_t, member), .min = 0,
     .max = LOYALTY_AMOUNT_MAX},
    {.name = "spent", .kind = LOYALTY_FIELD_INT64,
     .offset = AT(loyalty_usage_t, spent), .min = 0,
     .max = LOYALTY_AMOUNT_MAX},
};

static const loyalty_shape_t usage_shape =
    LOYALTY_SHAPE("a usage", usage_fields, loyalty_usage_t, NULL);

static void
read_usage(loyalty_reader_t *reader, json_t *value, void *target)
{
    preview_t *preview = target;
    loyalty_usage_t *usage;
    const char *offer;
    json_t *uses;
    size_t mark;

    if (value == NULL) {
        return;
    }

    if (!json_is_object(value)
        || json_object_size(value) > LOYALTY_PROGRAM_OFFERS_MAX) {
        loyalty_report(reader, NULL,
                       "must be an object of uses by offer id");
        return;
    }

    preview->usage = loyalty_reader_alloc(
        reader, json_object_size(value) * sizeof(*usage));
    if (preview->usage == NULL) {
        return;
    }

    json_object_foreach(value, offer, uses)
    {
        mark = loyalty_enter(reader, offer);
        usage = &preview->usage[preview->nusage++];
        loyalty_read_object(reader, uses, &usage_shape, usage);
        usage->offer = loyalty_str_from(offer);
        loyalty_leave(reader, mark);
    }
}

static void
read_codes(loyalty_reader_t *reader, json_t *value, void *target)
{
    request_t *request = target;
    json_t *item;
    size_t i;

    if (value == NULL) {
        return;
    }

    if (!json_is_array(value)
        || json_array_size(value) > LOYALTY_CART_CODES_MAX) {
        loyalty_report(reader, NULL, "must be a list of at most %d codes",
                       LOYALTY_CART_CODES_MAX);
        return;
    }

    request->codes = loyalty_reader_alloc(
        reader, json_array_size(value) * sizeof(*request->codes));
    if (request->codes == NULL) {
        return;
    }

    /* Whatever a shopper types is a code; most are of no offer. */
    json_array_foreach(value, i, item)
    {
        if (!json_is_string(item)) {
            loyalty_report(reader, NULL, "must be a list of texts");
            return;
        }
        request->codes[request->ncodes++] = (loyalty_str_t){
            json_string_value(item), json_string_length(item)};
    }
}

static void
read_lines(loyalty_reader_t *reader, json_t *value, void *target)
{
    request_t *request = target;

    request->lines = loyalty_read_objects(reader, value, NULL,
                                          LOYALTY_ORDER_LINES_MAX,
                                          &line_shape, &request->nlines);
}

static void
read_offers(loyalty_reader_t *reader, json_t *value, void *target)
{
    if (value != NULL && !json_is_array(value)) {
        loyalty_report(reader, NULL, "must be a list of offers");
        value = NULL;
    }

    *(json_t **)target = value;
}

static const loyalty_field_t preview_fields[] = {
    {.name = "offers", .kind = LOYALTY_FIELD_OTHER,
     .offset = AT(preview_t, offers), .read = read_offers},
    {.name = "usage", .kind = LOYALTY_FIELD_OTHER, .read = read_usage},
    {.name = "earning", .kind = LOYALTY_FIELD_OBJECT,
     .offset = AT(preview_t, earning), .shape = &earning_shape},
};

static const loyalty_shape_t preview_shape =
    LOYALTY_SHAPE("a preview", preview_fields, preview_t, NULL);

static const loyalty_field_t request_fields[] = {
    {.name = "member_id", .kind = LOYALTY_FIELD_STRING,
     .offset = AT(request_t, member_id), .min = 1,
     .max = LOYALTY_MEMBER_ID_MAX},
    {.name = "member", .kind = LOYALTY_FIELD_OBJECT,
     .offset = AT(request_t, member), .shape = &member_shape},
    {.name = "currency", .kind = LOYALTY_FIELD_STRING,
     .offset = AT(request_t, currency), .min = 3, .max = 3},
    {.name = "at", .kind = LOYALTY_FIELD_INSTANT, .absent = LOYALTY_UNKNOWN,
     .offset = AT(request_t, at)},
    {.name = "codes", .kind = LOYALTY_FIELD_OTHER, .read = read_codes},
    {.name = "explain", .kind = LOYALTY_FIELD_BOOL,
     .offset = AT(request_t, explain)},
    {.name = "lines", .kind = LOYALTY_FIELD_OTHER, .read = read_lines},
    {.name = "preview", .kind = LOYALTY_FIELD_OBJECT,
     .offset = AT(request_t, preview), .shape = &preview_shape},
};

static const loyalty_shape_t request_shape =
    LOYALTY_SHAPE("a cart", request_fields, request_t, NULL);

static int64_t
multiplier_of(const loyalty_program_t *program, loyalty_str_t status)
{
    const loyalty_tier_t *tier = loyalty_program_tier(program, status);

    return tier == NULL ? 100 : tier->multiplier;
}

loyalty_status_t
loyalty_cart_parse(json_t *json, const loyalty_program_t *program,
                   const loyalty_member_t *known, loyalty_instant_t now,
                   loyalty_arena_t *arena, loyalty_problems_t *problems,
                   loyalty_cart_t *cart)
{
    loyalty_reader_t reader = {.arena = arena, .problems = problems};
    const guest_t *member;
    size_t before = problems->count;
    request_t request = {0};
    loyalty_status_t rc;

    loyalty_read_object(&reader, json, &request_shape, &request);

    if (request.currency.len != 0
        && !loyalty_str_eq(request.currency, program->settings.currency)) {
        loyalty_report(&reader, "currency", "must be the site's, %.*s",
                       (int)program->settings.currency.len,
                       program->settings.currency.data);
    }

    if (request.member_id.len != 0 && loyalty_has(json, "member")) {
        loyalty_report(&reader, "member", "does not go with member_id: give "
                       "one of the two");
    }

    if (reader.out_of_memory) {
        return LOYALTY_ERROR_MEMORY;
    }

    if (problems->count != before) {
        return LOYALTY_ERROR_INVALID;
    }

    member = &request.member;
    *cart = (loyalty_cart_t){
        .status = member->status,
        .segments = member->segments,
        .groups = member->groups,
        .ngroups = member->ngroups,
        .order_count = member->order_count,
        .points = member->points,
        .entries = member->entries,
        .nentries = member->nentries,
        .usage = request.preview.usage,
        .nusage = request.preview.nusage,
        .earn_rate = request.preview.earning.rate == UNTOLD
                         ? program->settings.earn_rate
                         : request.preview.earning.rate,
        .multiplier = multiplier_of(program, member->status),
        .lines = request.lines,
        .nlines = request.nlines,
        .codes = request.codes,
        .ncodes = request.ncodes,
        .at = request.at == LOYALTY_UNKNOWN ? now : request.at,
        .explain = request.explain,
    };

    if (known != NULL) {
        rc = loyalty_cart_bring(cart, program, known, arena);
        if (rc != LOYALTY_OK) {
            return rc;
        }
    }

    if (request.preview.earning.multiplier != UNTOLD) {
        cart->multiplier = request.preview.earning.multiplier;
    }

    return LOYALTY_OK;
}

static json_t *
text(loyalty_str_t value)
{
    return json_stringn_nocheck(value.data == NULL ? "" : value.data,
                                value.len);
}

/* Sets the member unless the text is empty. */
static void
set_text(json_t *object, const char *name, loyalty_str_t value)
{
    if (value.len != 0) {
        json_object_set_new(object, name, text(value));
    }
}

/* A line as the caller named it: by its id, else by its place. */
static json_t *
line_name(const loyalty_cart_t *cart, size_t line)
{
    return cart->lines[line].id.len != 0 ? text(cart->lines[line].id)
                                         : json_integer((json_int_t)line);
}

static json_t *
discount_to_json(const loyalty_cart_t *cart, const loyalty_applied_t *applied)
{
    json_t *object, *allocations = json_array();
    size_t i;

    for (i = 0; i < applied->nallocations; i++) {
        json_array_append_new(
            allocations,
            json_pack("{s:o, s:I}", "line_id",
                      line_name(cart, applied->allocations[i].line), "amount",
                      (json_int_t)applied->allocations[i].amount));
    }

    object = json_pack("{s:o, s:I, s:o}", "offer_id", text(applied->offer->id),
                       "amount", (json_int_t)applied->amount, "allocations",
                       allocations);
    if (applied->reward_points != 0) {
        json_object_set_new(object, "reward_points",
                            json_integer(applied->reward_points));
    }
    set_text(object, "entitlement_id", applied->entry);
    set_text(object, "code", applied->code);

    return object;
}

json_t *
loyalty_quote_to_json(const loyalty_cart_t *cart, const loyalty_quote_t *quote)
{
    json_t *lines = json_array(), *discounts = json_array();
    json_t *rejected = json_array(), *object;
    const loyalty_rejected_t *refused;
    size_t i;

    for (i = 0; i < cart->nlines; i++) {
        json_array_append_new(
            lines, json_pack("{s:o, s:I}", "id", line_name(cart, i),
                             "discount",
                             (json_int_t)quote->line_discounts[i]));
    }

    for (i = 0; i < quote->napplied; i++) {
        json_array_append_new(discounts,
                              discount_to_json(cart, &quote->applied[i]));
    }

    for (i = 0; i < quote->nrejected; i++) {
        refused = &quote->rejected[i];
        object = json_pack("{s:s}", "reason",
                           loyalty_reject_name(refused->reason));
        set_text(object, "offer_id", refused->offer);
        set_text(object, "entitlement_id", refused->entry);
        set_text(object, "code", refused->code);
        json_array_append_new(rejected, object);
    }

    return json_pack("{s:I, s:I, s:I, s:o, s:o, s:o, s:I}", "subtotal",
                     (json_int_t)quote->subtotal, "total_discount",
                     (json_int_t)quote->total_discount, "total",
                     (json_int_t)quote->total, "lines", lines, "discounts",
                     discounts, "rejected", rejected, "points_to_earn",
                     (json_int_t)quote->points_to_earn);
}
