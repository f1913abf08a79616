/*
 * The zone over the table: names, lifetimes, flights, epochs and links.
 *
 * All changes are made under shpool->mutex, which the master unlocks when a
 * worker dies with it.  What a dead worker leaves half done is a flight past
 * its lease, a link without a process, or what the table can stand.
 */


#include "ngx_loyalty_cache.h"
#include "ngx_loyalty_hash.h"
#include "ngx_loyalty_metrics.h"

#include "loyalty_limits.h"

#include <openssl/rand.h>


#define NGX_LOYALTY_CACHE_EPOCHS     64
#define NGX_LOYALTY_CACHE_LINKS      256

/* Flights whose names fall together. */
#define NGX_LOYALTY_CACHE_SET        8

/* A worker with a link says so this often, in ms, and is held for dead after
 * three times that, should its process id be another's by now. */
#define NGX_LOYALTY_CACHE_ALIVE      1000

#define NGX_LOYALTY_CACHE_TEXT       'c'


_Static_assert(LOYALTY_VIEW_CACHED_MAX <= NGX_LOYALTY_CACHE_DATA_MAX,
               "a view is an entry");


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


static ngx_int_t ngx_loyalty_cache_init_zone(ngx_shm_zone_t *shm_zone,
    void *data);
static void ngx_loyalty_cache_timer(ngx_event_t *ev);
static ngx_uint_t ngx_loyalty_cache_others(ngx_loyalty_cache_t *cache);
static void ngx_loyalty_cache_next_epoch(ngx_loyalty_cache_t *cache);
static void ngx_loyalty_cache_linked(ngx_loyalty_cache_t *cache,
    ngx_uint_t linked);
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


char *
ngx_loyalty_zone_directive(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_loyalty_zone_conf_t  *zcf = (ngx_loyalty_zone_conf_t *)
                                              ((char *) conf + cmd->offset);

    off_t                     size;
    time_t                   *field, max;
    ngx_str_t                *value, text;
    ngx_uint_t                i;
    ngx_loyalty_cache_t      *cache;

    if (zcf->shm_zone != NULL) {
        return "is duplicate";
    }

    value = cf->args->elts;

    size = ngx_parse_offset(&value[2]);

    if (size == NGX_ERROR) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "loyalty_zone \"%V\" has an invalid size: \"%V\", "
                           "for example 64m", &value[1], &value[2]);
        return NGX_CONF_ERROR;
    }

    if (size < NGX_LOYALTY_CACHE_SIZE_MIN) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "loyalty_zone \"%V\" is too small: %V, at least 1m",
                           &value[1], &value[2]);
        return NGX_CONF_ERROR;
    }

    if (size > (off_t) NGX_LOYALTY_TABLE_SIZE_MAX) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "loyalty_zone \"%V\" is too large: %V, at most 8g",
                           &value[1], &value[2]);
        return NGX_CONF_ERROR;
    }

    cache = ngx_pcalloc(cf->pool, sizeof(ngx_loyalty_cache_t));
    if (cache == NULL) {
        return NGX_CONF_ERROR;
    }

    cache->ttl = 10 * 60;
    cache->negative = 30;
    cache->stale = 60 * 60;

    for (i = 3; i < cf->args->nelts; i++) {

        if (ngx_strncmp(value[i].data, "ttl=", 4) == 0) {
            field = &cache->ttl;
            max = NGX_LOYALTY_CACHE_TTL_MAX;
            text.len = 4;

        } else if (ngx_strncmp(value[i].data, "negative=", 9) == 0) {
            field = &cache->negative;
            max = NGX_LOYALTY_CACHE_TTL_MAX;
            text.len = 9;

        } else if (ngx_strncmp(value[i].data, "stale=", 6) == 0) {
            field = &cache->stale;
            max = NGX_LOYALTY_CACHE_STALE_MAX;
            text.len = 6;

        } else {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "loyalty_zone \"%V\" has an unknown parameter "
                               "\"%V\", there are ttl=, negative= and stale=",
                               &value[1], &value[i]);
            return NGX_CONF_ERROR;
        }

        text.data = value[i].data + text.len;
        text.len = value[i].len - text.len;

        *field = ngx_parse_time(&text, 1);

        if (*field == (time_t) NGX_ERROR || *field > max
            || (*field == 0 && field != &cache->stale))
        {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "loyalty_zone \"%V\" has an invalid time "
                               "\"%V\", from %s to %Ts",
                               &value[1], &value[i],
                               field == &cache->stale ? "0" : "1s", max);
            return NGX_CONF_ERROR;
        }
    }

    zcf->shm_zone = ngx_shared_memory_add(cf, &value[1], size, cmd->post);
    if (zcf->shm_zone == NULL) {
        return NGX_CONF_ERROR;
    }

    zcf->shm_zone->init = ngx_loyalty_cache_init_zone;
    zcf->shm_zone->data = cache;
    zcf->cache = cache;

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_loyalty_cache_init_zone(ngx_shm_zone_t *shm_zone, void *data)
{
    ngx_loyalty_cache_t  *old = data;

    size_t                       size, len;
    u_char                      *table;
    ngx_uint_t                   sets;
    ngx_slab_pool_t             *shpool;
    ngx_loyalty_cache_t         *cache;
    ngx_loyalty_cache_shared_t  *sh;

    cache = shm_zone->data;
    shpool = (ngx_slab_pool_t *) shm_zone->shm.addr;
    cache->shpool = shpool;

    /* the old workers go on using it, and this reload may yet fail */

    if (old != NULL) {
        cache->sh = old->sh;
        return NGX_OK;
    }

    if (shm_zone->shm.exists) {
        cache->sh = shpool->data;
        return NGX_OK;
    }

    len = sizeof(" in loyalty_zone \"\"") + shm_zone->shm.name.len;

    shpool->log_nomem = 0;
    shpool->log_ctx = ngx_slab_alloc(shpool, len);
    if (shpool->log_ctx == NULL) {
        return NGX_ERROR;
    }

    ngx_sprintf(shpool->log_ctx, " in loyalty_zone \"%V\"%Z",
                &shm_zone->shm.name);

    /* all the pages, in one piece */

    size = shpool->pfree * ngx_pagesize;

    sh = ngx_slab_alloc(shpool, size);
    if (sh == NULL) {
        return NGX_ERROR;
    }

    sets = ngx_min(ngx_max(size / (32 * 1024), 32), 512);

    len = ngx_align(sizeof(ngx_loyalty_cache_shared_t)
                    + sets * NGX_LOYALTY_CACHE_SET
                      * sizeof(ngx_loyalty_cache_flight_t), 64);

    ngx_memzero(sh, len);

    if (RAND_bytes((u_char *) sh->key, sizeof(sh->key)) != 1) {
        ngx_log_error(NGX_LOG_EMERG, shm_zone->shm.log, 0,
                      "loyalty_zone \"%V\": no random bytes for its key",
                      &shm_zone->shm.name);
        return NGX_ERROR;
    }

    table = (u_char *) sh + len;

    sh->sets = sets;
    sh->table = ngx_loyalty_table_create(table, size - len);
    if (sh->table == NULL) {
        return NGX_ERROR;
    }

    shpool->data = sh;
    cache->sh = sh;

    return NGX_OK;
}


