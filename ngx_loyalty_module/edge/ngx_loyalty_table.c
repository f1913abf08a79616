/*
 * Shared memory is addressed in units of 4 bytes from the table's start: 31
 * bits reach 8 GB and leave one for "visited".  Unit 0 is the header, so 0 is
 * an empty slot.
 *
 * The ring, `head` and `tail` in units, free memory dotted:
 *
 *   head <= tail     first ..... head ###### tail ............ end
 *   tail < head      first ##### tail ...... head ##### wrap .. end
 *
 * The tail never reaches the head from below, so equal means empty.  Between
 * them at least one largest record stays free: a second round needs a place
 * to go to before it leaves the old one.
 *
 * Every change is ordered so that it may stop anywhere: a record is complete
 * before the tail passes it and before a slot points to it, a slot is cleared
 * before the head passes its record, a bucket is zeroed before it is counted.
 * A record has at most one slot.  `records` may drift upwards, never below.
 */


#include "ngx_loyalty_table.h"

#include <string.h>


#define NGX_LOYALTY_TABLE_SLOTS     10

#define NGX_LOYALTY_TABLE_VISITED   0x80000000
#define NGX_LOYALTY_TABLE_PLACE     0x7fffffff

/* The index starts with these, and may grow to this share of the memory. */
#define NGX_LOYALTY_TABLE_BUCKETS   16
#define NGX_LOYALTY_TABLE_SHARE     8

/* Slots in use before a bucket is added, of a hundred. */
#define NGX_LOYALTY_TABLE_LOAD      88

/* Second rounds that one write pays for. */
#define NGX_LOYALTY_TABLE_ROUNDS    32

/* A writer holds a bucket for less than a microsecond. */
#define NGX_LOYALTY_TABLE_TRIES     1000

#define NGX_LOYALTY_TABLE_LEN_BITS  13
#define NGX_LOYALTY_TABLE_LEN_MASK  ((1 << NGX_LOYALTY_TABLE_LEN_BITS) - 1)


/* A test defines this to die at each of the points in turn. */

#ifndef ngx_loyalty_table_step
#define ngx_loyalty_table_step()    ((void) 0)
#endif


#if (defined __x86_64__ || defined __i386__)
#define ngx_loyalty_table_pause()   __builtin_ia32_pause()
#else
#define ngx_loyalty_table_pause()
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


typedef struct {
    ngx_loyalty_bucket_t  *bucket;
    unsigned               slot;
} ngx_loyalty_slot_t;


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


static inline uint32_t ngx_loyalty_table_end(ngx_loyalty_table_t *t);
static inline ngx_loyalty_bucket_t *ngx_loyalty_table_bucket(
    ngx_loyalty_table_t *t, uint32_t n);
static inline ngx_loyalty_record_t *ngx_loyalty_table_record(
    ngx_loyalty_table_t *t, uint32_t place);
static inline uint32_t ngx_loyalty_table_map(uint32_t word, uint32_t n);
static inline uint32_t ngx_loyalty_record_units(ngx_loyalty_record_t *rec);
static ngx_loyalty_bucket_t *ngx_loyalty_table_change(ngx_loyalty_table_t *t,
    ngx_loyalty_bucket_t *b);
static void ngx_loyalty_table_settle(ngx_loyalty_bucket_t *b);
static void ngx_loyalty_table_repair(ngx_loyalty_table_t *t,
    ngx_loyalty_bucket_t *b);
static ngx_loyalty_record_t *ngx_loyalty_table_find(ngx_loyalty_table_t *t,
    const ngx_loyalty_hash_t *hash, ngx_loyalty_slot_t *at);
static int ngx_loyalty_table_points(ngx_loyalty_table_t *t, uint32_t place,
    ngx_loyalty_slot_t *at);
static void ngx_loyalty_table_point(ngx_loyalty_table_t *t,
    ngx_loyalty_slot_t *at, uint32_t place, uint16_t tag);
static void ngx_loyalty_table_insert(ngx_loyalty_table_t *t, uint32_t place,
    uint16_t tag);
static int ngx_loyalty_table_vacant(ngx_loyalty_bucket_t *b, unsigned *n);
static int ngx_loyalty_table_displace(ngx_loyalty_table_t *t,
    ngx_loyalty_bucket_t *b, ngx_loyalty_slot_t *at);
