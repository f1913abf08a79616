/*
 * Which addresses are the internet's: RFC 6890 and IANA's registries of special
 * purpose addresses.
 */

#ifndef LOYALTY_ADDRESS_H
#define LOYALTY_ADDRESS_H

#include <stdbool.h>
#include <sys/socket.h>

/* False too of an address that may stand for another one: mapped, NAT64, 6to4,
 * Teredo. */
bool loyalty_address_is_public(const struct sockaddr *address);

#endif
