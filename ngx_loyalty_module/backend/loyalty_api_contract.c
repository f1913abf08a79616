/*
 * What a call may say: only what the document of the API names.
 *
 *   operations["GET sites/... "].query     the parameters
 *   schemas[operations[...].takes]         the body's fields, where the schema
 *                                          has additionalProperties: false
 *
 * A name that is not known is a mistake to be told of: messages/retry?form=
 * would send everything again, "expire_at" give points that never expire.
 * What is open to anybody takes any query: caches and pages add their own.
 */

#include "loyalty_api_route.h"

#include <stdio.h>

/* "limit, cursor" */
static void
list_names(const json_t *names, char *text, size_t size)
{
    json_t *value;
    size_t i, len = 0;

    text[0] = '\0';

    json_array_foreach(names, i, value) {
        if (len < size) {
            len += (size_t)snprintf(text + len, size - len, "%s%s",
                                    len == 0 ? "" : ", ",
                                    json_string_value(value));
        }
    }
}

static bool
has_name(const json_t *names, loyalty_str_t name)
{
    json_t *value;
    size_t i;

    json_array_foreach(names, i, value) {
        if (loyalty_str_eq(name, loyalty_str_from(json_string_value(value)))) {
            return true;
        }
    }

    return false;
}

static bool
check_query(loyalty_api_call_t *call, const json_t *known)
{
    char names[160];
    size_t i;

    for (i = 0; i < call->nquery; i++) {
        if (!has_name(known, call->query[i].name)) {
            list_names(known, names, sizeof(names));
            loyalty_api_error(call, 422, "unknown_parameter",
                              "%.*s is no parameter here: %s%s",
                              (int)(call->query[i].name.len < 64
                                        ? call->query[i].name.len : 64),
                              call->query[i].name.data,
                              names[0] != '\0' ? "there are "
                                               : "there are none",
                              names);
            return false;
        }
    }

    return true;
}

static bool
check_body(loyalty_api_call_t *call, const json_t *schema)
{
    const json_t *fields = json_object_get(schema, "properties");
    char pointer[160];
    loyalty_problems_t problems;
    const char *key;
    json_t *value;

    if (!json_is_false(json_object_get(schema, "additionalProperties"))) {
        return true;
    }

    loyalty_problems_init(&problems, call->arena);

    json_object_foreach(call->body, key, value) {
        if (json_object_get(fields, key) == NULL) {
            snprintf(pointer, sizeof(pointer), "/%s",
                     strlen(key) < sizeof(pointer) - 1 ? key : "...");
            loyalty_problem(&problems, pointer,
                            "is no field here: remove it");
        }
    }

    if (problems.count != 0) {
        loyalty_api_problems(call, 422, "invalid", "the request is not valid",
                             problems.list, problems.count, "");
    }

    return problems.count == 0;
}

bool
loyalty_api_keeps_contract(loyalty_api_call_t *call,
                           const loyalty_api_route_t *route)
{
    static const char *const methods[] = {"GET", "POST", "PUT", "PATCH",
                                          "DELETE"};
    const json_t *contract = call->session->details, *details, *schema;
    char key[160];
    size_t i = 0;

    if (route->scope == LOYALTY_SCOPE_PUBLIC
        || (call->nquery == 0 && call->body == NULL)) {
        return true;
    }

    while ((route->method & 1u << i) == 0) {
        i++;
    }
    snprintf(key, sizeof(key), "%s %s", methods[i], route->path);
    details = json_object_get(json_object_get(contract, "operations"), key);
    schema = json_object_get(
        json_object_get(contract, "schemas"),
        json_string_value(json_object_get(details, "takes")));

    return check_query(call, json_object_get(details, "query"))
           && check_body(call, schema);
}
