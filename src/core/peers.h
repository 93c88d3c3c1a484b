// Peers: application entities that are known, each a service account with what identifies it and what it may do.
//
// An AE title is no authentication: a peer is recognised by all that its row asks for (address or network, client certificate, called AE title) together.
#ifndef GANTRY_CORE_PEERS_H
#define GANTRY_CORE_PEERS_H

#include "core/access.h"
#include "core/archive.h"

// What a connection shows of itself.
struct peer_seen {
    struct str calling, called, address;
    bool tls;
    struct str fingerprint; // SHA-256 of the client certificate, lower-case hex; empty when it showed none
    struct str subject;     // RFC 4514, empty likewise
};

struct peers;
bool peers_open(struct archive *ar, struct peers **out, struct err *e);
void peers_close(struct peers *p); // NULL is fine

// The peer that this is, in arena; *out NULL: none, and *why a sentence for the log that names what did not fit (static or in arena).
bool peer_recognise(struct peers *p, struct arena *arena, const struct peer_seen *seen, const struct principal **out, struct str *why, struct err *e);

#endif
