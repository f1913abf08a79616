/*
 * core/loyalty_wallet.c, core/loyalty_hold.c: buying, giving, applying, and
 * checkouts that hold (DOMAIN.md section 7, "Buying, applying, redeeming").
 *
 * The figures are worked out by hand beside the tables.
 */

#include "checkout.h"

static void
buying_takes_points_and_gives_an_entry(void **state)
{
    loyalty_member_t *member;
    site_t site;

    (void)state;
    open_site(&site);
    member = &site.world.member;
    grant(&site, member, 250, false);

    assert_int_equal(get(&site, member, "mug", "e1", true), LOYALTY_OK);
    assert_int_equal(site.world.effects.points.n, 1);
    assert_int_equal(site.world.effects.points.list[0].amount, -100);
    assert_int_equal(balance(&member->points), 150);
    assert_int_equal(member->nentitlements, 1);
    assert_int_equal(used(&site, "mug"), 1);

    /* The same again is the same, not another. */
    assert_int_equal(get(&site, member, "mug", "e1", true), LOYALTY_OK);
    assert_int_equal(site.world.effects.outcome, LOYALTY_DUPLICATE);
    assert_int_equal(get(&site, member, "once", "e1", true),
                     LOYALTY_ERROR_CONFLICT);
    assert_int_equal(balance(&member->points), 150);

    /* 150 - 100 = 50 does not pay another; and two are all there are. */
    assert_int_equal(get(&site, member, "mug", "e2", true), LOYALTY_OK);
    assert_int_equal(get(&site, member, "mug", "e3", true),
                     LOYALTY_ERROR_REFUSED);
    assert_string_equal(site.world.effects.refusal, "limit_total");
    site.nusage = 0;
    assert_int_equal(get(&site, member, "mug", "e3", true),
                     LOYALTY_ERROR_INSUFFICIENT);
    assert_string_equal(site.world.effects.refusal, "insufficient_points");
    assert_int_equal(balance(&member->points), 50);
    assert_int_equal(member->nentitlements, 2);
    world_store(&site.world);
    assert_true(member->entitlements[1].bought);
    close_site(&site);
}

static void
what_cannot_be_bought_says_why(void **state)
{
    static const struct {
        const char *offer;
        bool buy;
        const char *refusal; /* NULL: it can */
    } cases[] = {
        {"none", true, "not_found"},    {"late", true, "not_started"},
        {"over", true, "expired"},      {"draft", true, "not_published"},
        {"gold", true, "status"},       {"card", true, "not_for_sale"},
        {"vips", true, "segment"},      {"team", true, "group"},
        {"three", true, "not_for_sale"}, {"three", false, "not_for_sale"},
        {"over", false, "expired"},     {"none", false, "not_found"},
        {"late", false, NULL},          {"draft", false, NULL},
        {"gold", false, NULL},          {"card", false, NULL},
        {"card", false, "already_owned"},
        {"once", true, NULL},           {"once", true, "limit_per_member"},
    };
    char ids[COUNT(cases)][8];
    site_t site;
    size_t i;

    (void)state;
    open_site(&site);
    grant(&site, &site.world.member, 1000, false);

    for (i = 0; i < COUNT(cases); i++) {
        snprintf(ids[i], sizeof(ids[i]), "e%zu", i);
        get(&site, &site.world.member, cases[i].offer, ids[i], cases[i].buy);
        if (cases[i].refusal == NULL) {
            if (site.world.effects.refusal != NULL) {
                fail_msg("%s: %s", cases[i].offer,
                         site.world.effects.refusal);
            }
        } else {
            if (site.world.effects.refusal == NULL) {
                fail_msg("%s: not refused", cases[i].offer);
            }
            assert_string_equal(site.world.effects.refusal, cases[i].refusal);
        }
    }

    site.world.member.erased = true;
    assert_int_equal(get(&site, &site.world.member, "mug", "z", false),
                     LOYALTY_ERROR_REFUSED);
    assert_string_equal(site.world.effects.refusal, "member_erased");
    close_site(&site);
}

