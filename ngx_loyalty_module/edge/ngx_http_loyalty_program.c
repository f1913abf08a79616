/*
 * Programs: their bytes are shared in the zone, each worker compiles them in
 * a thread and keeps the last good one of a site.
 *
 *     zone: site's entry ── names ──► text (chunks) ── thread ──► program
 *
 * The entry holds the name of the text alone, which is a hash of the bytes:
 * a program that was read again but is the same is not compiled again.  What
 * the merchant has changed shows at the next request, which waits for the
 * compiler as it would for Redis; past its timeout, and when the new program
 * turns out to be invalid, the last good one is used.  A request holds a
 * reference to the program it began with.
 */


#include "ngx_http_loyalty_resolve.h"


/* While no invalidations come, a program is good for so long, in ms. */
#define NGX_HTTP_LOYALTY_PROGRAM_VALID  1000


struct ngx_http_loyalty_compile_s {
    ngx_thread_task_t            task;
    ngx_http_loyalty_site_t     *site;
    ngx_loyalty_cache_text_t     text;
    loyalty_arena_t              arena;
    loyalty_problems_t           problems;
    loyalty_status_t             status;
    loyalty_program_t           *program;
    u_char                       bytes[];
};


static void ngx_http_loyalty_site_delete(ngx_http_loyalty_site_t *site);
static void ngx_http_loyalty_site_wake(ngx_http_loyalty_site_t *site,
    ngx_uint_t failed);
static void ngx_http_loyalty_site_away(ngx_http_loyalty_site_t *site);
static ngx_int_t ngx_http_loyalty_site_compile(ngx_http_loyalty_site_t *site,
    ngx_loyalty_cache_text_t *text);
static ngx_int_t ngx_http_loyalty_compile(ngx_http_loyalty_site_t *site,
    ngx_loyalty_cache_text_t *text, u_char *bytes);
static void ngx_http_loyalty_compile_thread(void *data, ngx_log_t *log);
static void ngx_http_loyalty_compile_done(ngx_event_t *ev);
static void ngx_http_loyalty_compile_log(ngx_http_loyalty_compile_t *compile);
static void ngx_http_loyalty_compile_free(ngx_http_loyalty_compile_t *compile);
static void ngx_http_loyalty_program_set(ngx_http_loyalty_site_t *site,
    loyalty_program_t *program);


ngx_http_loyalty_site_t *
ngx_http_loyalty_site_find(ngx_str_t *name)
{
    ngx_http_loyalty_site_t  *site;

    site = ngx_http_loyalty_resolver.site;

    if (site != NULL
        && site->sn.str.len == name->len
        && ngx_memcmp(site->sn.str.data, name->data, name->len) == 0)
    {
        return site;
    }

    site = (ngx_http_loyalty_site_t *)
               ngx_str_rbtree_lookup(&ngx_http_loyalty_resolver.sites, name,
                                     ngx_crc32_short(name->data, name->len));

    if (site != NULL) {
        ngx_http_loyalty_resolver.site = site;
    }

    return site;
}


ngx_http_loyalty_site_t *
ngx_http_loyalty_site_get(ngx_str_t *name)
{
    ngx_str_t                 none;
    ngx_http_loyalty_site_t  *site;

    site = ngx_http_loyalty_site_find(name);

    if (site != NULL) {
        site->refs++;
        return site;
    }

    site = ngx_calloc(sizeof(ngx_http_loyalty_site_t) + name->len,
                      ngx_http_loyalty_resolver.log);
    if (site == NULL) {
        return NULL;
    }

    ngx_str_null(&none);

    if (ngx_loyalty_cache_hash(ngx_http_loyalty_resolver.cache,
                               NGX_LOYALTY_CACHE_PROGRAM, name, &none,
                               &site->hash)
        != NGX_OK)
    {
        ngx_free(site);
        return NULL;
    }

    site->sn.str.len = name->len;
    site->sn.str.data = (u_char *) (site + 1);
    ngx_memcpy(site->sn.str.data, name->data, name->len);
    site->sn.node.key = ngx_crc32_short(name->data, name->len);
    site->refs = 1;
    ngx_queue_init(&site->waiting);

    ngx_rbtree_insert(&ngx_http_loyalty_resolver.sites, &site->sn.node);

    return site;
}


void
ngx_http_loyalty_site_unref(ngx_http_loyalty_site_t *site)
{
    site->refs--;

    if (site->refs == 0 && !site->known && site->compile == NULL) {
        ngx_http_loyalty_site_delete(site);
    }
}


