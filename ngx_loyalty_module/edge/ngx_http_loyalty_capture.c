/*
 * Order capture: from the shop's 2xx answer to an event in the journal.
 *
 *   header ---> held ---> body collected ---> order read ---> waits ---> out
 *                |                |                |
 *                |                | too large      | no order, or a bad one
 *                +--- no order ---+----------------+------------------> out
 *
 * The answer waits for its own group of the journal and for nothing else.
 * The shopper may leave at any time: the order does not hang on the request.
 */


#include "ngx_http_loyalty_capture.h"


typedef struct {
    ngx_loyalty_journal_op_t     op;
    ngx_http_request_t          *request;     /* NULL: it has ended */
    ngx_event_t                  resume;
    unsigned                     done:1;
} ngx_http_loyalty_capture_op_t;


typedef struct {
    ngx_buf_t                       *body;
    ngx_http_loyalty_capture_op_t   *op;
    ngx_str_t                        text;    /* of the header */
    unsigned                         collecting:1;
    unsigned                         last:1;
    unsigned                         passing:1;
} ngx_http_loyalty_capture_ctx_t;


static ngx_uint_t ngx_http_loyalty_capture_drop(ngx_table_elt_t *h);
static ngx_int_t ngx_http_loyalty_capture_wanted(ngx_http_request_t *r,
    ngx_http_loyalty_capture_conf_t *conf);
static void ngx_http_loyalty_capture_take_header(ngx_http_request_t *r,
    ngx_http_loyalty_capture_conf_t *conf, ngx_str_t *text);
static ngx_int_t ngx_http_loyalty_capture_collect(ngx_http_request_t *r,
    ngx_http_loyalty_capture_ctx_t *ctx, ngx_chain_t **in);
static ngx_int_t ngx_http_loyalty_capture_room(ngx_http_request_t *r,
    ngx_http_loyalty_capture_ctx_t *ctx, size_t size);
static void ngx_http_loyalty_capture_order(ngx_http_request_t *r,
    ngx_http_loyalty_capture_ctx_t *ctx, u_char *data, size_t len);
static void ngx_http_loyalty_capture_reject(ngx_http_request_t *r,
    ngx_http_loyalty_capture_result_e result, loyalty_problems_t *problems);
static void ngx_http_loyalty_capture_submit(ngx_http_request_t *r,
    ngx_http_loyalty_capture_ctx_t *ctx, loyalty_journal_payload_t *payload);
static void ngx_http_loyalty_capture_done(ngx_loyalty_journal_op_t *jop,
    ngx_int_t rc);
static void ngx_http_loyalty_capture_resume(ngx_event_t *ev);
static void ngx_http_loyalty_capture_cleanup(void *data);
static ngx_int_t ngx_http_loyalty_capture_release(ngx_http_request_t *r,
    ngx_http_loyalty_capture_ctx_t *ctx, ngx_chain_t *in);


/*
 * The shop is asked for its whole answer, uncompressed.  nginx itself still
 * knows what the shopper takes and may compress what it sends on.
 */

void
ngx_http_loyalty_capture_request(ngx_http_request_t *r)
{
    ngx_table_elt_t                     *accept_encoding;
    ngx_http_loyalty_filter_loc_conf_t  *flcf;

    flcf = ngx_http_get_module_loc_conf(r, ngx_http_loyalty_filter_module);

    if (flcf->capture == NULL
        || flcf->capture->source == NGX_HTTP_LOYALTY_CAPTURE_HEADER
        || r != r->main)
    {
        return;
    }

    accept_encoding = r->headers_in.accept_encoding;

    if (accept_encoding != NULL) {
        accept_encoding = ngx_palloc(r->pool, sizeof(ngx_table_elt_t));
        if (accept_encoding == NULL) {
            return;
        }

        *accept_encoding = *r->headers_in.accept_encoding;
    }

    (void) ngx_http_loyalty_headers_drop(r, ngx_http_loyalty_capture_drop);

    r->headers_in.accept_encoding = accept_encoding;
    r->headers_in.range = NULL;
}


