/*
 * A condition of a filter is {"field","op","value"}, somewhere in the JSON.
 */

#include "loyalty_personal.h"

#include <string.h>

#define HIDDEN "(personal)"

bool
loyalty_is_personal(const char *name)
{
    static const char *const names[] = {
        "email", "phone", "name", "messenger_id", "line_id", "attributes",
    };
    size_t i;

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(name, names[i]) == 0) {
            return true;
        }
    }

    return strncmp(name, "attributes.", sizeof("attributes.") - 1) == 0;
}

static void
hide(json_t *json)
{
    const char *field = json_string_value(json_object_get(json, "field"));
    const char *key;
    json_t *value;
    size_t i;

    if (field != NULL && loyalty_is_personal(field)
        && json_object_get(json, "value") != NULL) {
        json_object_set_new(json, "value", json_string(HIDDEN));
    }

    json_object_foreach(json, key, value) {
        hide(value);
    }

    json_array_foreach(json, i, value) {
        hide(value);
    }
}

json_t *
loyalty_impersonal(const json_t *json)
{
    json_t *copy = json_deep_copy(json);

    hide(copy);

    return copy;
}
