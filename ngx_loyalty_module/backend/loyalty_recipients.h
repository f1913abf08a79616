/*
 * Whom a bulk action is about, as a job's params and lists hold it:
 *
 *   {"members": [ID, ...]}   copied into jm:{site}:JOB
 *   {"filter": F}            whom F lets pass when the scan comes to them;
 *                            dates in it are relative to the job's creation
 *   a group (of the path)    gm:{site}:GROUP, copied into jm: what becomes of
 *                            the group later does not matter
 */

#ifndef LOYALTY_RECIPIENTS_H
#define LOYALTY_RECIPIENTS_H

#include "loyalty_api_call.h"
#include "loyalty_job.h"

/*
 * Checks members or filter of the request's body; the filter goes into
 * `params`.  With a group neither may be there, its id goes into `params`.
 */
void loyalty_recipients_check(loyalty_api_call_t *call, loyalty_str_t group,
                              json_t *params, loyalty_problems_t *problems);

/* Appends the job's list to session->commands, which is MULTI ... */
void loyalty_recipients_write(loyalty_api_call_t *call, loyalty_str_t group,
                              loyalty_str_t job);

/* One step over them, `data` to be found in job->data.  A member whom the
 * filter holds back, or who is deleted before it, counts as "skipped". */
loyalty_store_result_t loyalty_recipients_scan(loyalty_job_t *job,
                                               loyalty_job_member_pt member,
                                               void *data);

/* Adds what is to be read with a page of n members; `data` as given. */
typedef loyalty_store_result_t (*loyalty_recipients_reads_pt)(
    loyalty_job_t *job, void *data, size_t n, loyalty_commands_t *reads);

/* The same, `limit` members at a time with `reads` of their own, which may be
 * NULL. */
loyalty_store_result_t
loyalty_recipients_page(loyalty_job_t *job, size_t limit,
                        loyalty_recipients_reads_pt reads,
                        loyalty_job_member_pt member, void *data);

/* POST members/export, of a group where it is not empty. */
loyalty_store_result_t loyalty_api_export_group(loyalty_api_call_t *call,
                                                loyalty_str_t group);

/* A filter's mistakes, below /filter.  False: there are some. */
bool loyalty_recipients_check_filter(loyalty_api_call_t *call, json_t *json,
                                     loyalty_problems_t *problems);

#endif
