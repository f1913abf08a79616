/*
 * A site's turn:
 *
 *   XRANGE events, posts; ZRANGEBYSCORE deliveries     one round trip
 *   what the streams hold                loyalty_hooks_take.c
 *   what is due                          loyalty_hooks_deliver.c, _post.c
 */

#include "loyalty_hooks_private.h"

#include <stdlib.h>

#include "loyalty_link.h"

#define DUE_MAX 32

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

static loyalty_store_result_t
deliver_due(loyalty_hooks_t *hooks, const redisReply *due, int64_t until,
            int *rest)
{
    loyalty_store_result_t result = LOYALTY_STORE_OK;
    loyalty_str_t id;
    size_t i;

    if (due->type != REDIS_REPLY_ARRAY) {
        return LOYALTY_STORE_MALFORMED;
    }

    for (i = 0; i < due->elements; i++) {
        *rest = 0;
        if (loyalty_rounds_stopping(&hooks->rounds)
            || loyalty_link_now() >= until) {
            break;
        }
        if (!loyalty_reply_str(due->element[i], &id)
            || id.len > LOYALTY_HOOK_ID_MAX) {
            return LOYALTY_STORE_MALFORMED;
        }
        result = loyalty_hooks_deliver(hooks, id);
        if (result != LOYALTY_STORE_OK && result != LOYALTY_STORE_CONFLICT) {
            return result;
        }
    }

    return LOYALTY_STORE_OK;
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
    hooks->webhooks = loyalty_transfer_create(conf->stopping);
    hooks->posts = loyalty_transfer_create(conf->stopping);
    loyalty_commands_init(&hooks->tools.commands);
    loyalty_arena_init(&hooks->arena, 0);
    loyalty_rounds_init(&hooks->rounds);

    if (hooks->tools.store == NULL || hooks->tools.programs == NULL
        || hooks->webhooks == NULL || hooks->posts == NULL) {
        loyalty_hooks_free(hooks);
        return NULL;
    }

    return hooks;
}

void
loyalty_hooks_free(loyalty_hooks_t *hooks)
{
    loyalty_transfer_free(hooks->webhooks);
    loyalty_transfer_free(hooks->posts);
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
    return loyalty_rounds_run(&hooks->rounds);
}
