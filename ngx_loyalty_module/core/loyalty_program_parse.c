/*
 * From the document to the program.  Each part is read by its shape; then
 * come the rules that tie parts together: statuses to the criterion and to
 * each other, the settings to a design, templates to their channel.
 *
 * Reading goes on after a mistake, so that all are reported at once; with any
 * problem there is no program.
 */

#include "loyalty_program_private.h"

#include "loyalty_money.h"
#include "loyalty_template.h"

#include <stdio.h>
#include <stdlib.h>

#define AT(type, member) offsetof(type, member)

static const loyalty_name_t window_kind_names[] = {
    {"lifetime", LOYALTY_WINDOW_LIFETIME},
    {"rolling", LOYALTY_WINDOW_ROLLING},
    {NULL, 0},
};

static const loyalty_name_t return_policy_names[] = {
    {"within_balance", LOYALTY_RETURN_WITHIN_BALANCE},
    {"unlimited", LOYALTY_RETURN_UNLIMITED},
    {"only_pending", LOYALTY_RETURN_ONLY_PENDING},
    {NULL, 0},
};

static void
finish_window(loyalty_reader_t *reader, json_t *object, void *target)
{
    loyalty_window_t *window = target;

    (void)object;

    if (window->kind == LOYALTY_WINDOW_ROLLING && window->days == 0) {
        loyalty_report(reader, "days", "is missing: a rolling window is so "
                       "many days long");
    }

    if (window->kind == LOYALTY_WINDOW_LIFETIME && window->days != 0) {
        loyalty_report(reader, "days", "is for a rolling window: remove it, "
                       "or make the kind \"rolling\"");
    }
}

static const loyalty_field_t window_fields[] = {
    {.name = "kind", .kind = LOYALTY_FIELD_NAME,
     .offset = AT(loyalty_window_t, kind), .names = window_kind_names,
     .absent = LOYALTY_WINDOW_LIFETIME},
    {.name = "days", .kind = LOYALTY_FIELD_INT32,
     .offset = AT(loyalty_window_t, days), .min = 1, .max = LOYALTY_DAYS_MAX},
    {.name = "grace_days", .kind = LOYALTY_FIELD_INT32,
     .offset = AT(loyalty_window_t, grace_days), .max = LOYALTY_DAYS_MAX},
    {.name = "never_drop", .kind = LOYALTY_FIELD_BOOL,
     .offset = AT(loyalty_window_t, never_drop)},
};

static const loyalty_shape_t window_shape = LOYALTY_SHAPE(
    "a window", window_fields, loyalty_window_t, finish_window);

static const loyalty_field_t segment_fields[] = {
    {.name = "new", .kind = LOYALTY_FIELD_INT32,
     .offset = AT(loyalty_segment_thresholds_t, new_days),
     .max = LOYALTY_DAYS_MAX, .absent = 30},
    {.name = "recurring", .kind = LOYALTY_FIELD_INT32,
     .offset = AT(loyalty_segment_thresholds_t, recurring_days),
     .max = LOYALTY_DAYS_MAX, .absent = 180},
    {.name = "at_risk", .kind = LOYALTY_FIELD_INT32,
     .offset = AT(loyalty_segment_thresholds_t, at_risk_days),
     .max = LOYALTY_DAYS_MAX, .absent = 90},
    {.name = "vip", .kind = LOYALTY_FIELD_INT64,
     .offset = AT(loyalty_segment_thresholds_t, vip_points),
     .max = LOYALTY_POINTS_MAX, .absent = 1000},
};

static const loyalty_shape_t segments_shape = LOYALTY_SHAPE(
    "the segments' thresholds", segment_fields, loyalty_segment_thresholds_t,
    NULL);

static void
read_locales(loyalty_reader_t *reader, json_t *value, void *target)
{
    loyalty_str_t *locales = NULL;
    size_t n = 0;

    if (value != NULL) {
        locales = loyalty_read_strings(reader, value, LOYALTY_LOCALES_MAX,
                                       loyalty_check_locale, &n);
        if (json_is_array(value) && json_array_size(value) == 0) {
            loyalty_report(reader, NULL, "must name at least one language");
        }
    }

    if (n == 0) {
        locales = loyalty_reader_alloc(reader, sizeof(locales[0]));
        if (locales == NULL) {
            return;
        }
        locales[0] = loyalty_str("en");
        n = 1;
    }

    *(loyalty_str_t **)target = locales;
    reader->program->settings.nlocales = n;
    reader->locale = locales[0];
}

