/*
 * An operation brings one member (or, for guests, one program) to a worker.
 *
 * It lives by itself: requests come and leave, and when it ends those that
 * still wait are resumed.
 *
 *   member:   LOOK ──► POLL   another worker reads it: look again in 2 ms
 *              │ ▲      │
 *              │ └──────┘
 *              ├─────► READ   GET, or MGET with the program ──► VALUE, DONE
 *              ├─────► WAIT   for the program, then look again
 *              └─────► DONE
 *
 *   program:  the site's (ngx_http_loyalty_program.c); this operation reads
 *             it, or waits at the site, or is done with it
 *
 * It ends when both are done, or when the time of one Redis command has passed
 * since its beginning, with what there is by then: a stale view, or a guest.
 */


#include "ngx_http_loyalty_resolve.h"

#include "loyalty_keys.h"
#include "loyalty_member.h"


#define NGX_HTTP_LOYALTY_POLL   2

/* A lease outlives the read it is for. */
#define NGX_HTTP_LOYALTY_LEASE  20

/* A decoded member takes a few times its encoded size. */
#define NGX_HTTP_LOYALTY_ARENA  (16 * LOYALTY_MEMBER_SIZE_MAX)


typedef enum {
    NGX_HTTP_LOYALTY_MEMBER_LOOK = 0,
    NGX_HTTP_LOYALTY_MEMBER_WAIT,
    NGX_HTTP_LOYALTY_MEMBER_POLL,
    NGX_HTTP_LOYALTY_MEMBER_READ,
    NGX_HTTP_LOYALTY_MEMBER_VALUE,
    NGX_HTTP_LOYALTY_MEMBER_DONE
} ngx_http_loyalty_member_state_e;


typedef struct {
    ngx_rbtree_node_t                node;
    ngx_loyalty_hash_t               hash;
    ngx_http_loyalty_site_t         *site;
    ngx_queue_t                      waiters;
    ngx_queue_t                      queue;      /* at the site */
    ngx_event_t                      deadline;
    ngx_event_t                      poll;
    ngx_loyalty_redis_command_t      cmd;
    ngx_loyalty_cache_ticket_t       ticket;
    ngx_msec_t                       lease;
    ngx_http_loyalty_member_state_e  state;
    ngx_http_loyalty_cache_e         cache;
    ngx_str_t                        value;      /* the member as in Redis */
    ngx_str_t                        view;
    ngx_str_t                        stale;
    unsigned                         reading:1;  /* the program */
    unsigned                         read:1;     /* the program, once */
    unsigned                         queued:1;   /* at the site */
    unsigned                         ready:1;    /* the program is */
    unsigned                         failed:1;   /* to read the program */
    ngx_str_t                        member;
} ngx_http_loyalty_op_t;


static ngx_http_loyalty_op_t *ngx_http_loyalty_op_find(
    ngx_loyalty_hash_t *hash);
static ngx_http_loyalty_op_t *ngx_http_loyalty_op_create(ngx_str_t *site,
    ngx_str_t *member, ngx_loyalty_hash_t *hash);
static void ngx_http_loyalty_op_run(ngx_http_loyalty_op_t *op);
static ngx_uint_t ngx_http_loyalty_op_look(ngx_http_loyalty_op_t *op);
static ngx_uint_t ngx_http_loyalty_op_found(ngx_http_loyalty_op_t *op,
    const void *data, size_t len);
static void ngx_http_loyalty_op_send(ngx_http_loyalty_op_t *op,
    ngx_uint_t program, ngx_uint_t member);
static void ngx_http_loyalty_op_reply(ngx_loyalty_redis_command_t *cmd,
    ngx_loyalty_redis_result_e result, redisReply *reply);
static void ngx_http_loyalty_op_member(ngx_http_loyalty_op_t *op,
    redisReply *reply);
static void ngx_http_loyalty_op_build(ngx_http_loyalty_op_t *op);
static ngx_uint_t ngx_http_loyalty_op_outdone(ngx_http_loyalty_op_t *op,
    const loyalty_view_t *view);
static void ngx_http_loyalty_op_deadline(ngx_event_t *ev);
static void ngx_http_loyalty_op_poll(ngx_event_t *ev);
static void ngx_http_loyalty_op_finish(ngx_http_loyalty_op_t *op);
static void ngx_http_loyalty_op_free(ngx_http_loyalty_op_t *op);
static ngx_int_t ngx_http_loyalty_op_keep(ngx_str_t *to, const void *data,
    size_t len);


