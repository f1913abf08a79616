/*
 * Mustache, from nodes to text.  The context is a chain of frames on the
 * stack, innermost first, with the caller's JSON at its far end; a name is
 * looked up frame by frame.
 *
 * Bounded by steps, depth of partials and room for the output, so that any
 * template over any data ends soon.
 */

#include <stdlib.h>

#include "loyalty_template_private.h"

typedef struct frame_s {
    const struct frame_s *outer;
    json_t *value;
} frame_t;

/* What each line of a partial begins with, outermost last. */
typedef struct indent_s {
    const struct indent_s *outer;
    loyalty_str_t text;
} indent_t;

typedef struct {
    loyalty_template_partial_pt partial;
    void *data;
    unsigned depth; /* of partials */
    unsigned steps;

    char *out;
    size_t len;
    size_t size; /* room at `out` */
    size_t max;  /* room may grow to this */
} renderer_t;

static loyalty_status_t render_nodes(renderer_t *r,
                                     const loyalty_template_t *compiled,
                                     size_t from, size_t to,
                                     const frame_t *frame,
                                     const indent_t *indent);

static loyalty_status_t
grow(renderer_t *r, size_t len)
{
    size_t size = r->size * 2;
    char *out;

    if (len > r->max - r->len) {
        return LOYALTY_ERROR_LIMIT;
    }
    if (size < r->len + len) {
        size = r->len + len;
    }
    if (size > r->max) {
        size = r->max;
    }

    out = realloc(r->out, size);
    if (out == NULL) {
        return LOYALTY_ERROR_MEMORY;
    }

    r->out = out;
    r->size = size;
    return LOYALTY_OK;
}

static loyalty_status_t
put(renderer_t *r, const char *data, size_t len)
{
    loyalty_status_t rc;

    if (len > r->size - r->len && (rc = grow(r, len)) != LOYALTY_OK) {
        return rc;
    }
    if (len != 0) {
        memcpy(r->out + r->len, data, len);
        r->len += len;
    }

    return LOYALTY_OK;
}

const loyalty_str_t loyalty_template_entities[256] = {
    ['&'] = {"&amp;", 5},   ['<'] = {"&lt;", 4},    ['>'] = {"&gt;", 4},
    ['"'] = {"&quot;", 6},  ['\''] = {"&#39;", 5},
};

static loyalty_status_t
put_escaped(renderer_t *r, loyalty_str_t text)
{
    const char *p, *end, *plain;
    const loyalty_str_t *entity;
    loyalty_status_t rc;

    if (text.len == 0) {
        return LOYALTY_OK;
    }

    end = text.data + text.len;
    plain = text.data;

    for (p = plain; p < end; p++) {
        entity = &loyalty_template_entities[(unsigned char)*p];
        if (entity->len == 0) {
            continue;
        }

        rc = put(r, plain, (size_t)(p - plain));
        if (rc == LOYALTY_OK) {
            rc = put(r, entity->data, entity->len);
        }
        if (rc != LOYALTY_OK) {
            return rc;
        }
        plain = p + 1;
    }

    return put(r, plain, (size_t)(end - plain));
}

static loyalty_status_t
put_indent(renderer_t *r, const indent_t *indent)
{
    loyalty_status_t rc;

    if (indent == NULL) {
        return LOYALTY_OK;
    }

    rc = put_indent(r, indent->outer);
    return rc != LOYALTY_OK ? rc : put(r, indent->text.data, indent->text.len);
}

/* The lines of a text; the first one's indentation is its node's. */
static loyalty_status_t
put_lines(renderer_t *r, loyalty_str_t text, const indent_t *indent)
{
    const char *p = text.data, *end = text.data + text.len, *line;
    loyalty_status_t rc;

    if (indent == NULL) {
        return put(r, text.data, text.len);
    }

    for (;;) {
        line = memchr(p, '\n', (size_t)(end - p));
        line = line == NULL ? end : line + 1;

        rc = put(r, p, (size_t)(line - p));
        if (rc != LOYALTY_OK || line == end) {
            return rc;
        }

        rc = put_indent(r, indent);
        if (rc != LOYALTY_OK) {
            return rc;
        }
        p = line;
    }
}

/* The first part is looked up outwards, the others inside what it found. */
static json_t *
look_up(const loyalty_node_t *node, const frame_t *frame)
{
    const char *part = node->parts;
    json_t *json = NULL;
    uint32_t i;

    if (node->nparts == 0) {
        return frame->value;
    }

    for (; frame != NULL && json == NULL; frame = frame->outer) {
        json = json_object_get(frame->value, part);
    }

    for (i = 1; i < node->nparts && json != NULL; i++) {
        part += strlen(part) + 1;
        json = json_object_get(json, part);
    }

    return json;
}

static bool
is_true(const json_t *value)
{
    switch (value == NULL ? JSON_NULL : json_typeof(value)) {
    case JSON_NULL:
    case JSON_FALSE:
        return false;
    case JSON_STRING:
        return json_string_length(value) != 0;
    case JSON_ARRAY:
        return json_array_size(value) != 0;
    default:
        return true;
    }
}

