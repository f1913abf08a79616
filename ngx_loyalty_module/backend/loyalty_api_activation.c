/*
 * Switching a site on and off, and showing its page before.
 *
 *   POST activate        {"backfill"}: the next version, and the job that
 *                        gives every member their status (DOMAIN.md 1)
 *   POST deactivate
 *   POST preview-links   {"days", "draft"}: a signed link to the page as it
 *                        will be, or as the draft has it
 */

#include "loyalty_api_program.h"
#include "loyalty_job.h"
#include "loyalty_token.h"

#include <stdio.h>

/* A preview is for those who decide, in a few weeks. */
#define PREVIEW_DAYS 7
#define PREVIEW_DAYS_MAX 90

loyalty_store_result_t
loyalty_api_add_activation(loyalty_api_call_t *call, bool backfill, char *id)
{
    json_t *params = json_object();
    bool ok = loyalty_job_id(id);

    if (backfill) {
        json_object_set_new(params, "backfill", json_true());
    }

    if (ok) {
        loyalty_api_add_job(call, "activation", loyalty_str_from(id), params,
                            call->now, -1);
    }
    json_decref(params);

    return ok ? LOYALTY_STORE_OK : LOYALTY_STORE_MEMORY;
}

static loyalty_store_result_t
set_active(loyalty_api_call_t *call, loyalty_api_edit_t *edit, bool active,
           bool backfill)
{
    json_t *settings = json_object_get(edit->document, "settings");
    char job[LOYALTY_JOB_ID_SIZE] = "";
    loyalty_store_result_t result;
    bool ok;

    if (edit->active == active) {
        loyalty_api_error(call, 409, active ? "active" : "inactive",
                          active ? "the site is active already"
                                 : "the site is not active");
        return LOYALTY_STORE_OK;
    }

    json_object_set_new(settings, "active", json_boolean(active));
    call->audit_before = json_pack("{s:b}", "active", !active);
    call->audit_after = json_pack("{s:b,s:b}", "active", active, "backfill",
                                  backfill);
    result = loyalty_api_edit_check(call, edit, "", &ok);

    if (result == LOYALTY_STORE_OK && ok) {
        result = loyalty_api_edit_write(call, edit);
        if (result == LOYALTY_STORE_OK && active) {
            result = loyalty_api_add_activation(call, backfill, job);
            loyalty_api_json(call, 202,
                             json_pack("{s:s,s:s,s:s}", "id", job, "kind",
                                       "activation", "state", "queued"));
        } else {
            loyalty_api_json(call, 200, json_pack("{s:b}", "active", 0));
        }
        if (result == LOYALTY_STORE_OK) {
            result = loyalty_api_commit(call);
        }
    }

    return result;
}

static loyalty_store_result_t
change(loyalty_api_call_t *call, bool active, bool backfill)
{
    loyalty_store_result_t result;
    loyalty_api_edit_t edit;

    result = loyalty_api_edit_open(call, &edit, false);

    if (result == LOYALTY_STORE_OK && edit.document == NULL) {
        loyalty_api_not_found(call, "site");
    } else if (result == LOYALTY_STORE_OK
               && loyalty_api_edit_matches(call, &edit)) {
        result = set_active(call, &edit, active, backfill);
    }

    loyalty_api_edit_end(&edit);

    return result;
}

loyalty_store_result_t
loyalty_api_activate(loyalty_api_call_t *call)
{
    json_t *backfill = json_object_get(call->body, "backfill");

    if (backfill != NULL && !json_is_boolean(backfill)) {
        loyalty_api_problem(call, "/backfill", "must be true or false");
        return LOYALTY_STORE_OK;
    }

    return change(call, true, json_is_true(backfill));
}

loyalty_store_result_t
loyalty_api_deactivate(loyalty_api_call_t *call)
{
    return change(call, false, false);
}

loyalty_store_result_t
loyalty_api_preview_link(loyalty_api_call_t *call)
{
    json_t *days = json_object_get(call->body, "days");
    json_t *draft = json_object_get(call->body, "draft"), *json;
    json_int_t n = days != NULL ? json_integer_value(days) : PREVIEW_DAYS;
    const loyalty_program_t *program;
    loyalty_store_result_t result;
    loyalty_instant_t expires_at;
    char token[LOYALTY_TOKEN_SIZE];
    size_t len;

    result = loyalty_api_program(call, &program);
    if (result != LOYALTY_STORE_OK || program == NULL) {
        return result;
    }

    if ((days != NULL && !json_is_integer(days)) || n < 1
        || n > PREVIEW_DAYS_MAX) {
        loyalty_api_problem(call, "/days", "must be a number from 1 to 90");
        return LOYALTY_STORE_OK;
    }

    if (draft != NULL && !json_is_boolean(draft)) {
        loyalty_api_problem(call, "/draft", "must be true or false");
        return LOYALTY_STORE_OK;
    }

    expires_at = call->now + n * LOYALTY_DAY;
    if (loyalty_token_sign(LOYALTY_TOKEN_PREVIEW,
                           call->request->preview_secret, call->scope.site,
                           expires_at,
                           json_is_true(draft)
                               ? loyalty_str(LOYALTY_PREVIEW_DRAFT)
                               : loyalty_str(""),
                           token, &len)
        != LOYALTY_OK) {
        loyalty_api_error(call, 409, "not_configured",
                          "loyalty_backend has no preview_secret=FILE");
        return LOYALTY_STORE_OK;
    }

    json = json_pack("{s:s%,s:o}", "token", token, len, "query",
                     json_sprintf("preview=%.*s", (int)len, token));
    loyalty_api_set_instant(json, "expires_at", expires_at);
    loyalty_api_json(call, 201, json);
    loyalty_commands_reset(&call->session->commands);
    loyalty_command(&call->session->commands, "MULTI", 1);

    return loyalty_api_commit(call);
}
