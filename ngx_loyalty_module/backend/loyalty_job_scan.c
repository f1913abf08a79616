/*
 * A step over a list of members: the ids behind the cursor, and how many there
 * are in all when the job begins.
 */

#include "loyalty_job.h"
#include "loyalty_refusal.h"

static loyalty_store_result_t
read_ids(loyalty_job_t *job, const char *kind, loyalty_str_t rest,
         size_t limit, loyalty_replies_t *replies)
{
    loyalty_str_t start = loyalty_str("-");
    loyalty_store_result_t result;
    loyalty_commands_t commands;
    char *text;

    if (job->was.cursor.len != 0) {
        text = loyalty_alloc(job->arena, job->was.cursor.len + 1);
        if (text == NULL) {
            return LOYALTY_STORE_MEMORY;
        }
        text[0] = '(';
        memcpy(text + 1, job->was.cursor.data, job->was.cursor.len);
        start = (loyalty_str_t){text, job->was.cursor.len + 1};
    }

    loyalty_commands_init(&commands);
    loyalty_command(&commands, "ZRANGEBYLEX", 7);
    loyalty_arg_key(&commands, &job->scope, kind, rest);
    loyalty_arg(&commands, start);
    loyalty_arg_text(&commands, "+");
    loyalty_arg_text(&commands, "LIMIT");
    loyalty_arg_int(&commands, 0);
    loyalty_arg_int(&commands, (int64_t)limit);
    loyalty_command(&commands, "ZCARD", 2);
    loyalty_arg_key(&commands, &job->scope, kind, rest);
    result = loyalty_store_call(job->store, job->scope.site, &commands,
                                replies);
    loyalty_commands_free(&commands);

    if (result == LOYALTY_STORE_OK
        && replies->list[0]->type != REDIS_REPLY_ARRAY) {
        result = LOYALTY_STORE_MALFORMED;
    }

    return result;
}

static loyalty_store_result_t
take_ids(const redisReply *list, loyalty_arena_t *arena, loyalty_str_t **ids)
{
    size_t i;

    *ids = loyalty_alloc(arena, (list->elements + 1) * sizeof(**ids));
    if (*ids == NULL) {
        return LOYALTY_STORE_MEMORY;
    }

    for (i = 0; i < list->elements; i++) {
        if (!loyalty_reply_str(list->element[i], &(*ids)[i])) {
            return LOYALTY_STORE_MALFORMED;
        }
    }

    return LOYALTY_STORE_OK;
}

static const char *
explain(loyalty_status_t status)
{
    switch (status) {
    case LOYALTY_ERROR_NOT_FOUND:
        return "there is no such member";
    case LOYALTY_ERROR_REFUSED:
        return "a rule forbids it";
    case LOYALTY_ERROR_INSUFFICIENT:
        return "more than the balance";
    case LOYALTY_ERROR_CORRUPT:
        return "the stored record cannot be read";
    default:
        return "the member cannot be changed";
    }
}

static loyalty_store_result_t
decide(loyalty_member_change_t *change, void *data)
{
    loyalty_job_t *job = data;
    loyalty_commands_t mark;
    loyalty_status_t status;
    loyalty_member_slot_t *slot;
    size_t i;

    if (job->next.total < 0) {
        job->next.total = job->scan_total;
    }

    for (i = 0; i < change->n; i++) {
        slot = &change->list[i];
        mark = change->writes;
        status = slot->corrupt ? LOYALTY_ERROR_CORRUPT
                               : job->scan_member(job, slot, change);
        if (status == LOYALTY_ERROR_MEMORY) {
            return LOYALTY_STORE_MEMORY;
        }

        job->next.done++;
        job->next.cursor = slot->id;
        if (status != LOYALTY_OK) {
            slot->changed = false;
            loyalty_commands_cut(&change->writes, &mark);
            loyalty_job_failure(job, slot->id,
                                slot->effects.refusal != NULL
                                    ? slot->effects.refusal
                                    : loyalty_status_name(status),
                                slot->effects.refusal != NULL
                                    ? loyalty_refusal_text(
                                          slot->effects.refusal)
                                    : explain(status));
        }
    }

    job->next.finished = job->scan_last;

    return LOYALTY_STORE_OK;
}

loyalty_store_result_t
loyalty_job_ids(loyalty_job_t *job, const char *kind, loyalty_str_t rest,
                size_t limit, loyalty_replies_t *replies, loyalty_str_t **ids,
                size_t *n)
{
    loyalty_store_result_t result;

    result = read_ids(job, kind, rest, limit, replies);
    if (result != LOYALTY_STORE_OK) {
        return result;
    }

    if (!loyalty_reply_int(replies->list[1], &job->scan_total)) {
        job->scan_total = -1;
    }

    *n = replies->list[0]->elements;

    return take_ids(replies->list[0], job->arena, ids);
}

loyalty_store_result_t
loyalty_job_page(loyalty_job_t *job, const loyalty_str_t *ids, size_t n,
                 bool last, const loyalty_commands_t *reads,
                 loyalty_job_member_pt member)
{
    job->scan_member = member;
    job->scan_last = last;

    return loyalty_job_change(job, ids, n, reads, decide);
}

loyalty_store_result_t
loyalty_job_scan(loyalty_job_t *job, const char *kind, loyalty_str_t rest,
                 loyalty_job_member_pt member)
{
    loyalty_store_result_t result;
    loyalty_replies_t replies;
    loyalty_str_t *ids;
    size_t n;

    loyalty_replies_init(&replies);
    result = loyalty_job_ids(job, kind, rest, LOYALTY_MEMBER_CHANGE_MAX,
                             &replies, &ids, &n);
    if (result == LOYALTY_STORE_OK) {
        result = loyalty_job_page(job, ids, n, n < LOYALTY_MEMBER_CHANGE_MAX,
                                  NULL, member);
    }
    loyalty_replies_free(&replies);

    return result;
}
