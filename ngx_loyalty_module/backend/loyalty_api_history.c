/*
 * What a member did and was given: orders and consent, newest first.
 */

#include "loyalty_api_history.h"

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

typedef struct {
    const char *field, *name;
    enum { TEXT, NUMBER, INSTANT, GIVEN } kind;
} field_t;

/* The fields of a ledger's stream and of consent's, as store/ writes them. */
static const field_t entry_fields[] = {
    {"n", "seq", NUMBER},         {"k", "kind", TEXT},
    {"a", "amount", NUMBER},      {"t", "at", INSTANT},
    {"x", "expires_at", INSTANT}, {"l", "lot_id", TEXT},
    {"o", "order_id", TEXT},      {"f", "offer_id", TEXT},
    {"g", "group_id", TEXT},      {"c", "channel", TEXT},
    {"v", "given", GIVEN},        {"b", "by", TEXT},
    {"r", "reason", TEXT},        {"s", "source", TEXT},
    {NULL, NULL, TEXT},
};

/* Those of a message that are about the person. */
static const field_t message_fields[] = {
    {"s", "state", TEXT},         {"r", "rule_id", TEXT},
    {"o", "order_id", TEXT},      {"c", "channel", TEXT},
    {"a", "created_at", INSTANT}, {"t", "sent_at", INSTANT},
    {"k", "code", TEXT},          {"p", "opens", NUMBER},
    {"l", "clicks", NUMBER},      {"u", "unsubscribed", NUMBER},
    {NULL, NULL, TEXT},
};

static void
show_field(const field_t *fields, json_t *json, loyalty_str_t name,
           loyalty_str_t value)
{
    int64_t number;
    size_t i;

    for (i = 0; fields[i].field != NULL; i++) {
        if (!loyalty_str_eq(name, loyalty_str_from(fields[i].field))) {
            continue;
        }
        if (fields[i].kind == TEXT) {
            loyalty_api_set_str(json, fields[i].name, value);
        } else if (fields[i].kind == GIVEN) {
            json_object_set_new(
                json, fields[i].name,
                json_boolean(loyalty_str_eq(value, loyalty_str("given"))));
        } else if (loyalty_str_int(value, &number)) {
            if (fields[i].kind == NUMBER) {
                json_object_set_new(json, fields[i].name,
                                    json_integer(number));
            } else {
                loyalty_api_set_instant(json, fields[i].name, number);
            }
        }
    }
}

/* The instant in a stream's id, where no field says another. */
static loyalty_instant_t
instant_of(loyalty_str_t id)
{
    const char *dash = memchr(id.data, '-', id.len);
    int64_t at;

    return dash != NULL
                   && loyalty_str_int((loyalty_str_t){
                          id.data, (size_t)(dash - id.data)}, &at)
               ? at : LOYALTY_UNKNOWN;
}

static json_t *
show_fields(const field_t *fields, const redisReply *pairs)
{
    json_t *json = json_object();
    loyalty_str_t name, value;
    size_t i;

    for (i = 0; pairs->type == REDIS_REPLY_ARRAY && i + 1 < pairs->elements;
         i += 2) {
        if (loyalty_reply_str(pairs->element[i], &name)
            && loyalty_reply_str(pairs->element[i + 1], &value)) {
            show_field(fields, json, name, value);
        }
    }

    return json;
}

json_t *
loyalty_api_show_entry(const redisReply *entry, loyalty_str_t *id)
{
    json_t *json;

    if (!loyalty_reply_array(entry, 2)
        || !loyalty_reply_str(entry->element[0], id)) {
        return NULL;
    }

    json = show_fields(entry_fields, entry->element[1]);
    if (json_object_get(json, "at") == NULL) {
        loyalty_api_set_instant(json, "at", instant_of(*id));
    }
    return json;
}

/* The entries of a stream's reply, `limit` at most; *last is the id of the
 * last one shown. */
static json_t *
show_entries(const redisReply *list, size_t limit, loyalty_str_t *last)
{
    json_t *items = json_array(), *json;
    size_t i;

    for (i = 0; i < list->elements && i < limit; i++) {
        json = loyalty_api_show_entry(list->element[i], last);
        if (json != NULL) {
            json_array_append_new(items, json);
        }
    }

    return items;
}

