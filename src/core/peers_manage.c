// Rows of peers: checked, written, listed.
#include "core/peers_manage.h"

#include <stdio.h>

#include "base/clock.h"
#include "core/change.h"
#include "core/charge.h"
#include "core/grants.h"
#include "core/index.h"
#include "core/peers_part.h"
#include "dimse/pdu.h"
#include "net/cert.h"
#include "net/network.h"
#include "text/json.h"
#include "text/utf8.h"

enum { SCRATCH_BYTES_MAX = 1 << 20, LISTS_BYTES_MAX = 16 * 1024, ASSOCIATIONS_MAX = 10000, ROW_TEXTS = 11 };

// A row as it is to be.
struct row {
    int64_t id, port, tls, associations;
    struct str name, aet, called, networks, fingerprint, subject, host, tls_name, services, realm, state;
};

// ---- checks ----

static bool bad(const char *what, struct str value, const char *wants, struct err *e) {
    return err_set(e, ERR_USAGE, "peers", "%s '%.*s': %s", what, STR_FMT(str_sub(value, 0, PEER_NAME_BYTES)), wants);
}

static bool aet_fits(const char *what, struct str aet, struct err *e) {
    return aet.n == 0 || pdu_ae_valid(aet) || bad(what, aet, "an AE title has 1 to 16 characters of ASCII without backslash", e);
}

static bool texts_fit(const struct row *r, struct err *e) {
    const struct str long_ones[] = {r->host, r->tls_name};
    bool named = r->name.n > 0 && r->name.n <= PEER_NAME_BYTES && utf8_valid(r->name);
    for (size_t i = 0; i < r->name.n; i++) named = named && (unsigned char)r->name.p[i] >= 0x20;
    if (!named) return bad("name", r->name, "it has 1 to 64 bytes", e);
    for (unsigned i = 0; i < 2; i++)
        if (long_ones[i].n > PEER_HOST_BYTES) return bad("host", long_ones[i], "it is longer than a host's name can be", e);
    if (!str_eqz(r->state, "on") && !str_eqz(r->state, "off")) return bad("state", r->state, "on or off", e);
    return aet_fits("aet", r->aet, e) && aet_fits("called", r->called, e);
}

static bool place_fits(const struct row *r, struct err *e) {
    struct realm realm;
    if (r->host.n && (r->port < 1 || r->port > 65535)) return bad("host", r->host, "a destination has a port from 1 to 65535", e);
    if (r->host.n && !r->aet.n) return bad("host", r->host, "a destination has an AE title", e);
    if (r->associations < 0 || r->associations > ASSOCIATIONS_MAX) return bad("associations", r->name, "0 (as the server has it) to 10000", e);
    return realm_parse(r->realm, &realm, e);
}

static bool is_known_by_something(const struct row *r, struct err *e) {
    return !str_eqz(r->networks, "[]") || r->fingerprint.n || r->subject.n ||
           err_set(e, ERR_USAGE, "peers",
                   "an AE title is no authentication: say where the peer calls from (--network 10.0.4.7) or which client certificate it shows (--certificate "
                   "FINGERPRINT), best both");
}

static bool row_fits(const struct row *r, struct err *e) {
    return texts_fit(r, e) && place_fits(r, e) && is_known_by_something(r, e);
}

// ---- what is said, over what is there ----

static bool put_list(struct arena *a, const struct str *all, unsigned count, bool (*fits)(struct arena *a, struct str one, struct err *e), struct str *out,
                     struct err *e) {
    struct buf b;
    struct json_writer j;
    if (!all) return true;
    buf_init(&b, LISTS_BYTES_MAX);
    json_init(&j, &b, false);
    json_begin_array(&j);
    bool ok = count <= PEER_NETWORKS_MAX || err_set(e, ERR_TOO_LARGE, "peers", "more than %d in one list", PEER_NETWORKS_MAX);
    for (unsigned i = 0; ok && i < count; i++) {
        ok = fits(a, all[i], e);
        json_str(&j, all[i]);
    }
    json_end_array(&j);
    ok = ok && buf_ok(&b, e) && arena_dup(a, buf_str(&b), out, e);
    buf_deinit(&b);
    return ok;
}

static bool network_fits(struct arena *a, struct str one, struct err *e) {
    const char *text = arena_strz(a, one, e);
    return text && (net_network_valid(text) || bad("network", one, "an address, or a network such as 10.0.4.0/24", e));
}

static bool service_fits(struct arena *a, struct str one, struct err *e) {
    (void)a;
    return access_permission_of(one) != ACCESS_UNDECLARED ||
           bad("service", one, "the name of a permission such as study.store, see 'gantry role permissions'", e);
}

static void over(struct str said, struct str *kept) {
    if (said.p) *kept = said;
}

