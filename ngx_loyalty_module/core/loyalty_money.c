/*
 * Decimals, checked sums and fair shares, all in integers.
 *
 * A product of two 64-bit numbers is taken in 128 bits and divided there, so
 * the only thing that can fail is the result that does not fit 64 bits again.
 * Magnitude and sign are kept apart while rounding: "half up" means away from
 * zero at the half, "floor" means towards minus infinity.
 */

#include "loyalty_money.h"

__extension__ typedef unsigned __int128 wide_t;

/* The magnitude of INT64_MIN, which no int64_t holds. */
#define MAGNITUDE_MAX ((uint64_t)INT64_MAX + 1)

#define PLACES_MAX 18
#define FEW 64 /* parts whose remainders fit the stack */

static const int64_t powers[PLACES_MAX + 1] = {
    INT64_C(1), INT64_C(10), INT64_C(100), INT64_C(1000), INT64_C(10000),
    INT64_C(100000), INT64_C(1000000), INT64_C(10000000), INT64_C(100000000),
    INT64_C(1000000000), INT64_C(10000000000), INT64_C(100000000000),
    INT64_C(1000000000000), INT64_C(10000000000000),
    INT64_C(100000000000000), INT64_C(1000000000000000),
    INT64_C(10000000000000000), INT64_C(100000000000000000),
    INT64_C(1000000000000000000),
};

/* ISO 4217, list one, by exponent.  ANG and BGN have left the list lately;
 * orders in them are still on record. */
static const struct {
    int exponent;
    const char *codes;
} currencies[] = {
    {0, "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"},
    {2, "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB "
        "BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE CHF CHW CNY COP COU CRC CUP "
        "CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ "
        "GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK "
        "LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV "
        "MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD "
        "RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB "
        "TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST XCD XCG "
        "YER ZAR ZMW ZWG"},
    {3, "BHD IQD JOD KWD LYD OMR TND"},
    {4, "CLF UYW"},
};

