/*
 * Typed looks at replies, and the lists they come in.  A reply is outside
 * data: its type is asked before its value is used.
 */

#include "loyalty_store.h"

#include <stdlib.h>

bool
loyalty_reply_str(const redisReply *reply, loyalty_str_t *str)
{
    if (reply == NULL) {
        return false;
    }

    if (reply->type == REDIS_REPLY_NIL) {
        *str = loyalty_str_null;
        return true;
    }

    if (reply->type != REDIS_REPLY_STRING
        && reply->type != REDIS_REPLY_STATUS) {
        return false;
    }

    *str = (loyalty_str_t){reply->str, reply->len};
    return true;
}

bool
loyalty_reply_int(const redisReply *reply, int64_t *value)
{
    if (reply == NULL || reply->type != REDIS_REPLY_INTEGER) {
        return false;
    }

    *value = reply->integer;
    return true;
}

bool
loyalty_reply_array(const redisReply *reply, size_t elements)
{
    return reply != NULL && reply->type == REDIS_REPLY_ARRAY
           && reply->elements == elements;
}

bool
loyalty_reply_is_nil(const redisReply *reply)
{
    return reply != NULL && reply->type == REDIS_REPLY_NIL;
}

bool
loyalty_reply_is_error(const redisReply *reply, const char *code)
{
    size_t len = strlen(code);

    return reply != NULL && reply->type == REDIS_REPLY_ERROR
           && reply->len >= len && memcmp(reply->str, code, len) == 0
           && (len == 0 || reply->len == len || reply->str[len] == ' ');
}

bool
loyalty_str_int(loyalty_str_t text, int64_t *value)
{
    uint64_t magnitude = 0, limit = INT64_MAX;
    bool negative = text.len != 0 && text.data[0] == '-';
    size_t i = negative ? 1 : 0;
    unsigned digit;

    if (i == text.len) {
        return false;
    }

    limit += negative ? 1 : 0;

    for (; i < text.len; i++) {
        digit = (unsigned)(text.data[i] - '0');
        if (digit > 9 || magnitude > (limit - digit) / 10) {
            return false;
        }
        magnitude = magnitude * 10 + digit;
    }

    *value = negative ? (int64_t)(0 - magnitude) : (int64_t)magnitude;
    return true;
}

void
loyalty_replies_init(loyalty_replies_t *replies)
{
    *replies = (loyalty_replies_t){0};
}

void
loyalty_replies_free(loyalty_replies_t *replies)
{
    size_t i;

    for (i = 0; i < replies->count; i++) {
        freeReplyObject(replies->list[i]);
    }

    free(replies->list);
    *replies = (loyalty_replies_t){0};
}

/* CRC16-CCITT (XModem), as the cluster specification of Redis has it. */
unsigned
loyalty_slot(loyalty_str_t site)
{
    unsigned crc = 0;
    size_t i;
    int bit;

    for (i = 0; i < site.len; i++) {
        crc ^= (unsigned)(unsigned char)site.data[i] << 8;
        for (bit = 0; bit < 8; bit++) {
            crc = crc & 0x8000 ? (crc << 1 ^ 0x1021) & 0xffff
                               : crc << 1 & 0xffff;
        }
    }

    return crc & 16383;
}
