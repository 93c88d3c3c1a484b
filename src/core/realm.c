// Whose study it is: at the commit of each object, by what its place remembers or one question.
#include "core/realm.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/limits.h"
#include "core/damage.h"
#include "core/index.h"
#include "core/scope.h"

// ---- senders ----

static bool may_store_at(const struct principal *p, const struct realm *realm) {
    const struct access_object there = {.realm = *realm};
    return access_decide(p, ACCESS_STUDY_STORE, &there, clock_wall_ms(), NULL) == ACCESS_ALLOWED;
}

// The first grant's that says where.
static bool first_place(const struct principal *p, struct realm *out) {
    for (unsigned i = 0; i < p->grant_count; i++) {
        const struct access_grant *g = &p->grants[i];
        if (g->permissions & ACCESS_BIT(ACCESS_STUDY_STORE) && may_store_at(p, &g->scope.realm)) return *out = g->scope.realm, true;
    }
    return false;
}

bool realm_home(const struct actor *who, struct arena *a, struct str *out, bool *placed, struct err *e) {
    const struct principal *p = access_principal(who);
    char text[REALM_BYTES];
    *out = STR_LIT("");
    *placed = false;
    if (!p) return true;
    struct realm home = p->home;
    *placed = may_store_at(p, &home) || first_place(p, &home);
    return realm_format(&home, text, e) && (text[0] == '\0' || arena_dup(a, str_of(text), out, e));
}

// ---- rows ----

bool realm_load(struct archive *ar, struct err *e) {
    int64_t max = 0;
    bool found;
    struct db *d = db_reader(ar->db, e);
    bool ok = d && sql_one(d, "SELECT coalesce(max(id), 0) FROM realms", NULL, 0, &max, 1, &found, e);
    db_return(ar->db, d);
    if (ok && max > 0) ar->many_realms = true;
    return ok;
}

static void remember(struct index *ix, struct str realm, int64_t id) {
    struct known_realm *k = &ix->realms[ix->realm_count++ % KNOWN_REALMS_MAX];
    if (realm.n >= sizeof k->text) return;
    memcpy(k->text, realm.p, realm.n);
    k->text[realm.n] = '\0';
    k->id = id;
}

static bool make_row(struct index *ix, struct db *w, struct str realm, int64_t *id, struct err *e) {
    struct realm r;
    bool found;
    if (!realm_parse(realm, &r, e)) return false;
    const struct sql_value values[] = {SQL_T(r.tenant), SQL_T(r.site), SQL_T(r.department), SQL_I(clock_wall_ms())};
    if (!sql_one(w, "SELECT id FROM realms WHERE tenant = ?1 AND site = ?2 AND department = ?3", values, 3, id, 1, &found, e)) return false;
    if (!found && !sql_insert(w, "INSERT INTO realms (tenant, site, department, created_ms) VALUES (?1, ?2, ?3, ?4) RETURNING id", values, 4, id, e))
        return false;
    ix->ar->many_realms = true;
    remember(ix, realm, *id);
    return true;
}

bool realm_row(struct index *ix, struct db *w, struct str realm, int64_t *id, struct err *e) {
    *id = 0;
    if (realm.n == 0) return true;
    for (unsigned i = 0; i < KNOWN_REALMS_MAX; i++)
        if (ix->realms[i].id && str_eqz(realm, ix->realms[i].text)) return *id = ix->realms[i].id, true;
    return make_row(ix, w, realm, id, e);
}

bool realm_text(struct db *d, int64_t id, char out[REALM_BYTES], struct err *e) {
    struct db_stmt *s = db_prepare(d, "SELECT tenant, site, department FROM realms WHERE id = ?1", e);
    if (!s) return false;
    db_bind_int(s, 1, id);
    enum db_step step = db_next(s, e);
    bool ok = step == DB_ROW ? realm_format(&(struct realm){db_text(s, 0), db_text(s, 1), db_text(s, 2)}, out, e)
                             : step != DB_FAIL && err_set(e, ERR_CORRUPT, "index", "there is no realm %lld", (long long)id);
    db_done(s);
    return ok;
}

