/*
 * Results' names, the arena, problems, instants.
 *
 *   arena: blocks -> [ next | size | used | ...bytes... ] -> [ ... ] -> NULL
 *
 * The newest block is first and is the only one cut from.  A request larger
 * than a block gets a block of its own.
 */

#include "loyalty.h"

#include "loyalty_document.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define BLOCK_SIZE 8192
#define ALIGNMENT 16

struct loyalty_arena_block_s {
    loyalty_arena_block_t *next;
    size_t size;
    size_t used;
    size_t reserved; /* keeps the bytes behind it aligned */
};

static const char *const status_names[] = {
    [LOYALTY_OK] = "ok",
    [LOYALTY_ERROR_MEMORY] = "memory",
    [LOYALTY_ERROR_INVALID] = "invalid",
    [LOYALTY_ERROR_LIMIT] = "limit",
    [LOYALTY_ERROR_OVERFLOW] = "overflow",
    [LOYALTY_ERROR_NOT_FOUND] = "not_found",
    [LOYALTY_ERROR_CONFLICT] = "conflict",
    [LOYALTY_ERROR_INSUFFICIENT] = "insufficient",
    [LOYALTY_ERROR_REFUSED] = "refused",
    [LOYALTY_ERROR_CORRUPT] = "corrupt",
    [LOYALTY_ERROR_VERSION] = "version",
    [LOYALTY_ERROR_EXPIRED] = "expired",
    [LOYALTY_ERROR_SIGNATURE] = "signature",
};

const char *
loyalty_status_name(loyalty_status_t status)
{
    size_t n = sizeof(status_names) / sizeof(status_names[0]);

    return (size_t)status < n ? status_names[status] : "unknown";
}

void
loyalty_arena_init(loyalty_arena_t *arena, size_t limit)
{
    *arena = (loyalty_arena_t){.limit = limit};
}

void *
loyalty_alloc(loyalty_arena_t *arena, size_t size)
{
    loyalty_arena_block_t *block = arena->blocks;
    size_t room;
    char *p;

    if (size > SIZE_MAX / 2) {
        return NULL;
    }

    size = (size + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);

    if (arena->limit != 0 && size > arena->limit - arena->used) {
        return NULL;
    }

    if (block == NULL || size > block->size - block->used) {
        room = size > BLOCK_SIZE ? size : BLOCK_SIZE;
        block = malloc(sizeof(*block) + room);
        if (block == NULL) {
            return NULL;
        }

        *block = (loyalty_arena_block_t){.next = arena->blocks, .size = room};
        arena->blocks = block;
    }

    p = (char *)(block + 1) + block->used;
    block->used += size;
    arena->used += size;

    return memset(p, 0, size);
}

static void
free_blocks(loyalty_arena_block_t *block)
{
    loyalty_arena_block_t *next;

    for (; block != NULL; block = next) {
        next = block->next;
        free(block);
    }
}

void
loyalty_arena_reset(loyalty_arena_t *arena)
{
    arena->used = 0;

    if (arena->blocks != NULL) {
        free_blocks(arena->blocks->next);
        arena->blocks->next = NULL;
        arena->blocks->used = 0;
    }
}

void
loyalty_arena_free(loyalty_arena_t *arena)
{
    free_blocks(arena->blocks);
    arena->blocks = NULL;
    arena->used = 0;
}

bool
loyalty_str_listed(const loyalty_str_t *list, size_t n, loyalty_str_t value)
{
    size_t i;

    for (i = 0; i < n; i++) {
        if (loyalty_str_eq(list[i], value)) {
            return true;
        }
    }

    return false;
}

bool
loyalty_str_any_listed(const loyalty_str_t *list, size_t n,
                       const loyalty_str_t *values, size_t nvalues)
{
    size_t i;

    for (i = 0; i < nvalues; i++) {
        if (loyalty_str_listed(list, n, values[i])) {
            return true;
        }
    }

    return false;
}

loyalty_status_t
loyalty_str_copy(loyalty_arena_t *arena, loyalty_str_t from, loyalty_str_t *to)
{
    char *p = loyalty_alloc(arena, from.len + 1);

    if (p == NULL) {
        return LOYALTY_ERROR_MEMORY;
    }

    if (from.len != 0) {
        memcpy(p, from.data, from.len);
    }

    *to = (loyalty_str_t){p, from.len};
    return LOYALTY_OK;
}

void
loyalty_problems_init(loyalty_problems_t *problems, loyalty_arena_t *arena)
{
    problems->arena = arena;
    problems->count = 0;
}

void
loyalty_problem(loyalty_problems_t *problems, const char *pointer,
                const char *format, ...)
{
    char text[512];
    loyalty_problem_t *problem;
    va_list args;

    if (problems->count++ >= LOYALTY_PROBLEMS_MAX) {
        return;
    }

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    loyalty_utf8_mend(text);

    problem = &problems->list[problems->count - 1];

    if (loyalty_str_copy(problems->arena, loyalty_str_from(pointer),
                         &problem->pointer) != LOYALTY_OK
        || loyalty_str_copy(problems->arena, loyalty_str_from(text),
                            &problem->message) != LOYALTY_OK) {
        *problem = (loyalty_problem_t){loyalty_str(""),
                                       loyalty_str("out of memory")};
    }
}

/* Days since 1970 of a civil date, and back: era arithmetic over 400 years. */
static int64_t
days_from_civil(int64_t year, int64_t month, int64_t day)
{
    int64_t era, year_of_era, day_of_year;

    year -= month <= 2;
    era = (year >= 0 ? year : year - 399) / 400;
    year_of_era = year - era * 400;
    day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

    return era * 146097 + year_of_era * 365 + year_of_era / 4
           - year_of_era / 100 + day_of_year - 719468;
}

