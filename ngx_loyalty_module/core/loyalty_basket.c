/*
 * Sorting a cart's lines into the program's scopes, once.
 *
 * Each line goes to all scopes that name its SKU or a category above it, and
 * adds its sums there.  After that an offer knows its lines, and what it asks
 * of the undiscounted cart, without a look at any line.
 *
 * Only SKU patterns wait until an offer that has some comes to be judged.
 */

#include "loyalty_basket.h"

#include <stdlib.h>

#include "loyalty_money.h"
#include "loyalty_program_private.h"

static loyalty_status_t
make_room(loyalty_basket_t *basket, size_t nscopes)
{
    int64_t **const columns[] = {
        &basket->left, &basket->floors,
        &basket->taken, &basket->taken_left, &basket->taken_of,
        &basket->parts, &basket->units, &basket->units_left,
        &basket->weights, &basket->shares, &basket->rests, &basket->worths,
    };
    size_t i, n = basket->nlines, count = sizeof(columns) / sizeof(columns[0]);
    int64_t *values;

    values = loyalty_alloc(basket->arena, count * n * sizeof(*values));
    basket->chosen = loyalty_alloc(basket->arena,
                                   2 * n * sizeof(*basket->chosen));
    basket->marks = loyalty_alloc(basket->arena, n);
    basket->scopes = loyalty_alloc(basket->arena,
                                   nscopes * sizeof(*basket->scopes));
    if (values == NULL || basket->chosen == NULL || basket->marks == NULL
        || basket->scopes == NULL) {
        return LOYALTY_ERROR_MEMORY;
    }

    for (i = 0; i < count; i++) {
        *columns[i] = values + i * n;
    }
    basket->sharing = basket->chosen + n;

    return LOYALTY_OK;
}

static loyalty_status_t
price_line(loyalty_basket_t *basket, size_t i)
{
    const loyalty_cart_line_t *line = &basket->lines[i];
    loyalty_status_t rc;

    if (line->unit_price < 0 || line->minimum_price < 0
        || line->quantity < 0) {
        return LOYALTY_ERROR_INVALID;
    }

    if (line->quantity > LOYALTY_QUANTITY_MAX) {
        return LOYALTY_ERROR_LIMIT;
    }

    rc = loyalty_mul(line->unit_price, line->quantity, &basket->left[i]);
    if (rc != LOYALTY_OK) {
        return rc;
    }

    /* No overflow: it is at most the line's amount. */
    basket->floors[i] = line->minimum_price < line->unit_price
                            ? line->minimum_price * line->quantity
                            : basket->left[i];

    return loyalty_add(basket->subtotal, basket->left[i], &basket->subtotal);
}

/* Lines come in ascending order; one may come twice, by a category and by one
 * above it.  No overflow: a scope's sums are at most the cart's. */
static loyalty_status_t
add_line(loyalty_basket_t *basket, loyalty_lines_t *scope, size_t line)
{
    if (scope->n != 0 && scope->lines[scope->n - 1] == line) {
        return LOYALTY_OK;
    }

    if (scope->lines == NULL) {
        scope->lines = loyalty_alloc(basket->arena,
                                     basket->nlines * sizeof(*scope->lines));
        if (scope->lines == NULL) {
            return LOYALTY_ERROR_MEMORY;
        }
    }

    scope->lines[scope->n++] = (uint32_t)line;
    scope->spend += basket->left[line];
    scope->quantity += basket->lines[line].quantity;
    return LOYALTY_OK;
}

static loyalty_status_t
add_to_chain(loyalty_basket_t *basket, const loyalty_scope_index_t *index,
             uint32_t link, size_t line)
{
    loyalty_status_t rc = LOYALTY_OK;

    for (; rc == LOYALTY_OK && link != LOYALTY_MAP_NONE;
         link = index->links[link].next) {
        rc = add_line(basket, &basket->scopes[index->links[link].scope], line);
    }

    return rc;
}

static loyalty_status_t
sort_in(loyalty_basket_t *basket, const loyalty_program_t *program,
        size_t line)
{
    const loyalty_scope_index_t *index = &program->private_data->scopes;
    const loyalty_cart_line_t *item = &basket->lines[line];
    loyalty_map_path_t path = {0};
    loyalty_status_t rc;
    uint32_t link;

    if (item->quantity == 0) {
        return LOYALTY_OK; /* there is nothing of it to be in a scope */
    }

    rc = add_line(basket, &basket->scopes[LOYALTY_SCOPE_WHOLE_SITE], line);
    if (rc == LOYALTY_OK) {
        rc = add_to_chain(basket, index,
                          loyalty_map_get(&index->skus, item->sku), line);
    }

    path.key = loyalty_program_category(program, item->sku, item->category);
    while (rc == LOYALTY_OK
           && loyalty_map_next(&index->categories, &path, &link)) {
        rc = add_to_chain(basket, index, link, line);
    }

    return rc;
}

