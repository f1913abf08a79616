/*
 * core/loyalty_cart.c and loyalty_discount.c: DOMAIN.md section 7, sentence by
 * sentence.  All figures are worked out by hand.
 */

#include "pricing.h"

#define RATE "'preview': {'earning': {'rate': '0'}}, "
#define LINES(lines) RATE "'lines': [" lines "]"
#define LINE(sku, quantity, price)                                             \
    "{'sku': '" sku "', 'quantity': " #quantity ", 'unit_price': " #price "}"
#define FLOORED(sku, quantity, price, floor)                                   \
    "{'sku': '" sku "', 'quantity': " #quantity ", 'unit_price': " #price      \
    ", 'minimum_price': " #floor "}"
#define PROMO(id) "{'id': '" id "', 'type': 'promotion'"
#define PERCENT(value) ", 'discount': {'kind': 'percent', 'percent': '" value "'}"
#define AMOUNT(value) ", 'discount': {'kind': 'amount', 'amount': " #value "}"
#define EACH(value, most)                                                      \
    ", 'discount': {'kind': 'amount_each', 'amount': " #value                  \
    ", 'max_quantity': " #most "}"
#define BUY(x, y, percent)                                                     \
    ", 'discount': {'kind': 'buy_x_get_y', 'buy_quantity': " #x                \
    ", 'get_quantity': " #y ", 'percent': '" percent "'}"
#define PRODUCTS(skus) "{'kind': 'products', 'values': [" skus "]}"

typedef struct {
    const char *says;
    const char *offers;
    const char *cart;
    const char *quote;
} case_t;

static const case_t discounts[] = {
    {"a percentage is rounded half up once: 33.33 % of 1.50 is 0.499...95",
     PROMO("p") PERCENT("33.33") "}", LINES(LINE("a", 3, 50)), "100 [50] p:50"},
    {"10 % of 0.05 is half a cent, up",
     PROMO("p") PERCENT("10") "}", LINES(LINE("a", 1, 5)), "4 [1] p:1"},
    {"10 % of 0.04 is less than half a cent",
     PROMO("p") PERCENT("10") "}", "'explain': true, " LINES(LINE("a", 1, 4)),
     "4 [0] - p:nothing_left"},
    {"rounded once over the scope, not by line: 15 % of 0.30",
     PROMO("p") PERCENT("15") "}",
     LINES(LINE("a", 1, 10) "," LINE("b", 1, 10) "," LINE("c", 1, 10)),
     "25 [2 2 1] p:5"},
    {"the remainders go to the largest, ties to the earlier line",
     PROMO("p") AMOUNT(100) "}",
     LINES(LINE("a", 1, 100) "," LINE("b", 1, 100) "," LINE("c", 1, 100)),
     "200 [34 33 33] p:100"},
    {"an amount stops at what is left of its scope",
     PROMO("p") AMOUNT(500) ", 'scope': " PRODUCTS("'a'") "}",
     LINES(LINE("a", 1, 300) "," LINE("b", 1, 300)), "300 [300 0] p:300"},
    {"max_discount caps a percentage",
     PROMO("p") PERCENT("50") ", 'max_discount': 120}",
     LINES(LINE("a", 1, 1000)), "880 [120] p:120"},
    {"amount_each is never more than the price of the unit",
     PROMO("p") EACH(80, 99) "}", LINES(LINE("a", 2, 50) "," LINE("b", 1, 200)),
     "120 [100 80] p:180"},
    {"amount_each takes the cheapest units first, over the whole scope",
     PROMO("p") EACH(30, 3) "}",
     LINES(LINE("a", 2, 100) "," LINE("b", 2, 40)), "190 [30 60] p:90"},
    {"max_discount caps amount_each",
     PROMO("p") ", 'discount': {'kind': 'amount_each', 'amount': 30}"
     ", 'max_discount': 70}",
     LINES(LINE("a", 2, 100) "," LINE("b", 2, 40)), "210 [60 10] p:70"},
    {"what a line cannot take moves on in proportion",
     PROMO("p") AMOUNT(90) "}",
     LINES(FLOORED("a", 1, 100, 90) "," LINE("b", 1, 100) ","
           LINE("c", 1, 300)),
     "410 [10 20 60] p:90"},
    {"what none can take is not given",
     PROMO("p") PERCENT("50") "}",
     LINES(FLOORED("a", 2, 100, 90) "," FLOORED("b", 1, 100, 80)),
     "260 [20 20] p:40"},
    {"a minimum above the price leaves the line alone",
     PROMO("p") PERCENT("50") "}",
     LINES(FLOORED("a", 1, 100, 130) "," LINE("b", 1, 100)),
     "100 [0 100] p:100"},
    {"lines of no units or no price take nothing and harm nobody",
     PROMO("p") PERCENT("50") "}",
     LINES(LINE("a", 0, 100) "," LINE("b", 1, 0) "," LINE("c", 1, 100)),
     "50 [0 0 50] p:50"},
    {"nor is a line of no units in any scope: by SKU, pattern, category",
     PROMO("p") ", 'reward_points': 5, 'scope': " PRODUCTS("'a'") "},"
     PROMO("q") ", 'reward_points': 5, 'scope': {'kind': 'products',"
     "'patterns': ['a.*']}},"
     PROMO("r") ", 'reward_points': 5, 'scope': {'kind': 'categories',"
     "'values': ['home']}}," PROMO("s") ", 'reward_points': 25}",
     "'explain': true, " LINES("{'sku': 'a', 'category': 'home',"
     "'quantity': 0, 'unit_price': 100}, " LINE("b", 1, 70)),
     "70 [0 0] s:0 - p:scope_mismatch q:scope_mismatch r:scope_mismatch = 25"},
    {"points only", PROMO("p") ", 'reward_points': 25}",
     LINES(LINE("a", 1, 100)), "100 [0] p:0 = 25"},
};

