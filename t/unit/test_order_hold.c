/*
 * core/loyalty_order_hold.c and core/loyalty_hold.c: what an order has by the
 * holds it names, when they are in force, over, released or another's
 * (DOMAIN.md section 7).  Orders are of 20.00; figures by hand.
 */

#include "checkout.h"

static const loyalty_code_t *
code_of(const site_t *site)
{
    assert_int_equal(site->world.effects.ncodes, 1);
    return &site->world.effects.codes[0];
}

static loyalty_entitlement_t *
entry(site_t *site, const char *id)
{
    return loyalty_wallet_find(&site->world.member, loyalty_str_from(id));
}

/* The reward "mug", given and applied. */
static void
give_mug(site_t *site, const char *id)
{
    loyalty_effects_t effects;

    assert_int_equal(get(site, &site->world.member, "mug", id, false),
                     LOYALTY_OK);
    assert_int_equal(
        loyalty_wallet_change(&site->world.member, &site->world.program,
                              LOYALTY_WALLET_APPLY, loyalty_str_from(id),
                              NIGHT, &site->world.arena, &effects),
        LOYALTY_OK);
}

/* A checkout that holds an applied mug, "m". */
static void
open_with_mug(site_t *site, loyalty_hold_t *hold)
{
    loyalty_quote_t quote;

    open_site(site);
    give_mug(site, "m");
    assert_int_equal(
        check_out(site, &site->world.member, hold, "h", 2000, 0, &quote),
        LOYALTY_OK);
}

/* A code of the index goes from the hold to the order and back. */
static void
a_code_goes_with_its_hold(void **state)
{
    loyalty_order_t *order = NULL;
    loyalty_quote_t quote;
    loyalty_hold_t hold;
    site_t site;

    (void)state;
    open_site(&site);

    assert_int_equal(check_out_with(&site, &site.world.member, &hold, "h", 2000,
                                    0, "MUG-1", "mug", &quote),
                     LOYALTY_OK);
    /* 20.00 - 2.00 - 0.72 - 5.00 */
    assert_int_equal(quote.total, 1228);
    assert_true(loyalty_str_eq(code_of(&site)->code, loyalty_str("MUG-1")));
    assert_true(loyalty_str_eq(code_of(&site)->hold, loyalty_str("h")));
    assert_int_equal(code_of(&site)->order.len, 0);
    assert_int_equal(used(&site, "mug"), 1);

    assert_int_equal(say(&site, &order, "o1", "p", &hold), LOYALTY_OK);
    assert_true(loyalty_str_eq(code_of(&site)->order, loyalty_str("o1")));

    assert_int_equal(say(&site, &order, "o1", "x", &hold), LOYALTY_OK);
    assert_int_equal(code_of(&site)->hold.len, 0);
    assert_int_equal(code_of(&site)->order.len, 0);
    assert_int_equal(used(&site, "mug"), 0);

    /* Given back it may be anybody's: no order has it by the old hold. */
    order = NULL;
    hold.state = LOYALTY_HOLD_RELEASED;
    assert_int_equal(say(&site, &order, "o2", "c", &hold), LOYALTY_OK);
    assert_int_equal(site.world.effects.ncodes, 0);
    assert_int_equal(used(&site, "mug"), 0);
    assert_int_equal(used(&site, "three"), 1);
    close_site(&site);
}

static void
a_released_code_is_free(void **state)
{
    loyalty_quote_t quote;
    loyalty_hold_t hold;
    site_t site;

    (void)state;
    open_site(&site);
    check_out_with(&site, NULL, &hold, "h", 2000, 0, "MUG-1", "mug", &quote);
    assert_int_equal(used(&site, "mug"), 1);
    assert_int_equal(release(&site, NULL, &hold), LOYALTY_OK);
    assert_int_equal(code_of(&site)->hold.len, 0);
    assert_int_equal(used(&site, "mug"), 0);
    assert_int_equal(used(&site, "three"), 0);
    close_site(&site);
}

