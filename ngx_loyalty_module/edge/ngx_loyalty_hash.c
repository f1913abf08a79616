/*
 * SipHash-2-4-128 (Aumasson and Bernstein), little-endian as the paper has it.
 */


#include "ngx_loyalty_hash.h"

#include <string.h>


#define ngx_loyalty_hash_rotate(x, b)  ((x) << (b) | (x) >> (64 - (b)))


static inline void ngx_loyalty_hash_rounds(uint64_t v[4], unsigned n);
static inline uint64_t ngx_loyalty_hash_word(const uint8_t *p, size_t len);


void
ngx_loyalty_hash(const uint64_t key[2], const void *data, size_t len,
    ngx_loyalty_hash_t *hash)
{
    size_t          n;
    uint64_t        v[4], m, out[2];
    const uint8_t  *p;

    p = data;

    v[0] = key[0] ^ 0x736f6d6570736575;
    v[1] = key[1] ^ 0x646f72616e646f6d ^ 0xee;
    v[2] = key[0] ^ 0x6c7967656e657261;
    v[3] = key[1] ^ 0x7465646279746573;

    for (n = len; n >= 8; n -= 8, p += 8) {
        m = ngx_loyalty_hash_word(p, 8);
        v[3] ^= m;
        ngx_loyalty_hash_rounds(v, 2);
        v[0] ^= m;
    }

    m = ngx_loyalty_hash_word(p, n) | (uint64_t) len << 56;
    v[3] ^= m;
    ngx_loyalty_hash_rounds(v, 2);
    v[0] ^= m;

    v[2] ^= 0xee;
    ngx_loyalty_hash_rounds(v, 4);
    out[0] = v[0] ^ v[1] ^ v[2] ^ v[3];

    v[1] ^= 0xdd;
    ngx_loyalty_hash_rounds(v, 4);
    out[1] = v[0] ^ v[1] ^ v[2] ^ v[3];

    hash->word[0] = (uint32_t) out[0];
    hash->word[1] = (uint32_t) (out[0] >> 32);
    hash->word[2] = (uint32_t) out[1];
    hash->word[3] = (uint32_t) (out[1] >> 32);
}


static inline void
ngx_loyalty_hash_rounds(uint64_t v[4], unsigned n)
{
    while (n--) {
        v[0] += v[1];
        v[2] += v[3];
        v[1] = ngx_loyalty_hash_rotate(v[1], 13) ^ v[0];
        v[3] = ngx_loyalty_hash_rotate(v[3], 16) ^ v[2];
        v[0] = ngx_loyalty_hash_rotate(v[0], 32);

        v[2] += v[1];
        v[0] += v[3];
        v[1] = ngx_loyalty_hash_rotate(v[1], 17) ^ v[2];
        v[3] = ngx_loyalty_hash_rotate(v[3], 21) ^ v[0];
        v[2] = ngx_loyalty_hash_rotate(v[2], 32);
    }
}


static inline uint64_t
ngx_loyalty_hash_word(const uint8_t *p, size_t len)
{
    uint64_t  word;

    if (len == 8) {
        memcpy(&word, p, 8);

#if (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__)
        word = __builtin_bswap64(word);
#endif
        return word;
    }

    for (word = 0; len > 0; len--) {
        word = word << 8 | p[len - 1];
    }

    return word;
}
