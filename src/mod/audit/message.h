// Events as audit messages of DICOM (PS3.15 A.5): XML by its schema, for files and for collectors.
#ifndef GANTRY_MOD_AUDIT_MESSAGE_H
#define GANTRY_MOD_AUDIT_MESSAGE_H

#include "base/buf.h"
#include "core/audit_search.h"

struct audit_source {
    const char *id;   // AuditSourceID: this node's name
    const char *site; // AuditEnterpriseSiteID; NULL: none
    const char *aet;  // of this server
    bool declaration; // the XML declaration goes first
};

// One message. patient and issuer: whose the event's study is, where the event does not say it; may be empty.
bool audit_message(const struct audit_source *source, const struct audit_hit *h, struct str patient, struct str issuer, struct buf *to, struct err *e);

// The same as a line of syslog (RFC 5424) with the length before it (RFC 5425 4.3), MSGID DICOM+RFC3881 (PS3.15 A.6).
bool audit_syslog(const struct audit_source *source, const char *host, const struct audit_hit *h, struct str patient, struct str issuer, struct buf *to,
                  struct err *e);

#endif
