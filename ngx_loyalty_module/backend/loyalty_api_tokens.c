/*
 * API tokens: made, listed, revoked, by who owns every site they are for.
 *
 * A token is shown once, when it is made; its id is the first half of its
 * hash, from which nobody gets the token back.
 */

#include "loyalty_api_route.h"
#include "loyalty_api_staff.h"

#include <stdio.h>
#include <stdlib.h>

#define ID_LEN 32

/* May the caller have to do with a token for these sites? */
static bool
owns_all(const loyalty_api_call_t *call, const json_t *sites)
{
    json_t *site;
    size_t i;

    json_array_foreach(sites, i, site) {
        if (!json_is_string(site)
            || !loyalty_api_may(call, LOYALTY_SCOPE_ADMIN,
                                loyalty_str_from(json_string_value(site)))) {
            return false;
        }
    }

    return json_array_size(sites) != 0;
}

static json_t *
shown_token(const char *hash, const json_t *token)
{
    json_t *json = json_copy((json_t *)token);
    json_t *at = json_object_get(token, "created_at");
    json_t *end = json_object_get(token, "expires_at");

    json_object_set_new(json, "id", json_stringn(hash, ID_LEN));
    if (at != NULL) {
        loyalty_api_set_instant(json, "created_at", json_integer_value(at));
    }
    if (end != NULL) {
        loyalty_api_set_instant(json, "expires_at", json_integer_value(end));
    }

    return json;
}

static bool
check_scopes(loyalty_api_call_t *call, const json_t *scopes)
{
    const char *text;
    json_t *scope;
    size_t i;
    bool good = json_array_size(scopes) >= 1 && json_array_size(scopes) <= 3;

    json_array_foreach(scopes, i, scope) {
        text = json_string_value(scope);
        good = good && text != NULL
               && (strcmp(text, "read") == 0 || strcmp(text, "write") == 0
                   || strcmp(text, "admin") == 0);
    }

    if (!good) {
        loyalty_api_problem(call, "/scopes",
                            "must have \"read\", \"write\" or \"admin\"");
    }

    return good;
}

static bool
check_sites(loyalty_api_call_t *call, const json_t *sites)
{
    const char *text;
    json_t *site;
    size_t i;
    bool good = json_array_size(sites) >= 1
                && json_array_size(sites) <= LOYALTY_STAFF_SITES_MAX;

    json_array_foreach(sites, i, site) {
        text = json_string_value(site);
        good = good && text != NULL
               && (strcmp(text, "*") == 0
                   || loyalty_site_id_check(loyalty_str_from(text))
                      == LOYALTY_OK);
    }

    if (!good) {
        loyalty_api_problem(call, "/sites",
                            "must have the ids of sites, or \"*\"");
    }

    return good;
}

/* The value to be kept, of the body; NULL: the error is written. */
static json_t *
read_token(loyalty_api_call_t *call)
{
    json_t *name = json_object_get(call->body, "name");
    json_t *sites = json_object_get(call->body, "sites");
    json_t *scopes = json_object_get(call->body, "scopes");
    json_t *end = json_object_get(call->body, "expires_at"), *token;
    loyalty_instant_t expires_at = 0;

    if (!json_is_string(name) || json_string_length(name) == 0
        || json_string_length(name) > LOYALTY_NAME_MAX) {
        loyalty_api_problem(call, "/name", "says what the token is for");
        return NULL;
    }

    if (!check_sites(call, sites) || !check_scopes(call, scopes)) {
        return NULL;
    }

    if (end != NULL
        && (!json_is_string(end)
            || loyalty_instant_parse(loyalty_str_from(json_string_value(end)),
                                     &expires_at) != LOYALTY_OK
            || expires_at <= call->now)) {
        loyalty_api_problem(call, "/expires_at", "must be an instant to come");
        return NULL;
    }

    if (!owns_all(call, sites)) {
        loyalty_api_error(call, 403, "forbidden",
                          "only an owner of each of the sites may do this");
        return NULL;
    }

    token = json_pack("{s:O,s:O,s:O,s:I,s:s}", "name", name, "sites", sites,
                      "scopes", scopes, "created_at", call->now, "created_by",
                      call->who);
    if (end != NULL) {
        json_object_set_new(token, "expires_at", json_integer(expires_at));
    }

    return token;
}

