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

#include "loyalty_discount.h"
#include "loyalty_money.h"

typedef struct {
    const loyalty_offer_t *offer;
    const loyalty_cart_entry_t *entry; /* NULL: promotion or code */
    loyalty_str_t code;
    const loyalty_usage_t *usage; /* NULL: none so far */
    loyalty_lines_t scope;
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

/* The basket */

static loyalty_status_t
fill_basket(evaluation_t *e)
{
    const loyalty_cart_t *cart = e->cart;
    const loyalty_cart_line_t *line;
    loyalty_basket_t *basket = &e->basket;
    loyalty_str_t *categories;
    loyalty_status_t rc;
    uint64_t *hashes;
    size_t i, n = cart->nlines;

    *basket = (loyalty_basket_t){.lines = cart->lines, .nlines = n,
                                 .arena = e->arena};
    hashes = loyalty_alloc(e->arena, n * sizeof(*hashes));
    categories = loyalty_alloc(e->arena, n * sizeof(*categories));
    basket->left = loyalty_alloc(e->arena, n * sizeof(int64_t));
    basket->floors = loyalty_alloc(e->arena, n * sizeof(int64_t));
    basket->taken = loyalty_alloc(e->arena, n * sizeof(int64_t));
    basket->taken_left = loyalty_alloc(e->arena, n * sizeof(int64_t));
    basket->all.lines = loyalty_alloc(e->arena, n * sizeof(uint32_t));
    basket->all.n = n;
    e->quote->line_discounts = loyalty_alloc(e->arena, n * sizeof(int64_t));

    if (hashes == NULL || categories == NULL || basket->left == NULL
        || basket->floors == NULL || basket->taken == NULL
        || basket->taken_left == NULL || basket->all.lines == NULL || e->quote->line_discounts == NULL) {
        return LOYALTY_ERROR_MEMORY;
    }

    for (i = 0; i < n; i++) {
        line = &cart->lines[i];
        if (line->unit_price < 0 || line->minimum_price < 0
            || line->quantity < 0) {
            return LOYALTY_ERROR_INVALID;
        }
        if (line->quantity > LOYALTY_QUANTITY_MAX) {
            return LOYALTY_ERROR_LIMIT;
        }

        rc = loyalty_mul(line->unit_price, line->quantity, &basket->left[i]);
        if (rc == LOYALTY_OK) {
            rc = loyalty_add(e->quote->subtotal, basket->left[i],
                             &e->quote->subtotal);
        }
        if (rc != LOYALTY_OK) {
            return rc;
        }

        basket->floors[i] = line->minimum_price < line->unit_price
                                ? line->minimum_price * line->quantity
                                : basket->left[i];
        basket->all.lines[i] = (uint32_t)i;
        hashes[i] = loyalty_sku_hash(line->sku);
        categories[i] = loyalty_program_category(e->program, line->sku,
                                                 line->category);
    }

    basket->hashes = hashes;
    basket->categories = categories;
    return LOYALTY_OK;
}

/* Candidates */

static const loyalty_usage_t *
usage_of(const loyalty_cart_t *cart, loyalty_str_t offer)
{
    size_t i;

    for (i = 0; i < cart->nusage; i++) {
        if (loyalty_str_eq(cart->usage[i].offer, offer)) {
            return &cart->usage[i];
        }
    }

    return NULL;
}

static void
add_candidate(evaluation_t *e, const loyalty_offer_t *offer,
              const loyalty_cart_entry_t *entry, loyalty_str_t code)
{
    e->candidates[e->n++] =
        (candidate_t){.offer = offer, .entry = entry, .code = code,
                      .usage = usage_of(e->cart, offer->id)};
}

static char
lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* Shoppers type codes in any case. */
static bool
same_code(loyalty_str_t a, loyalty_str_t b)
{
    size_t i;

    if (a.len != b.len || a.len == 0) {
        return false;
    }

    for (i = 0; i < a.len; i++) {
        if (lower(a.data[i]) != lower(b.data[i])) {
            return false;
        }
    }

    return true;
}

static bool
already_candidate(const evaluation_t *e, const loyalty_offer_t *offer,
                  loyalty_str_t code)
{
    size_t i;

    for (i = 0; i < e->n; i++) {
        if (same_code(e->candidates[i].code, code)
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
        if (same_code(cart->codes[i], entry->code)
            || (same_code(cart->codes[i], offer->code) && !entry->redeemed
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
            && same_code(program->offers[i]->code, code)) {
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
        if (same_code(cart->codes[i], cart->codes[number])) {
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

static int
in_order(const void *left, const void *right)
{
    const candidate_t *a = left, *b = right;
    int rc;

    if (a->offer->priority != b->offer->priority) {
        return a->offer->priority < b->offer->priority ? 1 : -1;
    }

    if (a->offer->type != b->offer->type) {
        return a->offer->type < b->offer->type ? -1 : 1;
    }

    rc = loyalty_str_cmp(a->offer->id, b->offer->id);
    if (rc == 0 && a->entry != NULL && b->entry != NULL) {
        rc = loyalty_str_cmp(a->entry->id, b->entry->id);
    }

    return rc;
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
    size_t i, most, brought;

    most = program->noffers + e->cart->nentries + e->cart->ncodes;
    e->candidates = loyalty_alloc(e->arena, most * sizeof(*e->candidates));
    e->quote->rejected = loyalty_alloc(e->arena,
                                       most * sizeof(*e->quote->rejected));
    e->quote->applied = loyalty_alloc(e->arena,
                                      most * sizeof(*e->quote->applied));
    if (e->candidates == NULL || e->quote->rejected == NULL
        || e->quote->applied == NULL) {
        return LOYALTY_ERROR_MEMORY;
    }

    add_entries(e);
    add_codes(e);
    brought = e->n;

    for (i = 0; i < program->noffers; i++) {
        if (program->offers[i]->type == LOYALTY_OFFER_PROMOTION
            && live(e, program->offers[i])) {
            add_candidate(e, program->offers[i], NULL, loyalty_str_null);
        }
    }

    /* Promotions alone stand in the program's order already. */
    if (brought != 0) {
        qsort(e->candidates, e->n, sizeof(*e->candidates), in_order);
    }

    return LOYALTY_OK;
}

/* Conditions */

static bool
listed(const loyalty_str_t *list, size_t n, loyalty_str_t value)
{
    size_t i;

    for (i = 0; i < n; i++) {
        if (loyalty_str_eq(list[i], value)) {
            return true;
        }
    }

    return false;
}

static bool
in_a_group(const loyalty_offer_t *offer, const loyalty_cart_t *cart)
{
    size_t i;

    for (i = 0; i < cart->ngroups; i++) {
        if (listed(offer->groups, offer->ngroups, cart->groups[i])) {
            return true;
        }
    }

    return false;
}

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
        && !listed(offer->statuses, offer->nstatuses, cart->status)) {
        return LOYALTY_REJECT_STATUS;
    }

    if (offer->segments != 0 && (offer->segments & cart->segments) == 0) {
        return LOYALTY_REJECT_SEGMENT;
    }

    if (offer->ngroups != 0 && !in_a_group(offer, cart)) {
        return LOYALTY_REJECT_GROUP;
    }

    if (offer->order_number != 0
        && (cart->order_count < 0
            || offer->order_number != cart->order_count + 1)) {
        return LOYALTY_REJECT_ORDER_NUMBER;
    }

    return LOYALTY_REJECT_NONE;
}

static loyalty_reject_t
minimums(const loyalty_offer_t *offer, const loyalty_lines_t *lines,
         const loyalty_basket_t *basket)
{
    int64_t spend = 0, quantity = 0;
    size_t i;

    for (i = 0; i < lines->n; i++) {
        spend += basket->left[lines->lines[i]];
        quantity += basket->lines[lines->lines[i]].quantity;
    }

    return spend < offer->min_spend         ? LOYALTY_REJECT_MIN_SPEND
           : quantity < offer->min_quantity ? LOYALTY_REJECT_MIN_QUANTITY
                                            : LOYALTY_REJECT_NONE;
}

static bool
same_scope(const loyalty_offer_scope_t *a, const loyalty_offer_scope_t *b)
{
    return a->kind == b->kind && a->values == b->values
           && a->patterns == b->patterns;
}

static loyalty_status_t
find_scope(candidate_t *candidate, const loyalty_basket_t *basket)
{
    return candidate->scope.lines != NULL
               ? LOYALTY_OK
               : loyalty_basket_lines(basket, &candidate->offer->scope,
                                      &candidate->scope);
}

/* Scope, minimums: against what the basket has left now. */
static loyalty_status_t
fits_cart(candidate_t *candidate, const loyalty_basket_t *basket)
{
    const loyalty_offer_t *offer = candidate->offer;
    loyalty_lines_t conditions;
    loyalty_status_t rc;

    rc = find_scope(candidate, basket);
    conditions = candidate->scope;
    if (rc == LOYALTY_OK
        && !same_scope(&offer->scope, &offer->condition_scope)) {
        rc = loyalty_basket_lines(basket, &offer->condition_scope, &conditions);
    }
    if (rc != LOYALTY_OK) {
        return rc;
    }

    candidate->reason = candidate->scope.n == 0 || conditions.n == 0
                            ? LOYALTY_REJECT_SCOPE_MISMATCH
                            : minimums(offer, &conditions, basket);
    return LOYALTY_OK;
}

/* `here`: how often this cart uses the offer already. */
static loyalty_reject_t
limits(const candidate_t *candidate, int64_t here)
{
    const loyalty_offer_t *offer = candidate->offer;
    const loyalty_usage_t *usage = candidate->usage;
    int64_t total = here + (usage == NULL ? 0 : usage->total);
    int64_t member = here + (usage == NULL ? 0 : usage->member);

    if (candidate->entry != NULL && candidate->entry->reserved) {
        return LOYALTY_REJECT_NONE;
    }

    if (offer->limit_total != 0 && total >= offer->limit_total) {
        return LOYALTY_REJECT_LIMIT_TOTAL;
    }

    if (offer->limit_per_member != 0 && member >= offer->limit_per_member) {
        return LOYALTY_REJECT_LIMIT_PER_MEMBER;
    }

    return LOYALTY_REJECT_NONE;
}

static bool
over_budget(const candidate_t *candidate, int64_t amount)
{
    int64_t spent = candidate->usage == NULL ? 0 : candidate->usage->spent;

    return candidate->offer->budget_total != 0
           && amount > candidate->offer->budget_total - spent;
}

static bool
needs_points(const evaluation_t *e, const candidate_t *candidate)
{
    return candidate->entry == NULL && candidate->offer->loyalty_price > 0
           && e->points >= 0 && e->points < candidate->offer->loyalty_price;
}

/* Only these must know what the offer is worth by itself. */
static loyalty_status_t
price_alone(evaluation_t *e, candidate_t *candidate,
            loyalty_reduction_t *alone)
{
    const loyalty_offer_t *offer = candidate->offer;
    bool budget = offer->budget_total != 0 && !offer->min_after_discounts;
    loyalty_status_t rc;

    *alone = (loyalty_reduction_t){0};

    if (!budget && offer->discount.kind != LOYALTY_DISCOUNT_BUY_X_GET_Y) {
        return LOYALTY_OK;
    }

    rc = find_scope(candidate, &e->basket);
    if (rc != LOYALTY_OK) {
        return rc;
    }

    return budget ? loyalty_discount(offer, &candidate->scope, &e->basket,
                                     alone)
                  : loyalty_discount_fits(offer, &candidate->scope,
                                          &e->basket, alone);
}

/*
 * Everything that can be said before any offer has been applied; with
 * min_after_discounts the cart's part waits for its turn.
 */
static loyalty_status_t
judge(evaluation_t *e, candidate_t *candidate)
{
    const loyalty_offer_t *offer = candidate->offer;
    loyalty_reduction_t alone;
    loyalty_status_t rc;

    candidate->reason = standing(candidate, e->cart);

    if (candidate->reason == LOYALTY_REJECT_NONE
        && (!offer->min_after_discounts || offer->exclusive)) {
        rc = fits_cart(candidate, &e->basket);
        if (rc != LOYALTY_OK) {
            return rc;
        }
    }

    if (candidate->reason != LOYALTY_REJECT_NONE) {
        return LOYALTY_OK;
    }

    rc = price_alone(e, candidate, &alone);
    if (rc != LOYALTY_OK) {
        return rc;
    }

    candidate->reason = alone.out_of_scope    ? LOYALTY_REJECT_SCOPE_MISMATCH
                        : alone.too_few_units ? LOYALTY_REJECT_MIN_QUANTITY
                                              : limits(candidate, 0);

    if (candidate->reason == LOYALTY_REJECT_NONE
        && over_budget(candidate, alone.amount)) {
        candidate->reason = LOYALTY_REJECT_BUDGET;
    }

    return LOYALTY_OK;
}

/* Applying */

static loyalty_status_t
record(evaluation_t *e, const candidate_t *candidate,
       const loyalty_reduction_t *reduction)
{
    loyalty_quote_t *quote = e->quote;
    loyalty_applied_t *applied = &quote->applied[quote->napplied++];
    bool bearer = candidate->entry != NULL && candidate->entry->bearer;
    size_t i, n = 0;

    for (i = 0; i < e->basket.nlines; i++) {
        n += reduction->parts[i] != 0;
    }

    *applied = (loyalty_applied_t){
        .offer = candidate->offer,
        .entry = candidate->entry == NULL ? loyalty_str_null
                                          : candidate->entry->id,
        .code = bearer ? candidate->entry->code : candidate->code,
        .bearer = bearer,
        .amount = reduction->amount,
        .reward_points = candidate->offer->reward_points,
        .allocations = loyalty_alloc(e->arena,
                                     n * sizeof(loyalty_allocation_t)),
    };
    if (applied->allocations == NULL) {
        return LOYALTY_ERROR_MEMORY;
    }

    for (i = 0; i < e->basket.nlines; i++) {
        if (reduction->parts[i] != 0) {
            applied->allocations[applied->nallocations++] =
                (loyalty_allocation_t){i, reduction->parts[i]};
            quote->line_discounts[i] += reduction->parts[i];
        }
    }

    quote->total_discount += reduction->amount;
    return loyalty_add(quote->points_to_earn, applied->reward_points,
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

    if (offer->min_after_discounts && !offer->exclusive) {
        rc = fits_cart(candidate, &e->basket);
        if (rc != LOYALTY_OK || candidate->reason != LOYALTY_REJECT_NONE) {
            return rc;
        }
    }

    candidate->reason = limits(candidate, uses_here(e, i));
    if (candidate->reason != LOYALTY_REJECT_NONE) {
        return LOYALTY_OK;
    }

    rc = loyalty_discount(offer, &candidate->scope, &e->basket, &reduction);
    if (rc != LOYALTY_OK) {
        return rc;
    }

    if (over_budget(candidate, reduction.amount)) {
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

    loyalty_basket_reduce(&e->basket, &reduction);
    return record(e, candidate, &reduction);
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

        rc = loyalty_discount(candidate->offer, &candidate->scope, &e->basket,
                              &alone);
        if (rc != LOYALTY_OK) {
            return rc;
        }

        if ((alone.amount != 0 || candidate->offer->reward_points != 0)
            && !over_budget(candidate, alone.amount)
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

static loyalty_status_t
earn(evaluation_t *e)
{
    loyalty_status_t rc;
    int64_t points;

    e->quote->total = e->quote->subtotal - e->quote->total_discount;

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

loyalty_status_t
loyalty_cart_evaluate(const loyalty_program_t *program,
                      const loyalty_cart_t *cart, loyalty_arena_t *arena,
                      loyalty_quote_t *quote)
{
    evaluation_t e = {.program = program, .cart = cart, .arena = arena,
                      .quote = quote, .points = cart->points};
    candidate_t *exclusive = NULL;
    loyalty_status_t rc;
    size_t i;

    *quote = (loyalty_quote_t){0};

    if (cart->nlines > LOYALTY_ORDER_LINES_MAX
        || cart->ncodes > LOYALTY_CART_CODES_MAX
        || cart->nentries > LOYALTY_ENTITLEMENTS_MAX) {
        return LOYALTY_ERROR_LIMIT;
    }

    rc = fill_basket(&e);
    if (rc == LOYALTY_OK) {
        rc = collect(&e);
    }

    for (i = 0; rc == LOYALTY_OK && i < e.n; i++) {
        rc = judge(&e, &e.candidates[i]);
    }

    if (rc == LOYALTY_OK) {
        rc = find_exclusive(&e, &exclusive);
    }

    for (i = 0; rc == LOYALTY_OK && i < e.n; i++) {
        if (e.candidates[i].reason != LOYALTY_REJECT_NONE) {
            continue;
        }
        if (exclusive != NULL && &e.candidates[i] != exclusive) {
            e.candidates[i].reason = LOYALTY_REJECT_EXCLUDED_BY;
        } else {
            rc = apply(&e, i);
        }
    }

    if (rc != LOYALTY_OK) {
        return rc;
    }

    report_rejected(&e);
    return earn(&e);
}
