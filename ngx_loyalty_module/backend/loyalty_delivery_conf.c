/*
 * Reading the configuration of delivery.  Every function that finds something
 * wrong says so in reader->error and answers false; what has been made so far
 * is freed with the configuration.
 */

#include "loyalty_delivery_conf.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "loyalty_capture.h"
#include "loyalty_mime.h"

#define TIMEOUT 30 /* seconds */
#define RATE_MAX 100000

const char *const loyalty_delivery_channels[LOYALTY_DELIVERY_CHANNELS] = {
    "email", "sms", "messenger", "line"
};

typedef struct {
    loyalty_delivery_conf_t *conf;
    const char *file;  /* that is being read */
    const char *where; /* in it: "email", "sms.values" */
    char *error;
} reader_t;

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

static bool fail(reader_t *reader, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static bool
fail(reader_t *reader, const char *format, ...)
{
    va_list args;
    int len;

    len = snprintf(reader->error, LOYALTY_DELIVERY_ERROR_SIZE,
                   "\"%.200s\"%s%.64s: ", reader->file,
                   reader->where[0] == '\0' ? "" : ", ", reader->where);
    va_start(args, format);
    vsnprintf(reader->error + len, LOYALTY_DELIVERY_ERROR_SIZE - (size_t)len,
              format, args);
    va_end(args);

    return false;
}

static bool
no_memory(reader_t *reader)
{
    return fail(reader, "out of memory");
}

/* A file's name, relative to the folder of the one being read. */
static const char *
path_of(reader_t *reader, const char *name)
{
    const char *slash = strrchr(reader->file, '/');
    size_t folder = slash == NULL ? 0 : (size_t)(slash - reader->file) + 1;
    size_t size = folder + strlen(name) + 1;
    char *path = loyalty_alloc(&reader->conf->arena, size);

    if (path == NULL) {
        no_memory(reader);
        return NULL;
    }

    if (name[0] == '/') {
        folder = 0;
    }

    snprintf(path, size, "%.*s%s", (int)folder, reader->file, name);
    return path;
}

/* A whole file, terminated. */
static char *
slurp(reader_t *reader, const char *path, size_t max, size_t *len)
{
    FILE *file = fopen(path, "rb");
    char *text;

    if (file == NULL) {
        fail(reader, "\"%.200s\" cannot be opened: %s", path, strerror(errno));
        return NULL;
    }

    text = loyalty_alloc(&reader->conf->arena, max + 2);
    *len = text == NULL ? 0 : fread(text, 1, max + 1, file);
    fclose(file);

    if (text == NULL) {
        no_memory(reader);
        return NULL;
    }

    if (*len > max) {
        fail(reader, "\"%.200s\" has more than %zu bytes", path, max);
        return NULL;
    }

    text[*len] = '\0';
    return text;
}

static json_t *
load(reader_t *reader)
{
    json_error_t error;
    json_t *json;
    size_t len;
    char *text;

    text = slurp(reader, reader->file, LOYALTY_DELIVERY_FILE_MAX, &len);
    if (text == NULL) {
        return NULL;
    }

    json = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error);
    if (json == NULL) {
        fail(reader, "line %d, column %d: %s", error.line, error.column,
             error.text);
        return NULL;
    }

    if (json_array_append_new(reader->conf->documents, json) != 0) {
        no_memory(reader);
        return NULL;
    }

    if (!json_is_object(json)) {
        fail(reader, "is to be a JSON object");
        return NULL;
    }

    return json;
}

/* No member but the known ones; `known` ends with NULL. */
static bool
only(reader_t *reader, json_t *object, const char *const *known)
{
    const char *key;
    json_t *value;
    size_t i;

    if (!json_is_object(object)) {
        return fail(reader, "is to be a JSON object");
    }

    json_object_foreach(object, key, value) {
        for (i = 0; known[i] != NULL && strcmp(known[i], key) != 0; i++) {
            continue;
        }
        if (known[i] == NULL) {
            return fail(reader, "\"%.64s\" is not known here", key);
        }
    }

    return true;
}

