/*
 * A status is decided in three steps, each of which can only raise it:
 *
 *   reached   the highest threshold that the value has reached, or the first
 *             status whose segment fits
 *   earned    what was held before, while grace or never_drop keeps it
 *   current   a manual floor, until its end
 *
 * In a ladder the higher index is the higher status.  Statuses by segment
 * are no ladder: the earlier in the program wins, nothing is kept, and there
 * is no progress.
 */

#include "loyalty_tier.h"

#include "loyalty_money.h"

static int
reached_tier(const loyalty_program_t *program, int64_t value)
{
    size_t low = 0, high = program->ntiers, middle;

    while (low < high) {
        middle = low + (high - low) / 2;
        if (program->tiers[middle].threshold <= value) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }

    return (int)low - 1;
}

static int
segment_tier(const loyalty_program_t *program, unsigned segments)
{
    size_t i;

    for (i = 0; i < program->ntiers; i++) {
        if (((unsigned)program->tiers[i].segment & segments) != 0) {
            return (int)i;
        }
    }

    return -1;
}

/* The last instant of the grace; a drop that nobody recorded begins now. */
static loyalty_instant_t
grace_end(const loyalty_window_t *window, const loyalty_tier_input_t *input,
          loyalty_instant_t at)
{
    loyalty_instant_t since, end;

    since = input->below_since == LOYALTY_UNKNOWN ? at : input->below_since;

    if (__builtin_add_overflow(since, window->grace_days * LOYALTY_DAY, &end)) {
        return LOYALTY_NEVER;
    }

    return end;
}

static void
keep_for(loyalty_tier_result_t *result, loyalty_instant_t end)
{
    if (end != LOYALTY_NEVER && end + 1 < result->change_at) {
        result->change_at = end + 1;
    }
}

/* What the value gives, with grace. */
static int
earned_tier(const loyalty_program_t *program, const loyalty_tier_input_t *input,
            loyalty_instant_t at, loyalty_tier_result_t *result)
{
    const loyalty_window_t *window = &program->settings.window;
    int reached = reached_tier(program, input->value);
    loyalty_instant_t end;

    if (input->previous <= reached
        || input->previous >= (int)program->ntiers) {
        return reached;
    }

    if (window->never_drop) {
        return input->previous;
    }

    if (window->grace_days == 0) {
        return reached;
    }

    end = grace_end(window, input, at);
    if (at > end) {
        return reached;
    }

    keep_for(result, end);
    return input->previous;
}

static void
measure_progress(const loyalty_program_t *program,
                 loyalty_tier_result_t *result)
{
    int64_t base, next, percent, remaining;

    if (result->current + 1 >= (int)program->ntiers) {
        result->percent = program->ntiers == 0 ? 0 : 100;
        return;
    }

    result->next = result->current + 1;
    next = program->tiers[result->next].threshold;
    base = result->current < 0 ? 0
                               : program->tiers[result->current].threshold;

    if (loyalty_sub(next, result->value, &remaining) != LOYALTY_OK) {
        remaining = INT64_MAX;
    }
    result->remaining = remaining > 0 ? remaining : 0;

    /* A floor or a grace may hold a status whose base the value is below. */
    if (result->value <= base || next <= base) {
        return;
    }

    if (loyalty_mul_div(100, result->value - base, next - base,
                        LOYALTY_ROUND_FLOOR, &percent) == LOYALTY_OK) {
        result->percent = percent > 100 ? 100 : (int)percent;
    }
}

void
loyalty_tier_resolve(const loyalty_program_t *program,
                     const loyalty_tier_input_t *input, loyalty_instant_t at,
                     loyalty_tier_result_t *result)
{
    bool by_segment, floor;

    *result = (loyalty_tier_result_t){
        .next = -1, .change_at = LOYALTY_NEVER,
    };

    by_segment = program->settings.criterion == LOYALTY_CRITERION_SEGMENT;
    floor = input->manual >= 0 && input->manual < (int)program->ntiers
            && at <= input->manual_until;

    if (by_segment) {
        result->earned = segment_tier(program, input->segments);
    } else {
        result->value = input->value;
        result->earned = earned_tier(program, input, at, result);
    }

    result->current = result->earned;

    if (floor) {
        if (result->earned < 0
            || (by_segment ? input->manual < result->earned
                           : input->manual > result->earned)) {
            result->current = input->manual;
        }
        keep_for(result, input->manual_until);
    }

    if (!by_segment) {
        measure_progress(program, result);
    }
}

void
loyalty_tier_begin(const loyalty_program_t *program,
                   loyalty_tier_result_t *result)
{
    const loyalty_tier_input_t nothing = {
        .manual = -1, .manual_until = LOYALTY_UNKNOWN,
        .previous = -1, .below_since = LOYALTY_UNKNOWN,
    };

    loyalty_tier_resolve(program, &nothing, 0, result);
}
