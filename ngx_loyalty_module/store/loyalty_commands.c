/*
 * The RESP writer.
 *
 *   *3\r\n $3\r\nSET\r\n $1\r\nk\r\n $1\r\nv\r\n
 *   head   one bulk string a word
 */

#include "loyalty_commands.h"

#include <stdarg.h>
#include <stdlib.h>

#define FIRST_CAPACITY 4096

/* '$' or '*', an int64 and "\r\n". */
#define HEAD_MAX 24

void
loyalty_commands_init(loyalty_commands_t *commands)
{
    *commands = (loyalty_commands_t){0};
}

void
loyalty_commands_reset(loyalty_commands_t *commands)
{
    commands->len = 0;
    commands->count = 0;
    commands->watches = false;
    commands->failed = false;
}

void
loyalty_commands_free(loyalty_commands_t *commands)
{
    free(commands->data);
    *commands = (loyalty_commands_t){0};
}

void
loyalty_commands_cut(loyalty_commands_t *commands,
                     const loyalty_commands_t *mark)
{
    commands->len = mark->len;
    commands->count = mark->count;
    commands->watches = mark->watches;
}

/* Room for `len` more bytes, or NULL. */
static char *
reserve(loyalty_commands_t *commands, size_t len)
{
    size_t capacity = commands->capacity;
    char *data;

    if (commands->failed || len > SIZE_MAX / 4 - commands->len) {
        commands->failed = true;
        return NULL;
    }

    if (commands->len + len > capacity) {
        capacity = capacity == 0 ? FIRST_CAPACITY : capacity;
        while (capacity < commands->len + len) {
            capacity *= 2;
        }

        data = realloc(commands->data, capacity);
        if (data == NULL) {
            commands->failed = true;
            return NULL;
        }

        commands->data = data;
        commands->capacity = capacity;
    }

    return commands->data + commands->len;
}

/* Decimal digits of `value` before `end`; returns their begin. */
static char *
digits_before(char *end, uint64_t value)
{
    do {
        *--end = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);

    return end;
}

/* "$12\r\n" at p; returns the end. */
static char *
head(char *p, char type, size_t n)
{
    char buffer[HEAD_MAX], *end = buffer + sizeof(buffer), *begin;

    begin = digits_before(end, n);
    *p++ = type;
    memcpy(p, begin, (size_t)(end - begin));
    p += end - begin;
    *p++ = '\r';
    *p++ = '\n';

    return p;
}

void
loyalty_command(loyalty_commands_t *commands, const char *name, size_t argc)
{
    char *p = reserve(commands, HEAD_MAX);

    if (p == NULL) {
        return;
    }

    commands->len = (size_t)(head(p, '*', argc) - commands->data);
    commands->count++;
    commands->watches = commands->watches || strcmp(name, "WATCH") == 0;
    loyalty_arg_text(commands, name);
}

void
loyalty_arg(loyalty_commands_t *commands, loyalty_str_t arg)
{
    char *p = reserve(commands, arg.len + HEAD_MAX + 2);

    if (p == NULL) {
        return;
    }

    p = head(p, '$', arg.len);
    if (arg.len != 0) {
        memcpy(p, arg.data, arg.len);
    }
    p += arg.len;
    *p++ = '\r';
    *p++ = '\n';
    commands->len = (size_t)(p - commands->data);
}

void
loyalty_arg_text(loyalty_commands_t *commands, const char *arg)
{
    loyalty_arg(commands, loyalty_str_from(arg));
}

void
loyalty_arg_int(loyalty_commands_t *commands, int64_t arg)
{
    char buffer[HEAD_MAX], *end = buffer + sizeof(buffer), *begin;
    uint64_t magnitude = arg < 0 ? 0 - (uint64_t)arg : (uint64_t)arg;

    begin = digits_before(end, magnitude);
    if (arg < 0) {
        *--begin = '-';
    }

    loyalty_arg(commands, (loyalty_str_t){begin, (size_t)(end - begin)});
}

void
loyalty_command_words(loyalty_commands_t *commands, const char *name, ...)
{
    size_t argc = 1;
    const char *word;
    va_list args;

    va_start(args, name);
    while (va_arg(args, const char *) != NULL) {
        argc++;
    }
    va_end(args);

    loyalty_command(commands, name, argc);

    va_start(args, name);
    while ((word = va_arg(args, const char *)) != NULL) {
        loyalty_arg_text(commands, word);
    }
    va_end(args);
}

void
loyalty_arg_key(loyalty_commands_t *commands, const loyalty_scope_t *scope,
                const char *kind, loyalty_str_t rest)
{
    char key[LOYALTY_KEY_MAX];
    size_t len = loyalty_key(key, scope->prefix, kind, scope->site, rest);

    if (len == 0) {
        commands->failed = true;
        return;
    }

    loyalty_arg(commands, (loyalty_str_t){key, len});
}

void
loyalty_command_key(loyalty_commands_t *commands, const loyalty_scope_t *scope,
                    const char *name, size_t argc, const char *kind,
                    loyalty_str_t rest)
{
    loyalty_command(commands, name, argc);
    loyalty_arg_key(commands, scope, kind, rest);
}

void
loyalty_command_zadd(loyalty_commands_t *commands, const loyalty_scope_t *scope,
                     const char *kind, loyalty_str_t rest, int64_t score,
                     loyalty_str_t element)
{
    loyalty_command_key(commands, scope, "ZADD", 4, kind, rest);
    loyalty_arg_int(commands, score);
    loyalty_arg(commands, element);
}

void
loyalty_command_zrem(loyalty_commands_t *commands, const loyalty_scope_t *scope,
                     const char *kind, loyalty_str_t rest,
                     loyalty_str_t element)
{
    loyalty_command_key(commands, scope, "ZREM", 3, kind, rest);
    loyalty_arg(commands, element);
}

void
loyalty_commands_append(loyalty_commands_t *commands,
                        const loyalty_commands_t *from)
{
    char *p;

    if (from->failed) {
        commands->failed = true;
        return;
    }

    p = reserve(commands, from->len);
    if (p != NULL && from->len != 0) {
        memcpy(p, from->data, from->len);
        commands->len += from->len;
        commands->count += from->count;
        commands->watches = commands->watches || from->watches;
    }
}
