/*
 * Webhooks of a program: reading them, and signing what they are sent.
 */

#include "loyalty_webhook.h"

#include <inttypes.h>
#include <stdio.h>

#include "loyalty_program_private.h"
#include "loyalty_token.h"

static const loyalty_name_t event_names[] = {
    {"order.applied", LOYALTY_EVENT_ORDER_APPLIED},
    {"status.up", LOYALTY_EVENT_STATUS_UP},
    {"status.down", LOYALTY_EVENT_STATUS_DOWN},
    {"points.added", LOYALTY_EVENT_POINTS_ADDED},
    {"points.expired", LOYALTY_EVENT_POINTS_EXPIRED},
    {"offer.redeemed", LOYALTY_EVENT_OFFER_REDEEMED},
    {"message.sent", LOYALTY_EVENT_MESSAGE_SENT},
    {"message.opened", LOYALTY_EVENT_MESSAGE_OPENED},
    {"message.clicked", LOYALTY_EVENT_MESSAGE_CLICKED},
    {"message.converted", LOYALTY_EVENT_MESSAGE_CONVERTED},
    {"message.failed", LOYALTY_EVENT_MESSAGE_FAILED},
    {"message.unsubscribed", LOYALTY_EVENT_MESSAGE_UNSUBSCRIBED},
    {NULL, 0},
};

#define NEVENTS (sizeof(event_names) / sizeof(event_names[0]) - 1)

const char *
loyalty_event_name(loyalty_event_t event)
{
    const char *name = loyalty_name_of(event_names, (int)event);

    return name == NULL ? "" : name;
}

loyalty_event_t
loyalty_event_named(loyalty_str_t name)
{
    size_t i;

    for (i = 0; i < NEVENTS; i++) {
        if (loyalty_str_eq(name, loyalty_str_from(event_names[i].name))) {
            return (loyalty_event_t)event_names[i].value;
        }
    }

    return (loyalty_event_t)0;
}

static const char *
check_event(loyalty_str_t text)
{
    return loyalty_event_named(text) != 0
               ? NULL
               : "must be an event such as \"order.applied\" or "
                 "\"points.added\"";
}

static bool
is_alphanumeric(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z')
           || (c >= 'a' && c <= 'z');
}

/* A host and maybe a port; no user, no fragment. */
static const char *
check_webhook_url(loyalty_str_t text)
{
    static const char in_host[] = ".:[]_-";
    static const char in_path[] = "!$%&()*+,./:;=?@[]_~-";
    size_t i, start = 0;
    bool good, path = false;
    char c;

    if (text.len > 7 && memcmp(text.data, "http://", 7) == 0) {
        start = 7;
    } else if (text.len > 8 && memcmp(text.data, "https://", 8) == 0) {
        start = 8;
    }

    good = start != 0 && text.len <= LOYALTY_URL_MAX
           && (is_alphanumeric(text.data[start]) || text.data[start] == '[');

    for (i = start; good && i < text.len; i++) {
        c = text.data[i];
        path |= c == '/' || c == '?';
        good = c != '\0'
               && (is_alphanumeric(c)
                   || strchr(path ? in_path : in_host, c) != NULL);
    }

    return good ? NULL
                : "must be a URL such as \"https://shop.example/hook\", "
                  "without a user or a fragment, at most 2048 characters";
}

static void
read_events(loyalty_reader_t *reader, json_t *value, void *target)
{
    loyalty_str_t *names;
    size_t i, n;

    if (value == NULL) {
        return;
    }

    names = loyalty_read_strings(reader, value, NEVENTS, check_event, &n);
    if (json_is_array(value) && json_array_size(value) == 0) {
        loyalty_report(reader, NULL, "must name at least one event");
    }

    for (i = 0; i < n; i++) {
        *(unsigned *)target |= (unsigned)loyalty_event_named(names[i]);
    }
}

static const loyalty_field_t webhook_fields[] = {
    {.name = "id", .kind = LOYALTY_FIELD_STRING, .required = true,
     .check = loyalty_check_id,
     .offset = offsetof(loyalty_webhook_t, id)},
    {.name = "url", .kind = LOYALTY_FIELD_STRING, .required = true,
     .check = check_webhook_url,
     .offset = offsetof(loyalty_webhook_t, url)},
    {.name = "events", .kind = LOYALTY_FIELD_OTHER, .required = true,
     .read = read_events,
     .offset = offsetof(loyalty_webhook_t, events)},
    {.name = "enabled", .kind = LOYALTY_FIELD_BOOL,
     .offset = offsetof(loyalty_webhook_t, enabled), .absent = true},
};

static const loyalty_shape_t webhook_shape = LOYALTY_SHAPE(
    "a webhook", webhook_fields, loyalty_webhook_t, NULL);

void
loyalty_read_webhooks(loyalty_reader_t *reader, json_t *value, void *target)
{
    loyalty_settings_t *settings = &reader->program->settings;
    loyalty_webhook_t *list;
    size_t i, k, mark;

    (void)target;

    if (value == NULL) {
        return;
    }

    list = loyalty_read_objects(reader, value, NULL, LOYALTY_WEBHOOKS_MAX,
                                &webhook_shape, &settings->nwebhooks);
    settings->webhooks = list;

    for (i = 0; i < settings->nwebhooks; i++) {
        settings->events |= list[i].enabled ? list[i].events : 0;
        for (k = 0; k < i && list[i].id.len != 0; k++) {
            if (loyalty_str_eq(list[i].id, list[k].id)) {
                mark = loyalty_enter_index(reader, i);
                loyalty_report(reader, "id", "is the id of webhooks/%zu too: "
                               "give each an id of its own", k);
                loyalty_leave(reader, mark);
                break;
            }
        }
    }
}

const loyalty_webhook_t *
loyalty_program_webhook(const loyalty_program_t *program, loyalty_str_t id)
{
    size_t i;

    for (i = 0; i < program->settings.nwebhooks; i++) {
        if (loyalty_str_eq(program->settings.webhooks[i].id, id)) {
            return &program->settings.webhooks[i];
        }
    }

    return NULL;
}

loyalty_status_t
loyalty_webhook_sign(loyalty_str_t secret, loyalty_instant_t at,
                     loyalty_str_t body, loyalty_arena_t *arena,
                     char signature[LOYALTY_WEBHOOK_SIGNATURE_SIZE])
{
    char *text = loyalty_alloc(arena, 24 + body.len), hex[65];
    loyalty_status_t rc;
    int len;

    if (text == NULL) {
        return LOYALTY_ERROR_MEMORY;
    }

    len = snprintf(text, 24, "%" PRId64 ".", at / LOYALTY_SECOND);
    if (body.len != 0) {
        memcpy(text + len, body.data, body.len);
    }

    rc = loyalty_hmac_hex(secret,
                          (loyalty_str_t){text, (size_t)len + body.len}, hex);
    if (rc == LOYALTY_OK) {
        snprintf(signature, LOYALTY_WEBHOOK_SIGNATURE_SIZE,
                 "t=%" PRId64 ",v1=%s", at / LOYALTY_SECOND, hex);
    }

    return rc;
}
