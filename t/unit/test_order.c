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
        {"p/2 c c/2 r1=4000/2", 6000, 1, 60, 0, 60, 240},

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

static void
the_same_key_with_other_content_is_refused(void **state)
{
    static loyalty_order_line_t lines[] = {LINE("a", 1, 10000)};
    static loyalty_order_line_t others[] = {LINE("a", 2, 10000)};
    static loyalty_str_t redemptions[] = {loyalty_str("hold-1")};
    static const char *const words[] = {"p", "c", "s", "x", "r1=100"};
    loyalty_order_event_t event, other;
    loyalty_member_t before;
    loyalty_order_t *order;
    world_t world;
    size_t i;

    (void)state;

    for (i = 0; i < COUNT(words); i++) {
        world_init(&world);
        event = world_event(&world, words[i], "o1", 10000);
        event.lines = lines;
        event.nlines = 1;
        assert_int_equal(world_apply(&world, &event), LOYALTY_OK);
        before = world.member;
        order = world.order;

        event.occurred_at += DAY;
        assert_int_equal(world_apply(&world, &event), LOYALTY_OK);
        assert_int_equal(world.effects.outcome, LOYALTY_DUPLICATE);
        assert_false(world.effects.member_changed);
        assert_false(world.effects.order_changed);

#define REFUSED(change, name)                                                  \
    do {                                                                       \
        other = event;                                                         \
        change;                                                                \
        assert_int_equal(world_apply(&world, &other), LOYALTY_ERROR_CONFLICT); \
        assert_string_equal(world.effects.refusal,                             \
                            "exists_with_different_" name);                    \
    } while (0)

        REFUSED(other.member_id = loyalty_str("m2"), "member");
        REFUSED(other.member_id = loyalty_str(""), "member");
        REFUSED(other.currency = loyalty_str("EUR"), "currency");
        REFUSED(other.total++, "total");
        REFUSED(other.lines = others, "lines");
        REFUSED(other.nlines = 0, "lines");
        REFUSED((other.redemptions = redemptions, other.nredemptions = 1),
                "redemptions");
        if (event.status == LOYALTY_ORDER_REFUNDED) {
            REFUSED(other.refund.amount++, "refund");
            REFUSED((other.refund.lines = lines, other.refund.nlines = 1),
                    "refund");
        }

        assert_int_equal(world.member.version, before.version);
        assert_int_equal(world.order->nattempts, order->nattempts);
        world_free(&world);
    }
}

static void
completed_and_shipped_may_not_contradict_each_other(void **state)
{
    static loyalty_str_t holds[] = {loyalty_str("h1"), loyalty_str("h2")};
    loyalty_order_event_t event;
    world_t world;

    (void)state;

    world_init(&world);
    world_run(&world, "c", 10000);
    event = world_event(&world, "s", "o1", 9000);
    assert_int_equal(world_apply(&world, &event), LOYALTY_ERROR_CONFLICT);
    assert_string_equal(world.effects.refusal, "exists_with_different_total");
    world_free(&world);

    world_init(&world);
    event = world_event(&world, "c", "o1", 9000);
    event.redemptions = holds;
    event.nredemptions = 1;
    assert_int_equal(world_apply(&world, &event), LOYALTY_OK);
    event = world_event(&world, "s", "o1", 9000);
    event.redemptions = holds + 1;
    event.nredemptions = 1;
    assert_int_equal(world_apply(&world, &event), LOYALTY_ERROR_CONFLICT);
    assert_string_equal(world.effects.refusal,
                        "exists_with_different_redemptions");
    event.nredemptions = 0;
    assert_int_equal(world_apply(&world, &event), LOYALTY_OK);
    world_free(&world);

    /* What was placed may differ from what was sent. */
    world_init(&world);
    world_run(&world, "p", 10000);
    assert_int_equal(world_balance(&world).pending, 100);
    world_run(&world, "c", 9000);
    assert_int_equal(world_balance(&world).active, 90);
    assert_int_equal(world_balance(&world).life, 90);
    assert_int_equal(world_balance(&world).revoked, 0);
    world_free(&world);
}

