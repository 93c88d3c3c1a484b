// The event log: one ordered, hash-chained list of everything that changed; subscribers keep a cursor each.
//
// hash(n) = SHA-256(hash(n-1) || seq || time || type || actor || subject || detail), fields length-prefixed.
#ifndef GANTRY_CORE_EVENTS_H
#define GANTRY_CORE_EVENTS_H

#include "base/arena.h"
#include "core/archive.h"

struct event {
    int64_t seq;      // from 1, without gaps
    int64_t time_ms;  // wall clock (of a shared archive the database's); never before the one before it
    struct str type;  // "instance.stored", "instance.conflict", "study.patient-conflict", "object.quarantined", "study.deleted", "store.alarm", ...
    struct str actor; // "dimse:AET@10.0.0.5"
    struct str study_uid, series_uid, sop_instance_uid; // empty when not about one
    struct str detail;                                  // a JSON object
    uint8_t hash[32];
};

struct db;
// Appends inside the writer's open transaction (db_begin); seq, time_ms and hash are filled. Numbers are in the order in which transactions commit,
// whichever process they are of.
bool event_append(struct archive *ar, struct db *writer, struct event *ev, struct err *e);
// Appends an event of another archive's log as it is. ERR_CORRUPT when it does not follow the last one here.
bool event_take_over(struct archive *ar, struct db *writer, const struct event *ev, struct err *e);
struct digest;
// hash(n) of an event that follows one with the hash before.
bool event_hash(struct digest *d, const uint8_t before[32], const struct event *ev, uint8_t out[32], struct err *e);
// Up to max events after seq, into a.
bool events_after(struct archive *ar, struct arena *a, int64_t seq, unsigned max, struct event **out, unsigned *n, struct err *e);
// Keeps of n events, in order, those that the asker may see: of studies that it reaches or that it would have reached until they were deleted, and only what
// changed there, unless it may read the audit trail. scope: of ACCESS_EVENTS_READ.
struct scope;
bool events_keep(struct archive *ar, const struct actor *who, const struct scope *scope, struct arena *a, struct event *list, unsigned *n, struct err *e);
// Waits until there is an event after seq, of whichever process, or timeout. true when there is.
bool events_wait(struct archive *ar, int64_t seq, int timeout_ms);
int64_t events_last(struct archive *ar);
// Recomputes the chain; ERR_CORRUPT with the first seq that does not fit.
bool events_verify(struct archive *ar, int64_t *checked, struct err *e);

#endif