static void ngx_loyalty_table_victim(ngx_loyalty_table_t *t,
    ngx_loyalty_bucket_t *b[2], ngx_loyalty_slot_t *at);
static uint32_t ngx_loyalty_table_reserve(ngx_loyalty_table_t *t,
    uint32_t units, uint32_t keep);
static void ngx_loyalty_table_advance(ngx_loyalty_table_t *t,
    unsigned *rounds, uint32_t keep);
static void ngx_loyalty_table_grow(ngx_loyalty_table_t *t);


ngx_loyalty_table_t *
ngx_loyalty_table_create(void *memory, size_t size)
{
    ngx_loyalty_table_t  *t;

    if (size < NGX_LOYALTY_TABLE_SIZE_MIN || size > NGX_LOYALTY_TABLE_SIZE_MAX)
    {
        return NULL;
    }

    t = memory;
    memset(t, 0, sizeof(ngx_loyalty_table_t));

    t->units = (uint32_t) (size / sizeof(ngx_loyalty_bucket_t)
                           * NGX_LOYALTY_BUCKET_UNITS);
    t->first = ngx_loyalty_table_units(sizeof(ngx_loyalty_table_t));
    t->head = t->first;
    t->tail = t->first;
    t->nbuckets = NGX_LOYALTY_TABLE_BUCKETS;
    t->max_buckets = (uint32_t) (size / NGX_LOYALTY_TABLE_SHARE
                                 / sizeof(ngx_loyalty_bucket_t));

    memset(ngx_loyalty_table_bucket(t, t->nbuckets - 1), 0,
           t->nbuckets * sizeof(ngx_loyalty_bucket_t));

    return t;
}


int
ngx_loyalty_table_read(ngx_loyalty_table_t *t, const ngx_loyalty_hash_t *hash,
    void *buffer, ngx_loyalty_record_info_t *info)
{
    uint16_t               tag;
    uint32_t               n, sequence, place, visited, len;
    unsigned               i, k, tries;
    ngx_loyalty_record_t  *rec, copy;
    ngx_loyalty_bucket_t  *b, *buckets[2];

    n = ngx_loyalty_table_get(&t->nbuckets);
    tag = (uint16_t) hash->word[3];
    tries = 0;

    for (i = 0; i < 2; i++) {
        buckets[i] = ngx_loyalty_table_bucket(t,
                                     ngx_loyalty_table_map(hash->word[i], n));
        __builtin_prefetch(buckets[i]);
    }

    for (i = 0; i < 2; i++) {
        b = buckets[i];

    again:

        if (tries++ > NGX_LOYALTY_TABLE_TRIES) {
            return 0;
        }

        sequence = ngx_loyalty_table_get(&b->sequence);

        if (sequence & 1) {
            ngx_loyalty_table_pause();
            goto again;
        }

        for (k = 0; k < NGX_LOYALTY_TABLE_SLOTS; k++) {

            if (ngx_loyalty_table_peek(&b->tag[k]) != tag) {
                continue;
            }

            visited = ngx_loyalty_table_peek(&b->place[k]);
            place = visited & NGX_LOYALTY_TABLE_PLACE;

            if (place < t->first
                || place + NGX_LOYALTY_RECORD_UNITS > t->units)
            {
                continue;
            }

            rec = ngx_loyalty_table_record(t, place);
            memcpy(&copy, rec, sizeof(ngx_loyalty_record_t));

            if (memcmp(copy.id, hash->word, sizeof(copy.id)) != 0) {
                continue;
            }

            len = copy.meta & NGX_LOYALTY_TABLE_LEN_MASK;

            if (len > NGX_LOYALTY_TABLE_DATA_MAX
                || place + NGX_LOYALTY_RECORD_UNITS
                   + ngx_loyalty_table_units(len) > t->units)
            {
                goto again;
            }

            memcpy(buffer, rec + 1, len);

            __atomic_thread_fence(__ATOMIC_ACQUIRE);

            if (ngx_loyalty_table_peek(&b->sequence) != sequence) {
                goto again;
            }

            if (copy.expires == 0) {
                return 0;
            }

            /* fails if the slot is no longer this record's, as it should */

            if (!(visited & NGX_LOYALTY_TABLE_VISITED)) {
                __atomic_compare_exchange_n(&b->place[k], &visited,
                                      visited | NGX_LOYALTY_TABLE_VISITED, 0,
                                      __ATOMIC_RELAXED, __ATOMIC_RELAXED);
            }

            info->expires = copy.expires;
            info->epoch = copy.meta >> NGX_LOYALTY_TABLE_LEN_BITS;
            info->len = len;

            return 1;
        }
    }

    return 0;
}


