/*
 * The client: callers' commands, and which link takes them.
 *
 * An op is a command on its way.  It belongs to a link until the reply comes,
 * whether the caller still wants it or not, since replies come in the order
 * of the commands.  Before the first connection has come up or failed ops
 * wait; later, without a link, commands are declined at once.
 */


#include "ngx_loyalty_redis_internal.h"


static ngx_int_t ngx_loyalty_redis_route(ngx_loyalty_redis_t *redis,
    ngx_int_t slot, ngx_loyalty_redis_link_t **link);
static void ngx_loyalty_redis_asked(ngx_loyalty_redis_link_t *link,
    ngx_loyalty_redis_call_t *call, redisReply *reply);
static void ngx_loyalty_redis_op_reply(ngx_loyalty_redis_link_t *link,
    ngx_loyalty_redis_call_t *call, redisReply *reply);
static void ngx_loyalty_redis_op_timeout(ngx_event_t *ev);
static ngx_loyalty_redis_op_t *ngx_loyalty_redis_op_get(
    ngx_loyalty_redis_t *redis);
static void ngx_loyalty_redis_op_free(ngx_loyalty_redis_op_t *op);
static void ngx_loyalty_redis_main_greet(ngx_loyalty_redis_link_t *link);
static void ngx_loyalty_redis_main_up(ngx_loyalty_redis_link_t *link);
static void ngx_loyalty_redis_main_down(ngx_loyalty_redis_link_t *link);
static void ngx_loyalty_redis_main_role(ngx_loyalty_redis_link_t *link,
    ngx_loyalty_redis_call_t *call, redisReply *reply);
static void ngx_loyalty_redis_main_info(ngx_loyalty_redis_link_t *link,
    ngx_loyalty_redis_call_t *call, redisReply *reply);
static void ngx_loyalty_redis_main_pong(ngx_loyalty_redis_link_t *link,
    ngx_loyalty_redis_call_t *call, redisReply *reply);


static ngx_str_t  ngx_loyalty_redis_ping[] = { ngx_string("PING") };
static ngx_str_t  ngx_loyalty_redis_ask_role[] = { ngx_string("ROLE") };
static ngx_str_t  ngx_loyalty_redis_ask_info[] = {
    ngx_string("INFO"),
    ngx_string("server")
};


static const ngx_loyalty_redis_role_t  ngx_loyalty_redis_main_role_s = {
    "Redis",
    1,
    ngx_loyalty_redis_main_greet,
    ngx_loyalty_redis_main_up,
    ngx_loyalty_redis_main_down,
    NULL,
    ngx_loyalty_redis_link_ping
};


ngx_loyalty_redis_t *
ngx_loyalty_redis_create(ngx_cycle_t *cycle, ngx_loyalty_redis_conf_t *conf)
{
    ngx_loyalty_redis_t  *redis;

    redis = ngx_calloc(sizeof(ngx_loyalty_redis_t), cycle->log);
    if (redis == NULL) {
        return NULL;
    }

    redis->conf = conf;
    redis->log = cycle->log;
    redis->starting = 1;

    ngx_queue_init(&redis->waiting);
    ngx_queue_init(&redis->free);

    ngx_loyalty_redis_link_init(&redis->main, redis,
                                &ngx_loyalty_redis_main_role_s, NULL);

    ngx_loyalty_redis_track_init(&redis->track, redis);

    if (conf->cluster) {
        if (ngx_loyalty_redis_cluster_start(redis) != NGX_OK) {
            ngx_loyalty_redis_close(redis);
            return NULL;
        }

    } else if (conf->sentinel.len != 0) {
        ngx_loyalty_redis_sentinel_start(redis);

    } else {
        ngx_loyalty_redis_link_start(&redis->main, conf->peers.elts);
    }

    return redis;
}


void
ngx_loyalty_redis_close(ngx_loyalty_redis_t *redis)
{
    ngx_queue_t             *q;
    ngx_loyalty_redis_op_t  *op;

    redis->closing = 1;

    ngx_loyalty_redis_link_stop(&redis->track.link);
    ngx_loyalty_redis_link_stop(&redis->main);

    if (redis->cluster != NULL) {
        ngx_loyalty_redis_cluster_stop(redis);

    } else if (redis->conf->sentinel.len != 0) {
        ngx_loyalty_redis_sentinel_stop(redis);
    }

    while (!ngx_queue_empty(&redis->waiting)) {
        q = ngx_queue_head(&redis->waiting);
        ngx_queue_remove(q);

        op = ngx_queue_data(q, ngx_loyalty_redis_op_t, call.queue);
        ngx_loyalty_redis_op_end(op, NGX_LOYALTY_REDIS_LOST, NULL);
    }

    while (!ngx_queue_empty(&redis->free)) {
        q = ngx_queue_head(&redis->free);
        ngx_queue_remove(q);

        ngx_free(ngx_queue_data(q, ngx_loyalty_redis_op_t, call.queue));
    }

    ngx_free(redis);
}


