/* core/loyalty_template.c: the specification's cases, limits, problems. */

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "loyalty_template.h"

#define OUTPUT_MAX (1024 * 1024)

static loyalty_template_t *
compiled_from(const char *source)
{
    loyalty_arena_t arena;
    loyalty_problems_t problems;
    loyalty_template_t *compiled;

    loyalty_arena_init(&arena, 0);
    loyalty_problems_init(&problems, &arena);
    assert_int_equal(loyalty_template_compile(loyalty_str_from(source),
                                              &problems, &compiled),
                     LOYALTY_OK);
    assert_int_equal(problems.count, 0);
    loyalty_arena_free(&arena);
    return compiled;
}

/* Partials come as an object of sources, compiled where they are asked for. */
typedef struct {
    json_t *sources;
    loyalty_template_t *made[64];
    size_t nmade;
} partials_t;

static const loyalty_template_t *
partial_of(void *data, loyalty_str_t name)
{
    partials_t *partials = data;
    char key[64];
    const char *source;
    size_t i;

    snprintf(key, sizeof(key), "%.*s", (int)name.len, name.data);
    source = json_string_value(json_object_get(partials->sources, key));
    if (source == NULL) {
        return NULL;
    }

    i = partials->nmade++;
    assert_true(i < sizeof(partials->made) / sizeof(partials->made[0]));
    partials->made[i] = compiled_from(source);
    return partials->made[i];
}

static loyalty_status_t
render(const char *source, json_t *data, json_t *sources, size_t size_max,
       loyalty_arena_t *arena, loyalty_str_t *text)
{
    loyalty_template_t *compiled = compiled_from(source);
    partials_t partials = {.sources = sources};
    loyalty_status_t rc;

    rc = loyalty_template_render(compiled, data, partial_of, &partials,
                                 size_max, arena, text);
    loyalty_template_free(compiled);
    while (partials.nmade > 0) {
        loyalty_template_free(partials.made[--partials.nmade]);
    }

    return rc;
}

static void
assert_renders(const char *name, const char *source, json_t *data,
               json_t *sources, const char *expected)
{
    loyalty_arena_t arena;
    loyalty_str_t text;

    loyalty_arena_init(&arena, 0);
    assert_int_equal(render(source, data, sources, OUTPUT_MAX, &arena, &text),
                     LOYALTY_OK);
    if (!loyalty_str_eq(text, loyalty_str_from(expected))) {
        fail_msg("%s: \"%s\" gave \"%.*s\", not \"%s\"", name, source,
                 (int)text.len, text.data, expected);
    }
    loyalty_arena_free(&arena);
}

static size_t
run_specification(const char *path)
{
    json_error_t error;
    json_t *file, *test;
    size_t i, n;

    file = json_load_file(path, 0, &error);
    if (file == NULL) {
        fail_msg("%s: %s", path, error.text);
    }

    n = json_array_size(json_object_get(file, "tests"));
    json_array_foreach(json_object_get(file, "tests"), i, test) {
        assert_renders(json_string_value(json_object_get(test, "name")),
                       json_string_value(json_object_get(test, "template")),
                       json_object_get(test, "data"),
                       json_object_get(test, "partials"),
                       json_string_value(json_object_get(test, "expected")));
    }

    json_decref(file);
    return n;
}

static void
the_specification_holds(void **state)
{
    const char *shared = getenv("SHARED");
    char dir[512], path[1024];
    struct dirent *entry;
    size_t cases = 0;
    DIR *d;

    (void)state;

    snprintf(dir, sizeof(dir), "%s/data/mustache-spec",
             shared == NULL ? "" : shared);
    d = shared == NULL ? NULL : opendir(dir);
    if (d == NULL) {
        print_message("# no mustache-spec: SHARED must name the folder that "
                      "has data/mustache-spec\n");
        skip();
        return;
    }

    while ((entry = readdir(d)) != NULL) {
        if (strstr(entry->d_name, ".json") != NULL) {
            snprintf(path, sizeof(path), "%s/%s", dir, entry->d_name);
            cases += run_specification(path);
        }
    }

    closedir(d);
    print_message("# %zu cases of the specification\n", cases);
    assert_true(cases > 100);
}

