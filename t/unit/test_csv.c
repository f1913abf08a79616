/* CSV: records, cells, and what a spreadsheet would run. */

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "loyalty_csv.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static void
cells_are_read(void **state)
{
    static const struct {
        const char *record;
        const char *cells[4]; /* NULL ends; none: malformed */
    } cases[] = {
        {"a,b,c", {"a", "b", "c"}},
        {"", {""}},
        {",", {"", ""}},
        {"\"a,b\",c", {"a,b", "c"}},
        {"\"a\"\"b\"", {"a\"b"}},
        {"\"a\nb\",\"\"", {"a\nb", ""}},
        {"'+44,'x,'", {"+44", "'x", "'"}},
        {"\"'=1+1\"", {"=1+1"}},
        {"a\"b", {NULL}},
        {"\"a", {NULL}},
        {"\"a\"b", {NULL}},
    };
    loyalty_arena_t arena;
    loyalty_status_t status;
    loyalty_str_t *cells;
    size_t i, k, n;

    (void)state;
    loyalty_arena_init(&arena, 0);

    for (i = 0; i < COUNT(cases); i++) {
        status = loyalty_csv_cells(loyalty_str_from(cases[i].record), &arena,
                                   &cells, &n);
        if (cases[i].cells[0] == NULL) {
            assert_int_equal(status, LOYALTY_ERROR_INVALID);
            continue;
        }
        assert_int_equal(status, LOYALTY_OK);
        for (k = 0; k < n; k++) {
            assert_non_null(cases[i].cells[k]);
            assert_true(loyalty_str_eq(cells[k],
                                       loyalty_str_from(cases[i].cells[k])));
        }
        assert_null(cases[i].cells[n]);
    }

    loyalty_arena_free(&arena);
}

static void
records_may_span_lines(void **state)
{
    static const char text[] = "a,b\r\n\"x\ny\",\"\"\"\n\"\nlast";
    static const struct {
        const char *record;
        size_t lines;
    } expected[] = {{"a,b", 1}, {"\"x\ny\",\"\"\"\n\"", 3}, {"last", 1}};
    size_t i, offset = 0, lines;
    loyalty_str_t record;

    (void)state;

    for (i = 0; i < COUNT(expected); i++) {
        assert_true(loyalty_csv_record(loyalty_str(text), &offset, &record,
                                       &lines));
        assert_true(loyalty_str_eq(record,
                                   loyalty_str_from(expected[i].record)));
        assert_int_equal(lines, expected[i].lines);
    }
    assert_false(loyalty_csv_record(loyalty_str(text), &offset, &record,
                                    &lines));
}

static void
formulas_are_made_text(void **state)
{
    static const struct {
        const char *text, *cell;
    } cases[] = {
        {"plain", "plain"},
        {"", ""},
        {"a,b", "\"a,b\""},
        {"say \"hi\"", "\"say \"\"hi\"\"\""},
        {"=SUM(A1)", "\"'=SUM(A1)\""},
        {"+447700900123", "\"'+447700900123\""},
        {"-1", "\"'-1\""},
        {"@x", "\"'@x\""},
        {"\tx", "\"'\tx\""},
        {"1-2", "1-2"},
    };
    char cell[LOYALTY_CSV_CELL_SIZE(32)];
    size_t i, len;

    (void)state;

    for (i = 0; i < COUNT(cases); i++) {
        len = loyalty_csv_cell(loyalty_str_from(cases[i].text), cell);
        assert_int_equal(len, strlen(cases[i].cell));
        assert_memory_equal(cell, cases[i].cell, len);
    }
}

static void
too_many_cells_are_refused(void **state)
{
    static char text[LOYALTY_CSV_CELLS_MAX + 1];
    loyalty_arena_t arena;
    loyalty_str_t *cells;
    size_t n;

    (void)state;
    loyalty_arena_init(&arena, 0);
    memset(text, ',', sizeof(text));
    assert_int_equal(
        loyalty_csv_cells((loyalty_str_t){text, LOYALTY_CSV_CELLS_MAX - 1},
                          &arena, &cells, &n),
        LOYALTY_OK);
    assert_int_equal(n, LOYALTY_CSV_CELLS_MAX);
    assert_int_equal(
        loyalty_csv_cells((loyalty_str_t){text, LOYALTY_CSV_CELLS_MAX},
                          &arena, &cells, &n),
        LOYALTY_ERROR_LIMIT);
    loyalty_arena_free(&arena);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cells_are_read),
        cmocka_unit_test(records_may_span_lines),
        cmocka_unit_test(formulas_are_made_text),
        cmocka_unit_test(too_many_cells_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