static void
a_full_wallet_forgets_what_is_over(void **state)
{
    loyalty_member_t *member;
    char ids[LOYALTY_ENTITLEMENTS_MAX][8];
    site_t site;
    size_t i;

    (void)state;
    open_site(&site);
    member = &site.world.member;

    for (i = 0; i < LOYALTY_ENTITLEMENTS_MAX; i++) {
        snprintf(ids[i], sizeof(ids[i]), "e%zu", i);
        assert_int_equal(get(&site, member, "once", ids[i], false),
                         LOYALTY_OK);
    }

    assert_int_equal(get(&site, member, "once", "more", false),
                     LOYALTY_ERROR_REFUSED);
    assert_string_equal(site.world.effects.refusal, "wallet_full");

    member->entitlements[500].state = LOYALTY_ENTITLEMENT_REDEEMED;
    assert_int_equal(get(&site, member, "once", "more", false), LOYALTY_OK);
    assert_int_equal(member->nentitlements, LOYALTY_ENTITLEMENTS_MAX);
    assert_null(loyalty_wallet_find(member, loyalty_str("e500")));

    /* The use it was goes on counting. */
    assert_int_equal(
        loyalty_wallet_member_uses(member, loyalty_str("once"), NIGHT), 1);
    world_store(&site.world);
    close_site(&site);
}

static void
applied_put_back_and_taken_away(void **state)
{
    static const struct {
        const char *entry;
        loyalty_wallet_action_t action;
        const char *outcome; /* "", "same", or the refusal */
    } cases[] = {
        {"mug", LOYALTY_WALLET_APPLY, ""},
        {"mug", LOYALTY_WALLET_APPLY, "same"},
        {"mug", LOYALTY_WALLET_UNAPPLY, ""},
        {"mug", LOYALTY_WALLET_UNAPPLY, "same"},
        {"card", LOYALTY_WALLET_APPLY, "automatic"},
        {"none", LOYALTY_WALLET_APPLY, "not_found"},
        {"used", LOYALTY_WALLET_APPLY, "already_redeemed"},
        {"held", LOYALTY_WALLET_UNAPPLY, "held_elsewhere"},
        {"held", LOYALTY_WALLET_REMOVE, "held_elsewhere"},
        {"old", LOYALTY_WALLET_APPLY, "expired"},
        {"old", LOYALTY_WALLET_REMOVE, ""},
        {"mug", LOYALTY_WALLET_REMOVE, ""},
        {"mug", LOYALTY_WALLET_REMOVE, "not_found"},
    };
    loyalty_effects_t effects;
    loyalty_member_t *member;
    site_t site;
    size_t i;

    (void)state;
    open_site(&site);
    member = &site.world.member;
    grant(&site, member, 1000, false);
    get(&site, member, "mug", "mug", true);
    get(&site, member, "card", "card", false);
    get(&site, member, "gold", "used", false);
    get(&site, member, "gold", "held", false);
    get(&site, member, "gold", "old", false);
    loyalty_wallet_find(member, loyalty_str("used"))->state =
        LOYALTY_ENTITLEMENT_REDEEMED;
    loyalty_wallet_find(member, loyalty_str("held"))->held_by =
        loyalty_str("h");
    loyalty_wallet_find(member, loyalty_str("held"))->held_until = NIGHT + 1;
    loyalty_wallet_find(member, loyalty_str("old"))->expires_at = NIGHT;

    for (i = 0; i < COUNT(cases); i++) {
        loyalty_wallet_change(member, &site.world.program, cases[i].action,
                              loyalty_str_from(cases[i].entry), NIGHT,
                              &site.world.arena, &effects);
        count(&site, &effects);
        assert_string_equal(effects.refusal != NULL ? effects.refusal
                            : effects.outcome == LOYALTY_DUPLICATE ? "same"
                                                                   : "",
                            cases[i].outcome);
    }

    /* Sold and taken away again unused: there are two to sell again. */
    assert_int_equal(used(&site, "mug"), 0);
    close_site(&site);
}

