/*
 * The elements of the indexes; how texts are folded, core/ knows.
 */

#include "loyalty_member_index.h"

#include "loyalty_fold.h"

const char *
loyalty_index_kind(loyalty_index_t index)
{
    static const char *const kinds[] = {
        [LOYALTY_INDEX_EMAIL] = "ie",
        [LOYALTY_INDEX_PHONE] = "ip",
        [LOYALTY_INDEX_NAME] = "in",
    };

    return kinds[index];
}

loyalty_status_t
loyalty_index_fold(loyalty_index_t index, loyalty_str_t text,
                   loyalty_arena_t *arena, loyalty_str_t *folded)
{
    return index == LOYALTY_INDEX_PHONE
               ? loyalty_fold_phone(text, arena, folded)
               : loyalty_fold_text(text, arena, folded);
}

loyalty_status_t
loyalty_index_element(loyalty_str_t folded, loyalty_str_t id,
                      loyalty_arena_t *arena, loyalty_str_t *element)
{
    size_t len = folded.len + 1 + id.len;
    char *text = loyalty_alloc(arena, len);

    if (text == NULL) {
        return LOYALTY_ERROR_MEMORY;
    }

    if (folded.len != 0) {
        memcpy(text, folded.data, folded.len);
    }
    memcpy(text + folded.len + 1, id.data, id.len);
    *element = (loyalty_str_t){text, len};
    return LOYALTY_OK;
}

bool
loyalty_index_id(loyalty_str_t element, loyalty_str_t *id)
{
    const char *zero = element.len == 0
                           ? NULL : memchr(element.data, '\0', element.len);

    if (zero == NULL) {
        return false;
    }

    id->data = zero + 1;
    id->len = element.len - (size_t)(id->data - element.data);
    return id->len != 0;
}
