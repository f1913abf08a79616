// link: ngx_loyalty_module/edge/ngx_loyalty_hash.c
/* edge/ngx_loyalty_hash.c beside OpenSSL's SipHash. */

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include "ngx_loyalty_hash.h"

#define SIZE 16

static void
siphash(const uint8_t key[SIZE], const uint8_t *data, size_t len,
        uint8_t hash[SIZE])
{
    size_t size = SIZE, got;
    OSSL_PARAM params[] = {OSSL_PARAM_construct_size_t("size", &size),
                           OSSL_PARAM_construct_end()};
    EVP_MAC *mac = EVP_MAC_fetch(NULL, "SIPHASH", NULL);
    EVP_MAC_CTX *ctx = EVP_MAC_CTX_new(mac);

    assert_int_equal(EVP_MAC_init(ctx, key, SIZE, params), 1);
    assert_int_equal(EVP_MAC_update(ctx, data, len), 1);
    assert_int_equal(EVP_MAC_final(ctx, hash, &got, SIZE), 1);
    assert_int_equal(got, SIZE);
    EVP_MAC_CTX_free(ctx);
    EVP_MAC_free(mac);
}

static void
every_length_hashes_as_openssl_does(void **state)
{
    uint8_t key[SIZE], data[300], expected[SIZE];
    uint64_t words[2];
    ngx_loyalty_hash_t hash;

    (void)state;

    for (size_t i = 0; i < sizeof(data); i++) {
        data[i] = (uint8_t)(i * 7 + 1);
    }

    for (size_t len = 0; len <= sizeof(data); len++) {
        for (size_t i = 0; i < SIZE; i++) {
            key[i] = (uint8_t)(i * 31 + len);
        }
        memcpy(words, key, SIZE);
        siphash(key, data, len, expected);
        ngx_loyalty_hash(words, data, len, &hash);
        assert_memory_equal(&hash, expected, SIZE);
    }
}

/* Appendix A of the paper: key 00..0f, data 00..0e; the reference code's
 * 128-bit output for it. */
static void
the_published_vector_comes_out(void **state)
{
    static const uint8_t expected[SIZE] = {0x54, 0x93, 0xe9, 0x99, 0x33, 0xb0,
                                           0xa8, 0x11, 0x7e, 0x08, 0xec, 0x0f,
                                           0x97, 0xcf, 0xc3, 0xd9};
    uint8_t bytes[SIZE];
    uint64_t key[2];
    ngx_loyalty_hash_t hash;

    (void)state;

    for (uint8_t i = 0; i < SIZE; i++) {
        bytes[i] = i;
    }
    memcpy(key, bytes, SIZE);
    ngx_loyalty_hash(key, bytes, 15, &hash);
    assert_memory_equal(&hash, expected, SIZE);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_length_hashes_as_openssl_does),
        cmocka_unit_test(the_published_vector_comes_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
