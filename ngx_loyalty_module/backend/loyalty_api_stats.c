/*
 * What the pipeline has done and has before it, and its dead letters.
 */

#include "loyalty_api_call.h"

#include <stdlib.h>

/* The counters of the pipeline, all there from the start. */
static const char *const counters[] = {"applied", "duplicates", "held",
                                       "guests", "dead"};

static void
add_counters(json_t *stats, const redisReply *reply)
{
    loyalty_str_t name, text;
    int64_t value;
    size_t i;

    for (i = 0; i < sizeof(counters) / sizeof(counters[0]); i++) {
        json_object_set_new(stats, counters[i], json_integer(0));
    }

    for (i = 0; reply->type == REDIS_REPLY_ARRAY && i + 1 < reply->elements;
         i += 2) {
        if (loyalty_reply_str(reply->element[i], &name)
            && loyalty_reply_str(reply->element[i + 1], &text)
            && loyalty_str_int(text, &value)) {
            json_object_set_new(stats, name.data, json_integer(value));
        }
    }
}

static int64_t
integer(const redisReply *reply)
{
    int64_t value;

    return loyalty_reply_int(reply, &value) ? value : 0;
}

/* One stream from its length and XINFO GROUPS: [[name, value, ...], ...].  A
 * lag that Redis does not know (entries deleted) is null. */
static json_t *
stream(const redisReply *length, const redisReply *groups)
{
    json_t *json = json_pack("{s:I,s:i,s:n}", "length",
                             (json_int_t)integer(length), "pending", 0, "lag");
    const redisReply *group;
    loyalty_str_t name;
    int64_t value;
    size_t i;

    if (groups->type != REDIS_REPLY_ARRAY || groups->elements == 0) {
        json_object_set_new(json, "lag", json_integer(integer(length)));
        return json;
    }

    group = groups->element[0];

    for (i = 0; group->type == REDIS_REPLY_ARRAY && i + 1 < group->elements;
         i += 2) {
        if (loyalty_reply_str(group->element[i], &name)
            && (loyalty_str_eq(name, loyalty_str("pending"))
                || loyalty_str_eq(name, loyalty_str("lag")))
            && loyalty_reply_int(group->element[i + 1], &value)) {
            json_object_set_new(json, name.data, json_integer(value));
        }
    }

    return json;
}

static void
command_groups(loyalty_api_call_t *call, const char *name)
{
    loyalty_command(&call->session->commands, "XINFO", 3);
    loyalty_arg_text(&call->session->commands, "GROUPS");
    loyalty_arg_key(&call->session->commands, &call->scope, "s",
                    loyalty_str_from(name));
}

static bool
is_existing(loyalty_api_call_t *call, loyalty_store_result_t *result)
{
    const loyalty_program_t *program;

    *result = loyalty_api_program(call, &program);

    return *result == LOYALTY_STORE_OK && program != NULL;
}

loyalty_store_result_t
loyalty_api_stats(loyalty_api_call_t *call)
{
    loyalty_store_result_t result;
    loyalty_replies_t replies;
    json_t *stats;

    if (!is_existing(call, &result)) {
        return result;
    }

    loyalty_commands_reset(&call->session->commands);
    loyalty_api_command(call, "HGETALL", "x", loyalty_str("stats"), 0);
    loyalty_api_command(call, "XLEN", "s", loyalty_str("orders"), 0);
    command_groups(call, "orders");
    loyalty_api_command(call, "XLEN", "s", loyalty_str("visits"), 0);
    command_groups(call, "visits");
    loyalty_api_command(call, "XLEN", "s", loyalty_str("dead"), 0);
    loyalty_api_command(call, "ZCARD", "mi", loyalty_str_null, 0);
    loyalty_replies_init(&replies);
    result = loyalty_api_read(call, &replies);

    if (result == LOYALTY_STORE_OK) {
        stats = json_object();
        add_counters(stats, replies.list[0]);
        json_object_set_new(
            stats, "streams",
            json_pack("{s:o,s:o}", "orders",
                      stream(replies.list[1], replies.list[2]), "visits",
                      stream(replies.list[3], replies.list[4])));
        json_object_set_new(stats, "dead_letters",
                            json_integer(integer(replies.list[5])));
        json_object_set_new(stats, "members",
                            json_integer(integer(replies.list[6])));
        loyalty_api_json(call, 200, stats);
    }

    loyalty_replies_free(&replies);

    return result;
}

