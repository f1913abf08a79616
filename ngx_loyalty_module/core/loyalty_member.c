/*
 * A member's status, segments, grants, visits and nightly run.
 *
 * Every change works on a copy (loyalty_member_copy) that takes the member's
 * place only when all of it has succeeded.
 */

#include "loyalty_member.h"

#include "loyalty_codec.h"
#include "loyalty_money.h"

void
loyalty_member_init(loyalty_member_t *member, loyalty_str_t id)
{
    *member = (loyalty_member_t){
        .id = id,
        .deleted_at = LOYALTY_UNKNOWN,
        .signed_up_at = LOYALTY_UNKNOWN,
        .last_visit_at = LOYALTY_UNKNOWN,
        .previous_visit_at = LOYALTY_UNKNOWN,
        .last_order_at = LOYALTY_UNKNOWN,
        .below_since = LOYALTY_UNKNOWN,
        .manual_until = LOYALTY_UNKNOWN,
    };
}

loyalty_status_t
loyalty_member_id_check(loyalty_str_t id)
{
    size_t i;

    if (id.len == 0 || id.len > LOYALTY_MEMBER_ID_MAX) {
        return LOYALTY_ERROR_INVALID;
    }

    for (i = 0; i < id.len; i++) {
        if ((unsigned char)id.data[i] < 0x20 || id.data[i] == 0x7f) {
            return LOYALTY_ERROR_INVALID;
        }
    }

    return LOYALTY_OK;
}

loyalty_str_t
loyalty_member_address(const loyalty_member_t *member,
                       loyalty_channel_t channel)
{
    switch (channel) {
    case LOYALTY_CHANNEL_EMAIL:
        return member->email;
    case LOYALTY_CHANNEL_SMS:
        return member->phone;
    case LOYALTY_CHANNEL_MESSENGER:
        return member->messenger_id;
    case LOYALTY_CHANNEL_LINE:
        return member->line_id;
    }

    return loyalty_str_null;
}

void
loyalty_member_activity(const loyalty_member_t *member,
                        loyalty_activity_t *activity)
{
    *activity = (loyalty_activity_t){
        .signed_up_at = member->signed_up_at,
        .last_order_at = member->last_order_at,
        .last_visit_at = member->last_visit_at,
        .previous_visit_at = member->previous_visit_at,
        .order_count = member->order_count,
        .life_points = member->points.life,
    };
}

loyalty_status_t
loyalty_member_copy(const loyalty_member_t *from, loyalty_arena_t *arena,
                    loyalty_member_t *to)
{
    loyalty_contribution_t *contributions;
    loyalty_status_t rc;

    *to = *from;

    rc = loyalty_ledger_copy(&from->points, 2, arena, &to->points);
    if (rc != LOYALTY_OK) {
        return rc;
    }

    rc = loyalty_ledger_copy(&from->credits, 1, arena, &to->credits);
    if (rc != LOYALTY_OK) {
        return rc;
    }

    contributions = loyalty_alloc(arena, (from->ncontributions + 1)
                                             * sizeof(*contributions));
    if (contributions == NULL) {
        return LOYALTY_ERROR_MEMORY;
    }

    if (from->ncontributions != 0) {
        memcpy(contributions, from->contributions,
               from->ncontributions * sizeof(*contributions));
    }
    to->contributions = contributions;
    return LOYALTY_OK;
}

const loyalty_contribution_t *
loyalty_member_contribution(const loyalty_member_t *member,
                            loyalty_str_t order_id)
{
    size_t i;

    for (i = member->ncontributions; i-- > 0;) {
        if (loyalty_str_eq(member->contributions[i].order_id, order_id)) {
            return &member->contributions[i];
        }
    }

    return NULL;
}

static bool
is_before(const loyalty_contribution_t *a, const loyalty_contribution_t *b)
{
    if (a->placed_at != b->placed_at) {
        return a->placed_at < b->placed_at;
    }
    return loyalty_str_cmp(a->order_id, b->order_id) < 0;
}

static void
forget_contribution(loyalty_member_t *member, size_t i)
{
    member->ncontributions--;
    memmove(&member->contributions[i], &member->contributions[i + 1],
            (member->ncontributions - i) * sizeof(*member->contributions));
}

