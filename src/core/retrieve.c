// Retrieve: lists of objects from the index, their headers from the index, their bytes from the volumes.
#include "core/retrieve.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/limits.h"
#include "core/index.h"
#include "core/scope.h"
#include "sys/zstd.h"
#include "text/json.h"

enum { SQL_BYTES = 2048 + SCOPE_SQL_BYTES };

// A backslash-separated list as a JSON array for json_each; what is no UID matches nothing and is left out.
static bool uid_array(struct arena *a, struct str list, struct str *out, struct err *e) {
    char *p = arena_alloc(a, list.n * 3 + 3, e);
    size_t n = 0;
    if (!p) return false;
    p[n++] = '[';
    while (list.p) {
        struct str uid = dcm_uid_trim(str_trim(str_split(&list, '\\')));
        if (!dcm_uid_valid(uid, false)) continue;
        if (n > 1) p[n++] = ',';
        p[n++] = '"';
        memcpy(p + n, uid.p, uid.n);
        n += uid.n;
        p[n++] = '"';
    }
    p[n++] = ']';
    *out = (struct str){p, n};
    return true;
}

#define COLUMNS                                                                                                                                     \
    "SELECT i.id, st.study_uid, se.series_uid, i.sop_instance_uid, i.sop_class_uid, i.ts_uid, i.volume, i.\"offset\", i.length, i.dataset_offset, " \
    "i.pixel_offset, i.pixel_length, i.frames, i.rows, i.columns, i.digest, i.received_ms FROM "
#define ORDER " ORDER BY st.study_uid, st.id, se.number NULLS FIRST, se.series_uid, se.id, i.number NULLS FIRST, i.sop_instance_uid"

// What is given, in the order of the statement's parameters.
struct given {
    struct str values[6];
    int n;
};

// Which of the lists the search begins with.
enum first { FIRST_STUDIES, FIRST_PATIENT, FIRST_SERIES, FIRST_INSTANCES };

static bool is_one(struct str uids) {
    return !memchr(uids.p, '\\', uids.n);
}

// One that is no UID matches nothing, as a list that has none.
static void add_one(struct given *g, struct str uid, const char *before, const char *after, struct buf *sql) {
    struct str trimmed = dcm_uid_trim(str_trim(uid));
    g->values[g->n++] = dcm_uid_valid(trimmed, false) ? trimmed : STR_LIT("");
    buf_addf(sql, "%s?%d%s", before, g->n, after);
}

static bool add_list(struct arena *a, struct given *g, struct str uids, const char *before, const char *after, struct buf *sql, struct err *e) {
    buf_addf(sql, "%s{each ?%d}%s", before, g->n + 1, after);
    return uid_array(a, uids, &g->values[g->n++], e);
}

// A row that was reached is looked at: in a CASE, so that no engine makes a join of it and begins there.
static bool add_filter(struct arena *a, struct given *g, struct str uids, const char *column, struct buf *sql, struct err *e) {
    if (uids.n == 0) return true;
    buf_addf(sql, " AND CASE WHEN %s", column);
    if (is_one(uids)) return add_one(g, uids, " = ", " THEN 1 ELSE 0 END = 1", sql), true;
    return add_list(a, g, uids, " IN (SELECT value FROM ", ") THEN 1 ELSE 0 END = 1", sql, e);
}

static void add_value(struct given *g, struct str value, const char *before, const char *after, struct buf *sql) {
    if (value.n == 0) return;
    g->values[g->n++] = value;
    buf_addf(sql, "%s?%d%s", before, g->n, after);
}

static void add_tables_of_one(const struct retrieve_query *q, enum first first, struct given *g, struct buf *sql) {
    if (first == FIRST_STUDIES)
        add_one(g, q->study_uids, "studies st {join} series se ON st.study_uid = ", " AND se.study = st.id {join} instances i ON i.series = se.id", sql);
    else if (first == FIRST_SERIES)
        add_one(g, q->series_uids, "series se {join} studies st ON se.series_uid = ", " AND st.id = se.study {join} instances i ON i.series = se.id", sql);
    else
        add_one(g, q->sop_instance_uids, "instances i {join} series se ON i.sop_instance_uid = ", " AND se.id = i.series {join} studies st ON st.id = se.study",
                sql);
}

