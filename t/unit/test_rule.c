/*
 * core/loyalty_rule.c: when each of the six types fires (DOMAIN.md section 8).
 * Histories are written down by hand, order after order.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "loyalty_rule.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))
#define ORDERS 8
#define NOW INT64_C(1767225600000)

typedef struct {
    int64_t total;
    int64_t units; /* of the rule's product; 0: the order has none of it */
} order_t;

typedef struct {
    const char *says;
    loyalty_rule_type_t type;
    int64_t threshold;
    bool repeat;
    order_t orders[ORDERS];
    const char *fires; /* a letter for each order: ! or . */
} case_t;

static const case_t cases[] = {
    {"the third order with the product, quantity ignored, once for ever",
     LOYALTY_RULE_BOGO, 3, false,
     {{1, 9}, {1, 0}, {1, 1}, {1, 5}, {1, 1}, {1, 1}}, "...!.."},
    {"every second order with the product",
     LOYALTY_RULE_BOGO, 2, true,
     {{1, 1}, {1, 1}, {1, 0}, {1, 1}, {1, 1}, {1, 0}}, ".!..!."},
    {"the number of orders equals three", LOYALTY_RULE_ORDER_COUNT, 3, false,
     {{1, 0}, {1, 0}, {1, 0}, {1, 0}}, "..!."},
    {"the spend has reached 100, boundary included",
     LOYALTY_RULE_SPENT_ALL, 100, false, {{60, 0}, {39, 0}, {1, 0}, {90, 0}},
     "..!."},
    {"an average of 50: 40/1, 99/2, 150/3",
     LOYALTY_RULE_SPENT_AVERAGE, 50, false,
     {{40, 0}, {59, 0}, {51, 0}, {99, 0}}, "..!."},
    {"this order's total", LOYALTY_RULE_SPENT_ONE_ORDER, 50, false,
     {{49, 0}, {50, 0}, {70, 0}}, ".!."},
    {"units in all", LOYALTY_RULE_PRODUCT_ORDER_COUNT, 5, false,
     {{1, 3}, {1, 0}, {1, 1}, {1, 1}, {1, 9}}, "...!."},
};

static loyalty_str_t mug[] = {loyalty_str("mug")};

typedef struct {
    loyalty_rule_t rule;
    loyalty_rule_t *rules[1];
    loyalty_program_t program;
    loyalty_member_t member;
    loyalty_rule_count_t count;
    loyalty_arena_t arena;
    loyalty_rule_message_t *messages;
    size_t n;
} shop_t;

static void
open_shop(shop_t *shop, loyalty_rule_type_t type, int64_t threshold)
{
    *shop = (shop_t){
        .rule = {.id = loyalty_str("r"), .enabled = true, .type = type,
                 .threshold = threshold, .products = mug, .nproducts = 1,
                 .channel = LOYALTY_CHANNEL_EMAIL, .delay = LOYALTY_DAY},
        .program = {.settings = {.active = true}, .nrules = 1},
    };
    shop->rules[0] = &shop->rule;
    shop->program.rules = shop->rules;
    loyalty_arena_init(&shop->arena, 0);
    loyalty_member_init(&shop->member, loyalty_str("anna"));
    shop->member.email = loyalty_str("anna@example.com");
}

static char
fire(shop_t *shop, int64_t total, int64_t units)
{
    const loyalty_str_t skus[] = {units > 0 ? loyalty_str("mug")
                                            : loyalty_str("tea")};
    loyalty_rule_facts_t facts = {total, skus, 1, &shop->count, NOW};

    assert_int_equal(loyalty_rules_fire(&shop->program, &shop->member, &facts,
                                        &shop->arena, &shop->messages,
                                        &shop->n),
                     LOYALTY_OK);
    return shop->n == 1 && shop->messages[0].result == LOYALTY_RULE_FIRED
               ? '!' : '.';
}

