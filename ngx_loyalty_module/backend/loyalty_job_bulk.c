/*
 * Points or credits to many members: a list (jm), a group (gm), or whom a
 * filter lets pass when the scan comes to them.
 *
 * Each member gets one grant, whose id is the job's.  A tombstone still gets
 * its own; an erased member is refused by core/ (DOMAIN.md section 2).
 */

#include "loyalty_bulk.h"
#include "loyalty_filter.h"
#include "loyalty_job_kinds.h"

/* The filter is compiled by each step, into its arena. */
static bool
compile_filter(loyalty_job_t *job, loyalty_filter_t **filter)
{
    json_t *json = json_object_get(job->params, "filter");
    loyalty_problems_t problems;

    *filter = NULL;
    loyalty_problems_init(&problems, job->arena);

    return json == NULL
           || loyalty_filter_compile(json, job->arena, &problems, filter)
                  == LOYALTY_OK;
}

static loyalty_status_t
grant(loyalty_job_t *job, loyalty_member_slot_t *slot,
      loyalty_member_change_t *change)
{
    loyalty_filter_t *filter = job->data;
    loyalty_status_t status;
    loyalty_grant_t given;

    if (slot->fresh) {
        return LOYALTY_ERROR_NOT_FOUND;
    }

    if (filter != NULL
        && (slot->member.deleted_at != LOYALTY_UNKNOWN
            || !loyalty_filter_matches(filter, &slot->member, job->program,
                                       job->created_at))) {
        loyalty_job_count(job, "skipped");
        return LOYALTY_OK;
    }

    loyalty_bulk_grant(job->params, &given);
    given.id = job->id;
    given.cause.at = job->now;
    given.cause.by = job->by;

    status = loyalty_member_grant(&slot->member, job->program, &given,
                                  &change->arena, &slot->effects);
    slot->changed = status == LOYALTY_OK;
    if (slot->changed) {
        loyalty_job_count(job, "granted");
    }

    return status;
}

static loyalty_store_result_t
step(loyalty_job_t *job)
{
    const char *group = json_string_value(json_object_get(job->params,
                                                          "group"));
    loyalty_filter_t *filter;

    if (!compile_filter(job, &filter)) {
        return LOYALTY_STORE_MALFORMED;
    }

    job->data = filter;

    if (filter != NULL) {
        return loyalty_job_scan(job, "mi", loyalty_str_null, grant);
    }

    return group != NULL
               ? loyalty_job_scan(job, "gm", loyalty_str_from(group), grant)
               : loyalty_job_scan(job, "jm", job->id, grant);
}

const loyalty_job_kind_t loyalty_job_bulk = {"bulk", step};
