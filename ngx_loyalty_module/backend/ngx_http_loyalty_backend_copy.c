/*
 * What a thread gets of a request: copies, since the request may end first.
 */


#include "ngx_http_loyalty_backend_request.h"


static ngx_int_t ngx_http_loyalty_backend_copy(ngx_pool_t *pool,
    ngx_str_t *from, loyalty_str_t *to);


loyalty_method_t
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


ngx_int_t
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

ngx_int_t
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
        if (cl->buf->pos != cl->buf->last) {
            p = ngx_cpymem(p, cl->buf->pos, cl->buf->last - cl->buf->pos);
        }
    }

    return NGX_OK;
}
