/*
 * The directive loyalty_redis, and the servers it names.
 *
 * A name is left to nginx's resolver where there is one at http level, so
 * that a server that moves is found again; without one it is looked up now,
 * as nginx does for its own upstreams.
 */


#include "ngx_loyalty_redis_internal.h"
#include "ngx_http_loyalty.h"


#define NGX_LOYALTY_REDIS_PORT           6379
#define NGX_LOYALTY_REDIS_SENTINEL_PORT  26379
#define NGX_LOYALTY_REDIS_TIMEOUT_MSEC   50


typedef struct {
    ngx_str_t     name;                  /* with the equals sign */
    ngx_int_t   (*set)(ngx_conf_t *cf, ngx_str_t *name, ngx_str_t *value,
                       void *field);
    ngx_uint_t    offset;
} ngx_loyalty_redis_parameter_t;


static ngx_int_t ngx_loyalty_redis_set_parameter(ngx_conf_t *cf,
    ngx_loyalty_redis_conf_t *rcf, ngx_str_t *arg);
static ngx_int_t ngx_loyalty_redis_set_str(ngx_conf_t *cf, ngx_str_t *name,
    ngx_str_t *value, void *field);
static ngx_int_t ngx_loyalty_redis_set_flag(ngx_conf_t *cf, ngx_str_t *name,
    ngx_str_t *value, void *field);
static ngx_int_t ngx_loyalty_redis_set_db(ngx_conf_t *cf, ngx_str_t *name,
    ngx_str_t *value, void *field);
static ngx_int_t ngx_loyalty_redis_set_timeout(ngx_conf_t *cf,
    ngx_str_t *name, ngx_str_t *value, void *field);
static ngx_int_t ngx_loyalty_redis_set_prefix(ngx_conf_t *cf, ngx_str_t *name,
    ngx_str_t *value, void *field);
static ngx_int_t ngx_loyalty_redis_set_password(ngx_conf_t *cf,
    ngx_str_t *name, ngx_str_t *value, void *field);
static char *ngx_loyalty_redis_check(ngx_conf_t *cf,
    ngx_loyalty_redis_conf_t *rcf);


static ngx_loyalty_redis_parameter_t  ngx_loyalty_redis_parameters[] = {

    { ngx_string("cluster="), ngx_loyalty_redis_set_flag,
      offsetof(ngx_loyalty_redis_conf_t, cluster) },

    { ngx_string("db="), ngx_loyalty_redis_set_db,
      offsetof(ngx_loyalty_redis_conf_t, db) },

    { ngx_string("user="), ngx_loyalty_redis_set_str,
      offsetof(ngx_loyalty_redis_conf_t, user) },

    { ngx_string("password_file="), ngx_loyalty_redis_set_password,
      offsetof(ngx_loyalty_redis_conf_t, password) },

    { ngx_string("prefix="), ngx_loyalty_redis_set_prefix,
      offsetof(ngx_loyalty_redis_conf_t, prefix) },

    { ngx_string("timeout="), ngx_loyalty_redis_set_timeout,
      offsetof(ngx_loyalty_redis_conf_t, timeout) },

    { ngx_string("sentinel="), ngx_loyalty_redis_set_str,
      offsetof(ngx_loyalty_redis_conf_t, sentinel) },

    { ngx_string("tls="), ngx_loyalty_redis_set_flag,
      offsetof(ngx_loyalty_redis_conf_t, tls) },

    { ngx_string("tls_ca="), ngx_loyalty_redis_set_str,
      offsetof(ngx_loyalty_redis_conf_t, tls_ca) },

    { ngx_string("tls_cert="), ngx_loyalty_redis_set_str,
      offsetof(ngx_loyalty_redis_conf_t, tls_cert) },

    { ngx_string("tls_key="), ngx_loyalty_redis_set_str,
      offsetof(ngx_loyalty_redis_conf_t, tls_key) },

    { ngx_string("tls_name="), ngx_loyalty_redis_set_str,
      offsetof(ngx_loyalty_redis_conf_t, tls_name) },

    { ngx_null_string, NULL, 0 }
};


