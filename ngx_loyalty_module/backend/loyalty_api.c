/*
 * From a request to its handler: the path, the routes, the token, the body,
 * the answer kept for an Idempotency-Key.
 */

#include "loyalty_api_route.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <time.h>

#define TRIES 20 /* of an optimistic transaction */
#define JSON_BODY_MAX (256 * 1024)

#define GET LOYALTY_METHOD_GET
#define POST LOYALTY_METHOD_POST
#define PUT LOYALTY_METHOD_PUT
#define PATCH LOYALTY_METHOD_PATCH
#define DELETE LOYALTY_METHOD_DELETE
#define READ LOYALTY_SCOPE_READ, LOYALTY_BODY_NONE, 0
#define ACT LOYALTY_SCOPE_WRITE, LOYALTY_BODY_NONE, 0
#define WRITE LOYALTY_SCOPE_WRITE, LOYALTY_BODY_JSON, JSON_BODY_MAX
#define PROGRAM                                                                \
    LOYALTY_SCOPE_WRITE, LOYALTY_BODY_JSON, LOYALTY_PROGRAM_SIZE_MAX
#define MINE LOYALTY_SCOPE_SELF, LOYALTY_BODY_NONE, 0
#define THEIRS LOYALTY_SCOPE_ANY, LOYALTY_BODY_NONE, 0
#define MANAGE LOYALTY_SCOPE_INSTALLATION, LOYALTY_BODY_NONE, 0
#define MANAGE_BY LOYALTY_SCOPE_INSTALLATION, LOYALTY_BODY_JSON, JSON_BODY_MAX
#define ADMIN LOYALTY_SCOPE_ADMIN, LOYALTY_BODY_NONE, 0
#define OWN LOYALTY_SCOPE_OWN, LOYALTY_BODY_JSON, JSON_BODY_MAX
#define QUOTE LOYALTY_SCOPE_READ, LOYALTY_BODY_JSON, LOYALTY_PROGRAM_SIZE_MAX
#define BULK LOYALTY_SCOPE_WRITE, LOYALTY_BODY_JSON, LOYALTY_API_BODY_MAX
#define FILE_BODY LOYALTY_SCOPE_WRITE, LOYALTY_BODY_ANY, LOYALTY_API_BODY_MAX
#define MESSAGE LOYALTY_SCOPE_WRITE, LOYALTY_BODY_JSON, LOYALTY_PROGRAM_SIZE_MAX
#define ORDER LOYALTY_SCOPE_ORDERS, LOYALTY_BODY_JSON, LOYALTY_ORDER_SIZE_MAX
#define RELEASE LOYALTY_SCOPE_ORDERS, LOYALTY_BODY_NONE, 0
#define ORDERS LOYALTY_SCOPE_ORDERS, LOYALTY_BODY_NDJSON, LOYALTY_API_BODY_MAX

/* A list of the program, as loyalty_api_resource.c treats every one. */
#define RESOURCE(list)                                                        \
    {GET, "sites/*/" list, READ, loyalty_api_list_resources},                 \
    {POST, "sites/*/" list, PROGRAM, loyalty_api_create_resource},            \
    {GET, "sites/*/" list "/*", READ, loyalty_api_get_resource},              \
    {PUT, "sites/*/" list "/*", PROGRAM, loyalty_api_put_resource},           \
    {DELETE, "sites/*/" list "/*", ACT, loyalty_api_delete_resource}
#define COPY(list)                                                            \
    {POST, "sites/*/" list "/*/copy", ACT, loyalty_api_copy_resource}
#define ORDERED(list)                                                         \
    {POST, "sites/*/" list "/order", PROGRAM, loyalty_api_order_resources}

