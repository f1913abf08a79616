/*
 * The commands by which a message changes; each belongs to a transaction of
 * its caller's.
 */

#include "loyalty_message.h"

#include <inttypes.h>
#include <stdio.h>

#include "loyalty_codec.h"
#include "loyalty_store.h"

static const char *const blocked_names[LOYALTY_BLOCKED_REASONS] = {
    [LOYALTY_BLOCKED_CRITERIA] = "criteria",
    [LOYALTY_BLOCKED_DELETED] = "deleted",
    [LOYALTY_BLOCKED_FILTER] = "filter",
    [LOYALTY_BLOCKED_CONSENT] = "consent",
    [LOYALTY_BLOCKED_ADDRESS] = "no_address",
    [LOYALTY_BLOCKED_UNSUBSCRIBED] = "unsubscribed",
    [LOYALTY_BLOCKED_CAP] = "frequency_cap",
    [LOYALTY_BLOCKED_RULE] = "rule_off",
};

static const struct {
    loyalty_channel_t channel;
    const char *name;
} channels[] = {
    {LOYALTY_CHANNEL_EMAIL, "email"},
    {LOYALTY_CHANNEL_SMS, "sms"},
    {LOYALTY_CHANNEL_MESSENGER, "messenger"},
    {LOYALTY_CHANNEL_LINE, "line"},
};

#define NCHANNELS (sizeof(channels) / sizeof(channels[0]))

const char *
loyalty_blocked_name(loyalty_blocked_t reason)
{
    return reason > 0 && reason < LOYALTY_BLOCKED_REASONS
               ? blocked_names[reason] : "";
}

loyalty_blocked_t
loyalty_blocked_of(loyalty_rule_result_t result)
{
    static const loyalty_blocked_t reasons[] = {
        [LOYALTY_RULE_CRITERIA] = LOYALTY_BLOCKED_CRITERIA,
        [LOYALTY_RULE_DELETED] = LOYALTY_BLOCKED_DELETED,
        [LOYALTY_RULE_FILTER] = LOYALTY_BLOCKED_FILTER,
        [LOYALTY_RULE_CONSENT] = LOYALTY_BLOCKED_CONSENT,
        [LOYALTY_RULE_ADDRESS] = LOYALTY_BLOCKED_ADDRESS,
        [LOYALTY_RULE_UNSUBSCRIBED] = LOYALTY_BLOCKED_UNSUBSCRIBED,
        [LOYALTY_RULE_CAP] = LOYALTY_BLOCKED_CAP,
        [LOYALTY_RULE_OFF] = LOYALTY_BLOCKED_RULE,
    };

    return reasons[result];
}

const char *
loyalty_channel_name(loyalty_channel_t channel)
{
    size_t i;

    for (i = 0; i < NCHANNELS; i++) {
        if (channels[i].channel == channel) {
            return channels[i].name;
        }
    }

    return "";
}

loyalty_channel_t
loyalty_channel_named(loyalty_str_t name)
{
    size_t i;

    for (i = 0; i < NCHANNELS; i++) {
        if (loyalty_str_eq(name, loyalty_str_from(channels[i].name))) {
            return channels[i].channel;
        }
    }

    return (loyalty_channel_t)0;
}

void
loyalty_message_id(loyalty_str_t rule, loyalty_str_t member, int64_t mark,
                   char id[LOYALTY_MESSAGE_ID_SIZE])
{
    snprintf(id, LOYALTY_MESSAGE_ID_SIZE,
             "%.*s.%016" PRIx64 "%016" PRIx64 ".%" PRId64, (int)rule.len,
             rule.data, loyalty_fingerprint(1, member.data, member.len),
             loyalty_fingerprint(2, member.data, member.len), mark);
}

