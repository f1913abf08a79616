/*
 * core/loyalty_member.c and its codec: DOMAIN.md sections 2, 4, 5 and 6.
 */

#include "world.h"

#include <jansson.h>

static void
ids_are_1_to_128_bytes_without_control_characters(void **state)
{
    char longest[LOYALTY_MEMBER_ID_MAX + 1];

    (void)state;

    memset(longest, 'a', sizeof(longest));
    assert_int_equal(loyalty_member_id_check(loyalty_str("m\xc3\xa9 1")),
                     LOYALTY_OK);
    assert_int_equal(loyalty_member_id_check((loyalty_str_t){longest, 128}),
                     LOYALTY_OK);
    assert_int_equal(loyalty_member_id_check((loyalty_str_t){longest, 129}),
                     LOYALTY_ERROR_INVALID);
    assert_int_equal(loyalty_member_id_check(loyalty_str("")),
                     LOYALTY_ERROR_INVALID);
    assert_int_equal(loyalty_member_id_check(loyalty_str("a\nb")),
                     LOYALTY_ERROR_INVALID);
    assert_int_equal(loyalty_member_id_check(loyalty_str("a\0b")),
                     LOYALTY_ERROR_INVALID);
    assert_int_equal(loyalty_member_id_check(loyalty_str("\x7f")),
                     LOYALTY_ERROR_INVALID);
}

static void
a_visit_is_recorded_once_an_hour(void **state)
{
    static const struct {
        loyalty_instant_t at; /* after T0 */
        bool recorded;
        int64_t last, previous;
    } visits[] = {
        {0, true, 0, -1},
        {0, false, 0, -1},
        {HOUR, false, 0, -1},
        {HOUR + 1, true, HOUR + 1, 0},
        {10 * DAY, true, 10 * DAY, HOUR + 1},
        /* late ones: of the present visit, between the two, before both */
        {10 * DAY - HOUR, false, 10 * DAY, HOUR + 1},
        {5 * DAY, true, 10 * DAY, 5 * DAY},
        {4 * DAY, false, 10 * DAY, 5 * DAY},
    };
    loyalty_member_t member;
    size_t i;

    (void)state;

    loyalty_member_init(&member, loyalty_str("m1"));
    for (i = 0; i < COUNT(visits); i++) {
        assert_int_equal(loyalty_member_visit(&member, T0 + visits[i].at),
                         visits[i].recorded);
        assert_int_equal(member.last_visit_at, T0 + visits[i].last);
        assert_int_equal(member.previous_visit_at,
                         visits[i].previous < 0 ? LOYALTY_UNKNOWN
                                                : T0 + visits[i].previous);
    }
    assert_false(loyalty_member_visit(&member, INT64_MAX));
    assert_false(loyalty_member_visit(&member, INT64_MIN));
    assert_false(loyalty_member_visit(&member, -1));
}

static loyalty_status_t
grant(world_t *world, int64_t amount, loyalty_instant_t at, bool credits,
      bool earned)
{
    loyalty_grant_t grant = {.credits = credits,
                             .amount = amount,
                             .id = loyalty_str("g1"),
                             .starts_at = LOYALTY_UNKNOWN,
                             .expires_at = LOYALTY_NEVER,
                             .earned = earned,
                             .cause = {.at = at,
                                       .by = loyalty_str("ann"),
                                       .reason = loyalty_str("sorry")}};

    return loyalty_member_grant(&world->member, &world->program, &grant,
                                &world->arena, &world->effects);
}

