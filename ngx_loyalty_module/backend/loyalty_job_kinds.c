/*
 * Every kind of job, one line each.
 */

#include "loyalty_job.h"
#include "loyalty_job_kinds.h"

static const loyalty_job_kind_t *const kinds[] = {
    &loyalty_job_activation,
    &loyalty_job_broadcast,
    &loyalty_job_bulk,
    &loyalty_job_check,
    &loyalty_job_export,
    &loyalty_job_group,
    &loyalty_job_import,
    &loyalty_job_codes,
    &loyalty_job_nightly,
    &loyalty_job_reach,
    &loyalty_job_ungroup,
};

const loyalty_job_kind_t *
loyalty_job_kind(loyalty_str_t name)
{
    size_t i;

    for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (loyalty_str_eq(name, loyalty_str_from(kinds[i]->name))) {
            return kinds[i];
        }
    }

    return NULL;
}
