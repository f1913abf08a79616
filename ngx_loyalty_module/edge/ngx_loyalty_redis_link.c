/*
 * A link: one connection to one server, kept up.
 *
 * What nginx would log of the connection is kept and becomes the reason in
 * the one line that a change of state is worth.
 */


#include "ngx_loyalty_redis_internal.h"
#include <ngx_event_connect.h>


static void ngx_loyalty_redis_link_open(ngx_loyalty_redis_link_t *link);
static void ngx_loyalty_redis_link_resolved(ngx_resolver_ctx_t *ctx);
static void ngx_loyalty_redis_link_connect(ngx_loyalty_redis_link_t *link);
static void ngx_loyalty_redis_link_close(ngx_loyalty_redis_link_t *link);
static void ngx_loyalty_redis_link_end_calls(ngx_loyalty_redis_link_t *link);
static void ngx_loyalty_redis_link_connecting(ngx_event_t *ev);
static void ngx_loyalty_redis_link_connected(ngx_loyalty_redis_link_t *link);
static void ngx_loyalty_redis_link_steady(ngx_loyalty_redis_link_t *link);
static void ngx_loyalty_redis_link_timer(ngx_event_t *ev);
static void ngx_loyalty_redis_link_authenticated(
    ngx_loyalty_redis_link_t *link, ngx_loyalty_redis_call_t *call,
    redisReply *reply);
static void ngx_loyalty_redis_link_selected(ngx_loyalty_redis_link_t *link,
    ngx_loyalty_redis_call_t *call, redisReply *reply);
static void ngx_loyalty_redis_link_writer(ngx_log_t *log, ngx_uint_t level,
    u_char *buf, size_t len);


void
ngx_loyalty_redis_link_init(ngx_loyalty_redis_link_t *link,
    ngx_loyalty_redis_t *redis, const ngx_loyalty_redis_role_t *role,
    void *data)
{
    ngx_memzero(link, sizeof(ngx_loyalty_redis_link_t));

    link->redis = redis;
    link->role = role;
    link->data = data;
    link->since = ngx_current_msec;
    link->login = (role->data && redis->conf->password.len != 0);

    ngx_queue_init(&link->calls);

    link->log.log_level = NGX_LOG_INFO;
    link->log.writer = ngx_loyalty_redis_link_writer;
    link->log.wdata = link;

    /* a worker that is leaving does not wait for us */
    link->timer.cancelable = 1;
    link->timer.handler = ngx_loyalty_redis_link_timer;
    link->timer.data = link;
    link->timer.log = redis->log;
}


void
ngx_loyalty_redis_link_start(ngx_loyalty_redis_link_t *link,
    ngx_loyalty_redis_peer_t *peer)
{
    ngx_loyalty_redis_link_stop(link);

    link->peer = peer;
    link->failures = 0;

    ngx_loyalty_redis_link_open(link);
}


void
ngx_loyalty_redis_link_stop(ngx_loyalty_redis_link_t *link)
{
    if (link->state == NGX_LOYALTY_REDIS_LINK_UP) {
        link->since = ngx_current_msec;
    }

    link->state = NGX_LOYALTY_REDIS_LINK_OFF;

    ngx_loyalty_redis_link_close(link);
    ngx_loyalty_redis_link_end_calls(link);
}


