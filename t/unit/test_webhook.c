/* core/loyalty_webhook.c: webhooks of a program, and their signatures. */

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include <stdio.h>

#include "loyalty_webhook.h"

#define DOCUMENT "{\"settings\":{\"id\":\"s\",\"currency\":\"EUR\",\"webhooks\":%s}}"

static loyalty_status_t
parse(const char *webhooks, loyalty_problems_t *problems,
      loyalty_program_t **program)
{
    static char text[64 * 1024];

    snprintf(text, sizeof(text), DOCUMENT, webhooks);
    return loyalty_program_parse(text, strlen(text), problems, program);
}

static void
a_program_names_its_webhooks(void **state)
{
    const loyalty_webhook_t *webhook;
    loyalty_problems_t problems;
    loyalty_program_t *program;
    loyalty_arena_t arena;

    (void)state;
    loyalty_arena_init(&arena, 0);
    loyalty_problems_init(&problems, &arena);

    assert_int_equal(
        parse("[{\"id\":\"a\",\"url\":\"https://shop.example/hook?x=1\","
              "\"events\":[\"order.applied\",\"status.up\"]},"
              "{\"id\":\"b\",\"url\":\"http://[::1]:8080\","
              "\"events\":[\"points.added\"],\"enabled\":false}]",
              &problems, &program),
        LOYALTY_OK);
    assert_int_equal(program->settings.nwebhooks, 2);

    /* What is off wants nothing. */
    assert_int_equal(program->settings.events, LOYALTY_EVENT_ORDER_APPLIED
                                                   | LOYALTY_EVENT_STATUS_UP);
    webhook = loyalty_program_webhook(program, loyalty_str("b"));
    assert_false(webhook->enabled);
    assert_int_equal(webhook->events, LOYALTY_EVENT_POINTS_ADDED);
    assert_null(loyalty_program_webhook(program, loyalty_str("c")));

    loyalty_program_free(program);
    loyalty_arena_free(&arena);
}

static void
mistakes_are_told(void **state)
{
    static const struct {
        const char *webhooks, *pointer;
    } cases[] = {
        {"{}", "/settings/webhooks"},
        {"[7]", "/settings/webhooks/0"},
        {"[{\"url\":\"https://a.example\",\"events\":[\"status.up\"]}]",
         "/settings/webhooks/0/id"},
        {"[{\"id\":\"a\",\"events\":[\"status.up\"]}]",
         "/settings/webhooks/0/url"},
        {"[{\"id\":\"a\",\"url\":\"https://a.example\"}]",
         "/settings/webhooks/0/events"},
        {"[{\"id\":\"a\",\"url\":\"https://a.example\",\"events\":[]}]",
         "/settings/webhooks/0/events"},
        {"[{\"id\":\"a\",\"url\":\"https://a.example\","
         "\"events\":[\"order.lost\"]}]",
         "/settings/webhooks/0/events/0"},
        {"[{\"id\":\"a\",\"url\":\"ftp://a.example\","
         "\"events\":[\"status.up\"]}]",
         "/settings/webhooks/0/url"},
        {"[{\"id\":\"a\",\"url\":\"http://me:pw@a.example\","
         "\"events\":[\"status.up\"]}]",
         "/settings/webhooks/0/url"},
        {"[{\"id\":\"a\",\"url\":\"https:///x\",\"events\":[\"status.up\"]}]",
         "/settings/webhooks/0/url"},
        {"[{\"id\":\"a\",\"url\":\"https://a.example/#x\","
         "\"events\":[\"status.up\"]}]",
         "/settings/webhooks/0/url"},
        {"[{\"id\":\"a\",\"url\":\"https://a.example\",\"secret\":\"x\","
         "\"events\":[\"status.up\"]}]",
         "/settings/webhooks/0/secret"},
        {"[{\"id\":\"a\",\"url\":\"https://a.example\","
         "\"events\":[\"status.up\"]},{\"id\":\"a\","
         "\"url\":\"https://a.example\",\"events\":[\"status.up\"]}]",
         "/settings/webhooks/1/id"},
    };
    loyalty_problems_t problems;
    loyalty_program_t *program;
    loyalty_arena_t arena;
    loyalty_str_t pointer;

    (void)state;
    loyalty_arena_init(&arena, 0);

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        loyalty_problems_init(&problems, &arena);
        assert_int_equal(parse(cases[i].webhooks, &problems, &program),
                         LOYALTY_ERROR_INVALID);
        assert_int_equal(problems.count, 1);
        pointer = problems.list[0].pointer;
        assert_true(loyalty_str_eq(pointer,
                                   loyalty_str_from(cases[i].pointer)));
    }

    loyalty_arena_free(&arena);
}

