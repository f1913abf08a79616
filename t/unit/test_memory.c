/*
 * Memory that ends at any point: the arena is bounded at every 16 bytes, from
 * nothing up to enough, and each time the answer is LOYALTY_ERROR_MEMORY, with
 * nothing changed, or the whole result.
 */

#include "pricing.h"
#include "world.h"

#include "loyalty_filter.h"
#include "loyalty_rule.h"

#define STEP 16
#define ENOUGH (1 << 20)

typedef loyalty_status_t (*step_pt)(loyalty_arena_t *arena);

/* Runs `step` under each bound; how often memory was not enough. */
static size_t
run_short(step_pt step)
{
    loyalty_status_t rc = LOYALTY_ERROR_MEMORY;
    loyalty_arena_t arena;
    size_t limit, failed = 0;

    for (limit = STEP; rc != LOYALTY_OK && limit < ENOUGH; limit += STEP) {
        loyalty_arena_init(&arena, limit);
        rc = step(&arena);
        failed += rc == LOYALTY_ERROR_MEMORY;
        assert_true(rc == LOYALTY_OK || rc == LOYALTY_ERROR_MEMORY);
        loyalty_arena_free(&arena);
    }

    assert_int_equal(rc, LOYALTY_OK);
    return failed;
}

static loyalty_program_t *program;
static json_t *request;
static loyalty_member_t anna;
static loyalty_entitlement_t wallet[3];
static loyalty_rule_mark_t marks[] = {{loyalty_str("r"), 1}};
static loyalty_str_t groups[] = {loyalty_str("g")};
static loyalty_attribute_t attributes[] = {
    {loyalty_str("size"), loyalty_str("m")}};

static const char *const offers =
    "[{'id': 'p', 'type': 'promotion', 'discount': {'kind': 'percent',"
    "  'percent': '10'}},"
    " {'id': 'q', 'type': 'promotion', 'scope': {'kind': 'products',"
    "  'values': ['a']}, 'condition_scope': {'kind': 'products',"
    "  'values': ['b']}, 'discount': {'kind': 'amount_each', 'amount': 5,"
    "  'max_quantity': 1}, 'budget_total': 1000},"
    " {'id': 's', 'type': 'promotion', 'discount': {'kind': 'buy_x_get_y',"
    "  'buy_quantity': 1, 'get_quantity': 1, 'percent': '50', 'get_scope':"
    "  {'kind': 'products', 'values': ['b']}}},"
    " {'id': 'x', 'type': 'coupon', 'code': 'X', 'discount':"
    "  {'kind': 'amount', 'amount': 7}},"
    " {'id': 'card', 'type': 'punchcard', 'stamps_required': 3, 'discount':"
    "  {'kind': 'amount', 'amount': 3}},"
    " {'id': 'ten', 'type': 'reward', 'discount':"
    "  {'kind': 'amount', 'amount': 2}}]";

static int
set_up(void **state)
{
    static const char *const ids[] = {"card", "ten", "used"};
    json_t *json = json_of(offers);
    size_t i;

    (void)state;
    program = site_with("GBP", json);
    json_decref(json);
    request = json_of(
        "{'member_id': 'anna', 'codes': ['x', 'none'], 'explain': true,"
        " 'preview': {'usage': {'p': {'total': 1}}},"
        " 'lines': [{'sku': 'a', 'quantity': 3, 'unit_price': 100},"
        " {'sku': 'b', 'quantity': 3, 'unit_price': 50}]}");

    loyalty_member_init(&anna, loyalty_str("anna"));
    anna.signed_up_at = T0;
    anna.email = loyalty_str("anna@example.com");
    anna.groups = groups;
    anna.ngroups = 1;
    anna.clubs = groups;
    anna.nclubs = 1;
    anna.attributes = attributes;
    anna.nattributes = 1;
    anna.rule_marks = marks;
    anna.nrule_marks = 1;
    anna.entitlements = wallet;
    anna.nentitlements = COUNT(wallet);

    for (i = 0; i < COUNT(wallet); i++) {
        wallet[i] = (loyalty_entitlement_t){
            .id = loyalty_str_from(ids[i]),
            .offer = loyalty_str_from(i == 0 ? "card" : "ten"),
            .state = LOYALTY_ENTITLEMENT_APPLIED, .acquired_at = T0,
            .expires_at = LOYALTY_NEVER, .held_until = LOYALTY_UNKNOWN};
    }
    wallet[0].uses = 1;
    wallet[2].state = LOYALTY_ENTITLEMENT_REDEEMED;
    return 0;
}

static int
tear_down(void **state)
{
    (void)state;
    loyalty_program_free(program);
    json_decref(request);
    return 0;
}

