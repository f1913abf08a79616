/*
 * The log of messages, and the numbers of rules.
 *
 * A list is one sorted set, newest first.  Its cursor is "SCORE-ELEMENT" in
 * hex of the last one shown: its rank is where the next page begins, or, where
 * it has moved to another list meanwhile, the rank that its score would have.
 */

#include "loyalty_api_call.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "loyalty_calendar.h"
#include "loyalty_message.h"

#define PAGES 10 /* of entries looked at for one page of a rule's */

typedef struct {
    loyalty_api_call_t *call;
    const char *kind; /* the list's key */
    loyalty_str_t rest;
    bool blocked;    /* elements are rule \0 member, where the rule is empty
                      * all of br; scores are scaled */
    bool conversion; /* message \0 order */
    int64_t from, to; /* scores */
    loyalty_str_t rule, member, state;
    loyalty_str_t resumed, after; /* an element, the rule of it shown last */
    size_t limit;
    json_t *items;
    bool full; /* there is an entry behind the page */
    bool past; /* that of before `from` has been reached */
    char *next; /* cursor; NULL: no more */
} list_t;

static void
split(loyalty_str_t element, loyalty_str_t *first, loyalty_str_t *second)
{
    const char *zero = element.len == 0
                           ? NULL : memchr(element.data, '\0', element.len);
    size_t len = zero == NULL ? element.len : (size_t)(zero - element.data);

    *first = (loyalty_str_t){element.data, len};
    *second = zero == NULL ? loyalty_str_null
                           : (loyalty_str_t){zero + 1, element.len - len - 1};
}

/* state=, rule=, member=, from=, to=; false: the error is written. */
static bool
read_query(list_t *list)
{
    loyalty_api_call_t *call = list->call;

    list->state = loyalty_api_query(call, "state");
    list->rule = loyalty_api_query(call, "rule");
    list->member = loyalty_api_query(call, "member");
    list->from = 0;
    list->to = INT64_MAX / LOYALTY_BLOCKED_SCALE - 1;

    if (!loyalty_api_limit(call, &list->limit)
        || !loyalty_api_query_instant(call, "from", &list->from)
        || !loyalty_api_query_instant(call, "to", &list->to)) {
        return false;
    }

    if (list->member.len != 0
        && loyalty_member_id_check(list->member) != LOYALTY_OK) {
        loyalty_api_error(call, 422, "invalid_member",
                          "no member can have that id");
        return false;
    }

    list->blocked = loyalty_str_eq(list->state, loyalty_str("blocked"));
    list->conversion = loyalty_str_eq(list->state, loyalty_str("conversion"));

    if (list->state.len != 0 && !list->blocked && !list->conversion
        && !loyalty_str_eq(list->state, loyalty_str("pending"))
        && !loyalty_str_eq(list->state, loyalty_str("sent"))
        && !loyalty_str_eq(list->state, loyalty_str("failed"))) {
        loyalty_api_error(call, 422, "invalid_state",
                          "state is pending, sent, blocked, failed or "
                          "conversion");
        return false;
    }

    if (list->blocked) {
        list->kind = "mb";
        list->from *= LOYALTY_BLOCKED_SCALE;
        list->to = list->to * LOYALTY_BLOCKED_SCALE
                   + LOYALTY_BLOCKED_SCALE - 1;
    } else if (list->member.len != 0 && !list->conversion) {
        list->kind = "mm";
        list->rest = list->member;
    } else {
        list->kind = "ml";
        list->rest = list->state;
    }

    return true;
}

/* "SCORE-hex of the element". */
static bool
read_cursor(list_t *list, int64_t *score, loyalty_str_t *element)
{
    loyalty_str_t text = loyalty_api_query(list->call, "cursor");
    const char *dash;
    unsigned byte;
    size_t i, len;
    char *bytes;

    *element = loyalty_str_null;
    if (text.len == 0) {
        return true;
    }

    dash = memchr(text.data, '-', text.len);
    len = dash == NULL ? 0 : text.len - (size_t)(dash - text.data) - 1;
    bytes = loyalty_alloc(list->call->arena, len / 2 + 1);

    if (dash != NULL && bytes != NULL && len != 0 && len % 2 == 0
        && loyalty_str_int((loyalty_str_t){text.data,
                                           (size_t)(dash - text.data)},
                           score)) {
        for (i = 0; i < len / 2
                    && sscanf(dash + 1 + i * 2, "%2x", &byte) == 1; i++) {
            bytes[i] = (char)byte;
        }
        if (i == len / 2) {
            *element = (loyalty_str_t){bytes, i};
            return true;
        }
    }

    loyalty_api_error(list->call, 422, "invalid_cursor",
                      "use the next_cursor of a list");
    return false;
}

