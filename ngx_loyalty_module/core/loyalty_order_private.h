/*
 * What the files of loyalty_order share.
 *
 *   loyalty_order.c         apply and spend: the way through
 *   loyalty_order_record.c  the event into the record, or why not
 *   loyalty_order_move.c    the record's consequences for the member
 *   loyalty_order_wallet.c  stamps and redemptions
 *   loyalty_order_hold.c    what comes by holds
 *   loyalty_order_refund.c  refunds, the part of that with rules of its own
 */

#ifndef LOYALTY_ORDER_PRIVATE_H
#define LOYALTY_ORDER_PRIVATE_H

#include "loyalty_order.h"

typedef struct {
    const loyalty_program_t *program;
    loyalty_member_t *member; /* a copy; NULL: nothing to do to anybody */
    loyalty_order_t *order;   /* a copy */
    const loyalty_order_event_t *event;
    loyalty_instant_t now;
    loyalty_arena_t *arena;
    loyalty_effects_t *effects;
    loyalty_cause_t cause;
    size_t products_capacity;
    bool new_lines; /* the event says what the order is made of */
    bool new_redemptions;
    bool moved; /* the member is not what it was */
} loyalty_order_context_t;

static inline loyalty_status_t
loyalty_order_conflict(loyalty_effects_t *effects, const char *refusal)
{
    effects->refusal = refusal;
    return LOYALTY_ERROR_CONFLICT;
}

static inline loyalty_status_t
loyalty_order_refuse(loyalty_effects_t *effects, const char *refusal)
{
    effects->refusal = refusal;
    return LOYALTY_ERROR_REFUSED;
}

/* `a` may be unknown yet. */
static inline loyalty_instant_t
loyalty_order_earlier(loyalty_instant_t a, loyalty_instant_t b)
{
    return a == LOYALTY_UNKNOWN || b < a ? b : a;
}

static inline bool
loyalty_order_has_earned(const loyalty_order_attempt_t *attempt)
{
    return attempt->marks[LOYALTY_ORDER_COMPLETED - 1].seen
           || attempt->marks[LOYALTY_ORDER_SHIPPED - 1].seen;
}

static inline bool
loyalty_order_is_placed(const loyalty_order_attempt_t *attempt)
{
    return attempt->marks[LOYALTY_ORDER_PLACED - 1].seen;
}

static inline bool
loyalty_order_is_cancelled(const loyalty_order_attempt_t *attempt)
{
    return attempt->marks[LOYALTY_ORDER_CANCELLED - 1].seen;
}

void *loyalty_copy_array(loyalty_arena_t *arena, const void *from, size_t n,
                         size_t more, size_t size);
loyalty_order_attempt_t *
loyalty_order_find_attempt(const loyalty_order_t *order, int32_t attempt);
loyalty_order_refund_t *
loyalty_order_find_refund(const loyalty_order_attempt_t *attempt,
                          loyalty_str_t id);
loyalty_order_attempt_t *loyalty_order_in_force(const loyalty_order_t *order,
                                                bool *cancelled);
loyalty_status_t loyalty_order_compare(const loyalty_order_t *order,
                                       const loyalty_order_event_t *event,
                                       loyalty_effects_t *effects,
                                       bool *duplicate);
loyalty_status_t loyalty_order_copy(const loyalty_order_t *from,
                                    const loyalty_order_event_t *event,
                                    loyalty_arena_t *arena,
                                    loyalty_order_t **copy);
loyalty_status_t loyalty_order_enter(loyalty_order_context_t *context);
loyalty_status_t loyalty_order_add_product(loyalty_order_context_t *context,
                                           loyalty_str_t sku, int64_t units);
void loyalty_order_merge_products(loyalty_effects_t *effects);
loyalty_status_t
loyalty_order_count_products(loyalty_order_context_t *context,
                             const loyalty_order_attempt_t *attempt,
                             int64_t sign);
loyalty_status_t loyalty_order_count(loyalty_order_context_t *context,
                                     int64_t orders, int64_t spend);
void loyalty_order_contribute(loyalty_order_context_t *context,
                              const loyalty_order_attempt_t *attempt,
                              int64_t life_before);
loyalty_lot_t loyalty_order_lot(loyalty_order_context_t *context,
                                const loyalty_order_attempt_t *attempt,
                                int64_t points);
loyalty_status_t loyalty_order_pend(loyalty_order_context_t *context,
                                    loyalty_order_attempt_t *attempt);
loyalty_status_t loyalty_order_earn(loyalty_order_context_t *context,
                                    loyalty_order_attempt_t *attempt);
loyalty_status_t
loyalty_order_take_points(loyalty_order_context_t *context,
                          const loyalty_order_attempt_t *attempt,
                          int64_t points);
loyalty_status_t loyalty_order_undo(loyalty_order_context_t *context,
                                    loyalty_order_attempt_t *attempt);

/* The holds that the attempt names become its own, as far as they are free. */
loyalty_status_t loyalty_order_claim(loyalty_order_context_t *context,
                                     loyalty_order_attempt_t *attempt);
loyalty_status_t loyalty_order_redeem(loyalty_order_context_t *context,
                                      loyalty_order_attempt_t *attempt);
/* Into the effects: what is redeemed now and was not `before` (or NULL). */
loyalty_status_t
loyalty_order_note_redeemed(loyalty_order_context_t *context,
                            const loyalty_order_t *before);
loyalty_status_t loyalty_order_stamp(loyalty_order_context_t *context,
                                     loyalty_order_attempt_t *attempt);

/* Points that the offers it uses add. */
int64_t loyalty_order_rewards(const loyalty_order_attempt_t *attempt);

/* It has earned, and uses other offers now: so many points more, or fewer. */
loyalty_status_t loyalty_order_earn_rewards(loyalty_order_context_t *context,
                                            loyalty_order_attempt_t *attempt,
                                            int64_t points);

typedef enum {
    LOYALTY_LEAVE_STAMPS,  /* takes the stamps back */
    LOYALTY_LEAVE_ENTRIES, /* and gives back entries named by their ids */
    LOYALTY_LEAVE_ALL      /* and holds */
} loyalty_order_leave_t;

loyalty_status_t loyalty_order_leave_wallet(loyalty_order_context_t *context,
                                            loyalty_order_attempt_t *attempt,
                                            loyalty_order_leave_t leave);

/* For an order of a guest, or of a member who is erased: holds alone. */
loyalty_status_t loyalty_order_guest_wallet(loyalty_order_context_t *context);

/* The event has been applied: its holds say so. */
void loyalty_order_keep_holds(const loyalty_order_context_t *context);
loyalty_status_t loyalty_order_apply_refunds(loyalty_order_context_t *context,
                                             loyalty_order_attempt_t *attempt);

/* Its lines are known only now: what was returned before is returned. */
void loyalty_order_return_again(loyalty_order_attempt_t *attempt);

/* A text of an event: up to `max` bytes, a required one at least one, and no
 * control characters.  The second tells why one is not. */
bool loyalty_order_text_ok(loyalty_str_t text, size_t max, bool required);
void loyalty_order_text_refuse(loyalty_problems_t *problems,
                               const char *pointer, loyalty_str_t text,
                               size_t max, bool required);

/* The status of that name, or 0. */
loyalty_order_status_t loyalty_order_status_of(loyalty_str_t name);

#endif
