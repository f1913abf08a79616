/*
 * A grant between its JSON and core/.
 */

#include "loyalty_bulk.h"

static bool
take_instant(const json_t *body, const char *name, const char *pointer,
             json_t *params, loyalty_problems_t *problems,
             loyalty_instant_t *instant)
{
    json_t *value = json_object_get(body, name);
    const char *text = json_string_value(value);

    if (value == NULL || json_is_null(value)) {
        return false;
    }

    if (text == NULL
        || loyalty_instant_parse(loyalty_str_from(text), instant)
               != LOYALTY_OK) {
        loyalty_problem(problems, pointer, "must be an instant as RFC 3339 "
                        "has it");
        return false;
    }

    json_object_set(params, name, value);
    return true;
}

static void
take_reason(const json_t *body, json_t *params, loyalty_problems_t *problems)
{
    json_t *value = json_object_get(body, "reason");

    if (value == NULL) {
        return;
    }

    if (!json_is_string(value)
        || json_string_length(value) > LOYALTY_MEMBER_TEXT_MAX) {
        loyalty_problem(problems, "/reason", "must be a text of at most %d "
                        "bytes", LOYALTY_MEMBER_TEXT_MAX);
        return;
    }

    json_object_set(params, "reason", value);
}

static void
check_amount(const json_t *body, bool credits, json_t *params,
             loyalty_problems_t *problems)
{
    json_t *amount = json_object_get(body, "amount");
    int64_t value = json_integer_value(amount);
    int64_t max = credits ? LOYALTY_AMOUNT_MAX : LOYALTY_POINTS_MAX;

    if (!json_is_integer(amount) || value == 0 || value > max
        || value < -max) {
        loyalty_problem(problems, "/amount", "must be a whole number, not 0, "
                        "of at most %lld", (long long)max);
    }

    json_object_set(params, "amount", amount);
}

static void
check_offer(const json_t *body, const loyalty_program_t *program,
            json_t *params, loyalty_problems_t *problems)
{
    json_t *offer = json_object_get(body, "offer");

    if (!json_is_string(offer)
        || loyalty_program_offer(program,
                                 loyalty_str_from(json_string_value(offer)))
               == NULL) {
        loyalty_problem(problems, "/offer", "must be the id of an offer");
    }

    if (json_object_get(body, "amount") != NULL
        || json_object_get(body, "starts_at") != NULL) {
        loyalty_problem(problems, "", "an offer has no amount and no "
                        "starts_at");
    }

    json_object_set(params, "offer", offer);
}

bool
loyalty_bulk_check(const json_t *body, const loyalty_program_t *program,
                   loyalty_instant_t now, json_t *params,
                   loyalty_problems_t *problems)
{
    json_t *action = json_object_get(body, "action");
    const char *name = json_string_value(action);
    loyalty_instant_t starts_at, expires_at;

    if (name != NULL && strcmp(name, "offer") == 0) {
        check_offer(body, program, params, problems);
    } else {
        check_amount(body, name != NULL && strcmp(name, "credits") == 0,
                     params, problems);
    }

    if (name == NULL
        || (strcmp(name, "points") != 0 && strcmp(name, "credits") != 0
            && strcmp(name, "offer") != 0)) {
        loyalty_problem(problems, "/action", "must be points, credits or "
                        "offer");
    }

    json_object_set(params, "action", action);
    take_reason(body, params, problems);

    starts_at = now;
    take_instant(body, "starts_at", "/starts_at", params, problems,
                 &starts_at);
    if (take_instant(body, "expires_at", "/expires_at", params, problems,
                     &expires_at)
        && (expires_at <= starts_at || expires_at <= now)) {
        loyalty_problem(problems, "/expires_at", "must be to come, and after "
                        "starts_at");
    }

    return problems->count == 0;
}

static loyalty_instant_t
instant_of(const json_t *params, const char *name, loyalty_instant_t absent)
{
    const char *text = json_string_value(json_object_get(params, name));
    loyalty_instant_t instant;

    return text != NULL
                   && loyalty_instant_parse(loyalty_str_from(text), &instant)
                          == LOYALTY_OK
               ? instant : absent;
}

static loyalty_str_t
text_of(const json_t *params, const char *name)
{
    return loyalty_str_from(json_string_value(json_object_get(params, name)));
}

void
loyalty_bulk_grant(const json_t *params, loyalty_grant_t *grant)
{
    *grant = (loyalty_grant_t){
        .credits = loyalty_str_eq(text_of(params, "action"),
                                  loyalty_str("credits")),
        .amount = json_integer_value(json_object_get(params, "amount")),
        .starts_at = instant_of(params, "starts_at", LOYALTY_UNKNOWN),
        .expires_at = instant_of(params, "expires_at", LOYALTY_NEVER),
        .cause.reason = text_of(params, "reason"),
        .cause.group = text_of(params, "group"),
    };
}
