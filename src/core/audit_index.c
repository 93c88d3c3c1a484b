// Which runs of events have something of whom: made behind the log, from nothing but the log and whose the studies are.
#include <stdlib.h>

#include "core/audit_part.h"
#include "core/audit_search.h"
#include "sys/sums.h"
#include "text/json.h"

enum { KEYS_MAX = 8 * AUDIT_BLOCK, DETAIL_TREE_BYTES = 4 << 20, RUN_ARENA_BYTES = 64 << 20, PROBE = 1 << 13 };

// The distinct keys of a run.
struct keys {
    int64_t table[PROBE]; // 0: free
    int64_t list[KEYS_MAX];
    unsigned n;
};

int64_t audit_key_of(char kind, struct str name) {
    char text[520];
    size_t n = name.n < sizeof text - 1 ? name.n : sizeof text - 1;
    text[0] = kind;
    if (n) memcpy(text + 1, name.p, n);
    int64_t key = (int64_t)(sum_of(text, n + 1) >> 1);
    return key ? key : 1;
}

// Whether it was not there yet.
static bool add_key(struct keys *k, char kind, struct str name) {
    if (!name.n || k->n == KEYS_MAX) return false;
    int64_t key = audit_key_of(kind, name);
    for (size_t i = (size_t)key % PROBE;; i = (i + 1) % PROBE) {
        if (k->table[i] == key) return false;
        if (k->table[i]) continue;
        k->table[i] = key;
        k->list[k->n++] = key;
        return true;
    }
}

struct str audit_user_of(const struct event *ev, const struct json *detail) {
    struct str user = json_text(json_get(detail, "user"));
    if (user.n) return user;
    size_t colon = str_find(ev->actor, ':', 0), at = ev->actor.n;
    for (size_t i = colon; i < ev->actor.n; i++)
        if (ev->actor.p[i] == '@') at = i;
    return colon < ev->actor.n ? str_sub(ev->actor, colon + 1, at - colon - 1) : (struct str){0};
}

struct str audit_address_of(const struct event *ev, const struct json *detail) {
    struct str address = json_text(json_get(detail, "address"));
    if (address.n) return address;
    for (size_t i = ev->actor.n; i > 0; i--)
        if (ev->actor.p[i - 1] == '@') return str_sub(ev->actor, i, ev->actor.n);
    return (struct str){0};
}

// ---- of a run ----

struct study_note {
    struct str study, patient, issuer;
};

struct run {
    struct archive *ar;
    struct arena arena, tree; // tree: of one event's detail
    struct keys *keys;
    struct study_note *studies;
    unsigned study_count;
    struct str last_study, last_actor;
};

static bool add_study(struct run *r, struct db *d, struct str study, struct err *e) {
    struct str kept;
    if (str_eq(study, r->last_study) || !add_key(r->keys, 's', study)) return true;
    struct db_stmt *s = db_prepare(d, "SELECT p.patient_id, p.issuer FROM studies st {join} patients p ON p.id = st.patient WHERE st.study_uid = ?1", e);
    if (!s) return false;
    db_bind_text(s, 1, study);
    enum db_step step = DB_END;
    bool ok = arena_dup(&r->arena, study, &kept, e);
    r->last_study = kept;
    while (ok && (step = db_next(s, e)) == DB_ROW && r->study_count < KEYS_MAX) {
        struct study_note *n = &r->studies[r->study_count++];
        n->study = kept;
        add_key(r->keys, 'p', db_text(s, 0));
        ok = arena_dup(&r->arena, db_text(s, 0), &n->patient, e) && arena_dup(&r->arena, db_text(s, 1), &n->issuer, e);
    }
    db_done(s);
    return ok && step != DB_FAIL;
}

// What names somebody or something in the detail; most events are of objects that came, and say nothing more there.
static bool add_detail(struct run *r, struct db *d, const struct event *ev, struct err *e) {
    bool ok = true;
    if (str_eqz(ev->type, "instance.stored")) return add_key(r->keys, 'u', audit_user_of(ev, NULL)), true;
    arena_reset(&r->tree);
    const struct json *o = json_read(&r->tree, ev->detail, 0, NULL), *studies = json_get(o, "studies");
    add_key(r->keys, 'u', audit_user_of(ev, o));
    add_key(r->keys, 'p', json_text(json_get(o, "patient")));
    for (const struct json *s = studies ? studies->first : NULL; ok && s; s = s->next) ok = add_study(r, d, json_text(s), e);
    return ok;
}

static const char RUN[] = "SELECT type, actor, study_uid, detail FROM events WHERE seq > ?1 AND seq <= ?2 ORDER BY seq";

