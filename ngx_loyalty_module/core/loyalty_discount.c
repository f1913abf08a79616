/*
 * The four kinds of discount.
 *
 * `percent` and `amount` are one sum, spread over the scope's lines in
 * proportion to what is left of each.  A line that cannot take its share (its
 * floor is in the way) takes what it can, and the sum is spread anew over the
 * others.  `amount_each` and `buy_x_get_y` belong to units and stay on the
 * lines of their units.
 *
 * Two offers of `buy_x_get_y` share no unit, so the worth of a unit is what is
 * left of the units that none has taken.
 *
 * Invariant: amount = sum of parts, and parts[i] <= left[i] - floors[i].
 */

#include "loyalty_discount.h"

#include "loyalty_money.h"
#include "loyalty_scope.h"

#define PERCENT_ALL 10000

/* Marks of lines. */
#define IN_SCOPE 1
#define BUYS 2
#define GETS 4

static int64_t
smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* What line i can still give. */
static int64_t
room(const loyalty_basket_t *basket, size_t i)
{
    return basket->left[i] - basket->floors[i];
}

static int64_t
capped(const loyalty_offer_t *offer, int64_t amount)
{
    return offer->max_discount != 0 ? smaller(amount, offer->max_discount)
                                    : amount;
}

/*
 * Spreads `amount` over the first n of basket->sharing, by their weights, which
 * are `sum` in all; a line gives its weight at the most, and no more than its
 * room.  One whose share is more is set to what it can give and leaves, and the
 * rest is spread over the others.
 */
static loyalty_status_t
spread(loyalty_basket_t *basket, size_t n, int64_t sum, int64_t amount,
       loyalty_reduction_t *reduction)
{
    int64_t *weights = basket->weights, *shares = basket->shares;
    int64_t *parts = reduction->parts, most, rest;
    uint32_t *sharing = basket->sharing;
    loyalty_status_t rc;
    size_t i, kept;

    while (n != 0 && amount != 0) {

        rc = loyalty_allocate_of(amount, weights, n, sum, shares,
                                 basket->rests);
        if (rc != LOYALTY_OK) {
            return rc;
        }

        rest = amount;
        for (i = 0, kept = 0; i < n; i++) {
            most = smaller(weights[i], room(basket, sharing[i]));
            if (shares[i] > most) {
                parts[sharing[i]] = most;
                reduction->amount += most;
                rest -= most;
                sum -= weights[i];
            } else {
                parts[sharing[i]] = shares[i]; /* unless a line leaves */
                sharing[kept] = sharing[i];
                weights[kept++] = weights[i];
            }
        }

        if (kept == n) {
            reduction->amount += amount;
            return LOYALTY_OK;
        }

        n = kept;
        amount = rest;
    }

    return LOYALTY_OK;
}

static loyalty_status_t
spread_over_scope(const loyalty_offer_t *offer, loyalty_basket_t *basket,
                  loyalty_reduction_t *reduction)
{
    const loyalty_lines_t *scope = reduction->scope;
    int64_t *weights = basket->weights, amount, left = 0;
    uint32_t *sharing = basket->sharing;
    loyalty_status_t rc;
    size_t i, n = 0;

    for (i = 0; i < scope->n; i++) {
        weights[n] = basket->left[scope->lines[i]];
        if (weights[n] > 0) {
            left += weights[n];
            sharing[n++] = scope->lines[i];
        }
    }

    if (offer->discount.kind == LOYALTY_DISCOUNT_PERCENT) {
        rc = loyalty_mul_div(left, offer->discount.percent, PERCENT_ALL,
                             LOYALTY_ROUND_HALF_UP, &amount);
        if (rc != LOYALTY_OK) {
            return rc;
        }
    } else {
        amount = smaller(offer->discount.amount, left);
    }

    return spread(basket, n, left, capped(offer, amount), reduction);
}

/* The lines of the scope, the cheapest first where not all units get it. */
static loyalty_status_t
lines_for_each(const loyalty_offer_t *offer, loyalty_basket_t *basket,
               const loyalty_lines_t *scope, const uint32_t **lines)
{
    loyalty_status_t rc;
    size_t n;

    *lines = scope->lines;
    if (offer->discount.max_quantity == 0) {
        return LOYALTY_OK;
    }

    loyalty_basket_mark(basket, scope, IN_SCOPE);
    rc = loyalty_basket_choose(basket, &n);
    loyalty_basket_unmark(basket, scope);

    *lines = basket->chosen; /* scope->n of them */
    return rc;
}

