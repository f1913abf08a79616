/*
 * The edge handler module: directives, configuration, phases.
 */


#include "ngx_http_loyalty_filter.h"
#include "ngx_http_loyalty_page.h"
#include "loyalty_keys.h"


static ngx_int_t ngx_http_loyalty_init(ngx_conf_t *cf);
static ngx_int_t ngx_http_loyalty_init_process(ngx_cycle_t *cycle);
static void ngx_http_loyalty_exit_process(ngx_cycle_t *cycle);
static void *ngx_http_loyalty_create_main_conf(ngx_conf_t *cf);
static char *ngx_http_loyalty_init_main_conf(ngx_conf_t *cf, void *conf);
static void *ngx_http_loyalty_create_srv_conf(ngx_conf_t *cf);
static char *ngx_http_loyalty_source_slot(ngx_conf_t *cf,
    ngx_command_t *cmd, void *conf);
static void *ngx_http_loyalty_create_loc_conf(ngx_conf_t *cf);
static char *ngx_http_loyalty_merge_loc_conf(ngx_conf_t *cf, void *parent,
    void *child);
static char *ngx_http_loyalty_check(ngx_conf_t *cf,
    ngx_http_loyalty_loc_conf_t *llcf);


static ngx_loyalty_redis_t  *ngx_http_loyalty_redis_client;


