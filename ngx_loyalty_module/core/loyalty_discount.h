/*
 * What one offer takes off a cart (DOMAIN.md section 7, steps 2 and 3).
 * Internal to core/: loyalty_cart.c decides which offers and in what order.
 */

#ifndef LOYALTY_DISCOUNT_H
#define LOYALTY_DISCOUNT_H

#include "loyalty_basket.h"

typedef struct {
    const loyalty_lines_t *scope; /* no other lines give anything */
    int64_t amount;
    int64_t *parts; /* what each line gives */

    /* buy_x_get_y only. */
    int64_t *units;      /* those it uses up, by line; else NULL */
    int64_t *units_left; /* what it leaves of them */
    bool out_of_scope;   /* nothing that qualifies, or nothing to get */
    bool too_few_units;  /* not one whole group */
} loyalty_reduction_t;

/* What the offer would take off the basket as it is; changes nothing that
 * lasts.  The reduction is good until the next one. */
loyalty_status_t loyalty_discount(const loyalty_offer_t *offer,
                                  loyalty_basket_t *basket,
                                  loyalty_reduction_t *reduction);

/* Of a buy_x_get_y only whether there is a whole group for it. */
void loyalty_discount_fits(const loyalty_offer_t *offer,
                           loyalty_basket_t *basket,
                           loyalty_reduction_t *reduction);

/* Takes it off.  What each line gave goes to `allocations`, which has room for
 * reduction->scope->n; those of 0 are left out; returns how many there are. */
size_t loyalty_basket_reduce(loyalty_basket_t *basket,
                             const loyalty_reduction_t *reduction,
                             loyalty_allocation_t *allocations);

#endif
