/*
 * The filter module: what happens to the shop's answer.  Its directives and
 * configuration; the work is in _inject.c (badge and JSON member) and
 * _capture.c (orders).
 */


#include "ngx_http_loyalty_filter.h"
#include "ngx_http_loyalty_order_post.h"


static ngx_int_t ngx_http_loyalty_header_filter(ngx_http_request_t *r);
static ngx_int_t ngx_http_loyalty_body_filter(ngx_http_request_t *r,
    ngx_chain_t *in);
static ngx_int_t ngx_http_loyalty_filter_init(ngx_conf_t *cf);
static void *ngx_http_loyalty_filter_create_main_conf(ngx_conf_t *cf);
static void *ngx_http_loyalty_filter_create_loc_conf(ngx_conf_t *cf);
static char *ngx_http_loyalty_filter_merge_loc_conf(ngx_conf_t *cf,
    void *parent, void *child);


static ngx_command_t  ngx_http_loyalty_filter_commands[] = {

    { ngx_string("loyalty_journal"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1234,
      ngx_loyalty_journal_directive,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_http_loyalty_filter_main_conf_t, journal),
      NULL },

    { ngx_string("loyalty_order"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_1MORE,
      ngx_http_loyalty_capture_directive,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("loyalty_order_post"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_loyalty_capture_post_directive,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("loyalty_inject"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE123,
      ngx_http_loyalty_inject_directive,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

      ngx_null_command
};


static ngx_http_module_t  ngx_http_loyalty_filter_module_ctx = {
    NULL,                                      /* preconfiguration */
    ngx_http_loyalty_filter_init,              /* postconfiguration */

    ngx_http_loyalty_filter_create_main_conf,  /* create main configuration */
    NULL,                                      /* init main configuration */

    NULL,                                      /* create server configuration */
    NULL,                                      /* merge server configuration */

    ngx_http_loyalty_filter_create_loc_conf,   /* create location conf */
    ngx_http_loyalty_filter_merge_loc_conf     /* merge location conf */
};


ngx_module_t  ngx_http_loyalty_filter_module = {
    NGX_MODULE_V1,
    &ngx_http_loyalty_filter_module_ctx,       /* module context */
    ngx_http_loyalty_filter_commands,          /* module directives */
    NGX_HTTP_MODULE,                           /* module type */
    NULL,                                      /* init master */
    NULL,                                      /* init module */
    NULL,                                      /* init process */
    NULL,                                      /* init thread */
    NULL,                                      /* exit thread */
    NULL,                                      /* exit process */
    NULL,                                      /* exit master */
    NGX_MODULE_V1_PADDING
};


ngx_http_output_header_filter_pt  ngx_http_loyalty_next_header_filter;
ngx_http_output_body_filter_pt    ngx_http_loyalty_next_body_filter;


static ngx_loyalty_journal_t  *ngx_http_loyalty_filter_journal;


ngx_loyalty_journal_t *
ngx_http_loyalty_journal(void)
{
    return ngx_http_loyalty_filter_journal;
}


ngx_int_t
ngx_http_loyalty_journal_init(ngx_cycle_t *cycle)
{
    ngx_http_loyalty_main_conf_t         *lmcf;
    ngx_http_loyalty_filter_main_conf_t  *fmcf;

    fmcf = ngx_http_cycle_get_module_main_conf(cycle,
                                               ngx_http_loyalty_filter_module);
    lmcf = ngx_http_cycle_get_module_main_conf(cycle, ngx_http_loyalty_module);

    if (ngx_http_loyalty_redis() == NULL || fmcf->journal.path == NULL) {
        return NGX_OK;
    }

    ngx_http_loyalty_filter_journal =
               ngx_loyalty_journal_create(cycle, &fmcf->journal,
                                          ngx_http_loyalty_redis(),
                                          &lmcf->redis);

    return ngx_http_loyalty_filter_journal ? NGX_OK : NGX_ERROR;
}


void
ngx_http_loyalty_journal_exit(void)
{
    if (ngx_http_loyalty_filter_journal != NULL) {
        ngx_loyalty_journal_close(ngx_http_loyalty_filter_journal);
        ngx_http_loyalty_filter_journal = NULL;
    }
}


static ngx_int_t
ngx_http_loyalty_header_filter(ngx_http_request_t *r)
{
    ngx_http_loyalty_filter_loc_conf_t  *flcf;

    flcf = ngx_http_get_module_loc_conf(r, ngx_http_loyalty_filter_module);

    if (flcf->capture != NULL) {
        return ngx_http_loyalty_capture_header_filter(r);
    }

    return ngx_http_loyalty_inject_header_filter(r);
}


static ngx_int_t
ngx_http_loyalty_body_filter(ngx_http_request_t *r, ngx_chain_t *in)
{
    ngx_http_loyalty_filter_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_loyalty_filter_module);

    if (ctx == NULL) {
        return ngx_http_loyalty_next_body_filter(r, in);
    }

    if (ctx->capture != NULL) {
        return ngx_http_loyalty_capture_body_filter(r, in);
    }

    return ngx_http_loyalty_inject_body_filter(r, in);
}


ngx_http_loyalty_filter_ctx_t *
ngx_http_loyalty_filter_ctx(ngx_http_request_t *r)
{
    ngx_http_loyalty_filter_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_loyalty_filter_module);

    if (ctx == NULL) {
        ctx = ngx_pcalloc(r->pool, sizeof(ngx_http_loyalty_filter_ctx_t));
        if (ctx != NULL) {
            ngx_http_set_ctx(r, ctx, ngx_http_loyalty_filter_module);
        }
    }

    return ctx;
}


static ngx_int_t
ngx_http_loyalty_filter_init(ngx_conf_t *cf)
{
    ngx_http_loyalty_next_header_filter = ngx_http_top_header_filter;
    ngx_http_top_header_filter = ngx_http_loyalty_header_filter;

    ngx_http_loyalty_next_body_filter = ngx_http_top_body_filter;
    ngx_http_top_body_filter = ngx_http_loyalty_body_filter;

    return NGX_OK;
}


static void *
ngx_http_loyalty_filter_create_main_conf(ngx_conf_t *cf)
{
    return ngx_pcalloc(cf->pool, sizeof(ngx_http_loyalty_filter_main_conf_t));
}


static void *
ngx_http_loyalty_filter_create_loc_conf(ngx_conf_t *cf)
{
    ngx_http_loyalty_filter_loc_conf_t  *flcf;

    flcf = ngx_pcalloc(cf->pool, sizeof(ngx_http_loyalty_filter_loc_conf_t));
    if (flcf == NULL) {
        return NULL;
    }

    flcf->capture = NGX_CONF_UNSET_PTR;
    flcf->inject = NGX_CONF_UNSET_PTR;

    return flcf;
}


static char *
ngx_http_loyalty_filter_merge_loc_conf(ngx_conf_t *cf, void *parent,
    void *child)
{
    ngx_http_loyalty_filter_loc_conf_t *prev = parent;
    ngx_http_loyalty_filter_loc_conf_t *conf = child;

    ngx_http_loyalty_main_conf_t         *lmcf;
    ngx_http_loyalty_filter_main_conf_t  *fmcf;

    ngx_conf_merge_ptr_value(conf->inject, prev->inject, NULL);
    ngx_conf_merge_ptr_value(conf->capture, prev->capture, NULL);
    ngx_conf_merge_str_value(conf->post, prev->post, "");

    if (conf->capture != NULL) {
        fmcf = ngx_http_conf_get_module_main_conf(cf,
                                               ngx_http_loyalty_filter_module);
        lmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_loyalty_module);

        if (fmcf->journal.path == NULL || lmcf->redis.addrs.nelts == 0) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "loyalty_order needs loyalty_journal and "
                               "loyalty_redis in the http block");
            return NGX_CONF_ERROR;
        }

        if (conf->post.len) {
            return ngx_http_loyalty_order_post_add(cf, &conf->post);
        }
    }

    return NGX_CONF_OK;
}