static const case_t gifts[] = {
    {"dearest units qualify, the cheapest is discounted",
     PROMO("p") BUY(2, 1, "100") "}",
     LINES(LINE("a", 1, 30) "," LINE("b", 1, 10) "," LINE("c", 1, 20)),
     "50 [0 10 0] p:10"},
    {"whole groups only: five units make one group of three",
     PROMO("p") BUY(2, 1, "100") "}", LINES(LINE("a", 5, 10)),
     "40 [10] p:10"},
    {"as often as it goes",
     PROMO("p") BUY(1, 1, "50") "}", LINES(LINE("a", 6, 10)), "45 [15] p:15"},
    {"max_repeats",
     PROMO("p") ", 'discount': {'kind': 'buy_x_get_y', 'buy_quantity': 1,"
     "'get_quantity': 1, 'percent': '100', 'max_repeats': 2}}",
     LINES(LINE("a", 9, 10)), "70 [20] p:20"},
    {"of equal prices units outside get_scope qualify first",
     PROMO("p") ", 'discount': {'kind': 'buy_x_get_y', 'buy_quantity': 1,"
     "'get_quantity': 1, 'percent': '100', 'get_scope': "
     PRODUCTS("'a'") "}}",
     LINES(LINE("a", 1, 10) "," LINE("b", 1, 10)), "10 [10 0] p:10"},
    {"of equal prices the earlier line qualifies",
     PROMO("p") BUY(1, 1, "100") "}",
     LINES(LINE("a", 1, 10) "," LINE("b", 1, 10)), "10 [0 10] p:10"},
    {"half of 9.61 and of 8.85 is 9.23: the earlier line takes the odd cent",
     PROMO("p") BUY(1, 2, "50") "}",
     LINES(LINE("a", 1, 2000) "," LINE("b", 1, 961) "," LINE("c", 1, 885)),
     "2923 [0 481 442] p:923"},
    {"too few units", PROMO("p") BUY(2, 1, "100") "}",
     "'explain': true, " LINES(LINE("a", 2, 10)), "20 [0] - p:min_quantity"},
    {"nothing to get",
     PROMO("p") ", 'discount': {'kind': 'buy_x_get_y', 'buy_quantity': 1,"
     "'get_quantity': 1, 'percent': '100', 'get_scope': "
     PRODUCTS("'z'") "}}",
     "'explain': true, " LINES(LINE("a", 2, 10)), "20 [0] - p:scope_mismatch"},
    {"nothing to get comes before a minimum that is not reached, too",
     PROMO("p") ", 'min_spend': 100, 'discount': {'kind': 'buy_x_get_y',"
     "'buy_quantity': 1, 'get_quantity': 1, 'percent': '100', 'get_scope': "
     PRODUCTS("'z'") "}}",
     "'explain': true, " LINES(LINE("a", 2, 10)), "20 [0] - p:scope_mismatch"},
    {"and that minimum before too few units",
     PROMO("p") ", 'min_spend': 100" BUY(2, 1, "100") "}",
     "'explain': true, " LINES(LINE("a", 2, 10)), "20 [0] - p:min_spend"},
    {"no unit is used by two: 3 + 3 of 7, each gift at its whole price",
     PROMO("p") BUY(2, 1, "100") ", 'priority': 1, 'max_discount': 100},"
     PROMO("q") BUY(1, 1, "50") "}",
     LINES(LINE("a", 8, 100)), "650 [150] p:100 q:50"},
    {"the units of the first leave the second their own price",
     PROMO("p") ", 'priority': 1, 'discount': {'kind': 'buy_x_get_y',"
     "'buy_quantity': 1, 'get_quantity': 1, 'percent': '100',"
     "'max_repeats': 1}},"
     PROMO("q") BUY(1, 1, "100") "}",
     LINES(LINE("a", 4, 1000)), "2000 [2000] p:1000 q:1000"},
    {"a percentage between the two lies on all units alike: 40 - 10 = 30, "
     "- 10 %, of which the two units left have 18",
     PROMO("p") ", 'priority': 2, 'discount': {'kind': 'buy_x_get_y',"
     "'buy_quantity': 1, 'get_quantity': 1, 'percent': '100',"
     "'max_repeats': 1}},"
     PROMO("q") ", 'priority': 1" PERCENT("10") "},"
     PROMO("r") BUY(1, 1, "100") "}",
     LINES(LINE("a", 4, 1000)), "1800 [2200] p:1000 q:300 r:900"},
};