/* [id, [name, value, ...]] of the stream `dead`. */
static json_t *
dead_letter(const redisReply *entry)
{
    static const struct {
        const char *field, *name;
    } texts[] = {{"e", "event"},     {"r", "code"},  {"m", "message"},
                 {"p", "pointer"},   {"i", "journal_id"},
                 {"s", "stream_id"}};
    loyalty_str_t id, name, value;
    const redisReply *fields;
    json_t *json = json_object(), *text;
    int64_t at;
    size_t i, k;

    if (!loyalty_reply_array(entry, 2)
        || !loyalty_reply_str(entry->element[0], &id)) {
        return json;
    }

    loyalty_api_set_str(json, "id", id);
    fields = entry->element[1];

    for (i = 0; fields->type == REDIS_REPLY_ARRAY && i + 1 < fields->elements;
         i += 2) {
        if (!loyalty_reply_str(fields->element[i], &name)
            || !loyalty_reply_str(fields->element[i + 1], &value)) {
            continue;
        }

        for (k = 0; k < sizeof(texts) / sizeof(texts[0]); k++) {
            if (loyalty_str_eq(name, loyalty_str_from(texts[k].field))) {
                /* Poison may not even be UTF-8. */
                text = json_stringn(value.data, value.len);
                json_object_set_new(json, texts[k].name,
                                    text != NULL ? text : json_null());
            }
        }

        if (loyalty_str_eq(name, loyalty_str("t"))
            && loyalty_str_int(value, &at)) {
            loyalty_api_set_instant(json, "died_at", at);
        }
    }

    return json;
}

loyalty_store_result_t
loyalty_api_list_dead(loyalty_api_call_t *call)
{
    loyalty_commands_t *commands = &call->session->commands;
    loyalty_str_t cursor = loyalty_api_query(call, "cursor"), start, last;
    loyalty_store_result_t result;
    loyalty_replies_t replies;
    const redisReply *list;
    json_t *json, *items;
    size_t limit, i;
    char *text;

    if (!loyalty_api_limit(call, &limit)) {
        return LOYALTY_STORE_OK;
    }

    if (!is_existing(call, &result)) {
        return result;
    }

    start = loyalty_str("-");
    if (cursor.len != 0) {
        text = loyalty_alloc(call->arena, cursor.len + 1);
        if (!loyalty_api_is_stream_id(cursor) || text == NULL) {
            loyalty_api_error(call, 422, "invalid_cursor",
                              "the cursor is not one of this list");
            return LOYALTY_STORE_OK;
        }
        text[0] = '(';
        memcpy(text + 1, cursor.data, cursor.len);
        start = (loyalty_str_t){text, cursor.len + 1};
    }

    loyalty_commands_reset(commands);
    loyalty_api_command(call, "XRANGE", "s", loyalty_str("dead"), 4);
    loyalty_arg(commands, start);
    loyalty_arg_text(commands, "+");
    loyalty_arg_text(commands, "COUNT");
    loyalty_arg_int(commands, (int64_t)limit + 1);
    loyalty_replies_init(&replies);
    result = loyalty_api_read(call, &replies);

    if (result == LOYALTY_STORE_OK
        && replies.list[0]->type != REDIS_REPLY_ARRAY) {
        result = LOYALTY_STORE_MALFORMED;
    }

    if (result == LOYALTY_STORE_OK) {
        list = replies.list[0];
        json = json_object();
        items = json_array();

        for (i = 0; i < list->elements && i < limit; i++) {
            json_array_append_new(items, dead_letter(list->element[i]));
        }

        json_object_set_new(json, "dead_letters", items);
        if (list->elements > limit
            && loyalty_reply_str(list->element[limit - 1]->element[0],
                                 &last)) {
            loyalty_api_set_str(json, "next_cursor", last);
        }
        loyalty_api_json(call, 200, json);
    }

    loyalty_replies_free(&replies);

    return result;
}

