/*
 * A site with offers of every kind, its uses, and checkouts that hold, for the
 * tests of wallets, holds and the orders that name them.
 */

#ifndef CHECKOUT_H
#define CHECKOUT_H

#include "pricing.h"
#include "world.h"

#include "loyalty_wallet.h"

#define NIGHT (T0 + 20 * HOUR)

static const char *const shop_offers =
    "[{'id': 'mug', 'type': 'reward', 'loyalty_price': 100,"
    "  'limit_total': 2, 'discount': {'kind': 'amount', 'amount': 500}},"
    " {'id': 'once', 'type': 'reward', 'loyalty_price': 10,"
    "  'limit_per_member': 1, 'discount': {'kind': 'amount', 'amount': 100}},"
    " {'id': 'gold', 'type': 'coupon', 'statuses': ['gold'],"
    "  'discount': {'kind': 'percent', 'percent': '10'}},"
    " {'id': 'vips', 'type': 'coupon', 'segments': ['vip']},"
    " {'id': 'team', 'type': 'coupon', 'groups': ['team']},"
    " {'id': 'late', 'type': 'reward', 'starts_at': '2026-06-01T00:00:00Z'},"
    " {'id': 'over', 'type': 'reward', 'ends_at': '2025-06-01T00:00:00Z'},"
    " {'id': 'draft', 'type': 'reward', 'state': 'draft'},"
    " {'id': 'card', 'type': 'punchcard', 'stamps_required': 3,"
    "  'discount': {'kind': 'amount', 'amount': 300}},"
    " {'id': 'three', 'type': 'promotion', 'limit_total': 3,"
    "  'limit_per_member': 1, 'priority': 9,"
    "  'discount': {'kind': 'amount', 'amount': 200}},"
    " {'id': 'purse', 'type': 'promotion', 'budget_total': 1000,"
    "  'discount': {'kind': 'percent', 'percent': '4'}},"
    " {'id': 'bonus', 'type': 'promotion', 'reward_points': 7}]";

typedef struct {
    world_t world;
    loyalty_program_t *program;
    loyalty_usage_t usage[32]; /* of the site */
    size_t nusage;
} site_t;

static inline void
open_site(site_t *site)
{
    json_t *json = json_of(shop_offers);

    memset(site, 0, sizeof(*site));
    world_init(&site->world);
    site->program = site_with("GBP", json);
    json_decref(json);
    site->world.program = *site->program;
    site->world.program.settings.active = true;
    site->world.program.settings.earn_rate = 10000;
}

static inline void
close_site(site_t *site)
{
    loyalty_program_free(site->program);
    world_free(&site->world);
}

/* The site's uses after some effects. */
static inline void
count(site_t *site, const loyalty_effects_t *effects)
{
    loyalty_usage_t *usage;
    size_t i, j;

    for (i = 0; i < effects->nusage; i++) {
        for (j = 0; j < site->nusage; j++) {
            if (loyalty_str_eq(site->usage[j].offer,
                               effects->usage[i].offer)) {
                break;
            }
        }
        usage = &site->usage[j];
        if (j == site->nusage) {
            *usage = (loyalty_usage_t){.offer = effects->usage[i].offer};
            site->nusage++;
        }
        usage->total += effects->usage[i].total;
        usage->spent += effects->usage[i].spent;
        assert_true(usage->total >= 0 && usage->spent >= 0);
    }
}

static inline int64_t
used(const site_t *site, const char *offer)
{
    const loyalty_usage_t *usage = loyalty_usage_find(
        site->usage, site->nusage, loyalty_str_from(offer));

    return usage == NULL ? 0 : usage->total;
}

static inline void
grant(site_t *site, loyalty_member_t *member, int64_t points, bool credits)
{
    loyalty_grant_t given = {.credits = credits,
                             .amount = points,
                             .id = loyalty_str("gift"),
                             .starts_at = LOYALTY_UNKNOWN,
                             .expires_at = LOYALTY_NEVER,
                             .cause = {.at = T0}};

    assert_int_equal(loyalty_member_grant(member, &site->world.program, &given,
                                          &site->world.arena,
                                          &site->world.effects),
                     LOYALTY_OK);
    if (!credits) {
        world_count(&site->world);
    }
}

