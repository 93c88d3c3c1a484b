// Tables of ratings and measurements as people have them: CSV, or the same as JSON.
#ifndef GANTRY_MOD_EVIDENCE_TABLE_H
#define GANTRY_MOD_EVIDENCE_TABLE_H

#include "text/csv.h"

// The text is JSON when its first character that is no space is '[' or '{', else CSV as csv_read takes it. JSON is an array of objects (one a row; the columns are
// their keys in order of first appearance, what a row has not is missing) or an object of arrays of one length (one a column). null is missing, true and false are
// 1 and 0; arrays and objects within are ERR_BAD_INPUT. Fields are borrowed from text or the arena's.
bool ev_table_read(struct arena *a, struct str text, struct csv *out, struct err *e);

#endif