static loyalty_status_t
amount_each(const loyalty_offer_t *offer, loyalty_basket_t *basket,
            loyalty_reduction_t *reduction)
{
    const loyalty_discount_t *discount = &offer->discount;
    int64_t each, give, units, units_left;
    const uint32_t *lines;
    loyalty_status_t rc;
    uint32_t line;
    size_t i;

    rc = lines_for_each(offer, basket, reduction->scope, &lines);
    if (rc != LOYALTY_OK) {
        return rc;
    }

    units_left = discount->max_quantity != 0 ? discount->max_quantity
                                             : INT64_MAX;

    for (i = 0; i < reduction->scope->n && units_left > 0; i++) {
        line = lines[i];
        if (room(basket, line) <= 0) {
            continue;
        }

        each = smaller(discount->amount, basket->lines[line].unit_price);
        units = smaller(basket->lines[line].quantity, units_left);

        /* No overflow: units x price is at most the line's amount. */
        give = smaller(units * each, room(basket, line));
        if (offer->max_discount != 0) {
            give = smaller(give, offer->max_discount - reduction->amount);
        }

        units_left -= units;
        reduction->parts[line] = give;
        reduction->amount += give;
    }

    return LOYALTY_OK;
}

/*
 * How many whole groups there are: units that only qualify, only get, or may
 * do either.  k groups need k*buy and k*get units, none twice; that fits if
 * and only if each side and both together fit.
 */
static int64_t
groups(const loyalty_discount_t *discount, int64_t buys, int64_t gets,
       int64_t either)
{
    int64_t k;

    k = smaller((buys + either) / discount->buy_quantity,
                (gets + either) / discount->get_quantity);
    k = smaller(k, (buys + gets + either)
                       / (discount->buy_quantity + discount->get_quantity));

    return discount->max_repeats != 0 ? smaller(k, discount->max_repeats) : k;
}

static bool
same_price(const loyalty_basket_t *basket, size_t i, size_t j)
{
    return basket->lines[basket->chosen[i]].unit_price
           == basket->lines[basket->chosen[j]].unit_price;
}

static int64_t
free_units(const loyalty_basket_t *basket, size_t line)
{
    return basket->lines[line].quantity - basket->taken[line];
}

/* The lines of either side of a buy_x_get_y, and how many whole groups their
 * untaken units make. */
typedef struct {
    const loyalty_lines_t *buy;
    const loyalty_lines_t *get;
    int64_t gets; /* units that may be given */
    int64_t groups;
} sides_t;

static int64_t
units_of(const loyalty_basket_t *basket, const loyalty_lines_t *lines)
{
    int64_t units = 0;
    size_t i;

    for (i = 0; i < lines->n; i++) {
        units += free_units(basket, lines->lines[i]);
    }

    return units;
}

/* Of the units of `lines`, those on lines that are marked. */
static int64_t
marked_units_of(const loyalty_basket_t *basket, const loyalty_lines_t *lines)
{
    int64_t units = 0;
    size_t i;

    for (i = 0; i < lines->n; i++) {
        if (basket->marks[lines->lines[i]] != 0) {
            units += free_units(basket, lines->lines[i]);
        }
    }

    return units;
}

static void
count_groups(const loyalty_offer_t *offer, loyalty_basket_t *basket,
             sides_t *sides, loyalty_reduction_t *reduction)
{
    int64_t buys, gets, either;

    sides->buy = loyalty_basket_lines(basket, offer->discount.buy_scope);
    sides->get = loyalty_basket_lines(basket, offer->discount.get_scope);

    gets = units_of(basket, sides->get);
    buys = gets;
    either = gets;

    if (sides->buy != sides->get) {
        buys = units_of(basket, sides->buy);
        loyalty_basket_mark(basket, sides->get, GETS);
        either = marked_units_of(basket, sides->buy);
        loyalty_basket_unmark(basket, sides->get);
    }

    sides->gets = gets;
    sides->groups = groups(&offer->discount, buys - either, gets - either,
                           either);
    reduction->too_few_units = sides->groups == 0;
    reduction->out_of_scope = sides->groups == 0 && (buys == 0 || gets == 0);
}

void
loyalty_discount_fits(const loyalty_offer_t *offer, loyalty_basket_t *basket,
                      loyalty_reduction_t *reduction)
{
    sides_t sides;

    count_groups(offer, basket, &sides, reduction);
}

