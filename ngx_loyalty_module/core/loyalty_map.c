/*
 * Open addressing, linear probing, at most half full, so that a search for a
 * missing key ends soon.  FNV-1a: keys come from the merchant's program, not
 * from shoppers, who can only look up.
 */

#include "loyalty_map.h"

#define BASIS UINT32_C(2166136261)
#define PRIME UINT32_C(16777619)

/* FNV leaves the low bits to the last bytes alone. */
static uint32_t
finish(uint32_t hash)
{
    return hash ^ (hash >> 15);
}

static uint32_t
hash_of(loyalty_str_t key)
{
    uint32_t hash = BASIS;
    size_t i;

    for (i = 0; i < key.len; i++) {
        hash = (hash ^ (uint8_t)key.data[i]) * PRIME;
    }

    return finish(hash);
}

loyalty_status_t
loyalty_map_init(loyalty_map_t *map, loyalty_arena_t *arena, size_t capacity)
{
    size_t i, size = 4;

    while (size < capacity * 2) {
        size *= 2;
    }

    *map = (loyalty_map_t){.mask = size - 1};
    map->entries = loyalty_alloc(arena, size * sizeof(map->entries[0]));
    if (map->entries == NULL) {
        return LOYALTY_ERROR_MEMORY;
    }

    for (i = 0; i < size; i++) {
        map->entries[i].value = LOYALTY_MAP_NONE;
    }

    return LOYALTY_OK;
}

/* The key's place, or the free one where it would go. */
static loyalty_map_entry_t *
find(const loyalty_map_t *map, loyalty_str_t key, uint32_t hash)
{
    loyalty_map_entry_t *entry;
    size_t i = hash;

    for ( ;; i++) {
        entry = &map->entries[i & map->mask];
        if (entry->value == LOYALTY_MAP_NONE
            || (entry->hash == hash && loyalty_str_eq(entry->key, key))) {
            return entry;
        }
    }
}

uint32_t
loyalty_map_put(loyalty_map_t *map, loyalty_str_t key, uint32_t value)
{
    uint32_t hash = hash_of(key);
    loyalty_map_entry_t *entry = find(map, key, hash);

    if (entry->value == LOYALTY_MAP_NONE) {
        *entry = (loyalty_map_entry_t){key, hash, value};
        map->count++;
    }

    return entry->value;
}

uint32_t
loyalty_map_get(const loyalty_map_t *map, loyalty_str_t key)
{
    if (map->entries == NULL) {
        return LOYALTY_MAP_NONE;
    }

    return find(map, key, hash_of(key))->value;
}

bool
loyalty_map_next(const loyalty_map_t *map, loyalty_map_path_t *path,
                 uint32_t *value)
{
    uint32_t hash = path->len == 0 ? BASIS : path->hash;
    size_t len = path->len;

    if (len == path->key.len || map->entries == NULL) {
        return false;
    }

    do {
        hash = (hash ^ (uint8_t)path->key.data[len++]) * PRIME;
    } while (len < path->key.len && path->key.data[len] != '/');

    path->len = len;
    path->hash = hash;
    *value = find(map, (loyalty_str_t){path->key.data, len},
                  finish(hash))->value;
    return true;
}
