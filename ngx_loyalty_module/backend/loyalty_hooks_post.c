/*
 * One POST of a delivery, and what its answer means for it.
 *
 *   prepare      where to, signed                    the worker's thread
 *   work         the call itself                     one of the crew
 *   judge_pace   how long its webhook is to rest     the worker's thread
 *
 * A webhook that does not answer, or is long about it, rests for a moment, so
 * that it does not take the crew's time again and again.
 */

#include "loyalty_hooks_private.h"

#include <stdio.h>
#include <stdlib.h>

#include "loyalty_codec.h"
#include "loyalty_link.h"

#define RESTING_TIME 10000 /* ms, after no answer */
#define SLOW 1000 /* ms; one that answers later rests for as long as it took */
#define GONE 410

typedef struct {
    /* A handle keeps its connections: one for public addresses alone. */
    loyalty_transfer_t *webhooks, *posts;
} tools_t;

void *
loyalty_hooks_equip(void *data)
{
    loyalty_hooks_t *hooks = data;
    tools_t *tools = calloc(1, sizeof(*tools));

    if (tools == NULL) {
        return NULL;
    }

    tools->webhooks = loyalty_transfer_create(hooks->rounds.conf->stopping);
    tools->posts = loyalty_transfer_create(hooks->rounds.conf->stopping);
    if (tools->webhooks == NULL || tools->posts == NULL) {
        loyalty_hooks_put_away(tools);
        return NULL;
    }

    return tools;
}

void
loyalty_hooks_put_away(void *data)
{
    tools_t *tools = data;

    loyalty_transfer_free(tools->webhooks);
    loyalty_transfer_free(tools->posts);
    free(tools);
}

/* "MS-SEQ.WEBHOOK"; an order post has none. */
uint64_t
loyalty_hooks_print(loyalty_str_t site, loyalty_str_t id)
{
    const char *dot = id.len != 0 ? memchr(id.data, '.', id.len) : NULL;
    uint64_t print = loyalty_fingerprint(1, site.data, site.len);

    if (dot != NULL) {
        print ^= loyalty_fingerprint(2, dot + 1,
                                     (size_t)(id.data + id.len - dot - 1));
    }

    return print;
}

int64_t
loyalty_hooks_rest(const loyalty_hooks_t *hooks, uint64_t webhook)
{
    const loyalty_hooks_resting_t *resting =
        &hooks->resting[webhook % LOYALTY_HOOKS_RESTING];
    int64_t now = loyalty_link_now();

    return resting->print == webhook && resting->until > now
               ? resting->until - now : 0;
}

void
loyalty_hooks_judge_pace(loyalty_hooks_t *hooks,
                         const loyalty_hooks_parcel_t *parcel)
{
    const loyalty_hooks_answer_t *answer = &parcel->answer;
    bool away = answer->status == 0 && answer->outcome == LOYALTY_HOOKS_LATER;

    if (away || parcel->took > SLOW) {
        hooks->resting[parcel->webhook % LOYALTY_HOOKS_RESTING] =
            (loyalty_hooks_resting_t){parcel->webhook,
                                      loyalty_link_now()
                                          + (away ? RESTING_TIME
                                                  : parcel->took)};
    }
}

static bool
is_passing_error(CURLcode code)
{
    return code != CURLE_OK && code != CURLE_WRITE_ERROR;
}

static void
judge(const loyalty_transfer_result_t *result, bool order,
      loyalty_hooks_answer_t *answer)
{
    answer->status = result->status;
    answer->retry_after = result->retry_after;
    answer->outcome = LOYALTY_HOOKS_LATER;

    /* What is too long to be read is an answer all the same. */
    if (result->stopped) {
        answer->outcome = LOYALTY_HOOKS_STOPPED;
    } else if (is_passing_error(result->code)) {
        answer->status = 0;
        snprintf(answer->error, LOYALTY_HOOKS_ERROR_SIZE, "%s", result->error);
    } else if (result->status >= 200 && result->status < 300) {
        answer->outcome = LOYALTY_HOOKS_DONE;
    } else {
        if (result->status == GONE && !order) {
            answer->outcome = LOYALTY_HOOKS_DEAD;
        }
        snprintf(answer->error, LOYALTY_HOOKS_ERROR_SIZE, "status %ld",
                 result->status);
    }
}

static loyalty_status_t
add_headers(loyalty_transfer_t *transfer, const loyalty_hooks_parcel_t *parcel)
{
    const loyalty_hook_t *hook = &parcel->hook;
    const struct {
        const char *name;
        loyalty_str_t value;
        bool sent;
    } headers[] = {
        {"Content-Type", loyalty_str("application/json"), true},
        {"Expect", loyalty_str_null, true}, /* none */
        {"Idempotency-Key", hook->key, true},
        {"Loyalty-Signature", loyalty_str_from(parcel->signature),
         parcel->signature[0] != '\0'},
        {"Loyalty-Site", parcel->scope.site, loyalty_hook_is_order(hook)},
    };
    loyalty_status_t rc = LOYALTY_OK;
    size_t i;

    for (i = 0; i < sizeof(headers) / sizeof(headers[0]) && rc == LOYALTY_OK;
         i++) {
        if (headers[i].sent) {
            rc = loyalty_transfer_header(transfer, headers[i].name,
                                         headers[i].value);
        }
    }

    return rc;
}

