/*
 * The shared memory zone: members' views and programs' bytes, found without a
 * lock, filled by one reader, dropped by invalidation.
 */

#ifndef _NGX_LOYALTY_CACHE_H_INCLUDED_
#define _NGX_LOYALTY_CACHE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


typedef struct ngx_loyalty_cache_s  ngx_loyalty_cache_t;


/* loyalty_zone NAME SIZE [ttl=10m] [negative=30s] [stale=1h]; */

typedef struct {
    ngx_shm_zone_t        *shm_zone;
    ngx_loyalty_cache_t   *cache;        /* set by init_zone */
    time_t                 ttl;
    time_t                 negative;
    time_t                 stale;
} ngx_loyalty_zone_conf_t;

char *ngx_loyalty_zone_directive(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);


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


/* What names an entry: the kind, and the site and member id behind it. */
typedef struct {
    ngx_loyalty_cache_kind_e   kind;
    ngx_str_t                  site;
    ngx_str_t                  id;       /* empty for a program */
} ngx_loyalty_cache_key_t;


/*
 * Copies the entry into `buffer`; *len is its room, then its length.  No lock.
 * A program larger than the room: *len says how much is needed, MISS.
 */
ngx_loyalty_cache_state_e ngx_loyalty_cache_get(ngx_loyalty_cache_t *cache,
    ngx_loyalty_cache_key_t *key, void *buffer, size_t *len);

/*
 * Single flight: NGX_OK makes the caller the one who reads Redis, with a
 * ticket; NGX_AGAIN: someone else is at it, ask again (ngx_loyalty_cache_get)
 * after a moment; NGX_ERROR: no room, read without the cache.
 * A ticket older than its lease may be taken over.
 */
typedef struct {
    uint64_t   mark;
    uint64_t   hash[2];
} ngx_loyalty_cache_ticket_t;

ngx_int_t ngx_loyalty_cache_begin(ngx_loyalty_cache_t *cache,
    ngx_loyalty_cache_key_t *key, ngx_msec_t lease,
    ngx_loyalty_cache_ticket_t *ticket);

/*
 * Ends a flight.  Stored only while the ticket's mark is still there: an
 * invalidation, a flush or a lost link meanwhile clears it (NGX_DECLINED).
 * `valid_until` bounds the ttl further (0: no bound), in ms since 1970.
 */
ngx_int_t ngx_loyalty_cache_store(ngx_loyalty_cache_t *cache,
    ngx_loyalty_cache_ticket_t *ticket, const void *data, size_t len,
    int64_t valid_until);
ngx_int_t ngx_loyalty_cache_store_negative(ngx_loyalty_cache_t *cache,
    ngx_loyalty_cache_ticket_t *ticket);
void ngx_loyalty_cache_abandon(ngx_loyalty_cache_t *cache,
    ngx_loyalty_cache_ticket_t *ticket);

void ngx_loyalty_cache_invalidate(ngx_loyalty_cache_t *cache,
    ngx_loyalty_cache_key_t *key);
void ngx_loyalty_cache_flush(ngx_loyalty_cache_t *cache);

/* The invalidation link of this host: down makes every entry stale at once;
 * up starts a new epoch. */
void ngx_loyalty_cache_link(ngx_loyalty_cache_t *cache, ngx_uint_t up);


#endif /* _NGX_LOYALTY_CACHE_H_INCLUDED_ */
