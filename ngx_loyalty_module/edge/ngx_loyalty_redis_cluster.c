/*
 * Redis Cluster: a link to each master, and which slot is whose.
 *
 *   key ── CRC16 of its {tag} ──► slot ──► node ──► link, tracking link
 *
 * The map is read (CLUSTER SLOTS) from whichever node answers, every second
 * and soon after a node is lost or says MOVED.  A MOVED changes its slot at
 * once.  Any change is a down of the tracker: what an entry was read from may
 * not be what tells of its changes now.
 *
 * Nodes of the configuration stay; others go when no map names them and no
 * ASK has led there for a while.  They are freed by the timer alone, never
 * from inside a reply.
 */


#include "ngx_loyalty_redis_internal.h"


#define NGX_LOYALTY_REDIS_MAP_SOON  100
#define NGX_LOYALTY_REDIS_KEEP      60000


static void ngx_loyalty_redis_node_up(ngx_loyalty_redis_link_t *link);
static void ngx_loyalty_redis_node_down(ngx_loyalty_redis_link_t *link);
static ngx_loyalty_redis_node_t *ngx_loyalty_redis_node(
    ngx_loyalty_redis_cluster_t *cluster, ngx_str_t *host, in_port_t port);
static ngx_loyalty_redis_node_t *ngx_loyalty_redis_node_add(
    ngx_loyalty_redis_cluster_t *cluster, ngx_loyalty_redis_peer_t *peer);
static void ngx_loyalty_redis_node_free(ngx_loyalty_redis_node_t *node);
static void ngx_loyalty_redis_node_promote(ngx_loyalty_redis_node_t *node);
static void ngx_loyalty_redis_node_serve(ngx_loyalty_redis_node_t *node);
static void ngx_loyalty_redis_map_soon(ngx_loyalty_redis_cluster_t *cluster);
static void ngx_loyalty_redis_map_timer(ngx_event_t *ev);
static void ngx_loyalty_redis_map_ask(ngx_loyalty_redis_link_t *link);
static void ngx_loyalty_redis_map_read(ngx_loyalty_redis_link_t *link,
    ngx_loyalty_redis_call_t *call, redisReply *reply);
static ngx_int_t ngx_loyalty_redis_map_range(
    ngx_loyalty_redis_cluster_t *cluster, ngx_loyalty_redis_link_t *link,
    redisReply *range);
static void ngx_loyalty_redis_map_apply(ngx_loyalty_redis_cluster_t *cluster);
static void ngx_loyalty_redis_map_moved(ngx_loyalty_redis_cluster_t *cluster);


static const ngx_loyalty_redis_role_t  ngx_loyalty_redis_node_role = {
    "Redis",
    1,
    ngx_loyalty_redis_greet,
    ngx_loyalty_redis_node_up,
    ngx_loyalty_redis_node_down,
    NULL,
    ngx_loyalty_redis_link_ping
};


ngx_int_t
ngx_loyalty_redis_cluster_start(ngx_loyalty_redis_t *redis)
{
    ngx_uint_t                    i;
    ngx_queue_t                  *q;
    ngx_loyalty_redis_node_t     *node;
    ngx_loyalty_redis_peer_t     *peers;
    ngx_loyalty_redis_cluster_t  *cluster;

    cluster = ngx_calloc(sizeof(ngx_loyalty_redis_cluster_t), redis->log);
    if (cluster == NULL) {
        return NGX_ERROR;
    }

    ngx_queue_init(&cluster->nodes);

    cluster->redis = redis;
    redis->cluster = cluster;

    cluster->timer.cancelable = 1;
    cluster->timer.handler = ngx_loyalty_redis_map_timer;
    cluster->timer.data = cluster;
    cluster->timer.log = redis->log;

    peers = redis->conf->peers.elts;

    for (i = 0; i < redis->conf->peers.nelts; i++) {
        node = ngx_loyalty_redis_node_add(cluster, &peers[i]);
        if (node == NULL) {
            return NGX_ERROR;
        }

        node->seed = 1;
    }

    for (q = ngx_queue_head(&cluster->nodes);
         q != ngx_queue_sentinel(&cluster->nodes);
         q = ngx_queue_next(q))
    {
        node = ngx_queue_data(q, ngx_loyalty_redis_node_t, queue);
        ngx_loyalty_redis_link_start(&node->link, node->peer);
    }

    ngx_add_timer(&cluster->timer, NGX_LOYALTY_REDIS_TICK);

    return NGX_OK;
}


