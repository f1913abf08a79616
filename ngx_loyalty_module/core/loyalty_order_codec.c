/*
 * An order's record as bytes, in the frame of loyalty_codec.h:
 *
 *   format | id | member | currency | attempts | spendings | checksum
 *
 *   attempt: number, marks by status, refunds, content, what it did
 *   mark:    0, or 1 and what it says: guest, total + 1, two fingerprints
 */

#include "loyalty_codec.h"
#include "loyalty_hold_codec.h"
#include "loyalty_ledger_codec.h"
#include "loyalty_money.h"
#include "loyalty_order_private.h"

#define FORMAT 1

/* Flags of an attempt. */
#define COUNTS 1u
#define USES 2u /* what it did to the wallet follows its figures */

/* Kinds of a use. */
#define USE_STAMPS 0u
#define USE_REDEEMED 1u
#define USE_COUNTED 2u /* redeemed, and what it counts for */
#define USE_CLAIMED 3u /* the order's, but not redeemed yet */

/* Flags of a spending. */
#define RESTORED 1u
#define CREDITS 2u

static void
put_print(loyalty_encoder_t *encoder, uint64_t print)
{
    if (loyalty_encoder_room(encoder, sizeof(print))) {
        memcpy(encoder->data + encoder->len, &print, sizeof(print));
        encoder->len += sizeof(print);
    }
}

static uint64_t
get_print(loyalty_decoder_t *decoder)
{
    uint64_t print = 0;

    if ((size_t)(decoder->end - decoder->p) < sizeof(print)) {
        decoder->bad = true;
        return 0;
    }

    memcpy(&print, decoder->p, sizeof(print));
    decoder->p += sizeof(print);
    return print;
}

/* An int64_t >= -1. */
static void
put_optional(loyalty_encoder_t *encoder, int64_t value)
{
    loyalty_put_uint(encoder, (uint64_t)value + 1);
}

static int64_t
get_optional(loyalty_decoder_t *decoder)
{
    return (int64_t)(loyalty_get_max(decoder, (uint64_t)INT64_MAX + 1) - 1);
}

static int64_t
get_positive(loyalty_decoder_t *decoder)
{
    return (int64_t)loyalty_get_max(decoder, INT64_MAX);
}

static void
put_mark(loyalty_encoder_t *encoder, const loyalty_order_mark_t *mark)
{
    loyalty_put_uint(encoder, mark->seen);
    if (mark->seen) {
        loyalty_put_uint(encoder, mark->guest);
        put_optional(encoder, mark->total);
        put_print(encoder, mark->lines);
        put_print(encoder, mark->redemptions);
    }
}

static void
get_mark(loyalty_decoder_t *decoder, loyalty_order_mark_t *mark)
{
    mark->seen = loyalty_get_bool(decoder);
    if (mark->seen) {
        mark->guest = loyalty_get_bool(decoder);
        mark->total = get_optional(decoder);
        mark->lines = get_print(decoder);
        mark->redemptions = get_print(decoder);
    }
}

static void
put_lines(loyalty_encoder_t *encoder, const loyalty_order_line_t *lines,
          size_t n)
{
    const loyalty_order_line_t *line;
    size_t i;

    loyalty_put_uint(encoder, n);
    for (i = 0; i < n; i++) {
        line = &lines[i];
        loyalty_put_str(encoder, line->sku);
        loyalty_put_str(encoder, line->category);
        loyalty_put_uint(encoder, (uint64_t)line->quantity);
        loyalty_put_str(encoder, line->unit_price);
        put_optional(encoder, line->amount);
        loyalty_put_uint(encoder, (uint64_t)line->returned);
    }
}

