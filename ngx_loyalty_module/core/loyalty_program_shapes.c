/*
 * The shapes of a program's settings, statuses, designs, templates and
 * category patterns: what each field may hold, and what fields of one object
 * say of each other.
 */

#include "loyalty_program_private.h"

#include "loyalty_mime.h"
#include "loyalty_money.h"

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
     .offset = offsetof(loyalty_window_t, kind), .names = window_kind_names,
     .absent = LOYALTY_WINDOW_LIFETIME},
    {.name = "days", .kind = LOYALTY_FIELD_INT32,
     .offset = offsetof(loyalty_window_t, days),
     .min = 1, .max = LOYALTY_DAYS_MAX},
    {.name = "grace_days", .kind = LOYALTY_FIELD_INT32,
     .offset = offsetof(loyalty_window_t, grace_days), .max = LOYALTY_DAYS_MAX},
    {.name = "never_drop", .kind = LOYALTY_FIELD_BOOL,
     .offset = offsetof(loyalty_window_t, never_drop)},
};

static const loyalty_shape_t window_shape = LOYALTY_SHAPE(
    "a window", window_fields, loyalty_window_t, finish_window);

static const loyalty_field_t segment_fields[] = {
    {.name = "new", .kind = LOYALTY_FIELD_INT32,
     .offset = offsetof(loyalty_segment_thresholds_t, new_days),
     .max = LOYALTY_DAYS_MAX, .absent = 30},
    {.name = "recurring", .kind = LOYALTY_FIELD_INT32,
     .offset = offsetof(loyalty_segment_thresholds_t, recurring_days),
     .max = LOYALTY_DAYS_MAX, .absent = 180},
    {.name = "at_risk", .kind = LOYALTY_FIELD_INT32,
     .offset = offsetof(loyalty_segment_thresholds_t, at_risk_days),
     .max = LOYALTY_DAYS_MAX, .absent = 90},
    {.name = "vip", .kind = LOYALTY_FIELD_INT64,
     .offset = offsetof(loyalty_segment_thresholds_t, vip_points),
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

static void
finish_settings(loyalty_reader_t *reader, json_t *object, void *target)
{
    loyalty_settings_t *settings = target;
    int exponent;

    (void)reader;

    exponent = loyalty_currency_exponent(settings->currency);
    settings->exponent = exponent < 0 ? 0 : exponent;

    if (!loyalty_has(object, "name")) {
        settings->name = settings->id;
    }
}

/* Links of messages begin with it. */
static const char *
check_track_url(loyalty_str_t text)
{
    return loyalty_check_url(text) == NULL && text.data[0] != '/'
                   && memchr(text.data, '?', text.len) == NULL
                   && memchr(text.data, '#', text.len) == NULL
                   && text.data[text.len - 1] != '/'
                   && text.len <= LOYALTY_TRACK_URL_MAX
               ? NULL
               : "must begin with \"https://\" and end without '/', at most "
                 "256 characters";
}

static const char *
check_email(loyalty_str_t text)
{
    return loyalty_mime_is_address(text)
               ? NULL
               : "must be an address such as \"shop@example.com\"";
}

static const loyalty_field_t message_fields[] = {
    {.name = "track_url", .kind = LOYALTY_FIELD_STRING,
     .check = check_track_url,
     .offset = offsetof(loyalty_message_settings_t, track_url)},
    {.name = "test_to", .kind = LOYALTY_FIELD_STRING, .check = check_email,
     .offset = offsetof(loyalty_message_settings_t, test_to)},
    {.name = "cap", .kind = LOYALTY_FIELD_INT32,
     .offset = offsetof(loyalty_message_settings_t, cap),
     .max = LOYALTY_MESSAGE_CAP_MAX},
    {.name = "cap_days", .kind = LOYALTY_FIELD_INT32,
     .offset = offsetof(loyalty_message_settings_t, cap_days),
     .min = 1, .max = LOYALTY_MESSAGE_CAP_DAYS_MAX, .absent = 7},
};

static const loyalty_shape_t messages_shape = LOYALTY_SHAPE(
    "the settings of messages", message_fields, loyalty_message_settings_t,
    NULL);

/* "locales" comes first: the first of them is the language of plain texts. */
static const loyalty_field_t settings_fields[] = {
    {.name = "locales", .kind = LOYALTY_FIELD_OTHER,
     .offset = offsetof(loyalty_settings_t, locales), .read = read_locales,
     .absent_text = "[\"en\"]"},
    {.name = "id", .kind = LOYALTY_FIELD_STRING, .required = true,
     .check = loyalty_check_site_id,
     .offset = offsetof(loyalty_settings_t, id)},
    {.name = "name", .kind = LOYALTY_FIELD_STRING,
     .offset = offsetof(loyalty_settings_t, name), .max = LOYALTY_NAME_MAX},
    {.name = "currency", .kind = LOYALTY_FIELD_STRING, .required = true,
     .offset = offsetof(loyalty_settings_t, currency),
     .check = loyalty_check_currency},
    {.name = "time_zone", .kind = LOYALTY_FIELD_STRING,
     .offset = offsetof(loyalty_settings_t, time_zone),
     .check = loyalty_check_time_zone, .absent_text = "UTC"},
    {.name = "active", .kind = LOYALTY_FIELD_BOOL,
     .offset = offsetof(loyalty_settings_t, active)},
    {.name = "earn_rate", .kind = LOYALTY_FIELD_DECIMAL,
     .offset = offsetof(loyalty_settings_t, earn_rate), .scale = 4,
     .max = LOYALTY_EARN_RATE_MAX * 10000, .absent = 10000},
    {.name = "points_expire_days", .kind = LOYALTY_FIELD_INT32,
     .offset = offsetof(loyalty_settings_t, points_expire_days),
     .max = LOYALTY_DAYS_MAX},
    {.name = "points_pending_days", .kind = LOYALTY_FIELD_INT32,
     .offset = offsetof(loyalty_settings_t, points_pending_days),
     .max = LOYALTY_DAYS_MAX},
    {.name = "return_policy", .kind = LOYALTY_FIELD_NAME,
     .offset = offsetof(loyalty_settings_t, return_policy),
     .names = return_policy_names, .absent = LOYALTY_RETURN_WITHIN_BALANCE},
    {.name = "criterion", .kind = LOYALTY_FIELD_NAME,
     .offset = offsetof(loyalty_settings_t, criterion),
     .names = loyalty_criterion_names, .absent = LOYALTY_CRITERION_SPEND},
    {.name = "window", .kind = LOYALTY_FIELD_OBJECT,
     .offset = offsetof(loyalty_settings_t, window), .shape = &window_shape},
    {.name = "segments", .kind = LOYALTY_FIELD_OBJECT,
     .offset = offsetof(loyalty_settings_t, segments),
     .shape = &segments_shape},
    {.name = "attribution_days", .kind = LOYALTY_FIELD_INT32,
     .offset = offsetof(loyalty_settings_t, attribution_days),
     .max = LOYALTY_DAYS_MAX, .absent = 5},
    {.name = "messages", .kind = LOYALTY_FIELD_OBJECT,
     .offset = offsetof(loyalty_settings_t, messages),
     .shape = &messages_shape},
    {.name = "design", .kind = LOYALTY_FIELD_STRING,
     .check = loyalty_check_id,
     .offset = offsetof(loyalty_settings_t, design)},
    {.name = "sign_in_url", .kind = LOYALTY_FIELD_STRING,
     .check = loyalty_check_url,
     .offset = offsetof(loyalty_settings_t, sign_in_url)},
    {.name = "tier_page_title", .kind = LOYALTY_FIELD_TEXTS,
     .offset = offsetof(loyalty_settings_t, tier_page_title),
     .min = 1, .max = LOYALTY_NAME_MAX},
    {.name = "webhooks", .kind = LOYALTY_FIELD_OTHER,
     .offset = offsetof(loyalty_settings_t, webhooks),
     .read = loyalty_read_webhooks, .absent_text = "[]"},
};

const loyalty_shape_t loyalty_settings_shape = LOYALTY_SHAPE(
    "the settings", settings_fields, loyalty_settings_t, finish_settings);

void
loyalty_name_by_id(loyalty_reader_t *reader, loyalty_texts_t *name,
                   loyalty_str_t id)
{
    name->texts = loyalty_reader_alloc(reader, sizeof(name->texts[0]));

    if (name->texts != NULL) {
        name->texts[0] = (loyalty_text_t){reader->locale, id};
        name->n = 1;
    }
}

static void
finish_tier(loyalty_reader_t *reader, json_t *object, void *target)
{
    loyalty_tier_t *tier = target;
    bool by_segment = reader->program->settings.criterion
                      == LOYALTY_CRITERION_SEGMENT;
    const char *needed = by_segment ? "segment" : "threshold";
    const char *other = by_segment ? "threshold" : "segment";

    if (!loyalty_has(object, needed)) {
        loyalty_report(reader, needed, "is missing: the criterion of the "
                       "settings asks for it");
    }

    if (loyalty_has(object, other)) {
        loyalty_report(reader, other, "does not go with the criterion of the "
                       "settings: remove it, or change the criterion");
    }

    if (!loyalty_has(object, "name")) {
        loyalty_name_by_id(reader, &tier->name, tier->id);
    }
}

static const loyalty_field_t tier_fields[] = {
    {.name = "id", .kind = LOYALTY_FIELD_STRING, .required = true,
     .check = loyalty_check_id,
     .offset = offsetof(loyalty_tier_t, id)},
    {.name = "name", .kind = LOYALTY_FIELD_TEXTS,
     .offset = offsetof(loyalty_tier_t, name),
     .min = 1, .max = LOYALTY_NAME_MAX},
    {.name = "description", .kind = LOYALTY_FIELD_TEXTS, .lines = true,
     .offset = offsetof(loyalty_tier_t, description),
     .max = LOYALTY_DESCRIPTION_MAX},
    /* No default that is in range: what is absent stays absent. */
    {.name = "threshold", .kind = LOYALTY_FIELD_INT64,
     .offset = offsetof(loyalty_tier_t, threshold), .max = LOYALTY_AMOUNT_MAX,
     .absent = -1},
    {.name = "segment", .kind = LOYALTY_FIELD_NAME,
     .offset = offsetof(loyalty_tier_t, segment),
     .names = loyalty_segment_names},
    {.name = "color", .kind = LOYALTY_FIELD_STRING,
     .check = loyalty_check_color,
     .offset = offsetof(loyalty_tier_t, color), .absent_text = "#4b5563"},
    {.name = "image", .kind = LOYALTY_FIELD_STRING,
     .check = loyalty_check_url,
     .offset = offsetof(loyalty_tier_t, image)},
    {.name = "multiplier", .kind = LOYALTY_FIELD_DECIMAL,
     .offset = offsetof(loyalty_tier_t, multiplier), .scale = 2,
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
    static const loyalty_field_t color = {
        .kind = LOYALTY_FIELD_STRING, .check = loyalty_check_color,
    };
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

static const loyalty_field_t font_fields[] = {
    {.name = "body", .kind = LOYALTY_FIELD_STRING,
     .offset = offsetof(fonts_t, body), .max = LOYALTY_NAME_MAX,
     .check = loyalty_check_font},
    {.name = "heading", .kind = LOYALTY_FIELD_STRING,
     .offset = offsetof(fonts_t, heading), .max = LOYALTY_NAME_MAX,
     .check = loyalty_check_font},
};

static const loyalty_shape_t fonts_shape = LOYALTY_SHAPE(
    "the fonts of a design", font_fields, fonts_t, NULL);

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
    {.name = "id", .kind = LOYALTY_FIELD_STRING, .required = true,
     .check = loyalty_check_id,
     .offset = offsetof(loyalty_design_t, id)},
    {.name = "name", .kind = LOYALTY_FIELD_STRING,
     .offset = offsetof(loyalty_design_t, name), .max = LOYALTY_NAME_MAX},
    {.name = "colors", .kind = LOYALTY_FIELD_OTHER, .read = read_colors,
     .absent_text = "{}"},
    {.name = "fonts", .kind = LOYALTY_FIELD_OTHER, .read = read_fonts,
     .absent_text = "{}"},
    {.name = "logo", .kind = LOYALTY_FIELD_STRING,
     .check = loyalty_check_url,
     .offset = offsetof(loyalty_design_t, logo)},
    {.name = "css", .kind = LOYALTY_FIELD_STRING, .lines = true,
     .offset = offsetof(loyalty_design_t, css), .max = LOYALTY_CSS_MAX},
    {.name = "template", .kind = LOYALTY_FIELD_STRING, .lines = true,
     .offset = offsetof(loyalty_design_t, template),
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

    if (!loyalty_has(object, "text")
        && !(email && loyalty_has(object, "html"))) {
        loyalty_report(reader, "text", "is missing: a message says something");
    }

    if (template->channel != 0 && !email
        && (loyalty_has(object, "html") || loyalty_has(object, "subject"))) {
        loyalty_report(reader, loyalty_has(object, "html") ? "html" : "subject",
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
    {.name = "id", .kind = LOYALTY_FIELD_STRING, .required = true,
     .check = loyalty_check_id,
     .offset = offsetof(loyalty_message_template_t, id)},
    {.name = "name", .kind = LOYALTY_FIELD_STRING,
     .offset = offsetof(loyalty_message_template_t, name),
     .max = LOYALTY_NAME_MAX},
    {.name = "channel", .kind = LOYALTY_FIELD_NAME, .required = true,
     .offset = offsetof(loyalty_message_template_t, channel),
     .names = loyalty_channel_names},
    {.name = "subject", .kind = LOYALTY_FIELD_TEXTS,
     .offset = offsetof(loyalty_message_template_t, subject),
     .min = 1, .max = LOYALTY_NAME_MAX},
    {.name = "html", .kind = LOYALTY_FIELD_TEXTS, .lines = true,
     .offset = offsetof(loyalty_message_template_t, html),
     .min = 1, .max = LOYALTY_TEMPLATE_SIZE_MAX},
    {.name = "text", .kind = LOYALTY_FIELD_TEXTS, .lines = true,
     .offset = offsetof(loyalty_message_template_t, text),
     .min = 1, .max = LOYALTY_TEMPLATE_SIZE_MAX},
};

const loyalty_shape_t loyalty_message_template_shape = LOYALTY_SHAPE(
    "a template", message_template_fields, loyalty_message_template_t,
    finish_message_template);

static void
finish_category(loyalty_reader_t *reader, json_t *object, void *target)
{
    loyalty_category_rule_t *rule = target;
    size_t mark;

    (void)object;

    if (rule->pattern.len != 0) {
        mark = loyalty_enter(reader, "pattern");
        rule->compiled = loyalty_read_pattern(reader, rule->pattern);
        loyalty_leave(reader, mark);
    }
}

static const loyalty_field_t category_fields[] = {
    {.name = "pattern", .kind = LOYALTY_FIELD_STRING, .required = true,
     .offset = offsetof(loyalty_category_rule_t, pattern),
     .min = 1, .max = LOYALTY_PATTERN_SIZE_MAX},
    {.name = "category", .kind = LOYALTY_FIELD_STRING, .required = true,
     .offset = offsetof(loyalty_category_rule_t, category),
     .check = loyalty_check_category},
};

const loyalty_shape_t loyalty_category_shape = LOYALTY_SHAPE(
    "a category's pattern", category_fields, loyalty_category_rule_t,
    finish_category);
