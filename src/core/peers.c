// Recognition, by a set of peers that is read anew when it has changed.
#include "core/peers.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "core/accounts.h"
#include "core/grants.h"
#include "core/index.h"
#include "core/peers_part.h"
#include "net/network.h"
#include "net/resolve.h"

#define KNOWN "peer"
#define UNKNOWN "unknown"

struct peers {
    struct archive *ar;
    struct peers_options options;
    struct access_grant unknown; // of whoever is let in unknown from elsewhere than loopback
    bool loopback, certified, any;
    const char **networks; // of the unknown
    unsigned network_count;
    pthread_mutex_t lock; // of what follows
    struct peer_set *set;
    int64_t asked_ms; // monotonic: when the database was last asked whether it has changed
    atomic_uint_fast64_t generation;
};

const struct peers_options *peers_options_of(const struct peers *p) {
    return &p->options;
}

// ---- the set ----

static struct peer_set *borrow(struct peers *p) {
    pthread_mutex_lock(&p->lock);
    struct peer_set *s = p->set;
    atomic_fetch_add(&s->users, 1);
    pthread_mutex_unlock(&p->lock);
    return s;
}

static void give_back(struct peer_set *s) {
    if (s && atomic_fetch_sub(&s->users, 1) == 1) peer_set_free(s);
}

static void put(struct peers *p, struct peer_set *set) {
    pthread_mutex_lock(&p->lock);
    struct peer_set *old = p->set;
    p->set = set;
    pthread_mutex_unlock(&p->lock);
    atomic_fetch_add(&p->generation, 1);
    give_back(old);
}

static bool look(struct peers *p, int64_t number, struct err *e) {
    int64_t now;
    bool found, ok;
    struct peer_set *set = NULL;
    struct db *d = db_reader(p->ar->db, e);
    ok = d && sql_one(d, "SELECT value FROM counters WHERE name = 'access'", NULL, 0, &now, 1, &found, e) &&
         (now == number || peer_set_read(d, &p->options, &set, e));
    db_return(p->ar->db, d);
    if (set) put(p, set);
    return ok;
}

// While the database does not answer, the peers that it named last count.
static void refresh(struct peers *p, int64_t believe_ms) {
    struct err e = {0};
    int64_t now_ms = clock_mono_ms();
    pthread_mutex_lock(&p->lock);
    bool old = now_ms - p->asked_ms >= believe_ms;
    if (old) p->asked_ms = now_ms;
    int64_t number = p->set->number;
    pthread_mutex_unlock(&p->lock);
    if (old && !look(p, number, &e)) log_err(&e, "the known peers");
}

uint64_t peers_generation(struct peers *p) {
    refresh(p, ACCOUNTS_BELIEVE_MS);
    return atomic_load(&p->generation);
}

// ---- does it fit? ----

static bool from_there(const struct peer *k, struct str address) {
    if (k->by_host) return k->host[0] && net_host_is(k->host, address);
    return k->network_count == 0 || net_address_in(address, k->networks, k->network_count);
}

// NULL: it is this peer. Else what does not fit.
static const char *misfit(const struct peer *k, const struct peer_seen *seen) {
    if (k->off) return "is switched off";
    if (k->called.n && !str_eq(k->called, seen->called)) return "calls another AE title than it may";
    if (k->fingerprint.n && !str_eq(k->fingerprint, seen->fingerprint))
        return seen->fingerprint.n ? "shows another client certificate than its own" : "shows no client certificate, and is known by one";
    if (k->subject.n && !str_eq(k->subject, seen->subject))
        return seen->subject.n ? "shows a client certificate with another subject than its own" : "shows no client certificate, and is known by one";
    if (!from_there(k, seen->address)) return k->by_host ? "calls from elsewhere than its host" : "calls from outside its networks";
    return NULL;
}

// The more a peer asks for, the surer it is.
static unsigned weight(const struct peer *k) {
    return (k->fingerprint.n ? 16U : 0) + (k->subject.n ? 8U : 0) + (k->aet.n ? 4U : 0) + (k->network_count || k->by_host ? 2U : 0) + (k->called.n ? 1U : 0);
}

// The surer one; what the configuration names no row takes over, and of two rows that ask for as much the one that was there first stays.
static bool before(const struct peer *k, const struct peer *other) {
    bool configured = k->id < 0, there = other->id < 0;
    if (configured != there) return configured;
    if (weight(k) != weight(other)) return weight(k) > weight(other);
    return !configured && k->id < other->id;
}

struct found {
    const struct peer *peer;  // the surest that fits
    const struct peer *title; // one that has the calling AE title, and does not fit
    const char *misfit;
};

static struct found search(const struct peer_set *set, const struct peer_seen *seen) {
    struct found f = {0};
    for (unsigned i = 0; i < set->count; i++) {
        const struct peer *k = &set->all[i];
        if (k->aet.n && !str_eq(k->aet, seen->calling)) continue;
        const char *why = misfit(k, seen);
        if (!why && (!f.peer || before(k, f.peer))) f.peer = k;
        if (why && k->aet.n && !f.title) f.title = k, f.misfit = why;
    }
    return f;
}