static loyalty_status_t
get_lines(loyalty_decoder_t *decoder, loyalty_arena_t *arena,
          loyalty_order_line_t **lines, size_t *n)
{
    loyalty_order_line_t *line;
    size_t i;

    *lines = loyalty_get_list(decoder, arena, LOYALTY_ORDER_LINES_MAX,
                              sizeof(**lines), n);
    if (*lines == NULL) {
        return *n == 0 ? LOYALTY_OK : LOYALTY_ERROR_MEMORY;
    }

    for (i = 0; i < *n && !decoder->bad; i++) {
        line = &(*lines)[i];
        line->sku = loyalty_get_str(decoder, LOYALTY_SKU_MAX);
        line->category = loyalty_get_str(decoder, LOYALTY_CATEGORY_MAX);
        line->quantity =
            (int64_t)loyalty_get_max(decoder, LOYALTY_QUANTITY_MAX);
        line->unit_price = loyalty_get_str(decoder, LOYALTY_ID_MAX);
        line->amount = get_optional(decoder);
        line->returned =
            (int64_t)loyalty_get_max(decoder, (uint64_t)line->quantity);
        if (line->quantity == 0) {
            decoder->bad = true;
        }
    }
    return LOYALTY_OK;
}

static void
put_refunds(loyalty_encoder_t *encoder, const loyalty_order_attempt_t *attempt)
{
    const loyalty_order_refund_t *refund;
    size_t i;

    loyalty_put_uint(encoder, attempt->nrefunds);
    for (i = 0; i < attempt->nrefunds; i++) {
        refund = &attempt->refunds[i];
        loyalty_put_str(encoder, refund->refund.id);
        put_optional(encoder, refund->refund.amount);
        put_lines(encoder, refund->refund.lines, refund->refund.nlines);
        put_mark(encoder, &refund->mark);
        put_print(encoder, refund->print);
        loyalty_put_instant(encoder, refund->occurred_at);
        put_optional(encoder, refund->value);
    }
}

static loyalty_status_t
get_refunds(loyalty_decoder_t *decoder, loyalty_arena_t *arena,
            loyalty_order_attempt_t *attempt)
{
    loyalty_order_refund_t *refund;
    loyalty_status_t rc = LOYALTY_OK;
    size_t i, n;

    attempt->refunds = loyalty_get_list(
        decoder, arena, LOYALTY_ORDER_REFUNDS_MAX, sizeof(*refund), &n);
    attempt->nrefunds = n;
    if (attempt->refunds == NULL) {
        return n == 0 ? LOYALTY_OK : LOYALTY_ERROR_MEMORY;
    }

    for (i = 0; i < n && !decoder->bad && rc == LOYALTY_OK; i++) {
        refund = &attempt->refunds[i];
        refund->refund.id = loyalty_get_str(decoder, LOYALTY_ORDER_ID_MAX);
        refund->refund.amount = get_optional(decoder);
        rc = get_lines(decoder, arena, &refund->refund.lines,
                       &refund->refund.nlines);
        get_mark(decoder, &refund->mark);
        refund->print = get_print(decoder);
        refund->occurred_at = loyalty_get_instant(decoder);
        refund->value = get_optional(decoder);

        if (!refund->mark.seen) {
            decoder->bad = true;
        }
    }
    return rc;
}

/* What was returned is what the refunds that are no longer held came to. */
static bool
is_sum_of_refunds(const loyalty_order_attempt_t *attempt)
{
    int64_t sum = 0;
    size_t i;

    for (i = 0; i < attempt->nrefunds; i++) {
        if (attempt->refunds[i].value >= 0
            && (!loyalty_order_has_earned(attempt)
                || loyalty_add(sum, attempt->refunds[i].value, &sum)
                       != LOYALTY_OK)) {
            return false;
        }
    }

    return sum == attempt->returned;
}

static void
put_redemptions(loyalty_encoder_t *encoder,
                const loyalty_order_attempt_t *attempt)
{
    size_t i;

    loyalty_put_uint(encoder, attempt->nredemptions);
    for (i = 0; i < attempt->nredemptions; i++) {
        loyalty_put_str(encoder, attempt->redemptions[i]);
    }
}