static const loyalty_api_route_t routes[] = {
    {GET, "openapi.json", LOYALTY_SCOPE_PUBLIC, LOYALTY_BODY_NONE, 0,
     loyalty_api_openapi},
    {GET, "health", LOYALTY_SCOPE_PUBLIC, LOYALTY_BODY_NONE, 0,
     loyalty_api_health},
    {GET, "redis", MANAGE, loyalty_api_redis},
    {GET, "metrics", THEIRS, loyalty_api_metrics},

    {POST, "session", LOYALTY_SCOPE_PUBLIC, LOYALTY_BODY_JSON, 4096,
     loyalty_api_sign_in},
    {GET, "session", MINE, loyalty_api_get_session},
    {DELETE, "session", MINE, loyalty_api_sign_out},
    {PUT, "session/password", LOYALTY_SCOPE_SELF, LOYALTY_BODY_JSON, 4096,
     loyalty_api_put_password},

    {GET, "staff", MANAGE, loyalty_api_list_staff},
    {POST, "staff", MANAGE_BY, loyalty_api_create_staff},
    {GET, "staff/*", MANAGE, loyalty_api_get_staff},
    {PATCH, "staff/*", MANAGE_BY, loyalty_api_patch_staff},
    {DELETE, "staff/*", MANAGE, loyalty_api_delete_staff},
    {GET, "audit", MANAGE, loyalty_api_list_audit},

    {GET, "tokens", THEIRS, loyalty_api_list_tokens},
    {POST, "tokens", LOYALTY_SCOPE_ANY, LOYALTY_BODY_JSON, JSON_BODY_MAX,
     loyalty_api_create_token},
    {DELETE, "tokens/*", THEIRS, loyalty_api_delete_token},

    {GET, "sites", THEIRS, loyalty_api_list_sites},
    {GET, "sites/*/staff", ADMIN, loyalty_api_list_roles},
    {PUT, "sites/*/staff/*", LOYALTY_SCOPE_ADMIN, LOYALTY_BODY_JSON,
     JSON_BODY_MAX, loyalty_api_put_role},
    {DELETE, "sites/*/staff/*", ADMIN, loyalty_api_delete_role},

    {GET, "sites/*/settings", READ, loyalty_api_get_settings},
    {PUT, "sites/*/settings", PROGRAM, loyalty_api_put_settings},

    RESOURCE("statuses"),
    COPY("statuses"),
    ORDERED("statuses"),
    RESOURCE("designs"),
    COPY("designs"),
    RESOURCE("offers"),
    COPY("offers"),
    {POST, "sites/*/offers/*/publish", ACT, loyalty_api_publish_offer},
    {POST, "sites/*/offers/*/unpublish", ACT, loyalty_api_unpublish_offer},
    {POST, "sites/*/offers/*/assign", BULK, loyalty_api_assign_offer},
    {GET, "sites/*/offers/*/codes", READ, loyalty_api_list_codes},
    {POST, "sites/*/offers/*/codes", WRITE, loyalty_api_make_codes},
    {GET, "sites/*/offers/*/codes/export", READ, loyalty_api_export_codes},
    RESOURCE("rules"),
    COPY("rules"),
    RESOURCE("templates"),
    COPY("templates"),
    RESOURCE("categories"),
    ORDERED("categories"),

    {GET, "sites/*/images", READ, loyalty_api_list_images},
    {POST, "sites/*/images", LOYALTY_SCOPE_WRITE, LOYALTY_BODY_IMAGE,
     LOYALTY_IMAGE_SIZE_MAX, loyalty_api_create_image},
    {GET, "sites/*/images/*", LOYALTY_SCOPE_PUBLIC, LOYALTY_BODY_NONE, 0,
     loyalty_api_get_image},
    {DELETE, "sites/*/images/*", ACT, loyalty_api_delete_image},

    {POST, "sites/*/activate", OWN, loyalty_api_activate},
    {POST, "sites/*/deactivate", LOYALTY_SCOPE_OWN, LOYALTY_BODY_NONE, 0,
     loyalty_api_deactivate},
    {POST, "sites/*/preview-links", WRITE, loyalty_api_preview_link},
    {GET, "sites/*/draft", READ, loyalty_api_get_draft},
    {PUT, "sites/*/draft", PROGRAM, loyalty_api_put_draft},
    {DELETE, "sites/*/draft", ACT, loyalty_api_delete_draft},
    {POST, "sites/*/draft/publish", ACT, loyalty_api_publish_draft},
    {GET, "sites/*/versions", READ, loyalty_api_list_versions},
    {GET, "sites/*/versions/*", READ, loyalty_api_get_version},
    {POST, "sites/*/versions/*/restore", ACT, loyalty_api_restore_version},

    {GET, "sites/*/members", READ, loyalty_api_list_members},
    {POST, "sites/*/members", WRITE, loyalty_api_create_member},
    {POST, "sites/*/members/import", FILE_BODY, loyalty_api_import},
    {POST, "sites/*/members/export", WRITE, loyalty_api_export},
    {POST, "sites/*/members/bulk", BULK, loyalty_api_bulk},
    {GET, "sites/*/members/*", READ, loyalty_api_get_member},
    {PATCH, "sites/*/members/*", WRITE, loyalty_api_patch_member},
    {DELETE, "sites/*/members/*", ACT, loyalty_api_delete_member},
    {GET, "sites/*/members/*/orders", READ, loyalty_api_member_orders},
    {GET, "sites/*/members/*/ledger", READ, loyalty_api_member_ledger},
    {GET, "sites/*/members/*/consents", READ, loyalty_api_member_consents},
    {GET, "sites/*/members/*/export", READ, loyalty_api_member_export},
    {POST, "sites/*/members/*/points", WRITE, loyalty_api_post_points},
    {POST, "sites/*/members/*/credits", WRITE, loyalty_api_post_credits},
    {POST, "sites/*/members/*/entitlements", WRITE,
     loyalty_api_post_entitlement},
    {DELETE, "sites/*/members/*/entitlements/*", ACT,
     loyalty_api_delete_entitlement},
    {POST, "sites/*/members/*/entitlements/*/apply", ACT,
     loyalty_api_apply_entitlement},
    {POST, "sites/*/members/*/entitlements/*/unapply", ACT,
     loyalty_api_unapply_entitlement},
    {GET, "sites/*/members/*/messages", READ, loyalty_api_member_messages},

    {POST, "sites/*/orders", ORDER, loyalty_api_post_order},
    {POST, "sites/*/orders/batch", ORDERS, loyalty_api_post_orders},
    {GET, "sites/*/orders/*", READ, loyalty_api_get_order},
    {POST, "sites/*/orders/*/cancel", WRITE, loyalty_api_cancel_order},
    {POST, "sites/*/orders/*/refunds", WRITE, loyalty_api_refund_order},

    {GET, "sites/*/messages", READ, loyalty_api_list_messages},
    {GET, "sites/*/messages/*", READ, loyalty_api_get_message},
    {POST, "sites/*/messages/retry", ACT, loyalty_api_retry_messages},
    {POST, "sites/*/messages/*/retry", ACT, loyalty_api_retry_message},
    {GET, "sites/*/rules/*/stats", READ, loyalty_api_rule_stats},
    {GET, "sites/*/stats/messages", READ, loyalty_api_message_stats},

    {POST, "sites/*/quotes", QUOTE, loyalty_api_quote},
    {POST, "sites/*/holds", ORDER, loyalty_api_post_hold},
    {GET, "sites/*/holds/*", READ, loyalty_api_get_hold},
    {DELETE, "sites/*/holds/*", RELEASE, loyalty_api_delete_hold},

    {POST, "sites/*/webhooks/*/secret", LOYALTY_SCOPE_OWN, LOYALTY_BODY_NONE, 0,
     loyalty_api_make_webhook_secret},
    {GET, "sites/*/webhooks", READ, loyalty_api_list_webhooks},
    {POST, "sites/*/webhooks/*/test", ACT, loyalty_api_test_webhook},
    {GET, "sites/*/webhooks/deliveries", READ, loyalty_api_list_deliveries},
    {GET, "sites/*/webhooks/deliveries/*", READ, loyalty_api_get_delivery},
    {POST, "sites/*/webhooks/deliveries/replay", ACT,
     loyalty_api_replay_deliveries},
    {POST, "sites/*/webhooks/deliveries/*/replay", ACT,
     loyalty_api_replay_delivery},

    {GET, "sites/*/audit", READ, loyalty_api_list_audit},

    {POST, "sites/*/check", ACT, loyalty_api_check},

    {GET, "sites/*/groups", READ, loyalty_api_list_groups},
    {POST, "sites/*/groups", WRITE, loyalty_api_create_group},
    {GET, "sites/*/groups/*", READ, loyalty_api_get_group},
    {DELETE, "sites/*/groups/*", ACT, loyalty_api_delete_group},
    {GET, "sites/*/groups/*/members", READ, loyalty_api_group_members},
    {POST, "sites/*/groups/*/points", WRITE, loyalty_api_group_points},
    {POST, "sites/*/groups/*/credits", WRITE, loyalty_api_group_credits},
    {POST, "sites/*/groups/*/reach", WRITE, loyalty_api_group_reach},
    {POST, "sites/*/groups/*/broadcasts", MESSAGE,
     loyalty_api_group_broadcast},
    {POST, "sites/*/groups/*/export", WRITE, loyalty_api_group_export},

    {GET, "sites/*/broadcasts", READ, loyalty_api_list_broadcasts},
    {POST, "sites/*/broadcasts", BULK, loyalty_api_broadcast},
    {POST, "sites/*/reach", BULK, loyalty_api_reach},

    {GET, "sites/*/jobs", READ, loyalty_api_list_jobs},
    {POST, "sites/*/jobs", WRITE, loyalty_api_post_job},
    {GET, "sites/*/jobs/*", READ, loyalty_api_get_job},
    {GET, "sites/*/jobs/*/file", READ, loyalty_api_job_file},
    {DELETE, "sites/*/jobs/*", ACT, loyalty_api_cancel_job},

    {GET, "sites/*/stats", READ, loyalty_api_stats},
    {GET, "sites/*/dead-letters", READ, loyalty_api_list_dead},
    {POST, "sites/*/dead-letters/*/replay", ACT, loyalty_api_replay_dead},
    {DELETE, "sites/*/dead-letters/*", ACT, loyalty_api_delete_dead},
};

