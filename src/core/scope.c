// From grants to the part of a statement that keeps to them.
#include "core/scope.h"

#include <string.h>

#include "base/clock.h"
#include "core/query_rows.h"
#include "core/query_stream.h"
#include "db/db.h"
#include "text/json.h"

enum { KEYS_BYTES_MAX = 64 * 1024, STATEMENT_BYTES = SCOPE_SQL_BYTES + 256 };

// ---- keys ----

static bool listed(const struct access_reach *r, struct str kind, struct str place) {
    for (unsigned i = 0; i < r->count; i++)
        if (str_starts(r->keys[i], kind) && str_eq(str_sub(r->keys[i], kind.n, r->keys[i].n), place)) return true;
    return false;
}

// Whether a wider key is there too: the tenant of a site, department or label, the site of a department.
static bool is_within(const struct access_reach *r, struct str key) {
    struct str place = str_sub(key, 2, key.n);
    size_t first = str_find(place, '/', 0), second = str_find(place, '/', first + 1);
    if (key.p[0] == 't' || key.p[0] == 'u') return false;
    if (listed(r, STR_LIT("t:"), str_sub(place, 0, first))) return true;
    return key.p[0] == 'd' && listed(r, STR_LIT("s:"), str_sub(place, 0, second));
}

static bool write_keys(struct arena *a, struct scope *s, struct err *e) {
    struct buf b;
    struct json_writer j;
    buf_init(&b, KEYS_BYTES_MAX);
    json_init(&j, &b, false);
    json_begin_array(&j);
    for (unsigned i = 0; i < s->count; i++) json_str(&j, s->list[i]);
    json_end_array(&j);
    bool ok = buf_ok(&b, e) && arena_dup(a, buf_str(&b), &s->keys, e);
    buf_deinit(&b);
    return ok;
}

static bool take_keys(struct arena *a, const struct access_reach *r, struct scope *out, struct err *e) {
    struct str *list = arena_zero(a, r->count + 1, sizeof *list, e);
    if (!list) return false;
    for (unsigned i = 0; i < r->count; i++) {
        char kind = r->keys[i].p[0];
        if (is_within(r, r->keys[i])) continue;
        out->by_realm |= kind == 't' || kind == 's' || kind == 'd';
        out->by_label |= kind == 'l';
        out->by_user |= kind == 'u';
        list[out->count++] = r->keys[i];
    }
    out->list = list;
    return write_keys(a, out, e);
}

bool scope_of(const struct actor *who, enum permission what, struct arena *a, struct scope *out, struct err *e) {
    struct access_reach r;
    *out = (struct scope){0};
    if (!access_require(who, what, e) || !access_reach_of(who, what, a, &r, e)) return false;
    out->everywhere = r.everywhere;
    return r.everywhere || take_keys(a, &r, out, e);
}

bool scope_everywhere(const struct actor *who, enum permission what, struct err *e) {
    if (!access_require(who, what, e)) return false;
    if (access_decide_within(access_principal(who), what, NULL, clock_wall_ms()) == ACCESS_ALLOWED) return true;
    const char *name = access_permission_name(what);
    return err_set(e, ERR_FORBIDDEN, "access", "this needs the permission %s for the whole server, which none of your roles has: ask an administrator", name);
}

// ---- statements ----

#define AMONG(n) " IN (SELECT value FROM {each ?" n "})"

// id >= 0, as all are: a way along an index, without which PostgreSQL (where scans are as good as forbidden) makes any plan for the rest.
static void put_realm(struct buf *sql, const char *alias, int parameter) {
    buf_addf(sql,
             "%s.realm IN (SELECT id FROM realms WHERE id >= 0 AND ('t:' || realms.tenant" AMONG("%d") " OR 's:' || realms.tenant || '/' || realms.site" AMONG(
                 "%d") " OR 'd:' || realms.tenant || '/' || realms.site || '/' || realms.department" AMONG("%d") "))",
             alias, parameter, parameter, parameter);
}

