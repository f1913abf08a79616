/*
 * What staff and shops may change of a member directly (DOMAIN.md section 2):
 * the profile, consent, and being deleted.  Everything else follows from
 * orders, grants and visits.
 */

#ifndef LOYALTY_MEMBER_EDIT_H
#define LOYALTY_MEMBER_EDIT_H

#include "loyalty_member.h"

/*
 * Applies the fields of a JSON object: email, phone, messenger_id, line_id,
 * name, locale, registered, signed_up_at, consent, clubs, attributes,
 * manual_status and manual_until (null: for good).  null empties a field;
 * `consent` and `attributes` are merged.  An unknown field is a problem; `id`,
 * `consent_source` and whether there is such a status are left to the caller.
 * Strings are copied to the arena.
 *
 * LOYALTY_ERROR_INVALID changes nothing that is kept: the caller throws the
 * member away.  LOYALTY_ERROR_REFUSED: the member is deleted.
 */
loyalty_status_t loyalty_member_edit(loyalty_member_t *member,
                                     const json_t *fields,
                                     loyalty_arena_t *arena,
                                     loyalty_problems_t *problems);

/*
 * Leaves a tombstone: no personal data, no consent, no groups; orders and
 * ledgers stay.  With `erase` grants are refused from now on.  False: it was
 * that already.
 */
bool loyalty_member_delete(loyalty_member_t *member, bool erase,
                           loyalty_instant_t now);

/*
 * Into a group, and out of it (section 9): offers and filters ask for groups.
 * LOYALTY_ERROR_LIMIT: the member is in as many as there can be; _REFUSED:
 * deleted.  Being there already is no change.
 */
loyalty_status_t loyalty_member_join(loyalty_member_t *member,
                                     loyalty_str_t group,
                                     loyalty_arena_t *arena);
bool loyalty_member_leave(loyalty_member_t *member, loyalty_str_t group);

/* From then on a group is shown as expired, and takes no new actions. */
loyalty_instant_t loyalty_group_ends_at(loyalty_instant_t created_at);

#endif
