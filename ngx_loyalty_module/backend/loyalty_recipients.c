/*
 * From a request's body to a job's list, and through that list in steps.
 */

#include "loyalty_recipients.h"

#include "loyalty_filter.h"

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

bool
loyalty_recipients_check_filter(loyalty_api_call_t *call, json_t *json,
                                loyalty_problems_t *problems)
{
    char pointer[LOYALTY_POINTER_MAX];
    loyalty_problems_t own;
    loyalty_filter_t *filter;
    size_t i;

    loyalty_problems_init(&own, call->arena);
    if (loyalty_filter_compile(json, call->arena, &own, &filter)
        == LOYALTY_OK) {
        return true;
    }

    for (i = 0; i < own.count && i < LOYALTY_PROBLEMS_MAX; i++) {
        snprintf(pointer, sizeof(pointer), "/filter%.*s",
                 (int)own.list[i].pointer.len, own.list[i].pointer.data);
        loyalty_problem(problems, pointer, "%.*s",
                        (int)own.list[i].message.len,
                        own.list[i].message.data);
    }

    if (own.count == 0) {
        loyalty_problem(problems, "/filter", "is too large");
    }

    return false;
}

void
loyalty_recipients_check(loyalty_api_call_t *call, loyalty_str_t group,
                         json_t *params, loyalty_problems_t *problems)
{
    json_t *members = json_object_get(call->body, "members");
    json_t *filter = json_object_get(call->body, "filter");

    if (group.len != 0) {
        if (members != NULL || filter != NULL) {
            loyalty_problem(problems, "", "is about the group: it can have "
                            "neither members nor filter");
        }
        json_object_set_new(params, "group",
                            json_stringn(group.data, group.len));
    } else if ((members != NULL) == (filter != NULL)) {
        loyalty_problem(problems, "", "needs either members or filter: the one a "
                        "list of ids, the other a condition");
    } else if (members != NULL) {
        check_ids(members, problems);
    } else if (loyalty_recipients_check_filter(call, filter, problems)) {
        json_object_set(params, "filter", filter);
    }
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

void
loyalty_recipients_write(loyalty_api_call_t *call, loyalty_str_t group,
                         loyalty_str_t job)
{
    if (group.len == 0) {
        write_ids(call, job, json_object_get(call->body, "members"));
        return;
    }

    loyalty_api_command(call, "COPY", "gm", group, 1);
    loyalty_arg_key(&call->session->commands, &call->scope, "jm", job);
}

typedef struct {
    loyalty_filter_t *filter; /* or NULL */
    loyalty_job_member_pt member;
    void *data;
} scan_t;

static loyalty_status_t
pass(loyalty_job_t *job, loyalty_member_slot_t *slot,
     loyalty_member_change_t *change)
{
    scan_t *scan = job->data;
    loyalty_status_t status;

    if (slot->fresh) {
        return LOYALTY_ERROR_NOT_FOUND;
    }

    if (scan->filter != NULL
        && (slot->member.deleted_at != LOYALTY_UNKNOWN
            || !loyalty_filter_matches(scan->filter, &slot->member,
                                       job->program, job->created_at))) {
        loyalty_job_count(job, "skipped");
        return LOYALTY_OK;
    }

    job->data = scan->data;
    status = scan->member(job, slot, change);
    job->data = scan;

    return status;
}

static loyalty_store_result_t
scan_page(loyalty_job_t *job, const char *kind, loyalty_str_t rest,
          size_t limit, loyalty_recipients_reads_pt reads, void *data)
{
    loyalty_store_result_t result;
    loyalty_commands_t commands;
    loyalty_replies_t replies;
    loyalty_str_t *ids;
    size_t n;

    loyalty_replies_init(&replies);
    loyalty_commands_init(&commands);
    result = loyalty_job_ids(job, kind, rest, limit, &replies, &ids, &n);
    if (result == LOYALTY_STORE_OK && reads != NULL) {
        result = reads(job, data, n, &commands);
    }
    if (result == LOYALTY_STORE_OK) {
        result = loyalty_job_page(job, ids, n, n < limit,
                                  commands.count != 0 ? &commands : NULL,
                                  pass);
    }
    loyalty_commands_free(&commands);
    loyalty_replies_free(&replies);

    return result;
}

/* The filter is compiled by each step, into its arena. */
loyalty_store_result_t
loyalty_recipients_page(loyalty_job_t *job, size_t limit,
                        loyalty_recipients_reads_pt reads,
                        loyalty_job_member_pt member, void *data)
{
    json_t *json = json_object_get(job->params, "filter");
    scan_t scan = {.member = member, .data = data};
    loyalty_problems_t problems;

    job->data = &scan;
    if (json == NULL) {
        return scan_page(job, "jm", job->id, limit, reads, data);
    }

    loyalty_problems_init(&problems, job->arena);
    if (loyalty_filter_compile(json, job->arena, &problems, &scan.filter)
        != LOYALTY_OK) {
        return LOYALTY_STORE_MALFORMED;
    }

    return scan_page(job, "mi", loyalty_str_null, limit, reads, data);
}

loyalty_store_result_t
loyalty_recipients_scan(loyalty_job_t *job, loyalty_job_member_pt member,
                        void *data)
{
    return loyalty_recipients_page(job, LOYALTY_MEMBER_CHANGE_MAX, NULL,
                                   member, data);
}
