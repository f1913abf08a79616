/*
 * Which reward rules fire after an order (DOMAIN.md section 8).
 *
 *   enabled --> fired before? --> criteria --> member --> fires
 *                   |                |           |
 *                 silent          blocked     blocked, and not marked
 *
 * A mark says how far a rule has fired for a member: 1, or with `repeat` the
 * last multiple.  It is what makes "at most once" hold, through a second event
 * of the order (completed, then shipped) as through any later order.
 */

#include "loyalty_rule.h"

#include "loyalty_money.h"

static size_t
find_mark(const loyalty_member_t *member, loyalty_str_t rule)
{
    size_t i;

    for (i = 0; i < member->nrule_marks; i++) {
        if (loyalty_str_eq(member->rule_marks[i].rule, rule)) {
            break;
        }
    }

    return i;
}

static bool
order_has_products(const loyalty_rule_t *rule,
                   const loyalty_rule_facts_t *facts)
{
    size_t i;

    for (i = 0; i < facts->nskus; i++) {
        if (loyalty_rule_covers(rule, facts->skus[i])) {
            return true;
        }
    }

    return rule->nproducts == 0;
}

/* spend / orders >= x, without the division; past 64 bits it is not. */
static bool
average_reached(const loyalty_member_t *member, int64_t threshold)
{
    int64_t least;

    return member->order_count > 0
           && loyalty_mul(threshold, member->order_count, &least) == LOYALTY_OK
           && member->spent_total >= least;
}

/* How far the rule should have fired after this order; 0: not at all. */
static int64_t
due_mark(const loyalty_rule_t *rule, const loyalty_member_t *member,
         const loyalty_rule_facts_t *facts, const loyalty_rule_count_t *count)
{
    switch (rule->type) {

    case LOYALTY_RULE_BOGO:
        if (!order_has_products(rule, facts)) {
            return 0;
        }
        if (rule->repeat) {
            return count->orders % rule->threshold == 0
                       ? count->orders / rule->threshold : 0;
        }
        return count->orders >= rule->threshold;

    case LOYALTY_RULE_ORDER_COUNT:
        return member->order_count == rule->threshold;

    case LOYALTY_RULE_SPENT_ALL:
        return member->spent_total >= rule->threshold;

    case LOYALTY_RULE_SPENT_AVERAGE:
        return average_reached(member, rule->threshold);

    case LOYALTY_RULE_SPENT_ONE_ORDER:
        return facts->order_total >= rule->threshold;

    case LOYALTY_RULE_PRODUCT_ORDER_COUNT:
        return count->units >= rule->threshold;
    }

    return 0;
}

loyalty_rule_result_t
loyalty_member_reach(const loyalty_member_t *member, loyalty_channel_t channel,
                     bool opted_in)
{
    if (member->deleted_at != LOYALTY_UNKNOWN) {
        return LOYALTY_RULE_DELETED;
    }

    if (opted_in && (member->consent & (unsigned)channel) == 0) {
        return LOYALTY_RULE_CONSENT;
    }

    return loyalty_member_address(member, channel).len == 0
               ? LOYALTY_RULE_ADDRESS : LOYALTY_RULE_FIRED;
}

static loyalty_rule_result_t
may_send(const loyalty_rule_t *rule, const loyalty_member_t *member)
{
    if (member->deleted_at == LOYALTY_UNKNOWN
        && rule->filter == LOYALTY_RULE_REGISTERED && !member->registered) {
        return LOYALTY_RULE_FILTER;
    }

    return loyalty_member_reach(member, rule->channel,
                                rule->filter == LOYALTY_RULE_OPTED_IN);
}

/* A rule that is gone or off sends nothing more; consent given anew undoes that
 * somebody unsubscribed; a message tried before is not kept back by others. */
loyalty_rule_result_t
loyalty_due_check(const loyalty_program_t *program,
                  const loyalty_member_t *member, const loyalty_due_t *due)
{
    const loyalty_rule_t *rule = due->rule;
    int32_t cap = program->settings.messages.cap;
    loyalty_rule_result_t reach;

    reach = loyalty_member_reach(
        member, due->channel,
        due->opted_in
            || (rule != NULL && rule->filter == LOYALTY_RULE_OPTED_IN));

    if (reach == LOYALTY_RULE_DELETED) {
        return reach;
    }

    if (due->by_rule && (rule == NULL || !rule->enabled)) {
        return LOYALTY_RULE_OFF;
    }

    if (due->unsubscribed
        && (member->consent & (unsigned)due->channel) == 0) {
        return LOYALTY_RULE_UNSUBSCRIBED;
    }

    return reach == LOYALTY_RULE_FIRED && cap != 0 && !due->tried
                   && due->recent >= cap
               ? LOYALTY_RULE_CAP : reach;
}

loyalty_instant_t
loyalty_cap_since(const loyalty_program_t *program, loyalty_instant_t now)
{
    return now - program->settings.messages.cap_days * LOYALTY_DAY;
}

