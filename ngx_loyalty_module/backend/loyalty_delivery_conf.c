/*
 * Reading the configuration of delivery: the document and its channels.
 */

#include "loyalty_delivery_file.h"

#include <stdio.h>
#include <stdlib.h>

#include "loyalty_mime.h"

#define TIMEOUT 30 /* seconds */
#define RATE_MAX 100000
#define CONCURRENCY 8

const char *const loyalty_delivery_channels[LOYALTY_DELIVERY_CHANNELS] = {
    "email", "sms", "messenger", "line"};

size_t
loyalty_delivery_channel(loyalty_channel_t channel)
{
    switch (channel) {
    case LOYALTY_CHANNEL_EMAIL:
        return 0;
    case LOYALTY_CHANNEL_SMS:
        return 1;
    case LOYALTY_CHANNEL_MESSENGER:
        return 2;
    case LOYALTY_CHANNEL_LINE:
        break;
    }

    return 3;
}

static bool
read_smtp(loyalty_conf_reader_t *reader, json_t *json, loyalty_way_t *way)
{
    static const char *const known[] = {
        "url", "tls", "user", "password_file", "ca_file", "helo", NULL};
    loyalty_smtp_t *smtp = &way->smtp;
    const char *url, *tls, *helo;
    size_t size, len;
    char *whole;

    if (!loyalty_conf_only(reader, json, known)
        || !loyalty_conf_text(reader, json, "url", &url)
        || !loyalty_conf_text(reader, json, "tls", &tls)
        || !loyalty_conf_text(reader, json, "user", &smtp->user)
        || !loyalty_conf_secret(reader, json, "password_file", &smtp->password)
        || !loyalty_conf_path(reader, json, "ca_file", &way->ca_file)
        || !loyalty_conf_text(reader, json, "helo", &helo)) {
        return false;
    }

    len = url == NULL                            ? 0
          : loyalty_conf_begins(url, "smtp://")  ? 7
          : loyalty_conf_begins(url, "smtps://") ? 8
                                                 : 0;
    if (len == 0 || url[len] == '\0' || strpbrk(url + len, "/@ ") != NULL) {
        return loyalty_conf_fail(reader,
                                 "\"url\" is to be smtp://HOST[:PORT] or "
                                 "smtps://HOST[:PORT]");
    }

    if (helo != NULL && strpbrk(helo, "/?# ") != NULL) {
        return loyalty_conf_fail(reader, "\"helo\" is to be a host name");
    }

    if ((smtp->user == NULL) != (smtp->password == NULL)) {
        return loyalty_conf_fail(reader,
                                 "\"user\" and \"password_file\" go together");
    }

    smtp->tls = tls == NULL || strcmp(tls, "required") == 0
                    ? LOYALTY_SMTP_REQUIRED
                : strcmp(tls, "optional") == 0 ? LOYALTY_SMTP_OPTIONAL
                                               : LOYALTY_SMTP_OFF;
    if (smtp->tls == LOYALTY_SMTP_OFF && strcmp(tls, "off") != 0) {
        return loyalty_conf_fail(reader,
                                 "\"tls\" is to be required, optional or off");
    }

    if (smtp->user != NULL && smtp->tls != LOYALTY_SMTP_REQUIRED) {
        return loyalty_conf_fail(
            reader, "a password goes out under \"tls\": \"required\" "
                    "only");
    }

    size = strlen(url) + (helo == NULL ? 0 : strlen(helo)) + 2;
    whole = loyalty_alloc(&reader->conf->arena, size);
    if (whole == NULL) {
        return loyalty_conf_no_memory(reader);
    }

    snprintf(whole, size, "%s/%s", url, helo == NULL ? "" : helo);
    smtp->url = whole;
    way->kind = LOYALTY_WAY_SMTP;
    return true;
}

