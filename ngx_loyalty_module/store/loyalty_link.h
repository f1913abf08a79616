/*
 * One connection to one Redis node, for a thread: connected, authenticated,
 * with the database chosen.  Waiting is cut into slices in which stopping()
 * is asked.
 */

#ifndef LOYALTY_LINK_H
#define LOYALTY_LINK_H

#include "loyalty_store.h"

/* "[2001:db8::1]:65535" and a socket's path; longer addresses are refused. */
#define LOYALTY_ADDR_MAX 256

#define LOYALTY_STORE_ERROR_SIZE 512

typedef struct {
    char addr[LOYALTY_ADDR_MAX]; /* "unix:/path" or "host:port" */
    redisContext *context;       /* NULL: not connected */
    int64_t retry_at;            /* monotonic ms; no attempt before it */
    int pause;                   /* ms, doubled with each failure */
    size_t owed;                 /* replies sent for and not yet received */
    uint64_t connected;          /* how often: which connection this is */
} loyalty_link_t;

/* Monotonic milliseconds. */
int64_t loyalty_link_now(void);

/* `error` has LOYALTY_STORE_ERROR_SIZE bytes. */
loyalty_store_result_t loyalty_link_open(loyalty_link_t *link,
                                         const loyalty_store_conf_t *conf,
                                         bool authenticate, char *error);
void loyalty_link_close(loyalty_link_t *link);

/* Closes and pauses before the next attempt. */
void loyalty_link_lost(loyalty_link_t *link);

/* Something is to be read, or the other end is gone, though nothing is
 * owed. */
bool loyalty_link_is_stale(const loyalty_link_t *link);

loyalty_store_result_t loyalty_link_send(loyalty_link_t *link,
                                         const loyalty_commands_t *commands,
                                         char *error);
loyalty_store_result_t loyalty_link_receive(loyalty_link_t *link,
                                            const loyalty_store_conf_t *conf,
                                            redisReply **reply, char *error);

#endif
