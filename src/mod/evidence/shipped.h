// The reference values and their data that ship with the product (data/evidence), in the program itself.
#ifndef GANTRY_MOD_EVIDENCE_SHIPPED_H
#define GANTRY_MOD_EVIDENCE_SHIPPED_H

#include <stddef.h>

struct ev_shipped {
    const char *name; // "reference.csv" is the table, the others its data sets
    const char *text;
    size_t n;
};
extern const struct ev_shipped EV_SHIPPED[]; // ends with {0}

#endif
