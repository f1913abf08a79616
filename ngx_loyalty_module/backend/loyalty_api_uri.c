/*
 * A request's URI: the path in segments, the query in parameters, decoded.
 */

#include "loyalty_api_route.h"

static int
hex_digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* Decodes %XX, and in a query '+', in place; false: not well formed. */
static bool
decode(char *text, size_t *len, bool plus)
{
    size_t i, n = 0;
    int high, low;

    for (i = 0; i < *len; i++) {
        if (text[i] == '%') {
            if (*len - i < 3 || (high = hex_digit(text[i + 1])) < 0
                || (low = hex_digit(text[i + 2])) < 0) {
                return false;
            }
            text[n++] = (char)(high << 4 | low);
            i += 2;
        } else {
            text[n++] = plus && text[i] == '+' ? ' ' : text[i];
        }
    }

    *len = n;
    return true;
}

/* Splits a writable "/v1/a/b" into a, b; false: no path of ours. */
static bool
split_path(loyalty_api_call_t *call, char *path, size_t len)
{
    char *p = path + 4, *end = path + len, *slash;
    size_t n;

    if (len < 4 || memcmp(path, "/v1/", 4) != 0) {
        return false;
    }

    for (; p <= end; p = slash + 1) {
        slash = memchr(p, '/', (size_t)(end - p));
        slash = slash != NULL ? slash : end;
        n = (size_t)(slash - p);

        if (call->nsegments == LOYALTY_API_SEGMENTS_MAX
            || !decode(p, &n, false)) {
            return false;
        }

        call->segments[call->nsegments++] = (loyalty_str_t){p, n};
    }

    return true;
}

static bool
split_query(loyalty_api_call_t *call, char *query, size_t len)
{
    char *p = query, *end = query + len, *next, *equals;
    size_t name, value;

    for (; p < end; p = next + 1) {
        next = memchr(p, '&', (size_t)(end - p));
        next = next != NULL ? next : end;
        equals = memchr(p, '=', (size_t)(next - p));
        equals = equals != NULL ? equals : next;
        name = (size_t)(equals - p);
        value = equals < next ? (size_t)(next - equals - 1) : 0;

        if (call->nquery == LOYALTY_API_QUERY_MAX || !decode(p, &name, true)
            || (value != 0 && !decode(equals + 1, &value, true))) {
            return false;
        }

        call->query[call->nquery++] = (loyalty_api_parameter_t){
            {p, name}, {value != 0 ? equals + 1 : p + name, value}};
    }

    return true;
}

bool
loyalty_api_split_uri(loyalty_api_call_t *call)
{
    loyalty_str_t uri = call->request->uri;
    size_t path = uri.len;
    char *copy, *mark;

    if (uri.len > LOYALTY_API_URI_MAX) {
        return false;
    }

    copy = loyalty_alloc(call->arena, uri.len + 1);
    if (copy == NULL) {
        return false;
    }

    memcpy(copy, uri.data, uri.len);
    mark = memchr(copy, '?', uri.len);

    if (mark != NULL) {
        path = (size_t)(mark - copy);
        if (!split_query(call, mark + 1, uri.len - path - 1)) {
            return false;
        }
    }

    return split_path(call, copy, path);
}