/* The shape of a name in the IANA database: "Europe/London", "Etc/GMT+5". */
static bool
is_time_zone(loyalty_str_t text)
{
    size_t i, parts = 1, run = 0;
    char c;

    for (i = 0; i < text.len; i++) {
        c = text.data[i];
        if (c == '/') {
            if (run == 0) {
                return false;
            }
            parts++;
            run = 0;
        } else if ((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z')
                   || (i > 0 && ((c >= '0' && c <= '9') || c == '_'
                                 || c == '+' || c == '-'))) {
            run++;
        } else {
            return false;
        }
    }

    return run > 0 && parts <= 3;
}

static void
finish_settings(loyalty_reader_t *reader, json_t *object, void *target)
{
    loyalty_settings_t *settings = target;

    settings->exponent = loyalty_currency_exponent(settings->currency);
    if (settings->exponent < 0) {
        if (settings->currency.len != 0) {
            loyalty_report(reader, "currency", "must be a currency code of "
                           "ISO 4217, such as \"EUR\"");
        }
        settings->exponent = 0;
    }

    if (!is_time_zone(settings->time_zone)) {
        loyalty_report(reader, "time_zone", "must be the name of a time zone "
                       "such as \"Europe/Paris\"");
    }

    if (settings->name.len == 0 && json_object_get(object, "name") == NULL) {
        settings->name = settings->id;
    }
}

/* "locales" comes first: the first of them is the language of plain texts. */
static const loyalty_field_t settings_fields[] = {
    {.name = "locales", .kind = LOYALTY_FIELD_OTHER,
     .offset = AT(loyalty_settings_t, locales), .read = read_locales,
     .absent_text = "[\"en\"]"},
    {.name = "id", .kind = LOYALTY_FIELD_SITE_ID, .required = true,
     .offset = AT(loyalty_settings_t, id)},
    {.name = "name", .kind = LOYALTY_FIELD_STRING,
     .offset = AT(loyalty_settings_t, name), .max = LOYALTY_NAME_MAX},
    {.name = "currency", .kind = LOYALTY_FIELD_STRING, .required = true,
     .offset = AT(loyalty_settings_t, currency), .min = 3, .max = 3},
    {.name = "time_zone", .kind = LOYALTY_FIELD_STRING,
     .offset = AT(loyalty_settings_t, time_zone), .min = 1,
     .max = LOYALTY_TIME_ZONE_MAX, .absent_text = "UTC"},
    {.name = "active", .kind = LOYALTY_FIELD_BOOL,
     .offset = AT(loyalty_settings_t, active)},
    {.name = "earn_rate", .kind = LOYALTY_FIELD_DECIMAL,
     .offset = AT(loyalty_settings_t, earn_rate), .scale = 4,
     .max = LOYALTY_EARN_RATE_MAX * 10000, .absent = 10000},
    {.name = "points_expire_days", .kind = LOYALTY_FIELD_INT32,
     .offset = AT(loyalty_settings_t, points_expire_days),
     .max = LOYALTY_DAYS_MAX},
    {.name = "points_pending_days", .kind = LOYALTY_FIELD_INT32,
     .offset = AT(loyalty_settings_t, points_pending_days),
     .max = LOYALTY_DAYS_MAX},
    {.name = "return_policy", .kind = LOYALTY_FIELD_NAME,
     .offset = AT(loyalty_settings_t, return_policy),
     .names = return_policy_names, .absent = LOYALTY_RETURN_WITHIN_BALANCE},
    {.name = "criterion", .kind = LOYALTY_FIELD_NAME,
     .offset = AT(loyalty_settings_t, criterion),
     .names = loyalty_criterion_names, .absent = LOYALTY_CRITERION_SPEND},
    {.name = "window", .kind = LOYALTY_FIELD_OBJECT,
     .offset = AT(loyalty_settings_t, window), .shape = &window_shape},
    {.name = "segments", .kind = LOYALTY_FIELD_OBJECT,
     .offset = AT(loyalty_settings_t, segments), .shape = &segments_shape},
    {.name = "attribution_days", .kind = LOYALTY_FIELD_INT32,
     .offset = AT(loyalty_settings_t, attribution_days),
     .max = LOYALTY_DAYS_MAX, .absent = 5},
    {.name = "design", .kind = LOYALTY_FIELD_ID,
     .offset = AT(loyalty_settings_t, design)},
    {.name = "sign_in_url", .kind = LOYALTY_FIELD_URL,
     .offset = AT(loyalty_settings_t, sign_in_url)},
    {.name = "tier_page_title", .kind = LOYALTY_FIELD_TEXTS,
     .offset = AT(loyalty_settings_t, tier_page_title),
     .min = 1, .max = LOYALTY_NAME_MAX},
};

const loyalty_shape_t loyalty_settings_shape = LOYALTY_SHAPE(
    "the settings", settings_fields, loyalty_settings_t, finish_settings);

static bool
has(json_t *object, const char *key)
{
    json_t *value = json_object_get(object, key);

    return value != NULL && !json_is_null(value);
}

static void
finish_tier(loyalty_reader_t *reader, json_t *object, void *target)
{
    loyalty_tier_t *tier = target;
    bool by_segment = reader->program->settings.criterion
                      == LOYALTY_CRITERION_SEGMENT;
    const char *needed = by_segment ? "segment" : "threshold";
    const char *other = by_segment ? "threshold" : "segment";

    if (!has(object, needed)) {
        loyalty_report(reader, needed, "is missing: the criterion of the "
                       "settings asks for it");
    }

    if (has(object, other)) {
        loyalty_report(reader, other, "does not go with the criterion of the "
                       "settings: remove it, or change the criterion");
    }

    if (!has(object, "name")) {
        tier->name.texts = loyalty_reader_alloc(reader,
                                                sizeof(tier->name.texts[0]));
        if (tier->name.texts != NULL) {
            tier->name.texts[0] = (loyalty_text_t){reader->locale, tier->id};
            tier->name.n = 1;
        }
    }
}

static const loyalty_field_t tier_fields[] = {
    {.name = "id", .kind = LOYALTY_FIELD_ID, .required = true,
     .offset = AT(loyalty_tier_t, id)},
    {.name = "name", .kind = LOYALTY_FIELD_TEXTS,
     .offset = AT(loyalty_tier_t, name), .min = 1, .max = LOYALTY_NAME_MAX},
    {.name = "description", .kind = LOYALTY_FIELD_TEXTS, .lines = true,
     .offset = AT(loyalty_tier_t, description),
     .max = LOYALTY_DESCRIPTION_MAX},
    /* No default that is in range: what is absent stays absent. */
    {.name = "threshold", .kind = LOYALTY_FIELD_INT64,
     .offset = AT(loyalty_tier_t, threshold), .max = LOYALTY_AMOUNT_MAX,
     .absent = -1},
    {.name = "segment", .kind = LOYALTY_FIELD_NAME,
     .offset = AT(loyalty_tier_t, segment), .names = loyalty_segment_names},
    {.name = "color", .kind = LOYALTY_FIELD_COLOR,
     .offset = AT(loyalty_tier_t, color), .absent_text = "#4b5563"},
    {.name = "image", .kind = LOYALTY_FIELD_URL,
     .offset = AT(loyalty_tier_t, image)},
    {.name = "multiplier", .kind = LOYALTY_FIELD_DECIMAL,
     .offset = AT(loyalty_tier_t, multiplier), .scale = 2,
     .max = LOYALTY_MULTIPLIER_MAX * 100, .absent = 100},
};

const loyalty_shape_t loyalty_tier_shape = LOYALTY_SHAPE(
    "a status", tier_fields, loyalty_tier_t, finish_tier);

static bool
holds(loyalty_str_t text, const char *needle)
{
    size_t i, k, len = strlen(needle);

    for (i = 0; i + len <= text.len; i++) {
        for (k = 0; k < len && (text.data[i + k] | 0x20) == needle[k]; k++) {
        }
        if (k == len) {
            return true;
        }
    }

    return false;
}

/* Names of colours become custom properties of CSS. */
static void
read_colors(loyalty_reader_t *reader, json_t *value, void *target)
{
    static const loyalty_field_t color = {.kind = LOYALTY_FIELD_COLOR};
    const char *key, *problem;
    loyalty_str_t text;
    json_t *item;

    (void)target;

    if (value == NULL) {
        return;
    }

    if (!json_is_object(value)
        || json_object_size(value) > LOYALTY_COLORS_MAX) {
        loyalty_report(reader, NULL, "must be an object of at most %d colours "
                       "by name", LOYALTY_COLORS_MAX);
        return;
    }

    json_object_foreach(value, key, item) {
        problem = loyalty_check_id(loyalty_str_from(key));
        if (problem != NULL) {
            loyalty_report(reader, key, "the name of this colour %s", problem);
        }
        loyalty_read_value(reader, key, item, &color, &text);
    }
}

typedef struct {
    loyalty_str_t body;
    loyalty_str_t heading;
} fonts_t;

/* A font family ends up in a style sheet: letters, digits and a few signs. */
static void
finish_fonts(loyalty_reader_t *reader, json_t *object, void *target)
{
    static const char *const names[] = {"body", "heading"};
    const char *p;
    size_t i;

    (void)target;

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        p = json_string_value(json_object_get(object, names[i]));
        if (p != NULL && strpbrk(p, "{};<>\\@/") != NULL) {
            loyalty_report(reader, names[i], "must be a font family such as "
                           "\"Inter, sans-serif\"");
        }
    }
}

