/*
 * Entries of a site's streams: capped what may be lost when nobody reads it.
 */


#include "ngx_http_loyalty.h"
#include "loyalty_keys.h"


/* XADD KEY MAXLEN ~ MAX * */
#define NGX_HTTP_LOYALTY_STREAM_ARGS  6


ngx_int_t
ngx_http_loyalty_stream_add(ngx_http_request_t *r, ngx_http_loyalty_ctx_t *ctx,
    ngx_loyalty_redis_command_t *cmd, const char *stream, ngx_uint_t max,
    ngx_str_t *fields, ngx_uint_t n)
{
    char                           key[LOYALTY_KEY_MAX];
    u_char                         length[NGX_INT64_LEN];
    size_t                         len;
    ngx_uint_t                     i;
    ngx_str_t                      argv[NGX_HTTP_LOYALTY_STREAM_ARGS
                                        + NGX_HTTP_LOYALTY_STREAM_FIELDS];
    loyalty_str_t                  prefix, site;
    ngx_loyalty_redis_t           *redis;
    ngx_http_loyalty_main_conf_t  *lmcf;

    redis = ngx_http_loyalty_redis();
    lmcf = ngx_http_get_module_main_conf(r, ngx_http_loyalty_module);

    prefix.data = (char *) lmcf->redis.prefix.data;
    prefix.len = lmcf->redis.prefix.len;
    site.data = (char *) ctx->site.data;
    site.len = ctx->site.len;

    len = loyalty_key(key, prefix, "s", site, loyalty_str_from(stream));

    if (redis == NULL || len == 0) {
        return NGX_DECLINED;
    }

    ngx_str_set(&argv[0], "XADD");
    argv[1].data = (u_char *) key;
    argv[1].len = len;
    i = 2;

    if (max) {
        ngx_str_set(&argv[2], "MAXLEN");
        ngx_str_set(&argv[3], "~");
        argv[4].data = length;
        argv[4].len = ngx_sprintf(length, "%ui", max) - length;
        i = 5;
    }

    ngx_str_set(&argv[i], "*");
    i++;

    ngx_memcpy(&argv[i], fields, n * sizeof(ngx_str_t));

    return ngx_loyalty_redis_send(redis, cmd, i + n, argv, 1);
}
