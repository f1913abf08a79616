/*
 * A request on its way to the shop: identified, resolved, then let go.
 *
 *     PRECONTENT ── identify ── resolve ──(NGX_OK)──────────► finish, DECLINED
 *                                  │                             ▲
 *                             (NGX_AGAIN)                   phases run again
 *                                  └── waiting ── resume posted ─┘
 *
 * While a request waits it reads for one thing only: whether the client is
 * still there.  Whatever goes wrong makes the shopper a guest.
 */


#include "ngx_http_loyalty_filter.h"
#include "loyalty_keys.h"


static ngx_http_loyalty_ctx_t *ngx_http_loyalty_ctx_find(
    ngx_http_request_t *r);
static ngx_http_loyalty_ctx_t *ngx_http_loyalty_ctx_create(
    ngx_http_request_t *r);
static void ngx_http_loyalty_ctx_cleanup(void *data);
static void ngx_http_loyalty_request_cleanup(void *data);
static void ngx_http_loyalty_identify(ngx_http_request_t *r,
    ngx_http_loyalty_loc_conf_t *llcf, ngx_http_loyalty_ctx_t *ctx);
static ngx_int_t ngx_http_loyalty_source(ngx_http_request_t *r,
    ngx_http_loyalty_source_t *source, ngx_str_t *value);
static ngx_int_t ngx_http_loyalty_wait(ngx_http_request_t *r,
    ngx_http_loyalty_ctx_t *ctx);
static void ngx_http_loyalty_resume(ngx_event_t *ev);
static void ngx_http_loyalty_resolved(ngx_http_request_t *r,
    ngx_http_loyalty_ctx_t *ctx);
static ngx_int_t ngx_http_loyalty_finish(ngx_http_request_t *r,
    ngx_http_loyalty_loc_conf_t *llcf, ngx_http_loyalty_ctx_t *ctx);


ngx_http_loyalty_ctx_t *
ngx_http_loyalty_ctx(ngx_http_request_t *r)
{
    ngx_http_loyalty_ctx_t  *ctx;

    ctx = ngx_http_loyalty_ctx_find(r);

    if (ctx == NULL && r != r->main) {

        ctx = ngx_http_loyalty_ctx_find(r->main);

        if (ctx && !ctx->resolved) {
            return NULL;
        }
    }

    return ctx;
}


static ngx_http_loyalty_ctx_t *
ngx_http_loyalty_ctx_find(ngx_http_request_t *r)
{
    ngx_pool_cleanup_t      *cln;
    ngx_http_loyalty_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_loyalty_module);

    if (ctx || (!r->internal && !r->filter_finalize)) {
        return ctx;
    }

    /* an internal redirect forgets the contexts of all modules */

    for (cln = r->pool->cleanup; cln; cln = cln->next) {

        if (cln->handler != ngx_http_loyalty_ctx_cleanup) {
            continue;
        }

        ctx = cln->data;

        if (ctx->request == r) {
            ngx_http_set_ctx(r, ctx, ngx_http_loyalty_module);
            return ctx;
        }
    }

    return NULL;
}


static ngx_http_loyalty_ctx_t *
ngx_http_loyalty_ctx_create(ngx_http_request_t *r)
{
    ngx_pool_cleanup_t      *cln;
    ngx_http_loyalty_ctx_t  *ctx;

    cln = ngx_pool_cleanup_add(r->pool, sizeof(ngx_http_loyalty_ctx_t));
    if (cln == NULL) {
        return NULL;
    }

    ctx = cln->data;
    ngx_memzero(ctx, sizeof(ngx_http_loyalty_ctx_t));
    cln->handler = ngx_http_loyalty_ctx_cleanup;

    ctx->request = r;
    ctx->cache = NGX_HTTP_LOYALTY_BYPASS;

    ctx->resume.handler = ngx_http_loyalty_resume;
    ctx->resume.data = ctx;
    ctx->resume.log = r->connection->log;

    ngx_http_set_ctx(r, ctx, ngx_http_loyalty_module);

    return ctx;
}


/* the log phase still reads the variables: the program stays until now */

