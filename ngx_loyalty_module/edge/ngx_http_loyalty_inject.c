/*
 * Injection: the badge in a page, the member in a JSON object.
 *
 *   HELD ----------> STREAM ---------> DONE
 *     \________________________________/
 *
 * HELD: the length is known, so the header waits: with the place found, or
 * the whole answer here, it goes out with the exact new length.  Bytes are
 * copied meanwhile and the originals consumed, or the upstream's pipe would
 * stall.  STREAM: too much has come, or the shop flushes; the header has gone
 * without a length, and what can't be the place passes on.  DONE: the place
 * has passed, the rest goes on as it is.
 *
 * What passes on are slices that point into the source's buffers; the last
 * slice of a buffer has it as its shadow, consumed when the slice is sent.
 */


#include "ngx_http_loyalty_inject.h"


static ngx_uint_t ngx_http_loyalty_inject_type(ngx_http_request_t *r,
    ngx_http_loyalty_inject_conf_t *icf);
static ngx_int_t ngx_http_loyalty_inject_buf(
    ngx_http_loyalty_inject_ctx_t *ctx, ngx_buf_t *buf);
static ngx_uint_t ngx_http_loyalty_inject_waits(
    ngx_http_loyalty_inject_ctx_t *ctx);
static ngx_int_t ngx_http_loyalty_inject_keep(
    ngx_http_loyalty_inject_ctx_t *ctx);
static ngx_buf_t *ngx_http_loyalty_inject_block(
    ngx_http_loyalty_inject_ctx_t *ctx, size_t size);
static void ngx_http_loyalty_inject_consume(
    ngx_http_loyalty_inject_ctx_t *ctx, ngx_buf_t *buf, ngx_buf_t *slice);
static ngx_int_t ngx_http_loyalty_inject_flags(
    ngx_http_loyalty_inject_ctx_t *ctx);
static ngx_int_t ngx_http_loyalty_inject_as_is(
    ngx_http_loyalty_inject_ctx_t *ctx, ngx_buf_t *buf);
static ngx_buf_t *ngx_http_loyalty_inject_out(
    ngx_http_loyalty_inject_ctx_t *ctx);
static ngx_int_t ngx_http_loyalty_inject_send(
    ngx_http_loyalty_inject_ctx_t *ctx);
static ngx_int_t ngx_http_loyalty_inject_release(
    ngx_http_loyalty_inject_ctx_t *ctx);


