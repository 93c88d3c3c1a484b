// Ingest: the one way in, for C-STORE, STOW-RS and `gantry import`. Success means durable and findable.
#ifndef GANTRY_CORE_INGEST_H
#define GANTRY_CORE_INGEST_H

#include "core/archive.h"

struct ingest;

// What a door knows before the bytes come (DIMSE); all empty for a Part 10 stream, which says it itself.
struct ingest_hint {
    struct str sop_class_uid, sop_instance_uid; // Affected SOP Class / Instance UID
    struct str ts_uid;                          // of the presentation context: the stream is then a bare data set
};

enum ingest_outcome {
    INGEST_STORED,
    INGEST_KNOWN,       // the same bytes are there already
    INGEST_CONFLICT,    // other bytes under this SOP Instance UID, or another patient's study: kept aside, answered as success. When the UID is
                        // another tenant's, it is kept aside as well and told as stored
    INGEST_QUARANTINED, // could not be understood; kept aside, *e of ingest_commit says why
};

struct ingest_result {
    enum ingest_outcome outcome;
    char sop_class_uid[65], sop_instance_uid[65], study_uid[65], series_uid[65];
    char reason[256]; // of a conflict or quarantine
    // DIMSE: coerced or warned
    uint16_t dimse_status; // 0x0000, 0xB007 (data set does not match SOP class), 0xA900, 0xC000, 0xA700 ...
};

// actor and hint are copied. NULL with ERR_UNAUTHORIZED or ERR_FORBIDDEN (access), ERR_BUSY (too many at once), ERR_NOMEM.
struct ingest *ingest_begin(struct archive *a, const struct actor *who, const struct ingest_hint *hint, struct err *e);
// Bytes as they come, any sizes. After false the object is lost to this ingest: call ingest_abort.
bool ingest_write(struct ingest *in, const void *p, size_t n, struct err *e);
// Blocks until durable. Consumes in. true for STORED, KNOWN, CONFLICT; false for QUARANTINED (result filled) and failures (nothing kept).
bool ingest_commit(struct ingest *in, struct ingest_result *out, struct err *e);
// The sender went away: nothing is kept. Consumes in.
void ingest_abort(struct ingest *in);
// The event of an object that its door refuses before there is a commit to do so: "instance.refused". Of *of its UIDs count, as far as they are known.
void ingest_note_refused(struct archive *ar, const struct actor *who, const struct ingest_result *of, const struct err *why);

#endif
