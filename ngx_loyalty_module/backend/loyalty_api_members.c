/*
 * Members: the profile, the list by id, the member's orders and ledger.
 */

#include "loyalty_api_call.h"
#include "loyalty_member_edit.h"

bool
loyalty_api_member_id(loyalty_api_call_t *call, loyalty_str_t *id)
{
    *id = call->segments[3];

    if (loyalty_member_id_check(*id) != LOYALTY_OK) {
        loyalty_api_not_found(call, "member");
        return false;
    }

    return true;
}

loyalty_store_result_t
loyalty_api_read_member(loyalty_api_call_t *call, loyalty_str_t id,
                        loyalty_replies_t *replies, loyalty_member_t *member,
                        bool *found)
{
    loyalty_store_result_t result;
    loyalty_str_t bytes;

    *found = false;
    loyalty_commands_reset(&call->session->commands);
    loyalty_api_command(call, "GET", "m", id, 0);
    result = loyalty_api_read(call, replies);
    if (result != LOYALTY_STORE_OK) {
        return result;
    }

    if (!loyalty_reply_str(replies->list[0], &bytes)) {
        return LOYALTY_STORE_MALFORMED;
    }

    if (bytes.data == NULL) {
        loyalty_member_init(member, id);
        return LOYALTY_STORE_OK;
    }

    *found = true;
    return loyalty_member_decode(bytes, call->arena, member) == LOYALTY_OK
               ? LOYALTY_STORE_OK : LOYALTY_STORE_MALFORMED;
}

loyalty_store_result_t
loyalty_api_load_member(loyalty_api_call_t *call, loyalty_str_t id,
                        const loyalty_commands_t *reads,
                        loyalty_member_slot_t **slot)
{
    loyalty_member_change_t *change = &call->session->change;
    loyalty_store_result_t result;

    *slot = NULL;
    call->session->watching = true;
    result = loyalty_member_load(change, &call->scope, &id, 1, reads);
    if (result != LOYALTY_STORE_OK) {
        return result;
    }

    if (change->program == NULL) {
        loyalty_api_not_found(call, "site");
        return LOYALTY_STORE_OK;
    }

    *slot = &change->list[0];
    return (*slot)->corrupt ? LOYALTY_STORE_MALFORMED : LOYALTY_STORE_OK;
}

void
loyalty_api_begin(loyalty_api_call_t *call)
{
    loyalty_commands_t *commands = &call->session->commands;

    loyalty_commands_reset(commands);
    loyalty_command(commands, "MULTI", 1);
    loyalty_member_change_write(&call->session->change, commands);
}

/* Applies the body to the member; false: the response is written. */
static bool
edit_member(loyalty_api_call_t *call, loyalty_member_t *member)
{
    loyalty_problems_t problems;
    loyalty_status_t status;
    size_t n;

    loyalty_problems_init(&problems, call->arena);
    status = loyalty_member_edit(member, call->body, call->arena, &problems);

    switch (status) {
    case LOYALTY_OK:
        return true;
    case LOYALTY_ERROR_REFUSED:
        loyalty_api_error(call, 409, "deleted", "the member is deleted");
        return false;
    case LOYALTY_ERROR_MEMORY:
        loyalty_api_error(call, 500, "memory", "out of memory");
        return false;
    default:
        n = problems.count < LOYALTY_PROBLEMS_MAX ? problems.count
                                                  : LOYALTY_PROBLEMS_MAX;
        loyalty_api_problems(call, 422, "invalid", "the member is not valid",
                             problems.list, n, "");
        return false;
    }
}

static void
show_member(loyalty_api_call_t *call, int status,
            const loyalty_member_t *member, const loyalty_program_t *program,
            loyalty_instant_t at)
{
    loyalty_api_json(call, status,
                     loyalty_member_to_json(member, program, at));
}

/* The changed member is the answer. */
static loyalty_store_result_t
commit_member(loyalty_api_call_t *call, int status,
              loyalty_member_slot_t *slot)
{
    slot->changed = true;
    show_member(call, status, &slot->member, call->session->change.program,
                call->now);
    loyalty_api_begin(call);

    return loyalty_api_commit(call);
}

