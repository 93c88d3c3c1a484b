// The way to a peer and what it has of TLS: versions, certificate, what it wants of ours.
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "app/doctor.h"
#include "app/settings.h"
#include "base/clock.h"
#include "net/tls.h"

enum { VERSION_1_0 = 0x0301, VERSION_1_1, VERSION_1_2, VERSION_1_3, SOON_DAYS = 30 };

// Alerts of TLS (RFC 8446 6.2).
enum {
    ALERT_HANDSHAKE_FAILURE = 40,
    ALERT_BAD_CERTIFICATE = 42,
    ALERT_UNSUPPORTED_CERTIFICATE = 43,
    ALERT_CERTIFICATE_REVOKED = 44,
    ALERT_CERTIFICATE_EXPIRED = 45,
    ALERT_CERTIFICATE_UNKNOWN = 46,
    ALERT_UNKNOWN_CA = 48,
    ALERT_ACCESS_DENIED = 49,
    ALERT_PROTOCOL_VERSION = 70,
    ALERT_INSUFFICIENT_SECURITY = 71,
    ALERT_UNRECOGNIZED_NAME = 112,
    ALERT_CERTIFICATE_REQUIRED = 116,
};

#define DAY_MS (24LL * 3600 * 1000)

// ---- the way there ----

bool doctor_connect(struct doctor *d, const struct doctor_peer *p, bool tell, struct net_conn *c) {
    struct err e = {0};
    const char *port = doctor_value(d, "%u", p->port);
    *c = (struct net_conn){.fd = -1, .wake = -1, .halt = -1};
    if (tell && !net_resolves(p->host)) return SAY(d, DOC_NAME_UNKNOWN, p->host), false;
    errno = 0;
    if (net_connect(c, p->host, p->port, clock_mono_ms() + p->timeout_ms, &e)) {
        if (tell) SAY(d, DOC_CONNECTED, p->host, port);
        return true;
    }
    int code = errno;
    if (!tell) return false;
    if (e.kind == ERR_TIMEOUT)
        SAY(d, DOC_NO_ANSWER, p->host, port, doctor_value(d, "%d", p->timeout_ms / 1000));
    else if (code == ECONNREFUSED)
        SAY(d, DOC_NOBODY_LISTENS, p->host, port);
    else
        SAY(d, DOC_UNREACHABLE, p->host, strerror(code));
    return false;
}

// ---- its certificate ----

static const char *names_of(struct doctor *d, const struct cert *c) {
    const char *text = "";
    for (unsigned i = 0; i < c->name_count; i++) text = doctor_value(d, "%s%s%s", text, i ? ", " : "", c->names[i]);
    return text;
}

struct judged {
    struct doctor *d;
    const struct doctor_peer *p;
    const struct cert *leaf;
    const char *issuer; // that is at fault
    const char *why;
};

static void say_name(const struct judged *j) {
    const char *called = j->p->name ? j->p->name : j->p->host;
    if (j->leaf->name_count)
        SAY(j->d, DOC_CERT_OTHER_NAME, names_of(j->d, j->leaf), called);
    else
        SAY(j->d, DOC_CERT_NO_NAME, j->leaf->subject, called);
}

static void say_faults(const struct judged *j, unsigned faults, int64_t now_ms) {
    struct doctor *d = j->d;
    const struct cert *c = j->leaf;
    const char *today = doctor_day(d, now_ms);
    if (faults & CERT_BAD_SIGNATURE) SAY(d, DOC_CERT_BAD_SIGNATURE, c->subject);
    if (faults & CERT_SELF_SIGNED) SAY(d, DOC_CERT_SELF_SIGNED, c->fingerprint);
    if (faults & CERT_UNKNOWN_ISSUER) SAY(d, DOC_CERT_UNKNOWN_ISSUER, j->issuer);
    if (faults & CERT_NOT_AUTHORITY) SAY(d, DOC_CERT_NOT_AUTHORITY, j->issuer);
    if (faults & CERT_ISSUER_TIME) SAY(d, DOC_CERT_ISSUER_TIME, c->issuer);
    if (faults & CERT_OTHER_NAME) say_name(j);
    if (faults & CERT_EXPIRED) SAY(d, DOC_CERT_EXPIRED, doctor_day(d, c->until_ms), today);
    if (faults & CERT_NOT_YET) SAY(d, DOC_CERT_NOT_YET, doctor_day(d, c->from_ms), today);
    if (faults & CERT_OTHER_USE) SAY(d, DOC_CERT_OTHER_USE, c->subject);
    if (faults & CERT_WEAK) SAY(d, DOC_CERT_WEAK, c->key, c->signature);
    if (faults & CERT_REFUSED) SAY(d, DOC_CERT_REFUSED, j->why);
}