char *
ngx_loyalty_redis_directive(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_loyalty_redis_conf_t  *rcf;

    ngx_str_t   *value, *addr;
    ngx_int_t    rc;
    ngx_uint_t   i;

    rcf = (ngx_loyalty_redis_conf_t *) ((u_char *) conf + cmd->offset);

    if (rcf->addrs.elts != NULL) {
        return "is duplicate";
    }

    if (ngx_array_init(&rcf->addrs, cf->pool, 4, sizeof(ngx_str_t)) != NGX_OK
        || ngx_array_init(&rcf->peers, cf->pool, 4,
                          sizeof(ngx_loyalty_redis_peer_t))
           != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    ngx_str_set(&rcf->prefix, "loyalty");
    rcf->timeout = NGX_LOYALTY_REDIS_TIMEOUT_MSEC;

    value = cf->args->elts;

    for (i = 1; i < cf->args->nelts; i++) {

        rc = ngx_loyalty_redis_set_parameter(cf, rcf, &value[i]);

        if (rc == NGX_ERROR) {
            return NGX_CONF_ERROR;
        }

        if (rc == NGX_OK) {
            continue;
        }

        addr = ngx_array_push(&rcf->addrs);
        if (addr == NULL) {
            return NGX_CONF_ERROR;
        }

        *addr = value[i];
    }

    return ngx_loyalty_redis_check(cf, rcf);
}


/* NGX_DECLINED: not a parameter, so an address. */

static ngx_int_t
ngx_loyalty_redis_set_parameter(ngx_conf_t *cf, ngx_loyalty_redis_conf_t *rcf,
    ngx_str_t *arg)
{
    ngx_str_t                       name, value;
    ngx_loyalty_redis_parameter_t  *p;

    if (ngx_strncmp(arg->data, "unix:", 5) == 0
        || ngx_strlchr(arg->data, arg->data + arg->len, '=') == NULL)
    {
        return NGX_DECLINED;
    }

    for (p = ngx_loyalty_redis_parameters; p->name.len; p++) {

        if (arg->len < p->name.len
            || ngx_strncmp(arg->data, p->name.data, p->name.len) != 0)
        {
            continue;
        }

        name.data = p->name.data;
        name.len = p->name.len - 1;
        value.data = arg->data + p->name.len;
        value.len = arg->len - p->name.len;

        if (value.len == 0) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "parameter \"%V\" of \"loyalty_redis\" has no "
                               "value, write %VVALUE or leave it out",
                               &name, &p->name);
            return NGX_ERROR;
        }

        return p->set(cf, &name, &value, (u_char *) rcf + p->offset);
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "unknown parameter \"%V\" of \"loyalty_redis\", known "
                       "are cluster, db, user, password_file, prefix, "
                       "timeout, sentinel, tls, tls_ca, tls_cert, tls_key and "
                       "tls_name", arg);

    return NGX_ERROR;
}


static ngx_int_t
ngx_loyalty_redis_set_str(ngx_conf_t *cf, ngx_str_t *name, ngx_str_t *value,
    void *field)
{
    *(ngx_str_t *) field = *value;

    return NGX_OK;
}


static ngx_int_t
ngx_loyalty_redis_set_flag(ngx_conf_t *cf, ngx_str_t *name, ngx_str_t *value,
    void *field)
{
    ngx_flag_t  *flag = field;

    if (value->len == 2 && ngx_strncmp(value->data, "on", 2) == 0) {
        *flag = 1;
        return NGX_OK;
    }

    if (value->len == 3 && ngx_strncmp(value->data, "off", 3) == 0) {
        *flag = 0;
        return NGX_OK;
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "parameter \"%V\" of \"loyalty_redis\" is \"%V\", it "
                       "must be \"on\" or \"off\"", name, value);

    return NGX_ERROR;
}


static ngx_int_t
ngx_loyalty_redis_set_db(ngx_conf_t *cf, ngx_str_t *name, ngx_str_t *value,
    void *field)
{
    ngx_int_t  *db = field;

    *db = ngx_atoi(value->data, value->len);

    if (*db == NGX_ERROR) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "database \"%V\" of \"loyalty_redis\" is not a "
                           "number from 0 up", value);
        return NGX_ERROR;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_loyalty_redis_set_timeout(ngx_conf_t *cf, ngx_str_t *name,
    ngx_str_t *value, void *field)
{
    ngx_int_t    msec;
    ngx_msec_t  *timeout = field;

    msec = ngx_parse_time(value, 0);

    if (msec == NGX_ERROR || msec == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "timeout \"%V\" of \"loyalty_redis\" must be a "
                           "time of at least 1ms, such as 50ms", value);
        return NGX_ERROR;
    }

    *timeout = msec;

    return NGX_OK;
}


/* The prefix is part of every key and of the patterns that are tracked. */

static ngx_int_t
ngx_loyalty_redis_set_prefix(ngx_conf_t *cf, ngx_str_t *name, ngx_str_t *value,
    void *field)
{
    u_char      c;
    ngx_str_t  *prefix = field;
    ngx_uint_t  i;

    for (i = 0; i < value->len; i++) {
        c = value->data[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')
              || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.'))
        {
            break;
        }
    }

    if (i < value->len || value->len > LOYALTY_ID_MAX) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "prefix \"%V\" of \"loyalty_redis\" must be at "
                           "most %d letters, digits, \"_\", \"-\" and \".\"",
                           value, LOYALTY_ID_MAX);
        return NGX_ERROR;
    }

    *prefix = *value;

    return NGX_OK;
}


static ngx_int_t
ngx_loyalty_redis_set_password(ngx_conf_t *cf, ngx_str_t *name,
    ngx_str_t *value, void *field)
{
    ngx_str_t  *password = field;

    if (ngx_loyalty_conf_file(cf, "\"password_file\" of \"loyalty_redis\"",
                              value, LOYALTY_REDIS_PASSWORD_MAX, password)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    while (password->len > 0
           && (password->data[password->len - 1] == LF
               || password->data[password->len - 1] == CR))
    {
        password->len--;
    }

    if (password->len == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"password_file\" of \"loyalty_redis\" \"%V\" is "
                           "empty, put the password in it", value);
        return NGX_ERROR;
    }

    return NGX_OK;
}


