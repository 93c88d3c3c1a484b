// The audit trail: what was done without changing anything, as events of the same chain (core/events.h) that changes are in.
//
// An event's detail says who, in which role, from where, why, with what outcome: the members that audit_put_actor writes, beside those of its own.
// "instance.stored", "study.deleted" and other changes are the audit events of their actions: nobody notes them twice.
#ifndef GANTRY_CORE_AUDIT_H
#define GANTRY_CORE_AUDIT_H

#include "core/archive.h"

struct json_writer;

enum audit_outcome { AUDIT_SUCCESS, AUDIT_DENIED, AUDIT_FAILED };

// type: "study.queried", "study.read", "study.exported", "study.sent", "session.begun", "session.refused", "access.denied", "glass.broken", ...
struct audit_note {
    const char *type;
    enum audit_outcome outcome;
    struct str study_uid, series_uid, sop_instance_uid; // empty: not about one
    struct str patient_id, issuer;
    uint64_t count;    // of objects or answers; 0: not said
    struct str detail; // further members of the JSON object, as "\"name\":value,..." without braces; may be empty. Never a secret.
};

// Kept before it returns: what was noted survives the process, and within a second it is in the chain. false: it could not be kept, and what was asked
// for must not be done (ERR_FULL, ERR_IO). Any thread.
bool audit_note(struct archive *ar, const struct actor *who, const struct audit_note *n, struct err *e);

// The same for what only has the actor as text (actor_text): "dimse:CT1@10.0.0.5".
bool audit_note_text(struct archive *ar, struct str actor, const struct audit_note *n, struct err *e);

// Members "user", "role", "address", "purpose", "trace" of an open JSON object, those of them that are known.
void audit_put_actor(struct json_writer *j, const struct actor *who);

// Types of events that change nothing which anybody remembers of the index: a list of SQL literals. A type of audit_note need not be here; it only costs less.
#define AUDIT_NOTE_TYPES                                                                                                                     \
    "'study.queried', 'study.read', 'study.sent', 'study.exported', 'study.verified', 'instance.known', 'instance.refused', 'faults.read', " \
    "'holds.read', 'events.read', 'accounts.read', 'audit.read', 'audit.exported', 'access.denied', 'change.failed', 'session.begun', "      \
    "'session.ended', 'session.refused', 'server.started', 'server.stopped', 'archive.checked', 'audit.checkpoint'"

// Of a server: what is noted goes to a spool in the data directory and from there into the chain, by a thread of its own, together with what was left there
// by a process that was killed. Without it (commands) audit_note waits for the chain itself. Before anybody notes anything; ends with archive_close.
struct audit_options {
    const char *const *elsewhere; // directories for checkpoints beside audit/ in the data directory, such as a mounted share; borrowed until archive_close
    unsigned elsewhere_count, checkpoint_s; // 0: default
};
bool audit_start(struct archive *ar, const struct audit_options *o, struct err *e);

#endif
