/*
 * Customer groups (DOMAIN.md section 9): made from a filter by a job, counted
 * and frozen; what can be done with one, until it expires.
 */

#include "loyalty_api_bulk.h"
#include "loyalty_group.h"
#include "loyalty_recipients.h"

#include <stdio.h>
#include <stdlib.h>

/* WATCHes and reads a group into `replies`.  *ok false: the error is
 * written. */
static loyalty_store_result_t
read_group(loyalty_api_call_t *call, loyalty_str_t id,
           loyalty_replies_t *replies, loyalty_group_t *group, bool *ok)
{
    const loyalty_program_t *program;
    loyalty_store_result_t result;

    *ok = false;
    result = loyalty_api_program(call, &program);
    if (result != LOYALTY_STORE_OK || program == NULL) {
        return result;
    }

    if (id.len >= LOYALTY_JOB_ID_SIZE) {
        loyalty_api_not_found(call, "group");
        return LOYALTY_STORE_OK;
    }

    loyalty_commands_reset(&call->session->commands);
    loyalty_api_watch(call, "g", id);
    loyalty_group_command(&call->scope, id, &call->session->commands);
    result = loyalty_api_read(call, replies);

    if (result == LOYALTY_STORE_OK) {
        *ok = loyalty_group_read(id, replies->list[1], group);
        if (!*ok) {
            loyalty_api_not_found(call, "group");
        }
    }

    return result;
}

/* False: the error is written. */
static bool
is_usable(loyalty_api_call_t *call, const loyalty_group_t *group)
{
    if (loyalty_group_expired(group, call->now)) {
        loyalty_api_error(call, 409, "expired", "the group has expired: make "
                          "a new one");
        return false;
    }

    if (!group->ready) {
        loyalty_api_error(call, 409, "building", "the group's members are "
                          "still being found: see its job");
        return false;
    }

    return true;
}

loyalty_store_result_t
loyalty_bulk_by_group(loyalty_api_call_t *call, loyalty_str_t id,
                      loyalty_bulk_pt action)
{
    loyalty_store_result_t result;
    loyalty_replies_t replies;
    loyalty_group_t group;
    bool ok;

    loyalty_replies_init(&replies);
    result = read_group(call, id, &replies, &group, &ok);
    if (result == LOYALTY_STORE_OK && ok && is_usable(call, &group)) {
        result = action(call, group.id);
    }
    loyalty_replies_free(&replies);

    return result;
}

/* The group of the path. */
static loyalty_store_result_t
act(loyalty_api_call_t *call, loyalty_bulk_pt action)
{
    return loyalty_bulk_by_group(call, call->segments[3], action);
}

static loyalty_store_result_t
give_points(loyalty_api_call_t *call, loyalty_str_t group)
{
    return loyalty_bulk_give(call, "points", group);
}

static loyalty_store_result_t
give_credits(loyalty_api_call_t *call, loyalty_str_t group)
{
    return loyalty_bulk_give(call, "credits", group);
}

loyalty_store_result_t
loyalty_api_group_points(loyalty_api_call_t *call)
{
    return act(call, give_points);
}

loyalty_store_result_t
loyalty_api_group_credits(loyalty_api_call_t *call)
{
    return act(call, give_credits);
}

loyalty_store_result_t
loyalty_api_group_reach(loyalty_api_call_t *call)
{
    return act(call, loyalty_bulk_reach);
}

loyalty_store_result_t
loyalty_api_group_broadcast(loyalty_api_call_t *call)
{
    return act(call, loyalty_bulk_broadcast);
}

loyalty_store_result_t
loyalty_api_group_export(loyalty_api_call_t *call)
{
    return act(call, loyalty_api_export_group);
}

/* {"name", "filter"}; false: the error is written. */
static bool
check_group(loyalty_api_call_t *call, loyalty_str_t *name, json_t **filter)
{
    json_t *text = json_object_get(call->body, "name");
    loyalty_problems_t problems;

    loyalty_problems_init(&problems, call->arena);
    *name = (loyalty_str_t){json_string_value(text), json_string_length(text)};
    *filter = json_object_get(call->body, "filter");

    if (name->len == 0 || name->len > LOYALTY_NAME_MAX) {
        loyalty_problem(&problems, "/name", "must be a text of 1 to %d bytes",
                        LOYALTY_NAME_MAX);
    }

    if (*filter == NULL) {
        loyalty_problem(&problems, "/filter", "is missing: a group is whom a "
                        "filter lets pass");
    } else {
        loyalty_recipients_check_filter(call, *filter, &problems);
    }

    if (problems.count != 0) {
        loyalty_api_problems(call, 422, "invalid", "the group is not valid",
                             problems.list, problems.count, "");
    }

    return problems.count == 0;
}

