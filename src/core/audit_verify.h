// Proving the event log: every hash computed again, the chain held against its signed marks.
#ifndef GANTRY_CORE_AUDIT_VERIFY_H
#define GANTRY_CORE_AUDIT_VERIFY_H

#include "core/audit_mark.h"

enum audit_fault {
    FAULT_CHANGED,   // an event is not what was written
    FAULT_MISSING,   // events are not there
    FAULT_REWRITTEN, // the chain holds and is another one than was marked: it was computed anew from there on
    FAULT_CUT,       // it ends before the place that it had come to
    FAULT_INSERTED,  // events came while the archive was closed
    FAULT_FORGED,    // a mark whose signature is false or of a key that is not trusted
    FAULT_UNPROVEN,  // there is no mark to prove it by
    FAULT_KINDS
};
const char *audit_fault_name(enum audit_fault fault); // "changed"

struct audit_finding {
    enum audit_fault fault;
    int64_t seq, to; // the first event that it is about, and the last one
    char text[300];
};

struct audit_verify_options {
    const char *dir;         // audit/ of the data directory; NULL: of the archive
    const char *const *dirs; // further places of checkpoints
    unsigned dir_count;
    const char *const *keys; // public keys in hexadecimal that are trusted; none: those in dir's key.pub
    unsigned key_count;
    const _Atomic bool *stopping;                                 // once it is true the reading ends with ERR_CANCELLED; may be NULL
    unsigned threads;                                             // 0: as many as there are processors, 16 at most
    void (*on_begin)(void *ctx);                                  // it is known where the log begins, and is read now; may be NULL
    void (*on_finding)(void *ctx, const struct audit_finding *f); // in the order of places
    void *ctx;
};

struct audit_verify_report {
    int64_t first, last; // events that are there
    int64_t proven;      // up to here by a signed mark
    int64_t cut;         // events up to this one were taken away by a rule, with proof; 0: none
    uint64_t events, marks, findings;
    double seconds;
};

// false: it could not be done. What was found is in *out and told.
bool audit_verify(struct archive *ar, const struct audit_verify_options *o, struct audit_verify_report *out, struct err *e);

#endif
