/*
 * A few compiled programs, found by site, the one used longest ago replaced.
 *
 *   entry: site | stamp (length, first bytes) | program
 */

#include "loyalty_programs.h"

#include <stdio.h>
#include <stdlib.h>

#define KEPT 16
#define STAMP_BYTES 64 /* {"version":9223372036854775807, and some */

typedef struct {
    char site[LOYALTY_SITE_ID_MAX];
    size_t site_len;
    char head[STAMP_BYTES];
    size_t head_len;
    int64_t size;
    loyalty_program_t *program;
    uint64_t used;
} entry_t;

struct loyalty_programs_s {
    entry_t entries[KEPT];
    uint64_t clock;
    const entry_t *ahead; /* known to be current */
    char problem[512];
};

loyalty_programs_t *
loyalty_programs_create(void)
{
    return calloc(1, sizeof(loyalty_programs_t));
}

void
loyalty_programs_free(loyalty_programs_t *programs)
{
    size_t i;

    if (programs == NULL) {
        return;
    }

    for (i = 0; i < KEPT; i++) {
        loyalty_program_free(programs->entries[i].program);
    }

    free(programs);
}

const char *
loyalty_programs_problem(const loyalty_programs_t *programs)
{
    return programs->problem;
}

void
loyalty_programs_stamp(loyalty_commands_t *commands,
                       const loyalty_scope_t *scope)
{
    loyalty_command(commands, "STRLEN", 2);
    loyalty_arg_key(commands, scope, "p", loyalty_str_null);
    loyalty_command(commands, "GETRANGE", 4);
    loyalty_arg_key(commands, scope, "p", loyalty_str_null);
    loyalty_arg_int(commands, 0);
    loyalty_arg_int(commands, STAMP_BYTES - 1);
}

static const entry_t *
lookup(const loyalty_programs_t *programs, loyalty_str_t site)
{
    const entry_t *entry;
    size_t i;

    for (i = 0; i < KEPT; i++) {
        entry = &programs->entries[i];
        if (entry->program != NULL && entry->site_len == site.len
            && memcmp(entry->site, site.data, site.len) == 0) {
            return entry;
        }
    }

    return NULL;
}

bool
loyalty_programs_current(const loyalty_programs_t *programs,
                         const loyalty_scope_t *scope,
                         const loyalty_program_t *program,
                         redisReply *const *stamp)
{
    const entry_t *entry = lookup(programs, scope->site);
    loyalty_str_t head;
    int64_t size;

    if (!loyalty_reply_int(stamp[0], &size)
        || !loyalty_reply_str(stamp[1], &head)) {
        return false;
    }

    if (program == NULL) {
        return size == 0;
    }

    return entry != NULL && entry->program == program && entry->size == size
           && entry->head_len == head.len
           && memcmp(entry->head, head.data, head.len) == 0;
}

void
loyalty_programs_ahead(loyalty_programs_t *programs,
                       const loyalty_scope_t *scope, redisReply *const *stamp)
{
    const entry_t *entry = stamp != NULL ? lookup(programs, scope->site)
                                         : NULL;

    programs->ahead = entry != NULL
                              && loyalty_programs_current(programs, scope,
                                                          entry->program,
                                                          stamp)
                          ? entry : NULL;
}

static entry_t *
oldest(loyalty_programs_t *programs)
{
    entry_t *entry = &programs->entries[0];
    size_t i;

    for (i = 1; i < KEPT; i++) {
        if (programs->entries[i].used < entry->used) {
            entry = &programs->entries[i];
        }
    }

    return entry;
}

static void
explain(loyalty_programs_t *programs, const loyalty_scope_t *scope,
        const loyalty_problems_t *problems)
{
    loyalty_str_t pointer = loyalty_str(""), message = loyalty_str("unknown");

    if (problems->count != 0) {
        pointer = problems->list[0].pointer;
        message = problems->list[0].message;
    }

    snprintf(programs->problem, sizeof(programs->problem),
             "the program of site \"%.*s\" is not valid: %.*s: %.*s",
             (int)scope->site.len, scope->site.data, (int)pointer.len,
             pointer.data, (int)message.len, message.data);
}

