/*
 * core/loyalty_ledger.c: DOMAIN.md section 4 by hand.
 */

#include "book.h"

/* "a:100 b:0": the lots, by age, and what remains of them. */
static void
assert_lots(const book_t *book, const char *expected)
{
    const loyalty_lot_t *lot;
    char text[1024] = "";
    size_t i, n = 0;

    for (i = 0; i < book->ledger.nlots; i++) {
        lot = &book->ledger.lots[i];
        n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%.*s:%lld",
                              i == 0 ? "" : " ", (int)lot->id.len, lot->id.data,
                              (long long)lot->remaining);
    }

    assert_string_equal(text, expected);
    assert_int_equal(loyalty_ledger_check(&book->ledger), LOYALTY_OK);
}

static void
assert_balance(const book_t *book, loyalty_instant_t at, int64_t active,
               int64_t pending, int64_t spent, int64_t expired, int64_t life)
{
    loyalty_balance_t balance;

    loyalty_ledger_balance(&book->ledger, at, &balance);
    assert_int_equal(balance.active, active);
    assert_int_equal(balance.pending, pending);
    assert_int_equal(balance.spent, spent);
    assert_int_equal(balance.expired, expired);
    assert_int_equal(balance.life, life);
}

static void
the_lot_that_expires_first_is_spent_first(void **state)
{
    book_t book;

    (void)state;

    book_init(&book);
    credit(&book, "never", 10, T0, T0, LOYALTY_NEVER);
    credit(&book, "late", 10, T0 + 1, T0 + 1, T0 + 30 * DAY);
    credit(&book, "old", 10, T0 + 2, T0 + 2, T0 + 20 * DAY);
    credit(&book, "young", 10, T0 + 3, T0 + 3, T0 + 20 * DAY);

    assert_int_equal(debit(&book, 5, T0 + 9, NULL), LOYALTY_OK);
    assert_lots(&book, "never:10 late:10 old:5 young:10");
    assert_int_equal(debit(&book, 10, T0 + 9, NULL), LOYALTY_OK);
    assert_lots(&book, "never:10 late:10 old:0 young:5");
    assert_int_equal(debit(&book, 16, T0 + 9, NULL), LOYALTY_OK);
    assert_lots(&book, "never:9 late:0 old:0 young:0");
    loyalty_arena_free(&book.arena);
}

static void
no_more_than_the_active_balance_is_spent(void **state)
{
    loyalty_ledger_t before;
    size_t entries;
    book_t book;

    (void)state;

    book_init(&book);
    credit(&book, "a", 10, T0, T0, T0 + DAY);
    credit(&book, "b", 10, T0, T0 + DAY, LOYALTY_NEVER);
    before = book.ledger;
    entries = book.entries.n;

    assert_int_equal(debit(&book, 11, T0 + 1, NULL),
                     LOYALTY_ERROR_INSUFFICIENT);
    assert_int_equal(debit(&book, 11, T0 + DAY, NULL),
                     LOYALTY_ERROR_INSUFFICIENT);
    assert_int_equal(debit(&book, 0, T0, NULL), LOYALTY_ERROR_INVALID);
    assert_int_equal(debit(&book, -1, T0, NULL), LOYALTY_ERROR_INVALID);
    assert_memory_equal(&before, &book.ledger, sizeof(before));
    assert_int_equal(book.entries.n, entries);
    assert_int_equal(debit(&book, 10, T0 + DAY, NULL), LOYALTY_OK);
    assert_lots(&book, "a:10 b:0");
    loyalty_arena_free(&book.arena);
}

static void
a_lot_expires_at_its_instant_and_once(void **state)
{
    book_t book;

    (void)state;

    book_init(&book);
    credit(&book, "a", 150, T0, T0, T0 + DAY);
    assert_balance(&book, T0 + DAY - 1, 150, 0, 0, 0, 150);
    assert_balance(&book, T0 + DAY, 0, 0, 0, 150, 150);
    assert_int_equal(loyalty_ledger_change_at(&book.ledger, T0), T0 + DAY);

    expire(&book, T0 + DAY - 1);
    assert_int_equal(book.entries.n, 1);
    expire(&book, T0 + DAY);
    expire(&book, T0 + DAY);
    assert_int_equal(book.entries.n, 2);
    assert_int_equal(book.entries.list[1].kind, LOYALTY_ENTRY_EXPIRE);
    assert_int_equal(book.entries.list[1].amount, -150);
    assert_balance(&book, T0 + DAY, 0, 0, 0, 150, 150);
    assert_lots(&book, "a:0");
    loyalty_arena_free(&book.arena);
}

