/*
 * Statuses (DOMAIN.md section 5).  Every change is a new program; what a
 * status may be is core/'s to say.
 */

#include "loyalty_api_program.h"

#include <stdio.h>

/* A reference of its own to the statuses with their defaults. */
static json_t *
shown_statuses(const loyalty_program_t *program)
{
    json_t *all = loyalty_program_to_json(program), *list;

    list = json_incref(json_object_get(all, "statuses"));
    json_decref(all);

    return list;
}

/* The index of the status of that id, or the number of statuses. */
static size_t
find_status(const json_t *list, loyalty_str_t id)
{
    json_t *status;
    const char *text;
    size_t i;

    json_array_foreach(list, i, status) {
        text = json_string_value(json_object_get(status, "id"));
        if (text != NULL && loyalty_str_eq(loyalty_str_from(text), id)) {
            return i;
        }
    }

    return json_array_size(list);
}

/* Answers with the status as the checked program has it, and writes. */
static loyalty_store_result_t
write_status(loyalty_api_call_t *call, loyalty_api_edit_t *edit,
             loyalty_str_t id, int status)
{
    json_t *list = shown_statuses(edit->program);

    loyalty_api_json(call, status,
                     json_incref(json_array_get(list,
                                                find_status(list, id))));
    json_decref(list);
    loyalty_api_etag(call, edit->program->version);

    return loyalty_api_edit_commit(call, edit);
}

loyalty_store_result_t
loyalty_api_list_statuses(loyalty_api_call_t *call)
{
    const loyalty_program_t *program;
    loyalty_store_result_t result;

    result = loyalty_api_program(call, &program);
    if (result == LOYALTY_STORE_OK && program != NULL) {
        loyalty_api_json(call, 200,
                         json_pack("{s:o}", "statuses",
                                   shown_statuses(program)));
        loyalty_api_etag(call, program->version);
    }

    return result;
}

loyalty_store_result_t
loyalty_api_get_status(loyalty_api_call_t *call)
{
    const loyalty_program_t *program;
    loyalty_store_result_t result;
    json_t *list, *status;

    result = loyalty_api_program(call, &program);
    if (result != LOYALTY_STORE_OK || program == NULL) {
        return result;
    }

    list = shown_statuses(program);
    status = json_array_get(list, find_status(list, call->segments[3]));

    if (status != NULL) {
        loyalty_api_json(call, 200, json_incref(status));
        loyalty_api_etag(call, program->version);
    } else {
        loyalty_api_not_found(call, "status");
    }

    json_decref(list);

    return result;
}

/* Begins an edit of a site that exists; *list is the document's own array of
 * statuses, defaults written out.  NULL: the response is written. */
static loyalty_store_result_t
begin(loyalty_api_call_t *call, loyalty_api_edit_t *edit, json_t **list)
{
    loyalty_store_result_t result = loyalty_api_edit_begin(call, edit);

    *list = NULL;

    if (result != LOYALTY_STORE_OK) {
        return result;
    }

    if (edit->document == NULL) {
        loyalty_api_not_found(call, "site");
        return result;
    }

    if (!loyalty_api_edit_matches(call, edit)) {
        return result;
    }

    *list = shown_statuses(edit->program);
    if (*list == NULL
        || json_object_set_new(edit->document, "statuses", *list) != 0) {
        *list = NULL;
        return LOYALTY_STORE_MEMORY;
    }

    return result;
}

static loyalty_store_result_t
create(loyalty_api_call_t *call, loyalty_api_edit_t *edit, json_t *list)
{
    const char *id = json_string_value(json_object_get(call->body, "id"));
    char prefix[64];

    if (id != NULL
        && find_status(list, loyalty_str_from(id)) < json_array_size(list)) {
        loyalty_api_error(call, 409, "exists", "there is a status \"%s\"", id);
        return LOYALTY_STORE_OK;
    }

    snprintf(prefix, sizeof(prefix), "/statuses/%zu", json_array_size(list));
    json_array_append(list, call->body);

    if (!loyalty_api_edit_check(call, edit, prefix)) {
        return LOYALTY_STORE_OK;
    }

    return write_status(call, edit, loyalty_str_from(id), 201);
}

loyalty_store_result_t
loyalty_api_create_status(loyalty_api_call_t *call)
{
    loyalty_store_result_t result;
    loyalty_api_edit_t edit;
    json_t *list;

    result = begin(call, &edit, &list);
    if (list != NULL) {
        result = create(call, &edit, list);
    }

    loyalty_api_edit_end(&edit);

    return result;
}