void
loyalty_rule_grant(const loyalty_rule_t *rule, loyalty_instant_t now,
                   loyalty_grant_t *grant)
{
    *grant = (loyalty_grant_t){
        .amount = rule->points,
        .starts_at = LOYALTY_UNKNOWN,
        .expires_at = rule->points_expire_days == 0
                          ? LOYALTY_NEVER
                          : now + rule->points_expire_days * LOYALTY_DAY,
        .earned = true,
        .cause = {.at = now,
                  .by = loyalty_str("system"),
                  .reason = rule->id},
    };
}

const char *
loyalty_rule_result_name(loyalty_rule_result_t result)
{
    static const char *const names[] = {
        [LOYALTY_RULE_FIRED] = "fired",
        [LOYALTY_RULE_CRITERIA] = "criteria",
        [LOYALTY_RULE_DELETED] = "deleted",
        [LOYALTY_RULE_FILTER] = "filter",
        [LOYALTY_RULE_CONSENT] = "consent",
        [LOYALTY_RULE_ADDRESS] = "no_address",
        [LOYALTY_RULE_UNSUBSCRIBED] = "unsubscribed",
        [LOYALTY_RULE_CAP] = "frequency_cap",
        [LOYALTY_RULE_OFF] = "rule_off",
    };

    return names[result];
}

/* A list of the member's own with room for one more mark of each rule. */
static loyalty_status_t
copy_marks(const loyalty_member_t *member, size_t more, loyalty_arena_t *arena,
           loyalty_rule_mark_t **marks)
{
    size_t n = member->nrule_marks;

    *marks = loyalty_alloc(arena, (n + more) * sizeof(**marks));
    if (*marks == NULL) {
        return LOYALTY_ERROR_MEMORY;
    }

    if (n != 0) {
        memcpy(*marks, member->rule_marks, n * sizeof(**marks));
    }

    return LOYALTY_OK;
}

loyalty_status_t
loyalty_rules_fire(const loyalty_program_t *program, loyalty_member_t *member,
                   const loyalty_rule_facts_t *facts, loyalty_arena_t *arena,
                   loyalty_rule_message_t **messages, size_t *n)
{
    loyalty_member_t changed = *member;
    loyalty_rule_message_t *message;
    const loyalty_rule_t *rule;
    loyalty_status_t rc;
    int64_t mark, before;
    bool fired = false;
    size_t i, at;

    *n = 0;
    *messages = loyalty_alloc(arena, program->nrules * sizeof(**messages));
    rc = copy_marks(member, program->nrules, arena, &changed.rule_marks);
    if (*messages == NULL || rc != LOYALTY_OK) {
        return LOYALTY_ERROR_MEMORY;
    }

    for (i = 0; program->settings.active && i < program->nrules; i++) {
        rule = program->rules[i];
        at = find_mark(&changed, rule->id);
        before = at < changed.nrule_marks ? changed.rule_marks[at].fired : 0;

        if (!rule->enabled || (before > 0 && !rule->repeat)) {
            continue;
        }

        mark = due_mark(rule, &changed, facts, &facts->counts[i]);
        if (mark != 0 && mark <= before) {
            continue; /* the multiple fired with an order that was undone */
        }

        message = &(*messages)[(*n)++];
        *message = (loyalty_rule_message_t){
            .rule = rule,
            .result = mark == 0 ? LOYALTY_RULE_CRITERIA
                                : may_send(rule, &changed),
            .mark = mark,
            .due_at = facts->at + rule->delay,
        };

        if (message->result == LOYALTY_RULE_FIRED) {
            if (at == LOYALTY_MEMBER_LIST_MAX) {
                return LOYALTY_ERROR_LIMIT;
            }
            changed.rule_marks[at] = (loyalty_rule_mark_t){rule->id, mark};
            changed.nrule_marks += at == changed.nrule_marks;
            fired = true;
        }
    }

    if (fired) {
        changed.version++;
        *member = changed;
    }

    return LOYALTY_OK;
}

loyalty_status_t
loyalty_rules_withdraw(loyalty_member_t *member, loyalty_str_t rule,
                       int64_t mark, loyalty_arena_t *arena)
{
    size_t at = find_mark(member, rule), last;
    loyalty_rule_mark_t *marks;
    loyalty_status_t rc;

    if (mark <= 0 || at == member->nrule_marks
        || member->rule_marks[at].fired != mark) {
        return LOYALTY_OK;
    }

    rc = copy_marks(member, 0, arena, &marks);
    if (rc != LOYALTY_OK) {
        return rc;
    }

    marks[at].fired--;
    if (marks[at].fired == 0) {
        last = --member->nrule_marks;
        memmove(&marks[at], &marks[at + 1], (last - at) * sizeof(*marks));
    }

    member->rule_marks = marks;
    member->version++;
    return LOYALTY_OK;
}
