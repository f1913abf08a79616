/*
 * Numbers and money as people of a locale write them, by ICU.
 *
 * The worker's table of formats (loyalty_format.h).  For the event loop only.
 */

#ifndef _NGX_LOYALTY_FORMAT_H_INCLUDED_
#define _NGX_LOYALTY_FORMAT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "loyalty_format.h"


/* UTF-8 text has room for this much. */

#define NGX_LOYALTY_FORMAT_SIZE  LOYALTY_FORMAT_SIZE


/*
 * 123450 of EUR in fr: "1 234,50 EUR" with the sign of the currency; whole
 * amounts come without their zeros.  Returns the length.  Where ICU has no
 * answer the plain decimal and the code stand.
 */
size_t ngx_loyalty_format_money(loyalty_str_t locale, loyalty_str_t currency,
    int64_t amount, u_char *text);

size_t ngx_loyalty_format_number(loyalty_str_t locale, int64_t number,
    u_char *text);

/* Where there are several figures to write; good until the next call. */
const loyalty_format_t *ngx_loyalty_format(loyalty_str_t locale,
    loyalty_str_t currency);


#endif /* _NGX_LOYALTY_FORMAT_H_INCLUDED_ */
