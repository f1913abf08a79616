/*
 * What the files of the Redis client share.
 *
 *   client ── ops: the callers' commands, each with its timer
 *     │
 *     └─ links, each a connection to one server with a purpose (its role):
 *          commands, client tracking, sentinel
 *             └─ calls, in the order of sending: one reply ends one call
 *
 *   OFF ─► RESOLVING ─► CONNECTING ─► GREETING ─► UP
 *              ▲             │            │        │
 *              │             ▼            ▼        ▼
 *              └─ timer ─ WAITING ◄── a failure ends all calls
 *
 * Only a link that is up takes the callers' commands.  One that has calls
 * open and has heard nothing for a while is silent: still connected, but as
 * good as away until a byte comes.
 */

#ifndef _NGX_LOYALTY_REDIS_INTERNAL_H_INCLUDED_
#define _NGX_LOYALTY_REDIS_INTERNAL_H_INCLUDED_


#include "loyalty_limits.h"
#include "ngx_loyalty_redis.h"


#define NGX_LOYALTY_REDIS_CONNECT_TIMEOUT  1000
#define NGX_LOYALTY_REDIS_TICK             1000
#define NGX_LOYALTY_REDIS_DEAD             5000
#define NGX_LOYALTY_REDIS_BACKOFF_MIN      50
#define NGX_LOYALTY_REDIS_BACKOFF_MAX      2000

/* A silent link has heard nothing for so many timeouts of an operation. */
#define NGX_LOYALTY_REDIS_SILENCE          4

/* Redis makes it of 40 hexadecimal digits. */
#define NGX_LOYALTY_REDIS_RUN_ID           64

/* At least the length of a sentence with an error of the server's in it. */
#define NGX_LOYALTY_REDIS_REASON           256


typedef struct ngx_loyalty_redis_link_s     ngx_loyalty_redis_link_t;
typedef struct ngx_loyalty_redis_call_s     ngx_loyalty_redis_call_t;
typedef struct ngx_loyalty_redis_node_s     ngx_loyalty_redis_node_t;
typedef struct ngx_loyalty_redis_cluster_s  ngx_loyalty_redis_cluster_t;


/* A server: its addresses, or a name for the resolver. */

typedef struct {
    ngx_pool_t                        *pool;     /* NULL: of the conf */
    ngx_str_t                          name;     /* for people */
    ngx_str_t                          host;
    in_port_t                          port;
    ngx_uint_t                         naddrs;
    ngx_addr_t                        *addrs;
} ngx_loyalty_redis_peer_t;


/* reply NULL: the link failed; a call of our own is not told. */
typedef void (*ngx_loyalty_redis_call_pt)(ngx_loyalty_redis_link_t *link,
    ngx_loyalty_redis_call_t *call, redisReply *reply);

struct ngx_loyalty_redis_call_s {
    ngx_queue_t                        queue;
    ngx_loyalty_redis_call_pt          handler;
    unsigned                           ours:1;   /* freed after the handler */
};


typedef struct {
    const char                        *name;
    ngx_uint_t                         data;     /* log in, select the db */

    /* connected: ask what must be known, then ..._link_greeted() */
    void                             (*greet)(ngx_loyalty_redis_link_t *link);
    void                             (*up)(ngx_loyalty_redis_link_t *link);
    void                             (*down)(ngx_loyalty_redis_link_t *link);

    /* a reply that no call waits for; NULL: a violation of the protocol */
    void                             (*push)(ngx_loyalty_redis_link_t *link,
                                             redisReply *reply);

    /* every second while up */
    void                             (*tick)(ngx_loyalty_redis_link_t *link);
} ngx_loyalty_redis_role_t;


typedef enum {
    NGX_LOYALTY_REDIS_LINK_OFF = 0,
    NGX_LOYALTY_REDIS_LINK_RESOLVING,
    NGX_LOYALTY_REDIS_LINK_CONNECTING,
    NGX_LOYALTY_REDIS_LINK_GREETING,
    NGX_LOYALTY_REDIS_LINK_UP,
    NGX_LOYALTY_REDIS_LINK_WAITING
} ngx_loyalty_redis_state_e;


/*
 * What went wrong; each kind is logged once until the link is up again, and
 * those of a server that is simply gone together.
 */