static void
a_coupons_own_code_comes_and_goes_with_it(void **state)
{
    loyalty_acquisition_t acquired = {.id = loyalty_str("e1"),
                                      .offer = loyalty_str("team"),
                                      .code = loyalty_str("TEAM-1"),
                                      .expires_at = LOYALTY_NEVER,
                                      .cause = {.at = NIGHT}};
    loyalty_effects_t *effects;
    loyalty_member_t *member;
    site_t site;

    (void)state;
    open_site(&site);
    member = &site.world.member;
    effects = &site.world.effects;

    assert_int_equal(loyalty_wallet_acquire(member, &site.world.program,
                                            &acquired, &site.world.arena,
                                            effects),
                     LOYALTY_OK);
    assert_int_equal(effects->ncodes, 1);
    assert_true(loyalty_str_eq(effects->codes[0].code, acquired.code));
    assert_true(loyalty_str_eq(effects->codes[0].member, member->id));
    assert_true(loyalty_str_eq(effects->codes[0].entitlement, acquired.id));
    assert_false(effects->codes[0].gone);

    assert_int_equal(loyalty_wallet_change(member, &site.world.program,
                                           LOYALTY_WALLET_REMOVE, acquired.id,
                                           NIGHT, &site.world.arena, effects),
                     LOYALTY_OK);
    assert_int_equal(effects->ncodes, 1);
    assert_true(effects->codes[0].gone);

    acquired.id = loyalty_str("");
    assert_int_equal(loyalty_wallet_acquire(member, &site.world.program,
                                            &acquired, &site.world.arena,
                                            effects),
                     LOYALTY_ERROR_INVALID);
    close_site(&site);
}

/* Checkouts */

static void
a_checkout_holds_and_its_order_redeems(void **state)
{
    loyalty_order_t *order = NULL;
    loyalty_hold_t hold, again;
    loyalty_effects_t effects;
    loyalty_member_t *member;
    loyalty_str_t bytes;
    loyalty_quote_t quote;
    site_t site;

    (void)state;
    open_site(&site);
    member = &site.world.member;
    grant(&site, member, 100, false);
    grant(&site, member, 900, true);
    get(&site, member, "mug", "e", true);
    loyalty_wallet_change(member, &site.world.program, LOYALTY_WALLET_APPLY,
                          loyalty_str("e"), NIGHT, &site.world.arena, &effects);

    /* 20.00 - three 2.00 = 18.00; - purse 4 % 0.72 = 17.28; - mug 5.00. */
    assert_int_equal(
        check_out(&site, member, &hold, "h", 2000, 400, &quote), LOYALTY_OK);
    assert_int_equal(quote.total, 1228);
    assert_int_equal(hold.nuses, 4);
    assert_int_equal(used(&site, "mug"), 1); /* when it was bought */
    assert_int_equal(used(&site, "three"), 1);
    assert_int_equal(
        loyalty_usage_find(site.usage, site.nusage, loyalty_str("purse"))
            ->spent,
        72);
    assert_int_equal(balance(&member->credits), 500);

    /* Bytes and back. */
    assert_int_equal(loyalty_hold_encode(&hold, &site.world.arena, &bytes),
                     LOYALTY_OK);
    assert_int_equal(loyalty_hold_decode(bytes, &site.world.arena, &hold),
                     LOYALTY_OK);

    /* Another checkout of this member gets neither entry nor promotion. */
    assert_int_equal(
        check_out(&site, member, &again, "h2", 2000, 0, &quote), LOYALTY_OK);
    assert_int_equal(quote.total, 1920);
    assert_int_equal(quote.nrejected, 1);
    assert_int_equal(quote.rejected[0].reason, LOYALTY_REJECT_HELD_ELSEWHERE);
    release(&site, member, &again);
    assert_int_equal(release(&site, member, &again), LOYALTY_OK);
    assert_int_equal(site.world.effects.outcome, LOYALTY_DUPLICATE);

    /* Placed: the order's, however late; earned with the reward points. */
    assert_int_equal(say(&site, &order, "o1", "p", &hold), LOYALTY_OK);
    assert_int_equal(hold.state, LOYALTY_HOLD_ORDERED);
    assert_true(loyalty_wallet_find(member, loyalty_str("e"))->held_until
                == LOYALTY_NEVER);
    assert_int_equal(say(&site, &order, "o1", "c", &hold), LOYALTY_OK);
    assert_int_equal(loyalty_wallet_find(member, loyalty_str("e"))->state,
                     LOYALTY_ENTITLEMENT_REDEEMED);
    assert_int_equal(balance(&member->points), 20 + 7);
    assert_int_equal(used(&site, "three"), 1);

    /* No other order gets it. */
    order = NULL;
    assert_int_equal(say(&site, &order, "o2", "c", &hold), LOYALTY_OK);
    assert_int_equal(balance(&member->points), 20 + 7 + 20);
    close_site(&site);
}

