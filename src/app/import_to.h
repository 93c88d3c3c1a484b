// Destinations of `gantry import` on the network: a DICOMweb server (STOW-RS) or an application entity (C-STORE).
#ifndef GANTRY_APP_IMPORT_TO_H
#define GANTRY_APP_IMPORT_TO_H

#include "app/import.h"
#include "base/arena.h"

struct net_tls;

struct import_server {
    const char *to;      // "http://host:port[/path]", "https://..." or "AET@host:port"
    const char *token;   // of the first two
    const char *ca;      // of https: PEM of the authorities that are trusted instead of the system's; NULL: the system's
    const char *calling; // of the last, as what follows
    struct net_tls *tls; // NULL: plain
    const char *tls_name;
};

// What they answer does not tell a new object from one that was there: both count as stored.
bool import_to(struct arena *a, const struct import_server *server, struct import_target *out, struct err *e);

#endif
