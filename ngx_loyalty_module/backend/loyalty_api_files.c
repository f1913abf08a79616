/*
 * Members by files: an import is taken in blocks of records into the job's
 * jf, an export is handed out from it.
 */

#include <stdio.h>
#include <stdlib.h>

#include "loyalty_api_route.h"
#include "loyalty_csv.h"
#include "loyalty_filter.h"
#include "loyalty_job.h"
#include "loyalty_member_row.h"
#include "loyalty_recipients.h"

/* Lines of one piece of an answer. */
#define PIECE_LINES 500

#define BOM "\xef\xbb\xbf"

/* The names in a CSV's first record; false: the error is written. */
static bool
take_columns(loyalty_api_call_t *call, loyalty_str_t record, json_t *params)
{
    json_t *columns = json_array(), *seen = json_object();
    loyalty_str_t *cells;
    bool id = false, ok;
    size_t i, n = 0;
    json_t *name;

    ok = loyalty_csv_cells(record, call->arena, &cells, &n) == LOYALTY_OK;
    if (!ok) {
        loyalty_api_error(call, 422, "invalid_header",
                          "the first line has to name the columns");
    }

    for (i = 0; ok && i < n; i++) {
        name = json_stringn(cells[i].data, cells[i].len);
        ok = name != NULL && loyalty_row_column(cells[i])
             && json_object_get(seen, json_string_value(name)) == NULL;
        if (ok) {
            id = id || loyalty_str_eq(cells[i], loyalty_str("id"));
            json_object_set_new(seen, json_string_value(name), json_true());
            json_array_append(columns, name);
        } else {
            loyalty_api_error(call, 422, "invalid_header",
                              "column %zu is none that a member has, or there "
                              "twice", i + 1);
        }
        json_decref(name);
    }

    if (ok && !id) {
        ok = false;
        loyalty_api_error(call, 422, "invalid_header",
                          "one column has to be \"id\"");
    }

    json_object_set_new(params, "columns", columns);
    json_decref(seen);

    return ok;
}

typedef struct {
    loyalty_str_t body;
    size_t offset;
    size_t line;
    bool csv;
} reader_t;

static bool
next_record(reader_t *reader, loyalty_str_t *record)
{
    size_t lines = 1;
    bool more;

    more = reader->csv ? loyalty_csv_record(reader->body, &reader->offset,
                                            record, &lines)
                       : loyalty_csv_line(reader->body, &reader->offset,
                                          record);
    reader->line += lines;

    return more;
}

/* RPUSH of one block; false: there is none left. */
static bool
write_block(loyalty_api_call_t *call, loyalty_str_t job, reader_t *reader,
            int64_t *total)
{
    size_t begin = reader->offset, line = reader->line, n = 0, len;
    loyalty_str_t record;
    char number[24], *block;

    while (n < LOYALTY_MEMBER_CHANGE_MAX && next_record(reader, &record)) {
        n += record.len != 0;
    }

    if (n == 0) {
        return false;
    }

    *total += (int64_t)n;
    len = (size_t)snprintf(number, sizeof(number), "%zu\n", line);
    block = loyalty_alloc(call->arena, len + reader->offset - begin);
    if (block == NULL) {
        call->session->commands.failed = true;
        return false;
    }

    memcpy(block, number, len);
    memcpy(block + len, reader->body.data + begin, reader->offset - begin);
    loyalty_api_command(call, "RPUSH", "jf", job, 1);
    loyalty_arg(&call->session->commands,
                (loyalty_str_t){block, len + reader->offset - begin});

    return true;
}

static loyalty_store_result_t
import_members(loyalty_api_call_t *call, reader_t *reader, json_t *params)
{
    char id[LOYALTY_JOB_ID_SIZE];
    int64_t total = 0, blocks = 0;

    if (!loyalty_job_id(id)) {
        return LOYALTY_STORE_MEMORY;
    }

    loyalty_commands_reset(&call->session->commands);
    loyalty_command(&call->session->commands, "MULTI", 1);
    while (write_block(call, loyalty_str_from(id), reader, &total)) {
        blocks++;
    }

    if (blocks == 0) {
        loyalty_api_error(call, 422, "empty", "there is no record");
        return LOYALTY_STORE_OK;
    }

    json_object_set_new(params, "blocks", json_integer(blocks));

    return loyalty_api_create_job(call, "import", loyalty_str_from(id), params,
                                  total);
}

