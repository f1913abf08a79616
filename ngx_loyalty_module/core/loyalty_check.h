/*
 * What texts of a program may look like.  Each check answers NULL, or what
 * the text must be: "must be ...".  Internal to core/.
 */

#ifndef LOYALTY_CHECK_H
#define LOYALTY_CHECK_H

#include "loyalty.h"

typedef const char *(*loyalty_string_check_pt)(loyalty_str_t text);

/* No control characters; line breaks and tabs where there may be `lines`. */
const char *loyalty_check_text(loyalty_str_t text, bool lines);

const char *loyalty_check_site_id(loyalty_str_t text);
const char *loyalty_check_id(loyalty_str_t text);
const char *loyalty_check_currency(loyalty_str_t text);
const char *loyalty_check_locale(loyalty_str_t text);
const char *loyalty_check_time_zone(loyalty_str_t text);
const char *loyalty_check_sku(loyalty_str_t text);
const char *loyalty_check_category(loyalty_str_t text);
const char *loyalty_check_group(loyalty_str_t text);
const char *loyalty_check_code(loyalty_str_t text);
const char *loyalty_check_code_pattern(loyalty_str_t text);
const char *loyalty_check_url(loyalty_str_t text);
const char *loyalty_check_color(loyalty_str_t text);
const char *loyalty_check_font(loyalty_str_t text);

/* Characters, not bytes: what a JSON Schema's maxLength counts. */
size_t loyalty_length(loyalty_str_t text);

#endif
