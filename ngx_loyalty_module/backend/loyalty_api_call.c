/*
 * What the handlers of routes share: responses, parameters, commands.
 */

#include "loyalty_api_call.h"

#include "loyalty_document.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define LIST_DEFAULT 50
#define LIST_MAX 1000
#define ANSWER_SECONDS 86400

/* A larger answer is not kept for its Idempotency-Key. */
#define ANSWER_MAX (1024 * 1024)

static void
set_body(loyalty_api_response_t *response, int status, char *body)
{
    free(response->body);
    response->status = body != NULL ? status : 500;
    response->content_type = "application/json";
    response->body = body;
    response->len = body != NULL ? strlen(body) : 0;
}

static json_t *
error_object(const char *code, const char *message, json_t *details)
{
    return json_pack("{s:{s:s,s:s,s:o}}", "error", "code", code, "message",
                     message, "details",
                     details != NULL ? details : json_array());
}

void
loyalty_api_fail(loyalty_api_response_t *response, int status,
                 const char *code, const char *message)
{
    json_t *json = error_object(code, message, NULL);

    set_body(response, status, json_dumps(json, JSON_COMPACT));
    json_decref(json);
}

void
loyalty_api_error(loyalty_api_call_t *call, int status, const char *code,
                  const char *format, ...)
{
    char message[512];
    va_list args;

    va_start(args, format);
    vsnprintf(message, sizeof(message), format, args);
    va_end(args);
    loyalty_utf8_mend(message);

    loyalty_api_fail(call->response, status, code, message);
}

static json_t *
detail(loyalty_str_t pointer, loyalty_str_t message)
{
    return json_pack("{s:s%,s:s%}", "pointer",
                     pointer.data != NULL ? pointer.data : "", pointer.len,
                     "message", message.data != NULL ? message.data : "",
                     message.len);
}

void
loyalty_api_problems(loyalty_api_call_t *call, int status, const char *code,
                     const char *message, const loyalty_problem_t *problems,
                     size_t n, const char *prefix)
{
    json_t *details = json_array(), *json;
    loyalty_str_t pointer, skip = loyalty_str_from(prefix);
    size_t i;

    for (i = 0; i < n && i < LOYALTY_PROBLEMS_MAX; i++) {
        pointer = problems[i].pointer;
        if (pointer.len >= skip.len
            && loyalty_str_eq((loyalty_str_t){pointer.data, skip.len}, skip)) {
            pointer.data += skip.len;
            pointer.len -= skip.len;
        }
        json_array_append_new(details, detail(pointer, problems[i].message));
    }

    json = error_object(code, message, details);
    set_body(call->response, status, json_dumps(json, JSON_COMPACT));
    json_decref(json);
}

void
loyalty_api_problem(loyalty_api_call_t *call, const char *pointer,
                    const char *message)
{
    loyalty_problem_t problem = {loyalty_str_from(pointer),
                                 loyalty_str_from(message)};

    loyalty_api_problems(call, 422, "invalid", "the request is not valid",
                         &problem, 1, "");
}

void
loyalty_api_json(loyalty_api_call_t *call, int status, json_t *json)
{
    set_body(call->response, status,
             json != NULL ? json_dumps(json, JSON_COMPACT) : NULL);
    json_decref(json);
}

void
loyalty_api_bytes(loyalty_api_call_t *call, const char *type,
                  loyalty_str_t bytes)
{
    char *copy = malloc(bytes.len);

    set_body(call->response, 500, NULL);

    if (copy != NULL) {
        memcpy(copy, bytes.data, bytes.len);
        call->response->status = 200;
        call->response->content_type = type;
        call->response->body = copy;
        call->response->len = bytes.len;
    }
}

void
loyalty_api_no_content(loyalty_api_call_t *call)
{
    set_body(call->response, 500, NULL);
    call->response->status = 204;
}

void
loyalty_api_not_found(loyalty_api_call_t *call, const char *what)
{
    loyalty_api_error(call, 404, "not_found", "there is no such %s", what);
}

loyalty_str_t
loyalty_api_query(const loyalty_api_call_t *call, const char *name)
{
    size_t i;

    for (i = 0; i < call->nquery; i++) {
        if (loyalty_str_eq(call->query[i].name, loyalty_str_from(name))) {
            return call->query[i].value;
        }
    }

    return loyalty_str_null;
}

bool
loyalty_api_flag(const loyalty_api_call_t *call, const char *name)
{
    return loyalty_str_eq(loyalty_api_query(call, name), loyalty_str("true"));
}

