/*
 * Servers that are not in the configuration: a sentinel or a cluster names
 * them, by address or by name.
 */


#include "ngx_loyalty_redis_internal.h"


ngx_loyalty_redis_peer_t *
ngx_loyalty_redis_peer_create(ngx_str_t *host, in_port_t port, ngx_log_t *log)
{
    u_char                    *p;
    size_t                     len;
    ngx_addr_t                *addr;
    ngx_pool_t                *pool;
    ngx_loyalty_redis_peer_t  *peer;

    pool = ngx_create_pool(1024, log);
    if (pool == NULL) {
        return NULL;
    }

    len = host->len + sizeof("[]:65535") - 1;

    peer = ngx_pcalloc(pool, sizeof(ngx_loyalty_redis_peer_t));
    addr = ngx_pcalloc(pool, sizeof(ngx_addr_t));
    p = ngx_pnalloc(pool, host->len + len);

    if (peer == NULL || addr == NULL || p == NULL) {
        ngx_destroy_pool(pool);
        return NULL;
    }

    peer->pool = pool;
    peer->port = port;
    peer->host.len = host->len;
    peer->host.data = p;

    p = ngx_cpymem(p, host->data, host->len);

    peer->name.data = p;

    if (ngx_strlchr(host->data, host->data + host->len, ':') != NULL) {
        peer->name.len = ngx_sprintf(p, "[%V]:%ui", host, (ngx_uint_t) port)
                         - p;
    } else {
        peer->name.len = ngx_sprintf(p, "%V:%ui", host, (ngx_uint_t) port)
                         - p;
    }

    if (ngx_parse_addr(pool, addr, peer->host.data, peer->host.len) == NGX_OK)
    {
        ngx_inet_set_port(addr->sockaddr, port);
        addr->name = peer->name;

        peer->naddrs = 1;
        peer->addrs = addr;
    }

    return peer;
}


void
ngx_loyalty_redis_peer_destroy(ngx_loyalty_redis_peer_t *peer)
{
    if (peer->pool != NULL) {
        ngx_destroy_pool(peer->pool);
    }
}


ngx_uint_t
ngx_loyalty_redis_peer_is(ngx_loyalty_redis_peer_t *peer, ngx_str_t *host,
    in_port_t port)
{
    return peer->port == port
           && peer->host.len == host->len
           && ngx_strncasecmp(peer->host.data, host->data, host->len) == 0;
}


ngx_uint_t
ngx_loyalty_redis_next_peer(ngx_loyalty_redis_link_t *link)
{
    ngx_uint_t                 i;
    ngx_array_t               *array;
    ngx_loyalty_redis_peer_t  *peers;

    array = &link->redis->conf->peers;
    peers = array->elts;

    i = link->peer - peers;
    link->peer = &peers[(i + 1) % array->nelts];

    return array->nelts;
}


ngx_uint_t
ngx_loyalty_redis_is_address(ngx_str_t *host)
{
    if (ngx_inet_addr(host->data, host->len) != INADDR_NONE) {
        return 1;
    }

    return ngx_strlchr(host->data, host->data + host->len, ':') != NULL;
}