ngx_int_t
ngx_loyalty_redis_send(ngx_loyalty_redis_t *redis,
    ngx_loyalty_redis_command_t *cmd, ngx_uint_t argc, ngx_str_t *argv,
    ngx_uint_t key)
{
    ngx_int_t                  rc, len, slot;
    ngx_loyalty_redis_op_t    *op;
    ngx_loyalty_redis_link_t  *link;

    slot = -1;

    if (redis->cluster != NULL && key != 0 && key < argc) {
        slot = ngx_loyalty_redis_slot(&argv[key]);
    }

    rc = ngx_loyalty_redis_route(redis, slot, &link);
    if (rc == NGX_DECLINED) {
        return NGX_DECLINED;
    }

    op = ngx_loyalty_redis_op_get(redis);
    if (op == NULL) {
        return NGX_ERROR;
    }

    len = ngx_loyalty_redis_format(redis, &op->text, argc, argv);
    if (len < 0) {
        op->text = NULL;
        ngx_loyalty_redis_op_free(op);
        return NGX_ERROR;
    }

    op->len = len;
    op->slot = slot;
    op->redirects = 0;
    op->ask = NULL;

    if (rc == NGX_AGAIN) {
        op->link = NULL;
        ngx_queue_insert_tail(&redis->waiting, &op->call.queue);

    } else if (ngx_loyalty_redis_op_send(op, link) != NGX_OK) {
        ngx_loyalty_redis_op_free(op);
        return NGX_ERROR;
    }

    op->command = cmd;
    cmd->op = op;

    ngx_add_timer(&op->timer, cmd->timeout ? cmd->timeout
                                           : redis->conf->timeout);

    return NGX_OK;
}


void
ngx_loyalty_redis_cancel(ngx_loyalty_redis_command_t *cmd)
{
    ngx_loyalty_redis_op_t  *op = cmd->op;

    if (op == NULL) {
        return;
    }

    cmd->op = NULL;
    op->command = NULL;

    if (op->timer.timer_set) {
        ngx_del_timer(&op->timer);
    }

    if (op->link == NULL) {
        ngx_queue_remove(&op->call.queue);
        ngx_loyalty_redis_op_free(op);
        return;
    }

    /* A caller that waits no longer has often waited for too long. */

    ngx_loyalty_redis_link_overdue(op->link);
}


ngx_uint_t
ngx_loyalty_redis_up(ngx_loyalty_redis_t *redis)
{
    ngx_loyalty_redis_link_t  *link;

    return ngx_loyalty_redis_route(redis, -1, &link) == NGX_OK;
}


void
ngx_loyalty_redis_on_connect(ngx_loyalty_redis_t *redis,
    ngx_loyalty_redis_connect_pt handler, void *data)
{
    ngx_loyalty_redis_listener_t  *listener;

    if (redis->nlisteners == NGX_LOYALTY_REDIS_LISTENERS) {
        ngx_log_error(NGX_LOG_ALERT, redis->log, 0,
                      "loyalty: more than %d listen to connections",
                      NGX_LOYALTY_REDIS_LISTENERS);
        return;
    }

    listener = &redis->listeners[redis->nlisteners++];
    listener->handler = handler;
    listener->data = data;
}


static ngx_int_t
ngx_loyalty_redis_route(ngx_loyalty_redis_t *redis, ngx_int_t slot,
    ngx_loyalty_redis_link_t **link)
{
    if (redis->cluster != NULL) {
        return ngx_loyalty_redis_cluster_route(redis->cluster, slot, link);
    }

    *link = &redis->main;

    if (ngx_loyalty_redis_link_ready(*link)) {
        return NGX_OK;
    }

    return redis->starting ? NGX_AGAIN : NGX_DECLINED;
}


void
ngx_loyalty_redis_pump(ngx_loyalty_redis_t *redis)
{
    ngx_int_t                  rc;
    ngx_queue_t                waiting, *q;
    ngx_loyalty_redis_op_t    *op;
    ngx_loyalty_redis_link_t  *link;

    if (ngx_queue_empty(&redis->waiting)) {
        return;
    }

    ngx_queue_init(&waiting);
    ngx_queue_add(&waiting, &redis->waiting);
    ngx_queue_init(&redis->waiting);

    while (!ngx_queue_empty(&waiting)) {
        q = ngx_queue_head(&waiting);
        ngx_queue_remove(q);

        op = ngx_queue_data(q, ngx_loyalty_redis_op_t, call.queue);

        rc = ngx_loyalty_redis_op_route(op, &link);

        if (rc == NGX_AGAIN) {
            ngx_queue_insert_tail(&redis->waiting, q);

        } else if (rc == NGX_DECLINED
                   || ngx_loyalty_redis_op_send(op, link) != NGX_OK)
        {
            ngx_loyalty_redis_op_end(op, NGX_LOYALTY_REDIS_LOST, NULL);
        }
    }
}