bool
loyalty_api_limit(loyalty_api_call_t *call, size_t *limit)
{
    loyalty_str_t text = loyalty_api_query(call, "limit");
    int64_t value = LIST_DEFAULT;

    if (text.data != NULL
        && (!loyalty_str_int(text, &value) || value < 1
            || value > LIST_MAX)) {
        loyalty_api_error(call, 422, "invalid_limit",
                          "limit is a number from 1 to %d", LIST_MAX);
        return false;
    }

    *limit = (size_t)value;
    return true;
}

loyalty_str_t
loyalty_api_path(loyalty_api_call_t *call)
{
    size_t from = call->scope.site.len != 0 ? 2 : 0, i, len = 0;
    char *path, *p;

    for (i = from; i < call->nsegments; i++) {
        len += call->segments[i].len + 1;
    }

    p = path = loyalty_alloc(call->arena, len + 1);
    if (path == NULL) {
        call->session->commands.failed = true;
        return loyalty_str("");
    }

    for (i = from; i < call->nsegments; i++) {
        memcpy(p, call->segments[i].data, call->segments[i].len);
        p += call->segments[i].len;
        *p++ = '/';
    }

    return (loyalty_str_t){path, len - 1};
}

bool
loyalty_api_wants_new(const loyalty_api_call_t *call)
{
    return loyalty_str_eq(call->request->if_none_match, loyalty_str("*"));
}

bool
loyalty_api_refuses_any(loyalty_api_call_t *call)
{
    if (!loyalty_api_wants_new(call)) {
        return false;
    }

    loyalty_api_error(call, 412, "precondition_failed",
                      "it exists, and If-None-Match asks for a new one");
    return true;
}

bool
loyalty_api_is_stream_id(loyalty_str_t id)
{
    const char *dash = id.len != 0 ? memchr(id.data, '-', id.len) : NULL;
    loyalty_str_t ms, seq;
    int64_t first, second;

    if (dash == NULL) {
        return false;
    }

    ms = (loyalty_str_t){id.data, (size_t)(dash - id.data)};
    seq = (loyalty_str_t){dash + 1, id.len - ms.len - 1};

    return loyalty_str_int(ms, &first) && loyalty_str_int(seq, &second)
           && first >= 0 && second >= 0 && (first != 0 || second != 0);
}

void
loyalty_api_set_str(json_t *object, const char *name, loyalty_str_t text)
{
    if (text.len != 0) {
        json_object_set_new(object, name, json_stringn(text.data, text.len));
    }
}

void
loyalty_api_set_instant(json_t *object, const char *name,
                        loyalty_instant_t instant)
{
    char text[LOYALTY_INSTANT_SIZE];

    if (instant != LOYALTY_UNKNOWN && instant != LOYALTY_NEVER) {
        loyalty_instant_format(instant, text);
        json_object_set_new(object, name, json_string(text));
    }
}

loyalty_store_result_t
loyalty_api_read(loyalty_api_call_t *call, loyalty_replies_t *replies)
{
    return loyalty_store_call(call->session->store, call->scope.site,
                              &call->session->commands, replies);
}

void
loyalty_api_command(loyalty_api_call_t *call, const char *name,
                    const char *kind, loyalty_str_t rest, size_t more)
{
    loyalty_command(&call->session->commands, name, 2 + more);
    loyalty_arg_key(&call->session->commands, &call->scope, kind, rest);
}

loyalty_str_t
loyalty_api_global_key(loyalty_api_call_t *call, const char *name)
{
    loyalty_str_t prefix = call->session->conf->prefix;
    size_t size = prefix.len + strlen(name) + 2;
    char *key = loyalty_alloc(call->arena, size);

    if (key == NULL) {
        call->session->commands.failed = true;
        return loyalty_str("");
    }

    snprintf(key, size, "%.*s:%s", (int)prefix.len, prefix.data, name);

    return (loyalty_str_t){key, size - 1};
}

void
loyalty_api_global(loyalty_api_call_t *call, const char *name,
                   loyalty_str_t key, size_t more)
{
    loyalty_command(&call->session->commands, name, 2 + more);
    loyalty_arg(&call->session->commands, key);
}

loyalty_store_result_t
loyalty_api_global_read(loyalty_api_call_t *call, loyalty_str_t key,
                        loyalty_replies_t *replies)
{
    return loyalty_store_call(call->session->store, key,
                              &call->session->commands, replies);
}

/* To the site's audit, or the installation's, in a call of its own. */
static loyalty_store_result_t
audit_call(loyalty_api_call_t *call, loyalty_replies_t *replies)
{
    return call->scope.site.len != 0
               ? loyalty_api_read(call, replies)
               : loyalty_api_global_read(
                     call, loyalty_api_global_key(call, "audit"), replies);
}

