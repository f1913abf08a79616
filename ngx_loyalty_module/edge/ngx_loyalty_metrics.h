/*
 * Counters, gauges and histograms of the edge and the back end.
 *
 * Each process writes a slot of its own in shared memory, without a lock or
 * an atomic; the scrape adds the slots up.  A slot outlives its process and
 * goes to the next one under that number, so counters never fall.
 *
 *     ngx_loyalty_metric(VISITS)++;
 *     ngx_loyalty_gauge(INVALIDATION_LINK_UP) = 1;
 *     ngx_loyalty_observe(REDIS, ngx_loyalty_usec() - started);
 *
 * A counter that threads of a pool touch is added to by all, the event loop
 * too, by ngx_loyalty_metric_add(), which is atomic.
 *
 * A new metric is a line below; lines of one name stand together.
 */

#ifndef _NGX_LOYALTY_METRICS_H_INCLUDED_
#define _NGX_LOYALTY_METRICS_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/* id, name, labels, help */

#define NGX_LOYALTY_COUNTERS(_)                                               \
    _(CACHE_HIT, "loyalty_requests_total", "cache=\"hit\"",                   \
      "Requests resolved, by where the member came from.")                    \
    _(CACHE_MISS, "loyalty_requests_total", "cache=\"miss\"", "")             \
    _(CACHE_STALE, "loyalty_requests_total", "cache=\"stale\"", "")           \
    _(CACHE_NEGATIVE, "loyalty_requests_total", "cache=\"negative\"", "")     \
    _(CACHE_BYPASS, "loyalty_requests_total", "cache=\"bypass\"", "")         \
    _(INVALIDATIONS, "loyalty_cache_invalidations_total", "",                 \
      "Changed keys that Redis told of.")                                     \
    _(FLUSHES, "loyalty_cache_flushes_total", "",                             \
      "Times Redis said that everything is gone.")                            \
    _(EPOCHS, "loyalty_cache_epochs_total", "",                               \
      "Times all entries became stale at once.")                              \
    _(EVICTIONS, "loyalty_cache_evictions_total", "",                         \
      "Entries that made room for others.")                                   \
    _(LATE_REPLIES, "loyalty_cache_late_replies_total", "",                   \
      "Replies not stored: the key had changed meanwhile.")                   \
    _(OVERSIZED, "loyalty_cache_oversized_total", "",                         \
      "Reads of members too large for the cache.")                            \
    _(BAD_MEMBERS, "loyalty_bad_values_total", "kind=\"member\"",             \
      "Values in Redis that are not ours, each served as a guest.")           \
    _(BAD_PROGRAMS, "loyalty_bad_values_total", "kind=\"program\"", "")       \
    _(PROGRAMS, "loyalty_programs_compiled_total", "",                        \
      "Programs compiled by workers.")                                        \
    _(REFUSED_MEMBER_ID, "loyalty_identity_refused_total",                    \
      "reason=\"member_id\"",                                                 \
      "Identities not accepted, each served as a guest.")                     \
    _(REFUSED_SITE_ID, "loyalty_identity_refused_total",                      \
      "reason=\"site_id\"", "")                                               \
    _(REFUSED_JWT_SIZE, "loyalty_identity_refused_total",                     \
      "reason=\"jwt_size\"", "")                                              \
    _(REFUSED_JWT_MALFORMED, "loyalty_identity_refused_total",                \
      "reason=\"jwt_malformed\"", "")                                         \
    _(REFUSED_JWT_ALG, "loyalty_identity_refused_total",                      \
      "reason=\"jwt_alg\"", "")                                               \
    _(REFUSED_JWT_SIGNATURE, "loyalty_identity_refused_total",                \
      "reason=\"jwt_signature\"", "")                                         \
    _(REFUSED_JWT_EXPIRED, "loyalty_identity_refused_total",                  \
      "reason=\"jwt_expired\"", "")                                           \
    _(REFUSED_JWT_NOT_BEFORE, "loyalty_identity_refused_total",               \
      "reason=\"jwt_not_before\"", "")                                        \
    _(REFUSED_JWT_CLAIM, "loyalty_identity_refused_total",                    \
      "reason=\"jwt_claim\"", "")                                             \
    _(CLIENT_HEADERS_DROPPED, "loyalty_client_headers_dropped_total", "",     \
      "X-Loyalty-* request headers of clients, dropped.")                     \
    _(VISITS, "loyalty_visits_total", "",                                     \
      "Visits sent to the stream.")                                           \
    _(VISITS_LOST, "loyalty_visits_lost_total", "",                           \
      "Visits that Redis did not take.")                                      \
    _(ORDERS_CAPTURED, "loyalty_orders_captured_total", "",                   \
      "Orders caught from the shop's answers.")                               \
    _(ORDERS_GUEST, "loyalty_orders_not_captured_total",                      \
      "reason=\"guest\"", "Answers that gave no order event.")                \
    _(ORDERS_NOT_FOUND, "loyalty_orders_not_captured_total",                  \
      "reason=\"not_found\"", "")                                             \
    _(ORDERS_INVALID, "loyalty_orders_not_captured_total",                    \
      "reason=\"invalid\"", "")                                               \
    _(ORDERS_TOO_LARGE, "loyalty_orders_not_captured_total",                  \
      "reason=\"too_large\"", "")                                             \
    _(ORDERS_ENCODED, "loyalty_orders_not_captured_total",                    \
      "reason=\"encoded\"", "")                                               \
    _(ORDERS_NO_MEMORY, "loyalty_orders_not_captured_total",                  \
      "reason=\"no_memory\"", "")                                             \
    _(ORDERS_SHIPPED, "loyalty_orders_shipped_total", "",                     \
      "Orders the stream took from the journal.")                             \
    _(ORDERS_RESENT, "loyalty_orders_resent_total", "",                       \
      "Orders sent again because Redis may have lost them.")                  \
    _(ORDERS_DIRECT, "loyalty_orders_direct_total", "",                       \
      "Orders sent past a journal that could not be written.")                \
    _(ORDERS_LOST, "loyalty_orders_lost_total", "",                           \
      "Orders that neither the journal nor Redis took.")                      \
    _(POSTS_DONE, "loyalty_order_posts_total", "",                            \
      "Orders that the merchant's own location has taken.")                   \
    _(POSTS_HANDED_OVER, "loyalty_order_posts_handed_over_total", "",         \
      "Order posts left to the back end.")                                    \
    _(JOURNAL_SYNCS, "loyalty_journal_syncs_total", "",                       \
      "Groups of orders synced to disk.")                                     \
    _(JOURNAL_FAILURES, "loyalty_journal_failures_total", "",                 \
      "Groups of orders that could not be written in time.")                  \
    _(INJECTED_HTML, "loyalty_injected_total", "type=\"html\"",               \
      "Answers with a badge or a member put in.")                             \
    _(INJECTED_JSON, "loyalty_injected_total", "type=\"json\"", "")           \
    _(INJECT_NO_PLACE, "loyalty_inject_passed_total", "reason=\"no_place\"",  \
      "Answers passed as they were where `loyalty_inject` is on.")            \
    _(INJECT_TYPE, "loyalty_inject_passed_total", "reason=\"type\"", "")      \
    _(INJECT_COMPRESSED, "loyalty_inject_passed_total",                       \
      "reason=\"compressed\"", "")                                            \
    _(INJECT_NOT_OBJECT, "loyalty_inject_passed_total",                       \
      "reason=\"not_object\"", "")                                            \
    _(INJECT_INVALID_JSON, "loyalty_inject_passed_total",                     \
      "reason=\"invalid_json\"", "")                                          \
    _(INJECT_TOO_LARGE, "loyalty_inject_passed_total",                        \
      "reason=\"too_large\"", "")                                             \
    _(INJECT_TOO_DEEP, "loyalty_inject_passed_total",                         \
      "reason=\"too_deep\"", "")                                              \
    _(DUPLICATES, "loyalty_duplicates_suppressed_total", "",                  \
      "Order events that had been applied before.")                           \
    _(DEAD_LETTERS, "loyalty_dead_letters_total", "",                         \
      "Order events put aside as not applicable.")


