/*
 * What time alone changes (DOMAIN.md sections 4 and 5): expiries, pending
 * points that start, rolling windows, grace, the end of a manual status.
 *
 * One run a site and local day, begun at midnight; a night that was missed is
 * made up for by the next run, which goes by the instant and not by the day.
 */

#include "loyalty_job_kinds.h"

static loyalty_status_t
evaluate(loyalty_job_t *job, loyalty_member_slot_t *slot,
         loyalty_member_change_t *change)
{
    loyalty_status_t status;

    if (slot->fresh) {
        return LOYALTY_OK; /* left the list since it was read */
    }

    status = loyalty_member_evaluate(&slot->member, job->program, job->now,
                                     &change->arena, &slot->effects);
    slot->changed = status == LOYALTY_OK && slot->effects.member_changed;

    return status;
}

static loyalty_store_result_t
step(loyalty_job_t *job)
{
    return loyalty_job_scan(job, "mi", loyalty_str_null, evaluate);
}

const loyalty_job_kind_t loyalty_job_nightly = {"nightly", step};
