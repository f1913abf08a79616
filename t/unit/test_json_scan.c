/* edge/loyalty_json_scan.c: every document whole, byte by byte, and split in
 * two at each place, gives the same. */
// link: ngx_loyalty_module/edge/loyalty_json_scan.c -Ingx_loyalty_module/edge

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <jansson.h>

#include "loyalty_json_scan.h"

#define SIZE_MOST 4096

/* What a filter would do: the value in place of the member's, the member
 * before the last brace.  The outcome, and the text. */
typedef struct {
    loyalty_json_scan_t scan;
    loyalty_json_event_t outcome;
    char text[SIZE_MOST];
    size_t len;
    size_t close; /* in text, of the brace */
} edit_t;

static void
put(edit_t *edit, const char *data, size_t len)
{
    assert_true(edit->len + len < SIZE_MOST);
    memcpy(edit->text + edit->len, data, len);
    edit->len += len;
}

static void
feed(edit_t *edit, const char *data, size_t len)
{
    loyalty_json_event_t event;
    size_t pos = 0, from = 0;

    if (edit->outcome != LOYALTY_JSON_MORE) {
        return;
    }

    for (;;) {
        event = loyalty_json_scan(&edit->scan, data, len, &pos);

        switch (event) {
        case LOYALTY_JSON_VALUE:
            put(edit, data + from, pos - from);
            put(edit, "42", 2);
            break;
        case LOYALTY_JSON_VALUE_END:
            from = pos;
            break;
        case LOYALTY_JSON_CLOSE:
            put(edit, data + from, pos - from);
            from = pos;
            edit->close = edit->len;
            break;
        case LOYALTY_JSON_MORE:
            if (!edit->scan.in_value) {
                put(edit, data + from, len - from);
            }
            return;
        default:
            edit->outcome = event;
            return;
        }
    }
}

static void
start(edit_t *edit, const char *name)
{
    memset(edit, 0, sizeof(*edit));
    loyalty_json_scan_init(&edit->scan, loyalty_str_from(name));
}

static void
finish(edit_t *edit)
{
    char tail[SIZE_MOST];
    size_t len;

    if (edit->outcome == LOYALTY_JSON_MORE && !edit->scan.closed) {
        edit->outcome = LOYALTY_JSON_INVALID;
    }

    if (edit->outcome == LOYALTY_JSON_MORE && !edit->scan.found) {
        len = edit->len - edit->close;
        memcpy(tail, edit->text + edit->close, len);
        edit->len = edit->close;
        if (!edit->scan.empty) {
            put(edit, ",", 1);
        }
        put(edit, "\"m\":42", 6);
        put(edit, tail, len);
    }

    edit->text[edit->len] = '\0';
}

static void
check(edit_t *edit, const char *text, loyalty_json_event_t outcome,
      const char *expected)
{
    finish(edit);
    if (edit->outcome != outcome) {
        fail_msg("%s: outcome %d, not %d", text, edit->outcome, outcome);
    }
    if (expected != NULL) {
        assert_string_equal(edit->text, expected);
    }
}

static void
in_all_pieces(const char *name, const char *text, size_t len,
              loyalty_json_event_t outcome, const char *expected)
{
    edit_t edit;
    size_t i;

    start(&edit, name);
    feed(&edit, text, len);
    check(&edit, text, outcome, expected);

    start(&edit, name);
    for (i = 0; i < len; i++) {
        feed(&edit, text + i, 1);
    }
    check(&edit, text, outcome, expected);

    for (i = 0; i <= len; i++) {
        start(&edit, name);
        feed(&edit, text, i);
        feed(&edit, text + i, len - i);
        check(&edit, text, outcome, expected);
    }
}

