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
    ngx_loyalty_redis_link_t **link);
static void ngx_loyalty_redis_pump(ngx_loyalty_redis_t *redis);
static ngx_int_t ngx_loyalty_redis_op_send(ngx_loyalty_redis_op_t *op,
    ngx_loyalty_redis_link_t *link);
static void ngx_loyalty_redis_op_reply(ngx_loyalty_redis_link_t *link,
    ngx_loyalty_redis_call_t *call, redisReply *reply);
static void ngx_loyalty_redis_op_end(ngx_loyalty_redis_op_t *op,
    ngx_loyalty_redis_result_e result, redisReply *reply);
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

    ngx_loyalty_redis_link_start(&redis->main, conf->peers.elts);

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
    ngx_int_t                  rc, len;
    ngx_loyalty_redis_op_t    *op;
    ngx_loyalty_redis_link_t  *link;

    rc = ngx_loyalty_redis_route(redis, &link);
    if (rc == NGX_DECLINED) {
        return NGX_DECLINED;
    }

    op = ngx_loyalty_redis_op_get(redis);
    if (op == NULL) {
        return NGX_ERROR;
    }

    len = ngx_loyalty_redis_format(&op->text, argc, argv);
    if (len < 0) {
        op->text = NULL;
        ngx_loyalty_redis_op_free(op);
        return NGX_ERROR;
    }

    op->len = len;

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
    }
}


ngx_uint_t
ngx_loyalty_redis_up(ngx_loyalty_redis_t *redis)
{
    return ngx_loyalty_redis_link_ready(&redis->main);
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


/* NGX_OK: this link; NGX_AGAIN: wait; NGX_DECLINED: away. */

static ngx_int_t
ngx_loyalty_redis_route(ngx_loyalty_redis_t *redis,
    ngx_loyalty_redis_link_t **link)
{
    *link = &redis->main;

    if (ngx_loyalty_redis_link_ready(*link)) {
        return NGX_OK;
    }

    return redis->starting ? NGX_AGAIN : NGX_DECLINED;
}


/* Something changed: ops that wait go out, go on waiting, or end. */

static void
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

        rc = ngx_loyalty_redis_route(redis, &link);

        if (rc == NGX_AGAIN) {
            ngx_queue_insert_tail(&redis->waiting, q);

        } else if (rc == NGX_DECLINED
                   || ngx_loyalty_redis_op_send(op, link) != NGX_OK)
        {
            ngx_loyalty_redis_op_end(op, NGX_LOYALTY_REDIS_LOST, NULL);
        }
    }
}


static ngx_int_t
ngx_loyalty_redis_op_send(ngx_loyalty_redis_op_t *op,
    ngx_loyalty_redis_link_t *link)
{
    op->link = link;

    if (ngx_loyalty_redis_link_send(link, &op->call, op->text, op->len)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    redisFreeCommand(op->text);
    op->text = NULL;

    return NGX_OK;
}


static void
ngx_loyalty_redis_op_reply(ngx_loyalty_redis_link_t *link,
    ngx_loyalty_redis_call_t *call, redisReply *reply)
{
    ngx_loyalty_redis_op_t  *op = (ngx_loyalty_redis_op_t *) call;

    ngx_loyalty_redis_op_end(op, reply ? NGX_LOYALTY_REDIS_OK
                                       : NGX_LOYALTY_REDIS_LOST, reply);
}


/* The op is not in a queue any more. */

static void
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
        redisFreeCommand(op->text);
        op->text = NULL;
    }

    op->command = NULL;
    op->link = NULL;

    ngx_queue_insert_head(&op->redis->free, &op->call.queue);
}


static void
ngx_loyalty_redis_main_greet(ngx_loyalty_redis_link_t *link)
{
    if (link->redis->conf->peers.nelts > 1) {
        ngx_loyalty_redis_link_ask(link, ngx_loyalty_redis_main_role, 1,
                                   ngx_loyalty_redis_ask_role);
    }

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
    ngx_str_t             run_id;
    ngx_uint_t            i;
    ngx_loyalty_redis_t  *redis;

    redis = link->redis;
    redis->starting = 0;

    run_id.len = link->run_id_len;
    run_id.data = link->run_id;

    ngx_loyalty_redis_track_follow(&redis->track, link);

    for (i = 0; i < redis->nlisteners; i++) {
        redis->listeners[i].handler(redis->listeners[i].data, &run_id);
    }

    ngx_loyalty_redis_pump(redis);
}


static void
ngx_loyalty_redis_main_down(ngx_loyalty_redis_link_t *link)
{
    ngx_uint_t                 n;
    ngx_loyalty_redis_t       *redis;
    ngx_loyalty_redis_peer_t  *peers;

    redis = link->redis;
    peers = redis->conf->peers.elts;
    n = redis->conf->peers.nelts;

    redis->current = (redis->current + 1) % n;
    link->peer = &peers[redis->current];

    if (link->failures >= n) {
        redis->starting = 0;
    }

    ngx_loyalty_redis_pump(redis);
}
