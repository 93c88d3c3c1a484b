// Figures of the whole archive, and its conflicts and quarantined objects as JSON.
#include "core/index.h"
#include "core/scope.h"
#include "core/service.h"
#include "sys/digest.h"
#include "text/json.h"

enum { JSON_BYTES_MAX = 256 << 20, SQL_BYTES = 1024 + 3 * SCOPE_SQL_BYTES, SCOPE_BYTES_MAX = 64 * 1024 };

static bool read_counts(struct db *d, struct archive_figures *out, struct err *e) {
    uint64_t *const to[FIGURE_COUNT] = {&out->patients, &out->studies, &out->series, &out->instances, &out->bytes, &out->conflicts, &out->quarantined};
    struct db_stmt *s = db_prepare(d, "SELECT name, value FROM figures", e);
    if (!s) return false;
    enum db_step step;
    while ((step = db_next(s, e)) == DB_ROW)
        for (int i = 0; i < FIGURE_COUNT; i++)
            if (str_eqz(db_text(s, 0), FIGURE_NAMES[i])) *to[i] = (uint64_t)db_int(s, 1);
    db_done(s);
    return step == DB_END;
}

static bool everything(struct archive *ar, struct archive_figures *out, struct err *e) {
    struct vol_stats v;
    *out = (struct archive_figures){.stored_total = ar->stored,
                                    .known_total = ar->known,
                                    .conflict_total = ar->conflicts,
                                    .quarantined_total = ar->quarantined,
                                    .failed_total = ar->failed,
                                    .events = (uint64_t)events_last(ar)};
    vol_stats_get(ar->volumes, &v);
    out->disk_free = v.bytes_free_disk;
    out->read_only = v.read_only || ar->read_only;
    out->full = v.full;
    out->flushes_total = v.flushes;
    struct db *d = db_reader(ar->db, e);
    bool ok = d && read_counts(d, out, e);
    db_return(ar->db, d);
    return ok;
}

// Counted, not kept: of part of the archive only.
static void put_part(const struct scope *scope, struct buf *sql) {
    buf_addz(sql, "SELECT count(DISTINCT st.patient), count(*), CAST(coalesce(sum(st.series_count), 0) AS BIGINT), CAST(coalesce(sum(st.instance_count), 0) AS"
                  " BIGINT), CAST(coalesce(sum(st.bytes), 0) AS BIGINT), (SELECT count(*) FROM conflicts c WHERE TRUE");
    scope_filter(scope, sql, "c", 1);
    buf_addz(sql, "), (SELECT count(*) FROM quarantine q WHERE TRUE");
    scope_filter_realm(scope, sql, "q", 1);
    buf_addz(sql, ") FROM studies st WHERE TRUE");
    scope_filter(scope, sql, "st", 1);
    buf_addc(sql, '\0');
}

static bool part(struct archive *ar, const struct scope *scope, struct archive_figures *out, struct err *e) {
    uint64_t *const to[FIGURE_COUNT] = {&out->patients, &out->studies, &out->series, &out->instances, &out->bytes, &out->conflicts, &out->quarantined};
    struct buf sql;
    buf_init(&sql, SQL_BYTES);
    put_part(scope, &sql);
    *out = (struct archive_figures){0};
    struct db *d = buf_ok(&sql, e) ? db_reader(ar->db, e) : NULL;
    struct db_stmt *s = d ? db_prepare(d, sql.p, e) : NULL;
    if (s) db_bind_text(s, 1, scope->keys);
    bool ok = s && db_next(s, e) == DB_ROW;
    for (int i = 0; ok && i < FIGURE_COUNT; i++) *to[i] = (uint64_t)db_int(s, i);
    db_done(s);
    db_return(ar->db, d);
    buf_deinit(&sql);
    return ok;
}

bool archive_figures_get(struct archive *ar, const struct actor *who, struct archive_figures *out, struct err *e) {
    struct arena a;
    struct scope scope;
    arena_init(&a, SCOPE_BYTES_MAX);
    *out = (struct archive_figures){0};
    bool ok = scope_of(who, ACCESS_FIGURES_READ, &a, &scope, e) && (scope.everywhere ? everything(ar, out, e) : part(ar, &scope, out, e));
    arena_deinit(&a);
    return ok;
}

static void put_digest(struct json_writer *j, struct str digest) {
    char hex[DIGEST_HEX + 1] = "";
    if (digest.n == DIGEST_BYTES) hex_encode((const uint8_t *)digest.p, DIGEST_BYTES, hex);
    json_put_strz(j, "sha256", hex);
}

