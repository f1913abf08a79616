/*
 * Who calls, and what they may.
 *
 *   Authorization: Bearer TOKEN   loyalty:tokens, by the token's hash:
 *                                 {"name","sites":[],"scopes":[],"expires_at"}
 *   the cookie loyalty_session    loyalty:session:HASH -> loyalty:staff, the
 *                                 account as it is now: a role that is taken
 *                                 away is gone at the next request
 */

#include "loyalty_api_route.h"
#include "loyalty_api_staff.h"
#include "loyalty_token.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <strings.h>

#define TOKEN_MAX 512

/* An account or a token of LOYALTY_STAFF_SITES_MAX sites. */
#define VALUE_MAX (LOYALTY_STAFF_SITES_MAX * (LOYALTY_SITE_ID_MAX + 16) + 8192)

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

/* The role on a site, or on all of them: 0 none, 1 viewer, 2 editor,
 * 3 owner. */
static int
role_on(const json_t *sites, loyalty_str_t site)
{
    static const char *const names[] = {"viewer", "editor", "owner"};
    const char *key, *role;
    json_t *value;
    int best = 0, i;

    json_object_foreach((json_t *)sites, key, value) {
        role = json_string_value(value);
        if (role == NULL || (strcmp(key, "*") != 0
                             && !loyalty_str_eq(loyalty_str_from(key),
                                                site))) {
            continue;
        }
        for (i = 0; i < 3; i++) {
            if (strcmp(role, names[i]) == 0 && i + 1 > best) {
                best = i + 1;
            }
        }
    }

    return best;
}

static const struct {
    int role;
    const char *scope;
} needed[] = {
    [LOYALTY_SCOPE_READ] = {1, "read"},
    [LOYALTY_SCOPE_WRITE] = {2, "write"},
    [LOYALTY_SCOPE_ORDERS] = {2, "write"},
    [LOYALTY_SCOPE_OWN] = {3, "write"},
    [LOYALTY_SCOPE_ADMIN] = {3, "admin"},
    [LOYALTY_SCOPE_INSTALLATION] = {3, "admin"},
};

bool
loyalty_api_may(const loyalty_api_call_t *call, loyalty_api_scope_t scope,
                loyalty_str_t site)
{
    const loyalty_api_caller_t *caller = &call->caller;

    if (caller->signed_in) {
        return role_on(caller->sites, site) >= needed[scope].role;
    }

    return contains(caller->sites, site, true)
           && contains(caller->scopes, loyalty_str_from(needed[scope].scope),
                       false);
}

/* The site of the path; empty where it has none. */
static loyalty_scope_t
site_of(const loyalty_api_call_t *call)
{
    bool found = call->nsegments > 1
                 && loyalty_str_eq(call->segments[0], loyalty_str("sites"));

    return (loyalty_scope_t){
        .prefix = call->session->conf->prefix,
        .site = found ? call->segments[1] : loyalty_str_null,
    };
}

/* Asks for the program's stamp as well, which a read of the site would else
 * wait for next.  In a cluster the two may be of different nodes. */
static void
ask_ahead(loyalty_api_call_t *call)
{
    loyalty_api_session_t *session = call->session;
    const loyalty_scope_t scope = site_of(call);

    if (call->request->method == LOYALTY_METHOD_GET && !session->conf->cluster
        && loyalty_site_id_check(scope.site) == LOYALTY_OK) {
        loyalty_programs_stamp(&session->commands, &scope);
    }
}

/* Reads the value at a key, or at a field of it, as JSON: the last reply. */
static loyalty_store_result_t
read_object(loyalty_api_call_t *call, loyalty_str_t key, json_t **object)
{
    const loyalty_scope_t scope = site_of(call);
    loyalty_store_result_t result;
    loyalty_replies_t replies;
    loyalty_str_t value;

    *object = NULL;
    loyalty_replies_init(&replies);
    result = loyalty_api_global_read(call, key, &replies);

    if (result == LOYALTY_STORE_OK) {
        if (replies.count == LOYALTY_PROGRAMS_STAMP_REPLIES + 1) {
            loyalty_programs_ahead(call->session->programs, &scope,
                                   replies.list);
        }
        if (!loyalty_reply_str(replies.list[replies.count - 1], &value)) {
            result = LOYALTY_STORE_MALFORMED;
        } else if (value.data != NULL && value.len <= VALUE_MAX) {
            *object = json_loadb(value.data, value.len, 0, NULL);
        }
    }

    loyalty_replies_free(&replies);

    return result;
}

