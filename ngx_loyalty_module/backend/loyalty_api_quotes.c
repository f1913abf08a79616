/*
 * POST quotes: a cart priced by core/, for a member of the site or for one
 * that is tried out, under the site's offers or others (DESIGN.md).  A member
 * whom the shop knows and we do not, yet, is one without history.  A quote
 * changes nothing, so a token that may read may ask for one.
 */

#include "loyalty_api_codes.h"
#include "loyalty_cart_json.h"
#include "loyalty_wallet_store.h"

typedef struct {
    loyalty_api_call_t *call;
    const loyalty_program_t *program;
    loyalty_program_t *preview; /* NULL: the site's own offers */
    loyalty_member_t member;
    bool named; /* by its id; on record or not */
    loyalty_replies_t replies;
    loyalty_usage_t *usage; /* of the site */
    size_t nusage;
    loyalty_api_codes_t codes;
    loyalty_replies_t stored;
} asking_t;

/* The offers to try out; mistakes in them come with those of the cart. */
static void
read_preview(asking_t *asking, loyalty_problems_t *problems)
{
    json_t *offers = json_object_get(
        json_object_get(asking->call->body, "preview"), "offers");

    if (json_is_array(offers)
        && loyalty_program_preview(asking->program, offers, problems,
                                   &asking->preview) == LOYALTY_OK) {
        asking->program = asking->preview;
    }
}

/* false: the error is written, or *result says what went wrong. */
static bool
find_member(asking_t *asking, loyalty_store_result_t *result)
{
    loyalty_api_call_t *call = asking->call;
    json_t *value = json_object_get(call->body, "member_id");
    loyalty_str_t id = {json_string_value(value), json_string_length(value)};
    bool found;

    *result = LOYALTY_STORE_OK;

    if (!json_is_string(value)) {
        return true; /* a guest; any other type is the parser's to refuse */
    }

    if (loyalty_member_id_check(id) != LOYALTY_OK) {
        loyalty_api_not_found(call, "member");
        return false;
    }

    *result = loyalty_api_read_member(call, id, &asking->replies,
                                      &asking->member, &found);
    if (*result != LOYALTY_STORE_OK) {
        return false;
    }

    if (asking->member.erased) {
        loyalty_api_not_found(call, "member");
        return false;
    }

    asking->named = true;
    return true;
}

/* What the site counts, and the index of codes.  A preview of uses stands in
 * place of both. */
static loyalty_store_result_t
read_stored(asking_t *asking)
{
    loyalty_api_call_t *call = asking->call;
    loyalty_store_result_t result;
    redisReply **reply;

    if (json_object_get(json_object_get(call->body, "preview"), "usage")
        != NULL) {
        return LOYALTY_STORE_OK;
    }

    if (loyalty_usage_limited(asking->program, call->arena, &asking->usage,
                              &asking->nusage)
            != LOYALTY_OK
        || !loyalty_api_codes_typed(&asking->codes, call->body,
                                    call->arena)) {
        return LOYALTY_STORE_MEMORY;
    }

    if (asking->nusage == 0 && asking->codes.n == 0) {
        return LOYALTY_STORE_OK;
    }

    loyalty_commands_reset(&call->session->commands);
    if (asking->nusage != 0) {
        loyalty_usage_command(&call->scope, asking->usage, asking->nusage,
                              &call->session->commands);
    }
    if (asking->codes.n != 0) {
        loyalty_api_codes_command(call, &asking->codes);
    }

    result = loyalty_api_read(call, &asking->stored);
    if (result != LOYALTY_STORE_OK) {
        return result;
    }

    reply = asking->stored.list;
    return (asking->nusage == 0
            || loyalty_usage_take(*reply++, asking->usage, asking->nusage))
                   && (asking->codes.n == 0
                       || loyalty_api_codes_take(&asking->codes, *reply))
               ? LOYALTY_STORE_OK
               : LOYALTY_STORE_MALFORMED;
}

static void
refuse(asking_t *asking, loyalty_status_t status,
       const loyalty_problems_t *problems)
{
    if (status == LOYALTY_ERROR_MEMORY) {
        loyalty_api_error(asking->call, 500, "memory", "out of memory");
    } else {
        loyalty_api_problems(asking->call, 422, "invalid",
                             "the cart is not valid", problems->list,
                             problems->count, "");
    }
}

static void
answer(asking_t *asking)
{
    loyalty_api_call_t *call = asking->call;
    loyalty_problems_t problems;
    loyalty_status_t status;
    loyalty_quote_t quote;
    loyalty_cart_t cart;

    loyalty_problems_init(&problems, call->arena);
    read_preview(asking, &problems);

    status = loyalty_cart_parse(call->body, asking->program,
                                asking->named ? &asking->member : NULL,
                                call->now, call->arena, &problems, &cart);
    if (status != LOYALTY_OK || problems.count != 0) {
        refuse(asking, status, &problems);
        return;
    }

    if (loyalty_cart_site_usage(&cart, asking->usage, asking->nusage,
                                call->arena)
            != LOYALTY_OK
        || loyalty_api_codes_bring(&asking->codes, &cart, loyalty_str_null,
                                   call->arena)
               != LOYALTY_OK) {
        refuse(asking, LOYALTY_ERROR_MEMORY, &problems);
        return;
    }

    status = loyalty_cart_evaluate(asking->program, &cart, call->arena,
                                   &quote);
    if (status != LOYALTY_OK) {
        loyalty_problem(&problems, "/lines", "come to more than can be "
                        "computed: %s", loyalty_status_name(status));
        refuse(asking, status, &problems);
        return;
    }

    loyalty_api_json(call, 200, loyalty_quote_to_json(&cart, &quote));
}

loyalty_store_result_t
loyalty_api_quote(loyalty_api_call_t *call)
{
    asking_t asking = {.call = call};
    loyalty_store_result_t result;

    result = loyalty_api_program(call, &asking.program);
    if (result != LOYALTY_STORE_OK || asking.program == NULL) {
        return result;
    }

    loyalty_replies_init(&asking.replies);
    loyalty_replies_init(&asking.stored);

    if (find_member(&asking, &result)
        && (result = read_stored(&asking)) == LOYALTY_STORE_OK) {
        answer(&asking);

        if (call->fingerprint[0] != '\0' && call->response->status == 200) {
            loyalty_commands_reset(&call->session->commands);
            loyalty_command(&call->session->commands, "MULTI", 1);
            result = loyalty_api_commit(call);
        }
    }

    loyalty_program_free(asking.preview);
    loyalty_replies_free(&asking.stored);
    loyalty_replies_free(&asking.replies);

    return result;
}
