/*
 * What the routes of wallet, holds and codes share.
 */

#ifndef LOYALTY_API_WALLET_H
#define LOYALTY_API_WALLET_H

#include "loyalty_api_call.h"
#include "loyalty_reader.h"

/* The body by a shape into the zeroed struct; false: the error is written. */
bool loyalty_api_read_body(loyalty_api_call_t *call,
                           const loyalty_shape_t *shape, void *target);

/* What a function of the wallet refused, as an error. */
void loyalty_api_refuse(loyalty_api_call_t *call, loyalty_status_t status,
                        const char *refusal);

#endif
