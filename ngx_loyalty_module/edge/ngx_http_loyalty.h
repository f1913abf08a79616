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
#include "ngx_loyalty_metrics.h"
#include "ngx_loyalty_redis.h"


typedef struct ngx_http_loyalty_jwt_conf_s      ngx_http_loyalty_jwt_conf_t;
typedef struct ngx_http_loyalty_headers_conf_s  ngx_http_loyalty_headers_conf_t;
typedef struct ngx_http_loyalty_page_conf_s     ngx_http_loyalty_page_conf_t;


typedef struct {
    ngx_loyalty_redis_conf_t           redis;    /* addrs.nelts 0: not set */
    ngx_loyalty_zone_conf_t            zone;     /* shm_zone NULL: not set */
    ngx_thread_pool_t                 *compiler; /* NULL: zone or redis not set */
} ngx_http_loyalty_main_conf_t;


typedef struct {
    ngx_uint_t                         used;     /* in some location of it */
} ngx_http_loyalty_srv_conf_t;


/* One variable alone is read where it stands, without a script. */

typedef struct {
    ngx_http_complex_value_t           value;
    ngx_int_t                          index;    /* of it, or NGX_ERROR */
} ngx_http_loyalty_source_t;


typedef struct {
    ngx_flag_t                         enable;

    ngx_http_loyalty_source_t         *site;
    ngx_http_loyalty_source_t         *member;   /* one of member and jwt */
    ngx_http_loyalty_jwt_conf_t       *jwt;

    ngx_http_loyalty_headers_conf_t   *headers;  /* NULL: off */
    ngx_http_loyalty_page_conf_t      *page;     /* this location's own */
} ngx_http_loyalty_loc_conf_t;


/* A compiled program, one a site and version in each worker. */

