/*
 * Coupon codes: typed ones looked up, new ones made, lists of them.
 */

#include "loyalty_api_codes.h"

#include "loyalty_code.h"
#include "loyalty_csv.h"
#include "loyalty_job.h"
#include "loyalty_offer.h"
#include "loyalty_wallet_store.h"

#include <stdio.h>
#include <stdlib.h>

#define EXPORT_PAGE 5000 /* codes of one piece */

bool
loyalty_api_codes_typed(loyalty_api_codes_t *codes, const json_t *cart,
                        loyalty_arena_t *arena)
{
    const json_t *list = json_object_get(cart, "codes");
    loyalty_str_t typed;
    json_t *item;
    size_t i, len;
    char *folded;

    *codes = (loyalty_api_codes_t){0};
    if (!json_is_array(list)
        || json_array_size(list) > LOYALTY_CART_CODES_MAX) {
        return true; /* the parser says so */
    }

    codes->list = loyalty_alloc(arena,
                                json_array_size(list) * sizeof(*codes->list));
    if (codes->list == NULL) {
        return false;
    }

    json_array_foreach(list, i, item)
    {
        typed = (loyalty_str_t){json_string_value(item),
                                json_string_length(item)};
        folded = loyalty_alloc(arena, LOYALTY_CODE_MAX);
        if (folded == NULL) {
            return false;
        }
        len = json_is_string(item) ? loyalty_code_fold(typed, folded) : 0;
        if (len != 0) {
            codes->list[codes->n++].code = (loyalty_str_t){folded, len};
        }
    }

    return true;
}

void
loyalty_api_codes_command(loyalty_api_call_t *call,
                          const loyalty_api_codes_t *codes)
{
    size_t i;

    loyalty_api_command(call, "HMGET", "cd", loyalty_str_null, codes->n);
    for (i = 0; i < codes->n; i++) {
        loyalty_arg(&call->session->commands, codes->list[i].code);
    }
}

bool
loyalty_api_codes_take(loyalty_api_codes_t *codes, const redisReply *reply)
{
    loyalty_str_t value, code;
    size_t i;

    if (!loyalty_reply_array(reply, codes->n)) {
        return false;
    }

    for (i = 0; i < codes->n; i++) {
        if (!loyalty_reply_str(reply->element[i], &value)) {
            return false;
        }

        code = codes->list[i].code;
        if (value.data != NULL && !loyalty_code_take(value, &codes->list[i])) {
            return false;
        }
        codes->list[i].code = code;
    }

    return true;
}

loyalty_status_t
loyalty_api_codes_bring(const loyalty_api_codes_t *codes, loyalty_cart_t *cart,
                        loyalty_str_t hold, loyalty_arena_t *arena)
{
    loyalty_cart_entry_t *entries;
    const loyalty_code_t *code;
    size_t i, j, n = cart->nentries;

    if (codes->n == 0) {
        return LOYALTY_OK;
    }

    entries = loyalty_alloc(arena, (n + codes->n) * sizeof(*entries));
    if (entries == NULL) {
        return LOYALTY_ERROR_MEMORY;
    }

    if (n != 0) {
        memcpy(entries, cart->entries, n * sizeof(*entries));
    }

    for (i = 0; i < codes->n; i++) {
        code = &codes->list[i];
        for (j = 0; j < i && !loyalty_str_eq(codes->list[j].code, code->code);
             j++) {
        }

        /* A member's own comes with the wallet, and is nobody else's. */
        if (j == i && code->offer.len != 0 && code->entitlement.len == 0) {
            entries[n++] = (loyalty_cart_entry_t){
                .offer = code->offer,
                .code = code->code,
                .bearer = true,
                .redeemed = code->order.len != 0,
                .held = code->order.len == 0 && code->hold.len != 0
                        && !loyalty_str_eq(code->hold, hold),
                .expires_at = LOYALTY_NEVER,
            };
        }
    }

    cart->entries = entries;
    cart->nentries = n;
    return LOYALTY_OK;
}

/* The coupon in the path; NULL: the error is written, or *result says what
 * went wrong. */
static const loyalty_offer_t *
coupon(loyalty_api_call_t *call, loyalty_store_result_t *result)
{
    const loyalty_program_t *program;
    const loyalty_offer_t *offer;

    *result = loyalty_api_program(call, &program);
    if (*result != LOYALTY_STORE_OK || program == NULL) {
        return NULL;
    }

    offer = loyalty_program_offer(program, call->segments[3]);
    if (offer == NULL || offer->type != LOYALTY_OFFER_COUPON) {
        loyalty_api_not_found(call, "coupon");
        return NULL;
    }

    return offer;
}

