/*
 * The JSON Pointer of the value being read grows and shrinks as the reader
 * goes down and up; it is what every problem carries.  A value that is wrong
 * leaves its default behind, so that reading goes on and finds the rest.
 */

#include "loyalty_reader.h"

#include "loyalty_money.h"

#include <stdarg.h>
#include <stdio.h>

#define YEAR_1 INT64_C(-62135596800000)
#define YEAR_9999_END INT64_C(253402300799999)

static void
append(loyalty_reader_t *reader, char c)
{
    if (reader->len < sizeof(reader->pointer) - 1) {
        reader->pointer[reader->len++] = c;
        reader->pointer[reader->len] = '\0';
    }
}

/* RFC 6901: "~" is "~0" and "/" is "~1". */
size_t
loyalty_enter(loyalty_reader_t *reader, const char *key)
{
    size_t mark = reader->len;

    append(reader, '/');
    for (; *key != '\0'; key++) {
        if (*key == '~' || *key == '/') {
            append(reader, '~');
            append(reader, *key == '~' ? '0' : '1');
        } else {
            append(reader, *key);
        }
    }

    return mark;
}

size_t
loyalty_enter_index(loyalty_reader_t *reader, size_t index)
{
    char key[24];

    snprintf(key, sizeof(key), "%zu", index);
    return loyalty_enter(reader, key);
}

void
loyalty_leave(loyalty_reader_t *reader, size_t mark)
{
    reader->len = mark;
    reader->pointer[mark] = '\0';
}

void
loyalty_report(loyalty_reader_t *reader, const char *key, const char *format,
               ...)
{
    size_t mark = reader->len;
    char text[400];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);

    if (key != NULL) {
        loyalty_enter(reader, key);
    }
    loyalty_problem(reader->problems, reader->pointer, "%s", text);
    loyalty_leave(reader, mark);
}

void *
loyalty_reader_alloc(loyalty_reader_t *reader, size_t size)
{
    void *p = loyalty_alloc(reader->arena, size);

    if (p == NULL) {
        reader->out_of_memory = true;
    }

    return p;
}

static loyalty_str_t
string_of(json_t *value)
{
    return (loyalty_str_t){json_string_value(value),
                           json_string_length(value)};
}

static void
read_string(loyalty_reader_t *reader, const loyalty_field_t *field,
            json_t *value, loyalty_str_t *target)
{
    const char *problem;
    loyalty_str_t text;
    size_t length;

    if (!json_is_string(value)) {
        loyalty_report(reader, NULL, "must be a text");
        return;
    }

    text = string_of(value);
    length = loyalty_length(text);

    if (field->max != 0
        && (length > (size_t)field->max || length < (size_t)field->min)) {
        loyalty_report(reader, NULL, "must have %lld to %lld characters, "
                       "not %zu", (long long)field->min,
                       (long long)field->max, length);
        return;
    }

    problem = loyalty_check_text(text, field->lines);
    if (problem == NULL && field->check != NULL) {
        problem = field->check(text);
    }
    if (problem != NULL) {
        loyalty_report(reader, NULL, "%s", problem);
        return;
    }

    *target = text;
}

static int64_t
read_integer(loyalty_reader_t *reader, const loyalty_field_t *field,
             json_t *value)
{
    int64_t number = json_integer_value(value);

    if (!json_is_integer(value) || number < field->min
        || number > field->max) {
        loyalty_report(reader, NULL, "must be a whole number from %lld to "
                       "%lld", (long long)field->min, (long long)field->max);
        return field->absent;
    }

    return number;
}

