/*
 * A member as bytes, in the frame of loyalty_codec.h:
 *
 *   format | id | version | flags | times | totals | status | ledgers
 *          | contributions | [ profile ] | [ wallet ] | [ uses ]
 *          | checksum
 *
 * Profile, wallet and uses are there if their flag is: most members that came
 * into being by ordering have none.
 */

#include "loyalty_codec.h"
#include "loyalty_ledger_codec.h"
#include "loyalty_member.h"

#define FORMAT 1

#define FLAG_REGISTERED 0x01
#define FLAG_ERASED 0x02
#define FLAG_PROFILE 0x04
#define FLAG_WALLET 0x08
#define FLAG_USES 0x10
#define FLAGS_ALL 0x1f

#define STATE_BOUGHT 4u /* beside an entitlement's state */

#define CONSENT_ALL                                                            \
    (LOYALTY_CHANNEL_EMAIL | LOYALTY_CHANNEL_SMS | LOYALTY_CHANNEL_MESSENGER   \
     | LOYALTY_CHANNEL_LINE)

static bool
has_profile(const loyalty_member_t *member)
{
    return member->email.len != 0 || member->phone.len != 0
           || member->messenger_id.len != 0 || member->line_id.len != 0
           || member->name.len != 0 || member->locale.len != 0
           || member->consent != 0 || member->nclubs != 0
           || member->ngroups != 0 || member->nattributes != 0;
}

static void
put_strs(loyalty_encoder_t *encoder, const loyalty_str_t *list, size_t n)
{
    size_t i;

    loyalty_put_uint(encoder, n);
    for (i = 0; i < n; i++) {
        loyalty_put_str(encoder, list[i]);
    }
}

static loyalty_status_t
get_strs(loyalty_decoder_t *decoder, loyalty_arena_t *arena,
         loyalty_str_t **list, size_t *n)
{
    size_t i;

    *list = loyalty_get_list(decoder, arena, LOYALTY_MEMBER_LIST_MAX,
                             sizeof(**list), n);
    if (*list == NULL) {
        return *n == 0 ? LOYALTY_OK : LOYALTY_ERROR_MEMORY;
    }

    for (i = 0; i < *n && !decoder->bad; i++) {
        (*list)[i] = loyalty_get_str(decoder, LOYALTY_MEMBER_TEXT_MAX);
    }
    return LOYALTY_OK;
}

static void
put_profile(loyalty_encoder_t *encoder, const loyalty_member_t *member)
{
    size_t i;

    loyalty_put_str(encoder, member->email);
    loyalty_put_str(encoder, member->phone);
    loyalty_put_str(encoder, member->messenger_id);
    loyalty_put_str(encoder, member->line_id);
    loyalty_put_str(encoder, member->name);
    loyalty_put_str(encoder, member->locale);
    loyalty_put_uint(encoder, member->consent);
    put_strs(encoder, member->clubs, member->nclubs);
    put_strs(encoder, member->groups, member->ngroups);

    loyalty_put_uint(encoder, member->nattributes);
    for (i = 0; i < member->nattributes; i++) {
        loyalty_put_str(encoder, member->attributes[i].name);
        loyalty_put_str(encoder, member->attributes[i].value);
    }
}

static loyalty_status_t
get_profile(loyalty_decoder_t *decoder, loyalty_arena_t *arena,
            loyalty_member_t *member)
{
    loyalty_attribute_t *attribute;
    loyalty_status_t rc;
    size_t i;

    member->email = loyalty_get_str(decoder, LOYALTY_MEMBER_TEXT_MAX);
    member->phone = loyalty_get_str(decoder, LOYALTY_MEMBER_TEXT_MAX);
    member->messenger_id = loyalty_get_str(decoder, LOYALTY_MEMBER_TEXT_MAX);
    member->line_id = loyalty_get_str(decoder, LOYALTY_MEMBER_TEXT_MAX);
    member->name = loyalty_get_str(decoder, LOYALTY_MEMBER_TEXT_MAX);
    member->locale = loyalty_get_str(decoder, LOYALTY_MEMBER_TEXT_MAX);
    member->consent = (unsigned)loyalty_get_max(decoder, CONSENT_ALL);

    if ((rc = get_strs(decoder, arena, &member->clubs, &member->nclubs))
            != LOYALTY_OK
        || (rc = get_strs(decoder, arena, &member->groups, &member->ngroups))
               != LOYALTY_OK) {
        return rc;
    }

    member->attributes =
        loyalty_get_list(decoder, arena, LOYALTY_MEMBER_LIST_MAX,
                         sizeof(*attribute), &member->nattributes);
    if (member->attributes == NULL) {
        return member->nattributes == 0 ? LOYALTY_OK : LOYALTY_ERROR_MEMORY;
    }

    for (i = 0; i < member->nattributes && !decoder->bad; i++) {
        attribute = &member->attributes[i];
        attribute->name = loyalty_get_str(decoder, LOYALTY_MEMBER_TEXT_MAX);
        attribute->value = loyalty_get_str(decoder, LOYALTY_MEMBER_TEXT_MAX);
    }
    return LOYALTY_OK;
}