loyalty_status_t
loyalty_basket_fill(loyalty_basket_t *basket, const loyalty_program_t *program,
                    const loyalty_cart_t *cart, loyalty_arena_t *arena)
{
    loyalty_status_t rc;
    size_t i;

    *basket = (loyalty_basket_t){.lines = cart->lines,
                                 .nlines = cart->nlines, .arena = arena};

    rc = make_room(basket, program->private_data->scopes.nscopes);

    for (i = 0; rc == LOYALTY_OK && i < cart->nlines; i++) {
        rc = price_line(basket, i);
        if (rc == LOYALTY_OK) {
            rc = sort_in(basket, program, i);
        }
    }

    return rc;
}

static bool
fits_a_pattern(const loyalty_offer_scope_t *scope, loyalty_str_t sku)
{
    size_t i;

    for (i = 0; i < scope->npatterns; i++) {
        if (loyalty_pattern_match(scope->patterns[i], sku)) {
            return true;
        }
    }

    return false;
}

loyalty_status_t
loyalty_basket_search(loyalty_basket_t *basket,
                      const loyalty_offer_scope_t *scope)
{
    loyalty_lines_t *named = &basket->scopes[scope->number];
    loyalty_lines_t all = {.searched = true};
    loyalty_status_t rc = LOYALTY_OK;
    size_t i, k = 0;

    if (scope->npatterns == 0 || named->searched) {
        return LOYALTY_OK;
    }

    for (i = 0; rc == LOYALTY_OK && i < basket->nlines; i++) {
        if (k < named->n && named->lines[k] == i) {
            k++;
            rc = add_line(basket, &all, i);
        } else if (basket->lines[i].quantity != 0
                   && fits_a_pattern(scope, basket->lines[i].sku)) {
            rc = add_line(basket, &all, i);
        }
    }

    *named = all;
    return rc;
}

void
loyalty_basket_mark(loyalty_basket_t *basket, const loyalty_lines_t *lines,
                    uint8_t mark)
{
    size_t i;

    for (i = 0; i < lines->n; i++) {
        basket->marks[lines->lines[i]] |= mark;
    }
}

void
loyalty_basket_unmark(loyalty_basket_t *basket, const loyalty_lines_t *lines)
{
    size_t i;

    for (i = 0; i < lines->n; i++) {
        basket->marks[lines->lines[i]] = 0;
    }
}

typedef struct {
    int64_t price;
    uint32_t line;
} priced_t;

static int
compare_prices(const void *left, const void *right)
{
    const priced_t *a = left, *b = right;
    int rc = (a->price > b->price) - (a->price < b->price);

    return rc != 0 ? rc : (a->line > b->line) - (a->line < b->line);
}

static loyalty_status_t
sort_by_price(loyalty_basket_t *basket)
{
    size_t i, n = basket->nlines;
    priced_t *priced;

    priced = loyalty_alloc(basket->arena, n * sizeof(*priced));
    basket->by_price = loyalty_alloc(basket->arena,
                                     n * sizeof(*basket->by_price));
    if (priced == NULL || basket->by_price == NULL) {
        return LOYALTY_ERROR_MEMORY;
    }

    for (i = 0; i < n; i++) {
        priced[i] = (priced_t){basket->lines[i].unit_price, (uint32_t)i};
    }

    qsort(priced, n, sizeof(*priced), compare_prices);

    for (i = 0; i < n; i++) {
        basket->by_price[i] = priced[i].line;
    }

    return LOYALTY_OK;
}

loyalty_status_t
loyalty_basket_choose(loyalty_basket_t *basket, size_t *n)
{
    loyalty_status_t rc;
    size_t i;

    *n = 0;

    if (basket->by_price == NULL) {
        rc = sort_by_price(basket);
        if (rc != LOYALTY_OK) {
            return rc;
        }
    }

    for (i = 0; i < basket->nlines; i++) {
        if (basket->marks[basket->by_price[i]] != 0) {
            basket->chosen[(*n)++] = basket->by_price[i];
        }
    }

    return LOYALTY_OK;
}
