/*
 * The bytes of member and order records.
 *
 *   [ format ][ fields ... ][ checksum, 4 bytes ]
 *
 * Numbers are varints (7 bits a byte, low first), signed ones zigzag, and
 * have one form only: a longer form of the same number is refused.  Instants
 * are 0 (unknown), 1 (never) or 2 + the difference to the instant before, as
 * times of one record lie close together.  Strings are length and bytes.
 *
 * A decoder goes on after an error and returns zeros; `bad` is looked at once
 * at the end, and wherever a number is going to size an array.
 */

#ifndef LOYALTY_CODEC_H
#define LOYALTY_CODEC_H

#include "loyalty.h"

#define LOYALTY_CHECKSUM_SIZE 4

/* Times further from 1970 than this are not times. */
#define LOYALTY_CODEC_INSTANT_MAX (INT64_C(1) << 60)

typedef struct {
    loyalty_arena_t *arena;
    unsigned char *data;
    size_t len;
    size_t capacity;
    loyalty_instant_t base;
    loyalty_status_t status; /* the first error */
} loyalty_encoder_t;

typedef struct {
    const unsigned char *p;
    const unsigned char *end;
    loyalty_instant_t base;
    bool bad;
} loyalty_decoder_t;

void loyalty_encoder_init(loyalty_encoder_t *encoder, loyalty_arena_t *arena,
                          size_t expected);
bool loyalty_encoder_room(loyalty_encoder_t *encoder, size_t more);
void loyalty_put_instant(loyalty_encoder_t *encoder, loyalty_instant_t instant);

/* Adds the checksum; LOYALTY_ERROR_LIMIT past `max` bytes. */
loyalty_status_t loyalty_encoder_finish(loyalty_encoder_t *encoder, size_t max,
                                        loyalty_str_t *bytes);

/* LOYALTY_ERROR_CORRUPT: the checksum is not that of the bytes;
 * LOYALTY_ERROR_VERSION: a later format than `format`. */
loyalty_status_t loyalty_decoder_init(loyalty_decoder_t *decoder,
                                      loyalty_str_t bytes,
                                      unsigned char format);
loyalty_instant_t loyalty_get_instant(loyalty_decoder_t *decoder);
uint64_t loyalty_get_uint_long(loyalty_decoder_t *decoder);

/* 64 bits that differ for different bytes; not against an adversary. */
uint64_t loyalty_fingerprint(uint64_t seed, const void *data, size_t len);

static inline void
loyalty_put_uint(loyalty_encoder_t *encoder, uint64_t value)
{
    unsigned char *p;

    if (!loyalty_encoder_room(encoder, 10)) {
        return;
    }

    p = encoder->data + encoder->len;
    for (; value >= 0x80; value >>= 7) {
        *p++ = (unsigned char)(value | 0x80);
    }
    *p++ = (unsigned char)value;
    encoder->len = (size_t)(p - encoder->data);
}

/* 0, -1, 1, -2, ... as 0, 1, 2, 3, ...: small ones stay short. */
static inline uint64_t
loyalty_zigzag(int64_t value)
{
    uint64_t twice = (uint64_t)value << 1;

    return value < 0 ? ~twice : twice;
}

static inline void
loyalty_put_int(loyalty_encoder_t *encoder, int64_t value)
{
    loyalty_put_uint(encoder, loyalty_zigzag(value));
}

static inline void
loyalty_put_str(loyalty_encoder_t *encoder, loyalty_str_t text)
{
    loyalty_put_uint(encoder, text.len);
    if (text.len != 0 && loyalty_encoder_room(encoder, text.len)) {
        memcpy(encoder->data + encoder->len, text.data, text.len);
        encoder->len += text.len;
    }
}

static inline uint64_t
loyalty_get_uint(loyalty_decoder_t *decoder)
{
    if (decoder->p != decoder->end && *decoder->p < 0x80) {
        return *decoder->p++;
    }
    return loyalty_get_uint_long(decoder);
}

static inline int64_t
loyalty_get_int(loyalty_decoder_t *decoder)
{
    uint64_t value = loyalty_get_uint(decoder);

    return (int64_t)(value >> 1) ^ -(int64_t)(value & 1);
}

/* At most `max`, else bad. */
static inline uint64_t
loyalty_get_max(loyalty_decoder_t *decoder, uint64_t max)
{
    uint64_t value = loyalty_get_uint(decoder);

    if (value > max) {
        decoder->bad = true;
        return 0;
    }
    return value;
}

static inline bool
loyalty_get_bool(loyalty_decoder_t *decoder)
{
    return loyalty_get_max(decoder, 1) != 0;
}

/* A count of things of at least one byte each. */
static inline size_t
loyalty_get_count(loyalty_decoder_t *decoder, size_t max)
{
    size_t left = (size_t)(decoder->end - decoder->p);

    return (size_t)loyalty_get_max(decoder, left < max ? left : max);
}

/* A count, and room for as many of `size` bytes: NULL for none, or without
 * memory, which *n tells apart. */
void *loyalty_get_list(loyalty_decoder_t *decoder, loyalty_arena_t *arena,
                       size_t max, size_t size, size_t *n);

static inline loyalty_str_t
loyalty_get_str(loyalty_decoder_t *decoder, size_t max)
{
    loyalty_str_t text;

    text.len = loyalty_get_count(decoder, max);
    text.data = (const char *)decoder->p;

    /* The count may itself have been the last byte. */
    if (text.len > (size_t)(decoder->end - decoder->p)) {
        decoder->bad = true;
        return loyalty_str_null;
    }

    decoder->p += text.len;
    return text;
}

#endif