static void
put_contributions(loyalty_encoder_t *encoder, const loyalty_member_t *member)
{
    const loyalty_contribution_t *contribution;
    size_t i;

    loyalty_put_uint(encoder, member->ncontributions);
    for (i = 0; i < member->ncontributions; i++) {
        contribution = &member->contributions[i];
        loyalty_put_str(encoder, contribution->order_id);
        loyalty_put_instant(encoder, contribution->placed_at);
        loyalty_put_int(encoder, contribution->spend);
        loyalty_put_int(encoder, contribution->points);
        loyalty_put_uint(encoder, contribution->counts);
    }
}

static loyalty_status_t
get_contributions(loyalty_decoder_t *decoder, loyalty_arena_t *arena,
                  loyalty_member_t *member)
{
    loyalty_contribution_t *contribution;
    size_t i, n;

    member->contributions =
        loyalty_get_list(decoder, arena, LOYALTY_MEMBER_CONTRIBUTIONS_MAX,
                         sizeof(*contribution), &n);
    member->ncontributions = n;
    if (member->contributions == NULL) {
        return n == 0 ? LOYALTY_OK : LOYALTY_ERROR_MEMORY;
    }

    for (i = 0; i < n && !decoder->bad; i++) {
        contribution = &member->contributions[i];
        contribution->order_id = loyalty_get_str(decoder, LOYALTY_ORDER_ID_MAX);
        contribution->placed_at = loyalty_get_instant(decoder);
        contribution->spend = loyalty_get_int(decoder);
        contribution->points = loyalty_get_int(decoder);
        contribution->counts = loyalty_get_bool(decoder);

        if (contribution->placed_at == LOYALTY_UNKNOWN
            || contribution->placed_at == LOYALTY_NEVER
            || contribution->spend < 0 || contribution->points < 0
            || (i > 0
                && contribution->placed_at < contribution[-1].placed_at)) {
            decoder->bad = true;
        }
    }
    return LOYALTY_OK;
}

static void
put_wallet(loyalty_encoder_t *encoder, const loyalty_member_t *member)
{
    const loyalty_entitlement_t *entitlement;
    size_t i;

    loyalty_put_uint(encoder, member->nentitlements);
    for (i = 0; i < member->nentitlements; i++) {
        entitlement = &member->entitlements[i];
        loyalty_put_str(encoder, entitlement->id);
        loyalty_put_str(encoder, entitlement->offer);
        loyalty_put_uint(encoder,
                         entitlement->state
                             | (entitlement->bought ? STATE_BOUGHT : 0U));
        loyalty_put_int(encoder, entitlement->stamps);
        loyalty_put_int(encoder, entitlement->uses);
        loyalty_put_instant(encoder, entitlement->acquired_at);
        loyalty_put_instant(encoder, entitlement->expires_at);
        loyalty_put_str(encoder, entitlement->code);
        loyalty_put_str(encoder, entitlement->held_by);
        loyalty_put_instant(encoder, entitlement->held_until);
    }

    loyalty_put_uint(encoder, member->nrule_marks);
    for (i = 0; i < member->nrule_marks; i++) {
        loyalty_put_str(encoder, member->rule_marks[i].rule);
        loyalty_put_int(encoder, member->rule_marks[i].fired);
    }
}

static int32_t
get_int32(loyalty_decoder_t *decoder)
{
    int64_t value = loyalty_get_int(decoder);

    if (value < INT32_MIN || value > INT32_MAX) {
        decoder->bad = true;
        return 0;
    }
    return (int32_t)value;
}