loyalty_store_result_t
loyalty_api_make_codes(loyalty_api_call_t *call)
{
    const json_t *value = json_object_get(call->body, "count");
    json_int_t count = json_integer_value(value);
    loyalty_store_result_t result;
    const loyalty_offer_t *offer;
    char id[LOYALTY_JOB_ID_SIZE];
    json_t *params;

    if (!json_is_integer(value) || count < 1 || count > LOYALTY_CODES_MAX) {
        loyalty_api_problem(call, "/count", "must be 1 to 1000000");
        return LOYALTY_STORE_OK;
    }

    offer = coupon(call, &result);
    if (offer == NULL) {
        return result;
    }

    if (offer->code_pattern.len == 0) {
        loyalty_api_error(call, 409, "no_code_pattern",
                          "the coupon has no code_pattern to fill in: give it "
                          "one, such as \"SPRING-@#@#@#\"");
        return LOYALTY_STORE_OK;
    }

    if (!loyalty_job_id(id)) {
        return LOYALTY_STORE_MEMORY;
    }

    params = json_pack("{s:s%, s:s%}", "offer", offer->id.data, offer->id.len,
                       "pattern", offer->code_pattern.data,
                       offer->code_pattern.len);
    loyalty_commands_reset(&call->session->commands);
    loyalty_command(&call->session->commands, "MULTI", 1);
    result = loyalty_api_create_job(call, "codes", loyalty_str_from(id),
                                    params, count);
    json_decref(params);

    return result;
}

static const char *
state_of(const loyalty_code_t *code)
{
    return code->order.len != 0  ? "used"
           : code->hold.len != 0 ? "held"
           : code->member.len != 0 ? "assigned"
                                   : "free";
}

/* Codes and what became of them, from the list's reply. */
static loyalty_store_result_t
look_up(loyalty_api_call_t *call, const loyalty_str_t *ids, size_t n,
        loyalty_api_codes_t *codes, loyalty_replies_t *replies)
{
    loyalty_store_result_t result;
    size_t i;

    codes->n = n;
    codes->list = loyalty_alloc(call->arena, (n + 1) * sizeof(*codes->list));
    if (codes->list == NULL) {
        return LOYALTY_STORE_MEMORY;
    }

    if (n == 0) {
        return LOYALTY_STORE_OK;
    }

    for (i = 0; i < n; i++) {
        codes->list[i].code = ids[i];
    }

    loyalty_commands_reset(&call->session->commands);
    loyalty_api_codes_command(call, codes);
    result = loyalty_api_read(call, replies);

    return result != LOYALTY_STORE_OK
                   || loyalty_api_codes_take(codes, replies->list[0])
               ? result
               : LOYALTY_STORE_MALFORMED;
}

static json_t *
code_to_json(const loyalty_code_t *code)
{
    json_t *object = json_pack("{s:s%, s:s}", "code", code->code.data,
                               code->code.len, "state", state_of(code));

    loyalty_api_set_str(object, "member_id", code->member);
    loyalty_api_set_str(object, "entitlement_id", code->entitlement);
    loyalty_api_set_str(object, "hold_id", code->hold);
    loyalty_api_set_str(object, "order_id", code->order);
    return object;
}

