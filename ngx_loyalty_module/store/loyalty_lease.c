/*
 * The lease of a site: taken with NX, renewed and released by comparing under
 * WATCH.
 */

#include "loyalty_lease.h"

#include <stdio.h>
#include <sys/random.h>

#include "loyalty_link.h"

void
loyalty_lease_renewed(loyalty_lease_t *lease)
{
    lease->renew_at = loyalty_link_now() + LOYALTY_LEASE_MS / 3;
}

static void
command_key(loyalty_commands_t *commands, const char *name, size_t argc,
            const loyalty_lease_t *lease, const loyalty_scope_t *scope)
{
    loyalty_command(commands, name, argc);
    loyalty_arg_key(commands, scope, "x", loyalty_str_from(lease->name));
}

static void
command_set(loyalty_commands_t *commands, const loyalty_lease_t *lease,
            const loyalty_scope_t *scope, const char *condition)
{
    command_key(commands, "SET", condition != NULL ? 6 : 5, lease, scope);
    loyalty_arg(commands, loyalty_lease_token(lease));
    loyalty_arg_text(commands, "PX");
    loyalty_arg_int(commands, LOYALTY_LEASE_MS);
    if (condition != NULL) {
        loyalty_arg_text(commands, condition);
    }
}

loyalty_store_result_t
loyalty_lease_take(loyalty_lease_t *lease, loyalty_store_t *store,
                   const loyalty_scope_t *scope)
{
    loyalty_store_result_t result;
    loyalty_commands_t commands;
    loyalty_replies_t replies;
    uint64_t random[2];

    lease->held = false;

    if (getrandom(random, sizeof(random), 0) != sizeof(random)) {
        return LOYALTY_STORE_MEMORY;
    }

    snprintf(lease->token, sizeof(lease->token), "%016llx%016llx",
             (unsigned long long)random[0], (unsigned long long)random[1]);

    loyalty_commands_init(&commands);
    loyalty_replies_init(&replies);
    command_set(&commands, lease, scope, "NX");
    result = loyalty_store_call(store, scope->site, &commands, &replies);

    if (result == LOYALTY_STORE_OK) {
        if (replies.list[0]->type == REDIS_REPLY_ERROR) {
            result = LOYALTY_STORE_REFUSED;
        } else if (!loyalty_reply_is_nil(replies.list[0])) {
            lease->held = true;
            loyalty_lease_renewed(lease);
        }
    }

    loyalty_replies_free(&replies);
    loyalty_commands_free(&commands);

    return result;
}

/* WATCH and compare; false in *ours: another's, or nobody's. */
static loyalty_store_result_t
compare(const loyalty_lease_t *lease, loyalty_store_t *store,
        const loyalty_scope_t *scope, bool *ours)
{
    loyalty_store_result_t result;
    loyalty_commands_t commands;
    loyalty_replies_t replies;
    loyalty_str_t value;

    loyalty_commands_init(&commands);
    loyalty_replies_init(&replies);
    command_key(&commands, "WATCH", 2, lease, scope);
    command_key(&commands, "GET", 2, lease, scope);
    result = loyalty_store_call(store, scope->site, &commands, &replies);

    *ours = result == LOYALTY_STORE_OK
            && loyalty_reply_str(replies.list[1], &value)
            && loyalty_str_eq(value, loyalty_lease_token(lease));

    loyalty_replies_free(&replies);
    loyalty_commands_free(&commands);

    return result;
}

loyalty_store_result_t
loyalty_lease_renew(loyalty_lease_t *lease, loyalty_store_t *store,
                    const loyalty_scope_t *scope)
{
    loyalty_store_result_t result;
    loyalty_commands_t commands;
    bool ours;

    result = compare(lease, store, scope, &ours);
    if (result != LOYALTY_STORE_OK) {
        return result;
    }

    if (!ours) {
        lease->held = false;
        loyalty_store_unwatch(store, scope->site);
        return LOYALTY_STORE_OK;
    }

    loyalty_commands_init(&commands);
    loyalty_command(&commands, "MULTI", 1);
    command_set(&commands, lease, scope, NULL);
    loyalty_command(&commands, "EXEC", 1);
    result = loyalty_store_exec(store, scope->site, &commands);
    loyalty_commands_free(&commands);

    if (result == LOYALTY_STORE_CONFLICT) {
        lease->held = false;
        return LOYALTY_STORE_OK;
    }

    if (result == LOYALTY_STORE_OK) {
        loyalty_lease_renewed(lease);
    }

    return result;
}

void
loyalty_lease_release(loyalty_lease_t *lease, loyalty_store_t *store,
                      const loyalty_scope_t *scope)
{
    loyalty_commands_t commands;
    bool ours;

    if (!lease->held) {
        return;
    }

    lease->held = false;

    if (compare(lease, store, scope, &ours) != LOYALTY_STORE_OK) {
        return;
    }

    if (!ours) {
        loyalty_store_unwatch(store, scope->site);
        return;
    }

    loyalty_commands_init(&commands);
    loyalty_command(&commands, "MULTI", 1);
    command_key(&commands, "DEL", 2, lease, scope);
    loyalty_command(&commands, "EXEC", 1);
    loyalty_store_exec(store, scope->site, &commands);
    loyalty_commands_free(&commands);
}
