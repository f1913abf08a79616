/*
 * core/loyalty_offer_parse.c, loyalty_rule_parse.c: offers and reward rules
 * of a program (DOMAIN.md sections 7 and 8).
 */

#include "reading.h"

#include "loyalty_offer.h"
#include "loyalty_rule.h"

#define OFFERS(offers) "{" SETTINGS ",\"offers\":[" offers "]}"

static void
an_offer_has_its_defaults(void **state)
{
    reading_t reading;
    loyalty_program_t *program = read_text(&reading, OFFERS(
        "{\"id\":\"a\",\"type\":\"promotion\"}"));
    const loyalty_offer_t *offer;

    (void)state;

    assert_non_null(program);
    assert_int_equal(program->noffers, 1);
    offer = program->offers[0];
    assert_text(offer->id, "a");
    assert_text(loyalty_text(&offer->name, loyalty_str("en")), "a");
    assert_true(offer->published);
    assert_true(offer->starts_at == LOYALTY_UNKNOWN);
    assert_true(offer->ends_at == LOYALTY_NEVER);
    assert_int_equal(offer->scope.kind, LOYALTY_SCOPE_SITE);
    assert_int_equal(offer->discount.kind, LOYALTY_DISCOUNT_NONE);
    assert_int_equal(offer->max_discount, 0);
    assert_int_equal(offer->loyalty_price, 0);
    assert_int_equal(offer->order_number, 0);
    assert_int_equal(offer->limit_total, 0);
    assert_int_equal(offer->nstatuses + offer->ngroups, 0);
    assert_int_equal(offer->segments, 0);
    assert_false(offer->exclusive);
    done(&reading);
}

static void
an_offer_is_read_whole(void **state)
{
    reading_t reading;
    loyalty_program_t *program = read_text(&reading, OFFERS(
        "{\"id\":\"a\",\"type\":\"coupon\",\"name\":{\"en\":\"A\"},"
        "\"image\":\"/a.png\",\"state\":\"draft\","
        "\"starts_at\":\"2026-01-01T01:30:00+01:30\","
        "\"ends_at\":1767225600001,\"loyalty_price\":500,"
        "\"reward_points\":20,\"max_discount\":900,"
        "\"discount\":{\"kind\":\"buy_x_get_y\",\"buy_quantity\":2,"
        "\"get_quantity\":1,\"max_repeats\":4,"
        "\"buy_scope\":{\"kind\":\"categories\",\"values\":[\"a/b\"]}},"
        "\"scope\":{\"kind\":\"products\",\"values\":[\"x\",\"y\",\"z\"],"
        "\"patterns\":[\"TEE-(S|M)\"]},"
        "\"condition_scope\":{\"kind\":\"site\"},\"min_spend\":1000,"
        "\"min_quantity\":3,\"min_after_discounts\":true,"
        "\"order_number\":2,\"statuses\":[\"gold\",\"silver\"],"
        "\"segments\":[\"vip\",\"new\"],\"groups\":[\"g1\"],"
        "\"limit_total\":100,\"limit_per_member\":2,"
        "\"budget_total\":50000,\"priority\":-7,\"exclusive\":true,"
        "\"code\":\"Gift!\",\"code_pattern\":\"G-@@@###\"}"));
    const loyalty_offer_t *offer;
    size_t i;

    (void)state;

    assert_non_null(program);
    offer = loyalty_program_offer(program, loyalty_str("a"));
    assert_non_null(offer);
    assert_null(loyalty_program_offer(program, loyalty_str("b")));
    assert_int_equal(offer->type, LOYALTY_OFFER_COUPON);
    assert_false(offer->published);
    assert_int_equal(offer->starts_at, 1767225600000); /* GNU date */
    assert_int_equal(offer->ends_at, 1767225600001);
    assert_int_equal(offer->loyalty_price, 500);
    assert_int_equal(offer->reward_points, 20);
    assert_int_equal(offer->max_discount, 900);
    assert_int_equal(offer->discount.kind, LOYALTY_DISCOUNT_BUY_X_GET_Y);
    assert_int_equal(offer->discount.buy_quantity, 2);
    assert_int_equal(offer->discount.get_quantity, 1);
    assert_int_equal(offer->discount.percent, 10000);
    assert_int_equal(offer->discount.max_repeats, 4);
    assert_int_equal(offer->discount.buy_scope->kind,
                     LOYALTY_SCOPE_CATEGORIES);
    assert_ptr_equal(offer->discount.get_scope, &offer->scope);
    assert_int_equal(offer->condition_scope.kind, LOYALTY_SCOPE_SITE);
    assert_int_equal(offer->min_spend, 1000);
    assert_int_equal(offer->min_quantity, 3);
    assert_true(offer->min_after_discounts);
    assert_int_equal(offer->order_number, 2);
    assert_text(offer->statuses[1], "silver");
    assert_int_equal(offer->segments,
                     LOYALTY_SEGMENT_VIP | LOYALTY_SEGMENT_NEW);
    assert_text(offer->groups[0], "g1");
    assert_int_equal(offer->limit_total, 100);
    assert_int_equal(offer->limit_per_member, 2);
    assert_int_equal(offer->budget_total, 50000);
    assert_int_equal(offer->priority, -7);
    assert_true(offer->exclusive);
    assert_text(offer->code, "Gift!");
    assert_text(offer->code_pattern, "G-@@@###");

    assert_int_equal(offer->scope.nvalues, 3);
    for (i = 0; i < 3; i++) {
        assert_true(offer->scope.hashes[i]
                    == loyalty_sku_hash(offer->scope.values[i]));
        assert_true(i == 0
                    || offer->scope.hashes[i - 1] <= offer->scope.hashes[i]);
    }
    assert_true(loyalty_scope_covers(&offer->scope, loyalty_str("TEE-M"),
                                     loyalty_sku_hash(loyalty_str("TEE-M")),
                                     loyalty_str("")));
    assert_false(loyalty_scope_covers(&offer->scope, loyalty_str("TEE-ML"),
                                      loyalty_sku_hash(loyalty_str("TEE-ML")),
                                      loyalty_str("")));
    done(&reading);
}