static void
a_cancelled_order_gives_all_of_it_back(void **state)
{
    loyalty_order_t *order = NULL;
    loyalty_effects_t effects;
    loyalty_member_t *member;
    loyalty_quote_t quote;
    loyalty_hold_t hold;
    site_t site;

    (void)state;
    open_site(&site);
    member = &site.world.member;
    grant(&site, member, 900, true);
    get(&site, member, "gold", "e", false);
    get(&site, member, "card", "c", false);
    loyalty_wallet_find(member, loyalty_str("c"))->acquired_at = T0;
    loyalty_wallet_find(member, loyalty_str("c"))->uses = 1;
    loyalty_wallet_find(member, loyalty_str("c"))->stamps = 1;
    get(&site, member, "mug", "m", false);
    loyalty_wallet_change(member, &site.world.program, LOYALTY_WALLET_APPLY,
                          loyalty_str("m"), NIGHT, &site.world.arena, &effects);

    check_out(&site, member, &hold, "h", 2000, 900, &quote);
    /* 20.00 - 2.00 - 0.72 - card 3.00 - mug 5.00 */
    assert_int_equal(quote.total, 928);
    assert_int_equal(loyalty_wallet_find(member, loyalty_str("c"))->uses, 0);
    assert_int_equal(used(&site, "mug"), 1);

    say(&site, &order, "o1", "c", &hold);
    assert_int_equal(loyalty_wallet_find(member, loyalty_str("c"))->stamps, 2);
    assert_int_equal(balance(&member->credits), 0);

    say(&site, &order, "o1", "x", &hold);
    assert_int_equal(loyalty_wallet_find(member, loyalty_str("c"))->stamps, 1);
    assert_int_equal(loyalty_wallet_find(member, loyalty_str("c"))->uses, 1);
    assert_int_equal(loyalty_wallet_find(member, loyalty_str("m"))->state,
                     LOYALTY_ENTITLEMENT_APPLIED);
    assert_int_equal(balance(&member->credits), 900);
    assert_int_equal(balance(&member->points), 0);
    assert_int_equal(used(&site, "three"), 0);
    assert_int_equal(used(&site, "mug"), 0);
    assert_int_equal(member->nuses, 0);

    /* The next attempt has it once more. */
    say(&site, &order, "o1", "c/2", &hold);
    assert_int_equal(used(&site, "three"), 1);
    assert_int_equal(balance(&member->credits), 0);
    assert_int_equal(loyalty_wallet_find(member, loyalty_str("m"))->state,
                     LOYALTY_ENTITLEMENT_REDEEMED);
    assert_int_equal(loyalty_wallet_find(member, loyalty_str("c"))->uses, 0);
    assert_int_equal(loyalty_wallet_find(member, loyalty_str("c"))->stamps, 2);
    close_site(&site);
}