static void put_marks(struct buf *sql, const char *table, const char *key, const char *alias, int parameter) {
    buf_addf(
        sql,
        "EXISTS (SELECT 1 FROM %s g JOIN realms p ON p.id = %s.realm AND p.tenant = g.tenant WHERE g.study_uid = %s.study_uid AND g.given = 1 AND %s" AMONG(
            "%d") ")",
        table, alias, alias, key, parameter);
}

// A row that was reached is looked at: in a CASE, so that no engine makes a join of it and begins there.
static void put_filter(const struct scope *s, struct buf *sql, const char *alias, int parameter, bool marks) {
    static const char OR[] = " OR ";
    const char *between = "";
    if (s->everywhere) return;
    buf_addz(sql, " AND CASE WHEN ");
    if (s->by_realm) put_realm(sql, alias, parameter), between = OR;
    if (s->by_label && marks) {
        buf_addz(sql, between), between = OR;
        put_marks(sql, "study_labels", "'l:' || g.tenant || '/' || g.label", alias, parameter);
    }
    if (s->by_user && marks) {
        buf_addz(sql, between), between = OR;
        put_marks(sql, "study_assignments", "'u:' || g.name", alias, parameter);
    }
    // The parameter stands in it in any case.
    if (between != OR) buf_addf(sql, "''" AMONG("%d") " AND FALSE", parameter);
    buf_addz(sql, " THEN 1 ELSE 0 END = 1");
}

void scope_filter(const struct scope *s, struct buf *sql, const char *alias, int parameter) {
    put_filter(s, sql, alias, parameter, true);
}

void scope_filter_realm(const struct scope *s, struct buf *sql, const char *alias, int parameter) {
    put_filter(s, sql, alias, parameter, false);
}

// ---- rows ----

static struct db_stmt *prepare(const struct scope *s, struct db *d, const char *select, struct err *e) {
    struct buf sql;
    buf_init(&sql, STATEMENT_BYTES);
    buf_addz(&sql, select);
    scope_filter(s, &sql, "st", 2);
    buf_addc(&sql, '\0');
    struct db_stmt *q = buf_ok(&sql, e) ? db_prepare(d, sql.p, e) : NULL;
    buf_deinit(&sql);
    if (q) db_bind_text(q, 2, s->keys);
    return q;
}

static bool is_among(const int64_t *ids, unsigned n, int64_t id) {
    for (unsigned i = 0; i < n; i++)
        if (ids[i] == id) return true;
    return false;
}

static bool read_reached(const struct scope *s, struct db *d, const int64_t *ids, unsigned n, int64_t *out, unsigned *count, struct err *e) {
    char json[QROW_IDS_BYTES];
    enum db_step step = DB_FAIL;
    struct db_stmt *q = prepare(s, d, "SELECT st.id FROM studies st WHERE st.id {in ?1}", e);
    *count = 0;
    if (!q) return false;
    db_bind_text(q, 1, qrow_ids(ids, n, json));
    while (*count < QROW_MANY && (step = db_next(q, e)) == DB_ROW) out[(*count)++] = db_int(q, 0);
    db_done(q);
    return step != DB_FAIL;
}

bool scope_keep(const struct scope *s, struct db *d, struct qplace *places, unsigned *n, struct err *e) {
    int64_t ids[QROW_MANY], reached[QROW_MANY];
    unsigned kept = 0, from = 0;
    do {
        unsigned part = *n - from < QROW_MANY ? *n - from : QROW_MANY, count;
        for (unsigned i = 0; i < part; i++) ids[i] = places[from + i].study;
        if (!read_reached(s, d, ids, part, reached, &count, e)) return false;
        for (unsigned i = 0; i < part; i++)
            if (is_among(reached, count, ids[i])) places[kept++] = places[from + i];
        from += part;
    } while (from < *n);
    *n = kept;
    return true;
}

bool scope_has_study(const struct scope *s, struct db *d, struct str study_uid, bool *found, struct err *e) {
    *found = true;
    if (s->everywhere) return true;
    struct db_stmt *q = prepare(s, d, "SELECT 1 FROM studies st WHERE st.study_uid = ?1", e);
    if (!q) return false;
    db_bind_text(q, 1, study_uid);
    enum db_step step = db_next(q, e);
    *found = step == DB_ROW;
    db_done(q);
    return step != DB_FAIL;
}
