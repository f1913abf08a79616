/*
 * A reward rule: an automatic message, and what it may give (DOMAIN.md
 * section 8).  Owned by the program; immutable.
 */

#ifndef LOYALTY_RULE_H
#define LOYALTY_RULE_H

#include "loyalty_member.h"
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

/* What the member has ordered of a rule's products, this order among it and
 * cancelled ones not. */
typedef struct {
    int64_t orders; /* distinct ones with any of them */
    int64_t units;
} loyalty_rule_count_t;

/* An order that has just completed or shipped, and been applied. */
typedef struct {
    int64_t order_total;
    const loyalty_str_t *skus; /* the order's */
    size_t nskus;
    const loyalty_rule_count_t *counts; /* one for each of program->rules */
    loyalty_instant_t at;
} loyalty_rule_facts_t;

typedef enum {
    LOYALTY_RULE_FIRED,
    /* Blocked: the first reason that holds. */
    LOYALTY_RULE_CRITERIA, /* not met yet */
    LOYALTY_RULE_DELETED,
    LOYALTY_RULE_FILTER,
    LOYALTY_RULE_CONSENT,
    LOYALTY_RULE_ADDRESS,
    /* Only when it is due. */
    LOYALTY_RULE_UNSUBSCRIBED,
    LOYALTY_RULE_CAP,
    LOYALTY_RULE_OFF /* or deleted */
} loyalty_rule_result_t;

const char *loyalty_rule_result_name(loyalty_rule_result_t result);

/* Whether a message can go to the member on that channel, where `opted_in` only
 * with consent: LOYALTY_RULE_FIRED, or why not. */
loyalty_rule_result_t loyalty_member_reach(const loyalty_member_t *member,
                                           loyalty_channel_t channel,
                                           bool opted_in);

/* A message that has come due. */
typedef struct {
    loyalty_channel_t channel;
    bool by_rule;
    const loyalty_rule_t *rule; /* NULL: of none, or of one that is gone */
    bool opted_in;     /* to go with consent only */
    bool unsubscribed; /* the member did, once */
    bool tried;        /* counted among the recent ones already */
    int64_t recent;    /* sent to the member since loyalty_cap_since() */
} loyalty_due_t;

/* Whether it may still go out, or why not. */
loyalty_rule_result_t loyalty_due_check(const loyalty_program_t *program,
                                        const loyalty_member_t *member,
                                        const loyalty_due_t *due);

/* Messages sent later than this count for the frequency cap. */
loyalty_instant_t loyalty_cap_since(const loyalty_program_t *program,
                                    loyalty_instant_t now);

/* The points that come with a message; id, order and the rest of the cause are
 * the caller's. */
void loyalty_rule_grant(const loyalty_rule_t *rule, loyalty_instant_t now,
                        loyalty_grant_t *grant);

typedef struct {
    const loyalty_rule_t *rule;
    loyalty_rule_result_t result;
    int64_t mark; /* fired: the n-th time; to be kept with the message */
    loyalty_instant_t due_at;
} loyalty_rule_message_t;

/*
 * What the rules say after the order: a message for each that fires, with the
 * points and the offer it gives, and one for each that is blocked.  Rules that
 * have fired for good and rules of a site that is not active say nothing.
 * What fires is marked in *member, all or nothing; its lists are the arena's.
 */
loyalty_status_t loyalty_rules_fire(const loyalty_program_t *program,
                                    loyalty_member_t *member,
                                    const loyalty_rule_facts_t *facts,
                                    loyalty_arena_t *arena,
                                    loyalty_rule_message_t **messages,
                                    size_t *n);

/* The order was cancelled while its message was pending: the message is not
 * sent, and the rule may fire again.  One that was sent stays marked. */
loyalty_status_t loyalty_rules_withdraw(loyalty_member_t *member,
                                        loyalty_str_t rule, int64_t mark,
                                        loyalty_arena_t *arena);

#endif
