/*
 * A configuration file of delivery as JSON: its texts, numbers, secrets and
 * templates.  For loyalty_delivery_*.c.
 *
 * Every function that finds something wrong says so in reader->error and
 * answers false or NULL; what has been made so far is freed with the
 * configuration.
 */

#ifndef LOYALTY_DELIVERY_FILE_H
#define LOYALTY_DELIVERY_FILE_H

#include "loyalty_delivery_conf.h"

typedef struct {
    loyalty_delivery_conf_t *conf;
    const char *file;  /* that is being read */
    const char *where; /* in it: "email", "sms.values" */
    char *error;       /* LOYALTY_DELIVERY_ERROR_SIZE bytes */
} loyalty_conf_reader_t;

/* Always false. */
bool loyalty_conf_fail(loyalty_conf_reader_t *reader, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
bool loyalty_conf_no_memory(loyalty_conf_reader_t *reader);

/* The JSON object in reader->file; the configuration keeps it. */
json_t *loyalty_conf_load(loyalty_conf_reader_t *reader);

/* No member but the known ones; `known` ends with NULL. */
bool loyalty_conf_only(loyalty_conf_reader_t *reader, json_t *object,
                       const char *const *known);

/* A text without control characters; absent: NULL. */
bool loyalty_conf_text(loyalty_conf_reader_t *reader, json_t *object,
                       const char *key, const char **text);
bool loyalty_conf_int(loyalty_conf_reader_t *reader, json_t *object,
                      const char *key, int min, int max, int absent,
                      int *number);

/* The first line of a file, for a secret; absent: NULL. */
bool loyalty_conf_secret(loyalty_conf_reader_t *reader, json_t *object,
                         const char *key, const char **secret);

/* A file's name, relative to the folder of the one being read. */
bool loyalty_conf_path(loyalty_conf_reader_t *reader, json_t *object,
                       const char *key, const char **path);

/* A template of plain text; the configuration frees it. */
bool loyalty_conf_compile(loyalty_conf_reader_t *reader, const char *source,
                          loyalty_template_t **compiled);
bool loyalty_conf_template(loyalty_conf_reader_t *reader, json_t *object,
                           const char *key, loyalty_template_t **compiled);

/* Whatever its case. */
bool loyalty_conf_begins(const char *text, const char *prefix);

/* Reads the adapter in reader->file into the way; *json is the document. */
bool loyalty_delivery_adapter_read(loyalty_conf_reader_t *reader,
                                   loyalty_way_t *way, json_t **json);

#endif
