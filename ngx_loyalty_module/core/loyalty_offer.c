/*
 * What offers' scopes cover: categories by prefix, SKUs by hash, SKU patterns.
 *
 * Invariant of a products scope: hashes[i] is the hash of values[i], and
 * hashes ascend.
 */

#include "loyalty_offer.h"

#include <stdlib.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

struct loyalty_pattern_s {
    pcre2_code *code;
    pcre2_match_context *limits;
};

static const char *const type_names[] = {
    [LOYALTY_OFFER_PROMOTION] = "promotion",
    [LOYALTY_OFFER_CLUBCARD] = "clubcard",
    [LOYALTY_OFFER_PUNCHCARD] = "punchcard",
    [LOYALTY_OFFER_REWARD] = "reward",
    [LOYALTY_OFFER_COUPON] = "coupon",
};

const char *
loyalty_offer_type_name(loyalty_offer_type_t type)
{
    return type_names[type];
}

uint64_t
loyalty_sku_hash(loyalty_str_t sku)
{
    uint64_t hash = UINT64_C(14695981039346656037);
    size_t i;

    for (i = 0; i < sku.len; i++) {
        hash = (hash ^ (unsigned char)sku.data[i]) * UINT64_C(1099511628211);
    }

    return hash;
}

/* "home/lighting" covers itself and "home/lighting/lamps". */
static bool
category_covers(loyalty_str_t above, loyalty_str_t category)
{
    return category.len >= above.len
           && memcmp(above.data, category.data, above.len) == 0
           && (category.len == above.len || category.data[above.len] == '/');
}

static bool
lists_sku(const loyalty_offer_scope_t *scope, loyalty_str_t sku, uint64_t hash)
{
    size_t low = 0, high = scope->nvalues, middle;

    while (low < high) {
        middle = low + (high - low) / 2;
        if (scope->hashes[middle] < hash) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }

    for (; low < scope->nvalues && scope->hashes[low] == hash; low++) {
        if (loyalty_str_eq(scope->values[low], sku)) {
            return true;
        }
    }

    return false;
}

bool
loyalty_scope_covers(const loyalty_offer_scope_t *scope, loyalty_str_t sku,
                     uint64_t sku_hash, loyalty_str_t category)
{
    size_t i;

    switch (scope->kind) {

    case LOYALTY_SCOPE_SITE:
        return true;

    case LOYALTY_SCOPE_CATEGORIES:
        for (i = 0; i < scope->nvalues; i++) {
            if (category_covers(scope->values[i], category)) {
                return true;
            }
        }
        return false;

    case LOYALTY_SCOPE_PRODUCTS:
        if (lists_sku(scope, sku, sku_hash)) {
            return true;
        }
        for (i = 0; i < scope->npatterns; i++) {
            if (loyalty_pattern_match(scope->patterns[i], sku)) {
                return true;
            }
        }
        return false;
    }

    return false;
}

loyalty_status_t
loyalty_pattern_compile(loyalty_str_t source, const char *pointer,
                        loyalty_problems_t *problems,
                        loyalty_pattern_t **pattern)
{
    PCRE2_UCHAR text[128];
    loyalty_status_t rc;
    PCRE2_SIZE offset;
    int code;

    if (source.len == 0 || source.len > LOYALTY_PATTERN_SIZE_MAX) {
        loyalty_problem(problems, pointer,
                        "a pattern has 1 to %d bytes, not %zu",
                        LOYALTY_PATTERN_SIZE_MAX, source.len);
        return LOYALTY_ERROR_LIMIT;
    }

    *pattern = calloc(1, sizeof(**pattern));
    if (*pattern == NULL) {
        return LOYALTY_ERROR_MEMORY;
    }

    (*pattern)->limits = pcre2_match_context_create(NULL);
    (*pattern)->code = pcre2_compile((PCRE2_SPTR)source.data, source.len,
                                     PCRE2_ANCHORED | PCRE2_ENDANCHORED
                                         | PCRE2_UTF
                                         | PCRE2_NEVER_BACKSLASH_C,
                                     &code, &offset, NULL);

    if ((*pattern)->code == NULL || (*pattern)->limits == NULL) {
        rc = LOYALTY_ERROR_MEMORY;
        if ((*pattern)->code == NULL && code != PCRE2_ERROR_HEAP_FAILED) {
            pcre2_get_error_message(code, text, sizeof(text));
            loyalty_problem(problems, pointer, "%s at byte %zu of the pattern",
                            (char *)text, (size_t)offset);
            rc = LOYALTY_ERROR_INVALID;
        }
        loyalty_pattern_free(*pattern);
        *pattern = NULL;
        return rc;
    }

    pcre2_set_match_limit((*pattern)->limits, LOYALTY_PATTERN_MATCH_LIMIT);
    pcre2_set_depth_limit((*pattern)->limits, LOYALTY_PATTERN_DEPTH_LIMIT);

#ifndef LOYALTY_NO_JIT
    /* Where there is no JIT the interpreter gives the same answers. */
    (void)pcre2_jit_compile((*pattern)->code, PCRE2_JIT_COMPLETE);
#endif

    return LOYALTY_OK;
}

bool
loyalty_pattern_match(const loyalty_pattern_t *pattern, loyalty_str_t subject)
{
    pcre2_match_data *data;
    int rc;

    data = pcre2_match_data_create(1, NULL);
    if (data == NULL) {
        return false;
    }

    rc = pcre2_match(pattern->code, (PCRE2_SPTR)subject.data, subject.len, 0, 0,
                     data, pattern->limits);
    pcre2_match_data_free(data);

    return rc >= 0;
}

void
loyalty_pattern_free(loyalty_pattern_t *pattern)
{
    if (pattern != NULL) {
        pcre2_match_context_free(pattern->limits);
        pcre2_code_free(pattern->code);
        free(pattern);
    }
}
