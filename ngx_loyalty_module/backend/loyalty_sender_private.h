/*
 * What the files of the sender share.  For loyalty_sender*.c and
 * loyalty_sending.c.
 */

#ifndef LOYALTY_SENDER_PRIVATE_H
#define LOYALTY_SENDER_PRIVATE_H

#include "loyalty_sender.h"

#include "loyalty_code.h"
#include "loyalty_couriers.h"
#include "loyalty_letter.h"
#include "loyalty_member_change.h"
#include "loyalty_message.h"
#include "loyalty_rounds.h"

/* A message as Redis has it. */
typedef struct {
    loyalty_scope_t scope;
    loyalty_channel_t box; /* in whose outbox it lies */
    loyalty_str_t id;
    loyalty_str_t state, rule, member, order, content, code;
    loyalty_channel_t channel;
    loyalty_instant_t created_at, first_try;
    int64_t tries;
    bool given;
    bool opted_in; /* only with consent */
} loyalty_sending_t;

typedef enum {
    LOYALTY_CLAIM_NOTHING, /* somebody else has it, or it is gone */
    LOYALTY_CLAIM_BLOCKED,
    LOYALTY_CLAIM_SEND
} loyalty_claim_t;

/* On its way; all of it the arena's. */
typedef struct loyalty_flight_s loyalty_flight_t;

struct loyalty_flight_s {
    loyalty_parcel_t parcel; /* first: it is what couriers give back */
    loyalty_sending_t sending;
    loyalty_arena_t arena;
    loyalty_flight_t *next; /* of those not in use */
};

struct loyalty_sender_s {
    loyalty_apply_tools_t tools; /* without batches */
    loyalty_rounds_t rounds;
    const loyalty_delivery_conf_t *delivery;
    loyalty_couriers_t *couriers;
    loyalty_flight_t *landed; /* not in use */
    loyalty_str_t secret;
    loyalty_member_change_t change;
    loyalty_formats_t formats;

    /* Of the message being claimed. */
    loyalty_sending_t sending;
    loyalty_claim_t claim;
    loyalty_order_t *order;
    char code[LOYALTY_CODE_MAX + 1];
};

/* From the HGETALL of a message, whose id, scope and box are there; its texts
 * are the reply's. */
bool loyalty_sending_read(const redisReply *reply, loyalty_sending_t *sending);
bool loyalty_sending_is_pending(const loyalty_sending_t *sending);

/* A command whose first argument is a key of the message's site. */
void loyalty_sending_key(const loyalty_sending_t *sending,
                         loyalty_commands_t *commands, const char *name,
                         size_t argc, const char *kind, loyalty_str_t rest);

/* A command whose first argument is the message's outbox. */
void loyalty_sending_box(const loyalty_sending_t *sending,
                         loyalty_commands_t *commands, const char *name,
                         size_t argc);

/* HSET of one field of the message. */
void loyalty_sending_set(const loyalty_sending_t *sending,
                         loyalty_commands_t *commands, const char *name,
                         loyalty_str_t value);

/* Out of the outbox, and `state` instead of pending. */
void loyalty_sending_settle(const loyalty_sending_t *sending, const char *state,
                            loyalty_commands_t *commands);

/* Claims sender->sending, which seemed due, or blocks it; sender->claim. */
loyalty_store_result_t loyalty_sender_claim(loyalty_sender_t *sender);

/*
 * What the rule gives comes with the message, once.  What cannot be given (an
 * offer that has ended) does not keep the message back.  Part of the claim.
 */
loyalty_store_result_t loyalty_sender_give(loyalty_sender_t *sender,
                                           loyalty_member_change_t *change,
                                           const loyalty_rule_t *rule,
                                           loyalty_instant_t now);

/* A copy whose texts are the arena's.  LOYALTY_ERROR_MEMORY. */
loyalty_status_t loyalty_sending_copy(const loyalty_sending_t *from,
                                      loyalty_arena_t *arena,
                                      loyalty_sending_t *to);

/* What became of a message sent; once, even if its claim ran out and two
 * senders come to write. */
loyalty_store_result_t
loyalty_sender_record(loyalty_sender_t *sender,
                      const loyalty_sending_t *sending,
                      const loyalty_delivery_answer_t *answer);

#endif
