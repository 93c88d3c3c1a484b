// Changing peers: what administration does. Every change is one event; nobody gives away more than he has. Of another's hands (core/charge.h) is as missing.
#ifndef GANTRY_CORE_PEERS_MANAGE_H
#define GANTRY_CORE_PEERS_MANAGE_H

#include "core/peers.h"

struct json_writer;

// What of a peer is to be as it is said here. Texts that are {NULL, 0}, lists that are NULL and numbers under 0 are left as they are (of a new one: empty).
struct peer_change {
    struct str name, aet, called, host, tls_name, subject, realm, state;
    struct str certificate; // its SHA-256 fingerprint as people copy it, or itself in PEM
    int64_t port, associations, tls;
    const struct str *networks, *services;
    unsigned network_count, service_count;
    struct str role, scope; // its one grant; of a new one without role "service", without scope the tenant of its realm
};

// p (may be NULL): those of the configuration, whose place a new one must not take either.
bool peer_add(struct archive *ar, struct peers *p, const struct actor *who, const struct peer_change *c, struct err *e);
// name says which. A role or a scope that is said takes the place of all that an administrator gave it.
bool peer_set(struct archive *ar, struct peers *p, const struct actor *who, const struct peer_change *c, struct err *e);
bool peer_remove(struct archive *ar, const struct actor *who, struct str name, struct err *e);
// One value: an array of all that are in the asker's hands (core/charge.h), those of the configuration (p, may be NULL) last.
bool peers_json(struct archive *ar, struct peers *p, const struct actor *who, struct json_writer *to, struct err *e);

#endif
