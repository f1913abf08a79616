/*
 * Points and credits: append-only entries over lots (DOMAIN.md section 4).
 *
 * The ledger kept with a member holds the open lots and the totals; entries
 * are effects that the caller appends to the member's ledger stream.
 *
 *   credit --> lot [ pending | active | expired ] --debit--> spending
 *                          ^                                     |
 *                          +---------------restore---------------+
 *
 * A debit takes the active lot that expires first, never-expiring lots last,
 * ties by age.  What a reversal under `unlimited` cannot take from the lots
 * becomes debt, which the next lot to start absorbs; that moves value from a
 * lot to the debt and leaves the balance alone, so it has no entry.
 *
 * Invariants, checked by loyalty_ledger_check():
 *   sum of all entries = credited - spent - expired - revoked
 *                      = sum of the lots' remainders - debt = the balance
 *   0 <= remaining <= amount;  no entry is 0.
 *
 * Every function that changes a ledger either does all of it or, on an
 * error, nothing.
 *
 * The state is bounded: past LOYALTY_LEDGER_LOTS_KEPT lots the oldest
 * finished ones are forgotten (a reversal finds nothing left in them either
 * way, and a spending carries the dates of its lots, so that a restore opens
 * them again), and started lots that never expire are folded into one without
 * an id, which stands in for them.  Lots that do expire go by themselves.
 */

#ifndef LOYALTY_LEDGER_H
#define LOYALTY_LEDGER_H

#include "loyalty_program.h"

typedef struct {
    loyalty_str_t id; /* of the order, grant or offer that opened it */
    int64_t amount;
    int64_t remaining;
    int64_t lost; /* expired and not taken back since */
    loyalty_instant_t created_at;
    loyalty_instant_t starts_at;  /* LOYALTY_NEVER: pending on an event */
    loyalty_instant_t expires_at; /* inclusive; LOYALTY_NEVER */
    bool earned;                  /* counts for life points once started */
} loyalty_lot_t;

typedef struct {
    loyalty_lot_t *lots; /* by age */
    size_t nlots;
    size_t lots_capacity;
    int64_t debt; /* returns under `unlimited` that no lot covered */
    loyalty_instant_t debt_since;
    int64_t credited; /* all credits ever */
    int64_t spent;    /* net of restores */
    int64_t expired;  /* written by expiry runs */
    int64_t revoked;  /* really taken back */
    int64_t life;
    uint64_t entries; /* number of entries written so far */
} loyalty_ledger_t;

typedef enum {
    LOYALTY_ENTRY_EARN = 1, /* an order's points */
    LOYALTY_ENTRY_GRANT,    /* staff, group, offer, rule */
    LOYALTY_ENTRY_DEBIT,    /* spent */
    LOYALTY_ENTRY_REVOKE,   /* taken back by a cancellation or refund */
    LOYALTY_ENTRY_EXPIRE,
    LOYALTY_ENTRY_RESTORE, /* a spending undone */
    LOYALTY_ENTRY_ADJUST   /* pending points set right at completion */
} loyalty_entry_kind_t;

/* "earn", "grant", ... */
const char *loyalty_entry_kind_name(loyalty_entry_kind_t kind);

/* Who, when and why; each string may be empty. */
typedef struct {
    loyalty_instant_t at;
    loyalty_str_t order;
    loyalty_str_t offer;
    loyalty_str_t group;
    loyalty_str_t by; /* staff account, "system", "shopper" */
    loyalty_str_t reason;
} loyalty_cause_t;

/* One line of a statement; strings are borrowed from what caused it. */
typedef struct {
    uint64_t seq; /* of the ledger, from 1 */
    loyalty_entry_kind_t kind;
    int64_t amount;    /* signed; never 0 */
    loyalty_str_t lot; /* id of the lot, where it is about one */
    loyalty_instant_t expires_at;
    loyalty_cause_t cause;
} loyalty_entry_t;

/* Entries being written; the list is the arena's. */
typedef struct {
    loyalty_entry_t *list;
    size_t n;
    size_t capacity;
} loyalty_entries_t;

