/*
 * Holds: a checkout asks for a price and keeps what it is to use (DOMAIN.md
 * section 7).
 *
 *   POST holds {"checkout_id", "ttl", "credits", cart as of POST quotes}
 *
 *   load the member, what the site counts, typed codes
 *     -> the same checkout again: the same cart renews, another begins anew
 *     -> evaluate -> hold -> one transaction
 *
 * A member not on record yet is one without history, and is put on record only
 * where the hold has a use that is counted for each member.
 */

#include "loyalty_api_wallet.h"
#include "loyalty_codec.h"
#include "loyalty_api_codes.h"
#include "loyalty_hold_store.h"
#include "loyalty_cart_json.h"
#include "loyalty_job.h"
#include "loyalty_member_write.h"
#include "loyalty_wallet_store.h"

#include <stdlib.h>

#define TTL_DEFAULT 900

typedef struct {
    loyalty_str_t checkout;
    int32_t ttl;
    int64_t credits;
} terms_t;

static const loyalty_field_t terms_fields[] = {
    {.name = "checkout_id", .kind = LOYALTY_FIELD_STRING,
     .offset = offsetof(terms_t, checkout), .min = 1,
     .max = LOYALTY_ORDER_ID_MAX},
    {.name = "ttl", .kind = LOYALTY_FIELD_INT32, .absent = TTL_DEFAULT,
     .offset = offsetof(terms_t, ttl), .min = 1, .max = LOYALTY_HOLD_TTL_MAX},
    {.name = "credits", .kind = LOYALTY_FIELD_INT64,
     .offset = offsetof(terms_t, credits), .min = 0,
     .max = LOYALTY_AMOUNT_MAX},
};

static const loyalty_shape_t terms_shape =
    LOYALTY_SHAPE("the terms", terms_fields, terms_t, NULL);

typedef struct {
    loyalty_api_call_t *call;
    loyalty_member_change_t *change;
    loyalty_arena_t *arena; /* of the transaction */
    json_t *cart;           /* the body without the terms */
    terms_t terms;
    loyalty_member_slot_t *slot; /* NULL: a guest */
    loyalty_hold_t hold;
    bool found;
    loyalty_effects_t freed; /* by what was held before */
    loyalty_usage_t *usage;
    size_t nusage;
    loyalty_api_codes_t codes;
    loyalty_replies_t replies;
} checkout_t;

static loyalty_member_t *
member_of(const checkout_t *checkout)
{
    return checkout->slot == NULL ? NULL : &checkout->slot->member;
}

/* The terms out of the body, the cart beside them. */
static bool
read_terms(checkout_t *checkout)
{
    static const char *const not_here[] = {"member", "preview", "at"};
    loyalty_api_call_t *call = checkout->call;
    loyalty_api_call_t terms = *call;
    char pointer[32];
    json_t *value;
    size_t i;
    bool ok;

    checkout->cart = json_copy(call->body);
    terms.body = json_object();

    for (i = 0; i < sizeof(terms_fields) / sizeof(terms_fields[0]); i++) {
        value = json_object_get(call->body, terms_fields[i].name);
        if (value != NULL) {
            json_object_set(terms.body, terms_fields[i].name, value);
            json_object_del(checkout->cart, terms_fields[i].name);
        }
    }

    ok = loyalty_api_read_body(&terms, &terms_shape, &checkout->terms);
    json_decref(terms.body);

    for (i = 0; ok && i < sizeof(not_here) / sizeof(not_here[0]); i++) {
        if (json_object_get(call->body, not_here[i]) != NULL) {
            snprintf(pointer, sizeof(pointer), "/%s", not_here[i]);
            loyalty_api_problem(call, pointer,
                                "is for quotes: a checkout is real");
            ok = false;
        }
    }

    return ok;
}

static uint64_t
print_of(const checkout_t *checkout)
{
    char *text = json_dumps(checkout->cart, JSON_SORT_KEYS | JSON_COMPACT);
    uint64_t print = (uint64_t)checkout->terms.credits;

    if (text != NULL) {
        print = loyalty_fingerprint(print, text, strlen(text));
        free(text);
    }
    return print;
}

