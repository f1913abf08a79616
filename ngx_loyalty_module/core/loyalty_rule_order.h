/*
 * What an order's record says to a rule of products.
 */

#ifndef LOYALTY_RULE_ORDER_H
#define LOYALTY_RULE_ORDER_H

#include "loyalty_order.h"
#include "loyalty_rule.h"

/* The attempt that counts as an order now, or NULL. */
const loyalty_order_attempt_t *
loyalty_order_counted(const loyalty_order_t *order);

/* Whether the order counts and holds any of the rule's products. */
bool loyalty_rule_counts_order(const loyalty_rule_t *rule,
                               const loyalty_order_t *order);

#endif
