/*
 * From site and member id to program and view.
 *
 * What the zone has is copied out on the spot: no lock, no system call, one
 * allocation.  Else the request waits for an operation, one for all of the
 * worker's requests for that member (ngx_http_loyalty_op.c).
 *
 * What Redis tells of changed keys comes in here, too.
 */


#include "ngx_http_loyalty_resolve.h"

#include "loyalty_keys.h"


static ngx_int_t ngx_http_loyalty_cached(ngx_http_request_t *r,
    ngx_http_loyalty_ctx_t *ctx);
static void ngx_http_loyalty_invalidate(void *data, ngx_str_t *key);
static void ngx_http_loyalty_flush(void *data);
static void ngx_http_loyalty_link_up(void *data);
static void ngx_http_loyalty_link_down(void *data);


ngx_http_loyalty_resolver_t  ngx_http_loyalty_resolver;


ngx_int_t
ngx_http_loyalty_resolve_init(ngx_conf_t *cf)
{
    ngx_str_t                      name;
    ngx_http_loyalty_main_conf_t  *lmcf;

    lmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_loyalty_module);

    if (lmcf->zone.cache == NULL || lmcf->redis.addrs.nelts == 0) {
        return NGX_OK;
    }

    ngx_str_set(&name, "loyalty_program");

    lmcf->compiler = ngx_loyalty_thread_pool(cf, &name, 1);

    return lmcf->compiler != NULL ? NGX_OK : NGX_ERROR;
}


