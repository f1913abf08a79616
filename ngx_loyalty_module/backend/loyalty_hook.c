/*
 * A delivery's body, and the commands by which it changes; each belongs to a
 * transaction of its caller's.
 */

#include "loyalty_hook.h"

bool
loyalty_hook_read(const redisReply *reply, loyalty_str_t id,
                  loyalty_hook_t *hook)
{
    loyalty_str_t name, value;
    int64_t number;
    size_t i;

    *hook = (loyalty_hook_t){.id = id, .first_try = LOYALTY_UNKNOWN};

    if (reply->type != REDIS_REPLY_ARRAY) {
        return false;
    }

    for (i = 0; i + 1 < reply->elements; i += 2) {
        if (!loyalty_reply_str(reply->element[i], &name)
            || !loyalty_reply_str(reply->element[i + 1], &value)
            || name.len != 1) {
            return false;
        }

        number = 0;
        (void)loyalty_str_int(value, &number);

        switch (name.data[0]) {
        case 's':
            hook->state = value;
            break;
        case 'w':
            hook->webhook = value;
            break;
        case 'k':
            hook->type = value;
            break;
        case 'e':
            hook->key = value;
            break;
        case 'b':
            hook->body = value;
            break;
        case 'u':
            hook->uri = value;
            break;
        case 'a':
            hook->created_at = number;
            break;
        case 'f':
            hook->first_try = number;
            break;
        case 'y':
            hook->tries = number;
            break;
        default:
            break;
        }
    }

    return hook->state.len != 0;
}

char *
loyalty_hook_join(const loyalty_str_t *parts, size_t n, loyalty_arena_t *arena)
{
    size_t i, len = 1;
    char *text, *p;

    for (i = 0; i < n; i++) {
        len += parts[i].len;
    }

    text = p = loyalty_alloc(arena, len);
    for (i = 0; text != NULL && i < n; i++) {
        if (parts[i].len != 0) {
            memcpy(p, parts[i].data, parts[i].len);
            p += parts[i].len;
        }
    }

    return text;
}

char *
loyalty_hook_body(loyalty_str_t id, loyalty_str_t type, loyalty_str_t site,
                  loyalty_instant_t at, loyalty_str_t data,
                  loyalty_arena_t *arena)
{
    char instant[LOYALTY_INSTANT_SIZE];
    const loyalty_str_t parts[] = {
        loyalty_str("{\"id\":\""), id, loyalty_str("\",\"type\":\""), type,
        loyalty_str("\",\"site\":\""), site,
        loyalty_str("\",\"at\":\""),
        {instant, loyalty_instant_format(at, instant)},
        loyalty_str("\",\"data\":"), data, loyalty_str("}"),
    };

    return loyalty_hook_join(parts, sizeof(parts) / sizeof(parts[0]), arena);
}

static void
forget(const loyalty_scope_t *scope, loyalty_commands_t *commands,
       loyalty_str_t list, int64_t before)
{
    loyalty_command_key(commands, scope, "ZREMRANGEBYSCORE", 4, "wl", list);
    loyalty_arg_text(commands, "-inf");
    loyalty_arg_int(commands, before);
}

void
loyalty_hook_create(const loyalty_hook_t *hook, loyalty_instant_t now,
                    const loyalty_scope_t *scope,
                    loyalty_commands_t *commands)
{
    const struct {
        const char *name;
        loyalty_str_t text;
    } texts[] = {
        {"s", loyalty_str("pending")}, {"w", hook->webhook},
        {"k", hook->type},             {"e", hook->key},
        {"b", hook->body},             {"u", hook->uri},
    };
    size_t i, n = 1;

    for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        n += texts[i].text.len != 0;
    }

    loyalty_command_key(commands, scope, "HSET", 2 + n * 2, "wd", hook->id);
    for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (texts[i].text.len != 0) {
            loyalty_arg_text(commands, texts[i].name);
            loyalty_arg(commands, texts[i].text);
        }
    }
    loyalty_arg_text(commands, "a");
    loyalty_arg_int(commands, now);

    loyalty_command_zadd(commands, scope, "x", loyalty_str("deliveries"), now,
                         hook->id);
    loyalty_command_zadd(commands, scope, "wl", loyalty_str_null, now,
                         hook->id);
    loyalty_command_zadd(commands, scope, "wl", loyalty_str("pending"), now,
                         hook->id);
}

void
loyalty_hook_end(const loyalty_hook_t *hook, const char *state,
                 loyalty_instant_t now, const loyalty_scope_t *scope,
                 loyalty_commands_t *commands)
{
    bool done = strcmp(state, "done") == 0;
    int64_t kept = (done ? LOYALTY_DELIVERY_DONE_DAYS
                         : LOYALTY_DELIVERY_DEAD_DAYS) * LOYALTY_DAY;

    loyalty_command_key(commands, scope, "HSET", 6, "wd", hook->id);
    loyalty_arg_text(commands, "s");
    loyalty_arg_text(commands, state);
    loyalty_arg_text(commands, "t");
    loyalty_arg_int(commands, now);
    loyalty_command_key(commands, scope, "PEXPIRE", 3, "wd", hook->id);
    loyalty_arg_int(commands, kept);

    loyalty_command_zrem(commands, scope, "x", loyalty_str("deliveries"),
                         hook->id);
    loyalty_command_zrem(commands, scope, "wl", loyalty_str("pending"),
                         hook->id);
    loyalty_command_zadd(commands, scope, "wl", loyalty_str_from(state),
                         hook->created_at, hook->id);
    forget(scope, commands, loyalty_str_from(state), now - kept);
    forget(scope, commands, loyalty_str_null,
           now - LOYALTY_DELIVERY_DEAD_DAYS * LOYALTY_DAY);
}

void
loyalty_hook_replay(const loyalty_hook_t *hook, loyalty_instant_t now,
                    const loyalty_scope_t *scope,
                    loyalty_commands_t *commands)
{
    loyalty_command_key(commands, scope, "HSET", 4, "wd", hook->id);
    loyalty_arg_text(commands, "s");
    loyalty_arg_text(commands, "pending");
    loyalty_command_key(commands, scope, "HDEL", 7, "wd", hook->id);
    loyalty_arg_text(commands, "f");
    loyalty_arg_text(commands, "y");
    loyalty_arg_text(commands, "c");
    loyalty_arg_text(commands, "m");
    loyalty_arg_text(commands, "t");
    loyalty_command_key(commands, scope, "PERSIST", 2, "wd", hook->id);

    loyalty_command_zadd(commands, scope, "x", loyalty_str("deliveries"), now,
                         hook->id);
    loyalty_command_zrem(commands, scope, "wl", hook->state, hook->id);
    loyalty_command_zadd(commands, scope, "wl", loyalty_str("pending"),
                         hook->created_at, hook->id);
}