/* DOMAIN.md section 7, step 2: priority, then type, then id. */
static void
offers_stand_in_the_order_of_evaluation(void **state)
{
    static const char *const order[] = {"z", "b", "y", "x", "w", "v"};
    reading_t reading;
    loyalty_program_t *program = read_text(&reading, OFFERS(
        "{\"id\":\"v\",\"type\":\"coupon\"},"
        "{\"id\":\"w\",\"type\":\"reward\"},"
        "{\"id\":\"x\",\"type\":\"punchcard\",\"stamps_required\":1},"
        "{\"id\":\"y\",\"type\":\"clubcard\"},"
        "{\"id\":\"b\",\"type\":\"promotion\"},"
        "{\"id\":\"z\",\"type\":\"coupon\",\"priority\":1}"));
    size_t i;

    (void)state;

    assert_non_null(program);
    for (i = 0; i < COUNT(order); i++) {
        assert_text(program->offers[i]->id, order[i]);
        assert_ptr_equal(loyalty_program_offer(program,
                                               loyalty_str_from(order[i])),
                         program->offers[i]);
    }
    done(&reading);
}

static void
mistakes_in_offers_are_told(void **state)
{
    (void)state;

    PROBLEMS(OFFERS("{}"), "/offers/0/id", "/offers/0/type");
    PROBLEMS(OFFERS("{\"id\":\"a\",\"type\":\"gift\",\"code\":\"a b\","
                    "\"scope\":{\"kind\":\"shop\",\"values\":[]},"
                    "\"discount\":{\"kind\":\"half\",\"percent\":\"1\"}}"),
             "/offers/0/type", "/offers/0/code", "/offers/0/scope/kind",
             "/offers/0/discount/kind");
    PROBLEMS(OFFERS("{\"id\":\"a\",\"type\":\"promotion\",\"code\":\"a\","
                    "\"code_pattern\":\"######\",\"loyalty_price\":0,"
                    "\"stamps_required\":2,\"stamp_per\":\"unit\"},"
                    "{\"id\":\"b\",\"type\":\"punchcard\"}"),
             "/offers/0/code", "/offers/0/code_pattern",
             "/offers/0/loyalty_price", "/offers/0/stamps_required",
             "/offers/0/stamp_per", "/offers/1/stamps_required");
    PROBLEMS(OFFERS("{\"id\":\"a\",\"type\":\"promotion\",\"discount\":"
                    "{\"percent\":\"5\"}},{\"id\":\"b\",\"type\":"
                    "\"promotion\",\"discount\":{\"kind\":\"percent\","
                    "\"amount\":5}},{\"id\":\"c\",\"type\":\"promotion\","
                    "\"discount\":{\"kind\":\"percent\",\"percent\":"
                    "\"100.01\"}},{\"id\":\"d\",\"type\":\"promotion\","
                    "\"discount\":{\"kind\":\"amount\",\"amount\":1.5}},"
                    "{\"id\":\"e\",\"type\":\"promotion\",\"discount\":"
                    "{\"kind\":\"buy_x_get_y\",\"buy_quantity\":0}}"),
             "/offers/0/discount/kind", "/offers/1/discount/percent",
             "/offers/1/discount/amount", "/offers/2/discount/percent",
             "/offers/3/discount/amount", "/offers/4/discount/buy_quantity",
             "/offers/4/discount/get_quantity");
    PROBLEMS(OFFERS("{\"id\":\"a\",\"type\":\"promotion\",\"scope\":"
                    "{\"kind\":\"categories\",\"values\":[\"/a\",\"a\","
                    "\"a\"]},\"condition_scope\":{\"kind\":\"products\","
                    "\"patterns\":[\"a(\"]}},{\"id\":\"b\",\"type\":"
                    "\"promotion\",\"scope\":{\"kind\":\"site\","
                    "\"values\":[\"a\"]},\"condition_scope\":"
                    "{\"kind\":\"products\"}}"),
             "/offers/0/scope/values/0", "/offers/0/scope/values/2",
             "/offers/0/condition_scope/patterns/0",
             "/offers/1/scope/values", "/offers/1/condition_scope/values");
    PROBLEMS(OFFERS("{\"id\":\"a\",\"type\":\"coupon\",\"code\":\"GO\","
                    "\"statuses\":[\"gold\",\"lead\"],\"segments\":"
                    "[\"poor\"],\"starts_at\":5,\"ends_at\":5},"
                    "{\"id\":\"a\",\"type\":\"coupon\",\"code\":\"go\","
                    "\"ends_at\":\"2026-02-29T00:00:00Z\"}"),
             "/offers/0/statuses/1", "/offers/0/segments/0",
             "/offers/0/ends_at", "/offers/1/id", "/offers/1/code",
             "/offers/1/ends_at");
}

