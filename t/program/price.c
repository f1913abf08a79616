/*
 * Prices one cart per line of standard input, as the cases of SHARED have it
 * ("offers", "usage" and "earning" beside the rest), and writes the quote, or
 * {"error": ...}, as one line of JSON each.
 */

#include <stdio.h>
#include <stdlib.h>

#include "loyalty_cart_json.h"

static json_t *
refused(const loyalty_problems_t *problems)
{
    return problems->count == 0
               ? json_pack("{s:s}", "error", "not to be priced")
               : json_pack("{s:[s, s]}", "error",
                           problems->list[0].pointer.data,
                           problems->list[0].message.data);
}

/* The site of the case's currency, with the case's offers. */
static loyalty_program_t *
program_of(json_t *given, loyalty_problems_t *problems)
{
    loyalty_str_t currency = loyalty_str_from(
        json_string_value(json_object_get(given, "currency")));
    loyalty_program_t *site = NULL, *preview = NULL;
    json_t *document;

    document = loyalty_program_default(loyalty_str("model"), currency);
    if (loyalty_program_from_json(document, problems, &site) == LOYALTY_OK) {
        (void)loyalty_program_preview(site, json_object_get(given, "offers"),
                                      problems, &preview);
    }

    json_decref(document);
    loyalty_program_free(site);
    return preview;
}

/* Moves what a preview gives into "preview". */
static void
make_request(json_t *given)
{
    static const char *const names[] = {"offers", "usage", "earning"};
    json_t *preview = json_object(), *value;
    size_t i;

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        value = json_object_get(given, names[i]);
        if (value != NULL) {
            json_object_set(preview, names[i], value);
            json_object_del(given, names[i]);
        }
    }

    json_object_set_new(given, "preview", preview);
    json_object_set_new(given, "explain", json_true());
}

static json_t *
price(json_t *given, loyalty_arena_t *arena)
{
    loyalty_problems_t problems;
    loyalty_program_t *program;
    loyalty_quote_t quote;
    loyalty_cart_t cart;
    json_t *answer;

    loyalty_problems_init(&problems, arena);
    program = program_of(given, &problems);
    make_request(given);

    if (program != NULL
        && loyalty_cart_parse(given, program, NULL, 0, arena, &problems, &cart)
               == LOYALTY_OK
        && loyalty_cart_evaluate(program, &cart, arena, &quote)
               == LOYALTY_OK) {
        answer = loyalty_quote_to_json(&cart, &quote);
    } else {
        answer = refused(&problems);
    }

    loyalty_program_free(program);
    return answer;
}

int
main(void)
{
    json_t *given, *answer;
    loyalty_arena_t arena;
    size_t capacity = 0;
    char *line = NULL;

    loyalty_arena_init(&arena, 0);

    while (getline(&line, &capacity, stdin) > 0) {
        given = json_loads(line, 0, NULL);
        answer = price(given, &arena);
        json_dumpf(answer, stdout, JSON_COMPACT);
        putchar('\n');
        json_decref(answer);
        json_decref(given);
        loyalty_arena_reset(&arena);
    }

    loyalty_arena_free(&arena);
    free(line);
    return 0;
}