typedef enum {
    NGX_LOYALTY_REDIS_UNREACHABLE = 0x01,
    NGX_LOYALTY_REDIS_CLOSED = 0x02,
    NGX_LOYALTY_REDIS_UNANSWERED = 0x04,
    NGX_LOYALTY_REDIS_REFUSED = 0x08,
    NGX_LOYALTY_REDIS_PROTOCOL = 0x10
} ngx_loyalty_redis_failure_e;

#define NGX_LOYALTY_REDIS_GONE                                                \
    (NGX_LOYALTY_REDIS_UNREACHABLE|NGX_LOYALTY_REDIS_CLOSED                   \
     |NGX_LOYALTY_REDIS_UNANSWERED)


struct ngx_loyalty_redis_link_s {
    ngx_loyalty_redis_t               *redis;
    const ngx_loyalty_redis_role_t    *role;
    void                              *data;     /* the owner's */

    ngx_loyalty_redis_peer_t          *peer;
    ngx_sockaddr_t                     sockaddr; /* of the last attempt */
    socklen_t                          socklen;

    ngx_loyalty_redis_state_e          state;
    ngx_uint_t                         opened;   /* counts connections */
    ngx_uint_t                         failures; /* since it was steady */
    ngx_uint_t                         told;     /* failures logged since */
    ngx_msec_t                         since;    /* not up */
    ngx_msec_t                         away;     /* before it came up */

    ngx_resolver_ctx_t                *resolving;
    ngx_connection_t                  *connection;
    ngx_event_t                        timer;    /* by state */
    ngx_queue_t                        calls;
    ngx_msec_t                         heard;

    redisReader                       *reader;
    size_t                             unread;   /* bytes of a partial reply */
    size_t                             elements; /* announced in it */

    u_char                            *out;
    size_t                             sent;
    size_t                             filled;
    size_t                             room;

    ngx_log_t                          log;      /* keeps what nginx says */
    size_t                             said_len;
    u_char                             said[NGX_LOYALTY_REDIS_REASON];

    size_t                             run_id_len;
    u_char                             run_id[NGX_LOYALTY_REDIS_RUN_ID];

    unsigned                           login:1;
    unsigned                           silent:1;
};


/* A link of client tracking, beside the one that takes commands. */

typedef struct {
    ngx_loyalty_redis_link_t           link;
    ngx_loyalty_redis_peer_t           peer;
    ngx_addr_t                         addr;
    ngx_sockaddr_t                     sockaddr;

    unsigned                           pinged:1;
    unsigned                           untracked:1;  /* the server can't */
    unsigned                           told:1;
} ngx_loyalty_redis_track_t;


typedef struct {
    ngx_loyalty_redis_connect_pt       handler;
    void                              *data;
} ngx_loyalty_redis_listener_t;


struct ngx_loyalty_redis_s {
    ngx_loyalty_redis_conf_t          *conf;
    ngx_log_t                         *log;

    ngx_loyalty_redis_link_t           main;     /* not in a cluster */
    ngx_loyalty_redis_link_t           sentinel;
    ngx_loyalty_redis_peer_t          *master;   /* as the sentinel says */
    ngx_loyalty_redis_cluster_t       *cluster;

    ngx_loyalty_redis_track_t          track;
    ngx_loyalty_redis_tracker_t        tracker;

    ngx_queue_t                        waiting;  /* ops, while starting */
    ngx_queue_t                        free;     /* ops */

    ngx_uint_t                         nlisteners;
    ngx_loyalty_redis_listener_t       listeners[NGX_LOYALTY_REDIS_LISTENERS];

    unsigned                           starting:1;
    unsigned                           tracking:1;   /* as the tracker knows */
    unsigned                           closing:1;
};


typedef struct {
    ngx_loyalty_redis_call_t           call;     /* its queue: waiting, free */
    ngx_loyalty_redis_t               *redis;
    ngx_loyalty_redis_link_t          *link;     /* NULL: waiting */
    ngx_loyalty_redis_command_t       *command;  /* NULL: given up */
    ngx_event_t                        timer;
    char                              *text;     /* NULL: need not be kept */
    size_t                             len;

    ngx_int_t                          slot;     /* -1: any */
    ngx_uint_t                         redirects;
    ngx_loyalty_redis_node_t          *ask;      /* ASK: there, this once */
} ngx_loyalty_redis_op_t;


