/*
 * What erasing a member takes away beside the member: answers kept for an
 * Idempotency-Key, and files of jobs that the member may be in.
 *
 *   read   WATCHes and reads, after the member
 *   write  adds to session->commands, which is MULTI ...
 */

#ifndef LOYALTY_API_ERASE_H
#define LOYALTY_API_ERASE_H

#include "loyalty_api_call.h"

typedef struct {
    loyalty_replies_t found;
    loyalty_replies_t jobs;
} loyalty_api_erase_t;

loyalty_store_result_t loyalty_api_erase_read(loyalty_api_call_t *call,
                                              loyalty_str_t member,
                                              loyalty_api_erase_t *erase);
void loyalty_api_erase_write(loyalty_api_call_t *call, loyalty_str_t member,
                             const loyalty_api_erase_t *erase);
void loyalty_api_erase_free(loyalty_api_erase_t *erase);

#endif
