/*
 * A member: made, read, changed, deleted.
 */

#include "loyalty_api_erase.h"
#include "loyalty_api_call.h"
#include "loyalty_member_edit.h"

bool
loyalty_api_member_id(loyalty_api_call_t *call, loyalty_str_t *id)
{
    *id = call->segments[3];

    if (loyalty_member_id_check(*id) != LOYALTY_OK) {
        loyalty_api_not_found(call, "member");
        return false;
    }

    return true;
}

loyalty_store_result_t
loyalty_api_read_member(loyalty_api_call_t *call, loyalty_str_t id,
                        loyalty_replies_t *replies, loyalty_member_t *member,
                        bool *found)
{
    loyalty_store_result_t result;
    loyalty_str_t bytes;

    *found = false;
    loyalty_commands_reset(&call->session->commands);
    loyalty_api_command(call, "GET", "m", id, 0);
    result = loyalty_api_read(call, replies);
    if (result != LOYALTY_STORE_OK) {
        return result;
    }

    if (!loyalty_reply_str(replies->list[0], &bytes)) {
        return LOYALTY_STORE_MALFORMED;
    }

    if (bytes.data == NULL) {
        loyalty_member_init(member, id);
        return LOYALTY_STORE_OK;
    }

    *found = true;
    return loyalty_member_decode(bytes, call->arena, member) == LOYALTY_OK
               ? LOYALTY_STORE_OK : LOYALTY_STORE_MALFORMED;
}

loyalty_store_result_t
loyalty_api_load_member(loyalty_api_call_t *call, loyalty_str_t id,
                        const loyalty_commands_t *reads,
                        loyalty_member_slot_t **slot)
{
    loyalty_member_change_t *change = &call->session->change;
    loyalty_store_result_t result;

    *slot = NULL;
    call->session->watching = true;
    change->origin = (loyalty_origin_t){loyalty_str_from(call->who),
                                        loyalty_str("api")};
    result = loyalty_member_load(change, &call->scope, &id, 1, reads);
    if (result != LOYALTY_STORE_OK) {
        return result;
    }

    if (change->program == NULL) {
        loyalty_api_not_found(call, "site");
        return LOYALTY_STORE_OK;
    }

    *slot = &change->list[0];
    return (*slot)->corrupt ? LOYALTY_STORE_MALFORMED : LOYALTY_STORE_OK;
}

void
loyalty_api_begin(loyalty_api_call_t *call)
{
    loyalty_commands_t *commands = &call->session->commands;

    loyalty_commands_reset(commands);
    loyalty_command(commands, "MULTI", 1);
    loyalty_member_change_write(&call->session->change, commands);
}

/* What core/ cannot know: the statuses that there are, and who asks. */
static void
check_body(loyalty_api_call_t *call, const loyalty_member_t *member,
           loyalty_problems_t *problems)
{
    loyalty_member_change_t *change = &call->session->change;
    const json_t *source = json_object_get(call->body, "consent_source");

    if (json_object_get(call->body, "manual_status") != NULL
        && member->manual_tier.len != 0
        && loyalty_program_tier(change->program, member->manual_tier)
               == NULL) {
        loyalty_problem(problems, "/manual_status", "must be the id of a "
                        "status");
    }

    if (source == NULL) {
        return;
    }

    if (!json_is_string(source) || json_string_length(source) == 0
        || json_string_length(source) > LOYALTY_MEMBER_TEXT_MAX) {
        loyalty_problem(problems, "/consent_source", "must be a text of 1 to "
                        "%d bytes", LOYALTY_MEMBER_TEXT_MAX);
        return;
    }

    change->origin.source = (loyalty_str_t){json_string_value(source),
                                            json_string_length(source)};
}

/* Applies the body to the member; false: the response is written. */
static bool
edit_member(loyalty_api_call_t *call, loyalty_member_slot_t *slot)
{
    const loyalty_program_t *program = call->session->change.program;
    loyalty_member_t *member = &slot->member;
    loyalty_problems_t problems;
    loyalty_status_t status;

    loyalty_problems_init(&problems, call->arena);
    status = loyalty_member_edit(member, call->body, call->arena, &problems);

    if (status == LOYALTY_OK || status == LOYALTY_ERROR_INVALID) {
        check_body(call, member, &problems);
    }

    if (status == LOYALTY_OK && problems.count == 0) {
        slot->effects.tier_from = member->tier;
        if (program->settings.active
            && json_object_get(call->body, "manual_status") != NULL) {
            loyalty_member_retier(member, program, call->now);
        }
        slot->effects.tier_to = member->tier;
        return true;
    }

    if (status == LOYALTY_ERROR_REFUSED) {
        loyalty_api_error(call, 409, "deleted", "the member is deleted");
    } else if (status == LOYALTY_ERROR_MEMORY) {
        loyalty_api_error(call, 500, "memory", "out of memory");
    } else {
        loyalty_api_problems(call, 422, "invalid", "the member is not valid",
                             problems.list, problems.count, "");
    }

    return false;
}

