/*
 * Numbers and money in the worker's formats.
 */


#include "ngx_loyalty_format.h"


static loyalty_formats_t  ngx_loyalty_formats;


size_t
ngx_loyalty_format_money(loyalty_str_t locale, loyalty_str_t currency,
    int64_t amount, u_char *text)
{
    const loyalty_format_t  *format;

    format = loyalty_format(&ngx_loyalty_formats, locale, currency);

    return loyalty_format_amount(format, amount, (char *) text);
}


size_t
ngx_loyalty_format_number(loyalty_str_t locale, int64_t number, u_char *text)
{
    const loyalty_format_t  *format;

    format = loyalty_format(&ngx_loyalty_formats, locale, loyalty_str_null);

    return loyalty_format_number(format, number, (char *) text);
}