void
loyalty_member_contribute(loyalty_member_t *member,
                          const loyalty_contribution_t *contribution)
{
    const loyalty_contribution_t *found;
    loyalty_contribution_t *list = member->contributions;
    size_t i;

    found = loyalty_member_contribution(member, contribution->order_id);
    if (found != NULL) {
        forget_contribution(member, (size_t)(found - list));
    }

    if (contribution->counts || contribution->spend != 0
        || contribution->points != 0) {
        i = member->ncontributions++;
        for (; i > 0 && is_before(contribution, &list[i - 1]); i--) {
            list[i] = list[i - 1];
        }
        list[i] = *contribution;
    }

    if (member->ncontributions > LOYALTY_MEMBER_CONTRIBUTIONS_MAX) {
        forget_contribution(member, 0);
    }

    member->last_order_at = LOYALTY_UNKNOWN;
    for (i = member->ncontributions; i-- > 0;) {
        if (list[i].counts) {
            member->last_order_at = list[i].placed_at;
            break;
        }
    }
}

/* What a contribution counts for under the program's criterion. */
static int64_t
worth(const loyalty_contribution_t *contribution, loyalty_criterion_t criterion)
{
    switch (criterion) {
    case LOYALTY_CRITERION_SPEND:
        return contribution->spend;
    case LOYALTY_CRITERION_ORDERS:
        return contribution->counts;
    case LOYALTY_CRITERION_LIFE_POINTS:
        return contribution->points;
    case LOYALTY_CRITERION_SEGMENT:
        break;
    }

    return 0;
}

static int64_t
lifetime_value(const loyalty_member_t *member, loyalty_criterion_t criterion)
{
    switch (criterion) {
    case LOYALTY_CRITERION_SPEND:
        return member->spent_total;
    case LOYALTY_CRITERION_ORDERS:
        return member->order_count;
    case LOYALTY_CRITERION_LIFE_POINTS:
        return member->points.life;
    case LOYALTY_CRITERION_SEGMENT:
        break;
    }

    return 0;
}

static bool
is_rolling(const loyalty_program_t *program)
{
    return program->settings.window.kind == LOYALTY_WINDOW_ROLLING
           && program->settings.criterion != LOYALTY_CRITERION_SEGMENT;
}

/* A contribution is in the window up to and with this age. */
static int64_t
window_length(const loyalty_program_t *program)
{
    return program->settings.window.days * LOYALTY_DAY;
}

/* The criterion's value at `at`.  *leaves: when the oldest contribution that
 * is worth anything leaves the window. */
static int64_t
value_at(const loyalty_member_t *member, const loyalty_program_t *program,
         loyalty_instant_t at, loyalty_instant_t *leaves)
{
    loyalty_criterion_t criterion = program->settings.criterion;
    const loyalty_contribution_t *contribution;
    int64_t value = 0, length, part;
    size_t i;

    *leaves = LOYALTY_NEVER;

    if (!is_rolling(program)) {
        return lifetime_value(member, criterion);
    }

    length = window_length(program);

    for (i = member->ncontributions; i-- > 0;) {
        contribution = &member->contributions[i];
        if (contribution->placed_at < at - length) {
            break;
        }

        part = worth(contribution, criterion);
        if (part != 0) {
            *leaves = contribution->placed_at + length + 1;
            if (loyalty_add(value, part, &value) != LOYALTY_OK) {
                value = INT64_MAX;
            }
        }
    }

    return value;
}

/*
 * When time alone let the value fall below `threshold`: when the contribution
 * left the window without which the newer ones do not reach it.  UNKNOWN if
 * all of them together do not: then it was an event, and not time.
 */
static loyalty_instant_t
fell_below_at(const loyalty_member_t *member, const loyalty_program_t *program,
              int64_t threshold)
{
    loyalty_criterion_t criterion = program->settings.criterion;
    int64_t value = 0;
    size_t i;

    if (!is_rolling(program)) {
        return LOYALTY_UNKNOWN;
    }

    for (i = member->ncontributions; i-- > 0;) {
        if (loyalty_add(value, worth(&member->contributions[i], criterion),
                        &value)
                != LOYALTY_OK
            || value >= threshold) {
            return member->contributions[i].placed_at + window_length(program)
                   + 1;
        }
    }

    return LOYALTY_UNKNOWN;
}

