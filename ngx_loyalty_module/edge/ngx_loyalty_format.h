/*
 * Numbers and money as people of a locale write them, by ICU.
 *
 * Formatters are costly to make and are kept, a few dozen in each worker.  For
 * the event loop only.  Amounts go in as decimal text: no binary fraction
 * comes near money.
 */

#ifndef _NGX_LOYALTY_FORMAT_H_INCLUDED_
#define _NGX_LOYALTY_FORMAT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "loyalty_money.h"


/* UTF-8 text has room for this much. */

#define NGX_LOYALTY_FORMAT_SIZE  128


/*
 * 123450 of EUR in fr: "1 234,50 EUR" with the sign of the currency; whole
 * amounts come without their zeros.  Returns the length.  Where ICU has no
 * answer the plain decimal and the code stand.
 */
size_t ngx_loyalty_format_money(loyalty_str_t locale, loyalty_str_t currency,
    int64_t amount, u_char *text);

size_t ngx_loyalty_format_number(loyalty_str_t locale, int64_t number,
    u_char *text);

void ngx_loyalty_format_exit_process(void);


#endif /* _NGX_LOYALTY_FORMAT_H_INCLUDED_ */
