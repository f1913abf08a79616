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
    {2, "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB "
        "BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE CHF CHW CNY COP COU CRC CUP "
        "CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ "
        "GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK "
        "LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV "
        "MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD "
        "RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB "
        "TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST XCD XCG "
        "YER ZAR ZMW ZWG"},
    {0, "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"},
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

/* Whether a quotient's magnitude grows by what is left over. */
static bool
rounds_up(uint64_t rest, uint64_t divisor, bool negative,
          loyalty_round_t round)
{
    return round == LOYALTY_ROUND_HALF_UP
               ? rest >= divisor - rest
               : round == LOYALTY_ROUND_FLOOR && negative && rest != 0;
}

/* dividend / divisor of the given sign, rounded. */
static loyalty_status_t
divide(wide_t dividend, uint64_t divisor, bool negative, loyalty_round_t round,
       int64_t *result)
{
    wide_t quotient = dividend / divisor;
    uint64_t rest = (uint64_t)(dividend % divisor);

    if (rest != 0 && round == LOYALTY_ROUND_EXACT) {
        return LOYALTY_ERROR_INVALID;
    }

    return with_sign(quotient + rounds_up(rest, divisor, negative, round),
                     negative, result);
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

/* Signs and 128 bits.  Out of the way of what most money takes. */
static __attribute__((noinline)) loyalty_status_t
mul_div_wide(int64_t a, int64_t b, int64_t divisor, loyalty_round_t round,
             int64_t *quotient)
{
    bool negative = (a < 0) != (b < 0);

    if (divisor == 0) {
        return LOYALTY_ERROR_INVALID;
    }

    return divide((wide_t)magnitude(a) * magnitude(b), magnitude(divisor),
                  negative != (divisor < 0), round, quotient);
}

loyalty_status_t
loyalty_mul_div(int64_t a, int64_t b, int64_t divisor, loyalty_round_t round,
                int64_t *quotient)
{
    int64_t product;
    uint64_t rest;

    if ((a | b) < 0 || divisor <= 0 || round == LOYALTY_ROUND_EXACT
        || __builtin_mul_overflow(a, b, &product)) {
        return mul_div_wide(a, b, divisor, round, quotient);
    }

    rest = (uint64_t)product % (uint64_t)divisor;
    *quotient = product / divisor
                + rounds_up(rest, (uint64_t)divisor, false, round);
    return LOYALTY_OK;
}

/*
 * Shares of one amount: amount * weight / sum for each weight.
 *
 * One division for all of them: with ratio = floor(amount * 2^64 / sum), the
 * upper half of weight * ratio is the quotient, or one less, since what the
 * floor drops is less than 2^-64 and a weight is less than 2^63.  The rest
 * tells; it is below 2 * sum, so that it is right although its terms wrap.
 */
typedef struct {
    uint64_t amount; /* below sum */
    uint64_t sum;
    uint64_t ratio;
    uint64_t whole; /* each weight, so many times, besides */
} shares_t;

static shares_t
shares_of(uint64_t amount, uint64_t sum)
{
    uint64_t below = amount % sum;

    return (shares_t){.amount = below, .sum = sum,
                      .ratio = (uint64_t)(((wide_t)below << 64) / sum),
                      .whole = amount / sum};
}

static uint64_t
share(const shares_t *shares, uint64_t weight, uint64_t *rest)
{
    uint64_t quotient = (uint64_t)((wide_t)weight * shares->ratio >> 64);
    uint64_t left = shares->amount * weight - quotient * shares->sum;
    bool more = left >= shares->sum;

    *rest = more ? left - shares->sum : left;
    return quotient + more + shares->whole * weight;
}

static int64_t
count_from(const int64_t *values, size_t n, int64_t least)
{
    int64_t count = 0;
    size_t i;

    for (i = 0; i < n; i++) {
        count += values[i] >= least;
    }

    return count;
}

/* One too many from *low on: all above the least of them, and of those equal to
 * it all but one. */
static void
leave_least(const int64_t *values, size_t n, int64_t *low, int64_t *ties)
{
    int64_t from = *low;
    size_t i;

    *low = INT64_MAX;

    for (i = 0; i < n; i++) {
        if (values[i] >= from && values[i] <= *low) {
            *ties = values[i] == *low ? *ties + 1 : 0;
            *low = values[i];
        }
    }
}

/* One too few from `high` on: the first of the greatest below it, too. */
static void
add_greatest(const int64_t *values, size_t n, int64_t high, int64_t *low,
             int64_t *ties)
{
    size_t i;

    *ties = 1;

    for (i = 0; i < n; i++) {
        if (values[i] < high && values[i] > *low) {
            *low = values[i];
        }
    }
}

/*
 * The units that no share covered go to the `left` > 0 largest of the
 * remainders, one each: to all above *low, and to the first *ties equal to it.
 * `from` *low there are more than that many, from `high` fewer.  Remainders
 * lie about evenly, so the cut is sought where it would then be, every other
 * time in the middle; it ends as soon as it parts off just as many.
 */
static void
find_largest(const int64_t *rests, size_t n, int64_t left, int64_t sum,
             int64_t *low, int64_t *ties)
{
    int64_t high = sum, from_low = (int64_t)n, from_high = 0, cut, from;
    bool evenly = true;

    *low = 0;
    *ties = 0;

    for (; high - *low > 1; evenly = !evenly) {
        if (from_low - left == 1) {
            leave_least(rests, n, low, ties);
            return;
        }
        if (left - from_high == 1) {
            add_greatest(rests, n, high, low, ties);
            return;
        }

        cut = (high - *low) / 2;
        if (evenly) {
            /* NOLINTNEXTLINE: from_low > left > from_high */
            cut = (high - *low) / (from_low - from_high) * (from_low - left);
        }
        cut = *low + (cut == 0 ? 1 : cut);

        from = count_from(rests, n, cut);
        if (from == left) {
            *low = cut - 1;
            return;
        }

        if (from > left) {
            *low = cut;
            from_low = from;
        } else {
            high = cut;
            from_high = from;
        }
    }

    *ties = left - from_high;
}

static loyalty_status_t
sum_of(const int64_t *weights, size_t n, int64_t *sum)
{
    bool overflow = false;
    int64_t signs = 0;
    size_t i;

    for (*sum = 0, i = 0; i < n; i++) {
        signs |= weights[i];
        overflow |= __builtin_add_overflow(*sum, weights[i], sum);
    }

    return signs < 0  ? LOYALTY_ERROR_INVALID
           : overflow ? LOYALTY_ERROR_OVERFLOW
                      : LOYALTY_OK;
}

loyalty_status_t
loyalty_allocate(int64_t amount, const int64_t *weights, size_t n,
                 int64_t *parts, int64_t *rests)
{
    loyalty_status_t rc;
    int64_t sum;

    rc = sum_of(weights, n, &sum);

    return rc == LOYALTY_OK
               ? loyalty_allocate_of(amount, weights, n, sum, parts, rests)
               : rc;
}

loyalty_status_t
loyalty_allocate_of(int64_t amount, const int64_t *weights, size_t n,
                    int64_t sum, int64_t *parts, int64_t *rests)
{
    int64_t left = amount, low, ties;
    shares_t shares;
    uint64_t rest;
    size_t i;

    if (amount < 0 || (sum == 0 && amount != 0)) {
        return LOYALTY_ERROR_INVALID;
    }

    if (n == 0) {
        return LOYALTY_OK;
    }

    if (n == 1) {
        parts[0] = amount;
        return LOYALTY_OK;
    }

    shares = shares_of((uint64_t)amount, sum == 0 ? 1 : (uint64_t)sum);

    for (i = 0; i < n; i++) {
        parts[i] = (int64_t)share(&shares, (uint64_t)weights[i], &rest);
        rests[i] = (int64_t)rest;
        left -= parts[i];
    }

    if (left != 0) {
        find_largest(rests, n, left, sum, &low, &ties);
        for (i = 0; i < n; i++) {
            parts[i] += rests[i] > low;
            if (rests[i] == low && ties > 0) {
                ties--;
                parts[i]++;
            }
        }
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
