/*
 * libFuzzer: any JSON as a filter of a group; what compiles is asked about two
 * members, and must answer the same twice.
 */

#include <stdlib.h>

#include "loyalty_filter.h"

#define NOW INT64_C(1767225600000)

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const loyalty_program_t program = {
        .settings = {.segments = {30, 180, 180, 1000}}};
    json_t *json = json_loadb((const char *)data, size, JSON_DECODE_ANY, NULL);
    loyalty_problems_t problems;
    loyalty_filter_t *filter;
    loyalty_member_t members[2];
    loyalty_arena_t arena;
    size_t i;

    if (json == NULL) {
        return 0;
    }

    loyalty_arena_init(&arena, 0);
    loyalty_problems_init(&problems, &arena);
    loyalty_member_init(&members[0], loyalty_str("nobody"));
    loyalty_member_init(&members[1], loyalty_str("anna"));
    members[1].email = loyalty_str("anna@example.com");
    members[1].registered = true;
    members[1].signed_up_at = NOW - 30 * LOYALTY_DAY;
    members[1].last_order_at = NOW - LOYALTY_DAY;
    members[1].order_count = 3;
    members[1].spent_total = 123456;

    if (loyalty_filter_compile(json, &arena, &problems, &filter)
        == LOYALTY_OK) {
        for (i = 0; i < 2; i++) {
            if (loyalty_filter_matches(filter, &members[i], &program, NOW)
                != loyalty_filter_matches(filter, &members[i], &program,
                                          NOW)) {
                abort();
            }
        }
    } else if (problems.count == 0) {
        abort(); /* refused, and no reason given */
    }

    loyalty_arena_free(&arena);
    json_decref(json);

    return 0;
}