/* The waiter is resumed, never from inside this call. */

ngx_int_t
ngx_http_loyalty_op_join(ngx_loyalty_hash_t *hash,
    ngx_http_loyalty_waiter_t *waiter)
{
    ngx_http_loyalty_op_t   *op;
    ngx_http_loyalty_ctx_t  *ctx;

    op = ngx_http_loyalty_op_find(hash);

    if (op != NULL) {
        ngx_queue_insert_tail(&op->waiters, &waiter->queue);
        return NGX_AGAIN;
    }

    ctx = waiter->ctx;

    op = ngx_http_loyalty_op_create(&ctx->site, &ctx->member, hash);
    if (op == NULL) {
        ctx->resolving = NULL;
        return NGX_OK;
    }

    ngx_queue_insert_tail(&op->waiters, &waiter->queue);

    ngx_http_loyalty_op_run(op);

    return NGX_AGAIN;
}


/* In exit_process. */

void
ngx_http_loyalty_ops_free(void)
{
    ngx_rbtree_t  *ops;

    ops = &ngx_http_loyalty_resolver.ops;

    while (ops->root != ops->sentinel) {
        ngx_http_loyalty_op_free((ngx_http_loyalty_op_t *) ops->root);
    }
}


static ngx_http_loyalty_op_t *
ngx_http_loyalty_op_find(ngx_loyalty_hash_t *hash)
{
    ngx_int_t               rc;
    ngx_rbtree_node_t      *node, *sentinel;
    ngx_http_loyalty_op_t  *op;

    node = ngx_http_loyalty_resolver.ops.root;
    sentinel = ngx_http_loyalty_resolver.ops.sentinel;

    while (node != sentinel) {

        if (hash->word[0] != node->key) {
            node = hash->word[0] < node->key ? node->left : node->right;
            continue;
        }

        op = (ngx_http_loyalty_op_t *) node;
        rc = ngx_memcmp(hash, &op->hash, sizeof(ngx_loyalty_hash_t));

        if (rc == 0) {
            return op;
        }

        node = rc < 0 ? node->left : node->right;
    }

    return NULL;
}


void
ngx_http_loyalty_op_insert(ngx_rbtree_node_t *temp, ngx_rbtree_node_t *node,
    ngx_rbtree_node_t *sentinel)
{
    ngx_rbtree_node_t      **p;
    ngx_http_loyalty_op_t   *op, *other;

    for ( ;; ) {

        if (node->key != temp->key) {
            p = node->key < temp->key ? &temp->left : &temp->right;

        } else {
            op = (ngx_http_loyalty_op_t *) node;
            other = (ngx_http_loyalty_op_t *) temp;

            p = ngx_memcmp(&op->hash, &other->hash,
                           sizeof(ngx_loyalty_hash_t))
                < 0 ? &temp->left : &temp->right;
        }

        if (*p == sentinel) {
            break;
        }

        temp = *p;
    }

    *p = node;
    node->parent = temp;
    node->left = sentinel;
    node->right = sentinel;
    ngx_rbt_red(node);
}


static ngx_http_loyalty_op_t *
ngx_http_loyalty_op_create(ngx_str_t *site, ngx_str_t *member,
    ngx_loyalty_hash_t *hash)
{
    ngx_http_loyalty_op_t        *op;
    ngx_http_loyalty_resolver_t  *rv;

    rv = &ngx_http_loyalty_resolver;

    op = ngx_calloc(sizeof(ngx_http_loyalty_op_t) + member->len, rv->log);
    if (op == NULL) {
        return NULL;
    }

    op->site = ngx_http_loyalty_site_get(site);
    if (op->site == NULL) {
        ngx_free(op);
        return NULL;
    }

    op->hash = *hash;
    op->member.len = member->len;
    op->member.data = (u_char *) (op + 1);
    ngx_memcpy(op->member.data, member->data, member->len);

    ngx_queue_init(&op->waiters);

    op->lease = rv->conf->redis.timeout + NGX_HTTP_LOYALTY_LEASE;
    op->cache = NGX_HTTP_LOYALTY_BYPASS;
    op->state = member->len ? NGX_HTTP_LOYALTY_MEMBER_LOOK
                            : NGX_HTTP_LOYALTY_MEMBER_DONE;

    op->deadline.handler = ngx_http_loyalty_op_deadline;
    op->deadline.data = op;
    op->deadline.log = rv->log;

    op->poll.handler = ngx_http_loyalty_op_poll;
    op->poll.data = op;
    op->poll.log = rv->log;

    op->cmd.handler = ngx_http_loyalty_op_reply;
    op->cmd.data = op;

    op->node.key = hash->word[0];
    ngx_rbtree_insert(&rv->ops, &op->node);

    ngx_add_timer(&op->deadline, rv->conf->redis.timeout);

    return op;
}