/* From the n chosen lines, cheapest first, `need` units: the dearest; of equal
 * prices those outside get_scope, then the earlier.  Of get_scope no more than
 * `spare`. */
static void
qualify(const loyalty_basket_t *basket, size_t n, int64_t need, int64_t spare,
        loyalty_reduction_t *reduction)
{
    static const uint8_t sides[] = {BUYS, BUYS | GETS};
    const uint32_t *chosen = basket->chosen;
    size_t i, k, start, end;
    int64_t units;

    for (end = n; end > 0 && need > 0; end = start) {
        for (start = end - 1; start > 0 && same_price(basket, start - 1, start);
             start--) {
            /* to the first of that price */
        }

        for (k = 0; k < 2; k++) {
            for (i = start; i < end && need > 0; i++) {
                if (basket->marks[chosen[i]] != sides[k]) {
                    continue;
                }

                units = smaller(free_units(basket, chosen[i]), need);
                if (sides[k] & GETS) {
                    units = smaller(units, spare);
                    spare -= units;
                }

                need -= units;
                reduction->units[chosen[i]] += units;
            }
        }
    }
}

/* The part of what a line has left that lies on its taken units. */
static int64_t
taken_left(const loyalty_basket_t *basket, size_t line)
{
    int64_t part = basket->taken_left[line];

    if (part != 0 && basket->left[line] != basket->taken_of[line]) {
        /* It is at most what the line has left: no error. */
        (void)loyalty_mul_div(part, basket->left[line],
                              basket->taken_of[line], LOYALTY_ROUND_HALF_UP,
                              &part);
    }

    return part;
}

/* What is left of so many untaken units of a line. */
static loyalty_status_t
worth_of(const loyalty_basket_t *basket, size_t line, int64_t units,
         int64_t *worth)
{
    return loyalty_mul_div(basket->left[line] - taken_left(basket, line),
                           units, free_units(basket, line),
                           LOYALTY_ROUND_HALF_UP, worth);
}

/* The discount stays on the units it was given for: what is left of them is
 * no later buy_x_get_y's. */
static loyalty_status_t
leave_units(const loyalty_basket_t *basket, loyalty_reduction_t *reduction)
{
    loyalty_status_t rc;
    int64_t worth;
    size_t i;

    for (i = 0; i < basket->nlines; i++) {
        if (reduction->units[i] == 0) {
            continue;
        }

        rc = worth_of(basket, i, reduction->units[i], &worth);
        if (rc != LOYALTY_OK) {
            return rc;
        }

        reduction->units_left[i] = worth > reduction->parts[i]
                                       ? worth - reduction->parts[i] : 0;
    }

    return LOYALTY_OK;
}

/* From the n chosen lines, cheapest first, `need` units of get_scope that do
 * not qualify: the cheapest; of equal prices the later.  What they are worth
 * is put down by line. */
static loyalty_status_t
get(loyalty_basket_t *basket, size_t n, int64_t need,
    loyalty_reduction_t *reduction)
{
    const uint32_t *chosen = basket->chosen;
    size_t i, start, end;
    loyalty_status_t rc;
    int64_t units;
    uint32_t line;

    for (start = 0; start < n && need > 0; start = end) {
        for (end = start + 1; end < n && same_price(basket, start, end);
             end++) {
            /* to the last of that price */
        }

        for (i = end; i > start && need > 0; i--) {
            line = chosen[i - 1];
            units = smaller(free_units(basket, line) - reduction->units[line],
                            need);
            if ((basket->marks[line] & GETS) == 0 || units == 0) {
                continue;
            }

            rc = worth_of(basket, line, units, &basket->worths[line]);
            if (rc != LOYALTY_OK) {
                return rc;
            }

            need -= units;
            reduction->units[line] += units;
        }
    }

    return LOYALTY_OK;
}

/* The lines that get something share it, in the order of the cart; returns
 * what it is a percentage of. */
static int64_t
share_worths(loyalty_basket_t *basket, const loyalty_lines_t *lines,
             size_t *nsharing)
{
    int64_t *worth, base = 0;
    size_t i;

    *nsharing = 0;

    for (i = 0; i < lines->n; i++) {
        worth = &basket->worths[lines->lines[i]];
        if (*worth > 0) {
            base += *worth;
            basket->sharing[*nsharing] = lines->lines[i];
            basket->weights[(*nsharing)++] = *worth;
            *worth = 0;
        }
    }

    return base;
}

