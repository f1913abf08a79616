/*
 * core/loyalty_ledger.c against what other engines publish: the "ledger" of
 * cases/examples.json in the folder that SHARED names, and of
 * t/data/published.json.
 */

#include "examples.h"
#include "world.h"

#include "loyalty_money.h"

typedef struct {
    world_t world;
    loyalty_order_t *orders[16];
    const char *order_ids[16];
    size_t norders;
    const char *seen[64]; /* ids of earn and debit */
    size_t nseen;
    json_t *refused;
    int64_t kinds[LOYALTY_ENTRY_ADJUST + 1];
} replay_t;

static json_int_t
number(json_t *object, const char *name)
{
    return json_integer_value(json_object_get(object, name));
}

static loyalty_str_t
text(json_t *object, const char *name)
{
    return loyalty_str_from(json_string_value(json_object_get(object, name)));
}

static void
count_kinds(replay_t *replay)
{
    const loyalty_entries_t *entries = &replay->world.effects.points;
    size_t i;

    for (i = 0; i < entries->n; i++) {
        replay->kinds[entries->list[i].kind]++;
    }
    world_count(&replay->world);
    world_check(&replay->world);
}

static loyalty_order_t **
find_order(replay_t *replay, const char *id)
{
    size_t i;

    for (i = 0; i < replay->norders; i++) {
        if (strcmp(replay->order_ids[i], id) == 0) {
            return &replay->orders[i];
        }
    }

    assert_true(replay->norders < COUNT(replay->orders));
    replay->order_ids[replay->norders] = id;
    return &replay->orders[replay->norders++];
}

static void
replay_order(replay_t *replay, json_t *json)
{
    loyalty_order_event_t event = {
        .order_id = text(json, "order_id"),
        .member_id = loyalty_str("m1"),
        .attempt = 1,
        .placed_at = number(json, "at"),
        .occurred_at = number(json, "at"),
        .currency = loyalty_str("GBP"),
        .total = number(json, "total"),
        .refund = {.id = text(json, "refund_id"), .amount = -1},
    };
    loyalty_str_t status = text(json, "status");
    loyalty_order_status_t candidate;

    for (candidate = LOYALTY_ORDER_PLACED; candidate <= LOYALTY_ORDER_REFUNDED;
         candidate++) {
        if (loyalty_str_eq(status, loyalty_str_from(
                                       loyalty_order_status_name(candidate)))) {
            event.status = candidate;
        }
    }
    if (json_object_get(json, "refund_value") != NULL) {
        event.refund.amount = number(json, "refund_value");
    }

    loyalty_order_apply(&replay->world.program, &replay->world.member,
                        find_order(replay, event.order_id.data), &event,
                        event.occurred_at, &replay->world.arena,
                        &replay->world.effects);
}

/* Who calls loyalty_member_grant keeps ids apart (Idempotency-Key). */
static bool
is_repeated(replay_t *replay, const char *id)
{
    size_t i;

    for (i = 0; i < replay->nseen; i++) {
        if (strcmp(replay->seen[i], id) == 0) {
            return true;
        }
    }

    assert_true(replay->nseen < COUNT(replay->seen));
    replay->seen[replay->nseen++] = id;
    return false;
}

static void
replay_grant(replay_t *replay, json_t *json, int64_t amount)
{
    world_t *world = &replay->world;
    json_t *expires_at = json_object_get(json, "expires_at");
    loyalty_str_t order = text(json, "order_id");
    loyalty_grant_t grant = {
        .amount = amount,
        .id = text(json, "id"),
        .starts_at = LOYALTY_UNKNOWN,
        .expires_at = json_is_integer(expires_at)
                          ? json_integer_value(expires_at)
                          : LOYALTY_NEVER,
        .earned = true,
        .cause = {.at = number(json, "at")},
    };
    loyalty_status_t rc;

    world->effects = (loyalty_effects_t){0};
    if (is_repeated(replay, grant.id.data)) {
        return;
    }

    if (order.len != 0) {
        rc = loyalty_order_spend(&world->program, &world->member,
                                 find_order(replay, order.data), order,
                                 grant.id, -amount, grant.cause.at,
                                 &world->arena, &world->effects);
    } else {
        rc = loyalty_member_grant(&world->member, &world->program, &grant,
                                  &world->arena, &world->effects);
    }

    if (rc != LOYALTY_OK) {
        json_array_append(replay->refused, json_object_get(json, "id"));
    }
}

