/*
 * A cart from a quote request's JSON, and a quote as JSON (DESIGN.md, POST
 * quotes).
 *
 *   { "member_id" | "member": {"status", "segments": [], "groups": [],
 *         "order_count", "points", "entitlements": [{"id", "offer_id",
 *         "code", "applied", "redeemed", "held", "uses", "expires_at"}]},
 *     "currency", "at", "codes": [], "explain",
 *     "lines": [{"id", "sku", "category", "quantity", "unit_price",
 *                "minimum_price"}],
 *     "preview": {"offers": [], "usage": {offer id: {"total", "member",
 *         "spent"}}, "earning": {"rate", "multiplier"}} }
 */

#ifndef LOYALTY_CART_JSON_H
#define LOYALTY_CART_JSON_H

#include "loyalty_cart.h"

/*
 * All mistakes at once.  `at` defaults to `now`, the rate to the program's,
 * the multiplier to that of the member's status, the orders of a member tried
 * out to none.  Strings point into `json`, which must outlive the cart.
 * `program` is loyalty_program_preview()'s where the request has
 * preview.offers; `known` is the member that `member_id` names, or NULL.
 */
loyalty_status_t loyalty_cart_parse(json_t *json,
                                    const loyalty_program_t *program,
                                    const loyalty_member_t *known,
                                    loyalty_instant_t now,
                                    loyalty_arena_t *arena,
                                    loyalty_problems_t *problems,
                                    loyalty_cart_t *cart);

/* A new reference; NULL: out of memory. */
json_t *loyalty_quote_to_json(const loyalty_cart_t *cart,
                              const loyalty_quote_t *quote);

#endif
