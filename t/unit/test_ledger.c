/*
 * core/loyalty_ledger.c: DOMAIN.md section 4 by hand, then the "ledger"
 * section of the shared cases/examples.json, then random histories.
 */

#include "world.h"

#include <jansson.h>

#include "loyalty_money.h"

typedef struct {
    loyalty_arena_t arena;
    loyalty_ledger_t ledger;
    loyalty_entries_t entries;
} book_t;

static void
book_init(book_t *book)
{
    *book = (book_t){0};
    loyalty_arena_init(&book->arena, 0);
}

static loyalty_status_t
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

static loyalty_status_t
debit(book_t *book, int64_t amount, loyalty_instant_t at,
      loyalty_spending_t *spending)
{
    return loyalty_ledger_debit(&book->ledger, amount,
                                &(loyalty_cause_t){.at = at}, &book->arena,
                                &book->entries, spending);
}

static loyalty_status_t
revoke(book_t *book, const char *id, loyalty_instant_t expires_at,
       int64_t amount, loyalty_return_policy_t policy, loyalty_instant_t at)
{
    return loyalty_ledger_revoke(
        &book->ledger, loyalty_str_from(id), expires_at, amount, policy,
        &(loyalty_cause_t){.at = at}, &book->arena, &book->entries);
}

static void
expire(book_t *book, loyalty_instant_t at)
{
    assert_int_equal(loyalty_ledger_expire(&book->ledger,
                                           &(loyalty_cause_t){.at = at},
                                           &book->arena, &book->entries),
                     LOYALTY_OK);
}

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

/* Random histories; the seed is printed. */

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

/* The shared examples. */

typedef struct {
    world_t world;
    loyalty_order_t *orders[16];
    const char *order_ids[16];
    size_t norders;
    const char *seen[64]; /* ids of earn and debit */
    size_t nseen;
    json_t *refused;
    int64_t kinds[LOYALTY_ENTRY_ADJUST + 1];
} replay_t;

static json_int_t
number(json_t *object, const char *name)
{
    return json_integer_value(json_object_get(object, name));
}

static loyalty_str_t
text(json_t *object, const char *name)
{
    return loyalty_str_from(json_string_value(json_object_get(object, name)));
}

static void
count_kinds(replay_t *replay)
{
    const loyalty_entries_t *entries = &replay->world.effects.points;
    size_t i;

    for (i = 0; i < entries->n; i++) {
        replay->kinds[entries->list[i].kind]++;
    }
    world_count(&replay->world);
    world_check(&replay->world);
}

static loyalty_order_t **
find_order(replay_t *replay, const char *id)
{
    size_t i;

    for (i = 0; i < replay->norders; i++) {
        if (strcmp(replay->order_ids[i], id) == 0) {
            return &replay->orders[i];
        }
    }

    assert_true(replay->norders < COUNT(replay->orders));
    replay->order_ids[replay->norders] = id;
    return &replay->orders[replay->norders++];
}

static void
replay_order(replay_t *replay, json_t *json)
{
    loyalty_order_event_t event = {
        .order_id = text(json, "order_id"),
        .member_id = loyalty_str("m1"),
        .attempt = 1,
        .placed_at = number(json, "at"),
        .occurred_at = number(json, "at"),
        .currency = loyalty_str("GBP"),
        .total = number(json, "total"),
        .refund = {.id = text(json, "refund_id"), .amount = -1},
    };
    loyalty_str_t status = text(json, "status");
    loyalty_order_status_t candidate;

    for (candidate = LOYALTY_ORDER_PLACED; candidate <= LOYALTY_ORDER_REFUNDED;
         candidate++) {
        if (loyalty_str_eq(status, loyalty_str_from(
                                       loyalty_order_status_name(candidate)))) {
            event.status = candidate;
        }
    }
    if (json_object_get(json, "refund_value") != NULL) {
        event.refund.amount = number(json, "refund_value");
    }

    loyalty_order_apply(&replay->world.program, &replay->world.member,
                        find_order(replay, event.order_id.data), &event,
                        event.occurred_at, &replay->world.arena,
                        &replay->world.effects);
}

/* Who calls loyalty_member_grant keeps ids apart (Idempotency-Key). */
static bool
is_repeated(replay_t *replay, const char *id)
{
    size_t i;

    for (i = 0; i < replay->nseen; i++) {
        if (strcmp(replay->seen[i], id) == 0) {
            return true;
        }
    }

    assert_true(replay->nseen < COUNT(replay->seen));
    replay->seen[replay->nseen++] = id;
    return false;
}

static void
replay_grant(replay_t *replay, json_t *json, int64_t amount)
{
    world_t *world = &replay->world;
    json_t *expires_at = json_object_get(json, "expires_at");
    loyalty_str_t order = text(json, "order_id");
    loyalty_grant_t grant = {
        .amount = amount,
        .id = text(json, "id"),
        .starts_at = LOYALTY_UNKNOWN,
        .expires_at = json_is_integer(expires_at)
                          ? json_integer_value(expires_at)
                          : LOYALTY_NEVER,
        .earned = true,
        .cause = {.at = number(json, "at")},
    };
    loyalty_status_t rc;

    world->effects = (loyalty_effects_t){0};
    if (is_repeated(replay, grant.id.data)) {
        return;
    }

    if (order.len != 0) {
        rc = loyalty_order_spend(&world->program, &world->member,
                                 find_order(replay, order.data), order,
                                 grant.id, -amount, grant.cause.at,
                                 &world->arena, &world->effects);
    } else {
        rc = loyalty_member_grant(&world->member, &world->program, &grant,
                                  &world->arena, &world->effects);
    }

    if (rc != LOYALTY_OK) {
        json_array_append(replay->refused, json_object_get(json, "id"));
    }
}

