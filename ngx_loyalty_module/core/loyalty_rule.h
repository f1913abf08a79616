/*
 * A reward rule: an automatic message, and what it may give (DOMAIN.md
 * section 8).  Owned by the program; immutable.
 */

#ifndef LOYALTY_RULE_H
#define LOYALTY_RULE_H

#include "loyalty_offer.h"

typedef enum {
    LOYALTY_RULE_BOGO, /* distinct orders with any of the products */
    LOYALTY_RULE_ORDER_COUNT,
    LOYALTY_RULE_SPENT_ALL,
    LOYALTY_RULE_SPENT_AVERAGE,
    LOYALTY_RULE_SPENT_ONE_ORDER,
    LOYALTY_RULE_PRODUCT_ORDER_COUNT /* units of the products */
} loyalty_rule_type_t;

typedef enum {
    LOYALTY_RULE_ALL,
    LOYALTY_RULE_OPTED_IN,
    LOYALTY_RULE_REGISTERED
} loyalty_rule_filter_t;

struct loyalty_rule_s {
    loyalty_str_t id;
    loyalty_str_t name; /* staff only */
    bool enabled;
    loyalty_rule_filter_t filter;
    loyalty_rule_type_t type;
    int64_t threshold; /* orders or units; minor units for spent_... */
    bool repeat;       /* bogo: at every multiple */

    loyalty_str_t *products; /* SKUs in byte order; none: all */
    size_t nproducts;

    loyalty_channel_t channel;
    loyalty_str_t sender_name;
    loyalty_str_t sender_address;
    loyalty_texts_t subject; /* none: that of the template */
    loyalty_str_t template;  /* id in program->templates */
    int64_t delay;           /* milliseconds until the message is due */

    int64_t points; /* given with it; 0: none */
    int32_t points_expire_days; /* 0: never */
    loyalty_str_t offer; /* id of one put in the wallet, or empty */
};

const char *loyalty_rule_type_name(loyalty_rule_type_t type);

/* Whether the rule counts this SKU. */
bool loyalty_rule_covers(const loyalty_rule_t *rule, loyalty_str_t sku);

const loyalty_rule_t *loyalty_program_rule(const loyalty_program_t *program,
                                           loyalty_str_t id);

#endif
