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

/* What is typed or pasted with a code and is none of it: the blanks of ASCII,
 * and the one that does not break, U+00A0. */
static size_t
blank(loyalty_str_t text)
{
    if (text.len >= 2 && memcmp(text.data, "\xc2\xa0", 2) == 0) {
        return 2;
    }

    return text.len != 0 && (unsigned char)text.data[0] <= ' ';
}

/* Cuts the next character that counts off the front, folded; '\0': none. */
static char
cut(loyalty_str_t *code)
{
    size_t skip;
    char c;

    while ((skip = blank(*code)) != 0) {
        code->data += skip;
        code->len -= skip;
    }

    if (code->len == 0) {
        return '\0';
    }

    c = *code->data++;
    code->len--;
    return c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
}

size_t
loyalty_code_fold(loyalty_str_t code, char *folded)
{
    size_t n = 0;
    char c;

    while ((c = cut(&code)) != '\0') {
        if (n == LOYALTY_CODE_MAX) {
            return 0;
        }
        folded[n++] = c;
    }

    return n;
}

bool
loyalty_code_same(loyalty_str_t a, loyalty_str_t b)
{
    char x = cut(&a), y = cut(&b);

    if (x == '\0') {
        return false;
    }

    while (x == y && x != '\0') {
        x = cut(&a);
        y = cut(&b);
    }

    return x == y;
}
