/*
 * Which scopes of a program a cart's line lies in, found from the line: each
 * SKU and each category that offers name leads to the scopes that name it.  A
 * line costs as many steps as it has scopes, however many offers there are.
 * Internal to core/.
 *
 * Scopes have numbers, those that name the same the same one: 0 is the whole
 * site, those below `nscopes` lie in the links.  SKU patterns are not here:
 * they are tried when their scope is asked for.
 */

#ifndef LOYALTY_SCOPE_H
#define LOYALTY_SCOPE_H

#include "loyalty_map.h"
#include "loyalty_offer.h"

#define LOYALTY_SCOPE_WHOLE_SITE 0

typedef struct {
    uint32_t scope; /* its number */
    uint32_t next;  /* of the same SKU or category; LOYALTY_MAP_NONE: last */
} loyalty_scope_link_t;

typedef struct {
    loyalty_map_t skus; /* to the first link */
    loyalty_map_t categories;
    loyalty_scope_link_t *links;
    uint32_t nscopes;
} loyalty_scope_index_t;

/* Of offers whose scopes are numbered below index->nscopes, and are numbered
 * anew; memory from the arena.  Keys are borrowed from the offers. */
loyalty_status_t loyalty_scope_index_build(loyalty_scope_index_t *index,
                                           loyalty_offer_t *const *offers,
                                           size_t noffers,
                                           loyalty_arena_t *arena);

#endif