#define NGX_LOYALTY_REDIS_SLOTS  16384

struct ngx_loyalty_redis_node_s {
    ngx_queue_t                        queue;
    ngx_loyalty_redis_peer_t          *peer;
    ngx_loyalty_redis_link_t           link;
    ngx_loyalty_redis_track_t          track;

    ngx_msec_t                         named;    /* by a map, MOVED or ASK */

    unsigned                           seed:1;   /* of the conf, stays */
    unsigned                           master:1; /* has slots */
    unsigned                           listed:1; /* in the map being read */
    unsigned                           reported:1;
};

struct ngx_loyalty_redis_cluster_s {
    ngx_loyalty_redis_t               *redis;
    ngx_queue_t                        nodes;
    ngx_uint_t                         nnodes;
    ngx_event_t                        timer;

    unsigned                           known:1;  /* a map has been read */

    ngx_loyalty_redis_node_t          *slots[NGX_LOYALTY_REDIS_SLOTS];
    ngx_loyalty_redis_node_t          *next[NGX_LOYALTY_REDIS_SLOTS];
};


/* ngx_loyalty_redis_link.c */

void ngx_loyalty_redis_link_init(ngx_loyalty_redis_link_t *link,
    ngx_loyalty_redis_t *redis, const ngx_loyalty_redis_role_t *role,
    void *data);

/* Connects to the peer now, leaving whatever it was connected to. */
void ngx_loyalty_redis_link_start(ngx_loyalty_redis_link_t *link,
    ngx_loyalty_redis_peer_t *peer);

/* Ends the calls, frees all; neither logs nor calls role->down. */
void ngx_loyalty_redis_link_stop(ngx_loyalty_redis_link_t *link);

/* Ends the calls, calls role->down, tries again later. */
void ngx_loyalty_redis_link_fail(ngx_loyalty_redis_link_t *link,
    ngx_loyalty_redis_failure_e failure, const char *fmt, ...);

/* The same, with the error in a reply, or of a type that makes no sense. */
void ngx_loyalty_redis_link_refused(ngx_loyalty_redis_link_t *link,
    const char *command, redisReply *reply);

void ngx_loyalty_redis_link_login(ngx_loyalty_redis_link_t *link);
void ngx_loyalty_redis_link_greet(ngx_loyalty_redis_link_t *link);
void ngx_loyalty_redis_link_greeted(ngx_loyalty_redis_link_t *link);
ngx_uint_t ngx_loyalty_redis_link_ready(ngx_loyalty_redis_link_t *link);

/* An answer is overdue: is the link silent? */
void ngx_loyalty_redis_link_overdue(ngx_loyalty_redis_link_t *link);


/* ngx_loyalty_redis_io.c */

/* NGX_ERROR: no memory, the call is not taken.  NULL: no reply of its own. */
ngx_int_t ngx_loyalty_redis_link_send(ngx_loyalty_redis_link_t *link,
    ngx_loyalty_redis_call_t *call, const char *text, size_t len);

/* To connect, and to be greeted; never shorter than one operation. */
#define ngx_loyalty_redis_patience(link)                                      \
    ngx_max(NGX_LOYALTY_REDIS_CONNECT_TIMEOUT, (link)->redis->conf->timeout)

/* A call of our own; without memory the link fails. */
void ngx_loyalty_redis_link_ask(ngx_loyalty_redis_link_t *link,
    ngx_loyalty_redis_call_pt handler, ngx_uint_t argc, ngx_str_t *argv);

void ngx_loyalty_redis_link_ping(ngx_loyalty_redis_link_t *link);

/* Bytes and length, or NGX_ERROR; freed by ngx_free(). */
ngx_int_t ngx_loyalty_redis_format(ngx_loyalty_redis_t *redis, char **text,
    ngx_uint_t argc, ngx_str_t *argv);

void ngx_loyalty_redis_io_read(ngx_event_t *rev);
void ngx_loyalty_redis_io_write(ngx_event_t *wev);

/* hiredis' reader, with our bound on what a reply announces. */
redisReader *ngx_loyalty_redis_io_reader(ngx_loyalty_redis_link_t *link);


/* ngx_loyalty_redis.c */

/* For servers that hold data: asks INFO and PING, then greeted. */
void ngx_loyalty_redis_greet(ngx_loyalty_redis_link_t *link);