static const case_t conditions[] = {
    {"priority first, then type, then id; each to what is left",
     PROMO("b") AMOUNT(10) "}," PROMO("a") PERCENT("50") "},"
     PROMO("c") ", 'priority': 9" PERCENT("10") "}",
     LINES(LINE("x", 1, 200)), "80 [120] c:20 a:90 b:10"},
    {"min_spend is met by the undiscounted cart",
     PROMO("a") ", 'priority': 1" AMOUNT(60) "},"
     PROMO("b") ", 'min_spend': 100" AMOUNT(10) "}",
     LINES(LINE("x", 1, 100)), "30 [70] a:60 b:10"},
    {"with min_after_discounts by what is left",
     PROMO("a") ", 'priority': 1" AMOUNT(60) "},"
     PROMO("b") ", 'min_after_discounts': true, 'min_spend': 100"
     AMOUNT(10) "}",
     "'explain': true, " LINES(LINE("x", 1, 100)),
     "40 [60] a:60 - b:min_spend"},
    {"the boundary of min_spend counts, and one below does not",
     PROMO("a") ", 'min_spend': 100" AMOUNT(1) "},"
     PROMO("b") ", 'min_spend': 101" AMOUNT(1) "}",
     "'explain': true, " LINES(LINE("x", 1, 100)),
     "99 [1] a:1 - b:min_spend"},
    {"min_quantity over condition_scope",
     PROMO("a") ", 'min_quantity': 2, 'condition_scope': "
     PRODUCTS("'x'") AMOUNT(7) "}",
     LINES(LINE("x", 2, 10) "," LINE("y", 1, 80)), "93 [1 6] a:7"},
    {"nothing in the scope", PROMO("a") ", 'scope': " PRODUCTS("'z'")
     AMOUNT(7) "}", "'explain': true, " LINES(LINE("x", 1, 10)),
     "10 [0] - a:scope_mismatch"},
    {"an exclusive offer beats a higher priority",
     PROMO("a") ", 'priority': 9" AMOUNT(50) "},"
     PROMO("b") ", 'exclusive': true" AMOUNT(10) "}",
     "'explain': true, " LINES(LINE("x", 1, 100)),
     "90 [10] b:10 - a:excluded_by"},
    {"of exclusive ones the highest priority",
     PROMO("a") ", 'exclusive': true" AMOUNT(50) "},"
     PROMO("b") ", 'exclusive': true, 'priority': 1" AMOUNT(10) "}",
     "'explain': true, " LINES(LINE("x", 1, 100)),
     "90 [10] b:10 - a:excluded_by"},
    {"then the largest discount",
     PROMO("a") ", 'exclusive': true" AMOUNT(10) "},"
     PROMO("b") ", 'exclusive': true" AMOUNT(50) "}",
     "'explain': true, " LINES(LINE("x", 1, 100)),
     "50 [50] b:50 - a:excluded_by"},
    {"an exclusive one that is not eligible excludes nobody",
     PROMO("a") AMOUNT(10) "},"
     PROMO("b") ", 'exclusive': true, 'min_spend': 101" AMOUNT(50) "}",
     "'explain': true, " LINES(LINE("x", 1, 100)),
     "90 [10] a:10 - b:min_spend"},
    {"the category covers what lies below it",
     PROMO("a") ", 'scope': {'kind': 'categories', 'values': ['home']}"
     PERCENT("10") "}",
     LINES("{'sku': 'x', 'category': 'home/lamps', 'quantity': 1,"
           "'unit_price': 100}, {'sku': 'y', 'category': 'homeless',"
           "'quantity': 1, 'unit_price': 100}"),
     "190 [10 0] a:10"},
    {"a line counts once, though a category and one above it are named",
     PROMO("a") ", 'scope': {'kind': 'categories', 'values': ['home',"
     "'home/lamps']}, 'min_spend': 101" AMOUNT(7) "},"
     PROMO("b") ", 'scope': {'kind': 'categories', 'values': ['home',"
     "'home/lamps']}, 'min_quantity': 1" AMOUNT(7) "}",
     "'explain': true, " LINES("{'sku': 'x', 'category': 'home/lamps',"
                               "'quantity': 1, 'unit_price': 100}"),
     "93 [7] b:7 - a:min_spend"},
    {"and where its SKU is named and fits a pattern too",
     PROMO("a") ", 'scope': {'kind': 'products', 'values': ['y1', 'z'],"
     "'patterns': ['y.', 'z']}, 'min_spend': 301" AMOUNT(7) "},"
     PROMO("b") ", 'scope': {'kind': 'products', 'values': ['y1', 'z'],"
     "'patterns': ['y.', 'z']}, 'min_spend': 300" AMOUNT(30) "}",
     "'explain': true, " LINES(LINE("y2", 1, 100) "," LINE("x", 1, 500) ","
                               LINE("y1", 1, 100) "," LINE("z", 1, 100)),
     "770 [10 0 10 10] b:30 - a:min_spend"},
    {"the first reason that holds: status before segment",
     PROMO("a") ", 'statuses': ['s'], 'segments': ['vip'], 'groups': ['g']"
     AMOUNT(1) "}",
     "'explain': true, 'member': {}, " LINES(LINE("x", 1, 10)),
     "10 [0] - a:status"},
    {"segment before group",
     PROMO("a") ", 'statuses': ['s'], 'segments': ['vip'], 'groups': ['g']"
     AMOUNT(1) "}",
     "'explain': true, 'member': {'status': 's'}, " LINES(LINE("x", 1, 10)),
     "10 [0] - a:segment"},
    {"group before order_number",
     PROMO("a") ", 'segments': ['vip'], 'groups': ['g'], 'order_number': 2"
     AMOUNT(1) "}",
     "'explain': true, 'member': {'segments': ['new', 'vip']}, "
     LINES(LINE("x", 1, 10)), "10 [0] - a:group"},
    {"a member's second order",
     PROMO("a") ", 'order_number': 2" AMOUNT(1) "}",
     "'member': {'order_count': 1}, " LINES(LINE("x", 1, 10)),
     "9 [1] a:1"},
    {"a new member's first",
     PROMO("a") ", 'order_number': 1" AMOUNT(1) "}",
     "'member': {'id': 'm'}, " LINES(LINE("x", 1, 10)), "9 [1] a:1"},
    {"a guest has no number of orders",
     PROMO("a") ", 'order_number': 1" AMOUNT(1) "}",
     "'explain': true, " LINES(LINE("x", 1, 10)),
     "10 [0] - a:order_number"},
    {"the window is closed at its end and open at its start",
     PROMO("a") ", 'starts_at': 1000" AMOUNT(1) "},"
     PROMO("b") ", 'ends_at': 1000" AMOUNT(1) "},"
     PROMO("c") ", 'starts_at': 1001" AMOUNT(1) "}",
     "'explain': true, 'at': 1000, " LINES(LINE("x", 1, 10)),
     "9 [1] a:1 - b:expired c:not_started"},
    {"a draft is for nobody",
     PROMO("a") ", 'state': 'draft'" AMOUNT(1) "}",
     "'explain': true, " LINES(LINE("x", 1, 10)), "10 [0] - a:not_published"},
};

