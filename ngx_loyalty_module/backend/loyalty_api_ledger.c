/*
 * Statements: a member's ledger of points or credits, newest first, each entry
 * with the balance after it (what is pending in it).
 *
 *   GET members/{id}/ledger ?kind=points|credits &from= &to= &cursor= &limit=
 *
 * The balance of the newest entry is the member's own; from there each entry
 * takes back its amount.  The member and the page are read in one transaction.
 * A cursor carries both where the page ended and the balance there.
 */

#include "loyalty_api_history.h"

#include <stdio.h>

#define SUM_PAGE 1000 /* entries newer than `to`, summed up in one reply */

/* A cursor's balance; a page of the largest entries still fits a sum. */
#define BALANCE_MAX INT64_C(4000000000000000000)

typedef struct {
    loyalty_api_call_t *call;
    loyalty_str_t id;
    bool credits;
    size_t limit;
    char end[64];   /* of XREVRANGE: where the page begins */
    char start[32]; /* and what is too old */
    int64_t balance;
    int64_t newest; /* number of the entry that had it, when it was read */
    bool known;     /* the balance at `end` */
} statement_t;

/* ?from= and ?to=, as the first and the last id of a stream. */
static bool
read_dates(statement_t *statement)
{
    loyalty_api_call_t *call = statement->call;
    loyalty_str_t from = loyalty_api_query(call, "from");
    loyalty_str_t to = loyalty_api_query(call, "to");
    loyalty_instant_t at;

    strcpy(statement->start, "-");
    strcpy(statement->end, "+");

    if (from.data != NULL) {
        if (loyalty_instant_parse(from, &at) != LOYALTY_OK || at < 0) {
            loyalty_api_error(call, 422, "invalid_from",
                              "from is an instant such as "
                              "2026-01-31T08:00:00Z");
            return false;
        }
        snprintf(statement->start, sizeof(statement->start), "%lld",
                 (long long)at);
    }

    if (to.data != NULL) {
        if (loyalty_instant_parse(to, &at) != LOYALTY_OK || at < 0) {
            loyalty_api_error(call, 422, "invalid_to",
                              "to is an instant such as "
                              "2026-01-31T08:00:00Z");
            return false;
        }
        snprintf(statement->end, sizeof(statement->end), "(%lld-0",
                 (long long)at);
    }

    return true;
}

/* "1690000000000-0.250": behind this entry, at this balance. */
static bool
read_cursor(statement_t *statement)
{
    loyalty_str_t cursor = loyalty_api_query(statement->call, "cursor"), id;
    const char *dot;

    if (cursor.len == 0) {
        return true;
    }

    dot = memchr(cursor.data, '.', cursor.len);
    if (dot != NULL) {
        id = (loyalty_str_t){cursor.data, (size_t)(dot - cursor.data)};
        if (loyalty_api_is_stream_id(id)
            && loyalty_str_int((loyalty_str_t){dot + 1,
                                               cursor.len - id.len - 1},
                               &statement->balance)
            && statement->balance <= BALANCE_MAX
            && statement->balance >= -BALANCE_MAX) {
            snprintf(statement->end, sizeof(statement->end), "(%.*s",
                     (int)id.len, id.data);
            statement->known = true;
            return true;
        }
    }

    loyalty_api_error(statement->call, 422, "invalid_cursor",
                      "the cursor is not one of this list");
    return false;
}

static void
command_page(statement_t *statement, const char *end, const char *start,
             size_t count)
{
    loyalty_commands_t *commands = &statement->call->session->commands;

    loyalty_api_command(statement->call, "XREVRANGE",
                        statement->credits ? "c" : "l", statement->id, 4);
    loyalty_arg_text(commands, end);
    loyalty_arg_text(commands, start);
    loyalty_arg_text(commands, "COUNT");
    loyalty_arg_int(commands, (int64_t)count);
}

/* A number among the entry's fields; 0: it has none of that name. */
static int64_t
number_of(const redisReply *entry, loyalty_str_t field)
{
    const redisReply *pairs;
    loyalty_str_t name, value;
    int64_t number;
    size_t i;

    if (!loyalty_reply_array(entry, 2)) {
        return 0;
    }

    pairs = entry->element[1];
    for (i = 0; pairs->type == REDIS_REPLY_ARRAY && i + 1 < pairs->elements;
         i += 2) {
        if (loyalty_reply_str(pairs->element[i], &name)
            && loyalty_str_eq(name, field)
            && loyalty_reply_str(pairs->element[i + 1], &value)
            && loyalty_str_int(value, &number)) {
            return number;
        }
    }

    return 0;
}

static int64_t
total_of(const loyalty_ledger_t *ledger)
{
    return ledger->credited - ledger->spent - ledger->expired
           - ledger->revoked;
}

/* Where the page ends; the balance goes down entry by entry. */
static json_t *
show_page(statement_t *statement, const redisReply *page, char *next,
          size_t size)
{
    json_t *items = json_array(), *json;
    const redisReply *entry;
    loyalty_str_t id;
    size_t i;

    next[0] = '\0';

    for (i = 0; i < page->elements && i < statement->limit; i++) {
        entry = page->element[i];
        json = loyalty_api_show_entry(entry, &id);
        if (json == NULL) {
            continue;
        }
        json_object_set_new(json, "balance",
                            json_integer(statement->balance));
        json_array_append_new(items, json);
        statement->balance -= number_of(entry, loyalty_str("a"));
        if (i + 1 == statement->limit && page->elements > statement->limit) {
            snprintf(next, size, "%.*s.%lld", (int)id.len, id.data,
                     (long long)statement->balance);
        }
    }

    return items;
}

