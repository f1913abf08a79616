/*
 * core/loyalty_order_wallet.c: stamps, redemptions and their way back
 * (DOMAIN.md section 7).  Words of events as in world.h.
 */

#include "pricing.h"
#include "world.h"

static const char *const offers =
    "[{'id': 'card', 'type': 'punchcard', 'stamps_required': 3},"
    " {'id': 'mugs', 'type': 'punchcard', 'stamps_required': 4,"
    "  'stamp_per': 'unit', 'scope': {'kind': 'products',"
    "  'values': ['mug']}},"
    " {'id': 'club', 'type': 'clubcard'}, {'id': 'ten', 'type': 'reward'},"
    " {'id': 'more', 'type': 'reward', 'reward_points': 10},"
    " {'id': 'less', 'type': 'reward', 'reward_points': 4}]";

typedef struct {
    world_t world;
    loyalty_program_t *program;
    loyalty_entitlement_t wallet[5];
} shop_t;

static void
open_shop(shop_t *shop)
{
    json_t *json = json_of(offers);
    size_t i;

    world_init(&shop->world);
    shop->program = site_with("GBP", json);
    json_decref(json);
    shop->world.program = *shop->program;
    shop->world.program.settings.active = true;

    memset(shop->wallet, 0, sizeof(shop->wallet));
    shop->wallet[0].offer = loyalty_str("card");
    shop->wallet[1].offer = loyalty_str("mugs");
    shop->wallet[2].offer = loyalty_str("club");
    shop->wallet[3].offer = loyalty_str("ten");
    shop->wallet[4].offer = loyalty_str("gone");
    for (i = 0; i < COUNT(shop->wallet); i++) {
        shop->wallet[i].id = shop->wallet[i].offer;
        shop->wallet[i].state = LOYALTY_ENTITLEMENT_APPLIED;
        shop->wallet[i].acquired_at = T0;
        shop->wallet[i].expires_at = LOYALTY_NEVER;
        shop->wallet[i].held_until = LOYALTY_UNKNOWN;
    }
    shop->world.member.entitlements = shop->wallet;
    shop->world.member.nentitlements = COUNT(shop->wallet);
}

static void
close_shop(shop_t *shop)
{
    loyalty_program_free(shop->program);
    world_free(&shop->world);
}

static const loyalty_entitlement_t *
entry(const shop_t *shop, size_t i)
{
    return &shop->world.member.entitlements[i];
}

#define CARD 0
#define MUGS 1
#define CLUB 2
#define TEN 3
#define GONE 4

static void
assert_card(const shop_t *shop, size_t i, int stamps, int uses)
{
    assert_int_equal(entry(shop, i)->stamps, stamps);
    assert_int_equal(entry(shop, i)->uses, uses);
}

/* Applies one word to an order with mugs and a pot, the record beside it. */
static loyalty_status_t
apply(shop_t *shop, loyalty_order_t **order, const char *id, const char *word,
      int64_t mugs, loyalty_str_t *redemptions, size_t nredemptions)
{
    loyalty_order_line_t lines[] = {LINE("pot", 1, 500),
                                    LINE("mug", mugs, 500)};
    loyalty_order_event_t event = world_event(&shop->world, word, id, 1000);
    loyalty_status_t rc;

    if (event.status <= LOYALTY_ORDER_SHIPPED) {
        event.nlines = mugs > 0 ? 2 : 1;
        event.lines = loyalty_alloc(&shop->world.arena, sizeof(lines));
        memcpy(event.lines, lines, sizeof(lines));
        event.redemptions = redemptions;
        event.nredemptions = nredemptions;
    } else {
        event.total = -1;
    }

    shop->world.order = *order;
    rc = world_apply(&shop->world, &event);
    *order = shop->world.order;
    return rc;
}

static void
order_completes(shop_t *shop, loyalty_order_t **order, const char *id,
                int64_t mugs)
{
    *order = NULL;
    assert_int_equal(apply(shop, order, id, "c", mugs, NULL, 0), LOYALTY_OK);
}

