// The DICOM door of the archive: Verification, Storage, Query/Retrieve and Storage Commitment as SCP (PS3.4 A, B, C, J).
#ifndef GANTRY_MOD_DICOM_DICOM_H
#define GANTRY_MOD_DICOM_DICOM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "core/archive.h"
#include "dimse/assoc.h"

struct dicom_peer { // a known application entity: a destination of C-MOVE and of storage commitment results
    const char *aet, *host;
    uint16_t port;
};

struct dicom_config { // borrowed until dicom_stop
    const char *aet;
    const char *bind;
    uint16_t port; // 0: any free one
    const struct dicom_peer *peers;
    unsigned peer_count;
    bool known_callers_only;     // a calling AE title that is no peer's is refused
    bool any_called;             // associations to other called AE titles are taken too
    bool accept_unknown_storage; // SOP classes that are in no registry are stored (private ones)
    unsigned associations_max;   // 0: UL_ASSOCIATIONS_MAX
    unsigned per_peer_max;       // of one address; 0: three quarters of it
    int drain_ms;                // scp_config's
    struct ul_timers timers;
};

struct dicom_module;
struct scp_figures;

bool dicom_start(const struct dicom_config *config, struct archive *archive, struct dicom_module **out, struct err *e);
uint16_t dicom_port(const struct dicom_module *m);
void dicom_figures(struct dicom_module *m, struct scp_figures *out);
// Finishes what is under way, refuses new associations, then returns.
void dicom_stop(struct dicom_module *m);

#endif