static bool
read_values(loyalty_conf_reader_t *reader, json_t *json, loyalty_way_t *way)
{
    const char *key, *text;
    json_t *value;

    way->values = json_object_get(json, "values");
    if (way->values == NULL) {
        return true;
    }

    if (!json_is_object(way->values)
        || json_object_size(way->values) > LOYALTY_DELIVERY_LIST_MAX) {
        return loyalty_conf_fail(
            reader, "\"values\" is to be an object of at most %d texts",
            LOYALTY_DELIVERY_LIST_MAX);
    }

    json_object_foreach(way->values, key, value) {
        if (!loyalty_conf_text(reader, way->values, key, &text)) {
            return false;
        }
    }

    return true;
}

static bool
read_sender(loyalty_conf_reader_t *reader, json_t *json, loyalty_way_t *way)
{
    static const char *const known[] = {"name", "address", NULL};
    json_t *sender = json_object_get(json, "sender");
    const char *name, *address;

    if (sender == NULL) {
        return true;
    }

    if (!loyalty_conf_only(reader, sender, known)
        || !loyalty_conf_text(reader, sender, "name", &name)
        || !loyalty_conf_text(reader, sender, "address", &address)) {
        return false;
    }

    way->sender_name = loyalty_str_from(name);
    way->sender_address = loyalty_str_from(address);
    return true;
}

/* An adapter's file is read as `file`, then the channel's goes on. */
static bool
read_adapter_file(loyalty_conf_reader_t *reader, json_t *json,
                  loyalty_way_t *way, int *rate)
{
    const char *document = reader->file, *where = reader->where, *path;
    json_t *adapter = NULL;

    if (!loyalty_conf_path(reader, json, "adapter", &path)) {
        return false;
    }

    reader->file = path;
    reader->where = "";
    if (!loyalty_delivery_adapter_read(reader, way, &adapter)
        || !loyalty_conf_int(reader, adapter, "rate", 0, RATE_MAX, 0, rate)) {
        return false;
    }

    reader->file = document;
    reader->where = where;
    return true;
}

static bool
read_way(loyalty_conf_reader_t *reader, size_t channel, json_t *json,
         loyalty_way_t *way)
{
    static const char *const known[] = {
        "mailbox", "smtp", "adapter", "sender", "secret_file", "values",
        "ca_file", "rate", "concurrency", "timeout", NULL};
    json_t *smtp, *adapter, *mailbox;
    int rate = 0;

    if (!loyalty_conf_only(reader, json, known)) {
        return false;
    }

    mailbox = json_object_get(json, "mailbox");
    smtp = json_object_get(json, "smtp");
    adapter = json_object_get(json, "adapter");

    if ((mailbox != NULL) + (smtp != NULL) + (adapter != NULL) != 1) {
        return loyalty_conf_fail(reader,
                                 "needs one of \"mailbox\", \"smtp\" and "
                                 "\"adapter\"");
    }

    if (smtp != NULL && channel != 0) {
        return loyalty_conf_fail(reader, "\"smtp\" is for e-mail");
    }

    if (!read_sender(reader, json, way)
        || !loyalty_conf_secret(reader, json, "secret_file", &way->secret)
        || !loyalty_conf_path(reader, json, "ca_file", &way->ca_file)
        || !read_values(reader, json, way)
        || !loyalty_conf_int(reader, json, "timeout", 1,
                             LOYALTY_DELIVERY_TIMEOUT_MAX, TIMEOUT,
                             &way->timeout)
        || !loyalty_conf_int(reader, json, "concurrency", 1,
                             LOYALTY_DELIVERY_CONCURRENCY_MAX, CONCURRENCY,
                             &way->concurrency)) {
        return false;
    }

    way->timeout *= 1000;

    if (channel == 0 && way->sender_address.len != 0
        && !loyalty_mime_is_address(way->sender_address)) {
        return loyalty_conf_fail(reader,
                                 "\"sender\" has an \"address\" that is none");
    }

    if (mailbox != NULL) {
        way->kind = LOYALTY_WAY_MAILBOX;
        return loyalty_conf_path(reader, json, "mailbox", &way->folder)
               && loyalty_conf_int(reader, json, "rate", 0, RATE_MAX, 0,
                                   &way->rate);
    }

    if (smtp != NULL ? !read_smtp(reader, smtp, way)
                     : !read_adapter_file(reader, json, way, &rate)) {
        return false;
    }

    return loyalty_conf_int(reader, json, "rate", 0, RATE_MAX, rate,
                            &way->rate);
}