static void
outcomes_and_refusals_are_named(void **state)
{
    world_t world;

    (void)state;

    world_init(&world);
    world_run(&world, "r1=100", 10000);
    assert_int_equal(world.effects.outcome, LOYALTY_HELD);
    assert_true(world.effects.order_changed);
    world_run(&world, "c", 10000);
    assert_int_equal(world.effects.outcome, LOYALTY_APPLIED);
    assert_int_equal(world.effects.order_delta, 1);
    assert_int_equal(world.effects.spend_delta, 9900);
    assert_int_equal(world_run(&world, "r2=9901", 10000),
                     LOYALTY_ERROR_REFUSED);
    assert_string_equal(world.effects.refusal, "refund_more_than_left");
    world_free(&world);

    world_init(&world);
    world_run(&world, "x", 10000);
    assert_int_equal(world.effects.outcome, LOYALTY_HELD);
    world_free(&world);

    world_init(&world);
    world_run(&world, "r1=9000 r2=1001 c", 10000);
    assert_int_equal(world.effects.ndropped, 1);
    assert_true(loyalty_str_eq(world.effects.dropped[0], loyalty_str("2")));
    assert_int_equal(world.order->attempts[0].nrefunds, 1);
    world_free(&world);
}

static void
products_rise_and_fall_with_the_order(void **state)
{
    static loyalty_order_line_t lines[] = {
        LINE("b", 3, 1000), LINE("a", 2, 500), LINE("b", 1, 400)};
    static loyalty_order_line_t part[] = {LINE("b", 2, -1)};
    static loyalty_order_line_t more[] = {LINE("b", 3, -1)};
    loyalty_order_event_t event;
    world_t world;

    (void)state;

    world_init(&world);
    event = world_event(&world, "c", "o1", 1900);
    event.lines = lines;
    event.nlines = 3;
    world_apply(&world, &event);
    world_products(&world, "a:2 b:4");

    /* Two of three for 10.00: 6.67, the third 3.33. */
    event = world_event(&world, "r1=0", "o1", 1900);
    event.refund.amount = -1;
    event.refund.lines = part;
    event.refund.nlines = 1;
    world_apply(&world, &event);
    world_products(&world, "b:-2");
    assert_int_equal(world.effects.spend_delta, -667);

    event.refund.id = loyalty_str("2");
    event.refund.lines = more;
    assert_int_equal(world_apply(&world, &event), LOYALTY_ERROR_REFUSED);
    assert_string_equal(world.effects.refusal, "refund_more_units_than_left");

    event.refund.lines = part;
    assert_int_equal(world_apply(&world, &event), LOYALTY_OK);
    assert_int_equal(world.effects.spend_delta, -733);

    world_run(&world, "x", 1900);
    world_products(&world, "a:-2");
    assert_int_equal(world.products, 0);
    assert_int_equal(world.member.spent_total, 0);
    world_free(&world);
}

static void
lines_may_come_with_the_second_event(void **state)
{
    static loyalty_order_line_t lines[] = {LINE("a", 2, 10000)};
    loyalty_order_event_t event;
    world_t world;

    (void)state;

    world_init(&world);
    world_run(&world, "c", 10000);
    event = world_event(&world, "s", "o1", 10000);
    event.lines = lines;
    event.nlines = 1;
    assert_int_equal(world_apply(&world, &event), LOYALTY_OK);
    world_products(&world, "a:2");
    world_run(&world, "r1=10000", 10000);
    world_products(&world, "a:-2");
    world_free(&world);
}

/* 2 of a for 100.00; what one of them is worth is known when the lines are. */
static void
a_refund_of_units_waits_for_the_lines(void **state)
{
    static loyalty_order_line_t lines[] = {LINE("a", 2, 10000)};
    static loyalty_order_line_t one[] = {LINE("a", 1, -1)};
    loyalty_order_event_t event, refund;
    world_t world;

    (void)state;

    world_init(&world);
    world_run(&world, "c", 10000);
    refund = world_event(&world, "r1=0", "o1", 10000);
    refund.refund.amount = -1;
    refund.refund.lines = one;
    refund.refund.nlines = 1;
    assert_int_equal(world_apply(&world, &refund), LOYALTY_OK);
    assert_int_equal(world.effects.outcome, LOYALTY_HELD);
    assert_int_equal(world.member.spent_total, 10000);

    event = world_event(&world, "s", "o1", 10000);
    event.lines = lines;
    event.nlines = 1;
    assert_int_equal(world_apply(&world, &event), LOYALTY_OK);
    assert_int_equal(world.member.spent_total, 5000);
    assert_int_equal(world_balance(&world).active, 50);
    world_products(&world, "a:1");
    world_free(&world);
}

