/*
 * Orders by the API: applied at once, by the same batch as the stream's, with
 * no lease; whoever loses a race for a member reads again.
 *
 * orders/batch answers in pieces: each is a batch of lines, one transaction,
 * one result a line.
 */

#include "loyalty_api_call.h"

#include <stdlib.h>

/* Lines of one piece; the client sees progress, Redis short transactions. */
#define PIECE_LINES 64

static json_t *
problem_list(const loyalty_batch_event_t *event)
{
    json_t *list = json_array();
    size_t i;

    for (i = 0; i < event->nproblems; i++) {
        json_array_append_new(
            list, json_pack("{s:s%,s:s%}", "pointer",
                            event->problems[i].pointer.data,
                            event->problems[i].pointer.len, "message",
                            event->problems[i].message.data,
                            event->problems[i].message.len));
    }

    return list;
}

static int
status_of(const loyalty_batch_event_t *event)
{
    switch (event->status) {
    case LOYALTY_OK:
        return event->effects.outcome == LOYALTY_APPLIED ? 201 : 200;
    case LOYALTY_ERROR_CONFLICT:
        return 409;
    case LOYALTY_ERROR_CORRUPT:
        return 500;
    default:
        break;
    }

    if (loyalty_str_eq(loyalty_str_from(event->code),
                       loyalty_str("invalid_json"))) {
        return 400;
    }

    return event->status == LOYALTY_ERROR_LIMIT && event->nproblems == 0
               ? 413 : 422;
}

static int64_t
points_of(const loyalty_effects_t *effects)
{
    int64_t sum = 0;
    size_t i;

    for (i = 0; i < effects->points.n; i++) {
        sum += effects->points.list[i].amount;
    }

    return sum;
}

/* {"outcome","order_id","member_id","points","status":{"from","to"}} or
 * {"outcome":"refused","error":{}} */
static json_t *
result_of(const loyalty_batch_event_t *event)
{
    const loyalty_effects_t *effects = &event->effects;
    json_t *json = json_object();

    json_object_set_new(json, "outcome",
                        json_string(loyalty_batch_outcome(event)));
    loyalty_api_set_str(json, "order_id", event->event.order_id);
    loyalty_api_set_str(json, "member_id", event->event.member_id);

    if (event->status != LOYALTY_OK) {
        json_object_set_new(
            json, "error",
            json_pack("{s:s,s:s%,s:o}", "code", event->code, "message",
                      event->message.data, event->message.len, "details",
                      problem_list(event)));
        return json;
    }

    json_object_set_new(json, "points", json_integer(points_of(effects)));
    if (!loyalty_str_eq(effects->tier_from, effects->tier_to)) {
        json_t *status = json_object();

        loyalty_api_set_str(status, "from", effects->tier_from);
        loyalty_api_set_str(status, "to", effects->tier_to);
        json_object_set_new(json, "status", status);
    }

    return json;
}

/* Loads and applies the batch: the commands are MULTI ... or empty. */
static loyalty_store_result_t
prepare(loyalty_api_call_t *call)
{
    loyalty_api_session_t *session = call->session;
    loyalty_store_result_t result;

    session->watching = true;
    result = loyalty_batch_load(session->batch, session->store,
                                loyalty_str_null, NULL, NULL);
    if (result == LOYALTY_STORE_OK) {
        result = loyalty_batch_apply(session->batch, session->store,
                                     call->now);
    }

    loyalty_commands_reset(&session->commands);
    if (result == LOYALTY_STORE_OK
        && loyalty_batch_write(session->batch, loyalty_str_null, 0, call->now,
                               &session->commands)
        && session->commands.failed) {
        result = LOYALTY_STORE_MEMORY;
    }

    return result;
}

static void
answer(loyalty_api_call_t *call, const loyalty_batch_event_t *event)
{
    int status = status_of(event);

    if (event->status == LOYALTY_OK) {
        loyalty_api_json(call, status, result_of(event));
        return;
    }

    if (event->nproblems != 0) {
        loyalty_api_problems(call, status, "invalid",
                             "the order event is not valid", event->problems,
                             event->nproblems, "");
        return;
    }

    loyalty_api_error(call, status, event->code, "%.*s",
                      (int)event->message.len, event->message.data);
}