bool realm_keep_gone(struct db *w, int64_t study, struct err *e) {
    return sql_run(w,
                   "INSERT INTO gone_studies (study_uid, realm) SELECT study_uid, realm FROM studies WHERE id = ?1 ON CONFLICT (study_uid) DO UPDATE SET realm "
                   "= excluded.realm",
                   SQL_VALUES(SQL_I(study)), e);
}

// ---- whose it is ----

struct owner {
    bool found;
    char realm[REALM_BYTES], study_uid[DCM_UID_MAX + 1]; // empty when there is none
};

static bool take_owner(struct db *d, const char *sql, struct str uid, struct owner *out, struct err *e) {
    struct db_stmt *s = db_prepare(d, sql, e);
    if (!s) return false;
    db_bind_text(s, 1, uid);
    enum db_step step = db_next(s, e);
    *out = (struct owner){.found = step == DB_ROW};
    bool ok = step != DB_FAIL && (!out->found || realm_format(&(struct realm){db_text(s, 0), db_text(s, 1), db_text(s, 2)}, out->realm, e));
    if (out->found) snprintf(out->study_uid, sizeof out->study_uid, "%.*s", STR_FMT(str_sub(db_text(s, 3), 0, DCM_UID_MAX)));
    db_done(s);
    return ok;
}

static const char OF_STUDY[] =
    "SELECT r.tenant, r.site, r.department, st.study_uid FROM studies st {join} realms r ON r.id = st.realm WHERE st.study_uid = ?1 ORDER BY st.id LIMIT 1";
static const char OF_GONE[] =
    "SELECT r.tenant, r.site, r.department, st.study_uid FROM gone_studies st {join} realms r ON r.id = st.realm WHERE st.study_uid = ?1";
static const char OF_INSTANCE[] =
    "SELECT r.tenant, r.site, r.department, st.study_uid FROM instances i {join} series se ON se.id = i.series {join} studies st ON st.id = "
    "se.study {join} realms r ON r.id = st.realm WHERE i.sop_instance_uid = ?1";

// Of a study that is gone the tenant counts, not the rest.
static bool find_study(struct db *d, struct str study_uid, struct owner *out, bool *gone, struct err *e) {
    *gone = false;
    bool ok = take_owner(d, OF_STUDY, study_uid, out, e);
    if (!ok || out->found) return ok;
    *gone = true;
    return take_owner(d, OF_GONE, study_uid, out, e);
}

static const struct place *find_place(const struct index *ix, const struct index_put *p) {
    const struct place *at = &ix->places[p->facts.place[0]];
    return at->used && memcmp(at->key, p->facts.place, sizeof at->key) == 0 ? at : NULL;
}

struct str realm_tenant(struct str realm) {
    return str_split(&realm, '/');
}

static bool same_tenant(struct str a, struct str b) {
    return str_eq(realm_tenant(a), realm_tenant(b));
}

// What no sender brings (store is NULL) is put by the archive itself.
static bool has_place(const struct index_put *p) {
    return p->placed || !p->store;
}

// Whether the realm is of the tenant in which the sender may store. Who may store at no place (assigned, a label) is at home nowhere.
static bool is_at_home(const struct index_put *p, struct str realm) {
    return has_place(p) && same_tenant(realm, p->home);
}

// Whether the sender may store into the study all the same: what it reaches counts, not where it is at home.
static bool reaches(struct db *d, const struct index_put *p, struct str study_uid, bool *yes, struct err *e) {
    *yes = p->store && p->store->everywhere;
    return *yes || !p->store || scope_has_study(p->store, d, study_uid, yes, e);
}

// ---- what is the sender's ----

bool realm_has_one(const struct index *ix, const struct vol_entry *en, const struct index_put *p) {
    return !ix->ar->many_realms && !ix->ar->shared && (p->store ? p->home.n == 0 && has_place(p) : en->realm.n == 0);
}

bool realm_is_senders(struct db *d, const struct vol_entry *en, const struct index_put *p, struct str realm, struct str study_uid, bool *yes, struct err *e) {
    *yes = p->store ? is_at_home(p, realm) : same_tenant(realm, en->realm);
    return *yes || !p->store || reaches(d, p, study_uid, yes, e);
}