static struct str first_list(const struct retrieve_query *q, enum first first) {
    return first == FIRST_STUDIES ? q->study_uids : first == FIRST_SERIES ? q->series_uids : q->sop_instance_uids;
}

// The tables from the one that the search begins with; {join} keeps the order as it is written.
static bool add_tables(struct arena *a, const struct retrieve_query *q, enum first first, struct given *g, struct buf *sql, struct err *e) {
    static const char LIST[] = "(SELECT DISTINCT value FROM ";
    if (first != FIRST_PATIENT && is_one(first_list(q, first))) return add_tables_of_one(q, first, g, sql), true;
    switch (first) {
    case FIRST_STUDIES:
        return add_list(a, g, q->study_uids, LIST,
                        ") u {join} studies st ON st.study_uid = u.value {join} series se ON se.study = st.id {join} instances i ON i.series = se.id", sql, e);
    case FIRST_SERIES:
        return add_list(a, g, q->series_uids, LIST,
                        ") u {join} series se ON se.series_uid = u.value {join} studies st ON st.id = se.study {join} instances i ON i.series = se.id", sql, e);
    case FIRST_INSTANCES:
        return add_list(a, g, q->sop_instance_uids, LIST,
                        ") u {join} instances i ON i.sop_instance_uid = u.value {join} series se ON se.id = i.series {join} studies st ON st.id = se.study",
                        sql, e);
    default:
        add_value(g, q->patient_id, "patients p {join} studies st ON p.patient_id = ",
                  " AND st.patient = p.id {join} series se ON se.study = st.id {join} instances i ON i.series = se.id", sql);
        return true;
    }
}

// The deepest list decides where the search begins, but that of studies before that of series: it leaves fewer.
static bool make_sql(struct arena *a, const struct retrieve_query *q, const struct scope *scope, struct given *g, struct buf *sql, struct err *e) {
    static const struct str none = {NULL, 0};
    enum first first = q->sop_instance_uids.n ? FIRST_INSTANCES : q->study_uids.n ? FIRST_STUDIES : q->series_uids.n ? FIRST_SERIES : FIRST_PATIENT;
    buf_addz(sql, COLUMNS);
    bool ok = add_tables(a, q, first, g, sql, e);
    buf_addz(sql, " WHERE TRUE");
    ok = ok && add_filter(a, g, first == FIRST_STUDIES ? none : q->study_uids, "st.study_uid", sql, e) &&
         add_filter(a, g, first == FIRST_SERIES ? none : q->series_uids, "se.series_uid", sql, e);
    if (first != FIRST_PATIENT)
        add_value(g, q->patient_id, " AND CASE WHEN st.patient IN (SELECT id FROM patients WHERE patient_id = ", ") THEN 1 ELSE 0 END = 1", sql);
    add_value(g, q->issuer, " AND st.issuer = ", "", sql);
    if (!scope->everywhere) {
        g->values[g->n++] = scope->keys;
        scope_filter(scope, sql, "st", g->n);
    }
    buf_addz(sql, ORDER);
    buf_addc(sql, '\0');
    return ok && buf_ok(sql, e);
}

// The text of the row before when it is the same: a series of thousands holds its UIDs once.
static bool share(struct arena *a, struct str now, struct str before, struct str *out, struct err *e) {
    if (before.p && str_eq(now, before)) return *out = before, true;
    return arena_dup(a, now, out, e);
}

static bool take_ref(struct arena *a, struct db_stmt *s, const struct instance_ref *before, struct instance_ref *r, struct err *e) {
    static const struct instance_ref none;
    if (!before) before = &none;
    struct str digest = db_blob(s, 15);
    *r = (struct instance_ref){
        .id = db_int(s, 0),
        .loc = {(uint32_t)db_int(s, 6), (uint64_t)db_int(s, 7), (uint64_t)db_int(s, 8)},
        .dataset_offset = (uint64_t)db_int(s, 9),
        .pixel_offset = (uint64_t)db_int(s, 10),
        .pixel_length = (uint64_t)db_int(s, 11),
        .frames = db_int(s, 12),
        .rows = db_int(s, 13),
        .columns = db_int(s, 14),
        .received_ms = db_int(s, 16),
    };
    if (digest.n != VOL_DIGEST_BYTES) return err_set(e, ERR_CORRUPT, "index", "object %lld has no whole digest", (long long)r->id);
    memcpy(r->digest, digest.p, VOL_DIGEST_BYTES);
    return share(a, db_text(s, 1), before->study_uid, &r->study_uid, e) && share(a, db_text(s, 2), before->series_uid, &r->series_uid, e) &&
           arena_dup(a, db_text(s, 3), &r->sop_instance_uid, e) && share(a, db_text(s, 4), before->sop_class_uid, &r->sop_class_uid, e) &&
           share(a, db_text(s, 5), before->ts_uid, &r->ts_uid, e);
}