/* MULTI, what is in session->commands, EXEC. */
static loyalty_store_result_t
global_exec(loyalty_api_call_t *call, loyalty_str_t key, int64_t *reply)
{
    loyalty_commands_t commands;
    loyalty_store_result_t result;
    loyalty_replies_t replies;

    loyalty_commands_init(&commands);
    loyalty_replies_init(&replies);
    loyalty_command(&commands, "MULTI", 1);
    loyalty_commands_append(&commands, &call->session->commands);
    loyalty_command(&commands, "EXEC", 1);
    call->session->watching = false;

    result = loyalty_store_exec_send(call->session->store, key, &commands);
    if (result == LOYALTY_STORE_OK) {
        result = loyalty_store_exec_receive(call->session->store, key,
                                            commands.count, &replies);
    }

    if (result == LOYALTY_STORE_OK
        && !loyalty_reply_int(replies.list[commands.count - 1]->element[0],
                              reply)) {
        result = LOYALTY_STORE_REFUSED;
    }

    loyalty_replies_free(&replies);
    loyalty_commands_free(&commands);

    return result;
}

loyalty_store_result_t
loyalty_api_global_write(loyalty_api_call_t *call, loyalty_str_t key,
                         int64_t *reply)
{
    loyalty_commands_t change = call->session->commands;
    loyalty_store_result_t result;
    loyalty_replies_t replies, gone;
    loyalty_str_t entry;

    loyalty_commands_init(&call->session->commands);
    loyalty_replies_init(&replies);
    loyalty_api_audit(call);
    result = audit_call(call, &replies);
    loyalty_commands_free(&call->session->commands);
    call->session->commands = change;

    if (result == LOYALTY_STORE_OK
        && replies.list[0]->type != REDIS_REPLY_STRING) {
        result = LOYALTY_STORE_REFUSED;
    }

    if (result == LOYALTY_STORE_OK) {
        result = global_exec(call, key, reply);
    }

    if (result == LOYALTY_STORE_CONFLICT
        && loyalty_reply_str(replies.list[0], &entry)) {
        loyalty_replies_init(&gone);
        loyalty_commands_reset(&call->session->commands);
        loyalty_api_audit_undo(call, entry);
        audit_call(call, &gone); /* else it tells of a try that failed */
        loyalty_replies_free(&gone);
    }

    loyalty_replies_free(&replies);

    return result;
}

void
loyalty_api_watch(loyalty_api_call_t *call, const char *kind,
                  loyalty_str_t rest)
{
    call->session->watching = true;
    loyalty_api_command(call, "WATCH", kind, rest, 0);
}

loyalty_store_result_t
loyalty_api_rank(loyalty_api_call_t *call, const char *kind,
                 loyalty_str_t rest, int64_t *rank)
{
    loyalty_str_t cursor = loyalty_api_query(call, "cursor");
    loyalty_store_result_t result;
    loyalty_replies_t replies;

    *rank = 0;
    if (cursor.len == 0) {
        return LOYALTY_STORE_OK;
    }

    loyalty_commands_reset(&call->session->commands);
    loyalty_api_command(call, "ZREVRANK", kind, rest, 1);
    loyalty_arg(&call->session->commands, cursor);
    loyalty_replies_init(&replies);
    result = loyalty_api_read(call, &replies);

    if (result == LOYALTY_STORE_OK) {
        if (loyalty_reply_int(replies.list[0], rank)) {
            (*rank)++;
        } else {
            loyalty_api_error(call, 422, "invalid_cursor",
                              "the cursor is not one of this list");
        }
    }

    loyalty_replies_free(&replies);

    return result;
}

loyalty_store_result_t
loyalty_api_range(loyalty_api_call_t *call, const char *command,
                  const char *kind, loyalty_str_t rest, loyalty_str_t from,
                  const char *to, size_t limit, loyalty_replies_t *replies)
{
    loyalty_commands_t *commands = &call->session->commands;
    loyalty_store_result_t result;

    loyalty_commands_reset(commands);
    loyalty_api_command(call, command, kind, rest, 5);
    loyalty_arg(commands, from);
    loyalty_arg_text(commands, to);
    loyalty_arg_text(commands, "LIMIT");
    loyalty_arg_int(commands, 0);
    loyalty_arg_int(commands, (int64_t)limit + 1);
    result = loyalty_api_read(call, replies);

    return result == LOYALTY_STORE_OK
                   && replies->list[0]->type != REDIS_REPLY_ARRAY
               ? LOYALTY_STORE_MALFORMED : result;
}

void
loyalty_api_list(loyalty_api_call_t *call, const char *name, json_t *items,
                 loyalty_str_t next)
{
    json_t *json = json_object();

    json_object_set_new(json, name, items);
    loyalty_api_set_str(json, "next_cursor", next);
    loyalty_api_json(call, 200, json);
}

