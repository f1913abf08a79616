/*
 * Mustache: variables, sections, inverted sections, comments, partials,
 * delimiters, standalone lines, indented partials, dotted names; no lambdas.
 * Escapes for HTML unless told `{{{raw}}}` or `{{&raw}}`.
 *
 * A template is compiled once, is immutable and may be rendered from many
 * threads.  Data comes as a jansson value.
 */

#ifndef LOYALTY_TEMPLATE_H
#define LOYALTY_TEMPLATE_H

#include <jansson.h>

#include "loyalty.h"

typedef struct loyalty_template_s loyalty_template_t;

/*
 * Problems carry "line N" as their place.  The template owns a copy of the
 * source; free with loyalty_template_free.  Limits: size, depth of sections.
 */
loyalty_status_t loyalty_template_compile(loyalty_str_t source,
                                          loyalty_problems_t *problems,
                                          loyalty_template_t **compiled);
void loyalty_template_free(loyalty_template_t *compiled);

/* The partial of that name, or NULL: renders as nothing. */
typedef const loyalty_template_t *(*loyalty_template_partial_pt)(
    void *data, loyalty_str_t name);

/*
 * Appends the text to the arena and points `text` at it.  Depth of partials
 * and length of the output (`size_max`) are bounded: LOYALTY_ERROR_LIMIT.
 */
loyalty_status_t loyalty_template_render(const loyalty_template_t *compiled,
                                         json_t *context,
                                         loyalty_template_partial_pt partial,
                                         void *data, size_t size_max,
                                         loyalty_arena_t *arena,
                                         loyalty_str_t *text);

#endif
