/*
 * Points, credits, offers and broadcasts to a list of members, to all whom a
 * filter lets pass, or to a group; and how many a channel would reach.
 */

#include "loyalty_api_bulk.h"

#include "loyalty_bulk.h"
#include "loyalty_content.h"
#include "loyalty_recipients.h"

/* A preset broadcast: not later than this. */
#define AHEAD_MAX (366 * LOYALTY_DAY)

typedef struct {
    json_t *params;
    loyalty_problems_t problems;
    char id[LOYALTY_JOB_ID_SIZE];
} bulk_t;

static bool
begin(loyalty_api_call_t *call, bulk_t *bulk, loyalty_str_t group)
{
    if (!loyalty_job_id(bulk->id)) {
        return false;
    }

    bulk->params = json_object();
    loyalty_problems_init(&bulk->problems, call->arena);
    loyalty_recipients_check(call, group, bulk->params, &bulk->problems);

    return bulk->params != NULL;
}

/* False: the error is written. */
static bool
is_valid(loyalty_api_call_t *call, const bulk_t *bulk)
{
    size_t n = bulk->problems.count;

    if (n != 0) {
        loyalty_api_problems(call, 422, "invalid", "the request is not valid",
                             bulk->problems.list, n, "");
    }

    return n == 0;
}

static void
begin_write(loyalty_api_call_t *call, bulk_t *bulk, loyalty_str_t group)
{
    loyalty_commands_reset(&call->session->commands);
    loyalty_command(&call->session->commands, "MULTI", 1);
    loyalty_recipients_write(call, group, loyalty_str_from(bulk->id));
}

loyalty_store_result_t
loyalty_bulk_give(loyalty_api_call_t *call, const char *action,
                  loyalty_str_t group)
{
    const loyalty_program_t *program;
    loyalty_store_result_t result = loyalty_api_program(call, &program);
    json_t *notify = json_object_get(call->body, "notify"), *channels;
    bulk_t bulk;

    if (result != LOYALTY_STORE_OK || program == NULL) {
        return result;
    }

    if (!begin(call, &bulk, group)) {
        return LOYALTY_STORE_MEMORY;
    }

    if (action != NULL) {
        json_object_set_new(call->body, "action", json_string(action));
    }
    loyalty_bulk_check(call->body, program, call->now, bulk.params,
                       &bulk.problems);
    if (notify != NULL) {
        channels = json_object();
        loyalty_content_check(notify, "/notify", channels, &bulk.problems);
        json_object_set_new(bulk.params, "notify", channels);
    }

    if (is_valid(call, &bulk)) {
        begin_write(call, &bulk, group);
        if (notify != NULL) {
            loyalty_content_write(call, notify, loyalty_str_from(bulk.id));
        }
        result = loyalty_api_create_job(call, "bulk",
                                        loyalty_str_from(bulk.id), bulk.params,
                                        -1);
    }
    json_decref(bulk.params);

    return result;
}

static loyalty_instant_t
send_at(loyalty_api_call_t *call, loyalty_problems_t *problems)
{
    const json_t *value = json_object_get(call->body, "at");
    const char *text = json_string_value(value);
    loyalty_instant_t at = call->now;

    if (value == NULL || json_is_null(value)) {
        return at;
    }

    if (text == NULL
        || loyalty_instant_parse(loyalty_str_from(text), &at) != LOYALTY_OK
        || at < call->now || at - call->now > AHEAD_MAX) {
        loyalty_problem(problems, "/at", "must be an instant to come, within "
                        "a year");
    }

    return at;
}

loyalty_store_result_t
loyalty_bulk_broadcast(loyalty_api_call_t *call, loyalty_str_t group)
{
    loyalty_store_result_t result = LOYALTY_STORE_OK;
    loyalty_commands_t *commands = &call->session->commands;
    loyalty_instant_t at;
    bulk_t bulk;

    if (!begin(call, &bulk, group)) {
        return LOYALTY_STORE_MEMORY;
    }

    loyalty_content_check(call->body, "", bulk.params, &bulk.problems);
    json_object_set(bulk.params, "title",
                    json_object_get(call->body, "title"));
    at = send_at(call, &bulk.problems);

    if (is_valid(call, &bulk)) {
        begin_write(call, &bulk, group);
        loyalty_content_write(call, call->body, loyalty_str_from(bulk.id));
        loyalty_api_command(call, "ZADD", "x", loyalty_str("broadcasts"), 2);
        loyalty_arg_int(commands, call->now);
        loyalty_arg_text(commands, bulk.id);
        result = loyalty_api_preset_job(call, "broadcast",
                                        loyalty_str_from(bulk.id), bulk.params,
                                        at, -1);
    }
    json_decref(bulk.params);

    return result;
}

loyalty_store_result_t
loyalty_bulk_reach(loyalty_api_call_t *call, loyalty_str_t group)
{
    loyalty_store_result_t result = LOYALTY_STORE_OK;
    bulk_t bulk;

    if (!begin(call, &bulk, group)) {
        return LOYALTY_STORE_MEMORY;
    }

    loyalty_content_check_channels(call->body, "", bulk.params,
                                   &bulk.problems);
    if (is_valid(call, &bulk)) {
        begin_write(call, &bulk, group);
        result = loyalty_api_create_job(call, "reach",
                                        loyalty_str_from(bulk.id), bulk.params,
                                        -1);
    }
    json_decref(bulk.params);

    return result;
}

/* The site is there. */
static loyalty_store_result_t
act(loyalty_api_call_t *call,
    loyalty_store_result_t (*action)(loyalty_api_call_t *, loyalty_str_t))
{
    const loyalty_program_t *program;
    loyalty_store_result_t result = loyalty_api_program(call, &program);

    return result == LOYALTY_STORE_OK && program != NULL
               ? action(call, loyalty_str_null) : result;
}

loyalty_store_result_t
loyalty_api_bulk(loyalty_api_call_t *call)
{
    return loyalty_bulk_give(call, NULL, loyalty_str_null);
}

loyalty_store_result_t
loyalty_api_broadcast(loyalty_api_call_t *call)
{
    return act(call, loyalty_bulk_broadcast);
}

loyalty_store_result_t
loyalty_api_reach(loyalty_api_call_t *call)
{
    return act(call, loyalty_bulk_reach);
}