loyalty_store_result_t
loyalty_api_ids(loyalty_api_call_t *call, const redisReply *reply,
                size_t limit, loyalty_str_t **ids, size_t *n,
                loyalty_str_t *next)
{
    size_t i;

    *next = loyalty_str_null;
    *n = reply->elements < limit ? reply->elements : limit;
    *ids = loyalty_alloc(call->arena, (*n + 1) * sizeof(**ids));
    if (*ids == NULL) {
        return LOYALTY_STORE_MEMORY;
    }

    for (i = 0; i < *n; i++) {
        if (!loyalty_reply_str(reply->element[i], &(*ids)[i])) {
            return LOYALTY_STORE_MALFORMED;
        }
    }

    if (reply->elements > limit) {
        *next = (*ids)[limit - 1];
    }

    return LOYALTY_STORE_OK;
}

loyalty_store_result_t
loyalty_api_values(loyalty_api_call_t *call, const char *kind,
                   const loyalty_str_t *ids, size_t n,
                   loyalty_replies_t *replies)
{
    loyalty_commands_t *commands = &call->session->commands;
    loyalty_store_result_t result;
    size_t i;

    loyalty_commands_reset(commands);
    loyalty_command(commands, "MGET", 1 + n);
    for (i = 0; i < n; i++) {
        loyalty_arg_key(commands, &call->scope, kind, ids[i]);
    }

    result = loyalty_api_read(call, replies);

    return result == LOYALTY_STORE_OK
                   && !loyalty_reply_array(replies->list[0], n)
               ? LOYALTY_STORE_MALFORMED : result;
}

bool
loyalty_api_query_instant(loyalty_api_call_t *call, const char *name,
                          loyalty_instant_t *at)
{
    loyalty_str_t text = loyalty_api_query(call, name);

    if (text.data == NULL || loyalty_instant_parse(text, at) == LOYALTY_OK) {
        return true;
    }

    loyalty_api_error(call, 422, "invalid_instant",
                      "%s is an instant such as 2026-01-31T08:00:00Z (in a "
                      "query a + is written %%2B)", name);
    return false;
}

bool
loyalty_api_at(loyalty_api_call_t *call, loyalty_instant_t *at)
{
    loyalty_str_t text = loyalty_api_query(call, "at");

    *at = call->now;

    if (text.data == NULL || loyalty_instant_parse(text, at) == LOYALTY_OK) {
        return true;
    }

    loyalty_api_error(call, 422, "invalid_at",
                      "at is an instant such as 2026-01-31T08:00:00Z (in a "
                      "query a + is written %%2B)");
    return false;
}

/* What is kept for an Idempotency-Key: the request's fingerprint, the status,
 * then a line each of Location and ETag, and the body. */
static void
keep_answer(loyalty_api_call_t *call)
{
    const loyalty_api_response_t *response = call->response;
    char head[128 + sizeof(response->location) + sizeof(response->etag)];
    loyalty_str_t value;
    char *p;
    int len;

    if (call->fingerprint[0] == '\0' || response->len > ANSWER_MAX) {
        return;
    }

    len = snprintf(head, sizeof(head), "%s %d\n%s\n%s\n",
                   call->fingerprint, response->status, response->location,
                   response->etag);
    p = loyalty_alloc(call->arena, (size_t)len + response->len);
    if (p == NULL) {
        call->session->commands.failed = true;
        return;
    }

    memcpy(p, head, (size_t)len);
    if (response->len != 0) {
        memcpy(p + len, response->body, response->len);
    }

    value = (loyalty_str_t){p, (size_t)len + response->len};
    loyalty_api_command(call, "SET", "i", call->request->idempotency_key, 3);
    loyalty_arg(&call->session->commands, value);
    loyalty_arg_text(&call->session->commands, "EX");
    loyalty_arg_int(&call->session->commands, ANSWER_SECONDS);

    if (call->person.len != 0) {
        loyalty_api_command(call, "SADD", "ik", call->person, 1);
        loyalty_arg(&call->session->commands, call->request->idempotency_key);
        loyalty_api_command(call, "EXPIRE", "ik", call->person, 1);
        loyalty_arg_int(&call->session->commands, ANSWER_SECONDS);
    }
}

loyalty_store_result_t
loyalty_api_commit(loyalty_api_call_t *call)
{
    loyalty_api_session_t *session = call->session;

    keep_answer(call);
    loyalty_api_audit(call);
    loyalty_command(&session->commands, "EXEC", 1);
    session->watching = false;

    return loyalty_store_exec(session->store, call->scope.site,
                              &session->commands);
}

loyalty_store_result_t
loyalty_api_program(loyalty_api_call_t *call,
                    const loyalty_program_t **program)
{
    loyalty_store_result_t result;

    result = loyalty_programs_get(call->session->programs,
                                  call->session->store, &call->scope, program);

    if (result == LOYALTY_STORE_OK && *program == NULL) {
        loyalty_api_not_found(call, "site");
    }

    return result;
}
