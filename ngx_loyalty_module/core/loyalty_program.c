/*
 * A compiled program: looking things up in it, and letting it go.
 */

#include "loyalty_program_private.h"

#include <stdlib.h>

const loyalty_name_t loyalty_segment_names[] = {
    {"vip", LOYALTY_SEGMENT_VIP},
    {"at_risk", LOYALTY_SEGMENT_AT_RISK},
    {"new", LOYALTY_SEGMENT_NEW},
    {"recurring", LOYALTY_SEGMENT_RECURRING},
    {NULL, 0},
};

const loyalty_name_t loyalty_criterion_names[] = {
    {"spend", LOYALTY_CRITERION_SPEND},
    {"orders", LOYALTY_CRITERION_ORDERS},
    {"life_points", LOYALTY_CRITERION_LIFE_POINTS},
    {"segment", LOYALTY_CRITERION_SEGMENT},
    {NULL, 0},
};

const loyalty_name_t loyalty_channel_names[] = {
    {"email", LOYALTY_CHANNEL_EMAIL},
    {"sms", LOYALTY_CHANNEL_SMS},
    {"messenger", LOYALTY_CHANNEL_MESSENGER},
    {"line", LOYALTY_CHANNEL_LINE},
    {NULL, 0},
};

const char *
loyalty_segment_name(loyalty_segment_t segment)
{
    const char *name = loyalty_name_of(loyalty_segment_names, (int)segment);

    return name == NULL ? "" : name;
}

const char *
loyalty_criterion_name(loyalty_criterion_t criterion)
{
    const char *name = loyalty_name_of(loyalty_criterion_names,
                                       (int)criterion);

    return name == NULL ? "" : name;
}

/* RFC 5646: tags are compared without case; "fr-CA" is of language "fr". */
static bool
same_tag(loyalty_str_t a, loyalty_str_t b)
{
    size_t i;

    for (i = 0; i < a.len && i < b.len; i++) {
        if ((a.data[i] | 0x20) != (b.data[i] | 0x20)) {
            return false;
        }
    }

    return a.len == b.len;
}

static loyalty_str_t
language_of(loyalty_str_t locale)
{
    const char *dash = locale.len == 0 ? NULL
                                       : memchr(locale.data, '-', locale.len);

    if (dash != NULL) {
        locale.len = (size_t)(dash - locale.data);
    }

    return locale;
}

loyalty_str_t
loyalty_text(const loyalty_texts_t *texts, loyalty_str_t locale)
{
    loyalty_str_t language = language_of(locale);
    size_t i;

    for (i = 0; i < texts->n; i++) {
        if (same_tag(texts->texts[i].locale, locale)) {
            return texts->texts[i].text;
        }
    }

    for (i = 0; i < texts->n; i++) {
        if (same_tag(language_of(texts->texts[i].locale), language)) {
            return texts->texts[i].text;
        }
    }

    return texts->n == 0 ? loyalty_str("") : texts->texts[0].text;
}

const loyalty_tier_t *
loyalty_program_tier(const loyalty_program_t *program, loyalty_str_t id)
{
    size_t i;

    for (i = 0; i < program->ntiers; i++) {
        if (loyalty_str_eq(program->tiers[i].id, id)) {
            return &program->tiers[i];
        }
    }

    return NULL;
}

const loyalty_design_t *
loyalty_program_design(const loyalty_program_t *program, loyalty_str_t id)
{
    size_t i;

    for (i = 0; i < program->ndesigns; i++) {
        if (loyalty_str_eq(program->designs[i].id, id)) {
            return &program->designs[i];
        }
    }

    return NULL;
}

const loyalty_message_template_t *
loyalty_program_template(const loyalty_program_t *program, loyalty_str_t id)
{
    uint32_t i = loyalty_map_get(&program->private_data->templates_by_id, id);

    return i == LOYALTY_MAP_NONE ? NULL : &program->templates[i];
}

const loyalty_offer_t *
loyalty_program_offer(const loyalty_program_t *program, loyalty_str_t id)
{
    uint32_t i = loyalty_map_get(&program->private_data->offers_by_id, id);

    return i == LOYALTY_MAP_NONE ? NULL : program->offers[i];
}

loyalty_str_t
loyalty_program_category(const loyalty_program_t *program, loyalty_str_t sku,
                         loyalty_str_t category)
{
    const struct loyalty_program_private_s *own = program->private_data;
    size_t i;

    if (category.len != 0) {
        return category;
    }

    for (i = 0; i < own->ncategories; i++) {
        if (loyalty_pattern_match(own->categories[i].compiled, sku)) {
            return own->categories[i].category;
        }
    }

    return loyalty_str("");
}

void
loyalty_program_free(loyalty_program_t *program)
{
    struct loyalty_program_private_s *own;
    size_t i;

    if (program == NULL) {
        return;
    }

    own = program->private_data;
    for (i = 0; i < own->npatterns; i++) {
        loyalty_pattern_free(own->patterns[i]);
    }

    free(own->patterns);
    loyalty_arena_free(&own->arena);
    json_decref(own->default_statuses);
    json_decref(program->json);
    free(own);
    free(program);
}