static bool
write_cursor(list_t *list, int64_t score, loyalty_str_t element)
{
    char *text = loyalty_alloc(list->call->arena, element.len * 2 + 32);
    size_t i;
    int len;

    if (text == NULL) {
        return false;
    }

    len = snprintf(text, 32, "%" PRId64 "-", score);
    for (i = 0; i < element.len; i++) {
        snprintf(text + (size_t)len + i * 2, 3, "%02x",
                 (unsigned char)element.data[i]);
    }
    list->next = text;
    return true;
}

/* A member's element is shown from its rule after that of the cursor. */
static loyalty_str_t
resume(list_t *list, loyalty_str_t element)
{
    loyalty_str_t none, rest, member;

    split(element, &none, &rest);
    if (!list->blocked || none.len != 0 || rest.len == 0) {
        return element;
    }

    split(rest, &member, &list->after);
    list->resumed = (loyalty_str_t){element.data, 1 + member.len};
    return list->resumed;
}

/* element \0 rule */
static bool
join(loyalty_api_call_t *call, loyalty_str_t element, loyalty_str_t rule,
     loyalty_str_t *joined)
{
    char *data = loyalty_alloc(call->arena, element.len + 1 + rule.len);

    if (data == NULL) {
        return false;
    }

    memcpy(data, element.data, element.len);
    data[element.len] = '\0';
    memcpy(data + element.len + 1, rule.data, rule.len);
    *joined = (loyalty_str_t){data, element.len + 1 + rule.len};

    return true;
}

/* The rank at which the page begins, newest first. */
static loyalty_store_result_t
find_start(list_t *list, int64_t *rank)
{
    loyalty_api_call_t *call = list->call;
    loyalty_commands_t *commands = &call->session->commands;
    loyalty_store_result_t result;
    loyalty_str_t element, text;
    loyalty_replies_t replies;
    int64_t score = list->to, present;
    char above[32];

    *rank = -1;
    if (!read_cursor(list, &score, &element)) {
        return LOYALTY_STORE_OK;
    }

    element = resume(list, element);
    snprintf(above, sizeof(above), "(%" PRId64, score);
    loyalty_commands_reset(commands);
    loyalty_api_command(call, "ZCOUNT", list->kind, list->rest, 2);
    loyalty_arg_text(commands, above);
    loyalty_arg_text(commands, "+inf");
    loyalty_api_command(call, "ZREVRANK", list->kind, list->rest, 1);
    loyalty_arg(commands, element.len != 0 ? element : loyalty_str("\n"));
    loyalty_api_command(call, "ZSCORE", list->kind, list->rest, 1);
    loyalty_arg(commands, element.len != 0 ? element : loyalty_str("\n"));
    loyalty_replies_init(&replies);
    result = loyalty_api_read(call, &replies);

    if (result == LOYALTY_STORE_OK) {
        if (loyalty_reply_str(replies.list[2], &text)
            && loyalty_str_int(text, &present) && present == score
            && loyalty_reply_int(replies.list[1], rank)) {
            *rank += list->resumed.len == 0;
        } else if (!loyalty_reply_int(replies.list[0], rank)) {
            result = LOYALTY_STORE_MALFORMED;
        }
    }

    loyalty_replies_free(&replies);
    return result;
}

static json_t *
text_of(loyalty_str_t text)
{
    return json_stringn(text.len == 0 ? "" : text.data, text.len);
}

