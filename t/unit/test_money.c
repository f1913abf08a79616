/*
 * core/loyalty_money.c.  The expected figures are Python's: decimal with
 * ROUND_HALF_UP and ROUND_FLOOR, fractions.Fraction for products and
 * quotients, and a sort by (remainder, position) for the allocations.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "loyalty_money.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static void
currencies_have_their_exponent(void **state)
{
    /* Exponents: ISO 4217 list one, amendments up to 177. */
    static const struct {
        const char *code;
        int exponent;
    } cases[] = {
        {"GBP", 2}, {"EUR", 2}, {"USD", 2}, {"AED", 2}, {"ZWG", 2},
        {"XCG", 2}, {"MRU", 2}, {"MGA", 2}, {"HUF", 2}, {"IDR", 2},
        {"JPY", 0}, {"KRW", 0}, {"ISK", 0}, {"XPF", 0}, {"BIF", 0},
        {"VND", 0}, {"CLP", 0}, {"UGX", 0}, {"KWD", 3}, {"BHD", 3},
        {"TND", 3}, {"LYD", 3}, {"CLF", 4}, {"UYW", 4},
        {"", -1}, {"GB", -1}, {"GBPX", -1}, {"gbp", -1}, {"XTS", -1},
        {"XAU", -1}, {"P D", -1}, {" GB", -1}, {"BP ", -1}, {"DEM", -1},
    };
    size_t i;

    (void)state;

    for (i = 0; i < COUNT(cases); i++) {
        assert_int_equal(
            loyalty_currency_exponent(loyalty_str_from(cases[i].code)),
            cases[i].exponent);
    }
}

static void
decimals_are_read_without_floating_point(void **state)
{
    static const struct {
        const char *text;
        int scale;
        int64_t half_up, floor;
    } cases[] = {
        {"12.345", 2, 1235, 1234},
        {"-12.345", 2, -1235, -1235},
        {"0.005", 2, 1, 0},
        {"-0.005", 2, -1, -1},
        {"0.0049999999999999999", 2, 0, 0},
        {"7", 4, 70000, 70000},
        {"2.675", 2, 268, 267},
        {"92233720368547758.07", 2, INT64_MAX, INT64_MAX},
        {"-92233720368547758.08", 2, INT64_MIN, INT64_MIN},
        {"123456.7891", 3, 123456789, 123456789},
        {"0.1", 18, 100000000000000000, 100000000000000000},
        {"-0.1", 0, 0, -1},
        {"000001.50", 1, 15, 15},
        {"9223372036854775807", 0, INT64_MAX, INT64_MAX},
        {"-0", 2, 0, 0},
    };
    int64_t value;
    size_t i;

    (void)state;

    for (i = 0; i < COUNT(cases); i++) {
        assert_int_equal(
            loyalty_decimal_parse(loyalty_str_from(cases[i].text),
                                  cases[i].scale, LOYALTY_ROUND_HALF_UP,
                                  &value), LOYALTY_OK);
        assert_int_equal(value, cases[i].half_up);
        assert_int_equal(
            loyalty_decimal_parse(loyalty_str_from(cases[i].text),
                                  cases[i].scale, LOYALTY_ROUND_FLOOR,
                                  &value), LOYALTY_OK);
        assert_int_equal(value, cases[i].floor);
    }
}

static void
an_exact_decimal_has_no_place_too_many(void **state)
{
    static const struct {
        const char *text;
        loyalty_status_t status;
        int64_t value;
    } cases[] = {
        {"12.34", LOYALTY_OK, 1234},
        {"12.3", LOYALTY_OK, 1230},
        {"12.3400", LOYALTY_OK, 1234},
        {"12.341", LOYALTY_ERROR_INVALID, 0},
        {"12.3400000001", LOYALTY_ERROR_INVALID, 0},
    };
    int64_t value;
    size_t i;

    (void)state;

    for (i = 0; i < COUNT(cases); i++) {
        value = 0;
        assert_int_equal(
            loyalty_decimal_parse(loyalty_str_from(cases[i].text), 2,
                                  LOYALTY_ROUND_EXACT, &value),
            cases[i].status);
        assert_int_equal(value, cases[i].value);
    }
}

