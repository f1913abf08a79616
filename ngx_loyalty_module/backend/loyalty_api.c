/*
 * From a request to its handler: the path, the routes, the token, the body,
 * the answer kept for an Idempotency-Key.
 */

#include "loyalty_api_call.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <time.h>

#define TRIES 20 /* of an optimistic transaction */
#define TOKEN_MAX 512
#define TOKEN_VALUE_MAX 65536
#define JSON_BODY_MAX (256 * 1024)

typedef enum {
    SCOPE_READ,
    SCOPE_WRITE
} scope_t;

typedef enum {
    BODY_NONE,
    BODY_JSON,
    BODY_NDJSON
} body_t;

typedef struct {
    loyalty_method_t method;
    const char *path; /* behind /v1/; * is any one segment */
    scope_t scope;
    body_t body;
    size_t body_max;
    loyalty_api_handler_pt handler;
} route_t;

#define GET LOYALTY_METHOD_GET
#define POST LOYALTY_METHOD_POST
#define PUT LOYALTY_METHOD_PUT
#define PATCH LOYALTY_METHOD_PATCH
#define DELETE LOYALTY_METHOD_DELETE
#define READ SCOPE_READ, BODY_NONE, 0
#define ACT SCOPE_WRITE, BODY_NONE, 0
#define WRITE SCOPE_WRITE, BODY_JSON, JSON_BODY_MAX
#define PROGRAM SCOPE_WRITE, BODY_JSON, LOYALTY_PROGRAM_SIZE_MAX
#define QUOTE SCOPE_READ, BODY_JSON, LOYALTY_PROGRAM_SIZE_MAX
#define ORDER SCOPE_WRITE, BODY_JSON, LOYALTY_ORDER_SIZE_MAX
#define ORDERS SCOPE_WRITE, BODY_NDJSON, LOYALTY_API_BODY_MAX

static const route_t routes[] = {
    {GET, "sites/*/settings", READ, loyalty_api_get_settings},
    {PUT, "sites/*/settings", PROGRAM, loyalty_api_put_settings},

    {GET, "sites/*/statuses", READ, loyalty_api_list_statuses},
    {POST, "sites/*/statuses", PROGRAM, loyalty_api_create_status},
    {GET, "sites/*/statuses/*", READ, loyalty_api_get_status},
    {PUT, "sites/*/statuses/*", PROGRAM, loyalty_api_put_status},
    {DELETE, "sites/*/statuses/*", ACT, loyalty_api_delete_status},
    {POST, "sites/*/statuses/*/copy", ACT, loyalty_api_copy_status},

    {GET, "sites/*/members", READ, loyalty_api_list_members},
    {POST, "sites/*/members", WRITE, loyalty_api_create_member},
    {GET, "sites/*/members/*", READ, loyalty_api_get_member},
    {PATCH, "sites/*/members/*", WRITE, loyalty_api_patch_member},
    {DELETE, "sites/*/members/*", ACT, loyalty_api_delete_member},
    {GET, "sites/*/members/*/orders", READ, loyalty_api_member_orders},
    {GET, "sites/*/members/*/ledger", READ, loyalty_api_member_ledger},

    {POST, "sites/*/orders", ORDER, loyalty_api_post_order},
    {POST, "sites/*/orders/batch", ORDERS, loyalty_api_post_orders},
    {GET, "sites/*/orders/*", READ, loyalty_api_get_order},

    {POST, "sites/*/quotes", QUOTE, loyalty_api_quote},

    {GET, "sites/*/stats", READ, loyalty_api_stats},
    {GET, "sites/*/dead-letters", READ, loyalty_api_list_dead},
    {POST, "sites/*/dead-letters/*/replay", ACT, loyalty_api_replay_dead},
    {DELETE, "sites/*/dead-letters/*", ACT, loyalty_api_delete_dead},
};

#define NROUTES (sizeof(routes) / sizeof(routes[0]))

loyalty_api_session_t *
loyalty_api_session_create(const loyalty_store_conf_t *conf)
{
    loyalty_api_session_t *session = calloc(1, sizeof(*session));

    if (session == NULL) {
        return NULL;
    }

    session->conf = conf;
    session->store = loyalty_store_open(conf);
    session->programs = loyalty_programs_create();
    session->batch = loyalty_batch_create();
    loyalty_commands_init(&session->commands);
    loyalty_arena_init(&session->arena, 0);

    if (session->store == NULL || session->programs == NULL
        || session->batch == NULL) {
        loyalty_api_session_free(session);
        return NULL;
    }

    return session;
}

