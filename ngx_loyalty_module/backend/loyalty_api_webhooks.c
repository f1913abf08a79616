/*
 * Webhooks: what there are, their secrets, and trying them.
 *
 * The webhooks themselves are in the settings.  A secret is shown once, when
 * it is made, and never kept with an Idempotency-Key: who lost it makes
 * another, and the old one ends.
 */

#include "loyalty_api_call.h"

#include <stdio.h>
#include <sys/random.h>

#include "loyalty_hook.h"
#include "loyalty_webhook.h"

#define SECRET_BYTES 32
#define TEST_BYTES 8

/* Random bytes in hex, behind the text. */
static bool
add_random(char *text, size_t bytes)
{
    unsigned char random[SECRET_BYTES];
    size_t i;

    if (getrandom(random, bytes, 0) != (ssize_t)bytes) {
        return false;
    }

    text += strlen(text);
    for (i = 0; i < bytes; i++) {
        snprintf(text + i * 2, 3, "%02x", random[i]);
    }

    return true;
}

loyalty_store_result_t
loyalty_api_make_webhook_secret(loyalty_api_call_t *call)
{
    loyalty_str_t id = call->segments[3];
    char secret[6 + SECRET_BYTES * 2 + 1] = "whsec_";
    const loyalty_program_t *program;
    loyalty_store_result_t result;

    result = loyalty_api_program(call, &program);
    if (result != LOYALTY_STORE_OK || program == NULL) {
        return result;
    }

    if (loyalty_program_webhook(program, id) == NULL) {
        loyalty_api_not_found(call, "webhook");
        return LOYALTY_STORE_OK;
    }

    if (!add_random(secret, SECRET_BYTES)) {
        return LOYALTY_STORE_MEMORY;
    }

    loyalty_api_json(call, 201, json_pack("{s:s%,s:s}", "id", id.data, id.len,
                                          "secret", secret));
    call->fingerprint[0] = '\0';
    loyalty_commands_reset(&call->session->commands);
    loyalty_command(&call->session->commands, "MULTI", 1);
    loyalty_api_command(call, "HSET", "x", loyalty_str("secrets"), 2);
    loyalty_arg(&call->session->commands, id);
    loyalty_arg_text(&call->session->commands, secret);

    return loyalty_api_commit(call);
}

/* Of the webhooks that have a secret, their names; nothing of it. */
static loyalty_store_result_t
read_secrets(loyalty_api_call_t *call, loyalty_replies_t *replies)
{
    loyalty_store_result_t result;

    loyalty_commands_reset(&call->session->commands);
    loyalty_api_command(call, "HKEYS", "x", loyalty_str("secrets"), 0);
    result = loyalty_api_read(call, replies);

    return result == LOYALTY_STORE_OK
                   && replies->list[0]->type != REDIS_REPLY_ARRAY
               ? LOYALTY_STORE_MALFORMED : result;
}

static bool
has_secret(const redisReply *names, loyalty_str_t id)
{
    loyalty_str_t name;
    size_t i;

    for (i = 0; i < names->elements; i++) {
        if (loyalty_reply_str(names->element[i], &name)
            && loyalty_str_eq(name, id)) {
            return true;
        }
    }

    return false;
}

loyalty_store_result_t
loyalty_api_list_webhooks(loyalty_api_call_t *call)
{
    const loyalty_program_t *program;
    const loyalty_webhook_t *webhook;
    loyalty_store_result_t result;
    loyalty_replies_t replies;
    json_t *items, *json;
    size_t i;

    result = loyalty_api_program(call, &program);
    if (result != LOYALTY_STORE_OK || program == NULL) {
        return result;
    }

    loyalty_replies_init(&replies);
    result = read_secrets(call, &replies);

    if (result == LOYALTY_STORE_OK) {
        items = json_array();
        for (i = 0; i < program->settings.nwebhooks; i++) {
            webhook = &program->settings.webhooks[i];
            json = json_object();
            loyalty_api_set_str(json, "id", webhook->id);
            loyalty_api_set_str(json, "url", webhook->url);
            json_object_set_new(json, "enabled",
                                json_boolean(webhook->enabled));
            json_object_set_new(
                json, "has_secret",
                json_boolean(has_secret(replies.list[0], webhook->id)));
            json_array_append_new(items, json);
        }
        loyalty_api_list(call, "webhooks", items, loyalty_str_null);
    }

    loyalty_replies_free(&replies);
    return result;
}

/* False: the error is written. */
static bool
can_be_tried(loyalty_api_call_t *call, const loyalty_program_t *program,
             const redisReply *secrets)
{
    const loyalty_webhook_t *webhook =
        loyalty_program_webhook(program, call->segments[3]);

    if (webhook == NULL) {
        loyalty_api_not_found(call, "webhook");
    } else if (!webhook->enabled) {
        loyalty_api_error(call, 409, "off", "the webhook is off");
    } else if (!has_secret(secrets, webhook->id)) {
        loyalty_api_error(call, 409, "no_secret",
                          "make it a secret first, by POST secret");
    } else {
        return true;
    }

    return false;
}

/* A delivery as any other, of an event that nothing made. */
static loyalty_store_result_t
try_it(loyalty_api_call_t *call)
{
    char key[5 + TEST_BYTES * 2 + 1] = "test-", *name, *body;
    loyalty_commands_t *commands = &call->session->commands;
    loyalty_hook_t hook = {
        .webhook = call->segments[3],
        .type = loyalty_str(LOYALTY_HOOK_TEST),
    };

    if (!add_random(key, TEST_BYTES)) {
        return LOYALTY_STORE_MEMORY;
    }

    hook.key = loyalty_str_from(key);
    name = loyalty_hook_join(
        (loyalty_str_t[]){hook.key, loyalty_str("."), hook.webhook}, 3,
        call->arena);
    body = loyalty_hook_body(hook.key, hook.type, call->scope.site, call->now,
                             loyalty_str("{}"), call->arena);
    if (name == NULL || body == NULL) {
        return LOYALTY_STORE_MEMORY;
    }

    hook.id = loyalty_str_from(name);
    hook.body = loyalty_str_from(body);
    loyalty_api_json(call, 202, json_pack("{s:s,s:s}", "id", name, "state",
                                          "pending"));
    loyalty_commands_reset(commands);
    loyalty_command(commands, "MULTI", 1);
    loyalty_hook_create(&hook, call->now, &call->scope, commands);

    return loyalty_api_commit(call);
}

loyalty_store_result_t
loyalty_api_test_webhook(loyalty_api_call_t *call)
{
    const loyalty_program_t *program;
    loyalty_store_result_t result;
    loyalty_replies_t replies;

    result = loyalty_api_program(call, &program);
    if (result != LOYALTY_STORE_OK || program == NULL) {
        return result;
    }

    loyalty_replies_init(&replies);
    result = read_secrets(call, &replies);
    if (result == LOYALTY_STORE_OK
        && can_be_tried(call, program, replies.list[0])) {
        result = try_it(call);
    }

    loyalty_replies_free(&replies);
    return result;
}
