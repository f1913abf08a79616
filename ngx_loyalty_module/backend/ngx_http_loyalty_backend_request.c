/*
 * The content handler: reads the body, hands the request to a thread, sends
 * what comes back, if need be in pieces.
 *
 *   body read -> op in a thread -> answer -> sent -> (next piece) ...
 *                   |                 ^
 *                   +-- client left --+-- the op outlives the request,
 *                                         detached by a cleanup
 */


#include "ngx_http_loyalty_backend.h"
#include "ngx_loyalty_compat.h"

#include <pthread.h>


/* Requests in threads or waiting for one, a worker; more are answered 429. */
#define NGX_HTTP_LOYALTY_BACKEND_MAX      512

/* A request whose route takes no body may have one all the same. */
#define NGX_HTTP_LOYALTY_BACKEND_BODY     (64 * 1024)

#define NGX_HTTP_LOYALTY_BACKEND_TIMEOUT  60000


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


typedef struct {
    pthread_mutex_t           mutex;
    loyalty_api_session_t   **free;
    ngx_uint_t                nfree;
    ngx_uint_t                capacity;
    ngx_uint_t                running;     /* the event loop's alone */
} ngx_http_loyalty_backend_sessions_t;


static loyalty_api_session_t *ngx_http_loyalty_backend_session_get(
    loyalty_store_conf_t *conf);
static void ngx_http_loyalty_backend_session_put(
    loyalty_api_session_t *session);
static loyalty_method_t ngx_http_loyalty_backend_method(ngx_http_request_t *r);
static void ngx_http_loyalty_backend_body(ngx_http_request_t *r);
static ngx_http_loyalty_backend_op_t *ngx_http_loyalty_backend_op(
    ngx_http_request_t *r);
static ngx_int_t ngx_http_loyalty_backend_copy_body(
    ngx_http_loyalty_backend_op_t *op);
static ngx_int_t ngx_http_loyalty_backend_copy(ngx_pool_t *pool,
    ngx_str_t *from, loyalty_str_t *to);
static ngx_int_t ngx_http_loyalty_backend_copy_headers(
    ngx_http_loyalty_backend_op_t *op);
static ngx_int_t ngx_http_loyalty_backend_post(
    ngx_http_loyalty_backend_op_t *op);
static void ngx_http_loyalty_backend_thread(void *data, ngx_log_t *log);
static ngx_int_t ngx_http_loyalty_backend_read_file(
    ngx_http_loyalty_backend_op_t *op);
static void ngx_http_loyalty_backend_done(ngx_event_t *ev);
static void ngx_http_loyalty_backend_timeout(ngx_event_t *ev);
static void ngx_http_loyalty_backend_detach(void *data);
static void ngx_http_loyalty_backend_destroy(
    ngx_http_loyalty_backend_op_t *op);
static void ngx_http_loyalty_backend_send(ngx_http_loyalty_backend_op_t *op);
static void ngx_http_loyalty_backend_write(ngx_http_request_t *r);
static void ngx_http_loyalty_backend_next(ngx_http_loyalty_backend_op_t *op);
static ngx_int_t ngx_http_loyalty_backend_send_header(ngx_http_request_t *r,
    loyalty_api_response_t *response);
static ngx_int_t ngx_http_loyalty_backend_header(ngx_http_request_t *r,
    const char *name, const char *value);
static ngx_int_t ngx_http_loyalty_backend_fail(ngx_http_request_t *r,
    ngx_uint_t status, const char *code, const char *message);


static ngx_http_loyalty_backend_sessions_t  ngx_http_loyalty_backend_sessions;


ngx_int_t
ngx_http_loyalty_backend_sessions_init(void)
{
    return pthread_mutex_init(&ngx_http_loyalty_backend_sessions.mutex, NULL)
           == 0 ? NGX_OK : NGX_ERROR;
}


