/*
 * Mustache over a table of texts, for pages rendered at each request.  Which
 * text a name means, and what `.` means in a section, is known beforehand, so
 * binding turns the nodes into steps that run from first to last:
 *
 *   {{#status}}in {{.}}{{/status}}{{^status}}none{{/status}}
 *
 *   0 UNLESS status, to 3   1 TEXT "in "   2 ESCAPED status
 *   3 IF status, to 5       4 TEXT "none"
 *
 * Steps only go forwards, so there are never more than nodes.
 */

#include <stdlib.h>

#include "loyalty_template_private.h"

#define NOWHERE (-1)

typedef struct {
    loyalty_template_t *compiled;
    const loyalty_str_t *names;
    size_t n;
    uint64_t used;
} binder_t;

/* `dot` is the place of the section around. */
static int
place_of(binder_t *b, const loyalty_node_t *node, int dot)
{
    size_t i;

    if (node->nparts == 0) {
        return dot;
    }

    for (i = 0; i < b->n; i++) {
        if (loyalty_str_eq(node->text, b->names[i])) {
            b->used |= UINT64_C(1) << i;
            return (int)i;
        }
    }

    return NOWHERE;
}

static loyalty_step_t *
add_step(binder_t *b, loyalty_step_kind_t kind, int place, loyalty_str_t text)
{
    loyalty_step_t *step = &b->compiled->steps[b->compiled->nsteps++];

    *step = (loyalty_step_t){
        .kind = kind, .place = (uint32_t)place, .text = text};
    return step;
}

/* Recurses as deep as sections nest: LOYALTY_TEMPLATE_SECTIONS_MAX. */
static void
bind_nodes(binder_t *b, size_t from, size_t to, int dot)
{
    const loyalty_node_t *node;
    loyalty_step_t *step;
    size_t i;
    int place;

    for (i = from; i < to; i++) {
        node = &b->compiled->nodes[i];

        switch (node->kind) {
        case LOYALTY_NODE_TEXT:
            (void)add_step(b, LOYALTY_STEP_TEXT, 0, node->text);
            break;
        case LOYALTY_NODE_VARIABLE:
        case LOYALTY_NODE_RAW:
            place = place_of(b, node, dot);
            if (place != NOWHERE) {
                (void)add_step(b,
                               node->kind == LOYALTY_NODE_RAW
                                   ? LOYALTY_STEP_RAW
                                   : LOYALTY_STEP_ESCAPED,
                               place, loyalty_str_null);
            }
            break;
        case LOYALTY_NODE_SECTION:
            place = place_of(b, node, dot);
            step = place == NOWHERE
                       ? NULL
                       : add_step(b, LOYALTY_STEP_UNLESS, place,
                                  loyalty_str_null);
            if (step != NULL) {
                bind_nodes(b, i + 1, node->end, place);
                step->to = (uint32_t)b->compiled->nsteps;
            }
            i = node->end - 1;
            break;
        case LOYALTY_NODE_INVERTED:
            place = place_of(b, node, dot);
            step = place == NOWHERE ? NULL
                                    : add_step(b, LOYALTY_STEP_IF, place,
                                               loyalty_str_null);
            bind_nodes(b, i + 1, node->end, dot);
            if (step != NULL) {
                step->to = (uint32_t)b->compiled->nsteps;
            }
            i = node->end - 1;
            break;
        case LOYALTY_NODE_PARTIAL:
            break;
        }
    }
}

loyalty_status_t
loyalty_template_bind(loyalty_template_t *compiled, const loyalty_str_t *names,
                      size_t n, uint64_t *used)
{
    binder_t b = {.compiled = compiled, .names = names, .n = n};

    free(compiled->steps);
    compiled->nsteps = 0;
    compiled->steps = malloc((compiled->nnodes + 1) * sizeof(loyalty_step_t));
    if (compiled->steps == NULL) {
        return LOYALTY_ERROR_MEMORY;
    }

    bind_nodes(&b, 0, compiled->nnodes, NOWHERE);
    *used = b.used;
    return LOYALTY_OK;
}

/* Both return where the next byte goes, NULL: there is no room. */

static char *
put(char *out, const char *end, loyalty_str_t text)
{
    if (text.len > (size_t)(end - out)) {
        return NULL;
    }
    if (text.len != 0) {
        memcpy(out, text.data, text.len);
    }

    return out + text.len;
}

static char *
put_escaped(char *out, const char *end, loyalty_str_t text)
{
    const loyalty_str_t *entity;
    size_t i;

    for (i = 0; i < text.len; i++) {
        entity = &loyalty_template_entities[(unsigned char)text.data[i]];

        if (entity->len != 0) {
            out = put(out, end, *entity);
            if (out == NULL) {
                return NULL;
            }
        } else if (out == end) {
            return NULL;
        } else {
            *out++ = text.data[i];
        }
    }

    return out;
}

loyalty_status_t
loyalty_template_render_table(const loyalty_template_t *compiled,
                              const loyalty_str_t *texts, char *buffer,
                              size_t size, size_t *len)
{
    const loyalty_step_t *step = compiled->steps;
    const loyalty_step_t *last = step + compiled->nsteps;
    char *out = buffer, *end = buffer + size;

    while (step < last && out != NULL) {
        switch (step->kind) {
        case LOYALTY_STEP_TEXT:
            out = put(out, end, step->text);
            break;
        case LOYALTY_STEP_ESCAPED:
            out = put_escaped(out, end, texts[step->place]);
            break;
        case LOYALTY_STEP_RAW:
            out = put(out, end, texts[step->place]);
            break;
        case LOYALTY_STEP_UNLESS:
        case LOYALTY_STEP_IF:
            if ((texts[step->place].len != 0)
                == (step->kind == LOYALTY_STEP_IF)) {
                step = compiled->steps + step->to;
                continue;
            }
            break;
        }

        step++;
    }

    if (out == NULL) {
        return LOYALTY_ERROR_LIMIT;
    }

    *len = (size_t)(out - buffer);
    return LOYALTY_OK;
}
