/*
 * What goes over a link: commands out, replies in.
 *
 * Bytes out are gathered in `out` and sent once the events at hand are
 * processed, so that commands of one turn of the event loop share a system
 * call.  Bytes in go through hiredis' reader; the first reply belongs to the
 * first call.
 */


#include "ngx_loyalty_redis_internal.h"


/* One read; also how much of a flood is read before others have their turn. */
#define NGX_LOYALTY_REDIS_READ_SIZE   16384
#define NGX_LOYALTY_REDIS_READ_TURNS  32


#if (HIREDIS_MAJOR >= 1)
typedef size_t  ngx_loyalty_redis_elements_t;
#else
typedef int     ngx_loyalty_redis_elements_t;
#endif


static u_char *ngx_loyalty_redis_length(u_char *p, u_char type, size_t n);
static void ngx_loyalty_redis_io_pong(ngx_loyalty_redis_link_t *link,
    ngx_loyalty_redis_call_t *call, redisReply *reply);
static void ngx_loyalty_redis_io_reply(ngx_loyalty_redis_link_t *link,
    redisReply *reply);
static void *ngx_loyalty_redis_create_array(const redisReadTask *task,
    ngx_loyalty_redis_elements_t n);


static redisReplyObjectFunctions  ngx_loyalty_redis_functions;
static redisReplyObjectFunctions  ngx_loyalty_redis_defaults;


/* hiredis' own would run printf for each argument. */

ngx_int_t
ngx_loyalty_redis_format(ngx_loyalty_redis_t *redis, char **text,
    ngx_uint_t argc, ngx_str_t *argv)
{
    size_t       len;
    u_char      *p;
    ngx_uint_t   i;

    len = sizeof("*" CRLF) - 1 + NGX_SIZE_T_LEN;

    for (i = 0; i < argc; i++) {
        len += sizeof("$" CRLF CRLF) - 1 + NGX_SIZE_T_LEN + argv[i].len;
    }

    p = ngx_alloc(len, redis->log);
    if (p == NULL) {
        return NGX_ERROR;
    }

    *text = (char *) p;

    p = ngx_loyalty_redis_length(p, '*', argc);

    for (i = 0; i < argc; i++) {
        p = ngx_loyalty_redis_length(p, '$', argv[i].len);
        p = ngx_cpymem(p, argv[i].data, argv[i].len);
        *p++ = CR;
        *p++ = LF;
    }

    return p - (u_char *) *text;
}


static u_char *
ngx_loyalty_redis_length(u_char *p, u_char type, size_t n)
{
    u_char  digits[NGX_SIZE_T_LEN], *last, *digit;

    last = digits + sizeof(digits);
    digit = last;

    do {
        *--digit = (u_char) ('0' + n % 10);
        n /= 10;
    } while (n);

    *p++ = type;
    p = ngx_cpymem(p, digit, last - digit);
    *p++ = CR;
    *p++ = LF;

    return p;
}


void
ngx_loyalty_redis_link_ask(ngx_loyalty_redis_link_t *link,
    ngx_loyalty_redis_call_pt handler, ngx_uint_t argc, ngx_str_t *argv)
{
    char                      *text;
    ngx_int_t                  len, rc;
    ngx_loyalty_redis_call_t  *call;

    if (link->connection == NULL) {
        return;                          /* failed while asking something */
    }

    call = ngx_alloc(sizeof(ngx_loyalty_redis_call_t), link->redis->log);
    if (call == NULL) {
        goto failed;
    }

    call->handler = handler;
    call->ours = 1;

    len = ngx_loyalty_redis_format(link->redis, &text, argc, argv);
    if (len < 0) {
        ngx_free(call);
        goto failed;
    }

    rc = ngx_loyalty_redis_link_send(link, call, text, len);
    ngx_free(text);

    if (rc != NGX_OK) {
        ngx_free(call);
        goto failed;
    }

    return;

failed:

    ngx_loyalty_redis_link_fail(link, NGX_LOYALTY_REDIS_UNREACHABLE,
                                "out of memory");
}


