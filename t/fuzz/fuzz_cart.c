/*
 * libFuzzer: any JSON as a request for a quote, its offers tried out.  What is
 * read is priced, and the sums must hold.
 */

#include <stdlib.h>

#include "loyalty_cart_json.h"

static loyalty_program_t *
new_site(loyalty_arena_t *arena)
{
    json_t *document = loyalty_program_default(loyalty_str("site"),
                                               loyalty_str("GBP"));
    loyalty_problems_t problems;
    loyalty_program_t *site;

    loyalty_problems_init(&problems, arena);
    if (loyalty_program_from_json(document, &problems, &site) != LOYALTY_OK) {
        abort();
    }
    json_decref(document);
    return site;
}

static void
price(json_t *json, const loyalty_program_t *program, loyalty_arena_t *arena,
      loyalty_problems_t *problems)
{
    loyalty_quote_t quote;
    loyalty_cart_t cart;
    json_t *answer;
    int64_t sum = 0;
    size_t i;

    if (loyalty_cart_parse(json, program, NULL, 0, arena, problems, &cart)
            != LOYALTY_OK
        || loyalty_cart_evaluate(program, &cart, arena, &quote)
               != LOYALTY_OK) {
        return;
    }

    for (i = 0; i < cart.nlines; i++) {
        if (quote.line_discounts[i] < 0
            || quote.line_discounts[i]
                   > cart.lines[i].quantity * cart.lines[i].unit_price) {
            abort();
        }
        sum += quote.line_discounts[i];
    }

    if (sum != quote.total_discount
        || quote.total != quote.subtotal - quote.total_discount) {
        abort();
    }

    answer = loyalty_quote_to_json(&cart, &quote);
    if (answer == NULL) {
        abort();
    }
    json_decref(answer);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    json_t *json = json_loadb((const char *)data, size, 0, NULL), *offers;
    loyalty_program_t *site, *preview = NULL;
    loyalty_problems_t problems;
    loyalty_arena_t arena;

    if (json == NULL) {
        return 0;
    }

    loyalty_arena_init(&arena, 0);
    loyalty_problems_init(&problems, &arena);
    site = new_site(&arena);
    offers = json_object_get(json_object_get(json, "preview"), "offers");

    if (!json_is_array(offers)
        || loyalty_program_preview(site, offers, &problems, &preview)
               == LOYALTY_OK) {
        price(json, preview != NULL ? preview : site, &arena, &problems);
    }

    loyalty_program_free(preview);
    loyalty_program_free(site);
    loyalty_arena_free(&arena);
    json_decref(json);

    return 0;
}
