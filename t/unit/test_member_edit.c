/*
 * core/loyalty_member_edit.c: what may be set of a member, and how (DOMAIN.md
 * section 2).  What is expected stands beside each change, by hand.
 */

#include "pricing.h"

#include "loyalty_member_edit.h"

#define NOW INT64_C(1767225600000) /* 2026-01-01 */

typedef struct {
    loyalty_member_t member;
    loyalty_arena_t arena;
    char problems[1024]; /* their places */
} desk_t;

static void
open_desk(desk_t *desk)
{
    loyalty_arena_init(&desk->arena, 0);
    loyalty_member_init(&desk->member, loyalty_str("anna"));
}

static loyalty_status_t
edit_json(desk_t *desk, json_t *fields)
{
    loyalty_problems_t problems;
    loyalty_status_t rc;
    size_t i;

    loyalty_problems_init(&problems, &desk->arena);
    rc = loyalty_member_edit(&desk->member, fields, &desk->arena, &problems);
    json_decref(fields);

    desk->problems[0] = '\0';
    for (i = 0; i < problems.count; i++) {
        add_text(desk->problems, sizeof(desk->problems), "%s%.*s",
                 i == 0 ? "" : " ", (int)problems.list[i].pointer.len,
                 problems.list[i].pointer.data);
    }
    return rc;
}

static loyalty_status_t
edit(desk_t *desk, const char *fields)
{
    return edit_json(desk, json_of(fields));
}

static void
assert_text(loyalty_str_t found, const char *expected)
{
    assert_int_equal(found.len, strlen(expected));
    assert_memory_equal(found.data, expected, found.len);
}

static void
what_is_given_is_set_and_null_empties(void **state)
{
    loyalty_member_t *member;
    desk_t desk;

    (void)state;

    open_desk(&desk);
    member = &desk.member;
    assert_int_equal(
        edit(&desk,
             "{'id': 'anna', 'email': 'a@example.com', 'phone': '+44 (0)20/7',"
             " 'messenger_id': 'm', 'line_id': 'l', 'name': 'Anna',"
             " 'locale': 'fr-CA', 'registered': true,"
             " 'signed_up_at': '2026-01-01T00:00:00Z',"
             " 'clubs': ['tea', 'mugs'], 'attributes': {'size': 'M',"
             " 'shoe': '38'}, 'consent': {'email': true, 'line': true},"
             " 'consent_source': 'form'}"),
        LOYALTY_OK);
    assert_text(member->email, "a@example.com");
    assert_text(member->phone, "+44 (0)20/7");
    assert_text(member->messenger_id, "m");
    assert_text(member->line_id, "l");
    assert_text(member->name, "Anna");
    assert_text(member->locale, "fr-CA");
    assert_true(member->registered);
    assert_int_equal(member->signed_up_at, NOW);
    assert_int_equal(member->nclubs, 2);
    assert_text(member->clubs[1], "mugs");
    assert_int_equal(member->nattributes, 2);
    assert_int_equal(member->consent,
                     LOYALTY_CHANNEL_EMAIL | LOYALTY_CHANNEL_LINE);
    assert_int_equal(member->version, 1);

    /* Consent and attributes are merged, the rest is replaced. */
    assert_int_equal(
        edit(&desk, "{'email': null, 'locale': '', 'registered': false,"
                    " 'signed_up_at': null, 'clubs': [],"
                    " 'consent': {'email': false, 'sms': true},"
                    " 'attributes': {'size': null, 'shoe': '39',"
                    " 'new': 'x', 'none': null}}"),
        LOYALTY_OK);
    assert_text(member->email, "");
    assert_text(member->locale, "");
    assert_text(member->name, "Anna");
    assert_false(member->registered);
    assert_int_equal(member->signed_up_at, LOYALTY_UNKNOWN);
    assert_int_equal(member->nclubs, 0);
    assert_int_equal(member->consent,
                     LOYALTY_CHANNEL_SMS | LOYALTY_CHANNEL_LINE);
    assert_int_equal(member->nattributes, 2);
    assert_text(member->attributes[0].name, "shoe");
    assert_text(member->attributes[0].value, "39");
    assert_text(member->attributes[1].name, "new");
    assert_int_equal(member->version, 2);

    assert_int_equal(edit(&desk, "{'clubs': null}"), LOYALTY_OK);
    assert_int_equal(member->nclubs, 0);
    loyalty_arena_free(&desk.arena);
}

