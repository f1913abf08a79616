/*
 * A pattern is read off what ICU makes of 1234567.89: what stands before the
 * first digit, behind the last, and between the groups.
 */

#include <stdio.h>
#include <unicode/uchar.h>
#include <unicode/ucurr.h>
#include <unicode/unum.h>
#include <unicode/ustring.h>
#include <unicode/utf16.h>

#include "loyalty_format.h"
#include "loyalty_money.h"

#define SAMPLE_SIZE 128
#define FRACTION_MAX 4 /* the largest exponent of ISO 4217 */

/* Part of a sample as UTF-8; false: it does not fit. */
static bool
to_utf8(const UChar *from, int32_t len, char *to, int32_t size)
{
    UErrorCode error = U_ZERO_ERROR;
    int32_t written;

    u_strToUTF8(to, size, &written, from, len, &error);
    return U_SUCCESS(error) && written < size;
}

/* Where digits stand in a sample. */
typedef struct {
    int32_t n;
    int32_t start[SAMPLE_SIZE];
    int32_t end[SAMPLE_SIZE];
    UChar32 first; /* the first digit itself */
} digits_t;

static void
find_digits(const UChar *text, int32_t len, digits_t *digits)
{
    int32_t i = 0;
    UChar32 c;

    digits->n = 0;

    while (i < len) {
        digits->start[digits->n] = i;
        U16_NEXT(text, i, len, c);
        if (u_charDigitValue(c) >= 0) {
            digits->first = digits->n == 0 ? c : digits->first;
            digits->end[digits->n++] = i;
        }
    }
}

/* How many digits stand together before digit `n`. */
static int32_t
group_before(const digits_t *digits, int32_t n)
{
    int32_t i = n - 1;

    while (i > 0 && digits->start[i] == digits->end[i - 1]) {
        i--;
    }

    return n - i;
}

static bool
sample(UNumberFormat *icu, const char *number, UChar *text, digits_t *digits)
{
    UErrorCode error = U_ZERO_ERROR;
    int32_t len;

    len = unum_formatDecimal(icu, number, -1, text, SAMPLE_SIZE - 1, NULL,
                             &error);
    if (U_FAILURE(error) || len >= SAMPLE_SIZE) {
        return false;
    }

    text[len] = 0;
    find_digits(text, len, digits);
    return true;
}

static bool
read_affixes(UNumberFormat *icu, int fraction, bool negative,
             loyalty_figure_t *figure)
{
    static const char *const numbers[] = {"1234567", "-1234567"};
    UChar text[SAMPLE_SIZE];
    digits_t digits;
    int32_t end;

    if (!sample(icu, numbers[negative], text, &digits)
        || digits.n != 7 + fraction) {
        return false;
    }

    end = digits.end[digits.n - 1];

    return to_utf8(text, digits.start[0], figure->prefix[negative],
                   LOYALTY_FORMAT_AFFIX_SIZE)
           && to_utf8(text + end, u_strlen(text) - end,
                      figure->suffix[negative], LOYALTY_FORMAT_AFFIX_SIZE);
}

static bool
read_groups(UNumberFormat *icu, int fraction, loyalty_figure_t *figure)
{
    UChar text[SAMPLE_SIZE];
    digits_t digits;
    int32_t whole = 7, last, before;

    if (!sample(icu, "1234567", text, &digits)
        || digits.n != whole + fraction) {
        return false;
    }

    figure->zero = (uint32_t)(digits.first - 1);

    last = group_before(&digits, whole);
    if (last < whole) {
        before = group_before(&digits, whole - last);
        figure->primary = (uint8_t)last;
        figure->secondary =
            (uint8_t)(whole - last - before > 0 ? before : last);
        if (!to_utf8(text + digits.end[whole - last - 1],
                     digits.start[whole - last] - digits.end[whole - last - 1],
                     figure->group, LOYALTY_FORMAT_SIGN_SIZE)) {
            return false;
        }
    }

    if (fraction > 0
        && !to_utf8(text + digits.end[whole - 1],
                    digits.start[whole] - digits.end[whole - 1],
                    figure->point, LOYALTY_FORMAT_SIGN_SIZE)) {
        return false;
    }

    /* How many digits it takes for a first group. */
    if (!sample(icu, "1234", text, &digits) || digits.n != 4 + fraction) {
        return false;
    }

    figure->minimum =
        (uint8_t)(figure->primary + (group_before(&digits, 4) == 4 ? 2 : 1));
    return true;
}

static bool
read_figure(const char *locale, UNumberFormatStyle style,
            const char *currency, int fraction, loyalty_figure_t *figure)
{
    UErrorCode error = U_ZERO_ERROR;
    UNumberFormat *icu = unum_open(style, NULL, 0, locale, NULL, &error);
    const UChar *sign;
    UChar code[4];
    int32_t len;
    bool done;

    if (U_FAILURE(error)) {
        return false;
    }

    if (style == UNUM_CURRENCY) {
        u_uastrcpy(code, currency);
        unum_setTextAttribute(icu, UNUM_CURRENCY_CODE, code, 3, &error);

        /* The narrow sign: a page speaks of one currency, and French has
         * "£GB" otherwise. */
        sign = ucurr_getName(code, locale, UCURR_NARROW_SYMBOL_NAME, NULL,
                             &len, &error);
        unum_setSymbol(icu, UNUM_CURRENCY_SYMBOL, sign, len, &error);
    }

    unum_setAttribute(icu, UNUM_FRACTION_DIGITS, fraction);

    /* As the locale has it: Spanish writes 1000 and 10.000. */
    unum_setAttribute(icu, UNUM_MINIMUM_GROUPING_DIGITS,
                      UNUM_MINIMUM_GROUPING_DIGITS_AUTO);

    done = U_SUCCESS(error) && read_affixes(icu, fraction, false, figure)
           && read_affixes(icu, fraction, true, figure)
           && read_groups(icu, fraction, figure);
    unum_close(icu);
    return done;
}

