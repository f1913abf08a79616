/*
 * Has Redis lost what it took?
 *
 * It may have when another server answers (another run_id: a restart, a
 * failover), or when a stream's last id, or its count of entries ever added,
 * is below what this worker saw (a flush).  Then all that the journal still
 * has is sent again.
 */


#include "ngx_loyalty_shipper.h"


#define NGX_LOYALTY_WATCH_INTERVAL  5000   /* ms */
#define NGX_LOYALTY_WATCH_REFILL    60     /* s */


typedef struct {
    uint64_t                      ms;
    uint64_t                      seq;
} ngx_loyalty_stream_id_t;


typedef struct {
    ngx_str_node_t                node;
    ngx_loyalty_journal_t        *journal;
    ngx_loyalty_redis_command_t   cmd;
    ngx_loyalty_stream_id_t       last;
    ngx_loyalty_stream_id_t       asked;     /* `last` when it was asked */
    long long                     added;
    ngx_uint_t                    asking;
} ngx_loyalty_site_t;


typedef struct {
    ngx_rbtree_t                  tree;
    ngx_rbtree_node_t             sentinel;
    ngx_uint_t                    n;
    ngx_event_t                   timer;
    ngx_event_t                   wake;
    ngx_str_t                     complaint;
    ngx_uint_t                    complained;
} ngx_loyalty_watch_t;


static void ngx_loyalty_watch_connected(void *data, ngx_str_t *run_id);
static void ngx_loyalty_watch_wake(ngx_event_t *ev);
static void ngx_loyalty_watch_timer(ngx_event_t *ev);
static void ngx_loyalty_watch_ask(ngx_loyalty_site_t *site);
static void ngx_loyalty_watch_replied(ngx_loyalty_redis_command_t *cmd,
    ngx_loyalty_redis_result_e result, redisReply *reply);
static void ngx_loyalty_watch_lost(ngx_loyalty_site_t *site);
static ngx_int_t ngx_loyalty_stream_id(ngx_loyalty_stream_id_t *id, char *text,
    size_t len);
static ngx_int_t ngx_loyalty_stream_id_cmp(ngx_loyalty_stream_id_t *a,
    ngx_loyalty_stream_id_t *b);


ngx_int_t
ngx_loyalty_shipper_start(ngx_loyalty_journal_t *journal)
{
    ngx_loyalty_watch_t  *watch;

    watch = ngx_pcalloc(journal->pool, sizeof(ngx_loyalty_watch_t));
    if (watch == NULL) {
        return NGX_ERROR;
    }

    ngx_rbtree_init(&watch->tree, &watch->sentinel,
                    ngx_str_rbtree_insert_value);

    watch->timer.handler = ngx_loyalty_watch_timer;
    watch->timer.data = journal;
    watch->timer.log = journal->log;
    watch->timer.cancelable = 1;

    ngx_add_timer(&watch->timer, NGX_LOYALTY_WATCH_INTERVAL);

    watch->wake.handler = ngx_loyalty_watch_wake;
    watch->wake.data = journal;
    watch->wake.log = journal->log;

    journal->watch = watch;

    ngx_loyalty_redis_on_connect(journal->redis, ngx_loyalty_watch_connected,
                                 journal);

    return NGX_OK;
}


/* A run_id is 40 hex digits; the first 16 tell one from another. */

static void
ngx_loyalty_watch_connected(void *data, ngx_str_t *run_id)
{
    ngx_loyalty_journal_t *journal = data;

    u_char                      hex[17];
    uint64_t                    server;
    ngx_uint_t                  i, again;
    ngx_queue_t                *q;
    ngx_loyalty_watch_t        *watch;
    ngx_loyalty_journal_set_t  *set;

    watch = journal->watch;

    (void) ngx_cpystrn(hex, run_id->data, ngx_min(run_id->len + 1, 17));
    server = strtoull((char *) hex, NULL, 16);

    for (i = 0; i < journal->nservers && journal->servers[i] != server; i++) {
        /* void */
    }

    if (i == journal->nservers) {

        if (journal->nservers == journal->servers_max) {
            journal->nservers--;
            ngx_memmove(journal->servers, journal->servers + 1,
                        journal->nservers * sizeof(uint64_t));
        }

        journal->servers[journal->nservers++] = server;
    }

    again = 0;

    for (q = ngx_queue_head(&journal->sets);
         q != ngx_queue_sentinel(&journal->sets);
         q = ngx_queue_next(q))
    {
        set = ngx_queue_data(q, ngx_loyalty_journal_set_t, queue);

        if (loyalty_journal_cursor_renew(&set->cursor, journal->servers,
                                         journal->nservers))
        {
            ngx_loyalty_shipper_rewind(set);
            again = 1;
        }

        set->dirty = 1;
    }

    /* The client is not ready yet. */

    ngx_post_event(&watch->wake, &ngx_posted_events);

    if (again) {
        journal->emptied = ngx_time();

        ngx_log_error(NGX_LOG_WARN, journal->log, 0,
                      "Redis runs as \"%V\" now and may have lost orders, "
                      "the journal sends again what it has", run_id);
    }
}


