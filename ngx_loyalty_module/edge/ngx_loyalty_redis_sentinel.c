/*
 * Sentinel: which of the servers is the master.
 *
 * One connection to one sentinel, asked every second and whenever the master
 * is lost; another sentinel when that one is.  A new answer moves the client,
 * which then asks the server itself for its role.  Asking needs no
 * subscription, and finds out what a lost `+switch-master` would have said.
 */


#include "ngx_loyalty_redis_internal.h"


static void ngx_loyalty_redis_sentinel_up(ngx_loyalty_redis_link_t *link);
static void ngx_loyalty_redis_sentinel_down(ngx_loyalty_redis_link_t *link);
static void ngx_loyalty_redis_sentinel_tick(ngx_loyalty_redis_link_t *link);
static void ngx_loyalty_redis_sentinel_ask(ngx_loyalty_redis_link_t *link);
static void ngx_loyalty_redis_sentinel_answer(ngx_loyalty_redis_link_t *link,
    ngx_loyalty_redis_call_t *call, redisReply *reply);
static void ngx_loyalty_redis_sentinel_move(ngx_loyalty_redis_t *redis,
    ngx_str_t *host, in_port_t port);


static const ngx_loyalty_redis_role_t  ngx_loyalty_redis_sentinel_role = {
    "Sentinel",
    0,
    ngx_loyalty_redis_sentinel_ask,
    ngx_loyalty_redis_sentinel_up,
    ngx_loyalty_redis_sentinel_down,
    NULL,
    ngx_loyalty_redis_sentinel_tick
};


void
ngx_loyalty_redis_sentinel_start(ngx_loyalty_redis_t *redis)
{
    ngx_loyalty_redis_link_init(&redis->sentinel, redis,
                                &ngx_loyalty_redis_sentinel_role, NULL);
    ngx_loyalty_redis_link_start(&redis->sentinel, redis->conf->peers.elts);
}


void
ngx_loyalty_redis_sentinel_stop(ngx_loyalty_redis_t *redis)
{
    ngx_loyalty_redis_link_stop(&redis->sentinel);

    if (redis->master != NULL) {
        ngx_loyalty_redis_peer_destroy(redis->master);
        redis->master = NULL;
    }
}


void
ngx_loyalty_redis_sentinel_lost(ngx_loyalty_redis_t *redis)
{
    if (redis->sentinel.state == NGX_LOYALTY_REDIS_LINK_UP) {
        ngx_loyalty_redis_sentinel_tick(&redis->sentinel);
    }
}


static void
ngx_loyalty_redis_sentinel_tick(ngx_loyalty_redis_link_t *link)
{
    if (ngx_queue_empty(&link->calls)) {
        ngx_loyalty_redis_sentinel_ask(link);
    }
}


static void
ngx_loyalty_redis_sentinel_ask(ngx_loyalty_redis_link_t *link)
{
    ngx_str_t  args[3];

    ngx_str_set(&args[0], "SENTINEL");
    ngx_str_set(&args[1], "get-master-addr-by-name");
    args[2] = link->redis->conf->sentinel;

    ngx_loyalty_redis_link_ask(link, ngx_loyalty_redis_sentinel_answer, 3,
                               args);
}


static void
ngx_loyalty_redis_sentinel_answer(ngx_loyalty_redis_link_t *link,
    ngx_loyalty_redis_call_t *call, redisReply *reply)
{
    ngx_int_t    port;
    ngx_str_t    host;
    redisReply  *text;

    if (reply->type == REDIS_REPLY_ERROR
        && reply->len >= 6
        && ngx_memcmp(reply->str, "NOAUTH", 6) == 0
        && link->redis->conf->password.len != 0
        && !link->login)
    {
        /* sentinels have a password only where they were given one */

        link->login = 1;
        ngx_loyalty_redis_link_login(link);
        ngx_loyalty_redis_sentinel_ask(link);
        return;
    }

    if (reply->type == REDIS_REPLY_NIL) {
        ngx_loyalty_redis_link_fail(link, NGX_LOYALTY_REDIS_REFUSED,
                                    "it knows no master \"%V\"",
                                    &link->redis->conf->sentinel);
        return;
    }

    if (reply->type != REDIS_REPLY_ARRAY
        || reply->elements != 2
        || reply->element[0]->type != REDIS_REPLY_STRING
        || reply->element[1]->type != REDIS_REPLY_STRING)
    {
        ngx_loyalty_redis_link_refused(link, "SENTINEL", reply);
        return;
    }

    text = reply->element[0];
    host.data = (u_char *) text->str;
    host.len = text->len;

    text = reply->element[1];
    port = ngx_atoi((u_char *) text->str, text->len);

    if (host.len == 0 || host.len > LOYALTY_REDIS_HOST_MAX
        || port < 1 || port > 65535)
    {
        ngx_loyalty_redis_link_fail(link, NGX_LOYALTY_REDIS_PROTOCOL,
                                    "an address that is none");
        return;
    }

    if (link->state == NGX_LOYALTY_REDIS_LINK_GREETING) {
        ngx_loyalty_redis_link_greeted(link);
    }

    ngx_loyalty_redis_sentinel_move(link->redis, &host, (in_port_t) port);
}


static void
ngx_loyalty_redis_sentinel_move(ngx_loyalty_redis_t *redis, ngx_str_t *host,
    in_port_t port)
{
    ngx_loyalty_redis_peer_t  *master, *old;

    old = redis->master;

    if (old != NULL && ngx_loyalty_redis_peer_is(old, host, port)) {
        return;
    }

    master = ngx_loyalty_redis_peer_create(host, port, redis->log);
    if (master == NULL) {
        return;
    }

    if (old != NULL) {
        ngx_log_error(NGX_LOG_ERR, redis->log, 0,
                      "loyalty: the master \"%V\" has moved from %V to %V",
                      &redis->conf->sentinel, &old->name, &master->name);
    }

    redis->master = master;

    ngx_loyalty_redis_link_stop(&redis->track.link);
    ngx_loyalty_redis_track_check(redis);
    ngx_loyalty_redis_link_start(&redis->main, master);

    if (old != NULL) {
        ngx_loyalty_redis_peer_destroy(old);
    }
}


static void
ngx_loyalty_redis_sentinel_up(ngx_loyalty_redis_link_t *link)
{
}


static void
ngx_loyalty_redis_sentinel_down(ngx_loyalty_redis_link_t *link)
{
    ngx_uint_t  n;

    n = ngx_loyalty_redis_next_peer(link);

    /* no sentinel, and no master from an earlier one */

    if (link->failures >= n && link->redis->master == NULL) {
        ngx_loyalty_redis_started(link->redis);
    }
}