/* A text without control characters; absent: NULL. */
static bool
get_text(reader_t *reader, json_t *object, const char *key, const char **text)
{
    json_t *value = json_object_get(object, key);
    const char *c;

    *text = NULL;
    if (value == NULL) {
        return true;
    }

    if (!json_is_string(value) || json_string_length(value) == 0) {
        return fail(reader, "\"%s\" is to be a text", key);
    }

    for (c = json_string_value(value); *c != '\0'; c++) {
        if ((unsigned char)*c < ' ' || *c == 0x7f) {
            return fail(reader, "\"%s\" has a control character", key);
        }
    }

    *text = json_string_value(value);
    return true;
}

static bool
get_int(reader_t *reader, json_t *object, const char *key, int min, int max,
        int absent, int *number)
{
    json_t *value = json_object_get(object, key);

    *number = absent;
    if (value == NULL) {
        return true;
    }

    if (!json_is_integer(value) || json_integer_value(value) < min
        || json_integer_value(value) > max) {
        return fail(reader, "\"%s\" is to be a whole number from %d to %d", key,
                    min, max);
    }

    *number = (int)json_integer_value(value);
    return true;
}

/* The first line of a file, for a secret. */
static bool
get_secret(reader_t *reader, json_t *object, const char *key,
           const char **secret)
{
    const char *name, *path;
    size_t len;
    char *text;

    *secret = NULL;
    if (!get_text(reader, object, key, &name)) {
        return false;
    }
    if (name == NULL) {
        return true;
    }

    path = path_of(reader, name);
    text = path == NULL ? NULL : slurp(reader, path, LOYALTY_SECRET_MAX, &len);
    if (text == NULL) {
        return false;
    }

    text[strcspn(text, "\r\n")] = '\0';
    if (text[0] == '\0') {
        return fail(reader, "\"%.200s\" has no secret in its first line", path);
    }

    *secret = text;
    return true;
}

static bool
get_path(reader_t *reader, json_t *object, const char *key, const char **path)
{
    const char *name;

    *path = NULL;
    if (!get_text(reader, object, key, &name)) {
        return false;
    }
    if (name != NULL) {
        *path = path_of(reader, name);
    }

    return name == NULL || *path != NULL;
}

static bool
compile(reader_t *reader, const char *source, loyalty_template_t **compiled)
{
    loyalty_delivery_conf_t *conf = reader->conf;
    loyalty_template_t **templates;
    loyalty_problems_t problems;
    loyalty_arena_t arena;
    size_t capacity;
    bool ok;

    if (conf->ntemplates == conf->templates_capacity) {
        capacity = conf->templates_capacity * 2 + 16;
        templates = realloc(conf->templates, capacity * sizeof(*templates));
        if (templates == NULL) {
            return no_memory(reader);
        }
        conf->templates = templates;
        conf->templates_capacity = capacity;
    }

    loyalty_arena_init(&arena, 0);
    loyalty_problems_init(&problems, &arena);
    ok = loyalty_template_compile(loyalty_str_from(source), &problems,
                                  compiled) == LOYALTY_OK;
    if (ok) {
        loyalty_template_plain(*compiled);
        conf->templates[conf->ntemplates++] = *compiled;
    } else if (problems.count == 0) {
        no_memory(reader);
    } else {
        fail(reader, "the template \"%.64s\": %.*s", source,
             (int)problems.list[0].message.len, problems.list[0].message.data);
    }
    loyalty_arena_free(&arena);

    return ok;
}

static bool
get_template(reader_t *reader, json_t *object, const char *key,
             loyalty_template_t **compiled)
{
    const char *text;

    *compiled = NULL;
    return get_text(reader, object, key, &text)
           && (text == NULL || compile(reader, text, compiled));
}

static bool
begins(const char *text, const char *prefix)
{
    return strncasecmp(text, prefix, strlen(prefix)) == 0;
}