void
loyalty_api_session_free(loyalty_api_session_t *session)
{
    if (session->store != NULL) {
        loyalty_store_close(session->store);
    }
    loyalty_programs_free(session->programs);
    loyalty_batch_free(session->batch);
    loyalty_commands_free(&session->commands);
    loyalty_arena_free(&session->arena);
    free(session);
}

static int
hex_digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* Decodes %XX, and in a query '+', in place; false: not well formed. */
static bool
decode(char *text, size_t *len, bool plus)
{
    size_t i, n = 0;
    int high, low;

    for (i = 0; i < *len; i++) {
        if (text[i] == '%') {
            if (*len - i < 3 || (high = hex_digit(text[i + 1])) < 0
                || (low = hex_digit(text[i + 2])) < 0) {
                return false;
            }
            text[n++] = (char)(high << 4 | low);
            i += 2;
        } else {
            text[n++] = plus && text[i] == '+' ? ' ' : text[i];
        }
    }

    *len = n;
    return true;
}

/* Splits a writable "/v1/a/b" into a, b; false: no path of ours. */
static bool
split_path(loyalty_api_call_t *call, char *path, size_t len)
{
    char *p = path + 4, *end = path + len, *slash;
    size_t n;

    if (len < 4 || memcmp(path, "/v1/", 4) != 0) {
        return false;
    }

    for (; p <= end; p = slash + 1) {
        slash = memchr(p, '/', (size_t)(end - p));
        slash = slash != NULL ? slash : end;
        n = (size_t)(slash - p);

        if (call->nsegments == LOYALTY_API_SEGMENTS_MAX
            || !decode(p, &n, false)) {
            return false;
        }

        call->segments[call->nsegments++] = (loyalty_str_t){p, n};
    }

    return true;
}

static bool
split_query(loyalty_api_call_t *call, char *query, size_t len)
{
    char *p = query, *end = query + len, *next, *equals;
    size_t name, value;

    for (; p < end; p = next + 1) {
        next = memchr(p, '&', (size_t)(end - p));
        next = next != NULL ? next : end;
        equals = memchr(p, '=', (size_t)(next - p));
        equals = equals != NULL ? equals : next;
        name = (size_t)(equals - p);
        value = equals < next ? (size_t)(next - equals - 1) : 0;

        if (call->nquery == LOYALTY_API_QUERY_MAX || !decode(p, &name, true)
            || (value != 0 && !decode(equals + 1, &value, true))) {
            return false;
        }

        call->query[call->nquery++] = (loyalty_api_parameter_t){
            {p, name}, {value != 0 ? equals + 1 : p + name, value}};
    }

    return true;
}

static bool
split_uri(loyalty_api_call_t *call)
{
    loyalty_str_t uri = call->request->uri;
    size_t path = uri.len;
    char *copy, *mark;

    if (uri.len > LOYALTY_API_URI_MAX) {
        return false;
    }

    copy = loyalty_alloc(call->arena, uri.len + 1);
    if (copy == NULL) {
        return false;
    }

    memcpy(copy, uri.data, uri.len);
    mark = memchr(copy, '?', uri.len);

    if (mark != NULL) {
        path = (size_t)(mark - copy);
        if (!split_query(call, mark + 1, uri.len - path - 1)) {
            return false;
        }
    }

    return split_path(call, copy, path);
}

static bool
fits(const char *pattern, const loyalty_str_t *segments, size_t n)
{
    size_t i, len;

    for (i = 0; i < n; i++) {
        len = strcspn(pattern, "/");

        if (segments[i].len == 0
            || !((len == 1 && pattern[0] == '*')
                 || (len == segments[i].len
                     && memcmp(pattern, segments[i].data, len) == 0))) {
            return false;
        }

        pattern += len;
        if (*pattern == '/') {
            pattern++;
        } else {
            return i + 1 == n;
        }
    }

    return false;
}

/* The route, or NULL; *allowed are the methods that the path has. */
static const route_t *
find_route(const loyalty_api_call_t *call, unsigned *allowed)
{
    size_t i;

    *allowed = 0;

    for (i = 0; i < NROUTES; i++) {
        if (fits(routes[i].path, call->segments, call->nsegments)) {
            *allowed |= routes[i].method;
            if (routes[i].method == call->request->method) {
                return &routes[i];
            }
        }
    }

    return NULL;
}

