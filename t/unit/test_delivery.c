/* core/loyalty_mime.c and loyalty_retry.c: addresses, limits, backoff.  What
 * comes out as an e-mail is read by another implementation in t/delivery.py. */

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "loyalty_mime.h"
#include "loyalty_retry.h"

static void
test_addresses(void **state)
{
    static const struct {
        const char *text;
        bool good;
    } cases[] = {
        {"ada@example.com", true},   {"a.b+c@x.example", true},
        {"root@localhost", true},    {"", false},
        {"ada", false},              {"@example.com", false},
        {"ada@", false},             {"a@b@c", false},
        {"a b@example.com", false},  {"<ada@example.com>", false},
        {"a,b@example.com", false},  {"\"a\"@example.com", false},
        {"a@example.com\n", false},  {"a@ex\r\nample", false},
        {"\xc3\xa4@example.com", false}, {"a\x7f@example.com", false},
    };
    char text[LOYALTY_EMAIL_MAX + 2];
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (loyalty_mime_is_address(loyalty_str_from(cases[i].text))
            != cases[i].good) {
            fail_msg("%s", cases[i].text);
        }
    }

    memset(text, 'a', sizeof(text));
    text[10] = '@';
    assert_true(loyalty_mime_is_address(
        (loyalty_str_t){text, LOYALTY_EMAIL_MAX}));
    assert_false(loyalty_mime_is_address(
        (loyalty_str_t){text, LOYALTY_EMAIL_MAX + 1}));
}

static loyalty_status_t
compose(loyalty_envelope_t envelope, const char **what)
{
    loyalty_status_t rc;
    loyalty_arena_t arena;
    loyalty_str_t bytes;

    loyalty_arena_init(&arena, 0);
    rc = loyalty_mime_compose(&envelope, &arena, &bytes, what);
    loyalty_arena_free(&arena);
    return rc;
}

static void
test_what_is_refused(void **state)
{
    loyalty_envelope_t good = {
        .channel = LOYALTY_CHANNEL_EMAIL,
        .site = loyalty_str("demo"),
        .id = loyalty_str("m1"),
        .to = loyalty_str("ada@example.com"),
        .sender_address = loyalty_str("shop@example.com"),
        .text = loyalty_str("Hello"),
    }, bad;
    char url[LOYALTY_MIME_URL_MAX + 1];
    const char *what;

    (void)state;
    assert_int_equal(compose(good, &what), LOYALTY_OK);

    bad = good;
    bad.to = loyalty_str("ada");
    assert_int_equal(compose(bad, &what), LOYALTY_ERROR_INVALID);
    assert_string_equal(what, "to");

    bad = good;
    bad.sender_address = loyalty_str_null;
    assert_int_equal(compose(bad, &what), LOYALTY_ERROR_INVALID);
    assert_string_equal(what, "sender_address");

    bad = good;
    bad.text = loyalty_str_null;
    assert_int_equal(compose(bad, &what), LOYALTY_ERROR_INVALID);
    assert_string_equal(what, "body");

    bad = good;
    bad.unsubscribe_url = loyalty_str("http://shop.example/u");
    assert_int_equal(compose(bad, &what), LOYALTY_ERROR_INVALID);
    assert_string_equal(what, "unsubscribe_url");
    bad.unsubscribe_url = loyalty_str("https://shop.example/>\r\nX: y");
    assert_int_equal(compose(bad, &what), LOYALTY_ERROR_INVALID);

    memset(url, 'a', sizeof(url));
    memcpy(url, "https://", 8);
    bad.unsubscribe_url = (loyalty_str_t){url, LOYALTY_MIME_URL_MAX};
    assert_int_equal(compose(bad, &what), LOYALTY_OK);
    bad.unsubscribe_url.len++;
    assert_int_equal(compose(bad, &what), LOYALTY_ERROR_INVALID);
}

static void
test_backoff(void **state)
{
    const loyalty_retry_t retry = {.first = 1000, .longest = 60000, .tries = 9};
    const loyalty_retry_t day = {.first = 1000, .longest = 60000,
                                 .within = LOYALTY_DAY};
    /* After n tries: 1, 2, 4, ... seconds, at most a minute. */
    static const int64_t pauses[] = {1000, 2000, 4000, 8000, 16000, 32000,
                                     60000, 60000};
    int32_t i;

    (void)state;
    for (i = 0; i < 8; i++) {
        assert_int_equal(loyalty_retry_at(&retry, i + 1, 0, 5, 0, 0),
                         5 + pauses[i]);
        assert_int_equal(loyalty_retry_at(&retry, i + 1, 0, 5, 0, 0xffff),
                         5 + pauses[i] / 2);
    }
    assert_int_equal(loyalty_retry_at(&retry, 9, 0, 5, 0, 0), LOYALTY_NEVER);

    /* Retry-After is obeyed where it is longer, and believed for a day. */
    assert_int_equal(loyalty_retry_at(&retry, 1, 0, 5, 7000, 0xffff), 7005);
    assert_int_equal(loyalty_retry_at(&retry, 3, 0, 5, 100, 0), 4005);
    assert_int_equal(loyalty_retry_at(&retry, 1, 0, 0, INT64_MAX, 0),
                     LOYALTY_DAY);

    assert_int_equal(loyalty_retry_at(&day, 1000000, 0, LOYALTY_DAY - 60000, 0,
                                      0), LOYALTY_DAY);
    assert_int_equal(loyalty_retry_at(&day, 1000000, 0, LOYALTY_DAY - 59999, 0,
                                      0), LOYALTY_NEVER);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_what_is_refused),
        cmocka_unit_test(test_backoff),
    };

    return cmocka_run_group_tests_name("delivery", tests, NULL, NULL);
}
