/*
 * Test module: the edge's Redis client without the rest of the edge.
 *
 *   redis_client ADDR ...;      in http: the parameters of loyalty_redis
 *   redis_command KEY [N];      in location: sends the request's arguments
 *                               (`?GET&name`) as a command, N times at once;
 *                               KEY is the argument that picks the node
 *   redis_events;               in location: what the client has reported
 *
 * An answer has a line a reply: "+OK", ":1", "$text", "(nil)", "-ERR ...",
 * "[...]", or "declined", "error", "timeout", "lost".
 */


#include "ngx_http_loyalty.h"


typedef struct {
    ngx_loyalty_redis_conf_t      redis;
} ngx_http_redis_client_main_conf_t;


typedef struct {
    ngx_uint_t                    key;
    ngx_uint_t                    n;
} ngx_http_redis_client_loc_conf_t;


typedef struct {
    ngx_http_request_t           *request;
    ngx_loyalty_redis_command_t  *commands;
    ngx_uint_t                    n;
    ngx_uint_t                    left;
    ngx_event_t                   done;
    u_char                       *last;
    u_char                        text[65536];
} ngx_http_redis_client_ctx_t;


static char *ngx_http_redis_client_command(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_redis_client_events(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static void *ngx_http_redis_client_create_main_conf(ngx_conf_t *cf);
static void *ngx_http_redis_client_create_loc_conf(ngx_conf_t *cf);
static ngx_int_t ngx_http_redis_client_init(ngx_conf_t *cf);
static ngx_int_t ngx_http_redis_client_init_process(ngx_cycle_t *cycle);
static void ngx_http_redis_client_exit_process(ngx_cycle_t *cycle);


static ngx_loyalty_redis_t  *ngx_http_redis_client;
static u_char                ngx_http_redis_client_log[65536];
static u_char               *ngx_http_redis_client_last =
                                                 ngx_http_redis_client_log;


static ngx_command_t  ngx_http_redis_client_commands[] = {

    { ngx_string("redis_client"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_1MORE,
      ngx_loyalty_redis_directive,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_http_redis_client_main_conf_t, redis),
      NULL },

    { ngx_string("redis_command"),
      NGX_HTTP_LOC_CONF|NGX_CONF_TAKE12,
      ngx_http_redis_client_command,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("redis_events"),
      NGX_HTTP_LOC_CONF|NGX_CONF_NOARGS,
      ngx_http_redis_client_events,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

      ngx_null_command
};


static ngx_http_module_t  ngx_http_redis_client_module_ctx = {
    NULL,                                   /* preconfiguration */
    ngx_http_redis_client_init,             /* postconfiguration */

    ngx_http_redis_client_create_main_conf, /* create main configuration */
    NULL,                                   /* init main configuration */

    NULL,                                   /* create server configuration */
    NULL,                                   /* merge server configuration */

    ngx_http_redis_client_create_loc_conf,  /* create location configuration */
    NULL                                    /* merge location configuration */
};


ngx_module_t  ngx_http_redis_client_module = {
    NGX_MODULE_V1,
    &ngx_http_redis_client_module_ctx,      /* module context */
    ngx_http_redis_client_commands,         /* module directives */
    NGX_HTTP_MODULE,                        /* module type */
    NULL,                                   /* init master */
    NULL,                                   /* init module */
    ngx_http_redis_client_init_process,     /* init process */
    NULL,                                   /* init thread */
    NULL,                                   /* exit thread */
    ngx_http_redis_client_exit_process,     /* exit process */
    NULL,                                   /* exit master */
    NGX_MODULE_V1_PADDING
};


static ngx_int_t
ngx_http_redis_client_text(ngx_http_request_t *r, u_char *text, size_t len)
{
    ngx_int_t    rc;
    ngx_buf_t   *b;
    ngx_chain_t  out;

    b = ngx_create_temp_buf(r->pool, len + 1);
    if (b == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    b->last = ngx_cpymem(b->last, text, len);
    b->temporary = 0;
    b->memory = len != 0;
    b->last_buf = 1;

    out.buf = b;
    out.next = NULL;

    r->headers_out.status = NGX_HTTP_OK;
    r->headers_out.content_length_n = len;

    rc = ngx_http_send_header(r);
    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    return ngx_http_output_filter(r, &out);
}


static u_char *
ngx_http_redis_client_reply(u_char *p, u_char *end, redisReply *reply)
{
    size_t     i;
    ngx_str_t  str;

    str.data = (u_char *) reply->str;
    str.len = reply->len;

    switch (reply->type) {

    case REDIS_REPLY_STATUS:
        return ngx_slprintf(p, end, "+%V", &str);

    case REDIS_REPLY_ERROR:
        return ngx_slprintf(p, end, "-%V", &str);

    case REDIS_REPLY_STRING:
        return ngx_slprintf(p, end, "$%V", &str);

    case REDIS_REPLY_INTEGER:
        return ngx_slprintf(p, end, ":%L", (int64_t) reply->integer);

    case REDIS_REPLY_NIL:
        return ngx_slprintf(p, end, "(nil)");

    case REDIS_REPLY_ARRAY:
        p = ngx_slprintf(p, end, "[");

        for (i = 0; i < reply->elements; i++) {
            p = ngx_slprintf(p, end, i ? "," : "");
            p = ngx_http_redis_client_reply(p, end, reply->element[i]);
        }

        return ngx_slprintf(p, end, "]");

    default:
        return ngx_slprintf(p, end, "type %d", reply->type);
    }
}


static void
ngx_http_redis_client_replied(ngx_loyalty_redis_command_t *cmd,
    ngx_loyalty_redis_result_e result, redisReply *reply)
{
    ngx_http_redis_client_ctx_t  *ctx = cmd->data;

    u_char  *end;

    end = ctx->text + sizeof(ctx->text);

    switch (result) {

    case NGX_LOYALTY_REDIS_OK:
        ctx->last = ngx_http_redis_client_reply(ctx->last, end, reply);
        ctx->last = ngx_slprintf(ctx->last, end, "\n");
        break;

    case NGX_LOYALTY_REDIS_TIMEOUT:
        ctx->last = ngx_slprintf(ctx->last, end, "timeout\n");
        break;

    case NGX_LOYALTY_REDIS_LOST:
        ctx->last = ngx_slprintf(ctx->last, end, "lost\n");
        break;
    }

    if (--ctx->left == 0) {
        ngx_post_event(&ctx->done, &ngx_posted_events);
    }
}


static void
ngx_http_redis_client_done(ngx_event_t *ev)
{
    ngx_http_redis_client_ctx_t  *ctx = ev->data;

    ngx_connection_t    *c;
    ngx_http_request_t  *r;

    r = ctx->request;
    c = r->connection;

    ngx_http_finalize_request(r, ngx_http_redis_client_text(r, ctx->text,
                                               ctx->last - ctx->text));
    ngx_http_run_posted_requests(c);
}


static void
ngx_http_redis_client_cleanup(void *data)
{
    ngx_http_redis_client_ctx_t  *ctx = data;

    ngx_uint_t  i;

    for (i = 0; i < ctx->n; i++) {
        ngx_loyalty_redis_cancel(&ctx->commands[i]);
    }

    if (ctx->done.posted) {
        ngx_delete_posted_event(&ctx->done);
    }
}


static ngx_int_t
ngx_http_redis_client_handler(ngx_http_request_t *r)
{
    u_char                            *p, *last, *dst, *src;
    ngx_int_t                          rc;
    ngx_str_t                          argv[32];
    ngx_uint_t                         argc, i;
    ngx_http_cleanup_t                *cln;
    ngx_http_redis_client_ctx_t       *ctx;
    ngx_http_redis_client_loc_conf_t  *rlcf;

    rc = ngx_http_discard_request_body(r);
    if (rc != NGX_OK) {
        return rc;
    }

    rlcf = ngx_http_get_module_loc_conf(r, ngx_http_redis_client_module);

    argc = 0;
    last = r->args.data + r->args.len;

    for (p = r->args.data; p <= last && argc < 32; p = src + 1) {
        src = ngx_strlchr(p, last, '&');
        src = src ? src : last;

        argv[argc].data = ngx_pnalloc(r->pool, src - p + 1);
        if (argv[argc].data == NULL) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        dst = argv[argc].data;
        ngx_unescape_uri(&dst, &p, src - p, 0);
        argv[argc].len = dst - argv[argc].data;
        argc++;
    }

    ctx = ngx_pcalloc(r->pool, sizeof(ngx_http_redis_client_ctx_t));
    cln = ngx_http_cleanup_add(r, 0);
    if (ctx == NULL || cln == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ctx->commands = ngx_pcalloc(r->pool, rlcf->n
                                         * sizeof(ngx_loyalty_redis_command_t));
    if (ctx->commands == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    cln->handler = ngx_http_redis_client_cleanup;
    cln->data = ctx;

    ctx->request = r;
    ctx->n = rlcf->n;
    ctx->last = ctx->text;
    ctx->done.handler = ngx_http_redis_client_done;
    ctx->done.data = ctx;
    ctx->done.log = r->connection->log;

    for (i = 0; i < rlcf->n; i++) {
        ctx->commands[i].handler = ngx_http_redis_client_replied;
        ctx->commands[i].data = ctx;

        switch (ngx_loyalty_redis_send(ngx_http_redis_client,
                                       &ctx->commands[i], argc, argv,
                                       rlcf->key))
        {
        case NGX_OK:
            ctx->left++;
            break;

        case NGX_DECLINED:
            ctx->last = ngx_sprintf(ctx->last, "declined\n");
            break;

        default:
            ctx->last = ngx_sprintf(ctx->last, "error\n");
        }
    }

    if (ctx->left == 0) {
        return ngx_http_redis_client_text(r, ctx->text, ctx->last - ctx->text);
    }

    r->read_event_handler = ngx_http_test_reading;
    r->main->count++;

    return NGX_DONE;
}


static ngx_int_t
ngx_http_redis_client_events_handler(ngx_http_request_t *r)
{
    ngx_int_t  rc;

    rc = ngx_http_discard_request_body(r);
    if (rc != NGX_OK) {
        return rc;
    }

    return ngx_http_redis_client_text(r, ngx_http_redis_client_log,
                                      ngx_http_redis_client_last
                                      - ngx_http_redis_client_log);
}


static void
ngx_http_redis_client_event(const char *what, ngx_str_t *text)
{
    static ngx_str_t  none = ngx_null_string;

    ngx_http_redis_client_last = ngx_slprintf(ngx_http_redis_client_last,
                                     ngx_http_redis_client_log
                                     + sizeof(ngx_http_redis_client_log),
                                     "%s%V\n", what, text ? text : &none);
}


static void
ngx_http_redis_client_connected(void *data, ngx_str_t *run_id)
{
    ngx_http_redis_client_event("connected ", run_id);
}


static void
ngx_http_redis_client_invalidate(void *data, ngx_str_t *key)
{
    ngx_http_redis_client_event("invalidate ", key);
}


static void
ngx_http_redis_client_flush(void *data)
{
    ngx_http_redis_client_event("flush", NULL);
}


static void
ngx_http_redis_client_up(void *data)
{
    ngx_http_redis_client_event("up", NULL);
}


static void
ngx_http_redis_client_down(void *data)
{
    ngx_http_redis_client_event("down", NULL);
}


static ngx_int_t
ngx_http_redis_client_init_process(ngx_cycle_t *cycle)
{
    ngx_loyalty_redis_tracker_t         tracker;
    ngx_http_redis_client_main_conf_t  *rmcf;

    rmcf = ngx_http_cycle_get_module_main_conf(cycle,
                                               ngx_http_redis_client_module);

    if (rmcf == NULL || rmcf->redis.addrs.nelts == 0) {
        return NGX_OK;
    }

    ngx_http_redis_client = ngx_loyalty_redis_create(cycle, &rmcf->redis);
    if (ngx_http_redis_client == NULL) {
        return NGX_ERROR;
    }

    ngx_loyalty_redis_on_connect(ngx_http_redis_client,
                                 ngx_http_redis_client_connected, NULL);

    tracker.invalidate = ngx_http_redis_client_invalidate;
    tracker.flush = ngx_http_redis_client_flush;
    tracker.up = ngx_http_redis_client_up;
    tracker.down = ngx_http_redis_client_down;
    tracker.data = NULL;

    return ngx_loyalty_redis_track(ngx_http_redis_client, &tracker);
}


static void
ngx_http_redis_client_exit_process(ngx_cycle_t *cycle)
{
    if (ngx_http_redis_client != NULL) {
        ngx_loyalty_redis_close(ngx_http_redis_client);
        ngx_http_redis_client = NULL;
    }
}


static char *
ngx_http_redis_client_command(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_redis_client_loc_conf_t  *rlcf = conf;

    ngx_str_t                 *value;
    ngx_http_core_loc_conf_t  *clcf;

    value = cf->args->elts;
    rlcf->key = ngx_atoi(value[1].data, value[1].len);
    rlcf->n = cf->args->nelts == 3 ? ngx_atoi(value[2].data, value[2].len) : 1;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);
    clcf->handler = ngx_http_redis_client_handler;

    return NGX_CONF_OK;
}


static char *
ngx_http_redis_client_events(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_core_loc_conf_t  *clcf;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);
    clcf->handler = ngx_http_redis_client_events_handler;

    return NGX_CONF_OK;
}


static void *
ngx_http_redis_client_create_main_conf(ngx_conf_t *cf)
{
    return ngx_pcalloc(cf->pool, sizeof(ngx_http_redis_client_main_conf_t));
}


static void *
ngx_http_redis_client_create_loc_conf(ngx_conf_t *cf)
{
    return ngx_pcalloc(cf->pool, sizeof(ngx_http_redis_client_loc_conf_t));
}


static ngx_int_t
ngx_http_redis_client_init(ngx_conf_t *cf)
{
    ngx_http_redis_client_main_conf_t  *rmcf;

    rmcf = ngx_http_conf_get_module_main_conf(cf,
                                              ngx_http_redis_client_module);

    return ngx_loyalty_redis_init_conf(cf, &rmcf->redis);
}