static void
stamps_fill_a_card_and_surplus_carries_on(void **state)
{
    loyalty_order_t *order;
    shop_t shop;

    (void)state;
    open_shop(&shop);

    order_completes(&shop, &order, "a", 0);
    assert_card(&shop, CARD, 1, 0);
    assert_card(&shop, MUGS, 0, 0);

    /* Shipped after completed is the same moment. */
    assert_int_equal(apply(&shop, &order, "a", "s", 0, NULL, 0), LOYALTY_OK);
    assert_card(&shop, CARD, 1, 0);

    order_completes(&shop, &order, "b", 9);
    assert_card(&shop, CARD, 2, 0);
    assert_card(&shop, MUGS, 1, 2);

    order_completes(&shop, &order, "c", 3);
    assert_card(&shop, CARD, 0, 1);
    assert_card(&shop, MUGS, 0, 3);
    close_shop(&shop);
}

static void
cancelling_takes_stamps_back(void **state)
{
    loyalty_order_t *first, *second;
    shop_t shop;

    (void)state;
    open_shop(&shop);
    order_completes(&shop, &first, "a", 6);
    order_completes(&shop, &second, "b", 3);
    assert_card(&shop, MUGS, 1, 2);

    /* From 2 uses and 1 stamp, 9 in all, 6 go. */
    assert_int_equal(apply(&shop, &first, "a", "x", 0, NULL, 0), LOYALTY_OK);
    assert_card(&shop, MUGS, 3, 0);
    assert_card(&shop, CARD, 1, 0);

    /* Once. */
    assert_int_equal(apply(&shop, &first, "a", "x", 0, NULL, 0), LOYALTY_OK);
    assert_card(&shop, MUGS, 3, 0);
    close_shop(&shop);
}

static void
a_use_that_is_gone_is_owed(void **state)
{
    loyalty_str_t mugs[] = {loyalty_str("mugs")};
    loyalty_order_t *first, *second = NULL, *third;
    shop_t shop;

    (void)state;
    open_shop(&shop);
    order_completes(&shop, &first, "a", 5);
    assert_card(&shop, MUGS, 1, 1);

    assert_int_equal(apply(&shop, &second, "b", "c", 0, mugs, 1), LOYALTY_OK);
    assert_card(&shop, MUGS, 1, 0);

    assert_int_equal(apply(&shop, &first, "a", "x", 0, NULL, 0), LOYALTY_OK);
    assert_card(&shop, MUGS, -4, 0);

    order_completes(&shop, &third, "c", 5);
    assert_card(&shop, MUGS, 1, 0);

    /* The redemption is cancelled: the use is there again. */
    assert_int_equal(apply(&shop, &second, "b", "x", 0, NULL, 0), LOYALTY_OK);
    assert_card(&shop, MUGS, 1, 1);
    close_shop(&shop);
}

static void
returned_in_part_keeps_the_stamp_returned_whole_loses_it(void **state)
{
    loyalty_str_t ten[] = {loyalty_str("ten")};
    loyalty_order_t *order = NULL;
    shop_t shop;

    (void)state;
    open_shop(&shop);
    assert_int_equal(apply(&shop, &order, "a", "c", 1, ten, 1), LOYALTY_OK);
    assert_card(&shop, CARD, 1, 0);

    assert_int_equal(apply(&shop, &order, "a", "r1=400", 0, NULL, 0),
                     LOYALTY_OK);
    assert_card(&shop, CARD, 1, 0);
    assert_int_equal(apply(&shop, &order, "a", "r2=600", 0, NULL, 0),
                     LOYALTY_OK);
    assert_card(&shop, CARD, 0, 0);
    assert_card(&shop, MUGS, 0, 0);
    assert_int_equal(entry(&shop, TEN)->state, LOYALTY_ENTITLEMENT_REDEEMED);

    assert_int_equal(apply(&shop, &order, "a", "x", 0, NULL, 0), LOYALTY_OK);
    assert_int_equal(entry(&shop, TEN)->state, LOYALTY_ENTITLEMENT_APPLIED);
    assert_card(&shop, CARD, 0, 0);
    close_shop(&shop);
}

