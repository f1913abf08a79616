/*
 * A cart while offers are taken off it: its lines, the scopes they lie in, and
 * what each line has left.  Internal to core/.
 */

#ifndef LOYALTY_BASKET_H
#define LOYALTY_BASKET_H

#include "loyalty_cart.h"

/* Lines of a scope. */
typedef struct {
    uint32_t *lines; /* ascending; room for all */
    size_t n;
    int64_t spend; /* theirs, before any discount */
    int64_t quantity;
    bool searched; /* SKU patterns have been tried */
} loyalty_lines_t;

/*
 * floors[i] <= left[i] <= amount of line i; taken[i] <= its quantity.  Of what
 * the line had left when it last gave units, taken_of[i], the part that lay on
 * taken units is taken_left[i] <= taken_of[i]; discounts on the line since
 * then lie on all its units alike.
 */
typedef struct {
    const loyalty_cart_line_t *lines;
    size_t nlines;
    int64_t subtotal;
    loyalty_lines_t *scopes; /* by their number */
    uint32_t *by_price;      /* NULL until asked for */

    int64_t *left;
    int64_t *floors; /* minimum_price x quantity */
    int64_t *taken;  /* units used up by buy_x_get_y */
    int64_t *taken_left;
    int64_t *taken_of;

    /* Scratch of one reduction at a time. */
    int64_t *parts;
    int64_t *units;
    int64_t *units_left;
    int64_t *weights;
    int64_t *shares;
    int64_t *rests;
    int64_t *worths;   /* by line; all 0 between uses */
    uint32_t *chosen;  /* lines */
    uint32_t *sharing; /* those that share a sum, by `weights` */
    uint8_t *marks;    /* all 0 between uses */

    loyalty_arena_t *arena;
} loyalty_basket_t;

/* LOYALTY_ERROR_INVALID, _LIMIT, _OVERFLOW: a line is not to be priced. */
loyalty_status_t loyalty_basket_fill(loyalty_basket_t *basket,
                                     const loyalty_program_t *program,
                                     const loyalty_cart_t *cart,
                                     loyalty_arena_t *arena);

/* Finds the lines that fit a scope's SKU patterns; to be called for all scopes
 * of an offer before their lines are asked for. */
loyalty_status_t loyalty_basket_search(loyalty_basket_t *basket,
                                       const loyalty_offer_scope_t *scope);

/* The lines that a scope covers. */
static inline const loyalty_lines_t *
loyalty_basket_lines(const loyalty_basket_t *basket,
                     const loyalty_offer_scope_t *scope)
{
    return &basket->scopes[scope->number];
}

/* Sets, or takes away, bits of the lines' marks. */
void loyalty_basket_mark(loyalty_basket_t *basket,
                         const loyalty_lines_t *lines, uint8_t mark);
void loyalty_basket_unmark(loyalty_basket_t *basket,
                           const loyalty_lines_t *lines);

/* The marked lines into basket->chosen, the cheapest unit first, the earlier
 * line of equal ones; *n of them. */
loyalty_status_t loyalty_basket_choose(loyalty_basket_t *basket, size_t *n);

#endif
