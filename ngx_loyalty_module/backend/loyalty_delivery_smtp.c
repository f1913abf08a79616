/*
 * E-mail by a mail server.  The Message-ID is the message's own, so a second
 * copy, sent because the answer to the first was lost, can be told as one.
 */

#include "loyalty_delivery_private.h"

#include <stdio.h>

/* The server will not have this mail: its sender, its receiver or what it says.
 * A password, TLS or a greeting that is refused, and a connection that is lost,
 * are no fault of the message. */
static bool
is_refused(const loyalty_transfer_result_t *result)
{
    bool of_mail = result->code == CURLE_SEND_ERROR
                   || (result->code == CURLE_WEIRD_SERVER_REPLY
                       && result->uploaded);

    return of_mail && result->status >= 500 && result->status != 530
           && result->status != 534 && result->status != 535
           && result->status != 538;
}

static void
judge(const loyalty_transfer_result_t *result,
      loyalty_delivery_answer_t *answer)
{
    if (result->stopped) {
        loyalty_delivery_fail(answer, LOYALTY_DELIVERY_STOPPED,
                              "stopped while sending");
        return;
    }

    if (result->code == CURLE_OK) {
        answer->result = LOYALTY_DELIVERY_SENT;
        return;
    }

    loyalty_delivery_fail(answer,
                          is_refused(result) ? LOYALTY_DELIVERY_PERMANENT
                                             : LOYALTY_DELIVERY_PASSING,
                          "%s", result->error);
}

void
loyalty_delivery_smtp(loyalty_delivery_t *delivery, const loyalty_way_t *way,
                      const loyalty_envelope_t *envelope, loyalty_str_t bytes,
                      loyalty_delivery_answer_t *answer)
{
    static const long tls[] = {
        [LOYALTY_SMTP_REQUIRED] = CURLUSESSL_ALL,
        [LOYALTY_SMTP_OPTIONAL] = CURLUSESSL_TRY,
        [LOYALTY_SMTP_OFF] = CURLUSESSL_NONE,
    };
    char from[LOYALTY_EMAIL_MAX + 3], to[LOYALTY_EMAIL_MAX + 3];
    CURL *easy = loyalty_transfer_begin(delivery->transfer);
    struct curl_slist recipients = {.data = to};
    loyalty_transfer_result_t result;

    snprintf(from, sizeof(from), "<%.*s>", (int)envelope->sender_address.len,
             envelope->sender_address.data);
    snprintf(to, sizeof(to), "<%.*s>", (int)envelope->to.len,
             envelope->to.data);

    curl_easy_setopt(easy, CURLOPT_URL, way->smtp.url);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "smtp,smtps");
    curl_easy_setopt(easy, CURLOPT_USE_SSL, tls[way->smtp.tls]);
    curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    if (way->ca_file != NULL) {
        curl_easy_setopt(easy, CURLOPT_CAINFO, way->ca_file);
    }
    if (way->smtp.user != NULL) {
        curl_easy_setopt(easy, CURLOPT_USERNAME, way->smtp.user);
        curl_easy_setopt(easy, CURLOPT_PASSWORD, way->smtp.password);
    }
    curl_easy_setopt(easy, CURLOPT_MAIL_FROM, from);
    curl_easy_setopt(easy, CURLOPT_MAIL_RCPT, &recipients);
    curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(easy, CURLOPT_INFILESIZE_LARGE, (curl_off_t)bytes.len);
    loyalty_transfer_body(delivery->transfer, bytes);

    loyalty_transfer_run(delivery->transfer, way->timeout, &result);
    judge(&result, answer);
}
