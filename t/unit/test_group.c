/*
 * Being in a group, and being reached by a channel (DOMAIN.md section 9).
 */

#include "world.h"

#include "loyalty_member_edit.h"
#include "loyalty_rule.h"

static void
test_join_and_leave(void **state)
{
    loyalty_arena_t arena;
    loyalty_member_t member;

    (void)state;
    loyalty_arena_init(&arena, 0);
    loyalty_member_init(&member, loyalty_str("anna"));

    assert_int_equal(loyalty_member_join(&member, loyalty_str("a"), &arena),
                     LOYALTY_OK);
    assert_int_equal(loyalty_member_join(&member, loyalty_str("b"), &arena),
                     LOYALTY_OK);
    assert_int_equal(member.ngroups, 2);
    assert_int_equal(member.version, 2);

    assert_int_equal(loyalty_member_join(&member, loyalty_str("a"), &arena),
                     LOYALTY_OK);
    assert_int_equal(member.ngroups, 2);
    assert_int_equal(member.version, 2);

    assert_true(loyalty_member_leave(&member, loyalty_str("a")));
    assert_false(loyalty_member_leave(&member, loyalty_str("a")));
    assert_int_equal(member.ngroups, 1);
    assert_true(loyalty_str_eq(member.groups[0], loyalty_str("b")));
    assert_int_equal(member.version, 3);

    assert_true(loyalty_member_delete(&member, false, 1));
    assert_int_equal(loyalty_member_join(&member, loyalty_str("a"), &arena),
                     LOYALTY_ERROR_REFUSED);

    loyalty_arena_free(&arena);
}

static void
test_too_many_groups(void **state)
{
    loyalty_arena_t arena;
    loyalty_member_t member;
    char *ids;
    size_t i;

    (void)state;
    loyalty_arena_init(&arena, 0);
    loyalty_member_init(&member, loyalty_str("anna"));
    ids = loyalty_alloc(&arena, (LOYALTY_MEMBER_LIST_MAX + 1) * 2);
    assert_non_null(ids);

    for (i = 0; i <= LOYALTY_MEMBER_LIST_MAX; i++) {
        ids[2 * i] = (char)(i >> 8);
        ids[2 * i + 1] = (char)i;
        assert_int_equal(
            loyalty_member_join(&member, (loyalty_str_t){ids + 2 * i, 2},
                                &arena),
            i < LOYALTY_MEMBER_LIST_MAX ? LOYALTY_OK : LOYALTY_ERROR_LIMIT);
    }
    assert_int_equal(member.ngroups, LOYALTY_MEMBER_LIST_MAX);

    loyalty_arena_free(&arena);
}

static void
test_reach(void **state)
{
    loyalty_member_t member;

    (void)state;
    loyalty_member_init(&member, loyalty_str("anna"));
    member.email = loyalty_str("anna@example.com");

    assert_int_equal(
        loyalty_member_reach(&member, LOYALTY_CHANNEL_EMAIL, true),
        LOYALTY_RULE_CONSENT);
    assert_int_equal(
        loyalty_member_reach(&member, LOYALTY_CHANNEL_EMAIL, false),
        LOYALTY_RULE_FIRED);
    assert_int_equal(loyalty_member_reach(&member, LOYALTY_CHANNEL_SMS, false),
                     LOYALTY_RULE_ADDRESS);

    member.consent = LOYALTY_CHANNEL_EMAIL | LOYALTY_CHANNEL_LINE;
    assert_int_equal(
        loyalty_member_reach(&member, LOYALTY_CHANNEL_EMAIL, true),
        LOYALTY_RULE_FIRED);
    assert_int_equal(loyalty_member_reach(&member, LOYALTY_CHANNEL_LINE, true),
                     LOYALTY_RULE_ADDRESS);

    member.deleted_at = 1;
    assert_int_equal(
        loyalty_member_reach(&member, LOYALTY_CHANNEL_EMAIL, true),
        LOYALTY_RULE_DELETED);
}

static void
test_a_group_lives_180_days(void **state)
{
    (void)state;

    /* 2026-01-01 to 2026-06-30 */
    assert_int_equal(loyalty_group_ends_at(INT64_C(1767225600000)),
                     INT64_C(1782777600000));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_join_and_leave),
        cmocka_unit_test(test_too_many_groups),
        cmocka_unit_test(test_reach),
        cmocka_unit_test(test_a_group_lives_180_days),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