static void
staff_give_and_take_points_and_credits(void **state)
{
    const loyalty_entry_t *entry;
    world_t world;

    (void)state;

    world_init(&world);
    assert_int_equal(grant(&world, 500, T0, false, false), LOYALTY_OK);
    assert_int_equal(world.member.version, 1);
    assert_int_equal(world.effects.points.n, 1);
    entry = &world.effects.points.list[0];
    assert_int_equal(entry->kind, LOYALTY_ENTRY_GRANT);
    assert_int_equal(entry->amount, 500);
    assert_true(loyalty_str_eq(entry->cause.by, loyalty_str("ann")));
    assert_true(loyalty_str_eq(entry->lot, loyalty_str("g1")));
    assert_int_equal(world_balance(&world).life, 0);

    assert_int_equal(grant(&world, -501, T0, false, false),
                     LOYALTY_ERROR_INSUFFICIENT);
    assert_string_equal(world.effects.refusal, "insufficient_points");
    assert_int_equal(world.member.version, 1);
    assert_int_equal(grant(&world, -500, T0, false, false), LOYALTY_OK);
    assert_int_equal(world_balance(&world).active, 0);
    assert_int_equal(world_balance(&world).spent, 500);

    assert_int_equal(grant(&world, 1250, T0, true, false), LOYALTY_OK);
    assert_int_equal(world.effects.credits.n, 1);
    assert_int_equal(world.effects.points.n, 0);
    assert_int_equal(world.member.credits.lots[0].remaining, 1250);
    assert_int_equal(grant(&world, 0, T0, false, false), LOYALTY_ERROR_INVALID);
    assert_int_equal(grant(&world, INT64_MIN, T0, false, false),
                     LOYALTY_ERROR_OVERFLOW);
    world_store(&world);

    world.member.erased = true;
    assert_int_equal(grant(&world, 1, T0, false, false), LOYALTY_ERROR_REFUSED);
    assert_string_equal(world.effects.refusal, "member_erased");
    world_free(&world);
}

static void
earned_grants_count_for_life_and_status(void **state)
{
    world_t world;

    (void)state;

    world_init(&world);
    world.program.settings.criterion = LOYALTY_CRITERION_LIFE_POINTS;
    assert_int_equal(grant(&world, 100000, T0, false, true), LOYALTY_OK);
    assert_true(loyalty_str_eq(world.effects.tier_to, loyalty_str("bronze")));
    assert_int_equal(world_balance(&world).life, 100000);

    world.program.settings.window =
        (loyalty_window_t){.kind = LOYALTY_WINDOW_ROLLING, .days = 30};
    loyalty_member_evaluate(&world.member, &world.program, T0 + 30 * DAY,
                            &world.arena, &world.effects);
    assert_int_equal(world.effects.outcome, LOYALTY_DUPLICATE);
    loyalty_member_evaluate(&world.member, &world.program, T0 + 30 * DAY + 1,
                            &world.arena, &world.effects);
    assert_true(loyalty_str_eq(world.effects.tier_from, loyalty_str("bronze")));
    assert_int_equal(world.effects.tier_to.len, 0);
    world_free(&world);
}

static const char *
tier_at(const world_t *world, loyalty_instant_t at)
{
    loyalty_tier_result_t tier;

    loyalty_member_tier(&world->member, &world->program, at, &tier);
    return tier.current < 0 ? "none"
                            : world->program.tiers[tier.current].id.data;
}

/* 5 000.00 on day 0, 1 000.00 on day 10; 30 days rolling, 5 of grace. */
static void
a_rolling_window_slides_and_grace_waits(void **state)
{
    loyalty_order_event_t event;
    loyalty_tier_result_t tier;
    world_t world;
    int night;

    (void)state;

    for (night = 0; night < 2; night++) {
        world_init(&world);
        world.program.settings.window = (loyalty_window_t){
            .kind = LOYALTY_WINDOW_ROLLING, .days = 30, .grace_days = 5};
        event = world_event(&world, "c", "o1", 500000);
        world_apply(&world, &event);
        world.order = NULL;
        world.now = T0 + 10 * DAY;
        event = world_event(&world, "c", "o2", 100000);
        event.placed_at = T0 + 10 * DAY;
        world_apply(&world, &event);
        assert_true(loyalty_str_eq(world.member.tier, loyalty_str("silver")));

        assert_string_equal(tier_at(&world, T0 + 30 * DAY), "silver");
        loyalty_member_tier(&world.member, &world.program, T0 + 30 * DAY,
                            &tier);
        assert_int_equal(tier.change_at, T0 + 30 * DAY + 1);

        /* The reading is the same whether the nightly run came or not. */
        if (night == 1) {
            loyalty_member_evaluate(&world.member, &world.program,
                                    T0 + 31 * DAY, &world.arena,
                                    &world.effects);
            assert_true(world.effects.member_changed);
            assert_int_equal(world.member.below_since, T0 + 30 * DAY + 1);
            world_store(&world);
        }
        assert_string_equal(tier_at(&world, T0 + 35 * DAY + 1), "silver");
        assert_string_equal(tier_at(&world, T0 + 35 * DAY + 2), "bronze");
        world_free(&world);
    }
}