static loyalty_store_result_t
read_token(loyalty_api_call_t *call)
{
    loyalty_str_t token = call->request->authorization, key;
    loyalty_api_caller_t *caller = &call->caller;
    loyalty_store_result_t result;
    const char *name;
    json_t *json, *expires;
    char hex[65];

    if (token.len < 8 || token.len > TOKEN_MAX
        || strncasecmp(token.data, "Bearer ", 7) != 0) {
        return LOYALTY_STORE_OK;
    }

    token.data += 7;
    token.len -= 7;
    loyalty_api_sha256(&token, 1, hex);
    key = loyalty_api_global_key(call, "tokens");
    loyalty_commands_reset(&call->session->commands);
    ask_ahead(call);
    loyalty_api_global(call, "HGET", key, 1);
    loyalty_arg_text(&call->session->commands, hex);
    result = read_object(call, key, &json);

    expires = json_object_get(json, "expires_at");

    if (json_is_object(json)
        && (expires == NULL || json_integer_value(expires) > call->now)) {
        caller->sites = json_incref(json_object_get(json, "sites"));
        caller->scopes = json_incref(json_object_get(json, "scopes"));
        if (caller->sites == NULL) {
            caller->sites = json_array();
        }
        name = json_string_value(json_object_get(json, "name"));
        snprintf(call->who, sizeof(call->who), "%s", name != NULL ? name : "");
    }

    json_decref(json);

    return result;
}

/* The session's value: {"email","csrf","generation","created_at"}.  Reading
 * it puts off its end, but not for ever. */
static loyalty_store_result_t
read_session(loyalty_api_call_t *call)
{
    loyalty_commands_t *commands = &call->session->commands;
    loyalty_api_caller_t *caller = &call->caller;
    loyalty_store_result_t result;
    json_t *session, *account = NULL;
    const char *email, *csrf;
    char name[80];
    loyalty_str_t key;

    if (call->request->session.len == 0
        || call->request->session.len > TOKEN_MAX) {
        return LOYALTY_STORE_OK;
    }

    loyalty_api_sha256(&call->request->session, 1, caller->session);
    snprintf(name, sizeof(name), "session:%s", caller->session);
    key = loyalty_api_global_key(call, name);
    loyalty_commands_reset(commands);
    loyalty_api_global(call, "GETEX", key, 2);
    loyalty_arg_text(commands, "EX");
    loyalty_arg_int(commands, LOYALTY_SESSION_IDLE_MAX);
    result = read_object(call, key, &session);

    caller->expires_at = json_integer_value(json_object_get(session,
                                                            "created_at"))
                         + LOYALTY_SESSION_MAX * INT64_C(1000);
    email = json_string_value(json_object_get(session, "email"));
    csrf = json_string_value(json_object_get(session, "csrf"));

    if (result == LOYALTY_STORE_OK && email != NULL && csrf != NULL
        && caller->expires_at > call->now) {
        result = loyalty_api_read_account(call, loyalty_str_from(email),
                                          &account);
    }

    if (account != NULL && !json_is_true(json_object_get(account, "disabled"))
        && json_equal(json_object_get(account, "generation"),
                      json_object_get(session, "generation"))) {
        caller->signed_in = true;
        caller->account = account;
        caller->sites = json_incref(json_object_get(account, "sites"));
        snprintf(caller->csrf, sizeof(caller->csrf), "%s", csrf);
        snprintf(call->who, sizeof(call->who), "%s", email);
    } else {
        json_decref(account);
    }

    json_decref(session);

    return result;
}

