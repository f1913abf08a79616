/*
 * libFuzzer: any bytes as a program.  What is refused has a problem; what is
 * taken must be taken again from what it is written as, and be the same.
 */

#include <stdlib.h>

#include "loyalty_offer.h"
#include "loyalty_rule.h"

static loyalty_program_t *
read_program(const char *bytes, size_t len)
{
    loyalty_program_t *program = NULL;
    loyalty_problems_t problems;
    loyalty_arena_t arena;
    loyalty_status_t status;

    loyalty_arena_init(&arena, 0);
    loyalty_problems_init(&problems, &arena);
    status = loyalty_program_parse(bytes, len, &problems, &program);

    if ((status == LOYALTY_OK) != (problems.count == 0)
        || (status == LOYALTY_OK) != (program != NULL)) {
        abort();
    }

    loyalty_arena_free(&arena);
    return program;
}

/* Everything compiled is looked at once. */
static void
use(const loyalty_program_t *program)
{
    loyalty_str_t sku = loyalty_str("85123A");
    loyalty_str_t category = loyalty_program_category(program, sku,
                                                      loyalty_str(""));
    uint64_t hash = loyalty_sku_hash(sku);
    size_t i;

    for (i = 0; i < program->noffers; i++) {
        (void)loyalty_scope_covers(&program->offers[i]->scope, sku, hash,
                                   category);
        (void)loyalty_scope_covers(program->offers[i]->discount.get_scope,
                                   sku, hash, category);
        if (loyalty_program_offer(program, program->offers[i]->id)
            != program->offers[i]) {
            abort();
        }
    }

    for (i = 0; i < program->nrules; i++) {
        (void)loyalty_rule_covers(program->rules[i], sku);
    }

    for (i = 1; i < program->ntiers; i++) {
        if (program->settings.criterion != LOYALTY_CRITERION_SEGMENT
            && program->tiers[i - 1].threshold
                   >= program->tiers[i].threshold) {
            abort();
        }
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    loyalty_program_t *program = read_program((const char *)data, size);
    loyalty_program_t *again;
    json_t *first, *second;
    char *text;

    if (program == NULL) {
        return 0;
    }

    use(program);

    first = loyalty_program_to_json(program);
    text = json_dumps(first, JSON_COMPACT);
    again = read_program(text, strlen(text));
    second = again == NULL ? NULL : loyalty_program_to_json(again);
    if (!json_equal(first, second)) {
        abort();
    }

    free(text);
    json_decref(first);
    json_decref(second);
    loyalty_program_free(again);
    loyalty_program_free(program);
    return 0;
}
