/*
 * libcurl's multi interface with one transfer in it: curl_easy_perform() asks
 * its progress callback too seldom, and a reload waits for us.
 */

#include "loyalty_transfer.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "loyalty_address.h"

#define SLICE 100 /* ms between two looks at stopping() */
#define CONNECT_TIMEOUT 10000
#define CONNECTIONS 8 /* kept open */

struct loyalty_transfer_s {
    CURLM *multi;
    CURL *easy;
    struct curl_slist *headers;
    bool (*stopping)(void);
    loyalty_str_t upload;
    size_t sent;
    size_t len; /* of the answer */
    int refusal;
    bool failed; /* out of memory */
    bool public_only;
    int sockets[CONNECTIONS * 2]; /* -1: free */
    char reply[256]; /* SMTP's line of refusal */
    char error[CURL_ERROR_SIZE];
    char answer[LOYALTY_DELIVERY_ANSWER_MAX];
};

loyalty_transfer_t *
loyalty_transfer_create(bool (*stopping)(void))
{
    loyalty_transfer_t *transfer = calloc(1, sizeof(*transfer));

    if (transfer == NULL) {
        return NULL;
    }

    memset(transfer->sockets, 0xff, sizeof(transfer->sockets));
    transfer->stopping = stopping;
    transfer->multi = curl_multi_init();
    transfer->easy = curl_easy_init();
    if (transfer->multi == NULL || transfer->easy == NULL) {
        loyalty_transfer_free(transfer);
        return NULL;
    }

    curl_multi_setopt(transfer->multi, CURLMOPT_MAXCONNECTS,
                      (long)CONNECTIONS);
    return transfer;
}

static void
replace_socket(loyalty_transfer_t *transfer, int from, int to)
{
    size_t i;

    for (i = 0; i < sizeof(transfer->sockets) / sizeof(transfer->sockets[0]);
         i++) {
        if (transfer->sockets[i] == from) {
            transfer->sockets[i] = to;
            return;
        }
    }
}

static curl_socket_t
open_socket(void *context, curlsocktype purpose, struct curl_sockaddr *address)
{
    loyalty_transfer_t *transfer = context;
    int fd;

    (void)purpose;
    if (transfer->public_only && !loyalty_address_is_public(&address->addr)) {
        snprintf(transfer->reply, sizeof(transfer->reply),
                 "the address is not public");
        return CURL_SOCKET_BAD;
    }

    fd = socket(address->family, address->socktype | SOCK_CLOEXEC,
                address->protocol);
    if (fd != -1) {
        replace_socket(context, -1, fd);
    }
    return fd == -1 ? CURL_SOCKET_BAD : fd;
}

static int
close_socket(void *context, curl_socket_t fd)
{
    replace_socket(context, fd, -1);
    return close(fd);
}

/* To close a connection SMTP says QUIT and waits for the answer, as long as
 * that may take, and goes on using one whose last answer did not come.  On a
 * socket that is shut down it does neither. */
static void
shut_connections(loyalty_transfer_t *transfer)
{
    size_t i;

    for (i = 0; i < sizeof(transfer->sockets) / sizeof(transfer->sockets[0]);
         i++) {
        if (transfer->sockets[i] != -1) {
            shutdown(transfer->sockets[i], SHUT_RDWR);
        }
    }
}

void
loyalty_transfer_free(loyalty_transfer_t *transfer)
{
    if (transfer == NULL) {
        return;
    }

    shut_connections(transfer);
    curl_slist_free_all(transfer->headers);
    curl_easy_cleanup(transfer->easy);
    if (transfer->multi != NULL) {
        curl_multi_cleanup(transfer->multi);
    }
    free(transfer);
}

/* Reads the answer; more than there is room for breaks the transfer off. */
static size_t
take_answer(char *data, size_t size, size_t n, void *context)
{
    loyalty_transfer_t *transfer = context;

    n *= size;
    if (n > sizeof(transfer->answer) - transfer->len) {
        return 0;
    }

    memcpy(transfer->answer + transfer->len, data, n);
    transfer->len += n;
    return n;
}

/* Lines of the other side: HTTP's headers, SMTP's replies, of which the last
 * refusal is kept.  It may have been recovered from: where EHLO is not known,
 * HELO is said. */
static size_t
take_line(char *data, size_t size, size_t n, void *context)
{
    loyalty_transfer_t *transfer = context;
    size_t len = size * n;

    if (len >= 4 && (data[0] == '4' || data[0] == '5') && data[1] >= '0'
        && data[1] <= '9' && data[2] >= '0' && data[2] <= '9'
        && (data[3] == ' ' || data[3] == '-' || data[3] == '\r')) {
        transfer->refusal = (data[0] - '0') * 100 + (data[1] - '0') * 10
                            + data[2] - '0';
        while (len > 0 && (data[len - 1] == '\r' || data[len - 1] == '\n')) {
            len--;
        }
        snprintf(transfer->reply, sizeof(transfer->reply), "%.*s", (int)len,
                 data);
    }

    return size * n;
}

static size_t
give_body(char *buffer, size_t size, size_t n, void *context)
{
    loyalty_transfer_t *transfer = context;
    size_t left = transfer->upload.len - transfer->sent;

    n *= size;
    n = n < left ? n : left;
    if (n != 0) {
        memcpy(buffer, transfer->upload.data + transfer->sent, n);
    }
    transfer->sent += n;
    return n;
}

/* A request on a kept connection that proved dead begins again. */
static int
seek_body(void *context, curl_off_t offset, int origin)
{
    loyalty_transfer_t *transfer = context;

    if (origin != SEEK_SET || offset < 0
        || (size_t)offset > transfer->upload.len) {
        return CURL_SEEKFUNC_FAIL;
    }

    transfer->sent = (size_t)offset;
    return CURL_SEEKFUNC_OK;
}

