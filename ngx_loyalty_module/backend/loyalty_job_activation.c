/*
 * A site begins to be active: statuses of all members from the recorded
 * history (DOMAIN.md section 1).
 */

#include "loyalty_job_kinds.h"

static loyalty_status_t
settle(loyalty_job_t *job, loyalty_member_slot_t *slot,
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
    return loyalty_job_scan(job, "mi", loyalty_str_null, settle);
}

const loyalty_job_kind_t loyalty_job_activation = {"activation", step};
