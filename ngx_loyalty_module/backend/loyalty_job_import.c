/*
 * Members from a file: each element of jf is a block of at most
 * LOYALTY_MEMBER_CHANGE_MAX records, behind the number of its first line; the
 * cursor counts blocks.
 *
 * A record makes or changes the member it names.  One that says nothing new
 * changes nothing, so that a file may be imported twice.
 */

#include <stdio.h>

#include "loyalty_csv.h"
#include "loyalty_job_kinds.h"
#include "loyalty_member_edit.h"
#include "loyalty_member_row.h"

typedef struct {
    size_t line;
    json_t *fields;
    const char *code; /* what is wrong with it, or NULL */
    const char *message;
    size_t slot;
} record_t;

typedef struct {
    record_t records[LOYALTY_MEMBER_CHANGE_MAX];
    size_t n;
    loyalty_str_t ids[LOYALTY_MEMBER_CHANGE_MAX];
    size_t nids;
    int64_t block;
} import_t;

static void
refuse(record_t *record, const char *code, const char *message)
{
    record->code = code;
    record->message = message;
}

static void
read_csv(loyalty_job_t *job, loyalty_str_t text, record_t *record)
{
    json_t *columns = json_object_get(job->params, "columns");
    loyalty_str_t *cells;
    size_t n;

    if (loyalty_csv_cells(text, job->arena, &cells, &n) != LOYALTY_OK) {
        refuse(record, "invalid_csv", "the quotes are not closed, or stand "
               "where none may");
        return;
    }

    record->fields = loyalty_row_fields(columns, cells, n);
    if (record->fields == NULL) {
        refuse(record, "invalid_csv", "there are more cells than columns");
    }
}

static void
read_json(loyalty_str_t text, record_t *record)
{
    record->fields = json_loadb(text.data, text.len, JSON_REJECT_DUPLICATES,
                                NULL);
    if (!json_is_object(record->fields)) {
        refuse(record, "invalid_json", "the line is not a JSON object");
    }
}

/* The record's member, each id once. */
static void
name_member(import_t *import, record_t *record)
{
    const json_t *value = json_object_get(record->fields, "id");
    loyalty_str_t id = {json_string_value(value), json_string_length(value)};
    size_t i;

    if (loyalty_member_id_check(id) != LOYALTY_OK) {
        refuse(record, "invalid", "/id: must be 1 to 128 bytes without "
               "control characters");
        return;
    }

    for (i = 0; i < import->nids; i++) {
        if (loyalty_str_eq(import->ids[i], id)) {
            break;
        }
    }

    if (i == import->nids) {
        import->ids[import->nids++] = id;
    }
    record->slot = i;
}

/* "LINE\n" and the records. */
static bool
read_block(loyalty_job_t *job, import_t *import, loyalty_str_t block)
{
    const char *format = json_string_value(json_object_get(job->params,
                                                           "format"));
    bool csv = format != NULL && strcmp(format, "csv") == 0;
    const char *end = memchr(block.data, '\n', block.len);
    size_t offset, lines = 1;
    loyalty_str_t text;
    record_t *record;
    int64_t line;

    if (end == NULL
        || !loyalty_str_int((loyalty_str_t){block.data,
                                            (size_t)(end - block.data)},
                            &line)) {
        return false;
    }

    offset = (size_t)(end - block.data) + 1;

    for (;; line += (int64_t)lines) {
        if (csv) {
            if (!loyalty_csv_record(block, &offset, &text, &lines)) {
                return true;
            }
        } else if (!loyalty_csv_line(block, &offset, &text)) {
            return true;
        }

        if (text.len == 0) {
            continue;
        }
        if (import->n == LOYALTY_MEMBER_CHANGE_MAX) {
            return false;
        }

        record = &import->records[import->n++];
        record->line = (size_t)line;
        if (csv) {
            read_csv(job, text, record);
        } else {
            read_json(text, record);
        }
        if (record->code == NULL) {
            name_member(import, record);
        }
    }
}

/* Do both say the same, but for the version? */
static bool
is_same(const loyalty_member_t *a, const loyalty_member_t *b,
        loyalty_arena_t *arena)
{
    loyalty_member_t other = *b;
    loyalty_str_t left, right;

    other.version = a->version;

    return loyalty_member_encode(a, arena, &left) == LOYALTY_OK
           && loyalty_member_encode(&other, arena, &right) == LOYALTY_OK
           && loyalty_str_eq(left, right);
}