static void
an_unknown_member_comes_into_being(void **state)
{
    loyalty_order_event_t event;
    world_t world;

    (void)state;

    /* Its sign-up is the order's time, whichever event came first. */
    world_init(&world);
    event = world_event(&world, "x", "o1", 10000);
    event.placed_at = event.occurred_at;
    world_apply(&world, &event);
    assert_int_equal(world.member.version, 1);
    event = world_event(&world, "c", "o1", 10000);
    event.placed_at = T0 - DAY;
    world_apply(&world, &event);
    assert_int_equal(world.member.signed_up_at, T0 - DAY);
    assert_int_equal(world.member.last_order_at, LOYALTY_UNKNOWN);
    assert_false(world.member.registered);
    world_free(&world);

    world_init(&world);
    world.member.registered = true;
    world.member.signed_up_at = T0 + DAY;
    world_run(&world, "c", 10000);
    assert_int_equal(world.member.signed_up_at, T0 + DAY);
    assert_int_equal(world.member.last_order_at, T0);
    world_free(&world);
}

static void
a_guests_order_is_counted_and_left_alone(void **state)
{
    loyalty_order_event_t event;
    world_t world;

    (void)state;

    world_init(&world);
    event = world_event(&world, "p", "o1", 10000);
    event.member_id = loyalty_str("");
    assert_int_equal(loyalty_order_apply(&world.program, NULL, &world.order,
                                         &event, T0, &world.arena,
                                         &world.effects),
                     LOYALTY_OK);
    assert_int_equal(world.effects.outcome, LOYALTY_GUEST);
    assert_true(world.effects.order_changed);

    /* Who it was comes to be known later. */
    world_run(&world, "c", 10000);
    assert_int_equal(world_balance(&world).active, 100);

    /* An event that names nobody is the record's member's. */
    event = world_event(&world, "x", "o1", 10000);
    event.member_id = loyalty_str("");
    world_apply(&world, &event);
    assert_int_equal(world_balance(&world).active, 0);
    world_free(&world);
}

static void
an_inactive_site_records_totals_only(void **state)
{
    world_t world;

    (void)state;

    world_init(&world);
    world.program.settings.active = false;
    world_run(&world, "p c", 200000);
    assert_int_equal(world.member.spent_total, 200000);
    assert_int_equal(world.member.order_count, 1);
    assert_int_equal(world.member.points.entries, 0);
    assert_int_equal(world.member.tier.len, 0);

    world.program.settings.active = true;
    loyalty_member_evaluate(&world.member, &world.program, world.now,
                            &world.arena, &world.effects);
    assert_true(loyalty_str_eq(world.effects.tier_to, loyalty_str("bronze")));
    world_run(&world, "r1=150000", 200000);
    assert_int_equal(world.member.points.entries, 0);
    assert_int_equal(world.member.tier.len, 0);
    world_free(&world);
}

static void
deleted_members_earn_and_erased_do_not(void **state)
{
    world_t world;

    (void)state;

    world_init(&world);
    world.member.deleted_at = T0;
    world_run(&world, "c", 10000);
    assert_int_equal(world_balance(&world).active, 100);

    world.member.erased = true;
    world_run(&world, "x", 10000);
    assert_int_equal(world.effects.outcome, LOYALTY_GUEST);
    assert_int_equal(world_balance(&world).active, 100);
    world_free(&world);
}