static void
ngx_http_loyalty_site_delete(ngx_http_loyalty_site_t *site)
{
    if (ngx_http_loyalty_resolver.site == site) {
        ngx_http_loyalty_resolver.site = NULL;
    }

    ngx_rbtree_delete(&ngx_http_loyalty_resolver.sites, &site->sn.node);
    ngx_http_loyalty_program_set(site, NULL);
    ngx_free(site);
}


/* In exit_process, after the threads have been joined. */

void
ngx_http_loyalty_sites_free(void)
{
    ngx_rbtree_t             *sites;
    ngx_http_loyalty_site_t  *site;

    sites = &ngx_http_loyalty_resolver.sites;

    while (sites->root != sites->sentinel) {
        site = (ngx_http_loyalty_site_t *) sites->root;

        if (site->compile != NULL) {
            loyalty_program_free(site->compile->program);
            ngx_http_loyalty_compile_free(site->compile);
        }

        ngx_http_loyalty_site_delete(site);
    }
}


ngx_uint_t
ngx_http_loyalty_site_fresh(ngx_http_loyalty_site_t *site)
{
    ngx_loyalty_cache_t        *cache;
    ngx_loyalty_cache_text_t   *text;
    ngx_loyalty_record_info_t   entry;

    static uint64_t  data[NGX_LOYALTY_CACHE_DATA_MAX / sizeof(uint64_t)];

    if (!site->known) {
        return 0;
    }

    cache = ngx_http_loyalty_resolver.cache;

    if (ngx_loyalty_cache_again(cache, &site->entry)
        == NGX_LOYALTY_CACHE_HIT)
    {
        return 1;
    }

    switch (ngx_loyalty_cache_read(cache, &site->hash, data, &entry)) {

    case NGX_LOYALTY_CACHE_HIT:
        break;

    case NGX_LOYALTY_CACHE_STALE:

        if (ngx_current_msec - site->read < NGX_HTTP_LOYALTY_PROGRAM_VALID) {
            break;
        }

        return 0;

    default:
        return 0;
    }

    text = (ngx_loyalty_cache_text_t *) data;

    if (ngx_memcmp(text, &site->text, sizeof(ngx_loyalty_cache_text_t)) != 0) {
        return 0;
    }

    site->entry = entry;

    return 1;
}


ngx_int_t
ngx_http_loyalty_site_check(ngx_http_loyalty_site_t *site, ngx_msec_t lease)
{
    size_t                     len;
    ngx_uint_t                 refresh;
    ngx_loyalty_cache_t       *cache;
    ngx_loyalty_cache_text_t  *text;

    static uint64_t  data[NGX_LOYALTY_CACHE_DATA_MAX / sizeof(uint64_t)];

    if (ngx_http_loyalty_site_fresh(site)) {
        return NGX_OK;
    }

    if (site->state == NGX_HTTP_LOYALTY_SITE_READ
        || (site->state == NGX_HTTP_LOYALTY_SITE_POLL
            && site->polled == ngx_current_msec))
    {
        return NGX_AGAIN;
    }

    cache = ngx_http_loyalty_resolver.cache;
    site->state = NGX_HTTP_LOYALTY_SITE_IDLE;
    refresh = 0;

    switch (ngx_loyalty_cache_get(cache, &site->hash, data, &len)) {

    case NGX_LOYALTY_CACHE_NEGATIVE:
        site->known = 0;
        ngx_http_loyalty_program_set(site, NULL);
        return NGX_OK;

    case NGX_LOYALTY_CACHE_HIT:

        if (site->compile != NULL) {
            return NGX_AGAIN;
        }

        text = (ngx_loyalty_cache_text_t *) data;

        if (ngx_http_loyalty_site_compile(site, text) == NGX_OK) {
            return NGX_AGAIN;
        }

        /* evicted, or too large for this zone */

        refresh = 1;
        break;

    default:
        break;
    }

    switch (ngx_loyalty_cache_begin(cache, &site->hash, lease, refresh,
                                    &site->ticket))
    {
    case NGX_AGAIN:
    case NGX_DONE:
        site->state = NGX_HTTP_LOYALTY_SITE_POLL;
        site->polled = ngx_current_msec;
        return NGX_AGAIN;

    default:
        site->state = NGX_HTTP_LOYALTY_SITE_READ;
        return NGX_DECLINED;
    }
}