/* "RULE.32 digits.MARK", from the right: the rule may have dots. */
loyalty_str_t
loyalty_message_rule(loyalty_str_t id)
{
    size_t i = id.len, digits = 0;

    while (i > 0 && id.data[i - 1] >= '0' && id.data[i - 1] <= '9') {
        i--;
    }

    if (i == id.len || i < 2 || id.data[--i] != '.') {
        return loyalty_str_null;
    }

    while (i > 0 && id.data[i - 1] != '.') {
        i--;
        digits++;
    }

    return digits == 32 && i > 1 ? (loyalty_str_t){id.data, i - 1}
                                 : loyalty_str_null;
}

bool
loyalty_message_credit(loyalty_str_t text, int64_t *revenue,
                       loyalty_str_t *message)
{
    const char *blank = text.len == 0 ? NULL : memchr(text.data, ' ', text.len);
    size_t len;

    if (blank == NULL) {
        return false;
    }

    len = (size_t)(blank - text.data);
    *message = (loyalty_str_t){blank + 1, text.len - len - 1};
    return loyalty_str_int((loyalty_str_t){text.data, len}, revenue)
           && message->len != 0 && message->len <= LOYALTY_MESSAGE_ID_MAX;
}

void
loyalty_message_count(loyalty_str_t rule, const char *what, int64_t n,
                      const loyalty_scope_t *scope,
                      loyalty_commands_t *commands)
{
    loyalty_command_key(commands, scope, "HINCRBY", 4, "rs", loyalty_str_null);
    loyalty_arg_text(commands, what);
    loyalty_arg_int(commands, n);

    if (rule.len != 0) {
        loyalty_command_key(commands, scope, "HINCRBY", 4, "rs", rule);
        loyalty_arg_text(commands, what);
        loyalty_arg_int(commands, n);
    }
}

/* Whose outbox it lies in. */
static loyalty_str_t
box_of(const loyalty_message_t *message)
{
    return loyalty_str_from(loyalty_channel_name(message->channel));
}

void
loyalty_message_write(const loyalty_message_t *message,
                      const loyalty_scope_t *scope,
                      loyalty_commands_t *commands)
{
    const struct {
        const char *name;
        loyalty_str_t text;
    } texts[] = {
        {"s", loyalty_str("pending")},
        {"m", message->member},
        {"c", loyalty_str_from(loyalty_channel_name(message->channel))},
        {"r", message->rule},
        {"o", message->order},
        {"ct", message->content},
    };
    size_t i, n = 2 + (message->mark != 0) + message->opted_in;

    for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        n += texts[i].text.len != 0;
    }

    loyalty_command_key(commands, scope, "HSET", 2 + n * 2, "mg", message->id);
    for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (texts[i].text.len != 0) {
            loyalty_arg_text(commands, texts[i].name);
            loyalty_arg(commands, texts[i].text);
        }
    }
    if (message->mark != 0) {
        loyalty_arg_text(commands, "n");
        loyalty_arg_int(commands, message->mark);
    }
    if (message->opted_in) {
        loyalty_arg_text(commands, "i");
        loyalty_arg_text(commands, "1");
    }
    loyalty_arg_text(commands, "a");
    loyalty_arg_int(commands, message->created_at);
    loyalty_arg_text(commands, "d");
    loyalty_arg_int(commands, message->due_at);

    loyalty_command_zadd(commands, scope, "ob", box_of(message),
                         message->due_at, message->id);
    loyalty_command_zadd(commands, scope, "ml", loyalty_str_null,
                         message->created_at, message->id);
    loyalty_command_zadd(commands, scope, "ml", loyalty_str("pending"),
                         message->created_at, message->id);
    loyalty_command_zadd(commands, scope, "mm", message->member,
                         message->created_at, message->id);
    loyalty_message_count(message->rule, "pending", 1, scope, commands);
}

