/*
 * The entries of the zone, over the table: names, lifetimes, flights.
 *
 * All changes are made under shpool->mutex, which the master unlocks when a
 * worker dies with it.  What a dead worker leaves half done is a flight past
 * its lease, a link without a process, or what the table can stand.
 */


#include "ngx_loyalty_cache_private.h"

#include "loyalty_limits.h"


#define NGX_LOYALTY_CACHE_TEXT        'c'
#define NGX_LOYALTY_CACHE_TEXT_SHARE  4


_Static_assert(LOYALTY_VIEW_CACHED_MAX <= NGX_LOYALTY_CACHE_DATA_MAX,
               "a view is an entry");


static ngx_loyalty_cache_state_e ngx_loyalty_cache_state(
    ngx_loyalty_cache_t *cache, const ngx_loyalty_record_info_t *info);
static ngx_loyalty_cache_flight_t *ngx_loyalty_cache_flights(
    ngx_loyalty_cache_t *cache, ngx_loyalty_hash_t *hash);
static ngx_loyalty_cache_flight_t *ngx_loyalty_cache_flight(
    ngx_loyalty_cache_t *cache, ngx_loyalty_hash_t *hash);
static ngx_loyalty_cache_flight_t *ngx_loyalty_cache_own(
    ngx_loyalty_cache_t *cache, ngx_loyalty_cache_ticket_t *ticket);
static void ngx_loyalty_cache_write(ngx_loyalty_cache_t *cache,
    ngx_loyalty_hash_t *hash, const void *data, size_t len, uint32_t expires);
static void ngx_loyalty_cache_chunk(ngx_loyalty_cache_t *cache,
    ngx_loyalty_cache_text_t *text, uint32_t n, ngx_loyalty_hash_t *hash);


ngx_int_t
ngx_loyalty_cache_hash(ngx_loyalty_cache_t *cache,
    ngx_loyalty_cache_kind_e kind, ngx_str_t *site, ngx_str_t *id,
    ngx_loyalty_hash_t *hash)
{
    u_char  *p, name[2 + LOYALTY_SITE_ID_MAX + LOYALTY_MEMBER_ID_MAX];

    if (site->len > LOYALTY_SITE_ID_MAX || id->len > LOYALTY_MEMBER_ID_MAX) {
        return NGX_DECLINED;
    }

    p = name;
    *p++ = (u_char) kind;
    *p++ = (u_char) site->len;
    p = ngx_cpymem(p, site->data, site->len);

    if (id->len) {
        p = ngx_cpymem(p, id->data, id->len);
    }

    ngx_loyalty_hash(cache->sh->key, name, p - name, hash);

    return NGX_OK;
}


ngx_loyalty_cache_state_e
ngx_loyalty_cache_get(ngx_loyalty_cache_t *cache, ngx_loyalty_hash_t *hash,
    void *buffer, size_t *len)
{
    ngx_loyalty_cache_state_e  state;
    ngx_loyalty_record_info_t  info;

    info.len = 0;
    state = ngx_loyalty_cache_read(cache, hash, buffer, &info);
    *len = info.len;

    return state;
}


ngx_loyalty_cache_state_e
ngx_loyalty_cache_read(ngx_loyalty_cache_t *cache, ngx_loyalty_hash_t *hash,
    void *buffer, ngx_loyalty_record_info_t *info)
{
    if (!ngx_loyalty_table_read(cache->sh->table, hash, buffer, info)) {
        return NGX_LOYALTY_CACHE_MISS;
    }

    return ngx_loyalty_cache_state(cache, info);
}


ngx_loyalty_cache_state_e
ngx_loyalty_cache_again(ngx_loyalty_cache_t *cache,
    const ngx_loyalty_record_info_t *info)
{
    if (!ngx_loyalty_table_unchanged(info)) {
        return NGX_LOYALTY_CACHE_MISS;
    }

    return ngx_loyalty_cache_state(cache, info);
}