static bool read_chain(struct doctor *d, const struct net_tls_probe *t, struct cert chain[NET_TLS_PROBE_CHAIN_MAX]) {
    for (unsigned i = 0; i < t->chain_count; i++)
        if (!cert_from_der(d->arena, t->chain[i], &chain[i], NULL)) return false;
    return true;
}

// The authorities to trust: of --tls-ca, else the system's.
static bool read_trusted(struct doctor *d, const struct doctor_peer *p, struct cert_question *q) {
    struct cert *trusted;
    struct err e = {0};
    q->system = p->ca == NULL;
    if (!p->ca) return true;
    if (!cert_read_file(d->arena, p->ca, &trusted, &q->trusted_count, &e)) return SAY(d, DOC_OWN_FILE, doctor_value(d, "%s", e.message)), false;
    q->trusted = trusted;
    return true;
}

static void judge(struct doctor *d, const struct doctor_peer *p, const struct net_tls_probe *t) {
    struct cert chain[NET_TLS_PROBE_CHAIN_MAX];
    int64_t now_ms = clock_wall_ms();
    const char *name = p->name ? p->name : p->host;
    if (t->chain_count == 0) return;
    if (!read_chain(d, t, chain)) return SAY(d, DOC_CERT_UNREADABLE, NULL);
    struct cert_question q = {.chain = chain, .count = t->chain_count, .host = strcmp(name, NET_TLS_ANY_NAME) == 0 ? NULL : name, .at_ms = now_ms};
    struct judged j = {.d = d, .p = p, .leaf = &chain[0], .issuer = chain[t->chain_count - 1].issuer};
    if (!read_trusted(d, p, &q)) return;
    unsigned faults = cert_check(&q, &j.why);
    say_faults(&j, faults, now_ms);
    if (faults == 0) {
        int64_t days = (chain[0].until_ms - now_ms) / DAY_MS;
        SAY(d, DOC_CERT_GOOD, chain[0].subject, chain[0].issuer, doctor_day(d, chain[0].until_ms));
        if (days < SOON_DAYS) SAY(d, DOC_CERT_SOON, doctor_day(d, chain[0].until_ms), doctor_value(d, "%lld", (long long)days));
    }
    SAY(d, DOC_CERT_FINGERPRINT, chain[0].fingerprint);
}

// ---- what it says to ours ----

static const char *own_text(struct doctor *d, const struct doctor_peer *p, bool issuer, int64_t *until_ms) {
    struct cert *c;
    unsigned n;
    if (!p->cert || !cert_read_file(d->arena, p->cert, &c, &n, NULL)) return "?";
    *until_ms = c->until_ms;
    return issuer ? c->issuer : c->subject;
}

static bool about_certificates(int alert) {
    return (alert >= ALERT_BAD_CERTIFICATE && alert <= ALERT_CERTIFICATE_UNKNOWN) || alert == ALERT_UNKNOWN_CA || alert == ALERT_ACCESS_DENIED ||
           alert == ALERT_CERTIFICATE_REQUIRED;
}

// A refusal by a peer that asked for a certificate. Older versions of TLS have no words for "none was shown": the general one stands for it.
static bool say_refusal_of_ours(struct doctor *d, const struct doctor_peer *p, const struct net_tls_probe *t) {
    int64_t until_ms = 0;
    if (!t->asked_certificate || (!about_certificates(t->alert) && t->alert != ALERT_HANDSHAKE_FAILURE)) return false;
    const char *ours = own_text(d, p, t->alert == ALERT_UNKNOWN_CA, &until_ms);
    if (!p->cert)
        SAY(d, DOC_OURS_WANTED, NULL);
    else if (t->alert == ALERT_UNKNOWN_CA)
        SAY(d, DOC_OURS_UNKNOWN_ISSUER, ours);
    else if (t->alert == ALERT_CERTIFICATE_EXPIRED)
        SAY(d, DOC_OURS_EXPIRED, doctor_day(d, until_ms));
    else
        SAY(d, DOC_OURS_REFUSED, ours, net_tls_alert_text(t->alert));
    return true;
}

