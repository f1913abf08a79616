/*
 * Delivery: an envelope goes out by the way that its channel is configured.
 *
 *   mailbox   a file in a folder, .eml or .json; what the demo and tests use
 *   smtp      e-mail by a mail server
 *   adapter   SMS, Messenger, LINE by HTTP, as a file of conf/adapters says
 *
 * The configuration, one JSON document (README.md, Delivery):
 *
 *   { "email": { "smtp": { "url": "smtp://mail.example.com:587",
 *                          "tls": "required", "user", "password_file",
 *                          "ca_file", "helo" },
 *                "sender": { "name", "address" },
 *                "rate": 50, "concurrency": 8, "timeout": 30 },
 *     "sms":   { "adapter": "adapters/twilio.json", "secret_file": "sms.key",
 *                "values": { "account": "AC..." } },
 *     "line":  { "mailbox": "/var/lib/loyalty/mailbox" } }
 *
 * File names are relative to the folder of the document.  A channel that is
 * not there has no way out: its messages fail.
 */

#ifndef LOYALTY_DELIVERY_H
#define LOYALTY_DELIVERY_H

#include "loyalty_envelope.h"

typedef struct loyalty_delivery_conf_s loyalty_delivery_conf_t;

#define LOYALTY_DELIVERY_ERROR_SIZE 512

/*
 * Reads the document and all files it names.  LOYALTY_ERROR_INVALID: `error`
 * (LOYALTY_DELIVERY_ERROR_SIZE bytes) says what, where and what to do.
 */
loyalty_status_t loyalty_delivery_conf_read(const char *file,
                                            loyalty_delivery_conf_t **conf,
                                            char *error);

/* All channels into one folder. */
loyalty_delivery_conf_t *loyalty_delivery_conf_mailbox(const char *folder);
void loyalty_delivery_conf_free(loyalty_delivery_conf_t *conf);

/* So many processes deliver by it: a rate is shared by all. */
void loyalty_delivery_conf_share(loyalty_delivery_conf_t *conf, int processes);

/* The folder of mailbox `i`, to be there and writable; NULL: no more. */
const char *loyalty_delivery_conf_folder(const loyalty_delivery_conf_t *conf,
                                         size_t i);

/* What a thread delivers with; `conf` outlives it. */
typedef struct loyalty_delivery_s loyalty_delivery_t;

loyalty_delivery_t *
loyalty_delivery_create(const loyalty_delivery_conf_t *conf,
                        bool (*stopping)(void));
void loyalty_delivery_free(loyalty_delivery_t *delivery);

typedef enum {
    LOYALTY_DELIVERY_SENT,
    LOYALTY_DELIVERY_PASSING,   /* may work later; perhaps it has worked, so it
                                   is to be sent again with the same id */
    LOYALTY_DELIVERY_PERMANENT, /* never will */
    LOYALTY_DELIVERY_STOPPED    /* like passing; the worker goes away */
} loyalty_delivery_result_t;

#define LOYALTY_DELIVERY_REFERENCE_SIZE 129

typedef struct {
    loyalty_delivery_result_t result;
    int64_t retry_after; /* ms that the other side asks for; 0: not said */
    char reference[LOYALTY_DELIVERY_REFERENCE_SIZE]; /* the provider's id */
    char error[LOYALTY_DELIVERY_ERROR_SIZE]; /* why not; names no secret */
} loyalty_delivery_answer_t;

/* The longest that sending one message may take, in ms. */
int loyalty_delivery_timeout(const loyalty_delivery_conf_t *conf,
                             loyalty_channel_t channel);

void loyalty_delivery_send(loyalty_delivery_t *delivery,
                           const loyalty_envelope_t *envelope,
                           loyalty_delivery_answer_t *answer);

#endif