static void
a_total_of_0_is_an_order(void **state)
{
    world_t world;

    (void)state;

    world_init(&world);
    world_run(&world, "p c", 0);
    assert_int_equal(world.member.order_count, 1);
    assert_int_equal(world.member.points.entries, 0);
    world_run(&world, "r1=0", 0);
    assert_int_equal(world.member.order_count, 1);
    assert_int_equal(world_run(&world, "r2=1", 0), LOYALTY_ERROR_REFUSED);
    world_run(&world, "r", 0);
    assert_int_equal(world.member.order_count, 0);
    world_free(&world);
}

static void
the_multiplier_is_that_of_the_status_before(void **state)
{
    loyalty_order_event_t event;
    world_t world;

    (void)state;

    /* 6 000.00 makes silver, at 1; then 100.00 at 1.5. */
    world_init(&world);
    world_run(&world, "c", 600000);
    assert_int_equal(world_balance(&world).active, 6000);
    assert_int_equal(world.effects.tier_from.len, 0);
    assert_true(loyalty_str_eq(world.effects.tier_to, loyalty_str("silver")));

    world.order = NULL;
    event = world_event(&world, "c", "o2", 10000);
    world_apply(&world, &event);
    assert_int_equal(world_balance(&world).active, 6150);

    /* Cancelled and done again, it does not count for itself. */
    world.order = NULL;
    event = world_event(&world, "c", "o3", 400000);
    world_apply(&world, &event);
    assert_true(loyalty_str_eq(world.member.tier, loyalty_str("gold")));
    event = world_event(&world, "c/2", "o3", 400000);
    world_apply(&world, &event);
    assert_int_equal(world_balance(&world).active, 6150 + 6000);
    world_free(&world);
}

static void
points_start_and_expire_by_the_settings(void **state)
{
    world_t world;

    (void)state;

    world_init(&world);
    world.program.settings.points_pending_days = 14;
    world.program.settings.points_expire_days = 365;
    world_run(&world, "p s c", 10000); /* c is the earlier of the two */
    assert_int_equal(world.member.points.lots[0].created_at, T0 + HOUR);
    assert_int_equal(world.member.points.lots[0].starts_at,
                     T0 + HOUR + 14 * DAY);
    assert_int_equal(world.member.points.lots[0].expires_at,
                     T0 + HOUR + 379 * DAY);
    assert_int_equal(world_balance(&world).pending, 100);
    assert_int_equal(world_balance(&world).life, 100);
    world_free(&world);
}

static void
points_paid_with_an_order_come_back_with_its_cancellation(void **state)
{
    loyalty_order_t *order;
    world_t world;

    (void)state;

    world_init(&world);
    world_run(&world, "c", 10000);
    order = NULL;

#define SPEND(id, amount)                                                      \
    loyalty_order_spend(&world.program, &world.member, &order,                 \
                        loyalty_str("o2"), loyalty_str(id), amount, world.now, \
                        &world.arena, &world.effects)

    assert_int_equal(SPEND("d1", 101), LOYALTY_ERROR_INSUFFICIENT);
    assert_null(order);
    assert_int_equal(SPEND("d1", 60), LOYALTY_OK);
    assert_int_equal(SPEND("d1", 60), LOYALTY_OK);
    assert_int_equal(world.effects.outcome, LOYALTY_DUPLICATE);
    assert_int_equal(SPEND("d1", 61), LOYALTY_ERROR_CONFLICT);
    assert_int_equal(world_balance(&world).active, 40);
    assert_int_equal(world_balance(&world).spent, 60);
    world.entries -= 60;

    world.order = order;
    assert_int_equal(world_run(&world, "", 0), LOYALTY_OK);
    {
        loyalty_order_event_t event = world_event(&world, "x", "o2", -1);

        world_apply(&world, &event);
        order = world.order;
    }
    assert_int_equal(world_balance(&world).active, 100);
    assert_int_equal(world_balance(&world).spent, 0);
    assert_int_equal(world.member.points.nlots, 1);
    assert_int_equal(SPEND("d2", 10), LOYALTY_ERROR_REFUSED);
    world_free(&world);
}

/* What the first attempt earned stays its own, so that two lots have the
 * order's id: what is pending must be told from what has started. */
