/*
 * One connection: hiredis' blocking context, but never blocked for longer
 * than a slice, since a reload joins the threads.
 */

#include "loyalty_link.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

#ifdef LOYALTY_HAVE_REDIS_TLS
#include <hiredis/hiredis_ssl.h>
#endif

#define SLICE 100         /* ms between looks at stopping() */
#define PAUSE_FIRST 50    /* ms before connecting again */
#define PAUSE_MAX 1000

int64_t
loyalty_link_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);

    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void
loyalty_link_close(loyalty_link_t *link)
{
    if (link->context != NULL) {
        redisFree(link->context);
        link->context = NULL;
    }

    link->owed = 0;
}

void
loyalty_link_lost(loyalty_link_t *link)
{
    loyalty_link_close(link);

    link->pause = link->pause == 0 ? PAUSE_FIRST : link->pause * 2;
    if (link->pause > PAUSE_MAX) {
        link->pause = PAUSE_MAX;
    }

    link->retry_at = loyalty_link_now() + link->pause;
}

bool
loyalty_link_is_stale(const loyalty_link_t *link)
{
    struct pollfd fd = {.fd = link->context->fd, .events = POLLIN};

    return link->owed == 0 && poll(&fd, 1, 0) != 0;
}

static loyalty_store_result_t
away(loyalty_link_t *link, const char *what, const char *why, char *error)
{
    snprintf(error, LOYALTY_STORE_ERROR_SIZE, "%s %s: %s", what, link->addr,
             why);
    loyalty_link_lost(link);

    return LOYALTY_STORE_AWAY;
}

#ifdef LOYALTY_HAVE_REDIS_TLS

static bool
secure(redisContext *context, const loyalty_store_conf_t *conf)
{
    redisSSLContextError rc = REDIS_SSL_CTX_NONE;
    redisSSLContext *tls;
    bool ok;

    redisInitOpenSSL();
    tls = redisCreateSSLContext(conf->tls_ca, NULL, conf->tls_cert,
                                conf->tls_key, conf->tls_name, &rc);
    if (tls == NULL) {
        return false;
    }

    ok = redisInitiateSSLWithContext(context, tls) == REDIS_OK;
    redisFreeSSLContext(tls);

    return ok;
}

#else

static bool
secure(redisContext *context, const loyalty_store_conf_t *conf)
{
    (void)context;
    return !conf->tls;
}

#endif

static redisContext *
dial(const char *addr, int ms)
{
    struct timeval timeout = {ms / 1000, ms % 1000 * 1000};
    char host[LOYALTY_ADDR_MAX], *begin = host;
    const char *colon;
    size_t len;

    if (strncmp(addr, "unix:", 5) == 0) {
        return redisConnectUnixWithTimeout(addr + 5, timeout);
    }

    colon = strrchr(addr, ':');
    if (colon == NULL) {
        return redisConnectWithTimeout(addr, 6379, timeout);
    }

    len = (size_t)(colon - addr);
    memcpy(host, addr, len);
    host[len] = '\0';

    if (len > 2 && host[0] == '[' && host[len - 1] == ']') {
        host[len - 1] = '\0';
        begin++;
    }

    return redisConnectWithTimeout(begin, atoi(colon + 1), timeout);
}

/* AUTH and SELECT, as far as they are configured. */
static loyalty_store_result_t
greet(loyalty_link_t *link, const loyalty_store_conf_t *conf, char *error)
{
    loyalty_store_result_t result = LOYALTY_STORE_OK;
    loyalty_commands_t commands;
    redisReply *reply;
    size_t i;

    loyalty_commands_init(&commands);

    if (conf->password.len != 0) {
        loyalty_command(&commands, "AUTH", conf->user.len != 0 ? 3 : 2);
        if (conf->user.len != 0) {
            loyalty_arg(&commands, conf->user);
        }
        loyalty_arg(&commands, conf->password);
    }

    if (conf->db != 0) {
        loyalty_command(&commands, "SELECT", 2);
        loyalty_arg_int(&commands, conf->db);
    }

    if (commands.count != 0) {
        result = loyalty_link_send(link, &commands, error);
    }

    for (i = 0; i < commands.count && result == LOYALTY_STORE_OK; i++) {
        result = loyalty_link_receive(link, conf, &reply, error);
        if (result != LOYALTY_STORE_OK) {
            break;
        }
        if (reply->type == REDIS_REPLY_ERROR) {
            result = away(link, "cannot sign in to", reply->str, error);
        }
        freeReplyObject(reply);
    }

    loyalty_commands_free(&commands);

    return result;
}

