/*
 * Orders as rules see them: cancelled ones, and those returned whole, are not
 * there.
 */

#include "loyalty_rule_order.h"

#include "loyalty_order_private.h"

const loyalty_order_attempt_t *
loyalty_order_counted(const loyalty_order_t *order)
{
    const loyalty_order_attempt_t *attempt;
    bool cancelled;

    if (order == NULL) {
        return NULL;
    }

    attempt = loyalty_order_in_force(order, &cancelled);

    return attempt != NULL && attempt->counts ? attempt : NULL;
}

bool
loyalty_rule_counts_order(const loyalty_rule_t *rule,
                          const loyalty_order_t *order)
{
    const loyalty_order_attempt_t *attempt = loyalty_order_counted(order);
    size_t i;

    for (i = 0; attempt != NULL && i < attempt->nlines; i++) {
        if (loyalty_rule_covers(rule, attempt->lines[i].sku)) {
            return true;
        }
    }

    return false;
}
