/*
 * What a member did and was given: orders and ledgers, newest first.
 */

#include "loyalty_api_call.h"

static loyalty_store_result_t
show_orders(loyalty_api_call_t *call, const redisReply *reply, size_t limit)
{
    loyalty_store_result_t result;
    loyalty_str_t *ids, next;
    size_t i, n;
    loyalty_replies_t values;
    loyalty_order_t *order;
    loyalty_str_t bytes;
    json_t *items = json_array();

    loyalty_replies_init(&values);
    result = loyalty_api_ids(call, reply, limit, &ids, &n, &next);
    if (result == LOYALTY_STORE_OK && n != 0) {
        result = loyalty_api_values(call, "o", ids, n, &values);
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
        loyalty_api_list(call, "orders", json_incref(items), next);
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
