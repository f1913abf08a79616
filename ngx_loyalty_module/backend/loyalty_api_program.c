/*
 * Changing a site's program (loyalty_api_program.h), and its settings.
 */

#include "loyalty_api_program.h"
#include "loyalty_calendar.h"
#include "loyalty_job.h"

#include <stdio.h>
#include <stdlib.h>

#include "loyalty_webhook.h"

/* The first line of a version in the history; it never has a newline. */
#define HEADER_FORMAT "{\"version\":%lld,\"at\":%lld,\"by\":%s,\"what\":%s}\n"

void
loyalty_api_etag(loyalty_api_call_t *call, int64_t version)
{
    snprintf(call->response->etag, sizeof(call->response->etag), "\"%lld\"",
             (long long)version);
}

/* A draft has no version; its bytes tell one from another. */
static void
draft_etag(loyalty_str_t document, char *etag, size_t size)
{
    char hex[65];

    loyalty_api_sha256(&document, 1, hex);
    snprintf(etag, size, "\"draft-%.24s\"", hex);
}

void
loyalty_api_edit_end(loyalty_api_edit_t *edit)
{
    json_decref(edit->document);
    loyalty_program_free(edit->program);
    loyalty_replies_free(&edit->replies);
    *edit = (loyalty_api_edit_t){0};
}

/* The document of a string, compiled. */
static loyalty_store_result_t
parse(loyalty_api_call_t *call, loyalty_str_t bytes,
      loyalty_program_t **program)
{
    loyalty_problems_t problems;
    loyalty_status_t rc;

    *program = NULL;
    loyalty_problems_init(&problems, call->arena);
    rc = loyalty_program_parse(bytes.data, bytes.len, &problems, program);

    return rc == LOYALTY_OK             ? LOYALTY_STORE_OK
           : rc == LOYALTY_ERROR_MEMORY ? LOYALTY_STORE_MEMORY
                                        : LOYALTY_STORE_MALFORMED;
}

/* The live document, then the draft if that is what changes. */
static loyalty_store_result_t
read_documents(loyalty_api_call_t *call, loyalty_api_edit_t *edit,
               loyalty_str_t draft)
{
    loyalty_store_result_t result;
    loyalty_program_t *live;

    result = parse(call, edit->live, &edit->program);
    if (result != LOYALTY_STORE_OK) {
        return result;
    }

    live = edit->program;
    edit->version = live->version;
    edit->active = live->settings.active;
    snprintf(edit->currency, sizeof(edit->currency), "%.*s",
             (int)live->settings.currency.len, live->settings.currency.data);
    snprintf(edit->etag, sizeof(edit->etag), "\"%lld\"",
             (long long)edit->version);

    if (draft.data != NULL) {
        loyalty_program_free(live);
        result = parse(call, draft, &edit->program);
        if (result != LOYALTY_STORE_OK) {
            return result;
        }
        draft_etag(draft, edit->etag, sizeof(edit->etag));
    }

    edit->base = edit->program->version;
    edit->document = json_deep_copy(edit->program->json);

    return edit->document != NULL ? LOYALTY_STORE_OK : LOYALTY_STORE_MEMORY;
}

loyalty_store_result_t
loyalty_api_edit_open(loyalty_api_call_t *call, loyalty_api_edit_t *edit,
                      bool draft)
{
    loyalty_commands_t *commands = &call->session->commands;
    loyalty_store_result_t result;
    loyalty_str_t document;

    *edit = (loyalty_api_edit_t){.draft = draft};
    snprintf(edit->etag, sizeof(edit->etag), "\"0\"");
    loyalty_replies_init(&edit->replies);
    loyalty_commands_reset(commands);
    loyalty_api_watch(call, "p", loyalty_str_null);
    loyalty_api_watch(call, "dr", loyalty_str_null);
    loyalty_api_command(call, "GET", "p", loyalty_str_null, 0);
    loyalty_api_command(call, "GET", "dr", loyalty_str_null, 0);
    loyalty_api_command(call, "ZREVRANGE", "x", loyalty_str("versions"), 2);
    loyalty_arg_int(commands, 0);
    loyalty_arg_int(commands, 0);
    result = loyalty_api_read(call, &edit->replies);

    if (result != LOYALTY_STORE_OK) {
        return result;
    }

    if (!loyalty_reply_str(edit->replies.list[2], &edit->live)
        || !loyalty_reply_str(edit->replies.list[3], &document)
        || edit->replies.list[4]->type != REDIS_REPLY_ARRAY) {
        return LOYALTY_STORE_MALFORMED;
    }

    if (edit->live.data == NULL) {
        return LOYALTY_STORE_OK;
    }

    edit->drafted = document.data != NULL;
    result = read_documents(call, edit, draft ? document : loyalty_str_null);

    if (result == LOYALTY_STORE_OK
        && loyalty_reply_array(edit->replies.list[4], 1)) {
        int64_t newest;

        edit->kept = loyalty_reply_str(edit->replies.list[4]->element[0],
                                       &document)
                     && loyalty_str_int(document, &newest)
                     && newest == edit->version;
    }

    return result;
}