/* Goes on with whatever is not done yet; may end the operation. */

static void
ngx_http_loyalty_op_run(ngx_http_loyalty_op_t *op)
{
    ngx_uint_t  program, member;

    program = 0;

    if (!op->ready && !op->reading) {

        switch (ngx_http_loyalty_site_check(op->site, op->lease)) {

        case NGX_OK:
            op->ready = 1;
            break;

        case NGX_DECLINED:
            op->reading = 1;
            op->read = 1;
            program = 1;
            break;

        default:
            break;
        }
    }

    if (!op->ready && !op->queued) {
        ngx_queue_insert_tail(&op->site->waiting, &op->queue);
        op->queued = 1;

    } else if (op->ready && op->queued) {
        ngx_queue_remove(&op->queue);
        op->queued = 0;
    }

    if (op->ready && op->site->program == NULL) {
        op->cache = op->failed ? NGX_HTTP_LOYALTY_BYPASS
                    : op->read ? NGX_HTTP_LOYALTY_MISS
                               : NGX_HTTP_LOYALTY_NEGATIVE;
        ngx_http_loyalty_op_finish(op);
        return;
    }

    if (op->ready && op->member.len == 0) {
        op->cache = op->failed ? NGX_HTTP_LOYALTY_STALE
                               : NGX_HTTP_LOYALTY_MISS;
    }

    member = 0;

    /* one command at a time */

    if (op->state <= NGX_HTTP_LOYALTY_MEMBER_POLL && op->cmd.op == NULL) {
        member = ngx_http_loyalty_op_look(op);
    }

    if (program || member) {
        ngx_http_loyalty_op_send(op, program, member);
        return;
    }

    if (op->ready && op->state == NGX_HTTP_LOYALTY_MEMBER_VALUE) {
        ngx_http_loyalty_op_build(op);
    }

    if (op->ready && op->state == NGX_HTTP_LOYALTY_MEMBER_DONE) {
        ngx_http_loyalty_op_finish(op);
        return;
    }

    if (op->state == NGX_HTTP_LOYALTY_MEMBER_POLL
        || op->site->state == NGX_HTTP_LOYALTY_SITE_POLL)
    {
        ngx_add_timer(&op->poll, NGX_HTTP_LOYALTY_POLL);
    }
}


/* 1: the member is to be read by this operation. */

static ngx_uint_t
ngx_http_loyalty_op_look(ngx_http_loyalty_op_t *op)
{
    size_t                      len;
    ngx_uint_t                  refresh;
    ngx_loyalty_cache_t        *cache;
    ngx_loyalty_cache_state_e   state;

    static uint64_t  data[NGX_LOYALTY_CACHE_DATA_MAX / sizeof(uint64_t)];

    cache = ngx_http_loyalty_resolver.cache;
    refresh = 0;

    state = ngx_loyalty_cache_get(cache, &op->hash, data, &len);

    if (state == NGX_LOYALTY_CACHE_NEGATIVE) {
        op->cache = NGX_HTTP_LOYALTY_NEGATIVE;
        op->state = NGX_HTTP_LOYALTY_MEMBER_DONE;
        return 0;
    }

    if (state == NGX_LOYALTY_CACHE_STALE && op->stale.len == 0) {
        (void) ngx_http_loyalty_op_keep(&op->stale, data, len);
    }

    if (state == NGX_LOYALTY_CACHE_HIT) {

        if (!op->ready) {
            op->state = NGX_HTTP_LOYALTY_MEMBER_WAIT;
            return 0;
        }

        if (ngx_http_loyalty_op_found(op, data, len)) {
            return 0;
        }

        if (!ngx_http_loyalty_site_fresh(op->site)) {

            /* made by a worker that has compiled the next program already */

            op->state = NGX_HTTP_LOYALTY_MEMBER_READ;
            return 1;
        }

        refresh = 1;
    }

    switch (ngx_loyalty_cache_begin(cache, &op->hash, op->lease, refresh,
                                    &op->ticket))
    {
    case NGX_AGAIN:
    case NGX_DONE:
        op->state = NGX_HTTP_LOYALTY_MEMBER_POLL;
        return 0;

    default:
        op->state = NGX_HTTP_LOYALTY_MEMBER_READ;
        return 1;
    }
}


