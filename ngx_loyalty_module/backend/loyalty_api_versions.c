/*
 * The history of a program, and its draft.
 *
 *   draft --publish--> version N + 1     at once, if it was made from N
 *   version n --restore--> version N + 1
 *
 * What is activation's stays as it is: neither a draft nor an old version
 * switches a site on or off.
 */

#include "loyalty_api_program.h"

#include <stdio.h>

#define NUMBER_MAX 20 /* digits */

static json_t *
header_of(loyalty_str_t text)
{
    const char *end = text.len == 0 ? NULL : memchr(text.data, '\n', text.len);
    json_t *header = NULL, *at;

    if (end != NULL) {
        header = json_loadb(text.data, (size_t)(end - text.data), 0, NULL);
    }

    at = json_object_get(header, "at");
    if (at != NULL) {
        loyalty_api_set_instant(header, "at", json_integer_value(at));
    }

    return header;
}

static loyalty_store_result_t
read_headers(loyalty_api_call_t *call, const redisReply *numbers, size_t n,
             json_t *versions)
{
    loyalty_commands_t *commands = &call->session->commands;
    loyalty_store_result_t result;
    loyalty_replies_t replies;
    loyalty_str_t text;
    json_t *header;
    size_t i;

    loyalty_commands_reset(commands);

    for (i = 0; i < n; i++) {
        if (!loyalty_reply_str(numbers->element[i], &text)) {
            return LOYALTY_STORE_MALFORMED;
        }
        loyalty_api_command(call, "GETRANGE", "v", text, 2);
        loyalty_arg_int(commands, 0);
        loyalty_arg_int(commands, LOYALTY_VERSION_HEADER_MAX);
    }

    loyalty_replies_init(&replies);
    result = n != 0 ? loyalty_api_read(call, &replies) : LOYALTY_STORE_OK;

    for (i = 0; result == LOYALTY_STORE_OK && i < n; i++) {
        header = loyalty_reply_str(replies.list[i], &text) ? header_of(text)
                                                           : NULL;
        if (header != NULL) {
            json_array_append_new(versions, header);
        }
    }

    loyalty_replies_free(&replies);

    return result;
}

/* The newest first; the cursor is the number of the last one. */
loyalty_store_result_t
loyalty_api_list_versions(loyalty_api_call_t *call)
{
    loyalty_str_t cursor = loyalty_api_query(call, "cursor"), last;
    const loyalty_program_t *program;
    loyalty_store_result_t result;
    loyalty_replies_t replies;
    char from[32] = "+inf";
    int64_t number = 0;
    size_t limit, n;
    json_t *json;

    if (!loyalty_api_limit(call, &limit)) {
        return LOYALTY_STORE_OK;
    }

    if (cursor.len != 0) {
        if (!loyalty_str_int(cursor, &number)) {
            loyalty_api_error(call, 422, "invalid_cursor",
                              "the cursor is not one of this list");
            return LOYALTY_STORE_OK;
        }
        snprintf(from, sizeof(from), "(%lld", (long long)number);
    }

    result = loyalty_api_program(call, &program);
    if (result != LOYALTY_STORE_OK || program == NULL) {
        return result;
    }

    loyalty_replies_init(&replies);
    result = loyalty_api_range(call, "ZREVRANGEBYSCORE", "x",
                               loyalty_str("versions"), loyalty_str_from(from),
                               "-inf", limit, &replies);

    if (result == LOYALTY_STORE_OK) {
        json = json_pack("{s:[]}", "versions");
        n = replies.list[0]->elements;
        result = read_headers(call, replies.list[0], n > limit ? limit : n,
                              json_object_get(json, "versions"));
        if (n > limit
            && loyalty_reply_str(replies.list[0]->element[limit - 1],
                                 &last)) {
            loyalty_api_set_str(json, "next_cursor", last);
        }
        loyalty_api_json(call, 200, json);
    }

    loyalty_replies_free(&replies);

    return result;
}

/* The version of the path: its header, with the document as "program".
 * NULL: 404 is written. */
