// link: -Wl,--wrap=loyalty_alloc,--wrap=loyalty_str_copy,--wrap=malloc
// link: -Wl,--wrap=calloc,--wrap=realloc
/*
 * Memory that ends at any point: the arena is bounded at every 16 bytes, from
 * nothing up to enough, and each time the answer is LOYALTY_ERROR_MEMORY, with
 * nothing changed, or the whole result.  Then each single allocation fails by
 * itself, of an arena, of malloc, of jansson.
 */

#include "pricing.h"
#include "world.h"

#include "loyalty_capture.h"
#include "loyalty_filter.h"
#include "loyalty_rule.h"
#include "loyalty_template.h"
#include "loyalty_wallet.h"

#define STEP 16
#define ENOUGH (1 << 20)

/* The allocation to fail, counted down; 0: none. */
static size_t left;
static bool failed;

static bool
fails(void)
{
    if (left == 0 || --left != 0) {
        return false;
    }
    failed = true;
    return true;
}

void *__real_loyalty_alloc(loyalty_arena_t *arena, size_t size);
void *__wrap_loyalty_alloc(loyalty_arena_t *arena, size_t size);
loyalty_status_t __real_loyalty_str_copy(loyalty_arena_t *arena,
                                         loyalty_str_t from,
                                         loyalty_str_t *to);
loyalty_status_t __wrap_loyalty_str_copy(loyalty_arena_t *arena,
                                         loyalty_str_t from,
                                         loyalty_str_t *to);
void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t size);
void *__wrap_realloc(void *p, size_t size);

void *
__wrap_loyalty_alloc(loyalty_arena_t *arena, size_t size)
{
    return fails() ? NULL : __real_loyalty_alloc(arena, size);
}

loyalty_status_t
__wrap_loyalty_str_copy(loyalty_arena_t *arena, loyalty_str_t from,
                        loyalty_str_t *to)
{
    return fails() ? LOYALTY_ERROR_MEMORY
                   : __real_loyalty_str_copy(arena, from, to);
}

void *
__wrap_malloc(size_t size)
{
    return fails() ? NULL : __real_malloc(size);
}

void *
__wrap_calloc(size_t n, size_t size)
{
    return fails() ? NULL : __real_calloc(n, size);
}

void *
__wrap_realloc(void *p, size_t size)
{
    return fails() ? NULL : __real_realloc(p, size);
}

typedef loyalty_status_t (*step_pt)(loyalty_arena_t *arena);

/* Runs `step` with each of its allocations failing once; how many it has. */
static size_t
fail_each(step_pt step)
{
    loyalty_arena_t arena;
    loyalty_status_t rc;
    size_t n = 0;

    do {
        loyalty_arena_init(&arena, 0);
        failed = false;
        left = ++n;
        rc = step(&arena);
        left = 0;
        if (rc != (failed ? LOYALTY_ERROR_MEMORY : LOYALTY_OK)) {
            fail_msg("allocation %zu: %s", n, loyalty_status_name(rc));
        }
        loyalty_arena_free(&arena);
    } while (failed);

    return n - 1;
}

/* Runs `step` under each bound; how often memory was not enough. */
static size_t
run_short(step_pt step)
{
    loyalty_status_t rc = LOYALTY_ERROR_MEMORY;
    loyalty_arena_t arena;
    size_t limit, refused = 0;

    for (limit = STEP; rc != LOYALTY_OK && limit < ENOUGH; limit += STEP) {
        loyalty_arena_init(&arena, limit);
        rc = step(&arena);
        refused += rc == LOYALTY_ERROR_MEMORY;
        assert_true(rc == LOYALTY_OK || rc == LOYALTY_ERROR_MEMORY);
        loyalty_arena_free(&arena);
    }

    assert_int_equal(rc, LOYALTY_OK);
    assert_true(fail_each(step) > 0);
    return refused;
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

    /* Where a text cannot be folded, the answer is by the text as it is. */
    if (rc == LOYALTY_OK) {
        assert_false(failed);
        assert_true(loyalty_filter_matches(compiled, &anna, program, T0));
    }
    return failed ? LOYALTY_ERROR_MEMORY : rc;
}