loyalty_store_result_t
loyalty_api_post_order(loyalty_api_call_t *call)
{
    loyalty_batch_t *batch = call->session->batch;
    const loyalty_program_t *program;
    loyalty_store_result_t result;

    result = loyalty_api_program(call, &program);
    if (result != LOYALTY_STORE_OK || program == NULL) {
        return result;
    }

    loyalty_batch_begin(batch, &call->scope, call->session->programs, program);
    if (loyalty_batch_add(batch, loyalty_str_null, loyalty_str_null,
                          call->request->body, call->now) != LOYALTY_OK) {
        return LOYALTY_STORE_MEMORY;
    }

    if (call->caller.signed_in) {
        loyalty_batch_event(batch, 0)->event.by = loyalty_str_from(call->who);
    }

    result = prepare(call);
    if (result != LOYALTY_STORE_OK) {
        return result;
    }

    answer(call, loyalty_batch_event(batch, 0));

    return call->session->commands.count != 0 ? loyalty_api_commit(call)
                                              : LOYALTY_STORE_OK;
}

/* The next line of the body from *offset, blank ones skipped, without its
 * newline; false: there is none. */
static bool
next_line(loyalty_str_t body, size_t *offset, loyalty_str_t *line)
{
    const char *begin, *end;
    size_t left;

    while (*offset < body.len) {
        begin = body.data + *offset;
        left = body.len - *offset;
        end = memchr(begin, '\n', left);
        line->data = begin;
        line->len = end != NULL ? (size_t)(end - begin) : left;
        *offset += line->len + (end != NULL);

        if (line->len != 0 && begin[line->len - 1] == '\r') {
            line->len--;
        }
        if (line->len != 0) {
            return true;
        }
    }

    return false;
}

/* The lines of a piece; *offset moves behind them. */
static loyalty_store_result_t
add_lines(loyalty_api_call_t *call, size_t *offset)
{
    loyalty_batch_t *batch = call->session->batch;
    loyalty_str_t line;
    size_t n;

    for (n = 0; n < PIECE_LINES
                && next_line(call->request->body, offset, &line); n++) {
        if (loyalty_batch_add(batch, loyalty_str_null, loyalty_str_null, line,
                              call->now) != LOYALTY_OK) {
            return LOYALTY_STORE_MEMORY;
        }
    }

    return LOYALTY_STORE_OK;
}

static bool
append(loyalty_api_response_t *response, size_t *capacity, const char *text)
{
    size_t len = strlen(text), wanted = response->len + len + 1;
    char *body;

    if (wanted > *capacity) {
        wanted = wanted * 2 + 4096;
        body = realloc(response->body, wanted);
        if (body == NULL) {
            return false;
        }
        response->body = body;
        *capacity = wanted;
    }

    memcpy(response->body + response->len, text, len);
    response->body[response->len + len] = '\n';
    response->len += len + 1;

    return true;
}

static loyalty_store_result_t
write_results(loyalty_api_call_t *call)
{
    loyalty_batch_t *batch = call->session->batch;
    loyalty_batch_event_t *event;
    size_t i, capacity = 0;
    json_t *json;
    char *text;
    bool ok = true;

    call->response->status = 200;
    call->response->content_type = "application/x-ndjson";

    for (i = 0; i < loyalty_batch_count(batch) && ok; i++) {
        event = loyalty_batch_event(batch, i);
        json = result_of(event);
        json_object_set_new(json, "http_status",
                            json_integer(status_of(event)));
        text = json_dumps(json, JSON_COMPACT);
        ok = text != NULL && append(call->response, &capacity, text);
        free(text);
        json_decref(json);
    }

    return ok ? LOYALTY_STORE_OK : LOYALTY_STORE_MEMORY;
}

