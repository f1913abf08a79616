/*
 * A broadcast, and how many it would reach.
 */

#include "loyalty_content.h"
#include "loyalty_job_kinds.h"
#include "loyalty_recipients.h"

static loyalty_status_t
send_to(loyalty_job_t *job, loyalty_member_slot_t *slot,
        loyalty_member_change_t *change)
{
    loyalty_content_reach(job, job->params, &slot->member, true,
                          &change->writes);

    return LOYALTY_OK;
}

static loyalty_status_t
count_one(loyalty_job_t *job, loyalty_member_slot_t *slot,
          loyalty_member_change_t *change)
{
    loyalty_content_reach(job, job->params, &slot->member, false,
                          &change->writes);

    return LOYALTY_OK;
}

static loyalty_store_result_t
broadcast(loyalty_job_t *job)
{
    return loyalty_recipients_scan(job, send_to, NULL);
}

static loyalty_store_result_t
reach(loyalty_job_t *job)
{
    return loyalty_recipients_scan(job, count_one, NULL);
}

const loyalty_job_kind_t loyalty_job_broadcast = {"broadcast", broadcast};
const loyalty_job_kind_t loyalty_job_reach = {"reach", reach};
