/*
 * A ledger and its entries, for the tests of ledgers.
 */

#ifndef BOOK_H
#define BOOK_H

#include "world.h"

typedef struct {
    loyalty_arena_t arena;
    loyalty_ledger_t ledger;
    loyalty_entries_t entries;
} book_t;

static inline void
book_init(book_t *book)
{
    *book = (book_t){0};
    loyalty_arena_init(&book->arena, 0);
}

static inline loyalty_status_t
credit(book_t *book, const char *id, int64_t amount, loyalty_instant_t at,
       loyalty_instant_t starts_at, loyalty_instant_t expires_at)
{
    loyalty_lot_t lot = {.id = loyalty_str_from(id),
                         .amount = amount,
                         .created_at = at,
                         .starts_at = starts_at,
                         .expires_at = expires_at,
                         .earned = true};

    return loyalty_ledger_credit(&book->ledger, LOYALTY_ENTRY_GRANT, &lot,
                                 &(loyalty_cause_t){.at = at}, &book->arena,
                                 &book->entries);
}

static inline loyalty_status_t
debit(book_t *book, int64_t amount, loyalty_instant_t at,
      loyalty_spending_t *spending)
{
    return loyalty_ledger_debit(&book->ledger, amount,
                                &(loyalty_cause_t){.at = at}, &book->arena,
                                &book->entries, spending);
}

static inline loyalty_status_t
revoke(book_t *book, const char *id, loyalty_instant_t expires_at,
       int64_t amount, loyalty_return_policy_t policy, loyalty_instant_t at)
{
    return loyalty_ledger_revoke(
        &book->ledger, loyalty_str_from(id), expires_at, amount, policy,
        &(loyalty_cause_t){.at = at}, &book->arena, &book->entries);
}

static inline void
expire(book_t *book, loyalty_instant_t at)
{
    assert_int_equal(loyalty_ledger_expire(&book->ledger,
                                           &(loyalty_cause_t){.at = at},
                                           &book->arena, &book->entries),
                     LOYALTY_OK);
}

#endif