static void
a_status_by_hand_has_an_end_or_none(void **state)
{
    loyalty_member_t *member;
    desk_t desk;

    (void)state;

    open_desk(&desk);
    member = &desk.member;
    assert_int_equal(edit(&desk, "{'manual_status': 'gold'}"), LOYALTY_OK);
    assert_text(member->manual_tier, "gold");
    assert_int_equal(member->manual_until, LOYALTY_NEVER);

    assert_int_equal(edit(&desk, "{'manual_until': '2026-01-01T00:00:00Z'}"),
                     LOYALTY_OK);
    assert_int_equal(member->manual_until, NOW);
    assert_int_equal(edit(&desk, "{'manual_until': null}"), LOYALTY_OK);
    assert_int_equal(member->manual_until, LOYALTY_NEVER);

    assert_int_equal(edit(&desk, "{'manual_status': null}"), LOYALTY_OK);
    assert_text(member->manual_tier, "");
    assert_int_equal(member->manual_until, LOYALTY_UNKNOWN);

    assert_int_equal(edit(&desk, "{'manual_until': null}"),
                     LOYALTY_ERROR_INVALID);
    assert_string_equal(desk.problems, "/manual_until");
    loyalty_arena_free(&desk.arena);
}

static void
every_mistake_has_its_place(void **state)
{
    static const struct {
        const char *fields, *problems;
    } cases[] = {
        {"{'points': 7, 'a/b~': 1}", "/points /a~1b~0"},
        {"{'name': 7}", "/name"},
        {"{'name': 'a\\u0007b'}", "/name"},
        {"{'name': 'a\\u007f'}", "/name"},
        {"{'registered': 'yes'}", "/registered"},
        {"{'signed_up_at': 'yesterday'}", "/signed_up_at"},
        {"{'signed_up_at': 1}", "/signed_up_at"},
        {"{'consent': []}", "/consent"},
        {"{'consent': {'fax': true, 'sms': 1}}", "/consent/fax /consent/sms"},
        {"{'clubs': 'tea'}", "/clubs"},
        {"{'clubs': ['tea', '']}", "/clubs/1"},
        {"{'clubs': ['tea', 7]}", "/clubs/1"},
        {"{'attributes': 'M'}", "/attributes"},
        {"{'attributes': {'': 'M', 'size': 7}}",
         "/attributes/ /attributes/size"},
        {"{'manual_status': 7}", "/manual_status"},
        {"{'manual_status': 'gold', 'manual_until': 'soon'}", "/manual_until"},
        {"{'email': 'anna'}", "/email"},
        {"{'email': '@example.com'}", "/email"},
        {"{'email': 'anna@'}", "/email"},
        {"{'email': 'a@b@c'}", "/email"},
        {"{'email': 'an na@b'}", "/email"},
        {"{'phone': '12'}", "/phone"},
        {"{'phone': '123456789012345678901'}", "/phone"},
        {"{'phone': '123a'}", "/phone"},
        {"{'locale': 'fr CA'}", "/locale"},
        {"{'locale': 'en-abcdefghijklmnopqrstuvwxyz0123456'}", "/locale"},
    };
    desk_t desk;
    size_t i;

    (void)state;

    for (i = 0; i < COUNT(cases); i++) {
        open_desk(&desk);
        assert_int_equal(edit(&desk, cases[i].fields), LOYALTY_ERROR_INVALID);
        if (strcmp(desk.problems, cases[i].problems) != 0) {
            fail_msg("%s: %s", cases[i].fields, desk.problems);
        }
        assert_int_equal(desk.member.version, 0);
        loyalty_arena_free(&desk.arena);
    }
}

