/*
 * One call over the network by libcurl, for a thread: bounded in time and in
 * what it reads, and over within a moment of stopping() turning true.
 * Connections are kept for the next call to the same host.
 */

#ifndef LOYALTY_TRANSFER_H
#define LOYALTY_TRANSFER_H

#include <curl/curl.h>

#include "loyalty.h"

typedef struct loyalty_transfer_s loyalty_transfer_t;

/* stopping may be NULL.  curl_global_init() must have been called. */
loyalty_transfer_t *loyalty_transfer_create(bool (*stopping)(void));
void loyalty_transfer_free(loyalty_transfer_t *transfer);

/* The handle, emptied and with the bounds set, for the caller's options. */
CURL *loyalty_transfer_begin(loyalty_transfer_t *transfer);

/* For the transfer begun: addresses that are not public are not connected to.
 * Connections are kept, so a handle does either all its calls so or none. */
void loyalty_transfer_public_only(loyalty_transfer_t *transfer);

/* What is sent as the body: HTTP's or SMTP's.  Not copied. */
void loyalty_transfer_body(loyalty_transfer_t *transfer, loyalty_str_t body);

/* A header line; LOYALTY_ERROR_INVALID with a control character in it. */
loyalty_status_t loyalty_transfer_header(loyalty_transfer_t *transfer,
                                         const char *name,
                                         loyalty_str_t value);

typedef struct {
    CURLcode code;
    bool stopped;
    long status;         /* HTTP's, or SMTP's last reply; 0: no answer */
    int64_t retry_after; /* ms; 0: not said */
    loyalty_str_t body;  /* of the answer, until the next begin */
    bool uploaded;       /* some of the body has been asked for */
    const char *error;   /* a sentence, terminated */
} loyalty_transfer_result_t;

void loyalty_transfer_run(loyalty_transfer_t *transfer, int timeout_ms,
                          loyalty_transfer_result_t *result);

#endif
