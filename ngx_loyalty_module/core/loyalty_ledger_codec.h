/*
 * Lots, ledgers and spendings as bytes, for the codecs of member and order.
 */

#ifndef LOYALTY_LEDGER_CODEC_H
#define LOYALTY_LEDGER_CODEC_H

#include "loyalty_codec.h"
#include "loyalty_ledger.h"

void loyalty_put_ledger(loyalty_encoder_t *encoder,
                        const loyalty_ledger_t *ledger);
void loyalty_put_spending(loyalty_encoder_t *encoder,
                          const loyalty_spending_t *spending);

/* What does not hold the ledger's invariants sets decoder->bad; a lack of
 * memory is the result. */
loyalty_status_t loyalty_get_ledger(loyalty_decoder_t *decoder,
                                    loyalty_arena_t *arena,
                                    loyalty_ledger_t *ledger);
loyalty_status_t loyalty_get_spending(loyalty_decoder_t *decoder,
                                      loyalty_arena_t *arena,
                                      loyalty_spending_t *spending);

#endif