static void
plain_figure(const char *currency, loyalty_figure_t *figure)
{
    *figure = (loyalty_figure_t){.point = ".", .zero = '0'};

    if (currency != NULL) {
        snprintf(figure->prefix[0], LOYALTY_FORMAT_AFFIX_SIZE, "%s ",
                 currency);
    }
    figure->prefix[1][0] = '-';
    memcpy(figure->prefix[1] + 1, figure->prefix[0],
           LOYALTY_FORMAT_AFFIX_SIZE - 2);
}

static void
copy(char *to, size_t size, loyalty_str_t from)
{
    size_t len = from.len < size - 1 ? from.len : size - 1;

    if (len != 0) {
        memcpy(to, from.data, len);
    }
    to[len] = '\0';
}

static bool
is(const char *text, loyalty_str_t other)
{
    return loyalty_str_eq(loyalty_str_from(text), other);
}

const loyalty_format_t *
loyalty_format(loyalty_formats_t *formats, loyalty_str_t locale,
               loyalty_str_t currency)
{
    loyalty_format_t *format;
    size_t i;

    for (i = 0; i < formats->n; i++) {
        format = &formats->list[i];
        if (is(format->locale, locale) && is(format->currency, currency)) {
            return format;
        }
    }

    if (formats->n < LOYALTY_FORMATS_MAX) {
        format = &formats->list[formats->n++];
    } else {
        format = &formats->list[formats->next];
        formats->next = (formats->next + 1) % LOYALTY_FORMATS_MAX;
    }

    memset(format, 0, sizeof(*format));
    copy(format->locale, sizeof(format->locale), locale);
    copy(format->currency, sizeof(format->currency), currency);

    format->exponent = loyalty_currency_exponent(currency);
    if (format->exponent < 0 || format->exponent > FRACTION_MAX) {
        format->exponent = 0;
    }

    if (!read_figure(format->locale, UNUM_DECIMAL, NULL, 0, &format->number)) {
        plain_figure(NULL, &format->number);
    }
    if (currency.len != 0
        && !read_figure(format->locale, UNUM_CURRENCY, format->currency,
                        format->exponent, &format->money)) {
        plain_figure(format->currency, &format->money);
    }

    return format;
}

/* Signs and affixes have a few bytes, most have none. */
static inline char *
put_text(char *p, const char *text)
{
    while (*text != '\0') {
        *p++ = *text++;
    }

    return p;
}

static char *
put_digit(char *p, uint32_t c)
{
    if (c < 0x80) {
        *p++ = (char)c;
        return p;
    }
    if (c < 0x800) {
        *p++ = (char)(0xC0 | c >> 6);
    } else {
        if (c < 0x10000) {
            *p++ = (char)(0xE0 | c >> 12);
        } else {
            *p++ = (char)(0xF0 | c >> 18);
            *p++ = (char)(0x80 | (c >> 12 & 0x3F));
        }
        *p++ = (char)(0x80 | (c >> 6 & 0x3F));
    }

    *p++ = (char)(0x80 | (c & 0x3F));
    return p;
}

static size_t
write_figure(const loyalty_figure_t *figure, int64_t value, int fraction,
             bool whole, char *text)
{
    bool negative = value < 0, grouped;
    uint64_t rest = negative ? 0 - (uint64_t)value : (uint64_t)value;
    uint8_t digits[24];
    int n = 0, i, group;
    char *p;

    while (rest != 0 || n <= fraction) {
        digits[n++] = (uint8_t)(rest % 10);
        rest /= 10;
    }

    for (i = 0; i < fraction && whole; i++) {
        whole = digits[i] == 0;
    }

    grouped = figure->primary != 0 && n - fraction >= figure->minimum;
    p = put_text(text, figure->prefix[negative]);

    /* Where the first group ends: the largest end below n. */
    group = grouped ? fraction + figure->primary : 0;
    while (grouped && group + figure->secondary < n) {
        group += figure->secondary;
    }

    for (i = n - 1; i >= (whole ? fraction : 0); i--) {
        p = put_digit(p, figure->zero + digits[i]);
        if (i == fraction && fraction > 0 && !whole) {
            p = put_text(p, figure->point);
        } else if (i == group && i > fraction) {
            p = put_text(p, figure->group);
            group -= group == fraction + figure->primary ? group
                                                         : figure->secondary;
        }
    }

    p = put_text(p, figure->suffix[negative]);
    return (size_t)(p - text);
}

size_t
loyalty_format_number(const loyalty_format_t *format, int64_t number,
                      char *text)
{
    return write_figure(&format->number, number, 0, false, text);
}

size_t
loyalty_format_money(const loyalty_format_t *format, int64_t minor, char *text)
{
    return write_figure(&format->money, minor, format->exponent, false, text);
}

size_t
loyalty_format_amount(const loyalty_format_t *format, int64_t minor,
                      char *text)
{
    return write_figure(&format->money, minor, format->exponent, true, text);
}