static void
bad_decimals_are_refused_and_leave_the_value_alone(void **state)
{
    static const struct {
        const char *text;
        loyalty_status_t status;
    } cases[] = {
        {"", LOYALTY_ERROR_INVALID},        {"-", LOYALTY_ERROR_INVALID},
        {".", LOYALTY_ERROR_INVALID},       {".5", LOYALTY_ERROR_INVALID},
        {"5.", LOYALTY_ERROR_INVALID},      {"1.2.3", LOYALTY_ERROR_INVALID},
        {"+1", LOYALTY_ERROR_INVALID},      {" 1", LOYALTY_ERROR_INVALID},
        {"1 ", LOYALTY_ERROR_INVALID},      {"1e3", LOYALTY_ERROR_INVALID},
        {"0x10", LOYALTY_ERROR_INVALID},    {"1,5", LOYALTY_ERROR_INVALID},
        {"--1", LOYALTY_ERROR_INVALID},     {"nan", LOYALTY_ERROR_INVALID},
        {"92233720368547758.08", LOYALTY_ERROR_OVERFLOW},
        {"92233720368547758.075", LOYALTY_ERROR_OVERFLOW},
        {"-92233720368547758.09", LOYALTY_ERROR_OVERFLOW},
        {"99999999999999999999999999", LOYALTY_ERROR_OVERFLOW},
    };
    int64_t value = 42;
    size_t i;

    (void)state;

    for (i = 0; i < COUNT(cases); i++) {
        assert_int_equal(
            loyalty_decimal_parse(loyalty_str_from(cases[i].text), 2,
                                  LOYALTY_ROUND_HALF_UP, &value),
            cases[i].status);
        assert_int_equal(value, 42);
    }

    assert_int_equal(loyalty_decimal_parse(loyalty_str_null, 2,
                                           LOYALTY_ROUND_FLOOR, &value),
                     LOYALTY_ERROR_INVALID);
    assert_int_equal(loyalty_decimal_parse(loyalty_str("1"), 19,
                                           LOYALTY_ROUND_FLOOR, &value),
                     LOYALTY_ERROR_INVALID);
    assert_int_equal(loyalty_decimal_parse(loyalty_str("1"), -1,
                                           LOYALTY_ROUND_FLOOR, &value),
                     LOYALTY_ERROR_INVALID);
}

static void
decimals_are_written(void **state)
{
    static const struct {
        int64_t value;
        int scale;
        const char *text;
    } cases[] = {
        {1235, 2, "12.35"},
        {5, 2, "0.05"},
        {-5, 2, "-0.05"},
        {0, 0, "0"},
        {1500, 0, "1500"},
        {1, 3, "0.001"},
        {INT64_MAX, 2, "92233720368547758.07"},
        {INT64_MIN, 2, "-92233720368547758.08"},
        {INT64_MIN, 18, "-9.223372036854775808"},
    };
    char text[LOYALTY_DECIMAL_SIZE];
    size_t i;

    (void)state;

    for (i = 0; i < COUNT(cases); i++) {
        assert_int_equal(loyalty_decimal_format(cases[i].value, cases[i].scale,
                                                text), strlen(cases[i].text));
        assert_string_equal(text, cases[i].text);
    }
}

static void
sums_are_checked(void **state)
{
    int64_t value = 42;

    (void)state;

    assert_int_equal(loyalty_add(INT64_MAX, 1, &value),
                     LOYALTY_ERROR_OVERFLOW);
    assert_int_equal(loyalty_sub(INT64_MIN, 1, &value),
                     LOYALTY_ERROR_OVERFLOW);
    assert_int_equal(loyalty_mul(INT64_MAX / 2 + 1, 2, &value),
                     LOYALTY_ERROR_OVERFLOW);
    assert_int_equal(loyalty_mul(INT64_MIN, -1, &value),
                     LOYALTY_ERROR_OVERFLOW);
    assert_int_equal(value, 42);

    assert_int_equal(loyalty_add(INT64_MAX, -1, &value), LOYALTY_OK);
    assert_int_equal(value, INT64_MAX - 1);
    assert_int_equal(loyalty_sub(-1, INT64_MAX, &value), LOYALTY_OK);
    assert_int_equal(value, INT64_MIN);
    assert_int_equal(loyalty_mul(-3, 14, &value), LOYALTY_OK);
    assert_int_equal(value, -42);
}

