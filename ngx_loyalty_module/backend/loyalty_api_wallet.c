/*
 * A member's wallet: points and credits by hand, offers bought, given,
 * applied, put back and taken away.
 */

#include "loyalty_api_wallet.h"
#include "loyalty_code.h"
#include "loyalty_job.h"
#include "loyalty_wallet.h"
#include "loyalty_wallet_store.h"
#include "loyalty_refusal.h"

#include <openssl/rand.h>

#define AT(type, member) offsetof(type, member)

/* Codes tried for one coupon before giving up: a pattern nearly used up. */
#define CODE_TRIES 8

typedef struct {
    int64_t amount;
    loyalty_str_t reason;
    loyalty_instant_t starts_at;
    loyalty_instant_t expires_at;
    bool earned;
} amount_t;

static const loyalty_field_t amount_fields[] = {
    {.name = "amount", .kind = LOYALTY_FIELD_INT64, .required = true,
     .offset = AT(amount_t, amount), .min = -LOYALTY_POINTS_MAX,
     .max = LOYALTY_POINTS_MAX},
    {.name = "reason", .kind = LOYALTY_FIELD_STRING,
     .offset = AT(amount_t, reason), .min = 0, .max = LOYALTY_NAME_MAX},
    {.name = "starts_at", .kind = LOYALTY_FIELD_INSTANT,
     .absent = LOYALTY_UNKNOWN, .offset = AT(amount_t, starts_at)},
    {.name = "expires_at", .kind = LOYALTY_FIELD_INSTANT,
     .absent = LOYALTY_NEVER, .offset = AT(amount_t, expires_at)},
    {.name = "earned", .kind = LOYALTY_FIELD_BOOL,
     .offset = AT(amount_t, earned)},
};

static void
check_amount(loyalty_reader_t *reader, json_t *object, void *target)
{
    const amount_t *amount = target;
    const json_t *given = json_object_get(object, "amount");

    if (json_is_integer(given) && json_integer_value(given) == 0) {
        loyalty_report(reader, "amount", "must not be 0");
    }

    if (amount->expires_at <= amount->starts_at) {
        loyalty_report(reader, "expires_at", "must be after starts_at");
    }

    if (amount->amount < 0
        && (amount->expires_at != LOYALTY_NEVER
            || amount->starts_at != LOYALTY_UNKNOWN || amount->earned)) {
        loyalty_report(reader, "amount",
                       "is taken at once: no dates, nothing earned");
    }
}

static const loyalty_shape_t amount_shape =
    LOYALTY_SHAPE("an amount", amount_fields, amount_t, check_amount);

typedef struct {
    loyalty_str_t id;
    loyalty_str_t offer;
    loyalty_str_t reason;
    loyalty_instant_t expires_at;
    bool buy;
} wish_t;

static const loyalty_field_t wish_fields[] = {
    {.name = "id", .kind = LOYALTY_FIELD_STRING, .offset = AT(wish_t, id),
     .check = loyalty_check_id},
    {.name = "offer_id", .kind = LOYALTY_FIELD_STRING, .required = true,
     .offset = AT(wish_t, offer), .check = loyalty_check_id},
    {.name = "reason", .kind = LOYALTY_FIELD_STRING,
     .offset = AT(wish_t, reason), .min = 0, .max = LOYALTY_NAME_MAX},
    {.name = "expires_at", .kind = LOYALTY_FIELD_INSTANT,
     .absent = LOYALTY_NEVER, .offset = AT(wish_t, expires_at)},
    {.name = "buy", .kind = LOYALTY_FIELD_BOOL, .offset = AT(wish_t, buy)},
};

static const loyalty_shape_t wish_shape =
    LOYALTY_SHAPE("an entitlement", wish_fields, wish_t, NULL);

bool
loyalty_api_read_body(loyalty_api_call_t *call, const loyalty_shape_t *shape,
                      void *target)
{
    loyalty_problems_t problems;
    loyalty_reader_t reader = {.arena = call->arena, .problems = &problems};

    loyalty_problems_init(&problems, call->arena);
    loyalty_read_object(&reader, call->body, shape, target);

    if (reader.out_of_memory) {
        loyalty_api_error(call, 500, "memory", "out of memory");
        return false;
    }

    if (problems.count != 0) {
        loyalty_api_problems(call, 422, "invalid", "the request is not valid",
                             problems.list, problems.count, "");
        return false;
    }

    return true;
}

