/*
 * What the edge's files share: configuration and the request's context.
 */

#ifndef _NGX_HTTP_LOYALTY_H_INCLUDED_
#define _NGX_HTTP_LOYALTY_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "loyalty.h"
#include "loyalty_program.h"
#include "loyalty_view.h"
#include "ngx_loyalty_cache.h"
#include "ngx_loyalty_redis.h"


typedef struct {
    ngx_loyalty_redis_conf_t    redis;
    ngx_flag_t                  redis_set;
    ngx_loyalty_zone_conf_t     zone;
} ngx_http_loyalty_main_conf_t;


/* A compiled program, one a site and version in each worker. */

typedef struct {
    loyalty_program_t          *program;
    ngx_uint_t                  refs;
} ngx_http_loyalty_program_t;


typedef enum {
    NGX_HTTP_LOYALTY_HIT = 0,
    NGX_HTTP_LOYALTY_MISS,
    NGX_HTTP_LOYALTY_STALE,
    NGX_HTTP_LOYALTY_NEGATIVE,
    NGX_HTTP_LOYALTY_BYPASS
} ngx_http_loyalty_cache_e;


/*
 * The request's context.  Lives in the main request, shared by its
 * subrequests and kept over internal redirects (a pool cleanup finds it).
 */

typedef struct {
    ngx_str_t                    site;
    ngx_str_t                    member;      /* empty: a guest */
    ngx_http_loyalty_program_t  *program;     /* NULL: unknown site, or away */
    const loyalty_view_t        *view;        /* NULL: a guest, or away */
    ngx_http_loyalty_cache_e     cache;
    ngx_event_t                  resume;      /* posted when resolved */
    void                        *resolving;   /* the resolver's */
    unsigned                     resolved:1;
} ngx_http_loyalty_ctx_t;


extern ngx_module_t  ngx_http_loyalty_module;
extern ngx_module_t  ngx_http_loyalty_filter_module;
extern ngx_module_t  ngx_http_loyalty_backend_module;


/* The context of the request, or NULL where `loyalty` is off. */
ngx_http_loyalty_ctx_t *ngx_http_loyalty_ctx(ngx_http_request_t *r);

/*
 * Resolves ctx->site and ctx->member into program and view.  NGX_OK: done,
 * also when nothing was found or Redis is away; NGX_AGAIN: ctx->resume is
 * posted when done.  Never another answer.
 */
ngx_int_t ngx_http_loyalty_resolve(ngx_http_request_t *r,
    ngx_http_loyalty_ctx_t *ctx);

/* The worker's Redis client, NULL before init_process or without a directive */
ngx_loyalty_redis_t *ngx_http_loyalty_redis(void);

/*
 * A thread pool of our own: the user's `thread_pool NAME`, or one made here
 * with `threads`.  In configuration time only; NULL: logged.
 */
ngx_thread_pool_t *ngx_loyalty_thread_pool(ngx_conf_t *cf, ngx_str_t *name,
    ngx_uint_t threads);


#endif /* _NGX_HTTP_LOYALTY_H_INCLUDED_ */
