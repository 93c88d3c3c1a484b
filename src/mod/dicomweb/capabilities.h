// What this origin server can do (PS3.18 8.9, Annex H): one description, for the Retrieve Capabilities transaction and the conformance statement.
#ifndef GANTRY_MOD_DICOMWEB_CAPABILITIES_H
#define GANTRY_MOD_DICOMWEB_CAPABILITIES_H

#include "base/buf.h"
#include "base/err.h"

// base: the URI of the service, "https://pacs.example.org/dicom-web".
// The tree of WADL's elements as JSON members of the same names, and beside it, under "details", what WADL has no place for: transfer syntaxes and query
// attributes.
bool dw_capabilities_json(const char *base, struct buf *to, struct err *e);
// The document of WADL (W3C submission of 31 August 2009).
bool dw_capabilities_wadl(const char *base, struct buf *to, struct err *e);

#endif
