/*
 * POST members/bulk: points, credits or an offer to a list of members, or to
 * all whom a filter lets pass; a job.
 */

#include "loyalty_api_call.h"
#include "loyalty_bulk.h"
#include "loyalty_filter.h"
#include "loyalty_job.h"

/* Elements of one ZADD: a few milliseconds of Redis' time. */
#define PIECE 1000

static bool
check_ids(const json_t *list, loyalty_problems_t *problems)
{
    json_t *value;
    size_t i;

    if (!json_is_array(list) || json_array_size(list) == 0
        || json_array_size(list) > LOYALTY_BULK_MEMBERS_MAX) {
        loyalty_problem(problems, "/members", "must be an array of 1 to %d "
                        "ids", LOYALTY_BULK_MEMBERS_MAX);
        return false;
    }

    json_array_foreach((json_t *)list, i, value) {
        if (!json_is_string(value)
            || loyalty_member_id_check((loyalty_str_t){
                   json_string_value(value), json_string_length(value)})
                   != LOYALTY_OK) {
            loyalty_problem(problems, "/members", "has at place %zu what is "
                            "no member's id", i);
            return false;
        }
    }

    return true;
}

static bool
check_filter(loyalty_api_call_t *call, json_t *json,
             loyalty_problems_t *problems)
{
    loyalty_problems_t own;
    loyalty_filter_t *filter;
    size_t i;

    loyalty_problems_init(&own, call->arena);
    if (loyalty_filter_compile(json, call->arena, &own, &filter)
        == LOYALTY_OK) {
        return true;
    }

    for (i = 0; i < own.count && i < LOYALTY_PROBLEMS_MAX; i++) {
        loyalty_problem(problems, "/filter", "%.*s: %.*s",
                        (int)own.list[i].pointer.len, own.list[i].pointer.data,
                        (int)own.list[i].message.len,
                        own.list[i].message.data);
    }

    if (own.count == 0) {
        loyalty_problem(problems, "/filter", "is too large");
    }

    return false;
}

/* False: the response is written. */
static bool
check_body(loyalty_api_call_t *call, const loyalty_program_t *program,
           json_t *params)
{
    json_t *members = json_object_get(call->body, "members");
    json_t *filter = json_object_get(call->body, "filter");
    loyalty_problems_t problems;
    size_t n;

    loyalty_problems_init(&problems, call->arena);

    if ((members != NULL) == (filter != NULL)) {
        loyalty_problem(&problems, "", "needs either members or filter");
    } else if (members != NULL) {
        check_ids(members, &problems);
    } else if (check_filter(call, filter, &problems)) {
        json_object_set(params, "filter", filter);
    }

    if (loyalty_bulk_check(call->body, program, call->now, params, &problems)) {
        return true;
    }

    n = problems.count < LOYALTY_PROBLEMS_MAX ? problems.count
                                              : LOYALTY_PROBLEMS_MAX;
    loyalty_api_problems(call, 422, "invalid", "the request is not valid",
                         problems.list, n, "");
    return false;
}

static void
write_ids(loyalty_api_call_t *call, loyalty_str_t job, const json_t *list)
{
    loyalty_commands_t *commands = &call->session->commands;
    size_t i, n = json_array_size(list);
    const json_t *value;

    for (i = 0; i < n; i++) {
        if (i % PIECE == 0) {
            loyalty_api_command(call, "ZADD", "jm", job,
                                2 * (n - i < PIECE ? n - i : PIECE));
        }
        value = json_array_get(list, i);
        loyalty_arg_int(commands, 0);
        loyalty_arg(commands, (loyalty_str_t){json_string_value(value),
                                              json_string_length(value)});
    }
}

loyalty_store_result_t
loyalty_api_bulk(loyalty_api_call_t *call)
{
    const loyalty_program_t *program;
    loyalty_store_result_t result;
    char id[LOYALTY_JOB_ID_SIZE];
    json_t *params;

    result = loyalty_api_program(call, &program);
    if (result != LOYALTY_STORE_OK || program == NULL) {
        return result;
    }

    if (!loyalty_job_id(id)) {
        return LOYALTY_STORE_MEMORY;
    }

    params = json_object();
    if (check_body(call, program, params)) {
        loyalty_commands_reset(&call->session->commands);
        loyalty_command(&call->session->commands, "MULTI", 1);
        write_ids(call, loyalty_str_from(id),
                  json_object_get(call->body, "members"));
        result = loyalty_api_create_job(call, "bulk", loyalty_str_from(id),
                                        params, -1);
    }
    json_decref(params);

    return result;
}
