/*
 * The order journal of a worker: orders go to local disk before the answer
 * goes out, then to Redis.
 *
 *   append -> [ group being gathered ]          event loop
 *                    | one group at a time
 *             [ write, fdatasync ]              thread
 *                    |
 *             answers resume; shipper wakes     event loop
 *
 * While one group is written the next one gathers.  The worker owns one set of
 * files that it writes, and looks after sets that dead workers left.
 */

#ifndef _NGX_LOYALTY_JOURNAL_H_INCLUDED_
#define _NGX_LOYALTY_JOURNAL_H_INCLUDED_


#include "ngx_http_loyalty.h"
#include "loyalty_journal_payload.h"
#include "loyalty_journal_set.h"


typedef struct ngx_loyalty_journal_s      ngx_loyalty_journal_t;
typedef struct ngx_loyalty_journal_op_s   ngx_loyalty_journal_op_t;
typedef struct ngx_loyalty_journal_set_s  ngx_loyalty_journal_set_t;


typedef enum {
    NGX_LOYALTY_JOURNAL_ALWAYS = 0,
    NGX_LOYALTY_JOURNAL_EVERYSEC,
    NGX_LOYALTY_JOURNAL_OFF
} ngx_loyalty_journal_sync_e;


typedef struct {
    ngx_path_t           *path;          /* NULL: no directive */
    ngx_uint_t            sync;
    time_t                retain;
    off_t                 max_size;
    ngx_thread_pool_t    *pool;
} ngx_loyalty_journal_conf_t;


/*
 * One order on its way to disk, the caller's.  NGX_OK: it will not be lost;
 * NGX_ERROR: neither the journal nor Redis took it.
 */

typedef void (*ngx_loyalty_journal_handler_pt)(ngx_loyalty_journal_op_t *op,
    ngx_int_t rc);

struct ngx_loyalty_journal_op_s {
    ngx_queue_t                      queue;
    ngx_loyalty_journal_handler_pt   handler;
    void                            *data;
    size_t                           offset;    /* of its record in the group */
};


char *ngx_loyalty_journal_directive(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);        /* ngx_loyalty_journal_conf_t, zeroed, at cmd->offset */

/* In init_process, after the Redis client; NULL: out of memory */
ngx_loyalty_journal_t *ngx_loyalty_journal_create(ngx_cycle_t *cycle,
    ngx_loyalty_journal_conf_t *conf, ngx_loyalty_redis_t *redis,
    ngx_loyalty_redis_conf_t *redis_conf);
/* In exit_process, when no thread runs any more */
void ngx_loyalty_journal_close(ngx_loyalty_journal_t *journal);

/*
 * NGX_OK: the handler will be called, never from inside.  NGX_ERROR: it will
 * not; the order is lost, and logged.
 */
ngx_int_t ngx_loyalty_journal_append(ngx_loyalty_journal_t *journal,
    loyalty_journal_payload_t *payload, ngx_loyalty_journal_op_t *op);


/*
 * Redis is away, or has lost data a moment ago and may still be filled again:
 * what it does not know may exist all the same.
 */
ngx_uint_t ngx_loyalty_journal_refilling(ngx_loyalty_journal_t *journal);


/* What follows is shared with the shipper. */

/* A record on its way. */

typedef struct {
    ngx_loyalty_redis_command_t   cmd;
    struct ngx_loyalty_goal_s    *goal;
    uint64_t                      id;
    u_char                       *bytes;
    u_char                       *event;      /* made of a raw record */
    loyalty_journal_payload_t     payload;
    ngx_msec_t                    started;    /* to be posted */
    unsigned                      sent:1;     /* to Redis */
    unsigned                      done:1;
} ngx_loyalty_parcel_t;


/* The way of one set's records to one goal. */

typedef struct ngx_loyalty_goal_s {
    ngx_loyalty_journal_set_t    *set;
    loyalty_journal_goal_t        kind;

    loyalty_journal_reader_t      reader;     /* the thread's while reading */
    uint64_t                      acked;      /* at the start of reading */
    uint64_t                      file;       /* where the reader goes on */
    uint64_t                      limit;      /* the writer's file, and how */
    off_t                         limit_end;  /* much of it is on disk */
    uint64_t                      damaged;
    ngx_uint_t                    drained;    /* nothing was left to read */
    ngx_uint_t                    nomem;

    ngx_loyalty_parcel_t         *parcels;
    ngx_uint_t                    n;
    ngx_uint_t                    outstanding;
    size_t                        bytes;
    u_char                       *held;       /* a tail that parcels are in */

    ngx_thread_task_t            *task;
    ngx_event_t                   retry;
    ngx_msec_t                    backoff;

    unsigned                      reading:1;
    unsigned                      more:1;     /* woken while it was busy */
    unsigned                      reset:1;    /* start again from the cursor */
    unsigned                      failed:1;   /* some of this round */
    unsigned                      resending:1;
    unsigned                      taken:1;    /* parcels are in the tail */
} ngx_loyalty_goal_t;


