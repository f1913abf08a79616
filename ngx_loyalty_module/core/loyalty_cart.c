/*
 * Which offers apply to a cart, in what order (DOMAIN.md section 7).
 *
 *   candidates   promotions, wallet entries, typed codes
 *       |        conditions against the undiscounted cart
 *   eligible --- one is exclusive? it applies alone
 *       |        priority, type, id; each to what is left
 *   applied      the rest is rejected, each with its first reason
 */

#include "loyalty_cart.h"

#include <stdlib.h>

#include "loyalty_code.h"
#include "loyalty_discount.h"
#include "loyalty_money.h"
#include "loyalty_program_private.h"

typedef struct {
    const loyalty_offer_t *offer;
    const loyalty_cart_entry_t *entry; /* NULL: promotion or code */
    loyalty_str_t code;
    loyalty_reject_t reason;
} candidate_t;

typedef struct {
    const loyalty_program_t *program;
    const loyalty_cart_t *cart;
    loyalty_arena_t *arena;
    loyalty_quote_t *quote;
    loyalty_basket_t basket;
    candidate_t *candidates;
    size_t n;
    const loyalty_usage_t **usage; /* by number of the offer; NULL: none */
    int64_t points; /* what codes with a price may still cost; -1: unknown */
} evaluation_t;

static const char *const reject_names[] = {
    [LOYALTY_REJECT_NONE] = "",
    [LOYALTY_REJECT_NOT_FOUND] = "not_found",
    [LOYALTY_REJECT_NOT_STARTED] = "not_started",
    [LOYALTY_REJECT_EXPIRED] = "expired",
    [LOYALTY_REJECT_NOT_PUBLISHED] = "not_published",
    [LOYALTY_REJECT_ALREADY_REDEEMED] = "already_redeemed",
    [LOYALTY_REJECT_HELD_ELSEWHERE] = "held_elsewhere",
    [LOYALTY_REJECT_STATUS] = "status",
    [LOYALTY_REJECT_SEGMENT] = "segment",
    [LOYALTY_REJECT_GROUP] = "group",
    [LOYALTY_REJECT_ORDER_NUMBER] = "order_number",
    [LOYALTY_REJECT_SCOPE_MISMATCH] = "scope_mismatch",
    [LOYALTY_REJECT_MIN_SPEND] = "min_spend",
    [LOYALTY_REJECT_MIN_QUANTITY] = "min_quantity",
    [LOYALTY_REJECT_LIMIT_TOTAL] = "limit_total",
    [LOYALTY_REJECT_LIMIT_PER_MEMBER] = "limit_per_member",
    [LOYALTY_REJECT_BUDGET] = "budget",
    [LOYALTY_REJECT_EXCLUDED_BY] = "excluded_by",
    [LOYALTY_REJECT_NOTHING_LEFT] = "nothing_left",
    [LOYALTY_REJECT_INSUFFICIENT_POINTS] = "insufficient_points",
};

const char *
loyalty_reject_name(loyalty_reject_t reason)
{
    return reject_names[reason];
}

static void
reject(evaluation_t *e, loyalty_str_t offer, loyalty_str_t entry,
       loyalty_str_t code, loyalty_reject_t reason)
{
    e->quote->rejected[e->quote->nrejected++] =
        (loyalty_rejected_t){offer, entry, code, reason};
}

/* Candidates */

static loyalty_status_t
find_usage(evaluation_t *e)
{
    const loyalty_map_t *offers = &e->program->private_data->offers_by_id;
    uint32_t number;
    size_t i;

    if (e->cart->nusage == 0) {
        return LOYALTY_OK;
    }

    e->usage = loyalty_alloc(e->arena,
                             e->program->noffers * sizeof(*e->usage));
    if (e->usage == NULL) {
        return LOYALTY_ERROR_MEMORY;
    }

    for (i = 0; i < e->cart->nusage; i++) {
        number = loyalty_map_get(offers, e->cart->usage[i].offer);
        if (number != LOYALTY_MAP_NONE && e->usage[number] == NULL) {
            e->usage[number] = &e->cart->usage[i];
        }
    }

    return LOYALTY_OK;
}

static const loyalty_usage_t *
usage_of(const evaluation_t *e, const loyalty_offer_t *offer)
{
    static const loyalty_usage_t none;

    return e->usage == NULL || e->usage[offer->number] == NULL
               ? &none : e->usage[offer->number];
}

