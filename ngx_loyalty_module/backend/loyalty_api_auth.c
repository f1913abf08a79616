/*
 * Who calls: a token, by its hash, with the sites and scopes it is for.
 */

#include "loyalty_api_route.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <strings.h>

#define TOKEN_MAX 512
#define TOKEN_VALUE_MAX 65536

void
loyalty_api_sha256(const loyalty_str_t *parts, size_t n, char hex[65])
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    unsigned len = 0, i;
    uint64_t size;
    size_t part;
    bool ok;

    ok = context != NULL
         && EVP_DigestInit_ex(context, EVP_sha256(), NULL) == 1;

    for (part = 0; ok && part < n; part++) {
        size = parts[part].len;
        ok = (n == 1
              || EVP_DigestUpdate(context, &size, sizeof(size)) == 1)
             && EVP_DigestUpdate(context, parts[part].data, size) == 1;
    }

    ok = ok && EVP_DigestFinal_ex(context, digest, &len) == 1;
    EVP_MD_CTX_free(context);

    for (i = 0; ok && i < len; i++) {
        snprintf(hex + i * 2, 3, "%02x", digest[i]);
    }

    if (!ok) {
        hex[0] = '\0'; /* no token has this hash */
    }
}

static bool
contains(const json_t *list, loyalty_str_t name, bool wildcard)
{
    json_t *item;
    size_t i;

    json_array_foreach(list, i, item) {
        if (json_is_string(item)
            && ((wildcard && strcmp(json_string_value(item), "*") == 0)
                || loyalty_str_eq(loyalty_str_from(json_string_value(item)),
                                  name))) {
            return true;
        }
    }

    return false;
}

/* The token's value: {"name","sites":[],"scopes":[]}. */
static bool
check_token(loyalty_api_call_t *call, const loyalty_api_route_t *route,
            loyalty_str_t value)
{
    loyalty_str_t scope = route->scope == LOYALTY_SCOPE_READ
                              ? loyalty_str("read") : loyalty_str("write");
    json_t *json = NULL;
    const char *name;
    bool ok = false;

    if (value.data != NULL && value.len <= TOKEN_VALUE_MAX) {
        json = json_loadb(value.data, value.len, 0, NULL);
    }

    if (!json_is_object(json)) {
        loyalty_api_error(call, 401, "unauthorized",
                          "the token is not known");
    } else if (!contains(json_object_get(json, "sites"), call->segments[1],
                         true)) {
        loyalty_api_error(call, 403, "forbidden",
                          "the token is not for this site");
    } else if (!contains(json_object_get(json, "scopes"), scope, false)) {
        loyalty_api_error(call, 403, "forbidden",
                          "the token has no scope \"%.*s\"", (int)scope.len,
                          scope.data);
    } else {
        ok = true;
        name = json_string_value(json_object_get(json, "name"));
        snprintf(call->who, sizeof(call->who), "%s",
                 name != NULL ? name : "");
    }

    json_decref(json);

    return ok;
}

loyalty_store_result_t
loyalty_api_authorize(loyalty_api_call_t *call,
                      const loyalty_api_route_t *route, bool *ok)
{
    loyalty_str_t token = call->request->authorization, prefix, value;
    loyalty_commands_t *commands = &call->session->commands;
    loyalty_store_result_t result;
    loyalty_replies_t replies;
    char key[LOYALTY_KEY_MAX], hex[65];

    *ok = false;

    if (token.len < 8 || token.len > TOKEN_MAX
        || strncasecmp(token.data, "Bearer ", 7) != 0) {
        loyalty_api_error(call, 401, "unauthorized",
                          "send the header Authorization: Bearer TOKEN");
        return LOYALTY_STORE_OK;
    }

    token.data += 7;
    token.len -= 7;
    loyalty_api_sha256(&token, 1, hex);

    prefix = call->session->conf->prefix;
    snprintf(key, sizeof(key), "%.*s:tokens", (int)prefix.len, prefix.data);
    loyalty_commands_reset(commands);
    loyalty_command_words(commands, "HGET", key, hex, NULL);
    loyalty_replies_init(&replies);
    result = loyalty_store_call(call->session->store, loyalty_str_from(key),
                                commands, &replies);

    if (result == LOYALTY_STORE_OK) {
        if (loyalty_reply_str(replies.list[0], &value)) {
            *ok = check_token(call, route, value);
        } else {
            result = LOYALTY_STORE_MALFORMED;
        }
    }

    loyalty_replies_free(&replies);

    return result;
}
