// Scope: which studies an asker reaches, as a part of statements. The rows decide; the keys of studies only find them sooner.
//
// Each service asks for its own permission by scope_of and adds scope_filter to the statements that name studies, series, instances or what belongs to
// them. What is outside is then not there: the same answer by the same way.
#ifndef GANTRY_CORE_SCOPE_H
#define GANTRY_CORE_SCOPE_H

#include "base/arena.h"
#include "base/buf.h"
#include "core/access.h"
#include "core/archive.h"

struct db;

struct scope {
    bool everywhere;
    bool by_realm, by_label, by_user; // which kinds of keys there are
    struct str keys;                  // a JSON array, as scope_filter's statements take it
    const struct str *list;           // the same one by one, as access_scope_key writes them
    unsigned count;
};

// What the asker reaches with this permission. ERR_UNAUTHORIZED or ERR_FORBIDDEN when it has it nowhere. Without cost for who has it everywhere.
bool scope_of(const struct actor *who, enum permission what, struct arena *a, struct scope *out, struct err *e);
// Of what is not of one study but of the whole server: true only when the asker has the permission everywhere; else as if it had it not.
bool scope_everywhere(const struct actor *who, enum permission what, struct err *e);

// Appends " AND ..." that is true when row `alias` (with columns study_uid and realm) is reached; ?parameter is s->keys. Nothing when everywhere.
void scope_filter(const struct scope *s, struct buf *sql, const char *alias, int parameter);
// The same by the realm alone, for what is of no study.
void scope_filter_realm(const struct scope *s, struct buf *sql, const char *alias, int parameter);
enum { SCOPE_SQL_BYTES = 2048 }; // a filter is shorter

// Keeps of n rows of studies, in order, those that are reached; asks the database even when there are none, so that nothing is told by the time it takes.
struct qplace;
bool scope_keep(const struct scope *s, struct db *d, struct qplace *places, unsigned *n, struct err *e);
// Whether a study under this UID is reached. Always found everywhere, whether it is there or not.
bool scope_has_study(const struct scope *s, struct db *d, struct str study_uid, bool *found, struct err *e);

#endif
