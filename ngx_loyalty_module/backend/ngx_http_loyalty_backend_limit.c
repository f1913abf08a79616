/*
 * rate=N of `loyalty_backend`: how many requests a second one token, session
 * or address may make, counted for all workers.
 *
 *   record: name | the instant by which what it asked for has been paid off
 *
 * Each request costs a second / N; who owes more than a second is told to
 * wait.  A name has LIMIT_WAYS places; the one that owes least gives way, so
 * that a table which is too small lets too many through, never too few.
 *
 * Until the API has known a token or session, its requests cost the address
 * too, so that names that are made up do not help; once it is known the
 * address gets that back.  A sign-in costs the address alone.
 */


#include "ngx_http_loyalty_backend.h"
#include "ngx_loyalty_hash.h"

#include <openssl/rand.h>


#define NGX_HTTP_LOYALTY_LIMIT_SETS  2048
#define NGX_HTTP_LOYALTY_LIMIT_WAYS  4
#define NGX_HTTP_LOYALTY_LIMIT_ZONE  (512 * 1024)


typedef struct {
    ngx_loyalty_hash_t    name;
    int64_t               paid_at;         /* microseconds, of this machine */
    ngx_uint_t            known;           /* by the API */
} ngx_http_loyalty_limit_t;


typedef struct {
    uint64_t                    key[2];
    ngx_http_loyalty_limit_t    limits[NGX_HTTP_LOYALTY_LIMIT_SETS
                                       * NGX_HTTP_LOYALTY_LIMIT_WAYS];
} ngx_http_loyalty_limits_t;


static ngx_int_t ngx_http_loyalty_limit_init(ngx_shm_zone_t *zone,
    void *data);
static int64_t ngx_http_loyalty_limit_now(void);
static ngx_http_loyalty_limit_t *ngx_http_loyalty_limit_find(
    ngx_http_loyalty_limits_t *limits, ngx_str_t *text, ngx_uint_t create);
static ngx_uint_t ngx_http_loyalty_limit_charge(
    ngx_http_loyalty_limits_t *limits, ngx_str_t *text, int64_t cost);
static ngx_int_t ngx_http_loyalty_limit_caller(ngx_http_request_t *r,
    ngx_str_t *name);
static ngx_uint_t ngx_http_loyalty_limit_sign_in(ngx_http_request_t *r);


ngx_int_t
ngx_http_loyalty_limit_zone(ngx_conf_t *cf,
    ngx_http_loyalty_backend_main_conf_t *bmcf)
{
    static ngx_str_t  name = ngx_string("loyalty_api_limits");

    bmcf->limits = ngx_shared_memory_add(cf, &name,
                                         NGX_HTTP_LOYALTY_LIMIT_ZONE,
                                         &ngx_http_loyalty_backend_module);
    if (bmcf->limits == NULL) {
        return NGX_ERROR;
    }

    bmcf->limits->init = ngx_http_loyalty_limit_init;

    return NGX_OK;
}


static ngx_int_t
ngx_http_loyalty_limit_init(ngx_shm_zone_t *zone, void *data)
{
    ngx_slab_pool_t            *shpool;
    ngx_http_loyalty_limits_t  *limits;

    if (data) {
        zone->data = data;
        return NGX_OK;
    }

    shpool = (ngx_slab_pool_t *) zone->shm.addr;

    if (zone->shm.exists) {
        zone->data = shpool->data;
        return NGX_OK;
    }

    limits = ngx_slab_calloc(shpool, sizeof(ngx_http_loyalty_limits_t));

    if (limits == NULL
        || RAND_bytes((u_char *) limits->key, sizeof(limits->key)) != 1)
    {
        return NGX_ERROR;
    }

    shpool->data = limits;
    zone->data = limits;

    return NGX_OK;
}


ngx_uint_t
ngx_http_loyalty_limit_reached(ngx_http_request_t *r,
    ngx_http_loyalty_backend_main_conf_t *bmcf)
{
    int64_t                     cost;
    ngx_str_t                   name;
    ngx_uint_t                  reached;
    ngx_slab_pool_t            *shpool;
    ngx_http_loyalty_limit_t   *limit;
    ngx_http_loyalty_limits_t  *limits;

    if (bmcf->rate == 0) {
        return 0;
    }

    limits = bmcf->limits->data;
    shpool = (ngx_slab_pool_t *) bmcf->limits->shm.addr;
    cost = 1000000 / (int64_t) bmcf->rate;
    reached = 0;

    ngx_shmtx_lock(&shpool->mutex);

    if (ngx_http_loyalty_limit_caller(r, &name) != NGX_OK
        || ngx_http_loyalty_limit_sign_in(r))
    {
        reached = ngx_http_loyalty_limit_charge(limits,
                                                &r->connection->addr_text,
                                                cost);

    } else {
        limit = ngx_http_loyalty_limit_find(limits, &name, 0);

        if (limit == NULL || !limit->known) {
            reached = ngx_http_loyalty_limit_charge(limits,
                                                    &r->connection->addr_text,
                                                    cost);
        }

        if (!reached) {
            reached = ngx_http_loyalty_limit_charge(limits, &name, cost);
        }
    }

    ngx_shmtx_unlock(&shpool->mutex);

    return reached;
}


