/*
 * libFuzzer: a member's bytes, as they are and with a checksum that fits, so
 * that the fields behind it are reached.  What decodes must encode to the
 * same bytes and bear every reading and change.
 */

#include <stdlib.h>

#include "loyalty_codec.h"
#include "loyalty_view.h"

#define NOW INT64_C(1767225600000)

static void
require(bool condition)
{
    if (!condition) {
        abort();
    }
}

static void
use(loyalty_member_t *member, const loyalty_program_t *program,
    loyalty_arena_t *arena)
{
    uint64_t buffer[LOYALTY_VIEW_SIZE_MAX / 8];
    loyalty_effects_t effects;
    loyalty_grant_t grant = {.amount = 100,
                             .id = loyalty_str("g"),
                             .starts_at = LOYALTY_UNKNOWN,
                             .expires_at = LOYALTY_NEVER,
                             .earned = true,
                             .cause = {.at = NOW}};
    loyalty_str_t bytes;
    size_t len;

    json_decref(loyalty_member_to_json(member, program, NOW));
    if (loyalty_view_build(member, program, NOW, buffer, &len) == LOYALTY_OK) {
        require(loyalty_view_open(buffer, len) != NULL);
    }

    (void)loyalty_member_visit(member, NOW);
    (void)loyalty_member_grant(member, program, &grant, arena, &effects);
    grant.amount = -50;
    (void)loyalty_member_grant(member, program, &grant, arena, &effects);
    (void)loyalty_member_evaluate(member, program, NOW, arena, &effects);

    require(loyalty_ledger_check(&member->points) == LOYALTY_OK);
    if (loyalty_member_encode(member, arena, &bytes) == LOYALTY_OK) {
        require(loyalty_member_decode(bytes, arena, member) == LOYALTY_OK);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static loyalty_tier_t tiers[] = {
        {.id = loyalty_str("bronze"), .threshold = 100, .multiplier = 100},
        {.id = loyalty_str("silver"), .threshold = 200, .multiplier = 150},
    };
    loyalty_program_t program = {
        .settings = {.active = true,
                     .criterion = size == 0
                                      ? LOYALTY_CRITERION_SPEND
                                      : (loyalty_criterion_t)(data[0] % 4),
                     .window = {.kind = LOYALTY_WINDOW_ROLLING,
                                .days = 30,
                                .grace_days = 5}},
        .tiers = tiers,
        .ntiers = 2,
    };
    loyalty_member_t member;
    loyalty_encoder_t encoder;
    loyalty_arena_t arena;
    loyalty_str_t bytes, again;

    loyalty_arena_init(&arena, 64 * 1024 * 1024);
    (void)loyalty_member_decode((loyalty_str_t){(const char *)data, size},
                                &arena, &member);

    loyalty_encoder_init(&encoder, &arena, size + 16);
    loyalty_put_uint(&encoder, 1);
    if (size > 1) {
        memcpy(encoder.data + encoder.len, data + 1, size - 1);
        encoder.len += size - 1;
    }

    if (loyalty_encoder_finish(&encoder, LOYALTY_MEMBER_SIZE_MAX, &bytes)
            == LOYALTY_OK
        && loyalty_member_decode(bytes, &arena, &member) == LOYALTY_OK) {
        require(loyalty_member_encode(&member, &arena, &again) == LOYALTY_OK);
        require(loyalty_str_eq(bytes, again));
        use(&member, &program, &arena);
    }

    loyalty_arena_free(&arena);
    return 0;
}