int
ngx_loyalty_table_absent(ngx_loyalty_table_t *t,
    const ngx_loyalty_hash_t *hash)
{
    uint32_t               n, place, sequence[2];
    unsigned               i, k;
    ngx_loyalty_record_t  *rec;
    ngx_loyalty_bucket_t  *b[2];

    n = ngx_loyalty_table_get(&t->nbuckets);

    for (i = 0; i < 2; i++) {
        b[i] = ngx_loyalty_table_bucket(t,
                                     ngx_loyalty_table_map(hash->word[i], n));
        sequence[i] = ngx_loyalty_table_get(&b[i]->sequence);

        if (sequence[i] & 1) {
            return 0;
        }
    }

    for (i = 0; i < 2; i++) {

        for (k = 0; k < NGX_LOYALTY_TABLE_SLOTS; k++) {
            place = ngx_loyalty_table_peek(&b[i]->place[k])
                    & NGX_LOYALTY_TABLE_PLACE;

            if (place == 0
                || ngx_loyalty_table_peek(&b[i]->tag[k])
                   != (uint16_t) hash->word[3])
            {
                continue;
            }

            rec = ngx_loyalty_table_record(t, place);

            if (ngx_loyalty_table_peek(&rec->expires) != 0) {
                return 0;
            }
        }
    }

    /* it may have gone from the one that was not looked at yet to the other */

    __atomic_thread_fence(__ATOMIC_ACQUIRE);

    return ngx_loyalty_table_peek(&b[0]->sequence) == sequence[0]
           && ngx_loyalty_table_peek(&b[1]->sequence) == sequence[1]
           && ngx_loyalty_table_peek(&t->nbuckets) == n;
}


void
ngx_loyalty_table_write(ngx_loyalty_table_t *t, const ngx_loyalty_hash_t *hash,
    const void *data, const ngx_loyalty_record_info_t *info, uint32_t keep)
{
    uint32_t               place, units, room;
    ngx_loyalty_slot_t     at;
    ngx_loyalty_record_t  *rec, head;

    memcpy(head.id, hash->word, sizeof(head.id));
    head.expires = info->expires;
    head.meta = info->epoch << NGX_LOYALTY_TABLE_LEN_BITS | info->len;

    units = ngx_loyalty_record_units(&head);
    rec = ngx_loyalty_table_find(t, hash, &at);

    if (rec != NULL) {
        room = ngx_loyalty_record_units(rec);

        if (room == units) {
            ngx_loyalty_table_change(t, at.bucket);
            ngx_loyalty_table_step();
            memcpy(rec, &head, sizeof(ngx_loyalty_record_t));
            ngx_loyalty_table_step();

            if (info->len) {
                memcpy(rec + 1, data, info->len);
            }

            ngx_loyalty_table_settle(at.bucket);
            return;
        }
    }

    /* may move or evict the record that was found */

    place = ngx_loyalty_table_reserve(t, units, keep);

    rec = ngx_loyalty_table_record(t, place);
    ngx_loyalty_table_step();
    memcpy(rec, &head, sizeof(ngx_loyalty_record_t));

    if (info->len) {
        memcpy(rec + 1, data, info->len);
    }

    ngx_loyalty_table_set(&t->tail, place + units);

    if (ngx_loyalty_table_find(t, hash, &at) != NULL) {
        ngx_loyalty_table_point(t, &at, place, (uint16_t) hash->word[3]);
        return;
    }

    ngx_loyalty_table_insert(t, place, (uint16_t) hash->word[3]);
    ngx_loyalty_table_grow(t);
}


int
ngx_loyalty_table_drop(ngx_loyalty_table_t *t, const ngx_loyalty_hash_t *hash)
{
    ngx_loyalty_slot_t     at;
    ngx_loyalty_record_t  *rec;

    rec = ngx_loyalty_table_find(t, hash, &at);

    if (rec == NULL || rec->expires == 0) {
        return 0;
    }

    /* the slot stays, for a record of the same length to come back to */

    ngx_loyalty_table_change(t, at.bucket);
    ngx_loyalty_table_step();
    rec->expires = 0;
    ngx_loyalty_table_settle(at.bucket);

    return 1;
}


