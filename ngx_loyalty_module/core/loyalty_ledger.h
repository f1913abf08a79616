/*
 * Points and credits: append-only entries over lots (DOMAIN.md section 4).
 *
 * The ledger kept with a member holds the open lots and the totals; entries
 * are effects that the caller appends to the member's ledger stream.
 *
 * Invariants, checked by loyalty_ledger_check():
 *   active at t   = sum of remaining of lots started and not expired - debt
 *   sum of all entries = balance;  no entry is 0;  remaining <= amount.
 */

#ifndef LOYALTY_LEDGER_H
#define LOYALTY_LEDGER_H

#include "loyalty_program.h"

typedef struct {
    loyalty_str_t id; /* of the order, grant or offer that opened it */
    int64_t amount;
    int64_t remaining;
    loyalty_instant_t created_at;
    loyalty_instant_t starts_at;  /* LOYALTY_NEVER: pending on an event */
    loyalty_instant_t expires_at; /* LOYALTY_NEVER */
    bool earned;                  /* counts for life points */
} loyalty_lot_t;

typedef struct {
    loyalty_lot_t *lots;
    size_t nlots;
    size_t lots_capacity;
    int64_t debt;    /* returns under `unlimited` that no lot covered */
    int64_t spent;
    int64_t expired;
    int64_t revoked;
    int64_t life;
    uint64_t entries; /* number of entries written so far */
} loyalty_ledger_t;

typedef enum {
    LOYALTY_ENTRY_EARN = 1, /* an order's points */
    LOYALTY_ENTRY_GRANT,    /* staff, group, offer, rule */
    LOYALTY_ENTRY_DEBIT,    /* spent */
    LOYALTY_ENTRY_REVOKE,   /* taken back by a cancellation or refund */
    LOYALTY_ENTRY_EXPIRE,
    LOYALTY_ENTRY_RESTORE,  /* a spending undone */
    LOYALTY_ENTRY_SETTLE    /* a credit absorbed by debt */
} loyalty_entry_kind_t;

/* One line of a statement; strings are borrowed from the causing event. */
typedef struct {
    uint64_t seq; /* of the ledger, from 1 */
    loyalty_entry_kind_t kind;
    int64_t amount; /* signed; never 0 */
    loyalty_instant_t at;
    loyalty_str_t lot;    /* id of the lot */
    loyalty_instant_t expires_at;
    loyalty_str_t order;  /* what stands behind it; each may be empty */
    loyalty_str_t offer;
    loyalty_str_t group;
    loyalty_str_t by;     /* staff account, "system", "shopper" */
    loyalty_str_t reason;
} loyalty_entry_t;

typedef struct {
    int64_t active;
    int64_t pending;
    int64_t spent;
    int64_t expired;
    int64_t life;
} loyalty_balance_t;

void loyalty_ledger_balance(const loyalty_ledger_t *ledger,
                            loyalty_instant_t at, loyalty_balance_t *balance);

#endif