/* The same key with another body is refused; the lines themselves are
 * idempotent, so their results are not kept. */
static void
mark_key(loyalty_api_call_t *call)
{
    loyalty_commands_t *commands = &call->session->commands;
    char *mark;

    if (call->fingerprint[0] == '\0') {
        return;
    }

    if (commands->count == 0) {
        loyalty_command(commands, "MULTI", 1);
    }

    mark = loyalty_alloc(call->arena, 70);
    if (mark == NULL) {
        commands->failed = true;
        return;
    }

    memcpy(mark, call->fingerprint, 64);
    memcpy(mark + 64, " 000\n", 5);
    loyalty_api_command(call, "SET", "i", call->request->idempotency_key, 3);
    loyalty_arg(commands, (loyalty_str_t){mark, 69});
    loyalty_arg_text(commands, "EX");
    loyalty_arg_int(commands, 86400);
    call->fingerprint[0] = '\0'; /* or the answer would be kept */
}

loyalty_store_result_t
loyalty_api_post_orders(loyalty_api_call_t *call)
{
    size_t offset = call->request->offset;
    const loyalty_program_t *program;
    loyalty_store_result_t result;
    char fingerprint[65];

    result = loyalty_api_program(call, &program);
    if (result != LOYALTY_STORE_OK || program == NULL) {
        return result;
    }

    loyalty_batch_begin(call->session->batch, &call->scope,
                        call->session->programs, program);
    result = add_lines(call, &offset);
    if (result == LOYALTY_STORE_OK) {
        result = prepare(call);
    }
    if (result == LOYALTY_STORE_OK) {
        result = write_results(call);
    }
    if (result != LOYALTY_STORE_OK) {
        return result;
    }

    memcpy(fingerprint, call->fingerprint, sizeof(fingerprint));
    if (call->request->offset == 0) {
        mark_key(call);
    }
    call->fingerprint[0] = '\0';

    if (call->session->commands.count != 0) {
        result = loyalty_api_commit(call);
    }

    memcpy(call->fingerprint, fingerprint, sizeof(fingerprint));
    if (result == LOYALTY_STORE_OK && offset < call->request->body.len) {
        call->response->offset = offset;
    }

    return result;
}

/* *order NULL: the answer is written, or the store's. */
static loyalty_store_result_t
read_order(loyalty_api_call_t *call, loyalty_replies_t *replies,
           loyalty_order_t **order)
{
    loyalty_store_result_t result;
    loyalty_str_t bytes;

    *order = NULL;
    if (call->segments[3].len > LOYALTY_ORDER_ID_MAX) {
        loyalty_api_not_found(call, "order");
        return LOYALTY_STORE_OK;
    }

    loyalty_commands_reset(&call->session->commands);
    loyalty_api_command(call, "GET", "o", call->segments[3], 0);
    result = loyalty_api_read(call, replies);
    if (result != LOYALTY_STORE_OK) {
        return result;
    }

    if (!loyalty_reply_str(replies->list[0], &bytes)) {
        return LOYALTY_STORE_MALFORMED;
    }

    if (bytes.data == NULL) {
        loyalty_api_not_found(call, "order");
        return LOYALTY_STORE_OK;
    }

    return loyalty_order_decode(bytes, call->arena, order) == LOYALTY_OK
               ? LOYALTY_STORE_OK : LOYALTY_STORE_MALFORMED;
}

loyalty_store_result_t
loyalty_api_get_order(loyalty_api_call_t *call)
{
    loyalty_store_result_t result;
    loyalty_replies_t replies;
    loyalty_order_t *order;

    loyalty_replies_init(&replies);
    result = read_order(call, &replies, &order);
    if (result == LOYALTY_STORE_OK && order != NULL) {
        loyalty_api_json(call, 200, loyalty_order_to_json(order));
    }
    loyalty_replies_free(&replies);

    return result;
}