static void
ngx_loyalty_redis_link_open(ngx_loyalty_redis_link_t *link)
{
    ngx_addr_t                *addr;
    ngx_resolver_ctx_t        *ctx;
    ngx_loyalty_redis_conf_t  *conf;

    link->said_len = 0;

    if (link->peer->naddrs != 0) {
        addr = &link->peer->addrs[link->failures % link->peer->naddrs];
        ngx_memcpy(&link->sockaddr, addr->sockaddr, addr->socklen);
        link->socklen = addr->socklen;

        ngx_loyalty_redis_link_connect(link);
        return;
    }

    conf = link->redis->conf;
    link->state = NGX_LOYALTY_REDIS_LINK_RESOLVING;

    if (conf->resolver == NULL) {
        ngx_loyalty_redis_link_fail(link, NGX_LOYALTY_REDIS_UNREACHABLE,
                                    "the server goes by a name, and there is "
                                    "no \"resolver\" at http level");
        return;
    }

    ctx = ngx_resolve_start(conf->resolver, NULL);
    if (ctx == NULL || ctx == NGX_NO_RESOLVER) {
        ngx_loyalty_redis_link_fail(link, NGX_LOYALTY_REDIS_UNREACHABLE,
                                    "the resolver does not start");
        return;
    }

    ctx->name = link->peer->host;
    ctx->handler = ngx_loyalty_redis_link_resolved;
    ctx->data = link;
    ctx->timeout = conf->resolver_timeout;
    ctx->cancelable = 1;

    link->resolving = ctx;

    if (ngx_resolve_name(ctx) != NGX_OK) {
        link->resolving = NULL;
        ngx_loyalty_redis_link_fail(link, NGX_LOYALTY_REDIS_UNREACHABLE,
                                    "the resolver does not answer");
    }
}


static void
ngx_loyalty_redis_link_resolved(ngx_resolver_ctx_t *ctx)
{
    ngx_loyalty_redis_link_t  *link = ctx->data;

    ngx_int_t             state;
    ngx_resolver_addr_t  *addr;

    state = ctx->state;
    link->resolving = NULL;

    if (state != NGX_OK) {
        ngx_resolve_name_done(ctx);
        ngx_loyalty_redis_link_fail(link, NGX_LOYALTY_REDIS_UNREACHABLE,
                                    "the name could not be resolved (%i: %s)",
                                    state, ngx_resolver_strerror(state));
        return;
    }

    addr = &ctx->addrs[link->failures % ctx->naddrs];
    ngx_memcpy(&link->sockaddr, addr->sockaddr, addr->socklen);
    link->socklen = addr->socklen;
    ngx_inet_set_port(&link->sockaddr.sockaddr, link->peer->port);

    ngx_resolve_name_done(ctx);
    ngx_loyalty_redis_link_connect(link);
}


static void
ngx_loyalty_redis_link_connect(ngx_loyalty_redis_link_t *link)
{
    ngx_int_t               rc;
    ngx_connection_t       *c;
    ngx_peer_connection_t   pc;

    ngx_memzero(&pc, sizeof(ngx_peer_connection_t));

    pc.sockaddr = &link->sockaddr.sockaddr;
    pc.socklen = link->socklen;
    pc.name = &link->peer->name;
    pc.get = ngx_event_get_peer;
    pc.log = &link->log;
    pc.log_error = NGX_ERROR_INFO;

    link->opened++;
    link->state = NGX_LOYALTY_REDIS_LINK_CONNECTING;

    rc = ngx_event_connect_peer(&pc);

    if (rc != NGX_OK && rc != NGX_AGAIN) {
        ngx_loyalty_redis_link_fail(link, NGX_LOYALTY_REDIS_UNREACHABLE,
                                    "no connection");
        return;
    }

    c = pc.connection;
    c->data = link;
    c->read->handler = ngx_loyalty_redis_link_connecting;
    c->write->handler = ngx_loyalty_redis_link_connecting;

    link->connection = c;
    link->reader = ngx_loyalty_redis_io_reader(link);

    if (link->reader == NULL) {
        ngx_loyalty_redis_link_fail(link, NGX_LOYALTY_REDIS_UNREACHABLE,
                                    "out of memory");
        return;
    }

    ngx_add_timer(&link->timer, ngx_loyalty_redis_patience(link));

    if (rc == NGX_OK) {
        ngx_loyalty_redis_link_connected(link);
    }
}