void
ngx_http_loyalty_limit_known(ngx_http_request_t *r,
    ngx_http_loyalty_backend_main_conf_t *bmcf, ngx_uint_t known)
{
    ngx_str_t                   name;
    ngx_slab_pool_t            *shpool;
    ngx_http_loyalty_limit_t   *limit, *address;
    ngx_http_loyalty_limits_t  *limits;

    if (bmcf->rate == 0 || ngx_http_loyalty_limit_caller(r, &name) != NGX_OK
        || ngx_http_loyalty_limit_sign_in(r))
    {
        return;
    }

    limits = bmcf->limits->data;
    shpool = (ngx_slab_pool_t *) bmcf->limits->shm.addr;

    ngx_shmtx_lock(&shpool->mutex);

    limit = ngx_http_loyalty_limit_find(limits, &name, 0);

    if (limit && limit->known != known) {
        limit->known = known;
        address = ngx_http_loyalty_limit_find(limits,
                                              &r->connection->addr_text, 0);

        if (known && address) {
            address->paid_at -= 1000000 / (int64_t) bmcf->rate;
        }
    }

    ngx_shmtx_unlock(&shpool->mutex);
}


static int64_t
ngx_http_loyalty_limit_now(void)
{
    struct timespec  ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);

    return (int64_t) ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}


static ngx_http_loyalty_limit_t *
ngx_http_loyalty_limit_find(ngx_http_loyalty_limits_t *limits,
    ngx_str_t *text, ngx_uint_t create)
{
    ngx_uint_t                 i;
    ngx_loyalty_hash_t         name;
    ngx_http_loyalty_limit_t  *set, *limit;

    ngx_loyalty_hash(limits->key, text->data, text->len, &name);

    set = limits->limits + name.word[0] % NGX_HTTP_LOYALTY_LIMIT_SETS
                           * NGX_HTTP_LOYALTY_LIMIT_WAYS;
    limit = set;

    for (i = 0; i < NGX_HTTP_LOYALTY_LIMIT_WAYS; i++) {

        if (ngx_memcmp(&set[i].name, &name, sizeof(ngx_loyalty_hash_t)) == 0) {
            return &set[i];
        }

        if (set[i].paid_at < limit->paid_at) {
            limit = &set[i];
        }
    }

    if (!create) {
        return NULL;
    }

    limit->name = name;
    limit->paid_at = 0;
    limit->known = 0;

    return limit;
}


/* Nothing is charged to who has to wait. */

static ngx_uint_t
ngx_http_loyalty_limit_charge(ngx_http_loyalty_limits_t *limits,
    ngx_str_t *text, int64_t cost)
{
    int64_t                    now;
    ngx_http_loyalty_limit_t  *limit;

    now = ngx_http_loyalty_limit_now();
    limit = ngx_http_loyalty_limit_find(limits, text, 1);

    if (limit->paid_at < now) {
        limit->paid_at = now;
    }

    if (limit->paid_at - now > 1000000 - cost) {
        return 1;
    }

    limit->paid_at += cost;

    return 0;
}


/* Who says nothing of themselves is known by the address: NGX_DECLINED. */

static ngx_int_t
ngx_http_loyalty_limit_caller(ngx_http_request_t *r, ngx_str_t *name)
{
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    if (r->headers_in.authorization) {
        *name = r->headers_in.authorization->value;

        if (name->len > 7
            && ngx_strncasecmp(name->data, (u_char *) "bearer ", 7) == 0)
        {
            name->data += 7;
            name->len -= 7;
        }

        return NGX_OK;
    }

    part = &r->headers_in.headers.part;
    h = part->elts;

    for (i = 0; /* void */ ; i++) {

        if (i >= part->nelts) {
            if (part->next == NULL) {
                return NGX_DECLINED;
            }

            part = part->next;
            h = part->elts;
            i = 0;
        }

        if (h[i].key.len == sizeof("cookie") - 1
            && ngx_strncasecmp(h[i].key.data, (u_char *) "cookie",
                               sizeof("cookie") - 1)
               == 0)
        {
            *name = h[i].value;

            if (ngx_http_loyalty_backend_cookie(name) == NGX_OK) {
                return NGX_OK;
            }
        }
    }
}


static ngx_uint_t
ngx_http_loyalty_limit_sign_in(ngx_http_request_t *r)
{
    static ngx_str_t  end = ngx_string("/session");

    return r->method == NGX_HTTP_POST && r->uri.len >= end.len
           && ngx_memcmp(r->uri.data + r->uri.len - end.len, end.data,
                         end.len)
              == 0;
}
