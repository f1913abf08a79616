/*
 * When the API was asked last, for who applies orders in another worker.
 *
 *   worker 1   request -> now -->  shared  --> just now? small transactions
 *   worker 2   request -> now -->  memory
 *
 * Redis answers nobody while it is at a transaction, and with a backlog there
 * is always one.  Large ones take the fewest syncs and suit who applies alone.
 * What other hosts' workers are asked is not known here.
 */


#include "ngx_http_loyalty_backend.h"
#include "loyalty_link.h"


/* A page of the back office makes its calls within this. */
#define NGX_HTTP_LOYALTY_ASKED_MSEC  1000

/* The least that a zone may have. */
#define NGX_HTTP_LOYALTY_ASKED_ZONE  (8 * ngx_pagesize)


static ngx_int_t ngx_http_loyalty_asked_zone_init(ngx_shm_zone_t *zone,
    void *data);


/* Monotonic milliseconds, in the zone. */
static ngx_atomic_t  *ngx_http_loyalty_asked_at;


ngx_int_t
ngx_http_loyalty_asked_zone(ngx_conf_t *cf,
    ngx_http_loyalty_backend_main_conf_t *bmcf)
{
    static ngx_str_t  name = ngx_string("loyalty_api_asked");

    bmcf->asked = ngx_shared_memory_add(cf, &name,
                                        NGX_HTTP_LOYALTY_ASKED_ZONE,
                                        &ngx_http_loyalty_backend_module);
    if (bmcf->asked == NULL) {
        return NGX_ERROR;
    }

    bmcf->asked->init = ngx_http_loyalty_asked_zone_init;

    return NGX_OK;
}


static ngx_int_t
ngx_http_loyalty_asked_zone_init(ngx_shm_zone_t *zone, void *data)
{
    ngx_slab_pool_t  *shpool;

    if (data) {
        zone->data = data;
        return NGX_OK;
    }

    shpool = (ngx_slab_pool_t *) zone->shm.addr;

    if (!zone->shm.exists) {
        shpool->data = ngx_slab_calloc(shpool, sizeof(ngx_atomic_t));
    }

    zone->data = shpool->data;

    return zone->data ? NGX_OK : NGX_ERROR;
}


void
ngx_http_loyalty_asked_init(ngx_http_loyalty_backend_main_conf_t *bmcf)
{
    ngx_http_loyalty_asked_at = bmcf->asked->data;
}


void
ngx_http_loyalty_asked_note(void)
{
    *ngx_http_loyalty_asked_at = (ngx_atomic_uint_t) loyalty_link_now();
}


bool
ngx_http_loyalty_asked(void)
{
    /* Another worker's instant may be later than this one. */

    return loyalty_link_now() - (int64_t) *ngx_http_loyalty_asked_at
           < NGX_HTTP_LOYALTY_ASKED_MSEC;
}
