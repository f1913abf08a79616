/*
 * core/loyalty_program*.c, loyalty_reader.c: one document in, one program or
 * all its mistakes out.  Pointers by RFC 6901.
 */

#include "reading.h"

static void
what_is_absent_takes_its_default(void **state)
{
    reading_t reading;
    loyalty_program_t *program = read_text(&reading, "{" SETTINGS "}");
    const loyalty_settings_t *settings;

    (void)state;

    assert_non_null(program);
    settings = &program->settings;
    assert_int_equal(program->version, 0);
    assert_text(settings->id, "demo");
    assert_text(settings->name, "demo");
    assert_text(settings->time_zone, "UTC");
    assert_int_equal(settings->nlocales, 1);
    assert_text(settings->locales[0], "en");
    assert_int_equal(settings->exponent, 2);
    assert_false(settings->active);
    assert_int_equal(settings->earn_rate, 10000);
    assert_int_equal(settings->return_policy, LOYALTY_RETURN_WITHIN_BALANCE);
    assert_int_equal(settings->criterion, LOYALTY_CRITERION_SPEND);
    assert_int_equal(settings->window.kind, LOYALTY_WINDOW_LIFETIME);
    assert_int_equal(settings->window.grace_days, 0);
    assert_int_equal(settings->segments.new_days, 30);
    assert_int_equal(settings->segments.recurring_days, 180);
    assert_int_equal(settings->segments.at_risk_days, 90);
    assert_int_equal(settings->segments.vip_points, 1000);
    assert_int_equal(settings->attribution_days, 5);
    assert_int_equal(settings->design.len, 0);

    /* DOMAIN.md section 5, in pence. */
    assert_int_equal(program->ntiers, 3);
    assert_text(program->tiers[0].id, "bronze");
    assert_int_equal(program->tiers[0].threshold, 100000);
    assert_int_equal(program->tiers[1].threshold, 500000);
    assert_int_equal(program->tiers[2].threshold, 1000000);
    assert_int_equal(program->tiers[2].multiplier, 100);
    assert_text(loyalty_text(&program->tiers[2].name, loyalty_str("fr")),
                "Or");
    done(&reading);
}

static void
default_statuses_go_by_the_currency(void **state)
{
    reading_t reading;
    loyalty_program_t *program;

    (void)state;

    program = read_text(&reading, "{\"settings\":{\"id\":\"a\","
                        "\"currency\":\"JPY\"}}");
    assert_non_null(program);
    assert_int_equal(program->tiers[0].threshold, 1000);
    done(&reading);

    program = read_text(&reading, "{\"settings\":{\"id\":\"a\","
                        "\"currency\":\"KWD\"}}");
    assert_non_null(program);
    assert_int_equal(program->tiers[0].threshold, 1000000);
    done(&reading);

    program = read_text(&reading, "{\"settings\":{\"id\":\"a\","
                        "\"currency\":\"KWD\",\"criterion\":\"orders\"}}");
    assert_non_null(program);
    assert_int_equal(program->ntiers, 0);
    done(&reading);
}

