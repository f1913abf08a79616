/*
 * The zone: its directive and memory, and for how long its entries may be
 * believed (the rule is in ngx_loyalty_cache.h).
 */


#include "ngx_loyalty_cache_private.h"

#include <openssl/rand.h>


/* A worker with a link says so this often, in ms, and is held for dead after
 * three times that, should its process id be another's by now. */
#define NGX_LOYALTY_CACHE_ALIVE      1000


static ngx_int_t ngx_loyalty_cache_init_zone(ngx_shm_zone_t *shm_zone,
    void *data);
static void ngx_loyalty_cache_timer(ngx_event_t *ev);
static ngx_uint_t ngx_loyalty_cache_others(ngx_loyalty_cache_t *cache);
static void ngx_loyalty_cache_linked(ngx_loyalty_cache_t *cache,
    ngx_uint_t linked);
static void ngx_loyalty_cache_next_epoch(ngx_loyalty_cache_t *cache);


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
