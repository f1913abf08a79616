/*
 * One use of a hold as bytes, for the codecs of hold and order.
 */

#ifndef LOYALTY_HOLD_CODEC_H
#define LOYALTY_HOLD_CODEC_H

#include "loyalty_codec.h"
#include "loyalty_hold.h"

void loyalty_put_hold_use(loyalty_encoder_t *encoder,
                          const loyalty_hold_use_t *use);
void loyalty_get_hold_use(loyalty_decoder_t *decoder, loyalty_hold_use_t *use);

#endif