loyalty_store_result_t
loyalty_api_create_member(loyalty_api_call_t *call)
{
    const json_t *value = json_object_get(call->body, "id");
    loyalty_store_result_t result;
    loyalty_member_slot_t *slot;
    loyalty_str_t id;

    id = (loyalty_str_t){json_string_value(value), json_string_length(value)};
    if (loyalty_member_id_check(id) != LOYALTY_OK) {
        loyalty_api_problem(call, "/id", "must be 1 to 128 bytes without "
                            "control characters");
        return LOYALTY_STORE_OK;
    }

    result = loyalty_api_load_member(call, id, NULL, &slot);
    if (result != LOYALTY_STORE_OK || slot == NULL) {
        return result;
    }

    if (!slot->fresh) {
        loyalty_api_error(call, 409, "exists", "there is such a member");
        return LOYALTY_STORE_OK;
    }

    slot->member.registered = true;
    slot->member.signed_up_at = call->now;

    return edit_member(call, &slot->member) ? commit_member(call, 201, slot)
                                            : LOYALTY_STORE_OK;
}

/* ?at= or now; false: the error is written. */
static bool
instant_asked(loyalty_api_call_t *call, loyalty_instant_t *at)
{
    loyalty_str_t text = loyalty_api_query(call, "at");

    *at = call->now;

    if (text.data == NULL || loyalty_instant_parse(text, at) == LOYALTY_OK) {
        return true;
    }

    loyalty_api_error(call, 422, "invalid_at",
                      "at is an instant as RFC 3339 has it");
    return false;
}

loyalty_store_result_t
loyalty_api_get_member(loyalty_api_call_t *call)
{
    const loyalty_program_t *program;
    loyalty_store_result_t result;
    loyalty_replies_t replies;
    loyalty_member_t member;
    loyalty_instant_t at;
    loyalty_str_t id;
    bool found;

    if (!loyalty_api_member_id(call, &id) || !instant_asked(call, &at)) {
        return LOYALTY_STORE_OK;
    }

    result = loyalty_api_program(call, &program);
    if (result != LOYALTY_STORE_OK || program == NULL) {
        return result;
    }

    loyalty_replies_init(&replies);
    result = loyalty_api_read_member(call, id, &replies, &member,
                                     &found);

    if (result == LOYALTY_STORE_OK) {
        if (found && !member.erased) {
            show_member(call, 200, &member, program, at);
        } else {
            loyalty_api_not_found(call, "member");
        }
    }

    loyalty_replies_free(&replies);

    return result;
}

loyalty_store_result_t
loyalty_api_patch_member(loyalty_api_call_t *call)
{
    loyalty_store_result_t result;
    loyalty_member_slot_t *slot;
    loyalty_str_t id;

    if (!loyalty_api_member_id(call, &id)) {
        return LOYALTY_STORE_OK;
    }

    if (json_object_get(call->body, "id") != NULL) {
        loyalty_api_problem(call, "/id", "a member keeps its id");
        return LOYALTY_STORE_OK;
    }

    result = loyalty_api_load_member(call, id, NULL, &slot);
    if (result != LOYALTY_STORE_OK || slot == NULL) {
        return result;
    }

    if (slot->fresh || slot->member.erased) {
        loyalty_api_not_found(call, "member");
        return LOYALTY_STORE_OK;
    }

    return edit_member(call, &slot->member) ? commit_member(call, 200, slot)
                                            : LOYALTY_STORE_OK;
}

loyalty_store_result_t
loyalty_api_delete_member(loyalty_api_call_t *call)
{
    loyalty_str_t erase = loyalty_api_query(call, "erase"), id;
    loyalty_store_result_t result;
    loyalty_member_slot_t *slot;
    bool erased = loyalty_str_eq(erase, loyalty_str("true"));

    if (!loyalty_api_member_id(call, &id)) {
        return LOYALTY_STORE_OK;
    }

    if (erase.data != NULL && !erased
        && !loyalty_str_eq(erase, loyalty_str("false"))) {
        loyalty_api_error(call, 422, "invalid_erase",
                          "erase is true or false");
        return LOYALTY_STORE_OK;
    }

    result = loyalty_api_load_member(call, id, NULL, &slot);
    if (result != LOYALTY_STORE_OK || slot == NULL) {
        return result;
    }

    if (slot->fresh
        || !loyalty_member_delete(&slot->member, erased, call->now)) {
        loyalty_api_not_found(call, "member");
        return LOYALTY_STORE_OK;
    }

    slot->changed = true;
    loyalty_api_no_content(call);
    loyalty_api_begin(call);

    return loyalty_api_commit(call);
}

