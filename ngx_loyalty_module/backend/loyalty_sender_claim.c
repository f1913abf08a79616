/*
 * Claiming a message: with its member, its order and what the member was sent
 * of late, in one transaction that counts the try, gives what the rule gives
 * and makes the message due again a while later; or it is blocked.
 */

#include "loyalty_sender_private.h"

#define CLAIM_MARGIN 10000 /* ms for what comes before and after the call */

static void
write_block(loyalty_sender_t *sender, loyalty_blocked_t reason,
            loyalty_instant_t now, loyalty_commands_t *commands)
{
    const loyalty_sending_t *sending = &sender->sending;
    loyalty_str_t what =
        sending->rule.len != 0 ? sending->rule : sending->content;
    char element[LOYALTY_ID_MAX + 1 + LOYALTY_MEMBER_ID_MAX];

    if (what.len <= LOYALTY_ID_MAX
        && sending->member.len <= LOYALTY_MEMBER_ID_MAX) {
        memcpy(element, what.data, what.len);
        element[what.len] = '\0';
        memcpy(element + what.len + 1, sending->member.data,
               sending->member.len);
        loyalty_sending_key(sending, commands, "ZADD", 4, "mb",
                            loyalty_str_null);
        loyalty_arg_int(commands, now * LOYALTY_BLOCKED_SCALE + reason);
        loyalty_arg(commands, (loyalty_str_t){
                                  element, what.len + 1 + sending->member.len});
    }

    loyalty_sending_set(sending, commands, "b",
                        loyalty_str_from(loyalty_blocked_name(reason)));
    loyalty_sending_settle(sending, "blocked", commands);
    sender->claim = LOYALTY_CLAIM_BLOCKED;
}

/* How long the claim holds: longer than the call of the provider. */
static int64_t
claim_time(const loyalty_sender_t *sender)
{
    int timeout =
        loyalty_delivery_timeout(sender->delivery, sender->sending.channel);
    int email =
        loyalty_delivery_timeout(sender->delivery, LOYALTY_CHANNEL_EMAIL);

    /* In test mode everything goes by e-mail. */
    return (timeout > email ? timeout : email) + CLAIM_MARGIN;
}

static void
write_claim(loyalty_sender_t *sender, loyalty_instant_t now,
            loyalty_commands_t *commands)
{
    loyalty_sending_t *sending = &sender->sending;

    loyalty_sending_key(sending, commands, "HINCRBY", 4, "mg", sending->id);
    loyalty_arg_text(commands, "y");
    loyalty_arg_int(commands, 1);
    loyalty_sending_key(sending, commands, "HSETNX", 4, "mg", sending->id);
    loyalty_arg_text(commands, "f");
    loyalty_arg_int(commands, now);
    loyalty_sending_box(sending, commands, "ZADD", 5);
    loyalty_arg_text(commands, "XX");
    loyalty_arg_int(commands, now + claim_time(sender));
    loyalty_arg(commands, sending->id);
    loyalty_sending_key(sending, commands, "ZADD", 5, "ms", sending->member);
    loyalty_arg_text(commands, "NX");
    loyalty_arg_int(commands, now);
    loyalty_arg(commands, sending->id);
    loyalty_sending_key(sending, commands, "ZREMRANGEBYSCORE", 4, "ms",
                        sending->member);
    loyalty_arg_text(commands, "-inf");
    loyalty_arg_int(commands, now - LOYALTY_MESSAGE_CAP_DAYS_MAX * LOYALTY_DAY);

    sending->tries++;
    if (sending->first_try == LOYALTY_UNKNOWN) {
        sending->first_try = now;
    }
    sender->claim = LOYALTY_CLAIM_SEND;
}

/* The replies to what prepare_claim() asked. */
enum {
    REPLY_MESSAGE = 2,
    REPLY_DUE,
    REPLY_UNSUBSCRIBED,
    REPLY_SENT,
    REPLY_ORDER
};

static int64_t
count_recent(const redisReply *list, loyalty_instant_t since)
{
    loyalty_str_t text;
    int64_t at, n = 0;
    size_t i;

    for (i = 1; list->type == REDIS_REPLY_ARRAY && i < list->elements; i += 2) {
        n += loyalty_reply_str(list->element[i], &text)
             && loyalty_str_int(text, &at) && at > since;
    }

    return n;
}