typedef struct {
    loyalty_program_t                 *program;
    ngx_uint_t                         refs;
    ngx_uint_t                         serial;   /* never two of a worker's */
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
 * A subrequest that runs before the main request is resolved (auth_request)
 * has one of its own.
 */

typedef struct {
    ngx_http_request_t                *request;
    ngx_http_loyalty_loc_conf_t       *conf;     /* by which identified */

    ngx_str_t                          site;
    ngx_str_t                          member;   /* empty: a guest */
    ngx_http_loyalty_program_t        *program;  /* NULL: unknown, or away */
    const loyalty_view_t              *view;     /* NULL: a guest, or away */
    ngx_http_loyalty_cache_e           cache;

    ngx_event_t                        resume;   /* posted when resolved */
    void                              *resolving; /* the resolver's */
    ngx_http_event_handler_pt          read_event_handler;

    uint64_t                           started;  /* waiting, in usec */

    unsigned                           resolved:1;
    unsigned                           waiting:1;
    unsigned                           headers:1; /* X-Loyalty-* are added */
} ngx_http_loyalty_ctx_t;


extern ngx_module_t  ngx_http_loyalty_module;
extern ngx_module_t  ngx_http_loyalty_filter_module;
extern ngx_module_t  ngx_http_loyalty_backend_module;


/* The context of the request, or NULL where `loyalty` is off. */
ngx_http_loyalty_ctx_t *ngx_http_loyalty_ctx(ngx_http_request_t *r);

/*
 * Resolves ctx->site and ctx->member into program, view and cache.  NGX_OK:
 * done, also when nothing was found or Redis is away; NGX_AGAIN: ctx->resume
 * is posted when done.  Never another answer.  ctx->program is a reference
 * that the request gives back by ngx_http_loyalty_program_release().
 */
ngx_int_t ngx_http_loyalty_resolve(ngx_http_request_t *r,
    ngx_http_loyalty_ctx_t *ctx);

/* Of the resolver: in postconfiguration, in init and exit_process while the
 * worker's Redis client is there. */
ngx_int_t ngx_http_loyalty_resolve_init(ngx_conf_t *cf);
ngx_int_t ngx_http_loyalty_resolve_init_process(ngx_cycle_t *cycle,
    ngx_http_loyalty_main_conf_t *lmcf);
void ngx_http_loyalty_resolve_exit_process(void);

/* The request ends while a resolve is under way: ctx is not to be touched. */
void ngx_http_loyalty_resolve_cancel(ngx_http_loyalty_ctx_t *ctx);

void ngx_http_loyalty_program_release(ngx_http_loyalty_program_t *program);

/* This instant, as of the event loop's last turn. */
loyalty_instant_t ngx_http_loyalty_instant(void);

/* Whether there is a program and it is active. */
ngx_uint_t ngx_http_loyalty_active(ngx_http_loyalty_ctx_t *ctx);

/* A status of ctx->program by its index, NULL for -1. */
const loyalty_tier_t *ngx_http_loyalty_tier(ngx_http_loyalty_ctx_t *ctx,
    ngx_int_t tier);

/* The shopper's locale among the site's, by Accept-Language; and the header,
 * empty where there is none. */
loyalty_str_t ngx_http_loyalty_accept_language(ngx_http_request_t *r);
loyalty_str_t ngx_http_loyalty_locale(ngx_http_request_t *r,
    loyalty_program_t *program);

/* Values as text of the request's pool.  NGX_ERROR: out of memory. */
ngx_int_t ngx_http_loyalty_segments(ngx_http_request_t *r, ngx_uint_t segments,
    ngx_str_t *value);
ngx_int_t ngx_http_loyalty_offers(ngx_http_request_t *r,
    const loyalty_view_t *view, ngx_str_t *value);
ngx_int_t ngx_http_loyalty_number(ngx_http_request_t *r, int64_t number,
    ngx_str_t *value);

/*
 * Takes the request headers for which `drop` is not 0 out of the list, and
 * empties their values; returns how many.  The list is written anew, so
 * headers_in's pointers may stay on the old elements: look headers up in the
 * list by name.
 */
typedef ngx_uint_t (*ngx_http_loyalty_header_pt)(ngx_table_elt_t *h);
ngx_uint_t ngx_http_loyalty_headers_drop(ngx_http_request_t *r,
    ngx_http_loyalty_header_pt drop);

/*
 * XADD to a site's stream that keeps about `max` entries, 0: all; `fields` are
 * n names and values, at most NGX_HTTP_LOYALTY_STREAM_FIELDS.  NGX_OK: cmd's
 * handler will be called.
 */
#define NGX_HTTP_LOYALTY_STREAM_FIELDS  8

ngx_int_t ngx_http_loyalty_stream_add(ngx_http_request_t *r,
    ngx_http_loyalty_ctx_t *ctx, ngx_loyalty_redis_command_t *cmd,
    const char *stream, ngx_uint_t max, ngx_str_t *fields, ngx_uint_t n);

/* The worker's Redis client, NULL before init_process or without a directive */
ngx_loyalty_redis_t *ngx_http_loyalty_redis(void);

/*
 * A thread pool of our own: the user's `thread_pool NAME`, or one made here
 * with `threads`.  In configuration time only; NULL: logged.
 */
ngx_thread_pool_t *ngx_loyalty_thread_pool(ngx_conf_t *cf, ngx_str_t *name,
    ngx_uint_t threads);

/*
 * Reads a file at configuration time, whole and terminated; its name is
 * relative to the configuration's folder.  NGX_ERROR: logged with `what`.
 * A secret has no newline at its end and at least LOYALTY_TOKEN_SECRET_MIN
 * bytes.
 */
ngx_int_t ngx_loyalty_conf_file(ngx_conf_t *cf, const char *what,
    ngx_str_t *name, size_t max, ngx_str_t *text);
ngx_int_t ngx_loyalty_conf_secret(ngx_conf_t *cf, const char *what,
    ngx_str_t *name, ngx_str_t *secret);


/* Between the files of this module. */

char *ngx_http_loyalty_jwt_directive(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
void ngx_http_loyalty_jwt_member(ngx_http_request_t *r,
    ngx_http_loyalty_jwt_conf_t *jcf, ngx_str_t *member);

char *ngx_http_loyalty_headers_directive(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
ngx_uint_t ngx_http_loyalty_headers_on(ngx_http_loyalty_headers_conf_t *hcf);
ngx_int_t ngx_http_loyalty_headers_handler(ngx_http_request_t *r);
void ngx_http_loyalty_headers_add(ngx_http_request_t *r,
    ngx_http_loyalty_loc_conf_t *llcf, ngx_http_loyalty_ctx_t *ctx);

char *ngx_http_loyalty_page_directive(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_loyalty_api_directive(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_loyalty_track_directive(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_loyalty_metrics_directive(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

ngx_int_t ngx_http_loyalty_add_variables(ngx_conf_t *cf);
ngx_int_t ngx_http_loyalty_handler(ngx_http_request_t *r);

/* A shopper without a record stands where everybody begins: ctx->view. */
void ngx_http_loyalty_newcomer(ngx_http_request_t *r,
    ngx_http_loyalty_ctx_t *ctx);

ngx_int_t ngx_http_loyalty_visit_add_zone(ngx_conf_t *cf, void *tag);
void ngx_http_loyalty_visit(ngx_http_request_t *r,
    ngx_http_loyalty_ctx_t *ctx);


#endif /* _NGX_HTTP_LOYALTY_H_INCLUDED_ */
