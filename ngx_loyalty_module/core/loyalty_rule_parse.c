/*
 * Reward rules from the program's document, and the little that a rule knows
 * of itself (DOMAIN.md section 8).
 */

#include "loyalty_program_private.h"
#include "loyalty_rule.h"

#include <stdlib.h>

static const loyalty_name_t type_names[] = {
    {"bogo", LOYALTY_RULE_BOGO},
    {"order_count", LOYALTY_RULE_ORDER_COUNT},
    {"spent_all", LOYALTY_RULE_SPENT_ALL},
    {"spent_average", LOYALTY_RULE_SPENT_AVERAGE},
    {"spent_one_order", LOYALTY_RULE_SPENT_ONE_ORDER},
    {"product_order_count", LOYALTY_RULE_PRODUCT_ORDER_COUNT},
    {NULL, 0},
};

static const loyalty_name_t filter_names[] = {
    {"all", LOYALTY_RULE_ALL},
    {"opted_in", LOYALTY_RULE_OPTED_IN},
    {"registered", LOYALTY_RULE_REGISTERED},
    {NULL, 0},
};

const char *
loyalty_rule_type_name(loyalty_rule_type_t type)
{
    const char *name = loyalty_name_of(type_names, (int)type);

    return name == NULL ? "" : name;
}

static int
by_bytes(const void *a, const void *b)
{
    return loyalty_str_cmp(*(const loyalty_str_t *)a,
                           *(const loyalty_str_t *)b);
}

bool
loyalty_rule_covers(const loyalty_rule_t *rule, loyalty_str_t sku)
{
    return rule->nproducts == 0
           || bsearch(&sku, rule->products, rule->nproducts,
                      sizeof(rule->products[0]), by_bytes) != NULL;
}

const loyalty_rule_t *
loyalty_program_rule(const loyalty_program_t *program, loyalty_str_t id)
{
    uint32_t i = loyalty_map_get(&program->private_data->rules_by_id, id);

    return i == LOYALTY_MAP_NONE ? NULL : program->rules[i];
}

static void
read_products(loyalty_reader_t *reader, json_t *value, void *target)
{
    loyalty_rule_t *rule = target;

    rule->products = loyalty_read_strings(reader, value,
                                          LOYALTY_RULE_PRODUCTS_MAX,
                                          loyalty_check_sku,
                                          &rule->nproducts);
    if (rule->nproducts > 1) {
        qsort(rule->products, rule->nproducts, sizeof(rule->products[0]),
              by_bytes);
    }
}

static void
read_delay(loyalty_reader_t *reader, json_t *value, void *target)
{
    static const loyalty_field_t seconds = {
        .kind = LOYALTY_FIELD_INT64, .max = LOYALTY_RULE_DELAY_MAX,
    };
    int64_t *delay = target;

    if (value != NULL) {
        loyalty_read_value(reader, NULL, value, &seconds, delay);
        *delay *= LOYALTY_SECOND;
    }
}

/* An offer is put in a wallet, so it is of a type that lies in one. */
static void
check_given_offer(loyalty_reader_t *reader, loyalty_str_t id)
{
    const loyalty_offer_t *offer = loyalty_program_offer(reader->program, id);

    if (offer == NULL) {
        loyalty_report(reader, "offer", "is no id in /offers: add the offer, "
                       "or choose another");
    } else if (offer->deleted) {
        loyalty_report(reader, "offer", "has been deleted: give another");
    } else if (offer->type == LOYALTY_OFFER_PROMOTION) {
        loyalty_report(reader, "offer", "is a promotion, which everyone has: "
                       "choose an offer of another type");
    }
}

static void
finish_gives(loyalty_reader_t *reader, json_t *object, void *target)
{
    loyalty_rule_t *rule = target;
    bool points = loyalty_has(object, "points");
    bool offer = loyalty_has(object, "offer");

    if (points && offer) {
        loyalty_report(reader, "offer", "does not go with points: give one of "
                       "the two, and make a second rule for the other");
    }

    if (!points && loyalty_has(object, "points_expire_days")) {
        loyalty_report(reader, "points_expire_days", "goes with points: "
                       "remove it, or say how many points");
    }

    if (rule->offer.len != 0) {
        check_given_offer(reader, rule->offer);
    }
}

static const loyalty_field_t gives_fields[] = {
    {.name = "points", .kind = LOYALTY_FIELD_INT64,
     .offset = offsetof(loyalty_rule_t, points),
     .min = 1, .max = LOYALTY_POINTS_MAX},
    {.name = "points_expire_days", .kind = LOYALTY_FIELD_INT32,
     .offset = offsetof(loyalty_rule_t, points_expire_days),
     .min = 1, .max = LOYALTY_DAYS_MAX},
    {.name = "offer", .kind = LOYALTY_FIELD_STRING,
     .offset = offsetof(loyalty_rule_t, offer), .check = loyalty_check_id},
};

static const loyalty_shape_t gives_shape = LOYALTY_SHAPE(
    "what a rule gives", gives_fields, loyalty_rule_t, finish_gives);

static void
check_template(loyalty_reader_t *reader, const loyalty_rule_t *rule)
{
    const loyalty_message_template_t *template;

    template = loyalty_program_template(reader->program, rule->template);

    if (template == NULL) {
        loyalty_report(reader, "template", "is no id in /templates: add the "
                       "template, or choose another");
        return;
    }

    if (template->channel != rule->channel) {
        loyalty_report(reader, "template", "is for another channel than the "
                       "rule: choose one of the rule's channel");
        return;
    }

    if (rule->channel == LOYALTY_CHANNEL_EMAIL && rule->subject.n == 0
        && template->subject.n == 0) {
        loyalty_report(reader, "subject", "is missing, here and in the "
                       "template: an email needs one");
    }
}