void
ngx_loyalty_redis_cluster_stop(ngx_loyalty_redis_t *redis)
{
    ngx_queue_t                  *q;
    ngx_loyalty_redis_cluster_t  *cluster;

    cluster = redis->cluster;

    if (cluster->timer.timer_set) {
        ngx_del_timer(&cluster->timer);
    }

    while (!ngx_queue_empty(&cluster->nodes)) {
        q = ngx_queue_head(&cluster->nodes);
        ngx_loyalty_redis_node_free(ngx_queue_data(q, ngx_loyalty_redis_node_t,
                                                   queue));
    }

    ngx_free(cluster);
    redis->cluster = NULL;
}


ngx_int_t
ngx_loyalty_redis_cluster_route(ngx_loyalty_redis_cluster_t *cluster,
    ngx_int_t slot, ngx_loyalty_redis_link_t **link)
{
    ngx_int_t                  rc, any;
    ngx_queue_t               *q;
    ngx_loyalty_redis_node_t  *node;

    if (!cluster->known) {
        return cluster->redis->starting ? NGX_AGAIN : NGX_DECLINED;
    }

    if (slot >= 0) {
        node = cluster->slots[slot];
        return node ? ngx_loyalty_redis_node_route(node, link) : NGX_DECLINED;
    }

    any = NGX_DECLINED;

    for (q = ngx_queue_head(&cluster->nodes);
         q != ngx_queue_sentinel(&cluster->nodes);
         q = ngx_queue_next(q))
    {
        node = ngx_queue_data(q, ngx_loyalty_redis_node_t, queue);

        if (!node->master) {
            continue;
        }

        rc = ngx_loyalty_redis_node_route(node, link);

        if (rc == NGX_OK) {
            return NGX_OK;
        }

        if (rc == NGX_AGAIN) {
            any = NGX_AGAIN;
        }
    }

    return any;
}


/*
 *   MOVED 3999 127.0.0.1:6381       the slot is there now
 *   ASK 3999 127.0.0.1:6381         this key may be there already
 *
 * No host: that of the node which answered.
 */

ngx_int_t
ngx_loyalty_redis_cluster_redirect(ngx_loyalty_redis_op_t *op,
    redisReply *reply)
{
    u_char                       *p, *space, *colon, *end;
    ngx_int_t                     rc, slot, port;
    ngx_str_t                     host;
    ngx_uint_t                    moved;
    ngx_loyalty_redis_node_t     *node;
    ngx_loyalty_redis_link_t     *link;
    ngx_loyalty_redis_cluster_t  *cluster;

    cluster = op->redis->cluster;
    p = (u_char *) reply->str;
    end = p + reply->len;

    if (reply->len > 6 && ngx_memcmp(p, "MOVED ", 6) == 0) {
        moved = 1;
        p += 6;

    } else if (reply->len > 4 && ngx_memcmp(p, "ASK ", 4) == 0) {
        moved = 0;
        p += 4;

    } else {

        if (reply->len >= 11 && ngx_memcmp(p, "CLUSTERDOWN", 11) == 0) {
            ngx_loyalty_redis_map_soon(cluster);
        }

        return NGX_DECLINED;
    }

    space = ngx_strlchr(p, end, ' ');
    if (space == NULL) {
        return NGX_DECLINED;
    }

    for (colon = end - 1; colon > space && *colon != ':'; colon--) {
        /* void */
    }

    slot = ngx_atoi(p, space - p);
    port = ngx_atoi(colon + 1, end - colon - 1);

    host.data = space + 1;
    host.len = colon > space ? colon - space - 1 : 0;

    if (host.len == 0) {
        host = op->link->peer->host;
    }

    if (colon == space
        || slot < 0 || slot >= NGX_LOYALTY_REDIS_SLOTS
        || port < 1 || port > 65535)
    {
        return NGX_DECLINED;
    }

    node = ngx_loyalty_redis_node(cluster, &host, (in_port_t) port);
    if (node == NULL) {
        return NGX_DECLINED;
    }

    node->named = ngx_current_msec;

    if (moved) {

        if (cluster->slots[slot] != node) {
            cluster->slots[slot] = node;

            ngx_loyalty_redis_node_promote(node);
            ngx_loyalty_redis_map_moved(cluster);
            ngx_loyalty_redis_map_soon(cluster);
        }

    } else {
        op->ask = node;

        if (node->link.state == NGX_LOYALTY_REDIS_LINK_OFF) {
            ngx_loyalty_redis_link_start(&node->link, node->peer);
        }
    }

    if (op->command == NULL || op->redirects++ == LOYALTY_REDIS_REDIRECTS_MAX)
    {
        return NGX_DECLINED;
    }

    op->slot = slot;

    rc = ngx_loyalty_redis_op_route(op, &link);

    if (rc == NGX_AGAIN) {
        op->link = NULL;
        ngx_queue_insert_tail(&op->redis->waiting, &op->call.queue);
        return NGX_OK;
    }

    return rc == NGX_OK ? ngx_loyalty_redis_op_send(op, link) : NGX_DECLINED;
}


