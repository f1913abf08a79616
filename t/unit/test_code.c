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

    assert_true(loyalty_code_fold(loyalty_str("aZz-9`{@["), folded));
    assert_memory_equal(folded, "AZZ-9`{@[", 9);
    memset(longest, 'a', sizeof(longest));
    assert_true(loyalty_code_fold((loyalty_str_t){longest, 64}, folded));
    assert_int_equal(folded[63], 'A');
    assert_false(loyalty_code_fold((loyalty_str_t){longest, 65}, folded));
    assert_false(loyalty_code_fold(loyalty_str_null, folded));
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
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
