/*
 * The one way in which a member is written: everything that follows from a
 * change, appended to the caller's MULTI.
 *
 *   SET m     ZADD | ZREM mi, ie, ip, in     XADD ch     XADD l, c, events
 *
 * The key of the member is WATCHed by whoever read it.  An order of a known
 * member changes nothing that is indexed, and pays for no index.
 */

#ifndef LOYALTY_MEMBER_WRITE_H
#define LOYALTY_MEMBER_WRITE_H

#include "loyalty_commands.h"
#include "loyalty_member.h"

/* Who makes the change and by what way, for the history of consent. */
typedef struct {
    loyalty_str_t by;     /* staff, a token's name; empty: "system" */
    loyalty_str_t source; /* "checkout", "import"; empty: "system" */
} loyalty_origin_t;

/* Running out of memory is in commands->failed. */
typedef struct {
    const loyalty_scope_t *scope;
    const loyalty_program_t *program;
    loyalty_arena_t *arena;
    loyalty_commands_t *commands;
    loyalty_origin_t origin;
} loyalty_member_writer_t;

/*
 * `before` is the member as read, NULL where there was none, and may be
 * `after` itself where neither profile nor deletion can have changed.
 */
void loyalty_member_write(const loyalty_member_writer_t *writer,
                          const loyalty_member_t *before,
                          const loyalty_member_t *after);

/* The entries of both ledgers, and the events that webhooks want. */
void loyalty_member_write_effects(const loyalty_member_writer_t *writer,
                                  loyalty_str_t id,
                                  const loyalty_effects_t *effects);

#endif
