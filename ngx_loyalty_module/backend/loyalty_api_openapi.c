/*
 * GET openapi.json: the document of the API, OpenAPI 3.1.
 *
 *   routes of loyalty_api.c   paths, methods, parameters, bodies, who may
 *   openapi.json              a sentence and the schemas, by route
 *   program.schema.json       the parts of a program
 *
 * What is called and who may call it comes from the table that serves the
 * calls, so it cannot say anything else.
 */

#include "loyalty_api_route.h"
#include "ngx_loyalty_embed.h"

#include <ctype.h>
#include <stdio.h>

ngx_loyalty_embed_file(loyalty_openapi_details,
                       LOYALTY_SOURCES "/backend/openapi.json");
ngx_loyalty_embed_file(loyalty_openapi_program,
                       LOYALTY_SOURCES "/core/program.schema.json");

#define SCHEMAS "#/components/schemas/"

static const char *
method_of(const loyalty_api_route_t *route)
{
    return route->method == LOYALTY_METHOD_GET     ? "get"
           : route->method == LOYALTY_METHOD_POST  ? "post"
           : route->method == LOYALTY_METHOD_PUT   ? "put"
           : route->method == LOYALTY_METHOD_PATCH ? "patch"
                                                   : "delete";
}

/* "sites/{site}/members/{id}" of a route's path; the names it has into
 * `parameters`. */
static void
template_of(const char *path, char *text, size_t size, json_t *parameters)
{
    static const char *const names[] = {"site", "id", "entry"};
    bool of_site = strncmp(path, "sites/", 6) == 0;
    size_t n = of_site ? 0 : 1, len = 0;
    const char *name;

    for (; *path != '\0' && len + 16 < size; path++) {
        if (*path != '*') {
            text[len++] = *path;
            continue;
        }

        name = names[n < 2 ? n : 2];
        n++;
        len += (size_t)snprintf(text + len, size - len, "{%s}", name);
        json_array_append_new(
            parameters, json_pack("{s:s,s:s,s:b,s:{s:s}}", "name", name, "in",
                                  "path", "required", 1, "schema", "type",
                                  "string"));
    }

    text[len] = '\0';
}

static json_t *
content_of(const char *type, const char *schema)
{
    if (schema == NULL || strcmp(type, "application/json") != 0) {
        return json_pack("{s:{}}", type);
    }

    return json_pack("{s:{s:{s:o}}}", type, "schema", "$ref",
                     json_sprintf(SCHEMAS "%s", schema));
}

static const char *
answer_type(const char *schema)
{
    return strcmp(schema, "lines") == 0   ? "application/x-ndjson"
           : strcmp(schema, "bytes") == 0 ? "image/*"
           : strcmp(schema, "text") == 0  ? "text/plain"
           : strcmp(schema, "csv") == 0   ? "text/csv"
                                          : "application/json";
}

static void
add_error(json_t *responses, const char *status, const char *what)
{
    json_object_set_new(responses, status,
                        json_pack("{s:s,s:o}", "description", what, "content",
                                  content_of("application/json", "Error")));
}

/* What is wrong, by how the route is guarded and what it takes. */
static void
add_errors(json_t *responses, const loyalty_api_route_t *route)
{
    if (route->scope != LOYALTY_SCOPE_PUBLIC) {
        add_error(responses, "401", "nobody is signed in");
        add_error(responses, "403", "not allowed to this caller");
    }
    if (strchr(route->path, '*') != NULL) {
        add_error(responses, "404", "there is no such resource");
    }
    if (route->body != LOYALTY_BODY_NONE) {
        add_error(responses, "400", "the body cannot be read");
        add_error(responses, "413", "the body is too large");
        add_error(responses, "415", "the body is of another type");
        add_error(responses, "422", "the body is not valid");
    }
    add_error(responses, "429", "too many requests");
    add_error(responses, "503", "Redis cannot be reached, or is busy");
    add_error(responses, "default", "what is wrong");
}

static json_t *
responses_of(const loyalty_api_route_t *route, const json_t *details)
{
    json_t *responses = json_object(), *schema, *response;
    const char *status, *name;

    json_object_foreach(json_object_get(details, "answers"), status, schema) {
        name = json_string_value(schema);
        response = json_pack("{s:s}", "description",
                             name != NULL ? name : "no content");
        if (name != NULL) {
            json_object_set_new(response, "content",
                                content_of(answer_type(name), name));
        }
        json_object_set_new(responses, status, response);
    }

    add_errors(responses, route);

    return responses;
}

static json_t *
body_of(const loyalty_api_route_t *route, const json_t *details)
{
    static const char *const types[] = {
        [LOYALTY_BODY_JSON] = "application/json",
        [LOYALTY_BODY_NDJSON] = "application/x-ndjson",
        [LOYALTY_BODY_ANY] = "*/*",
        [LOYALTY_BODY_IMAGE] = "image/*",
    };
    const char *takes = json_string_value(json_object_get(details, "takes"));

    return json_pack("{s:b,s:o}", "required", 1, "content",
                     content_of(types[route->body],
                                takes));
}

