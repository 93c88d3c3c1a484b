// A change of what administrators keep in the index (peers, broken glasses): one writing transaction with its event.
#ifndef GANTRY_CORE_CHANGE_H
#define GANTRY_CORE_CHANGE_H

#include "core/archive.h"

struct db;

// NULL when it cannot begin. Then change_end, with whether it went well so far; false rolls back.
struct db *change_begin(struct archive *ar, struct err *e);
bool change_end(struct archive *ar, struct db *w, bool ok, struct err *e);
// Its event: who did it, and more members of the detail ("\"name\":value,...", may be empty). Never a secret.
bool change_tell(struct archive *ar, struct db *w, const struct actor *who, const char *type, struct str more, struct err *e);

#endif