static ngx_uint_t
ngx_http_loyalty_op_found(ngx_http_loyalty_op_t *op, const void *data,
    size_t len)
{
    const loyalty_view_t  *view;

    view = loyalty_view_open(data, len);

    if (view == NULL
        || !ngx_http_loyalty_view_good(view, op->site->program->program)
        || ngx_http_loyalty_op_keep(&op->view, data, len) != NGX_OK)
    {
        return 0;
    }

    op->cache = op->state == NGX_HTTP_LOYALTY_MEMBER_POLL
                ? NGX_HTTP_LOYALTY_MISS : NGX_HTTP_LOYALTY_HIT;
    op->state = NGX_HTTP_LOYALTY_MEMBER_DONE;

    return 1;
}


static void
ngx_http_loyalty_op_send(ngx_http_loyalty_op_t *op, ngx_uint_t program,
    ngx_uint_t member)
{
    char                          program_key[LOYALTY_KEY_MAX];
    char                          member_key[LOYALTY_KEY_MAX];
    ngx_str_t                     argv[3];
    ngx_uint_t                    argc;
    loyalty_str_t                 prefix, site, id;
    ngx_http_loyalty_resolver_t  *rv;

    rv = &ngx_http_loyalty_resolver;

    prefix.data = (char *) rv->conf->redis.prefix.data;
    prefix.len = rv->conf->redis.prefix.len;
    site.data = (char *) op->site->sn.str.data;
    site.len = op->site->sn.str.len;
    id.data = (char *) op->member.data;
    id.len = op->member.len;

    argc = 1;

    if (program) {
        argv[argc].len = loyalty_key(program_key, prefix, "p", site,
                                     loyalty_str_null);
        argv[argc++].data = (u_char *) program_key;
    }

    if (member) {
        argv[argc].len = loyalty_key(member_key, prefix, "m", site, id);
        argv[argc++].data = (u_char *) member_key;
    }

    if (argc == 3) {
        ngx_str_set(&argv[0], "MGET");

    } else {
        ngx_str_set(&argv[0], "GET");
    }

    if (argv[argc - 1].len == 0
        || ngx_loyalty_redis_send(rv->redis, &op->cmd, argc, argv, 1)
           != NGX_OK)
    {
        ngx_http_loyalty_op_reply(&op->cmd, NGX_LOYALTY_REDIS_LOST, NULL);
    }
}


static void
ngx_http_loyalty_op_reply(ngx_loyalty_redis_command_t *cmd,
    ngx_loyalty_redis_result_e result, redisReply *reply)
{
    ngx_http_loyalty_op_t *op = cmd->data;

    ngx_uint_t   both;
    redisReply  *program, *member;

    both = op->reading && op->state == NGX_HTTP_LOYALTY_MEMBER_READ;

    if (result != NGX_LOYALTY_REDIS_OK) {
        reply = NULL;
    }

    program = reply;
    member = reply;

    if (both && reply != NULL) {

        if (reply->type == REDIS_REPLY_ARRAY && reply->elements == 2) {
            program = reply->element[0];
            member = reply->element[1];

        } else if (reply->type != REDIS_REPLY_ERROR) {
            program = NULL;
            member = NULL;
        }
    }

    if (op->state == NGX_HTTP_LOYALTY_MEMBER_READ) {
        ngx_http_loyalty_op_member(op, member);
    }

    if (op->reading) {

        /* this operation waits at the site too */

        op->reading = 0;
        ngx_http_loyalty_site_read(op->site, program);
        return;
    }

    ngx_http_loyalty_op_run(op);
}