static void
settings_are_read(void **state)
{
    reading_t reading;
    loyalty_program_t *program = read_text(&reading,
        "{\"version\":7,\"settings\":{\"id\":\"shop-1\",\"name\":\"A Shop\","
        "\"currency\":\"EUR\",\"time_zone\":\"America/Argentina/Ushuaia\","
        "\"locales\":[\"fr-CA\",\"en\"],\"active\":true,"
        "\"earn_rate\":\"0.0125\",\"points_expire_days\":365,"
        "\"points_pending_days\":14,\"return_policy\":\"only_pending\","
        "\"criterion\":\"life_points\",\"window\":{\"kind\":\"rolling\","
        "\"days\":365,\"grace_days\":30,\"never_drop\":false},"
        "\"segments\":{\"new\":0,\"recurring\":36500,\"at_risk\":1,"
        "\"vip\":1000000000000},\"attribution_days\":7,\"design\":\"d\","
        "\"sign_in_url\":\"/login?next=/a\","
        "\"tier_page_title\":{\"en\":\"Club\",\"fr-CA\":\"Le club\"}},"
        "\"designs\":[{\"id\":\"d\",\"name\":\"Dark\","
        "\"colors\":{\"text\":\"#FFffff\"},\"fonts\":{\"body\":\"Inter\"},"
        "\"logo\":\"https://cdn.example/l.svg\",\"css\":\"a{}\\n\","
        "\"template\":\"{{#a}}{{b}}{{/a}}\"}]}");
    const loyalty_settings_t *settings;

    (void)state;

    assert_non_null(program);
    settings = &program->settings;
    assert_int_equal(program->version, 7);
    assert_text(settings->name, "A Shop");
    assert_text(settings->time_zone, "America/Argentina/Ushuaia");
    assert_true(settings->active);
    assert_int_equal(settings->earn_rate, 125);
    assert_int_equal(settings->points_expire_days, 365);
    assert_int_equal(settings->points_pending_days, 14);
    assert_int_equal(settings->return_policy, LOYALTY_RETURN_ONLY_PENDING);
    assert_int_equal(settings->criterion, LOYALTY_CRITERION_LIFE_POINTS);
    assert_int_equal(settings->window.kind, LOYALTY_WINDOW_ROLLING);
    assert_int_equal(settings->window.days, 365);
    assert_int_equal(settings->window.grace_days, 30);
    assert_int_equal(settings->segments.new_days, 0);
    assert_int_equal(settings->segments.recurring_days, 36500);
    assert_int_equal(settings->segments.vip_points, 1000000000000);
    assert_int_equal(settings->attribution_days, 7);
    assert_text(settings->sign_in_url, "/login?next=/a");
    assert_int_equal(program->ntiers, 0);

    /* The site's own language answers for those that have no text. */
    assert_text(loyalty_text(&settings->tier_page_title, loyalty_str("de")),
                "Le club");
    assert_text(loyalty_text(&settings->tier_page_title, loyalty_str("en-GB")),
                "Club");

    assert_ptr_equal(loyalty_program_design(program, settings->design),
                     &program->designs[0]);
    assert_text(program->designs[0].css, "a{}\n");
    done(&reading);
}

static void
statuses_are_sorted_by_threshold(void **state)
{
    reading_t reading;
    loyalty_program_t *program = read_text(&reading, "{" SETTINGS ","
        "\"statuses\":[{\"id\":\"b\",\"threshold\":500},"
        "{\"id\":\"a\",\"threshold\":0,\"multiplier\":\"1.25\","
        "\"color\":\"#123abc\",\"image\":\"/a.png\",\"name\":\"First\","
        "\"description\":{\"en\":\"Two\\nlines\"}},"
        "{\"id\":\"c\",\"threshold\":1000000000000000,\"multiplier\":2}]}");

    (void)state;

    assert_non_null(program);
    assert_int_equal(program->ntiers, 3);
    assert_text(program->tiers[0].id, "a");
    assert_int_equal(program->tiers[0].multiplier, 125);
    assert_text(program->tiers[0].color, "#123abc");
    assert_text(loyalty_text(&program->tiers[0].name, loyalty_str("fr")),
                "First");
    assert_text(program->tiers[1].id, "b");
    assert_text(loyalty_text(&program->tiers[1].name, loyalty_str("en")), "b");
    assert_int_equal(program->tiers[2].multiplier, 200);
    assert_ptr_equal(loyalty_program_tier(program, loyalty_str("c")),
                     &program->tiers[2]);
    assert_null(loyalty_program_tier(program, loyalty_str("d")));
    done(&reading);
}

static void
segment_statuses_keep_their_order(void **state)
{
    reading_t reading;
    loyalty_program_t *program = read_text(&reading,
        "{\"settings\":{\"id\":\"demo\",\"currency\":\"GBP\","
        "\"criterion\":\"segment\"},\"statuses\":["
        "{\"id\":\"z\",\"segment\":\"vip\"},{\"id\":\"y\",\"segment\":\"new\"},"
        "{\"id\":\"x\",\"segment\":\"new\"}]}");

    (void)state;

    assert_non_null(program);
    assert_text(program->tiers[0].id, "z");
    assert_int_equal(program->tiers[0].segment, LOYALTY_SEGMENT_VIP);
    assert_text(program->tiers[2].id, "x");
    done(&reading);
}

