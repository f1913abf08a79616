/*
 * The API: a request in, a response out, in a thread.
 *
 *   request -> path -> route -> token -> idempotency -> handler -> response
 *                                              ^            |
 *                                              +--conflict--+
 *
 * Nothing here knows nginx.  A session is what a thread works with; it may
 * serve any number of requests, one at a time.
 */

#ifndef LOYALTY_API_H
#define LOYALTY_API_H

#include "loyalty_store.h"

/* Longest body of any route, the NDJSON of orders/batch. */
#define LOYALTY_API_BODY_MAX (16 * 1024 * 1024)

/* A path with its query, as sent. */
#define LOYALTY_API_URI_MAX 4096

#define LOYALTY_API_IDEMPOTENCY_KEY_MAX 255

typedef enum {
    LOYALTY_METHOD_GET = 1,
    LOYALTY_METHOD_POST = 2,
    LOYALTY_METHOD_PUT = 4,
    LOYALTY_METHOD_PATCH = 8,
    LOYALTY_METHOD_DELETE = 16,
    LOYALTY_METHOD_OTHER = 32
} loyalty_method_t;

/* Strings are the caller's and outlive the call; absent headers are empty. */
typedef struct {
    loyalty_method_t method;
    loyalty_str_t uri; /* unparsed, with the query */
    loyalty_str_t authorization;
    loyalty_str_t session;    /* the cookie loyalty_session */
    loyalty_str_t csrf_token; /* the header X-CSRF-Token */
    loyalty_str_t preview_secret;
    bool insecure;            /* the cookie may travel without TLS */
    loyalty_str_t content_type;
    loyalty_str_t idempotency_key;
    loyalty_str_t if_match;
    loyalty_str_t if_none_match;
    loyalty_str_t body;
    size_t offset; /* of a body answered in pieces: where the next begins */
} loyalty_api_request_t;

#define LOYALTY_API_HEADER_MAX 512

typedef struct {
    int status;
    const char *content_type;
    char *body; /* malloc'ed; NULL: none */
    size_t len;
    char location[LOYALTY_API_HEADER_MAX]; /* empty: no such header */
    char etag[64];
    char cookie[256]; /* of Set-Cookie */
    char allow[64];
    int retry_after; /* seconds; 0: no such header */
    bool replayed;
    bool known;     /* the token or the session is one */
    bool immutable; /* may be kept for ever, by anybody */
    size_t offset; /* > 0: a piece; call again with it as the request's */
} loyalty_api_response_t;

typedef struct loyalty_api_session_s loyalty_api_session_t;

loyalty_api_session_t *loyalty_api_session_create(
    const loyalty_store_conf_t *conf);
void loyalty_api_session_free(loyalty_api_session_t *session);

/* Always fills the response; its body is the caller's to free. */
void loyalty_api(loyalty_api_session_t *session,
                 const loyalty_api_request_t *request,
                 loyalty_api_response_t *response);

/* How long a body may be, by method and path, before it is read.  0: the
 * request is refused whatever it says. */
size_t loyalty_api_body_max(loyalty_method_t method, loyalty_str_t uri);

/* An error as the API words it, for what the server itself finds wrong. */
void loyalty_api_fail(loyalty_api_response_t *response, int status,
                      const char *code, const char *message);

#endif
