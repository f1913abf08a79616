/* edge/loyalty_html_scan.c: a page cut in two at each place. */
// link: ngx_loyalty_module/edge/loyalty_html_scan.c -Ingx_loyalty_module/edge

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "loyalty_html_scan.h"

static loyalty_str_t
part(const char *page, size_t from, size_t to)
{
    return (loyalty_str_t){page + from, to - from};
}

/* The marker is found in the piece in which it ends. */
static void
a_marker_is_found_wherever_the_cut_is(void **state)
{
    static const char markers[][40] = {
        "<loyalty-status></loyalty-status>", "@", "<<a", "aaab",
    };
    char page[256];
    loyalty_str_t marker;
    size_t i, cut, len, at, ends;

    (void)state;

    for (i = 0; i < sizeof(markers) / sizeof(markers[0]); i++) {
        marker = loyalty_str_from(markers[i]);
        len = (size_t)snprintf(page, sizeof(page), "<p>aa<<%s<b>%s",
                               markers[i], markers[i]);
        at = (size_t)((char *)memmem(page, len, marker.data, marker.len)
                      - page);
        ends = at + marker.len;

        for (cut = 0; cut < ends; cut++) {
            assert_int_equal(loyalty_html_marker(marker, part(page, 0, 0),
                                                 part(page, 0, cut)),
                             LOYALTY_HTML_NONE);
            assert_int_equal(loyalty_html_marker(marker, part(page, 0, cut),
                                                 part(page, cut, len)),
                             at);
            assert_int_equal(loyalty_html_marker(marker, part(page, 0, cut),
                                                 part(page, cut, ends - 1)),
                             LOYALTY_HTML_NONE);
        }
    }
}

static void
the_last_end_tag_is_found(void **state)
{
    static const struct {
        const char *page;
        int at; /* -1: none; counted by hand */
    } cases[] = {
        {"", -1},
        {"</body>", 0},
        {"<p></BODY\n></html>", 3},
        {"</body></body >", 7},
        {"</bodyguard>", -1},
        {"</body", -1},
        {"a<</body/>", 2},
        {"< /body>", -1},
        {"<body></bod>", -1},
        {"'</body>' </boDy\t>--</bod", 10},
    };
    size_t i, cut, len, at, expected;

    (void)state;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        len = strlen(cases[i].page);
        expected = cases[i].at < 0 ? LOYALTY_HTML_NONE : (size_t)cases[i].at;
        for (cut = 0; cut <= len; cut++) {
            at = loyalty_html_body_end(part(cases[i].page, 0, cut),
                                       part(cases[i].page, cut, len));
            if (at != expected) {
                fail_msg("%s cut at %zu: %zu", cases[i].page, cut, at);
            }
        }
    }
}

static void
a_beginning_is_kept(void **state)
{
    static const struct {
        const char *marker;
        const char *page;
        size_t keep; /* by hand */
    } cases[] = {
        {"<loyalty>", "", 0},
        {"<loyalty>", "abc", 0},
        {"<loyalty>", "abc<", 1},
        {"<loyalty>", "<loyalty", 8},
        {"<loyalty>", "<loyalty ", 0},
        {"<loyalty>", "x</BoDy", 6},
        {"<loyalty>", "x</bodz", 0},
        {"<loyalty>", "<<lo<l", 2},
        {"aaab", "caaaa", 3},
        {"@", "</bo", 4},
        {"@", "x", 0},
    };
    loyalty_str_t marker;
    size_t i, cut, len, keep;

    (void)state;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        marker = loyalty_str_from(cases[i].marker);
        len = strlen(cases[i].page);
        for (cut = 0; cut <= len; cut++) {
            keep = loyalty_html_partial(marker, part(cases[i].page, 0, cut),
                                        part(cases[i].page, cut, len));
            if (keep != cases[i].keep) {
                fail_msg("%s cut at %zu: %zu", cases[i].page, cut, keep);
            }
        }
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_marker_is_found_wherever_the_cut_is),
        cmocka_unit_test(the_last_end_tag_is_found),
        cmocka_unit_test(a_beginning_is_kept),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