ngx_int_t
ngx_loyalty_redis_op_route(ngx_loyalty_redis_op_t *op,
    ngx_loyalty_redis_link_t **link)
{
    if (op->ask != NULL) {
        return ngx_loyalty_redis_node_route(op->ask, link);
    }

    return ngx_loyalty_redis_route(op->redis, op->slot, link);
}


ngx_int_t
ngx_loyalty_redis_op_send(ngx_loyalty_redis_op_t *op,
    ngx_loyalty_redis_link_t *link)
{
    static ngx_str_t  asking[] = { ngx_string("ASKING") };

    if (op->ask != NULL) {
        op->ask = NULL;
        ngx_loyalty_redis_link_ask(link, ngx_loyalty_redis_asked, 1, asking);

        if (!ngx_loyalty_redis_link_ready(link)) {
            return NGX_ERROR;
        }
    }

    op->link = link;

    if (ngx_loyalty_redis_link_send(link, &op->call, op->text, op->len)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    /* in a cluster it may have to go to another node */

    if (op->redis->cluster == NULL) {
        ngx_free(op->text);
        op->text = NULL;
    }

    return NGX_OK;
}


/* The command behind it tells what came of it. */

static void
ngx_loyalty_redis_asked(ngx_loyalty_redis_link_t *link,
    ngx_loyalty_redis_call_t *call, redisReply *reply)
{
}


static void
ngx_loyalty_redis_op_reply(ngx_loyalty_redis_link_t *link,
    ngx_loyalty_redis_call_t *call, redisReply *reply)
{
    ngx_loyalty_redis_op_t  *op = (ngx_loyalty_redis_op_t *) call;

    ngx_uint_t  readonly;

    if (reply == NULL) {
        ngx_loyalty_redis_op_end(op, NGX_LOYALTY_REDIS_LOST, NULL);
        return;
    }

    if (reply->type == REDIS_REPLY_ERROR
        && link->redis->cluster != NULL
        && ngx_loyalty_redis_cluster_redirect(op, reply) == NGX_OK)
    {
        return;
    }

    readonly = (reply->type == REDIS_REPLY_ERROR
                && reply->len >= 8
                && ngx_memcmp(reply->str, "READONLY", 8) == 0);

    ngx_loyalty_redis_op_end(op, NGX_LOYALTY_REDIS_OK, reply);

    if (readonly) {
        ngx_loyalty_redis_link_fail(link, NGX_LOYALTY_REDIS_REFUSED,
                                    "it takes no writes, so it is no master");
    }
}


/* The op is not in a queue any more. */

void
ngx_loyalty_redis_op_end(ngx_loyalty_redis_op_t *op,
    ngx_loyalty_redis_result_e result, redisReply *reply)
{
    ngx_loyalty_redis_t          *redis;
    ngx_loyalty_redis_command_t  *command;

    redis = op->redis;
    command = op->command;

    ngx_loyalty_redis_op_free(op);

    if (command != NULL) {
        command->op = NULL;

        if (!redis->closing) {
            command->handler(command, result, reply);
        }
    }
}


static void
ngx_loyalty_redis_op_timeout(ngx_event_t *ev)
{
    ngx_loyalty_redis_op_t  *op = ev->data;

    ngx_loyalty_redis_command_t  *command;

    command = op->command;
    command->op = NULL;
    op->command = NULL;

    if (op->link == NULL) {
        ngx_queue_remove(&op->call.queue);
        ngx_loyalty_redis_op_free(op);

    } else {
        ngx_loyalty_redis_link_overdue(op->link);
    }

    command->handler(command, NGX_LOYALTY_REDIS_TIMEOUT, NULL);
}


static ngx_loyalty_redis_op_t *
ngx_loyalty_redis_op_get(ngx_loyalty_redis_t *redis)
{
    ngx_queue_t             *q;
    ngx_loyalty_redis_op_t  *op;

    if (!ngx_queue_empty(&redis->free)) {
        q = ngx_queue_head(&redis->free);
        ngx_queue_remove(q);

        return ngx_queue_data(q, ngx_loyalty_redis_op_t, call.queue);
    }

    op = ngx_calloc(sizeof(ngx_loyalty_redis_op_t), redis->log);
    if (op == NULL) {
        return NULL;
    }

    op->redis = redis;
    op->call.handler = ngx_loyalty_redis_op_reply;
    op->timer.handler = ngx_loyalty_redis_op_timeout;
    op->timer.data = op;
    op->timer.log = redis->log;

    return op;
}


static void
ngx_loyalty_redis_op_free(ngx_loyalty_redis_op_t *op)
{
    if (op->timer.timer_set) {
        ngx_del_timer(&op->timer);
    }

    if (op->text != NULL) {
        ngx_free(op->text);
        op->text = NULL;
    }

    op->command = NULL;
    op->link = NULL;

    ngx_queue_insert_head(&op->redis->free, &op->call.queue);
}


static void
ngx_loyalty_redis_main_greet(ngx_loyalty_redis_link_t *link)
{
    ngx_loyalty_redis_conf_t  *conf;

    conf = link->redis->conf;

    if (conf->peers.nelts > 1 || conf->sentinel.len != 0) {
        ngx_loyalty_redis_link_ask(link, ngx_loyalty_redis_main_role, 1,
                                   ngx_loyalty_redis_ask_role);
    }

    ngx_loyalty_redis_greet(link);
}


void
ngx_loyalty_redis_greet(ngx_loyalty_redis_link_t *link)
{
    ngx_loyalty_redis_link_ask(link, ngx_loyalty_redis_main_info, 2,
                               ngx_loyalty_redis_ask_info);
    ngx_loyalty_redis_link_ask(link, ngx_loyalty_redis_main_pong, 1,
                               ngx_loyalty_redis_ping);
}


/* Of several servers the one that takes writes is ours. */

static void
ngx_loyalty_redis_main_role(ngx_loyalty_redis_link_t *link,
    ngx_loyalty_redis_call_t *call, redisReply *reply)
{
    ngx_str_t  role;

    if (reply->type != REDIS_REPLY_ARRAY
        || reply->elements == 0
        || reply->element[0]->type != REDIS_REPLY_STRING)
    {
        ngx_loyalty_redis_link_refused(link, "ROLE", reply);
        return;
    }

    role.len = ngx_min(reply->element[0]->len, 16);
    role.data = (u_char *) reply->element[0]->str;

    if (role.len != 6 || ngx_memcmp(role.data, "master", 6) != 0) {
        ngx_loyalty_redis_link_fail(link, NGX_LOYALTY_REDIS_REFUSED,
                                    "it is a %V, not a master", &role);
    }
}


/* A server whose rights do not include INFO has no run_id. */

static void
ngx_loyalty_redis_main_info(ngx_loyalty_redis_link_t *link,
    ngx_loyalty_redis_call_t *call, redisReply *reply)
{
    u_char  *p, *end;

    link->run_id_len = 0;

    if (reply->type != REDIS_REPLY_STRING) {
        return;
    }

    p = (u_char *) reply->str;
    end = p + reply->len;

    p = ngx_strnstr(p, "run_id:", reply->len);
    if (p == NULL) {
        return;
    }

    for (p += sizeof("run_id:") - 1; p < end; p++) {

        if (*p == CR || link->run_id_len == sizeof(link->run_id)) {
            break;
        }

        link->run_id[link->run_id_len++] = *p;
    }
}


/* A server that still loads its data refuses PING, not INFO. */

static void
ngx_loyalty_redis_main_pong(ngx_loyalty_redis_link_t *link,
    ngx_loyalty_redis_call_t *call, redisReply *reply)
{
    if (reply->type != REDIS_REPLY_STATUS) {
        ngx_loyalty_redis_link_refused(link, "PING", reply);
        return;
    }

    ngx_loyalty_redis_link_greeted(link);
}


static void
ngx_loyalty_redis_main_up(ngx_loyalty_redis_link_t *link)
{
    ngx_loyalty_redis_track_follow(&link->redis->track, link);
    ngx_loyalty_redis_report(link);
    ngx_loyalty_redis_started(link->redis);
}


static void
ngx_loyalty_redis_main_down(ngx_loyalty_redis_link_t *link)
{
    ngx_loyalty_redis_t  *redis;

    redis = link->redis;

    if (redis->conf->sentinel.len != 0) {
        ngx_loyalty_redis_sentinel_lost(redis);
        ngx_loyalty_redis_started(redis);

    } else if (link->failures >= ngx_loyalty_redis_next_peer(link)) {
        ngx_loyalty_redis_started(redis);
    }

    ngx_loyalty_redis_pump(redis);
}


void
ngx_loyalty_redis_report(ngx_loyalty_redis_link_t *link)
{
    ngx_str_t             run_id;
    ngx_uint_t            i;
    ngx_loyalty_redis_t  *redis;

    redis = link->redis;

    run_id.len = link->run_id_len;
    run_id.data = link->run_id;

    for (i = 0; i < redis->nlisteners; i++) {
        redis->listeners[i].handler(redis->listeners[i].data, &run_id);
    }
}


void
ngx_loyalty_redis_started(ngx_loyalty_redis_t *redis)
{
    redis->starting = 0;

    ngx_loyalty_redis_pump(redis);
}
