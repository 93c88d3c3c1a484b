// Realms of studies: where each belongs, and what a sender of another tenant may not put into it.
//
// A study belongs to the realm of whoever sent its first object, and its UID stays its tenant's. Each entry of a volume says the realm of its study, so that
// an index that is made anew knows it. What another tenant sends under such a UID, or under a SOP Instance UID that is taken there, is kept aside as a
// conflicting copy (apart) that its sender is not told of. An archive of one realm pays for none of this.
#ifndef GANTRY_CORE_REALM_H
#define GANTRY_CORE_REALM_H

#include "core/access.h"
#include "core/archive.h"

struct db;
struct index;
struct index_put;
struct scope;
struct vol_entry;
struct vol_put;

// As realm_format writes it, in a: where new studies of this sender belong. *placed: a grant lets it store there; else it may store at no place, only into
// studies that are assigned or labelled for it.
bool realm_home(const struct actor *who, struct arena *a, struct str *out, bool *placed, struct err *e);

// ---- for the index ----

// Of an archive that is opened: whether it has other realms than its own.
bool realm_load(struct archive *ar, struct err *e);
// Sets entry.realm, and makes a conflicting copy (apart) of what is sent into another tenant's study; after the put was classified otherwise. ERR_FORBIDDEN:
// the sender may store at no place and does not reach the study.
bool realm_classify(struct index *ix, struct vol_put *put, struct vol_put *const *earlier, size_t n, struct err *e);
// Within the writing transaction: whether the entry is of another tenant than the study that it names, or the object that it would be.
bool realm_is_foreign(struct index *ix, struct db *w, const struct vol_entry *en, const struct index_put *p, bool *foreign, struct err *e);
// The row of a realm, made when it is new.
bool realm_row(struct index *ix, struct db *w, struct str realm, int64_t *id, struct err *e);
// And back.
bool realm_text(struct db *d, int64_t id, char out[REALM_BYTES], struct err *e);
// Studies that go: where they belonged is kept. In the writer's transaction, while the row is there.
bool realm_keep_gone(struct db *w, int64_t study, struct err *e);
// After all entries were read in whatever order: which conflicting copies are another tenant's.
bool realm_mark_apart(struct archive *ar, struct err *e);

#endif
