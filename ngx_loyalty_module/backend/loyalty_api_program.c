/*
 * Changing a site's program, and its settings.
 */

#include "loyalty_api_program.h"

#include <stdio.h>
#include <stdlib.h>

void
loyalty_api_etag(loyalty_api_call_t *call, int64_t version)
{
    snprintf(call->response->etag, sizeof(call->response->etag), "\"%lld\"",
             (long long)version);
}

void
loyalty_api_edit_end(loyalty_api_edit_t *edit)
{
    json_decref(edit->document);
    loyalty_program_free(edit->program);
    *edit = (loyalty_api_edit_t){0};
}

loyalty_store_result_t
loyalty_api_edit_begin(loyalty_api_call_t *call, loyalty_api_edit_t *edit)
{
    loyalty_store_result_t result;
    loyalty_problems_t problems;
    loyalty_replies_t replies;
    loyalty_str_t bytes;

    *edit = (loyalty_api_edit_t){0};
    loyalty_commands_reset(&call->session->commands);
    loyalty_api_watch(call, "p", loyalty_str_null);
    loyalty_api_command(call, "GET", "p", loyalty_str_null, 0);
    loyalty_replies_init(&replies);
    result = loyalty_api_read(call, &replies);

    if (result == LOYALTY_STORE_OK
        && !loyalty_reply_str(replies.list[1], &bytes)) {
        result = LOYALTY_STORE_MALFORMED;
    }

    if (result == LOYALTY_STORE_OK && bytes.data != NULL) {
        loyalty_problems_init(&problems, call->arena);
        if (loyalty_program_parse(bytes.data, bytes.len, &problems,
                                  &edit->program) == LOYALTY_OK) {
            edit->version = edit->program->version;
            edit->document = json_deep_copy(edit->program->json);
            result = edit->document != NULL ? LOYALTY_STORE_OK
                                            : LOYALTY_STORE_MEMORY;
        } else {
            edit->program = NULL;
            result = LOYALTY_STORE_MALFORMED;
        }
    }

    loyalty_replies_free(&replies);

    return result;
}

bool
loyalty_api_edit_matches(loyalty_api_call_t *call,
                         const loyalty_api_edit_t *edit)
{
    loyalty_str_t wanted = call->request->if_match;
    char etag[32];

    snprintf(etag, sizeof(etag), "\"%lld\"", (long long)edit->version);

    if (wanted.len == 0
        || (loyalty_str_eq(wanted, loyalty_str("*")) && edit->version != 0)
        || loyalty_str_eq(wanted, loyalty_str_from(etag))) {
        return true;
    }

    loyalty_api_error(call, 412, "precondition_failed",
                      "the program has version %lld meanwhile",
                      (long long)edit->version);
    loyalty_api_etag(call, edit->version);
    return false;
}

bool
loyalty_api_edit_check(loyalty_api_call_t *call, loyalty_api_edit_t *edit,
                       const char *prefix)
{
    loyalty_problems_t problems;
    loyalty_program_t *program;
    size_t n;

    json_object_set_new(edit->document, "version",
                        json_integer(edit->version + 1));
    loyalty_problems_init(&problems, call->arena);

    if (loyalty_program_from_json(edit->document, &problems, &program)
        != LOYALTY_OK) {
        n = problems.count < LOYALTY_PROBLEMS_MAX ? problems.count
                                                  : LOYALTY_PROBLEMS_MAX;
        loyalty_api_problems(call, 422, "invalid", "the program would not be "
                             "valid", problems.list, n, prefix);
        return false;
    }

    loyalty_program_free(edit->program);
    edit->program = program;
    return true;
}

loyalty_store_result_t
loyalty_api_edit_commit(loyalty_api_call_t *call, loyalty_api_edit_t *edit)
{
    loyalty_commands_t *commands = &call->session->commands;
    char *text = loyalty_programs_document(edit->document, edit->version + 1);
    loyalty_store_result_t result;

    if (text == NULL) {
        return LOYALTY_STORE_MEMORY;
    }

    loyalty_commands_reset(commands);
    loyalty_command(commands, "MULTI", 1);
    loyalty_api_command(call, "SET", "p", loyalty_str_null, 1);
    loyalty_arg_text(commands, text);
    free(text);
    result = loyalty_api_commit(call);

    return result;
}

static json_t *
shown_settings(const loyalty_program_t *program)
{
    json_t *all = loyalty_program_to_json(program), *settings;

    settings = json_incref(json_object_get(all, "settings"));
    json_decref(all);

    return settings;
}