static void
categories_come_from_the_line_or_the_first_pattern(void **state)
{
    reading_t reading;
    loyalty_program_t *program = read_text(&reading, "{" SETTINGS ","
        "\"categories\":[{\"pattern\":\"8\\\\d{4}[A-Z]?\","
        "\"category\":\"home/lighting\"},"
        "{\"pattern\":\"8.*\",\"category\":\"home\"}]}");

    (void)state;

    assert_non_null(program);
    assert_text(loyalty_program_category(program, loyalty_str("85123A"),
                                         loyalty_str("own")), "own");
    assert_text(loyalty_program_category(program, loyalty_str("85123A"),
                                         loyalty_str("")), "home/lighting");
    assert_text(loyalty_program_category(program, loyalty_str("85123AX"),
                                         loyalty_str("")), "home");
    assert_text(loyalty_program_category(program, loyalty_str("x85123A"),
                                         loyalty_str("")), "");
    done(&reading);
}

static void
all_mistakes_are_told_at_once_each_at_its_place(void **state)
{
    (void)state;

    PROBLEMS("", "");
    PROBLEMS("[]", "");
    PROBLEMS("{\"a\":1,\"a\":2}", "");
    PROBLEMS("{}", "/settings");
    PROBLEMS("{\"settings\":null}", "/settings");
    PROBLEMS("{\"settings\":[]}", "/settings");
    PROBLEMS("{\"settings\":{}}", "/settings/id", "/settings/currency");
    PROBLEMS("{" SETTINGS ",\"version\":-1,\"x-y/z~\":1}", "/version",
             "/x-y~1z~0");
    PROBLEMS("{\"settings\":{\"id\":\"De mo\",\"currency\":\"gbp\","
             "\"time_zone\":\"Mars\\\\Base\",\"locales\":[\"en\",\"e\","
             "\"en\",7],\"active\":1,\"earn_rate\":\"1.00001\","
             "\"points_expire_days\":36501,\"points_pending_days\":1.0,"
             "\"return_policy\":\"never\",\"criterion\":\"money\","
             "\"window\":{\"kind\":\"rolling\",\"grace_days\":-1},"
             "\"segments\":{\"new\":-1,\"recurring\":36501,\"at_risk\":\"1\","
             "\"vip\":1000000000001,\"old\":1},\"attribution_days\":true,"
             "\"design\":\"none\",\"sign_in_url\":\"//evil.example/\","
             "\"tier_page_title\":7,\"minimum\":3}}",
             "/settings/id", "/settings/currency", "/settings/time_zone",
             "/settings/locales/1", "/settings/locales/2",
             "/settings/locales/3", "/settings/active", "/settings/earn_rate",
             "/settings/points_expire_days", "/settings/points_pending_days",
             "/settings/return_policy", "/settings/criterion",
             "/settings/window/days", "/settings/window/grace_days",
             "/settings/segments/new", "/settings/segments/recurring",
             "/settings/segments/at_risk", "/settings/segments/vip",
             "/settings/segments/old", "/settings/attribution_days",
             "/settings/design", "/settings/sign_in_url",
             "/settings/tier_page_title", "/settings/minimum");
    PROBLEMS("{\"settings\":{\"id\":\"a\",\"currency\":\"GBP\","
             "\"window\":{\"days\":3}}}", "/settings/window/days");
    PROBLEMS("{\"settings\":{\"id\":\"a\",\"currency\":\"GBP\","
             "\"messages\":{\"track_url\":\"https://a.example/?b\","
             "\"test_to\":\"anna\",\"cap\":-1},\"tier_page_title\":{}}}",
             "/settings/messages/track_url", "/settings/messages/test_to",
             "/settings/messages/cap", "/settings/tier_page_title");
    PROBLEMS("{" SETTINGS ",\"designs\":[{\"id\":\"a\",\"colors\":[]}]}",
             "/designs/0/colors");
    PROBLEMS("{" SETTINGS ",\"statuses\":[{\"id\":\"a\",\"threshold\":1},"
             "{\"id\":\"a\",\"threshold\":1},{\"id\":\"-\",\"threshold\":-1},"
             "{\"id\":\"c\"},{\"id\":\"d\",\"threshold\":3,\"segment\":"
             "\"new\"},7,{\"id\":\"e\",\"threshold\":4,\"name\":{\"e\":\"x\","
             "\"fr\":\"\"},\"color\":\"red\",\"image\":\"http://a/\","
             "\"multiplier\":\"-1\",\"description\":{}}]}",
             "/statuses/1/id", "/statuses/1/threshold", "/statuses/2/id",
             "/statuses/2/threshold", "/statuses/3/threshold",
             "/statuses/4/segment", "/statuses/5", "/statuses/6/name/e",
             "/statuses/6/name/fr", "/statuses/6/color", "/statuses/6/image",
             "/statuses/6/multiplier", "/statuses/6/description");
    PROBLEMS("{\"settings\":{\"id\":\"a\",\"currency\":\"GBP\",\"criterion\":"
             "\"segment\"},\"statuses\":[{\"id\":\"a\",\"threshold\":1},"
             "{\"id\":\"b\",\"segment\":\"rich\"}]}",
             "/statuses/0/segment", "/statuses/0/threshold",
             "/statuses/1/segment");
    PROBLEMS("{" SETTINGS ",\"designs\":[{\"id\":\"a\",\"colors\":{\"a b\":"
             "\"#000000\",\"b\":\"#00\"},\"fonts\":{\"body\":\"x;}\","
             "\"foot\":\"a\"},\"logo\":\"javascript:a\","
             "\"css\":\"a{}</STYLE>\",\"template\":\"{{#a}}\"}]}",
             "/designs/0/colors/a b", "/designs/0/colors/b",
             "/designs/0/fonts/body", "/designs/0/fonts/foot",
             "/designs/0/logo", "/designs/0/css", "/designs/0/template");
    PROBLEMS("{" SETTINGS ",\"templates\":[{\"id\":\"a\",\"channel\":"
             "\"fax\"},{\"id\":\"b\",\"channel\":\"sms\",\"html\":\"x\","
             "\"text\":\"{{#a}}\"},{\"channel\":\"email\",\"html\":\"x\"}]}",
             "/templates/0/channel", "/templates/0/text", "/templates/1/html",
             "/templates/1/text", "/templates/2/id");
    PROBLEMS("{" SETTINGS ",\"categories\":[{\"pattern\":\"(\","
             "\"category\":\"/a\"},{}]}",
             "/categories/0/pattern", "/categories/0/category",
             "/categories/1/pattern", "/categories/1/category");
    PROBLEMS("{" SETTINGS ",\"statuses\":{},\"designs\":7}", "/statuses",
             "/designs");
}

