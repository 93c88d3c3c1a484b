// From the file's own shapes into the settings.
#include "app/config_file.h"
#include "base/limits.h"

enum { DRAIN_SECONDS = 10 }; // of a node of several: two or three checks of a balancer

bool config_take_text(struct arena *a, const char *from, const char **to, struct err *e) {
    if (from) *to = arena_strz(a, str_of(from), e);
    return !from || *to;
}

static bool take_list(struct arena *a, char *const *from, unsigned count, struct setting_list *to, struct err *e) {
    for (unsigned i = 0; i < count && to->count < SETTINGS_LIST_MAX; i++)
        if (!config_take_text(a, from[i], &to->all[to->count++], e)) return false;
    return true;
}

// Whoever wants known callers alone lets nobody unknown in.
static bool take_unknown(const struct file_dicom *d, struct arena *a, struct settings *s, struct err *e) {
    bool alone = d->known_callers_only && *d->known_callers_only == TRUTH_YES;
    if (alone && d->unknown_peers_count) return err_set(e, ERR_USAGE, "settings", "dicom: known-callers-only and unknown-peers say two things: leave one out");
    if (alone) s->unknown_peers.all[s->unknown_peers.count++] = "none";
    return take_list(a, d->unknown_peers, d->unknown_peers_count, &s->unknown_peers, e) && config_take_text(a, d->unknown_role, &s->unknown_role, e);
}

static bool take_dicom(const struct file_dicom *d, struct arena *a, struct settings *s, struct err *e) {
    if (!d) return true;
    if (d->associations_max) s->associations_max = *d->associations_max;
    if (d->per_peer_max) s->per_peer_max = *d->per_peer_max;
    if (d->any_called) s->any_called = *d->any_called == TRUTH_YES;
    if (d->accept_unknown_storage) s->accept_unknown_storage = *d->accept_unknown_storage == TRUTH_YES;
    if (s->associations_max > UL_ASSOCIATIONS_MAX) return err_set(e, ERR_USAGE, "settings", "dicom: associations-max is at most %d", UL_ASSOCIATIONS_MAX);
    if (d->port) s->dicom_port = *d->port;
    return take_unknown(d, a, s, e) && config_take_door(&d->door, "dicom", &s->dicom, e);
}

static bool take_http(const struct file *f, struct arena *a, struct settings *s, struct err *e) {
    const struct file_http *h = f->http;
    if (h && h->port) s->http_port = *h->port;
    if (h && h->connections_max) s->http_connections_max = *h->connections_max;
    if (h && h->per_peer_max) s->http_per_peer_max = *h->per_peer_max;
    if (s->http_connections_max > HTTP_CONNECTIONS_MAX) return err_set(e, ERR_USAGE, "settings", "http: connections-max is at most %d", HTTP_CONNECTIONS_MAX);
    if (h && !config_take_door(&h->door, "http", &s->http, e)) return false;
    if (h && !config_take_text(a, h->base_url, &s->base_url, e)) return false;
    if (h && !take_list(a, h->trusted_proxies, h->trusted_proxies_count, &s->trusted_proxies, e)) return false;
    return !f->cors || take_list(a, f->cors->origins, f->cors->origins_count, &s->cors_origins, e);
}

static bool take_accounts(const struct file_accounts *f, struct arena *a, struct settings *s, struct err *e) {
    enum { LEAST = 8 }; // NIST SP 800-63B 5.1.1.2
    if (!f) return true;
    if (f->session_idle_minutes) s->session_idle_s = 60U * *f->session_idle_minutes;
    if (f->session_hours) s->session_absolute_s = 3600U * *f->session_hours;
    if (f->password_least) s->password_least = *f->password_least;
    if (f->password_least && s->password_least < LEAST) return err_set(e, ERR_USAGE, "settings", "accounts: password-least is at least %d characters", LEAST);
    return config_take_text(a, f->password_list, &s->password_list, e);
}

