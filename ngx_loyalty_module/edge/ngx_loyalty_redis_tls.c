/*
 * TLS to Redis, by nginx's own OpenSSL code: it does not depend on what
 * hiredis was built with.  The certificate is always verified.
 */


#include "ngx_loyalty_redis_internal.h"


#if (NGX_SSL)

static void ngx_loyalty_redis_tls_done(ngx_connection_t *c);
static ngx_str_t *ngx_loyalty_redis_tls_name(ngx_loyalty_redis_link_t *link);
static ngx_int_t ngx_loyalty_redis_tls_check_name(ngx_connection_t *c,
    ngx_str_t *name);


ngx_int_t
ngx_loyalty_redis_tls_conf(ngx_conf_t *cf, ngx_loyalty_redis_conf_t *rcf)
{
    ngx_ssl_t           *ssl;
    ngx_pool_cleanup_t  *cln;

    ssl = ngx_pcalloc(cf->pool, sizeof(ngx_ssl_t));
    if (ssl == NULL) {
        return NGX_ERROR;
    }

    ssl->log = cf->log;

    if (ngx_ssl_create(ssl, NGX_SSL_TLSv1_2|NGX_SSL_TLSv1_3, NULL) != NGX_OK) {
        return NGX_ERROR;
    }

    cln = ngx_pool_cleanup_add(cf->pool, 0);
    if (cln == NULL) {
        ngx_ssl_cleanup_ctx(ssl);
        return NGX_ERROR;
    }

    cln->handler = ngx_ssl_cleanup_ctx;
    cln->data = ssl;

    /* what waits to be sent may move as more is added */
    SSL_CTX_set_mode(ssl->ctx, SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);

    if ((rcf->tls_cert.len != 0
         && ngx_ssl_certificate(cf, ssl, &rcf->tls_cert, &rcf->tls_key, NULL)
            != NGX_OK)
        || (rcf->tls_ca.len != 0
            && ngx_ssl_trusted_certificate(cf, ssl, &rcf->tls_ca, 4)
               != NGX_OK))
    {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "\"loyalty_redis\" cannot use tls_ca or tls_cert and "
                      "tls_key as they are, each must name a file in PEM");
        return NGX_ERROR;
    }

    if (rcf->tls_ca.len == 0
        && SSL_CTX_set_default_verify_paths(ssl->ctx) == 0)
    {
        ngx_ssl_error(NGX_LOG_EMERG, cf->log, 0,
                      "the system's certificates cannot be read, name some "
                      "by tls_ca=FILE");
        return NGX_ERROR;
    }

    rcf->ssl = ssl;

    return NGX_OK;
}


void
ngx_loyalty_redis_tls_handshake(ngx_loyalty_redis_link_t *link)
{
    u_char             name[256];
    ngx_int_t          rc;
    ngx_str_t         *host;
    ngx_connection_t  *c;

    c = link->connection;
    host = ngx_loyalty_redis_tls_name(link);

    c->pool = ngx_create_pool(256, &link->log);

    if (c->pool == NULL
        || ngx_ssl_create_connection(link->redis->conf->ssl, c,
                                     NGX_SSL_BUFFER|NGX_SSL_CLIENT)
           != NGX_OK)
    {
        ngx_loyalty_redis_link_fail(link, NGX_LOYALTY_REDIS_UNREACHABLE,
                                    "TLS does not start");
        return;
    }

    /* addresses are no server names (RFC 6066) */

    if (host->len < sizeof(name) && !ngx_loyalty_redis_is_address(host)) {
        ngx_cpystrn(name, host->data, host->len + 1);
        (void) SSL_set_tlsext_host_name(c->ssl->connection, (char *) name);
    }

    rc = ngx_ssl_handshake(c);

    if (rc == NGX_AGAIN) {
        c->ssl->handler = ngx_loyalty_redis_tls_done;
        return;
    }

    ngx_loyalty_redis_tls_done(c);
}


static void
ngx_loyalty_redis_tls_done(ngx_connection_t *c)
{
    ngx_loyalty_redis_link_t  *link = c->data;

    long        rc;
    ngx_str_t  *host;

    if (!c->ssl->handshaked) {
        ngx_loyalty_redis_link_fail(link, NGX_LOYALTY_REDIS_UNREACHABLE,
                                    "the TLS handshake failed");
        return;
    }

    rc = SSL_get_verify_result(c->ssl->connection);

    if (rc != X509_V_OK) {
        ngx_loyalty_redis_link_fail(link, NGX_LOYALTY_REDIS_REFUSED,
                                    "its certificate is not trusted (%l: %s)",
                                    rc, X509_verify_cert_error_string(rc));
        return;
    }

    host = ngx_loyalty_redis_tls_name(link);

    if (ngx_loyalty_redis_tls_check_name(c, host) != NGX_OK) {
        ngx_loyalty_redis_link_fail(link, NGX_LOYALTY_REDIS_REFUSED,
                                    "its certificate is not for \"%V\", set "
                                    "tls_name=NAME to that of the certificate",
                                    host);
        return;
    }

    ngx_loyalty_redis_link_greet(link);
}


static ngx_str_t *
ngx_loyalty_redis_tls_name(ngx_loyalty_redis_link_t *link)
{
    ngx_loyalty_redis_conf_t  *conf;

    conf = link->redis->conf;

    return conf->tls_name.len ? &conf->tls_name : &link->peer->host;
}


static ngx_int_t
ngx_loyalty_redis_tls_check_name(ngx_connection_t *c, ngx_str_t *name)
{
    int      rc;
    X509    *cert;
    u_char   address[NGX_SOCKADDR_STRLEN];

    if (!ngx_loyalty_redis_is_address(name)) {
        return ngx_ssl_check_host(c, name);
    }

    cert = SSL_get_peer_certificate(c->ssl->connection);
    if (cert == NULL) {
        return NGX_ERROR;
    }

    ngx_cpystrn(address, name->data,
                ngx_min(name->len + 1, sizeof(address)));

    rc = X509_check_ip_asc(cert, (char *) address, 0);
    X509_free(cert);

    return rc == 1 ? NGX_OK : NGX_ERROR;
}


void
ngx_loyalty_redis_tls_close(ngx_connection_t *c)
{
    if (c->ssl != NULL) {
        c->ssl->no_wait_shutdown = 1;
        c->ssl->no_send_shutdown = 1;

        (void) ngx_ssl_shutdown(c);
    }
}


#else

ngx_int_t
ngx_loyalty_redis_tls_conf(ngx_conf_t *cf, ngx_loyalty_redis_conf_t *rcf)
{
    ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                  "\"loyalty_redis\" has \"tls=on\", and this nginx was built "
                  "without TLS: use one built --with-http_ssl_module");

    return NGX_ERROR;
}


void
ngx_loyalty_redis_tls_handshake(ngx_loyalty_redis_link_t *link)
{
    ngx_loyalty_redis_link_fail(link, NGX_LOYALTY_REDIS_UNREACHABLE, "no TLS");
}


void
ngx_loyalty_redis_tls_close(ngx_connection_t *c)
{
}

#endif
