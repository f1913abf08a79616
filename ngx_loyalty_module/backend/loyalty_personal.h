/*
 * What says who a member is, in JSON that outlives the member: jobs, groups,
 * the audit.
 */

#ifndef LOYALTY_PERSONAL_H
#define LOYALTY_PERSONAL_H

#include <jansson.h>
#include <stdbool.h>

/* A member's field of that name is personal. */
bool loyalty_is_personal(const char *name);

/* A copy in which filters still name the fields they compare, but not with
 * what where that is personal; a new reference. */
json_t *loyalty_impersonal(const json_t *json);

#endif