static void
replay_events(replay_t *replay, json_t *events)
{
    world_t *world = &replay->world;
    loyalty_str_t type;
    json_t *event;
    size_t i;

    json_array_foreach(events, i, event)
    {
        type = text(event, "type");
        if (loyalty_str_eq(type, loyalty_str("order"))) {
            replay_order(replay, event);
        } else if (loyalty_str_eq(type, loyalty_str("earn"))) {
            replay_grant(replay, event, number(event, "amount"));
        } else if (loyalty_str_eq(type, loyalty_str("debit"))) {
            replay_grant(replay, event, -number(event, "amount"));
        } else if (loyalty_str_eq(type, loyalty_str("expire"))) {
            loyalty_member_evaluate(&world->member, &world->program,
                                    number(event, "at"), &world->arena,
                                    &world->effects);
        } else {
            fail_msg("an event of type %s", type.data);
        }
        count_kinds(replay);
    }
}

static void
replay_settings(replay_t *replay, json_t *settings)
{
    world_t *world = &replay->world;
    loyalty_str_t value;

    /* A status everybody holds, for the multiplier. */
    world->tiers[0].threshold = 0;
    world->program.ntiers = 1;

    value = text(settings, "earn_rate");
    if (value.len != 0) {
        assert_int_equal(
            loyalty_decimal_parse(value, 4, LOYALTY_ROUND_EXACT,
                                  &world->program.settings.earn_rate),
            LOYALTY_OK);
    }

    value = text(settings, "multiplier");
    if (value.len != 0) {
        assert_int_equal(loyalty_decimal_parse(value, 2, LOYALTY_ROUND_EXACT,
                                               &world->tiers[0].multiplier),
                         LOYALTY_OK);
    }

    value = text(settings, "return_policy");
    if (loyalty_str_eq(value, loyalty_str("unlimited"))) {
        world->program.settings.return_policy = LOYALTY_RETURN_UNLIMITED;
    } else if (loyalty_str_eq(value, loyalty_str("only_pending"))) {
        world->program.settings.return_policy = LOYALTY_RETURN_ONLY_PENDING;
    }
}

static json_t *
replay_result(const replay_t *replay, loyalty_instant_t at)
{
    const loyalty_ledger_t *ledger = &replay->world.member.points;
    json_t *lots = json_array();
    loyalty_balance_t balance;
    size_t i;

    for (i = 0; i < ledger->nlots; i++) {
        json_array_append_new(
            lots,
            json_pack("{s:s%, s:I, s:I}", "id", ledger->lots[i].id.data,
                      ledger->lots[i].id.len, "amount", ledger->lots[i].amount,
                      "remaining", ledger->lots[i].remaining));
    }

    loyalty_ledger_balance(ledger, at, &balance);
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:O, s:{s:I, s:I}}",
                     "active", balance.active, "pending", balance.pending,
                     "spent", balance.spent, "expired", balance.expired, "life",
                     balance.life, "revoked", balance.revoked, "lots", lots,
                     "refused", replay->refused, "entries", "expire",
                     replay->kinds[LOYALTY_ENTRY_EXPIRE], "revoke",
                     replay->kinds[LOYALTY_ENTRY_REVOKE]);
}

static void
assert_expected(const char *id, json_t *expected, json_t *result)
{
    json_t *value, *got, *kind;
    const char *name, *kind_name;
    bool equal;

    json_object_foreach(expected, name, value)
    {
        got = json_object_get(result, name);
        equal = json_equal(got, value);
        if (strcmp(name, "entries") == 0) {
            equal = true;
            json_object_foreach(value, kind_name, kind)
            {
                equal =
                    equal && json_equal(json_object_get(got, kind_name), kind);
            }
        }
        if (!equal) {
            fail_msg("%s: %s is %s, not %s", id, name,
                     json_dumps(got, JSON_ENCODE_ANY),
                     json_dumps(value, JSON_ENCODE_ANY));
        }
    }
}

static void
the_shared_examples_come_out(void **state)
{
    const char *shared = getenv("SHARED");
    json_t *examples, *example, *given, *result;
    char path[4096];
    replay_t replay;
    size_t i;

    (void)state;

    snprintf(path, sizeof(path), "%s/cases/examples.json",
             shared == NULL ? "../shared" : shared);
    examples = json_load_file(path, 0, NULL);
    if (examples == NULL) {
        print_message("# %s is not there: examples skipped\n", path);
        skip();
    }

    json_array_foreach(json_object_get(examples, "ledger"), i, example)
    {
        replay = (replay_t){.refused = json_array()};
        world_init(&replay.world);
        given = json_object_get(example, "given");
        replay_settings(&replay, json_object_get(given, "settings"));
        replay_events(&replay, json_object_get(given, "events"));
        result = replay_result(&replay, number(given, "read_at"));
        assert_expected(json_string_value(json_object_get(example, "id")),
                        json_object_get(example, "expect"), result);
        json_decref(result);
        json_decref(replay.refused);
        world_free(&replay.world);
    }

    assert_true(i > 0);
    json_decref(examples);
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
        cmocka_unit_test(a_sum_past_64_bits_changes_nothing),
        cmocka_unit_test(malformed_lots_are_refused),
        cmocka_unit_test(the_check_sees_what_is_off),
        cmocka_unit_test(invariants_hold_after_any_history),
        cmocka_unit_test(the_shared_examples_come_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
