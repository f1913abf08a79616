/*
 * A job's hash: made, read, shown, and moved on with each step.
 */

#include "loyalty_job.h"
#include "loyalty_personal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

/* In the order of loyalty_job_command(). */
enum {
    FIELD_KIND,
    FIELD_STATE,
    FIELD_PARAMS,
    FIELD_CURSOR,
    FIELD_TOTAL,
    FIELD_DONE,
    FIELD_FAILED,
    FIELD_BY,
    FIELD_CREATED,
    FIELD_DUE,
    FIELD_STARTED,
    FIELD_FINISHED,
    FIELD_RESULT,
    FIELDS
};

static const char *const fields[] = {
    "kind",    "state", "params",  "cursor",   "total",  "done", "failed",
    "by",      "created", "due",   "started",  "finished", "result",
};

/* What every step reads and WATCHes before its own. */
#define FENCE_READS 2

bool
loyalty_job_id(char id[LOYALTY_JOB_ID_SIZE])
{
    uint64_t random[2];

    if (getrandom(random, sizeof(random), 0) != sizeof(random)) {
        return false;
    }

    snprintf(id, LOYALTY_JOB_ID_SIZE, "%016" PRIx64 "%016" PRIx64, random[0],
             random[1]);
    return true;
}

static void
write_schedule(const loyalty_scope_t *scope, loyalty_str_t id,
               const char *list, loyalty_instant_t at,
               loyalty_commands_t *commands)
{
    loyalty_command(commands, "ZADD", 4);
    loyalty_arg_key(commands, scope, "x", loyalty_str_from(list));
    loyalty_arg_int(commands, at);
    loyalty_arg(commands, id);
}

static void
write_json(loyalty_commands_t *commands, const char *name, const json_t *json)
{
    char *text = json_dumps(json, JSON_COMPACT);

    if (text == NULL) {
        commands->failed = true;
        return;
    }

    loyalty_arg_text(commands, name);
    loyalty_arg_text(commands, text);
    free(text);
}

static void
write_int(loyalty_commands_t *commands, const char *name, int64_t value)
{
    loyalty_arg_text(commands, name);
    loyalty_arg_int(commands, value);
}

void
loyalty_job_create(const loyalty_job_order_t *order,
                   const loyalty_scope_t *scope, loyalty_commands_t *commands)
{
    json_t *empty = json_object();

    loyalty_command(commands, "HSET", 2 + 2 * 9);
    loyalty_arg_key(commands, scope, "j", order->id);
    loyalty_arg_text(commands, "kind");
    loyalty_arg_text(commands, order->kind);
    loyalty_arg_text(commands, "state");
    loyalty_arg_text(commands, "queued");
    write_json(commands, "params",
               order->params != NULL ? order->params : empty);
    write_int(commands, "total", order->total);
    write_int(commands, "done", 0);
    write_int(commands, "failed", 0);
    loyalty_arg_text(commands, "by");
    loyalty_arg(commands, order->by);
    write_int(commands, "created", order->now);
    write_int(commands, "due", order->due);
    write_schedule(scope, order->id, "jobs", order->due, commands);
    write_schedule(scope, order->id, "joblist", order->now, commands);
    json_decref(empty);
}

void
loyalty_job_command(const loyalty_scope_t *scope, loyalty_str_t id,
                    loyalty_commands_t *commands)
{
    size_t i;

    loyalty_command(commands, "HMGET", 2 + FIELDS);
    loyalty_arg_key(commands, scope, "j", id);
    for (i = 0; i < FIELDS; i++) {
        loyalty_arg_text(commands, fields[i]);
    }
}

static loyalty_str_t
text_of(const redisReply *reply, size_t field)
{
    loyalty_str_t text;

    return loyalty_reply_str(reply->element[field], &text) ? text
                                                           : loyalty_str_null;
}

static int64_t
int_of(const redisReply *reply, size_t field, int64_t unknown)
{
    int64_t value;

    return loyalty_str_int(text_of(reply, field), &value) ? value : unknown;
}

static json_t *
json_of(const redisReply *reply, size_t field)
{
    loyalty_str_t text = text_of(reply, field);

    return text.len != 0 ? json_loadb(text.data, text.len, 0, NULL) : NULL;
}

static void
show_instant(json_t *json, const char *name, const redisReply *reply,
             size_t field)
{
    loyalty_instant_t at = int_of(reply, field, LOYALTY_UNKNOWN);
    char text[LOYALTY_INSTANT_SIZE];

    if (at != LOYALTY_UNKNOWN) {
        loyalty_instant_format(at, text);
        json_object_set_new(json, name, json_string(text));
    }
}

