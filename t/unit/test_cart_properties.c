/*
 * core/loyalty_cart.c over random carts and offers: what must hold of every
 * quote (DOMAIN.md section 7), whatever the figures.  A cart that breaks one
 * is named by its number; LOYALTY_HISTORIES says how many there are.
 */

#include "pricing.h"

#define CARTS 10000
#define LINES_MAX 6
#define OFFERS_MAX 6

static uint64_t state_of_random;

static void
seed(long n)
{
    state_of_random = ((uint64_t)n + 1) * UINT64_C(0x9e3779b97f4a7c15);
}

static int64_t
dice(int64_t n)
{
    state_of_random ^= state_of_random << 13;
    state_of_random ^= state_of_random >> 7;
    state_of_random ^= state_of_random << 17;
    return (int64_t)(state_of_random % (uint64_t)n);
}

static bool
rarely(void)
{
    return dice(5) == 0;
}

static const char *const skus[] = {"a", "b", "c", "d"};

static void
add_scope(char *text, size_t size, const char *name)
{
    switch (dice(3)) {
    case 0:
        return;
    case 1:
        add_text(text, size, ", '%s': {'kind': 'products', 'values': "
                 "['%s', '%s']}", name, skus[dice(2)], skus[2 + dice(2)]);
        return;
    default:
        add_text(text, size, ", '%s': {'kind': 'categories', 'values': "
                 "['%s']}", name, dice(2) ? "x" : "x/y");
    }
}

static void
add_discount(char *text, size_t size)
{
    switch (dice(5)) {
    case 0:
        add_text(text, size, ", 'discount': {'kind': 'percent', "
                 "'percent': '%d.%02d'}", (int)dice(100), (int)dice(100));
        return;
    case 1:
        add_text(text, size, ", 'discount': {'kind': 'amount', "
                 "'amount': %d}", (int)dice(3000));
        return;
    case 2:
        add_text(text, size, ", 'discount': {'kind': 'amount_each', "
                 "'amount': %d%s}", (int)dice(400),
                 rarely() ? ", 'max_quantity': 3" : "");
        return;
    case 3:
        add_text(text, size, ", 'discount': {'kind': 'buy_x_get_y', "
                 "'buy_quantity': %d, 'get_quantity': %d, 'percent': '%d'",
                 1 + (int)dice(3), 1 + (int)dice(2), (int)dice(101));
        add_scope(text, size, "buy_scope");
        add_scope(text, size, "get_scope");
        add_text(text, size, "%s}", rarely() ? ", 'max_repeats': 1" : "");
        return;
    default:
        add_text(text, size, ", 'reward_points': %d", (int)dice(50));
    }
}

static void
add_offer(char *text, size_t size, int i)
{
    add_text(text, size, "%s{'id': 'p%d', 'type': 'promotion', "
             "'priority': %d", i == 0 ? "" : ", ", i, (int)dice(3));
    add_scope(text, size, "scope");
    add_discount(text, size);
    if (rarely()) {
        add_text(text, size, ", 'max_discount': %d", 1 + (int)dice(900));
    }
    if (rarely()) {
        add_text(text, size, ", 'min_spend': %d", (int)dice(3000));
    }
    if (rarely()) {
        add_text(text, size, ", 'min_after_discounts': true");
    }
    if (dice(12) == 0) {
        add_text(text, size, ", 'exclusive': true");
    }
    add_text(text, size, "}");
}

static void
add_line(char *text, size_t size, int i)
{
    add_text(text, size, "%s{'id': 'l%d', 'sku': '%s', 'category': '%s', "
             "'quantity': %d, 'unit_price': %d", i == 0 ? "" : ", ", i,
             skus[dice(4)], dice(2) ? "x/y/z" : "w", (int)dice(6),
             (int)(dice(4) ? dice(1500) : dice(4)));
    if (rarely()) {
        add_text(text, size, ", 'minimum_price': %d", (int)dice(1500));
    }
    add_text(text, size, "}");
}

typedef struct {
    json_t *offers, *request;
    loyalty_program_t *program;
    loyalty_arena_t arena;
    loyalty_cart_t cart;
    loyalty_quote_t quote;
} priced_t;

static void
draw(long n, json_t **offers, json_t **request)
{
    char text[8192] = "[";
    int i, count;

    seed(n);
    count = (int)dice(OFFERS_MAX + 1);
    for (i = 0; i < count; i++) {
        add_offer(text, sizeof(text), i);
    }
    add_text(text, sizeof(text), "]");
    *offers = json_of(text);

    strcpy(text, "{'explain': true, 'lines': [");
    count = (int)dice(LINES_MAX + 1);
    for (i = 0; i < count; i++) {
        add_line(text, sizeof(text), i);
    }
    add_text(text, sizeof(text), "]}");
    *request = json_of(text);
}

/* Takes both references. */
static void
price(priced_t *priced, json_t *offers, json_t *request)
{
    loyalty_problems_t problems;

    *priced = (priced_t){.offers = offers, .request = request};
    loyalty_arena_init(&priced->arena, 0);
    loyalty_problems_init(&problems, &priced->arena);
    priced->program = site_with("GBP", offers);

    if (loyalty_cart_parse(request, priced->program, NULL, 0, &priced->arena,
                           &problems, &priced->cart)
        != LOYALTY_OK) {
        fail_msg("%s %s", problems.list[0].pointer.data,
                 problems.list[0].message.data);
    }
    assert_int_equal(loyalty_cart_evaluate(priced->program, &priced->cart,
                                           &priced->arena, &priced->quote),
                     LOYALTY_OK);
}

