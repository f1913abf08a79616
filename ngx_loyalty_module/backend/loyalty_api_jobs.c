/*
 * Jobs as the API shows them: one, the list newest first, cancelling.
 */

#include "loyalty_api_call.h"
#include "loyalty_job.h"
#include "loyalty_personal.h"

#include <stdio.h>
#include <stdlib.h>

loyalty_store_result_t
loyalty_api_create_job(loyalty_api_call_t *call, const char *kind,
                       loyalty_str_t id, const json_t *params, int64_t total)
{
    return loyalty_api_preset_job(call, kind, id, params, call->now, total);
}

void
loyalty_api_add_job(loyalty_api_call_t *call, const char *kind,
                    loyalty_str_t id, const json_t *params,
                    loyalty_instant_t due, int64_t total)
{
    const loyalty_job_order_t order = {
        .kind = kind,
        .id = id,
        .params = params,
        .by = loyalty_str_from(call->who),
        .now = call->now,
        .due = due,
        .total = total,
    };

    snprintf(call->response->location, LOYALTY_API_HEADER_MAX,
             "/v1/sites/%.*s/jobs/%.*s", (int)call->scope.site.len,
             call->scope.site.data, (int)id.len, id.data);
    if (call->audit_after == NULL) {
        call->audit_after = json_deep_copy(params);
    }
    loyalty_job_create(&order, &call->scope, &call->session->commands);
}

loyalty_store_result_t
loyalty_api_preset_job(loyalty_api_call_t *call, const char *kind,
                       loyalty_str_t id, const json_t *params,
                       loyalty_instant_t due, int64_t total)
{
    loyalty_api_add_job(call, kind, id, params, due, total);
    loyalty_api_json(call, 202,
                     json_pack("{s:s%,s:s,s:s}", "id", id.data, id.len,
                               "kind", kind, "state", "queued"));

    return loyalty_api_commit(call);
}

static loyalty_store_result_t
start(loyalty_api_call_t *call, const char *kind, const json_t *params)
{
    char id[LOYALTY_JOB_ID_SIZE];

    if (!loyalty_job_id(id)) {
        return LOYALTY_STORE_MEMORY;
    }

    loyalty_commands_reset(&call->session->commands);
    loyalty_command(&call->session->commands, "MULTI", 1);

    return loyalty_api_create_job(call, kind, loyalty_str_from(id), params,
                                  -1);
}

/* A job of its own, that staff may start at any time: {"kind", "backfill"}. */
loyalty_store_result_t
loyalty_api_post_job(loyalty_api_call_t *call)
{
    const char *kind = json_string_value(json_object_get(call->body, "kind"));
    const json_t *backfill = json_object_get(call->body, "backfill"), *value;
    const char *field;
    char pointer[48];
    bool activation = kind != NULL && strcmp(kind, "activation") == 0;
    const loyalty_program_t *program;
    loyalty_store_result_t result;
    json_t *params;

    result = loyalty_api_program(call, &program);
    if (result != LOYALTY_STORE_OK || program == NULL) {
        return result;
    }

    if (!activation
        && (kind == NULL || (strcmp(kind, "nightly") != 0
                             && strcmp(kind, "check") != 0))) {
        loyalty_api_problem(call, "/kind", "must be activation, nightly or "
                            "check");
        return LOYALTY_STORE_OK;
    }

    if (backfill != NULL && (!activation || !json_is_boolean(backfill))) {
        loyalty_api_problem(call, "/backfill", "must be true or false, of an "
                            "activation");
        return LOYALTY_STORE_OK;
    }

    json_object_foreach (call->body, field, value) {
        if (strcmp(field, "kind") != 0 && strcmp(field, "backfill") != 0) {
            snprintf(pointer, sizeof(pointer), "/%.40s", field);
            loyalty_api_problem(call, pointer, "is no field of a job: it runs "
                                "by the clock, ?at= of a member looks ahead");
            return LOYALTY_STORE_OK;
        }
    }

    if (activation && !loyalty_api_is_owner(call)) {
        return LOYALTY_STORE_OK;
    }

    params = json_object();
    if (json_is_true(backfill)) {
        json_object_set_new(params, "backfill", json_true());
    }
    result = start(call, kind, params);
    json_decref(params);

    return result;
}

loyalty_store_result_t
loyalty_api_check(loyalty_api_call_t *call)
{
    const loyalty_program_t *program;
    loyalty_store_result_t result;

    result = loyalty_api_program(call, &program);

    return result == LOYALTY_STORE_OK && program != NULL
               ? start(call, "check", NULL) : result;
}

/* The site's program is there, and the path's id may be a job's. */
static loyalty_store_result_t
read_job(loyalty_api_call_t *call, bool watch, loyalty_replies_t *replies,
         json_t **json)
{
    loyalty_str_t id = call->segments[3];
    loyalty_store_result_t result;

    *json = NULL;
    loyalty_commands_reset(&call->session->commands);

    if (id.len >= LOYALTY_JOB_ID_SIZE) {
        loyalty_api_not_found(call, "job");
        return LOYALTY_STORE_OK;
    }

    if (watch) {
        loyalty_api_watch(call, "j", id);
    }
    loyalty_job_command(&call->scope, id, &call->session->commands);
    result = loyalty_api_read(call, replies);

    if (result == LOYALTY_STORE_OK) {
        *json = loyalty_job_to_json(id, replies->list[watch]);
        if (*json == NULL) {
            loyalty_api_not_found(call, "job");
        }
    }

    return result;
}

