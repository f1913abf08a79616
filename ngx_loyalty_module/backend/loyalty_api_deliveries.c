/*
 * The log of deliveries, and delivering again: one, or all of a list.
 *
 * A list is one sorted set, newest first.  Its cursor is the last delivery that
 * was looked at: its rank is where the next page begins, or, where it has moved
 * to another list meanwhile, the rank that its instant would have.
 */

#include "loyalty_api_call.h"

#include <inttypes.h>
#include <stdio.h>

#include "loyalty_hook.h"

#define PAGES 10 /* of deliveries looked at for one page of a webhook's */

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

/* A walk through a list, as the query has it. */
typedef struct {
    loyalty_api_call_t *call;
    loyalty_str_t state, webhook;
    loyalty_instant_t from, to;
    size_t limit;
    int64_t rank, end;  /* of the next one, and behind the last one */
    loyalty_str_t last; /* looked at */
} walk_t;

static void
bound(loyalty_api_call_t *call, loyalty_str_t state, const char *sign,
      int64_t score)
{
    char text[32];

    snprintf(text, sizeof(text), "%s%" PRId64, sign, score);
    loyalty_api_command(call, "ZCOUNT", "wl", state, 2);
    loyalty_arg_text(&call->session->commands, text);
    loyalty_arg_text(&call->session->commands, "+inf");
}

/* The rank behind a cursor that is in the list no longer; -1: nor in any. */
static loyalty_store_result_t
find_moved(walk_t *walk, const redisReply *score, int64_t *rank)
{
    loyalty_api_call_t *call = walk->call;
    loyalty_store_result_t result;
    loyalty_replies_t replies;
    loyalty_str_t text;
    int64_t at;

    *rank = -1;
    if (!loyalty_reply_str(score, &text) || text.data == NULL
        || !loyalty_str_int(text, &at)) {
        return LOYALTY_STORE_OK;
    }

    loyalty_replies_init(&replies);
    loyalty_commands_reset(&call->session->commands);
    bound(call, walk->state, "(", at);
    result = loyalty_api_read(call, &replies);
    if (result == LOYALTY_STORE_OK
        && !loyalty_reply_int(replies.list[0], rank)) {
        result = LOYALTY_STORE_MALFORMED;
    }

    loyalty_replies_free(&replies);
    return result;
}

/* Where to begin and to end, newest first. */
static loyalty_store_result_t
find_ranks(walk_t *walk)
{
    loyalty_api_call_t *call = walk->call;
    loyalty_str_t cursor = loyalty_api_query(call, "cursor");
    loyalty_store_result_t result;
    loyalty_replies_t replies;
    int64_t first = 0;

    loyalty_replies_init(&replies);
    loyalty_commands_reset(&call->session->commands);
    bound(call, walk->state, "(", walk->to);
    bound(call, walk->state, "", walk->from);
    loyalty_api_command(call, "ZREVRANK", "wl", walk->state, 1);
    loyalty_arg(&call->session->commands, cursor);
    loyalty_api_command(call, "ZSCORE", "wl", loyalty_str_null, 1);
    loyalty_arg(&call->session->commands, cursor);
    result = loyalty_api_read(call, &replies);

    if (result == LOYALTY_STORE_OK
        && (!loyalty_reply_int(replies.list[0], &first)
            || !loyalty_reply_int(replies.list[1], &walk->end))) {
        result = LOYALTY_STORE_MALFORMED;
    }

    if (result == LOYALTY_STORE_OK && cursor.len != 0) {
        if (loyalty_reply_int(replies.list[2], &walk->rank)) {
            walk->rank++;
        } else {
            result = find_moved(walk, replies.list[3], &walk->rank);
        }
        if (walk->rank < 0) {
            loyalty_api_error(call, 422, "invalid_cursor",
                              "the cursor is not one of this list");
        }
    }

    if (result == LOYALTY_STORE_OK && walk->rank < first) {
        walk->rank = first;
    }

    loyalty_replies_free(&replies);
    return result;
}

/* Reads the query; where it is wrong, or there is no site, the response says
 * so. */