#define NROUTES (sizeof(routes) / sizeof(routes[0]))

const loyalty_api_route_t *
loyalty_api_routes(size_t *n)
{
    *n = NROUTES;
    return routes;
}

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
    session->details = loyalty_api_details();
    loyalty_member_change_init(&session->change, session->store,
                               session->programs);
    loyalty_commands_init(&session->commands);
    loyalty_arena_init(&session->arena, 0);

    if (session->store == NULL || session->programs == NULL
        || session->batch == NULL || session->details == NULL) {
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
    json_decref(session->details);
    loyalty_member_change_free(&session->change);
    loyalty_commands_free(&session->commands);
    loyalty_arena_free(&session->arena);
    free(session);
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
static const loyalty_api_route_t *
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
        loyalty_api_error(call, 404, "not_found", "there is no such resource: "
                          "GET /v1/openapi.json says what there is");
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
    const loyalty_api_route_t *route = NULL;
    unsigned allowed;

    loyalty_arena_init(&arena, 0);
    call.arena = &arena;
    if (loyalty_api_split_uri(&call)) {
        route = find_route(&call, &allowed);
    }
    loyalty_arena_free(&arena);

    return route != NULL ? route->body_max : 0;
}

bool
loyalty_api_is_type(const loyalty_api_call_t *call, const char *type)
{
    loyalty_str_t header = call->request->content_type;
    size_t len = strlen(type);

    return header.len >= len && strncasecmp(header.data, type, len) == 0
           && (header.len == len || header.data[len] == ';'
               || header.data[len] == ' ');
}