static void
a_product_is_divided_in_128_bits(void **state)
{
    static const struct {
        int64_t a, b, divisor, half_up, floor;
    } cases[] = {
        {7, 3, 2, 11, 10},
        {-7, 3, 2, -11, -11},
        {7, 3, -2, -11, -11},
        {1, 1, 3, 0, 0},
        {-1, 1, 3, 0, -1},
        {INT64_MAX, INT64_MAX, INT64_MAX, INT64_MAX, INT64_MAX},
        {INT64_MAX, 999999999, 1000000000, 9223372027631403770,
         9223372027631403770},
        {INT64_MIN, INT64_MAX, INT64_MIN, INT64_MAX, INT64_MAX},
        {10000, 3333, 10000, 3333, 3333},
        {INT64_MIN, 3, 7, -3952873730080618203, -3952873730080618204},
        {5, 1, 10, 1, 0},
        {-5, 1, 10, -1, -1},
        {0, -5, 7, 0, 0},
    };
    int64_t value;
    size_t i;

    (void)state;

    for (i = 0; i < COUNT(cases); i++) {
        assert_int_equal(loyalty_mul_div(cases[i].a, cases[i].b,
                                         cases[i].divisor,
                                         LOYALTY_ROUND_HALF_UP, &value),
                         LOYALTY_OK);
        assert_int_equal(value, cases[i].half_up);
        assert_int_equal(loyalty_mul_div(cases[i].a, cases[i].b,
                                         cases[i].divisor,
                                         LOYALTY_ROUND_FLOOR, &value),
                         LOYALTY_OK);
        assert_int_equal(value, cases[i].floor);
    }

    value = 42;
    assert_int_equal(loyalty_mul_div(1, 1, 0, LOYALTY_ROUND_FLOOR, &value),
                     LOYALTY_ERROR_INVALID);
    assert_int_equal(loyalty_mul_div(INT64_MAX, 2, 1, LOYALTY_ROUND_FLOOR,
                                     &value), LOYALTY_ERROR_OVERFLOW);
    assert_int_equal(loyalty_mul_div(INT64_MIN, 1, -1, LOYALTY_ROUND_FLOOR,
                                     &value), LOYALTY_ERROR_OVERFLOW);
    assert_int_equal(loyalty_mul_div(7, 3, 2, LOYALTY_ROUND_EXACT, &value),
                     LOYALTY_ERROR_INVALID);
    assert_int_equal(value, 42);
    assert_int_equal(loyalty_mul_div(7, 4, 2, LOYALTY_ROUND_EXACT, &value),
                     LOYALTY_OK);
    assert_int_equal(value, 14);
}