static const loyalty_field_t font_fields[] = {
    {.name = "body", .kind = LOYALTY_FIELD_STRING,
     .offset = AT(fonts_t, body), .max = LOYALTY_NAME_MAX},
    {.name = "heading", .kind = LOYALTY_FIELD_STRING,
     .offset = AT(fonts_t, heading), .max = LOYALTY_NAME_MAX},
};

static const loyalty_shape_t fonts_shape = LOYALTY_SHAPE(
    "the fonts of a design", font_fields, fonts_t, finish_fonts);

static void
read_fonts(loyalty_reader_t *reader, json_t *value, void *target)
{
    fonts_t fonts = {.body = loyalty_str_null};

    (void)target;

    if (value != NULL) {
        loyalty_read_object(reader, value, &fonts_shape, &fonts);
    }
}

static void
finish_design(loyalty_reader_t *reader, json_t *object, void *target)
{
    loyalty_design_t *design = target;

    design->json = object;
    if (design->name.len == 0) {
        design->name = design->id;
    }

    if (holds(design->css, "</style")) {
        loyalty_report(reader, "css", "must not have \"</style\": it would "
                       "end the style sheet");
    }

    loyalty_read_mustache(reader, "template", design->template);
}

static const loyalty_field_t design_fields[] = {
    {.name = "id", .kind = LOYALTY_FIELD_ID, .required = true,
     .offset = AT(loyalty_design_t, id)},
    {.name = "name", .kind = LOYALTY_FIELD_STRING,
     .offset = AT(loyalty_design_t, name), .max = LOYALTY_NAME_MAX},
    {.name = "colors", .kind = LOYALTY_FIELD_OTHER, .read = read_colors,
     .absent_text = "{}"},
    {.name = "fonts", .kind = LOYALTY_FIELD_OTHER, .read = read_fonts,
     .absent_text = "{}"},
    {.name = "logo", .kind = LOYALTY_FIELD_URL,
     .offset = AT(loyalty_design_t, logo)},
    {.name = "css", .kind = LOYALTY_FIELD_STRING, .lines = true,
     .offset = AT(loyalty_design_t, css), .max = LOYALTY_CSS_MAX},
    {.name = "template", .kind = LOYALTY_FIELD_STRING, .lines = true,
     .offset = AT(loyalty_design_t, template),
     .max = LOYALTY_TEMPLATE_SIZE_MAX},
};

