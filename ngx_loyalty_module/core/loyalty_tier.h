/*
 * A member's status (tier) and progress (DOMAIN.md section 5).
 */

#ifndef LOYALTY_TIER_H
#define LOYALTY_TIER_H

#include "loyalty_program.h"

/* What of a member decides the status.  Indices are into program->tiers. */
typedef struct {
    int64_t value;     /* the criterion's value in its window, at `at` */
    unsigned segments; /* for LOYALTY_CRITERION_SEGMENT */

    int manual;        /* a floor set by staff; -1: none */
    loyalty_instant_t manual_until; /* inclusive end; LOYALTY_NEVER */

    int previous;      /* the status earned before, manual floors aside: the
                          last result's `earned`; -1: none */
    loyalty_instant_t below_since; /* when the value fell below `previous`;
                                      LOYALTY_UNKNOWN while it has not */
} loyalty_tier_input_t;

typedef struct {
    int current; /* -1: none */
    int earned;  /* without the manual floor; to be `previous` next time */
    int next;    /* -1: at the top, or no ladder (segment) */
    int64_t value;
    int64_t remaining;
    int percent;
    loyalty_instant_t change_at; /* when grace or the manual floor ends;
                                    LOYALTY_NEVER if neither is in force */
} loyalty_tier_result_t;

/*
 * Grace and never_drop keep `previous` while the value is below it: up to
 * and with below_since + grace_days, a day being 86 400 s.  With
 * LOYALTY_CRITERION_SEGMENT there is no grace, `earned` is the first status
 * of the program that fits, and a manual floor counts if it stands before it.
 * A rolling window's value and the segments change with time too: the caller
 * adds the instants of those.
 */

void loyalty_tier_resolve(const loyalty_program_t *program,
                          const loyalty_tier_input_t *input,
                          loyalty_instant_t at, loyalty_tier_result_t *result);

/* Of somebody about whom nothing is known yet. */
void loyalty_tier_begin(const loyalty_program_t *program,
                        loyalty_tier_result_t *result);

#endif