/* The order's last attempt; 0: the answer is written, or the store's. */
static loyalty_store_result_t
read_attempt(loyalty_api_call_t *call, json_int_t *attempt)
{
    loyalty_store_result_t result;
    loyalty_replies_t replies;
    loyalty_order_t *order;

    *attempt = 0;
    loyalty_replies_init(&replies);
    result = read_order(call, &replies, &order);
    if (result == LOYALTY_STORE_OK && order != NULL && order->nattempts != 0) {
        *attempt = order->attempts[order->nattempts - 1].attempt;
    }
    loyalty_replies_free(&replies);

    return result;
}

/* {"reason", and of a refund "id", "amount", "lines"}; false: the error is
 * written. */
static bool
check_correction(loyalty_api_call_t *call, bool refund)
{
    const json_t *reason = json_object_get(call->body, "reason");
    const char *name;
    json_t *value;

    if (!json_is_string(reason) || json_string_length(reason) == 0
        || json_string_length(reason) > LOYALTY_MEMBER_TEXT_MAX) {
        loyalty_api_problem(call, "/reason", "must say why");
        return false;
    }

    json_object_foreach(call->body, name, value) {
        if (strcmp(name, "reason") != 0
            && !(refund
                 && (strcmp(name, "id") == 0 || strcmp(name, "amount") == 0
                     || strcmp(name, "lines") == 0))) {
            loyalty_api_problem(call, "", refund ? "a refund has id, amount, "
                                "lines and reason" : "a cancellation has a "
                                "reason alone");
            return false;
        }
    }

    return true;
}

/* The event that staff's correction is, as the shop would have sent it. */
static json_t *
correction(loyalty_api_call_t *call, json_int_t attempt, bool refund)
{
    loyalty_str_t id = call->segments[3];
    char now[LOYALTY_INSTANT_SIZE];
    json_t *json, *part;

    loyalty_instant_format(call->now, now);
    json = json_pack("{s:s%,s:I,s:s,s:s}", "order_id", id.data, id.len,
                     "attempt", attempt, "status",
                     refund ? "refunded" : "cancelled", "occurred_at", now);
    if (refund) {
        part = json_copy(call->body);
        json_object_del(part, "reason");
        json_object_set_new(json, "refund", part);
    }

    return json;
}

static loyalty_store_result_t
correct_order(loyalty_api_call_t *call, bool refund)
{
    loyalty_batch_t *batch = call->session->batch;
    const loyalty_program_t *program;
    loyalty_store_result_t result;
    loyalty_status_t status;
    json_int_t attempt;
    json_t *json;
    char *text;

    if (!check_correction(call, refund)) {
        return LOYALTY_STORE_OK;
    }

    result = loyalty_api_program(call, &program);
    if (result != LOYALTY_STORE_OK || program == NULL) {
        return result;
    }

    result = read_attempt(call, &attempt);
    if (result != LOYALTY_STORE_OK || attempt == 0) {
        return result;
    }

    json = correction(call, attempt, refund);
    text = json_dumps(json, JSON_COMPACT);
    json_decref(json);
    if (text == NULL) {
        return LOYALTY_STORE_MEMORY;
    }

    loyalty_batch_begin(batch, &call->scope, call->session->programs, program);
    status = loyalty_batch_add(batch, loyalty_str_null, loyalty_str_null,
                               loyalty_str_from(text), call->now);
    free(text);
    if (status != LOYALTY_OK) {
        return LOYALTY_STORE_MEMORY;
    }

    loyalty_batch_event(batch, 0)->event.by = loyalty_str_from(call->who);
    result = prepare(call);
    if (result != LOYALTY_STORE_OK) {
        return result;
    }

    answer(call, loyalty_batch_event(batch, 0));
    call->audit_after = json_incref(call->body);

    return call->session->commands.count != 0 ? loyalty_api_commit(call)
                                              : LOYALTY_STORE_OK;
}

loyalty_store_result_t
loyalty_api_cancel_order(loyalty_api_call_t *call)
{
    return correct_order(call, false);
}

loyalty_store_result_t
loyalty_api_refund_order(loyalty_api_call_t *call)
{
    return correct_order(call, true);
}