void
ngx_loyalty_redis_link_ping(ngx_loyalty_redis_link_t *link)
{
    static ngx_str_t  ping[] = { ngx_string("PING") };

    if (ngx_queue_empty(&link->calls)) {
        ngx_loyalty_redis_link_ask(link, ngx_loyalty_redis_io_pong, 1, ping);
    }
}


/* Any answer will do: the server is there. */

static void
ngx_loyalty_redis_io_pong(ngx_loyalty_redis_link_t *link,
    ngx_loyalty_redis_call_t *call, redisReply *reply)
{
}


ngx_int_t
ngx_loyalty_redis_link_send(ngx_loyalty_redis_link_t *link,
    ngx_loyalty_redis_call_t *call, const char *text, size_t len)
{
    size_t   room;
    u_char  *out;

    if (link->sent == link->filled) {
        link->sent = 0;
        link->filled = 0;
    }

    if (link->room - link->filled < len) {

        room = ngx_max(2 * (link->filled + len), NGX_LOYALTY_REDIS_READ_SIZE);

        out = ngx_alloc(room, link->redis->log);
        if (out == NULL) {
            return NGX_ERROR;
        }

        if (link->out != NULL) {
            ngx_memcpy(out, link->out + link->sent, link->filled - link->sent);
            ngx_free(link->out);
        }

        link->out = out;
        link->filled -= link->sent;
        link->sent = 0;
        link->room = room;
    }

    ngx_memcpy(link->out + link->filled, text, len);
    link->filled += len;

    if (call != NULL) {
        if (ngx_queue_empty(&link->calls)) {
            link->heard = ngx_current_msec;
        }

        ngx_queue_insert_tail(&link->calls, &call->queue);
    }

    ngx_post_event(link->connection->write, &ngx_posted_events);

    return NGX_OK;
}


void
ngx_loyalty_redis_io_write(ngx_event_t *wev)
{
    ssize_t                    n;
    ngx_connection_t          *c;
    ngx_loyalty_redis_link_t  *link;

    c = wev->data;
    link = c->data;

    while (wev->ready && link->sent < link->filled) {

        n = c->send(c, link->out + link->sent, link->filled - link->sent);

        if (n == NGX_AGAIN) {
            break;
        }

        if (n == NGX_ERROR) {
            ngx_loyalty_redis_link_fail(link, NGX_LOYALTY_REDIS_CLOSED,
                                        "nothing can be sent");
            return;
        }

        link->sent += n;
    }

    /* one large command is no reason to keep its memory */
    if (link->sent == link->filled && link->room > LOYALTY_REDIS_OUTPUT_KEPT) {
        ngx_free(link->out);
        link->out = NULL;
        link->sent = 0;
        link->filled = 0;
        link->room = 0;
    }

    if (ngx_handle_write_event(wev, 0) != NGX_OK) {
        ngx_loyalty_redis_link_fail(link, NGX_LOYALTY_REDIS_CLOSED,
                                    "no event");
    }
}