static ngx_loyalty_cache_state_e
ngx_loyalty_cache_state(ngx_loyalty_cache_t *cache,
    const ngx_loyalty_record_info_t *info)
{
    uint32_t                     now, epoch, age, since, ended;
    ngx_loyalty_cache_shared_t  *sh;

    sh = cache->sh;

    now = (uint32_t) ngx_time();
    epoch = __atomic_load_n(&sh->epoch, __ATOMIC_ACQUIRE);
    age = (epoch - info->epoch) & NGX_LOYALTY_TABLE_EPOCH_MASK;

    if (age == 0 && cache->linked && now < info->expires) {
        return info->len ? NGX_LOYALTY_CACHE_HIT : NGX_LOYALTY_CACHE_NEGATIVE;
    }

    if (age > epoch - sh->floor || info->len == 0) {
        return NGX_LOYALTY_CACHE_MISS;
    }

    since = ngx_min(info->expires, now);

    if (age != 0) {
        ended = sh->ended[(epoch - age) % NGX_LOYALTY_CACHE_EPOCHS];
        since = ngx_min(since, ended);
    }

    return now - since < (uint32_t) cache->stale ? NGX_LOYALTY_CACHE_STALE
                                                 : NGX_LOYALTY_CACHE_MISS;
}


ngx_int_t
ngx_loyalty_cache_begin(ngx_loyalty_cache_t *cache, ngx_loyalty_hash_t *hash,
    ngx_msec_t lease, ngx_uint_t refresh, ngx_loyalty_cache_ticket_t *ticket)
{
    size_t                       len;
    uint32_t                     now;
    ngx_int_t                    rc;
    ngx_uint_t                   i;
    ngx_loyalty_cache_flight_t  *set, *flight;
    ngx_loyalty_cache_shared_t  *sh;

    static uint64_t  data[NGX_LOYALTY_CACHE_DATA_MAX / sizeof(uint64_t)];

    sh = cache->sh;
    now = (uint32_t) ngx_current_msec;

    ticket->mark = 0;

    ngx_shmtx_lock(&cache->shpool->mutex);

    if (!refresh) {
        switch (ngx_loyalty_cache_get(cache, hash, data, &len)) {

        case NGX_LOYALTY_CACHE_HIT:
        case NGX_LOYALTY_CACHE_NEGATIVE:
            rc = NGX_DONE;
            goto done;

        default:
            break;
        }
    }

    flight = ngx_loyalty_cache_flight(cache, hash);

    if (flight != NULL) {

        if (flight->epoch == sh->epoch
            && (int32_t) (flight->deadline - now) > 0)
        {
            rc = NGX_AGAIN;
            goto done;
        }

    } else {
        set = ngx_loyalty_cache_flights(cache, hash);

        for (i = 0; i < NGX_LOYALTY_CACHE_SET; i++) {

            if (set[i].mark == 0 || (int32_t) (set[i].deadline - now) <= 0) {
                flight = &set[i];
                break;
            }
        }

        if (flight == NULL) {
            rc = NGX_ERROR;
            goto done;
        }
    }

    /* nobody, not even one without the lock, may see the new name marked
     * by the old one's mark */

    __atomic_store_n(&flight->mark, 0, __ATOMIC_RELEASE);
    __atomic_thread_fence(__ATOMIC_RELEASE);

    flight->hash = *hash;
    flight->epoch = sh->epoch;
    flight->deadline = now + (uint32_t) lease;

    ticket->hash = *hash;
    ticket->mark = ++sh->mark;

    __atomic_store_n(&flight->mark, ticket->mark, __ATOMIC_SEQ_CST);

    rc = NGX_OK;

done:

    ngx_shmtx_unlock(&cache->shpool->mutex);

    return rc;
}


static ngx_loyalty_cache_flight_t *
ngx_loyalty_cache_flights(ngx_loyalty_cache_t *cache, ngx_loyalty_hash_t *hash)
{
    return &cache->sh->flights[hash->word[2] % cache->sh->sets
                               * NGX_LOYALTY_CACHE_SET];
}