void
ngx_loyalty_table_clear(ngx_loyalty_table_t *t)
{
    uint32_t               n;
    ngx_loyalty_bucket_t  *b;

    for (n = 0; n < t->nbuckets; n++) {
        b = ngx_loyalty_table_change(t, ngx_loyalty_table_bucket(t, n));
        memset(b->place, 0, sizeof(b->place));
        ngx_loyalty_table_settle(b);
    }

    t->records = 0;
}


void
ngx_loyalty_table_stat(ngx_loyalty_table_t *t, ngx_loyalty_table_stat_t *stat)
{
    stat->size = (uint64_t) t->units * 4;
    stat->index = (uint64_t) t->nbuckets * sizeof(ngx_loyalty_bucket_t);
    stat->records = t->records;
    stat->evicted = t->evicted;
    stat->repaired = t->repaired;
}


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


static ngx_loyalty_bucket_t *
ngx_loyalty_table_change(ngx_loyalty_table_t *t, ngx_loyalty_bucket_t *b)
{
    ngx_loyalty_table_repair(t, b);

    ngx_loyalty_table_step();
    __atomic_store_n(&b->sequence, b->sequence + 1, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_RELEASE);

    return b;
}


static void
ngx_loyalty_table_settle(ngx_loyalty_bucket_t *b)
{
    ngx_loyalty_table_set(&b->sequence, b->sequence + 1);

    /* what follows may write over the memory that was pointed to */

    __atomic_thread_fence(__ATOMIC_RELEASE);
}


/* A writer died while it changed the bucket: what it holds can't be trusted. */

static void
ngx_loyalty_table_repair(ngx_loyalty_table_t *t, ngx_loyalty_bucket_t *b)
{
    uint32_t  place;
    unsigned  n;

    if (!(b->sequence & 1)) {
        return;
    }

    for (n = 0; n < NGX_LOYALTY_TABLE_SLOTS; n++) {
        place = b->place[n];
        ngx_loyalty_table_set(&b->place[n], 0);

        if (place != 0) {
            t->records--;
        }
    }

    t->repaired++;
    ngx_loyalty_table_settle(b);
}


static ngx_loyalty_record_t *
ngx_loyalty_table_find(ngx_loyalty_table_t *t, const ngx_loyalty_hash_t *hash,
    ngx_loyalty_slot_t *at)
{
    unsigned               i, n;
    uint32_t               place;
    ngx_loyalty_record_t  *rec;
    ngx_loyalty_bucket_t  *b;

    for (i = 0; i < 2; i++) {
        b = ngx_loyalty_table_bucket(t,
                           ngx_loyalty_table_map(hash->word[i], t->nbuckets));
        ngx_loyalty_table_repair(t, b);

        for (n = 0; n < NGX_LOYALTY_TABLE_SLOTS; n++) {
            place = b->place[n] & NGX_LOYALTY_TABLE_PLACE;

            if (place == 0 || b->tag[n] != (uint16_t) hash->word[3]) {
                continue;
            }

            rec = ngx_loyalty_table_record(t, place);

            if (memcmp(rec->id, hash->word, sizeof(rec->id)) == 0) {
                at->bucket = b;
                at->slot = n;
                return rec;
            }
        }
    }

    return NULL;
}


/* Is the record at `place` pointed to, and from where? */

static int
ngx_loyalty_table_points(ngx_loyalty_table_t *t, uint32_t place,
    ngx_loyalty_slot_t *at)
{
    unsigned               i, n;
    ngx_loyalty_record_t  *rec;
    ngx_loyalty_bucket_t  *b;

    rec = ngx_loyalty_table_record(t, place);

    for (i = 0; i < 2; i++) {
        b = ngx_loyalty_table_bucket(t,
                              ngx_loyalty_table_map(rec->id[i], t->nbuckets));
        ngx_loyalty_table_repair(t, b);

        for (n = 0; n < NGX_LOYALTY_TABLE_SLOTS; n++) {

            if ((b->place[n] & NGX_LOYALTY_TABLE_PLACE) == place) {
                at->bucket = b;
                at->slot = n;
                return 1;
            }
        }
    }

    return 0;
}