static void
limits_of_offers_and_rules_are_kept(void **state)
{
    char *text;

    (void)state;

    text = repeat("{" SETTINGS ",\"offers\":[", "7",
                  LOYALTY_PROGRAM_OFFERS_MAX + 1, "]}");
    PROBLEMS(text, "/offers");
    free(text);

    text = repeat("{" SETTINGS ",\"rules\":[", "7",
                  LOYALTY_PROGRAM_RULES_MAX + 1, "]}");
    PROBLEMS(text, "/rules");
    free(text);

    text = repeat("{" SETTINGS ",\"offers\":[{\"id\":\"a\",\"type\":"
                  "\"promotion\",\"scope\":{\"kind\":\"products\","
                  "\"values\":[", "\"a\"", LOYALTY_SCOPE_VALUES_MAX + 1,
                  "]}}]}");
    PROBLEMS(text, "/offers/0/scope/values");
    free(text);

    text = repeat("{" SETTINGS ",\"offers\":[{\"id\":\"a\",\"type\":"
                  "\"promotion\",\"scope\":{\"kind\":\"products\","
                  "\"patterns\":[", "\"a\"", LOYALTY_SCOPE_PATTERNS_MAX + 1,
                  "]}}]}");
    PROBLEMS(text, "/offers/0/scope/patterns");
    free(text);

    text = repeat("{" SETTINGS ",\"offers\":[{\"id\":\"a\",\"type\":"
                  "\"promotion\",\"groups\":[", "\"a\"",
                  LOYALTY_OFFER_GROUPS_MAX + 1, "]}]}");
    PROBLEMS(text, "/offers/0/groups");
    free(text);

    PROBLEMS(OFFERS("{\"id\":\"a\",\"type\":\"punchcard\","
                    "\"stamps_required\":10001,\"priority\":1000001,"
                    "\"min_spend\":1000000000000001}"),
             "/offers/0/stamps_required", "/offers/0/priority",
             "/offers/0/min_spend");
}

#define TEMPLATES                                                             \
    "\"templates\":[{\"id\":\"m\",\"channel\":\"email\",\"text\":\"x\"},"     \
    "{\"id\":\"s\",\"channel\":\"sms\",\"text\":\"x\"}],"                     \
    "\"offers\":[{\"id\":\"p\",\"type\":\"promotion\"},"                      \
    "{\"id\":\"c\",\"type\":\"coupon\"}]"

