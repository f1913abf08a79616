/*
 * A site's turn:
 *
 *   XRANGE events, posts; ZRANGEBYSCORE deliveries     one round trip
 *   what the streams hold                loyalty_hooks_take.c
 *   what is due                          loyalty_hooks_deliver.c, _post.c
 *
 * A few POSTs are on their way at once, by a crew; of a webhook and of a site
 * no more than leave room for the others.  What is due and has no room stays
 * due.  Only where such fill what is read at once are they put off for a moment,
 * or they would hide those behind them.
 */

#include "loyalty_hooks_private.h"

#include <stdlib.h>

#include "loyalty_link.h"

#define DUE_MAX 256
#define PUT_OFF 1000 /* ms */
#define STOP_TIME 1500 /* ms for the crew to give up in */
#define PAUSE 20 /* ms */

void
loyalty_hooks_command(loyalty_hooks_t *hooks, const char *name, size_t argc,
        const char *kind, loyalty_str_t rest)
{
    loyalty_command(&hooks->tools.commands, name, argc);
    loyalty_arg_key(&hooks->tools.commands, &hooks->scope, kind, rest);
}

loyalty_store_result_t
loyalty_hooks_call(loyalty_hooks_t *hooks, loyalty_replies_t *replies)
{
    loyalty_replies_free(replies);
    return loyalty_store_call(hooks->tools.store, hooks->scope.site,
                              &hooks->tools.commands, replies);
}

loyalty_store_result_t
loyalty_hooks_execute(loyalty_hooks_t *hooks)
{
    loyalty_command(&hooks->tools.commands, "EXEC", 1);
    return loyalty_store_exec(hooks->tools.store, hooks->scope.site,
                              &hooks->tools.commands);
}

/* NULL: as many are on their way as may be. */
static loyalty_hooks_parcel_t *
free_parcel(loyalty_hooks_t *hooks)
{
    size_t i;

    for (i = 0; i < LOYALTY_HOOKS_AT_ONCE; i++) {
        if (!hooks->parcels[i].taken) {
            return &hooks->parcels[i];
        }
    }

    return NULL;
}

static bool
has_room(const loyalty_hooks_t *hooks, uint64_t site, uint64_t webhook)
{
    const loyalty_hooks_parcel_t *parcel;
    size_t i, of_site = 0;

    for (i = 0; i < LOYALTY_HOOKS_AT_ONCE; i++) {
        parcel = &hooks->parcels[i];
        if (parcel->taken && parcel->webhook == webhook) {
            return false;
        }
        of_site += parcel->taken && parcel->site == site;
    }

    return of_site < LOYALTY_HOOKS_OF_SITE
           && loyalty_hooks_rest(hooks, webhook) == 0;
}

/* When a delivery that has no room may be looked at again. */
static loyalty_instant_t
later(const loyalty_hooks_t *hooks, uint64_t webhook)
{
    int64_t rest = loyalty_hooks_rest(hooks, webhook);

    return loyalty_apply_clock() + (rest > PUT_OFF ? rest : PUT_OFF);
}

/* Of ids that seem due; *waiting: those that have no room, in `list`. */
static loyalty_store_result_t
send_off(loyalty_hooks_t *hooks, const redisReply *due, int64_t until,
         int *rest, loyalty_hooks_wait_t *list, size_t *waiting)
{
    loyalty_str_t site = hooks->scope.site, id;
    uint64_t of_site = loyalty_hooks_print(site, loyalty_str_null), webhook;
    loyalty_hooks_parcel_t *parcel = NULL;
    loyalty_store_result_t result;
    size_t i;

    *waiting = 0;

    for (i = 0; i < due->elements; i++) {
        if (loyalty_rounds_stopping(&hooks->rounds)
            || loyalty_link_now() >= until
            || (parcel = free_parcel(hooks)) == NULL) {
            *rest = 0;
            break;
        }
        if (!loyalty_reply_str(due->element[i], &id) || id.data == NULL
            || id.len > LOYALTY_HOOK_ID_MAX) {
            return LOYALTY_STORE_MALFORMED;
        }

        webhook = loyalty_hooks_print(site, id);
        if (!has_room(hooks, of_site, webhook)) {
            list[(*waiting)++] = (loyalty_hooks_wait_t){id, later(hooks,
                                                                  webhook)};
            continue;
        }

        *rest = 0;
        parcel->site = of_site;
        parcel->webhook = webhook;
        result = loyalty_hooks_deliver(hooks, id, parcel);
        if (!parcel->taken) {
            loyalty_replies_free(&parcel->replies);
        }
        if (result != LOYALTY_STORE_OK && result != LOYALTY_STORE_CONFLICT) {
            return result;
        }
    }

    return LOYALTY_STORE_OK;
}

static loyalty_store_result_t
deliver_due(loyalty_hooks_t *hooks, const redisReply *due, int64_t until,
            int *rest)
{
    loyalty_hooks_wait_t list[DUE_MAX];
    loyalty_store_result_t result;
    size_t waiting;

    if (due->type != REDIS_REPLY_ARRAY || due->elements > DUE_MAX) {
        return LOYALTY_STORE_MALFORMED;
    }

    result = send_off(hooks, due, until, rest, list, &waiting);
    if (result != LOYALTY_STORE_OK || waiting != DUE_MAX) {
        return result;
    }

    *rest = 0;
    return loyalty_hooks_postpone(hooks, list, waiting);
}