static void
limits_are_kept(void **state)
{
    static const struct {
        const char *part, *item;
        size_t max;
    } cases[] = {
        {"statuses", "7", LOYALTY_PROGRAM_STATUSES_MAX},
        {"designs", "7", LOYALTY_PROGRAM_DESIGNS_MAX},
        {"templates", "7", LOYALTY_PROGRAM_TEMPLATES_MAX},
        {"categories", "7", LOYALTY_PROGRAM_CATEGORIES_MAX},
    };
    char before[200], pointer[40], *text;
    reading_t reading;
    size_t i;

    (void)state;

    for (i = 0; i < COUNT(cases); i++) {
        snprintf(before, sizeof(before), "{" SETTINGS ",\"%s\":[",
                 cases[i].part);
        snprintf(pointer, sizeof(pointer), "/%s", cases[i].part);
        text = repeat(before, cases[i].item, cases[i].max + 1, "]}");
        PROBLEMS(text, pointer);
        free(text);

        text = repeat(before, cases[i].item, cases[i].max, "]}");
        read_text(&reading, text);
        assert_int_equal(reading.problems.count, cases[i].max);
        done(&reading);
        free(text);
    }

    text = repeat("{\"settings\":{\"id\":\"a\",\"currency\":\"GBP\",\"name\":"
                  "\"", "\xc3\xa9", LOYALTY_NAME_MAX, "\"}}");
    PROBLEMS(text, "/settings/name");
    free(text);
}