static bool
read_document(loyalty_conf_reader_t *reader)
{
    static const char *const known[] = {"email", "sms", "messenger", "line",
                                        NULL};
    json_t *json = loyalty_conf_load(reader), *way;
    size_t i;

    if (json == NULL || !loyalty_conf_only(reader, json, known)) {
        return false;
    }

    if (json_object_size(json) == 0) {
        return loyalty_conf_fail(
            reader, "names no channel: email, sms, messenger or line");
    }

    for (i = 0; i < LOYALTY_DELIVERY_CHANNELS; i++) {
        reader->where = loyalty_delivery_channels[i];
        way = json_object_get(json, reader->where);
        if (way != NULL && !read_way(reader, i, way, &reader->conf->ways[i])) {
            return false;
        }
    }

    return true;
}

static loyalty_delivery_conf_t *
conf_create(void)
{
    loyalty_delivery_conf_t *conf = calloc(1, sizeof(*conf));
    size_t i;

    if (conf == NULL) {
        return NULL;
    }

    conf->processes = 1;
    for (i = 0; i < LOYALTY_DELIVERY_CHANNELS; i++) {
        conf->ways[i].concurrency = CONCURRENCY;
    }

    loyalty_arena_init(&conf->arena, 0);
    conf->documents = json_array();
    if (conf->documents == NULL) {
        loyalty_delivery_conf_free(conf);
        return NULL;
    }

    return conf;
}

loyalty_status_t
loyalty_delivery_conf_read(const char *file, loyalty_delivery_conf_t **conf,
                           char *error)
{
    loyalty_conf_reader_t reader = {.file = file, .where = "", .error = error};

    *conf = NULL;
    reader.conf = conf_create();
    if (reader.conf == NULL) {
        loyalty_conf_no_memory(&reader);
        return LOYALTY_ERROR_MEMORY;
    }

    if (!read_document(&reader)) {
        loyalty_delivery_conf_free(reader.conf);
        return LOYALTY_ERROR_INVALID;
    }

    *conf = reader.conf;
    return LOYALTY_OK;
}

loyalty_delivery_conf_t *
loyalty_delivery_conf_mailbox(const char *folder)
{
    loyalty_delivery_conf_t *conf = conf_create();
    size_t i, size = strlen(folder) + 1;
    char *copy;

    if (conf == NULL) {
        return NULL;
    }

    copy = loyalty_alloc(&conf->arena, size);
    if (copy == NULL) {
        loyalty_delivery_conf_free(conf);
        return NULL;
    }

    memcpy(copy, folder, size);
    for (i = 0; i < LOYALTY_DELIVERY_CHANNELS; i++) {
        conf->ways[i].kind = LOYALTY_WAY_MAILBOX;
        conf->ways[i].folder = copy;
    }

    return conf;
}

void
loyalty_delivery_conf_free(loyalty_delivery_conf_t *conf)
{
    size_t i;

    if (conf == NULL) {
        return;
    }

    for (i = 0; i < conf->ntemplates; i++) {
        loyalty_template_free(conf->templates[i]);
    }
    free(conf->templates);
    json_decref(conf->documents);
    loyalty_arena_free(&conf->arena);
    free(conf);
}

void
loyalty_delivery_conf_share(loyalty_delivery_conf_t *conf, int processes)
{
    conf->processes = processes;
}

const char *
loyalty_delivery_conf_folder(const loyalty_delivery_conf_t *conf, size_t i)
{
    size_t j;

    for (j = 0; j < LOYALTY_DELIVERY_CHANNELS; j++) {
        if (conf->ways[j].kind == LOYALTY_WAY_MAILBOX && i-- == 0) {
            return conf->ways[j].folder;
        }
    }

    return NULL;
}