static ngx_uint_t
ngx_http_loyalty_capture_drop(ngx_table_elt_t *h)
{
    return (h->key.len == 15
            && ngx_strncasecmp(h->key.data, (u_char *) "Accept-Encoding", 15)
               == 0)
           || (h->key.len == 5
               && ngx_strncasecmp(h->key.data, (u_char *) "Range", 5) == 0);
}


ngx_int_t
ngx_http_loyalty_capture_header_filter(ngx_http_request_t *r)
{
    ngx_str_t                            text;
    ngx_http_loyalty_filter_ctx_t       *fctx;
    ngx_http_loyalty_capture_ctx_t      *ctx;
    ngx_http_loyalty_capture_conf_t     *conf;
    ngx_http_loyalty_filter_loc_conf_t  *flcf;

    flcf = ngx_http_get_module_loc_conf(r, ngx_http_loyalty_filter_module);
    conf = flcf->capture;

    ngx_str_null(&text);

    if (conf->source == NGX_HTTP_LOYALTY_CAPTURE_HEADER) {
        ngx_http_loyalty_capture_take_header(r, conf, &text);

        if (text.len == 0) {
            return ngx_http_loyalty_inject_header_filter(r);
        }
    }

    if (ngx_http_loyalty_capture_wanted(r, conf) != NGX_OK) {
        return ngx_http_loyalty_inject_header_filter(r);
    }

    ctx = ngx_pcalloc(r->pool, sizeof(ngx_http_loyalty_capture_ctx_t));
    fctx = ngx_http_loyalty_filter_ctx(r);

    if (ctx == NULL || fctx == NULL) {
        return NGX_ERROR;
    }

    if (text.len) {
        ngx_http_loyalty_capture_order(r, ctx, text.data, text.len);

        if (ctx->op == NULL) {
            return ngx_http_loyalty_inject_header_filter(r);
        }

    } else {
        ctx->collecting = 1;
        r->filter_need_in_memory = 1;
    }

    fctx->capture = ctx;

    /* The range filter would cut a body whose header has not passed it. */

    r->allow_ranges = 0;

    /* From here on a shopper who leaves does not take the order along. */

    r->read_event_handler = ngx_http_block_reading;

    return NGX_OK;
}


static ngx_int_t
ngx_http_loyalty_capture_wanted(ngx_http_request_t *r,
    ngx_http_loyalty_capture_conf_t *conf)
{
    ngx_str_t               *type;
    ngx_loyalty_journal_t   *journal;
    ngx_http_loyalty_ctx_t  *lctx;

    if (r != r->main
        || r->headers_out.status < NGX_HTTP_OK
        || r->headers_out.status >= NGX_HTTP_SPECIAL_RESPONSE
        || r->headers_out.status == NGX_HTTP_PARTIAL_CONTENT
        || r->method == NGX_HTTP_HEAD)
    {
        return NGX_DECLINED;
    }

    lctx = ngx_http_loyalty_ctx(r);

    if (lctx == NULL || lctx->site.len == 0) {
        return NGX_DECLINED;
    }

    journal = ngx_http_loyalty_journal();

    /* A site that Redis has told to be none has no members. */

    if (journal == NULL
        || lctx->member.len == 0
        || (lctx->program == NULL
            && lctx->cache == NGX_HTTP_LOYALTY_NEGATIVE
            && !ngx_loyalty_journal_refilling(journal)))
    {
        ngx_loyalty_metric(ORDERS_GUEST)++;
        return NGX_DECLINED;
    }

    if (conf->source == NGX_HTTP_LOYALTY_CAPTURE_HEADER) {
        return NGX_OK;
    }

    if (conf->source == NGX_HTTP_LOYALTY_CAPTURE_JSON) {
        type = &r->headers_out.content_type;

        if (ngx_strlcasestrn(type->data, type->data + type->len,
                             (u_char *) "json", 3)
            == NULL)
        {
            return NGX_DECLINED;
        }
    }

    if (r->headers_out.content_encoding
        && r->headers_out.content_encoding->value.len)
    {
        ngx_loyalty_metric(ORDERS_ENCODED)++;
        return NGX_DECLINED;
    }

    if (r->headers_out.content_length_n > LOYALTY_ORDER_SIZE_MAX) {
        ngx_http_loyalty_capture_reject(r, NGX_HTTP_LOYALTY_CAPTURE_LIMIT,
                                        NULL);
        return NGX_DECLINED;
    }

    return NGX_OK;
}


