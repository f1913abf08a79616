/*
 * A ledger is one byte 0 while nothing was ever written to it; else 1, its
 * totals and its lots:
 *
 *   lot: id, amount, remaining, lost, earned, created_at, starts_at,
 *        expires_at
 */

#include "loyalty_ledger_codec.h"

static void
put_lots(loyalty_encoder_t *encoder, const loyalty_lot_t *lots, size_t n)
{
    const loyalty_lot_t *lot;
    size_t i;

    loyalty_put_uint(encoder, n);

    for (i = 0; i < n; i++) {
        lot = &lots[i];
        loyalty_put_str(encoder, lot->id);
        loyalty_put_int(encoder, lot->amount);
        loyalty_put_int(encoder, lot->remaining);
        loyalty_put_int(encoder, lot->lost);
        loyalty_put_uint(encoder, lot->earned);
        loyalty_put_instant(encoder, lot->created_at);
        loyalty_put_instant(encoder, lot->starts_at);
        loyalty_put_instant(encoder, lot->expires_at);
    }
}

static loyalty_status_t
get_lots(loyalty_decoder_t *decoder, loyalty_arena_t *arena,
         loyalty_lot_t **lots, size_t *n)
{
    loyalty_lot_t *lot;
    size_t i;

    *lots = loyalty_get_list(decoder, arena, LOYALTY_MEMBER_SIZE_MAX,
                             sizeof(**lots), n);
    if (*lots == NULL) {
        return *n == 0 ? LOYALTY_OK : LOYALTY_ERROR_MEMORY;
    }

    for (i = 0; i < *n && !decoder->bad; i++) {
        lot = &(*lots)[i];
        lot->id = loyalty_get_str(decoder, LOYALTY_ORDER_ID_MAX);
        lot->amount = loyalty_get_int(decoder);
        lot->remaining = loyalty_get_int(decoder);
        lot->lost = loyalty_get_int(decoder);
        lot->earned = loyalty_get_bool(decoder);
        lot->created_at = loyalty_get_instant(decoder);
        lot->starts_at = loyalty_get_instant(decoder);
        lot->expires_at = loyalty_get_instant(decoder);

        if (lot->created_at == LOYALTY_UNKNOWN
            || lot->starts_at == LOYALTY_UNKNOWN
            || lot->expires_at == LOYALTY_UNKNOWN) {
            decoder->bad = true;
        }
    }

    return LOYALTY_OK;
}

void
loyalty_put_ledger(loyalty_encoder_t *encoder, const loyalty_ledger_t *ledger)
{
    loyalty_put_uint(encoder, ledger->entries != 0);
    if (ledger->entries == 0) {
        return;
    }

    loyalty_put_uint(encoder, ledger->entries);
    loyalty_put_int(encoder, ledger->credited);
    loyalty_put_int(encoder, ledger->spent);
    loyalty_put_int(encoder, ledger->expired);
    loyalty_put_int(encoder, ledger->revoked);
    loyalty_put_int(encoder, ledger->life);
    loyalty_put_int(encoder, ledger->debt);
    if (ledger->debt != 0) {
        loyalty_put_instant(encoder, ledger->debt_since);
    }
    put_lots(encoder, ledger->lots, ledger->nlots);
}

loyalty_status_t
loyalty_get_ledger(loyalty_decoder_t *decoder, loyalty_arena_t *arena,
                   loyalty_ledger_t *ledger)
{
    loyalty_status_t rc;

    *ledger = (loyalty_ledger_t){0};

    if (!loyalty_get_bool(decoder)) {
        return LOYALTY_OK;
    }

    ledger->entries = loyalty_get_uint(decoder);
    ledger->credited = loyalty_get_int(decoder);
    ledger->spent = loyalty_get_int(decoder);
    ledger->expired = loyalty_get_int(decoder);
    ledger->revoked = loyalty_get_int(decoder);
    ledger->life = loyalty_get_int(decoder);
    ledger->debt = loyalty_get_int(decoder);
    if (ledger->debt != 0) {
        ledger->debt_since = loyalty_get_instant(decoder);
    }

    rc = get_lots(decoder, arena, &ledger->lots, &ledger->nlots);
    ledger->lots_capacity = ledger->nlots;

    if (rc == LOYALTY_OK
        && (ledger->entries == 0
            || loyalty_ledger_check(ledger) != LOYALTY_OK)) {
        decoder->bad = true;
    }
    return rc;
}

void
loyalty_put_spending(loyalty_encoder_t *encoder,
                     const loyalty_spending_t *spending)
{
    loyalty_put_int(encoder, spending->amount);
    put_lots(encoder, spending->parts, spending->nparts);
}

loyalty_status_t
loyalty_get_spending(loyalty_decoder_t *decoder, loyalty_arena_t *arena,
                     loyalty_spending_t *spending)
{
    loyalty_status_t rc;
    int64_t rest;
    size_t i;

    spending->amount = loyalty_get_int(decoder);
    rc = get_lots(decoder, arena, &spending->parts, &spending->nparts);
    if (rc != LOYALTY_OK || decoder->bad) {
        return rc;
    }

    rest = spending->amount;
    for (i = 0; i < spending->nparts; i++) {
        if (spending->parts[i].remaining <= 0
            || spending->parts[i].remaining > spending->parts[i].amount
            || spending->parts[i].remaining > rest
            || spending->parts[i].lost != 0) {
            decoder->bad = true;
            return LOYALTY_OK;
        }
        rest -= spending->parts[i].remaining;
    }

    if (rest != 0) {
        decoder->bad = true;
    }
    return LOYALTY_OK;
}
