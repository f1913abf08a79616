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

#define LOYALTY_BATCH_NONE SIZE_MAX

/* An event names a member, its order's record may name another. */
#define LOYALTY_BATCH_ENTRIES_MAX (LOYALTY_BATCH_EVENTS_MAX * 2)

/* A power of two, twice the entries. */
#define LOYALTY_BATCH_TABLE 1024

typedef struct {
    loyalty_str_t sku;
    int64_t units;
} loyalty_batch_count_t;

typedef struct {
    loyalty_str_t id;
    bool fresh;   /* not in Redis yet */
    bool changed;
    bool corrupt;
    loyalty_member_t state;
    loyalty_batch_count_t *counts; /* changes, then the new figures */
    size_t ncounts, counts_capacity;
} loyalty_batch_member_t;

typedef struct {
    loyalty_str_t id;
    bool fresh;
    bool changed;
    bool corrupt;
    loyalty_order_t *record;
    size_t member;
} loyalty_batch_order_t;

typedef struct {
    uint16_t slots[LOYALTY_BATCH_TABLE]; /* index + 1 */
} loyalty_batch_table_t;

struct loyalty_batch_s {
    loyalty_scope_t scope;
    const loyalty_programs_t *programs;
    const loyalty_program_t *program;
    loyalty_arena_t parsed;
    loyalty_arena_t loaded;
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
    loyalty_commands_t commands;
};

#endif
