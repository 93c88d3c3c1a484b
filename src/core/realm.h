// Realms of studies: where each belongs, and what a sender of another tenant may not put into it.
//
// A study belongs to the realm of whoever sent its first object, and its UID stays its tenant's. Each entry of a volume says the realm of its study, so that
// an index that is made anew knows it. What another tenant sends under such a UID, or under a SOP Instance UID that is taken there, is kept aside as a
// conflicting copy (apart) that its sender is not told of when it sends, also when it is the same to the last byte: each tenant has its own copy of what it sent,
// lists it, and deletes it (core/delete.c). An archive of one realm pays for none of this.
#ifndef GANTRY_CORE_REALM_H
#define GANTRY_CORE_REALM_H

#include "core/access.h"
#include "core/archive.h"

// Of what is kept apart. Its sender's people read it.
#define REALM_APART_REASON "sent under a UID that is in use elsewhere: kept aside, not found by queries"

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
// Whether the archive has no realm but its own and this is of it: then all is the sender's.
bool realm_has_one(const struct index *ix, const struct vol_entry *en, const struct index_put *p);
// Whether what is kept in a study of this realm is the sender's: of its tenant, or in a study into which it may store. Of an entry that lies in a volume
// (no store) the entry's own realm counts. What is another tenant's is never the same to a sender, whatever its bytes: the other may delete it.
bool realm_is_senders(struct db *d, const struct vol_entry *en, const struct index_put *p, struct str realm, struct str study_uid, bool *yes, struct err *e);
// The same of a copy that was kept apart, which is in no study: its tenant alone counts.
bool realm_sent_copy(const struct vol_entry *en, const struct index_put *p, struct str realm);
// As realm_is_senders, of the object that is served under its SOP Instance UID, whose realm becomes p->kept_realm; of one that is before it in the group.
bool realm_has_object(struct db *d, const struct vol_entry *en, struct index_put *p, bool *yes, struct err *e);
bool realm_is_senders_put(struct index *ix, const struct vol_put *put, const struct vol_put *earlier, bool *yes, struct err *e);
// Of a realm as text.
struct str realm_tenant(struct str realm);
// The row of a realm, made when it is new.
bool realm_row(struct index *ix, struct db *w, struct str realm, int64_t *id, struct err *e);
// And back.
bool realm_text(struct db *d, int64_t id, char out[REALM_BYTES], struct err *e);
// Studies that go: where they belonged is kept. In the writer's transaction, while the row is there.
bool realm_keep_gone(struct db *w, int64_t study, struct err *e);
// After all entries were read in whatever order: which conflicting copies are another tenant's.
bool realm_mark_apart(struct archive *ar, struct err *e);

#endif
