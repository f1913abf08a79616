/*
 * The index: which bucket and slot a record has.  Called under the lock.
 *
 * A record may be in either of two buckets and goes to the emptier one; where
 * both are full one of their records moves to its own other bucket, which may
 * first have to send on one of its own, or else the next that was not visited
 * gives way.  A bucket is added when the slots in use are LOAD of a hundred: at
 * 92 none has given way before the log is full, at 96 one of a hundred.  By
 * single moves it was one of seventy at 88: buckets not yet split get twice as
 * many records as the others.
 */


#include "ngx_loyalty_table_private.h"


/* Slots in use before a bucket is added, of a hundred. */
#define NGX_LOYALTY_TABLE_LOAD      92


static void ngx_loyalty_table_repair(ngx_loyalty_table_t *t,
    ngx_loyalty_bucket_t *b);
static int ngx_loyalty_table_vacant(ngx_loyalty_bucket_t *b, unsigned *slot);
static int ngx_loyalty_table_displace(ngx_loyalty_table_t *t,
    ngx_loyalty_bucket_t *b, unsigned depth, ngx_loyalty_slot_t *at);
static void ngx_loyalty_table_victim(ngx_loyalty_table_t *t,
    ngx_loyalty_bucket_t *b[2], ngx_loyalty_slot_t *at);


ngx_loyalty_bucket_t *
ngx_loyalty_table_change(ngx_loyalty_table_t *t, ngx_loyalty_bucket_t *b)
{
    ngx_loyalty_table_repair(t, b);

    ngx_loyalty_table_step();
    __atomic_store_n(&b->sequence, b->sequence + 1, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_RELEASE);

    return b;
}


void
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


ngx_loyalty_record_t *
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


int
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


void
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


void
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

    } else if (ngx_loyalty_table_displace(t, b[0], 0, &at)
               || ngx_loyalty_table_displace(t, b[1], 0, &at)
               || ngx_loyalty_table_displace(t, b[0], 1, &at)
               || ngx_loyalty_table_displace(t, b[1], 1, &at))
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


/*
 * Empties a slot of a full bucket by moving it to its other bucket, where one
 * of `depth` moves before it makes room.
 */

static int
ngx_loyalty_table_displace(ngx_loyalty_table_t *t, ngx_loyalty_bucket_t *b,
    unsigned depth, ngx_loyalty_slot_t *at)
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

            if (ngx_loyalty_table_vacant(to.bucket, &to.slot) == 0
                && (depth == 0
                    || !ngx_loyalty_table_displace(t, to.bucket, depth - 1,
                                                   &to)))
            {
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


/* Adds a bucket and gives it its half of the bucket whose turn it is. */

void
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