static bool
is_email(loyalty_str_t text)
{
    const char *at = memchr(text.data, '@', text.len);
    size_t i;

    for (i = 0; i < text.len; i++) {
        if (strchr(" <>(),;:\"\\[]", text.data[i]) != NULL) {
            return false;
        }
    }

    return at != NULL && at != text.data && at + 1 != text.data + text.len
           && memchr(at + 1, '@', (size_t)(text.data + text.len - at - 1))
                  == NULL;
}

static void
finish_rule(loyalty_reader_t *reader, json_t *object, void *target)
{
    loyalty_rule_t *rule = target;
    bool email = rule->channel == LOYALTY_CHANNEL_EMAIL;

    if (rule->repeat && rule->type != LOYALTY_RULE_BOGO) {
        loyalty_report(reader, "repeat", "is for the type \"bogo\": remove "
                       "it, or change the type");
    }

    if (rule->channel != 0 && !email && loyalty_has(object, "subject")) {
        loyalty_report(reader, "subject", "is for the channel \"email\" only: "
                       "remove it");
    }

    if (email && rule->sender_address.len != 0
        && !is_email(rule->sender_address)) {
        loyalty_report(reader, "sender_address", "must be an address such as "
                       "\"shop@example.com\"");
    }

    if (rule->template.len != 0 && rule->channel != 0) {
        check_template(reader, rule);
    }

    if (rule->name.len == 0) {
        rule->name = rule->id;
    }
}

static const loyalty_field_t rule_fields[] = {
    {.name = "id", .kind = LOYALTY_FIELD_STRING, .required = true,
     .offset = offsetof(loyalty_rule_t, id), .check = loyalty_check_id},
    {.name = "name", .kind = LOYALTY_FIELD_STRING,
     .offset = offsetof(loyalty_rule_t, name), .max = LOYALTY_NAME_MAX},
    {.name = "enabled", .kind = LOYALTY_FIELD_BOOL,
     .offset = offsetof(loyalty_rule_t, enabled), .absent = true},
    {.name = "filter", .kind = LOYALTY_FIELD_NAME,
     .offset = offsetof(loyalty_rule_t, filter), .names = filter_names,
     .absent = LOYALTY_RULE_OPTED_IN},
    {.name = "type", .kind = LOYALTY_FIELD_NAME, .required = true,
     .offset = offsetof(loyalty_rule_t, type), .names = type_names},
    {.name = "threshold", .kind = LOYALTY_FIELD_INT64, .required = true,
     .offset = offsetof(loyalty_rule_t, threshold),
     .min = 1, .max = LOYALTY_AMOUNT_MAX},
    {.name = "repeat", .kind = LOYALTY_FIELD_BOOL,
     .offset = offsetof(loyalty_rule_t, repeat)},
    {.name = "products", .kind = LOYALTY_FIELD_OTHER, .read = read_products,
     .absent_text = "[]"},
    {.name = "channel", .kind = LOYALTY_FIELD_NAME, .required = true,
     .offset = offsetof(loyalty_rule_t, channel),
     .names = loyalty_channel_names},
    {.name = "sender_name", .kind = LOYALTY_FIELD_STRING,
     .offset = offsetof(loyalty_rule_t, sender_name),
     .max = LOYALTY_NAME_MAX},
    {.name = "sender_address", .kind = LOYALTY_FIELD_STRING,
     .offset = offsetof(loyalty_rule_t, sender_address),
     .max = LOYALTY_NAME_MAX},
    {.name = "subject", .kind = LOYALTY_FIELD_TEXTS,
     .offset = offsetof(loyalty_rule_t, subject),
     .min = 1, .max = LOYALTY_NAME_MAX},
    {.name = "template", .kind = LOYALTY_FIELD_STRING, .required = true,
     .offset = offsetof(loyalty_rule_t, template), .check = loyalty_check_id},
    {.name = "delay", .kind = LOYALTY_FIELD_OTHER,
     .offset = offsetof(loyalty_rule_t, delay), .read = read_delay,
     .absent_text = "0"},
    {.name = "gives", .kind = LOYALTY_FIELD_OBJECT, .shape = &gives_shape},
};

const loyalty_shape_t loyalty_rule_shape = LOYALTY_SHAPE(
    "a rule", rule_fields, loyalty_rule_t, finish_rule);

void
loyalty_read_rules(loyalty_reader_t *reader, json_t *array)
{
    loyalty_program_t *program = reader->program;
    loyalty_rule_t *rules;
    size_t i, n;

    rules = loyalty_read_objects(reader, array, "rules",
                                 LOYALTY_PROGRAM_RULES_MAX,
                                 &loyalty_rule_shape, &n);
    loyalty_read_ids(reader, "rules", rules, sizeof(rules[0]), n,
                     &program->private_data->rules_by_id);

    program->rules = loyalty_reader_alloc(reader,
                                          n * sizeof(program->rules[0]));
    if (program->rules == NULL) {
        return;
    }

    for (i = 0; i < n; i++) {
        program->rules[i] = &rules[i];
    }
    program->nrules = n;
}
