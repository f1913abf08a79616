/*
 * Messages in Redis: their log, their outbox, the numbers of a rule.
 *
 *          fire              claim            answer
 *   (none) ----> pending -------------> pending ------> sent
 *                   |     due again in     |  \          conversion: a sent one
 *        order      |     a while, so a    |   \-----> failed     with an order
 *        cancelled  |     kill loses none  |            for good, too often
 *                   v                      v
 *                (none)                 blocked   consent, cap, ...
 *
 *   mg:{site}:MESSAGE  hash  s state, r rule, m member, o order, n mark,
 *                            c channel, a created, d due, y tries, f first try,
 *                            b reason, e error, x provider's id, t sent at,
 *                            ct content, i 1: only with consent (where there
 *                            is no rule), g 1: what it gives is given,
 *                            k coupon code, p opens, q machine opens, l clicks,
 *                            u unsubscribed, v orders converted, w revenue
 *   ob:{site}:CHANNEL  zset  pending messages by the instant of the next try
 *   ml:{site}[:STATE]  zset  messages (in that state) by created_at;
 *                            of conversion: message \0 order, by placed_at
 *   mm:{site}:member   zset  a member's, by created_at
 *   ms:{site}:member   zset  those claimed to be sent, by that instant
 *   us:{site}:CHANNEL  set   members who unsubscribed
 *   mb:{site}          zset  rule \0 member (or content \0 member), blocked
 *                            when it was due; the score is instant * 16 +
 *                            reason.  \0 member: by its last order, what of
 *                            each rule br says
 *   br:{site}          hash  member -> (digit of the reason, rule, \0)...
 *   rs:{site}[:RULE]   hash  numbers, of one rule and over all
 *   ct:{site}:CONTENT  hash  subject, text, html, name, address: what is sent
 *                            where no rule's template is
 *   mt:{site}:member   string last touches (loyalty_touch.h)
 *   oc:{site}:order    string REVENUE MESSAGE: whom the order is credited to
 */

#ifndef LOYALTY_MESSAGE_H
#define LOYALTY_MESSAGE_H

#include "loyalty_commands.h"
#include "loyalty_rule.h"

#define LOYALTY_MESSAGE_ID_SIZE (LOYALTY_MESSAGE_ID_MAX + 1)

/* Why a message is blocked; the numbers are in scores. */
typedef enum {
    LOYALTY_BLOCKED_CRITERIA = 1,
    LOYALTY_BLOCKED_DELETED,
    LOYALTY_BLOCKED_FILTER,
    LOYALTY_BLOCKED_CONSENT,
    LOYALTY_BLOCKED_ADDRESS,
    LOYALTY_BLOCKED_UNSUBSCRIBED,
    LOYALTY_BLOCKED_CAP,
    LOYALTY_BLOCKED_RULE, /* deleted, or off, before it was due */
    LOYALTY_BLOCKED_REASONS
} loyalty_blocked_t;

#define LOYALTY_BLOCKED_SCALE 16

const char *loyalty_blocked_name(loyalty_blocked_t reason);
loyalty_blocked_t loyalty_blocked_of(loyalty_rule_result_t result);

/* "email", ...; and back, 0: none. */
const char *loyalty_channel_name(loyalty_channel_t channel);
loyalty_channel_t loyalty_channel_named(loyalty_str_t name);

/* Of (rule, member, mark): the same three, the same id. */
void loyalty_message_id(loyalty_str_t rule, loyalty_str_t member, int64_t mark,
                        char id[LOYALTY_MESSAGE_ID_SIZE]);

/* The rule in such an id; empty: it is none of a rule's. */
loyalty_str_t loyalty_message_rule(loyalty_str_t id);

/* A new message.  Without a rule it has `content`, and counts over all only. */
typedef struct {
    loyalty_str_t id;
    loyalty_str_t rule;
    loyalty_str_t content; /* id of ct, where there is no rule */
    bool opted_in;         /* only with consent, where there is no rule */
    loyalty_str_t member;
    loyalty_str_t order;
    int64_t mark;
    loyalty_channel_t channel;
    loyalty_instant_t created_at;
    loyalty_instant_t due_at;
} loyalty_message_t;

/* Appended to the caller's MULTI: the message, pending, in all its lists. */
void loyalty_message_write(const loyalty_message_t *message,
                           const loyalty_scope_t *scope,
                           loyalty_commands_t *commands);

/* And away again, as if it had never been; its channel need not be known. */
void loyalty_message_withdraw(const loyalty_message_t *message,
                              const loyalty_scope_t *scope,
                              loyalty_commands_t *commands);

/* One that failed is pending again, due now, its tries counted anew.  Needs
 * id, rule, channel and created_at. */
void loyalty_message_retry(const loyalty_message_t *message,
                           loyalty_instant_t now,
                           const loyalty_scope_t *scope,
                           loyalty_commands_t *commands);

/* From one state's list to another's. */
void loyalty_message_move(loyalty_str_t id, const char *from, const char *to,
                          loyalty_instant_t created_at,
                          const loyalty_scope_t *scope,
                          loyalty_commands_t *commands);

/* An order is credited to a message, or (`reversed`) no longer. */
void loyalty_message_convert(loyalty_str_t message, loyalty_str_t order,
                             loyalty_instant_t at, int64_t revenue,
                             bool reversed, const loyalty_scope_t *scope,
                             loyalty_arena_t *arena,
                             loyalty_commands_t *commands);

/* "REVENUE MESSAGE"; false: it is something else. */
bool loyalty_message_credit(loyalty_str_t text, int64_t *revenue,
                            loyalty_str_t *message);

/* HINCRBY of the rule's numbers (where there is a rule) and those over all. */
void loyalty_message_count(loyalty_str_t rule, const char *what, int64_t n,
                           const loyalty_scope_t *scope,
                           loyalty_commands_t *commands);

#endif
