/*
 * Parses one program per line of standard input and writes one line of JSON
 * for each: a list of {"pointer", "message"}, empty where all is well.  A
 * program that is read must be read again from what it is written as.
 */

#include <stdio.h>
#include <stdlib.h>

#include "loyalty_program.h"

static json_t *
problems_of(const char *bytes, size_t len, loyalty_program_t **program)
{
    loyalty_problems_t problems;
    loyalty_arena_t arena;
    loyalty_status_t status;
    json_t *list = json_array();
    size_t i;

    *program = NULL;
    loyalty_arena_init(&arena, 0);
    loyalty_problems_init(&problems, &arena);
    status = loyalty_program_parse(bytes, len, &problems, program);

    if ((status == LOYALTY_OK) != (problems.count == 0)) {
        abort();
    }

    for (i = 0; i < problems.count && i < LOYALTY_PROBLEMS_MAX; i++) {
        json_array_append_new(
            list, json_pack("{s:s, s:s}", "pointer",
                            problems.list[i].pointer.data, "message",
                            problems.list[i].message.data));
    }

    loyalty_arena_free(&arena);
    return list;
}

/* Written, read and written again, it must be the same. */
static void
check_round_trip(const loyalty_program_t *program)
{
    json_t *first = loyalty_program_to_json(program), *second, *list;
    char *text = json_dumps(first, JSON_COMPACT);
    loyalty_program_t *again;

    list = problems_of(text, strlen(text), &again);
    if (again == NULL) {
        fprintf(stderr, "%s\n", text);
        json_dumpf(list, stderr, JSON_INDENT(2));
        abort();
    }

    second = loyalty_program_to_json(again);
    if (!json_equal(first, second)) {
        abort();
    }

    json_decref(first);
    json_decref(second);
    json_decref(list);
    free(text);
    loyalty_program_free(again);
}

int
main(void)
{
    loyalty_program_t *program;
    char *line = NULL;
    size_t size = 0;
    json_t *list;
    ssize_t len;

    while ((len = getline(&line, &size, stdin)) > 0) {
        list = problems_of(line, (size_t)len, &program);
        json_dumpf(list, stdout, JSON_COMPACT);
        putchar('\n');

        if (program != NULL) {
            check_round_trip(program);
        }

        json_decref(list);
        loyalty_program_free(program);
    }

    free(line);
    return 0;
}