static loyalty_store_result_t
create(loyalty_api_call_t *call, loyalty_group_t *group, json_t *filter)
{
    loyalty_commands_t *commands = &call->session->commands;
    loyalty_job_order_t order = {
        .kind = "group",
        .id = group->job,
        .by = group->by,
        .now = call->now,
        .due = call->now,
        .total = -1,
    };
    char *text = json_dumps(filter, JSON_COMPACT | JSON_ENCODE_ANY);
    json_t *params = json_pack("{s:s%,s:O}", "group", group->id.data,
                               group->id.len, "filter", filter);
    loyalty_store_result_t result = LOYALTY_STORE_MEMORY;

    if (text != NULL && params != NULL) {
        group->filter = loyalty_str_from(text);
        order.params = params;
        loyalty_commands_reset(commands);
        loyalty_command(commands, "MULTI", 1);
        loyalty_group_create(group, &call->scope, commands);
        loyalty_job_create(&order, &call->scope, commands);

        snprintf(call->response->location, LOYALTY_API_HEADER_MAX,
                 "/v1/sites/%.*s/groups/%.*s", (int)call->scope.site.len,
                 call->scope.site.data, (int)group->id.len, group->id.data);
        loyalty_api_json(call, 202, loyalty_group_to_json(group, call->now));
        result = loyalty_api_commit(call);
    }

    json_decref(params);
    free(text);

    return result;
}

loyalty_store_result_t
loyalty_api_create_group(loyalty_api_call_t *call)
{
    char id[LOYALTY_JOB_ID_SIZE], job[LOYALTY_JOB_ID_SIZE];
    const loyalty_program_t *program;
    loyalty_store_result_t result;
    loyalty_group_t group = {.created_at = call->now, .count = -1};
    json_t *filter;

    result = loyalty_api_program(call, &program);
    if (result != LOYALTY_STORE_OK || program == NULL) {
        return result;
    }

    if (!check_group(call, &group.name, &filter)) {
        return LOYALTY_STORE_OK;
    }

    if (!loyalty_job_id(id) || !loyalty_job_id(job)) {
        return LOYALTY_STORE_MEMORY;
    }

    group.id = loyalty_str_from(id);
    group.job = loyalty_str_from(job);
    group.by = loyalty_str_from(call->who);

    return create(call, &group, filter);
}

loyalty_store_result_t
loyalty_api_get_group(loyalty_api_call_t *call)
{
    loyalty_store_result_t result;
    loyalty_replies_t replies;
    loyalty_group_t group;
    loyalty_instant_t at;
    bool ok;

    if (!loyalty_api_at(call, &at)) {
        return LOYALTY_STORE_OK;
    }

    loyalty_replies_init(&replies);
    result = read_group(call, call->segments[3], &replies, &group, &ok);
    if (result == LOYALTY_STORE_OK && ok) {
        loyalty_api_json(call, 200, loyalty_group_to_json(&group, at));
    }
    loyalty_replies_free(&replies);

    return result;
}

/* The group is gone at once; a job lets its members forget it.  What was asked
 * for before, a preset broadcast among it, has a list of its own. */
static loyalty_store_result_t
delete(loyalty_api_call_t *call, const loyalty_group_t *group)
{
    loyalty_commands_t *commands = &call->session->commands;
    char id[LOYALTY_JOB_ID_SIZE];
    const json_t *params;
    loyalty_job_order_t order = {
        .kind = "ungroup",
        .id = {id, LOYALTY_JOB_ID_SIZE - 1},
        .by = loyalty_str_from(call->who),
        .now = call->now,
        .due = call->now,
        .total = -1,
    };
    loyalty_store_result_t result;

    params = json_pack("{s:s%}", "group", group->id.data, group->id.len);
    if (!loyalty_job_id(id) || params == NULL) {
        json_decref((json_t *)params);
        return LOYALTY_STORE_MEMORY;
    }

    order.params = params;
    loyalty_commands_reset(commands);
    loyalty_command(commands, "MULTI", 1);
    if (!group->ready) {
        loyalty_api_write_cancel(call, group->job, NULL);
    }
    loyalty_recipients_write(call, group->id, order.id);
    loyalty_job_create(&order, &call->scope, commands);
    loyalty_api_command(call, "DEL", "g", group->id, 1);
    loyalty_arg_key(commands, &call->scope, "gm", group->id);
    loyalty_api_command(call, "ZREM", "x", loyalty_str("groups"), 1);
    loyalty_arg(commands, group->id);

    loyalty_api_no_content(call);
    result = loyalty_api_commit(call);
    json_decref((json_t *)params);

    return result;
}

loyalty_store_result_t
loyalty_api_delete_group(loyalty_api_call_t *call)
{
    loyalty_store_result_t result;
    loyalty_replies_t replies;
    loyalty_group_t group;
    bool ok;

    loyalty_replies_init(&replies);
    result = read_group(call, call->segments[3], &replies, &group, &ok);
    if (result == LOYALTY_STORE_OK && ok) {
        result = delete(call, &group);
    }
    loyalty_replies_free(&replies);

    return result;
}

