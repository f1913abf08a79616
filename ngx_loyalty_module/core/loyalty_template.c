/*
 * Mustache, from source to nodes (loyalty_template_private.h): one pass that
 * looks for the next tag and takes what lies before it as text.
 *
 * A tag that prints nothing and is alone on its line takes the line with it:
 * the blanks before it are cut from the text, the rest of the line is skipped.
 */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* memmem, memrchr */
#endif

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "loyalty_template_private.h"

typedef struct {
    loyalty_template_t *compiled;
    loyalty_problems_t *problems;
    const char *start;
    const char *pos;
    const char *end;
    loyalty_str_t open; /* the delimiters at `pos` */
    loyalty_str_t close;
    bool line_start; /* the next node is the first on its line */
    bool invalid;
    size_t depth;
    uint32_t sections[LOYALTY_TEMPLATE_SECTIONS_MAX]; /* open ones */
    const char *places[LOYALTY_TEMPLATE_SECTIONS_MAX];
} compiler_t;

typedef struct {
    char kind; /* one of "#^/>!=&{", or 0 for a variable */
    const char *start;
    const char *end;
    const char *line; /* where its line starts; NULL: behind another tag */
    loyalty_str_t content;
    bool standalone;
} tag_t;

static bool
is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static loyalty_str_t
trim(const char *start, const char *end)
{
    while (start < end && is_blank(*start)) {
        start++;
    }
    while (end > start && is_blank(end[-1])) {
        end--;
    }

    return (loyalty_str_t){start, (size_t)(end - start)};
}

/* Lines are counted only for problems that will be shown. */
static void __attribute__((format(printf, 3, 4)))
problem_at(compiler_t *c, const char *place, const char *format, ...)
{
    char pointer[32], message[256];
    const char *p = c->start;
    unsigned long line = 1;
    va_list args;

    c->invalid = true;

    if (c->problems->count < LOYALTY_PROBLEMS_MAX) {
        while ((p = memchr(p, '\n', (size_t)(place - p))) != NULL) {
            line++;
            p++;
        }
    }

    snprintf(pointer, sizeof(pointer), "line %lu", line);
    va_start(args, format);
    vsnprintf(message, sizeof(message), format, args);
    va_end(args);
    loyalty_problem(c->problems, pointer, "%s", message);
}

/* For "%.*s": as much of a name as a message has room for. */
static int
shown(loyalty_str_t name)
{
    return name.len < LOYALTY_ID_MAX ? (int)name.len : LOYALTY_ID_MAX;
}

static loyalty_node_t *
add_node(compiler_t *c, loyalty_node_kind_t kind, loyalty_str_t text)
{
    loyalty_template_t *compiled = c->compiled;
    loyalty_node_t *nodes, *node;
    size_t capacity;

    if (compiled->nnodes == compiled->capacity) {
        capacity = compiled->capacity == 0 ? 16 : compiled->capacity * 2;
        nodes = realloc(compiled->nodes, capacity * sizeof(*nodes));
        if (nodes == NULL) {
            return NULL;
        }
        compiled->nodes = nodes;
        compiled->capacity = capacity;
    }

    node = &compiled->nodes[compiled->nnodes++];
    *node = (loyalty_node_t){
        .kind = kind, .text = text, .line_start = c->line_start};
    c->line_start = false;
    return node;
}

static loyalty_status_t
add_text(compiler_t *c, const char *start, const char *end)
{
    loyalty_str_t text = {start, (size_t)(end - start)};

    if (start == end) {
        return LOYALTY_OK;
    }
    if (add_node(c, LOYALTY_NODE_TEXT, text) == NULL) {
        return LOYALTY_ERROR_MEMORY;
    }

    c->line_start = text.data[text.len - 1] == '\n';
    return LOYALTY_OK;
}

/* A node with a name: "a.b" is kept as "a\0b\0", "." as no parts. */
static loyalty_status_t
add_named(compiler_t *c, loyalty_node_kind_t kind, const tag_t *tag)
{
    loyalty_str_t copy;
    loyalty_node_t *node;
    uint32_t nparts = 1;
    char *p;

    node = add_node(c, kind, tag->content);
    if (node == NULL) {
        return LOYALTY_ERROR_MEMORY;
    }

    node->standalone = tag->standalone;

    if (kind == LOYALTY_NODE_PARTIAL
        || loyalty_str_eq(tag->content, loyalty_str("."))) {
        return LOYALTY_OK;
    }

    if (loyalty_str_copy(&c->compiled->arena, tag->content, &copy)
        != LOYALTY_OK) {
        return LOYALTY_ERROR_MEMORY;
    }

    for (p = (char *)copy.data; (p = strchr(p, '.')) != NULL; nparts++) {
        *p++ = '\0';
    }

    node->nparts = nparts;
    node->parts = copy.data;
    return LOYALTY_OK;
}