static inline loyalty_status_t
get(site_t *site, loyalty_member_t *member, const char *offer, const char *id,
    bool buy)
{
    loyalty_acquisition_t acquired = {.id = loyalty_str_from(id),
                                      .offer = loyalty_str_from(offer),
                                      .buy = buy,
                                      .expires_at = LOYALTY_NEVER,
                                      .usage = site->usage,
                                      .nusage = site->nusage,
                                      .cause = {.at = NIGHT}};
    loyalty_status_t rc;

    rc = loyalty_wallet_acquire(member, &site->world.program, &acquired,
                                &site->world.arena, &site->world.effects);
    if (rc == LOYALTY_OK) {
        count(site, &site->world.effects);
        world_count(&site->world);
    }
    return rc;
}

static inline int64_t
balance(const loyalty_ledger_t *ledger)
{
    loyalty_balance_t figures;

    loyalty_ledger_balance(ledger, NIGHT, &figures);
    return figures.active;
}

/* Evaluates a cart of one line and holds what applies; `code`, or NULL, is of
 * the index, for that offer. */
static inline loyalty_status_t
check_out_with(site_t *site, loyalty_member_t *member, loyalty_hold_t *hold,
               const char *id, int64_t price, int64_t credits,
               const char *code, const char *offer, loyalty_quote_t *quote)
{
    loyalty_cart_line_t line = {.sku = loyalty_str("a"), .quantity = 1,
                                .unit_price = price};
    loyalty_cart_t cart = {.lines = &line, .nlines = 1, .at = NIGHT,
                           .points = -1, .order_count = -1,
                           .multiplier = 100};
    loyalty_status_t rc;

    if (member != NULL) {
        assert_int_equal(loyalty_cart_bring(&cart, &site->world.program,
                                            member, &site->world.arena),
                         LOYALTY_OK);
    }
    if (code != NULL) {
        loyalty_cart_entry_t *entries = loyalty_alloc(
            &site->world.arena, (cart.nentries + 1) * sizeof(*entries));

        if (cart.nentries != 0) {
            memcpy(entries, cart.entries, cart.nentries * sizeof(*entries));
        }
        entries[cart.nentries] = (loyalty_cart_entry_t){
            .offer = loyalty_str_from(offer), .code = loyalty_str_from(code),
            .applied = true, .bearer = true, .expires_at = LOYALTY_NEVER};
        cart.entries = entries;
        cart.nentries++;
    }
    assert_int_equal(loyalty_cart_site_usage(&cart, site->usage, site->nusage,
                                             &site->world.arena),
                     LOYALTY_OK);
    assert_int_equal(loyalty_cart_evaluate(&site->world.program, &cart,
                                           &site->world.arena, quote),
                     LOYALTY_OK);

    *hold = (loyalty_hold_t){
        .id = loyalty_str_from(id),
        .member = member == NULL ? loyalty_str_null : member->id,
        .created_at = NIGHT,
        .expires_at = NIGHT + HOUR};
    rc = loyalty_hold_take(hold, member, quote, credits, &site->world.arena,
                           &site->world.effects);
    if (rc == LOYALTY_OK) {
        count(site, &site->world.effects);
    }
    return rc;
}

static inline loyalty_status_t
check_out(site_t *site, loyalty_member_t *member, loyalty_hold_t *hold,
          const char *id, int64_t price, int64_t credits, loyalty_quote_t *quote)
{
    return check_out_with(site, member, hold, id, price, credits, NULL, NULL,
                          quote);
}

static inline loyalty_status_t
release(site_t *site, loyalty_member_t *member, loyalty_hold_t *hold)
{
    loyalty_status_t rc;

    rc = loyalty_hold_release(hold, member, NIGHT, loyalty_str("released"),
                              &site->world.arena, &site->world.effects);
    count(site, &site->world.effects);
    return rc;
}

/* The order `id` of 20.00, naming a hold, says `word`. */
static inline loyalty_status_t
say(site_t *site, loyalty_order_t **order, const char *id, const char *word,
    loyalty_hold_t *hold)
{
    loyalty_order_event_t event = world_event(&site->world, word, id, 2000);
    loyalty_order_wallet_t wallet = {.holds = &hold, .nholds = 1,
                                     .usage = site->usage,
                                     .nusage = site->nusage};
    loyalty_status_t rc;

    if (event.status <= LOYALTY_ORDER_SHIPPED) {
        event.redemptions = loyalty_alloc(&site->world.arena,
                                          sizeof(*event.redemptions));
        event.redemptions[0] = hold->id;
        event.nredemptions = 1;
        event.wallet = &wallet;
    } else {
        event.total = -1;
    }

    site->world.order = *order;
    site->world.now = NIGHT;
    rc = world_apply(&site->world, &event);
    *order = site->world.order;
    if (rc == LOYALTY_OK) {
        count(site, &site->world.effects);
    }
    return rc;
}

#endif