static loyalty_store_result_t
show_groups(loyalty_api_call_t *call, const redisReply *list, size_t limit,
            loyalty_instant_t at)
{
    loyalty_store_result_t result;
    loyalty_replies_t replies;
    loyalty_str_t *ids, next;
    loyalty_group_t group;
    json_t *items;
    size_t i, n;

    result = loyalty_api_ids(call, list, limit, &ids, &n, &next);
    if (result != LOYALTY_STORE_OK) {
        return result;
    }

    loyalty_replies_init(&replies);
    loyalty_commands_reset(&call->session->commands);
    for (i = 0; i < n; i++) {
        loyalty_group_command(&call->scope, ids[i], &call->session->commands);
    }
    if (n != 0) {
        result = loyalty_api_read(call, &replies);
    }

    if (result == LOYALTY_STORE_OK) {
        items = json_array();
        for (i = 0; i < n; i++) {
            if (loyalty_group_read(ids[i], replies.list[i], &group)) {
                json_array_append_new(items,
                                      loyalty_group_to_json(&group, at));
            }
        }
        loyalty_api_list(call, "groups", items, next);
    }
    loyalty_replies_free(&replies);

    return result;
}

loyalty_store_result_t
loyalty_api_list_groups(loyalty_api_call_t *call)
{
    loyalty_commands_t *commands = &call->session->commands;
    const loyalty_program_t *program;
    loyalty_store_result_t result;
    loyalty_replies_t ids;
    loyalty_instant_t at;
    int64_t rank = 0;
    size_t limit;

    if (!loyalty_api_limit(call, &limit) || !loyalty_api_at(call, &at)) {
        return LOYALTY_STORE_OK;
    }

    result = loyalty_api_program(call, &program);
    if (result == LOYALTY_STORE_OK && program != NULL) {
        result = loyalty_api_rank(call, "x", loyalty_str("groups"), &rank);
    }
    if (result != LOYALTY_STORE_OK || call->response->status != 0) {
        return result;
    }

    loyalty_commands_reset(commands);
    loyalty_api_command(call, "ZREVRANGE", "x", loyalty_str("groups"), 2);
    loyalty_arg_int(commands, rank);
    loyalty_arg_int(commands, rank + (int64_t)limit);
    loyalty_replies_init(&ids);
    result = loyalty_api_read(call, &ids);
    if (result == LOYALTY_STORE_OK) {
        result = show_groups(call, ids.list[0], limit, at);
    }
    loyalty_replies_free(&ids);

    return result;
}

/* Ids only: a group may have a million. */
static loyalty_store_result_t
show_members(loyalty_api_call_t *call, loyalty_str_t group, size_t limit)
{
    loyalty_str_t cursor = loyalty_api_query(call, "cursor");
    loyalty_str_t *ids = NULL, next = loyalty_str_null;
    loyalty_store_result_t result;
    loyalty_replies_t replies;
    json_t *items;
    char *start;
    size_t i, n = 0;

    start = loyalty_alloc(call->arena, cursor.len + 2);
    if (start == NULL) {
        return LOYALTY_STORE_MEMORY;
    }
    start[0] = cursor.len != 0 ? '(' : '-';
    if (cursor.len != 0) {
        memcpy(start + 1, cursor.data, cursor.len);
    }

    loyalty_replies_init(&replies);
    result = loyalty_api_range(call, "ZRANGEBYLEX", "gm", group,
                               (loyalty_str_t){start, cursor.len + 1}, "+",
                               limit, &replies);
    if (result == LOYALTY_STORE_OK) {
        result = loyalty_api_ids(call, replies.list[0], limit, &ids, &n,
                                 &next);
    }
    if (result == LOYALTY_STORE_OK) {
        items = json_array();
        for (i = 0; i < n; i++) {
            json_array_append_new(items,
                                  json_stringn(ids[i].data, ids[i].len));
        }
        loyalty_api_list(call, "members", items, next);
    }
    loyalty_replies_free(&replies);

    return result;
}

loyalty_store_result_t
loyalty_api_group_members(loyalty_api_call_t *call)
{
    loyalty_store_result_t result;
    loyalty_replies_t replies;
    loyalty_group_t group;
    size_t limit;
    bool ok;

    if (!loyalty_api_limit(call, &limit)) {
        return LOYALTY_STORE_OK;
    }

    loyalty_replies_init(&replies);
    result = read_group(call, call->segments[3], &replies, &group, &ok);
    if (result == LOYALTY_STORE_OK && ok) {
        result = show_members(call, group.id, limit);
    }
    loyalty_replies_free(&replies);

    return result;
}
