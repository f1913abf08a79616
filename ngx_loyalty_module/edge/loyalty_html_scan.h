/*
 * Where in a page the badge goes.  A page comes in pieces; the functions see
 * two of them: `before`, the end of what came earlier, and `now`.  Positions
 * and lengths are counted from the start of `before`.
 *
 * Pure: knows no nginx.
 */

#ifndef LOYALTY_HTML_SCAN_H
#define LOYALTY_HTML_SCAN_H

#include "loyalty.h"

#define LOYALTY_HTML_NONE SIZE_MAX

/* The first marker that ends in `now`; `before` holds none that is whole.
 * The marker has 1 to LOYALTY_INJECT_MARKER_MAX bytes. */
size_t loyalty_html_marker(loyalty_str_t marker, loyalty_str_t before,
                           loyalty_str_t now);

/* The last end tag of the body, in any case: "</body>", "</BODY >", ... */
size_t loyalty_html_body_end(loyalty_str_t before, loyalty_str_t now);

/* How many bytes at the end may be the beginning of a marker, or of the end
 * tag, whose rest has not come yet. */
size_t loyalty_html_partial(loyalty_str_t marker, loyalty_str_t before,
                            loyalty_str_t now);

#endif
