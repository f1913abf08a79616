/*
 * One site's streams, while its lease is held.
 *
 *      +--------------- lost, Redis away ----------------+
 *      v                                                 |
 *   WAITING --lease taken--> RECOVERING --none pending--> READING
 *                              entries left behind by a
 *                              holder that died
 */

#ifndef LOYALTY_APPLY_SITE_H
#define LOYALTY_APPLY_SITE_H

#include "loyalty_apply.h"
#include "loyalty_batch.h"
#include "loyalty_lease.h"

/* An entry that was in the hands of a holder when it died comes alone from
 * the second time on, and is a dead letter after this many. */
#define LOYALTY_APPLY_SUSPECT 3
#define LOYALTY_APPLY_DELIVERIES_MAX 16

/* What the next batch may weigh, by the size of the last one's events. */
#define LOYALTY_APPLY_BYTES_MAX (4 * 1024 * 1024)

/* Events of a batch while someone waits for Redis: it answers nobody else as
 * long as it is at a transaction. */
#define LOYALTY_APPLY_AWAITED 32

typedef enum {
    LOYALTY_APPLY_WAITING,
    LOYALTY_APPLY_RECOVERING,
    LOYALTY_APPLY_READING
} loyalty_apply_state_t;

typedef struct {
    char id[LOYALTY_SITE_ID_MAX + 1];
    loyalty_scope_t scope;
    loyalty_apply_state_t state;
    loyalty_lease_t lease;
    int64_t try_at;    /* WAITING: ask for the lease again, monotonic ms */
    int64_t visits_at; /* read visits again */
    bool visits_pending; /* of a holder that died */
    size_t count;      /* events to ask for */
    bool listed;       /* still among the sites */
    bool complained;   /* about its program */
} loyalty_apply_site_t;

/* What a thread applies with. */
typedef struct {
    const loyalty_store_conf_t *conf;
    loyalty_store_t *store;
    loyalty_programs_t *programs;
    loyalty_batch_t *current;
    loyalty_batch_t *next;
    loyalty_commands_t commands;
    loyalty_log_pt log;
    void *log_data;
} loyalty_apply_tools_t;

void loyalty_apply_say(const loyalty_apply_tools_t *tools,
                       loyalty_log_level_t level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* One line when it changes, not one a turn: "loyalty: GOOD", or "loyalty: BAD
 * (why)".  *last is the result as the log has it. */
void loyalty_apply_note(const loyalty_apply_tools_t *tools,
                        loyalty_store_result_t *last,
                        loyalty_store_result_t result, const char *good,
                        const char *bad);

/* UTC milliseconds, from the clock. */
loyalty_instant_t loyalty_apply_clock(void);

/*
 * One turn of a site; *busy says that more is to be expected at once.  `block`
 * ms may be spent in waiting for events.
 */
loyalty_store_result_t loyalty_apply_site(loyalty_apply_tools_t *tools,
                                          loyalty_apply_site_t *site,
                                          int block, bool *busy);

/* One batch of visits. */
loyalty_store_result_t loyalty_apply_visits(loyalty_apply_tools_t *tools,
                                            loyalty_apply_site_t *site);

#endif
