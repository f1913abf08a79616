/*
 * A customer group: members whom a filter found, counted and frozen
 * (DOMAIN.md section 9).
 *
 *   g:{site}:GROUP    hash  name, filter, state, by, created, job, and while
 *                           it was made count
 *   gm:{site}:GROUP   zset  its members, lexical
 *   x:{site}:groups   zset  all groups by created_at
 *
 * Each member also carries the group's id, for offers and filters.
 */

#ifndef LOYALTY_GROUP_H
#define LOYALTY_GROUP_H

#include <jansson.h>

#include "loyalty_store.h"

typedef struct {
    loyalty_str_t id;
    loyalty_str_t name;
    loyalty_str_t filter; /* JSON */
    loyalty_str_t by;
    loyalty_str_t job;    /* that makes it */
    bool ready;           /* all its members are found */
    int64_t count;        /* frozen; -1: not ready yet */
    loyalty_instant_t created_at;
} loyalty_group_t;

/* Appended to a MULTI: the group, its members still to be found. */
void loyalty_group_create(const loyalty_group_t *group,
                          const loyalty_scope_t *scope,
                          loyalty_commands_t *commands);

/* HMGET of what loyalty_group_read() takes; strings point into the reply.
 * False: there is no such group. */
void loyalty_group_command(const loyalty_scope_t *scope, loyalty_str_t id,
                           loyalty_commands_t *commands);
bool loyalty_group_read(loyalty_str_t id, const redisReply *reply,
                        loyalty_group_t *group);

bool loyalty_group_expired(const loyalty_group_t *group, loyalty_instant_t at);

/* As the API shows it; a new reference. */
json_t *loyalty_group_to_json(const loyalty_group_t *group,
                              loyalty_instant_t at);

#endif