static void
ngx_loyalty_redis_link_connecting(ngx_event_t *ev)
{
    int                        err;
    socklen_t                  len;
    ngx_connection_t          *c;
    ngx_loyalty_redis_link_t  *link;

    c = ev->data;
    link = c->data;

    err = 0;
    len = sizeof(int);

    if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, (void *) &err, &len) == -1) {
        err = ngx_socket_errno;
    }

    if (err) {
        (void) ngx_connection_error(c, err, "connect() failed");
        ngx_loyalty_redis_link_fail(link, NGX_LOYALTY_REDIS_UNREACHABLE,
                                    "no connection");
        return;
    }

    if (!c->write->ready) {
        return;
    }

    ngx_loyalty_redis_link_connected(link);
}


static void
ngx_loyalty_redis_link_connected(ngx_loyalty_redis_link_t *link)
{
    if (link->sockaddr.sockaddr.sa_family != AF_UNIX) {
        (void) ngx_tcp_nodelay(link->connection);
    }

    if (link->redis->conf->tls) {
        ngx_loyalty_redis_tls_handshake(link);

    } else {
        ngx_loyalty_redis_link_greet(link);
    }
}


void
ngx_loyalty_redis_link_greet(ngx_loyalty_redis_link_t *link)
{
    u_char             db[NGX_INT_T_LEN];
    ngx_str_t          args[2];
    ngx_connection_t  *c;

    c = link->connection;
    c->read->handler = ngx_loyalty_redis_io_read;
    c->write->handler = ngx_loyalty_redis_io_write;

    link->state = NGX_LOYALTY_REDIS_LINK_GREETING;
    ngx_add_timer(&link->timer, ngx_loyalty_redis_patience(link));

    if (link->login) {
        ngx_loyalty_redis_link_login(link);
    }

    if (link->role->data && link->redis->conf->db != 0) {
        ngx_str_set(&args[0], "SELECT");
        args[1].data = db;
        args[1].len = ngx_sprintf(db, "%i", link->redis->conf->db) - db;

        ngx_loyalty_redis_link_ask(link, ngx_loyalty_redis_link_selected, 2,
                                   args);
    }

    link->role->greet(link);
}


void
ngx_loyalty_redis_link_login(ngx_loyalty_redis_link_t *link)
{
    ngx_str_t                  args[3];
    ngx_uint_t                 n;
    ngx_loyalty_redis_conf_t  *conf;

    conf = link->redis->conf;
    n = 1;

    ngx_str_set(&args[0], "AUTH");

    if (conf->user.len != 0) {
        args[n++] = conf->user;
    }

    args[n++] = conf->password;

    ngx_loyalty_redis_link_ask(link, ngx_loyalty_redis_link_authenticated, n,
                               args);
}


static void
ngx_loyalty_redis_link_authenticated(ngx_loyalty_redis_link_t *link,
    ngx_loyalty_redis_call_t *call, redisReply *reply)
{
    if (reply->type != REDIS_REPLY_STATUS) {
        ngx_loyalty_redis_link_refused(link, "AUTH", reply);
    }
}


static void
ngx_loyalty_redis_link_selected(ngx_loyalty_redis_link_t *link,
    ngx_loyalty_redis_call_t *call, redisReply *reply)
{
    if (reply->type != REDIS_REPLY_STATUS) {
        ngx_loyalty_redis_link_refused(link, "SELECT", reply);
    }
}


void
ngx_loyalty_redis_link_greeted(ngx_loyalty_redis_link_t *link)
{
    link->state = NGX_LOYALTY_REDIS_LINK_UP;
    link->said_len = 0;
    link->away = ngx_current_msec - link->since;

    ngx_add_timer(&link->timer, NGX_LOYALTY_REDIS_TICK);

    link->role->up(link);
}


/*
 * Up for a second.  One that is lost sooner is still in the same outage: its
 * pauses go on growing, and nothing more is logged.
 */

static void
ngx_loyalty_redis_link_steady(ngx_loyalty_redis_link_t *link)
{
    link->failures = 0;

    if (link->told) {
        link->told = 0;
        ngx_log_error(NGX_LOG_ERR, link->redis->log, 0,
                      "loyalty: %s at %V is back after %M ms",
                      link->role->name, &link->peer->name, link->away);
    }
}


