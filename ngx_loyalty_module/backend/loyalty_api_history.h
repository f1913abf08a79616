/*
 * What the routes of a member's history share.
 */

#ifndef LOYALTY_API_HISTORY_H
#define LOYALTY_API_HISTORY_H

#include "loyalty_api_call.h"

/* An entry of a ledger's stream as JSON, and its id; NULL: it is none. */
json_t *loyalty_api_show_entry(const redisReply *entry, loyalty_str_t *id);

#endif
