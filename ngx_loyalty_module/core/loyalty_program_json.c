/*
 * A program as JSON: the document with its defaults written out, and the
 * document of a new site.
 */

#include "loyalty_program_private.h"

#include "loyalty_money.h"

#include <stdio.h>

/* The parts of a document that are lists, and the shape of their objects. */
static const struct {
    const char *name;
    const loyalty_shape_t *shape;
} lists[] = {
    {"statuses", &loyalty_tier_shape},
    {"designs", &loyalty_design_shape},
    {"templates", &loyalty_message_template_shape},
    {"categories", &loyalty_category_shape},
    {"offers", &loyalty_offer_shape},
    {"rules", &loyalty_rule_shape},
};

/* object[name], with `absent` (stolen) put there if there is nothing. */
static json_t *
member(json_t *object, const char *name, json_t *absent)
{
    json_t *value = json_object_get(object, name);

    if (value != NULL && !json_is_null(value)) {
        json_decref(absent);
        return value;
    }

    return absent != NULL && json_object_set_new(object, name, absent) == 0
               ? absent : NULL;
}

static loyalty_status_t
fill_list(json_t *list, const loyalty_shape_t *shape)
{
    json_t *object;
    size_t i;

    json_array_foreach(list, i, object) {
        if (loyalty_fill_object(object, shape) != LOYALTY_OK) {
            return LOYALTY_ERROR_MEMORY;
        }
    }

    return LOYALTY_OK;
}

static loyalty_status_t
fill_document(const loyalty_program_t *program, json_t *document)
{
    json_t *defaults = program->private_data->default_statuses;
    json_t *list;
    size_t i;

    if (member(document, "version", json_integer(program->version)) == NULL
        || loyalty_fill_object(json_object_get(document, "settings"),
                               &loyalty_settings_shape) != LOYALTY_OK
        || (defaults != NULL
            && member(document, "statuses", json_deep_copy(defaults))
               == NULL)) {
        return LOYALTY_ERROR_MEMORY;
    }

    for (i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
        list = member(document, lists[i].name, json_array());
        if (list == NULL || fill_list(list, lists[i].shape) != LOYALTY_OK) {
            return LOYALTY_ERROR_MEMORY;
        }
    }

    return LOYALTY_OK;
}

json_t *
loyalty_program_to_json(const loyalty_program_t *program)
{
    json_t *document = json_deep_copy(program->json);

    if (document != NULL && fill_document(program, document) != LOYALTY_OK) {
        json_decref(document);
        return NULL;
    }

    return document;
}

json_t *
loyalty_program_part(const loyalty_program_t *program, const char *name,
                     size_t index)
{
    json_t *value = json_object_get(program->json, name), *copy;
    const loyalty_shape_t *shape = &loyalty_settings_shape;
    loyalty_status_t rc;
    size_t i;

    for (i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
        if (strcmp(lists[i].name, name) == 0) {
            shape = lists[i].shape;
            break;
        }
    }

    if ((value == NULL || json_is_null(value))
        && shape == &loyalty_tier_shape) {
        value = program->private_data->default_statuses;
    }

    if (index != LOYALTY_PROGRAM_ALL) {
        value = json_array_get(value, index);
    }

    copy = value != NULL && !json_is_null(value) ? json_deep_copy(value)
                                                 : json_array();
    rc = json_is_array(copy) ? fill_list(copy, shape)
                             : loyalty_fill_object(copy, shape);
    if (copy != NULL && rc != LOYALTY_OK) {
        json_decref(copy);
        return NULL;
    }

    return copy;
}

/* The colours have a contrast of at least 4.5 to white (WCAG 2.2, 1.4.3). */
static const struct {
    const char *id, *en, *fr, *color;
    json_int_t major;
} default_tiers[] = {
    {"bronze", "Bronze", "Bronze", "#8c5a2b", 1000},
    {"silver", "Silver", "Argent", "#5f6b7a", 5000},
    {"gold", "Gold", "Or", "#8a6a00", 10000},
};

json_t *
loyalty_default_statuses(int exponent)
{
    json_t *statuses = json_array(), *status;
    json_int_t unit = 1;
    size_t i;

    while (exponent-- > 0) {
        unit *= 10;
    }

    for (i = 0; i < sizeof(default_tiers) / sizeof(default_tiers[0]); i++) {
        status = json_pack("{s:s, s:{s:s, s:s}, s:I, s:s}",
                           "id", default_tiers[i].id,
                           "name", "en", default_tiers[i].en,
                           "fr", default_tiers[i].fr,
                           "threshold", default_tiers[i].major * unit,
                           "color", default_tiers[i].color);
        if (json_array_append_new(statuses, status) != 0) {
            json_decref(statuses);
            return NULL;
        }
    }

    return statuses;
}

json_t *
loyalty_program_default(loyalty_str_t site, loyalty_str_t currency)
{
    int exponent = loyalty_currency_exponent(currency);
    json_t *statuses;

    if (exponent < 0) {
        return NULL;
    }

    statuses = loyalty_default_statuses(exponent);
    if (statuses == NULL) {
        return NULL;
    }

    return json_pack("{s:i, s:{s:s%, s:s%, s:s%, s:[s, s]}, s:o}",
                     "version", 1, "settings",
                     "id", site.data, site.len,
                     "name", site.data, site.len,
                     "currency", currency.data, currency.len,
                     "locales", "en", "fr",
                     "statuses", statuses);
}
