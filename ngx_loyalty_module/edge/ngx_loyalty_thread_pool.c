/*
 * Thread pools that exist without a directive of the user's.
 *
 * nginx gives threads to the pool "default" alone; any other must be declared.
 * The journal, the API and the jobs each need their own, so that one can't
 * starve another, and nobody should have to know that.  So the directive
 * `thread_pool` is called on the user's behalf where it was not written.
 */


#include "ngx_http_loyalty.h"


extern ngx_module_t  ngx_thread_pool_module;


ngx_thread_pool_t *
ngx_loyalty_thread_pool(ngx_conf_t *cf, ngx_str_t *name, ngx_uint_t threads)
{
    char               *rv;
    u_char              buf[sizeof("threads=") + NGX_INT_T_LEN];
    ngx_str_t          *value;
    ngx_conf_t          pcf;
    ngx_array_t         args;
    ngx_command_t      *cmd;
    ngx_thread_pool_t  *tp;

    tp = ngx_thread_pool_get(cf->cycle, name);
    if (tp != NULL) {
        return tp;
    }

    if (ngx_array_init(&args, cf->pool, 3, sizeof(ngx_str_t)) != NGX_OK) {
        return NULL;
    }

    value = ngx_array_push_n(&args, 3);
    ngx_str_set(&value[0], "thread_pool");
    value[1] = *name;
    value[2].len = ngx_sprintf(buf, "threads=%ui", threads) - buf;
    value[2].data = ngx_pnalloc(cf->pool, value[2].len);
    if (value[2].data == NULL) {
        return NULL;
    }

    ngx_memcpy(value[2].data, buf, value[2].len);

    pcf = *cf;
    pcf.args = &args;

    for (cmd = ngx_thread_pool_module.commands; cmd->name.len; cmd++) {

        if (cmd->name.len != value[0].len
            || ngx_strcmp(cmd->name.data, value[0].data) != 0)
        {
            continue;
        }

        rv = cmd->set(&pcf, cmd, ngx_get_conf(cf->cycle->conf_ctx,
                                              ngx_thread_pool_module));
        if (rv != NGX_CONF_OK) {
            return NULL;
        }
    }

    return ngx_thread_pool_get(cf->cycle, name);
}