loyalty_store_result_t
loyalty_api_list_codes(loyalty_api_call_t *call)
{
    loyalty_str_t cursor = loyalty_api_query(call, "cursor"), *ids = NULL;
    loyalty_store_result_t result = LOYALTY_STORE_OK;
    loyalty_str_t next = loyalty_str_null;
    loyalty_replies_t list, replies;
    loyalty_api_codes_t codes;
    size_t i, n = 0, limit;
    json_t *array;
    char *start;

    if (!loyalty_api_limit(call, &limit) || coupon(call, &result) == NULL) {
        return call->response->status != 0 ? LOYALTY_STORE_OK : result;
    }

    start = loyalty_alloc(call->arena, cursor.len + 1);
    if (start == NULL) {
        return LOYALTY_STORE_MEMORY;
    }
    start[0] = '(';
    if (cursor.len != 0) {
        memcpy(start + 1, cursor.data, cursor.len);
    }

    loyalty_commands_reset(&call->session->commands);
    loyalty_api_command(call, "ZRANGEBYLEX", "cl", call->segments[3], 5);
    loyalty_arg(&call->session->commands,
                cursor.len == 0 ? loyalty_str("-")
                                : (loyalty_str_t){start, cursor.len + 1});
    loyalty_arg_text(&call->session->commands, "+");
    loyalty_arg_text(&call->session->commands, "LIMIT");
    loyalty_arg_int(&call->session->commands, 0);
    loyalty_arg_int(&call->session->commands, (int64_t)limit + 1);

    loyalty_replies_init(&list);
    loyalty_replies_init(&replies);
    result = loyalty_api_read(call, &list);
    if (result == LOYALTY_STORE_OK) {
        result = list.list[0]->type != REDIS_REPLY_ARRAY
                     ? LOYALTY_STORE_MALFORMED
                     : loyalty_api_ids(call, list.list[0], limit, &ids, &n,
                                       &next);
    }
    if (result == LOYALTY_STORE_OK) {
        result = look_up(call, ids, n, &codes, &replies);
    }

    if (result == LOYALTY_STORE_OK) {
        array = json_array();
        for (i = 0; i < codes.n; i++) {
            json_array_append_new(array, code_to_json(&codes.list[i]));
        }
        loyalty_api_list(call, "codes", array, next);
    }

    loyalty_replies_free(&list);
    loyalty_replies_free(&replies);

    return result;
}

/* "CODE,STATE,MEMBER,ORDER\r\n"; the ids are the shop's, and no formulas. */
static bool
put_row(FILE *out, const loyalty_code_t *code)
{
    const loyalty_str_t cells[] = {code->code,
                                   loyalty_str_from(state_of(code)),
                                   code->member, code->order};
    size_t i;
    char *cell;

    for (i = 0; i < sizeof(cells) / sizeof(cells[0]); i++) {
        cell = malloc(LOYALTY_CSV_CELL_SIZE(cells[i].len));
        if (cell == NULL) {
            return false;
        }
        fputs(i == 0 ? "" : ",", out);
        fwrite(cell, 1, loyalty_csv_cell(cells[i], cell), out);
        free(cell);
    }

    return fputs("\r\n", out) >= 0;
}

static char *
csv_of(const loyalty_api_codes_t *codes, bool head, size_t *len)
{
    char *text = NULL;
    FILE *out = open_memstream(&text, len);
    bool ok = true;
    size_t i;

    if (out == NULL) {
        return NULL;
    }

    if (head) {
        fputs("code,state,member_id,order_id\r\n", out);
    }

    for (i = 0; i < codes->n && ok; i++) {
        ok = put_row(out, &codes->list[i]);
    }

    if (fclose(out) != 0 || !ok) {
        free(text);
        return NULL;
    }

    return text;
}

loyalty_store_result_t
loyalty_api_export_codes(loyalty_api_call_t *call)
{
    size_t n = 0, offset = call->request->offset;
    loyalty_replies_t list, replies;
    loyalty_store_result_t result;
    loyalty_str_t *ids = NULL, next;
    loyalty_api_codes_t codes;

    if (coupon(call, &result) == NULL) {
        return result;
    }

    loyalty_commands_reset(&call->session->commands);
    loyalty_api_command(call, "ZRANGE", "cl", call->segments[3], 2);
    loyalty_arg_int(&call->session->commands, (int64_t)offset);
    loyalty_arg_int(&call->session->commands, (int64_t)offset + EXPORT_PAGE);

    loyalty_replies_init(&list);
    loyalty_replies_init(&replies);
    result = loyalty_api_read(call, &list);
    if (result == LOYALTY_STORE_OK) {
        result = list.list[0]->type != REDIS_REPLY_ARRAY
                     ? LOYALTY_STORE_MALFORMED
                     : loyalty_api_ids(call, list.list[0], EXPORT_PAGE, &ids,
                                       &n, &next);
    }
    if (result == LOYALTY_STORE_OK) {
        result = look_up(call, ids, n, &codes, &replies);
    }

    if (result == LOYALTY_STORE_OK) {
        call->response->body = csv_of(&codes, offset == 0,
                                      &call->response->len);
        call->response->status = 200;
        call->response->content_type = "text/csv; charset=utf-8";
        call->response->offset =
            list.list[0]->elements > EXPORT_PAGE ? offset + n : 0;
        result = call->response->body == NULL ? LOYALTY_STORE_MEMORY : result;
    }

    loyalty_replies_free(&list);
    loyalty_replies_free(&replies);

    return result;
}