#define COUPON(id, code) "{'id': '" id "', 'type': 'coupon', 'code': '" code "'"

static const case_t brought[] = {
    {"the shopper hears of codes, not of promotions",
     COUPON("c", "NOW") ", 'min_spend': 99" AMOUNT(1) "},"
     PROMO("p") ", 'min_spend': 99" AMOUNT(1) "}",
     "'codes': ['now', 'NOW', 'never'], " LINES(LINE("x", 1, 10)),
     "10 [0] - never:not_found c:min_spend"},
    {"several codes apply, each once",
     COUPON("c", "A1") AMOUNT(1) "}," COUPON("d", "B2") AMOUNT(2) "}",
     "'codes': ['b2', 'a1', 'A1'], " LINES(LINE("x", 1, 10)),
     "7 [3] c:1 d:2"},
    {"blanks that come with a code are none of it",
     COUPON("c", "A-1") AMOUNT(1) "},"
     "{'id': 'd', 'type': 'coupon', 'code_pattern': 'OWN-######'" AMOUNT(2) "}",
     "'codes': [' a - 1\\n', 'A-1', '\\u00a0own-222222 ', 'A1', ' '],"
     "'member': {'entitlements': [{'id': 'e', 'offer_id': 'd',"
     "'applied': false, 'code': 'OWN-222222'}]}, " LINES(LINE("x", 1, 10)),
     "7 [3] c:1 d:2 - A1:not_found  :not_found"},
    {"types in order: promotion, clubcard, punchcard, reward, coupon",
     COUPON("a", "A") AMOUNT(1) "},"
     "{'id': 'b', 'type': 'reward'" AMOUNT(1) "},"
     "{'id': 'c', 'type': 'punchcard', 'stamps_required': 5" AMOUNT(1) "},"
     "{'id': 'd', 'type': 'clubcard'" AMOUNT(1) "}," PROMO("e") AMOUNT(1) "}",
     "'codes': ['A'], 'member': {'entitlements': [{'offer_id': 'b'},"
     "{'offer_id': 'c'}, {'offer_id': 'd'}]}, " LINES(LINE("x", 1, 10)),
     "5 [5] e:1 d:1 c:1 b:1 a:1"},
    {"entries: redeemed, held, expired, unknown; not full; not applied",
     "{'id': 'r', 'type': 'reward'" AMOUNT(1) "},"
     "{'id': 's', 'type': 'punchcard', 'stamps_required': 5" AMOUNT(1) "}",
     "'at': 1000, 'member': {'entitlements': ["
     "{'id': 'e1', 'offer_id': 'r', 'redeemed': true},"
     "{'id': 'e2', 'offer_id': 'r', 'held': true},"
     "{'id': 'e3', 'offer_id': 'r', 'expires_at': 1000},"
     "{'id': 'e4', 'offer_id': 'z'},"
     "{'id': 'e5', 'offer_id': 's', 'uses': 0},"
     "{'id': 'e6', 'offer_id': 'r', 'applied': false}]}, "
     LINES(LINE("x", 1, 10)),
     "10 [0] - z:not_found r:already_redeemed r:held_elsewhere r:expired"},
    {"an unpublished offer still serves those who own it",
     "{'id': 'r', 'type': 'reward', 'state': 'draft'" AMOUNT(1) "}",
     "'member': {'entitlements': [{'offer_id': 'r'}]}, "
     LINES(LINE("x", 1, 10)), "9 [1] r:1"},
    {"one code brings one of two entries",
     COUPON("c", "A1") AMOUNT(1) "}",
     "'codes': ['a1'], 'member': {'entitlements': ["
     "{'id': 'e1', 'offer_id': 'c', 'applied': false, 'redeemed': true},"
     "{'id': 'e2', 'offer_id': 'c', 'applied': false},"
     "{'id': 'e3', 'offer_id': 'c', 'applied': false}]}, "
     LINES(LINE("x", 1, 10)), "9 [1] c:1"},
    {"two entries of one offer that a member may use once",
     "{'id': 'r', 'type': 'reward', 'limit_per_member': 1" AMOUNT(1) "}",
     "'member': {'entitlements': [{'id': 'e1', 'offer_id': 'r'},"
     "{'id': 'e2', 'offer_id': 'r'}]}, " LINES(LINE("x", 1, 10)),
     "9 [1] r:1 - r:limit_per_member"},
    {"two entries of one offer whose budget is for one and a half",
     "{'id': 'r', 'type': 'clubcard', 'budget_total': 600"
     PERCENT("40") "}",
     "'member': {'entitlements': [{'id': 'e1', 'offer_id': 'r'},"
     "{'id': 'e2', 'offer_id': 'r'}]}, " LINES(LINE("x", 1, 1000)),
     "600 [400] r:400 - r:budget"},
};