const loyalty_shape_t loyalty_design_shape = LOYALTY_SHAPE(
    "a design", design_fields, loyalty_design_t, finish_design);

static void
read_mustache_texts(loyalty_reader_t *reader, const char *key,
                    const loyalty_texts_t *texts)
{
    size_t i;

    for (i = 0; i < texts->n; i++) {
        loyalty_read_mustache(reader, key, texts->texts[i].text);
    }
}

static void
finish_message_template(loyalty_reader_t *reader, json_t *object, void *target)
{
    loyalty_message_template_t *template = target;
    bool email = template->channel == LOYALTY_CHANNEL_EMAIL;

    if (!has(object, "text") && !(email && has(object, "html"))) {
        loyalty_report(reader, "text", "is missing: a message says something");
    }

    if (template->channel != 0 && !email
        && (has(object, "html") || has(object, "subject"))) {
        loyalty_report(reader, has(object, "html") ? "html" : "subject",
                       "is for the channel \"email\" only: remove it");
    }

    if (template->name.len == 0) {
        template->name = template->id;
    }

    read_mustache_texts(reader, "subject", &template->subject);
    read_mustache_texts(reader, "html", &template->html);
    read_mustache_texts(reader, "text", &template->text);
}

static const loyalty_field_t message_template_fields[] = {
    {.name = "id", .kind = LOYALTY_FIELD_ID, .required = true,
     .offset = AT(loyalty_message_template_t, id)},
    {.name = "name", .kind = LOYALTY_FIELD_STRING,
     .offset = AT(loyalty_message_template_t, name),
     .max = LOYALTY_NAME_MAX},
    {.name = "channel", .kind = LOYALTY_FIELD_NAME, .required = true,
     .offset = AT(loyalty_message_template_t, channel),
     .names = loyalty_channel_names},
    {.name = "subject", .kind = LOYALTY_FIELD_TEXTS,
     .offset = AT(loyalty_message_template_t, subject),
     .min = 1, .max = LOYALTY_NAME_MAX},
    {.name = "html", .kind = LOYALTY_FIELD_TEXTS, .lines = true,
     .offset = AT(loyalty_message_template_t, html),
     .min = 1, .max = LOYALTY_TEMPLATE_SIZE_MAX},
    {.name = "text", .kind = LOYALTY_FIELD_TEXTS, .lines = true,
     .offset = AT(loyalty_message_template_t, text),
     .min = 1, .max = LOYALTY_TEMPLATE_SIZE_MAX},
};