/* SMTP waits for its last reply inside of curl_multi_perform(), and asks here
 * once a second. */
static int
on_progress(void *context, curl_off_t a, curl_off_t b, curl_off_t c,
            curl_off_t d)
{
    loyalty_transfer_t *transfer = context;

    (void)a, (void)b, (void)c, (void)d;
    return transfer->stopping != NULL && transfer->stopping();
}

CURL *
loyalty_transfer_begin(loyalty_transfer_t *transfer)
{
    CURL *easy = transfer->easy;

    curl_slist_free_all(transfer->headers);
    transfer->headers = NULL;
    transfer->upload = loyalty_str_null;
    transfer->sent = 0;
    transfer->len = 0;
    transfer->refusal = 0;
    transfer->failed = false;
    transfer->public_only = false;
    transfer->reply[0] = '\0';
    transfer->error[0] = '\0';

    curl_easy_reset(easy);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_TIMEOUT);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, transfer->error);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_answer);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, take_line);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, transfer);
    curl_easy_setopt(easy, CURLOPT_READFUNCTION, give_body);
    curl_easy_setopt(easy, CURLOPT_READDATA, transfer);
    curl_easy_setopt(easy, CURLOPT_SEEKFUNCTION, seek_body);
    curl_easy_setopt(easy, CURLOPT_SEEKDATA, transfer);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, open_socket);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, transfer);
    curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, close_socket);
    curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, transfer);
    curl_easy_setopt(easy, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(easy, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(easy, CURLOPT_XFERINFODATA, transfer);

    return easy;
}

void
loyalty_transfer_public_only(loyalty_transfer_t *transfer)
{
    transfer->public_only = true;
}

void
loyalty_transfer_body(loyalty_transfer_t *transfer, loyalty_str_t body)
{
    transfer->upload = body;
}

loyalty_status_t
loyalty_transfer_header(loyalty_transfer_t *transfer, const char *name,
                        loyalty_str_t value)
{
    struct curl_slist *longer;
    size_t i, size = strlen(name) + 2 + value.len + 1;
    char *line;

    for (i = 0; i < value.len; i++) {
        if ((unsigned char)value.data[i] < ' ' || value.data[i] == 0x7f) {
            return LOYALTY_ERROR_INVALID;
        }
    }

    line = malloc(size);
    if (line == NULL) {
        transfer->failed = true;
        return LOYALTY_ERROR_MEMORY;
    }

    snprintf(line, size, "%s: %.*s", name, (int)value.len,
             value.len == 0 ? "" : value.data);
    longer = curl_slist_append(transfer->headers, line);
    free(line);
    if (longer == NULL) {
        transfer->failed = true;
        return LOYALTY_ERROR_MEMORY;
    }

    transfer->headers = longer;
    return LOYALTY_OK;
}

/* Until it is over; false: told to stop before. */
static bool
drive(loyalty_transfer_t *transfer, CURLcode *code)
{
    int running = 1, left;
    CURLMsg *message;

    *code = CURLE_FAILED_INIT;

    while (running != 0) {
        if (transfer->stopping != NULL && transfer->stopping()) {
#if LIBCURL_VERSION_NUM >= 0x075700
            /* Not even for the resolver's thread is there time. */
            curl_easy_setopt(transfer->easy, CURLOPT_QUICK_EXIT, 1L);
#endif
            return false;
        }
        if (curl_multi_perform(transfer->multi, &running) != CURLM_OK
            || (running != 0
                && curl_multi_poll(transfer->multi, NULL, 0, SLICE, NULL)
                       != CURLM_OK)) {
            return true;
        }
    }

    while ((message = curl_multi_info_read(transfer->multi, &left)) != NULL) {
        if (message->msg == CURLMSG_DONE) {
            *code = message->data.result;
        }
    }

    return true;
}

void
loyalty_transfer_run(loyalty_transfer_t *transfer, int timeout_ms,
                     loyalty_transfer_result_t *result)
{
    CURL *easy = transfer->easy;
    curl_off_t asked = 0;
    bool refused = false;

    *result = (loyalty_transfer_result_t){.code = CURLE_OUT_OF_MEMORY};

    if (transfer->headers != NULL) {
        curl_easy_setopt(easy, CURLOPT_HTTPHEADER, transfer->headers);
    }
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)timeout_ms);

    if (!transfer->failed
        && curl_multi_add_handle(transfer->multi, easy) == CURLM_OK) {
        result->stopped = !drive(transfer, &result->code)
                          || result->code == CURLE_ABORTED_BY_CALLBACK;
        curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &result->status);
        curl_easy_getinfo(easy, CURLINFO_RETRY_AFTER, &asked);
        refused = transfer->refusal != 0 && transfer->refusal == result->status;
        if (result->stopped || (result->code != CURLE_OK && !refused)) {
            shut_connections(transfer);
        }
        curl_multi_remove_handle(transfer->multi, easy);
    }

    result->retry_after = asked > LOYALTY_DAY / LOYALTY_SECOND
                              ? LOYALTY_DAY : (int64_t)asked * LOYALTY_SECOND;
    result->body = (loyalty_str_t){transfer->answer, transfer->len};
    result->uploaded = transfer->sent != 0;
    result->error = transfer->reply[0] != '\0'
                            && (refused || transfer->refusal == 0)
                        ? transfer->reply
                    : transfer->error[0] != '\0' ? transfer->error
                    : curl_easy_strerror(result->code);
}