static void
ngx_loyalty_watch_wake(ngx_event_t *ev)
{
    ngx_queue_t            *q;
    ngx_loyalty_journal_t  *journal;

    journal = ev->data;

    for (q = ngx_queue_head(&journal->sets);
         q != ngx_queue_sentinel(&journal->sets);
         q = ngx_queue_next(q))
    {
        ngx_loyalty_shipper_wake(ngx_queue_data(q, ngx_loyalty_journal_set_t,
                                                queue));
    }
}


ngx_uint_t
ngx_loyalty_journal_refilling(ngx_loyalty_journal_t *journal)
{
    /* Another worker may have heard from Redis before us. */

    return !ngx_loyalty_redis_up(journal->redis)
           || (journal->emptied != 0
               && ngx_time() - journal->emptied < NGX_LOYALTY_WATCH_REFILL);
}


ngx_uint_t
ngx_loyalty_shipper_taken(ngx_loyalty_journal_t *journal,
    ngx_loyalty_redis_result_e result, redisReply *reply)
{
    ngx_loyalty_watch_t  *watch;

    watch = journal->watch;

    if (result != NGX_LOYALTY_REDIS_OK) {
        return 0;
    }

    if (reply->type == REDIS_REPLY_STRING) {

        if (watch->complained) {
            watch->complained = 0;

            ngx_log_error(NGX_LOG_NOTICE, journal->log, 0,
                          "Redis takes orders again");
        }

        return 1;
    }

    if (!watch->complained) {
        watch->complained = 1;

        ngx_log_error(NGX_LOG_ERR, journal->log, 0,
                      "Redis does not take orders, the journal keeps them: "
                      "\"%*s\"",
                      (reply->type == REDIS_REPLY_ERROR) ? reply->len : 0,
                      reply->str);
    }

    return 0;
}


static ngx_loyalty_site_t *
ngx_loyalty_watch_site(ngx_loyalty_journal_t *journal, loyalty_str_t *name)
{
    uint32_t              hash;
    ngx_str_t             key;
    ngx_loyalty_site_t   *site;
    ngx_loyalty_watch_t  *watch;

    watch = journal->watch;

    key.len = name->len;
    key.data = (u_char *) name->data;
    hash = ngx_crc32_short(key.data, key.len);

    site = (ngx_loyalty_site_t *) ngx_str_rbtree_lookup(&watch->tree, &key,
                                                        hash);
    if (site != NULL || watch->n == LOYALTY_SHIP_SITES_MAX) {
        return site;
    }

    site = ngx_pcalloc(journal->pool, sizeof(ngx_loyalty_site_t));
    if (site == NULL) {
        return NULL;
    }

    site->node.str.data = ngx_pstrdup(journal->pool, &key);
    if (site->node.str.data == NULL) {
        return NULL;
    }

    site->node.str.len = key.len;
    site->node.node.key = hash;
    site->journal = journal;

    ngx_rbtree_insert(&watch->tree, &site->node.node);
    watch->n++;

    return site;
}


void
ngx_loyalty_shipper_saw(ngx_loyalty_journal_t *journal, loyalty_str_t *name,
    char *text, size_t len)
{
    ngx_loyalty_site_t       *site;
    ngx_loyalty_stream_id_t   id;

    site = ngx_loyalty_watch_site(journal, name);

    if (site != NULL && ngx_loyalty_stream_id(&id, text, len) == NGX_OK
        && ngx_loyalty_stream_id_cmp(&id, &site->last) > 0)
    {
        site->last = id;
    }
}


static void
ngx_loyalty_watch_timer(ngx_event_t *ev)
{
    ngx_rbtree_node_t      *node;
    ngx_loyalty_watch_t    *watch;
    ngx_loyalty_journal_t  *journal;

    journal = ev->data;
    watch = journal->watch;

    ngx_add_timer(&watch->timer, NGX_LOYALTY_WATCH_INTERVAL);

    if (watch->n == 0 || !ngx_loyalty_redis_up(journal->redis)) {
        return;
    }

    for (node = ngx_rbtree_min(watch->tree.root, &watch->sentinel);
         node != NULL;
         node = ngx_rbtree_next(&watch->tree, node))
    {
        ngx_loyalty_watch_ask((ngx_loyalty_site_t *) node);
    }
}


