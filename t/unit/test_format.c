/* edge/loyalty_format.c against ICU itself. */
// link: ngx_loyalty_module/edge/loyalty_format.c -licui18n -licuuc

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <unicode/unumberformatter.h>
#include <unicode/ustring.h>

#include "loyalty_format.h"
#include "loyalty_money.h"

static const char *const locales[] = {
    "en", "en-GB", "en-IN", "fr", "fr-CA", "fr-CH", "de", "de-CH", "de-AT",
    "es", "es-MX", "it", "nl", "pl", "pt", "pt-PT", "sv", "nb", "fi", "cs",
    "ru", "tr", "ja", "zh", "ko", "hi", "bn", "fa", "ar-EG", "he", "th", "vi",
};

static const char *const currencies[] = {"GBP", "EUR", "JPY", "KWD", "CHF",
                                         "INR", "USD", "CLF"};

static const int64_t values[] = {
    0, 1, 5, 10, 99, 100, 999, 1000, 1234, 9999, 10000, 12345, 100000,
    999999, 1000000, 1234567, 123456789, 100000000000, 9007199254740993,
    INT64_MAX, -1, -50, -1234, -99999, -12345678, INT64_MIN,
};

/* By ICU's other interface: money with the narrow sign, as a skeleton. */
static void
by_icu(const char *locale, const char *currency, int fraction, int64_t value,
       int exponent, char *text)
{
    static const char *const precisions[] = {"precision-integer", ".0", ".00",
                                             ".000", ".0000"};
    UErrorCode error = U_ZERO_ERROR;
    UFormattedNumber *number = unumf_openResult(&error);
    UNumberFormatter *icu;
    UChar pattern[64], wide[256];
    char skeleton[64], decimal[LOYALTY_DECIMAL_SIZE];
    int32_t len;

    snprintf(skeleton, sizeof(skeleton),
             currency == NULL ? "%s" : "%s currency/%s unit-width-narrow",
             precisions[fraction], currency);
    u_uastrcpy(pattern, skeleton);
    icu = unumf_openForSkeletonAndLocale(pattern, -1, locale, &error);
    loyalty_decimal_format(value, exponent, decimal);
    unumf_formatDecimal(icu, decimal, -1, number, &error);
    len = unumf_resultToString(number, wide, 256, &error);
    u_strToUTF8(text, 256, NULL, wide, len, &error);
    assert_true(U_SUCCESS(error));
    unumf_closeResult(number);
    unumf_close(icu);
}

static void
assert_text(const char *text, size_t len, const char *expected,
            const char *what, int64_t value)
{
    if (len != strlen(expected) || memcmp(text, expected, len) != 0) {
        fail_msg("%s %lld: \"%.*s\", ICU has \"%s\"", what, (long long)value,
                 (int)len, text, expected);
    }
}

static void
figures_are_those_of_icu(void **state)
{
    static loyalty_formats_t formats;
    const loyalty_format_t *format;
    char text[LOYALTY_FORMAT_SIZE], expected[256];
    int64_t unit;
    size_t i, k, n, len;
    int exponent, e;

    (void)state;

    for (i = 0; i < sizeof(locales) / sizeof(locales[0]); i++) {
        for (k = 0; k < sizeof(currencies) / sizeof(currencies[0]); k++) {
            format = loyalty_format(&formats, loyalty_str_from(locales[i]),
                                    loyalty_str_from(currencies[k]));
            exponent =
                loyalty_currency_exponent(loyalty_str_from(currencies[k]));
            for (e = 0, unit = 1; e < exponent; e++) {
                unit *= 10;
            }

            for (n = 0; n < sizeof(values) / sizeof(values[0]); n++) {
                by_icu(locales[i], currencies[k], exponent, values[n],
                       exponent, expected);
                len = loyalty_format_money(format, values[n], text);
                assert_text(text, len, expected, locales[i], values[n]);

                if (values[n] % unit == 0) {
                    by_icu(locales[i], currencies[k], 0, values[n], exponent,
                           expected);
                }
                len = loyalty_format_amount(format, values[n], text);
                assert_text(text, len, expected, locales[i], values[n]);

                by_icu(locales[i], NULL, 0, values[n], 0, expected);
                len = loyalty_format_number(format, values[n], text);
                assert_text(text, len, expected, locales[i], values[n]);
            }
        }
    }
}

/* What people read, by hand. */
static void
some_are_known(void **state)
{
    static const struct {
        const char *locale;
        const char *currency;
        int64_t minor;
        const char *expected;
    } cases[] = {
        {"en", "GBP", 100000, "£1,000"},
        {"en", "GBP", 99950, "£999.50"},
        {"fr", "EUR", 100000, "1\u202f000\u00a0€"},
        {"fr", "GBP", 100000, "1\u202f000\u00a0£"},
        {"en-IN", "INR", 1234567800, "₹1,23,45,678"},
        {"es", "EUR", 1234567, "12.345,67\u00a0€"},
        {"ja", "JPY", 1000, "￥1,000"},
        {"en", "KWD", 1500, "KWD\u00a01.500"},
    };
    static loyalty_formats_t formats;
    char text[LOYALTY_FORMAT_SIZE];
    size_t i, len;

    (void)state;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        len = loyalty_format_amount(
            loyalty_format(&formats, loyalty_str_from(cases[i].locale),
                           loyalty_str_from(cases[i].currency)),
            cases[i].minor, text);
        assert_text(text, len, cases[i].expected, cases[i].locale,
                    cases[i].minor);
    }
}

static void
the_table_is_bounded_and_kept(void **state)
{
    static loyalty_formats_t formats;
    const loyalty_format_t *first, *again;
    char locale[16], text[LOYALTY_FORMAT_SIZE];
    size_t i, len;

    (void)state;

    first = loyalty_format(&formats, loyalty_str("en"), loyalty_str("GBP"));
    again = loyalty_format(&formats, loyalty_str("en"), loyalty_str("GBP"));
    assert_ptr_equal(first, again);

    for (i = 0; i < 3 * LOYALTY_FORMATS_MAX; i++) {
        snprintf(locale, sizeof(locale), "en-x-%03zu", i);
        again = loyalty_format(&formats, loyalty_str_from(locale),
                               loyalty_str("GBP"));
        len = loyalty_format_amount(again, 100000, text);
        assert_text(text, len, "£1,000", locale, 100000);
    }

    assert_int_equal(formats.n, LOYALTY_FORMATS_MAX);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(figures_are_those_of_icu),
        cmocka_unit_test(some_are_known),
        cmocka_unit_test(the_table_is_bounded_and_kept),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