void
ngx_http_loyalty_site_read(ngx_http_loyalty_site_t *site, redisReply *reply)
{
    ngx_str_t                  bytes;
    ngx_loyalty_cache_t       *cache;
    ngx_loyalty_cache_text_t   text;

    cache = ngx_http_loyalty_resolver.cache;
    site->state = NGX_HTTP_LOYALTY_SITE_IDLE;

    if (reply != NULL && ngx_http_loyalty_reply_is_bad(reply)) {
        ngx_loyalty_metric(BAD_PROGRAMS)++;

    } else if (reply != NULL && reply->type == REDIS_REPLY_STRING
               && (reply->len == 0
                   || reply->len > LOYALTY_PROGRAM_SIZE_MAX))
    {
        ngx_loyalty_metric(BAD_PROGRAMS)++;

    } else if (reply != NULL && reply->type == REDIS_REPLY_STRING) {

        bytes.data = (u_char *) reply->str;
        bytes.len = reply->len;

        ngx_loyalty_cache_text_put(cache, &bytes, &text);
        (void) ngx_loyalty_cache_store(cache, &site->ticket, &text,
                                       sizeof(ngx_loyalty_cache_text_t), 0);

        site->read = ngx_current_msec;

        if (site->compile == NULL
            && (!site->known
                || ngx_memcmp(&text, &site->text,
                              sizeof(ngx_loyalty_cache_text_t))
                   != 0))
        {
            (void) ngx_http_loyalty_compile(site, &text, bytes.data);
        }

        if (site->compile == NULL) {
            ngx_http_loyalty_site_wake(site, 0);
        }

        return;

    } else if (reply == NULL || reply->type != REDIS_REPLY_NIL) {
        ngx_loyalty_cache_abandon(cache, &site->ticket);
        ngx_http_loyalty_site_away(site);
        return;
    }

    /* no such site, or nothing that could be one */

    (void) ngx_loyalty_cache_store(cache, &site->ticket, NULL, 0, 0);

    site->known = 0;
    ngx_http_loyalty_program_set(site, NULL);
    ngx_http_loyalty_site_wake(site, 0);
}


/* The last good one goes on; a new worker takes the zone's. */

static void
ngx_http_loyalty_site_away(ngx_http_loyalty_site_t *site)
{
    size_t  len;

    static uint64_t  data[NGX_LOYALTY_CACHE_DATA_MAX / sizeof(uint64_t)];

    if (!site->known && site->compile == NULL
        && ngx_loyalty_cache_get(ngx_http_loyalty_resolver.cache,
                                 &site->hash, data, &len)
           == NGX_LOYALTY_CACHE_STALE)
    {
        (void) ngx_http_loyalty_site_compile(site,
                                          (ngx_loyalty_cache_text_t *) data);
    }

    if (site->compile == NULL || site->program != NULL) {
        ngx_http_loyalty_site_wake(site, 1);
    }
}


/* Compiles what the zone has; NGX_DECLINED: it has not. */

static ngx_int_t
ngx_http_loyalty_site_compile(ngx_http_loyalty_site_t *site,
    ngx_loyalty_cache_text_t *text)
{
    u_char                    *bytes;
    ngx_int_t                  rc;
    ngx_loyalty_cache_text_t   name;

    name = *text;

    bytes = ngx_alloc(name.len, ngx_http_loyalty_resolver.log);
    if (bytes == NULL) {
        return NGX_DECLINED;
    }

    rc = ngx_loyalty_cache_text_get(ngx_http_loyalty_resolver.cache, &name,
                                    bytes);
    if (rc == NGX_OK) {
        rc = ngx_http_loyalty_compile(site, &name, bytes);
    }

    ngx_free(bytes);

    return rc == NGX_OK ? NGX_OK : NGX_DECLINED;
}


ngx_uint_t
ngx_http_loyalty_reply_is_bad(redisReply *reply)
{
    if (reply->type == REDIS_REPLY_ERROR) {
        return reply->len >= sizeof("WRONGTYPE") - 1
               && ngx_strncmp(reply->str, "WRONGTYPE", sizeof("WRONGTYPE") - 1)
                  == 0;
    }

    return reply->type != REDIS_REPLY_STRING && reply->type != REDIS_REPLY_NIL;
}


static void
ngx_http_loyalty_site_wake(ngx_http_loyalty_site_t *site, ngx_uint_t failed)
{
    ngx_queue_t  *q, waiting;

    if (ngx_queue_empty(&site->waiting)) {
        return;
    }

    /* they may come to wait again, and the last to go may free the site */

    site->refs++;

    ngx_queue_init(&waiting);
    ngx_queue_add(&waiting, &site->waiting);
    ngx_queue_init(&site->waiting);

    while (!ngx_queue_empty(&waiting)) {
        q = ngx_queue_head(&waiting);
        ngx_queue_remove(q);
        ngx_http_loyalty_op_program(q, failed);
    }

    ngx_http_loyalty_site_unref(site);
}