static void
refuse_route(loyalty_api_call_t *call, unsigned allowed)
{
    static const char *const names[] = {"GET", "POST", "PUT", "PATCH",
                                        "DELETE"};
    char *allow = call->response->allow;
    size_t i, len = 0, size = sizeof(call->response->allow);

    if (allowed == 0) {
        loyalty_api_error(call, 404, "not_found", "there is no such resource");
        return;
    }

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (allowed & 1u << i) {
            len += (size_t)snprintf(allow + len, size - len, "%s%s",
                                    len == 0 ? "" : ", ", names[i]);
        }
    }

    loyalty_api_error(call, 405, "method_not_allowed", "allowed: %s", allow);
}

size_t
loyalty_api_body_max(loyalty_method_t method, loyalty_str_t uri)
{
    loyalty_api_request_t request = {.method = method, .uri = uri};
    loyalty_api_call_t call = {.request = &request};
    loyalty_arena_t arena;
    const route_t *route = NULL;
    unsigned allowed;

    loyalty_arena_init(&arena, 0);
    call.arena = &arena;
    if (split_uri(&call)) {
        route = find_route(&call, &allowed);
    }
    loyalty_arena_free(&arena);

    return route != NULL ? route->body_max : 0;
}

static void
sha256_hex(const loyalty_str_t *parts, size_t n, char hex[65])
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    unsigned len = 0, i;
    uint64_t size;
    size_t part;
    bool ok;

    ok = context != NULL
         && EVP_DigestInit_ex(context, EVP_sha256(), NULL) == 1;

    for (part = 0; ok && part < n; part++) {
        size = parts[part].len;
        ok = (n == 1
              || EVP_DigestUpdate(context, &size, sizeof(size)) == 1)
             && EVP_DigestUpdate(context, parts[part].data, size) == 1;
    }

    ok = ok && EVP_DigestFinal_ex(context, digest, &len) == 1;
    EVP_MD_CTX_free(context);

    for (i = 0; ok && i < len; i++) {
        snprintf(hex + i * 2, 3, "%02x", digest[i]);
    }

    if (!ok) {
        hex[0] = '\0'; /* no token has this hash */
    }
}

static bool
contains(const json_t *list, loyalty_str_t name, bool wildcard)
{
    json_t *item;
    size_t i;

    json_array_foreach(list, i, item) {
        if (json_is_string(item)
            && ((wildcard && strcmp(json_string_value(item), "*") == 0)
                || loyalty_str_eq(loyalty_str_from(json_string_value(item)),
                                  name))) {
            return true;
        }
    }

    return false;
}

/* The token's value: {"name","sites":[],"scopes":[]}. */
static bool
check_token(loyalty_api_call_t *call, const route_t *route,
            loyalty_str_t value)
{
    loyalty_str_t scope = route->scope == SCOPE_WRITE ? loyalty_str("write")
                                                      : loyalty_str("read");
    json_t *json = NULL;
    const char *name;
    bool ok = false;

    if (value.data != NULL && value.len <= TOKEN_VALUE_MAX) {
        json = json_loadb(value.data, value.len, 0, NULL);
    }

    if (!json_is_object(json)) {
        loyalty_api_error(call, 401, "unauthorized",
                          "the token is not known");
    } else if (!contains(json_object_get(json, "sites"), call->segments[1],
                         true)) {
        loyalty_api_error(call, 403, "forbidden",
                          "the token is not for this site");
    } else if (!contains(json_object_get(json, "scopes"), scope, false)) {
        loyalty_api_error(call, 403, "forbidden",
                          "the token has no scope \"%.*s\"", (int)scope.len,
                          scope.data);
    } else {
        ok = true;
        name = json_string_value(json_object_get(json, "name"));
        snprintf(call->token_name, sizeof(call->token_name), "%s",
                 name != NULL ? name : "");
    }

    json_decref(json);

    return ok;
}