static void
add_candidate(evaluation_t *e, const loyalty_offer_t *offer,
              const loyalty_cart_entry_t *entry, loyalty_str_t code)
{
    e->candidates[e->n++] =
        (candidate_t){.offer = offer, .entry = entry, .code = code};
}

static bool
already_candidate(const evaluation_t *e, const loyalty_offer_t *offer,
                  loyalty_str_t code)
{
    size_t i;

    for (i = 0; i < e->n; i++) {
        if (loyalty_code_same(e->candidates[i].code, code)
            || (offer != NULL && e->candidates[i].offer == offer)) {
            return true;
        }
    }

    return false;
}

/*
 * The code the shopper typed for this entry, or empty: its own; or the
 * offer's, which brings one entry that can still be used.
 */
static loyalty_str_t
typed_for(const evaluation_t *e, const loyalty_cart_entry_t *entry,
          const loyalty_offer_t *offer)
{
    const loyalty_cart_t *cart = e->cart;
    size_t i;

    for (i = 0; i < cart->ncodes; i++) {
        if (loyalty_code_same(cart->codes[i], entry->code)
            || (loyalty_code_same(cart->codes[i], offer->code) && !entry->redeemed
                && !already_candidate(e, NULL, cart->codes[i]))) {
            return cart->codes[i];
        }
    }

    return loyalty_str_null;
}

static void
add_entries(evaluation_t *e)
{
    const loyalty_cart_entry_t *entry;
    const loyalty_offer_t *offer;
    loyalty_str_t code;
    bool brought;
    size_t i;

    for (i = 0; i < e->cart->nentries; i++) {
        entry = &e->cart->entries[i];
        offer = loyalty_program_offer(e->program, entry->offer);
        if (offer == NULL) {
            if (entry->applied || e->cart->explain) {
                reject(e, entry->offer, entry->id, loyalty_str_null,
                       LOYALTY_REJECT_NOT_FOUND);
            }
            continue;
        }

        code = typed_for(e, entry, offer);
        switch (offer->type) {
        case LOYALTY_OFFER_CLUBCARD:
            brought = true;
            break;
        case LOYALTY_OFFER_PUNCHCARD:
            brought = entry->uses > 0;
            break;
        default:
            brought = entry->applied || code.len != 0;
        }

        if (brought) {
            add_candidate(e, offer, entry, code);
        }
    }
}

static const loyalty_offer_t *
offer_by_code(const loyalty_program_t *program, loyalty_str_t code)
{
    size_t i;

    for (i = 0; i < program->noffers; i++) {
        if (program->offers[i]->type == LOYALTY_OFFER_COUPON
            && loyalty_code_same(program->offers[i]->code, code)) {
            return program->offers[i];
        }
    }

    return NULL;
}

static bool
typed_before(const loyalty_cart_t *cart, size_t number)
{
    size_t i;

    for (i = 0; i < number; i++) {
        if (loyalty_code_same(cart->codes[i], cart->codes[number])) {
            return true;
        }
    }

    return false;
}

static void
add_codes(evaluation_t *e)
{
    const loyalty_offer_t *offer;
    loyalty_str_t code;
    size_t i;

    for (i = 0; i < e->cart->ncodes; i++) {
        code = e->cart->codes[i];
        offer = offer_by_code(e->program, code);

        if (typed_before(e->cart, i) || already_candidate(e, offer, code)) {
            continue;
        }

        if (offer == NULL) {
            reject(e, loyalty_str_null, loyalty_str_null, code,
                   LOYALTY_REJECT_NOT_FOUND);
        } else {
            add_candidate(e, offer, NULL, code);
        }
    }
}

/* Numbers are given in the order of evaluation. */
static int
in_order(const void *left, const void *right)
{
    const candidate_t *a = left, *b = right;

    if (a->offer->number != b->offer->number) {
        return a->offer->number < b->offer->number ? -1 : 1;
    }

    return a->entry == NULL || b->entry == NULL
               ? 0 : loyalty_str_cmp(a->entry->id, b->entry->id);
}