static void
ngx_loyalty_watch_ask(ngx_loyalty_site_t *site)
{
    char           key[LOYALTY_KEY_MAX];
    ngx_str_t      argv[3];
    loyalty_str_t  name;

    if (site->asking || site->last.ms == 0) {
        return;
    }

    name.data = (char *) site->node.str.data;
    name.len = site->node.str.len;

    ngx_str_set(&argv[0], "XINFO");
    ngx_str_set(&argv[1], "STREAM");
    argv[2].data = (u_char *) key;
    argv[2].len = loyalty_key(key, site->journal->prefix, "s", name,
                              loyalty_str("orders"));

    site->cmd.handler = ngx_loyalty_watch_replied;
    site->cmd.data = site;
    site->asked = site->last;

    if (ngx_loyalty_redis_send(site->journal->redis, &site->cmd, 3, argv, 2)
        == NGX_OK)
    {
        site->asking = 1;
    }
}


static void
ngx_loyalty_watch_replied(ngx_loyalty_redis_command_t *cmd,
    ngx_loyalty_redis_result_e result, redisReply *reply)
{
    size_t                    i;
    long long                 added;
    redisReply               *name, *value;
    ngx_loyalty_site_t       *site;
    ngx_loyalty_stream_id_t   id;

    site = cmd->data;
    site->asking = 0;

    if (result != NGX_LOYALTY_REDIS_OK) {
        return;
    }

    if (reply->type == REDIS_REPLY_ERROR) {
        if (ngx_strstr(reply->str, "no such key") != NULL) {
            ngx_loyalty_watch_lost(site);
        }

        return;
    }

    if (reply->type != REDIS_REPLY_ARRAY) {
        return;
    }

    id = site->asked;
    added = site->added;

    for (i = 0; i + 1 < reply->elements; i += 2) {
        name = reply->element[i];
        value = reply->element[i + 1];

        if (name->type != REDIS_REPLY_STRING
            && name->type != REDIS_REPLY_STATUS)
        {
            return;
        }

        if (value->type == REDIS_REPLY_STRING
            && ngx_strcmp(name->str, "last-generated-id") == 0)
        {
            (void) ngx_loyalty_stream_id(&id, value->str, value->len);

        } else if (value->type == REDIS_REPLY_INTEGER
                   && ngx_strcmp(name->str, "entries-added") == 0)
        {
            added = value->integer;
        }
    }

    if (ngx_loyalty_stream_id_cmp(&id, &site->asked) < 0
        || added < site->added)
    {
        ngx_loyalty_watch_lost(site);
        return;
    }

    site->added = added;
}


static void
ngx_loyalty_watch_lost(ngx_loyalty_site_t *site)
{
    ngx_queue_t                *q;
    ngx_loyalty_journal_t      *journal;
    ngx_loyalty_journal_set_t  *set;

    journal = site->journal;

    site->last.ms = 0;
    site->last.seq = 0;
    site->added = 0;

    ngx_log_error(NGX_LOG_WARN, journal->log, 0,
                  "Redis has lost orders of site \"%V\", the journal sends "
                  "again what it has", &site->node.str);

    /* Sets that nobody looks after now follow with the next round. */

    journal->lost = 1;
    journal->emptied = ngx_time();

    for (q = ngx_queue_head(&journal->sets);
         q != ngx_queue_sentinel(&journal->sets);
         q = ngx_queue_next(q))
    {
        set = ngx_queue_data(q, ngx_loyalty_journal_set_t, queue);

        loyalty_journal_cursor_reset(&set->cursor);
        ngx_loyalty_shipper_rewind(set);
        ngx_loyalty_shipper_wake(set);
    }
}


/* "1700000000000-3" */

static ngx_int_t
ngx_loyalty_stream_id(ngx_loyalty_stream_id_t *id, char *text, size_t len)
{
    off_t    ms, seq;
    u_char  *p, *last, *dash;

    p = (u_char *) text;
    last = p + len;

    dash = ngx_strlchr(p, last, '-');
    if (dash == NULL) {
        return NGX_ERROR;
    }

    ms = ngx_atoof(p, dash - p);
    seq = ngx_atoof(dash + 1, last - dash - 1);

    if (ms == NGX_ERROR || seq == NGX_ERROR) {
        return NGX_ERROR;
    }

    id->ms = ms;
    id->seq = seq;

    return NGX_OK;
}


static ngx_int_t
ngx_loyalty_stream_id_cmp(ngx_loyalty_stream_id_t *a,
    ngx_loyalty_stream_id_t *b)
{
    if (a->ms != b->ms) {
        return (a->ms > b->ms) ? 1 : -1;
    }

    return (a->seq > b->seq) - (a->seq < b->seq);
}
