/*
 * Dead letters: messages that have failed, sent again by hand.
 *
 * A message leaves the list of the failed in the transaction that makes it
 * pending; who asks twice finds it pending, and changes nothing.
 */

#include "loyalty_api_call.h"

#include "loyalty_message.h"

static void
command_message(loyalty_api_call_t *call, loyalty_str_t id)
{
    loyalty_api_command(call, "HMGET", "mg", id, 4);
    loyalty_arg_text(&call->session->commands, "s");
    loyalty_arg_text(&call->session->commands, "r");
    loyalty_arg_text(&call->session->commands, "c");
    loyalty_arg_text(&call->session->commands, "a");
}

/* *state is empty where there is no such message. */
static bool
read_message(const redisReply *reply, loyalty_str_t id,
             loyalty_message_t *message, loyalty_str_t *state)
{
    loyalty_str_t channel, created;

    *message = (loyalty_message_t){.id = id};
    if (!loyalty_reply_array(reply, 4)
        || !loyalty_reply_str(reply->element[0], state)
        || !loyalty_reply_str(reply->element[1], &message->rule)
        || !loyalty_reply_str(reply->element[2], &channel)
        || !loyalty_reply_str(reply->element[3], &created)) {
        return false;
    }

    message->channel = loyalty_channel_named(channel);
    (void)loyalty_str_int(created, &message->created_at);
    return true;
}

static bool
is_failed(loyalty_str_t state, const loyalty_message_t *message)
{
    return loyalty_str_eq(state, loyalty_str("failed"))
           && message->channel != 0;
}

static loyalty_store_result_t
retry_one(loyalty_api_call_t *call, const loyalty_message_t *message,
          loyalty_str_t state)
{
    loyalty_commands_t *commands = &call->session->commands;
    bool failed = is_failed(state, message);

    if (!failed && !loyalty_str_eq(state, loyalty_str("pending"))) {
        loyalty_api_error(call, 409, "not_failed", "the message is %.*s",
                          (int)state.len, state.data);
        return LOYALTY_STORE_OK;
    }

    loyalty_api_json(call, 202,
                     json_pack("{s:s%,s:s}", "id", message->id.data,
                               message->id.len, "state", "pending"));
    loyalty_commands_reset(commands);
    loyalty_command(commands, "MULTI", 1);
    if (failed) {
        loyalty_message_retry(message, call->now, &call->scope, commands);
    }

    return loyalty_api_commit(call);
}

loyalty_store_result_t
loyalty_api_retry_message(loyalty_api_call_t *call)
{
    loyalty_str_t id = call->segments[3], state;
    const loyalty_program_t *program;
    loyalty_store_result_t result;
    loyalty_replies_t replies;
    loyalty_message_t message;

    result = loyalty_api_program(call, &program);
    if (result != LOYALTY_STORE_OK || program == NULL) {
        return result;
    }

    if (id.len > LOYALTY_MESSAGE_ID_MAX) {
        loyalty_api_not_found(call, "message");
        return LOYALTY_STORE_OK;
    }

    loyalty_replies_init(&replies);
    loyalty_commands_reset(&call->session->commands);
    loyalty_api_watch(call, "mg", id);
    command_message(call, id);
    result = loyalty_api_read(call, &replies);

    if (result == LOYALTY_STORE_OK) {
        if (!read_message(replies.list[1], id, &message, &state)) {
            result = LOYALTY_STORE_MALFORMED;
        } else if (state.len == 0) {
            loyalty_api_not_found(call, "message");
        } else {
            result = retry_one(call, &message, state);
        }
    }

    loyalty_replies_free(&replies);
    return result;
}

/* The failed of the period, the oldest first; *more: behind those. */
static loyalty_store_result_t
read_failed(loyalty_api_call_t *call, loyalty_replies_t *ids, size_t *n,
            bool *more)
{
    loyalty_commands_t *commands = &call->session->commands;
    loyalty_instant_t from = 0, to = LOYALTY_NEVER;
    loyalty_store_result_t result;

    *n = 0;
    *more = false;
    if (!loyalty_api_query_instant(call, "from", &from)
        || !loyalty_api_query_instant(call, "to", &to)) {
        return LOYALTY_STORE_OK;
    }

    loyalty_commands_reset(commands);
    loyalty_api_watch(call, "ml", loyalty_str("failed"));
    loyalty_api_command(call, "ZRANGEBYSCORE", "ml", loyalty_str("failed"), 5);
    loyalty_arg_int(commands, from);
    loyalty_arg_int(commands, to);
    loyalty_arg_text(commands, "LIMIT");
    loyalty_arg_int(commands, 0);
    loyalty_arg_int(commands, LOYALTY_MESSAGES_RETRY_MAX + 1);
    result = loyalty_api_read(call, ids);

    if (result == LOYALTY_STORE_OK) {
        if (ids->list[1]->type != REDIS_REPLY_ARRAY) {
            return LOYALTY_STORE_MALFORMED;
        }
        *n = ids->list[1]->elements;
        *more = *n > LOYALTY_MESSAGES_RETRY_MAX;
        *n -= *more;
    }

    return result;
}

static loyalty_store_result_t
retry_all(loyalty_api_call_t *call, const redisReply *ids,
          const loyalty_replies_t *messages, bool more)
{
    loyalty_commands_t *commands = &call->session->commands;
    loyalty_message_t message;
    loyalty_str_t id, state;
    json_int_t retried = 0;
    size_t i;

    loyalty_commands_reset(commands);
    loyalty_command(commands, "MULTI", 1);

    for (i = 0; i < messages->count; i++) {
        if (!loyalty_reply_str(ids->element[i], &id)
            || !read_message(messages->list[i], id, &message, &state)) {
            return LOYALTY_STORE_MALFORMED;
        }
        if (is_failed(state, &message)) {
            loyalty_message_retry(&message, call->now, &call->scope, commands);
            retried++;
        }
    }

    call->audit_after = json_pack("{s:I}", "retried", retried);
    loyalty_api_json(call, 202, json_pack("{s:I,s:b}", "retried", retried,
                                          "more", more));

    return loyalty_api_commit(call);
}

loyalty_store_result_t
loyalty_api_retry_messages(loyalty_api_call_t *call)
{
    loyalty_replies_t ids, messages;
    const loyalty_program_t *program;
    loyalty_store_result_t result;
    loyalty_str_t id;
    bool more;
    size_t i, n;

    result = loyalty_api_program(call, &program);
    if (result != LOYALTY_STORE_OK || program == NULL) {
        return result;
    }

    loyalty_replies_init(&ids);
    loyalty_replies_init(&messages);
    result = read_failed(call, &ids, &n, &more);

    if (result == LOYALTY_STORE_OK && n != 0) {
        loyalty_commands_reset(&call->session->commands);
        for (i = 0; i < n && loyalty_reply_str(ids.list[1]->element[i], &id);
             i++) {
            command_message(call, id);
        }
        result = loyalty_api_read(call, &messages);
    }

    if (result == LOYALTY_STORE_OK && call->response->status == 0) {
        result = retry_all(call, n == 0 ? NULL : ids.list[1], &messages, more);
    }

    loyalty_replies_free(&ids);
    loyalty_replies_free(&messages);
    return result;
}