/* Who may: what an account needs and what a token. */
static void
add_permission(json_t *operation, const loyalty_api_route_t *route)
{
    static const struct {
        const char *role, *scope;
    } needed[] = {
        [LOYALTY_SCOPE_READ] = {"viewer", "read"},
        [LOYALTY_SCOPE_WRITE] = {"editor", "write"},
        [LOYALTY_SCOPE_ORDERS] = {"editor", "write"},
        [LOYALTY_SCOPE_OWN] = {"owner", "write"},
        [LOYALTY_SCOPE_ADMIN] = {"owner", "admin"},
        [LOYALTY_SCOPE_INSTALLATION] = {"owner of *", "admin"},
        [LOYALTY_SCOPE_ANY] = {"any", "any"},
        [LOYALTY_SCOPE_SELF] = {"any", NULL},
        [LOYALTY_SCOPE_PUBLIC] = {NULL, NULL},
    };

    if (needed[route->scope].role == NULL) {
        json_object_set_new(operation, "security", json_array());
        return;
    }

    json_object_set_new(operation, "x-role",
                        json_string(needed[route->scope].role));

    if (needed[route->scope].scope != NULL) {
        json_object_set_new(operation, "x-scope",
                            json_string(needed[route->scope].scope));
    }
}

static void
add_query(json_t *parameters, const json_t *details)
{
    json_t *name;
    size_t i;

    json_array_foreach(json_object_get(details, "query"), i, name) {
        json_array_append_new(parameters,
                              json_pack("{s:O,s:s,s:{s:s}}", "name", name,
                                        "in", "query", "schema", "type",
                                        "string"));
    }
}

static json_t *
operation_of(const loyalty_api_route_t *route, const char *path,
             const json_t *details, json_t *parameters)
{
    json_t *summary = json_object_get(details, "summary"), *operation;
    char id[160];
    size_t i, len = 0;

    for (i = 0; path[i] != '\0' && len + 1 < sizeof(id); i++) {
        if (isalnum((unsigned char)path[i])) {
            id[len++] = path[i];
        } else if (len != 0 && id[len - 1] != '_') {
            id[len++] = '_';
        }
    }
    id[len - (len != 0 && id[len - 1] == '_')] = '\0';

    operation = json_pack(
        "{s:o,s:o,s:o,s:o}", "operationId",
        json_sprintf("%s_%s", method_of(route), id), "summary",
        summary != NULL ? json_incref(summary) : json_string(path),
        "parameters", json_incref(parameters), "responses",
        responses_of(route, details));
    add_permission(operation, route);

    if (route->body != LOYALTY_BODY_NONE) {
        json_object_set_new(operation, "requestBody",
                            body_of(route, details));
    }

    return operation;
}

static json_t *
paths_of(const json_t *operations)
{
    const loyalty_api_route_t *route;
    json_t *paths = json_object(), *item, *parameters, *details;
    char key[160], path[200] = "/v1/";
    size_t i, k, n;

    route = loyalty_api_routes(&n);

    for (i = 0; i < n; i++, route++) {
        parameters = json_array();
        template_of(route->path, path + 4, sizeof(path) - 4, parameters);
        snprintf(key, sizeof(key), "%s %s", method_of(route), route->path);
        for (k = 0; key[k] != ' '; k++) {
            key[k] = (char)toupper((unsigned char)key[k]);
        }
        details = json_object_get(operations, key);
        add_query(parameters, details);

        item = json_object_get(paths, path);
        if (item == NULL) {
            item = json_object();
            json_object_set_new(paths, path, item);
        }
        json_object_set_new(item, method_of(route),
                            operation_of(route, path + 4, details,
                                         parameters));
        json_decref(parameters);
    }

    return paths;
}

/* "#/$defs/url" of the program's schema becomes one of ours. */
static void
move_references(json_t *value)
{
    const char *key, *text;
    json_t *item;
    size_t i;

    json_array_foreach(value, i, item) {
        move_references(item);
    }

    text = json_string_value(json_object_get(value, "$ref"));
    if (text != NULL && strncmp(text, "#/$defs/", 8) == 0) {
        json_object_set_new(value, "$ref",
                            json_sprintf(SCHEMAS "%s", text + 8));
    }

    json_object_foreach(value, key, item) {
        move_references(item);
    }
}

json_t *
loyalty_api_details(void)
{
    return json_loadb(loyalty_openapi_details,
                      ngx_loyalty_embed_len(loyalty_openapi_details), 0, NULL);
}

loyalty_store_result_t
loyalty_api_openapi(loyalty_api_call_t *call)
{
    json_t *details = loyalty_api_details(), *program, *schemas, *defs;
    json_t *document;

    program = json_loadb(loyalty_openapi_program,
                         ngx_loyalty_embed_len(loyalty_openapi_program), 0,
                         NULL);
    schemas = json_object_get(details, "schemas");
    defs = json_object_get(program, "$defs");
    move_references(defs);
    json_object_update(schemas, defs);

    document = json_pack(
        "{s:s,s:{s:s,s:s},s:o,s:{s:O,s:{s:{s:s,s:s},s:{s:s,s:s,s:s}}},"
        "s:[{s:[]},{s:[]}]}",
        "openapi", "3.1.0", "info", "title", "Loyalty at the edge", "version",
        "1", "paths", paths_of(json_object_get(details, "operations")),
        "components", "schemas", schemas, "securitySchemes", "token", "type",
        "http", "scheme", "bearer", "session", "type", "apiKey", "in",
        "cookie", "name", "loyalty_session", "security", "token", "session");
    json_decref(details);
    json_decref(program);
    loyalty_api_json(call, 200, document);

    return LOYALTY_STORE_OK;
}
