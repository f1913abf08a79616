/*
 * A member as the API shows it (DESIGN.md, "A member reads as").
 */

#include "loyalty_member.h"

static json_t *
text_or_null(loyalty_str_t text)
{
    return text.len == 0 ? json_null() : json_stringn(text.data, text.len);
}

static json_t *
instant_or_null(loyalty_instant_t instant)
{
    char text[LOYALTY_INSTANT_SIZE];
    size_t len;

    if (instant == LOYALTY_UNKNOWN || instant == LOYALTY_NEVER) {
        return json_null();
    }

    len = loyalty_instant_format(instant, text);
    return json_stringn(text, len);
}

json_t *
loyalty_strs_to_json(const loyalty_str_t *list, size_t n)
{
    json_t *array = json_array();
    size_t i;

    for (i = 0; i < n; i++) {
        json_array_append_new(array, json_stringn(list[i].data, list[i].len));
    }

    return array;
}

static json_t *
consent(unsigned channels)
{
    json_t *object = json_object();

    json_object_set_new(object, "email",
                        json_boolean(channels & LOYALTY_CHANNEL_EMAIL));
    json_object_set_new(object, "sms",
                        json_boolean(channels & LOYALTY_CHANNEL_SMS));
    json_object_set_new(object, "messenger",
                        json_boolean(channels & LOYALTY_CHANNEL_MESSENGER));
    json_object_set_new(object, "line",
                        json_boolean(channels & LOYALTY_CHANNEL_LINE));
    return object;
}

static json_t *
attributes(const loyalty_member_t *member)
{
    json_t *object = json_object();
    loyalty_str_t value;
    char name[LOYALTY_MEMBER_TEXT_MAX + 1];
    size_t i, len;

    for (i = 0; i < member->nattributes; i++) {
        len = member->attributes[i].name.len;
        if (len > LOYALTY_MEMBER_TEXT_MAX) {
            continue;
        }
        memcpy(name, member->attributes[i].name.data, len);
        name[len] = '\0';
        value = member->attributes[i].value;
        json_object_set_new(object, name, json_stringn(value.data, value.len));
    }

    return object;
}

static json_t *
balance_to_json(const loyalty_ledger_t *ledger, loyalty_instant_t at)
{
    loyalty_balance_t balance;
    json_t *object = json_object();

    loyalty_ledger_balance(ledger, at, &balance);
    json_object_set_new(object, "active", json_integer(balance.active));
    json_object_set_new(object, "pending", json_integer(balance.pending));
    json_object_set_new(object, "spent", json_integer(balance.spent));
    json_object_set_new(object, "expired", json_integer(balance.expired));
    json_object_set_new(object, "life", json_integer(balance.life));
    return object;
}

static json_t *
status_to_json(const loyalty_member_t *member, const loyalty_program_t *program,
               int index)
{
    const loyalty_tier_t *tier;
    loyalty_str_t name;
    json_t *object;

    if (index < 0) {
        return json_null();
    }

    tier = &program->tiers[index];
    name = loyalty_text(&tier->name, member->locale);

    object = json_object();
    json_object_set_new(object, "id", text_or_null(tier->id));
    json_object_set_new(object, "name", text_or_null(name));
    json_object_set_new(object, "color", text_or_null(tier->color));
    json_object_set_new(object, "image", text_or_null(tier->image));
    return object;
}

static json_t *
progress_to_json(const loyalty_program_t *program,
                 const loyalty_tier_result_t *tier)
{
    json_t *object;

    if (program->settings.criterion == LOYALTY_CRITERION_SEGMENT) {
        return json_null();
    }

    object = json_object();
    json_object_set_new(object, "current",
                        tier->current < 0
                            ? json_null()
                            : text_or_null(program->tiers[tier->current].id));
    json_object_set_new(object, "next",
                        tier->next < 0
                            ? json_null()
                            : text_or_null(program->tiers[tier->next].id));
    json_object_set_new(object, "value", json_integer(tier->value));
    json_object_set_new(object, "remaining", json_integer(tier->remaining));
    json_object_set_new(object, "percent", json_integer(tier->percent));
    return object;
}