static bool gather(struct run *r, struct db *d, struct db *by, int64_t from, struct err *e) {
    struct db_stmt *s = db_prepare(d, RUN, e);
    enum db_step step = DB_FAIL;
    bool ok = s;
    if (!s) return false;
    db_bind_int(s, 1, from);
    db_bind_int(s, 2, from + AUDIT_BLOCK);
    while (ok && (step = db_next(s, e)) == DB_ROW) {
        const struct event ev = {.type = db_text(s, 0), .actor = db_text(s, 1), .study_uid = db_text(s, 2), .detail = db_text(s, 3)};
        ok = add_study(r, by, ev.study_uid, e) && add_detail(r, by, &ev, e);
    }
    db_done(s);
    return ok && step == DB_END;
}

static bool put_run(struct run *r, struct db *w, int64_t from, struct err *e) {
    bool ok = true;
    for (unsigned i = 0; ok && i < r->keys->n; i++)
        ok = sql_run(w, "INSERT INTO audit_blocks (key, block) VALUES (?1, ?2) ON CONFLICT (key, block) DO NOTHING",
                     SQL_VALUES(SQL_I(r->keys->list[i]), SQL_I(from / AUDIT_BLOCK)), e);
    for (unsigned i = 0; ok && i < r->study_count; i++)
        ok = sql_run(w, "INSERT INTO audit_studies (study_uid, patient_id, issuer) VALUES (?1, ?2, ?3) ON CONFLICT (study_uid, patient_id, issuer) DO NOTHING",
                     SQL_VALUES(SQL_T(r->studies[i].study), SQL_T(r->studies[i].patient), SQL_T(r->studies[i].issuer)), e);
    return ok;
}

static bool move_cursor(struct db *w, int64_t from, int64_t to, bool *mine, struct err *e) {
    if (!sql_run(w, "INSERT INTO audit_cursors (name, seq) VALUES ('search', 0) ON CONFLICT (name) DO NOTHING", NULL, 0, e) ||
        !sql_run(w, "UPDATE audit_cursors SET seq = ?2 WHERE name = 'search' AND seq = ?1", SQL_VALUES(SQL_I(from), SQL_I(to)), e))
        return false;
    *mine = db_changes(w) > 0;
    return true;
}

// The cursor first: whoever moves it from where this run begins writes it down, others leave it.
static bool keep_run(struct run *r, int64_t from, struct err *e) {
    struct db *w = db_side(r->ar->db, e);
    bool mine = false, ok = w && db_begin(w, e) && move_cursor(w, from, from + AUDIT_BLOCK, &mine, e) && (!mine || put_run(r, w, from, e)) && db_commit(w, e);
    if (w && !ok) db_rollback(w);
    db_return(r->ar->db, w);
    return ok;
}

static bool one_run(struct run *r, int64_t from, struct err *e) {
    struct db *d = db_reader(r->ar->db, e), *by = d ? db_reader(r->ar->db, e) : NULL;
    memset(r->keys, 0, sizeof *r->keys);
    arena_reset(&r->arena);
    r->study_count = 0;
    r->last_study = (struct str){0};
    bool ok = by && gather(r, d, by, from, e);
    db_return(r->ar->db, by);
    db_return(r->ar->db, d);
    return ok && keep_run(r, from, e);
}

bool audit_index_cursor(struct archive *ar, int64_t *cursor, int64_t *last, struct err *e) {
    struct db *d = db_reader(ar->db, e);
    int64_t row[2] = {0, 0};
    bool found, ok = d && sql_one(d, "SELECT coalesce((SELECT seq FROM audit_cursors WHERE name = 'search'), 0), coalesce((SELECT max(seq) FROM events), 0)",
                                  NULL, 0, row, 2, &found, e);
    db_return(ar->db, d);
    *cursor = row[0];
    *last = row[1];
    return ok;
}

bool audit_index_step(struct archive *ar, unsigned max, bool *left, struct err *e) {
    int64_t at, last;
    *left = false;
    if (!audit_index_cursor(ar, &at, &last, e)) return false;
    if (last - at < AUDIT_BLOCK) return true;
    struct run r = {.ar = ar, .keys = malloc(sizeof *r.keys), .studies = calloc(KEYS_MAX, sizeof *r.studies)};
    arena_init(&r.arena, RUN_ARENA_BYTES);
    arena_init(&r.tree, DETAIL_TREE_BYTES);
    bool ok = (r.keys && r.studies) || err_nomem(e, "audit");
    for (unsigned i = 0; ok && i < max && last - at >= AUDIT_BLOCK; i++, at += AUDIT_BLOCK) ok = one_run(&r, at, e);
    *left = ok && last - at >= AUDIT_BLOCK;
    arena_deinit(&r.arena);
    arena_deinit(&r.tree);
    free(r.keys);
    free(r.studies);
    return ok;
}