static loyalty_status_t
get_redemptions(loyalty_decoder_t *decoder, loyalty_arena_t *arena,
                loyalty_order_attempt_t *attempt)
{
    size_t i, n;

    attempt->redemptions =
        loyalty_get_list(decoder, arena, LOYALTY_ORDER_REDEMPTIONS_MAX,
                         sizeof(*attempt->redemptions), &n);
    attempt->nredemptions = n;
    if (attempt->redemptions == NULL) {
        return n == 0 ? LOYALTY_OK : LOYALTY_ERROR_MEMORY;
    }

    for (i = 0; i < n && !decoder->bad; i++) {
        attempt->redemptions[i] =
            loyalty_get_str(decoder, LOYALTY_ORDER_ID_MAX);
    }
    return LOYALTY_OK;
}

static void
put_uses(loyalty_encoder_t *encoder, const loyalty_order_attempt_t *attempt)
{
    const loyalty_order_use_t *use;
    bool counted;
    size_t i;

    loyalty_put_uint(encoder, attempt->nuses);
    for (i = 0; i < attempt->nuses; i++) {
        use = &attempt->uses[i];
        counted = use->used.offer.len != 0;
        loyalty_put_str(encoder, use->entitlement);
        loyalty_put_uint(encoder, !counted        ? use->redeemed
                                  : use->redeemed ? USE_COUNTED
                                                  : USE_CLAIMED);
        loyalty_put_uint(encoder, (uint64_t)use->stamps);
        if (counted) {
            loyalty_put_str(encoder, use->hold);
            loyalty_put_hold_use(encoder, &use->used);
        }
    }
}

static loyalty_status_t
get_uses(loyalty_decoder_t *decoder, loyalty_arena_t *arena,
         loyalty_order_attempt_t *attempt)
{
    loyalty_order_use_t *use;
    uint64_t kind;
    size_t i, n;

    attempt->uses = loyalty_get_list(decoder, arena, LOYALTY_ORDER_USES_MAX,
                                     sizeof(*use), &n);
    attempt->nuses = n;
    decoder->bad |= n == 0;
    if (attempt->uses == NULL) {
        return n == 0 ? LOYALTY_OK : LOYALTY_ERROR_MEMORY;
    }

    for (i = 0; i < n && !decoder->bad; i++) {
        use = &attempt->uses[i];
        use->entitlement = loyalty_get_str(decoder, LOYALTY_ID_MAX);
        kind = loyalty_get_max(decoder, USE_CLAIMED);
        use->redeemed = kind == USE_REDEEMED || kind == USE_COUNTED;
        use->stamps = (int32_t)loyalty_get_max(decoder, INT32_MAX);
        if (kind >= USE_COUNTED) {
            use->hold = loyalty_get_str(decoder, LOYALTY_ORDER_ID_MAX);
            loyalty_get_hold_use(decoder, &use->used);
            decoder->bad |= use->used.offer.len == 0;
        }
        decoder->bad |= (kind == USE_STAMPS) != (use->stamps != 0);
    }
    return LOYALTY_OK;
}

static void
put_attempt(loyalty_encoder_t *encoder, const loyalty_order_attempt_t *attempt)
{
    size_t i;

    loyalty_put_uint(encoder, (uint64_t)attempt->attempt);
    for (i = 0; i < LOYALTY_ORDER_CANCELLED; i++) {
        put_mark(encoder, &attempt->marks[i]);
    }
    put_refunds(encoder, attempt);

    loyalty_put_instant(encoder, attempt->placed_at);
    loyalty_put_instant(encoder, attempt->earned_at);
    loyalty_put_uint(encoder, (uint64_t)attempt->total);
    put_lines(encoder, attempt->lines, attempt->nlines);
    put_redemptions(encoder, attempt);

    loyalty_put_uint(encoder, attempt->phase);
    loyalty_put_uint(encoder, (attempt->counts ? COUNTS : 0)
                                  | (attempt->nuses != 0 ? USES : 0));
    loyalty_put_uint(encoder, (uint64_t)attempt->returned);
    loyalty_put_uint(encoder, (uint64_t)attempt->points);
    loyalty_put_uint(encoder, (uint64_t)attempt->revoked);
    loyalty_put_instant(encoder, attempt->expires_at);
    if (attempt->nuses != 0) {
        put_uses(encoder, attempt);
    }
}