/* A name has no blanks or control characters, nor an empty part. */
static bool
name_is_valid(compiler_t *c, const tag_t *tag)
{
    loyalty_str_t name = tag->content;
    bool dots = tag->kind != '>' && !loyalty_str_eq(name, loyalty_str("."));
    char before = '.';
    size_t i;

    if (name.len == 0) {
        problem_at(c, tag->start, "the tag has no name");
        return false;
    }

    for (i = 0; i < name.len; i++) {
        if ((unsigned char)name.data[i] <= ' ' || name.data[i] == '\177') {
            problem_at(c, tag->start,
                       "the name \"%.*s\" has a blank or a control character",
                       shown(name), name.data);
            return false;
        }
        if (dots && before == '.' && name.data[i] == '.') {
            break;
        }
        before = name.data[i];
    }

    if (dots && before == '.') {
        problem_at(c, tag->start, "the name \"%.*s\" has an empty part",
                   shown(name), name.data);
        return false;
    }

    return true;
}

static loyalty_status_t
open_section(compiler_t *c, const tag_t *tag)
{
    loyalty_status_t rc;

    if (c->depth == LOYALTY_TEMPLATE_SECTIONS_MAX) {
        problem_at(c, tag->start, "sections are nested deeper than %d",
                   LOYALTY_TEMPLATE_SECTIONS_MAX);
        return LOYALTY_ERROR_LIMIT;
    }

    rc = add_named(c,
                   tag->kind == '#' ? LOYALTY_NODE_SECTION
                                    : LOYALTY_NODE_INVERTED,
                   tag);
    if (rc == LOYALTY_OK) {
        c->places[c->depth] = tag->start;
        c->sections[c->depth++] = (uint32_t)(c->compiled->nnodes - 1);
    }

    return rc;
}

static void
close_section(compiler_t *c, const tag_t *tag)
{
    loyalty_node_t *section;

    if (c->depth == 0) {
        problem_at(c, tag->start, "\"%.*s\" is closed but was not opened",
                   shown(tag->content), tag->content.data);
        return;
    }

    section = &c->compiled->nodes[c->sections[--c->depth]];
    section->end = (uint32_t)c->compiled->nnodes;

    if (!loyalty_str_eq(section->text, tag->content)) {
        problem_at(c, tag->start, "\"%.*s\" is closed where \"%.*s\" is open",
                   shown(tag->content), tag->content.data,
                   shown(section->text), section->text.data);
    }
}

static loyalty_status_t
add_partial(compiler_t *c, const tag_t *tag)
{
    loyalty_status_t rc = add_named(c, LOYALTY_NODE_PARTIAL, tag);
    loyalty_node_t *node;

    if (rc == LOYALTY_OK && tag->standalone) {
        node = &c->compiled->nodes[c->compiled->nnodes - 1];
        node->indent = (loyalty_str_t){
            tag->line, (size_t)(tag->start - tag->line)};
    }

    return rc;
}

static size_t
word_length(loyalty_str_t text)
{
    size_t i = 0;

    while (i < text.len && !is_blank(text.data[i])) {
        i++;
    }

    return i;
}

/* {{=<% %>=}} */
static void
set_delimiters(compiler_t *c, const tag_t *tag)
{
    loyalty_str_t text = tag->content, open, close;
    size_t i;

    i = word_length(text);
    open = (loyalty_str_t){text.data, i};
    close = trim(text.data + i, text.data + text.len);

    if (open.len == 0 || close.len == 0 || word_length(close) != close.len
        || memchr(text.data, '=', text.len) != NULL) {
        problem_at(c, tag->start,
                   "delimiters are two words without '=', not \"%.*s\"",
                   shown(text), text.data);
        return;
    }

    c->open = open;
    c->close = close;
}

/* Reads the tag that starts at tag->start.  false: it does not end. */
static bool
read_tag(compiler_t *c, tag_t *tag)
{
    static const char kinds[] = {'#', '^', '/', '>', '!', '=', '&', '{'};
    const char *p = tag->start + c->open.len, *end;

    tag->kind = 0;
    tag->standalone = false;

    if (p < c->end && memchr(kinds, *p, sizeof(kinds)) != NULL) {
        tag->kind = *p++;
    }

    for (end = p;; end++) {
        end = memmem(end, (size_t)(c->end - end), c->close.data, c->close.len);
        if (end == NULL) {
            problem_at(c, tag->start, "the tag is not closed by \"%.*s\"",
                       shown(c->close), c->close.data);
            return false;
        }
        if (tag->kind == '=' && (end == p || end[-1] != '=')) {
            continue;
        }
        break;
    }

    tag->end = end + c->close.len;

    if (tag->kind == '=') {
        end--;

    } else if (tag->kind == '{') {
        /* the brace may lie before the delimiter or look like a part of it */
        if (end > p && end[-1] == '}') {
            end--;
        } else if (tag->end < c->end && *tag->end == '}'
                   && c->close.data[0] == '}') {
            tag->end++;
        } else {
            problem_at(c, tag->start, "the tag is not closed by \"}%.*s\"",
                       shown(c->close), c->close.data);
            return false;
        }
    }

    tag->content = trim(p, end);
    return true;
}