// A fingerprint, or the certificate itself in PEM.
static bool put_certificate(struct arena *a, struct str said, struct str *out, struct err *e) {
    char print[PEER_FINGERPRINT_HEX + 1];
    struct cert *all;
    unsigned count;
    if (!said.p) return true;
    if (said.n == 0) return *out = (struct str){"", 0}, true;
    if (str_starts(str_trim(said), STR_LIT("-----BEGIN"))) {
        if (!cert_from_pem(a, said, &all, &count, e)) return err_wrap(e, "certificate");
        return *out = str_of(all[0].fingerprint), true;
    }
    if (!peer_fingerprint(said, print))
        return bad("certificate", said, "its SHA-256 fingerprint, 64 hexadecimal digits ('gantry cert show' tells it), or the certificate in PEM", e);
    return arena_dup(a, str_of(print), out, e);
}

static bool put_change(struct arena *a, const struct peer_change *c, struct row *r, struct err *e) {
    over(c->aet, &r->aet);
    over(c->called, &r->called);
    over(c->host, &r->host);
    over(c->tls_name, &r->tls_name);
    over(c->subject, &r->subject);
    over(c->realm, &r->realm);
    over(c->state, &r->state);
    if (c->port >= 0) r->port = c->port;
    if (c->tls >= 0) r->tls = c->tls;
    if (c->associations >= 0) r->associations = c->associations;
    return put_certificate(a, c->certificate, &r->fingerprint, e) && put_list(a, c->networks, c->network_count, network_fits, &r->networks, e) &&
           put_list(a, c->services, c->service_count, service_fits, &r->services, e) && row_fits(r, e);
}

// ---- rows ----

static const char READ[] = "SELECT id, port, tls, associations, name, aet, called, networks, fingerprint, subject, host, tls_name, services, realm, state FROM "
                           "peers WHERE name = ?1";

static bool no_peer(struct str name, struct err *e) {
    return err_set(e, ERR_NOT_FOUND, "peers", "there is no peer '%.*s' in the archive: 'gantry peer list' shows those that are",
                   STR_FMT(str_sub(name, 0, PEER_NAME_BYTES)));
}

static bool read_row(struct db *d, struct arena *a, struct str name, struct row *r, struct err *e) {
    struct str *const texts[ROW_TEXTS] = {&r->name, &r->aet,      &r->called,   &r->networks, &r->fingerprint, &r->subject,
                                          &r->host, &r->tls_name, &r->services, &r->realm,    &r->state};
    struct db_stmt *s = db_prepare(d, READ, e);
    if (!s) return false;
    db_bind_text(s, 1, name);
    enum db_step step = db_next(s, e);
    bool ok = step == DB_ROW;
    if (ok) *r = (struct row){.id = db_int(s, 0), .port = db_int(s, 1), .tls = db_int(s, 2), .associations = db_int(s, 3)};
    for (int i = 0; ok && i < ROW_TEXTS; i++) ok = arena_dup(a, db_text(s, i + 4), texts[i], e);
    db_done(s);
    return ok || (step == DB_END && no_peer(name, e));
}

// One that is in the asker's hands.
static bool find_row(struct db *d, struct arena *a, const struct actor *who, struct str name, struct row *r, struct err *e) {
    bool in;
    return read_row(d, a, name, r, e) && charge_account(d, who, ACCESS_PEER_WRITE, (struct grant_holder){"peer", r->id}, &in, e) && (in || no_peer(name, e));
}

#define ROW_VALUES(r)                                                                                                                                         \
    SQL_VALUES(SQL_T((r)->name), SQL_T((r)->aet), SQL_T((r)->called), SQL_T((r)->networks), SQL_T((r)->fingerprint), SQL_T((r)->subject), SQL_T((r)->host),   \
               SQL_I((r)->port), SQL_I((r)->tls), SQL_T((r)->tls_name), SQL_T((r)->services), SQL_I((r)->associations), SQL_T((r)->realm), SQL_T((r)->state), \
               SQL_I(clock_wall_ms()))

static bool insert(struct db *w, const struct actor *who, struct row *r, struct err *e) {
    int64_t one;
    bool there;
    if (!sql_one(w, "SELECT 1 FROM peers WHERE name = ?1", SQL_VALUES(SQL_T(r->name)), &one, 1, &there, e)) return false;
    if (there && !charge_all(who, ACCESS_PEER_WRITE)) return charge_not_free("peer", r->name, e);
    if (there) return err_set(e, ERR_CONFLICT, "peers", "there is a peer '%.*s' already: 'gantry peer set' changes it", STR_FMT(r->name));
    return sql_insert(w,
                      "INSERT INTO peers (name, aet, called, networks, fingerprint, subject, host, port, tls, tls_name, services, associations, realm, state, "
                      "created_ms, changed_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?15) RETURNING id",
                      ROW_VALUES(r), &r->id, e);
}

