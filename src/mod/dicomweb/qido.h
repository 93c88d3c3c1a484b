// What searches answer and understand, as tables: for the search itself, the capabilities and the conformance statement.
#ifndef GANTRY_MOD_DICOMWEB_QIDO_H
#define GANTRY_MOD_DICOMWEB_QIDO_H

#include "core/query.h"

// PS3.18 tables 10.6.3-3, 10.6.3-4 and 10.6.3-5: what an answer of the level has without being asked; ends with 0.
const uint32_t *dw_query_attributes(enum query_level level);
// Query parameters that are no attributes; ends with NULL.
extern const char *const DW_QUERY_PARAMETERS[];

#endif
