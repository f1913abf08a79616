/*
 * Reading JSON objects by tables of fields.  One table says what a field is
 * called, what it may hold, what stands for it when it is absent, and where
 * in the C struct it goes; reading, reporting and filling in defaults all
 * follow it.  Internal to core/.
 *
 * A field that is absent or null takes its default.  Strings are borrowed
 * from the document, which must outlive the struct.
 */

#ifndef LOYALTY_READER_H
#define LOYALTY_READER_H

#include "loyalty_check.h"
#include "loyalty_map.h"
#include "loyalty_program.h"

typedef struct {
    loyalty_arena_t *arena;
    loyalty_problems_t *problems;
    loyalty_program_t *program; /* as far as it has been read */
    loyalty_str_t locale;       /* of a text given without one */
    bool preview; /* references to what may not exist are let through */
    bool out_of_memory;
    char pointer[512]; /* of the value being read */
    size_t len;
} loyalty_reader_t;

typedef struct {
    const char *name; /* NULL ends a list */
    int value;
} loyalty_name_t;

typedef enum {
    LOYALTY_FIELD_BOOL,    /* bool */
    LOYALTY_FIELD_INT32,   /* int32_t, min to max */
    LOYALTY_FIELD_INT64,   /* int64_t, min to max */
    LOYALTY_FIELD_DECIMAL, /* int64_t scaled by 10^scale, min to max */
    LOYALTY_FIELD_NAME,    /* an enum, one of `names` */
    LOYALTY_FIELD_STRING,  /* loyalty_str_t, min to max characters unless
                              max is 0, and as `check` likes it */
    LOYALTY_FIELD_TEXTS,   /* loyalty_texts_t, each such a string */
    LOYALTY_FIELD_INSTANT, /* loyalty_instant_t */
    LOYALTY_FIELD_OBJECT,  /* a struct by `shape` */
    LOYALTY_FIELD_OTHER    /* whatever `read` makes of it */
} loyalty_field_kind_t;

typedef struct loyalty_shape_s loyalty_shape_t;

typedef struct {
    const char *name;
    loyalty_field_kind_t kind;
    size_t offset;
    bool required;
    bool lines; /* a text may have line breaks */
    int64_t min, max;
    int scale;
    const loyalty_name_t *names;
    loyalty_string_check_pt check;
    int64_t absent;          /* for numbers, instants and enums */
    const char *absent_text; /* for strings; as JSON for OTHER; or NULL */
    const loyalty_shape_t *shape;
    /* `value` is NULL where the field is absent. */
    void (*read)(loyalty_reader_t *reader, json_t *value, void *target);
} loyalty_field_t;

/* An object of the program: its fields and what to call it. */
struct loyalty_shape_s {
    const char *what; /* "a status" */
    const loyalty_field_t *fields;
    size_t nfields;
    size_t size; /* of the struct */
    /* What no single field can tell, of an object that is there; or NULL. */
    void (*finish)(loyalty_reader_t *reader, json_t *object, void *target);
};

#define LOYALTY_SHAPE(what, fields, type, finish)                             \
    {what, fields, sizeof(fields) / sizeof((fields)[0]), sizeof(type), finish}

/* The member `key` of the value being read, until loyalty_leave. */
size_t loyalty_enter(loyalty_reader_t *reader, const char *key);
size_t loyalty_enter_index(loyalty_reader_t *reader, size_t index);
void loyalty_leave(loyalty_reader_t *reader, size_t mark);

/* A problem of the value being read, or of its member `key`. */
void loyalty_report(loyalty_reader_t *reader, const char *key,
                    const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Whether the object has the member, and it is not null. */
bool loyalty_has(json_t *object, const char *key);

/* From the arena; NULL marks the reader out of memory. */
void *loyalty_reader_alloc(loyalty_reader_t *reader, size_t size);

/* Reads `object` into the zeroed struct at `target`. */
void loyalty_read_object(loyalty_reader_t *reader, json_t *object,
                         const loyalty_shape_t *shape, void *target);

/* Reads one value: the member `key` of the one being read, or (NULL) it. */
void loyalty_read_value(loyalty_reader_t *reader, const char *key,
                        json_t *value, const loyalty_field_t *field,
                        void *target);

/*
 * Reads the array `array` (NULL: none), the member `key` of the value being
 * read (NULL: that value itself): an array of structs, whose number goes to
 * *n.
 */
void *loyalty_read_objects(loyalty_reader_t *reader, json_t *array,
                           const char *key, size_t max,
                           const loyalty_shape_t *shape, size_t *n);

/* Every item of an array of `n` structs of that size must have an `id`, at
 * offset 0, of its own; *map then leads from id to index. */
void loyalty_read_ids(loyalty_reader_t *reader, const char *key,
                      const void *items, size_t size, size_t n,
                      loyalty_map_t *map);

/* The array being read, of distinct strings that `check` likes. */
loyalty_str_t *loyalty_read_strings(loyalty_reader_t *reader, json_t *array,
                                    size_t max, loyalty_string_check_pt check,
                                    size_t *n);

/*
 * The array `key` of `object`, where it is one: a problem for every string in
 * it that `find` does not know.
 */
void loyalty_check_references(loyalty_reader_t *reader, json_t *object,
                              const char *key, const char *where,
                              bool (*find)(const loyalty_program_t *program,
                                           loyalty_str_t id));

/* The names of an enum joined for a message: "a, b or c". */
void loyalty_join_names(const loyalty_name_t *names, char *text, size_t size);
/* NULL: no such value. */
const char *loyalty_name_of(const loyalty_name_t *names, int value);

/* Writes every default of the shape into `object` where it has nothing. */
loyalty_status_t loyalty_fill_object(json_t *object,
                                     const loyalty_shape_t *shape);

#endif
