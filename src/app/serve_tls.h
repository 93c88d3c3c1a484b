// The certificates of a running server: for its two ports and for its calls to peers.
#ifndef GANTRY_APP_SERVE_TLS_H
#define GANTRY_APP_SERVE_TLS_H

#include "app/settings.h"
#include "base/buf.h"

struct serve_tls {
    struct net_tls *dicom, *http; // NULL: the port is plain
    struct net_tls *out;          // to peers with TLS
};

// Also tells, in the log, of each port that is plain off loopback.
bool serve_tls_open(const struct settings *s, struct serve_tls *out, struct err *e);
// Reads certificates, keys and authorities again; what fails is told in the log and leaves the old ones in use. false: the server has no certificate.
bool serve_tls_reload(const struct serve_tls *t);
// When the server's certificate ends, as Prometheus text; nothing where there is none.
void serve_tls_metrics(const struct serve_tls *t, struct buf *to);
// When nobody uses them any more.
void serve_tls_close(struct serve_tls *t);

#endif