static ngx_loyalty_cache_flight_t *
ngx_loyalty_cache_flight(ngx_loyalty_cache_t *cache, ngx_loyalty_hash_t *hash)
{
    ngx_uint_t                   i;
    ngx_loyalty_cache_flight_t  *set;

    set = ngx_loyalty_cache_flights(cache, hash);

    for (i = 0; i < NGX_LOYALTY_CACHE_SET; i++) {

        if (__atomic_load_n(&set[i].mark, __ATOMIC_ACQUIRE) != 0
            && ngx_memcmp(&set[i].hash, hash, sizeof(ngx_loyalty_hash_t)) == 0)
        {
            return &set[i];
        }
    }

    return NULL;
}


ngx_int_t
ngx_loyalty_cache_store(ngx_loyalty_cache_t *cache,
    ngx_loyalty_cache_ticket_t *ticket, const void *data, size_t len,
    int64_t valid_until)
{
    time_t                       now, expires;
    ngx_int_t                    rc;
    ngx_loyalty_cache_flight_t  *flight;

    rc = NGX_DECLINED;
    now = ngx_time();
    expires = now + (len ? cache->ttl : cache->negative);

    if (valid_until != 0 && valid_until / 1000 < expires) {
        expires = ngx_max(valid_until / 1000, now);
    }

    ngx_shmtx_lock(&cache->shpool->mutex);

    flight = ngx_loyalty_cache_own(cache, ticket);

    if (flight != NULL) {

        if (flight->epoch == cache->sh->epoch) {
            ngx_loyalty_cache_write(cache, &ticket->hash, data, len,
                                    (uint32_t) expires);
            rc = NGX_OK;
        }

        /* not before the entry can be seen: see _invalidate() */

        __atomic_store_n(&flight->mark, 0, __ATOMIC_RELEASE);
    }

    ngx_shmtx_unlock(&cache->shpool->mutex);

    ticket->mark = 0;

    if (rc != NGX_OK) {
        ngx_loyalty_metric(LATE_REPLIES)++;
    }

    return rc;
}


void
ngx_loyalty_cache_abandon(ngx_loyalty_cache_t *cache,
    ngx_loyalty_cache_ticket_t *ticket)
{
    ngx_loyalty_cache_flight_t  *flight;

    if (ticket->mark == 0) {
        return;
    }

    ngx_shmtx_lock(&cache->shpool->mutex);

    flight = ngx_loyalty_cache_own(cache, ticket);

    if (flight != NULL) {
        flight->mark = 0;
    }

    ngx_shmtx_unlock(&cache->shpool->mutex);

    ticket->mark = 0;
}


static ngx_loyalty_cache_flight_t *
ngx_loyalty_cache_own(ngx_loyalty_cache_t *cache,
    ngx_loyalty_cache_ticket_t *ticket)
{
    ngx_loyalty_cache_flight_t  *flight;

    flight = ngx_loyalty_cache_flight(cache, &ticket->hash);

    return flight != NULL && flight->mark == ticket->mark ? flight : NULL;
}


static void
ngx_loyalty_cache_write(ngx_loyalty_cache_t *cache, ngx_loyalty_hash_t *hash,
    const void *data, size_t len, uint32_t expires)
{
    time_t                      keep;
    ngx_loyalty_table_stat_t    before, after;
    ngx_loyalty_record_info_t   info;

    info.expires = expires;
    info.epoch = cache->sh->epoch & NGX_LOYALTY_TABLE_EPOCH_MASK;
    info.len = (uint32_t) len;

    keep = ngx_time() - cache->stale;

    ngx_loyalty_table_stat(cache->sh->table, &before);
    ngx_loyalty_table_write(cache->sh->table, hash, data, &info,
                            (uint32_t) keep);
    ngx_loyalty_table_stat(cache->sh->table, &after);

    ngx_loyalty_metric(EVICTIONS) += after.evicted - before.evicted;
}


