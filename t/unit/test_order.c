/*
 * core/loyalty_order.c: every path an order can take (DOMAIN.md section 3).
 * Expected figures by hand: one point per pound, totals in pence.
 */

#include "world.h"

typedef struct {
    const char *words;
    int64_t spend, orders, active, pending, life, revoked;
} path_t;

static void
every_path_ends_where_it_should(void **state)
{
    static const path_t paths[] = {
        /* 100.00: 100 points */
        {"p", 0, 0, 0, 100, 0, 0},
        {"c", 10000, 1, 100, 0, 100, 0},
        {"s", 10000, 1, 100, 0, 100, 0},
        {"p c", 10000, 1, 100, 0, 100, 0},
        {"c s", 10000, 1, 100, 0, 100, 0},
        {"s c", 10000, 1, 100, 0, 100, 0},
        {"c p", 10000, 1, 100, 0, 100, 0},
        {"p p c c s s", 10000, 1, 100, 0, 100, 0},

        /* cancelled from any state */
        {"x", 0, 0, 0, 0, 0, 0},
        {"p x", 0, 0, 0, 0, 0, 100},
        {"c x", 0, 0, 0, 0, 0, 100},
        {"p c s x x", 0, 0, 0, 0, 0, 100},
        {"c r1=4000 x", 0, 0, 0, 0, 0, 100},
        {"c r1=10000 x", 0, 0, 0, 0, 0, 100},

        /* the same attempt never earns again, a higher one once */
        {"c x c", 0, 0, 0, 0, 0, 100},
        {"x c", 0, 0, 0, 0, 0, 0},
        {"x p c", 0, 0, 0, 0, 0, 0},
        {"c x s", 0, 0, 0, 0, 0, 100},
        {"c x c/2", 10000, 1, 100, 0, 100, 100},
        {"c x c/2 c/2 s/2", 10000, 1, 100, 0, 100, 100},
        {"c x c/2 x/2", 0, 0, 0, 0, 0, 200},
        {"c x p/2", 0, 0, 0, 100, 0, 100},
        {"c c/2 x", 10000, 1, 100, 0, 100, 100},
        {"c/2 c x", 10000, 1, 100, 0, 100, 0},
        {"x/2 c", 0, 0, 0, 0, 0, 0},
        {"c/2 x c", 10000, 1, 100, 0, 100, 0},

        /* refunds: floor(earned * returned so far / total) less before */
        {"c r1=1", 9999, 1, 100, 0, 100, 0},
        {"c r1=99", 9901, 1, 100, 0, 100, 0},
        {"c r1=100", 9900, 1, 99, 0, 99, 1},
        {"c r1=3333 r2=3333", 3334, 1, 34, 0, 34, 66},
        {"c r1=3333 r2=3333 r3=3334", 0, 0, 0, 0, 0, 100},
        {"c r1=9999", 1, 1, 1, 0, 1, 99},
        {"c r1=4000 r1=4000", 6000, 1, 60, 0, 60, 40},
        {"c r", 0, 0, 0, 0, 0, 100},
        {"c r1=4000 r", 0, 0, 0, 0, 0, 100},

        /* held until their time comes */
        {"r1=4000", 0, 0, 0, 0, 0, 0},
        {"p r1=4000", 0, 0, 0, 100, 0, 0},
        {"r1=4000 c", 6000, 1, 60, 0, 60, 40},
        {"r1=4000 r2=6000 p s", 0, 0, 0, 0, 0, 100},
        {"r r1=4000 c", 0, 0, 0, 0, 0, 100},
        {"x r1=4000 c", 0, 0, 0, 0, 0, 0},
        {"r1=4000 c x", 0, 0, 0, 0, 0, 100},
        {"r1=4000/2 c x c/2", 6000, 1, 60, 0, 60, 140},

        /* too much is refused, now or when its time comes */
        {"c r1=10001", 10000, 1, 100, 0, 100, 0},
        {"c r1=9000 r2=1001", 1000, 1, 10, 0, 10, 90},
        {"r1=10001 c", 10000, 1, 100, 0, 100, 0},
        {"r1=9000 r2=1001 c", 1000, 1, 10, 0, 10, 90},
    };
    loyalty_balance_t balance;
    const path_t *path;
    world_t world;
    size_t i;

    (void)state;

    for (i = 0; i < COUNT(paths); i++) {
        path = &paths[i];
        world_init(&world);
        world_run(&world, path->words, 10000);
        loyalty_ledger_balance(&world.member.points, world.now, &balance);

        if (world.member.spent_total != path->spend
            || world.member.order_count != path->orders
            || balance.active != path->active
            || balance.pending != path->pending || balance.life != path->life
            || balance.revoked != path->revoked) {
            fail_msg("\"%s\": spend %lld, orders %lld, active %lld, pending "
                     "%lld, life %lld, revoked %lld",
                     path->words, (long long)world.member.spent_total,
                     (long long)world.member.order_count,
                     (long long)balance.active, (long long)balance.pending,
                     (long long)balance.life, (long long)balance.revoked);
        }
        world_free(&world);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_path_ends_where_it_should),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