static void
shares_go_by_largest_remainder(void **state)
{
    static const struct {
        int64_t amount;
        size_t n;
        int64_t weights[5];
        int64_t parts[5];
    } cases[] = {
        {1000, 2, {16000, 6000}, {727, 273}},
        {100, 3, {1, 1, 1}, {34, 33, 33}},
        {10, 4, {3, 3, 3, 1}, {3, 3, 3, 1}},
        {1, 2, {1, 1}, {1, 0}},
        {5, 5, {0, 1, 0, 1, 1}, {0, 2, 0, 2, 1}},
        {7, 4, {10, 1, 1, 1}, {5, 1, 1, 0}},
        {20000, 3, {16666, 3334, 0}, {16666, 3334, 0}},
        {INT64_MAX, 2, {INT64_MAX - 1, 1}, {INT64_MAX - 1, 1}},
        {INT64_MAX, 3,
         {3074457345618258602, 3074457345618258602, 3074457345618258603},
         {3074457345618258602, 3074457345618258602, 3074457345618258603}},
        {2, 5, {5, 5, 5, 5, 5}, {1, 1, 0, 0, 0}},
        {0, 3, {0, 0, 0}, {0, 0, 0}},
        {0, 2, {7, 9}, {0, 0}},
        {9, 1, {1}, {9}},
    };
    int64_t parts[5], rests[5];
    size_t i, k;

    (void)state;

    for (i = 0; i < COUNT(cases); i++) {
        assert_int_equal(loyalty_allocate(cases[i].amount, cases[i].weights,
                                          cases[i].n, parts, rests),
                         LOYALTY_OK);
        for (k = 0; k < cases[i].n; k++) {
            assert_int_equal(parts[k], cases[i].parts[k]);
        }
    }

    assert_int_equal(loyalty_allocate(0, NULL, 0, parts, rests), LOYALTY_OK);
    assert_int_equal(loyalty_allocate(1, NULL, 0, parts, rests),
                     LOYALTY_ERROR_INVALID);
    assert_int_equal(loyalty_allocate(1, (int64_t[]){0, 0}, 2, parts, rests),
                     LOYALTY_ERROR_INVALID);
    assert_int_equal(loyalty_allocate(-1, (int64_t[]){1}, 1, parts, rests),
                     LOYALTY_ERROR_INVALID);
    assert_int_equal(loyalty_allocate(1, (int64_t[]){1, -1}, 2, parts, rests),
                     LOYALTY_ERROR_INVALID);
    assert_int_equal(loyalty_allocate(1, (int64_t[]){INT64_MAX, 1}, 2, parts,
                                      rests),
                     LOYALTY_ERROR_OVERFLOW);
}

#define LINES 100

/* A part is off its exact share by less than 1, zero weights get nothing,
 * and all parts sum to the amount. */
static void
shares_of_anything_sum_to_it(void **state)
{
    int64_t weights[LINES], parts[LINES], rests[LINES], expected[LINES];
    int64_t amount, sum, weight_sum;
    unsigned seed = 20101201;
    size_t i, n, best;
    int round;

    (void)state;
    print_message("# seed %u\n", seed);

    for (round = 0; round < 10000; round++) {
        n = 1 + (size_t)(rand_r(&seed) % LINES);
        amount = rand_r(&seed) % 1000000;
        weight_sum = 0;
        for (i = 0; i < n; i++) {
            weights[i] = rand_r(&seed) % 4 ? rand_r(&seed) % 100000 : 0;
            weight_sum += weights[i];
        }
        if (weight_sum == 0) {
            continue;
        }

        assert_int_equal(loyalty_allocate(amount, weights, n, parts, rests),
                         LOYALTY_OK);

        /* One by one to the largest remainder, the earlier of equal ones. */
        sum = 0;
        for (i = 0; i < n; i++) {
            expected[i] = amount * weights[i] / weight_sum;
            rests[i] = amount * weights[i] % weight_sum;
            sum += expected[i];
        }
        for (; sum < amount; sum++) {
            for (best = 0, i = 1; i < n; i++) {
                best = rests[i] > rests[best] ? i : best;
            }
            rests[best] = -1;
            expected[best]++;
        }

        sum = 0;
        for (i = 0; i < n; i++) {
            sum += parts[i];
            assert_int_equal(parts[i], expected[i]);
            assert_true(llabs(parts[i] * weight_sum - amount * weights[i])
                        < weight_sum);
            assert_true(weights[i] != 0 || parts[i] == 0);
        }
        assert_int_equal(sum, amount);
    }
}

