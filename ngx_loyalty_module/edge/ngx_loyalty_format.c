/*
 * A round-robin table of ICU formatters by locale, currency and number of
 * decimals.  Sites of one host share few of these; a table that is too small
 * costs time, not correctness.
 */


#include "ngx_loyalty_format.h"

#include <unicode/unum.h>
#include <unicode/ustring.h>


#define NGX_LOYALTY_FORMATTERS  32
#define NGX_LOYALTY_LOCALE_MAX  32


typedef struct {
    UNumberFormat   *format;
    char             locale[NGX_LOYALTY_LOCALE_MAX];
    char             currency[4];                 /* empty: a number */
    int              decimals;
} ngx_loyalty_formatter_t;


static UNumberFormat *ngx_loyalty_formatter(loyalty_str_t locale,
    loyalty_str_t currency, int decimals);
static UNumberFormat *ngx_loyalty_formatter_open(ngx_loyalty_formatter_t *f);
static size_t ngx_loyalty_format(UNumberFormat *format, const char *decimal,
    size_t len, u_char *text);


static ngx_uint_t               ngx_loyalty_formatter_next;
static ngx_loyalty_formatter_t  ngx_loyalty_formatters[NGX_LOYALTY_FORMATTERS];


size_t
ngx_loyalty_format_money(loyalty_str_t locale, loyalty_str_t currency,
    int64_t amount, u_char *text)
{
    int       exponent, unit, i;
    char      decimal[LOYALTY_DECIMAL_SIZE];
    size_t    len, n;

    exponent = ngx_max(loyalty_currency_exponent(currency), 0);
    len = loyalty_decimal_format(amount, exponent, decimal);

    for (unit = 1, i = 0; i < exponent; i++) {
        unit *= 10;
    }

    n = ngx_loyalty_format(ngx_loyalty_formatter(locale, currency,
                                                 amount % unit ? exponent : 0),
                           decimal, len, text);
    if (n) {
        return n;
    }

    return ngx_snprintf(text, NGX_LOYALTY_FORMAT_SIZE, "%*s %*s", len, decimal,
                        currency.len, currency.data)
           - text;
}


size_t
ngx_loyalty_format_number(loyalty_str_t locale, int64_t number, u_char *text)
{
    char    decimal[LOYALTY_DECIMAL_SIZE];
    size_t  len, n;

    len = loyalty_decimal_format(number, 0, decimal);

    n = ngx_loyalty_format(ngx_loyalty_formatter(locale, loyalty_str_null, 0),
                           decimal, len, text);
    if (n) {
        return n;
    }

    ngx_memcpy(text, decimal, len);

    return len;
}


static UNumberFormat *
ngx_loyalty_formatter(loyalty_str_t locale, loyalty_str_t currency,
    int decimals)
{
    ngx_uint_t                i;
    ngx_loyalty_formatter_t  *f;

    if (locale.len >= NGX_LOYALTY_LOCALE_MAX
        || currency.len >= sizeof(f->currency))
    {
        return NULL;
    }

    for (i = 0; i < NGX_LOYALTY_FORMATTERS; i++) {
        f = &ngx_loyalty_formatters[i];

        if (f->format
            && f->decimals == decimals
            && loyalty_str_eq(loyalty_str_from(f->locale), locale)
            && loyalty_str_eq(loyalty_str_from(f->currency), currency))
        {
            return f->format;
        }
    }

    f = &ngx_loyalty_formatters[ngx_loyalty_formatter_next++
                                % NGX_LOYALTY_FORMATTERS];

    if (f->format) {
        unum_close(f->format);
    }

    ngx_memzero(f, sizeof(ngx_loyalty_formatter_t));
    ngx_memcpy(f->locale, locale.data, locale.len);

    if (currency.len) {
        ngx_memcpy(f->currency, currency.data, currency.len);
    }

    f->decimals = decimals;
    f->format = ngx_loyalty_formatter_open(f);

    return f->format;
}


static UNumberFormat *
ngx_loyalty_formatter_open(ngx_loyalty_formatter_t *f)
{
    UChar           currency[4];
    UErrorCode      status;
    UNumberFormat  *format;

    status = U_ZERO_ERROR;

    format = unum_open(f->currency[0] ? UNUM_CURRENCY : UNUM_DECIMAL, NULL, 0,
                       f->locale, NULL, &status);

    if (U_FAILURE(status)) {
        return NULL;
    }

    if (f->currency[0]) {
        u_uastrcpy(currency, f->currency);
        unum_setTextAttribute(format, UNUM_CURRENCY_CODE, currency, 3,
                              &status);
    }

    unum_setAttribute(format, UNUM_MIN_FRACTION_DIGITS, f->decimals);
    unum_setAttribute(format, UNUM_MAX_FRACTION_DIGITS, f->decimals);

    if (U_FAILURE(status)) {
        unum_close(format);
        return NULL;
    }

    return format;
}


static size_t
ngx_loyalty_format(UNumberFormat *format, const char *decimal, size_t len,
    u_char *text)
{
    UChar       wide[NGX_LOYALTY_FORMAT_SIZE];
    int32_t     n, bytes;
    UErrorCode  status;

    if (format == NULL) {
        return 0;
    }

    status = U_ZERO_ERROR;

    n = unum_formatDecimal(format, decimal, (int32_t) len, wide,
                           NGX_LOYALTY_FORMAT_SIZE, NULL, &status);

    if (U_FAILURE(status) || n > NGX_LOYALTY_FORMAT_SIZE) {
        return 0;
    }

    (void) u_strToUTF8((char *) text, NGX_LOYALTY_FORMAT_SIZE, &bytes, wide, n,
                       &status);

    return U_FAILURE(status) ? 0 : bytes;
}


void
ngx_loyalty_format_exit_process(void)
{
    ngx_uint_t  i;

    for (i = 0; i < NGX_LOYALTY_FORMATTERS; i++) {
        if (ngx_loyalty_formatters[i].format) {
            unum_close(ngx_loyalty_formatters[i].format);
            ngx_loyalty_formatters[i].format = NULL;
        }
    }
}