/* Something changed: ops that wait go out, go on waiting, or end. */
void ngx_loyalty_redis_pump(ngx_loyalty_redis_t *redis);

/* It is known how things stand: nothing waits any more that need not. */
void ngx_loyalty_redis_started(ngx_loyalty_redis_t *redis);

void ngx_loyalty_redis_report(ngx_loyalty_redis_link_t *link);

/* NGX_OK: this link; NGX_AGAIN: wait; NGX_DECLINED: away. */
ngx_int_t ngx_loyalty_redis_op_route(ngx_loyalty_redis_op_t *op,
    ngx_loyalty_redis_link_t **link);
ngx_int_t ngx_loyalty_redis_op_send(ngx_loyalty_redis_op_t *op,
    ngx_loyalty_redis_link_t *link);
void ngx_loyalty_redis_op_end(ngx_loyalty_redis_op_t *op,
    ngx_loyalty_redis_result_e result, redisReply *reply);


/* ngx_loyalty_redis_peer.c */

ngx_loyalty_redis_peer_t *ngx_loyalty_redis_peer_create(ngx_str_t *host,
    in_port_t port, ngx_log_t *log);
void ngx_loyalty_redis_peer_destroy(ngx_loyalty_redis_peer_t *peer);
ngx_uint_t ngx_loyalty_redis_peer_is(ngx_loyalty_redis_peer_t *peer,
    ngx_str_t *host, in_port_t port);

/* The next attempt goes to the next server of the conf; how many there are. */
ngx_uint_t ngx_loyalty_redis_next_peer(ngx_loyalty_redis_link_t *link);

/* An address, not a name. */
ngx_uint_t ngx_loyalty_redis_is_address(ngx_str_t *host);


/* ngx_loyalty_redis_sentinel.c */

void ngx_loyalty_redis_sentinel_start(ngx_loyalty_redis_t *redis);
void ngx_loyalty_redis_sentinel_stop(ngx_loyalty_redis_t *redis);

/* The master does not answer: ask now. */
void ngx_loyalty_redis_sentinel_lost(ngx_loyalty_redis_t *redis);


/* ngx_loyalty_redis_cluster.c */

ngx_int_t ngx_loyalty_redis_cluster_start(ngx_loyalty_redis_t *redis);
void ngx_loyalty_redis_cluster_stop(ngx_loyalty_redis_t *redis);

/* NGX_OK: this link; NGX_AGAIN: wait; NGX_DECLINED: away.  -1: any master. */
ngx_int_t ngx_loyalty_redis_cluster_route(ngx_loyalty_redis_cluster_t *cluster,
    ngx_int_t slot, ngx_loyalty_redis_link_t **link);

ngx_int_t ngx_loyalty_redis_node_route(ngx_loyalty_redis_node_t *node,
    ngx_loyalty_redis_link_t **link);

/* NGX_OK: the reply is a redirection, and the op is on its way again. */
ngx_int_t ngx_loyalty_redis_cluster_redirect(ngx_loyalty_redis_op_t *op,
    redisReply *reply);

/* Every master has its tracking link. */
ngx_uint_t ngx_loyalty_redis_cluster_tracked(
    ngx_loyalty_redis_cluster_t *cluster);
void ngx_loyalty_redis_cluster_track(ngx_loyalty_redis_cluster_t *cluster);

ngx_int_t ngx_loyalty_redis_slot(ngx_str_t *key);


/* ngx_loyalty_redis_tls.c */

ngx_int_t ngx_loyalty_redis_tls_conf(ngx_conf_t *cf,
    ngx_loyalty_redis_conf_t *rcf);
void ngx_loyalty_redis_tls_handshake(ngx_loyalty_redis_link_t *link);
void ngx_loyalty_redis_tls_close(ngx_connection_t *c);


/* ngx_loyalty_redis_track.c */

void ngx_loyalty_redis_track_init(ngx_loyalty_redis_track_t *track,
    ngx_loyalty_redis_t *redis);
void ngx_loyalty_redis_track_follow(ngx_loyalty_redis_track_t *track,
    ngx_loyalty_redis_link_t *link);
void ngx_loyalty_redis_track_check(ngx_loyalty_redis_t *redis);


#endif /* _NGX_LOYALTY_REDIS_INTERNAL_H_INCLUDED_ */