loyalty_store_result_t
loyalty_api_get_job(loyalty_api_call_t *call)
{
    loyalty_store_result_t result;
    loyalty_replies_t replies;
    json_t *json;

    loyalty_replies_init(&replies);
    result = read_job(call, false, &replies, &json);
    if (result == LOYALTY_STORE_OK && json != NULL) {
        loyalty_api_json(call, 200, json);
    }
    loyalty_replies_free(&replies);

    return result;
}

void
loyalty_api_write_cancel(loyalty_api_call_t *call, loyalty_str_t id,
                         const json_t *params)
{
    loyalty_commands_t *commands = &call->session->commands;
    json_t *shown = loyalty_impersonal(params);
    char *text = json_dumps(shown, JSON_COMPACT);

    loyalty_api_command(call, "HSET", "j", id, 2);
    loyalty_arg_text(commands, "params");
    loyalty_arg_text(commands, text != NULL ? text : "{}");
    free(text);
    json_decref(shown);

    loyalty_api_command(call, "HSET", "j", id, 4);
    loyalty_arg_text(commands, "state");
    loyalty_arg_text(commands, "cancelled");
    loyalty_arg_text(commands, "finished");
    loyalty_arg_int(commands, call->now);
    loyalty_api_command(call, "ZREM", "x", loyalty_str("jobs"), 1);
    loyalty_arg(commands, id);
    loyalty_api_command(call, "DEL", "jm", id, 0);
    loyalty_api_command(call, "DEL", "jf", id, 0);
}

/* What a job did before it was cancelled stays done. */
loyalty_store_result_t
loyalty_api_cancel_job(loyalty_api_call_t *call)
{
    loyalty_store_result_t result;
    loyalty_replies_t replies;
    const char *state;
    json_t *json;

    loyalty_replies_init(&replies);
    result = read_job(call, true, &replies, &json);

    if (result == LOYALTY_STORE_OK && json != NULL) {
        state = json_string_value(json_object_get(json, "state"));
        if (strcmp(state, "queued") != 0 && strcmp(state, "running") != 0) {
            loyalty_api_error(call, 409, "over", "the job is %s", state);
        } else {
            loyalty_api_no_content(call);
            loyalty_commands_reset(&call->session->commands);
            loyalty_command(&call->session->commands, "MULTI", 1);
            loyalty_api_write_cancel(call, call->segments[3],
                                     json_object_get(json, "params"));
            result = loyalty_api_commit(call);
        }
    }

    json_decref(json);
    loyalty_replies_free(&replies);

    return result;
}

static loyalty_store_result_t
show_jobs(loyalty_api_call_t *call, const char *name, const redisReply *reply,
          size_t limit)
{
    json_t *items = json_array(), *json;
    loyalty_store_result_t result;
    loyalty_replies_t replies;
    loyalty_str_t *ids, next;
    size_t i, n;

    loyalty_replies_init(&replies);
    result = loyalty_api_ids(call, reply, limit, &ids, &n, &next);
    loyalty_commands_reset(&call->session->commands);
    for (i = 0; i < n; i++) {
        loyalty_job_command(&call->scope, ids[i], &call->session->commands);
    }

    if (result == LOYALTY_STORE_OK && n != 0) {
        result = loyalty_api_read(call, &replies);
    }

    for (i = 0; i < n && result == LOYALTY_STORE_OK; i++) {
        json = loyalty_job_to_json(ids[i], replies.list[i]);
        if (json != NULL) {
            json_object_del(json, "result"); /* may be long */
            json_array_append_new(items, json);
        }
    }

    if (result == LOYALTY_STORE_OK) {
        loyalty_api_list(call, name, json_incref(items), next);
    }

    json_decref(items);
    loyalty_replies_free(&replies);

    return result;
}

static loyalty_store_result_t
list_jobs(loyalty_api_call_t *call, loyalty_str_t list, const char *name)
{
    loyalty_commands_t *commands = &call->session->commands;
    const loyalty_program_t *program;
    loyalty_store_result_t result;
    loyalty_replies_t ids;
    int64_t rank = 0;
    size_t limit;

    if (!loyalty_api_limit(call, &limit)) {
        return LOYALTY_STORE_OK;
    }

    result = loyalty_api_program(call, &program);
    if (result == LOYALTY_STORE_OK && program != NULL) {
        result = loyalty_api_rank(call, "x", list, &rank);
    }
    if (result != LOYALTY_STORE_OK || call->response->status != 0) {
        return result;
    }

    loyalty_commands_reset(commands);
    loyalty_api_command(call, "ZREVRANGE", "x", list, 2);
    loyalty_arg_int(commands, rank);
    loyalty_arg_int(commands, rank + (int64_t)limit);
    loyalty_replies_init(&ids);
    result = loyalty_api_read(call, &ids);

    if (result == LOYALTY_STORE_OK) {
        result = ids.list[0]->type == REDIS_REPLY_ARRAY
                     ? show_jobs(call, name, ids.list[0], limit)
                     : LOYALTY_STORE_MALFORMED;
    }

    loyalty_replies_free(&ids);

    return result;
}

loyalty_store_result_t
loyalty_api_list_jobs(loyalty_api_call_t *call)
{
    return list_jobs(call, loyalty_str("joblist"), "jobs");
}

loyalty_store_result_t
loyalty_api_list_broadcasts(loyalty_api_call_t *call)
{
    return list_jobs(call, loyalty_str("broadcasts"), "broadcasts");
}
