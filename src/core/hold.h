// Legal hold: a study that nobody deletes until it is released.
//
// Each change is a record in the volumes and numbered for its study, so that an index that is made anew knows it in whatever order it reads them. Where
// the bucket has object lock, volumes that hold objects of such a study carry its legal-hold flag as well: hold_settle sets what is missing, and takes
// away what is no more needed only when nothing is missing. A removed volume stays in the bucket until its flag is off.
#ifndef GANTRY_CORE_HOLD_H
#define GANTRY_CORE_HOLD_H

#include "core/archive.h"

struct db;
struct index;
struct vol_entry;
struct vol_put;

// Holds or releases. ERR_NOT_FOUND: no such study; ERR_CONFLICT: it is so already; ERR_BUSY: another is changing it.
bool hold_set(struct archive *ar, const struct actor *who, struct str study_uid, bool on, struct str reason, struct err *e);

struct hold {
    struct str study_uid, reason, source; // source: who did it
    int64_t since_ms;
};
// Studies under hold that the asker reaches, by their UIDs; the texts are valid during the call. visit returns false to stop (*e is then its own).
bool hold_each(struct archive *ar, const struct actor *who, bool (*visit)(void *ctx, const struct hold *h, struct err *e), void *ctx, struct err *e);

struct hold_flags {
    unsigned set, taken; // of volumes
    bool lockless;       // the bucket has no object lock, or there is no bucket: only our own hold counts
    bool unfinished;     // a volume could not be flagged now; it is tried again
};
bool hold_settle(struct archive *ar, struct hold_flags *out, struct err *e);

// ---- for the index ----

// ERR_FORBIDDEN, with since when and why, when the study is under hold.
bool hold_allows(struct db *d, struct str study_uid, struct err *e);
// Before a tombstone or a record is written, in the order of writing.
bool hold_classify(struct db *d, const struct vol_put *put, struct vol_put *const *earlier, size_t n, struct err *e);
// A record of the volumes becomes rows. *stale: a later change of the same study counts already.
bool hold_record(struct index *ix, struct db *w, const struct vol_entry *en, struct str json, bool *stale, struct err *e);

#endif