/* Whether a promotion needs a look at all: live, or to be explained. */
static bool
live(const evaluation_t *e, const loyalty_offer_t *offer)
{
    return e->cart->explain
           || (offer->published && e->cart->at >= offer->starts_at
               && e->cart->at < offer->ends_at);
}

static loyalty_status_t
collect(evaluation_t *e)
{
    const loyalty_program_t *program = e->program;
    size_t i, brought = e->cart->nentries + e->cart->ncodes;
    size_t most = program->noffers + brought;
    bool sorted;

    e->candidates = loyalty_alloc(e->arena, most * sizeof(*e->candidates));
    e->quote->rejected = loyalty_alloc(e->arena,
                                       (e->cart->explain ? most : brought)
                                           * sizeof(*e->quote->rejected));
    if (e->candidates == NULL || e->quote->rejected == NULL) {
        return LOYALTY_ERROR_MEMORY;
    }

    add_entries(e);
    add_codes(e);
    sorted = e->n == 0;

    for (i = 0; i < program->noffers; i++) {
        if (program->offers[i]->type == LOYALTY_OFFER_PROMOTION
            && live(e, program->offers[i])) {
            add_candidate(e, program->offers[i], NULL, loyalty_str_null);
        }
    }

    /* Promotions alone stand in the program's order already. */
    if (!sorted) {
        qsort(e->candidates, e->n, sizeof(*e->candidates), in_order);
    }

    return LOYALTY_OK;
}

/* Conditions */

/* What holds of the offer, the entry and the member, whatever the cart. */
static loyalty_reject_t
standing(const candidate_t *candidate, const loyalty_cart_t *cart)
{
    const loyalty_offer_t *offer = candidate->offer;
    const loyalty_cart_entry_t *entry = candidate->entry;

    if (cart->at < offer->starts_at) {
        return LOYALTY_REJECT_NOT_STARTED;
    }

    if (cart->at >= offer->ends_at
        || (entry != NULL && cart->at >= entry->expires_at)) {
        return LOYALTY_REJECT_EXPIRED;
    }

    /* Members keep what they own when an offer is taken back. */
    if (!offer->published && entry == NULL) {
        return LOYALTY_REJECT_NOT_PUBLISHED;
    }

    if (entry != NULL && entry->redeemed) {
        return LOYALTY_REJECT_ALREADY_REDEEMED;
    }

    if (entry != NULL && entry->held) {
        return LOYALTY_REJECT_HELD_ELSEWHERE;
    }

    if (offer->nstatuses != 0
        && !loyalty_str_listed(offer->statuses, offer->nstatuses, cart->status)) {
        return LOYALTY_REJECT_STATUS;
    }

    if (offer->segments != 0 && (offer->segments & cart->segments) == 0) {
        return LOYALTY_REJECT_SEGMENT;
    }

    if (offer->ngroups != 0 && !loyalty_str_any_listed(
            offer->groups, offer->ngroups, cart->groups, cart->ngroups)) {
        return LOYALTY_REJECT_GROUP;
    }

    if (offer->order_number != 0
        && (cart->order_count < 0
            || offer->order_number != cart->order_count + 1)) {
        return LOYALTY_REJECT_ORDER_NUMBER;
    }

    return LOYALTY_REJECT_NONE;
}

/* Spend is what the lines have left after discounts, or came with. */
static loyalty_reject_t
minimums(const loyalty_offer_t *offer, const loyalty_lines_t *lines,
         const loyalty_basket_t *basket, bool after_discounts)
{
    int64_t spend = lines->spend;
    size_t i;

    if (after_discounts) {
        for (spend = 0, i = 0; i < lines->n; i++) {
            spend += basket->left[lines->lines[i]];
        }
    }

    return spend < offer->min_spend                ? LOYALTY_REJECT_MIN_SPEND
           : lines->quantity < offer->min_quantity ? LOYALTY_REJECT_MIN_QUANTITY
                                                   : LOYALTY_REJECT_NONE;
}