static void
ngx_loyalty_table_point(ngx_loyalty_table_t *t, ngx_loyalty_slot_t *at,
    uint32_t place, uint16_t tag)
{
    ngx_loyalty_table_change(t, at->bucket);
    ngx_loyalty_table_step();
    at->bucket->tag[at->slot] = tag;
    ngx_loyalty_table_step();
    __atomic_store_n(&at->bucket->place[at->slot], place, __ATOMIC_RELAXED);
    ngx_loyalty_table_settle(at->bucket);
}


static void
ngx_loyalty_table_insert(ngx_loyalty_table_t *t, uint32_t place, uint16_t tag)
{
    int                    vacant[2];
    unsigned               i, slot[2];
    ngx_loyalty_slot_t     at;
    ngx_loyalty_record_t  *rec;
    ngx_loyalty_bucket_t  *b[2];

    rec = ngx_loyalty_table_record(t, place);

    for (i = 0; i < 2; i++) {
        b[i] = ngx_loyalty_table_bucket(t,
                              ngx_loyalty_table_map(rec->id[i], t->nbuckets));
        vacant[i] = ngx_loyalty_table_vacant(b[i], &slot[i]);
    }

    i = vacant[1] > vacant[0];

    if (vacant[i]) {
        at.bucket = b[i];
        at.slot = slot[i];

        t->records++;

    } else if (ngx_loyalty_table_displace(t, b[0], &at)
               || ngx_loyalty_table_displace(t, b[1], &at))
    {
        t->records++;

    } else {
        ngx_loyalty_table_victim(t, b, &at);

        t->evicted++;
    }

    ngx_loyalty_table_point(t, &at, place, tag);
}


/* How many slots of the bucket are empty; `slot` is one of them. */

static int
ngx_loyalty_table_vacant(ngx_loyalty_bucket_t *b, unsigned *slot)
{
    int       vacant;
    unsigned  n;

    vacant = 0;

    for (n = 0; n < NGX_LOYALTY_TABLE_SLOTS; n++) {
        if (b->place[n] == 0) {
            vacant++;
            *slot = n;
        }
    }

    return vacant;
}


/* Empties a slot of a full bucket by moving it to its other bucket. */

static int
ngx_loyalty_table_displace(ngx_loyalty_table_t *t, ngx_loyalty_bucket_t *b,
    ngx_loyalty_slot_t *at)
{
    uint32_t               place;
    unsigned               i, n;
    ngx_loyalty_slot_t     to;
    ngx_loyalty_record_t  *rec;

    for (n = 0; n < NGX_LOYALTY_TABLE_SLOTS; n++) {
        place = b->place[n];
        rec = ngx_loyalty_table_record(t, place & NGX_LOYALTY_TABLE_PLACE);

        for (i = 0; i < 2; i++) {
            to.bucket = ngx_loyalty_table_bucket(t,
                              ngx_loyalty_table_map(rec->id[i], t->nbuckets));

            if (to.bucket == b) {
                continue;
            }

            ngx_loyalty_table_repair(t, to.bucket);

            if (ngx_loyalty_table_vacant(to.bucket, &to.slot) == 0) {
                continue;
            }

            /* both are held: it is never seen in neither */

            ngx_loyalty_table_change(t, b);
            ngx_loyalty_table_change(t, to.bucket);

            to.bucket->tag[to.slot] = b->tag[n];
            to.bucket->place[to.slot] = place;
            ngx_loyalty_table_set(&b->place[n], 0);

            ngx_loyalty_table_settle(to.bucket);
            ngx_loyalty_table_settle(b);

            at->bucket = b;
            at->slot = n;

            return 1;
        }
    }

    return 0;
}


/* The next slot of two full buckets that was not visited. */

static void
ngx_loyalty_table_victim(ngx_loyalty_table_t *t, ngx_loyalty_bucket_t *b[2],
    ngx_loyalty_slot_t *at)
{
    uint32_t  place;
    unsigned  i;

    for (i = 0; i < 2 * NGX_LOYALTY_TABLE_SLOTS; i++) {
        t->hand++;

        at->bucket = b[t->hand & 1];
        at->slot = (t->hand >> 1) % NGX_LOYALTY_TABLE_SLOTS;

        place = at->bucket->place[at->slot];

        if (!(place & NGX_LOYALTY_TABLE_VISITED)) {
            return;
        }

        __atomic_store_n(&at->bucket->place[at->slot],
                         place & NGX_LOYALTY_TABLE_PLACE, __ATOMIC_RELAXED);
    }
}


