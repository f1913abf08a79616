/*
 * core/loyalty_check.c: which texts a program may have, by the shapes that
 * loyalty_check.h names and the sentences it answers with.
 */

#include "reading.h"

#include "loyalty_check.h"

typedef struct {
    loyalty_string_check_pt check;
    const char *good[12];
    const char *bad[16];
} shape_t;

/* Bytes that are in no id, path, colour, ... */
#define CONTROL "a\x01z"
#define DELETE "a\x7fz"
#define TAB "a\tb"

static const shape_t shapes[] = {
    {loyalty_check_site_id,
     {"a", "z", "0", "9shop", "shop-1_b"},
     {"", "-a", "_a", "Shop", "shop.a", "a b", "caf\xc3\xa9", "a{", "a/"}},
    {loyalty_check_id,
     {"a", "Z9", "0", "a-b_c.d"},
     {"", ".a", "-a", "_a", "a b", "a/b", "a[", "a{", "a@", "a:"}},
    {loyalty_check_locale,
     {"en", "fr-CA", "zh-Hant-TW", "de-1996", "sl-a", "abcdefgh", "EN"},
     {"", "e", "abcdefghi", "1a", "en-", "-en", "en--us", "en_US", "en-{",
      "en-abcdefghi", "en-[", "e@"}},
    {loyalty_check_sku,
     {"a", " ", "22 / 7", "\xe6\x96\x87"},
     {"", CONTROL, DELETE, TAB}},
    {loyalty_check_category,
     {"a", "home/lighting", "a b/c", "\xc3\xa9/x"},
     {"", "/", "/a", "a/", "a//b", CONTROL, DELETE}},
    {loyalty_check_code,
     {"A", "!~", "WELCOME-10"},
     {"", "a b", CONTROL, DELETE, "caf\xc3\xa9", TAB}},
    {loyalty_check_code_pattern,
     {"######", "A-@@@@@@", "X_******"},
     {"", "#####", "abc######", "######\xc3\xa9", "###### ", "######[",
      "######:", "@@@@@`"}},
    {loyalty_check_group,
     {"g", "Best of 2026", "\xc3\xa9"},
     {"", CONTROL, DELETE}},
    {loyalty_check_currency,
     {"GBP", "JPY", "KWD"},
     {"", "gbp", "GB", "GBPX", "XXY"}},
    {loyalty_check_time_zone,
     {"UTC", "Europe/London", "America/Argentina/Buenos_Aires", "Etc/GMT+5",
      "Etc/GMT-14", "EST5EDT"},
     {"", "/", "/Europe", "Europe/", "Europe//London", "a/b/c/d", "5UTC",
      "_UTC", "+1", "-1", "Europe/Lon don", "Europe/[", "a.b"}},
    {loyalty_check_font,
     {"", "Inter, sans-serif", "'Open Sans'"},
     {"a{", "a}", "a;", "<b", "b>", "a\\", "@a", "a/b"}},
    {loyalty_check_url,
     {"/", "/login?a=1&b=2", "https://a.example", "https://a/#x"},
     {"", "//evil.example", "http://a.example", "https://", "https:///a",
      "javascript:x", "/a b", "/a\"", "/a'", "/<a>", "/caf\xc3\xa9", "/a\x7f",
      "https:/a", "HTTPS://a.example", "ftp://files.example"}},
    {loyalty_check_color,
     {"#b87333", "#ABCDEF", "#000000", "#999999", "#afAF09"},
     {"", "#fff", "b873333", "#b8733", "#b873333", "#g00000", "#00000G",
      "#0000:0", "#0000/0", "#0000@0", "#0000`0"}},
};

static void
shapes_are_what_their_sentences_say(void **state)
{
    const char *const *text;
    const char *answer;
    size_t i;

    (void)state;

    for (i = 0; i < COUNT(shapes); i++) {
        for (text = shapes[i].good; *text != NULL; text++) {
            answer = shapes[i].check(loyalty_str_from(*text));
            if (answer != NULL) {
                fail_msg("\"%s\" %s", *text, answer);
            }
        }
        for (text = shapes[i].bad; *text != NULL; text++) {
            answer = shapes[i].check(loyalty_str_from(*text));
            if (answer == NULL) {
                fail_msg("\"%s\" passes, of shape %zu", *text, i);
            }
            assert_int_equal(strncmp(answer, "must ", 5), 0);
        }
        assert_null(shapes[i].good[COUNT(shapes[i].good) - 1]);
        assert_null(shapes[i].bad[COUNT(shapes[i].bad) - 1]);
    }
}

/* The longest text of `one` repeated passes, one more does not. */
static void
limited(loyalty_string_check_pt check, const char *before, const char *one,
        size_t max)
{
    char text[LOYALTY_URL_MAX * 2 + 8];
    size_t i, len = strlen(before);

    memcpy(text, before, len);
    for (i = len; i < max; i++) {
        memcpy(text + len + (i - len) * strlen(one), one, strlen(one));
    }
    len += (max - len) * strlen(one);
    assert_null(check((loyalty_str_t){text, len}));
    memcpy(text + len, one, strlen(one));
    assert_non_null(check((loyalty_str_t){text, len + strlen(one)}));
}

static void
lengths_have_an_end(void **state)
{
    (void)state;

    limited(loyalty_check_site_id, "", "a", 64);
    limited(loyalty_check_id, "", "a", 64);
    limited(loyalty_check_locale, "abcdefgh-abcdefgh-abcdefgh-", "a", 35);
    limited(loyalty_check_code, "", "a", 64);
    limited(loyalty_check_code_pattern, "", "#", 64);
    limited(loyalty_check_url, "/", "a", 2048);
    /* characters, not bytes */
    limited(loyalty_check_sku, "", "\xc3\xa9", 128);
    limited(loyalty_check_category, "", "\xc3\xa9", 256);
    limited(loyalty_check_group, "", "\xe2\x82\xac", 64);
}

static void
a_text_may_have_lines_or_not(void **state)
{
    (void)state;

    assert_null(loyalty_check_text(loyalty_str("a\n\r\tb \xc3\xa9"), true));
    assert_non_null(loyalty_check_text(loyalty_str("a\nb"), false));
    assert_non_null(loyalty_check_text(loyalty_str("a\rb"), false));
    assert_non_null(loyalty_check_text(loyalty_str("a\tb"), false));
    assert_non_null(loyalty_check_text(loyalty_str("a\vb"), true));
    assert_non_null(loyalty_check_text(loyalty_str("a\0b"), true));
    assert_non_null(loyalty_check_text(loyalty_str("a\x7f"), true));
    assert_null(loyalty_check_text(loyalty_str(""), false));
    assert_int_equal(loyalty_length(loyalty_str("\xe2\x82\xac\xc3\xa9x")), 3);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shapes_are_what_their_sentences_say),
        cmocka_unit_test(lengths_have_an_end),
        cmocka_unit_test(a_text_may_have_lines_or_not),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