void
loyalty_api_refuse(loyalty_api_call_t *call, loyalty_status_t status,
                   const char *refusal)
{
    switch (status) {
    case LOYALTY_ERROR_MEMORY:
        loyalty_api_error(call, 500, "memory", "out of memory");
        return;
    case LOYALTY_ERROR_NOT_FOUND:
        loyalty_api_error(call, 404, "not_found",
                          "there is no such offer or entitlement");
        return;
    case LOYALTY_ERROR_OVERFLOW:
    case LOYALTY_ERROR_LIMIT:
        loyalty_api_error(call, 422, "too_large",
                          "the figures come to more than can be kept");
        return;
    default:
        refusal = refusal != NULL ? refusal : "refused";
        loyalty_api_error(call, 409, refusal, "%s",
                          loyalty_refusal_text(refusal));
    }
}

/* The member in the path, loaded; false: the response is written, or *result
 * says what went wrong. */
static bool
load(loyalty_api_call_t *call, const loyalty_commands_t *reads,
     loyalty_member_slot_t **slot, loyalty_store_result_t *result)
{
    loyalty_str_t id;

    *result = LOYALTY_STORE_OK;
    if (!loyalty_api_member_id(call, &id)) {
        return false;
    }

    *result = loyalty_api_load_member(call, id, reads, slot);
    if (*result != LOYALTY_STORE_OK || *slot == NULL) {
        return false;
    }

    if ((*slot)->fresh || (*slot)->member.erased) {
        loyalty_api_not_found(call, "member");
        return false;
    }

    return true;
}

static loyalty_cause_t
cause_of(loyalty_api_call_t *call, loyalty_str_t reason)
{
    return (loyalty_cause_t){.at = call->now,
                             .by = loyalty_str_from(call->who),
                             .reason = reason};
}

/* {name: the member's balance or entitlement, ...}; the member's own JSON
 * knows how they read. */
static json_t *
balances(loyalty_api_call_t *call, const loyalty_member_t *member)
{
    json_t *json = loyalty_member_to_json(
        member, call->session->change.program, call->now);
    json_t *answer;

    answer = json_pack("{s:O?, s:O?}", "points",
                       json_object_get(json, "points"), "credits",
                       json_object_get(json, "credits"));
    json_decref(json);

    return answer;
}

static json_t *
entitlement_json(loyalty_api_call_t *call, const loyalty_member_t *member,
                 loyalty_str_t id)
{
    json_t *json = loyalty_member_to_json(
        member, call->session->change.program, call->now);
    json_t *item, *found = NULL;
    size_t i;

    json_array_foreach(json_object_get(json, "entitlements"), i, item)
    {
        if (loyalty_str_eq(loyalty_str_from(json_string_value(
                               json_object_get(item, "id"))),
                           id)) {
            found = json_incref(item);
        }
    }

    json_decref(json);
    return found;
}

static loyalty_store_result_t
commit(loyalty_api_call_t *call, loyalty_member_slot_t *slot)
{
    slot->changed = slot->effects.member_changed;
    loyalty_api_begin(call);

    return loyalty_api_commit(call);
}

