// Comma-separated values (RFC 4180) with a line of names: what a statistician's tool or a spreadsheet writes.
#ifndef GANTRY_TEXT_CSV_H
#define GANTRY_TEXT_CSV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

// Fields are borrowed from the text where they stand as they are, else (quotes doubled within) from the arena.
struct csv {
    struct arena *arena;
    unsigned columns;
    size_t rows; // without the line of names
    struct str *names;
    struct str *fields;   // row * columns + column
    const uint32_t *line; // of the file, from 1, where each row begins: for messages
};

// A whole document. UTF-8, a byte-order mark and GB18030 are taken (what is not UTF-8 is read as GB18030); CR LF, LF and CR end a line; the separator is the comma,
// or the semicolon or tab when the line of names has no comma. Empty lines are passed over. A row of another number of fields than the names, an open quote, or two columns of one name
// are ERR_BAD_INPUT with the line; beyond CSV_ROWS_MAX or the arena's ceiling it is ERR_TOO_LARGE.
bool csv_read(struct arena *a, struct str text, struct csv *out, struct err *e);

static inline struct str csv_at(const struct csv *t, size_t row, unsigned column) {
    return t->fields[row * t->columns + column];
}

// The column of that name (ASCII case does not matter), or -1.
int csv_find(const struct csv *t, const char *name);
// The same; false with an error that lists the columns there are.
bool csv_column(const struct csv *t, const char *name, unsigned *column, struct err *e);

// Empty, NA, NaN and N/A (whatever their case) are missing: NaN. Anything else that is no finite number is ERR_BAD_INPUT naming line and column.
bool csv_number(const struct csv *t, size_t row, unsigned column, double *out, struct err *e);
// A whole column; the array is the arena's.
bool csv_numbers(const struct csv *t, unsigned column, double **out, struct err *e);
bool csv_missing(struct str field);

// A column as categories: level[row] is an index into names, in order of first appearance, or -1 where it is missing. Sorted by value, 1 and 1.0 being one, when all are numbers.
struct csv_levels {
    unsigned count;
    struct str *names;
    int32_t *of; // by row
};
bool csv_levels(const struct csv *t, unsigned column, struct csv_levels *out, struct err *e);

#endif
