/*
 * Signed, expiring, typed tokens: HMAC-SHA256 over type, site, expiry and
 * payload, base64url without padding, safe in a URL path.  A token of one
 * type, site or purpose is worth nothing for another.
 */

#ifndef LOYALTY_TOKEN_H
#define LOYALTY_TOKEN_H

#include "loyalty.h"

typedef enum {
    LOYALTY_TOKEN_PREVIEW = 1, /* a page of a programme not yet active */
    LOYALTY_TOKEN_OPEN,        /* the image of a message */
    LOYALTY_TOKEN_CLICK,       /* a link of a message */
    LOYALTY_TOKEN_UNSUBSCRIBE
} loyalty_token_type_t;

/* The payload of a preview: this, or nothing for the programme as it is. */
#define LOYALTY_PREVIEW_DRAFT "draft"

#define LOYALTY_TOKEN_PAYLOAD_MAX 2048
#define LOYALTY_TOKEN_SIZE 4096
#define LOYALTY_TOKEN_SECRET_MIN 16 /* a shorter secret is refused */

/* `token` has LOYALTY_TOKEN_SIZE bytes; the length goes to *len. */
loyalty_status_t loyalty_token_sign(loyalty_token_type_t type,
                                    loyalty_str_t secret, loyalty_str_t site,
                                    loyalty_instant_t expires_at,
                                    loyalty_str_t payload, char *token,
                                    size_t *len);

/*
 * The payload, decoded into `buffer` (LOYALTY_TOKEN_SIZE bytes).
 * LOYALTY_ERROR_INVALID malformed, _SIGNATURE another secret, type or site,
 * _EXPIRED at `now` >= expires_at.  Compares in constant time.
 */
loyalty_status_t loyalty_token_verify(loyalty_token_type_t type,
                                      loyalty_str_t secret, loyalty_str_t site,
                                      loyalty_instant_t now,
                                      loyalty_str_t token, char *buffer,
                                      loyalty_str_t *payload);

/* HMAC-SHA256 as 64 lower-case hex digits, for header signatures. */
loyalty_status_t loyalty_hmac_hex(loyalty_str_t secret, loyalty_str_t text,
                                  char hex[65]);

/* Equal in a time that depends on the lengths only. */
bool loyalty_secret_eq(loyalty_str_t a, loyalty_str_t b);

#endif
