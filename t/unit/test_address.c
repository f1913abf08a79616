// link: ngx_loyalty_module/backend/loyalty_address.c
// link: ngx_loyalty_module/backend/loyalty_transfer.c -lcurl
// link: -Ingx_loyalty_module/backend
/* backend/loyalty_address.c: the ends of each range of IANA's registries of
 * special purpose addresses, and their neighbours; and that a transfer looks at
 * the address it connects to, not at the name. */

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "loyalty_address.h"
#include "loyalty_transfer.h"

static bool
is_public(const char *text)
{
    struct sockaddr_in in = {.sin_family = AF_INET};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};

    if (inet_pton(AF_INET, text, &in.sin_addr) == 1) {
        return loyalty_address_is_public((struct sockaddr *)&in);
    }

    assert_int_equal(inet_pton(AF_INET6, text, &in6.sin6_addr), 1);
    return loyalty_address_is_public((struct sockaddr *)&in6);
}

static void
test_addresses(void **state)
{
    static const struct {
        const char *text;
        bool public;
    } cases[] = {
        {"0.0.0.0", false},         {"0.255.255.255", false},
        {"1.0.0.0", true},          {"9.255.255.255", true},
        {"10.0.0.0", false},        {"10.255.255.255", false},
        {"11.0.0.0", true},         {"100.63.255.255", true},
        {"100.64.0.0", false},      {"100.127.255.255", false},
        {"100.128.0.0", true},      {"126.255.255.255", true},
        {"127.0.0.1", false},       {"127.255.255.255", false},
        {"128.0.0.0", true},        {"169.253.255.255", true},
        {"169.254.0.0", false},     {"169.254.169.254", false},
        {"169.254.255.255", false}, {"169.255.0.0", true},
        {"172.15.255.255", true},   {"172.16.0.0", false},
        {"172.31.255.255", false},  {"172.32.0.0", true},
        {"191.255.255.255", true},  {"192.0.0.0", false},
        {"192.0.0.255", false},     {"192.0.1.0", true},
        {"192.0.2.0", false},       {"192.0.2.255", false},
        {"192.0.3.0", true},        {"192.88.98.255", true},
        {"192.88.99.1", false},     {"192.88.100.0", true},
        {"192.167.255.255", true},  {"192.168.0.0", false},
        {"192.168.255.255", false}, {"192.169.0.0", true},
        {"198.17.255.255", true},   {"198.18.0.0", false},
        {"198.19.255.255", false},  {"198.20.0.0", true},
        {"198.51.99.255", true},    {"198.51.100.0", false},
        {"198.51.100.255", false},  {"198.51.101.0", true},
        {"203.0.112.255", true},    {"203.0.113.0", false},
        {"203.0.113.255", false},   {"203.0.114.0", true},
        {"223.255.255.255", true},  {"224.0.0.1", false},
        {"239.255.255.255", false}, {"240.0.0.0", false},
        {"255.255.255.255", false}, {"8.8.8.8", true},

        {"::", false},              {"::1", false},
        {"::127.0.0.1", false},     {"::8.8.8.8", false},
        {"::ffff:127.0.0.1", false}, {"::ffff:10.0.0.1", false},
        {"::ffff:8.8.8.8", false},  {"::ffff:0:127.0.0.1", false},
        {"64:ff9b::127.0.0.1", false}, {"64:ff9b::8.8.8.8", false},
        {"64:ff9b:1::10.0.0.1", false}, {"100::1", false},
        {"100:0:0:1::1", false},    {"1fff:ffff::", false},
        {"2000::", true},           {"2001::1", false},
        {"2001:0:4136:e378:8000:63bf:3fff:fdd2", false},
        {"2001:2::1", false},       {"2001:10::1", false},
        {"2001:20::1", false},      {"2001:1ff:ffff::", false},
        {"2001:200::1", true},      {"2001:db7:ffff::1", true},
        {"2001:db8::1", false},     {"2001:db8:ffff::1", false},
        {"2001:db9::1", true},      {"2001:4860:4860::8888", true},
        {"2002:7f00:1::", false},   {"2002:a00:1::1", false},
        {"2002:c0a8:101::1", false}, {"2002:808:808::1", false},
        {"2003::1", true},          {"2606:4700::1111", true},
        {"3ffe:ffff::1", true},     {"3fff::1", false},
        {"3fff:fff:ffff::1", false}, {"3fff:1000::1", true},
        {"4000::1", false},         {"5f00::1", false},
        {"fbff:ffff::1", false},    {"fc00::1", false},
        {"fdff:ffff::1", false},    {"fe80::1", false},
        {"febf::1", false},         {"fec0::1", false},
        {"ff02::1", false},         {"ffff:ffff::1", false},
    };
    const struct sockaddr other = {.sa_family = AF_UNIX};
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (is_public(cases[i].text) != cases[i].public) {
            fail_msg("%s", cases[i].text);
        }
    }
    assert_false(loyalty_address_is_public(&other));
}