static void
a_filter(void **state)
{
    (void)state;
    assert_true(run_short(filter) > 5);
}

/* One of everything that a program may hold. */
static const char *const document =
    "{'version': 7, 'settings': {'id': 's', 'name': 'A Shop', 'currency':"
    "  'EUR', 'locales': ['fr', 'en'], 'design': 'plain', 'sign_in_url': '/l',"
    "  'tier_page_title': {'en': 'Club', 'fr': 'Le club'}},"
    " 'statuses': [{'id': 'one', 'name': {'fr': 'Un', 'en': 'One'},"
    "   'threshold': 0, 'description': 'First', 'image': '/1.png'},"
    "  {'id': 'two', 'threshold': 700, 'multiplier': '1.5'}],"
    " 'designs': [{'id': 'plain', 'colors': {'text': '#000000'}, 'fonts':"
    "   {'body': 'Inter'}, 'css': 'h1 {}', 'template': '{{#a}}{{b}}{{/a}}'}],"
    " 'categories': [{'pattern': '8.*', 'category': 'home/lamps'}],"
    " 'templates': [{'id': 'mail', 'channel': 'email', 'subject': {'en': 'Hi'},"
    "   'html': '<p>{{a}}</p>', 'text': '{{a}}'}],"
    " 'offers': [{'id': 'sale', 'type': 'promotion', 'name': {'fr': 'S'},"
    "   'scope': {'kind': 'categories', 'values': ['home', 'a/b']},"
    "   'condition_scope': {'kind': 'products', 'values': ['x', 'y'],"
    "    'patterns': ['8.*', '9.+']}, 'statuses': ['two'], 'groups': ['g'],"
    "   'discount': {'kind': 'percent', 'percent': '12.5'}},"
    "  {'id': 'gift', 'type': 'coupon', 'code': 'GIFT', 'discount':"
    "   {'kind': 'buy_x_get_y', 'buy_quantity': 1, 'get_quantity': 1,"
    "    'percent': '50', 'buy_scope': {'kind': 'site'}, 'get_scope':"
    "    {'kind': 'products', 'patterns': ['x+']}}}],"
    " 'rules': [{'id': 'third', 'name': 'Third', 'type': 'bogo', 'threshold':"
    "   3, 'products': ['a', 'b'], 'channel': 'email', 'sender_name': 'Shop',"
    "   'sender_address': 's@example.com', 'template': 'mail', 'gives':"
    "   {'offer': 'gift'}}]}";

static loyalty_status_t
parsed(loyalty_arena_t *arena)
{
    static char text[4096];
    loyalty_program_t *made = NULL;
    loyalty_problems_t problems;
    loyalty_status_t rc;
    size_t i, len = strlen(document);

    for (i = 0; i < len; i++) {
        text[i] = document[i] == '\'' ? '"' : document[i];
    }

    loyalty_problems_init(&problems, arena);
    rc = loyalty_program_parse(text, len, &problems, &made);
    if (rc == LOYALTY_OK) {
        assert_int_equal(made->noffers, 2);
        assert_true(loyalty_str_eq(
            loyalty_program_category(made, loyalty_str("85123A"),
                                     loyalty_str_null),
            loyalty_str("home/lamps")));
    } else {
        assert_null(made);
    }
    loyalty_program_free(made);
    return rc;
}

static void
a_program(void **state)
{
    (void)state;
    assert_true(fail_each(parsed) > 50);
}

static loyalty_status_t
previewed(loyalty_arena_t *arena)
{
    loyalty_problems_t problems;
    loyalty_program_t *preview = NULL;
    json_t *list = json_of("[{'id': 'new', 'type': 'promotion', 'discount':"
                           " {'kind': 'amount', 'amount': 1}}]");
    loyalty_status_t rc;

    loyalty_problems_init(&problems, arena);
    rc = loyalty_program_preview(program, list, &problems, &preview);
    json_decref(list);
    if (rc == LOYALTY_OK) {
        assert_int_equal(preview->noffers, 1);
        loyalty_program_free(preview);
    }
    return rc;
}