/* The fields of mg as the API names them. */
static json_t *
message_json(loyalty_str_t id, const redisReply *fields)
{
    static const struct {
        const char *field, *name;
        enum { TEXT, NUMBER, INSTANT } kind;
    } known[] = {
        {"s", "state", TEXT},          {"r", "rule_id", TEXT},
        {"m", "member_id", TEXT},      {"o", "order_id", TEXT},
        {"n", "mark", NUMBER},         {"c", "channel", TEXT},
        {"a", "created_at", INSTANT},  {"d", "due_at", INSTANT},
        {"y", "tries", NUMBER},        {"b", "reason", TEXT},
        {"e", "error", TEXT},          {"x", "reference", TEXT},
        {"t", "sent_at", INSTANT},     {"ct", "content_id", TEXT},
        {"p", "opens", NUMBER},        {"q", "machine_opens", NUMBER},
        {"l", "clicks", NUMBER},       {"v", "conversions", NUMBER},
        {"w", "revenue", NUMBER},      {"u", "unsubscribed_at", INSTANT},
    };
    loyalty_str_t name, value;
    int64_t number;
    json_t *json = json_object();
    size_t i, k;

    json_object_set_new(json, "id", text_of(id));

    for (i = 0; i + 1 < fields->elements; i += 2) {
        if (!loyalty_reply_str(fields->element[i], &name)
            || !loyalty_reply_str(fields->element[i + 1], &value)) {
            continue;
        }
        for (k = 0; k < sizeof(known) / sizeof(known[0]); k++) {
            if (!loyalty_str_eq(name, loyalty_str_from(known[k].field))) {
                continue;
            }
            if (known[k].kind == TEXT) {
                json_object_set_new(json, known[k].name, text_of(value));
            } else if (!loyalty_str_int(value, &number)) {
                continue;
            } else if (known[k].kind == NUMBER) {
                json_object_set_new(json, known[k].name, json_integer(number));
            } else {
                loyalty_api_set_instant(json, known[k].name, number);
            }
        }
    }

    return json;
}

static json_t *
blocked_json(loyalty_str_t rule, loyalty_str_t member, int64_t reason,
             int64_t score)
{
    json_t *json = json_object();

    json_object_set_new(json, "state", json_string("blocked"));
    json_object_set_new(
        json, "reason",
        json_string(loyalty_blocked_name((loyalty_blocked_t)reason)));
    json_object_set_new(json, "rule_id", text_of(rule));
    json_object_set_new(json, "member_id", text_of(member));
    loyalty_api_set_instant(json, "at", score / LOYALTY_BLOCKED_SCALE);
    return json;
}

static bool
is_text(json_t *item, const char *name, loyalty_str_t wanted)
{
    const char *text = json_string_value(json_object_get(item, name));

    return wanted.len == 0
           || (text != NULL && loyalty_str_eq(loyalty_str_from(text), wanted));
}

/* Adds an entry if the query wants it; takes the reference. */
static void
keep(list_t *list, json_t *item)
{
    if (is_text(item, "rule_id", list->rule)
        && is_text(item, "member_id", list->member)
        && (list->conversion || is_text(item, "state", list->state))) {
        json_array_append(list->items, item);
    }
    json_decref(item);
}

/* The rules of a member's element, (digit of the reason, rule, \0)... */
static bool
take_rules(list_t *list, loyalty_str_t element, int64_t score,
           loyalty_str_t reasons)
{
    bool skip = loyalty_str_eq(element, list->resumed);
    const loyalty_str_t member = {element.data + 1, element.len - 1};
    loyalty_str_t first, rule, shown;

    while (reasons.len != 0 && !list->full) {
        split(reasons, &first, &reasons);
        if (first.len < 2) {
            continue;
        }

        rule = (loyalty_str_t){first.data + 1, first.len - 1};
        if (skip) {
            skip = !loyalty_str_eq(rule, list->after);
            continue;
        }

        list->full = json_array_size(list->items) == list->limit;
        if (list->full) {
            break;
        }

        keep(list, blocked_json(rule, member, first.data[0] - '0', score));
        if (!join(list->call, element, rule, &shown)
            || !write_cursor(list, score, shown)) {
            return false;
        }
    }

    return true;
}

/* What the page's members have in br; those without an element of their own
 * are asked for as well, and have nothing there. */
static loyalty_store_result_t
read_reasons(list_t *list, const redisReply *page, loyalty_replies_t *replies)
{
    loyalty_api_call_t *call = list->call;
    loyalty_str_t element;
    size_t i;

    loyalty_commands_reset(&call->session->commands);
    loyalty_api_command(call, "HMGET", "br", loyalty_str_null,
                        page->elements / 2);
    for (i = 0; i + 1 < page->elements; i += 2) {
        if (!loyalty_reply_str(page->element[i], &element)
            || element.len == 0) {
            return LOYALTY_STORE_MALFORMED;
        }
        loyalty_arg(&call->session->commands,
                    (loyalty_str_t){element.data + 1, element.len - 1});
    }

    return loyalty_api_read(call, replies);
}