static void
a_spending_returns_to_its_own_lots_and_dates(void **state)
{
    loyalty_spending_t spending;
    book_t book;

    (void)state;

    book_init(&book);
    credit(&book, "a", 100, T0, T0, T0 + DAY);
    credit(&book, "b", 100, T0, T0, T0 + 9 * DAY);
    assert_int_equal(debit(&book, 150, T0, &spending), LOYALTY_OK);
    assert_balance(&book, T0, 50, 0, 150, 0, 200);

    assert_int_equal(
        loyalty_ledger_restore(&book.ledger, &spending,
                               &(loyalty_cause_t){.at = T0 + 2 * DAY},
                               &book.arena, &book.entries),
        LOYALTY_OK);
    assert_lots(&book, "a:100 b:100");
    /* Lot a is back, and expired by now. */
    assert_balance(&book, T0 + 2 * DAY, 100, 0, 0, 100, 200);
    assert_int_equal(book.entries.list[3].kind, LOYALTY_ENTRY_RESTORE);
    assert_int_equal(book.entries.list[3].amount, 150);
    loyalty_arena_free(&book.arena);
}

static void
a_forgotten_lot_is_opened_again(void **state)
{
    static char ids[2 * LOYALTY_LEDGER_LOTS_KEPT][16];
    loyalty_spending_t spending;
    book_t book;
    int i;

    (void)state;

    book_init(&book);
    credit(&book, "a", 100, T0, T0, T0 + 90 * DAY);
    assert_int_equal(debit(&book, 100, T0, &spending), LOYALTY_OK);
    for (i = 0; i < 2 * LOYALTY_LEDGER_LOTS_KEPT; i++) {
        snprintf(ids[i], sizeof(ids[i]), "b%d", i);
        credit(&book, ids[i], 1, T0 + DAY, T0 + DAY, T0 + 50 * DAY + i);
    }
    assert_int_equal(book.ledger.lots[0].amount, 1);

    assert_int_equal(
        loyalty_ledger_restore(&book.ledger, &spending,
                               &(loyalty_cause_t){.at = T0 + 2 * DAY},
                               &book.arena, &book.entries),
        LOYALTY_OK);
    assert_int_equal(book.ledger.lots[0].remaining, 100);
    assert_int_equal(book.ledger.lots[0].expires_at, T0 + 90 * DAY);
    assert_int_equal(loyalty_ledger_check(&book.ledger), LOYALTY_OK);
    loyalty_arena_free(&book.arena);
}

static void
return_policies_differ_in_what_was_spent(void **state)
{
    /* 150 earned, 100 spent, 150 taken back. */
    static const struct {
        loyalty_return_policy_t policy;
        int64_t active, revoked, life;
    } cases[] = {
        {LOYALTY_RETURN_WITHIN_BALANCE, 0, 50, 0},
        {LOYALTY_RETURN_UNLIMITED, -100, 150, 0},
        {LOYALTY_RETURN_ONLY_PENDING, 50, 0, 150},
    };
    book_t book;
    size_t i;

    (void)state;

    for (i = 0; i < COUNT(cases); i++) {
        book_init(&book);
        credit(&book, "o1", 150, T0, T0, LOYALTY_NEVER);
        debit(&book, 100, T0 + 1, NULL);
        assert_int_equal(
            revoke(&book, "o1", LOYALTY_NEVER, 150, cases[i].policy, T0 + 2),
            LOYALTY_OK);
        assert_balance(&book, T0 + 2, cases[i].active, 0, 100, 0,
                       cases[i].life);
        assert_int_equal(book.ledger.revoked, cases[i].revoked);
        assert_int_equal(loyalty_ledger_check(&book.ledger), LOYALTY_OK);
        loyalty_arena_free(&book.arena);
    }
}

