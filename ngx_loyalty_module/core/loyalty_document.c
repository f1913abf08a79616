/*
 * The one pass over a JSON document: see the header.
 *
 *            +--------- , ---------+
 *            v                     |
 *   [ --> value --> (scalar) --> after --> ] or } --> after the outer one
 *            ^                     |
 *   { --> key :  <-------- , ------+
 *
 * While an array or object is open its `next` is the number of the one around
 * it, so no stack is needed beside the list.
 */

#include "loyalty_document.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "loyalty_pointer.h"

#define ROOM_FIRST 128
#define NONE UINT32_MAX
#define KEY_MAX (6 * LOYALTY_POINTER_MAX) /* a key of \u escapes alone */

#define FEW 16 /* members whose names are compared each with each */

/* With fewer digits before the exponent, and in it, no double overflows. */
#define SAFE_DIGITS 200
#define SAFE_EXPONENT 2

_Static_assert(LOYALTY_ORDER_SIZE_MAX < 1 << 24, "a length has 24 bits");

typedef struct {
    loyalty_document_t *document;
    const char *start, *p, *end;
    const char *what; /* is wrong */
    uint32_t open;    /* the innermost open one, or NONE */
    size_t depth;
} reader_t;

void
loyalty_document_init(loyalty_document_t *document)
{
    memset(document, 0, sizeof(*document));
}

void
loyalty_document_free(loyalty_document_t *document)
{
    free(document->elements);
    loyalty_document_init(document);
}

const loyalty_element_t *
loyalty_document_root(const loyalty_document_t *document)
{
    return document->n == 0 ? NULL : document->elements;
}

static loyalty_status_t
wrong(reader_t *reader, const char *what)
{
    reader->what = what;
    return LOYALTY_ERROR_INVALID;
}

static loyalty_element_t *
add(reader_t *reader, loyalty_json_type_t type, const char *at)
{
    loyalty_document_t *document = reader->document;
    loyalty_element_t *element;

    if (document->n == document->room) {
        uint32_t room = document->room == 0 ? ROOM_FIRST : document->room * 2;

        element = realloc(document->elements, room * sizeof(*element));
        if (element == NULL) {
            return NULL;
        }
        document->elements = element;
        document->room = room;
    }
    element = &document->elements[document->n++];
    *element = (loyalty_element_t){
        .at = (uint32_t)(at - reader->start),
        .type = type,
        .next = document->n,
    };
    return element;
}

static void
skip_space(reader_t *reader)
{
    while (reader->p < reader->end
           && (*reader->p == ' ' || *reader->p == '\n' || *reader->p == '\r'
               || *reader->p == '\t')) {
        reader->p++;
    }
}

