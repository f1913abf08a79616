/*
 * Passwords of staff by yescrypt, and random tokens.
 *
 * Hashing takes a sixteenth of a second and 16 MB on purpose, so only a few
 * threads may be at it.
 */

#include "loyalty_api_staff.h"
#include "loyalty_token.h"

#include <crypt.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdatomic.h>
#include <stdlib.h>

/* Of no password: hashing against it takes as long as against a real one. */
#define NOBODY "$y$j9T$Zf3qkcQ1lZxVhyQmQzJ8A.$"

static atomic_int hashing;

char *
loyalty_password_hash(const char *password)
{
    struct crypt_data *data = calloc(1, sizeof(*data));
    char salt[CRYPT_GENSALT_OUTPUT_SIZE], *hash, *copy = NULL;

    if (data != NULL
        && crypt_gensalt_rn("$y$", 0, NULL, 0, salt, sizeof(salt)) != NULL) {
        hash = crypt_r(password, salt, data);
        copy = hash != NULL && hash[0] != '*' ? strdup(hash) : NULL;
    }

    if (data != NULL) {
        OPENSSL_cleanse(data, sizeof(*data));
    }
    free(data);

    return copy;
}

loyalty_password_t
loyalty_password_verify(const char *password, const char *hash)
{
    loyalty_password_t result = LOYALTY_PASSWORD_WRONG;
    struct crypt_data *data;
    const char *found;

    if (atomic_fetch_add(&hashing, 1) >= LOYALTY_PASSWORDS_AT_ONCE) {
        atomic_fetch_sub(&hashing, 1);
        return LOYALTY_PASSWORD_BUSY;
    }

    data = calloc(1, sizeof(*data));

    if (data != NULL) {
        found = crypt_r(password, hash != NULL ? hash : NOBODY, data);
        if (hash != NULL && found != NULL && found[0] != '*'
            && loyalty_secret_eq(loyalty_str_from(found),
                                 loyalty_str_from(hash))) {
            result = LOYALTY_PASSWORD_RIGHT;
        }
        OPENSSL_cleanse(data, sizeof(*data));
    }

    free(data);
    atomic_fetch_sub(&hashing, 1);

    return result;
}

bool
loyalty_random_token(char token[44])
{
    unsigned char bytes[32], text[48];
    size_t i;

    if (RAND_bytes(bytes, sizeof(bytes)) != 1) {
        return false;
    }

    EVP_EncodeBlock(text, bytes, sizeof(bytes));

    for (i = 0; i < 43; i++) {
        token[i] = text[i] == '+' ? '-' : text[i] == '/' ? '_' : (char)text[i];
    }
    token[43] = '\0';

    return true;
}
