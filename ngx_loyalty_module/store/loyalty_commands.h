/*
 * Redis commands as the bytes that go over the wire, one after another: a
 * pipeline is written with one send, and a bench can take the same bytes.
 *
 * Running out of memory is remembered in `failed`, asked once, by the sender.
 */

#ifndef LOYALTY_COMMANDS_H
#define LOYALTY_COMMANDS_H

#include "loyalty_keys.h"

typedef struct {
    char *data;
    size_t len;
    size_t capacity;
    size_t count; /* commands begun, and so replies to come */
    bool watches; /* a WATCH is among them */
    bool failed;
} loyalty_commands_t;

void loyalty_commands_init(loyalty_commands_t *commands);
void loyalty_commands_reset(loyalty_commands_t *commands); /* keeps memory */
void loyalty_commands_free(loyalty_commands_t *commands);

/* Takes back what came after `mark`, a copy of the same commands. */
void loyalty_commands_cut(loyalty_commands_t *commands,
                          const loyalty_commands_t *mark);

/* Begins a command of `argc` words, the name being the first of them. */
void loyalty_command(loyalty_commands_t *commands, const char *name,
                     size_t argc);
void loyalty_arg(loyalty_commands_t *commands, loyalty_str_t arg);
void loyalty_arg_text(loyalty_commands_t *commands, const char *arg);
void loyalty_arg_int(loyalty_commands_t *commands, int64_t arg);

/* The words of a short command in one call, all terminated; ends with NULL. */
void loyalty_command_words(loyalty_commands_t *commands, const char *name, ...);

/* A key of loyalty_keys.h. */
typedef struct {
    loyalty_str_t prefix;
    loyalty_str_t site;
} loyalty_scope_t;

void loyalty_arg_key(loyalty_commands_t *commands,
                     const loyalty_scope_t *scope, const char *kind,
                     loyalty_str_t rest);

/* A command on a key, of `argc` words in all; ZADD and ZREM whole. */
void loyalty_command_key(loyalty_commands_t *commands,
                         const loyalty_scope_t *scope, const char *name,
                         size_t argc, const char *kind, loyalty_str_t rest);
void loyalty_command_zadd(loyalty_commands_t *commands,
                          const loyalty_scope_t *scope, const char *kind,
                          loyalty_str_t rest, int64_t score,
                          loyalty_str_t element);
void loyalty_command_zrem(loyalty_commands_t *commands,
                          const loyalty_scope_t *scope, const char *kind,
                          loyalty_str_t rest, loyalty_str_t element);

/* Puts the commands of `from` behind those of `commands`. */
void loyalty_commands_append(loyalty_commands_t *commands,
                             const loyalty_commands_t *from);

#endif