static void
price(const case_t *test, const char *currency)
{
    char text[1024], *list;
    loyalty_problems_t problems;
    loyalty_program_t *program;
    loyalty_quote_t quote;
    loyalty_arena_t arena;
    loyalty_cart_t cart;
    json_t *offers, *request;

    list = malloc(strlen(test->offers) + strlen(test->cart) + 8);
    sprintf(list, "[%s]", test->offers);
    offers = json_of(list);
    sprintf(list, "{%s}", test->cart);
    request = json_of(list);
    free(list);

    loyalty_arena_init(&arena, 0);
    loyalty_problems_init(&problems, &arena);
    program = site_with(currency, offers);

    if (loyalty_cart_parse(request, program, NULL, 0, &arena, &problems, &cart)
        != LOYALTY_OK) {
        fail_msg("%s: %s %s", test->says, problems.list[0].pointer.data,
                 problems.list[0].message.data);
    }

    assert_int_equal(loyalty_cart_evaluate(program, &cart, &arena, &quote),
                     LOYALTY_OK);
    write_quote(&cart, &quote, text, sizeof(text));
    if (strcmp(text, test->quote) != 0) {
        fail_msg("%s: %s, not %s", test->says, text, test->quote);
    }

    loyalty_program_free(program);
    loyalty_arena_free(&arena);
    json_decref(offers);
    json_decref(request);
}