static ngx_int_t
ngx_http_loyalty_compile(ngx_http_loyalty_site_t *site,
    ngx_loyalty_cache_text_t *text, u_char *bytes)
{
    ngx_http_loyalty_compile_t  *compile;

    compile = ngx_calloc(sizeof(ngx_http_loyalty_compile_t) + text->len,
                         ngx_http_loyalty_resolver.log);
    if (compile == NULL) {
        return NGX_ERROR;
    }

    compile->site = site;
    compile->text = *text;
    ngx_memcpy(compile->bytes, bytes, text->len);

    compile->task.ctx = compile;
    compile->task.handler = ngx_http_loyalty_compile_thread;
    compile->task.event.handler = ngx_http_loyalty_compile_done;
    compile->task.event.data = compile;

    if (ngx_thread_task_post(ngx_http_loyalty_resolver.conf->compiler,
                             &compile->task)
        != NGX_OK)
    {
        ngx_free(compile);
        return NGX_ERROR;
    }

    site->compile = compile;

    return NGX_OK;
}


static void
ngx_http_loyalty_compile_thread(void *data, ngx_log_t *log)
{
    ngx_http_loyalty_compile_t *compile = data;

    loyalty_arena_init(&compile->arena, NGX_HTTP_LOYALTY_PROBLEMS_SIZE);
    loyalty_problems_init(&compile->problems, &compile->arena);

    compile->status = loyalty_program_parse((char *) compile->bytes,
                                            compile->text.len,
                                            &compile->problems,
                                            &compile->program);
}


static void
ngx_http_loyalty_compile_done(ngx_event_t *ev)
{
    ngx_http_loyalty_compile_t *compile = ev->data;

    ngx_http_loyalty_site_t  *site;

    site = compile->site;
    site->compile = NULL;
    site->known = 1;
    site->text = compile->text;
    site->entry.seen.sequence = NULL;

    if (compile->status == LOYALTY_OK) {
        ngx_http_loyalty_program_set(site, compile->program);
        ngx_loyalty_metric(PROGRAMS)++;

    } else {
        ngx_http_loyalty_compile_log(compile);
        ngx_loyalty_metric(BAD_PROGRAMS)++;
    }

    ngx_http_loyalty_compile_free(compile);

    ngx_http_loyalty_site_wake(site, 0);
}


static void
ngx_http_loyalty_compile_log(ngx_http_loyalty_compile_t *compile)
{
    loyalty_problem_t  *problem, none;

    problem = compile->problems.list;

    if (compile->problems.count == 0) {
        none.pointer = loyalty_str_null;
        none.message = loyalty_str_from(loyalty_status_name(compile->status));
        problem = &none;
    }

    ngx_log_error(NGX_LOG_ERR, ngx_http_loyalty_resolver.log, 0,
                  "loyalty program of site \"%V\" is not valid, %s: "
                  "at \"%*s\": %*s; %uz problems in all",
                  &compile->site->sn.str,
                  compile->site->program ? "the one before it stays in use"
                                         : "its shoppers are guests",
                  problem->pointer.len, problem->pointer.data,
                  problem->message.len, problem->message.data,
                  compile->problems.count);
}


static void
ngx_http_loyalty_compile_free(ngx_http_loyalty_compile_t *compile)
{
    loyalty_arena_free(&compile->arena);
    ngx_free(compile);
}


static void
ngx_http_loyalty_program_set(ngx_http_loyalty_site_t *site,
    loyalty_program_t *program)
{
    ngx_http_loyalty_program_t  *p;

    static ngx_uint_t  serial;

    p = NULL;

    if (program != NULL) {
        p = ngx_alloc(sizeof(ngx_http_loyalty_program_t),
                      ngx_http_loyalty_resolver.log);
        if (p == NULL) {
            loyalty_program_free(program);
            return;
        }

        p->program = program;
        p->refs = 1;
        p->serial = ++serial;
    }

    if (site->program != NULL) {
        ngx_http_loyalty_program_release(site->program);
    }

    site->program = p;
}


void
ngx_http_loyalty_program_release(ngx_http_loyalty_program_t *program)
{
    if (--program->refs == 0) {
        loyalty_program_free(program->program);
        ngx_free(program);
    }
}