static loyalty_status_t
get_attempt(loyalty_decoder_t *decoder, loyalty_arena_t *arena,
            loyalty_order_attempt_t *attempt)
{
    loyalty_status_t rc;
    uint64_t flags;
    size_t i;

    attempt->attempt = (int32_t)loyalty_get_max(decoder, INT32_MAX);
    for (i = 0; i < LOYALTY_ORDER_CANCELLED; i++) {
        get_mark(decoder, &attempt->marks[i]);
    }

    rc = get_refunds(decoder, arena, attempt);
    if (rc != LOYALTY_OK) {
        return rc;
    }

    attempt->placed_at = loyalty_get_instant(decoder);
    attempt->earned_at = loyalty_get_instant(decoder);
    attempt->total = get_positive(decoder);

    rc = get_lines(decoder, arena, &attempt->lines, &attempt->nlines);
    if (rc == LOYALTY_OK) {
        rc = get_redemptions(decoder, arena, attempt);
    }
    if (rc != LOYALTY_OK) {
        return rc;
    }
    for (i = 0; i < attempt->nlines; i++) {
        decoder->bad |= attempt->lines[i].amount < 0;
    }

    attempt->phase =
        (loyalty_order_phase_t)loyalty_get_max(decoder, LOYALTY_PHASE_EARNED);
    flags = loyalty_get_max(decoder, COUNTS | USES);
    attempt->counts = (flags & COUNTS) != 0;
    attempt->returned = get_positive(decoder);
    attempt->points = get_positive(decoder);
    attempt->revoked = get_positive(decoder);
    attempt->expires_at = loyalty_get_instant(decoder);
    if ((flags & USES) != 0) {
        rc = get_uses(decoder, arena, attempt);
        if (rc != LOYALTY_OK) {
            return rc;
        }
    }

    if (attempt->attempt == 0 || attempt->returned > attempt->total
        || (!decoder->bad && !is_sum_of_refunds(attempt))
        || attempt->revoked > attempt->points
        || attempt->placed_at == LOYALTY_NEVER
        || attempt->earned_at == LOYALTY_NEVER
        || (loyalty_order_has_earned(attempt)
            && attempt->earned_at == LOYALTY_UNKNOWN)
        || ((loyalty_order_has_earned(attempt)
             || loyalty_order_is_placed(attempt))
            && attempt->placed_at == LOYALTY_UNKNOWN)
        || (attempt->phase == LOYALTY_PHASE_EARNED
            && !loyalty_order_has_earned(attempt))
        || (attempt->phase == LOYALTY_PHASE_PENDING
            && !loyalty_order_is_placed(attempt))) {
        decoder->bad = true;
    }
    return LOYALTY_OK;
}

static loyalty_status_t
get_attempts(loyalty_decoder_t *decoder, loyalty_arena_t *arena,
             loyalty_order_t *order)
{
    loyalty_status_t rc = LOYALTY_OK;
    size_t i, n;

    order->attempts =
        loyalty_get_list(decoder, arena, LOYALTY_ORDER_ATTEMPTS_MAX,
                         sizeof(*order->attempts), &n);
    order->nattempts = n;
    if (order->attempts == NULL) {
        return n == 0 ? LOYALTY_OK : LOYALTY_ERROR_MEMORY;
    }

    for (i = 0; i < n && !decoder->bad && rc == LOYALTY_OK; i++) {
        rc = get_attempt(decoder, arena, &order->attempts[i]);
        if (i > 0
            && order->attempts[i].attempt <= order->attempts[i - 1].attempt) {
            decoder->bad = true;
        }
    }
    return rc;
}

