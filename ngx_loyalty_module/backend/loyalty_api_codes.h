/*
 * Codes that a shopper types, looked up in the index.
 */

#ifndef LOYALTY_API_CODES_H
#define LOYALTY_API_CODES_H

#include "loyalty_api_call.h"
#include "loyalty_cart.h"

typedef struct {
    loyalty_code_t *list; /* folded; no offer: not in the index */
    size_t n;
} loyalty_api_codes_t;

/* The codes of the request, as the index has them; false: out of memory. */
bool loyalty_api_codes_typed(loyalty_api_codes_t *codes, const json_t *cart,
                             loyalty_arena_t *arena);

/* HMGET of them, and its reply, into which the codes then point. */
void loyalty_api_codes_command(loyalty_api_call_t *call,
                               const loyalty_api_codes_t *codes);
bool loyalty_api_codes_take(loyalty_api_codes_t *codes,
                            const redisReply *reply);

/* Those that are anybody's, as entries of the cart; `hold` is the checkout's
 * own, or empty. */
loyalty_status_t loyalty_api_codes_bring(const loyalty_api_codes_t *codes,
                                         loyalty_cart_t *cart,
                                         loyalty_str_t hold,
                                         loyalty_arena_t *arena);

#endif