void
ngx_http_loyalty_backend_sessions_free(void)
{
    ngx_http_loyalty_backend_sessions_t  *s;

    s = &ngx_http_loyalty_backend_sessions;

    while (s->nfree) {
        loyalty_api_session_free(s->free[--s->nfree]);
    }

    free(s->free);
    s->free = NULL;
    s->capacity = 0;
}


static loyalty_api_session_t *
ngx_http_loyalty_backend_session_get(loyalty_store_conf_t *conf)
{
    loyalty_api_session_t                *session;
    ngx_http_loyalty_backend_sessions_t  *s;

    s = &ngx_http_loyalty_backend_sessions;
    session = NULL;

    pthread_mutex_lock(&s->mutex);

    if (s->nfree) {
        session = s->free[--s->nfree];
    }

    pthread_mutex_unlock(&s->mutex);

    return session ? session : loyalty_api_session_create(conf);
}


static void
ngx_http_loyalty_backend_session_put(loyalty_api_session_t *session)
{
    loyalty_api_session_t                **list;
    ngx_http_loyalty_backend_sessions_t   *s;

    s = &ngx_http_loyalty_backend_sessions;

    pthread_mutex_lock(&s->mutex);

    if (s->nfree == s->capacity) {
        list = realloc(s->free, (s->capacity + 8) * sizeof(*list));

        if (list) {
            s->free = list;
            s->capacity += 8;
        }
    }

    if (s->nfree < s->capacity) {
        s->free[s->nfree++] = session;
        session = NULL;
    }

    pthread_mutex_unlock(&s->mutex);

    if (session) {
        loyalty_api_session_free(session);
    }
}


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


static loyalty_method_t
ngx_http_loyalty_backend_method(ngx_http_request_t *r)
{
    switch (r->method) {

    case NGX_HTTP_GET:
    case NGX_HTTP_HEAD:
        return LOYALTY_METHOD_GET;

    case NGX_HTTP_POST:
        return LOYALTY_METHOD_POST;

    case NGX_HTTP_PUT:
        return LOYALTY_METHOD_PUT;

    case NGX_HTTP_PATCH:
        return LOYALTY_METHOD_PATCH;

    case NGX_HTTP_DELETE:
        return LOYALTY_METHOD_DELETE;

    default:
        return LOYALTY_METHOD_OTHER;
    }
}


