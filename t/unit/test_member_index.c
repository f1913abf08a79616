/*
 * Texts as the indexes hold them.
 */
// link: ngx_loyalty_module/store/loyalty_member_index.c -licui18n -licuuc

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "loyalty_member_index.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static const struct {
    loyalty_index_t index;
    const char *text, *folded;
} cases[] = {
    {LOYALTY_INDEX_EMAIL, "Anna@Example.COM", "anna@example.com"},
    {LOYALTY_INDEX_EMAIL, "", ""},
    {LOYALTY_INDEX_EMAIL, "@AZaz[`{~\t\x01\x7f.", "@azaz[`{~\t\x01\x7f."},
    {LOYALTY_INDEX_NAME, "  Anna   SMITH ", "anna smith"},
    {LOYALTY_INDEX_NAME, "Straße", "strasse"},
    {LOYALTY_INDEX_NAME, "ΣΊΣΥΦΟΣ", "σίσυφοσ"},
    {LOYALTY_INDEX_NAME, "ＡＮＮＡ", "anna"},        /* full width */
    {LOYALTY_INDEX_NAME, "Zoe\u0308", "zo\u00eb"}, /* composed */
    {LOYALTY_INDEX_NAME, "\ufb01ne", "fine"},      /* a ligature */
    {LOYALTY_INDEX_NAME, "   ", ""},
    {LOYALTY_INDEX_NAME, "王小明", "王小明"},
    {LOYALTY_INDEX_NAME, "a\xff", "a\ufffd"}, /* no UTF-8 */
    {LOYALTY_INDEX_PHONE, "+44 (7700) 900-123", "+447700900123"},
    {LOYALTY_INDEX_PHONE, "0044 7700 900123", "+447700900123"},
    {LOYALTY_INDEX_PHONE, "020 1234", "0201234"},
    {LOYALTY_INDEX_PHONE, "1+2", "12"},
    {LOYALTY_INDEX_PHONE, "00", "00"},
    {LOYALTY_INDEX_PHONE, "none", ""},
};

static void
texts_are_folded(void **state)
{
    loyalty_arena_t arena;
    loyalty_str_t folded;
    size_t i;

    (void)state;
    loyalty_arena_init(&arena, 0);

    for (i = 0; i < COUNT(cases); i++) {
        assert_int_equal(loyalty_index_fold(cases[i].index,
                                            loyalty_str_from(cases[i].text),
                                            &arena, &folded),
                         LOYALTY_OK);
        assert_int_equal(folded.len, strlen(cases[i].folded));
        assert_memory_equal(folded.data != NULL ? folded.data : "",
                            cases[i].folded, folded.len);
    }

    loyalty_arena_free(&arena);
}

/* U+FDFA becomes eighteen characters, more than any other. */
static void
the_longest_text_fits(void **state)
{
    static char text[LOYALTY_MEMBER_TEXT_MAX];
    loyalty_arena_t arena;
    loyalty_str_t folded;
    size_t i, n = sizeof(text) / 3;

    (void)state;
    loyalty_arena_init(&arena, 0);
    for (i = 0; i < n; i++) {
        memcpy(text + 3 * i, "\ufdfa", 3);
    }
    assert_int_equal(loyalty_index_fold(LOYALTY_INDEX_NAME,
                                        (loyalty_str_t){text, 3 * n}, &arena,
                                        &folded),
                     LOYALTY_OK);
    assert_int_equal(folded.len, n * 33);
    loyalty_arena_free(&arena);
}

static void
elements_name_their_member(void **state)
{
    loyalty_str_t element, id;
    loyalty_arena_t arena;

    (void)state;
    loyalty_arena_init(&arena, 0);
    assert_int_equal(loyalty_index_element(loyalty_str("anna"),
                                           loyalty_str("42"), &arena,
                                           &element),
                     LOYALTY_OK);
    assert_int_equal(element.len, 7);
    assert_memory_equal(element.data, "anna\0" "42", 7);
    assert_true(loyalty_index_id(element, &id));
    assert_true(loyalty_str_eq(id, loyalty_str("42")));
    assert_false(loyalty_index_id(loyalty_str("anna"), &id));
    assert_false(loyalty_index_id(loyalty_str("anna\0"), &id));
    assert_false(loyalty_index_id(loyalty_str_null, &id));
    loyalty_arena_free(&arena);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_are_folded),
        cmocka_unit_test(the_longest_text_fits),
        cmocka_unit_test(elements_name_their_member),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