/*
 * Makes room for `units` at the tail, which the caller moves, and keeps a
 * largest record's room free before the head.
 */

static uint32_t
ngx_loyalty_table_reserve(ngx_loyalty_table_t *t, uint32_t units,
    uint32_t keep)
{
    uint32_t  end;
    unsigned  rounds;

    rounds = 0;
    end = ngx_loyalty_table_end(t);

    for ( ;; ) {

        if (t->head > t->tail) {

            if (t->tail + units + NGX_LOYALTY_RECORD_UNITS_MAX < t->head) {
                return t->tail;
            }

        } else if (t->tail + units <= end) {

            if (end - t->tail + t->head - t->first
                >= units + NGX_LOYALTY_RECORD_UNITS_MAX)
            {
                return t->tail;
            }

        } else if (t->head > t->first) {
            ngx_loyalty_table_set(&t->wrap, t->tail);
            ngx_loyalty_table_set(&t->tail, t->first);
            continue;
        }

        ngx_loyalty_table_advance(t, &rounds, keep);
    }
}


/* Moves the head past one record. */

static void
ngx_loyalty_table_advance(ngx_loyalty_table_t *t, unsigned *rounds,
    uint32_t keep)
{
    uint32_t               units, limit;
    ngx_loyalty_slot_t     at;
    ngx_loyalty_record_t  *rec;

    if (t->head > t->tail && t->head == t->wrap) {
        ngx_loyalty_table_set(&t->head, t->first);
        return;
    }

    rec = ngx_loyalty_table_record(t, t->head);
    units = ngx_loyalty_record_units(rec);

    if (ngx_loyalty_table_points(t, t->head, &at)) {

        limit = t->head > t->tail ? t->head - 1 : ngx_loyalty_table_end(t);

        if ((at.bucket->place[at.slot] & NGX_LOYALTY_TABLE_VISITED)
            && rec->expires != 0 && rec->expires >= keep
            && t->tail + units <= limit
            && (*rounds)++ < NGX_LOYALTY_TABLE_ROUNDS)
        {
            memcpy(ngx_loyalty_table_record(t, t->tail), rec, units * 4);

            limit = t->tail;
            ngx_loyalty_table_set(&t->tail, t->tail + units);
            ngx_loyalty_table_point(t, &at, limit, at.bucket->tag[at.slot]);

        } else {

            if (rec->expires != 0) {
                t->evicted++;
            }

            ngx_loyalty_table_point(t, &at, 0, 0);
            t->records--;
        }
    }

    ngx_loyalty_table_set(&t->head, t->head + units);
}


/* Adds a bucket and gives it its half of the bucket whose turn it is. */

static void
ngx_loyalty_table_grow(ngx_loyalty_table_t *t)
{
    uint32_t               n, split, used, place;
    unsigned               k, to;
    ngx_loyalty_record_t  *rec;
    ngx_loyalty_bucket_t  *b, *from;

    n = t->nbuckets;
    used = t->head > t->tail ? t->wrap : t->tail;

    if (t->records * 100
        <= (uint64_t) n * NGX_LOYALTY_TABLE_SLOTS * NGX_LOYALTY_TABLE_LOAD
        || n >= t->max_buckets
        || used + NGX_LOYALTY_BUCKET_UNITS > ngx_loyalty_table_end(t))
    {
        return;
    }

    split = n & (0x7fffffff >> __builtin_clz(n));
    from = ngx_loyalty_table_change(t, ngx_loyalty_table_bucket(t, split));

    b = ngx_loyalty_table_bucket(t, n);
    ngx_loyalty_table_step();
    memset(b, 0, sizeof(ngx_loyalty_bucket_t));
    to = 0;

    for (k = 0; k < NGX_LOYALTY_TABLE_SLOTS; k++) {
        place = from->place[k] & NGX_LOYALTY_TABLE_PLACE;

        if (place == 0) {
            continue;
        }

        rec = ngx_loyalty_table_record(t, place);

        if (ngx_loyalty_table_map(rec->id[0], n + 1) != split
            && ngx_loyalty_table_map(rec->id[1], n + 1) != split)
        {
            b->tag[to] = from->tag[k];
            b->place[to++] = from->place[k];

            ngx_loyalty_table_step();
            from->place[k] = 0;
        }
    }

    ngx_loyalty_table_set(&t->nbuckets, n + 1);
    ngx_loyalty_table_settle(from);
}
