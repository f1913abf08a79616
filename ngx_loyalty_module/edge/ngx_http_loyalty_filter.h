/*
 * What injection and capture share: the filter module's configuration.
 */

#ifndef _NGX_HTTP_LOYALTY_FILTER_H_INCLUDED_
#define _NGX_HTTP_LOYALTY_FILTER_H_INCLUDED_


#include "ngx_http_loyalty.h"


typedef struct ngx_http_loyalty_inject_conf_s   ngx_http_loyalty_inject_conf_t;
typedef struct ngx_http_loyalty_capture_conf_s  ngx_http_loyalty_capture_conf_t;
typedef struct ngx_loyalty_journal_conf_s       ngx_loyalty_journal_conf_t;


typedef struct {
    ngx_loyalty_journal_conf_t       *journal;   /* loyalty_journal, or NULL */
} ngx_http_loyalty_filter_main_conf_t;


typedef struct {
    ngx_http_loyalty_inject_conf_t   *inject;    /* NULL: loyalty_inject off */
    ngx_http_loyalty_capture_conf_t  *capture;   /* NULL: loyalty_order off */
} ngx_http_loyalty_filter_loc_conf_t;


#endif /* _NGX_HTTP_LOYALTY_FILTER_H_INCLUDED_ */
