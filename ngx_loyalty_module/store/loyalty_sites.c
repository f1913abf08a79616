/*
 * The set of sites, the one key that belongs to none of them.
 */

#include "loyalty_sites.h"

#include <stdio.h>

static loyalty_store_result_t
take_ids(const redisReply *list, loyalty_arena_t *arena, loyalty_str_t **ids,
         size_t *n)
{
    loyalty_str_t id;
    size_t i;

    *n = 0;

    if (list->type != REDIS_REPLY_ARRAY) {
        return LOYALTY_STORE_MALFORMED;
    }

    *ids = loyalty_alloc(arena, (list->elements + 1) * sizeof(**ids));
    if (*ids == NULL) {
        return LOYALTY_STORE_MEMORY;
    }

    for (i = 0; i < list->elements; i++) {
        if (!loyalty_reply_str(list->element[i], &id)
            || loyalty_site_id_check(id) != LOYALTY_OK) {
            continue;
        }
        if (loyalty_str_copy(arena, id, &(*ids)[*n]) != LOYALTY_OK) {
            return LOYALTY_STORE_MEMORY;
        }
        (*n)++;
    }

    return LOYALTY_STORE_OK;
}

loyalty_store_result_t
loyalty_sites(loyalty_store_t *store, loyalty_str_t prefix,
              loyalty_arena_t *arena, loyalty_str_t **ids, size_t *n)
{
    loyalty_store_result_t result;
    loyalty_commands_t commands;
    loyalty_replies_t replies;
    char key[LOYALTY_KEY_MAX];

    loyalty_commands_init(&commands);
    loyalty_replies_init(&replies);
    snprintf(key, sizeof(key), "%.*s:sites", (int)prefix.len, prefix.data);
    loyalty_command_words(&commands, "SMEMBERS", key, (char *)NULL);
    result = loyalty_store_call(store, loyalty_str_from(key), &commands,
                                &replies);

    if (result == LOYALTY_STORE_OK) {
        result = take_ids(replies.list[0], arena, ids, n);
    }

    loyalty_replies_free(&replies);
    loyalty_commands_free(&commands);

    return result;
}