ngx_uint_t
ngx_loyalty_redis_link_ready(ngx_loyalty_redis_link_t *link)
{
    return link->state == NGX_LOYALTY_REDIS_LINK_UP
           && !link->silent
           && link->filled - link->sent < LOYALTY_REDIS_OUTPUT_MAX;
}


void
ngx_loyalty_redis_link_overdue(ngx_loyalty_redis_link_t *link)
{
    ngx_msec_t  waited;

    if (link->state != NGX_LOYALTY_REDIS_LINK_UP
        || link->silent
        || ngx_queue_empty(&link->calls))
    {
        return;
    }

    waited = ngx_current_msec - link->heard;

    if (waited < link->redis->conf->timeout * NGX_LOYALTY_REDIS_SILENCE) {
        return;
    }

    link->silent = 1;

    ngx_log_error(NGX_LOG_ERR, link->redis->log, 0,
                  "loyalty: %s at %V has been silent for %M ms, pages are "
                  "served without it until it answers",
                  link->role->name, &link->peer->name, waited);
}


void
ngx_loyalty_redis_link_refused(ngx_loyalty_redis_link_t *link,
    const char *command, redisReply *reply)
{
    ngx_str_t  text;

    if (reply->type == REDIS_REPLY_ERROR) {
        text.data = (u_char *) reply->str;
        text.len = ngx_min(reply->len, NGX_LOYALTY_REDIS_REASON / 2);

        ngx_loyalty_redis_link_fail(link, NGX_LOYALTY_REDIS_REFUSED,
                                    "%s is answered by \"%V\"", command,
                                    &text);
        return;
    }

    ngx_loyalty_redis_link_fail(link, NGX_LOYALTY_REDIS_PROTOCOL,
                                "%s is answered by a reply of type %d",
                                command, reply->type);
}


void
ngx_loyalty_redis_link_fail(ngx_loyalty_redis_link_t *link,
    ngx_loyalty_redis_failure_e failure, const char *fmt, ...)
{
    u_char      reason[NGX_LOYALTY_REDIS_REASON], *last;
    va_list     args;
    ngx_str_t   said;
    ngx_uint_t  was_up;
    ngx_msec_t  delay;

    if (link->state == NGX_LOYALTY_REDIS_LINK_WAITING
        || link->state == NGX_LOYALTY_REDIS_LINK_OFF)
    {
        return;
    }

    va_start(args, fmt);
    last = ngx_vslprintf(reason, reason + sizeof(reason), fmt, args);
    va_end(args);

    was_up = (link->state == NGX_LOYALTY_REDIS_LINK_UP);

    if (was_up && link->told == 0) {
        link->since = ngx_current_msec;
    }

    if (!(link->told & failure)) {
        link->told |= (failure & NGX_LOYALTY_REDIS_GONE)
                      ? NGX_LOYALTY_REDIS_GONE : failure;

        said.len = link->said_len;
        said.data = link->said;

        ngx_log_error(NGX_LOG_ERR, link->redis->log, 0,
                      "loyalty: %s at %V is %s: %*s%s%V",
                      link->role->name, &link->peer->name,
                      was_up ? "lost" : "away",
                      (size_t) (last - reason), reason,
                      said.len ? ": " : "", &said);
    }

    link->state = NGX_LOYALTY_REDIS_LINK_WAITING;

    ngx_loyalty_redis_link_close(link);

    delay = NGX_LOYALTY_REDIS_BACKOFF_MIN << ngx_min(link->failures, 10);
    delay = ngx_min(delay, NGX_LOYALTY_REDIS_BACKOFF_MAX);
    delay = delay / 2 + (ngx_msec_t) ngx_random() % (delay / 2 + 1);

    link->failures++;

    ngx_add_timer(&link->timer, delay);

    ngx_loyalty_redis_link_end_calls(link);
    link->role->down(link);
}


