/*
 * Metrics in shared memory, and their text.
 *
 * The zone holds a table of slots by process number (ngx_process_slot, below
 * NGX_MAX_PROCESSES); a slot is allocated when its first process starts and
 * stays.  The slab rounds it up to a power of two and aligns it to that, so two
 * processes never share a cache line.
 */


#include "ngx_loyalty_metrics.h"


#define NGX_LOYALTY_METRICS_ZONE_SIZE  (4 * 1024 * 1024)


typedef enum {
    NGX_LOYALTY_GAUGE_SUM,
    NGX_LOYALTY_GAUGE_MAX,
    NGX_LOYALTY_GAUGE_AGE
} ngx_loyalty_gauge_kind_e;


typedef struct {
    const char                *name;
    const char                *labels;
    const char                *help;
    ngx_loyalty_gauge_kind_e   kind;
} ngx_loyalty_metric_desc_t;


typedef struct {
    ngx_loyalty_metrics_t     *slots[NGX_MAX_PROCESSES];
} ngx_loyalty_metrics_shm_t;


typedef struct {
    ngx_pool_t                *pool;
    ngx_chain_t               *head;
    ngx_chain_t              **last;
    ngx_buf_t                 *buf;
    off_t                      len;
} ngx_loyalty_metrics_out_t;


static ngx_int_t ngx_loyalty_metrics_init_zone(ngx_shm_zone_t *shm_zone,
    void *data);
static void ngx_loyalty_metrics_counters(ngx_loyalty_metrics_out_t *out);
static void ngx_loyalty_metrics_gauges(ngx_loyalty_metrics_out_t *out);
static int64_t ngx_loyalty_metrics_gauge(ngx_loyalty_gauge_kind_e kind,
    ngx_uint_t id);
static void ngx_loyalty_metrics_histograms(ngx_loyalty_metrics_out_t *out);
static void ngx_loyalty_metrics_head(ngx_loyalty_metrics_out_t *out,
    const ngx_loyalty_metric_desc_t *desc, ngx_uint_t i, const char *type);
static void ngx_loyalty_metrics_print(ngx_loyalty_metrics_out_t *out,
    const char *fmt, ...);


#define ngx_loyalty_counter_desc(id, name, labels, help)                      \
    { name, labels, help, NGX_LOYALTY_GAUGE_SUM },
