// From settings to TLS, and what goes without it.
#include <string.h>

#include "app/settings.h"

bool settings_allow_plaintext(struct settings *s, const char *name) {
    if (strcmp(name, "dicom") == 0) return s->dicom.plaintext = true;
    if (strcmp(name, "http") == 0) return s->http.plaintext = true;
    return false;
}

struct net_tls_options settings_tls_server(const struct settings *s, const struct setting_door *door) {
    struct net_tls_options o = s->tls;
    o.server = true;
    o.clients = door->clients;
    // A modality is known by its certificate; a person at a browser signs in.
    if (!door->clients_told && door == &s->dicom && o.ca) o.clients = NET_TLS_CLIENTS_REQUIRED;
    if (door == &s->http) o.alpn = "http/1.1";
    return o;
}

struct net_tls_options settings_tls_client(const struct settings *s) {
    return s->tls;
}

static bool check_door(const struct settings *s, const struct setting_door *door, const char *name, struct err *e) {
    if (door->plain_too && !s->tls.cert)
        return err_set(e, ERR_USAGE, "settings", "%s: plain-port is a port beside the one with TLS, and tls: is not there; port is plain already", name);
    bool plain = !s->tls.cert || door->plain_too;
    if (!plain || door->plaintext || settings_is_loopback(s->bind)) return true;
    return err_set(e, ERR_USAGE, "settings",
                   "%s on %s would be in plain text, for everybody on the network to read. Give it TLS (tls: or --tls-cert, --tls-key; 'gantry cert' makes "
                   "certificates), bind to 127.0.0.1, or say that it is meant: plaintext: [%s] or --plaintext %s",
                   strcmp(name, "dicom") == 0 ? "DICOM" : "HTTP", s->bind, name, name);
}

bool settings_check_tls(const struct settings *s, struct err *e) {
    if (!s->tls.cert != !s->tls.key) return err_set(e, ERR_USAGE, "settings", "tls: a certificate and its key go together");
    return check_door(s, &s->dicom, "dicom", e) && check_door(s, &s->http, "http", e);
}