// ---- the principal ----

static bool dup_realm(struct arena *a, const struct realm *from, struct realm *to, struct err *e) {
    return arena_dup(a, from->tenant, &to->tenant, e) && arena_dup(a, from->site, &to->site, e) && arena_dup(a, from->department, &to->department, e);
}

static bool dup_grant(struct arena *a, const struct access_grant *from, uint64_t services, struct access_grant *to, struct err *e) {
    *to = *from;
    if (services) to->permissions &= services;
    return arena_dup(a, from->role, &to->role, e) && arena_dup(a, from->scope.label, &to->scope.label, e) &&
           dup_realm(a, &from->scope.realm, &to->scope.realm, e);
}

static bool make(struct arena *a, const struct peer *k, const char *prefix, const struct principal **out, struct err *e) {
    struct principal *p = arena_zero(a, 1, sizeof *p, e);
    struct access_grant *grants = arena_zero(a, k->grant_count + 1, sizeof *grants, e);
    const char *name = arena_printf(a, e, "%s:%.*s", prefix, STR_FMT(k->name));
    if (!p || !grants || !name) return false;
    *p = (struct principal){.kind = PRINCIPAL_PEER,
                            .id = k->id,
                            .name = str_of(name),
                            .display = str_sub(str_of(name), strlen(prefix) + 1, k->name.n),
                            .grants = grants,
                            .grant_count = k->grant_count,
                            .glass = {"", 0}};
    for (unsigned i = 0; i < k->grant_count; i++)
        if (!dup_grant(a, &k->grants[i], k->services, &grants[i], e)) return false;
    *out = p;
    return dup_realm(a, &k->home, &p->home, e);
}

static bool make_unknown(struct peers *p, struct arena *a, struct str aet, const struct principal **out, struct err *e) {
    const struct peer stranger = {.name = aet, .grants = &p->unknown, .grant_count = 1, .home = {{"", 0}, {"", 0}, {"", 0}}};
    return make(a, &stranger, UNKNOWN, out, e);
}

static bool let_in_unknown(struct peers *p, struct arena *a, const struct peer_seen *seen, const struct principal **out, struct str *why, struct err *e) {
    *out = NULL;
    if (p->loopback && net_is_loopback(seen->address)) return *out = &PRINCIPAL_OF_LOCAL, true;
    bool in = p->any || (p->certified && seen->fingerprint.n) || net_address_in(seen->address, p->networks, p->network_count);
    if (in) return make_unknown(p, a, seen->calling, out, e);
    const char *text = arena_printf(a, e,
                                    "'%.*s' at %.*s is no known peer: name it ('gantry peer add', or peers: in the configuration), or let unknown ones in "
                                    "(dicom: unknown-peers:)",
                                    STR_FMT(seen->calling), STR_FMT(seen->address));
    *why = str_of(text ? text : "no known peer");
    return text != NULL;
}

bool peer_recognise(struct peers *p, struct arena *arena, const struct peer_seen *seen, const struct principal **out, struct str *why, struct err *e) {
    bool ok = true;
    *out = NULL;
    *why = (struct str){"", 0};
    refresh(p, 0);
    struct peer_set *set = borrow(p);
    struct found f = search(set, seen);
    if (f.peer) {
        ok = make(arena, f.peer, KNOWN, out, e);
    } else if (f.title) {
        const char *text = arena_printf(arena, e, "'%.*s' at %.*s is not the known peer %.*s: it %s", STR_FMT(seen->calling), STR_FMT(seen->address),
                                        STR_FMT(f.title->name), f.misfit);
        *why = str_of(text ? text : "it is not the known peer of this AE title");
    } else {
        ok = let_in_unknown(p, arena, seen, out, why, e);
    }
    give_back(set);
    return ok;
}

bool peer_principal(struct peers *p, struct arena *arena, struct str name, const struct principal **out, struct err *e) {
    struct str rest = name, prefix = str_split(&rest, ':');
    bool ok = true;
    *out = NULL;
    if (name.n == 0 || str_eq(name, PRINCIPAL_OF_LOCAL.name)) return *out = &PRINCIPAL_OF_LOCAL, true;
    if (str_eqz(prefix, UNKNOWN)) return make_unknown(p, arena, rest, out, e);
    refresh(p, 0);
    struct peer_set *set = borrow(p);
    for (unsigned i = 0; ok && str_eqz(prefix, KNOWN) && i < set->count && !*out; i++)
        if (!set->all[i].off && str_eq(set->all[i].name, rest)) ok = make(arena, &set->all[i], KNOWN, out, e);
    give_back(set);
    return ok;
}

unsigned peer_associations(struct peers *p, const struct principal *who) {
    unsigned n = 0;
    if (!who || who->kind != PRINCIPAL_PEER || who->id == 0) return 0;
    struct peer_set *set = borrow(p);
    for (unsigned i = 0; i < set->count; i++)
        if (set->all[i].id == who->id) n = set->all[i].associations;
    give_back(set);
    return n;
}

