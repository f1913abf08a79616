/*
 * A worker of deliveries, and the steps that loyalty_hooks*.c have of each
 * other: taking, claiming, POSTing.
 */

#ifndef LOYALTY_HOOKS_PRIVATE_H
#define LOYALTY_HOOKS_PRIVATE_H

#include "loyalty_hooks.h"

#include "loyalty_hook.h"
#include "loyalty_rounds.h"
#include "loyalty_transfer.h"

#define LOYALTY_HOOKS_RESTING 64
#define LOYALTY_HOOKS_ERROR_SIZE 256

typedef struct {
    uint64_t print; /* of the site and the webhook */
    int64_t until;  /* monotonic ms */
} loyalty_hooks_resting_t;

struct loyalty_hooks_s {
    const loyalty_hooks_conf_t *hooks;
    loyalty_apply_tools_t tools; /* without batches */
    loyalty_rounds_t rounds;
    loyalty_transfer_t *webhooks, *posts;
    loyalty_arena_t arena; /* of what is taken, or POSTed */
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

/* One that seemed due.  CONFLICT: somebody else has it. */
loyalty_store_result_t loyalty_hooks_deliver(loyalty_hooks_t *hooks,
                                             loyalty_str_t id);

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

/* The request, or why there is none. */
loyalty_store_result_t loyalty_hooks_post(loyalty_hooks_t *hooks,
                                          const loyalty_hook_t *hook,
                                          loyalty_str_t secret,
                                          loyalty_hooks_answer_t *answer);

/* How long the webhook's deliveries are to wait, in ms. */
int64_t loyalty_hooks_rest(loyalty_hooks_t *hooks, loyalty_str_t webhook);

#endif