/* The entries of a page: [element, score, ...]. */
static loyalty_store_result_t
take_blocked(list_t *list, const redisReply *page)
{
    loyalty_store_result_t result = LOYALTY_STORE_OK;
    loyalty_str_t element, text, rule, member, reasons;
    loyalty_replies_t replies;
    int64_t score;
    bool fits = true;
    size_t i;

    if (page->elements == 0) {
        return LOYALTY_STORE_OK;
    }

    loyalty_replies_init(&replies);
    result = read_reasons(list, page, &replies);
    if (result == LOYALTY_STORE_OK
        && !loyalty_reply_array(replies.list[0], page->elements / 2)) {
        result = LOYALTY_STORE_MALFORMED;
    }

    for (i = 0; result == LOYALTY_STORE_OK && !list->full
                && i + 1 < page->elements; i += 2) {
        if (!loyalty_reply_str(page->element[i], &element)
            || !loyalty_reply_str(page->element[i + 1], &text)
            || !loyalty_str_int(text, &score)
            || !loyalty_reply_str(replies.list[0]->element[i / 2],
                                  &reasons)) {
            result = LOYALTY_STORE_MALFORMED;
            break;
        }

        list->past = score < list->from;
        if (list->past) {
            break;
        }

        if (element.data[0] == '\0') {
            fits = take_rules(list, element, score, reasons);
        } else {
            list->full = json_array_size(list->items) == list->limit;
            if (!list->full) {
                split(element, &rule, &member);
                keep(list, blocked_json(rule, member,
                                        score % LOYALTY_BLOCKED_SCALE, score));
                fits = write_cursor(list, score, element);
            }
        }
        if (!fits) {
            result = LOYALTY_STORE_MEMORY;
        }
    }

    loyalty_replies_free(&replies);
    return result;
}

/* The entries of a page and their messages: [element, score, ...]. */
static loyalty_store_result_t
take_page(list_t *list, const redisReply *page)
{
    loyalty_api_call_t *call = list->call;
    loyalty_store_result_t result = LOYALTY_STORE_OK;
    loyalty_str_t element, text, id, order;
    loyalty_replies_t messages;
    int64_t score;
    json_t *item;
    size_t i, n = 0;

    loyalty_replies_init(&messages);

    if (page->elements != 0) {
        loyalty_commands_reset(&call->session->commands);
        for (i = 0; i + 1 < page->elements; i += 2) {
            if (!loyalty_reply_str(page->element[i], &element)) {
                return LOYALTY_STORE_MALFORMED;
            }
            split(element, &id, &order);
            loyalty_api_command(call, "HGETALL", "mg", id, 0);
        }
        result = loyalty_api_read(call, &messages);
    }

    for (i = 0; result == LOYALTY_STORE_OK && i + 1 < page->elements; i += 2) {
        if (!loyalty_reply_str(page->element[i], &element)
            || !loyalty_reply_str(page->element[i + 1], &text)
            || !loyalty_str_int(text, &score)) {
            result = LOYALTY_STORE_MALFORMED;
            break;
        }

        list->past = score < list->from;
        list->full = !list->past
                     && json_array_size(list->items) == list->limit;
        if (list->past || list->full) {
            break;
        }

        split(element, &id, &order);
        item = message_json(id, messages.list[n++]);
        if (list->conversion) {
            json_object_set_new(item, "state", json_string("conversion"));
            json_object_set_new(item, "order_id", text_of(order));
            loyalty_api_set_instant(item, "at", score);
        }
        keep(list, item);

        if (!write_cursor(list, score, element)) {
            result = LOYALTY_STORE_MEMORY;
        }
    }

    loyalty_replies_free(&messages);
    return result;
}

static loyalty_store_result_t
read_page(list_t *list, int64_t rank, loyalty_replies_t *replies)
{
    loyalty_api_call_t *call = list->call;

    loyalty_replies_free(replies);
    loyalty_commands_reset(&call->session->commands);
    loyalty_api_command(call, "ZREVRANGE", list->kind, list->rest, 3);
    loyalty_arg_int(&call->session->commands, rank);
    loyalty_arg_int(&call->session->commands, rank + (int64_t)list->limit);
    loyalty_arg_text(&call->session->commands, "WITHSCORES");
    return loyalty_api_read(call, replies);
}

