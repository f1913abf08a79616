/*
 * An order's event as a POST of its own to an internal location.
 */

#ifndef _NGX_HTTP_LOYALTY_ORDER_POST_H_INCLUDED_
#define _NGX_HTTP_LOYALTY_ORDER_POST_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "loyalty_journal_payload.h"


typedef struct {
    ngx_http_core_srv_conf_t   *server;
    ngx_str_t                   uri;
} ngx_http_loyalty_post_conf_t;


/* NGX_OK: a 2xx answer has come */
typedef void (*ngx_http_loyalty_post_handler_pt)(void *data, ngx_int_t rc);


/* Notes that this server's records may go to `uri`. */
char *ngx_http_loyalty_order_post_add(ngx_conf_t *cf, ngx_str_t *uri);

/*
 * NGX_OK: the handler will be called, maybe it has been.  NGX_DECLINED: the
 * configuration has no such server and URI any more, or several of that name;
 * NGX_ERROR.  The payload is copied.
 */
ngx_int_t ngx_http_loyalty_order_post(loyalty_journal_payload_t *payload,
    ngx_str_t *id, ngx_http_loyalty_post_handler_pt handler, void *data);


#endif /* _NGX_HTTP_LOYALTY_ORDER_POST_H_INCLUDED_ */
