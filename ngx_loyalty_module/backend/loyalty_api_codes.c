/*
 * Coupon codes: typed ones looked up, new ones made, lists of them.
 */

#include "loyalty_api_codes.h"

#include "loyalty_code.h"
#include "loyalty_wallet_store.h"

bool
loyalty_api_codes_typed(loyalty_api_codes_t *codes, const json_t *cart,
                        loyalty_arena_t *arena)
{
    const json_t *list = json_object_get(cart, "codes");
    loyalty_str_t typed;
    json_t *item;
    char *folded;
    size_t i;

    *codes = (loyalty_api_codes_t){0};
    if (!json_is_array(list)
        || json_array_size(list) > LOYALTY_CART_CODES_MAX) {
        return true; /* the parser says so */
    }

    codes->list = loyalty_alloc(arena,
                                json_array_size(list) * sizeof(*codes->list));
    if (codes->list == NULL) {
        return false;
    }

    json_array_foreach(list, i, item)
    {
        typed = (loyalty_str_t){json_string_value(item),
                                json_string_length(item)};
        folded = loyalty_alloc(arena, LOYALTY_CODE_MAX);
        if (folded == NULL) {
            return false;
        }
        if (json_is_string(item) && loyalty_code_fold(typed, folded)) {
            codes->list[codes->n++].code = (loyalty_str_t){folded, typed.len};
        }
    }

    return true;
}

void
loyalty_api_codes_command(loyalty_api_call_t *call,
                          const loyalty_api_codes_t *codes)
{
    size_t i;

    loyalty_api_command(call, "HMGET", "cd", loyalty_str_null, codes->n);
    for (i = 0; i < codes->n; i++) {
        loyalty_arg(&call->session->commands, codes->list[i].code);
    }
}

bool
loyalty_api_codes_take(loyalty_api_codes_t *codes, const redisReply *reply)
{
    loyalty_str_t value, code;
    size_t i;

    if (!loyalty_reply_array(reply, codes->n)) {
        return false;
    }

    for (i = 0; i < codes->n; i++) {
        if (!loyalty_reply_str(reply->element[i], &value)) {
            return false;
        }

        code = codes->list[i].code;
        if (value.data != NULL && !loyalty_code_take(value, &codes->list[i])) {
            return false;
        }
        codes->list[i].code = code;
    }

    return true;
}

loyalty_status_t
loyalty_api_codes_bring(const loyalty_api_codes_t *codes, loyalty_cart_t *cart,
                        loyalty_str_t hold, loyalty_arena_t *arena)
{
    loyalty_cart_entry_t *entries;
    const loyalty_code_t *code;
    size_t i, j, n = cart->nentries;

    if (codes->n == 0) {
        return LOYALTY_OK;
    }

    entries = loyalty_alloc(arena, (n + codes->n) * sizeof(*entries));
    if (entries == NULL) {
        return LOYALTY_ERROR_MEMORY;
    }

    if (n != 0) {
        memcpy(entries, cart->entries, n * sizeof(*entries));
    }

    for (i = 0; i < codes->n; i++) {
        code = &codes->list[i];
        for (j = 0; j < i && !loyalty_str_eq(codes->list[j].code, code->code);
             j++) {
        }

        /* A member's own comes with the wallet, and is nobody else's. */
        if (j == i && code->offer.len != 0 && code->entitlement.len == 0) {
            entries[n++] = (loyalty_cart_entry_t){
                .offer = code->offer,
                .code = code->code,
                .bearer = true,
                .redeemed = code->order.len != 0,
                .held = code->order.len == 0 && code->hold.len != 0
                        && !loyalty_str_eq(code->hold, hold),
                .expires_at = LOYALTY_NEVER,
            };
        }
    }

    cart->entries = entries;
    cart->nentries = n;
    return LOYALTY_OK;
}