static loyalty_store_result_t
read_version(loyalty_api_call_t *call, json_t **version)
{
    loyalty_str_t number = call->segments[3];
    loyalty_str_t text = loyalty_str_null, document;
    loyalty_store_result_t result;
    loyalty_replies_t replies;
    json_t *program;
    int64_t value;

    *version = NULL;

    if (number.len > NUMBER_MAX || !loyalty_str_int(number, &value)
        || value < 1) {
        loyalty_api_not_found(call, "version");
        return LOYALTY_STORE_OK;
    }

    loyalty_commands_reset(&call->session->commands);
    loyalty_api_command(call, "GET", "v", number, 0);
    loyalty_replies_init(&replies);
    result = loyalty_api_read(call, &replies);

    if (result == LOYALTY_STORE_OK
        && !loyalty_reply_str(replies.list[0], &text)) {
        result = LOYALTY_STORE_MALFORMED;
    } else if (result == LOYALTY_STORE_OK && text.data == NULL) {
        loyalty_api_not_found(call, "version");
    } else if (result == LOYALTY_STORE_OK) {
        *version = header_of(text);
        document = text;

        if (*version != NULL) {
            document.data = (const char *)memchr(text.data, '\n', text.len)
                            + 1;
            document.len = (size_t)(text.data + text.len - document.data);
        }

        program = json_loadb(document.data, document.len, 0, NULL);
        if (json_object_set_new(*version, "program", program) != 0) {
            json_decref(*version);
            *version = NULL;
            result = LOYALTY_STORE_MALFORMED;
        }
    }

    loyalty_replies_free(&replies);

    return result;
}

loyalty_store_result_t
loyalty_api_get_version(loyalty_api_call_t *call)
{
    loyalty_store_result_t result;
    json_t *version;

    result = read_version(call, &version);
    if (version != NULL) {
        loyalty_api_json(call, 200, version);
    }

    return result;
}

/* The document of an edit becomes `document`, but for activation. */
static void
take_document(loyalty_api_edit_t *edit, json_t *document)
{
    json_t *settings;

    json_decref(edit->document);
    edit->document = json_deep_copy(document);
    settings = json_object_get(edit->document, "settings");
    json_object_set_new(settings, "active", json_boolean(edit->active));
}

/* Makes the document the next version, in one step; the draft goes along if
 * it was it. */
static loyalty_store_result_t
put_live(loyalty_api_call_t *call, loyalty_api_edit_t *edit,
         json_t *document, bool published)
{
    loyalty_store_result_t result;
    bool ok;

    take_document(edit, document);
    edit->draft = false;
    result = loyalty_api_edit_check(call, edit, "", &ok);

    if (result == LOYALTY_STORE_OK && ok) {
        loyalty_api_json(call, 200, json_pack("{s:I}", "version",
                                              edit->version + 1));
        result = loyalty_api_edit_write(call, edit);
        if (result == LOYALTY_STORE_OK && published) {
            loyalty_api_command(call, "DEL", "dr", loyalty_str_null, 0);
        }
        if (result == LOYALTY_STORE_OK) {
            result = loyalty_api_commit(call);
        }
    }

    return result;
}

loyalty_store_result_t
loyalty_api_restore_version(loyalty_api_call_t *call)
{
    loyalty_store_result_t result;
    loyalty_api_edit_t edit;
    json_t *version;

    result = read_version(call, &version);
    if (result != LOYALTY_STORE_OK || version == NULL) {
        return result;
    }

    result = loyalty_api_edit_open(call, &edit, false);

    if (result == LOYALTY_STORE_OK && edit.document == NULL) {
        loyalty_api_not_found(call, "site");
    } else if (result == LOYALTY_STORE_OK
               && loyalty_api_edit_matches(call, &edit)) {
        result = put_live(call, &edit, json_object_get(version, "program"),
                          false);
    }

    loyalty_api_edit_end(&edit);
    json_decref(version);

    return result;
}

/* Opens the draft that is there.  False: 404 is written, or the result is not
 * OK; end the edit in any case. */
static bool
open_draft(loyalty_api_call_t *call, loyalty_api_edit_t *edit,
           loyalty_store_result_t *result)
{
    *result = loyalty_api_edit_open(call, edit, true);

    if (*result != LOYALTY_STORE_OK) {
        return false;
    }

    if (edit->document == NULL || !edit->drafted) {
        loyalty_api_not_found(call, edit->document == NULL ? "site"
                                                           : "draft");
        return false;
    }

    return true;
}