static void
price_all(const case_t *cases, size_t n)
{
    size_t i;

    for (i = 0; i < n; i++) {
        price(&cases[i], "GBP");
    }
}

static void
discounts_by_kind(void **state)
{
    (void)state;
    price_all(discounts, COUNT(discounts));
}

static void
units_for_units(void **state)
{
    (void)state;
    price_all(gifts, COUNT(gifts));
}

static void
conditions_and_order(void **state)
{
    (void)state;
    price_all(conditions, COUNT(conditions));
}

static void
what_the_shopper_brings(void **state)
{
    (void)state;
    price_all(brought, COUNT(brought));
}

#define USES(uses) "'explain': true, 'preview': {'earning': {'rate': '0'},"    \
                   "'usage': {'p': {" uses "}}}, 'lines': ["                   \
                   LINE("x", 1, 1000) "]"

static void
limits_and_budgets(void **state)
{
    static const case_t cases[] = {
        {"one use left of all", PROMO("p") ", 'limit_total': 5" AMOUNT(9) "}",
         USES("'total': 4"), "991 [9] p:9"},
        {"none left", PROMO("p") ", 'limit_total': 5" AMOUNT(9) "}",
         USES("'total': 5"), "1000 [0] - p:limit_total"},
        {"the member's last", PROMO("p") ", 'limit_per_member': 2" AMOUNT(9) "}",
         USES("'member': 1"), "991 [9] p:9"},
        {"the member has had them",
         PROMO("p") ", 'limit_per_member': 2" AMOUNT(9) "}",
         USES("'total': 9, 'member': 2"), "1000 [0] - p:limit_per_member"},
        {"the budget to the penny", PROMO("p") ", 'budget_total': 100"
         AMOUNT(9) "}", USES("'spent': 91"), "991 [9] p:9"},
        {"a penny over the budget", PROMO("p") ", 'budget_total': 100"
         AMOUNT(9) "}", USES("'spent': 92"), "1000 [0] - p:budget"},
        {"what waits for its turn is told first what comes first",
         PROMO("p") ", 'budget_total': 9, 'limit_total': 1, 'min_spend': 2000,"
         "'min_after_discounts': true" AMOUNT(9) "}",
         USES("'total': 1, 'spent': 99"), "1000 [0] - p:min_spend"},
        {"its limits, when another applies alone",
         PROMO("p") ", 'limit_total': 1, 'min_spend': 900,"
         "'min_after_discounts': true" AMOUNT(9) "}," PROMO("q")
         ", 'exclusive': true" AMOUNT(7) "}",
         USES("'total': 1"), "993 [7] q:7 - p:limit_total"},
        {"but what the whole cart does not reach, no rest of it does",
         PROMO("p") ", 'limit_total': 1, 'min_spend': 2000,"
         "'min_after_discounts': true" AMOUNT(9) "}," PROMO("q")
         ", 'exclusive': true" AMOUNT(7) "}",
         USES("'total': 1"), "993 [7] q:7 - p:min_spend"},
    };

    (void)state;
    price_all(cases, COUNT(cases));
}

