/*
 * A member's profile, field by field: a table says which text goes where, the
 * others have a reader of their own.
 */

#include "loyalty_member_edit.h"

#include <stddef.h>
#include <stdio.h>

#define GROUP_LIFE (180 * LOYALTY_DAY)

static const struct {
    const char *name;
    size_t offset;
} texts[] = {
    {"email", offsetof(loyalty_member_t, email)},
    {"phone", offsetof(loyalty_member_t, phone)},
    {"messenger_id", offsetof(loyalty_member_t, messenger_id)},
    {"line_id", offsetof(loyalty_member_t, line_id)},
    {"name", offsetof(loyalty_member_t, name)},
    {"locale", offsetof(loyalty_member_t, locale)},
};

#define NTEXTS (sizeof(texts) / sizeof(texts[0]))

static const struct {
    const char *name;
    loyalty_channel_t channel;
} channels[] = {
    {"email", LOYALTY_CHANNEL_EMAIL},
    {"sms", LOYALTY_CHANNEL_SMS},
    {"messenger", LOYALTY_CHANNEL_MESSENGER},
    {"line", LOYALTY_CHANNEL_LINE},
};

#define NCHANNELS (sizeof(channels) / sizeof(channels[0]))

typedef struct {
    loyalty_member_t *member;
    loyalty_arena_t *arena;
    loyalty_problems_t *problems;
    loyalty_status_t status;
} edit_t;

/* "/" and a key, with the escapes of RFC 6901. */
static void
pointer(char *text, size_t size, const char *parent, const char *key)
{
    size_t n = (size_t)snprintf(text, size, "%s/", parent);

    for (; *key != '\0' && n + 3 < size; key++) {
        if (*key == '~' || *key == '/') {
            text[n++] = '~';
            text[n++] = *key == '~' ? '0' : '1';
        } else {
            text[n++] = *key;
        }
    }

    text[n] = '\0';
}

static void
report(edit_t *edit, const char *parent, const char *key, const char *message)
{
    char where[512];

    pointer(where, sizeof(where), parent, key);
    loyalty_problem(edit->problems, where, "%s", message);
}

/* A text without control characters, copied; false: reported. */
static bool
take_text(edit_t *edit, const char *parent, const char *key,
          const json_t *value, loyalty_str_t *text)
{
    const char *data = json_string_value(value);
    size_t len = json_string_length(value), i;

    if (json_is_null(value)) {
        *text = loyalty_str_null;
        return true;
    }

    if (data == NULL) {
        report(edit, parent, key, "must be a string or null");
        return false;
    }

    if (len > LOYALTY_MEMBER_TEXT_MAX) {
        report(edit, parent, key, "must have at most 1024 bytes");
        return false;
    }

    for (i = 0; i < len; i++) {
        if ((unsigned char)data[i] < ' ' || data[i] == 0x7f) {
            report(edit, parent, key, "must have no control characters");
            return false;
        }
    }

    if (loyalty_str_copy(edit->arena, (loyalty_str_t){data, len}, text)
        != LOYALTY_OK) {
        edit->status = LOYALTY_ERROR_MEMORY;
        return false;
    }

    return true;
}

static void
take_instant(edit_t *edit, const char *key, const json_t *value,
             loyalty_instant_t *instant)
{
    const char *text = json_string_value(value);

    if (json_is_null(value)) {
        *instant = LOYALTY_UNKNOWN;
    } else if (text == NULL
               || loyalty_instant_parse(loyalty_str_from(text), instant)
                      != LOYALTY_OK) {
        report(edit, "", key, "must be an instant such as "
               "\"2026-01-31T08:00:00Z\"");
    }
}

static void
take_consent(edit_t *edit, const json_t *value)
{
    const char *key;
    json_t *given;
    size_t i;

    if (!json_is_object(value)) {
        report(edit, "", "consent", "must be an object of channels");
        return;
    }

    json_object_foreach((json_t *)value, key, given) {
        for (i = 0; i < NCHANNELS && strcmp(channels[i].name, key) != 0; i++) {
        }

        if (i == NCHANNELS || !json_is_boolean(given)) {
            report(edit, "/consent", key,
                   "must be email, sms, messenger or line, true or false");
        } else if (json_is_true(given)) {
            edit->member->consent |= (unsigned)channels[i].channel;
        } else {
            edit->member->consent &= ~(unsigned)channels[i].channel;
        }
    }
}

static void
take_clubs(edit_t *edit, const json_t *value)
{
    size_t i, n = json_array_size(value);
    loyalty_str_t *clubs;
    char index[24];

    if (json_is_null(value)) {
        edit->member->nclubs = 0;
        return;
    }

    if (!json_is_array(value) || n > LOYALTY_MEMBER_LIST_MAX) {
        report(edit, "", "clubs", "must be an array of at most 1000 strings");
        return;
    }

    clubs = loyalty_alloc(edit->arena, (n == 0 ? 1 : n) * sizeof(*clubs));
    if (clubs == NULL) {
        edit->status = LOYALTY_ERROR_MEMORY;
        return;
    }

    for (i = 0; i < n; i++) {
        snprintf(index, sizeof(index), "%zu", i);
        if (!take_text(edit, "/clubs", index, json_array_get(value, i),
                       &clubs[i])) {
            return;
        }
        if (clubs[i].len == 0) {
            report(edit, "/clubs", index, "must not be empty");
        }
    }

    edit->member->clubs = clubs;
    edit->member->nclubs = n;
}