// Rows are gathered outside the arena, since they grow between texts that stay.
static bool gather(struct arena *a, struct db_stmt *s, struct instance_list *out, struct err *e) {
    struct instance_ref *refs = NULL;
    size_t n = 0, cap = 0;
    enum db_step step = DB_END;
    bool ok = true;
    while (ok && (step = db_next(s, e)) == DB_ROW) {
        if (n == cap) {
            cap = cap ? 2 * cap : 64;
            struct instance_ref *p = realloc(refs, cap * sizeof *p);
            if (!p) {
                ok = err_nomem(e, "retrieve");
                break;
            }
            refs = p;
        }
        ok = take_ref(a, s, n ? &refs[n - 1] : NULL, &refs[n], e);
        if (ok) n++;
    }
    ok = ok && step == DB_END;
    if (ok && n) {
        out->refs = arena_alloc(a, n * sizeof *refs, e);
        ok = out->refs;
        if (ok) memcpy(out->refs, refs, n * sizeof *refs);
    }
    out->count = ok ? n : 0;
    free(refs);
    return ok;
}

static bool list_rows(struct db *d, struct arena *a, const struct retrieve_query *q, const struct scope *scope, struct instance_list *out, struct err *e) {
    struct given g = {.n = 0};
    struct buf sql;
    buf_init(&sql, SQL_BYTES);
    struct db_stmt *s = make_sql(a, q, scope, &g, &sql, e) ? db_prepare(d, sql.p, e) : NULL;
    buf_deinit(&sql);
    if (!s) return false;
    for (int i = 0; i < g.n; i++) db_bind_text(s, i + 1, g.values[i]);
    bool ok = gather(a, s, out, e);
    db_done(s);
    return ok;
}

bool retrieve_list(struct archive *ar, const struct actor *who, struct arena *a, const struct retrieve_query *q, struct instance_list *out, struct err *e) {
    struct scope scope;
    *out = (struct instance_list){0};
    if (!scope_of(who, q->permission ? q->permission : ACCESS_STUDY_READ, a, &scope, e)) return false;
    if (!q->study_uids.n && !q->series_uids.n && !q->sop_instance_uids.n && !q->patient_id.n)
        return err_set(e, ERR_USAGE, "retrieve", "no unique key says what to retrieve");
    struct db *d = db_reader(ar->db, e);
    bool ok = d && list_rows(d, a, q, &scope, out, e);
    db_return(ar->db, d);
    return ok;
}

static struct db_stmt *prepare_after(struct db *d, const struct scope *scope, struct err *e) {
    struct buf sql;
    buf_init(&sql, SQL_BYTES);
    buf_addz(&sql, "SELECT DISTINCT study_uid FROM studies st WHERE study_uid > ?1");
    scope_filter(scope, &sql, "st", 3);
    buf_addz(&sql, " ORDER BY study_uid LIMIT ?2");
    buf_addc(&sql, '\0');
    struct db_stmt *s = buf_ok(&sql, e) ? db_prepare(d, sql.p, e) : NULL;
    buf_deinit(&sql);
    if (s && !scope->everywhere) db_bind_text(s, 3, scope->keys);
    return s;
}

bool retrieve_studies_after(struct archive *ar, const struct actor *who, struct arena *a, struct str after, unsigned max, struct str *out, unsigned *n,
                            struct err *e) {
    struct scope scope;
    *n = 0;
    if (!scope_of(who, ACCESS_STUDY_EXPORT, a, &scope, e)) return false;
    struct db *d = db_reader(ar->db, e);
    struct db_stmt *s = d ? prepare_after(d, &scope, e) : NULL;
    enum db_step step = DB_FAIL;
    bool ok = s;
    if (s) {
        db_bind_text(s, 1, after);
        db_bind_int(s, 2, max);
    }
    while (ok && *n < max && (step = db_next(s, e)) == DB_ROW) ok = arena_dup(a, db_text(s, 0), &out[(*n)++], e);
    db_done(s);
    db_return(ar->db, d);
    return ok && step != DB_FAIL;
}