static void
an_order_redeems_what_it_names(void **state)
{
    loyalty_str_t named[] = {loyalty_str("ten"), loyalty_str("club"),
                             loyalty_str("card"), loyalty_str("gone"),
                             loyalty_str("unknown")};
    loyalty_order_t *first = NULL, *second = NULL;
    shop_t shop;

    (void)state;
    open_shop(&shop);
    shop.wallet[TEN].held_by = loyalty_str("checkout");
    shop.wallet[TEN].held_until = T0 + DAY;

    /* Placed redeems nothing yet. */
    assert_int_equal(apply(&shop, &first, "a", "p", 0, named, 5), LOYALTY_OK);
    assert_int_equal(entry(&shop, TEN)->state, LOYALTY_ENTITLEMENT_APPLIED);

    assert_int_equal(apply(&shop, &first, "a", "c", 0, named, 5), LOYALTY_OK);
    assert_int_equal(entry(&shop, TEN)->state, LOYALTY_ENTITLEMENT_REDEEMED);
    assert_int_equal(entry(&shop, TEN)->held_by.len, 0);
    assert_int_equal(entry(&shop, GONE)->state, LOYALTY_ENTITLEMENT_REDEEMED);
    assert_int_equal(entry(&shop, CLUB)->state, LOYALTY_ENTITLEMENT_APPLIED);
    assert_card(&shop, CARD, 1, 0); /* it was not full */

    /* Another order that names it changes nothing, nor does its undoing. */
    assert_int_equal(apply(&shop, &second, "b", "c", 0, named, 5), LOYALTY_OK);
    assert_int_equal(apply(&shop, &second, "b", "x", 0, NULL, 0), LOYALTY_OK);
    assert_int_equal(entry(&shop, TEN)->state, LOYALTY_ENTITLEMENT_REDEEMED);

    assert_int_equal(apply(&shop, &first, "a", "x", 0, NULL, 0), LOYALTY_OK);
    assert_int_equal(entry(&shop, TEN)->state, LOYALTY_ENTITLEMENT_APPLIED);
    assert_int_equal(entry(&shop, GONE)->state, LOYALTY_ENTITLEMENT_APPLIED);
    assert_card(&shop, CARD, 0, 0);
    close_shop(&shop);
}

/* 10 points of 10.00, and the 4 of what shipped says it redeems, whatever came
 * first; of 14 points half are left when half has come back. */
static void
rewards_are_those_of_what_counts_in_the_end(void **state)
{
    static const struct {
        const char *words[4];
        int64_t active;
    } paths[] = {
        {{"p", "c", "s"}, 14},
        {{"p", "s", "c"}, 14},
        {{"c", "p", "s"}, 14},
        {{"c", "s", "p"}, 14},
        {{"s", "p", "c"}, 14},
        {{"s", "c", "p"}, 14},
        {{"p", "c", "r1=500", "s"}, 7},
        {{"p", "c", "s", "r1=500"}, 7},
        {{"r1=500", "c", "p", "s"}, 7},
        {{"p", "c", "s", "x"}, 0},
    };
    loyalty_str_t more = loyalty_str("more"), less = loyalty_str("less");
    loyalty_order_t *order;
    const char *word;
    shop_t shop;
    size_t i, k;

    (void)state;

    for (i = 0; i < COUNT(paths); i++) {
        open_shop(&shop);
        shop.world.program.settings.earn_rate = 10000;
        shop.wallet[TEN].id = shop.wallet[TEN].offer = more;
        shop.wallet[GONE].id = shop.wallet[GONE].offer = less;
        order = NULL;

        for (k = 0; k < COUNT(paths[i].words); k++) {
            word = paths[i].words[k];
            if (word != NULL) {
                assert_int_equal(
                    apply(&shop, &order, "a", word, 0,
                          *word == 'p' ? &more : &less,
                          *word == 'p' || *word == 's'),
                    LOYALTY_OK);
            }
        }

        shop.world.now = T0 + DAY;
        assert_int_equal(world_balance(&shop.world).active, paths[i].active);
        assert_int_equal(world_balance(&shop.world).life, paths[i].active);
        assert_int_equal(entry(&shop, TEN)->state,
                         LOYALTY_ENTITLEMENT_APPLIED);
        assert_int_equal(entry(&shop, GONE)->state,
                         paths[i].active == 0 ? LOYALTY_ENTITLEMENT_APPLIED
                                              : LOYALTY_ENTITLEMENT_REDEEMED);
        close_shop(&shop);
    }
}