/* Out of every answer, of whatever status: it is meant for us alone. */

static void
ngx_http_loyalty_capture_take_header(ngx_http_request_t *r,
    ngx_http_loyalty_capture_conf_t *conf, ngx_str_t *text)
{
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    part = &r->headers_out.headers.part;
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

        if (h[i].hash == 0
            || h[i].key.len != conf->header.len
            || ngx_strncasecmp(h[i].key.data, conf->header.data,
                               conf->header.len)
               != 0)
        {
            continue;
        }

        h[i].hash = 0;

        if (text->len == 0) {
            *text = h[i].value;
        }
    }
}


ngx_int_t
ngx_http_loyalty_capture_body_filter(ngx_http_request_t *r, ngx_chain_t *in)
{
    ngx_http_loyalty_filter_ctx_t   *fctx;
    ngx_http_loyalty_capture_ctx_t  *ctx;

    fctx = ngx_http_get_module_ctx(r, ngx_http_loyalty_filter_module);
    ctx = fctx->capture;

    if (ctx->passing) {
        return ngx_http_loyalty_inject_body_filter(r, in);
    }

    switch (ngx_http_loyalty_capture_collect(r, ctx, &in)) {

    case NGX_OK:
        break;

    case NGX_DECLINED:

        if (ctx->collecting) {
            ctx->collecting = 0;
            ngx_http_loyalty_capture_reject(r, NGX_HTTP_LOYALTY_CAPTURE_LIMIT,
                                            NULL);
        }

        return ngx_http_loyalty_capture_release(r, ctx, in);

    default:
        return NGX_ERROR;
    }

    if (ctx->collecting && ctx->last) {
        ctx->collecting = 0;

        if (ctx->body != NULL) {
            ngx_http_loyalty_capture_order(r, ctx, ctx->body->pos,
                                           ctx->body->last - ctx->body->pos);
        }
    }

    if (ctx->collecting) {
        return NGX_OK;
    }

    if (ctx->op != NULL && !ctx->op->done) {
        r->buffered |= NGX_HTTP_LOYALTY_BUFFERED;
        return NGX_AGAIN;
    }

    return ngx_http_loyalty_capture_release(r, ctx, NULL);
}


/* The shop's buffers are copied and given back, or the pipe would stall. */

static ngx_int_t
ngx_http_loyalty_capture_collect(ngx_http_request_t *r,
    ngx_http_loyalty_capture_ctx_t *ctx, ngx_chain_t **in)
{
    size_t        size;
    ngx_buf_t    *b;
    ngx_chain_t  *cl;

    for (cl = *in; cl; cl = cl->next) {
        b = cl->buf;

        if (b->last_buf) {
            ctx->last = 1;
        }

        if (!ngx_buf_in_memory(b)) {

            if (b->in_file) {
                *in = cl;
                return NGX_DECLINED;
            }

            continue;
        }

        size = b->last - b->pos;

        switch (ngx_http_loyalty_capture_room(r, ctx, size)) {

        case NGX_OK:
            break;

        case NGX_DECLINED:
            *in = cl;
            return NGX_DECLINED;

        default:
            return NGX_ERROR;
        }

        if (size) {
            ctx->body->last = ngx_cpymem(ctx->body->last, b->pos, size);
            b->pos = b->last;
        }
    }

    *in = NULL;

    return NGX_OK;
}