/* Expected texts by hand. */
static void
the_member_is_put_in(void **state)
{
    static const struct {
        const char *text;
        const char *expected;
    } cases[] = {
        {"{}", "{\"m\":42}"},
        {" \t\r\n{ \n} \n", " \t\r\n{ \n\"m\":42} \n"},
        {"\xEF\xBB\xBF{}", "\xEF\xBB\xBF{\"m\":42}"},
        {"{\"a\":1}", "{\"a\":1,\"m\":42}"},
        {"{\"a\" : [1, {\"m\": 2}] }\n",
         "{\"a\" : [1, {\"m\": 2}] ,\"m\":42}\n"},
        {"{\"a\":{\"m\":{\"m\":1}}}", "{\"a\":{\"m\":{\"m\":1}},\"m\":42}"},
        {"{\"a\":\"}\\\"{\\\\\"}", "{\"a\":\"}\\\"{\\\\\",\"m\":42}"},
        {"{\"mm\":1,\"\":2,\"M\":3}", "{\"mm\":1,\"\":2,\"M\":3,\"m\":42}"},
        {"{\"a\":\"m\"}", "{\"a\":\"m\",\"m\":42}"},
        {"{\"a\":-0.5e+10,\"b\":0,\"c\":10E-2,\"d\":1.25}",
         "{\"a\":-0.5e+10,\"b\":0,\"c\":10E-2,\"d\":1.25,\"m\":42}"},
        {"{\"a\":true,\"b\":false,\"c\":null,\"d\":[],\"e\":{},\"f\":[[]]}",
         "{\"a\":true,\"b\":false,\"c\":null,\"d\":[],\"e\":{},\"f\":[[]],"
         "\"m\":42}"},
        {"{\"\\u006D\\u006d\":1}", "{\"\\u006D\\u006d\":1,\"m\":42}"},
        {"{\"a\":\"\\ud83d\\ude00\\n\"}",
         "{\"a\":\"\\ud83d\\ude00\\n\",\"m\":42}"},
    };
    size_t i;

    (void)state;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        in_all_pieces("m", cases[i].text, strlen(cases[i].text),
                      LOYALTY_JSON_MORE, cases[i].expected);
    }
}

static void
a_member_of_that_name_is_replaced(void **state)
{
    static const struct {
        const char *name;
        const char *text;
        const char *expected;
    } cases[] = {
        {"m", "{\"m\":1}", "{\"m\":42}"},
        {"m", "{\"m\" : 1 ,\"b\":2}", "{\"m\" : 42 ,\"b\":2}"},
        {"m", "{\"a\":1,\"m\":-1.5e3}", "{\"a\":1,\"m\":42}"},
        {"m", "{\"m\":{\"m\":[{}]}}", "{\"m\":42}"},
        {"m", "{\"m\":[1,\"]\"],\"n\":0}", "{\"m\":42,\"n\":0}"},
        {"m", "{\"m\":\"a\\\"b\"}", "{\"m\":42}"},
        {"m", "{\"m\":null }", "{\"m\":42 }"},
        {"m", "{\"m\":1,\"m\":2}", "{\"m\":42,\"m\":42}"},
        {"m", "{\"\\u006d\":1}", "{\"\\u006d\":42}"},
        {"lo/y", "{\"lo\\/\\u0079\":1}", "{\"lo\\/\\u0079\":42}"},
        {"a\"\\\n", "{\"a\\\"\\\\\\n\":1}", "{\"a\\\"\\\\\\n\":42}"},
        {"\xC3\xA9", "{\"\\u00e9\":1,\"\xC3\xA9\":2}",
         "{\"\\u00e9\":42,\"\xC3\xA9\":42}"},
        {"\xE2\x82\xAC", "{\"\\u20AC\":1}", "{\"\\u20AC\":42}"},
        {"\xF0\x9F\x98\x80", "{\"\\ud83D\\uDE00\":1}",
         "{\"\\ud83D\\uDE00\":42}"},
    };
    size_t i;

    (void)state;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        in_all_pieces(cases[i].name, cases[i].text, strlen(cases[i].text),
                      LOYALTY_JSON_MORE, cases[i].expected);
    }
}

/* Half of a pair is no character: such a name is never ours. */
static void
a_lone_surrogate_is_no_match(void **state)
{
    static const char *const cases[] = {
        "{\"m\\ud83d\":1}", "{\"\\ud83dm\":1}", "{\"\\ud83d\\u006d\":1}",
        "{\"\\ud83d\\n\":1}", "{\"\\ud83d\\ud83d\\ude00\":1}",
    };
    edit_t edit;
    size_t i;

    (void)state;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        start(&edit, "m");
        feed(&edit, cases[i], strlen(cases[i]));
        assert_int_equal(edit.outcome, LOYALTY_JSON_MORE);
        assert_false(edit.scan.found);
    }
}

static void
what_is_no_object_is_left_alone(void **state)
{
    static const char *const cases[] = {
        "[]", "[{\"a\":1}]", "\"text\"", " 1", "null", "<html>", "\xEF{}",
        "\xEF\xBB{}", "\xEF\xBB\xBF[]", " \xEF\xBB\xBF{}", "\xEF\xBB\xBF\xEF",
    };
    size_t i;

    (void)state;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        in_all_pieces("m", cases[i], strlen(cases[i]), LOYALTY_JSON_OTHER,
                      NULL);
    }
}

