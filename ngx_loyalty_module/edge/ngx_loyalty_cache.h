/*
 * The shared memory zone: members' views and programs' bytes, found without a
 * lock, filled by one reader, dropped by invalidation.
 *
 *   zone:  cache header | flights | table (ngx_loyalty_table.h)
 *
 * When an entry may be believed.  Each worker has an invalidation link of its
 * own and applies what it hears to the zone; the same message twice does no
 * harm.  An entry carries the epoch of the zone at its storing.  The epoch
 * moves whenever no live worker's link is left up, and when a link comes up
 * while no other is: so within one epoch some link has heard every change.  A
 * worker believes entries of the present epoch while its own link is up; one
 * that has just started, also while another worker's is.
 *
 * The read race.  Who is going to read Redis leaves a mark (a flight) in the
 * zone before the command is sent.  An invalidation of that key, a flush and
 * a new epoch take the mark away, and a reply without its mark is not stored.
 */

#ifndef _NGX_LOYALTY_CACHE_H_INCLUDED_
#define _NGX_LOYALTY_CACHE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "ngx_loyalty_table.h"


/* The room that ngx_loyalty_cache_get() wants. */
#define NGX_LOYALTY_CACHE_DATA_MAX   NGX_LOYALTY_TABLE_DATA_MAX

#define NGX_LOYALTY_CACHE_SIZE_MIN   (1024 * 1024)

/* An epoch moves by the second at most, and counts 19 bits. */
#define NGX_LOYALTY_CACHE_TTL_MAX    (24 * 60 * 60)

#define NGX_LOYALTY_CACHE_STALE_MAX  (30 * 24 * 60 * 60)


typedef struct ngx_loyalty_cache_s  ngx_loyalty_cache_t;


/* loyalty_zone NAME SIZE [ttl=10m] [negative=30s] [stale=1h]; */

typedef struct {
    ngx_shm_zone_t        *shm_zone;
    ngx_loyalty_cache_t   *cache;        /* usable from init_process on */
} ngx_loyalty_zone_conf_t;

/* ngx_loyalty_zone_conf_t, zeroed, at cmd->offset; cmd->post is the tag */
char *ngx_loyalty_zone_directive(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/* The worker's place among those with a link; in init and exit_process. */
ngx_int_t ngx_loyalty_cache_init_process(ngx_loyalty_cache_t *cache,
    ngx_cycle_t *cycle);
void ngx_loyalty_cache_exit_process(ngx_loyalty_cache_t *cache);


typedef enum {
    NGX_LOYALTY_CACHE_MISS = 0,
    NGX_LOYALTY_CACHE_HIT,
    NGX_LOYALTY_CACHE_STALE,             /* past ttl or epoch, within stale= */
    NGX_LOYALTY_CACHE_NEGATIVE           /* known not to exist */
} ngx_loyalty_cache_state_e;

typedef enum {
    NGX_LOYALTY_CACHE_PROGRAM = 'p',
    NGX_LOYALTY_CACHE_MEMBER = 'm'
} ngx_loyalty_cache_kind_e;


/* The name of an entry; NGX_DECLINED: longer than any that is ours. */
ngx_int_t ngx_loyalty_cache_hash(ngx_loyalty_cache_t *cache,
    ngx_loyalty_cache_kind_e kind, ngx_str_t *site, ngx_str_t *id,
    ngx_loyalty_hash_t *hash);

/*
 * Copies the entry into `buffer` (NGX_LOYALTY_CACHE_DATA_MAX bytes).  No
 * lock, no system call.
 */
ngx_loyalty_cache_state_e ngx_loyalty_cache_get(ngx_loyalty_cache_t *cache,
    ngx_loyalty_hash_t *hash, void *buffer, size_t *len);

/*
 * The same with what it takes to ask again: until the entry has changed, in any
 * way, _again() knows what _read() would say, for less.  Else it says MISS.
 */
ngx_loyalty_cache_state_e ngx_loyalty_cache_read(ngx_loyalty_cache_t *cache,
    ngx_loyalty_hash_t *hash, void *buffer, ngx_loyalty_record_info_t *info);
ngx_loyalty_cache_state_e ngx_loyalty_cache_again(ngx_loyalty_cache_t *cache,
    const ngx_loyalty_record_info_t *info);

/*
 * Single flight: NGX_OK makes the caller the one who reads Redis, with a
 * ticket; NGX_DONE: the entry has come meanwhile, get it; NGX_AGAIN: someone
 * else is at it, look again after a moment; NGX_ERROR: no room, or no link,
 * read without the cache.  `refresh`: a good entry is not good enough.
 * A ticket older than its lease is taken over.
 */
typedef struct {
    uint64_t             mark;           /* 0: none */
    ngx_loyalty_hash_t   hash;
} ngx_loyalty_cache_ticket_t;

ngx_int_t ngx_loyalty_cache_begin(ngx_loyalty_cache_t *cache,
    ngx_loyalty_hash_t *hash, ngx_msec_t lease, ngx_uint_t refresh,
    ngx_loyalty_cache_ticket_t *ticket);

/*
 * Ends a flight.  Stored only while the ticket's mark is still there
 * (else NGX_DECLINED).  `valid_until` bounds the ttl further, in ms since
 * 1970; 0: no bound.  At most NGX_LOYALTY_CACHE_DATA_MAX bytes; none: the
 * entry is negative.
 */
ngx_int_t ngx_loyalty_cache_store(ngx_loyalty_cache_t *cache,
    ngx_loyalty_cache_ticket_t *ticket, const void *data, size_t len,
    int64_t valid_until);
void ngx_loyalty_cache_abandon(ngx_loyalty_cache_t *cache,
    ngx_loyalty_cache_ticket_t *ticket);

/*
 * Texts larger than an entry lie in the zone as chunks named by the text's
 * own hash: equal names are equal bytes.  They may be evicted, and one of more
 * than a quarter of the zone is named but not kept: NGX_DECLINED.
 */
typedef struct {
    ngx_loyalty_hash_t   hash;
    uint32_t             len;
} ngx_loyalty_cache_text_t;

void ngx_loyalty_cache_text_put(ngx_loyalty_cache_t *cache, ngx_str_t *bytes,
    ngx_loyalty_cache_text_t *text);
ngx_int_t ngx_loyalty_cache_text_get(ngx_loyalty_cache_t *cache,
    ngx_loyalty_cache_text_t *text, u_char *bytes);

void ngx_loyalty_cache_invalidate(ngx_loyalty_cache_t *cache,
    ngx_loyalty_hash_t *hash);
void ngx_loyalty_cache_flush(ngx_loyalty_cache_t *cache);

/* This worker's invalidation link. */
void ngx_loyalty_cache_link(ngx_loyalty_cache_t *cache, ngx_uint_t up);


#endif /* _NGX_LOYALTY_CACHE_H_INCLUDED_ */