static void
ngx_http_loyalty_ctx_cleanup(void *data)
{
    ngx_http_loyalty_ctx_t *ctx = data;

    if (ctx->program) {
        ngx_http_loyalty_program_release(ctx->program);
    }
}


/* runs when the request ends, which may be long before its pool goes */

static void
ngx_http_loyalty_request_cleanup(void *data)
{
    ngx_http_loyalty_ctx_t *ctx = data;

    if (!ctx->waiting) {
        return;
    }

    ctx->waiting = 0;

    if (ctx->resume.posted) {
        ngx_delete_posted_event(&ctx->resume);
        return;
    }

    ngx_http_loyalty_resolve_cancel(ctx);
}


ngx_int_t
ngx_http_loyalty_handler(ngx_http_request_t *r)
{
    ngx_http_loyalty_ctx_t       *ctx;
    ngx_http_loyalty_loc_conf_t  *llcf;

    llcf = ngx_http_get_module_loc_conf(r, ngx_http_loyalty_module);

    ctx = ngx_http_loyalty_ctx_find(r);

    if (ctx && ctx->waiting) {
        return NGX_AGAIN;
    }

    if (ctx == NULL && r != r->main) {
        ctx = ngx_http_loyalty_ctx(r);
    }

    if (!llcf->enable) {
        return ngx_http_loyalty_finish(r, llcf, ctx);
    }

    if (ctx == NULL) {
        ctx = ngx_http_loyalty_ctx_create(r);
        if (ctx == NULL) {
            return NGX_DECLINED;
        }
    }

    /* another location may know the shopper by other means */

    if (ctx->request == r
        && (ctx->conf == NULL
            || ctx->conf->site != llcf->site
            || ctx->conf->member != llcf->member
            || ctx->conf->jwt != llcf->jwt))
    {
        ngx_http_loyalty_identify(r, llcf, ctx);

        if (ctx->site.len == 0) {
            ngx_http_loyalty_resolved(r, ctx);

        } else if (ngx_http_loyalty_resolve(r, ctx) == NGX_AGAIN
                   && ngx_http_loyalty_wait(r, ctx) == NGX_OK)
        {
            return NGX_AGAIN;

        } else {
            ngx_http_loyalty_resolved(r, ctx);
        }
    }

    return ngx_http_loyalty_finish(r, llcf, ctx);
}


static void
ngx_http_loyalty_identify(ngx_http_request_t *r,
    ngx_http_loyalty_loc_conf_t *llcf, ngx_http_loyalty_ctx_t *ctx)
{
    loyalty_str_t  id;

    if (ctx->program) {
        ngx_http_loyalty_program_release(ctx->program);
        ctx->program = NULL;
    }

    ctx->conf = llcf;
    ctx->view = NULL;
    ctx->cache = NGX_HTTP_LOYALTY_BYPASS;
    ctx->resolved = 0;
    ngx_str_set(&ctx->site, "");
    ngx_str_set(&ctx->member, "");

    if (ngx_http_loyalty_source(r, llcf->site, &ctx->site) != NGX_OK) {
        ngx_str_set(&ctx->site, "");
    }

    if (ctx->site.len == 0) {
        return;
    }

    id.data = (char *) ctx->site.data;
    id.len = ctx->site.len;

    if (loyalty_site_id_check(id) != LOYALTY_OK) {
        ngx_loyalty_metric(REFUSED_SITE_ID)++;
        ngx_str_set(&ctx->site, "");
        return;
    }

    if (llcf->jwt) {
        ngx_http_loyalty_jwt_member(r, llcf->jwt, &ctx->member);

    } else if (llcf->member
               && ngx_http_loyalty_source(r, llcf->member, &ctx->member)
                  != NGX_OK)
    {
        ngx_str_set(&ctx->member, "");
    }

    if (ctx->member.len == 0) {
        return;
    }

    id.data = (char *) ctx->member.data;
    id.len = ctx->member.len;

    if (loyalty_member_id_check(id) != LOYALTY_OK) {
        ngx_loyalty_metric(REFUSED_MEMBER_ID)++;
        ngx_str_set(&ctx->member, "");
    }
}


