// What a tombstone names: each entry by its place and by what it is, so that it is dead wherever a copy of it lies.
//
// "places" of a tombstone are arrays [volume, offset, length, "SOP Instance UID", received_ms, "32 hex digits of the digest", "tenant"]; what follows the UID
// is missing in tombstones of before and where an entry is known by its place alone, the tenant in an archive that has one alone: it names the entries of
// all. Building volumes anew copies an entry with all that its headers say, so that time and digest tell it from the same object sent again (nothing is
// deleted within the millisecond in which it came), and the tenant from what another sent in that very millisecond.
#ifndef GANTRY_CORE_GRAVES_H
#define GANTRY_CORE_GRAVES_H

#include "core/access.h"
#include "db/db.h"
#include "store/volume.h"
#include "text/json.h"

enum { GRAVE_DIGEST_BYTES = 16, GRAVE_NAME_BYTES = GRAVE_DIGEST_BYTES + 1 + REALM_PART_BYTES };

struct grave {
    struct vol_loc loc;
    struct str sop;
    bool named; // what follows is there
    int64_t received_ms;
    uint8_t digest[GRAVE_DIGEST_BYTES];
    bool of_tenant; // this one's alone
    struct str tenant;
};

// One element of "places"; ERR_CORRUPT when it names nothing.
bool grave_read(const struct json *v, struct grave *out, struct err *e);
// Row: volume, offset, length, sop_instance_uid, received_ms, digest (NULL when not known), tenant of a place.
void grave_write(struct json_writer *j, struct db_stmt *row, bool of_tenant);
// Where the entry lies now when it was moved; *out is loc when it was not, or is no more.
bool grave_find(struct db *w, const struct grave *g, struct vol_loc *out, struct err *e);
bool grave_keep(struct db *w, const struct grave *g, struct err *e);
bool grave_forget(struct db *w, const struct grave *g, struct err *e);
// Whether a tombstone names this entry, wherever it lies.
bool grave_of(struct db *d, const struct vol_entry *en, bool *dead, struct err *e);

#endif
