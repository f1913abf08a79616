/*
 * Which of a site's locales a reader gets (RFC 9110 section 12.5.4, RFC 4647
 * lookup).
 */

#ifndef LOYALTY_LOCALE_H
#define LOYALTY_LOCALE_H

#include "loyalty.h"

/*
 * The locale of highest quality in an Accept-Language header: a range fits a
 * locale that is equal (case aside) or more special ("fr" fits "fr-CA"), else
 * one more general ("fr-CH" fits "fr"), else one of the same language ("fr-CH"
 * fits "fr-CA").  Ties go to the earlier range, "*" and nothing found to the
 * site's first locale.  "q=0" is not wanted.  Reads no more than
 * LOYALTY_ACCEPT_LANGUAGE_MAX bytes.  No locales: empty.
 */
loyalty_str_t loyalty_locale_choose(const loyalty_str_t *locales,
                                    size_t nlocales, loyalty_str_t accept);

#endif