loyalty_store_result_t
loyalty_link_open(loyalty_link_t *link, const loyalty_store_conf_t *conf,
                  bool authenticate, char *error)
{
    struct timeval timeout = {1, 0};
    loyalty_store_result_t result;

    if (link->context != NULL) {
        if (!loyalty_link_is_stale(link)) {
            return LOYALTY_STORE_OK;
        }
        loyalty_link_close(link);
    }

    if (loyalty_link_now() < link->retry_at) {
        return LOYALTY_STORE_AWAY; /* `error` still says why */
    }

    link->context = dial(link->addr, conf->connect_timeout);

    if (link->context == NULL) {
        return away(link, "cannot connect to", "no memory", error);
    }

    if (link->context->err != 0) {
        return away(link, "cannot connect to", link->context->errstr, error);
    }

    link->connected++;

    /* A write that the peer does not take ends here, not never. */
    redisSetTimeout(link->context, timeout);

    if (conf->tls && !secure(link->context, conf)) {
        return away(link, "no TLS with", link->context->errstr, error);
    }

    result = authenticate ? greet(link, conf, error) : LOYALTY_STORE_OK;

    if (result == LOYALTY_STORE_OK) {
        link->pause = 0;
    }

    return result;
}

loyalty_store_result_t
loyalty_link_send(loyalty_link_t *link, const loyalty_commands_t *commands,
                  char *error)
{
    int done = 0;

    if (commands->failed
        || redisAppendFormattedCommand(link->context, commands->data,
                                       commands->len) != REDIS_OK) {
        snprintf(error, LOYALTY_STORE_ERROR_SIZE, "no memory for commands");
        loyalty_link_close(link);
        return LOYALTY_STORE_MEMORY;
    }

    link->owed += commands->count;

    while (!done) {
        if (redisBufferWrite(link->context, &done) != REDIS_OK) {
            return away(link, "lost", link->context->errstr, error);
        }
    }

    return LOYALTY_STORE_OK;
}

/* Readable before `deadline`, or why not. */
static loyalty_store_result_t
wait_readable(loyalty_link_t *link, const loyalty_store_conf_t *conf,
              int64_t deadline, char *error)
{
    struct pollfd fd = {.fd = link->context->fd, .events = POLLIN};
    int64_t left;
    int n;

    for (;;) {
        left = deadline - loyalty_link_now();
        if (left <= 0) {
            return away(link, "lost", "no answer in time", error);
        }

        n = poll(&fd, 1, left < SLICE ? (int)left : SLICE);
        if (n > 0) {
            return LOYALTY_STORE_OK;
        }

        if (n < 0 && errno != EINTR) {
            return away(link, "lost", strerror(errno), error);
        }

        if (conf->stopping != NULL && conf->stopping()) {
            snprintf(error, LOYALTY_STORE_ERROR_SIZE, "stopping");
            loyalty_link_close(link);
            return LOYALTY_STORE_STOPPED;
        }
    }
}

loyalty_store_result_t
loyalty_link_receive(loyalty_link_t *link, const loyalty_store_conf_t *conf,
                     redisReply **reply, char *error)
{
    int64_t deadline = loyalty_link_now() + conf->timeout;
    loyalty_store_result_t result;
    void *got = NULL;

    for (;;) {
        if (redisGetReplyFromReader(link->context, &got) != REDIS_OK) {
            return away(link, "lost", link->context->errstr, error);
        }

        if (got != NULL) {
            *reply = got;
            link->owed--;
            return LOYALTY_STORE_OK;
        }

        result = wait_readable(link, conf, deadline, error);
        if (result != LOYALTY_STORE_OK) {
            return result;
        }

        if (redisBufferRead(link->context) != REDIS_OK) {
            return away(link, "lost", link->context->errstr, error);
        }
    }
}