/* Pages until there are enough that fit, or enough has been looked at.  One
 * entry more than is asked for is read, to know whether there is a next. */
static loyalty_store_result_t
fill(list_t *list, int64_t rank)
{
    loyalty_store_result_t result = LOYALTY_STORE_OK;
    loyalty_replies_t replies;
    size_t n = list->limit + 1;
    int pages;

    loyalty_replies_init(&replies);

    for (pages = 0; pages < PAGES && n == list->limit + 1
                    && result == LOYALTY_STORE_OK && !list->full
                    && !list->past; pages++) {
        result = read_page(list, rank, &replies);
        if (result == LOYALTY_STORE_OK
            && replies.list[0]->type != REDIS_REPLY_ARRAY) {
            result = LOYALTY_STORE_MALFORMED;
        }
        if (result == LOYALTY_STORE_OK) {
            n = replies.list[0]->elements / 2;
            result = list->blocked ? take_blocked(list, replies.list[0])
                                   : take_page(list, replies.list[0]);
            rank += (int64_t)n;
        }
    }

    if (!list->full && (list->past || n < list->limit + 1)) {
        list->next = NULL; /* that was all */
    }

    loyalty_replies_free(&replies);
    return result;
}

static loyalty_store_result_t
answer_list(list_t *list)
{
    loyalty_store_result_t result;
    int64_t rank;
    json_t *json;

    result = find_start(list, &rank);
    if (result != LOYALTY_STORE_OK || rank < 0) {
        return result;
    }

    list->items = json_array();
    result = fill(list, rank);

    if (result == LOYALTY_STORE_OK) {
        json = json_pack("{s:O}", "messages", list->items);
        if (list->next != NULL) {
            loyalty_api_set_str(json, "next_cursor",
                                loyalty_str_from(list->next));
        }
        loyalty_api_json(list->call, 200, json);
    }

    json_decref(list->items);
    return result;
}

static bool
is_existing(loyalty_api_call_t *call, const loyalty_program_t **program,
            loyalty_store_result_t *result)
{
    *result = loyalty_api_program(call, program);

    return *result == LOYALTY_STORE_OK && *program != NULL;
}

loyalty_store_result_t
loyalty_api_list_messages(loyalty_api_call_t *call)
{
    const loyalty_program_t *program;
    loyalty_store_result_t result;
    list_t list = {.call = call};

    if (!is_existing(call, &program, &result)) {
        return result;
    }

    return read_query(&list) ? answer_list(&list) : LOYALTY_STORE_OK;
}

loyalty_store_result_t
loyalty_api_member_messages(loyalty_api_call_t *call)
{
    const loyalty_program_t *program;
    loyalty_store_result_t result;
    loyalty_replies_t replies;
    loyalty_member_t member;
    list_t list = {.call = call};
    loyalty_str_t id;
    bool found;

    if (!loyalty_api_member_id(call, &id)) {
        return LOYALTY_STORE_OK;
    }

    if (!is_existing(call, &program, &result)) {
        return result;
    }

    loyalty_replies_init(&replies);
    result = loyalty_api_read_member(call, id, &replies, &member, &found);
    loyalty_replies_free(&replies);
    if (result != LOYALTY_STORE_OK) {
        return result;
    }
    if (!found || member.erased) {
        loyalty_api_not_found(call, "member");
        return LOYALTY_STORE_OK;
    }

    if (!read_query(&list)) {
        return LOYALTY_STORE_OK;
    }

    if (!list.blocked && !list.conversion) {
        list.kind = "mm";
        list.rest = id;
    }
    list.member = id;
    return answer_list(&list);
}

loyalty_store_result_t
loyalty_api_get_message(loyalty_api_call_t *call)
{
    const loyalty_program_t *program;
    loyalty_store_result_t result;
    loyalty_replies_t replies;

    if (!is_existing(call, &program, &result)) {
        return result;
    }

    if (call->segments[3].len > LOYALTY_MESSAGE_ID_MAX) {
        loyalty_api_not_found(call, "message");
        return LOYALTY_STORE_OK;
    }

    loyalty_replies_init(&replies);
    loyalty_commands_reset(&call->session->commands);
    loyalty_api_command(call, "HGETALL", "mg", call->segments[3], 0);
    result = loyalty_api_read(call, &replies);

    if (result == LOYALTY_STORE_OK) {
        if (replies.list[0]->type == REDIS_REPLY_ARRAY
            && replies.list[0]->elements != 0) {
            loyalty_api_json(call, 200,
                             message_json(call->segments[3], replies.list[0]));
        } else {
            loyalty_api_not_found(call, "message");
        }
    }

    loyalty_replies_free(&replies);
    return result;
}

