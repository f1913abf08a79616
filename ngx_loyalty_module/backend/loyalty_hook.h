/*
 * Deliveries to the merchant's systems, in Redis.
 *
 *   s:events, s:posts --take--> pending --2xx--> done    kept for days
 *                                |   ^             |
 *            a day, 410, no such |   |             |
 *            webhook any more    v   +--- replay --+
 *                               dead --------------+
 *
 *   wd:{site}:DELIVERY    hash  s state, w webhook, k type, e id of the event
 *                               (the idempotency key), b body, u URI of an
 *                               order post, a created, f first try, y tries,
 *                               c last status of HTTP, m last error, t end
 *   x:{site}:deliveries   zset  pending ones by the instant of the next try
 *   wl:{site}[:STATE]     zset  deliveries (in that state) by created_at
 */

#ifndef LOYALTY_HOOK_H
#define LOYALTY_HOOK_H

#include "loyalty_store.h"

/* "MS-SEQ.WEBHOOK", "test-HEX.WEBHOOK" or "post-MS-SEQ". */
#define LOYALTY_HOOK_ID_MAX (42 + LOYALTY_ID_MAX)

/* Of what the edge could not post; has no webhook. */
#define LOYALTY_HOOK_ORDER_POST "order.post"

/* What staff asked for, to see whether it arrives. */
#define LOYALTY_HOOK_TEST "webhook.test"

typedef struct {
    loyalty_str_t id;
    loyalty_str_t state;
    loyalty_str_t webhook, type, key, body, uri;
    loyalty_instant_t created_at;
    loyalty_instant_t first_try; /* LOYALTY_UNKNOWN: none yet */
    int64_t tries;
} loyalty_hook_t;

static inline bool
loyalty_hook_is_order(const loyalty_hook_t *hook)
{
    return loyalty_str_eq(hook->type, loyalty_str(LOYALTY_HOOK_ORDER_POST));
}

/* HGETALL of one; false: there is none.  Strings point into the reply. */
bool loyalty_hook_read(const redisReply *reply, loyalty_str_t id,
                       loyalty_hook_t *hook);

/* One after another, in the arena, terminated; NULL without memory. */
char *loyalty_hook_join(const loyalty_str_t *parts, size_t n,
                        loyalty_arena_t *arena);

/* {"id","type","site","at","data"}, terminated; NULL without memory.  `data` is
 * JSON, and neither id, type nor site needs escapes. */
char *loyalty_hook_body(loyalty_str_t id, loyalty_str_t type,
                        loyalty_str_t site, loyalty_instant_t at,
                        loyalty_str_t data, loyalty_arena_t *arena);

/* Appended to the caller's MULTI: a new one, due at `now`. */
void loyalty_hook_create(const loyalty_hook_t *hook, loyalty_instant_t now,
                         const loyalty_scope_t *scope,
                         loyalty_commands_t *commands);

/* A pending one is over: "done" or "dead". */
void loyalty_hook_end(const loyalty_hook_t *hook, const char *state,
                      loyalty_instant_t now, const loyalty_scope_t *scope,
                      loyalty_commands_t *commands);

/* One that is over begins again. */
void loyalty_hook_replay(const loyalty_hook_t *hook, loyalty_instant_t now,
                         const loyalty_scope_t *scope,
                         loyalty_commands_t *commands);

#endif
