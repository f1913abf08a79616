/*
 * The invariants of a whole site, member by member:
 *
 *   the record can be read, and its ledgers agree with themselves
 *   the sum and the number of a ledger's entries are the record's
 *   e-mail, phone and name are in their indexes
 *   the orders that count, and what they came to, are the record's totals
 *   wallet and groups are what the site's lists say (_wallet.c)
 *
 * and then what is in the lists of the site (_lists.c).
 *
 * Members are WATCHed while the rest is read, so what is compared belongs
 * together even while orders are being applied.  A finding counts as failed
 * and is listed in the result's errors; nothing is changed.
 */

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "loyalty_job_check.h"
#include "loyalty_member_index.h"
#include "loyalty_order.h"

#define PAGE_MEMBERS 64

/* Replies to the reads of one member, behind each other. */
enum {
    READ_POINTS,
    READ_CREDITS,
    READ_ORDERS,
    READS
};

static const char *const index_counts[LOYALTY_INDEXES] = {"emails", "phones",
                                                          "names"};

void
loyalty_check_found(loyalty_job_t *job, loyalty_str_t at, const char *code,
                    const char *format, ...)
{
    char message[256];
    va_list args;

    va_start(args, format);
    vsnprintf(message, sizeof(message), format, args);
    va_end(args);

    loyalty_job_failure(job, at, code, message);
}

/* The sum of field "a" of a stream's entries. */
static bool
sum_entries(const redisReply *list, int64_t *sum)
{
    const redisReply *fields;
    loyalty_str_t name, value;
    int64_t amount;
    size_t i, k;

    *sum = 0;
    if (list->type != REDIS_REPLY_ARRAY) {
        return false;
    }

    for (i = 0; i < list->elements; i++) {
        if (!loyalty_reply_array(list->element[i], 2)) {
            return false;
        }
        fields = list->element[i]->element[1];
        for (k = 0; k + 1 < fields->elements; k += 2) {
            if (loyalty_reply_str(fields->element[k], &name)
                && loyalty_str_eq(name, loyalty_str("a"))
                && loyalty_reply_str(fields->element[k + 1], &value)
                && (!loyalty_str_int(value, &amount)
                    || __builtin_add_overflow(*sum, amount, sum))) {
                return false;
            }
        }
    }

    return true;
}

static void
check_ledger(loyalty_job_t *job, loyalty_str_t id, const char *name,
             const loyalty_ledger_t *ledger, const redisReply *entries)
{
    int64_t sum, balance = ledger->credited - ledger->spent - ledger->expired
                           - ledger->revoked;

    if (loyalty_ledger_check(ledger) != LOYALTY_OK) {
        loyalty_check_found(job, id, "ledger", "%s: lots and totals disagree", name);
    }

    if (!sum_entries(entries, &sum)) {
        loyalty_check_found(job, id, "entries", "%s: the entries cannot be read", name);
        return;
    }

    if (sum != balance || entries->elements != ledger->entries) {
        loyalty_check_found(job, id, "entries", "%s: %zu entries of %" PRId64 " in all, the "
              "record has %" PRIu64 " of %" PRId64, name, entries->elements,
              sum, ledger->entries, balance);
    }
}

static loyalty_str_t
indexed(const loyalty_member_t *member, int index)
{
    return index == LOYALTY_INDEX_EMAIL   ? member->email
           : index == LOYALTY_INDEX_PHONE ? member->phone
                                          : member->name;
}

/* ZSCORE of each index, then GET of each order, then what the wallet asks. */
static bool
command_more(loyalty_job_t *job, const loyalty_member_slot_t *slot,
             const redisReply *orders, loyalty_arena_t *arena,
             loyalty_commands_t *commands, bool expected[LOYALTY_INDEXES])
{
    loyalty_str_t folded, element;
    int index;
    size_t i;

    for (index = 0; index < LOYALTY_INDEXES; index++) {
        if (loyalty_index_fold((loyalty_index_t)index,
                               indexed(&slot->before, index), arena, &folded)
                != LOYALTY_OK
            || loyalty_index_element(folded, slot->id, arena, &element)
                   != LOYALTY_OK) {
            return false;
        }
        expected[index] = folded.len != 0;
        if (expected[index]) {
            loyalty_job_count(job, index_counts[index]);
        }
        loyalty_command(commands, "ZSCORE", 3);
        loyalty_arg_key(commands, &job->scope,
                        loyalty_index_kind((loyalty_index_t)index),
                        loyalty_str_null);
        loyalty_arg(commands, element);
    }

    for (i = 0; i < orders->elements; i++) {
        loyalty_reply_str(orders->element[i], &element);
        loyalty_command(commands, "GET", 2);
        loyalty_arg_key(commands, &job->scope, "o", element);
    }

    return loyalty_check_wallet_reads(job, &slot->before, commands);
}

static void
check_indexes(loyalty_job_t *job, const loyalty_member_slot_t *slot,
              redisReply *const *replies, const bool *expected)
{
    loyalty_str_t score;
    int index;

    for (index = 0; index < LOYALTY_INDEXES; index++) {
        if (expected[index] && loyalty_reply_str(replies[index], &score)
            && score.data == NULL) {
            loyalty_check_found(job, slot->id, "index", "is not among the %s",
                  index_counts[index]);
        }
    }
}

static void
count_uses(loyalty_job_t *job, const loyalty_order_attempt_t *attempt)
{
    size_t i;

    for (i = 0; i < attempt->nuses; i++) {
        loyalty_check_use(job, attempt->uses[i].used.offer,
                          attempt->uses[i].used.site,
                          attempt->uses[i].used.amount);
    }
}