static void
a_hold_is_renewed_with_its_entries(void **state)
{
    loyalty_effects_t effects;
    loyalty_member_t *member;
    loyalty_quote_t quote;
    loyalty_hold_t hold;
    site_t site;

    (void)state;
    open_site(&site);
    member = &site.world.member;
    give_mug(&site, "m");
    check_out(&site, member, &hold, "h", 2000, 0, &quote);
    assert_int_equal(entry(&site, "m")->held_until, NIGHT + HOUR);

    assert_int_equal(loyalty_hold_renew(&hold, member, NIGHT + DAY,
                                        &site.world.arena, &effects),
                     LOYALTY_OK);
    assert_int_equal(hold.expires_at, NIGHT + DAY);
    assert_int_equal(entry(&site, "m")->held_until, NIGHT + DAY);
    assert_true(effects.member_changed);

    /* A guest's has no entries. */
    assert_int_equal(loyalty_hold_renew(&hold, NULL, NIGHT + 2 * DAY,
                                        &site.world.arena, &effects),
                     LOYALTY_OK);
    assert_int_equal(hold.expires_at, NIGHT + 2 * DAY);
    assert_false(effects.member_changed);
    close_site(&site);
}

/* Placed names one hold, completed another: the first is given back. */
static void
what_is_named_no_more_goes_back(void **state)
{
    loyalty_hold_t first, second;
    loyalty_order_t *order = NULL;
    loyalty_member_t *member;
    loyalty_quote_t quote;
    site_t site;

    (void)state;
    open_site(&site);
    member = &site.world.member;
    give_mug(&site, "m");
    check_out(&site, member, &first, "h1", 2000, 0, &quote);
    assert_int_equal(used(&site, "mug"), 1);
    check_out(&site, member, &second, "h2", 2000, 0, &quote);

    assert_int_equal(say(&site, &order, "o1", "p", &first), LOYALTY_OK);
    assert_true(loyalty_str_eq(entry(&site, "m")->held_by, loyalty_str("h1")));
    assert_int_equal(say(&site, &order, "o1", "c", &second), LOYALTY_OK);
    assert_int_equal(entry(&site, "m")->held_by.len, 0);
    assert_int_equal(entry(&site, "m")->state, LOYALTY_ENTITLEMENT_APPLIED);
    assert_int_equal(used(&site, "mug"), 0);
    close_site(&site);
}

/* After its time the entry went to another checkout: that one's it is. */
static void
an_entry_that_another_has_meanwhile_is_lost(void **state)
{
    loyalty_order_t *order = NULL;
    loyalty_hold_t hold;
    site_t site;

    (void)state;
    open_with_mug(&site, &hold);
    entry(&site, "m")->held_by = loyalty_str("other");
    entry(&site, "m")->held_until = LOYALTY_NEVER;

    assert_int_equal(say(&site, &order, "o1", "c", &hold), LOYALTY_OK);
    assert_int_equal(entry(&site, "m")->state, LOYALTY_ENTITLEMENT_APPLIED);
    assert_true(loyalty_str_eq(entry(&site, "m")->held_by,
                               loyalty_str("other")));
    assert_int_equal(used(&site, "mug"), 0);
    close_site(&site);
}

/* Used up by hand between placed and completed: the use is given back. */
static void
an_entry_that_is_used_up_meanwhile_is_lost(void **state)
{
    loyalty_order_t *order = NULL;
    loyalty_hold_t hold;
    site_t site;

    (void)state;
    open_with_mug(&site, &hold);
    assert_int_equal(say(&site, &order, "o1", "p", &hold), LOYALTY_OK);
    entry(&site, "m")->state = LOYALTY_ENTITLEMENT_REDEEMED;

    assert_int_equal(say(&site, &order, "o1", "c", &hold), LOYALTY_OK);
    assert_int_equal(used(&site, "mug"), 0);
    assert_int_equal(used(&site, "three"), 1);
    close_site(&site);
}