static void
ngx_http_loyalty_backend_body(ngx_http_request_t *r)
{
    ngx_int_t                              rc;
    ngx_http_cleanup_t                    *cln;
    ngx_http_loyalty_backend_op_t         *op;

    if (ngx_http_loyalty_backend_sessions.running
        >= NGX_HTTP_LOYALTY_BACKEND_MAX)
    {
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


static ngx_int_t
ngx_http_loyalty_backend_copy(ngx_pool_t *pool, ngx_str_t *from,
    loyalty_str_t *to)
{
    u_char  *p;

    p = ngx_pstrdup(pool, from);
    if (p == NULL) {
        return NGX_ERROR;
    }

    to->data = (const char *) p;
    to->len = from->len;

    return NGX_OK;
}


static ngx_int_t
ngx_http_loyalty_backend_copy_headers(ngx_http_loyalty_backend_op_t *op)
{
    ngx_str_t            value;
    ngx_uint_t           i, n;
    ngx_list_part_t     *part;
    ngx_table_elt_t     *h;
    ngx_http_request_t  *r;

    static struct {
        ngx_str_t        name;
        size_t           offset;
        ngx_uint_t       cookie;
    } headers[] = {
        { ngx_string("idempotency-key"),
          offsetof(loyalty_api_request_t, idempotency_key), 0 },
        { ngx_string("x-csrf-token"),
          offsetof(loyalty_api_request_t, csrf_token), 0 },
        { ngx_string("cookie"),
          offsetof(loyalty_api_request_t, session), 1 },
    };

    r = op->request;

    op->api.method = ngx_http_loyalty_backend_method(r);

    if (ngx_http_loyalty_backend_copy(op->pool, &r->unparsed_uri,
                                      &op->api.uri)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    h = r->headers_in.authorization;
    if (h && ngx_http_loyalty_backend_copy(op->pool, &h->value,
                                           &op->api.authorization)
             != NGX_OK)
    {
        return NGX_ERROR;
    }

    h = r->headers_in.content_type;
    if (h && ngx_http_loyalty_backend_copy(op->pool, &h->value,
                                           &op->api.content_type)
             != NGX_OK)
    {
        return NGX_ERROR;
    }

    h = r->headers_in.if_match;
    if (h && ngx_http_loyalty_backend_copy(op->pool, &h->value,
                                           &op->api.if_match)
             != NGX_OK)
    {
        return NGX_ERROR;
    }

    h = r->headers_in.if_none_match;
    if (h && ngx_http_loyalty_backend_copy(op->pool, &h->value,
                                           &op->api.if_none_match)
             != NGX_OK)
    {
        return NGX_ERROR;
    }

    part = &r->headers_in.headers.part;
    h = part->elts;

    for (i = 0; /* void */ ; i++) {

        if (i >= part->nelts) {
            if (part->next == NULL) {
                break;
            }

            part = part->next;
            h = part->elts;
            i = 0;
        }

        for (n = 0; n < sizeof(headers) / sizeof(headers[0]); n++) {

            if (h[i].key.len != headers[n].name.len
                || ngx_strncasecmp(h[i].key.data, headers[n].name.data,
                                   headers[n].name.len)
                   != 0)
            {
                continue;
            }

            value = h[i].value;

            if (headers[n].cookie
                && ngx_http_loyalty_backend_cookie(&value) != NGX_OK)
            {
                continue;
            }

            if (ngx_http_loyalty_backend_copy(
                    op->pool, &value,
                    (loyalty_str_t *) ((u_char *) &op->api
                                       + headers[n].offset))
                != NGX_OK)
            {
                return NGX_ERROR;
            }
        }
    }

    return NGX_OK;
}


/* From a header Cookie (RFC 6265, 4.2) to the value of ours in it. */

ngx_int_t
ngx_http_loyalty_backend_cookie(ngx_str_t *value)
{
    u_char  *p, *last, *end;

    static ngx_str_t  name = ngx_string("loyalty_session=");

    p = value->data;
    last = p + value->len;

    while (p < last) {

        while (p < last && (*p == ' ' || *p == ';')) {
            p++;
        }

        end = ngx_strlchr(p, last, ';');
        if (end == NULL) {
            end = last;
        }

        if ((size_t) (end - p) > name.len
            && ngx_strncmp(p, name.data, name.len) == 0)
        {
            value->data = p + name.len;
            value->len = end - value->data;
            return NGX_OK;
        }

        p = end;
    }

    return NGX_DECLINED;
}


/* A body in memory is copied; one in a file is read by the thread. */

static ngx_int_t
ngx_http_loyalty_backend_copy_body(ngx_http_loyalty_backend_op_t *op)
{
    size_t               len;
    u_char              *p;
    ngx_chain_t         *cl;
    ngx_http_request_t  *r;

    r = op->request;

    if (r->request_body == NULL || r->request_body->bufs == NULL) {
        return NGX_OK;
    }

    if (r->request_body->temp_file) {
        op->file = dup(r->request_body->temp_file->file.fd);
        op->api.body.len = (size_t) r->request_body->temp_file->file.offset;
        return op->file == NGX_INVALID_FILE ? NGX_ERROR : NGX_OK;
    }

    len = 0;

    for (cl = r->request_body->bufs; cl; cl = cl->next) {
        len += ngx_buf_size(cl->buf);
    }

    p = ngx_pnalloc(op->pool, len + 1);
    if (p == NULL) {
        return NGX_ERROR;
    }

    op->api.body.data = (const char *) p;
    op->api.body.len = len;

    for (cl = r->request_body->bufs; cl; cl = cl->next) {
        p = ngx_cpymem(p, cl->buf->pos, cl->buf->last - cl->buf->pos);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_loyalty_backend_post(ngx_http_loyalty_backend_op_t *op)
{
    ngx_http_loyalty_backend_main_conf_t  *bmcf;

    bmcf = ngx_http_get_module_main_conf(op->request,
                                         ngx_http_loyalty_backend_module);

    if (ngx_thread_task_post(bmcf->api_pool, op->task) != NGX_OK) {
        return NGX_ERROR;
    }

    op->running = 1;
    ngx_http_loyalty_backend_sessions.running++;

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
    ngx_http_loyalty_backend_sessions.running--;

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


static void
ngx_http_loyalty_backend_send(ngx_http_loyalty_backend_op_t *op)
{
    ngx_buf_t           *b;
    ngx_int_t            rc;
    ngx_chain_t          out;
    ngx_http_request_t  *r;

    r = op->request;

    if (!op->header_sent) {
        op->header_sent = 1;

        rc = ngx_http_loyalty_backend_send_header(r, &op->response);

        if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
            ngx_http_finalize_request(r, rc);
            return;
        }
    }

    b = ngx_calloc_buf(r->pool);
    if (b == NULL) {
        ngx_http_finalize_request(r, NGX_ERROR);
        return;
    }

    b->pos = (u_char *) op->response.body;
    b->last = b->pos + op->response.len;
    b->memory = op->response.len ? 1 : 0;
    b->last_buf = op->response.offset ? 0 : 1;
    b->flush = op->response.offset ? 1 : 0;

    out.buf = b;
    out.next = NULL;

    rc = ngx_http_output_filter(r, &out);

    if (op->response.offset == 0 || rc == NGX_ERROR) {
        ngx_http_finalize_request(r, rc);
        return;
    }

    r->write_event_handler = ngx_http_loyalty_backend_write;
    ngx_http_set_ctx(r, op, ngx_http_loyalty_backend_module);

    ngx_http_loyalty_backend_next(op);
}


static void
ngx_http_loyalty_backend_write(ngx_http_request_t *r)
{
    ngx_http_loyalty_backend_op_t  *op;

    op = ngx_http_get_module_ctx(r, ngx_http_loyalty_backend_module);

    if (r->connection->write->timedout) {
        ngx_http_finalize_request(r, NGX_HTTP_REQUEST_TIME_OUT);
        return;
    }

    if (op->running) {
        return;
    }

    if (ngx_http_output_filter(r, NULL) == NGX_ERROR) {
        ngx_http_finalize_request(r, NGX_ERROR);
        return;
    }

    ngx_http_loyalty_backend_next(op);
}


/* The next piece, once this one has left: a slow client makes us wait. */

static void
ngx_http_loyalty_backend_next(ngx_http_loyalty_backend_op_t *op)
{
    ngx_event_t               *wev;
    ngx_http_request_t        *r;
    ngx_http_core_loc_conf_t  *clcf;

    r = op->request;
    wev = r->connection->write;

    if (r->buffered || r->postponed || r->connection->buffered) {

        clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

        ngx_add_timer(wev, clcf->send_timeout);

        if (ngx_handle_write_event(wev, clcf->send_lowat) != NGX_OK) {
            ngx_http_finalize_request(r, NGX_ERROR);
        }

        return;
    }

    if (wev->timer_set) {
        ngx_del_timer(wev);
    }

    op->api.offset = op->response.offset;
    free(op->response.body);
    ngx_memzero(&op->response, sizeof(loyalty_api_response_t));

    if (ngx_http_loyalty_backend_post(op) != NGX_OK) {
        ngx_http_finalize_request(r, NGX_ERROR);
    }
}


static ngx_int_t
ngx_http_loyalty_backend_send_header(ngx_http_request_t *r,
    loyalty_api_response_t *response)
{
    u_char  retry[NGX_INT_T_LEN + 1];

    r->headers_out.status = response->status;

    if (response->offset) {
        ngx_http_clear_content_length(r);

    } else {
        r->headers_out.content_length_n = response->len;
    }

    if (response->content_type) {
        r->headers_out.content_type.data = (u_char *) response->content_type;
        r->headers_out.content_type.len = ngx_strlen(response->content_type);
        r->headers_out.content_type_len = r->headers_out.content_type.len;
    }

    *ngx_sprintf(retry, "%d", response->retry_after) = '\0';

    if (response->immutable
        && (ngx_http_loyalty_backend_header(r, "X-Content-Type-Options",
                                            "nosniff")
            != NGX_OK
            || ngx_http_loyalty_backend_header(r, "Content-Security-Policy",
                                               "default-src 'none'; sandbox")
               != NGX_OK))
    {
        return NGX_ERROR;
    }

    if (ngx_http_loyalty_backend_header(r, "Cache-Control",
                                        response->immutable
                                        ? "public, max-age=31536000, immutable"
                                        : "no-store")
            != NGX_OK
        || ngx_http_loyalty_backend_header(r, "ETag", response->etag)
            != NGX_OK
        || ngx_http_loyalty_backend_header(r, "Allow", response->allow)
            != NGX_OK
        || ngx_http_loyalty_backend_header(r, "Location", response->location)
            != NGX_OK
        || ngx_http_loyalty_backend_header(r, "Set-Cookie", response->cookie)
            != NGX_OK
        || ngx_http_loyalty_backend_header(r, "Retry-After",
                                   response->retry_after ? (char *) retry : "")
            != NGX_OK
        || ngx_http_loyalty_backend_header(r, "Idempotency-Replayed",
                                           response->replayed ? "true" : "")
            != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (response->len == 0 && response->offset == 0) {
        r->header_only = 1;
    }

    if (response->status == NGX_HTTP_UNAUTHORIZED
        && ngx_http_loyalty_backend_header(r, "WWW-Authenticate",
                                           "Bearer realm=\"loyalty\"")
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_send_header(r);
}


static ngx_int_t
ngx_http_loyalty_backend_header(ngx_http_request_t *r, const char *name,
    const char *value)
{
    size_t            len;
    u_char           *p;
    ngx_table_elt_t  *h;

    len = ngx_strlen(value);

    if (len == 0) {
        return NGX_OK;
    }

    h = ngx_list_push(&r->headers_out.headers);
    p = ngx_pnalloc(r->pool, len);

    if (h == NULL || p == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(p, value, len);

    h->hash = 1;
    ngx_loyalty_set_next(h, NULL);
    h->key.data = (u_char *) name;
    h->key.len = ngx_strlen(name);
    h->value.data = p;
    h->value.len = len;

    return NGX_OK;
}


/* What nginx itself has to refuse, in the words of the API. */

static ngx_int_t
ngx_http_loyalty_backend_fail(ngx_http_request_t *r, ngx_uint_t status,
    const char *code, const char *message)
{
    u_char                  *p;
    ngx_buf_t               *b;
    ngx_int_t                rc;
    ngx_chain_t              out;
    loyalty_api_response_t   response;

    ngx_memzero(&response, sizeof(loyalty_api_response_t));

    loyalty_api_fail(&response, status, code, message);

    if (status != NGX_HTTP_REQUEST_ENTITY_TOO_LARGE) {
        response.retry_after = 1;
    }

    p = ngx_pnalloc(r->pool, response.len + 1);
    b = ngx_calloc_buf(r->pool);

    if (response.body == NULL || p == NULL || b == NULL) {
        free(response.body);
        return NGX_ERROR;
    }

    b->pos = p;
    b->last = ngx_cpymem(p, response.body, response.len);
    b->memory = 1;
    b->last_buf = 1;

    rc = ngx_http_loyalty_backend_send_header(r, &response);

    free(response.body);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    out.buf = b;
    out.next = NULL;

    return ngx_http_output_filter(r, &out);
}
