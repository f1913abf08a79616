/* core/loyalty_document.c: what it takes, what it finds, beside jansson. */

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>
#include <jansson.h>
#include <stdio.h>

#include "loyalty_document.h"
#include "loyalty_pointer.h"

#define DEEP LOYALTY_DOCUMENT_DEPTH_MAX

static loyalty_document_mistake_t mistake;

static loyalty_status_t
parse(loyalty_document_t *document, const char *text)
{
    return loyalty_document_parse(document, loyalty_str_from(text), &mistake);
}

/* The element as jansson would have it; the last of a name counts. */
static json_t *
to_jansson(const loyalty_document_t *document, const loyalty_element_t *from)
{
    loyalty_str_t bytes = loyalty_document_bytes(document, from);
    const loyalty_element_t *each = from + 1;
    char *text, *name;
    json_t *json;

    switch ((loyalty_json_type_t)from->type) {
    case LOYALTY_JSON_NULL:
        return json_null();
    case LOYALTY_JSON_FALSE:
        return json_false();
    case LOYALTY_JSON_TRUE:
        return json_true();
    case LOYALTY_JSON_INTEGER:
        return json_integer(strtoll(bytes.data, NULL, 10));
    case LOYALTY_JSON_REAL:
        return json_real(strtod(bytes.data, NULL));
    case LOYALTY_JSON_STRING:
        return json_stringn(bytes.data, bytes.len);
    case LOYALTY_JSON_ESCAPED:
        text = malloc(bytes.len);
        json = json_stringn(text, loyalty_document_unescape(bytes, text));
        free(text);
        return json;
    case LOYALTY_JSON_ARRAY:
        json = json_array();
        for (uint32_t i = 0; i < from->len; i++) {
            json_array_append_new(json, to_jansson(document, each));
            each = loyalty_document_next(document, each);
        }
        return json;
    default:
        json = json_object();
        for (uint32_t i = 0; i < from->len; i++) {
            json_t *key = to_jansson(document, each);

            name = strdup(json_string_value(key));
            json_decref(key);
            each = loyalty_document_next(document, each);
            json_object_set_new(json, name, to_jansson(document, each));
            free(name);
            each = loyalty_document_next(document, each);
        }
        return json;
    }
}

/* Are names that come twice found where jansson finds them? */
static bool
same_names_twice(const loyalty_document_t *document, const char *text,
                 size_t len)
{
    json_t *theirs = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
    loyalty_status_t status;
    loyalty_arena_t arena;

    loyalty_arena_init(&arena, 0);
    status = loyalty_document_distinct(document, &arena);
    loyalty_arena_free(&arena);
    json_decref(theirs);
    return status == (theirs != NULL ? LOYALTY_OK : LOYALTY_ERROR_INVALID);
}

/* Both take the text and find the same in it, or both refuse it. */
static bool
same_as_jansson(loyalty_document_t *document, const char *text, size_t len)
{
    json_error_t error;
    json_t *theirs = json_loadb(text, len, 0, &error), *ours = NULL;
    bool same;

    /* jansson gives up where an integer is past 64 bits; to us it is a number
     * like any other.  The values are compared where it has none. */
    if (theirs == NULL
        && json_error_code(&error) == json_error_numeric_overflow) {
        theirs = json_loadb(text, len, JSON_DECODE_INT_AS_REAL, &error);
        same = (loyalty_document_parse(document, (loyalty_str_t){text, len},
                                       &mistake)
                == LOYALTY_OK)
               == (theirs != NULL);
        json_decref(theirs);
        return same;
    }

    if (loyalty_document_parse(document, (loyalty_str_t){text, len}, &mistake)
        == LOYALTY_OK) {
        ours = to_jansson(document, loyalty_document_root(document));
        same = theirs != NULL && json_equal(ours, theirs)
               && same_names_twice(document, text, len);
    } else {
        same = theirs == NULL;
    }
    json_decref(ours);
    json_decref(theirs);
    return same;
}

static void
bad_pointers_are_refused(void **state)
{
    static const char *const cases[] = {"a", "a/b", "/~", "/~2", "/a~", "#/a"};
    char longest[LOYALTY_POINTER_MAX + 1];

    (void)state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(loyalty_pointer_check(loyalty_str_from(cases[i])),
                         LOYALTY_ERROR_INVALID);
    }
    memset(longest, 'x', sizeof(longest));
    longest[0] = '/';
    assert_int_equal(
        loyalty_pointer_check((loyalty_str_t){longest, LOYALTY_POINTER_MAX}),
        LOYALTY_OK);
    assert_int_equal(loyalty_pointer_check(
                         (loyalty_str_t){longest, LOYALTY_POINTER_MAX + 1}),
                     LOYALTY_ERROR_INVALID);
}