static void
a_preview(void **state)
{
    (void)state;
    assert_true(fail_each(previewed) > 5);
}

static loyalty_status_t
rendered(loyalty_arena_t *arena)
{
    static const loyalty_str_t names[] = {loyalty_str("a"), loyalty_str("b")};
    static const loyalty_str_t texts[] = {loyalty_str("1"), loyalty_str("<")};
    loyalty_str_t source = loyalty_str(
        "{{#list}}\n  {{> part}}\n{{.}}{{/list}}{{^b}}x{{/b}}"
        "{{=| |=}}|a||{c}|");
    loyalty_template_t *compiled = NULL;
    loyalty_problems_t problems;
    loyalty_status_t rc;
    json_t *context = json_of("{'list': [1, 'two'], 'b': false, 'a': '<'}");
    loyalty_str_t text;
    char buffer[64];
    uint64_t used;
    size_t len;

    loyalty_problems_init(&problems, arena);
    rc = loyalty_template_compile(source, &problems, &compiled);
    if (rc == LOYALTY_OK) {
        rc = loyalty_template_render(compiled, context, NULL, NULL, 1000,
                                     arena, &text);
    }
    if (rc == LOYALTY_OK) {
        assert_true(loyalty_str_eq(text, loyalty_str("1twox&lt;")));
        rc = loyalty_template_bind(compiled, names, 2, &used);
    }
    if (rc == LOYALTY_OK) {
        assert_int_equal(used, 3);
        assert_int_equal(loyalty_template_render_table(
                             compiled, texts, buffer, sizeof(buffer), &len),
                         LOYALTY_OK);
    }
    loyalty_template_free(compiled);
    json_decref(context);
    return rc;
}

static void
a_page(void **state)
{
    (void)state;
    assert_true(fail_each(rendered) > 5);
}

/* A shop's order to an event, and that event read. */
static loyalty_status_t
captured(loyalty_arena_t *arena)
{
    static const char order[] =
        "{\"order_id\": \"o\\u00e91\", \"total\": 12.5, \"lines\": [{"
        "\"sku\": \"\\u0061\", \"quantity\": 2, \"unit_price\": \"6.25\"}]}";
    loyalty_capture_order_t found;
    loyalty_capture_map_t map;
    loyalty_problems_t problems;
    loyalty_document_t parsed_order, parsed_event;
    loyalty_document_mistake_t mistake;
    loyalty_order_event_t read;
    loyalty_str_t text;
    loyalty_status_t rc;
    char event[512];
    int len;

    loyalty_capture_map_init(&map);
    loyalty_problems_init(&problems, arena);
    loyalty_document_init(&parsed_order);
    rc = loyalty_capture_parse(loyalty_str(order), &problems, &parsed_order);
    if (rc == LOYALTY_OK) {
        rc = loyalty_capture_read(&parsed_order, &map, arena, &problems,
                                  &found);
    }
    if (rc == LOYALTY_OK) {
        rc = loyalty_capture_event(&found, &map, loyalty_str("anna"),
                                   loyalty_str("GBP"), T0, arena, &problems,
                                   &text);
    }
    loyalty_document_free(&parsed_order);
    if (rc != LOYALTY_OK) {
        return rc;
    }

    /* It uses up something, too. */
    len = snprintf(event, sizeof(event), "%.*s,\"redemptions\":[\"\\u0068\"]}",
                   (int)text.len - 1, text.data);
    loyalty_document_init(&parsed_event);
    rc = loyalty_document_parse(&parsed_event,
                                (loyalty_str_t){event, (size_t)len}, &mistake);
    if (rc == LOYALTY_OK) {
        rc = loyalty_document_distinct(&parsed_event, arena);
    }
    if (rc == LOYALTY_OK) {
        rc = loyalty_order_event_parse(&parsed_event, loyalty_str("GBP"), T0,
                                       arena, &problems, &read);
    }
    loyalty_document_free(&parsed_event);
    if (rc == LOYALTY_OK) {
        assert_int_equal(read.total, 1250);
        assert_int_equal(read.lines[0].amount, 1250);
    }
    return rc;
}

