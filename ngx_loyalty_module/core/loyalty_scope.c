/*
 * Building the index of scopes.
 *
 *   skus        "TEE-M" --> link {scope 3} --> link {scope 9} --> end
 *   categories  "home"  --> link {scope 4} --> end
 *
 * Scopes that name the same have the same number, so that a line lies in each
 * once, however many offers are made for it.  One link for each SKU or category
 * that a scope names; the first of a chain stays first, further ones are put in
 * behind it.
 */

#include "loyalty_scope.h"

#include <stdlib.h>

/* Those with patterns are each by itself. */
static int
by_content(const void *left, const void *right)
{
    const loyalty_offer_scope_t *const *first = left, *const *second = right;
    const loyalty_offer_scope_t *a = *first, *b = *second;
    size_t i;
    int rc;

    if (a->kind != b->kind) {
        return a->kind < b->kind ? -1 : 1;
    }

    if (a->nvalues != b->nvalues) {
        return a->nvalues < b->nvalues ? -1 : 1;
    }

    if ((a->npatterns == 0) != (b->npatterns == 0)) {
        return a->npatterns == 0 ? -1 : 1;
    }

    if (a->npatterns != 0) {
        return (a->number > b->number) - (a->number < b->number);
    }

    for (i = 0; i < a->nvalues; i++) {
        rc = loyalty_str_cmp(a->values[i], b->values[i]);
        if (rc != 0) {
            return rc;
        }
    }

    return 0;
}

static void
renumber(loyalty_offer_t *offer, const uint32_t *numbers)
{
    loyalty_discount_t *discount = &offer->discount;
    loyalty_offer_scope_t *own[LOYALTY_OFFER_SCOPES_MAX];
    size_t i, n = 0;

    own[n++] = &offer->scope;
    own[n++] = &offer->condition_scope;
    if (discount->buy_scope != &offer->scope) {
        own[n++] = (loyalty_offer_scope_t *)discount->buy_scope;
    }
    if (discount->get_scope != &offer->scope) {
        own[n++] = (loyalty_offer_scope_t *)discount->get_scope;
    }

    for (i = 0; i < n; i++) {
        own[i]->number = numbers[own[i]->number];
    }
}

/* Numbers anew, without gaps, from 1. */
static loyalty_status_t
merge_equal(loyalty_scope_index_t *index, loyalty_offer_t *const *offers,
            size_t noffers, loyalty_arena_t *arena)
{
    const loyalty_offer_scope_t **list;
    size_t i, k, n = 0;
    uint32_t *numbers;

    list = loyalty_alloc(arena, noffers * LOYALTY_OFFER_SCOPES_MAX
                                    * sizeof(*list));
    numbers = loyalty_alloc(arena, index->nscopes * sizeof(*numbers));
    if (list == NULL || numbers == NULL) {
        return LOYALTY_ERROR_MEMORY;
    }

    for (i = 0; i < noffers; i++) {
        for (k = 0; k < offers[i]->nscopes; k++) {
            if (offers[i]->scopes[k]->number != LOYALTY_SCOPE_WHOLE_SITE) {
                list[n++] = offers[i]->scopes[k];
            }
        }
    }

    if (n > 1) {
        qsort(list, n, sizeof(*list), by_content);
    }

    index->nscopes = 1;
    for (i = 0; i < n; i++) {
        if (i == 0 || by_content(&list[i - 1], &list[i]) != 0) {
            index->nscopes++;
        }
        numbers[list[i]->number] = index->nscopes - 1;
    }

    for (i = 0; i < noffers; i++) {
        renumber(offers[i], numbers);
    }

    return LOYALTY_OK;
}

static void
count_values(loyalty_offer_t *const *offers, size_t noffers, size_t *skus,
             size_t *categories)
{
    const loyalty_offer_scope_t *scope;
    size_t i, k;

    *skus = 0;
    *categories = 0;

    for (i = 0; i < noffers; i++) {
        for (k = 0; k < offers[i]->nscopes; k++) {
            scope = offers[i]->scopes[k];
            *(scope->kind == LOYALTY_SCOPE_PRODUCTS ? skus : categories)
                += scope->nvalues;
        }
    }
}

/* A scope that comes again is linked already. */
static void
link_scope(loyalty_scope_index_t *index, const loyalty_offer_scope_t *scope,
           bool *linked, uint32_t *nlinks)
{
    loyalty_map_t *map = scope->kind == LOYALTY_SCOPE_PRODUCTS
                             ? &index->skus : &index->categories;
    loyalty_scope_link_t *link, *first;
    size_t i;

    for (i = 0; i < scope->nvalues && !linked[scope->number]; i++) {
        link = &index->links[*nlinks];
        first = &index->links[loyalty_map_put(map, scope->values[i],
                                              (*nlinks)++)];
        *link = (loyalty_scope_link_t){scope->number, LOYALTY_MAP_NONE};
        if (first != link) {
            link->next = first->next;
            first->next = (uint32_t)(link - index->links);
        }
    }

    linked[scope->number] = true;
}

loyalty_status_t
loyalty_scope_index_build(loyalty_scope_index_t *index,
                          loyalty_offer_t *const *offers, size_t noffers,
                          loyalty_arena_t *arena)
{
    size_t i, k, skus, categories;
    uint32_t nlinks = 0;
    bool *linked;

    if (merge_equal(index, offers, noffers, arena) != LOYALTY_OK) {
        return LOYALTY_ERROR_MEMORY;
    }

    count_values(offers, noffers, &skus, &categories);

    linked = loyalty_alloc(arena, index->nscopes * sizeof(*linked));
    index->links = loyalty_alloc(arena, (skus + categories)
                                            * sizeof(index->links[0]));
    if (linked == NULL || index->links == NULL
        || loyalty_map_init(&index->skus, arena, skus) != LOYALTY_OK
        || loyalty_map_init(&index->categories, arena, categories)
               != LOYALTY_OK) {
        return LOYALTY_ERROR_MEMORY;
    }

    for (i = 0; i < noffers; i++) {
        for (k = 0; k < offers[i]->nscopes; k++) {
            link_scope(index, offers[i]->scopes[k], linked, &nlinks);
        }
    }

    return LOYALTY_OK;
}