static int
tier_index(const loyalty_program_t *program, loyalty_str_t id)
{
    const loyalty_tier_t *tier;

    if (id.len == 0) {
        return -1;
    }

    tier = loyalty_program_tier(program, id);
    return tier == NULL ? -1 : (int)(tier - program->tiers);
}

static loyalty_str_t
tier_id(const loyalty_program_t *program, int index)
{
    return index < 0 ? loyalty_str_null : program->tiers[index].id;
}

/* What decides the status; *leaves as value_at. */
static void
tier_input(const loyalty_member_t *member, const loyalty_program_t *program,
           loyalty_instant_t at, loyalty_tier_input_t *input,
           loyalty_instant_t *leaves)
{
    loyalty_activity_t activity;
    loyalty_tier_result_t reached;
    int previous;

    *input = (loyalty_tier_input_t){
        .value = value_at(member, program, at, leaves),
        .manual = tier_index(program, member->manual_tier),
        .manual_until = member->manual_until,
        .previous = -1,
        .below_since = LOYALTY_UNKNOWN,
    };

    if (program->settings.criterion == LOYALTY_CRITERION_SEGMENT) {
        loyalty_member_activity(member, &activity);
        input->segments =
            loyalty_segments(&program->settings.segments, &activity, at);
        return;
    }

    previous = tier_index(program, member->own_tier);
    if (previous < 0) {
        return;
    }

    loyalty_tier_resolve(program, input, at, &reached);
    input->previous = previous;

    if (reached.earned < previous) {
        input->below_since = member->below_since;
        if (input->below_since == LOYALTY_UNKNOWN) {
            input->below_since = fell_below_at(
                member, program, program->tiers[previous].threshold);
        }
        if (input->below_since == LOYALTY_UNKNOWN || input->below_since > at) {
            input->below_since = at;
        }
    }
}

void
loyalty_member_tier(const loyalty_member_t *member,
                    const loyalty_program_t *program, loyalty_instant_t at,
                    loyalty_tier_result_t *result)
{
    loyalty_tier_input_t input;
    loyalty_activity_t activity;
    loyalty_instant_t leaves, change_at;

    tier_input(member, program, at, &input, &leaves);
    loyalty_tier_resolve(program, &input, at, result);

    if (leaves < result->change_at) {
        result->change_at = leaves;
    }

    if (program->settings.criterion == LOYALTY_CRITERION_SEGMENT) {
        loyalty_member_activity(member, &activity);
        change_at = loyalty_segments_change_at(&program->settings.segments,
                                               &activity, at);
        if (change_at < result->change_at) {
            result->change_at = change_at;
        }
    }
}

void
loyalty_member_retier(loyalty_member_t *member,
                      const loyalty_program_t *program, loyalty_instant_t at)
{
    loyalty_tier_input_t input;
    loyalty_tier_result_t result;
    loyalty_instant_t leaves;

    tier_input(member, program, at, &input, &leaves);
    loyalty_tier_resolve(program, &input, at, &result);

    /* Kept by grace, or by never dropping, it goes on being below. */
    member->below_since = input.previous >= 0 && result.earned == input.previous
                              ? input.below_since
                              : LOYALTY_UNKNOWN;
    member->own_tier = tier_id(program, result.earned);
    member->tier = tier_id(program, result.current);
}

loyalty_instant_t
loyalty_member_change_at(const loyalty_member_t *member,
                         const loyalty_program_t *program, loyalty_instant_t at)
{
    loyalty_activity_t activity;
    loyalty_tier_result_t tier;
    loyalty_instant_t times[4];
    size_t i;

    loyalty_member_tier(member, program, at, &tier);
    loyalty_member_activity(member, &activity);

    times[0] = tier.change_at;
    times[1] = loyalty_ledger_change_at(&member->points, at);
    times[2] = loyalty_ledger_change_at(&member->credits, at);
    times[3] =
        loyalty_segments_change_at(&program->settings.segments, &activity, at);

    for (i = 1; i < 4; i++) {
        if (times[i] < times[0]) {
            times[0] = times[i];
        }
    }

    return times[0];
}

bool
loyalty_member_visit(loyalty_member_t *member, loyalty_instant_t at)
{
    loyalty_instant_t last = member->last_visit_at;

    if (at < 0 || at > LOYALTY_CODEC_INSTANT_MAX) {
        return false;
    }

    if (last == LOYALTY_UNKNOWN || at - last > LOYALTY_HOUR) {
        member->previous_visit_at = last;
        member->last_visit_at = at;

    } else if (last - at > LOYALTY_HOUR && at > member->previous_visit_at) {
        member->previous_visit_at = at;

    } else {
        return false;
    }

    member->version++;
    return true;
}