static void
only_pending_leaves_what_an_attempt_before_earned(void **state)
{
    static const struct {
        const char *words;
        int64_t active, pending, life;
    } paths[] = {
        {"c x", 100, 0, 100},
        {"c x p/2", 100, 100, 100},
        {"c x p/2 c/2", 200, 0, 200},
        {"c x p/2 x/2", 100, 0, 100},
        {"c x p/2 p/3", 100, 100, 100},
        {"c x p/2 p/3 c/3", 200, 0, 200},
    };
    loyalty_balance_t balance;
    world_t world;
    size_t i;

    (void)state;

    for (i = 0; i < COUNT(paths); i++) {
        world_init(&world);
        world.program.settings.return_policy = LOYALTY_RETURN_ONLY_PENDING;
        assert_int_equal(world_run(&world, paths[i].words, 10000), LOYALTY_OK);
        balance = world_balance(&world);
        if (balance.active != paths[i].active
            || balance.pending != paths[i].pending
            || balance.life != paths[i].life) {
            fail_msg("\"%s\": active %lld, pending %lld, life %lld",
                     paths[i].words, (long long)balance.active,
                     (long long)balance.pending, (long long)balance.life);
        }
        world_free(&world);
    }
}

/* 200.00 while the site was not active, of which 75.00 came back: 200 points
 * less floor(200 * 75 / 200), under each policy. */
static void
what_was_returned_before_the_backfill_earns_nothing(void **state)
{
    static const loyalty_return_policy_t policies[] = {
        LOYALTY_RETURN_WITHIN_BALANCE, LOYALTY_RETURN_UNLIMITED,
        LOYALTY_RETURN_ONLY_PENDING};
    world_t world;
    size_t i;

    (void)state;

    for (i = 0; i < COUNT(policies); i++) {
        world_init(&world);
        world.program.settings.return_policy = policies[i];
        world.program.settings.active = false;
        world_run(&world, "c r1=7500", 20000);
        world.program.settings.active = true;

        assert_int_equal(
            loyalty_order_backfill(&world.program, &world.member, &world.order,
                                   world.now, &world.arena, &world.effects),
            LOYALTY_OK);
        assert_int_equal(world.effects.outcome, LOYALTY_APPLIED);
        world_count(&world);
        world_check(&world);
        world_store(&world);
        assert_int_equal(world_balance(&world).active, 125);
        assert_int_equal(world_balance(&world).life, 125);

        assert_int_equal(
            loyalty_order_backfill(&world.program, &world.member, &world.order,
                                   world.now, &world.arena, &world.effects),
            LOYALTY_OK);
        assert_int_equal(world.effects.outcome, LOYALTY_DUPLICATE);
        world_free(&world);
    }
}

static void
an_overflow_changes_nothing(void **state)
{
    loyalty_order_event_t event;
    loyalty_member_t before;
    world_t world;

    (void)state;

    world_init(&world);
    world_run(&world, "c", INT64_MAX - 1000);
    before = world.member;
    world.order = NULL;
    event = world_event(&world, "c", "o2", 2000);
    assert_int_equal(world_apply(&world, &event), LOYALTY_ERROR_OVERFLOW);
    assert_null(world.order);
    assert_int_equal(world.member.version, before.version);
    assert_int_equal(world.member.spent_total, before.spent_total);
    assert_int_equal(world.effects.points.n, 0);
    world_free(&world);
}

static void
records_keep_their_limits(void **state)
{
    loyalty_order_event_t event;
    char id[16];
    world_t world;
    int i;

    (void)state;

    world_init(&world);
    event = world_event(&world, "c", "o1", 1000000);
    world_apply(&world, &event);
    event = world_event(&world, "r1=1", "o1", 1000000);
    for (i = 0; i < LOYALTY_ORDER_REFUNDS_MAX + 1; i++) {
        snprintf(id, sizeof(id), "%d", i);
        event.refund.id = loyalty_str_from(id);
        assert_int_equal(loyalty_order_apply(&world.program, &world.member,
                                             &world.order, &event, world.now,
                                             &world.arena, &world.effects),
                         i < LOYALTY_ORDER_REFUNDS_MAX ? LOYALTY_OK
                                                       : LOYALTY_ERROR_LIMIT);
        world_store(&world);
    }
    world_free(&world);

    world_init(&world);
    for (i = 1; i <= LOYALTY_ORDER_ATTEMPTS_MAX + 1; i++) {
        event = world_event(&world, "p", "o1", 1000);
        event.attempt = i;
        assert_int_equal(world_apply(&world, &event),
                         i <= LOYALTY_ORDER_ATTEMPTS_MAX ? LOYALTY_OK
                                                         : LOYALTY_ERROR_LIMIT);
    }
    world_free(&world);
}

