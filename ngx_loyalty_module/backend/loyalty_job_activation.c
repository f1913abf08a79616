/*
 * A site begins to be active: statuses of all members from the recorded
 * history (DOMAIN.md section 1); with "backfill" also points for the orders
 * that earned none, each order once.
 */

#include <stdlib.h>

#include "loyalty_job_kinds.h"
#include "loyalty_order.h"

/* Members, and about how many orders, of one transaction with points. */
#define PAGE_MEMBERS 32
#define PAGE_ORDERS 2000

typedef struct {
    const redisReply *ids; /* of one member's orders */
    size_t first;          /* of the page's orders */
} history_t;

static loyalty_status_t
settle(loyalty_job_t *job, loyalty_member_slot_t *slot,
       loyalty_member_change_t *change)
{
    loyalty_status_t status;
    bool changed = slot->changed;

    if (slot->fresh) {
        return LOYALTY_OK; /* left the list since it was read */
    }

    status = loyalty_member_evaluate(&slot->member, job->program, job->now,
                                     &change->arena, &slot->effects);
    slot->changed = changed
                    || (status == LOYALTY_OK && slot->effects.member_changed);

    return status;
}

static void
write_order(loyalty_member_change_t *change, loyalty_str_t id,
            const loyalty_order_t *order)
{
    loyalty_str_t bytes;

    if (loyalty_order_encode(order, &change->arena, &bytes) != LOYALTY_OK) {
        change->writes.failed = true;
        return;
    }

    loyalty_command(&change->writes, "SET", 3);
    loyalty_arg_key(&change->writes, &change->scope, "o", id);
    loyalty_arg(&change->writes, bytes);
}

/* One order's points; its entries are written here, for the slot has room for
 * one set of effects.  *given counts the orders. */
static loyalty_status_t
backfill(loyalty_job_t *job, loyalty_member_slot_t *slot,
         loyalty_member_change_t *change, const redisReply *reply,
         size_t *given)
{
    loyalty_member_writer_t writer = {.scope = &change->scope,
                                      .program = change->program,
                                      .arena = &change->arena,
                                      .commands = &change->writes};
    loyalty_effects_t effects;
    loyalty_order_t *order;
    loyalty_status_t status;
    loyalty_str_t bytes;

    if (!loyalty_reply_str(reply, &bytes) || bytes.data == NULL) {
        return LOYALTY_OK;
    }

    status = loyalty_order_decode(bytes, &change->arena, &order);
    if (status == LOYALTY_OK) {
        status = loyalty_order_backfill(job->program, &slot->member, &order,
                                        job->now, &change->arena, &effects);
    }

    if (status == LOYALTY_OK && effects.order_changed) {
        slot->changed = true;
        write_order(change, order->id, order);
        loyalty_member_write_effects(&writer, slot->id, &effects);
        (*given)++;
    }

    return status;
}

static loyalty_status_t
backfill_member(loyalty_job_t *job, loyalty_member_slot_t *slot,
                loyalty_member_change_t *change)
{
    const history_t *history = job->data;
    const redisReply *orders;
    loyalty_status_t status;
    loyalty_str_t id;
    size_t i, given = 0;

    history += slot - change->list;

    for (i = 0; i < history->ids->elements && !slot->fresh; i++) {
        orders = loyalty_job_reply(job, 1);
        if (!loyalty_reply_array(orders, orders->elements)) {
            return LOYALTY_ERROR_CORRUPT;
        }

        status = backfill(job, slot, change,
                          orders->element[history->first + i], &given);
        if (status == LOYALTY_ERROR_MEMORY) {
            return status;
        }
        if (status != LOYALTY_OK
            && loyalty_reply_str(history->ids->element[i], &id)) {
            loyalty_job_failure(job, id, loyalty_status_name(status),
                                "the order's points cannot be given");
        }
    }

    status = settle(job, slot, change);

    while (status == LOYALTY_OK && given-- != 0) {
        loyalty_job_count(job, "orders");
    }

    return status;
}

/* The ids of the orders of as many members as fit one transaction; *n is
 * lowered to them. */
static loyalty_store_result_t
read_histories(loyalty_job_t *job, const loyalty_str_t *ids, size_t *n,
               loyalty_replies_t *replies, loyalty_commands_t *reads)
{
    loyalty_store_result_t result;
    loyalty_commands_t commands;
    size_t i, k, total = 0;
    const char *name;
    loyalty_str_t id;
    history_t *histories;

    if (*n == 0) {
        return LOYALTY_STORE_OK;
    }

    loyalty_commands_init(&commands);
    for (i = 0; i < *n; i++) {
        loyalty_command(&commands, "ZRANGE", 4);
        loyalty_arg_key(&commands, &job->scope, "mo", ids[i]);
        loyalty_arg_int(&commands, 0);
        loyalty_arg_int(&commands, -1);
    }
    result = loyalty_store_call(job->store, job->scope.site, &commands,
                                replies);
    loyalty_commands_free(&commands);
    if (result != LOYALTY_STORE_OK) {
        return result;
    }

    histories = loyalty_alloc(job->arena, *n * sizeof(*histories));
    if (histories == NULL) {
        return LOYALTY_STORE_MEMORY;
    }

    for (i = 0; i < *n && (i == 0 || total < PAGE_ORDERS); i++) {
        if (replies->list[i]->type != REDIS_REPLY_ARRAY) {
            return LOYALTY_STORE_MALFORMED;
        }
        histories[i] = (history_t){replies->list[i], total};
        total += replies->list[i]->elements;
    }

    *n = i;
    job->data = histories;

    for (name = "WATCH"; total != 0; name = "MGET") {
        loyalty_command(reads, name, 1 + total);
        for (i = 0; i < *n; i++) {
            for (k = 0; k < histories[i].ids->elements; k++) {
                loyalty_reply_str(histories[i].ids->element[k], &id);
                loyalty_arg_key(reads, &job->scope, "o", id);
            }
        }
        if (name[0] == 'M') {
            break;
        }
    }

    return LOYALTY_STORE_OK;
}

static loyalty_store_result_t
step_with_points(loyalty_job_t *job)
{
    loyalty_store_result_t result;
    loyalty_replies_t list, orders;
    loyalty_commands_t reads;
    loyalty_str_t *ids;
    size_t n, found;

    loyalty_replies_init(&list);
    loyalty_replies_init(&orders);
    loyalty_commands_init(&reads);
    result = loyalty_job_ids(job, "mi", loyalty_str_null, PAGE_MEMBERS, &list,
                             &ids, &n);
    found = n;

    if (result == LOYALTY_STORE_OK) {
        result = read_histories(job, ids, &n, &orders, &reads);
    }
    if (result == LOYALTY_STORE_OK) {
        result = loyalty_job_page(job, ids, n,
                                  n == found && n < PAGE_MEMBERS,
                                  reads.count != 0 ? &reads : NULL,
                                  backfill_member);
    }

    loyalty_commands_free(&reads);
    loyalty_replies_free(&orders);
    loyalty_replies_free(&list);

    return result;
}

static loyalty_store_result_t
step(loyalty_job_t *job)
{
    return json_is_true(json_object_get(job->params, "backfill"))
               ? step_with_points(job)
               : loyalty_job_scan(job, "mi", loyalty_str_null, settle);
}

const loyalty_job_kind_t loyalty_job_activation = {"activation", step};