void
ngx_loyalty_redis_io_read(ngx_event_t *rev)
{
    void                      *reply;
    u_char                     buf[NGX_LOYALTY_REDIS_READ_SIZE];
    ssize_t                    n;
    ngx_uint_t                 turn, opened;
    ngx_connection_t          *c;
    ngx_loyalty_redis_link_t  *link;

    c = rev->data;
    link = c->data;
    opened = link->opened;

    for (turn = 0; turn < NGX_LOYALTY_REDIS_READ_TURNS; turn++) {

        n = c->recv(c, buf, sizeof(buf));

        if (n == NGX_AGAIN) {
            break;
        }

        if (n == NGX_ERROR || n == 0) {
            ngx_loyalty_redis_link_fail(link, NGX_LOYALTY_REDIS_CLOSED,
                                        "the connection was closed");
            return;
        }

        link->heard = ngx_current_msec;
        link->unread += n;

        if (link->silent) {
            link->silent = 0;
            ngx_log_error(NGX_LOG_ERR, link->redis->log, 0,
                          "loyalty: %s at %V answers again",
                          link->role->name, &link->peer->name);
        }

        if (redisReaderFeed(link->reader, (char *) buf, n) != REDIS_OK) {
            goto failed;
        }

        for ( ;; ) {

            reply = NULL;

            if (redisReaderGetReply(link->reader, &reply) != REDIS_OK) {
                goto failed;
            }

            if (reply == NULL) {
                break;
            }

            link->unread = link->reader->len - link->reader->pos;
            link->elements = 0;

            ngx_loyalty_redis_io_reply(link, reply);
            freeReplyObject(reply);

            if (link->opened != opened || link->connection != c) {
                return;
            }
        }

        if (link->unread > LOYALTY_REDIS_REPLY_MAX) {
            ngx_loyalty_redis_link_fail(link, NGX_LOYALTY_REDIS_PROTOCOL,
                                        "a reply is larger than %d bytes",
                                        LOYALTY_REDIS_REPLY_MAX);
            return;
        }
    }

    if (turn == NGX_LOYALTY_REDIS_READ_TURNS) {
        ngx_post_event(rev, &ngx_posted_next_events);
    }

    if (ngx_handle_read_event(rev, 0) != NGX_OK) {
        ngx_loyalty_redis_link_fail(link, NGX_LOYALTY_REDIS_CLOSED,
                                    "no event");
    }

    return;

failed:

    if (link->elements > LOYALTY_REDIS_ELEMENTS_MAX) {
        ngx_loyalty_redis_link_fail(link, NGX_LOYALTY_REDIS_PROTOCOL,
                                    "a reply has more than %d elements",
                                    LOYALTY_REDIS_ELEMENTS_MAX);
        return;
    }

    ngx_loyalty_redis_link_fail(link, NGX_LOYALTY_REDIS_PROTOCOL,
                                "a reply that cannot be read: %s",
                                link->reader->errstr);
}


static void
ngx_loyalty_redis_io_reply(ngx_loyalty_redis_link_t *link, redisReply *reply)
{
    ngx_uint_t                 ours;
    ngx_queue_t               *q;
    ngx_loyalty_redis_call_t  *call;

    if (ngx_queue_empty(&link->calls)) {

        if (link->role->push == NULL) {
            ngx_loyalty_redis_link_fail(link, NGX_LOYALTY_REDIS_PROTOCOL,
                                        "a reply that nobody asked for");
            return;
        }

        link->role->push(link, reply);
        return;
    }

    q = ngx_queue_head(&link->calls);
    ngx_queue_remove(q);

    call = ngx_queue_data(q, ngx_loyalty_redis_call_t, queue);

    ours = call->ours;

    call->handler(link, call, reply);

    if (ours) {
        ngx_free(call);
    }
}


/*
 * hiredis' own reader, but for arrays that a server only announces, and for
 * ones in ones without end: hiredis 1.x reads those, and frees them by
 * recursion.
 */

redisReader *
ngx_loyalty_redis_io_reader(ngx_loyalty_redis_link_t *link)
{
    redisReader  *reader;

    reader = redisReaderCreate();
    if (reader == NULL) {
        return NULL;
    }

    if (ngx_loyalty_redis_defaults.createArray == NULL) {
        ngx_loyalty_redis_defaults = *reader->fn;
        ngx_loyalty_redis_functions = *reader->fn;
        ngx_loyalty_redis_functions.createArray =
                                                ngx_loyalty_redis_create_array;
    }

    reader->fn = &ngx_loyalty_redis_functions;
    reader->privdata = link;

    return reader;
}


static void *
ngx_loyalty_redis_create_array(const redisReadTask *task,
    ngx_loyalty_redis_elements_t n)
{
    ngx_loyalty_redis_link_t  *link = task->privdata;

    ngx_uint_t            depth;
    const redisReadTask  *outer;

    depth = 0;

    for (outer = task; outer != NULL; outer = outer->parent) {
        depth++;
    }

    if (depth > LOYALTY_REDIS_DEPTH_MAX) {
        return NULL;
    }

    link->elements += n;

    if (link->elements > LOYALTY_REDIS_ELEMENTS_MAX) {
        return NULL;
    }

    return ngx_loyalty_redis_defaults.createArray(task, n);
}