static char
order(shop_t *shop, int64_t total, int64_t units)
{
    shop->member.order_count++;
    shop->member.spent_total += total;
    shop->count.orders += units > 0;
    shop->count.units += units;
    return fire(shop, total, units);
}

static void
cancel(shop_t *shop, int64_t total, int64_t units)
{
    shop->member.order_count--;
    shop->member.spent_total -= total;
    shop->count.orders -= units > 0;
    shop->count.units -= units;
}

static void
each_type_fires_when_it_should(void **state)
{
    char fires[ORDERS + 1] = {0};
    shop_t shop;
    size_t i, k;

    (void)state;

    for (i = 0; i < COUNT(cases); i++) {
        open_shop(&shop, cases[i].type, cases[i].threshold);
        shop.rule.repeat = cases[i].repeat;
        memset(fires, 0, sizeof(fires));

        for (k = 0; cases[i].fires[k] != '\0'; k++) {
            fires[k] = order(&shop, cases[i].orders[k].total,
                             cases[i].orders[k].units);
        }

        if (strcmp(fires, cases[i].fires) != 0) {
            fail_msg("%s: %s", cases[i].says, fires);
        }
        loyalty_arena_free(&shop.arena);
    }
}

static void
an_order_fires_once(void **state)
{
    shop_t shop;

    (void)state;
    open_shop(&shop, LOYALTY_RULE_SPENT_ONE_ORDER, 10);

    assert_int_equal(order(&shop, 10, 0), '!');
    assert_int_equal(shop.messages[0].due_at, NOW + LOYALTY_DAY);
    assert_int_equal(shop.member.version, 1);
    assert_int_equal(fire(&shop, 10, 0), '.');
    assert_int_equal(shop.n, 0);
    assert_int_equal(shop.member.version, 1);
    loyalty_arena_free(&shop.arena);
}

static void
history_before_the_rule_counts(void **state)
{
    shop_t shop;

    (void)state;
    open_shop(&shop, LOYALTY_RULE_BOGO, 3);
    shop.member.order_count = 7;
    shop.count = (loyalty_rule_count_t){7, 7};
    assert_int_equal(order(&shop, 1, 0), '.'); /* none of the products */
    assert_int_equal(order(&shop, 1, 1), '!');
    loyalty_arena_free(&shop.arena);
}

static void
a_cancelled_order_withdraws_its_message(void **state)
{
    loyalty_str_t r = loyalty_str("r");
    shop_t shop;

    (void)state;
    open_shop(&shop, LOYALTY_RULE_BOGO, 2);
    shop.rule.repeat = true;

    assert_int_equal(order(&shop, 1, 1), '.');
    assert_int_equal(order(&shop, 1, 1), '!');
    assert_int_equal(shop.messages[0].mark, 1);

    /* Still pending: the next order that reaches it fires anew. */
    cancel(&shop, 1, 1);
    assert_int_equal(loyalty_rules_withdraw(&shop.member, r, 1, &shop.arena),
                     LOYALTY_OK);
    assert_int_equal(shop.member.nrule_marks, 0);
    assert_int_equal(order(&shop, 1, 1), '!');

    /* Sent: it does not. */
    cancel(&shop, 1, 1);
    assert_int_equal(order(&shop, 1, 1), '.');
    assert_int_equal(shop.n, 0);
    assert_int_equal(order(&shop, 1, 1), '.');
    assert_int_equal(order(&shop, 1, 1), '!');
    assert_int_equal(shop.messages[0].mark, 2);

    /* An older message, an unknown rule: nothing to take back. */
    assert_int_equal(loyalty_rules_withdraw(&shop.member, r, 1, &shop.arena),
                     LOYALTY_OK);
    assert_int_equal(loyalty_rules_withdraw(&shop.member, loyalty_str("z"), 1,
                                            &shop.arena),
                     LOYALTY_OK);
    assert_int_equal(shop.member.rule_marks[0].fired, 2);

    assert_int_equal(loyalty_rules_withdraw(&shop.member, r, 2, &shop.arena),
                     LOYALTY_OK);
    assert_int_equal(shop.member.rule_marks[0].fired, 1);
    loyalty_arena_free(&shop.arena);
}