/* The ids behind the cursor, one more than `limit` when there are more. */
static loyalty_store_result_t
read_ids(loyalty_api_call_t *call, size_t limit, loyalty_replies_t *replies)
{
    loyalty_commands_t *commands = &call->session->commands;
    loyalty_str_t cursor = loyalty_api_query(call, "cursor"), start;
    loyalty_store_result_t result;
    char *text;

    start = loyalty_str("-");
    if (cursor.len != 0) {
        text = loyalty_alloc(call->arena, cursor.len + 1);
        if (text == NULL) {
            return LOYALTY_STORE_MEMORY;
        }
        text[0] = '(';
        memcpy(text + 1, cursor.data, cursor.len);
        start = (loyalty_str_t){text, cursor.len + 1};
    }

    loyalty_commands_reset(commands);
    loyalty_api_command(call, "ZRANGEBYLEX", "mi", loyalty_str_null, 5);
    loyalty_arg(commands, start);
    loyalty_arg_text(commands, "+");
    loyalty_arg_text(commands, "LIMIT");
    loyalty_arg_int(commands, 0);
    loyalty_arg_int(commands, (int64_t)limit + 1);
    result = loyalty_api_read(call, replies);

    if (result == LOYALTY_STORE_OK
        && replies->list[0]->type != REDIS_REPLY_ARRAY) {
        result = LOYALTY_STORE_MALFORMED;
    }

    return result;
}

/* MGET of the ids (a reply's strings), as many as there are. */
static loyalty_store_result_t
read_values(loyalty_api_call_t *call, const char *kind, const redisReply *ids,
            size_t n, loyalty_replies_t *replies)
{
    loyalty_commands_t *commands = &call->session->commands;
    loyalty_store_result_t result;
    loyalty_str_t id;
    size_t i;

    loyalty_commands_reset(commands);
    loyalty_command(commands, "MGET", 1 + n);
    for (i = 0; i < n; i++) {
        if (!loyalty_reply_str(ids->element[i], &id)) {
            return LOYALTY_STORE_MALFORMED;
        }
        loyalty_arg_key(commands, &call->scope, kind, id);
    }

    result = loyalty_api_read(call, replies);

    return result == LOYALTY_STORE_OK
                   && !loyalty_reply_array(replies->list[0], n)
               ? LOYALTY_STORE_MALFORMED : result;
}

static loyalty_store_result_t
show_members(loyalty_api_call_t *call, const loyalty_program_t *program,
             const redisReply *ids, size_t limit)
{
    size_t i, n = ids->elements < limit ? ids->elements : limit;
    loyalty_store_result_t result = LOYALTY_STORE_OK;
    loyalty_replies_t values;
    loyalty_member_t member;
    loyalty_str_t bytes;
    json_t *items = json_array();

    loyalty_replies_init(&values);
    if (n != 0) {
        result = read_values(call, "m", ids, n, &values);
    }

    for (i = 0; i < n && result == LOYALTY_STORE_OK; i++) {
        if (!loyalty_reply_str(values.list[0]->element[i], &bytes)
            || (bytes.data != NULL
                && loyalty_member_decode(bytes, call->arena, &member)
                       != LOYALTY_OK)) {
            result = LOYALTY_STORE_MALFORMED;
        } else if (bytes.data != NULL) {
            json_array_append_new(items,
                                  loyalty_member_to_json(&member, program,
                                                         call->now));
        }
    }

    if (result == LOYALTY_STORE_OK) {
        loyalty_api_list(call, "members", json_incref(items), ids, limit);
    }

    json_decref(items);
    loyalty_replies_free(&values);

    return result;
}

