/*
 * Mustache: variables, sections, inverted sections, comments, partials,
 * delimiters, standalone lines, indented partials, dotted names; no lambdas.
 * Escapes for HTML unless told `{{{raw}}}` or `{{&raw}}`.  null, false, the
 * empty text and the empty list are false; all else is true.
 *
 * A template is compiled once, is immutable and may be rendered from many
 * threads.  Data comes as a jansson value, or as a table of texts where a
 * page is rendered for each request.
 */

#ifndef LOYALTY_TEMPLATE_H
#define LOYALTY_TEMPLATE_H

#include <jansson.h>

#include "loyalty.h"

typedef struct loyalty_template_s loyalty_template_t;

/*
 * Problems carry "line N" as their place.  The template owns a copy of the
 * source; free with loyalty_template_free.  LOYALTY_ERROR_INVALID, _LIMIT
 * (size, depth of sections), _MEMORY.
 */
loyalty_status_t loyalty_template_compile(loyalty_str_t source,
                                          loyalty_problems_t *problems,
                                          loyalty_template_t **compiled);
void loyalty_template_free(loyalty_template_t *compiled);

/* For what is no HTML (a subject, a text message, JSON): `{{name}}` escapes
 * nothing.  Before the template is shared. */
void loyalty_template_plain(loyalty_template_t *compiled);

/* The partial of that name, or NULL: renders as nothing. */
typedef const loyalty_template_t *(*loyalty_template_partial_pt)(
    void *data, loyalty_str_t name);

/*
 * Points `text` at the text, in the arena.  Depth of partials, steps and
 * length of the output (`size_max`) are bounded: LOYALTY_ERROR_LIMIT.
 * `partial` may be NULL.
 */
loyalty_status_t loyalty_template_render(const loyalty_template_t *compiled,
                                         json_t *context,
                                         loyalty_template_partial_pt partial,
                                         void *data, size_t size_max,
                                         loyalty_arena_t *arena,
                                         loyalty_str_t *text);

/*
 * For a table of texts whose names are known beforehand: binds the template's
 * names to their places in it, before it is shared.  Bit i of *used says that
 * the template uses names[i]; n is at most 64.  A name of no place, a dotted
 * one too, is as empty.  LOYALTY_ERROR_MEMORY.
 */
loyalty_status_t loyalty_template_bind(loyalty_template_t *compiled,
                                       const loyalty_str_t *names, size_t n,
                                       uint64_t *used);

/*
 * Renders a bound template over such a table into `buffer`, allocating
 * nothing; there are no partials, an empty text is false in a section.  *len
 * becomes the length; LOYALTY_ERROR_LIMIT: more than `size` bytes.
 */
loyalty_status_t loyalty_template_render_table(
    const loyalty_template_t *compiled, const loyalty_str_t *texts,
    char *buffer, size_t size, size_t *len);

#endif