const loyalty_shape_t loyalty_message_template_shape = LOYALTY_SHAPE(
    "a template", message_template_fields, loyalty_message_template_t,
    finish_message_template);

static void
finish_category(loyalty_reader_t *reader, json_t *object, void *target)
{
    loyalty_category_rule_t *rule = target;
    const char *problem;
    size_t mark;

    (void)object;

    if (rule->category.len != 0) {
        problem = loyalty_check_category(rule->category);
        if (problem != NULL) {
            loyalty_report(reader, "category", "%s", problem);
        }
    }

    if (rule->pattern.len != 0) {
        mark = loyalty_enter(reader, "pattern");
        rule->compiled = loyalty_read_pattern(reader, rule->pattern);
        loyalty_leave(reader, mark);
    }
}

static const loyalty_field_t category_fields[] = {
    {.name = "pattern", .kind = LOYALTY_FIELD_STRING, .required = true,
     .offset = AT(loyalty_category_rule_t, pattern),
     .min = 1, .max = LOYALTY_PATTERN_SIZE_MAX},
    {.name = "category", .kind = LOYALTY_FIELD_STRING, .required = true,
     .offset = AT(loyalty_category_rule_t, category),
     .min = 1, .max = LOYALTY_CATEGORY_MAX},
};

const loyalty_shape_t loyalty_category_shape = LOYALTY_SHAPE(
    "a category's pattern", category_fields, loyalty_category_rule_t,
    finish_category);

loyalty_pattern_t *
loyalty_read_pattern(loyalty_reader_t *reader, loyalty_str_t source)
{
    struct loyalty_program_private_s *own = reader->program->private_data;
    loyalty_pattern_t *pattern = NULL, **patterns;
    size_t capacity;

    if (own->npatterns == own->patterns_capacity) {
        capacity = own->patterns_capacity * 2 + 16;
        patterns = realloc(own->patterns, capacity * sizeof(patterns[0]));
        if (patterns == NULL) {
            reader->out_of_memory = true;
            return NULL;
        }
        own->patterns = patterns;
        own->patterns_capacity = capacity;
    }

    if (loyalty_pattern_compile(source, reader->pointer, reader->problems,
                                &pattern) == LOYALTY_OK) {
        own->patterns[own->npatterns++] = pattern;
    }

    return pattern;
}

void
loyalty_read_mustache(loyalty_reader_t *reader, const char *key,
                      loyalty_str_t source)
{
    loyalty_template_t *compiled = NULL;
    loyalty_problems_t problems;
    loyalty_status_t rc;
    size_t i;

    if (source.len == 0) {
        return;
    }

    loyalty_problems_init(&problems, reader->arena);
    rc = loyalty_template_compile(source, &problems, &compiled);
    loyalty_template_free(compiled);

    if (rc == LOYALTY_ERROR_MEMORY) {
        reader->out_of_memory = true;
        return;
    }

    for (i = 0; i < problems.count && i < LOYALTY_PROBLEMS_MAX; i++) {
        loyalty_report(reader, key, "%.*s: %.*s",
                       (int)problems.list[i].pointer.len,
                       problems.list[i].pointer.data,
                       (int)problems.list[i].message.len,
                       problems.list[i].message.data);
    }
}