static void
set_segments(json_t *object, const loyalty_member_t *member,
             const loyalty_program_t *program, loyalty_instant_t at)
{
    loyalty_activity_t activity;
    loyalty_segment_t shown;
    json_t *array = json_array();
    unsigned set, bit;

    loyalty_member_activity(member, &activity);
    set = loyalty_segments(&program->settings.segments, &activity, at);
    shown = loyalty_segment_shown(set);

    for (bit = LOYALTY_SEGMENT_VIP; bit <= LOYALTY_SEGMENT_RECURRING;
         bit <<= 1) {
        if ((set & bit) != 0) {
            json_array_append_new(array, json_string(loyalty_segment_name(
                                             (loyalty_segment_t)bit)));
        }
    }

    json_object_set_new(object, "segments", array);
    json_object_set_new(object, "segment",
                        shown == 0 ? json_null()
                                   : json_string(loyalty_segment_name(shown)));
}

static json_t *
entitlements(const loyalty_member_t *member)
{
    static const char *const states[] = {
        [LOYALTY_ENTITLEMENT_OWNED] = "owned",
        [LOYALTY_ENTITLEMENT_APPLIED] = "applied",
        [LOYALTY_ENTITLEMENT_REDEEMED] = "redeemed",
    };
    const loyalty_entitlement_t *entitlement;
    json_t *array = json_array(), *object;
    size_t i;

    for (i = 0; i < member->nentitlements; i++) {
        entitlement = &member->entitlements[i];
        object = json_object();
        json_object_set_new(object, "id", text_or_null(entitlement->id));
        json_object_set_new(object, "offer_id",
                            text_or_null(entitlement->offer));
        json_object_set_new(object, "state",
                            json_string(states[entitlement->state]));
        json_object_set_new(object, "stamps",
                            json_integer(entitlement->stamps));
        json_object_set_new(object, "uses", json_integer(entitlement->uses));
        json_object_set_new(object, "acquired_at",
                            instant_or_null(entitlement->acquired_at));
        json_object_set_new(object, "expires_at",
                            instant_or_null(entitlement->expires_at));
        json_object_set_new(object, "code", text_or_null(entitlement->code));
        json_object_set_new(object, "bought",
                            json_boolean(entitlement->bought));
        json_object_set_new(object, "held_until",
                            instant_or_null(entitlement->held_until));
        json_array_append_new(array, object);
    }

    return array;
}

static void
set_profile(json_t *object, const loyalty_member_t *member)
{
    json_object_set_new(object, "id", text_or_null(member->id));
    json_object_set_new(object, "email", text_or_null(member->email));
    json_object_set_new(object, "phone", text_or_null(member->phone));
    json_object_set_new(object, "messenger_id",
                        text_or_null(member->messenger_id));
    json_object_set_new(object, "line_id", text_or_null(member->line_id));
    json_object_set_new(object, "name", text_or_null(member->name));
    json_object_set_new(object, "locale", text_or_null(member->locale));
    json_object_set_new(object, "registered", json_boolean(member->registered));
    json_object_set_new(object, "consent", consent(member->consent));
    json_object_set_new(object, "clubs",
                        loyalty_strs_to_json(member->clubs, member->nclubs));
    json_object_set_new(object, "groups",
                        loyalty_strs_to_json(member->groups, member->ngroups));
    json_object_set_new(object, "attributes", attributes(member));
}

json_t *
loyalty_member_to_json(const loyalty_member_t *member,
                       const loyalty_program_t *program, loyalty_instant_t at)
{
    json_t *object = json_object();
    loyalty_tier_result_t tier;

    loyalty_member_tier(member, program, at, &tier);

    set_profile(object, member);
    json_object_set_new(object, "signed_up_at",
                        instant_or_null(member->signed_up_at));
    json_object_set_new(object, "last_visit_at",
                        instant_or_null(member->last_visit_at));
    json_object_set_new(object, "last_order_at",
                        instant_or_null(member->last_order_at));
    json_object_set_new(object, "deleted_at",
                        instant_or_null(member->deleted_at));
    json_object_set_new(object, "order_count",
                        json_integer(member->order_count));
    json_object_set_new(object, "spent_total",
                        json_integer(member->spent_total));
    json_object_set_new(object, "points", balance_to_json(&member->points, at));
    json_object_set_new(object, "credits",
                        balance_to_json(&member->credits, at));
    json_object_set_new(object, "status",
                        status_to_json(member, program, tier.current));
    json_object_set_new(object, "progress", progress_to_json(program, &tier));
    set_segments(object, member, program, at);
    json_object_set_new(object, "manual_status",
                        text_or_null(member->manual_tier));
    json_object_set_new(object, "manual_until",
                        instant_or_null(member->manual_until));
    json_object_set_new(object, "entitlements", entitlements(member));
    json_object_set_new(object, "version", json_integer(member->version));
    return object;
}