#define RULES(rules) "{" SETTINGS "," TEMPLATES ",\"rules\":[" rules "]}"

static void
rules_are_read(void **state)
{
    reading_t reading;
    loyalty_program_t *program = read_text(&reading, RULES(
        "{\"id\":\"a\",\"type\":\"bogo\",\"threshold\":3,\"repeat\":true,"
        "\"products\":[\"z\",\"a\",\"m\"],\"channel\":\"email\","
        "\"subject\":\"Hi\",\"template\":\"m\",\"delay\":60,"
        "\"sender_address\":\"a@b.example\",\"enabled\":false,"
        "\"filter\":\"all\",\"gives\":{\"points\":9,"
        "\"points_expire_days\":30}},"
        "{\"id\":\"b\",\"type\":\"spent_average\",\"threshold\":100,"
        "\"channel\":\"sms\",\"template\":\"s\","
        "\"gives\":{\"offer\":\"c\"}}"));
    const loyalty_rule_t *rule;

    (void)state;

    assert_non_null(program);
    rule = loyalty_program_rule(program, loyalty_str("a"));
    assert_non_null(rule);
    assert_text(rule->name, "a");
    assert_false(rule->enabled);
    assert_int_equal(rule->filter, LOYALTY_RULE_ALL);
    assert_int_equal(rule->type, LOYALTY_RULE_BOGO);
    assert_int_equal(rule->threshold, 3);
    assert_true(rule->repeat);
    assert_int_equal(rule->delay, 60 * LOYALTY_SECOND);
    assert_int_equal(rule->points, 9);
    assert_int_equal(rule->points_expire_days, 30);
    assert_true(loyalty_rule_covers(rule, loyalty_str("a")));
    assert_true(loyalty_rule_covers(rule, loyalty_str("z")));
    assert_false(loyalty_rule_covers(rule, loyalty_str("b")));

    rule = loyalty_program_rule(program, loyalty_str("b"));
    assert_true(rule->enabled);
    assert_int_equal(rule->filter, LOYALTY_RULE_OPTED_IN);
    assert_int_equal(rule->channel, LOYALTY_CHANNEL_SMS);
    assert_text(rule->offer, "c");
    assert_true(loyalty_rule_covers(rule, loyalty_str("anything")));
    assert_string_equal(loyalty_rule_type_name(rule->type), "spent_average");
    assert_null(loyalty_program_rule(program, loyalty_str("c")));
    done(&reading);
}

static void
mistakes_in_rules_are_told(void **state)
{
    (void)state;

    PROBLEMS(RULES("{}"), "/rules/0/id", "/rules/0/type",
             "/rules/0/threshold", "/rules/0/channel", "/rules/0/template");
    PROBLEMS(RULES("{\"id\":\"a\",\"type\":\"spent_all\",\"threshold\":0,"
                   "\"repeat\":true,\"channel\":\"sms\",\"subject\":\"x\","
                   "\"template\":\"none\",\"delay\":31622401,"
                   "\"products\":[\"\"],\"gives\":{\"offer\":\"none\","
                   "\"points_expire_days\":3}}"),
             "/rules/0/threshold", "/rules/0/repeat", "/rules/0/subject",
             "/rules/0/template", "/rules/0/delay", "/rules/0/products/0",
             "/rules/0/gives/offer", "/rules/0/gives/points_expire_days");
    PROBLEMS(RULES("{\"id\":\"a\",\"type\":\"bogo\",\"threshold\":1,"
                   "\"channel\":\"email\",\"template\":\"m\","
                   "\"sender_address\":\"shop\",\"gives\":{\"points\":1,"
                   "\"offer\":\"p\"}},{\"id\":\"a\",\"type\":\"bogo\","
                   "\"threshold\":1,\"channel\":\"email\","
                   "\"template\":\"s\"}"),
             "/rules/0/subject", "/rules/0/sender_address",
             "/rules/0/gives/offer", "/rules/0/gives/offer", "/rules/1/id",
             "/rules/1/template");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_offer_has_its_defaults),
        cmocka_unit_test(an_offer_is_read_whole),
        cmocka_unit_test(offers_stand_in_the_order_of_evaluation),
        cmocka_unit_test(mistakes_in_offers_are_told),
        cmocka_unit_test(limits_of_offers_and_rules_are_kept),
        cmocka_unit_test(rules_are_read),
        cmocka_unit_test(mistakes_in_rules_are_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