static void
there_are_at_most_16(void **state)
{
    char text[8192];
    loyalty_problems_t problems;
    loyalty_program_t *program;
    loyalty_arena_t arena;
    size_t n, i, len;

    (void)state;
    loyalty_arena_init(&arena, 0);

    for (n = LOYALTY_WEBHOOKS_MAX; n <= LOYALTY_WEBHOOKS_MAX + 1; n++) {
        for (i = 0, len = 0; i < n; i++) {
            len += (size_t)snprintf(
                text + len, sizeof(text) - len,
                "%s{\"id\":\"w%zu\",\"url\":\"https://a.example\","
                "\"events\":[\"status.up\"]}", i == 0 ? "[" : ",", i);
        }
        snprintf(text + len, sizeof(text) - len, "]");

        loyalty_problems_init(&problems, &arena);
        assert_int_equal(parse(text, &problems, &program),
                         n == LOYALTY_WEBHOOKS_MAX ? LOYALTY_OK
                                                   : LOYALTY_ERROR_INVALID);
        if (n == LOYALTY_WEBHOOKS_MAX) {
            loyalty_program_free(program);
        }
    }

    loyalty_arena_free(&arena);
}

static void
names_lead_back(void **state)
{
    loyalty_event_t event;
    int n = 0;

    (void)state;

    for (unsigned bit = 1; bit != 0; bit <<= 1) {
        event = (loyalty_event_t)bit;
        if (loyalty_event_name(event)[0] != '\0') {
            n++;
            assert_int_equal(
                loyalty_event_named(
                    loyalty_str_from(loyalty_event_name(event))), event);
        }
    }

    assert_int_equal(n, 12);
    assert_int_equal(loyalty_event_named(loyalty_str("order")), 0);
    assert_int_equal(loyalty_event_named(loyalty_str_null), 0);
}

static void
a_signature_is_that_of_another_implementation(void **state)
{
    /* Python: hmac.new(b"whsec_test", b"1700000000." + body, "sha256"). */
    static const struct {
        loyalty_str_t body;
        const char *signature;
    } cases[] = {
        {{"{\"id\":\"1-0\"}", 12}, "t=1700000000,v1="
         "d5433c87444c4ded147110fca241afc9ee9e948362b221556221fad2881f3d75"},
        {{NULL, 0}, "t=1700000000,v1="
         "5967f3c560522fa40cf2876ebc3c3a08551dd6959aaade3b413460591895bdcc"},
    };
    char signature[LOYALTY_WEBHOOK_SIGNATURE_SIZE];
    loyalty_arena_t arena;

    (void)state;
    loyalty_arena_init(&arena, 0);

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(loyalty_webhook_sign(loyalty_str("whsec_test"),
                                              INT64_C(1700000000999),
                                              cases[i].body, &arena,
                                              signature),
                         LOYALTY_OK);
        assert_string_equal(signature, cases[i].signature);
    }

    loyalty_arena_free(&arena);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_program_names_its_webhooks),
        cmocka_unit_test(mistakes_are_told),
        cmocka_unit_test(there_are_at_most_16),
        cmocka_unit_test(names_lead_back),
        cmocka_unit_test(a_signature_is_that_of_another_implementation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
