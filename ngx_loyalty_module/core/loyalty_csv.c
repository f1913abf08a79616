/*
 * Reading goes record by record, since one may be longer than a line; a quote
 * counts only at the beginning of a cell.
 */

#include "loyalty_csv.h"

static bool
is_formula(char c)
{
    return c == '=' || c == '+' || c == '-' || c == '@' || c == '\t'
           || c == '\r';
}

bool
loyalty_csv_record(loyalty_str_t text, size_t *offset, loyalty_str_t *record,
                   size_t *lines)
{
    bool quoted = false, begins = true;
    size_t i = *offset, end;
    char c;

    if (i >= text.len) {
        return false;
    }

    *lines = 1;

    for (; i < text.len; i++) {
        c = text.data[i];
        if (c == '\n') {
            if (!quoted) {
                break;
            }
            (*lines)++;
        }
        if (c == '"' && (quoted || begins)) {
            quoted = !quoted;
        }
        begins = c == ',' || (begins && c == '"');
    }

    end = i;
    if (end > *offset && text.data[end - 1] == '\r') {
        end--;
    }

    *record = (loyalty_str_t){text.data + *offset, end - *offset};
    *offset = i + (i < text.len);
    return true;
}

bool
loyalty_csv_line(loyalty_str_t text, size_t *offset, loyalty_str_t *line)
{
    size_t begin = *offset, end;
    const char *newline;

    if (begin >= text.len) {
        return false;
    }

    newline = memchr(text.data + begin, '\n', text.len - begin);
    end = newline != NULL ? (size_t)(newline - text.data) : text.len;
    *offset = end + (newline != NULL);
    if (end > begin && text.data[end - 1] == '\r') {
        end--;
    }

    *line = (loyalty_str_t){text.data + begin, end - begin};
    return true;
}

/* One cell from `p`; the end of it in *p.  False: malformed. */
static bool
read_cell(const char **p, const char *end, char *to, loyalty_str_t *cell)
{
    const char *from = *p;
    bool quoted = from < end && *from == '"';
    size_t n = 0;

    from += quoted;
    for (; from < end; from++) {
        if (quoted && *from == '"') {
            if (from + 1 == end || from[1] != '"') {
                break;
            }
            from++;
        } else if (!quoted && (*from == ',' || *from == '"')) {
            break;
        }
        to[n++] = *from;
    }

    if (quoted) {
        if (from == end) {
            return false;
        }
        from++;
    }

    *p = from;
    *cell = (loyalty_str_t){to, n};
    if (n > 1 && to[0] == '\'' && is_formula(to[1])) {
        cell->data++;
        cell->len--;
    }

    return from == end || *from == ',';
}

loyalty_status_t
loyalty_csv_cells(loyalty_str_t record, loyalty_arena_t *arena,
                  loyalty_str_t **cells, size_t *n)
{
    const char *p = record.data, *end = record.data + record.len;
    size_t i, max = 1;
    char *to;

    for (i = 0; i < record.len; i++) {
        max += record.data[i] == ',';
    }

    if (max > LOYALTY_CSV_CELLS_MAX) {
        return LOYALTY_ERROR_LIMIT;
    }

    *cells = loyalty_alloc(arena, max * sizeof(**cells));
    to = loyalty_alloc(arena, record.len + 1);
    if (*cells == NULL || to == NULL) {
        return LOYALTY_ERROR_MEMORY;
    }

    for (*n = 0;; p++) {
        if (!read_cell(&p, end, to, &(*cells)[*n])) {
            return LOYALTY_ERROR_INVALID;
        }
        to = to + (*cells)[*n].len + ((*cells)[*n].data - to);
        (*n)++;
        if (p == end) {
            return LOYALTY_OK;
        }
    }
}

size_t
loyalty_csv_cell(loyalty_str_t text, char *to)
{
    bool formula = text.len != 0 && is_formula(text.data[0]);
    bool quoted = formula;
    size_t i, n = 0;

    for (i = 0; i < text.len && !quoted; i++) {
        quoted = text.data[i] == '"' || text.data[i] == ','
                 || text.data[i] == '\n' || text.data[i] == '\r';
    }

    if (!quoted) {
        if (text.len != 0) {
            memcpy(to, text.data, text.len);
        }
        return text.len;
    }

    to[n++] = '"';
    if (formula) {
        to[n++] = '\'';
    }
    for (i = 0; i < text.len; i++) {
        if (text.data[i] == '"') {
            to[n++] = '"';
        }
        to[n++] = text.data[i];
    }
    to[n++] = '"';

    return n;
}
