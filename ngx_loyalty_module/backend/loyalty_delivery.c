/*
 * The ways of delivery behind one function.
 *
 * A passing failure is one that a later try may mend: no connection, no
 * answer, "later" (4xx of SMTP, 408, 425, 429 and 5xx of HTTP), and what is
 * the operator's to mend and no fault of the message (a password, 401, 403).
 */

#include "loyalty_delivery_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "loyalty_document.h"
#include "loyalty_mime.h"

loyalty_delivery_t *
loyalty_delivery_create(const loyalty_delivery_conf_t *conf,
                        bool (*stopping)(void))
{
    loyalty_delivery_t *delivery = calloc(1, sizeof(*delivery));

    if (delivery == NULL) {
        return NULL;
    }

    delivery->conf = conf;
    loyalty_arena_init(&delivery->arena, 0);
    delivery->transfer = loyalty_transfer_create(stopping);
    if (delivery->transfer == NULL) {
        loyalty_delivery_free(delivery);
        return NULL;
    }

    return delivery;
}

void
loyalty_delivery_free(loyalty_delivery_t *delivery)
{
    if (delivery != NULL) {
        loyalty_transfer_free(delivery->transfer);
        loyalty_arena_free(&delivery->arena);
        free(delivery);
    }
}

void
loyalty_delivery_fail(loyalty_delivery_answer_t *answer,
                      loyalty_delivery_result_t result, const char *format,
                      ...)
{
    va_list args;

    answer->result = result;
    va_start(args, format);
    vsnprintf(answer->error, sizeof(answer->error), format, args);
    va_end(args);
    loyalty_utf8_mend(answer->error); /* it may quote what the provider says */
}

int
loyalty_delivery_timeout(const loyalty_delivery_conf_t *conf,
                         loyalty_channel_t channel)
{
    return conf->ways[loyalty_delivery_channel(channel)].timeout;
}