static void
a_manual_status_is_a_floor_until_its_end(void **state)
{
    world_t world;

    (void)state;

    world_init(&world);
    world.program.settings.window.never_drop = true;
    world.member.manual_tier = loyalty_str("gold");
    world.member.manual_until = T0 + DAY;
    world_run(&world, "c", 500000);
    assert_true(loyalty_str_eq(world.member.tier, loyalty_str("gold")));
    assert_string_equal(tier_at(&world, T0 + DAY), "gold");

    /* What was given by hand is not kept by never_drop; what was reached
     * is. */
    assert_string_equal(tier_at(&world, T0 + DAY + 1), "silver");
    loyalty_member_evaluate(&world.member, &world.program, T0 + DAY + 1,
                            &world.arena, &world.effects);
    assert_true(loyalty_str_eq(world.effects.tier_to, loyalty_str("silver")));
    world_run(&world, "x", 500000);
    assert_string_equal(tier_at(&world, T0 + 9 * DAY), "silver");
    world_free(&world);
}

static void
the_nightly_run_expires_once(void **state)
{
    world_t world;

    (void)state;

    world_init(&world);
    world.program.settings.points_expire_days = 1;
    world_run(&world, "c", 10000);
    loyalty_member_evaluate(&world.member, &world.program, T0 + 2 * DAY,
                            &world.arena, &world.effects);
    assert_int_equal(world.effects.points.n, 1);
    assert_int_equal(world.effects.points.list[0].kind, LOYALTY_ENTRY_EXPIRE);
    assert_true(world.effects.member_changed);
    loyalty_member_evaluate(&world.member, &world.program, T0 + 2 * DAY,
                            &world.arena, &world.effects);
    assert_int_equal(world.effects.points.n, 0);
    assert_false(world.effects.member_changed);
    assert_int_equal(world.member.version, 2);
    world_free(&world);
}

static void
contributions_are_bounded(void **state)
{
    loyalty_member_t copy;
    char id[16];
    world_t world;
    int i;

    (void)state;

    world_init(&world);
    for (i = 0; i < LOYALTY_MEMBER_CONTRIBUTIONS_MAX + 5; i++) {
        if (i % 1000 == 0 || i >= LOYALTY_MEMBER_CONTRIBUTIONS_MAX) {
            assert_int_equal(
                loyalty_member_copy(&world.member, &world.arena, &copy),
                LOYALTY_OK);
        }
        if (i % 1000 == 0) {
            copy.contributions =
                loyalty_alloc(&world.arena, (copy.ncontributions + 1001)
                                                * sizeof(*copy.contributions));
            if (world.member.ncontributions > 0) {
                memcpy(copy.contributions, world.member.contributions,
                       copy.ncontributions * sizeof(*copy.contributions));
            }
        }
        snprintf(id, sizeof(id), "%06d", i);
        loyalty_member_contribute(
            &copy,
            &(loyalty_contribution_t){
                .order_id = {strcpy(loyalty_alloc(&world.arena, sizeof(id)),
                                    id),
                             6},
                .placed_at = T0 + i,
                .spend = 1,
                .counts = true});
        world.member = copy;
    }

    assert_int_equal(world.member.ncontributions,
                     LOYALTY_MEMBER_CONTRIBUTIONS_MAX);
    assert_int_equal(world.member.contributions[0].placed_at, T0 + 5);
    assert_int_equal(world.member.last_order_at, T0 + i - 1);
    world_store(&world);
    world_free(&world);
}