/* What the specification leaves open; expected values by hand. */
static void
our_own_rules_hold(void **state)
{
    static const struct {
        const char *source;
        const char *data;
        const char *expected;
    } cases[] = {
        {"{{#a}}x{{/a}}{{^a}}y{{/a}}", "{\"a\":\"\"}", "y"},
        {"{{#a}}x{{/a}}{{^a}}y{{/a}}", "{\"a\":0}", "x"},
        {"{{#a}}x{{/a}}{{^a}}y{{/a}}", "{\"a\":{}}", "x"},
        {"{{#a}}x{{/a}}{{^a}}y{{/a}}", "{\"a\":null}", "y"},
        {"{{a}}", "{\"a\":\"it's <\\\"&>\"}", "it&#39;s &lt;&quot;&amp;&gt;"},
        {"[{{a}}|{{b}}|{{c}}]", "{\"a\":[1],\"b\":{\"x\":1},\"c\":true}",
         "[||true]"},
        {"{{a}} {{b}}", "{\"a\":9007199254740993,\"b\":0.1}",
         "9007199254740993 0.1"},
        {"{{#l}}{{#x}}{{y}}{{/x}};{{/l}}", "{\"l\":[{\"x\":{\"y\":1}},{}]}",
         "1;;"},
        {"{{{a}}}}", "{\"a\":\"<\"}", "<}"},
        {"{{=[ ]=}}[{a}][&a][a]", "{\"a\":\"<\"}", "<<&lt;"},
        {"a\r\n  {{#b}}  \r\nx\r\n  {{/b}}", "{\"b\":1}", "a\r\nx\r\n"},
        {"{{!}}", "{}", ""},
        {"", "{}", ""},
    };
    json_t *data;
    size_t i;

    (void)state;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        data = json_loads(cases[i].data, 0, NULL);
        assert_non_null(data);
        assert_renders("own", cases[i].source, data, NULL, cases[i].expected);
        json_decref(data);
    }
}

static void
a_partial_is_indented_line_by_line(void **state)
{
    json_t *data, *partials;

    (void)state;

    /* `p` has a standalone section, a section in a line, and a partial of its
     * own both standalone and in a line. */
    data = json_loads("{\"a\":[1,2],\"t\":\"x\\ny\"}", 0, NULL);
    partials = json_pack("{s:s, s:s}", "p",
                         "1{{#a}}\n{{/a}}\n{{#t}}\n{{{t}}}\n{{/t}}\n"
                         "  {{>q}}\n{{>q}}!\n{{! c }}z\n",
                         "q", "q\nr\n");
    assert_renders("indented", "  {{>p}}\nend", data, partials,
                   "  1\n\n  x\ny\n"
                   "    q\n    r\n"
                   "  q\nr\n!\n  z\nend");
    json_decref(data);
    json_decref(partials);
}

static void
problems_name_the_line(void **state)
{
    static const struct {
        const char *source;
        const char *pointer;
        const char *message;
    } cases[] = {
        {"a\nb {{c", "line 2", "the tag is not closed by \"}}\""},
        {"{{{c}}", "line 1", "the tag is not closed by \"}}}\""},
        {"\n\n{{#a}}\n\n", "line 3", "the section is not closed"},
        {"{{/a}}", "line 1", "\"a\" is closed but was not opened"},
        {"{{#a}}\n{{/b}}", "line 2", "\"b\" is closed where \"a\" is open"},
        {"{{}}", "line 1", "the tag has no name"},
        {"{{#}}{{/}}", "line 1", "the tag has no name"},
        {"{{a b}}", "line 1",
         "the name \"a b\" has a blank or a control character"},
        {"{{a..b}}", "line 1", "the name \"a..b\" has an empty part"},
        {"{{.a}}", "line 1", "the name \".a\" has an empty part"},
        {"{{a.}}", "line 1", "the name \"a.\" has an empty part"},
        {"\n{{=<% =}}", "line 2",
         "delimiters are two words without '=', not \"<%\""},
        {"{{=a = b=}}", "line 1",
         "delimiters are two words without '=', not \"a = b\""},
        {"{{=a b c=}}", "line 1",
         "delimiters are two words without '=', not \"a b c\""},
    };
    loyalty_arena_t arena;
    loyalty_problems_t problems;
    loyalty_template_t *compiled;
    size_t i;

    (void)state;

    loyalty_arena_init(&arena, 0);

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        loyalty_problems_init(&problems, &arena);
        assert_int_equal(
            loyalty_template_compile(loyalty_str_from(cases[i].source),
                                     &problems, &compiled),
            LOYALTY_ERROR_INVALID);
        assert_null(compiled);
        assert_true(problems.count >= 1);
        assert_string_equal(problems.list[0].pointer.data, cases[i].pointer);
        assert_string_equal(problems.list[0].message.data, cases[i].message);
    }

    loyalty_arena_free(&arena);
}

