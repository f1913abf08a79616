/*
 * A member as a row of a file: the columns of CSV, the fields of an NDJSON
 * line (those that POST members takes).
 *
 *   id email phone messenger_id line_id name locale registered signed_up_at
 *   consent.email consent.sms consent.messenger consent.line
 *   clubs (a;b)   attributes (a JSON object)   attributes.NAME
 *
 *   opening.points opening.credits, of an import alone: what a member that it
 *   makes has to begin with
 *
 * and what an export adds and an import leaves alone: status, order_count,
 * spent_total, points, credits, last_order_at, last_visit_at.
 */

#ifndef LOYALTY_MEMBER_ROW_H
#define LOYALTY_MEMBER_ROW_H

#include <jansson.h>

#include "loyalty_member.h"

/* Is there such a column? */
bool loyalty_row_column(loyalty_str_t name);

/*
 * The fields of a record whose cells stand under those columns (a JSON array);
 * an empty cell is no field.  NULL: more cells than columns, or no memory.
 */
json_t *loyalty_row_fields(const json_t *columns, const loyalty_str_t *cells,
                           size_t n);

/* An export's first line, and a member's line; malloc'ed, with its line end;
 * NULL: no memory. */
char *loyalty_row_head(bool bom);
char *loyalty_row_csv(const json_t *member);

#endif
