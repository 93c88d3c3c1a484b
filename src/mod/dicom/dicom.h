// The DICOM door of the archive: Verification, Storage, Query/Retrieve and Storage Commitment as SCP (PS3.4 A, B, C, J).
#ifndef GANTRY_MOD_DICOM_DICOM_H
#define GANTRY_MOD_DICOM_DICOM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "core/archive.h"
#include "dimse/assoc.h"

struct accounts;
struct arena;
struct peers;
struct principal;

struct dicom_config { // borrowed until dicom_stop
    const char *aet;
    const char *bind;
    uint16_t port;                 // 0: any free one
    struct peers *peers;           // who is let in, and the destinations of C-MOVE and of storage commitment results
    struct net_tls *tls;           // of the port; NULL: plain
    struct net_tls *calls;         // to peers with TLS
    const struct net_guard *guard; // where destinations may lie; NULL: anywhere
    bool plain_too;                // beside the port with TLS, ...
    uint16_t plain_port;           // ... one without
    struct accounts *accounts;     // who user identities with a passcode are; NULL: nobody
    // Whose a signed token is, in a; *out NULL: nobody's. NULL: none is taken.
    bool (*verify)(void *context, struct arena *a, struct str jwt, const struct principal **out, struct err *e);
    void *verify_context;
    bool any_called;             // associations to other called AE titles are taken too
    bool accept_unknown_storage; // SOP classes that are in no registry are stored (private ones)
    unsigned associations_max;   // 0: UL_ASSOCIATIONS_MAX
    unsigned per_peer_max;       // of one address; 0: three quarters of it
    unsigned per_second;         // new connections of one address; 0: default
    int drain_ms;                // scp_config's
    struct ul_timers timers;
};

// The table of services, for those who judge it: the permission that each request of a SOP class needs. uid NULL: of all SOP classes of storage. false: no more.
bool dicom_service_at(unsigned i, const char **uid, unsigned *permission);

struct dicom_module;
struct scp_figures;

bool dicom_start(const struct dicom_config *config, struct archive *archive, struct dicom_module **out, struct err *e);
uint16_t dicom_port(const struct dicom_module *m);
uint16_t dicom_plain_port(const struct dicom_module *m); // 0: there is none
void dicom_figures(struct dicom_module *m, struct scp_figures *out);
// Finishes what is under way, refuses new associations, then returns.
void dicom_stop(struct dicom_module *m);

#endif