static ngx_int_t
ngx_http_loyalty_capture_room(ngx_http_request_t *r,
    ngx_http_loyalty_capture_ctx_t *ctx, size_t size)
{
    size_t      used, room;
    u_char     *start;
    ngx_buf_t  *b;

    b = ctx->body;
    used = (b != NULL) ? b->last - b->pos : 0;

    if (used + size > LOYALTY_ORDER_SIZE_MAX) {
        return NGX_DECLINED;
    }

    if (size == 0 || (b != NULL && size <= (size_t) (b->end - b->last))) {
        return NGX_OK;
    }

    room = ngx_max(used + size, 2 * used);

    if (r->headers_out.content_length_n > (off_t) room) {
        room = r->headers_out.content_length_n;
    }

    start = ngx_palloc(r->pool, room);
    if (start == NULL) {
        return NGX_ERROR;
    }

    if (b == NULL) {
        b = ngx_calloc_buf(r->pool);
        if (b == NULL) {
            return NGX_ERROR;
        }

        b->temporary = 1;
        ctx->body = b;

    } else {
        ngx_memcpy(start, b->pos, used);
        (void) ngx_pfree(r->pool, b->start);
    }

    b->start = start;
    b->pos = start;
    b->last = start + used;
    b->end = start + room;

    return NGX_OK;
}


static void
ngx_http_loyalty_capture_order(ngx_http_request_t *r,
    ngx_http_loyalty_capture_ctx_t *ctx, u_char *data, size_t len)
{
    char                                *raw;
    json_t                              *texts;
    ngx_time_t                          *tp;
    loyalty_str_t                        text, member, currency, event;
    loyalty_status_t                     status;
    loyalty_instant_t                    now;
    loyalty_problems_t                   problems;
    ngx_http_loyalty_ctx_t              *lctx;
    loyalty_capture_order_t              order;
    ngx_http_core_srv_conf_t            *cscf;
    loyalty_journal_payload_t            payload;
    ngx_http_loyalty_capture_conf_t     *conf;
    ngx_http_loyalty_capture_result_e    result;
    ngx_http_loyalty_filter_loc_conf_t  *flcf;

    /* Orders are read one at a time; the memory of one serves the next. */

    static loyalty_arena_t               arena = {
                                             .limit = LOYALTY_CAPTURE_MEMORY_MAX
                                         };
    static loyalty_document_t            document;

    flcf = ngx_http_get_module_loc_conf(r, ngx_http_loyalty_filter_module);
    conf = flcf->capture;
    lctx = ngx_http_loyalty_ctx(r);

    loyalty_problems_init(&problems, &arena);

    text.data = (char *) data;
    text.len = len;
    texts = NULL;
    raw = NULL;

    result = ngx_http_loyalty_capture_source(conf, text, &arena, &problems,
                                             &document, &order);
    if (result != NGX_HTTP_LOYALTY_CAPTURE_OK) {
        goto done;
    }

    tp = ngx_timeofday();
    now = (loyalty_instant_t) tp->sec * 1000 + tp->msec;

    member.data = (char *) lctx->member.data;
    member.len = lctx->member.len;

    currency = (lctx->program != NULL)
               ? lctx->program->program->settings.currency
               : loyalty_str_null;

    ngx_memzero(&payload, sizeof(loyalty_journal_payload_t));

    status = loyalty_capture_event(&order, &conf->map, member, currency, now,
                                   &arena, &problems, &event);

    if (status == LOYALTY_ERROR_NOT_FOUND) {

        /* The site is not known just now: the shipper will make the event. */

        texts = loyalty_capture_to_json(&order);
        raw = json_dumps(texts, JSON_COMPACT);

        if (raw == NULL) {
            result = NGX_HTTP_LOYALTY_CAPTURE_NO_MEMORY;
            goto done;
        }

        event = loyalty_str_from(raw);
        payload.raw = 1;
        payload.minor = conf->map.minor;
        payload.status = conf->map.status;

    } else if (status != LOYALTY_OK) {
        result = (status == LOYALTY_ERROR_MEMORY)
                 ? NGX_HTTP_LOYALTY_CAPTURE_NO_MEMORY
                 : NGX_HTTP_LOYALTY_CAPTURE_INVALID;
        goto done;
    }

    payload.site.data = (char *) lctx->site.data;
    payload.site.len = lctx->site.len;
    payload.member = member;
    payload.uri.data = (char *) flcf->post.data;
    payload.uri.len = flcf->post.len;

    if (flcf->post.len) {
        cscf = ngx_http_get_module_srv_conf(r, ngx_http_core_module);
        payload.server.data = (char *) cscf->server_name.data;
        payload.server.len = cscf->server_name.len;
    }

    payload.json = event;
    payload.at = now;

    ngx_http_loyalty_capture_submit(r, ctx, &payload);

done:

    if (result != NGX_HTTP_LOYALTY_CAPTURE_OK) {
        ngx_http_loyalty_capture_reject(r, result, &problems);
    }

    free(raw);
    json_decref(texts);

    if (arena.used + document.room > LOYALTY_CAPTURE_MEMORY_KEPT) {
        loyalty_arena_free(&arena);
        loyalty_document_free(&document);

    } else {
        loyalty_arena_reset(&arena);
    }
}


