/*
 * A worker of deliveries, and the steps that loyalty_hooks*.c have of each
 * other: taking, claiming, POSTing.
 */

#ifndef LOYALTY_HOOKS_PRIVATE_H
#define LOYALTY_HOOKS_PRIVATE_H

#include "loyalty_hooks.h"

#include "loyalty_crew.h"
#include "loyalty_hook.h"
#include "loyalty_rounds.h"
#include "loyalty_transfer.h"
#include "loyalty_webhook.h"

/* POSTs of a worker at once, and of them a site's.  A webhook has one: in the
 * order of the events, and one that does not answer keeps one thread. */
#define LOYALTY_HOOKS_AT_ONCE 16
#define LOYALTY_HOOKS_OF_SITE 8

#define LOYALTY_HOOKS_RESTING 64
#define LOYALTY_HOOKS_ERROR_SIZE 256

typedef struct {
    uint64_t print; /* of the site and the webhook */
    int64_t until;  /* monotonic ms */
} loyalty_hooks_resting_t;

typedef enum {
    LOYALTY_HOOKS_DONE,
    LOYALTY_HOOKS_LATER,
    LOYALTY_HOOKS_DEAD,
    LOYALTY_HOOKS_STOPPED
} loyalty_hooks_outcome_t;

typedef struct {
    loyalty_hooks_outcome_t outcome;
    long status; /* of HTTP; 0: no answer */
    int64_t retry_after;
    char error[LOYALTY_HOOKS_ERROR_SIZE];
} loyalty_hooks_answer_t;

/* A delivery that has been claimed, on its way to the merchant and back. */
typedef struct {
    loyalty_task_t task; /* first: it is what the crew gives back */
    bool taken;          /* else it is free */
    uint64_t site, webhook; /* prints */
    loyalty_arena_t arena;
    loyalty_replies_t replies; /* what the hook points into */
    loyalty_scope_t scope;
    loyalty_hook_t hook;
    char *url; /* NULL: there is nowhere to go, as the answer says */
    char signature[LOYALTY_WEBHOOK_SIGNATURE_SIZE]; /* empty: none */
    loyalty_hooks_answer_t answer;
    int64_t took; /* ms */
} loyalty_hooks_parcel_t;

struct loyalty_hooks_s {
    const loyalty_hooks_conf_t *hooks;
    loyalty_apply_tools_t tools; /* without batches */
    loyalty_rounds_t rounds;
    loyalty_crew_conf_t work;
    loyalty_crew_t *crew;
    loyalty_hooks_parcel_t parcels[LOYALTY_HOOKS_AT_ONCE];
    loyalty_arena_t arena; /* of what is taken */
    loyalty_hooks_resting_t resting[LOYALTY_HOOKS_RESTING];
    int64_t tell_at; /* of another that died, monotonic ms */

    loyalty_scope_t scope; /* of the site whose turn it is */
    const loyalty_program_t *program;
};

/* A command on a key of the site. */
void loyalty_hooks_command(loyalty_hooks_t *hooks, const char *name,
                           size_t argc, const char *kind, loyalty_str_t rest);

/* What the commands are, sent; `replies` is emptied first. */
loyalty_store_result_t loyalty_hooks_call(loyalty_hooks_t *hooks,
                                          loyalty_replies_t *replies);
loyalty_store_result_t loyalty_hooks_execute(loyalty_hooks_t *hooks);

/* Reads of the streams, appended. */
void loyalty_hooks_command_streams(loyalty_hooks_t *hooks);

/* A batch of what is in them.  OK too where another worker was quicker. */
loyalty_store_result_t loyalty_hooks_take(loyalty_hooks_t *hooks);

/* One that seemed due, sent off with a free parcel.  CONFLICT: somebody else
 * has it. */
loyalty_store_result_t loyalty_hooks_deliver(loyalty_hooks_t *hooks,
                                             loyalty_str_t id,
                                             loyalty_hooks_parcel_t *parcel);

/* Records what has come back; waits `timeout` ms for the first. */
loyalty_store_result_t loyalty_hooks_collect(loyalty_hooks_t *hooks,
                                             int timeout);

/* A delivery and when it is due again. */
typedef struct {
    loyalty_str_t id;
    loyalty_instant_t at;
} loyalty_hooks_wait_t;

/* One that is over meanwhile is left alone. */
loyalty_store_result_t loyalty_hooks_postpone(loyalty_hooks_t *hooks,
                                              const loyalty_hooks_wait_t *list,
                                              size_t n);

/* The request, into the parcel, or why there is none. */
loyalty_store_result_t loyalty_hooks_prepare(loyalty_hooks_t *hooks,
                                             loyalty_hooks_parcel_t *parcel,
                                             loyalty_str_t secret);

/* The crew's: handles for libcurl, and one POST by them. */
void *loyalty_hooks_equip(void *data);
void loyalty_hooks_work(void *data, void *tools, loyalty_task_t *task);
void loyalty_hooks_put_away(void *tools);

/* Which webhook of which site a delivery goes to, by its id. */
uint64_t loyalty_hooks_print(loyalty_str_t site, loyalty_str_t id);

/* How long the webhook's deliveries are to wait, in ms. */
int64_t loyalty_hooks_rest(const loyalty_hooks_t *hooks, uint64_t webhook);

/* After an answer, or none. */
void loyalty_hooks_judge_pace(loyalty_hooks_t *hooks,
                              const loyalty_hooks_parcel_t *parcel);

#endif