static void
a_guest_holds_what_is_limited(void **state)
{
    loyalty_order_t *order = NULL;
    loyalty_quote_t quote;
    static const char *const ids[] = {"h0", "h1", "h2", "h3"};
    loyalty_hold_t holds[4];
    site_t site;
    size_t i;

    (void)state;
    open_site(&site);

    for (i = 0; i < 4; i++) {
        assert_int_equal(
            check_out(&site, NULL, &holds[i], ids[i], 1000, 0, &quote),
            LOYALTY_OK);
        /* Three of 2.00 off; then 4 % alone. */
        assert_int_equal(quote.total, i < 3 ? 768 : 960);
        assert_int_equal(used(&site, "three"), i < 3 ? i + 1 : 3);
    }

    assert_int_equal(
        check_out(&site, NULL, &holds[3], "h5", 1000, 1, &quote),
        LOYALTY_ERROR_INSUFFICIENT);
    assert_string_equal(site.world.effects.refusal, "insufficient_credits");

    /* A guest's order keeps it, and its cancellation gives it back. */
    loyalty_member_init(&site.world.member, loyalty_str_null);
    {
        loyalty_order_event_t event = world_event(&site.world, "c", "g", 768);
        loyalty_hold_t *named = &holds[0];
        loyalty_order_wallet_t wallet = {.holds = &named, .nholds = 1};

        event.member_id = loyalty_str_null;
        event.redemptions = &named->id;
        event.nredemptions = 1;
        event.wallet = &wallet;
        assert_int_equal(loyalty_order_apply(&site.world.program, NULL, &order,
                                             &event, NIGHT, &site.world.arena,
                                             &site.world.effects),
                         LOYALTY_OK);
        count(&site, &site.world.effects);
        assert_int_equal(named->state, LOYALTY_HOLD_ORDERED);
        assert_int_equal(used(&site, "three"), 3);

        event = world_event(&site.world, "x", "g", -1);
        event.member_id = loyalty_str_null;
        assert_int_equal(loyalty_order_apply(&site.world.program, NULL, &order,
                                             &event, NIGHT, &site.world.arena,
                                             &site.world.effects),
                         LOYALTY_OK);
        count(&site, &site.world.effects);
        assert_int_equal(used(&site, "three"), 2);
    }
    close_site(&site);
}

static void
bytes_nobody_wrote_are_no_hold(void **state)
{
    loyalty_quote_t quote;
    loyalty_hold_t hold, read;
    loyalty_str_t bytes;
    site_t site;
    char *copy;
    size_t i;

    (void)state;
    open_site(&site);
    grant(&site, &site.world.member, 900, true);
    check_out(&site, &site.world.member, &hold, "h", 2000, 400, &quote);
    assert_int_equal(loyalty_hold_encode(&hold, &site.world.arena, &bytes),
                     LOYALTY_OK);

    copy = malloc(bytes.len);
    for (i = 0; i < bytes.len; i++) {
        memcpy(copy, bytes.data, bytes.len);
        copy[i] ^= 1;
        assert_int_not_equal(
            loyalty_hold_decode((loyalty_str_t){copy, bytes.len},
                                &site.world.arena, &read),
            LOYALTY_OK);
        assert_int_not_equal(
            loyalty_hold_decode((loyalty_str_t){bytes.data, i},
                                &site.world.arena, &read),
            LOYALTY_OK);
    }
    free(copy);

    copy = calloc(1, LOYALTY_HOLD_SIZE_MAX + 1);
    assert_int_equal(
        loyalty_hold_decode((loyalty_str_t){copy, LOYALTY_HOLD_SIZE_MAX + 1},
                            &site.world.arena, &read),
        LOYALTY_ERROR_LIMIT);
    hold.quote = (loyalty_str_t){copy, LOYALTY_HOLD_SIZE_MAX};
    assert_int_equal(loyalty_hold_encode(&hold, &site.world.arena, &bytes),
                     LOYALTY_ERROR_LIMIT);
    free(copy);
    close_site(&site);
}

