/*
 * The audit: one entry for each change by the API, in the transaction that
 * makes the change.
 *
 *   loyalty:s:{site}:audit   t  when   w  who   m  method   p  path
 *                            b  before   a  after, as JSON, where known
 *
 * What is no site's is in loyalty:audit, written just before the change.
 * What says who a member is stays out: a name that was erased must not live
 * on here.  The oldest entries go (LOYALTY_AUDIT_ENTRIES_MAX).
 */

#include "loyalty_api_call.h"
#include "loyalty_personal.h"

#include <stdio.h>
#include <stdlib.h>

/* Entries looked at for one answer, when a filter leaves few of them. */
#define SCAN_PAGE 500
#define SCAN_PAGES 10

void
loyalty_api_audit_forget(loyalty_api_call_t *call)
{
    json_decref(call->audit_before);
    json_decref(call->audit_after);
    call->audit_before = NULL;
    call->audit_after = NULL;
}

/* The object without what is personal; a new reference. */
static json_t *
impersonal(const loyalty_api_call_t *call, json_t *object)
{
    json_t *copy = loyalty_impersonal(object), *value;
    const char *key;
    void *next;

    if (loyalty_str_eq(call->segments[2], loyalty_str("members"))) {
        json_object_foreach_safe(copy, next, key, value) {
            if (loyalty_is_personal(key)) {
                json_object_del(copy, key);
            }
        }
    }

    return copy;
}

static void
add_object(loyalty_api_call_t *call, const char *name, json_t *object)
{
    json_t *shown = impersonal(call, object);
    char *text = json_dumps(shown, JSON_COMPACT | JSON_ENCODE_ANY);
    char size[64];

    if (text == NULL) {
        call->session->commands.failed = true;
    } else if (strlen(text) > LOYALTY_AUDIT_OBJECT_MAX) {
        snprintf(size, sizeof(size), "{\"left_out_bytes\":%zu}", strlen(text));
        loyalty_arg_text(&call->session->commands, name);
        loyalty_arg_text(&call->session->commands, size);
    } else {
        loyalty_arg_text(&call->session->commands, name);
        loyalty_arg_text(&call->session->commands, text);
    }

    free(text);
    json_decref(shown);
}

static const char *
method_name(loyalty_method_t method)
{
    return method == LOYALTY_METHOD_POST     ? "POST"
           : method == LOYALTY_METHOD_PUT    ? "PUT"
           : method == LOYALTY_METHOD_PATCH  ? "PATCH"
           : method == LOYALTY_METHOD_DELETE ? "DELETE"
                                             : "GET";
}

/* Of the site, or of the installation. */
static void
audit_command(loyalty_api_call_t *call, const char *name, size_t more)
{
    if (call->scope.site.len != 0) {
        loyalty_api_command(call, name, "s", loyalty_str("audit"), more);
    } else {
        loyalty_api_global(call, name, loyalty_api_global_key(call, "audit"),
                           more);
    }
}

void
loyalty_api_audit(loyalty_api_call_t *call)
{
    loyalty_commands_t *commands = &call->session->commands;
    size_t more = 4 + 8;

    if (!call->audited) {
        return;
    }

    more += call->audit_before != NULL ? 2 : 0;
    more += call->audit_after != NULL ? 2 : 0;

    audit_command(call, "XADD", more);
    loyalty_arg_text(commands, "MAXLEN");
    loyalty_arg_text(commands, "~");
    loyalty_arg_int(commands, LOYALTY_AUDIT_ENTRIES_MAX);
    loyalty_arg_text(commands, "*");
    loyalty_arg_text(commands, "t");
    loyalty_arg_int(commands, call->now);
    loyalty_arg_text(commands, "w");
    loyalty_arg_text(commands, call->who);
    loyalty_arg_text(commands, "m");
    loyalty_arg_text(commands, method_name(call->request->method));
    loyalty_arg_text(commands, "p");
    loyalty_arg(commands, loyalty_api_path(call));

    if (call->audit_before != NULL) {
        add_object(call, "b", call->audit_before);
    }

    if (call->audit_after != NULL) {
        add_object(call, "a", call->audit_after);
    }
}

void
loyalty_api_audit_undo(loyalty_api_call_t *call, loyalty_str_t entry)
{
    audit_command(call, "XDEL", 1);
    loyalty_arg(&call->session->commands, entry);
}

typedef struct {
    loyalty_str_t from; /* of XREVRANGE: the newest first */
    char to[32];
    loyalty_str_t who; /* empty: anybody */
    size_t limit;
    json_t *entries;
    loyalty_str_t next; /* the last entry looked at, if there are more */
} search_t;

/* [id, [name, value, ...]]; NULL: somebody else's, or none of ours. */
static json_t *
entry_of(const redisReply *reply, loyalty_str_t who, loyalty_str_t *id)
{
    json_t *json = json_object(), *object;
    loyalty_str_t name, value;
    const redisReply *fields;
    bool wanted = who.len == 0;
    int64_t at;
    size_t i;

    if (!loyalty_reply_array(reply, 2)
        || !loyalty_reply_str(reply->element[0], id)) {
        json_decref(json);
        return NULL;
    }

    loyalty_api_set_str(json, "id", *id);
    fields = reply->element[1];

    for (i = 0; fields->type == REDIS_REPLY_ARRAY && i + 1 < fields->elements;
         i += 2) {
        if (!loyalty_reply_str(fields->element[i], &name) || name.len != 1
            || !loyalty_reply_str(fields->element[i + 1], &value)) {
            continue;
        }

        switch (name.data[0]) {
        case 't':
            if (loyalty_str_int(value, &at)) {
                loyalty_api_set_instant(json, "at", at);
            }
            break;
        case 'w':
            loyalty_api_set_str(json, "who", value);
            wanted = wanted || loyalty_str_eq(value, who);
            break;
        case 'm':
            loyalty_api_set_str(json, "method", value);
            break;
        case 'p':
            loyalty_api_set_str(json, "path", value);
            break;
        case 'b':
        case 'a':
            object = json_loadb(value.data, value.len, JSON_DECODE_ANY, NULL);
            if (object != NULL) {
                json_object_set_new(json, name.data[0] == 'b' ? "before"
                                                              : "after",
                                    object);
            }
            break;
        }
    }

    if (!wanted) {
        json_decref(json);
        return NULL;
    }

    return json;
}

