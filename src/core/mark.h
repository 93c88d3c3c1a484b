// Labels of studies, and the people that they are assigned to: what a scope may be beside a place.
//
// Each change is a record in the volumes and numbered for its study, as a legal hold is (core/hold.h). A mark counts for studies of the tenant that it was
// given in alone: who sends another study under the same UID gets nothing of it.
#ifndef GANTRY_CORE_MARK_H
#define GANTRY_CORE_MARK_H

#include "core/archive.h"

struct db;
struct index;
struct json;
struct vol_entry;

enum mark_kind { MARK_LABEL, MARK_ASSIGNMENT };

// Gives or takes away a label, or an assignment to the user of this name. ERR_NOT_FOUND: no such study; ERR_CONFLICT: it is so already; ERR_BUSY: another is
// changing it; ERR_TOO_LARGE: it has STUDY_MARKS_MAX.
bool mark_set(struct archive *ar, const struct actor *who, enum mark_kind kind, struct str study_uid, struct str name, bool on, struct err *e);

struct mark {
    struct str study_uid, tenant, name, source; // source: who did it
    int64_t at_ms;
};
// Those of a study, or with study_uid empty of all, that the asker may change, by study and name; the texts are valid during the call. visit returns false to
// stop (*e is then its own).
bool mark_each(struct archive *ar, const struct actor *who, enum mark_kind kind, struct str study_uid,
               bool (*visit)(void *ctx, const struct mark *m, struct err *e), void *ctx, struct err *e);

// ---- for the index ----

// A record of the volumes becomes rows; nothing when it is of another kind. *stale: a later change of the same mark counts already.
bool mark_record(struct index *ix, struct db *w, const struct vol_entry *en, const struct json *o, bool *stale, struct err *e);

#endif