loyalty_store_result_t
loyalty_api_get_settings(loyalty_api_call_t *call)
{
    const loyalty_program_t *program;
    loyalty_store_result_t result;

    result = loyalty_api_program(call, &program);
    if (result == LOYALTY_STORE_OK && program != NULL) {
        loyalty_api_json(call, 200, shown_settings(program));
        loyalty_api_etag(call, program->version);
    }

    return result;
}

/* The site becomes one that is applied; before its program exists that means
 * nothing, so the order of the two cannot hurt. */
static loyalty_store_result_t
add_site(loyalty_api_call_t *call)
{
    loyalty_commands_t *commands = &call->session->commands;
    loyalty_str_t prefix = call->scope.prefix;
    loyalty_store_result_t result;
    loyalty_replies_t replies;
    char key[LOYALTY_KEY_MAX];

    snprintf(key, sizeof(key), "%.*s:sites", (int)prefix.len, prefix.data);
    loyalty_commands_reset(commands);
    loyalty_command(commands, "SADD", 3);
    loyalty_arg_text(commands, key);
    loyalty_arg(commands, call->scope.site);
    loyalty_replies_init(&replies);
    result = loyalty_store_call(call->session->store, loyalty_str_from(key),
                                commands, &replies);

    if (result == LOYALTY_STORE_OK
        && replies.list[0]->type != REDIS_REPLY_INTEGER) {
        result = LOYALTY_STORE_REFUSED;
    }

    loyalty_replies_free(&replies);

    return result;
}

/* Amounts on record are in the minor unit of the currency they came in. */
static loyalty_store_result_t
keeps_currency(loyalty_api_call_t *call, const loyalty_program_t *before,
               const loyalty_program_t *after, bool *keeps)
{
    loyalty_store_result_t result;
    loyalty_replies_t replies;
    int64_t exists = 0;

    *keeps = true;

    if (before == NULL
        || loyalty_str_eq(before->settings.currency,
                          after->settings.currency)) {
        return LOYALTY_STORE_OK;
    }

    loyalty_commands_reset(&call->session->commands);
    loyalty_api_watch(call, "mi", loyalty_str_null);
    loyalty_api_command(call, "EXISTS", "mi", loyalty_str_null, 0);
    loyalty_replies_init(&replies);
    result = loyalty_api_read(call, &replies);

    if (result == LOYALTY_STORE_OK) {
        *keeps = loyalty_reply_int(replies.list[1], &exists) && exists == 0;
    }

    loyalty_replies_free(&replies);

    return result;
}

static loyalty_store_result_t
replace_settings(loyalty_api_call_t *call, loyalty_api_edit_t *edit)
{
    loyalty_program_t *before = edit->program;
    loyalty_store_result_t result;
    json_t *settings;
    bool keeps, fresh = edit->document == NULL;

    settings = json_copy(call->body);
    if (fresh) {
        edit->document = json_object();
    }

    json_object_set_new(settings, "id",
                        json_stringn(call->scope.site.data,
                                     call->scope.site.len));
    call->audit_before = json_incref(json_object_get(edit->document,
                                                     "settings"));
    json_object_set_new(edit->document, "settings", settings);

    edit->program = NULL;
    if (!loyalty_api_edit_check(call, edit, "/settings")) {
        loyalty_program_free(before);
        return LOYALTY_STORE_OK;
    }

    result = keeps_currency(call, before, edit->program, &keeps);
    loyalty_program_free(before);
    if (result != LOYALTY_STORE_OK) {
        return result;
    }

    if (!keeps) {
        loyalty_api_error(call, 409, "currency_in_use",
                          "the site has members: its currency stays");
        return LOYALTY_STORE_OK;
    }

    result = fresh ? add_site(call) : LOYALTY_STORE_OK;
    if (result != LOYALTY_STORE_OK) {
        return result;
    }

    call->audit_after = json_incref(settings);
    loyalty_api_json(call, fresh ? 201 : 200, shown_settings(edit->program));
    loyalty_api_etag(call, edit->program->version);

    return loyalty_api_edit_commit(call, edit);
}

loyalty_store_result_t
loyalty_api_put_settings(loyalty_api_call_t *call)
{
    loyalty_store_result_t result;
    loyalty_api_edit_t edit;
    json_t *id;

    id = json_object_get(call->body, "id");
    if (id != NULL
        && (!json_is_string(id)
            || !loyalty_str_eq(loyalty_str_from(json_string_value(id)),
                               call->scope.site))) {
        loyalty_api_problem(call, "/id", "is the site's own, or left out");
        return LOYALTY_STORE_OK;
    }

    result = loyalty_api_edit_begin(call, &edit);
    if (result == LOYALTY_STORE_OK && loyalty_api_edit_matches(call, &edit)) {
        result = replace_settings(call, &edit);
    }

    loyalty_api_edit_end(&edit);

    return result;
}