static loyalty_store_result_t
post_amount(loyalty_api_call_t *call, bool credits)
{
    char id[LOYALTY_JOB_ID_SIZE];
    loyalty_store_result_t result;
    loyalty_member_slot_t *slot;
    amount_t amount = {0};
    loyalty_status_t status;
    loyalty_grant_t grant;
    json_t *answer;

    if (!loyalty_api_read_body(call, &amount_shape, &amount)) {
        return LOYALTY_STORE_OK;
    }

    if (amount.expires_at <= call->now) {
        loyalty_api_problem(call, "/expires_at", "must be in the future");
        return LOYALTY_STORE_OK;
    }

    if (!load(call, NULL, &slot, &result)) {
        return result;
    }

    if (!loyalty_job_id(id)) {
        return LOYALTY_STORE_MEMORY;
    }

    grant = (loyalty_grant_t){.credits = credits,
                              .amount = amount.amount,
                              .id = loyalty_str_from(id),
                              .starts_at = amount.starts_at,
                              .expires_at = amount.expires_at,
                              .earned = amount.earned,
                              .cause = cause_of(call, amount.reason)};
    status = loyalty_member_grant(&slot->member,
                                  call->session->change.program, &grant,
                                  &call->session->change.arena,
                                  &slot->effects);
    if (status != LOYALTY_OK) {
        loyalty_api_refuse(call, status,
                           status == LOYALTY_ERROR_INSUFFICIENT && credits
                               ? "insufficient_credits"
                               : slot->effects.refusal);
        return LOYALTY_STORE_OK;
    }

    answer = balances(call, &slot->member);
    loyalty_api_set_str(answer, "id", grant.id);
    loyalty_api_json(call, 201, answer);
    return commit(call, slot);
}

loyalty_store_result_t
loyalty_api_post_points(loyalty_api_call_t *call)
{
    return post_amount(call, false);
}

loyalty_store_result_t
loyalty_api_post_credits(loyalty_api_call_t *call)
{
    return post_amount(call, true);
}

/* A coupon's own code that nobody has yet; empty where the offer has no
 * pattern.  The index is WATCHed. */
static loyalty_store_result_t
new_code(loyalty_api_call_t *call, const loyalty_offer_t *offer,
         loyalty_str_t *code)
{
    loyalty_commands_t *commands = &call->session->commands;
    unsigned char random[2 * LOYALTY_CODE_MAX];
    char codes[CODE_TRIES][LOYALTY_CODE_MAX + 1];
    loyalty_store_result_t result;
    loyalty_replies_t replies;
    size_t i, len = 0;

    *code = loyalty_str_null;
    if (offer == NULL || offer->code_pattern.len == 0) {
        return LOYALTY_STORE_OK;
    }

    loyalty_commands_reset(commands);
    loyalty_api_watch(call, "cd", loyalty_str_null);
    loyalty_api_command(call, "HMGET", "cd", loyalty_str_null, CODE_TRIES);
    for (i = 0; i < CODE_TRIES; i++) {
        if (RAND_bytes(random, (int)(2 * offer->code_pattern.len)) != 1) {
            return LOYALTY_STORE_MEMORY;
        }
        len = loyalty_code_generate(offer->code_pattern, random, codes[i]);
        loyalty_arg(commands, (loyalty_str_t){codes[i], len});
    }

    loyalty_replies_init(&replies);
    result = loyalty_api_read(call, &replies);

    if (result == LOYALTY_STORE_OK
        && !loyalty_reply_array(replies.list[1], CODE_TRIES)) {
        result = LOYALTY_STORE_MALFORMED;
    }

    for (i = 0; result == LOYALTY_STORE_OK && i < CODE_TRIES; i++) {
        if (loyalty_reply_is_nil(replies.list[1]->element[i])) {
            if (loyalty_str_copy(&call->session->change.arena,
                                 (loyalty_str_t){codes[i], len}, code)
                != LOYALTY_OK) {
                result = LOYALTY_STORE_MEMORY;
            }
            break;
        }
    }

    loyalty_replies_free(&replies);

    if (result == LOYALTY_STORE_OK && code->len == 0) {
        loyalty_api_error(call, 409, "codes_used_up",
                          "nearly all codes of the pattern are in use");
    }

    return result;
}

/* WATCH and HMGET of the offer's uses. */
static loyalty_store_result_t
read_usage(loyalty_api_call_t *call, loyalty_usage_t *usage)
{
    loyalty_commands_t *commands = &call->session->commands;
    loyalty_store_result_t result;
    loyalty_replies_t replies;

    loyalty_commands_reset(commands);
    loyalty_api_watch(call, "u", loyalty_str_null);
    loyalty_usage_command(&call->scope, usage, 1, commands);
    loyalty_replies_init(&replies);
    result = loyalty_api_read(call, &replies);
    if (result == LOYALTY_STORE_OK
        && !loyalty_usage_take(replies.list[1], usage, 1)) {
        result = LOYALTY_STORE_MALFORMED;
    }
    loyalty_replies_free(&replies);

    return result;
}