/* From the newest entry to the first that ?to= lets in. */
static loyalty_store_result_t
go_back(statement_t *statement)
{
    loyalty_api_call_t *call = statement->call;
    loyalty_store_result_t result = LOYALTY_STORE_OK;
    loyalty_replies_t replies;
    const redisReply *page, *entry;
    char end[40] = "+";
    loyalty_str_t id;
    size_t i, n = SUM_PAGE;

    while (result == LOYALTY_STORE_OK && n == SUM_PAGE) {
        loyalty_replies_init(&replies);
        loyalty_commands_reset(&call->session->commands);
        command_page(statement, end, statement->end + 1, SUM_PAGE);
        result = loyalty_api_read(call, &replies);
        page = result == LOYALTY_STORE_OK ? replies.list[0] : NULL;
        n = 0;

        if (page != NULL && page->type != REDIS_REPLY_ARRAY) {
            result = LOYALTY_STORE_MALFORMED;
        }

        for (i = 0; result == LOYALTY_STORE_OK && i < page->elements; i++) {
            entry = page->element[i];
            if (number_of(entry, loyalty_str("n")) <= statement->newest) {
                statement->balance -= number_of(entry, loyalty_str("a"));
            }
            if (loyalty_reply_array(entry, 2)
                && loyalty_reply_str(entry->element[0], &id)) {
                snprintf(end, sizeof(end), "(%.*s", (int)id.len, id.data);
            }
            n++;
        }

        loyalty_replies_free(&replies);
    }

    return result;
}

/* The member's own balance and, unless ?to= is to be gone back to first, the
 * page with it. */
static loyalty_store_result_t
read_statement(statement_t *statement, loyalty_replies_t *replies,
               const redisReply **page)
{
    loyalty_api_call_t *call = statement->call;
    loyalty_store_result_t result;
    const loyalty_ledger_t *ledger;
    loyalty_member_t member;
    loyalty_str_t bytes;
    redisReply *both;

    loyalty_commands_reset(&call->session->commands);
    loyalty_command(&call->session->commands, "MULTI", 1);
    loyalty_api_command(call, "GET", "m", statement->id, 0);
    command_page(statement, statement->end, statement->start,
                 statement->limit + 1);
    loyalty_command(&call->session->commands, "EXEC", 1);
    result = loyalty_api_read(call, replies);
    if (result != LOYALTY_STORE_OK) {
        return result;
    }

    both = replies->list[3];
    if (!loyalty_reply_array(both, 2)
        || !loyalty_reply_str(both->element[0], &bytes)
        || both->element[1]->type != REDIS_REPLY_ARRAY) {
        return LOYALTY_STORE_MALFORMED;
    }

    if (bytes.data == NULL) {
        loyalty_api_not_found(call, "member");
        return LOYALTY_STORE_OK;
    }

    if (loyalty_member_decode(bytes, call->arena, &member) != LOYALTY_OK) {
        return LOYALTY_STORE_MALFORMED;
    }

    if (member.erased) {
        loyalty_api_not_found(call, "member");
        return LOYALTY_STORE_OK;
    }

    ledger = statement->credits ? &member.credits : &member.points;
    if (!statement->known) {
        statement->balance = total_of(ledger);
        statement->newest = (int64_t)ledger->entries;
    }

    *page = both->element[1];
    return !statement->known && statement->end[0] == '(' ? go_back(statement)
                                                         : LOYALTY_STORE_OK;
}

static bool
read_kind(statement_t *statement)
{
    loyalty_str_t kind = loyalty_api_query(statement->call, "kind");

    statement->credits = loyalty_str_eq(kind, loyalty_str("credits"));
    if (kind.data == NULL || statement->credits
        || loyalty_str_eq(kind, loyalty_str("points"))) {
        return true;
    }

    loyalty_api_error(statement->call, 422, "invalid_kind",
                      "kind is points or credits");
    return false;
}

loyalty_store_result_t
loyalty_api_member_ledger(loyalty_api_call_t *call)
{
    statement_t statement = {.call = call};
    loyalty_store_result_t result;
    const redisReply *page = NULL;
    loyalty_replies_t replies;
    char next[80];
    json_t *items;

    if (!loyalty_api_member_id(call, &statement.id)
        || !loyalty_api_limit(call, &statement.limit)
        || !read_kind(&statement) || !read_dates(&statement)
        || !read_cursor(&statement)) {
        return LOYALTY_STORE_OK;
    }

    loyalty_replies_init(&replies);
    result = read_statement(&statement, &replies, &page);

    if (result == LOYALTY_STORE_OK && page != NULL) {
        items = show_page(&statement, page, next, sizeof(next));
        loyalty_api_list(call, "entries", items, loyalty_str_from(next));
    }

    loyalty_replies_free(&replies);

    return result;
}