static int64_t
read_decimal(loyalty_reader_t *reader, const loyalty_field_t *field,
             json_t *value)
{
    char min[LOYALTY_DECIMAL_SIZE], max[LOYALTY_DECIMAL_SIZE];
    char digits[LOYALTY_DECIMAL_SIZE];
    loyalty_str_t text = {NULL, 0};
    int64_t number;

    if (json_is_string(value)) {
        text = string_of(value);
    } else if (json_is_integer(value)) {
        text.len = loyalty_decimal_format(json_integer_value(value), 0,
                                          digits);
        text.data = digits;
    }

    if (loyalty_decimal_parse(text, field->scale, LOYALTY_ROUND_EXACT,
                              &number) != LOYALTY_OK
        || number < field->min || number > field->max) {
        loyalty_decimal_format(field->min, field->scale, min);
        loyalty_decimal_format(field->max, field->scale, max);
        loyalty_report(reader, NULL, "must be from %s to %s with at most %d "
                       "places, as text: \"1.5\"", min, max, field->scale);
        return field->absent;
    }

    return number;
}

static loyalty_instant_t
read_instant(loyalty_reader_t *reader, const loyalty_field_t *field,
             json_t *value)
{
    loyalty_instant_t instant = LOYALTY_UNKNOWN;

    if (json_is_integer(value)) {
        instant = json_integer_value(value);
    } else if (!json_is_string(value)
               || loyalty_instant_parse(string_of(value), &instant)
                      != LOYALTY_OK) {
        instant = LOYALTY_UNKNOWN;
    }

    if (instant < YEAR_1 || instant > YEAR_9999_END) {
        loyalty_report(reader, NULL, "must be an instant such as "
                       "\"2026-01-31T08:00:00Z\", or milliseconds since 1970");
        return field->absent;
    }

    return instant;
}

void
loyalty_join_names(const loyalty_name_t *names, char *text, size_t size)
{
    size_t len = 0;
    int n;

    for (; names->name != NULL && len < size; names++) {
        n = snprintf(text + len, size - len, "%s\"%s\"",
                     len == 0 ? "" : names[1].name == NULL ? " or " : ", ",
                     names->name);
        len += (size_t)n;
    }
}

const char *
loyalty_name_of(const loyalty_name_t *names, int value)
{
    for (; names->name != NULL; names++) {
        if (names->value == value) {
            return names->name;
        }
    }

    return NULL;
}

static int
read_name(loyalty_reader_t *reader, const loyalty_field_t *field,
          json_t *value)
{
    const loyalty_name_t *name;
    char text[256];

    for (name = field->names; name->name != NULL; name++) {
        if (json_is_string(value)
            && loyalty_str_eq(string_of(value),
                              loyalty_str_from(name->name))) {
            return name->value;
        }
    }

    loyalty_join_names(field->names, text, sizeof(text));
    loyalty_report(reader, NULL, "must be %s", text);
    return (int)field->absent;
}

/* {"en": "Gold", "fr": "Or"}: the site's own language comes first. */
static void
read_localized(loyalty_reader_t *reader, const loyalty_field_t *field,
               json_t *object, loyalty_texts_t *target)
{
    const char *key, *problem;
    loyalty_str_t locale, text;
    loyalty_text_t first;
    json_t *value;
    size_t mark, n = 0;

    target->texts = loyalty_reader_alloc(
        reader, json_object_size(object) * sizeof(target->texts[0]));
    if (target->texts == NULL) {
        return;
    }

    json_object_foreach(object, key, value) {
        mark = loyalty_enter(reader, key);
        locale = loyalty_str_from(key);
        text = loyalty_str_null;
        problem = loyalty_check_locale(locale);
        if (problem != NULL) {
            loyalty_report(reader, NULL, "the name of this field %s", problem);
        }

        read_string(reader, field, value, &text);
        target->texts[n++] = (loyalty_text_t){locale, text};

        if (loyalty_str_eq(locale, reader->locale)) {
            first = target->texts[0];
            target->texts[0] = target->texts[n - 1];
            target->texts[n - 1] = first;
        }
        loyalty_leave(reader, mark);
    }

    target->n = n;
}

