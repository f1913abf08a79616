/*
 * What the shipper's files share.
 */

#ifndef _NGX_LOYALTY_SHIPPER_H_INCLUDED_
#define _NGX_LOYALTY_SHIPPER_H_INCLUDED_


#include "ngx_loyalty_journal.h"
#include "loyalty_keys.h"


/* "0123456789abcdef-10000000000", a set's id and a record's */
#define NGX_LOYALTY_RECORD_NAME_LEN  33

#define ngx_loyalty_record_name(p, set, id)                                   \
    ngx_sprintf(p, "%016xL-%xL", set, id)


/* The cursor was set back: when next woken the goals begin again. */
void ngx_loyalty_shipper_rewind(ngx_loyalty_journal_set_t *set);

/* A group that is on disk joins what is kept in memory. */
void ngx_loyalty_tail_add(ngx_loyalty_journal_t *journal,
    ngx_loyalty_group_t *group);
/* The goal's next batch from memory; NGX_DECLINED: not there. */
ngx_int_t ngx_loyalty_goal_take(ngx_loyalty_goal_t *goal);
/* In a thread: from the files. */
void ngx_loyalty_goal_read(void *data, ngx_log_t *log);

ngx_int_t ngx_loyalty_shipper_xadd(ngx_loyalty_journal_t *journal,
    ngx_loyalty_redis_command_t *cmd, loyalty_journal_goal_t kind,
    uint64_t set, uint64_t id, loyalty_journal_payload_t *payload);

/* Asks for the site's program. */
ngx_int_t ngx_loyalty_shipper_program(ngx_loyalty_journal_t *journal,
    ngx_loyalty_redis_command_t *cmd, loyalty_str_t *site);
/*
 * Makes a raw record an event.  NGX_DONE: it can't become one and is on its
 * way to the dead letters by parcel->cmd; NGX_DECLINED: the same, and nobody
 * needs to know; NGX_ERROR: try again.
 */
ngx_int_t ngx_loyalty_shipper_event(ngx_loyalty_parcel_t *parcel,
    redisReply *reply);

/* Did Redis take it?  What it says instead goes to the log, once. */
ngx_uint_t ngx_loyalty_shipper_taken(ngx_loyalty_journal_t *journal,
    ngx_loyalty_redis_result_e result, redisReply *reply);

/* The id a site's stream gave to an order. */
void ngx_loyalty_shipper_saw(ngx_loyalty_journal_t *journal,
    loyalty_str_t *site, char *id, size_t len);


#endif /* _NGX_LOYALTY_SHIPPER_H_INCLUDED_ */