static loyalty_status_t
compile_repeated(const char *before, const char *after, size_t n,
                 size_t *problem_count)
{
    loyalty_arena_t arena;
    loyalty_problems_t problems;
    loyalty_template_t *compiled;
    loyalty_status_t rc;
    char *source;
    size_t len = n * (strlen(before) + strlen(after)), i;

    source = calloc(1, len + 1);
    for (i = 0; i < n; i++) {
        memcpy(source + i * strlen(before), before, strlen(before));
        memcpy(source + n * strlen(before) + i * strlen(after), after,
               strlen(after));
    }

    loyalty_arena_init(&arena, 0);
    loyalty_problems_init(&problems, &arena);
    rc = loyalty_template_compile((loyalty_str_t){source, len}, &problems,
                                  &compiled);
    *problem_count = problems.count;
    loyalty_template_free(compiled);
    loyalty_arena_free(&arena);
    free(source);
    return rc;
}

static void
size_and_depth_are_bounded(void **state)
{
    size_t count;

    (void)state;

    assert_int_equal(
        compile_repeated("x", "", LOYALTY_TEMPLATE_SIZE_MAX, &count),
        LOYALTY_OK);
    assert_int_equal(
        compile_repeated("x", "", LOYALTY_TEMPLATE_SIZE_MAX + 1, &count),
        LOYALTY_ERROR_LIMIT);
    assert_int_equal(count, 1);

    assert_int_equal(compile_repeated("{{#a}}", "{{/a}}",
                                      LOYALTY_TEMPLATE_SECTIONS_MAX, &count),
                     LOYALTY_OK);
    assert_int_equal(compile_repeated("{{#a}}", "{{/a}}",
                                      LOYALTY_TEMPLATE_SECTIONS_MAX + 1,
                                      &count),
                     LOYALTY_ERROR_LIMIT);

    /* every problem is counted, a report's worth is kept */
    assert_int_equal(compile_repeated("{{}}\n", "",
                                      LOYALTY_PROBLEMS_MAX * 100, &count),
                     LOYALTY_ERROR_INVALID);
    assert_int_equal(count, LOYALTY_PROBLEMS_MAX * 100);
}

static const loyalty_template_t *
itself(void *data, loyalty_str_t name)
{
    (void)name;
    return data;
}

/* The template is its own partial. */
static loyalty_status_t
render_itself(const char *source, json_t *data, size_t size_max)
{
    loyalty_template_t *compiled = compiled_from(source);
    loyalty_arena_t arena;
    loyalty_status_t rc;
    loyalty_str_t text;

    loyalty_arena_init(&arena, 0);
    rc = loyalty_template_render(compiled, data, itself, compiled, size_max,
                                 &arena, &text);
    loyalty_arena_free(&arena);
    loyalty_template_free(compiled);
    return rc;
}

static void
rendering_is_bounded(void **state)
{
    json_t *data = json_object(), *list = json_array();
    size_t i;

    (void)state;

    /* a partial without end, and one that a false section ends */
    assert_int_equal(render_itself("{{>p}}", data, OUTPUT_MAX),
                     LOYALTY_ERROR_LIMIT);
    assert_int_equal(render_itself("{{#a}}{{>p}}{{/a}}", data, OUTPUT_MAX),
                     LOYALTY_OK);

    for (i = 0; i < 1001; i++) {
        json_array_append_new(list, json_integer(1));
    }
    json_object_set_new(data, "l", list);

    /* a list inside itself prints nothing, 1001 * 1001 times */
    assert_int_equal(render_itself("{{#l}}{{#l}}{{/l}}{{/l}}", data,
                                   OUTPUT_MAX),
                     LOYALTY_ERROR_LIMIT);
    assert_int_equal(render_itself("{{#l}}{{^l}}{{/l}}{{/l}}", data,
                                   OUTPUT_MAX),
                     LOYALTY_OK);

    assert_int_equal(render_itself("{{#l}}ab{{/l}}", data, 2002), LOYALTY_OK);
    assert_int_equal(render_itself("{{#l}}ab{{/l}}", data, 2001),
                     LOYALTY_ERROR_LIMIT);
    json_decref(data);
}