/* Lists and objects have no text. */
static loyalty_status_t
put_value(renderer_t *r, const json_t *value, bool escape)
{
    loyalty_str_t text = loyalty_str_null;
    char number[64];

    if (value != NULL) {
        switch (json_typeof(value)) {
        case JSON_STRING:
            text = (loyalty_str_t){json_string_value(value),
                                   json_string_length(value)};
            break;
        case JSON_INTEGER:
        case JSON_REAL:
        case JSON_TRUE:
        case JSON_FALSE:
            text.data = number;
            text.len = json_dumpb(value, number, sizeof(number),
                                  JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));
            break;
        default:
            break;
        }
    }

    return escape ? put_escaped(r, text) : put(r, text.data, text.len);
}

static loyalty_status_t
render_section(renderer_t *r, const loyalty_template_t *compiled, size_t at,
               const frame_t *frame, const indent_t *indent)
{
    const loyalty_node_t *node = &compiled->nodes[at];
    frame_t inner = {.outer = frame, .value = look_up(node, frame)};
    json_t *list = inner.value;
    loyalty_status_t rc = LOYALTY_OK;
    size_t i;

    if (is_true(inner.value) == (node->kind == LOYALTY_NODE_INVERTED)) {
        return LOYALTY_OK;
    }

    if (node->kind == LOYALTY_NODE_INVERTED) {
        return render_nodes(r, compiled, at + 1, node->end, frame, indent);
    }

    if (!json_is_array(list)) {
        return render_nodes(r, compiled, at + 1, node->end, &inner, indent);
    }

    for (i = 0; i < json_array_size(list) && rc == LOYALTY_OK; i++) {
        if (++r->steps > LOYALTY_TEMPLATE_STEPS_MAX) {
            return LOYALTY_ERROR_LIMIT;
        }
        inner.value = json_array_get(list, i);
        rc = render_nodes(r, compiled, at + 1, node->end, &inner, indent);
    }

    return rc;
}

static loyalty_status_t
render_partial(renderer_t *r, const loyalty_node_t *node,
               const frame_t *frame, const indent_t *indent)
{
    const loyalty_template_t *compiled;
    indent_t inner = {.outer = indent, .text = node->indent};
    loyalty_status_t rc;

    compiled = r->partial == NULL ? NULL : r->partial(r->data, node->text);
    if (compiled == NULL) {
        return LOYALTY_OK;
    }

    if (r->depth == LOYALTY_TEMPLATE_PARTIALS_MAX) {
        return LOYALTY_ERROR_LIMIT;
    }

    r->depth++;
    rc = render_nodes(r, compiled, 0, compiled->nnodes, frame,
                      node->standalone ? &inner : NULL);
    r->depth--;
    return rc;
}

static loyalty_status_t
render_nodes(renderer_t *r, const loyalty_template_t *compiled, size_t from,
             size_t to, const frame_t *frame, const indent_t *indent)
{
    const loyalty_node_t *node;
    loyalty_status_t rc = LOYALTY_OK;
    size_t i;

    for (i = from; i < to && rc == LOYALTY_OK; i++) {
        node = &compiled->nodes[i];

        if (++r->steps > LOYALTY_TEMPLATE_STEPS_MAX) {
            return LOYALTY_ERROR_LIMIT;
        }

        if (node->line_start && indent != NULL && !node->standalone
            && (rc = put_indent(r, indent)) != LOYALTY_OK) {
            return rc;
        }

        switch (node->kind) {
        case LOYALTY_NODE_TEXT:
            rc = put_lines(r, node->text, indent);
            break;
        case LOYALTY_NODE_VARIABLE:
        case LOYALTY_NODE_RAW:
            rc = put_value(r, look_up(node, frame),
                           node->kind == LOYALTY_NODE_VARIABLE);
            break;
        case LOYALTY_NODE_SECTION:
        case LOYALTY_NODE_INVERTED:
            rc = render_section(r, compiled, i, frame, indent);
            i = node->end - 1;
            break;
        case LOYALTY_NODE_PARTIAL:
            rc = render_partial(r, node, frame, indent);
            break;
        }
    }

    return rc;
}

loyalty_status_t
loyalty_template_render(const loyalty_template_t *compiled, json_t *context,
                        loyalty_template_partial_pt partial, void *data,
                        size_t size_max, loyalty_arena_t *arena,
                        loyalty_str_t *text)
{
    renderer_t r = {.partial = partial, .data = data, .max = size_max};
    frame_t frame = {.value = context};
    loyalty_status_t rc;

    rc = render_nodes(&r, compiled, 0, compiled->nnodes, &frame, NULL);
    if (rc == LOYALTY_OK) {
        rc = loyalty_str_copy(arena, (loyalty_str_t){r.out, r.len}, text);
    }

    free(r.out);
    return rc;
}
