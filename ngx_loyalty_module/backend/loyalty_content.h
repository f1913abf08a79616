/*
 * What a broadcast says, or a notification that comes with a grant, and by
 * which channels (DOMAIN.md section 9):
 *
 *   {"channels": ["email", "sms", "messenger", "line"],
 *    "consent": "opted_in" | "all",      opted_in by default
 *    "title": TEXT, "content": TEXT, "html": TEXT,
 *    "sender_name": TEXT, "sender_address": TEXT}
 *
 * Texts are Mustache.  The channels and the consent go into a job's params,
 * the texts into ct:{site}:JOB.
 */

#ifndef LOYALTY_CONTENT_H
#define LOYALTY_CONTENT_H

#include "loyalty_api_call.h"
#include "loyalty_job.h"

/* Checks `json`, which stands at `at` in the body. */
void loyalty_content_check(const json_t *json, const char *at, json_t *params,
                           loyalty_problems_t *problems);

/* The same without the texts, for what is only counted. */
void loyalty_content_check_channels(const json_t *json, const char *at,
                                    json_t *params,
                                    loyalty_problems_t *problems);

/* Appends the texts to session->commands, which is MULTI ... */
void loyalty_content_write(loyalty_api_call_t *call, const json_t *json,
                           loyalty_str_t job);

/*
 * Counts in the job's result whom each channel reaches and whom not, and why:
 * {"reach": {"email": N}, "blocked": {"email": {"consent": N}}}.  With `send`
 * also appends the messages to `writes`, their ids derived from job, member
 * and channel.
 */
void loyalty_content_reach(loyalty_job_t *job, const json_t *params,
                           const loyalty_member_t *member, bool send,
                           loyalty_commands_t *writes);

#endif