/* Has a stream anything? */
static bool
is_filled(const loyalty_replies_t *replies)
{
    size_t i;

    for (i = 1; i < replies->count; i++) {
        if (replies->list[i]->type == REDIS_REPLY_ARRAY
            && replies->list[i]->elements != 0) {
            return true;
        }
    }

    return false;
}

static loyalty_store_result_t
serve(void *data, const loyalty_scope_t *scope, int64_t until, int *rest)
{
    loyalty_hooks_t *hooks = data;
    loyalty_commands_t *commands = &hooks->tools.commands;
    loyalty_store_result_t result;
    loyalty_replies_t replies;
    bool filled;

    hooks->scope = *scope;
    loyalty_replies_init(&replies);
    loyalty_commands_reset(commands);
    loyalty_hooks_command(hooks, "ZRANGEBYSCORE", 7, "x",
                          loyalty_str("deliveries"));
    loyalty_arg_text(commands, "-inf");
    loyalty_arg_int(commands, loyalty_apply_clock());
    loyalty_arg_text(commands, "LIMIT");
    loyalty_arg_int(commands, 0);
    loyalty_arg_int(commands, DUE_MAX);
    loyalty_hooks_command_streams(hooks);
    result = loyalty_hooks_call(hooks, &replies);

    filled = result == LOYALTY_STORE_OK && is_filled(&replies);
    if (result == LOYALTY_STORE_OK
        && (filled || replies.list[0]->type != REDIS_REPLY_ARRAY
            || replies.list[0]->elements != 0)) {
        result = loyalty_programs_get(hooks->tools.programs,
                                      hooks->tools.store, &hooks->scope,
                                      &hooks->program);
        if (result == LOYALTY_STORE_OK && hooks->program != NULL && filled) {
            *rest = 0;
            result = loyalty_hooks_take(hooks);
        }
        if (result == LOYALTY_STORE_OK && hooks->program != NULL) {
            result = deliver_due(hooks, replies.list[0], until, rest);
        }
    }

    loyalty_replies_free(&replies);
    return result;
}

loyalty_hooks_t *
loyalty_hooks_create(const loyalty_store_conf_t *conf,
                     const loyalty_hooks_conf_t *conf_of_hooks,
                     loyalty_log_pt log, void *data)
{
    loyalty_hooks_t *hooks = calloc(1, sizeof(*hooks));
    const int threads = LOYALTY_HOOKS_AT_ONCE;
    size_t i;

    if (hooks == NULL) {
        return NULL;
    }

    hooks->rounds = (loyalty_rounds_t){
        .conf = conf,
        .tools = &hooks->tools,
        .good = "webhooks go on",
        .bad = "webhooks stand still",
        .serve = serve,
        .data = hooks,
    };
    hooks->hooks = conf_of_hooks;
    hooks->tools.log = log;
    hooks->tools.log_data = data;
    hooks->tools.store = loyalty_store_open(conf);
    hooks->tools.programs = loyalty_programs_create();
    hooks->work = (loyalty_crew_conf_t){loyalty_hooks_equip,
                                        loyalty_hooks_work,
                                        loyalty_hooks_put_away, hooks};
    hooks->crew = loyalty_crew_create(&hooks->work, &threads, 1);
    loyalty_commands_init(&hooks->tools.commands);
    loyalty_arena_init(&hooks->arena, 0);
    for (i = 0; i < LOYALTY_HOOKS_AT_ONCE; i++) {
        loyalty_arena_init(&hooks->parcels[i].arena, 0);
        loyalty_replies_init(&hooks->parcels[i].replies);
    }
    loyalty_rounds_init(&hooks->rounds);

    if (hooks->tools.store == NULL || hooks->tools.programs == NULL
        || hooks->crew == NULL) {
        loyalty_hooks_free(hooks);
        return NULL;
    }

    return hooks;
}

/* What was answered in the last moment is recorded, too. */
static void
land_all(loyalty_hooks_t *hooks)
{
    int64_t until = loyalty_link_now() + STOP_TIME;

    while (loyalty_crew_out(hooks->crew) != 0 && loyalty_link_now() < until) {
        (void)loyalty_hooks_collect(hooks, PAUSE);
    }
}

void
loyalty_hooks_free(loyalty_hooks_t *hooks)
{
    size_t i;

    if (hooks->crew != NULL) {
        land_all(hooks);
    }
    loyalty_crew_free(hooks->crew);
    for (i = 0; i < LOYALTY_HOOKS_AT_ONCE; i++) {
        loyalty_replies_free(&hooks->parcels[i].replies);
        loyalty_arena_free(&hooks->parcels[i].arena);
    }
    loyalty_arena_free(&hooks->arena);
    loyalty_rounds_free(&hooks->rounds);
    loyalty_programs_free(hooks->tools.programs);
    loyalty_commands_free(&hooks->tools.commands);
    if (hooks->tools.store != NULL) {
        loyalty_store_close(hooks->tools.store);
    }
    free(hooks);
}

int
loyalty_hooks_run(loyalty_hooks_t *hooks)
{
    int rest = loyalty_rounds_run(&hooks->rounds);

    if (loyalty_crew_out(hooks->crew) != 0) {
        (void)loyalty_hooks_collect(hooks, rest > PAUSE ? rest : PAUSE);
        return 0;
    }

    return rest;
}
