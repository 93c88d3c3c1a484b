// From the settings of peers to those that core/ compares.
#include "app/serve_peers.h"

#include <stdlib.h>

#include "base/log.h"
#include "core/peers.h"

// Whoever can reach a server that listens on loopback alone is on this machine: as long as nobody says otherwise it is let in.
static struct setting_list unknown_of(const struct settings *s) {
    struct setting_list l = s->unknown_peers;
    if (l.count == 0) l.all[l.count++] = settings_is_loopback(s->bind) ? "loopback" : "none";
    return l;
}

static void warn_of(const struct setting_list *l) {
    for (unsigned i = 0; i < l->count; i++)
        if (str_eqz(str_of(l->all[i]), "any"))
            log_line(LOG_WARN, "peers",
                     "dicom: unknown-peers: any lets in every application entity that reaches this port, by whatever AE title it calls itself");
}

static struct peer_setting setting_of(const struct setting_peer *s) {
    return (struct peer_setting){.aet = s->aet,
                                 .called = s->called,
                                 .host = s->host,
                                 .port = s->port,
                                 .tls = s->tls,
                                 .tls_name = s->tls_name,
                                 .networks = s->networks,
                                 .network_count = s->network_count,
                                 .certificate = s->certificate,
                                 .subject = s->subject,
                                 .role = s->role,
                                 .scope = s->scope,
                                 .realm = s->realm,
                                 .services = s->services,
                                 .service_count = s->service_count,
                                 .associations = s->associations};
}

struct serve_peers {
    struct peer_setting known[SETTINGS_PEERS_MAX];
    struct setting_list unknown;
};

bool serve_peers_open(struct server *s, struct err *e) {
    const struct settings *from = s->settings;
    struct serve_peers *own = calloc(1, sizeof *own);
    if (!own) return err_nomem(e, "peers");
    own->unknown = unknown_of(from);
    warn_of(&own->unknown);
    for (unsigned i = 0; i < from->peer_count; i++) own->known[i] = setting_of(&from->peers[i]);
    const struct peers_options o = {.known = own->known,
                                    .known_count = from->peer_count,
                                    .unknown = own->unknown.all,
                                    .unknown_count = own->unknown.count,
                                    .unknown_role = from->unknown_role};
    s->peer_settings = own;
    return peers_open(s->archive, &o, &s->peers, e);
}

void serve_peers_close(struct server *s) {
    peers_close(s->peers);
    free(s->peer_settings);
}
