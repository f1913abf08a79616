/*
 * One POST of a delivery, and what its answer means for it.
 *
 * A webhook that does not answer, or is long about it, rests for a moment, so
 * that those of others do not wait for it time and again.
 */

#include "loyalty_hooks_private.h"

#include <stdio.h>

#include "loyalty_codec.h"
#include "loyalty_link.h"
#include "loyalty_webhook.h"

#define RESTING_TIME 10000 /* ms, after no answer */
#define SLOW 1000 /* ms; one that answers later rests for as long as it took */
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
put_to_rest(loyalty_hooks_t *hooks, loyalty_str_t webhook, int64_t time)
{
    uint64_t print;
    loyalty_hooks_resting_t *resting = resting_of(hooks, webhook, &print);

    *resting = (loyalty_hooks_resting_t){print, loyalty_link_now() + time};
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
add_headers(loyalty_hooks_t *hooks, loyalty_transfer_t *transfer,
            const loyalty_hook_t *hook, const char *signature)
{
    const struct {
        const char *name;
        loyalty_str_t value;
        bool sent;
    } headers[] = {
        {"Content-Type", loyalty_str("application/json"), true},
        {"Expect", loyalty_str_null, true}, /* none */
        {"Idempotency-Key", hook->key, true},
        {"Loyalty-Signature", loyalty_str_from(signature),
         signature[0] != '\0'},
        {"Loyalty-Site", hooks->scope.site, loyalty_hook_is_order(hook)},
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
post(loyalty_hooks_t *hooks, const loyalty_hook_t *hook, const char *url,
     const char *signature, loyalty_hooks_answer_t *answer)
{
    bool order = loyalty_hook_is_order(hook);
    loyalty_transfer_t *transfer = order ? hooks->posts : hooks->webhooks;
    CURL *easy = loyalty_transfer_begin(transfer);
    loyalty_transfer_result_t result;
    loyalty_status_t rc;

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

    rc = add_headers(hooks, transfer, hook, signature);
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
loyalty_hooks_post(loyalty_hooks_t *hooks, const loyalty_hook_t *hook,
                   loyalty_str_t secret, loyalty_hooks_answer_t *answer)
{
    char signature[LOYALTY_WEBHOOK_SIGNATURE_SIZE] = "", *url;
    bool order = loyalty_hook_is_order(hook);
    int64_t began = loyalty_link_now(), took;
    const loyalty_str_t *target;

    *answer = (loyalty_hooks_answer_t){.outcome = LOYALTY_HOOKS_LATER};
    target = order ? order_target(hooks, hook, answer)
                   : webhook_target(hooks, hook, secret, answer);
    if (target == NULL) {
        return LOYALTY_STORE_OK;
    }

    url = loyalty_hook_join(
        (loyalty_str_t[]){*target, order ? hook->uri : loyalty_str_null}, 2,
        &hooks->arena);
    if (url == NULL
        || (!order
            && loyalty_webhook_sign(secret, loyalty_apply_clock(), hook->body,
                                    &hooks->arena, signature)
                   != LOYALTY_OK)) {
        return LOYALTY_STORE_MEMORY;
    }

    post(hooks, hook, url, signature, answer);
    took = loyalty_link_now() - began;
    if (answer->status == 0 && answer->outcome == LOYALTY_HOOKS_LATER) {
        put_to_rest(hooks, hook->webhook, RESTING_TIME);
    } else if (took > SLOW) {
        put_to_rest(hooks, hook->webhook, took);
    }

    return LOYALTY_STORE_OK;
}