static loyalty_store_result_t
replace(loyalty_api_call_t *call, loyalty_api_edit_t *edit, json_t *list)
{
    size_t index = find_status(list, call->segments[3]);
    json_t *id = json_object_get(call->body, "id"), *status;
    char prefix[64];

    if (index == json_array_size(list)) {
        loyalty_api_not_found(call, "status");
        return LOYALTY_STORE_OK;
    }

    if (id != NULL
        && (!json_is_string(id)
            || !loyalty_str_eq(loyalty_str_from(json_string_value(id)),
                               call->segments[3]))) {
        loyalty_api_problem(call, "/id", "a status keeps its id");
        return LOYALTY_STORE_OK;
    }

    status = json_copy(call->body);
    json_object_set_new(status, "id", json_stringn(call->segments[3].data,
                                                   call->segments[3].len));
    json_array_set_new(list, index, status);
    snprintf(prefix, sizeof(prefix), "/statuses/%zu", index);

    if (!loyalty_api_edit_check(call, edit, prefix)) {
        return LOYALTY_STORE_OK;
    }

    return write_status(call, edit, call->segments[3], 200);
}

loyalty_store_result_t
loyalty_api_put_status(loyalty_api_call_t *call)
{
    loyalty_store_result_t result;
    loyalty_api_edit_t edit;
    json_t *list;

    result = begin(call, &edit, &list);
    if (list != NULL) {
        result = replace(call, &edit, list);
    }

    loyalty_api_edit_end(&edit);

    return result;
}

loyalty_store_result_t
loyalty_api_delete_status(loyalty_api_call_t *call)
{
    loyalty_store_result_t result;
    loyalty_api_edit_t edit;
    json_t *list;
    size_t index;

    result = begin(call, &edit, &list);

    if (list != NULL) {
        index = find_status(list, call->segments[3]);

        if (index == json_array_size(list)) {
            loyalty_api_not_found(call, "status");
        } else {
            json_array_remove(list, index);
            if (loyalty_api_edit_check(call, &edit, "")) {
                loyalty_api_no_content(call);
                result = loyalty_api_edit_commit(call, &edit);
            }
        }
    }

    loyalty_api_edit_end(&edit);

    return result;
}

/* An id that is free: "gold-copy", "gold-copy-2", ... */
static bool
free_id(const json_t *list, loyalty_str_t from, char *id, size_t size)
{
    int n, len;

    for (n = 1; n <= LOYALTY_PROGRAM_STATUSES_MAX + 1; n++) {
        len = n == 1 ? snprintf(id, size, "%.*s-copy", (int)from.len,
                                from.data)
                     : snprintf(id, size, "%.*s-copy-%d", (int)from.len,
                                from.data, n);
        if (len > LOYALTY_ID_MAX) {
            return false;
        }
        if (find_status(list, loyalty_str_from(id))
            == json_array_size(list)) {
            return true;
        }
    }

    return false;
}

/* A threshold that no other status has: two equal ones are refused. */
static void
raise_threshold(const json_t *list, json_t *copy)
{
    json_t *threshold = json_object_get(copy, "threshold"), *status;
    json_int_t value = json_integer_value(threshold);
    size_t i = 0;

    if (!json_is_integer(threshold)) {
        return;
    }

    while (i < json_array_size(list)) {
        status = json_array_get(list, i);
        if (json_integer_value(json_object_get(status, "threshold"))
            == value) {
            value++;
            i = 0;
        } else {
            i++;
        }
    }

    json_object_set_new(copy, "threshold", json_integer(value));
}

static loyalty_store_result_t
copy(loyalty_api_call_t *call, loyalty_api_edit_t *edit, json_t *list)
{
    size_t index = find_status(list, call->segments[3]);
    char id[LOYALTY_ID_MAX + 32];
    json_t *status;

    if (index == json_array_size(list)) {
        loyalty_api_not_found(call, "status");
        return LOYALTY_STORE_OK;
    }

    if (!free_id(list, call->segments[3], id, sizeof(id))) {
        loyalty_api_error(call, 422, "invalid",
                          "no free id for a copy; create it with one");
        return LOYALTY_STORE_OK;
    }

    status = json_deep_copy(json_array_get(list, index));
    raise_threshold(list, status);
    json_object_set_new(status, "id", json_string(id));
    json_array_append_new(list, status);

    if (!loyalty_api_edit_check(call, edit, "")) {
        return LOYALTY_STORE_OK;
    }

    return write_status(call, edit, loyalty_str_from(id), 201);
}

loyalty_store_result_t
loyalty_api_copy_status(loyalty_api_call_t *call)
{
    loyalty_store_result_t result;
    loyalty_api_edit_t edit;
    json_t *list;

    result = begin(call, &edit, &list);
    if (list != NULL) {
        result = copy(call, &edit, list);
    }

    loyalty_api_edit_end(&edit);

    return result;
}
