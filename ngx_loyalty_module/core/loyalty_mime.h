/*
 * An e-mail as the bytes that go over the wire (RFC 5322, 2045-2047, 2369,
 * 8058): headers folded, texts in UTF-8, text and HTML as alternatives.
 *
 * No text of the envelope can begin a header or end the headers: addresses
 * and URLs with anything unusual in them are refused, other texts lose their
 * control characters and are encoded where they are not plain ASCII.
 */

#ifndef LOYALTY_MIME_H
#define LOYALTY_MIME_H

#include "loyalty_envelope.h"

/* An address as mail servers take it without SMTPUTF8: printable ASCII, one @,
 * at most LOYALTY_EMAIL_MAX bytes, no quoting and no comments. */
bool loyalty_mime_is_address(loyalty_str_t address);

/*
 * The same envelope makes the same bytes.  LOYALTY_ERROR_INVALID: `to`, the
 * sender's address or the URL is not one, or there is no body; *what then
 * says which.  LOYALTY_ERROR_MEMORY.
 */
loyalty_status_t loyalty_mime_compose(const loyalty_envelope_t *envelope,
                                      loyalty_arena_t *arena,
                                      loyalty_str_t *bytes, const char **what);

#endif