ngx_int_t
ngx_loyalty_cache_init_process(ngx_loyalty_cache_t *cache, ngx_cycle_t *cycle)
{
    ngx_uint_t                 i;
    ngx_loyalty_cache_link_t  *link;

    ngx_shmtx_lock(&cache->shpool->mutex);

    for (i = 0; i < NGX_LOYALTY_CACHE_LINKS; i++) {
        link = &cache->sh->links[i];

        if (link->pid == 0 || link->pid == ngx_pid
            || (kill(link->pid, 0) == -1 && ngx_errno == NGX_ESRCH))
        {
            link->up = 0;
            link->pid = ngx_pid;
            cache->link = link;
            break;
        }
    }

    cache->starting = ngx_loyalty_cache_others(cache);

    ngx_shmtx_unlock(&cache->shpool->mutex);

    ngx_loyalty_cache_linked(cache, cache->starting);

    cache->timer.handler = ngx_loyalty_cache_timer;
    cache->timer.data = cache;
    cache->timer.log = cycle->log;
    cache->timer.cancelable = 1;

    ngx_add_timer(&cache->timer, NGX_LOYALTY_CACHE_ALIVE);

    return NGX_OK;
}


void
ngx_loyalty_cache_exit_process(ngx_loyalty_cache_t *cache)
{
    ngx_loyalty_cache_link(cache, 0);

    if (cache->link != NULL) {
        cache->link->pid = 0;
        cache->link = NULL;
    }

    if (cache->timer.timer_set) {
        ngx_del_timer(&cache->timer);
    }
}


static void
ngx_loyalty_cache_timer(ngx_event_t *ev)
{
    ngx_loyalty_cache_t  *cache = ev->data;

    if (cache->link != NULL) {
        cache->link->alive = ngx_current_msec;
    }

    if (cache->starting && !ngx_loyalty_cache_others(cache)) {
        cache->starting = 0;
        ngx_loyalty_cache_linked(cache, 0);
    }

    ngx_add_timer(ev, NGX_LOYALTY_CACHE_ALIVE);
}