static void say_ours(struct doctor *d, const struct doctor_peer *p, const struct net_tls_probe *t) {
    int64_t until_ms;
    if (!t->asked_certificate)
        SAY(d, DOC_OURS_NOT_ASKED, NULL);
    else if (p->cert)
        SAY(d, DOC_OURS_TAKEN, own_text(d, p, false, &until_ms));
    else
        SAY(d, DOC_OURS_ASKED, NULL);
}

// ---- probing ----

static const char *version_text(unsigned version) {
    static const char *const TEXTS[] = {"TLS 1.0", "TLS 1.1", "TLS 1.2", "TLS 1.3"};
    return version >= VERSION_1_0 && version <= VERSION_1_3 ? TEXTS[version - VERSION_1_0] : "SSL";
}

// Names that are addresses are not sent (RFC 6066 3).
static const char *server_name(const struct doctor_peer *p) {
    const char *name = p->name ? p->name : p->host;
    bool number = strchr(name, ':') != NULL || strspn(name, "0123456789.") == strlen(name) || strcmp(name, NET_TLS_ANY_NAME) == 0;
    return number ? NULL : name;
}

static bool probe(struct doctor *d, const struct doctor_peer *p, unsigned least, unsigned most, struct net_conn *c, struct net_tls_probe *out) {
    struct err e = {0};
    const struct net_tls_probe_ask ask = {.version_min = least, .version_max = most, .cert = p->cert, .key = p->key, .server_name = server_name(p)};
    *out = (struct net_tls_probe){.alert = -1, .how = NET_TLS_PROBE_OTHER};
    if (!doctor_connect(d, p, false, c)) return false;
    if (net_tls_probe(c, &ask, clock_mono_ms() + p->timeout_ms, d->arena, out, &e)) return true;
    SAY(d, DOC_OURS_UNUSABLE, doctor_value(d, "%s", e.message));
    net_close(c);
    return false;
}

bool doctor_reopen(struct doctor *d, const struct doctor_peer *p, struct net_conn *c) {
    struct net_tls_probe t;
    if (p->plain) return doctor_connect(d, p, false, c);
    if (!probe(d, p, VERSION_1_2, VERSION_1_3, c, &t)) return false;
    if (!t.done) net_close(c);
    return t.done;
}

bool doctor_speaks_tls(struct doctor *d, const struct doctor_peer *p) {
    struct net_conn c;
    struct net_tls_probe t;
    struct doctor_peer bare = *p;
    bare.cert = bare.key = NULL;
    if (!probe(d, &bare, VERSION_1_0, VERSION_1_3, &c, &t)) return false;
    net_close(&c);
    return t.done || t.chain_count || t.how == NET_TLS_PROBE_ALERT;
}

// The oldest version that it takes; 0: none of the withdrawn ones.
static unsigned oldest(struct doctor *d, const struct doctor_peer *p) {
    for (unsigned version = VERSION_1_0; version <= VERSION_1_1; version++) {
        struct net_conn c;
        struct net_tls_probe t;
        if (!probe(d, p, version, version, &c, &t)) return 0;
        net_close(&c);
        if (t.done || t.chain_count) return version;
    }
    return 0;
}

static void say_alert(struct doctor *d, const struct doctor_peer *p, const struct net_tls_probe *t) {
    const char *words = net_tls_alert_text(t->alert);
    if (say_refusal_of_ours(d, p, t)) return;
    unsigned old = t->alert == ALERT_PROTOCOL_VERSION || t->alert == ALERT_HANDSHAKE_FAILURE ? oldest(d, p) : 0;
    if (old)
        SAY(d, DOC_TLS_OLD_ALONE, version_text(old));
    else if (t->alert == ALERT_HANDSHAKE_FAILURE || t->alert == ALERT_PROTOCOL_VERSION || t->alert == ALERT_INSUFFICIENT_SECURITY)
        SAY(d, DOC_TLS_NO_COMMON, words);
    else if (t->alert == ALERT_UNRECOGNIZED_NAME)
        SAY(d, DOC_TLS_UNNAMED, p->name ? p->name : p->host);
    else
        SAY(d, DOC_TLS_ALERT, words);
}