static void
only_pending_takes_what_has_not_started(void **state)
{
    book_t book;

    (void)state;

    book_init(&book);
    credit(&book, "o1", 150, T0, T0 + DAY, LOYALTY_NEVER);
    assert_int_equal(revoke(&book, "o1", LOYALTY_NEVER, 60,
                            LOYALTY_RETURN_ONLY_PENDING, T0 + DAY - 1),
                     LOYALTY_OK);
    assert_balance(&book, T0, 0, 90, 0, 0, 90);
    assert_int_equal(revoke(&book, "o1", LOYALTY_NEVER, 60,
                            LOYALTY_RETURN_ONLY_PENDING, T0 + DAY),
                     LOYALTY_OK);
    assert_balance(&book, T0 + DAY, 90, 0, 0, 0, 90);
    loyalty_arena_free(&book.arena);
}

static void
what_is_taken_back_comes_from_its_own_lot_first(void **state)
{
    book_t book;

    (void)state;

    book_init(&book);
    credit(&book, "o1", 100, T0, T0, LOYALTY_NEVER);
    credit(&book, "o2", 100, T0, T0, T0 + 5 * DAY);
    credit(&book, "o3", 100, T0, T0 + 5 * DAY, LOYALTY_NEVER);
    debit(&book, 130, T0, NULL); /* o2 whole, 30 of o1 */
    revoke(&book, "o1", LOYALTY_NEVER, 50, LOYALTY_RETURN_UNLIMITED, T0);
    assert_lots(&book, "o1:20 o2:0 o3:100");
    /* 20 of its own, nothing of the pending lot, the rest is debt. */
    revoke(&book, "o1", LOYALTY_NEVER, 50, LOYALTY_RETURN_UNLIMITED, T0);
    assert_lots(&book, "o1:0 o2:0 o3:100");
    assert_balance(&book, T0, -30, 100, 130, 0, 200);
    loyalty_arena_free(&book.arena);
}

static void
debt_is_absorbed_by_the_next_credit(void **state)
{
    book_t book;

    (void)state;

    book_init(&book);
    credit(&book, "o1", 100, T0, T0, LOYALTY_NEVER);
    debit(&book, 100, T0, NULL);
    revoke(&book, "o1", LOYALTY_NEVER, 100, LOYALTY_RETURN_UNLIMITED, T0);
    assert_balance(&book, T0, -100, 0, 100, 0, 0);

    /* A pending credit absorbs when it starts, and what it absorbed can
     * neither be spent nor expire. */
    credit(&book, "p", 40, T0 + 1, T0 + DAY, T0 + 2 * DAY);
    assert_balance(&book, T0 + 1, -100, 40, 100, 0, 40);
    assert_balance(&book, T0 + DAY, -60, 0, 100, 0, 40);
    assert_balance(&book, T0 + 2 * DAY, -60, 0, 100, 0, 40);

    credit(&book, "q", 70, T0 + 3 * DAY, T0 + 3 * DAY, LOYALTY_NEVER);
    assert_balance(&book, T0 + 3 * DAY, 10, 0, 100, 0, 110);
    assert_int_equal(debit(&book, 11, T0 + 3 * DAY, NULL),
                     LOYALTY_ERROR_INSUFFICIENT);
    assert_lots(&book, "o1:0 p:0 q:10");
    assert_int_equal(book.ledger.debt, 0);
    loyalty_arena_free(&book.arena);
}

static void
a_lot_expired_before_the_debt_does_not_absorb_it(void **state)
{
    book_t book;

    (void)state;

    book_init(&book);
    credit(&book, "gone", 70, T0, T0, T0 + DAY);
    credit(&book, "o1", 100, T0 + 2 * DAY, T0 + 2 * DAY, LOYALTY_NEVER);
    debit(&book, 100, T0 + 2 * DAY, NULL);
    revoke(&book, "o1", LOYALTY_NEVER, 100, LOYALTY_RETURN_UNLIMITED,
           T0 + 2 * DAY);
    assert_balance(&book, T0 + 3 * DAY, -100, 0, 100, 70, 70);
    expire(&book, T0 + 3 * DAY);
    assert_balance(&book, T0 + 3 * DAY, -100, 0, 100, 70, 70);
    loyalty_arena_free(&book.arena);
}

/* 100 earned, 40 spent, 60 expired: of 100 taken back, 60 are gone already;
 * whether the expiry run came before makes no difference. */
