/*
 * The kinds of jobs, for their table.
 */

#ifndef LOYALTY_JOB_KINDS_H
#define LOYALTY_JOB_KINDS_H

#include "loyalty_job.h"

extern const loyalty_job_kind_t loyalty_job_activation;
extern const loyalty_job_kind_t loyalty_job_broadcast;
extern const loyalty_job_kind_t loyalty_job_bulk;
extern const loyalty_job_kind_t loyalty_job_check;
extern const loyalty_job_kind_t loyalty_job_export;
extern const loyalty_job_kind_t loyalty_job_group;
extern const loyalty_job_kind_t loyalty_job_import;
extern const loyalty_job_kind_t loyalty_job_codes;
extern const loyalty_job_kind_t loyalty_job_nightly;
extern const loyalty_job_kind_t loyalty_job_reach;
extern const loyalty_job_kind_t loyalty_job_ungroup;

#endif
