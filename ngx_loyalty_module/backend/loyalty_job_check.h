/*
 * The check of a site in two parts: member by member, then the lists of the
 * site, whose elements are read with what they stand for.
 */

#ifndef LOYALTY_JOB_CHECK_H
#define LOYALTY_JOB_CHECK_H

#include "loyalty_job_kinds.h"

/* No member's id begins so: the cursor is among the lists. */
#define LOYALTY_CHECK_LISTS "\001"

void loyalty_check_found(loyalty_job_t *job, loyalty_str_t at,
                         const char *code, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* What a member has in the wallet and in groups, in decide: the commands that
 * read more, and their replies.  `now` is the job's. */
bool loyalty_check_wallet_reads(loyalty_job_t *job,
                                const loyalty_member_t *member,
                                loyalty_commands_t *commands);
void loyalty_check_wallet(loyalty_job_t *job, const loyalty_member_t *member,
                          redisReply *const *replies);

/* Uses and money of offers that were counted, in the result. */
void loyalty_check_use(loyalty_job_t *job, loyalty_str_t offer, int64_t uses,
                       int64_t spent);

/* Keeps the uses as they are before anything is counted. */
void loyalty_check_uses_begin(loyalty_job_t *job,
                              loyalty_commands_t *writes);

/* Compares them with what was counted, and with what live holds keep. */
loyalty_store_result_t loyalty_check_uses_end(loyalty_job_t *job);

/* A step among the lists. */
loyalty_store_result_t loyalty_check_lists(loyalty_job_t *job);

#endif
