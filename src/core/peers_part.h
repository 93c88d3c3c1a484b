// What the files of peers share: the peers in memory, as rows and configuration have them.
#ifndef GANTRY_CORE_PEERS_PART_H
#define GANTRY_CORE_PEERS_PART_H

#include <stdatomic.h>

#include "core/peers.h"

struct db;

struct peer {
    int64_t id; // of its row; of one of the configuration -1 - its place there
    struct str name, aet, called, fingerprint, subject;
    const char *const *networks;
    unsigned network_count;
    const char *host; // "" when it is no destination
    const char *tls_name;
    uint16_t port;
    bool tls, by_host, off; // by_host: known by where it listens
    unsigned associations;
    struct realm home;
    uint64_t services; // permissions that it is limited to; 0: to none in particular
    const struct access_grant *grants;
    unsigned grant_count;
};

// All of them at one moment. Shared by those who look, freed by the last.
struct peer_set {
    atomic_uint users;
    struct arena arena;
    int64_t number; // of counters.access when it was read
    struct peer *all;
    unsigned count;
};

// Rows and configuration, in a new set.
bool peer_set_read(struct db *d, const struct peers_options *o, struct peer_set **out, struct err *e);
void peer_set_free(struct peer_set *s);
bool peer_setting_read(struct db *d, struct arena *a, const struct peer_setting *s, unsigned place, struct peer *out, struct err *e);
const struct peers_options *peers_options_of(const struct peers *p);

#endif