static void
check_orders(loyalty_job_t *job, const loyalty_member_slot_t *slot,
             redisReply *const *replies, size_t n, loyalty_arena_t *arena)
{
    int64_t count = 0, spent = 0;
    const loyalty_order_attempt_t *attempt;
    loyalty_order_t *order;
    loyalty_str_t bytes;
    size_t i, k;

    for (i = 0; i < n; i++) {
        if (!loyalty_reply_str(replies[i], &bytes) || bytes.data == NULL
            || loyalty_order_decode(bytes, arena, &order) != LOYALTY_OK) {
            loyalty_check_found(job, slot->id, "order", "order %zu of the list cannot be "
                  "read", i);
            return;
        }

        loyalty_job_count(job, "orders");
        for (k = 0; k < order->nattempts; k++) {
            attempt = &order->attempts[k];
            count += attempt->counts;
            if (attempt->phase == LOYALTY_PHASE_EARNED) {
                spent += attempt->total - attempt->returned;
            }
            count_uses(job, attempt);
        }
    }

    if (count != slot->before.order_count
        || spent != slot->before.spent_total) {
        loyalty_check_found(job, slot->id, "totals", "%" PRId64 " orders of %" PRId64
              ", the record has %" PRId64 " of %" PRId64, count, spent,
              slot->before.order_count, slot->before.spent_total);
    }
}

static loyalty_store_result_t
check_member(loyalty_job_t *job, loyalty_member_slot_t *slot, size_t first,
             loyalty_arena_t *arena)
{
    const redisReply *orders = loyalty_job_reply(job, first + READ_ORDERS);
    loyalty_store_result_t result;
    loyalty_commands_t commands;
    loyalty_replies_t replies;
    bool expected[LOYALTY_INDEXES];

    if (slot->fresh || slot->corrupt || orders->type != REDIS_REPLY_ARRAY) {
        loyalty_check_found(job, slot->id, "record", slot->fresh ? "is listed, and not there"
                                                   : "cannot be read");
        return LOYALTY_STORE_OK;
    }

    check_ledger(job, slot->id, "points", &slot->before.points,
                 loyalty_job_reply(job, first + READ_POINTS));
    check_ledger(job, slot->id, "credits", &slot->before.credits,
                 loyalty_job_reply(job, first + READ_CREDITS));

    loyalty_commands_init(&commands);
    loyalty_replies_init(&replies);
    result = command_more(job, slot, orders, arena, &commands, expected)
                 ? loyalty_store_call(job->store, job->scope.site, &commands,
                                      &replies)
                 : LOYALTY_STORE_MEMORY;
    if (result == LOYALTY_STORE_OK) {
        check_indexes(job, slot, replies.list, expected);
        check_orders(job, slot, replies.list + LOYALTY_INDEXES,
                     orders->elements, arena);
        loyalty_check_wallet(job, &slot->before,
                             replies.list + LOYALTY_INDEXES
                                 + orders->elements);
    }
    loyalty_replies_free(&replies);
    loyalty_commands_free(&commands);

    return result;
}

static loyalty_store_result_t
decide(loyalty_member_change_t *change, void *data)
{
    loyalty_job_t *job = data;
    loyalty_store_result_t result = LOYALTY_STORE_OK;
    size_t i;

    job->next.total = job->scan_total;

    for (i = 0; i < change->n && result == LOYALTY_STORE_OK; i++) {
        result = check_member(job, &change->list[i], i * READS,
                              &change->arena);
        job->next.done++;
        job->next.cursor = change->list[i].id;
    }

    if (change->n < PAGE_MEMBERS) {
        job->next.cursor = loyalty_str(LOYALTY_CHECK_LISTS);
    }

    return result;
}

static loyalty_store_result_t
begin(loyalty_member_change_t *change, void *data)
{
    loyalty_check_uses_begin(data, &change->writes);

    return LOYALTY_STORE_OK;
}

static loyalty_store_result_t
step_members(loyalty_job_t *job)
{
    static const struct {
        const char *name, *kind, *from, *to;
    } each[READS] = {
        [READ_POINTS] = {"XRANGE", "l", "-", "+"},
        [READ_CREDITS] = {"XRANGE", "c", "-", "+"},
        [READ_ORDERS] = {"ZRANGE", "mo", "0", "-1"},
    };
    loyalty_store_result_t result;
    loyalty_replies_t replies;
    loyalty_commands_t reads;
    loyalty_str_t *ids;
    size_t i, k, n;

    loyalty_replies_init(&replies);
    loyalty_commands_init(&reads);
    result = loyalty_job_ids(job, "mi", loyalty_str_null, PAGE_MEMBERS,
                             &replies, &ids, &n);

    for (i = 0; result == LOYALTY_STORE_OK && i < n; i++) {
        for (k = 0; k < READS; k++) {
            loyalty_command(&reads, each[k].name, 4);
            loyalty_arg_key(&reads, &job->scope, each[k].kind, ids[i]);
            loyalty_arg_text(&reads, each[k].from);
            loyalty_arg_text(&reads, each[k].to);
        }
    }

    if (result == LOYALTY_STORE_OK) {
        result = loyalty_job_change(job, ids, n, &reads, decide);
    }

    loyalty_commands_free(&reads);
    loyalty_replies_free(&replies);

    return result;
}

static loyalty_store_result_t
step(loyalty_job_t *job)
{
    if (job->queued) {
        return loyalty_job_change(job, NULL, 0, NULL, begin);
    }

    return job->was.cursor.len != 0
                   && job->was.cursor.data[0] == LOYALTY_CHECK_LISTS[0]
               ? loyalty_check_lists(job)
               : step_members(job);
}

const loyalty_job_kind_t loyalty_job_check = {"check", step};