static bool
read_body(loyalty_api_call_t *call, const loyalty_api_route_t *route)
{
    const loyalty_api_request_t *request = call->request;
    json_error_t error;

    if (route->body == LOYALTY_BODY_NONE) {
        return true;
    }

    if (request->body.len > route->body_max) {
        loyalty_api_error(call, 413, "too_large",
                          "the body may have %zu bytes", route->body_max);
        return false;
    }

    if (route->body == LOYALTY_BODY_ANY) {
        return true;
    }

    if (route->body == LOYALTY_BODY_NDJSON) {
        if (!loyalty_api_is_type(call, "application/x-ndjson")
            && !loyalty_api_is_type(call, "application/ndjson")) {
            loyalty_api_error(call, 415, "unsupported_media_type",
                              "send Content-Type: application/x-ndjson");
            return false;
        }
        return true;
    }

    if (route->body == LOYALTY_BODY_IMAGE) {
        if (request->content_type.len < 6
            || strncasecmp(request->content_type.data, "image/", 6) != 0) {
            loyalty_api_error(call, 415, "unsupported_media_type",
                              "send Content-Type: image/png, image/jpeg, "
                              "image/webp or image/svg+xml");
            return false;
        }
        return true;
    }

    if (!loyalty_api_is_type(call, "application/json")) {
        loyalty_api_error(call, 415, "unsupported_media_type",
                          "send Content-Type: application/json");
        return false;
    }

    if (request->body.len == 0) {
        loyalty_api_error(call, 400, "invalid_json", "the body is empty: send "
                          "a JSON object, {} at the least");
        return false;
    }

    call->body = json_loadb(request->body.data, request->body.len,
                            JSON_REJECT_DUPLICATES, &error);
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

    loyalty_api_sha256(parts, 2, call->fingerprint);
    return true;
}