static void
civil_from_days(int64_t days, int64_t *year, int64_t *month, int64_t *day)
{
    int64_t era, day_of_era, year_of_era, day_of_year, shifted;

    days += 719468;
    era = (days >= 0 ? days : days - 146096) / 146097;
    day_of_era = days - era * 146097;
    year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524
                   - day_of_era / 146096) / 365;
    day_of_year = day_of_era
                  - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    shifted = (5 * day_of_year + 2) / 153;

    *day = day_of_year - (153 * shifted + 2) / 5 + 1;
    *month = shifted + (shifted < 10 ? 3 : -9);
    *year = year_of_era + era * 400 + (*month <= 2);
}

static bool
is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* n digits at *p, which moves past them; -1 if they are not there. */
static int64_t
digits(const char **p, const char *end, int n)
{
    int64_t value = 0;

    for (; n > 0; n--, (*p)++) {
        if (*p == end || !is_digit(**p)) {
            return -1;
        }
        value = value * 10 + (**p - '0');
    }

    return value;
}

static bool
literal(const char **p, const char *end, char c)
{
    return *p != end && *(*p)++ == c;
}

static int64_t
days_in_month(int64_t year, int64_t month)
{
    int64_t next_year = month == 12 ? year + 1 : year;
    int64_t next_month = month == 12 ? 1 : month + 1;

    return days_from_civil(next_year, next_month, 1)
           - days_from_civil(year, month, 1);
}

loyalty_status_t
loyalty_instant_parse(loyalty_str_t text, loyalty_instant_t *instant)
{
    const char *p = text.data, *end = text.data + text.len;
    int64_t year, month, day, hour, minute, second, ms = 0, offset = 0;
    int64_t offset_hour, offset_minute, scale;
    char sign;

    if ((year = digits(&p, end, 4)) < 0 || !literal(&p, end, '-')
        || (month = digits(&p, end, 2)) < 1 || !literal(&p, end, '-')
        || (day = digits(&p, end, 2)) < 1 || p == end
        || (*p != 'T' && *p != 't' && *p != ' ')) {
        return LOYALTY_ERROR_INVALID;
    }

    p++;

    if ((hour = digits(&p, end, 2)) < 0 || !literal(&p, end, ':')
        || (minute = digits(&p, end, 2)) < 0 || !literal(&p, end, ':')
        || (second = digits(&p, end, 2)) < 0 || p == end) {
        return LOYALTY_ERROR_INVALID;
    }

    if (month > 12 || day > days_in_month(year, month) || hour > 23
        || minute > 59 || second > 60) {
        return LOYALTY_ERROR_INVALID;
    }

    if (*p == '.') {
        if (++p == end || !is_digit(*p)) {
            return LOYALTY_ERROR_INVALID;
        }
        for (scale = 100; p != end && is_digit(*p); p++, scale /= 10) {
            ms += (*p - '0') * scale;
        }
        if (p == end) {
            return LOYALTY_ERROR_INVALID;
        }
    }

    sign = *p++;

    if (sign == '+' || sign == '-') {
        if ((offset_hour = digits(&p, end, 2)) < 0 || offset_hour > 23
            || !literal(&p, end, ':')
            || (offset_minute = digits(&p, end, 2)) < 0
            || offset_minute > 59) {
            return LOYALTY_ERROR_INVALID;
        }
        offset = (offset_hour * 60 + offset_minute) * (sign == '+' ? 1 : -1);

    } else if (sign != 'Z' && sign != 'z') {
        return LOYALTY_ERROR_INVALID;
    }

    if (p != end) {
        return LOYALTY_ERROR_INVALID;
    }

    *instant = days_from_civil(year, month, day) * LOYALTY_DAY
               + hour * LOYALTY_HOUR + (minute - offset) * 60 * LOYALTY_SECOND
               + second * LOYALTY_SECOND + ms;

    return LOYALTY_OK;
}

/* `n` digits, the last ones of `value`. */
static char *
put_digits(char *p, int64_t value, int n)
{
    for (int i = n; i-- > 0; value /= 10) {
        p[i] = (char)('0' + value % 10);
    }
    return p + n;
}

size_t
loyalty_instant_format(loyalty_instant_t instant, char *text)
{
    int64_t days, rest, year, month, day, seconds;
    char *p = text;

    days = instant / LOYALTY_DAY;
    rest = instant % LOYALTY_DAY;
    if (rest < 0) {
        days--;
        rest += LOYALTY_DAY;
    }

    civil_from_days(days, &year, &month, &day);
    seconds = rest / LOYALTY_SECOND;

    if (year >= 0 && year <= 9999) {
        p = put_digits(p, year, 4);
    } else {
        p += snprintf(p, LOYALTY_INSTANT_SIZE, "%04d", (int)year);
    }
    *p++ = '-';
    p = put_digits(p, month, 2);
    *p++ = '-';
    p = put_digits(p, day, 2);
    *p++ = 'T';
    p = put_digits(p, seconds / 3600, 2);
    *p++ = ':';
    p = put_digits(p, seconds / 60 % 60, 2);
    *p++ = ':';
    p = put_digits(p, seconds % 60, 2);

    if (rest % LOYALTY_SECOND != 0) {
        *p++ = '.';
        p = put_digits(p, rest % LOYALTY_SECOND, 3);
    }

    *p++ = 'Z';
    *p = '\0';
    return (size_t)(p - text);
}