static void
ngx_loyalty_redis_link_close(ngx_loyalty_redis_link_t *link)
{
    ngx_pool_t        *pool;
    ngx_connection_t  *c;

    if (link->timer.timer_set) {
        ngx_del_timer(&link->timer);
    }

    if (link->resolving != NULL) {
        ngx_resolve_name_done(link->resolving);
        link->resolving = NULL;
    }

    c = link->connection;

    if (c != NULL) {
        link->connection = NULL;
        pool = c->pool;

        ngx_loyalty_redis_tls_close(c);
        ngx_close_connection(c);

        if (pool != NULL) {
            ngx_destroy_pool(pool);
        }
    }

    if (link->reader != NULL) {
        redisReaderFree(link->reader);
        link->reader = NULL;
    }

    if (link->out != NULL) {
        ngx_free(link->out);
        link->out = NULL;
    }

    link->sent = 0;
    link->filled = 0;
    link->room = 0;
    link->unread = 0;
    link->elements = 0;
    link->silent = 0;
}


static void
ngx_loyalty_redis_link_end_calls(ngx_loyalty_redis_link_t *link)
{
    ngx_queue_t                calls, *q;
    ngx_loyalty_redis_call_t  *call;

    if (ngx_queue_empty(&link->calls)) {
        return;
    }

    ngx_queue_init(&calls);
    ngx_queue_add(&calls, &link->calls);
    ngx_queue_init(&link->calls);

    while (!ngx_queue_empty(&calls)) {
        q = ngx_queue_head(&calls);
        ngx_queue_remove(q);

        call = ngx_queue_data(q, ngx_loyalty_redis_call_t, queue);

        if (call->ours) {
            ngx_free(call);

        } else {
            call->handler(link, call, NULL);
        }
    }
}


static void
ngx_loyalty_redis_link_timer(ngx_event_t *ev)
{
    ngx_loyalty_redis_link_t  *link = ev->data;

    switch (link->state) {

    case NGX_LOYALTY_REDIS_LINK_WAITING:
        ngx_loyalty_redis_link_open(link);
        break;

    case NGX_LOYALTY_REDIS_LINK_CONNECTING:
        ngx_loyalty_redis_link_fail(link, NGX_LOYALTY_REDIS_UNREACHABLE,
                                    "no connection in %M ms",
                                    ngx_loyalty_redis_patience(link));
        break;

    case NGX_LOYALTY_REDIS_LINK_GREETING:
        ngx_loyalty_redis_link_fail(link, NGX_LOYALTY_REDIS_UNANSWERED,
                                    "connected, but no answer in %M ms",
                                    ngx_loyalty_redis_patience(link));
        break;

    case NGX_LOYALTY_REDIS_LINK_UP:

        if (!ngx_queue_empty(&link->calls)
            && ngx_current_msec - link->heard >= NGX_LOYALTY_REDIS_DEAD)
        {
            ngx_loyalty_redis_link_fail(link, NGX_LOYALTY_REDIS_UNANSWERED,
                                        "no answer in %d ms",
                                        NGX_LOYALTY_REDIS_DEAD);
            break;
        }

        ngx_loyalty_redis_link_steady(link);

        ngx_add_timer(&link->timer, NGX_LOYALTY_REDIS_TICK);
        link->role->tick(link);
        break;

    default: /* OFF, RESOLVING: the resolver has a timer of its own */
        break;
    }
}


/*
 * "2026/01/31 12:00:00 [error] 1#1: what happened (111: why)": what comes
 * after the process is the reason.
 */

static void
ngx_loyalty_redis_link_writer(ngx_log_t *log, ngx_uint_t level, u_char *buf,
    size_t len)
{
    ngx_loyalty_redis_link_t  *link = log->wdata;

    u_char  *p, *last;

    last = buf + len;

    while (last > buf && (last[-1] == LF || last[-1] == CR)) {
        last--;
    }

    p = ngx_strlchr(buf, last, ']');
    if (p != NULL) {
        p = ngx_strlchr(p, last, ':');
    }

    p = (p == NULL || last - p < 2) ? buf : p + 2;

    link->said_len = ngx_min((size_t) (last - p), sizeof(link->said));
    ngx_memcpy(link->said, p, link->said_len);
}