static bool update(struct db *w, const struct row *r, struct err *e) {
    return sql_run(w,
                   "UPDATE peers SET aet = ?2, called = ?3, networks = ?4, fingerprint = ?5, subject = ?6, host = ?7, port = ?8, tls = ?9, tls_name = ?10, "
                   "services = ?11, associations = ?12, realm = ?13, state = ?14, changed_ms = ?15 WHERE name = ?1",
                   ROW_VALUES(r), e);
}

// ---- grants ----

static bool give(struct db *w, struct arena *a, const struct actor *who, const struct row *r, const struct peer_change *c, struct err *e) {
    struct access_scope scope;
    struct realm realm;
    uint64_t permissions;
    const struct grant_holder holder = {"peer", r->id};
    struct str role = c->role.n ? c->role : STR_LIT("service"), text = c->scope;
    if (!realm_parse(r->realm, &realm, e)) return false;
    if (!text.n) text = str_of(arena_printf(a, e, "tenant:%.*s", STR_FMT(realm.tenant)));
    if (!text.n || !access_scope_parse(text, &scope, e) || !grants_role(w, a, role, &permissions, e)) return false;
    if (!grants_cover(access_principal(who), permissions, &scope, 0))
        return err_set(e, ERR_FORBIDDEN, "peers", "you cannot give '%.*s' within '%.*s': it is more than you have yourself", STR_FMT(role), STR_FMT(text));
    return grants_take_all(w, holder, NULL, e) && grants_give(w, a, holder, role, text, "admin", 0, e);
}

// What a peer sends belongs to its realm: whoever has no say there does not put it there. A peer that has more than one's own is not changed either.
static bool is_within(struct db *d, struct arena *a, const struct actor *who, const struct row *r, struct err *e) {
    const struct access_grant *grants;
    unsigned count;
    struct realm realm;
    const struct principal *p = access_principal(who);
    if (!realm_parse(r->realm, &realm, e)) return false;
    if (!charge_realm(who, ACCESS_PEER_WRITE, &realm))
        return err_set(e, ERR_FORBIDDEN, "peers", "the place '%.*s' is not yours to say who sends to it: name one of yours as its realm", STR_FMT(r->realm));
    if (!grants_load(d, a, (struct grant_holder){"peer", r->id}, &grants, &count, e)) return false;
    for (unsigned i = 0; i < count; i++)
        if (!grants_cover(p, grants[i].permissions, &grants[i].scope, grants[i].until_ms))
            return err_set(e, ERR_FORBIDDEN, "peers", "the peer '%.*s' may do more than you: it is not yours to change", STR_FMT(r->name));
    return true;
}

// ---- beside others ----

static const char ALIKE[] = "SELECT realm, fingerprint FROM peers WHERE id <> ?1 AND (aet = ?2 OR aet = '' OR ?2 = '')";

// A peer that is there already under the same AE title, or any.
struct alike {
    struct realm home;
    struct str fingerprint;
    bool name; // by it, too
};

// Two certificates are never one; but what is sent by title goes by the title alone.
static bool is_free_of(const struct actor *who, const struct row *r, const struct alike *other, struct err *e) {
    struct realm own;
    bool apart = !other->name && !r->host.n && r->fingerprint.n && other->fingerprint.n && !str_eq(r->fingerprint, other->fingerprint);
    if (!realm_parse(r->realm, &own, e)) return false;
    if (apart || str_eq(own.tenant, other->home.tenant) || charge_realm(who, ACCESS_PEER_WRITE, &other->home)) return true;
    return err_set(e, ERR_CONFLICT, "peers",
                   "a peer of another tenant has the AE title '%.*s', or any: take another title, or ask an administrator of both tenants", STR_FMT(r->aet));
}

static bool is_free_of_rows(struct db *d, const struct actor *who, const struct row *r, struct err *e) {
    struct db_stmt *s = db_prepare(d, ALIKE, e);
    enum db_step step = DB_END;
    bool ok = true;
    if (!s) return false;
    db_bind_int(s, 1, r->id);
    db_bind_text(s, 2, r->aet);
    while (ok && (step = db_next(s, e)) == DB_ROW) {
        struct alike other = {.fingerprint = db_text(s, 1)};
        ok = realm_parse(db_text(s, 0), &other.home, e) && is_free_of(who, r, &other, e);
    }
    db_done(s);
    return ok && step != DB_FAIL;
}

