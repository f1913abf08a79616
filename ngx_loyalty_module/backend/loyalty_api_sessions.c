/*
 * Signing in, out, and one's own password.
 *
 *   POST   session            {"email","password"}: a cookie and a csrf_token
 *   GET    session            who I am
 *   DELETE session            this session ends
 *   PUT    session/password   {"current","password"}: every other one ends
 *   GET    sites              the sites one may see
 *
 * After some sign-ins that failed each next one for that e-mail waits, twice
 * as long each time, whoever tries and whether there is such an account.
 */

#include "loyalty_api_route.h"
#include "loyalty_api_staff.h"

#include <stdio.h>
#include <stdlib.h>

#define DAY 86400

/* What a session says of itself. */
static json_t *
shown_session(const loyalty_api_call_t *call)
{
    const json_t *account = call->caller.account;
    json_t *json = json_object();

    json_object_set(json, "email", json_object_get(account, "email"));
    json_object_set(json, "name", json_object_get(account, "name"));
    json_object_set(json, "sites", json_object_get(account, "sites"));
    json_object_set_new(json, "csrf_token", json_string(call->caller.csrf));
    loyalty_api_set_instant(json, "expires_at", call->caller.expires_at);

    return json;
}

static void
set_cookie(loyalty_api_call_t *call, const char *token, int seconds)
{
    snprintf(call->response->cookie, sizeof(call->response->cookie),
             "loyalty_session=%s; Path=/; Max-Age=%d; HttpOnly; "
             "SameSite=Strict%s", token, seconds,
             call->request->insecure ? "" : "; Secure");
}

/* Makes a session of the account, whose reference it takes. */
static loyalty_store_result_t
begin_session(loyalty_api_call_t *call, json_t *account, int status)
{
    loyalty_commands_t *commands = &call->session->commands;
    loyalty_api_caller_t *caller = &call->caller;
    char token[44], name[80], *text = NULL;
    loyalty_store_result_t result;
    loyalty_replies_t replies;
    loyalty_str_t key, part;
    json_t *session;

    json_decref(caller->account);
    caller->account = account;
    caller->expires_at = call->now + LOYALTY_SESSION_MAX * INT64_C(1000);

    if (!loyalty_random_token(token) || !loyalty_random_token(caller->csrf)) {
        return LOYALTY_STORE_MEMORY;
    }

    session = json_pack("{s:O,s:s,s:O,s:I}", "email",
                        json_object_get(account, "email"), "csrf",
                        caller->csrf, "generation",
                        json_object_get(account, "generation"), "created_at",
                        call->now);
    text = json_dumps(session, JSON_COMPACT);
    json_decref(session);

    part = loyalty_str_from(token);
    loyalty_api_sha256(&part, 1, caller->session);
    snprintf(name, sizeof(name), "session:%s", caller->session);
    key = loyalty_api_global_key(call, name);

    if (text == NULL || caller->session[0] == '\0') {
        free(text);
        return LOYALTY_STORE_MEMORY;
    }

    loyalty_commands_reset(commands);
    loyalty_api_global(call, "SET", key, 3);
    loyalty_arg_text(commands, text);
    loyalty_arg_text(commands, "EX");
    loyalty_arg_int(commands, LOYALTY_SESSION_IDLE_MAX);
    free(text);
    loyalty_replies_init(&replies);
    result = loyalty_api_global_read(call, key, &replies);

    if (result == LOYALTY_STORE_OK
        && replies.list[0]->type != REDIS_REPLY_STATUS) {
        result = LOYALTY_STORE_REFUSED;
    }

    loyalty_replies_free(&replies);

    if (result == LOYALTY_STORE_OK) {
        set_cookie(call, token, LOYALTY_SESSION_MAX);
        loyalty_api_json(call, status, shown_session(call));
    }

    return result;
}

/* Keys of an e-mail's sign-ins, in one slot. */
typedef struct {
    char hex[65];
    loyalty_str_t lock;
    loyalty_str_t tries;
} guard_t;

static void
guard_of(loyalty_api_call_t *call, loyalty_str_t email, guard_t *guard)
{
    char name[80];

    loyalty_api_sha256(&email, 1, guard->hex);
    snprintf(name, sizeof(name), "lock:{%s}", guard->hex);
    guard->lock = loyalty_api_global_key(call, name);
    snprintf(name, sizeof(name), "tries:{%s}", guard->hex);
    guard->tries = loyalty_api_global_key(call, name);
}

static loyalty_store_result_t
guard_call(loyalty_api_call_t *call, const guard_t *guard,
           loyalty_replies_t *replies)
{
    return loyalty_store_call(call->session->store,
                              loyalty_str_from(guard->hex),
                              &call->session->commands, replies);
}

static void
refuse_for(loyalty_api_call_t *call, int64_t ms)
{
    loyalty_api_error(call, 429, "locked",
                      "too many sign-ins have failed: wait");
    call->response->retry_after = (int)((ms < 0 ? 0 : ms) / 1000) + 1;
}

