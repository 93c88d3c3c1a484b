// Destinations of `gantry import` on the network: a DICOMweb server (STOW-RS) or an application entity (C-STORE).
#ifndef GANTRY_APP_IMPORT_TO_H
#define GANTRY_APP_IMPORT_TO_H

#include "app/import.h"
#include "base/arena.h"

// to: "http://host:port[/path]" or "AET@host:port". What they answer does not tell a new object from one that was there: both count as stored.
bool import_to(struct arena *a, const char *to, const char *token, const char *calling, struct import_target *out, struct err *e);

#endif
