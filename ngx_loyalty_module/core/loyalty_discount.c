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

#include <stdlib.h>

#include "loyalty_money.h"

#define PERCENT_ALL 10000
#define FEW 8 /* SKUs that are sooner compared than searched */

loyalty_status_t
loyalty_basket_lines(const loyalty_basket_t *basket,
                     const loyalty_offer_scope_t *scope,
                     loyalty_lines_t *lines)
{
    const uint64_t *hashes = basket->hashes;
    size_t i, line;

    if (scope->kind == LOYALTY_SCOPE_SITE) {
        *lines = basket->all;
        return LOYALTY_OK;
    }

    lines->n = 0;
    lines->lines = loyalty_alloc(basket->arena,
                                 basket->nlines * sizeof(*lines->lines));
    if (lines->lines == NULL) {
        return LOYALTY_ERROR_MEMORY;
    }

    for (line = 0; line < basket->nlines; line++) {
        if (scope->kind == LOYALTY_SCOPE_PRODUCTS && scope->npatterns == 0
            && scope->nvalues <= FEW) {
            for (i = 0; i < scope->nvalues; i++) {
                if (scope->hashes[i] == hashes[line]) {
                    break;
                }
            }
            if (i == scope->nvalues) {
                continue; /* as most offers have it */
            }
        }

        if (loyalty_scope_covers(scope, basket->lines[line].sku, hashes[line],
                                 basket->categories[line])) {
            lines->lines[lines->n++] = (uint32_t)line;
        }
    }

    return LOYALTY_OK;
}

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

/* One line that takes part in spreading a sum. */
typedef struct {
    size_t line;
    int64_t weight;
    int64_t room;
} share_t;

/*
 * Spreads `amount` over shares by weight; a line whose share is more than its
 * room is set to its room and leaves, and the rest is spread over the others.
 * `parts` of the basket's lines are added up in reduction.
 */
static loyalty_status_t
spread(loyalty_arena_t *arena, share_t *shares, size_t n, int64_t amount,
       loyalty_reduction_t *reduction)
{
    loyalty_status_t rc;
    size_t i, kept;
    int64_t *weights, *parts, rest;

    weights = loyalty_alloc(arena, 2 * n * sizeof(*weights));
    if (weights == NULL) {
        return LOYALTY_ERROR_MEMORY;
    }
    parts = weights + n;

    while (n != 0 && amount != 0) {

        for (i = 0; i < n; i++) {
            weights[i] = shares[i].weight;
        }

        rc = loyalty_allocate(amount, weights, n, parts);
        if (rc != LOYALTY_OK) {
            return rc;
        }

        rest = amount;
        for (i = 0, kept = 0; i < n; i++) {
            if (parts[i] > shares[i].room) {
                reduction->parts[shares[i].line] = shares[i].room;
                reduction->amount += shares[i].room;
                rest -= shares[i].room;
            } else {
                shares[kept] = shares[i];
                parts[kept++] = parts[i];
            }
        }

        if (kept == n) {
            for (i = 0; i < n; i++) {
                reduction->parts[shares[i].line] = parts[i];
            }
            reduction->amount += amount;
            return LOYALTY_OK;
        }

        n = kept;
        amount = rest;
    }

    return LOYALTY_OK;
}