static int
by_threshold(const void *a, const void *b)
{
    const loyalty_tier_t *x = a, *y = b;

    return (x->threshold > y->threshold) - (x->threshold < y->threshold);
}

static void
order_tiers(loyalty_reader_t *reader)
{
    loyalty_program_t *program = reader->program;
    loyalty_tier_t *tiers = program->tiers;
    size_t i, k, mark, item_mark;

    if (program->settings.criterion == LOYALTY_CRITERION_SEGMENT) {
        return;
    }

    mark = loyalty_enter(reader, "statuses");
    for (i = 1; i < program->ntiers; i++) {
        for (k = 0; k < i; k++) {
            if (tiers[i].threshold >= 0
                && tiers[i].threshold == tiers[k].threshold) {
                item_mark = loyalty_enter_index(reader, i);
                loyalty_report(reader, "threshold", "is that of /statuses/%zu "
                               "too: give each status its own", k);
                loyalty_leave(reader, item_mark);
                break;
            }
        }
    }
    loyalty_leave(reader, mark);

    if (program->ntiers > 1) {
        qsort(tiers, program->ntiers, sizeof(tiers[0]), by_threshold);
    }
}

static void
read_tiers(loyalty_reader_t *reader, json_t *statuses)
{
    loyalty_program_t *program = reader->program;
    loyalty_map_t ids;

    program->tiers = loyalty_read_objects(reader, statuses, "statuses",
                                          LOYALTY_PROGRAM_STATUSES_MAX,
                                          &loyalty_tier_shape,
                                          &program->ntiers);
    loyalty_read_ids(reader, "statuses", program->tiers,
                     sizeof(program->tiers[0]), program->ntiers, &ids);
    order_tiers(reader);
}

static void
read_designs(loyalty_reader_t *reader, json_t *designs)
{
    loyalty_program_t *program = reader->program;
    loyalty_str_t chosen = program->settings.design;
    loyalty_map_t ids;

    program->designs = loyalty_read_objects(reader, designs, "designs",
                                            LOYALTY_PROGRAM_DESIGNS_MAX,
                                            &loyalty_design_shape,
                                            &program->ndesigns);
    loyalty_read_ids(reader, "designs", program->designs,
                     sizeof(program->designs[0]), program->ndesigns, &ids);

    if (chosen.len != 0 && loyalty_program_design(program, chosen) == NULL) {
        loyalty_problem(reader->problems, "/settings/design",
                        "is no id in /designs: add the design, or choose "
                        "another");
    }
}

static void
read_templates(loyalty_reader_t *reader, json_t *templates)
{
    loyalty_program_t *program = reader->program;

    program->templates = loyalty_read_objects(
        reader, templates, "templates", LOYALTY_PROGRAM_TEMPLATES_MAX,
        &loyalty_message_template_shape, &program->ntemplates);
    loyalty_read_ids(reader, "templates", program->templates,
                     sizeof(program->templates[0]), program->ntemplates,
                     &program->private_data->templates_by_id);
}

static void
read_version(loyalty_reader_t *reader, json_t *version)
{
    if (version == NULL) {
        return;
    }

    if (!json_is_integer(version) || json_integer_value(version) < 0) {
        loyalty_problem(reader->problems, "/version",
                        "must be a whole number, 0 or more");
        return;
    }

    reader->program->version = json_integer_value(version);
}

static json_t *
part(json_t *document, const char *name)
{
    json_t *value = json_object_get(document, name);

    return json_is_null(value) ? NULL : value;
}

static void
check_parts(loyalty_reader_t *reader, json_t *document)
{
    static const char *const parts[] = {
        "version", "settings", "statuses", "designs",
        "offers", "rules", "templates", "categories",
    };
    const char *key;
    json_t *value;
    size_t i;

    json_object_foreach(document, key, value) {
        for (i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
            if (strcmp(key, parts[i]) == 0) {
                break;
            }
        }
        if (i == sizeof(parts) / sizeof(parts[0])) {
            loyalty_report(reader, key, "is no part of a program: remove it");
        }
    }

    if (part(document, "settings") == NULL) {
        loyalty_problem(reader->problems, "/settings", "is missing: a program "
                        "needs it, with at least \"id\" and \"currency\"");
    }
}