static loyalty_status_t
get_entitlements(loyalty_decoder_t *decoder, loyalty_arena_t *arena,
                 loyalty_member_t *member)
{
    loyalty_entitlement_t *entitlement;
    unsigned state;
    size_t i, n;

    member->entitlements =
        loyalty_get_list(decoder, arena, LOYALTY_MEMBER_LIST_MAX,
                         sizeof(*entitlement), &n);
    member->nentitlements = n;
    if (member->entitlements == NULL) {
        return n == 0 ? LOYALTY_OK : LOYALTY_ERROR_MEMORY;
    }

    for (i = 0; i < n && !decoder->bad; i++) {
        entitlement = &member->entitlements[i];
        entitlement->id = loyalty_get_str(decoder, LOYALTY_ID_MAX);
        entitlement->offer = loyalty_get_str(decoder, LOYALTY_ID_MAX);
        state = (unsigned)loyalty_get_max(
            decoder, LOYALTY_ENTITLEMENT_REDEEMED | STATE_BOUGHT);
        entitlement->bought = (state & STATE_BOUGHT) != 0;
        entitlement->state =
            (loyalty_entitlement_state_t)(state & ~STATE_BOUGHT);
        entitlement->stamps = get_int32(decoder);
        entitlement->uses = get_int32(decoder);
        entitlement->acquired_at = loyalty_get_instant(decoder);
        entitlement->expires_at = loyalty_get_instant(decoder);
        entitlement->code = loyalty_get_str(decoder, LOYALTY_ID_MAX);
        entitlement->held_by = loyalty_get_str(decoder, LOYALTY_ORDER_ID_MAX);
        entitlement->held_until = loyalty_get_instant(decoder);

        if (entitlement->state < LOYALTY_ENTITLEMENT_OWNED) {
            decoder->bad = true;
        }
    }
    return LOYALTY_OK;
}

static loyalty_status_t
get_rule_marks(loyalty_decoder_t *decoder, loyalty_arena_t *arena,
               loyalty_member_t *member)
{
    size_t i, n;

    member->rule_marks =
        loyalty_get_list(decoder, arena, LOYALTY_MEMBER_LIST_MAX,
                         sizeof(*member->rule_marks), &n);
    member->nrule_marks = n;
    if (member->rule_marks == NULL) {
        return n == 0 ? LOYALTY_OK : LOYALTY_ERROR_MEMORY;
    }

    for (i = 0; i < n && !decoder->bad; i++) {
        member->rule_marks[i].rule = loyalty_get_str(decoder, LOYALTY_ID_MAX);
        member->rule_marks[i].fired = loyalty_get_int(decoder);
    }
    return LOYALTY_OK;
}

static void
put_uses(loyalty_encoder_t *encoder, const loyalty_member_t *member)
{
    size_t i;

    loyalty_put_uint(encoder, member->nuses);
    for (i = 0; i < member->nuses; i++) {
        loyalty_put_str(encoder, member->uses[i].offer);
        loyalty_put_int(encoder, member->uses[i].uses);
    }
}

static loyalty_status_t
get_uses(loyalty_decoder_t *decoder, loyalty_arena_t *arena,
         loyalty_member_t *member)
{
    size_t i, n;

    member->uses = loyalty_get_list(decoder, arena, LOYALTY_PROGRAM_OFFERS_MAX,
                                    sizeof(*member->uses), &n);
    member->nuses = n;
    decoder->bad |= n == 0;
    if (member->uses == NULL) {
        return n == 0 ? LOYALTY_OK : LOYALTY_ERROR_MEMORY;
    }

    for (i = 0; i < n && !decoder->bad; i++) {
        member->uses[i].offer = loyalty_get_str(decoder, LOYALTY_ID_MAX);
        member->uses[i].uses = loyalty_get_int(decoder);
        decoder->bad |= member->uses[i].uses <= 0;
    }
    return LOYALTY_OK;
}

loyalty_status_t
loyalty_member_encode(const loyalty_member_t *member, loyalty_arena_t *arena,
                      loyalty_str_t *bytes)
{
    bool profile = has_profile(member);
    bool wallet = member->nentitlements != 0 || member->nrule_marks != 0;
    loyalty_encoder_t encoder;

    loyalty_encoder_init(
        &encoder, arena,
        256 + 48 * (member->ncontributions + member->points.nlots));

    loyalty_put_uint(&encoder, FORMAT);
    loyalty_put_str(&encoder, member->id);
    loyalty_put_int(&encoder, member->version);
    loyalty_put_uint(&encoder, (member->registered ? FLAG_REGISTERED : 0U)
                                   | (member->erased ? FLAG_ERASED : 0U)
                                   | (profile ? FLAG_PROFILE : 0U)
                                   | (wallet ? FLAG_WALLET : 0U)
                                   | (member->nuses != 0 ? FLAG_USES : 0U));

    loyalty_put_instant(&encoder, member->signed_up_at);
    loyalty_put_instant(&encoder, member->deleted_at);
    loyalty_put_instant(&encoder, member->last_visit_at);
    loyalty_put_instant(&encoder, member->previous_visit_at);
    loyalty_put_instant(&encoder, member->last_order_at);
    loyalty_put_int(&encoder, member->order_count);
    loyalty_put_int(&encoder, member->spent_total);

    loyalty_put_str(&encoder, member->tier);
    loyalty_put_str(&encoder, member->own_tier);
    loyalty_put_instant(&encoder, member->below_since);
    loyalty_put_str(&encoder, member->manual_tier);
    loyalty_put_instant(&encoder, member->manual_until);

    loyalty_put_ledger(&encoder, &member->points);
    loyalty_put_ledger(&encoder, &member->credits);
    put_contributions(&encoder, member);

    if (profile) {
        put_profile(&encoder, member);
    }
    if (wallet) {
        put_wallet(&encoder, member);
    }
    if (member->nuses != 0) {
        put_uses(&encoder, member);
    }

    return loyalty_encoder_finish(&encoder, LOYALTY_MEMBER_SIZE_MAX, bytes);
}