/* One page of a stream of the member's, newest first. */
static loyalty_store_result_t
show_stream(loyalty_api_call_t *call, const char *kind, loyalty_str_t id,
            size_t limit)
{
    loyalty_commands_t *commands = &call->session->commands;
    loyalty_str_t cursor = loyalty_api_query(call, "cursor"), end, last;
    loyalty_store_result_t result;
    loyalty_replies_t replies;
    json_t *items;
    char *text;

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
    loyalty_api_command(call, "XREVRANGE", kind, id, 4);
    loyalty_arg(commands, end);
    loyalty_arg_text(commands, "-");
    loyalty_arg_text(commands, "COUNT");
    loyalty_arg_int(commands, (int64_t)limit + 1);
    loyalty_replies_init(&replies);
    result = loyalty_api_read(call, &replies);

    if (result == LOYALTY_STORE_OK) {
        if (replies.list[0]->type == REDIS_REPLY_ARRAY) {
            last = loyalty_str_null;
            items = show_entries(replies.list[0], limit, &last);
            loyalty_api_list(call, "entries", items,
                             replies.list[0]->elements > limit
                                 ? last : loyalty_str_null);
        } else {
            loyalty_api_error(call, 422, "invalid_cursor",
                              "the cursor is not one of this list");
        }
    }

    loyalty_replies_free(&replies);

    return result;
}

/* Who consented to which channel, when and by what way; newest first. */
loyalty_store_result_t
loyalty_api_member_consents(loyalty_api_call_t *call)
{
    loyalty_store_result_t result;
    loyalty_str_t id;
    size_t limit;
    bool exists;

    if (!loyalty_api_member_id(call, &id) || !loyalty_api_limit(call, &limit)) {
        return LOYALTY_STORE_OK;
    }

    result = check_member(call, id, &exists);

    return result == LOYALTY_STORE_OK && exists
               ? show_stream(call, "ch", id, limit) : result;
}

/* What the export reads of a member, in the order of the replies. */
enum {
    EXPORT_MEMBER,
    EXPORT_CONSENTS,
    EXPORT_POINTS,
    EXPORT_CREDITS,
    EXPORT_ORDERS,
    EXPORT_PRODUCTS,
    EXPORT_MESSAGES,
    EXPORT_READS
};

static void
command_export(loyalty_api_call_t *call, loyalty_str_t id)
{
    static const struct {
        const char *name, *kind;
        size_t more;
    } reads[EXPORT_READS] = {
        [EXPORT_MEMBER] = {"GET", "m", 0},
        [EXPORT_CONSENTS] = {"XRANGE", "ch", 2},
        [EXPORT_POINTS] = {"XRANGE", "l", 2},
        [EXPORT_CREDITS] = {"XRANGE", "c", 2},
        [EXPORT_ORDERS] = {"ZRANGE", "mo", 2},
        [EXPORT_PRODUCTS] = {"HGETALL", "h", 0},
        [EXPORT_MESSAGES] = {"ZRANGE", "mm", 2},
    };
    loyalty_commands_t *commands = &call->session->commands;
    size_t i;

    loyalty_commands_reset(commands);
    for (i = 0; i < EXPORT_READS; i++) {
        loyalty_api_command(call, reads[i].name, reads[i].kind, id,
                            reads[i].more);
        if (reads[i].more != 0) {
            loyalty_arg_text(commands, reads[i].name[0] == 'X' ? "-" : "0");
            loyalty_arg_text(commands, reads[i].name[0] == 'X' ? "+" : "-1");
        }
    }
}

/* Units ordered, by SKU. */
static json_t *
show_products(const redisReply *reply)
{
    json_t *json = json_object();
    loyalty_str_t sku, units;
    char key[LOYALTY_SKU_MAX + 1];
    int64_t number;
    size_t i;

    for (i = 0; reply->type == REDIS_REPLY_ARRAY && i + 1 < reply->elements;
         i += 2) {
        if (loyalty_reply_str(reply->element[i], &sku)
            && loyalty_reply_str(reply->element[i + 1], &units)
            && sku.len < sizeof(key) && loyalty_str_int(units, &number)) {
            memcpy(key, sku.data, sku.len);
            key[sku.len] = '\0';
            json_object_set_new(json, key, json_integer(number));
        }
    }

    return json;
}

