/* store/loyalty_keys.c: keys by the table in its header. */
// link: ngx_loyalty_module/store/loyalty_keys.c

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "loyalty_keys.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))
#define S loyalty_str_from

static void
keys_are_written(void **state)
{
    static const struct {
        const char *kind, *rest, *key;
    } cases[] = {
        {"p", "", "loyalty:p:{shop-1}"},
        {"m", "12347", "loyalty:m:{shop-1}:12347"},
        {"mo", "a}b:{c", "loyalty:mo:{shop-1}:a}b:{c"},
        {"s", "orders", "loyalty:s:{shop-1}:orders"},
    };
    char key[LOYALTY_KEY_MAX];
    size_t i;

    (void)state;

    for (i = 0; i < COUNT(cases); i++) {
        assert_int_equal(loyalty_key(key, S("loyalty"), cases[i].kind,
                                     S("shop-1"), S(cases[i].rest)),
                         strlen(cases[i].key));
        assert_string_equal(key, cases[i].key);
    }
}

static void
a_key_that_does_not_fit_is_refused(void **state)
{
    char key[LOYALTY_KEY_MAX], rest[LOYALTY_KEY_MAX];
    size_t fits = LOYALTY_KEY_MAX - 1 - strlen("p:m:{s}:");

    (void)state;

    memset(rest, 'x', sizeof(rest));
    assert_int_equal(loyalty_key(key, S("p"), "m", S("s"),
                                 (loyalty_str_t){rest, fits}),
                     LOYALTY_KEY_MAX - 1);
    assert_int_equal(strlen(key), LOYALTY_KEY_MAX - 1);
    assert_int_equal(loyalty_key(key, S("p"), "m", S("s"),
                                 (loyalty_str_t){rest, fits + 1}), 0);
    assert_int_equal(loyalty_key(key, S("p"), "m", S("s"),
                                 (loyalty_str_t){rest, SIZE_MAX}), 0);
    assert_string_equal(key, "");
}

static void
site_ids_are_slugs(void **state)
{
    static const struct {
        const char *id;
        loyalty_status_t status;
    } cases[] = {
        {"demo", LOYALTY_OK},
        {"1", LOYALTY_OK},
        {"a_b-c9", LOYALTY_OK},
        {"0123456789012345678901234567890123456789012345678901234567890123",
         LOYALTY_OK},
        {"01234567890123456789012345678901234567890123456789012345678901234",
         LOYALTY_ERROR_LIMIT},
        {"", LOYALTY_ERROR_INVALID},
        {"-a", LOYALTY_ERROR_INVALID},
        {"_a", LOYALTY_ERROR_INVALID},
        {"Demo", LOYALTY_ERROR_INVALID},
        {"a}b", LOYALTY_ERROR_INVALID},
        {"a b", LOYALTY_ERROR_INVALID},
        {"a:b", LOYALTY_ERROR_INVALID},
        {"a\n", LOYALTY_ERROR_INVALID},
        {"\xc3\xa9", LOYALTY_ERROR_INVALID},
    };
    size_t i;

    (void)state;

    for (i = 0; i < COUNT(cases); i++) {
        assert_int_equal(loyalty_site_id_check(S(cases[i].id)),
                         cases[i].status);
    }

    assert_int_equal(loyalty_site_id_check((loyalty_str_t){"a\0b", 3}),
                     LOYALTY_ERROR_INVALID);
}

static void
tracked_keys_are_taken_apart(void **state)
{
    static const struct {
        const char *key;
        char kind;
        const char *site, *rest;
    } cases[] = {
        {"loyalty:p:{demo}", 'p', "demo", ""},
        {"loyalty:m:{demo}:12347", 'm', "demo", "12347"},
        {"loyalty:m:{demo}:a}b:{c}", 'm', "demo", "a}b:{c}"},
        {"loyalty:m:{demo}::", 'm', "demo", ":"},
    };
    loyalty_str_t site, rest;
    char kind;
    size_t i;

    (void)state;

    for (i = 0; i < COUNT(cases); i++) {
        assert_int_equal(loyalty_key_split(S(cases[i].key), S("loyalty"),
                                           &kind, &site, &rest), LOYALTY_OK);
        assert_int_equal(kind, cases[i].kind);
        assert_true(loyalty_str_eq(site, S(cases[i].site)));
        assert_true(loyalty_str_eq(rest, S(cases[i].rest)));
    }
}

static void
other_keys_are_refused(void **state)
{
    static const char *const cases[] = {
        "", "loyalty", "loyalty:", "loyalty:p", "loyalty:p:", "loyalty:p:{",
        "loyalty:p:{}", "loyalty:p:{demo", "loyalty:p:demo",
        "loyalty:p:{demo}x", "loyalty:m:{demo}:", "loyalty:mo:{demo}:1",
        "loyalty:p:{De}", "loyaltyp:{demo}", "other:p:{demo}",
        "loyalt:p:{demo}", ":p:{demo}",
    };
    loyalty_str_t site, rest;
    char kind;
    size_t i;

    (void)state;

    for (i = 0; i < COUNT(cases); i++) {
        assert_int_equal(loyalty_key_split(S(cases[i]), S("loyalty"), &kind,
                                           &site, &rest),
                         LOYALTY_ERROR_INVALID);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_are_written),
        cmocka_unit_test(a_key_that_does_not_fit_is_refused),
        cmocka_unit_test(site_ids_are_slugs),
        cmocka_unit_test(tracked_keys_are_taken_apart),
        cmocka_unit_test(other_keys_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
