/*
 * core/loyalty_order.c: the events of an order in any order of arrival, doubled,
 * and each saying as much or as little of the order as it likes, end in the
 * state that they reach in their own order (DOMAIN.md section 3): money,
 * points, products, stamps and redemptions.
 */

#include "pricing.h"
#include "world.h"

#define EVENTS 8
#define MUG 500

static const char *const offers =
    "[{'id': 'card', 'type': 'punchcard', 'stamps_required': 3},"
    " {'id': 'mugs', 'type': 'punchcard', 'stamps_required': 4,"
    "  'stamp_per': 'unit', 'scope': {'kind': 'products',"
    "  'values': ['mug']}},"
    " {'id': 'ten', 'type': 'reward', 'reward_points': 7}]";

#define CARDS 3

static loyalty_str_t ten[] = {loyalty_str("ten")};

typedef struct {
    world_t world;
    int64_t mugs, pots; /* ordered, as the deltas of products have it */
} shop_t;

/* An order of a pot and some mugs, as its events tell it. */
typedef struct {
    int64_t mugs;
    loyalty_order_line_t lines[2];
    loyalty_order_line_t placed[2]; /* one mug fewer */
    loyalty_order_line_t returned[EVENTS];
    char ids[EVENTS][2];
    loyalty_order_event_t events[EVENTS];
    size_t n;
} told_t;

static void
open_shop(shop_t *shop, const loyalty_program_t *program,
          loyalty_entitlement_t *wallet)
{
    static const char *const names[CARDS] = {"card", "mugs", "ten"};
    size_t i;

    *shop = (shop_t){0};
    world_init(&shop->world);
    shop->world.program = *program;
    shop->world.program.settings.active = true;
    shop->world.program.ntiers = 0; /* no multiplier intervenes */
    shop->world.now = T0 + 9 * HOUR;

    for (i = 0; i < CARDS; i++) {
        wallet[i] = (loyalty_entitlement_t){
            .id = loyalty_str_from(names[i]),
            .offer = loyalty_str_from(names[i]),
            .state = LOYALTY_ENTITLEMENT_APPLIED,
            .acquired_at = T0,
            .expires_at = LOYALTY_NEVER,
            .held_until = LOYALTY_UNKNOWN,
        };
    }
    shop->world.member.entitlements = wallet;
    shop->world.member.nentitlements = CARDS;
}

static void
happen(shop_t *shop, const loyalty_order_event_t *event)
{
    const loyalty_effects_t *effects = &shop->world.effects;
    size_t i;

    assert_int_equal(world_apply(&shop->world, event), LOYALTY_OK);
    assert_int_equal(effects->ndropped, 0);

    for (i = 0; i < effects->nproducts; i++) {
        if (loyalty_str_eq(effects->products[i].sku, loyalty_str("mug"))) {
            shop->mugs += effects->products[i].units;
        } else {
            shop->pots += effects->products[i].units;
        }
    }
}

static void
write_state(const shop_t *shop, char *text, size_t size)
{
    loyalty_balance_t balance = world_balance(&shop->world);
    const loyalty_member_t *member = &shop->world.member;
    size_t i;

    text[0] = '\0';
    add_text(text, size,
             "spend %lld orders %lld points %lld+%lld life %lld mugs %lld "
             "pots %lld",
             (long long)member->spent_total, (long long)member->order_count,
             (long long)balance.active, (long long)balance.pending,
             (long long)balance.life, (long long)shop->mugs,
             (long long)shop->pots);
    for (i = 0; i < CARDS; i++) {
        add_text(text, size, " %s %d/%d/%d", member->entitlements[i].id.data,
                 member->entitlements[i].stamps, member->entitlements[i].uses,
                 (int)member->entitlements[i].state);
    }
}

static void
tell(shop_t *shop, told_t *told, const char *word, bool redeems)
{
    int64_t total = MUG * (told->mugs + 1);
    loyalty_order_event_t *event = &told->events[told->n++];

    *event = world_event(&shop->world, word, "o1", total);

    if (event->status <= LOYALTY_ORDER_SHIPPED) {
        if (world_random(5) < 3) {
            event->lines = event->status == LOYALTY_ORDER_PLACED
                                   && world_random(2) == 0
                               ? told->placed : told->lines;
            event->nlines = 2;
        }
        if (redeems && world_random(2) == 0) {
            event->redemptions = ten;
            event->nredemptions = 1;
        }
    } else {
        event->total = -1;
    }
}