/* Scope, minimums, whole groups: of the undiscounted cart. */
static loyalty_reject_t
fits_cart(const loyalty_offer_t *offer, loyalty_basket_t *basket)
{
    loyalty_reduction_t groups = {0};
    const loyalty_lines_t *conditions;
    loyalty_reject_t reason;

    conditions = loyalty_basket_lines(basket, &offer->condition_scope);

    if (offer->discount.kind == LOYALTY_DISCOUNT_BUY_X_GET_Y) {
        loyalty_discount_fits(offer, basket, &groups);
    }

    if (conditions->n == 0
        || loyalty_basket_lines(basket, &offer->scope)->n == 0
        || groups.out_of_scope) {
        return LOYALTY_REJECT_SCOPE_MISMATCH;
    }

    reason = minimums(offer, conditions, basket, false);

    return reason == LOYALTY_REJECT_NONE && groups.too_few_units
               ? LOYALTY_REJECT_MIN_QUANTITY : reason;
}

/* `here`: how often this cart uses the offer already. */
static loyalty_reject_t
limits(const evaluation_t *e, const candidate_t *candidate, int64_t here)
{
    const loyalty_offer_t *offer = candidate->offer;
    const loyalty_usage_t *usage;

    if ((offer->limit_total == 0 && offer->limit_per_member == 0)
        || (candidate->entry != NULL && candidate->entry->reserved)) {
        return LOYALTY_REJECT_NONE;
    }

    usage = usage_of(e, offer);

    if (offer->limit_total != 0
        && usage->total + here >= offer->limit_total) {
        return LOYALTY_REJECT_LIMIT_TOTAL;
    }

    if (offer->limit_per_member != 0
        && usage->member + here >= offer->limit_per_member) {
        return LOYALTY_REJECT_LIMIT_PER_MEMBER;
    }

    return LOYALTY_REJECT_NONE;
}

/* What this cart has of the offer already: neighbours, as offers are applied
 * in their order. */
static int64_t
spent_here(const evaluation_t *e, const loyalty_offer_t *offer)
{
    const loyalty_quote_t *quote = e->quote;
    int64_t spent = 0;
    size_t i;

    for (i = quote->napplied; i > 0 && quote->applied[i - 1].offer == offer;
         i--) {
        spent += quote->applied[i - 1].amount;
    }

    return spent;
}

static bool
over_budget(const evaluation_t *e, const loyalty_offer_t *offer,
            int64_t amount)
{
    return offer->budget_total != 0
           && amount > offer->budget_total - usage_of(e, offer)->spent
                           - spent_here(e, offer);
}

/* Its minimums are to hold at its turn, too. */
static bool
waits(const loyalty_offer_t *offer)
{
    return offer->min_after_discounts && !offer->exclusive;
}

static bool
needs_points(const evaluation_t *e, const candidate_t *candidate)
{
    return candidate->entry == NULL && candidate->offer->loyalty_price > 0
           && e->points >= 0 && e->points < candidate->offer->loyalty_price;
}

/* Everything that can be said before any offer has been applied. */
static loyalty_status_t
judge(evaluation_t *e, candidate_t *candidate)
{
    const loyalty_offer_t *offer = candidate->offer;
    loyalty_reduction_t alone;
    loyalty_status_t rc;
    size_t i;

    candidate->reason = standing(candidate, e->cart);
    if (candidate->reason != LOYALTY_REJECT_NONE) {
        return LOYALTY_OK;
    }

    for (i = 0; offer->has_patterns && i < offer->nscopes; i++) {
        rc = loyalty_basket_search(&e->basket, offer->scopes[i]);
        if (rc != LOYALTY_OK) {
            return rc;
        }
    }

    candidate->reason = fits_cart(offer, &e->basket);
    if (candidate->reason != LOYALTY_REJECT_NONE || waits(offer)) {
        return LOYALTY_OK;
    }

    candidate->reason = limits(e, candidate, 0);
    if (candidate->reason != LOYALTY_REJECT_NONE || offer->budget_total == 0) {
        return LOYALTY_OK;
    }

    rc = loyalty_discount(offer, &e->basket, &alone);
    if (rc == LOYALTY_OK && over_budget(e, offer, alone.amount)) {
        candidate->reason = LOYALTY_REJECT_BUDGET;
    }

    return rc;
}

/* Applying */

