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


#include "ngx_loyalty_table_private.h"


/* The index starts with these, and may grow to this share of the memory. */
#define NGX_LOYALTY_TABLE_BUCKETS   16
#define NGX_LOYALTY_TABLE_SHARE     8

/* Second rounds that one write pays for. */
#define NGX_LOYALTY_TABLE_ROUNDS    32

/* A writer holds a bucket for less than a microsecond. */
#define NGX_LOYALTY_TABLE_TRIES     1000


#if (defined __x86_64__ || defined __i386__)
#define ngx_loyalty_table_pause()   __builtin_ia32_pause()
#else
#define ngx_loyalty_table_pause()
#endif


static uint32_t ngx_loyalty_table_reserve(ngx_loyalty_table_t *t,
    uint32_t units, uint32_t keep);
static void ngx_loyalty_table_advance(ngx_loyalty_table_t *t,
    unsigned *rounds, uint32_t keep);


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

            info->seen.sequence = &b->sequence;
            info->seen.slot = &b->place[k];
            info->seen.at = sequence;
            info->seen.place = place | NGX_LOYALTY_TABLE_VISITED;

            return 1;
        }
    }

    return 0;
}


/* One that is no longer marked as visited has to be, or it is evicted. */

int
ngx_loyalty_table_unchanged(const ngx_loyalty_record_info_t *info)
{
    const ngx_loyalty_table_seen_t  *seen;

    seen = &info->seen;

    return seen->sequence != NULL
           && ngx_loyalty_table_get(seen->sequence) == seen->at
           && ngx_loyalty_table_peek(seen->slot) == seen->place;
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
