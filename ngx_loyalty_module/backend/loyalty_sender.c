/*
 * One message at a time:
 *
 *   ZRANGEBYSCORE outbox     which are due?
 *   HMGET mg                 whose are they?
 *   claim    WATCH p, m, mg, ms   MULTI ... tries + 1, gift, due again  EXEC
 *   send     no transaction, no lock
 *   record   WATCH mg             MULTI ... sent | failed | later       EXEC
 *
 * No lease: a claim that another sender was quicker with finds the message
 * claimed, and leaves it.
 */

#include "loyalty_sender.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

#include "loyalty_apply_site.h"
#include "loyalty_calendar.h"
#include "loyalty_code.h"
#include "loyalty_codec.h"
#include "loyalty_event.h"
#include "loyalty_letter.h"
#include "loyalty_link.h"
#include "loyalty_member_change.h"
#include "loyalty_message.h"
#include "loyalty_retry.h"
#include "loyalty_rounds.h"
#include "loyalty_tracks.h"
#include "loyalty_wallet.h"

#define DUE_MAX 64
#define TRIES 10 /* of a transaction */
#define CODES 10 /* that may be somebody's already */
#define CLAIM_MARGIN 10000 /* ms for what comes before and after the call */

/* Twelve tries, most of a day; then the message has failed. */
static const loyalty_retry_t retry = {
    .first = 30 * LOYALTY_SECOND,
    .longest = 8 * LOYALTY_HOUR,
    .tries = 12,
};

/* A message as Redis has it. */
typedef struct {
    loyalty_str_t id;
    loyalty_str_t state, rule, member, order, content, code;
    loyalty_channel_t channel;
    loyalty_instant_t created_at, first_try;
    int64_t tries;
    bool given;
} sending_t;

typedef enum {
    CLAIM_NOTHING, /* somebody else has it, or it is gone */
    CLAIM_BLOCKED,
    CLAIM_SEND
} claim_t;

struct loyalty_sender_s {
    loyalty_apply_tools_t tools; /* without batches */
    loyalty_delivery_t *delivery;
    loyalty_str_t secret;
    loyalty_member_change_t change;
    loyalty_formats_t formats;
    loyalty_arena_t letter; /* of a message */
    loyalty_rounds_t rounds;

    /* Of the message being claimed. */
    loyalty_scope_t scope;
    sending_t sending;
    claim_t claim;
    loyalty_order_t *order;
    loyalty_replies_t content;
    char code[LOYALTY_CODE_MAX + 1];
};

static loyalty_store_result_t serve(void *data, const loyalty_scope_t *scope,
                                    int64_t until, int *rest);

loyalty_sender_t *
loyalty_sender_create(const loyalty_store_conf_t *conf,
                      const loyalty_delivery_conf_t *delivery,
                      loyalty_str_t secret, loyalty_log_pt log, void *data)
{
    loyalty_sender_t *sender = calloc(1, sizeof(*sender));

    if (sender == NULL) {
        return NULL;
    }

    sender->secret = secret;
    sender->rounds = (loyalty_rounds_t){
        .conf = conf,
        .tools = &sender->tools,
        .good = "sending messages goes on",
        .bad = "messages are not sent",
        .serve = serve,
        .data = sender,
    };
    sender->tools.log = log;
    sender->tools.log_data = data;
    sender->tools.store = loyalty_store_open(conf);
    sender->tools.programs = loyalty_programs_create();
    sender->delivery = loyalty_delivery_create(delivery, conf->stopping);
    loyalty_commands_init(&sender->tools.commands);
    loyalty_arena_init(&sender->letter, 0);
    loyalty_rounds_init(&sender->rounds);
    loyalty_member_change_init(&sender->change, sender->tools.store,
                               sender->tools.programs);

    if (sender->tools.store == NULL || sender->tools.programs == NULL
        || sender->delivery == NULL) {
        loyalty_sender_free(sender);
        return NULL;
    }

    return sender;
}

