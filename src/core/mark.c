// Giving and taking marks: the record, its row, and the key by which the study is found.
#include "core/mark.h"

#include "base/clock.h"
#include "core/index.h"
#include "core/query_index.h"
#include "core/scope.h"
#include "core/word.h"
#include "text/json.h"

enum { RECORD_BYTES_MAX = 16 * 1024, STUDIES_MAX = 64, NAME_BYTES_MAX = 255, SQL_BYTES = 1024 + SCOPE_SQL_BYTES, SCOPE_BYTES_MAX = 64 * 1024 };

static const struct kind {
    const char *given, *taken; // as records and events name it
    const char *member;        // of the event's detail
    const char *find, *put, *list;
    enum permission permission;
    const char *what;
} KINDS[] = {
#define FIND(table, name)                                                                                                                                 \
    "SELECT coalesce((SELECT given FROM " table " WHERE study_uid = ?1 AND tenant = ?2 AND " name " = ?3), 0), coalesce((SELECT max(number) FROM " table  \
    " WHERE study_uid = ?1), 0), (SELECT count(*) FROM study_labels WHERE study_uid = ?1 AND given = 1) + (SELECT count(*) FROM study_assignments WHERE " \
    "study_uid = ?1 AND given = 1)"
// The later change counts; of two with one number, which only two nodes at the same moment can write, that which gives.
#define PUT(table, name)                                                                                                                                \
    "INSERT INTO " table " (study_uid, tenant, " name                                                                                                   \
    ", number, given, at_ms, source) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (study_uid, tenant, " name                                         \
    ") DO UPDATE SET number = excluded.number, given = excluded.given, at_ms = excluded.at_ms, source = excluded.source WHERE excluded.number > " table \
    ".number OR (excluded.number = " table ".number AND excluded.given > " table ".given)"
#define LIST(table, name)                                                                                                                                    \
    "SELECT m.study_uid, m.tenant, m." name ", m.source, m.at_ms FROM " table " m WHERE m.given = 1 AND (?1 = '' OR m.study_uid = ?1) AND EXISTS (SELECT 1 " \
    "FROM studies st JOIN realms p ON p.id = st.realm AND p.tenant = m.tenant WHERE st.study_uid = m.study_uid"
    [MARK_LABEL] = {"study.labelled", "study.unlabelled", "label", FIND("study_labels", "label"), PUT("study_labels", "label"), LIST("study_labels", "label"),
                    ACCESS_STUDY_LABEL, "labelled"},
    [MARK_ASSIGNMENT] = {"study.assigned", "study.unassigned", "assignee", FIND("study_assignments", "name"), PUT("study_assignments", "name"),
                         LIST("study_assignments", "name"), ACCESS_STUDY_ASSIGN, "assigned to"},
};
enum { KIND_COUNT = sizeof KINDS / sizeof *KINDS };

// ---- the record becomes rows ----

// What a change names.
struct change {
    const struct kind *kind;
    struct str study, tenant, name;
    int64_t number, at_ms;
    bool on;
};

static const struct kind *kind_of(struct str record, bool *on) {
    for (int i = 0; i < KIND_COUNT; i++) {
        *on = str_eqz(record, KINDS[i].given);
        if (*on || str_eqz(record, KINDS[i].taken)) return &KINDS[i];
    }
    return NULL;
}

static bool key_of(struct arena *a, const struct change *c, struct str *key, struct err *e) {
    bool label = c->kind == &KINDS[MARK_LABEL];
    const struct access_scope scope = {.kind = label ? SCOPE_LABEL : SCOPE_ASSIGNED, .realm = {.tenant = c->tenant}, .label = c->name};
    return access_scope_key(a, &scope, c->name, key, e);
}

static bool list_studies(struct db *w, const struct change *c, int64_t ids[STUDIES_MAX], unsigned *n, struct err *e) {
    struct db_stmt *s =
        db_prepare(w, "SELECT st.id FROM studies st {join} realms p ON p.id = st.realm WHERE st.study_uid = ?1 AND p.tenant = ?2 ORDER BY st.id", e);
    enum db_step step = DB_FAIL;
    *n = 0;
    if (!s) return false;
    db_bind_text(s, 1, c->study);
    db_bind_text(s, 2, c->tenant);
    while (*n < STUDIES_MAX && (step = db_next(s, e)) == DB_ROW) ids[(*n)++] = db_int(s, 0);
    db_done(s);
    return step != DB_FAIL;
}

