/*
 * The words every file of core/ shares: results, strings, instants, arenas.
 *
 * core/ is pure.  It knows no nginx, no Redis and no clock, does no I/O and
 * keeps no globals: an instant is a parameter, memory comes from the caller's
 * arena, randomness from the caller's bytes.
 */

#ifndef LOYALTY_H
#define LOYALTY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "loyalty_limits.h"

typedef enum {
    LOYALTY_OK = 0,
    LOYALTY_ERROR_MEMORY,       /* the arena or malloc gave nothing */
    LOYALTY_ERROR_INVALID,      /* malformed input; problems say where */
    LOYALTY_ERROR_LIMIT,        /* past a limit of loyalty_limits.h */
    LOYALTY_ERROR_OVERFLOW,     /* a sum does not fit 64 bits */
    LOYALTY_ERROR_NOT_FOUND,
    LOYALTY_ERROR_CONFLICT,     /* same key, other content */
    LOYALTY_ERROR_INSUFFICIENT, /* more than the balance or what is left */
    LOYALTY_ERROR_REFUSED,      /* a rule of DOMAIN.md forbids it */
    LOYALTY_ERROR_CORRUPT,      /* bytes that our encoder never wrote */
    LOYALTY_ERROR_VERSION,      /* bytes of a later version than ours */
    LOYALTY_ERROR_EXPIRED,
    LOYALTY_ERROR_SIGNATURE
} loyalty_status_t;

/* A name for logs and tests: "invalid", "conflict", ... */
const char *loyalty_status_name(loyalty_status_t status);

/* Bytes somebody else owns.  Not terminated; may hold zero bytes. */
typedef struct {
    const char *data;
    size_t len;
} loyalty_str_t;

#define loyalty_str(literal) ((loyalty_str_t){(literal), sizeof(literal) - 1})
#define loyalty_str_null ((loyalty_str_t){NULL, 0})

static inline loyalty_str_t
loyalty_str_from(const char *text)
{
    return (loyalty_str_t){text, text == NULL ? 0 : strlen(text)};
}

static inline bool
loyalty_str_eq(loyalty_str_t a, loyalty_str_t b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

/* < 0, 0, > 0 in byte order, the order in which ids are compared. */
static inline int
loyalty_str_cmp(loyalty_str_t a, loyalty_str_t b)
{
    size_t len = a.len < b.len ? a.len : b.len;
    int rc = len == 0 ? 0 : memcmp(a.data, b.data, len);

    return rc != 0 ? rc : (a.len > b.len) - (a.len < b.len);
}

bool loyalty_str_listed(const loyalty_str_t *list, size_t n,
                        loyalty_str_t value);

/* Whether two lists have something in common. */
bool loyalty_str_any_listed(const loyalty_str_t *list, size_t n,
                            const loyalty_str_t *values, size_t nvalues);

/* Milliseconds since 1970 in UTC (DOMAIN.md, head). */
typedef int64_t loyalty_instant_t;

#define LOYALTY_NEVER INT64_MAX  /* an end that does not come */
#define LOYALTY_UNKNOWN INT64_MIN /* an instant nobody recorded */
#define LOYALTY_SECOND INT64_C(1000)
#define LOYALTY_HOUR (3600 * LOYALTY_SECOND)
#define LOYALTY_DAY (86400 * LOYALTY_SECOND)

/* RFC 3339 with any offset to UTC, fractions cut to milliseconds. */
loyalty_status_t loyalty_instant_parse(loyalty_str_t text,
                                       loyalty_instant_t *instant);

#define LOYALTY_INSTANT_SIZE 32

/* "2010-12-01T08:26:00Z", with ".123" where there are milliseconds.
 * `text` has LOYALTY_INSTANT_SIZE bytes; returns the length. */
size_t loyalty_instant_format(loyalty_instant_t instant, char *text);

/*
 * An arena: blocks from malloc, cut from the front, freed at once.  Zeroed
 * memory, 16-byte aligned.  `limit` bounds what outside data can make us take
 * (0: no bound); past it, and when malloc fails, loyalty_alloc returns NULL.
 */
typedef struct loyalty_arena_block_s loyalty_arena_block_t;

typedef struct {
    loyalty_arena_block_t *blocks;
    size_t used;
    size_t limit;
} loyalty_arena_t;

void loyalty_arena_init(loyalty_arena_t *arena, size_t limit);
void loyalty_arena_reset(loyalty_arena_t *arena); /* keeps one block */
void loyalty_arena_free(loyalty_arena_t *arena);
void *loyalty_alloc(loyalty_arena_t *arena, size_t size);
loyalty_status_t loyalty_str_copy(loyalty_arena_t *arena, loyalty_str_t from,
                                  loyalty_str_t *to);

/*
 * What is wrong with an input: each a JSON Pointer and a sentence that says
 * what to do.  All problems of one input are collected, up to
 * LOYALTY_PROBLEMS_MAX; `count` goes on past it.  Texts are the arena's.
 */
typedef struct {
    loyalty_str_t pointer;
    loyalty_str_t message;
} loyalty_problem_t;

typedef struct {
    loyalty_arena_t *arena;
    loyalty_problem_t list[LOYALTY_PROBLEMS_MAX];
    size_t count;
} loyalty_problems_t;

void loyalty_problems_init(loyalty_problems_t *problems,
                           loyalty_arena_t *arena);
void loyalty_problem(loyalty_problems_t *problems, const char *pointer,
                     const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