loyalty_store_result_t
loyalty_api_import(loyalty_api_call_t *call)
{
    reader_t reader = {.body = call->request->body, .line = 1};
    const loyalty_program_t *program;
    loyalty_store_result_t result;
    loyalty_str_t record;
    json_t *params;

    reader.csv = loyalty_api_is_type(call, "text/csv");
    if (!reader.csv && !loyalty_api_is_type(call, "application/x-ndjson")
        && !loyalty_api_is_type(call, "application/ndjson")) {
        loyalty_api_error(call, 415, "unsupported_media_type",
                          "send text/csv or application/x-ndjson");
        return LOYALTY_STORE_OK;
    }

    result = loyalty_api_program(call, &program);
    if (result != LOYALTY_STORE_OK || program == NULL) {
        return result;
    }

    if (reader.body.len >= sizeof(BOM) - 1
        && memcmp(reader.body.data, BOM, sizeof(BOM) - 1) == 0) {
        reader.offset = sizeof(BOM) - 1;
    }

    params = json_pack("{s:s}", "format", reader.csv ? "csv" : "ndjson");
    if (!reader.csv) {
        result = import_members(call, &reader, params);
    } else if (!next_record(&reader, &record)) {
        loyalty_api_error(call, 422, "empty", "there is no record");
    } else if (take_columns(call, record, params)) {
        result = import_members(call, &reader, params);
    }
    json_decref(params);

    return result;
}

/* {"format","bom","filter"} into the params; false: the error is written. */
static bool
check_export(loyalty_api_call_t *call, loyalty_str_t group, json_t *params)
{
    json_t *format = json_object_get(call->body, "format");
    json_t *filter = json_object_get(call->body, "filter");
    json_t *bom = json_object_get(call->body, "bom");
    const char *name = json_string_value(format);
    loyalty_problems_t problems;
    loyalty_filter_t *compiled;

    if (name == NULL
        || (strcmp(name, "csv") != 0 && strcmp(name, "ndjson") != 0)) {
        loyalty_api_problem(call, "/format", "must be csv or ndjson");
        return false;
    }

    if (bom != NULL && !json_is_boolean(bom)) {
        loyalty_api_problem(call, "/bom", "must be true or false");
        return false;
    }

    json_object_set(params, "format", format);
    if (group.len != 0) {
        json_object_set_new(params, "group",
                            json_stringn(group.data, group.len));
    }

    if (filter == NULL) {
        return true;
    }

    if (group.len != 0) {
        loyalty_api_problem(call, "/filter", "a group has no second filter");
        return false;
    }

    loyalty_problems_init(&problems, call->arena);
    if (loyalty_filter_compile(filter, call->arena, &problems, &compiled)
        == LOYALTY_OK) {
        json_object_set(params, "filter", filter);
        return true;
    }

    loyalty_api_problems(call, 422, "invalid", "the filter is not valid",
                         problems.list, problems.count, "");
    return false;
}

loyalty_store_result_t
loyalty_api_export_group(loyalty_api_call_t *call, loyalty_str_t group)
{
    loyalty_store_result_t result;
    char id[LOYALTY_JOB_ID_SIZE], *head;
    json_t *params = json_object();

    if (!check_export(call, group, params)) {
        json_decref(params);
        return LOYALTY_STORE_OK;
    }

    head = loyalty_row_head(json_is_true(json_object_get(call->body, "bom")));
    if (head == NULL || !loyalty_job_id(id)) {
        result = LOYALTY_STORE_MEMORY;
    } else {
        loyalty_commands_reset(&call->session->commands);
        loyalty_command(&call->session->commands, "MULTI", 1);
        if (strcmp(json_string_value(json_object_get(params, "format")),
                   "csv") == 0) {
            loyalty_api_command(call, "RPUSH", "jf", loyalty_str_from(id), 1);
            loyalty_arg_text(&call->session->commands, head);
        }
        if (group.len != 0) {
            loyalty_recipients_write(call, group, loyalty_str_from(id));
        }
        result = loyalty_api_create_job(call, "export", loyalty_str_from(id),
                                        params, -1);
    }

    free(head);
    json_decref(params);

    return result;
}