static loyalty_status_t
spread_over_scope(const loyalty_offer_t *offer, const loyalty_lines_t *scope,
                  const loyalty_basket_t *basket,
                  loyalty_reduction_t *reduction)
{
    loyalty_status_t rc;
    share_t *shares;
    int64_t amount, left = 0;
    size_t i, line, n = 0;

    shares = loyalty_alloc(basket->arena, scope->n * sizeof(*shares));
    if (shares == NULL) {
        return LOYALTY_ERROR_MEMORY;
    }

    for (i = 0; i < scope->n; i++) {
        line = scope->lines[i];
        if (basket->left[line] > 0) {
            left += basket->left[line];
            shares[n++] = (share_t){line, basket->left[line],
                                    room(basket, line)};
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

    return spread(basket->arena, shares, n, capped(offer, amount), reduction);
}

/* A line as buy_x_get_y and amount_each order them: by price, then place. */
typedef struct {
    size_t line;
    int64_t price;
    int64_t units;
    bool buys;
    bool gets;
} stock_t;

static int
compare_places(const stock_t *a, const stock_t *b)
{
    return (a->line > b->line) - (a->line < b->line);
}

static int
by_price_ascending(const void *left, const void *right)
{
    const stock_t *a = left, *b = right;
    int rc = (a->price > b->price) - (a->price < b->price);

    return rc != 0 ? rc : compare_places(a, b);
}

/* Dearest first; of equal prices those outside get_scope, then the earlier. */
static int
by_qualifying(const void *left, const void *right)
{
    const stock_t *a = left, *b = right;

    if (a->price != b->price) {
        return a->price < b->price ? 1 : -1;
    }

    return a->gets != b->gets ? a->gets - b->gets : compare_places(a, b);
}

/* Cheapest first; of equal prices the later. */
static int
by_getting(const void *left, const void *right)
{
    const stock_t *a = left, *b = right;

    if (a->price != b->price) {
        return a->price > b->price ? 1 : -1;
    }

    return compare_places(b, a);
}

static loyalty_status_t
amount_each(const loyalty_offer_t *offer, const loyalty_lines_t *scope,
            const loyalty_basket_t *basket, loyalty_reduction_t *reduction)
{
    const loyalty_discount_t *discount = &offer->discount;
    int64_t each, give, units, units_left;
    stock_t *stock;
    size_t i, line, n = 0;

    stock = loyalty_alloc(basket->arena, scope->n * sizeof(*stock));
    if (stock == NULL) {
        return LOYALTY_ERROR_MEMORY;
    }

    for (i = 0; i < scope->n; i++) {
        line = scope->lines[i];
        if (room(basket, line) > 0) {
            stock[n++] = (stock_t){.line = line,
                                   .price = basket->lines[line].unit_price,
                                   .units = basket->lines[line].quantity};
        }
    }

    units_left = discount->max_quantity != 0 ? discount->max_quantity
                                             : INT64_MAX;
    if (discount->max_quantity != 0) {
        qsort(stock, n, sizeof(*stock), by_price_ascending);
    }

    for (i = 0; i < n && units_left > 0; i++) {
        line = stock[i].line;
        each = smaller(discount->amount, stock[i].price);
        units = smaller(stock[i].units, units_left);

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

static loyalty_status_t
scope_lines(const loyalty_offer_t *offer, const loyalty_offer_scope_t *scope,
            const loyalty_lines_t *own, const loyalty_basket_t *basket,
            loyalty_lines_t *lines)
{
    if (scope == &offer->scope) {
        *lines = *own;
        return LOYALTY_OK;
    }

    return loyalty_basket_lines(basket, scope, lines);
}

/* The untaken units of the lines in either scope. */
static loyalty_status_t
take_stock(const loyalty_offer_t *offer, const loyalty_lines_t *scope,
           const loyalty_basket_t *basket, stock_t **stock, size_t *n)
{
    loyalty_lines_t buy, get;
    loyalty_status_t rc;
    size_t line, b = 0, g = 0;
    stock_t item;

    rc = scope_lines(offer, offer->discount.buy_scope, scope, basket, &buy);
    if (rc == LOYALTY_OK) {
        rc = scope_lines(offer, offer->discount.get_scope, scope, basket,
                         &get);
    }
    if (rc != LOYALTY_OK) {
        return rc;
    }

    *n = 0;
    *stock = loyalty_alloc(basket->arena, basket->nlines * sizeof(**stock));
    if (*stock == NULL) {
        return LOYALTY_ERROR_MEMORY;
    }

    for (line = 0; line < basket->nlines; line++) {
        item = (stock_t){
            .line = line,
            .price = basket->lines[line].unit_price,
            .units = basket->lines[line].quantity - basket->taken[line],
            .buys = b < buy.n && buy.lines[b] == line,
            .gets = g < get.n && get.lines[g] == line,
        };
        b += item.buys;
        g += item.gets;
        if ((item.buys || item.gets) && item.units > 0) {
            (*stock)[(*n)++] = item;
        }
    }

    return LOYALTY_OK;
}

/* `need` qualifying units, the dearest, while `spare` units of get_scope may
 * go to this side. */
static void
qualify(stock_t *stock, size_t n, int64_t need, int64_t spare,
        loyalty_reduction_t *reduction)
{
    int64_t units;
    size_t i;

    qsort(stock, n, sizeof(*stock), by_qualifying);

    for (i = 0; i < n && need > 0; i++) {
        if (!stock[i].buys) {
            continue;
        }

        units = smaller(stock[i].units, need);
        if (stock[i].gets) {
            units = smaller(units, spare);
            spare -= units;
        }

        need -= units;
        stock[i].units -= units;
        reduction->units[stock[i].line] += units;
    }
}

/* What is left of so many untaken units of a line. */
static loyalty_status_t
worth_of(const loyalty_basket_t *basket, size_t line, int64_t units,
         int64_t *worth)
{
    return loyalty_mul_div(basket->left[line] - basket->taken_left[line],
                           units,
                           basket->lines[line].quantity - basket->taken[line],
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

/* The units of either side, and how many whole groups they make. */
typedef struct {
    stock_t *stock;
    size_t n;
    int64_t gets; /* units that may be given */
    int64_t groups;
} sides_t;

static loyalty_status_t
count_groups(const loyalty_offer_t *offer, const loyalty_lines_t *scope,
             const loyalty_basket_t *basket, sides_t *sides,
             loyalty_reduction_t *reduction)
{
    int64_t buys = 0, gets = 0, either = 0;
    loyalty_status_t rc;
    stock_t *item;
    size_t i;

    rc = take_stock(offer, scope, basket, &sides->stock, &sides->n);
    if (rc != LOYALTY_OK) {
        return rc;
    }

    for (i = 0; i < sides->n; i++) {
        item = &sides->stock[i];
        *(!item->gets ? &buys : !item->buys ? &gets : &either) += item->units;
    }

    sides->gets = gets + either;
    sides->groups = groups(&offer->discount, buys, gets, either);
    reduction->too_few_units = sides->groups == 0;
    reduction->out_of_scope = sides->groups == 0
                              && (buys + either == 0 || gets + either == 0);
    return LOYALTY_OK;
}

loyalty_status_t
loyalty_discount_fits(const loyalty_offer_t *offer,
                      const loyalty_lines_t *scope,
                      const loyalty_basket_t *basket,
                      loyalty_reduction_t *reduction)
{
    sides_t sides;

    return count_groups(offer, scope, basket, &sides, reduction);
}

static loyalty_status_t
buy_x_get_y(const loyalty_offer_t *offer, const loyalty_lines_t *scope,
            const loyalty_basket_t *basket, loyalty_reduction_t *reduction)
{
    const loyalty_discount_t *discount = &offer->discount;
    int64_t need, units, worth, base = 0, amount;
    size_t i, line, n, nshares = 0;
    loyalty_status_t rc;
    share_t *shares;
    stock_t *stock;
    sides_t sides;

    rc = count_groups(offer, scope, basket, &sides, reduction);
    if (rc != LOYALTY_OK || sides.groups == 0) {
        return rc;
    }

    stock = sides.stock;
    n = sides.n;
    shares = loyalty_alloc(basket->arena, n * sizeof(*shares));
    reduction->units = loyalty_alloc(basket->arena,
                                     2 * basket->nlines * sizeof(int64_t));
    if (shares == NULL || reduction->units == NULL) {
        return LOYALTY_ERROR_MEMORY;
    }

    reduction->units_left = reduction->units + basket->nlines;

    need = sides.groups * discount->get_quantity;
    qualify(stock, n, sides.groups * discount->buy_quantity,
            sides.gets - need, reduction);

    qsort(stock, n, sizeof(*stock), by_getting);

    for (i = 0; i < n && need > 0; i++) {
        if (!stock[i].gets || stock[i].units == 0) {
            continue;
        }

        line = stock[i].line;
        units = smaller(stock[i].units, need);

        rc = worth_of(basket, line, units, &worth);
        if (rc != LOYALTY_OK) {
            return rc;
        }

        need -= units;
        reduction->units[line] += units;
        base += worth;
        if (worth > 0) {
            shares[nshares++] = (share_t){line, worth,
                                          smaller(worth, room(basket, line))};
        }
    }

    rc = loyalty_mul_div(base, discount->percent, PERCENT_ALL,
                         LOYALTY_ROUND_HALF_UP, &amount);
    if (rc != LOYALTY_OK) {
        return rc;
    }

    rc = spread(basket->arena, shares, nshares, capped(offer, amount),
                reduction);

    return rc == LOYALTY_OK ? leave_units(basket, reduction) : rc;
}

loyalty_status_t
loyalty_discount(const loyalty_offer_t *offer, const loyalty_lines_t *scope,
                 const loyalty_basket_t *basket,
                 loyalty_reduction_t *reduction)
{
    *reduction = (loyalty_reduction_t){0};
    reduction->parts = loyalty_alloc(basket->arena,
                                     basket->nlines * sizeof(int64_t));
    if (reduction->parts == NULL) {
        return LOYALTY_ERROR_MEMORY;
    }

    switch (offer->discount.kind) {

    case LOYALTY_DISCOUNT_NONE:
        return LOYALTY_OK;

    case LOYALTY_DISCOUNT_PERCENT:
    case LOYALTY_DISCOUNT_AMOUNT:
        return spread_over_scope(offer, scope, basket, reduction);

    case LOYALTY_DISCOUNT_AMOUNT_EACH:
        return amount_each(offer, scope, basket, reduction);

    case LOYALTY_DISCOUNT_BUY_X_GET_Y:
        return buy_x_get_y(offer, scope, basket, reduction);
    }

    return LOYALTY_ERROR_INVALID;
}

void
loyalty_basket_reduce(loyalty_basket_t *basket,
                      const loyalty_reduction_t *reduction)
{
    int64_t share;
    size_t i;

    for (i = 0; i < basket->nlines; i++) {
        if (reduction->parts[i] == 0 && reduction->units == NULL) {
            continue;
        }

        if (reduction->units != NULL) {
            basket->taken[i] += reduction->units[i];
            basket->taken_left[i] += reduction->units_left[i];

        } else if (basket->taken_left[i] != 0
                   && loyalty_mul_div(reduction->parts[i],
                                      basket->taken_left[i], basket->left[i],
                                      LOYALTY_ROUND_HALF_UP, &share)
                          == LOYALTY_OK) {
            basket->taken_left[i] -= share; /* it lies on all units alike */
        }

        basket->left[i] -= reduction->parts[i];
    }
}