static void
what_expired_is_not_taken_back_twice(void **state)
{
    book_t book;
    int run;

    (void)state;

    for (run = 0; run < 2; run++) {
        book_init(&book);
        credit(&book, "o1", 100, T0, T0, T0 + DAY);
        debit(&book, 40, T0, NULL);
        credit(&book, "o2", 500, T0 + DAY, T0 + DAY, LOYALTY_NEVER);
        if (run == 1) {
            expire(&book, T0 + 2 * DAY);
        }
        revoke(&book, "o1", T0 + DAY, 50, LOYALTY_RETURN_WITHIN_BALANCE,
               T0 + 2 * DAY);
        assert_balance(&book, T0 + 2 * DAY, 500, 0, 40, 60, 550);
        revoke(&book, "o1", T0 + DAY, 50, LOYALTY_RETURN_WITHIN_BALANCE,
               T0 + 2 * DAY);
        assert_balance(&book, T0 + 2 * DAY, 460, 0, 40, 60, 500);
        assert_int_equal(loyalty_ledger_check(&book.ledger), LOYALTY_OK);
        loyalty_arena_free(&book.arena);
    }
}

static void
a_ledger_stays_small(void **state)
{
    static char ids[1000][16];
    loyalty_balance_t balance;
    book_t book;
    int i;

    (void)state;

    book_init(&book);
    for (i = 0; i < 1000; i++) {
        snprintf(ids[i], sizeof(ids[i]), "o%d", i);
        assert_int_equal(
            credit(&book, ids[i], 10, T0 + i, T0 + i, LOYALTY_NEVER),
            LOYALTY_OK);
    }
    assert_true(book.ledger.nlots <= LOYALTY_LEDGER_LOTS_KEPT);
    assert_int_equal(loyalty_ledger_check(&book.ledger), LOYALTY_OK);

    /* A lot that was folded away can still be taken back. */
    revoke(&book, "o3", LOYALTY_NEVER, 10, LOYALTY_RETURN_WITHIN_BALANCE,
           T0 + DAY);
    loyalty_ledger_balance(&book.ledger, T0 + DAY, &balance);
    assert_int_equal(balance.active, 9990);
    assert_int_equal(debit(&book, 9990, T0 + DAY, NULL), LOYALTY_OK);
    assert_int_equal(loyalty_ledger_check(&book.ledger), LOYALTY_OK);
    loyalty_arena_free(&book.arena);
}

/* Orders that are placed and cancelled, over and over. */
static void
what_never_started_is_forgotten_too(void **state)
{
    static char ids[100][16];
    book_t book;
    int i;

    (void)state;

    book_init(&book);
    for (i = 0; i < 100; i++) {
        snprintf(ids[i], sizeof(ids[i]), "o%d", i);
        assert_int_equal(credit(&book, ids[i], 10, T0 + i, LOYALTY_NEVER,
                                LOYALTY_NEVER),
                         LOYALTY_OK);
        assert_int_equal(revoke(&book, ids[i], LOYALTY_NEVER, 10,
                                LOYALTY_RETURN_WITHIN_BALANCE, T0 + i),
                         LOYALTY_OK);
    }
    assert_true(book.ledger.nlots <= LOYALTY_LEDGER_LOTS_KEPT);
    assert_int_equal(book.ledger.revoked, 1000);
    assert_int_equal(book.ledger.life, 0);

    /* One that still waits stays, however many come after it. */
    credit(&book, "waits", 7, T0, LOYALTY_NEVER, LOYALTY_NEVER);
    for (i = 0; i < 100; i++) {
        credit(&book, ids[i], 10, T0 + DAY + i, T0 + DAY + i, LOYALTY_NEVER);
    }
    assert_int_equal(
        loyalty_ledger_start(&book.ledger,
                             &(loyalty_lot_t){.id = loyalty_str("waits"),
                                              .amount = 7,
                                              .created_at = T0,
                                              .starts_at = T0 + DAY,
                                              .expires_at = LOYALTY_NEVER,
                                              .earned = true},
                             &(loyalty_cause_t){.at = T0 + DAY}, &book.arena,
                             &book.entries),
        LOYALTY_OK);
    assert_int_equal(loyalty_ledger_check(&book.ledger), LOYALTY_OK);
    loyalty_arena_free(&book.arena);
}