static loyalty_status_t
take_off(evaluation_t *e, const candidate_t *candidate,
         const loyalty_reduction_t *reduction)
{
    loyalty_quote_t *quote = e->quote;
    bool bearer = candidate->entry != NULL && candidate->entry->bearer;
    loyalty_allocation_t *allocations;

    allocations = loyalty_alloc(e->arena,
                                reduction->scope->n * sizeof(*allocations));
    if (allocations == NULL) {
        return LOYALTY_ERROR_MEMORY;
    }

    quote->applied[quote->napplied++] = (loyalty_applied_t){
        .offer = candidate->offer,
        .entry = candidate->entry == NULL ? loyalty_str_null
                                          : candidate->entry->id,
        .code = bearer ? candidate->entry->code : candidate->code,
        .bearer = bearer,
        .amount = reduction->amount,
        .reward_points = candidate->offer->reward_points,
        .nallocations = loyalty_basket_reduce(&e->basket, reduction,
                                              allocations),
        .allocations = allocations,
    };

    quote->total_discount += reduction->amount;
    return loyalty_add(quote->points_to_earn, candidate->offer->reward_points,
                       &quote->points_to_earn);
}

/* How often the candidates before number i applied its offer: neighbours, as
 * they are sorted. */
static int64_t
uses_here(const evaluation_t *e, size_t i)
{
    const loyalty_offer_t *offer = e->candidates[i].offer;
    int64_t uses = 0;

    for (; i > 0 && e->candidates[i - 1].offer == offer; i--) {
        uses += e->candidates[i - 1].reason == LOYALTY_REJECT_NONE;
    }

    return uses;
}

static loyalty_status_t
apply(evaluation_t *e, size_t i)
{
    candidate_t *candidate = &e->candidates[i];
    const loyalty_offer_t *offer = candidate->offer;
    loyalty_reduction_t reduction;
    loyalty_status_t rc;

    if (waits(offer)) {
        candidate->reason = minimums(
            offer, loyalty_basket_lines(&e->basket, &offer->condition_scope),
            &e->basket, true);
        if (candidate->reason != LOYALTY_REJECT_NONE) {
            return LOYALTY_OK;
        }
    }

    candidate->reason = limits(e, candidate, uses_here(e, i));
    if (candidate->reason != LOYALTY_REJECT_NONE) {
        return LOYALTY_OK;
    }

    rc = loyalty_discount(offer, &e->basket, &reduction);
    if (rc != LOYALTY_OK) {
        return rc;
    }

    if (over_budget(e, offer, reduction.amount)) {
        candidate->reason = LOYALTY_REJECT_BUDGET;
    } else if (reduction.amount == 0 && offer->reward_points == 0) {
        candidate->reason = LOYALTY_REJECT_NOTHING_LEFT;
    } else if (needs_points(e, candidate)) {
        candidate->reason = LOYALTY_REJECT_INSUFFICIENT_POINTS;
    }

    if (candidate->reason != LOYALTY_REJECT_NONE) {
        return LOYALTY_OK;
    }

    if (candidate->entry == NULL && e->points >= 0) {
        e->points -= offer->loyalty_price;
    }

    return take_off(e, candidate, &reduction);
}

/* The exclusive offer that applies alone, or NULL: highest priority, then
 * largest discount, then order. */
static loyalty_status_t
find_exclusive(evaluation_t *e, candidate_t **exclusive)
{
    loyalty_reduction_t alone;
    loyalty_status_t rc;
    candidate_t *candidate;
    int64_t best = -1;
    size_t i;

    *exclusive = NULL;

    for (i = 0; i < e->n; i++) {
        candidate = &e->candidates[i];
        if (!candidate->offer->exclusive
            || candidate->reason != LOYALTY_REJECT_NONE) {
            continue;
        }

        if (*exclusive != NULL
            && candidate->offer->priority < (*exclusive)->offer->priority) {
            break;
        }

        rc = loyalty_discount(candidate->offer, &e->basket, &alone);
        if (rc != LOYALTY_OK) {
            return rc;
        }

        if ((alone.amount != 0 || candidate->offer->reward_points != 0)
            && !over_budget(e, candidate->offer, alone.amount)
            && !needs_points(e, candidate) && alone.amount > best) {
            best = alone.amount;
            *exclusive = candidate;
        }
    }

    return LOYALTY_OK;
}