static void
a_hold_has_so_many_uses(void **state)
{
    loyalty_applied_t *applied;
    loyalty_quote_t quote = {0};
    loyalty_hold_t hold = {.id = loyalty_str("h")};
    site_t site;
    size_t i;

    (void)state;
    open_site(&site);
    applied = calloc(LOYALTY_HOLD_USES_MAX + 1, sizeof(*applied));
    for (i = 0; i <= LOYALTY_HOLD_USES_MAX; i++) {
        applied[i].offer = loyalty_program_offer(&site.world.program,
                                                 loyalty_str("three"));
    }
    quote.applied = applied;
    quote.napplied = LOYALTY_HOLD_USES_MAX + 1;
    assert_int_equal(loyalty_hold_take(&hold, NULL, &quote, 0,
                                       &site.world.arena,
                                       &site.world.effects),
                     LOYALTY_ERROR_LIMIT);
    assert_int_equal(hold.nuses, 0);

    quote.napplied = LOYALTY_HOLD_USES_MAX;
    assert_int_equal(loyalty_hold_take(&hold, NULL, &quote, 0,
                                       &site.world.arena,
                                       &site.world.effects),
                     LOYALTY_OK);
    free(applied);
    close_site(&site);
}

/*
 * Members check out, give up, let time pass, order late, cancel, in any
 * order.  A model of its own counts what orders have: never more than a limit,
 * no entry twice; and what the site counts is what orders and holds have.
 */
#define MEMBERS 3
#define CHECKOUTS 6

typedef struct {
    loyalty_hold_t hold;
    loyalty_order_t *order;
    size_t member;
    bool open, cancelled;
    char id[8], order_id[8];
} checkout_t;

static void
check_site(site_t *site, const loyalty_member_t *members,
           const checkout_t *checkouts, size_t n)
{
    int64_t promised = 0, spent = 0, by_member[MEMBERS] = {0};
    const loyalty_order_attempt_t *attempt;
    const loyalty_usage_t *purse;
    size_t i, j, k, entries = 0;

    for (i = 0; i < n; i++) {
        for (j = 0; checkouts[i].order != NULL
                    && j < checkouts[i].order->nattempts; j++) {
            attempt = &checkouts[i].order->attempts[j];
            for (k = 0; k < attempt->nuses; k++) {
                if (loyalty_str_eq(attempt->uses[k].used.offer,
                                   loyalty_str("three"))) {
                    promised++;
                    by_member[checkouts[i].member]++;
                }
                if (loyalty_str_eq(attempt->uses[k].used.offer,
                                   loyalty_str("purse"))) {
                    spent += attempt->uses[k].used.amount;
                }
                if (loyalty_str_eq(attempt->uses[k].entitlement,
                                   loyalty_str("e"))) {
                    entries++;
                }
            }
        }
        if (checkouts[i].open
            && checkouts[i].hold.state == LOYALTY_HOLD_HELD) {
            for (k = 0; k < checkouts[i].hold.nuses; k++) {
                if (loyalty_str_eq(checkouts[i].hold.uses[k].offer,
                                   loyalty_str("three"))) {
                    promised++;
                    by_member[checkouts[i].member]++;
                }
                if (loyalty_str_eq(checkouts[i].hold.uses[k].offer,
                                   loyalty_str("purse"))) {
                    spent += checkouts[i].hold.uses[k].amount;
                }
            }
        }
    }

    assert_true(promised <= 3);
    assert_int_equal(promised, used(site, "three"));
    purse = loyalty_usage_find(site->usage, site->nusage,
                               loyalty_str("purse"));
    assert_int_equal(spent, purse == NULL ? 0 : purse->spent);
    assert_true(spent <= 1000);
    assert_true(entries <= MEMBERS);
    for (i = 0; i < MEMBERS; i++) {
        assert_true(by_member[i] <= 1);
        assert_int_equal(loyalty_ledger_check(&members[i].credits),
                         LOYALTY_OK);
    }
}