ngx_int_t
ngx_loyalty_redis_node_route(ngx_loyalty_redis_node_t *node,
    ngx_loyalty_redis_link_t **link)
{
    *link = &node->link;

    if (ngx_loyalty_redis_link_ready(*link)) {
        return NGX_OK;
    }

    /* one that was never reached may be, in a moment */

    switch ((*link)->state) {

    case NGX_LOYALTY_REDIS_LINK_RESOLVING:
    case NGX_LOYALTY_REDIS_LINK_CONNECTING:
    case NGX_LOYALTY_REDIS_LINK_GREETING:
        return (*link)->failures == 0 ? NGX_AGAIN : NGX_DECLINED;

    default:
        return NGX_DECLINED;
    }
}


ngx_uint_t
ngx_loyalty_redis_cluster_tracked(ngx_loyalty_redis_cluster_t *cluster)
{
    ngx_uint_t                 masters;
    ngx_queue_t               *q;
    ngx_loyalty_redis_node_t  *node;

    masters = 0;

    for (q = ngx_queue_head(&cluster->nodes);
         q != ngx_queue_sentinel(&cluster->nodes);
         q = ngx_queue_next(q))
    {
        node = ngx_queue_data(q, ngx_loyalty_redis_node_t, queue);

        if (!node->master) {
            continue;
        }

        if (node->track.link.state != NGX_LOYALTY_REDIS_LINK_UP) {
            return 0;
        }

        masters++;
    }

    return masters != 0;
}


void
ngx_loyalty_redis_cluster_track(ngx_loyalty_redis_cluster_t *cluster)
{
    ngx_queue_t               *q;
    ngx_loyalty_redis_node_t  *node;

    for (q = ngx_queue_head(&cluster->nodes);
         q != ngx_queue_sentinel(&cluster->nodes);
         q = ngx_queue_next(q))
    {
        node = ngx_queue_data(q, ngx_loyalty_redis_node_t, queue);

        if (node->master && node->link.state == NGX_LOYALTY_REDIS_LINK_UP) {
            ngx_loyalty_redis_track_follow(&node->track, &node->link);
        }
    }
}


/* What stands between the first { and the next }, if anything, else all. */

ngx_int_t
ngx_loyalty_redis_slot(ngx_str_t *key)
{
    u_char      *p, *end, *open, *close;
    uint16_t     crc;

    static const uint16_t  table[] = {     /* CRC-16/XMODEM, by half a byte */
        0x0000, 0x1021, 0x2042, 0x3063, 0x4084, 0x50a5, 0x60c6, 0x70e7,
        0x8108, 0x9129, 0xa14a, 0xb16b, 0xc18c, 0xd1ad, 0xe1ce, 0xf1ef
    };

    p = key->data;
    end = p + key->len;

    open = ngx_strlchr(p, end, '{');

    if (open != NULL) {
        close = ngx_strlchr(open + 1, end, '}');

        if (close != NULL && close > open + 1) {
            p = open + 1;
            end = close;
        }
    }

    for (crc = 0; p < end; p++) {
        crc = (uint16_t) (crc << 4) ^ table[(crc >> 12) ^ (*p >> 4)];
        crc = (uint16_t) (crc << 4) ^ table[(crc >> 12) ^ (*p & 0x0f)];
    }

    return crc % NGX_LOYALTY_REDIS_SLOTS;
}


