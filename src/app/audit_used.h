// That the event log itself was used: proven, handed out (PS3.15 A.5.3.2, Audit Log Used). Commands that read it beside a server have the server note it.
#ifndef GANTRY_APP_AUDIT_USED_H
#define GANTRY_APP_AUDIT_USED_H

#include "app/cli.h"
#include "core/archive.h"
#include "text/json.h"

// What was done.
struct audit_use {
    const char *type;                        // "audit.exported", "audit.verified"
    bool failed;                             // the log is not whole
    struct str patient, issuer, study, user; // what was asked for; empty: not said
    uint64_t faults;
};

// By the server of this data directory; where none is, and unless alone is false, in the archive itself, which is opened for it.
bool audit_used(struct cli_args *args, const struct audit_use *u, bool alone, struct err *e);
// The server's side. Only of these two types.
bool audit_used_note(struct archive *ar, const struct actor *who, const struct json *in, struct err *e);
#define AUDIT_USED_VERB "used"

#endif