/* The next line of what is kept, into a header of that size. */
static bool
take_line(loyalty_str_t *kept, char *header, size_t size)
{
    const char *end = kept->len != 0 ? memchr(kept->data, '\n', kept->len)
                                     : NULL;
    size_t len = end != NULL ? (size_t)(end - kept->data) : size;

    if (len >= size) {
        return false;
    }

    memcpy(header, kept->data, len);
    header[len] = '\0';
    kept->data += len + 1;
    kept->len -= len + 1;

    return true;
}

/* What another version has kept in another way: the request has been carried
 * out, and must not be again. */
static void
lose_answer(loyalty_api_call_t *call)
{
    *call->response = (loyalty_api_response_t){0};
    loyalty_api_error(call, 409, "answer_lost",
                      "a request with this Idempotency-Key has been carried "
                      "out, and its answer can no longer be read");
}

/* The answer as keep_answer() of loyalty_api_call.c has kept it. */
static loyalty_store_result_t
replay(loyalty_api_call_t *call, loyalty_str_t kept)
{
    loyalty_api_response_t *response = call->response;

    response->status = atoi(kept.data + 65);
    kept = (loyalty_str_t){kept.data + 69, kept.len - 69};

    if (!take_line(&kept, response->location, sizeof(response->location))
        || !take_line(&kept, response->etag, sizeof(response->etag))) {
        lose_answer(call);
        return LOYALTY_STORE_OK;
    }

    response->body = malloc(kept.len + 1);
    if (response->body == NULL) {
        return LOYALTY_STORE_MEMORY;
    }

    memcpy(response->body, kept.data, kept.len);
    response->content_type = "application/json";
    response->len = kept.len;
    response->replayed = true;

    return LOYALTY_STORE_OK;
}