static ngx_int_t
ngx_http_loyalty_source(ngx_http_request_t *r,
    ngx_http_loyalty_source_t *source, ngx_str_t *value)
{
    ngx_http_variable_value_t  *vv;

    if (source->index == NGX_ERROR) {
        return ngx_http_complex_value(r, &source->value, value);
    }

    vv = ngx_http_get_flushed_variable(r, source->index);

    if (vv == NULL) {
        return NGX_ERROR;
    }

    if (!vv->not_found) {
        value->data = vv->data;
        value->len = vv->len;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_loyalty_wait(ngx_http_request_t *r, ngx_http_loyalty_ctx_t *ctx)
{
    ngx_http_cleanup_t  *cln;

    cln = ngx_http_cleanup_add(r, 0);

    if (cln == NULL) {
        ngx_http_loyalty_resolve_cancel(ctx);
        return NGX_ERROR;
    }

    cln->handler = ngx_http_loyalty_request_cleanup;
    cln->data = ctx;

    ctx->waiting = 1;
    ctx->started = ngx_loyalty_usec();

    if (r == r->main) {
        ctx->read_event_handler = r->read_event_handler;
        r->read_event_handler = ngx_http_test_reading;
    }

    return NGX_OK;
}


static void
ngx_http_loyalty_resume(ngx_event_t *ev)
{
    ngx_connection_t        *c;
    ngx_http_request_t      *r;
    ngx_http_loyalty_ctx_t  *ctx;

    ctx = ev->data;
    r = ctx->request;
    c = r->connection;

    ngx_http_set_log_request(c->log, r);

    ngx_log_debug1(NGX_LOG_DEBUG_HTTP, c->log, 0,
                   "http loyalty resume: \"%V\"", &r->uri);

    ctx->waiting = 0;

    if (r == r->main) {
        r->read_event_handler = ctx->read_event_handler;
    }

    ngx_loyalty_observe(RESOLVE, ngx_loyalty_usec() - ctx->started);

    ngx_http_loyalty_resolved(r, ctx);

    ngx_http_core_run_phases(r);

    ngx_http_run_posted_requests(c);
}


static void
ngx_http_loyalty_resolved(ngx_http_request_t *r, ngx_http_loyalty_ctx_t *ctx)
{
    ctx->resolved = 1;

    ngx_loyalty_metrics->counters[NGX_LOYALTY_COUNTER_CACHE_HIT + ctx->cache]++;

    if (ctx->view && (ctx->view->flags & LOYALTY_VIEW_DELETED)) {
        ctx->view = NULL;
        return;
    }

    if (ctx->view) {
        ngx_http_loyalty_visit(r, ctx);
        return;
    }

    if (ctx->member.len
        && ctx->program
        && (ctx->cache == NGX_HTTP_LOYALTY_MISS
            || ctx->cache == NGX_HTTP_LOYALTY_NEGATIVE))
    {
        ngx_http_loyalty_newcomer(r, ctx);
    }
}


void
ngx_http_loyalty_newcomer(ngx_http_request_t *r, ngx_http_loyalty_ctx_t *ctx)
{
    size_t              len;
    loyalty_str_t       id;
    loyalty_view_t     *view;
    loyalty_member_t    member;

    uint64_t  buffer[LOYALTY_VIEW_SIZE_MAX / sizeof(uint64_t)];

    id.data = (char *) ctx->member.data;
    id.len = ctx->member.len;

    loyalty_member_init(&member, id);

    if (loyalty_view_build(&member, ctx->program->program,
                           ngx_http_loyalty_instant(), buffer, &len)
        != LOYALTY_OK)
    {
        return;
    }

    view = ngx_palloc(r->pool, len);
    if (view == NULL) {
        return;
    }

    ngx_memcpy(view, buffer, len);
    ctx->view = view;
}


/* what each location the request comes to adds to it */

static ngx_int_t
ngx_http_loyalty_finish(ngx_http_request_t *r,
    ngx_http_loyalty_loc_conf_t *llcf, ngx_http_loyalty_ctx_t *ctx)
{
    ngx_http_loyalty_headers_add(r, llcf, ctx);
    ngx_http_loyalty_capture_request(r);
    ngx_http_loyalty_inject_request(r);

    return NGX_DECLINED;
}
