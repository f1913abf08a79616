/*
 * The content handler: reads the body, hands the request to a thread, sends
 * what comes back, if need be in pieces.
 *
 *   body read -> op in a thread -> answer -> sent -> (next piece) ...
 *                   |                 ^
 *                   +-- client left --+-- the op outlives the request,
 *                                         detached by a cleanup
 */


#include "ngx_http_loyalty_backend_request.h"


/* Requests in threads or waiting for one, a worker; more are answered 429. */
#define NGX_HTTP_LOYALTY_BACKEND_MAX      512

/* A request whose route takes no body may have one all the same. */
#define NGX_HTTP_LOYALTY_BACKEND_BODY     (64 * 1024)

#define NGX_HTTP_LOYALTY_BACKEND_TIMEOUT  60000


static void ngx_http_loyalty_backend_body(ngx_http_request_t *r);
static ngx_http_loyalty_backend_op_t *ngx_http_loyalty_backend_op(
    ngx_http_request_t *r);
static void ngx_http_loyalty_backend_thread(void *data, ngx_log_t *log);
static ngx_int_t ngx_http_loyalty_backend_read_file(
    ngx_http_loyalty_backend_op_t *op);
static void ngx_http_loyalty_backend_done(ngx_event_t *ev);
static void ngx_http_loyalty_backend_timeout(ngx_event_t *ev);
static void ngx_http_loyalty_backend_detach(void *data);
static void ngx_http_loyalty_backend_destroy(
    ngx_http_loyalty_backend_op_t *op);


/* The event loop's alone. */
static ngx_uint_t  ngx_http_loyalty_backend_running;


ngx_int_t
ngx_http_loyalty_backend_handler(ngx_http_request_t *r)
{
    off_t             length;
    size_t            max;
    ngx_int_t         rc;
    loyalty_str_t     uri;
    loyalty_method_t  method;

    ngx_http_loyalty_backend_main_conf_t  *bmcf;

    bmcf = ngx_http_get_module_main_conf(r, ngx_http_loyalty_backend_module);

    if (ngx_http_loyalty_limit_reached(r, bmcf)) {
        rc = ngx_http_discard_request_body(r);
        if (rc != NGX_OK) {
            return rc;
        }

        return ngx_http_loyalty_backend_fail(r, NGX_HTTP_TOO_MANY_REQUESTS,
                                             "too_many_requests",
                                             "more requests a second than "
                                             "one caller may make");
    }

    ngx_http_loyalty_asked_note();

    method = ngx_http_loyalty_backend_method(r);

    uri.data = (const char *) r->unparsed_uri.data;
    uri.len = r->unparsed_uri.len;

    length = r->headers_in.content_length_n;
    max = ngx_max(loyalty_api_body_max(method, uri),
                  NGX_HTTP_LOYALTY_BACKEND_BODY);

    if (length > (off_t) max) {
        rc = ngx_http_discard_request_body(r);
        if (rc != NGX_OK) {
            return rc;
        }

        return ngx_http_loyalty_backend_fail(r,
                                             NGX_HTTP_REQUEST_ENTITY_TOO_LARGE,
                                             "too_large",
                                             "the body is too long");
    }

    r->request_body_in_single_buf = 1;

    /* If-Match is about what was before the request, and the API's to judge;
     * nginx would compare it with what the request has made. */

    r->disable_not_modified = 1;

    rc = ngx_http_read_client_request_body(r, ngx_http_loyalty_backend_body);

    if (rc >= NGX_HTTP_SPECIAL_RESPONSE) {
        return rc;
    }

    return NGX_DONE;
}


static void
ngx_http_loyalty_backend_body(ngx_http_request_t *r)
{
    ngx_int_t                       rc;
    ngx_http_cleanup_t             *cln;
    ngx_http_loyalty_backend_op_t  *op;

    if (ngx_http_loyalty_backend_running >= NGX_HTTP_LOYALTY_BACKEND_MAX) {
        rc = ngx_http_loyalty_backend_fail(r, NGX_HTTP_TOO_MANY_REQUESTS,
                                           "too_many_requests",
                                           "the server is busy");
        ngx_http_finalize_request(r, rc);
        return;
    }

    cln = ngx_http_cleanup_add(r, 0);
    if (cln == NULL) {
        ngx_http_finalize_request(r, NGX_HTTP_INTERNAL_SERVER_ERROR);
        return;
    }

    op = ngx_http_loyalty_backend_op(r);
    if (op == NULL) {
        ngx_http_finalize_request(r, NGX_HTTP_INTERNAL_SERVER_ERROR);
        return;
    }

    cln->handler = ngx_http_loyalty_backend_detach;
    cln->data = op;

    r->read_event_handler = ngx_http_test_reading;
    r->write_event_handler = ngx_http_request_empty_handler;

    if (ngx_handle_read_event(r->connection->read, 0) != NGX_OK
        || ngx_http_loyalty_backend_post(op) != NGX_OK)
    {
        ngx_http_finalize_request(r, NGX_HTTP_INTERNAL_SERVER_ERROR);
    }
}


