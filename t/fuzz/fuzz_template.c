/*
 * libFuzzer: any source, over a fixed context, with itself as every partial.
 *   clang -g -O1 -D_GNU_SOURCE -fsanitize=fuzzer,address,undefined \
 *       -Ingx_loyalty_module/core t/fuzz/fuzz_template.c \
 *       ngx_loyalty_module/core/loyalty{,_template,_template_render}.c \
 *       -ljansson
 */

#include <stdlib.h>

#include "loyalty_template.h"

static const loyalty_template_t *
itself(void *data, loyalty_str_t name)
{
    return name.len == 1 ? data : NULL;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const loyalty_str_t names[] = {{"a", 1}, {"b.c", 3}};
    static const loyalty_str_t texts[] = {{"<&>", 3}, {"text", 4}};
    static json_t *context;
    loyalty_str_t source = {(const char *)data, size}, text;
    loyalty_template_t *compiled;
    loyalty_problems_t problems;
    loyalty_arena_t arena;
    char buffer[256];
    uint64_t used;
    size_t len;

    if (context == NULL) {
        context = json_loads("{\"a\":[1,\"<\",{\"b\":null}],\"b\":{\"c\":"
                             "{\"d\":1.5}},\"c\":\"\",\"d\":true}",
                             0, NULL);
    }

    loyalty_arena_init(&arena, 0);
    loyalty_problems_init(&problems, &arena);

    if (loyalty_template_compile(source, &problems, &compiled) == LOYALTY_OK) {
        (void)loyalty_template_render(compiled, context, itself, compiled,
                                      65536, &arena, &text);
        (void)loyalty_template_bind(compiled, names, 2, &used);
        (void)loyalty_template_render_table(compiled, texts, buffer,
                                            sizeof(buffer), &len);
        loyalty_template_free(compiled);

    } else if (problems.count == 0) {
        abort();
    }

    loyalty_arena_free(&arena);
    return 0;
}