static void
report_rejected(evaluation_t *e)
{
    const candidate_t *candidate;
    bool brought;
    size_t i;

    for (i = 0; i < e->n; i++) {
        candidate = &e->candidates[i];
        brought = candidate->entry != NULL || candidate->code.len != 0;

        if (candidate->reason != LOYALTY_REJECT_NONE
            && (brought || e->cart->explain)) {
            reject(e, candidate->offer->id,
                   candidate->entry == NULL ? loyalty_str_null
                                            : candidate->entry->id,
                   candidate->code, candidate->reason);
        }
    }
}

/* Totals, what each line has given, points. */
static loyalty_status_t
sum_up(evaluation_t *e)
{
    const loyalty_cart_line_t *lines = e->cart->lines;
    loyalty_status_t rc;
    int64_t points;
    size_t i;

    e->quote->subtotal = e->basket.subtotal;
    e->quote->total = e->quote->subtotal - e->quote->total_discount;

    for (i = 0; i < e->cart->nlines; i++) {
        e->quote->line_discounts[i] = lines[i].unit_price * lines[i].quantity
                                      - e->basket.left[i];
    }

    rc = loyalty_points_earned(e->quote->total,
                               e->program->settings.exponent,
                               e->cart->earn_rate, e->cart->multiplier,
                               &points);
    if (rc != LOYALTY_OK) {
        return rc;
    }

    return loyalty_add(e->quote->points_to_earn, points,
                       &e->quote->points_to_earn);
}

/* Another one applies alone.  The limits of one that waits have not been looked
 * at yet. */
static void
exclude(const evaluation_t *e, candidate_t *candidate)
{
    if (waits(candidate->offer)) {
        candidate->reason = limits(e, candidate, 0);
    }

    if (candidate->reason == LOYALTY_REJECT_NONE) {
        candidate->reason = LOYALTY_REJECT_EXCLUDED_BY;
    }
}

/* All that are still eligible, in order; an exclusive one alone. */
static loyalty_status_t
apply_all(evaluation_t *e, size_t eligible, const candidate_t *exclusive)
{
    loyalty_status_t rc = LOYALTY_OK;
    size_t i;

    e->quote->applied = loyalty_alloc(e->arena,
                                      eligible * sizeof(*e->quote->applied));
    e->quote->line_discounts = loyalty_alloc(
        e->arena, e->cart->nlines * sizeof(*e->quote->line_discounts));
    if (e->quote->applied == NULL || e->quote->line_discounts == NULL) {
        return LOYALTY_ERROR_MEMORY;
    }

    for (i = 0; rc == LOYALTY_OK && i < e->n; i++) {
        if (e->candidates[i].reason != LOYALTY_REJECT_NONE) {
            continue;
        }
        if (exclusive != NULL && &e->candidates[i] != exclusive) {
            exclude(e, &e->candidates[i]);
        } else {
            rc = apply(e, i);
        }
    }

    return rc;
}

loyalty_status_t
loyalty_cart_evaluate(const loyalty_program_t *program,
                      const loyalty_cart_t *cart, loyalty_arena_t *arena,
                      loyalty_quote_t *quote)
{
    evaluation_t e = {.program = program, .cart = cart, .arena = arena,
                      .quote = quote, .points = cart->points};
    candidate_t *exclusive = NULL;
    size_t i, eligible = 0;
    loyalty_status_t rc;

    *quote = (loyalty_quote_t){0};

    if (cart->nlines > LOYALTY_ORDER_LINES_MAX
        || cart->ncodes > LOYALTY_CART_CODES_MAX
        || cart->nentries > LOYALTY_ENTITLEMENTS_MAX + LOYALTY_CART_CODES_MAX) {
        return LOYALTY_ERROR_LIMIT;
    }

    rc = loyalty_basket_fill(&e.basket, program, cart, arena);
    if (rc == LOYALTY_OK) {
        rc = find_usage(&e);
    }
    if (rc == LOYALTY_OK) {
        rc = collect(&e);
    }

    for (i = 0; rc == LOYALTY_OK && i < e.n; i++) {
        rc = judge(&e, &e.candidates[i]);
        eligible += e.candidates[i].reason == LOYALTY_REJECT_NONE;
    }

    if (rc == LOYALTY_OK) {
        rc = find_exclusive(&e, &exclusive);
    }
    if (rc == LOYALTY_OK) {
        rc = apply_all(&e, eligible, exclusive);
    }
    if (rc != LOYALTY_OK) {
        return rc;
    }

    report_rejected(&e);
    return sum_up(&e);
}
