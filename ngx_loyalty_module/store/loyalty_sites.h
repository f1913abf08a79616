/*
 * The sites of an installation.
 */

#ifndef LOYALTY_SITES_H
#define LOYALTY_SITES_H

#include "loyalty_store.h"

/* The ids of all sites, in the arena. */
loyalty_store_result_t loyalty_sites(loyalty_store_t *store,
                                     loyalty_str_t prefix,
                                     loyalty_arena_t *arena,
                                     loyalty_str_t **ids, size_t *n);

#endif