static loyalty_store_result_t
authorize(loyalty_api_call_t *call, const route_t *route, bool *ok)
{
    loyalty_str_t token = call->request->authorization, prefix, value;
    loyalty_commands_t *commands = &call->session->commands;
    loyalty_store_result_t result;
    loyalty_replies_t replies;
    char key[LOYALTY_KEY_MAX], hex[65];

    *ok = false;

    if (token.len < 8 || token.len > TOKEN_MAX
        || strncasecmp(token.data, "Bearer ", 7) != 0) {
        loyalty_api_error(call, 401, "unauthorized",
                          "send the header Authorization: Bearer TOKEN");
        return LOYALTY_STORE_OK;
    }

    token.data += 7;
    token.len -= 7;
    sha256_hex(&token, 1, hex);

    prefix = call->session->conf->prefix;
    snprintf(key, sizeof(key), "%.*s:tokens", (int)prefix.len, prefix.data);
    loyalty_commands_reset(commands);
    loyalty_command_words(commands, "HGET", key, hex, NULL);
    loyalty_replies_init(&replies);
    result = loyalty_store_call(call->session->store, loyalty_str_from(key),
                                commands, &replies);

    if (result == LOYALTY_STORE_OK) {
        if (loyalty_reply_str(replies.list[0], &value)) {
            *ok = check_token(call, route, value);
        } else {
            result = LOYALTY_STORE_MALFORMED;
        }
    }

    loyalty_replies_free(&replies);

    return result;
}

static bool
is_type(loyalty_str_t header, const char *type)
{
    size_t len = strlen(type);

    return header.len >= len && strncasecmp(header.data, type, len) == 0
           && (header.len == len || header.data[len] == ';'
               || header.data[len] == ' ');
}

static bool
read_body(loyalty_api_call_t *call, const route_t *route)
{
    const loyalty_api_request_t *request = call->request;
    json_error_t error;

    if (route->body == BODY_NONE) {
        return true;
    }

    if (request->body.len > route->body_max) {
        loyalty_api_error(call, 413, "too_large",
                          "the body may have %zu bytes", route->body_max);
        return false;
    }

    if (route->body == BODY_NDJSON) {
        if (!is_type(request->content_type, "application/x-ndjson")
            && !is_type(request->content_type, "application/ndjson")) {
            loyalty_api_error(call, 415, "unsupported_media_type",
                              "send Content-Type: application/x-ndjson");
            return false;
        }
        return true;
    }

    if (!is_type(request->content_type, "application/json")) {
        loyalty_api_error(call, 415, "unsupported_media_type",
                          "send Content-Type: application/json");
        return false;
    }

    call->body = json_loadb(request->body.data != NULL ? request->body.data
                                                       : "",
                            request->body.len, JSON_REJECT_DUPLICATES,
                            &error);
    if (call->body == NULL) {
        loyalty_api_error(call, 400, "invalid_json", "line %d, column %d: %s",
                          error.line, error.column, error.text);
        return false;
    }

    if (!json_is_object(call->body)) {
        loyalty_api_error(call, 400, "invalid_json",
                          "the body is to be a JSON object");
        return false;
    }

    return true;
}

static bool
check_idempotency_key(loyalty_api_call_t *call)
{
    const loyalty_api_request_t *request = call->request;
    loyalty_str_t key = request->idempotency_key;
    loyalty_str_t parts[2] = {request->uri, request->body};
    size_t i;

    if (key.len == 0 || request->method != LOYALTY_METHOD_POST) {
        return true;
    }

    for (i = 0; i < key.len; i++) {
        if (key.data[i] <= ' ' || key.data[i] > '~') {
            break;
        }
    }

    if (i < key.len || key.len > LOYALTY_API_IDEMPOTENCY_KEY_MAX) {
        loyalty_api_error(call, 400, "invalid_idempotency_key",
                          "1 to %d printable characters without blanks",
                          LOYALTY_API_IDEMPOTENCY_KEY_MAX);
        return false;
    }

    sha256_hex(parts, 2, call->fingerprint);
    return true;
}

/* The kept answer into the response; *done: there was one.  The status 000
 * marks a request without a kept answer, which runs again. */
