/*
 * A request of the API on its way through a thread; what the files of the
 * content handler share.
 */

#ifndef _NGX_HTTP_LOYALTY_BACKEND_REQUEST_H_INCLUDED_
#define _NGX_HTTP_LOYALTY_BACKEND_REQUEST_H_INCLUDED_


#include "ngx_http_loyalty_backend.h"


typedef struct {
    ngx_http_request_t       *request;     /* NULL: it has gone */
    ngx_pool_t               *pool;
    ngx_thread_task_t        *task;
    ngx_event_t               timer;
    loyalty_api_request_t     api;
    loyalty_api_response_t    response;
    ngx_fd_t                  file;        /* the body's, while not read */
    loyalty_store_conf_t     *conf;
    unsigned                  running:1;
    unsigned                  header_sent:1;
} ngx_http_loyalty_backend_op_t;


/* To a thread, whose answer is sent when it comes. */
ngx_int_t ngx_http_loyalty_backend_post(ngx_http_loyalty_backend_op_t *op);

/* From op->request into op->pool. */
ngx_int_t ngx_http_loyalty_backend_copy_headers(
    ngx_http_loyalty_backend_op_t *op);
ngx_int_t ngx_http_loyalty_backend_copy_body(
    ngx_http_loyalty_backend_op_t *op);
loyalty_method_t ngx_http_loyalty_backend_method(ngx_http_request_t *r);

/* Sends op->response and finalizes the request, or posts for the next piece. */
void ngx_http_loyalty_backend_send(ngx_http_loyalty_backend_op_t *op);

/* What nginx itself has to refuse, in the words of the API. */
ngx_int_t ngx_http_loyalty_backend_fail(ngx_http_request_t *r,
    ngx_uint_t status, const char *code, const char *message);

/* From any thread; NULL when there is no memory for another one. */
loyalty_api_session_t *ngx_http_loyalty_backend_session_get(
    loyalty_store_conf_t *conf);
void ngx_http_loyalty_backend_session_put(loyalty_api_session_t *session);


#endif /* _NGX_HTTP_LOYALTY_BACKEND_REQUEST_H_INCLUDED_ */