static void
a_sum_past_64_bits_changes_nothing(void **state)
{
    loyalty_ledger_t before;
    book_t book;

    (void)state;

    book_init(&book);
    credit(&book, "a", INT64_MAX - 5, T0, T0, LOYALTY_NEVER);
    before = book.ledger;
    assert_int_equal(credit(&book, "b", 6, T0, T0, LOYALTY_NEVER),
                     LOYALTY_ERROR_OVERFLOW);
    assert_memory_equal(&before, &book.ledger, sizeof(before));
    assert_int_equal(book.entries.n, 1);
    assert_int_equal(credit(&book, "b", 5, T0, T0, LOYALTY_NEVER), LOYALTY_OK);
    assert_int_equal(debit(&book, INT64_MAX, T0, NULL), LOYALTY_OK);
    assert_int_equal(loyalty_ledger_check(&book.ledger), LOYALTY_OK);
    loyalty_arena_free(&book.arena);
}

static void
malformed_lots_are_refused(void **state)
{
    book_t book;

    (void)state;

    book_init(&book);
    assert_int_equal(credit(&book, "a", 0, T0, T0, LOYALTY_NEVER),
                     LOYALTY_ERROR_INVALID);
    assert_int_equal(credit(&book, "a", -1, T0, T0, LOYALTY_NEVER),
                     LOYALTY_ERROR_INVALID);
    assert_int_equal(credit(&book, "", 1, T0, T0, LOYALTY_NEVER),
                     LOYALTY_ERROR_INVALID);
    assert_int_equal(credit(&book, "a", 1, T0, T0, T0), LOYALTY_ERROR_INVALID);
    assert_int_equal(book.ledger.nlots, 0);
    assert_int_equal(
        revoke(&book, "a", LOYALTY_NEVER, 1, LOYALTY_RETURN_UNLIMITED, T0),
        LOYALTY_ERROR_INVALID);
    loyalty_arena_free(&book.arena);
}

static void
the_check_sees_what_is_off(void **state)
{
    loyalty_ledger_t good, bad;
    book_t book;

    (void)state;

    book_init(&book);
    credit(&book, "a", 100, T0, T0, LOYALTY_NEVER);
    debit(&book, 30, T0, NULL);
    good = book.ledger;
    assert_int_equal(loyalty_ledger_check(&good), LOYALTY_OK);

    bad = good, bad.spent++;
    assert_int_equal(loyalty_ledger_check(&bad), LOYALTY_ERROR_CORRUPT);
    bad = good, bad.debt = INT64_MIN;
    assert_int_equal(loyalty_ledger_check(&bad), LOYALTY_ERROR_CORRUPT);
    bad = good, bad.credited = -1;
    assert_int_equal(loyalty_ledger_check(&bad), LOYALTY_ERROR_CORRUPT);
    book.ledger.lots[0].remaining = 101;
    assert_int_equal(loyalty_ledger_check(&good), LOYALTY_ERROR_CORRUPT);
    loyalty_arena_free(&book.arena);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_lot_that_expires_first_is_spent_first),
        cmocka_unit_test(no_more_than_the_active_balance_is_spent),
        cmocka_unit_test(a_lot_expires_at_its_instant_and_once),
        cmocka_unit_test(a_spending_returns_to_its_own_lots_and_dates),
        cmocka_unit_test(a_forgotten_lot_is_opened_again),
        cmocka_unit_test(return_policies_differ_in_what_was_spent),
        cmocka_unit_test(only_pending_takes_what_has_not_started),
        cmocka_unit_test(what_is_taken_back_comes_from_its_own_lot_first),
        cmocka_unit_test(debt_is_absorbed_by_the_next_credit),
        cmocka_unit_test(a_lot_expired_before_the_debt_does_not_absorb_it),
        cmocka_unit_test(what_expired_is_not_taken_back_twice),
        cmocka_unit_test(a_ledger_stays_small),
        cmocka_unit_test(what_never_started_is_forgotten_too),
        cmocka_unit_test(a_sum_past_64_bits_changes_nothing),
        cmocka_unit_test(malformed_lots_are_refused),
        cmocka_unit_test(the_check_sees_what_is_off),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
