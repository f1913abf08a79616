/*
 * core/loyalty_view.c: what the edge keeps of a member, and how long it is
 * good.
 */

#include "world.h"

#include "loyalty_view.h"

typedef union {
    loyalty_view_t view;
    char bytes[LOYALTY_VIEW_SIZE_MAX];
} buffer_t;

static void
a_view_says_what_a_page_needs(void **state)
{
    loyalty_entitlement_t entitlements[] = {
        {.id = loyalty_str("e1"),
         .offer = loyalty_str("ten-off"),
         .state = LOYALTY_ENTITLEMENT_OWNED,
         .expires_at = LOYALTY_NEVER},
        {.id = loyalty_str("e2"),
         .offer = loyalty_str("used"),
         .state = LOYALTY_ENTITLEMENT_REDEEMED,
         .expires_at = LOYALTY_NEVER},
        {.id = loyalty_str("e3"),
         .offer = loyalty_str("coffee"),
         .state = LOYALTY_ENTITLEMENT_APPLIED,
         .stamps = 7,
         .uses = 1,
         .expires_at = T0 + 3 * DAY},
        {.id = loyalty_str("e4"),
         .offer = loyalty_str("gone"),
         .state = LOYALTY_ENTITLEMENT_OWNED,
         .expires_at = T0 + HOUR},
    };
    const loyalty_view_offer_t *offer;
    const loyalty_view_t *view;
    buffer_t buffer;
    world_t world;
    size_t len;

    (void)state;

    world_init(&world);
    world_run(&world, "c", 750000);
    world.member.registered = true;
    world.member.entitlements = entitlements;
    world.member.nentitlements = COUNT(entitlements);

    assert_int_equal(loyalty_view_build(&world.member, &world.program,
                                        T0 + HOUR, &buffer, &len),
                     LOYALTY_OK);
    assert_int_equal(len % 8, 0);
    view = loyalty_view_open(&buffer, len);
    assert_ptr_equal(view, &buffer);

    assert_int_equal(view->flags, LOYALTY_VIEW_REGISTERED);
    assert_int_equal(view->tier, 1);
    assert_int_equal(view->next, 2);
    assert_int_equal(view->value, 750000);
    assert_int_equal(view->remaining, 250000);
    assert_int_equal(view->percent, 50);
    assert_int_equal(view->points_active, 7500);
    assert_int_equal(view->points_life, 7500);
    assert_int_equal(view->spent_total, 750000);
    assert_int_equal(view->order_count, 1);
    assert_int_equal(view->member_version, 1);
    assert_int_equal(view->program_version, 1);
    assert_int_equal(view->valid_until, T0 + 3 * DAY);

    offer = loyalty_view_offer(view, NULL);
    assert_true(
        loyalty_str_eq(loyalty_view_offer_id(offer), loyalty_str("ten-off")));
    offer = loyalty_view_offer(view, offer);
    assert_true(
        loyalty_str_eq(loyalty_view_offer_id(offer), loyalty_str("coffee")));
    assert_int_equal(offer->stamps, 7);
    assert_int_equal(offer->state, LOYALTY_ENTITLEMENT_APPLIED);
    assert_null(loyalty_view_offer(view, offer));
    world_free(&world);
}

static void
a_member_with_too_much_has_no_view(void **state)
{
    static loyalty_entitlement_t entitlements[LOYALTY_MEMBER_LIST_MAX];
    static char longest[LOYALTY_ID_MAX];
    buffer_t buffer;
    world_t world;
    size_t len, i;

    (void)state;

    world_init(&world);
    memset(longest, 'a', sizeof(longest));
    for (i = 0; i < COUNT(entitlements); i++) {
        entitlements[i] =
            (loyalty_entitlement_t){.offer = {longest, sizeof(longest)},
                                    .state = LOYALTY_ENTITLEMENT_OWNED,
                                    .expires_at = LOYALTY_NEVER};
    }
    world.member.entitlements = entitlements;

    /* 104 bytes and 24 + 64 for each: 743 fit into 65 528. */
    world.member.nentitlements = 743;
    assert_int_equal(
        loyalty_view_build(&world.member, &world.program, T0, &buffer, &len),
        LOYALTY_OK);
    assert_int_equal(len, 104 + 743 * 88);
    world.member.nentitlements = 744;
    assert_int_equal(
        loyalty_view_build(&world.member, &world.program, T0, &buffer, &len),
        LOYALTY_ERROR_LIMIT);
    world_free(&world);
}

