/*
 * Codes of a coupon by its pattern, for whoever has them.
 *
 * A step draws a page of codes and looks in the index, under WATCH, which of
 * them nobody has; these and the job's count are one transaction.  A page in
 * which none is free: the pattern is as good as used up.
 */

#include "loyalty_code.h"
#include "loyalty_job_kinds.h"
#include "loyalty_wallet_store.h"

#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>

#define PAGE 256

typedef struct {
    loyalty_str_t offer;
    loyalty_str_t pattern;
    loyalty_str_t codes[PAGE];
    size_t n;
} drawing_t;

static int
compare(const void *a, const void *b)
{
    return loyalty_str_cmp(*(const loyalty_str_t *)a,
                           *(const loyalty_str_t *)b);
}

/* `n` codes, each once. */
static bool
draw(loyalty_job_t *job, drawing_t *drawing, size_t n)
{
    loyalty_str_t pattern = drawing->pattern;
    unsigned char random[2 * LOYALTY_CODE_MAX];
    size_t i, kept = 0;
    char *code;

    for (i = 0; i < n; i++) {
        code = loyalty_alloc(job->arena, LOYALTY_CODE_MAX + 1);
        if (code == NULL
            || RAND_bytes(random, (int)(2 * pattern.len)) != 1) {
            return false;
        }
        drawing->codes[i].data = code;
        drawing->codes[i].len = loyalty_code_generate(pattern, random, code);
    }

    qsort(drawing->codes, n, sizeof(*drawing->codes), compare);
    for (i = 0; i < n; i++) {
        if (kept == 0
            || compare(&drawing->codes[kept - 1], &drawing->codes[i]) != 0) {
            drawing->codes[kept++] = drawing->codes[i];
        }
    }

    drawing->n = kept;
    return true;
}

static loyalty_str_t
cursor_of(loyalty_job_t *job, int64_t done)
{
    char *text = loyalty_alloc(job->arena, 24);

    if (text == NULL) {
        return loyalty_str_null;
    }
    snprintf(text, 24, "%lld", (long long)done);
    return loyalty_str_from(text);
}

static loyalty_store_result_t
decide(loyalty_member_change_t *change, void *data)
{
    loyalty_job_t *job = data;
    const drawing_t *drawing = job->data;
    const redisReply *taken = loyalty_job_reply(job, 1);
    loyalty_effects_t effects = {0};
    loyalty_code_t code;
    size_t i;

    if (!loyalty_reply_array(taken, drawing->n)) {
        return LOYALTY_STORE_MALFORMED;
    }

    for (i = 0; i < drawing->n; i++) {
        if (!loyalty_reply_is_nil(taken->element[i])) {
            continue;
        }

        code = (loyalty_code_t){.code = drawing->codes[i],
                                .offer = drawing->offer};
        effects.codes = &code;
        effects.ncodes = 1;
        loyalty_wallet_write(&change->scope, &effects, &change->arena,
                             &change->writes);
        job->next.done++;
    }

    /* What tells one step from the next. */
    job->next.cursor = cursor_of(job, job->next.done);

    if (job->next.done == job->was.done) {
        job->next.error = "codes_used_up";
    }

    job->next.finished = job->next.done >= job->next.total;
    return LOYALTY_STORE_OK;
}

static loyalty_store_result_t
step(loyalty_job_t *job)
{
    int64_t left = job->was.total - job->was.done;
    loyalty_store_result_t result;
    loyalty_commands_t reads;
    drawing_t drawing = {
        .offer = loyalty_str_from(
            json_string_value(json_object_get(job->params, "offer"))),
        .pattern = loyalty_str_from(
            json_string_value(json_object_get(job->params, "pattern"))),
    };
    size_t i;

    if (!draw(job, &drawing, left < PAGE ? (size_t)left : PAGE)) {
        return LOYALTY_STORE_MEMORY;
    }

    job->data = &drawing;
    loyalty_commands_init(&reads);
    loyalty_command(&reads, "WATCH", 2);
    loyalty_arg_key(&reads, &job->scope, "cd", loyalty_str_null);
    loyalty_command(&reads, "HMGET", 2 + drawing.n);
    loyalty_arg_key(&reads, &job->scope, "cd", loyalty_str_null);
    for (i = 0; i < drawing.n; i++) {
        loyalty_arg(&reads, drawing.codes[i]);
    }

    result = loyalty_job_change(job, NULL, 0, &reads, decide);
    loyalty_commands_free(&reads);

    return result;
}

const loyalty_job_kind_t loyalty_job_codes = {"codes", step};