/* What a debit took, kept by whoever may have to undo it. */
typedef struct {
    loyalty_lot_t *parts; /* `remaining`: what was taken of this lot */
    size_t nparts;
    int64_t amount;
} loyalty_spending_t;

typedef struct {
    int64_t active;
    int64_t pending;
    int64_t spent;
    int64_t expired; /* with lots that no expiry run has seen yet */
    int64_t life;
    int64_t revoked;
} loyalty_balance_t;

void loyalty_ledger_balance(const loyalty_ledger_t *ledger,
                            loyalty_instant_t at, loyalty_balance_t *balance);

/* The first instant after `at` at which a lot starts or expires, or
 * LOYALTY_NEVER. */
loyalty_instant_t loyalty_ledger_change_at(const loyalty_ledger_t *ledger,
                                           loyalty_instant_t at);

/* A copy whose lots may be changed, with room for `more`. */
loyalty_status_t loyalty_ledger_copy(const loyalty_ledger_t *from, size_t more,
                                     loyalty_arena_t *arena,
                                     loyalty_ledger_t *to);

/*
 * Opens a lot: `lot` gives id, amount > 0, created_at, starts_at, expires_at
 * and earned.  An earned lot counts for life at once, unless it is pending on
 * an event (starts_at LOYALTY_NEVER).
 */
loyalty_status_t
loyalty_ledger_credit(loyalty_ledger_t *ledger, loyalty_entry_kind_t kind,
                      const loyalty_lot_t *lot, const loyalty_cause_t *cause,
                      loyalty_arena_t *arena, loyalty_entries_t *entries);

/*
 * The event has come that the pending lot `id` waited for: it takes the
 * amount and the dates of `lot`; an amount of 0 closes it.
 * LOYALTY_ERROR_NOT_FOUND: no such lot.
 */
loyalty_status_t loyalty_ledger_start(loyalty_ledger_t *ledger,
                                      const loyalty_lot_t *lot,
                                      const loyalty_cause_t *cause,
                                      loyalty_arena_t *arena,
                                      loyalty_entries_t *entries);

/* What lot `lot->id` holds turns out to have other dates: those of `lot`. */
void loyalty_ledger_redate(loyalty_ledger_t *ledger, const loyalty_lot_t *lot);

/* LOYALTY_ERROR_INSUFFICIENT past the active balance at cause->at.
 * `spending` may be NULL. */
loyalty_status_t loyalty_ledger_debit(loyalty_ledger_t *ledger, int64_t amount,
                                      const loyalty_cause_t *cause,
                                      loyalty_arena_t *arena,
                                      loyalty_entries_t *entries,
                                      loyalty_spending_t *spending);

/* Undoes a debit: to its own lots, with their own dates. */
loyalty_status_t loyalty_ledger_restore(loyalty_ledger_t *ledger,
                                        const loyalty_spending_t *spending,
                                        const loyalty_cause_t *cause,
                                        loyalty_arena_t *arena,
                                        loyalty_entries_t *entries);

/*
 * Takes back `amount` of what lot `id` (expiring at `expires_at`) earned.
 * What expired in the lot is gone already; the rest comes from the lot
 * itself, then from the others as a debit would, and what they do not cover
 * is let go or becomes debt, by `policy`.  only_pending takes nothing once
 * the lot has started.  Life falls in full, except for what only_pending
 * leaves the member.
 */
loyalty_status_t
loyalty_ledger_revoke(loyalty_ledger_t *ledger, loyalty_str_t id,
                      loyalty_instant_t expires_at, int64_t amount,
                      loyalty_return_policy_t policy,
                      const loyalty_cause_t *cause, loyalty_arena_t *arena,
                      loyalty_entries_t *entries);

/* Writes the expiry of every lot expired at cause->at, once. */
loyalty_status_t loyalty_ledger_expire(loyalty_ledger_t *ledger,
                                       const loyalty_cause_t *cause,
                                       loyalty_arena_t *arena,
                                       loyalty_entries_t *entries);

/* The invariants; LOYALTY_ERROR_CORRUPT names no culprit. */
loyalty_status_t loyalty_ledger_check(const loyalty_ledger_t *ledger);

#endif
