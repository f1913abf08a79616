/*
 * What the orders of a batch redeem.  An order names holds and entries of the
 * wallet alike; each name is looked for among the holds, sorted, so that two
 * events that name the same find the same one.
 *
 * Uses are counted without a look at them (HINCRBY), but for a hold that was
 * given back: what is left of its limits is then read under WATCH.
 */

#include "loyalty_batch_state.h"
#include "loyalty_wallet_store.h"

#include <stdlib.h>

static int
compare_holds(const void *a, const void *b)
{
    const loyalty_batch_hold_t *left = a, *right = b;

    return loyalty_str_cmp(left->id, right->id);
}

bool
loyalty_batch_collect_holds(loyalty_batch_t *batch)
{
    const loyalty_order_event_t *event;
    size_t i, j, n = 0, kept = 0;

    batch->holds = NULL;
    batch->nholds = 0;
    batch->nusage = 0;

    for (i = 0; i < batch->nevents; i++) {
        n += batch->events[i].parsed ? batch->events[i].event.nredemptions : 0;
    }

    if (n == 0) {
        return true;
    }

    batch->holds = loyalty_alloc(&batch->loaded, n * sizeof(*batch->holds));
    if (batch->holds == NULL) {
        return false;
    }

    for (i = 0, n = 0; i < batch->nevents; i++) {
        event = &batch->events[i].event;
        for (j = 0; batch->events[i].parsed && j < event->nredemptions; j++) {
            batch->holds[n++].id = event->redemptions[j];
        }
    }

    qsort(batch->holds, n, sizeof(*batch->holds), compare_holds);

    for (i = 0; i < n; i++) {
        if (kept == 0
            || !loyalty_str_eq(batch->holds[kept - 1].id,
                               batch->holds[i].id)) {
            batch->holds[kept++] = batch->holds[i];
        }
    }

    batch->nholds = kept;
    return true;
}

void
loyalty_batch_command_holds(loyalty_batch_t *batch, const char *name)
{
    size_t i;

    loyalty_command(&batch->commands, name, 1 + batch->nholds);
    for (i = 0; i < batch->nholds; i++) {
        loyalty_arg_key(&batch->commands, &batch->scope, "hd",
                        batch->holds[i].id);
    }
}

/* A hold that cannot be read is none: the order is applied without it. */
bool
loyalty_batch_take_holds(loyalty_batch_t *batch, const redisReply *reply)
{
    loyalty_batch_hold_t *hold;
    loyalty_str_t bytes;
    size_t i;

    if (!loyalty_reply_array(reply, batch->nholds)) {
        return false;
    }

    for (i = 0; i < batch->nholds; i++) {
        hold = &batch->holds[i];
        if (!loyalty_reply_str(reply->element[i], &bytes)) {
            return false;
        }
        hold->found = bytes.data != NULL
                      && loyalty_hold_decode(bytes, &batch->loaded,
                                             &hold->hold)
                             == LOYALTY_OK;
    }

    return true;
}

loyalty_store_result_t
loyalty_batch_load_usage(loyalty_batch_t *batch, loyalty_store_t *store)
{
    loyalty_store_result_t result;
    loyalty_replies_t replies;
    bool over = false;
    size_t i;

    for (i = 0; i < batch->nholds; i++) {
        over |= batch->holds[i].found
                && batch->holds[i].hold.state != LOYALTY_HOLD_HELD;
    }

    if (!over) {
        return LOYALTY_STORE_OK;
    }

    if (loyalty_usage_limited(batch->program, &batch->loaded, &batch->usage,
                              &batch->nusage)
        != LOYALTY_OK) {
        return LOYALTY_STORE_MEMORY;
    }

    if (batch->nusage == 0) {
        return LOYALTY_STORE_OK;
    }

    loyalty_commands_reset(&batch->commands);
    loyalty_command(&batch->commands, "WATCH", 2);
    loyalty_arg_key(&batch->commands, &batch->scope, "u", loyalty_str_null);
    loyalty_usage_command(&batch->scope, batch->usage, batch->nusage,
                          &batch->commands);
    loyalty_replies_init(&replies);
    result = loyalty_store_call(store, batch->scope.site, &batch->commands,
                                &replies);
    if (result == LOYALTY_STORE_OK
        && !loyalty_usage_take(replies.list[1], batch->usage,
                               batch->nusage)) {
        result = LOYALTY_STORE_MALFORMED;
    }
    loyalty_replies_free(&replies);

    return result;
}

static loyalty_batch_hold_t *
find_hold(const loyalty_batch_t *batch, loyalty_str_t id)
{
    loyalty_batch_hold_t key = {.id = id};

    return batch->nholds == 0
               ? NULL
               : bsearch(&key, batch->holds, batch->nholds,
                         sizeof(*batch->holds), compare_holds);
}

loyalty_status_t
loyalty_batch_open_wallet(loyalty_batch_t *batch,
                          loyalty_batch_event_t *event)
{
    loyalty_order_wallet_t *wallet;
    loyalty_batch_hold_t *hold;
    size_t i;

    event->event.wallet = NULL;
    if (batch->nholds == 0 || event->event.nredemptions == 0) {
        return LOYALTY_OK;
    }

    wallet = loyalty_alloc(&batch->loaded, sizeof(*wallet));
    if (wallet == NULL) {
        return LOYALTY_ERROR_MEMORY;
    }

    wallet->holds = loyalty_alloc(&batch->loaded,
                                  event->event.nredemptions
                                      * sizeof(*wallet->holds));
    if (wallet->holds == NULL) {
        return LOYALTY_ERROR_MEMORY;
    }

    for (i = 0; i < event->event.nredemptions; i++) {
        hold = find_hold(batch, event->event.redemptions[i]);
        if (hold != NULL && hold->found) {
            wallet->holds[wallet->nholds++] = &hold->hold;
        }
    }

    wallet->usage = batch->usage;
    wallet->nusage = batch->nusage;
    event->event.wallet = wallet;
    return LOYALTY_OK;
}

void
loyalty_batch_close_wallet(loyalty_batch_t *batch,
                           loyalty_batch_event_t *event)
{
    const loyalty_effects_t *effects = &event->effects;
    loyalty_batch_hold_t *hold;
    size_t i, j;

    event->event.wallet = NULL;

    for (i = 0; i < effects->nusage; i++) {
        for (j = 0; j < batch->nusage; j++) {
            if (loyalty_str_eq(batch->usage[j].offer,
                               effects->usage[i].offer)) {
                batch->usage[j].total += effects->usage[i].total;
                batch->usage[j].spent += effects->usage[i].spent;
            }
        }
    }

    for (i = 0; i < event->event.nredemptions && batch->nholds != 0; i++) {
        hold = find_hold(batch, event->event.redemptions[i]);
        hold->changed |= hold->found
                         && loyalty_str_eq(hold->hold.order,
                                           event->event.order_id);
    }
}

void
loyalty_batch_write_holds(loyalty_batch_t *batch, loyalty_commands_t *commands)
{
    size_t i;

    for (i = 0; i < batch->nholds; i++) {
        if (batch->holds[i].changed) {
            loyalty_hold_write(&batch->scope, &batch->holds[i].hold,
                               &batch->loaded, commands);
        }
    }
}