loyalty_store_result_t
loyalty_api_export(loyalty_api_call_t *call)
{
    const loyalty_program_t *program;
    loyalty_store_result_t result = loyalty_api_program(call, &program);

    return result == LOYALTY_STORE_OK && program != NULL
               ? loyalty_api_export_group(call, loyalty_str_null) : result;
}

/* Files go before their jobs do: in time, or with an erased member.  There is
 * none either where nothing was to be written. */
static bool
is_gone(const loyalty_api_call_t *call, const redisReply *length,
        const json_t *job, bool csv)
{
    const json_t *exported =
        json_object_get(json_object_get(job, "result"), "exported");
    int64_t n;

    return loyalty_reply_int(length, &n) && n == 0
           && (csv || call->request->offset != 0
               || json_integer_value(exported) != 0);
}

/* The lines of a reply as the answer's next piece. */
static loyalty_store_result_t
show_lines(loyalty_api_call_t *call, const redisReply *list, bool csv)
{
    loyalty_api_response_t *response = call->response;
    loyalty_str_t line;
    size_t i, len = 0;
    char *body;

    for (i = 0; i < list->elements; i++) {
        if (!loyalty_reply_str(list->element[i], &line)) {
            return LOYALTY_STORE_MALFORMED;
        }
        len += line.len;
    }

    body = malloc(len + 1);
    if (body == NULL) {
        return LOYALTY_STORE_MEMORY;
    }

    for (i = 0, len = 0; i < list->elements; i++) {
        loyalty_reply_str(list->element[i], &line);
        memcpy(body + len, line.data, line.len);
        len += line.len;
    }

    response->status = 200;
    response->content_type = csv ? "text/csv; charset=utf-8"
                                 : "application/x-ndjson";
    response->body = body;
    response->len = len;
    response->offset = list->elements == PIECE_LINES
                           ? call->request->offset + PIECE_LINES : 0;

    return LOYALTY_STORE_OK;
}

/* What an export has written, once it is done and as long as it is kept. */
loyalty_store_result_t
loyalty_api_job_file(loyalty_api_call_t *call)
{
    loyalty_commands_t *commands = &call->session->commands;
    loyalty_str_t id = call->segments[3];
    loyalty_store_result_t result;
    loyalty_replies_t replies;
    const char *state, *kind, *format;
    json_t *json = NULL;
    bool csv;

    if (id.len >= LOYALTY_JOB_ID_SIZE) {
        loyalty_api_not_found(call, "job");
        return LOYALTY_STORE_OK;
    }

    loyalty_commands_reset(commands);
    loyalty_job_command(&call->scope, id, commands);
    loyalty_api_command(call, "LRANGE", "jf", id, 2);
    loyalty_arg_int(commands, (int64_t)call->request->offset);
    loyalty_arg_int(commands,
                    (int64_t)call->request->offset + PIECE_LINES - 1);
    loyalty_api_command(call, "LLEN", "jf", id, 0);
    loyalty_replies_init(&replies);
    result = loyalty_api_read(call, &replies);

    if (result == LOYALTY_STORE_OK) {
        json = loyalty_job_to_json(id, replies.list[0]);
        kind = json_string_value(json_object_get(json, "kind"));
        state = json_string_value(json_object_get(json, "state"));

        if (kind == NULL || strcmp(kind, "export") != 0) {
            loyalty_api_not_found(call, "file");
        } else if (strcmp(state, "done") != 0) {
            loyalty_api_error(call, 409, "not_done", "the job is %s", state);
        } else if (replies.list[1]->type != REDIS_REPLY_ARRAY) {
            result = LOYALTY_STORE_MALFORMED;
        } else {
            format = json_string_value(json_object_get(
                json_object_get(json, "params"), "format"));
            csv = format != NULL && strcmp(format, "csv") == 0;
            if (is_gone(call, replies.list[2], json, csv)) {
                loyalty_api_not_found(call, "file");
            } else {
                result = show_lines(call, replies.list[1], csv);
            }
        }
    }

    json_decref(json);
    loyalty_replies_free(&replies);

    return result;
}
