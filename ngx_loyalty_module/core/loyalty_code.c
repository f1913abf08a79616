/*
 * Coupon codes: each placeholder takes sixteen random bits, which are scaled
 * to its alphabet; the bias is under one in two thousand.
 */

#include "loyalty_code.h"

static const char digits[] = "23456789";
static const char letters[] = "ABCDEFGHJKMNPQRSTUVWXYZ";
static const char both[] = "23456789ABCDEFGHJKMNPQRSTUVWXYZ";

/* The alphabet of a placeholder, or NULL. */
static const char *
alphabet(char c)
{
    return c == '#' ? digits : c == '@' ? letters : c == '*' ? both : NULL;
}

static bool
is_literal(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-'
           || c == '_';
}

loyalty_status_t
loyalty_code_pattern_check(loyalty_str_t pattern)
{
    size_t i, places = 0;

    if (pattern.len > LOYALTY_CODE_MAX) {
        return LOYALTY_ERROR_LIMIT;
    }

    for (i = 0; i < pattern.len; i++) {
        if (alphabet(pattern.data[i]) != NULL) {
            places++;
        } else if (!is_literal(pattern.data[i])) {
            return LOYALTY_ERROR_INVALID;
        }
    }

    return places < LOYALTY_CODE_PLACES_MIN ? LOYALTY_ERROR_INVALID
                                            : LOYALTY_OK;
}

size_t
loyalty_code_generate(loyalty_str_t pattern, const unsigned char *random,
                      char *code)
{
    const char *from;
    unsigned bits;
    size_t i;

    for (i = 0; i < pattern.len; i++, random += 2) {
        from = alphabet(pattern.data[i]);
        bits = (unsigned)random[0] << 8 | random[1];
        code[i] = from == NULL ? pattern.data[i]
                               : from[bits * strlen(from) >> 16];
    }

    code[i] = '\0';
    return i;
}

bool
loyalty_code_fold(loyalty_str_t code, char *folded)
{
    size_t i;
    char c;

    if (code.len == 0 || code.len > LOYALTY_CODE_MAX) {
        return false;
    }

    for (i = 0; i < code.len; i++) {
        c = code.data[i];
        folded[i] = c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
    }

    return true;
}