ngx_int_t
ngx_http_loyalty_inject_header_filter(ngx_http_request_t *r)
{
    ngx_http_loyalty_filter_ctx_t       *fctx;
    ngx_http_loyalty_inject_ctx_t       *ctx;
    ngx_http_loyalty_inject_conf_t      *icf;
    ngx_http_loyalty_filter_loc_conf_t  *flcf;

    fctx = ngx_http_get_module_ctx(r, ngx_http_loyalty_filter_module);

    if (fctx != NULL) {
        /* an error page in place of the answer that was begun */
        fctx->inject = NULL;
    }

    flcf = ngx_http_get_module_loc_conf(r, ngx_http_loyalty_filter_module);
    icf = flcf->inject;

    if (icf == NULL
        || r != r->main
        || r->headers_out.status != NGX_HTTP_OK
        || r->headers_out.content_length_n == 0
        || !ngx_http_loyalty_inject_wanted(r))
    {
        return ngx_http_loyalty_next_header_filter(r);
    }

    if (!ngx_http_loyalty_inject_type(r, icf)) {
        ngx_loyalty_metric(INJECT_TYPE)++;
        return ngx_http_loyalty_next_header_filter(r);
    }

    if (r->headers_out.content_encoding
        && r->headers_out.content_encoding->value.len)
    {
        ngx_loyalty_metric(INJECT_COMPRESSED)++;
        return ngx_http_loyalty_next_header_filter(r);
    }

    if (r->method == NGX_HTTP_HEAD || r->header_only) {
        ngx_http_clear_content_length(r);

        if (ngx_http_loyalty_inject_personalise(r) != NGX_OK) {
            return NGX_ERROR;
        }

        return ngx_http_loyalty_next_header_filter(r);
    }

    fctx = ngx_http_loyalty_filter_ctx(r);
    if (fctx == NULL) {
        return NGX_ERROR;
    }

    ctx = ngx_pcalloc(r->pool, sizeof(ngx_http_loyalty_inject_ctx_t));
    if (ctx == NULL) {
        return NGX_ERROR;
    }

    ctx->request = r;
    ctx->conf = icf;
    ctx->length = r->headers_out.content_length_n;
    ctx->last_out = &ctx->out;

    if (icf->type == NGX_HTTP_LOYALTY_INJECT_JSON
        && ngx_http_loyalty_inject_json_init(ctx) != NGX_OK)
    {
        return NGX_ERROR;
    }

    fctx->inject = ctx;

    r->filter_need_in_memory = 1;

    if (ctx->length != -1 || icf->type == NGX_HTTP_LOYALTY_INJECT_JSON) {
        ctx->held = 1;
        return NGX_OK;
    }

    if (ngx_http_loyalty_inject_personalise(r) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_loyalty_next_header_filter(r);
}


static ngx_uint_t
ngx_http_loyalty_inject_type(ngx_http_request_t *r,
    ngx_http_loyalty_inject_conf_t *icf)
{
    size_t   len;
    u_char  *p, *last;

    p = r->headers_out.content_type.data;
    len = ngx_min(r->headers_out.content_type_len,
                  r->headers_out.content_type.len);

    if (icf->type == NGX_HTTP_LOYALTY_INJECT_HTML
        && len == sizeof("text/html") - 1
        && ngx_memcmp(p, "text/html", len) == 0)
    {
        return 1;
    }

    /* what a handler of a module has set may hold its parameters */
    last = ngx_strlchr(p, p + len, ';');
    if (last != NULL) {
        len = last - p;
    }

    while (len > 0 && p[len - 1] == ' ') {
        len--;
    }

    if (icf->type == NGX_HTTP_LOYALTY_INJECT_HTML) {
        return len == sizeof("text/html") - 1
               && ngx_strncasecmp(p, (u_char *) "text/html", len) == 0;
    }

    if (len == sizeof("application/json") - 1
        && ngx_strncasecmp(p, (u_char *) "application/json", len) == 0)
    {
        return 1;
    }

    return len > sizeof("+json") - 1
           && ngx_strncasecmp(p + len - (sizeof("+json") - 1),
                              (u_char *) "+json", sizeof("+json") - 1)
              == 0;
}


ngx_int_t
ngx_http_loyalty_inject_body_filter(ngx_http_request_t *r, ngx_chain_t *in)
{
    ngx_http_loyalty_filter_ctx_t  *fctx;
    ngx_http_loyalty_inject_ctx_t  *ctx;

    fctx = ngx_http_get_module_ctx(r, ngx_http_loyalty_filter_module);

    ctx = fctx ? fctx->inject : NULL;

    if (ctx == NULL || (ctx->done && ctx->busy == NULL)) {
        return ngx_http_loyalty_next_body_filter(r, in);
    }

    for ( /* void */ ; in; in = in->next) {

        if (ctx->done) {
            if (ngx_http_loyalty_inject_as_is(ctx, in->buf) != NGX_OK) {
                return NGX_ERROR;
            }

            continue;
        }

        ctx->more = (in->next != NULL);

        if (ngx_http_loyalty_inject_buf(ctx, in->buf) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    return ngx_http_loyalty_inject_send(ctx);
}


static ngx_int_t
ngx_http_loyalty_inject_buf(ngx_http_loyalty_inject_ctx_t *ctx, ngx_buf_t *buf)
{
    ngx_int_t  rc;

    ctx->buf = buf;
    ctx->taken = 0;
    ctx->slice = NULL;
    ctx->pending_slice = NULL;
    ctx->tail = NULL;

    if (ngx_buf_in_memory(buf)) {
        ctx->received += buf->last - buf->pos;
    }

    ctx->last = buf->last_buf
                || (ctx->length != -1 && ctx->received >= ctx->length);

    ctx->waits = ngx_http_loyalty_inject_waits(ctx);

    if (ctx->conf->type == NGX_HTTP_LOYALTY_INJECT_HTML) {
        rc = ngx_http_loyalty_inject_html(ctx);

    } else {
        rc = ngx_http_loyalty_inject_json(ctx);
    }

    if (rc == NGX_ERROR) {
        return NGX_ERROR;
    }

    if (rc == NGX_OK) {
        ctx->done = 1;
        ctx->waits = 0;

        if (ngx_http_loyalty_inject_pass(ctx,
                                         ngx_http_loyalty_inject_size(ctx))
            != NGX_OK)
        {
            return NGX_ERROR;
        }

        if (ctx->pending != NULL) {
            ngx_http_loyalty_inject_consume(ctx, ctx->pending,
                                            ctx->pending_slice);
            ctx->pending = NULL;
            ctx->borrowed = 0;
        }

    } else if (ngx_http_loyalty_inject_keep(ctx) != NGX_OK) {
        return NGX_ERROR;
    }

    if (!ctx->waits) {
        ctx->begun = 1;

        if (ngx_http_loyalty_inject_flags(ctx) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    if (ctx->pending != buf) {
        ngx_http_loyalty_inject_consume(ctx, buf, ctx->slice);
    }

    ctx->buf = NULL;

    return NGX_OK;
}


/* May the header wait on?  A bare flush is also how an upstream that broke
 * off asks for what there is. */

static ngx_uint_t
ngx_http_loyalty_inject_waits(ngx_http_loyalty_inject_ctx_t *ctx)
{
    if (!ctx->held
        || ctx->begun
        || ctx->last
        || ngx_http_loyalty_inject_size(ctx) > LOYALTY_INJECT_HOLD_MAX)
    {
        return 0;
    }

    if (!ctx->buf->flush) {
        return 1;
    }

    return ngx_buf_in_memory(ctx->buf)
           && ctx->length != -1
           && ctx->length <= LOYALTY_INJECT_HOLD_MAX;
}


size_t
ngx_http_loyalty_inject_size(ngx_http_loyalty_inject_ctx_t *ctx)
{
    size_t  size;

    size = ctx->pending ? ctx->pending->last - ctx->pending->pos : 0;

    if (ngx_buf_in_memory(ctx->buf)) {
        size += ctx->buf->last - ctx->buf->pos;
    }

    return size;
}


ngx_int_t
ngx_http_loyalty_inject_pass(ngx_http_loyalty_inject_ctx_t *ctx, size_t to)
{
    size_t      len;
    ngx_buf_t  *b;

    len = ctx->pending ? ctx->pending->last - ctx->pending->pos : 0;

    if (ctx->taken < ngx_min(to, len)) {
        b = ngx_http_loyalty_inject_out(ctx);
        if (b == NULL) {
            return NGX_ERROR;
        }

        b->memory = 1;
        b->pos = ctx->pending->pos + ctx->taken;
        b->last = ctx->pending->pos + ngx_min(to, len);

        ctx->pending_slice = b;
        ctx->taken = ngx_min(to, len);
    }

    if (ctx->taken < to) {
        b = ngx_http_loyalty_inject_out(ctx);
        if (b == NULL) {
            return NGX_ERROR;
        }

        b->memory = 1;
        b->pos = ctx->buf->pos + (ctx->taken - len);
        b->last = ctx->buf->pos + (to - len);

        ctx->slice = b;
        ctx->taken = to;
    }

    return NGX_OK;
}


void
ngx_http_loyalty_inject_cut(ngx_http_loyalty_inject_ctx_t *ctx, size_t to)
{
    ctx->added -= to - ctx->taken;
    ctx->taken = to;
    ctx->changed = 1;
}


ngx_int_t
ngx_http_loyalty_inject_put(ngx_http_loyalty_inject_ctx_t *ctx,
    ngx_str_t *text)
{
    ngx_buf_t  *b;

    ctx->changed = 1;

    if (text->len == 0) {
        return NGX_OK;
    }

    b = ngx_http_loyalty_inject_out(ctx);
    if (b == NULL) {
        return NGX_ERROR;
    }

    b->memory = 1;
    b->pos = text->data;
    b->last = text->data + text->len;

    ctx->added += text->len;

    return NGX_OK;
}


void
ngx_http_loyalty_inject_undo(ngx_http_loyalty_inject_ctx_t *ctx)
{
    *ctx->last_out = ctx->free;
    ctx->free = ctx->out;

    ctx->out = NULL;
    ctx->last_out = &ctx->out;

    ctx->slice = NULL;
    ctx->pending_slice = NULL;
    ctx->tail = NULL;

    ctx->taken = 0;
    ctx->added = 0;
    ctx->changed = 0;
}


/*
 * What was not taken moves to a block of our own.  While more comes in this
 * very call, a first buffer may stay where it is.
 */

static ngx_int_t
ngx_http_loyalty_inject_keep(ngx_http_loyalty_inject_ctx_t *ctx)
{
    u_char     *p;
    size_t      len, rest, size;
    ngx_buf_t  *pending, *block;

    pending = ctx->pending;
    len = pending ? pending->last - pending->pos : 0;
    size = ngx_http_loyalty_inject_size(ctx);
    rest = size - ctx->taken;

    if (pending == NULL && ctx->taken == 0 && ctx->more && rest != 0) {
        ctx->pending = ctx->buf;
        ctx->borrowed = 1;
        return NGX_OK;
    }

    if (pending != NULL
        && !ctx->borrowed
        && ctx->taken == 0
        && rest - len <= (size_t) (pending->end - pending->last))
    {
        if (rest != len) {
            pending->last = ngx_cpymem(pending->last, ctx->buf->pos,
                                       rest - len);
        }

        return NGX_OK;
    }

    block = NULL;

    if (rest != 0) {
        block = ngx_http_loyalty_inject_block(ctx, rest);
        if (block == NULL) {
            return NGX_ERROR;
        }

        p = block->last;

        if (ctx->taken < len) {
            p = ngx_cpymem(p, pending->pos + ctx->taken, len - ctx->taken);
            ctx->taken = len;
        }

        if (ctx->taken < size) {
            p = ngx_cpymem(p, ctx->buf->pos + (ctx->taken - len),
                           size - ctx->taken);
        }

        block->last = p;
    }

    if (pending != NULL) {
        ngx_http_loyalty_inject_consume(ctx, pending, ctx->pending_slice);
    }

    ctx->pending = block;
    ctx->borrowed = 0;

    return NGX_OK;
}


/* A block with room for `size`, and for more where more is to come. */

static ngx_buf_t *
ngx_http_loyalty_inject_block(ngx_http_loyalty_inject_ctx_t *ctx, size_t size)
{
    ngx_buf_t    *b;
    ngx_chain_t  *cl;

    for (cl = ctx->blocks; cl; cl = cl->next) {
        b = cl->buf;

        if (b->pos == b->last && b != ctx->pending
            && size <= (size_t) (b->end - b->start))
        {
            b->pos = b->start;
            b->last = b->start;
            return b;
        }
    }

    if (!ctx->waits) {
        size = ngx_max(size, LOYALTY_INJECT_TAIL_MAX);

    } else if (ctx->length != -1) {
        size = ngx_max(size, (size_t) ngx_min(ctx->length,
                                              LOYALTY_INJECT_HOLD_MAX));

    } else {
        size *= 2;
    }

    b = ngx_create_temp_buf(ctx->request->pool, size);
    if (b == NULL) {
        return NULL;
    }

    cl = ngx_alloc_chain_link(ctx->request->pool);
    if (cl == NULL) {
        return NULL;
    }

    cl->buf = b;
    cl->next = ctx->blocks;
    ctx->blocks = cl;

    return b;
}


/* `slice` is the last that points into `buf`, or NULL. */

static void
ngx_http_loyalty_inject_consume(ngx_http_loyalty_inject_ctx_t *ctx,
    ngx_buf_t *buf, ngx_buf_t *slice)
{
    if (slice != NULL) {
        slice->shadow = buf;
        slice->recycled = buf->recycled;
        return;
    }

    if (ngx_buf_in_memory(buf)) {
        buf->pos = buf->last;
    }

    if (buf->in_file) {
        buf->file_pos = buf->file_last;
    }
}


static ngx_int_t
ngx_http_loyalty_inject_flags(ngx_http_loyalty_inject_ctx_t *ctx)
{
    ngx_buf_t  *b, *buf;

    buf = ctx->buf;
    b = ctx->tail;

    if (b == NULL) {

        if (!buf->flush && !buf->last_buf && !buf->sync) {
            return NGX_OK;
        }

        b = ngx_http_loyalty_inject_out(ctx);
        if (b == NULL) {
            return NGX_ERROR;
        }

        b->sync = 1;
    }

    b->flush = buf->flush;
    b->last_buf = buf->last_buf;
    b->last_in_chain = buf->last_in_chain;

    return NGX_OK;
}


static ngx_int_t
ngx_http_loyalty_inject_as_is(ngx_http_loyalty_inject_ctx_t *ctx,
    ngx_buf_t *buf)
{
    ngx_chain_t  *cl;

    cl = ngx_alloc_chain_link(ctx->request->pool);
    if (cl == NULL) {
        return NGX_ERROR;
    }

    cl->buf = buf;
    cl->next = NULL;

    *ctx->last_out = cl;
    ctx->last_out = &cl->next;

    return NGX_OK;
}


/* An empty buffer of our own at the end of what goes out. */

static ngx_buf_t *
ngx_http_loyalty_inject_out(ngx_http_loyalty_inject_ctx_t *ctx)
{
    ngx_buf_t    *b;
    ngx_chain_t  *cl;

    cl = ngx_chain_get_free_buf(ctx->request->pool, &ctx->free);
    if (cl == NULL) {
        return NULL;
    }

    b = cl->buf;

    ngx_memzero(b, sizeof(ngx_buf_t));
    b->tag = (ngx_buf_tag_t) ctx;

    cl->next = NULL;

    *ctx->last_out = cl;
    ctx->last_out = &cl->next;
    ctx->tail = b;

    return b;
}


static ngx_int_t
ngx_http_loyalty_inject_send(ngx_http_loyalty_inject_ctx_t *ctx)
{
    ngx_int_t            rc;
    ngx_buf_t           *b;
    ngx_chain_t         *cl, *next, **busy;
    ngx_http_request_t  *r;

    r = ctx->request;

    if (ctx->held) {

        if (!ctx->begun) {
            return NGX_OK;
        }

        ctx->held = 0;

        rc = ngx_http_loyalty_inject_release(ctx);
        if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
            return NGX_ERROR;
        }
    }

    rc = ngx_http_loyalty_next_body_filter(r, ctx->out);

    for (busy = &ctx->busy; *busy; busy = &(*busy)->next) { /* void */ }

    for (cl = ctx->out; cl; cl = next) {
        next = cl->next;

        if (cl->buf->tag == (ngx_buf_tag_t) ctx) {
            cl->next = NULL;
            *busy = cl;
            busy = &cl->next;

        } else {
            ngx_free_chain(r->pool, cl);
        }
    }

    ctx->out = NULL;
    ctx->last_out = &ctx->out;

    while (ctx->busy) {
        cl = ctx->busy;
        b = cl->buf;

        if (ngx_buf_size(b) != 0) {
            break;
        }

        if (b->shadow) {
            ngx_http_loyalty_inject_consume(ctx, b->shadow, NULL);
        }

        ctx->busy = cl->next;
        cl->next = ctx->free;
        ctx->free = cl;
    }

    return rc;
}


/* The header that waited. */

static ngx_int_t
ngx_http_loyalty_inject_release(ngx_http_loyalty_inject_ctx_t *ctx)
{
    ngx_http_request_t  *r;

    r = ctx->request;

    if (ctx->changed || !ctx->done) {

        ngx_http_clear_content_length(r);

        if (ctx->done && ctx->length != -1) {
            r->headers_out.content_length_n = ctx->length + ctx->added;
        }

        if (ngx_http_loyalty_inject_personalise(r) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    return ngx_http_loyalty_next_header_filter(r);
}
