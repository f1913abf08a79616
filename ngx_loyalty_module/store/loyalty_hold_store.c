/*
 * GET the hold to learn whose it is, then all of it again under WATCH.
 */

#include "loyalty_hold_store.h"

#include "loyalty_wallet_store.h"

typedef struct {
    loyalty_instant_t now;
    bool due;
    loyalty_hold_end_t end;
} ending_t;

static loyalty_store_result_t
decide(loyalty_member_change_t *change, void *data)
{
    ending_t *ending = data;
    loyalty_member_slot_t *slot = change->n == 0 ? NULL : &change->list[0];
    bool member = slot != NULL && !slot->fresh && !slot->corrupt;
    loyalty_effects_t guest = {0};
    loyalty_effects_t *effects = slot == NULL ? &guest : &slot->effects;
    loyalty_status_t status;
    loyalty_hold_t hold;
    loyalty_str_t bytes;

    if (!loyalty_reply_str(change->more[1], &bytes)) {
        return LOYALTY_STORE_MALFORMED;
    }

    if (bytes.data == NULL) {
        ending->end = LOYALTY_HOLD_GONE;
        return LOYALTY_STORE_OK;
    }

    if (loyalty_hold_decode(bytes, &change->arena, &hold) != LOYALTY_OK) {
        return LOYALTY_STORE_MALFORMED;
    }

    ending->end = hold.state == LOYALTY_HOLD_RELEASED ? LOYALTY_HOLD_ENDED
                                                      : LOYALTY_HOLD_KEPT;
    if (hold.state != LOYALTY_HOLD_HELD
        || (ending->due && loyalty_hold_is_live(&hold, ending->now))) {
        return LOYALTY_STORE_OK;
    }

    status = loyalty_hold_release(&hold, member ? &slot->member : NULL,
                                  ending->now,
                                  ending->due ? loyalty_str("expired")
                                              : loyalty_str("released"),
                                  &change->arena, effects);
    if (status != LOYALTY_OK) {
        return status == LOYALTY_ERROR_MEMORY ? LOYALTY_STORE_MEMORY
                                              : LOYALTY_STORE_MALFORMED;
    }

    if (effects->member_changed) {
        slot->changed = true;
    } else {
        loyalty_wallet_write(&change->scope, effects, &change->arena,
                             &change->writes);
    }

    loyalty_hold_write(&change->scope, &hold, &change->arena, &change->writes);
    ending->end = LOYALTY_HOLD_ENDED;
    return LOYALTY_STORE_OK;
}

static loyalty_store_result_t
read_owner(loyalty_member_change_t *change, const loyalty_scope_t *scope,
           loyalty_str_t id, loyalty_arena_t *arena, loyalty_str_t *member,
           bool *found)
{
    loyalty_store_result_t result;
    loyalty_replies_t replies;
    loyalty_hold_t hold;
    loyalty_str_t bytes = loyalty_str_null;

    loyalty_commands_reset(&change->commands);
    loyalty_command(&change->commands, "GET", 2);
    loyalty_arg_key(&change->commands, scope, "hd", id);
    loyalty_replies_init(&replies);
    result = loyalty_store_call(change->store, scope->site, &change->commands,
                                &replies);

    if (result == LOYALTY_STORE_OK
        && !loyalty_reply_str(replies.list[0], &bytes)) {
        result = LOYALTY_STORE_MALFORMED;
    }

    *found = result == LOYALTY_STORE_OK && bytes.data != NULL;
    if (*found
        && (loyalty_hold_decode(bytes, arena, &hold) != LOYALTY_OK
            || loyalty_str_copy(arena, hold.member, member) != LOYALTY_OK)) {
        result = LOYALTY_STORE_MALFORMED;
    }

    loyalty_replies_free(&replies);
    return result;
}

