/*
 * IPv4 lists what is not public, so that all else is; IPv6 is public only
 * within 2000::/3, what there is of global unicast, without what the second
 * table lists.
 */

#include "loyalty_address.h"

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define LENGTH(list) (sizeof(list) / sizeof((list)[0]))

static bool
is_public_ipv4(uint32_t address)
{
    static const struct {
        uint32_t net, mask;
    } special[] = {
        {0x00000000, 0xff000000}, /* 0.0.0.0/8, this network */
        {0x0a000000, 0xff000000}, /* 10.0.0.0/8, private */
        {0x64400000, 0xffc00000}, /* 100.64.0.0/10, carriers' NAT */
        {0x7f000000, 0xff000000}, /* 127.0.0.0/8, loopback */
        {0xa9fe0000, 0xffff0000}, /* 169.254.0.0/16, link-local */
        {0xac100000, 0xfff00000}, /* 172.16.0.0/12, private */
        {0xc0000000, 0xffffff00}, /* 192.0.0.0/24, protocols */
        {0xc0000200, 0xffffff00}, /* 192.0.2.0/24, documentation */
        {0xc0586300, 0xffffff00}, /* 192.88.99.0/24, relays of 6to4 */
        {0xc0a80000, 0xffff0000}, /* 192.168.0.0/16, private */
        {0xc6120000, 0xfffe0000}, /* 198.18.0.0/15, benchmarks */
        {0xc6336400, 0xffffff00}, /* 198.51.100.0/24, documentation */
        {0xcb007100, 0xffffff00}, /* 203.0.113.0/24, documentation */
        {0xe0000000, 0xe0000000}, /* 224.0.0.0/3, multicast and reserved */
    };
    size_t i;

    for (i = 0; i < LENGTH(special); i++) {
        if ((address & special[i].mask) == special[i].net) {
            return false;
        }
    }

    return true;
}

static bool
is_public_ipv6(const uint8_t *address)
{
    static const struct {
        uint32_t net, mask;
    } special[] = {
        {0x20010000, 0xfffffe00}, /* 2001::/23, protocols; Teredo */
        {0x20010db8, 0xffffffff}, /* 2001:db8::/32, documentation */
        {0x20020000, 0xffff0000}, /* 2002::/16, 6to4 */
        {0x3fff0000, 0xfffff000}, /* 3fff::/20, documentation */
    };
    uint32_t head;
    size_t i;

    memcpy(&head, address, sizeof(head));
    head = ntohl(head);

    if ((head & 0xe0000000) != 0x20000000) {
        return false;
    }

    for (i = 0; i < LENGTH(special); i++) {
        if ((head & special[i].mask) == special[i].net) {
            return false;
        }
    }

    return true;
}

bool
loyalty_address_is_public(const struct sockaddr *address)
{
    struct sockaddr_in6 in6;
    struct sockaddr_in in;

    switch (address->sa_family) {
    case AF_INET:
        memcpy(&in, address, sizeof(in));
        return is_public_ipv4(ntohl(in.sin_addr.s_addr));
    case AF_INET6:
        memcpy(&in6, address, sizeof(in6));
        return is_public_ipv6(in6.sin6_addr.s6_addr);
    default:
        return false;
    }
}
