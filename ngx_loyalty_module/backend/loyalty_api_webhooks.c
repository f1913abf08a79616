/*
 * Webhooks: their secrets, what was delivered, and delivering it again.
 *
 * The webhooks themselves are in the settings.  A secret is shown once, when
 * it is made, and never kept with an Idempotency-Key: who lost it makes
 * another, and the old one ends.
 */

#include "loyalty_api_call.h"

#include <stdio.h>
#include <sys/random.h>

#include "loyalty_hook.h"
#include "loyalty_webhook.h"

#define SECRET_BYTES 32

static const struct {
    const char *field, *name;
    enum { TEXT, NUMBER, INSTANT } kind;
} shown[] = {
    {"s", "state", TEXT},         {"w", "webhook_id", TEXT},
    {"k", "type", TEXT},          {"e", "event_id", TEXT},
    {"a", "created_at", INSTANT}, {"f", "first_try_at", INSTANT},
    {"y", "tries", NUMBER},       {"c", "status", NUMBER},
    {"m", "error", TEXT},         {"t", "ended_at", INSTANT},
    {"u", "uri", TEXT},
};

#define NSHOWN (sizeof(shown) / sizeof(shown[0]))

loyalty_store_result_t
loyalty_api_make_webhook_secret(loyalty_api_call_t *call)
{
    static const char digits[] = "0123456789abcdef";
    loyalty_str_t id = call->segments[3];
    char secret[6 + SECRET_BYTES * 2 + 1] = "whsec_";
    unsigned char random[SECRET_BYTES];
    const loyalty_program_t *program;
    loyalty_store_result_t result;
    size_t i;

    result = loyalty_api_program(call, &program);
    if (result != LOYALTY_STORE_OK || program == NULL) {
        return result;
    }

    if (loyalty_program_webhook(program, id) == NULL) {
        loyalty_api_not_found(call, "webhook");
        return LOYALTY_STORE_OK;
    }

    if (getrandom(random, sizeof(random), 0) != sizeof(random)) {
        return LOYALTY_STORE_MEMORY;
    }
    for (i = 0; i < SECRET_BYTES; i++) {
        secret[6 + i * 2] = digits[random[i] >> 4];
        secret[6 + i * 2 + 1] = digits[random[i] & 15];
    }

    loyalty_api_json(call, 201, json_pack("{s:s%,s:s}", "id", id.data, id.len,
                                          "secret", secret));
    call->fingerprint[0] = '\0';
    loyalty_commands_reset(&call->session->commands);
    loyalty_command(&call->session->commands, "MULTI", 1);
    loyalty_api_command(call, "HSET", "x", loyalty_str("secrets"), 2);
    loyalty_arg(&call->session->commands, id);
    loyalty_arg_text(&call->session->commands, secret);

    return loyalty_api_commit(call);
}

static void
command_delivery(loyalty_api_call_t *call, loyalty_str_t id)
{
    size_t i;

    loyalty_api_command(call, "HMGET", "wd", id, NSHOWN);
    for (i = 0; i < NSHOWN; i++) {
        loyalty_arg_text(&call->session->commands, shown[i].field);
    }
}

/* NULL: it is there no longer. */
static json_t *
delivery_json(loyalty_str_t id, const redisReply *reply)
{
    loyalty_str_t text;
    int64_t number;
    json_t *json;
    size_t i;

    if (!loyalty_reply_array(reply, NSHOWN)
        || loyalty_reply_is_nil(reply->element[0])) {
        return NULL;
    }

    json = json_object();
    loyalty_api_set_str(json, "id", id);
    for (i = 0; i < NSHOWN; i++) {
        if (!loyalty_reply_str(reply->element[i], &text) || text.len == 0) {
            continue;
        }
        if (shown[i].kind == TEXT) {
            loyalty_api_set_str(json, shown[i].name, text);
        } else if (!loyalty_str_int(text, &number)) {
            continue;
        } else if (shown[i].kind == INSTANT) {
            loyalty_api_set_instant(json, shown[i].name, number);
        } else if (number != 0) {
            json_object_set_new(json, shown[i].name, json_integer(number));
        }
    }

    return json;
}

