/*
 * A member as the edge caches it: all a page needs, computed once for an
 * instant and good until `valid_until`, under one program version.
 *
 * Layout: this struct, then `tail_len` bytes: for each offer the member
 * holds, a loyalty_view_offer_t and its id, padded to 8.  The whole is a
 * multiple of 8 bytes and holds no pointer, so it can lie in shared memory
 * and be read in place from a private copy.
 */

#ifndef LOYALTY_VIEW_H
#define LOYALTY_VIEW_H

#include "loyalty_member.h"
#include "loyalty_program.h"

#define LOYALTY_VIEW_FORMAT 1

typedef struct {
    uint16_t format; /* LOYALTY_VIEW_FORMAT */
    uint16_t flags;  /* LOYALTY_VIEW_... */
    uint16_t tail_len;
    uint8_t segments;
    uint8_t percent;
    int16_t tier; /* index into program->tiers, -1: none */
    int16_t next;
    uint32_t member_version; /* low bits; a newer one wins */

    int64_t program_version;
    loyalty_instant_t valid_until;
    loyalty_instant_t last_visit_at; /* to record one visit an hour */
    int64_t value;
    int64_t remaining;
    int64_t points_active;
    int64_t points_pending;
    int64_t points_life;
    int64_t credits_active;
    int64_t spent_total;
    int64_t order_count;
} loyalty_view_t;

#define LOYALTY_VIEW_REGISTERED 0x0001
#define LOYALTY_VIEW_DELETED 0x0002

/* An offer in the wallet that is not used up; its id follows. */
typedef struct {
    uint16_t size; /* of this and the id, a multiple of 8 */
    uint16_t id_len;
    uint8_t state; /* loyalty_entitlement_state_t */
    uint8_t reserved[3];
    int32_t stamps;
    int32_t uses;
    loyalty_instant_t expires_at;
} loyalty_view_offer_t;

/* Builds the view into `buffer` (LOYALTY_VIEW_SIZE_MAX bytes, aligned 8).
 * LOYALTY_ERROR_LIMIT: the member holds more than a view can carry. */
loyalty_status_t loyalty_view_build(const loyalty_member_t *member,
                                    const loyalty_program_t *program,
                                    loyalty_instant_t at, void *buffer,
                                    size_t *len);

/* Checks bytes from a cache before they are used as a view; NULL: they are
 * not one.  `bytes` are aligned to 8. */
const loyalty_view_t *loyalty_view_open(const void *bytes, size_t len);

/* The offer after `offer` (NULL: the first), or NULL. */
const loyalty_view_offer_t *
loyalty_view_offer(const loyalty_view_t *view,
                   const loyalty_view_offer_t *offer);
loyalty_str_t loyalty_view_offer_id(const loyalty_view_offer_t *offer);

#endif