static ngx_http_loyalty_backend_op_t *
ngx_http_loyalty_backend_op(ngx_http_request_t *r)
{
    ngx_pool_t                            *pool;
    ngx_thread_task_t                     *task;
    ngx_http_loyalty_backend_op_t         *op;
    ngx_http_loyalty_backend_main_conf_t  *bmcf;

    bmcf = ngx_http_get_module_main_conf(r, ngx_http_loyalty_backend_module);

    pool = ngx_create_pool(4096, ngx_cycle->log);
    if (pool == NULL) {
        return NULL;
    }

    op = ngx_pcalloc(pool, sizeof(ngx_http_loyalty_backend_op_t));
    task = ngx_thread_task_alloc(pool, 0);

    if (op == NULL || task == NULL) {
        ngx_destroy_pool(pool);
        return NULL;
    }

    task->ctx = op;
    task->handler = ngx_http_loyalty_backend_thread;
    task->event.data = op;
    task->event.handler = ngx_http_loyalty_backend_done;

    op->request = r;
    op->pool = pool;
    op->task = task;
    op->file = NGX_INVALID_FILE;
    op->conf = &bmcf->api;
    op->api.insecure = bmcf->insecure;
    op->api.preview_secret.data = (char *) bmcf->preview_secret.data;
    op->api.preview_secret.len = bmcf->preview_secret.len;

    op->timer.data = op;
    op->timer.handler = ngx_http_loyalty_backend_timeout;
    op->timer.log = r->connection->log;

    if (ngx_http_loyalty_backend_copy_headers(op) != NGX_OK
        || ngx_http_loyalty_backend_copy_body(op) != NGX_OK)
    {
        ngx_http_loyalty_backend_destroy(op);
        return NULL;
    }

    return op;
}


ngx_int_t
ngx_http_loyalty_backend_post(ngx_http_loyalty_backend_op_t *op)
{
    ngx_http_loyalty_backend_main_conf_t  *bmcf;

    bmcf = ngx_http_get_module_main_conf(op->request,
                                         ngx_http_loyalty_backend_module);

    if (ngx_thread_task_post(bmcf->api_pool, op->task) != NGX_OK) {
        return NGX_ERROR;
    }

    op->running = 1;
    ngx_http_loyalty_backend_running++;

    /* It also keeps a worker that drains from leaving before the answer. */

    ngx_add_timer(&op->timer, NGX_HTTP_LOYALTY_BACKEND_TIMEOUT);

    return NGX_OK;
}


static void
ngx_http_loyalty_backend_thread(void *data, ngx_log_t *log)
{
    ngx_http_loyalty_backend_op_t *op = data;

    loyalty_api_session_t  *session;

    if (op->file != NGX_INVALID_FILE
        && ngx_http_loyalty_backend_read_file(op) != NGX_OK)
    {
        loyalty_api_fail(&op->response, NGX_HTTP_INTERNAL_SERVER_ERROR,
                         "body", "the body could not be read back");
        return;
    }

    session = ngx_http_loyalty_backend_session_get(op->conf);

    if (session == NULL) {
        loyalty_api_fail(&op->response, NGX_HTTP_INTERNAL_SERVER_ERROR,
                         "memory", "out of memory");
        return;
    }

    loyalty_api(session, &op->api, &op->response);

    ngx_http_loyalty_backend_session_put(session);
}


static ngx_int_t
ngx_http_loyalty_backend_read_file(ngx_http_loyalty_backend_op_t *op)
{
    char     *p;
    size_t    done;
    ssize_t   n;

    p = ngx_pnalloc(op->pool, op->api.body.len + 1);
    if (p == NULL) {
        return NGX_ERROR;
    }

    for (done = 0; done < op->api.body.len; done += n) {

        n = pread(op->file, p + done, op->api.body.len - done, done);

        if (n <= 0) {
            return NGX_ERROR;
        }
    }

    op->api.body.data = p;

    (void) ngx_close_file(op->file);
    op->file = NGX_INVALID_FILE;

    return NGX_OK;
}


static void
ngx_http_loyalty_backend_done(ngx_event_t *ev)
{
    ngx_http_loyalty_backend_op_t *op = ev->data;

    ngx_connection_t    *c;
    ngx_http_request_t  *r;

    op->running = 0;
    ngx_http_loyalty_backend_running--;

    r = op->request;

    if (r == NULL) {
        ngx_http_loyalty_backend_destroy(op);
        return;
    }

    if (op->timer.timer_set) {
        ngx_del_timer(&op->timer);
    }

    c = r->connection;

    ngx_http_set_log_request(c->log, r);

    if (op->response.known || op->response.status == NGX_HTTP_UNAUTHORIZED) {
        ngx_http_loyalty_limit_known(r,
                                     ngx_http_get_module_main_conf(r,
                                              ngx_http_loyalty_backend_module),
                                     op->response.known);
    }

    ngx_http_loyalty_backend_send(op);

    ngx_http_run_posted_requests(c);
}


static void
ngx_http_loyalty_backend_timeout(ngx_event_t *ev)
{
    ngx_http_loyalty_backend_op_t *op = ev->data;

    ngx_int_t            rc;
    ngx_connection_t    *c;
    ngx_http_request_t  *r;

    r = op->request;
    c = r->connection;

    ngx_http_set_log_request(c->log, r);

    ngx_log_error(NGX_LOG_ERR, c->log, NGX_ETIMEDOUT,
                  "loyalty: no thread answered the request in time");

    rc = NGX_ERROR;

    if (!op->header_sent) {
        rc = ngx_http_loyalty_backend_fail(r, NGX_HTTP_SERVICE_UNAVAILABLE,
                                           "unavailable",
                                           "no answer in time");
    }

    ngx_http_finalize_request(r, rc);
    ngx_http_run_posted_requests(c);
}


/* The request ends, however it does. */

static void
ngx_http_loyalty_backend_detach(void *data)
{
    ngx_http_loyalty_backend_op_t *op = data;

    op->request = NULL;

    if (op->timer.timer_set) {
        ngx_del_timer(&op->timer);
    }

    if (!op->running) {
        ngx_http_loyalty_backend_destroy(op);
    }
}


static void
ngx_http_loyalty_backend_destroy(ngx_http_loyalty_backend_op_t *op)
{
    if (op->file != NGX_INVALID_FILE) {
        (void) ngx_close_file(op->file);
    }

    free(op->response.body);
    ngx_destroy_pool(op->pool);
}