static loyalty_store_result_t
show(loyalty_api_call_t *call, const redisReply *reply, size_t limit)
{
    json_t *items = json_array(), *json;
    loyalty_store_result_t result;
    loyalty_replies_t replies;
    loyalty_str_t *ids, next;
    size_t i, n;

    loyalty_replies_init(&replies);
    result = loyalty_api_ids(call, reply, limit, &ids, &n, &next);
    if (result == LOYALTY_STORE_OK && n != 0) {
        loyalty_commands_reset(&call->session->commands);
        for (i = 0; i < n; i++) {
            command_delivery(call, ids[i]);
        }
        result = loyalty_api_read(call, &replies);
    }

    for (i = 0; result == LOYALTY_STORE_OK && i < n; i++) {
        json = delivery_json(ids[i], replies.list[i]);
        if (json != NULL) {
            json_array_append_new(items, json);
        }
    }

    if (result == LOYALTY_STORE_OK) {
        loyalty_api_list(call, "deliveries", json_incref(items), next);
    }

    json_decref(items);
    loyalty_replies_free(&replies);
    return result;
}

loyalty_store_result_t
loyalty_api_list_deliveries(loyalty_api_call_t *call)
{
    loyalty_commands_t *commands = &call->session->commands;
    loyalty_str_t state = loyalty_api_query(call, "state");
    const loyalty_program_t *program;
    loyalty_store_result_t result;
    loyalty_replies_t ids;
    int64_t rank = 0;
    size_t limit;

    if (!loyalty_api_limit(call, &limit)) {
        return LOYALTY_STORE_OK;
    }

    if (state.len != 0 && !loyalty_str_eq(state, loyalty_str("pending"))
        && !loyalty_str_eq(state, loyalty_str("done"))
        && !loyalty_str_eq(state, loyalty_str("dead"))) {
        loyalty_api_error(call, 422, "invalid_state",
                          "state is pending, done or dead");
        return LOYALTY_STORE_OK;
    }

    result = loyalty_api_program(call, &program);
    if (result == LOYALTY_STORE_OK && program != NULL) {
        result = loyalty_api_rank(call, "wl", state, &rank);
    }
    if (result != LOYALTY_STORE_OK || call->response->status != 0) {
        return result;
    }

    loyalty_commands_reset(commands);
    loyalty_api_command(call, "ZREVRANGE", "wl", state, 2);
    loyalty_arg_int(commands, rank);
    loyalty_arg_int(commands, rank + (int64_t)limit);
    loyalty_replies_init(&ids);
    result = loyalty_api_read(call, &ids);

    if (result == LOYALTY_STORE_OK) {
        result = ids.list[0]->type == REDIS_REPLY_ARRAY
                     ? show(call, ids.list[0], limit)
                     : LOYALTY_STORE_MALFORMED;
    }

    loyalty_replies_free(&ids);
    return result;
}

loyalty_store_result_t
loyalty_api_replay_delivery(loyalty_api_call_t *call)
{
    loyalty_commands_t *commands = &call->session->commands;
    loyalty_str_t id = call->segments[4];
    loyalty_store_result_t result;
    loyalty_replies_t replies;
    loyalty_hook_t hook;

    if (id.len > LOYALTY_HOOK_ID_MAX) {
        loyalty_api_not_found(call, "delivery");
        return LOYALTY_STORE_OK;
    }

    loyalty_replies_init(&replies);
    loyalty_commands_reset(commands);
    loyalty_api_watch(call, "wd", id);
    loyalty_api_command(call, "HGETALL", "wd", id, 0);
    result = loyalty_api_read(call, &replies);

    if (result == LOYALTY_STORE_OK
        && !loyalty_hook_read(replies.list[1], id, &hook)) {
        loyalty_api_not_found(call, "delivery");
    } else if (result == LOYALTY_STORE_OK
               && loyalty_str_eq(hook.state, loyalty_str("pending"))) {
        loyalty_api_error(call, 409, "pending", "the delivery is under way");
    } else if (result == LOYALTY_STORE_OK) {
        loyalty_api_json(call, 202, json_pack("{s:s%,s:s}", "id", id.data,
                                              id.len, "state", "pending"));
        loyalty_commands_reset(commands);
        loyalty_command(commands, "MULTI", 1);
        loyalty_hook_replay(&hook, call->now, &call->scope, commands);
        result = loyalty_api_commit(call);
    }

    loyalty_replies_free(&replies);
    return result;
}