static void
ngx_http_loyalty_op_member(ngx_http_loyalty_op_t *op, redisReply *reply)
{
    ngx_loyalty_cache_t  *cache;

    cache = ngx_http_loyalty_resolver.cache;
    op->state = NGX_HTTP_LOYALTY_MEMBER_DONE;

    if (reply == NULL
        || (reply->type == REDIS_REPLY_ERROR
            && !ngx_http_loyalty_reply_is_bad(reply)))
    {
        ngx_loyalty_cache_abandon(cache, &op->ticket);

        if (op->stale.len != 0) {
            op->cache = NGX_HTTP_LOYALTY_STALE;
        }

        return;
    }

    op->cache = op->ticket.mark != 0 ? NGX_HTTP_LOYALTY_MISS
                                     : NGX_HTTP_LOYALTY_BYPASS;

    if (reply->type == REDIS_REPLY_STRING
        && reply->len <= LOYALTY_MEMBER_SIZE_MAX)
    {
        if (ngx_http_loyalty_op_keep(&op->value, reply->str, reply->len)
            == NGX_OK)
        {
            op->state = NGX_HTTP_LOYALTY_MEMBER_VALUE;

        } else {
            ngx_loyalty_cache_abandon(cache, &op->ticket);
        }

        return;
    }

    if (reply->type != REDIS_REPLY_NIL) {
        ngx_loyalty_metric(BAD_MEMBERS)++;
    }

    if (op->ticket.mark != 0) {
        (void) ngx_loyalty_cache_store(cache, &op->ticket, NULL, 0, 0);
    }
}


/* The member's value has come and the program is there. */

static void
ngx_http_loyalty_op_build(ngx_http_loyalty_op_t *op)
{
    size_t                     len;
    loyalty_view_t            *view;
    loyalty_status_t           status;
    loyalty_program_t         *program;
    ngx_loyalty_cache_t       *cache;

    static uint64_t  data[LOYALTY_VIEW_SIZE_MAX / sizeof(uint64_t)];

    cache = ngx_http_loyalty_resolver.cache;
    program = op->site->program->program;
    op->state = NGX_HTTP_LOYALTY_MEMBER_DONE;

    len = 0;
    status = ngx_http_loyalty_view_decode(&op->value, program, data, &len);

    if (status == LOYALTY_OK) {
        view = (loyalty_view_t *) data;

        if (len > LOYALTY_VIEW_CACHED_MAX) {
            ngx_loyalty_metric(OVERSIZED)++;
            ngx_loyalty_cache_abandon(cache, &op->ticket);
            op->cache = NGX_HTTP_LOYALTY_BYPASS;

        } else if (op->ticket.mark != 0
                   && ngx_http_loyalty_site_fresh(op->site)
                   && !ngx_http_loyalty_op_outdone(op, view))
        {
            (void) ngx_loyalty_cache_store(cache, &op->ticket, data, len,
                                           view->valid_until);
        }

        (void) ngx_http_loyalty_op_keep(&op->view, data, len);
        return;
    }

    if (status == LOYALTY_ERROR_MEMORY) {
        ngx_loyalty_cache_abandon(cache, &op->ticket);
        op->cache = NGX_HTTP_LOYALTY_BYPASS;
        return;
    }

    if (status == LOYALTY_ERROR_LIMIT) {
        ngx_loyalty_metric(OVERSIZED)++;

    } else {
        ngx_loyalty_metric(BAD_MEMBERS)++;
    }

    if (op->ticket.mark != 0) {
        (void) ngx_loyalty_cache_store(cache, &op->ticket, NULL, 0, 0);
    }
}


loyalty_status_t
ngx_http_loyalty_view_decode(ngx_str_t *value, loyalty_program_t *program,
    uint64_t *data, size_t *len)
{
    loyalty_str_t      bytes;
    loyalty_arena_t    arena;
    loyalty_member_t   member;
    loyalty_status_t   status;

    bytes.data = (char *) value->data;
    bytes.len = value->len;

    loyalty_arena_init(&arena, NGX_HTTP_LOYALTY_ARENA);

    status = loyalty_member_decode(bytes, &arena, &member);

    if (status == LOYALTY_OK) {
        status = loyalty_view_build(&member, program, ngx_http_loyalty_now(),
                                    data, len);
    }

    loyalty_arena_free(&arena);

    return status;
}


/* Is there a good entry that knows more?  It stays. */

static ngx_uint_t
ngx_http_loyalty_op_outdone(ngx_http_loyalty_op_t *op,
    const loyalty_view_t *view)
{
    size_t                 len;
    const loyalty_view_t  *other;

    static uint64_t  data[NGX_LOYALTY_CACHE_DATA_MAX / sizeof(uint64_t)];

    if (ngx_loyalty_cache_get(ngx_http_loyalty_resolver.cache, &op->hash,
                              data, &len)
        != NGX_LOYALTY_CACHE_HIT)
    {
        return 0;
    }

    other = loyalty_view_open(data, len);

    return other != NULL
           && other->program_version == view->program_version
           && (int32_t) (other->member_version - view->member_version) > 0;
}