/* Some of what is left: money, or mugs at their price or at what is said. */
static void
tell_refund(shop_t *shop, told_t *told, int64_t *money, int64_t *mugs)
{
    size_t n = told->n;
    loyalty_order_line_t *line = &told->returned[n];
    loyalty_order_event_t *event = &told->events[n];
    int64_t units = 1 + world_random(2);

    tell(shop, told, "r", false);
    told->ids[n][0] = (char)('a' + n);
    event->refund.id = loyalty_str_from(told->ids[n]);

    if (world_random(2) == 0 || units > *mugs || units * MUG > *money) {
        event->refund.amount = world_random(*money + 1);
        *money -= event->refund.amount;
        return;
    }

    *line = (loyalty_order_line_t)LINE("mug", units, -1);
    if (world_random(2) == 0) {
        line->amount = units * (MUG - 1);
    }
    event->refund.lines = line;
    event->refund.nlines = 1;
    *mugs -= units;
    *money -= line->amount < 0 ? units * MUG : line->amount;
}

static void
make_up(shop_t *shop, told_t *told)
{
    int64_t money, mugs;
    bool redeems = world_random(2) == 0;

    *told = (told_t){.mugs = 1 + world_random(5)};
    told->lines[0] = (loyalty_order_line_t)LINE("pot", 1, MUG);
    told->lines[1] = (loyalty_order_line_t)LINE("mug", told->mugs,
                                                MUG * told->mugs);
    told->placed[0] = told->lines[0];
    told->placed[1] = (loyalty_order_line_t)LINE("mug", told->mugs + 1,
                                                 MUG * (told->mugs + 1));
    money = MUG * (told->mugs + 1);
    mugs = told->mugs;

    if (world_random(2) == 0) {
        tell(shop, told, "p", redeems);
    }
    if (world_random(3) != 0) {
        tell(shop, told, "c", redeems);
    }
    if (world_random(3) != 0) {
        tell(shop, told, "s", redeems);
    }
    while (told->n < EVENTS - 1 && world_random(2) == 0) {
        tell_refund(shop, told, &money, &mugs);
    }
    if (world_random(5) == 0) {
        tell(shop, told, "x", redeems);
    }
}

/* In a random order, some twice. */
static void
shuffle(shop_t *shop, const told_t *told)
{
    const loyalty_order_event_t *queue[2 * EVENTS], *swap;
    size_t i, k, n = 0;

    for (i = 0; i < told->n; i++) {
        for (k = 0; k < 1 + (size_t)(world_random(4) == 0); k++) {
            queue[n++] = &told->events[i];
        }
    }
    for (i = n; i > 1; i--) {
        k = (size_t)world_random((int64_t)i);
        swap = queue[i - 1];
        queue[i - 1] = queue[k];
        queue[k] = swap;
    }
    for (i = 0; i < n; i++) {
        happen(shop, queue[i]);
    }
}

static void
describe(const told_t *told, char *text, size_t size)
{
    const loyalty_order_event_t *event;
    size_t i;

    text[0] = '\0';
    for (i = 0; i < told->n; i++) {
        event = &told->events[i];
        add_text(text, size, " %s%s%s",
                 loyalty_order_status_name(event->status),
                 event->nlines == 0 ? ""
                 : event->lines == told->lines ? "[l]" : "[p]",
                 event->nredemptions == 0 ? "" : "[r]");
        if (event->status == LOYALTY_ORDER_REFUNDED) {
            add_text(text, size, "=%lld,%lld",
                     (long long)event->refund.amount,
                     event->refund.nlines == 0
                         ? 0LL : (long long)event->refund.lines[0].quantity);
        }
    }
}

static void
arrival_does_not_matter(void **state)
{
    long n, count = world_histories(3000);
    char expected[512], found[512], events[512];
    loyalty_entitlement_t wallets[2][CARDS];
    loyalty_program_t *program;
    shop_t in_order, shuffled;
    json_t *json = json_of(offers);
    told_t told;
    size_t i;

    (void)state;

    program = site_with("GBP", json);
    json_decref(json);

    for (n = 1; n <= count; n++) {
        world_seed(n);
        open_shop(&in_order, program, wallets[0]);
        open_shop(&shuffled, program, wallets[1]);

        make_up(&in_order, &told);
        for (i = 0; i < told.n; i++) {
            happen(&in_order, &told.events[i]);
        }
        shuffle(&shuffled, &told);

        write_state(&in_order, expected, sizeof(expected));
        write_state(&shuffled, found, sizeof(found));
        if (strcmp(expected, found) != 0) {
            describe(&told, events, sizeof(events));
            fail_msg("history %ld:%s\n  %s\n  %s", n, events, expected, found);
        }

        world_free(&in_order.world);
        world_free(&shuffled.world);
    }

    loyalty_program_free(program);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arrival_does_not_matter),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
