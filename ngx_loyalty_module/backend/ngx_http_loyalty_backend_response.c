/*
 * What a thread has answered goes out: at once, or a piece after the other,
 * each asked for when the one before has left.
 */


#include "ngx_http_loyalty_backend_request.h"
#include "ngx_loyalty_compat.h"


static void ngx_http_loyalty_backend_write(ngx_http_request_t *r);
static void ngx_http_loyalty_backend_next(ngx_http_loyalty_backend_op_t *op);
static ngx_int_t ngx_http_loyalty_backend_send_header(ngx_http_request_t *r,
    loyalty_api_response_t *response);
static ngx_int_t ngx_http_loyalty_backend_etag(ngx_http_request_t *r,
    const char *etag);
static ngx_int_t ngx_http_loyalty_backend_header(ngx_http_request_t *r,
    const char *name, const char *value);


void
ngx_http_loyalty_backend_send(ngx_http_loyalty_backend_op_t *op)
{
    ngx_buf_t           *b;
    ngx_int_t            rc;
    ngx_chain_t          out;
    ngx_http_request_t  *r;

    r = op->request;

    if (op->header_sent && op->response.status != NGX_HTTP_OK
        && r->method == NGX_HTTP_GET)
    {
        /* Half a file must not look like a whole one. */

        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "loyalty: the next piece of an answer was refused "
                      "with %d", op->response.status);

        ngx_http_finalize_request(r, NGX_ERROR);
        return;
    }

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
        || ngx_http_loyalty_backend_etag(r, response->etag) != NGX_OK
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


/*
 * nginx itself answers a GET whose If-None-Match names the tag with 304.  Its
 * other conditions stay off: what a change answers is its outcome.
 */

static ngx_int_t
ngx_http_loyalty_backend_etag(ngx_http_request_t *r, const char *etag)
{
    ngx_list_part_t  *part;

    if (ngx_http_loyalty_backend_header(r, "ETag", etag) != NGX_OK) {
        return NGX_ERROR;
    }

    if (*etag != '\0'
        && (r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD))
        && r->headers_in.if_match == NULL
        && r->headers_in.if_unmodified_since == NULL)
    {
        part = r->headers_out.headers.last;
        r->headers_out.etag = (ngx_table_elt_t *) part->elts + part->nelts - 1;
        r->disable_not_modified = 0;
    }

    return NGX_OK;
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


ngx_int_t
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