static void
bad_events_are_refused_whole(void **state)
{
    static const struct {
        int32_t attempt;
        loyalty_order_status_t status;
        int64_t total;
    } cases[] = {
        {0, LOYALTY_ORDER_COMPLETED, 1},    {1, 0, 1},
        {1, LOYALTY_ORDER_REFUNDED + 1, 1}, {1, LOYALTY_ORDER_COMPLETED, -1},
        {1, LOYALTY_ORDER_CANCELLED, -2},
    };
    loyalty_order_event_t event;
    world_t world;
    size_t i;

    (void)state;

    world_init(&world);
    for (i = 0; i < COUNT(cases); i++) {
        event = world_event(&world, "c", "o1", cases[i].total);
        event.attempt = cases[i].attempt;
        event.status = cases[i].status;
        assert_int_equal(world_apply(&world, &event), LOYALTY_ERROR_INVALID);
    }

    event = world_event(&world, "c", "o1", 1);
    event.member_id = loyalty_str("m2");
    assert_int_equal(world_apply(&world, &event), LOYALTY_ERROR_INVALID);
    assert_null(world.order);
    world_free(&world);
}

static loyalty_status_t
decode(loyalty_str_t bytes, loyalty_arena_t *arena)
{
    loyalty_order_t *order;

    return loyalty_order_decode(bytes, arena, &order);
}

static void
record_bytes_from_elsewhere_are_refused(void **state)
{
    static loyalty_order_line_t lines[] = {LINE("a", 2, 10000)};
    loyalty_order_event_t event;
    loyalty_str_t bytes;
    world_t world;

    (void)state;

    world_init(&world);
    event = world_event(&world, "c", "o1", 10000);
    event.lines = lines;
    event.nlines = 1;
    world_apply(&world, &event);
    world_run(&world, "r1=100 r2=200", 10000);
    assert_int_equal(loyalty_order_encode(world.order, &world.arena, &bytes),
                     LOYALTY_OK);

    world_refuse_changes(&world, bytes, decode);
    bytes.len = LOYALTY_ORDER_RECORD_MAX + 1;
    assert_int_equal(decode(bytes, &world.arena), LOYALTY_ERROR_LIMIT);
    world_free(&world);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_path_ends_where_it_should),
        cmocka_unit_test(the_same_key_with_other_content_is_refused),
        cmocka_unit_test(completed_and_shipped_may_not_contradict_each_other),
        cmocka_unit_test(outcomes_and_refusals_are_named),
        cmocka_unit_test(products_rise_and_fall_with_the_order),
        cmocka_unit_test(lines_may_come_with_the_second_event),
        cmocka_unit_test(a_refund_of_units_waits_for_the_lines),
        cmocka_unit_test(an_unknown_member_comes_into_being),
        cmocka_unit_test(a_guests_order_is_counted_and_left_alone),
        cmocka_unit_test(an_inactive_site_records_totals_only),
        cmocka_unit_test(deleted_members_earn_and_erased_do_not),
        cmocka_unit_test(a_total_of_0_is_an_order),
        cmocka_unit_test(the_multiplier_is_that_of_the_status_before),
        cmocka_unit_test(points_start_and_expire_by_the_settings),
        cmocka_unit_test(
            points_paid_with_an_order_come_back_with_its_cancellation),
        cmocka_unit_test(only_pending_leaves_what_an_attempt_before_earned),
        cmocka_unit_test(what_was_returned_before_the_backfill_earns_nothing),
        cmocka_unit_test(an_overflow_changes_nothing),
        cmocka_unit_test(records_keep_their_limits),
        cmocka_unit_test(bad_events_are_refused_whole),
        cmocka_unit_test(record_bytes_from_elsewhere_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