void
loyalty_sender_free(loyalty_sender_t *sender)
{
    loyalty_replies_free(&sender->content);
    loyalty_member_change_free(&sender->change);
    loyalty_arena_free(&sender->letter);
    loyalty_rounds_free(&sender->rounds);
    loyalty_delivery_free(sender->delivery);
    loyalty_programs_free(sender->tools.programs);
    loyalty_commands_free(&sender->tools.commands);
    if (sender->tools.store != NULL) {
        loyalty_store_close(sender->tools.store);
    }
    free(sender);
}

static void
key_command(loyalty_sender_t *sender, loyalty_commands_t *commands,
            const char *name, size_t argc, const char *kind,
            loyalty_str_t rest)
{
    loyalty_command(commands, name, argc);
    loyalty_arg_key(commands, &sender->scope, kind, rest);
}

/* HGETALL of a message. */
static bool
read_sending(const redisReply *reply, loyalty_str_t id, sending_t *sending)
{
    loyalty_str_t name, value;
    int64_t number;
    size_t i;

    *sending = (sending_t){.id = id, .first_try = LOYALTY_UNKNOWN};

    if (reply->type != REDIS_REPLY_ARRAY) {
        return false;
    }

    for (i = 0; i + 1 < reply->elements; i += 2) {
        if (!loyalty_reply_str(reply->element[i], &name)
            || !loyalty_reply_str(reply->element[i + 1], &value)) {
            return false;
        }

        number = 0;
        (void)loyalty_str_int(value, &number);

        if (loyalty_str_eq(name, loyalty_str("s"))) {
            sending->state = value;
        } else if (loyalty_str_eq(name, loyalty_str("r"))) {
            sending->rule = value;
        } else if (loyalty_str_eq(name, loyalty_str("m"))) {
            sending->member = value;
        } else if (loyalty_str_eq(name, loyalty_str("o"))) {
            sending->order = value;
        } else if (loyalty_str_eq(name, loyalty_str("ct"))) {
            sending->content = value;
        } else if (loyalty_str_eq(name, loyalty_str("k"))) {
            sending->code = value;
        } else if (loyalty_str_eq(name, loyalty_str("c"))) {
            sending->channel = loyalty_channel_named(value);
        } else if (loyalty_str_eq(name, loyalty_str("a"))) {
            sending->created_at = number;
        } else if (loyalty_str_eq(name, loyalty_str("f"))) {
            sending->first_try = number;
        } else if (loyalty_str_eq(name, loyalty_str("y"))) {
            sending->tries = number;
        } else if (loyalty_str_eq(name, loyalty_str("g"))) {
            sending->given = true;
        }
    }

    return true;
}

static bool
is_pending(const sending_t *sending)
{
    return loyalty_str_eq(sending->state, loyalty_str("pending"))
           && sending->channel != 0;
}

/* Out of the outbox and of the pending; `what` is its number from now on. */
static void
settle(loyalty_sender_t *sender, const char *state,
       loyalty_commands_t *commands)
{
    const sending_t *sending = &sender->sending;

    key_command(sender, commands, "ZREM", 3, "x", loyalty_str("outbox"));
    loyalty_arg(commands, sending->id);
    loyalty_message_move(sending->id, "pending", state, sending->created_at,
                         &sender->scope, commands);
    loyalty_message_count(sending->rule, "pending", -1, &sender->scope,
                          commands);
    loyalty_message_count(sending->rule, state, 1, &sender->scope, commands);
}

static void
set_field(loyalty_sender_t *sender, loyalty_commands_t *commands,
          const char *name, loyalty_str_t value)
{
    key_command(sender, commands, "HSET", 4, "mg", sender->sending.id);
    loyalty_arg_text(commands, name);
    loyalty_arg(commands, value);
}