/* Codes are three letters and a space each, in alphabetical order. */
static bool
has_code(const char *codes, const char *code)
{
    size_t low = 0, high = (strlen(codes) + 1) / 4, middle;
    int rc;

    while (low < high) {
        middle = (low + high) / 2;
        rc = memcmp(codes + 4 * middle, code, 3);
        if (rc == 0) {
            return true;
        }
        if (rc < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return false;
}

int
loyalty_currency_exponent(loyalty_str_t code)
{
    if (code.len != 3) {
        return -1;
    }

    for (size_t i = 0; i < sizeof(currencies) / sizeof(currencies[0]); i++) {
        if (has_code(currencies[i].codes, code.data)) {
            return currencies[i].exponent;
        }
    }

    return -1;
}

static bool
is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static uint64_t
magnitude(int64_t value)
{
    return value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
}

static loyalty_status_t
with_sign(wide_t value, bool negative, int64_t *result)
{
    if (value > MAGNITUDE_MAX - (negative ? 0 : 1)) {
        return LOYALTY_ERROR_OVERFLOW;
    }

    *result = (int64_t)(negative ? 0 - (uint64_t)value : (uint64_t)value);
    return LOYALTY_OK;
}

/* dividend / divisor of the given sign, rounded. */
static loyalty_status_t
divide(wide_t dividend, uint64_t divisor, bool negative, loyalty_round_t round,
       int64_t *result)
{
    wide_t quotient;
    uint64_t rest;

    if (dividend <= UINT64_MAX) { /* most money: a fraction of the time */
        quotient = (uint64_t)dividend / divisor;
        rest = (uint64_t)dividend % divisor;
    } else {
        quotient = dividend / divisor;
        rest = (uint64_t)(dividend % divisor);
    }

    if (rest != 0) {
        switch (round) {
        case LOYALTY_ROUND_EXACT:
            return LOYALTY_ERROR_INVALID;
        case LOYALTY_ROUND_HALF_UP:
            quotient += rest >= divisor - rest;
            break;
        case LOYALTY_ROUND_FLOOR:
            quotient += negative;
            break;
        }
    }

    return with_sign(quotient, negative, result);
}

/* What "-0012.3400" is made of. */
typedef struct {
    bool negative;
    loyalty_str_t whole;
    loyalty_str_t fraction; /* trailing zeros cut */
} decimal_t;

static loyalty_str_t
take_digits(const char **p, const char *end)
{
    loyalty_str_t taken = {*p, 0};

    while (*p != end && is_digit(**p)) {
        (*p)++;
        taken.len++;
    }

    return taken;
}

static loyalty_status_t
read_decimal(loyalty_str_t text, decimal_t *decimal)
{
    const char *p = text.data, *end;

    if (text.len == 0) {
        return LOYALTY_ERROR_INVALID;
    }

    end = p + text.len;
    decimal->negative = *p == '-';
    p += decimal->negative;

    decimal->whole = take_digits(&p, end);
    decimal->fraction = loyalty_str_null;

    if (p != end && *p == '.') {
        p++;
        decimal->fraction = take_digits(&p, end);
        if (decimal->fraction.len == 0) {
            return LOYALTY_ERROR_INVALID;
        }
    }

    if (decimal->whole.len == 0 || p != end) {
        return LOYALTY_ERROR_INVALID;
    }

    while (decimal->fraction.len > 0
           && decimal->fraction.data[decimal->fraction.len - 1] == '0') {
        decimal->fraction.len--;
    }

    return LOYALTY_OK;
}

/* Appends a digit; false when no int64_t can hold the result any more. */
static bool
push_digit(uint64_t *value, char digit)
{
    if (*value > MAGNITUDE_MAX / 10) {
        return false;
    }

    *value = *value * 10 + (uint64_t)(digit - '0');
    return *value <= MAGNITUDE_MAX;
}

loyalty_status_t
loyalty_decimal_parse(loyalty_str_t text, int scale, loyalty_round_t round,
                      int64_t *value)
{
    size_t i, places = (size_t)scale;
    uint64_t scaled = 0;
    decimal_t decimal;

    if (scale < 0 || scale > PLACES_MAX
        || read_decimal(text, &decimal) != LOYALTY_OK) {
        return LOYALTY_ERROR_INVALID;
    }

    for (i = 0; i < decimal.whole.len; i++) {
        if (!push_digit(&scaled, decimal.whole.data[i])) {
            return LOYALTY_ERROR_OVERFLOW;
        }
    }

    for (i = 0; i < places; i++) {
        if (!push_digit(&scaled, i < decimal.fraction.len
                                     ? decimal.fraction.data[i] : '0')) {
            return LOYALTY_ERROR_OVERFLOW;
        }
    }

    if (decimal.fraction.len > places) {
        switch (round) {
        case LOYALTY_ROUND_EXACT:
            return LOYALTY_ERROR_INVALID;
        case LOYALTY_ROUND_HALF_UP:
            scaled += decimal.fraction.data[places] >= '5';
            break;
        case LOYALTY_ROUND_FLOOR:
            scaled += decimal.negative;
            break;
        }
    }

    return with_sign(scaled, decimal.negative, value);
}

size_t
loyalty_decimal_format(int64_t value, int scale, char *text)
{
    char digits[LOYALTY_DECIMAL_SIZE], *p = digits + sizeof(digits);
    uint64_t rest = magnitude(value);
    size_t len;

    scale = scale < 0 ? 0 : scale > PLACES_MAX ? PLACES_MAX : scale;

    /* From the last digit; at least one before the point. */
    *--p = '\0';
    for (int place = 0; place <= scale || rest != 0; place++) {
        if (place == scale && scale > 0) {
            *--p = '.';
        }
        *--p = (char)('0' + rest % 10);
        rest /= 10;
    }
    if (value < 0) {
        *--p = '-';
    }

    len = (size_t)(digits + sizeof(digits) - p);
    memcpy(text, p, len);
    return len - 1;
}

loyalty_status_t
loyalty_add(int64_t a, int64_t b, int64_t *sum)
{
    int64_t result;

    if (__builtin_add_overflow(a, b, &result)) {
        return LOYALTY_ERROR_OVERFLOW;
    }

    *sum = result;
    return LOYALTY_OK;
}

loyalty_status_t
loyalty_sub(int64_t a, int64_t b, int64_t *difference)
{
    int64_t result;

    if (__builtin_sub_overflow(a, b, &result)) {
        return LOYALTY_ERROR_OVERFLOW;
    }

    *difference = result;
    return LOYALTY_OK;
}

loyalty_status_t
loyalty_mul(int64_t a, int64_t b, int64_t *product)
{
    int64_t result;

    if (__builtin_mul_overflow(a, b, &result)) {
        return LOYALTY_ERROR_OVERFLOW;
    }

    *product = result;
    return LOYALTY_OK;
}

loyalty_status_t
loyalty_mul_div(int64_t a, int64_t b, int64_t divisor, loyalty_round_t round,
                int64_t *quotient)
{
    bool negative = (a < 0) != (b < 0);

    if (divisor == 0) {
        return LOYALTY_ERROR_INVALID;
    }

    return divide((wide_t)magnitude(a) * magnitude(b), magnitude(divisor),
                  negative != (divisor < 0), round, quotient);
}

/* amount * weight / sum and what is left over; 64 bits where they do. */
static uint64_t
share(uint64_t amount, uint64_t weight, uint64_t sum, uint64_t *rest)
{
    uint64_t narrow;
    wide_t wide;

    if (!__builtin_mul_overflow(amount, weight, &narrow)) {
        *rest = narrow % sum;
        return narrow / sum;
    }

    wide = (wide_t)amount * weight;
    *rest = (uint64_t)(wide % sum);
    return (uint64_t)(wide / sum);
}

static size_t
count_from(const int64_t *values, size_t n, int64_t least)
{
    size_t i, count = 0;

    for (i = 0; i < n; i++) {
        count += values[i] >= least;
    }

    return count;
}

/* A unit to each of the `left` largest remainders, ties to the earlier. */
static void
hand_out(uint64_t *rests, size_t n, int64_t left, int64_t *parts)
{
    size_t i, best;

    for (; left > 0; left--) {
        for (best = 0, i = 1; i < n; i++) {
            best = rests[i] > rests[best] ? i : best;
        }
        rests[best] = 0;
        parts[best]++;
    }
}

/*
 * The units that no share covered go to the largest remainders, one each:
 * `left` of them.  A few parts are looked through for each.  Of many, the
 * remainders wait in parts[], and the smallest one that still gets a unit is
 * found by bisection, which needs no memory and no order.
 */
loyalty_status_t
loyalty_allocate(int64_t amount, const int64_t *weights, size_t n,
                 int64_t *parts)
{
    int64_t sum = 0, left = amount, low, high, middle, ties;
    uint64_t quotient, rest, rests[FEW];
    size_t i;

    if (amount < 0) {
        return LOYALTY_ERROR_INVALID;
    }

    for (i = 0; i < n; i++) {
        if (weights[i] < 0) {
            return LOYALTY_ERROR_INVALID;
        }
        if (__builtin_add_overflow(sum, weights[i], &sum)) {
            return LOYALTY_ERROR_OVERFLOW;
        }
    }

    if (sum == 0) {
        if (amount != 0) {
            return LOYALTY_ERROR_INVALID;
        }
        sum = 1;
    }

    for (i = 0; i < n; i++) {
        quotient = share((uint64_t)amount, (uint64_t)weights[i],
                         (uint64_t)sum, &rest);
        left -= (int64_t)quotient;
        if (n <= FEW) {
            rests[i] = rest;
            parts[i] = (int64_t)quotient;
        } else {
            parts[i] = (int64_t)rest;
        }
    }

    if (n <= FEW) {
        hand_out(rests, n, left, parts);
        return LOYALTY_OK;
    }

    low = 0;
    high = sum;
    while (high - low > 1) {
        middle = low + (high - low) / 2;
        if (count_from(parts, n, middle) >= (size_t)left) {
            low = middle;
        } else {
            high = middle;
        }
    }
    ties = left - (int64_t)count_from(parts, n, low + 1);

    for (i = 0; i < n; i++) {
        quotient = share((uint64_t)amount, (uint64_t)weights[i],
                         (uint64_t)sum, &rest);
        if ((int64_t)rest > low) {
            quotient++;
        } else if ((int64_t)rest == low && ties > 0) {
            ties--;
            quotient++;
        }
        parts[i] = (int64_t)quotient;
    }

    return LOYALTY_OK;
}

loyalty_status_t
loyalty_line_amount(loyalty_str_t unit_price, int exponent, int64_t quantity,
                    int64_t *amount)
{
    int64_t price;
    decimal_t decimal;
    loyalty_status_t rc;
    int places;
    wide_t product;
    bool negative;

    if (exponent < 0 || exponent > PLACES_MAX
        || read_decimal(unit_price, &decimal) != LOYALTY_OK) {
        return LOYALTY_ERROR_INVALID;
    }

    if (decimal.fraction.len > PLACES_MAX) {
        return LOYALTY_ERROR_LIMIT;
    }

    places = (int)decimal.fraction.len;
    places = places < exponent ? exponent : places;

    rc = loyalty_decimal_parse(unit_price, places, LOYALTY_ROUND_EXACT, &price);
    if (rc != LOYALTY_OK) {
        return rc;
    }

    product = (wide_t)magnitude(price) * magnitude(quantity);
    negative = (price < 0) != (quantity < 0);

    return divide(product, (uint64_t)powers[places - exponent], negative,
                  LOYALTY_ROUND_HALF_UP, amount);
}

loyalty_status_t
loyalty_points_earned(int64_t total, int exponent, int64_t rate,
                      int64_t multiplier, int64_t *points)
{
    wide_t product;

    if (exponent < 0 || exponent > PLACES_MAX - 6 || rate < 0
        || multiplier < 0) {
        return LOYALTY_ERROR_INVALID;
    }

    product = (wide_t)magnitude(total) * magnitude(rate);

    if (multiplier != 0 && product > ~(wide_t)0 / (uint64_t)multiplier) {
        return LOYALTY_ERROR_OVERFLOW;
    }

    return divide(product * (uint64_t)multiplier,
                  (uint64_t)powers[exponent + 6], total < 0,
                  LOYALTY_ROUND_FLOOR, points);
}