static loyalty_store_result_t
load_member(checkout_t *checkout)
{
    loyalty_api_call_t *call = checkout->call;
    json_t *value = json_object_get(checkout->cart, "member_id");
    loyalty_str_t id = {json_string_value(value), json_string_length(value)};
    loyalty_store_result_t result;

    if (!json_is_string(value)) {
        call->session->watching = true;
        result = loyalty_member_load(checkout->change, &call->scope, NULL, 0,
                                     NULL);
        if (result == LOYALTY_STORE_OK && checkout->change->program == NULL) {
            loyalty_api_not_found(call, "site");
        }
        return result;
    }

    if (loyalty_member_id_check(id) != LOYALTY_OK) {
        loyalty_api_not_found(call, "member");
        return LOYALTY_STORE_OK;
    }

    result = loyalty_api_load_member(call, id, NULL, &checkout->slot);
    if (result == LOYALTY_STORE_OK && checkout->slot != NULL
        && checkout->slot->member.deleted_at != LOYALTY_UNKNOWN) {
        loyalty_api_not_found(call, "member");
    }

    return result;
}

/* The hold of this checkout, the uses, the codes. */
static loyalty_store_result_t
load_more(checkout_t *checkout)
{
    loyalty_api_call_t *call = checkout->call;
    loyalty_commands_t *commands = &call->session->commands;
    loyalty_store_result_t result;
    loyalty_str_t bytes;
    redisReply **reply;

    if (loyalty_usage_limited(checkout->change->program, checkout->arena,
                              &checkout->usage, &checkout->nusage)
            != LOYALTY_OK
        || !loyalty_api_codes_typed(&checkout->codes, checkout->cart,
                                    checkout->arena)) {
        return LOYALTY_STORE_MEMORY;
    }

    loyalty_commands_reset(commands);
    loyalty_api_watch(call, "hd", checkout->hold.id);
    loyalty_api_command(call, "GET", "hd", checkout->hold.id, 0);
    if (checkout->nusage != 0) {
        loyalty_api_watch(call, "u", loyalty_str_null);
        loyalty_usage_command(&call->scope, checkout->usage, checkout->nusage,
                              commands);
    }
    if (checkout->codes.n != 0) {
        loyalty_api_watch(call, "cd", loyalty_str_null);
        loyalty_api_codes_command(call, &checkout->codes);
    }

    result = loyalty_api_read(call, &checkout->replies);
    if (result != LOYALTY_STORE_OK) {
        return result;
    }

    reply = checkout->replies.list + 1;
    if (!loyalty_reply_str(*reply++, &bytes)
        || (checkout->nusage != 0
            && (reply++, !loyalty_usage_take(*reply++, checkout->usage,
                                             checkout->nusage)))
        || (checkout->codes.n != 0
            && (reply++, !loyalty_api_codes_take(&checkout->codes, *reply)))) {
        return LOYALTY_STORE_MALFORMED;
    }

    checkout->found = bytes.data != NULL;
    return !checkout->found
                   || loyalty_hold_decode(bytes, checkout->arena,
                                          &checkout->hold)
                          == LOYALTY_OK
               ? LOYALTY_STORE_OK
               : LOYALTY_STORE_MALFORMED;
}

/* {"id", "expires_at", "credits", "points", "quote"} */
static void
show(loyalty_api_call_t *call, int status, const loyalty_hold_t *hold)
{
    static const char *const states[] = {
        [LOYALTY_HOLD_HELD] = "held",
        [LOYALTY_HOLD_ORDERED] = "ordered",
        [LOYALTY_HOLD_RELEASED] = "released",
    };
    json_t *json, *quote;

    quote = json_loadb(hold->quote.data, hold->quote.len, 0, NULL);
    json = json_pack("{s:s%, s:s, s:I, s:I, s:o*}", "id", hold->id.data,
                     hold->id.len, "state", states[hold->state], "credits",
                     (json_int_t)hold->credits.amount, "points",
                     (json_int_t)hold->points.amount, "quote", quote);
    loyalty_api_set_instant(json, "expires_at", hold->expires_at);
    loyalty_api_set_str(json, "member_id", hold->member);
    loyalty_api_set_str(json, "order_id", hold->order);
    loyalty_api_json(call, status, json);
}

static loyalty_store_result_t
commit(checkout_t *checkout, const loyalty_effects_t *effects)
{
    loyalty_api_call_t *call = checkout->call;
    loyalty_commands_t *commands = &call->session->commands;
    loyalty_member_writer_t writer = {&call->scope, checkout->change->program,
                                      checkout->arena, commands,
                                      checkout->change->origin};

    loyalty_commands_reset(commands);
    loyalty_command(commands, "MULTI", 1);

    if (checkout->slot != NULL) {
        loyalty_member_write_effects(&writer, checkout->slot->id,
                                     &checkout->freed);
        loyalty_member_write_effects(&writer, checkout->slot->id, effects);
        checkout->slot->changed = checkout->slot->member.version
                                  != checkout->slot->before.version;
        loyalty_member_change_write(checkout->change, commands);
    } else {
        loyalty_wallet_write(&call->scope, &checkout->freed, checkout->arena,
                             commands);
        loyalty_wallet_write(&call->scope, effects, checkout->arena, commands);
    }

    loyalty_hold_write(&call->scope, &checkout->hold, checkout->arena,
                       commands);
    return loyalty_api_commit(call);
}