static void
show_text(json_t *json, const char *name, const redisReply *reply,
          size_t field)
{
    loyalty_str_t text = text_of(reply, field);

    json_object_set_new(json, name, json_stringn(text.data, text.len));
}

json_t *
loyalty_job_to_json(loyalty_str_t id, const redisReply *reply)
{
    int64_t total;
    json_t *json, *value;

    if (!loyalty_reply_array(reply, FIELDS)
        || text_of(reply, FIELD_KIND).len == 0) {
        return NULL;
    }

    json = json_object();
    json_object_set_new(json, "id", json_stringn(id.data, id.len));
    show_text(json, "kind", reply, FIELD_KIND);
    show_text(json, "state", reply, FIELD_STATE);
    total = int_of(reply, FIELD_TOTAL, -1);
    json_object_set_new(json, "total",
                        total < 0 ? json_null() : json_integer(total));
    json_object_set_new(json, "done",
                        json_integer(int_of(reply, FIELD_DONE, 0)));
    json_object_set_new(json, "failed",
                        json_integer(int_of(reply, FIELD_FAILED, 0)));
    show_text(json, "by", reply, FIELD_BY);
    show_instant(json, "created_at", reply, FIELD_CREATED);
    show_instant(json, "due_at", reply, FIELD_DUE);
    show_instant(json, "started_at", reply, FIELD_STARTED);
    show_instant(json, "finished_at", reply, FIELD_FINISHED);

    value = json_of(reply, FIELD_PARAMS);
    json_object_set_new(json, "params",
                        value != NULL ? value : json_object());
    value = json_of(reply, FIELD_RESULT);
    if (value != NULL) {
        json_object_set_new(json, "result", value);
    }

    return json;
}

bool
loyalty_job_read(loyalty_job_t *job, loyalty_str_t id, const redisReply *reply)
{
    loyalty_str_t state;

    if (!loyalty_reply_array(reply, FIELDS)) {
        return false;
    }

    state = text_of(reply, FIELD_STATE);
    job->queued = loyalty_str_eq(state, loyalty_str("queued"));
    if (!job->queued && !loyalty_str_eq(state, loyalty_str("running"))) {
        return false;
    }

    job->id = id;
    job->kind = loyalty_job_kind(text_of(reply, FIELD_KIND));
    job->params = json_of(reply, FIELD_PARAMS);
    job->by = text_of(reply, FIELD_BY);
    job->created_at = int_of(reply, FIELD_CREATED, 0);
    job->was = (loyalty_job_next_t){
        .cursor = text_of(reply, FIELD_CURSOR),
        .total = int_of(reply, FIELD_TOTAL, -1),
        .done = int_of(reply, FIELD_DONE, 0),
        .failed = int_of(reply, FIELD_FAILED, 0),
        .result = json_of(reply, FIELD_RESULT),
    };
    job->next = job->was;
    job->next.result = NULL;

    return true;
}

void
loyalty_job_release(loyalty_job_t *job)
{
    json_decref(job->params);
    json_decref(job->was.result);
    json_decref(job->next.result);
    job->params = NULL;
    job->was.result = NULL;
    job->next.result = NULL;
}

json_t *
loyalty_job_result(loyalty_job_t *job)
{
    if (job->next.result == NULL) {
        job->next.result = job->was.result != NULL
                               ? json_deep_copy(job->was.result)
                               : json_object();
    }

    return job->next.result;
}

void
loyalty_job_count(loyalty_job_t *job, const char *name)
{
    json_t *result = loyalty_job_result(job);
    json_int_t n = json_integer_value(json_object_get(result, name));

    json_object_set_new(result, name, json_integer(n + 1));
}

void
loyalty_job_failure(loyalty_job_t *job, loyalty_str_t at, const char *code,
                    const char *message)
{
    json_t *result = loyalty_job_result(job);
    json_t *errors = json_object_get(result, "errors");

    job->next.failed++;

    if (errors == NULL) {
        errors = json_array();
        json_object_set_new(result, "errors", errors);
    }

    if (json_array_size(errors) < LOYALTY_JOB_ERRORS_MAX) {
        json_array_append_new(errors,
                              json_pack("{s:s%,s:s,s:s}", "at", at.data,
                                        at.len, "code", code, "message",
                                        message));
    }
}