/* Takes the lock, for longer the more tries there were.  *ok false: another
 * has it. */
static loyalty_store_result_t
take_lock(loyalty_api_call_t *call, const guard_t *guard, int64_t tries,
          loyalty_replies_t *replies, bool *ok)
{
    loyalty_commands_t *commands = &call->session->commands;
    loyalty_store_result_t result;
    int64_t wait = 1;

    for (tries -= LOYALTY_SIGN_IN_TRIES + 1;
         tries > 0 && wait < LOYALTY_SIGN_IN_WAIT_MAX; tries--) {
        wait *= 2;
    }

    wait = wait > LOYALTY_SIGN_IN_WAIT_MAX ? LOYALTY_SIGN_IN_WAIT_MAX : wait;
    loyalty_commands_reset(commands);
    loyalty_api_global(call, "SET", guard->lock, 4);
    loyalty_arg_text(commands, "1");
    loyalty_arg_text(commands, "EX");
    loyalty_arg_int(commands, wait);
    loyalty_arg_text(commands, "NX");
    result = guard_call(call, guard, replies);
    *ok = result == LOYALTY_STORE_OK
          && replies->list[0]->type == REDIS_REPLY_STATUS;

    if (result == LOYALTY_STORE_OK && !*ok) {
        refuse_for(call, wait * 1000);
    }

    return result;
}

/*
 * Counts this try.  Once too many have failed, the lock is taken before the
 * password is looked at, so that of many tries at once one goes on.
 */
static loyalty_store_result_t
may_try(loyalty_api_call_t *call, const guard_t *guard, bool *ok)
{
    loyalty_commands_t *commands = &call->session->commands;
    loyalty_store_result_t result;
    loyalty_replies_t replies;
    int64_t tries = 0, left = -2;

    *ok = false;
    loyalty_commands_reset(commands);
    loyalty_api_global(call, "PTTL", guard->lock, 0);
    loyalty_replies_init(&replies);
    result = guard_call(call, guard, &replies);

    if (result == LOYALTY_STORE_OK
        && loyalty_reply_int(replies.list[0], &left) && left >= 0) {
        refuse_for(call, left);
    } else if (result == LOYALTY_STORE_OK) {
        loyalty_commands_reset(commands);
        loyalty_api_global(call, "INCR", guard->tries, 0);
        loyalty_api_global(call, "EXPIRE", guard->tries, 1);
        loyalty_arg_int(commands, DAY);
        result = guard_call(call, guard, &replies);
        *ok = result == LOYALTY_STORE_OK
              && loyalty_reply_int(replies.list[0], &tries);
    }

    if (*ok && tries > LOYALTY_SIGN_IN_TRIES) {
        result = take_lock(call, guard, tries, &replies, ok);
    } else if (result == LOYALTY_STORE_OK && !*ok && left < 0) {
        result = LOYALTY_STORE_MALFORMED;
    }

    loyalty_replies_free(&replies);

    return result;
}

static loyalty_store_result_t
forget_tries(loyalty_api_call_t *call, const guard_t *guard)
{
    loyalty_store_result_t result;
    loyalty_replies_t replies;

    loyalty_commands_reset(&call->session->commands);
    loyalty_api_global(call, "DEL", guard->lock, 0);
    loyalty_api_global(call, "DEL", guard->tries, 0);
    loyalty_replies_init(&replies);
    result = guard_call(call, guard, &replies);
    loyalty_replies_free(&replies);

    return result;
}

/* The password of the account, or of nobody; false: the error is written. */
static bool
is_right(loyalty_api_call_t *call, const char *password,
         const json_t *account)
{
    const char *hash = json_string_value(json_object_get(account, "password"));

    if (json_is_true(json_object_get(account, "disabled"))) {
        hash = NULL;
    }

    switch (loyalty_password_verify(password, hash)) {
    case LOYALTY_PASSWORD_RIGHT:
        return true;

    case LOYALTY_PASSWORD_BUSY:
        loyalty_api_error(call, 429, "too_many_requests",
                          "too many sign in at once");
        call->response->retry_after = 1;
        return false;

    default:
        loyalty_api_error(call, 401, "unauthorized",
                          "the e-mail or the password is wrong");
        return false;
    }
}

static const char *
password_of(loyalty_api_call_t *call, const char *field)
{
    const char *password = json_string_value(json_object_get(call->body,
                                                             field));

    return password != NULL && strlen(password) <= LOYALTY_PASSWORD_MAX
               ? password : "";
}

