/* core/loyalty_locale.c: Accept-Language against a site's locales. */

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "loyalty_locale.h"

static const loyalty_str_t shop[] = {
    {"en", 2}, {"fr", 2}, {"pt-BR", 5}, {"de-AT", 5}};

static void
assert_chosen(const char *accept, size_t len, const char *expected)
{
    loyalty_str_t chosen =
        loyalty_locale_choose(shop, 4, (loyalty_str_t){accept, len});

    assert_true(loyalty_str_eq(chosen, loyalty_str_from(expected)));
}

static void
the_best_locale_is_chosen(void **state)
{
    /* By hand, from RFC 9110 section 12.5.4. */
    static const struct {
        const char *accept;
        const char *locale;
    } cases[] = {
        {"", "en"},
        {"fr", "fr"},
        {"FR", "fr"},
        {"fr-FR,fr;q=0.9,en;q=0.8", "fr"},
        {"en-GB,en;q=0.9,fr;q=0.8", "en"},
        {"es,fr;q=0.5", "fr"},
        {"en;q=0.3,fr;q=0.300", "en"},
        {"en;q=0.3,fr;q=0.301", "fr"},
        {"pt", "pt-BR"},
        {"pt-PT", "pt-BR"},
        {"de-CH;q=0.1", "de-AT"},
        {"de-AT-1996", "de-AT"},
        {"es, *;q=0.1", "en"},
        {"fr;q=0", "en"},
        {"fr;q=0.0", "en"},
        {"frr", "en"},
        {"ja", "en"},
        {"  fr ; q=1.0 ", "fr"},
        {"fr;q=1.001", "en"},
        {"fr;q=2", "en"},
        {"fr;q=0.1234", "en"},
        {"fr;q=-1", "en"},
        {"fr;q=", "en"},
        {"fr;level=1", "en"},
        {",,;;,fr,,", "fr"},
        {";q=1,fr", "fr"},
        {"-,fr;q=0.1", "fr"},
    };

    (void)state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_chosen(cases[i].accept, strlen(cases[i].accept),
                      cases[i].locale);
    }
}

static void
a_header_is_read_up_to_the_limit(void **state)
{
    char accept[LOYALTY_ACCEPT_LANGUAGE_MAX + 3];

    (void)state;

    memset(accept, ',', sizeof(accept));
    memcpy(accept + LOYALTY_ACCEPT_LANGUAGE_MAX - 2, "fr", 2);
    assert_chosen(accept, sizeof(accept), "fr");

    memset(accept, ',', sizeof(accept));
    memcpy(accept + LOYALTY_ACCEPT_LANGUAGE_MAX, "fr", 2);
    assert_chosen(accept, sizeof(accept), "en");
}

static void
a_site_without_locales_has_none(void **state)
{
    (void)state;

    assert_int_equal(
        loyalty_locale_choose(NULL, 0, loyalty_str("fr")).len, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_best_locale_is_chosen),
        cmocka_unit_test(a_header_is_read_up_to_the_limit),
        cmocka_unit_test(a_site_without_locales_has_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
