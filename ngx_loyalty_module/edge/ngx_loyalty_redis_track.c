/*
 * Client tracking: Redis tells which members and programs change.
 *
 * One RESP2 connection tracks for itself.  It asks for its own id, redirects
 * the invalidations of the two prefixes to that id and subscribes to them:
 *
 *   CLIENT ID
 *   CLIENT TRACKING ON REDIRECT <id> BCAST PREFIX p:m: PREFIX p:p:
 *   SUBSCRIBE __redis__:invalidate
 *
 * One descriptor, one failure domain: were the messages to come by another
 * connection than the one that tracks, they would stop unnoticed with either.
 * A lost or silent link, or a message that makes no sense, is `down`.
 */


#include "ngx_loyalty_redis_internal.h"


static void ngx_loyalty_redis_track_greet(ngx_loyalty_redis_link_t *link);
static void ngx_loyalty_redis_track_id(ngx_loyalty_redis_link_t *link,
    ngx_loyalty_redis_call_t *call, redisReply *reply);
static void ngx_loyalty_redis_track_on(ngx_loyalty_redis_link_t *link,
    ngx_loyalty_redis_call_t *call, redisReply *reply);
static void ngx_loyalty_redis_track_subscribed(ngx_loyalty_redis_link_t *link,
    ngx_loyalty_redis_call_t *call, redisReply *reply);
static void ngx_loyalty_redis_track_refused(ngx_loyalty_redis_link_t *link,
    const char *command, redisReply *reply);
static void ngx_loyalty_redis_track_changed(ngx_loyalty_redis_link_t *link);
static void ngx_loyalty_redis_track_push(ngx_loyalty_redis_link_t *link,
    redisReply *reply);
static void ngx_loyalty_redis_track_tick(ngx_loyalty_redis_link_t *link);
static ngx_uint_t ngx_loyalty_redis_is(redisReply *reply, const char *text);


static const ngx_loyalty_redis_role_t  ngx_loyalty_redis_track_role = {
    "client tracking of Redis",
    1,
    ngx_loyalty_redis_track_greet,
    ngx_loyalty_redis_track_changed,
    ngx_loyalty_redis_track_changed,
    ngx_loyalty_redis_track_push,
    ngx_loyalty_redis_track_tick
};


static const char  ngx_loyalty_redis_channel[] = "__redis__:invalidate";


ngx_int_t
ngx_loyalty_redis_track(ngx_loyalty_redis_t *redis,
    ngx_loyalty_redis_tracker_t *tracker)
{
    redis->tracker = *tracker;

    if (redis->cluster != NULL) {
        ngx_loyalty_redis_cluster_track(redis->cluster);

    } else if (redis->main.state == NGX_LOYALTY_REDIS_LINK_UP) {
        ngx_loyalty_redis_track_follow(&redis->track, &redis->main);
    }

    return NGX_OK;
}


void
ngx_loyalty_redis_track_init(ngx_loyalty_redis_track_t *track,
    ngx_loyalty_redis_t *redis)
{
    ngx_loyalty_redis_link_init(&track->link, redis,
                                &ngx_loyalty_redis_track_role, track);
}


/*
 * To the very server that `link` has just reached: a name may have several,
 * and behind an address there may be another one than before.
 */

void
ngx_loyalty_redis_track_follow(ngx_loyalty_redis_track_t *track,
    ngx_loyalty_redis_link_t *link)
{
    if (link->redis->tracker.up == NULL) {
        return;
    }

    ngx_loyalty_redis_link_stop(&track->link);

    track->sockaddr = link->sockaddr;
    track->addr.sockaddr = &track->sockaddr.sockaddr;
    track->addr.socklen = link->socklen;
    track->addr.name = link->peer->name;

    track->peer.name = link->peer->name;
    track->peer.host = link->peer->host;
    track->peer.naddrs = 1;
    track->peer.addrs = &track->addr;

    ngx_loyalty_redis_link_start(&track->link, &track->peer);
    ngx_loyalty_redis_track_check(link->redis);
}


/* Tells the tracker if what it has been told last no longer holds. */

