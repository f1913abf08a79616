/*
 * core/loyalty_order.c: random orders of one member, their events shuffled,
 * doubled and interleaved (DOMAIN.md section 3).  What must come out is computed
 * here in another way: from the set of events of each order, without any order
 * of arrival.
 */

#include "world.h"

#define ORDERS 4
#define WORDS 12

typedef struct {
    char words[WORDS][16];
    size_t nwords;
    int64_t total;
    bool seen[3][128]; /* attempt, letter */
    int64_t refunds[3];
} history_t;

static void
add_word(history_t *history, char letter, int attempt)
{
    char *word = history->words[history->nwords];
    int64_t left, amount;

    if (letter == 'r') {
        left = history->total - history->refunds[attempt];
        amount = world_random(3) == 0 ? left : world_random(left + 1);
        history->refunds[attempt] += amount;
        snprintf(word, 16, "r%zu=%lld/%d", history->nwords, (long long)amount,
                 attempt);
    } else {
        snprintf(word, 16, "%c/%d", letter, attempt);
    }

    history->seen[attempt][(unsigned char)letter] = true;
    history->nwords++;
}

static void
make_history(history_t *history)
{
    *history = (history_t){0};
    history->total = world_random(100000);
    while (history->nwords < WORDS && world_random(8) != 0) {
        add_word(history, "pccssrrx"[world_random(8)],
                 world_random(4) == 0 ? 2 : 1);
    }
}

static void
expect(const history_t *history, int64_t *spend, int64_t *orders,
       int64_t *active, int64_t *pending)
{
    int dead = history->seen[2]['x'] ? 2 : history->seen[1]['x'] ? 1 : 0;
    int64_t left;
    int attempt;

    for (attempt = 2; attempt > dead; attempt--) {
        if (history->seen[attempt]['c'] || history->seen[attempt]['s']) {
            left = history->total - history->refunds[attempt];
            *spend += left;
            *orders += left > 0 || history->total == 0;
            *active += history->total / 100;
            if (history->total > 0) {
                *active -= history->total / 100 * history->refunds[attempt]
                           / history->total;
            }
            return;
        }
    }
    for (attempt = 2; attempt > dead; attempt--) {
        if (history->seen[attempt]['p']) {
            *pending += history->total / 100;
            return;
        }
    }
}

/* Applies the words of all orders in a random order, each once or twice. */
static void
arrive(world_t *world, const history_t *histories, loyalty_order_t **orders)
{
    static const char *const ids[ORDERS] = {"o1", "o2", "o3", "o4"};
    struct {
        size_t order;
        const char *word;
    } queue[ORDERS * WORDS * 2], swap;
    loyalty_order_event_t event;
    size_t i, j, n = 0;

    for (i = 0; i < ORDERS; i++) {
        for (j = 0; j < histories[i].nwords; j++) {
            queue[n].order = i;
            queue[n++].word = histories[i].words[j];
            if (world_random(4) == 0) {
                queue[n] = queue[n - 1];
                n++;
            }
        }
    }

    for (i = n; i > 1; i--) {
        j = world_random(i);
        swap = queue[i - 1];
        queue[i - 1] = queue[j];
        queue[j] = swap;
    }

    for (i = 0; i < n; i++) {
        event = world_event(world, queue[i].word, ids[queue[i].order],
                            histories[queue[i].order].total);
        world->order = orders[queue[i].order];
        assert_int_equal(world_apply(world, &event), LOYALTY_OK);
        orders[queue[i].order] = world->order;
    }
}

static void
any_order_of_arrival_ends_in_one_state(void **state)
{
    long n, count = world_histories(10000);
    int64_t spend, orders, active, pending;
    loyalty_order_t *records[ORDERS];
    history_t histories[ORDERS];
    loyalty_balance_t balance;
    world_t world;
    size_t i;

    (void)state;

    for (n = 1; n <= count; n++) {
        world_seed(n);
        spend = orders = active = pending = 0;
        for (i = 0; i < ORDERS; i++) {
            make_history(&histories[i]);
            expect(&histories[i], &spend, &orders, &active, &pending);
            records[i] = NULL;
        }

        world_init(&world);
        world.program.ntiers = 0; /* no multiplier intervenes */
        world.now = T0 + 9 * HOUR;
        arrive(&world, histories, records);
        balance = world_balance(&world);

        if (world.member.spent_total != spend
            || world.member.order_count != orders || balance.active != active
            || balance.life != active || balance.pending != pending) {
            fail_msg("history %ld: spend %lld %lld, orders %lld %lld, "
                     "active %lld %lld, pending %lld %lld",
                     n, (long long)world.member.spent_total, (long long)spend,
                     (long long)world.member.order_count, (long long)orders,
                     (long long)balance.active, (long long)active,
                     (long long)balance.pending, (long long)pending);
        }
        world_free(&world);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_order_of_arrival_ends_in_one_state),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