/* The status after a change of the copy `changed`, into the effects. */
static void
finish(loyalty_member_t *member, loyalty_member_t *changed,
       const loyalty_program_t *program, loyalty_instant_t at,
       loyalty_effects_t *effects)
{
    effects->tier_from = member->tier;
    if (program->settings.active) {
        loyalty_member_retier(changed, program, at);
    }
    effects->tier_to = changed->tier;

    effects->outcome = LOYALTY_APPLIED;
    effects->member_changed = true;
    changed->version++;
    *member = *changed;
}

loyalty_status_t
loyalty_member_grant(loyalty_member_t *member, const loyalty_program_t *program,
                     const loyalty_grant_t *grant, loyalty_arena_t *arena,
                     loyalty_effects_t *effects)
{
    loyalty_member_t changed;
    loyalty_ledger_t *ledger;
    loyalty_entries_t *entries;
    loyalty_instant_t at = grant->cause.at;
    loyalty_status_t rc;
    loyalty_lot_t lot;

    *effects = (loyalty_effects_t){0};

    if (member->erased) {
        effects->refusal = "member_erased";
        return LOYALTY_ERROR_REFUSED;
    }

    rc = loyalty_member_copy(member, arena, &changed);
    if (rc != LOYALTY_OK) {
        return rc;
    }

    ledger = grant->credits ? &changed.credits : &changed.points;
    entries = grant->credits ? &effects->credits : &effects->points;

    if (grant->amount < 0) {
        if (grant->amount == INT64_MIN) {
            return LOYALTY_ERROR_OVERFLOW;
        }
        rc = loyalty_ledger_debit(ledger, -grant->amount, &grant->cause, arena,
                                  entries, grant->spending);
        if (rc == LOYALTY_ERROR_INSUFFICIENT) {
            effects->refusal = "insufficient_points";
        }

    } else {
        lot = (loyalty_lot_t){
            .id = grant->id,
            .amount = grant->amount,
            .created_at = at,
            .starts_at =
                grant->starts_at == LOYALTY_UNKNOWN ? at : grant->starts_at,
            .expires_at = grant->expires_at,
            .earned = grant->earned,
        };
        rc = loyalty_ledger_credit(ledger, LOYALTY_ENTRY_GRANT, &lot,
                                   &grant->cause, arena, entries);

        if (rc == LOYALTY_OK && grant->earned && !grant->credits) {
            loyalty_member_contribute(
                &changed, &(loyalty_contribution_t){.order_id = grant->id,
                                                    .placed_at = at,
                                                    .points = grant->amount});
        }
    }

    if (rc == LOYALTY_OK) {
        finish(member, &changed, program, at, effects);
    }
    return rc;
}

loyalty_status_t
loyalty_member_evaluate(loyalty_member_t *member,
                        const loyalty_program_t *program, loyalty_instant_t at,
                        loyalty_arena_t *arena, loyalty_effects_t *effects)
{
    loyalty_cause_t cause = {.at = at,
                             .by = loyalty_str("system"),
                             .reason = loyalty_str("expired")};
    loyalty_instant_t below_since = member->below_since;
    loyalty_str_t own_tier = member->own_tier;
    loyalty_member_t changed;
    loyalty_status_t rc;

    *effects = (loyalty_effects_t){0};

    if ((rc = loyalty_member_copy(member, arena, &changed)) != LOYALTY_OK
        || (rc = loyalty_ledger_expire(&changed.points, &cause, arena,
                                       &effects->points))
               != LOYALTY_OK
        || (rc = loyalty_ledger_expire(&changed.credits, &cause, arena,
                                       &effects->credits))
               != LOYALTY_OK) {
        return rc;
    }

    finish(member, &changed, program, at, effects);

    if (effects->points.n == 0 && effects->credits.n == 0
        && below_since == member->below_since
        && loyalty_str_eq(own_tier, member->own_tier)
        && loyalty_str_eq(effects->tier_from, effects->tier_to)) {
        member->version--;
        effects->outcome = LOYALTY_DUPLICATE;
        effects->member_changed = false;
    }
    return LOYALTY_OK;
}