static void
drop_attribute(loyalty_member_t *member, loyalty_str_t name)
{
    size_t i;

    for (i = 0; i < member->nattributes; i++) {
        if (loyalty_str_eq(member->attributes[i].name, name)) {
            member->attributes[i] = member->attributes[--member->nattributes];
            return;
        }
    }
}

/* Merged: a string sets an attribute, null removes it. */
static void
take_attributes(edit_t *edit, const json_t *value)
{
    loyalty_member_t *member = edit->member;
    size_t n = member->nattributes + json_object_size(value);
    loyalty_attribute_t *list, *added;
    const char *key;
    json_t *given;

    if (!json_is_object(value)) {
        report(edit, "", "attributes", "must be an object of strings");
        return;
    }

    list = loyalty_alloc(edit->arena, (n == 0 ? 1 : n) * sizeof(*list));
    if (list == NULL) {
        edit->status = LOYALTY_ERROR_MEMORY;
        return;
    }

    if (member->nattributes != 0) {
        memcpy(list, member->attributes, member->nattributes * sizeof(*list));
    }
    member->attributes = list;

    json_object_foreach((json_t *)value, key, given) {
        drop_attribute(member, loyalty_str_from(key));
        if (json_is_null(given)) {
            continue;
        }

        added = &list[member->nattributes];
        if (key[0] == '\0' || strlen(key) > LOYALTY_MEMBER_TEXT_MAX) {
            report(edit, "/attributes", key,
                   "must have a name of 1 to 1024 bytes");
        } else if (take_text(edit, "/attributes", key, given, &added->value)) {
            if (loyalty_str_copy(edit->arena, loyalty_str_from(key),
                                 &added->name) != LOYALTY_OK) {
                edit->status = LOYALTY_ERROR_MEMORY;
                return;
            }
            member->nattributes++;
        }
    }

    if (member->nattributes > LOYALTY_MEMBER_LIST_MAX) {
        report(edit, "", "attributes", "must be at most 1000");
    }
}

/* Enough to catch a name in the wrong column; who is reached is for the mail
 * server to say. */
static void
check_email(edit_t *edit, loyalty_str_t email)
{
    const char *at = email.len == 0 ? NULL
                                    : memchr(email.data, '@', email.len);

    if (email.len != 0
        && (at == NULL || at == email.data || at == email.data + email.len - 1
            || memchr(at + 1, '@',
                      (size_t)(email.data + email.len - at - 1)) != NULL
            || memchr(email.data, ' ', email.len) != NULL)) {
        report(edit, "", "email", "must be an address, name@domain");
    }
}

static void
check_phone(edit_t *edit, loyalty_str_t phone)
{
    size_t i, digits = 0;

    for (i = 0; i < phone.len; i++) {
        digits += phone.data[i] >= '0' && phone.data[i] <= '9';
        if (strchr("0123456789+-()./ ", phone.data[i]) == NULL) {
            break;
        }
    }

    if (i < phone.len || (phone.len != 0 && (digits < 3 || digits > 20))) {
        report(edit, "", "phone", "must be 3 to 20 digits, with + - ( ) . / "
               "and blanks between them");
    }
}

static void
check_locale(edit_t *edit, loyalty_str_t locale)
{
    size_t i;

    for (i = 0; i < locale.len && i <= LOYALTY_LOCALE_MAX; i++) {
        if (strchr("-_", locale.data[i]) == NULL
            && !((locale.data[i] | 0x20) >= 'a'
                 && (locale.data[i] | 0x20) <= 'z')
            && !(locale.data[i] >= '0' && locale.data[i] <= '9')) {
            break;
        }
    }

    if (i < locale.len || i > LOYALTY_LOCALE_MAX) {
        report(edit, "", "locale", "must be a language tag: en, fr-CA");
    }
}

static void
take_manual(edit_t *edit, const json_t *fields)
{
    loyalty_member_t *member = edit->member;
    const json_t *status = json_object_get(fields, "manual_status");
    const json_t *until = json_object_get(fields, "manual_until");

    if (status != NULL) {
        member->manual_until = LOYALTY_UNKNOWN;
        if (take_text(edit, "", "manual_status", status, &member->manual_tier)
            && member->manual_tier.len != 0) {
            member->manual_until = LOYALTY_NEVER;
        }
    }

    if (until == NULL) {
        return;
    }

    if (member->manual_tier.len == 0) {
        report(edit, "", "manual_until", "needs a manual_status");
    } else if (json_is_null(until)) {
        member->manual_until = LOYALTY_NEVER;
    } else {
        take_instant(edit, "manual_until", until, &member->manual_until);
    }
}