// Those of the configuration are found by name, too.
static bool is_free_of_known(struct db *d, struct arena *a, const struct peers *p, const struct actor *who, const struct row *r, struct err *e) {
    const struct peers_options *o = p ? peers_options_of(p) : NULL;
    for (unsigned i = 0; o && i < o->known_count; i++) {
        struct peer k;
        if (!peer_setting_read(d, a, &o->known[i], i, &k, e)) return false;
        const struct alike other = {.home = k.home, .fingerprint = k.fingerprint, .name = str_eq(k.name, r->name)};
        if ((other.name || str_eq(k.aet, r->aet) || !k.aet.n || !r->aet.n) && !is_free_of(who, r, &other, e)) return false;
    }
    return true;
}

// What might be taken for another tenant's peer, or take what is sent to it, is made only by who has a say there, too.
static bool takes_nobodys_place(struct db *d, struct arena *a, const struct peers *p, const struct actor *who, const struct row *r, struct err *e) {
    if (!r->aet.n && !r->fingerprint.n && !charge_all(who, ACCESS_PEER_WRITE))
        return err_set(e, ERR_FORBIDDEN, "peers", "whoever calls from there, under any AE title, is not yours to take: say its AE title or its certificate");
    return !str_eqz(r->state, "on") || (is_free_of_rows(d, who, r, e) && is_free_of_known(d, a, p, who, r, e));
}

// ---- changes ----

static bool tell(struct archive *ar, struct db *w, const struct actor *who, const char *type, const struct row *r, struct err *e) {
    struct buf b;
    struct json_writer j;
    buf_init(&b, LISTS_BYTES_MAX * 4);
    json_init(&j, &b, false);
    json_put_str(&j, "name", r->name);
    json_put_str(&j, "aet", r->aet);
    json_key(&j, "networks");
    json_raw(&j, r->networks);
    json_put_str(&j, "certificate", r->fingerprint);
    json_put_str(&j, "realm", r->realm);
    json_put_str(&j, "state", r->state);
    bool ok = buf_ok(&b, e) && grants_changed(w, e) && change_tell(ar, w, who, type, buf_str(&b), e);
    buf_deinit(&b);
    return ok;
}

static bool put(struct archive *ar, struct peers *p, struct db *w, struct arena *a, const struct actor *who, const struct peer_change *c, bool fresh,
                struct err *e) {
    static const struct str NONE = {"", 0};
    struct row r = {.name = c->name,
                    .aet = NONE,
                    .called = NONE,
                    .networks = STR_LIT("[]"),
                    .fingerprint = NONE,
                    .subject = NONE,
                    .host = NONE,
                    .tls_name = NONE,
                    .services = STR_LIT("[]"),
                    .realm = NONE,
                    .state = STR_LIT("on")};
    if (!fresh && (!find_row(w, a, who, c->name, &r, e) || !is_within(w, a, who, &r, e))) return false;
    if (!put_change(a, c, &r, e) || !(fresh ? insert(w, who, &r, e) : update(w, &r, e)) || !is_within(w, a, who, &r, e)) return false;
    if (!takes_nobodys_place(w, a, p, who, &r, e)) return false;
    bool grant = fresh || c->role.n || c->scope.n;
    return (!grant || give(w, a, who, &r, c, e)) && tell(ar, w, who, fresh ? "peer.added" : "peer.changed", &r, e);
}

static bool change(struct archive *ar, struct peers *p, const struct actor *who, const struct peer_change *c, bool fresh, struct err *e) {
    struct arena a;
    struct db *w = change_begin(ar, e);
    if (!w) return false;
    arena_init(&a, SCRATCH_BYTES_MAX);
    bool ok = change_end(ar, w, put(ar, p, w, &a, who, c, fresh, e), e);
    arena_deinit(&a);
    return ok;
}

bool peer_add(struct archive *ar, struct peers *p, const struct actor *who, const struct peer_change *c, struct err *e) {
    return change(ar, p, who, c, true, e);
}

bool peer_set(struct archive *ar, struct peers *p, const struct actor *who, const struct peer_change *c, struct err *e) {
    return change(ar, p, who, c, false, e);
}

bool peer_remove(struct archive *ar, const struct actor *who, struct str name, struct err *e) {
    struct arena a;
    struct row r;
    struct db *w = change_begin(ar, e);
    if (!w) return false;
    arena_init(&a, SCRATCH_BYTES_MAX);
    bool ok = find_row(w, &a, who, name, &r, e) && is_within(w, &a, who, &r, e) && grants_take_all(w, (struct grant_holder){"peer", r.id}, NULL, e) &&
              sql_run(w, "DELETE FROM peers WHERE id = ?1", SQL_VALUES(SQL_I(r.id)), e) && tell(ar, w, who, "peer.removed", &r, e);
    ok = change_end(ar, w, ok, e);
    arena_deinit(&a);
    return ok;
}
