/*
 * What the streams hold becomes deliveries.
 *
 *   WATCH x:events   XRANGE   MULTI   HSET wd, ZADD ...   XDEL   INCR   EXEC
 *
 * No lease: of two workers that take the same entries, one finds its
 * transaction refused, for whoever takes any counts x:{site}:events up.
 */

#include "loyalty_hooks_private.h"

#include "loyalty_webhook.h"

#define TAKEN_MAX 64

void
loyalty_hooks_command_streams(loyalty_hooks_t *hooks)
{
    loyalty_commands_t *commands = &hooks->tools.commands;
    loyalty_str_t streams[] = {loyalty_str("events"), loyalty_str("posts")};
    size_t i, n = hooks->hooks->order_post.len != 0 ? 2 : 1;

    for (i = 0; i < n; i++) {
        loyalty_hooks_command(hooks, "XRANGE", 6, "s", streams[i]);
        loyalty_arg_text(commands, "-");
        loyalty_arg_text(commands, "+");
        loyalty_arg_text(commands, "COUNT");
        loyalty_arg_int(commands, TAKEN_MAX);
    }
}

/* A field of an entry; empty where it has none. */
static loyalty_str_t
field_of(const redisReply *entry, const char *wanted)
{
    const redisReply *fields = entry->element[1];
    loyalty_str_t name, value;
    size_t i;

    for (i = 0; fields->type == REDIS_REPLY_ARRAY && i + 1 < fields->elements;
         i += 2) {
        if (loyalty_reply_str(fields->element[i], &name)
            && loyalty_str_eq(name, loyalty_str_from(wanted))
            && loyalty_reply_str(fields->element[i + 1], &value)) {
            return value;
        }
    }

    return loyalty_str_null;
}

/* The instant of a stream's entry, "MS-SEQ". */
static loyalty_instant_t
instant_of(loyalty_str_t id)
{
    const char *dash = memchr(id.data, '-', id.len);
    int64_t ms = 0;

    (void)loyalty_str_int(
        (loyalty_str_t){id.data, dash == NULL ? 0 : (size_t)(dash - id.data)},
        &ms);

    return ms;
}

static loyalty_store_result_t
take_event(loyalty_hooks_t *hooks, loyalty_str_t id, const redisReply *entry,
           loyalty_instant_t now)
{
    loyalty_str_t type = field_of(entry, "k"), data = field_of(entry, "d");
    loyalty_event_t event = loyalty_event_named(type);
    const loyalty_webhook_t *webhook;
    char *body = NULL, *name;
    loyalty_hook_t hook;
    size_t i;

    for (i = 0; i < hooks->program->settings.nwebhooks; i++) {
        webhook = &hooks->program->settings.webhooks[i];
        if (!webhook->enabled || (webhook->events & (unsigned)event) == 0) {
            continue;
        }

        const loyalty_str_t parts[] = {id, loyalty_str("."), webhook->id};

        if (body == NULL) {
            body = loyalty_hook_body(id, type, hooks->scope.site,
                                     instant_of(id), data, &hooks->arena);
        }
        name = loyalty_hook_join(parts, 3, &hooks->arena);
        if (body == NULL || name == NULL) {
            return LOYALTY_STORE_MEMORY;
        }

        hook = (loyalty_hook_t){
            .id = loyalty_str_from(name),
            .webhook = webhook->id,
            .type = type,
            .key = id,
            .body = loyalty_str_from(body),
        };
        loyalty_hook_create(&hook, now, &hooks->scope, &hooks->tools.commands);
    }

    return LOYALTY_STORE_OK;
}

static loyalty_store_result_t
take_post(loyalty_hooks_t *hooks, loyalty_str_t id, const redisReply *entry,
          loyalty_instant_t now)
{
    const loyalty_str_t parts[] = {loyalty_str("post-"), id};
    char *name = loyalty_hook_join(parts, 2, &hooks->arena);
    loyalty_hook_t hook = {
        .type = loyalty_str(LOYALTY_HOOK_ORDER_POST),
        .key = field_of(entry, "i"),
        .body = field_of(entry, "e"),
        .uri = field_of(entry, "u"),
    };

    if (name == NULL) {
        return LOYALTY_STORE_MEMORY;
    }

    hook.id = loyalty_str_from(name);
    if (hook.uri.len > LOYALTY_URI_MAX) {
        hook.uri.len = LOYALTY_URI_MAX + 1; /* enough to be refused */
    }
    loyalty_hook_create(&hook, now, &hooks->scope, &hooks->tools.commands);

    return LOYALTY_STORE_OK;
}

/* Entries become deliveries and leave the stream. */
static loyalty_store_result_t
take_entries(loyalty_hooks_t *hooks, loyalty_str_t stream,
             const redisReply *entries,
             loyalty_store_result_t (*take)(loyalty_hooks_t *hooks,
                                            loyalty_str_t id,
                                            const redisReply *entry,
                                            loyalty_instant_t now))
{
    loyalty_instant_t now = loyalty_apply_clock();
    loyalty_store_result_t result;
    loyalty_str_t id;
    size_t i;

    if (entries->type != REDIS_REPLY_ARRAY) {
        return LOYALTY_STORE_MALFORMED;
    }

    for (i = 0; i < entries->elements; i++) {
        if (!loyalty_reply_array(entries->element[i], 2)
            || !loyalty_reply_str(entries->element[i]->element[0], &id)
            || id.len > 41) {
            return LOYALTY_STORE_MALFORMED;
        }
        result = take(hooks, id, entries->element[i], now);
        if (result != LOYALTY_STORE_OK) {
            return result;
        }
        loyalty_hooks_command(hooks, "XDEL", 3, "s", stream);
        loyalty_arg(&hooks->tools.commands, id);
    }

    return LOYALTY_STORE_OK;
}

loyalty_store_result_t
loyalty_hooks_take(loyalty_hooks_t *hooks)
{
    loyalty_commands_t *commands = &hooks->tools.commands;
    bool posts = hooks->hooks->order_post.len != 0;
    loyalty_store_result_t result;
    loyalty_replies_t replies;

    loyalty_replies_init(&replies);
    loyalty_arena_reset(&hooks->arena);
    loyalty_commands_reset(commands);
    loyalty_hooks_command(hooks, "WATCH", 2, "x", loyalty_str("events"));
    loyalty_hooks_command_streams(hooks);
    result = loyalty_hooks_call(hooks, &replies);

    if (result == LOYALTY_STORE_OK) {
        loyalty_commands_reset(commands);
        loyalty_command(commands, "MULTI", 1);
        result = take_entries(hooks, loyalty_str("events"), replies.list[1],
                              take_event);
    }
    if (result == LOYALTY_STORE_OK && posts) {
        result = take_entries(hooks, loyalty_str("posts"), replies.list[2],
                              take_post);
    }

    if (result == LOYALTY_STORE_OK && commands->count > 1) {
        loyalty_hooks_command(hooks, "INCR", 2, "x", loyalty_str("events"));
        result = loyalty_hooks_execute(hooks);
    } else {
        loyalty_store_unwatch(hooks->tools.store, hooks->scope.site);
    }

    loyalty_replies_free(&replies);
    return result == LOYALTY_STORE_CONFLICT ? LOYALTY_STORE_OK : result;
}
