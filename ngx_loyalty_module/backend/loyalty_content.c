/*
 * One text for many members.
 */

#include "loyalty_content.h"

#include <stdio.h>

#include "loyalty_message.h"
#include "loyalty_mime.h"
#include "loyalty_template.h"

static const loyalty_channel_t channels[] = {
    LOYALTY_CHANNEL_EMAIL, LOYALTY_CHANNEL_SMS, LOYALTY_CHANNEL_MESSENGER,
    LOYALTY_CHANNEL_LINE};

#define NCHANNELS (sizeof(channels) / sizeof(channels[0]))

/* In the order of the request, and as the sender reads them. */
static const struct {
    const char *name;
    const char *field;
    size_t max;
    bool template;
} texts[] = {
    {"title", "subject", LOYALTY_NAME_MAX, true},
    {"content", "text", LOYALTY_TEMPLATE_SIZE_MAX, true},
    {"html", "html", LOYALTY_TEMPLATE_SIZE_MAX, true},
    {"sender_name", "name", LOYALTY_NAME_MAX, false},
    {"sender_address", "address", LOYALTY_NAME_MAX, false},
};

#define NTEXTS (sizeof(texts) / sizeof(texts[0]))

static void
problem(loyalty_problems_t *problems, const char *at, const char *name,
        const char *message)
{
    char pointer[64];

    snprintf(pointer, sizeof(pointer), "%s/%s", at, name);
    loyalty_problem(problems, pointer, "%s", message);
}

static unsigned
channel_bits(const json_t *list)
{
    loyalty_channel_t channel;
    unsigned bits = 0;
    json_t *value;
    size_t i;

    json_array_foreach((json_t *)list, i, value) {
        channel = loyalty_channel_named(
            (loyalty_str_t){json_string_value(value),
                            json_string_length(value)});
        if (channel == 0 || (bits & channel) != 0) {
            return 0;
        }
        bits |= channel;
    }

    return bits;
}

void
loyalty_content_check_channels(const json_t *json, const char *at,
                               json_t *params, loyalty_problems_t *problems)
{
    json_t *list = json_object_get(json, "channels");
    json_t *consent = json_object_get(json, "consent");
    const char *name = json_string_value(consent);

    if (channel_bits(list) == 0) {
        problem(problems, at, "channels", "must be an array of some of email, "
                "sms, messenger and line");
    }

    if (consent != NULL
        && (name == NULL
            || (strcmp(name, "opted_in") != 0 && strcmp(name, "all") != 0))) {
        problem(problems, at, "consent", "must be opted_in or all");
    }

    json_object_set(params, "channels", list);
    json_object_set_new(params, "consent",
                        json_string(name != NULL ? name : "opted_in"));
}

static void
check_text(const json_t *json, const char *at, size_t i,
           loyalty_problems_t *problems)
{
    const json_t *value = json_object_get(json, texts[i].name);
    loyalty_template_t *compiled;
    loyalty_problems_t own;
    char pointer[64];
    size_t j;

    if (value == NULL) {
        return;
    }

    snprintf(pointer, sizeof(pointer), "%s/%s", at, texts[i].name);

    if (!json_is_string(value) || json_string_length(value) > texts[i].max) {
        loyalty_problem(problems, pointer, "must be a text of at most %zu "
                        "bytes", texts[i].max);
    } else if (texts[i].template) {
        loyalty_problems_init(&own, problems->arena);
        if (loyalty_template_compile(
                (loyalty_str_t){json_string_value(value),
                                json_string_length(value)},
                &own, &compiled) == LOYALTY_OK) {
            loyalty_template_free(compiled);
            return;
        }

        for (j = 0; j < own.count && j < LOYALTY_PROBLEMS_MAX; j++) {
            loyalty_problem(problems, pointer, "%.*s: %.*s",
                            (int)own.list[j].pointer.len,
                            own.list[j].pointer.data,
                            (int)own.list[j].message.len,
                            own.list[j].message.data);
        }

        if (own.count == 0) {
            loyalty_problem(problems, pointer, "is no valid template");
        }
    }
}