static loyalty_status_t
get_spendings(loyalty_decoder_t *decoder, loyalty_arena_t *arena,
              loyalty_order_t *order)
{
    loyalty_status_t rc = LOYALTY_OK;
    unsigned flags;
    size_t i, n;

    order->spendings =
        loyalty_get_list(decoder, arena, LOYALTY_ORDER_SPENDINGS_MAX,
                         sizeof(*order->spendings), &n);
    order->nspendings = n;
    if (order->spendings == NULL) {
        return n == 0 ? LOYALTY_OK : LOYALTY_ERROR_MEMORY;
    }

    for (i = 0; i < n && !decoder->bad && rc == LOYALTY_OK; i++) {
        order->spendings[i].id = loyalty_get_str(decoder, LOYALTY_ORDER_ID_MAX);
        flags = (unsigned)loyalty_get_max(decoder, RESTORED | CREDITS);
        order->spendings[i].restored = (flags & RESTORED) != 0;
        order->spendings[i].credits = (flags & CREDITS) != 0;
        rc =
            loyalty_get_spending(decoder, arena, &order->spendings[i].spending);
    }
    return rc;
}

loyalty_status_t
loyalty_order_encode(const loyalty_order_t *order, loyalty_arena_t *arena,
                     loyalty_str_t *bytes)
{
    loyalty_encoder_t encoder;
    size_t i, expected = 256;

    for (i = 0; i < order->nattempts; i++) {
        expected += 128 + 32 * order->attempts[i].nlines;
    }

    loyalty_encoder_init(&encoder, arena, expected);
    loyalty_put_uint(&encoder, FORMAT);
    loyalty_put_str(&encoder, order->id);
    loyalty_put_str(&encoder, order->member_id);
    loyalty_put_str(&encoder, order->currency);

    loyalty_put_uint(&encoder, order->nattempts);
    for (i = 0; i < order->nattempts; i++) {
        put_attempt(&encoder, &order->attempts[i]);
    }

    loyalty_put_uint(&encoder, order->nspendings);
    for (i = 0; i < order->nspendings; i++) {
        loyalty_put_str(&encoder, order->spendings[i].id);
        loyalty_put_uint(&encoder,
                         (order->spendings[i].restored ? RESTORED : 0U)
                             | (order->spendings[i].credits ? CREDITS : 0U));
        loyalty_put_spending(&encoder, &order->spendings[i].spending);
    }

    return loyalty_encoder_finish(&encoder, LOYALTY_ORDER_RECORD_MAX, bytes);
}

loyalty_status_t
loyalty_order_decode(loyalty_str_t bytes, loyalty_arena_t *arena,
                     loyalty_order_t **order)
{
    loyalty_decoder_t decoder;
    loyalty_order_t *record;
    loyalty_status_t rc;

    if (bytes.len > LOYALTY_ORDER_RECORD_MAX) {
        return LOYALTY_ERROR_LIMIT;
    }

    rc = loyalty_decoder_init(&decoder, bytes, FORMAT);
    if (rc != LOYALTY_OK) {
        return rc;
    }

    record = loyalty_alloc(arena, sizeof(*record));
    if (record == NULL) {
        return LOYALTY_ERROR_MEMORY;
    }

    record->id = loyalty_get_str(&decoder, LOYALTY_ORDER_ID_MAX);
    record->member_id = loyalty_get_str(&decoder, LOYALTY_MEMBER_ID_MAX);
    record->currency = loyalty_get_str(&decoder, LOYALTY_ID_MAX);

    if ((rc = get_attempts(&decoder, arena, record)) != LOYALTY_OK
        || (rc = get_spendings(&decoder, arena, record)) != LOYALTY_OK) {
        return rc;
    }

    if (decoder.bad || decoder.p != decoder.end || record->id.len == 0) {
        return LOYALTY_ERROR_CORRUPT;
    }

    *order = record;
    return LOYALTY_OK;
}