static ngx_command_t  ngx_http_loyalty_commands[] = {

    { ngx_string("loyalty_zone"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_2MORE,
      ngx_loyalty_zone_directive,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_http_loyalty_main_conf_t, zone),
      &ngx_http_loyalty_module },

    { ngx_string("loyalty_redis"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_1MORE,
      ngx_loyalty_redis_directive,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_http_loyalty_main_conf_t, redis),
      NULL },

    { ngx_string("loyalty"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_loyalty_loc_conf_t, enable),
      NULL },

    { ngx_string("loyalty_site"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_loyalty_source_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_loyalty_loc_conf_t, site),
      NULL },

    { ngx_string("loyalty_member"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_loyalty_source_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_loyalty_loc_conf_t, member),
      NULL },

    { ngx_string("loyalty_jwt"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_1MORE,
      ngx_http_loyalty_jwt_directive,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("loyalty_headers"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE12,
      ngx_http_loyalty_headers_directive,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("loyalty_page"),
      NGX_HTTP_LOC_CONF|NGX_CONF_TAKE12,
      ngx_http_loyalty_page_directive,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("loyalty_api"),
      NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_loyalty_api_directive,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("loyalty_track"),
      NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_loyalty_track_directive,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("loyalty_metrics"),
      NGX_HTTP_LOC_CONF|NGX_CONF_NOARGS,
      ngx_http_loyalty_metrics_directive,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

      ngx_null_command
};


static ngx_http_module_t  ngx_http_loyalty_module_ctx = {
    ngx_http_loyalty_add_variables,        /* preconfiguration */
    ngx_http_loyalty_init,                 /* postconfiguration */

    ngx_http_loyalty_create_main_conf,     /* create main configuration */
    ngx_http_loyalty_init_main_conf,       /* init main configuration */

    ngx_http_loyalty_create_srv_conf,      /* create server configuration */
    NULL,                                  /* merge server configuration */

    ngx_http_loyalty_create_loc_conf,      /* create location configuration */
    ngx_http_loyalty_merge_loc_conf        /* merge location configuration */
};


ngx_module_t  ngx_http_loyalty_module = {
    NGX_MODULE_V1,
    &ngx_http_loyalty_module_ctx,          /* module context */
    ngx_http_loyalty_commands,             /* module directives */
    NGX_HTTP_MODULE,                       /* module type */
    NULL,                                  /* init master */
    NULL,                                  /* init module */
    ngx_http_loyalty_init_process,         /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    ngx_http_loyalty_exit_process,         /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


ngx_loyalty_redis_t *
ngx_http_loyalty_redis(void)
{
    return ngx_http_loyalty_redis_client;
}


static ngx_int_t
ngx_http_loyalty_init(ngx_conf_t *cf)
{
    ngx_http_handler_pt           *h;
    ngx_http_core_main_conf_t     *cmcf;
    ngx_http_loyalty_main_conf_t  *lmcf;

    lmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_loyalty_module);

    if (ngx_loyalty_redis_init_conf(cf, &lmcf->redis) != NGX_OK) {
        return NGX_ERROR;
    }

    if (ngx_http_loyalty_resolve_init(cf) != NGX_OK) {
        return NGX_ERROR;
    }

    if (lmcf->redis.addrs.nelts != 0
        && ngx_http_loyalty_visit_add_zone(cf, &ngx_http_loyalty_module)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);

    h = ngx_array_push(&cmcf->phases[NGX_HTTP_POST_READ_PHASE].handlers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    *h = ngx_http_loyalty_headers_handler;

    h = ngx_array_push(&cmcf->phases[NGX_HTTP_PRECONTENT_PHASE].handlers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    *h = ngx_http_loyalty_handler;

    return NGX_OK;
}


static ngx_int_t
ngx_http_loyalty_init_process(ngx_cycle_t *cycle)
{
    ngx_http_loyalty_main_conf_t  *lmcf;

    if (ngx_process != NGX_PROCESS_WORKER && ngx_process != NGX_PROCESS_SINGLE)
    {
        return NGX_OK;
    }

    ngx_loyalty_metrics_init_process(cycle);

    lmcf = ngx_http_cycle_get_module_main_conf(cycle, ngx_http_loyalty_module);

    if (lmcf != NULL && lmcf->redis.addrs.nelts != 0) {
        ngx_http_loyalty_redis_client = ngx_loyalty_redis_create(cycle,
                                                                 &lmcf->redis);
        if (ngx_http_loyalty_redis_client == NULL) {
            return NGX_ERROR;
        }

        if (ngx_http_loyalty_resolve_init_process(cycle, lmcf) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    return ngx_http_loyalty_journal_init(cycle);
}


static void
ngx_http_loyalty_exit_process(ngx_cycle_t *cycle)
{
    ngx_http_loyalty_journal_exit();
    ngx_http_loyalty_resolve_exit_process();

    if (ngx_http_loyalty_redis_client != NULL) {
        ngx_loyalty_redis_close(ngx_http_loyalty_redis_client);
        ngx_http_loyalty_redis_client = NULL;
    }

    ngx_loyalty_metrics_exit_process();
}


static void *
ngx_http_loyalty_create_main_conf(ngx_conf_t *cf)
{
    return ngx_pcalloc(cf->pool, sizeof(ngx_http_loyalty_main_conf_t));
}


static char *
ngx_http_loyalty_init_main_conf(ngx_conf_t *cf, void *conf)
{
    if (ngx_loyalty_metrics_add_zone(cf, &ngx_http_loyalty_module) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static void *
ngx_http_loyalty_create_srv_conf(ngx_conf_t *cf)
{
    return ngx_pcalloc(cf->pool, sizeof(ngx_http_loyalty_srv_conf_t));
}


static char *
ngx_http_loyalty_source_slot(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_loyalty_source_t **field = (ngx_http_loyalty_source_t **)
                                              ((char *) conf + cmd->offset);

    ngx_str_t                         *value, name;
    ngx_uint_t                         i;
    loyalty_str_t                      site;
    ngx_http_loyalty_source_t         *source;
    ngx_http_compile_complex_value_t   ccv;

    if (*field != NULL) {
        return "is duplicate";
    }

    source = ngx_palloc(cf->pool, sizeof(ngx_http_loyalty_source_t));
    if (source == NULL) {
        return NGX_CONF_ERROR;
    }

    *field = source;
    value = cf->args->elts;
    name.data = value[1].data + 1;
    name.len = value[1].len - 1;
    source->index = NGX_ERROR;

    ngx_memzero(&ccv, sizeof(ngx_http_compile_complex_value_t));

    ccv.cf = cf;
    ccv.value = &value[1];
    ccv.complex_value = &source->value;

    if (ngx_http_compile_complex_value(&ccv) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    if (cmd->offset == offsetof(ngx_http_loyalty_loc_conf_t, site)
        && source->value.lengths == NULL
        && value[1].len)
    {
        site.data = (char *) value[1].data;
        site.len = value[1].len;

        if (loyalty_site_id_check(site) != LOYALTY_OK) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "\"%V\" of \"loyalty_site\" is no id of a "
                               "site, which has up to %d of a-z, 0-9, '-' and "
                               "'_'", &value[1], LOYALTY_SITE_ID_MAX);
            return NGX_CONF_ERROR;
        }
    }

    /* $1 to $9 are no variables but captures */

    if (value[1].len < 2
        || value[1].data[0] != '$'
        || (name.data[0] >= '1' && name.data[0] <= '9'))
    {
        return NGX_CONF_OK;
    }

    for (i = 0; i < name.len; i++) {
        if (!isalnum(name.data[i]) && name.data[i] != '_') {
            return NGX_CONF_OK;
        }
    }

    source->index = ngx_http_get_variable_index(cf, &name);

    return source->index == NGX_ERROR ? NGX_CONF_ERROR : NGX_CONF_OK;
}


static void *
ngx_http_loyalty_create_loc_conf(ngx_conf_t *cf)
{
    ngx_http_loyalty_loc_conf_t  *llcf;

    llcf = ngx_pcalloc(cf->pool, sizeof(ngx_http_loyalty_loc_conf_t));
    if (llcf == NULL) {
        return NULL;
    }

    llcf->enable = NGX_CONF_UNSET;

    return llcf;
}


static char *
ngx_http_loyalty_merge_loc_conf(ngx_conf_t *cf, void *parent, void *child)
{
    ngx_http_loyalty_loc_conf_t  *prev = parent;
    ngx_http_loyalty_loc_conf_t  *conf = child;

    ngx_conf_merge_value(conf->enable, prev->enable, 0);

    if (conf->site == NULL) {
        conf->site = prev->site;
    }

    if (conf->member && conf->jwt) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"loyalty_member\" and \"loyalty_jwt\" in one "
                           "place: a shopper is known by one of them");
        return NGX_CONF_ERROR;
    }

    if (conf->member == NULL && conf->jwt == NULL) {
        conf->member = prev->member;
        conf->jwt = prev->jwt;
    }

    if (conf->headers == NULL) {
        conf->headers = prev->headers;
    }

    return ngx_http_loyalty_check(cf, conf);
}


/* what a location needs from elsewhere; every directive has been read */

static char *
ngx_http_loyalty_check(ngx_conf_t *cf, ngx_http_loyalty_loc_conf_t *llcf)
{
    char                          *missing;
    ngx_http_loyalty_srv_conf_t   *lscf;
    ngx_http_loyalty_main_conf_t  *lmcf;

    lmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_loyalty_module);
    lscf = ngx_http_conf_get_module_srv_conf(cf, ngx_http_loyalty_module);

    if (llcf->page && !llcf->enable) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" needs \"loyalty on\" in its location",
                           &llcf->page->directive);
        return NGX_CONF_ERROR;
    }

    if (!llcf->enable) {
        lscf->used |= ngx_http_loyalty_headers_on(llcf->headers);
        return NGX_CONF_OK;
    }

    lscf->used = 1;

    missing = lmcf->redis.addrs.nelts == 0
              ? "\"loyalty_redis ADDRESS;\" in the http block"
              : lmcf->zone.shm_zone == NULL
              ? "\"loyalty_zone NAME SIZE;\" in the http block"
              : llcf->site == NULL
              ? "\"loyalty_site ID;\" where it stands or above" : NULL;

    if (missing) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"loyalty on\" needs %s", missing);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}