/* A socket that listens on 127.0.0.1; its port. */
static int
listen_here(int *port)
{
    struct sockaddr_in in = {.sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(in);
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    assert_int_equal(bind(fd, (struct sockaddr *)&in, sizeof(in)), 0);
    assert_int_equal(listen(fd, 8), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&in, &len), 0);
    *port = ntohs(in.sin_port);
    return fd;
}

/* Whatever a name resolves to, by DNS or as here: what is connected to
 * counts.  Nobody answers, so one that connects runs into its time. */
static void
test_transfers(void **state)
{
    static const struct {
        const char *host, *resolved; /* what DNS would say */
        bool public_only, refused;
    } cases[] = {
        {"shop.example", "127.0.0.1", true, true},
        {"shop.example", "127.0.0.1", false, false},
        {"shop.example", "[::1]", true, true},
        {"shop.example", "[::ffff:127.0.0.1]", true, true},
        {"shop.example", "[64:ff9b::7f00:1]", true, true},
        {"shop.example", "10.1.2.3,127.0.0.1,[fd00::1]", true, true},
        {"localhost", NULL, true, true},
        {"127.0.0.1", NULL, true, true},
        {"127.1", NULL, true, true},
        {"2130706433", NULL, true, true},
        {"0x7f000001", NULL, true, true},
        {"0177.0.0.1", NULL, true, true},
        {"0", NULL, true, true},
        {"[::1]", NULL, true, true},
        {"[::]", NULL, true, true},
        {"[::ffff:127.0.0.1]", NULL, true, true},
        {"127.0.0.1", NULL, false, false},
    };
    struct curl_slist *resolved;
    loyalty_transfer_result_t result;
    loyalty_transfer_t *transfer;
    char url[128], line[128];
    int fd, port;
    size_t i;
    CURL *easy;

    (void)state;
    fd = listen_here(&port);

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        transfer = loyalty_transfer_create(NULL);
        easy = loyalty_transfer_begin(transfer);
        snprintf(url, sizeof(url), "http://%s:%d/", cases[i].host, port);
        curl_easy_setopt(easy, CURLOPT_URL, url);
        resolved = NULL;
        if (cases[i].resolved != NULL) {
            snprintf(line, sizeof(line), "%s:%d:%s", cases[i].host, port,
                     cases[i].resolved);
            resolved = curl_slist_append(NULL, line);
            curl_easy_setopt(easy, CURLOPT_RESOLVE, resolved);
        }
        if (cases[i].public_only) {
            loyalty_transfer_public_only(transfer);
        }
        loyalty_transfer_run(transfer, 200, &result);
        if (result.status != 0
            || (strcmp(result.error, "the address is not public") == 0)
                   != cases[i].refused
            || (result.code == CURLE_OPERATION_TIMEDOUT)
                   == cases[i].refused) {
            fail_msg("%s as %s: %s", url, line, result.error);
        }
        loyalty_transfer_free(transfer);
        curl_slist_free_all(resolved);
    }

    close(fd);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_transfers),
    };

    curl_global_init(CURL_GLOBAL_DEFAULT);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