/* LOYALTY_MEMBER_TEXT_MAX, LOYALTY_MEMBER_LIST_MAX and one more. */
static void
texts_and_lists_have_their_limits(void **state)
{
    static char text[LOYALTY_MEMBER_TEXT_MAX + 2];
    loyalty_status_t expected;
    json_t *list, *map;
    char name[16];
    desk_t desk;
    int more, i;

    (void)state;

    for (more = 0; more < 2; more++) {
        expected = more == 0 ? LOYALTY_OK : LOYALTY_ERROR_INVALID;
        memset(text, 'x', sizeof(text));
        text[LOYALTY_MEMBER_TEXT_MAX + more] = '\0';
        list = json_array();
        map = json_object();
        for (i = 0; i < LOYALTY_MEMBER_LIST_MAX + more; i++) {
            snprintf(name, sizeof(name), "n%d", i);
            json_array_append_new(list, json_string(name));
            json_object_set_new(map, name, json_string("v"));
        }

        open_desk(&desk);
        assert_int_equal(edit_json(&desk, json_pack("{s:s}", "name", text)),
                         expected);
        assert_int_equal(edit_json(&desk, json_pack("{s:{s:s}}", "attributes",
                                                    text, "v")),
                         expected);
        assert_int_equal(edit_json(&desk, json_pack("{s:o}", "clubs", list)),
                         expected);
        loyalty_arena_free(&desk.arena);

        open_desk(&desk);
        assert_int_equal(edit_json(&desk, json_pack("{s:o}", "attributes",
                                                    map)),
                         expected);
        loyalty_arena_free(&desk.arena);
    }
}

static void
a_tombstone_keeps_no_personal_data(void **state)
{
    loyalty_member_t *member;
    desk_t desk;

    (void)state;

    open_desk(&desk);
    member = &desk.member;
    assert_int_equal(edit(&desk, "{'email': 'a@b.c', 'name': 'Anna',"
                                 " 'clubs': ['tea'], 'attributes': {'a': 'b'},"
                                 " 'consent': {'email': true}}"),
                     LOYALTY_OK);
    assert_int_equal(loyalty_member_join(member, loyalty_str("g"),
                                         &desk.arena), LOYALTY_OK);
    member->spent_total = 100;

    assert_true(loyalty_member_delete(member, false, NOW));
    assert_int_equal(member->deleted_at, NOW);
    assert_int_equal(member->email.len + member->name.len + member->nclubs
                         + member->ngroups + member->nattributes
                         + member->consent,
                     0);
    assert_int_equal(member->spent_total, 100);
    assert_false(member->erased);

    assert_false(loyalty_member_delete(member, false, NOW + 1));
    assert_int_equal(edit(&desk, "{'name': 'Anna'}"), LOYALTY_ERROR_REFUSED);
    assert_int_equal(loyalty_member_join(member, loyalty_str("g"),
                                         &desk.arena),
                     LOYALTY_ERROR_REFUSED);

    /* Erased later: when it was deleted stays. */
    assert_true(loyalty_member_delete(member, true, NOW + 2));
    assert_true(member->erased);
    assert_int_equal(member->deleted_at, NOW);
    assert_false(loyalty_member_delete(member, true, NOW + 3));
    assert_false(loyalty_member_delete(member, false, NOW + 3));
    loyalty_arena_free(&desk.arena);
}

/* Each allocation of an edit fails by itself; the member is not to be kept. */
static void
without_memory_nothing_is_edited(void **state)
{
    json_t *fields = json_of("{'name': 'Anna', 'clubs': ['tea'],"
                             " 'attributes': {'size': 'M'}}");
    loyalty_problems_t problems;
    loyalty_arena_t notes;
    desk_t desk;
    size_t limit, refused = 0;

    (void)state;

    loyalty_arena_init(&notes, 0);
    for (limit = 1; limit < 256; limit += 16) {
        open_desk(&desk);
        desk.arena.limit = limit;
        loyalty_problems_init(&problems, &notes);
        if (loyalty_member_edit(&desk.member, fields, &desk.arena, &problems)
            != LOYALTY_OK) {
            assert_int_equal(problems.count, 0);
            assert_int_equal(desk.member.version, 0);
            refused++;
        }
        loyalty_arena_free(&desk.arena);
    }
    assert_true(refused >= 4 && refused < 16);

    open_desk(&desk);
    desk.arena.limit = 1;
    assert_int_equal(loyalty_member_join(&desk.member, loyalty_str("g"),
                                         &desk.arena),
                     LOYALTY_ERROR_MEMORY);
    loyalty_arena_free(&desk.arena);
    loyalty_arena_free(&notes);
    json_decref(fields);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_given_is_set_and_null_empties),
        cmocka_unit_test(a_status_by_hand_has_an_end_or_none),
        cmocka_unit_test(every_mistake_has_its_place),
        cmocka_unit_test(texts_and_lists_have_their_limits),
        cmocka_unit_test(a_tombstone_keeps_no_personal_data),
        cmocka_unit_test(without_memory_nothing_is_edited),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