static void
pointers_are_those_of_rfc_6901(void **state)
{
    /* RFC 6901, section 5. */
    static const struct {
        const char *pointer;
        const char *value;
    } cases[] = {
        {"", NULL},     {"/foo/0", "bar"}, {"/foo/1", "baz"}, {"/", "0"},
        {"/a~1b", "1"}, {"/c%d", "2"},     {"/e^f", "3"},     {"/g|h", "4"},
        {"/i\\j", "5"}, {"/k\"l", "6"},    {"/ ", "7"},       {"/m~0n", "8"},
    };
    static const char *const missing[] = {"/none", "/foo/2", "/foo/-",
                                          "/foo/00", "/foo/1x", "/foo/0/x",
                                          "/foo/18446744073709551616", "/m~n0"};
    static const char text[] =
        "{\"foo\":[\"bar\",\"baz\"],\"\":0,\"a/b\":1,\"c%d\":2,\"e^f\":3,"
        "\"g|h\":4,\"i\\\\j\":5,\"k\\\"l\":6,\" \":7,\"m~n\":8}";
    loyalty_document_t document;
    const loyalty_element_t *root, *found;
    json_t *json = json_loads(text, 0, NULL), *value;

    (void)state;

    loyalty_document_init(&document);
    assert_null(loyalty_document_root(&document));
    assert_int_equal(parse(&document, text), LOYALTY_OK);
    root = loyalty_document_root(&document);

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        loyalty_str_t pointer = loyalty_str_from(cases[i].pointer);

        assert_int_equal(loyalty_pointer_check(pointer), LOYALTY_OK);
        found = loyalty_document_find(&document, root, pointer);
        value = loyalty_pointer_get(json, pointer);
        if (cases[i].value == NULL) {
            assert_ptr_equal(found, root);
            assert_ptr_equal(value, json);
            continue;
        }
        assert_non_null(found);
        assert_true(loyalty_str_eq(loyalty_document_bytes(&document, found),
                                   loyalty_str_from(cases[i].value)));
        if (json_is_string(value)) {
            assert_string_equal(json_string_value(value), cases[i].value);
        } else {
            assert_int_equal(json_integer_value(value), atoi(cases[i].value));
        }
    }
    for (size_t i = 0; i < sizeof(missing) / sizeof(missing[0]); i++) {
        assert_null(loyalty_document_find(&document, root,
                                          loyalty_str_from(missing[i])));
        assert_null(loyalty_pointer_get(json, loyalty_str_from(missing[i])));
    }
    json_decref(json);
    loyalty_document_free(&document);
}

static void
the_longest_name_is_found_however_it_is_written(void **state)
{
    char pointer[LOYALTY_POINTER_MAX], text[8 * LOYALTY_POINTER_MAX], *p = text;
    loyalty_document_t document;

    (void)state;

    memset(pointer, 'a', sizeof(pointer));
    pointer[0] = '/';
    p += sprintf(p, "{\"");
    for (size_t i = 1; i < sizeof(pointer); i++) {
        p += sprintf(p, "\\u0061");
    }
    sprintf(p, "\":[]}");

    loyalty_document_init(&document);
    assert_int_equal(parse(&document, text), LOYALTY_OK);
    assert_non_null(loyalty_document_find(
        &document, loyalty_document_root(&document),
        (loyalty_str_t){pointer, sizeof(pointer)}));

    /* One more, and no pointer can name it. */
    sprintf(p, "\\u0061\":[]}");
    assert_int_equal(parse(&document, text), LOYALTY_OK);
    assert_null(loyalty_document_find(
        &document, loyalty_document_root(&document),
        (loyalty_str_t){pointer, sizeof(pointer)}));
    loyalty_document_free(&document);
}

static void
the_last_of_a_name_counts(void **state)
{
    loyalty_document_t document;
    const loyalty_element_t *root;

    (void)state;

    loyalty_document_init(&document);
    assert_int_equal(
        parse(&document, "{\"a\":{\"x\":1},\"b\":0,\"\\u0061\":{\"y\":2}}"),
        LOYALTY_OK);
    root = loyalty_document_root(&document);
    assert_null(loyalty_document_find(&document, root, loyalty_str("/a/x")));
    assert_non_null(
        loyalty_document_find(&document, root, loyalty_str("/a/y")));
    loyalty_document_free(&document);
}