/* One page more; *more: there may be another. */
static loyalty_store_result_t
scan(loyalty_api_call_t *call, search_t *search, bool *more)
{
    loyalty_commands_t *commands = &call->session->commands;
    size_t page = search->who.len != 0 ? SCAN_PAGE : search->limit + 1, i;
    loyalty_store_result_t result;
    loyalty_str_t id = loyalty_str_null;
    loyalty_replies_t replies;
    const redisReply *list;
    json_t *entry;
    char *copy;

    *more = false;
    loyalty_commands_reset(commands);
    audit_command(call, "XREVRANGE", 4);
    loyalty_arg(commands, search->from);
    loyalty_arg_text(commands, search->to);
    loyalty_arg_text(commands, "COUNT");
    loyalty_arg_int(commands, (int64_t)page);
    loyalty_replies_init(&replies);
    result = call->scope.site.len != 0
                 ? loyalty_api_read(call, &replies)
                 : loyalty_api_global_read(
                       call, loyalty_api_global_key(call, "audit"), &replies);

    if (result == LOYALTY_STORE_OK
        && replies.list[0]->type != REDIS_REPLY_ARRAY) {
        result = LOYALTY_STORE_MALFORMED;
    }

    if (result == LOYALTY_STORE_OK) {
        list = replies.list[0];
        *more = list->elements == page;

        for (i = 0; i < list->elements; i++) {
            if (json_array_size(search->entries) == search->limit) {
                *more = true;
                break;
            }
            entry = entry_of(list->element[i], search->who, &id);
            if (entry != NULL) {
                json_array_append_new(search->entries, entry);
            }
        }

        search->next = loyalty_str_null;
        if (*more && id.data != NULL) {
            copy = loyalty_alloc(call->arena, id.len + 1);
            if (copy == NULL) {
                result = LOYALTY_STORE_MEMORY;
            } else {
                copy[0] = '(';
                memcpy(copy + 1, id.data, id.len);
                search->from = (loyalty_str_t){copy, id.len + 1};
                search->next = (loyalty_str_t){copy + 1, id.len};
            }
        }
    }

    loyalty_replies_free(&replies);

    return result;
}

/* ?name= as milliseconds; false: the error is written. */
static bool
read_instant(loyalty_api_call_t *call, const char *name,
             loyalty_instant_t *instant)
{
    loyalty_str_t text = loyalty_api_query(call, name);

    if (text.data != NULL
        && (loyalty_instant_parse(text, instant) != LOYALTY_OK
            || *instant < 0)) {
        loyalty_api_error(call, 422, "invalid_instant",
                          "%s is an instant like 2010-12-01T08:26:00Z", name);
        return false;
    }

    return true;
}

static bool
read_search(loyalty_api_call_t *call, search_t *search)
{
    loyalty_str_t cursor = loyalty_api_query(call, "cursor");
    loyalty_instant_t from = 0, to = LOYALTY_NEVER;
    size_t size = 1 + cursor.len + 32;
    char *text;

    *search = (search_t){.who = loyalty_api_query(call, "who")};

    if (!loyalty_api_limit(call, &search->limit)
        || !read_instant(call, "from", &from)
        || !read_instant(call, "to", &to)) {
        return false;
    }

    if (cursor.len != 0 && !loyalty_api_is_stream_id(cursor)) {
        loyalty_api_error(call, 422, "invalid_cursor",
                          "the cursor is not one of this list");
        return false;
    }

    text = loyalty_alloc(call->arena, size);
    if (text == NULL) {
        loyalty_api_error(call, 500, "memory", "out of memory");
        return false;
    }

    if (cursor.len != 0) {
        snprintf(text, size, "(%.*s", (int)cursor.len, cursor.data);
    } else if (to != LOYALTY_NEVER) {
        snprintf(text, size, "(%lld-0", (long long)to);
    } else {
        snprintf(text, size, "+");
    }

    search->from = loyalty_str_from(text);
    snprintf(search->to, sizeof(search->to), "%lld", (long long)from);

    return true;
}

loyalty_store_result_t
loyalty_api_list_audit(loyalty_api_call_t *call)
{
    loyalty_store_result_t result = LOYALTY_STORE_OK;
    const loyalty_program_t *program;
    search_t search;
    json_t *json;
    bool more = true;
    int pages;

    if (!read_search(call, &search)) {
        return LOYALTY_STORE_OK;
    }

    if (call->scope.site.len != 0) {
        result = loyalty_api_program(call, &program);
        if (result != LOYALTY_STORE_OK || program == NULL) {
            return result;
        }
    }

    search.entries = json_array();

    for (pages = 0; more && pages < SCAN_PAGES && result == LOYALTY_STORE_OK
                    && json_array_size(search.entries) < search.limit;
         pages++) {
        result = scan(call, &search, &more);
    }

    if (result == LOYALTY_STORE_OK) {
        json = json_pack("{s:O}", "entries", search.entries);
        loyalty_api_set_str(json, "next_cursor", search.next);
        loyalty_api_json(call, 200, json);
    }

    json_decref(search.entries);

    return result;
}
