/*
 * Files read at configuration time: keys, secrets, templates.
 */


#include "ngx_http_loyalty.h"
#include "loyalty_token.h"


ngx_int_t
ngx_loyalty_conf_file(ngx_conf_t *cf, const char *what, ngx_str_t *name,
    size_t max, ngx_str_t *text)
{
    off_t        size;
    ssize_t      n;
    ngx_int_t    rc;
    ngx_str_t    path;
    ngx_file_t   file;

    path = *name;

    if (path.len == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "%s needs the name of a file", what);
        return NGX_ERROR;
    }

    if (ngx_conf_full_name(cf->cycle, &path, 1) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_memzero(&file, sizeof(ngx_file_t));
    file.name = path;
    file.log = cf->log;

    file.fd = ngx_open_file(path.data, NGX_FILE_RDONLY|NGX_FILE_NONBLOCK,
                            NGX_FILE_OPEN, 0);
    if (file.fd == NGX_INVALID_FILE) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                           "%s \"%V\" cannot be opened", what, &path);
        return NGX_ERROR;
    }

    rc = NGX_ERROR;

    if (ngx_fd_info(file.fd, &file.info) == NGX_FILE_ERROR) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                           "%s \"%V\" cannot be read", what, &path);
        goto done;
    }

    if (!ngx_is_file(&file.info)) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "%s \"%V\" is not a regular file", what, &path);
        goto done;
    }

    size = ngx_file_size(&file.info);

    if (size > (off_t) max) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "%s \"%V\" is too large: %O bytes, at most %uz",
                           what, &path, size, max);
        goto done;
    }

    text->data = ngx_pnalloc(cf->pool, (size_t) size + 1);
    if (text->data == NULL) {
        goto done;
    }

    n = ngx_read_file(&file, text->data, (size_t) size, 0);
    if (n == NGX_ERROR) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                           "%s \"%V\" cannot be read", what, &path);
        goto done;
    }

    text->len = n;
    text->data[n] = '\0';
    rc = NGX_OK;

done:

    if (ngx_close_file(file.fd) == NGX_FILE_ERROR) {
        ngx_log_error(NGX_LOG_ALERT, cf->log, ngx_errno,
                      ngx_close_file_n " \"%V\" failed", &path);
    }

    return rc;
}


ngx_int_t
ngx_loyalty_conf_secret(ngx_conf_t *cf, const char *what, ngx_str_t *name,
    ngx_str_t *secret)
{
    if (ngx_loyalty_conf_file(cf, what, name, LOYALTY_SECRET_MAX, secret)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    while (secret->len > 0
           && (secret->data[secret->len - 1] == LF
               || secret->data[secret->len - 1] == CR))
    {
        secret->len--;
    }

    if (secret->len < LOYALTY_TOKEN_SECRET_MIN) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "%s \"%V\" is too short: %uz bytes, at least %d",
                           what, name, secret->len, LOYALTY_TOKEN_SECRET_MIN);
        return NGX_ERROR;
    }

    return NGX_OK;
}
