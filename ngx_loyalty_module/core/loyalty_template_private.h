/*
 * A compiled template: a flat array of nodes in the order of the source.
 *
 *   Hello {{name}}! {{#vip}}Thank you, {{name}}.{{/vip}}
 *
 *   0 TEXT "Hello "   1 VARIABLE name   2 TEXT "! "
 *   3 SECTION vip, end 7
 *   4   TEXT "Thank you, "   5 VARIABLE name   6 TEXT "."
 *
 * Invariant: the nodes of a section are those after it and before its `end`;
 * sections nest.  Texts point into the template's copy of the source; the
 * parts of a name are a copy with zeros for the dots, each looked up as it is.
 */

#ifndef LOYALTY_TEMPLATE_PRIVATE_H
#define LOYALTY_TEMPLATE_PRIVATE_H

#include "loyalty_template.h"

typedef enum {
    LOYALTY_NODE_TEXT,
    LOYALTY_NODE_VARIABLE, /* escaped */
    LOYALTY_NODE_RAW,
    LOYALTY_NODE_SECTION,
    LOYALTY_NODE_INVERTED,
    LOYALTY_NODE_PARTIAL
} loyalty_node_kind_t;

typedef struct {
    loyalty_node_kind_t kind;
    uint32_t end;       /* section: the node after its last */
    uint32_t nparts;    /* of the name; 0: the implicit iterator `.` */
    bool line_start;    /* first on its line: behind a partial's indentation */
    bool standalone;    /* a tag alone on its line */
    loyalty_str_t text; /* TEXT: itself; else the name as written */
    const char *parts;  /* the name's parts, each zero-terminated */
    loyalty_str_t indent; /* standalone partial: the blanks before it */
} loyalty_node_t;

/* Over a table of texts (loyalty_template_table.c). */
typedef enum {
    LOYALTY_STEP_TEXT,
    LOYALTY_STEP_ESCAPED,
    LOYALTY_STEP_RAW,
    LOYALTY_STEP_UNLESS, /* goes on at `to` unless there is a text */
    LOYALTY_STEP_IF
} loyalty_step_kind_t;

typedef struct {
    loyalty_step_kind_t kind;
    uint32_t place; /* in the table */
    uint32_t to;
    loyalty_str_t text;
} loyalty_step_t;

struct loyalty_template_s {
    loyalty_arena_t arena; /* source and names */
    loyalty_node_t *nodes;
    size_t nnodes;
    size_t capacity;
    loyalty_step_t *steps; /* NULL: not bound */
    size_t nsteps;
};

/* What stands for a byte in HTML; len 0: itself. */
extern const loyalty_str_t loyalty_template_entities[256];

#endif