/* A member with every field set. */
static void
fill(world_t *world)
{
    static loyalty_str_t clubs[] = {loyalty_str("wine"), loyalty_str("tea")};
    static loyalty_str_t groups[] = {loyalty_str("grp-1")};
    static loyalty_attribute_t attributes[] = {
        {loyalty_str("size"), loyalty_str("M")}};
    static loyalty_entitlement_t entitlements[] = {
        {.id = loyalty_str("e1"),
         .offer = loyalty_str("ten-off"),
         .state = LOYALTY_ENTITLEMENT_APPLIED,
         .stamps = 3,
         .uses = 1,
         .acquired_at = T0,
         .expires_at = T0 + 90 * DAY,
         .code = loyalty_str("AB12"),
         .held_by = loyalty_str("cart-9"),
         .held_until = T0 + HOUR}};
    static loyalty_rule_mark_t marks[] = {{loyalty_str("rule-1"), 4}};
    loyalty_member_t *member = &world->member;

    world->program.settings.points_expire_days = 365;
    world_run(world, "p c r1=1000", 600000);
    grant(world, 700, T0 + DAY, true, false);

    member->email = loyalty_str("ann@example.com");
    member->phone = loyalty_str("+441234567890");
    member->messenger_id = loyalty_str("msg-1");
    member->line_id = loyalty_str("line-1");
    member->name = loyalty_str("Ann");
    member->locale = loyalty_str("fr");
    member->registered = true;
    member->consent = LOYALTY_CHANNEL_EMAIL | LOYALTY_CHANNEL_LINE;
    member->clubs = clubs;
    member->nclubs = 2;
    member->groups = groups;
    member->ngroups = 1;
    member->attributes = attributes;
    member->nattributes = 1;
    member->entitlements = entitlements;
    member->nentitlements = 1;
    member->rule_marks = marks;
    member->nrule_marks = 1;
    member->manual_tier = loyalty_str("gold");
    member->manual_until = LOYALTY_NEVER;
    loyalty_member_visit(member, T0 + 2 * DAY);
    loyalty_member_visit(member, T0 + 4 * DAY);
}

static void
a_member_reads_as_the_contract_says(void **state)
{
    /* 6 000.00 less 10.00 returned, at one point a pound. */
    static const char *const expected =
        "{\"id\": \"m1\", \"email\": \"ann@example.com\", \"phone\": "
        "\"+441234567890\", \"messenger_id\": \"msg-1\", \"line_id\": "
        "\"line-1\", \"name\": \"Ann\", \"locale\": \"fr\", \"registered\": "
        "true, \"consent\": {\"email\": true, \"sms\": false, \"messenger\": "
        "false, \"line\": true}, \"clubs\": [\"wine\", \"tea\"], \"groups\": "
        "[\"grp-1\"], \"attributes\": {\"size\": \"M\"}, \"signed_up_at\": "
        "\"2026-01-01T00:00:00Z\", \"last_visit_at\": "
        "\"2026-01-05T00:00:00Z\", \"last_order_at\": "
        "\"2026-01-01T00:00:00Z\", \"deleted_at\": null, \"order_count\": 1, "
        "\"spent_total\": 599000, \"points\": {\"active\": 5990, \"pending\": "
        "0, \"spent\": 0, \"expired\": 0, \"life\": 5990}, \"credits\": "
        "{\"active\": 700, \"pending\": 0, \"spent\": 0, \"expired\": 0, "
        "\"life\": 0}, \"status\": {\"id\": \"gold\", \"name\": null, "
        "\"color\": null, \"image\": null}, \"progress\": {\"current\": "
        "\"gold\", \"next\": null, \"value\": 599000, \"remaining\": 0, "
        "\"percent\": 100}, \"segments\": [\"vip\", \"new\", \"recurring\"], "
        "\"segment\": \"vip\", \"manual_status\": \"gold\", \"manual_until\": "
        "null, \"entitlements\": [{\"id\": \"e1\", \"offer_id\": \"ten-off\", "
        "\"state\": \"applied\", \"stamps\": 3, \"uses\": 1, \"acquired_at\": "
        "\"2026-01-01T00:00:00Z\", \"expires_at\": \"2026-04-01T00:00:00Z\", "
        "\"code\": \"AB12\", \"bought\": false, \"held_until\": "
        "\"2026-01-01T01:00:00Z\"}], \"version\": 6}";
    world_t world;
    json_t *json;
    char *text;

    (void)state;

    world_init(&world);
    fill(&world);
    world_store(&world);
    json = loyalty_member_to_json(&world.member, &world.program, T0 + 4 * DAY);
    text = json_dumps(json, 0);
    assert_string_equal(text, expected);
    free(text);
    json_decref(json);

    /* A clock that is moved on shows what will have expired. */
    json =
        loyalty_member_to_json(&world.member, &world.program, T0 + 400 * DAY);
    assert_int_equal(json_integer_value(json_object_get(
                         json_object_get(json, "points"), "expired")),
                     5990);
    json_decref(json);
    world_free(&world);
}