static bool
has_text(const json_t *json, const char *name)
{
    return json_string_length(json_object_get(json, name)) != 0;
}

static bool
is_address(const json_t *text)
{
    return loyalty_mime_is_address((loyalty_str_t){
        json_string_value(text), json_string_length(text)});
}

void
loyalty_content_check(const json_t *json, const char *at, json_t *params,
                      loyalty_problems_t *problems)
{
    unsigned bits = channel_bits(json_object_get(json, "channels"));
    size_t i;

    if (!json_is_object(json)) {
        loyalty_problem(problems, at, "must be an object");
        return;
    }

    loyalty_content_check_channels(json, at, params, problems);
    for (i = 0; i < NTEXTS; i++) {
        check_text(json, at, i, problems);
    }

    if ((bits & LOYALTY_CHANNEL_EMAIL) != 0) {
        if (!has_text(json, "title")) {
            problem(problems, at, "title", "is missing: an e-mail needs it");
        }
        if (!has_text(json, "sender_address")) {
            problem(problems, at, "sender_address",
                    "is missing: an e-mail needs it");
        } else if (!is_address(json_object_get(json, "sender_address"))) {
            problem(problems, at, "sender_address",
                    "must be an address such as \"shop@example.com\"");
        }
    }
    if (!has_text(json, "content")
        && (bits != LOYALTY_CHANNEL_EMAIL || !has_text(json, "html"))) {
        problem(problems, at, "content",
                "is missing: a message says something");
    }
}

void
loyalty_content_write(loyalty_api_call_t *call, const json_t *json,
                      loyalty_str_t job)
{
    const json_t *value;
    size_t i;

    loyalty_api_command(call, "HSET", "ct", job, 2 * NTEXTS);
    for (i = 0; i < NTEXTS; i++) {
        value = json_object_get(json, texts[i].name);
        loyalty_arg_text(&call->session->commands, texts[i].field);
        loyalty_arg(&call->session->commands,
                    (loyalty_str_t){json_string_value(value),
                                    json_string_length(value)});
    }
}

static void
count(json_t *object, const char *name)
{
    json_object_set_new(
        object, name,
        json_integer(json_integer_value(json_object_get(object, name)) + 1));
}

static json_t *
member_of(json_t *object, const char *name)
{
    json_t *value = json_object_get(object, name);

    if (value == NULL) {
        value = json_object();
        json_object_set_new(object, name, value);
    }

    return value;
}

static void
send_one(const loyalty_job_t *job, const loyalty_member_t *member,
         loyalty_channel_t channel, bool opted_in, loyalty_commands_t *writes)
{
    char id[LOYALTY_MESSAGE_ID_SIZE];
    loyalty_message_t message = {
        .content = job->id,
        .opted_in = opted_in,
        .member = member->id,
        .channel = channel,
        .created_at = job->now,
        .due_at = job->now,
    };

    loyalty_message_id(job->id, member->id, (int64_t)channel, id);
    message.id = loyalty_str_from(id);
    loyalty_message_write(&message, &job->scope, writes);
}

void
loyalty_content_reach(loyalty_job_t *job, const json_t *params,
                      const loyalty_member_t *member, bool send,
                      loyalty_commands_t *writes)
{
    unsigned bits = channel_bits(json_object_get(params, "channels"));
    const char *consent = json_string_value(json_object_get(params,
                                                            "consent"));
    bool opted_in = consent == NULL || strcmp(consent, "all") != 0;
    json_t *result = loyalty_job_result(job);
    loyalty_rule_result_t reached;
    const char *name;
    size_t i;

    for (i = 0; i < NCHANNELS; i++) {
        if ((bits & channels[i]) == 0) {
            continue;
        }

        name = loyalty_channel_name(channels[i]);
        reached = loyalty_member_reach(member, channels[i], opted_in);
        if (reached != LOYALTY_RULE_FIRED) {
            count(member_of(member_of(result, "blocked"), name),
                  loyalty_rule_result_name(reached));
            continue;
        }

        count(member_of(result, "reach"), name);
        if (send) {
            send_one(job, member, channels[i], opted_in, writes);
        }
    }
}