static loyalty_store_result_t
decide(loyalty_member_change_t *change, void *data)
{
    loyalty_sender_t *sender = data;
    loyalty_sending_t *sending = &sender->sending;
    loyalty_instant_t now = loyalty_apply_clock();
    loyalty_rule_result_t result;
    loyalty_str_t score, bytes;
    loyalty_due_t due;
    int64_t at, out;

    sender->claim = LOYALTY_CLAIM_NOTHING;
    sender->order = NULL;
    sender->code[0] = '\0';

    if (!loyalty_sending_read(change->more[REPLY_MESSAGE], sending)
        || !loyalty_reply_str(change->more[REPLY_DUE], &score)
        || !loyalty_reply_int(change->more[REPLY_UNSUBSCRIBED], &out)
        || !loyalty_reply_str(change->more[REPLY_ORDER], &bytes)) {
        return LOYALTY_STORE_MALFORMED;
    }

    if (score.data == NULL || !loyalty_str_int(score, &at) || at > now) {
        return LOYALTY_STORE_OK; /* claimed, sent or withdrawn meanwhile */
    }

    if (!loyalty_sending_is_pending(sending) || change->list[0].corrupt) {
        loyalty_sending_box(sending, &change->writes, "ZREM", 3);
        loyalty_arg(&change->writes, sending->id);
        return LOYALTY_STORE_OK;
    }

    if (bytes.len != 0) {
        (void)loyalty_order_decode(bytes, &change->arena, &sender->order);
    }

    due = (loyalty_due_t){
        .channel = sending->channel,
        .by_rule = sending->rule.len != 0,
        .rule = loyalty_program_rule(change->program, sending->rule),
        .opted_in = sending->opted_in,
        .unsubscribed = out != 0,
        .tried = sending->tries != 0,
        .recent = count_recent(change->more[REPLY_SENT],
                               loyalty_cap_since(change->program, now)),
    };
    result = change->list[0].fresh
                 ? LOYALTY_RULE_DELETED
                 : loyalty_due_check(change->program, &change->list[0].member,
                                     &due);
    if (result != LOYALTY_RULE_FIRED) {
        write_block(sender, loyalty_blocked_of(result), now, &change->writes);
        return LOYALTY_STORE_OK;
    }

    write_claim(sender, now, &change->writes);
    return loyalty_sender_give(sender, change, due.rule, now);
}

static void
prepare_claim(loyalty_sender_t *sender, loyalty_commands_t *reads)
{
    const loyalty_sending_t *sending = &sender->sending;
    loyalty_str_t order =
        sending->order.len != 0 ? sending->order : loyalty_str("\n");

    loyalty_sending_key(sending, reads, "WATCH", 2, "mg", sending->id);
    loyalty_sending_key(sending, reads, "WATCH", 2, "ms", sending->member);
    loyalty_sending_key(sending, reads, "HGETALL", 2, "mg", sending->id);
    loyalty_sending_box(sending, reads, "ZSCORE", 3);
    loyalty_arg(reads, sending->id);
    loyalty_sending_key(
        sending, reads, "SISMEMBER", 3, "us",
        loyalty_str_from(loyalty_channel_name(sending->channel)));
    loyalty_arg(reads, sending->member);
    loyalty_sending_key(sending, reads, "ZRANGE", 5, "ms", sending->member);
    loyalty_arg_int(reads, -LOYALTY_MESSAGE_CAP_MAX);
    loyalty_arg_int(reads, -1);
    loyalty_arg_text(reads, "WITHSCORES");
    loyalty_sending_key(sending, reads, "GET", 2, "o", order);
}

loyalty_store_result_t
loyalty_sender_claim(loyalty_sender_t *sender)
{
    loyalty_str_t member = sender->sending.member; /* which is read again */
    loyalty_store_result_t result;
    loyalty_commands_t reads;

    loyalty_commands_init(&reads);
    prepare_claim(sender, &reads);
    result = loyalty_member_change(&sender->change, &sender->sending.scope,
                                   &member, 1, &reads, decide, sender);
    loyalty_commands_free(&reads);

    return result;
}