static void
fail(loyalty_job_t *job, const record_t *record, const char *code,
     const char *message)
{
    char line[24];

    snprintf(line, sizeof(line), "line %zu", record->line);
    loyalty_job_failure(job, loyalty_str_from(line), code, message);
}

static void
fail_problem(loyalty_job_t *job, const record_t *record,
             const loyalty_problems_t *problems)
{
    const loyalty_problem_t *first = &problems->list[0];
    char message[1024];

    snprintf(message, sizeof(message), "%.*s: %.*s", (int)first->pointer.len,
             first->pointer.data, (int)first->message.len,
             first->message.data);
    fail(job, record, "invalid", message);
}

/* The status that a file names must be one of the program's. */
static bool
has_status(const loyalty_job_t *job, const loyalty_member_t *member)
{
    return member->manual_tier.len == 0
           || loyalty_program_tier(job->program, member->manual_tier) != NULL;
}

/* One balance a member brings along, for {"opening":{"points","credits"}}; its
 * entry is written here, for the slot has room for one set of effects. */
static loyalty_status_t
open_balance(loyalty_job_t *job, loyalty_member_change_t *change,
             loyalty_member_t *member, const json_t *opening, bool credits)
{
    loyalty_member_writer_t writer = {.scope = &change->scope,
                                      .program = change->program,
                                      .arena = &change->arena,
                                      .commands = &change->writes};
    loyalty_grant_t grant = {
        .credits = credits,
        .id = loyalty_str("opening"),
        .starts_at = LOYALTY_UNKNOWN,
        .expires_at = LOYALTY_NEVER,
        .earned = !credits,
        .cause = {.at = job->now, .by = job->by,
                  .reason = loyalty_str("opening balance")},
    };
    const json_t *amount = json_object_get(opening,
                                           credits ? "credits" : "points");
    loyalty_effects_t effects;
    loyalty_status_t status;

    if (amount == NULL) {
        return LOYALTY_OK;
    }

    grant.amount = json_integer_value(amount);
    if (grant.amount <= 0
        || grant.amount > (credits ? LOYALTY_AMOUNT_MAX : LOYALTY_POINTS_MAX)) {
        return LOYALTY_ERROR_INVALID;
    }

    status = loyalty_member_grant(member, job->program, &grant,
                                  &change->arena, &effects);
    if (status == LOYALTY_OK) {
        loyalty_member_write_effects(&writer, member->id, &effects);
    }

    return status;
}

/* Only of a member whom the import makes, so that it can be done twice. */
static loyalty_status_t
open_balances(loyalty_job_t *job, loyalty_member_change_t *change,
              loyalty_member_t *member, const json_t *opening)
{
    loyalty_commands_t mark = change->writes;
    loyalty_status_t status;

    status = opening == NULL || json_is_object(opening)
                 ? open_balance(job, change, member, opening, false)
                 : LOYALTY_ERROR_INVALID;
    if (status == LOYALTY_OK) {
        status = open_balance(job, change, member, opening, true);
    }
    if (status != LOYALTY_OK) {
        loyalty_commands_cut(&change->writes, &mark);
    }

    return status;
}

