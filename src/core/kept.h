// Tables that no volume can give back: people, programs, peers and what they hold. A rebuilt index and a moved archive get them as they are.
#ifndef GANTRY_CORE_KEPT_H
#define GANTRY_CORE_KEPT_H

#include "db/db.h"

struct kept_table {
    const char *name, *columns;
    const char *types; // of the columns: 'i' and 't'
    bool numbered;     // the first column is the row's own id
};
extern const struct kept_table KEPT_TABLES[]; // ends with {.name = NULL}

// Puts the rows of one database in place of those of another, in w's open transaction.
bool kept_copy(struct db *from, struct db *w, struct err *e);
// Ids of new rows go on after those that are there. schema: before the tables' names with its dot, or "".
bool kept_number(struct db *w, const char *schema, struct err *e);

#endif
