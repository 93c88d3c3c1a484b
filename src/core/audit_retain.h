// Taking old events away by a rule, with a signed mark that tells what was taken: the chain goes on from there, and that it does so rightly can be proven.
#ifndef GANTRY_CORE_AUDIT_RETAIN_H
#define GANTRY_CORE_AUDIT_RETAIN_H

#include "core/audit_mark.h"

struct audit_cut {
    int64_t first, last; // events that were taken away; last 0: there was nothing to take
    int64_t time_ms;     // of the last one
    uint8_t hash[DIGEST_BYTES];
    char waits_for[320]; // the collector that has not got what else is old enough; empty: none
};

// Takes away what is older than a time and every collector has: one that is away keeps what it lacks until it is back or
// forgotten. A log that does not hold is evidence: ERR_CORRUPT, and nothing is taken. One node at a time does it: ERR_BUSY. The event of it, "audit.cut", comes
// first. stopping (may be NULL): once it is true while the log is still being read, nothing is taken: ERR_CANCELLED.
bool audit_retain(struct archive *ar, const struct actor *who, int64_t before_ms, const _Atomic bool *stopping, struct audit_cut *out, struct err *e);
// The last cut, as the index has it; seq 0: there was none.
struct audit_cut_row {
    int64_t seq;
    uint8_t hash[DIGEST_BYTES];
    struct audit_mark mark; // what was signed for it
};
bool audit_cut_last(struct archive *ar, struct audit_cut_row *out, struct err *e);
// Whether it is what somebody signed, and somebody who is trusted.
bool audit_cut_signed(const struct audit_cut_row *cut);
bool audit_cut_proven(const struct audit_cut_row *cut, const struct audit_trust *t);
// Finishes what a process that died had begun.
bool audit_retain_settle(struct archive *ar, struct err *e);

#endif