static loyalty_store_result_t
acquire(loyalty_api_call_t *call, const wish_t *wish,
        loyalty_member_slot_t *slot)
{
    loyalty_member_change_t *change = &call->session->change;
    const loyalty_offer_t *offer =
        loyalty_program_offer(change->program, wish->offer);
    loyalty_usage_t usage = {.offer = wish->offer};
    loyalty_acquisition_t acquired = {.id = wish->id,
                                      .offer = wish->offer,
                                      .buy = wish->buy,
                                      .expires_at = wish->expires_at,
                                      .usage = &usage,
                                      .nusage = 1,
                                      .cause = cause_of(call, wish->reason)};
    char id[LOYALTY_JOB_ID_SIZE];
    loyalty_store_result_t result;
    loyalty_status_t status;

    if (wish->id.len == 0) {
        if (!loyalty_job_id(id)) {
            return LOYALTY_STORE_MEMORY;
        }
        acquired.id = loyalty_str_from(id);
    }

    result = new_code(call, offer, &acquired.code);
    if (result == LOYALTY_STORE_OK && wish->buy && offer != NULL
        && call->response->status == 0) {
        result = read_usage(call, &usage);
    }
    if (result != LOYALTY_STORE_OK || call->response->status != 0) {
        return result;
    }

    status = loyalty_wallet_acquire(&slot->member, change->program, &acquired,
                                    &change->arena, &slot->effects);
    if (status != LOYALTY_OK) {
        loyalty_api_refuse(call, status, slot->effects.refusal);
        return LOYALTY_STORE_OK;
    }

    loyalty_api_json(call,
                     slot->effects.outcome == LOYALTY_DUPLICATE ? 200 : 201,
                     entitlement_json(call, &slot->member, acquired.id));
    return commit(call, slot);
}

loyalty_store_result_t
loyalty_api_post_entitlement(loyalty_api_call_t *call)
{
    loyalty_store_result_t result;
    loyalty_member_slot_t *slot;
    wish_t wish = {0};

    if (!loyalty_api_read_body(call, &wish_shape, &wish)) {
        return LOYALTY_STORE_OK;
    }

    if (wish.expires_at <= call->now) {
        loyalty_api_problem(call, "/expires_at", "must be in the future");
        return LOYALTY_STORE_OK;
    }

    return load(call, NULL, &slot, &result) ? acquire(call, &wish, slot)
                                            : result;
}

static loyalty_store_result_t
change_entitlement(loyalty_api_call_t *call, loyalty_wallet_action_t action)
{
    loyalty_member_change_t *change = &call->session->change;
    loyalty_str_t id = call->segments[5];
    loyalty_store_result_t result;
    loyalty_member_slot_t *slot;
    loyalty_status_t status;

    if (!load(call, NULL, &slot, &result)) {
        return result;
    }

    status = loyalty_wallet_change(&slot->member, change->program, action, id,
                                   call->now, &change->arena, &slot->effects);
    if (status != LOYALTY_OK) {
        loyalty_api_refuse(call, status, slot->effects.refusal);
        return LOYALTY_STORE_OK;
    }

    if (action == LOYALTY_WALLET_REMOVE) {
        loyalty_api_no_content(call);
    } else {
        loyalty_api_json(call, 200,
                         entitlement_json(call, &slot->member, id));
    }

    return commit(call, slot);
}

loyalty_store_result_t
loyalty_api_apply_entitlement(loyalty_api_call_t *call)
{
    return change_entitlement(call, LOYALTY_WALLET_APPLY);
}

loyalty_store_result_t
loyalty_api_unapply_entitlement(loyalty_api_call_t *call)
{
    return change_entitlement(call, LOYALTY_WALLET_UNAPPLY);
}

loyalty_store_result_t
loyalty_api_delete_entitlement(loyalty_api_call_t *call)
{
    return change_entitlement(call, LOYALTY_WALLET_REMOVE);
}
