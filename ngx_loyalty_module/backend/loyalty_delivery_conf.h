/*
 * The configuration as delivery works with it.  For loyalty_delivery*.c.
 */

#ifndef LOYALTY_DELIVERY_CONF_H
#define LOYALTY_DELIVERY_CONF_H

#include <jansson.h>

#include "loyalty_delivery.h"
#include "loyalty_template.h"

#define LOYALTY_DELIVERY_CHANNELS 4

typedef enum {
    LOYALTY_WAY_NONE,
    LOYALTY_WAY_MAILBOX,
    LOYALTY_WAY_SMTP,
    LOYALTY_WAY_HTTP
} loyalty_way_kind_t;

typedef enum {
    LOYALTY_SMTP_REQUIRED, /* STARTTLS, or smtps:// from the start */
    LOYALTY_SMTP_OPTIONAL,
    LOYALTY_SMTP_OFF
} loyalty_smtp_tls_t;

typedef struct {
    const char *url;
    loyalty_smtp_tls_t tls;
    const char *user; /* NULL: none */
    const char *password;
} loyalty_smtp_t;

/* Holds where the status is one of these (none: any) and the value behind the
 * pointer (empty: not looked at) is one of those (none: any but null). */
typedef struct {
    json_t *status;
    loyalty_str_t pointer;
    json_t *values;
} loyalty_answer_test_t;

/* Texts of the request, each a template. */
typedef struct {
    const char *name;
    loyalty_template_t *value;
} loyalty_adapter_text_t;

typedef struct loyalty_adapter_body_s loyalty_adapter_body_t;

typedef struct {
    loyalty_template_t *url;
    const char *method;
    loyalty_adapter_text_t *headers;
    size_t nheaders;
    loyalty_template_t *user; /* HTTP's basic authentication, or NULL */
    loyalty_template_t *password;
    bool form; /* else JSON */
    json_t *body; /* its shape; strings are sources of templates */
    loyalty_template_t **leaves; /* of the body's strings, in order */
    size_t nleaves;
    loyalty_answer_test_t success;
    loyalty_answer_test_t *passing, *permanent;
    size_t npassing, npermanent;
    loyalty_str_t reference; /* pointer to the provider's id, or empty */
} loyalty_adapter_t;

typedef struct {
    loyalty_way_kind_t kind;
    const char *folder; /* mailbox */
    loyalty_smtp_t smtp;
    loyalty_adapter_t adapter;
    json_t *values;      /* an adapter's own; NULL: none */
    const char *secret;  /* NULL: none */
    const char *ca_file; /* NULL: the system's */
    loyalty_str_t sender_name, sender_address; /* where a message has none */
    int rate;        /* messages a second of all processes; 0: no bound */
    int concurrency; /* messages on their way at once */
    int timeout;     /* ms */
} loyalty_way_t;

struct loyalty_delivery_conf_s {
    loyalty_arena_t arena;
    json_t *documents; /* an array of all that was read */
    loyalty_template_t **templates; /* all that were compiled */
    size_t ntemplates, templates_capacity;
    int processes; /* that share a rate */
    loyalty_way_t ways[LOYALTY_DELIVERY_CHANNELS];
};

/* "email", "sms", "messenger", "line". */
extern const char *const loyalty_delivery_channels[LOYALTY_DELIVERY_CHANNELS];

/* 0 for e-mail, and so on. */
size_t loyalty_delivery_channel(loyalty_channel_t channel);

#endif
