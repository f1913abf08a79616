/*
 * Folding by ICU: NFKC_Casefold, so that full-width letters, ligatures and
 * capitals of any script are found however they are typed.
 */

#include "loyalty_fold.h"

#include <unicode/unorm2.h>
#include <unicode/ustring.h>

/* The longest that one UTF-16 unit becomes (U+FDFA), and one as UTF-8. */
#define FOLD_GROWTH 18
#define UTF8_GROWTH 3

/* "+44 (0)7700-900123", "0044..." and "+44..." read alike as far as digits
 * can tell. */
loyalty_status_t
loyalty_fold_phone(loyalty_str_t text, loyalty_arena_t *arena,
                   loyalty_str_t *folded)
{
    char *to = loyalty_alloc(arena, text.len + 2);
    size_t i, n = 0;

    if (to == NULL) {
        return LOYALTY_ERROR_MEMORY;
    }

    for (i = 0; i < text.len; i++) {
        if ((text.data[i] >= '0' && text.data[i] <= '9')
            || (text.data[i] == '+' && n == 0)) {
            to[n++] = text.data[i];
        }
    }

    if (n > 2 && to[0] == '0' && to[1] == '0') {
        to[1] = '+';
        to++;
        n--;
    }

    *folded = (loyalty_str_t){to, n};
    return LOYALTY_OK;
}

/* One blank between words, none around them; in place. */
static size_t
join_words(char *text, size_t len)
{
    size_t i, n = 0;

    for (i = 0; i < len; i++) {
        if (text[i] != ' ' || (n > 0 && text[n - 1] != ' ')) {
            text[n++] = text[i];
        }
    }

    return n > 0 && text[n - 1] == ' ' ? n - 1 : n;
}

/* What ICU would make of ASCII, without asking it; false: there is more. */
static bool
fold_ascii(loyalty_str_t text, char *to)
{
    size_t i;

    for (i = 0; i < text.len; i++) {
        if ((unsigned char)text.data[i] >= 0x80) {
            return false;
        }
        to[i] = text.data[i] >= 'A' && text.data[i] <= 'Z'
                    ? (char)(text.data[i] - 'A' + 'a') : text.data[i];
    }

    return true;
}

static loyalty_status_t
fold_unicode(loyalty_str_t text, loyalty_arena_t *arena, loyalty_str_t *folded)
{
    int32_t size = (int32_t)text.len * FOLD_GROWTH, len;
    UErrorCode error = U_ZERO_ERROR;
    const UNormalizer2 *normalizer;
    UChar *from, *to;
    char *utf8;

    from = loyalty_alloc(arena, text.len * sizeof(*from));
    to = loyalty_alloc(arena, (size_t)size * sizeof(*to));
    if (from == NULL || to == NULL) {
        return LOYALTY_ERROR_MEMORY;
    }

    u_strFromUTF8WithSub(from, (int32_t)text.len, &len, text.data,
                         (int32_t)text.len, 0xfffd, NULL, &error);
    normalizer = unorm2_getNFKCCasefoldInstance(&error);
    len = unorm2_normalize(normalizer, from, len, to, size, &error);
    if (U_FAILURE(error)) {
        return LOYALTY_ERROR_MEMORY;
    }

    size = len * UTF8_GROWTH;
    utf8 = loyalty_alloc(arena, (size_t)size + 1);
    if (utf8 == NULL) {
        return LOYALTY_ERROR_MEMORY;
    }

    u_strToUTF8WithSub(utf8, size + 1, &len, to, len, 0xfffd, NULL, &error);
    if (U_FAILURE(error)) {
        return LOYALTY_ERROR_MEMORY;
    }

    *folded = (loyalty_str_t){utf8, join_words(utf8, (size_t)len)};
    return LOYALTY_OK;
}

loyalty_status_t
loyalty_fold_text(loyalty_str_t text, loyalty_arena_t *arena,
                  loyalty_str_t *folded)
{
    char *to;

    *folded = loyalty_str_null;

    if (text.len == 0) {
        return LOYALTY_OK;
    }

    to = loyalty_alloc(arena, text.len);
    if (to == NULL) {
        return LOYALTY_ERROR_MEMORY;
    }

    if (!fold_ascii(text, to)) {
        return fold_unicode(text, arena, folded);
    }

    *folded = (loyalty_str_t){to, join_words(to, text.len)};
    return LOYALTY_OK;
}