/* Secrets and addresses do not go over a network in the clear. */
static bool
is_safe_url(const char *url)
{
    static const char *const local[] = {"http://127.0.0.1", "http://localhost",
                                        "http://[::1]"};
    size_t i, len;

    for (i = 0; i < sizeof(local) / sizeof(local[0]); i++) {
        len = strlen(local[i]);
        if (begins(url, local[i])
            && (url[len] == ':' || url[len] == '/' || url[len] == '\0')) {
            return true;
        }
    }

    return begins(url, "https://") && url[8] != '\0' && url[8] != '{'
           && url[8] != '/';
}

static bool
read_smtp(reader_t *reader, json_t *json, loyalty_way_t *way)
{
    static const char *const known[] = {"url", "tls", "user", "password_file",
                                        "ca_file", "helo", NULL};
    loyalty_smtp_t *smtp = &way->smtp;
    const char *url, *tls, *helo;
    size_t size, len;
    char *whole;

    if (!only(reader, json, known) || !get_text(reader, json, "url", &url)
        || !get_text(reader, json, "tls", &tls)
        || !get_text(reader, json, "user", &smtp->user)
        || !get_secret(reader, json, "password_file", &smtp->password)
        || !get_path(reader, json, "ca_file", &way->ca_file)
        || !get_text(reader, json, "helo", &helo)) {
        return false;
    }

    len = url == NULL ? 0 : begins(url, "smtp://")    ? 7
                            : begins(url, "smtps://") ? 8 : 0;
    if (len == 0 || url[len] == '\0' || strpbrk(url + len, "/@ ") != NULL) {
        return fail(reader, "\"url\" is to be smtp://HOST[:PORT] or "
                            "smtps://HOST[:PORT]");
    }

    if (helo != NULL && strpbrk(helo, "/?# ") != NULL) {
        return fail(reader, "\"helo\" is to be a host name");
    }

    if ((smtp->user == NULL) != (smtp->password == NULL)) {
        return fail(reader, "\"user\" and \"password_file\" go together");
    }

    smtp->tls = tls == NULL || strcmp(tls, "required") == 0
                    ? LOYALTY_SMTP_REQUIRED
                : strcmp(tls, "optional") == 0 ? LOYALTY_SMTP_OPTIONAL
                                               : LOYALTY_SMTP_OFF;
    if (smtp->tls == LOYALTY_SMTP_OFF && strcmp(tls, "off") != 0) {
        return fail(reader, "\"tls\" is to be required, optional or off");
    }

    if (smtp->user != NULL && smtp->tls != LOYALTY_SMTP_REQUIRED) {
        return fail(reader, "a password goes out under \"tls\": \"required\" "
                            "only");
    }

    size = strlen(url) + (helo == NULL ? 0 : strlen(helo)) + 2;
    whole = loyalty_alloc(&reader->conf->arena, size);
    if (whole == NULL) {
        return no_memory(reader);
    }

    snprintf(whole, size, "%s/%s", url, helo == NULL ? "" : helo);
    smtp->url = whole;
    way->kind = LOYALTY_WAY_SMTP;
    return true;
}

static bool
read_test(reader_t *reader, json_t *json, loyalty_answer_test_t *test)
{
    static const char *const known[] = {"status", "pointer", "values", NULL};
    const char *pointer;
    json_t *value;
    size_t i;

    if (!only(reader, json, known)
        || !get_text(reader, json, "pointer", &pointer)) {
        return false;
    }

    test->status = json_object_get(json, "status");
    test->pointer = loyalty_str_from(pointer);
    test->values = json_object_get(json, "values");

    if (pointer != NULL && loyalty_pointer_check(test->pointer) != LOYALTY_OK) {
        return fail(reader, "\"%.64s\" is no JSON Pointer", pointer);
    }

    if ((test->status != NULL && !json_is_array(test->status))
        || (test->values != NULL && !json_is_array(test->values))
        || (test->values != NULL && pointer == NULL)
        || (test->status == NULL && pointer == NULL)) {
        return fail(reader, "a test has \"status\" or \"pointer\", and with "
                            "the pointer \"values\"; both are arrays");
    }

    json_array_foreach(test->status, i, value) {
        if (!json_is_integer(value) || json_integer_value(value) < 100
            || json_integer_value(value) > 599) {
            return fail(reader, "\"status\" holds whole numbers from 100 to "
                                "599");
        }
    }

    return true;
}

