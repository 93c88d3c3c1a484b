// Peers: application entities that are known, each a service account with what identifies it and what it may do.
//
// An AE title is no authentication: a peer is recognised by all that its row asks for (address or network, client certificate, called AE title) together.
// A calling AE title that a peer has is never taken from anybody else.
#ifndef GANTRY_CORE_PEERS_H
#define GANTRY_CORE_PEERS_H

#include "core/access.h"
#include "core/archive.h"

enum { PEER_NAME_BYTES = 64, PEER_AET_BYTES = 16, PEER_HOST_BYTES = 253, PEER_NETWORKS_MAX = 32, PEERS_MAX = 65536 };

// What a connection shows of itself.
struct peer_seen {
    struct str calling, called, address;
    bool tls;
    struct str fingerprint; // SHA-256 of the client certificate, lower-case hex; empty when it showed none
    struct str subject;     // RFC 4514, empty likewise
};

// A peer as the configuration has it; absent texts are NULL.
struct peer_setting {
    const char *aet, *called;
    const char *host; // where it listens; without networks and certificate also where it calls from
    uint16_t port;
    bool tls; // of sending to it
    const char *tls_name;
    const char *const *networks;
    unsigned network_count;
    const char *certificate, *subject; // fingerprint, RFC 4514
    const char *role, *scope, *realm;  // NULL: "service", the tenant of its realm, the own
    const char *const *services;       // names of permissions
    unsigned service_count;
    unsigned associations;
};

struct peers_options { // all is borrowed
    const struct peer_setting *known;
    unsigned known_count;
    // Who is let in without being known: "loopback", "certified" (any certificate of the own authorities), "any", addresses and networks. None: nobody.
    const char *const *unknown;
    unsigned unknown_count;
    const char *unknown_role; // of those off loopback, within the own tenant; NULL: "service"
};
// ERR_USAGE says what is wrong in the options. o NULL: the rows alone.
struct peers;
bool peers_open(struct archive *ar, const struct peers_options *o, struct peers **out, struct err *e);
void peers_close(struct peers *p); // NULL is fine

// The peer that this is, in arena; *out NULL: none, and *why a sentence for the log that names what did not fit (static or in arena).
bool peer_recognise(struct peers *p, struct arena *arena, const struct peer_seen *seen, const struct principal **out, struct str *why, struct err *e);
// The principal of that name ("peer:CT1", "unknown:CT2", "local"; empty: local), for what was asked for and is done later. NULL: it is no more.
bool peer_principal(struct peers *p, struct arena *arena, struct str name, const struct principal **out, struct err *e);
// How many associations at once the peer may have, where it has a ceiling of its own; else 0.
unsigned peer_associations(struct peers *p, const struct principal *who);
// Grows whenever what was recognised may not count any more. Cheap: what others changed is looked for every ACCOUNTS_BELIEVE_MS.
uint64_t peers_generation(struct peers *p);

// Where a known peer listens.
struct peer_destination {
    char aet[PEER_AET_BYTES + 1], host[PEER_HOST_BYTES + 1];
    uint16_t port;
    bool tls;
    char tls_name[PEER_HOST_BYTES + 1]; // "" : host
};
// who NULL: the system. ERR_NOT_FOUND also for one of a tenant to which who may send nothing.
bool peer_destination(struct peers *p, const struct principal *who, struct str aet, struct peer_destination *out, struct err *e);

// A certificate's fingerprint as people copy it (upper case, colons, "SHA256:" before it) in the one form that is compared.
enum { PEER_FINGERPRINT_HEX = 64 };
bool peer_fingerprint(struct str text, char out[PEER_FINGERPRINT_HEX + 1]);

#endif
