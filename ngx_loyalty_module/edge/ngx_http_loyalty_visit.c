/*
 * Visits: one entry an hour and member in the site's stream of visits.
 *
 * The member's view says when the last visit was recorded, but it follows
 * only after the back end has read the stream.  Until then a table in shared
 * memory remembers who was sent: a cell for each hash of site and member,
 *
 *     tag, 32 bits | seconds since 1970 when sent, 32 bits
 *
 * taken by compare and swap, so that of two requests at once one wins.  A
 * member that pushes another out of a cell costs at most one visit more,
 * which the back end drops.
 */


#include "ngx_http_loyalty.h"


#define NGX_HTTP_LOYALTY_VISIT_CELLS  65536


typedef struct {
    ngx_loyalty_redis_command_t   command;
    ngx_atomic_t                 *cell;
    ngx_atomic_uint_t             mark;
} ngx_http_loyalty_visit_t;


static ngx_int_t ngx_http_loyalty_visit_init_zone(ngx_shm_zone_t *shm_zone,
    void *data);
static ngx_int_t ngx_http_loyalty_visit_send(ngx_http_request_t *r,
    ngx_http_loyalty_ctx_t *ctx, int64_t now, ngx_http_loyalty_visit_t *visit);
static void ngx_http_loyalty_visit_sent(ngx_loyalty_redis_command_t *cmd,
    ngx_loyalty_redis_result_e result, redisReply *reply);
static void ngx_http_loyalty_visit_lost(ngx_http_loyalty_visit_t *visit);


static ngx_shm_zone_t  *ngx_http_loyalty_visit_zone;


ngx_int_t
ngx_http_loyalty_visit_add_zone(ngx_conf_t *cf, void *tag)
{
    ngx_str_t        name;
    ngx_shm_zone_t  *shm_zone;

    ngx_str_set(&name, "loyalty_visits");

    shm_zone = ngx_shared_memory_add(cf, &name,
                                     NGX_HTTP_LOYALTY_VISIT_CELLS
                                     * sizeof(ngx_atomic_t)
                                     + 16 * ngx_pagesize, tag);
    if (shm_zone == NULL) {
        return NGX_ERROR;
    }

    shm_zone->init = ngx_http_loyalty_visit_init_zone;
    ngx_http_loyalty_visit_zone = shm_zone;

    return NGX_OK;
}


static ngx_int_t
ngx_http_loyalty_visit_init_zone(ngx_shm_zone_t *shm_zone, void *data)
{
    void             *cells;
    ngx_slab_pool_t  *shpool;

    shpool = (ngx_slab_pool_t *) shm_zone->shm.addr;

    if (data) {
        shm_zone->data = data;
        return NGX_OK;
    }

    if (shm_zone->shm.exists) {
        shm_zone->data = shpool->data;
        return NGX_OK;
    }

    cells = ngx_slab_calloc(shpool,
                            NGX_HTTP_LOYALTY_VISIT_CELLS
                            * sizeof(ngx_atomic_t));
    if (cells == NULL) {
        return NGX_ERROR;
    }

    shpool->data = cells;
    shm_zone->data = cells;

    return NGX_OK;
}


void
ngx_http_loyalty_visit(ngx_http_request_t *r, ngx_http_loyalty_ctx_t *ctx)
{
    int64_t                    now;
    uint64_t                   tag;
    uint32_t                   crc;
    ngx_time_t                *tp;
    ngx_atomic_t              *cell;
    ngx_atomic_uint_t          old, mark;
    ngx_http_loyalty_visit_t  *visit;

    tp = ngx_timeofday();
    now = (int64_t) tp->sec * 1000 + tp->msec;

    /* LOYALTY_UNKNOWN lies so far back that a difference would overflow */

    if (ctx->view->last_visit_at > now - LOYALTY_HOUR) {
        return;
    }

    ngx_crc32_init(crc);
    ngx_crc32_update(&crc, ctx->site.data, ctx->site.len);
    ngx_crc32_update(&crc, (u_char *) "", 1);
    ngx_crc32_update(&crc, ctx->member.data, ctx->member.len);
    ngx_crc32_final(crc);

    tag = ngx_murmur_hash2(ctx->member.data, ctx->member.len) ^ crc;

    cell = (ngx_atomic_t *) ngx_http_loyalty_visit_zone->data
           + crc % NGX_HTTP_LOYALTY_VISIT_CELLS;

    old = *cell;
    mark = (ngx_atomic_uint_t) (tag << 32 | (uint32_t) tp->sec);

    if (old >> 32 == mark >> 32
        && (uint32_t) tp->sec - (uint32_t) old < LOYALTY_HOUR / 1000)
    {
        return;
    }

    if (!ngx_atomic_cmp_set(cell, old, mark)) {
        return;
    }

    visit = ngx_alloc(sizeof(ngx_http_loyalty_visit_t), r->connection->log);
    if (visit == NULL) {
        return;
    }

    visit->cell = cell;
    visit->mark = mark;

    if (ngx_http_loyalty_visit_send(r, ctx, now, visit) != NGX_OK) {
        ngx_http_loyalty_visit_lost(visit);
    }
}


static ngx_int_t
ngx_http_loyalty_visit_send(ngx_http_request_t *r, ngx_http_loyalty_ctx_t *ctx,
    int64_t now, ngx_http_loyalty_visit_t *visit)
{
    u_char     time[NGX_INT64_LEN];
    ngx_str_t  fields[4];

    ngx_str_set(&fields[0], "m");
    fields[1] = ctx->member;
    ngx_str_set(&fields[2], "t");
    fields[3].data = time;
    fields[3].len = ngx_sprintf(time, "%L", now) - time;

    visit->command.handler = ngx_http_loyalty_visit_sent;
    visit->command.data = visit;
    visit->command.timeout = 0;
    visit->command.op = NULL;

    return ngx_http_loyalty_stream_add(r, ctx, &visit->command, "visits",
                                       LOYALTY_VISITS_MAX, fields, 4);
}


static void
ngx_http_loyalty_visit_sent(ngx_loyalty_redis_command_t *cmd,
    ngx_loyalty_redis_result_e result, redisReply *reply)
{
    ngx_http_loyalty_visit_t *visit = cmd->data;

    if (result != NGX_LOYALTY_REDIS_OK || reply->type == REDIS_REPLY_ERROR) {
        ngx_http_loyalty_visit_lost(visit);
        return;
    }

    ngx_loyalty_metric(VISITS)++;
    ngx_free(visit);
}


/* the next request of this member tries again */

static void
ngx_http_loyalty_visit_lost(ngx_http_loyalty_visit_t *visit)
{
    (void) ngx_atomic_cmp_set(visit->cell, visit->mark, 0);

    ngx_loyalty_metric(VISITS_LOST)++;
    ngx_free(visit);
}