static void
ngx_loyalty_redis_node_up(ngx_loyalty_redis_link_t *link)
{
    ngx_loyalty_redis_node_t  *node = link->data;

    if (node->master) {
        ngx_loyalty_redis_node_serve(node);
    }

    if (!link->redis->cluster->known) {
        ngx_loyalty_redis_map_ask(link);
    }

    ngx_loyalty_redis_pump(link->redis);
}


static void
ngx_loyalty_redis_node_down(ngx_loyalty_redis_link_t *link)
{
    ngx_loyalty_redis_node_t  *node = link->data;

    ngx_queue_t                  *q;
    ngx_loyalty_redis_cluster_t  *cluster;

    cluster = link->redis->cluster;
    node->reported = 0;

    ngx_loyalty_redis_map_soon(cluster);

    for (q = ngx_queue_head(&cluster->nodes);
         q != ngx_queue_sentinel(&cluster->nodes);
         q = ngx_queue_next(q))
    {
        node = ngx_queue_data(q, ngx_loyalty_redis_node_t, queue);

        if (node->link.state == NGX_LOYALTY_REDIS_LINK_UP
            || (node->link.failures == 0
                && (node->seed
                    || node->link.state != NGX_LOYALTY_REDIS_LINK_OFF)))
        {
            ngx_loyalty_redis_pump(link->redis);
            return;
        }
    }

    ngx_loyalty_redis_started(link->redis);
}


/* The node of that name, made if need be. */

static ngx_loyalty_redis_node_t *
ngx_loyalty_redis_node(ngx_loyalty_redis_cluster_t *cluster, ngx_str_t *host,
    in_port_t port)
{
    ngx_queue_t               *q;
    ngx_loyalty_redis_node_t  *node;
    ngx_loyalty_redis_peer_t  *peer;

    for (q = ngx_queue_head(&cluster->nodes);
         q != ngx_queue_sentinel(&cluster->nodes);
         q = ngx_queue_next(q))
    {
        node = ngx_queue_data(q, ngx_loyalty_redis_node_t, queue);

        if (ngx_loyalty_redis_peer_is(node->peer, host, port)) {
            return node;
        }
    }

    if (host->len == 0
        || host->len > LOYALTY_REDIS_HOST_MAX
        || cluster->nnodes == LOYALTY_REDIS_NODES_MAX)
    {
        return NULL;
    }

    peer = ngx_loyalty_redis_peer_create(host, port, cluster->redis->log);
    if (peer == NULL) {
        return NULL;
    }

    node = ngx_loyalty_redis_node_add(cluster, peer);
    if (node == NULL) {
        ngx_loyalty_redis_peer_destroy(peer);
    }

    return node;
}


static ngx_loyalty_redis_node_t *
ngx_loyalty_redis_node_add(ngx_loyalty_redis_cluster_t *cluster,
    ngx_loyalty_redis_peer_t *peer)
{
    ngx_loyalty_redis_node_t  *node;

    node = ngx_calloc(sizeof(ngx_loyalty_redis_node_t), cluster->redis->log);
    if (node == NULL) {
        return NULL;
    }

    node->peer = peer;
    node->named = ngx_current_msec;

    ngx_loyalty_redis_link_init(&node->link, cluster->redis,
                                &ngx_loyalty_redis_node_role, node);
    ngx_loyalty_redis_track_init(&node->track, cluster->redis);

    ngx_queue_insert_tail(&cluster->nodes, &node->queue);
    cluster->nnodes++;

    return node;
}


static void
ngx_loyalty_redis_node_free(ngx_loyalty_redis_node_t *node)
{
    node->link.redis->cluster->nnodes--;
    ngx_queue_remove(&node->queue);

    ngx_loyalty_redis_link_stop(&node->track.link);
    ngx_loyalty_redis_link_stop(&node->link);

    ngx_loyalty_redis_peer_destroy(node->peer);
    ngx_free(node);
}


