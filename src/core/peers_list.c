// Peers as JSON, of the table and of the configuration.
#include "core/charge.h"
#include "core/index.h"
#include "core/peers_manage.h"
#include "core/peers_part.h"
#include "text/json.h"

enum { SCRATCH_BYTES_MAX = 1 << 20 };

static void put_services(struct json_writer *j, uint64_t services) {
    json_key(j, "services");
    json_begin_array(j);
    for (unsigned p = ACCESS_OPEN + 1; p < ACCESS_PERMISSIONS; p++)
        if (services & ACCESS_BIT(p)) json_strz(j, access_permission_name((enum permission)p));
    json_end_array(j);
}

static bool put_grants(struct json_writer *j, struct arena *a, const struct peer *k, struct err *e) {
    struct str scope;
    json_key(j, "grants");
    json_begin_array(j);
    for (unsigned i = 0; i < k->grant_count; i++) {
        if (!access_scope_format(a, &k->grants[i].scope, &scope, e)) return false;
        json_begin_object(j);
        json_put_str(j, "role", k->grants[i].role);
        json_put_str(j, "scope", scope);
        json_end_object(j);
    }
    json_end_array(j);
    return true;
}

static void put_recognition(struct json_writer *j, const struct peer *k) {
    json_put_str(j, "aet", k->aet);
    if (k->called.n) json_put_str(j, "called", k->called);
    json_key(j, "networks");
    json_begin_array(j);
    for (unsigned i = 0; i < k->network_count; i++) json_strz(j, k->networks[i]);
    if (k->by_host) json_strz(j, k->host);
    json_end_array(j);
    if (k->fingerprint.n) json_put_str(j, "certificate", k->fingerprint);
    if (k->subject.n) json_put_str(j, "subject", k->subject);
}

static void put_destination(struct json_writer *j, const struct peer *k) {
    if (!k->host[0]) return;
    json_put_strz(j, "host", k->host);
    json_put_uint(j, "port", k->port);
    json_put_bool(j, "tls", k->tls);
    if (k->tls_name[0]) json_put_strz(j, "tls_name", k->tls_name);
}

static bool put_peer(struct json_writer *j, struct arena *a, const struct peer *k, struct err *e) {
    char realm[REALM_BYTES];
    if (!realm_format(&k->home, realm, e)) return false;
    json_begin_object(j);
    json_put_str(j, "name", k->name);
    json_put_strz(j, "state", k->off ? "off" : "on");
    put_recognition(j, k);
    put_destination(j, k);
    put_services(j, k->services);
    if (k->associations) json_put_uint(j, "associations", k->associations);
    json_put_strz(j, "realm", realm);
    bool ok = put_grants(j, a, k, e);
    json_put_bool(j, "configured", k->id < 0);
    json_end_object(j);
    return ok;
}

// As core/charge.h has it of rows: those of the configuration lie somewhere, too.
static bool in_charge(const struct actor *who, const struct peer *k) {
    bool in = charge_realm(who, ACCESS_PEER_READ, &k->home);
    for (unsigned i = 0; in && i < k->grant_count; i++) in = charge_scope(who, ACCESS_PEER_READ, &k->grants[i].scope);
    return in;
}

bool peers_json(struct archive *ar, struct peers *p, const struct actor *who, struct json_writer *to, struct err *e) {
    struct peer_set *set = NULL;
    struct arena a;
    struct db *d = db_reader(ar->db, e);
    bool ok = d && peer_set_read(d, p ? peers_options_of(p) : NULL, &set, e);
    db_return(ar->db, d);
    if (!ok) return false;
    arena_init(&a, SCRATCH_BYTES_MAX);
    json_begin_array(to);
    for (unsigned i = 0; ok && i < set->count; i++)
        if (in_charge(who, &set->all[i])) ok = put_peer(to, &a, &set->all[i], e);
    json_end_array(to);
    arena_deinit(&a);
    peer_set_free(set);
    return ok;
}
