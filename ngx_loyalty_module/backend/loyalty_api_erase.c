/*
 * Exports are made again by who needs them: all that may still be fetched go,
 * and those at work are cancelled.  An import's file goes with its end.
 */

#include "loyalty_api_erase.h"
#include "loyalty_job.h"

/* Replies to the first reads. */
enum { JOBS = 2, ANSWERS, FOUND };

/* Longer than a job with a file takes and the file is kept. */
#define BACK (2 * LOYALTY_JOB_FILE_SECONDS * INT64_C(1000))

static loyalty_store_result_t
read_jobs(loyalty_api_call_t *call, const redisReply *ids,
          loyalty_replies_t *replies)
{
    loyalty_store_result_t result = LOYALTY_STORE_OK;
    loyalty_str_t id;
    size_t i;

    loyalty_commands_reset(&call->session->commands);
    for (i = 0; i < ids->elements; i++) {
        if (!loyalty_reply_str(ids->element[i], &id)) {
            return LOYALTY_STORE_MALFORMED;
        }
        loyalty_api_command(call, "HMGET", "j", id, 2);
        loyalty_arg_text(&call->session->commands, "kind");
        loyalty_arg_text(&call->session->commands, "state");
    }

    if (ids->elements != 0) {
        result = loyalty_api_read(call, replies);
    }

    return result;
}

loyalty_store_result_t
loyalty_api_erase_read(loyalty_api_call_t *call, loyalty_str_t member,
                       loyalty_api_erase_t *erase)
{
    loyalty_commands_t *commands = &call->session->commands;
    loyalty_store_result_t result;

    loyalty_replies_init(&erase->found);
    loyalty_replies_init(&erase->jobs);
    loyalty_commands_reset(commands);
    loyalty_api_watch(call, "x", loyalty_str("joblist"));
    loyalty_api_watch(call, "ik", member);
    loyalty_api_command(call, "ZRANGEBYSCORE", "x", loyalty_str("joblist"), 2);
    loyalty_arg_int(commands, call->now - BACK);
    loyalty_arg_text(commands, "+inf");
    loyalty_api_command(call, "SMEMBERS", "ik", member, 0);
    result = loyalty_api_read(call, &erase->found);

    if (result == LOYALTY_STORE_OK
        && (erase->found.count != FOUND
            || erase->found.list[JOBS]->type != REDIS_REPLY_ARRAY
            || erase->found.list[ANSWERS]->type != REDIS_REPLY_ARRAY)) {
        result = LOYALTY_STORE_MALFORMED;
    }

    return result == LOYALTY_STORE_OK
               ? read_jobs(call, erase->found.list[JOBS], &erase->jobs)
               : result;
}

static bool
is_text(const redisReply *reply, const char *text)
{
    loyalty_str_t value;

    return loyalty_reply_str(reply, &value)
           && loyalty_str_eq(value, loyalty_str_from(text));
}

static void
write_job(loyalty_api_call_t *call, loyalty_str_t id, const redisReply *job)
{
    bool over, import;

    if (!loyalty_reply_array(job, 2)) {
        return;
    }

    over = !is_text(job->element[1], "queued")
           && !is_text(job->element[1], "running");
    import = is_text(job->element[0], "import");

    if (over && (import || is_text(job->element[0], "export"))) {
        loyalty_api_command(call, "DEL", "jf", id, 0);
    } else if (!over && is_text(job->element[0], "export")) {
        loyalty_api_write_cancel(call, id, NULL);
    }
}

void
loyalty_api_erase_write(loyalty_api_call_t *call, loyalty_str_t member,
                        const loyalty_api_erase_t *erase)
{
    const redisReply *list = erase->found.list[ANSWERS];
    loyalty_str_t text;
    size_t i;

    for (i = 0; i < list->elements; i++) {
        if (loyalty_reply_str(list->element[i], &text)) {
            loyalty_api_command(call, "DEL", "i", text, 0);
        }
    }
    loyalty_api_command(call, "DEL", "ik", member, 0);

    list = erase->found.list[JOBS];
    for (i = 0; i < list->elements && i < erase->jobs.count; i++) {
        if (loyalty_reply_str(list->element[i], &text)) {
            write_job(call, text, erase->jobs.list[i]);
        }
    }
}

void
loyalty_api_erase_free(loyalty_api_erase_t *erase)
{
    loyalty_replies_free(&erase->found);
    loyalty_replies_free(&erase->jobs);
}