loyalty_store_result_t
loyalty_hold_end(loyalty_member_change_t *change, const loyalty_scope_t *scope,
                 loyalty_str_t id, loyalty_instant_t now, bool due,
                 loyalty_hold_end_t *end)
{
    ending_t ending = {.now = now, .due = due, .end = LOYALTY_HOLD_GONE};
    loyalty_store_result_t result;
    loyalty_str_t member = loyalty_str_null;
    loyalty_commands_t reads;
    loyalty_arena_t arena;
    bool found;

    loyalty_arena_init(&arena, 0);
    loyalty_commands_init(&reads);
    result = read_owner(change, scope, id, &arena, &member, &found);

    if (result == LOYALTY_STORE_OK && found) {
        loyalty_command(&reads, "WATCH", 2);
        loyalty_arg_key(&reads, scope, "hd", id);
        loyalty_command(&reads, "GET", 2);
        loyalty_arg_key(&reads, scope, "hd", id);
        result = loyalty_member_change(change, scope, &member,
                                       member.len != 0, &reads, decide,
                                       &ending);
    }

    *end = ending.end;
    loyalty_commands_free(&reads);
    loyalty_arena_free(&arena);
    return result;
}

/* A hold that is in no force any more, or cannot be read, is not looked at
 * over and over. */
static loyalty_store_result_t
forget(loyalty_member_change_t *change, const loyalty_scope_t *scope,
       loyalty_str_t id)
{
    loyalty_store_result_t result;
    loyalty_replies_t replies;

    loyalty_commands_reset(&change->commands);
    loyalty_command(&change->commands, "ZREM", 3);
    loyalty_arg_key(&change->commands, scope, "x", loyalty_str("holds"));
    loyalty_arg(&change->commands, id);
    loyalty_replies_init(&replies);
    result = loyalty_store_call(change->store, scope->site, &change->commands,
                                &replies);
    loyalty_replies_free(&replies);

    return result;
}

loyalty_store_result_t
loyalty_holds_expire(loyalty_member_change_t *change,
                     const loyalty_scope_t *scope, loyalty_instant_t now,
                     size_t most, size_t *ended)
{
    const loyalty_program_t *program;
    loyalty_store_result_t result;
    loyalty_replies_t replies;
    loyalty_hold_end_t end;
    loyalty_str_t id;
    size_t i;

    *ended = 0;

    /* Without a program to go by, no hold is to be taken for unreadable. */
    result = loyalty_programs_get(change->programs, change->store, scope,
                                  &program);
    if (result != LOYALTY_STORE_OK || program == NULL) {
        return result;
    }

    loyalty_commands_reset(&change->commands);
    loyalty_command(&change->commands, "ZRANGEBYSCORE", 7);
    loyalty_arg_key(&change->commands, scope, "x", loyalty_str("holds"));
    loyalty_arg_text(&change->commands, "-inf");
    loyalty_arg_int(&change->commands, now);
    loyalty_arg_text(&change->commands, "LIMIT");
    loyalty_arg_int(&change->commands, 0);
    loyalty_arg_int(&change->commands, (int64_t)most);
    loyalty_replies_init(&replies);
    result = loyalty_store_call(change->store, scope->site, &change->commands,
                                &replies);

    if (result == LOYALTY_STORE_OK
        && replies.list[0]->type != REDIS_REPLY_ARRAY) {
        result = LOYALTY_STORE_MALFORMED;
    }

    for (i = 0; result == LOYALTY_STORE_OK && i < replies.list[0]->elements;
         i++) {
        if (!loyalty_reply_str(replies.list[0]->element[i], &id)) {
            result = LOYALTY_STORE_MALFORMED;
            break;
        }

        result = loyalty_hold_end(change, scope, id, now, true, &end);
        if (result == LOYALTY_STORE_MALFORMED
            || (result == LOYALTY_STORE_OK && end == LOYALTY_HOLD_GONE)) {
            result = forget(change, scope, id);
        } else if (result == LOYALTY_STORE_CONFLICT) {
            result = LOYALTY_STORE_OK; /* its owner is busy: the next time */
        } else {
            *ended += end == LOYALTY_HOLD_ENDED;
        }
    }

    loyalty_replies_free(&replies);
    return result;
}
