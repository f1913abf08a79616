/*
 * Redis in the event loop: one client a worker.  nginx has the sockets, the
 * timers and TLS; hiredis writes the commands and reads the replies.
 *
 * A command is an object of the caller's with its own timer.  Its handler is
 * called exactly once, from the event loop and never from inside
 * ngx_loyalty_redis_send(); the reply is the client's and gone when the
 * handler returns.  A handler may send, cancel and free its command.
 */

#ifndef _NGX_LOYALTY_REDIS_H_INCLUDED_
#define _NGX_LOYALTY_REDIS_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include <hiredis/hiredis.h>


typedef struct ngx_loyalty_redis_s          ngx_loyalty_redis_t;
typedef struct ngx_loyalty_redis_command_s  ngx_loyalty_redis_command_t;


/* loyalty_redis ADDR [ADDR ...] [...]; one in http, owned by the cycle */

typedef struct {
    ngx_array_t          addrs;          /* of ngx_str_t: host:port, unix: */
    ngx_array_t          peers;          /* the same, parsed: the client's */
    ngx_str_t            user;
    ngx_str_t            password;       /* read from password_file */
    ngx_str_t            prefix;         /* "loyalty" */
    ngx_str_t            sentinel;       /* name of the master, or empty */
    ngx_int_t            db;
    ngx_msec_t           timeout;        /* of one operation */
    ngx_flag_t           cluster;
    ngx_flag_t           tls;
    ngx_str_t            tls_ca;
    ngx_str_t            tls_cert;
    ngx_str_t            tls_key;
    ngx_str_t            tls_name;
    void                *ssl;            /* ngx_ssl_t */
    ngx_resolver_t      *resolver;       /* NULL: names are of no use later */
    ngx_msec_t           resolver_timeout;
} ngx_loyalty_redis_conf_t;


typedef enum {
    NGX_LOYALTY_REDIS_OK = 0,            /* reply != NULL, of any type */
    NGX_LOYALTY_REDIS_TIMEOUT,
    NGX_LOYALTY_REDIS_LOST               /* connection broke meanwhile */
} ngx_loyalty_redis_result_e;


/* The reply may be an error, and of a type nobody expects: check it. */
typedef void (*ngx_loyalty_redis_handler_pt)(ngx_loyalty_redis_command_t *cmd,
    ngx_loyalty_redis_result_e result, redisReply *reply);


struct ngx_loyalty_redis_command_s {
    ngx_loyalty_redis_handler_pt   handler;
    void                          *data;
    ngx_msec_t                     timeout;   /* 0: that of the conf */
    void                          *op;        /* the client's; NULL: idle */
};


char *ngx_loyalty_redis_directive(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);        /* ngx_loyalty_redis_conf_t, zeroed, at cmd->offset */

/* In postconfiguration: addresses, resolver, TLS.  Nothing if not set. */
ngx_int_t ngx_loyalty_redis_init_conf(ngx_conf_t *cf,
    ngx_loyalty_redis_conf_t *conf);

/* in init_process; NULL: out of memory */
ngx_loyalty_redis_t *ngx_loyalty_redis_create(ngx_cycle_t *cycle,
    ngx_loyalty_redis_conf_t *conf);

/* in exit_process; no handler is called any more */
void ngx_loyalty_redis_close(ngx_loyalty_redis_t *redis);

/*
 * NGX_OK: queued, the handler will be called.  NGX_DECLINED: Redis is away,
 * at once, the handler will not be called.  NGX_ERROR: out of memory, not
 * called.  The arguments are copied.  `key` is the argument that picks the
 * cluster node, 0 for none.
 *
 * Until the first connection has come up or failed, commands wait for it.
 */
ngx_int_t ngx_loyalty_redis_send(ngx_loyalty_redis_t *redis,
    ngx_loyalty_redis_command_t *cmd, ngx_uint_t argc, ngx_str_t *argv,
    ngx_uint_t key);

/* The caller no longer wants it: the late reply is dropped. */
void ngx_loyalty_redis_cancel(ngx_loyalty_redis_command_t *cmd);

/* Commands are being answered; in a cluster, by one master at least. */
ngx_uint_t ngx_loyalty_redis_up(ngx_loyalty_redis_t *redis);

/*
 * Told on every (re)connect of a node, with its run_id (INFO server): another
 * run_id than before may mean lost data.  Empty: the server does not tell.
 * Up to NGX_LOYALTY_REDIS_LISTENERS handlers, added before the event loop runs.
 */
#define NGX_LOYALTY_REDIS_LISTENERS  4

typedef void (*ngx_loyalty_redis_connect_pt)(void *data, ngx_str_t *run_id);
void ngx_loyalty_redis_on_connect(ngx_loyalty_redis_t *redis,
    ngx_loyalty_redis_connect_pt handler, void *data);


/*
 * Client tracking: a connection of its own that redirects to itself; in a
 * cluster one a master.  Down until `up` is called, then `up` and `down` take
 * turns; a change of the cluster's slots is a down and an up.  Where the
 * server has no tracking, `up` says that the server is there, and the log
 * that changes are seen when the ttl has passed.
 */

typedef struct {
    void   (*invalidate)(void *data, ngx_str_t *key);
    void   (*flush)(void *data);         /* FLUSHALL: all is gone */
    void   (*up)(void *data);            /* from now on nothing is missed */
    void   (*down)(void *data);          /* treat all entries as stale */
    void    *data;
} ngx_loyalty_redis_tracker_t;

ngx_int_t ngx_loyalty_redis_track(ngx_loyalty_redis_t *redis,
    ngx_loyalty_redis_tracker_t *tracker);


#endif /* _NGX_LOYALTY_REDIS_H_INCLUDED_ */
