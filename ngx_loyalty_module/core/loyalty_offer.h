/*
 * An offer as the merchant configured it, compiled (DOMAIN.md section 7).
 *
 * program->offers is sorted in the order of evaluation: priority high to low,
 * then type in the order of loyalty_offer_type_t, then id.  SKUs are compared
 * by loyalty_sku_hash first, so that a cart hashes each line once.
 *
 * Owned by the program; immutable; safe to share between threads.
 */

#ifndef LOYALTY_OFFER_H
#define LOYALTY_OFFER_H

#include "loyalty_program.h"

/* In the order of evaluation among equal priorities. */
typedef enum {
    LOYALTY_OFFER_PROMOTION,
    LOYALTY_OFFER_CLUBCARD,
    LOYALTY_OFFER_PUNCHCARD,
    LOYALTY_OFFER_REWARD,
    LOYALTY_OFFER_COUPON
} loyalty_offer_type_t;

typedef enum {
    LOYALTY_SCOPE_SITE,
    LOYALTY_SCOPE_CATEGORIES, /* a category covers all below it */
    LOYALTY_SCOPE_PRODUCTS    /* SKUs and anchored SKU patterns */
} loyalty_scope_kind_t;

typedef struct loyalty_pattern_s loyalty_pattern_t; /* a compiled PCRE2 */

typedef struct {
    loyalty_scope_kind_t kind;
    uint32_t number;       /* in the program; 0: the whole site */
    loyalty_str_t *values; /* categories, or SKUs sorted by hash */
    uint64_t *hashes;      /* of SKUs, ascending; NULL for categories */
    size_t nvalues;
    loyalty_pattern_t **patterns;
    size_t npatterns;
} loyalty_offer_scope_t;

typedef enum {
    LOYALTY_DISCOUNT_NONE, /* points only */
    LOYALTY_DISCOUNT_PERCENT,
    LOYALTY_DISCOUNT_AMOUNT,
    LOYALTY_DISCOUNT_AMOUNT_EACH,
    LOYALTY_DISCOUNT_BUY_X_GET_Y
} loyalty_discount_kind_t;

typedef struct {
    loyalty_discount_kind_t kind;
    int64_t percent; /* scaled by 10^2: 10000 is all of it */
    int64_t amount;  /* minor units */
    int64_t max_quantity; /* amount_each: units over the scope; 0: all */
    int64_t buy_quantity;
    int64_t get_quantity;
    int64_t max_repeats; /* 0: as often as it goes */
    const loyalty_offer_scope_t *buy_scope; /* never NULL for buy_x_get_y */
    const loyalty_offer_scope_t *get_scope;
} loyalty_discount_t;

/* Scope, condition_scope, buy_scope, get_scope. */
#define LOYALTY_OFFER_SCOPES_MAX 4

struct loyalty_offer_s {
    loyalty_str_t id;
    size_t number; /* its place in program->offers */
    loyalty_offer_type_t type;
    loyalty_texts_t name;
    loyalty_texts_t description;
    loyalty_str_t image;
    bool published;
    bool deleted; /* never published again; members keep what they hold */
    loyalty_instant_t starts_at; /* LOYALTY_UNKNOWN: from the beginning */
    loyalty_instant_t ends_at;   /* LOYALTY_NEVER */

    int64_t priority;
    bool exclusive;

    loyalty_offer_scope_t scope;
    loyalty_offer_scope_t condition_scope; /* the scope where none was given */
    loyalty_discount_t discount;

    /* Its scopes, each once: a copy is not another. */
    const loyalty_offer_scope_t *scopes[LOYALTY_OFFER_SCOPES_MAX];
    size_t nscopes;
    bool has_patterns; /* one of them has */

    int64_t max_discount; /* 0: no cap */
    int64_t reward_points;

    int64_t loyalty_price; /* points; reward and coupon */
    int64_t min_spend;     /* minor units */
    int64_t min_quantity;
    bool min_after_discounts;
    int64_t order_number; /* 0: any */
    loyalty_str_t *statuses; /* empty: any */
    size_t nstatuses;
    unsigned segments; /* loyalty_segment_t bits; 0: any */
    loyalty_str_t *groups;
    size_t ngroups;

    int64_t limit_total; /* 0: none */
    int64_t limit_per_member;
    int64_t budget_total; /* minor units; 0: none */

    int64_t stamps_required; /* punchcard */
    bool stamp_per_unit;     /* else one stamp for each order */

    loyalty_str_t code; /* one code for all; compared without case */
    loyalty_str_t code_pattern; /* what loyalty_code_generate() fills in */
};

const char *loyalty_offer_type_name(loyalty_offer_type_t type);

/* The hash that loyalty_offer_scope_t sorts SKUs by (FNV-1a, 64 bits). */
uint64_t loyalty_sku_hash(loyalty_str_t sku);

/*
 * Whether a line lies in the scope.  `category` is the line's own or the one
 * its SKU maps to (loyalty_program_category).  A pattern that runs into its
 * match limit does not match.
 */
bool loyalty_scope_covers(const loyalty_offer_scope_t *scope, loyalty_str_t sku,
                          uint64_t sku_hash, loyalty_str_t category);

/*
 * Anchored at both ends, JIT where there is one, match and depth limits set.
 * The problem's place is `pointer`.  Never shared match data: thread-safe.
 */
loyalty_status_t loyalty_pattern_compile(loyalty_str_t source,
                                         const char *pointer,
                                         loyalty_problems_t *problems,
                                         loyalty_pattern_t **pattern);
bool loyalty_pattern_match(const loyalty_pattern_t *pattern,
                           loyalty_str_t subject);
void loyalty_pattern_free(loyalty_pattern_t *pattern);

#endif