static void
read_texts(loyalty_reader_t *reader, const loyalty_field_t *field,
           json_t *value, loyalty_texts_t *target)
{
    if (json_is_object(value)) {
        if (json_object_size(value) == 0
            || json_object_size(value) > LOYALTY_LOCALES_MAX) {
            loyalty_report(reader, NULL, "must have 1 to %d languages",
                           LOYALTY_LOCALES_MAX);
            return;
        }
        read_localized(reader, field, value, target);
        return;
    }

    if (!json_is_string(value)) {
        loyalty_report(reader, NULL, "must be a text, or one for each "
                       "language: {\"en\": \"Gold\", \"fr\": \"Or\"}");
        return;
    }

    target->texts = loyalty_reader_alloc(reader, sizeof(target->texts[0]));
    if (target->texts != NULL) {
        target->texts[0].locale = reader->locale;
        read_string(reader, field, value, &target->texts[0].text);
        target->n = 1;
    }
}

static json_t *
present(json_t *object, const char *name)
{
    json_t *value = json_object_get(object, name);

    return json_is_null(value) ? NULL : value;
}

bool
loyalty_has(json_t *object, const char *key)
{
    return present(object, key) != NULL;
}

static void
read_absent(loyalty_reader_t *reader, const loyalty_field_t *field,
            void *target)
{
    switch (field->kind) {
    case LOYALTY_FIELD_BOOL:
        *(bool *)target = field->absent != 0;
        break;
    case LOYALTY_FIELD_INT32:
        *(int32_t *)target = (int32_t)field->absent;
        break;
    case LOYALTY_FIELD_INT64:
    case LOYALTY_FIELD_DECIMAL:
    case LOYALTY_FIELD_INSTANT:
        *(int64_t *)target = field->absent;
        break;
    case LOYALTY_FIELD_NAME:
        *(int *)target = (int)field->absent;
        break;
    case LOYALTY_FIELD_STRING:
        *(loyalty_str_t *)target = loyalty_str_from(field->absent_text);
        break;
    case LOYALTY_FIELD_TEXTS:
        break;
    case LOYALTY_FIELD_OBJECT:
        loyalty_read_object(reader, NULL, field->shape, target);
        break;
    case LOYALTY_FIELD_OTHER:
        field->read(reader, NULL, target);
        break;
    }
}

static void
read_present(loyalty_reader_t *reader, const loyalty_field_t *field,
             json_t *value, void *target)
{
    switch (field->kind) {
    case LOYALTY_FIELD_BOOL:
        if (!json_is_boolean(value)) {
            loyalty_report(reader, NULL, "must be true or false");
        }
        *(bool *)target = json_is_true(value);
        break;
    case LOYALTY_FIELD_INT32:
        *(int32_t *)target = (int32_t)read_integer(reader, field, value);
        break;
    case LOYALTY_FIELD_INT64:
        *(int64_t *)target = read_integer(reader, field, value);
        break;
    case LOYALTY_FIELD_DECIMAL:
        *(int64_t *)target = read_decimal(reader, field, value);
        break;
    case LOYALTY_FIELD_INSTANT:
        *(int64_t *)target = read_instant(reader, field, value);
        break;
    case LOYALTY_FIELD_NAME:
        *(int *)target = read_name(reader, field, value);
        break;
    case LOYALTY_FIELD_STRING:
        read_string(reader, field, value, target);
        break;
    case LOYALTY_FIELD_TEXTS:
        read_texts(reader, field, value, target);
        break;
    case LOYALTY_FIELD_OBJECT:
        loyalty_read_object(reader, value, field->shape, target);
        break;
    case LOYALTY_FIELD_OTHER:
        field->read(reader, value, target);
        break;
    }
}

void
loyalty_read_value(loyalty_reader_t *reader, const char *key, json_t *value,
                   const loyalty_field_t *field, void *target)
{
    size_t mark = key == NULL ? reader->len : loyalty_enter(reader, key);

    read_present(reader, field, value, target);
    loyalty_leave(reader, mark);
}

