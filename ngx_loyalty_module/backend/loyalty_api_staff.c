/*
 * Accounts of staff and their roles.
 *
 *   staff                 by an owner of all sites ("*")
 *   sites/{site}/staff    the roles on a site, by an owner of it
 *
 * No password and no hash of one ever leaves.
 */

#include "loyalty_api_route.h"
#include "loyalty_api_staff.h"

#include <stdlib.h>

static json_t *
shown_account(const json_t *account)
{
    json_t *json = json_copy((json_t *)account);
    json_t *at = json_object_get(json, "created_at");

    json_object_del(json, "password");
    json_object_del(json, "generation");
    loyalty_api_set_instant(json, "created_at", json_integer_value(at));

    return json;
}

/* The account as the audit has it: that of a site knows of no other site. */
static json_t *
audited_account(const loyalty_api_call_t *call, const json_t *account)
{
    char site[LOYALTY_SITE_ID_MAX + 1] = "";

    if (call->scope.site.len == 0) {
        return shown_account(account);
    }

    memcpy(site, call->scope.site.data, call->scope.site.len);

    return json_pack("{s:O,s:O*}", "email", json_object_get(account, "email"),
                     "role",
                     json_object_get(json_object_get(account, "sites"),
                                     site));
}

loyalty_str_t
loyalty_api_account_email(loyalty_api_call_t *call, const json_t *text)
{
    const char *given = json_string_value(text);
    size_t len = given != NULL ? strlen(given) : 0, i;
    char *email;

    if (len > LOYALTY_EMAIL_MAX || memchr(given != NULL ? given : "", '@', len)
                                       == NULL) {
        return loyalty_str("");
    }

    email = loyalty_alloc(call->arena, len + 1);
    if (email == NULL) {
        return loyalty_str("");
    }

    for (i = 0; i < len; i++) {
        if (given[i] <= ' ' || given[i] > '~') {
            return loyalty_str("");
        }
        email[i] = given[i];
        if (email[i] >= 'A' && email[i] <= 'Z') {
            email[i] |= 0x20;
        }
    }

    return (loyalty_str_t){email, len};
}

const char *
loyalty_api_new_password(loyalty_api_call_t *call, const char *field)
{
    const char *text = json_string_value(json_object_get(call->body, field));
    size_t len = text != NULL ? strlen(text) : 0;
    char pointer[32] = "/";

    if (len >= LOYALTY_PASSWORD_MIN && len <= LOYALTY_PASSWORD_MAX) {
        return text;
    }

    strncat(pointer, field, sizeof(pointer) - 2);
    loyalty_api_problem(call, pointer, "must have 12 to 256 bytes");

    return NULL;
}

loyalty_store_result_t
loyalty_api_write_account(loyalty_api_call_t *call, json_t *account,
                          bool sign_out)
{
    loyalty_str_t key = loyalty_api_global_key(call, "staff");
    json_t *generation = json_object_get(account, "generation");
    loyalty_store_result_t result;
    int64_t reply;
    char *text;

    if (sign_out) {
        json_object_set_new(account, "generation",
                            json_integer(json_integer_value(generation) + 1));
    }

    text = json_dumps(account, JSON_COMPACT);
    if (text == NULL) {
        return LOYALTY_STORE_MEMORY;
    }

    json_decref(call->audit_after);
    call->audit_after = audited_account(call, account);
    loyalty_commands_reset(&call->session->commands);
    loyalty_api_global(call, "HSET", key, 2);
    loyalty_arg_text(&call->session->commands,
                     json_string_value(json_object_get(account, "email")));
    loyalty_arg_text(&call->session->commands, text);
    result = loyalty_api_global_write(call, key, &reply);
    free(text);

    return result;
}

static bool
is_role(const json_t *role)
{
    const char *text = json_string_value(role);

    return text != NULL
           && (strcmp(text, "owner") == 0 || strcmp(text, "editor") == 0
               || strcmp(text, "viewer") == 0);
}

/* {"demo":"editor"}; false: 422 is written. */
static bool
check_sites(loyalty_api_call_t *call, const json_t *sites)
{
    const char *site;
    json_t *role;
    bool good = json_is_object(sites)
                && json_object_size(sites) <= LOYALTY_STAFF_SITES_MAX;

    json_object_foreach((json_t *)sites, site, role) {
        good = good && is_role(role)
               && (strcmp(site, "*") == 0
                   || loyalty_site_id_check(loyalty_str_from(site))
                      == LOYALTY_OK);
    }

    if (!good) {
        loyalty_api_problem(call, "/sites", "must say by site, or \"*\" for "
                            "all, \"owner\", \"editor\" or \"viewer\"");
    }

    return good;
}

