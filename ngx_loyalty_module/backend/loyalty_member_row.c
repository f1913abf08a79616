/*
 * A table says what becomes of a column; an export is made from what the API
 * shows of the member.
 */

#include "loyalty_member_row.h"

#include <stdio.h>
#include <stdlib.h>

#include "loyalty_csv.h"
#include "loyalty_store.h"

typedef enum {
    COLUMN_TEXT,
    COLUMN_BOOL,
    COLUMN_LIST,
    COLUMN_JSON,
    COLUMN_SHOWN,  /* exported only */
    COLUMN_OPENING /* imported only: a number */
} column_kind_t;

/* `path` is where a member's JSON has it. */
static const struct {
    const char *name, *path[2];
    column_kind_t kind;
} columns[] = {
    {"id", {"id", NULL}, COLUMN_TEXT},
    {"email", {"email", NULL}, COLUMN_TEXT},
    {"phone", {"phone", NULL}, COLUMN_TEXT},
    {"messenger_id", {"messenger_id", NULL}, COLUMN_TEXT},
    {"line_id", {"line_id", NULL}, COLUMN_TEXT},
    {"name", {"name", NULL}, COLUMN_TEXT},
    {"locale", {"locale", NULL}, COLUMN_TEXT},
    {"registered", {"registered", NULL}, COLUMN_BOOL},
    {"signed_up_at", {"signed_up_at", NULL}, COLUMN_TEXT},
    {"consent.email", {"consent", "email"}, COLUMN_BOOL},
    {"consent.sms", {"consent", "sms"}, COLUMN_BOOL},
    {"consent.messenger", {"consent", "messenger"}, COLUMN_BOOL},
    {"consent.line", {"consent", "line"}, COLUMN_BOOL},
    {"clubs", {"clubs", NULL}, COLUMN_LIST},
    {"attributes", {"attributes", NULL}, COLUMN_JSON},
    {"status", {"status", "id"}, COLUMN_SHOWN},
    {"order_count", {"order_count", NULL}, COLUMN_SHOWN},
    {"spent_total", {"spent_total", NULL}, COLUMN_SHOWN},
    {"points", {"points", "active"}, COLUMN_SHOWN},
    {"credits", {"credits", "active"}, COLUMN_SHOWN},
    {"last_order_at", {"last_order_at", NULL}, COLUMN_SHOWN},
    {"last_visit_at", {"last_visit_at", NULL}, COLUMN_SHOWN},
    {"opening.points", {"opening", "points"}, COLUMN_OPENING},
    {"opening.credits", {"opening", "credits"}, COLUMN_OPENING},
};

#define NCOLUMNS (sizeof(columns) / sizeof(columns[0]))
#define NEXPORTED (NCOLUMNS - 2) /* without the opening balances */

static const loyalty_str_t attribute = loyalty_str("attributes.");

static size_t
find_column(loyalty_str_t name)
{
    size_t i;

    for (i = 0; i < NCOLUMNS; i++) {
        if (loyalty_str_eq(name, loyalty_str_from(columns[i].name))) {
            break;
        }
    }

    return i;
}

static bool
is_attribute(loyalty_str_t name)
{
    return name.len > attribute.len
           && memcmp(name.data, attribute.data, attribute.len) == 0;
}

bool
loyalty_row_column(loyalty_str_t name)
{
    return is_attribute(name) || find_column(name) < NCOLUMNS;
}

/* The object under a name, made where it is not there. */
static json_t *
object_under(json_t *fields, const char *name)
{
    json_t *object = json_object_get(fields, name);

    if (!json_is_object(object)) {
        object = json_object();
        json_object_set_new(fields, name, object);
    }

    return object;
}

/* What is no UTF-8 is no text, and is refused by its name. */
static json_t *
text_of(const char *data, size_t len)
{
    json_t *text = json_stringn(data, len);

    return text != NULL ? text : json_integer(0);
}

static json_t *
bool_of(loyalty_str_t cell)
{
    static const char *const yes[] = {"true", "1", "yes", "TRUE"};
    static const char *const no[] = {"false", "0", "no", "FALSE"};
    size_t i;

    for (i = 0; i < sizeof(yes) / sizeof(yes[0]); i++) {
        if (loyalty_str_eq(cell, loyalty_str_from(yes[i]))) {
            return json_true();
        }
        if (loyalty_str_eq(cell, loyalty_str_from(no[i]))) {
            return json_false();
        }
    }

    return text_of(cell.data, cell.len); /* refused by its name */
}

/* a;b */
static json_t *
list_of(loyalty_str_t cell)
{
    const char *p = cell.data, *end = cell.data + cell.len, *next;
    json_t *list = json_array();

    for (; p < end; p = next + 1) {
        next = memchr(p, ';', (size_t)(end - p));
        next = next != NULL ? next : end;
        if (next > p) {
            json_array_append_new(list, text_of(p, (size_t)(next - p)));
        }
    }

    return list;
}

