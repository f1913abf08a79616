/* core/loyalty_token.c: signed tokens, header signatures. */

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "loyalty_token.h"

#define EXPIRY INT64_C(1700000000000)

static const loyalty_str_t secret = {"0123456789abcdef", 16};
static const loyalty_str_t site = {"demo", 4};

static loyalty_status_t
verify(loyalty_token_type_t type, loyalty_str_t key, loyalty_str_t of,
       loyalty_instant_t now, const char *token)
{
    char buffer[LOYALTY_TOKEN_SIZE];
    loyalty_str_t payload;

    return loyalty_token_verify(type, key, of, now, loyalty_str_from(token),
                                buffer, &payload);
}

static void
tokens_are_those_of_another_implementation(void **state)
{
    /* Python: hmac.new(secret, head + len(site) + site + payload, sha256),
     * base64.urlsafe_b64encode(head + payload + mac). */
    static const struct {
        loyalty_token_type_t type;
        loyalty_str_t secret, site;
        loyalty_instant_t expires_at;
        loyalty_str_t payload;
        const char *token;
    } cases[] = {
        {LOYALTY_TOKEN_PREVIEW, {"0123456789abcdef", 16}, {"demo", 4}, EXPIRY,
         {NULL, 0}, "AQEAAAGLz-VoAEsbEO2tQauyYf6psbH2G4intcmH7ppsrfbxxpIIGNtP"},
        {LOYALTY_TOKEN_CLICK, {"0123456789abcdef", 16}, {"demo", 4}, EXPIRY,
         {"https://shop.example/a?b=c", 26},
         "AQMAAAGLz-VoAGh0dHBzOi8vc2hvcC5leGFtcGxlL2E_Yj1jG0aqZne1FMSRIRc8uQ1"
         "hDf8mPdDjQacCtCRrmAIO9_0"},
        {LOYALTY_TOKEN_UNSUBSCRIBE, {"kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk", 32},
         {"other-site", 10}, INT64_MAX, {"\x00\xff\x10", 3},
         "AQR__________wD_EN_Iu293yQoSB8e-fN-0lon7ZyfJ_o-cV77mrMz1jpBf"},
    };
    char token[LOYALTY_TOKEN_SIZE], buffer[LOYALTY_TOKEN_SIZE];
    loyalty_str_t payload;
    size_t len;

    (void)state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(loyalty_token_sign(cases[i].type, cases[i].secret,
                                            cases[i].site, cases[i].expires_at,
                                            cases[i].payload, token, &len),
                         LOYALTY_OK);
        assert_string_equal(token, cases[i].token);
        assert_int_equal(len, strlen(cases[i].token));

        assert_int_equal(loyalty_token_verify(
                             cases[i].type, cases[i].secret, cases[i].site,
                             cases[i].expires_at - 1,
                             loyalty_str_from(cases[i].token), buffer,
                             &payload),
                         LOYALTY_OK);
        assert_true(loyalty_str_eq(payload, cases[i].payload));
    }
}

static void
a_token_is_good_for_one_purpose(void **state)
{
    const char *token =
        "AQEAAAGLz-VoAEsbEO2tQauyYf6psbH2G4intcmH7ppsrfbxxpIIGNtP";

    (void)state;

    assert_int_equal(verify(LOYALTY_TOKEN_PREVIEW, secret, site, EXPIRY - 1,
                            token), LOYALTY_OK);
    assert_int_equal(verify(LOYALTY_TOKEN_PREVIEW, secret, site, EXPIRY,
                            token), LOYALTY_ERROR_EXPIRED);
    assert_int_equal(verify(LOYALTY_TOKEN_OPEN, secret, site, 0, token),
                     LOYALTY_ERROR_SIGNATURE);
    assert_int_equal(verify(LOYALTY_TOKEN_PREVIEW, secret,
                            loyalty_str("demo2"), 0, token),
                     LOYALTY_ERROR_SIGNATURE);
    assert_int_equal(verify(LOYALTY_TOKEN_PREVIEW,
                            loyalty_str("0123456789abcdeg"), site, 0, token),
                     LOYALTY_ERROR_SIGNATURE);
    assert_int_equal(verify(LOYALTY_TOKEN_PREVIEW, loyalty_str("short"), site,
                            0, token), LOYALTY_ERROR_SIGNATURE);
}

static void
every_changed_character_is_noticed(void **state)
{
    char token[] = "AQEAAAGLz-VoAEsbEO2tQauyYf6psbH2G4intcmH7ppsrfbxxpIIGNtP";

    (void)state;

    for (size_t i = 0; i + 1 < sizeof(token); i++) {
        char was = token[i];

        token[i] = was == 'x' ? 'y' : 'x';
        assert_int_not_equal(verify(LOYALTY_TOKEN_PREVIEW, secret, site, 0,
                                    token), LOYALTY_OK);
        token[i] = was;
    }

    for (size_t len = 0; len + 1 < sizeof(token); len++) {
        char was = token[len];

        token[len] = '\0';
        assert_int_not_equal(verify(LOYALTY_TOKEN_PREVIEW, secret, site, 0,
                                    token), LOYALTY_OK);
        token[len] = was;
    }
}

