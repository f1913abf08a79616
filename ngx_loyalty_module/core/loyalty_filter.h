/*
 * Filters over members, for groups and bulk grants (DOMAIN.md section 9).
 *
 *   {"and": [F, ...]}  {"or": [F, ...]}  {"not": F}
 *   {"field": NAME, "op": OP, "value": V}
 *
 *   field                                    op                     value
 *   id email phone name locale               eq ne in prefix exists text
 *   messenger_id line_id attributes.NAME
 *   registered deleted                       eq                     true|false
 *   consent.email|sms|messenger|line         eq                     true|false
 *   order_count spent_total credits.active   eq ne lt lte gt gte    integer
 *   points.active|pending|spent|expired|life
 *   signed_up_at last_visit_at last_order_at before after           instant
 *                                            within_days            days
 *                                            not_within_days        days
 *                                            exists                 true|false
 *   status                                   eq ne in exists        status id
 *   segments groups clubs offers             has has_any has_all    id, ids
 *
 * email, phone and name are compared as they are looked for (loyalty_fold.h):
 * without case, a phone by its digits.  `tags` is another name of `clubs`.  An instant that nobody recorded is
 * neither before nor after anything and lies within no days.
 */

#ifndef LOYALTY_FILTER_H
#define LOYALTY_FILTER_H

#include <jansson.h>

#include "loyalty_member.h"

typedef struct loyalty_filter_s loyalty_filter_t;

/*
 * Everything the filter needs is copied into the arena, which must outlive it.
 * All mistakes at once; LOYALTY_ERROR_INVALID, _LIMIT, _MEMORY.
 */
loyalty_status_t loyalty_filter_compile(json_t *json, loyalty_arena_t *arena,
                                        loyalty_problems_t *problems,
                                        loyalty_filter_t **filter);

/* Whether the member passes, at that instant. */
bool loyalty_filter_matches(const loyalty_filter_t *filter,
                            const loyalty_member_t *member,
                            const loyalty_program_t *program,
                            loyalty_instant_t at);

#endif