static json_t *
number_of(loyalty_str_t cell)
{
    int64_t number;

    return loyalty_str_int(cell, &number)
               ? json_integer(number)
               : text_of(cell.data, cell.len); /* refused by its name */
}

static void
set_cell(json_t *fields, loyalty_str_t name, loyalty_str_t cell)
{
    size_t column = find_column(name);
    const char *first, *second;
    json_t *value;

    if (is_attribute(name)) {
        json_object_set_new(object_under(fields, "attributes"),
                            name.data + attribute.len,
                            text_of(cell.data, cell.len));
        return;
    }

    switch (columns[column].kind) {
    case COLUMN_BOOL:
        value = bool_of(cell);
        break;
    case COLUMN_LIST:
        value = list_of(cell);
        break;
    case COLUMN_JSON:
        value = json_loadb(cell.data, cell.len, JSON_REJECT_DUPLICATES, NULL);
        if (value == NULL) {
            value = text_of(cell.data, cell.len);
        }
        break;
    case COLUMN_TEXT:
        value = text_of(cell.data, cell.len);
        break;
    case COLUMN_OPENING:
        value = number_of(cell);
        break;
    default:
        return;
    }

    first = columns[column].path[0];
    second = columns[column].path[1];
    if (second != NULL) {
        json_object_set_new(object_under(fields, first), second, value);
    } else {
        json_object_set_new(fields, first, value);
    }
}

json_t *
loyalty_row_fields(const json_t *names, const loyalty_str_t *cells, size_t n)
{
    json_t *fields;
    const json_t *name;
    size_t i;

    if (n > json_array_size(names)) {
        return NULL;
    }

    fields = json_object();
    for (i = 0; fields != NULL && i < n; i++) {
        name = json_array_get(names, i);
        if (cells[i].len != 0) {
            set_cell(fields,
                     (loyalty_str_t){json_string_value(name),
                                     json_string_length(name)},
                     cells[i]);
        }
    }

    return fields;
}

char *
loyalty_row_head(bool bom)
{
    char *text = NULL;
    size_t size, i;
    FILE *file = open_memstream(&text, &size);

    if (file == NULL) {
        return NULL;
    }

    fputs(bom ? "\xef\xbb\xbf" : "", file);
    for (i = 0; i < NEXPORTED; i++) {
        fprintf(file, "%s%s", i == 0 ? "" : ",", columns[i].name);
    }
    fputs("\r\n", file);

    return fclose(file) == 0 ? text : NULL;
}

static void
write_cell(FILE *file, loyalty_str_t text)
{
    char *cell = malloc(LOYALTY_CSV_CELL_SIZE(text.len));

    if (cell != NULL) {
        fwrite(cell, 1, loyalty_csv_cell(text, cell), file);
        free(cell);
    }
}

static void
write_list(FILE *file, const json_t *list)
{
    char *joined = NULL;
    size_t size = 0, i;
    json_t *value;
    FILE *text = open_memstream(&joined, &size);

    if (text == NULL) {
        return;
    }

    json_array_foreach((json_t *)list, i, value) {
        fprintf(text, "%s%s", i == 0 ? "" : ";", json_string_value(value));
    }

    if (fclose(text) == 0) {
        write_cell(file, (loyalty_str_t){joined, size});
    }
    free(joined);
}

static void
write_value(FILE *file, const json_t *value)
{
    char *text;

    if (json_is_string(value)) {
        write_cell(file, (loyalty_str_t){json_string_value(value),
                                         json_string_length(value)});
    } else if (json_is_integer(value)) {
        fprintf(file, "%lld", (long long)json_integer_value(value));
    } else if (json_is_boolean(value)) {
        fputs(json_is_true(value) ? "true" : "false", file);
    } else if (json_is_array(value)) {
        write_list(file, value);
    } else if (json_object_size(value) != 0) {
        text = json_dumps(value, JSON_COMPACT);
        if (text != NULL) {
            write_cell(file, loyalty_str_from(text));
            free(text);
        }
    }
}

char *
loyalty_row_csv(const json_t *member)
{
    char *text = NULL;
    size_t size, i;
    const json_t *value;
    FILE *file = open_memstream(&text, &size);

    if (file == NULL) {
        return NULL;
    }

    for (i = 0; i < NEXPORTED; i++) {
        value = json_object_get(member, columns[i].path[0]);
        if (columns[i].path[1] != NULL) {
            value = json_object_get(value, columns[i].path[1]);
        }
        fputs(i == 0 ? "" : ",", file);
        write_value(file, value);
    }
    fputs("\r\n", file);

    return fclose(file) == 0 ? text : NULL;
}
