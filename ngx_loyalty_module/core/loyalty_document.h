/*
 * A JSON document read in place: one pass makes a flat list of what is in it,
 * texts and numbers stay where they are in the caller's bytes.  For what is
 * read once and thrown away, as a shop's answer is.
 *
 *   {"id":7,"lines":["a"]}   ->   OBJECT | "id" | 7 | "lines" | ARRAY | "a"
 *
 * An element stands before all that is in it and knows where what follows it
 * begins.  Strict (RFC 8259), and with jansson's own rules, by which the back
 * end reads: the outermost value is an object or an array, no text holds
 * U+0000, no number overflows a double, the last member of a name counts.
 */

#ifndef LOYALTY_DOCUMENT_H
#define LOYALTY_DOCUMENT_H

#include "loyalty.h"

typedef enum {
    LOYALTY_JSON_NULL = 0,
    LOYALTY_JSON_FALSE,
    LOYALTY_JSON_TRUE,
    LOYALTY_JSON_INTEGER, /* fits 64 bits */
    LOYALTY_JSON_REAL,    /* any other number */
    LOYALTY_JSON_STRING,
    LOYALTY_JSON_ESCAPED, /* a string that has escapes */
    LOYALTY_JSON_ARRAY,
    LOYALTY_JSON_OBJECT
} loyalty_json_type_t;

typedef struct {
    uint32_t at;        /* of its bytes; a string's, between the quotes */
    uint32_t len : 24;  /* of them; of an object or array, its elements */
    uint32_t type : 8;  /* loyalty_json_type_t */
    uint32_t next;      /* number of what follows it and all in it */
} loyalty_element_t;

typedef struct {
    const char *text;
    loyalty_element_t *elements;
    uint32_t n;
    uint32_t room;
} loyalty_document_t;

typedef struct {
    const char *what;
    size_t line, column; /* from 1; a column counts bytes */
} loyalty_document_mistake_t;

/* An empty one; its memory serves one text after another. */
void loyalty_document_init(loyalty_document_t *document);
void loyalty_document_free(loyalty_document_t *document);

/*
 * Reads `text`, which the document goes on to point into.  After an error the
 * document is empty: LOYALTY_ERROR_INVALID tells the mistake, _LIMIT: longer
 * than LOYALTY_ORDER_SIZE_MAX, _MEMORY.
 */
loyalty_status_t loyalty_document_parse(loyalty_document_t *document,
                                        loyalty_str_t text,
                                        loyalty_document_mistake_t *mistake);

/* The outermost value; NULL in an empty document. */
const loyalty_element_t *
loyalty_document_root(const loyalty_document_t *document);

/* What follows an element and all in it: in an array the next one. */
static inline const loyalty_element_t *
loyalty_document_next(const loyalty_document_t *document,
                      const loyalty_element_t *element)
{
    return document->elements + element->next;
}

/* What is behind a pointer (RFC 6901) relative to `from`, or NULL. */
const loyalty_element_t *
loyalty_document_find(const loyalty_document_t *document,
                      const loyalty_element_t *from, loyalty_str_t pointer);

/* The bytes of a number, or of a string as it is written. */
static inline loyalty_str_t
loyalty_document_bytes(const loyalty_document_t *document,
                       const loyalty_element_t *element)
{
    return (loyalty_str_t){document->text + element->at, element->len};
}

/* An INTEGER's value. */
int64_t loyalty_document_integer(const loyalty_document_t *document,
                                 const loyalty_element_t *element);

/* Is this what a member's name, an element before its value, says? */
bool loyalty_document_is_named(const loyalty_document_t *document,
                               const loyalty_element_t *key,
                               loyalty_str_t name);

/* For who takes no last of a name: LOYALTY_ERROR_INVALID where an object of
 * the document, however deep, has two members of a name; _MEMORY. */
loyalty_status_t loyalty_document_distinct(const loyalty_document_t *document,
                                           loyalty_arena_t *arena);

/* Resolves escapes; `to` has room for as many bytes as `escaped` has.
 * Returns the length. */
size_t loyalty_document_unescape(loyalty_str_t escaped, char *to);

bool loyalty_utf8_check(loyalty_str_t text);

/* In place: each byte that is none of it, as of a letter that was cut off,
 * becomes '?'. */
void loyalty_utf8_mend(char *text);

#endif
