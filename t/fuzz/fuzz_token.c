/*
 * libFuzzer: no bytes but ours are a token, and ours come back as they went:
 * the input is verified as it is, then signed as a payload, verified, and
 * verified again with one byte changed.
 */

#include <stdlib.h>

#include "loyalty_token.h"

#define NOW INT64_C(1767225600000)

static const loyalty_str_t secret = {"0123456789abcdef", 16};
static const loyalty_str_t site = {"demo", 4};

static loyalty_status_t
verify(const char *token, size_t len, loyalty_str_t *payload)
{
    static char buffer[LOYALTY_TOKEN_SIZE];

    return loyalty_token_verify(LOYALTY_TOKEN_CLICK, secret, site, NOW,
                                (loyalty_str_t){token, len}, buffer, payload);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    loyalty_str_t given = {(const char *)data, size}, payload;
    char token[LOYALTY_TOKEN_SIZE];
    size_t len;

    if (verify(given.data, given.len, &payload) == LOYALTY_OK) {
        abort(); /* nobody told the fuzzer the secret */
    }

    if (loyalty_token_sign(LOYALTY_TOKEN_CLICK, secret, site, NOW + 1, given,
                           token, &len)
        != LOYALTY_OK) {
        if (size <= LOYALTY_TOKEN_PAYLOAD_MAX) {
            abort();
        }
        return 0;
    }

    if (verify(token, len, &payload) != LOYALTY_OK
        || !loyalty_str_eq(payload, given)) {
        abort();
    }

    token[(size * 7) % len] ^= 1;
    if (verify(token, len, &payload) == LOYALTY_OK) {
        abort();
    }

    return 0;
}