static bool begins(const struct net_tls_probe *t, const char *with) {
    return str_starts(t->first, str_of(with));
}

// A web address that does not answer to TLS: does it answer without?
static void say_no_web(struct doctor *d, const struct doctor_peer *p, const struct net_tls_probe *t) {
    const char *seconds = doctor_value(d, "%d", p->timeout_ms / 1000);
    bool greets = t->how == NET_TLS_PROBE_NOT_TLS && !begins(t, "HTTP/");
    if (greets)
        SAY(d, DOC_HTTP_NONE, NULL);
    else if (begins(t, "HTTP/") || (t->how != NET_TLS_PROBE_TIMEOUT && doctor_speaks_http(d, p)))
        SAY(d, DOC_PLAIN_HTTP, NULL);
    else
        SAY(d, t->how == NET_TLS_PROBE_TIMEOUT ? DOC_TLS_SILENT : DOC_TLS_CLOSED, seconds);
}

// A DICOM peer that answers to neither.
static void say_neither(struct doctor *d, const struct doctor_peer *p, const struct net_tls_probe *t, enum doctor_spoken spoken) {
    if (begins(t, "SSH-"))
        SAY(d, DOC_NOT_DICOM_SSH, NULL);
    else if (begins(t, "HTTP/") || spoken == DOCTOR_SPOKE_HTTP)
        SAY(d, DOC_NOT_DICOM_HTTP, NULL);
    else if (t->how == NET_TLS_PROBE_TIMEOUT)
        SAY(d, DOC_TLS_SILENT, doctor_value(d, "%d", p->timeout_ms / 1000));
    else if (t->how == NET_TLS_PROBE_NOT_TLS)
        SAY(d, DOC_NOT_DICOM, doctor_value(d, "%.*s", STR_FMT(t->first)));
    else
        SAY(d, doctor_speaks_http(d, p) ? DOC_NOT_DICOM_HTTP : DOC_TLS_CLOSED, NULL);
}

static enum doctor_way try_plain(struct doctor *d, const struct doctor_peer *p, const struct net_tls_probe *t, struct net_conn *c) {
    struct net_conn look;
    enum doctor_spoken spoken = DOCTOR_SPOKE_NOTHING;
    if (!p->called) return say_no_web(d, p, t), DOCTOR_BY_NONE;
    if (!begins(t, "HTTP/") && !begins(t, "SSH-") && doctor_connect(d, p, false, &look)) spoken = doctor_associate(d, p, &look, true);
    if (spoken != DOCTOR_SPOKE_DICOM || !doctor_connect(d, p, false, c)) return say_neither(d, p, t, spoken), DOCTOR_BY_NONE;
    SAY(d, p->tls ? DOC_PLAIN_DICOM : settings_is_loopback(c->address) ? DOC_PLAIN_DICOM_HERE : DOC_PLAIN_DICOM_MEANT, NULL);
    return DOCTOR_BY_PLAIN;
}

enum doctor_way doctor_tls(struct doctor *d, const struct doctor_peer *p, struct net_conn *c) {
    struct net_tls_probe t;
    if (!probe(d, p, VERSION_1_2, VERSION_1_3, c, &t)) return DOCTOR_BY_NONE;
    if (t.done) SAY(d, DOC_TLS_SPOKEN, version_text(t.version), t.cipher);
    judge(d, p, &t);
    if (t.done && t.how != NET_TLS_PROBE_ALERT) {
        unsigned old = oldest(d, p);
        say_ours(d, p, &t);
        if (old) SAY(d, DOC_TLS_OLD_TOO, version_text(old));
        return DOCTOR_BY_TLS;
    }
    net_close(c);
    if (t.how == NET_TLS_PROBE_ALERT) return say_alert(d, p, &t), DOCTOR_BY_NONE;
    if (t.chain_count) return SAY(d, DOC_TLS_OTHER, doctor_day(d, clock_wall_ms())), DOCTOR_BY_NONE;
    return try_plain(d, p, &t, c);
}
