/*
 * Accept-Language, read once from left to right: of each range the quality
 * and the locale it fits; the best so far is kept.
 */

#include "loyalty_locale.h"

#include <strings.h>

static bool
is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static loyalty_str_t
trim(loyalty_str_t text)
{
    while (text.len > 0 && is_blank(text.data[0])) {
        text.data++;
        text.len--;
    }

    while (text.len > 0 && is_blank(text.data[text.len - 1])) {
        text.len--;
    }

    return text;
}

/* Cuts the text before the first `c` off *rest. */
static loyalty_str_t
cut(loyalty_str_t *rest, char c)
{
    const char *end = memchr(rest->data, c, rest->len);
    loyalty_str_t head = *rest;

    if (end == NULL) {
        rest->len = 0;
        return trim(head);
    }

    head.len = (size_t)(end - rest->data);
    rest->data = end + 1;
    rest->len -= head.len + 1;

    return trim(head);
}

/* "q=0.25" in thousandths: 250; -1 for anything that is not a quality. */
static int
quality(loyalty_str_t text)
{
    int value = 0, digits = 0;

    if (text.len < 3 || (text.data[0] | 0x20) != 'q' || text.data[1] != '='
        || (text.data[2] != '0' && text.data[2] != '1'))
    {
        return -1;
    }

    value = text.data[2] - '0';

    for (size_t i = 3; i < text.len; i++) {
        if (i == 3) {
            if (text.data[i] != '.') {
                return -1;
            }

        } else {
            if (text.data[i] < '0' || text.data[i] > '9' || digits == 3) {
                return -1;
            }

            value = value * 10 + (text.data[i] - '0');
            digits++;
        }
    }

    for (; digits < 3; digits++) {
        value *= 10;
    }

    return value <= 1000 ? value : -1;
}

/* The first `len` bytes are equal and a subtag ends there in both. */
static bool
begins(loyalty_str_t text, loyalty_str_t with)
{
    return text.len >= with.len
           && strncasecmp(text.data, with.data, with.len) == 0
           && (text.len == with.len || text.data[with.len] == '-'
               || text.data[with.len] == '_');
}

/* "fr" of "fr-CA". */
static loyalty_str_t
language(loyalty_str_t tag)
{
    for (size_t i = 0; i < tag.len; i++) {
        if (tag.data[i] == '-' || tag.data[i] == '_') {
            tag.len = i;
        }
    }

    return tag;
}

/* The locale that fits the range best, or n. */
static size_t
fitting(const loyalty_str_t *locales, size_t n, loyalty_str_t range)
{
    size_t general = n, related = n;

    if (range.len == 1 && range.data[0] == '*') {
        return 0;
    }

    for (size_t i = 0; i < n; i++) {
        if (begins(locales[i], range)) {
            return i;
        }

        if (general == n && begins(range, locales[i])) {
            general = i;
        }

        if (related == n && begins(locales[i], language(range))) {
            related = i;
        }
    }

    return general < n ? general : related;
}

loyalty_str_t
loyalty_locale_choose(const loyalty_str_t *locales, size_t nlocales,
                      loyalty_str_t accept)
{
    size_t best = 0;
    int best_quality = 0;

    if (nlocales == 0) {
        return loyalty_str_null;
    }

    if (accept.len > LOYALTY_ACCEPT_LANGUAGE_MAX) {
        accept.len = LOYALTY_ACCEPT_LANGUAGE_MAX;
    }

    while (accept.len > 0) {
        loyalty_str_t parameters = cut(&accept, ',');
        loyalty_str_t range = cut(&parameters, ';');
        int q = parameters.len == 0 ? 1000 : quality(cut(&parameters, ';'));
        size_t i = range.len == 0 ? nlocales
                                  : fitting(locales, nlocales, range);

        if (i < nlocales && q > best_quality) {
            best = i;
            best_quality = q;
        }
    }

    return locales[best];
}