/* The cart with all that the shopper brings. */
static bool
read_cart(checkout_t *checkout, loyalty_cart_t *cart)
{
    loyalty_api_call_t *call = checkout->call;
    loyalty_problems_t problems;
    loyalty_status_t status;

    loyalty_problems_init(&problems, call->arena);
    status = loyalty_cart_parse(checkout->cart, checkout->change->program,
                                member_of(checkout), call->now,
                                checkout->arena, &problems, cart);
    if (status == LOYALTY_OK && checkout->slot == NULL) {
        cart->points = 0;
    }
    if (status == LOYALTY_OK) {
        status = loyalty_cart_site_usage(cart, checkout->usage,
                                         checkout->nusage, checkout->arena);
    }
    if (status == LOYALTY_OK) {
        status = loyalty_api_codes_bring(&checkout->codes, cart,
                                         checkout->hold.id, checkout->arena);
    }

    if (status == LOYALTY_ERROR_INVALID) {
        loyalty_api_problems(call, 422, "invalid", "the cart is not valid",
                             problems.list, problems.count, "");
    } else if (status != LOYALTY_OK) {
        loyalty_api_refuse(call, status, NULL);
    }

    return status == LOYALTY_OK;
}

/* The quote as text, kept with the hold. */
static loyalty_status_t
keep_quote(checkout_t *checkout, const loyalty_cart_t *cart,
           const loyalty_quote_t *quote)
{
    json_t *json = loyalty_quote_to_json(cart, quote);
    char *text = json_dumps(json, JSON_COMPACT);
    loyalty_status_t status = LOYALTY_ERROR_MEMORY;

    if (text != NULL) {
        status = loyalty_str_copy(checkout->arena, loyalty_str_from(text),
                                  &checkout->hold.quote);
    }

    free(text);
    json_decref(json);
    return status;
}

static loyalty_store_result_t
take(checkout_t *checkout)
{
    loyalty_api_call_t *call = checkout->call;
    loyalty_effects_t effects = {0};
    loyalty_status_t status;
    loyalty_quote_t quote;
    loyalty_cart_t cart;

    if (!read_cart(checkout, &cart)) {
        return LOYALTY_STORE_OK;
    }

    status = loyalty_cart_evaluate(checkout->change->program, &cart,
                                   checkout->arena, &quote);
    if (status == LOYALTY_OK && checkout->terms.credits > quote.total) {
        loyalty_api_problem(call, "/credits",
                            "must not be more than the cart comes to");
        return LOYALTY_STORE_OK;
    }

    checkout->hold = (loyalty_hold_t){
        .id = checkout->hold.id,
        .member = checkout->slot == NULL ? loyalty_str_null
                                         : checkout->slot->id,
        .created_at = call->now,
        .expires_at = call->now + checkout->terms.ttl * LOYALTY_SECOND,
        .print = print_of(checkout),
    };

    if (status == LOYALTY_OK) {
        status = keep_quote(checkout, &cart, &quote);
    }
    if (status == LOYALTY_OK) {
        status = loyalty_hold_take(&checkout->hold, member_of(checkout),
                                   &quote, checkout->terms.credits,
                                   checkout->arena, &effects);
    }
    if (status != LOYALTY_OK) {
        loyalty_api_refuse(call, status, effects.refusal);
        return LOYALTY_STORE_OK;
    }

    show(call, 201, &checkout->hold);
    return commit(checkout, &effects);
}

static loyalty_store_result_t
renew(checkout_t *checkout)
{
    loyalty_api_call_t *call = checkout->call;
    loyalty_effects_t effects;
    loyalty_status_t status;

    status = loyalty_hold_renew(&checkout->hold, member_of(checkout),
                                call->now
                                    + checkout->terms.ttl * LOYALTY_SECOND,
                                checkout->arena, &effects);
    if (status != LOYALTY_OK) {
        return LOYALTY_STORE_MEMORY;
    }

    show(call, 200, &checkout->hold);
    return commit(checkout, &effects);
}

/* The checkout had a hold that is not the one it wants now. */
static loyalty_status_t
free_old(checkout_t *checkout)
{
    const loyalty_effects_t *freed = &checkout->freed;
    loyalty_status_t status;
    size_t i, j;

    status = loyalty_hold_release(&checkout->hold, member_of(checkout),
                                  checkout->call->now,
                                  loyalty_str("released"), checkout->arena,
                                  &checkout->freed);

    for (i = 0; status == LOYALTY_OK && i < freed->nusage; i++) {
        for (j = 0; j < checkout->nusage; j++) {
            if (loyalty_str_eq(checkout->usage[j].offer,
                               freed->usage[i].offer)) {
                checkout->usage[j].total += freed->usage[i].total;
                checkout->usage[j].spent += freed->usage[i].spent;
            }
        }
    }

    return status;
}