void
ngx_loyalty_redis_track_check(ngx_loyalty_redis_t *redis)
{
    ngx_uint_t  up;

    if (redis->tracker.up == NULL || redis->closing) {
        return;
    }

    up = redis->cluster ? ngx_loyalty_redis_cluster_tracked(redis->cluster)
                   : redis->track.link.state == NGX_LOYALTY_REDIS_LINK_UP;

    if (up == redis->tracking) {
        return;
    }

    redis->tracking = up;

    if (up) {
        redis->tracker.up(redis->tracker.data);

    } else {
        redis->tracker.down(redis->tracker.data);
    }
}


static void
ngx_loyalty_redis_track_greet(ngx_loyalty_redis_link_t *link)
{
    ngx_loyalty_redis_track_t  *track = link->data;

    static ngx_str_t  args[] = {
        ngx_string("CLIENT"),
        ngx_string("ID")
    };

    track->pinged = 0;
    track->untracked = 0;

    ngx_loyalty_redis_link_ask(link, ngx_loyalty_redis_track_id, 2, args);
}


static void
ngx_loyalty_redis_track_id(ngx_loyalty_redis_link_t *link,
    ngx_loyalty_redis_call_t *call, redisReply *reply)
{
    u_char      id[NGX_INT64_LEN];
    u_char      members[LOYALTY_ID_MAX + sizeof(":m:")];
    u_char      programs[LOYALTY_ID_MAX + sizeof(":p:")];
    ngx_str_t   args[10], *prefix;
    ngx_uint_t  n;

    if (reply->type != REDIS_REPLY_INTEGER) {
        ngx_loyalty_redis_track_refused(link, "CLIENT ID", reply);
        return;
    }

    prefix = &link->redis->conf->prefix;
    n = 0;

    ngx_str_set(&args[n], "CLIENT");
    n++;
    ngx_str_set(&args[n], "TRACKING");
    n++;
    ngx_str_set(&args[n], "ON");
    n++;
    ngx_str_set(&args[n], "REDIRECT");
    n++;

    args[n].data = id;
    args[n].len = ngx_sprintf(id, "%L", (int64_t) reply->integer) - id;
    n++;

    ngx_str_set(&args[n], "BCAST");
    n++;
    ngx_str_set(&args[n], "PREFIX");
    n++;

    args[n].data = members;
    args[n].len = ngx_sprintf(members, "%V:m:", prefix) - members;
    n++;

    ngx_str_set(&args[n], "PREFIX");
    n++;

    args[n].data = programs;
    args[n].len = ngx_sprintf(programs, "%V:p:", prefix) - programs;
    n++;

    ngx_loyalty_redis_link_ask(link, ngx_loyalty_redis_track_on, n, args);
}


static void
ngx_loyalty_redis_track_on(ngx_loyalty_redis_link_t *link,
    ngx_loyalty_redis_call_t *call, redisReply *reply)
{
    ngx_str_t  args[2];

    if (reply->type != REDIS_REPLY_STATUS) {
        ngx_loyalty_redis_track_refused(link, "CLIENT TRACKING", reply);
        return;
    }

    ngx_str_set(&args[0], "SUBSCRIBE");
    args[1].data = (u_char *) ngx_loyalty_redis_channel;
    args[1].len = sizeof(ngx_loyalty_redis_channel) - 1;

    ngx_loyalty_redis_link_ask(link, ngx_loyalty_redis_track_subscribed, 2,
                               args);
}


static void
ngx_loyalty_redis_track_subscribed(ngx_loyalty_redis_link_t *link,
    ngx_loyalty_redis_call_t *call, redisReply *reply)
{
    if (reply->type != REDIS_REPLY_ARRAY
        || reply->elements != 3
        || !ngx_loyalty_redis_is(reply->element[0], "subscribe")
        || !ngx_loyalty_redis_is(reply->element[1], ngx_loyalty_redis_channel))
    {
        ngx_loyalty_redis_link_refused(link, "SUBSCRIBE", reply);
        return;
    }

    ngx_loyalty_redis_link_greeted(link);
}


/*
 * "ERR ..." is a server that does not know the command, or not all of it; it
 * will not learn.  Other errors (NOPERM, LOADING) may go away.
 */