// ---- destinations ----

// Whether who may send anything of the tenant in which the destination is. What is assigned to it may be of any tenant: it goes to where it is at home itself.
static bool in_reach(const struct principal *who, const struct peer *k, int64_t now_ms) {
    for (unsigned i = 0; i < who->grant_count; i++) {
        const struct access_grant *g = &who->grants[i];
        bool counts = (g->permissions & ACCESS_BIT(ACCESS_STUDY_SEND)) && (g->until_ms == 0 || g->until_ms > now_ms);
        struct str tenant = g->scope.kind == SCOPE_ASSIGNED ? who->home.tenant : g->scope.realm.tenant;
        if (counts && (g->scope.kind == SCOPE_ALL || str_eq(tenant, k->home.tenant))) return true;
    }
    return false;
}

static void tell(const struct peer *k, struct peer_destination *out) {
    *out = (struct peer_destination){.port = k->port, .tls = k->tls};
    snprintf(out->aet, sizeof out->aet, "%.*s", STR_FMT(k->aet));
    snprintf(out->host, sizeof out->host, "%s", k->host);
    snprintf(out->tls_name, sizeof out->tls_name, "%s", k->tls_name);
}

// One of the asker's own tenant goes before others of its title, then one of the configuration, then the older.
static bool nearer(const struct principal *who, const struct peer *k, const struct peer *other) {
    bool own = who && str_eq(k->home.tenant, who->home.tenant), others = who && str_eq(other->home.tenant, who->home.tenant);
    if (own != others) return own;
    if ((k->id < 0) != (other->id < 0)) return k->id < 0;
    return k->id >= 0 && k->id < other->id;
}

bool peer_destination(struct peers *p, const struct principal *who, struct str aet, struct peer_destination *out, struct err *e) {
    const struct peer *found = NULL;
    refresh(p, 0);
    struct peer_set *set = borrow(p);
    for (unsigned i = 0; i < set->count; i++) {
        const struct peer *k = &set->all[i];
        bool fits = k->host[0] && !k->off && str_eq(k->aet, aet) && (!who || in_reach(who, k, clock_wall_ms()));
        if (fits && (!found || nearer(who, k, found))) found = k;
    }
    if (found) tell(found, out);
    give_back(set);
    return found || err_set(e, ERR_NOT_FOUND, "peers", "%.*s is not a known peer with an address: 'gantry peer add', or --peer %.*s@HOST:PORT", STR_FMT(aet),
                            STR_FMT(aet));
}

// ---- open ----

static bool read_unknown(struct peers *p, struct err *e) {
    const struct peers_options *o = &p->options;
    p->networks = calloc(o->unknown_count + 1, sizeof *p->networks);
    if (!p->networks) return err_nomem(e, "peers");
    for (unsigned i = 0; i < o->unknown_count; i++) {
        struct str word = str_of(o->unknown[i]);
        if (str_eqz(word, "none")) continue;
        bool *const named = str_eqz(word, "loopback") ? &p->loopback : str_eqz(word, "certified") ? &p->certified : str_eqz(word, "any") ? &p->any : NULL;
        if (named)
            *named = true;
        else if (net_network_valid(o->unknown[i]))
            p->networks[p->network_count++] = o->unknown[i];
        else
            return err_set(e, ERR_USAGE, "peers", "unknown-peers takes none, loopback, certified, any, addresses and networks such as 10.0.0.0/8, not '%s'",
                           o->unknown[i]);
    }
    return true;
}

static bool read_all(struct peers *p, struct err *e) {
    const char *role = p->options.unknown_role ? p->options.unknown_role : "service";
    struct arena a;
    arena_init(&a, 1 << 20);
    p->unknown = (struct access_grant){.role = str_of(role), .scope = {.kind = SCOPE_TENANT, .realm = {{"", 0}, {"", 0}, {"", 0}}}};
    struct db *d = db_reader(p->ar->db, e);
    bool ok =
        d && (grants_role(d, &a, p->unknown.role, &p->unknown.permissions, e) || err_wrap(e, "unknown-role")) && peer_set_read(d, &p->options, &p->set, e);
    db_return(p->ar->db, d);
    arena_deinit(&a);
    return ok;
}

bool peers_open(struct archive *ar, const struct peers_options *o, struct peers **out, struct err *e) {
    struct peers *p = calloc(1, sizeof *p);
    if (!p) return err_nomem(e, "peers");
    p->ar = ar;
    if (o) p->options = *o;
    pthread_mutex_init(&p->lock, NULL);
    atomic_init(&p->generation, 1);
    if (!read_unknown(p, e) || !read_all(p, e)) return peers_close(p), false;
    *out = p;
    return true;
}

void peers_close(struct peers *p) {
    if (!p) return;
    give_back(p->set);
    pthread_mutex_destroy(&p->lock);
    free(p->networks);
    free(p);
}
