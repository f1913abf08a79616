/*
 * JSON Pointers, token by token.  See the header.
 */

#include "loyalty_pointer.h"

#define INDEX_DIGITS 9

loyalty_status_t
loyalty_pointer_check(loyalty_str_t pointer)
{
    if (pointer.len == 0) {
        return LOYALTY_OK;
    }
    if (pointer.len > LOYALTY_POINTER_MAX || pointer.data[0] != '/') {
        return LOYALTY_ERROR_INVALID;
    }
    for (size_t i = 0; i < pointer.len; i++) {
        if (pointer.data[i] == '~'
            && (i + 1 == pointer.len
                || (pointer.data[i + 1] != '0'
                    && pointer.data[i + 1] != '1'))) {
            return LOYALTY_ERROR_INVALID;
        }
    }
    return LOYALTY_OK;
}

loyalty_str_t
loyalty_pointer_token(loyalty_str_t *pointer, char *name)
{
    const char *p = pointer->data + 1, *end = pointer->data + pointer->len;
    loyalty_str_t token = {p, 0};

    while (p < end && *p != '/' && *p != '~') {
        p++;
    }
    token.len = (size_t)(p - token.data);

    if (p < end && *p == '~') {
        memcpy(name, token.data, token.len);
        token.data = name;
    }
    for (; p < end && *p != '/'; p++) {
        if (*p == '~' && p + 1 < end) {
            p++;
            name[token.len++] = *p == '1' ? '/' : '~';
        } else {
            name[token.len++] = *p;
        }
    }
    *pointer = (loyalty_str_t){p, (size_t)(end - p)};
    return token;
}

bool
loyalty_pointer_index(loyalty_str_t token, size_t *index)
{
    size_t value = 0;

    if (token.len == 0 || token.len > INDEX_DIGITS
        || (token.data[0] == '0' && token.len > 1)) {
        return false;
    }
    for (size_t i = 0; i < token.len; i++) {
        if (token.data[i] < '0' || token.data[i] > '9') {
            return false;
        }
        value = value * 10 + (size_t)(token.data[i] - '0');
    }
    *index = value;
    return true;
}

json_t *
loyalty_pointer_get(json_t *json, loyalty_str_t pointer)
{
    char name[LOYALTY_POINTER_MAX + 1];
    size_t index;

    while (json != NULL && pointer.len != 0) {
        loyalty_str_t token = loyalty_pointer_token(&pointer, name);

        if (json_is_array(json)) {
            json = loyalty_pointer_index(token, &index)
                       ? json_array_get(json, index)
                       : NULL;
        } else {
            memmove(name, token.data, token.len);
            name[token.len] = '\0';
            json = json_object_get(json, name);
        }
    }
    return json;
}
