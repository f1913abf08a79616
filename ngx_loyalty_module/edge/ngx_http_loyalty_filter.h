/*
 * What injection and capture share: the filter module's configuration.
 */

#ifndef _NGX_HTTP_LOYALTY_FILTER_H_INCLUDED_
#define _NGX_HTTP_LOYALTY_FILTER_H_INCLUDED_


#include "ngx_http_loyalty.h"
#include "ngx_loyalty_journal.h"


typedef struct ngx_http_loyalty_inject_conf_s   ngx_http_loyalty_inject_conf_t;
typedef struct ngx_http_loyalty_capture_conf_s  ngx_http_loyalty_capture_conf_t;


typedef struct {
    ngx_loyalty_journal_conf_t        journal;
    ngx_array_t                       posts;     /* where orders are posted */
} ngx_http_loyalty_filter_main_conf_t;


typedef struct {
    ngx_http_loyalty_inject_conf_t   *inject;    /* NULL: loyalty_inject off */
    ngx_http_loyalty_capture_conf_t  *capture;   /* NULL: loyalty_order off */
    ngx_str_t                         post;      /* loyalty_order_post */
} ngx_http_loyalty_filter_loc_conf_t;


typedef struct {
    void                             *inject;    /* each file's own */
    void                             *capture;
} ngx_http_loyalty_filter_ctx_t;


/*
 * A bit of r->buffered: capture is done with it before injection begins, and
 * image_filter, whose bit it is too, has no business with an order.
 */
#define NGX_HTTP_LOYALTY_BUFFERED  0x08


/*
 * Capture stands before injection: it sees the shop's own bytes, holds the
 * answer back until the order is on disk, then calls ngx_http_loyalty_inject_
 * filters, which call the next module's.
 */

/* The request's context, made at the first call; NULL: out of memory. */
ngx_http_loyalty_filter_ctx_t *ngx_http_loyalty_filter_ctx(
    ngx_http_request_t *r);

/* The worker's journal; NULL without a directive. */
ngx_loyalty_journal_t *ngx_http_loyalty_journal(void);

/* While the Redis client is there: after it is made, before it is closed.  A
 * filter module's own init_process runs before that of the handler module. */
ngx_int_t ngx_http_loyalty_journal_init(ngx_cycle_t *cycle);
void ngx_http_loyalty_journal_exit(void);

char *ngx_http_loyalty_capture_directive(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_loyalty_capture_post_directive(ngx_conf_t *cf,
    ngx_command_t *cmd, void *conf);

/* Of the request, once resolved and before its content is made. */
void ngx_http_loyalty_capture_request(ngx_http_request_t *r);

ngx_int_t ngx_http_loyalty_capture_header_filter(ngx_http_request_t *r);
ngx_int_t ngx_http_loyalty_capture_body_filter(ngx_http_request_t *r,
    ngx_chain_t *in);

/* Of the request, once resolved and before its content is made. */
void ngx_http_loyalty_inject_request(ngx_http_request_t *r);

char *ngx_http_loyalty_inject_directive(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

ngx_int_t ngx_http_loyalty_inject_header_filter(ngx_http_request_t *r);
ngx_int_t ngx_http_loyalty_inject_body_filter(ngx_http_request_t *r,
    ngx_chain_t *in);


extern ngx_http_output_header_filter_pt  ngx_http_loyalty_next_header_filter;
extern ngx_http_output_body_filter_pt    ngx_http_loyalty_next_body_filter;


#endif /* _NGX_HTTP_LOYALTY_FILTER_H_INCLUDED_ */