/* Of RFC 8259, and of what the header says beyond it. */
static void
what_is_json_is_taken_and_nothing_else(void **state)
{
    static const char *const good[] = {
        "{}", "[]", " \t\r\n[ ]\n", "{\"\":{}}", "[0]", "[-0]", "[0.0]",
        "[1E+2]", "[1e-999]", "[-12.5e3]", "[9223372036854775807]",
        "[99999999999999999999]", "[true,false,null]", "[\"\\u00e9\"]",
        "[\"\\ud83d\\ude00\"]", "[\"\xf0\x9f\x98\x80\"]", "[\"\x7f\"]",
        "[\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"]", "{\"a\":1,\"a\":2}",
        "[\"\xed\x9f\xbf\"]", "[\"\xf4\x8f\xbf\xbf\"]",
    };
    static const char *const bad[] = {
        "", " ", "1", "\"a\"", "null", "{", "[", "]", "}", "{]", "[}", "[1",
        "[1,", "[1,]", "[,1]", "[1 2]", "{\"a\"}", "{\"a\":}", "{\"a\":1,}",
        "{a:1}", "{1:1}", "{\"a\" 1}", "{,}", "[]]", "[] x", "[01]", "[1.]",
        "[.5]", "[+1]", "[-]", "[1e]", "[1e+]", "[0x10]", "[1e309]",
        "[-1e309]", "[tru]", "[truex]", "[True]", "[nul", "[\"a]", "[\"\\",
        "[\"\\x\"]", "[\"\\u12\"]", "[\"\\u12g4\"]", "[\"\\u0000\"]",
        "[\"\\ud800\"]", "[\"\\udc00\"]", "[\"\\ud800\\u0041\"]",
        "[\"\\ud800\\ud800\"]", "[\"\\ud83d", "[\"\n\"]", "[\"\x1f\"]",
        "[\"\x80\"]", "[\"\xc0\x80\"]", "[\"\xc1\xbf\"]", "[\"\xe0\x80\x80\"]",
        "[\"\xed\xa0\x80\"]", "[\"\xf0\x80\x80\x80\"]",
        "[\"\xf4\x90\x80\x80\"]", "[\"\xf5\x80\x80\x80\"]", "[\"\xe2\x82\"]",
        "[\"\xe2\x82", "\xef\xbb\xbf[]", "[1]//", "<html>", "[NaN]",
    };
    loyalty_document_t document;
    char *nines = malloc(512);

    (void)state;

    loyalty_document_init(&document);
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        if (parse(&document, good[i]) != LOYALTY_OK) {
            fail_msg("%s was refused: %s", good[i], mistake.what);
        }
        if (!same_as_jansson(&document, good[i], strlen(good[i]))) {
            fail_msg("%s: jansson differs", good[i]);
        }
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (parse(&document, bad[i]) != LOYALTY_ERROR_INVALID) {
            fail_msg("%s was taken", bad[i]);
        }
        assert_null(loyalty_document_root(&document));
        if (!same_as_jansson(&document, bad[i], strlen(bad[i]))) {
            fail_msg("%s: jansson differs", bad[i]);
        }
    }
    assert_int_equal(
        loyalty_document_parse(&document, (loyalty_str_t){"[\0]", 3}, &mistake),
        LOYALTY_ERROR_INVALID);

    /* Around the largest double, 1.797e308, without an exponent. */
    for (size_t digits = 300; digits <= 320; digits++) {
        memset(nines, '9', 512);
        nines[0] = '[';
        sprintf(nines + digits + 1, "]");
        assert_int_equal(parse(&document, nines) == LOYALTY_OK, digits <= 308);
        assert_true(same_as_jansson(&document, nines, strlen(nines)));
    }
    free(nines);
    loyalty_document_free(&document);
}