static void
invalid_documents_are_noticed(void **state)
{
    static const char *const cases[] = {
        "", " ", "\xEF\xBB", "\xEF\xBB\xBF", "{", "{\"", "{\"a", "{\"a\"",
        "{\"a\":", "{\"a\":1",
        "{\"a\":1,", "{\"a\":1,}", "{,}", "{1:2}", "{a:1}", "{\"a\" 1}",
        "{\"a\"::1}", "{\"a\":}", "{\"a\":1 2}", "{\"a\":01}", "{\"a\":.5}",
        "{\"a\":5.}", "{\"a\":1e}", "{\"a\":1e+}", "{\"a\":-}", "{\"a\":+1}",
        "{\"a\":0x1}", "{\"a\":NaN}", "{\"a\":tru}", "{\"a\":True}",
        "{\"a\":truex}", "{\"a\":nul}", "{\"a\":\"\n\"}", "{\"a\":\"\\x\"}",
        "{\"a\":\"\\u12g4\"}", "{\"a\":\"\\u123\"}", "{\"a\":'b'}",
        "{\"a\":[}", "{\"a\":[1,]}", "{\"a\":[1}", "{\"a\":{]}", "{]",
        "{\"a\":1]", "{} {}", "{}x", "{},", "{\"a\":1}}", "{/**/}",
        "{\"m\":1", "{\"m\":}", "{\"m\":1 2}", "{\"m\":[}",
    };
    size_t i;

    (void)state;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_null(json_loads(cases[i], JSON_DECODE_ANY, NULL));
        in_all_pieces("m", cases[i], strlen(cases[i]), LOYALTY_JSON_INVALID,
                      NULL);
    }

    in_all_pieces("m", "{\"a\0\":1}", 8, LOYALTY_JSON_INVALID, NULL);
    in_all_pieces("m", "{\"a\":\"\\\0\"}", 10, LOYALTY_JSON_INVALID, NULL);
}

static void
depth_is_bounded(void **state)
{
    static char text[2 * LOYALTY_INJECT_JSON_DEPTH_MAX + 64];
    edit_t edit;
    size_t depth, len;

    (void)state;

    for (depth = LOYALTY_INJECT_JSON_DEPTH_MAX;
         depth <= LOYALTY_INJECT_JSON_DEPTH_MAX + 1; depth++) {
        len = (size_t)sprintf(text, "{\"a\":");
        memset(text + len, '[', depth - 1);
        len += depth - 1;
        memset(text + len, ']', depth - 1);
        len += depth - 1;
        text[len++] = '}';

        start(&edit, "m");
        feed(&edit, text, len);
        finish(&edit);
        assert_int_equal(edit.outcome, depth > LOYALTY_INJECT_JSON_DEPTH_MAX
                                           ? LOYALTY_JSON_DEEP
                                           : LOYALTY_JSON_MORE);
    }
}

/* A random walk over texts that are nearly JSON: jansson judges. */
static void
jansson_agrees(void **state)
{
    static const char *const parts[] = {
        "{", "}", "[", "]", ",", ":", "\"a\"", "\"m\"", "\"\\u006d\"", "1",
        "-0.5e3", "true", "null", " ", "\"x\\\"}\"", "{\"b\":", "\"m\":",
        "\"c\":[", "{}", "[]",
    };
    unsigned seed = 20261122, i, n, round, valid = 0;
    char text[512];
    json_t *json, *member;
    edit_t edit;
    size_t len;

    (void)state;
    print_message("# seed %u\n", seed);

    for (round = 0; round < 200000; round++) {
        len = (size_t)sprintf(text, "{");
        n = (unsigned)rand_r(&seed) % 9;
        for (i = 0; i < n; i++) {
            len += (size_t)sprintf(
                text + len, "%s",
                parts[(unsigned)rand_r(&seed)
                      % (sizeof(parts) / sizeof(parts[0]))]);
        }
        len += (size_t)sprintf(text + len, "}");

        start(&edit, "m");
        feed(&edit, text, len);
        finish(&edit);

        json = json_loads(text, 0, NULL);
        if ((json != NULL) != (edit.outcome == LOYALTY_JSON_MORE)) {
            fail_msg("%s: %d", text, edit.outcome);
        }
        if (json == NULL) {
            continue;
        }

        valid++;
        json_object_set_new(json, "m", json_integer(42));
        member = json_loads(edit.text, 0, NULL);
        if (!json_equal(json, member)) {
            fail_msg("%s became %s", text, edit.text);
        }
        json_decref(json);
        json_decref(member);
    }

    print_message("# %u of %u valid\n", valid, round);
    assert_true(valid > 5000);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_member_is_put_in),
        cmocka_unit_test(a_member_of_that_name_is_replaced),
        cmocka_unit_test(a_lone_surrogate_is_no_match),
        cmocka_unit_test(what_is_no_object_is_left_alone),
        cmocka_unit_test(invalid_documents_are_noticed),
        cmocka_unit_test(depth_is_bounded),
        cmocka_unit_test(jansson_agrees),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
