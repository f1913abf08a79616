/*
 * Tokens: base64url of
 *
 *     version 1 | type 1 | expires_at 8 | payload | mac 32
 *
 * big-endian, the mac being HMAC-SHA256 by the secret over
 *
 *     version 1 | type 1 | expires_at 8 | site_len 2 | site | payload
 *
 * The site is part of what is signed but not of what is sent: the verifier
 * says which site it serves.  There is one text for one token: padding, other
 * alphabets and stray bits at the end are refused.
 */

#include "loyalty_token.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#define TOKEN_VERSION 1
#define HEAD_SIZE 10
#define MAC_SIZE 32
#define BODY_MAX (HEAD_SIZE + LOYALTY_TOKEN_PAYLOAD_MAX + MAC_SIZE)

_Static_assert((BODY_MAX * 4 + 2) / 3 < LOYALTY_TOKEN_SIZE,
               "a token fits its buffer");

static const char alphabet[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static void
put_head(unsigned char *head, loyalty_token_type_t type,
         loyalty_instant_t expires_at)
{
    uint64_t bits = (uint64_t)expires_at;

    head[0] = TOKEN_VERSION;
    head[1] = (unsigned char)type;

    for (int i = 0; i < 8; i++) {
        head[2 + i] = (unsigned char)(bits >> (56 - 8 * i));
    }
}

static loyalty_instant_t
head_expires_at(const unsigned char *head)
{
    uint64_t bits = 0;

    for (int i = 0; i < 8; i++) {
        bits = bits << 8 | head[2 + i];
    }

    return (loyalty_instant_t)bits;
}

static bool
hmac(loyalty_str_t secret, const unsigned char *text, size_t len,
     unsigned char mac[MAC_SIZE])
{
    unsigned int n = MAC_SIZE;

    return HMAC(EVP_sha256(), secret.data, (int)secret.len, text, len, mac, &n)
           != NULL;
}

static bool
secret_fits(loyalty_str_t secret)
{
    return secret.len >= LOYALTY_TOKEN_SECRET_MIN
           && secret.len <= LOYALTY_SECRET_MAX;
}

static bool
token_mac(const unsigned char *head, loyalty_str_t secret, loyalty_str_t site,
          const unsigned char *payload, size_t payload_len,
          unsigned char mac[MAC_SIZE])
{
    unsigned char text[HEAD_SIZE + 2 + LOYALTY_SITE_ID_MAX
                       + LOYALTY_TOKEN_PAYLOAD_MAX];
    unsigned char *p = text;

    memcpy(p, head, HEAD_SIZE);
    p += HEAD_SIZE;
    *p++ = (unsigned char)(site.len >> 8);
    *p++ = (unsigned char)site.len;
    memcpy(p, site.data, site.len);
    p += site.len;

    if (payload_len > 0) {
        memcpy(p, payload, payload_len);
        p += payload_len;
    }

    return hmac(secret, text, (size_t)(p - text), mac);
}

static size_t
base64url(const unsigned char *bytes, size_t n, char *text)
{
    char *p = text;
    uint32_t bits = 0;
    int have = 0;

    for (size_t i = 0; i < n; i++) {
        bits = bits << 8 | bytes[i];

        for (have += 8; have >= 6; have -= 6) {
            *p++ = alphabet[bits >> (have - 6) & 0x3f];
        }
    }

    if (have > 0) {
        *p++ = alphabet[bits << (6 - have) & 0x3f];
    }

    return (size_t)(p - text);
}

static int
base64url_value(char c)
{
    const char *p = c == '\0' ? NULL : strchr(alphabet, c);

    return p == NULL ? -1 : (int)(p - alphabet);
}

/* The bytes go into `bytes`, which has room for BODY_MAX. */
static bool
base64url_decode(loyalty_str_t text, unsigned char *bytes, size_t *n)
{
    uint32_t bits = 0;
    int have = 0;

    if (text.len * 6 / 8 > BODY_MAX || text.len % 4 == 1) {
        return false;
    }

    *n = 0;

    for (size_t i = 0; i < text.len; i++) {
        int value = base64url_value(text.data[i]);

        if (value < 0) {
            return false;
        }

        bits = bits << 6 | (uint32_t)value;
        have += 6;

        if (have >= 8) {
            have -= 8;
            bytes[(*n)++] = (unsigned char)(bits >> have);
        }
    }

    return (bits & ((1u << have) - 1)) == 0;
}

loyalty_status_t
loyalty_token_sign(loyalty_token_type_t type, loyalty_str_t secret,
                   loyalty_str_t site, loyalty_instant_t expires_at,
                   loyalty_str_t payload, char *token, size_t *len)
{
    unsigned char body[BODY_MAX];
    unsigned char *p = body + HEAD_SIZE;

    if (payload.len > LOYALTY_TOKEN_PAYLOAD_MAX
        || site.len > LOYALTY_SITE_ID_MAX)
    {
        return LOYALTY_ERROR_LIMIT;
    }

    if (site.len == 0 || !secret_fits(secret)) {
        return LOYALTY_ERROR_INVALID;
    }

    put_head(body, type, expires_at);

    if (payload.len > 0) {
        memcpy(p, payload.data, payload.len);
        p += payload.len;
    }

    if (!token_mac(body, secret, site, body + HEAD_SIZE, payload.len, p)) {
        return LOYALTY_ERROR_MEMORY;
    }

    *len = base64url(body, (size_t)(p - body) + MAC_SIZE, token);
    token[*len] = '\0';

    return LOYALTY_OK;
}

loyalty_status_t
loyalty_token_verify(loyalty_token_type_t type, loyalty_str_t secret,
                     loyalty_str_t site, loyalty_instant_t now,
                     loyalty_str_t token, char *buffer, loyalty_str_t *payload)
{
    unsigned char body[BODY_MAX], mac[MAC_SIZE];
    size_t n, payload_len;

    if (!base64url_decode(token, body, &n) || n < HEAD_SIZE + MAC_SIZE
        || body[0] != TOKEN_VERSION)
    {
        return LOYALTY_ERROR_INVALID;
    }

    if (site.len == 0 || site.len > LOYALTY_SITE_ID_MAX
        || !secret_fits(secret))
    {
        return LOYALTY_ERROR_SIGNATURE;
    }

    payload_len = n - HEAD_SIZE - MAC_SIZE;

    if (!token_mac(body, secret, site, body + HEAD_SIZE, payload_len, mac)) {
        return LOYALTY_ERROR_MEMORY;
    }

    if (CRYPTO_memcmp(mac, body + n - MAC_SIZE, MAC_SIZE) != 0
        || body[1] != (unsigned char)type)
    {
        return LOYALTY_ERROR_SIGNATURE;
    }

    if (now >= head_expires_at(body)) {
        return LOYALTY_ERROR_EXPIRED;
    }

    memcpy(buffer, body + HEAD_SIZE, payload_len);
    *payload = (loyalty_str_t){buffer, payload_len};

    return LOYALTY_OK;
}

loyalty_status_t
loyalty_hmac_hex(loyalty_str_t secret, loyalty_str_t text, char hex[65])
{
    static const char digits[] = "0123456789abcdef";
    unsigned char mac[MAC_SIZE];

    if (!hmac(secret, (const unsigned char *)text.data, text.len, mac)) {
        return LOYALTY_ERROR_MEMORY;
    }

    for (int i = 0; i < MAC_SIZE; i++) {
        hex[2 * i] = digits[mac[i] >> 4];
        hex[2 * i + 1] = digits[mac[i] & 0x0f];
    }

    hex[64] = '\0';

    return LOYALTY_OK;
}

bool
loyalty_secret_eq(loyalty_str_t a, loyalty_str_t b)
{
    return a.len == b.len
           && (a.len == 0 || CRYPTO_memcmp(a.data, b.data, a.len) == 0);
}