static loyalty_store_result_t
begin(walk_t *walk, loyalty_api_call_t *call)
{
    const loyalty_program_t *program;
    loyalty_store_result_t result;

    *walk = (walk_t){
        .call = call,
        .state = loyalty_api_query(call, "state"),
        .webhook = loyalty_api_query(call, "webhook"),
        .to = INT64_MAX,
    };

    if (!loyalty_api_limit(call, &walk->limit)
        || !loyalty_api_query_instant(call, "from", &walk->from)
        || !loyalty_api_query_instant(call, "to", &walk->to)) {
        return LOYALTY_STORE_OK;
    }

    if (walk->state.len != 0
        && !loyalty_str_eq(walk->state, loyalty_str("pending"))
        && !loyalty_str_eq(walk->state, loyalty_str("done"))
        && !loyalty_str_eq(walk->state, loyalty_str("dead"))) {
        loyalty_api_error(call, 422, "invalid_state",
                          "state is pending, done or dead");
        return LOYALTY_STORE_OK;
    }

    result = loyalty_api_program(call, &program);
    return result == LOYALTY_STORE_OK && program != NULL ? find_ranks(walk)
                                                         : result;
}

/* The ids of the next page, `limit` at most; *n is 0 at the end. */
static loyalty_store_result_t
next_page(walk_t *walk, loyalty_str_t **ids, size_t *n)
{
    loyalty_api_call_t *call = walk->call;
    int64_t until = walk->rank + (int64_t)walk->limit;
    loyalty_store_result_t result;
    loyalty_replies_t replies;
    size_t i;

    *n = 0;
    if (walk->rank >= walk->end) {
        return LOYALTY_STORE_OK;
    }

    loyalty_replies_init(&replies);
    loyalty_commands_reset(&call->session->commands);
    loyalty_api_command(call, "ZREVRANGE", "wl", walk->state, 2);
    loyalty_arg_int(&call->session->commands, walk->rank);
    loyalty_arg_int(&call->session->commands,
                    (until < walk->end ? until : walk->end) - 1);
    result = loyalty_api_read(call, &replies);

    if (result == LOYALTY_STORE_OK
        && replies.list[0]->type != REDIS_REPLY_ARRAY) {
        result = LOYALTY_STORE_MALFORMED;
    }
    if (result == LOYALTY_STORE_OK) {
        *n = replies.list[0]->elements;
        *ids = loyalty_alloc(call->arena, (*n + 1) * sizeof(**ids));
        result = *ids == NULL ? LOYALTY_STORE_MEMORY : result;
    }
    for (i = 0; i < *n && result == LOYALTY_STORE_OK; i++) {
        if (!loyalty_reply_str(replies.list[0]->element[i], &(*ids)[i])) {
            result = LOYALTY_STORE_MALFORMED;
        } else if (loyalty_str_copy(call->arena, (*ids)[i], &(*ids)[i])
                   != LOYALTY_OK) {
            result = LOYALTY_STORE_MEMORY;
        }
    }

    loyalty_replies_free(&replies);
    return result;
}

static void
look_at(walk_t *walk, loyalty_str_t id)
{
    walk->rank++;
    walk->last = id;
}

static loyalty_str_t
cursor_of(const walk_t *walk)
{
    return walk->rank < walk->end ? walk->last : loyalty_str_null;
}

static bool
is_wanted(const walk_t *walk, loyalty_str_t webhook)
{
    return walk->webhook.len == 0 || loyalty_str_eq(walk->webhook, webhook);
}

/* Adds a page's deliveries that are wanted, until there are enough. */
static loyalty_store_result_t
show(walk_t *walk, const loyalty_str_t *ids, size_t n, json_t *items)
{
    loyalty_api_call_t *call = walk->call;
    loyalty_store_result_t result;
    loyalty_replies_t replies;
    json_t *json;
    const char *webhook;
    size_t i;

    loyalty_replies_init(&replies);
    loyalty_commands_reset(&call->session->commands);
    for (i = 0; i < n; i++) {
        command_delivery(call, ids[i]);
    }
    result = loyalty_api_read(call, &replies);

    for (i = 0; result == LOYALTY_STORE_OK && i < n
                && json_array_size(items) < walk->limit; i++) {
        look_at(walk, ids[i]);
        json = delivery_json(ids[i], replies.list[i]);
        webhook = json_string_value(json_object_get(json, "webhook_id"));
        if (json != NULL && is_wanted(walk, loyalty_str_from(webhook))) {
            json_array_append(items, json);
        }
        json_decref(json);
    }

    loyalty_replies_free(&replies);
    return result;
}

