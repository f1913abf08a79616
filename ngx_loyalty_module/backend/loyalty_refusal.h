/*
 * A refusal's name as a sentence, for the people who read it.
 */

#ifndef LOYALTY_REFUSAL_H
#define LOYALTY_REFUSAL_H

/* Of the names that core/ gives as effects->refusal; a general sentence for
 * any other. */
const char *loyalty_refusal_text(const char *refusal);

#endif
