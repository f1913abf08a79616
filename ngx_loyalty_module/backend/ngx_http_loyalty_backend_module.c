/*
 * The back-end module: `loyalty_backend` serves the API and runs the jobs,
 * all blocking work in thread pools.
 */


#include "ngx_http_loyalty_backend.h"

#include <curl/curl.h>


#define NGX_HTTP_LOYALTY_API_THREADS   8
#define NGX_HTTP_LOYALTY_JOBS_THREADS  6

/* A client waits this long for Redis, a transaction with its fsync longer. */
#define NGX_HTTP_LOYALTY_API_TIMEOUT   2000
#define NGX_HTTP_LOYALTY_JOBS_TIMEOUT  5000

/* Requests a second of one token, session or address: a loop that has gone
 * wild, not a busy shop. */
#define NGX_HTTP_LOYALTY_API_RATE      10000
#define NGX_HTTP_LOYALTY_API_RATE_MAX  1000000

#define NGX_HTTP_LOYALTY_CONNECT_MIN   200
#define NGX_HTTP_LOYALTY_CONNECT_MAX   900


static char *ngx_http_loyalty_backend(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static ngx_int_t ngx_http_loyalty_backend_parameter(ngx_conf_t *cf,
    ngx_http_loyalty_backend_main_conf_t *bmcf, ngx_str_t *value);
static ngx_int_t ngx_http_loyalty_backend_order_post(ngx_conf_t *cf,
    ngx_http_loyalty_backend_main_conf_t *bmcf, ngx_str_t *value);
static void *ngx_http_loyalty_backend_create_main_conf(ngx_conf_t *cf);
static char *ngx_http_loyalty_backend_init_main_conf(ngx_conf_t *cf,
    void *conf);
static ngx_int_t ngx_http_loyalty_backend_store(ngx_conf_t *cf,
    ngx_loyalty_redis_conf_t *redis, loyalty_store_conf_t *store);
static ngx_int_t ngx_http_loyalty_backend_file(ngx_conf_t *cf,
    ngx_str_t *name, const char **file);
static bool ngx_http_loyalty_backend_terminating(void);
static bool ngx_http_loyalty_backend_exiting(void);
static ngx_int_t ngx_http_loyalty_backend_init_process(ngx_cycle_t *cycle);
static void ngx_http_loyalty_backend_exit_process(ngx_cycle_t *cycle);


static ngx_command_t  ngx_http_loyalty_backend_commands[] = {

    { ngx_string("loyalty_backend"),
      NGX_HTTP_LOC_CONF|NGX_CONF_ANY,
      ngx_http_loyalty_backend,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("loyalty_delivery"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE12,
      ngx_http_loyalty_delivery,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

      ngx_null_command
};


static ngx_http_module_t  ngx_http_loyalty_backend_module_ctx = {
    NULL,                                      /* preconfiguration */
    NULL,                                      /* postconfiguration */

    ngx_http_loyalty_backend_create_main_conf, /* create main configuration */
    ngx_http_loyalty_backend_init_main_conf,   /* init main configuration */

    NULL,                                      /* create server configuration */
    NULL,                                      /* merge server configuration */

    NULL,                                      /* create location conf */
    NULL                                       /* merge location conf */
};


ngx_module_t  ngx_http_loyalty_backend_module = {
    NGX_MODULE_V1,
    &ngx_http_loyalty_backend_module_ctx,      /* module context */
    ngx_http_loyalty_backend_commands,         /* module directives */
    NGX_HTTP_MODULE,                           /* module type */
    NULL,                                      /* init master */
    NULL,                                      /* init module */
    ngx_http_loyalty_backend_init_process,     /* init process */
    NULL,                                      /* init thread */
    NULL,                                      /* exit thread */
    ngx_http_loyalty_backend_exit_process,     /* exit process */
    NULL,                                      /* exit master */
    NGX_MODULE_V1_PADDING
};


static char *
ngx_http_loyalty_backend(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_loyalty_backend_main_conf_t  *bmcf = conf;

    ngx_str_t                 *value;
    ngx_uint_t                 i;
    ngx_http_core_loc_conf_t  *clcf;

    static ngx_str_t  api = ngx_string("loyalty_api");
    static ngx_str_t  jobs = ngx_string("loyalty_jobs");

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    if (clcf->handler == ngx_http_loyalty_backend_handler) {
        return "is duplicate";
    }

    clcf->handler = ngx_http_loyalty_backend_handler;

    if (bmcf->limits == NULL) {
        bmcf->rate = NGX_HTTP_LOYALTY_API_RATE;

        if (ngx_http_loyalty_limit_zone(cf, bmcf) != NGX_OK
            || ngx_http_loyalty_asked_zone(cf, bmcf) != NGX_OK)
        {
            return NGX_CONF_ERROR;
        }
    }

    value = cf->args->elts;

    for (i = 1; i < cf->args->nelts; i++) {

        if (ngx_http_loyalty_backend_parameter(cf, bmcf, &value[i])
            != NGX_OK)
        {
            return NGX_CONF_ERROR;
        }
    }

    /* Routes have limits of their own; this one is for the longest. */

    if (clcf->client_max_body_size == NGX_CONF_UNSET) {
        clcf->client_max_body_size = LOYALTY_API_BODY_MAX;
    }

    /* Not thread-safe: before there are any. */

    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        return "cannot start libcurl";
    }

    bmcf->api_pool = ngx_loyalty_thread_pool(cf, &api,
                                             NGX_HTTP_LOYALTY_API_THREADS);
    bmcf->jobs_pool = ngx_loyalty_thread_pool(cf, &jobs,
                                              NGX_HTTP_LOYALTY_JOBS_THREADS);

    if (bmcf->api_pool == NULL || bmcf->jobs_pool == NULL) {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


/* What is said in one place holds for all of the back end. */

static ngx_int_t
ngx_http_loyalty_backend_parameter(ngx_conf_t *cf,
    ngx_http_loyalty_backend_main_conf_t *bmcf, ngx_str_t *value)
{
    ngx_int_t  rate;
    ngx_str_t  name;

    if (ngx_strcmp(value->data, "rate=off") == 0) {
        bmcf->rate = 0;
        return NGX_OK;
    }

    if (ngx_strncmp(value->data, "rate=", 5) == 0) {
        rate = ngx_atoi(value->data + 5, value->len - 5);

        if (rate < 1 || rate > NGX_HTTP_LOYALTY_API_RATE_MAX) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "\"%V\" of \"loyalty_backend\" must be off or "
                               "1 to 1000000 requests a second", value);
            return NGX_ERROR;
        }

        bmcf->rate = rate;
        return NGX_OK;
    }

    if (ngx_strcmp(value->data, "cookie=insecure") == 0) {
        bmcf->insecure = 1;
        return NGX_OK;
    }

    if (ngx_strcmp(value->data, "cookie=secure") == 0) {
        bmcf->insecure = 0;
        return NGX_OK;
    }

    if (ngx_strncmp(value->data, "preview_secret=", 15) == 0) {
        name.data = value->data + 15;
        name.len = value->len - 15;

        return ngx_loyalty_conf_secret(cf, "the preview_secret of "
                                       "\"loyalty_backend\"", &name,
                                       &bmcf->preview_secret);
    }

    if (ngx_strcmp(value->data, "webhooks=any") == 0) {
        bmcf->hooks.to_private = 1;
        return NGX_OK;
    }

    if (ngx_strcmp(value->data, "webhooks=public") == 0) {
        bmcf->hooks.to_private = 0;
        return NGX_OK;
    }

    if (ngx_strncmp(value->data, "order_post=", 11) == 0) {
        return ngx_http_loyalty_backend_order_post(cf, bmcf, value);
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "invalid parameter \"%V\", \"loyalty_backend\" takes "
                       "cookie=secure|insecure, order_post=URL, "
                       "preview_secret=FILE, rate=N|off and "
                       "webhooks=public|any", value);

    return NGX_ERROR;
}


/* A scheme and a host; the URI of each post comes behind it. */

static ngx_int_t
ngx_http_loyalty_backend_order_post(ngx_conf_t *cf,
    ngx_http_loyalty_backend_main_conf_t *bmcf, ngx_str_t *value)
{
    u_char  *host, *last;

    last = value->data + value->len;
    host = value->data + 11;

    if (ngx_strncmp(host, "http://", 7) == 0) {
        host += 7;

    } else if (ngx_strncmp(host, "https://", 8) == 0) {
        host += 8;

    } else {
        host = last;
    }

    if (host == last || last[-1] == '/'
        || ngx_strlchr(host, last, '?') != NULL
        || ngx_strlchr(host, last, '#') != NULL
        || value->len - 11 > LOYALTY_URL_MAX)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" of \"loyalty_backend\" must be a URL such "
                           "as \"http://127.0.0.1:8080\", without '/' at its "
                           "end", value);
        return NGX_ERROR;
    }

    bmcf->hooks.order_post.data = (const char *) value->data + 11;
    bmcf->hooks.order_post.len = value->len - 11;

    return NGX_OK;
}