/* Compiles the document into the entry. */
static loyalty_store_result_t
compile(loyalty_programs_t *programs, const loyalty_scope_t *scope,
        loyalty_str_t document, entry_t *entry)
{
    loyalty_problems_t problems;
    loyalty_arena_t arena;
    loyalty_program_t *program;
    loyalty_status_t status;

    loyalty_arena_init(&arena, 0);
    loyalty_problems_init(&problems, &arena);
    status = loyalty_program_parse(document.data, document.len, &problems,
                                   &program);
    if (status != LOYALTY_OK) {
        explain(programs, scope, &problems);
    }
    loyalty_arena_free(&arena);

    if (status != LOYALTY_OK) {
        return status == LOYALTY_ERROR_MEMORY ? LOYALTY_STORE_MEMORY
                                              : LOYALTY_STORE_MALFORMED;
    }

    loyalty_program_free(entry->program);
    entry->program = program;
    entry->site_len = scope->site.len;
    memcpy(entry->site, scope->site.data, scope->site.len);
    entry->size = (int64_t)document.len;
    entry->head_len = document.len < STAMP_BYTES ? document.len : STAMP_BYTES;
    memcpy(entry->head, document.data, entry->head_len);

    return LOYALTY_STORE_OK;
}

static loyalty_store_result_t
read_document(loyalty_programs_t *programs, loyalty_store_t *store,
              const loyalty_scope_t *scope, entry_t *entry,
              const loyalty_program_t **program)
{
    loyalty_store_result_t result;
    loyalty_commands_t commands;
    loyalty_replies_t replies;
    loyalty_str_t document;

    loyalty_commands_init(&commands);
    loyalty_replies_init(&replies);
    loyalty_command(&commands, "GET", 2);
    loyalty_arg_key(&commands, scope, "p", loyalty_str_null);
    result = loyalty_store_call(store, scope->site, &commands, &replies);

    if (result == LOYALTY_STORE_OK) {
        if (!loyalty_reply_str(replies.list[0], &document)) {
            snprintf(programs->problem, sizeof(programs->problem),
                     "the program of site \"%.*s\" is not a string",
                     (int)scope->site.len, scope->site.data);
            result = LOYALTY_STORE_MALFORMED;
        } else if (document.data != NULL) {
            result = compile(programs, scope, document, entry);
            *program = result == LOYALTY_STORE_OK ? entry->program : NULL;
        }
    }

    loyalty_replies_free(&replies);
    loyalty_commands_free(&commands);

    return result;
}

loyalty_store_result_t
loyalty_programs_get(loyalty_programs_t *programs, loyalty_store_t *store,
                     const loyalty_scope_t *scope,
                     const loyalty_program_t **program)
{
    entry_t *entry = (entry_t *)lookup(programs, scope->site);
    loyalty_store_result_t result;
    loyalty_commands_t commands;
    loyalty_replies_t replies;
    bool current = entry != NULL && programs->ahead == entry;

    programs->ahead = NULL;
    *program = NULL;

    if (entry != NULL && !current) {
        loyalty_commands_init(&commands);
        loyalty_replies_init(&replies);
        loyalty_programs_stamp(&commands, scope);
        result = loyalty_store_call(store, scope->site, &commands, &replies);
        current = result == LOYALTY_STORE_OK
                  && loyalty_programs_current(programs, scope, entry->program,
                                              replies.list);
        loyalty_replies_free(&replies);
        loyalty_commands_free(&commands);

        if (result != LOYALTY_STORE_OK) {
            return result;
        }
    } else if (entry == NULL) {
        entry = oldest(programs);
    }

    entry->used = ++programs->clock;

    if (current) {
        *program = entry->program;
        return LOYALTY_STORE_OK;
    }

    return read_document(programs, store, scope, entry, program);
}

char *
loyalty_programs_document(json_t *document, int64_t version)
{
    json_t *copy = json_object();
    char *text = NULL;

    if (copy != NULL
        && json_object_set_new(copy, "version", json_integer(version)) == 0
        && json_object_update_missing(copy, document) == 0) {
        text = json_dumps(copy, JSON_COMPACT);
    }

    json_decref(copy);

    return text;
}