static bool
is_field(const loyalty_shape_t *shape, const char *name)
{
    size_t i;

    for (i = 0; i < shape->nfields; i++) {
        if (strcmp(shape->fields[i].name, name) == 0) {
            return true;
        }
    }

    return false;
}

void
loyalty_read_object(loyalty_reader_t *reader, json_t *object,
                    const loyalty_shape_t *shape, void *target)
{
    const loyalty_field_t *field;
    const char *key;
    json_t *value;
    size_t i, mark;

    if (object != NULL && !json_is_object(object)) {
        loyalty_report(reader, NULL, "must be an object: %s", shape->what);
        object = NULL;
    }

    json_object_foreach(object, key, value) {
        if (!is_field(shape, key)) {
            loyalty_report(reader, key, "is no field of %s: remove it",
                           shape->what);
        }
    }

    for (i = 0; i < shape->nfields; i++) {
        field = &shape->fields[i];
        value = present(object, field->name);
        mark = loyalty_enter(reader, field->name);
        if (value == NULL) {
            if (field->required && object != NULL) {
                loyalty_report(reader, NULL, "is missing: %s needs it",
                               shape->what);
            }
            read_absent(reader, field, (char *)target + field->offset);
        } else {
            read_present(reader, field, value, (char *)target + field->offset);
        }
        loyalty_leave(reader, mark);
    }

    if (shape->finish != NULL && object != NULL) {
        shape->finish(reader, object, target);
    }
}

/* The array's size, or 0 with a problem where it is none or too large. */
static size_t
array_size(loyalty_reader_t *reader, json_t *array, size_t max)
{
    if (array == NULL) {
        return 0;
    }

    if (!json_is_array(array)) {
        loyalty_report(reader, NULL, "must be a list");
        return 0;
    }

    if (json_array_size(array) > max) {
        loyalty_report(reader, NULL, "has %zu entries, at most %zu",
                       json_array_size(array), max);
        return 0;
    }

    return json_array_size(array);
}

void *
loyalty_read_objects(loyalty_reader_t *reader, json_t *array, const char *key,
                     size_t max, const loyalty_shape_t *shape, size_t *n)
{
    size_t i, item_mark, mark = reader->len;
    char *items = NULL;

    if (key != NULL) {
        loyalty_enter(reader, key);
    }

    *n = array_size(reader, json_is_null(array) ? NULL : array, max);

    if (*n != 0) {
        items = loyalty_reader_alloc(reader, *n * shape->size);
        *n = items == NULL ? 0 : *n;
    }

    for (i = 0; i < *n; i++) {
        item_mark = loyalty_enter_index(reader, i);
        loyalty_read_object(reader, json_array_get(array, i), shape,
                            items + i * shape->size);
        loyalty_leave(reader, item_mark);
    }

    loyalty_leave(reader, mark);
    return items;
}

void
loyalty_read_ids(loyalty_reader_t *reader, const char *key, const void *items,
                 size_t size, size_t n, loyalty_map_t *map)
{
    size_t i, item_mark, mark = loyalty_enter(reader, key);
    const loyalty_str_t *id;
    uint32_t first;

    if (loyalty_map_init(map, reader->arena, n) != LOYALTY_OK) {
        reader->out_of_memory = true;
        n = 0;
    }

    for (i = 0; i < n; i++) {
        id = (const loyalty_str_t *)((const char *)items + i * size);
        first = id->len == 0 ? (uint32_t)i
                             : loyalty_map_put(map, *id, (uint32_t)i);
        if (first != i) {
            item_mark = loyalty_enter_index(reader, i);
            loyalty_report(reader, "id", "is the id of %s/%u too: give each "
                           "an id of its own", key, first);
            loyalty_leave(reader, item_mark);
        }
    }

    loyalty_leave(reader, mark);
}

