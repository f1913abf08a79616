/*
 * Keys are written and taken apart here and nowhere else.
 *
 *   prefix ':' kind ':' '{' site '}' [ ':' rest ]
 *
 * A site id holds no brace, so the first '}' ends the hash tag whatever the
 * rest is made of.
 */

#include "loyalty_keys.h"

typedef struct {
    char *data;
    size_t len;
    bool full;
} writer_t;

static void
put(writer_t *writer, loyalty_str_t text)
{
    /* One byte stays for the terminator. */
    if (writer->full || text.len >= LOYALTY_KEY_MAX - writer->len) {
        writer->full = true;
        return;
    }

    if (text.len != 0) {
        memcpy(writer->data + writer->len, text.data, text.len);
        writer->len += text.len;
    }
}

size_t
loyalty_key(char key[LOYALTY_KEY_MAX], loyalty_str_t prefix, const char *kind,
            loyalty_str_t site, loyalty_str_t rest)
{
    writer_t writer = {key, 0, false};

    put(&writer, prefix);
    put(&writer, loyalty_str(":"));
    put(&writer, loyalty_str_from(kind));
    put(&writer, loyalty_str(":{"));
    put(&writer, site);
    put(&writer, loyalty_str("}"));

    if (rest.len != 0) {
        put(&writer, loyalty_str(":"));
        put(&writer, rest);
    }

    if (writer.full) {
        key[0] = '\0';
        return 0;
    }

    key[writer.len] = '\0';
    return writer.len;
}

static bool
is_alphanumeric(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

loyalty_status_t
loyalty_site_id_check(loyalty_str_t site)
{
    size_t i;

    if (site.len == 0 || !is_alphanumeric(site.data[0])) {
        return LOYALTY_ERROR_INVALID;
    }

    if (site.len > LOYALTY_SITE_ID_MAX) {
        return LOYALTY_ERROR_LIMIT;
    }

    for (i = 1; i < site.len; i++) {
        if (!is_alphanumeric(site.data[i]) && site.data[i] != '-'
            && site.data[i] != '_') {
            return LOYALTY_ERROR_INVALID;
        }
    }

    return LOYALTY_OK;
}

/* Moves past `text` at the front of `from`; false if it is not there. */
static bool
skip(loyalty_str_t *from, loyalty_str_t text)
{
    if (from->len < text.len
        || (text.len != 0 && memcmp(from->data, text.data, text.len) != 0)) {
        return false;
    }

    from->data += text.len;
    from->len -= text.len;
    return true;
}

loyalty_status_t
loyalty_key_split(loyalty_str_t key, loyalty_str_t prefix, char *kind,
                  loyalty_str_t *site, loyalty_str_t *rest)
{
    const char *brace;
    loyalty_str_t name, after;
    char letter;

    if (!skip(&key, prefix) || !skip(&key, loyalty_str(":")) || key.len == 0) {
        return LOYALTY_ERROR_INVALID;
    }

    letter = key.data[0];
    key.data++;
    key.len--;

    if (!skip(&key, loyalty_str(":{")) || key.len == 0) {
        return LOYALTY_ERROR_INVALID;
    }

    brace = memchr(key.data, '}', key.len);
    if (brace == NULL) {
        return LOYALTY_ERROR_INVALID;
    }

    name = (loyalty_str_t){key.data, (size_t)(brace - key.data)};
    after = (loyalty_str_t){brace + 1, key.len - name.len - 1};

    if (loyalty_site_id_check(name) != LOYALTY_OK
        || (after.len != 0
            && (!skip(&after, loyalty_str(":")) || after.len == 0))) {
        return LOYALTY_ERROR_INVALID;
    }

    *kind = letter;
    *site = name;
    *rest = after;
    return LOYALTY_OK;
}
