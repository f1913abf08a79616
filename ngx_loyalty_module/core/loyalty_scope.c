/*
 * Building the index of scopes.
 *
 *   skus        "TEE-M" --> link {scope 3} --> link {scope 9} --> end
 *   categories  "home"  --> link {scope 4} --> end
 *
 * One link for each SKU or category that a scope names; the first of a chain
 * stays first, further ones are put in behind it.
 */

#include "loyalty_scope.h"

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

static void
link_scope(loyalty_scope_index_t *index, const loyalty_offer_scope_t *scope,
           uint32_t *nlinks)
{
    loyalty_map_t *map = scope->kind == LOYALTY_SCOPE_PRODUCTS
                             ? &index->skus : &index->categories;
    loyalty_scope_link_t *link, *first;
    size_t i;

    for (i = 0; i < scope->nvalues; i++) {
        link = &index->links[*nlinks];
        first = &index->links[loyalty_map_put(map, scope->values[i],
                                              (*nlinks)++)];
        *link = (loyalty_scope_link_t){scope->number, LOYALTY_MAP_NONE};
        if (first != link) {
            link->next = first->next;
            first->next = (uint32_t)(link - index->links);
        }
    }
}

loyalty_status_t
loyalty_scope_index_build(loyalty_scope_index_t *index,
                          loyalty_offer_t *const *offers, size_t noffers,
                          loyalty_arena_t *arena)
{
    size_t i, k, skus, categories;
    uint32_t nlinks = 0;

    count_values(offers, noffers, &skus, &categories);

    index->links = loyalty_alloc(arena, (skus + categories)
                                            * sizeof(index->links[0]));
    if (index->links == NULL
        || loyalty_map_init(&index->skus, arena, skus) != LOYALTY_OK
        || loyalty_map_init(&index->categories, arena, categories)
               != LOYALTY_OK) {
        return LOYALTY_ERROR_MEMORY;
    }

    for (i = 0; i < noffers; i++) {
        for (k = 0; k < offers[i]->nscopes; k++) {
            link_scope(index, offers[i]->scopes[k], &nlinks);
        }
    }

    return LOYALTY_OK;
}
