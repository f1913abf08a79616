/*
 * What is given to many members at once, as a job's params hold it:
 *
 *   {"action": "points" | "credits" | "offer", "amount": N, "offer": ID,
 *    "reason": TEXT, "starts_at": INSTANT, "expires_at": INSTANT,
 *    "filter": F | "group": ID}
 *
 * An amount below 0 takes; an offer has none.  Whom it is about is in
 * loyalty_recipients.h.
 */

#ifndef LOYALTY_BULK_H
#define LOYALTY_BULK_H

#include <jansson.h>

#include "loyalty_member.h"

/*
 * Checks action, amount or offer, reason, starts_at and expires_at of a
 * request's body and copies them to `params`.  False: there are problems.
 */
bool loyalty_bulk_check(const json_t *body, const loyalty_program_t *program,
                        loyalty_instant_t now, json_t *params,
                        loyalty_problems_t *problems);

/* The grant, without its id and without who and when; strings are borrowed
 * from the params. */
void loyalty_bulk_grant(const json_t *params, loyalty_grant_t *grant);

#endif