/* Puts what the body says into the account; false: the error is written. */
static bool
change_account(loyalty_api_call_t *call, json_t *account, bool *sign_out)
{
    json_t *name = json_object_get(call->body, "name");
    json_t *sites = json_object_get(call->body, "sites");
    json_t *disabled = json_object_get(call->body, "disabled");
    const char *password;
    char *hash;

    *sign_out = false;

    if (name != NULL
        && (!json_is_string(name)
            || json_string_length(name) > LOYALTY_NAME_MAX)) {
        loyalty_api_problem(call, "/name", "must be a text of 200 characters");
        return false;
    }

    if (disabled != NULL && !json_is_boolean(disabled)) {
        loyalty_api_problem(call, "/disabled", "must be true or false");
        return false;
    }

    if (sites != NULL && !check_sites(call, sites)) {
        return false;
    }

    if (name != NULL) {
        json_object_set(account, "name", name);
    }
    if (sites != NULL) {
        json_object_set(account, "sites", sites);
    }
    if (disabled != NULL) {
        json_object_set(account, "disabled", disabled);
        *sign_out = json_is_true(disabled);
    }

    if (json_object_get(call->body, "password") != NULL) {
        password = loyalty_api_new_password(call, "password");
        if (password == NULL) {
            return false;
        }
        hash = loyalty_password_hash(password);
        if (hash == NULL) {
            loyalty_api_error(call, 500, "memory", "out of memory");
            return false;
        }
        json_object_set_new(account, "password", json_string(hash));
        free(hash);
        *sign_out = true;
    }

    return true;
}

loyalty_store_result_t
loyalty_api_create_staff(loyalty_api_call_t *call)
{
    loyalty_store_result_t result;
    json_t *account;
    loyalty_str_t email;
    bool sign_out;

    email = loyalty_api_account_email(call, json_object_get(call->body,
                                                            "email"));
    if (email.len == 0) {
        loyalty_api_problem(call, "/email", "must be an e-mail address");
        return LOYALTY_STORE_OK;
    }

    if (loyalty_api_new_password(call, "password") == NULL) {
        return LOYALTY_STORE_OK;
    }

    result = loyalty_api_watch_account(call, email, &account);
    if (result != LOYALTY_STORE_OK) {
        return result;
    }

    if (account != NULL) {
        json_decref(account);
        loyalty_api_error(call, 409, "exists", "there is such an account");
        return LOYALTY_STORE_OK;
    }

    account = json_pack("{s:s%,s:s,s:{},s:b,s:i,s:I}", "email", email.data,
                        email.len, "name", "", "sites", "disabled", 0,
                        "generation", 1, "created_at", call->now);

    if (change_account(call, account, &sign_out)) {
        result = loyalty_api_write_account(call, account, false);
        loyalty_api_json(call, 201, shown_account(account));
    }

    json_decref(account);

    return result;
}

/* The account of the path, lower case or not; NULL: 404 is written. */
static loyalty_store_result_t
find_account(loyalty_api_call_t *call, size_t segment, json_t **account)
{
    json_t *text = json_stringn(call->segments[segment].data,
                                call->segments[segment].len);
    loyalty_store_result_t result = LOYALTY_STORE_OK;
    loyalty_str_t email;

    *account = NULL;
    email = loyalty_api_account_email(call, text);
    json_decref(text);

    if (email.len != 0) {
        result = loyalty_api_watch_account(call, email, account);
    }

    if (result == LOYALTY_STORE_OK && *account == NULL) {
        loyalty_api_not_found(call, "account");
    }

    return result;
}

loyalty_store_result_t
loyalty_api_get_staff(loyalty_api_call_t *call)
{
    loyalty_store_result_t result;
    json_t *account;

    result = find_account(call, 1, &account);
    if (account != NULL) {
        loyalty_api_json(call, 200, shown_account(account));
    }

    json_decref(account);

    return result;
}

/* Nobody shuts the last door behind them. */
static bool
is_own(loyalty_api_call_t *call, const json_t *account)
{
    const char *email = json_string_value(json_object_get(account, "email"));

    if (!call->caller.signed_in || strcmp(email, call->who) != 0) {
        return false;
    }

    loyalty_api_error(call, 409, "own_account",
                      "an owner cannot take this from themselves");
    return true;
}

loyalty_store_result_t
loyalty_api_patch_staff(loyalty_api_call_t *call)
{
    loyalty_store_result_t result;
    json_t *account;
    bool sign_out;

    result = find_account(call, 1, &account);

    if (account != NULL
        && ((json_object_get(call->body, "sites") == NULL
             && json_object_get(call->body, "disabled") == NULL)
            || !is_own(call, account))) {
        call->audit_before = shown_account(account);
        if (change_account(call, account, &sign_out)) {
            result = loyalty_api_write_account(call, account, sign_out);
            loyalty_api_json(call, 200, shown_account(account));
        }
    }

    json_decref(account);

    return result;
}

loyalty_store_result_t
loyalty_api_delete_staff(loyalty_api_call_t *call)
{
    loyalty_str_t key = loyalty_api_global_key(call, "staff");
    loyalty_store_result_t result;
    json_t *account;
    int64_t reply;

    result = find_account(call, 1, &account);

    if (account != NULL && !is_own(call, account)) {
        call->audit_before = shown_account(account);
        loyalty_commands_reset(&call->session->commands);
        loyalty_api_global(call, "HDEL", key, 1);
        loyalty_arg_text(&call->session->commands,
                         json_string_value(json_object_get(account,
                                                           "email")));
        result = loyalty_api_global_write(call, key, &reply);
        loyalty_api_no_content(call);
    }

    json_decref(account);

    return result;
}

