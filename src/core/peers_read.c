// Peers from the table and from the configuration, made ready to be compared.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/grants.h"
#include "core/index.h"
#include "core/peers_part.h"
#include "net/network.h"
#include "sys/digest.h"
#include "text/json.h"

enum { SET_BYTES_MAX = 256 << 20 };

bool peer_fingerprint(struct str text, char out[PEER_FINGERPRINT_HEX + 1]) {
    static const struct str PREFIX = {"SHA256:", 7};
    unsigned n = 0;
    text = str_trim(text);
    if (str_eq_nocase(str_sub(text, 0, PREFIX.n), PREFIX)) text = str_sub(text, PREFIX.n, text.n);
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        if (c == ':' || c == ' ') continue;
        if (c >= 'A' && c <= 'F') c = (char)(c - 'A' + 'a');
        if (n == PEER_FINGERPRINT_HEX || !((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'))) return false;
        out[n++] = c;
    }
    out[n] = '\0';
    return n == PEER_FINGERPRINT_HEX;
}

static uint64_t permissions_of(const struct json *names) {
    uint64_t bits = 0;
    for (const struct json *n = names ? names->first : NULL; n; n = n->next) {
        enum permission p = access_permission_of(json_text(n));
        if (p != ACCESS_UNDECLARED) bits |= ACCESS_BIT(p);
    }
    return bits;
}

// ---- rows ----

static bool take_texts(struct arena *a, const struct json *list, const char *const **out, unsigned *count, struct err *e) {
    const char **all = arena_zero(a, list->count ? list->count : 1, sizeof *all, e);
    *count = 0;
    if (!all) return false;
    for (const struct json *n = list->first; n; n = n->next, ++*count)
        if (!(all[*count] = arena_strz(a, json_text(n), e))) return false;
    *out = all;
    return true;
}

static bool take_lists(struct arena *a, struct str networks, struct str services, struct peer *out, struct err *e) {
    struct str kept;
    const struct json *list = arena_dup(a, networks, &kept, e) ? json_read(a, kept, 2, e) : NULL;
    if (!list || !take_texts(a, list, &out->networks, &out->network_count, e) || !arena_dup(a, services, &kept, e)) return false;
    list = json_read(a, kept, 2, e);
    if (list && list->count) out->services = permissions_of(list) | ACCESS_BIT(ACCESS_OPEN);
    return list != NULL;
}

static const char ROWS[] = "SELECT id, name, aet, called, fingerprint, subject, realm, networks, services, host, tls_name, port, tls, associations, "
                           "state FROM peers ORDER BY name";

static bool take_row(struct arena *a, struct db_stmt *s, struct peer *out, struct err *e) {
    struct str *const texts[] = {&out->name, &out->aet, &out->called, &out->fingerprint, &out->subject};
    struct str realm;
    *out = (struct peer){.id = db_int(s, 0), .port = (uint16_t)db_int(s, 11), .tls = db_int(s, 12) != 0, .associations = (unsigned)db_int(s, 13)};
    for (int i = 0; i < 5; i++)
        if (!arena_dup(a, db_text(s, i + 1), texts[i], e)) return false;
    out->off = !str_eqz(db_text(s, 14), "on");
    return arena_dup(a, db_text(s, 6), &realm, e) && realm_parse(realm, &out->home, e) && take_lists(a, db_text(s, 7), db_text(s, 8), out, e) &&
           (out->host = arena_strz(a, db_text(s, 9), e)) && (out->tls_name = arena_strz(a, db_text(s, 10), e));
}

static bool read_rows(struct db *d, struct peer_set *set, unsigned room, struct err *e) {
    struct db_stmt *s = db_prepare(d, ROWS, e);
    enum db_step step = s ? DB_END : DB_FAIL;
    bool ok = s;
    while (ok && set->count < room && (step = db_next(s, e)) == DB_ROW) ok = take_row(&set->arena, s, &set->all[set->count++], e);
    db_done(s);
    for (unsigned i = 0; ok && i < set->count; i++)
        ok = grants_load(d, &set->arena, (struct grant_holder){"peer", set->all[i].id}, &set->all[i].grants, &set->all[i].grant_count, e);
    return ok && step != DB_FAIL;
}

// ---- configuration ----

static bool bad(unsigned place, const char *what, const char *value, struct err *e) {
    return err_set(e, ERR_USAGE, "peers", "peers: entry %u: %s '%s'", place + 1, what, value);
}

static bool take_setting_services(const struct peer_setting *s, unsigned place, struct peer *out, struct err *e) {
    for (unsigned i = 0; i < s->service_count; i++) {
        enum permission p = access_permission_of(str_of(s->services[i]));
        if (p == ACCESS_UNDECLARED) return bad(place, "services names no permission", s->services[i], e);
        out->services |= ACCESS_BIT(p) | ACCESS_BIT(ACCESS_OPEN);
    }
    for (unsigned i = 0; i < s->network_count; i++)
        if (!net_network_valid(s->networks[i])) return bad(place, "networks has neither an address nor a network such as 10.0.0.0/8:", s->networks[i], e);
    return true;
}

static bool take_setting_grant(struct db *d, struct arena *a, const struct peer_setting *s, struct peer *out, struct err *e) {
    const char *scope = s->scope ? s->scope : arena_printf(a, e, "tenant:%.*s", STR_FMT(out->home.tenant));
    struct access_grant *grant = arena_zero(a, 1, sizeof *grant, e);
    if (!scope || !grant) return false;
    grant->role = str_of(s->role ? s->role : "service");
    out->grants = grant;
    out->grant_count = 1;
    return access_scope_parse(str_of(scope), &grant->scope, e) && grants_role(d, a, grant->role, &grant->permissions, e);
}

bool peer_setting_read(struct db *d, struct arena *a, const struct peer_setting *s, unsigned place, struct peer *out, struct err *e) {
    char *print = arena_alloc(a, PEER_FINGERPRINT_HEX + 1, e);
    if (!print) return false;
    *out = (struct peer){.id = -1 - (int64_t)place,
                         .name = str_of(s->aet),
                         .aet = str_of(s->aet),
                         .called = str_of(s->called ? s->called : ""),
                         .subject = str_of(s->subject ? s->subject : ""),
                         .fingerprint = {"", 0},
                         .networks = s->networks,
                         .network_count = s->network_count,
                         .host = s->host ? s->host : "",
                         .tls_name = s->tls_name ? s->tls_name : "",
                         .port = s->port,
                         .tls = s->tls,
                         .associations = s->associations};
    if (s->certificate && !peer_fingerprint(str_of(s->certificate), print))
        return bad(place, "certificate takes a SHA-256 fingerprint, 64 hexadecimal digits, not", s->certificate, e);
    if (s->certificate) out->fingerprint = str_of(print);
    out->by_host = s->network_count == 0 && !s->certificate && !out->subject.n;
    if (s->realm && !realm_parse(str_of(s->realm), &out->home, e)) return err_wrap(e, "peers: entry %u", place + 1);
    return take_setting_services(s, place, out, e) && (take_setting_grant(d, a, s, out, e) || err_wrap(e, "peers: entry %u", place + 1));
}

// ---- all ----

void peer_set_free(struct peer_set *s) {
    if (!s) return;
    arena_deinit(&s->arena);
    free(s);
}

static bool fill(struct db *d, const struct peers_options *o, struct peer_set *set, struct err *e) {
    int64_t rows;
    bool found;
    if (!sql_one(d, "SELECT value FROM counters WHERE name = 'access'", NULL, 0, &set->number, 1, &found, e) ||
        !sql_one(d, "SELECT count(*) FROM peers", NULL, 0, &rows, 1, &found, e))
        return false;
    unsigned room = rows > PEERS_MAX ? PEERS_MAX : (unsigned)rows, known = o ? o->known_count : 0;
    set->all = arena_zero(&set->arena, room + known + 1, sizeof *set->all, e);
    if (!set->all || !read_rows(d, set, room, e)) return false;
    for (unsigned i = 0; i < known; i++, set->count++)
        if (!peer_setting_read(d, &set->arena, &o->known[i], i, &set->all[set->count], e)) return false;
    return true;
}

bool peer_set_read(struct db *d, const struct peers_options *o, struct peer_set **out, struct err *e) {
    struct peer_set *set = calloc(1, sizeof *set);
    if (!set) return err_nomem(e, "peers");
    atomic_init(&set->users, 1);
    arena_init(&set->arena, SET_BYTES_MAX);
    bool ok = db_begin(d, e) && fill(d, o, set, e);
    db_rollback(d);
    if (ok)
        *out = set;
    else
        peer_set_free(set);
    return ok;
}
