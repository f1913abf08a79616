/*
 * Money, points and decimals without floating point (DOMAIN.md, head).
 *
 * Money is an int64_t in the currency's minor unit.  A decimal from outside
 * (a rate, a percentage, a unit price) is read from its text into an integer
 * scaled by a power of ten.  Every operation that may not fit says
 * LOYALTY_ERROR_OVERFLOW and leaves its result alone.
 */

#ifndef LOYALTY_MONEY_H
#define LOYALTY_MONEY_H

#include "loyalty.h"

/* ISO 4217: the exponent (GBP 2, JPY 0, KWD 3), or -1 for an unknown code. */
int loyalty_currency_exponent(loyalty_str_t code);

typedef enum {
    LOYALTY_ROUND_EXACT,   /* a digit but 0 past `scale` is invalid */
    LOYALTY_ROUND_HALF_UP, /* away from zero at the half */
    LOYALTY_ROUND_FLOOR
} loyalty_round_t;

/*
 * "12.345" at scale 2: 1235 rounded half up, 1234 by floor, invalid exact.
 * Digits, at most one point with digits on both sides, an optional leading
 * '-'; no exponent, no blanks.  `scale` is 0 to 18.
 */
loyalty_status_t loyalty_decimal_parse(loyalty_str_t text, int scale,
                                       loyalty_round_t round, int64_t *value);

#define LOYALTY_DECIMAL_SIZE 32

/* 1235 at scale 2: "12.35".  `text` has LOYALTY_DECIMAL_SIZE bytes; returns
 * the length; terminated. */
size_t loyalty_decimal_format(int64_t value, int scale, char *text);

loyalty_status_t loyalty_add(int64_t a, int64_t b, int64_t *sum);
loyalty_status_t loyalty_sub(int64_t a, int64_t b, int64_t *difference);
loyalty_status_t loyalty_mul(int64_t a, int64_t b, int64_t *product);

/* a * b / divisor, rounded, by way of 128 bits; divisor 0 is invalid. */
loyalty_status_t loyalty_mul_div(int64_t a, int64_t b, int64_t divisor,
                                 loyalty_round_t round, int64_t *quotient);

/*
 * Spreads `amount` >= 0 over n weights >= 0 in proportion, by largest
 * remainder, ties to the earlier (DOMAIN.md section 7, step 3).  The parts sum
 * to `amount`; all weights 0: LOYALTY_ERROR_INVALID unless `amount` is 0.
 * `rests` is scratch, n of them.
 */
loyalty_status_t loyalty_allocate(int64_t amount, const int64_t *weights,
                                  size_t n, int64_t *parts, int64_t *rests);

/* The same for who knows that no weight is below 0, and their sum. */
loyalty_status_t loyalty_allocate_of(int64_t amount, const int64_t *weights,
                                     size_t n, int64_t sum, int64_t *parts,
                                     int64_t *rests);

/* quantity * unit_price (a decimal text in major units), rounded half up to
 * the minor unit: a line's amount.  Over 18 places: LOYALTY_ERROR_LIMIT. */
loyalty_status_t loyalty_line_amount(loyalty_str_t unit_price, int exponent,
                                     int64_t quantity, int64_t *amount);

/* DOMAIN.md section 4: floor(total * rate * multiplier / 10^exponent), rate
 * scaled by 10^4, multiplier by 10^2; one floor at the end. */
loyalty_status_t loyalty_points_earned(int64_t total, int exponent,
                                       int64_t rate, int64_t multiplier,
                                       int64_t *points);

#endif