// ---- headers ----

// The base's bytes; kept from one object of a series to the next.
static bool read_base(struct db *d, int64_t id, struct header_cache *c, struct err *e) {
    if (c->id == id) return true;
    struct db_stmt *s = db_prepare(d, "SELECT data FROM header_bases WHERE id = ?1", e);
    if (!s) return false;
    db_bind_int(s, 1, id);
    enum db_step step = db_next(s, e);
    buf_clear(&c->base);
    bool ok = step == DB_ROW ? zstd_decompress(db_blob(s, 0), (struct str){NULL, 0}, &c->base, e)
                             : step == DB_END && err_set(e, ERR_CORRUPT, "index", "the header that others are compressed against is gone");
    db_done(s);
    c->id = ok ? id : 0;
    return ok;
}

static bool unpack(struct db *d, struct arena *a, struct db_stmt *s, struct header_cache *c, struct str *out, struct err *e) {
    int64_t base = db_int(s, 1);
    if (base && !read_base(d, base, c, e)) return false;
    buf_clear(&c->plain);
    if (!zstd_decompress(db_blob(s, 2), base ? buf_str(&c->base) : (struct str){NULL, 0}, &c->plain, e)) return false;
    return arena_dup(a, buf_str(&c->plain), out, e);
}

void header_cache_init(struct header_cache *c) {
    *c = (struct header_cache){0};
    buf_init(&c->base, DCM_HEADER_BYTES_MAX);
    buf_init(&c->plain, DCM_HEADER_BYTES_MAX);
}

void header_cache_deinit(struct header_cache *c) {
    buf_deinit(&c->base);
    buf_deinit(&c->plain);
}

static bool from_object(struct archive *ar, struct arena *a, struct vol_loc loc, struct dcm_dataset **out, struct err *e) {
    enum { CHUNK = 64 * 1024 };
    struct dcm_object o = {0};
    char *chunk = arena_alloc(a, CHUNK, e);
    if (!chunk || !index_read_object(a, ar->volumes, loc, chunk, CHUNK, &o, e)) return false;
    *out = o.dataset;
    return true;
}

bool header_read(struct archive *ar, struct db *d, struct arena *a, int64_t instance, struct header_cache *c, struct dcm_dataset **out, struct err *e) {
    struct db_stmt *s = db_prepare(d, "SELECT header_kind, header_base, header, ts_uid, volume, \"offset\", length FROM instances WHERE id = ?1", e);
    if (!s) return false;
    db_bind_int(s, 1, instance);
    struct str packed = {NULL, 0}, ts = {NULL, 0};
    enum db_step step = db_next(s, e);
    bool ok = step == DB_ROW || (step == DB_END && err_set(e, ERR_NOT_FOUND, "retrieve", "the object is no longer there"));
    enum header_kind kind = ok ? (enum header_kind)db_int(s, 0) : HEADER_ABSENT;
    struct vol_loc loc = {0};
    if (ok) loc = (struct vol_loc){(uint32_t)db_int(s, 4), (uint64_t)db_int(s, 5), (uint64_t)db_int(s, 6)};
    if (ok && kind != HEADER_ABSENT) ok = arena_dup(a, db_text(s, 3), &ts, e) && unpack(d, a, s, c, &packed, e);
    db_done(s);
    if (!ok) return false;
    return kind == HEADER_ABSENT ? from_object(ar, a, loc, out, e) : header_unpack(a, packed, kind, ts, out, e);
}

bool retrieve_header(struct archive *ar, struct arena *a, const struct instance_ref *ref, struct dcm_dataset **out, struct err *e) {
    struct header_cache c;
    struct db *d = db_reader(ar->db, e);
    if (!d) return false;
    header_cache_init(&c);
    bool ok = header_read(ar, d, a, ref->id, &c, out, e) || err_wrap(e, "header of %.*s", STR_FMT(ref->sop_instance_uid));
    header_cache_deinit(&c);
    db_return(ar->db, d);
    return ok;
}