#define ngx_loyalty_gauge_desc(id, kind, name, labels, help)                  \
    { name, labels, help, NGX_LOYALTY_GAUGE_##kind },

static const ngx_loyalty_metric_desc_t  ngx_loyalty_counter_descs[] = {
    NGX_LOYALTY_COUNTERS(ngx_loyalty_counter_desc)
};

static const ngx_loyalty_metric_desc_t  ngx_loyalty_gauge_descs[] = {
    NGX_LOYALTY_GAUGES(ngx_loyalty_gauge_desc)
};

static const ngx_loyalty_metric_desc_t  ngx_loyalty_histogram_descs[] = {
    NGX_LOYALTY_HISTOGRAMS(ngx_loyalty_counter_desc)
};


/* upper bounds in microseconds, and the same in seconds */

static const uint64_t  ngx_loyalty_bounds[NGX_LOYALTY_BUCKETS] = {
    50, 100, 250, 500, 1000, 2500, 5000, 10000, 25000, 50000, 100000, 250000,
    500000, 1000000, 2500000
};

static const char  *ngx_loyalty_bound_names[NGX_LOYALTY_BUCKETS + 1] = {
    "5e-05", "0.0001", "0.00025", "0.0005", "0.001", "0.0025", "0.005", "0.01",
    "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "+Inf"
};


static ngx_loyalty_metrics_t       ngx_loyalty_metrics_nowhere;
static ngx_loyalty_metrics_shm_t  *ngx_loyalty_metrics_shm;
static ngx_shm_zone_t             *ngx_loyalty_metrics_zone;

ngx_loyalty_metrics_t  *ngx_loyalty_metrics = &ngx_loyalty_metrics_nowhere;


ngx_int_t
ngx_loyalty_metrics_add_zone(ngx_conf_t *cf, void *tag)
{
    ngx_str_t        name;
    ngx_shm_zone_t  *shm_zone;

    ngx_str_set(&name, "loyalty_metrics");

    shm_zone = ngx_shared_memory_add(cf, &name, NGX_LOYALTY_METRICS_ZONE_SIZE,
                                     tag);
    if (shm_zone == NULL) {
        return NGX_ERROR;
    }

    shm_zone->init = ngx_loyalty_metrics_init_zone;
    ngx_loyalty_metrics_zone = shm_zone;

    return NGX_OK;
}


static ngx_int_t
ngx_loyalty_metrics_init_zone(ngx_shm_zone_t *shm_zone, void *data)
{
    ngx_slab_pool_t            *shpool;
    ngx_loyalty_metrics_shm_t  *shm;

    if (data) {
        shm_zone->data = data;
        return NGX_OK;
    }

    shpool = (ngx_slab_pool_t *) shm_zone->shm.addr;

    if (shm_zone->shm.exists) {
        shm_zone->data = shpool->data;
        return NGX_OK;
    }

    shm = ngx_slab_calloc(shpool, sizeof(ngx_loyalty_metrics_shm_t));
    if (shm == NULL) {
        return NGX_ERROR;
    }

    shpool->data = shm;
    shpool->log_nomem = 0;
    shm_zone->data = shm;

    return NGX_OK;
}


void
ngx_loyalty_metrics_init_process(ngx_cycle_t *cycle)
{
    ngx_slab_pool_t         *shpool;
    ngx_loyalty_metrics_t   *slot;

    if (ngx_loyalty_metrics_zone == NULL
        || ngx_process_slot < 0
        || ngx_process_slot >= NGX_MAX_PROCESSES)
    {
        return;
    }

    shpool = (ngx_slab_pool_t *) ngx_loyalty_metrics_zone->shm.addr;
    ngx_loyalty_metrics_shm = ngx_loyalty_metrics_zone->data;

    ngx_shmtx_lock(&shpool->mutex);

    slot = ngx_loyalty_metrics_shm->slots[ngx_process_slot];

    if (slot == NULL) {
        slot = ngx_slab_calloc_locked(shpool, sizeof(ngx_loyalty_metrics_t));
        ngx_loyalty_metrics_shm->slots[ngx_process_slot] = slot;
    }

    ngx_shmtx_unlock(&shpool->mutex);

    if (slot == NULL) {
        ngx_log_error(NGX_LOG_WARN, cycle->log, 0,
                      "loyalty metrics: no room for one more process, "
                      "this one is not counted");
        return;
    }

    ngx_memzero(slot->gauges, sizeof(slot->gauges));
    slot->live = 1;

    ngx_loyalty_metrics = slot;
}


void
ngx_loyalty_metrics_exit_process(void)
{
    ngx_loyalty_metrics->live = 0;
}


void
ngx_loyalty_metrics_observe(ngx_uint_t histogram, uint64_t usec)
{
    ngx_uint_t                i;
    ngx_loyalty_histogram_t  *h;

    h = &ngx_loyalty_metrics->histograms[histogram];

    for (i = 0; i < NGX_LOYALTY_BUCKETS; i++) {
        if (usec <= ngx_loyalty_bounds[i]) {
            break;
        }
    }

    h->counts[i]++;
    h->sum += usec;
}


uint64_t
ngx_loyalty_usec(void)
{
    struct timespec  ts;

    (void) clock_gettime(CLOCK_MONOTONIC, &ts);

    return (uint64_t) ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}


ngx_chain_t *
ngx_loyalty_metrics_text(ngx_pool_t *pool, off_t *len)
{
    ngx_loyalty_metrics_out_t  out;

    ngx_memzero(&out, sizeof(ngx_loyalty_metrics_out_t));

    out.pool = pool;
    out.last = &out.head;

    ngx_loyalty_metrics_counters(&out);
    ngx_loyalty_metrics_gauges(&out);
    ngx_loyalty_metrics_histograms(&out);

    if (out.buf == NULL) {
        return NULL;
    }

    out.buf->last_buf = 1;
    *len = out.len;

    return out.head;
}


static void
ngx_loyalty_metrics_counters(ngx_loyalty_metrics_out_t *out)
{
    uint64_t                          sum;
    ngx_uint_t                        i, n;
    ngx_loyalty_metrics_t            *slot;
    const ngx_loyalty_metric_desc_t  *desc;

    for (i = 0; i < NGX_LOYALTY_COUNTER_N; i++) {

        desc = &ngx_loyalty_counter_descs[i];
        sum = 0;

        for (n = 0; n < NGX_MAX_PROCESSES; n++) {
            slot = ngx_loyalty_metrics_shm->slots[n];
            if (slot) {
                sum += slot->counters[i];
            }
        }

        ngx_loyalty_metrics_head(out, ngx_loyalty_counter_descs, i, "counter");

        if (desc->labels[0]) {
            ngx_loyalty_metrics_print(out, "%s{%s} %uL\n", desc->name,
                                      desc->labels, sum);
        } else {
            ngx_loyalty_metrics_print(out, "%s %uL\n", desc->name, sum);
        }
    }
}


static void
ngx_loyalty_metrics_gauges(ngx_loyalty_metrics_out_t *out)
{
    int64_t                           value;
    ngx_uint_t                        i;
    const ngx_loyalty_metric_desc_t  *desc;

    for (i = 0; i < NGX_LOYALTY_GAUGE_N; i++) {

        desc = &ngx_loyalty_gauge_descs[i];
        value = ngx_loyalty_metrics_gauge(desc->kind, i);

        ngx_loyalty_metrics_head(out, ngx_loyalty_gauge_descs, i, "gauge");

        if (desc->labels[0]) {
            ngx_loyalty_metrics_print(out, "%s{%s} %L\n", desc->name,
                                      desc->labels, value);
        } else {
            ngx_loyalty_metrics_print(out, "%s %L\n", desc->name, value);
        }
    }
}


static int64_t
ngx_loyalty_metrics_gauge(ngx_loyalty_gauge_kind_e kind, ngx_uint_t id)
{
    int64_t                 value, cell, now;
    ngx_uint_t              n, found;
    ngx_time_t             *tp;
    ngx_loyalty_metrics_t  *slot;

    found = 0;
    value = 0;

    for (n = 0; n < NGX_MAX_PROCESSES; n++) {

        slot = ngx_loyalty_metrics_shm->slots[n];

        if (slot == NULL || !slot->live) {
            continue;
        }

        cell = slot->gauges[id];

        if (kind == NGX_LOYALTY_GAUGE_AGE && cell == 0) {
            continue;
        }

        if (!found) {
            found = 1;
            value = cell;
            continue;
        }

        switch (kind) {

        case NGX_LOYALTY_GAUGE_SUM:
            value += cell;
            break;

        case NGX_LOYALTY_GAUGE_MAX:
            value = ngx_max(value, cell);
            break;

        default: /* NGX_LOYALTY_GAUGE_AGE */
            value = ngx_min(value, cell);
        }
    }

    if (kind != NGX_LOYALTY_GAUGE_AGE || !found) {
        return value;
    }

    tp = ngx_timeofday();
    now = (int64_t) tp->sec * 1000 + tp->msec;

    return now > value ? (now - value) / 1000 : 0;
}


static void
ngx_loyalty_metrics_histograms(ngx_loyalty_metrics_out_t *out)
{
    uint64_t                          sum, count;
    ngx_uint_t                        i, b, n;
    const char                       *comma;
    ngx_loyalty_metrics_t            *slot;
    const ngx_loyalty_metric_desc_t  *desc;

    for (i = 0; i < NGX_LOYALTY_HISTOGRAM_N; i++) {

        desc = &ngx_loyalty_histogram_descs[i];
        comma = desc->labels[0] ? "," : "";
        count = 0;
        sum = 0;

        ngx_loyalty_metrics_head(out, ngx_loyalty_histogram_descs, i,
                                 "histogram");

        for (b = 0; b <= NGX_LOYALTY_BUCKETS; b++) {

            for (n = 0; n < NGX_MAX_PROCESSES; n++) {
                slot = ngx_loyalty_metrics_shm->slots[n];
                if (slot) {
                    count += slot->histograms[i].counts[b];
                }
            }

            ngx_loyalty_metrics_print(out, "%s_bucket{%s%sle=\"%s\"} %uL\n",
                                      desc->name, desc->labels, comma,
                                      ngx_loyalty_bound_names[b], count);
        }

        for (n = 0; n < NGX_MAX_PROCESSES; n++) {
            slot = ngx_loyalty_metrics_shm->slots[n];
            if (slot) {
                sum += slot->histograms[i].sum;
            }
        }

        ngx_loyalty_metrics_print(out, "%s_sum%s%s%s %uL.%06uL\n", desc->name,
                                  desc->labels[0] ? "{" : "", desc->labels,
                                  desc->labels[0] ? "}" : "",
                                  sum / 1000000, sum % 1000000);
        ngx_loyalty_metrics_print(out, "%s_count%s%s%s %uL\n", desc->name,
                                  desc->labels[0] ? "{" : "", desc->labels,
                                  desc->labels[0] ? "}" : "", count);
    }
}


static void
ngx_loyalty_metrics_head(ngx_loyalty_metrics_out_t *out,
    const ngx_loyalty_metric_desc_t *desc, ngx_uint_t i, const char *type)
{
    if (i > 0 && ngx_strcmp(desc[i - 1].name, desc[i].name) == 0) {
        return;
    }

    ngx_loyalty_metrics_print(out, "# HELP %s %s\n# TYPE %s %s\n",
                              desc[i].name, desc[i].help, desc[i].name, type);
}


static void
ngx_loyalty_metrics_print(ngx_loyalty_metrics_out_t *out, const char *fmt, ...)
{
    size_t        n;
    u_char       *p, line[1024];
    va_list       args;
    ngx_chain_t  *cl;

    va_start(args, fmt);
    p = ngx_vslprintf(line, line + sizeof(line), fmt, args);
    va_end(args);

    n = p - line;

    if (out->buf == NULL || (size_t) (out->buf->end - out->buf->last) < n) {

        cl = ngx_alloc_chain_link(out->pool);
        if (cl == NULL) {
            return;
        }

        cl->buf = ngx_create_temp_buf(out->pool, ngx_pagesize);
        if (cl->buf == NULL) {
            return;
        }

        cl->next = NULL;
        *out->last = cl;
        out->last = &cl->next;
        out->buf = cl->buf;
    }

    out->buf->last = ngx_cpymem(out->buf->last, line, n);
    out->len += n;
}