static void
ngx_loyalty_redis_node_promote(ngx_loyalty_redis_node_t *node)
{
    if (node->master) {
        return;
    }

    node->master = 1;

    if (node->link.state == NGX_LOYALTY_REDIS_LINK_OFF) {
        ngx_loyalty_redis_link_start(&node->link, node->peer);

    } else if (node->link.state == NGX_LOYALTY_REDIS_LINK_UP) {
        ngx_loyalty_redis_node_serve(node);
    }
}


/* A master is there: follow its changes, and say so. */

static void
ngx_loyalty_redis_node_serve(ngx_loyalty_redis_node_t *node)
{
    if (node->reported) {
        return;
    }

    node->reported = 1;

    ngx_loyalty_redis_track_follow(&node->track, &node->link);
    ngx_loyalty_redis_report(&node->link);
}


static void
ngx_loyalty_redis_map_soon(ngx_loyalty_redis_cluster_t *cluster)
{
    ngx_event_t  *ev;

    ev = &cluster->timer;

    if (ev->timer_set) {

        if ((ngx_msec_int_t) (ev->timer.key - ngx_current_msec)
            <= NGX_LOYALTY_REDIS_MAP_SOON)
        {
            return;
        }

        ngx_del_timer(ev);
    }

    ngx_add_timer(ev, NGX_LOYALTY_REDIS_MAP_SOON);
}


static void
ngx_loyalty_redis_map_timer(ngx_event_t *ev)
{
    ngx_loyalty_redis_cluster_t  *cluster = ev->data;

    ngx_uint_t                 i, n;
    ngx_queue_t               *q;
    ngx_loyalty_redis_node_t  *node, *asked;

    ngx_add_timer(&cluster->timer, NGX_LOYALTY_REDIS_TICK);

    asked = NULL;
    n = cluster->nnodes;

    for (i = 0; i < n; i++) {
        q = ngx_queue_head(&cluster->nodes);
        node = ngx_queue_data(q, ngx_loyalty_redis_node_t, queue);

        if (!node->seed
            && !node->master
            && (node->link.state == NGX_LOYALTY_REDIS_LINK_OFF
                || ngx_current_msec - node->named > NGX_LOYALTY_REDIS_KEEP)
            && ngx_queue_empty(&cluster->redis->waiting))
        {
            ngx_loyalty_redis_node_free(node);
            continue;
        }

        /* in turns, so that no one node's view is all there is */

        ngx_queue_remove(q);
        ngx_queue_insert_tail(&cluster->nodes, q);

        if (ngx_loyalty_redis_link_ready(&node->link)) {
            asked = node;
            break;
        }
    }

    if (asked != NULL) {
        ngx_loyalty_redis_map_ask(&asked->link);
    }
}


static void
ngx_loyalty_redis_map_ask(ngx_loyalty_redis_link_t *link)
{
    static ngx_str_t  args[] = {
        ngx_string("CLUSTER"),
        ngx_string("SLOTS")
    };

    ngx_loyalty_redis_link_ask(link, ngx_loyalty_redis_map_read, 2, args);
}


/* [ [ first, last, [ host, port, ... ], replicas ... ], ... ] */

static void
ngx_loyalty_redis_map_read(ngx_loyalty_redis_link_t *link,
    ngx_loyalty_redis_call_t *call, redisReply *reply)
{
    size_t                        i;
    ngx_queue_t                  *q;
    ngx_loyalty_redis_node_t     *node;
    ngx_loyalty_redis_cluster_t  *cluster;

    cluster = link->redis->cluster;

    if (reply->type != REDIS_REPLY_ARRAY) {
        ngx_loyalty_redis_link_refused(link, "CLUSTER SLOTS", reply);
        return;
    }

    /* a node that is alone yet, or again, knows nothing of the others */

    if (reply->elements == 0) {
        return;
    }

    ngx_memzero(cluster->next, sizeof(cluster->next));

    for (q = ngx_queue_head(&cluster->nodes);
         q != ngx_queue_sentinel(&cluster->nodes);
         q = ngx_queue_next(q))
    {
        node = ngx_queue_data(q, ngx_loyalty_redis_node_t, queue);
        node->listed = 0;
    }

    for (i = 0; i < reply->elements; i++) {

        if (ngx_loyalty_redis_map_range(cluster, link, reply->element[i])
            != NGX_OK)
        {
            ngx_loyalty_redis_link_fail(link, NGX_LOYALTY_REDIS_PROTOCOL,
                                        "a map of slots that makes no sense");
            return;
        }
    }

    ngx_loyalty_redis_map_apply(cluster);
}