// Rows as objects: columns named by keys, in order; a key "sha256" is a digest, one that begins with '#' a number. The first, which counts the rows of all,
// is for who reaches everything.
static bool rows_json(struct db *d, const char *sql, unsigned limit, const struct scope *scope, const char *const *keys, struct buf *to, struct err *e) {
    struct json_writer j;
    struct db_stmt *s = db_prepare(d, sql, e);
    if (!s) return false;
    db_bind_int(s, 1, limit);
    if (!scope->everywhere) db_bind_text(s, 2, scope->keys);
    json_init(&j, to, false);
    json_begin_array(&j);
    enum db_step step;
    while ((step = db_next(s, e)) == DB_ROW) {
        json_begin_object(&j);
        for (int i = !scope->everywhere; keys[i]; i++) {
            if (strcmp(keys[i], "sha256") == 0)
                put_digest(&j, db_blob(s, i));
            else if (keys[i][0] == '#')
                json_put_int(&j, keys[i] + 1, db_int(s, i));
            else
                json_put_str(&j, keys[i], db_text(s, i));
        }
        json_end_object(&j);
    }
    json_end_array(&j);
    db_done(s);
    return step == DB_END;
}

struct listing {
    const char *select;      // to its WHERE
    const char *alias;       // of the row that has a realm
    bool realm;              // and that is all: it is of no study
    const char *end;         // from its ORDER on; ?1 is the limit
    const char *const *keys; // of the objects
};

static bool put_listing(const struct listing *l, const struct scope *scope, struct buf *sql, struct err *e) {
    buf_addz(sql, l->select);
    (l->realm ? scope_filter_realm : scope_filter)(scope, sql, l->alias, 2);
    buf_addz(sql, l->end);
    buf_addc(sql, '\0');
    return buf_ok(sql, e);
}

static bool listing_json(struct archive *ar, const struct scope *scope, const struct listing *l, unsigned limit, struct buf *to, struct err *e) {
    struct buf sql;
    buf_init(&sql, SQL_BYTES);
    struct db *d = put_listing(l, scope, &sql, e) ? db_reader(ar->db, e) : NULL;
    bool ok = d && rows_json(d, sql.p, limit, scope, l->keys, to, e) && buf_ok(to, e);
    db_return(ar->db, d);
    buf_deinit(&sql);
    return ok;
}

static bool list_json(struct archive *ar, const struct actor *who, struct arena *a, const struct listing *l, unsigned limit, struct str *out, struct err *e) {
    struct buf b;
    struct scope scope;
    if (!scope_of(who, ACCESS_FAULTS_READ, a, &scope, e)) return false;
    buf_init(&b, JSON_BYTES_MAX);
    bool ok = listing_json(ar, &scope, l, limit, &b, e) && arena_dup(a, buf_str(&b), out, e);
    buf_deinit(&b);
    return ok;
}

bool archive_conflicts_json(struct archive *ar, const struct actor *who, struct arena *a, unsigned limit, struct str *out, struct err *e) {
    static const char *const keys[] = {"#id",    "kind",   "study_uid", "series_uid", "sop_instance_uid", "sop_class_uid", "patient_id",
                                       "issuer", "#bytes", "sha256",    "source",     "#received_ms",     "reason",        NULL};
    static const struct listing l = {.select = "SELECT c.id, c.kind, c.study_uid, c.series_uid, c.sop_instance_uid, c.sop_class_uid, c.patient_id, c.issuer, "
                                               "c.length, c.digest, c.source, c.received_ms, c.reason FROM conflicts c WHERE TRUE",
                                     .alias = "c",
                                     .end = " ORDER BY c.id DESC LIMIT ?1",
                                     .keys = keys};
    return list_json(ar, who, a, &l, limit, out, e);
}

bool archive_quarantine_json(struct archive *ar, const struct actor *who, struct arena *a, unsigned limit, struct str *out, struct err *e) {
    static const char *const keys[] = {"#id", "#bytes", "sha256", "source", "#received_ms", "reason", NULL};
    static const struct listing l = {.select = "SELECT q.id, q.length, q.digest, q.source, q.received_ms, q.reason FROM quarantine q WHERE TRUE",
                                     .alias = "q",
                                     .realm = true,
                                     .end = " ORDER BY q.id DESC LIMIT ?1",
                                     .keys = keys};
    return list_json(ar, who, a, &l, limit, out, e);
}