/* Bytes of the character at `p`, two or more; 0: it is no UTF-8. */
static size_t
utf8_size(const char *p, const char *end)
{
    unsigned char first = (unsigned char)*p;
    size_t size = first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3
                : first < 0xf5 ? 4 : 0;

    if (size == 0 || size > (size_t)(end - p)) {
        return 0;
    }
    for (size_t i = 1; i < size; i++) {
        if (((unsigned char)p[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    /* Too long a form, a surrogate, past the last character. */
    if ((first == 0xe0 && (unsigned char)p[1] < 0xa0)
        || (first == 0xed && (unsigned char)p[1] > 0x9f)
        || (first == 0xf0 && (unsigned char)p[1] < 0x90)
        || (first == 0xf4 && (unsigned char)p[1] > 0x8f)) {
        return 0;
    }
    return size;
}

bool
loyalty_utf8_check(loyalty_str_t text)
{
    const char *p = text.data, *end = text.data + text.len;

    while (p < end) {
        size_t size = (unsigned char)*p < 0x80 ? 1 : utf8_size(p, end);

        if (size == 0) {
            return false;
        }
        p += size;
    }
    return true;
}

void
loyalty_utf8_mend(char *text)
{
    const char *end = text + strlen(text);

    while (text < end) {
        size_t size = (unsigned char)*text < 0x80 ? 1 : utf8_size(text, end);

        if (size == 0) {
            *text = '?';
            size = 1;
        }
        text += size;
    }
}

/* Four hex digits; -1: they are not there. */
static int32_t
hex4(const char *p, const char *end)
{
    int32_t value = 0;

    if (end - p < 4) {
        return -1;
    }
    for (int i = 0; i < 4; i++) {
        char c = p[i];

        if (c >= '0' && c <= '9') {
            value = value << 4 | (c - '0');
        } else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f') {
            value = value << 4 | ((c | 0x20) - 'a' + 10);
        } else {
            return -1;
        }
    }
    return value;
}

static bool
is_high(int32_t code)
{
    return code >= 0xd800 && code < 0xdc00;
}

static bool
is_low(int32_t code)
{
    return code >= 0xdc00 && code < 0xe000;
}

/* Past the escape at reader->p, a backslash. */
static loyalty_status_t
skip_escape(reader_t *reader)
{
    const char *p = reader->p + 1, *end = reader->end;
    int32_t code;

    if (p == end) {
        return wrong(reader, "a text without an end");
    }
    if (*p != 'u') {
        if (*p == '\0' || strchr("\"\\/bfnrt", *p) == NULL) {
            return wrong(reader, "an unknown escape");
        }
        reader->p = p + 1;
        return LOYALTY_OK;
    }

    code = hex4(p + 1, end);
    if (code < 0) {
        return wrong(reader, "\\u without four hex digits");
    }
    if (code == 0) {
        return wrong(reader, "\\u0000");
    }
    p += 5;
    if (is_high(code) && end - p >= 2 && p[0] == '\\' && p[1] == 'u'
        && is_low(hex4(p + 2, end))) {
        p += 6;
    } else if (is_high(code) || is_low(code)) {
        return wrong(reader, "half of a surrogate pair");
    }
    reader->p = p;
    return LOYALTY_OK;
}

/* Bytes that mean themselves: no quote, backslash, control, start of UTF-8. */
static bool
is_plain(char c)
{
    return (signed char)c >= 0x20 && c != '"' && c != '\\';
}

static loyalty_status_t
read_string(reader_t *reader)
{
    loyalty_element_t *element =
        add(reader, LOYALTY_JSON_STRING, ++reader->p);
    const char *start = reader->p;
    size_t size;

    if (element == NULL) {
        return LOYALTY_ERROR_MEMORY;
    }
    for (;;) {
        while (reader->p < reader->end && is_plain(*reader->p)) {
            reader->p++;
        }
        if (reader->p == reader->end) {
            return wrong(reader, "a text without an end");
        }
        if (*reader->p == '"') {
            element->len = (uint32_t)(reader->p++ - start) & 0xffffff;
            return LOYALTY_OK;
        }
        if (*reader->p == '\\') {
            element->type = LOYALTY_JSON_ESCAPED;
            if (skip_escape(reader) != LOYALTY_OK) {
                return LOYALTY_ERROR_INVALID;
            }
        } else if ((unsigned char)*reader->p < 0x20) {
            return wrong(reader, "a control character in a text");
        } else {
            size = utf8_size(reader->p, reader->end);
            if (size == 0) {
                return wrong(reader, "no UTF-8");
            }
            reader->p += size;
        }
    }
}

static size_t
skip_digits(reader_t *reader)
{
    const char *start = reader->p;

    while (reader->p < reader->end && *reader->p >= '0'
           && *reader->p <= '9') {
        reader->p++;
    }
    return (size_t)(reader->p - start);
}

/* Do so many digits, of that sign, fit 64 bits? */
static bool
fits(const char *digits, size_t n, bool negative)
{
    static const char most[] = "9223372036854775807";
    static const char least[] = "9223372036854775808";

    return n < sizeof(most) - 1
           || (n == sizeof(most) - 1
               && memcmp(digits, negative ? least : most, n) <= 0);
}

static loyalty_status_t
read_number(reader_t *reader)
{
    const char *start = reader->p, *digits;
    loyalty_json_type_t type = LOYALTY_JSON_INTEGER;
    loyalty_element_t *element;
    size_t whole, exponent = 0;
    double value;

    reader->p += *start == '-';
    digits = reader->p;
    whole = skip_digits(reader);
    if (whole == 0 || (whole > 1 && *digits == '0')) {
        return wrong(reader, "no number");
    }
    if (!fits(digits, whole, *start == '-')) {
        type = LOYALTY_JSON_REAL;
    }
    if (reader->p < reader->end && *reader->p == '.') {
        reader->p++;
        type = LOYALTY_JSON_REAL;
        if (skip_digits(reader) == 0) {
            return wrong(reader, "no number");
        }
    }
    if (reader->p < reader->end && (*reader->p | 0x20) == 'e') {
        reader->p++;
        type = LOYALTY_JSON_REAL;
        if (reader->p < reader->end
            && (*reader->p == '+' || *reader->p == '-')) {
            reader->p++;
        }
        exponent = skip_digits(reader);
        if (exponent == 0) {
            return wrong(reader, "no number");
        }
    }
    if (whole > SAFE_DIGITS || exponent > SAFE_EXPONENT) {
        /* The document does not end with a number: strtod stops in it. */
        if (reader->p == reader->end) {
            return wrong(reader, "no end");
        }
        value = strtod(start, NULL);
        if (isinf(value)) {
            return wrong(reader, "a number that is too large");
        }
    }
    element = add(reader, type, start);
    if (element == NULL) {
        return LOYALTY_ERROR_MEMORY;
    }
    element->len = (uint32_t)(reader->p - start) & 0xffffff;
    return LOYALTY_OK;
}

static loyalty_status_t
read_word(reader_t *reader, loyalty_str_t word, loyalty_json_type_t type)
{
    if ((size_t)(reader->end - reader->p) < word.len
        || memcmp(reader->p, word.data, word.len) != 0) {
        return wrong(reader, "no value");
    }
    reader->p += word.len;
    return add(reader, type, reader->p - word.len) == NULL
               ? LOYALTY_ERROR_MEMORY
               : LOYALTY_OK;
}

static loyalty_status_t
open_one(reader_t *reader, loyalty_json_type_t type)
{
    loyalty_element_t *element = add(reader, type, reader->p);

    if (element == NULL) {
        return LOYALTY_ERROR_MEMORY;
    }
    element->next = reader->open;
    reader->open = reader->document->n - 1;
    reader->depth++;
    reader->p++;
    return LOYALTY_OK;
}

static void
close_one(reader_t *reader)
{
    loyalty_document_t *document = reader->document;
    loyalty_element_t *element = &document->elements[reader->open];

    reader->open = element->next;
    element->next = document->n;
    reader->depth--;
    reader->p++;
}

/* A member's name and the colon behind it. */
static loyalty_status_t
read_key(reader_t *reader)
{
    loyalty_status_t status;

    skip_space(reader);
    if (reader->p == reader->end || *reader->p != '"') {
        return wrong(reader, "no name of a member");
    }
    status = read_string(reader);
    if (status != LOYALTY_OK) {
        return status;
    }
    skip_space(reader);
    if (reader->p == reader->end || *reader->p != ':') {
        return wrong(reader, "no colon");
    }
    reader->p++;
    return LOYALTY_OK;
}

/* A value; of an array or object what opens it. */
static loyalty_status_t
read_value(reader_t *reader)
{
    skip_space(reader);
    if (reader->p == reader->end) {
        return wrong(reader, "no end");
    }
    if (reader->depth == LOYALTY_DOCUMENT_DEPTH_MAX) {
        return wrong(reader, "nested too deep");
    }
    if (reader->open == NONE && *reader->p != '{' && *reader->p != '[') {
        return wrong(reader, "neither an object nor an array");
    }

    switch (*reader->p) {
    case '{':
        return open_one(reader, LOYALTY_JSON_OBJECT);
    case '[':
        return open_one(reader, LOYALTY_JSON_ARRAY);
    case '"':
        return read_string(reader);
    case 't':
        return read_word(reader, loyalty_str("true"), LOYALTY_JSON_TRUE);
    case 'f':
        return read_word(reader, loyalty_str("false"), LOYALTY_JSON_FALSE);
    case 'n':
        return read_word(reader, loyalty_str("null"), LOYALTY_JSON_NULL);
    default:
        if (*reader->p == '-' || (*reader->p >= '0' && *reader->p <= '9')) {
            return read_number(reader);
        }
        return wrong(reader, "no value");
    }
}

/* After a value: closes what ends here, up to a comma or the document's end. */
static loyalty_status_t
read_after(reader_t *reader)
{
    while (reader->open != NONE) {
        loyalty_element_t *around = &reader->document->elements[reader->open];
        char close = around->type == LOYALTY_JSON_OBJECT ? '}' : ']';

        skip_space(reader);
        if (reader->p == reader->end) {
            return wrong(reader, "no end");
        }
        /* Still empty: this is not behind a value but behind what opens. */
        if (*reader->p == close) {
            close_one(reader);
            continue;
        }
        if (around->len != 0) {
            if (*reader->p != ',') {
                return wrong(reader, "neither a comma nor an end");
            }
            reader->p++;
        }
        around->len++;
        return around->type == LOYALTY_JSON_OBJECT ? read_key(reader)
                                                   : LOYALTY_OK;
    }

    skip_space(reader);
    return reader->p == reader->end ? LOYALTY_OK
                                    : wrong(reader, "more behind its end");
}

static void
place(const reader_t *reader, loyalty_document_mistake_t *mistake)
{
    const char *line = reader->start;

    mistake->what = reader->what;
    mistake->line = 1;
    for (const char *p = reader->start; p < reader->p; p++) {
        if (*p == '\n') {
            mistake->line++;
            line = p + 1;
        }
    }
    mistake->column = (size_t)(reader->p - line) + 1;
}

loyalty_status_t
loyalty_document_parse(loyalty_document_t *document, loyalty_str_t text,
                       loyalty_document_mistake_t *mistake)
{
    reader_t reader = {document, text.data, text.data, text.data + text.len,
                       NULL, NONE, 0};
    loyalty_status_t status;

    document->text = text.data;
    document->n = 0;
    if (text.len > LOYALTY_ORDER_SIZE_MAX) {
        return LOYALTY_ERROR_LIMIT;
    }
    do {
        status = read_value(&reader);
        if (status == LOYALTY_OK) {
            status = read_after(&reader);
        }
    } while (status == LOYALTY_OK && reader.open != NONE);

    if (status != LOYALTY_OK) {
        document->n = 0;
    }
    if (status == LOYALTY_ERROR_INVALID) {
        place(&reader, mistake);
    }
    return status;
}

static size_t
put_utf8(int32_t code, char *to)
{
    size_t n = 0;

    if (code < 0x80) {
        to[n++] = (char)code;
        return n;
    }
    if (code < 0x800) {
        to[n++] = (char)(0xc0 | code >> 6);
    } else {
        if (code < 0x10000) {
            to[n++] = (char)(0xe0 | code >> 12);
        } else {
            to[n++] = (char)(0xf0 | code >> 18);
            to[n++] = (char)(0x80 | (code >> 12 & 0x3f));
        }
        to[n++] = (char)(0x80 | (code >> 6 & 0x3f));
    }
    to[n++] = (char)(0x80 | (code & 0x3f));
    return n;
}

size_t
loyalty_document_unescape(loyalty_str_t escaped, char *to)
{
    static const char names[] = "bfnrt", means[] = "\b\f\n\r\t";
    const char *p = escaped.data, *end = escaped.data + escaped.len;
    const char *name;
    size_t len = 0;
    int32_t code;

    while (p < end) {
        if (*p != '\\') {
            to[len++] = *p++;
            continue;
        }
        p++;
        if (*p != 'u') {
            name = strchr(names, *p);
            to[len++] = name != NULL ? means[name - names] : *p;
            p++;
            continue;
        }
        code = hex4(p + 1, end);
        p += 5;
        if (is_high(code)) {
            code = 0x10000 + ((code & 0x3ff) << 10) + (hex4(p + 2, end) & 0x3ff);
            p += 6;
        }
        len += put_utf8(code, to + len);
    }
    return len;
}

static const loyalty_element_t *
find_index(const loyalty_document_t *document, const loyalty_element_t *array,
           loyalty_str_t token)
{
    const loyalty_element_t *element = array + 1;
    size_t index;

    if (!loyalty_pointer_index(token, &index) || index >= array->len) {
        return NULL;
    }
    for (; index > 0; index--) {
        element = loyalty_document_next(document, element);
    }
    return element;
}

int64_t
loyalty_document_integer(const loyalty_document_t *document,
                         const loyalty_element_t *element)
{
    loyalty_str_t bytes = loyalty_document_bytes(document, element);
    bool negative = bytes.data[0] == '-';
    uint64_t value = 0;

    for (size_t i = negative; i < bytes.len; i++) {
        value = value * 10 + (uint64_t)(bytes.data[i] - '0');
    }
    return (int64_t)(negative ? 0 - value : value);
}

bool
loyalty_document_is_named(const loyalty_document_t *document,
                          const loyalty_element_t *key, loyalty_str_t name)
{
    loyalty_str_t bytes = loyalty_document_bytes(document, key);
    char text[KEY_MAX];
    size_t len;

    if (key->type == LOYALTY_JSON_STRING) {
        return loyalty_str_eq(bytes, name);
    }

    if (bytes.len > sizeof(text)) {
        return false;
    }

    len = loyalty_document_unescape(bytes, text);
    return loyalty_str_eq((loyalty_str_t){text, len}, name);
}

static const loyalty_element_t *
find_member(const loyalty_document_t *document,
            const loyalty_element_t *object, loyalty_str_t name)
{
    const loyalty_element_t *key = object + 1, *found = NULL;

    for (uint32_t i = 0; i < object->len; i++) {
        if (loyalty_document_is_named(document, key, name)) {
            found = key + 1;
        }
        key = loyalty_document_next(document, key + 1);
    }
    return found;
}

const loyalty_element_t *
loyalty_document_find(const loyalty_document_t *document,
                      const loyalty_element_t *from, loyalty_str_t pointer)
{
    char name[LOYALTY_POINTER_MAX];

    while (from != NULL && pointer.len != 0) {
        loyalty_str_t token = loyalty_pointer_token(&pointer, name);

        if (from->type == LOYALTY_JSON_ARRAY) {
            from = find_index(document, from, token);
        } else if (from->type == LOYALTY_JSON_OBJECT) {
            from = find_member(document, from, token);
        } else {
            from = NULL;
        }
    }
    return from;
}

static int
by_bytes(const void *a, const void *b)
{
    return loyalty_str_cmp(*(const loyalty_str_t *)a,
                           *(const loyalty_str_t *)b);
}

/* A name as it is meant; NULL bytes: out of memory. */
static loyalty_str_t
meant(const loyalty_document_t *document, const loyalty_element_t *key,
      loyalty_arena_t *arena)
{
    loyalty_str_t bytes = loyalty_document_bytes(document, key);
    char *text;

    if (key->type == LOYALTY_JSON_STRING) {
        return bytes;
    }

    text = loyalty_alloc(arena, bytes.len);
    return text == NULL ? loyalty_str_null
                        : (loyalty_str_t){text, loyalty_document_unescape(
                                                    bytes, text)};
}

/* Names of many members, or with escapes: sorted, like ones are neighbours. */
static loyalty_status_t
distinct_sorted(const loyalty_document_t *document,
                const loyalty_element_t *object, loyalty_arena_t *arena)
{
    const loyalty_element_t *key = object + 1;
    loyalty_str_t *names = loyalty_alloc(arena,
                                         object->len * sizeof(*names));
    uint32_t i;

    if (names == NULL) {
        return LOYALTY_ERROR_MEMORY;
    }

    for (i = 0; i < object->len; i++) {
        names[i] = meant(document, key, arena);
        if (names[i].data == NULL) {
            return LOYALTY_ERROR_MEMORY;
        }
        key = loyalty_document_next(document, key + 1);
    }

    qsort(names, object->len, sizeof(*names), by_bytes);

    for (i = 1; i < object->len; i++) {
        if (loyalty_str_eq(names[i - 1], names[i])) {
            return LOYALTY_ERROR_INVALID;
        }
    }
    return LOYALTY_OK;
}

/* The few of an order's line are compared each with each. */
static loyalty_status_t
distinct_members(const loyalty_document_t *document,
                 const loyalty_element_t *object, loyalty_arena_t *arena)
{
    const loyalty_element_t *key = object + 1;
    loyalty_str_t names[FEW];
    uint32_t i, j;

    if (object->len > FEW) {
        return distinct_sorted(document, object, arena);
    }

    for (i = 0; i < object->len; i++) {
        if (key->type != LOYALTY_JSON_STRING) {
            return distinct_sorted(document, object, arena);
        }
        names[i] = loyalty_document_bytes(document, key);
        for (j = 0; j < i; j++) {
            if (loyalty_str_eq(names[i], names[j])) {
                return LOYALTY_ERROR_INVALID;
            }
        }
        key = loyalty_document_next(document, key + 1);
    }
    return LOYALTY_OK;
}

loyalty_status_t
loyalty_document_distinct(const loyalty_document_t *document,
                          loyalty_arena_t *arena)
{
    loyalty_status_t status = LOYALTY_OK;

    for (uint32_t i = 0; i < document->n && status == LOYALTY_OK; i++) {
        if (document->elements[i].type == LOYALTY_JSON_OBJECT) {
            status = distinct_members(document, &document->elements[i], arena);
        }
    }
    return status;
}
