/*
 * A member's Redis value from JSON, for the test suites:
 *
 *     member '{"id": "anna", "spent_total": 123456, "points": 42}' |
 *         redis-cli -x SET 'loyalty:m:{demo}:anna'
 *
 * Fields are those of loyalty_member_t by name; absent ones as in a member
 * nobody has seen before.  An instant is RFC 3339 text, or a number of seconds
 * from now.  "points" and "credits" open a lot that never expires, "pending" a
 * lot that starts in a day, "life" is the life points ("points" by default);
 * an entitlement is {"id", "offer", "state": "owned"|"applied"|"redeemed",
 * "expires_at"}.
 *
 * Compiled with core/ by t/lib/Loyalty.pm.
 */

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "loyalty_member.h"

static loyalty_arena_t arena;
static loyalty_instant_t now;

static void
die(const char *what, const char *key)
{
    fprintf(stderr, "member: %s: %s\n", what, key);
    exit(1);
}

static void *
take(size_t size)
{
    void *p = loyalty_alloc(&arena, size);

    if (p == NULL) {
        die("out of memory", "");
    }

    return p;
}

static void
text(json_t *json, const char *key, loyalty_str_t *target)
{
    json_t *value = json_object_get(json, key);

    if (value != NULL) {
        *target = (loyalty_str_t){json_string_value(value),
                                  json_string_length(value)};
    }
}

static void
number(json_t *json, const char *key, int64_t *target)
{
    json_t *value = json_object_get(json, key);

    if (value != NULL) {
        *target = json_integer_value(value);
    }
}

static void
instant(json_t *json, const char *key, loyalty_instant_t *target)
{
    json_t *value = json_object_get(json, key);

    if (json_is_integer(value)) {
        *target = now + json_integer_value(value) * LOYALTY_SECOND;

    } else if (json_is_string(value)
               && loyalty_instant_parse(
                      loyalty_str_from(json_string_value(value)), target)
                      != LOYALTY_OK)
    {
        die("not an instant", key);
    }
}

static void
lot(loyalty_ledger_t *ledger, const char *id, int64_t amount,
    loyalty_instant_t starts_at)
{
    if (amount == 0) {
        return;
    }

    if (ledger->lots == NULL) {
        ledger->lots = take(2 * sizeof(loyalty_lot_t));
        ledger->lots_capacity = 2;
    }

    ledger->lots[ledger->nlots++] = (loyalty_lot_t){
        .id = loyalty_str_from(id),
        .amount = amount,
        .remaining = amount,
        .created_at = now - LOYALTY_HOUR,
        .starts_at = starts_at,
        .expires_at = LOYALTY_NEVER,
    };
    ledger->credited += amount;
    ledger->entries++;
}

static void
ledgers(json_t *json, loyalty_member_t *member)
{
    int64_t points = 0, pending = 0, credits = 0;

    number(json, "points", &points);
    number(json, "pending", &pending);
    number(json, "credits", &credits);

    lot(&member->points, "points", points, now - LOYALTY_HOUR);
    lot(&member->points, "pending", pending, now + LOYALTY_DAY);
    lot(&member->credits, "credits", credits, now - LOYALTY_HOUR);

    member->points.life = points;
    number(json, "life", &member->points.life);
    member->points.entries += member->points.life != 0;
}

static loyalty_entitlement_state_t
state(json_t *json)
{
    const char *name = json_string_value(json_object_get(json, "state"));

    return name == NULL || strcmp(name, "owned") == 0
               ? LOYALTY_ENTITLEMENT_OWNED
           : strcmp(name, "applied") == 0 ? LOYALTY_ENTITLEMENT_APPLIED
                                          : LOYALTY_ENTITLEMENT_REDEEMED;
}

static void
entitlements(json_t *json, loyalty_member_t *member)
{
    json_t *list = json_object_get(json, "entitlements"), *item;
    size_t i;

    member->entitlements =
        take((json_array_size(list) + 1) * sizeof(loyalty_entitlement_t));

    json_array_foreach(list, i, item) {
        loyalty_entitlement_t *entitlement =
            &member->entitlements[member->nentitlements++];

        entitlement->state = state(item);
        entitlement->acquired_at = now - LOYALTY_HOUR;
        entitlement->expires_at = LOYALTY_NEVER;
        entitlement->held_until = LOYALTY_UNKNOWN;
        text(item, "id", &entitlement->id);
        text(item, "offer", &entitlement->offer);
        instant(item, "expires_at", &entitlement->expires_at);
    }
}

int
main(int argc, char **argv)
{
    json_error_t error;
    loyalty_member_t member;
    loyalty_str_t id = loyalty_str("member"), bytes;
    json_t *json = argc == 2 ? json_loads(argv[1], 0, &error) : NULL;
    struct timespec clock;

    if (!json_is_object(json)) {
        die("usage", "member JSON");
    }

    clock_gettime(CLOCK_REALTIME, &clock);
    now = clock.tv_sec * LOYALTY_SECOND + clock.tv_nsec / 1000000;

    loyalty_arena_init(&arena, 0);
    text(json, "id", &id);
    loyalty_member_init(&member, id);

    member.version = 1;
    member.registered = json_is_true(json_object_get(json, "registered"));
    number(json, "version", &member.version);
    number(json, "order_count", &member.order_count);
    number(json, "spent_total", &member.spent_total);
    instant(json, "signed_up_at", &member.signed_up_at);
    instant(json, "last_visit_at", &member.last_visit_at);
    instant(json, "previous_visit_at", &member.previous_visit_at);
    instant(json, "last_order_at", &member.last_order_at);
    instant(json, "deleted_at", &member.deleted_at);
    text(json, "tier", &member.tier);
    text(json, "tier", &member.own_tier);
    text(json, "email", &member.email);
    text(json, "name", &member.name);
    text(json, "locale", &member.locale);
    ledgers(json, &member);
    entitlements(json, &member);

    if (loyalty_member_encode(&member, &arena, &bytes) != LOYALTY_OK
        || loyalty_member_decode(bytes, &arena, &member) != LOYALTY_OK)
    {
        die("cannot be encoded", argv[1]);
    }

    return fwrite(bytes.data, 1, bytes.len, stdout) == bytes.len ? 0 : 1;
}
