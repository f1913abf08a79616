/*
 * Members into a file: a line each, in jf; the deleted are left out.
 */

#include <stdlib.h>

#include "loyalty_filter.h"
#include "loyalty_job_kinds.h"
#include "loyalty_member_row.h"

typedef struct {
    loyalty_filter_t *filter; /* or NULL */
    bool csv;
} export_t;

static char *
line_of(const loyalty_job_t *job, const loyalty_member_t *member, bool csv)
{
    json_t *json = loyalty_member_to_json(member, job->program, job->now);
    char *line, *more;
    size_t len;

    if (csv) {
        line = loyalty_row_csv(json);
    } else {
        line = json_dumps(json, JSON_COMPACT);
        len = line != NULL ? strlen(line) : 0;
        more = line != NULL ? realloc(line, len + 2) : NULL;
        if (more == NULL) {
            free(line);
        } else {
            memcpy(more + len, "\n", 2);
        }
        line = more;
    }

    json_decref(json);

    return line;
}

static loyalty_status_t
write_line(loyalty_job_t *job, loyalty_member_slot_t *slot,
           loyalty_member_change_t *change)
{
    const export_t *export = job->data;
    char *line;

    if (slot->fresh || slot->member.deleted_at != LOYALTY_UNKNOWN
        || (export->filter != NULL
            && !loyalty_filter_matches(export->filter, &slot->member,
                                       job->program, job->created_at))) {
        return LOYALTY_OK;
    }

    line = line_of(job, &slot->member, export->csv);
    if (line == NULL) {
        return LOYALTY_ERROR_MEMORY;
    }

    loyalty_command(&change->writes, "RPUSH", 3);
    loyalty_arg_key(&change->writes, &job->scope, "jf", job->id);
    loyalty_arg_text(&change->writes, line);
    loyalty_job_count(job, "exported");
    free(line);

    return LOYALTY_OK;
}

static loyalty_store_result_t
step(loyalty_job_t *job)
{
    const char *format = json_string_value(json_object_get(job->params,
                                                           "format"));
    const char *group = json_string_value(json_object_get(job->params,
                                                          "group"));
    json_t *filter = json_object_get(job->params, "filter");
    loyalty_problems_t problems;
    export_t export = {.csv = format != NULL && strcmp(format, "csv") == 0};

    loyalty_problems_init(&problems, job->arena);
    if (filter != NULL
        && loyalty_filter_compile(filter, job->arena, &problems,
                                  &export.filter) != LOYALTY_OK) {
        return LOYALTY_STORE_MALFORMED;
    }

    job->data = &export;

    /* A group's members were copied, it may be deleted meanwhile. */
    return group != NULL ? loyalty_job_scan(job, "jm", job->id, write_line)
                         : loyalty_job_scan(job, "mi", loyalty_str_null,
                                            write_line);
}

const loyalty_job_kind_t loyalty_job_export = {"export", step};