bool realm_sent_copy(const struct vol_entry *en, const struct index_put *p, struct str realm) {
    return same_tenant(realm, p->store ? p->home : en->realm);
}

bool realm_has_object(struct db *d, const struct vol_entry *en, struct index_put *p, bool *yes, struct err *e) {
    struct owner owner;
    if (!take_owner(d, OF_INSTANCE, p->facts.sop_uid, &owner, e)) return false;
    *yes = !owner.found;
    memcpy(p->kept_realm, owner.realm, sizeof p->kept_realm);
    return *yes || realm_is_senders(d, en, p, str_of(owner.realm), str_of(owner.study_uid), yes, e);
}

bool realm_is_senders_put(struct index *ix, const struct vol_put *put, const struct vol_put *earlier, bool *yes, struct err *e) {
    const struct index_put *p = put->user;
    *yes = realm_has_one(ix, &put->entry, p) || is_at_home(p, earlier->entry.realm);
    if (*yes) return true;
    struct db *d = ix->ar->shared ? db_reader(ix->ar->db, e) : db_writer(ix->ar->db, e);
    bool ok = d && reaches(d, p, earlier->entry.study, yes, e);
    db_return(ix->ar->db, d);
    return ok;
}

// ---- before it is written ----

// Who may store at no place adds to what it reaches. The rest is refused by the same words, whether it is there or not.
static bool is_let_in(struct db *d, const struct vol_put *put, struct err *e) {
    const struct index_put *p = put->user;
    bool may = has_place(p);
    if (!may && !reaches(d, p, put->entry.study, &may, e)) return false;
    return may || err_set(e, ERR_FORBIDDEN, "ingest", "your roles let you add to studies that are assigned or labelled for you: %.*s is none of these",
                          STR_FMT(put->entry.study));
}

static const struct vol_put *find_earlier(const struct vol_put *put, struct vol_put *const *earlier, size_t n) {
    for (size_t i = n; i > 0; i--) {
        const struct vol_put *o = earlier[i - 1];
        if (o->entry.kind == VOL_OBJECT && o->outcome == VOL_STORED && str_eq(o->entry.study, put->entry.study)) return o;
    }
    return NULL;
}

// What another tenant has under its SOP Instance UID, in the same group; the sender's own, when that came first, is not pushed aside by it.
static bool meets_foreign(const struct vol_put *put, struct vol_put *const *earlier, size_t n) {
    const struct index_put *p = put->user;
    for (size_t i = 0; i < n; i++) {
        const struct vol_put *o = earlier[i];
        if (o->entry.kind > VOL_CONFLICT || !str_eq(o->entry.sop, put->entry.sop)) continue;
        if (!same_tenant(o->entry.realm, p->home)) return true;
        if (o->outcome == VOL_STORED) return false;
    }
    return false;
}

static void set_apart(struct vol_put *put) {
    struct index_put *p = put->user;
    if (put->outcome != VOL_KNOWN && put->entry.kind == VOL_OBJECT) {
        put->entry.kind = VOL_CONFLICT;
        index_be_conflict(put);
    }
    p->apart = true;
}

// The realm of an owner that the sender may join; else it is apart.
static bool join(struct db *d, struct vol_put *put, struct str realm, struct err *e) {
    struct index_put *p = put->user;
    bool may = is_at_home(p, realm);
    if (!may && !reaches(d, p, put->entry.study, &may, e)) return false;
    if (!may) set_apart(put);
    return !may || arena_dup(p->arena, realm, &put->entry.realm, e);
}

// By its SOP Instance UID, which is taken.
static bool classify_taken(struct db *d, struct vol_put *put, bool met, struct err *e) {
    const struct index_put *p = put->user;
    struct owner owner;
    bool may;
    if (!take_owner(d, OF_INSTANCE, put->entry.sop, &owner, e)) return false;
    if (!met && (!owner.found || is_at_home(p, str_of(owner.realm)))) return true;
    if (!reaches(d, p, owner.found ? str_of(owner.study_uid) : put->entry.study, &may, e)) return false;
    if (!may) set_apart(put);
    return true;
}