static loyalty_store_result_t
get_account(loyalty_api_call_t *call, loyalty_str_t email, json_t **account)
{
    loyalty_str_t key = loyalty_api_global_key(call, "staff");

    loyalty_api_global(call, "HGET", key, 1);
    loyalty_arg(&call->session->commands, email);

    return read_object(call, key, account);
}

loyalty_store_result_t
loyalty_api_read_account(loyalty_api_call_t *call, loyalty_str_t email,
                         json_t **account)
{
    loyalty_commands_reset(&call->session->commands);

    return get_account(call, email, account);
}

loyalty_store_result_t
loyalty_api_watch_account(loyalty_api_call_t *call, loyalty_str_t email,
                          json_t **account)
{
    call->session->watching = true;
    loyalty_commands_reset(&call->session->commands);
    loyalty_api_global(call, "WATCH", loyalty_api_global_key(call, "staff"),
                       0);

    return get_account(call, email, account);
}

/* A page of another site makes the browser send the cookie, not the header. */
static bool
is_forged(const loyalty_api_call_t *call)
{
    return call->caller.signed_in
           && call->request->method != LOYALTY_METHOD_GET
           && !loyalty_secret_eq(call->request->csrf_token,
                                 loyalty_str_from(call->caller.csrf));
}

static bool
is_allowed(loyalty_api_call_t *call, const loyalty_api_route_t *route)
{
    const loyalty_api_caller_t *caller = &call->caller;
    loyalty_str_t site = loyalty_str("*");

    if (caller->sites == NULL) {
        loyalty_api_error(call, 401, "unauthorized",
                          call->request->authorization.len != 0
                              ? "the token is not known"
                              : "sign in, or send the header Authorization: "
                                "Bearer TOKEN");
        return false;
    }

    if (is_forged(call)) {
        loyalty_api_error(call, 403, "csrf", "send the csrf_token of the "
                          "session in the header X-CSRF-Token");
        return false;
    }

    if (route->scope == LOYALTY_SCOPE_ANY
        || (route->scope == LOYALTY_SCOPE_SELF && caller->signed_in)) {
        return true;
    }

    if (route->scope == LOYALTY_SCOPE_SELF) {
        loyalty_api_error(call, 403, "forbidden", "a token has no session");
        return false;
    }

    if (route->scope != LOYALTY_SCOPE_INSTALLATION) {
        site = call->segments[1];
    }

    if (loyalty_api_may(call, route->scope, site)) {
        return true;
    }

    if (caller->signed_in) {
        loyalty_api_error(call, 403, "forbidden",
                          role_on(caller->sites, site) == 0
                              ? "you have no role on this site: its owners "
                                "give one"
                              : "your role does not allow this");
    } else if (!contains(caller->sites, site, true)) {
        loyalty_api_error(call, 403, "forbidden",
                          loyalty_str_eq(site, loyalty_str("*"))
                              ? "this is for tokens of all sites"
                              : "the token is not for this site");
    } else {
        loyalty_api_error(call, 403, "forbidden",
                          "the token lacks the scope \"%s\"",
                          needed[route->scope].scope);
    }

    return false;
}

bool
loyalty_api_is_owner(loyalty_api_call_t *call)
{
    if (loyalty_api_may(call, LOYALTY_SCOPE_OWN, call->scope.site)) {
        return true;
    }

    loyalty_api_error(call, 403, "forbidden",
                      "only an owner of the site may do this");
    return false;
}

loyalty_store_result_t
loyalty_api_authorize(loyalty_api_call_t *call,
                      const loyalty_api_route_t *route, bool *ok)
{
    loyalty_store_result_t result;

    loyalty_programs_ahead(call->session->programs, NULL, NULL);
    *ok = route->scope == LOYALTY_SCOPE_PUBLIC;

    if (*ok) {
        return LOYALTY_STORE_OK;
    }

    result = call->request->authorization.len != 0 ? read_token(call)
                                                   : read_session(call);
    if (result == LOYALTY_STORE_OK) {
        *ok = is_allowed(call, route);
    }

    return result;
}