static void
replay_events(replay_t *replay, json_t *events)
{
    world_t *world = &replay->world;
    loyalty_str_t type;
    json_t *event;
    size_t i;

    json_array_foreach(events, i, event)
    {
        type = text(event, "type");
        if (loyalty_str_eq(type, loyalty_str("order"))) {
            replay_order(replay, event);
        } else if (loyalty_str_eq(type, loyalty_str("earn"))) {
            replay_grant(replay, event, number(event, "amount"));
        } else if (loyalty_str_eq(type, loyalty_str("debit"))) {
            replay_grant(replay, event, -number(event, "amount"));
        } else if (loyalty_str_eq(type, loyalty_str("expire"))) {
            loyalty_member_evaluate(&world->member, &world->program,
                                    number(event, "at"), &world->arena,
                                    &world->effects);
        } else {
            fail_msg("an event of type %s", type.data);
        }
        count_kinds(replay);
    }
}

static void
replay_settings(replay_t *replay, json_t *settings)
{
    world_t *world = &replay->world;
    loyalty_str_t value;

    /* A status everybody holds, for the multiplier. */
    world->tiers[0].threshold = 0;
    world->program.ntiers = 1;

    value = text(settings, "earn_rate");
    if (value.len != 0) {
        assert_int_equal(
            loyalty_decimal_parse(value, 4, LOYALTY_ROUND_EXACT,
                                  &world->program.settings.earn_rate),
            LOYALTY_OK);
    }

    value = text(settings, "multiplier");
    if (value.len != 0) {
        assert_int_equal(loyalty_decimal_parse(value, 2, LOYALTY_ROUND_EXACT,
                                               &world->tiers[0].multiplier),
                         LOYALTY_OK);
    }

    value = text(settings, "return_policy");
    if (loyalty_str_eq(value, loyalty_str("unlimited"))) {
        world->program.settings.return_policy = LOYALTY_RETURN_UNLIMITED;
    } else if (loyalty_str_eq(value, loyalty_str("only_pending"))) {
        world->program.settings.return_policy = LOYALTY_RETURN_ONLY_PENDING;
    }
}

static json_t *
replay_result(const replay_t *replay, loyalty_instant_t at)
{
    const loyalty_ledger_t *ledger = &replay->world.member.points;
    json_t *lots = json_array();
    loyalty_balance_t balance;
    size_t i;

    for (i = 0; i < ledger->nlots; i++) {
        json_array_append_new(
            lots,
            json_pack("{s:s%, s:I, s:I}", "id", ledger->lots[i].id.data,
                      ledger->lots[i].id.len, "amount", ledger->lots[i].amount,
                      "remaining", ledger->lots[i].remaining));
    }

    loyalty_ledger_balance(ledger, at, &balance);
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:O, s:{s:I, s:I}}",
                     "active", balance.active, "pending", balance.pending,
                     "spent", balance.spent, "expired", balance.expired, "life",
                     balance.life, "revoked", balance.revoked, "lots", lots,
                     "refused", replay->refused, "entries", "expire",
                     replay->kinds[LOYALTY_ENTRY_EXPIRE], "revoke",
                     replay->kinds[LOYALTY_ENTRY_REVOKE]);
}

static void
assert_expected(const char *id, json_t *expected, json_t *result)
{
    json_t *value, *got, *kind;
    const char *name, *kind_name;
    bool equal;

    json_object_foreach(expected, name, value)
    {
        got = json_object_get(result, name);
        equal = json_equal(got, value);
        if (strcmp(name, "entries") == 0) {
            equal = true;
            json_object_foreach(value, kind_name, kind)
            {
                equal =
                    equal && json_equal(json_object_get(got, kind_name), kind);
            }
        }
        if (!equal) {
            fail_msg("%s: %s is %s, not %s", id, name,
                     json_dumps(got, JSON_ENCODE_ANY),
                     json_dumps(value, JSON_ENCODE_ANY));
        }
    }
}

static void
check(json_t *example)
{
    json_t *given = json_object_get(example, "given"), *result;
    replay_t replay = {.refused = json_array()};

    world_init(&replay.world);
    replay_settings(&replay, json_object_get(given, "settings"));
    replay_events(&replay, json_object_get(given, "events"));
    result = replay_result(&replay, number(given, "read_at"));
    assert_expected(json_string_value(json_object_get(example, "id")),
                    json_object_get(example, "expect"), result);
    json_decref(result);
    json_decref(replay.refused);
    world_free(&replay.world);
}

static void
the_shared_examples_come_out(void **state)
{
    (void)state;

    examples_shared("ledger", check);
}

static void
the_published_examples_come_out(void **state)
{
    (void)state;

    examples_published("ledger", check);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_shared_examples_come_out),
        cmocka_unit_test(the_published_examples_come_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