static bool classify_in(struct index *ix, struct db *d, struct vol_put *put, const struct vol_put *before, struct err *e) {
    const struct index_put *p = put->user;
    const struct place *at = find_place(ix, p);
    struct owner owner;
    bool gone;
    if (p->apart) return true;
    if (before) return join(d, put, before->entry.realm, e);
    if (at) return join(d, put, str_of(at->realm), e);
    if (!find_study(d, put->entry.study, &owner, &gone, e)) return false;
    if (!owner.found) return true;
    return gone && is_at_home(p, str_of(owner.realm)) ? true : join(d, put, str_of(owner.realm), e);
}

bool realm_classify(struct index *ix, struct vol_put *put, struct vol_put *const *earlier, size_t n, struct err *e) {
    struct index_put *p = put->user;
    put->entry.realm = p->home;
    if (!ix->ar->many_realms && p->home.n == 0 && has_place(p)) return true;
    struct db *d = ix->ar->shared ? db_reader(ix->ar->db, e) : db_writer(ix->ar->db, e);
    bool ok = d && is_let_in(d, put, e);
    if (ok && p->heals) // it takes the place of what is damaged or missing, so it belongs where that does
        ok = arena_dup(p->arena, str_of(p->kept_realm), &put->entry.realm, e);
    else if (ok)
        ok = (put->outcome == VOL_STORED || classify_taken(d, put, meets_foreign(put, earlier, n), e)) &&
             classify_in(ix, d, put, find_earlier(put, earlier, n), e);
    db_return(ix->ar->db, d);
    return ok;
}

// ---- when it becomes a row ----

bool realm_is_foreign(struct index *ix, struct db *w, const struct vol_entry *en, const struct index_put *p, bool *foreign, struct err *e) {
    struct owner owner = {0};
    bool gone;
    *foreign = false;
    if (!ix->ar->many_realms && en->realm.n == 0) return true;
    const struct place *at = find_place(ix, p);
    if (at) *foreign = !same_tenant(str_of(at->realm), en->realm);
    if (!at && !find_study(w, p->facts.study_uid, &owner, &gone, e)) return false;
    if (!at) *foreign = owner.found && !same_tenant(str_of(owner.realm), en->realm);
    if (*foreign || (en->kind != VOL_CONFLICT && !p->taken)) return true;
    if (!take_owner(w, OF_INSTANCE, p->facts.sop_uid, &owner, e)) return false;
    *foreign = owner.found && !same_tenant(str_of(owner.realm), en->realm);
    return true;
}

bool realm_mark_apart(struct archive *ar, struct err *e) {
    static const char MARK[] =
        "UPDATE conflicts SET apart = 1, reason = '" REALM_APART_REASON
        "' WHERE apart = 0 AND kind = 'bytes' AND (EXISTS (SELECT 1 FROM studies st JOIN realms r ON r.id = st.realm JOIN realms "
        "o ON o.id = conflicts.realm WHERE st.study_uid = conflicts.study_uid AND r.tenant <> o.tenant) OR EXISTS (SELECT 1 FROM gone_studies g JOIN realms r "
        "ON r.id = g.realm JOIN realms o ON o.id = conflicts.realm WHERE g.study_uid = conflicts.study_uid AND r.tenant <> o.tenant AND NOT EXISTS (SELECT 1 "
        "FROM studies st WHERE st.study_uid = g.study_uid)) OR EXISTS (SELECT 1 FROM instances i JOIN series se ON se.id = i.series JOIN studies st ON st.id = "
        "se.study JOIN realms r ON r.id = st.realm JOIN realms o ON o.id = conflicts.realm WHERE i.sop_instance_uid = conflicts.sop_instance_uid AND r.tenant "
        "<> o.tenant))";
    if (!ar->many_realms) return true;
    struct db *w = db_writer(ar->db, e);
    bool ok = w && sql_run(w, MARK, NULL, 0, e);
    db_return(ar->db, w);
    return ok;
}