/*
 * id, how the slots of live processes combine, name, labels, help
 *
 * SUM; MAX; AGE: cells hold the instant in ms since 1970 at which
 * something began (0: it has not), the sample is the age of the oldest in
 * seconds.
 */

#define NGX_LOYALTY_GAUGES(_)                                                 \
    _(INVALIDATION_LINK_UP, MAX, "loyalty_invalidation_link_up", "",          \
      "1 while Redis tells this host of changes.")                            \
    _(STALE_SINCE, AGE, "loyalty_staleness_seconds", "",                      \
      "How long the cache has been without invalidations.")                   \
    _(JOURNAL_BYTES, MAX, "loyalty_journal_bytes", "",                        \
      "Order events on local disk.")                                          \
    _(JOURNAL_OLDEST, AGE, "loyalty_journal_oldest_seconds", "",              \
      "Age of the oldest order event not yet in the stream.")                 \
    _(STREAM_LAG, MAX, "loyalty_stream_lag", "",                              \
      "Order events in the stream that are not applied yet.")


/* id, name, labels, help; in microseconds, shown in seconds */

#define NGX_LOYALTY_HISTOGRAMS(_)                                             \
    _(RESOLVE, "loyalty_resolve_seconds", "",                                 \
      "Time a request waited for Redis.")                                     \
    _(JOURNAL_SYNC, "loyalty_journal_sync_seconds", "",                       \
      "Time of one sync of the journal.")


