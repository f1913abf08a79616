/*
 * Bulk actions, for routes about any members and routes about a group; see
 * loyalty_recipients.h for `group`.  Each checks the body, creates its job and
 * answers 202.
 */

#ifndef LOYALTY_API_BULK_H
#define LOYALTY_API_BULK_H

#include "loyalty_api_call.h"

/* `action` NULL: as the body says. */
loyalty_store_result_t loyalty_bulk_give(loyalty_api_call_t *call,
                                         const char *action,
                                         loyalty_str_t group);
loyalty_store_result_t loyalty_bulk_broadcast(loyalty_api_call_t *call,
                                              loyalty_str_t group);
loyalty_store_result_t loyalty_bulk_reach(loyalty_api_call_t *call,
                                          loyalty_str_t group);

/* One of them, on a group that is there, found and not expired; otherwise the
 * error is written. */
typedef loyalty_store_result_t (*loyalty_bulk_pt)(loyalty_api_call_t *call,
                                                  loyalty_str_t group);
loyalty_store_result_t loyalty_bulk_by_group(loyalty_api_call_t *call,
                                             loyalty_str_t id,
                                             loyalty_bulk_pt action);

#endif