/* Each line fits the limits of its fields; their amounts do not fit 64 bits. */
static void
more_than_can_be_computed_is_an_overflow(void **state)
{
    static const char *const carts[] = {
        "{'lines': [" LINE("x", 1000000000, 1000000000000000) "]}",
        "{'lines': [" FLOORED("x", 1000000000, 1000000000000000,
                              999999999999999) "]}",
        "{'lines': [" LINE("x", 9000, 1000000000000000) ","
        LINE("y", 9000, 1000000000000000) "]}",
    };
    loyalty_problems_t problems;
    loyalty_program_t *program;
    loyalty_quote_t quote;
    loyalty_arena_t arena;
    loyalty_cart_t cart;
    json_t *offers, *request;
    size_t i;

    (void)state;

    offers = json_of("[" PROMO("p") PERCENT("10") "}]");
    program = site_with("GBP", offers);

    for (i = 0; i < COUNT(carts); i++) {
        loyalty_arena_init(&arena, 0);
        loyalty_problems_init(&problems, &arena);
        request = json_of(carts[i]);
        assert_int_equal(loyalty_cart_parse(request, program, NULL, 0, &arena,
                                            &problems, &cart),
                         LOYALTY_OK);
        assert_int_equal(loyalty_cart_evaluate(program, &cart, &arena, &quote),
                         LOYALTY_ERROR_OVERFLOW);
        json_decref(request);
        loyalty_arena_free(&arena);
    }

    loyalty_program_free(program);
    json_decref(offers);
}

