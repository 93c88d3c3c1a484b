// The columns that a question about agreement means, and ratings and measurements out of them.
#ifndef GANTRY_MOD_EVIDENCE_AGREEMENT_COLUMNS_H
#define GANTRY_MOD_EVIDENCE_AGREEMENT_COLUMNS_H

#include "mod/evidence/ratings.h"

// The words stand somewhere in the text; ASCII case does not matter.
bool ev_holds(struct str text, const char *words);
// A column that tells which subject a row is: id, subject, case, unit, patient, item, ...
bool ev_is_identifier(struct str name);
// Every column that is no identifier, in order; columns has room for t->columns.
unsigned ev_value_columns(const struct csv *t, unsigned *columns);
// The columns that the text names, in the order of the text; at most max.
unsigned ev_named_columns(const struct csv *t, struct str text, unsigned *columns, unsigned max);
// wright1 and wright2 are replicates of "wright": the name without the digits at its end (and a '_' or '.' before them).
struct str ev_method_of(struct str column);
// The two columns compared when nothing is said: the first of each of the first two methods, or the first two.
bool ev_default_pair(const struct csv *t, unsigned pair[2], struct err *e);

// Numbers of the columns, row by row, of those rows that have them all; count: how many such rows.
bool ev_complete_rows(struct arena *a, const struct csv *t, const unsigned *columns, unsigned n, double **values, size_t *count, struct err *e);
// Two columns of them, apart.
bool ev_complete_pair(struct arena *a, const struct csv *t, const unsigned pair[2], double **x, double **y, size_t *count, struct err *e);

#endif