static char *
ngx_loyalty_redis_check(ngx_conf_t *cf, ngx_loyalty_redis_conf_t *rcf)
{
    ngx_url_t                  u;
    ngx_str_t                 *addr;
    ngx_uint_t                 i;
    ngx_loyalty_redis_peer_t  *peer;

    if (rcf->addrs.nelts == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"loyalty_redis\" names no server, write a "
                           "HOST:PORT or a unix:PATH");
        return NGX_CONF_ERROR;
    }

    if (rcf->cluster && rcf->sentinel.len != 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"loyalty_redis\" has both \"cluster=on\" and "
                           "\"sentinel\", a cluster needs no sentinel: leave "
                           "one out");
        return NGX_CONF_ERROR;
    }

    if (rcf->cluster && rcf->db != 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"loyalty_redis\" has both \"cluster=on\" and "
                           "\"db=%i\", a cluster has no database but 0: leave "
                           "\"db\" out", rcf->db);
        return NGX_CONF_ERROR;
    }

    if (!rcf->tls
        && (rcf->tls_ca.len || rcf->tls_cert.len || rcf->tls_key.len
            || rcf->tls_name.len))
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"loyalty_redis\" has parameters of TLS without "
                           "\"tls=on\", add it or leave them out");
        return NGX_CONF_ERROR;
    }

    if ((rcf->tls_cert.len != 0) != (rcf->tls_key.len != 0)) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"loyalty_redis\" has only one of \"tls_cert\" "
                           "and \"tls_key\", it takes both");
        return NGX_CONF_ERROR;
    }

    if (rcf->user.len != 0 && rcf->password.len == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"loyalty_redis\" has \"user=%V\" and no "
                           "password, add password_file=FILE", &rcf->user);
        return NGX_CONF_ERROR;
    }

    addr = rcf->addrs.elts;

    for (i = 0; i < rcf->addrs.nelts; i++) {

        ngx_memzero(&u, sizeof(ngx_url_t));

        u.url = addr[i];
        u.no_resolve = 1;
        u.default_port = rcf->sentinel.len ? NGX_LOYALTY_REDIS_SENTINEL_PORT
                                           : NGX_LOYALTY_REDIS_PORT;

        if (ngx_parse_url(cf->pool, &u) != NGX_OK) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "address \"%V\" of \"loyalty_redis\" cannot be "
                               "used: %s; write HOST:PORT or unix:PATH",
                               &addr[i], u.err ? u.err : "out of memory");
            return NGX_CONF_ERROR;
        }

        if (u.family == AF_UNIX
            && (rcf->cluster || rcf->sentinel.len != 0 || rcf->tls))
        {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "address \"%V\" of \"loyalty_redis\" is a "
                               "unix socket, %s needs HOST:PORT", &addr[i],
                               rcf->tls ? "TLS"
                               : rcf->cluster ? "a cluster" : "a sentinel");
            return NGX_CONF_ERROR;
        }

        peer = ngx_array_push(&rcf->peers);
        if (peer == NULL) {
            return NGX_CONF_ERROR;
        }

        peer->pool = NULL;
        peer->name = addr[i];
        peer->host = u.host;
        peer->port = u.port;
        peer->naddrs = u.naddrs;
        peer->addrs = u.addrs;
    }

    return NGX_CONF_OK;
}


ngx_int_t
ngx_loyalty_redis_init_conf(ngx_conf_t *cf, ngx_loyalty_redis_conf_t *rcf)
{
    ngx_url_t                  u;
    ngx_uint_t                 i;
    ngx_loyalty_redis_peer_t  *peer;
    ngx_http_core_loc_conf_t  *clcf;

    if (rcf->addrs.elts == NULL) {
        return NGX_OK;
    }

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    /* without a directive nginx puts one there that knows no server */

    if (clcf->resolver != NULL && clcf->resolver->connections.nelts != 0) {
        rcf->resolver = clcf->resolver;
    }

    rcf->resolver_timeout = clcf->resolver_timeout == NGX_CONF_UNSET_MSEC
                            ? 30000 : clcf->resolver_timeout;

    peer = rcf->peers.elts;

    for (i = 0; i < rcf->peers.nelts; i++) {

        if (peer[i].naddrs != 0 || rcf->resolver != NULL) {
            continue;
        }

        ngx_memzero(&u, sizeof(ngx_url_t));

        u.url = peer[i].name;
        u.default_port = peer[i].port;

        if (ngx_parse_url(cf->pool, &u) != NGX_OK) {
            ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                          "address \"%V\" of \"loyalty_redis\" cannot be "
                          "used: %s; correct it, or name a \"resolver\" at "
                          "http level", &peer[i].name,
                          u.err ? u.err : "out of memory");
            return NGX_ERROR;
        }

        peer[i].naddrs = u.naddrs;
        peer[i].addrs = u.addrs;
    }

    if (rcf->tls) {
        return ngx_loyalty_redis_tls_conf(cf, rcf);
    }

    return NGX_OK;
}
