/*
 * libFuzzer: a pattern, a line feed, and a SKU to match.  Whatever either is
 * made of, it ends within the limits; libFuzzer's timeout tells if not.
 */

#include <stdlib.h>

#include "loyalty_offer.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *bytes = (const char *)data;
    const char *end = size == 0 ? NULL : memchr(bytes, '\n', size);
    size_t len = end == NULL ? size : (size_t)(end - bytes);
    loyalty_str_t source = {bytes, len};
    loyalty_str_t sku = {bytes + len, size - len};
    loyalty_pattern_t *pattern = NULL;
    loyalty_problems_t problems;
    loyalty_arena_t arena;
    loyalty_status_t status;

    if (end != NULL) {
        sku.data++;
        sku.len--;
    }

    loyalty_arena_init(&arena, 0);
    loyalty_problems_init(&problems, &arena);
    status = loyalty_pattern_compile(source, "/pattern", &problems, &pattern);

    if (status == LOYALTY_OK) {
        if (loyalty_pattern_match(pattern, sku)
            != loyalty_pattern_match(pattern, sku)) {
            abort();
        }
    } else if (status != LOYALTY_ERROR_MEMORY && problems.count == 0) {
        abort();
    }

    loyalty_pattern_free(pattern);
    loyalty_arena_free(&arena);
    return 0;
}