loyalty_store_result_t
loyalty_api_create_token(loyalty_api_call_t *call)
{
    loyalty_str_t key = loyalty_api_global_key(call, "tokens"), part;
    loyalty_store_result_t result = LOYALTY_STORE_MEMORY;
    json_t *token = read_token(call), *shown;
    char secret[44], hex[65] = "", *text;
    int64_t reply;

    if (token == NULL) {
        return LOYALTY_STORE_OK;
    }

    text = json_dumps(token, JSON_COMPACT);

    if (text != NULL && loyalty_random_token(secret)) {
        part = loyalty_str_from(secret);
        loyalty_api_sha256(&part, 1, hex);
    }

    if (hex[0] != '\0') {
        shown = shown_token(hex, token);
        call->audit_after = json_copy(shown);
        loyalty_commands_reset(&call->session->commands);
        loyalty_api_global(call, "HSET", key, 2);
        loyalty_arg_text(&call->session->commands, hex);
        loyalty_arg_text(&call->session->commands, text);
        result = loyalty_api_global_write(call, key, &reply);
        json_object_set_new(shown, "token", json_string(secret));
        loyalty_api_json(call, 201, shown);
    }

    free(text);
    json_decref(token);

    return result;
}

/* The tokens the caller owns: all into `list`, or the one of that id into
 * *found, with its hash. */
static loyalty_store_result_t
read_tokens(loyalty_api_call_t *call, json_t *list, loyalty_str_t id,
            json_t **found, char hash[65])
{
    loyalty_str_t key = loyalty_api_global_key(call, "tokens"), name, value;
    loyalty_store_result_t result;
    loyalty_replies_t replies;
    const redisReply *all;
    json_t *token, *shown;
    size_t i;

    loyalty_commands_reset(&call->session->commands);
    loyalty_api_global(call, "HGETALL", key, 0);
    loyalty_replies_init(&replies);
    result = loyalty_api_global_read(call, key, &replies);

    if (result == LOYALTY_STORE_OK
        && replies.list[0]->type != REDIS_REPLY_ARRAY) {
        result = LOYALTY_STORE_MALFORMED;
    }

    all = result == LOYALTY_STORE_OK ? replies.list[0] : NULL;

    for (i = 0; all != NULL && i + 1 < all->elements; i += 2) {
        if (!loyalty_reply_str(all->element[i], &name) || name.len != 64
            || !loyalty_reply_str(all->element[i + 1], &value)) {
            continue;
        }

        token = json_loadb(value.data, value.len, 0, NULL);

        if (owns_all(call, json_object_get(token, "sites"))) {
            shown = shown_token(name.data, token);
            if (list != NULL) {
                json_array_append(list, shown);
            } else if (id.len == ID_LEN
                       && memcmp(name.data, id.data, ID_LEN) == 0
                       && *found == NULL) {
                *found = json_incref(shown);
                memcpy(hash, name.data, 64);
                hash[64] = '\0';
            }
            json_decref(shown);
        }

        json_decref(token);
    }

    loyalty_replies_free(&replies);

    return result;
}

loyalty_store_result_t
loyalty_api_list_tokens(loyalty_api_call_t *call)
{
    loyalty_store_result_t result;
    json_t *list = json_array();

    result = read_tokens(call, list, loyalty_str_null, NULL, NULL);
    loyalty_api_json(call, 200, json_pack("{s:o}", "tokens", list));

    return result;
}

loyalty_store_result_t
loyalty_api_delete_token(loyalty_api_call_t *call)
{
    loyalty_str_t key = loyalty_api_global_key(call, "tokens");
    loyalty_store_result_t result;
    json_t *found = NULL;
    char hash[65];
    int64_t reply;

    result = read_tokens(call, NULL, call->segments[1], &found, hash);

    if (result == LOYALTY_STORE_OK && found == NULL) {
        loyalty_api_not_found(call, "token");
    } else if (found != NULL) {
        call->audit_before = found;
        loyalty_commands_reset(&call->session->commands);
        loyalty_api_global(call, "HDEL", key, 1);
        loyalty_arg_text(&call->session->commands, hash);
        result = loyalty_api_global_write(call, key, &reply);
        loyalty_api_no_content(call);
    }

    return result;
}