static void *
ngx_http_loyalty_backend_create_main_conf(ngx_conf_t *cf)
{
    return ngx_pcalloc(cf->pool, sizeof(ngx_http_loyalty_backend_main_conf_t));
}


static char *
ngx_http_loyalty_backend_init_main_conf(ngx_conf_t *cf, void *conf)
{
    ngx_http_loyalty_backend_main_conf_t  *bmcf = conf;

    ngx_http_loyalty_main_conf_t  *lmcf;

    if (bmcf->api_pool == NULL) {
        return NGX_CONF_OK;
    }

    lmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_loyalty_module);

    if (lmcf->redis.addrs.nelts == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"loyalty_backend\" needs \"loyalty_redis\" "
                           "in the http block");
        return NGX_CONF_ERROR;
    }

    if (ngx_http_loyalty_backend_store(cf, &lmcf->redis, &bmcf->api)
        != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    bmcf->jobs = bmcf->api;
    bmcf->api.timeout = NGX_HTTP_LOYALTY_API_TIMEOUT;
    bmcf->api.stopping = ngx_http_loyalty_backend_terminating;
    bmcf->jobs.timeout = NGX_HTTP_LOYALTY_JOBS_TIMEOUT;
    bmcf->jobs.stopping = ngx_http_loyalty_backend_exiting;
    bmcf->jobs.awaited = ngx_http_loyalty_asked;

    return NGX_CONF_OK;
}