static loyalty_store_result_t
apply(loyalty_job_t *job, loyalty_member_change_t *change,
      const record_t *record)
{
    loyalty_member_slot_t *slot = &change->list[record->slot];
    bool fresh = slot->fresh && !slot->changed;
    loyalty_member_t member = slot->member;
    loyalty_problems_t problems;
    loyalty_status_t status, opened = LOYALTY_OK;
    json_t *fields;

    if (slot->corrupt) {
        fail(job, record, "corrupt", "the stored record cannot be read");
        return LOYALTY_STORE_OK;
    }

    if (fresh) {
        member.registered = true;
        member.signed_up_at = job->created_at;
    }

    loyalty_problems_init(&problems, &change->arena);
    fields = json_copy(record->fields);
    json_object_del(fields, "opening");
    status = loyalty_member_edit(&member, fields, &change->arena, &problems);
    json_decref(fields);

    if (status == LOYALTY_OK && fresh && has_status(job, &member)) {
        opened = open_balances(job, change, &member,
                               json_object_get(record->fields, "opening"));
    }

    if (status == LOYALTY_ERROR_MEMORY || opened == LOYALTY_ERROR_MEMORY) {
        return LOYALTY_STORE_MEMORY;
    }

    if (opened != LOYALTY_OK) {
        fail(job, record, "invalid", "/opening: must have points and credits "
             "above 0");
    } else if (status == LOYALTY_ERROR_REFUSED) {
        fail(job, record, "deleted", "the member is deleted");
    } else if (status != LOYALTY_OK) {
        fail_problem(job, record, &problems);
    } else if (!has_status(job, &member)) {
        fail(job, record, "invalid", "/manual_status: must be the id of a "
             "status");
    } else if (!fresh && is_same(&slot->member, &member, &change->arena)) {
        loyalty_job_count(job, "unchanged");
    } else {
        if (job->program->settings.active) {
            loyalty_member_retier(&member, job->program, job->now);
        }
        slot->effects.tier_from = slot->before.tier;
        slot->effects.tier_to = member.tier;
        slot->member = member;
        slot->changed = true;
        loyalty_job_count(job, fresh ? "created" : "updated");
    }

    return LOYALTY_STORE_OK;
}

static loyalty_store_result_t
decide(loyalty_member_change_t *change, void *data)
{
    loyalty_job_t *job = data;
    import_t *import = job->data;
    loyalty_store_result_t result = LOYALTY_STORE_OK;
    char cursor[24];
    record_t *record;
    size_t i;

    for (i = 0; i < import->n && result == LOYALTY_STORE_OK; i++) {
        record = &import->records[i];
        if (record->code != NULL) {
            fail(job, record, record->code, record->message);
        } else {
            result = apply(job, change, record);
        }
        job->next.done++;
    }

    snprintf(cursor, sizeof(cursor), "%lld", (long long)import->block + 1);
    if (loyalty_str_copy(job->arena, loyalty_str_from(cursor),
                         &job->next.cursor) != LOYALTY_OK) {
        return LOYALTY_STORE_MEMORY;
    }

    job->next.finished =
        import->block + 1
        >= json_integer_value(json_object_get(job->params, "blocks"));
    if (job->next.finished) {
        loyalty_command(&change->writes, "DEL", 2);
        loyalty_arg_key(&change->writes, &job->scope, "jf", job->id);
    }

    return result;
}

static loyalty_store_result_t
read_file(loyalty_job_t *job, int64_t block, loyalty_replies_t *replies)
{
    loyalty_store_result_t result;
    loyalty_commands_t commands;

    loyalty_commands_init(&commands);
    loyalty_command(&commands, "LINDEX", 3);
    loyalty_arg_key(&commands, &job->scope, "jf", job->id);
    loyalty_arg_int(&commands, block);
    result = loyalty_store_call(job->store, job->scope.site, &commands,
                                replies);
    loyalty_commands_free(&commands);

    return result;
}

static loyalty_store_result_t
step(loyalty_job_t *job)
{
    import_t *import = loyalty_alloc(job->arena, sizeof(*import));
    loyalty_store_result_t result;
    loyalty_replies_t replies;
    loyalty_str_t block;
    size_t i;

    if (import == NULL) {
        return LOYALTY_STORE_MEMORY;
    }

    job->data = import;
    if (job->was.cursor.len != 0
        && !loyalty_str_int(job->was.cursor, &import->block)) {
        return LOYALTY_STORE_MALFORMED;
    }

    loyalty_replies_init(&replies);
    result = read_file(job, import->block, &replies);

    if (result == LOYALTY_STORE_OK) {
        if (!loyalty_reply_str(replies.list[0], &block) || block.data == NULL
            || !read_block(job, import, block)) {
            result = LOYALTY_STORE_MALFORMED;
        } else {
            result = loyalty_job_change(job, import->ids, import->nids, NULL,
                                        decide);
        }
    }

    for (i = 0; i < import->n; i++) {
        json_decref(import->records[i].fields);
    }
    loyalty_replies_free(&replies);

    return result;
}

const loyalty_job_kind_t loyalty_job_import = {"import", step};
