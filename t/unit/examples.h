/*
 * Worked examples of other engines, for tests: the shared ones, of
 * cases/examples.json in the folder that SHARED names (skipped where it is
 * absent), and ours, of t/data/published.json.
 */

#ifndef EXAMPLES_H
#define EXAMPLES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <jansson.h>

/* Each example under `kind` of the file. */
static inline void
examples_of(const char *path, const char *kind, void (*check)(json_t *example))
{
    json_t *document = json_load_file(path, 0, NULL), *example;
    size_t i;

    if (document == NULL) {
        print_message("# %s is not here: its examples are left out\n", path);
        skip();
    }

    json_array_foreach(json_object_get(document, kind), i, example) {
        check(example);
    }

    assert_true(i > 0);
    json_decref(document);
}

static inline void
examples_shared(const char *kind, void (*check)(json_t *example))
{
    const char *shared = getenv("SHARED");
    char path[4096];

    snprintf(path, sizeof(path), "%s/cases/examples.json",
             shared == NULL ? "../shared" : shared);
    examples_of(path, kind, check);
}

static inline void
examples_published(const char *kind, void (*check)(json_t *example))
{
    examples_of("t/data/published.json", kind, check);
}

#endif