static void
a_document_too_deep_or_too_large_is_not_looked_into(void **state)
{
    char *text = malloc(LOYALTY_PROGRAM_SIZE_MAX + 2);
    reading_t reading;
    size_t depth;

    (void)state;
    assert_non_null(text);

    memset(text, ' ', LOYALTY_PROGRAM_SIZE_MAX + 1);
    memcpy(text, "{" SETTINGS "}", strlen("{" SETTINGS "}"));
    assert_non_null(read_bytes(&reading, text, LOYALTY_PROGRAM_SIZE_MAX));
    done(&reading);
    assert_null(read_bytes(&reading, text, LOYALTY_PROGRAM_SIZE_MAX + 1));
    assert_int_equal(reading.status, LOYALTY_ERROR_LIMIT);
    assert_int_equal(reading.problems.count, 1);
    done(&reading);

    for (depth = LOYALTY_JSON_DEPTH_MAX - 1; depth <= LOYALTY_JSON_DEPTH_MAX;
         depth++) {
        sprintf(text, "{\"a\":");
        memset(text + 5, '[', depth);
        memset(text + 5 + depth, ']', depth);
        sprintf(text + 5 + 2 * depth, "}");
        assert_null(read_text(&reading, text));
        assert_int_equal(reading.status, depth < LOYALTY_JSON_DEPTH_MAX
                                             ? LOYALTY_ERROR_INVALID
                                             : LOYALTY_ERROR_LIMIT);
        done(&reading);
    }

    free(text);
}

static void
a_site_begins_with_the_default_program(void **state)
{
    loyalty_arena_t arena;
    loyalty_problems_t problems;
    loyalty_program_t *program;
    json_t *document;

    (void)state;

    assert_null(loyalty_program_default(loyalty_str("a"), loyalty_str("ABC")));

    document = loyalty_program_default(loyalty_str("shop"),
                                       loyalty_str("EUR"));
    assert_non_null(document);
    loyalty_arena_init(&arena, 0);
    loyalty_problems_init(&problems, &arena);
    assert_int_equal(loyalty_program_from_json(document, &problems, &program),
                     LOYALTY_OK);
    json_decref(document);
    assert_text(program->settings.id, "shop");
    assert_text(program->settings.locales[1], "fr");
    assert_int_equal(program->ntiers, 3);
    loyalty_program_free(program);
    loyalty_arena_free(&arena);
}

/* Written with its defaults and read again, a program is written the same,
 * and all that stood in the first document still stands. */
static void
a_round_trip_loses_nothing(void **state)
{
    static const char *const documents[] = {
        "{" SETTINGS "}",
        "{\"version\":3,\"settings\":{\"id\":\"a\",\"currency\":\"JPY\","
        "\"window\":{\"kind\":\"rolling\",\"days\":30},"
        "\"earn_rate\":\"1.50\",\"name\":null},"
        "\"statuses\":[{\"id\":\"z\",\"threshold\":9},"
        "{\"id\":\"b\",\"threshold\":3,\"name\":{\"fr\":\"B\"}}],"
        "\"designs\":[{\"id\":\"d\",\"colors\":{\"a\":\"#000000\"}}],"
        "\"templates\":[{\"id\":\"t\",\"channel\":\"sms\",\"text\":\"x\"}],"
        "\"categories\":[{\"pattern\":\"a\",\"category\":\"b\"}]}",
    };
    json_t *first, *second;
    reading_t reading, again;
    char *text;
    size_t i;

    (void)state;

    for (i = 0; i < COUNT(documents); i++) {
        assert_non_null(read_text(&reading, documents[i]));
        first = loyalty_program_to_json(reading.program);
        text = json_dumps(first, 0);
        assert_non_null(read_text(&again, text));
        second = loyalty_program_to_json(again.program);
        assert_true(json_equal(first, second));
        assert_int_equal(again.program->ntiers, reading.program->ntiers);
        assert_int_equal(again.program->settings.earn_rate,
                         reading.program->settings.earn_rate);
        free(text);
        json_decref(first);
        json_decref(second);
        done(&again);
        done(&reading);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_absent_takes_its_default),
        cmocka_unit_test(default_statuses_go_by_the_currency),
        cmocka_unit_test(settings_are_read),
        cmocka_unit_test(statuses_are_sorted_by_threshold),
        cmocka_unit_test(segment_statuses_keep_their_order),
        cmocka_unit_test(categories_come_from_the_line_or_the_first_pattern),
        cmocka_unit_test(all_mistakes_are_told_at_once_each_at_its_place),
        cmocka_unit_test(limits_are_kept),
        cmocka_unit_test(a_document_too_deep_or_too_large_is_not_looked_into),
        cmocka_unit_test(a_site_begins_with_the_default_program),
        cmocka_unit_test(a_round_trip_loses_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