static void
post(const loyalty_hooks_conf_t *conf, const tools_t *tools,
     const loyalty_hooks_parcel_t *parcel, loyalty_hooks_answer_t *answer)
{
    const loyalty_hook_t *hook = &parcel->hook;
    bool order = loyalty_hook_is_order(hook);
    loyalty_transfer_t *transfer = order ? tools->posts : tools->webhooks;
    CURL *easy = loyalty_transfer_begin(transfer);
    loyalty_transfer_result_t result;
    loyalty_status_t rc;

    curl_easy_setopt(easy, CURLOPT_URL, parcel->url);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE,
                     (curl_off_t)hook->body.len);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS,
                     hook->body.len == 0 ? "" : hook->body.data);
    if (!order && !conf->to_private) {
        loyalty_transfer_public_only(transfer);
    }

    rc = add_headers(transfer, parcel);
    if (rc != LOYALTY_OK) {
        answer->outcome = rc == LOYALTY_ERROR_INVALID ? LOYALTY_HOOKS_DEAD
                                                      : LOYALTY_HOOKS_LATER;
        snprintf(answer->error, LOYALTY_HOOKS_ERROR_SIZE,
                 "the request cannot be made");
        return;
    }

    loyalty_transfer_run(transfer, LOYALTY_WEBHOOK_TIMEOUT, &result);
    judge(&result, order, answer);
}

void
loyalty_hooks_work(void *data, void *tools, loyalty_task_t *task)
{
    const loyalty_hooks_t *hooks = data;
    loyalty_hooks_parcel_t *parcel = (loyalty_hooks_parcel_t *)task;
    int64_t began = loyalty_link_now();

    if (tools != NULL) {
        post(hooks->hooks, tools, parcel, &parcel->answer);
    } else {
        snprintf(parcel->answer.error, LOYALTY_HOOKS_ERROR_SIZE,
                 "out of memory");
    }

    parcel->took = loyalty_link_now() - began;
}

/* What the edge wrote; it is put behind a host of the merchant's. */
static bool
is_uri(loyalty_str_t text)
{
    size_t i;

    for (i = 0; i < text.len; i++) {
        if ((unsigned char)text.data[i] <= ' ' || text.data[i] == 0x7f) {
            return false;
        }
    }

    return text.len != 0 && text.data[0] == '/' && text.len <= LOYALTY_URI_MAX;
}

/* Where it goes; NULL: nowhere, as the answer says. */
static const loyalty_str_t *
order_target(loyalty_hooks_t *hooks, const loyalty_hook_t *hook,
             loyalty_hooks_answer_t *answer)
{
    if (!is_uri(hook->uri)) {
        answer->outcome = LOYALTY_HOOKS_DEAD;
        snprintf(answer->error, LOYALTY_HOOKS_ERROR_SIZE,
                 "the order post has no path of at most %d bytes to go to",
                 LOYALTY_URI_MAX);
        return NULL;
    }

    if (hooks->hooks->order_post.len == 0) {
        snprintf(answer->error, LOYALTY_HOOKS_ERROR_SIZE,
                 "loyalty_backend has no order_post=");
        return NULL;
    }

    return &hooks->hooks->order_post;
}

static const loyalty_str_t *
webhook_target(loyalty_hooks_t *hooks, const loyalty_hook_t *hook,
               loyalty_str_t secret, loyalty_hooks_answer_t *answer)
{
    const loyalty_webhook_t *webhook = loyalty_program_webhook(hooks->program,
                                                               hook->webhook);

    if (webhook == NULL) {
        answer->outcome = LOYALTY_HOOKS_DEAD;
        snprintf(answer->error, LOYALTY_HOOKS_ERROR_SIZE,
                 "the webhook is deleted");
    } else if (!webhook->enabled || secret.len == 0) {
        snprintf(answer->error, LOYALTY_HOOKS_ERROR_SIZE, "%s",
                 !webhook->enabled ? "the webhook is off"
                                   : "the webhook has no secret");
        webhook = NULL;
    }

    return webhook == NULL ? NULL : &webhook->url;
}

loyalty_store_result_t
loyalty_hooks_prepare(loyalty_hooks_t *hooks, loyalty_hooks_parcel_t *parcel,
                      loyalty_str_t secret)
{
    const loyalty_hook_t *hook = &parcel->hook;
    bool order = loyalty_hook_is_order(hook);
    const loyalty_str_t *target;

    parcel->answer = (loyalty_hooks_answer_t){.outcome = LOYALTY_HOOKS_LATER};
    parcel->signature[0] = '\0';
    parcel->url = NULL;
    target = order ? order_target(hooks, hook, &parcel->answer)
                   : webhook_target(hooks, hook, secret, &parcel->answer);
    if (target == NULL) {
        return LOYALTY_STORE_OK;
    }

    parcel->url = loyalty_hook_join(
        (loyalty_str_t[]){*target, order ? hook->uri : loyalty_str_null}, 2,
        &parcel->arena);

    return parcel->url != NULL
                   && (order
                       || loyalty_webhook_sign(secret, loyalty_apply_clock(),
                                               hook->body, &parcel->arena,
                                               parcel->signature)
                              == LOYALTY_OK)
               ? LOYALTY_STORE_OK : LOYALTY_STORE_MEMORY;
}