/* Counted each; said in the log once a second at most. */

static void
ngx_http_loyalty_capture_reject(ngx_http_request_t *r,
    ngx_http_loyalty_capture_result_e result, loyalty_problems_t *problems)
{
    const char              *why;
    ngx_http_loyalty_ctx_t  *lctx;

    static time_t            last;
    static ngx_uint_t        unsaid;

    switch (result) {

    case NGX_HTTP_LOYALTY_CAPTURE_NOTHING:
        ngx_loyalty_metric(ORDERS_NOT_FOUND)++;
        return;

    case NGX_HTTP_LOYALTY_CAPTURE_LIMIT:
        ngx_loyalty_metric(ORDERS_TOO_LARGE)++;
        why = "it is too large";
        break;

    case NGX_HTTP_LOYALTY_CAPTURE_NO_MEMORY:
        ngx_loyalty_metric(ORDERS_NO_MEMORY)++;
        why = "no memory";
        break;

    default:
        ngx_loyalty_metric(ORDERS_INVALID)++;
        why = "it is not valid";
    }

    if (last == ngx_time()) {
        unsaid++;
        return;
    }

    lctx = ngx_http_loyalty_ctx(r);

    if (problems != NULL && problems->count) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "loyalty order of site \"%V\" not captured: "
                      "\"%*s\" %*s (%uz problems, %ui orders before unsaid)",
                      &lctx->site, problems->list[0].pointer.len,
                      problems->list[0].pointer.data,
                      problems->list[0].message.len,
                      problems->list[0].message.data, problems->count,
                      unsaid);

    } else {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "loyalty order of site \"%V\" not captured: %s "
                      "(%ui orders before unsaid)",
                      &lctx->site, why, unsaid);
    }

    last = ngx_time();
    unsaid = 0;
}


