/*
 * The batch in memory: events in their order, and each member and order that
 * they name once, found by a small hash table.
 *
 *   events[ ]  --order-->  orders[ ]   id, record, read or changed
 *              --member->  members[ ]  id, state, read or changed
 *
 * Two arenas: what was parsed outlives a conflict, what was read does not.
 * For loyalty_batch.c and loyalty_batch_write.c alone.
 */

#ifndef LOYALTY_BATCH_STATE_H
#define LOYALTY_BATCH_STATE_H

#include "loyalty_batch.h"
#include "loyalty_message.h"
#include "loyalty_touch.h"

#define LOYALTY_BATCH_NONE SIZE_MAX

/* An event names a member, its order's record may name another. */
#define LOYALTY_BATCH_ENTRIES_MAX (LOYALTY_BATCH_EVENTS_MAX * 2)

/* A power of two, twice the entries. */
#define LOYALTY_BATCH_TABLE 1024

typedef struct {
    loyalty_str_t sku;
    int64_t units;
} loyalty_batch_count_t;

/* What the reward rules need to know of a member (loyalty_batch_rules*.c). */
typedef struct {
    bool earning;   /* an order of the batch may complete */
    bool undoing;   /* or be cancelled */
    bool all_units; /* every SKU's count is asked for */
    bool by_orders; /* earlier orders are asked for */
    loyalty_rule_count_t *before; /* of each rule, without this batch */
    loyalty_touches_t touches;
} loyalty_batch_rules_t;

/* A message that a mark of the member stands for, in Redis. */
typedef struct {
    size_t member;
    loyalty_rule_mark_t mark;
    char id[LOYALTY_MESSAGE_ID_SIZE];
    loyalty_str_t order; /* empty: it is pending no longer */
    bool withdrawn;
    bool given; /* what the rule gives is booked */
} loyalty_batch_mark_t;

/* What the batch fired, or blocked. */
typedef struct {
    size_t member;
    loyalty_str_t rule;
    loyalty_channel_t channel;
    loyalty_rule_result_t result;
    bool repeat;
    int64_t mark;
    const loyalty_batch_event_t *event;
    loyalty_str_t order;
    loyalty_instant_t due_at;
    bool withdrawn;
} loyalty_batch_message_t;

/* An order that a message is credited with, or no longer. */
typedef struct {
    size_t member;
    loyalty_str_t order;
    loyalty_str_t message;
    loyalty_instant_t at;
    int64_t revenue;
    bool reversed;
} loyalty_batch_conversion_t;

typedef struct {
    loyalty_str_t id;
    bool fresh;   /* not in Redis yet */
    bool changed;
    bool corrupt;
    loyalty_member_t state;
    loyalty_batch_count_t *counts; /* changes, then the new figures */
    size_t ncounts, counts_capacity;
    loyalty_batch_rules_t rules;
} loyalty_batch_member_t;

typedef struct {
    loyalty_str_t id;
    bool fresh;
    bool changed;
    bool corrupt;
    loyalty_order_t *record;
    size_t member;
    loyalty_str_t converted; /* "REVENUE MESSAGE" it is credited to, or empty */
} loyalty_batch_order_t;

/* What an order calls a redemption: a hold, if there is one of that id. */
typedef struct {
    loyalty_str_t id;
    bool found;
    bool changed;
    loyalty_hold_t hold;
} loyalty_batch_hold_t;

typedef struct {
    uint16_t slots[LOYALTY_BATCH_TABLE]; /* index + 1 */
} loyalty_batch_table_t;

struct loyalty_batch_s {
    loyalty_scope_t scope;
    const loyalty_programs_t *programs;
    const loyalty_program_t *program;
    loyalty_arena_t parsed;
    loyalty_arena_t loaded;
    loyalty_document_t document; /* of the event being parsed */
    loyalty_replies_t replies; /* decoded records point into them */
    loyalty_replies_t late;
    loyalty_batch_event_t events[LOYALTY_BATCH_EVENTS_MAX];
    size_t nevents;
    loyalty_batch_member_t members[LOYALTY_BATCH_ENTRIES_MAX];
    size_t nmembers;
    size_t nread; /* members that are read */
    loyalty_batch_order_t orders[LOYALTY_BATCH_EVENTS_MAX];
    size_t norders;
    loyalty_batch_table_t member_table;
    loyalty_batch_table_t order_table;
    loyalty_batch_hold_t *holds; /* by id */
    size_t nholds;
    loyalty_usage_t *usage; /* of offers with limits, where it is read */
    size_t nusage;
    loyalty_commands_t commands;

    bool rules_live; /* a rule is on, and so is the site */
    bool tracked;    /* messages of the site are */
    loyalty_replies_t rule_replies, rule_orders;
    loyalty_batch_mark_t *marks;
    size_t nmarks;
    int64_t nblocked;          /* elements of mb, and the oldest of them */
    const redisReply *oldest;
    loyalty_batch_message_t *messages;
    size_t nmessages, messages_capacity;
    loyalty_batch_conversion_t *conversions;
    size_t nconversions, conversions_capacity;
};

/*
 * The reward rules in an order's own transaction.  Reads what the rules need
 * before events are applied, nothing where no rule is on; fires after each
 * event; writes with the rest.
 */
loyalty_store_result_t loyalty_batch_rules_read(loyalty_batch_t *batch,
                                                loyalty_store_t *store);
loyalty_status_t loyalty_batch_rules_fire(loyalty_batch_t *batch,
                                          const loyalty_batch_event_t *event,
                                          loyalty_instant_t now);
void loyalty_batch_blocked_write(loyalty_batch_t *batch,
                                 loyalty_instant_t now,
                                 loyalty_commands_t *commands);
void loyalty_batch_rules_write(loyalty_batch_t *batch, loyalty_instant_t now,
                               loyalty_commands_t *commands);

/* loyalty_batch_wallet.c, what events bring by their redemptions; without any
 * it adds no command and no reply.  False: out of memory, or a reply of
 * another type. */
bool loyalty_batch_collect_holds(loyalty_batch_t *batch);
void loyalty_batch_command_holds(loyalty_batch_t *batch, const char *name);
bool loyalty_batch_take_holds(loyalty_batch_t *batch, const redisReply *reply);

/* Reads the uses where a hold that is over is named. */
loyalty_store_result_t loyalty_batch_load_usage(loyalty_batch_t *batch,
                                                loyalty_store_t *store);

/* The event's wallet, and what became of it. */
loyalty_status_t loyalty_batch_open_wallet(loyalty_batch_t *batch,
                                           loyalty_batch_event_t *event);
void loyalty_batch_close_wallet(loyalty_batch_t *batch,
                                loyalty_batch_event_t *event);
void loyalty_batch_write_holds(loyalty_batch_t *batch,
                               loyalty_commands_t *commands);

#endif
