// The certificates of this server: whether its files can be used, by whom they can be read, for which names and how long they are good.
#include <string.h>

#include "app/doctor.h"
#include "app/settings.h"
#include "base/clock.h"
#include "sys/machine.h"

enum { OTHERS = 0007, SOON_DAYS = 30, AUTHORITY_SOON_DAYS = 90 };

#define DAY_MS (24LL * 3600 * 1000)

static const char *days_text(struct doctor *d, int64_t ms) {
    return doctor_value(d, "%lld", (long long)(ms / DAY_MS));
}

static const char *in_folder_of(struct doctor *d, const char *path, const char *name) {
    const char *slash = strrchr(path, '/');
    return slash ? doctor_value(d, "%.*s/%s", (int)(slash - path), path, name) : name;
}

// "server" of "/etc/gantry/server.crt": what `gantry cert renew` takes.
static const char *stem(struct doctor *d, const char *path) {
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path, *dot = strrchr(name, '.');
    size_t folder = slash ? (size_t)(slash - path) : 1;
    return doctor_value(d, "--dir %.*s %.*s", (int)folder, slash ? path : ".", dot ? (int)(dot - name) : (int)strlen(name), name);
}

static void look_at_key(struct doctor *d, const struct settings *s, const struct cert *c) {
    struct sys_rights r;
    struct str pem;
    struct err e = {0};
    if (!cert_read_pem(d->arena, s->tls.key, &pem, &e)) return SAY(d, DOC_OWN_FILE, doctor_value(d, "%s", e.message));
    if (sys_rights_of(s->tls.key, &r, NULL) && (r.mode & OTHERS)) SAY(d, DOC_OWN_KEY_OPEN, s->tls.key);
    if (!s->tls.key_password && !cert_key_fits(c, pem, &e)) {
        if (e.kind == ERR_CONFLICT)
            SAY(d, DOC_OWN_KEY_OTHER, s->tls.key, s->tls.cert);
        else
            SAY(d, DOC_OWN_FILE, doctor_value(d, "%s: %s", s->tls.key, e.message));
    }
    explicit_bzero((char *)pem.p, pem.n);
}

static void look_at_names(struct doctor *d, const struct settings *s, const struct cert *c) {
    const char *text = "";
    for (unsigned i = 0; i < c->name_count; i++) text = doctor_value(d, "%s%s%s", text, i ? ", " : "", c->names[i]);
    if (*text) SAY(d, DOC_OWN_NAMES, text);
    bool any = strcmp(s->bind, "0.0.0.0") == 0 || strcmp(s->bind, "::") == 0 || settings_is_loopback(s->bind);
    if (!any && c->name_count && !cert_names_host(c, s->bind)) SAY(d, DOC_OWN_NO_NAME, s->bind);
    if (c->name_count == 0) SAY(d, DOC_OWN_NO_NAME, any ? "?" : s->bind);
}

static void look_at_certificate(struct doctor *d, const struct settings *s, const struct cert *c) {
    int64_t now_ms = clock_wall_ms(), left_ms = c->until_ms - now_ms;
    const char *until = doctor_day(d, c->until_ms), *renew = stem(d, s->tls.cert);
    SAY(d, DOC_OWN_TLS, c->subject, until);
    if (left_ms < 0)
        SAY(d, DOC_OWN_EXPIRED, until, renew);
    else if (left_ms < SOON_DAYS * DAY_MS)
        SAY(d, DOC_OWN_SOON, until, days_text(d, left_ms), renew);
    if (now_ms < c->from_ms) SAY(d, DOC_OWN_NOT_YET, doctor_day(d, c->from_ms));
    if (!c->for_server) SAY(d, DOC_OWN_NOT_SERVER, s->tls.cert);
    if (c->weak) SAY(d, DOC_OWN_WEAK, c->key, c->signature);
    look_at_names(d, s, c);
}

static void look_at_authority(struct doctor *d, const struct settings *s, const struct cert *chain, unsigned count) {
    struct cert *all;
    unsigned n;
    struct err e = {0};
    int64_t now_ms = clock_wall_ms();
    if (!cert_read_file(d->arena, s->tls.ca, &all, &n, &e)) return SAY(d, DOC_OWN_FILE, doctor_value(d, "%s", e.message));
    for (unsigned i = 0; i < n; i++) {
        int64_t left_ms = all[i].until_ms - now_ms;
        const char *until = doctor_day(d, all[i].until_ms);
        if (left_ms < 0)
            SAY(d, DOC_OWN_CA_EXPIRED, all[i].subject, until);
        else if (left_ms < AUTHORITY_SOON_DAYS * DAY_MS)
            SAY(d, DOC_OWN_CA_SOON, all[i].subject, until, days_text(d, left_ms));
    }
    const struct cert_question q = {.chain = chain, .count = count, .trusted = all, .trusted_count = n, .at_ms = now_ms};
    if (cert_check(&q, NULL) & (CERT_UNKNOWN_ISSUER | CERT_SELF_SIGNED | CERT_BAD_SIGNATURE)) SAY(d, DOC_OWN_NOT_OF_CA, s->tls.ca);
}

static void look_at_doors(struct doctor *d, const struct settings *s) {
    static const char *const NAMES[] = {"DICOM", "HTTP"};
    const struct setting_door *doors[] = {&s->dicom, &s->http};
    for (unsigned i = 0; i < 2; i++)
        if ((!s->tls.cert || doors[i]->plain_too) && !settings_is_loopback(s->bind)) SAY(d, DOC_OWN_PLAIN, NAMES[i]);
    if (s->tls.cert && settings_tls_server(s, &s->dicom).clients == NET_TLS_CLIENTS_NONE && !settings_is_loopback(s->bind)) SAY(d, DOC_CLIENTS_NOT_ASKED, NULL);
}

void doctor_own_tls(struct doctor *d, const struct settings *s) {
    struct cert *c;
    unsigned n;
    struct err e = {0};
    struct sys_rights r;
    look_at_doors(d, s);
    if (!s->tls.cert) return;
    if (!cert_read_file(d->arena, s->tls.cert, &c, &n, &e)) return SAY(d, DOC_OWN_FILE, doctor_value(d, "%s", e.message));
    look_at_certificate(d, s, &c[0]);
    if (s->tls.key) look_at_key(d, s, &c[0]);
    if (s->tls.ca) look_at_authority(d, s, c, n);
    const char *key = in_folder_of(d, s->tls.ca ? s->tls.ca : s->tls.cert, "ca.key");
    if (sys_rights_of(key, &r, NULL)) SAY(d, DOC_CA_KEY_HERE, key);
}
