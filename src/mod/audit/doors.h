// What requests mean to the audit trail: one event of each that touches a patient's data or is refused, told by its route's permission.
#ifndef GANTRY_MOD_AUDIT_DOORS_H
#define GANTRY_MOD_AUDIT_DOORS_H

#include "http/server.h"

// http_options.audit, with the archive as context. Requests that change something have their event from the change; what is open to anybody, and figures of
// the whole, have none unless they are refused.
bool audit_of_http(void *archive, struct http_request *rq, unsigned status, struct err *e);

#endif