static void
show_member(loyalty_api_call_t *call, int status,
            const loyalty_member_t *member, const loyalty_program_t *program,
            loyalty_instant_t at)
{
    loyalty_api_json(call, status,
                     loyalty_member_to_json(member, program, at));
}

/* The changed member is the answer. */
static loyalty_store_result_t
commit_member(loyalty_api_call_t *call, int status,
              loyalty_member_slot_t *slot)
{
    slot->changed = true;
    if (!slot->fresh) {
        call->audit_before = loyalty_member_to_json(
            &slot->before, call->session->change.program, call->now);
    }
    call->audit_after = loyalty_member_to_json(
        &slot->member, call->session->change.program, call->now);
    show_member(call, status, &slot->member, call->session->change.program,
                call->now);
    loyalty_api_begin(call);

    return loyalty_api_commit(call);
}

loyalty_store_result_t
loyalty_api_create_member(loyalty_api_call_t *call)
{
    const json_t *value = json_object_get(call->body, "id");
    loyalty_store_result_t result;
    loyalty_member_slot_t *slot;
    loyalty_str_t id;

    id = (loyalty_str_t){json_string_value(value), json_string_length(value)};
    if (loyalty_member_id_check(id) != LOYALTY_OK) {
        loyalty_api_problem(call, "/id", "must be 1 to 128 bytes without "
                            "control characters");
        return LOYALTY_STORE_OK;
    }

    result = loyalty_api_load_member(call, id, NULL, &slot);
    if (result != LOYALTY_STORE_OK || slot == NULL) {
        return result;
    }

    if (!slot->fresh) {
        loyalty_api_error(call, 409, "exists", "there is such a member");
        return LOYALTY_STORE_OK;
    }

    call->person = id;
    slot->member.registered = true;
    slot->member.signed_up_at = call->now;

    return edit_member(call, slot) ? commit_member(call, 201, slot)
                                            : LOYALTY_STORE_OK;
}

loyalty_store_result_t
loyalty_api_get_member(loyalty_api_call_t *call)
{
    const loyalty_program_t *program;
    loyalty_store_result_t result;
    loyalty_replies_t replies;
    loyalty_member_t member;
    loyalty_instant_t at;
    loyalty_str_t id;
    bool found;

    if (!loyalty_api_member_id(call, &id) || !loyalty_api_at(call, &at)) {
        return LOYALTY_STORE_OK;
    }

    result = loyalty_api_program(call, &program);
    if (result != LOYALTY_STORE_OK || program == NULL) {
        return result;
    }

    loyalty_replies_init(&replies);
    result = loyalty_api_read_member(call, id, &replies, &member,
                                     &found);

    if (result == LOYALTY_STORE_OK) {
        if (found && !member.erased) {
            show_member(call, 200, &member, program, at);
        } else {
            loyalty_api_not_found(call, "member");
        }
    }

    loyalty_replies_free(&replies);

    return result;
}

loyalty_store_result_t
loyalty_api_patch_member(loyalty_api_call_t *call)
{
    loyalty_store_result_t result;
    loyalty_member_slot_t *slot;
    loyalty_str_t id;

    if (!loyalty_api_member_id(call, &id)) {
        return LOYALTY_STORE_OK;
    }

    if (json_object_get(call->body, "id") != NULL) {
        loyalty_api_problem(call, "/id", "a member keeps its id");
        return LOYALTY_STORE_OK;
    }

    result = loyalty_api_load_member(call, id, NULL, &slot);
    if (result != LOYALTY_STORE_OK || slot == NULL) {
        return result;
    }

    if (slot->fresh || slot->member.erased) {
        loyalty_api_not_found(call, "member");
        return LOYALTY_STORE_OK;
    }

    return edit_member(call, slot) ? commit_member(call, 200, slot)
                                            : LOYALTY_STORE_OK;
}

loyalty_store_result_t
loyalty_api_delete_member(loyalty_api_call_t *call)
{
    loyalty_store_result_t result;
    loyalty_member_slot_t *slot;
    loyalty_api_erase_t erase;
    bool erased = loyalty_api_flag(call, "erase");
    loyalty_str_t id;

    if (!loyalty_api_member_id(call, &id)) {
        return LOYALTY_STORE_OK;
    }

    if (erased && !loyalty_api_is_owner(call)) {
        return LOYALTY_STORE_OK;
    }

    result = loyalty_api_load_member(call, id, NULL, &slot);
    if (result != LOYALTY_STORE_OK || slot == NULL) {
        return result;
    }

    if (slot->fresh
        || !loyalty_member_delete(&slot->member, erased, call->now)) {
        loyalty_api_not_found(call, "member");
        return LOYALTY_STORE_OK;
    }

    slot->changed = true;
    loyalty_api_no_content(call);

    if (!erased) {
        loyalty_api_begin(call);
        return loyalty_api_commit(call);
    }

    result = loyalty_api_erase_read(call, id, &erase);
    if (result == LOYALTY_STORE_OK) {
        loyalty_api_begin(call);
        loyalty_api_erase_write(call, id, &erase);
        result = loyalty_api_commit(call);
    }
    loyalty_api_erase_free(&erase);

    return result;
}