static void
step(site_t *site, loyalty_member_t *members, checkout_t *checkout)
{
    static const char *const names[] = {"m0", "m1", "m2"};
    loyalty_member_t *member = &members[checkout->member];
    loyalty_order_event_t event;
    loyalty_hold_t *named = &checkout->hold;
    loyalty_order_wallet_t wallet = {.holds = &named, .nholds = 1,
                                     .usage = site->usage,
                                     .nusage = site->nusage};
    static const char *const words[] = {"p", "c", "x", "s"};
    loyalty_quote_t quote;
    loyalty_status_t rc;

    if (!checkout->open) {
        checkout->member = (size_t)world_random(MEMBERS);
        member = &members[checkout->member];
        rc = check_out(site, member, &checkout->hold, checkout->id,
                       world_random(20000), world_random(2) * 100, &quote);
        checkout->open = rc == LOYALTY_OK;
        assert_true(rc == LOYALTY_OK || rc == LOYALTY_ERROR_INSUFFICIENT);
        return;
    }

    if (world_random(4) == 0) {
        release(site, member, &checkout->hold);
        return;
    }

    event = world_event(&site->world, words[world_random(4)],
                        checkout->order_id, 2000);
    event.member_id = loyalty_str_from(names[checkout->member]);
    if (event.status <= LOYALTY_ORDER_SHIPPED) {
        event.redemptions = &checkout->hold.id;
        event.nredemptions = 1;
        event.wallet = &wallet;
    } else {
        event.total = -1;
    }
    rc = loyalty_order_apply(&site->world.program, member, &checkout->order,
                             &event, NIGHT, &site->world.arena,
                             &site->world.effects);
    assert_int_equal(rc, LOYALTY_OK);
    count(site, &site->world.effects);
}

static void
no_interleaving_passes_a_limit(void **state)
{
    static const char *const names[] = {"m0", "m1", "m2"};
    long n, histories = world_histories(400);
    checkout_t checkouts[CHECKOUTS];
    loyalty_member_t members[MEMBERS];
    loyalty_effects_t effects;
    site_t site;
    size_t i, j;

    (void)state;

    for (n = 1; n <= histories; n++) {
        world_seed(n);
        open_site(&site);
        memset(checkouts, 0, sizeof(checkouts));
        for (i = 0; i < MEMBERS; i++) {
            loyalty_member_init(&members[i], loyalty_str_from(names[i]));
            grant(&site, &members[i], 250, true);
            get(&site, &members[i], "gold", "e", false);
            members[i].manual_tier = loyalty_str("gold");
            members[i].manual_until = LOYALTY_NEVER;
            loyalty_wallet_change(&members[i], &site.world.program,
                                  LOYALTY_WALLET_APPLY, loyalty_str("e"),
                                  NIGHT, &site.world.arena, &effects);
        }
        for (i = 0; i < CHECKOUTS; i++) {
            snprintf(checkouts[i].id, sizeof(checkouts[i].id), "h%zu", i);
            snprintf(checkouts[i].order_id, sizeof(checkouts[i].order_id),
                     "o%zu", i);
        }

        for (j = 0; j < 40; j++) {
            step(&site, members, &checkouts[world_random(CHECKOUTS)]);
            check_site(&site, members, checkouts, CHECKOUTS);
        }
        close_site(&site);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(buying_takes_points_and_gives_an_entry),
        cmocka_unit_test(what_cannot_be_bought_says_why),
        cmocka_unit_test(a_full_wallet_forgets_what_is_over),
        cmocka_unit_test(applied_put_back_and_taken_away),
        cmocka_unit_test(a_coupons_own_code_comes_and_goes_with_it),
        cmocka_unit_test(a_checkout_holds_and_its_order_redeems),
        cmocka_unit_test(a_cancelled_order_gives_all_of_it_back),
        cmocka_unit_test(a_guest_holds_what_is_limited),
        cmocka_unit_test(bytes_nobody_wrote_are_no_hold),
        cmocka_unit_test(a_hold_has_so_many_uses),
        cmocka_unit_test(no_interleaving_passes_a_limit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
