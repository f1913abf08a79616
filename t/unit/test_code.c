/* core/loyalty_code.c: coupon codes from patterns. */

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "loyalty_code.h"

static void
patterns_are_checked(void **state)
{
    static const struct {
        const char *pattern;
        loyalty_status_t status;
    } cases[] = {
        {"SUMMER-####-@@", LOYALTY_OK},
        {"******", LOYALTY_OK},
        {"*****", LOYALTY_ERROR_INVALID},
        {"", LOYALTY_ERROR_INVALID},
        {"SUMMER", LOYALTY_ERROR_INVALID},
        {"summer-######", LOYALTY_ERROR_INVALID},
        {"A B######", LOYALTY_ERROR_INVALID},
        {"################################"
         "#################################", LOYALTY_ERROR_LIMIT},
    };
    size_t i;

    (void)state;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(
            loyalty_code_pattern_check(loyalty_str_from(cases[i].pattern)),
            cases[i].status);
    }
}

static void
every_placeholder_reaches_its_whole_alphabet_and_nothing_else(void **state)
{
    static const struct {
        char placeholder;
        const char *alphabet;
    } cases[] = {
        {'#', "23456789"},
        {'@', "ABCDEFGHJKMNPQRSTUVWXYZ"},
        {'*', "23456789ABCDEFGHJKMNPQRSTUVWXYZ"},
    };
    unsigned char random[2];
    char code[LOYALTY_CODE_MAX + 1];
    size_t counts[256], i, least, most;
    unsigned bits, c;

    (void)state;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        memset(counts, 0, sizeof(counts));
        for (bits = 0; bits < 65536; bits++) {
            random[0] = (unsigned char)(bits >> 8);
            random[1] = (unsigned char)bits;
            loyalty_code_generate(
                (loyalty_str_t){&cases[i].placeholder, 1}, random, code);
            counts[(unsigned char)code[0]]++;
        }

        least = SIZE_MAX;
        most = 0;
        for (c = 0; c < 256; c++) {
            assert_int_equal(counts[c] != 0,
                             c != 0 && strchr(cases[i].alphabet, (int)c));
            if (counts[c] != 0) {
                least = counts[c] < least ? counts[c] : least;
                most = counts[c] > most ? counts[c] : most;
            }
        }
        assert_true(most - least <= 1);
    }
}

static void
literals_stay(void **state)
{
    static const unsigned char random[2 * LOYALTY_CODE_MAX];
    char code[LOYALTY_CODE_MAX + 1];

    (void)state;

    assert_int_equal(loyalty_code_generate(loyalty_str("VIP_0-##@@**"), random,
                                           code),
                     12);
    assert_string_equal(code, "VIP_0-22AA22");
}

static void
codes_are_compared_without_case(void **state)
{
    char longest[LOYALTY_CODE_MAX + 1], folded[LOYALTY_CODE_MAX + 1];

    (void)state;

    assert_int_equal(loyalty_code_fold(loyalty_str("aZz-9`{@["), folded), 9);
    assert_memory_equal(folded, "AZZ-9`{@[", 9);
    memset(longest, 'a', sizeof(longest));
    assert_int_equal(loyalty_code_fold((loyalty_str_t){longest, 64}, folded),
                     64);
    assert_int_equal(folded[63], 'A');
    assert_int_equal(loyalty_code_fold((loyalty_str_t){longest, 65}, folded),
                     0);
    assert_int_equal(loyalty_code_fold(loyalty_str_null, folded), 0);
}

/* Blanks are of the typing, dashes are of the code; U+00E0 and U+00C2 share a
 * byte each with U+00A0. */
static void
codes_are_compared_without_blanks(void **state)
{
    static const struct {
        loyalty_str_t a, b;
        bool same;
    } cases[] = {
        {loyalty_str("save10"), loyalty_str(" SAVE10\r\n"), true},
        {loyalty_str("OWN-ABC234"), loyalty_str("own - abc\t234"), true},
        {loyalty_str("OWN-ABC234"), loyalty_str("\xc2\xa0OWN-ABC\xc2\xa0" "234"),
         true},
        {loyalty_str("OWN-ABC234"), loyalty_str("OWNABC234"), false},
        {loyalty_str("OWN"), loyalty_str("OWN-"), false},
        {loyalty_str("OWN-"), loyalty_str("OWN"), false},
        {loyalty_str("A\xc3\xa0"), loyalty_str("A"), false},
        {loyalty_str("A\xc3\x82"), loyalty_str("A"), false},
        {loyalty_str("A\xc2"), loyalty_str("A"), false},
        {loyalty_str(" "), loyalty_str(" "), false},
        {loyalty_str_null, loyalty_str_null, false},
    };
    char longest[2 * LOYALTY_CODE_MAX + 1], folded[LOYALTY_CODE_MAX];
    size_t i;

    (void)state;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(loyalty_code_same(cases[i].a, cases[i].b),
                         cases[i].same);
    }

    memset(longest, ' ', sizeof(longest));
    for (i = 0; i < LOYALTY_CODE_MAX; i++) {
        longest[2 * i] = 'x';
    }
    assert_int_equal(
        loyalty_code_fold((loyalty_str_t){longest, sizeof(longest)}, folded),
        LOYALTY_CODE_MAX);
    assert_int_equal(folded[LOYALTY_CODE_MAX - 1], 'X');
    longest[2 * LOYALTY_CODE_MAX] = 'x';
    assert_int_equal(
        loyalty_code_fold((loyalty_str_t){longest, sizeof(longest)}, folded),
        0);
    assert_int_equal(loyalty_code_fold(loyalty_str("\xc2\xa0 "), folded), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(patterns_are_checked),
        cmocka_unit_test(
            every_placeholder_reaches_its_whole_alphabet_and_nothing_else),
        cmocka_unit_test(literals_stay),
        cmocka_unit_test(codes_are_compared_without_case),
        cmocka_unit_test(codes_are_compared_without_blanks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
