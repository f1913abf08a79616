/*
 * A hold as bytes, in the frame of loyalty_codec.h:
 *
 *   format | id | member | order | state | times | uses | points | credits
 *          | price | print | quote | checksum
 */

#include "loyalty_hold_codec.h"

#include "loyalty_ledger_codec.h"

#define FORMAT 1

#define USE_SITE 1u
#define USE_MEMBER 2u
#define USE_READY 4u
#define USE_ALL 7u

void
loyalty_put_hold_use(loyalty_encoder_t *encoder, const loyalty_hold_use_t *use)
{
    loyalty_put_str(encoder, use->offer);
    loyalty_put_str(encoder, use->entitlement);
    loyalty_put_str(encoder, use->code);
    loyalty_put_int(encoder, use->amount);
    loyalty_put_int(encoder, use->points);
    loyalty_put_uint(encoder, (use->site ? USE_SITE : 0U)
                                  | (use->member ? USE_MEMBER : 0U)
                                  | (use->ready ? USE_READY : 0U));
}

void
loyalty_get_hold_use(loyalty_decoder_t *decoder, loyalty_hold_use_t *use)
{
    unsigned flags;

    use->offer = loyalty_get_str(decoder, LOYALTY_ID_MAX);
    use->entitlement = loyalty_get_str(decoder, LOYALTY_ID_MAX);
    use->code = loyalty_get_str(decoder, LOYALTY_CODE_MAX);
    use->amount = loyalty_get_int(decoder);
    use->points = loyalty_get_int(decoder);
    flags = (unsigned)loyalty_get_max(decoder, USE_ALL);
    use->site = (flags & USE_SITE) != 0;
    use->member = (flags & USE_MEMBER) != 0;
    use->ready = (flags & USE_READY) != 0;
    decoder->bad |= use->amount < 0 || use->points < 0;
}

loyalty_status_t
loyalty_hold_encode(const loyalty_hold_t *hold, loyalty_arena_t *arena,
                    loyalty_str_t *bytes)
{
    loyalty_encoder_t encoder;
    size_t i;

    loyalty_encoder_init(&encoder, arena,
                         256 + 96 * hold->nuses + hold->quote.len);
    loyalty_put_uint(&encoder, FORMAT);
    loyalty_put_str(&encoder, hold->id);
    loyalty_put_str(&encoder, hold->member);
    loyalty_put_str(&encoder, hold->order);
    loyalty_put_uint(&encoder, hold->state);
    loyalty_put_instant(&encoder, hold->created_at);
    loyalty_put_instant(&encoder, hold->expires_at);

    loyalty_put_uint(&encoder, hold->nuses);
    for (i = 0; i < hold->nuses; i++) {
        loyalty_put_hold_use(&encoder, &hold->uses[i]);
    }

    loyalty_put_spending(&encoder, &hold->points);
    loyalty_put_spending(&encoder, &hold->credits);
    loyalty_put_int(&encoder, hold->price);
    loyalty_put_uint(&encoder, hold->print);
    loyalty_put_str(&encoder, hold->quote);

    return loyalty_encoder_finish(&encoder, LOYALTY_HOLD_SIZE_MAX, bytes);
}

static loyalty_status_t
get_uses(loyalty_decoder_t *decoder, loyalty_arena_t *arena,
         loyalty_hold_t *hold)
{
    size_t i;

    hold->uses = loyalty_get_list(decoder, arena, LOYALTY_HOLD_USES_MAX,
                                  sizeof(*hold->uses), &hold->nuses);
    if (hold->uses == NULL) {
        return hold->nuses == 0 ? LOYALTY_OK : LOYALTY_ERROR_MEMORY;
    }

    for (i = 0; i < hold->nuses && !decoder->bad; i++) {
        loyalty_get_hold_use(decoder, &hold->uses[i]);
    }
    return LOYALTY_OK;
}

loyalty_status_t
loyalty_hold_decode(loyalty_str_t bytes, loyalty_arena_t *arena,
                    loyalty_hold_t *hold)
{
    loyalty_decoder_t decoder;
    loyalty_status_t rc;

    if (bytes.len > LOYALTY_HOLD_SIZE_MAX) {
        return LOYALTY_ERROR_LIMIT;
    }

    rc = loyalty_decoder_init(&decoder, bytes, FORMAT);
    if (rc != LOYALTY_OK) {
        return rc;
    }

    *hold = (loyalty_hold_t){0};
    hold->id = loyalty_get_str(&decoder, LOYALTY_ORDER_ID_MAX);
    hold->member = loyalty_get_str(&decoder, LOYALTY_MEMBER_ID_MAX);
    hold->order = loyalty_get_str(&decoder, LOYALTY_ORDER_ID_MAX);
    hold->state = (loyalty_hold_state_t)loyalty_get_max(
        &decoder, LOYALTY_HOLD_RELEASED);
    hold->created_at = loyalty_get_instant(&decoder);
    hold->expires_at = loyalty_get_instant(&decoder);

    if ((rc = get_uses(&decoder, arena, hold)) != LOYALTY_OK
        || (rc = loyalty_get_spending(&decoder, arena, &hold->points))
               != LOYALTY_OK
        || (rc = loyalty_get_spending(&decoder, arena, &hold->credits))
               != LOYALTY_OK) {
        return rc;
    }

    hold->price = loyalty_get_int(&decoder);
    hold->print = loyalty_get_uint(&decoder);
    hold->quote = loyalty_get_str(&decoder, LOYALTY_HOLD_SIZE_MAX);

    return decoder.bad || decoder.p != decoder.end || hold->id.len == 0
                   || hold->state < LOYALTY_HOLD_HELD
               ? LOYALTY_ERROR_CORRUPT
               : LOYALTY_OK;
}