/* "FINGERPRINT STATUS\n" begins it. */
static bool
is_kept(loyalty_str_t value)
{
    size_t i;

    if (value.len < 69 || value.data[64] != ' ' || value.data[68] != '\n') {
        return false;
    }

    for (i = 65; i < 68; i++) {
        if (value.data[i] < '0' || value.data[i] > '9') {
            return false;
        }
    }

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
        && !loyalty_reply_str(replies.list[1], &value)) {
        result = LOYALTY_STORE_MALFORMED;
    }

    if (result == LOYALTY_STORE_OK && value.data != NULL && !is_kept(value)) {
        *done = true;
        lose_answer(call);
    } else if (result == LOYALTY_STORE_OK && value.data != NULL) {
        *done = memcmp(value.data + 65, "000", 3) != 0;

        if (memcmp(value.data, call->fingerprint, 64) != 0) {
            *done = true;
            loyalty_api_error(call, 422, "idempotency_key_reused",
                              "this Idempotency-Key came with another "
                              "request");
        } else if (*done) {
            result = replay(call, value);
        }
    }

    loyalty_replies_free(&replies);

    return result;
}

static loyalty_store_result_t
run(loyalty_api_call_t *call, const loyalty_api_route_t *route)
{
    loyalty_store_result_t result = LOYALTY_STORE_CONFLICT;
    loyalty_api_response_t *response = call->response;
    bool done;
    int tries;

    for (tries = 0; tries < TRIES && result == LOYALTY_STORE_CONFLICT;
         tries++) {
        free(response->body);
        *response = (loyalty_api_response_t){0};
        loyalty_api_audit_forget(call);

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

/* ?erase=yes must not delete, nor ?draft=1 change what is live. */
static bool
check_flags(loyalty_api_call_t *call)
{
    static const char *const names[] = {"draft", "deleted", "erase"};
    char code[24];
    size_t i;

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        loyalty_str_t value = loyalty_api_query(call, names[i]);

        if (value.data != NULL && !loyalty_str_eq(value, loyalty_str("true"))
            && !loyalty_str_eq(value, loyalty_str("false"))) {
            snprintf(code, sizeof(code), "invalid_%s", names[i]);
            loyalty_api_error(call, 422, code, "%s is true or false",
                              names[i]);
            return false;
        }
    }

    return true;
}

static loyalty_store_result_t
serve(loyalty_api_call_t *call)
{
    loyalty_store_result_t result;
    const loyalty_api_route_t *route;
    unsigned allowed;
    bool of_site, ok;

    if (!loyalty_api_split_uri(call)) {
        loyalty_api_error(call, 400, "invalid_uri",
                          "the path or the query is not well formed: a path "
                          "begins with /v1/, %% stands before two hexadecimal "
                          "digits");
        return LOYALTY_STORE_OK;
    }

    route = find_route(call, &allowed);
    if (route == NULL) {
        refuse_route(call, allowed);
        return LOYALTY_STORE_OK;
    }

    result = loyalty_api_authorize(call, route, &ok);
    if (result != LOYALTY_STORE_OK || !ok) {
        return result;
    }

    of_site = strncmp(route->path, "sites/", 6) == 0;

    if (of_site && loyalty_site_id_check(call->segments[1]) != LOYALTY_OK) {
        loyalty_api_error(call, 404, "not_found", "there is no such site: its "
                          "id has 1 to %d of a-z, 0-9, '-' and '_', a letter "
                          "or digit first", LOYALTY_SITE_ID_MAX);
        return LOYALTY_STORE_OK;
    }

    if (!check_flags(call)) {
        return LOYALTY_STORE_OK;
    }

    call->scope.prefix = call->session->conf->prefix;
    call->scope.site = of_site ? call->segments[1] : loyalty_str_null;
    call->audited = route->scope != LOYALTY_SCOPE_READ
                    && route->scope != LOYALTY_SCOPE_ORDERS;

    /* An answer outside a site may hold a secret: it is never kept. */
    if (!read_body(call, route) || !loyalty_api_keeps_contract(call, route)
        || (of_site && !check_idempotency_key(call))) {
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
    response->known = call.caller.sites != NULL;

    json_decref(call.body);
    json_decref(call.caller.sites);
    json_decref(call.caller.scopes);
    json_decref(call.caller.account);
    loyalty_api_audit_forget(&call);
    loyalty_arena_reset(&session->arena);
}