loyalty_store_result_t
loyalty_api_list_members(loyalty_api_call_t *call)
{
    const loyalty_program_t *program;
    loyalty_store_result_t result;
    loyalty_replies_t ids;
    size_t limit;

    if (!loyalty_api_limit(call, &limit)) {
        return LOYALTY_STORE_OK;
    }

    result = loyalty_api_program(call, &program);
    if (result != LOYALTY_STORE_OK || program == NULL) {
        return result;
    }

    loyalty_replies_init(&ids);
    result = read_ids(call, limit, &ids);
    if (result == LOYALTY_STORE_OK) {
        result = show_members(call, program, ids.list[0], limit);
    }
    loyalty_replies_free(&ids);

    return result;
}

static loyalty_store_result_t
show_orders(loyalty_api_call_t *call, const redisReply *ids, size_t limit)
{
    size_t i, n = ids->elements < limit ? ids->elements : limit;
    loyalty_store_result_t result = LOYALTY_STORE_OK;
    loyalty_replies_t values;
    loyalty_order_t *order;
    loyalty_str_t bytes;
    json_t *items = json_array();

    loyalty_replies_init(&values);
    if (n != 0) {
        result = read_values(call, "o", ids, n, &values);
    }

    for (i = 0; i < n && result == LOYALTY_STORE_OK; i++) {
        if (!loyalty_reply_str(values.list[0]->element[i], &bytes)
            || (bytes.data != NULL
                && loyalty_order_decode(bytes, call->arena, &order)
                       != LOYALTY_OK)) {
            result = LOYALTY_STORE_MALFORMED;
        } else if (bytes.data != NULL) {
            json_array_append_new(items, loyalty_order_to_json(order));
        }
    }

    if (result == LOYALTY_STORE_OK) {
        loyalty_api_list(call, "orders", json_incref(items), ids, limit);
    }

    json_decref(items);
    loyalty_replies_free(&values);

    return result;
}

/* Does the member exist?  No: 404 is written. */
static loyalty_store_result_t
check_member(loyalty_api_call_t *call, loyalty_str_t id, bool *exists)
{
    loyalty_store_result_t result;
    loyalty_replies_t replies;
    loyalty_member_t member;

    loyalty_replies_init(&replies);
    result = loyalty_api_read_member(call, id, &replies, &member,
                                     exists);
    if (result == LOYALTY_STORE_OK && (!*exists || member.erased)) {
        *exists = false;
        loyalty_api_not_found(call, "member");
    }
    loyalty_replies_free(&replies);

    return result;
}

loyalty_store_result_t
loyalty_api_member_orders(loyalty_api_call_t *call)
{
    loyalty_store_result_t result;
    loyalty_replies_t ids;
    loyalty_str_t id;
    int64_t rank = 0;
    size_t limit;
    bool exists;

    if (!loyalty_api_member_id(call, &id) || !loyalty_api_limit(call, &limit)) {
        return LOYALTY_STORE_OK;
    }

    result = check_member(call, id, &exists);
    if (result == LOYALTY_STORE_OK && exists) {
        result = loyalty_api_rank(call, "mo", id, &rank);
    }
    if (result != LOYALTY_STORE_OK || call->response->status != 0) {
        return result;
    }

    loyalty_commands_reset(&call->session->commands);
    loyalty_api_command(call, "ZREVRANGE", "mo", id, 2);
    loyalty_arg_int(&call->session->commands, rank);
    loyalty_arg_int(&call->session->commands, rank + (int64_t)limit);
    loyalty_replies_init(&ids);
    result = loyalty_api_read(call, &ids);

    if (result == LOYALTY_STORE_OK) {
        result = ids.list[0]->type == REDIS_REPLY_ARRAY
                     ? show_orders(call, ids.list[0], limit)
                     : LOYALTY_STORE_MALFORMED;
    }

    loyalty_replies_free(&ids);

    return result;
}

