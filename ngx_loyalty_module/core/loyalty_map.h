/*
 * A map from strings to small numbers, filled once and then only read: ids to
 * indices, SKUs to scopes.  Keys are borrowed, entries are the arena's.
 */

#ifndef LOYALTY_MAP_H
#define LOYALTY_MAP_H

#include "loyalty.h"

#define LOYALTY_MAP_NONE UINT32_MAX

typedef struct {
    loyalty_str_t key;
    uint32_t hash;
    uint32_t value; /* LOYALTY_MAP_NONE: a free place */
} loyalty_map_entry_t;

typedef struct {
    loyalty_map_entry_t *entries;
    size_t mask;
    size_t count;
} loyalty_map_t;

/* Room for `capacity` keys. */
loyalty_status_t loyalty_map_init(loyalty_map_t *map, loyalty_arena_t *arena,
                                  size_t capacity);

/* The key's value if it is there, else puts `value`.  Never more keys than
 * the capacity; never LOYALTY_MAP_NONE. */
uint32_t loyalty_map_put(loyalty_map_t *map, loyalty_str_t key,
                         uint32_t value);

/* LOYALTY_MAP_NONE: not there.  A zeroed map holds nothing. */
uint32_t loyalty_map_get(const loyalty_map_t *map, loyalty_str_t key);

/*
 * Looks up "a", "a/b" and "a/b/c" of the key "a/b/c" in turn, in one pass over
 * it.  False when there is no more.
 */
typedef struct {
    loyalty_str_t key;
    size_t len; /* done so far; 0 to begin with */
    uint32_t hash;
} loyalty_map_path_t;

bool loyalty_map_next(const loyalty_map_t *map, loyalty_map_path_t *path,
                      uint32_t *value);

#endif
