/*
 * Reading programs in tests: a document in, a program or problems out.
 */

#ifndef READING_H
#define READING_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "loyalty_program.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

#define SETTINGS "\"settings\":{\"id\":\"demo\",\"currency\":\"GBP\"}"

typedef struct {
    loyalty_arena_t arena;
    loyalty_problems_t problems;
    loyalty_program_t *program;
    loyalty_status_t status;
} reading_t;

static inline loyalty_program_t *
read_bytes(reading_t *reading, const char *bytes, size_t len)
{
    loyalty_arena_init(&reading->arena, 0);
    loyalty_problems_init(&reading->problems, &reading->arena);
    reading->program = NULL;
    reading->status = loyalty_program_parse(bytes, len, &reading->problems,
                                            &reading->program);
    return reading->program;
}

static inline loyalty_program_t *
read_text(reading_t *reading, const char *text)
{
    return read_bytes(reading, text, strlen(text));
}

static inline void
done(reading_t *reading)
{
    loyalty_program_free(reading->program);
    loyalty_arena_free(&reading->arena);
}

/* Every expected pointer has a problem, and there is no other. */
static inline void
expect_problems(const char *document, const char *const *pointers)
{
    reading_t reading;
    size_t i, n;

    read_text(&reading, document);

    for (n = 0; pointers[n] != NULL; n++) {
        for (i = 0; i < reading.problems.count; i++) {
            if (loyalty_str_eq(reading.problems.list[i].pointer,
                               loyalty_str_from(pointers[n]))) {
                break;
            }
        }
        if (i == reading.problems.count) {
            fail_msg("no problem at %s in %s", pointers[n], document);
        }
    }

    if (reading.problems.count != n) {
        for (i = 0; i < reading.problems.count; i++) {
            print_message("# %s: %s\n", reading.problems.list[i].pointer.data,
                          reading.problems.list[i].message.data);
        }
        fail_msg("%zu problems, expected %zu, in %s", reading.problems.count,
                 n, document);
    }

    assert_int_equal(reading.status, LOYALTY_ERROR_INVALID);
    assert_null(reading.program);
    done(&reading);
}

#define PROBLEMS(document, ...)                                               \
    expect_problems(document, (const char *const[]){__VA_ARGS__, NULL})

static inline void
assert_text(loyalty_str_t text, const char *expected)
{
    if (!loyalty_str_eq(text, loyalty_str_from(expected))) {
        fail_msg("\"%.*s\", expected \"%s\"", (int)text.len, text.data,
                 expected);
    }
}

/* n times `item` between brackets; the caller frees it. */
static inline char *
repeat(const char *before, const char *item, size_t n, const char *after)
{
    size_t i, len = strlen(item);
    char *text = malloc(strlen(before) + (len + 1) * n + strlen(after) + 1);
    char *p = text;

    assert_non_null(text);
    p += sprintf(p, "%s", before);
    for (i = 0; i < n; i++) {
        p += sprintf(p, "%s%s", i == 0 ? "" : ",", item);
    }
    sprintf(p, "%s", after);
    return text;
}

#endif