/* An entry of the ledger's stream; its fields as store/ writes them. */
static json_t *
ledger_entry(const redisReply *fields)
{
    static const struct {
        const char *field, *name;
        enum { TEXT, NUMBER, INSTANT } kind;
    } known[] = {
        {"n", "seq", NUMBER},         {"k", "kind", TEXT},
        {"a", "amount", NUMBER},      {"t", "at", INSTANT},
        {"x", "expires_at", INSTANT}, {"l", "lot_id", TEXT},
        {"o", "order_id", TEXT},      {"f", "offer_id", TEXT},
        {"g", "group_id", TEXT},      {"b", "by", TEXT},
        {"r", "reason", TEXT},
    };
    json_t *json = json_object();
    loyalty_str_t name, value;
    int64_t number;
    size_t i, k;

    for (i = 0; fields->type == REDIS_REPLY_ARRAY && i + 1 < fields->elements;
         i += 2) {
        if (!loyalty_reply_str(fields->element[i], &name)
            || !loyalty_reply_str(fields->element[i + 1], &value)) {
            continue;
        }

        for (k = 0; k < sizeof(known) / sizeof(known[0]); k++) {
            if (!loyalty_str_eq(name, loyalty_str_from(known[k].field))) {
                continue;
            }
            if (known[k].kind == TEXT) {
                loyalty_api_set_str(json, known[k].name, value);
            } else if (loyalty_str_int(value, &number)) {
                if (known[k].kind == NUMBER) {
                    json_object_set_new(json, known[k].name,
                                        json_integer(number));
                } else {
                    loyalty_api_set_instant(json, known[k].name, number);
                }
            }
        }
    }

    return json;
}

static void
show_ledger(loyalty_api_call_t *call, const redisReply *list, size_t limit)
{
    json_t *json = json_object(), *items = json_array();
    const redisReply *entry;
    loyalty_str_t last = loyalty_str_null;
    size_t i;

    for (i = 0; i < list->elements && i < limit; i++) {
        entry = list->element[i];
        if (loyalty_reply_array(entry, 2)
            && loyalty_reply_str(entry->element[0], &last)) {
            json_array_append_new(items, ledger_entry(entry->element[1]));
        }
    }

    json_object_set_new(json, "entries", items);
    if (list->elements > limit) {
        loyalty_api_set_str(json, "next_cursor", last);
    }

    loyalty_api_json(call, 200, json);
}

/* Newest first; ?kind=points (the default) or credits. */
loyalty_store_result_t
loyalty_api_member_ledger(loyalty_api_call_t *call)
{
    loyalty_commands_t *commands = &call->session->commands;
    loyalty_str_t cursor = loyalty_api_query(call, "cursor"), id, kind, end;
    loyalty_store_result_t result;
    loyalty_replies_t replies;
    size_t limit;
    char *text;
    bool exists, credits;

    if (!loyalty_api_member_id(call, &id) || !loyalty_api_limit(call, &limit)) {
        return LOYALTY_STORE_OK;
    }

    kind = loyalty_api_query(call, "kind");
    credits = loyalty_str_eq(kind, loyalty_str("credits"));
    if (kind.data != NULL && !credits
        && !loyalty_str_eq(kind, loyalty_str("points"))) {
        loyalty_api_error(call, 422, "invalid_kind",
                          "kind is points or credits");
        return LOYALTY_STORE_OK;
    }

    result = check_member(call, id, &exists);
    if (result != LOYALTY_STORE_OK || !exists) {
        return result;
    }

    end = loyalty_str("+");
    if (cursor.len != 0) {
        text = loyalty_alloc(call->arena, cursor.len + 1);
        if (text == NULL) {
            return LOYALTY_STORE_MEMORY;
        }
        text[0] = '(';
        memcpy(text + 1, cursor.data, cursor.len);
        end = (loyalty_str_t){text, cursor.len + 1};
    }

    loyalty_commands_reset(commands);
    loyalty_api_command(call, "XREVRANGE", credits ? "c" : "l", id, 4);
    loyalty_arg(commands, end);
    loyalty_arg_text(commands, "-");
    loyalty_arg_text(commands, "COUNT");
    loyalty_arg_int(commands, (int64_t)limit + 1);
    loyalty_replies_init(&replies);
    result = loyalty_api_read(call, &replies);

    if (result == LOYALTY_STORE_OK) {
        if (replies.list[0]->type == REDIS_REPLY_ARRAY) {
            show_ledger(call, replies.list[0], limit);
        } else {
            loyalty_api_error(call, 422, "invalid_cursor",
                              "the cursor is not one of this list");
        }
    }

    loyalty_replies_free(&replies);

    return result;
}