static void
points_of_every_currency(void **state)
{
#define EARN(rate, multiplier, price)                                          \
    "'preview': {'earning': {'rate': '" rate "', 'multiplier': '" multiplier   \
    "'}}, 'lines': [" LINE("x", 1, price) "]"
    static const case_t pounds = {"2.99 at 1.5 points, doubled: 8.97", "",
                                  EARN("1.5", "2", 299), "299 [0] = 8"};
    static const case_t yen = {"299 at 0.01 points: 2.99", "",
                               EARN("0.01", "1", 299), "299 [0] = 2"};
    static const case_t dinars = {"2.999 at 1 point", "",
                                  EARN("1", "1", 2999), "2999 [0] = 2"};

    (void)state;
    price(&pounds, "GBP");
    price(&yen, "JPY");
    price(&dinars, "KWD");
}

static void
every_mistake_of_a_request_has_its_place(void **state)
{
    static const struct {
        const char *request, *places;
    } cases[] = {
        {"{'member': {'segments': 'vip'}}", "/member/segments"},
        {"{'member': {'segments': ['vip', 'old', 7]}}",
         "/member/segments /member/segments"},
        {"{'member': {'groups': 'g'}}", "/member/groups"},
        {"{'member': {'points': -1, 'order_count': -1}}",
         "/member/order_count /member/points"},
        {"{'member': {'entitlements': [{'id': 'e', 'uses': -1}]}}",
         "/member/entitlements/0/offer_id /member/entitlements/0/uses"},
        {"{'codes': 'A'}", "/codes"},
        {"{'codes': ['A', 1]}", "/codes"},
        {"{'preview': {'usage': []}}", "/preview/usage"},
        {"{'preview': {'usage': {'p': {'total': -1}}}}",
         "/preview/usage/p/total"},
        {"{'preview': {'offers': {}}}", "/preview/offers"},
        {"{'preview': {'earning': {'rate': '1.00001'}}}",
         "/preview/earning/rate"},
        {"{'currency': 'EUR'}", "/currency"},
        {"{'member_id': 'a', 'member': {}}", "/member"},
        {"{'lines': [{'sku': 'a', 'quantity': -1, 'unit_price': -1}]}",
         "/lines/0/quantity /lines/0/unit_price"},
        {"{'lines': [{}]}",
         "/lines/0/sku /lines/0/quantity /lines/0/unit_price"},
    };
    json_t *none = json_array(), *request;
    loyalty_problems_t problems;
    loyalty_program_t *program;
    loyalty_arena_t arena;
    loyalty_cart_t cart;
    char places[512];
    size_t i, k;

    (void)state;

    program = site_with("GBP", none);
    json_decref(none);

    for (i = 0; i < COUNT(cases); i++) {
        loyalty_arena_init(&arena, 0);
        loyalty_problems_init(&problems, &arena);
        request = json_of(cases[i].request);
        assert_int_equal(loyalty_cart_parse(request, program, NULL, 0, &arena,
                                            &problems, &cart),
                         LOYALTY_ERROR_INVALID);
        for (places[0] = '\0', k = 0; k < problems.count; k++) {
            add_text(places, sizeof(places), "%s%.*s", k == 0 ? "" : " ",
                     (int)problems.list[k].pointer.len,
                     problems.list[k].pointer.data);
        }
        if (strcmp(places, cases[i].places) != 0) {
            fail_msg("%s: %s", cases[i].request, places);
        }
        json_decref(request);
        loyalty_arena_free(&arena);
    }

    loyalty_program_free(program);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_mistake_of_a_request_has_its_place),
        cmocka_unit_test(discounts_by_kind),
        cmocka_unit_test(units_for_units),
        cmocka_unit_test(conditions_and_order),
        cmocka_unit_test(what_the_shopper_brings),
        cmocka_unit_test(limits_and_budgets),
        cmocka_unit_test(more_than_can_be_computed_is_an_overflow),
        cmocka_unit_test(points_of_every_currency),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
