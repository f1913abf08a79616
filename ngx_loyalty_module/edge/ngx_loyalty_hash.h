/*
 * SipHash-2-4 with 128 bits: names entries of the shared memory zone.  Keyed,
 * so that nobody who chooses a member id can aim at another's entry.
 *
 * OpenSSL has it too, behind an interface that costs ten times the hash; the
 * tests compare the two.
 */

#ifndef _NGX_LOYALTY_HASH_H_INCLUDED_
#define _NGX_LOYALTY_HASH_H_INCLUDED_


#include <stddef.h>
#include <stdint.h>

#include "ngx_loyalty_table.h"


void ngx_loyalty_hash(const uint64_t key[2], const void *data, size_t len,
    ngx_loyalty_hash_t *hash);


#endif /* _NGX_LOYALTY_HASH_H_INCLUDED_ */
