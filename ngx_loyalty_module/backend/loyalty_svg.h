/*
 * SVG made safe to show: what is on the list stays, all else is left out.
 * No script, no style sheet, no link but to a part of the same drawing, no
 * entity, so that nothing is run, loaded or blown up, however it is shown.
 */

#ifndef LOYALTY_SVG_H
#define LOYALTY_SVG_H

#include "loyalty.h"

/*
 * The drawing written anew, malloc'ed, into *clean.  LOYALTY_ERROR_INVALID:
 * no well-formed SVG, or one with a document type; LOYALTY_ERROR_LIMIT: too
 * deep or too many elements; LOYALTY_ERROR_MEMORY.
 */
loyalty_status_t loyalty_svg_clean(loyalty_str_t bytes, char **clean,
                                   size_t *len);

#endif
