/*
 * The replies of a load, in order: WATCH p, [WATCH members], the caller's,
 * STRLEN and GETRANGE of the program, [MGET members].
 */

#include "loyalty_member_change.h"

#define TRIES 50 /* of one transaction; each has lost to somebody's success */

void
loyalty_member_change_init(loyalty_member_change_t *change,
                           loyalty_store_t *store,
                           loyalty_programs_t *programs)
{
    *change = (loyalty_member_change_t){.store = store, .programs = programs};
    loyalty_arena_init(&change->arena, 0);
    loyalty_commands_init(&change->writes);
    loyalty_commands_init(&change->commands);
    loyalty_replies_init(&change->replies);
}

void
loyalty_member_change_free(loyalty_member_change_t *change)
{
    loyalty_replies_free(&change->replies);
    loyalty_commands_free(&change->commands);
    loyalty_commands_free(&change->writes);
    loyalty_arena_free(&change->arena);
}

static void
command_members(loyalty_member_change_t *change, const char *name,
                const loyalty_str_t *ids, size_t n)
{
    size_t i;

    if (n == 0) {
        return;
    }

    loyalty_command(&change->commands, name, 1 + n);
    for (i = 0; i < n; i++) {
        loyalty_arg_key(&change->commands, &change->scope, "m", ids[i]);
    }
}

static bool
take_members(loyalty_member_change_t *change, const loyalty_str_t *ids,
             const redisReply *reply)
{
    loyalty_member_slot_t *slot;
    loyalty_str_t bytes;
    size_t i;

    for (i = 0; i < change->n; i++) {
        slot = &change->list[i];
        slot->id = ids[i];

        if (!loyalty_reply_str(reply->element[i], &bytes)) {
            return false;
        }

        slot->fresh = bytes.data == NULL;
        loyalty_member_init(&slot->before, slot->id);
        if (!slot->fresh) {
            slot->corrupt = loyalty_member_decode(bytes, &change->arena,
                                                  &slot->before)
                            != LOYALTY_OK;
        }
        slot->member = slot->before;
    }

    return true;
}

static loyalty_store_result_t
read_members(loyalty_member_change_t *change, const loyalty_str_t *ids,
             const loyalty_commands_t *reads)
{
    size_t more = reads == NULL ? 0 : reads->count, own;
    loyalty_store_result_t result;

    loyalty_commands_reset(&change->commands);
    loyalty_command(&change->commands, "WATCH", 2);
    loyalty_arg_key(&change->commands, &change->scope, "p", loyalty_str_null);
    command_members(change, "WATCH", ids, change->n);
    own = change->commands.count;
    if (reads != NULL) {
        loyalty_commands_append(&change->commands, reads);
    }
    loyalty_programs_stamp(&change->commands, &change->scope);
    command_members(change, "MGET", ids, change->n);

    result = loyalty_store_call(change->store, change->scope.site,
                                &change->commands, &change->replies);
    if (result != LOYALTY_STORE_OK) {
        return result;
    }

    change->more = change->replies.list + own;

    if (!loyalty_programs_current(change->programs, &change->scope,
                                  change->program, change->more + more)) {
        return LOYALTY_STORE_CONFLICT;
    }

    own += more + LOYALTY_PROGRAMS_STAMP_REPLIES;

    return change->n == 0
                   || (loyalty_reply_array(change->replies.list[own],
                                           change->n)
                       && take_members(change, ids,
                                       change->replies.list[own]))
               ? LOYALTY_STORE_OK : LOYALTY_STORE_MALFORMED;
}

loyalty_store_result_t
loyalty_member_load(loyalty_member_change_t *change,
                    const loyalty_scope_t *scope, const loyalty_str_t *ids,
                    size_t n, const loyalty_commands_t *reads)
{
    loyalty_store_result_t result;

    loyalty_arena_reset(&change->arena);
    loyalty_replies_free(&change->replies);
    change->scope = *scope;
    change->n = n;
    change->list = loyalty_alloc(&change->arena,
                                 (n == 0 ? 1 : n) * sizeof(*change->list));
    if (change->list == NULL) {
        return LOYALTY_STORE_MEMORY;
    }

    result = loyalty_programs_get(change->programs, change->store, scope,
                                  &change->program);
    if (result != LOYALTY_STORE_OK || change->program == NULL) {
        return result;
    }

    result = read_members(change, ids, reads);
    if (result != LOYALTY_STORE_OK) {
        loyalty_store_unwatch(change->store, scope->site);
    }

    return result;
}

void
loyalty_member_change_write(loyalty_member_change_t *change,
                            loyalty_commands_t *commands)
{
    loyalty_member_writer_t writer = {&change->scope, change->program,
                                      &change->arena, commands,
                                      change->origin};
    const loyalty_member_slot_t *slot;
    size_t i;

    for (i = 0; i < change->n; i++) {
        slot = &change->list[i];
        if (slot->changed) {
            loyalty_member_write(&writer, slot->fresh ? NULL : &slot->before,
                                 &slot->member);
            loyalty_member_write_effects(&writer, slot->id, &slot->effects);
        }
    }
}

/* The second half of a try. */
static loyalty_store_result_t
transact(loyalty_member_change_t *change)
{
    loyalty_commands_t *commands = &change->commands;

    loyalty_commands_reset(commands);
    loyalty_command(commands, "MULTI", 1);
    loyalty_member_change_write(change, commands);
    loyalty_commands_append(commands, &change->writes);

    if (commands->count == 1) {
        loyalty_store_unwatch(change->store, change->scope.site);
        return LOYALTY_STORE_OK;
    }

    loyalty_command(commands, "EXEC", 1);

    return loyalty_store_exec(change->store, change->scope.site, commands);
}

loyalty_store_result_t
loyalty_member_change(loyalty_member_change_t *change,
                      const loyalty_scope_t *scope, const loyalty_str_t *ids,
                      size_t n, const loyalty_commands_t *reads,
                      loyalty_member_change_pt decide, void *data)
{
    loyalty_store_result_t result = LOYALTY_STORE_CONFLICT;
    int tries;

    for (tries = 0; tries < TRIES && result == LOYALTY_STORE_CONFLICT;
         tries++) {
        loyalty_commands_reset(&change->writes);
        result = loyalty_member_load(change, scope, ids, n, reads);

        if (result == LOYALTY_STORE_OK && change->program == NULL) {
            return LOYALTY_STORE_FENCED;
        }

        if (result == LOYALTY_STORE_OK) {
            result = decide(change, data);
            if (result != LOYALTY_STORE_OK) {
                loyalty_store_unwatch(change->store, scope->site);
                return result;
            }
            result = transact(change);
        }
    }

    return result;
}