static int
by_week(const void *a, const void *b)
{
    const char *left = json_string_value(
        json_object_get(*(json_t *const *)a, "week"));
    const char *right = json_string_value(
        json_object_get(*(json_t *const *)b, "week"));

    return strcmp(left, right);
}

/* Weeks by their Mondays, in order. */
static json_t *
sorted_weeks(json_t *weeks)
{
    size_t i, n = json_array_size(weeks);
    json_t **list = malloc((n + 1) * sizeof(*list)), *sorted = json_array();

    for (i = 0; list != NULL && i < n; i++) {
        list[i] = json_array_get(weeks, i);
    }
    if (list != NULL) {
        qsort(list, n, sizeof(*list), by_week);
    }
    for (i = 0; list != NULL && i < n; i++) {
        json_array_append(sorted, list[i]);
    }

    free(list);
    json_decref(weeks);
    return sorted;
}

/* HGETALL of rs. */
static json_t *
numbers(const redisReply *reply)
{
    static const char *const names[] = {
        "pending", "sent", "blocked", "failed", "opens", "machine_opens",
        "clicks", "conversions", "revenue", "unsubscribes"};
    json_t *json = json_object(), *weeks = json_array();
    loyalty_str_t name, text;
    int64_t value;
    size_t i;

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        json_object_set_new(json, names[i], json_integer(0));
    }

    for (i = 0; reply->type == REDIS_REPLY_ARRAY && i + 1 < reply->elements;
         i += 2) {
        if (!loyalty_reply_str(reply->element[i], &name)
            || !loyalty_reply_str(reply->element[i + 1], &text)
            || !loyalty_str_int(text, &value)) {
            continue;
        }
        if (name.len == 12 && memcmp(name.data, "w:", 2) == 0) {
            json_array_append_new(
                weeks, json_pack("{s:s%, s:I}", "week", name.data + 2,
                                 name.len - 2, "sent", (json_int_t)value));
        } else if (json_object_get(json, name.data) != NULL) {
            json_object_set_new(json, name.data, json_integer(value));
        }
    }

    json_object_set_new(json, "sent_per_week", sorted_weeks(weeks));
    return json;
}

static loyalty_store_result_t
answer_numbers(loyalty_api_call_t *call, loyalty_str_t rule, bool known)
{
    loyalty_store_result_t result;
    loyalty_replies_t replies;

    loyalty_replies_init(&replies);
    loyalty_commands_reset(&call->session->commands);
    loyalty_api_command(call, "HGETALL", "rs", rule, 0);
    result = loyalty_api_read(call, &replies);

    if (result == LOYALTY_STORE_OK) {
        if (!known && (replies.list[0]->type != REDIS_REPLY_ARRAY
                       || replies.list[0]->elements == 0)) {
            loyalty_api_not_found(call, "rule");
        } else {
            loyalty_api_json(call, 200, numbers(replies.list[0]));
        }
    }

    loyalty_replies_free(&replies);
    return result;
}

/* A deleted rule's numbers stay. */
loyalty_store_result_t
loyalty_api_rule_stats(loyalty_api_call_t *call)
{
    const loyalty_program_t *program;
    loyalty_store_result_t result;

    if (!is_existing(call, &program, &result)) {
        return result;
    }

    if (call->segments[3].len > LOYALTY_ID_MAX) {
        loyalty_api_not_found(call, "rule");
        return LOYALTY_STORE_OK;
    }

    return answer_numbers(call, call->segments[3],
                          loyalty_program_rule(program, call->segments[3])
                              != NULL);
}

loyalty_store_result_t
loyalty_api_message_stats(loyalty_api_call_t *call)
{
    const loyalty_program_t *program;
    loyalty_store_result_t result;

    return is_existing(call, &program, &result)
               ? answer_numbers(call, loyalty_str_null, true) : result;
}