void
ngx_loyalty_cache_invalidate(ngx_loyalty_cache_t *cache,
    ngx_loyalty_hash_t *hash)
{
    ngx_loyalty_cache_flight_t  *flight;

    ngx_loyalty_metric(INVALIDATIONS)++;

    /*
     * Mostly another worker has been here before, or nobody has it.  A mark
     * that is not to be seen yet belongs to a read that is not sent yet, and
     * one that has just gone left its entry to be seen.
     */

    if (ngx_loyalty_cache_flight(cache, hash) == NULL
        && ngx_loyalty_table_absent(cache->sh->table, hash))
    {
        return;
    }

    ngx_shmtx_lock(&cache->shpool->mutex);

    flight = ngx_loyalty_cache_flight(cache, hash);

    if (flight != NULL) {
        flight->mark = 0;
    }

    (void) ngx_loyalty_table_drop(cache->sh->table, hash);

    ngx_shmtx_unlock(&cache->shpool->mutex);
}


void
ngx_loyalty_cache_text_put(ngx_loyalty_cache_t *cache, ngx_str_t *bytes,
    ngx_loyalty_cache_text_t *text)
{
    size_t                     size;
    u_char                    *p, *last;
    uint32_t                   n;
    ngx_loyalty_hash_t         hash;
    ngx_loyalty_table_stat_t   stat;

    ngx_loyalty_hash(cache->sh->key, bytes->data, bytes->len, &text->hash);
    text->len = (uint32_t) bytes->len;

    /* not at the cost of all that is there */

    ngx_loyalty_table_stat(cache->sh->table, &stat);

    if (bytes->len > stat.size / NGX_LOYALTY_CACHE_TEXT_SHARE) {
        return;
    }

    last = bytes->data + bytes->len;

    for (p = bytes->data, n = 0; p < last; p += size, n++) {
        size = ngx_min(last - p, NGX_LOYALTY_CACHE_DATA_MAX);

        ngx_loyalty_cache_chunk(cache, text, n, &hash);

        ngx_shmtx_lock(&cache->shpool->mutex);

        ngx_loyalty_cache_write(cache, &hash, p, size, NGX_MAX_UINT32_VALUE);

        ngx_shmtx_unlock(&cache->shpool->mutex);
    }
}


ngx_int_t
ngx_loyalty_cache_text_get(ngx_loyalty_cache_t *cache,
    ngx_loyalty_cache_text_t *text, u_char *bytes)
{
    size_t                      size;
    u_char                     *p, *last;
    uint32_t                    n;
    ngx_loyalty_hash_t          hash;
    ngx_loyalty_record_info_t   info;

    static uint64_t  data[NGX_LOYALTY_CACHE_DATA_MAX / sizeof(uint64_t)];

    last = bytes + text->len;

    for (p = bytes, n = 0; p < last; p += size, n++) {
        size = ngx_min(last - p, NGX_LOYALTY_CACHE_DATA_MAX);

        ngx_loyalty_cache_chunk(cache, text, n, &hash);

        if (!ngx_loyalty_table_read(cache->sh->table, &hash, data, &info)
            || info.len != size)
        {
            return NGX_DECLINED;
        }

        ngx_memcpy(p, data, size);
    }

    ngx_loyalty_hash(cache->sh->key, bytes, text->len, &hash);

    return ngx_memcmp(&hash, &text->hash, sizeof(ngx_loyalty_hash_t)) == 0
           ? NGX_OK : NGX_DECLINED;
}


static void
ngx_loyalty_cache_chunk(ngx_loyalty_cache_t *cache,
    ngx_loyalty_cache_text_t *text, uint32_t n, ngx_loyalty_hash_t *hash)
{
    u_char  *p, name[1 + sizeof(ngx_loyalty_hash_t) + sizeof(uint32_t)];

    name[0] = NGX_LOYALTY_CACHE_TEXT;
    p = ngx_cpymem(&name[1], &text->hash, sizeof(ngx_loyalty_hash_t));
    ngx_memcpy(p, &n, sizeof(uint32_t));

    ngx_loyalty_hash(cache->sh->key, name, sizeof(name), hash);
}