/* Released, and ordered after all: what is still free. */
static void
a_released_hold_has_what_is_still_free(void **state)
{
    static const struct {
        const char *says;
        int64_t total, spent, ready; /* used since */
        bool taken;                  /* the mug, by somebody */
        int64_t three, mug;          /* uses that the order adds */
    } cases[] = {
        {"all of it", 0, 0, 0, false, 1, 1},
        {"the third of three was the last", 3, 0, 0, false, 0, 1},
        {"no 0.72 are left of 10.00", 0, 929, 0, false, 1, 1},
        {"the mug is in another checkout", 0, 0, 0, true, 1, 0},
    };
    loyalty_order_t *order;
    loyalty_hold_t hold;
    site_t site;
    size_t i;

    (void)state;

    for (i = 0; i < COUNT(cases); i++) {
        open_with_mug(&site, &hold);
        order = NULL;
        release(&site, &site.world.member, &hold);
        assert_int_equal(hold.state, LOYALTY_HOLD_RELEASED);

        site.usage[0] = (loyalty_usage_t){.offer = loyalty_str("three"),
                                          .total = cases[i].total};
        site.usage[1] = (loyalty_usage_t){.offer = loyalty_str("purse"),
                                          .spent = cases[i].spent};
        site.nusage = 2;
        if (cases[i].taken) {
            entry(&site, "m")->held_by = loyalty_str("other");
            entry(&site, "m")->held_until = LOYALTY_NEVER;
        }

        assert_int_equal(say(&site, &order, "o1", "c", &hold), LOYALTY_OK);
        if (used(&site, "three") != cases[i].total + cases[i].three
            || used(&site, "mug") != cases[i].mug
            || site.usage[1].spent
                   != cases[i].spent + (cases[i].spent == 0 ? 72 : 0)) {
            fail_msg("%s", cases[i].says);
        }
        assert_int_equal(entry(&site, "m")->state,
                         cases[i].mug != 0 ? LOYALTY_ENTITLEMENT_REDEEMED
                                           : LOYALTY_ENTITLEMENT_APPLIED);
        close_site(&site);
    }
}

/* A webhook that wants to know is told of each use once. */
static void
redemptions_are_told_once(void **state)
{
    loyalty_order_t *order = NULL;
    loyalty_member_t *member;
    loyalty_effects_t *effects;
    loyalty_quote_t quote;
    loyalty_hold_t hold;
    site_t site;

    (void)state;
    open_site(&site);
    member = &site.world.member;
    effects = &site.world.effects;
    site.world.program.settings.events = LOYALTY_EVENT_OFFER_REDEEMED;
    give_mug(&site, "m");
    check_out(&site, member, &hold, "h", 2000, 0, &quote);

    say(&site, &order, "o1", "p", &hold);
    assert_int_equal(effects->nredeemed, 0);
    say(&site, &order, "o1", "c", &hold);
    assert_int_equal(effects->nredeemed, 4); /* three, purse, bonus, mug */
    assert_true(loyalty_str_eq(effects->redeemed[3].order, loyalty_str("o1")));
    say(&site, &order, "o1", "s", &hold);
    assert_int_equal(effects->nredeemed, 0);
    close_site(&site);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_code_goes_with_its_hold),
        cmocka_unit_test(a_released_code_is_free),
        cmocka_unit_test(a_hold_is_renewed_with_its_entries),
        cmocka_unit_test(what_is_named_no_more_goes_back),
        cmocka_unit_test(an_entry_that_another_has_meanwhile_is_lost),
        cmocka_unit_test(an_entry_that_is_used_up_meanwhile_is_lost),
        cmocka_unit_test(a_released_hold_has_what_is_still_free),
        cmocka_unit_test(redemptions_are_told_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