static bool
read_tests(reader_t *reader, json_t *adapter, const char *key,
           loyalty_answer_test_t **tests, size_t *n)
{
    json_t *list = json_object_get(adapter, key), *one;
    size_t i;

    if (list == NULL) {
        return true;
    }

    *n = json_array_size(list);
    if (!json_is_array(list) || *n > LOYALTY_DELIVERY_LIST_MAX) {
        return fail(reader, "\"%s\" is to be an array of at most %d tests", key,
                    LOYALTY_DELIVERY_LIST_MAX);
    }

    *tests = loyalty_alloc(&reader->conf->arena, (*n + 1) * sizeof(**tests));
    if (*tests == NULL) {
        return no_memory(reader);
    }

    json_array_foreach(list, i, one) {
        if (!read_test(reader, one, &(*tests)[i])) {
            return false;
        }
    }

    return true;
}

static bool
read_headers(reader_t *reader, json_t *object, loyalty_adapter_t *adapter)
{
    json_t *headers = json_object_get(object, "headers"), *value;
    const char *name, *c;
    loyalty_adapter_text_t *header;

    if (headers == NULL) {
        return true;
    }

    if (!json_is_object(headers)
        || json_object_size(headers) > LOYALTY_DELIVERY_LIST_MAX) {
        return fail(reader, "\"headers\" is to be an object of at most %d "
                            "texts", LOYALTY_DELIVERY_LIST_MAX);
    }

    adapter->headers = loyalty_alloc(&reader->conf->arena,
                                     (json_object_size(headers) + 1)
                                         * sizeof(*adapter->headers));
    if (adapter->headers == NULL) {
        return no_memory(reader);
    }

    json_object_foreach(headers, name, value) {
        for (c = name; (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z')
                       || (*c >= '0' && *c <= '9') || *c == '-'; c++) {
            continue;
        }
        if (c == name || *c != '\0') {
            return fail(reader, "\"%.64s\" is no name of a header", name);
        }
        header = &adapter->headers[adapter->nheaders++];
        header->name = name;
        if (!get_template(reader, headers, name, &header->value)) {
            return false;
        }
    }

    return true;
}

/* Compiles the body's strings, depth first; the same walk renders them. */
static bool
compile_leaves(reader_t *reader, json_t *value, loyalty_adapter_t *adapter,
               size_t *capacity)
{
    loyalty_template_t **leaves;
    const char *key;
    json_t *child;
    size_t i;

    if (json_is_object(value)) {
        json_object_foreach(value, key, child) {
            if (!compile_leaves(reader, child, adapter, capacity)) {
                return false;
            }
        }
        return true;
    }

    if (json_is_array(value)) {
        json_array_foreach(value, i, child) {
            if (!compile_leaves(reader, child, adapter, capacity)) {
                return false;
            }
        }
        return true;
    }

    if (!json_is_string(value)) {
        return true;
    }

    if (adapter->nleaves == *capacity) {
        leaves = loyalty_alloc(&reader->conf->arena,
                               (*capacity * 2 + 16) * sizeof(*leaves));
        if (leaves == NULL) {
            return no_memory(reader);
        }
        if (adapter->nleaves != 0) {
            memcpy(leaves, adapter->leaves, adapter->nleaves * sizeof(*leaves));
        }
        adapter->leaves = leaves;
        *capacity = *capacity * 2 + 16;
    }

    return compile(reader, json_string_value(value),
                   &adapter->leaves[adapter->nleaves++]);
}

static bool
read_body(reader_t *reader, json_t *object, loyalty_adapter_t *adapter)
{
    json_t *json = json_object_get(object, "json");
    json_t *form = json_object_get(object, "form"), *value;
    size_t capacity = 0;
    const char *key;

    if (json != NULL && form != NULL) {
        return fail(reader, "\"json\" or \"form\", not both");
    }

    json_object_foreach(form, key, value) {
        if (!json_is_string(value)) {
            return fail(reader, "\"form\" is to be an object of texts");
        }
    }

    adapter->form = form != NULL;
    adapter->body = form != NULL ? form : json;
    if (adapter->body != NULL && !json_is_object(adapter->body)) {
        return fail(reader, "\"%s\" is to be a JSON object",
                    form != NULL ? "form" : "json");
    }

    return adapter->body == NULL
           || compile_leaves(reader, adapter->body, adapter, &capacity);
}

static bool
read_auth(reader_t *reader, json_t *object, loyalty_adapter_t *adapter)
{
    static const char *const known[] = {"user", "password", NULL};
    json_t *auth = json_object_get(object, "auth");

    if (auth == NULL) {
        return true;
    }

    if (!only(reader, auth, known)
        || !get_template(reader, auth, "user", &adapter->user)
        || !get_template(reader, auth, "password", &adapter->password)) {
        return false;
    }

    return (adapter->user != NULL && adapter->password != NULL)
           || fail(reader, "\"auth\" needs \"user\" and \"password\"");
}

static bool
read_adapter(reader_t *reader, loyalty_way_t *way, json_t **adapter_json)
{
    static const char *const known[] = {
        "description", "url", "method", "headers", "auth", "json", "form",
        "success", "passing", "permanent", "reference", "rate", NULL};
    loyalty_adapter_t *adapter = &way->adapter;
    const char *url, *reference;
    json_t *json = load(reader), *success;

    if (json == NULL || !only(reader, json, known)
        || !get_text(reader, json, "url", &url)
        || !get_text(reader, json, "method", &adapter->method)
        || !get_text(reader, json, "reference", &reference)
        || !read_headers(reader, json, adapter)
        || !read_auth(reader, json, adapter)
        || !read_body(reader, json, adapter)
        || !read_tests(reader, json, "passing", &adapter->passing,
                       &adapter->npassing)
        || !read_tests(reader, json, "permanent", &adapter->permanent,
                       &adapter->npermanent)) {
        return false;
    }

    if (url == NULL || !is_safe_url(url)) {
        return fail(reader, "\"url\" is to begin with https:// and a host "
                            "(http:// for this machine alone)");
    }

    adapter->reference = loyalty_str_from(reference);
    if (reference != NULL
        && loyalty_pointer_check(adapter->reference) != LOYALTY_OK) {
        return fail(reader, "\"reference\" is to be a JSON Pointer");
    }

    if (adapter->method == NULL) {
        adapter->method = "POST";
    }

    success = json_object_get(json, "success");
    if (success != NULL && !read_test(reader, success, &adapter->success)) {
        return false;
    }

    *adapter_json = json;
    way->kind = LOYALTY_WAY_HTTP;
    return compile(reader, url, &adapter->url);
}

static bool
read_values(reader_t *reader, json_t *json, loyalty_way_t *way)
{
    const char *key, *text;
    json_t *value;

    way->values = json_object_get(json, "values");
    if (way->values == NULL) {
        return true;
    }

    if (!json_is_object(way->values)
        || json_object_size(way->values) > LOYALTY_DELIVERY_LIST_MAX) {
        return fail(reader, "\"values\" is to be an object of at most %d texts",
                    LOYALTY_DELIVERY_LIST_MAX);
    }

    json_object_foreach(way->values, key, value) {
        if (!get_text(reader, way->values, key, &text)) {
            return false;
        }
    }

    return true;
}

static bool
read_sender(reader_t *reader, json_t *json, loyalty_way_t *way)
{
    static const char *const known[] = {"name", "address", NULL};
    json_t *sender = json_object_get(json, "sender");
    const char *name, *address;

    if (sender == NULL) {
        return true;
    }

    if (!only(reader, sender, known) || !get_text(reader, sender, "name", &name)
        || !get_text(reader, sender, "address", &address)) {
        return false;
    }

    way->sender_name = loyalty_str_from(name);
    way->sender_address = loyalty_str_from(address);
    return true;
}

/* An adapter's file is read as `file`, then the channel's goes on. */
static bool
read_adapter_file(reader_t *reader, json_t *json, loyalty_way_t *way,
                  int *rate)
{
    const char *document = reader->file, *where = reader->where, *path;
    json_t *adapter = NULL;

    if (!get_path(reader, json, "adapter", &path)) {
        return false;
    }

    reader->file = path;
    reader->where = "";
    if (!read_adapter(reader, way, &adapter)
        || !get_int(reader, adapter, "rate", 0, RATE_MAX, 0, rate)) {
        return false;
    }

    reader->file = document;
    reader->where = where;
    return true;
}

static bool
read_way(reader_t *reader, size_t channel, json_t *json, loyalty_way_t *way)
{
    static const char *const known[] = {
        "mailbox", "smtp", "adapter", "sender", "secret_file", "values",
        "ca_file", "rate", "timeout", NULL};
    json_t *smtp, *adapter, *mailbox;
    int rate = 0;

    if (!only(reader, json, known)) {
        return false;
    }

    mailbox = json_object_get(json, "mailbox");
    smtp = json_object_get(json, "smtp");
    adapter = json_object_get(json, "adapter");

    if ((mailbox != NULL) + (smtp != NULL) + (adapter != NULL) != 1) {
        return fail(reader, "needs one of \"mailbox\", \"smtp\" and "
                            "\"adapter\"");
    }

    if (smtp != NULL && channel != 0) {
        return fail(reader, "\"smtp\" is for e-mail");
    }

    if (!read_sender(reader, json, way)
        || !get_secret(reader, json, "secret_file", &way->secret)
        || !get_path(reader, json, "ca_file", &way->ca_file)
        || !read_values(reader, json, way)
        || !get_int(reader, json, "timeout", 1, LOYALTY_DELIVERY_TIMEOUT_MAX,
                    TIMEOUT, &way->timeout)) {
        return false;
    }

    way->timeout *= 1000;

    if (channel == 0 && way->sender_address.len != 0
        && !loyalty_mime_is_address(way->sender_address)) {
        return fail(reader, "\"sender\" has an \"address\" that is none");
    }

    if (mailbox != NULL) {
        way->kind = LOYALTY_WAY_MAILBOX;
        return get_path(reader, json, "mailbox", &way->folder)
               && get_int(reader, json, "rate", 0, RATE_MAX, 0, &way->rate);
    }

    if (smtp != NULL ? !read_smtp(reader, smtp, way)
                     : !read_adapter_file(reader, json, way, &rate)) {
        return false;
    }

    return get_int(reader, json, "rate", 0, RATE_MAX, rate, &way->rate);
}

static bool
read_document(reader_t *reader)
{
    static const char *const known[] = {"email", "sms", "messenger", "line",
                                        NULL};
    json_t *json = load(reader), *way;
    size_t i;

    if (json == NULL || !only(reader, json, known)) {
        return false;
    }

    if (json_object_size(json) == 0) {
        return fail(reader, "names no channel: email, sms, messenger or line");
    }

    for (i = 0; i < LOYALTY_DELIVERY_CHANNELS; i++) {
        reader->where = loyalty_delivery_channels[i];
        way = json_object_get(json, reader->where);
        if (way != NULL
            && !read_way(reader, i, way, &reader->conf->ways[i])) {
            return false;
        }
    }

    return true;
}

static loyalty_delivery_conf_t *
conf_create(void)
{
    loyalty_delivery_conf_t *conf = calloc(1, sizeof(*conf));

    if (conf == NULL) {
        return NULL;
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
    reader_t reader = {.file = file, .where = "", .error = error};

    *conf = NULL;
    reader.conf = conf_create();
    if (reader.conf == NULL) {
        no_memory(&reader);
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
