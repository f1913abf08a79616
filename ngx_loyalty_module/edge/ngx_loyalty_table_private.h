/*
 * Between the table's two files: the log (ngx_loyalty_table.c) and the index
 * (ngx_loyalty_table_index.c).
 */

#ifndef _NGX_LOYALTY_TABLE_PRIVATE_H_INCLUDED_
#define _NGX_LOYALTY_TABLE_PRIVATE_H_INCLUDED_


#include "ngx_loyalty_table.h"

#include <string.h>


#define NGX_LOYALTY_TABLE_SLOTS     10

#define NGX_LOYALTY_TABLE_VISITED   0x80000000
#define NGX_LOYALTY_TABLE_PLACE     0x7fffffff

#define NGX_LOYALTY_TABLE_LEN_BITS  13
#define NGX_LOYALTY_TABLE_LEN_MASK  ((1 << NGX_LOYALTY_TABLE_LEN_BITS) - 1)


/* A test defines this to die at each of the points in turn. */

#ifndef ngx_loyalty_table_step
#define ngx_loyalty_table_step()    ((void) 0)
#endif


#define ngx_loyalty_table_get(v)    __atomic_load_n(v, __ATOMIC_ACQUIRE)
#define ngx_loyalty_table_peek(v)   __atomic_load_n(v, __ATOMIC_RELAXED)
#define ngx_loyalty_table_set(v, x)                                           \
    (ngx_loyalty_table_step(), __atomic_store_n(v, x, __ATOMIC_RELEASE))


typedef struct {
    uint32_t   sequence;
    uint32_t   place[NGX_LOYALTY_TABLE_SLOTS];
    uint16_t   tag[NGX_LOYALTY_TABLE_SLOTS];
} ngx_loyalty_bucket_t;


typedef struct {
    uint32_t   id[3];
    uint32_t   expires;              /* 0: dropped */
    uint32_t   meta;                 /* epoch, length */
} ngx_loyalty_record_t;


struct ngx_loyalty_table_s {
    uint32_t   units;                /* all of the memory */
    uint32_t   first;                /* where the log begins */
    uint32_t   max_buckets;
    uint32_t   nbuckets;

    /* the writers' */

    uint32_t   head __attribute__((aligned(64)));
    uint32_t   tail;
    uint32_t   wrap;
    uint32_t   hand;
    uint64_t   records;
    uint64_t   evicted;
    uint64_t   repaired;
};


_Static_assert(sizeof(ngx_loyalty_bucket_t) == 64, "a bucket is a cache line");
_Static_assert(sizeof(ngx_loyalty_record_t) == 20, "a record's header");
_Static_assert(NGX_LOYALTY_TABLE_DATA_MAX <= NGX_LOYALTY_TABLE_LEN_MASK,
               "a length fits its bits");


#define ngx_loyalty_table_units(bytes)  (((uint32_t) (bytes) + 3) / 4)

#define NGX_LOYALTY_BUCKET_UNITS                                              \
    ngx_loyalty_table_units(sizeof(ngx_loyalty_bucket_t))
#define NGX_LOYALTY_RECORD_UNITS                                              \
    ngx_loyalty_table_units(sizeof(ngx_loyalty_record_t))
#define NGX_LOYALTY_RECORD_UNITS_MAX                                          \
    (NGX_LOYALTY_RECORD_UNITS                                                 \
     + ngx_loyalty_table_units(NGX_LOYALTY_TABLE_DATA_MAX))


typedef struct {
    ngx_loyalty_bucket_t  *bucket;
    unsigned               slot;
} ngx_loyalty_slot_t;


static inline uint32_t
ngx_loyalty_table_end(ngx_loyalty_table_t *t)
{
    return t->units - t->nbuckets * NGX_LOYALTY_BUCKET_UNITS;
}


static inline ngx_loyalty_bucket_t *
ngx_loyalty_table_bucket(ngx_loyalty_table_t *t, uint32_t n)
{
    return (ngx_loyalty_bucket_t *) ((uint32_t *) t + t->units) - 1 - n;
}


static inline ngx_loyalty_record_t *
ngx_loyalty_table_record(ngx_loyalty_table_t *t, uint32_t place)
{
    return (ngx_loyalty_record_t *) ((uint32_t *) t + place);
}


/*
 * Linear hashing: of n buckets, those that were split in this round, and
 * their halves, are told apart by one bit more.
 */

static inline uint32_t
ngx_loyalty_table_map(uint32_t word, uint32_t n)
{
    uint32_t  mask, bucket;

    mask = 0xffffffff >> __builtin_clz(n - 1);
    bucket = word & mask;

    return bucket < n ? bucket : word & (mask >> 1);
}


static inline uint32_t
ngx_loyalty_record_units(ngx_loyalty_record_t *rec)
{
    return NGX_LOYALTY_RECORD_UNITS
           + ngx_loyalty_table_units(rec->meta & NGX_LOYALTY_TABLE_LEN_MASK);
}


/* From here until it is settled, readers keep off the bucket. */
ngx_loyalty_bucket_t *ngx_loyalty_table_change(ngx_loyalty_table_t *t,
    ngx_loyalty_bucket_t *b);
void ngx_loyalty_table_settle(ngx_loyalty_bucket_t *b);

/* NULL: not there. */
ngx_loyalty_record_t *ngx_loyalty_table_find(ngx_loyalty_table_t *t,
    const ngx_loyalty_hash_t *hash, ngx_loyalty_slot_t *at);

/* Is the record at `place` pointed to, and from where? */
int ngx_loyalty_table_points(ngx_loyalty_table_t *t, uint32_t place,
    ngx_loyalty_slot_t *at);

/* 0, 0 clears the slot. */
void ngx_loyalty_table_point(ngx_loyalty_table_t *t, ngx_loyalty_slot_t *at,
    uint32_t place, uint16_t tag);

/* A slot for a new record; another may lose its own. */
void ngx_loyalty_table_insert(ngx_loyalty_table_t *t, uint32_t place,
    uint16_t tag);

/* Adds a bucket, if it is time and there is room. */
void ngx_loyalty_table_grow(ngx_loyalty_table_t *t);


#endif /* _NGX_LOYALTY_TABLE_PRIVATE_H_INCLUDED_ */