static void
read_document(loyalty_reader_t *reader, json_t *document)
{
    loyalty_program_t *program = reader->program;
    struct loyalty_program_private_s *own = program->private_data;
    json_t *statuses = part(document, "statuses"), *defaults = NULL;
    size_t mark;

    check_parts(reader, document);
    read_version(reader, part(document, "version"));

    mark = loyalty_enter(reader, "settings");
    loyalty_read_object(reader, part(document, "settings"),
                        &loyalty_settings_shape, &program->settings);
    loyalty_leave(reader, mark);

    if (statuses == NULL
        && program->settings.criterion == LOYALTY_CRITERION_SPEND) {
        defaults = loyalty_default_statuses(program->settings.exponent);
        own->default_statuses = defaults;
        statuses = defaults;
        reader->out_of_memory |= defaults == NULL;
    }

    read_tiers(reader, statuses);
    read_designs(reader, part(document, "designs"));
    read_templates(reader, part(document, "templates"));
    own->categories = loyalty_read_objects(
        reader, part(document, "categories"), "categories",
        LOYALTY_PROGRAM_CATEGORIES_MAX, &loyalty_category_shape,
        &own->ncategories);
}

static bool
too_deep(json_t *value, int depth)
{
    const char *key;
    json_t *item;
    size_t i;

    if (!json_is_object(value) && !json_is_array(value)) {
        return false;
    }

    if (depth == 0) {
        return true;
    }

    json_object_foreach(value, key, item) {
        if (too_deep(item, depth - 1)) {
            return true;
        }
    }

    json_array_foreach(value, i, item) {
        if (too_deep(item, depth - 1)) {
            return true;
        }
    }

    return false;
}

static loyalty_program_t *
new_program(json_t *document)
{
    loyalty_program_t *program = calloc(1, sizeof(*program));

    if (program == NULL) {
        return NULL;
    }

    program->private_data = calloc(1, sizeof(*program->private_data));
    if (program->private_data == NULL) {
        free(program);
        return NULL;
    }

    loyalty_arena_init(&program->private_data->arena, 0);
    program->json = json_incref(document);
    return program;
}

loyalty_status_t
loyalty_program_from_json(json_t *document, loyalty_problems_t *problems,
                          loyalty_program_t **program)
{
    size_t problems_before = problems->count;
    loyalty_reader_t reader;
    loyalty_program_t *made;

    if (!json_is_object(document)) {
        loyalty_problem(problems, "", "must be a JSON object: a program");
        return LOYALTY_ERROR_INVALID;
    }

    if (too_deep(document, LOYALTY_JSON_DEPTH_MAX)) {
        loyalty_problem(problems, "", "is nested more than %d deep",
                        LOYALTY_JSON_DEPTH_MAX);
        return LOYALTY_ERROR_LIMIT;
    }

    made = new_program(document);
    if (made == NULL) {
        return LOYALTY_ERROR_MEMORY;
    }

    reader = (loyalty_reader_t){
        .arena = &made->private_data->arena, .problems = problems,
        .program = made, .locale = loyalty_str("en"),
    };
    read_document(&reader, document);

    if (reader.out_of_memory || problems->count != problems_before) {
        loyalty_program_free(made);
        return reader.out_of_memory ? LOYALTY_ERROR_MEMORY
                                    : LOYALTY_ERROR_INVALID;
    }

    *program = made;
    return LOYALTY_OK;
}

loyalty_status_t
loyalty_program_parse(const char *bytes, size_t len,
                      loyalty_problems_t *problems,
                      loyalty_program_t **program)
{
    json_error_t error;
    json_t *document;
    loyalty_status_t rc;

    if (len > LOYALTY_PROGRAM_SIZE_MAX) {
        loyalty_problem(problems, "", "has %zu bytes, at most %d", len,
                        LOYALTY_PROGRAM_SIZE_MAX);
        return LOYALTY_ERROR_LIMIT;
    }

    document = json_loadb(bytes, len, JSON_REJECT_DUPLICATES, &error);
    if (document == NULL) {
        loyalty_problem(problems, "", "is no JSON: line %d, column %d: %s",
                        error.line, error.column, error.text);
        return LOYALTY_ERROR_INVALID;
    }

    rc = loyalty_program_from_json(document, problems, program);
    json_decref(document);
    return rc;
}