static void
take_field(edit_t *edit, const char *key, const json_t *value)
{
    size_t i;

    for (i = 0; i < NTEXTS; i++) {
        if (strcmp(texts[i].name, key) == 0) {
            take_text(edit, "", key, value,
                      (loyalty_str_t *)(void *)((char *)edit->member
                                                + texts[i].offset));
            return;
        }
    }

    if (strcmp(key, "registered") == 0) {
        edit->member->registered = json_is_true(value);
        if (!json_is_boolean(value)) {
            report(edit, "", key, "must be true or false");
        }
    } else if (strcmp(key, "signed_up_at") == 0) {
        take_instant(edit, key, value, &edit->member->signed_up_at);
    } else if (strcmp(key, "consent") == 0) {
        take_consent(edit, value);
    } else if (strcmp(key, "clubs") == 0) {
        take_clubs(edit, value);
    } else if (strcmp(key, "attributes") == 0) {
        take_attributes(edit, value);
    } else if (strcmp(key, "id") != 0 && strcmp(key, "consent_source") != 0
               && strcmp(key, "manual_status") != 0
               && strcmp(key, "manual_until") != 0) {
        report(edit, "", key, "is not a field that can be set");
    }
}

loyalty_status_t
loyalty_member_edit(loyalty_member_t *member, const json_t *fields,
                    loyalty_arena_t *arena, loyalty_problems_t *problems)
{
    edit_t edit = {member, arena, problems, LOYALTY_OK};
    const char *key;
    json_t *value;

    if (member->deleted_at != LOYALTY_UNKNOWN) {
        return LOYALTY_ERROR_REFUSED;
    }

    json_object_foreach((json_t *)fields, key, value) {
        take_field(&edit, key, value);
    }

    take_manual(&edit, fields);
    if (json_object_get(fields, "email") != NULL) {
        check_email(&edit, member->email);
    }
    if (json_object_get(fields, "phone") != NULL) {
        check_phone(&edit, member->phone);
    }
    if (json_object_get(fields, "locale") != NULL) {
        check_locale(&edit, member->locale);
    }

    if (edit.status != LOYALTY_OK) {
        return edit.status;
    }

    if (problems->count != 0) {
        return LOYALTY_ERROR_INVALID;
    }

    member->version++;
    return LOYALTY_OK;
}

bool
loyalty_member_delete(loyalty_member_t *member, bool erase,
                      loyalty_instant_t now)
{
    size_t i;

    if (member->deleted_at != LOYALTY_UNKNOWN && member->erased >= erase) {
        return false;
    }

    for (i = 0; i < NTEXTS; i++) {
        *(loyalty_str_t *)(void *)((char *)member + texts[i].offset) =
            loyalty_str_null;
    }

    member->consent = 0;
    member->nclubs = 0;
    member->ngroups = 0;
    member->nattributes = 0;
    member->erased |= erase;
    if (member->deleted_at == LOYALTY_UNKNOWN) {
        member->deleted_at = now;
    }
    member->version++;

    return true;
}

static size_t
find_group(const loyalty_member_t *member, loyalty_str_t group)
{
    size_t i;

    for (i = 0; i < member->ngroups; i++) {
        if (loyalty_str_eq(member->groups[i], group)) {
            break;
        }
    }

    return i;
}

loyalty_status_t
loyalty_member_join(loyalty_member_t *member, loyalty_str_t group,
                    loyalty_arena_t *arena)
{
    size_t n = member->ngroups;
    loyalty_str_t *groups;

    if (member->deleted_at != LOYALTY_UNKNOWN) {
        return LOYALTY_ERROR_REFUSED;
    }

    if (find_group(member, group) < n) {
        return LOYALTY_OK;
    }

    if (n >= LOYALTY_MEMBER_LIST_MAX) {
        return LOYALTY_ERROR_LIMIT;
    }

    groups = loyalty_alloc(arena, (n + 1) * sizeof(*groups));
    if (groups == NULL) {
        return LOYALTY_ERROR_MEMORY;
    }

    if (n != 0) {
        memcpy(groups, member->groups, n * sizeof(*groups));
    }
    groups[n] = group;
    member->groups = groups;
    member->ngroups = n + 1;
    member->version++;

    return LOYALTY_OK;
}

/* The list may be shared with the member as read: order does not matter, so
 * the last one takes the place. */
bool
loyalty_member_leave(loyalty_member_t *member, loyalty_str_t group)
{
    size_t i = find_group(member, group);

    if (i == member->ngroups) {
        return false;
    }

    member->groups[i] = member->groups[--member->ngroups];
    member->version++;

    return true;
}

loyalty_instant_t
loyalty_group_ends_at(loyalty_instant_t created_at)
{
    return created_at + GROUP_LIFE;
}
