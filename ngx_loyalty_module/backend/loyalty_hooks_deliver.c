/*
 * A delivery that is due:
 *
 *   claim    WATCH wd   MULTI ... tries + 1, due again later    EXEC
 *   POST     no transaction, no lock, by a thread of the crew
 *   record   WATCH wd   MULTI ... done | dead | later           EXEC
 *
 * Of two workers that claim the same, one finds its transaction refused.  An
 * outcome is recorded by who made the last try alone.
 */

#include "loyalty_hooks_private.h"

#include <sys/random.h>

#include "loyalty_link.h"
#include "loyalty_retry.h"

#define TRIES 10 /* of a transaction */
#define CLAIM_MARGIN 10000 /* ms for what comes before and after the call */
#define TELL_EVERY 60000 /* ms between lines in the log of what died */

static const loyalty_retry_t event_retry = {
    .first = 10 * LOYALTY_SECOND,
    .longest = LOYALTY_HOUR,
    .within = LOYALTY_DAY,
};

/* An order must arrive, however long it takes. */
static const loyalty_retry_t order_retry = {
    .first = 10 * LOYALTY_SECOND,
    .longest = LOYALTY_HOUR,
};

/* True: it is dead. */
static bool
write_outcome(loyalty_hooks_t *hooks, const loyalty_hook_t *hook,
              const loyalty_hooks_answer_t *answer)
{
    loyalty_commands_t *commands = &hooks->tools.commands;
    loyalty_instant_t now = loyalty_apply_clock(), again;
    uint32_t random = (uint32_t)now;

    (void)!getrandom(&random, sizeof(random), GRND_NONBLOCK);

    loyalty_hooks_command(hooks, "HSET", 6, "wd", hook->id);
    loyalty_arg_text(commands, "c");
    loyalty_arg_int(commands, answer->status);
    loyalty_arg_text(commands, "m");
    loyalty_arg_text(commands, answer->error);

    if (answer->outcome == LOYALTY_HOOKS_DONE) {
        loyalty_hook_end(hook, "done", now, &hooks->scope, commands);
        return false;
    }

    again = answer->outcome == LOYALTY_HOOKS_DEAD
                ? LOYALTY_NEVER
                : loyalty_retry_at(loyalty_hook_is_order(hook) ? &order_retry
                                                               : &event_retry,
                                   (int32_t)hook->tries, hook->first_try, now,
                                   answer->retry_after, random);
    if (again == LOYALTY_NEVER) {
        loyalty_hook_end(hook, "dead", now, &hooks->scope, commands);
    } else {
        loyalty_hooks_command(hooks, "ZADD", 5, "x", loyalty_str("deliveries"));
        loyalty_arg_text(commands, "XX");
        loyalty_arg_int(commands, again);
        loyalty_arg(commands, hook->id);
    }

    return again == LOYALTY_NEVER;
}

/* One that died, and no others for a minute: the API lists them all. */
static void
tell(loyalty_hooks_t *hooks, const loyalty_hook_t *hook,
     const loyalty_hooks_answer_t *answer)
{
    int64_t now = loyalty_link_now();

    if (now < hooks->tell_at) {
        return;
    }

    hooks->tell_at = now + TELL_EVERY;
    loyalty_apply_say(&hooks->tools, LOYALTY_LOG_WARN,
                      "loyalty: site \"%.*s\": %.*s %.*s is given up (%s), "
                      "see GET webhooks/deliveries?state=dead",
                      (int)hooks->scope.site.len, hooks->scope.site.data,
                      (int)hook->type.len, hook->type.data,
                      (int)hook->id.len, hook->id.data, answer->error);
}

