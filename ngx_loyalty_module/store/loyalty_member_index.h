/*
 * Members by email, phone and name: sorted sets of equal scores, whose
 * elements are a folded text, a zero byte and the member's id, so that a range
 * of bytes answers both "who has this" and "whose name begins so".
 *
 *   ie  anna@example.com \0 42     NFKC, case folded
 *   ip  +447700900123 \0 42        digits, behind a + where one was given
 *   in  anna smith \0 42           folded, runs of blanks made one
 */

#ifndef LOYALTY_MEMBER_INDEX_H
#define LOYALTY_MEMBER_INDEX_H

#include "loyalty.h"

typedef enum {
    LOYALTY_INDEX_EMAIL,
    LOYALTY_INDEX_PHONE,
    LOYALTY_INDEX_NAME,
    LOYALTY_INDEXES
} loyalty_index_t;

/* "ie", "ip", "in": the kind of key. */
const char *loyalty_index_kind(loyalty_index_t index);

/* A text as the index holds it, in the arena; empty where nothing is left of
 * it.  LOYALTY_ERROR_MEMORY. */
loyalty_status_t loyalty_index_fold(loyalty_index_t index, loyalty_str_t text,
                                    loyalty_arena_t *arena,
                                    loyalty_str_t *folded);

/* An element of the set. */
loyalty_status_t loyalty_index_element(loyalty_str_t folded, loyalty_str_t id,
                                       loyalty_arena_t *arena,
                                       loyalty_str_t *element);

/* The id in an element; false: it is none. */
bool loyalty_index_id(loyalty_str_t element, loyalty_str_t *id);

#endif
