/*
 * Order capture: from the shop's 2xx answer to an event in the journal.
 */


#include "ngx_http_loyalty_filter.h"


ngx_int_t
ngx_http_loyalty_capture_header_filter(ngx_http_request_t *r)
{
    return ngx_http_loyalty_inject_header_filter(r);
}


ngx_int_t
ngx_http_loyalty_capture_body_filter(ngx_http_request_t *r, ngx_chain_t *in)
{
    return ngx_http_loyalty_inject_body_filter(r, in);
}