static void
a_table_of_texts_is_rendered_in_place(void **state)
{
    static const loyalty_str_t names[] = {
        {"name", 4}, {"status.name", 11}, {"guest", 5}, {"unused", 6}};
    static const loyalty_str_t texts[] = {
        {"<A>", 3}, {"Gold", 4}, {"", 0}, {"x", 1}};
    loyalty_template_t *compiled = compiled_from(
        "{{name}} {{{name}}} {{#status.name}}{{.}}{{name}}{{/status.name}}"
        "{{^guest}}!{{/guest}}{{#unknown}}?{{/unknown}}{{unknown}}{{.}}{{>p}}");
    const char *expected = "&lt;A&gt; <A> Gold&lt;A&gt;!";
    char buffer[64];
    uint64_t used;
    size_t len, size;

    (void)state;

    assert_int_equal(loyalty_template_bind(compiled, names, 4, &used),
                     LOYALTY_OK);
    assert_int_equal(used, 7);

    for (size = 0; size <= strlen(expected); size++) {
        memset(buffer, '#', sizeof(buffer));
        assert_int_equal(loyalty_template_render_table(compiled, texts, buffer,
                                                       size, &len),
                         size < strlen(expected) ? LOYALTY_ERROR_LIMIT
                                                 : LOYALTY_OK);
        assert_int_equal(buffer[size], '#');
    }

    assert_int_equal(len, strlen(expected));
    assert_memory_equal(buffer, expected, len);
    loyalty_template_free(compiled);
}

static void
sections_over_a_table_nest(void **state)
{
    static const loyalty_str_t names[] = {{"a", 1}, {"b", 1}};
    static const struct {
        loyalty_str_t texts[2];
        const char *expected;
    } cases[] = {
        {{{"", 0}, {"", 0}}, "- <> () [] ."},
        {{{"1", 1}, {"", 0}}, "+1 <1> (1,1) [1] ."},
        {{{"", 0}, {"2", 1}}, "- <2> () [] 2."},
        {{{"1", 1}, {"2", 1}}, "+1 <2> (21,1) [1] ."},
    };
    loyalty_template_t *compiled = compiled_from(
        "{{#a}}+{{.}}{{/a}}{{^a}}-{{/a}} "
        "<{{#b}}{{.}}{{/b}}{{^b}}{{a}}{{/b}}> "
        "({{#a}}{{#b}}{{.}}{{/b}}{{.}},{{^no}}{{.}}{{/no}}{{/a}}) "
        "[{{^no}}{{a}}{{/no}}{{#no}}{{#a}}{{b}}{{/a}}{{/no}}] "
        "{{#b}}{{^a}}{{.}}{{/a}}{{/b}}.");
    char buffer[64];
    uint64_t used;
    size_t i, len;

    (void)state;

    assert_int_equal(loyalty_template_bind(compiled, names, 1, &used),
                     LOYALTY_OK);
    assert_int_equal(used, 1);
    assert_int_equal(loyalty_template_bind(compiled, names, 2, &used),
                     LOYALTY_OK);
    assert_int_equal(used, 3);

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(loyalty_template_render_table(
                             compiled, cases[i].texts, buffer, sizeof(buffer),
                             &len),
                         LOYALTY_OK);
        assert_int_equal(len, strlen(cases[i].expected));
        assert_memory_equal(buffer, cases[i].expected, len);
    }

    loyalty_template_free(compiled);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_specification_holds),
        cmocka_unit_test(our_own_rules_hold),
        cmocka_unit_test(a_partial_is_indented_line_by_line),
        cmocka_unit_test(problems_name_the_line),
        cmocka_unit_test(size_and_depth_are_bounded),
        cmocka_unit_test(rendering_is_bounded),
        cmocka_unit_test(a_table_of_texts_is_rendered_in_place),
        cmocka_unit_test(sections_over_a_table_nest),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