void
loyalty_message_withdraw(const loyalty_message_t *message,
                         const loyalty_scope_t *scope,
                         loyalty_commands_t *commands)
{
    size_t i;

    loyalty_command_key(commands, scope, "DEL", 2, "mg", message->id);
    for (i = 0; i < NCHANNELS; i++) {
        loyalty_command_zrem(commands, scope, "ob",
                             loyalty_str_from(channels[i].name), message->id);
    }
    loyalty_command_zrem(commands, scope, "ml", loyalty_str_null, message->id);
    loyalty_command_zrem(commands, scope, "ml", loyalty_str("pending"),
                         message->id);
    loyalty_command_zrem(commands, scope, "mm", message->member, message->id);
    loyalty_message_count(message->rule, "pending", -1, scope, commands);
}

void
loyalty_message_move(loyalty_str_t id, const char *from, const char *to,
                     loyalty_instant_t created_at,
                     const loyalty_scope_t *scope,
                     loyalty_commands_t *commands)
{
    loyalty_command_zrem(commands, scope, "ml", loyalty_str_from(from), id);
    loyalty_command_zadd(commands, scope, "ml", loyalty_str_from(to),
                         created_at, id);
}

void
loyalty_message_retry(const loyalty_message_t *message, loyalty_instant_t now,
                      const loyalty_scope_t *scope,
                      loyalty_commands_t *commands)
{
    loyalty_command_key(commands, scope, "HSET", 6, "mg", message->id);
    loyalty_arg_text(commands, "s");
    loyalty_arg_text(commands, "pending");
    loyalty_arg_text(commands, "d");
    loyalty_arg_int(commands, now);
    loyalty_command_key(commands, scope, "HDEL", 5, "mg", message->id);
    loyalty_arg_text(commands, "y");
    loyalty_arg_text(commands, "f");
    loyalty_arg_text(commands, "e");

    loyalty_message_move(message->id, "failed", "pending", message->created_at,
                         scope, commands);
    loyalty_command_zadd(commands, scope, "ob", box_of(message), now,
                         message->id);
    loyalty_message_count(message->rule, "failed", -1, scope, commands);
    loyalty_message_count(message->rule, "pending", 1, scope, commands);
}

static void
add_to_hash(const loyalty_scope_t *scope, loyalty_commands_t *commands,
            loyalty_str_t message, const char *field, int64_t n)
{
    loyalty_command_key(commands, scope, "HINCRBY", 4, "mg", message);
    loyalty_arg_text(commands, field);
    loyalty_arg_int(commands, n);
}

void
loyalty_message_convert(loyalty_str_t message, loyalty_str_t order,
                        loyalty_instant_t at, int64_t revenue, bool reversed,
                        const loyalty_scope_t *scope, loyalty_arena_t *arena,
                        loyalty_commands_t *commands)
{
    loyalty_str_t rule = loyalty_message_rule(message);
    size_t size = message.len + order.len + 32;
    char *text = loyalty_alloc(arena, size);
    int sign = reversed ? -1 : 1, len;
    loyalty_str_t element;

    if (text == NULL) {
        commands->failed = true;
        return;
    }

    memcpy(text, message.data, message.len);
    memcpy(text + message.len + 1, order.data, order.len);
    element = (loyalty_str_t){text, message.len + 1 + order.len};

    if (reversed) {
        loyalty_command_zrem(commands, scope, "ml", loyalty_str("conversion"),
                             element);
        loyalty_command_key(commands, scope, "DEL", 2, "oc", order);
    } else {
        loyalty_command_zadd(commands, scope, "ml", loyalty_str("conversion"),
                             at, element);
        len = snprintf(text, size, "%" PRId64 " %.*s", revenue,
                       (int)message.len, message.data);
        loyalty_command_key(commands, scope, "SET", 3, "oc", order);
        loyalty_arg(commands, (loyalty_str_t){text, (size_t)len});
    }

    add_to_hash(scope, commands, message, "v", sign);
    add_to_hash(scope, commands, message, "w", sign * revenue);
    loyalty_message_count(rule, "conversions", sign, scope, commands);
    loyalty_message_count(rule, "revenue", sign * revenue, scope, commands);
}