static loyalty_store_result_t
check_out(checkout_t *checkout)
{
    loyalty_api_call_t *call = checkout->call;
    const loyalty_hold_t *hold = &checkout->hold;
    loyalty_str_t member = checkout->slot == NULL ? loyalty_str_null
                                                  : checkout->slot->id;

    if (!checkout->found) {
        return take(checkout);
    }

    if (!loyalty_str_eq(hold->member, member)) {
        loyalty_api_error(call, 409, "exists_with_different_member",
                          "the checkout is another shopper's");
        return LOYALTY_STORE_OK;
    }

    if (hold->state == LOYALTY_HOLD_ORDERED) {
        loyalty_api_error(call, 409, "already_ordered",
                          "the order of this checkout has been placed");
        return LOYALTY_STORE_OK;
    }

    if (loyalty_hold_is_live(hold, call->now)
        && hold->print == print_of(checkout)) {
        return renew(checkout);
    }

    return free_old(checkout) == LOYALTY_OK ? take(checkout)
                                            : LOYALTY_STORE_MEMORY;
}

loyalty_store_result_t
loyalty_api_post_hold(loyalty_api_call_t *call)
{
    checkout_t checkout = {.call = call, .change = &call->session->change};
    loyalty_store_result_t result = LOYALTY_STORE_OK;
    char id[LOYALTY_JOB_ID_SIZE];

    checkout.arena = &checkout.change->arena;
    loyalty_replies_init(&checkout.replies);

    if (read_terms(&checkout)) {
        checkout.hold.id = checkout.terms.checkout;
        if (checkout.hold.id.len == 0 && loyalty_job_id(id)) {
            checkout.hold.id = loyalty_str_from(id);
        }

        result = load_member(&checkout);
        if (result == LOYALTY_STORE_OK && call->response->status == 0) {
            result = load_more(&checkout);
        }
        if (result == LOYALTY_STORE_OK && call->response->status == 0) {
            result = check_out(&checkout);
        }
    }

    loyalty_replies_free(&checkout.replies);
    json_decref(checkout.cart);

    return result;
}

/* No hold has a longer id; false: 404 is written. */
static bool
may_be_hold(loyalty_api_call_t *call)
{
    if (call->segments[3].len <= LOYALTY_ORDER_ID_MAX) {
        return true;
    }

    loyalty_api_not_found(call, "hold");
    return false;
}

loyalty_store_result_t
loyalty_api_get_hold(loyalty_api_call_t *call)
{
    loyalty_store_result_t result;
    loyalty_replies_t replies;
    loyalty_hold_t hold;
    loyalty_str_t bytes;

    if (!may_be_hold(call)) {
        return LOYALTY_STORE_OK;
    }

    loyalty_commands_reset(&call->session->commands);
    loyalty_api_command(call, "GET", "hd", call->segments[3], 0);
    loyalty_replies_init(&replies);
    result = loyalty_api_read(call, &replies);

    if (result == LOYALTY_STORE_OK) {
        if (!loyalty_reply_str(replies.list[0], &bytes)) {
            result = LOYALTY_STORE_MALFORMED;
        } else if (bytes.data == NULL) {
            loyalty_api_not_found(call, "hold");
        } else if (loyalty_hold_decode(bytes, call->arena, &hold)
                   != LOYALTY_OK) {
            result = LOYALTY_STORE_MALFORMED;
        } else {
            show(call, 200, &hold);
        }
    }

    loyalty_replies_free(&replies);
    return result;
}

loyalty_store_result_t
loyalty_api_delete_hold(loyalty_api_call_t *call)
{
    loyalty_store_result_t result;
    loyalty_hold_end_t end;

    if (!may_be_hold(call)) {
        return LOYALTY_STORE_OK;
    }

    result = loyalty_hold_end(&call->session->change, &call->scope,
                              call->segments[3], call->now, false, &end);
    if (result != LOYALTY_STORE_OK) {
        return result;
    }

    if (end == LOYALTY_HOLD_GONE) {
        loyalty_api_not_found(call, "hold");
    } else if (end == LOYALTY_HOLD_KEPT) {
        loyalty_api_error(call, 409, "already_ordered",
                          "the order of this checkout has been placed");
    } else {
        loyalty_api_no_content(call);
    }

    return LOYALTY_STORE_OK;
}
