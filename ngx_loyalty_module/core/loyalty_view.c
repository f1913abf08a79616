/*
 * Building and opening views (loyalty_view.h).
 */

#include "loyalty_view.h"

_Static_assert(sizeof(loyalty_view_t) % 8 == 0, "views are cut in words");
_Static_assert(sizeof(loyalty_view_offer_t) % 8 == 0, "offers are, too");
_Static_assert(LOYALTY_VIEW_SIZE_MAX <= UINT16_MAX, "tail_len holds it");

#define FLAGS_ALL (LOYALTY_VIEW_REGISTERED | LOYALTY_VIEW_DELETED)
#define SEGMENTS_ALL                                                           \
    (LOYALTY_SEGMENT_VIP | LOYALTY_SEGMENT_AT_RISK | LOYALTY_SEGMENT_NEW       \
     | LOYALTY_SEGMENT_RECURRING)

static size_t
offer_size(size_t id_len)
{
    return sizeof(loyalty_view_offer_t) + ((id_len + 7) & ~(size_t)7);
}

static bool
is_usable(const loyalty_entitlement_t *entitlement, loyalty_instant_t at)
{
    return entitlement->state != LOYALTY_ENTITLEMENT_REDEEMED
           && entitlement->expires_at > at;
}

static loyalty_status_t
add_offers(const loyalty_member_t *member, loyalty_instant_t at,
           loyalty_view_t *view)
{
    const loyalty_entitlement_t *entitlement;
    loyalty_view_offer_t offer;
    size_t i, size, used = sizeof(*view);
    char *p;

    for (i = 0; i < member->nentitlements; i++) {
        entitlement = &member->entitlements[i];
        if (!is_usable(entitlement, at)) {
            continue;
        }

        size = offer_size(entitlement->offer.len);
        if (entitlement->offer.len > LOYALTY_ID_MAX
            || size > LOYALTY_VIEW_SIZE_MAX - used) {
            return LOYALTY_ERROR_LIMIT;
        }

        offer = (loyalty_view_offer_t){
            .size = (uint16_t)size,
            .id_len = (uint16_t)entitlement->offer.len,
            .state = (uint8_t)entitlement->state,
            .stamps = entitlement->stamps,
            .uses = entitlement->uses,
            .expires_at = entitlement->expires_at,
        };

        p = (char *)view + used;
        memset(p, 0, size);
        memcpy(p, &offer, sizeof(offer));
        if (offer.id_len != 0) {
            memcpy(p + sizeof(offer), entitlement->offer.data, offer.id_len);
        }
        used += size;

        if (entitlement->expires_at < view->valid_until) {
            view->valid_until = entitlement->expires_at;
        }
    }

    view->tail_len = (uint16_t)(used - sizeof(*view));
    return LOYALTY_OK;
}

loyalty_status_t
loyalty_view_build(const loyalty_member_t *member,
                   const loyalty_program_t *program, loyalty_instant_t at,
                   void *buffer, size_t *len)
{
    loyalty_view_t *view = buffer;
    loyalty_balance_t points, credits;
    loyalty_activity_t activity;
    loyalty_tier_result_t tier;
    loyalty_status_t rc;

    loyalty_ledger_balance(&member->points, at, &points);
    loyalty_ledger_balance(&member->credits, at, &credits);
    loyalty_member_tier(member, program, at, &tier);
    loyalty_member_activity(member, &activity);

    *view = (loyalty_view_t){
        .format = LOYALTY_VIEW_FORMAT,
        .flags = (uint16_t)((member->registered ? LOYALTY_VIEW_REGISTERED : 0)
                            | (member->deleted_at != LOYALTY_UNKNOWN
                                   ? LOYALTY_VIEW_DELETED
                                   : 0)),
        .segments = (uint8_t)loyalty_segments(&program->settings.segments,
                                              &activity, at),
        .percent = (uint8_t)tier.percent,
        .tier = (int16_t)tier.current,
        .next = (int16_t)tier.next,
        .member_version = (uint32_t)member->version,
        .program_version = program->version,
        .valid_until = loyalty_member_change_at(member, program, at),
        .last_visit_at = member->last_visit_at,
        .value = tier.value,
        .remaining = tier.remaining,
        .points_active = points.active,
        .points_pending = points.pending,
        .points_life = points.life,
        .credits_active = credits.active,
        .spent_total = member->spent_total,
        .order_count = member->order_count,
    };

    rc = add_offers(member, at, view);
    if (rc == LOYALTY_OK) {
        *len = sizeof(*view) + view->tail_len;
    }
    return rc;
}

const loyalty_view_offer_t *
loyalty_view_offer(const loyalty_view_t *view,
                   const loyalty_view_offer_t *offer)
{
    const char *start = (const char *)(view + 1), *p;

    p = offer == NULL ? start : (const char *)offer + offer->size;

    return p < start + view->tail_len ? (const loyalty_view_offer_t *)p : NULL;
}

loyalty_str_t
loyalty_view_offer_id(const loyalty_view_offer_t *offer)
{
    return (loyalty_str_t){(const char *)(offer + 1), offer->id_len};
}

static bool
is_tail(const char *p, size_t left)
{
    loyalty_view_offer_t offer;

    while (left > 0) {
        if (left < sizeof(offer)) {
            return false;
        }
        memcpy(&offer, p, sizeof(offer));
        if (offer.size > left || offer.size != offer_size(offer.id_len)) {
            return false;
        }
        p += offer.size;
        left -= offer.size;
    }

    return true;
}

const loyalty_view_t *
loyalty_view_open(const void *bytes, size_t len)
{
    const loyalty_view_t *view = bytes;

    if (len < sizeof(*view) || len > LOYALTY_VIEW_SIZE_MAX
        || view->format != LOYALTY_VIEW_FORMAT
        || (view->flags & ~FLAGS_ALL) != 0
        || (view->segments & ~SEGMENTS_ALL) != 0 || view->percent > 100
        || view->tier < -1 || view->next < -1
        || view->tail_len != len - sizeof(*view)
        || !is_tail((const char *)(view + 1), view->tail_len)) {
        return NULL;
    }

    return view;
}
