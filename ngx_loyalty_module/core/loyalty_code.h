/*
 * Coupon codes from patterns (DOMAIN.md section 7, "code pattern").
 *
 *   #  a digit 2-9        @  a letter without I, L and O       *  either
 *   any other of A-Z 0-9 - _ stands for itself
 *
 * No placeholder gives 0, 1, I, L or O, which people mistake for each other.
 */

#ifndef LOYALTY_CODE_H
#define LOYALTY_CODE_H

#include "loyalty.h"

/* LOYALTY_ERROR_INVALID: another character, or fewer than
 * LOYALTY_CODE_PLACES_MIN placeholders; _LIMIT: longer than LOYALTY_CODE_MAX. */
loyalty_status_t loyalty_code_pattern_check(loyalty_str_t pattern);

/*
 * Fills in a checked pattern.  `random`: two bytes for each byte of the
 * pattern, from a cryptographic source.  `code` has LOYALTY_CODE_MAX + 1
 * bytes; terminated.  Returns the length.
 */
size_t loyalty_code_generate(loyalty_str_t pattern,
                             const unsigned char *random, char *code);

/* Writes the form in which codes are compared, A-Z for a-z and no blanks, to
 * `folded`, which has LOYALTY_CODE_MAX bytes.  Returns the length; 0: nothing,
 * or longer than a code. */
size_t loyalty_code_fold(loyalty_str_t code, char *folded);

/* Are they the same in that form?  Nothing is the same as no code. */
bool loyalty_code_same(loyalty_str_t a, loyalty_str_t b);

#endif