/* The edge's configuration in the words of store/. */

static ngx_int_t
ngx_http_loyalty_backend_store(ngx_conf_t *cf, ngx_loyalty_redis_conf_t *redis,
    loyalty_store_conf_t *store)
{
    ngx_str_t   *addr;
    ngx_uint_t   i;

    addr = redis->addrs.elts;

    store->addrs = ngx_palloc(cf->pool,
                              redis->addrs.nelts * sizeof(loyalty_str_t));
    if (store->addrs == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < redis->addrs.nelts; i++) {
        store->addrs[i].data = (const char *) addr[i].data;
        store->addrs[i].len = addr[i].len;
    }

    store->naddrs = redis->addrs.nelts;
    store->user = (loyalty_str_t) { (const char *) redis->user.data,
                                    redis->user.len };
    store->password = (loyalty_str_t) { (const char *) redis->password.data,
                                        redis->password.len };
    store->prefix = (loyalty_str_t) { (const char *) redis->prefix.data,
                                      redis->prefix.len };
    store->sentinel = (loyalty_str_t) { (const char *) redis->sentinel.data,
                                        redis->sentinel.len };
    store->db = redis->db > 0 ? redis->db : 0;
    store->cluster = redis->cluster == 1;
    store->tls = redis->tls == 1;
    store->connect_timeout = ngx_min(ngx_max(redis->timeout,
                                             NGX_HTTP_LOYALTY_CONNECT_MIN),
                                     NGX_HTTP_LOYALTY_CONNECT_MAX);

    if (ngx_http_loyalty_backend_file(cf, &redis->tls_ca, &store->tls_ca)
            != NGX_OK
        || ngx_http_loyalty_backend_file(cf, &redis->tls_cert,
                                         &store->tls_cert)
            != NGX_OK
        || ngx_http_loyalty_backend_file(cf, &redis->tls_key, &store->tls_key)
            != NGX_OK
        || ngx_http_loyalty_backend_file(cf, &redis->tls_name,
                                         &store->tls_name)
            != NGX_OK)
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_loyalty_backend_file(ngx_conf_t *cf, ngx_str_t *name,
    const char **file)
{
    u_char  *p;

    if (name->len == 0) {
        return NGX_OK;
    }

    p = ngx_pnalloc(cf->pool, name->len + 1);
    if (p == NULL) {
        return NGX_ERROR;
    }

    (void) ngx_cpystrn(p, name->data, name->len + 1);
    *file = (const char *) p;

    return NGX_OK;
}


static bool
ngx_http_loyalty_backend_terminating(void)
{
    return ngx_terminate;
}


static bool
ngx_http_loyalty_backend_exiting(void)
{
    return ngx_terminate || ngx_quit || ngx_exiting;
}


static ngx_int_t
ngx_http_loyalty_backend_init_process(ngx_cycle_t *cycle)
{
    ngx_http_loyalty_backend_main_conf_t  *bmcf;

    if (ngx_process != NGX_PROCESS_WORKER && ngx_process != NGX_PROCESS_SINGLE)
    {
        return NGX_OK;
    }

    bmcf = ngx_http_cycle_get_module_main_conf(cycle,
                                              ngx_http_loyalty_backend_module);

    if (bmcf == NULL || bmcf->api_pool == NULL) {
        return NGX_OK;
    }

    if (ngx_http_loyalty_backend_sessions_init() != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_http_loyalty_asked_init(bmcf);

    return ngx_loyalty_jobs_start(cycle, bmcf);
}


static void
ngx_http_loyalty_backend_exit_process(ngx_cycle_t *cycle)
{
    ngx_loyalty_jobs_stop();
    ngx_http_loyalty_backend_sessions_free();
}
