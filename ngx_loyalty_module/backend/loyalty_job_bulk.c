/*
 * Points, credits or an offer to many members (loyalty_recipients.h).
 *
 * Each member gets one grant or one entry of the wallet, whose id is the
 * job's.  A tombstone still gets its own; an erased member is refused by core/
 * (DOMAIN.md section 2).
 */

#include <openssl/rand.h>

#include "loyalty_bulk.h"
#include "loyalty_code.h"
#include "loyalty_content.h"
#include "loyalty_job_kinds.h"
#include "loyalty_offer.h"
#include "loyalty_recipients.h"
#include "loyalty_wallet.h"

/* Members of one transaction where each needs a code of its own, and the codes
 * tried for each. */
#define PAGE_CODES 64
#define CODE_TRIES 4

typedef struct {
    loyalty_str_t *codes; /* CODE_TRIES for each of the page; or NULL */
    loyalty_str_t chosen[PAGE_CODES];
} bulk_t;

static loyalty_status_t
grant(loyalty_job_t *job, loyalty_member_slot_t *slot,
      loyalty_member_change_t *change)
{
    loyalty_grant_t given;

    loyalty_bulk_grant(job->params, &given);
    given.id = job->id;
    given.cause.at = job->now;
    given.cause.by = job->by;

    return loyalty_member_grant(&slot->member, job->program, &given,
                                &change->arena, &slot->effects);
}

/* Has a member before this one on the page got it? */
static bool
is_chosen(const bulk_t *bulk, size_t index, loyalty_str_t code)
{
    size_t i;

    for (i = 0; i < index; i++) {
        if (loyalty_str_eq(bulk->chosen[i], code)) {
            return true;
        }
    }

    return false;
}

/* The first of the member's codes that nobody has; none left: false. */
static bool
take_code(const loyalty_job_t *job, size_t index, loyalty_str_t *code)
{
    bulk_t *bulk = job->data;
    const redisReply *taken;
    size_t i;

    *code = loyalty_str_null;
    if (bulk->codes == NULL) {
        return true;
    }

    bulk->chosen[index] = loyalty_str_null;
    taken = loyalty_job_reply(job, 1);
    for (i = index * CODE_TRIES; i < (index + 1) * CODE_TRIES; i++) {
        if (taken->type == REDIS_REPLY_ARRAY && i < taken->elements
            && loyalty_reply_is_nil(taken->element[i])
            && !is_chosen(bulk, index, bulk->codes[i])) {
            bulk->chosen[index] = bulk->codes[i];
            *code = bulk->codes[i];
            return true;
        }
    }

    return false;
}

static loyalty_status_t
give_offer(loyalty_job_t *job, loyalty_member_slot_t *slot,
           loyalty_member_change_t *change)
{
    loyalty_acquisition_t acquired;
    loyalty_grant_t given;

    loyalty_bulk_grant(job->params, &given);
    acquired = (loyalty_acquisition_t){
        .id = job->id,
        .offer = loyalty_str_from(
            json_string_value(json_object_get(job->params, "offer"))),
        .expires_at = given.expires_at,
        .cause = given.cause,
    };
    acquired.cause.at = job->now;
    acquired.cause.by = job->by;

    if (!take_code(job, (size_t)(slot - change->list), &acquired.code)) {
        slot->effects.refusal = "codes_used_up";
        return LOYALTY_ERROR_REFUSED;
    }

    return loyalty_wallet_acquire(&slot->member, job->program, &acquired,
                                  &change->arena, &slot->effects);
}

static bool
is_offer(const loyalty_job_t *job)
{
    return json_object_get(job->params, "offer") != NULL;
}

static loyalty_status_t
give(loyalty_job_t *job, loyalty_member_slot_t *slot,
     loyalty_member_change_t *change)
{
    const json_t *notify = json_object_get(job->params, "notify");
    loyalty_status_t status;

    status = is_offer(job) ? give_offer(job, slot, change)
                           : grant(job, slot, change);
    slot->changed = status == LOYALTY_OK && slot->effects.member_changed;
    if (slot->changed) {
        loyalty_job_count(job, "granted");
        if (notify != NULL) {
            loyalty_content_reach(job, notify, &slot->member, true,
                                  &change->writes);
        }
    }

    return status;
}

/* Codes for a page of n members, and the look whether somebody has them.
 * LOYALTY_STORE_OK without codes where the offer has no pattern. */
static loyalty_store_result_t
make_codes(loyalty_job_t *job, void *data, size_t n,
           loyalty_commands_t *reads)
{
    bulk_t *bulk = data;
    unsigned char random[2 * LOYALTY_CODE_MAX];
    char code[LOYALTY_CODE_MAX + 1];
    const loyalty_program_t *program;
    const loyalty_offer_t *offer;
    loyalty_store_result_t result;
    loyalty_str_t text;
    size_t i;

    result = loyalty_programs_get(job->change->programs, job->store,
                                  &job->scope, &program);
    if (result != LOYALTY_STORE_OK || program == NULL || n == 0) {
        return result;
    }

    offer = loyalty_program_offer(
        program, loyalty_str_from(json_string_value(
                     json_object_get(job->params, "offer"))));
    if (offer == NULL || offer->code_pattern.len == 0) {
        return LOYALTY_STORE_OK;
    }

    bulk->codes = loyalty_alloc(job->arena,
                                n * CODE_TRIES * sizeof(*bulk->codes));
    if (bulk->codes == NULL) {
        return LOYALTY_STORE_MEMORY;
    }

    loyalty_command(reads, "WATCH", 2);
    loyalty_arg_key(reads, &job->scope, "cd", loyalty_str_null);
    loyalty_command(reads, "HMGET", 2 + n * CODE_TRIES);
    loyalty_arg_key(reads, &job->scope, "cd", loyalty_str_null);

    for (i = 0; i < n * CODE_TRIES; i++) {
        if (RAND_bytes(random, (int)(2 * offer->code_pattern.len)) != 1) {
            return LOYALTY_STORE_MEMORY;
        }
        text.len = loyalty_code_generate(offer->code_pattern, random, code);
        text.data = code;
        if (loyalty_str_copy(job->arena, text, &bulk->codes[i])
            != LOYALTY_OK) {
            return LOYALTY_STORE_MEMORY;
        }
        loyalty_arg(reads, text);
    }

    return LOYALTY_STORE_OK;
}

static loyalty_store_result_t
step(loyalty_job_t *job)
{
    bulk_t bulk = {0};

    return is_offer(job)
               ? loyalty_recipients_page(job, PAGE_CODES, make_codes, give,
                                         &bulk)
               : loyalty_recipients_scan(job, give, &bulk);
}

const loyalty_job_kind_t loyalty_job_bulk = {"bulk", step};
