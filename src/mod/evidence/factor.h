// A column of names as sorted levels.
#ifndef GANTRY_MOD_EVIDENCE_FACTOR_H
#define GANTRY_MOD_EVIDENCE_FACTOR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "text/csv.h"

struct ev_factor {
    unsigned count;
    struct str *names; // by value when all are numbers, else by their bytes
    int32_t *of;       // by row; -1: a level that only rows left out have
};

// left_out: by row, rows that make no level (NULL: none). column < 0: one level, "1". A missing field is refused, naming the line and what it should be.
bool ev_factor_of(struct arena *a, const struct csv *t, int column, const char *what, const bool *left_out, struct ev_factor *out, struct err *e);
int ev_factor_find(const struct str *names, unsigned n, struct str name);
// Of each of the names its index in the others, or -1.
bool ev_factor_match(struct arena *a, const struct str *names, unsigned n, const struct str *others, unsigned other_count, int32_t **out, struct err *e);

#endif
