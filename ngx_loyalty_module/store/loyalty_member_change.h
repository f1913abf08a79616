/*
 * Changing members outside the stream of orders: one, or a page of them, read,
 * changed by core/ and written in one transaction with the program that core/
 * went by.
 *
 *   load -> the caller changes list[i].member -> write -> EXEC
 *   WATCH          and says so                   MULTI
 *     ^                                            |
 *     +------------------ conflict ----------------+
 *
 * The API goes step by step, its commit has more to write; jobs call
 * loyalty_member_change(), which does all of it, again after a conflict.
 */

#ifndef LOYALTY_MEMBER_CHANGE_H
#define LOYALTY_MEMBER_CHANGE_H

#include "loyalty_member_write.h"
#include "loyalty_programs.h"

/* Members of one transaction: a few milliseconds of Redis' time. */
#define LOYALTY_MEMBER_CHANGE_MAX 256

typedef struct {
    loyalty_str_t id;        /* the caller's */
    bool fresh;              /* not in Redis yet */
    bool corrupt;            /* its bytes cannot be read; not to be changed */
    bool changed;            /* the caller's: `member` is to be written */
    loyalty_member_t before; /* as read */
    loyalty_member_t member; /* the caller's to change */
    loyalty_effects_t effects; /* the caller's, by the functions of core/ */
} loyalty_member_slot_t;

typedef struct {
    loyalty_store_t *store;
    loyalty_programs_t *programs;
    loyalty_scope_t scope;
    loyalty_origin_t origin; /* the caller's */
    const loyalty_program_t *program; /* NULL: there is no such site */
    loyalty_member_slot_t *list;
    size_t n;
    redisReply **more; /* replies to the caller's reads */
    loyalty_arena_t arena;     /* emptied by each load */
    loyalty_commands_t writes; /* the caller's, of loyalty_member_change */
    loyalty_commands_t commands;
    loyalty_replies_t replies;
} loyalty_member_change_t;

/* The store and the programs are borrowed. */
void loyalty_member_change_init(loyalty_member_change_t *change,
                                loyalty_store_t *store,
                                loyalty_programs_t *programs);
void loyalty_member_change_free(loyalty_member_change_t *change);

/*
 * WATCHes and reads the program's stamp and the members, each id once, with
 * the caller's own commands, WATCHes first, in the same round trip.  `reads`
 * may be NULL, n may be 0.  LOYALTY_STORE_CONFLICT: the program has just
 * changed.  Without a program nothing is watched.
 */
loyalty_store_result_t loyalty_member_load(loyalty_member_change_t *change,
                                           const loyalty_scope_t *scope,
                                           const loyalty_str_t *ids, size_t n,
                                           const loyalty_commands_t *reads);

/* Appends what follows from the changed members. */
void loyalty_member_change_write(loyalty_member_change_t *change,
                                 loyalty_commands_t *commands);

/* Changes list[]; may add commands to `writes`.  Anything but OK writes
 * nothing and is what loyalty_member_change returns. */
typedef loyalty_store_result_t (*loyalty_member_change_pt)(
    loyalty_member_change_t *change, void *data);

/*
 * Load, decide, write.  Where nothing is changed and nothing added, nothing is
 * written.  LOYALTY_STORE_CONFLICT: over and over; LOYALTY_STORE_FENCED: the
 * site is gone.
 */
loyalty_store_result_t loyalty_member_change(loyalty_member_change_t *change,
                                             const loyalty_scope_t *scope,
                                             const loyalty_str_t *ids,
                                             size_t n,
                                             const loyalty_commands_t *reads,
                                             loyalty_member_change_pt decide,
                                             void *data);

#endif
