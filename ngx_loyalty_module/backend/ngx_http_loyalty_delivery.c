/*
 * `loyalty_delivery FILE | mailbox=DIR [secret=FILE]`: how messages leave, and
 * what signs their links.  Files are read
 * here, by the master, so that secrets may be root's alone; the folders of
 * mailboxes are made for the workers.
 */


#include "ngx_http_loyalty_backend.h"

#include <curl/curl.h>


static ngx_int_t ngx_http_loyalty_delivery_folders(ngx_conf_t *cf,
    loyalty_delivery_conf_t *delivery);
static void ngx_http_loyalty_delivery_cleanup(void *data);


char *
ngx_http_loyalty_delivery(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_loyalty_backend_main_conf_t  *bmcf = conf;

    char                 error[LOYALTY_DELIVERY_ERROR_SIZE];
    ngx_str_t           *value, path, name;
    ngx_uint_t           mailbox;
    ngx_pool_cleanup_t  *cln;

    if (bmcf->delivery) {
        return "is duplicate";
    }

    value = cf->args->elts;
    path = value[1];
    mailbox = ngx_strncmp(path.data, "mailbox=", 8) == 0;

    if (mailbox) {
        path.data += 8;
        path.len -= 8;
    }

    if (cf->args->nelts == 3) {
        if (ngx_strncmp(value[2].data, "secret=", 7) != 0) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid parameter \"%V\", "
                               "\"loyalty_delivery\" takes secret=FILE",
                               &value[2]);
            return NGX_CONF_ERROR;
        }

        name.data = value[2].data + 7;
        name.len = value[2].len - 7;

        if (ngx_loyalty_conf_secret(cf, "the secret of \"loyalty_delivery\"",
                                    &name, &bmcf->track_secret)
            != NGX_OK)
        {
            return NGX_CONF_ERROR;
        }
    }

    if (path.len == 0) {
        return "needs a file, or mailbox= with a folder";
    }

    if (ngx_conf_full_name(cf->cycle, &path, !mailbox) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    cln = ngx_pool_cleanup_add(cf->pool, 0);
    if (cln == NULL) {
        return NGX_CONF_ERROR;
    }

    if (mailbox) {
        bmcf->delivery = loyalty_delivery_conf_mailbox((char *) path.data);
        if (bmcf->delivery == NULL) {
            return NGX_CONF_ERROR;
        }

    } else if (loyalty_delivery_conf_read((char *) path.data, &bmcf->delivery,
                                          error)
               != LOYALTY_OK)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "\"loyalty_delivery\" %s",
                           error);
        return NGX_CONF_ERROR;
    }

    cln->handler = ngx_http_loyalty_delivery_cleanup;
    cln->data = bmcf->delivery;

    /* Not thread-safe: before there are any. */

    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK
        || ngx_http_loyalty_delivery_folders(cf, bmcf->delivery) != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_loyalty_delivery_folders(ngx_conf_t *cf,
    loyalty_delivery_conf_t *delivery)
{
    ngx_uint_t    i;
    ngx_path_t   *path;
    const char   *folder;

    for (i = 0; /* void */ ; i++) {
        folder = loyalty_delivery_conf_folder(delivery, i);
        if (folder == NULL) {
            return NGX_OK;
        }

        path = ngx_pcalloc(cf->pool, sizeof(ngx_path_t));
        if (path == NULL) {
            return NGX_ERROR;
        }

        path->name.data = (u_char *) folder;
        path->name.len = ngx_strlen(folder);
        path->conf_file = cf->conf_file->file.name.data;
        path->line = cf->conf_file->line;

        if (ngx_add_path(cf, &path) != NGX_OK) {
            return NGX_ERROR;
        }
    }
}


static void
ngx_http_loyalty_delivery_cleanup(void *data)
{
    loyalty_delivery_conf_free(data);
}
