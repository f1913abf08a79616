/*
 * One POST of a delivery, and what its answer means for it.
 *
 * A webhook that does not answer rests for a moment, so that those of others
 * do not wait for it time and again.
 */

#include "loyalty_hooks_private.h"

#include <stdio.h>

#include "loyalty_codec.h"
#include "loyalty_link.h"
#include "loyalty_webhook.h"

#define RESTING_TIME 10000
#define GONE 410

static loyalty_hooks_resting_t *
resting_of(loyalty_hooks_t *hooks, loyalty_str_t webhook, uint64_t *print)
{
    loyalty_str_t site = hooks->scope.site;

    *print = loyalty_fingerprint(1, site.data, site.len)
             ^ loyalty_fingerprint(2, webhook.data, webhook.len);
    return &hooks->resting[*print % LOYALTY_HOOKS_RESTING];
}

int64_t
loyalty_hooks_rest(loyalty_hooks_t *hooks, loyalty_str_t webhook)
{
    uint64_t print;
    const loyalty_hooks_resting_t *resting = resting_of(hooks, webhook, &print);
    int64_t now = loyalty_link_now();

    return resting->print == print && resting->until > now
               ? resting->until - now : 0;
}

static void
put_to_rest(loyalty_hooks_t *hooks, loyalty_str_t webhook)
{
    uint64_t print;
    loyalty_hooks_resting_t *resting = resting_of(hooks, webhook, &print);

    *resting = (loyalty_hooks_resting_t){print,
                                         loyalty_link_now() + RESTING_TIME};
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

static void
post(loyalty_hooks_t *hooks, const loyalty_hook_t *hook, const char *url,
     const char *signature, loyalty_hooks_answer_t *answer)
{
    bool order = hook->uri.len != 0;
    loyalty_transfer_t *transfer = order ? hooks->posts : hooks->webhooks;
    CURL *easy = loyalty_transfer_begin(transfer);
    loyalty_transfer_result_t result;

    curl_easy_setopt(easy, CURLOPT_URL, url);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE,
                     (curl_off_t)hook->body.len);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS,
                     hook->body.len == 0 ? "" : hook->body.data);
    if (!order && !hooks->hooks->to_private) {
        loyalty_transfer_public_only(transfer);
    }

    if (loyalty_transfer_header(transfer, "Content-Type",
                                loyalty_str("application/json"))
            != LOYALTY_OK
        || loyalty_transfer_header(transfer, "Expect", loyalty_str_null)
               != LOYALTY_OK
        || loyalty_transfer_header(transfer, "Idempotency-Key", hook->key)
               != LOYALTY_OK
        || (signature[0] != '\0'
            && loyalty_transfer_header(transfer, "Loyalty-Signature",
                                       loyalty_str_from(signature))
                   != LOYALTY_OK)
        || (order
            && loyalty_transfer_header(transfer, "Loyalty-Site",
                                       hooks->scope.site)
                   != LOYALTY_OK)) {
        snprintf(answer->error, LOYALTY_HOOKS_ERROR_SIZE,
                 "the request cannot be made");
        return;
    }

    loyalty_transfer_run(transfer, LOYALTY_WEBHOOK_TIMEOUT, &result);
    judge(&result, order, answer);
}

loyalty_store_result_t
loyalty_hooks_post(loyalty_hooks_t *hooks, const loyalty_hook_t *hook,
                   loyalty_str_t secret, loyalty_hooks_answer_t *answer)
{
    const loyalty_webhook_t *webhook = NULL;
    char signature[LOYALTY_WEBHOOK_SIGNATURE_SIZE] = "", *url;
    loyalty_str_t parts[2] = {loyalty_str_null, loyalty_str_null};

    *answer = (loyalty_hooks_answer_t){.outcome = LOYALTY_HOOKS_LATER};

    if (hook->uri.len != 0) {
        parts[0] = hooks->hooks->order_post;
        parts[1] = hook->uri;
        if (parts[0].len == 0) {
            snprintf(answer->error, LOYALTY_HOOKS_ERROR_SIZE,
                     "loyalty_backend has no order_post=");
            return LOYALTY_STORE_OK;
        }
    } else {
        webhook = loyalty_program_webhook(hooks->program, hook->webhook);
        if (webhook == NULL) {
            answer->outcome = LOYALTY_HOOKS_DEAD;
            snprintf(answer->error, LOYALTY_HOOKS_ERROR_SIZE,
                     "the webhook is deleted");
            return LOYALTY_STORE_OK;
        }
        if (!webhook->enabled || secret.len == 0) {
            snprintf(answer->error, LOYALTY_HOOKS_ERROR_SIZE, "%s",
                     !webhook->enabled ? "the webhook is off"
                                       : "the webhook has no secret");
            return LOYALTY_STORE_OK;
        }
        parts[0] = webhook->url;
        if (loyalty_webhook_sign(secret, loyalty_apply_clock(), hook->body,
                                 &hooks->arena, signature)
            != LOYALTY_OK) {
            return LOYALTY_STORE_MEMORY;
        }
    }

    url = loyalty_hooks_join(hooks, parts, 2);
    if (url == NULL) {
        return LOYALTY_STORE_MEMORY;
    }

    post(hooks, hook, url, signature, answer);
    if (answer->status == 0 && answer->outcome == LOYALTY_HOOKS_LATER) {
        put_to_rest(hooks, hook->webhook);
    }

    return LOYALTY_STORE_OK;
}
