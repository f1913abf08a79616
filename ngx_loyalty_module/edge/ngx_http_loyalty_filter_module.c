/*
 * The filter module: what happens to the shop's answer.  Its directives and
 * configuration; the work is in _inject.c (badge and JSON member) and
 * _capture.c (orders).
 */


#include "ngx_http_loyalty_filter.h"


static ngx_int_t ngx_http_loyalty_filter_init(ngx_conf_t *cf);
static void *ngx_http_loyalty_filter_create_main_conf(ngx_conf_t *cf);
static void *ngx_http_loyalty_filter_create_loc_conf(ngx_conf_t *cf);
static char *ngx_http_loyalty_filter_merge_loc_conf(ngx_conf_t *cf,
    void *parent, void *child);


static ngx_command_t  ngx_http_loyalty_filter_commands[] = {

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


static ngx_int_t
ngx_http_loyalty_filter_init(ngx_conf_t *cf)
{
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
    return ngx_pcalloc(cf->pool, sizeof(ngx_http_loyalty_filter_loc_conf_t));
}


static char *
ngx_http_loyalty_filter_merge_loc_conf(ngx_conf_t *cf, void *parent,
    void *child)
{
    return NGX_CONF_OK;
}