static void
write_block(loyalty_sender_t *sender, loyalty_blocked_t reason,
            loyalty_instant_t now, loyalty_commands_t *commands)
{
    const sending_t *sending = &sender->sending;
    loyalty_str_t what = sending->rule.len != 0 ? sending->rule
                                                : sending->content;
    char element[LOYALTY_ID_MAX + 1 + LOYALTY_MEMBER_ID_MAX];

    if (what.len <= LOYALTY_ID_MAX
        && sending->member.len <= LOYALTY_MEMBER_ID_MAX) {
        memcpy(element, what.data, what.len);
        element[what.len] = '\0';
        memcpy(element + what.len + 1, sending->member.data,
               sending->member.len);
        key_command(sender, commands, "ZADD", 4, "mb", loyalty_str_null);
        loyalty_arg_int(commands, now * LOYALTY_BLOCKED_SCALE + reason);
        loyalty_arg(commands, (loyalty_str_t){
                                  element, what.len + 1 + sending->member.len});
    }

    set_field(sender, commands, "s", loyalty_str("blocked"));
    set_field(sender, commands, "b",
              loyalty_str_from(loyalty_blocked_name(reason)));
    settle(sender, "blocked", commands);
    sender->claim = CLAIM_BLOCKED;
}

static bool
has_address(const loyalty_member_t *member, loyalty_channel_t channel)
{
    return (channel == LOYALTY_CHANNEL_EMAIL       ? member->email.len
            : channel == LOYALTY_CHANNEL_SMS       ? member->phone.len
            : channel == LOYALTY_CHANNEL_MESSENGER ? member->messenger_id.len
                                                   : member->line_id.len)
           != 0;
}

/* Why it may not go out any more, or 0. */
static loyalty_blocked_t
reason_to_block(const loyalty_sender_t *sender, const loyalty_rule_t *rule,
                const loyalty_member_t *member, bool unsubscribed,
                int64_t recent)
{
    const sending_t *sending = &sender->sending;
    const loyalty_message_settings_t *settings =
        &sender->change.program->settings.messages;
    bool consents = (member->consent & (unsigned)sending->channel) != 0;

    if (member->deleted_at != LOYALTY_UNKNOWN) {
        return LOYALTY_BLOCKED_DELETED;
    }
    if (sending->rule.len != 0 && (rule == NULL || !rule->enabled)) {
        return LOYALTY_BLOCKED_RULE;
    }
    if (unsubscribed && !consents) {
        return LOYALTY_BLOCKED_UNSUBSCRIBED;
    }
    if (rule != NULL && rule->filter == LOYALTY_RULE_OPTED_IN && !consents) {
        return LOYALTY_BLOCKED_CONSENT;
    }
    if (!has_address(member, sending->channel)) {
        return LOYALTY_BLOCKED_ADDRESS;
    }
    if (settings->cap != 0 && sending->tries == 0 && recent >= settings->cap) {
        return LOYALTY_BLOCKED_CAP;
    }

    return (loyalty_blocked_t)0;
}

/* "rule-" and 32 digits that are the message's. */
static void
gift_id(loyalty_str_t message, char id[LOYALTY_ID_MAX])
{
    snprintf(id, LOYALTY_ID_MAX, "rule-%016llx%016llx",
             (unsigned long long)loyalty_fingerprint(1, message.data,
                                                     message.len),
             (unsigned long long)loyalty_fingerprint(2, message.data,
                                                     message.len));
}

static loyalty_status_t
give_points(loyalty_member_slot_t *slot, const loyalty_sender_t *sender,
            const loyalty_rule_t *rule, loyalty_str_t id,
            loyalty_instant_t now, loyalty_arena_t *arena)
{
    const loyalty_grant_t grant = {
        .amount = rule->points,
        .id = id,
        .starts_at = LOYALTY_UNKNOWN,
        .expires_at = rule->points_expire_days == 0
                          ? LOYALTY_NEVER
                          : now + rule->points_expire_days * LOYALTY_DAY,
        .earned = true,
        .cause = {.at = now, .order = sender->sending.order,
                  .by = loyalty_str("system"), .reason = rule->id},
    };

    return loyalty_member_grant(&slot->member, sender->change.program, &grant,
                                arena, &slot->effects);
}

/* A code that nobody has, into sender->code; the index is WATCHed.  The member
 * and its message are WATCHed already, by the same connection. */