static void
drop(priced_t *priced)
{
    loyalty_program_free(priced->program);
    loyalty_arena_free(&priced->arena);
    json_decref(priced->offers);
    json_decref(priced->request);
}

#define HOLDS(what)                                                            \
    do {                                                                       \
        if (!(what)) {                                                         \
            fail_msg("cart %ld: not " #what, n);                               \
        }                                                                      \
    } while (0)

static void
sums_hold(const priced_t *priced, long n)
{
    const loyalty_quote_t *quote = &priced->quote;
    const loyalty_cart_line_t *line;
    const loyalty_applied_t *applied;
    int64_t subtotal = 0, discount = 0, given, amount, floor, parts[LINES_MAX];
    size_t i, k;

    memset(parts, 0, sizeof(parts));

    for (i = 0; i < quote->napplied; i++) {
        applied = &quote->applied[i];
        given = 0;
        for (k = 0; k < applied->nallocations; k++) {
            HOLDS(applied->allocations[k].amount > 0);
            given += applied->allocations[k].amount;
            parts[applied->allocations[k].line] +=
                applied->allocations[k].amount;
        }
        HOLDS(given == applied->amount);
        HOLDS(applied->offer->max_discount == 0
              || applied->amount <= applied->offer->max_discount);
        discount += applied->amount;
    }

    for (i = 0; i < priced->cart.nlines; i++) {
        line = &priced->cart.lines[i];
        amount = line->unit_price * line->quantity;
        floor = line->minimum_price * line->quantity;
        subtotal += amount;
        HOLDS(parts[i] == quote->line_discounts[i]);
        HOLDS(parts[i] <= amount);
        HOLDS(parts[i] == 0 || amount - parts[i] >= floor);
    }

    HOLDS(quote->subtotal == subtotal);
    HOLDS(quote->total_discount == discount);
    HOLDS(quote->total == subtotal - discount);
}

static long
carts(void)
{
    const char *text = getenv("LOYALTY_HISTORIES");

    return text == NULL ? CARTS : atol(text);
}

static void
sums_and_floors_hold_and_a_quote_is_always_the_same(void **state)
{
    char first[4096], second[4096];
    json_t *offers, *request;
    priced_t one, two;
    long n;

    (void)state;

    for (n = 0; n < carts(); n++) {
        draw(n, &offers, &request);
        price(&one, json_incref(offers), json_incref(request));
        sums_hold(&one, n);
        write_quote(&one.cart, &one.quote, first, sizeof(first));

        /* Offers are told in another order. */
        price(&two, json_array(), json_incref(request));
        json_decref(two.offers);
        loyalty_program_free(two.program);
        two.offers = json_array();
        for (size_t i = json_array_size(offers); i > 0; i--) {
            json_array_append(two.offers, json_array_get(offers, i - 1));
        }
        two.program = site_with("GBP", two.offers);
        assert_int_equal(loyalty_cart_evaluate(two.program, &two.cart,
                                               &two.arena, &two.quote),
                         LOYALTY_OK);
        write_quote(&two.cart, &two.quote, second, sizeof(second));
        if (strcmp(first, second) != 0) {
            fail_msg("cart %ld: %s, then %s", n, first, second);
        }

        drop(&one);
        drop(&two);
        json_decref(offers);
        json_decref(request);
    }
}

/*
 * A single buy_x_get_y: the order of lines never changes what is paid.  Lines
 * of one price and scope may change places in who gives, so the sum is what is
 * compared; floors stay out of it, since they belong to lines.
 */
static void
the_order_of_lines_does_not_change_what_is_paid(void **state)
{
    json_t *offers, *request, *lines, *turned, *again;
    char text[1024];
    priced_t one, two;
    size_t i;
    long n;

    (void)state;

    for (n = 0; n < carts(); n++) {
        draw(n, &offers, &request);
        json_decref(offers);
        snprintf(text, sizeof(text), "[{'id': 'p', 'type': 'promotion', "
                 "'discount': {'kind': 'buy_x_get_y', 'buy_quantity': %d, "
                 "'get_quantity': %d, 'percent': '%d'", 1 + (int)dice(3),
                 1 + (int)dice(2), (int)dice(101));
        add_scope(text, sizeof(text), "buy_scope");
        add_scope(text, sizeof(text), "get_scope");
        add_text(text, sizeof(text), "}}]");
        offers = json_of(text);

        lines = json_object_get(request, "lines");
        json_array_foreach(lines, i, turned)
        {
            json_object_del(turned, "minimum_price");
        }
        turned = json_array();
        for (i = json_array_size(lines); i > 0; i--) {
            json_array_append(turned, json_array_get(lines, i - 1));
        }
        again = json_copy(request);
        json_object_set_new(again, "lines", turned);

        price(&one, json_incref(offers), request);
        price(&two, offers, again);
        HOLDS(one.quote.total == two.quote.total);
        drop(&one);
        drop(&two);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums_and_floors_hold_and_a_quote_is_always_the_same),
        cmocka_unit_test(the_order_of_lines_does_not_change_what_is_paid),
    };

    printf("# carts 0 to %ld\n", carts() - 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