static bool take_words(struct arena *a, char *const *from, unsigned count, const char **to, unsigned *n, struct err *e) {
    while (*n < count && *n < SETTINGS_NETWORKS_MAX)
        if (!config_take_text(a, from[*n], &to[*n], e))
            return false;
        else
            ++*n;
    return true;
}

static bool take_peer_texts(const struct file_peer *f, struct arena *a, struct setting_peer *to, struct err *e) {
    const struct {
        const char *from, **to;
    } texts[] = {{f->aet, &to->aet},         {f->host, &to->host},         {f->called, &to->called}, {f->certificate, &to->certificate},
                 {f->subject, &to->subject}, {f->tls_name, &to->tls_name}, {f->role, &to->role},     {f->scope, &to->scope},
                 {f->realm, &to->realm}};
    for (unsigned i = 0; i < sizeof texts / sizeof *texts; i++)
        if (!config_take_text(a, texts[i].from, texts[i].to, e)) return false;
    return take_words(a, f->networks, f->networks_count, to->networks, &to->network_count, e) &&
           take_words(a, f->services, f->services_count, to->services, &to->service_count, e);
}

static bool take_peer(const struct file_peer *f, unsigned place, struct arena *a, struct setting_peer *to, struct err *e) {
    if (!take_peer_texts(f, a, to, e)) return false;
    to->port = f->port ? *f->port : 0;
    if (f->associations) to->associations = *f->associations;
    to->tls = f->tls ? *f->tls == TRUTH_YES : to->tls_name != NULL;
    if (!settings_aet_valid(str_of(to->aet)) || (to->host && to->port == 0))
        return err_set(e, ERR_USAGE, "settings", "peers: entry %u: aet '%s' (1 to 16 characters, no backslash), port %u (1 to 65535)", place, to->aet,
                       to->port);
    if (!to->host && !to->network_count && !to->certificate && !to->subject)
        return err_set(e, ERR_USAGE, "settings", "peers: entry %u: an AE title is no authentication: name its host and port, networks, or certificate", place);
    return true;
}

static bool take_peers(const struct file *f, struct arena *a, struct settings *s, struct err *e) {
    for (unsigned i = 0; i < f->peers_count && s->peer_count < SETTINGS_PEERS_MAX; i++)
        if (!take_peer(&f->peers[i], i + 1, a, &s->peers[s->peer_count++], e)) return false;
    return true;
}

static bool take_drain(const struct file *f, struct settings *s, struct err *e) {
    s->drain_ms = (f->drain_seconds ? *f->drain_seconds : f->database ? DRAIN_SECONDS : 0) * 1000U;
    if (f->deadline_seconds) s->deadline_ms = *f->deadline_seconds * 1000U;
    if (f->deadline_seconds && s->deadline_ms == 0) return err_set(e, ERR_USAGE, "settings", "deadline-seconds is at least 1");
    return true;
}

bool config_take(const struct file *f, struct arena *a, struct settings *s, struct err *e) {
    if (!config_take_text(a, f->data, &s->data_dir, e) || !config_take_text(a, f->bind, &s->bind, e) || !config_take_text(a, f->aet, &s->aet, e)) return false;
    if (f->auth) s->auth = *f->auth == AUTH_TOKEN;
    if (f->volume_mib) s->volume_bytes = (uint64_t)*f->volume_mib << 20;
    if (!config_take_text(a, f->node, &s->node, e) || !take_drain(f, s, e)) return false;
    if (!config_take_database(f->database, a, s, e) || !config_take_store(f->store, a, s, e) || !config_take_encryption(f->encryption, a, s, e)) return false;
    if (!config_take_audit(f->audit, a, s, e)) return false;
    if (!config_take_tls(f->tls, a, s, e) || !config_take_plaintext(f->plaintext, f->plaintext_count, s, e)) return false;
    if (!config_take_oidc(f->oidc, a, s, e) || !config_take_outgoing(f->outgoing, a, s, e)) return false;
    return take_http(f, a, s, e) && take_accounts(f->accounts, a, s, e) && take_dicom(f->dicom, a, s, e) && take_peers(f, a, s, e);
}