/* Site and message in a file's name: nothing that leads elsewhere. */
static void
name_file(const loyalty_envelope_t *envelope, const char *suffix, char *name,
          size_t size)
{
    char *c;

    snprintf(name, size, "%.*s-%.*s", (int)envelope->site.len,
             envelope->site.data, (int)envelope->id.len, envelope->id.data);

    for (c = name; *c != '\0'; c++) {
        if (!((*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z')
              || (*c >= '0' && *c <= '9') || *c == '-' || *c == '_'
              || (*c == '.' && c != name))) {
            *c = '_';
        }
    }

    snprintf(c, size - (size_t)(c - name), "%s", suffix);
}

static bool
write_all(int fd, loyalty_str_t bytes)
{
    ssize_t n;

    while (bytes.len != 0) {
        n = write(fd, bytes.data, bytes.len);
        if (n < 0 && errno != EINTR) {
            return false;
        }
        if (n > 0) {
            bytes.data += n;
            bytes.len -= (size_t)n;
        }
    }

    return true;
}

/* Complete under its name or not at all; the same message, the same file. */
static void
write_file(const loyalty_way_t *way, const loyalty_envelope_t *envelope,
           const char *suffix, loyalty_str_t bytes,
           loyalty_delivery_answer_t *answer)
{
    char name[LOYALTY_SITE_ID_MAX + LOYALTY_MESSAGE_ID_MAX + 16];
    char path[4096], fresh[4096 + 32];
    bool ok;
    int fd;

    name_file(envelope, suffix, name, sizeof(name));
    if ((size_t)snprintf(path, sizeof(path), "%s/%s", way->folder, name)
        >= sizeof(path)) {
        loyalty_delivery_fail(answer, LOYALTY_DELIVERY_PASSING,
                              "the mailbox's name is too long");
        return;
    }

    snprintf(fresh, sizeof(fresh), "%s.%ld", path, (long)getpid());
    fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    ok = fd != -1 && write_all(fd, bytes);
    if (fd != -1) {
        ok = close(fd) == 0 && ok;
    }

    if (!ok || rename(fresh, path) != 0) {
        loyalty_delivery_fail(answer, LOYALTY_DELIVERY_PASSING,
                              "\"%.200s\" cannot be written: %s", path,
                              strerror(errno));
        if (fd != -1) {
            unlink(fresh);
        }
        return;
    }

    answer->result = LOYALTY_DELIVERY_SENT;
    snprintf(answer->reference, sizeof(answer->reference), "%.128s", name);
}

/* The envelope as the values of a template. */
json_t *
loyalty_delivery_values(const loyalty_way_t *way,
                        const loyalty_envelope_t *envelope)
{
    const loyalty_str_t *s = &way->sender_name, *a = &way->sender_address;
    const char *channel = loyalty_delivery_channels[loyalty_delivery_channel(
        envelope->channel)];
    char uuid[LOYALTY_UUID_SIZE];
    json_t *values;

    if (loyalty_envelope_uuid(envelope, uuid) != LOYALTY_OK) {
        return NULL;
    }

    if (envelope->sender_name.len != 0) {
        s = &envelope->sender_name;
    }
    if (envelope->sender_address.len != 0) {
        a = &envelope->sender_address;
    }

#define STR(str) (str).len == 0 ? "" : (str).data, (str).len
    values = json_pack("{s:s, s:s%, s:s%, s:s%, s:s%, s:s%, s:{s:s%, s:s%},"
                       " s:{s:s%, s:s}}",
                       "channel", channel, "site", STR(envelope->site), "to",
                       STR(envelope->to), "subject", STR(envelope->subject),
                       "text", STR(envelope->text), "html",
                       STR(envelope->html), "sender", "name", STR(*s),
                       "address", STR(*a), "message", "id", STR(envelope->id),
                       "uuid", uuid);
#undef STR

    return values;
}

static void
send_mailbox_json(loyalty_delivery_t *delivery, const loyalty_way_t *way,
                  const loyalty_envelope_t *envelope,
                  loyalty_delivery_answer_t *answer)
{
    json_t *values = loyalty_delivery_values(way, envelope);
    char *text = values == NULL ? NULL : json_dumps(values, JSON_INDENT(2));

    (void)delivery;
    json_decref(values);
    if (text == NULL) {
        loyalty_delivery_fail(answer, LOYALTY_DELIVERY_PASSING,
                              "out of memory");
        return;
    }

    write_file(way, envelope, ".json", loyalty_str_from(text), answer);
    free(text);
}

/* E-mail: the way's own sender where the message has none. */
static bool
compose(loyalty_delivery_t *delivery, const loyalty_way_t *way,
        const loyalty_envelope_t *envelope, loyalty_envelope_t *full,
        loyalty_str_t *bytes, loyalty_delivery_answer_t *answer)
{
    const char *what;
    loyalty_status_t rc;

    *full = *envelope;
    if (full->sender_address.len == 0) {
        full->sender_address = way->sender_address.len != 0
                                   ? way->sender_address
                                   : envelope->spare_address;
    }
    if (full->sender_name.len == 0) {
        full->sender_name = way->sender_name;
    }

    rc = loyalty_mime_compose(full, &delivery->arena, bytes, &what);
    if (rc == LOYALTY_ERROR_INVALID) {
        loyalty_delivery_fail(answer, LOYALTY_DELIVERY_PERMANENT,
                              "no e-mail can be made: \"%s\" is missing or not "
                              "valid", what);
    } else if (rc != LOYALTY_OK) {
        loyalty_delivery_fail(answer, LOYALTY_DELIVERY_PASSING,
                              "out of memory");
    }

    return rc == LOYALTY_OK;
}

void
loyalty_delivery_send(loyalty_delivery_t *delivery,
                      const loyalty_envelope_t *envelope,
                      loyalty_delivery_answer_t *answer)
{
    size_t channel = loyalty_delivery_channel(envelope->channel);
    const loyalty_way_t *way = &delivery->conf->ways[channel];
    loyalty_envelope_t full;
    loyalty_str_t bytes;

    *answer = (loyalty_delivery_answer_t){.result = LOYALTY_DELIVERY_PERMANENT};
    loyalty_arena_reset(&delivery->arena);

    if (way->kind == LOYALTY_WAY_NONE) {
        loyalty_delivery_fail(answer, LOYALTY_DELIVERY_PERMANENT,
                              "the channel %s is not configured",
                              loyalty_delivery_channels[channel]);
        return;
    }

    if (envelope->to.len == 0) {
        loyalty_delivery_fail(answer, LOYALTY_DELIVERY_PERMANENT,
                              "there is no address to send to");
        return;
    }

    if (way->kind == LOYALTY_WAY_HTTP) {
        loyalty_delivery_http(delivery, way, envelope, answer);
        return;
    }

    if (envelope->channel != LOYALTY_CHANNEL_EMAIL) {
        send_mailbox_json(delivery, way, envelope, answer);
        return;
    }

    if (compose(delivery, way, envelope, &full, &bytes, answer)) {
        if (way->kind == LOYALTY_WAY_SMTP) {
            loyalty_delivery_smtp(delivery, way, &full, bytes, answer);
        } else {
            write_file(way, envelope, ".eml", bytes, answer);
        }
    }
}
