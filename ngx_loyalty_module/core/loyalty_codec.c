/*
 * Reading and writing of loyalty_codec.h.
 */

#include "loyalty_codec.h"

#define SEED UINT64_C(0x9e3779b97f4a7c15)
#define FACTOR UINT64_C(0xff51afd7ed558ccd)

uint64_t
loyalty_fingerprint(uint64_t seed, const void *data, size_t len)
{
    const unsigned char *p = data;
    uint64_t hash = (seed ^ SEED) + len, word;

    /* Each step is a bijection of `hash`, so one changed word always shows. */
    for (; len >= 8; len -= 8, p += 8) {
        memcpy(&word, p, 8);
        hash = (hash ^ word) * FACTOR;
        hash ^= hash >> 32;
    }

    if (len > 0) {
        word = 0;
        memcpy(&word, p, len);
        hash = (hash ^ word) * FACTOR;
        hash ^= hash >> 32;
    }

    hash *= FACTOR;
    return hash ^ hash >> 29;
}

static void
checksum(const unsigned char *data, size_t len,
         unsigned char sum[LOYALTY_CHECKSUM_SIZE])
{
    uint64_t hash = loyalty_fingerprint(0, data, len);
    int i;

    for (i = 0; i < LOYALTY_CHECKSUM_SIZE; i++) {
        sum[i] = (unsigned char)(hash >> (8 * i));
    }
}

void
loyalty_encoder_init(loyalty_encoder_t *encoder, loyalty_arena_t *arena,
                     size_t expected)
{
    *encoder = (loyalty_encoder_t){.arena = arena};
    loyalty_encoder_room(encoder, expected);
}

bool
loyalty_encoder_room(loyalty_encoder_t *encoder, size_t more)
{
    size_t capacity = encoder->len * 2 + more;
    unsigned char *data;

    if (more <= encoder->capacity - encoder->len) {
        return true;
    }

    data = loyalty_alloc(encoder->arena, capacity);
    if (data == NULL) {
        encoder->status = LOYALTY_ERROR_MEMORY;
        return false;
    }

    if (encoder->len != 0) {
        memcpy(data, encoder->data, encoder->len);
    }
    encoder->data = data;
    encoder->capacity = capacity;
    return true;
}

void
loyalty_put_instant(loyalty_encoder_t *encoder, loyalty_instant_t instant)
{
    int64_t step;

    if (instant == LOYALTY_UNKNOWN || instant == LOYALTY_NEVER) {
        loyalty_put_uint(encoder, instant == LOYALTY_NEVER);
        return;
    }

    if (instant > LOYALTY_CODEC_INSTANT_MAX
        || instant < -LOYALTY_CODEC_INSTANT_MAX) {
        encoder->status = LOYALTY_ERROR_INVALID;
        return;
    }

    step = instant - encoder->base;
    encoder->base = instant;
    loyalty_put_uint(encoder, 2 + loyalty_zigzag(step));
}

loyalty_status_t
loyalty_encoder_finish(loyalty_encoder_t *encoder, size_t max,
                       loyalty_str_t *bytes)
{
    loyalty_encoder_room(encoder, LOYALTY_CHECKSUM_SIZE);
    if (encoder->status != LOYALTY_OK) {
        return encoder->status;
    }

    checksum(encoder->data, encoder->len, encoder->data + encoder->len);
    encoder->len += LOYALTY_CHECKSUM_SIZE;
    if (encoder->len > max) {
        return LOYALTY_ERROR_LIMIT;
    }

    *bytes = (loyalty_str_t){(const char *)encoder->data, encoder->len};
    return LOYALTY_OK;
}

loyalty_status_t
loyalty_decoder_init(loyalty_decoder_t *decoder, loyalty_str_t bytes,
                     unsigned char format)
{
    const unsigned char *data = (const unsigned char *)bytes.data;
    unsigned char sum[LOYALTY_CHECKSUM_SIZE];
    size_t len;

    if (bytes.len <= LOYALTY_CHECKSUM_SIZE) {
        return LOYALTY_ERROR_CORRUPT;
    }

    len = bytes.len - LOYALTY_CHECKSUM_SIZE;
    checksum(data, len, sum);
    if (memcmp(sum, data + len, sizeof(sum)) != 0) {
        return LOYALTY_ERROR_CORRUPT;
    }

    if (data[0] != format) {
        return data[0] > format ? LOYALTY_ERROR_VERSION : LOYALTY_ERROR_CORRUPT;
    }

    *decoder = (loyalty_decoder_t){.p = data + 1, .end = data + len};
    return LOYALTY_OK;
}

uint64_t
loyalty_get_uint_long(loyalty_decoder_t *decoder)
{
    uint64_t value = 0, byte;
    unsigned shift;

    for (shift = 0; shift < 64 && decoder->p != decoder->end; shift += 7) {
        byte = *decoder->p++;
        value |= (byte & 0x7f) << shift;

        if (byte < 0x80) {
            if ((byte == 0 && shift > 0) || (shift == 63 && byte > 1)) {
                break;
            }
            return value;
        }
    }

    decoder->bad = true;
    return 0;
}

loyalty_instant_t
loyalty_get_instant(loyalty_decoder_t *decoder)
{
    uint64_t value = loyalty_get_uint(decoder);
    int64_t step;

    if (value < 2) {
        return value == 0 ? LOYALTY_UNKNOWN : LOYALTY_NEVER;
    }

    value -= 2;
    step = (int64_t)(value >> 1) ^ -(int64_t)(value & 1);
    if (step > 2 * LOYALTY_CODEC_INSTANT_MAX
        || step < -2 * LOYALTY_CODEC_INSTANT_MAX) {
        decoder->bad = true;
        return 0;
    }

    decoder->base += step;
    if (decoder->base > LOYALTY_CODEC_INSTANT_MAX
        || decoder->base < -LOYALTY_CODEC_INSTANT_MAX) {
        decoder->bad = true;
        decoder->base = 0;
    }
    return decoder->base;
}

void *
loyalty_get_list(loyalty_decoder_t *decoder, loyalty_arena_t *arena,
                 size_t max, size_t size, size_t *n)
{
    *n = loyalty_get_count(decoder, max);

    return *n == 0 ? NULL : loyalty_alloc(arena, *n * size);
}