static void
ngx_loyalty_redis_track_refused(ngx_loyalty_redis_link_t *link,
    const char *command, redisReply *reply)
{
    ngx_str_t                   text;
    ngx_loyalty_redis_track_t  *track = link->data;

    if (reply->type != REDIS_REPLY_ERROR
        || reply->len < 4
        || ngx_memcmp(reply->str, "ERR ", 4) != 0)
    {
        ngx_loyalty_redis_link_refused(link, command, reply);
        return;
    }

    if (!track->told) {
        track->told = 1;

        text.data = (u_char *) reply->str;
        text.len = ngx_min(reply->len, NGX_LOYALTY_REDIS_REASON);

        ngx_log_error(NGX_LOG_ERR, link->redis->log, 0,
                      "loyalty: Redis at %V has no client tracking, changes "
                      "are seen when the ttl of an entry has passed: %s is "
                      "answered by \"%V\"", &link->peer->name, command, &text);
    }

    track->untracked = 1;

    ngx_loyalty_redis_link_greeted(link);
}


static void
ngx_loyalty_redis_track_changed(ngx_loyalty_redis_link_t *link)
{
    ngx_loyalty_redis_track_check(link->redis);
}


/*
 *   [ "message", channel, [ key, ... ] ]     changed or gone
 *   [ "message", channel, nil ]              all keys are gone
 *   [ "pong", "" ]                           PING while subscribed
 */

static void
ngx_loyalty_redis_track_push(ngx_loyalty_redis_link_t *link, redisReply *reply)
{
    size_t                        i;
    ngx_str_t                     key;
    redisReply                   *keys;
    ngx_loyalty_redis_track_t    *track = link->data;
    ngx_loyalty_redis_tracker_t  *tracker;

    if (link->state != NGX_LOYALTY_REDIS_LINK_UP
        || track->untracked
        || reply->type != REDIS_REPLY_ARRAY)
    {
        goto failed;
    }

    if (reply->elements == 2
        && ngx_loyalty_redis_is(reply->element[0], "pong"))
    {
        track->pinged = 0;
        return;
    }

    if (reply->elements != 3
        || !ngx_loyalty_redis_is(reply->element[0], "message")
        || !ngx_loyalty_redis_is(reply->element[1], ngx_loyalty_redis_channel))
    {
        goto failed;
    }

    tracker = &link->redis->tracker;
    keys = reply->element[2];

    if (keys->type == REDIS_REPLY_NIL) {
        tracker->flush(tracker->data);
        return;
    }

    if (keys->type != REDIS_REPLY_ARRAY) {
        goto failed;
    }

    for (i = 0; i < keys->elements; i++) {

        if (keys->element[i]->type != REDIS_REPLY_STRING) {
            goto failed;
        }

        key.data = (u_char *) keys->element[i]->str;
        key.len = keys->element[i]->len;

        tracker->invalidate(tracker->data, &key);
    }

    return;

failed:

    ngx_loyalty_redis_link_fail(link, NGX_LOYALTY_REDIS_PROTOCOL,
                                "a message that is no invalidation");
}


static void
ngx_loyalty_redis_track_tick(ngx_loyalty_redis_link_t *link)
{
    ngx_loyalty_redis_track_t  *track = link->data;

    static const char  ping[] = "*1\r\n$4\r\nPING\r\n";

    if (track->untracked) {
        ngx_loyalty_redis_link_ping(link);
        return;
    }

    if (track->pinged) {
        ngx_loyalty_redis_link_fail(link, NGX_LOYALTY_REDIS_UNANSWERED,
                                    "no answer to PING in %d ms",
                                    NGX_LOYALTY_REDIS_TICK);
        return;
    }

    track->pinged = 1;

    if (ngx_loyalty_redis_link_send(link, NULL, ping, sizeof(ping) - 1)
        != NGX_OK)
    {
        ngx_loyalty_redis_link_fail(link, NGX_LOYALTY_REDIS_UNREACHABLE,
                                    "out of memory");
    }
}


static ngx_uint_t
ngx_loyalty_redis_is(redisReply *reply, const char *text)
{
    size_t  len;

    len = ngx_strlen(text);

    return reply->type == REDIS_REPLY_STRING
           && reply->len == len
           && ngx_memcmp(reply->str, text, len) == 0;
}