/* The discount on the sides' units, whose lines are marked. */
static loyalty_status_t
give_groups(const loyalty_offer_t *offer, loyalty_basket_t *basket,
            const sides_t *sides, loyalty_reduction_t *reduction)
{
    const loyalty_discount_t *discount = &offer->discount;
    int64_t need = sides->groups * discount->get_quantity, worth, amount;
    size_t n, nsharing;
    loyalty_status_t rc;

    rc = loyalty_basket_choose(basket, &n);
    if (rc != LOYALTY_OK) {
        return rc;
    }

    reduction->scope = &basket->scopes[LOYALTY_SCOPE_WHOLE_SITE];
    reduction->units = basket->units;
    reduction->units_left = basket->units_left;
    memset(reduction->units, 0, basket->nlines * sizeof(int64_t));
    memset(reduction->units_left, 0, basket->nlines * sizeof(int64_t));

    qualify(basket, n, sides->groups * discount->buy_quantity,
            sides->gets - need, reduction);

    rc = get(basket, n, need, reduction);
    if (rc != LOYALTY_OK) {
        return rc;
    }

    worth = share_worths(basket, sides->get, &nsharing);
    rc = loyalty_mul_div(worth, discount->percent, PERCENT_ALL,
                         LOYALTY_ROUND_HALF_UP, &amount);
    if (rc != LOYALTY_OK) {
        return rc;
    }

    rc = spread(basket, nsharing, worth, capped(offer, amount), reduction);

    return rc == LOYALTY_OK ? leave_units(basket, reduction) : rc;
}

static loyalty_status_t
buy_x_get_y(const loyalty_offer_t *offer, loyalty_basket_t *basket,
            loyalty_reduction_t *reduction)
{
    loyalty_status_t rc = LOYALTY_OK;
    sides_t sides;

    count_groups(offer, basket, &sides, reduction);
    if (sides.groups != 0) {
        loyalty_basket_mark(basket, sides.buy, BUYS);
        loyalty_basket_mark(basket, sides.get, GETS);
        rc = give_groups(offer, basket, &sides, reduction);
        loyalty_basket_unmark(basket, sides.buy);
        loyalty_basket_unmark(basket, sides.get);
    }

    return rc;
}

loyalty_status_t
loyalty_discount(const loyalty_offer_t *offer, loyalty_basket_t *basket,
                 loyalty_reduction_t *reduction)
{
    *reduction = (loyalty_reduction_t){
        .scope = loyalty_basket_lines(basket, &offer->scope),
        .parts = basket->parts,
    };
    memset(reduction->parts, 0, basket->nlines * sizeof(int64_t));

    switch (offer->discount.kind) {

    case LOYALTY_DISCOUNT_NONE:
        return LOYALTY_OK;

    case LOYALTY_DISCOUNT_PERCENT:
    case LOYALTY_DISCOUNT_AMOUNT:
        return spread_over_scope(offer, basket, reduction);

    case LOYALTY_DISCOUNT_AMOUNT_EACH:
        return amount_each(offer, basket, reduction);

    case LOYALTY_DISCOUNT_BUY_X_GET_Y:
        return buy_x_get_y(offer, basket, reduction);
    }

    return LOYALTY_ERROR_INVALID;
}

static void
take_units(loyalty_basket_t *basket, const loyalty_reduction_t *reduction)
{
    size_t i;

    for (i = 0; i < basket->nlines; i++) {
        if (reduction->units[i] != 0) {
            basket->taken[i] += reduction->units[i];
            basket->taken_left[i] = taken_left(basket, i)
                                    + reduction->units_left[i];
            basket->taken_of[i] = basket->left[i] - reduction->parts[i];
        }
    }
}

size_t
loyalty_basket_reduce(loyalty_basket_t *basket,
                      const loyalty_reduction_t *reduction,
                      loyalty_allocation_t *allocations)
{
    const loyalty_lines_t *scope = reduction->scope;
    size_t i, n = 0;
    uint32_t line;
    int64_t part;

    if (reduction->units != NULL) {
        take_units(basket, reduction);
    }

    for (i = 0; i < scope->n; i++) {
        line = scope->lines[i];
        part = reduction->parts[line];
        if (part != 0) {
            basket->left[line] -= part;
            allocations[n++] = (loyalty_allocation_t){line, part};
        }
    }

    return n;
}