static const char *
result_of(shop_t *shop)
{
    order(shop, 10, 0);
    return shop->n == 0 ? "none"
                        : loyalty_rule_result_name(shop->messages[0].result);
}

static void
filters_and_reasons(void **state)
{
    shop_t shop;

    (void)state;
    open_shop(&shop, LOYALTY_RULE_SPENT_ALL, 20);
    assert_string_equal(result_of(&shop), "criteria");

    shop.rule.filter = LOYALTY_RULE_OPTED_IN;
    shop.member.consent = LOYALTY_CHANNEL_SMS;
    assert_string_equal(result_of(&shop), "consent");
    shop.rule.filter = LOYALTY_RULE_REGISTERED;
    assert_string_equal(result_of(&shop), "filter");
    shop.member.registered = true;
    shop.member.email = loyalty_str_null;
    assert_string_equal(result_of(&shop), "no_address");
    shop.rule.channel = LOYALTY_CHANNEL_MESSENGER;
    assert_string_equal(result_of(&shop), "no_address");
    shop.rule.channel = LOYALTY_CHANNEL_LINE;
    assert_string_equal(result_of(&shop), "no_address");
    shop.member.deleted_at = NOW;
    assert_string_equal(result_of(&shop), "deleted");
    shop.member.deleted_at = LOYALTY_UNKNOWN;

    /* Nothing of this marked the rule. */
    assert_int_equal(shop.member.nrule_marks, 0);

    shop.rule.enabled = false;
    assert_string_equal(result_of(&shop), "none");
    shop.rule.enabled = true;
    shop.program.settings.active = false;
    assert_string_equal(result_of(&shop), "none");
    shop.program.settings.active = true;

    shop.rule.filter = LOYALTY_RULE_OPTED_IN;
    shop.rule.channel = LOYALTY_CHANNEL_SMS;
    shop.member.phone = loyalty_str("+441234");
    assert_string_equal(result_of(&shop), "fired");
    loyalty_arena_free(&shop.arena);
}

static void
past_64_bits_and_past_the_marks(void **state)
{
    loyalty_rule_mark_t *marks;
    shop_t shop;
    size_t i;

    (void)state;
    open_shop(&shop, LOYALTY_RULE_SPENT_AVERAGE, INT64_MAX / 2);
    shop.member.order_count = 2;
    shop.member.spent_total = INT64_MAX - 1;
    assert_int_equal(fire(&shop, 1, 0), '!');

    shop.member.nrule_marks = 0;
    shop.member.order_count = 3;
    assert_int_equal(fire(&shop, 1, 0), '.');

    loyalty_arena_free(&shop.arena);

    /* As many marks as a member's record has room for. */
    open_shop(&shop, LOYALTY_RULE_SPENT_ALL, 1);
    marks = loyalty_alloc(&shop.arena, LOYALTY_MEMBER_LIST_MAX
                                           * sizeof(*marks));
    for (i = 0; i < LOYALTY_MEMBER_LIST_MAX; i++) {
        marks[i] = (loyalty_rule_mark_t){loyalty_str("old"), 1};
    }
    shop.member.rule_marks = marks;
    shop.member.nrule_marks = LOYALTY_MEMBER_LIST_MAX;
    shop.member.spent_total = 1;

    loyalty_rule_facts_t facts = {1, NULL, 0, &shop.count, NOW};
    assert_int_equal(loyalty_rules_fire(&shop.program, &shop.member, &facts,
                                        &shop.arena, &shop.messages, &shop.n),
                     LOYALTY_ERROR_LIMIT);
    assert_int_equal(shop.member.nrule_marks, LOYALTY_MEMBER_LIST_MAX);
    assert_int_equal(shop.member.version, 0);
    loyalty_arena_free(&shop.arena);
}

