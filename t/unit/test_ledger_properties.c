/*
 * core/loyalty_ledger.c over random histories: the invariants of DOMAIN.md
 * section 4.  A history that breaks one is named by its number;
 * LOYALTY_HISTORIES says how many there are.
 */

#include "book.h"

static void
random_step(book_t *book, char ids[][16], int step, loyalty_instant_t at,
            loyalty_spending_t *spendings, size_t *nspendings)
{
    static const loyalty_return_policy_t policies[] = {
        LOYALTY_RETURN_WITHIN_BALANCE, LOYALTY_RETURN_UNLIMITED,
        LOYALTY_RETURN_ONLY_PENDING};
    loyalty_instant_t starts_at, expires_at;
    loyalty_lot_t *lot;
    loyalty_status_t rc;
    size_t i;

    switch (world_random(6)) {
    case 0:
    case 1:
        snprintf(ids[step], sizeof(ids[step]), "g%d", step);
        starts_at = at + (world_random(2) ? world_random(5) * DAY : 0);
        expires_at = world_random(3) ? starts_at + 1 + world_random(20) * DAY
                                     : LOYALTY_NEVER;
        assert_int_equal(credit(book, ids[step], 1 + world_random(100), at,
                                starts_at, expires_at),
                         LOYALTY_OK);
        break;

    case 2:
        rc = debit(book, 1 + world_random(80), at, &spendings[*nspendings]);
        if (rc == LOYALTY_OK) {
            (*nspendings)++;
        }
        break;

    case 3:
        if (*nspendings > 0) {
            i = world_random(*nspendings);
            assert_int_equal(
                loyalty_ledger_restore(&book->ledger, &spendings[i],
                                       &(loyalty_cause_t){.at = at},
                                       &book->arena, &book->entries),
                LOYALTY_OK);
            spendings[i] = spendings[--*nspendings];
        }
        break;

    case 4:
        if (book->ledger.nlots > 0) {
            lot = &book->ledger.lots[world_random(book->ledger.nlots)];
            if (lot->amount <= book->ledger.life) {
                rc = loyalty_ledger_revoke(
                    &book->ledger, lot->id, lot->expires_at,
                    1 + world_random(lot->amount), policies[world_random(3)],
                    &(loyalty_cause_t){.at = at}, &book->arena, &book->entries);
                assert_int_equal(rc, LOYALTY_OK);
            }
        }
        break;

    default:
        expire(book, at);
    }
}

/* An expiry run may come or not: the reading is the same. */
static void
assert_reading_needs_no_run(book_t *book, loyalty_instant_t at)
{
    loyalty_entries_t entries = {0};
    loyalty_balance_t before, after;
    loyalty_ledger_t copy;

    loyalty_ledger_balance(&book->ledger, at, &before);
    assert_int_equal(loyalty_ledger_copy(&book->ledger, 0, &book->arena, &copy),
                     LOYALTY_OK);
    assert_int_equal(loyalty_ledger_expire(&copy, &(loyalty_cause_t){.at = at},
                                           &book->arena, &entries),
                     LOYALTY_OK);
    loyalty_ledger_balance(&copy, at, &after);
    assert_memory_equal(&before, &after, sizeof(before));
}

static void
invariants_hold_after_any_history(void **state)
{
    loyalty_spending_t spendings[64];
    loyalty_instant_t at;
    char ids[64][16];
    int64_t balance, entries;
    size_t i, nspendings;
    long n, count = world_histories(10000);
    int step;
    book_t book;

    (void)state;

    for (n = 1; n <= count; n++) {
        world_seed(n);
        book_init(&book);
        at = T0;
        nspendings = 0;

        for (step = 0; step < 40; step++) {
            at += world_random(2 * DAY);
            random_step(&book, ids, step, at, spendings, &nspendings);

            balance = -book.ledger.debt;
            for (i = 0; i < book.ledger.nlots; i++) {
                balance += book.ledger.lots[i].remaining;
            }
            entries = 0;
            for (i = 0; i < book.entries.n; i++) {
                assert_int_not_equal(book.entries.list[i].amount, 0);
                assert_int_equal(book.entries.list[i].seq, i + 1);
                entries += book.entries.list[i].amount;
            }
            if (entries != balance
                || loyalty_ledger_check(&book.ledger) != LOYALTY_OK) {
                fail_msg("history %ld, step %d", n, step);
            }
            assert_reading_needs_no_run(&book, at + world_random(9) * DAY);
        }
        loyalty_arena_free(&book.arena);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(invariants_hold_after_any_history),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