typedef void (*show_pt)(loyalty_api_call_t *call, json_t *list,
                        const json_t *account);

/* Every account, by e-mail, as `show` puts it into the list. */
static loyalty_store_result_t
list_accounts(loyalty_api_call_t *call, show_pt show)
{
    loyalty_str_t key = loyalty_api_global_key(call, "staff"), value;
    loyalty_store_result_t result;
    loyalty_replies_t replies;
    json_t *list = json_array(), *account;
    size_t i;

    loyalty_commands_reset(&call->session->commands);
    loyalty_api_global(call, "HVALS", key, 0);
    loyalty_replies_init(&replies);
    result = loyalty_api_global_read(call, key, &replies);

    if (result == LOYALTY_STORE_OK
        && replies.list[0]->type != REDIS_REPLY_ARRAY) {
        result = LOYALTY_STORE_MALFORMED;
    }

    for (i = 0; result == LOYALTY_STORE_OK && i < replies.list[0]->elements;
         i++) {
        account = loyalty_reply_str(replies.list[0]->element[i], &value)
                      ? json_loadb(value.data, value.len, 0, NULL) : NULL;
        if (json_is_object(account)) {
            show(call, list, account);
        }
        json_decref(account);
    }

    loyalty_replies_free(&replies);
    loyalty_api_json(call, 200, json_pack("{s:o}", "staff", list));

    return result;
}

static void
show_whole(loyalty_api_call_t *call, json_t *list, const json_t *account)
{
    (void)call;
    json_array_append_new(list, shown_account(account));
}

/* Who has a role on all sites has one here too, but not from here. */
static void
show_role(loyalty_api_call_t *call, json_t *list, const json_t *account)
{
    json_t *sites = json_object_get(account, "sites"), *role, *json;
    char site[LOYALTY_SITE_ID_MAX + 1] = "";

    memcpy(site, call->scope.site.data, call->scope.site.len);
    role = json_object_get(sites, site);

    if (role == NULL && json_object_get(sites, "*") == NULL) {
        return;
    }

    json = json_object();
    json_object_set(json, "email", json_object_get(account, "email"));
    json_object_set(json, "name", json_object_get(account, "name"));
    json_object_set(json, "role", role != NULL ? role
                                               : json_object_get(sites, "*"));
    json_object_set_new(json, "everywhere", json_boolean(role == NULL));
    json_array_append_new(list, json);
}

loyalty_store_result_t
loyalty_api_list_staff(loyalty_api_call_t *call)
{
    return list_accounts(call, show_whole);
}

loyalty_store_result_t
loyalty_api_list_roles(loyalty_api_call_t *call)
{
    return list_accounts(call, show_role);
}

/* For a role on one site more; false: 422 is written. */
static bool
has_room(loyalty_api_call_t *call, const json_t *sites, const char *site,
         const json_t *role)
{
    if (role == NULL || json_object_get(sites, site) != NULL
        || json_object_size(sites) < LOYALTY_STAFF_SITES_MAX) {
        return true;
    }

    loyalty_api_error(call, 422, "too_many", "an account may have roles on "
                      "%d sites", LOYALTY_STAFF_SITES_MAX);
    return false;
}

/* Gives or (NULL) takes the role of the account of the path on the site. */
static loyalty_store_result_t
set_role(loyalty_api_call_t *call, json_t *role)
{
    char site[LOYALTY_SITE_ID_MAX + 1] = "";
    loyalty_store_result_t result;
    json_t *account, *sites;

    memcpy(site, call->scope.site.data, call->scope.site.len);
    result = find_account(call, 3, &account);

    if (account != NULL && !is_own(call, account)
        && has_room(call, json_object_get(account, "sites"), site, role)) {
        call->audit_before = audited_account(call, account);
        sites = json_deep_copy(json_object_get(account, "sites"));

        if (role != NULL) {
            json_object_set(sites, site, role);
        } else {
            json_object_del(sites, site);
        }

        json_object_set_new(account, "sites", sites);
        result = loyalty_api_write_account(call, account, false);

        if (role == NULL) {
            loyalty_api_no_content(call);
        } else {
            loyalty_api_json(
                call, 200,
                json_pack("{s:O,s:O}", "email",
                          json_object_get(account, "email"), "role", role));
        }
    }

    json_decref(account);

    return result;
}

loyalty_store_result_t
loyalty_api_put_role(loyalty_api_call_t *call)
{
    json_t *role = json_object_get(call->body, "role");

    if (!is_role(role)) {
        loyalty_api_problem(call, "/role",
                            "is \"owner\", \"editor\" or \"viewer\"");
        return LOYALTY_STORE_OK;
    }

    return set_role(call, role);
}

loyalty_store_result_t
loyalty_api_delete_role(loyalty_api_call_t *call)
{
    return set_role(call, NULL);
}
