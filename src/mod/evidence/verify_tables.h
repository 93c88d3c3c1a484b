// Everything that rows of reference values can ask for.
#ifndef GANTRY_MOD_EVIDENCE_VERIFY_TABLES_H
#define GANTRY_MOD_EVIDENCE_VERIFY_TABLES_H

#include "mod/evidence/verify.h"

// Ends with NULL.
extern const struct ev_statistic *const EV_STATISTICS[];

#endif
