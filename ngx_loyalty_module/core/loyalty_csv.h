/*
 * CSV as RFC 4180 has it: records end with CRLF or LF, cells may be quoted, a
 * quote in a quoted cell is doubled, and quoted cells may hold line ends.
 *
 * What is written can be opened in a spreadsheet without running anything: a
 * cell that begins as a formula does (= + - @, tab, CR) gets an apostrophe
 * before it, which reading takes away again.
 */

#ifndef LOYALTY_CSV_H
#define LOYALTY_CSV_H

#include "loyalty.h"

/*
 * The record at *offset, without its line end, and *offset behind it; *lines
 * is the number of lines it takes.  False: there is none left.
 */
bool loyalty_csv_record(loyalty_str_t text, size_t *offset,
                        loyalty_str_t *record, size_t *lines);

/* The line at *offset, of a text of lines alone, without its end. */
bool loyalty_csv_line(loyalty_str_t text, size_t *offset, loyalty_str_t *line);

/* LOYALTY_ERROR_INVALID: quotes are not closed, or not where they may be;
 * _LIMIT: more than LOYALTY_CSV_CELLS_MAX.  Cells are the arena's. */
loyalty_status_t loyalty_csv_cells(loyalty_str_t record,
                                   loyalty_arena_t *arena,
                                   loyalty_str_t **cells, size_t *n);

/* Room that a cell may take. */
#define LOYALTY_CSV_CELL_SIZE(len) (2 * (len) + 3)

/* Writes a cell, quoted where it needs to be; returns its length. */
size_t loyalty_csv_cell(loyalty_str_t text, char *to);

#endif