static void
malformed_tokens_are_refused(void **state)
{
    static const char *cases[] = {
        "",
        "A",
        "not a token",
        "AQEAAAGLz+VoAEsbEO2tQauyYf6psbH2G4intcmH7ppsrfbxxpIIGNtP",
        "AQEAAAGLz-VoAEsbEO2tQauyYf6psbH2G4intcmH7ppsrfbxxpIIGNtP=",
        "AgEAAAGLz-VoAEsbEO2tQauyYf6psbH2G4intcmH7ppsrfbxxpIIGNtP",
    };
    char token[LOYALTY_TOKEN_SIZE + 1];

    (void)state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(verify(LOYALTY_TOKEN_PREVIEW, secret, site, 0,
                                cases[i]), LOYALTY_ERROR_INVALID);
    }

    memset(token, 'A', LOYALTY_TOKEN_SIZE);
    token[LOYALTY_TOKEN_SIZE] = '\0';
    assert_int_equal(verify(LOYALTY_TOKEN_PREVIEW, secret, site, 0, token),
                     LOYALTY_ERROR_INVALID);
}

static void
limits_of_signing_are_kept(void **state)
{
    static char bytes[LOYALTY_SECRET_MAX + 1];
    char token[LOYALTY_TOKEN_SIZE];
    size_t len;

    (void)state;

    memset(bytes, 'a', sizeof(bytes));

    assert_int_equal(
        loyalty_token_sign(LOYALTY_TOKEN_OPEN, secret, site, EXPIRY,
                           (loyalty_str_t){bytes, LOYALTY_TOKEN_PAYLOAD_MAX},
                           token, &len), LOYALTY_OK);
    assert_int_equal(verify(LOYALTY_TOKEN_OPEN, secret, site, 0, token),
                     LOYALTY_OK);
    assert_int_equal(
        loyalty_token_sign(LOYALTY_TOKEN_OPEN, secret, site, EXPIRY,
                           (loyalty_str_t){bytes,
                                           LOYALTY_TOKEN_PAYLOAD_MAX + 1},
                           token, &len), LOYALTY_ERROR_LIMIT);
    assert_int_equal(
        loyalty_token_sign(LOYALTY_TOKEN_OPEN, secret,
                           (loyalty_str_t){bytes, LOYALTY_SITE_ID_MAX + 1},
                           EXPIRY, loyalty_str_null, token, &len),
        LOYALTY_ERROR_LIMIT);
    assert_int_equal(
        loyalty_token_sign(LOYALTY_TOKEN_OPEN,
                           (loyalty_str_t){bytes, LOYALTY_SECRET_MAX + 1},
                           site, EXPIRY, loyalty_str_null, token, &len),
        LOYALTY_ERROR_INVALID);
    assert_int_equal(
        loyalty_token_sign(LOYALTY_TOKEN_OPEN,
                           (loyalty_str_t){bytes,
                                           LOYALTY_TOKEN_SECRET_MIN - 1},
                           site, EXPIRY, loyalty_str_null, token, &len),
        LOYALTY_ERROR_INVALID);
}

static void
hmac_is_that_of_the_rfc(void **state)
{
    /* RFC 4231, test case 2. */
    char hex[65];

    (void)state;

    assert_int_equal(
        loyalty_hmac_hex(loyalty_str("Jefe"),
                         loyalty_str("what do ya want for nothing?"), hex),
        LOYALTY_OK);
    assert_string_equal(hex, "5bdcc146bf60754e6a042426089575c7"
                             "5a003f089d2739839dec58b964ec3843");
}

static void
secrets_are_compared(void **state)
{
    (void)state;

    assert_true(loyalty_secret_eq(loyalty_str("same"), loyalty_str("same")));
    assert_false(loyalty_secret_eq(loyalty_str("same"), loyalty_str("sane")));
    assert_false(loyalty_secret_eq(loyalty_str("same"), loyalty_str("sam")));
    assert_true(loyalty_secret_eq(loyalty_str_null, loyalty_str_null));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tokens_are_those_of_another_implementation),
        cmocka_unit_test(a_token_is_good_for_one_purpose),
        cmocka_unit_test(every_changed_character_is_noticed),
        cmocka_unit_test(malformed_tokens_are_refused),
        cmocka_unit_test(limits_of_signing_are_kept),
        cmocka_unit_test(hmac_is_that_of_the_rfc),
        cmocka_unit_test(secrets_are_compared),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
