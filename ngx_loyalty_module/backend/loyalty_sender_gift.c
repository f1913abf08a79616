/*
 * What comes with a message: points, or an offer in the wallet.  Its id is made
 * of the message's, so that a claim that is tried again gives nothing twice.
 */

#include "loyalty_sender_private.h"

#include <stdio.h>
#include <sys/random.h>

#include "loyalty_codec.h"
#include "loyalty_wallet.h"

#define CODES 10 /* that may be somebody's already */

/* "rule-" and 32 digits that are the message's. */
static void
gift_id(loyalty_str_t message, char id[LOYALTY_ID_MAX])
{
    snprintf(
        id, LOYALTY_ID_MAX, "rule-%016llx%016llx",
        (unsigned long long)loyalty_fingerprint(1, message.data, message.len),
        (unsigned long long)loyalty_fingerprint(2, message.data, message.len));
}

static loyalty_status_t
give_points(loyalty_member_slot_t *slot, const loyalty_sender_t *sender,
            const loyalty_rule_t *rule, loyalty_str_t id, loyalty_instant_t now,
            loyalty_arena_t *arena)
{
    loyalty_grant_t grant;

    loyalty_rule_grant(rule, now, &grant);
    grant.id = id;
    grant.cause.order = sender->sending.order;

    return loyalty_member_grant(&slot->member, sender->change.program, &grant,
                                arena, &slot->effects);
}

/* A code that nobody has, into sender->code; the index is WATCHed.  The member
 * and its message are WATCHed already, by the same connection. */
static loyalty_store_result_t
make_code(loyalty_sender_t *sender, loyalty_str_t pattern)
{
    loyalty_commands_t *commands = &sender->tools.commands;
    const loyalty_sending_t *sending = &sender->sending;
    unsigned char random[LOYALTY_CODE_MAX * 2];
    loyalty_store_result_t result = LOYALTY_STORE_OK;
    loyalty_replies_t replies;
    int64_t taken = 1;
    int i;

    loyalty_replies_init(&replies);

    for (i = 0; i < CODES && result == LOYALTY_STORE_OK && taken != 0; i++) {
        if (getrandom(random, sizeof(random), 0) != sizeof(random)) {
            return LOYALTY_STORE_MEMORY;
        }
        loyalty_code_generate(pattern, random, sender->code);
        loyalty_commands_reset(commands);
        loyalty_sending_key(sending, commands, "WATCH", 2, "cd",
                            loyalty_str_null);
        loyalty_sending_key(sending, commands, "HEXISTS", 3, "cd",
                            loyalty_str_null);
        loyalty_arg_text(commands, sender->code);
        loyalty_replies_free(&replies);
        result = loyalty_store_call(sender->tools.store, sending->scope.site,
                                    commands, &replies);
        if (result == LOYALTY_STORE_OK
            && !loyalty_reply_int(replies.list[1], &taken)) {
            result = LOYALTY_STORE_MALFORMED;
        }
    }

    loyalty_replies_free(&replies);

    if (taken != 0) {
        sender->code[0] = '\0'; /* the offer is given without one */
    }

    return result;
}

static loyalty_status_t
give_offer(loyalty_member_slot_t *slot, loyalty_sender_t *sender,
           const loyalty_rule_t *rule, loyalty_str_t id, loyalty_instant_t now,
           loyalty_arena_t *arena)
{
    const loyalty_acquisition_t acquired = {
        .id = id,
        .offer = rule->offer,
        .code = loyalty_str_from(sender->code),
        .expires_at = LOYALTY_NEVER,
        .cause = {.at = now,
                  .order = sender->sending.order,
                  .offer = rule->offer,
                  .by = loyalty_str("system"),
                  .reason = rule->id},
    };

    return loyalty_wallet_acquire(&slot->member, sender->change.program,
                                  &acquired, arena, &slot->effects);
}

loyalty_store_result_t
loyalty_sender_give(loyalty_sender_t *sender, loyalty_member_change_t *change,
                    const loyalty_rule_t *rule, loyalty_instant_t now)
{
    loyalty_sending_t *sending = &sender->sending;
    loyalty_member_slot_t *slot = &change->list[0];
    loyalty_store_result_t result;
    const loyalty_offer_t *offer;
    loyalty_status_t rc;
    loyalty_str_t id;
    char *text;

    if (rule == NULL || sending->given
        || (rule->points == 0 && rule->offer.len == 0)) {
        return LOYALTY_STORE_OK;
    }

    text = loyalty_alloc(&change->arena, LOYALTY_ID_MAX);
    if (text == NULL) {
        return LOYALTY_STORE_MEMORY;
    }

    offer = loyalty_program_offer(change->program, rule->offer);
    if (offer != NULL && offer->code_pattern.len != 0
        && offer->type == LOYALTY_OFFER_COUPON) {
        result = make_code(sender, offer->code_pattern);
        if (result != LOYALTY_STORE_OK) {
            return result;
        }
    }

    gift_id(sending->id, text);
    id = loyalty_str_from(text);
    rc = rule->points != 0
             ? give_points(slot, sender, rule, id, now, &change->arena)
             : give_offer(slot, sender, rule, id, now, &change->arena);
    if (rc == LOYALTY_ERROR_MEMORY) {
        return LOYALTY_STORE_MEMORY;
    }

    slot->changed = rc == LOYALTY_OK;
    loyalty_sending_set(sending, &change->writes, "g", loyalty_str("1"));
    if (slot->changed && sender->code[0] != '\0') {
        loyalty_sending_set(sending, &change->writes, "k",
                            loyalty_str_from(sender->code));
        sending->code = loyalty_str_from(sender->code);
    }

    return LOYALTY_STORE_OK;
}
