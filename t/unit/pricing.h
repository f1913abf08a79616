/*
 * A cart priced from JSON, for the tests of carts: ' stands for ", and the
 * quote comes back in one line of text:
 *
 *   total [discount of each line] offer:amount ... - offer:reason ...
 */

#ifndef PRICING_H
#define PRICING_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "loyalty_cart_json.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static inline json_t *
json_of(const char *text)
{
    char *copy = strdup(text), *p;
    json_error_t error;
    json_t *json;

    for (p = copy; *p != '\0'; p++) {
        *p = *p == '\'' ? '"' : *p;
    }

    json = json_loads(copy, 0, &error);
    if (json == NULL) {
        fail_msg("%s: %s", text, error.text);
    }

    free(copy);
    return json;
}

/* The site of that currency, with those offers. */
static inline loyalty_program_t *
site_with(const char *currency, json_t *offers)
{
    loyalty_program_t *site, *preview = NULL;
    loyalty_problems_t problems;
    loyalty_arena_t arena;
    json_t *document;

    loyalty_arena_init(&arena, 0);
    loyalty_problems_init(&problems, &arena);
    document = loyalty_program_default(loyalty_str("site"),
                                       loyalty_str_from(currency));
    assert_int_equal(loyalty_program_from_json(document, &problems, &site),
                     LOYALTY_OK);
    json_decref(document);

    if (loyalty_program_preview(site, offers, &problems, &preview)
        != LOYALTY_OK) {
        fail_msg("%s %s", problems.list[0].pointer.data,
                 problems.list[0].message.data);
    }

    loyalty_program_free(site);
    loyalty_arena_free(&arena);
    return preview;
}

static inline void
add_text(char *text, size_t size, const char *format, ...)
{
    size_t len = strlen(text);
    va_list args;

    va_start(args, format);
    vsnprintf(text + len, size - len, format, args);
    va_end(args);
}

static inline void
write_quote(const loyalty_cart_t *cart, const loyalty_quote_t *quote,
            char *text, size_t size)
{
    const loyalty_rejected_t *rejected;
    loyalty_str_t name;
    size_t i;

    text[0] = '\0';
    add_text(text, size, "%lld [", (long long)quote->total);
    for (i = 0; i < cart->nlines; i++) {
        add_text(text, size, "%s%lld", i == 0 ? "" : " ",
                 (long long)quote->line_discounts[i]);
    }
    add_text(text, size, "]");

    for (i = 0; i < quote->napplied; i++) {
        add_text(text, size, " %.*s:%lld",
                 (int)quote->applied[i].offer->id.len,
                 quote->applied[i].offer->id.data,
                 (long long)quote->applied[i].amount);
    }

    for (i = 0; i < quote->nrejected; i++) {
        rejected = &quote->rejected[i];
        name = rejected->offer.len != 0 ? rejected->offer : rejected->code;
        add_text(text, size, "%s %.*s:%s", i == 0 ? " -" : "", (int)name.len,
                 name.data, loyalty_reject_name(rejected->reason));
    }

    if (quote->points_to_earn != 0) {
        add_text(text, size, " = %lld", (long long)quote->points_to_earn);
    }
}

#endif