static bool change_keys(struct index *ix, struct db *w, const struct change *c, struct err *e) {
    struct arena_mark m = arena_mark(&ix->scratch);
    int64_t ids[STUDIES_MAX];
    unsigned n = 0;
    struct str key;
    bool ok = key_of(&ix->scratch, c, &key, e) && list_studies(w, c, ids, &n, e);
    for (unsigned i = 0; ok && i < n; i++) ok = query_scope_change(w, &ix->scratch, ids[i], key, c->on, e);
    arena_rewind(&ix->scratch, m);
    return ok;
}

static bool tell(struct index *ix, struct db *w, const struct vol_entry *en, const struct change *c, struct err *e) {
    struct buf detail;
    struct json_writer j;
    buf_init(&detail, RECORD_BYTES_MAX);
    json_init(&j, &detail, false);
    json_begin_object(&j);
    json_put_str(&j, c->kind->member, c->name);
    json_end_object(&j);
    struct event ev = {.type = str_of(c->on ? c->kind->given : c->kind->taken), .actor = en->source, .study_uid = c->study, .detail = buf_str(&detail)};
    bool ok = buf_ok(&detail, e) && index_event(ix, w, &ev, e);
    buf_deinit(&detail);
    return ok;
}

bool mark_record(struct index *ix, struct db *w, const struct vol_entry *en, const struct json *o, bool *stale, struct err *e) {
    struct change c = {.study = json_text(json_get(o, "study")), .tenant = json_text(json_get(o, "tenant")), .name = json_text(json_get(o, "name"))};
    c.kind = kind_of(json_text(json_get(o, "record")), &c.on);
    if (!c.kind) return true;
    if (!c.tenant.p) c.tenant = STR_LIT("");
    if (c.study.n == 0 || c.name.n == 0 || !json_to_i64(json_get(o, "number"), &c.number) || !json_to_i64(json_get(o, "at_ms"), &c.at_ms))
        return err_set(e, ERR_CORRUPT, "index", "a record of a label or an assignment names no study");
    if (!sql_run(w, c.kind->put, SQL_VALUES(SQL_T(c.study), SQL_T(c.tenant), SQL_T(c.name), SQL_I(c.number), SQL_I(c.on), SQL_I(c.at_ms), SQL_T(en->source)),
                 e))
        return false;
    *stale = db_changes(w) == 0;
    return *stale || (change_keys(ix, w, &c, e) && tell(ix, w, en, &c, e));
}

// ---- changing ----

static bool write_record(struct buf *json, const struct change *c, struct err *e) {
    struct json_writer j;
    json_init(&j, json, false);
    json_begin_object(&j);
    json_put_strz(&j, "record", c->on ? c->kind->given : c->kind->taken);
    json_put_str(&j, "study", c->study);
    json_put_str(&j, "tenant", c->tenant);
    json_put_str(&j, "name", c->name);
    json_put_int(&j, "number", c->number);
    json_put_int(&j, "at_ms", clock_wall_ms());
    json_end_object(&j);
    return buf_ok(json, e);
}

static bool find_tenant(struct db *d, const struct scope *scope, struct arena *a, struct change *c, struct err *e) {
    struct buf sql;
    buf_init(&sql, SQL_BYTES);
    buf_addz(&sql, "SELECT p.tenant FROM studies st {join} realms p ON p.id = st.realm WHERE st.study_uid = ?1");
    scope_filter(scope, &sql, "st", 2);
    buf_addz(&sql, " ORDER BY st.id LIMIT 1");
    buf_addc(&sql, '\0');
    struct db_stmt *s = buf_ok(&sql, e) ? db_prepare(d, sql.p, e) : NULL;
    buf_deinit(&sql);
    if (!s) return false;
    db_bind_text(s, 1, c->study);
    if (!scope->everywhere) db_bind_text(s, 2, scope->keys);
    enum db_step step = db_next(s, e);
    bool ok = step == DB_ROW && arena_dup(a, db_text(s, 0), &c->tenant, e);
    if (step == DB_END) err_set(e, ERR_NOT_FOUND, "mark", "there is no study %.*s", STR_FMT(c->study));
    db_done(s);
    return ok;
}

