/* Texts, numbers, secrets and templates of one file; one message for each
 * mistake. */

#include "loyalty_delivery_file.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

bool
loyalty_conf_fail(loyalty_conf_reader_t *reader, const char *format, ...)
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

bool
loyalty_conf_no_memory(loyalty_conf_reader_t *reader)
{
    return loyalty_conf_fail(reader, "out of memory");
}

/* A file's name, relative to the folder of the one being read. */
static const char *
path_of(loyalty_conf_reader_t *reader, const char *name)
{
    const char *slash = strrchr(reader->file, '/');
    size_t folder = slash == NULL ? 0 : (size_t)(slash - reader->file) + 1;
    size_t size = folder + strlen(name) + 1;
    char *path = loyalty_alloc(&reader->conf->arena, size);

    if (path == NULL) {
        loyalty_conf_no_memory(reader);
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
slurp(loyalty_conf_reader_t *reader, const char *path, size_t max, size_t *len)
{
    FILE *file = fopen(path, "rb");
    char *text;

    if (file == NULL) {
        loyalty_conf_fail(reader, "\"%.200s\" cannot be opened: %s", path,
                          strerror(errno));
        return NULL;
    }

    text = loyalty_alloc(&reader->conf->arena, max + 2);
    *len = text == NULL ? 0 : fread(text, 1, max + 1, file);
    fclose(file);

    if (text == NULL) {
        loyalty_conf_no_memory(reader);
        return NULL;
    }

    if (*len > max) {
        loyalty_conf_fail(reader, "\"%.200s\" has more than %zu bytes", path,
                          max);
        return NULL;
    }

    text[*len] = '\0';
    return text;
}

json_t *
loyalty_conf_load(loyalty_conf_reader_t *reader)
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
        loyalty_conf_fail(reader, "line %d, column %d: %s", error.line,
                          error.column, error.text);
        return NULL;
    }

    if (json_array_append_new(reader->conf->documents, json) != 0) {
        loyalty_conf_no_memory(reader);
        return NULL;
    }

    if (!json_is_object(json)) {
        loyalty_conf_fail(reader, "is to be a JSON object");
        return NULL;
    }

    return json;
}

bool
loyalty_conf_only(loyalty_conf_reader_t *reader, json_t *object,
                  const char *const *known)
{
    const char *key;
    json_t *value;
    char names[160];
    size_t i, len = 0;

    if (!json_is_object(object)) {
        return loyalty_conf_fail(reader, "is to be a JSON object");
    }

    json_object_foreach(object, key, value) {
        for (i = 0; known[i] != NULL && strcmp(known[i], key) != 0; i++) {
            continue;
        }
        if (known[i] != NULL) {
            continue;
        }
        for (i = 0; known[i] != NULL && len < sizeof(names); i++) {
            len += (size_t)snprintf(names + len, sizeof(names) - len, "%s%s",
                                    i == 0 ? "" : ", ", known[i]);
        }
        return loyalty_conf_fail(reader, "\"%.64s\" is not known here: there "
                                 "are %s", key, names);
    }

    return true;
}

bool
loyalty_conf_text(loyalty_conf_reader_t *reader, json_t *object,
                  const char *key, const char **text)
{
    json_t *value = json_object_get(object, key);
    const char *c;

    *text = NULL;
    if (value == NULL) {
        return true;
    }

    if (!json_is_string(value) || json_string_length(value) == 0) {
        return loyalty_conf_fail(reader, "\"%s\" is to be a text", key);
    }

    for (c = json_string_value(value); *c != '\0'; c++) {
        if ((unsigned char)*c < ' ' || *c == 0x7f) {
            return loyalty_conf_fail(reader, "\"%s\" has a control character",
                                     key);
        }
    }

    *text = json_string_value(value);
    return true;
}

bool
loyalty_conf_int(loyalty_conf_reader_t *reader, json_t *object, const char *key,
                 int min, int max, int absent, int *number)
{
    json_t *value = json_object_get(object, key);

    *number = absent;
    if (value == NULL) {
        return true;
    }

    if (!json_is_integer(value) || json_integer_value(value) < min
        || json_integer_value(value) > max) {
        return loyalty_conf_fail(reader,
                                 "\"%s\" is to be a whole number from %d to %d",
                                 key, min, max);
    }

    *number = (int)json_integer_value(value);
    return true;
}

bool
loyalty_conf_secret(loyalty_conf_reader_t *reader, json_t *object,
                    const char *key, const char **secret)
{
    const char *name, *path;
    size_t len;
    char *text;

    *secret = NULL;
    if (!loyalty_conf_text(reader, object, key, &name)) {
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
        return loyalty_conf_fail(
            reader, "\"%.200s\" has no secret in its first line", path);
    }

    *secret = text;
    return true;
}

bool
loyalty_conf_path(loyalty_conf_reader_t *reader, json_t *object,
                  const char *key, const char **path)
{
    const char *name;

    *path = NULL;
    if (!loyalty_conf_text(reader, object, key, &name)) {
        return false;
    }
    if (name != NULL) {
        *path = path_of(reader, name);
    }

    return name == NULL || *path != NULL;
}

bool
loyalty_conf_compile(loyalty_conf_reader_t *reader, const char *source,
                     loyalty_template_t **compiled)
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
            return loyalty_conf_no_memory(reader);
        }
        conf->templates = templates;
        conf->templates_capacity = capacity;
    }

    loyalty_arena_init(&arena, 0);
    loyalty_problems_init(&problems, &arena);
    ok = loyalty_template_compile(loyalty_str_from(source), &problems, compiled)
         == LOYALTY_OK;
    if (ok) {
        loyalty_template_plain(*compiled);
        conf->templates[conf->ntemplates++] = *compiled;
    } else if (problems.count == 0) {
        loyalty_conf_no_memory(reader);
    } else {
        loyalty_conf_fail(reader, "the template \"%.64s\": %.*s", source,
                          (int)problems.list[0].message.len,
                          problems.list[0].message.data);
    }
    loyalty_arena_free(&arena);

    return ok;
}

bool
loyalty_conf_template(loyalty_conf_reader_t *reader, json_t *object,
                      const char *key, loyalty_template_t **compiled)
{
    const char *text;

    *compiled = NULL;
    return loyalty_conf_text(reader, object, key, &text)
           && (text == NULL || loyalty_conf_compile(reader, text, compiled));
}

bool
loyalty_conf_begins(const char *text, const char *prefix)
{
    return strncasecmp(text, prefix, strlen(prefix)) == 0;
}
