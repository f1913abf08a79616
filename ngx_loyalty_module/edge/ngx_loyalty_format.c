/*
 * Numbers and money in the worker's formats.
 */


#include "ngx_loyalty_format.h"


static loyalty_formats_t  ngx_loyalty_formats;


size_t
ngx_loyalty_format_money(loyalty_str_t locale, loyalty_str_t currency,
    int64_t amount, u_char *text)
{
    return loyalty_format_amount(ngx_loyalty_format(locale, currency), amount,
                                 (char *) text);
}


size_t
ngx_loyalty_format_number(loyalty_str_t locale, int64_t number, u_char *text)
{
    return loyalty_format_number(ngx_loyalty_format(locale, loyalty_str_null),
                                 number, (char *) text);
}


const loyalty_format_t *
ngx_loyalty_format(loyalty_str_t locale, loyalty_str_t currency)
{
    return loyalty_format(&ngx_loyalty_formats, locale, currency);
}
