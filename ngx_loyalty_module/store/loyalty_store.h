/*
 * Redis for threads: a blocking client on hiredis.
 *
 * A store is one thread's at a time.  It connects when first used and again
 * after a loss, with a pause between failures during which every call says
 * LOYALTY_STORE_AWAY at once.  With `sentinel` the addresses are sentinels and
 * the master is asked for; with `cluster` they are seeds and each site has its
 * node, found by the slot of its hash tag.
 *
 * Transactions are optimistic: loyalty_store_call() a pipeline that WATCHes
 * and reads, then loyalty_store_exec() one of MULTI ... EXEC.  Between the two
 * the connection is the transaction; a lost connection forgets both.
 */

#ifndef LOYALTY_STORE_H
#define LOYALTY_STORE_H

#include <hiredis/hiredis.h>

#include "loyalty_commands.h"

typedef enum {
    LOYALTY_STORE_OK = 0,
    LOYALTY_STORE_AWAY,     /* no connection, lost, timed out, no master.  A
                               transaction in flight may have happened. */
    LOYALTY_STORE_CONFLICT, /* a watched key changed, or its slot moved */
    LOYALTY_STORE_REFUSED,  /* Redis answered an error; nothing happened */
    LOYALTY_STORE_MALFORMED, /* another type or length than asked for */
    LOYALTY_STORE_FENCED,   /* the lease is another's */
    LOYALTY_STORE_STOPPED,  /* conf.stopping() turned true while waiting */
    LOYALTY_STORE_MEMORY
} loyalty_store_result_t;

const char *loyalty_store_result_name(loyalty_store_result_t result);

typedef struct {
    loyalty_str_t *addrs; /* "unix:/path" or "host:port" */
    size_t naddrs;
    loyalty_str_t user;
    loyalty_str_t password;
    loyalty_str_t prefix;
    loyalty_str_t sentinel; /* name of the master, or empty */
    int db;
    int connect_timeout; /* ms */
    int timeout;         /* ms, of one call; stopping() is asked meanwhile */
    bool cluster;
    bool tls;
    const char *tls_ca; /* files; NULL where not set */
    const char *tls_cert;
    const char *tls_key;
    const char *tls_name;
    bool (*stopping)(void); /* or NULL */
    bool (*awaited)(void);  /* or NULL: someone waits for answers that come
                               from this Redis, too */
} loyalty_store_conf_t;

typedef struct loyalty_store_s loyalty_store_t;

/* Does not connect.  `conf` must outlive the store.  NULL: no memory. */
loyalty_store_t *loyalty_store_open(const loyalty_store_conf_t *conf);
void loyalty_store_close(loyalty_store_t *store);

/* What went wrong last, for the log; terminated, never NULL. */
const char *loyalty_store_error(const loyalty_store_t *store);

/* The replies to a pipeline; free with loyalty_replies_free. */
typedef struct {
    redisReply **list;
    size_t count;
    size_t capacity;
} loyalty_replies_t;

void loyalty_replies_init(loyalty_replies_t *replies);
void loyalty_replies_free(loyalty_replies_t *replies);

/*
 * Sends the commands to the node of `site` (for a key without a site the key
 * itself, for none empty: any node) and gathers the replies, an error reply
 * among them like any other.  In a cluster MOVED is followed, so the commands
 * must be ones that may be sent twice; what an earlier call WATCHed is lost by
 * it: LOYALTY_STORE_CONFLICT.
 */
loyalty_store_result_t loyalty_store_call(loyalty_store_t *store,
                                          loyalty_str_t site,
                                          const loyalty_commands_t *commands,
                                          loyalty_replies_t *replies);

/*
 * The two halves of a call, for work between them: what is sent must be
 * received before anything else is.  No MOVED is followed.
 */
loyalty_store_result_t loyalty_store_send(loyalty_store_t *store,
                                          loyalty_str_t site,
                                          const loyalty_commands_t *commands);
loyalty_store_result_t loyalty_store_receive(loyalty_store_t *store,
                                             loyalty_str_t site,
                                             loyalty_replies_t *replies);

/*
 * MULTI ... EXEC on the connection that watches, in one go or in two halves.
 * `commands` is the number of replies up to and with that of EXEC.  OK: all of
 * it happened.
 */
loyalty_store_result_t loyalty_store_exec(loyalty_store_t *store,
                                          loyalty_str_t site,
                                          const loyalty_commands_t *commands);
loyalty_store_result_t loyalty_store_exec_send(
    loyalty_store_t *store, loyalty_str_t site,
    const loyalty_commands_t *commands);
loyalty_store_result_t loyalty_store_exec_receive(loyalty_store_t *store,
                                                  loyalty_str_t site,
                                                  size_t commands,
                                                  loyalty_replies_t *replies);

/* Forgets what is watched; drops the connection if that fails. */
void loyalty_store_unwatch(loyalty_store_t *store, loyalty_str_t site);

/* Typed looks at a reply: false when it is of another type. */
bool loyalty_reply_str(const redisReply *reply, loyalty_str_t *str); /* nil:
                                                              data NULL */
bool loyalty_reply_int(const redisReply *reply, int64_t *value);
bool loyalty_reply_array(const redisReply *reply, size_t elements);
bool loyalty_reply_is_nil(const redisReply *reply);
bool loyalty_reply_is_error(const redisReply *reply, const char *code);

/* Text as an int64, whole and in range. */
bool loyalty_str_int(loyalty_str_t text, int64_t *value);

/* The cluster's slot of a site: CRC16 of the hash tag. */
unsigned loyalty_slot(loyalty_str_t site);

#endif