/* What was never given is not taken. */
static void
no_reward_is_taken_that_the_inactive_site_did_not_give(void **state)
{
    loyalty_str_t more = loyalty_str("more"), less = loyalty_str("less");
    loyalty_order_t *order = NULL;
    shop_t shop;

    (void)state;
    open_shop(&shop);
    shop.world.program.settings.earn_rate = 10000;
    shop.wallet[TEN].id = shop.wallet[TEN].offer = more;
    shop.wallet[GONE].id = shop.wallet[GONE].offer = less;

    shop.world.program.settings.active = false;
    assert_int_equal(apply(&shop, &order, "a", "p", 0, &more, 1), LOYALTY_OK);
    assert_int_equal(apply(&shop, &order, "a", "c", 0, NULL, 0), LOYALTY_OK);
    shop.world.program.settings.active = true;
    assert_int_equal(apply(&shop, &order, "a", "s", 0, &less, 1), LOYALTY_OK);

    assert_int_equal(order->attempts[0].points, 0);
    assert_int_equal(shop.world.member.points.entries, 0);
    close_shop(&shop);
}

static void
no_stamp_before_after_or_without_the_site(void **state)
{
    loyalty_order_t *order;
    shop_t shop;

    (void)state;
    open_shop(&shop);
    shop.wallet[CARD].expires_at = T0 + HOUR; /* when it completes */
    shop.wallet[MUGS].acquired_at = T0 + HOUR + 1;
    order_completes(&shop, &order, "a", 2);
    assert_card(&shop, CARD, 0, 0);
    assert_card(&shop, MUGS, 0, 0);
    close_shop(&shop);

    open_shop(&shop);
    shop.world.program.settings.active = false;
    order_completes(&shop, &order, "a", 2);
    assert_card(&shop, CARD, 0, 0);
    assert_card(&shop, MUGS, 0, 0);
    close_shop(&shop);

    /* The card is taken away before the order is cancelled. */
    open_shop(&shop);
    order_completes(&shop, &order, "a", 2);
    shop.world.member.nentitlements = 0;
    assert_int_equal(apply(&shop, &order, "a", "x", 0, NULL, 0), LOYALTY_OK);
    close_shop(&shop);
}

/* A card for all of "home": below it, by the site's mapping, and not beside
 * it. */
static void
a_category_covers_all_below_it(void **state)
{
    static const struct {
        const char *category;
        int stamps;
    } cases[] = {
        {"home", 1}, {"home/lighting/lamps", 1}, {"homes", 0}, {"", 0},
        {"garden/home", 0},
    };
    json_t *json = json_of(
        "[{'id': 'card', 'type': 'punchcard', 'stamps_required': 3,"
        " 'scope': {'kind': 'categories', 'values': ['toys', 'home']}}]");
    loyalty_order_line_t line = LINE("pot", 1, 1000);
    loyalty_order_event_t event;
    shop_t shop;
    size_t i;

    (void)state;

    for (i = 0; i < COUNT(cases); i++) {
        open_shop(&shop);
        loyalty_program_free(shop.program);
        shop.program = site_with("GBP", json);
        shop.world.program = *shop.program;
        shop.world.program.settings.active = true;

        event = world_event(&shop.world, "c", "o1", 1000);
        line.category = loyalty_str_from(cases[i].category);
        event.lines = &line;
        event.nlines = 1;
        assert_int_equal(world_apply(&shop.world, &event), LOYALTY_OK);
        if (entry(&shop, CARD)->stamps != cases[i].stamps) {
            fail_msg("\"%s\": %d", cases[i].category,
                     entry(&shop, CARD)->stamps);
        }
        close_shop(&shop);
    }
    json_decref(json);
}

static void
more_units_than_a_card_counts(void **state)
{
    loyalty_order_t *order = NULL;
    shop_t shop;

    (void)state;
    open_shop(&shop);
    assert_int_equal(apply(&shop, &order, "a", "c", INT64_C(1) << 33, NULL, 0),
                     LOYALTY_ERROR_OVERFLOW);
    assert_null(order);
    assert_card(&shop, MUGS, 0, 0);
    assert_int_equal(shop.world.member.version, 0);
    close_shop(&shop);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stamps_fill_a_card_and_surplus_carries_on),
        cmocka_unit_test(cancelling_takes_stamps_back),
        cmocka_unit_test(a_use_that_is_gone_is_owed),
        cmocka_unit_test(
            returned_in_part_keeps_the_stamp_returned_whole_loses_it),
        cmocka_unit_test(an_order_redeems_what_it_names),
        cmocka_unit_test(rewards_are_those_of_what_counts_in_the_end),
        cmocka_unit_test(
            no_reward_is_taken_that_the_inactive_site_did_not_give),
        cmocka_unit_test(no_stamp_before_after_or_without_the_site),
        cmocka_unit_test(a_category_covers_all_below_it),
        cmocka_unit_test(more_units_than_a_card_counts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