static loyalty_status_t
quote(loyalty_arena_t *arena)
{
    loyalty_problems_t problems;
    loyalty_quote_t priced;
    loyalty_cart_t cart;
    loyalty_status_t rc;
    char text[512];
    json_t *json;

    loyalty_problems_init(&problems, arena);
    rc = loyalty_cart_parse(request, program, &anna, T0, arena, &problems,
                            &cart);
    if (rc == LOYALTY_OK) {
        rc = loyalty_cart_evaluate(program, &cart, arena, &priced);
    }

    /* p 45 of 450; q 5; s: three b at 45 half off, 67.5 up, less nothing of
     * q's; then the card, the reward, the coupon. */
    if (rc == LOYALTY_OK) {
        write_quote(&cart, &priced, text, sizeof(text));
        assert_non_null(strstr(text, " p:45 q:5 s:68 card:3 ten:2 x:7 -"));
        assert_non_null(strstr(text, "none:not_found"));
        assert_null(strstr(text, "ten:already_redeemed"));
        json = loyalty_quote_to_json(&cart, &priced);
        assert_int_equal(json_array_size(json_object_get(json, "discounts")),
                         6);
        json_decref(json);
    }

    return rc;
}

static void
a_quote_for_a_member(void **state)
{
    (void)state;
    assert_true(run_short(quote) > 20);
}

static loyalty_status_t
life(loyalty_arena_t *arena)
{
    static const loyalty_order_status_t statuses[] = {
        LOYALTY_ORDER_PLACED, LOYALTY_ORDER_COMPLETED, LOYALTY_ORDER_REFUNDED,
        LOYALTY_ORDER_CANCELLED};
    loyalty_order_line_t lines[] = {LINE("a", 2, 600), LINE("b", 1, 400)};
    loyalty_order_line_t back[] = {LINE("a", 1, 300)};
    loyalty_str_t redemptions[] = {loyalty_str("ten"), loyalty_str("card")};
    loyalty_member_t member = anna, before;
    loyalty_order_t *order = NULL;
    loyalty_effects_t effects;
    loyalty_order_event_t event;
    loyalty_str_t bytes;
    loyalty_status_t rc;
    json_t *json;
    size_t i;

    for (i = 0; i < COUNT(statuses); i++) {
        event = (loyalty_order_event_t){
            .order_id = loyalty_str("o"), .member_id = loyalty_str("anna"),
            .status = statuses[i], .attempt = 1, .placed_at = T0,
            .occurred_at = T0 + (int64_t)i * HOUR,
            .currency = loyalty_str("GBP"), .total = i < 2 ? 1000 : -1,
            .lines = i < 2 ? lines : NULL, .nlines = i < 2 ? 2 : 0,
            .redemptions = i < 2 ? redemptions : NULL,
            .nredemptions = i < 2 ? 2 : 0,
            .refund = {.id = loyalty_str("r"), .amount = -1, .lines = back,
                       .nlines = 1},
        };

        before = member;
        rc = loyalty_order_apply(program, &member, &order, &event, T0, arena,
                                 &effects);
        if (rc != LOYALTY_OK) {
            assert_memory_equal(&before, &member, sizeof(member));
            return rc;
        }

        if ((rc = loyalty_order_encode(order, arena, &bytes)) != LOYALTY_OK
            || (rc = loyalty_order_decode(bytes, arena, &order)) != LOYALTY_OK
            || (rc = loyalty_member_encode(&member, arena, &bytes))
                   != LOYALTY_OK
            || (rc = loyalty_member_decode(bytes, arena, &member))
                   != LOYALTY_OK) {
            return rc;
        }
    }

    json = loyalty_order_to_json(order);
    assert_non_null(json);
    json_decref(json);
    assert_int_equal(member.spent_total, 0);
    return LOYALTY_OK;
}

static void
an_order_from_placed_to_cancelled(void **state)
{
    (void)state;
    assert_true(run_short(life) > 100);
}

static loyalty_status_t
filter(loyalty_arena_t *arena)
{
    json_t *json = json_of(
        "{'and': [{'field': 'order_count', 'op': 'gte', 'value': 0},"
        " {'not': {'field': 'email', 'op': 'in', 'value': ['a', 'b']}}]}");
    loyalty_problems_t problems;
    loyalty_filter_t *compiled;
    loyalty_status_t rc;

    loyalty_problems_init(&problems, arena);
    rc = loyalty_filter_compile(json, arena, &problems, &compiled);
    json_decref(json);

    if (rc == LOYALTY_OK) {
        assert_true(loyalty_filter_matches(compiled, &anna, program, T0));
    }
    return rc;
}

static void
a_filter(void **state)
{
    (void)state;
    assert_true(run_short(filter) > 5);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_quote_for_a_member),
        cmocka_unit_test(an_order_from_placed_to_cancelled),
        cmocka_unit_test(a_filter),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
