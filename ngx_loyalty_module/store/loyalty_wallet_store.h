/*
 * Uses, codes and holds in Redis.
 *
 *   u   "u:OFFER" uses, "s:OFFER" money given: HINCRBY, since changes of it
 *       need no look at what was there; who decides by it WATCHes it
 *   cd  the folded code -> offer \0 member \0 entitlement \0 hold \0 order
 *   hd  a hold; for LOYALTY_HOLD_KEPT_MS after it is over
 */

#ifndef LOYALTY_WALLET_STORE_H
#define LOYALTY_WALLET_STORE_H

#include "loyalty_hold.h"
#include "loyalty_store.h"

/* The changes of uses and codes in the effects; none: no command. */
void loyalty_wallet_write(const loyalty_scope_t *scope,
                          const loyalty_effects_t *effects,
                          loyalty_arena_t *arena,
                          loyalty_commands_t *commands);

/* The hold as it is now, and its place among those in force. */
void loyalty_hold_write(const loyalty_scope_t *scope,
                        const loyalty_hold_t *hold, loyalty_arena_t *arena,
                        loyalty_commands_t *commands);

/* The offers whose uses somebody must look at: those with a limit or budget.
 * LOYALTY_ERROR_MEMORY. */
loyalty_status_t loyalty_usage_limited(const loyalty_program_t *program,
                                       loyalty_arena_t *arena,
                                       loyalty_usage_t **usage, size_t *n);

/* HMGET of the uses of `usage`, which must not be empty, and its reply. */
void loyalty_usage_command(const loyalty_scope_t *scope,
                           const loyalty_usage_t *usage, size_t n,
                           loyalty_commands_t *commands);
bool loyalty_usage_take(const redisReply *reply, loyalty_usage_t *usage,
                        size_t n);

/* A value of cd; false: nobody of ours wrote it.  Strings point into it. */
bool loyalty_code_take(loyalty_str_t value, loyalty_code_t *code);

#endif