static void
a_captured_order(void **state)
{
    (void)state;
    assert_true(fail_each(captured) > 5);
}

/* Bought, applied, granted: all or nothing. */
static loyalty_status_t
owned(loyalty_arena_t *arena)
{
    loyalty_acquisition_t acquired = {.id = loyalty_str("e9"),
                                      .offer = loyalty_str("ten"),
                                      .expires_at = LOYALTY_NEVER,
                                      .cause = {.at = T0}};
    loyalty_grant_t grant = {.amount = 100,
                             .id = loyalty_str("g1"),
                             .starts_at = LOYALTY_UNKNOWN,
                             .expires_at = LOYALTY_NEVER,
                             .earned = true,
                             .cause = {.at = T0}};
    loyalty_member_t member = anna, before;
    loyalty_effects_t effects;
    loyalty_status_t rc;
    int step;

    for (step = 0; step < 4; step++) {
        before = member;
        grant.amount = step == 1 ? -30 : 100;
        rc = step < 2 ? loyalty_member_grant(&member, program, &grant, arena,
                                             &effects)
             : step == 2 ? loyalty_wallet_acquire(&member, program, &acquired,
                                                  arena, &effects)
                         : loyalty_wallet_change(
                               &member, program, LOYALTY_WALLET_APPLY,
                               acquired.id, T0, arena, &effects);
        if (rc != LOYALTY_OK) {
            assert_memory_equal(&before, &member, sizeof(member));
            return rc;
        }
    }

    assert_int_equal(member.nentitlements, anna.nentitlements + 1);
    assert_int_equal(member.points.lots[0].remaining, 70);
    return LOYALTY_OK;
}

static void
a_wallet(void **state)
{
    (void)state;
    assert_true(run_short(owned) > 5);
}

/* jansson's own: what is written out may lack something, and no more. */
static void *
fail_json(size_t size)
{
    return fails() ? NULL : __real_malloc(size);
}

static void
documents_without_memory(void **state)
{
    loyalty_arena_t arena;
    loyalty_problems_t problems;
    loyalty_program_t *made;
    loyalty_cart_t cart;
    loyalty_quote_t priced;
    size_t n;
    int part;
    json_t *json;

    (void)state;

    loyalty_arena_init(&arena, 0);
    loyalty_problems_init(&problems, &arena);
    json = json_of(document);
    assert_int_equal(loyalty_program_from_json(json, &problems, &made),
                     LOYALTY_OK);
    json_decref(json);
    assert_int_equal(loyalty_cart_parse(request, program, &anna, T0, &arena,
                                        &problems, &cart), LOYALTY_OK);
    assert_int_equal(loyalty_cart_evaluate(program, &cart, &arena, &priced),
                     LOYALTY_OK);

    json_set_alloc_funcs(fail_json, free);
    for (part = 0; part < 5; part++) {
        for (n = 1, failed = true; failed; n++) {
            failed = false;
            left = n;
            json = part == 0   ? loyalty_program_to_json(made)
                   : part == 1 ? loyalty_program_part(made, "offers", 1)
                   : part == 2 ? loyalty_program_default(loyalty_str("s"),
                                                         loyalty_str("EUR"))
                   : part == 3 ? loyalty_member_to_json(&anna, program, T0)
                               : loyalty_quote_to_json(&cart, &priced);
            left = 0;
            assert_true(failed || json != NULL);
            json_decref(json);
        }
        assert_true(n > 10);
    }
    json_set_alloc_funcs(malloc, free);

    loyalty_program_free(made);
    loyalty_arena_free(&arena);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_quote_for_a_member),
        cmocka_unit_test(an_order_from_placed_to_cancelled),
        cmocka_unit_test(a_filter),
        cmocka_unit_test(a_program),
        cmocka_unit_test(a_preview),
        cmocka_unit_test(a_page),
        cmocka_unit_test(a_captured_order),
        cmocka_unit_test(a_wallet),
        cmocka_unit_test(documents_without_memory),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
