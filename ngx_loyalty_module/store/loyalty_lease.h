/*
 * A lease of a site: who may apply its orders, who works on its jobs.
 *
 * The key holds a value that no other holder ever has, and goes away by
 * itself.  The value is the fencing token: a transaction WATCHes the key,
 * compares and renews it, so that a holder that lost it, however late it
 * finds out, can write nothing.
 */

#ifndef LOYALTY_LEASE_H
#define LOYALTY_LEASE_H

#include "loyalty_store.h"

#define LOYALTY_LEASE_MS 3000

typedef struct {
    const char *name; /* of the key, x:{site}:name */
    char token[40];
    int64_t renew_at; /* monotonic ms */
    bool held;
} loyalty_lease_t;

static inline loyalty_str_t
loyalty_lease_token(const loyalty_lease_t *lease)
{
    return loyalty_str_from(lease->token);
}

/* OK: lease->held says whether it is ours now. */
loyalty_store_result_t loyalty_lease_take(loyalty_lease_t *lease,
                                          loyalty_store_t *store,
                                          const loyalty_scope_t *scope);

/* Renews one that is held; OK with lease->held false: it was lost. */
loyalty_store_result_t loyalty_lease_renew(loyalty_lease_t *lease,
                                           loyalty_store_t *store,
                                           const loyalty_scope_t *scope);

/* A transaction has renewed it. */
void loyalty_lease_renewed(loyalty_lease_t *lease);

/* Gives it up, so that the next need not wait. */
void loyalty_lease_release(loyalty_lease_t *lease, loyalty_store_t *store,
                           const loyalty_scope_t *scope);

#endif
