/*
 * Shapes of ids, locales, paths, links and the like.  They are meant to be
 * stated in a JSON Schema as well: no check looks beyond its text, but for
 * the list of currencies.
 */

#include "loyalty_check.h"

#include "loyalty_code.h"
#include "loyalty_money.h"

static bool
is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool
is_digit(char c)
{
    return c >= '0' && c <= '9';
}

size_t
loyalty_length(loyalty_str_t text)
{
    size_t i, n = 0;

    for (i = 0; i < text.len; i++) {
        n += ((unsigned char)text.data[i] & 0xc0) != 0x80;
    }

    return n;
}

static bool
has_control(loyalty_str_t text, bool lines)
{
    unsigned char c;
    size_t i;

    for (i = 0; i < text.len; i++) {
        c = (unsigned char)text.data[i];
        if ((c < 0x20 && !(lines && (c == '\n' || c == '\r' || c == '\t')))
            || c == 0x7f) {
            return true;
        }
    }

    return false;
}

const char *
loyalty_check_text(loyalty_str_t text, bool lines)
{
    return has_control(text, lines) ? "must not have control characters"
                                    : NULL;
}

const char *
loyalty_check_site_id(loyalty_str_t text)
{
    bool good = text.len > 0 && text.len <= LOYALTY_SITE_ID_MAX;
    size_t i;
    char c;

    for (i = 0; good && i < text.len; i++) {
        c = text.data[i];
        good = (c >= 'a' && c <= 'z') || is_digit(c)
               || (i > 0 && (c == '-' || c == '_'));
    }

    return good ? NULL
                : "must be 1 to 64 lower-case letters, digits, '-' or '_', "
                  "and begin with a letter or digit";
}

const char *
loyalty_check_id(loyalty_str_t text)
{
    bool good = text.len > 0 && text.len <= LOYALTY_ID_MAX;
    size_t i;
    char c;

    for (i = 0; good && i < text.len; i++) {
        c = text.data[i];
        good = is_letter(c) || is_digit(c)
               || (i > 0 && (c == '-' || c == '_' || c == '.'));
    }

    return good ? NULL
                : "must be 1 to 64 letters, digits, '-', '_' or '.', and "
                  "begin with a letter or digit";
}

/* RFC 5646 in outline: a language, then subtags. */
const char *
loyalty_check_locale(loyalty_str_t text)
{
    bool good = text.len <= LOYALTY_LOCALE_MAX;
    size_t i, run = 0, tags = 0;

    for (i = 0; good && i <= text.len; i++) {
        if (i == text.len || text.data[i] == '-') {
            good = run >= (tags == 0 ? 2 : 1) && run <= 8;
            run = 0;
            tags++;
        } else {
            good = is_letter(text.data[i])
                   || (tags > 0 && is_digit(text.data[i]));
            run++;
        }
    }

    return good ? NULL
                : "must be a language tag such as \"en\" or \"fr-CA\"";
}

const char *
loyalty_check_sku(loyalty_str_t text)
{
    return text.len > 0 && loyalty_length(text) <= LOYALTY_SKU_MAX
                   && !has_control(text, false)
               ? NULL
               : "must be a SKU of 1 to 128 characters";
}

const char *
loyalty_check_category(loyalty_str_t text)
{
    bool good = text.len > 0 && loyalty_length(text) <= LOYALTY_CATEGORY_MAX
                && !has_control(text, false) && text.data[text.len - 1] != '/';
    size_t i;

    for (i = 0; good && i < text.len; i++) {
        good = text.data[i] != '/' || (i > 0 && text.data[i - 1] != '/');
    }

    return good ? NULL
                : "must be a path such as \"home/lighting\", of at most 256 "
                  "characters, no '/' at its ends nor two in a row";
}

/* A code is typed by hand: any characters that can be seen. */
const char *
loyalty_check_code(loyalty_str_t text)
{
    bool good = text.len > 0 && text.len <= LOYALTY_CODE_MAX;
    size_t i;

    for (i = 0; good && i < text.len; i++) {
        good = text.data[i] > ' ' && text.data[i] < 0x7f;
    }

    return good ? NULL
                : "must be 1 to 64 letters, digits or signs without blanks";
}

const char *
loyalty_check_code_pattern(loyalty_str_t text)
{
    return loyalty_code_pattern_check(text) == LOYALTY_OK
               ? NULL
               : "must have at least six of '#' (a digit), '@' (a letter) and "
                 "'*' (either) among A-Z, 0-9, '-' and '_', and at most 64 "
                 "characters";
}

const char *
loyalty_check_group(loyalty_str_t text)
{
    return text.len > 0 && loyalty_length(text) <= LOYALTY_ID_MAX
                   && !has_control(text, false)
               ? NULL
               : "must be the id of a group, of 1 to 64 characters";
}

const char *
loyalty_check_currency(loyalty_str_t text)
{
    return loyalty_currency_exponent(text) >= 0
               ? NULL
               : "must be a currency code of ISO 4217, such as \"EUR\"";
}

/* The shape of a name in the IANA database: "Europe/London", "Etc/GMT+5". */
const char *
loyalty_check_time_zone(loyalty_str_t text)
{
    bool good = text.len <= LOYALTY_TIME_ZONE_MAX;
    size_t i, parts = 1, run = 0;
    char c;

    for (i = 0; good && i < text.len; i++) {
        c = text.data[i];
        if (c == '/') {
            good = run > 0;
            parts++;
            run = 0;
        } else {
            good = is_letter(c)
                   || (i > 0 && (is_digit(c) || c == '_' || c == '+'
                                 || c == '-'));
            run++;
        }
    }

    return good && run > 0 && parts <= 3
               ? NULL
               : "must be the name of a time zone such as \"Europe/Paris\"";
}

/* A font family ends up in a style sheet. */
const char *
loyalty_check_font(loyalty_str_t text)
{
    size_t i;

    for (i = 0; i < text.len; i++) {
        if (strchr("{};<>\\@/", text.data[i]) != NULL) {
            return "must be a font family such as \"Inter, sans-serif\"";
        }
    }

    return NULL;
}

const char *
loyalty_check_url(loyalty_str_t text)
{
    bool good = text.len > 0 && text.len <= LOYALTY_URL_MAX;
    size_t i;
    char c;

    for (i = 0; good && i < text.len; i++) {
        c = text.data[i];
        good = c > ' ' && c < 0x7f && strchr("\"'<>\\^`{|}", c) == NULL;
    }

    if (good && text.data[0] == '/') {
        good = text.len == 1 || text.data[1] != '/';
    } else if (good) {
        good = text.len > 8 && memcmp(text.data, "https://", 8) == 0
               && text.data[8] != '/';
    }

    return good ? NULL
                : "must begin with \"https://\" or a single '/', without "
                  "blanks or quotes, at most 2048 characters";
}

const char *
loyalty_check_color(loyalty_str_t text)
{
    bool good = text.len == 7 && text.data[0] == '#';
    size_t i;

    for (i = 1; good && i < text.len; i++) {
        good = is_digit(text.data[i])
               || (text.data[i] >= 'a' && text.data[i] <= 'f')
               || (text.data[i] >= 'A' && text.data[i] <= 'F');
    }

    return good ? NULL : "must be a colour such as \"#b87333\"";
}
