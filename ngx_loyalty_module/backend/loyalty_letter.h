/*
 * What a message says: its template over the member, in the member's
 * language, with tracked links.  No I/O.
 */

#ifndef LOYALTY_LETTER_H
#define LOYALTY_LETTER_H

#include <jansson.h>

#include "loyalty_envelope.h"
#include "loyalty_format.h"
#include "loyalty_member.h"
#include "loyalty_order.h"
#include "loyalty_rule.h"
#include "loyalty_token.h"

typedef struct {
    const loyalty_program_t *program;
    const loyalty_member_t *member;
    const loyalty_rule_t *rule;   /* NULL: `content` */
    const loyalty_order_t *order; /* NULL: none, or not known any more */
    loyalty_str_t id;
    loyalty_channel_t channel;
    loyalty_str_t code; /* of the offer it gives */
    /* Without a rule: Mustache too, as is a rule's template. */
    struct {
        loyalty_str_t subject, text, html, sender_name, sender_address;
    } content;
    loyalty_str_t secret; /* of tokens; empty: nothing is tracked */
    loyalty_formats_t *formats;
    loyalty_instant_t at;
} loyalty_letter_t;

/*
 * The envelope, all of it the arena's.  LOYALTY_ERROR_NOT_FOUND: the template
 * is gone; _INVALID, _LIMIT: it cannot be rendered.
 */
loyalty_status_t loyalty_letter_write(const loyalty_letter_t *letter,
                                      loyalty_arena_t *arena,
                                      loyalty_envelope_t *envelope);

#endif