/* Has another live worker's link been up until now? */

static ngx_uint_t
ngx_loyalty_cache_others(ngx_loyalty_cache_t *cache)
{
    ngx_uint_t                 i;
    ngx_loyalty_cache_link_t  *link;

    for (i = 0; i < NGX_LOYALTY_CACHE_LINKS; i++) {
        link = &cache->sh->links[i];

        if (link->pid == 0 || !link->up || link == cache->link
            || ngx_current_msec - link->alive > 3 * NGX_LOYALTY_CACHE_ALIVE)
        {
            continue;
        }

        if (kill(link->pid, 0) == 0 || ngx_errno == NGX_EPERM) {
            return 1;
        }
    }

    return 0;
}


void
ngx_loyalty_cache_link(ngx_loyalty_cache_t *cache, ngx_uint_t up)
{
    ngx_uint_t  was;

    ngx_shmtx_lock(&cache->shpool->mutex);

    was = 0;

    if (cache->link != NULL) {
        was = cache->link->up;
        cache->link->up = up;
        cache->link->alive = ngx_current_msec;
    }

    if ((up || was) && !ngx_loyalty_cache_others(cache)) {
        ngx_loyalty_cache_next_epoch(cache);
    }

    ngx_shmtx_unlock(&cache->shpool->mutex);

    cache->starting = 0;
    ngx_loyalty_cache_linked(cache, up);
}


static void
ngx_loyalty_cache_linked(ngx_loyalty_cache_t *cache, ngx_uint_t linked)
{
    ngx_time_t  *tp;

    cache->linked = linked;

    tp = ngx_timeofday();

    ngx_loyalty_gauge(INVALIDATION_LINK_UP) = linked;
    ngx_loyalty_gauge(STALE_SINCE) = linked ? 0
                                     : (int64_t) tp->sec * 1000 + tp->msec;
}


static void
ngx_loyalty_cache_next_epoch(ngx_loyalty_cache_t *cache)
{
    ngx_loyalty_cache_shared_t  *sh;

    sh = cache->sh;

    sh->ended[sh->epoch % NGX_LOYALTY_CACHE_EPOCHS] = (uint32_t) ngx_time();
    sh->epoch++;

    if (sh->epoch - sh->floor >= NGX_LOYALTY_CACHE_EPOCHS) {
        sh->floor = sh->epoch - NGX_LOYALTY_CACHE_EPOCHS + 1;
    }

    /* entries know the low bits alone, which begin anew */

    if ((sh->epoch & NGX_LOYALTY_TABLE_EPOCH_MASK) == 0) {
        ngx_loyalty_table_clear(sh->table);
    }

    ngx_loyalty_metric(EPOCHS)++;
}


void
ngx_loyalty_cache_flush(ngx_loyalty_cache_t *cache)
{
    ngx_shmtx_lock(&cache->shpool->mutex);

    ngx_loyalty_cache_next_epoch(cache);
    cache->sh->floor = cache->sh->epoch;

    ngx_shmtx_unlock(&cache->shpool->mutex);

    ngx_loyalty_metric(FLUSHES)++;
}


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
    uint32_t                     now, epoch, age, since, ended;
    ngx_loyalty_cache_shared_t  *sh;
    ngx_loyalty_record_info_t    info;

    sh = cache->sh;

    if (!ngx_loyalty_table_read(sh->table, hash, buffer, &info)) {
        return NGX_LOYALTY_CACHE_MISS;
    }

    *len = info.len;

    now = (uint32_t) ngx_time();
    epoch = __atomic_load_n(&sh->epoch, __ATOMIC_ACQUIRE);
    age = (epoch - info.epoch) & NGX_LOYALTY_TABLE_EPOCH_MASK;

    if (age == 0 && cache->linked && now < info.expires) {
        return info.len ? NGX_LOYALTY_CACHE_HIT : NGX_LOYALTY_CACHE_NEGATIVE;
    }

    if (age > epoch - sh->floor || info.len == 0) {
        return NGX_LOYALTY_CACHE_MISS;
    }

    since = ngx_min(info.expires, now);

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
    size_t              size;
    u_char             *p, *last;
    uint32_t            n;
    ngx_loyalty_hash_t  hash;

    ngx_loyalty_hash(cache->sh->key, bytes->data, bytes->len, &text->hash);
    text->len = (uint32_t) bytes->len;

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