#define NGX_LOYALTY_BUCKETS  15


#define ngx_loyalty_counter_id(id, name, labels, help)                        \
    NGX_LOYALTY_COUNTER_##id,
#define ngx_loyalty_gauge_id(id, kind, name, labels, help)                    \
    NGX_LOYALTY_GAUGE_##id,
#define ngx_loyalty_histogram_id(id, name, labels, help)                      \
    NGX_LOYALTY_HISTOGRAM_##id,

enum {
    NGX_LOYALTY_COUNTERS(ngx_loyalty_counter_id)
    NGX_LOYALTY_COUNTER_N
};

enum {
    NGX_LOYALTY_GAUGES(ngx_loyalty_gauge_id)
    NGX_LOYALTY_GAUGE_N
};

enum {
    NGX_LOYALTY_HISTOGRAMS(ngx_loyalty_histogram_id)
    NGX_LOYALTY_HISTOGRAM_N
};


typedef struct {
    uint64_t                  counts[NGX_LOYALTY_BUCKETS + 1];
    uint64_t                  sum;
} ngx_loyalty_histogram_t;


typedef struct {
    uint64_t                  live;
    uint64_t                  counters[NGX_LOYALTY_COUNTER_N];
    int64_t                   gauges[NGX_LOYALTY_GAUGE_N];
    ngx_loyalty_histogram_t   histograms[NGX_LOYALTY_HISTOGRAM_N];
} ngx_loyalty_metrics_t;


/* Never NULL: before init_process a slot that nobody reads. */
extern ngx_loyalty_metrics_t  *ngx_loyalty_metrics;


#define ngx_loyalty_metric(id)                                                \
    (ngx_loyalty_metrics->counters[NGX_LOYALTY_COUNTER_##id])

#define ngx_loyalty_metric_add(id, n)                                         \
    (void) __sync_fetch_and_add(&ngx_loyalty_metric(id), (uint64_t) (n))

#define ngx_loyalty_gauge(id)                                                 \
    (ngx_loyalty_metrics->gauges[NGX_LOYALTY_GAUGE_##id])

#define ngx_loyalty_observe(id, usec)                                         \
    ngx_loyalty_metrics_observe(NGX_LOYALTY_HISTOGRAM_##id, usec)


void ngx_loyalty_metrics_observe(ngx_uint_t histogram, uint64_t usec);

/* A monotonic clock, in microseconds. */
uint64_t ngx_loyalty_usec(void);

ngx_int_t ngx_loyalty_metrics_add_zone(ngx_conf_t *cf, void *tag);
void ngx_loyalty_metrics_init_process(ngx_cycle_t *cycle);
void ngx_loyalty_metrics_exit_process(void);

/* The Prometheus text (version 0.0.4). */
ngx_chain_t *ngx_loyalty_metrics_text(ngx_pool_t *pool, off_t *len);


#endif /* _NGX_LOYALTY_METRICS_H_INCLUDED_ */