loyalty_store_result_t
loyalty_api_edit_begin(loyalty_api_call_t *call, loyalty_api_edit_t *edit)
{
    return loyalty_api_edit_open(call, edit, loyalty_api_flag(call, "draft"));
}

/* One tag, or a list of them: RFC 9110, 13.1. */
static bool
names_etag(loyalty_str_t header, const char *etag)
{
    size_t len = strlen(etag), i;

    for (i = 0; i + len <= header.len; i++) {
        if (memcmp(header.data + i, etag, len) == 0) {
            return true;
        }
    }

    return false;
}

bool
loyalty_api_edit_matches(loyalty_api_call_t *call,
                         const loyalty_api_edit_t *edit)
{
    loyalty_str_t wanted = call->request->if_match;

    if (wanted.len == 0
        || (loyalty_str_eq(wanted, loyalty_str("*")) && edit->version != 0)
        || names_etag(wanted, edit->etag)) {
        return true;
    }

    loyalty_api_error(call, 412, "precondition_failed",
                      "the %s has changed meanwhile: its ETag is %s",
                      edit->draft ? "draft" : "program", edit->etag);
    snprintf(call->response->etag, sizeof(call->response->etag), "%s",
             edit->etag);
    return false;
}

/* Amounts on record are in the minor unit of the currency they came in. */
static loyalty_store_result_t
keeps_currency(loyalty_api_call_t *call, const loyalty_api_edit_t *edit,
               bool *keeps)
{
    loyalty_store_result_t result;
    loyalty_replies_t replies;
    int64_t exists = 0;

    *keeps = true;

    if (edit->version == 0
        || loyalty_str_eq(loyalty_str_from(edit->currency),
                          edit->program->settings.currency)) {
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

loyalty_store_result_t
loyalty_api_edit_check(loyalty_api_call_t *call, loyalty_api_edit_t *edit,
                       const char *prefix, bool *ok)
{
    loyalty_store_result_t result;
    loyalty_problems_t problems;
    loyalty_program_t *program;
    loyalty_status_t rc;

    *ok = false;
    json_object_set_new(edit->document, "version",
                        json_integer(edit->draft ? edit->base
                                                 : edit->version + 1));
    loyalty_problems_init(&problems, call->arena);
    rc = loyalty_program_from_json(edit->document, &problems, &program);

    if (rc == LOYALTY_ERROR_MEMORY) {
        return LOYALTY_STORE_MEMORY;
    }

    if (rc != LOYALTY_OK) {
        loyalty_api_problems(call, 422, "invalid", "the program would not be "
                             "valid", problems.list, problems.count, prefix);
        return LOYALTY_STORE_OK;
    }

    loyalty_program_free(edit->program);
    edit->program = program;

    if (!loyalty_calendar_knows(program->settings.time_zone)) {
        loyalty_problem_t unknown = {
            loyalty_str("/settings/time_zone"),
            loyalty_str("must be a time zone of the IANA database, such as "
                        "\"Europe/Paris\"")};

        loyalty_api_problems(call, 422, "invalid", "the program would not be "
                             "valid", &unknown, 1, prefix);
        return LOYALTY_STORE_OK;
    }

    if (!edit->draft && edit->active != program->settings.active
        && !loyalty_api_is_owner(call)) {
        return LOYALTY_STORE_OK;
    }

    result = keeps_currency(call, edit, ok);

    if (result == LOYALTY_STORE_OK && !*ok) {
        loyalty_api_error(call, 409, "currency_in_use",
                          "the site has members: its currency stays");
    }

    return result;
}

/* A version for the history: who made it how, and the document. */
static loyalty_store_result_t
keep_version(loyalty_api_call_t *call, int64_t version, const char *by,
             loyalty_str_t what, loyalty_str_t document)
{
    loyalty_commands_t *commands = &call->session->commands;
    json_t *who = json_string(by);
    json_t *how = json_stringn(what.data, what.len);
    char *who_text = json_dumps(who, JSON_ENCODE_ANY);
    char *how_text = json_dumps(how, JSON_ENCODE_ANY);
    size_t size = LOYALTY_VERSION_HEADER_MAX;
    char number[24], old[24], *text;
    int len = -1;

    text = loyalty_alloc(call->arena, size + document.len);

    if (text != NULL && who_text != NULL && how_text != NULL) {
        len = snprintf(text, size, HEADER_FORMAT, (long long)version,
                       (long long)call->now, who_text, how_text);
    }

    free(who_text);
    free(how_text);
    json_decref(who);
    json_decref(how);

    if (len < 0 || (size_t)len >= size) {
        return LOYALTY_STORE_MEMORY;
    }

    memcpy(text + len, document.data, document.len);
    snprintf(number, sizeof(number), "%lld", (long long)version);
    snprintf(old, sizeof(old), "%lld",
             (long long)version - LOYALTY_VERSIONS_MAX);

    loyalty_api_command(call, "SET", "v", loyalty_str_from(number), 1);
    loyalty_arg(commands, (loyalty_str_t){text, (size_t)len + document.len});
    loyalty_api_command(call, "ZADD", "x", loyalty_str("versions"), 2);
    loyalty_arg_text(commands, number);
    loyalty_arg_text(commands, number);
    loyalty_api_command(call, "ZREMRANGEBYSCORE", "x", loyalty_str("versions"),
                        2);
    loyalty_arg_text(commands, "-inf");
    loyalty_arg_text(commands, old);
    loyalty_api_command(call, "DEL", "v", loyalty_str_from(old), 0);

    return LOYALTY_STORE_OK;
}

/* A webhook that is deleted takes its secret along. */
static loyalty_store_result_t
delete_secrets(loyalty_api_call_t *call, const loyalty_api_edit_t *edit)
{
    json_t *live, *webhook;
    loyalty_str_t id;
    size_t i;

    if (edit->live.len == 0) {
        return LOYALTY_STORE_OK;
    }

    live = json_loadb(edit->live.data, edit->live.len, 0, NULL);
    if (live == NULL) {
        return LOYALTY_STORE_MEMORY;
    }

    json_array_foreach(json_object_get(json_object_get(live, "settings"),
                                       "webhooks"), i, webhook) {
        id = loyalty_str_from(
            json_string_value(json_object_get(webhook, "id")));
        if (loyalty_program_webhook(edit->program, id) == NULL) {
            loyalty_api_command(call, "HDEL", "x", loyalty_str("secrets"), 1);
            loyalty_arg(&call->session->commands, id);
        }
    }

    json_decref(live);
    return LOYALTY_STORE_OK;
}

loyalty_store_result_t
loyalty_api_edit_write(loyalty_api_call_t *call, loyalty_api_edit_t *edit)
{
    loyalty_commands_t *commands = &call->session->commands;
    int64_t version = edit->draft ? edit->base : edit->version + 1;
    char *text = loyalty_programs_document(edit->document, version);
    loyalty_str_t document = loyalty_str_from(text), what;
    loyalty_store_result_t result = LOYALTY_STORE_OK;
    char *copy = NULL;

    if (text != NULL) {
        copy = loyalty_alloc(call->arena, document.len + 1);
    }

    if (copy == NULL) {
        free(text);
        return LOYALTY_STORE_MEMORY;
    }

    memcpy(copy, text, document.len);
    document.data = copy;
    free(text);

    loyalty_commands_reset(commands);
    loyalty_command(commands, "MULTI", 1);
    loyalty_api_command(call, "SET", edit->draft ? "dr" : "p",
                        loyalty_str_null, 1);
    loyalty_arg(commands, document);

    if (edit->draft) {
        draft_etag(document, call->response->etag,
                   sizeof(call->response->etag));
        return result;
    }

    loyalty_api_etag(call, version);
    what = loyalty_api_path(call);
    result = delete_secrets(call, edit);

    if (result == LOYALTY_STORE_OK && !edit->kept && edit->live.len != 0) {
        result = keep_version(call, edit->version, "", loyalty_str(""),
                              edit->live);
    }

    return result == LOYALTY_STORE_OK
               ? keep_version(call, version, call->who, what, document)
               : result;
}

loyalty_store_result_t
loyalty_api_edit_commit(loyalty_api_call_t *call, loyalty_api_edit_t *edit)
{
    loyalty_store_result_t result = loyalty_api_edit_write(call, edit);

    return result == LOYALTY_STORE_OK ? loyalty_api_commit(call) : result;
}

loyalty_store_result_t
loyalty_api_shown(loyalty_api_call_t *call, loyalty_api_edit_t *edit,
                  const loyalty_program_t **program)
{
    loyalty_store_result_t result;

    *edit = (loyalty_api_edit_t){0};

    if (!loyalty_api_flag(call, "draft")) {
        result = loyalty_api_program(call, program);
        if (result == LOYALTY_STORE_OK && *program != NULL) {
            loyalty_api_etag(call, (*program)->version);
        }
        return result;
    }

    result = loyalty_api_edit_begin(call, edit);
    *program = result == LOYALTY_STORE_OK ? edit->program : NULL;

    if (result == LOYALTY_STORE_OK && *program == NULL) {
        loyalty_api_not_found(call, "site");
    } else {
        snprintf(call->response->etag, sizeof(call->response->etag), "%s",
                 edit->etag);
    }

    return result;
}

loyalty_store_result_t
loyalty_api_get_settings(loyalty_api_call_t *call)
{
    const loyalty_program_t *program;
    loyalty_store_result_t result;
    loyalty_api_edit_t edit;

    result = loyalty_api_shown(call, &edit, &program);
    if (result == LOYALTY_STORE_OK && program != NULL) {
        loyalty_api_json(call, 200,
                         loyalty_program_part(program, "settings",
                                              LOYALTY_PROGRAM_ALL));
    }

    loyalty_api_edit_end(&edit);

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

static loyalty_store_result_t
replace_settings(loyalty_api_call_t *call, loyalty_api_edit_t *edit)
{
    bool ok, fresh = edit->document == NULL, was = edit->active;
    char job[LOYALTY_JOB_ID_SIZE];
    loyalty_store_result_t result;
    json_t *settings;

    settings = json_copy(call->body);
    if (fresh) {
        edit->document = json_object();
    }

    json_object_set_new(settings, "id",
                        json_stringn(call->scope.site.data,
                                     call->scope.site.len));
    call->audit_before = json_incref(json_object_get(edit->document,
                                                     "settings"));
    call->audit_after = json_incref(settings);
    json_object_set_new(edit->document, "settings", settings);

    result = loyalty_api_edit_check(call, edit, "/settings", &ok);
    if (result != LOYALTY_STORE_OK || !ok) {
        return result;
    }

    result = fresh ? add_site(call) : LOYALTY_STORE_OK;
    if (result == LOYALTY_STORE_OK) {
        result = loyalty_api_edit_write(call, edit);
    }

    /* What a site that is new has to be activated for is not there yet. */
    if (result == LOYALTY_STORE_OK && !edit->draft && !fresh && !was
        && edit->program->settings.active) {
        result = loyalty_api_add_activation(call, false, job);
    }

    loyalty_api_json(call, fresh ? 201 : 200,
                     loyalty_program_part(edit->program, "settings",
                                          LOYALTY_PROGRAM_ALL));

    return result == LOYALTY_STORE_OK ? loyalty_api_commit(call) : result;
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

    if (result == LOYALTY_STORE_OK && edit.document == NULL && edit.draft) {
        loyalty_api_not_found(call, "site");
    } else if (result == LOYALTY_STORE_OK
               && (edit.document != NULL || loyalty_api_is_owner(call))
               && !(edit.document != NULL && loyalty_api_refuses_any(call))
               && loyalty_api_edit_matches(call, &edit)) {
        result = replace_settings(call, &edit);
    }

    loyalty_api_edit_end(&edit);

    return result;
}