/*
 * Is nothing but blanks around the tag on its line?  Then *rest is where the
 * next line starts.
 */
static bool
is_standalone(const compiler_t *c, const tag_t *tag, const char **rest)
{
    const char *p;

    if (tag->line == NULL || tag->kind == 0 || tag->kind == '&'
        || tag->kind == '{') {
        return false;
    }

    for (p = tag->line; p < tag->start; p++) {
        if (*p != ' ' && *p != '\t') {
            return false;
        }
    }

    p = tag->end;
    while (p < c->end && (*p == ' ' || *p == '\t')) {
        p++;
    }

    if (p < c->end && *p == '\r') {
        p++;
    }
    if (p < c->end && *p != '\n') {
        return false;
    }

    *rest = p < c->end ? p + 1 : p;
    return true;
}

static loyalty_status_t
take_tag(compiler_t *c, const tag_t *tag)
{
    switch (tag->kind) {
    case '!':
        return LOYALTY_OK;
    case '=':
        set_delimiters(c, tag);
        return LOYALTY_OK;
    default:
        break;
    }

    if (!name_is_valid(c, tag)) {
        return LOYALTY_OK;
    }

    switch (tag->kind) {
    case '#':
    case '^':
        return open_section(c, tag);
    case '/':
        close_section(c, tag);
        return LOYALTY_OK;
    case '>':
        return add_partial(c, tag);
    case '&':
    case '{':
        return add_named(c, LOYALTY_NODE_RAW, tag);
    default:
        return add_named(c, LOYALTY_NODE_VARIABLE, tag);
    }
}

static loyalty_status_t
compile_nodes(compiler_t *c)
{
    loyalty_status_t rc;
    tag_t tag = {0};
    const char *line = c->start, *p, *rest = NULL;

    for (;;) {
        tag.start = memmem(c->pos, (size_t)(c->end - c->pos), c->open.data,
                           c->open.len);
        if (tag.start == NULL) {
            return add_text(c, c->pos, c->end);
        }

        p = memrchr(c->pos, '\n', (size_t)(tag.start - c->pos));
        tag.line = p == NULL ? line : p + 1;

        if (!read_tag(c, &tag)) {
            return LOYALTY_OK;
        }

        tag.standalone = is_standalone(c, &tag, &rest);

        rc = add_text(c, c->pos, tag.standalone ? tag.line : tag.start);
        if (rc == LOYALTY_OK) {
            rc = take_tag(c, &tag);
        }
        if (rc != LOYALTY_OK) {
            return rc;
        }

        if (tag.standalone) {
            c->pos = line = rest;
            c->line_start = true;
        } else {
            c->pos = tag.end;
            line = NULL;
        }
    }
}

loyalty_status_t
loyalty_template_compile(loyalty_str_t source, loyalty_problems_t *problems,
                         loyalty_template_t **compiled)
{
    loyalty_template_t *result;
    loyalty_status_t rc;
    loyalty_str_t copy;
    compiler_t c;

    *compiled = NULL;

    if (source.len > LOYALTY_TEMPLATE_SIZE_MAX) {
        loyalty_problem(problems, "line 1", "the template is over %d bytes",
                        LOYALTY_TEMPLATE_SIZE_MAX);
        return LOYALTY_ERROR_LIMIT;
    }

    result = calloc(1, sizeof(*result));
    if (result == NULL) {
        return LOYALTY_ERROR_MEMORY;
    }

    loyalty_arena_init(&result->arena, 0);

    rc = loyalty_str_copy(&result->arena, source, &copy);
    if (rc == LOYALTY_OK) {
        c = (compiler_t){.compiled = result,
                         .problems = problems,
                         .start = copy.data,
                         .pos = copy.data,
                         .end = copy.data + copy.len,
                         .open = loyalty_str("{{"),
                         .close = loyalty_str("}}"),
                         .line_start = true};
        rc = compile_nodes(&c);

        while (c.depth > 0) {
            c.depth--;
            problem_at(&c, c.places[c.depth], "the section is not closed");
        }
        if (rc == LOYALTY_OK && c.invalid) {
            rc = LOYALTY_ERROR_INVALID;
        }
    }

    if (rc != LOYALTY_OK) {
        loyalty_template_free(result);
        return rc;
    }

    *compiled = result;
    return LOYALTY_OK;
}

void
loyalty_template_free(loyalty_template_t *compiled)
{
    if (compiled != NULL) {
        loyalty_arena_free(&compiled->arena);
        free(compiled->nodes);
        free(compiled->steps);
        free(compiled);
    }
}

void
loyalty_template_plain(loyalty_template_t *compiled)
{
    size_t i;

    for (i = 0; i < compiled->nnodes; i++) {
        if (compiled->nodes[i].kind == LOYALTY_NODE_VARIABLE) {
            compiled->nodes[i].kind = LOYALTY_NODE_RAW;
        }
    }
}