loyalty_store_result_t
loyalty_api_list_deliveries(loyalty_api_call_t *call)
{
    loyalty_store_result_t result;
    loyalty_str_t *ids;
    json_t *items;
    walk_t walk;
    size_t n = 1;
    int page;

    result = begin(&walk, call);
    if (result != LOYALTY_STORE_OK || call->response->status != 0) {
        return result;
    }

    items = json_array();
    for (page = 0; page < PAGES && n != 0 && result == LOYALTY_STORE_OK
                   && json_array_size(items) < walk.limit; page++) {
        result = next_page(&walk, &ids, &n);
        if (result == LOYALTY_STORE_OK && n != 0) {
            result = show(&walk, ids, n, items);
        }
    }

    if (result == LOYALTY_STORE_OK) {
        loyalty_api_list(call, "deliveries", json_incref(items),
                         n == 0 ? loyalty_str_null : cursor_of(&walk));
    }

    json_decref(items);
    return result;
}

loyalty_store_result_t
loyalty_api_get_delivery(loyalty_api_call_t *call)
{
    loyalty_str_t id = call->segments[4], body;
    loyalty_store_result_t result;
    loyalty_replies_t replies;
    json_t *json = NULL;

    if (id.len > LOYALTY_HOOK_ID_MAX) {
        loyalty_api_not_found(call, "delivery");
        return LOYALTY_STORE_OK;
    }

    loyalty_replies_init(&replies);
    loyalty_commands_reset(&call->session->commands);
    command_delivery(call, id);
    loyalty_api_command(call, "HGET", "wd", id, 1);
    loyalty_arg_text(&call->session->commands, "b");
    result = loyalty_api_read(call, &replies);

    if (result == LOYALTY_STORE_OK) {
        json = delivery_json(id, replies.list[0]);
        if (json == NULL) {
            loyalty_api_not_found(call, "delivery");
        } else {
            if (loyalty_reply_str(replies.list[1], &body)) {
                loyalty_api_set_str(json, "body", body);
            }
            loyalty_api_json(call, 200, json);
        }
    }

    loyalty_replies_free(&replies);
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

/* A page of a walk, again; those that are pending by now are left alone. */
static loyalty_store_result_t
replay_page(walk_t *walk, const loyalty_str_t *ids, size_t n)
{
    loyalty_api_call_t *call = walk->call;
    loyalty_commands_t *commands = &call->session->commands;
    loyalty_store_result_t result;
    loyalty_replies_t replies;
    int64_t replayed = 0;
    loyalty_hook_t hook;
    json_t *json;
    size_t i;

    loyalty_replies_init(&replies);
    loyalty_commands_reset(commands);
    for (i = 0; i < n; i++) {
        loyalty_api_watch(call, "wd", ids[i]);
        loyalty_api_command(call, "HGETALL", "wd", ids[i], 0);
    }
    result = n == 0 ? LOYALTY_STORE_OK : loyalty_api_read(call, &replies);

    if (result == LOYALTY_STORE_OK) {
        loyalty_commands_reset(commands);
        loyalty_command(commands, "MULTI", 1);
        for (i = 0; i < n; i++) {
            look_at(walk, ids[i]);
            if (loyalty_hook_read(replies.list[i * 2 + 1], ids[i], &hook)
                && loyalty_str_eq(hook.state, walk->state)
                && is_wanted(walk, hook.webhook)) {
                loyalty_hook_replay(&hook, call->now, &call->scope, commands);
                replayed++;
            }
        }
        json = json_pack("{s:I}", "replayed", (json_int_t)replayed);
        loyalty_api_set_str(json, "next_cursor", cursor_of(walk));
        loyalty_api_json(call, 202, json);
        result = loyalty_api_commit(call);
    }

    loyalty_replies_free(&replies);
    return result;
}

loyalty_store_result_t
loyalty_api_replay_deliveries(loyalty_api_call_t *call)
{
    loyalty_str_t state = loyalty_api_query(call, "state"), *ids = NULL;
    loyalty_store_result_t result;
    walk_t walk;
    size_t n;

    if (!loyalty_str_eq(state, loyalty_str("dead"))
        && !loyalty_str_eq(state, loyalty_str("done"))) {
        loyalty_api_error(call, 422, "invalid_state",
                          "state is dead or done");
        return LOYALTY_STORE_OK;
    }

    result = begin(&walk, call);
    if (result != LOYALTY_STORE_OK || call->response->status != 0) {
        return result;
    }

    result = next_page(&walk, &ids, &n);
    return result == LOYALTY_STORE_OK ? replay_page(&walk, ids, n) : result;
}
