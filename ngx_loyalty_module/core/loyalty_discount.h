/*
 * What one offer takes off a cart (DOMAIN.md section 7, steps 2 and 3).
 * Internal to core/: loyalty_cart.c decides which offers and in what order.
 */

#ifndef LOYALTY_DISCOUNT_H
#define LOYALTY_DISCOUNT_H

#include "loyalty_cart.h"

/* Indices of the lines in a scope, ascending. */
typedef struct {
    uint32_t *lines;
    size_t n;
} loyalty_lines_t;

/*
 * What the offers applied so far have left.  floors[i] <= left[i] <= amount of
 * line i; taken[i] <= its quantity; taken_left[i], the part of left[i] that
 * lies on the taken units, <= left[i].
 */
typedef struct {
    const loyalty_cart_line_t *lines;
    size_t nlines;
    const uint64_t *hashes;          /* of the lines' SKUs */
    const loyalty_str_t *categories; /* own, or mapped from the SKU */
    loyalty_lines_t all;

    int64_t *left;
    int64_t *floors; /* minimum_price x quantity */
    int64_t *taken;  /* units used up by buy_x_get_y */
    int64_t *taken_left;

    loyalty_arena_t *arena;
} loyalty_basket_t;

/* The lines that `scope` covers; memory from the basket's arena. */
loyalty_status_t loyalty_basket_lines(const loyalty_basket_t *basket,
                                      const loyalty_offer_scope_t *scope,
                                      loyalty_lines_t *lines);

typedef struct {
    int64_t amount;
    int64_t *parts;     /* what each line gives; nlines of them */

    /* buy_x_get_y only. */
    int64_t *units;     /* those it uses up, by line; else NULL */
    int64_t *units_left; /* what it leaves of them */
    bool out_of_scope;  /* nothing that qualifies, or nothing to get */
    bool too_few_units; /* not one whole group */
} loyalty_reduction_t;

/* What the offer would take off the basket as it is; changes nothing. */
loyalty_status_t loyalty_discount(const loyalty_offer_t *offer,
                                  const loyalty_lines_t *scope,
                                  const loyalty_basket_t *basket,
                                  loyalty_reduction_t *reduction);

/* Of a buy_x_get_y only whether there is a whole group for it. */
loyalty_status_t loyalty_discount_fits(const loyalty_offer_t *offer,
                                       const loyalty_lines_t *scope,
                                       const loyalty_basket_t *basket,
                                       loyalty_reduction_t *reduction);

/* Takes it off. */
void loyalty_basket_reduce(loyalty_basket_t *basket,
                           const loyalty_reduction_t *reduction);

#endif