static void
escapes_are_resolved(void **state)
{
    /* U+007F and U+0080, U+07FF and U+0800, U+FFFF and U+10000: where UTF-8
     * takes one byte more. */
    static const struct {
        const char *escaped;
        const char *text;
    } cases[] = {
        {"\\\"\\\\\\/\\b\\f\\n\\r\\t", "\"\\/\b\f\n\r\t"},
        {"\\u007f\\u0080", "\x7f\xc2\x80"},
        {"\\u07FF\\u0800", "\xdf\xbf\xe0\xa0\x80"},
        {"\\uffff\\uD800\\udc00", "\xef\xbf\xbf\xf0\x90\x80\x80"},
        {"a\\udbff\\udfffb", "a\xf4\x8f\xbf\xbf" "b"},
    };
    char text[64];

    (void)state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        size_t len = loyalty_document_unescape(
            loyalty_str_from(cases[i].escaped), text);

        assert_int_equal(len, strlen(cases[i].text));
        assert_memory_equal(text, cases[i].text, len);
    }
}

/* RFC 3629, section 3: what is cut off, too long, or a surrogate. */
static void
what_is_no_utf8_is_marked(void **state)
{
    static const struct {
        const char *bytes;
        const char *text;
    } cases[] = {
        {"", ""},
        {"a\xc3\xa9\xe3\x81\x82\xf4\x8f\xbf\xbf", "a\xc3\xa9\xe3\x81\x82"
                                                   "\xf4\x8f\xbf\xbf"},
        {"a\xe3\x81", "a??"},
        {"\xe9t\xe9", "?t?"},
        {"\xc0\xaf\xed\xa0\x80\xf4\x90\x80\x80" "b", "?????????b"},
    };
    char text[64];

    (void)state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        strcpy(text, cases[i].bytes);
        loyalty_utf8_mend(text);
        assert_string_equal(text, cases[i].text);
        assert_true(loyalty_utf8_check(loyalty_str_from(text)));
    }
}

static void
a_mistake_has_its_place(void **state)
{
    loyalty_document_t document;

    (void)state;

    loyalty_document_init(&document);
    assert_int_equal(parse(&document, "{\n  \"a\": 1\n  \"b\": 2}"),
                     LOYALTY_ERROR_INVALID);
    assert_int_equal(mistake.line, 3);
    assert_int_equal(mistake.column, 3);
    assert_string_equal(mistake.what, "neither a comma nor an end");
    loyalty_document_free(&document);
}

static void
limits_hold(void **state)
{
    loyalty_document_t document;
    size_t size = LOYALTY_ORDER_SIZE_MAX;
    char *text = malloc(size + 2);

    (void)state;

    loyalty_document_init(&document);

    /* Depth: an array counts, and so does a number in the innermost one. */
    memset(text, '[', DEEP);
    memset(text + DEEP, ']', DEEP);
    assert_true(same_as_jansson(&document, text, 2 * DEEP));
    assert_non_null(loyalty_document_root(&document));
    memmove(text + DEEP + 1, text + DEEP, DEEP);
    text[DEEP] = '0';
    assert_true(same_as_jansson(&document, text, 2 * DEEP + 1));
    assert_null(loyalty_document_root(&document));
    memset(text, '[', size);
    assert_true(same_as_jansson(&document, text, size));

    /* As many values as fit, and one byte too many. */
    for (size_t i = 0; i + 1 < size; i += 2) {
        memcpy(text + i, ",0", 2);
    }
    text[0] = '[';
    memcpy(text + size - 3, " 0]", 3);
    assert_int_equal(loyalty_document_parse(
                         &document, (loyalty_str_t){text, size}, &mistake),
                     LOYALTY_OK);
    assert_int_equal(loyalty_document_root(&document)->len, size / 2 - 1);
    text[size] = ' ';
    assert_int_equal(loyalty_document_parse(
                         &document, (loyalty_str_t){text, size + 1}, &mistake),
                     LOYALTY_ERROR_LIMIT);
    assert_null(loyalty_document_root(&document));

    free(text);
    loyalty_document_free(&document);
}

static uint64_t seed = UINT64_C(0x9e3779b97f4a7c15);

static unsigned
any(unsigned n)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (unsigned)(seed >> 33) % n;
}