loyalty_str_t *
loyalty_read_strings(loyalty_reader_t *reader, json_t *array, size_t max,
                     loyalty_string_check_pt check, size_t *n)
{
    size_t i, mark, size = array_size(reader, array, max);
    loyalty_str_t *strings;
    const char *problem;
    loyalty_map_t seen;
    json_t *value;

    *n = 0;

    if (size == 0) {
        return NULL;
    }

    strings = loyalty_reader_alloc(reader, size * sizeof(strings[0]));
    if (strings == NULL
        || loyalty_map_init(&seen, reader->arena, size) != LOYALTY_OK) {
        reader->out_of_memory = true;
        return NULL;
    }

    for (i = 0; i < size; i++) {
        mark = loyalty_enter_index(reader, i);
        value = json_array_get(array, i);

        if (!json_is_string(value)) {
            loyalty_report(reader, NULL, "must be a text");
        } else {
            strings[*n] = string_of(value);
            problem = check(strings[*n]);
            if (problem != NULL) {
                loyalty_report(reader, NULL, "%s", problem);
            } else if (loyalty_map_put(&seen, strings[*n], (uint32_t)i) != i) {
                loyalty_report(reader, NULL, "is in the list twice: remove "
                               "one");
            }
            (*n)++;
        }

        loyalty_leave(reader, mark);
    }

    return strings;
}

void
loyalty_check_references(loyalty_reader_t *reader, json_t *object,
                         const char *key, const char *where,
                         bool (*find)(const loyalty_program_t *program,
                                      loyalty_str_t id))
{
    size_t i, item_mark, mark = loyalty_enter(reader, key);
    json_t *value;

    json_array_foreach(json_object_get(object, key), i, value) {
        if (json_is_string(value)
            && !find(reader->program, string_of(value))) {
            item_mark = loyalty_enter_index(reader, i);
            loyalty_report(reader, NULL, "is no id in %s: add it there, or "
                           "remove it here", where);
            loyalty_leave(reader, item_mark);
        }
    }

    loyalty_leave(reader, mark);
}

/* The JSON of what stands for an absent field; NULL: nothing does. */
static json_t *
absent_json(const loyalty_field_t *field)
{
    char text[LOYALTY_DECIMAL_SIZE];
    const char *name;

    switch (field->kind) {
    case LOYALTY_FIELD_BOOL:
        return json_boolean(field->absent != 0);
    case LOYALTY_FIELD_INT32:
    case LOYALTY_FIELD_INT64:
        return field->absent < field->min || field->absent > field->max
                   ? NULL : json_integer(field->absent);
    case LOYALTY_FIELD_DECIMAL:
        if (field->absent < field->min) {
            return NULL;
        }
        loyalty_decimal_format(field->absent, field->scale, text);
        return json_string(text);
    case LOYALTY_FIELD_NAME:
        name = loyalty_name_of(field->names, (int)field->absent);
        return name == NULL ? NULL : json_string(name);
    case LOYALTY_FIELD_OBJECT:
        return json_object();
    case LOYALTY_FIELD_OTHER:
        return field->absent_text == NULL
                   ? NULL
                   : json_loads(field->absent_text, JSON_DECODE_ANY, NULL);
    default:
        return field->absent_text == NULL ? NULL
                                          : json_string(field->absent_text);
    }
}

loyalty_status_t
loyalty_fill_object(json_t *object, const loyalty_shape_t *shape)
{
    const loyalty_field_t *field;
    json_t *value;
    size_t i;

    for (i = 0; i < shape->nfields; i++) {
        field = &shape->fields[i];
        value = present(object, field->name);

        if (value == NULL && !field->required) {
            value = absent_json(field);
            if (value != NULL
                && json_object_set_new(object, field->name, value) != 0) {
                return LOYALTY_ERROR_MEMORY;
            }
        }

        if (value != NULL && field->kind == LOYALTY_FIELD_OBJECT
            && loyalty_fill_object(value, field->shape) != LOYALTY_OK) {
            return LOYALTY_ERROR_MEMORY;
        }
    }

    return LOYALTY_OK;
}
