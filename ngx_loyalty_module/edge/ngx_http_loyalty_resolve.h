/*
 * Between the resolver's two files: the requests' operations and the sites'
 * programs.
 *
 * A site is known to a worker while it has a program or an operation.  Its
 * program is read by an operation (which can take the member along in the same
 * MGET) and compiled in a thread; operations that cannot go on without it wait
 * at the site.
 */

#ifndef _NGX_HTTP_LOYALTY_RESOLVE_H_INCLUDED_
#define _NGX_HTTP_LOYALTY_RESOLVE_H_INCLUDED_


#include "ngx_http_loyalty.h"


/* Compiling 4 MB of JSON takes about 20 times its size. */
#define NGX_HTTP_LOYALTY_PROBLEMS_SIZE  (1024 * 1024)


typedef struct ngx_http_loyalty_compile_s  ngx_http_loyalty_compile_t;


typedef enum {
    NGX_HTTP_LOYALTY_SITE_IDLE = 0,
    NGX_HTTP_LOYALTY_SITE_POLL,          /* another worker reads it */
    NGX_HTTP_LOYALTY_SITE_READ           /* an operation of ours reads it */
} ngx_http_loyalty_site_state_e;


typedef struct {
    ngx_str_node_t                   sn;
    ngx_loyalty_hash_t               hash;      /* of the program's entry */
    ngx_http_loyalty_site_state_e    state;
    ngx_loyalty_cache_ticket_t       ticket;

    ngx_http_loyalty_program_t      *program;   /* the last good one */
    ngx_loyalty_cache_text_t         text;      /* the last one compiled */
    ngx_loyalty_record_info_t        entry;     /* of the zone, if it has it */
    ngx_msec_t                       read;      /* when Redis last said so */
    ngx_msec_t                       polled;
    ngx_http_loyalty_compile_t      *compile;

    ngx_queue_t                      waiting;   /* operations */
    ngx_uint_t                       refs;      /* operations */
    unsigned                         known:1;   /* text is set */
} ngx_http_loyalty_site_t;


/* The resolver of a worker. */

typedef struct {
    ngx_loyalty_cache_t             *cache;
    ngx_loyalty_redis_t             *redis;
    ngx_http_loyalty_main_conf_t    *conf;
    ngx_log_t                       *log;
    ngx_rbtree_t                     sites;
    ngx_rbtree_node_t                sites_sentinel;
    ngx_http_loyalty_site_t         *site;      /* the last found, or NULL */
    ngx_rbtree_t                     ops;
    ngx_rbtree_node_t                ops_sentinel;
} ngx_http_loyalty_resolver_t;


/* A request that waits for an operation, in the request's pool. */

typedef struct {
    ngx_queue_t                      queue;
    ngx_http_loyalty_ctx_t          *ctx;
} ngx_http_loyalty_waiter_t;


extern ngx_http_loyalty_resolver_t  ngx_http_loyalty_resolver;


ngx_int_t ngx_http_loyalty_copy_view(ngx_http_request_t *r,
    ngx_http_loyalty_ctx_t *ctx, const void *view, size_t len);

/* Made under this program, and still right. */
ngx_uint_t ngx_http_loyalty_view_good(const loyalty_view_t *view,
    loyalty_program_t *program);

/* From a member as Redis has it; `data` is of LOYALTY_VIEW_SIZE_MAX. */
loyalty_status_t ngx_http_loyalty_view_decode(ngx_str_t *value,
    loyalty_program_t *program, uint64_t *data, size_t *len);

/* ms since 1970 */
int64_t ngx_http_loyalty_now(void);


/* NGX_AGAIN: the waiter's ctx->resume will be posted; NGX_OK: no memory. */
ngx_int_t ngx_http_loyalty_op_join(ngx_loyalty_hash_t *hash,
    ngx_http_loyalty_waiter_t *waiter);
void ngx_http_loyalty_ops_free(void);
void ngx_http_loyalty_op_insert(ngx_rbtree_node_t *temp,
    ngx_rbtree_node_t *node, ngx_rbtree_node_t *sentinel);


ngx_http_loyalty_site_t *ngx_http_loyalty_site_find(ngx_str_t *name);
ngx_http_loyalty_site_t *ngx_http_loyalty_site_get(ngx_str_t *name);
void ngx_http_loyalty_site_unref(ngx_http_loyalty_site_t *site);
void ngx_http_loyalty_sites_free(void);

/* site->program, which may be NULL, is what the zone has. */
ngx_uint_t ngx_http_loyalty_site_fresh(ngx_http_loyalty_site_t *site);

/*
 * Brings site->program up to date.  NGX_OK: it is, or the last good one does
 * until the new one is compiled; NGX_AGAIN: wait at the site; NGX_DECLINED:
 * the caller is to read it.
 */
ngx_int_t ngx_http_loyalty_site_check(ngx_http_loyalty_site_t *site,
    ngx_msec_t lease);

/* The caller's read has ended; NULL: it failed. */
void ngx_http_loyalty_site_read(ngx_http_loyalty_site_t *site,
    redisReply *reply);

/* A value that Redis has, but not as a string; an error of another kind. */
ngx_uint_t ngx_http_loyalty_reply_is_bad(redisReply *reply);

/* Called for the operations that wait at the site; `failed`: what is there
 * by now has to do. */
void ngx_http_loyalty_op_program(ngx_queue_t *q, ngx_uint_t failed);


#endif /* _NGX_HTTP_LOYALTY_RESOLVE_H_INCLUDED_ */