static void
ngx_http_loyalty_capture_submit(ngx_http_request_t *r,
    ngx_http_loyalty_capture_ctx_t *ctx, loyalty_journal_payload_t *payload)
{
    ngx_http_cleanup_t             *cln;
    ngx_loyalty_journal_t          *journal;
    ngx_http_loyalty_capture_op_t  *op;

    journal = ngx_http_loyalty_journal();

    cln = ngx_http_cleanup_add(r, 0);

    /* It outlives the request: the journal may come back to it later. */

    op = ngx_calloc(sizeof(ngx_http_loyalty_capture_op_t), r->connection->log);

    if (journal == NULL || cln == NULL || op == NULL) {
        ngx_loyalty_metric(ORDERS_LOST)++;
        ngx_free(op);
        return;
    }

    op->op.handler = ngx_http_loyalty_capture_done;
    op->op.data = op;
    op->resume.handler = ngx_http_loyalty_capture_resume;
    op->resume.data = op;
    op->resume.log = ngx_cycle->log;

    if (ngx_loyalty_journal_append(journal, payload, &op->op) != NGX_OK) {
        ngx_free(op);
        return;
    }

    ngx_loyalty_metric(ORDERS_CAPTURED)++;

    op->request = r;
    ctx->op = op;

    cln->handler = ngx_http_loyalty_capture_cleanup;
    cln->data = op;
}


static void
ngx_http_loyalty_capture_done(ngx_loyalty_journal_op_t *jop, ngx_int_t rc)
{
    ngx_http_loyalty_capture_op_t  *op;

    op = jop->data;
    op->done = 1;

    if (op->request == NULL) {
        ngx_free(op);
        return;
    }

    ngx_post_event(&op->resume, &ngx_posted_events);
}


static void
ngx_http_loyalty_capture_resume(ngx_event_t *ev)
{
    ngx_connection_t                *c;
    ngx_http_request_t              *r;
    ngx_http_loyalty_capture_op_t   *op;
    ngx_http_loyalty_filter_ctx_t   *fctx;
    ngx_http_loyalty_capture_ctx_t  *ctx;

    op = ev->data;
    r = op->request;
    c = r->connection;

    fctx = ngx_http_get_module_ctx(r, ngx_http_loyalty_filter_module);
    ctx = fctx->capture;

    if (ctx->last) {

        /* The request is at its end and waits to write. */

        ngx_post_event(c->write, &ngx_posted_events);
        return;
    }

    /* The shop is still answering; its order came with the header. */

    if (ngx_http_output_filter(r, NULL) == NGX_ERROR) {
        ngx_http_finalize_request(r, NGX_ERROR);
        ngx_http_run_posted_requests(c);
    }
}


static void
ngx_http_loyalty_capture_cleanup(void *data)
{
    ngx_http_loyalty_capture_op_t *op = data;

    op->request = NULL;

    if (op->done) {
        if (op->resume.posted) {
            ngx_delete_posted_event(&op->resume);
        }

        ngx_free(op);
    }
}


/* All that was held goes on, then `in`. */

static ngx_int_t
ngx_http_loyalty_capture_release(ngx_http_request_t *r,
    ngx_http_loyalty_capture_ctx_t *ctx, ngx_chain_t *in)
{
    ngx_int_t     rc;
    ngx_buf_t    *b;
    ngx_chain_t   out, *cl;

    ctx->passing = 1;
    r->buffered &= ~NGX_HTTP_LOYALTY_BUFFERED;

    rc = ngx_http_loyalty_inject_header_filter(r);

    if (rc == NGX_ERROR || rc > NGX_OK) {
        return NGX_ERROR;
    }

    b = ctx->body;

    if (b == NULL) {

        if (in == NULL && !ctx->last) {
            return ngx_http_loyalty_inject_body_filter(r, NULL);
        }

        b = ngx_calloc_buf(r->pool);
        if (b == NULL) {
            return NGX_ERROR;
        }
    }

    cl = in;

    if (in == NULL) {
        b->last_buf = ctx->last;
        b->last_in_chain = 1;
        b->sync = (b->start == NULL && !b->last_buf);

    } else if (b->start == NULL) {
        return ngx_http_loyalty_inject_body_filter(r, in);
    }

    out.buf = b;
    out.next = cl;

    return ngx_http_loyalty_inject_body_filter(r, &out);
}