static void
bytes_that_are_no_view_are_refused(void **state)
{
    loyalty_entitlement_t entitlement = {.offer = loyalty_str("ten-off"),
                                         .state = LOYALTY_ENTITLEMENT_OWNED,
                                         .expires_at = LOYALTY_NEVER};
    loyalty_view_offer_t *offer;
    buffer_t good, bad;
    world_t world;
    size_t len, i;

    (void)state;

    world_init(&world);
    world.member.entitlements = &entitlement;
    world.member.nentitlements = 1;
    assert_int_equal(
        loyalty_view_build(&world.member, &world.program, T0, &good, &len),
        LOYALTY_OK);

    for (i = 0; i < len; i++) {
        assert_null(loyalty_view_open(&good, i));
    }
    assert_null(loyalty_view_open(&good, len + 8));

#define REFUSED(change)                                                        \
    do {                                                                       \
        bad = good;                                                            \
        change;                                                                \
        assert_null(loyalty_view_open(&bad, len));                             \
    } while (0)

    offer = (loyalty_view_offer_t *)(&bad.view + 1);
    REFUSED(bad.view.format++);
    REFUSED(bad.view.flags = 0x8000);
    REFUSED(bad.view.segments = 0x10);
    REFUSED(bad.view.percent = 101);
    REFUSED(bad.view.tier = -2);
    REFUSED(bad.view.next = -2);
    REFUSED(bad.view.tail_len -= 8);
    REFUSED(offer->size = 0);
    REFUSED(offer->size += 8);
    REFUSED(offer->id_len = 9);
    REFUSED(offer->id_len = UINT16_MAX);
    assert_non_null(loyalty_view_open(&good, len));
    world_free(&world);
}

/* Random members: until valid_until, nothing that a view says changes. */

static void
live(world_t *world)
{
    static const char *const ids[] = {"o1", "o2", "o3", "o4", "o5", "o6"};
    static const char *const words[] = {"p", "c", "c", "c x", "c r1=100"};
    loyalty_settings_t *settings = &world->program.settings;
    loyalty_order_event_t event;
    char text[16], *word, *save = NULL;
    size_t i;

    settings->points_expire_days = (int32_t)world_random(3) * 20;
    settings->points_pending_days = (int32_t)world_random(3) * 7;
    settings->criterion = (loyalty_criterion_t)world_random(4);
    settings->window.kind = (loyalty_window_kind_t)world_random(2);
    settings->window.days = 30;
    settings->window.grace_days = (int32_t)world_random(2) * 10;
    for (i = 0; i < 3; i++) {
        world->tiers[i].segment = (loyalty_segment_t)(1 << i);
        world->tiers[i].threshold = (int64_t)(i + 1);
        if (settings->criterion == LOYALTY_CRITERION_SPEND) {
            world->tiers[i].threshold *= 20000;
        } else if (settings->criterion == LOYALTY_CRITERION_LIFE_POINTS) {
            world->tiers[i].threshold *= 200;
        }
    }

    for (i = 0; i < COUNT(ids); i++) {
        world->now += world_random(15 * DAY);
        world->order = NULL;
        snprintf(text, sizeof(text), "%s", words[world_random(5)]);
        for (word = strtok_r(text, " ", &save); word != NULL;
             word = strtok_r(NULL, " ", &save)) {
            event = world_event(world, word, ids[i], 15000);
            event.placed_at = world->now;
            event.occurred_at = world->now;
            world_apply(world, &event);
        }
        if (world_random(2)) {
            loyalty_member_visit(&world->member, world->now);
        }
    }

    if (world_random(4) == 0) {
        world->member.manual_tier = loyalty_str("silver");
        world->member.manual_until = world->now + world_random(40 * DAY);
    }
}

static void
a_view_is_good_until_it_says(void **state)
{
    long n, count = world_histories(1000);
    loyalty_instant_t at, end;
    buffer_t first, later;
    size_t len, later_len;
    world_t world;
    int step;

    (void)state;

    for (n = 1; n <= count; n++) {
        world_seed(n);
        world_init(&world);
        live(&world);
        at = world.now;

        for (step = 0; step < 12; step++) {
            memset(&first, 0, sizeof(first));
            loyalty_view_build(&world.member, &world.program, at, &first, &len);
            end = first.view.valid_until;
            if (!(end > at)) {
                fail_msg("member %ld: valid until %lld, read at %lld", n,
                         (long long)end, (long long)at);
            }
            if (end == LOYALTY_NEVER) {
                end = at + 1000 * DAY;
            }

            memset(&later, 0, sizeof(later));
            loyalty_view_build(&world.member, &world.program,
                               world_random(2) ? end - 1
                                               : at + world_random(end - at),
                               &later, &later_len);
            if (len != later_len || memcmp(&first, &later, len) != 0) {
                fail_msg("member %ld, step %d: changed before %lld", n, step,
                         (long long)end);
            }
            at = end;
        }
        world_free(&world);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_view_says_what_a_page_needs),
        cmocka_unit_test(a_member_with_too_much_has_no_view),
        cmocka_unit_test(bytes_that_are_no_view_are_refused),
        cmocka_unit_test(a_view_is_good_until_it_says),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