/* Some JSON; `p` has room for the most it makes. */
static char *
make(char *p, unsigned depth)
{
    static const char *const scalars[] = {
        "null", "true", "false", "0", "-0", "7", "-12", "12.50", "1e3", "-0.0",
        "0.00001", "123456789012345678", "1.7976931348623157e308", "\"\"",
        "\"abc\"", "\"\\u00e9\\n\"", "\"\xc3\xa9\"", "\"\\ud83d\\ude00\"",
    };
    static const char *const names[] = {"a", "b", "\\u0061", "", "\xc3\xa9"};
    unsigned n = any(4);
    bool object = any(2) != 0;

    if (depth > 3 || (depth > 0 && any(2) != 0)) {
        return p + sprintf(p, "%s",
                           scalars[any(sizeof(scalars) / sizeof(scalars[0]))]);
    }
    *p++ = object ? '{' : '[';
    for (unsigned i = 0; i < n; i++) {
        p += sprintf(p, "%s%s", i == 0 ? "" : ",", any(3) == 0 ? " " : "");
        if (object) {
            p += sprintf(p, "\"%s\":", names[any(5)]);
        }
        p = make(p, depth + 1);
    }
    *p++ = object ? '}' : ']';
    *p = '\0';
    return p;
}

static void
random_documents_are_read_as_jansson_reads_them(void **state)
{
    static const char noise[] = "{}[]\",:\\u0019.eE+- ntf\xc3\xa9\xf0\x80";
    loyalty_document_t document;
    char text[16384];

    (void)state;

    loyalty_document_init(&document);
    for (unsigned i = 0; i < 30000; i++) {
        size_t len = (size_t)(make(text, 0) - text);
        char *exact;
        bool same;

        /* Two in three are damaged at a place or two. */
        for (unsigned k = any(3); k > 0 && len > 0; k--) {
            size_t at = any((unsigned)len);

            if (any(3) == 0) {
                memmove(text + at, text + at + 1, --len - at);
            } else {
                text[at] = noise[any(sizeof(noise) - 1)];
            }
        }
        /* Right up to its end, for the address sanitizer. */
        exact = malloc(len + 1);
        memmove(exact + 1, text, len);
        same = same_as_jansson(&document, exact + 1, len);
        free(exact);
        if (!same) {
            text[len] = '\0';
            fail_msg("round %u: %s", i, text);
        }
    }
    loyalty_document_free(&document);
}

/* An object of `n` members, the last two of which are called `one` and
 * `two`, at the bottom of arrays and objects. */
static loyalty_status_t
names(int n, const char *one, const char *two)
{
    loyalty_document_t document;
    loyalty_status_t status;
    loyalty_arena_t arena;
    char text[4096], *p = text;

    p += sprintf(p, "[{\"a\":{\"a\":[1,{");
    for (int i = 2; i < n; i++) {
        p += sprintf(p, "\"%d\":{\"a\":1},", i);
    }
    sprintf(p, "\"%s\":1,\"%s\":2}]},\"b\":{\"a\":1}}]", one, two);

    loyalty_document_init(&document);
    assert_int_equal(parse(&document, text), LOYALTY_OK);
    assert_true(same_names_twice(&document, text, strlen(text)));

    loyalty_arena_init(&arena, 0);
    status = loyalty_document_distinct(&document, &arena);
    loyalty_arena_free(&arena);
    loyalty_document_free(&document);
    return status;
}

static void
names_that_come_twice_are_found(void **state)
{
    static const int sizes[] = {2, 15, 16, 17, 200};

    (void)state;

    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        assert_int_equal(names(sizes[i], "x", "y"), LOYALTY_OK);
        assert_int_equal(names(sizes[i], "x", "X"), LOYALTY_OK);
        assert_int_equal(names(sizes[i], "", "x"), LOYALTY_OK);
        assert_int_equal(names(sizes[i], "x", "x"), LOYALTY_ERROR_INVALID);
        assert_int_equal(names(sizes[i], "", ""), LOYALTY_ERROR_INVALID);
        assert_int_equal(names(sizes[i], "x", "\\u0078"),
                         LOYALTY_ERROR_INVALID);
        assert_int_equal(names(sizes[i], "\\u0079", "\\u0078"), LOYALTY_OK);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pointers_are_those_of_rfc_6901),
        cmocka_unit_test(bad_pointers_are_refused),
        cmocka_unit_test(the_longest_name_is_found_however_it_is_written),
        cmocka_unit_test(the_last_of_a_name_counts),
        cmocka_unit_test(names_that_come_twice_are_found),
        cmocka_unit_test(what_is_json_is_taken_and_nothing_else),
        cmocka_unit_test(escapes_are_resolved),
        cmocka_unit_test(what_is_no_utf8_is_marked),
        cmocka_unit_test(a_mistake_has_its_place),
        cmocka_unit_test(limits_hold),
        cmocka_unit_test(random_documents_are_read_as_jansson_reads_them),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