void
ngx_http_loyalty_op_program(ngx_queue_t *q, ngx_uint_t failed)
{
    ngx_http_loyalty_op_t  *op;

    op = ngx_queue_data(q, ngx_http_loyalty_op_t, queue);

    op->queued = 0;

    if (failed) {
        op->failed = 1;
        op->ready = 1;
    }

    ngx_http_loyalty_op_run(op);
}


static void
ngx_http_loyalty_op_poll(ngx_event_t *ev)
{
    ngx_http_loyalty_op_run(ev->data);
}


static void
ngx_http_loyalty_op_deadline(ngx_event_t *ev)
{
    ngx_http_loyalty_op_t *op = ev->data;

    if (op->cmd.op != NULL) {
        ngx_loyalty_redis_cancel(&op->cmd);
    }

    if (op->member.len == 0) {
        op->cache = op->site->program != NULL ? NGX_HTTP_LOYALTY_STALE
                                              : NGX_HTTP_LOYALTY_BYPASS;

    } else if (op->state != NGX_HTTP_LOYALTY_MEMBER_DONE) {
        op->cache = op->stale.len ? NGX_HTTP_LOYALTY_STALE
                                  : NGX_HTTP_LOYALTY_BYPASS;
    }

    ngx_http_loyalty_op_finish(op);
}


static void
ngx_http_loyalty_op_finish(ngx_http_loyalty_op_t *op)
{
    ngx_str_t                   *view;
    ngx_queue_t                 *q;
    ngx_http_loyalty_ctx_t      *ctx;
    const loyalty_view_t        *v;
    ngx_http_loyalty_site_t     *site;
    ngx_http_loyalty_waiter_t   *waiter;

    site = op->site;
    view = &op->view;

    if (op->cache == NGX_HTTP_LOYALTY_STALE) {
        view = &op->stale;
    }

    v = NULL;

    if (site->program != NULL && view->len != 0) {
        v = loyalty_view_open(view->data, view->len);

        if (v != NULL
            && v->program_version != site->program->program->version)
        {
            v = NULL;
        }
    }

    if (v == NULL && op->member.len != 0
        && op->cache == NGX_HTTP_LOYALTY_STALE)
    {
        op->cache = NGX_HTTP_LOYALTY_BYPASS;
    }

    while (!ngx_queue_empty(&op->waiters)) {
        q = ngx_queue_head(&op->waiters);
        ngx_queue_remove(q);

        waiter = ngx_queue_data(q, ngx_http_loyalty_waiter_t, queue);
        ctx = waiter->ctx;
        ctx->resolving = NULL;
        ctx->cache = op->cache;

        if (site->program != NULL) {
            ctx->program = site->program;
            ctx->program->refs++;
        }

        if (v != NULL) {
            (void) ngx_http_loyalty_copy_view(ctx->request, ctx, v,
                                              view->len);
        }

        ngx_post_event(&ctx->resume, &ngx_posted_events);
    }

    ngx_http_loyalty_op_free(op);
}


static void
ngx_http_loyalty_op_free(ngx_http_loyalty_op_t *op)
{
    ngx_rbtree_delete(&ngx_http_loyalty_resolver.ops, &op->node);

    if (op->cmd.op != NULL) {
        ngx_loyalty_redis_cancel(&op->cmd);
    }

    ngx_loyalty_cache_abandon(ngx_http_loyalty_resolver.cache, &op->ticket);

    if (op->queued) {
        ngx_queue_remove(&op->queue);
    }

    if (op->deadline.timer_set) {
        ngx_del_timer(&op->deadline);
    }

    if (op->poll.timer_set) {
        ngx_del_timer(&op->poll);
    }

    if (op->reading) {
        ngx_http_loyalty_site_read(op->site, NULL);
    }

    ngx_http_loyalty_site_unref(op->site);

    ngx_free(op->value.data);
    ngx_free(op->view.data);
    ngx_free(op->stale.data);
    ngx_free(op);
}


static ngx_int_t
ngx_http_loyalty_op_keep(ngx_str_t *to, const void *data, size_t len)
{
    ngx_free(to->data);

    to->len = 0;
    to->data = ngx_alloc(ngx_max(len, 1), ngx_http_loyalty_resolver.log);

    if (to->data == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(to->data, data, len);
    to->len = len;

    return NGX_OK;
}