static loyalty_store_result_t
make_code(loyalty_sender_t *sender, loyalty_str_t pattern)
{
    loyalty_commands_t *commands = &sender->tools.commands;
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
        key_command(sender, commands, "WATCH", 2, "cd", loyalty_str_null);
        key_command(sender, commands, "HEXISTS", 3, "cd", loyalty_str_null);
        loyalty_arg_text(commands, sender->code);
        loyalty_replies_free(&replies);
        result = loyalty_store_call(sender->tools.store, sender->scope.site,
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
        .cause = {.at = now, .order = sender->sending.order,
                  .offer = rule->offer, .by = loyalty_str("system"),
                  .reason = rule->id},
    };

    return loyalty_wallet_acquire(&slot->member, sender->change.program,
                                  &acquired, arena, &slot->effects);
}

/* What the rule gives comes with the message, once.  What cannot be given (an
 * offer that has ended) does not keep the message back. */
static loyalty_store_result_t
give(loyalty_sender_t *sender, loyalty_member_change_t *change,
     const loyalty_rule_t *rule, loyalty_instant_t now)
{
    loyalty_member_slot_t *slot = &change->list[0];
    loyalty_store_result_t result;
    const loyalty_offer_t *offer;
    loyalty_status_t rc;
    loyalty_str_t id;
    char *text;

    if (rule == NULL || sender->sending.given
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

    gift_id(sender->sending.id, text);
    id = loyalty_str_from(text);
    rc = rule->points != 0
             ? give_points(slot, sender, rule, id, now, &change->arena)
             : give_offer(slot, sender, rule, id, now, &change->arena);
    if (rc == LOYALTY_ERROR_MEMORY) {
        return LOYALTY_STORE_MEMORY;
    }

    slot->changed = rc == LOYALTY_OK;
    set_field(sender, &change->writes, "g", loyalty_str("1"));
    if (slot->changed && sender->code[0] != '\0') {
        set_field(sender, &change->writes, "k",
                  loyalty_str_from(sender->code));
        sender->sending.code = loyalty_str_from(sender->code);
    }

    return LOYALTY_STORE_OK;
}

/* How long the claim holds: longer than the call of the provider. */
static int64_t
claim_time(const loyalty_sender_t *sender)
{
    int timeout = loyalty_delivery_timeout(sender->delivery,
                                           sender->sending.channel);
    int email = loyalty_delivery_timeout(sender->delivery,
                                         LOYALTY_CHANNEL_EMAIL);

    /* In test mode everything goes by e-mail. */
    return (timeout > email ? timeout : email) + CLAIM_MARGIN;
}

static void
write_claim(loyalty_sender_t *sender, loyalty_instant_t now,
            loyalty_commands_t *commands)
{
    sending_t *sending = &sender->sending;

    key_command(sender, commands, "HINCRBY", 4, "mg", sending->id);
    loyalty_arg_text(commands, "y");
    loyalty_arg_int(commands, 1);
    key_command(sender, commands, "HSETNX", 4, "mg", sending->id);
    loyalty_arg_text(commands, "f");
    loyalty_arg_int(commands, now);
    key_command(sender, commands, "ZADD", 5, "x", loyalty_str("outbox"));
    loyalty_arg_text(commands, "XX");
    loyalty_arg_int(commands, now + claim_time(sender));
    loyalty_arg(commands, sending->id);
    key_command(sender, commands, "ZADD", 5, "ms", sending->member);
    loyalty_arg_text(commands, "NX");
    loyalty_arg_int(commands, now);
    loyalty_arg(commands, sending->id);
    key_command(sender, commands, "ZREMRANGEBYSCORE", 4, "ms",
                sending->member);
    loyalty_arg_text(commands, "-inf");
    loyalty_arg_int(commands,
                    now - LOYALTY_MESSAGE_CAP_DAYS_MAX * LOYALTY_DAY);

    sending->tries++;
    if (sending->first_try == LOYALTY_UNKNOWN) {
        sending->first_try = now;
    }
    sender->claim = CLAIM_SEND;
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
    loyalty_instant_t now = loyalty_apply_clock();
    const loyalty_rule_t *rule;
    loyalty_blocked_t reason;
    loyalty_str_t due, bytes;
    int64_t at, out;

    sender->claim = CLAIM_NOTHING;
    sender->order = NULL;
    sender->code[0] = '\0';

    if (!read_sending(change->more[REPLY_MESSAGE], sender->sending.id,
                      &sender->sending)
        || !loyalty_reply_str(change->more[REPLY_DUE], &due)
        || !loyalty_reply_int(change->more[REPLY_UNSUBSCRIBED], &out)
        || !loyalty_reply_str(change->more[REPLY_ORDER], &bytes)) {
        return LOYALTY_STORE_MALFORMED;
    }

    if (due.data == NULL || !loyalty_str_int(due, &at) || at > now) {
        return LOYALTY_STORE_OK; /* claimed, sent or withdrawn meanwhile */
    }

    if (!is_pending(&sender->sending) || change->list[0].corrupt) {
        key_command(sender, &change->writes, "ZREM", 3, "x",
                    loyalty_str("outbox"));
        loyalty_arg(&change->writes, sender->sending.id);
        return LOYALTY_STORE_OK;
    }

    if (bytes.len != 0) {
        (void)loyalty_order_decode(bytes, &change->arena, &sender->order);
    }

    rule = loyalty_program_rule(change->program, sender->sending.rule);
    reason = change->list[0].fresh
                 ? LOYALTY_BLOCKED_DELETED
                 : reason_to_block(
                       sender, rule, &change->list[0].member, out != 0,
                       count_recent(
                           change->more[REPLY_SENT],
                           now - change->program->settings.messages.cap_days
                                     * LOYALTY_DAY));
    if (reason != 0) {
        write_block(sender, reason, now, &change->writes);
        return LOYALTY_STORE_OK;
    }

    write_claim(sender, now, &change->writes);
    return give(sender, change, rule, now);
}

static void
prepare_claim(loyalty_sender_t *sender, loyalty_commands_t *reads)
{
    const sending_t *sending = &sender->sending;
    loyalty_str_t order = sending->order.len != 0 ? sending->order
                                                  : loyalty_str("\n");

    key_command(sender, reads, "WATCH", 2, "mg", sending->id);
    key_command(sender, reads, "WATCH", 2, "ms", sending->member);
    key_command(sender, reads, "HGETALL", 2, "mg", sending->id);
    key_command(sender, reads, "ZSCORE", 3, "x", loyalty_str("outbox"));
    loyalty_arg(reads, sending->id);
    key_command(sender, reads, "SISMEMBER", 3, "us",
                loyalty_str_from(loyalty_channel_name(sending->channel)));
    loyalty_arg(reads, sending->member);
    key_command(sender, reads, "ZRANGE", 5, "ms", sending->member);
    loyalty_arg_int(reads, -LOYALTY_MESSAGE_CAP_MAX);
    loyalty_arg_int(reads, -1);
    loyalty_arg_text(reads, "WITHSCORES");
    key_command(sender, reads, "GET", 2, "o", order);
}

/* The text that a broadcast's messages share. */
static loyalty_store_result_t
read_content(loyalty_sender_t *sender, loyalty_letter_t *letter)
{
    static const char *const names[] = {"subject", "text", "html", "name",
                                        "address"};
    loyalty_commands_t *commands = &sender->tools.commands;
    loyalty_str_t *fields[] = {
        &letter->content.subject, &letter->content.text, &letter->content.html,
        &letter->content.sender_name, &letter->content.sender_address};
    loyalty_store_result_t result;
    const redisReply *reply;
    size_t i;

    if (sender->sending.content.len == 0) {
        return LOYALTY_STORE_OK;
    }

    loyalty_commands_reset(commands);
    key_command(sender, commands, "HMGET", 7, "ct", sender->sending.content);
    for (i = 0; i < 5; i++) {
        loyalty_arg_text(commands, names[i]);
    }
    result = loyalty_store_call(sender->tools.store, sender->scope.site,
                                commands, &sender->content);
    if (result != LOYALTY_STORE_OK) {
        return result;
    }

    reply = sender->content.list[0];
    if (!loyalty_reply_array(reply, 5)) {
        return LOYALTY_STORE_MALFORMED;
    }
    for (i = 0; i < 5; i++) {
        if (!loyalty_reply_str(reply->element[i], fields[i])) {
            return LOYALTY_STORE_MALFORMED;
        }
    }

    return LOYALTY_STORE_OK;
}

static loyalty_store_result_t
send_it(loyalty_sender_t *sender, loyalty_delivery_answer_t *answer)
{
    loyalty_letter_t letter = {
        .program = sender->change.program,
        .member = &sender->change.list[0].member,
        .rule = loyalty_program_rule(sender->change.program,
                                     sender->sending.rule),
        .order = sender->order,
        .id = sender->sending.id,
        .channel = sender->sending.channel,
        .code = sender->sending.code,
        .secret = sender->secret,
        .formats = &sender->formats,
        .at = loyalty_apply_clock(),
    };
    loyalty_store_result_t result;
    loyalty_envelope_t envelope;
    loyalty_status_t rc;

    *answer = (loyalty_delivery_answer_t){.result = LOYALTY_DELIVERY_PERMANENT};
    result = read_content(sender, &letter);
    if (result != LOYALTY_STORE_OK) {
        return result;
    }

    rc = loyalty_letter_write(&letter, &sender->letter, &envelope);
    if (rc == LOYALTY_OK) {
        loyalty_delivery_send(sender->delivery, &envelope, answer);
    } else {
        snprintf(answer->error, sizeof(answer->error),
                 "the message cannot be written (%s)",
                 loyalty_status_name(rc));
        if (rc == LOYALTY_ERROR_MEMORY) {
            answer->result = LOYALTY_DELIVERY_PASSING;
        }
    }

    return LOYALTY_STORE_OK;
}

/* "w:2026-11-16": the Monday of the site's own week. */
static bool
week_of(const loyalty_program_t *program, loyalty_instant_t at, char *field)
{
    char date[LOYALTY_DATE_SIZE];
    struct tm tm = {0};
    time_t day;

    if (!loyalty_calendar_day(program->settings.time_zone, at, date, NULL)
        || sscanf(date, "%d-%d-%d", &tm.tm_year, &tm.tm_mon, &tm.tm_mday)
               != 3) {
        return false;
    }

    tm.tm_year -= 1900;
    tm.tm_mon -= 1;
    day = timegm(&tm);
    day -= (time_t)((tm.tm_wday + 6) % 7) * 86400;
    gmtime_r(&day, &tm);
    snprintf(field, LOYALTY_DATE_SIZE, "w:%04d-%02d-%02d", tm.tm_year + 1900,
             tm.tm_mon + 1, tm.tm_mday);
    return true;
}

static void
write_event(loyalty_sender_t *sender, loyalty_event_t event, const char *error,
            loyalty_commands_t *commands)
{
    const loyalty_events_t events = {&sender->scope, sender->change.program,
                                     commands};
    const sending_t *sending = &sender->sending;
    const loyalty_message_event_t message = {
        .id = sending->id,
        .rule = sending->rule,
        .member = sending->member,
        .channel = loyalty_str_from(loyalty_channel_name(sending->channel)),
        .order = sending->order,
        .error = loyalty_str_from(error),
    };

    loyalty_event_message(&events, event, &message);
}

static void
write_outcome(loyalty_sender_t *sender, const loyalty_delivery_answer_t *answer,
              loyalty_commands_t *commands)
{
    const sending_t *sending = &sender->sending;
    loyalty_instant_t now = loyalty_apply_clock(), again = LOYALTY_NEVER;
    char week[LOYALTY_DATE_SIZE];
    uint32_t random = (uint32_t)now;

    if (answer->result == LOYALTY_DELIVERY_SENT) {
        set_field(sender, commands, "s", loyalty_str("sent"));
        if (answer->reference[0] != '\0') {
            set_field(sender, commands, "x",
                      loyalty_str_from(answer->reference));
        }
        key_command(sender, commands, "HSET", 4, "mg", sending->id);
        loyalty_arg_text(commands, "t");
        loyalty_arg_int(commands, now);
        key_command(sender, commands, "HDEL", 3, "mg", sending->id);
        loyalty_arg_text(commands, "e");
        settle(sender, "sent", commands);
        if (week_of(sender->change.program, now, week)) {
            loyalty_message_count(sending->rule, week, 1, &sender->scope,
                                  commands);
        }
        write_event(sender, LOYALTY_EVENT_MESSAGE_SENT, "", commands);
        return;
    }

    (void)!getrandom(&random, sizeof(random), GRND_NONBLOCK);
    set_field(sender, commands, "e", loyalty_str_from(answer->error));

    if (answer->result != LOYALTY_DELIVERY_PERMANENT) {
        again = loyalty_retry_at(&retry, (int32_t)sending->tries,
                                 sending->first_try, now, answer->retry_after,
                                 random);
    }

    if (again != LOYALTY_NEVER) {
        key_command(sender, commands, "ZADD", 4, "x", loyalty_str("outbox"));
        loyalty_arg_int(commands, again);
        loyalty_arg(commands, sending->id);
        return;
    }

    set_field(sender, commands, "s", loyalty_str("failed"));
    settle(sender, "failed", commands);
    write_event(sender, LOYALTY_EVENT_MESSAGE_FAILED, answer->error, commands);
    key_command(sender, commands, "ZREM", 3, "ms", sending->member);
    loyalty_arg(commands, sending->id);
}

/* Once, even if a claim ran out and two senders come to write. */
static loyalty_store_result_t
record(loyalty_sender_t *sender, const loyalty_delivery_answer_t *answer)
{
    loyalty_commands_t *commands = &sender->tools.commands;
    loyalty_store_result_t result = LOYALTY_STORE_CONFLICT;
    loyalty_replies_t replies;
    loyalty_str_t state;
    int tries;

    loyalty_replies_init(&replies);

    for (tries = 0; tries < TRIES && result == LOYALTY_STORE_CONFLICT;
         tries++) {
        loyalty_commands_reset(commands);
        key_command(sender, commands, "WATCH", 2, "mg", sender->sending.id);
        key_command(sender, commands, "HGET", 3, "mg", sender->sending.id);
        loyalty_arg_text(commands, "s");
        loyalty_replies_free(&replies);
        result = loyalty_store_call(sender->tools.store, sender->scope.site,
                                    commands, &replies);
        if (result != LOYALTY_STORE_OK) {
            break;
        }

        if (!loyalty_reply_str(replies.list[1], &state)
            || !loyalty_str_eq(state, loyalty_str("pending"))) {
            loyalty_store_unwatch(sender->tools.store, sender->scope.site);
            break;
        }

        loyalty_commands_reset(commands);
        loyalty_command(commands, "MULTI", 1);
        write_outcome(sender, answer, commands);
        loyalty_command(commands, "EXEC", 1);
        result = loyalty_store_exec(sender->tools.store, sender->scope.site,
                                    commands);
    }

    loyalty_replies_free(&replies);

    return result;
}

/* One message that seemed due. */
static loyalty_store_result_t
process(loyalty_sender_t *sender)
{
    loyalty_str_t member = sender->sending.member; /* which is read again */
    loyalty_delivery_answer_t answer;
    loyalty_store_result_t result;
    loyalty_commands_t reads;

    loyalty_commands_init(&reads);
    prepare_claim(sender, &reads);
    result = loyalty_member_change(&sender->change, &sender->scope, &member, 1,
                                   &reads, decide, sender);
    loyalty_commands_free(&reads);

    if (result == LOYALTY_STORE_OK && sender->claim == CLAIM_SEND) {
        loyalty_arena_reset(&sender->letter);
        result = send_it(sender, &answer);
        if (result == LOYALTY_STORE_OK
            && answer.result != LOYALTY_DELIVERY_STOPPED) {
            result = record(sender, &answer);
        }
        loyalty_replies_free(&sender->content);
    }

    return result;
}

static loyalty_store_result_t
read_due(loyalty_sender_t *sender, loyalty_replies_t *replies)
{
    loyalty_commands_t *commands = &sender->tools.commands;

    loyalty_commands_reset(commands);
    key_command(sender, commands, "ZRANGEBYSCORE", 7, "x",
                loyalty_str("outbox"));
    loyalty_arg_text(commands, "-inf");
    loyalty_arg_int(commands, loyalty_apply_clock());
    loyalty_arg_text(commands, "LIMIT");
    loyalty_arg_int(commands, 0);
    loyalty_arg_int(commands, DUE_MAX);

    return loyalty_store_call(sender->tools.store, sender->scope.site,
                              commands, replies);
}

/* What the due messages are, one HGETALL each. */
static loyalty_store_result_t
read_messages(loyalty_sender_t *sender, const redisReply *due,
              loyalty_replies_t *replies)
{
    loyalty_commands_t *commands = &sender->tools.commands;
    loyalty_str_t id;
    size_t i;

    loyalty_commands_reset(commands);
    for (i = 0; i < due->elements; i++) {
        if (!loyalty_reply_str(due->element[i], &id) || id.data == NULL
            || id.len > LOYALTY_MESSAGE_ID_MAX) {
            return LOYALTY_STORE_MALFORMED;
        }
        key_command(sender, commands, "HGETALL", 2, "mg", id);
    }

    return loyalty_store_call(sender->tools.store, sender->scope.site,
                              commands, replies);
}

/* A message that is no more, or makes no sense. */
static loyalty_store_result_t
drop(loyalty_sender_t *sender, loyalty_str_t id)
{
    loyalty_commands_t *commands = &sender->tools.commands;
    loyalty_store_result_t result;
    loyalty_replies_t replies;

    loyalty_replies_init(&replies);
    loyalty_commands_reset(commands);
    key_command(sender, commands, "ZREM", 3, "x", loyalty_str("outbox"));
    loyalty_arg(commands, id);
    result = loyalty_store_call(sender->tools.store, sender->scope.site,
                                commands, &replies);
    loyalty_replies_free(&replies);

    return result;
}

/* The site's due messages, while the time lasts; *rest becomes shorter where
 * there is more to do. */
static loyalty_store_result_t
send_site(loyalty_sender_t *sender, int64_t until, int *rest)
{
    loyalty_store_result_t result;
    loyalty_replies_t due, messages;
    int64_t wait;
    size_t i;

    loyalty_replies_init(&due);
    loyalty_replies_init(&messages);
    result = read_due(sender, &due);

    if (result == LOYALTY_STORE_OK
        && due.list[0]->type != REDIS_REPLY_ARRAY) {
        result = LOYALTY_STORE_MALFORMED;
    }

    if (result == LOYALTY_STORE_OK && due.list[0]->elements != 0) {
        result = read_messages(sender, due.list[0], &messages);
    }

    for (i = 0; result == LOYALTY_STORE_OK && i < messages.count; i++) {
        if (loyalty_rounds_stopping(&sender->rounds)
            || loyalty_link_now() >= until) {
            *rest = 0;
            break;
        }

        if (!read_sending(messages.list[i],
                          (loyalty_str_t){due.list[0]->element[i]->str,
                                          due.list[0]->element[i]->len},
                          &sender->sending)) {
            result = LOYALTY_STORE_MALFORMED;
            break;
        }

        if (!is_pending(&sender->sending)
            || loyalty_member_id_check(sender->sending.member) != LOYALTY_OK) {
            result = drop(sender, sender->sending.id);
            continue;
        }

        wait = loyalty_delivery_wait(sender->delivery,
                                     sender->sending.channel);
        if (wait != 0) {
            *rest = wait < *rest ? (int)wait : *rest;
            continue;
        }

        *rest = 0;
        result = process(sender);
        if (result == LOYALTY_STORE_FENCED
            || result == LOYALTY_STORE_CONFLICT) {
            result = LOYALTY_STORE_OK; /* the site is gone; or too lively */
            break;
        }
    }

    loyalty_replies_free(&due);
    loyalty_replies_free(&messages);

    return result;
}

static loyalty_store_result_t
serve(void *data, const loyalty_scope_t *scope, int64_t until, int *rest)
{
    loyalty_sender_t *sender = data;
    loyalty_store_result_t result;
    bool busy = false;

    sender->scope = *scope;
    result = send_site(sender, until, rest);
    if (result == LOYALTY_STORE_OK && sender->secret.len != 0) {
        result = loyalty_tracks_apply(&sender->change, scope, &busy);
    }
    if (busy) {
        *rest = 0;
    }

    return result;
}

int
loyalty_sender_run(loyalty_sender_t *sender)
{
    return loyalty_rounds_run(&sender->rounds);
}