/* Only by who made the last try: a claim may have run out. */
static loyalty_store_result_t
record(loyalty_hooks_t *hooks, const loyalty_hook_t *hook,
       const loyalty_hooks_answer_t *answer)
{
    loyalty_commands_t *commands = &hooks->tools.commands;
    loyalty_store_result_t result = LOYALTY_STORE_CONFLICT;
    loyalty_replies_t replies;
    loyalty_hook_t now;
    bool dead;
    int tries;

    loyalty_replies_init(&replies);

    for (tries = 0; tries < TRIES && result == LOYALTY_STORE_CONFLICT;
         tries++) {
        loyalty_commands_reset(commands);
        loyalty_hooks_command(hooks, "WATCH", 2, "wd", hook->id);
        loyalty_hooks_command(hooks, "HGETALL", 2, "wd", hook->id);
        result = loyalty_hooks_call(hooks, &replies);
        if (result != LOYALTY_STORE_OK) {
            break;
        }

        if (!loyalty_hook_read(replies.list[1], hook->id, &now)
            || !loyalty_str_eq(now.state, loyalty_str("pending"))
            || now.tries != hook->tries) {
            loyalty_store_unwatch(hooks->tools.store, hooks->scope.site);
            break;
        }

        loyalty_commands_reset(commands);
        loyalty_command(commands, "MULTI", 1);
        dead = write_outcome(hooks, hook, answer);
        result = loyalty_hooks_execute(hooks);
        if (result == LOYALTY_STORE_OK && dead) {
            tell(hooks, hook, answer);
        }
    }

    loyalty_replies_free(&replies);
    return result;
}

loyalty_store_result_t
loyalty_hooks_postpone(loyalty_hooks_t *hooks,
                       const loyalty_hooks_wait_t *list, size_t n)
{
    loyalty_commands_t *commands = &hooks->tools.commands;
    loyalty_store_result_t result;
    loyalty_replies_t replies;
    size_t i;

    loyalty_replies_init(&replies);
    loyalty_commands_reset(commands);
    loyalty_hooks_command(hooks, "ZADD", 3 + 2 * n, "x",
                          loyalty_str("deliveries"));
    loyalty_arg_text(commands, "XX");
    for (i = 0; i < n; i++) {
        loyalty_arg_int(commands, list[i].at);
        loyalty_arg(commands, list[i].id);
    }
    result = loyalty_hooks_call(hooks, &replies);
    loyalty_replies_free(&replies);

    return result;
}

/* The try is counted, and due again when this worker may be thought dead. */
static loyalty_store_result_t
claim(loyalty_hooks_t *hooks, loyalty_hook_t *hook)
{
    loyalty_commands_t *commands = &hooks->tools.commands;
    loyalty_instant_t now = loyalty_apply_clock();

    loyalty_commands_reset(commands);
    loyalty_command(commands, "MULTI", 1);
    loyalty_hooks_command(hooks, "HINCRBY", 4, "wd", hook->id);
    loyalty_arg_text(commands, "y");
    loyalty_arg_int(commands, 1);
    loyalty_hooks_command(hooks, "HSETNX", 4, "wd", hook->id);
    loyalty_arg_text(commands, "f");
    loyalty_arg_int(commands, now);
    loyalty_hooks_command(hooks, "ZADD", 5, "x", loyalty_str("deliveries"));
    loyalty_arg_text(commands, "XX");
    loyalty_arg_int(commands, now + LOYALTY_WEBHOOK_TIMEOUT + CLAIM_MARGIN);
    loyalty_arg(commands, hook->id);

    hook->tries++;
    if (hook->first_try == LOYALTY_UNKNOWN) {
        hook->first_try = now;
    }

    return loyalty_hooks_execute(hooks);
}

static loyalty_store_result_t
drop(loyalty_hooks_t *hooks, loyalty_str_t id)
{
    loyalty_commands_t *commands = &hooks->tools.commands;

    loyalty_commands_reset(commands);
    loyalty_command(commands, "MULTI", 1);
    loyalty_hooks_command(hooks, "ZREM", 3, "x", loyalty_str("deliveries"));
    loyalty_arg(commands, id);

    return loyalty_hooks_execute(hooks);
}

/* What the parcel is to take along outlives the round. */
static loyalty_store_result_t
load(loyalty_hooks_t *hooks, loyalty_hooks_parcel_t *parcel)
{
    loyalty_store_result_t result;
    loyalty_replies_t replies;
    loyalty_str_t secret;

    loyalty_replies_init(&replies);
    loyalty_commands_reset(&hooks->tools.commands);
    loyalty_hooks_command(hooks, "HGET", 3, "x", loyalty_str("secrets"));
    loyalty_arg(&hooks->tools.commands, parcel->hook.webhook);
    result = loyalty_hooks_call(hooks, &replies);

    if (result == LOYALTY_STORE_OK) {
        result = loyalty_reply_str(replies.list[0], &secret)
                     ? loyalty_hooks_prepare(hooks, parcel, secret)
                     : LOYALTY_STORE_MALFORMED;
    }

    loyalty_replies_free(&replies);
    return result;
}

