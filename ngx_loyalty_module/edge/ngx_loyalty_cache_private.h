/*
 * Between the cache's two files: the zone with its epochs and links
 * (ngx_loyalty_cache_zone.c), and the entries (ngx_loyalty_cache.c).
 */

#ifndef _NGX_LOYALTY_CACHE_PRIVATE_H_INCLUDED_
#define _NGX_LOYALTY_CACHE_PRIVATE_H_INCLUDED_


#include "ngx_loyalty_cache.h"
#include "ngx_loyalty_hash.h"
#include "ngx_loyalty_metrics.h"


/* For entries of older epochs the zone knows when they became stale. */
#define NGX_LOYALTY_CACHE_EPOCHS     64

#define NGX_LOYALTY_CACHE_LINKS      256

/* Flights whose names fall together. */
#define NGX_LOYALTY_CACHE_SET        8


typedef struct {
    uint64_t                   mark;         /* 0: free */
    uint32_t                   deadline;     /* of the lease, in ms */
    uint32_t                   epoch;
    ngx_loyalty_hash_t         hash;
} ngx_loyalty_cache_flight_t;


typedef struct {
    ngx_pid_t                  pid;          /* 0: free */
    uint32_t                   up;
    uint64_t                   alive;        /* in ms */
} ngx_loyalty_cache_link_t;


typedef struct {
    uint64_t                   key[2];       /* of the hash */
    uint64_t                   mark;         /* the last one given */
    uint32_t                   epoch;
    uint32_t                   floor;        /* entries before it are gone */
    uint32_t                   ended[NGX_LOYALTY_CACHE_EPOCHS];
    ngx_loyalty_cache_link_t   links[NGX_LOYALTY_CACHE_LINKS];
    uint32_t                   sets;
    ngx_loyalty_table_t       *table;
    ngx_loyalty_cache_flight_t
                    flights[] __attribute__((aligned(64)));
} ngx_loyalty_cache_shared_t;


struct ngx_loyalty_cache_s {
    ngx_loyalty_cache_shared_t  *sh;
    ngx_slab_pool_t             *shpool;
    time_t                       ttl;
    time_t                       negative;
    time_t                       stale;

    /* of the process */

    ngx_loyalty_cache_link_t    *link;       /* NULL: more workers than links */
    ngx_event_t                  timer;
    unsigned                     linked:1;   /* entries may be believed */
    unsigned                     starting:1; /* by the word of others */
};


#endif /* _NGX_LOYALTY_CACHE_PRIVATE_H_INCLUDED_ */