/* The orders and the messages, which the first read only names. */
static loyalty_store_result_t
export_named(loyalty_api_call_t *call, const redisReply *orders,
             const redisReply *messages, json_t *json)
{
    json_t *list = json_array(), *sent = json_array();
    loyalty_store_result_t result = LOYALTY_STORE_OK;
    loyalty_commands_t *commands = &call->session->commands;
    loyalty_replies_t replies;
    loyalty_order_t *order;
    loyalty_str_t text;
    size_t i;

    json_object_set_new(json, "orders", list);
    json_object_set_new(json, "messages", sent);
    if (orders->type != REDIS_REPLY_ARRAY
        || messages->type != REDIS_REPLY_ARRAY) {
        return LOYALTY_STORE_MALFORMED;
    }

    loyalty_commands_reset(commands);
    for (i = 0; i < orders->elements; i++) {
        loyalty_reply_str(orders->element[i], &text);
        loyalty_api_command(call, "GET", "o", text, 0);
    }
    for (i = 0; i < messages->elements; i++) {
        loyalty_reply_str(messages->element[i], &text);
        loyalty_api_command(call, "HGETALL", "mg", text, 0);
    }

    loyalty_replies_init(&replies);
    if (commands->count != 0) {
        result = loyalty_api_read(call, &replies);
    }

    for (i = 0; result == LOYALTY_STORE_OK && i < replies.count; i++) {
        if (i >= orders->elements) {
            json_array_append_new(sent, show_fields(message_fields,
                                                    replies.list[i]));
        } else if (loyalty_reply_str(replies.list[i], &text)
                   && text.data != NULL
                   && loyalty_order_decode(text, call->arena, &order)
                          == LOYALTY_OK) {
            json_array_append_new(list, loyalty_order_to_json(order));
        }
    }

    loyalty_replies_free(&replies);

    return result;
}

static loyalty_store_result_t
export_member(loyalty_api_call_t *call, const loyalty_program_t *program,
              const loyalty_replies_t *replies)
{
    loyalty_store_result_t result;
    loyalty_str_t bytes, last;
    loyalty_member_t member;
    json_t *json;

    if (!loyalty_reply_str(replies->list[EXPORT_MEMBER], &bytes)) {
        return LOYALTY_STORE_MALFORMED;
    }

    if (bytes.data != NULL
        && loyalty_member_decode(bytes, call->arena, &member) != LOYALTY_OK) {
        return LOYALTY_STORE_MALFORMED;
    }

    if (bytes.data == NULL || member.erased) {
        loyalty_api_not_found(call, "member");
        return LOYALTY_STORE_OK;
    }

    json = json_object();
    json_object_set_new(json, "member",
                        loyalty_member_to_json(&member, program, call->now));
    json_object_set_new(json, "consents",
                        show_entries(replies->list[EXPORT_CONSENTS], SIZE_MAX,
                                     &last));
    json_object_set_new(json, "points",
                        show_entries(replies->list[EXPORT_POINTS], SIZE_MAX,
                                     &last));
    json_object_set_new(json, "credits",
                        show_entries(replies->list[EXPORT_CREDITS], SIZE_MAX,
                                     &last));
    json_object_set_new(json, "products",
                        show_products(replies->list[EXPORT_PRODUCTS]));
    result = export_named(call, replies->list[EXPORT_ORDERS],
                          replies->list[EXPORT_MESSAGES], json);

    if (result == LOYALTY_STORE_OK) {
        loyalty_api_json(call, 200, json_incref(json));
    }
    json_decref(json);

    return result;
}

/* All that is stored of a person (GDPR, articles 15 and 20). */
loyalty_store_result_t
loyalty_api_member_export(loyalty_api_call_t *call)
{
    const loyalty_program_t *program;
    loyalty_store_result_t result;
    loyalty_replies_t replies;
    loyalty_str_t id;

    if (!loyalty_api_member_id(call, &id)) {
        return LOYALTY_STORE_OK;
    }

    result = loyalty_api_program(call, &program);
    if (result != LOYALTY_STORE_OK || program == NULL) {
        return result;
    }

    loyalty_replies_init(&replies);
    command_export(call, id);
    result = loyalty_api_read(call, &replies);
    if (result == LOYALTY_STORE_OK) {
        result = export_member(call, program, &replies);
    }
    loyalty_replies_free(&replies);

    return result;
}
