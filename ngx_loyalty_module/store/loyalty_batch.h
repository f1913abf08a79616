/*
 * Order events applied together: read, computed in memory by core/, written in
 * one transaction.  The stream's consumer uses it for hundreds of events, the
 * API for one.
 *
 *   begin -> add ... add -> load -> apply -> write -> exec
 *               parse       WATCH   core    MULTI
 *                           read            ... EXEC
 *                            ^                 |
 *                            +---- conflict ---+
 *
 * Nothing is written before EXEC and all of it with EXEC, the acknowledgement
 * among it; so a crash at any point repeats nothing and loses nothing.
 */

#ifndef LOYALTY_BATCH_H
#define LOYALTY_BATCH_H

#include "loyalty_order.h"
#include "loyalty_programs.h"

/* Events of one transaction.  What it takes of Redis, 2 ms, every read of the
 * API and of the edge may have to wait for; more at once are not faster. */
#define LOYALTY_BATCH_EVENTS_MAX 96

#define LOYALTY_BATCH_GROUP "loyalty"
#define LOYALTY_BATCH_CONSUMER "apply"

typedef struct loyalty_batch_s loyalty_batch_t;

/* One event and what became of it; texts live until the next begin. */
typedef struct {
    loyalty_str_t stream_id; /* empty: not from the stream */
    loyalty_str_t journal_id;
    loyalty_str_t payload;   /* the event's JSON as it came */
    bool parsed;
    loyalty_order_event_t event;
    loyalty_status_t status; /* of parsing, then of applying */
    const char *code;        /* why it was refused, or NULL */
    loyalty_str_t pointer;   /* where, and a sentence */
    loyalty_str_t message;
    loyalty_problem_t *problems; /* all of them, of parsing */
    size_t nproblems;
    loyalty_effects_t effects;
    size_t order, member; /* the batch's own */
} loyalty_batch_event_t;

loyalty_batch_t *loyalty_batch_create(void);
void loyalty_batch_free(loyalty_batch_t *batch);

/* Empties it for events of a site under a program. */
void loyalty_batch_begin(loyalty_batch_t *batch, const loyalty_scope_t *scope,
                         const loyalty_programs_t *programs,
                         const loyalty_program_t *program);

/*
 * Adds an event and parses it; texts are copied.  Without memory, or more than
 * LOYALTY_BATCH_EVENTS_MAX: an error.  A bad event is no error: it is in the
 * batch, refused.
 */
loyalty_status_t loyalty_batch_add(loyalty_batch_t *batch,
                                   loyalty_str_t stream_id,
                                   loyalty_str_t journal_id,
                                   loyalty_str_t payload,
                                   loyalty_instant_t now);

/* Parses the events again, under another program. */
loyalty_status_t loyalty_batch_reparse(loyalty_batch_t *batch,
                                       const loyalty_program_t *program,
                                       loyalty_instant_t now);

/* Refuses an event of the batch before it is applied: a dead letter. */
void loyalty_batch_refuse(loyalty_batch_t *batch, size_t index,
                          const char *code, const char *message);

size_t loyalty_batch_count(const loyalty_batch_t *batch);
loyalty_batch_event_t *loyalty_batch_event(loyalty_batch_t *batch,
                                           size_t index);

/*
 * WATCHes and reads all that the events touch.  `lease` (empty: none) is the
 * value that the site's lease must have.  `more` may add commands to the same
 * round trip, whose replies are moved to `more_replies`.
 *
 * LOYALTY_STORE_CONFLICT: the program is another one now, begin again;
 * LOYALTY_STORE_FENCED: the lease is another's.
 */
loyalty_store_result_t loyalty_batch_load(loyalty_batch_t *batch,
                                          loyalty_store_t *store,
                                          loyalty_str_t lease,
                                          const loyalty_commands_t *more,
                                          loyalty_replies_t *more_replies);

/* Applies the events in order, then reads the counts of products that they
 * change.  LOYALTY_STORE_MEMORY or what the store says. */
loyalty_store_result_t loyalty_batch_apply(loyalty_batch_t *batch,
                                           loyalty_store_t *store,
                                           loyalty_instant_t now);

/*
 * Appends MULTI ... to `commands`, without EXEC, so that the caller may add to
 * the transaction.  Nothing to write: appends nothing and says false.
 */
bool loyalty_batch_write(loyalty_batch_t *batch, loyalty_str_t lease,
                         int64_t lease_ms, loyalty_instant_t now,
                         loyalty_commands_t *commands);

/* The name of an event's outcome: "applied", "duplicate", "held", "guest",
 * "refused". */
const char *loyalty_batch_outcome(const loyalty_batch_event_t *event);

#endif