static loyalty_store_result_t
read_due(loyalty_hooks_t *hooks, loyalty_hooks_parcel_t *parcel,
         loyalty_str_t id)
{
    loyalty_commands_t *commands = &hooks->tools.commands;
    loyalty_store_result_t result;
    loyalty_str_t due;
    int64_t at;

    loyalty_commands_reset(commands);
    loyalty_hooks_command(hooks, "WATCH", 2, "wd", id);
    loyalty_hooks_command(hooks, "HGETALL", 2, "wd", id);
    loyalty_hooks_command(hooks, "ZSCORE", 3, "x", loyalty_str("deliveries"));
    loyalty_arg(commands, id);
    result = loyalty_hooks_call(hooks, &parcel->replies);
    if (result != LOYALTY_STORE_OK) {
        return result;
    }

    if (!loyalty_reply_str(parcel->replies.list[2], &due)) {
        result = LOYALTY_STORE_MALFORMED;
    } else if (due.data == NULL || !loyalty_str_int(due, &at)
               || at > loyalty_apply_clock()) {
        result = LOYALTY_STORE_CONFLICT;
    }

    if (result != LOYALTY_STORE_OK) {
        loyalty_store_unwatch(hooks->tools.store, hooks->scope.site);
    }

    return result;
}

loyalty_store_result_t
loyalty_hooks_deliver(loyalty_hooks_t *hooks, loyalty_str_t id,
                      loyalty_hooks_parcel_t *parcel)
{
    loyalty_hook_t *hook = &parcel->hook;
    loyalty_store_result_t result;

    loyalty_arena_reset(&parcel->arena);
    parcel->took = 0;
    parcel->scope.prefix = hooks->scope.prefix;
    if (loyalty_str_copy(&parcel->arena, hooks->scope.site,
                         &parcel->scope.site) != LOYALTY_OK
        || loyalty_str_copy(&parcel->arena, id, &id) != LOYALTY_OK) {
        return LOYALTY_STORE_MEMORY;
    }

    result = read_due(hooks, parcel, id);
    if (result != LOYALTY_STORE_OK) {
        return result;
    }

    if (!loyalty_hook_read(parcel->replies.list[1], id, hook)
        || !loyalty_str_eq(hook->state, loyalty_str("pending"))) {
        return drop(hooks, id);
    }

    result = claim(hooks, hook);
    if (result != LOYALTY_STORE_OK) {
        loyalty_store_unwatch(hooks->tools.store, hooks->scope.site);
        return result;
    }

    result = load(hooks, parcel);
    if (result != LOYALTY_STORE_OK || parcel->url == NULL) {
        return result == LOYALTY_STORE_OK
                   ? record(hooks, hook, &parcel->answer) : result;
    }

    parcel->taken = true;
    if (!loyalty_crew_post(hooks->crew, 0, &parcel->task)) {
        loyalty_hooks_work(hooks, NULL, &parcel->task);
        loyalty_crew_done(hooks->crew, 0, &parcel->task);
    }

    return LOYALTY_STORE_OK;
}

loyalty_store_result_t
loyalty_hooks_collect(loyalty_hooks_t *hooks, int timeout)
{
    loyalty_store_result_t result = LOYALTY_STORE_OK, one;
    loyalty_hooks_parcel_t *parcel;

    while ((parcel = (loyalty_hooks_parcel_t *)loyalty_crew_take(hooks->crew,
                                                                timeout))
           != NULL) {
        timeout = 0;
        parcel->taken = false;
        hooks->scope = parcel->scope;
        loyalty_hooks_judge_pace(hooks, parcel);
        if (parcel->answer.outcome != LOYALTY_HOOKS_STOPPED) {
            one = record(hooks, &parcel->hook, &parcel->answer);
            result = one == LOYALTY_STORE_OK || one == LOYALTY_STORE_CONFLICT
                         ? result : one;
        }
        loyalty_replies_free(&parcel->replies);
    }

    return result;
}