static bool may_change(struct db *d, const struct scope *scope, struct arena *a, struct change *c, struct err *e) {
    int64_t row[3];
    bool found;
    struct str key;
    struct access_scope unused;
    if (!find_tenant(d, scope, a, c, e)) return false;
    if (c->kind == &KINDS[MARK_LABEL]) { // what no scope can name is no label
        char *text = arena_printf(a, e, "label:%.*s/%.*s", STR_FMT(c->tenant), STR_FMT(c->name));
        if (!text || !access_scope_parse(str_of(text), &unused, e)) return false;
    }
    if (!key_of(a, c, &key, e)) return false;
    if (!sql_one(d, c->kind->find, SQL_VALUES(SQL_T(c->study), SQL_T(c->tenant), SQL_T(c->name)), row, 3, &found, e)) return false;
    if ((row[0] != 0) == c->on)
        return err_set(e, ERR_CONFLICT, "mark", "study %.*s is %s%s %.*s", STR_FMT(c->study), c->on ? "" : "not ", c->kind->what, STR_FMT(c->name));
    if (c->on && row[2] >= STUDY_MARKS_MAX)
        return err_set(e, ERR_TOO_LARGE, "mark", "study %.*s has %d labels and assignments: take one away first", STR_FMT(c->study), STUDY_MARKS_MAX);
    c->number = row[1] + 1;
    return true;
}

static bool check(struct archive *ar, const struct actor *who, struct arena *a, struct change *c, struct err *e) {
    struct scope scope;
    if (c->study.n == 0) return err_set(e, ERR_USAGE, "mark", "a Study Instance UID must be given");
    if (c->name.n == 0 || c->name.n > NAME_BYTES_MAX) return err_set(e, ERR_USAGE, "mark", "a name of 1 to %d bytes must be given", NAME_BYTES_MAX);
    if (!scope_of(who, c->kind->permission, a, &scope, e)) return false;
    struct db *d = db_reader(ar->db, e);
    bool ok = d && may_change(d, &scope, a, c, e);
    db_return(ar->db, d);
    return ok;
}

bool mark_set(struct archive *ar, const struct actor *who, enum mark_kind kind, struct str study_uid, struct str name, bool on, struct err *e) {
    struct change c = {.kind = &KINDS[kind], .study = study_uid, .name = name, .on = on};
    struct arena a;
    struct buf json;
    arena_init(&a, SCOPE_BYTES_MAX);
    buf_init(&json, RECORD_BYTES_MAX);
    bool ok = check(ar, who, &a, &c, e) && write_record(&json, &c, e) &&
              word_append(ar, who, &(struct word){.kind = VOL_RECORD, .json = buf_str(&json), .study = study_uid, .mark = true}, e);
    buf_deinit(&json);
    arena_deinit(&a);
    return ok;
}

// ---- listing ----

static struct db_stmt *prepare_list(struct db *d, const struct kind *kind, const struct scope *scope, struct str study_uid, struct err *e) {
    struct buf sql;
    buf_init(&sql, SQL_BYTES);
    buf_addz(&sql, kind->list);
    scope_filter(scope, &sql, "st", 2);
    buf_addz(&sql, ") ORDER BY 1, 3");
    buf_addc(&sql, '\0');
    struct db_stmt *s = buf_ok(&sql, e) ? db_prepare(d, sql.p, e) : NULL;
    buf_deinit(&sql);
    if (!s) return NULL;
    db_bind_text(s, 1, study_uid.p ? study_uid : STR_LIT(""));
    if (!scope->everywhere) db_bind_text(s, 2, scope->keys);
    return s;
}

static bool each(struct archive *ar, const struct kind *kind, const struct scope *scope, struct str study_uid,
                 bool (*visit)(void *ctx, const struct mark *m, struct err *e), void *ctx, struct err *e) {
    struct db *d = db_reader(ar->db, e);
    struct db_stmt *s = d ? prepare_list(d, kind, scope, study_uid, e) : NULL;
    enum db_step step = DB_FAIL;
    bool ok = s;
    while (ok && (step = db_next(s, e)) == DB_ROW) ok = visit(ctx, &(struct mark){db_text(s, 0), db_text(s, 1), db_text(s, 2), db_text(s, 3), db_int(s, 4)}, e);
    db_done(s);
    db_return(ar->db, d);
    return ok && step == DB_END;
}

bool mark_each(struct archive *ar, const struct actor *who, enum mark_kind kind, struct str study_uid,
               bool (*visit)(void *ctx, const struct mark *m, struct err *e), void *ctx, struct err *e) {
    struct arena a;
    struct scope scope;
    arena_init(&a, SCOPE_BYTES_MAX);
    bool ok = scope_of(who, KINDS[kind].permission, &a, &scope, e) && each(ar, &KINDS[kind], &scope, study_uid, visit, ctx, e);
    arena_deinit(&a);
    return ok;
}
