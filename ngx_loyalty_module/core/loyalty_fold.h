/*
 * Texts about people as they are looked for: by the indexes of members and by
 * filters alike.
 *
 *   email, name   NFKC, case folded, one blank between words, none around
 *   phone         digits, behind a + where one, or 00, was given
 */

#ifndef LOYALTY_FOLD_H
#define LOYALTY_FOLD_H

#include "loyalty.h"

/* In the arena; empty where nothing is left of it.  LOYALTY_ERROR_MEMORY. */
loyalty_status_t loyalty_fold_text(loyalty_str_t text, loyalty_arena_t *arena,
                                   loyalty_str_t *folded);
loyalty_status_t loyalty_fold_phone(loyalty_str_t text, loyalty_arena_t *arena,
                                    loyalty_str_t *folded);

#endif
