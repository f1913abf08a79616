/*
 * Making a group and taking it apart.
 *
 *   group    scan mi, filter as of the job's creation: ZADD gm, and the
 *            member joins; at the end the count is frozen
 *   ungroup  scan jm, which was gm: the member leaves
 */

#include "loyalty_group.h"
#include "loyalty_job_kinds.h"
#include "loyalty_member_edit.h"
#include "loyalty_personal.h"
#include "loyalty_recipients.h"

#include <stdlib.h>

static loyalty_str_t
group_of(const loyalty_job_t *job)
{
    json_t *id = json_object_get(job->params, "group");

    return (loyalty_str_t){json_string_value(id), json_string_length(id)};
}

static loyalty_status_t
join(loyalty_job_t *job, loyalty_member_slot_t *slot,
     loyalty_member_change_t *change)
{
    loyalty_str_t group = group_of(job);
    loyalty_status_t rc;

    rc = loyalty_member_join(&slot->member, group, &change->arena);
    if (rc != LOYALTY_OK) {
        return rc;
    }

    slot->changed = true;
    loyalty_job_count(job, "members");
    loyalty_command(&change->writes, "ZADD", 4);
    loyalty_arg_key(&change->writes, &job->scope, "gm", group);
    loyalty_arg_int(&change->writes, 0);
    loyalty_arg(&change->writes, slot->id);

    return LOYALTY_OK;
}

static loyalty_status_t
leave(loyalty_job_t *job, loyalty_member_slot_t *slot,
      loyalty_member_change_t *change)
{
    (void)change;

    slot->changed = loyalty_member_leave(&slot->member, group_of(job));

    return LOYALTY_OK;
}

static void
freeze(loyalty_job_t *job, loyalty_commands_t *writes)
{
    json_t *members = json_object_get(loyalty_job_result(job), "members");
    json_t *filter = loyalty_impersonal(json_object_get(job->params,
                                                        "filter"));
    char *text = json_dumps(filter, JSON_COMPACT | JSON_ENCODE_ANY);

    loyalty_command(writes, "HSET", 6);
    loyalty_arg_key(writes, &job->scope, "g", group_of(job));
    loyalty_arg_text(writes, "count");
    loyalty_arg_int(writes, json_integer_value(members));
    loyalty_arg_text(writes, "filter");
    loyalty_arg_text(writes, text != NULL ? text : "null");
    free(text);
    json_decref(filter);
}

static loyalty_store_result_t
make(loyalty_job_t *job)
{
    job->finish = freeze;

    return loyalty_recipients_scan(job, join, NULL);
}

static loyalty_store_result_t
take_apart(loyalty_job_t *job)
{
    return loyalty_recipients_scan(job, leave, NULL);
}

const loyalty_job_kind_t loyalty_job_group = {"group", make};
const loyalty_job_kind_t loyalty_job_ungroup = {"ungroup", take_apart};
