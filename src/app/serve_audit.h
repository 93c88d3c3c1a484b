// What follows the audit trail in a server: collectors, and the rule of retention.
#ifndef GANTRY_APP_SERVE_AUDIT_H
#define GANTRY_APP_SERVE_AUDIT_H

#include "app/modules.h"

// Before anything is noted.
bool serve_audit_open(struct server *s, struct err *e);
bool serve_audit_start(struct server *s, void **state, struct err *e);
void serve_audit_stop(struct server *s, void *state);

#endif