struct ngx_loyalty_journal_set_s {
    ngx_queue_t                   queue;
    ngx_loyalty_journal_t        *journal;
    loyalty_journal_set_t         files;
    loyalty_journal_cursor_t      cursor;
    ngx_loyalty_goal_t            goals[LOYALTY_JOURNAL_GOALS];
    unsigned                      own:1;
    unsigned                      dirty:1;    /* the cursor has moved */
    unsigned                      lags:1;     /* goal of posts: has more to
                                                 pass over */
};


typedef struct {
    u_char                       *records;
    size_t                        len;
    size_t                        size;
    uint64_t                      first;
    uint64_t                      last;
    ngx_queue_t                   ops;
    ngx_uint_t                    count;
    ngx_uint_t                    posts;      /* some have a URI */

    /* the thread's */
    off_t                         room;
    off_t                         grown;
    uint64_t                      usec;
    ngx_err_t                     err;
    unsigned                      sync:1;
    unsigned                      full:1;     /* max_size, not the disk */
} ngx_loyalty_group_t;


/*
 * The newest records on disk, as they are there, for the shipper: what has just
 * been written need not be read again.
 */

typedef struct {
    u_char                       *records;
    size_t                        len;
    uint64_t                      file;
    off_t                         start;       /* of `records` in the file */
} ngx_loyalty_tail_t;


struct ngx_loyalty_journal_s {
    ngx_loyalty_journal_conf_t   *conf;
    ngx_loyalty_redis_t          *redis;
    loyalty_str_t                 prefix;
    ngx_uint_t                    servers_max; /* run ids known at once */
    ngx_log_t                    *log;
    ngx_pool_t                   *pool;

    int                           base;        /* the folder */
    ngx_loyalty_journal_set_t    *own;         /* NULL: the folder is of no
                                                  use, all goes directly */
    ngx_queue_t                   sets;
    ngx_uint_t                    nsets;

    /* the thread's while a group is written */
    loyalty_journal_file_t        file;

    uint64_t                      next_id;
    uint64_t                      durable_file;
    off_t                         durable_end;
    uint64_t                      durable_id;
    ngx_loyalty_tail_t            tail;
    ngx_loyalty_group_t           groups[2];
    ngx_loyalty_group_t          *gather;
    ngx_loyalty_group_t          *writing;
    ngx_thread_task_t            *commit;
    ngx_event_t                   start;       /* at the end of the loop */
    ngx_msec_t                    started;     /* the newest commit */
    ngx_event_t                   wait;        /* for a disk that hangs */
    off_t                         total;       /* bytes of all sets */

    ngx_event_t                   tick;
    ngx_thread_task_t            *keep;        /* housekeeping */
    uint64_t                      servers[LOYALTY_JOURNAL_SERVERS_MAX];
    ngx_uint_t                    nservers;
    void                         *watch;       /* the shipper's */

    ngx_msec_t                    post_again;  /* not before, after one hung */
    time_t                        emptied;     /* when Redis lost data last */

    unsigned                      committing:1;
    unsigned                      keeping:1;
    unsigned                      unsynced:1;  /* everysec */
    unsigned                      failed:1;    /* said so in the log */
    unsigned                      hung:1;
    unsigned                      squeeze:1;   /* retain gives way */
    unsigned                      lost:1;      /* Redis has lost data */
    unsigned                      losing:1;    /* said so in the log */
};


/* The set has new records, or Redis is back. */
void ngx_loyalty_shipper_wake(ngx_loyalty_journal_set_t *set);
/* A group of our own set is on disk. */
void ngx_loyalty_shipper_written(ngx_loyalty_journal_t *journal,
    ngx_loyalty_group_t *group);
/* Once a second */
void ngx_loyalty_shipper_tick(ngx_loyalty_journal_set_t *set);
ngx_int_t ngx_loyalty_shipper_init(ngx_loyalty_journal_set_t *set);
void ngx_loyalty_shipper_close(ngx_loyalty_journal_set_t *set);
/* All was delivered and nothing is under way. */
ngx_uint_t ngx_loyalty_shipper_done(ngx_loyalty_journal_set_t *set);
/* When the oldest order under way came; 0: none is. */
int64_t ngx_loyalty_shipper_oldest(ngx_loyalty_journal_set_t *set);

ngx_int_t ngx_loyalty_shipper_start(ngx_loyalty_journal_t *journal);

/* Around the journal: NGX_OK: the op's handler will be called. */
ngx_int_t ngx_loyalty_shipper_direct(ngx_loyalty_journal_t *journal,
    uint64_t id, loyalty_journal_payload_t *payload,
    ngx_loyalty_journal_op_t *op);


#endif /* _NGX_LOYALTY_JOURNAL_H_INCLUDED_ */