static ngx_int_t
ngx_loyalty_redis_map_range(ngx_loyalty_redis_cluster_t *cluster,
    ngx_loyalty_redis_link_t *link, redisReply *range)
{
    long long                  first, last;
    ngx_str_t                  host;
    redisReply                *owner;
    ngx_loyalty_redis_node_t  *node;

    if (range->type != REDIS_REPLY_ARRAY
        || range->elements < 3
        || range->element[0]->type != REDIS_REPLY_INTEGER
        || range->element[1]->type != REDIS_REPLY_INTEGER
        || range->element[2]->type != REDIS_REPLY_ARRAY)
    {
        return NGX_ERROR;
    }

    first = range->element[0]->integer;
    last = range->element[1]->integer;
    owner = range->element[2];

    if (first < 0 || last < first || last >= NGX_LOYALTY_REDIS_SLOTS
        || owner->elements < 2
        || owner->element[1]->type != REDIS_REPLY_INTEGER
        || owner->element[1]->integer < 1
        || owner->element[1]->integer > 65535)
    {
        return NGX_ERROR;
    }

    if (owner->element[0]->type == REDIS_REPLY_STRING
        && owner->element[0]->len != 0)
    {
        host.data = (u_char *) owner->element[0]->str;
        host.len = owner->element[0]->len;

    } else {
        host = link->peer->host;
    }

    /* a master whose name the node does not know yet */

    if (host.len == 1 && host.data[0] == '?') {
        return NGX_OK;
    }

    node = ngx_loyalty_redis_node(cluster, &host,
                                  (in_port_t) owner->element[1]->integer);
    if (node == NULL) {
        return NGX_ERROR;
    }

    node->listed = 1;
    node->named = ngx_current_msec;

    for ( /* void */ ; first <= last; first++) {
        cluster->next[first] = node;
    }

    return NGX_OK;
}


static void
ngx_loyalty_redis_map_apply(ngx_loyalty_redis_cluster_t *cluster)
{
    ngx_uint_t                 changed;
    ngx_queue_t               *q;
    ngx_loyalty_redis_node_t  *node;

    changed = ngx_memcmp(cluster->slots, cluster->next,
                         sizeof(cluster->slots)) != 0;

    ngx_memcpy(cluster->slots, cluster->next, sizeof(cluster->slots));

    for (q = ngx_queue_head(&cluster->nodes);
         q != ngx_queue_sentinel(&cluster->nodes);
         q = ngx_queue_next(q))
    {
        node = ngx_queue_data(q, ngx_loyalty_redis_node_t, queue);

        if (node->listed) {
            ngx_loyalty_redis_node_promote(node);
            continue;
        }

        if (node->master) {
            node->master = 0;
            node->reported = 0;
            ngx_loyalty_redis_link_stop(&node->track.link);
        }
    }

    if (changed && cluster->known) {
        ngx_log_error(NGX_LOG_NOTICE, cluster->redis->log, 0,
                      "loyalty: slots of the Redis cluster have moved, "
                      "entries are read again");
        ngx_loyalty_redis_map_moved(cluster);
    }

    cluster->known = 1;

    ngx_loyalty_redis_track_check(cluster->redis);
    ngx_loyalty_redis_started(cluster->redis);
}


static void
ngx_loyalty_redis_map_moved(ngx_loyalty_redis_cluster_t *cluster)
{
    ngx_loyalty_redis_t  *redis;

    redis = cluster->redis;

    if (redis->tracking) {
        redis->tracking = 0;
        redis->tracker.down(redis->tracker.data);
    }

    ngx_loyalty_redis_track_check(redis);
}
