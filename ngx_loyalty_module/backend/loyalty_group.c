/*
 * A group's hash, and the group as the API shows it.
 */

#include "loyalty_group.h"

#include "loyalty_member_edit.h"

enum {
    FIELD_NAME,
    FIELD_FILTER,
    FIELD_BY,
    FIELD_JOB,
    FIELD_CREATED,
    FIELD_COUNT,
    FIELDS
};

static const char *const fields[] = {"name", "filter",  "by",
                                     "job",  "created", "count"};

void
loyalty_group_create(const loyalty_group_t *group,
                     const loyalty_scope_t *scope,
                     loyalty_commands_t *commands)
{
    const loyalty_str_t texts[] = {group->name, group->filter, group->by,
                                   group->job};
    size_t i;

    loyalty_command(commands, "HSET", 2 + 2 * (FIELD_CREATED + 1));
    loyalty_arg_key(commands, scope, "g", group->id);
    for (i = 0; i < FIELD_CREATED; i++) {
        loyalty_arg_text(commands, fields[i]);
        loyalty_arg(commands, texts[i]);
    }
    loyalty_arg_text(commands, fields[FIELD_CREATED]);
    loyalty_arg_int(commands, group->created_at);

    loyalty_command(commands, "ZADD", 4);
    loyalty_arg_key(commands, scope, "x", loyalty_str("groups"));
    loyalty_arg_int(commands, group->created_at);
    loyalty_arg(commands, group->id);
}

void
loyalty_group_command(const loyalty_scope_t *scope, loyalty_str_t id,
                      loyalty_commands_t *commands)
{
    size_t i;

    loyalty_command(commands, "HMGET", 2 + FIELDS);
    loyalty_arg_key(commands, scope, "g", id);
    for (i = 0; i < FIELDS; i++) {
        loyalty_arg_text(commands, fields[i]);
    }
}

bool
loyalty_group_read(loyalty_str_t id, const redisReply *reply,
                   loyalty_group_t *group)
{
    loyalty_str_t *const texts[] = {&group->name, &group->filter, &group->by,
                                    &group->job};
    loyalty_str_t number;
    size_t i;

    *group = (loyalty_group_t){.id = id, .count = -1};

    if (!loyalty_reply_array(reply, FIELDS)) {
        return false;
    }

    for (i = 0; i < FIELD_CREATED; i++) {
        if (!loyalty_reply_str(reply->element[i], texts[i])) {
            return false;
        }
    }

    if (!loyalty_reply_str(reply->element[FIELD_CREATED], &number)
        || !loyalty_str_int(number, &group->created_at)) {
        return false;
    }

    group->ready = loyalty_reply_str(reply->element[FIELD_COUNT], &number)
                   && loyalty_str_int(number, &group->count);

    return true;
}

bool
loyalty_group_expired(const loyalty_group_t *group, loyalty_instant_t at)
{
    return at >= loyalty_group_ends_at(group->created_at);
}

json_t *
loyalty_group_to_json(const loyalty_group_t *group, loyalty_instant_t at)
{
    char created[LOYALTY_INSTANT_SIZE], expires[LOYALTY_INSTANT_SIZE];
    json_t *filter = json_loadb(group->filter.data, group->filter.len,
                                JSON_DECODE_ANY, NULL);

    loyalty_instant_format(group->created_at, created);
    loyalty_instant_format(loyalty_group_ends_at(group->created_at), expires);

    return json_pack("{s:s%,s:s%,s:s,s:o,s:o?,s:s%,s:s,s:s,s:s%}",
                     "id", group->id.data, group->id.len,
                     "name", group->name.data, group->name.len,
                     "state", loyalty_group_expired(group, at) ? "expired"
                              : group->ready                   ? "ready"
                                                               : "building",
                     "count",
                     group->ready ? json_integer(group->count) : json_null(),
                     "filter", filter,
                     "created_by", group->by.data, group->by.len,
                     "created_at", created, "expires_at", expires,
                     "job", group->job.data, group->job.len);
}
