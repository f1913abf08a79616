/*
 * Injection: the badge in a page, the member in a JSON object.
 */


#include "ngx_http_loyalty_filter.h"


ngx_int_t
ngx_http_loyalty_inject_header_filter(ngx_http_request_t *r)
{
    return ngx_http_loyalty_next_header_filter(r);
}


ngx_int_t
ngx_http_loyalty_inject_body_filter(ngx_http_request_t *r, ngx_chain_t *in)
{
    return ngx_http_loyalty_next_body_filter(r, in);
}