ngx_int_t
ngx_http_loyalty_resolve_init_process(ngx_cycle_t *cycle,
    ngx_http_loyalty_main_conf_t *lmcf)
{
    ngx_http_loyalty_resolver_t  *rv;

    static ngx_loyalty_redis_tracker_t  tracker = {
        ngx_http_loyalty_invalidate,
        ngx_http_loyalty_flush,
        ngx_http_loyalty_link_up,
        ngx_http_loyalty_link_down,
        NULL
    };

    if (lmcf->compiler == NULL) {
        return NGX_OK;
    }

    rv = &ngx_http_loyalty_resolver;

    rv->cache = lmcf->zone.cache;
    rv->redis = ngx_http_loyalty_redis();
    rv->conf = lmcf;
    rv->log = cycle->log;

    ngx_rbtree_init(&rv->sites, &rv->sites_sentinel,
                    ngx_str_rbtree_insert_value);
    ngx_rbtree_init(&rv->ops, &rv->ops_sentinel, ngx_http_loyalty_op_insert);

    if (ngx_loyalty_cache_init_process(rv->cache, cycle) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_loyalty_redis_track(rv->redis, &tracker);
}


void
ngx_http_loyalty_resolve_exit_process(void)
{
    ngx_http_loyalty_resolver_t  *rv;

    rv = &ngx_http_loyalty_resolver;

    if (rv->cache == NULL) {
        return;
    }

    ngx_http_loyalty_ops_free();
    ngx_http_loyalty_sites_free();
    ngx_loyalty_cache_exit_process(rv->cache);
}


ngx_int_t
ngx_http_loyalty_resolve(ngx_http_request_t *r, ngx_http_loyalty_ctx_t *ctx)
{
    ngx_str_t                    *name;
    ngx_loyalty_hash_t            hash;
    ngx_http_loyalty_waiter_t    *waiter;
    ngx_loyalty_cache_kind_e      kind;
    ngx_http_loyalty_resolver_t  *rv;

    rv = &ngx_http_loyalty_resolver;

    if (rv->cache == NULL || ngx_http_loyalty_cached(r, ctx) == NGX_OK) {
        return NGX_OK;
    }

    name = &ctx->member;
    kind = name->len ? NGX_LOYALTY_CACHE_MEMBER : NGX_LOYALTY_CACHE_PROGRAM;

    if (ngx_loyalty_cache_hash(rv->cache, kind, &ctx->site, name, &hash)
        != NGX_OK)
    {
        return NGX_OK;
    }

    waiter = ngx_palloc(r->pool, sizeof(ngx_http_loyalty_waiter_t));
    if (waiter == NULL) {
        return NGX_OK;
    }

    waiter->ctx = ctx;
    ctx->resolving = waiter;

    return ngx_http_loyalty_op_join(&hash, waiter);
}


void
ngx_http_loyalty_resolve_cancel(ngx_http_loyalty_ctx_t *ctx)
{
    ngx_http_loyalty_waiter_t *waiter = ctx->resolving;

    if (waiter != NULL) {
        ngx_queue_remove(&waiter->queue);
        ctx->resolving = NULL;
    }
}


/* The way of nearly every request: no lock, no system call. */

static ngx_int_t
ngx_http_loyalty_cached(ngx_http_request_t *r, ngx_http_loyalty_ctx_t *ctx)
{
    size_t                      len;
    ngx_str_t                   none;
    const loyalty_view_t       *view;
    ngx_loyalty_hash_t          hash;
    ngx_loyalty_cache_t        *cache;
    ngx_http_loyalty_site_t    *site;

    static uint64_t  data[NGX_LOYALTY_CACHE_DATA_MAX / sizeof(uint64_t)];

    cache = ngx_http_loyalty_resolver.cache;

    site = ngx_http_loyalty_site_find(&ctx->site);

    if (site == NULL) {
        ngx_str_null(&none);

        if (ngx_loyalty_cache_hash(cache, NGX_LOYALTY_CACHE_PROGRAM,
                                   &ctx->site, &none, &hash)
            != NGX_OK)
        {
            return NGX_OK;
        }

        if (ngx_loyalty_cache_get(cache, &hash, data, &len)
            != NGX_LOYALTY_CACHE_NEGATIVE)
        {
            return NGX_DECLINED;
        }

        ctx->cache = NGX_HTTP_LOYALTY_NEGATIVE;
        return NGX_OK;
    }

    if (!ngx_http_loyalty_site_fresh(site)) {
        return NGX_DECLINED;
    }

    if (site->program == NULL) {
        ctx->cache = NGX_HTTP_LOYALTY_NEGATIVE;
        return NGX_OK;
    }

    ctx->cache = NGX_HTTP_LOYALTY_HIT;

    if (ctx->member.len != 0) {

        if (ngx_loyalty_cache_hash(cache, NGX_LOYALTY_CACHE_MEMBER,
                                   &ctx->site, &ctx->member, &hash)
            != NGX_OK)
        {
            return NGX_OK;
        }

        switch (ngx_loyalty_cache_get(cache, &hash, data, &len)) {

        case NGX_LOYALTY_CACHE_HIT:
            view = loyalty_view_open(data, len);

            if (view == NULL
                || !ngx_http_loyalty_view_good(view, site->program->program))
            {
                return NGX_DECLINED;
            }

            if (ngx_http_loyalty_copy_view(r, ctx, view, len) != NGX_OK) {
                return NGX_OK;
            }

            break;

        case NGX_LOYALTY_CACHE_NEGATIVE:
            ctx->cache = NGX_HTTP_LOYALTY_NEGATIVE;
            break;

        default:
            return NGX_DECLINED;
        }
    }

    ctx->program = site->program;
    ctx->program->refs++;

    return NGX_OK;
}


ngx_int_t
ngx_http_loyalty_copy_view(ngx_http_request_t *r, ngx_http_loyalty_ctx_t *ctx,
    const void *view, size_t len)
{
    void  *copy;

    copy = ngx_palloc(r->pool, len);
    if (copy == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(copy, view, len);
    ctx->view = copy;

    return NGX_OK;
}


ngx_uint_t
ngx_http_loyalty_view_good(const loyalty_view_t *view,
    loyalty_program_t *program)
{
    return view->program_version == program->version
           && view->valid_until > ngx_http_loyalty_now();
}


int64_t
ngx_http_loyalty_now(void)
{
    ngx_time_t  *tp;

    tp = ngx_timeofday();

    return (int64_t) tp->sec * 1000 + tp->msec;
}


static void
ngx_http_loyalty_invalidate(void *data, ngx_str_t *key)
{
    char                          kind;
    ngx_str_t                     site, id;
    loyalty_str_t                 name, prefix, s, rest;
    ngx_loyalty_hash_t            hash;
    ngx_http_loyalty_resolver_t  *rv;

    rv = &ngx_http_loyalty_resolver;

    name.data = (char *) key->data;
    name.len = key->len;
    prefix.data = (char *) rv->conf->redis.prefix.data;
    prefix.len = rv->conf->redis.prefix.len;

    if (loyalty_key_split(name, prefix, &kind, &s, &rest) != LOYALTY_OK) {
        return;
    }

    site.data = (u_char *) s.data;
    site.len = s.len;
    id.data = (u_char *) rest.data;
    id.len = rest.len;

    if (ngx_loyalty_cache_hash(rv->cache, kind, &site, &id, &hash) == NGX_OK) {
        ngx_loyalty_cache_invalidate(rv->cache, &hash);
    }
}


static void
ngx_http_loyalty_flush(void *data)
{
    ngx_loyalty_cache_flush(ngx_http_loyalty_resolver.cache);
}


static void
ngx_http_loyalty_link_up(void *data)
{
    ngx_loyalty_cache_link(ngx_http_loyalty_resolver.cache, 1);
}


static void
ngx_http_loyalty_link_down(void *data)
{
    ngx_loyalty_cache_link(ngx_http_loyalty_resolver.cache, 0);
}