/* Finds the event behind the id of the path; NULL: 404 is written. */
static loyalty_store_result_t
find_dead(loyalty_api_call_t *call, loyalty_replies_t *replies,
          loyalty_str_t *payload, loyalty_str_t *journal)
{
    loyalty_commands_t *commands = &call->session->commands;
    loyalty_store_result_t result = LOYALTY_STORE_OK;
    loyalty_str_t id = call->segments[3], name, value;
    const redisReply *list = NULL, *fields;
    size_t i;

    *payload = loyalty_str_null;
    *journal = loyalty_str_null;

    if (loyalty_api_is_stream_id(id)) {
        loyalty_commands_reset(commands);
        loyalty_api_watch(call, "s", loyalty_str("dead"));
        loyalty_api_command(call, "XRANGE", "s", loyalty_str("dead"), 2);
        loyalty_arg(commands, id);
        loyalty_arg(commands, id);
        result = loyalty_api_read(call, replies);
        if (result != LOYALTY_STORE_OK) {
            return result;
        }
        list = replies->list[1];
    }

    if (!loyalty_reply_array(list, 1)
        || !loyalty_reply_array(list->element[0], 2)) {
        loyalty_api_not_found(call, "dead letter");
        return result;
    }

    *payload = loyalty_str("");
    fields = list->element[0]->element[1];

    for (i = 0; fields->type == REDIS_REPLY_ARRAY && i + 1 < fields->elements;
         i += 2) {
        if (!loyalty_reply_str(fields->element[i], &name)
            || !loyalty_reply_str(fields->element[i + 1], &value)) {
            continue;
        }
        if (loyalty_str_eq(name, loyalty_str("e"))) {
            *payload = value;
        } else if (loyalty_str_eq(name, loyalty_str("i"))) {
            *journal = value;
        }
    }

    return result;
}

/* Ends the letter: put back into the stream of orders, or not. */
static loyalty_store_result_t
settle_dead(loyalty_api_call_t *call, bool replay)
{
    loyalty_commands_t *commands = &call->session->commands;
    loyalty_str_t payload, journal;
    loyalty_store_result_t result;
    loyalty_replies_t replies;

    loyalty_replies_init(&replies);
    result = find_dead(call, &replies, &payload, &journal);

    if (result == LOYALTY_STORE_OK && payload.data != NULL) {
        loyalty_commands_reset(commands);
        loyalty_command(commands, "MULTI", 1);
        loyalty_api_command(call, "XDEL", "s", loyalty_str("dead"), 1);
        loyalty_arg(commands, call->segments[3]);

        if (replay) {
            loyalty_api_command(call, "XADD", "s", loyalty_str("orders"), 5);
            loyalty_arg_text(commands, "*");
            loyalty_arg_text(commands, "e");
            loyalty_arg(commands, payload);
            loyalty_arg_text(commands, "i");
            loyalty_arg(commands, journal);
            loyalty_api_json(call, 202, json_pack("{s:b}", "queued", 1));
        } else {
            loyalty_api_no_content(call);
        }

        result = loyalty_api_commit(call);
    }

    loyalty_replies_free(&replies);

    return result;
}

loyalty_store_result_t
loyalty_api_replay_dead(loyalty_api_call_t *call)
{
    return settle_dead(call, true);
}

loyalty_store_result_t
loyalty_api_delete_dead(loyalty_api_call_t *call)
{
    return settle_dead(call, false);
}