/* HSET of what the step came to. */
static void
write_next(const loyalty_job_t *job, loyalty_commands_t *commands)
{
    const loyalty_job_next_t *next = &job->next;
    bool over = next->finished || next->error != NULL;
    bool filtered = over && json_object_get(job->params, "filter") != NULL;
    json_t *params;
    const char *state = next->error != NULL ? "failed"
                        : next->finished    ? "done" : "running";

    loyalty_command(commands, "HSET",
                    2 + 2 * (5 + job->queued + over + filtered
                             + (next->result != NULL)));
    loyalty_arg_key(commands, &job->scope, "j", job->id);
    loyalty_arg_text(commands, "state");
    loyalty_arg_text(commands, state);
    loyalty_arg_text(commands, "cursor");
    loyalty_arg(commands, next->cursor);
    write_int(commands, "total", next->total);
    write_int(commands, "done", next->done);
    write_int(commands, "failed", next->failed);
    if (job->queued) {
        write_int(commands, "started", job->now);
    }
    if (next->result != NULL) {
        write_json(commands, "result", next->result);
    }

    if (filtered) {
        params = loyalty_impersonal(job->params);
        write_json(commands, "params", params);
        json_decref(params);
    }

    if (over) {
        write_int(commands, "finished", job->now);
        loyalty_command(commands, "ZREM", 3);
        loyalty_arg_key(commands, &job->scope, "x", loyalty_str("jobs"));
        loyalty_arg(commands, job->id);
        loyalty_command(commands, "DEL", 2);
        loyalty_arg_key(commands, &job->scope, "jm", job->id);
        loyalty_command(commands, "EXPIRE", 3);
        loyalty_arg_key(commands, &job->scope, "jf", job->id);
        loyalty_arg_int(commands, LOYALTY_JOB_FILE_SECONDS);
    }
}

typedef struct {
    loyalty_job_t *job;
    loyalty_member_change_pt decide;
} step_t;

/* Nobody else has taken this step, or cancelled the job. */
static bool
is_ours(const loyalty_job_t *job, const redisReply *reply)
{
    loyalty_str_t state, cursor;

    if (!loyalty_reply_array(reply, 2)) {
        return false;
    }

    state = text_of(reply, 0);
    cursor = text_of(reply, 1);

    return loyalty_str_eq(state, job->queued ? loyalty_str("queued")
                                             : loyalty_str("running"))
           && loyalty_str_eq(cursor, job->was.cursor);
}

static loyalty_store_result_t
decide_step(loyalty_member_change_t *change, void *data)
{
    step_t *step = data;
    loyalty_job_t *job = step->job;
    loyalty_store_result_t result;

    if (!is_ours(job, change->more[FENCE_READS - 1])) {
        return LOYALTY_STORE_FENCED;
    }

    json_decref(job->next.result);
    job->next = job->was;
    job->next.result = NULL;
    job->program = change->program;

    result = step->decide(change, job);
    if (result == LOYALTY_STORE_OK && job->next.finished
        && job->finish != NULL) {
        job->finish(job, &change->writes);
    }
    if (result == LOYALTY_STORE_OK) {
        write_next(job, &change->writes);
    }

    return result;
}

loyalty_store_result_t
loyalty_job_change(loyalty_job_t *job, const loyalty_str_t *ids, size_t n,
                   const loyalty_commands_t *reads,
                   loyalty_member_change_pt decide)
{
    step_t step = {job, decide};
    loyalty_store_result_t result;
    loyalty_commands_t fence;

    loyalty_commands_init(&fence);
    loyalty_command(&fence, "WATCH", 2);
    loyalty_arg_key(&fence, &job->scope, "j", job->id);
    loyalty_command(&fence, "HMGET", 4);
    loyalty_arg_key(&fence, &job->scope, "j", job->id);
    loyalty_arg_text(&fence, fields[FIELD_STATE]);
    loyalty_arg_text(&fence, fields[FIELD_CURSOR]);
    if (reads != NULL) {
        loyalty_commands_append(&fence, reads);
    }

    job->change->origin = (loyalty_origin_t){
        job->by, loyalty_str_from(job->kind != NULL ? job->kind->name : "")};
    result = loyalty_member_change(job->change, &job->scope, ids, n, &fence,
                                   decide_step, &step);
    loyalty_commands_free(&fence);

    return result;
}

const redisReply *
loyalty_job_reply(const loyalty_job_t *job, size_t index)
{
    return job->change->more[FENCE_READS + index];
}