loyalty_store_result_t
loyalty_api_get_draft(loyalty_api_call_t *call)
{
    loyalty_store_result_t result;
    loyalty_api_edit_t edit;

    if (open_draft(call, &edit, &result)) {
        loyalty_api_json(call, 200, loyalty_program_to_json(edit.program));
        snprintf(call->response->etag, sizeof(call->response->etag), "%s",
                 edit.etag);
    }

    loyalty_api_edit_end(&edit);

    return result;
}

/* The version of the body is that of the program it was made from; without
 * one it is made from the present one. */
static bool
read_base(loyalty_api_call_t *call, loyalty_api_edit_t *edit)
{
    json_t *version = json_object_get(call->body, "version");

    edit->base = version != NULL ? json_integer_value(version)
                                 : edit->version;

    if (version != NULL
        && (!json_is_integer(version) || edit->base < 0
            || edit->base > edit->version)) {
        loyalty_api_problem(call, "/version",
                            "is that of the program the draft is made from");
        return false;
    }

    return true;
}

static bool
is_of_this_site(loyalty_api_call_t *call)
{
    json_t *id = json_object_get(json_object_get(call->body, "settings"),
                                 "id");

    if (json_is_string(id)
        && loyalty_str_eq(loyalty_str_from(json_string_value(id)),
                          call->scope.site)) {
        return true;
    }

    loyalty_api_problem(call, "/settings/id", "must be the id of this site");
    return false;
}

static loyalty_store_result_t
write_draft(loyalty_api_call_t *call, loyalty_api_edit_t *edit)
{
    loyalty_store_result_t result;
    bool ok;

    json_decref(edit->document);
    edit->document = json_deep_copy(call->body);
    result = loyalty_api_edit_check(call, edit, "", &ok);

    if (result == LOYALTY_STORE_OK && ok) {
        loyalty_api_json(call, edit->drafted ? 200 : 201,
                         loyalty_program_to_json(edit->program));
        result = loyalty_api_edit_commit(call, edit);
    }

    return result;
}

loyalty_store_result_t
loyalty_api_put_draft(loyalty_api_call_t *call)
{
    loyalty_store_result_t result;
    loyalty_api_edit_t edit;

    result = loyalty_api_edit_open(call, &edit, true);

    if (result == LOYALTY_STORE_OK && edit.document == NULL) {
        loyalty_api_not_found(call, "site");
    } else if (result == LOYALTY_STORE_OK && is_of_this_site(call)
               && !(edit.drafted && loyalty_api_refuses_any(call))
               && loyalty_api_edit_matches(call, &edit)
               && read_base(call, &edit)) {
        result = write_draft(call, &edit);
    }

    loyalty_api_edit_end(&edit);

    return result;
}

loyalty_store_result_t
loyalty_api_delete_draft(loyalty_api_call_t *call)
{
    loyalty_store_result_t result;
    loyalty_api_edit_t edit;

    if (open_draft(call, &edit, &result)
        && loyalty_api_edit_matches(call, &edit)) {
        loyalty_commands_reset(&call->session->commands);
        loyalty_command(&call->session->commands, "MULTI", 1);
        loyalty_api_command(call, "DEL", "dr", loyalty_str_null, 0);
        loyalty_api_no_content(call);
        result = loyalty_api_commit(call);
    }

    loyalty_api_edit_end(&edit);

    return result;
}

loyalty_store_result_t
loyalty_api_publish_draft(loyalty_api_call_t *call)
{
    loyalty_store_result_t result;
    loyalty_api_edit_t edit;
    json_t *draft;

    if (open_draft(call, &edit, &result)
        && loyalty_api_edit_matches(call, &edit)) {

        if (edit.base != edit.version) {
            loyalty_api_error(call, 409, "stale_draft",
                              "the draft was made from version %lld, the "
                              "program has %lld: put it again, with that one",
                              (long long)edit.base, (long long)edit.version);
        } else {
            draft = json_incref(edit.document);
            result = put_live(call, &edit, draft, true);
            json_decref(draft);
        }
    }

    loyalty_api_edit_end(&edit);

    return result;
}