static loyalty_status_t
decode(loyalty_str_t bytes, loyalty_arena_t *arena)
{
    loyalty_member_t member;

    return loyalty_member_decode(bytes, arena, &member);
}

static void
bytes_from_elsewhere_are_refused(void **state)
{
    loyalty_str_t bytes;
    world_t world;

    (void)state;

    world_init(&world);
    fill(&world);
    world_store(&world);
    assert_int_equal(loyalty_member_encode(&world.member, &world.arena, &bytes),
                     LOYALTY_OK);

    world_refuse_changes(&world, bytes, decode);
    bytes.len = LOYALTY_MEMBER_SIZE_MAX + 1;
    assert_int_equal(decode(bytes, &world.arena), LOYALTY_ERROR_LIMIT);
    world_free(&world);
}

static void
a_typical_member_is_small(void **state)
{
    loyalty_order_event_t event;
    loyalty_str_t bytes;
    char id[24];
    world_t world;
    int i;

    (void)state;

    /* Five orders, as in the retail data, no profile. */
    world_init(&world);
    world.member.id = loyalty_str("17850");
    for (i = 0; i < 5; i++) {
        snprintf(id, sizeof(id), "53636%d", i);
        event = world_event(&world, "c", id, 45000 + i);
        event.member_id = world.member.id;
        event.placed_at += i * 20 * DAY;
        event.occurred_at = event.placed_at;
        world.order = NULL;
        world_apply(&world, &event);
    }
    assert_int_equal(loyalty_member_encode(&world.member, &world.arena, &bytes),
                     LOYALTY_OK);
    print_message("# a member with 5 orders: %zu bytes\n", bytes.len);
    assert_true(bytes.len < 512);
    world_free(&world);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_are_1_to_128_bytes_without_control_characters),
        cmocka_unit_test(a_visit_is_recorded_once_an_hour),
        cmocka_unit_test(staff_give_and_take_points_and_credits),
        cmocka_unit_test(earned_grants_count_for_life_and_status),
        cmocka_unit_test(a_rolling_window_slides_and_grace_waits),
        cmocka_unit_test(a_manual_status_is_a_floor_until_its_end),
        cmocka_unit_test(the_nightly_run_expires_once),
        cmocka_unit_test(contributions_are_bounded),
        cmocka_unit_test(a_member_reads_as_the_contract_says),
        cmocka_unit_test(bytes_from_elsewhere_are_refused),
        cmocka_unit_test(a_typical_member_is_small),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