/* Three a week; a rule that is on and asks for consent, unless said. */
static void
what_has_come_due_may_be_blocked(void **state)
{
    static loyalty_rule_t rule = {.enabled = true,
                                  .filter = LOYALTY_RULE_OPTED_IN,
                                  .channel = LOYALTY_CHANNEL_EMAIL};
    static loyalty_rule_t off = {.channel = LOYALTY_CHANNEL_EMAIL};
    static const struct {
        loyalty_due_t due;
        bool consent, address, deleted;
        const char *result;
    } cases_due[] = {
        {{.by_rule = true, .rule = &rule}, true, true, false, "fired"},
        {{.by_rule = true, .rule = &rule}, false, true, false, "consent"},
        {{.by_rule = true, .rule = &rule}, true, false, false, "no_address"},
        {{.by_rule = true, .rule = &rule}, true, true, true, "deleted"},
        {{.by_rule = true, .rule = &off}, true, true, false, "rule_off"},
        {{.by_rule = true}, true, true, false, "rule_off"},
        {{.by_rule = true}, true, true, true, "deleted"},
        {{.by_rule = false}, false, true, false, "fired"},
        {{.opted_in = true}, false, true, false, "consent"},
        {{.unsubscribed = true}, false, true, false, "unsubscribed"},
        {{.unsubscribed = true}, true, true, false, "fired"},
        {{.recent = 2}, false, true, false, "fired"},
        {{.recent = 3}, false, true, false, "frequency_cap"},
        {{.recent = 3, .tried = true}, false, true, false, "fired"},
        {{.recent = 3}, false, false, false, "no_address"},
    };
    loyalty_program_t program = {
        .settings.messages = {.cap = 3, .cap_days = 7}};
    loyalty_member_t member;
    loyalty_due_t due;
    size_t i;

    (void)state;

    for (i = 0; i < COUNT(cases_due); i++) {
        loyalty_member_init(&member, loyalty_str("anna"));
        member.consent = cases_due[i].consent ? LOYALTY_CHANNEL_EMAIL : 0;
        member.email = cases_due[i].address ? loyalty_str("anna@example.com")
                                            : loyalty_str_null;
        member.deleted_at = cases_due[i].deleted ? NOW : LOYALTY_UNKNOWN;
        due = cases_due[i].due;
        due.channel = LOYALTY_CHANNEL_EMAIL;
        assert_string_equal(loyalty_rule_result_name(loyalty_due_check(
                                &program, &member, &due)),
                            cases_due[i].result);
    }

    program.settings.messages.cap = 0;
    due.recent = 1000;
    assert_int_equal(loyalty_due_check(&program, &member, &due),
                     LOYALTY_RULE_ADDRESS);
    assert_int_equal(loyalty_cap_since(&program, NOW),
                     NOW - INT64_C(604800000));
}

static void
the_points_of_a_rule_end_so_many_days_on(void **state)
{
    loyalty_rule_t rule = {.id = loyalty_str("r"), .points = 50};
    loyalty_grant_t grant;

    (void)state;

    loyalty_rule_grant(&rule, NOW, &grant);
    assert_int_equal(grant.amount, 50);
    assert_int_equal(grant.expires_at, LOYALTY_NEVER);
    assert_true(grant.earned);
    assert_false(grant.credits);

    rule.points_expire_days = 30;
    loyalty_rule_grant(&rule, NOW, &grant);
    assert_int_equal(grant.expires_at, NOW + INT64_C(2592000000));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_type_fires_when_it_should),
        cmocka_unit_test(an_order_fires_once),
        cmocka_unit_test(history_before_the_rule_counts),
        cmocka_unit_test(a_cancelled_order_withdraws_its_message),
        cmocka_unit_test(filters_and_reasons),
        cmocka_unit_test(past_64_bits_and_past_the_marks),
        cmocka_unit_test(what_has_come_due_may_be_blocked),
        cmocka_unit_test(the_points_of_a_rule_end_so_many_days_on),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
