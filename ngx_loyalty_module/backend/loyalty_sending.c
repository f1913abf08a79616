/* A message being sent: what Redis says of it, and what is written of it. */

#include "loyalty_sender_private.h"

void
loyalty_sending_key(const loyalty_sending_t *sending,
                    loyalty_commands_t *commands, const char *name, size_t argc,
                    const char *kind, loyalty_str_t rest)
{
    loyalty_command(commands, name, argc);
    loyalty_arg_key(commands, &sending->scope, kind, rest);
}

bool
loyalty_sending_read(const redisReply *reply, loyalty_sending_t *sending)
{
    loyalty_str_t name, value;
    int64_t number;
    size_t i;

    *sending = (loyalty_sending_t){.scope = sending->scope,
                                   .box = sending->box,
                                   .id = sending->id,
                                   .first_try = LOYALTY_UNKNOWN};

    if (reply->type != REDIS_REPLY_ARRAY) {
        return false;
    }

    for (i = 0; i + 1 < reply->elements; i += 2) {
        if (!loyalty_reply_str(reply->element[i], &name)
            || !loyalty_reply_str(reply->element[i + 1], &value)) {
            return false;
        }

        number = 0;
        (void)loyalty_str_int(value, &number);

        if (loyalty_str_eq(name, loyalty_str("s"))) {
            sending->state = value;
        } else if (loyalty_str_eq(name, loyalty_str("r"))) {
            sending->rule = value;
        } else if (loyalty_str_eq(name, loyalty_str("m"))) {
            sending->member = value;
        } else if (loyalty_str_eq(name, loyalty_str("o"))) {
            sending->order = value;
        } else if (loyalty_str_eq(name, loyalty_str("ct"))) {
            sending->content = value;
        } else if (loyalty_str_eq(name, loyalty_str("k"))) {
            sending->code = value;
        } else if (loyalty_str_eq(name, loyalty_str("c"))) {
            sending->channel = loyalty_channel_named(value);
        } else if (loyalty_str_eq(name, loyalty_str("a"))) {
            sending->created_at = number;
        } else if (loyalty_str_eq(name, loyalty_str("f"))) {
            sending->first_try = number;
        } else if (loyalty_str_eq(name, loyalty_str("y"))) {
            sending->tries = number;
        } else if (loyalty_str_eq(name, loyalty_str("g"))) {
            sending->given = true;
        } else if (loyalty_str_eq(name, loyalty_str("i"))) {
            sending->opted_in = true;
        }
    }

    return true;
}

bool
loyalty_sending_is_pending(const loyalty_sending_t *sending)
{
    return loyalty_str_eq(sending->state, loyalty_str("pending"))
           && sending->channel != 0;
}

void
loyalty_sending_box(const loyalty_sending_t *sending,
                    loyalty_commands_t *commands, const char *name, size_t argc)
{
    loyalty_sending_key(sending, commands, name, argc, "ob",
                        loyalty_str_from(loyalty_channel_name(sending->box)));
}

void
loyalty_sending_set(const loyalty_sending_t *sending,
                    loyalty_commands_t *commands, const char *name,
                    loyalty_str_t value)
{
    loyalty_sending_key(sending, commands, "HSET", 4, "mg", sending->id);
    loyalty_arg_text(commands, name);
    loyalty_arg(commands, value);
}

void
loyalty_sending_settle(const loyalty_sending_t *sending, const char *state,
                       loyalty_commands_t *commands)
{
    loyalty_sending_set(sending, commands, "s", loyalty_str_from(state));
    loyalty_sending_box(sending, commands, "ZREM", 3);
    loyalty_arg(commands, sending->id);
    loyalty_message_move(sending->id, "pending", state, sending->created_at,
                         &sending->scope, commands);
    loyalty_message_count(sending->rule, "pending", -1, &sending->scope,
                          commands);
    loyalty_message_count(sending->rule, state, 1, &sending->scope, commands);
}

loyalty_status_t
loyalty_sending_copy(const loyalty_sending_t *from, loyalty_arena_t *arena,
                     loyalty_sending_t *to)
{
    loyalty_str_t *texts[] = {&to->scope.site, &to->id,    &to->state,
                              &to->rule,       &to->member, &to->order,
                              &to->content,    &to->code};
    loyalty_status_t rc = LOYALTY_OK;
    size_t i;

    *to = *from;
    for (i = 0; i < sizeof(texts) / sizeof(texts[0]) && rc == LOYALTY_OK; i++) {
        rc = loyalty_str_copy(arena, *texts[i], texts[i]);
    }

    return rc;
}