static void
a_line_is_worth_quantity_times_price(void **state)
{
    static const struct {
        const char *unit_price;
        int exponent;
        int64_t quantity, amount;
    } cases[] = {
        {"2.55", 2, 6, 1530},
        {"0.125", 2, 1, 13},
        {"0.125", 2, 3, 38},
        {"1.005", 2, 1, 101},
        {"2.1", 2, 80995, 17008950},
        {"1099", 0, 3, 3297},
        {"1099.5", 0, 3, 3299},
        {"0.0005", 3, 1, 1},
        {"-1.255", 2, 1, -126},
        {"1.255", 2, -1, -126},
        {"649.5", 2, 60, 3897000},
        {"0.42", 2, 74215, 3117030},
        {"0.123456789012345678", 2, 1000000, 12345679},
        {"7.6", 4, 3, 228000},
        {"7.60000000000000000000000000", 2, 3, 2280},
        {"7.6", 2, 0, 0},
    };
    int64_t amount = 42;
    size_t i;

    (void)state;

    for (i = 0; i < COUNT(cases); i++) {
        assert_int_equal(
            loyalty_line_amount(loyalty_str_from(cases[i].unit_price),
                                cases[i].exponent, cases[i].quantity, &amount),
            LOYALTY_OK);
        assert_int_equal(amount, cases[i].amount);
    }

    amount = 42;
    assert_int_equal(loyalty_line_amount(loyalty_str("1.2x"), 2, 1, &amount),
                     LOYALTY_ERROR_INVALID);
    assert_int_equal(loyalty_line_amount(loyalty_str("1"), -1, 1, &amount),
                     LOYALTY_ERROR_INVALID);
    assert_int_equal(loyalty_line_amount(loyalty_str("0.1234567890123456789"),
                                         2, 1, &amount), LOYALTY_ERROR_LIMIT);
    assert_int_equal(loyalty_line_amount(loyalty_str("92233720368547758.07"),
                                         2, 2, &amount),
                     LOYALTY_ERROR_OVERFLOW);
    assert_int_equal(loyalty_line_amount(loyalty_str("92233720368547758.08"),
                                         2, 1, &amount),
                     LOYALTY_ERROR_OVERFLOW);
    assert_int_equal(amount, 42);
}

static void
points_are_floored_once(void **state)
{
    static const struct {
        int64_t total;
        int exponent;
        int64_t rate, multiplier, points;
    } cases[] = {
        {1999, 2, 10000, 150, 29}, /* cases/examples.json led-set-036 */
        {15000, 2, 10000, 100, 150},
        {9000, 2, 10000, 100, 90},
        {1, 2, 9999, 100, 0},
        {999999999999, 2, 123456, 333, 411108479999},
        {20000, 2, 50000, 100, 1000},
        {1500, 0, 100, 100, 15},
        {12345, 3, 15000, 125, 23},
        {INT64_MAX, 2, 10000, 100, 92233720368547758},
        {-1999, 2, 10000, 100, -20},
        {0, 2, 10000, 100, 0},
        {1999, 2, 10000, 0, 0},
    };
    int64_t points = 42;
    size_t i;

    (void)state;

    for (i = 0; i < COUNT(cases); i++) {
        assert_int_equal(loyalty_points_earned(cases[i].total,
                                               cases[i].exponent,
                                               cases[i].rate,
                                               cases[i].multiplier, &points),
                         LOYALTY_OK);
        assert_int_equal(points, cases[i].points);
    }

    points = 42;
    assert_int_equal(loyalty_points_earned(INT64_MAX, 2, INT64_MAX, INT64_MAX,
                                           &points), LOYALTY_ERROR_OVERFLOW);
    assert_int_equal(loyalty_points_earned(INT64_MAX, 0, 10010, 100, &points),
                     LOYALTY_ERROR_OVERFLOW);
    assert_int_equal(loyalty_points_earned(1, 2, -1, 100, &points),
                     LOYALTY_ERROR_INVALID);
    assert_int_equal(loyalty_points_earned(1, 2, 1, -1, &points),
                     LOYALTY_ERROR_INVALID);
    assert_int_equal(loyalty_points_earned(1, 13, 1, 1, &points),
                     LOYALTY_ERROR_INVALID);
    assert_int_equal(points, 42);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(currencies_have_their_exponent),
        cmocka_unit_test(decimals_are_read_without_floating_point),
        cmocka_unit_test(an_exact_decimal_has_no_place_too_many),
        cmocka_unit_test(bad_decimals_are_refused_and_leave_the_value_alone),
        cmocka_unit_test(decimals_are_written),
        cmocka_unit_test(sums_are_checked),
        cmocka_unit_test(a_product_is_divided_in_128_bits),
        cmocka_unit_test(shares_go_by_largest_remainder),
        cmocka_unit_test(shares_of_anything_sum_to_it),
        cmocka_unit_test(a_line_is_worth_quantity_times_price),
        cmocka_unit_test(points_are_floored_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
