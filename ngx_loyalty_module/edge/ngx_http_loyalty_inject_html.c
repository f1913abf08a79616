/*
 * The badge: where it goes in a page.
 *
 * It takes the place of the first marker; without one it stands before the
 * last end tag of the body; without that the page stays as it is.  An end tag
 * counts as the last when no more than LOYALTY_INJECT_TAIL_MAX bytes follow,
 * so that one in a script does not.
 */


#include "ngx_http_loyalty_inject.h"
#include "loyalty_html_scan.h"


static ngx_int_t ngx_http_loyalty_inject_badge(
    ngx_http_loyalty_inject_ctx_t *ctx);


ngx_int_t
ngx_http_loyalty_inject_html(ngx_http_loyalty_inject_ctx_t *ctx)
{
    size_t          at, size, keep;
    ngx_int_t       rc;
    loyalty_str_t   marker, before, now;

    marker = ctx->conf->marker;
    before = loyalty_str_null;
    now = loyalty_str_null;

    if (ctx->pending != NULL) {
        before.data = (char *) ctx->pending->pos;
        before.len = ctx->pending->last - ctx->pending->pos;
    }

    if (ngx_buf_in_memory(ctx->buf)) {
        now.data = (char *) ctx->buf->pos;
        now.len = ctx->buf->last - ctx->buf->pos;
    }

    size = before.len + now.len;

    at = loyalty_html_marker(marker, before, now);

    if (at != LOYALTY_HTML_NONE) {

        if (ngx_http_loyalty_inject_pass(ctx, at) != NGX_OK) {
            return NGX_ERROR;
        }

        rc = ngx_http_loyalty_inject_badge(ctx);

        if (rc == NGX_OK) {
            ngx_http_loyalty_inject_cut(ctx, at + marker.len);
        }

        return rc == NGX_DECLINED ? NGX_OK : rc;
    }

    if (ctx->waits) {
        return NGX_AGAIN;
    }

    at = loyalty_html_body_end(before, now);

    if (ctx->last) {

        if (at == LOYALTY_HTML_NONE) {
            ngx_loyalty_metric(INJECT_NO_PLACE)++;
            return NGX_OK;
        }

        if (ngx_http_loyalty_inject_pass(ctx, at) != NGX_OK) {
            return NGX_ERROR;
        }

        rc = ngx_http_loyalty_inject_badge(ctx);

        return rc == NGX_DECLINED ? NGX_OK : rc;
    }

    if (at != LOYALTY_HTML_NONE && size - at <= LOYALTY_INJECT_TAIL_MAX) {
        keep = size - at;

    } else {
        keep = loyalty_html_partial(marker, before, now);
    }

    return ngx_http_loyalty_inject_pass(ctx, size - keep) == NGX_OK
           ? NGX_AGAIN : NGX_ERROR;
}


/* NGX_DECLINED: there is none, counted. */

static ngx_int_t
ngx_http_loyalty_inject_badge(ngx_http_loyalty_inject_ctx_t *ctx)
{
    ngx_str_t  badge;
    ngx_int_t  rc;

    rc = ngx_http_loyalty_badge(ctx, &badge);
    if (rc != NGX_OK) {
        return rc;
    }

    ngx_loyalty_metric(INJECTED_HTML)++;

    return ngx_http_loyalty_inject_put(ctx, &badge);
}