loyalty_store_result_t
loyalty_api_sign_in(loyalty_api_call_t *call)
{
    loyalty_store_result_t result;
    loyalty_str_t email;
    json_t *account;
    guard_t guard;
    bool ok;

    email = loyalty_api_account_email(call, json_object_get(call->body,
                                                            "email"));
    if (email.len == 0) {
        loyalty_api_error(call, 401, "unauthorized",
                          "the e-mail or the password is wrong");
        return LOYALTY_STORE_OK;
    }

    guard_of(call, email, &guard);
    result = may_try(call, &guard, &ok);
    if (result != LOYALTY_STORE_OK || !ok) {
        return result;
    }

    result = loyalty_api_read_account(call, email, &account);
    if (result != LOYALTY_STORE_OK) {
        return result;
    }

    if (!is_right(call, password_of(call, "password"), account)) {
        json_decref(account);
        return LOYALTY_STORE_OK;
    }

    result = forget_tries(call, &guard);
    if (result != LOYALTY_STORE_OK) {
        json_decref(account);
        return result;
    }

    return begin_session(call, account, 201);
}

loyalty_store_result_t
loyalty_api_get_session(loyalty_api_call_t *call)
{
    loyalty_api_json(call, 200, shown_session(call));

    return LOYALTY_STORE_OK;
}

loyalty_store_result_t
loyalty_api_sign_out(loyalty_api_call_t *call)
{
    loyalty_store_result_t result;
    loyalty_replies_t replies;
    char name[80];
    loyalty_str_t key;

    snprintf(name, sizeof(name), "session:%s", call->caller.session);
    key = loyalty_api_global_key(call, name);
    loyalty_commands_reset(&call->session->commands);
    loyalty_api_global(call, "DEL", key, 0);
    loyalty_replies_init(&replies);
    result = loyalty_api_global_read(call, key, &replies);
    loyalty_replies_free(&replies);

    set_cookie(call, "", 0);
    loyalty_api_no_content(call);

    return result;
}

/* The account as it is now, if the session is still good for it. */
static bool
is_still_signed_in(loyalty_api_call_t *call, const json_t *account)
{
    if (account != NULL && !json_is_true(json_object_get(account, "disabled"))
        && json_equal(json_object_get(account, "generation"),
                      json_object_get(call->caller.account, "generation"))) {
        return true;
    }

    loyalty_api_error(call, 401, "unauthorized", "the session has ended");
    return false;
}

static loyalty_store_result_t
set_password(loyalty_api_call_t *call, const char *hash)
{
    loyalty_store_result_t result;
    json_t *account;

    result = loyalty_api_watch_account(call, loyalty_str_from(call->who),
                                       &account);

    if (result != LOYALTY_STORE_OK || !is_still_signed_in(call, account)) {
        json_decref(account);
        return result;
    }

    json_object_set_new(account, "password", json_string(hash));
    result = loyalty_api_write_account(call, account, true);

    if (result == LOYALTY_STORE_OK) {
        return begin_session(call, account, 200);
    }

    json_decref(account);

    return result;
}

loyalty_store_result_t
loyalty_api_put_password(loyalty_api_call_t *call)
{
    loyalty_store_result_t result;
    const char *password;
    guard_t guard;
    char *hash;
    bool ok;

    password = loyalty_api_new_password(call, "password");
    if (password == NULL) {
        return LOYALTY_STORE_OK;
    }

    /* Who has but the session must not find the password by trying. */
    guard_of(call, loyalty_str_from(call->who), &guard);
    result = may_try(call, &guard, &ok);

    if (result != LOYALTY_STORE_OK || !ok
        || !is_right(call, password_of(call, "current"),
                     call->caller.account)) {
        return result;
    }

    result = forget_tries(call, &guard);
    hash = loyalty_password_hash(password);

    if (result == LOYALTY_STORE_OK) {
        result = hash == NULL ? LOYALTY_STORE_MEMORY
                              : set_password(call, hash);
    }

    free(hash);

    return result;
}

/* The installation's sites, as far as the caller may see them. */
loyalty_store_result_t
loyalty_api_list_sites(loyalty_api_call_t *call)
{
    loyalty_str_t key = loyalty_api_global_key(call, "sites"), site;
    json_t *list = json_array(), *roles;
    loyalty_store_result_t result;
    loyalty_replies_t replies;
    size_t i;

    loyalty_commands_reset(&call->session->commands);
    loyalty_api_global(call, "SMEMBERS", key, 0);
    loyalty_replies_init(&replies);
    result = loyalty_api_global_read(call, key, &replies);

    if (result == LOYALTY_STORE_OK
        && replies.list[0]->type != REDIS_REPLY_ARRAY) {
        result = LOYALTY_STORE_MALFORMED;
    }

    for (i = 0; result == LOYALTY_STORE_OK && i < replies.list[0]->elements;
         i++) {
        if (loyalty_reply_str(replies.list[0]->element[i], &site)
            && loyalty_api_may(call, LOYALTY_SCOPE_READ, site)) {
            roles = json_pack(
                "{s:s%,s:b,s:b}", "id", site.data, site.len, "write",
                loyalty_api_may(call, LOYALTY_SCOPE_WRITE, site), "own",
                loyalty_api_may(call, LOYALTY_SCOPE_ADMIN, site));
            json_array_append_new(list, roles);
        }
    }

    loyalty_replies_free(&replies);
    loyalty_api_json(call, 200, json_pack("{s:o}", "sites", list));

    return result;
}