static loyalty_store_result_t
look_for_answer(loyalty_api_call_t *call, bool *done)
{
    loyalty_store_result_t result;
    loyalty_replies_t replies;
    loyalty_str_t value;
    char *body;

    *done = false;

    if (call->fingerprint[0] == '\0') {
        return LOYALTY_STORE_OK;
    }

    loyalty_commands_reset(&call->session->commands);
    loyalty_api_watch(call, "i", call->request->idempotency_key);
    loyalty_api_command(call, "GET", "i", call->request->idempotency_key, 0);
    loyalty_replies_init(&replies);
    result = loyalty_api_read(call, &replies);

    if (result == LOYALTY_STORE_OK
        && (!loyalty_reply_str(replies.list[1], &value)
            || (value.data != NULL && value.len < 69))) {
        result = LOYALTY_STORE_MALFORMED;
    }

    if (result == LOYALTY_STORE_OK && value.data != NULL) {
        *done = memcmp(value.data + 65, "000", 3) != 0;

        if (memcmp(value.data, call->fingerprint, 64) != 0) {
            *done = true;
            loyalty_api_error(call, 422, "idempotency_key_reused",
                              "this Idempotency-Key came with another "
                              "request");
        } else if (*done) {
            body = malloc(value.len - 69 + 1);
            if (body == NULL) {
                result = LOYALTY_STORE_MEMORY;
            } else {
                memcpy(body, value.data + 69, value.len - 69);
                call->response->status = atoi(value.data + 65);
                call->response->content_type = "application/json";
                call->response->body = body;
                call->response->len = value.len - 69;
                call->response->replayed = true;
            }
        }
    }

    loyalty_replies_free(&replies);

    return result;
}

static loyalty_store_result_t
run(loyalty_api_call_t *call, const route_t *route)
{
    loyalty_store_result_t result = LOYALTY_STORE_CONFLICT;
    loyalty_api_response_t *response = call->response;
    bool done;
    int tries;

    for (tries = 0; tries < TRIES && result == LOYALTY_STORE_CONFLICT;
         tries++) {
        free(response->body);
        *response = (loyalty_api_response_t){0};

        result = look_for_answer(call, &done);
        if (result == LOYALTY_STORE_OK && !done) {
            result = route->handler(call);
        }

        if (call->session->watching) {
            call->session->watching = false;
            loyalty_store_unwatch(call->session->store, call->scope.site);
        }
    }

    return result;
}

/* What the client hears when the store did not do as asked. */
static void
explain(loyalty_api_call_t *call, loyalty_store_result_t result)
{
    switch (result) {
    case LOYALTY_STORE_OK:
        return;

    case LOYALTY_STORE_CONFLICT:
        loyalty_api_error(call, 503, "busy", "too many changes at once");
        call->response->retry_after = 1;
        return;

    case LOYALTY_STORE_AWAY:
    case LOYALTY_STORE_REFUSED:
    case LOYALTY_STORE_STOPPED:
        loyalty_api_error(call, 503, "unavailable",
                          "the store cannot be reached or takes no writes");
        call->response->retry_after = 1;
        return;

    case LOYALTY_STORE_FENCED:
    case LOYALTY_STORE_MALFORMED:
        loyalty_api_error(call, 500, "corrupt",
                          "a stored value cannot be read");
        return;

    case LOYALTY_STORE_MEMORY:
        loyalty_api_error(call, 500, "memory", "out of memory");
        return;
    }
}

static loyalty_store_result_t
serve(loyalty_api_call_t *call)
{
    loyalty_store_result_t result;
    const route_t *route;
    unsigned allowed;
    bool ok;

    if (!split_uri(call)) {
        loyalty_api_error(call, 400, "invalid_uri",
                          "the path or the query is not well formed");
        return LOYALTY_STORE_OK;
    }

    route = find_route(call, &allowed);
    if (route == NULL) {
        refuse_route(call, allowed);
        return LOYALTY_STORE_OK;
    }

    result = authorize(call, route, &ok);
    if (result != LOYALTY_STORE_OK || !ok) {
        return result;
    }

    if (loyalty_site_id_check(call->segments[1]) != LOYALTY_OK) {
        loyalty_api_not_found(call, "site");
        return LOYALTY_STORE_OK;
    }

    call->scope.prefix = call->session->conf->prefix;
    call->scope.site = call->segments[1];

    if (!read_body(call, route) || !check_idempotency_key(call)) {
        return LOYALTY_STORE_OK;
    }

    return run(call, route);
}

void
loyalty_api(loyalty_api_session_t *session,
            const loyalty_api_request_t *request,
            loyalty_api_response_t *response)
{
    loyalty_api_call_t call = {.session = session,
                               .request = request,
                               .response = response};
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    call.now = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
    call.arena = &session->arena;
    session->watching = false;
    *response = (loyalty_api_response_t){0};

    explain(&call, serve(&call));

    json_decref(call.body);
    loyalty_arena_reset(&session->arena);
}
