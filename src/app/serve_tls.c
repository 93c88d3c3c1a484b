// Contexts of a server.
#include "app/serve_tls.h"

#include "base/log.h"

static bool open_server(const struct settings *s, const struct setting_door *door, struct net_tls **out, struct err *e) {
    const struct net_tls_options o = settings_tls_server(s, door);
    return !o.cert || net_tls_open(&o, out, e);
}

static void tell_plain(const struct settings *s, const struct setting_door *door, const char *name, const char *whole) {
    if (settings_is_loopback(s->bind) || (s->tls.cert && !door->plain_too)) return;
    log_line(LOG_WARN, "tls", "%s is taken without TLS on %s%s, as the configuration says (plaintext: [%s]): whoever is on the network can read it", whole,
             s->bind, s->tls.cert ? ", on its plain-port" : "", name);
}

bool serve_tls_open(const struct settings *s, struct serve_tls *out, struct err *e) {
    *out = (struct serve_tls){0};
    tell_plain(s, &s->dicom, "dicom", "DICOM");
    tell_plain(s, &s->http, "http", "HTTP");
    const struct net_tls_options calling = settings_tls_client(s);
    bool ok = open_server(s, &s->dicom, &out->dicom, e) && open_server(s, &s->http, &out->http, e);
    if (ok) ok = net_tls_open(&calling, &out->out, e); // whichever peers the index has, now or later
    if (!ok) serve_tls_close(out);
    return ok;
}

bool serve_tls_reload(const struct serve_tls *t) {
    if (t->dicom) net_tls_reload(t->dicom, NULL);
    if (t->http) net_tls_reload(t->http, NULL);
    if (t->out) net_tls_reload(t->out, NULL);
    return t->dicom != NULL;
}

void serve_tls_metrics(const struct serve_tls *t, struct buf *to) {
    if (!t->dicom) return;
    buf_addf(to,
             "# HELP gantry_tls_certificate_end_seconds When the server's certificate ends, since 1970.\n# TYPE gantry_tls_certificate_end_seconds gauge\n"
             "gantry_tls_certificate_end_seconds %lld\n",
             (long long)net_tls_own_end(t->dicom));
}

void serve_tls_close(struct serve_tls *t) {
    net_tls_close(t->dicom);
    net_tls_close(t->http);
    net_tls_close(t->out);
    *t = (struct serve_tls){0};
}