static loyalty_status_t
get_fields(loyalty_decoder_t *decoder, loyalty_arena_t *arena,
           loyalty_member_t *member)
{
    loyalty_status_t rc;
    unsigned flags;

    member->id = loyalty_get_str(decoder, LOYALTY_MEMBER_ID_MAX);
    member->version = loyalty_get_int(decoder);
    flags = (unsigned)loyalty_get_max(decoder, FLAGS_ALL);
    member->registered = (flags & FLAG_REGISTERED) != 0;
    member->erased = (flags & FLAG_ERASED) != 0;

    member->signed_up_at = loyalty_get_instant(decoder);
    member->deleted_at = loyalty_get_instant(decoder);
    member->last_visit_at = loyalty_get_instant(decoder);
    member->previous_visit_at = loyalty_get_instant(decoder);
    member->last_order_at = loyalty_get_instant(decoder);
    member->order_count = loyalty_get_int(decoder);
    member->spent_total = loyalty_get_int(decoder);

    member->tier = loyalty_get_str(decoder, LOYALTY_ID_MAX);
    member->own_tier = loyalty_get_str(decoder, LOYALTY_ID_MAX);
    member->below_since = loyalty_get_instant(decoder);
    member->manual_tier = loyalty_get_str(decoder, LOYALTY_ID_MAX);
    member->manual_until = loyalty_get_instant(decoder);

    if ((rc = loyalty_get_ledger(decoder, arena, &member->points)) != LOYALTY_OK
        || (rc = loyalty_get_ledger(decoder, arena, &member->credits))
               != LOYALTY_OK
        || (rc = get_contributions(decoder, arena, member)) != LOYALTY_OK) {
        return rc;
    }

    if ((flags & FLAG_PROFILE) != 0) {
        rc = get_profile(decoder, arena, member);
        if (rc == LOYALTY_OK && !has_profile(member)) {
            decoder->bad = true;
        }
    }

    if (rc == LOYALTY_OK && (flags & FLAG_WALLET) != 0) {
        rc = get_entitlements(decoder, arena, member);
        if (rc == LOYALTY_OK) {
            rc = get_rule_marks(decoder, arena, member);
        }
        if (rc == LOYALTY_OK && member->nentitlements == 0
            && member->nrule_marks == 0) {
            decoder->bad = true;
        }
    }

    if (rc == LOYALTY_OK && (flags & FLAG_USES) != 0) {
        rc = get_uses(decoder, arena, member);
    }

    return rc;
}

loyalty_status_t
loyalty_member_decode(loyalty_str_t bytes, loyalty_arena_t *arena,
                      loyalty_member_t *member)
{
    loyalty_decoder_t decoder;
    loyalty_status_t rc;

    if (bytes.len > LOYALTY_MEMBER_SIZE_MAX) {
        return LOYALTY_ERROR_LIMIT;
    }

    rc = loyalty_decoder_init(&decoder, bytes, FORMAT);
    if (rc != LOYALTY_OK) {
        return rc;
    }

    *member = (loyalty_member_t){0};
    rc = get_fields(&decoder, arena, member);
    if (rc != LOYALTY_OK) {
        return rc;
    }

    if (decoder.bad || decoder.p != decoder.end || member->version < 0
        || member->version == INT64_MAX || member->order_count < 0
        || member->spent_total < 0
        || loyalty_member_id_check(member->id) != LOYALTY_OK) {
        return LOYALTY_ERROR_CORRUPT;
    }

    return LOYALTY_OK;
}
